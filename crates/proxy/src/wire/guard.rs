//! The one reading of an upstream's URL, for the check and for the connection.
//!
//! Parsers that disagree about a URL are how guards are passed, so odd forms are refused rather
//! than interpreted: what [`Guard::parse_url`] accepts has one reading only. The addresses a name
//! leads to are checked on each connect.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use ipnet::IpNet;
use rustls_pki_types::{DnsName, ServerName};

/// Where connections may go.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Lets plain HTTP and loopback addresses pass. For development and tests.
    pub allow_loopback: bool,
    /// Networks of the operator's own, such as `10.0.0.0/8`. Opens no loopback, link-local or
    /// metadata address.
    pub allowed: Vec<IpNet>,
}

/// A URL that has been read and is fit to connect to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Endpoint(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    is_tls: bool,
    host: Host,
    port: u16,
    authority: HeaderValue,
    target: Uri,
    origin: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Name(Box<str>),
    Address(IpAddr),
}

/// Why a URL is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Longer than any endpoint needs.
    #[error("the URL is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// Not what RFC 3986 allows, or only some parsers do.
    #[error("the URL holds a character that must be percent-encoded, or is no URL at all")]
    Malformed,
    /// A fragment is never sent, and hides what follows it.
    #[error("the URL has a fragment (`#`)")]
    Fragment,
    /// Neither `https` nor `http`, or no absolute URL.
    #[error("the URL must begin with https://")]
    Scheme,
    /// `http` to anywhere but loopback, or where loopback is not allowed.
    #[error("plain http:// is for loopback in development only; use https://")]
    PlainHttp,
    /// User information in the authority.
    #[error("the URL holds a user name or password; store the credential as an identity instead")]
    Credentials,
    /// Zero, too large, empty or oddly written.
    #[error("the URL's port is not a number from 1 to 65535")]
    Port,
    /// Not a plain DNS name, version 4 address in four decimal parts, or version 6 address.
    #[error("the URL's host is neither a plain name nor a plainly written IP address")]
    Host,
    /// An address or name that no connection may go to; with the rule.
    #[error("the URL's host is refused: {0}")]
    Blocked(&'static str),
}

impl Guard {
    /// Reads an absolute URL.
    ///
    /// # Errors
    ///
    /// If it is not `https` (or `http` to loopback where that is allowed), holds credentials or a
    /// fragment, is written in an odd form, or names an address that is refused.
    pub fn parse_url(&self, text: &str) -> Result<Endpoint, UrlError> {
        if text.len() > MAX_URL_BYTES {
            return Err(UrlError::TooLong);
        }
        // The parser below drops a fragment silently and tolerates quotes and braces.
        if text.contains('#') {
            return Err(UrlError::Fragment);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&b)) {
            return Err(UrlError::Malformed);
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::Malformed)?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(UrlError::Scheme),
        };
        let authority = uri.authority().ok_or(UrlError::Malformed)?.as_str();
        if authority.contains('@') {
            return Err(UrlError::Credentials);
        }
        let (host, port) = split_authority(authority)?;
        let host = parse_host(host)?;
        let is_ours = self.allow_loopback && host.may_be_loopback();
        if !is_tls && !is_ours {
            return Err(UrlError::PlainHttp);
        }
        if let Host::Address(address) = host {
            self.check(address).map_err(UrlError::Blocked)?;
        }
        let target = uri.path_and_query().cloned();
        Ok(Endpoint::new(is_tls, host, port, target))
    }
}

impl Endpoint {
    fn new(is_tls: bool, host: Host, port: Option<u16>, target: Option<PathAndQuery>) -> Self {
        let (scheme, usual) = if is_tls { ("https", 443) } else { ("http", 80) };
        let port = port.unwrap_or(usual);
        let name = host.text();
        let authority = if port == usual { name } else { format!("{name}:{port}") };
        let origin = format!("{scheme}://{authority}").into();
        let authority = HeaderValue::try_from(authority).expect("a checked host is visible ASCII");
        let target = match target {
            None => PathAndQuery::from_static("/"),
            Some(target) if target.as_str().starts_with('/') => target,
            // A query right behind the host; only printing it sets the slash.
            Some(target) => PathAndQuery::try_from(target.to_string())
                .expect("what has been parsed stays valid behind a slash"),
        };
        let target = Uri::from(target);
        Self(Arc::new(Parts { is_tls, host, port, authority, target, origin }))
    }

    /// Scheme, host, and the port unless it is the usual one: `https://mcp.example.com`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.0.origin
    }

    /// Whether the connection is encrypted. If not, it goes to loopback.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.is_tls
    }

    /// The host as it stands in the URL, in lower case; a version 6 address in brackets.
    #[must_use]
    pub fn host(&self) -> String {
        self.0.host.text()
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Path and query, never empty.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        self.0.target.path_and_query().map_or("/", PathAndQuery::as_str)
    }

    /// The value of the `Host` header.
    pub(super) fn authority(&self) -> HeaderValue {
        self.0.authority.clone()
    }

    /// What stands in the request line.
    pub(super) fn target(&self) -> Uri {
        self.0.target.clone()
    }

    pub(super) fn shared_origin(&self) -> &Arc<str> {
        &self.0.origin
    }

    pub(super) fn place(&self) -> &Host {
        &self.0.host
    }
}

