//! Linked programs in the runtime.
//!
//! Invariant: every trap code maps to one class or one poison; any other error is [`Refusal::Broken`].
//!
//! Does not know: predictions.

use super::{LinkedEnding, LinkedEngine, LinkedProgram, LinkedRun, LinkedStep, Observed, trimmed};
use crate::engines::{WattestConfig, build_wattest, wattest_classify};
use crate::{CONFIGS, NanRule, Poison, Refusal, Value};
use std::fmt;
use wattest::{Config, Error, Extern, Feature, Instance, InstantiateError, Linker, Module, Store, Val};

/// Configurations beside those of [`CONFIGS`]: collection forced at every point where it may happen. A runtime without the
/// option refuses them.
const STRESS: &[WattestConfig] = &[
    stress("gc-stress", &[("gc-stress", "true")]),
    stress("gc-stress-none", &[("gc-stress", "true"), ("opt-level", "none")]),
    stress("gc-stress-single-pass", &[("gc-stress", "true"), ("regalloc", "single-pass"), ("opt-level", "none")]),
    stress("gc-stress-explicit", &[("gc-stress", "true"), ("signals-based-traps", "false")]),
    stress("gc-stress-fuel", &[("gc-stress", "true"), ("fuel", "true")]),
];

const fn stress(name: &'static str, options: &'static [(&'static str, &'static str)]) -> WattestConfig {
    WattestConfig { name, share: 0, options, round_trip: false }
}

/// The configuration for a choice: one that forces collections if `stressed`, where the runtime can.
pub fn row(choice: usize, stressed: bool) -> usize {
    let possible = Config::new().set("gc-stress", "true").is_ok();
    if stressed && possible { choice % STRESS.len() } else { STRESS.len() + choice % CONFIGS.len() }
}

/// The configuration of the row that [`row`] gave, modulo their number.
pub fn configuration(row: usize) -> &'static WattestConfig {
    let row = row % (STRESS.len() + CONFIGS.len());
    STRESS.get(row).unwrap_or_else(|| &CONFIGS[row - STRESS.len()])
}

/// Whether the runtime implements a proposal, by the feature table's name.
pub fn implements(feature: &str) -> bool {
    Feature::ALL.iter().any(|row| row.name() == feature && row.is_implemented())
}

/// The runtime in one configuration.
pub struct LinkedWattest {
    config: &'static WattestConfig,
    engine: Option<wattest::Engine>,
}

impl LinkedWattest {
    /// The row that [`row`] gave, modulo their number; the engine is made on first use.
    pub fn new(row: usize) -> LinkedWattest {
        LinkedWattest { config: configuration(row), engine: None }
    }
}

/// Fuel for one step, by operation of the interpreter's budget.
const FUEL_PER_OPERATION: u64 = 20;

impl LinkedEngine for LinkedWattest {
    fn name(&self) -> String {
        format!("wattest ({})", self.config.name)
    }

    fn run(&mut self, program: &LinkedProgram, steps_max: u64) -> Result<LinkedRun, Refusal> {
        let engine = match &self.engine {
            Some(engine) => engine.clone(),
            None => self.engine.insert(build_wattest(self.config, NanRule::Exact)?).clone(),
        };
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(1 << 40);
        let fuel = self.config.options.contains(&("fuel", "true")).then_some(steps_max * FUEL_PER_OPERATION);
        let mut session = Session { linker: Linker::new(&engine), store, instances: Vec::new(), fuel };
        let mut run = LinkedRun::default();
        for module in &program.modules {
            let refused = |error| Refusal::Module(format!("{}: {error}", module.name));
            let mut compiled = Module::from_binary(&engine, &module.wasm).map_err(refused)?;
            if self.config.round_trip {
                compiled = compiled.reload().map_err(broken)?;
            }
            session.refuel()?;
            let outcome = session.instantiate(&module.name, &compiled)?;
            if !session.step(&mut run, outcome)? || !matches!(run.steps.last(), Some(step) if is_success(step)) {
                return Ok(run);
            }
        }
        for call in &program.calls {
            session.refuel()?;
            let outcome = session.call(call.module, &call.export, &call.args)?;
            if !session.step(&mut run, outcome)? {
                break;
            }
        }
        Ok(run)
    }
}

fn is_success(step: &LinkedStep) -> bool {
    matches!(step.ending, LinkedEnding::Values(_))
}

