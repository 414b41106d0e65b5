//! Calling: host to wasm (typed and by values), wasm to host, directly and indirectly.
//!
//! `cargo bench -p wattest --bench call`. Calls made by wasm are made a thousand at a time in a loop.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use wattest::{Engine, Instance, Linker, Module, Store, TypedFunc, Val};

/// Turns of a loop inside wasm.
const TURNS: u32 = 1000;

const MODULE: &str = r#"(module
  (import "host" "nop" (func $nop))
  (import "host" "add" (func $host_add (param i32 i32) (result i32)))
  (type $unary (func (param i32) (result i32)))
  (table 2 2 funcref)
  (elem (i32.const 0) $inc $dec)
  (func $inc (type $unary) (i32.add (local.get 0) (i32.const 3)))
  (func $dec (type $unary) (i32.sub (local.get 0) (i32.const 1)))
  (func (export "nop"))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "empty") (param $n i32)
    (loop (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "host nop") (param $n i32)
    (loop (call $nop) (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "host add") (param $n i32) (local $x i32)
    (loop
      (local.set $x (call $host_add (local.get $x) (local.get $n)))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "direct") (param $n i32) (local $x i32)
    (loop
      (local.set $x (call $inc (local.get $x)))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "indirect") (param $n i32) (local $x i32)
    (loop
      (local.set $x (call_indirect (type $unary) (local.get $x) (i32.and (local.get $n) (i32.const 1))))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;

fn instance() -> (Store<()>, Instance) {
    let engine = Engine::default();
    let module = Module::new(&engine, MODULE).expect("it compiles");
    let mut linker: Linker<()> = Linker::new(&engine);
    linker.func_wrap("host", "nop", || ()).expect("a new name");
    linker.func_wrap("host", "add", |a: i32, b: i32| a.wrapping_add(b)).expect("a new name");
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module).expect("it instantiates");
    (store, instance)
}

fn host_to_wasm(criterion: &mut Criterion) {
    let (mut store, instance) = instance();
    let mut group = criterion.benchmark_group("host to wasm");
    let nop: TypedFunc<(), ()> = instance.get_typed_func(&mut store, "nop").expect("nop is exported");
    group.bench_function("typed nop", |bencher| bencher.iter(|| nop.call(&mut store, ()).expect("it returns")));
    let add: TypedFunc<(i32, i32), i32> = instance.get_typed_func(&mut store, "add").expect("add is exported");
    group.bench_function("typed add", |bencher| {
        bencher.iter(|| add.call(&mut store, black_box((1, 2))).expect("it returns"));
    });
    let add = instance.get_func(&mut store, "add").expect("add is exported");
    group.bench_function("add by values", |bencher| {
        let mut results = [Val::I32(0)];
        bencher.iter(|| {
            add.call(&mut store, black_box(&[Val::I32(1), Val::I32(2)]), &mut results).expect("it returns");
        });
    });
}

fn from_wasm(criterion: &mut Criterion) {
    let (mut store, instance) = instance();
    let mut group = criterion.benchmark_group("calls made by wasm");
    group.throughput(Throughput::Elements(u64::from(TURNS)));
    for name in ["empty", "host nop", "host add", "direct", "indirect"] {
        let looped: TypedFunc<u32, ()> = instance.get_typed_func(&mut store, name).expect("it is exported");
        group.bench_function(name, |bencher| {
            bencher.iter(|| looped.call(&mut store, TURNS).expect("it returns"));
        });
    }
}

criterion_group!(benches, host_to_wasm, from_wasm);
criterion_main!(benches);
