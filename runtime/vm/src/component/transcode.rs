//! Transcoders: the steps of converting strings between two memories, for fused adapters.
//!
//! Bodies of [`wattest_canon::transcode::Step`] over memories of a store: they are given addresses and lengths, never
//! pointers, and take the memories' extents anew for each call.
//!
//! Invariant: whatever addresses and lengths generated code passes, nothing outside the two memories is read or written;
//! memories that are one are never aliased.
//!
//! Does not know: which adapter calls, or why.

use crate::flat::MemoryPair;
use crate::store::{MemoryHandle, StoreInner};
use wattest_canon::Fault;
use wattest_canon::transcode::{Room, Step, Text};

impl StoreInner {
    /// Carries a step out; its answer, as generated code is told ([`Step::answer`]).
    pub fn transcode(&mut self, step: Step, from: MemoryHandle, to: MemoryHandle, text: Text, room: Room) -> i64 {
        let result = match self.memory_pair_mut(from, to) {
            Ok(MemoryPair::Same(memory)) => step.within(memory, text, room),
            Ok(MemoryPair::Two(from, to)) => step.between(from, text, to, room),
            Err(_) => Err(Fault::StringOutOfBounds),
        };
        Step::answer(result)
    }
}
