//! Guests on stacks of their own.
//!
//! Promises: a guest whose host function waits is put aside and goes on where it was, on whichever thread
//! ([spec](https://webassembly.github.io/spec/core/exec/runtime.html#host-function-instances)); traps, exceptions, panics,
//! references and limits are the same as on the thread's own stack.
//!
//! Invariant: whatever a test does to a call, the stack comes back to the engine and the store can be used, or says why not.
//!
//! Does not know: how stacks are switched.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use wattest::component::{self, Component, ResourceAny};
use wattest::{
    AsContextMut, Caller, Config, Engine, Error, ExternRef, Func, FuncType, Instance, Linker, Module, Store, Trap,
    TrapCode, UsageError, Val, ValType,
};

/// Counts what it drops.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicU32>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A store's data: what host functions count in.
#[derive(Default)]
struct Data {
    drops: Arc<AtomicU32>,
    log: Vec<i32>,
}

/// Pending for so many polls.
async fn turns(mut left: i32) {
    poll_fn(|context| {
        if left <= 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

const TEXT: &str = r#"(module
    (import "" "wait" (func $wait (param i32) (result i32)))
    (import "" "again" (func $again (param i32) (result i32)))
    (import "" "nested" (func $nested (param i32) (result i32)))
    (import "" "fail" (func $fail (param i32) (result i32)))
    (import "" "panic" (func $panic (param i32) (result i32)))
    (import "" "collect" (func $collect (param i32) (result i32)))
    (import "" "throw" (func $throw (param i32) (result i32)))
    (import "" "tag" (tag $tag (param i32)))
    (type $box (struct (field i32)))
    (func (export "wait") (param i32) (result i32) (call $wait (local.get 0)))
    (func (export "again") (param i32) (result i32) (call $again (local.get 0)))
    (func (export "nested") (param i32) (result i32) (call $nested (local.get 0)))
    (func (export "fail") (param i32) (result i32) (call $fail (local.get 0)))
    (func (export "panic") (param i32) (result i32) (call $panic (local.get 0)))
    (func (export "trap") (param i32) (result i32) (drop (call $wait (local.get 0))) unreachable)
    (func (export "divide") (param i32) (result i32)
        (i32.div_s (i32.const 1) (i32.sub (call $wait (local.get 0)) (local.get 0))))
    (func (export "two") (param i32) (result i32)
        (i32.add (i32.mul (call $wait (local.get 0)) (i32.const 100)) (call $wait (i32.const 3))))
    (func (export "object") (param i32) (result i32) (local $b (ref $box))
        (local.set $b (struct.new $box (i32.const 41)))
        (drop (call $collect (local.get 0)))
        (i32.add (struct.get $box 0 (local.get $b)) (i32.const 1)))
    (func (export "caught") (param i32) (result i32)
        (block $caught (result i32)
            (try_table (catch $tag $caught) (return (call $throw (local.get 0)))) unreachable))
    (func (export "uncaught") (param i32) (result i32) (call $throw (local.get 0)))
    (func $deep (export "deep") (param i32) (result i32) (call $deep (call $wait (i32.const 0))))
    (func (export "forever") (param i32) (result i32) (loop $l (br $l)) unreachable)
    (func (export "sum") (param $n i32) (result i32) (local $sum i32)
        (loop $more
            (local.set $sum (i32.add (local.get $sum) (local.get $n)))
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum))
    (func (export "identity") (param externref) (result externref)
        (drop (call $collect (i32.const 2))) (local.get 0)))"#;

fn define(linker: &mut Linker<Data>, store: &mut Store<Data>) {
    let tag = wattest::Tag::new(&mut *store, FuncType::new([ValType::I32], [])).unwrap();
    linker.define(&*store, "", "tag", tag).unwrap();
    linker
        .func_wrap_async("", "wait", |mut caller: Caller<'_, Data>, (n,): (i32,)| {
            Box::pin(async move {
                let _held = Drops(Arc::clone(&caller.data().drops));
                turns(n).await;
                caller.data_mut().log.push(n);
                n
            })
        })
        .unwrap();
    // Enters the guest again, on another stack.
    linker
        .func_wrap_async("", "again", |mut caller: Caller<'_, Data>, (n,): (i32,)| {
            Box::pin(async move {
                let name = if n > 0 { "again" } else { "wait" };
                let func = caller.get_export(name).and_then(|export| export.into_func()).expect("it is exported");
                let func = func.typed::<i32, i32>(&caller)?;
                turns(1).await;
                let result = func.call_async(&mut caller, if n > 0 { n - 1 } else { 2 }).await?;
                turns(1).await;
                Ok::<i32, Error>(result + 10)
            })
        })
        .unwrap();
    // Enters the guest again on the same stack: nothing may wait there.
    linker
        .func_wrap("", "nested", |mut caller: Caller<'_, Data>, n: i32| {
            let func = caller.get_export("wait").and_then(|export| export.into_func()).expect("it is exported");
            func.typed::<i32, i32>(&caller)?.call(&mut caller, n)
        })
        .unwrap();
    define_ends(linker, tag);
}

