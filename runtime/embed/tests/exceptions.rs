//! Exceptions seen by the host and by guests: every way in which one is thrown, travels and ends.
//!
//! Promises: the [exception rules](https://webassembly.github.io/spec/core/exec/instructions.html#exec-throw-ref) hold in
//! every configuration that changes how frames, traps or calls look, and an exception leaves nothing behind.
//!
//! Invariant: every case runs in every configuration, compiled afresh and reloaded from its artifact.
//!
//! Does not know: how frames are unwound.

use std::error::Error as StdError;
use wattest::{
    Caller, Config, Engine, Error, ExnRef, Extern, Feature, FuncType, Instance, InstantiateError, Linker, Module,
    Store, Tag, TrapCode, UsageError, Val, ValType,
};

type Tested = Result<(), Box<dyn StdError>>;

const CONFIGURATIONS: &[&[(&str, &str)]] = &[
    &[],
    &[("opt-level", "none"), ("regalloc", "single-pass")],
    &[("signals-based-traps", "false")],
    &[("fuel", "true"), ("epoch", "true")],
    &[("call-path", "entry")],
    // Every allocation collects, and moves every exception.
    &[("gc-stress", "true")],
];

fn engines() -> Vec<Engine> {
    let engine = |options: &&[(&str, &str)]| {
        let mut config = Config::new();
        for (key, value) in *options {
            config.set(key, value).unwrap();
        }
        config.feature(Feature::LegacyExceptions, true);
        Engine::new(&config).unwrap()
    };
    CONFIGURATIONS.iter().map(engine).collect()
}

fn new_store(engine: &Engine) -> Store<Vec<i32>> {
    let mut store = Store::new(engine, Vec::new());
    let _ = store.set_fuel(u64::MAX);
    store.set_epoch_deadline(1 << 40);
    store
}

/// Both forms of a module: compiled, and loaded from its artifact.
fn modules(engine: &Engine, text: &str) -> [Module; 2] {
    let module = Module::new(engine, text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let loaded = module.reload().unwrap();
    [module, loaded]
}

/// Calls export `f` of `text` with each argument; `Err` stands for an exception that gets to the host.
fn check(text: &str, expected: &[(i32, Result<i32, ()>)]) {
    for engine in engines() {
        for module in modules(&engine, text) {
            let mut store = new_store(&engine);
            let instance = Instance::new(&mut store, &module, &[]).unwrap();
            let f = instance.get_typed_func::<i32, i32>(&store, "f").unwrap();
            for (argument, wanted) in expected {
                let given = f.call(&mut store, *argument);
                let given = given.map_err(|error| assert!(error.exception().is_some(), "{error:?}\n{text}"));
                assert_eq!(given, *wanted, "f({argument}) of {text}");
            }
        }
    }
}

#[test]
fn every_kind_of_clause_catches() {
    check(
        r#"(module
        (tag $a (param i32)) (tag $b (param i64 f64)) (tag $c)
        (func $throw (param i32)
            (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $a (i32.const 10))))
            (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $b (i64.const 20) (f64.const 5))))
            (if (i32.eq (local.get 0) (i32.const 3)) (then (throw $c))))
        (func (export "f") (param i32) (result i32)
            (local $e exnref)
            (block $all (result exnref)
                (block $bref (result i64 f64 exnref)
                    (block $a (result i32)
                        (try_table (catch $a $a) (catch_ref $b $bref) (catch_all_ref $all)
                            (call $throw (local.get 0)))
                        (return (i32.const 0)))
                    (return))
                (local.set $e)
                (return (i32.wrap_i64 (i64.add (i64.trunc_f64_s)))))
            (local.set $e)
            (block $c (try_table (catch $c $c) (throw_ref (local.get $e))))
            (i32.const 30)))"#,
        &[(0, Ok(0)), (1, Ok(10)), (2, Ok(25)), (3, Ok(30))],
    );
}

