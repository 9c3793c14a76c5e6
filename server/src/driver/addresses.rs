//! How many connections are served from each address. Knows no connection, and only addresses that
//! are served at present: so it holds no more of them than there are connections.

use std::collections::HashMap;
use std::net::IpAddr;

pub(super) struct Addresses {
    served: HashMap<IpAddr, usize>,
    each_max: usize,
}

impl Addresses {
    pub(super) fn new(each_max: usize) -> Self {
        Self { served: HashMap::new(), each_max }
    }

    /// Whether one more may come from there.
    pub(super) fn has_place(&self, address: IpAddr) -> bool {
        self.served.get(&address.to_canonical()).is_none_or(|served| *served < self.each_max)
    }

    pub(super) fn enter(&mut self, address: IpAddr) {
        *self.served.entry(address.to_canonical()).or_default() += 1;
    }

    /// For each that entered, once.
    pub(super) fn leave(&mut self, address: IpAddr) {
        let address = address.to_canonical();
        let served = self.served.get_mut(&address).expect("who leaves has entered");
        *served -= 1;
        if *served == 0 {
            self.served.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_places() {
        let [one, other] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        let mut addresses = Addresses::new(2);
        addresses.enter(one);
        assert!(addresses.has_place(one));
        addresses.enter(one);
        assert!(!addresses.has_place(one) && addresses.has_place(other));
        addresses.leave(one);
        assert!(addresses.has_place(one));
    }

    #[test]
    fn an_address_is_the_same_in_both_families() {
        let mut addresses = Addresses::new(1);
        addresses.enter("::ffff:192.0.2.1".parse().unwrap());
        assert!(!addresses.has_place("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn an_address_that_left_is_not_kept() {
        let mut addresses = Addresses::new(1);
        for last in 0..=255 {
            let address = IpAddr::from([192, 0, 2, last]);
            addresses.enter(address);
            addresses.leave(address);
        }
        assert_eq!(addresses.served.len(), 0);
    }
}
