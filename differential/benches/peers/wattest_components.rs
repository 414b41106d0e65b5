//! Wattest's rows about components, measured inside a process of its own.

use crate::clock::{Failure, Sample, best, best_of_process};
use std::fs;
use std::path::Path;
use wattest::component::{Component, Linker, TypedFunc};
use wattest::{Engine, Instance, Module, Store};

/// Measures them all, over the files in a folder.
pub fn components(folder: &str) -> Result<Sample, Failure> {
    let load = |name: &str| fs::read(Path::new(folder).join(format!("{name}.wasm")));
    let engine = Engine::default();
    let mut sample = Sample::new();
    sample.insert("core_typed".into(), core_typed(&engine, &load("core_add")?)?);
    sample.insert("typed".into(), typed(&engine, &load("typed")?)?);
    sample.insert("scalar".into(), scalar(&engine, &load("scalar")?)?);
    let passed = [
        ("empty_string", "string_utf8", 1_000_000, 0),
        ("bytes", "bytes", 20, 1 << 20),
        ("utf16_utf8", "utf16_utf8", 200, 1 << 16),
        ("utf8_utf16", "utf8_utf16", 200, 1 << 16),
    ];
    for (key, file, count, length) in passed {
        sample.insert(key.into(), passing(&engine, &load(file)?, count, length)?);
    }
    let bytes = load("compile_1000")?;
    let (cpu, wall) = best_of_process(1, |_| Component::new(&engine, &bytes).map(drop).map_err(Failure::from))?;
    sample.insert("compile_1000_cpu".into(), cpu);
    sample.insert("compile_1000_wall".into(), wall);
    Ok(sample)
}

fn core_typed(engine: &Engine, bytes: &[u8]) -> Result<f64, Failure> {
    let module = Module::new(engine, bytes)?;
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    let add = instance.get_typed_func::<(u32, u32), u32>(&mut store, "add")?;
    best(1_000_000, |count| {
        let mut sum = 0;
        for _ in 0..count {
            sum = add.call(&mut store, (sum, 1))?;
        }
        if sum == count { Ok(()) } else { Err("add gave another sum".into()) }
    })
}

fn typed(engine: &Engine, bytes: &[u8]) -> Result<f64, Failure> {
    let component = Component::new(engine, bytes)?;
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine).instantiate(&mut store, &component)?;
    let add: TypedFunc<(u32, u32), (u32,)> = instance.get_typed_func(&mut store, "add")?;
    best(1_000_000, |count| {
        let mut sum = 0;
        for _ in 0..count {
            (sum,) = add.call(&mut store, (sum, 1))?;
        }
        if sum == count { Ok(()) } else { Err("add gave another sum".into()) }
    })
}

fn scalar(engine: &Engine, bytes: &[u8]) -> Result<f64, Failure> {
    let component = Component::new(engine, bytes)?;
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine).instantiate(&mut store, &component)?;
    let looped: TypedFunc<(u32,), (u32,)> = instance.get_typed_func(&mut store, "loop")?;
    best(1_000_000, |count| {
        let (sum,) = looped.call(&mut store, (count,))?;
        if sum == count { Ok(()) } else { Err("the loop gave another sum".into()) }
    })
}

fn passing(engine: &Engine, bytes: &[u8], count: u32, length: u32) -> Result<f64, Failure> {
    let component = Component::new(engine, bytes)?;
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine).instantiate(&mut store, &component)?;
    let looped: TypedFunc<(u32, u32), ()> = instance.get_typed_func(&mut store, "loop")?;
    best(count, |count| Ok(looped.call(&mut store, (count, length))?))
}
