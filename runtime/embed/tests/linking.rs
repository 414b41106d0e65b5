//! Linking, and values of every type on their way through calls in both directions.
//!
//! Promises: what is missing or does not match is reported, all of it and with types; values and the identity of
//! references survive ([spec](https://webassembly.github.io/spec/core/exec/modules.html#invocation)).
//!
//! Invariant: each signature is tried typed and dynamically, from the host and from compiled code.
//!
//! Does not know: registers.

use std::sync::{Arc, Mutex};
use wattest::{
    AsContextMut, Caller, Engine, Error, Extern, ExternRef, Func, FuncType, Instance, InstantiateError, Linker, Module,
    RefType, Store, V128, Val, ValType,
};

const FUNCREF: ValType = ValType::Ref(RefType::FUNC);
const EXTERNREF: ValType = ValType::Ref(RefType::EXTERN);

#[test]
fn everything_missing_is_named() {
    let engine = Engine::default();
    let text = r#"(module
        (import "env" "log" (func (param i32 i64) (result f32)))
        (import "env" "memory" (memory 1 2))
        (import "env" "table" (table 3 funcref))
        (import "other" "global" (global (mut v128)))
        (import "env" "there" (func)))"#;
    let module = Module::new(&engine, text).expect("the module is valid");
    let mut linker = Linker::new(&engine);
    linker.func_wrap("env", "there", || ()).expect("the name is free");
    let expected = [
        "`env` `log`: (func (param i32 i64) (result f32))",
        "`env` `memory`: (memory 1 2)",
        "`env` `table`: (table 3 funcref)",
        "`other` `global`: (global (mut v128))",
    ];
    let missing = linker.missing_imports(&module);
    assert_eq!(missing.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    let error = linker.instantiate(&mut Store::new(&engine, ()), &module).expect_err("imports are missing");
    let InstantiateError::Link(error) = error else { panic!("{error}") };
    assert_eq!(error.missing, missing);
    assert_eq!(error.to_string(), expected.map(|line| format!("unknown import {line}")).join("\n"));
}

#[test]
fn mismatches_say_what_was_given() {
    let engine = Engine::default();
    let text =
        r#"(module (import "a" "f" (func (param i32))) (import "a" "g" (func (result i64))) (import "a" "h" (func)))"#;
    let module = Module::new(&engine, text).expect("the module is valid");
    let mut linker = Linker::new(&engine);
    linker.func_wrap("a", "f", |_: i64| ()).expect("the name is free");
    linker.func_wrap("a", "g", || 1i32).expect("the name is free");
    linker.func_wrap("a", "h", || ()).expect("the name is free");
    let error = linker.instantiate(&mut Store::new(&engine, ()), &module).expect_err("two do not match");
    let expected = "`a` `f`: incompatible import type: needs (func (param i32)), was given (func (param i64))\n\
        `a` `g`: incompatible import type: needs (func (result i64)), was given (func (result i32))";
    assert_eq!(error.to_string(), expected);
    let redefined = linker.func_wrap("a", "f", |_: i32| ()).map(|_| ()).expect_err("the name is taken");
    assert_eq!(redefined.redefined, Some(("a".to_owned(), "f".to_owned())));
    linker.allow_shadowing(true);
    linker.func_wrap("a", "f", |_: i32| ()).expect("shadowing is allowed");
    linker.func_wrap("a", "g", || 1i64).expect("shadowing is allowed");
    linker.instantiate(&mut Store::new(&engine, ()), &module).expect("now all match");
}

#[test]
fn results_of_the_wrong_type() {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        r#"(module (import "" "f" (func (result i32))) (export "f" (func 0))
        (func (export "run") (result i32) (call 0)))"#,
    )
    .expect("the module is valid");
    for wrong in [Val::I64(1), Val::F32(0), Val::FuncRef(None), Val::ExternRef(None), Val::V128(1)] {
        let mut linker = Linker::new(&engine);
        let given = wrong.clone();
        linker
            .func_new("", "f", FuncType::new([], [ValType::I32]), move |_, _, results| {
                results[0] = given.clone();
                Ok(())
            })
            .expect("the name is free");
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &module).expect("the types match");
        for name in ["f", "run"] {
            let func = instance.get_typed_func::<(), i32>(&store, name).expect("it is exported");
            let error = func.call(&mut store, ()).expect_err("the result is wrong");
            assert!(matches!(&error, Error::Usage(usage) if usage.to_string().contains("i32")), "{wrong:?}: {error}");
        }
    }
}

/// A value of `ty` that depends on `seed`.
fn value(ty: ValType, seed: u64, func: Func, host: &ExternRef) -> Val {
    let bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    match ty {
        ValType::I32 => Val::I32(bits as i32),
        ValType::I64 => Val::I64(bits as i64),
        ValType::F32 => Val::F32(bits as u32 & 0x7f7f_ffff),
        ValType::F64 => Val::F64(bits & 0x7fef_ffff_ffff_ffff),
        ValType::V128 => Val::V128(u128::from(bits) << 64 | u128::from(!bits)),
        FUNCREF => Val::FuncRef((!seed.is_multiple_of(3)).then_some(func)),
        _ => Val::ExternRef((!seed.is_multiple_of(3)).then(|| host.clone())),
    }
}

