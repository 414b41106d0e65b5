//! Fuel and epochs.
//!
//! Promises: fuel is counted by the instructions that run and nothing else; a deadline interrupts any loop
//! ([spec](https://webassembly.github.io/spec/core/appendix/implementation.html)).
//!
//! Invariant: after an interruption the store works again as soon as it has fuel or time.
//!
//! Does not know: where compiled code polls.

use std::panic::{AssertUnwindSafe, catch_unwind};
use wattest::{
    Caller, Config, Engine, Error, Instance, Linker, Module, OptLevel, RegAlloc, Store, TrapCode, TypedFunc,
};

const TEXT: &str = r#"(module
    (import "" "host" (func $host (param i32) (result i32)))
    (memory 1) (table funcref (elem $leaf))
    (func $leaf (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
    (func (export "sum") (param $n i32) (result i32) (local $sum i32)
        (block $done (loop $again
            (br_if $done (i32.eqz (local.get $n)))
            (local.set $sum (i32.add (local.get $sum)
                (call_indirect (param i32) (result i32) (local.get $n) (i32.const 0))))
            (if (i32.and (local.get $n) (i32.const 1))
                (then (local.set $sum (call $host (local.get $sum))))
                (else (i32.store (i32.const 8) (local.get $sum))))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $again)))
        (local.get $sum))
    (func $rec (export "rec") (param i32) (result i32)
        (if (result i32) (local.get 0)
            (then (return_call $rec (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 7))))
    (func (export "trap") (param i32) (result i32) (drop (call $leaf (i32.const 1))) unreachable)
    (func (export "forever") (param i32) (result i32) (loop $l (br $l)) unreachable)
    (func $out (export "out") (param i32) (result i32) (call $out (local.get 0)) drop unreachable))"#;

struct Run {
    store: Store<u32>,
    instance: Instance,
}

impl Run {
    fn new(config: &Config) -> Run {
        let engine = Engine::new(config).expect("the configuration is sound");
        let module = Module::new(&engine, TEXT).expect("the module is valid");
        let mut linker = Linker::new(&engine);
        linker.func_wrap("", "host", |_: Caller<'_, u32>, x: i32| x.wrapping_add(1)).expect("the name is free");
        let mut store = Store::new(&engine, 0);
        let instance = linker.instantiate(&mut store, &module).expect("its import is there");
        Run { store, instance }
    }

    fn call(&mut self, name: &str, argument: i32) -> Result<i32, Error> {
        let func: TypedFunc<i32, i32> = self.instance.get_typed_func(&self.store, name).expect("it is exported");
        func.call(&mut self.store, argument)
    }
}

#[track_caller]
fn check(result: Result<i32, Error>, expected: Result<i32, TrapCode>) {
    let result = result.map_err(|error| error.trap().map(wattest::Trap::code).ok_or(error));
    match (result, expected) {
        (Ok(value), Ok(expected)) => assert_eq!(value, expected),
        (Err(Ok(code)), Err(expected)) => assert_eq!(code, expected),
        other => panic!("{other:?}"),
    }
}

/// Configurations that must count the same.
fn fuel_configs() -> Vec<Config> {
    let mut configs = vec![Config::new(); 6];
    configs[1].opt_level(OptLevel::None);
    configs[2].opt_level(OptLevel::SpeedAndSize);
    configs[3].opt_level(OptLevel::None).regalloc(RegAlloc::SinglePass);
    configs[4].explicit_bounds(true).signals_based_traps(false);
    configs[5].epoch(true);
    for config in &mut configs {
        config.fuel(true);
    }
    configs
}

#[test]
fn fuel_is_exact() {
    let mut counts = Vec::new();
    for config in fuel_configs() {
        let mut run = Run::new(&config);
        run.store.set_epoch_deadline(u64::MAX);
        let mut used = Vec::new();
        for _ in 0..3 {
            for (name, argument) in [("sum", 0), ("sum", 1), ("sum", 1000), ("rec", 1000), ("trap", 0)] {
                run.store.set_fuel(1_000_000).expect("fuel is on");
                let ended = run.call(name, argument);
                assert_eq!(ended.is_err(), name == "trap");
                used.push(1_000_000 - run.store.fuel().expect("fuel is on"));
            }
        }
        assert_eq!(used[..5], used[5..10]);
        assert_eq!(used[..5], used[10..]);
        counts.push(used);
    }
    assert!(counts[0][2] > 5_000 && counts[0][4] > 0, "{:?}", counts[0]);
    assert!(counts.iter().all(|used| *used == counts[0]), "{counts:?}");
}

#[test]
fn out_of_fuel() {
    for config in fuel_configs() {
        let mut run = Run::new(&config);
        run.store.set_epoch_deadline(u64::MAX);
        // A new store has none.
        check(run.call("rec", 10), Err(TrapCode::OutOfFuel));
        for fuel in [0, 1, 100, 10_000] {
            run.store.set_fuel(fuel).expect("fuel is on");
            check(run.call("forever", 0), Err(TrapCode::OutOfFuel));
            assert_eq!(run.store.fuel().ok(), Some(0));
            check(run.call("out", 0), Err(TrapCode::OutOfFuel));
            run.store.set_fuel(1_000).expect("fuel is on");
            check(run.call("rec", 10), Ok(7));
        }
        let all = u64::MAX;
        run.store.set_fuel(all).expect("fuel is on");
        assert_eq!(run.store.fuel().ok(), Some(all));
        check(run.call("rec", 1000), Ok(7));
        let used = all - run.store.fuel().expect("fuel is on");
        run.store.set_fuel(10_000).expect("fuel is on");
        check(run.call("rec", 1000), Ok(7));
        assert_eq!(run.store.fuel().ok(), Some(10_000 - used));
        // Across the boundary at which the reserve is tapped.
        run.store.set_fuel(i64::MAX as u64 + 3).expect("fuel is on");
        assert_eq!(run.store.fuel().ok(), Some(i64::MAX as u64 + 3));
        check(run.call("out", 0), Err(TrapCode::StackOverflow));
    }
}

#[test]
fn fuel_needs_its_option() {
    let mut run = Run::new(&Config::new());
    let errors = [run.store.set_fuel(1).err(), run.store.fuel().err()];
    for error in errors {
        assert_eq!(error.map(|error| error.to_string()).as_deref(), Some("this needs the engine option `fuel`"));
    }
}

fn epoch_run() -> Run {
    let mut run = Run::new(Config::new().epoch(true));
    run.store.set_epoch_deadline(1);
    run
}

#[test]
fn a_deadline_traps() {
    let mut run = epoch_run();
    check(run.call("rec", 10), Ok(7));
    run.store.engine().increment_epoch();
    for name in ["rec", "sum", "forever", "out"] {
        check(run.call(name, 10), Err(TrapCode::Interrupted));
    }
    run.store.set_epoch_deadline(1);
    check(run.call("rec", 10), Ok(7));
    run.store.set_epoch_deadline(u64::MAX);
    run.store.engine().increment_epoch();
    check(run.call("rec", 10), Ok(7));
    run.store.set_epoch_deadline(0);
    check(run.call("rec", 10), Err(TrapCode::Interrupted));
}

#[test]
fn a_callback_extends_a_deadline() {
    let mut run = epoch_run();
    run.store.epoch_deadline_callback(|asked| {
        *asked += 1;
        match *asked {
            5 => Err(Error::msg("enough")),
            6 => std::panic::resume_unwind(Box::new("too much")),
            _ => Ok(0),
        }
    });
    run.store.engine().increment_epoch();
    let error = run.call("forever", 0).expect_err("the callback ends it");
    assert_eq!((error.to_string().as_str(), *run.store.data()), ("enough", 5));
    let payload = catch_unwind(AssertUnwindSafe(|| run.call("forever", 0))).expect_err("the callback panics");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"too much"));
    check(run.call("rec", 10), Ok(7));
    assert!(*run.store.data() > 6, "the callback was lost");
}

#[test]
fn another_thread_interrupts_a_loop() {
    let mut run = epoch_run();
    let engine = run.store.engine().clone();
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let ticker = std::thread::spawn(move || {
        while receive.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            engine.increment_epoch();
            std::thread::yield_now();
        }
    });
    for _ in 0..20 {
        run.store.set_epoch_deadline(3);
        check(run.call("forever", 0), Err(TrapCode::Interrupted));
    }
    drop(send);
    ticker.join().expect("the ticker does not panic");
}
