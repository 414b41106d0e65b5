//! The parking lot on OS threads.
//!
//! Promises: order, counts and timeouts are what
//! [wait and notify](https://github.com/WebAssembly/threads/blob/main/proposals/threads/Overview.md#wait-and-notify-operators)
//! say.
//!
//! Invariant: every thread ends by itself.
//!
//! Does not know: schedules; the model of the parking lot goes through those.

use super::{Parking, WaitOutcome};
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
    assert!(parking.is_idle());
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
    assert!(parking.is_idle());
}
