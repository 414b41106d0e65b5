//! Litmus programs on OS threads.
//!
//! Invariant: every round of every run ends in an allowed outcome, in each configuration that changes how accesses are
//! compiled; what is reported names the program and the outcome.
//!
//! Does not know: the memory model.

use super::memory_model::{self, Outcome};
use super::program::{LOCATION_BYTES, PAGES, Program, REGISTERS, ROUND_BYTES, ROUNDS};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use wattest::{Engine, Extern, Instance, MemoryType, Module, SharedMemory, Store};
use wattest_differential::{CONFIGS, NanRule, build};

/// Runs `program`, in the configuration of a row of [`CONFIGS`], modulo their number; how many rounds were compared.
///
/// # Errors
///
/// An outcome that the memory model does not allow.
pub fn check(program: &Program, row: usize) -> Result<u64, String> {
    check_against(program, row, &memory_model::outcomes(program))
}

/// Runs `program`, whose allowed outcomes are given.
///
/// # Errors
///
/// Another outcome.
pub fn check_against(program: &Program, row: usize, allowed: &BTreeSet<Outcome>) -> Result<u64, String> {
    let text = program.text();
    let row = &CONFIGS[row % CONFIGS.len()];
    let engine: Engine = build(row, NanRule::Exact).map_err(|refusal| refusal.to_string())?;
    let module = Module::new(&engine, &text).map_err(|error| format!("{error}\n{text}"))?;
    let memory = run(program, &module)?;
    let number = |at: u32, bytes: u32| {
        let byte = |at: u32| u64::from(memory.data()[at as usize].load(Ordering::SeqCst));
        (0..bytes).rev().fold(0, |number, position| number << 8 | byte(at + position))
    };
    for round in 0..ROUNDS {
        let base = round * ROUND_BYTES;
        let registers = program.ops().map(|(register, ..)| number(base + REGISTERS + register as u32 * 8, 8));
        let locations = program.widths.iter().zip(0..);
        let finals = locations.map(|(width, location)| number(base + location * LOCATION_BYTES, *width));
        let outcome: Outcome = registers.chain(finals).collect();
        if !allowed.contains(&outcome) {
            let name = row.name;
            return Err(format!("round {round} ends in {outcome:?}, none of {allowed:?}\n{program:?} ({name})"));
        }
    }
    Ok(u64::from(ROUNDS))
}

fn run(program: &Program, module: &Module) -> Result<SharedMemory, String> {
    let pages = u64::from(PAGES);
    let ty = MemoryType { memory64: false, shared: true, minimum: pages, maximum: Some(pages), page_bytes_log2: 16 };
    let memory = SharedMemory::new(module.engine(), ty).map_err(|error| error.to_string())?;
    // All of them are made before one runs: who is missing would be waited for.
    let ready = (0..program.threads.len()).map(|number| {
        let mut store = Store::new(module.engine(), ());
        // More than is needed. Engines that count no fuel want none.
        store.set_epoch_deadline(1 << 40);
        let _ = store.set_fuel(1 << 40);
        let imports = [Extern::from(memory.clone())];
        let instance = Instance::new(&mut store, module, &imports).map_err(|error| error.to_string())?;
        let run = instance.get_typed_func::<(), ()>(&store, &format!("t{number}"));
        run.map(|run| (store, run)).map_err(|error| error.to_string())
    });
    let ready = ready.collect::<Result<Vec<_>, String>>()?;
    std::thread::scope(|scope| {
        for (mut store, run) in ready {
            // Nothing of it traps; the others would wait for a thread that does.
            scope.spawn(move || run.call(&mut store, ()).expect("nothing traps"));
        }
    });
    Ok(memory)
}
