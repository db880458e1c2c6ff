//! The first look at a request: is it well formed, and may it come from where it comes?
//!
//! Nothing here trusts a header to say who is calling. Headers of other gateways that would
//! (`x-forwarded-user` and its kin) are never read and never forwarded: what goes upstream is built
//! anew and takes nothing from the client but the MCP headers.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::refusal::Refusal;

/// Which host names and origins are ours.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// Host names without port, lower case, as in `Host`. IPv6 addresses in brackets.
    pub names: Vec<String>,
    /// Whether clients reach us by `https`.
    pub secure: bool,
}

/// Where a request wants to go: `/mcp/{workspace}/{gateway}[/{server}]`, or the same behind `/sse/`;
/// or to the picker, `/mcp/{workspace}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// Whether it is for the transport of 2024-11-05.
    pub(crate) is_paired: bool,
    pub(crate) workspace: String,
    /// Absent at the picker.
    pub(crate) gateway: Option<String>,
    pub(crate) server: Option<String>,
}

impl Hosts {
    /// [`Hosts::check`] for what is served beside the data plane; the text says what is wrong.
    ///
    /// # Errors
    /// Where host or origin are not ours.
    pub fn admit(&self, parts: &Parts) -> Result<(), String> {
        self.check(parts).map_err(|refusal| refusal.to_string())
    }

    /// Host and origin, on every request, loopback included: a browser on this machine can be made
    /// to send anything to a loopback address (DNS rebinding).
    pub(crate) fn check(&self, parts: &Parts) -> Result<(), Refusal> {
        let mut hosts = parts.headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next(), parts.uri.authority()) {
            (Some(host), None, None) => host.to_str().ok(),
            (Some(host), None, Some(authority)) if host == authority.as_str() => {
                Some(authority.as_str())
            }
            // HTTP/2 carries the authority in the URI and may leave the header out.
            (None, None, Some(authority)) => Some(authority.as_str()),
            _ => None,
        };
        if !host.is_some_and(|it| self.serves(it)) {
            return Err(Refusal::Host);
        }
        let mut origins = parts.headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => Ok(()),
            (Some(origin), None) if self.allows_origin(origin) => Ok(()),
            _ => Err(Refusal::Origin),
        }
    }

    fn serves(&self, authority: &str) -> bool {
        let name = without_port(authority);
        self.names.iter().any(|it| it.eq_ignore_ascii_case(name))
    }

    fn allows_origin(&self, origin: &HeaderValue) -> bool {
        let scheme = if self.secure { "https://" } else { "http://" };
        let rest = origin.to_str().ok().and_then(|it| it.strip_prefix(scheme));
        rest.is_some_and(|it| !it.contains(['/', '@', '?', '#']) && self.serves(it))
    }
}

impl Path {
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let (is_paired, rest) = match path.strip_prefix("/mcp/") {
            Some(rest) => (false, rest),
            None => (true, path.strip_prefix("/sse/")?),
        };
        let mut segments = rest.split('/');
        let workspace = segments.next()?.to_owned();
        let gateway = segments.next().map(str::to_owned);
        let server = segments.next().map(str::to_owned);
        let plain = |it: &str| {
            !it.is_empty()
                && it.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let fits = segments.next().is_none()
            && plain(&workspace)
            && gateway.as_deref().map_or(!is_paired, plain)
            && server.as_deref().is_none_or(plain);
        fits.then_some(Self { is_paired, workspace, gateway, server })
    }
}

/// Headers that we read must not have a twin that another hop could take for them.
pub(crate) fn check_names(headers: &HeaderMap) -> Result<(), Refusal> {
    for name in headers.keys() {
        let text = name.as_str();
        let twin = text.contains('_') && is_read(&text.replace('_', "-"));
        if twin || is_single(text) && headers.get_all(name).iter().nth(1).is_some() {
            return Err(Refusal::BadHeader { name: text.to_owned() });
        }
    }
    Ok(())
}

fn is_read(name: &str) -> bool {
    is_single(name)
        || name.starts_with("mcp-")
        || name == ACCEPT.as_str()
        || name == "x-forwarded-for"
}

fn is_single(name: &str) -> bool {
    const SINGLE: [HeaderName; 4] = [AUTHORIZATION, CONTENT_TYPE, CONTENT_ENCODING, ORIGIN];
    SINGLE.iter().any(|it| it.as_str() == name)
        || matches!(
            name,
            "content-length" | "last-event-id" | "mcp-session-id" | "transfer-encoding"
        )
}

/// What a POST must say about its body.
pub(crate) fn check_media(headers: &HeaderMap) -> Result<(), Refusal> {
    let media = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if headers.contains_key(CONTENT_ENCODING) || !is_json(media) {
        return Err(Refusal::MediaType);
    }
    Ok(())
}

/// What a POST must say about its body and about the answers that it takes.
pub(crate) fn check_post(headers: &HeaderMap) -> Result<(), Refusal> {
    check_media(headers)?;
    if accepts(headers, "application", "json") && accepts(headers, "text", "event-stream") {
        Ok(())
    } else {
        Err(Refusal::NotAcceptable)
    }
}

