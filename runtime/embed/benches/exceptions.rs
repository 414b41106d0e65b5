//! Exceptions: what a `try_table` costs when nothing is thrown, and what a throw costs by where it is caught.
//!
//! `cargo bench -p wattest --bench exceptions`. Everything is done a thousand times in a loop inside wasm.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wattest::{Engine, Instance, Module, Store, TypedFunc};

/// Turns of a loop inside wasm.
const TURNS: u32 = 1000;

const MODULE: &str = r#"(module
  (tag $t (param i32))
  (tag $other)
  (func $inc (param i32) (result i32) (i32.add (local.get 0) (i32.const 3)))
  (func $throw (param i32) (result i32) (throw $t (local.get 0)))
  (func $deep (param i32 i32) (result i32)
    (if (i32.eqz (local.get 1)) (then (throw $t (local.get 0))))
    (i32.add (i32.const 1) (call $deep (local.get 0) (i32.sub (local.get 1) (i32.const 1)))))
  (func $passed (param i32) (result i32)
    (block $never (try_table (catch $other $never) (return (call $throw (local.get 0)))))
    (unreachable))
  (func (export "call") (param $n i32) (local $x i32)
    (loop
      (local.set $x (call $inc (local.get $x)))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "call in a scope") (param $n i32) (local $x i32)
    (loop
      (block $c (result i32)
        (try_table (result i32) (catch $t $c) (call $inc (local.get $x))))
      (local.set $x)
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "throw in the same function") (param $n i32)
    (loop
      (drop (block $c (result i32) (try_table (catch $t $c) (throw $t (local.get $n))) (unreachable)))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "throw through one frame") (param $n i32)
    (loop
      (drop (block $c (result i32) (try_table (result i32) (catch $t $c) (call $throw (local.get $n)))))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "throw through ten frames") (param $n i32)
    (loop
      (drop (block $c (result i32)
        (try_table (result i32) (catch $t $c) (call $deep (local.get $n) (i32.const 9)))))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "throw past a scope that does not want it") (param $n i32)
    (loop
      (drop (block $c (result i32) (try_table (result i32) (catch $t $c) (call $passed (local.get $n)))))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;

fn exceptions(criterion: &mut Criterion) {
    let engine = Engine::default();
    let module = Module::new(&engine, MODULE).expect("it compiles");
    let mut group = criterion.benchmark_group("exceptions");
    group.throughput(Throughput::Elements(u64::from(TURNS)));
    let names = module.exports().map(|export| export.name().to_owned()).collect::<Vec<_>>();
    for name in names {
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("it instantiates");
        let looped: TypedFunc<u32, ()> = instance.get_typed_func(&mut store, &name).expect("it is exported");
        group.bench_function(&name, |bencher| {
            bencher.iter(|| looped.call(&mut store, TURNS).expect("it returns"));
        });
    }
}

criterion_group!(benches, exceptions);
criterion_main!(benches);
