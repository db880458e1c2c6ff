//! Whether a URI is written in the one way in which policies compare it.

/// Schemes whose URIs the parsers of browsers and of most libraries take in more than one form (URL
/// Standard, "special schemes"), each with the port that need not be said.
const SPECIAL: [(&str, &str); 5] =
    [("ftp", "21"), ("http", "80"), ("https", "443"), ("ws", "80"), ("wss", "443")];

/// Whether a URI is written as all that is equal to it would be (RFC 3986, section 6.2.2): letters of
/// scheme and host are small, what may stand as it is is not encoded and all else is, and no segment of
/// its path is `.`, `..` or empty. A file is named by `file:///` and a path. Fragments, which a server
/// leaves away, and empty queries are other spellings, too. Of a template the same holds for its text.
pub(super) fn is_plain(uri: &str) -> bool {
    if !has_plain_text(uri) {
        return false;
    }
    let Some((scheme, rest)) = uri.split_once(':').filter(|it| is_scheme(it.0)) else {
        return has_plain_path(uri);
    };
    if scheme.bytes().any(|b| b.is_ascii_uppercase()) {
        return false;
    }
    let default = SPECIAL.iter().find(|it| it.0 == scheme).map(|it| it.1);
    let Some(rest) = rest.strip_prefix("//") else {
        return scheme != "file" && default.is_none() && has_plain_path(rest);
    };
    let (host, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let is_plain_host = match default {
        _ if scheme == "file" => host.is_empty() && !rest.contains('?'),
        Some(default) => is_plain_host(host, default) && rest.starts_with('/'),
        None => true,
    };
    is_plain_host && !host.bytes().any(|b| b.is_ascii_uppercase()) && has_plain_path(rest)
}

fn is_scheme(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    text.starts_with(|it: char| it.is_ascii_alphabetic()) && text.bytes().all(is_part)
}

/// A host, which may be followed by a port that has to be said.
fn is_plain_host(host: &str, default: &str) -> bool {
    let port = host.rsplit_once(':').filter(|it| !it.1.ends_with(']'));
    let name = port.map_or(host, |it| it.0);
    let is_needed = |it: &str| !it.is_empty() && !it.starts_with('0') && it != default;
    !name.is_empty()
        && !name.ends_with('.')
        && !host.contains('@')
        && port.is_none_or(|it| is_needed(it.1))
}

/// Whether no segment goes elsewhere or nowhere, and a query has something in it.
fn has_plain_path(text: &str) -> bool {
    let (path, query) = text.split_once('?').map_or((text, None), |it| (it.0, Some(it.1)));
    let path = path.strip_prefix('/').unwrap_or(path);
    // The last one may be empty, behind the slash of a folder.
    let mut segments = path.strip_suffix('/').unwrap_or(path).split('/');
    query != Some("") && (path.is_empty() || segments.all(|it| !matches!(it, "" | "." | "..")))
}

/// Whether each byte stands as it is or encoded, in the one of both ways that it has.
fn has_plain_text(text: &str) -> bool {
    // RFC 3986, section 2; and the braces of templates (RFC 6570).
    let is_raw = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?[]{}".contains(&b);
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default();
    first.bytes().all(is_raw)
        && parts.all(|it| {
            let digits = it.get(..2).filter(|it| !it.bytes().any(|b| b.is_ascii_lowercase()));
            let byte = digits.and_then(|it| u8::from_str_radix(it, 16).ok());
            let is_needed = |b: u8| !is_raw(b) && !b.is_ascii_control() && b != b'\\';
            byte.is_some_and(is_needed) && it.bytes().all(is_raw)
        })
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn of_equal_uris_one_is_plain() {
        for (uri, expected) in [
            ("file:///secret", true),
            ("file:///secret/", true),
            ("file:///", true),
            ("https://example.org/", true),
            ("https://example.org/a?b=./..//", true),
            ("https://example.org/a%20b", true),
            ("file:///na%C3%AFve", true),
            ("file:///a%23b", true),
            ("https://example.org:8443/a", true),
            ("https://[::1]/a", true),
            ("test://one", true),
            ("urn:isbn:0451450523", true),
            ("notes", true),
            ("db://{table}/rows/{+path}", true),
            ("", true),
            ("file:///naïve", false),
            ("file:/secret", false),
            ("file:secret", false),
            ("file://localhost/secret", false),
            ("file:///secret?", false),
            ("file:///secret?a", false),
            ("file:///a%40b", false),
            ("file:///a%00b", false),
            ("file:///a|b", false),
            ("https://example.org", false),
            ("https://example.org./a", false),
            ("https://example.org:443/a", false),
            ("https://example.org:/a", false),
            ("https://me@example.org/a", false),
            ("https:example.org/a", false),
            ("test://one?", false),
            ("./notes", false),
            ("a/../notes", false),
            ("file:///./secret", false),
            ("file:///a/../secret", false),
            ("file:////secret", false),
            ("file:///secret//", false),
            ("file:///%73ecret", false),
            ("file:///a%2fb", false),
            ("file:///a%2Fb", false),
            ("file:///%2E%2E/secret", false),
            ("file:///a%c3%bc", false),
            ("file:///a%2", false),
            ("FILE:///secret", false),
            ("https://Example.org/a", false),
            ("file:///secret#x", false),
            ("file:///a\\secret", false),
            ("file:///a secret", false),
            ("file:///secret\n", false),
        ] {
            assert_eq!(is_plain(uri), expected, "{uri:?}");
        }
    }
}
