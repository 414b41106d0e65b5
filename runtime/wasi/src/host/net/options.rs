//! Options that sockets have in common.
//!
//! Invariant: a value of 0 is refused, any other is accepted and clamped to what the host takes
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/proposals/sockets/wit/tcp.wit)).
//!
//! Does not know: the states of sockets.

use super::address::Family;
use super::error::NetError;
use super::network::{Network, Slot};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::net::{SocketFlags, SocketType, socket_with, sockopt};
use std::net::SocketAddr;
use std::time::Duration;

/// Seconds, and packets, that Linux takes at most.
const KEEP_ALIVE_SECONDS_MAX: u64 = 32767;
const KEEP_ALIVE_COUNT_MAX: u32 = 127;
const NANOSECONDS: u64 = 1_000_000_000;

/// Which buffer of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferSide {
    /// Of what was received.
    Receive,
    /// Of what is to be sent.
    Send,
}

/// Which time of a connection that is kept alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// Until the first packet.
    Idle,
    /// Between packets.
    Interval,
}

/// A new socket, and its place in the guest's number of them.
pub(super) fn create(network: &Network, family: Family, kind: SocketType) -> Result<(OwnedFd, Slot), NetError> {
    let slot = network.take_socket()?;
    let fd = socket_with(family.domain(), kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    if family == Family::V6 {
        sockopt::set_ipv6_v6only(&fd, true)?;
    }
    Ok((fd, slot))
}

/// An address as the host tells it; of no other family than the internet's.
pub(super) fn internet(address: rustix::net::SocketAddrAny) -> Result<SocketAddr, NetError> {
    Ok(SocketAddr::try_from(address)?)
}

fn nonzero<T: Default + PartialEq>(value: T) -> Result<T, NetError> {
    if value == T::default() { Err(NetError::ARGUMENT) } else { Ok(value) }
}

pub(super) fn hop_limit(fd: BorrowedFd<'_>, family: Family) -> Result<u8, NetError> {
    Ok(match family {
        Family::V4 => sockopt::ip_ttl(fd)? as u8,
        Family::V6 => sockopt::ipv6_unicast_hops(fd)?,
    })
}

pub(super) fn set_hop_limit(fd: BorrowedFd<'_>, family: Family, value: u8) -> Result<(), NetError> {
    let value = nonzero(value)?;
    let set = match family {
        Family::V4 => sockopt::set_ip_ttl(fd, value.into()),
        Family::V6 => sockopt::set_ipv6_unicast_hops(fd, Some(value)),
    };
    Ok(set?)
}

pub(super) fn buffer_size(fd: BorrowedFd<'_>, side: BufferSide) -> Result<u64, NetError> {
    let bytes = match side {
        BufferSide::Receive => sockopt::socket_recv_buffer_size(fd)?,
        BufferSide::Send => sockopt::socket_send_buffer_size(fd)?,
    };
    // Linux counts its own records, and says twice as much as was asked for. A size may be rounded, so that the half is no lie
    // on other hosts.
    Ok(bytes as u64 / 2)
}

pub(super) fn set_buffer_size(fd: BorrowedFd<'_>, side: BufferSide, bytes: u64) -> Result<(), NetError> {
    let bytes = nonzero(bytes)?.min(i32::MAX as u64 / 2) as usize;
    let set = match side {
        BufferSide::Receive => sockopt::set_socket_recv_buffer_size(fd, bytes),
        BufferSide::Send => sockopt::set_socket_send_buffer_size(fd, bytes),
    };
    Ok(set?)
}

/// In nanoseconds.
pub(super) fn keep_alive_time(fd: BorrowedFd<'_>, which: KeepAlive) -> Result<u64, NetError> {
    let time = match which {
        KeepAlive::Idle => sockopt::tcp_keepidle(fd)?,
        KeepAlive::Interval => sockopt::tcp_keepintvl(fd)?,
    };
    Ok(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// From nanoseconds; the host counts seconds.
pub(super) fn set_keep_alive_time(fd: BorrowedFd<'_>, which: KeepAlive, nanoseconds: u64) -> Result<(), NetError> {
    let seconds = nonzero(nanoseconds)?.div_ceil(NANOSECONDS).min(KEEP_ALIVE_SECONDS_MAX);
    let time = Duration::from_secs(seconds);
    let set = match which {
        KeepAlive::Idle => sockopt::set_tcp_keepidle(fd, time),
        KeepAlive::Interval => sockopt::set_tcp_keepintvl(fd, time),
    };
    Ok(set?)
}

pub(super) fn keep_alive_count(fd: BorrowedFd<'_>) -> Result<u32, NetError> {
    Ok(sockopt::tcp_keepcnt(fd)?)
}

pub(super) fn set_keep_alive_count(fd: BorrowedFd<'_>, count: u32) -> Result<(), NetError> {
    Ok(sockopt::set_tcp_keepcnt(fd, nonzero(count)?.min(KEEP_ALIVE_COUNT_MAX))?)
}
