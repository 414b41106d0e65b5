//! The parking lot and the growth of shared memories under a model checker: the same source, with primitives whose every schedule is the checker's choice.
//!
//! Promises: in all schedules tried, no wake-up is lost, every notification counts exactly the waiters that it wakes, a
//! waiter that times out is not counted, and a lock made of wait and notify excludes; growths add up, and a length that was
//! read never shrinks and is never longer than what can be accessed.
//!
//! Run with `RUSTFLAGS="--cfg wattest_model" cargo test -p wattest-vm --lib --target-dir target/model memory::model`.
//!
//! Invariant: schedules are a function of a fixed seed, or all there are.
//!
//! Does not know: weak memory; the lot's state changes only under its lock, and a length is published by one release store.

use growth::Growth;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use shuttle::{Config, Runner, thread};
use wait::{Parking, WaitOutcome};

/// The checker's primitives under the names that the lot uses.
mod sync {
    use shuttle::rand::Rng;
    pub(super) use shuttle::sync::atomic::{AtomicBool, AtomicUsize};
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

#[path = "growth.rs"]
mod growth;

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

const PAGE_BYTES_LOG2: u8 = 16;

/// A memory as far as growing it goes: its length, and how much of it the system has made accessible.
struct Grown {
    growth: Growth,
    length: AtomicUsize,
    accessible: AtomicUsize,
}

impl Grown {
    fn new(pages_max: u64) -> Grown {
        let growth = Growth::new(PAGE_BYTES_LOG2, pages_max << PAGE_BYTES_LOG2);
        Grown { growth, length: AtomicUsize::new(0), accessible: AtomicUsize::new(0) }
    }

    /// Grows, in a system that sometimes refuses when it `may_refuse`.
    fn grow(&self, delta_pages: u64, may_refuse: bool) -> Result<Option<u64>, ()> {
        self.growth.grow(&self.length, delta_pages, |bytes| {
            assert_eq!(self.accessible.load(Ordering::SeqCst), bytes.start, "nobody else grows meanwhile");
            if may_refuse && shuttle::rand::Rng::gen_bool(&mut shuttle::rand::thread_rng(), 0.3) {
                return Err(());
            }
            self.accessible.store(bytes.end, Ordering::SeqCst);
            Ok(())
        })
    }

    /// What a thread that does not grow can see.
    fn observe(&self) {
        let mut last = 0;
        for _ in 0..2 {
            let length = self.length.load(Ordering::SeqCst);
            assert!(length >= last, "a length shrinks");
            assert!(self.accessible.load(Ordering::SeqCst) >= length, "a length is published before its bytes");
            last = length;
        }
    }

    fn pages(&self) -> u64 {
        self.length.load(Ordering::SeqCst) as u64 >> PAGE_BYTES_LOG2
    }
}

/// Threads that grow by `deltas`, and one that looks if the memory is `observed`.
fn growth_model<const N: usize>(deltas: [u64; N], pages_max: u64, observed: bool, may_refuse: bool) {
    let memory = Arc::new(Grown::new(pages_max));
    let growers = deltas.map(|delta| {
        let memory = memory.clone();
        thread::spawn(move || (delta, memory.grow(delta, may_refuse)))
    });
    if observed {
        memory.observe();
    }
    let answers = growers.map(|grower| grower.join().unwrap());
    let mut grown: Vec<(u64, u64)> = answers.iter().filter_map(|(delta, old)| Some(((*old).ok()??, *delta))).collect();
    grown.sort_unstable();
    // Every growth begins where another one ended.
    let end = grown.iter().fold(0, |end, (old, delta)| {
        assert_eq!(*old, end);
        end + delta
    });
    assert_eq!(memory.pages(), end);
    assert!(end <= pages_max);
    for (delta, answer) in answers {
        assert!(answer != Ok(None) || end + delta > pages_max, "a growth that fits is refused");
    }
}

#[test]
fn growth_is_one_step_and_is_seen_after_it_is_done() {
    // Every schedule there is of each half, then some of the whole.
    shuttle::check_dfs(|| growth_model([2], 4, true, false), None);
    shuttle::check_dfs(|| growth_model([2, 1], 2, false, false), None);
    check(|| growth_model([1, 2, 1], 3, true, false));
    check(|| growth_model([1, 2, 1, 3], 5, true, true));
}
