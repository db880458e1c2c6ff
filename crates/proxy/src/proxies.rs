//! From where a request comes.
//!
//! It comes from the other end of its socket, whatever its headers claim. Only where that end is a
//! proxy that the configuration trusts are its headers read: each trusted proxy has written behind
//! what it was sent from where it was sent that, so the last entry that is no trusted proxy's is the
//! client's. What stands before that entry anybody can have written, and nobody reads it.
//!
//! Some proxies write `X-Forwarded-For` and others `Forwarded` (RFC 7239), and each lets the other
//! header of a client pass. Hence where both are there, they must say the same.

use std::net::{IpAddr, SocketAddr};

use domain::canonical;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// The proxies whose word is taken.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Where they are.
    pub trusted: Vec<IpNet>,
}

/// A trusted proxy says something of its client that cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header `{header}` is not acceptable")]
pub struct BadForwarded {
    /// Which header it is.
    pub header: &'static str,
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = http::header::FORWARDED;

/// How many entries such a header holds at most, and in how many bytes: longer than any chain of
/// proxies.
const MOST_ENTRIES: usize = 64;
const MOST_BYTES: usize = 4_096;

impl Proxies {
    /// The address of the client of a request that has come from `peer`.
    ///
    /// # Errors
    /// Where a trusted proxy's header is none.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Result<IpAddr, BadForwarded> {
        let peer = canonical(peer);
        if !self.trusts(peer) {
            return Ok(peer);
        }
        let bad = |header| move || BadForwarded { header };
        let listed = joined(headers, &X_FORWARDED_FOR).map_err(|()| bad("x-forwarded-for")())?;
        let listed = listed.map(|it| self.listed(&it).ok_or_else(bad("x-forwarded-for")));
        let told = joined(headers, &FORWARDED).map_err(|()| bad("forwarded")())?;
        let told = told.map(|it| self.told(&it).ok_or_else(bad("forwarded")));
        match (listed.transpose()?, told.transpose()?) {
            (None, None) => Ok(peer),
            (Some(client), None) | (None, Some(client)) => Ok(client),
            (Some(one), Some(other)) if one == other => Ok(one),
            (Some(_), Some(_)) => Err(bad("forwarded")()),
        }
    }

    /// Whether a request says from where it comes, and whoever has sent it is no proxy that is trusted: a
    /// proxy that was forgotten, most likely, behind which all clients have one address.
    pub fn disregards(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let says = headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(FORWARDED);
        says && !self.trusts(canonical(peer))
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|it| it.contains(&address))
    }

    /// The client by `X-Forwarded-For`.
    fn listed(&self, text: &str) -> Option<IpAddr> {
        let entries = text.split(',').map(|it| it.trim_matches([' ', '\t']));
        self.last_untrusted(entries.collect(), node)
    }

    /// The client by `Forwarded`.
    fn told(&self, text: &str) -> Option<IpAddr> {
        let elements = elements(text)?;
        self.last_untrusted(elements.iter().map(String::as_str).collect(), quoted_node)
    }

    /// From the right: what the nearest proxy has written last. The first one of all where each is a
    /// trusted proxy's.
    fn last_untrusted(
        &self,
        entries: Vec<&str>,
        read: impl Fn(&str) -> Option<IpAddr>,
    ) -> Option<IpAddr> {
        if MOST_ENTRIES < entries.len() {
            return None;
        }
        let mut client = None;
        for entry in entries.into_iter().rev() {
            let address = read(entry)?;
            client = Some(address);
            if !self.trusts(address) {
                break;
            }
        }
        client
    }
}

/// All lines of a header as the one that they stand for (RFC 9110 section 5.3); nothing where there
/// is none.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, ()> {
    let mut whole: Option<String> = None;
    for line in headers.get_all(name) {
        let line = line.to_str().map_err(|_| ())?;
        let whole = whole.get_or_insert_default();
        if !whole.is_empty() {
            whole.push(',');
        }
        whole.push_str(line);
        if MOST_BYTES < whole.len() {
            return Err(());
        }
    }
    Ok(whole)
}

