//! The API end to end, on small modules.
#![allow(missing_docs, reason = "tests")]

use wattest::{Config, Engine, Error, Func, Linker, Module, OptLevel, Store, TrapCode, Val};

/// Calls the export `f` of `wat` with `params` in several configurations.
fn check(wat: &str, params: &[Val], expected: Result<&[Val], TrapCode>) {
    for config in configs() {
        let engine = Engine::new(&config).unwrap();
        let module = Module::new(&engine, wat).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &module).unwrap();
        let f = instance.get_func(&store, "f").unwrap();
        let mut results = vec![Val::I32(0); f.ty(&store).results().len()];
        let ended = f.call(&mut store, params, &mut results);
        let ended = match &ended {
            Ok(()) => Ok(&results[..]),
            Err(error) => Err(error.trap().unwrap_or_else(|| panic!("{error}")).code()),
        };
        assert_eq!(ended, expected, "{config:?}");
    }
}

fn configs() -> Vec<Config> {
    let mut explicit = Config::new();
    explicit.explicit_bounds(true).signals_based_traps(false).opt_level(OptLevel::None);
    let mut pooling = Config::new();
    pooling.allocation(wattest::Strategy::Pooling).pooling_memories(10);
    vec![Config::new(), explicit, pooling]
}

#[test]
fn adds() {
    let wat = r#"(module (func (export "f") (param i32 i64 f32 f64) (result f64 i64)
        (f64.add (f64.promote_f32 (local.get 2)) (local.get 3))
        (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1))))"#;
    let params = [Val::I32(-1), Val::I64(5), Val::from(1.5f32), Val::from(2.0f64)];
    check(wat, &params, Ok(&[Val::from(3.5f64), Val::I64(4)]));
}

#[test]
fn traps() {
    let divide = r#"(module (func (export "f") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0))))"#;
    check(divide, &[Val::I32(0)], Err(TrapCode::IntegerDivideByZero));
    check(divide, &[Val::I32(1)], Ok(&[Val::I32(1)]));
    check(r#"(module (func (export "f") unreachable))"#, &[], Err(TrapCode::Unreachable));
    let load = r#"(module (memory 1) (func (export "f") (param i32) (result i32) (i32.load (local.get 0))))"#;
    check(load, &[Val::I32(65532)], Ok(&[Val::I32(0)]));
    check(load, &[Val::I32(65533)], Err(TrapCode::MemoryOutOfBounds));
    check(load, &[Val::I32(-1)], Err(TrapCode::MemoryOutOfBounds));
    check(r#"(module (func $f (export "f") (call $f)))"#, &[], Err(TrapCode::StackOverflow));
}

#[test]
fn memory_and_tables() {
    let wat = r#"(module
        (memory 1 4) (data (i32.const 10) "abc")
        (table 4 funcref) (elem (i32.const 1) $a $b)
        (type $t (func (result i32)))
        (func $a (result i32) (i32.const 7))
        (func $b (result i32) (i32.load8_u (i32.const 11)))
        (func (export "f") (param i32) (result i32 i32 i32)
            (memory.grow (i32.const 2))
            (memory.size)
            (call_indirect (type $t) (local.get 0))))"#;
    check(wat, &[Val::I32(1)], Ok(&[Val::I32(1), Val::I32(3), Val::I32(7)]));
    check(wat, &[Val::I32(2)], Ok(&[Val::I32(1), Val::I32(3), Val::I32(98)]));
    check(wat, &[Val::I32(0)], Err(TrapCode::UninitializedElement));
    check(wat, &[Val::I32(4)], Err(TrapCode::UndefinedElement));
}

#[test]
fn many_results_and_stack_arguments() {
    let wat = r#"(module
        (func $g (param i64 i64 i64 i64 i64 i64 v128 v128 v128 v128 v128 v128 v128 v128 v128 i32)
              (result i32 i32 i32 i32 i32 i64 v128)
            (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (local.get 15) (local.get 5) (local.get 14))
        (func (export "f") (param i32) (result i32 i32 i32 i32 i32 i64 v128)
            (return_call $g (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6)
                (v128.const i64x2 0 0) (v128.const i64x2 0 0) (v128.const i64x2 0 0) (v128.const i64x2 0 0)
                (v128.const i64x2 0 0) (v128.const i64x2 0 0) (v128.const i64x2 0 0) (v128.const i64x2 0 0)
                (v128.const i64x2 9 0) (local.get 0))))"#;
    let results = [Val::I32(1), Val::I32(2), Val::I32(3), Val::I32(4), Val::I32(42), Val::I64(6), Val::V128(9)];
    check(wat, &[Val::I32(42)], Ok(&results));
}

#[test]
fn host_functions_with_many_parameters() {
    let engine = Engine::default();
    let mut linker = Linker::<Vec<i64>>::new(&engine);
    let record = |mut caller: wattest::Caller<'_, Vec<i64>>, a: i64, b: i64, c: i64, d: i64, e: i64, f: f64| {
        caller.data_mut().extend([a, b, c, d, e]);
        (a + e, f * 2.0, 3i32, 4i32, 5i32, 6i32)
    };
    linker.func_wrap("host", "record", record).unwrap();
    let wat = r#"(module
        (import "host" "record" (func $r (param i64 i64 i64 i64 i64 f64) (result i64 f64 i32 i32 i32 i32)))
        (func (export "f") (result i64 f64 i32 i32 i32 i32)
            (call $r (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (f64.const 1.25))))"#;
    let module = Module::new(&engine, wat).unwrap();
    let mut store = Store::new(&engine, Vec::new());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let f = instance.get_typed_func::<(), (i64, f64, i32, i32, i32, i32)>(&store, "f").unwrap();
    assert_eq!(f.call(&mut store, ()).unwrap(), (6, 2.5, 3, 4, 5, 6));
    assert_eq!(store.data(), &[1, 2, 3, 4, 5]);
}

