//! The parking lot behind `memory.atomic.wait` and `memory.atomic.notify`
//! ([proposal](https://github.com/WebAssembly/threads/blob/main/proposals/threads/Overview.md#wait-and-notify-operators)).
//!
//! Promises: a waiter's look at the value and its queueing are one step with respect to every notification; waiters of
//! an address are woken in the order in which they came; a waiter that times out is not counted by a later
//! notification.
//!
//! Invariant: a waiter is in a queue exactly as long as its `woken` flag is unset, both changed under the lot's lock.
//! Empty queues are removed.
//!
//! Does not know: memories; the address is a key.

// The model checker compiles this file a second time, with its own primitives in the place of these.
use super::sync::{Arc, AtomicBool, Condvar, Deadline, Mutex};
use std::collections::{HashMap, VecDeque};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// How a wait ended; the number is the instruction's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum WaitOutcome {
    /// Woken by a notification.
    Woken = 0,
    /// The value was not the expected one.
    NotEqual = 1,
    /// The time was up.
    TimedOut = 2,
}

/// Sleeping threads by address.
#[derive(Debug, Default)]
pub struct Parking {
    // ORDER: only looked up, never iterated.
    queues: Mutex<HashMap<u64, VecDeque<Arc<Waiter>>>>,
}

#[derive(Debug, Default)]
struct Waiter {
    woken: AtomicBool,
    wake: Condvar,
}

impl Parking {
    /// Sleeps at `address` if `unchanged` still holds, until notified or until `timeout_ns` nanoseconds have passed
    /// (negative: forever).
    pub fn wait(&self, address: u64, timeout_ns: i64, unchanged: impl FnOnce() -> bool) -> WaitOutcome {
        // A deadline that the clock cannot express is never reached.
        let deadline = u64::try_from(timeout_ns).ok().and_then(Deadline::after_ns);
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if !unchanged() {
            return WaitOutcome::NotEqual;
        }
        let waiter = Arc::new(Waiter::default());
        queues.entry(address).or_default().push_back(waiter.clone());
        while !waiter.woken.load(Ordering::Relaxed) {
            let Some(deadline) = &deadline else {
                queues = waiter.wake.wait(queues).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if deadline.is_over() {
                let queue = queues.get_mut(&address).expect("an unwoken waiter is queued");
                queue.retain(|queued| !Arc::ptr_eq(queued, &waiter));
                if queue.is_empty() {
                    queues.remove(&address);
                }
                return WaitOutcome::TimedOut;
            }
            queues = deadline.wait(&waiter.wake, &self.queues, queues);
        }
        WaitOutcome::Woken
    }

    /// Wakes at most `count` waiters at `address` and returns how many.
    pub fn notify(&self, address: u64, count: u32) -> u32 {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queues.get_mut(&address) else { return 0 };
        let mut woken = 0;
        while woken < count
            && let Some(waiter) = queue.pop_front()
        {
            waiter.woken.store(true, Ordering::Relaxed);
            waiter.wake.notify_one();
            woken += 1;
        }
        if queue.is_empty() {
            queues.remove(&address);
        }
        woken
    }

    /// Whether nobody sleeps and no queue was left behind.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// How many threads sleep at `address`.
    pub fn waiters(&self, address: u64) -> usize {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).get(&address).map_or(0, VecDeque::len)
    }
}
