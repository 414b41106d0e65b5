//! Traps, host errors, panics and stack overflows, wherever they can happen.
//!
//! Promises: whatever ends a computation, the host gets a typed error or its own panic back, and the store goes on
//! working ([spec](https://webassembly.github.io/spec/core/exec/runtime.html#administrative-instructions)).
//!
//! Invariant: every case ends with a call in the same store that must succeed.
//!
//! Does not know: how unwinding works.

use std::panic::{AssertUnwindSafe, catch_unwind};
use wattest::{
    AsContextMut, Caller, Config, Engine, Error, Func, FuncType, Instance, InstantiateError, Linker, Module, OptLevel,
    Store, Table, TrapCode, Val, ValType,
};

/// How a computation must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Returns,
    Traps(TrapCode),
    HostError(&'static str),
    Panics(&'static str),
}

/// The engines that every case runs on.
fn engines() -> Vec<Engine> {
    let mut configs = vec![Config::new(); 5];
    configs[4].signals_based_traps(false);
    configs[1].opt_level(OptLevel::None);
    configs[2].signals_based_traps(false).explicit_bounds(true);
    configs[3].set("allocation", "pooling").and_then(|config| config.set("pooling-memories", "10")).expect("known");
    configs.iter().map(|config| Engine::new(config).expect("the configuration is sound")).collect()
}

fn end_of(result: std::thread::Result<Result<(), Error>>) -> (End, String) {
    match result {
        Ok(Ok(())) => (End::Returns, String::new()),
        Ok(Err(Error::Trap(trap))) => (End::Traps(trap.code()), trap.backtrace().to_string()),
        Ok(Err(Error::Host(error))) => {
            let text = error.error().to_string();
            (End::HostError(text.leak()), error.backtrace().to_string())
        }
        Ok(Err(other)) => panic!("neither trap nor host error: {other}"),
        Err(payload) => (End::Panics(payload.downcast_ref::<&str>().copied().unwrap_or("no text")), String::new()),
    }
}

/// What the host functions of a case do.
fn linker(engine: &Engine) -> Linker<u32> {
    let mut linker = Linker::new(engine);
    let define = |linker: &mut Linker<u32>| -> Result<(), wattest::LinkError> {
        linker.func_wrap("host", "fail", || -> Result<(), Error> { Err(Error::msg("the host failed")) })?;
        linker.func_wrap("host", "trap", || -> Result<(), Error> {
            Err(wattest::Error::from(wattest::Trap::new(TrapCode::IntegerOverflow)))
        })?;
        linker.func_wrap("host", "panic", || -> () {
            // As a panic, without the message.
            std::panic::resume_unwind(Box::new("the host panicked"))
        })?;
        linker.func_wrap("host", "nothing", || ())?;
        // Many stack arguments, for tail calls out of small frames.
        linker.func_wrap(
            "host",
            "wide",
            |a: i64,
             _: i64,
             _: i64,
             _: i64,
             _: i64,
             _: i64,
             _: i64,
             _: i64,
             _: i64,
             _: f64,
             b: i64|
             -> Result<i64, Error> { if a == 7 { Err(Error::msg("the host failed")) } else { Ok(a + b) } },
        )?;
        linker.func_wrap("host", "call", |mut caller: Caller<'_, u32>, func: Option<Func>| -> Result<(), Error> {
            *caller.data_mut() += 1;
            func.ok_or_else(|| Error::msg("null"))?.call(&mut caller, &[], &mut [])
        })?;
        linker.func_wrap("host", "export", |mut caller: Caller<'_, u32>, depth: i32| -> Result<(), Error> {
            let down =
                caller.get_export("down").and_then(wattest::Extern::into_func).ok_or_else(|| Error::msg("none"))?;
            down.typed::<i32, ()>(&caller)?.call(&mut caller, depth - 1)
        })?;
        Ok(())
    };
    define(&mut linker).expect("the names are distinct");
    linker
}

