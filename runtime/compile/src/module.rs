//! A whole module: its functions compiled, in parallel where that pays, and linked.
//!
//! Invariant: the result, an error included, does not depend on the number of threads.
//!
//! Does not know: how a function is compiled or code laid out.

use crate::{CompileError, FunctionCode, ModuleCompiler, Target, Worker, link};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use wattest_abi::Tunables;
use wattest_abi::artifact::CompiledCode;
use wattest_module::{DefinedFuncIndex, ModuleDesc};

/// Total bytes of bodies below which starting threads costs more than it saves: a thread pool starts in about a tenth of a
/// millisecond, in which a hundred bytes are compiled. (At 64 KiB, programs of 20 to 60 KiB took 1.2 to 1.6 times Wasmtime's
/// wall time on two cores.)
const PARALLEL_BYTES_MIN: u64 = 4 << 10;

/// Total bytes of bodies up to which a thread keeps its worker for the next module: for small modules, getting its memory
/// takes a good part of the time, and a kept worker is as large as the largest function that it has seen.
const KEPT_BYTES_MAX: u64 = 16 << 10;

thread_local! {
    static KEPT: Cell<Option<Box<Worker>>> = const { Cell::new(None) };
}

/// Compiles every function of `desc`, whose binary is `wasm`, and links the code. `target` must have been made with
/// `tunables`.
pub fn compile_module(
    desc: &ModuleDesc,
    wasm: &[u8],
    tunables: &Tunables,
    target: &Target,
    parallel: bool,
) -> Result<CompiledCode, CompileError> {
    let compiler = ModuleCompiler::new(desc, wasm, tunables, target);
    #[cfg(fuzzing)]
    crate::features::note_configuration(&compiler);
    let bytes: u64 = desc.bodies.iter().map(|body| u64::from(body.bytes.end - body.bytes.start)).sum();
    let functions = if parallel && bytes >= PARALLEL_BYTES_MIN {
        compile_in_parallel(&compiler)?
    } else {
        let mut worker = KEPT.take().unwrap_or_default();
        let all = 0..desc.bodies.len() as u32;
        let functions = all.map(|func| compiler.compile_function(&mut worker, DefinedFuncIndex(func)));
        let functions = functions.collect::<Result<_, _>>()?;
        if bytes <= KEPT_BYTES_MAX {
            KEPT.set(Some(worker));
        }
        functions
    };
    link::link(&compiler, functions)
}

/// Compiles one defined function. A lazy tier that compiles many keeps a [`ModuleCompiler`] and a [`Worker`] instead.
pub fn compile_function(
    desc: &ModuleDesc,
    wasm: &[u8],
    tunables: &Tunables,
    target: &Target,
    func: DefinedFuncIndex,
) -> Result<FunctionCode, CompileError> {
    ModuleCompiler::new(desc, wasm, tunables, target).compile_function(&mut Worker::new(), func)
}

fn compile_in_parallel(compiler: &ModuleCompiler<'_>) -> Result<Vec<FunctionCode>, CompileError> {
    let count = compiler.desc.bodies.len();
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let work = |_| {
        let mut worker = Worker::new();
        let mut done = Vec::with_capacity(count / rayon::current_num_threads() + 1);
        while !failed.load(Ordering::Relaxed) {
            let func = next.fetch_add(1, Ordering::Relaxed);
            if func >= count {
                break;
            }
            match compiler.compile_function(&mut worker, DefinedFuncIndex(func as u32)) {
                Ok(code) => done.push(code),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    return (done, Some(error));
                }
            }
        }
        (done, None)
    };
    let parts: Vec<_> = (0..rayon::current_num_threads()).into_par_iter().with_max_len(1).map(work).collect();
    // Functions are handed out in index order and each that was handed out is finished, so that the first function
    // with an error is always among the errors.
    let mut functions = Vec::with_capacity(count);
    let mut first_error: Option<CompileError> = None;
    for (done, error) in parts {
        functions.extend(done);
        if let Some(error) = error
            && first_error.as_ref().is_none_or(|first| error.function < first.function)
        {
            first_error = Some(error);
        }
    }
    functions.sort_unstable_by_key(|code| code.function);
    first_error.map_or(Ok(functions), Err)
}