/// An address, perhaps with a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or
/// `[2001:db8::1]:80`.
fn node(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().filter(|_| !text.contains('%'));
    let address = text.parse().ok().or_else(bracketed);
    address.or_else(|| with_port().map(|it| it.ip())).map(canonical)
}

/// The same as the value of a parameter, where IPv6 stands in brackets and colons in quotes
/// (RFC 7239 section 6).
fn quoted_node(text: &str) -> Option<IpAddr> {
    let is_bare_six = text.parse::<std::net::Ipv6Addr>().is_ok();
    node(text).filter(|_| !is_bare_six)
}

/// The value of `for` in each element of a `Forwarded` header, without quotes; empty where an element
/// has none, and nothing where it is no such header (RFC 7239 section 4).
fn elements(text: &str) -> Option<Vec<String>> {
    let mut elements = Vec::new();
    let mut rest = text.trim_matches([' ', '\t']);
    loop {
        let mut own: Option<String> = None;
        loop {
            let (name, after) = rest.split_once('=')?;
            let (value, after) = value(after)?;
            if name.is_empty() || !name.bytes().all(is_token) {
                return None;
            }
            if name.eq_ignore_ascii_case("for") && own.replace(value).is_some() {
                return None;
            }
            match after.strip_prefix(';') {
                Some(after) => rest = after,
                None => {
                    rest = after.trim_start_matches([' ', '\t']);
                    break;
                }
            }
        }
        elements.push(own.unwrap_or_default());
        if rest.is_empty() {
            return Some(elements);
        }
        rest = rest.strip_prefix(',')?.trim_start_matches([' ', '\t']);
    }
}