const IMPORTS: &str = r#"
    (import "host" "fail" (func $fail)) (import "host" "trap" (func $trap)) (import "host" "panic" (func $panic))
    (import "host" "nothing" (func $nothing)) (import "host" "call" (func $call (param funcref)))
    (import "host" "export" (func $export (param i32)))
    (import "host" "wide" (func $wide (param i64 i64 i64 i64 i64 i64 i64 i64 i64 f64 i64) (result i64)))
    (memory (export "memory") 1) (table $table 10 funcref)
    (func (export "fine") (result i32) (i32.const 42))
    (func $ok)
    (elem declare func $fail $trap $panic $nothing $ok)
"#;

/// Instantiates a module of the imports above and `text`, calls its export `run` if it has one, and compares the end.
fn check(text: &str, expected: End) {
    for engine in engines() {
        let module = Module::new(&engine, format!("(module {IMPORTS} {text})")).expect("the module is valid");
        let linker = linker(&engine);
        let mut store = Store::new(&engine, 0);
        let fine = Module::new(&engine, format!("(module {IMPORTS})")).expect("the module is valid");
        let fine = linker.instantiate(&mut store, &fine).expect("there is no start function");
        for _ in 0..3 {
            let result = catch_unwind(AssertUnwindSafe(|| run(&linker, &mut store, &module)));
            let (end, backtrace) = end_of(result);
            assert_eq!(end, expected, "{text}\n{backtrace}");
            let mut results = [Val::I32(0)];
            let func = fine.get_func(&store, "fine").expect("it is exported");
            func.call(&mut store, &[], &mut results).expect("the store still works");
            assert_eq!(results[0], Val::I32(42), "{text}");
        }
    }
}

fn run(linker: &Linker<u32>, store: &mut Store<u32>, module: &Module) -> Result<(), Error> {
    let instance = match linker.instantiate(&mut *store, module) {
        Ok(instance) => instance,
        Err(InstantiateError::Start(error)) => return Err(error),
        Err(other) => panic!("{other}"),
    };
    match instance.get_func(&*store, "run") {
        Some(func) => func.call(store, &[], &mut []),
        None => Ok(()),
    }
}

