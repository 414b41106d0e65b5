//! Why the network refuses.
//!
//! Invariant: what the host says by number stays that number; what only this module knows has a name of its own.
//!
//! Does not know: which error codes an interface has.

use crate::Errno;
use rustix::io::Errno as Sys;

/// Why a call on a socket, or a lookup, fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// As the host says.
    #[error(transparent)]
    Host(#[from] Errno),
    /// Not in this state of the socket.
    #[error("not possible in the socket's state")]
    State,
    /// Nothing of the kind was begun.
    #[error("no such operation is in progress")]
    NotInProgress,
    /// Nobody has the name, or it has no addresses.
    #[error("the name has no address")]
    NameUnresolvable,
    /// Looking up failed, and may work later.
    #[error("the name cannot be looked up for the moment")]
    ResolverTemporary,
    /// Looking up failed for good.
    #[error("the name cannot be looked up")]
    ResolverPermanent,
}

impl From<Sys> for NetError {
    fn from(error: Sys) -> NetError {
        NetError::Host(match error {
            // Rare enough to have no number of their own in WASI.
            Sys::HOSTDOWN | Sys::NONET => Errno::HostUnreach,
            error => error.into(),
        })
    }
}

impl From<NetError> for Errno {
    /// For faces that know only numbers.
    fn from(error: NetError) -> Errno {
        match error {
            NetError::Host(errno) => errno,
            NetError::State | NetError::NotInProgress => Errno::Inval,
            NetError::NameUnresolvable => Errno::NoEnt,
            NetError::ResolverTemporary => Errno::Again,
            NetError::ResolverPermanent => Errno::Io,
        }
    }
}

impl NetError {
    /// Another operation of the socket is in progress.
    pub(crate) const CONFLICT: NetError = NetError::Host(Errno::Already);
    /// Not done yet.
    pub(crate) const WOULD_BLOCK: NetError = NetError::Host(Errno::Again);
    /// An argument is wrong.
    pub(crate) const ARGUMENT: NetError = NetError::Host(Errno::Inval);
}