impl Host {
    fn text(&self) -> String {
        match self {
            Self::Name(name) => name.to_string(),
            Self::Address(IpAddr::V4(v4)) => v4.to_string(),
            Self::Address(IpAddr::V6(v6)) => format!("[{v6}]"),
        }
    }

    fn may_be_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name.as_ref() == "localhost",
            Self::Address(address) => address.to_canonical().is_loopback(),
        }
    }

    /// Whom the upstream's certificate must name.
    pub(super) fn server_name(&self) -> ServerName<'static> {
        match self {
            Self::Name(name) => ServerName::DnsName(
                DnsName::try_from(name.to_string()).expect("a checked host is a DNS name"),
            ),
            Self::Address(address) => ServerName::IpAddress((*address).into()),
        }
    }
}

/// Cuts `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_authority(authority: &str) -> Result<(&str, Option<u16>), UrlError> {
    let (host, port) = if authority.starts_with('[') {
        let (host, rest) = authority.split_once(']').ok_or(UrlError::Host)?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(port),
            None if rest.is_empty() => None,
            None => return Err(UrlError::Host),
        };
        (host, port)
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    Ok((host, port.map(parse_port).transpose()?))
}

fn parse_port(text: &str) -> Result<u16, UrlError> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain).ok_or(UrlError::Port)
}

fn parse_host(text: &str) -> Result<Host, UrlError> {
    if let Some(v6) = text.strip_prefix('[') {
        let address: Ipv6Addr = v6.parse().map_err(|_| UrlError::Host)?;
        return Ok(Host::Address(address.into()));
    }
    let name = text.to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default();
    // What ends in a number is an address to some parsers: then it must be one to all of them.
    let is_number = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    if is_number {
        let address: Ipv4Addr = name.parse().map_err(|_| UrlError::Host)?;
        return Ok(Host::Address(address.into()));
    }
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(UrlError::Host);
    }
    if METADATA_NAMES.iter().any(|known| is_within(&name, known)) {
        return Err(UrlError::Blocked("a cloud metadata name"));
    }
    if DnsName::try_from(name.as_str()).is_err() {
        return Err(UrlError::Host);
    }
    Ok(Host::Name(name.into()))
}

/// RFC 1123, and the underscore, which container networks use.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Long enough for any endpoint, short enough for a log line.
const MAX_URL_BYTES: usize = 2048;