/// What ends, or looks at the heap, after it has waited.
fn define_ends(linker: &mut Linker<Data>, tag: wattest::Tag) {
    linker
        .func_wrap_async("", "fail", |_: Caller<'_, Data>, (n,): (i32,)| {
            Box::pin(async move {
                turns(n).await;
                Err::<i32, Error>(Error::msg("no luck"))
            })
        })
        .unwrap();
    linker
        .func_wrap_async("", "panic", |_: Caller<'_, Data>, (n,): (i32,)| {
            Box::pin(async move {
                turns(n).await;
                std::panic::resume_unwind(Box::new(n));
                #[allow(unreachable_code, reason = "the type of the result")]
                n
            })
        })
        .unwrap();
    linker
        .func_wrap_async("", "collect", |mut caller: Caller<'_, Data>, (n,): (i32,)| {
            Box::pin(async move {
                turns(n).await;
                let mut store = caller.as_context_mut();
                store.collect_garbage();
                turns(n).await;
                n
            })
        })
        .unwrap();
    linker
        .func_new_async("", "throw", FuncType::new([ValType::I32], [ValType::I32]), move |mut caller, params, _| {
            Box::pin(async move {
                let n = params[0].i32().unwrap_or(0);
                turns(n).await;
                let exception = wattest::ExnRef::new(&mut caller, tag, &[Val::I32(n + 5)])?;
                Err(exception.throw())
            })
        })
        .unwrap();
}

struct Run {
    engine: Engine,
    store: Store<Data>,
    instance: Instance,
}

impl Run {
    fn with(config: &Config) -> Run {
        let engine = Engine::new(config).expect("the configuration is sound");
        let module = Module::new(&engine, TEXT).expect("the module is valid");
        let mut store = Store::new(&engine, Data::default());
        let mut linker = Linker::new(&engine);
        define(&mut linker, &mut store);
        let instance = linker.instantiate(&mut store, &module).expect("its imports are there");
        Run { engine, store, instance }
    }

    fn new() -> Run {
        Run::with(&Config::new())
    }

    /// The call, not yet polled.
    fn call(&mut self, name: &str, n: i32) -> Pin<Box<dyn Future<Output = Result<i32, Error>> + Send + '_>> {
        let func = self.instance.get_typed_func::<i32, i32>(&self.store, name).expect("it is exported");
        Box::pin(func.call_async(&mut self.store, n))
    }

    /// No stack is in use, and the store works.
    #[track_caller]
    fn check_whole(&mut self) {
        assert_eq!(self.engine.own_stacks().0, 0, "stacks in use");
        assert_eq!(finish(self.call("two", 1)).map(|(value, _)| value).ok(), Some(103));
        let plain = self.instance.get_typed_func::<i32, i32>(&self.store, "sum").expect("it is exported");
        assert_eq!(plain.call(&mut self.store, 3).ok(), Some(6));
    }
}