/// What a GET must say: it can only be answered by a stream.
pub(crate) fn check_get(headers: &HeaderMap) -> Result<(), Refusal> {
    if accepts(headers, "text", "event-stream") { Ok(()) } else { Err(Refusal::NotAcceptable) }
}

fn is_json(media: &str) -> bool {
    let mut parts = media.split(';').map(str::trim);
    let json = parts.next().is_some_and(|it| it.eq_ignore_ascii_case("application/json"));
    json && parts.all(|it| {
        it.split_once('=').is_some_and(|(key, value)| {
            key.trim().eq_ignore_ascii_case("charset")
                && value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
    })
}

fn accepts(headers: &HeaderMap, kind: &str, subtype: &str) -> bool {
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|it| it.to_str().ok());
    ranges.flat_map(|it| it.split(',')).any(|range| {
        let media = range.split(';').next().unwrap_or_default().trim();
        match media.split_once('/') {
            Some(("*", "*")) => true,
            Some((k, "*")) => k.eq_ignore_ascii_case(kind),
            Some((k, s)) => k.eq_ignore_ascii_case(kind) && s.eq_ignore_ascii_case(subtype),
            None => false,
        }
    })
}

/// The whole body, at most `limit` bytes of it, within `patience`. One that arrives in one piece is
/// not copied.
pub(crate) async fn read_body(
    body: Incoming,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, Refusal> {
    tokio::time::timeout(patience, collect(body, limit))
        .await
        .unwrap_or(Err(Refusal::SlowBody { limit: patience }))
}

async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, Refusal> {
    let announced = http_body::Body::size_hint(&body).lower();
    if limit as u64 <= announced.saturating_sub(1) {
        return Err(Refusal::TooLarge { limit });
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::BadHeader { name: "content-length".to_owned() })?;
        let Ok(data) = frame.into_data() else { continue };
        if limit < first.len() + rest.len() + data.len() {
            return Err(Refusal::TooLarge { limit });
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if !first.is_empty() {
            rest.reserve(usize::try_from(announced).unwrap_or(0).min(limit));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !port.is_empty() => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn h073_h074_foreign_hosts_and_origins_are_refused() {
        let cases = [
            ("localhost:8080", None, true),
            ("LOCALHOST", None, true),
            ("[::1]:8080", None, true),
            ("attacker.tld", None, false),
            ("localhost.attacker.tld", None, false),
            ("localhost:8080", Some("http://localhost:8080"), true),
            ("localhost:8080", Some("http://localhost:1"), true),
            ("localhost:8080", Some("https://localhost:8080"), false),
            ("localhost:8080", Some("null"), false),
            ("localhost:8080", Some("http://evil.example"), false),
            ("localhost:8080", Some("http://localhost.evil.com"), false),
            ("localhost:8080", Some("http://a@localhost"), false),
        ];
        for (host, origin, allowed) in cases {
            let mut request = Request::post("/mcp/a/b").header("host", host);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(hosts().check(&parts).is_ok(), allowed, "{host} {origin:?}");
        }
    }

    #[test]
    fn h013_two_hosts_or_none_are_refused() {
        let (none, ()) = Request::post("/mcp/a/b").body(()).unwrap().into_parts();
        assert!(hosts().check(&none).is_err());
        let two = Request::post("/x").header("host", "localhost").header("host", "localhost");
        let (two, ()) = two.body(()).unwrap().into_parts();
        assert!(hosts().check(&two).is_err());
    }

    #[test]
    fn h044_h045_media_types() {
        let cases = [
            ("application/json", "application/json, text/event-stream", true),
            ("application/json; charset=UTF-8", "*/*", true),
            ("application/json; charset=utf-16", "*/*", false),
            ("text/plain", "*/*", false),
            ("multipart/form-data", "*/*", false),
            ("application/json", "application/json", false),
            ("application/json", "text/event-stream", false),
            ("application/json", "application/*, text/*", true),
        ];
        for (content, accept, good) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, content.parse().unwrap());
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(check_post(&headers).is_ok(), good, "{content} {accept}");
        }
    }

    #[test]
    fn h011_an_underscore_twin_is_refused() {
        for (name, good) in [("mcp_name", false), ("content_length", false), ("x_mine", true)] {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("a"));
            assert_eq!(check_names(&headers).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn paths() {
        let cases = [
            ("/mcp/default/main", true),
            ("/mcp/default/main/files", true),
            ("/mcp/default", true),
            ("/mcp/", false),
            ("/mcp//main", false),
            ("/mcp/default/", false),
            ("/mcp/default/main/", false),
            ("/mcp/default/main/files/x", false),
            ("/mcp/default/%6dain", false),
            ("/mcp/../main", false),
            ("/sse/default/main", true),
            ("/sse/default/main/files", true),
            ("/sse/default", false),
            ("/sse/mcp/default/main/files", false),
            ("/ssee/default/main", false),
        ];
        for (path, good) in cases {
            assert_eq!(Path::parse(path).is_some(), good, "{path}");
        }
    }

    fn hosts() -> Hosts {
        let names = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec();
        Hosts { names, secure: false }
    }
}