#[test]
fn values_live_across_a_throw() {
    // More than the registers hold, of every type, and locals changed between calls that may throw.
    let text = r#"(module
        (tag $t)
        (func $throw (param i32) (if (local.get 0) (then (throw $t))))
        (func (export "f") (param $n i32) (result i32)
            (local $a i32) (local $b i64) (local $c f32) (local $d f64) (local $v v128)
            (local $p i64) (local $q i64) (local $r i64) (local $s i64) (local $x f64) (local $y f64)
            (local.set $a (i32.const 1)) (local.set $b (i64.const 2)) (local.set $c (f32.const 4))
            (local.set $d (f64.const 8)) (local.set $v (v128.const i32x4 16 0 0 0))
            (local.set $p (i64.extend_i32_u (local.get $n))) (local.set $q (i64.add (local.get $p) (i64.const 1)))
            (local.set $r (i64.add (local.get $p) (i64.const 2))) (local.set $s (i64.add (local.get $p) (i64.const 3)))
            (local.set $x (f64.convert_i32_u (local.get $n))) (local.set $y (f64.neg (local.get $x)))
            (block $caught
                (try_table (catch_all $caught)
                    (call $throw (i32.eq (local.get $n) (i32.const 0)))
                    (local.set $a (i32.const 100))
                    (call $throw (i32.eq (local.get $n) (i32.const 1)))
                    (local.set $a (i32.const 200))
                    (call $throw (i32.eq (local.get $n) (i32.const 2)))
                    (local.set $a (i32.const 300))))
            (i32.add (local.get $a) (i32.add (i32.wrap_i64 (local.get $b))
                (i32.add (i32.trunc_f32_s (local.get $c)) (i32.add (i32.trunc_f64_s (local.get $d))
                (i32.add (i32x4.extract_lane 0 (local.get $v))
                (i32.add (i32.trunc_f64_s (f64.add (local.get $x) (local.get $y)))
                (i32.wrap_i64 (i64.sub (i64.add (local.get $q) (local.get $s)) (i64.add (local.get $p) (local.get $r)))))))))))
        )"#;
    // q + s - p - r = 2
    check(text, &[(0, Ok(33)), (1, Ok(132)), (2, Ok(232)), (3, Ok(332))]);
}

#[test]
fn stack_arguments_and_results_in_memory_do_not_shift_frames() {
    let params = "i32 ".repeat(20);
    let zeros = "(i32.const 3) ".repeat(20);
    let text = format!(
        r#"(module
        (tag $t (param i32))
        (func $many (param {params}) (result i32 i32 i32 i32 i32 i32)
            (if (i32.and (local.get 19) (i32.const 1)) (then (throw $t (local.get 19))))
            (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5))
        (func (export "f") (param $n i32) (result i32) (local $i i32) (local $sum i32)
            (loop $again
                (block $done
                    (block $caught (result i32)
                        (try_table (catch $t $caught)
                            {nineteen} (i32.add (local.get $i) (i32.const 0)) (call $many)
                            (local.set $sum (i32.add (local.get $sum)))
                            drop drop drop drop drop)
                        (br $done))
                    (local.set $sum (i32.add (local.get $sum) (i32.const 1000)))
                    drop)
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (local.get $n))))
            (local.get $sum)))"#,
        nineteen = zeros.trim_end().rsplit_once('(').unwrap().0,
    );
    let text = text.replace(
        "(local.set $sum (i32.add (local.get $sum) (i32.const 1000)))\n                    drop",
        "(local.set $sum (i32.add (i32.const 1000) (local.get $sum)))\n                    drop",
    );
    check(&text, &[(1, Ok(3)), (2, Ok(1003)), (20_000, Ok(10_030_000))]);
}

