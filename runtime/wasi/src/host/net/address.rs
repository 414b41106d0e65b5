//! Addresses of sockets, and which of them make sense.
//!
//! Invariant: an address of IPv4 within IPv6 is refused wherever a guest names one, so that each address has one form
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/proposals/sockets/wit/tcp.wit)).
//!
//! Does not know: what a guest may reach.

use super::error::NetError;
use std::net::{IpAddr, SocketAddr};

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6, without IPv4 inside.
    V6,
}

impl Family {
    /// The host's number.
    pub(super) fn domain(self) -> rustix::net::AddressFamily {
        match self {
            Family::V4 => rustix::net::AddressFamily::INET,
            Family::V6 => rustix::net::AddressFamily::INET6,
        }
    }

    fn check(self, address: SocketAddr) -> Result<(), NetError> {
        let is_mapped = matches!(address.ip(), IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
        if address.is_ipv4() == (self == Family::V4) && !is_mapped { Ok(()) } else { Err(NetError::ARGUMENT) }
    }

    /// An address to bind to.
    pub(super) fn check_local(self, address: SocketAddr) -> Result<(), NetError> {
        self.check(address)?;
        if is_unicast(address.ip()) { Ok(()) } else { Err(NetError::ARGUMENT) }
    }

    /// An address to send to, of one or of many.
    pub(super) fn check_remote(self, address: SocketAddr) -> Result<(), NetError> {
        self.check(address)?;
        if address.ip().is_unspecified() || address.port() == 0 { Err(NetError::ARGUMENT) } else { Ok(()) }
    }

    /// An address to connect to.
    pub(super) fn check_peer(self, address: SocketAddr) -> Result<(), NetError> {
        self.check_remote(address)?;
        if is_unicast(address.ip()) { Ok(()) } else { Err(NetError::ARGUMENT) }
    }
}

/// Whether an address is of one receiver.
fn is_unicast(address: IpAddr) -> bool {
    !address.is_multicast() && !matches!(address, IpAddr::V4(ip) if ip.is_broadcast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_by_use() {
        /// Whether an address is one to bind, to send to, to connect to.
        fn check(family: Family, address: &str, expected: [bool; 3]) {
            let address = address.parse().unwrap();
            let uses = [family.check_local(address), family.check_remote(address), family.check_peer(address)];
            assert_eq!(uses.map(|result| result.is_ok()), expected, "{address}");
        }
        check(Family::V4, "127.0.0.1:80", [true, true, true]);
        check(Family::V4, "127.0.0.1:0", [true, false, false]);
        check(Family::V4, "0.0.0.0:80", [true, false, false]);
        check(Family::V4, "224.0.0.1:80", [false, true, false]);
        check(Family::V4, "255.255.255.255:80", [false, true, false]);
        check(Family::V4, "[::1]:80", [false, false, false]);
        check(Family::V6, "[::1]:80", [true, true, true]);
        check(Family::V6, "[::]:80", [true, false, false]);
        check(Family::V6, "[ff02::1]:80", [false, true, false]);
        check(Family::V6, "[::ffff:127.0.0.1]:80", [false, false, false]);
        check(Family::V6, "127.0.0.1:80", [false, false, false]);
    }
}
