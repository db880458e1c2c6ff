//! Whether a URI is written in the one way in which policies compare it.

/// Whether a URI is written as all that is equal to it would be (RFC 3986, section 6.2.2): letters of
/// scheme and host are small, nothing is encoded that need not be, and no segment of its path is `.`,
/// `..` or empty. A fragment, which a server leaves away, and a backslash, which some take for a slash,
/// are other spellings, too. Of a template the same holds for its text.
pub(super) fn is_plain(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return has_plain_text(uri) };
    if scheme.bytes().any(|b| b.is_ascii_uppercase()) || !has_plain_text(rest) {
        return false;
    }
    let (rest, host) = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (host, rest) = rest.split_at(end);
            (rest, host)
        }
        None => (rest, ""),
    };
    let path = rest.split_once('?').map_or(rest, |it| it.0);
    let path = path.strip_prefix('/').unwrap_or(path);
    // The last one may be empty, behind the slash of a folder.
    let segments = path.strip_suffix('/').unwrap_or(path).split('/');
    let is_plain = |it: &str| !matches!(it, "" | "." | "..");
    !host.bytes().any(|b| b.is_ascii_uppercase())
        && (path.is_empty() || segments.into_iter().all(is_plain))
}

/// Whether nothing is encoded that need not be, or in small letters, and nothing stands there that
/// never does in a URI but stands for something else.
fn has_plain_text(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'#' | b'\\') || !b.is_ascii();
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default();
    first.bytes().all(is_plain)
        && parts.all(|it| {
            let digits = it.get(..2).filter(|it| !it.bytes().any(|b| b.is_ascii_lowercase()));
            let byte = digits.and_then(|it| u8::from_str_radix(it, 16).ok());
            // Unreserved, section 2.3.
            let is_needed = |b: u8| {
                !b.is_ascii_alphanumeric() && !matches!(b, b'-' | b'.' | b'_' | b'~' | b'/' | b'\\')
            };
            byte.is_some_and(is_needed) && it.bytes().all(is_plain)
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
            ("https://example.org", true),
            ("https://example.org/a?b=./..//", true),
            ("https://example.org/a%20b", true),
            ("file:///naïve", true),
            ("urn:isbn:0451450523", true),
            ("notes", true),
            ("db://{table}/rows/{+path}", true),
            ("", true),
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