#[test]
fn a_tail_call_leaves_the_scope_of_its_frame() {
    let wide = "(i32.const 9) ".repeat(16);
    let params = "i32 ".repeat(16);
    check(
        &format!(
            r#"(module
        (tag $t (param i32))
        (func $throw (param i32) (result i32) (throw $t (local.get 0)))
        (func $wide (param {params}) (result i32) (throw $t (local.get 15)))
        (func $tail (param i32) (result i32)
            (block $never (result i32)
                (try_table (result i32) (catch $t $never)
                    (if (i32.eqz (local.get 0)) (then (return_call $wide {wide})))
                    (return_call $throw (local.get 0)))
                (unreachable)))
        (func $caught (param i32) (result i32)
            (block $yes (result i32)
                (try_table (result i32) (catch $t $yes) (call $tail (local.get 0)))
                (unreachable))
            (i32.add (i32.const 100)))
        (func (export "f") (param i32) (result i32) (local $i i32)
            (if (i32.eq (local.get 0) (i32.const 7)) (then (return_call $tail (local.get 0))))
            (loop $again
                (drop (call $caught (i32.and (local.get $i) (i32.const 1))))
                (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10000))))
            (call $caught (local.get 0))))"#
        ),
        &[(1, Ok(101)), (0, Ok(109)), (7, Err(())), (1, Ok(101))],
    );
}

#[test]
fn a_throw_finds_the_innermost_clause_that_wants_it() {
    check(
        r#"(module
        (tag $a) (tag $b) (tag $c)
        (func $throw (param i32)
            (block (block (block (br_table 0 1 2 (local.get 0))) (throw $a)) (throw $b)) (throw $c))
        (func $middle (param i32) (result i32)
            (block $x (try_table (catch $a $x) (call $throw (local.get 0))) (return (i32.const -1)))
            (i32.const 1))
        (func (export "f") (param i32) (result i32)
            (block $b
                (try_table (catch $b $b)
                    (block $never
                        (try_table (catch $a $never)
                            (return (call $middle (local.get 0)))))
                    (unreachable))
                (unreachable))
            (i32.const 2)))"#,
        &[(0, Ok(1)), (1, Ok(2)), (2, Err(())), (0, Ok(1))],
    );
}

#[test]
fn throws_within_a_function_reach_its_own_clauses() {
    check(
        r#"(module
        (tag $a (param i32 i64)) (tag $b (param i32 i64))
        (func (export "f") (param i32) (result i32) (local $e exnref)
            (block $out (result i32 i64)
                (block $again (result i32 i64 exnref)
                    (try_table (catch $a $out) (catch_ref $b $again)
                        (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $a (i32.const 5) (i64.const 6))))
                        (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $b (i32.const 7) (i64.const 8))))
                        (loop $l
                            (if (i32.gt_u (local.get 0) (i32.const 10))
                                (then (throw $a (local.get 0) (i64.const 1))))
                            (local.set 0 (i32.add (local.get 0) (i32.const 4)))
                            (br $l)))
                    (unreachable))
                (local.set $e)
                (try_table (catch $b $out) (throw_ref (local.get $e)))
                (unreachable))
            (i32.wrap_i64) (i32.add)))"#,
        &[(1, Ok(11)), (2, Ok(15)), (3, Ok(12)), (10, Ok(15))],
    );
}

#[test]
fn deep_frames_are_unwound() {
    check(
        r#"(module
        (tag $t (param i32))
        (func $down (param i32) (result i32)
            (if (i32.eqz (local.get 0)) (then (throw $t (i32.const 77))))
            (i32.add (call $down (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
        (func (export "f") (param i32) (result i32)
            (block $t (result i32)
                (try_table (result i32) (catch $t $t) (call $down (local.get 0))))))"#,
        &[(0, Ok(77)), (1000, Ok(77)), (1, Ok(77))],
    );
}

#[test]
fn the_legacy_encoding_means_what_it_meant() {
    check(
        r#"(module
        (tag $a (param i32)) (tag $b)
        (func $throw (param i32)
            (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $a (i32.const 10))))
            (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $b)))
            (if (i32.eq (local.get 0) (i32.const 3)) (then (throw $a (i32.const 30)))))
        (func $f (export "f") (param i32) (result i32)
            try (result i32)
                try (result i32)
                    local.get 0
                    call $throw
                    i32.const 0
                catch $a
                    local.get 0
                    i32.const 3
                    i32.eq
                    if
                        rethrow 1
                    end
                catch $b
                    i32.const 20
                end
                i32.const 1
                i32.add
            catch_all
                i32.const 99
            end))"#,
        &[(0, Ok(1)), (1, Ok(11)), (2, Ok(21)), (3, Ok(99))],
    );
    check(
        r#"(module
        (tag $a (param i32))
        (func $throw (param i32) local.get 0 if local.get 0 throw $a end)
        (func (export "f") (param i32) (result i32)
            try $outer (result i32)
                try (result i32)
                    try (result i32)
                        local.get 0
                        call $throw
                        i32.const 1
                    delegate $outer
                catch_all
                    i32.const 50
                end
            catch $a
                i32.const 1000
                i32.add
                try
                    local.get 0
                    call $throw
                delegate 1
            end))"#,
        &[(0, Ok(1)), (5, Err(()))],
    );
    check(
        r#"(module
        (tag $a (param i32))
        (func (export "f") (param i32) (result i32)
            block $b (result i32)
                try (result i32)
                    i32.const 3
                    throw $a
                catch $a
                    try
                        rethrow 1
                    catch_all
                    end
                    br $b
                catch_all
                    unreachable
                end
            end))"#,
        &[(0, Ok(3))],
    );
}

