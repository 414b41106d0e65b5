//! TCP: sockets, and the connections they become.
//!
//! A socket goes through the states of the specification
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/proposals/sockets/TcpSocketOperationalSemantics.md)); what is begun
//! by a `start_…` ends with its `finish_…`.
//!
//! Invariant: no call waits. Bytes that were permitted and for which the host has no room are kept, at most one permit's, and
//! sent before anything else happens to the connection, its shutdown and its end included.
//!
//! Does not know: streams of other kinds, handles.

use super::super::clock::{Clock, Clocks};
use super::super::poll::{Interest, Watch, wait};
use super::super::stream::{Awaited, Ended};
use super::address::Family;
use super::error::NetError;
use super::network::{Network, Slot};
use super::options::{self, BufferSide, KeepAlive, internet};
use super::rule::Protocol;
use crate::Errno;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno as Sys;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most bytes of one read, and of one permit to write.
const BYTES_MAX: u64 = 64 << 10;
/// Connections that may wait to be accepted, where the guest does not say.
const BACKLOG: u32 = 128;
/// Most of them.
const BACKLOG_MAX: u64 = 4096;

/// Which direction of a connection is shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Nothing is read any more.
    Receive,
    /// Nothing is written any more.
    Send,
    /// Neither.
    Both,
}

/// Where a socket is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unbound,
    /// Bound already; the guest is to be told.
    Binding,
    Bound,
    ListenInProgress,
    Listening,
    /// Perhaps failed already.
    Connecting(Option<NetError>),
    Connected,
    Closed,
}

impl State {
    fn is_in_progress(self) -> bool {
        matches!(self, State::Binding | State::ListenInProgress | State::Connecting(_))
    }

    fn is_bound(self) -> bool {
        !matches!(self, State::Unbound | State::Binding | State::Closed)
    }
}

/// What changes in a socket.
#[derive(Debug)]
struct Changing {
    state: State,
    /// Others may be let in at the address that the socket is bound to.
    may_listen: bool,
    backlog: u32,
    /// Bytes to be sent, from `sent` on.
    kept: Vec<u8>,
    sent: usize,
    /// The network knows that bytes are kept.
    registered: bool,
    /// Why nothing can be sent any more.
    broken: Option<Errno>,
    send_shut: bool,
    receive_shut: bool,
}

/// A socket of TCP.
#[derive(Debug)]
pub struct TcpSocket {
    fd: OwnedFd,
    family: Family,
    network: Network,
    _slot: Slot,
    changing: Mutex<Changing>,
}

impl Changing {
    fn new(state: State) -> Changing {
        Changing {
            state,
            may_listen: false,
            backlog: BACKLOG,
            kept: Vec::new(),
            sent: 0,
            registered: false,
            broken: None,
            send_shut: false,
            receive_shut: false,
        }
    }

    /// Fails unless an operation can be begun, in one of the states that it begins in.
    fn begin(&self, states: &[State]) -> Result<(), NetError> {
        match self.state {
            state if states.contains(&state) => Ok(()),
            state if state.is_in_progress() => Err(NetError::CONFLICT),
            _ => Err(NetError::State),
        }
    }

    /// Sends what is kept; whether all of it is sent.
    fn send_kept(&mut self, fd: BorrowedFd<'_>) -> bool {
        while self.broken.is_none() && self.sent < self.kept.len() {
            match rustix::net::send(fd, &self.kept[self.sent..], SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(count) => self.sent += count,
                Err(Sys::AGAIN) => return false,
                Err(Sys::INTR) => {}
                Err(error) => self.broken = Some(NetError::from(error).into()),
            }
        }
        if !self.kept.is_empty() {
            self.kept = Vec::new();
            self.sent = 0;
            if self.send_shut {
                // The other side may have gone; then there is nothing to tell it.
                let _ = rustix::net::shutdown(fd, rustix::net::Shutdown::Write);
            }
        }
        true
    }
}

