//! Compiling: what one more exported function costs, and how many bytes of a larger module a second takes.
//!
//! `cargo bench -p wattest --bench compile`. The larger module is generated here, so that the figure needs no file.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::fmt::Write as _;
use std::hint::black_box;
use wattest::{Config, Engine, Module, OptLevel};

/// Functions of the larger module.
const FUNCTIONS: u32 = 500;

/// A module of `functions` exported functions, each with a loop, memory accesses, a branch and a call.
fn module(functions: u32) -> Vec<u8> {
    let mut text = String::from("(module (memory 1)\n");
    for index in 0..functions {
        let callee = index.saturating_sub(1);
        let call = if index == 0 { "(local.get $n)".to_owned() } else { format!("(call {callee} (local.get $n))") };
        let _ = writeln!(
            text,
            r#"(func (export "f{index}") (param $n i32) (result i32) (local $sum i32)
                 (loop $again
                   (local.set $sum (i32.add (local.get $sum) (i32.load (i32.and (local.get $n) (i32.const 0xfffc)))))
                   (if (i32.lt_u (local.get $sum) (i32.const {index})) (then (local.set $sum {call})))
                   (i32.store (i32.and (local.get $sum) (i32.const 0xfffc)) (local.get $n))
                   (br_if $again (local.tee $n (i32.shr_u (local.get $n) (i32.const 1)))))
                 (local.get $sum))"#
        );
    }
    text.push(')');
    wat::parse_str(&text).expect("the generated module is well-formed")
}

fn compile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    for functions in [0, 1, 2, 10] {
        let engine = Engine::default();
        let bytes = module(functions);
        group.bench_function(format!("{functions} exported functions"), |bencher| {
            bencher.iter(|| Module::new(&engine, black_box(&bytes)).expect("it compiles"));
        });
    }
    let bytes = module(FUNCTIONS);
    group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(10);
    for (name, level) in [("speed", OptLevel::Speed), ("none", OptLevel::None)] {
        let engine = Engine::new(Config::new().opt_level(level)).expect("a valid configuration");
        group.bench_function(format!("{FUNCTIONS} functions, {name}"), |bencher| {
            bencher.iter(|| Module::new(&engine, black_box(&bytes)).expect("it compiles"));
        });
    }
    group.bench_function(format!("{FUNCTIONS} functions, validation only"), |bencher| {
        let engine = Engine::default();
        bencher.iter(|| Module::validate(&engine, black_box(&bytes)).expect("it is valid"));
    });
    let compiled = Module::new(&Engine::default(), &bytes).expect("it compiles");
    group.bench_function(format!("{FUNCTIONS} functions, serialize"), |bencher| {
        bencher.iter_batched(
            || compiled.clone(),
            |module| module.serialize().expect("it serializes"),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, compile);
criterion_main!(benches);
