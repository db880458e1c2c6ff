//! Which addresses a connection may go to.
//!
//! Version 6 is judged by what is permitted (global unicast less its special parts), version 4 by
//! what is not. An address that carries another one inside is judged by the inner one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::guard::Guard;

impl Guard {
    /// # Errors
    ///
    /// The rule that refuses the address, as a noun phrase: `a private address`.
    pub fn check(&self, address: IpAddr) -> Result<(), &'static str> {
        let address = address.to_canonical();
        if self.allow_loopback && address.is_loopback() {
            return Ok(());
        }
        match judge(address) {
            Verdict::Public => Ok(()),
            Verdict::Never(rule) => Err(rule),
            Verdict::Internal(rule) => {
                let is_allowed = self.allowed.iter().any(|net| net.contains(&address));
                if is_allowed { Ok(()) } else { Err(rule) }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Public,
    /// Closed unless the operator has opened the network.
    Internal(&'static str),
    /// No setting opens it.
    Never(&'static str),
}

fn judge(address: IpAddr) -> Verdict {
    match address {
        IpAddr::V4(v4) => judge_v4(v4),
        IpAddr::V6(v6) => judge_v6(v6),
    }
}

fn judge_v4(address: Ipv4Addr) -> Verdict {
    use Verdict::{Internal, Never, Public};
    if METADATA_V4.contains(&address) {
        return Never(METADATA);
    }
    match address.octets() {
        [0, ..] => Never("an unspecified address"),
        [127, ..] => Never("a loopback address"),
        [169, 254, ..] => Never("a link-local address"),
        [192, 0, 0, _] | [192, 88, 99, _] => Never("an address reserved for protocols"),
        [224..=239, ..] => Never("a multicast address"),
        [255, 255, 255, 255] => Never("the broadcast address"),
        [240..=255, ..] => Never("a reserved address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Internal("a private address"),
        [100, 64..=127, ..] => Internal("a carrier-grade NAT address"),
        [198, 18..=19, ..] => Internal("a benchmarking address"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => {
            Internal("a documentation address")
        }
        _ => Public,
    }
}

fn judge_v6(address: Ipv6Addr) -> Verdict {
    use Verdict::{Internal, Never, Public};
    if METADATA_V6.contains(&address) {
        return Never(METADATA);
    }
    if address.is_unspecified() {
        return Never("an unspecified address");
    }
    if address.is_loopback() {
        return Never("a loopback address");
    }
    let [a, b, c, d, e, f, g, h] = address.segments();
    match [a, b, c, d, e, f] {
        [0x0064, 0xff9b, 0, 0, 0, 0] => {
            let [[a, b], [c, d]] = [g.to_be_bytes(), h.to_be_bytes()];
            match judge_v4(Ipv4Addr::new(a, b, c, d)) {
                Public => Public,
                Internal(rule) | Never(rule) => Never(rule),
            }
        }
        [0x0064, 0xff9b, 1, ..] => Never("a local NAT64 address"),
        [0x2001, 0x0000..=0x01ff, ..] => Never("an address reserved for protocols"),
        [0x2001, 0x0db8, ..] | [0x3fff, 0x0000..=0x0fff, ..] => Internal("a documentation address"),
        [0x2002, ..] => Never("a 6to4 address"),
        [0x2000..=0x3fff, ..] => Public,
        [0xfc00..=0xfdff, ..] => Internal("a private address"),
        [0xfe80..=0xfebf, ..] => Never("a link-local address"),
        [0xff00..=0xffff, ..] => Never("a multicast address"),
        _ => Never("a reserved address"),
    }
}

const METADATA: &str = "a cloud metadata address";

/// AWS, GCP and Azure; AWS ECS and EKS; Alibaba; Oracle; the Azure host, whose address is a
/// public one.
const METADATA_V4: [Ipv4Addr; 6] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];

/// AWS, AWS EKS, GCP, Scaleway.
const METADATA_V6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254),
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0023),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254),
    Ipv6Addr::new(0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strict() -> Guard {
        Guard { allow_loopback: false, allowed: Vec::new() }
    }

    /// As open as configuration can make it.
    fn open() -> Guard {
        let all = ["0.0.0.0/0", "::/0"];
        Guard { allow_loopback: true, allowed: all.map(|net| net.parse().unwrap()).to_vec() }
    }

    #[test]
    fn public_addresses_pass() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001:800::200e",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(strict().check(address.parse().unwrap()), Ok(()), "{address}");
        }
    }