/// What a host function does with the exception of the guest function that it called.
const HOST: &str = r#"(module
    (import "host" "call" (func $host (param i32)))
    (import "host" "tag" (tag $h (param i32)))
    (tag $t (export "tag") (param i32))
    (func (export "throw") (param i32) (throw $t (local.get 0)))
    (func (export "f") (param i32) (result i32)
        (block $mine (result i32)
            (block $host (result i32)
                (try_table (catch $t $mine) (catch $h $host) (call $host (local.get 0)))
                (return (i32.const -1)))
            (return (i32.add (i32.const 1000))))))"#;

#[test]
fn exceptions_cross_host_frames() -> Tested {
    for engine in engines() {
        for module in modules(&engine, HOST) {
            let mut store = new_store(&engine);
            let host_tag = Tag::new(&mut store, FuncType::new([ValType::I32], []))?;
            let mut linker = Linker::new(&engine);
            linker.define(&store, "host", "tag", host_tag)?;
            linker.func_wrap(
                "host",
                "call",
                move |mut caller: Caller<'_, Vec<i32>>, argument: i32| -> Result<(), Error> {
                    let throw = caller.get_export("throw").and_then(Extern::into_func).unwrap();
                    let ended = throw.call(&mut caller, &[Val::I32(argument)], &mut []);
                    caller.data_mut().push(argument);
                    match argument {
                        // Swallowed.
                        0 => Ok(()),
                        1 => Err(ExnRef::new(&mut caller, host_tag, &[Val::I32(5)])?.throw()),
                        2 => Err(Error::msg("an error is no exception")),
                        _ => ended,
                    }
                },
            )?;
            let instance = linker.instantiate(&mut store, &module)?;
            let f = instance.get_typed_func::<i32, i32>(&store, "f")?;
            assert_eq!(f.call(&mut store, 0)?, -1);
            assert_eq!(f.call(&mut store, 1)?, 1005);
            assert_eq!(f.call(&mut store, 2).unwrap_err().to_string(), "an error is no exception");
            assert_eq!(f.call(&mut store, 3)?, 3);
            assert_eq!(f.call(&mut store, 4)?, 4);
            assert_eq!(*store.data(), [0, 1, 2, 3, 4]);
        }
    }
    Ok(())
}