#[test]
fn in_the_start_function_and_in_segments() {
    check("(start $ok)", End::Returns);
    check("(func $f unreachable) (start $f)", End::Traps(TrapCode::Unreachable));
    check("(start $fail)", End::HostError("the host failed"));
    check("(start $trap)", End::Traps(TrapCode::IntegerOverflow));
    check("(start $panic)", End::Panics("the host panicked"));
    check("(func $f (call $call (ref.func $panic))) (start $f)", End::Panics("the host panicked"));
    check("(func $f (call $f)) (start $f)", End::Traps(TrapCode::StackOverflow));
    check(r#"(data (i32.const 65536) "x")"#, End::Traps(TrapCode::MemoryOutOfBounds));
    check(r#"(data (i32.const 65536) "")"#, End::Returns);
    check(r#"(data (i32.const -1) "")"#, End::Traps(TrapCode::MemoryOutOfBounds));
    check("(elem (i32.const 10) func $ok)", End::Traps(TrapCode::TableOutOfBounds));
    check("(elem (i32.const 10) func)", End::Returns);
}

#[test]
fn in_compiled_code() {
    check(r#"(func (export "run") unreachable)"#, End::Traps(TrapCode::Unreachable));
    check(r#"(func (export "run") (drop (i32.load (i32.const 65533))))"#, End::Traps(TrapCode::MemoryOutOfBounds));
    check(
        r#"(func (export "run") (drop (i64.load offset=0xffffffff (i32.const -1))))"#,
        End::Traps(TrapCode::MemoryOutOfBounds),
    );
    check(
        r#"(func (export "run") (i32.store8 (i32.const 65536) (i32.const 1)))"#,
        End::Traps(TrapCode::MemoryOutOfBounds),
    );
    check(
        r#"(func (export "run") (drop (i32.div_s (i32.const 1) (i32.const 0))))"#,
        End::Traps(TrapCode::IntegerDivideByZero),
    );
    check(
        r#"(func (export "run") (drop (i64.div_s (i64.const 0x8000000000000000) (i64.const -1))))"#,
        End::Traps(TrapCode::IntegerOverflow),
    );
    check(r#"(func (export "run") (drop (i32.rem_s (i32.const 0x80000000) (i32.const -1))))"#, End::Returns);
    check(r#"(func (export "run") (drop (i32.trunc_f64_u (f64.const -1))))"#, End::Traps(TrapCode::IntegerOverflow));
    check(
        r#"(func (export "run") (drop (i32.trunc_f64_u (f64.const nan))))"#,
        End::Traps(TrapCode::InvalidConversionToInteger),
    );
    check(r#"(func (export "run") (call_indirect (i32.const 10)))"#, End::Traps(TrapCode::UndefinedElement));
    check(r#"(func (export "run") (call_indirect (i32.const 9)))"#, End::Traps(TrapCode::UninitializedElement));
    check(
        r#"(elem (i32.const 0) func $call) (func (export "run") (call_indirect (i32.const 0)))"#,
        End::Traps(TrapCode::IndirectCallTypeMismatch),
    );
    check(
        r#"(func (export "run") (table.set (i32.const 10) (ref.null func)))"#,
        End::Traps(TrapCode::TableOutOfBounds),
    );
    check(
        r#"(func (export "run") (memory.fill (i32.const 65536) (i32.const 0) (i32.const 1)))"#,
        End::Traps(TrapCode::MemoryOutOfBounds),
    );
    check(
        r#"(func (export "run") (memory.copy (i32.const 0) (i32.const -1) (i32.const 2)))"#,
        End::Traps(TrapCode::MemoryOutOfBounds),
    );
}

#[test]
fn in_host_functions_and_below_them() {
    check(r#"(func (export "run") (call $fail))"#, End::HostError("the host failed"));
    check(r#"(func (export "run") (call $trap))"#, End::Traps(TrapCode::IntegerOverflow));
    check(r#"(func (export "run") (call $panic))"#, End::Panics("the host panicked"));
    check(r#"(func (export "run") (return_call $fail))"#, End::HostError("the host failed"));
    check(r#"(func (export "run") (return_call $panic))"#, End::Panics("the host panicked"));
    check(r#"(export "run" (func $fail))"#, End::HostError("the host failed"));
    check(r#"(export "run" (func $panic))"#, End::Panics("the host panicked"));
    let nested = |inner: &str| {
        format!(
            r#"(func $inner {inner}) (elem declare func $inner)
           (func $middle (call $call (ref.func $inner))) (elem declare func $middle)
           (func $outer (call $call (ref.func $middle))) (elem declare func $outer)
           (func (export "run") (call $call (ref.func $outer)))"#
        )
    };
    check(&nested("nop"), End::Returns);
    check(&nested("unreachable"), End::Traps(TrapCode::Unreachable));
    check(&nested("(drop (i32.load (i32.const -4)))"), End::Traps(TrapCode::MemoryOutOfBounds));
    check(&nested("(call $fail)"), End::HostError("the host failed"));
    check(&nested("(call $panic)"), End::Panics("the host panicked"));
    check(&nested("(call $inner)"), End::Traps(TrapCode::StackOverflow));
    check(&nested("(call $call (ref.null func))"), End::HostError("null"));
}

#[test]
fn in_tail_called_host_functions_with_stack_arguments() {
    let tail = |first: i32| {
        format!(
            r#"(func $small (param i64) (result i64)
             (return_call $wide (local.get 0) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6)
               (i64.const 7) (i64.const 8) (i64.const 9) (f64.const 10) (i64.const 11)))
           (func (export "run") (local i32)
             (loop
               (if (i64.ne (call $small (i64.const {first})) (i64.const {}))
                 (then unreachable))
               (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000)))))"#,
            first + 11
        )
    };
    check(&tail(1), End::Returns);
    check(&tail(7), End::HostError("the host failed"));
}

#[test]
fn with_many_frames() {
    let deep = |end: &str| {
        format!(
            r#"(func $down (param i32)
             (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1)))) (else {end})))
           (func (export "run") (call $down (i32.const 2000)))"#
        )
    };
    check(&deep("nop"), End::Returns);
    check(&deep("unreachable"), End::Traps(TrapCode::Unreachable));
    check(&deep("(call $fail)"), End::HostError("the host failed"));
    check(&deep("(call $panic)"), End::Panics("the host panicked"));
    // Each level is a frame of the guest, one of the host and an entry.
    let mixed = |levels: u32, end: &str| {
        format!(
            r#"(func $down (export "down") (param i32)
             (if (local.get 0) (then (call $export (local.get 0))) (else {end})))
           (func (export "run") (call $down (i32.const {levels})))"#
        )
    };
    check(&mixed(50, "nop"), End::Returns);
    check(&mixed(50, "unreachable"), End::Traps(TrapCode::Unreachable));
    check(&mixed(50, "(call $fail)"), End::HostError("the host failed"));
    check(&mixed(50, "(call $panic)"), End::Panics("the host panicked"));
    check(&mixed(1_000_000, "nop"), End::Traps(TrapCode::StackOverflow));
}

#[test]
fn stack_overflows() {
    let overflow = End::Traps(TrapCode::StackOverflow);
    check(r#"(func $f (export "run") (call $f))"#, overflow);
    check(
        r#"(func $f (result i32) (i32.add (call $f) (i32.const 1))) (func (export "run") (drop (call $f)))"#,
        overflow,
    );
    check(
        r#"(func $f (export "run") (call $g)) (func $g (call_indirect (i32.const 0))) (elem (i32.const 0) func $f)"#,
        overflow,
    );
    // Tail calls take no stack.
    check(
        r#"(func $f (param i32) (if (local.get 0) (then (return_call $f (i32.sub (local.get 0) (i32.const 1))))))
             (func (export "run") (call $f (i32.const 1000000)))"#,
        End::Returns,
    );
}

/// A single frame that is larger than the stack that is left.
#[test]
fn a_frame_larger_than_the_stack() {
    let loads = (0..5_000).map(|n| format!("(local.set {n} (v128.load (i32.const {n})))\n")).collect::<String>();
    let stores = (0..5_000).map(|n| format!("(v128.store (i32.const {n}) (local.get {n}))\n")).collect::<String>();
    let text = format!(
        r#"(module (import "" "" (func $nothing)) (memory 1)
             (func (export "run") (local{}) {loads} (call $nothing) {stores}))"#,
        " v128".repeat(5_000)
    );
    for (stack_bytes, fits) in [(1 << 20, true), (64 << 10, false), (0, false)] {
        let engine = Engine::new(Config::new().max_wasm_stack(stack_bytes)).expect("the configuration is sound");
        let module = Module::new(&engine, &text).expect("the module is valid");
        let mut store = Store::new(&engine, ());
        let nothing = Func::wrap(&mut store, || ());
        let instance = Instance::new(&mut store, &module, &[nothing.into()]).expect("it has its import");
        let run = instance.get_typed_func::<(), ()>(&store, "run").expect("it is exported");
        for _ in 0..3 {
            let code = run.call(&mut store, ()).err().and_then(|error| error.trap().map(wattest::Trap::code));
            assert_eq!(code, (!fits).then_some(TrapCode::StackOverflow), "{stack_bytes} bytes of stack");
        }
    }
}

/// Host functions that call each other with no compiled code between them.
#[test]
fn host_functions_that_call_themselves() {
    for engine in engines() {
        let mut store = Store::new(&engine, 0u64);
        let ty = FuncType::new([ValType::Ref(wattest::RefType::FUNC)], []);
        let apply = Func::new(&mut store, ty, |mut caller, params, _| {
            *caller.data_mut() += 1;
            match params[0] {
                Val::FuncRef(Some(func)) => func.call(&mut caller, params, &mut []),
                _ => Ok(()),
            }
        });
        apply.call(&mut store, &[Val::FuncRef(None)], &mut []).expect("it ends at null");
        for _ in 0..3 {
            let error = apply.call(&mut store, &[apply.into()], &mut []).expect_err("it never ends");
            assert_eq!(error.trap().map(wattest::Trap::code), Some(TrapCode::StackOverflow), "{error}");
        }
        apply.call(&mut store, &[Val::FuncRef(None)], &mut []).expect("the store still works");
        assert!(*store.data() > 100, "there was hardly any stack");
    }
}

/// Stores that enter each other share the stack of their thread.
#[test]
fn stores_within_stores() {
    fn enter(engine: &Engine, module: &Module, depth: u32) -> Result<u32, Error> {
        let mut store = Store::new(engine, 0);
        let (inner_engine, inner_module) = (engine.clone(), module.clone());
        let deeper = Func::wrap(&mut store, move |mut caller: Caller<'_, u32>| -> Result<(), Error> {
            let reached = enter(&inner_engine, &inner_module, depth + 1).unwrap_or_else(|error| {
                assert_eq!(error.trap().map(wattest::Trap::code), Some(TrapCode::StackOverflow), "{error}");
                depth
            });
            *caller.data_mut() = reached;
            Ok(())
        });
        let instance = Instance::new(&mut store, module, &[deeper.into()])?;
        instance.get_typed_func::<(), ()>(&store, "run")?.call(&mut store, ())?;
        Ok(*store.data())
    }
    let engine = Engine::default();
    let text = r#"(module (import "" "" (func $deeper)) (func (export "run") (call $deeper)))"#;
    let module = Module::new(&engine, text).expect("the module is valid");
    let reached = enter(&engine, &module, 0).expect("the outermost store has stack enough");
    assert!(reached > 5, "only {reached} stores deep");
}

#[test]
fn traps_name_their_frames() {
    for engine in engines() {
        let text = r#"(module $named (table 1 funcref) (elem (i32.const 0) $leaf)
            (func $leaf (drop (i32.div_u (i32.const 1) (i32.const 0))))
            (func $indirect (call_indirect (i32.const 0)))
            (func (export "run") (call $indirect)))"#;
        let module = Module::new(&engine, text).expect("the module is valid");
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("it needs nothing");
        let run = instance.get_typed_func::<(), ()>(&store, "run").expect("it is exported");
        let error = run.call(store.as_context_mut(), ()).expect_err("it divides by zero");
        let trap = error.trap().expect("it is a trap");
        let frames = trap.backtrace().frames();
        let names = frames.iter().map(|frame| frame.func_name.as_deref().unwrap_or("?")).collect::<Vec<_>>();
        assert_eq!(names, ["leaf", "indirect", "run"], "{}", trap.backtrace());
        assert!(frames.iter().all(|frame| frame.module_name.as_deref() == Some("named")));
        assert!(frames.iter().all(|frame| frame.wasm_offset.is_some_and(|offset| offset > 8)), "{}", trap.backtrace());
    }
}

/// A table keeps the functions of an instance whose start function trapped.
#[test]
fn functions_of_a_failed_instance_work() {
    for engine in engines() {
        let mut store = Store::new(&engine, ());
        let ty = wattest::TableType { element: wattest::RefType::FUNC, table64: false, minimum: 2, maximum: None };
        let table = Table::new(&mut store, ty, Val::FuncRef(None)).expect("there is room");
        let text = r#"(module (import "" "" (table 2 funcref)) (memory 1) (func $f (result i32) (i32.load (i32.const 0)))
            (data (i32.const 0) "\2a") (elem (i32.const 0) $f) (func $start unreachable) (start $start))"#;
        let module = Module::new(&engine, text).expect("the module is valid");
        let failed = Instance::new(&mut store, &module, &[table.into()]);
        assert!(matches!(failed, Err(InstantiateError::Start(Error::Trap(_)))));
        let Some(Val::FuncRef(Some(func))) = table.get(&store, 0) else { panic!("the segment was not applied") };
        let mut results = [Val::I32(0)];
        func.call(&mut store, &[], &mut results).expect("the function is whole");
        assert_eq!(results[0], Val::I32(42));
    }
}
