//! Linked programs in the definitional interpreter.
//!
//! Invariant: every trap class maps to one class or one poison.
//!
//! Does not know: predictions.

use super::{LinkedEnding, LinkedEngine, LinkedProgram, LinkedRun, LinkedStep, Observed, trimmed};
use crate::engines::{reference_trap, tally_of};
use crate::{DefinitionalEngine, Refusal, Value};
use std::collections::BTreeMap;
use wattest_reference as core;
use wattest_reference::{Extern, Failure, Ref, Store};

impl LinkedEngine for DefinitionalEngine {
    fn name(&self) -> String {
        "reference".to_owned()
    }

    fn run(&mut self, program: &LinkedProgram, steps_max: u64) -> Result<LinkedRun, Refusal> {
        let mut session = Session { store: Store::new(core::Budget::default()), instances: Vec::new() };
        session.store.keep_tally();
        let mut run = LinkedRun::default();
        session.all(program, steps_max, &mut run)?;
        run.tally = tally_of(&session.store);
        Ok(run)
    }
}

impl Session {
    /// Every instantiation and call, until one does not go on.
    fn all(&mut self, program: &LinkedProgram, steps_max: u64, run: &mut LinkedRun) -> Result<(), Refusal> {
        for module in &program.modules {
            let decoded = core::Module::decode(&module.wasm, core::Features::all())
                .map_err(|error| Refusal::Module(format!("{}: {error}", module.name)))?;
            let imports = self.imports(&decoded)?;
            self.store.set_fuel(steps_max);
            let outcome = self.store.instantiate(&decoded, &imports);
            let outcome = outcome.map(|instance| {
                let exports = self.store.instance(instance).exports.clone();
                self.instances.push((module.name.clone(), exports));
                Vec::new()
            });
            if !self.step(run, outcome)? || run.steps.last().is_some_and(|step| step.ending != nothing()) {
                return Ok(());
            }
        }
        for call in &program.calls {
            let found = self.instances.get(call.module).and_then(|(_, exports)| exports.get(&call.export));
            let Some(Extern::Func(func)) = found.copied() else {
                return Err(Refusal::Broken(format!("no function {}", call.export)));
            };
            self.store.set_fuel(steps_max);
            let args: Vec<core::Value> = call.args.iter().map(own).collect::<Result<_, _>>()?;
            let outcome = self.store.invoke(func, &args);
            if !self.step(run, outcome)? {
                break;
            }
        }
        Ok(())
    }
}

fn nothing() -> LinkedEnding {
    LinkedEnding::Values(Vec::new())
}

struct Session {
    store: Store,
    instances: Vec<(String, BTreeMap<String, Extern>)>,
}

impl Session {
    fn imports(&self, module: &core::Module) -> Result<Vec<Extern>, Refusal> {
        let find = |import: &core::Import| {
            let (_, exports) = self.instances.iter().find(|(name, _)| *name == import.module)?;
            exports.get(&import.name).copied()
        };
        module
            .imports()
            .iter()
            .map(|import| find(import).ok_or_else(|| Refusal::Broken(format!("no {}.{}", import.module, import.name))))
            .collect()
    }

    /// Records a step; false where it was poisoned.
    fn step(&self, run: &mut LinkedRun, outcome: Result<Vec<core::Value>, Failure>) -> Result<bool, Refusal> {
        let ending = match outcome {
            Ok(values) => LinkedEnding::Values(values.into_iter().map(observe).collect()),
            Err(Failure::Exception(_)) => LinkedEnding::Exception,
            Err(Failure::Limit(_)) => {
                run.stopped = Some(crate::Poison::Limit);
                return Ok(false);
            }
            Err(Failure::Trap(trap)) => match reference_trap(trap.class) {
                Ok(class) => LinkedEnding::Trap(class),
                Err(Some(poison)) => {
                    run.stopped = Some(poison);
                    return Ok(false);
                }
                Err(None) => return Err(Refusal::Broken(Failure::Trap(trap).to_string())),
            },
            Err(other) => return Err(Refusal::Broken(other.to_string())),
        };
        let mut step = LinkedStep { ending, globals: vec![], memories: vec![], tables: vec![] };
        for item in self.instances.iter().flat_map(|(_, exports)| exports.values()) {
            match item {
                Extern::Global(global) => step.globals.push(observe(self.store.global(*global).1)),
                Extern::Memory(memory) => step.memories.push(trimmed(&self.store.memory(*memory).bytes)),
                Extern::Table(table) => step.tables.push(self.store.table(*table).entries.len() as u64),
                _ => {}
            }
        }
        run.steps.push(step);
        Ok(true)
    }
}

fn observe(value: core::Value) -> Observed {
    match value {
        core::Value::I32(bits) => Observed::Number(Value::I32(bits)),
        core::Value::I64(bits) => Observed::Number(Value::I64(bits)),
        core::Value::F32(bits) => Observed::Number(Value::F32(bits)),
        core::Value::F64(bits) => Observed::Number(Value::F64(bits)),
        core::Value::V128(bits) => Observed::Number(Value::V128(bits)),
        core::Value::Ref(Ref::Null) => Observed::Null,
        core::Value::Ref(Ref::I31(bits)) => Observed::I31(bits),
        core::Value::Ref(_) => Observed::Reference,
    }
}

fn own(value: &Value) -> Result<core::Value, Refusal> {
    Ok(match *value {
        Value::I32(bits) => core::Value::I32(bits),
        Value::I64(bits) => core::Value::I64(bits),
        Value::F32(bits) => core::Value::F32(bits),
        Value::F64(bits) => core::Value::F64(bits),
        Value::V128(bits) => core::Value::V128(bits),
        Value::Func(_) | Value::Extern(_) => return Err(Refusal::Broken("only numbers are arguments".into())),
    })
}