/// Polls to the end, on this thread; the result, and how often the call was pending.
fn finish<R>(future: impl Future<Output = Result<R, Error>>) -> Result<(R, u32), Error> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for pending in 0.. {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result.map(|value| (value, pending));
        }
    }
    unreachable!("a number ends the loop")
}

#[track_caller]
fn check(run: &mut Run, (name, n): (&str, i32), expected: Result<(i32, u32), &str>) {
    let ended = finish(run.call(name, n));
    match (&ended, expected) {
        (Ok(ended), Ok(expected)) => assert_eq!(*ended, expected),
        (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected),
        _ => panic!("{ended:?} is not {expected:?}"),
    }
    run.check_whole();
}

#[test]
fn a_guest_waits_and_goes_on() {
    let run = &mut Run::new();
    check(run, ("wait", 0), Ok((0, 0)));
    check(run, ("wait", 3), Ok((3, 3)));
    check(run, ("two", 4), Ok((403, 7)));
    assert_eq!(run.store.data().log, [0, 1, 3, 3, 1, 3, 4, 3, 1, 3]);
    assert_eq!(run.store.data().drops.load(Ordering::Relaxed), 10);
}

#[test]
fn it_ends_as_on_any_stack() {
    let run = &mut Run::new();
    check(run, ("trap", 2), Err("wasm trap: unreachable"));
    check(run, ("divide", 2), Err("wasm trap: integer divide by zero"));
    check(run, ("fail", 2), Err("no luck"));
    check(run, ("caught", 2), Ok((7, 2)));
    check(run, ("object", 2), Ok((42, 4)));
    let uncaught = finish(run.call("uncaught", 1)).unwrap_err();
    assert!(uncaught.exception().is_some(), "{uncaught}");
    run.check_whole();
    // The stack that a trap came from, past the wait.
    let trap = finish(run.call("trap", 1)).unwrap_err();
    let frames = trap.trap().map(|trap| trap.backtrace().frames().to_vec()).unwrap();
    assert_eq!(frames.iter().filter_map(|frame| frame.func_name.as_deref()).collect::<Vec<_>>(), ["trap"]);
    let text = finish(run.call("fail", 1)).unwrap_err();
    let Error::Host(error) = text else { panic!("{text}") };
    assert_eq!(error.backtrace().frames().len(), 1);
}

#[test]
fn a_panic_reaches_who_polls() {
    let run = &mut Run::new();
    for n in [0, 2] {
        let mut call = run.call("panic", n);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..n {
            assert!(call.as_mut().poll(&mut context).is_pending());
        }
        let payload = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(&mut context).is_ready())).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&n));
        drop(call);
        run.check_whole();
    }
}