#[test]
fn host_errors_and_panics_unwind() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let fail = Func::wrap(&mut store, |x: i32| -> Result<i32, Error> {
        if x == 0 { panic!("host panic") } else { Err(Error::host(std::fmt::Error)) }
    });
    let wat = r#"(module (import "" "" (func $h (param i32) (result i32)))
        (func $inner (param i32) (result i32) (call $h (local.get 0)))
        (func (export "f") (param i32) (result i32) (call $inner (local.get 0))))"#;
    let module = Module::new(&engine, wat).unwrap();
    let instance = wattest::Instance::new(&mut store, &module, &[fail.into()]).unwrap();
    let f = instance.get_typed_func::<i32, i32>(&store, "f").unwrap();
    let error = f.call(&mut store, 1).unwrap_err();
    assert!(error.downcast_ref::<std::fmt::Error>().is_some());
    let Error::Host(host) = &error else { panic!() };
    let names = host.backtrace().frames().iter().map(|frame| frame.func_name.clone()).collect::<Vec<_>>();
    assert_eq!(names, [Some("inner".to_owned()), Some("f".to_owned())]);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f.call(&mut store, 0).is_ok()));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"host panic"));
    assert!(f.call(&mut store, 1).is_err());
}

#[test]
fn serialization_round_trips_and_is_deterministic() {
    let engine = Engine::default();
    let data = "x".repeat(10_000);
    let wat = format!(
        r#"(module (memory (export "m") 2) (data (i32.const 5000) "{data}")
            (func (export "f") (result i32) (i32.load8_u (i32.const 14999))))"#
    );
    let bytes = Module::new(&engine, &wat).unwrap().serialize().unwrap();
    assert_eq!(bytes, Module::new(&engine, &wat).unwrap().serialize().unwrap());
    let path = std::env::temp_dir().join(format!("wattest-smoke-{}.cwasm", std::process::id()));
    std::fs::write(&path, &bytes).unwrap();
    // SAFETY: the bytes were just made by `serialize`, and nobody else writes the file.
    let modules =
        unsafe { [Module::deserialize(&engine, &bytes).unwrap(), Module::deserialize_file(&engine, &path).unwrap()] };
    for module in &modules {
        assert_eq!(module.serialize().unwrap(), bytes);
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, module).unwrap();
        let f = instance.get_typed_func::<(), i32>(&store, "f").unwrap();
        assert_eq!(f.call(&mut store, ()).unwrap(), 120);
    }
    drop(modules);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn traps_have_backtraces() {
    let engine = Engine::default();
    let module = Module::new(&engine, r#"(module $m (func $g unreachable) (func (export "f") (call $g)))"#).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &module).unwrap();
    let error = instance.get_func(&store, "f").unwrap().call(&mut store, &[], &mut []).unwrap_err();
    let text = error.trap().unwrap().backtrace().to_string();
    assert_eq!(text, "   0:     0x1f - m!g\n   1:     0x23 - m!f\n");
}