    #[test]
    fn h103_h104_h105_special_addresses_are_blocked_and_most_stay_so_whatever_is_configured() {
        const NEVER: bool = false;
        const OPENS: bool = true;
        for (address, opens) in [
            ("0.0.0.0", NEVER),
            ("0.1.2.3", NEVER),
            ("127.0.0.1", OPENS),
            ("127.255.255.254", OPENS),
            ("10.0.0.1", OPENS),
            ("172.16.0.1", OPENS),
            ("172.31.255.255", OPENS),
            ("192.168.1.1", OPENS),
            ("100.64.0.1", OPENS),
            ("100.127.255.255", OPENS),
            ("169.254.1.1", NEVER),
            ("169.254.169.254", NEVER),
            ("169.254.170.2", NEVER),
            ("100.100.100.200", NEVER),
            ("168.63.129.16", NEVER),
            ("192.0.0.192", NEVER),
            ("192.0.0.8", NEVER),
            ("192.0.2.1", OPENS),
            ("192.88.99.1", NEVER),
            ("198.18.0.1", OPENS),
            ("198.51.100.7", OPENS),
            ("203.0.113.7", OPENS),
            ("224.0.0.1", NEVER),
            ("239.255.255.255", NEVER),
            ("240.0.0.1", NEVER),
            ("255.255.255.255", NEVER),
            ("::", NEVER),
            ("::1", OPENS),
            ("::127.0.0.1", NEVER),
            ("::10.0.0.1", NEVER),
            ("::8.8.8.8", NEVER),
            ("::ffff:10.0.0.1", OPENS),
            ("::ffff:127.0.0.1", OPENS),
            ("::ffff:169.254.169.254", NEVER),
            ("64:ff9b::10.0.0.1", NEVER),
            ("64:ff9b::127.0.0.1", NEVER),
            ("64:ff9b::169.254.169.254", NEVER),
            ("64:ff9b:1::10.0.0.1", NEVER),
            ("64:ff9b:1::8.8.8.8", NEVER),
            ("100::1", NEVER),
            ("2001::1", NEVER),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", NEVER),
            ("2001:2::1", NEVER),
            ("2001:db8::1", OPENS),
            ("2002:0a00:0001::1", NEVER),
            ("2002:7f00:0001::", NEVER),
            ("3fff::1", OPENS),
            ("5f00::1", NEVER),
            ("fc00::1", OPENS),
            ("fd12:3456:789a::1", OPENS),
            ("fd00:ec2::254", NEVER),
            ("fd20:ce::254", NEVER),
            ("fe80::1", NEVER),
            ("fec0::1", NEVER),
            ("ff02::1", NEVER),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert!(strict().check(address).is_err(), "{address}");
            assert_eq!(open().check(address).is_ok(), opens, "{address}");
        }
    }

    #[test]
    fn an_opened_network_opens_no_other() {
        let guard = Guard { allow_loopback: false, allowed: vec!["10.1.0.0/16".parse().unwrap()] };
        for (address, passes) in
            [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("10.2.0.1", false), ("::1", false)]
        {
            assert_eq!(guard.check(address.parse().unwrap()).is_ok(), passes, "{address}");
        }
    }

    proptest! {
        #[test]
        fn an_address_inside_another_opens_nothing_more(bits: u32) {
            let inner = Ipv4Addr::from_bits(bits);
            let plain = strict().check(IpAddr::V4(inner)).is_ok();
            let mapped = inner.to_ipv6_mapped();
            prop_assert_eq!(strict().check(IpAddr::V6(mapped)).is_ok(), plain);
            let [a, b, c, d] = inner.octets();
            let [g, h] = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
            let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, g, h);
            prop_assert_eq!(strict().check(IpAddr::V6(nat64)).is_ok(), plain);
            for wrapped in [
                Ipv6Addr::new(0x2002, g, h, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 0x4136, 0xe378, 0, 0, !g, !h),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, g, h),
            ] {
                prop_assert!(strict().check(IpAddr::V6(wrapped)).is_err(), "{}", wrapped);
            }
        }

        #[test]
        fn whatever_the_standard_library_calls_special_is_blocked(bits: u32, wide: u128) {
            let v4 = Ipv4Addr::from_bits(bits);
            let is_special = v4.is_loopback() || v4.is_private() || v4.is_link_local()
                || v4.is_multicast() || v4.is_broadcast() || v4.is_documentation()
                || v4.is_unspecified();
            prop_assert!(!is_special || strict().check(IpAddr::V4(v4)).is_err());
            let v6 = Ipv6Addr::from_bits(wide);
            let is_special = v6.is_loopback() || v6.is_multicast() || v6.is_unspecified()
                || v6.is_unique_local() || v6.is_unicast_link_local();
            prop_assert!(!is_special || strict().check(IpAddr::V6(v6)).is_err());
        }
    }
}
