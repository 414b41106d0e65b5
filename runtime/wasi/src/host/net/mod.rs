//! The network: what a guest may reach, and sockets.
//!
//! What a guest may do is a [`Network`]: nothing, everything, or what [`Rule`]s name. It is asked for every address and every
//! name, by sockets and by HTTP alike.
//!
//! Invariant: no packet leaves for, no datagram is handed over from, and no name is looked up for, what the guest's [`Network`]
//! does not permit.
//!
//! Does not know: handles, linear memory, WASI versions.

mod network;
mod rule;

pub use network::Network;
pub use rule::{Host, Ports, Protocol, Purpose, Rule, RuleError};
