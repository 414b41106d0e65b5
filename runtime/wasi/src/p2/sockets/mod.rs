//! `wasi:sockets` ([spec](https://github.com/WebAssembly/WASI/blob/main/proposals/sockets/wit)): the network, its addresses and
//! error codes, lookups of names.
//!
//! Invariant: there is one network, the guest's own; a handle to it permits nothing that the context's does not.
//!
//! Does not know: what is permitted.

pub mod tcp;
pub mod udp;

use super::face::Answer;
use super::io::IoError;
use crate::host::net::{Family, Lookup, NetError};
use crate::host::stream::Pollable;
use crate::{Errno, WasiCtx};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use wattest::Result;
use wattest::component::{ComponentType, Lift, Lower, Resource};

/// `network`.
#[derive(Debug)]
pub struct Network;

/// What a function of a socket returns.
pub type Asked<T> = Answer<T, NetError>;

macro_rules! codes {
    ($($code:ident $(= $($errno:ident)|+)? $(, $own:ident)?;)*) => {
        /// `error-code`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
        #[component(enum)]
        pub enum ErrorCode {
            $(#[allow(clippy::enum_variant_names, reason = "the interface's names")] $code,)*
        }

        impl From<NetError> for ErrorCode {
            fn from(error: NetError) -> ErrorCode {
                match error {
                    $(
                        $(NetError::Host($(Errno::$errno)|+) => ErrorCode::$code,)?
                        $(NetError::$own => ErrorCode::$code,)?
                    )*
                    NetError::Host(_) => ErrorCode::Unknown,
                }
            }
        }
    };
}

codes! {
    Unknown;
    AccessDenied = Acces | Perm | NotCapable;
    NotSupported = NotSup | NoSys | AfNoSupport | ProtoNoSupport | NoProtoOpt;
    InvalidArgument = Inval;
    OutOfMemory = NoMem | NoBufs;
    Timeout = TimedOut;
    ConcurrencyConflict = Already;
    NotInProgress, NotInProgress;
    WouldBlock = Again;
    InvalidState = IsConn | NotConn | DestAddrReq, State;
    NewSocketLimit = Mfile | Nfile;
    AddressNotBindable = AddrNotAvail;
    AddressInUse = AddrInUse;
    RemoteUnreachable = HostUnreach | NetUnreach | NetDown | NetReset;
    ConnectionRefused = ConnRefused;
    ConnectionReset = ConnReset;
    ConnectionAborted = ConnAborted;
    DatagramTooLarge = MsgSize;
    NameUnresolvable, NameUnresolvable;
    TemporaryResolverFailure, ResolverTemporary;
    PermanentResolverFailure, ResolverPermanent;
}

/// The codes that only the network has: a stream's error that is one of them was the network's.
const OF_STREAMS: &[ErrorCode] = &[
    ErrorCode::Timeout,
    ErrorCode::RemoteUnreachable,
    ErrorCode::ConnectionRefused,
    ErrorCode::ConnectionReset,
    ErrorCode::ConnectionAborted,
];

/// `ip-address-family`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
pub enum IpAddressFamily {
    Ipv4,
    Ipv6,
}

impl From<IpAddressFamily> for Family {
    fn from(family: IpAddressFamily) -> Family {
        match family {
            IpAddressFamily::Ipv4 => Family::V4,
            IpAddressFamily::Ipv6 => Family::V6,
        }
    }
}

impl From<Family> for IpAddressFamily {
    fn from(family: Family) -> IpAddressFamily {
        match family {
            Family::V4 => IpAddressFamily::Ipv4,
            Family::V6 => IpAddressFamily::Ipv6,
        }
    }
}

type Ipv4Address = (u8, u8, u8, u8);
type Ipv6Address = (u16, u16, u16, u16, u16, u16, u16, u16);

fn v4(address: std::net::Ipv4Addr) -> Ipv4Address {
    address.octets().into()
}

fn v6(address: std::net::Ipv6Addr) -> Ipv6Address {
    address.segments().into()
}

/// `ip-address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(variant)]
pub enum IpAddress {
    Ipv4(Ipv4Address),
    Ipv6(Ipv6Address),
}

impl From<IpAddr> for IpAddress {
    fn from(address: IpAddr) -> IpAddress {
        match address {
            IpAddr::V4(address) => IpAddress::Ipv4(v4(address)),
            IpAddr::V6(address) => IpAddress::Ipv6(v6(address)),
        }
    }
}

/// `ipv4-socket-address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Ipv4SocketAddress {
    port: u16,
    address: Ipv4Address,
}

