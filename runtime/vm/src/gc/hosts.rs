//! Host values that references name.
//!
//! Invariant: a number is reused only after a collection has found that no reference names it.
//!
//! Does not know: what the values are.

use std::any::Any;
use std::sync::Arc;
use wattest_abi::gc::HOST_TAG;

/// Host values up to which no collection is asked for.
const THRESHOLD_MIN: usize = 4096;
/// Most host values: their numbers lie above the tag.
const VALUES_MAX: usize = 1 << 30;

type HostValue = Arc<dyn Any + Send + Sync>;

/// The host values of a store.
pub(crate) struct HostValues {
    values: Vec<Option<HostValue>>,
    marks: Vec<bool>,
    free: Vec<u32>,
    threshold: usize,
}

impl Default for HostValues {
    fn default() -> HostValues {
        HostValues { values: Vec::new(), marks: Vec::new(), free: Vec::new(), threshold: THRESHOLD_MIN }
    }
}

impl HostValues {
    /// Whether a collection should run before another value is added.
    pub fn wants_collection(&self) -> bool {
        self.values.len() - self.free.len() >= self.threshold
    }

    /// Adds a value; the reference to it. `None` when there are too many.
    pub fn add(&mut self, value: HostValue) -> Option<u32> {
        let index = match self.free.pop() {
            Some(index) => {
                self.values[index as usize] = Some(value);
                index
            }
            None => {
                let index = self.values.len();
                if index >= VALUES_MAX {
                    return None;
                }
                self.values.push(Some(value));
                index as u32
            }
        };
        Some(index << 2 | HOST_TAG)
    }

    /// The value that `reference` names.
    pub fn get(&self, reference: u32) -> Option<&HostValue> {
        if reference & 3 != HOST_TAG {
            return None;
        }
        self.values.get((reference >> 2) as usize)?.as_ref()
    }

    /// Prepares for marks.
    pub fn begin(&mut self) {
        self.marks.clear();
        self.marks.resize(self.values.len(), false);
    }

    /// Marks the value that `reference`, whose tag says that it names one, does name.
    #[inline]
    pub fn mark(&mut self, reference: u32) {
        if let Some(mark) = self.marks.get_mut((reference >> 2) as usize) {
            *mark = true;
        }
    }

    /// Takes out all values without a mark. They are to be dropped when the store is whole again: dropping may run the
    /// embedder's code.
    pub fn sweep(&mut self) -> Vec<HostValue> {
        let mut dead = Vec::new();
        for (index, marked) in self.marks.iter().enumerate() {
            if !marked && let Some(value) = self.values[index].take() {
                dead.push(value);
                self.free.push(index as u32);
            }
        }
        self.threshold = THRESHOLD_MIN.max(2 * (self.values.len() - self.free.len()));
        dead
    }

    /// Values that are kept.
    pub fn len(&self) -> usize {
        self.values.len() - self.free.len()
    }
}
