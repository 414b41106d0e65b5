//! The network: what a guest may reach, and sockets.
//!
//! What a guest may do is a [`Network`]: nothing, everything, or what [`Rule`]s name. It is asked for every address and every
//! name, by sockets and by HTTP alike. Sockets never wait: `poll` does.
//!
//! Invariant: no packet leaves for, no datagram is handed over from, and no name is looked up for, what the guest's [`Network`]
//! does not permit.
//!
//! Does not know: handles, linear memory, WASI versions.

mod address;
mod error;
mod lookup;
mod network;
mod options;
mod rule;
mod tcp;
mod udp;

pub use address::Family;
pub use error::NetError;
pub use lookup::{Lookup, Resolver};
pub use network::{Network, NetworkLimits};
pub use options::{BufferSide, KeepAlive};
pub use rule::{Host, Ports, Protocol, Purpose, Rule, RuleError};
pub use tcp::{Shutdown, TcpSocket};
pub use udp::{DATAGRAMS_MAX, Datagram, IncomingDatagrams, OutgoingDatagrams, UdpSocket};
