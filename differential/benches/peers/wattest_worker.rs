//! Wattest, measured inside a process of its own.

use crate::clock::{Between, Failure, Sample, best, best_of_process, compiles};
use std::fs;
use std::path::Path;
use wattest::{Config, Engine, Instance, Linker, Module, Store, Strategy, TypedFunc};
use wattest_wasi::host::fs::Access;
use wattest_wasi::host::stdio::{OutputBuffer, OutputStream};
use wattest_wasi::{Exit, WasiCtx, WasiCtxBuilder, preview1};

/// Most bytes a benchmark program may print.
const OUTPUT_BYTES_MAX: usize = 1 << 24;

struct State {
    wasi: WasiCtx,
    between: Between,
}

/// Compiles a program and runs it: `FILE FOLDER STDOUT STDERR`.
pub fn program(args: &[&str]) -> Result<Sample, Failure> {
    let [file, folder, stdout, stderr] = args else { return Err("program FILE FOLDER STDOUT STDERR".into()) };
    let bytes = fs::read(file)?;
    let engine = Engine::default();
    let mut sample = Sample::new();
    let module = compiles(&mut sample, || Ok(Module::new(&engine, &bytes)?))?;
    let (out, err) = (OutputBuffer::new(OUTPUT_BYTES_MAX), OutputBuffer::new(OUTPUT_BYTES_MAX));
    let mut builder = WasiCtxBuilder::new();
    builder.arg("program.wasm")?.preopened_dir(folder, ".", Access::READ_WRITE)?;
    builder.stdout(OutputStream::Buffer(out.clone())).stderr(OutputStream::Buffer(err.clone()));
    let state = State { wasi: builder.build(), between: Between::default() };
    let between = run(&engine, &module, state)?;
    sample.insert("exec_cpu".into(), between.cpu);
    sample.insert("exec_wall".into(), between.wall);
    fs::write(stdout, out.contents())?;
    fs::write(stderr, err.contents())?;
    Ok(sample)
}

fn run(engine: &Engine, module: &Module, state: State) -> Result<Between, Failure> {
    let mut linker: Linker<State> = Linker::new(engine);
    preview1::add_to_linker(&mut linker, |state| &mut state.wasi)?;
    linker.func_wrap("bench", "start", |mut caller: wattest::Caller<'_, State>| caller.data_mut().between.start())?;
    linker.func_wrap("bench", "end", |mut caller: wattest::Caller<'_, State>| caller.data_mut().between.end())?;
    let mut store = Store::new(engine, state);
    let instance = linker.instantiate(&mut store, module)?;
    let start: TypedFunc<(), ()> = instance.get_typed_func(&mut store, "_start")?;
    if let Err(error) = start.call(&mut store, ()) {
        match error.downcast_ref::<Exit>() {
            Some(Exit(0)) => {}
            _ => return Err(error.into()),
        }
    }
    Ok(store.into_data().between)
}

/// The small rows, over the modules in a folder.
pub fn micro(folder: &str) -> Result<Sample, Failure> {
    let load = |name: &str| fs::read(Path::new(folder).join(name));
    let mut sample = Sample::new();
    one_function(&mut sample, &load("one_function.wasm")?)?;
    calls(&mut sample, &load("calls.wasm")?)?;
    objects(&mut sample, &load("objects.wasm")?)?;
    let data = load("data.wasm")?;
    let mut pooling = Config::new();
    pooling.allocation(Strategy::Pooling);
    sample.insert("data_on_demand".into(), instantiate(&Engine::default(), &data)?);
    sample.insert("data_pooled".into(), instantiate(&Engine::new(&pooling)?, &data)?);
    Ok(sample)
}

fn one_function(sample: &mut Sample, bytes: &[u8]) -> Result<(), Failure> {
    let engine = Engine::default();
    let (cpu, wall) = best_of_process(100, |count| {
        for _ in 0..count {
            let module = Module::new(&engine, bytes)?;
            let mut store = Store::new(&engine, ());
            Instance::new(&mut store, &module, &[])?;
        }
        Ok(())
    })?;
    sample.insert("one_function_cpu".into(), cpu);
    sample.insert("one_function_wall".into(), wall);
    Ok(())
}

fn calls(sample: &mut Sample, bytes: &[u8]) -> Result<(), Failure> {
    let engine = Engine::default();
    let module = Module::new(&engine, bytes)?;
    let mut store = Store::new(&engine, ());
    let mut linker: Linker<()> = Linker::new(&engine);
    linker.func_wrap("host", "nop", || ())?;
    let instance = linker.instantiate(&mut store, &module)?;
    let add: TypedFunc<(i32, i32), i32> = instance.get_typed_func(&mut store, "add")?;
    let host_to_wasm = best(1_000_000, |count| {
        let mut sum = 0;
        for _ in 0..count {
            sum = add.call(&mut store, (sum, 1))?;
        }
        if sum as u32 == count { Ok(()) } else { Err("add gave another sum".into()) }
    })?;
    sample.insert("host_to_wasm".into(), host_to_wasm);
    for (key, name, count) in [("wasm_to_host", "host_loop", 1_000_000), ("indirect", "indirect_loop", 10_000_000)] {
        let looped: TypedFunc<u32, ()> = instance.get_typed_func(&mut store, name)?;
        sample.insert(key.into(), best(count, |count| Ok(looped.call(&mut store, count)?))?);
    }
    Ok(())
}

fn objects(sample: &mut Sample, bytes: &[u8]) -> Result<(), Failure> {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &Module::new(&engine, bytes)?, &[])?;
    for row in crate::micro::LOOPS {
        let looped: TypedFunc<u32, ()> = instance.get_typed_func(&mut store, row.key)?;
        sample.insert(row.key.into(), best(row.count, |count| Ok(looped.call(&mut store, count)?))?);
    }
    Ok(())
}

fn instantiate(engine: &Engine, bytes: &[u8]) -> Result<f64, Failure> {
    let module = Module::new(engine, bytes)?;
    best(2000, |count| {
        for _ in 0..count {
            let mut store = Store::new(engine, ());
            Instance::new(&mut store, &module, &[])?;
        }
        Ok(())
    })
}