/// Sends values of `params` to a host function that answers with values of `results`: directly, through compiled code,
/// by a tail call and through a table. All must arrive as they were sent.
fn check(params: &[ValType], results: &[ValType]) {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let other = Func::wrap(&mut store, || ());
    let host = ExternRef::new(&mut store, "value").expect("there is room");
    let sent = params.iter().enumerate().map(|(at, ty)| value(*ty, at as u64 + 1, other, &host)).collect::<Vec<_>>();
    let answer =
        results.iter().enumerate().map(|(at, ty)| value(*ty, at as u64 + 100, other, &host)).collect::<Vec<_>>();
    let ty = FuncType::new(params.iter().copied(), results.iter().copied());
    let (received, given) = (Arc::new(Mutex::new(Vec::new())), answer.clone());
    let log = received.clone();
    let echo = Func::new(&mut store, ty.clone(), move |_, params, results| {
        log.lock().expect("no panic held it").push(params.to_vec());
        results.clone_from_slice(&given);
        Ok(())
    });
    let signature = ty.to_string();
    let signature = signature.trim_start_matches("(func").trim_end_matches(')');
    let signature = if params.is_empty() && results.is_empty() { String::new() } else { format!("{signature})") };
    let gets = (0..params.len()).map(|at| format!("(local.get {at})")).collect::<String>();
    let text = format!(
        r#"(module (type $t (func {signature})) (import "" "f" (func $f (type $t))) (table funcref (elem $f))
            (func (export "call") (type $t) {gets} (call $f))
            (func (export "tail") (type $t) {gets} (return_call $f))
            (func (export "indirect") (type $t) {gets} (i32.const 0) (call_indirect (type $t)))
            (func (export "indirect tail") (type $t) {gets} (i32.const 0) (return_call_indirect (type $t)))
            (export "itself" (func $f)))"#
    );
    let module = Module::new(&engine, &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let instance = Instance::new(&mut store, &module, &[echo.into()]).expect("the type matches");
    let names = ["call", "tail", "indirect", "indirect tail", "itself"];
    for name in names {
        let func = instance.get_func(&store, name).expect("it is exported");
        let mut got = vec![Val::I32(0); results.len()];
        func.call(&mut store, &sent, &mut got).unwrap_or_else(|error| panic!("{name} of {ty}: {error}"));
        assert_eq!(got, answer, "{name} of {ty}");
    }
    let received = received.lock().expect("no panic held it");
    assert_eq!(received.len(), names.len());
    assert!(received.iter().all(|values| *values == sent), "{ty}: sent {sent:?}, received {received:?}");
}

#[test]
fn dynamic_signatures() {
    let all = [ValType::I32, ValType::I64, ValType::F32, ValType::F64, ValType::V128, FUNCREF, EXTERNREF];
    check(&[], &[]);
    for ty in all {
        check(&[ty], &[ty]);
        for count in [2, 4, 5, 6, 7, 8, 9, 16, 17, 40] {
            check(&vec![ty; count], &[]);
            check(&[], &vec![ty; count]);
            check(&vec![ty; count], &vec![ty; count]);
        }
    }
    let mixed = |count: usize, start: usize| (0..count).map(|at| all[(at * 3 + start) % all.len()]).collect::<Vec<_>>();
    for count in [3, 7, 11, 16, 33, 100, 1000] {
        for start in 0..all.len() {
            check(&mixed(count, start), &mixed(count.min(20), start + 1));
        }
    }
    check(&mixed(1000, 0), &mixed(1000, 1));
}

type Sixteen =
    (i32, u64, f32, f64, V128, i32, i32, i64, f32, f64, V128, u32, i64, f64, Option<Func>, Option<ExternRef>);
type Nine = (i64, f64, i32, V128, Option<Func>, i64, u32, Option<ExternRef>, f32);