/// Their addresses are refused too; the names are so that the reason is plain.
const METADATA_NAMES: [&str; 5] = [
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "instance-data.ec2.internal",
    "instance-data",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strict() -> Guard {
        Guard::default()
    }

    fn development() -> Guard {
        Guard { allow_loopback: true, allowed: Vec::new() }
    }

    #[test]
    fn a_plain_url_is_read_in_one_way() {
        for (url, origin, host, port, path) in [
            ("https://example.com", "https://example.com", "example.com", 443, "/"),
            ("https://EXAMPLE.com/", "https://example.com", "example.com", 443, "/"),
            ("https://example.com:443/mcp", "https://example.com", "example.com", 443, "/mcp"),
            ("https://a.b:8443/x?y=1", "https://a.b:8443", "a.b", 8443, "/x?y=1"),
            ("https://a.b?y", "https://a.b", "a.b", 443, "/?y"),
            ("https://a.b/@scope/%2e%2e", "https://a.b", "a.b", 443, "/@scope/%2e%2e"),
            ("https://8.8.8.8/", "https://8.8.8.8", "8.8.8.8", 443, "/"),
            (
                "https://xn--bcher-kva.example/",
                "https://xn--bcher-kva.example",
                "xn--bcher-kva.example",
                443,
                "/",
            ),
            ("https://my_server:9/", "https://my_server:9", "my_server", 9, "/"),
            ("https://[2606:4700::1]:9/a", "https://[2606:4700::1]:9", "[2606:4700::1]", 9, "/a"),
            ("HTTPS://example.com/", "https://example.com", "example.com", 443, "/"),
        ] {
            let endpoint = strict().parse_url(url).unwrap_or_else(|e| panic!("{url}: {e}"));
            assert_eq!(endpoint.origin(), origin, "{url}");
            assert_eq!(endpoint.host(), host, "{url}");
            assert_eq!(endpoint.port(), port, "{url}");
            assert_eq!(endpoint.path_and_query(), path, "{url}");
            assert!(endpoint.is_tls(), "{url}");
        }
    }

    #[test]
    fn h103_loopback_in_any_spelling_is_refused() {
        for url in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://127.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0x7f000001/",
            "https://127.0.0.0x1/",
            "https://0177.0.0.1/",
            "https://127.0.0.01/",
            "https://0.0.0.0/",
            "https://[::]/",
            "https://[::1]/",
            "https://[0:0:0:0:0:0:0:1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::1%25lo]/",
            "https://[::1%lo]/",
        ] {
            assert!(strict().parse_url(url).is_err(), "{url}");
        }
        for odd in ["http://127.1/", "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/"] {
            assert_eq!(development().parse_url(odd).unwrap_err(), UrlError::Host, "{odd}");
        }
    }

    #[test]
    fn h104_h105_metadata_and_embedded_addresses_are_refused_at_once() {
        for url in [
            "https://169.254.169.254/latest/meta-data/",
            "https://[fd00:ec2::254]/",
            "https://metadata.google.internal/",
            "https://Metadata.Google.Internal/computeMetadata/v1/",
            "https://x.metadata.google.internal/",
            "https://100.100.100.200/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
            "https://10.0.0.1/",
        ] {
            let error = strict().parse_url(url).unwrap_err();
            assert!(matches!(error, UrlError::Blocked(_)), "{url}: {error}");
        }
        assert!(strict().parse_url("https://notmetadata.goog/").is_ok());
    }

    #[test]
    fn h109_h114_forms_that_parsers_read_differently_are_refused() {
        use UrlError::{Credentials, Fragment, Host, Malformed, PlainHttp, Port, Scheme, TooLong};
        for (url, expected) in [
            ("http://a@b#@c", Fragment),
            ("https://user:secret@example.com/", Credentials),
            ("https://user@example.com/", Credentials),
            ("https://@example.com/", Credentials),
            ("https://example.com\\@evil.example/", Malformed),
            ("https:\\\\example.com/", Malformed),
            ("https://exa\tmple.com/", Malformed),
            ("https://example.com/\n", Malformed),
            (" https://example.com/", Malformed),
            ("https://example.com/a b", Malformed),
            ("https://ex\u{e4}mple.com/", Malformed),
            ("https://example.com/\u{2028}", Malformed),
            ("https://example.com/{x}", Malformed),
            ("https://example.com./", Host),
            ("https://.example.com/", Host),
            ("https://a..b/", Host),
            ("https://-a.example/", Host),
            ("https://a%2eb/", Malformed),
            ("https://127.0.0.1./", Host),
            ("https://1.2.3.4.5/", Host),
            ("https://256.0.0.1/", Host),
            ("https://example.com:0/", Port),
            ("https://example.com:/", Port),
            ("https://example.com:00443/", Port),
            ("https://example.com:+443/", Port),
            ("https://example.com:65536/", Port),
            ("https://[2606:4700::1]x/", Host),
            ("https://[::g]/", Host),
            ("ftp://example.com/", Scheme),
            ("file:///etc/passwd", Malformed),
            ("//example.com/", Scheme),
            ("/mcp", Scheme),
            ("example.com", Scheme),
            ("", Malformed),
            ("http://example.com/", PlainHttp),
            ("http://127.0.0.1/", PlainHttp),
            ("http://localhost/", PlainHttp),
        ] {
            let error = strict().parse_url(url).unwrap_err();
            assert_eq!(error, expected, "{url}");
        }
        let long = format!("https://example.com/{}", "a".repeat(MAX_URL_BYTES));
        assert_eq!(strict().parse_url(&long).unwrap_err(), TooLong);
        let label = format!("https://{}.example/", "a".repeat(64));
        assert_eq!(strict().parse_url(&label).unwrap_err(), Host);
    }

    #[test]
    fn plain_http_reaches_loopback_in_development_only() {
        for url in ["http://127.0.0.1:9/mcp", "http://localhost:9/mcp", "http://[::1]:9/mcp"] {
            let endpoint = development().parse_url(url).unwrap();
            assert!(!endpoint.is_tls(), "{url}");
            assert_eq!(endpoint.port(), 9, "{url}");
        }
        for url in ["http://example.com/", "http://10.0.0.1/", "http://localhost.example/"] {
            assert_eq!(development().parse_url(url).unwrap_err(), UrlError::PlainHttp, "{url}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            drop(strict().parse_url(&text));
        }

        #[test]
        fn what_is_accepted_reads_the_same_when_read_again(
            host in "[a-zA-Z0-9.:@\\[\\]_%-]{1,24}",
            path in "[a-z/?&=@:%.]{0,16}",
        ) {
            if let Ok(endpoint) = strict().parse_url(&format!("https://{host}/{path}")) {
                let again = format!("{}{}", endpoint.origin(), endpoint.path_and_query());
                let again = strict().parse_url(&again);
                prop_assert!(again.is_ok());
                let again = again.unwrap();
                prop_assert_eq!(again.origin(), endpoint.origin());
                prop_assert_eq!(again.path_and_query(), endpoint.path_and_query());
                prop_assert_eq!(again.place(), endpoint.place());
            }
        }
    }
}
