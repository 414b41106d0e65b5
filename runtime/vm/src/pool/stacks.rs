//! Stacks that computations of their own run on.
//!
//! A stack is a mapping whose lowest pages are inaccessible: an overflow faults there, never in somebody's memory. Stacks go
//! from one computation to the next with what the last one left in them, which no guest can read: compiled code reads a slot
//! of its frame only after it has written it.
//!
//! Promises: at most [`StackPoolConfig::stacks_max`] stacks are in use at a time, and at most
//! [`StackPoolConfig::idle_max`] are kept for later.
//!
//! Invariant: a stack is either idle or owned by exactly one computation.
//!
//! Does not know: what runs on a stack.

use crate::suspend::Switch;
use crate::sys::{MapError, Mapping, page_bytes, round_up_to_page};
use corosensei::stack::{Stack, StackPointer};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Pages without access below a stack: more than any frame of ours that is not probed page by page.
const GUARD_PAGES: usize = 16;

/// Sizes of a [`StackPool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackPoolConfig {
    /// Bytes of a stack, without what guards it; rounded up to pages.
    pub stack_bytes: usize,
    /// Stacks in use at a time.
    pub stacks_max: usize,
    /// Stacks that are kept when nobody uses them.
    pub idle_max: usize,
}

/// Why there is no stack.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// All are in use.
    #[error("{0} computations run on stacks of their own already")]
    Limit(usize),
    /// The machine has none.
    #[error(transparent)]
    Map(#[from] MapError),
}

/// Stacks of one size.
#[derive(Debug)]
pub struct StackPool {
    config: StackPoolConfig,
    idle: Mutex<Vec<OwnStack>>,
    taken: AtomicUsize,
}

impl StackPool {
    /// A pool without stacks: they are made when they are needed.
    pub fn new(config: StackPoolConfig) -> Arc<StackPool> {
        Arc::new(StackPool { config, idle: Mutex::default(), taken: AtomicUsize::new(0) })
    }

    /// Stacks in use, and stacks that wait for use.
    pub fn counts(&self) -> (usize, usize) {
        (self.taken.load(Ordering::Relaxed), self.idle.lock().unwrap_or_else(PoisonError::into_inner).len())
    }

    /// A stack for one computation.
    pub(crate) fn take(&self) -> Result<OwnStack, StackError> {
        let max = self.config.stacks_max;
        let more = |taken: usize| (taken < max).then_some(taken + 1);
        let counted = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        counted.map_err(|_| StackError::Limit(max))?;
        // Bound, so that the lock is not held while a stack is mapped.
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(stack) = idle {
            return Ok(stack);
        }
        OwnStack::new(self.config.stack_bytes).map_err(|error| {
            self.taken.fetch_sub(1, Ordering::Relaxed);
            error.into()
        })
    }

    /// Takes a stack back.
    pub(crate) fn give_back(&self, stack: OwnStack) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.config.idle_max {
            idle.push(stack);
        }
    }
}

/// A stack, and what its computation and whoever resumes it have in common.
#[derive(Debug)]
pub(crate) struct OwnStack {
    mapping: Mapping,
    /// Owned. No `Box`: both sides of a switch refer to it while the stack moves about.
    switch: NonNull<Switch>,
}

// SAFETY: the switch belongs to the stack, and only whoever owns that uses it.
unsafe impl Send for OwnStack {}

impl OwnStack {
    fn new(bytes: usize) -> Result<OwnStack, MapError> {
        let too_large = || MapError::new("reserve", bytes, std::io::ErrorKind::OutOfMemory);
        let guard = GUARD_PAGES * page_bytes();
        let bytes = round_up_to_page(bytes.max(corosensei::stack::MIN_STACK_SIZE)).ok_or_else(too_large)?;
        let mapping = Mapping::reserve(bytes.checked_add(guard).ok_or_else(too_large)?)?;
        mapping.make_accessible(guard..guard + bytes)?;
        let base = mapping.base() as usize;
        let switch = Box::new(Switch::new(base..base + guard));
        Ok(OwnStack { mapping, switch: NonNull::from(Box::leak(switch)) })
    }

    /// What both sides of a switch refer to; it lives as long as the stack.
    pub fn switch(&self) -> NonNull<Switch> {
        self.switch
    }

    /// The addresses that computations may use.
    #[cfg(test)]
    pub fn range(&self) -> std::ops::Range<usize> {
        let base = self.mapping.base() as usize;
        base + GUARD_PAGES * page_bytes()..base + self.mapping.bytes()
    }
}

impl Drop for OwnStack {
    fn drop(&mut self) {
        // SAFETY: it was leaked when the stack was made, and whoever used it is done.
        drop(unsafe { Box::from_raw(self.switch.as_ptr()) });
    }
}

fn pointer(address: usize) -> StackPointer {
    StackPointer::new(address).expect("a mapping is not at address 0")
}

// SAFETY: the lowest pages are inaccessible and the rest, at least the smallest size, is writable; both ends are page
// aligned; the mapping lives as long as the stack.
unsafe impl Stack for OwnStack {
    fn base(&self) -> StackPointer {
        pointer(self.mapping.base() as usize + self.mapping.bytes())
    }

    fn limit(&self) -> StackPointer {
        pointer(self.mapping.base() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_counted_and_used_again() {
        let pool = StackPool::new(StackPoolConfig { stack_bytes: 20_000, stacks_max: 2, idle_max: 1 });
        let (first, second) = (pool.take().unwrap(), pool.take().unwrap());
        assert_eq!(first.range().len(), 20_480);
        assert!(matches!(pool.take(), Err(StackError::Limit(2))));
        let range = first.range();
        pool.give_back(first);
        pool.give_back(second);
        assert_eq!(pool.counts(), (0, 1));
        assert_eq!(pool.take().unwrap().range(), range);
    }

    #[test]
    fn a_stack_that_cannot_be_mapped_is_not_counted() {
        let pool = StackPool::new(StackPoolConfig { stack_bytes: usize::MAX - 5, stacks_max: 1, idle_max: 1 });
        for _ in 0..3 {
            assert!(matches!(pool.take(), Err(StackError::Map(_))));
        }
        assert_eq!(pool.counts(), (0, 0));
    }
}
