//! How many instructions the interpreter takes per second, on loops of simple ones.

#![forbid(unsafe_code)]

use std::time::Instant;
use wattest_reference::{Budget, Extern, Features, Module, Store, Value};

const PROGRAMS: &[(&str, &str)] = &[
    (
        "integers",
        "(module (func (export \"run\") (param $n i32) (result i32) (local $x i32)
            (loop $l
              (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 31)) (local.get $n)))
              (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $x)))",
    ),
    (
        "memory",
        "(module (memory 1) (func (export \"run\") (param $n i32) (result i32)
            (loop $l
              (i32.store (i32.and (local.get $n) (i32.const 0xfffc))
                (i32.add (i32.load (i32.and (local.get $n) (i32.const 0xfff0))) (local.get $n)))
              (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (i32.load (i32.const 0))))",
    ),
    (
        "calls",
        "(module (func $f (param i32) (result i32) (i32.add (local.get 0) (i32.const 3)))
          (func (export \"run\") (param $n i32) (result i32) (local $x i32)
            (loop $l
              (local.set $x (call $f (local.get $x)))
              (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $x)))",
    ),
    (
        "structures",
        "(module (type $p (struct (field (mut i32))))
          (func (export \"run\") (param $n i32) (result i32) (local $p (ref null $p))
            (local.set $p (struct.new $p (i32.const 0)))
            (loop $l
              (struct.set $p 0 (local.get $p) (i32.add (struct.get $p 0 (local.get $p)) (local.get $n)))
              (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (struct.get $p 0 (local.get $p))))",
    ),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (name, text) in PROGRAMS {
        let module = Module::decode(&wat::parse_str(text)?, Features::default())?;
        let mut store = Store::new(Budget::default());
        let instance = store.instantiate(&module, &[])?;
        let Some(Extern::Func(run)) = store.export(instance, "run") else { continue };
        let (start, fuel) = (Instant::now(), store.fuel());
        store.invoke(run, &[Value::I32(5_000_000)])?;
        let (steps, seconds) = (fuel - store.fuel(), start.elapsed().as_secs_f64());
        println!("{name}: {:.1} million instructions per second", steps as f64 / seconds / 1e6);
    }
    Ok(())
}
