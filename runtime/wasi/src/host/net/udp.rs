//! UDP: sockets, and the two directions of datagrams.
//!
//! Invariant: no call waits. A datagram is handed over only if its sender may be reached, or others may be let in at the
//! socket's address; only the streams that were made last work
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/proposals/sockets/wit/udp.wit)).
//!
//! Does not know: handles, permits of a guest.

use super::super::poll::{Interest, Readiness, Watch, wait};
use super::super::stream::Awaited;
use super::address::Family;
use super::error::NetError;
use super::network::{Network, Slot};
use super::options::{self, BufferSide, internet};
use super::rule::Protocol;
use crate::Errno;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno as Sys;
use rustix::net::{RecvFlags, SendFlags, SocketType};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most datagrams of one call.
pub const DATAGRAMS_MAX: u64 = 16;
/// No datagram is larger.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;

/// A datagram, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// What it says.
    pub data: Vec<u8>,
    /// Who sent it.
    pub remote: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unbound,
    /// Bound already; the guest is to be told.
    Binding,
    Bound,
}

#[derive(Debug)]
struct Changing {
    state: State,
    /// Datagrams of everybody may be handed over.
    may_listen: bool,
    remote: Option<SocketAddr>,
    /// Of the streams that were made last.
    generation: u64,
}

/// A socket of UDP.
#[derive(Debug)]
pub struct UdpSocket {
    fd: OwnedFd,
    family: Family,
    network: Network,
    _slot: Slot,
    changing: Mutex<Changing>,
}

/// What a socket receives.
#[derive(Debug)]
pub struct IncomingDatagrams {
    socket: Arc<UdpSocket>,
    generation: u64,
}

/// What a socket sends.
#[derive(Debug)]
pub struct OutgoingDatagrams {
    socket: Arc<UdpSocket>,
    generation: u64,
}

impl UdpSocket {
    /// A new socket.
    pub fn new(network: &Network, family: Family) -> Result<Arc<UdpSocket>, NetError> {
        let (fd, slot) = options::create(network, family, SocketType::DGRAM)?;
        let changing = Changing { state: State::Unbound, may_listen: false, remote: None, generation: 0 };
        let changing = Mutex::new(changing);
        Ok(Arc::new(UdpSocket { fd, family, network: network.clone(), _slot: slot, changing }))
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The family of its addresses.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Binds to an address.
    pub fn start_bind(&self, address: SocketAddr) -> Result<(), NetError> {
        let mut changing = self.changing();
        match changing.state {
            State::Unbound => {}
            State::Binding => return Err(NetError::CONFLICT),
            State::Bound => return Err(NetError::State),
        }
        self.family.check_local(address)?;
        let may_listen = self.network.permit_local(Protocol::Udp, address)?;
        rustix::net::bind(&self.fd, &address).map_err(|error| match error {
            Sys::INVAL => NetError::State,
            Sys::AFNOSUPPORT => NetError::ARGUMENT,
            error => error.into(),
        })?;
        changing.state = State::Binding;
        changing.may_listen = may_listen;
        Ok(())
    }

    /// The end of binding.
    pub fn finish_bind(&self) -> Result<(), NetError> {
        let mut changing = self.changing();
        if changing.state != State::Binding {
            return Err(NetError::NotInProgress);
        }
        changing.state = State::Bound;
        Ok(())
    }

    /// New streams, to one other side or to all; those that were made before work no more.
    pub fn streams(
        self: &Arc<UdpSocket>,
        remote: Option<SocketAddr>,
    ) -> Result<(IncomingDatagrams, OutgoingDatagrams), NetError> {
        let mut changing = self.changing();
        match changing.state {
            State::Unbound => return Err(NetError::State),
            State::Binding => return Err(NetError::CONFLICT),
            State::Bound => {}
        }
        if let Some(remote) = remote {
            self.family.check_remote(remote)?;
            self.network.permit_remote(Protocol::Udp, remote)?;
        }
        if changing.remote.take().is_some() {
            self.disconnect()?;
        }
        if let Some(remote) = remote {
            rustix::net::connect(&self.fd, &remote).map_err(|error| match error {
                Sys::ADDRNOTAVAIL => NetError::Host(Errno::AddrInUse),
                Sys::AFNOSUPPORT => NetError::ARGUMENT,
                error => error.into(),
            })?;
        }
        changing.remote = remote;
        changing.generation += 1;
        let generation = changing.generation;
        Ok((
            IncomingDatagrams { socket: self.clone(), generation },
            OutgoingDatagrams { socket: self.clone(), generation },
        ))
    }

    /// Leaves the other side. Linux gives the port up with it, if it was not asked for by number.
    fn disconnect(&self) -> Result<(), NetError> {
        let bound = internet(rustix::net::getsockname(&self.fd)?)?;
        rustix::net::connect_unspec(&self.fd)?;
        let left = internet(rustix::net::getsockname(&self.fd)?)?;
        if left.port() != bound.port() {
            rustix::net::bind(&self.fd, &SocketAddr::new(left.ip(), bound.port()))?;
        }
        Ok(())
    }

    /// The address that the socket is bound to.
    pub fn local_address(&self) -> Result<SocketAddr, NetError> {
        if self.changing().state != State::Bound {
            return Err(NetError::State);
        }
        internet(rustix::net::getsockname(&self.fd)?)
    }

    /// The address of the one other side.
    pub fn remote_address(&self) -> Result<SocketAddr, NetError> {
        self.changing().remote.ok_or(NetError::State)
    }

    /// How many hops a datagram to one receiver may take.
    pub fn hop_limit(&self) -> Result<u8, NetError> {
        options::hop_limit(self.fd.as_fd(), self.family)
    }

    /// Sets how many hops a datagram to one receiver may take.
    pub fn set_hop_limit(&self, value: u8) -> Result<(), NetError> {
        options::set_hop_limit(self.fd.as_fd(), self.family, value)
    }

    /// Bytes of a buffer of the kernel.
    pub fn buffer_size(&self, side: BufferSide) -> Result<u64, NetError> {
        options::buffer_size(self.fd.as_fd(), side)
    }

    /// Sets the bytes of a buffer of the kernel.
    pub fn set_buffer_size(&self, side: BufferSide, bytes: u64) -> Result<(), NetError> {
        options::set_buffer_size(self.fd.as_fd(), side, bytes)
    }
}

impl Awaited for UdpSocket {
    fn watch(&self) -> Watch<'_> {
        // Binding is done when it is begun; nothing else of the socket itself takes time.
        Watch::Done(Ok(0))
    }
}