#[test]
fn tags_are_told_apart_by_identity() -> Tested {
    let thrower = r#"(module (tag $t (export "tag") (param i32))
        (func (export "throw") (throw $t (i32.const 1))))"#;
    let catcher = r#"(module
        (import "a" "tag" (tag $a (param i32))) (import "b" "tag" (tag $b (param i32)))
        (import "a" "throw" (func $a)) (import "b" "throw" (func $b))
        (tag $own (param i32))
        (func (export "f") (param i32) (result i32)
            (block $is_own (result i32)
                (block $is_b (result i32)
                    (block $is_a (result i32)
                        (try_table (catch $own $is_own) (catch $b $is_b) (catch $a $is_a)
                            (if (local.get 0) (then (call $b)) (else (call $a))))
                        (unreachable))
                    (return (i32.const 1)))
                (return (i32.const 2)))
            (return (i32.const 3))))"#;
    for engine in engines() {
        let [thrower, _] = modules(&engine, thrower);
        for catcher in modules(&engine, catcher) {
            let mut store = new_store(&engine);
            let a = Instance::new(&mut store, &thrower, &[])?;
            let b = Instance::new(&mut store, &thrower, &[])?;
            let mut linker = Linker::new(&engine);
            linker.instance(&mut store, "a", a)?.instance(&mut store, "b", b)?;
            let f = linker.instantiate(&mut store, &catcher)?.get_typed_func::<i32, i32>(&store, "f")?;
            assert_eq!((f.call(&mut store, 0)?, f.call(&mut store, 1)?), (1, 2));
            // The same instance twice: the first clause gets both.
            let mut linker = Linker::new(&engine);
            linker.instance(&mut store, "a", a)?.instance(&mut store, "b", a)?;
            let f = linker.instantiate(&mut store, &catcher)?.get_typed_func::<i32, i32>(&store, "f")?;
            assert_eq!((f.call(&mut store, 0)?, f.call(&mut store, 1)?), (2, 2));
            assert_ne!(a.get_tag(&store, "tag"), b.get_tag(&store, "tag"));
        }
    }
    Ok(())
}

#[test]
fn an_uncaught_exception_is_a_typed_value() -> Tested {
    let text = r#"(module
        (tag $t (export "tag") (param i32 i64 f32 f64 v128 funcref externref exnref))
        (func $g (export "g"))
        (func (export "f") (param externref)
            (throw $t (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4) (v128.const i64x2 5 6)
                (ref.func $g) (local.get 0) (ref.null exn))))"#;
    for engine in engines() {
        for module in modules(&engine, text) {
            let mut store = new_store(&engine);
            let instance = Instance::new(&mut store, &module, &[])?;
            let value = wattest::ExternRef::new(&mut store, 9u8)?;
            let f = instance.get_func(&store, "f").unwrap();
            let error = f.call(&mut store, &[Val::ExternRef(Some(value.clone()))], &mut []).unwrap_err();
            let Error::Exception(thrown) = &error else { panic!("{error:?}") };
            assert_eq!(error.to_string(), "unhandled exception");
            assert_eq!(thrown.backtrace().frames()[0].func_name.as_deref(), Some("f"));
            let exception = thrown.exception();
            assert_eq!(exception.tag(&mut store)?, instance.get_tag(&store, "tag").unwrap());
            let payload = exception.payload(&mut store)?;
            let g = instance.get_func(&store, "g");
            let wanted = [
                Val::I32(1),
                Val::I64(2),
                Val::F32(3f32.to_bits()),
                Val::F64(4f64.to_bits()),
                Val::V128(5 | 6 << 64),
                Val::FuncRef(g),
                Val::ExternRef(Some(value)),
                Val::Null(wattest::HeapType::Exn),
            ];
            assert_eq!(payload, wanted);
            // The call before left nothing behind.
            instance.get_func(&store, "g").unwrap().call(&mut store, &[], &mut [])?;
        }
    }
    Ok(())
}