/// A token or a quoted string, and what comes after it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.bytes().position(|it| !is_token(it)).unwrap_or(text.len());
        let (value, after) = text.split_at_checked(end).filter(|it| !it.0.is_empty())?;
        return Some((value.to_owned(), after));
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            it => value.push(it),
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const CLIENT: &str = "203.0.113.9";

    #[test]
    fn who_is_no_trusted_proxy_is_not_believed() {
        for (name, value) in [("x-forwarded-for", CLIENT), ("forwarded", "for=203.0.113.9")] {
            let found = proxies().client(ip("192.0.2.7"), &headers(&[(name, value)]));
            assert_eq!(found, Ok(ip("192.0.2.7")), "{name}");
        }
        let mapped = Proxies::default().client(ip("::ffff:192.0.2.7"), &HeaderMap::new());
        assert_eq!(mapped, Ok(ip("192.0.2.7")));
    }

    /// A proxy that nobody has named in the configuration is noticed.
    #[test]
    fn whose_headers_are_disregarded() {
        for name in ["x-forwarded-for", "forwarded"] {
            let says = headers(&[(name, "for=203.0.113.9")]);
            assert!(proxies().disregards(ip("192.0.2.7"), &says), "{name}");
            assert!(!proxies().disregards(ip("10.0.0.2"), &says), "{name}");
        }
        assert!(!proxies().disregards(ip("192.0.2.7"), &HeaderMap::new()));
    }

    #[test]
    fn the_last_entry_that_is_no_trusted_proxys_is_the_clients() {
        let cases = [
            ("203.0.113.9", Some(CLIENT)),
            ("203.0.113.9:4711", Some(CLIENT)),
            ("::ffff:203.0.113.9", Some(CLIENT)),
            ("10.9.9.9, 203.0.113.9", Some(CLIENT)),
            ("10.9.9.9, 203.0.113.9, 10.0.0.2,10.0.0.3", Some(CLIENT)),
            // Whatever stands before it.
            ("unknown, <script>, 203.0.113.9", Some(CLIENT)),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:80", Some("2001:db8::1")),
            ("10.0.0.3, 10.0.0.2", Some("10.0.0.3")),
            ("", None),
            ("203.0.113.9,", None),
            ("203.0.113.9, unknown", None),
            ("203.0.113.9, unknown, 10.0.0.2", None),
            ("203.0.113.09", None),
            ("203.0.113.9:99999", None),
            ("fe80::1%eth0", None),
            ("[fe80::1%1]:80", None),
            ("203.0.113.9;10.0.0.1", None),
            ("for=203.0.113.9", None),
        ];
        for (value, expected) in cases {
            let found = proxies().client(ip("10.0.0.1"), &headers(&[("x-forwarded-for", value)]));
            assert_eq!(found.ok(), expected.map(ip), "{value}");
        }
    }

    #[test]
    fn forwarded_is_read_as_its_grammar_says() {
        let cases = [
            ("for=203.0.113.9", Some(CLIENT)),
            ("For=203.0.113.9;proto=https;by=10.0.0.1", Some(CLIENT)),
            ("for=10.9.9.9, for=203.0.113.9;host=\"a, for=10.9.9.9\"", Some(CLIENT)),
            ("for=203.0.113.9,for=10.0.0.3", Some(CLIENT)),
            ("for=_hidden, for=203.0.113.9", Some(CLIENT)),
            ("for=\"203.0.113.9:80\"", Some(CLIENT)),
            ("for=\"[2001:db8::1]:80\"", Some("2001:db8::1")),
            ("for=\"[2001:db8::1]\"", Some("2001:db8::1")),
            ("for=\"2001:db8::1\"", None),
            ("for=unknown", None),
            ("for=_hidden", None),
            ("proto=https", None),
            ("for=203.0.113.9;for=10.0.0.1", None),
            ("for=203.0.113.9;", None),
            ("for=203.0.113.9,", None),
            ("for = 203.0.113.9", None),
            ("for=\"203.0.113.9", None),
            // What a client has begun would swallow what the proxy says.
            ("for=\"10.9.9.9, for=203.0.113.9", None),
            ("203.0.113.9", None),
            ("", None),
        ];
        for (value, expected) in cases {
            let found = proxies().client(ip("10.0.0.1"), &headers(&[("forwarded", value)]));
            assert_eq!(found.ok(), expected.map(ip), "{value}");
        }
    }

    #[test]
    fn lines_are_one_list_and_two_headers_must_agree() {
        let two = headers(&[("x-forwarded-for", "10.9.9.9"), ("x-forwarded-for", CLIENT)]);
        assert_eq!(proxies().client(ip("10.0.0.1"), &two), Ok(ip(CLIENT)));
        for (told, agrees) in [("for=203.0.113.9", true), ("for=203.0.113.8", false)] {
            let both = headers(&[("x-forwarded-for", CLIENT), ("forwarded", told)]);
            assert_eq!(proxies().client(ip("10.0.0.1"), &both).is_ok(), agrees, "{told}");
        }
        let none = proxies().client(ip("10.0.0.1"), &HeaderMap::new());
        assert_eq!(none, Ok(ip("10.0.0.1")));
        let long = vec![CLIENT; 65].join(",");
        let long = proxies().client(ip("10.0.0.1"), &headers(&[("x-forwarded-for", &long)]));
        assert!(long.is_err());
    }

    proptest! {
        /// Whatever a client sends, what the proxy adds behind it decides, or the request is refused.
        #[test]
        fn no_client_can_say_where_it_is(claimed in "[ -~]{0,40}", told in "[ -~]{0,40}") {
            let value = format!("{claimed}, {CLIENT}");
            let told = format!("{told}, for={CLIENT}");
            for sent in [("x-forwarded-for", &value), ("forwarded", &told)] {
                let found = proxies().client(ip("10.0.0.1"), &headers(&[(sent.0, sent.1)]));
                prop_assert!(found.is_err() || found == Ok(ip(CLIENT)), "{:?} {:?}", sent, found);
            }
        }
    }

    fn proxies() -> Proxies {
        Proxies { trusted: vec!["10.0.0.0/29".parse().unwrap()] }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }
}
