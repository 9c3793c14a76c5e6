//! How many connections are served for each address and each agency. Knows no connection, and only
//! addresses that are served at present: so it holds no more of them than there are connections.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use mio::Token;

use crate::limits::AddressLimits;

pub(super) struct Addresses {
    limits: AddressLimits,
    each_max: usize,
    served: HashMap<Origin, usize>,
    /// What each connection counts for. One that counts for nothing is not here.
    origins: HashMap<Token, Origin>,
}

/// Where a connection comes from, as far as limits are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    /// An IPv4 address, or the first address of an IPv6 network.
    Address(IpAddr),
    /// The agency that a certificate names.
    Agency(u32),
}

impl Addresses {
    /// For a server of `connections_max` in all.
    pub(super) fn new(limits: AddressLimits, connections_max: usize) -> Self {
        let each_max = limits.each_max(connections_max);
        Self { limits, each_max, served: HashMap::new(), origins: HashMap::new() }
    }

    /// Whether one more connection may come from there.
    pub(super) fn has_place(&self, address: IpAddr) -> bool {
        self.origin_of(address).is_none_or(|origin| self.has_place_for(origin))
    }

    /// Counts a connection for its address.
    pub(super) fn enter(&mut self, connection: Token, address: IpAddr) {
        if let Some(origin) = self.origin_of(address) {
            self.count(connection, origin);
        }
    }

    /// Counts a connection for an agency, and no longer for its address. False, and nothing changes:
    /// the agency has all the connections that it may have.
    pub(super) fn move_to_agency(&mut self, connection: Token, agency: u32) -> bool {
        let origin = Origin::Agency(agency);
        if !self.has_place_for(origin) {
            return false;
        }
        self.leave(connection);
        self.count(connection, origin);
        true
    }

    /// Counts a connection no longer.
    pub(super) fn leave(&mut self, connection: Token) {
        let Some(origin) = self.origins.remove(&connection) else { return };
        let served = self.served.get_mut(&origin).expect("each origin of a connection is counted");
        *served -= 1;
        if *served == 0 {
            self.served.remove(&origin);
        }
    }

    fn count(&mut self, connection: Token, origin: Origin) {
        let before = self.origins.insert(connection, origin);
        assert_eq!(before, None, "a connection counts for one origin");
        *self.served.entry(origin).or_default() += 1;
    }

    fn has_place_for(&self, origin: Origin) -> bool {
        self.served.get(&origin).is_none_or(|served| *served < self.each_max)
    }

    /// What an address counts as; `None` where it does not count.
    fn origin_of(&self, address: IpAddr) -> Option<Origin> {
        // Sockets that take both families show IPv4 addresses mapped.
        let address = address.to_canonical();
        if address.is_loopback() && !self.limits.count_loopback {
            return None;
        }
        Some(Origin::Address(match address {
            IpAddr::V6(v6) if !is_translated(v6) => {
                let host_bits = 128_u32.saturating_sub(self.limits.ipv6_prefix_length.into());
                let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(v6.to_bits() & mask))
            }
            address => address,
        }))
    }
}

