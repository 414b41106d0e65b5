//! The primitives that the parking lot and the growth of memories are made of.
//!
//! A module of its own, because their models replace it: see `model.rs` beside it.
//!
//! Invariant: nothing here is specific to them.
//!
//! Does not know: what is waited for.

pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize};
pub(super) use std::sync::{Arc, Condvar, Mutex};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A point in time.
pub(super) struct Deadline(Instant);

impl Deadline {
    /// `ns` nanoseconds from now; `None` beyond what the clock can express.
    pub fn after_ns(ns: u64) -> Option<Deadline> {
        Instant::now().checked_add(Duration::from_nanos(ns)).map(Deadline)
    }

    /// Whether it has passed.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.0
    }

    /// Gives `guard`, of `mutex`, away until `condition` is signalled or the deadline has passed, or for no reason.
    pub fn wait<'a, T>(&self, condition: &Condvar, _mutex: &Mutex<T>, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let left = self.0.saturating_duration_since(Instant::now());
        condition.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0
    }
}