#[test]
fn a_dropped_call_drops_what_it_holds() {
    let run = &mut Run::new();
    let drops = Arc::clone(&run.store.data().drops);
    // Never polled, waiting, waiting on a stack above another one.
    for (name, polls, dropped) in [("wait", 0, 0), ("wait", 1, 1), ("wait", 4, 1), ("again", 3, 1)] {
        let before = drops.load(Ordering::Relaxed);
        let mut call = run.call(name, if name == "wait" { 9 } else { 0 });
        for _ in 0..polls {
            assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        drop(call);
        assert_eq!(drops.load(Ordering::Relaxed) - before, dropped, "{name} after {polls} polls");
        run.check_whole();
    }
}

#[test]
fn a_store_with_a_waiting_guest_can_be_dropped_with_it() {
    let engine = Engine::default();
    let module = Module::new(&engine, TEXT).unwrap();
    let drops = Arc::new(AtomicU32::new(0));
    let owned = {
        let drops = Arc::clone(&drops);
        let engine = engine.clone();
        async move {
            let mut store = Store::new(&engine, Data { drops, log: Vec::new() });
            let mut linker = Linker::new(&engine);
            define(&mut linker, &mut store);
            let instance = linker.instantiate_async(&mut store, &module).await.unwrap();
            let func = instance.get_typed_func::<i32, i32>(&store, "wait").unwrap();
            func.call_async(&mut store, 100).await
        }
    };
    let mut owned = Box::pin(owned);
    assert!(owned.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(engine.own_stacks().0, 1);
    drop(owned);
    assert_eq!((engine.own_stacks().0, drops.load(Ordering::Relaxed)), (0, 1));
}

#[test]
fn calls_move_between_threads() {
    let mut runs: Vec<Run> = (0..8).map(|_| Run::new()).collect();
    let mut calls: Vec<_> = runs.iter_mut().zip(0..).map(|(run, n)| (n, run.call("two", n + 1))).collect();
    let mut ended = Vec::new();
    while !calls.is_empty() {
        // Every poll is on a thread of its own, and calls take turns on it.
        calls = std::thread::scope(|scope| {
            let polled = scope.spawn(|| {
                let mut context = Context::from_waker(Waker::noop());
                let mut left = Vec::new();
                for (n, mut call) in calls {
                    match call.as_mut().poll(&mut context) {
                        Poll::Ready(result) => ended.push((n, result.unwrap())),
                        Poll::Pending => left.push((n, call)),
                    }
                }
                left
            });
            polled.join().unwrap()
        });
    }
    drop(calls);
    ended.sort_unstable();
    assert_eq!(ended, (0..8).map(|n| (n, (n + 1) * 100 + 3)).collect::<Vec<_>>());
    // What the thread's own stack knows is as before.
    runs.iter_mut().for_each(Run::check_whole);
}

#[test]
fn traps_are_caught_after_a_move() {
    let mut run = Run::new();
    let mut call = run.call("divide", 1);
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let error = std::thread::scope(|scope| scope.spawn(|| finish(call).unwrap_err()).join().unwrap());
    assert_eq!(error.trap().map(Trap::code), Some(TrapCode::IntegerDivideByZero));
    run.check_whole();
}

#[test]
fn a_guest_in_a_guest_waits_on_a_stack_of_its_own() {
    let run = &mut Run::new();
    check(run, ("again", 0), Ok((12, 4)));
    check(run, ("again", 5), Ok((62, 14)));
    // Each level takes a stack: there is an end to it.
    let mut config = Config::new();
    config.own_stacks(3);
    let run = &mut Run::with(&config);
    check(run, ("again", 1), Ok((22, 6)));
    check(run, ("again", 2), Err("3 computations run on stacks of their own already"));
}

#[test]
fn who_cannot_wait_is_told() {
    let run = &mut Run::new();
    let text = UsageError::CannotSuspend.to_string();
    check(run, ("nested", 1), Err(&text));
    // What is ready at once needs no stack.
    check(run, ("nested", 0), Ok((0, 0)));
    let func = run.instance.get_typed_func::<i32, i32>(&run.store, "wait").unwrap();
    assert_eq!(func.call(&mut run.store, 0).ok(), Some(0));
    let error = func.call(&mut run.store, 1).unwrap_err();
    assert!(matches!(error, Error::Usage(UsageError::CannotSuspend)), "{error}");
    run.check_whole();
}

#[test]
fn stack_overflow_is_a_trap() {
    let mut config = Config::new();
    config.max_wasm_stack(64 << 10);
    let run = &mut Run::with(&config);
    check(run, ("deep", 0), Err("wasm trap: call stack exhausted"));
    let calls = run.store.data().log.len();
    // A stack that was used up is used again, and as deep.
    run.store.data_mut().log.clear();
    check(run, ("deep", 0), Err("wasm trap: call stack exhausted"));
    assert!(calls > 100 && run.store.data().log.len().abs_diff(calls) < 10, "{calls}");
    assert_eq!(run.engine.own_stacks(), (0, 1));
}

#[test]
fn stacks_are_bounded_and_used_again() {
    let mut config = Config::new();
    config.own_stacks(2).idle_stacks(1);
    let engine = Engine::new(&config).unwrap();
    let module = Module::new(&engine, TEXT).unwrap();
    let mut stores: Vec<Store<Data>> = (0..3).map(|_| Store::new(&engine, Data::default())).collect();
    let mut calls = Vec::new();
    for store in &mut stores {
        let mut linker = Linker::new(&engine);
        define(&mut linker, store);
        let instance = linker.instantiate(&mut *store, &module).unwrap();
        let func = instance.get_typed_func::<i32, i32>(&*store, "wait").unwrap();
        calls.push(Box::pin(func.call_async(store, 1)));
    }
    let mut context = Context::from_waker(Waker::noop());
    let mut polled = calls.iter_mut().map(|call| call.as_mut().poll(&mut context));
    assert!(polled.next().unwrap().is_pending() && polled.next().unwrap().is_pending());
    let Some(Poll::Ready(Err(Error::Limit(text)))) = polled.next() else { panic!("a third stack") };
    assert_eq!(text, "2 computations run on stacks of their own already");
    assert_eq!(engine.own_stacks(), (2, 0));
    drop(polled);
    for mut call in calls.drain(..2) {
        assert!(matches!(call.as_mut().poll(&mut context), Poll::Ready(Ok(1))));
    }
    assert_eq!(engine.own_stacks(), (0, 1));
}

fn count_late(mut caller: Caller<'_, u32>, (): ()) -> wattest::HostFuture<'_, ()> {
    Box::pin(async move {
        turns(2).await;
        *caller.data_mut() += 1;
    })
}

#[test]
fn start_functions_wait() {
    let engine = Engine::default();
    let text = r#"(module (import "" "wait" (func $wait)) (start $wait) (func (export "f")))"#;
    let module = Module::new(&engine, text).unwrap();
    let mut linker = Linker::<u32>::new(&engine);
    linker.func_wrap_async("", "wait", count_late).unwrap();
    let mut store = Store::new(&engine, 0);
    let made = finish(async { linker.instantiate_async(&mut store, &module).await.map_err(Error::host) });
    assert_eq!(made.map(|(_, pending)| pending).ok(), Some(2));
    let func = Func::wrap_async(&mut store, count_late);
    let made = finish(async { Instance::new_async(&mut store, &module, &[func.into()]).await.map_err(Error::host) });
    assert!(made.is_ok());
    assert_eq!(*store.data(), 2);
    // A host function by itself: there is no guest at all.
    assert_eq!(finish(func.call_async(&mut store, &[], &mut [])).map(|(_, pending)| pending).ok(), Some(2));
    assert_eq!(*store.data(), 3);
    assert!(matches!(linker.instantiate(&mut store, &module), Err(wattest::InstantiateError::Start(_))));
}

#[test]
fn references_live_while_their_guest_waits() {
    let mut run = Run::new();
    let identity = run.instance.get_func(&run.store, "identity").unwrap();
    let drops = Arc::new(AtomicU32::new(0));
    let value = ExternRef::new(&mut run.store, Drops(Arc::clone(&drops))).unwrap();
    let (params, mut results) = ([Val::ExternRef(Some(value))], [Val::I32(0)]);
    assert_eq!(
        finish(identity.call_async(&mut run.store, &params, &mut results)).map(|(_, pending)| pending).ok(),
        Some(4)
    );
    assert_eq!(drops.load(Ordering::Relaxed), 0);
    drop((params, results));
    run.store.collect_garbage();
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

#[test]
fn a_busy_guest_lets_others_run() {
    let mut config = Config::new();
    config.epoch(true).fuel(true);
    let run = &mut Run::with(&config);
    // By epoch: every poll ends as soon as the epoch has advanced.
    run.store.set_fuel(u64::MAX).unwrap();
    run.store.set_epoch_deadline(1);
    run.store.epoch_deadline_yield(1);
    let (engine, done) = (run.engine.clone(), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while done.load(Ordering::Relaxed) == 0 {
                engine.increment_epoch();
                std::thread::yield_now();
            }
        });
        let mut call = run.call("forever", 0);
        for _ in 0..5 {
            assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        done.store(1, Ordering::Relaxed);
    });
    assert_eq!(run.engine.own_stacks().0, 0);
    // By fuel: as often as it is used up, and no fuel is lost.
    run.store.set_epoch_deadline(1 << 40);
    run.store.set_fuel(1_000_000).unwrap();
    let (_, pending) = finish(run.call("sum", 1000)).unwrap();
    assert_eq!(pending, 0);
    let used = 1_000_000 - run.store.fuel().unwrap();
    run.store.set_fuel(1_000_000).unwrap();
    run.store.fuel_yield_interval(std::num::NonZeroU64::new(500)).unwrap();
    let (_, pending) = finish(run.call("sum", 1000)).unwrap();
    assert_eq!(1_000_000 - run.store.fuel().unwrap(), used);
    assert!(u64::from(pending).abs_diff(used / 500) <= 1, "{pending} for {used}");
    // Portions smaller than what is used between two polls are no discount.
    run.store.set_fuel(1_000_000).unwrap();
    run.store.fuel_yield_interval(std::num::NonZeroU64::new(1)).unwrap();
    assert_eq!(finish(run.call("sum", 1000)).map(|(sum, _)| sum).ok(), Some(500_500));
    assert_eq!(1_000_000 - run.store.fuel().unwrap(), used);
    // Where there is no stack of its own, it just goes on.
    let sum = run.instance.get_typed_func::<i32, i32>(&run.store, "sum").unwrap();
    assert_eq!(sum.call(&mut run.store, 1000).ok(), Some(500_500));
    // And it ends when there is none left.
    run.store.set_fuel(3000).unwrap();
    let error = finish(run.call("forever", 0)).unwrap_err();
    assert_eq!(error.trap().map(Trap::code), Some(TrapCode::OutOfFuel));
}

#[test]
fn the_newest_waker_is_told() {
    struct Flag(AtomicU32);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let mut run = Run::new();
    let flags = [Arc::new(Flag(AtomicU32::new(0))), Arc::new(Flag(AtomicU32::new(0)))];
    let mut call = run.call("wait", 2);
    for flag in &flags {
        let waker = Waker::from(Arc::clone(flag));
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(flags.each_ref().map(|flag| flag.0.load(Ordering::Relaxed)), [1, 1]);
}

/// Runs this test once more in a process of its own, in which the variable is set.
fn in_child(test: &str) -> std::process::Output {
    let program = std::env::current_exe().unwrap();
    std::process::Command::new(program)
        .args([test, "--exact", "--nocapture"])
        .env("SUSPEND_CHILD", "1")
        .output()
        .unwrap()
}

#[test]
fn a_host_function_that_overflows_its_stack_says_so() {
    fn recurse(depth: u64) -> u64 {
        let page = std::hint::black_box([depth; 128]);
        if depth == 0 { 0 } else { recurse(depth + 1) + page[(depth % 128) as usize] }
    }
    if std::env::var_os("SUSPEND_CHILD").is_none() {
        let output = in_child("a_host_function_that_overflows_its_stack_says_so");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains("a host function has overflowed the stack"), "{text}");
        return;
    }
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let func = Func::wrap(&mut store, |n: u64| recurse(n));
    let func = func.typed::<u64, u64>(&store).unwrap();
    let _ = finish(func.call_async(&mut store, 1));
}

/// A component whose functions and whose destructor call what waits.
const COMPONENT: &str = r#"(component
    (import "wait" (func $wait (param "n" u32) (result string)))
    (core module $Memory (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 256)))
    (core instance $memory (instantiate $Memory))
    (alias core export $memory "memory" (core memory $mem))
    (alias core export $memory "realloc" (core func $realloc))
    (canon lower (func $wait) (memory $mem) (realloc $realloc) (core func $wait'))
    (core module $Dtor
        (import "" "wait" (func $wait (param i32 i32)))
        (func (export "dtor") (param i32) (call $wait (local.get 0) (i32.const 16))))
    (core instance $dtor (instantiate $Dtor (with "" (instance (export "wait" (func $wait'))))))
    (type $R (resource (rep i32) (dtor (core func $dtor "dtor"))))
    (canon resource.new $R (core func $new))
    (canon resource.drop $R (core func $drop))
    (core module $M
        (import "" "wait" (func $wait (param i32 i32)))
        (import "" "new" (func $new (param i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "text") (param i32) (result i32) (call $wait (local.get 0) (i32.const 8)) (i32.const 8))
        (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
        (func (export "drop") (param i32) (call $drop (call $new (local.get 0)))))
    (core instance $m (instantiate $M (with "" (instance
        (export "wait" (func $wait')) (export "new" (func $new)) (export "drop" (func $drop))))))
    (export $R' "r" (type $R))
    (func (export "text") (param "n" u32) (result string)
        (canon lift (core func $m "text") (memory $mem) (realloc $realloc)))
    (func (export "make") (param "n" u32) (result (own $R')) (canon lift (core func $m "make")))
    (func (export "drop") (param "n" u32) (canon lift (core func $m "drop"))))"#;

/// A component that uses the other one as its import.
const OUTER: &str = r#"(component
    (import "text" (func $text (param "n" u32) (result string)))
    (core module $Memory (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 256)))
    (core instance $memory (instantiate $Memory))
    (alias core export $memory "memory" (core memory $mem))
    (alias core export $memory "realloc" (core func $realloc))
    (canon lower (func $text) (memory $mem) (realloc $realloc) (core func $text'))
    (core module $M
        (import "" "text" (func $text (param i32 i32)))
        (func (export "text") (param i32) (result i32) (call $text (local.get 0) (i32.const 8)) (i32.const 8)))
    (core instance $m (instantiate $M (with "" (instance (export "text" (func $text'))))))
    (func (export "text") (param "n" u32) (result string)
        (canon lift (core func $m "text") (memory $mem) (realloc $realloc)))
    (export "passed" (func $text)))"#;

type TextFunc = component::TypedFunc<(u32,), (String,)>;

fn component_linker(engine: &Engine, dynamic: bool) -> component::Linker<u32> {
    let mut linker = component::Linker::new(engine);
    if dynamic {
        let mut root = linker.root();
        let wait = root.func_new_async("wait", |mut store, _, params, results| {
            Box::pin(async move {
                let component::Val::U32(n) = params[0] else { return Err(Error::msg("not a number")) };
                turns(n as i32).await;
                *store.data_mut() += n;
                results[0] = component::Val::String(n.to_string());
                Ok(())
            })
        });
        wait.map(drop).unwrap();
    } else {
        let mut root = linker.root();
        let wait = root.func_wrap_async("wait", |mut store, (n,): (u32,)| {
            Box::pin(async move {
                turns(n as i32).await;
                *store.data_mut() += n;
                Ok((n.to_string(),))
            })
        });
        wait.map(drop).unwrap();
    }
    linker
}

#[test]
fn components_wait() {
    let engine = Engine::default();
    let inner = Component::new(&engine, COMPONENT).unwrap();
    for dynamic in [false, true] {
        let mut store = Store::new(&engine, 0);
        let pre = component_linker(&engine, dynamic).instantiate_pre(&inner).unwrap();
        let made = finish(async { pre.instantiate_async(&mut store).await.map_err(Error::host) });
        let (instance, _) = made.unwrap();
        let text: TextFunc = instance.get_typed_func(&mut store, "text").unwrap();
        assert_eq!(finish(text.call_async(&mut store, (3,))).unwrap(), (("3".to_owned(),), 3));
        // By values.
        let func = instance.get_func(&mut store, "text").unwrap();
        let mut results = [component::Val::Bool(false)];
        finish(func.call_async(&mut store, &[component::Val::U32(2)], &mut results)).unwrap();
        assert_eq!(results, [component::Val::String("2".into())]);
        // A destructor waits, when the guest drops the handle.
        let dropping = instance.get_typed_func::<(u32,), ()>(&mut store, "drop").unwrap();
        assert_eq!(finish(dropping.call_async(&mut store, (4,))).unwrap(), ((), 4));
        // When the host does, on no stack of its own, it cannot.
        let make = instance.get_typed_func::<(u32,), (ResourceAny,)>(&mut store, "make").unwrap();
        let (ready, waits) = (make.call(&mut store, (0,)).unwrap().0, make.call(&mut store, (1,)).unwrap().0);
        assert!(ready.drop(&mut store).is_ok());
        let error = waits.drop(&mut store).unwrap_err();
        assert!(matches!(error, Error::Usage(UsageError::CannotSuspend)), "{error}");
        assert_eq!((*store.data(), engine.own_stacks().0), (9, 0));
    }
}

#[test]
fn a_component_waits_within_another() {
    let engine = Engine::default();
    let (inner, outer) = (Component::new(&engine, COMPONENT).unwrap(), Component::new(&engine, OUTER).unwrap());
    let mut store = Store::new(&engine, 0);
    let inner = component_linker(&engine, false).instantiate(&mut store, &inner).unwrap();
    let mut linker = component::Linker::new(&engine);
    linker.root().exports(&mut store, &inner).unwrap();
    let outer = linker.instantiate(&mut store, &outer).unwrap();
    let text: TextFunc = outer.get_typed_func(&mut store, "text").unwrap();
    assert_eq!(finish(text.call_async(&mut store, (3,))).unwrap(), (("3".to_owned(),), 3));
    let passed = outer.get_func(&mut store, "passed").unwrap();
    let mut results = [component::Val::Bool(false)];
    let (_, pending) = finish(passed.call_async(&mut store, &[component::Val::U32(2)], &mut results)).unwrap();
    assert_eq!((&results, pending), (&[component::Val::String("2".into())], 2));
    assert_eq!(engine.own_stacks().0, 0);
}

#[test]
fn a_component_that_only_passes_a_function_on_waits_in_it() {
    let engine = Engine::default();
    let text = r#"(component
        (import "wait" (func $wait (param "n" u32) (result string))) (export "passed" (func $wait)))"#;
    let passing = Component::new(&engine, text).unwrap();
    for dynamic in [false, true] {
        let mut store = Store::new(&engine, 0);
        let instance = component_linker(&engine, dynamic).instantiate(&mut store, &passing).unwrap();
        let passed = instance.get_func(&mut store, "passed").unwrap();
        let mut results = [component::Val::Bool(false)];
        let ended = finish(passed.call_async(&mut store, &[component::Val::U32(2)], &mut results));
        assert_eq!(ended.map(|(_, pending)| pending).ok(), Some(2));
        assert_eq!(results, [component::Val::String("2".into())]);
    }
}

#[test]
fn a_component_whose_call_is_dropped_is_not_entered_again() {
    let engine = Engine::default();
    let inner = Component::new(&engine, COMPONENT).unwrap();
    let mut store = Store::new(&engine, 0);
    let instance = component_linker(&engine, false).instantiate(&mut store, &inner).unwrap();
    let text: TextFunc = instance.get_typed_func(&mut store, "text").unwrap();
    let mut call = Box::pin(text.call_async(&mut store, (3,)));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(call);
    let error = text.call(&mut store, (0,)).unwrap_err();
    assert_eq!(error.trap().map(Trap::code), Some(TrapCode::CannotEnterComponent));
    assert_eq!((*store.data(), engine.own_stacks().0), (0, 0));
}
