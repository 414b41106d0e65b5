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
    /// Digest of the contents ([`MemoryDigest`]).
    pub hash: u64,
}

/// Bytes that are digested together.
const CHUNK_BYTES: usize = 4096;

/// Follows the contents of one memory: a step that changes little costs little more than a comparison.
#[derive(Clone, Debug, Default)]
pub struct MemoryDigest {
    previous: Vec<u8>,
    sum: u64,
}

impl MemoryDigest {
    /// The state of a memory with these contents. The digest depends on the contents only, not on what came before.
    pub fn update(&mut self, bytes: &[u8]) -> MemoryState {
        if self.previous.len() != bytes.len() {
            self.previous = vec![0; bytes.len()];
            self.sum = 0;
        }
        let chunks = self.previous.chunks_mut(CHUNK_BYTES).zip(bytes.chunks(CHUNK_BYTES));
        for (index, (old, new)) in chunks.enumerate() {
            if old != new {
                let change = chunk_hash(index, new).wrapping_sub(chunk_hash(index, old));
                self.sum = self.sum.wrapping_add(change);
                old.copy_from_slice(new);
            }
        }
        MemoryState { bytes: bytes.len() as u64, hash: self.sum }
    }
}

/// Zeros count nothing, so that a fresh memory need not be digested.
fn chunk_hash(index: usize, bytes: &[u8]) -> u64 {
    if bytes.iter().all(|byte| *byte == 0) {
        return 0;
    }
    xxhash_rust::xxh3::xxh3_64_with_seed(bytes, index as u64)
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
    /// Operations executed, where the engine counts them; units of fuel, in the runtime's configurations that do.
    pub operations: u64,
    /// Where it trapped: the byte offset of the instruction in the original module, for engines that know it.
    pub offset: Option<u32>,
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
    fn digests_depend_on_contents_only() {
        let mut bytes = vec![0u8; 3 * CHUNK_BYTES + 5];
        let mut digest = MemoryDigest::default();
        let zero = digest.update(&bytes);
        bytes[CHUNK_BYTES] = 1;
        let one = digest.update(&bytes);
        assert_ne!(zero, one);
        assert_eq!(MemoryDigest::default().update(&bytes), one);
        bytes[CHUNK_BYTES] = 0;
        assert_eq!(digest.update(&bytes), zero);
        bytes[0] = 1;
        assert_ne!(digest.update(&bytes), one, "the place matters");
        assert_ne!(digest.update(&bytes[..CHUNK_BYTES]), zero);
    }
}