impl IncomingDatagrams {
    /// Takes up to `count_max` datagrams that are there.
    pub fn receive(&self, count_max: u64) -> Result<Vec<Datagram>, NetError> {
        let socket = &self.socket;
        let changing = socket.changing();
        if changing.generation != self.generation {
            return Err(NetError::State);
        }
        let count_max = count_max.min(DATAGRAMS_MAX) as usize;
        let mut datagrams = Vec::new();
        let mut buffer = Vec::with_capacity(if count_max > 0 { DATAGRAM_BYTES_MAX } else { 0 });
        // Datagrams that are dropped count: a flood of them ends the call as well.
        for _ in 0..count_max {
            buffer.clear();
            let room = rustix::buffer::spare_capacity(&mut buffer);
            let (_, _, from) = match rustix::net::recvfrom(&socket.fd, room, RecvFlags::DONTWAIT) {
                Ok(received) => received,
                Err(Sys::AGAIN | Sys::INTR) => break,
                // What was received before is not lost for it.
                Err(_) if !datagrams.is_empty() => break,
                Err(error) => return Err(error.into()),
            };
            let Some(remote) = from.and_then(|from| SocketAddr::try_from(from).ok()) else { continue };
            let is_other = |own: SocketAddr| (own.ip(), own.port()) != (remote.ip(), remote.port());
            if changing.remote.is_some_and(is_other) {
                continue;
            }
            if changing.may_listen || socket.network.permits_sender(remote) {
                datagrams.push(Datagram { data: buffer.clone(), remote });
            }
        }
        Ok(datagrams)
    }

    /// When there is a datagram.
    pub fn awaited(&self) -> Arc<dyn Awaited> {
        Arc::new(Ready { socket: self.socket.clone(), write: false })
    }
}

impl OutgoingDatagrams {
    fn socket(&self) -> Result<(&UdpSocket, MutexGuard<'_, Changing>), NetError> {
        let changing = self.socket.changing();
        if changing.generation == self.generation { Ok((&self.socket, changing)) } else { Err(NetError::State) }
    }

    /// How many datagrams can be sent now.
    pub fn permit(&self) -> Result<u64, NetError> {
        let (socket, _changing) = self.socket()?;
        let ready = wait(&[Interest { fd: socket.fd.as_fd(), write: true }], Some(0))?;
        Ok(if ready == [Readiness::Waiting] { 0 } else { DATAGRAMS_MAX })
    }

    /// Sends a datagram, to the one other side or to an address; whether there was room.
    pub fn send(&self, data: &[u8], remote: Option<SocketAddr>) -> Result<bool, NetError> {
        let (socket, changing) = self.socket()?;
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let sent = match (changing.remote, remote) {
            (None, None) => return Err(NetError::ARGUMENT),
            (Some(own), Some(remote)) if own != remote => return Err(NetError::ARGUMENT),
            (Some(_), _) => rustix::net::send(&socket.fd, data, flags),
            (None, Some(remote)) => {
                socket.family.check_remote(remote)?;
                socket.network.permit_remote(Protocol::Udp, remote)?;
                rustix::net::sendto(&socket.fd, data, flags, &remote)
            }
        };
        match sent {
            Ok(_) => Ok(true),
            Err(Sys::AGAIN | Sys::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// When there is room.
    pub fn awaited(&self) -> Arc<dyn Awaited> {
        Arc::new(Ready { socket: self.socket.clone(), write: true })
    }
}

#[derive(Debug)]
struct Ready {
    socket: Arc<UdpSocket>,
    write: bool,
}

impl Awaited for Ready {
    fn watch(&self) -> Watch<'_> {
        Watch::Host(Interest { fd: self.socket.fd.as_fd(), write: self.write })
    }
}

#[cfg(test)]
#[path = "udp_tests.rs"]
mod tests;
