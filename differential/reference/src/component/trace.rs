//! What can be seen of an evaluation.
//!
//! Two evaluators of one component agree when their traces do.
//!
//! Invariant: events are in the order in which they happen.
//!
//! Does not know: how they are compared.

use super::value::Val;
use crate::error::TrapClass;

/// Something that can be seen.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A core module, by its order in the binary, is instantiated by a component instance.
    Instantiate {
        /// Order of the module in the binary.
        module: u32,
        /// The component instance, by order of creation.
        instance: u32,
    },
    /// A start function runs.
    Start {
        /// Order of the module in the binary.
        module: u32,
        /// The component instance.
        instance: u32,
    },
    /// The host is called.
    HostCall {
        /// The import.
        path: String,
        /// With these.
        args: Vec<Val>,
        /// And answers this.
        result: Option<Val>,
    },
    /// Memory is asked for.
    Realloc {
        /// By the ABI, in this component instance.
        instance: u32,
        /// Address, size, alignment, new size.
        args: [u64; 4],
        /// Where it is.
        result: u64,
    },
    /// A post-return function is called.
    PostReturn {
        /// In this component instance.
        instance: u32,
        /// With the bits of the core results.
        args: Vec<u64>,
    },
    /// A destructor is called.
    Dtor {
        /// In this component instance: nothing for the host.
        instance: Option<u32>,
        /// With this representation.
        rep: u32,
    },
    /// A call or an instantiation ended in a trap.
    Trap(TrapClass),
    /// A call of an export returned.
    Return(Option<Val>),
}
