//! Wasmtime, measured through its Rust API: one run per process, one JSON object of nanoseconds on standard output.
//!
//! `wasmtime-driver components FOLDER` measures the rows about components, over the files that `peers` writes there.

use rustix::time::{ClockId, clock_gettime};
use std::path::Path;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Error, Instance, Module, Result, Store};

const REPEATS: usize = 7;

fn nanoseconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn best(count: u32, mut turns: impl FnMut(u32) -> Result<()>) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..REPEATS {
        let before = nanoseconds(ClockId::ThreadCPUTime);
        turns(count)?;
        least = least.min((nanoseconds(ClockId::ThreadCPUTime) - before) / f64::from(count));
    }
    Ok(least)
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, verb, folder] = args.as_slice() else { return Err(Error::msg("usage: wasmtime-driver components FOLDER")) };
    if verb != "components" {
        return Err(Error::msg("no such verb"));
    }
    let load = |name: &str| std::fs::read(Path::new(folder).join(format!("{name}.wasm"))).map_err(Error::from);
    let engine = Engine::default();
    let mut rows = vec![
        ("core_typed", core_typed(&engine, &load("core_add")?)?),
        ("typed", typed(&engine, &load("typed")?)?),
        ("scalar", scalar(&engine, &load("scalar")?)?),
        ("empty_string", passing(&engine, &load("string_utf8")?, 1_000_000, 0)?),
        ("bytes", passing(&engine, &load("bytes")?, 20, 1 << 20)?),
        ("utf16_utf8", passing(&engine, &load("utf16_utf8")?, 200, 1 << 16)?),
        ("utf8_utf16", passing(&engine, &load("utf8_utf16")?, 200, 1 << 16)?),
    ];
    let (cpu, wall) = compile(&engine, &load("compile_1000")?)?;
    rows.extend([("compile_1000_cpu", cpu), ("compile_1000_wall", wall)]);
    let fields: Vec<String> = rows.iter().map(|(key, value)| format!("\"{key}\":{value:.3}")).collect();
    println!("{{{}}}", fields.join(","));
    Ok(())
}

fn core_typed(engine: &Engine, bytes: &[u8]) -> Result<f64> {
    let module = Module::new(engine, bytes)?;
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    let add = instance.get_typed_func::<(u32, u32), u32>(&mut store, "add")?;
    best(1_000_000, |count| {
        let mut sum = 0;
        for _ in 0..count {
            sum = add.call(&mut store, (sum, 1))?;
        }
        assert_eq!(sum, count);
        Ok(())
    })
}

fn typed(engine: &Engine, bytes: &[u8]) -> Result<f64> {
    let component = Component::new(engine, bytes)?;
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine).instantiate(&mut store, &component)?;
    let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
    best(1_000_000, |count| {
        let mut sum = 0;
        for _ in 0..count {
            (sum,) = add.call(&mut store, (sum, 1))?;
        }
        assert_eq!(sum, count);
        Ok(())
    })
}

fn scalar(engine: &Engine, bytes: &[u8]) -> Result<f64> {
    let component = Component::new(engine, bytes)?;
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine).instantiate(&mut store, &component)?;
    let looped = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "loop")?;
    best(1_000_000, |count| {
        let (sum,) = looped.call(&mut store, (count,))?;
        assert_eq!(sum, count);
        Ok(())
    })
}

fn passing(engine: &Engine, bytes: &[u8], count: u32, length: u32) -> Result<f64> {
    let component = Component::new(engine, bytes)?;
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine).instantiate(&mut store, &component)?;
    let looped = instance.get_typed_func::<(u32, u32), ()>(&mut store, "loop")?;
    best(count, |count| looped.call(&mut store, (count, length)))
}

fn compile(engine: &Engine, bytes: &[u8]) -> Result<(f64, f64)> {
    let mut least = (f64::INFINITY, f64::INFINITY);
    for _ in 0..REPEATS {
        let (cpu, wall) = (nanoseconds(ClockId::ProcessCPUTime), nanoseconds(ClockId::Monotonic));
        Component::new(engine, bytes)?;
        let (cpu, wall) = (nanoseconds(ClockId::ProcessCPUTime) - cpu, nanoseconds(ClockId::Monotonic) - wall);
        least = (least.0.min(cpu), least.1.min(wall));
    }
    Ok(least)
}