/// Failures of accepting that are the new connection's, as Linux reports them.
const ABORTED: &[Sys] = &[
    Sys::CONNABORTED,
    Sys::NETDOWN,
    Sys::PROTO,
    Sys::NOPROTOOPT,
    Sys::HOSTDOWN,
    Sys::NONET,
    Sys::HOSTUNREACH,
    Sys::NETUNREACH,
];

impl TcpSocket {
    /// A new socket.
    pub fn new(network: &Network, family: Family) -> Result<Arc<TcpSocket>, NetError> {
        let (fd, slot) = options::create(network, family, SocketType::STREAM)?;
        Ok(TcpSocket::with_state(network, fd, slot, family, State::Unbound))
    }

    /// A socket that listens at an address, given by whoever runs the guest: no rule is asked.
    pub fn listener(network: &Network, address: SocketAddr) -> Result<Arc<TcpSocket>, NetError> {
        let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
        let socket = TcpSocket::new(network, family)?;
        sockopt::set_socket_reuseaddr(&socket.fd, true)?;
        rustix::net::bind(&socket.fd, &address)?;
        rustix::net::listen(&socket.fd, BACKLOG as i32)?;
        socket.changing().state = State::Listening;
        Ok(socket)
    }

    fn with_state(network: &Network, fd: OwnedFd, slot: Slot, family: Family, state: State) -> Arc<TcpSocket> {
        let changing = Mutex::new(Changing::new(state));
        Arc::new(TcpSocket { fd, family, network: network.clone(), _slot: slot, changing })
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
        changing.begin(&[State::Unbound])?;
        self.family.check_local(address)?;
        let may_listen = self.network.permit_local(Protocol::Tcp, address)?;
        // A port that was used a moment ago can be bound again, without letting two sockets have it.
        sockopt::set_socket_reuseaddr(&self.fd, address.port() != 0)?;
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
        self.finish(State::Binding, State::Bound)
    }

    fn finish(&self, from: State, to: State) -> Result<(), NetError> {
        let mut changing = self.changing();
        if changing.state != from {
            return Err(NetError::NotInProgress);
        }
        changing.state = to;
        Ok(())
    }

    /// Begins to connect. A failure, other than that of a socket in the wrong state, closes the socket.
    pub fn start_connect(&self, address: SocketAddr) -> Result<(), NetError> {
        let mut changing = self.changing();
        changing.begin(&[State::Unbound, State::Bound])?;
        changing.state = State::Closed;
        self.family.check_peer(address)?;
        self.network.permit_remote(Protocol::Tcp, address)?;
        changing.state = State::Connecting(match rustix::net::connect(&self.fd, &address) {
            Ok(()) | Err(Sys::INPROGRESS) => None,
            Err(error) => Some(connect_error(error)),
        });
        Ok(())
    }

    /// The end of connecting: [`Errno::Again`] until it is there.
    pub fn finish_connect(&self) -> Result<(), NetError> {
        let mut changing = self.changing();
        let State::Connecting(failed) = changing.state else { return Err(NetError::NotInProgress) };
        let result = match failed {
            Some(error) => Err(error),
            None => self.connected()?,
        };
        changing.state = if result.is_ok() { State::Connected } else { State::Closed };
        result
    }

    /// What came of connecting; the outer error is that nothing has, yet.
    fn connected(&self) -> Result<Result<(), NetError>, NetError> {
        let ready = wait(&[Interest { fd: self.fd.as_fd(), write: true }], Some(0))?;
        if ready == [super::super::poll::Readiness::Waiting] {
            return Err(NetError::WOULD_BLOCK);
        }
        Ok(sockopt::socket_error(&self.fd)?.map_err(connect_error))
    }

    /// Begins to listen. A failure, other than that of a socket in the wrong state, closes the socket.
    pub fn start_listen(&self) -> Result<(), NetError> {
        let mut changing = self.changing();
        changing.begin(&[State::Bound])?;
        changing.state = State::Closed;
        if !changing.may_listen {
            let address = internet(rustix::net::getsockname(&self.fd)?)?;
            self.network.permit_listening(Protocol::Tcp, address)?;
        }
        rustix::net::listen(&self.fd, changing.backlog as i32)?;
        changing.state = State::ListenInProgress;
        Ok(())
    }

