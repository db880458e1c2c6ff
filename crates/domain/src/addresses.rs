//! From which addresses something may be used.
//!
//! A list of networks, in one canonical form: IPv4 in its own notation even where it is written as
//! IPv6 (RFC 4291 section 2.5.5.2), no bits behind the prefix, sorted, and none inside another. A
//! list of none lets everybody in: what has no list is not limited by addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

use crate::{App, Gateway, Workspace};

/// The networks from which calls are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses(Arc<[IpNet]>);

/// One network, in canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network(IpNet);

/// Why a text is no network, in words for whoever has written it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {why}")]
pub struct InvalidNetwork {
    text: String,
    why: String,
}

/// There are too many networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a list of addresses holds {} networks at most", Addresses::MOST)]
pub struct TooManyNetworks;

/// What a caller's address is not on the list of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressList {
    Workspace,
    App,
    Gateway,
}

/// The longest network that can be written, with room for an address in dotted form inside.
const LONGEST_TEXT: usize = 64;

/// The canonical form of an address: IPv4 where it is one.
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Whether an address is on the lists that everything of an app depends on, wherever it calls.
///
/// # Errors
/// With the first list that it is not on.
pub fn check_caller(workspace: &Workspace, app: &App, address: IpAddr) -> Result<(), AddressList> {
    let lists =
        [(&workspace.addresses, AddressList::Workspace), (&app.addresses, AddressList::App)];
    let missing = lists.into_iter().find(|(list, _)| !list.admit(address));
    missing.map_or(Ok(()), |(_, listing)| Err(listing))
}

/// Whether an address is on the list of a gateway.
///
/// # Errors
/// Where it is not.
pub fn check_gateway(gateway: &Gateway, address: IpAddr) -> Result<(), AddressList> {
    if gateway.addresses.admit(address) { Ok(()) } else { Err(AddressList::Gateway) }
}

impl Addresses {
    /// How many networks a list holds at most: each is looked at for each call.
    pub const MOST: usize = 256;

    /// The list of these.
    ///
    /// # Errors
    /// Where there are more than a list holds.
    pub fn new(networks: impl IntoIterator<Item = Network>) -> Result<Self, TooManyNetworks> {
        let given: Vec<IpNet> = networks.into_iter().take(Self::MOST + 1).map(|it| it.0).collect();
        if Self::MOST < given.len() {
            return Err(TooManyNetworks);
        }
        let mut networks: Vec<IpNet> = Vec::new();
        for network in &given {
            let inside = |it: &&IpNet| *it != network && it.contains(network);
            if !given.iter().any(|it| inside(&it)) && !networks.contains(network) {
                networks.push(*network);
            }
        }
        networks.sort_unstable();
        Ok(Self(networks.into()))
    }

    /// Whether there is no list, so that everybody is let in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this address is let in.
    pub fn admit(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        self.0.is_empty() || self.0.iter().any(|it| it.contains(&address))
    }

    /// In canonical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Network> {
        self.0.iter().map(|it| Network(*it))
    }
}

impl AddressList {
    /// The noun, as in URLs and commands.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::App => "app",
            Self::Gateway => "gateway",
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    /// `192.0.2.0/24`, `2001:db8::/32`, or one address.
    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let refused = |why: &str| {
            let text = text.chars().take(LONGEST_TEXT).collect();
            InvalidNetwork { text, why: why.to_owned() }
        };
        if LONGEST_TEXT < text.len() {
            return Err(refused("is too long for a network"));
        }
        let none = || refused("is no network: write 192.0.2.0/24 or 2001:db8::/32");
        let written = parse(text).ok_or_else(none)?;
        if written.trunc() != written {
            let meant = written.trunc();
            return Err(refused(&format!("has bits behind its prefix: is `{meant}` meant?")));
        }
        Ok(Self(unmapped(written)))
    }
}

/// By the standard library, which takes no zeros in front: `010` is eight to some.
fn parse(text: &str) -> Option<IpNet> {
    let Some((address, prefix)) = text.split_once('/') else {
        return text.parse::<IpAddr>().ok().map(IpNet::from);
    };
    let is_plain = prefix.bytes().all(|it| it.is_ascii_digit());
    let is_padded = 1 < prefix.len() && prefix.starts_with('0');
    let prefix = prefix.parse().ok().filter(|_| is_plain && !is_padded)?;
    IpNet::new(address.parse().ok()?, prefix).ok()
}

/// A network of IPv4 addresses that are written as IPv6 is one of IPv4.
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(six) = network else { return network };
    let four = six.network().to_ipv4_mapped();
    let prefix = six.prefix_len().checked_sub(96);
    let four = four.zip(prefix).and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    four.map_or(network, IpNet::V4)
}