#[test]
fn traps_and_errors_are_not_caught() -> Tested {
    let text = r#"(module
        (import "host" "fail" (func $fail))
        (func $forever (param i64) (call $forever (local.get 0)) (drop (i64.add (local.get 0) (i64.const 1))))
        (func $work (param i32)
            (if (i32.eq (local.get 0) (i32.const 0)) (then (unreachable)))
            (if (i32.eq (local.get 0) (i32.const 1)) (then (drop (i32.div_u (i32.const 1) (i32.const 0)))))
            (if (i32.eq (local.get 0) (i32.const 2)) (then (call $forever (i64.const 0))))
            (if (i32.eq (local.get 0) (i32.const 3)) (then (throw_ref (ref.null exn))))
            (if (i32.eq (local.get 0) (i32.const 4)) (then (call $fail))))
        (func (export "f") (param i32) (result i32)
            (block $caught
                (try_table (catch_all $caught) (call $work (local.get 0)))
                (return (i32.const 0)))
            (i32.const 1)))"#;
    for engine in engines() {
        for module in modules(&engine, text) {
            let mut store = new_store(&engine);
            let mut linker = Linker::new(&engine);
            linker.func_wrap("host", "fail", || -> Result<(), Error> { Err(Error::msg("failed")) })?;
            let f = linker.instantiate(&mut store, &module)?.get_typed_func::<i32, i32>(&store, "f")?;
            let traps = [
                TrapCode::Unreachable,
                TrapCode::IntegerDivideByZero,
                TrapCode::StackOverflow,
                TrapCode::NullReference,
            ];
            for (argument, code) in traps.into_iter().enumerate() {
                let error = f.call(&mut store, argument as i32).unwrap_err();
                assert_eq!(error.trap().map(wattest::Trap::code), Some(code), "{error:?}");
            }
            assert_eq!(f.call(&mut store, 4).unwrap_err().to_string(), "failed");
            assert_eq!(f.call(&mut store, 5)?, 0);
        }
    }
    Ok(())
}