    /// The end of beginning to listen.
    pub fn finish_listen(&self) -> Result<(), NetError> {
        self.finish(State::ListenInProgress, State::Listening)
    }

    /// Lets somebody in: [`Errno::Again`] if nobody is there.
    pub fn accept(&self) -> Result<Arc<TcpSocket>, NetError> {
        if self.changing().state != State::Listening {
            return Err(NetError::State);
        }
        let slot = self.network.take_socket()?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::accept_with(&self.fd, flags).map_err(|error| match error {
            error if ABORTED.contains(&error) => NetError::Host(Errno::ConnAborted),
            Sys::INTR => NetError::WOULD_BLOCK,
            error => error.into(),
        })?;
        Ok(TcpSocket::with_state(&self.network, fd, slot, self.family, State::Connected))
    }

    /// The address that the socket is bound to.
    pub fn local_address(&self) -> Result<SocketAddr, NetError> {
        if !self.changing().state.is_bound() {
            return Err(NetError::State);
        }
        internet(rustix::net::getsockname(&self.fd)?)
    }

    /// The address of the other side.
    pub fn remote_address(&self) -> Result<SocketAddr, NetError> {
        if self.changing().state != State::Connected {
            return Err(NetError::State);
        }
        match rustix::net::getpeername(&self.fd) {
            Ok(Some(address)) => internet(address),
            Ok(None) | Err(Sys::NOTCONN) => Err(NetError::State),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether others are let in.
    pub fn is_listening(&self) -> bool {
        self.changing().state == State::Listening
    }

    /// Sets how many may wait to be let in.
    pub fn set_backlog(&self, value: u64) -> Result<(), NetError> {
        let mut changing = self.changing();
        let backlog = match value {
            0 => return Err(NetError::ARGUMENT),
            value => value.min(BACKLOG_MAX) as u32,
        };
        match changing.state {
            State::Connecting(_) | State::Connected | State::Closed => return Err(NetError::State),
            State::Listening | State::ListenInProgress => rustix::net::listen(&self.fd, backlog as i32)?,
            State::Unbound | State::Binding | State::Bound => {}
        }
        changing.backlog = backlog;
        Ok(())
    }

    /// The descriptor, for options; not of a closed socket.
    fn option(&self) -> Result<BorrowedFd<'_>, NetError> {
        if self.changing().state == State::Closed { Err(NetError::State) } else { Ok(self.fd.as_fd()) }
    }

    /// Whether a silent connection is kept alive.
    pub fn keep_alive(&self) -> Result<bool, NetError> {
        Ok(sockopt::socket_keepalive(self.option()?)?)
    }

    /// Sets whether a silent connection is kept alive.
    pub fn set_keep_alive(&self, on: bool) -> Result<(), NetError> {
        Ok(sockopt::set_socket_keepalive(self.option()?, on)?)
    }

    /// A time of keeping alive, in nanoseconds.
    pub fn keep_alive_time(&self, which: KeepAlive) -> Result<u64, NetError> {
        options::keep_alive_time(self.option()?, which)
    }

    /// Sets a time of keeping alive, in nanoseconds.
    pub fn set_keep_alive_time(&self, which: KeepAlive, nanoseconds: u64) -> Result<(), NetError> {
        options::set_keep_alive_time(self.option()?, which, nanoseconds)
    }

    /// How many packets go unanswered before the connection ends.
    pub fn keep_alive_count(&self) -> Result<u32, NetError> {
        options::keep_alive_count(self.option()?)
    }

    /// Sets how many packets go unanswered before the connection ends.
    pub fn set_keep_alive_count(&self, count: u32) -> Result<(), NetError> {
        options::set_keep_alive_count(self.option()?, count)
    }

    /// How many hops a packet may take.
    pub fn hop_limit(&self) -> Result<u8, NetError> {
        options::hop_limit(self.option()?, self.family)
    }

    /// Sets how many hops a packet may take.
    pub fn set_hop_limit(&self, value: u8) -> Result<(), NetError> {
        options::set_hop_limit(self.option()?, self.family, value)
    }

    /// Bytes of a buffer of the kernel.
    pub fn buffer_size(&self, side: BufferSide) -> Result<u64, NetError> {
        options::buffer_size(self.option()?, side)
    }

    /// Sets the bytes of a buffer of the kernel.
    pub fn set_buffer_size(&self, side: BufferSide, bytes: u64) -> Result<(), NetError> {
        options::set_buffer_size(self.option()?, side, bytes)
    }

    /// Shuts a direction down; what is kept is sent before.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), NetError> {
        let mut changing = self.changing();
        if changing.state != State::Connected {
            return Err(NetError::State);
        }
        if how != Shutdown::Send && !changing.receive_shut {
            changing.receive_shut = true;
            ignore_disconnected(rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Read))?;
        }
        if how != Shutdown::Receive && !changing.send_shut {
            changing.send_shut = true;
            // Otherwise the direction is shut when the last of what is kept is sent.
            if changing.kept.is_empty() {
                ignore_disconnected(rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Write))?;
            }
        }
        Ok(())
    }

    /// Takes up to `bytes_max` bytes that are there, none if there are none yet.
    pub fn receive(&self, bytes_max: u64) -> Result<Vec<u8>, Ended> {
        self.receive_with(bytes_max, RecvFlags::empty())
    }

    /// Shows up to `bytes_max` bytes that are there without taking them.
    pub fn peek(&self, bytes_max: u64) -> Result<Vec<u8>, Ended> {
        self.receive_with(bytes_max, RecvFlags::PEEK)
    }

    fn receive_with(&self, bytes_max: u64, flags: RecvFlags) -> Result<Vec<u8>, Ended> {
        if self.changing().receive_shut {
            return Err(Ended::Closed);
        }
        if bytes_max == 0 {
            return Ok(Vec::new());
        }
        let mut bytes = Vec::with_capacity(bytes_max.min(BYTES_MAX) as usize);
        let room = rustix::buffer::spare_capacity(&mut bytes);
        match rustix::net::recv(&self.fd, room, flags | RecvFlags::DONTWAIT) {
            Ok((_, 0)) => Err(Ended::Closed),
            Ok(_) => Ok(bytes),
            Err(Sys::AGAIN | Sys::INTR) => Ok(Vec::new()),
            Err(error) => Err(Ended::Failed(NetError::from(error).into())),
        }
    }

    /// How many bytes can be written now; none while some are kept.
    pub fn permit(&self) -> Result<u64, Ended> {
        let mut changing = self.changing();
        let all_sent = changing.send_kept(self.fd.as_fd());
        if let Some(error) = changing.broken {
            return Err(if error == Errno::Pipe { Ended::Closed } else { Ended::Failed(error) });
        }
        if changing.send_shut {
            return Err(Ended::Closed);
        }
        if !all_sent {
            return Ok(0);
        }
        let ready = wait(&[Interest { fd: self.fd.as_fd(), write: true }], Some(0))?;
        Ok(if ready == [super::super::poll::Readiness::Waiting] { 0 } else { BYTES_MAX })
    }

    /// Writes all of `bytes`, which a permit allowed; what there is no room for is kept.
    pub fn send(self: &Arc<TcpSocket>, bytes: &[u8]) -> Result<(), Ended> {
        let mut changing = self.changing();
        if changing.send_shut {
            return Err(Ended::Closed);
        }
        changing.kept.extend_from_slice(bytes);
        let all_sent = changing.send_kept(self.fd.as_fd());
        let register = !all_sent && !changing.registered;
        changing.registered |= register;
        let broken = changing.broken;
        drop(changing);
        if register {
            self.network.keep_sending(Arc::downgrade(self));
        }
        match broken {
            None => Ok(()),
            Some(Errno::Pipe) => Err(Ended::Closed),
            Some(error) => Err(Ended::Failed(error)),
        }
    }

    /// Writes as much of `bytes` as there is room for; how much.
    pub fn send_some(&self, bytes: &[u8]) -> Result<usize, NetError> {
        let mut changing = self.changing();
        if changing.send_shut {
            return Err(NetError::Host(Errno::Pipe));
        }
        if !changing.send_kept(self.fd.as_fd()) {
            return Err(NetError::WOULD_BLOCK);
        }
        Ok(rustix::net::send(&self.fd, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?)
    }

    /// Sends what is kept, as far as there is room; whether nothing is kept any more.
    pub fn flush(&self) -> Result<bool, Ended> {
        let mut changing = self.changing();
        let all_sent = changing.send_kept(self.fd.as_fd());
        match changing.broken {
            Some(Errno::Pipe) => Err(Ended::Closed),
            Some(error) => Err(Ended::Failed(error)),
            None => Ok(all_sent),
        }
    }

    /// Sends what is kept, for the network; whether nothing is kept any more.
    pub(super) fn send_kept(&self) -> bool {
        let mut changing = self.changing();
        let all_sent = changing.send_kept(self.fd.as_fd());
        changing.registered = !all_sent;
        all_sent
    }

    /// When there is something to read.
    pub fn readable(self: &Arc<TcpSocket>) -> Arc<dyn Awaited> {
        Arc::new(Readable(self.clone()))
    }

    /// When there is room.
    pub fn writable(self: &Arc<TcpSocket>) -> Arc<dyn Awaited> {
        Arc::new(Writable(self.clone()))
    }

    /// What to wait for, for there to be room in the kernel's buffer.
    pub fn room(&self) -> Interest<'_> {
        Interest { fd: self.fd.as_fd(), write: true }
    }

    /// What to wait for, for there to be something to read.
    pub fn watch_readable(&self) -> Watch<'_> {
        match self.changing().receive_shut {
            true => Watch::Done(Ok(0)),
            false => Watch::Host(Interest { fd: self.fd.as_fd(), write: false }),
        }
    }

    /// What to wait for, for there to be room, or nothing more to wait for.
    pub fn watch_writable(&self) -> Watch<'_> {
        let changing = self.changing();
        match changing.send_shut || changing.broken.is_some() {
            true => Watch::Done(Ok(0)),
            false => Watch::Host(self.room()),
        }
    }
}

