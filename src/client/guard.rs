//! Which addresses are on the public internet: the guard against requests that a stranger's URL would turn inwards.
//!
//! The IANA registries of special-purpose addresses (RFC 6890 and its successors), read strictly: what embeds
//! another address (mapped, translated, 6to4, Teredo) is refused whole, for the address inside may be private.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 blocks that are no place on the public internet: network and prefix length in bits.
const SPECIAL_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // shared by carriers
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local, metadata services of clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // IETF assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // the former 6to4 relay
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(168, 63, 129, 16), 32), // the host's own agent, in Azure
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved, broadcast
];

/// IPv6 blocks inside 2000::/3 that are no place on the public internet. Everything outside 2000::/3 is refused
/// anyway: ::, ::1, ::ffff:0:0/96, 64:ff9b::/96, fc00::/7, fe80::/10, ff00::/8.
const SPECIAL_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // IETF assignments, Teredo and benchmarks among them
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Whether `address` is globally routable unicast, hence no machine of the operator's own network.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !SPECIAL_V4.iter().any(|(network, bits)| same_prefix_v4(v4, *network, *bits)),
        IpAddr::V6(v6) => {
            let global = same_prefix_v6(v6, Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
            global && !SPECIAL_V6.iter().any(|(network, bits)| same_prefix_v6(v6, *network, *bits))
        }
    }
}

fn same_prefix_v4(a: Ipv4Addr, b: Ipv4Addr, bits: u32) -> bool {
    (a.to_bits() ^ b.to_bits()).leading_zeros() >= bits
}

fn same_prefix_v6(a: Ipv6Addr, b: Ipv6Addr, bits: u32) -> bool {
    (a.to_bits() ^ b.to_bits()).leading_zeros() >= bits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(addresses: &[&str], expected: bool) {
        for address in addresses {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn refuses_every_special_block_from_its_first_to_its_last_address() {
        check(&["0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255"], false);
        check(&["100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255"], false);
        check(&["169.254.0.0", "169.254.169.254", "169.254.255.255"], false);
        check(&["172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.255"], false);
        check(&["192.0.2.0", "192.0.2.255", "192.88.99.1", "192.168.0.0", "192.168.255.255"], false);
        check(&["198.18.0.0", "198.19.255.255", "198.51.100.0", "198.51.100.255"], false);
        check(&["203.0.113.0", "203.0.113.255", "168.63.129.16"], false);
        check(&["224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255"], false);
        check(&["::", "::1", "fc00::", "fdff:ffff::1", "fe80::1", "febf::1", "fec0::1"], false);
        check(&["ff00::", "ff02::1", "2001:db8::1", "2001:db8:ffff::1", "3fff::1", "100::1"], false);
        check(&["5f00::1", "4000::1"], false);
    }

    #[test]
    fn refuses_what_embeds_another_address() {
        check(&["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1"], false);
        check(&["64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1"], false);
        check(&["2002:7f00:1::", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"], false);
    }

    #[test]
    fn lets_the_neighbours_of_special_blocks_pass() {
        check(&["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0"], true);
        check(&["126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0"], true);
        check(&["172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255"], true);
        check(&["192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0"], true);
        check(&["203.0.112.255", "203.0.114.0", "223.255.255.255", "8.8.8.8"], true);
        check(&["2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700::1111", "3ffe::1"], true);
    }
}