/// Sixteen parameters of mixed types, some on the stack, and nine results in memory: typed on both sides.
#[test]
fn typed_signatures() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let other = Func::wrap(&mut store, || ());
    let host = ExternRef::new(&mut store, 5).expect("there is room");
    let vector = |n: u64| V128(u128::from(n) << 64 | 7);
    let sent: Sixteen = (
        -1,
        u64::MAX,
        1.5,
        -2.5,
        vector(1),
        6,
        i32::MIN,
        i64::MIN,
        -0.0,
        f64::MAX,
        vector(2),
        12,
        13,
        14.25,
        Some(other),
        Some(host.clone()),
    );
    let answer: Nine = (i64::MIN + 1, 0.1, -3, vector(9), Some(other), 5, u32::MAX, Some(host), 1e-40);
    let (given, expected) = (answer.clone(), sent.clone());
    let echo = Func::wrap(
        &mut store,
        move |a: i32,
              b: u64,
              c: f32,
              d: f64,
              e: V128,
              f: i32,
              g: i32,
              h: i64,
              i: f32,
              j: f64,
              k: V128,
              l: u32,
              m: i64,
              n: f64,
              o: Option<Func>,
              p: Option<ExternRef>|
              -> Result<Nine, Error> {
            let received: Sixteen = (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
            if received_equals(&received, &expected) {
                Ok(given.clone())
            } else {
                Err(Error::msg(format!("{b} {c} {d} {e:?}")))
            }
        },
    );
    let signature = "(param i32 i64 f32 f64 v128 i32 i32 i64 f32 f64 v128 i32 i64 f64 funcref externref)
        (result i64 f64 i32 v128 funcref i64 i32 externref f32)";
    let gets = (0..16).map(|at| format!("(local.get {at})")).collect::<String>();
    let text = format!(
        r#"(module (import "" "f" (func $f {signature})) (func (export "call") {signature} {gets} (call $f))
            (func (export "tail") {signature} {gets} (return_call $f)) (export "itself" (func $f)))"#
    );
    let module = Module::new(&engine, &text).expect("the module is valid");
    let instance = Instance::new(&mut store, &module, &[echo.into()]).expect("the type matches");
    for name in ["call", "tail", "itself"] {
        let func = instance.get_typed_func::<Sixteen, Nine>(&store, name).expect("it has this type");
        assert_eq!(
            func.call(&mut store, sent.clone()).unwrap_or_else(|error| panic!("{name}: {error}")),
            answer,
            "{name}"
        );
    }
}

/// Tuples of sixteen have no equality of their own.
fn received_equals(a: &Sixteen, b: &Sixteen) -> bool {
    let ints = |t: &Sixteen| (t.0, t.1, t.5, t.6, t.7, t.11, t.12, t.14, t.15.clone());
    let floats = |t: &Sixteen| (t.2.to_bits(), t.3.to_bits(), t.8.to_bits(), t.9.to_bits(), t.13.to_bits(), t.4, t.10);
    ints(a) == ints(b) && floats(a) == floats(b)
}

#[test]
fn references_keep_their_identity() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let text = r#"(module (import "" "swap" (func $swap (param externref funcref) (result funcref externref)))
        (global $f (export "f") (mut funcref) (ref.func $own)) (global $e (export "e") (mut externref) (ref.null extern))
        (table $t (export "t") 2 funcref) (table $u (export "u") 2 externref)
        (func $own (export "own") (result i32) (i32.const 3))
        (func (export "through") (param externref funcref) (result funcref externref)
            (global.set $e (local.get 0)) (global.set $f (local.get 1))
            (table.set $t (i32.const 1) (global.get $f)) (table.set $u (i32.const 1) (global.get $e))
            (call $swap (table.get $u (i32.const 1)) (table.get $t (i32.const 1))))
        (func (export "is null") (param externref funcref) (result i32)
            (i32.or (ref.is_null (local.get 0)) (i32.shl (ref.is_null (local.get 1)) (i32.const 1)))))"#;
    let module = Module::new(&engine, text).expect("the module is valid");
    let swap = Func::wrap(&mut store, |_: Caller<'_, ()>, value: Option<ExternRef>, func: Option<Func>| (func, value));
    let instance = Instance::new(&mut store, &module, &[swap.into()]).expect("the type matches");
    let own = instance.get_func(&store, "own").expect("it is exported");
    let global = instance.get_global(&store, "f").expect("it is exported");
    assert_eq!(global.get(&store).ok(), Some(Val::FuncRef(Some(own))));
    type Pair = (Option<ExternRef>, Option<Func>);
    let through = instance.get_typed_func::<Pair, (Option<Func>, Option<ExternRef>)>(&store, "through");
    let through = through.expect("it has this type");
    let is_null = instance.get_typed_func::<Pair, i32>(&store, "is null").expect("it has this type");
    let values = (0..3usize).map(|n| ExternRef::new(&mut store, n).expect("there is room")).collect::<Vec<_>>();
    for value in values.iter().cloned().map(Some).chain([None]) {
        for func in [Some(own), Some(swap), None] {
            let got = through.call(store.as_context_mut(), (value.clone(), func)).expect("nothing traps");
            assert_eq!(got, (func, value.clone()));
            assert_eq!(global.get(&store).ok(), Some(Val::FuncRef(func)));
            let table = instance.get_table(&store, "u").expect("it is exported");
            assert_eq!(table.get(&store, 1), Some(Val::ExternRef(value.clone())));
            let nulls = i32::from(value.is_none()) | i32::from(func.is_none()) << 1;
            assert_eq!(is_null.call(&mut store, (value.clone(), func)).ok(), Some(nulls));
        }
    }
    for (n, value) in values.iter().enumerate() {
        assert_eq!(value.data(&store).and_then(|data| data.downcast_ref::<usize>()), Some(&n));
    }
    assert!(values[0] != values[1]);
    let export = instance.get_export(&store, "own").and_then(Extern::into_func);
    assert_eq!(export, Some(own));
}
