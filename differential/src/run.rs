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
    /// Digest of the contents.
    pub hash: u64,
}

/// Bytes that are digested together.
const CHUNK_BYTES: usize = 4096;

impl MemoryState {
    /// The state of a memory with these contents. Zeros count nothing: they are most of what there is, and are told by
    /// comparing, which is several times as fast as digesting them (and as remembering what was there the last time).
    pub fn of(bytes: &[u8]) -> MemoryState {
        const ZEROS: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];
        let chunks = bytes.chunks(CHUNK_BYTES).enumerate();
        let hashes = chunks
            .filter(|(_, chunk)| **chunk != ZEROS[..chunk.len()])
            .map(|(index, chunk)| xxhash_rust::xxh3::xxh3_64_with_seed(chunk, index as u64));
        MemoryState { bytes: bytes.len() as u64, hash: hashes.fold(0, u64::wrapping_add) }
    }
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
    /// Of each data segment whether it is empty: dropped, or without bytes. `None` where this engine cannot tell.
    pub empty_data: Vec<Option<bool>>,
    /// The same of each element segment.
    pub empty_elements: Vec<Option<bool>>,
}

/// A frame of a trap.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The function's index.
    pub func: u32,
    /// Its locals, parameters first; `None` where one is not known.
    pub locals: Vec<Option<Value>>,
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
    /// Operations executed, where the engine counts them; units of fuel, in the runtime's configurations that do.
    pub operations: u64,
    /// Where it trapped: the byte offset of the instruction in the original module, for engines that know it.
    pub offset: Option<u32>,
    /// Whether that may be the place of the operation that uses what the trapping load would have given: machine code does
    /// both in one instruction.
    pub offset_is_late: bool,
    /// Where it trapped: the frames, the innermost first, for engines that know them with their locals.
    pub frames: Option<Vec<Frame>>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts() {
        let mut bytes = vec![0u8; 3 * CHUNK_BYTES + 5];
        let zero = MemoryState::of(&bytes);
        let mut seen = vec![zero.hash];
        for place in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES, bytes.len() - 1] {
            bytes[place] = 1;
            let hash = MemoryState::of(&bytes).hash;
            assert!(!seen.contains(&hash), "the byte at {place} does not count");
            seen.push(hash);
            bytes[place] = 0;
        }
        assert_eq!(MemoryState::of(&bytes), zero);
        assert_ne!(MemoryState::of(&bytes[..CHUNK_BYTES]), zero);
    }
}
