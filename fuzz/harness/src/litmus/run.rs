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
use wattest::{Config, Engine, Extern, Instance, MemoryType, Module, OptLevel, SharedMemory, Store};

fn engines() -> [Engine; 2] {
    let mut explicit = Config::new();
    explicit.explicit_bounds(true).memory_reservation(0).memory_guard(0).opt_level(OptLevel::None);
    [Engine::default(), Engine::new(&explicit).expect("the configuration is sound")]
}

/// Runs `program`; how many rounds were compared.
///
/// # Errors
///
/// An outcome that the memory model does not allow.
pub fn check(program: &Program) -> Result<u64, String> {
    check_against(program, &memory_model::outcomes(program))
}

/// Runs `program`, whose allowed outcomes are given.
///
/// # Errors
///
/// Another outcome.
pub fn check_against(program: &Program, allowed: &BTreeSet<Outcome>) -> Result<u64, String> {
    let text = program.text();
    for engine in engines() {
        let module = Module::new(&engine, &text).map_err(|error| format!("{error}\n{text}"))?;
        let memory = run(program, &module);
        let number = |at: u32, bytes: u32| {
            (0..bytes).rev().fold(0, |number, byte| {
                number << 8 | u64::from(memory.data()[(at + byte) as usize].load(Ordering::SeqCst))
            })
        };
        for round in 0..ROUNDS {
            let base = round * ROUND_BYTES;
            let registers = program.ops().map(|(register, ..)| number(base + REGISTERS + register as u32 * 8, 8));
            let locations = program.widths.iter().zip(0..);
            let finals = locations.map(|(width, location)| number(base + location * LOCATION_BYTES, *width));
            let outcome: Outcome = registers.chain(finals).collect();
            if !allowed.contains(&outcome) {
                return Err(format!("round {round} ends in {outcome:?}, which is none of {allowed:?}\n{program:?}"));
            }
        }
    }
    Ok(u64::from(ROUNDS) * engines().len() as u64)
}

fn run(program: &Program, module: &Module) -> SharedMemory {
    let pages = u64::from(PAGES);
    let ty = MemoryType { memory64: false, shared: true, minimum: pages, maximum: Some(pages), page_bytes_log2: 16 };
    let memory = SharedMemory::new(module.engine(), ty).expect("there is room");
    std::thread::scope(|scope| {
        for number in 0..program.threads.len() {
            let memory = &memory;
            scope.spawn(move || {
                let mut store = Store::new(module.engine(), ());
                let imports = [Extern::from(memory.clone())];
                let instance = Instance::new(&mut store, module, &imports).expect("the memory matches");
                let run = instance.get_typed_func::<(), ()>(&store, &format!("t{number}")).expect("exported");
                run.call(&mut store, ()).expect("nothing traps");
            });
        }
    });
    memory
}
