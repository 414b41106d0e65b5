//! What an engine did: endings, host calls, state, step by step.
//!
//! Step 0 is the instantiation ([spec](https://webassembly.github.io/spec/core/exec/modules.html#instantiation)); step k is
//! the k-th call of the plan.
//!
//! Invariant: `steps` ends before the first poisoned step; `stopped` says why it does.
//!
//! Does not know: engines.

use crate::{Poison, TrapClass, Value};

/// How a step ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// With results.
    Values(Vec<Value>),
    /// With a trap.
    Trap(TrapClass),
}

/// A call of an imported function.
#[derive(Clone, Debug, PartialEq)]
pub struct HostCall {
    /// Function index of the import.
    pub func: u32,
    /// Its arguments.
    pub args: Vec<Value>,
}

/// Size and digest of one memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryState {
    /// Size in bytes.
    pub bytes: u64,
    /// Digest of the contents ([`hash_memory`]).
    pub hash: u64,
}

/// Digest of a memory's contents.
pub fn hash_memory(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// Everything observable after a step. After a failed instantiation, only what was imported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Globals by index.
    pub globals: Vec<Value>,
    /// Memories by index.
    pub memories: Vec<MemoryState>,
    /// Elements of each table by index.
    pub tables: Vec<Vec<Value>>,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Results or trap.
    pub ending: Ending,
    /// Number of host calls made by the end of this step.
    pub trace_len: usize,
    /// State after it.
    pub state: State,
    /// Operations executed, where the engine counts them.
    pub operations: u64,
}

/// A run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The steps that prove something.
    pub steps: Vec<Step>,
    /// Why there are fewer steps than the plan has.
    pub stopped: Option<Poison>,
    /// Host calls, in order.
    pub trace: Vec<HostCall>,
    /// Contents of the memories after step `Plan::capture`.
    pub captured: Vec<Vec<u8>>,
}