fn connect_error(error: Sys) -> NetError {
    match error {
        // What Linux says when no port is left to connect from.
        Sys::ADDRNOTAVAIL => NetError::Host(Errno::AddrInUse),
        Sys::ISCONN => NetError::State,
        Sys::ALREADY => NetError::CONFLICT,
        Sys::AFNOSUPPORT => NetError::ARGUMENT,
        error => error.into(),
    }
}

/// A connection that has ended meanwhile is as good as shut down.
fn ignore_disconnected(result: rustix::io::Result<()>) -> Result<(), NetError> {
    if result == Err(Sys::NOTCONN) { Ok(()) } else { Ok(result?) }
}

impl Awaited for TcpSocket {
    fn watch(&self) -> Watch<'_> {
        match self.changing().state {
            State::Listening => Watch::Host(Interest { fd: self.fd.as_fd(), write: false }),
            State::Connecting(None) => Watch::Host(Interest { fd: self.fd.as_fd(), write: true }),
            _ => Watch::Done(Ok(0)),
        }
    }
}

#[derive(Debug)]
struct Readable(Arc<TcpSocket>);

impl Awaited for Readable {
    fn watch(&self) -> Watch<'_> {
        self.0.watch_readable()
    }
}

#[derive(Debug)]
struct Writable(Arc<TcpSocket>);

impl Awaited for Writable {
    fn watch(&self) -> Watch<'_> {
        self.0.watch_writable()
    }
}

impl Drop for TcpSocket {
    /// Sends what is kept, for as long as all the guest's sockets together may take.
    fn drop(&mut self) {
        let changing = self.changing.get_mut().unwrap_or_else(PoisonError::into_inner);
        while !changing.send_kept(self.fd.as_fd()) {
            let left = self.network.linger_left();
            let now = || Clocks::Host.now(Clock::Monotonic).unwrap_or(u64::MAX);
            let started = now();
            let room = [Interest { fd: self.fd.as_fd(), write: true }];
            if left == 0 || wait(&room, Some(left)).is_err() {
                break;
            }
            self.network.linger(now().saturating_sub(started).max(1));
        }
    }
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
