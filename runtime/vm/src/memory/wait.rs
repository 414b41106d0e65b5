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

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
        let deadline =
            u64::try_from(timeout_ns).ok().and_then(|ns| Instant::now().checked_add(Duration::from_nanos(ns)));
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if !unchanged() {
            return WaitOutcome::NotEqual;
        }
        let waiter = Arc::new(Waiter::default());
        queues.entry(address).or_default().push_back(waiter.clone());
        while !waiter.woken.load(Ordering::Relaxed) {
            let Some(deadline) = deadline else {
                queues = waiter.wake.wait(queues).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let queue = queues.get_mut(&address).expect("an unwoken waiter is queued");
                queue.retain(|queued| !Arc::ptr_eq(queued, &waiter));
                if queue.is_empty() {
                    queues.remove(&address);
                }
                return WaitOutcome::TimedOut;
            }
            queues = waiter.wake.wait_timeout(queues, left).unwrap_or_else(PoisonError::into_inner).0;
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

    /// How many threads sleep at `address`.
    pub fn waiters(&self, address: u64) -> usize {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).get(&address).map_or(0, VecDeque::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    /// Spins until `count` threads sleep at `address`.
    fn settle(parking: &Parking, address: u64, count: usize) {
        while parking.waiters(address) != count {
            std::thread::yield_now();
        }
    }

    #[test]
    fn waiters_wake_first_come_first_woken_and_by_count() {
        let parking = Parking::default();
        let (sender, order) = channel();
        std::thread::scope(|scope| {
            for number in 0..5 {
                let (parking, sender) = (&parking, sender.clone());
                scope.spawn(move || {
                    assert_eq!(parking.wait(8, -1, || true), WaitOutcome::Woken);
                    sender.send(number).unwrap();
                });
                settle(parking, 8, number + 1);
            }
            assert_eq!(parking.notify(16, u32::MAX), 0);
            assert_eq!(parking.notify(8, 0), 0);
            assert_eq!(parking.notify(8, 1), 1);
            assert_eq!(order.recv().unwrap(), 0);
            assert_eq!(parking.notify(8, 2), 2);
            let mut next = [order.recv().unwrap(), order.recv().unwrap()];
            next.sort_unstable();
            assert_eq!(next, [1, 2]);
            assert_eq!(parking.notify(8, u32::MAX), 2);
        });
        assert!(parking.queues.lock().unwrap().is_empty());
    }

    #[test]
    fn a_timed_out_waiter_is_not_counted() {
        let parking = Parking::default();
        std::thread::scope(|scope| {
            let first = scope.spawn(|| parking.wait(0, 1_000_000, || true));
            assert_eq!(first.join().unwrap(), WaitOutcome::TimedOut);
            let second = scope.spawn(|| parking.wait(0, i64::MAX, || true));
            settle(&parking, 0, 1);
            assert_eq!(parking.notify(0, 5), 1);
            assert_eq!(second.join().unwrap(), WaitOutcome::Woken);
        });
        assert_eq!(parking.wait(0, -1, || false), WaitOutcome::NotEqual);
        assert!(parking.queues.lock().unwrap().is_empty());
    }
}
