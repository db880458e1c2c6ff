//! Where a server wants its messages: a URL that may be relative, and is hostile until proved
//! otherwise.

use http::Uri;

use crate::refusal::UpstreamError;
use crate::wire::{Endpoint, Guard};

/// The address that `text` means on the stream at `stream`. It must be of the same origin: else a
/// server could have us send its clients' messages, and its credential, to anybody.
pub(super) fn message_address(
    guard: &Guard,
    stream: (&str, &Endpoint),
    text: &[u8],
) -> Result<Endpoint, UpstreamError> {
    let wrong = |why: &str| UpstreamError::Malformed(format!("its `endpoint` {why}"));
    let text = std::str::from_utf8(text).map_err(|_| wrong("is not text"))?;
    let (url, endpoint) = stream;
    let url: Uri = url.parse().map_err(|_| wrong("has no base"))?;
    let absolute = resolve(&url, text.trim()).ok_or_else(|| wrong("is no URL"))?;
    let found = guard.parse_url(&absolute).map_err(|_| wrong("is not acceptable"))?;
    if found.origin() != endpoint.origin() {
        return Err(wrong("is of another origin"));
    }
    Ok(found)
}

/// A reference as RFC 3986 (5.2) reads it.
fn resolve(base: &Uri, reference: &str) -> Option<String> {
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let first = reference.split(['/', '?', '#']).next()?;
    if reference.is_empty() || first.contains(':') {
        return Some(reference.to_owned()).filter(|it| !it.is_empty());
    }
    if reference.starts_with("//") {
        return Some(format!("{scheme}:{reference}"));
    }
    let (path, query) = match reference.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (reference, String::new()),
    };
    let path = match path {
        "" => base.path().to_owned(),
        _ if path.starts_with('/') => without_dots(path),
        _ => {
            let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            without_dots(&format!("{folder}/{path}"))
        }
    };
    Some(format!("{scheme}://{authority}{path}{query}"))
}

/// The path with its `.` and `..` followed.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (index, segment) in segments.iter().enumerate() {
        let is_last = index + 1 == segments.len();
        match *segment {
            "." | ".." => {
                if *segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_browsers_do_and_leads_nowhere_else() {
        let guard = Guard { allow_loopback: true, allowed: Vec::new() };
        let stream = "http://127.0.0.1:3001/a/sse?x=1";
        let base = guard.parse_url(stream).unwrap();
        let cases = [
            ("/message?sessionId=1", Some("/message?sessionId=1")),
            ("message?s=1", Some("/a/message?s=1")),
            ("./m", Some("/a/m")),
            ("../m?a=../b", Some("/m?a=../b")),
            ("../../../m/", Some("/m/")),
            ("?s=1", Some("/a/sse?s=1")),
            (" /m ", Some("/m")),
            ("http://127.0.0.1:3001/m", Some("/m")),
            ("//127.0.0.1:3001/m", Some("/m")),
            ("/m?next=https://a.example/", Some("/m?next=https://a.example/")),
            ("", None),
            ("http://127.0.0.1:3002/m", None),
            ("https://127.0.0.1:3001/m", None),
            ("http://localhost:3001/m", None),
            ("//evil.example/m", None),
            ("https://evil.example/m", None),
            ("http://169.254.169.254/latest", None),
            ("http://a@127.0.0.1:3001/m", None),
            ("http:/m", None),
            ("file:///etc/passwd", None),
            ("javascript:alert(1)", None),
            ("/m#part", None),
            ("/m\\..\\x", None),
            ("/m x", None),
            ("/m\u{e4}", None),
        ];
        for (text, expected) in cases {
            let found = message_address(&guard, (stream, &base), text.as_bytes());
            let found = found.ok().map(|it| it.path_and_query().to_owned());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        assert!(message_address(&guard, (stream, &base), b"/m\xff").is_err());
    }
}
