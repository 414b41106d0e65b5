//! wasmi, measured inside a process of its own; its programs get wattest's WASI, which does not know engines.

use crate::clock::{Between, Failure, Sample, best, best_of_process, compiles};
use std::fs;
use std::path::Path;
use wasmi::{Caller, Engine, Extern, FuncType, Linker, Module, Store, TypedFunc, Val, ValType};
use wattest_wasi::host::fs::Access;
use wattest_wasi::host::stdio::{OutputBuffer, OutputStream};
use wattest_wasi::preview1::{self, Function, GuestMemory, Param};
use wattest_wasi::{Errno, WasiCtx, WasiCtxBuilder};

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
    let mut linker: Linker<State> = Linker::new(&engine);
    define_wasi(&mut linker)?;
    linker.func_wrap("bench", "start", |mut caller: Caller<'_, State>| caller.data_mut().between.start())?;
    linker.func_wrap("bench", "end", |mut caller: Caller<'_, State>| caller.data_mut().between.end())?;
    let mut store = Store::new(&engine, State { wasi: builder.build(), between: Between::default() });
    let instance = linker.instantiate_and_start(&mut store, &module)?;
    if let Err(error) = instance.get_typed_func::<(), ()>(&store, "_start")?.call(&mut store, ())
        && error.i32_exit_status() != Some(0)
    {
        return Err(error.into());
    }
    sample.insert("exec_cpu".into(), store.data().between.cpu);
    sample.insert("exec_wall".into(), store.data().between.wall);
    fs::write(stdout, out.contents())?;
    fs::write(stderr, err.contents())?;
    Ok(sample)
}

fn define_wasi(linker: &mut Linker<State>) -> Result<(), Failure> {
    for function in preview1::FUNCTIONS {
        let params = function.params.iter().map(|param| match param {
            Param::I32 => ValType::I32,
            Param::I64 => ValType::I64,
        });
        let ty = FuncType::new(params, [ValType::I32]);
        linker.func_new(preview1::MODULE, function.name, ty, |caller, args, results| {
            results[0] = Val::I32(answer(function, caller, args)?);
            Ok(())
        })?;
    }
    linker.func_wrap(preview1::MODULE, "proc_exit", |status: i32| -> Result<(), wasmi::Error> {
        Err(wasmi::Error::i32_exit(status))
    })?;
    Ok(())
}

fn answer(function: &Function, mut caller: Caller<'_, State>, args: &[Val]) -> Result<i32, wasmi::Error> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(wasmi::Error::new("the program exports no memory"));
    };
    let raw: Vec<u64> = args
        .iter()
        .map(|arg| match arg {
            Val::I32(value) => u64::from(*value as u32),
            Val::I64(value) => *value as u64,
            _ => 0,
        })
        .collect();
    let (bytes, state) = memory.data_and_store_mut(&mut caller);
    let result = (function.call)(&mut state.wasi, &mut GuestMemory::new(bytes), &raw);
    Ok(result.err().unwrap_or(Errno::Success) as i32)
}

/// The small rows that an interpreter has, over the modules in a folder.
pub fn micro(folder: &str) -> Result<Sample, Failure> {
    let load = |name: &str| fs::read(Path::new(folder).join(name));
    let mut sample = Sample::new();
    let engine = Engine::default();
    let linker: Linker<()> = Linker::new(&engine);
    let one = load("one_function.wasm")?;
    let (cpu, wall) = best_of_process(100, |count| {
        for _ in 0..count {
            let module = Module::new(&engine, &one)?;
            linker.instantiate_and_start(&mut Store::new(&engine, ()), &module)?;
        }
        Ok(())
    })?;
    sample.insert("one_function_cpu".into(), cpu);
    sample.insert("one_function_wall".into(), wall);
    calls(&mut sample, &engine, &load("calls.wasm")?)?;
    let module = Module::new(&engine, load("data.wasm")?)?;
    let on_demand = best(200, |count| {
        for _ in 0..count {
            linker.instantiate_and_start(&mut Store::new(&engine, ()), &module)?;
        }
        Ok(())
    })?;
    sample.insert("data_on_demand".into(), on_demand);
    Ok(sample)
}

fn calls(sample: &mut Sample, engine: &Engine, bytes: &[u8]) -> Result<(), Failure> {
    let module = Module::new(engine, bytes)?;
    let mut store = Store::new(engine, ());
    let mut linker: Linker<()> = Linker::new(engine);
    linker.func_wrap("host", "nop", || ())?;
    let instance = linker.instantiate_and_start(&mut store, &module)?;
    let add: TypedFunc<(i32, i32), i32> = instance.get_typed_func(&store, "add")?;
    let host_to_wasm = best(100_000, |count| {
        let mut sum = 0;
        for _ in 0..count {
            sum = add.call(&mut store, (sum, 1))?;
        }
        if sum as u32 == count { Ok(()) } else { Err("add gave another sum".into()) }
    })?;
    sample.insert("host_to_wasm".into(), host_to_wasm);
    for (key, name) in [("wasm_to_host", "host_loop"), ("indirect", "indirect_loop")] {
        let looped: TypedFunc<i32, ()> = instance.get_typed_func(&store, name)?;
        sample.insert(key.into(), best(100_000, |count| Ok(looped.call(&mut store, count as i32)?))?);
    }
    Ok(())
}
