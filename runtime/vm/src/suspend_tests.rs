//! Computations that run no WebAssembly: switching by itself.
//!
//! Also built with the address sanitizer (feature `address-sanitizer`), which has to be told of every switch.
//!
//! Invariant: every stack is back in its pool when a test ends.
//!
//! Does not know: compiled code; see `runtime/embed/tests/suspend.rs`.

use super::*;
use crate::gc::HeapConfig;
use crate::pool::StackPoolConfig;
use crate::store::{MemorySource, StoreConfig};
use crate::types::TypeRegistry;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use wattest_abi::Tunables;

fn store(stacks_max: usize) -> Box<Store<u32>> {
    let stacks = StackPool::new(StackPoolConfig { stack_bytes: 1 << 20, stacks_max, idle_max: 4 });
    let config = StoreConfig {
        stack_bytes_max: 512 << 10,
        memories: MemorySource::Mapped,
        tunables: Arc::new(Tunables::default()),
        epoch: Arc::new(AtomicU64::new(0)),
        types: Arc::new(TypeRegistry::new().expect("a machine has room for a registry")),
        heap: HeapConfig { stress: false },
        stacks,
    };
    Store::new(config, 0)
}

/// Waits for so many polls.
fn turns(mut left: u32) -> Result<(), WaitError> {
    let future = std::pin::pin!(std::future::poll_fn(move |_| {
        left = left.wrapping_sub(1);
        if left == u32::MAX { Poll::Ready(()) } else { Poll::Pending }
    }));
    wait(Caller::Host, future)
}

/// Uses `depth` frames of the stack, and waits in the innermost one.
fn dive(depth: u32) -> Result<u64, WaitError> {
    let bytes = std::hint::black_box([depth as u8; 200]);
    if depth == 0 {
        turns(3)?;
    }
    let below = if depth == 0 { 0 } else { dive(depth - 1)? };
    Ok(below + bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>())
}

fn finish<R>(mut computation: Computation<'_, R>) -> (u32, R) {
    for pending in 0.. {
        if let Poll::Ready(result) = computation.resume(Waker::noop()) {
            return (pending, result);
        }
    }
    unreachable!("a number ends the loop")
}

#[test]
fn bodies_wait_at_any_depth() {
    let mut store = store(1);
    for depth in [0, 1, 100] {
        let body = move |store: &mut Store<u32>| {
            *store.data_mut() += 1;
            let sum = dive(depth)?;
            *store.data_mut() += 1;
            Ok::<u64, WaitError>(sum)
        };
        let expected = (0..=u64::from(depth)).sum::<u64>() * 200;
        assert_eq!(finish(store.on_own_stack(body).unwrap()), (3, Ok(expected)));
    }
    assert_eq!((*store.data(), store.inner().config.stacks.counts()), (6, (0, 1)));
}

#[test]
fn computations_take_turns() {
    let mut stores: Vec<_> = (0..8).map(|_| store(1)).collect();
    let mut running: Vec<_> = stores
        .iter_mut()
        .zip(0..)
        .map(|(store, n)| store.on_own_stack(move |_| dive(n * 10).map(|_| n)).unwrap())
        .collect();
    for turn in 0..4 {
        for (computation, n) in running.iter_mut().zip(0..) {
            let polled = computation.resume(Waker::noop());
            assert_eq!(polled, if turn < 3 { Poll::Pending } else { Poll::Ready(Ok(n)) });
        }
    }
}

#[test]
fn what_a_dropped_computation_holds_is_dropped() {
    struct Count<'a>(&'a AtomicU32);
    impl Drop for Count<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let mut store = store(1);
    let drops = AtomicU32::new(0);
    for polls in 0..3 {
        let held = Count(&drops);
        let body = |_: &mut Store<u32>| {
            let _moved = held;
            let _inner = Count(&drops);
            let first = turns(9);
            // Nothing waits any more.
            (first, turns(9))
        };
        let mut computation = store.on_own_stack(body).unwrap();
        for _ in 0..polls {
            assert!(computation.resume(Waker::noop()).is_pending());
        }
        drop(computation);
        assert_eq!(drops.swap(0, Ordering::Relaxed), if polls == 0 { 1 } else { 2 });
    }
    assert_eq!(store.inner().config.stacks.counts(), (0, 1));
}

#[test]
fn panics_cross_to_who_resumes_or_drops() {
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                resume_unwind(Box::new("late"));
            }
        }
    }
    let mut store = store(1);
    let mut computation = store.on_own_stack(|_| -> u32 { resume_unwind(Box::new("now")) }).unwrap();
    let payload = catch_unwind(AssertUnwindSafe(|| computation.resume(Waker::noop()))).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"now"));
    drop(computation);
    let body = |_: &mut Store<u32>| {
        let _late = Late;
        turns(1)
    };
    let mut computation = store.on_own_stack(body).unwrap();
    assert!(computation.resume(Waker::noop()).is_pending());
    let payload = catch_unwind(AssertUnwindSafe(|| drop(computation))).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"late"));
    assert_eq!(store.inner().config.stacks.counts(), (0, 1));
}

#[test]
fn off_its_own_stack_nothing_waits() {
    assert_eq!(turns(0), Ok(()));
    assert_eq!(turns(1), Err(WaitError::CannotSuspend));
    assert_eq!(yield_now(), Ok(()));
    // A guest's host function is expected, and there is no guest.
    let mut store = store(1);
    let body = |_: &mut Store<u32>| {
        let future = std::pin::pin!(std::future::pending::<()>());
        wait(Caller::Guest, future)
    };
    assert_eq!(finish(store.on_own_stack(body).unwrap()), (0, Err(WaitError::CannotSuspend)));
}

#[test]
fn computations_move_between_threads() {
    let mut store = store(1);
    let mut computation = store.on_own_stack(|_| dive(50)).unwrap();
    let mut results = Vec::new();
    for _ in 0..4 {
        computation = std::thread::scope(|scope| {
            let polled = scope.spawn(|| {
                results.push(computation.resume(Waker::noop()));
                computation
            });
            polled.join().unwrap()
        });
    }
    let sum = (0..=50).sum::<u64>() * 200;
    assert_eq!(results, [Poll::Pending, Poll::Pending, Poll::Pending, Poll::Ready(Ok(sum))]);
}