/// Whether this is an IPv4 address behind a NAT64 (RFC 6052: 64:ff9b::/96), of which each is a peer
/// of its own.
fn is_translated(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0x64, 0xff9b, 0, 0, 0, 0, _, _])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(max: usize, prefix: u8) -> Addresses {
        let limits = AddressLimits {
            max: Some(max),
            ipv6_prefix_length: prefix,
            ..AddressLimits::default()
        };
        Addresses::new(limits, 100)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_own_places() {
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(ip);
        let mut addresses = addresses(2, 64);
        addresses.enter(Token(0), one);
        assert!(addresses.has_place(one));
        addresses.enter(Token(1), one);
        assert!(!addresses.has_place(one) && addresses.has_place(other));
        addresses.leave(Token(0));
        assert!(addresses.has_place(one));
    }

    #[test]
    fn addresses_count_as_one_by_their_network() {
        // One address, another, under which prefix they count as one.
        for (one, other, prefix, same) in [
            ("192.0.2.1", "192.0.2.1", 64, true),
            ("192.0.2.1", "192.0.2.2", 64, false),
            ("192.0.2.1", "192.0.2.2", 1, false),
            ("::ffff:192.0.2.1", "192.0.2.1", 64, true),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", 64, false),
            ("2001:db8::1", "2001:db8::2", 64, true),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", 64, true),
            ("2001:db8::1", "2001:db8:0:1::1", 64, false),
            ("2001:db8::1", "2001:db8::2", 128, false),
            ("2001:db8::1", "2001:db8::1", 128, true),
            ("2001:db8::1", "2001:db8:0:ff::1", 56, true),
            ("2001:db8::1", "2001:db8:0:100::1", 56, false),
            ("2001:db8::1", "2001:db8:ffff::1", 48, false),
            ("2001:db8::1", "2001:db8::8000:0:0:1", 65, false),
            ("2001:db8::1", "7fff::1", 1, true),
            ("2001:db8::1", "8000::1", 1, false),
            ("64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2", 64, false),
            ("64:ff9b::192.0.2.1", "64:ff9b::192.0.2.1", 64, true),
            ("64:ff9b::192.0.2.1", "192.0.2.1", 64, false),
            ("64:ff9b::1:c000:201", "64:ff9b::1:c000:202", 64, true),
            ("64:ff9b:1::1", "64:ff9b:1::2", 64, true),
            // Neither is loopback, though both begin with its zeros.
            ("::2", "::3", 64, true),
        ] {
            let mut addresses = addresses(1, prefix);
            addresses.enter(Token(0), ip(one));
            assert_eq!(!addresses.has_place(ip(other)), same, "{one} {other} /{prefix}");
            assert!(!addresses.has_place(ip(one)), "{one} /{prefix}");
        }
    }

    #[test]
    fn this_machine_does_not_count_unless_a_test_wants_it_to() {
        for loopback in ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.2"] {
            for counts in [false, true] {
                let mut addresses = addresses(1, 64);
                addresses.limits.count_loopback = counts;
                addresses.enter(Token(0), ip(loopback));
                assert_eq!(addresses.has_place(ip(loopback)), !counts, "{loopback}");
                addresses.leave(Token(0));
                assert!(addresses.has_place(ip(loopback)), "{loopback}");
            }
        }
    }

    #[test]
    fn an_agency_has_its_own_places_and_gives_back_that_of_its_address() {
        let (nat, other) = (ip("192.0.2.1"), ip("2001:db8::1"));
        let mut addresses = addresses(2, 64);
        for (connection, agency) in [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3)] {
            let place = addresses.has_place(nat);
            assert!(place, "the place of connection {connection} went to an agency");
            addresses.enter(Token(connection), nat);
            assert!(addresses.move_to_agency(Token(connection), agency));
        }
        // A third of agency 1 still counts for its address, until it leaves.
        addresses.enter(Token(5), other);
        assert!(!addresses.move_to_agency(Token(5), 1));
        addresses.enter(Token(6), other);
        assert!(!addresses.has_place(other));
        addresses.leave(Token(5));
        assert!(addresses.has_place(other));
        addresses.leave(Token(0));
        assert!(addresses.move_to_agency(Token(6), 1));
        // This machine does not count, and its agencies do.
        addresses.enter(Token(7), ip("127.0.0.1"));
        assert!(!addresses.move_to_agency(Token(7), 1));
        assert!(addresses.move_to_agency(Token(7), 3));
        assert!(!addresses.move_to_agency(Token(8), 3));
    }

    #[test]
    fn nothing_is_kept_of_what_left() {
        let mut addresses = addresses(1, 64);
        for last in 0..=255 {
            let token = Token(usize::from(last));
            addresses.enter(token, IpAddr::from([192, 0, 2, last]));
            if last % 2 == 0 {
                assert!(addresses.move_to_agency(token, last.into()));
            }
            addresses.leave(token);
            addresses.leave(token);
        }
        assert_eq!((addresses.served.len(), addresses.origins.len()), (0, 0));
    }
}
