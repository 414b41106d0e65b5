//! The parking lot under a model checker: the same source, with primitives whose every schedule is the checker's choice.
//!
//! Promises: in all schedules tried, no wake-up is lost, every notification counts exactly the waiters that it wakes, a
//! waiter that times out is not counted, and a lock made of wait and notify excludes.
//!
//! Run with `RUSTFLAGS="--cfg wattest_model" cargo test -p wattest-vm --lib --target-dir target/model memory::model`.
//!
//! Invariant: schedules are a function of a fixed seed, or all there are.
//!
//! Does not know: weak memory; the lot's state changes only under its lock.

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::{Config, Runner, thread};
use wait::{Parking, WaitOutcome};

/// The checker's primitives under the names that the lot uses.
mod sync {
    use shuttle::rand::Rng;
    pub(super) use shuttle::sync::atomic::AtomicBool;
    pub(super) use shuttle::sync::{Arc, Condvar, Mutex};
    use std::sync::PoisonError;

    /// A point in time that may be over whenever somebody looks.
    pub(super) struct Deadline;

    impl Deadline {
        pub fn after_ns(_ns: u64) -> Option<Deadline> {
            Some(Deadline)
        }

        pub fn is_over(&self) -> bool {
            shuttle::rand::thread_rng().gen_bool(0.3)
        }

        /// Wakes whenever the scheduler wants.
        pub fn wait<'a, T>(
            &self,
            _condition: &Condvar,
            mutex: &'a Mutex<T>,
            guard: shuttle::sync::MutexGuard<'a, T>,
        ) -> shuttle::sync::MutexGuard<'a, T> {
            drop(guard);
            shuttle::thread::yield_now();
            mutex.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

#[expect(clippy::duplicate_mod, dead_code, reason = "the same source over other primitives")]
#[path = "wait.rs"]
mod wait;

/// Schedules of each kind that a model is run under.
const SCHEDULES: usize = 1_000;

/// Runs `model` under random schedules, and under such as put off a thread where it hurts.
fn check(model: fn()) {
    let config = Config::new();
    Runner::new(RandomScheduler::new_from_seed(1, SCHEDULES), config.clone()).run(model);
    Runner::new(PctScheduler::new_from_seed(2, 3, SCHEDULES), config).run(model);
}

#[test]
fn no_wake_up_is_lost() {
    let model = || {
        let parking = Arc::new(Parking::default());
        let flag = Arc::new(AtomicU32::new(0));
        let (lot, seen) = (parking.clone(), flag.clone());
        let waiter = thread::spawn(move || lot.wait(4, -1, || seen.load(Ordering::SeqCst) == 0));
        flag.store(1, Ordering::SeqCst);
        let woken = parking.notify(4, 1);
        // A waiter that neither was woken nor saw the flag would sleep for ever, which the checker reports.
        let outcome = waiter.join().unwrap();
        let expected = if woken == 1 { WaitOutcome::Woken } else { WaitOutcome::NotEqual };
        assert_eq!(outcome, expected);
        assert!(parking.is_idle());
    };
    check(model);
    shuttle::check_dfs(model, None);
}

#[test]
fn a_notification_counts_whom_it_wakes() {
    check(|| {
        let parking = Arc::new(Parking::default());
        let waiters = [0, 1, 2].map(|number| {
            let lot = parking.clone();
            // The last one waits elsewhere.
            thread::spawn(move || lot.wait(number / 2 * 8, 1, || true))
        });
        let counted = parking.notify(0, 1) + parking.notify(0, u32::MAX);
        let elsewhere = parking.notify(8, u32::MAX);
        let woken = waiters.map(|waiter| u32::from(waiter.join().unwrap() == WaitOutcome::Woken));
        assert_eq!((counted, elsewhere), (woken[0] + woken[1], woken[2]));
        assert!(parking.is_idle());
    });
}

/// A lock of guest code: 0 free, 1 taken, 2 taken with somebody waiting.
fn with_guest_lock(parking: &Parking, word: &AtomicU32, timeout_ns: i64, body: impl FnOnce()) {
    let taken = word.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst);
    if taken.is_err() {
        while word.swap(2, Ordering::SeqCst) != 0 {
            parking.wait(16, timeout_ns, || word.load(Ordering::SeqCst) == 2);
        }
    }
    body();
    if word.swap(0, Ordering::SeqCst) == 2 {
        parking.notify(16, 1);
    }
}

fn guest_lock_model(timeout_ns: i64) {
    let shared = Arc::new((Parking::default(), AtomicU32::new(0), AtomicU32::new(0)));
    let threads = [(); 3].map(|()| {
        let shared = shared.clone();
        thread::spawn(move || {
            let (parking, word, count) = &*shared;
            for _ in 0..2 {
                with_guest_lock(parking, word, timeout_ns, || {
                    let seen = count.load(Ordering::SeqCst);
                    thread::yield_now();
                    count.store(seen + 1, Ordering::SeqCst);
                });
            }
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(shared.2.load(Ordering::SeqCst), 6);
    assert!(shared.0.is_idle());
}

#[test]
fn a_guest_lock_excludes_and_never_sleeps_for_ever() {
    check(|| guest_lock_model(-1));
    check(|| guest_lock_model(1));
}