impl From<Network> for IpNet {
    fn from(network: Network) -> Self {
        network.0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn networks_are_read_strictly_and_written_in_one_way() {
        let cases = [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("192.0.2.7", Some("192.0.2.7/32")),
            ("2001:DB8::/32", Some("2001:db8::/32")),
            ("2001:db8::1", Some("2001:db8::1/128")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("::ffff:192.0.2.7", Some("192.0.2.7/32")),
            ("::ffff:0:0/96", Some("0.0.0.0/0")),
            ("::/0", Some("::/0")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("10.0.0.1/8", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/08", None),
            ("10.0.0.0/+8", None),
            ("10.0.0.0/8/8", None),
            ("10.0.0/8", None),
            ("010.0.0.0/8", None),
            ("10.0.0.0/", None),
            ("10.0.0.0/-1", None),
            (" 10.0.0.0/8", None),
            ("fe80::1%eth0", None),
            ("[::1]", None),
            ("localhost", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let read = text.parse::<Network>().map(|it| it.to_string());
            assert_eq!(read.as_deref().ok(), expected, "{text}");
        }
        let long = "1".repeat(1_000);
        assert!(long.parse::<Network>().unwrap_err().to_string().len() < 120);
        let said = "10.1.2.3/8".parse::<Network>().unwrap_err().to_string();
        assert_eq!(said, "`10.1.2.3/8` has bits behind its prefix: is `10.0.0.0/8` meant?");
    }

    #[test]
    fn a_list_is_sorted_and_holds_nothing_twice() {
        let list = list(&["2001:db8::/32", "10.1.0.0/16", "192.0.2.7", "10.0.0.0/8", "192.0.2.7"]);
        let texts: Vec<String> = list.iter().map(|it| it.to_string()).collect();
        assert_eq!(texts, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]);
        let many = (0..=256_u32).map(|it| Network(IpNet::from(IpAddr::from(Ipv4Addr::from(it)))));
        assert_eq!(Addresses::new(many), Err(TooManyNetworks));
    }

    #[test]
    fn who_is_let_in() {
        let cases = [
            (&[] as &[&str], "203.0.113.9", true),
            (&["10.0.0.0/8"], "10.255.0.1", true),
            (&["10.0.0.0/8"], "::ffff:10.255.0.1", true),
            (&["10.0.0.0/8"], "11.0.0.1", false),
            (&["10.0.0.0/8"], "::1", false),
            // A mapped address is one of IPv4, and no network of IPv6 holds it.
            (&["::/0"], "10.0.0.1", false),
            (&["::/0"], "::ffff:10.0.0.1", false),
            (&["::/0", "0.0.0.0/0"], "10.0.0.1", true),
            (&["2001:db8::/32"], "2001:db8:1::1", true),
        ];
        for (networks, address, expected) in cases {
            let admitted = list(networks).admit(address.parse().unwrap());
            assert_eq!(admitted, expected, "{networks:?} {address}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_as_the_same(given in networks(), address in address()) {
            let list = Addresses::new(given.clone()).unwrap();
            let texts: Vec<String> = list.iter().map(|it| it.to_string()).collect();
            let again = Addresses::new(texts.iter().map(|it| it.parse().unwrap())).unwrap();
            prop_assert_eq!(&again, &list);
            let any = given.is_empty() || given.iter().any(|it| it.0.contains(&canonical(address)));
            prop_assert_eq!(list.admit(address), any);
        }
    }

    fn list(texts: &[&str]) -> Addresses {
        Addresses::new(texts.iter().map(|it| it.parse().unwrap())).unwrap()
    }

    /// Few bits, so that they meet.
    fn address() -> impl Strategy<Value = IpAddr> {
        let four = (0..4_u32).prop_map(|it| IpAddr::from(Ipv4Addr::from(it << 30)));
        let six = (0..4_u128).prop_map(|it| IpAddr::from(Ipv6Addr::from(it << 126)));
        let mapped =
            (0..4_u32).prop_map(|it| IpAddr::from(Ipv4Addr::from(it << 30).to_ipv6_mapped()));
        prop_oneof![four, six, mapped]
    }

    fn networks() -> impl Strategy<Value = Vec<Network>> {
        let network = (address(), 0..4_u8).prop_map(|(address, prefix)| {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let prefix = if prefix == 3 { most } else { prefix };
            Network(unmapped(IpNet::new(address, prefix).unwrap().trunc()))
        });
        prop::collection::vec(network, 0..5)
    }
}
