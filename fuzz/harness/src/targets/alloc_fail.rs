//! `alloc_fail`: when the machine has no memory, there is an error, and everything stays usable.
//!
//! A program is loaded, instantiated, called and grows, while the n-th mapping or guest-sized allocation of this thread
//! fails, for n from none to enough. Every step must end in success or in an error of its type, never in a panic; and
//! afterwards, with memory again, a fresh store of the same engine, pools included, must do what it does without failures.
//!
//! Invariant: the failures are this thread's alone, and over before the next case.
//!
//! Does not know: which operation failed.

use super::subject::Engines;
use super::{Outcome, Target};
use crate::envelope::Envelope;
use crate::panics;
use crate::source::Source;
use wattest::{Engine, Instance, Module, Store, Val};
use wattest_vm::sys::fault;

/// Configurations that allocate in different ways.
const OPTIONS: [&str; 5] = [
    "",
    "allocation=pooling pooling-memories=8",
    "memory-reservation=64KiB memory-guard=64KiB",
    "copy-on-write=false recycle-memories=false",
    "allocation=pooling pooling-memories=8 pooling-keep-resident=65536",
];

/// The n-th operation fails, up to this n.
const FAILURES_MAX: u64 = 24;

/// The target.
#[derive(Default)]
pub(super) struct AllocFail {
    engines: Engines,
}

/// A module that allocates in every way that a guest can.
fn text(source: &mut Source<'_>) -> String {
    let (pages, data) = (source.below(3) + 1, source.below(3) * 40_000);
    let (elements, second) = (source.below(2000), source.percent(50));
    let objects = source.percent(50);
    let data = if data > 0 { format!("(data (i32.const 8) \"{}\")", "x".repeat(data)) } else { String::new() };
    let second = if second { "(memory 1 4)" } else { "" };
    let (types, object) = match objects {
        true => ("(type $a (array (mut i64)))", "(drop (array.new_default $a (i32.const 5000)))"),
        false => ("", ""),
    };
    format!(
        "(module {types} (memory {pages} 200) {second} (table {elements} 20000 externref) {data}
           (func (export \"f\") (param i32) (result i32)
             {object}
             (i32.store (i32.const 100) (local.get 0))
             (i32.add
               (i32.add (memory.grow (i32.const 3)) (table.grow (ref.null extern) (i32.const 3000)))
               (i32.load (i32.const 100)))))"
    )
}

/// Everything, from the binary to the result.
fn life(engine: &Engine, wasm: &[u8]) -> Result<Vec<i32>, String> {
    let module = Module::from_binary(engine, wasm).map_err(|error| error.to_string())?;
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(1 << 40);
    let instance = Instance::new(&mut store, &module, &[]).map_err(|error| error.to_string())?;
    let func = instance.get_func(&store, "f").ok_or("no export")?;
    let mut seen = Vec::new();
    for argument in [5, 7] {
        let mut results = [Val::I32(0)];
        func.call(&mut store, &[Val::I32(argument)], &mut results).map_err(|error| error.to_string())?;
        if let [Val::I32(value)] = results {
            seen.push(value);
        }
    }
    Ok(seen)
}

impl Target for AllocFail {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let options = source.below(OPTIONS.len());
        let wasm = wat::parse_str(text(&mut source)).ok()?;
        Some(Envelope::new("alloc_fail").set("options", options).module("main", wasm))
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let options = OPTIONS[case.number("options", 0) as usize % OPTIONS.len()];
        let engine = match self.engines.of_options(options) {
            Ok(engine) => engine,
            Err(what) => return Outcome::failed("wattest", what),
        };
        let wasm = case.bytes(0);
        let Ok(expected) = life(&engine, wasm) else { return Outcome::default() };
        let mut outcome = Outcome { checks: 1, useful: true, ..Outcome::default() };
        for successes in 0..FAILURES_MAX {
            fault::fail_after(successes);
            let ended = panics::record(|| life(&engine, wasm));
            let struck = fault::heal();
            if let Err(text) = ended {
                return Outcome::failed("wattest", format!("panic when operation {successes} fails: {text}"));
            }
            match life(&engine, wasm) {
                Ok(seen) if seen == expected => outcome.checks += 1,
                other => {
                    let what = format!("{expected:?} before operation {successes} failed, {other:?} after");
                    return Outcome::failed("wattest", what);
                }
            }
            if !struck {
                break;
            }
        }
        outcome
    }
}