#[test]
fn a_start_function_may_throw() -> Tested {
    let text = r#"(module
        (import "host" "tag" (tag $t (param i32)))
        (import "host" "run" (global $run i32))
        (func $start (if (global.get $run) (then (throw $t (i32.const 4)))))
        (func (export "f") (param i32) (result i32)
            (block $t (result i32) (try_table (result i32) (catch $t $t) (throw $t (local.get 0)))))
        (start $start))"#;
    for engine in engines() {
        for module in modules(&engine, text) {
            let mut store = new_store(&engine);
            let tag = Tag::new(&mut store, FuncType::new([ValType::I32], []))?;
            let ty = wattest::GlobalType { content: ValType::I32, mutable: false };
            for run in [1, 0] {
                let global = wattest::Global::new(&mut store, ty, Val::I32(run))?;
                let made = Instance::new(&mut store, &module, &[tag.into(), global.into()]);
                match (run, made) {
                    (1, Err(InstantiateError::Start(Error::Exception(thrown)))) => {
                        assert_eq!(thrown.exception().payload(&mut store)?, [Val::I32(4)]);
                    }
                    (0, Ok(instance)) => {
                        let f = instance.get_typed_func::<i32, i32>(&store, "f")?;
                        assert_eq!(f.call(&mut store, 6)?, 6);
                    }
                    (_, other) => panic!("{other:?}"),
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_host_function_called_by_the_host_may_throw() -> Tested {
    for engine in engines() {
        let mut store = new_store(&engine);
        let tag = Tag::new(&mut store, FuncType::new([], []))?;
        let ty = FuncType::new([], []);
        let thrower =
            wattest::Func::new(
                &mut store,
                ty,
                move |mut caller, _, _| Err(ExnRef::new(&mut caller, tag, &[])?.throw()),
            );
        for _ in 0..3 {
            let error = thrower.call(&mut store, &[], &mut []).unwrap_err();
            let exception = error.exception().expect("an exception");
            assert_eq!(exception.tag(&mut store)?, tag);
        }
    }
    Ok(())
}

#[test]
fn an_exception_of_another_store_is_an_error_like_any_other() -> Tested {
    let text = r#"(module (import "host" "fail" (func $fail))
        (func (export "f") (block $c (try_table (catch_all $c) (call $fail)) (return))))"#;
    let engine = Engine::default();
    let mut other = new_store(&engine);
    let tag = Tag::new(&mut other, FuncType::new([], []))?;
    let foreign = ExnRef::new(&mut other, tag, &[])?;
    let mut store = new_store(&engine);
    let mut linker = Linker::new(&engine);
    linker.func_wrap("host", "fail", {
        let foreign = foreign.clone();
        move || -> Result<(), Error> { Err(foreign.clone().throw()) }
    })?;
    let module = Module::new(&engine, text)?;
    let f = linker.instantiate(&mut store, &module)?.get_func(&store, "f").unwrap();
    let error = f.call(&mut store, &[], &mut []).unwrap_err();
    assert_eq!(error.exception(), Some(&foreign));
    let wrong = |error: Error| matches!(error, Error::Usage(UsageError::WrongStore { .. }));
    assert!(wrong(foreign.payload(&mut store).unwrap_err()));
    assert!(wrong(foreign.tag(&mut store).unwrap_err()));
    assert!(wrong(ExnRef::new(&mut store, tag, &[]).unwrap_err()));
    assert!(wrong(tag.ty(&store).unwrap_err()));
    Ok(())
}

#[test]
fn misuse_is_an_error() -> Tested {
    let engine = Engine::default();
    let mut store = new_store(&engine);
    assert!(Tag::new(&mut store, FuncType::new([], [ValType::I32])).is_err());
    let tag = Tag::new(&mut store, FuncType::new([ValType::I32], []))?;
    assert!(ExnRef::new(&mut store, tag, &[]).is_err());
    assert!(ExnRef::new(&mut store, tag, &[Val::I64(0)]).is_err());
    let wants = Module::new(&engine, r#"(module (import "" "t" (tag (param i64))))"#)?;
    let error = Instance::new(&mut store, &wants, &[tag.into()]).unwrap_err();
    assert!(error.to_string().contains("incompatible import type"), "{error}");
    Ok(())
}

#[test]
fn exceptions_and_what_they_carry_survive_collections() {
    // The exception is caught, kept in a local, a table and a struct across further throws, and thrown again.
    check(
        r#"(module
        (type $box (struct (field (mut exnref)) (field i32)))
        (tag $t (param (ref $box) i32))
        (table $kept 1 exnref)
        (func $throw (param i32)
            (throw $t (struct.new $box (table.get $kept (i32.const 0)) (local.get 0)) (local.get 0)))
        (func $catch (param i32) (result exnref) (local $n i32) (local $e exnref)
            (block $c (result (ref $box) i32 exnref)
                (try_table (catch_ref $t $c) (call $throw (local.get 0)))
                (unreachable))
            (local.set $e)
            (table.set $kept (i32.const 0) (local.get $e))
            (local.set $n)
            (if (i32.ne (struct.get $box 1) (local.get $n)) (then unreachable))
            (table.get $kept (i32.const 0)))
        (func (export "f") (param i32) (result i32) (local $first exnref) (local $last exnref) (local $sum i32)
            (local $box (ref null $box))
            (local.set $first (call $catch (i32.const 1)))
            (loop $again
                (local.set $last (call $catch (local.get 0)))
                (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (block $one (result (ref $box) i32)
                (try_table (catch $t $one) (throw_ref (local.get $first)))
                (unreachable))
            (local.set $sum)
            (drop)
            (block $two (result (ref $box) i32)
                (try_table (catch $t $two) (throw_ref (local.get $last)))
                (unreachable))
            (local.set $sum (i32.add (local.get $sum)))
            (local.set $box)
            ;; The struct in the last one leads to the one before.
            (block $three (result (ref $box) i32)
                (try_table (catch $t $three) (throw_ref (struct.get $box 0 (local.get $box))))
                (unreachable))
            (local.set $sum (i32.add (local.get $sum)))
            (drop)
            (local.get $sum)))"#,
        &[(2, Ok(4)), (50, Ok(4))],
    );
}

#[test]
fn thrown_exceptions_are_collected() {
    // More bytes, all in all, than 32-bit references can address.
    let text = r#"(module (tag $t (param v128 v128 v128 v128))
        (func (export "f") (param i32) (result i32)
            (loop $again
                (drop (block $c (result exnref)
                    (try_table (catch_all_ref $c)
                        (throw $t (v128.const i64x2 0 0) (v128.const i64x2 0 0)
                            (v128.const i64x2 0 0) (v128.const i64x2 0 0)))
                    (unreachable)))
                (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (i32.const 0)))"#;
    let engine = Engine::default();
    let module = Module::new(&engine, text).unwrap();
    let mut store = new_store(&engine);
    let f = Instance::new(&mut store, &module, &[]).unwrap().get_typed_func::<i32, i32>(&store, "f").unwrap();
    assert_eq!(f.call(&mut store, 60_000_000).unwrap(), 0);
}