struct Session {
    linker: Linker<()>,
    store: Store<()>,
    instances: Vec<Instance>,
    fuel: Option<u64>,
}

type Outcome = Result<Vec<Val>, Error>;

impl Session {
    fn refuel(&mut self) -> Result<(), Refusal> {
        match self.fuel {
            Some(fuel) => self.store.set_fuel(fuel).map_err(broken),
            None => Ok(()),
        }
    }

    fn instantiate(&mut self, name: &str, module: &Module) -> Result<Outcome, Refusal> {
        match self.linker.instantiate(&mut self.store, module) {
            Ok(instance) => {
                self.linker.instance(&mut self.store, name, instance).map_err(broken)?;
                self.instances.push(instance);
                Ok(Ok(Vec::new()))
            }
            Err(InstantiateError::Start(error)) => Ok(Err(error)),
            Err(InstantiateError::Limit(text)) => Ok(Err(Error::Limit(text))),
            Err(other) => Err(broken(other)),
        }
    }

    fn call(&mut self, module: usize, export: &str, args: &[Value]) -> Result<Outcome, Refusal> {
        let instance = self.instances.get(module).ok_or_else(|| broken("no such instance"))?;
        let func = instance.get_export(&self.store, export).and_then(Extern::into_func);
        let func = func.ok_or_else(|| broken(format!("no function {export}")))?;
        let args = args.iter().map(own).collect::<Result<Vec<_>, _>>()?;
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        Ok(func.call(&mut self.store, &args, &mut results).map(|()| results))
    }

    /// Records a step; false where it was poisoned.
    fn step(&mut self, run: &mut LinkedRun, outcome: Outcome) -> Result<bool, Refusal> {
        let ending = match outcome {
            Ok(values) => LinkedEnding::Values(values.iter().map(|value| self.observe(value)).collect()),
            Err(error) if is_exception(&error) => LinkedEnding::Exception,
            Err(error) => match wattest_classify(&error) {
                Ok(class) => LinkedEnding::Trap(class),
                Err(Some(poison)) => {
                    run.stopped = Some(poison);
                    return Ok(false);
                }
                Err(None) if matches!(error, Error::Limit(_)) => {
                    run.stopped = Some(Poison::Limit);
                    return Ok(false);
                }
                Err(None) => return Err(broken(error)),
            },
        };
        let mut step = LinkedStep { ending, globals: vec![], memories: vec![], tables: vec![] };
        for instance in &self.instances {
            // By name, as the reference keeps them.
            let mut exports = instance.exports(&self.store);
            exports.sort_by(|left, right| left.0.cmp(&right.0));
            for (_, item) in exports {
                match item {
                    Extern::Global(global) => {
                        let value = global.get(&mut self.store).map_err(broken)?;
                        step.globals.push(self.observe(&value));
                    }
                    Extern::Memory(memory) => step.memories.push(trimmed(memory.data(&self.store))),
                    Extern::Table(table) => step.tables.push(table.size(&self.store)),
                    _ => {}
                }
            }
        }
        run.steps.push(step);
        Ok(true)
    }

    fn observe(&self, value: &Val) -> Observed {
        match value {
            Val::I32(value) => Observed::Number(Value::I32(*value as u32)),
            Val::I64(value) => Observed::Number(Value::I64(*value as u64)),
            Val::F32(bits) => Observed::Number(Value::F32(*bits)),
            Val::F64(bits) => Observed::Number(Value::F64(*bits)),
            Val::V128(bits) => Observed::Number(Value::V128(*bits)),
            Val::FuncRef(None) | Val::ExternRef(None) | Val::Null(_) => Observed::Null,
            _ => Observed::Reference,
        }
    }
}

fn is_exception(error: &Error) -> bool {
    matches!(error, Error::Exception(_))
}

fn own(value: &Value) -> Result<Val, Refusal> {
    Ok(match *value {
        Value::I32(bits) => Val::I32(bits as i32),
        Value::I64(bits) => Val::I64(bits as i64),
        Value::F32(bits) => Val::F32(bits),
        Value::F64(bits) => Val::F64(bits),
        Value::V128(bits) => Val::V128(bits),
        Value::Func(_) | Value::Extern(_) => return Err(broken("only numbers are arguments")),
    })
}

fn broken(error: impl fmt::Display) -> Refusal {
    Refusal::Broken(error.to_string())
}
