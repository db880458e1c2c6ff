//! The console's files, inside the binary.

use std::borrow::Cow;

/// Built by Vite. An empty folder makes a binary without console, which says so.
#[derive(rust_embed::RustEmbed)]
#[folder = "../../console/dist"]
struct Files;

/// One file, in one of its forms.
pub(crate) struct File {
    pub(crate) media: &'static str,
    /// How its bytes are compressed, if they are.
    pub(crate) coding: Option<&'static str>,
    pub(crate) bytes: Cow<'static, [u8]>,
}

/// Finds a file by its path, in the smallest form that `accepted`, an `Accept-Encoding`, names.
pub(crate) fn file(path: &str, accepted: &str) -> Option<File> {
    let media = match path.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    };
    // The build has compressed them; what is larger so has no such form.
    for (coding, ending) in [("br", "br"), ("gzip", "gz")] {
        if !takes(accepted, coding) {
            continue;
        }
        if let Some(found) = Files::get(&format!("{path}.{ending}")) {
            return Some(File { media, coding: Some(coding), bytes: found.data });
        }
    }
    Some(File { media, coding: None, bytes: Files::get(path)?.data })
}

/// Whether an `Accept-Encoding` names a coding, and not to refuse it.
fn takes(accepted: &str, coding: &str) -> bool {
    accepted.split(',').any(|named| {
        let (name, weight) = named.split_once(';').unwrap_or((named, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|it| it.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case(coding) && weight.is_none_or(|it| it > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::takes;

    #[test]
    fn a_coding_is_used_where_it_is_named_and_not_refused() {
        let cases = [
            ("gzip, deflate, br, zstd", "br", true),
            ("gzip;q=0.5, BR;q=1.0", "br", true),
            ("br;q=0, gzip", "br", false),
            ("br; q=0.000, gzip", "br", false),
            ("gzip", "br", false),
            ("brx", "br", false),
            ("identity", "gzip", false),
            ("", "gzip", false),
        ];
        for (accepted, coding, expected) in cases {
            assert_eq!(takes(accepted, coding), expected, "{accepted:?} {coding}");
        }
    }
}
