//! Instantiating: store and instance, made and dropped, on demand and from the pool.
//!
//! `cargo bench -p wattest --bench instantiate`.

use criterion::{Criterion, criterion_group, criterion_main};
use wattest::{Config, Engine, Instance, Module, Store, Strategy, TypedFunc};

const ONE_FUNCTION: &str = r#"(module (func (export "f")))"#;
const MEMORY_AND_TABLE: &str =
    r#"(module (memory 17) (table 100 funcref) (elem (i32.const 0) $f $f) (func $f (export "f")))"#;

/// A module whose memory begins with a mebibyte of data; `f` writes one byte of it.
fn with_data() -> String {
    let segment = "wattest.".repeat((1 << 20) / 8);
    format!(
        r#"(module (memory 17) (data (i32.const 0) "{segment}")
             (func (export "f") (i32.store8 (i32.const 5000) (i32.const 1))))"#
    )
}

fn instantiate(criterion: &mut Criterion) {
    let data = with_data();
    let modules = [("one function", ONE_FUNCTION), ("memory and table", MEMORY_AND_TABLE), ("1 MiB of data", &data)];
    for (allocation, strategy) in [("on demand", Strategy::OnDemand), ("pooled", Strategy::Pooling)] {
        let engine = Engine::new(Config::new().allocation(strategy)).expect("a valid configuration");
        let mut group = criterion.benchmark_group(format!("instantiate {allocation}"));
        for (name, text) in modules {
            let module = Module::new(&engine, text).expect("it compiles");
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let mut store = Store::new(&engine, ());
                    Instance::new(&mut store, &module, &[]).expect("it instantiates");
                });
            });
            group.bench_function(format!("{name}, and a call"), |bencher| {
                bencher.iter(|| {
                    let mut store = Store::new(&engine, ());
                    let instance = Instance::new(&mut store, &module, &[]).expect("it instantiates");
                    let f: TypedFunc<(), ()> = instance.get_typed_func(&mut store, "f").expect("f is exported");
                    f.call(&mut store, ()).expect("f returns");
                });
            });
        }
    }
}

criterion_group!(benches, instantiate);
criterion_main!(benches);