/// `ipv6-socket-address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Ipv6SocketAddress {
    port: u16,
    flow_info: u32,
    address: Ipv6Address,
    scope_id: u32,
}

/// `ip-socket-address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub enum IpSocketAddress {
    Ipv4(Ipv4SocketAddress),
    Ipv6(Ipv6SocketAddress),
}

impl From<IpSocketAddress> for SocketAddr {
    fn from(address: IpSocketAddress) -> SocketAddr {
        match address {
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address }) => {
                SocketAddrV4::new(<[u8; 4]>::from(address).into(), port).into()
            }
            IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info, address, scope_id }) => {
                SocketAddrV6::new(<[u16; 8]>::from(address).into(), port, flow_info, scope_id).into()
            }
        }
    }
}

impl From<SocketAddr> for IpSocketAddress {
    fn from(address: SocketAddr) -> IpSocketAddress {
        match address {
            SocketAddr::V4(address) => {
                IpSocketAddress::Ipv4(Ipv4SocketAddress { port: address.port(), address: v4(*address.ip()) })
            }
            SocketAddr::V6(address) => IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: address.port(),
                flow_info: address.flowinfo(),
                address: v6(*address.ip()),
                scope_id: address.scope_id(),
            }),
        }
    }
}

pub fn instance_network(ctx: &mut WasiCtx, (): ()) -> Result<Resource<Network>> {
    ctx.push(Network)
}

pub fn network_error_code(ctx: &mut WasiCtx, (error,): (Resource<IoError>,)) -> Result<Option<ErrorCode>> {
    let error = match ctx.table.get(&error)? {
        IoError::Host(error) => *error,
        #[cfg(feature = "http")]
        IoError::Http(_) => return Ok(None),
    };
    let code = ErrorCode::from(NetError::Host(error));
    Ok(OF_STREAMS.contains(&code).then_some(code))
}

pub fn resolve_addresses(ctx: &mut WasiCtx, (network, name): (Resource<Network>, String)) -> Asked<Resource<Lookup>> {
    ctx.table.get(&network)?;
    let lookup = Lookup::start(&ctx.network, &name)?;
    Ok(ctx.push(lookup)?)
}

pub fn resolve_next_address(ctx: &mut WasiCtx, (this,): (Resource<Lookup>,)) -> Asked<Option<IpAddress>> {
    Ok(ctx.table.get_mut(&this)?.next_address()?.map(IpAddress::from))
}

pub fn subscribe_lookup(ctx: &mut WasiCtx, (this,): (Resource<Lookup>,)) -> Result<Resource<Pollable>> {
    let awaited = ctx.table.get(&this)?.awaited();
    ctx.push(Pollable::Awaited(awaited))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_codes() {
        fn check(error: impl Into<NetError>, expected: ErrorCode) {
            assert_eq!(ErrorCode::from(error.into()), expected);
        }
        check(Errno::Acces, ErrorCode::AccessDenied);
        check(Errno::Again, ErrorCode::WouldBlock);
        check(Errno::Mfile, ErrorCode::NewSocketLimit);
        check(Errno::Io, ErrorCode::Unknown);
        check(NetError::State, ErrorCode::InvalidState);
        check(NetError::NotInProgress, ErrorCode::NotInProgress);
        check(NetError::ResolverPermanent, ErrorCode::PermanentResolverFailure);
        assert_eq!(ErrorCode::PermanentResolverFailure as u8, 20);
    }

    #[test]
    fn addresses_come_back() {
        for text in ["192.0.2.1:80", "[2001:db8::1]:443", "[fe80::1%3]:1"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(SocketAddr::from(IpSocketAddress::from(address)), address);
        }
    }
}
