//! What a stack of its own costs a guest: a call, a wait, and the same with a thread for each guest.
//!
//! `cargo run --release -p wattest --example suspend`. Prints nanoseconds of processor time per operation, the least of
//! several rounds; times come from `/proc/thread-self/schedstat` where there is one, and from the clock elsewhere.
//!
//! Invariant: every row does the same work in the guest: one call, and so many waits.
//!
//! Does not know: WASI.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use wattest::{Caller, Engine, Linker, Module, Store, TypedFunc};

const TEXT: &str = r#"(module
    (import "" "wait" (func $wait (param i32) (result i32)))
    (func (export "nop") (param i32) (result i32) (local.get 0))
    (func (export "wait") (param i32) (result i32) (call $wait (local.get 0))))"#;

const ROUNDS: u32 = 20;
const CALLS: u32 = 20_000;

/// Nanoseconds of processor time of this thread, or of the clock.
fn now(start: Instant) -> u64 {
    // The system brings its account up to date when a thread gives way.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = text.split(' ').next().and_then(|number| number.parse().ok());
    spent.unwrap_or_else(|| start.elapsed().as_nanos() as u64)
}

/// Prints the cost of one of `count` operations.
fn measure(name: &str, count: u32, mut work: impl FnMut()) {
    let start = Instant::now();
    let round = |work: &mut dyn FnMut()| {
        let before = now(start);
        work();
        now(start) - before
    };
    let least = (0..ROUNDS).map(|_| round(&mut work)).min().unwrap_or(0);
    println!("{name:44} {:>9.1} ns", least as f64 / f64::from(count));
}

fn finish<R>(future: impl Future<Output = R>) -> R {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
    }
}

/// A guest's thread: what it waits for is sent by the other one.
fn threads(turns: u32) -> (Sender<i32>, Receiver<i32>) {
    let (request, requests) = channel::<i32>();
    let (answer, answers) = channel::<i32>();
    std::thread::spawn(move || {
        while let Ok(n) = requests.recv() {
            if answer.send(n + turns as i32).is_err() {
                return;
            }
        }
    });
    (request, answers)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::default();
    let module = Module::new(&engine, TEXT)?;
    let mut linker = Linker::new(&engine);
    linker.func_wrap_async("", "wait", |_: Caller<'_, ()>, (n,): (i32,)| {
        let mut left = n;
        Box::pin(poll_fn(move |_| {
            left -= 1;
            if left < 0 { Poll::Ready(n) } else { Poll::Pending }
        }))
    })?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module)?;
    let nop: TypedFunc<i32, i32> = instance.get_typed_func(&mut store, "nop")?;
    let wait: TypedFunc<i32, i32> = instance.get_typed_func(&mut store, "wait")?;
    measure("a call", CALLS, || {
        for n in 0..CALLS {
            black_box(nop.call(&mut store, n as i32).unwrap_or(0));
        }
    });
    measure("a call on a stack of its own", CALLS, || {
        for n in 0..CALLS {
            black_box(finish(nop.call_async(&mut store, n as i32)).unwrap_or(0));
        }
    });
    measure("a host function whose future is ready", CALLS, || {
        for _ in 0..CALLS {
            black_box(wait.call(&mut store, 0).unwrap_or(0));
        }
    });
    measure("the same on a stack of its own", CALLS, || {
        for _ in 0..CALLS {
            black_box(finish(wait.call_async(&mut store, 0)).unwrap_or(0));
        }
    });
    measure("a suspension and its resumption", CALLS, || {
        black_box(finish(wait.call_async(&mut store, CALLS as i32)).unwrap_or(0));
    });
    // The alternative: the guest has a thread, which sleeps. Half of it is spent on the other thread, and is not counted.
    let (request, answers) = threads(1);
    measure("a thread put to sleep and woken (one side)", CALLS, || {
        for n in 0..CALLS {
            let _ = request.send(n as i32);
            black_box(answers.recv().unwrap_or(0));
        }
    });
    Ok(())
}
