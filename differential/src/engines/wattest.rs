//! Wattest as the subject, in many configurations.
//!
//! One row of [`CONFIGS`] is one way to set the engine up; engines are kept, one with canonical NaNs and one without.
//!
//! Invariant: every trap code maps to one class or one poison; any other error is [`Refusal::Broken`].
//!
//! Does not know: the oracle.

use super::HostTargets;
use crate::expose::{data_name, element_name, func_name, global_name, memory_name, table_name};
use crate::host::arguments;
use crate::{
    Action, CallbackEnd, Ending, Engine, Form, Frame, FuncIdentity, Host, ImportKind, MemoryState, NanRule, Plan,
    Poison, Program, Refusal, Run, Shape, State, Step, TrapClass, Value, ValueType,
};
use std::fmt;
use std::sync::OnceLock;
use wattest::{
    AsContext, AsContextMut, Caller, Config, Error, Extern, ExternRef, Features, Func, FuncType, GlobalType, HeapType,
    Instance, InstantiateError, LocalValue, MemoryType, Module, RefType, Store, TableType, TrapCode, Val, ValType,
};

/// A configuration.
#[derive(Debug)]
pub struct WattestConfig {
    /// Its name in reports.
    pub name: &'static str,
    /// Its share of the cases that are drawn, in all rows' sum. What compiles without optimization has more than its
    /// number: it takes half the time, and finds what is not the optimizer's.
    pub share: u32,
    /// Options by key.
    pub options: &'static [(&'static str, &'static str)],
    /// Whether modules go through their artifact.
    pub round_trip: bool,
}

impl WattestConfig {
    /// Whether it counts fuel.
    pub fn counts_fuel(&self) -> bool {
        self.options.contains(&("fuel", "true"))
    }

    /// Whether frames keep locals, and steps tell them.
    pub fn keeps_locals(&self) -> bool {
        self.options.contains(&("keep-locals", "true"))
    }

    /// Whether the place of a trap of this class is that of its own operation: accesses that guard pages catch, those
    /// through null among them, may have that of the operation which uses the value.
    pub(crate) fn places_exactly(&self, class: TrapClass) -> bool {
        match class {
            TrapClass::MemoryOutOfBounds => self.options.contains(&("explicit-bounds", "true")),
            TrapClass::NullReference => self.options.contains(&("signals-based-traps", "false")),
            _ => true,
        }
    }
}

const fn row(name: &'static str, share: u32, options: &'static [(&'static str, &'static str)]) -> WattestConfig {
    WattestConfig { name, share, options, round_trip: false }
}

/// Every configuration that cases are drawn from.
pub const CONFIGS: &[WattestConfig] = &[
    row("speed", 4, &[]),
    row("none", 4, &[("opt-level", "none")]),
    // Code of the same length as that of the row "speed", in 400 of 400 modules.
    row("size", 1, &[("opt-level", "speed-and-size")]),
    row("explicit", 2, &[("explicit-bounds", "true"), ("signals-based-traps", "false")]),
    row("explicit-bounds", 2, &[("explicit-bounds", "true")]),
    row("no-signals", 4, &[("signals-based-traps", "false"), ("opt-level", "none")]),
    row("no-spectre", 1, &[("explicit-bounds", "true"), ("spectre-mitigation", "false")]),
    row("pooling", 2, &[("allocation", "pooling"), ("pooling-memories", "64")]),
    row(
        "pooling-resident",
        2,
        &[("allocation", "pooling"), ("pooling-memories", "64"), ("pooling-keep-resident", "65536")],
    ),
    row("fuel", 2, &[("fuel", "true")]),
    row("fuel-none", 3, &[("fuel", "true"), ("opt-level", "none")]),
    row("fuel-explicit", 1, &[("fuel", "true"), ("explicit-bounds", "true"), ("signals-based-traps", "false")]),
    row("fuel-single-pass", 3, &[("fuel", "true"), ("regalloc", "single-pass"), ("opt-level", "none")]),
    row("epoch", 2, &[("epoch", "true")]),
    row("single-pass", 6, &[("regalloc", "single-pass"), ("opt-level", "none")]),
    row("entry-calls", 2, &[("call-path", "entry")]),
    row("moving", 2, &[("memory-reservation", "64KiB"), ("memory-guard", "64KiB")]),
    row("no-cow", 2, &[("copy-on-write", "false"), ("recycle-memories", "false")]),
    WattestConfig { name: "round-trip", share: 1, options: &[], round_trip: true },
    // New rows go to the end: stored cases name a row by its number.
    row("locals", 1, &[("keep-locals", "true")]),
    row("locals-single-pass", 2, &[("keep-locals", "true"), ("regalloc", "single-pass"), ("opt-level", "none")]),
    row(
        "locals-explicit",
        1,
        &[("keep-locals", "true"), ("explicit-bounds", "true"), ("signals-based-traps", "false")],
    ),
    // Vectors and floats in the older encoding, whose operands overwrite one another and want alignment.
    row("no-avx", 3, &[("cpu-without", "avx")]),
    row("no-avx-none", 2, &[("cpu-without", "avx"), ("opt-level", "none")]),
    row("no-avx512", 1, &[("cpu-without", "avx512f")]),
    // The least that vectors are compiled for: counting bits, rotating and comparing by sequences.
    row("sse41", 2, &[("cpu-without", "sse42+popcnt+lzcnt+bmi1+bmi2")]),
];

/// What stands for the way over an artifact, among options.
pub const ROUND_TRIP: &str = "round-trip";

/// The option that no configuration of this process has.
static LEFT_OUT: OnceLock<String> = OnceLock::new();

/// Leaves an option, or [`ROUND_TRIP`], out of every configuration of this process: whether a failure needs it is asked by
/// running the same case without it. Before the first engine is made, and once.
pub fn leave_out(key: &str) {
    // A second one would come too late for the engines that there are.
    let _ = LEFT_OUT.set(key.to_owned());
}

/// A configuration as this process has it: all of it, but for what is [left out](leave_out).
pub fn effective(row: &'static WattestConfig) -> &'static WattestConfig {
    match LEFT_OUT.get() {
        // One process makes as many as it has engines: nothing is lost by leaking them.
        Some(key) => Box::leak(Box::new(without(row, key))),
        None => row,
    }
}

fn without(row: &WattestConfig, left_out: &str) -> WattestConfig {
    let options: Vec<_> = row.options.iter().copied().filter(|(key, _)| *key != left_out).collect();
    WattestConfig { options: options.leak(), round_trip: row.round_trip && left_out != ROUND_TRIP, ..*row }
}

/// The row that a random byte stands for, each by its share.
pub fn config_of(byte: u8) -> usize {
    let total: u32 = CONFIGS.iter().map(|row| row.share).sum();
    let mut place = u32::from(byte) * total / 256;
    for (index, row) in CONFIGS.iter().enumerate() {
        match place.checked_sub(row.share) {
            None => return index,
            Some(rest) => place = rest,
        }
    }
    0
}

/// Programs until an engine is made anew: it keeps every distinct type that it ever saw.
const RUNS_MAX: u32 = 250;

/// An engine of one configuration, made on first use and after so many programs again.
pub(crate) struct Kept {
    config: &'static WattestConfig,
    nans: NanRule,
    engine: Option<wattest::Engine>,
    runs: u32,
}

impl Kept {
    pub(crate) fn new(config: &'static WattestConfig, nans: NanRule) -> Kept {
        Kept { config, nans, engine: None, runs: 0 }
    }

    /// The engine for the next program.
    pub(crate) fn next(&mut self) -> Result<&wattest::Engine, Refusal> {
        if self.runs == RUNS_MAX {
            *self = Kept::new(self.config, self.nans);
        }
        self.runs += 1;
        match &mut self.engine {
            Some(engine) => Ok(engine),
            slot => Ok(slot.insert(build(self.config, self.nans)?)),
        }
    }
}

/// Wattest in one configuration.
pub struct WattestEngine {
    config: &'static WattestConfig,
    arithmetic: Kept,
    exact: Kept,
}

impl WattestEngine {
    /// Row `row` of [`CONFIGS`], modulo their number. Engines are made on first use.
    pub fn new(row: usize) -> WattestEngine {
        WattestEngine::of(&CONFIGS[row % CONFIGS.len()])
    }

    /// A configuration beside those.
    pub fn of(config: &'static WattestConfig) -> WattestEngine {
        let config = effective(config);
        let [arithmetic, exact] = [NanRule::Arithmetic, NanRule::Exact].map(|nans| Kept::new(config, nans));
        WattestEngine { config, arithmetic, exact }
    }

    fn engine(&mut self, nans: NanRule) -> Result<&wattest::Engine, Refusal> {
        if nans == NanRule::Exact { self.exact.next() } else { self.arithmetic.next() }
    }
}

/// An engine set up as `row` says.
///
/// # Errors
///
/// When there is no such option.
pub fn build(row: &WattestConfig, nans: NanRule) -> Result<wattest::Engine, Refusal> {
    let mut config = Config::new();
    for (key, value) in row.options {
        config.set(key, value).map_err(broken)?;
    }
    config.features(Features::all_implemented());
    config.parallel_compilation(false);
    config.relaxed_simd_deterministic(true);
    config.nan_canonicalization(nans == NanRule::Exact);
    wattest::Engine::new(&config).map_err(broken)
}

/// Fuel for one call, by operation of the interpreter's budget: generous, since the two count differently.
const FUEL_PER_OPERATION: u64 = 20;

impl Engine for WattestEngine {
    fn name(&self) -> String {
        format!("wattest ({})", self.config.name)
    }

    fn interruptible(&self) -> bool {
        self.config.counts_fuel()
    }

    fn run(&mut self, program: &Program, plan: &Plan) -> Result<Run, Refusal> {
        let config = self.config;
        let round_trip = config.round_trip;
        let fuel = self.interruptible().then_some(plan.steps_max * FUEL_PER_OPERATION);
        let engine = self.engine(plan.nans)?;
        let bytes = if plan.form == Form::Original { &program.wasm } else { &program.exposed };
        let mut module = Module::from_binary(engine, bytes).map_err(|error| Refusal::Module(error.to_string()))?;
        if round_trip {
            let again = Module::from_binary(engine, bytes).map_err(broken)?;
            if module.serialize().map_err(broken)? != again.serialize().map_err(broken)? {
                return Err(Refusal::Broken("compiling twice gives different artifacts".into()));
            }
            module = module.reload().map_err(broken)?;
        }
        let mut store = Store::new(engine, Host::new(plan.host_seed, plan.acting_host));
        store.set_epoch_deadline(1 << 40);
        let shape = &program.shape;
        let added_bytes = program.code_shift;
        let mut session =
            Session { config, shape, plan, fuel, added_bytes, entities: Entities::default(), run: Run::default() };
        session.go(&mut store, &module)?;
        session.run.trace = std::mem::take(&mut store.data_mut().trace);
        Ok(session.run)
    }
}

/// Handles of everything that can be named, by index.
#[derive(Default)]
struct Entities {
    funcs: Vec<Option<Func>>,
    globals: Vec<wattest::Global>,
    memories: Vec<wattest::Memory>,
    tables: Vec<wattest::Table>,
    segments: Segments,
}

/// Of each segment whether it is empty, where that is known.
type Emptiness = Vec<Option<bool>>;

/// How to learn which segments are empty.
#[derive(Default)]
enum Segments {
    /// There is no instance.
    #[default]
    Nobody,
    /// By inspection.
    Inspected(Instance),
    /// By the probes of data and of element segments, where there are any.
    Probed(Vec<Option<Func>>, Vec<Option<Func>>),
}

struct Session<'a> {
    config: &'static WattestConfig,
    shape: &'a Shape,
    plan: &'a Plan,
    fuel: Option<u64>,
    /// Bytes by which bodies lie further back in the exposed form.
    added_bytes: u32,
    entities: Entities,
    run: Run,
}

/// What a failing host function returns.
#[derive(Debug)]
pub(crate) struct HostFailure;

impl fmt::Display for HostFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host function fails here")
    }
}

impl std::error::Error for HostFailure {}

impl Session<'_> {
    fn go(&mut self, store: &mut Store<Host>, module: &Module) -> Result<(), Refusal> {
        self.refuel(store)?;
        let imports = self.imports(store)?;
        match Instance::new(&mut *store, module, &imports) {
            Ok(instance) => {
                self.collect(store, &instance)?;
                if !self.step(store, Ok(Vec::new()))? {
                    return Ok(());
                }
            }
            Err(error) => {
                let error = match error {
                    InstantiateError::Start(error) => error,
                    InstantiateError::Limit(text) => Error::Limit(text),
                    other => return Err(broken(other)),
                };
                self.step(store, Err(error))?;
                return Ok(());
            }
        }
        for call in &self.plan.calls {
            self.refuel(store)?;
            let mut args = Vec::with_capacity(call.args.len());
            for value in &call.args {
                args.push(self.entities.val(&mut *store, *value)?);
            }
            let results = &self.shape.functions[call.func as usize].results;
            let mut out = vec![Val::I32(0); results.len()];
            let func = self.entities.funcs[call.func as usize];
            let func = func.ok_or_else(|| Refusal::Broken("a planned function is not exported".into()))?;
            let outcome = func.call(&mut *store, &args, &mut out).map(|()| out);
            if !self.step(store, outcome)? {
                break;
            }
        }
        Ok(())
    }

    fn refuel(&self, store: &mut Store<Host>) -> Result<(), Refusal> {
        match self.fuel {
            Some(fuel) => store.set_fuel(fuel).map_err(broken),
            None => Ok(()),
        }
    }

    /// Records a step; false where it was poisoned.
    fn step(&mut self, store: &mut Store<Host>, outcome: Result<Vec<Val>, Error>) -> Result<bool, Refusal> {
        if let stopped @ Some(_) = store.data().stopped {
            self.run.stopped = stopped;
            return Ok(false);
        }
        let offset = outcome.as_ref().err().and_then(|error| self.trap_offset(error));
        let frames = outcome.as_ref().err().and_then(|error| self.frames(error));
        let ending = match outcome {
            Ok(values) => Ending::Values(values.iter().map(|value| self.entities.neutral(&*store, value)).collect()),
            Err(error) => match classify(&error) {
                Ok(class) => {
                    self.check_backtrace(&error)?;
                    // Segments are written without a frame, and a host function fails by itself.
                    let has_place = !self.run.steps.is_empty() && class != TrapClass::Host;
                    if has_place && offset.is_none() {
                        return Err(Refusal::Broken(format!("{class:?} without a place")));
                    }
                    Ending::Trap(class)
                }
                Err(Some(poison)) => {
                    self.run.stopped = Some(poison);
                    return Ok(false);
                }
                Err(None) => return Err(Refusal::Broken(error.to_string())),
            },
        };
        let trace_len = store.data().trace.len();
        let operations = match self.fuel {
            Some(fuel) => fuel.saturating_sub(store.fuel().map_err(broken)?),
            None => 0,
        };
        let is_shown = self.plan.shows(&self.run.steps, &ending);
        // Probes take fuel too.
        self.refuel(store)?;
        let state = if is_shown { self.entities.state(store)? } else { State::default() };
        if self.plan.capture == Some(self.run.steps.len()) {
            self.run.captured = self.entities.memories.iter().map(|memory| memory.data(&*store).to_vec()).collect();
        }
        let offset_is_late = matches!(ending, Ending::Trap(class) if !self.config.places_exactly(class));
        self.run.steps.push(Step { ending, trace_len, state, operations, offset, offset_is_late, frames });
        Ok(true)
    }

    /// Where the innermost frame of a trap was, in the original module.
    fn trap_offset(&self, error: &Error) -> Option<u32> {
        let offset = error.trap()?.backtrace().frames().first()?.wasm_offset?;
        // The exposed form differs in what lies before the bodies, and in what lies behind them.
        if self.plan.form == Form::Original { Some(offset) } else { offset.checked_sub(self.added_bytes) }
    }

    /// The frames of a trap with their locals, in a configuration that keeps them.
    fn frames(&self, error: &Error) -> Option<Vec<Frame>> {
        let backtrace = error.trap().filter(|_| self.config.keeps_locals())?.backtrace();
        let local = |local: &Option<LocalValue>| {
            local.map(|value| match value {
                LocalValue::I32(value) => Value::I32(value as u32),
                LocalValue::I64(value) => Value::I64(value as u64),
                LocalValue::F32(bits) => Value::F32(bits),
                LocalValue::F64(bits) => Value::F64(bits),
            })
        };
        let frame = |(position, frame): (usize, &wattest::Frame)| Frame {
            func: frame.func_index,
            locals: backtrace.locals(position).iter().map(local).collect(),
        };
        Some(backtrace.frames().iter().enumerate().map(frame).collect())
    }

    /// A trap's frames name functions of the module.
    fn check_backtrace(&self, error: &Error) -> Result<(), Refusal> {
        let Some(trap) = error.trap() else { return Ok(()) };
        let count = self.shape.functions.len();
        match trap.backtrace().frames().iter().find(|frame| frame.func_index as usize >= count) {
            Some(frame) => Err(Refusal::Broken(format!("a backtrace names function {} of {count}", frame.func_index))),
            None => Ok(()),
        }
    }

    fn imports(&mut self, store: &mut Store<Host>) -> Result<Vec<Extern>, Refusal> {
        let mut imports = Vec::new();
        for import in &self.shape.imports {
            imports.push(match import.kind {
                ImportKind::Func(index) => Extern::Func(self.host_func(store, index)),
                ImportKind::Global(index) => {
                    let shape = self.shape.globals[index as usize];
                    let value = store.data().global(index, shape.ty);
                    let value = self.entities.val(&mut *store, value)?;
                    let ty = GlobalType { content: val_type(shape.ty), mutable: shape.mutable };
                    let global = wattest::Global::new(&mut *store, ty, value).map_err(broken)?;
                    self.entities.globals.push(global);
                    Extern::Global(global)
                }
                ImportKind::Memory(index) => {
                    let shape = self.shape.memories[index as usize];
                    let ty = MemoryType {
                        memory64: shape.memory64,
                        shared: false,
                        minimum: shape.minimum,
                        maximum: shape.maximum,
                        page_bytes_log2: shape.page_bytes_log2,
                    };
                    let memory = wattest::Memory::new(&mut *store, ty).map_err(broken)?;
                    self.entities.memories.push(memory);
                    Extern::Memory(memory)
                }
                ImportKind::Table(index) => {
                    let shape = self.shape.tables[index as usize];
                    let ty = TableType {
                        element: ref_type(shape.element),
                        table64: shape.table64,
                        minimum: shape.minimum,
                        maximum: shape.maximum,
                    };
                    let null = plain_val(&mut *store, Value::default_of(shape.element))?;
                    let table = wattest::Table::new(&mut *store, ty, null).map_err(broken)?;
                    self.entities.tables.push(table);
                    Extern::Table(table)
                }
            });
        }
        Ok(imports)
    }

    fn host_func(&self, store: &mut Store<Host>, index: u32) -> Func {
        let signature = self.shape.functions[index as usize].clone();
        let targets = HostTargets::of(self.shape);
        let ty = FuncType::new(
            signature.params.iter().map(|ty| val_type(*ty)),
            signature.results.iter().map(|ty| val_type(*ty)),
        );
        Func::new(store, ty, move |mut caller, args, results| {
            let args = args.iter().map(|value| host_value(&mut caller, &targets, value)).collect();
            let answer = caller.data_mut().call(index, args, &signature.results);
            act(&mut caller, &targets, answer.action)?;
            let Some(values) = answer.results else {
                return Err(Error::host(HostFailure));
            };
            for (slot, value) in results.iter_mut().zip(values) {
                *slot = plain_val(&mut caller, value).map_err(|_| Error::msg("no room for a reference"))?;
            }
            Ok(())
        })
    }

    fn collect(&mut self, store: &mut Store<Host>, instance: &Instance) -> Result<(), Refusal> {
        let shape = self.shape;
        let entities = &mut self.entities;
        let store = &*store;
        if self.plan.form == Form::Original {
            entities.segments = Segments::Inspected(*instance);
            let named = shape.export_names.iter();
            entities.funcs = named.map(|name| name.as_ref().and_then(|name| instance.get_func(store, name))).collect();
            entities.globals = instance.inspect_globals(store);
            entities.memories = instance.inspect_memories(store);
            entities.tables = instance.inspect_tables(store);
        } else {
            let functions = 0..shape.functions.len();
            entities.funcs = functions.map(|index| instance.get_func(store, &func_name(index))).collect();
            let globals = 0..shape.globals.len();
            entities.globals = globals.filter_map(|index| instance.get_global(store, &global_name(index))).collect();
            let memories = 0..shape.memories.len();
            entities.memories = memories.filter_map(|index| instance.get_memory(store, &memory_name(index))).collect();
            let tables = 0..shape.tables.len();
            entities.tables = tables.filter_map(|index| instance.get_table(store, &table_name(index))).collect();
            let data = 0..shape.data_segments as usize;
            let elements = 0..shape.element_segments.len();
            entities.segments = Segments::Probed(
                data.map(|index| instance.get_func(store, &data_name(index))).collect(),
                elements.map(|index| instance.get_func(store, &element_name(index))).collect(),
            );
        }
        let complete = entities.globals.len() == shape.globals.len()
            && entities.memories.len() == shape.memories.len()
            && entities.tables.len() == shape.tables.len();
        if complete { Ok(()) } else { Err(Refusal::Broken("the instance does not show everything it has".into())) }
    }
}

impl Segments {
    /// Of each data and each element segment whether it is empty.
    fn empty(&self, store: &mut Store<Host>) -> Result<(Emptiness, Emptiness), Refusal> {
        let mut ask = |probes: &[Option<Func>]| {
            let mut all = Vec::with_capacity(probes.len());
            for probe in probes {
                all.push(match probe {
                    Some(probe) => Some(is_empty(store, probe)?),
                    None => None,
                });
            }
            Ok(all)
        };
        match self {
            Segments::Nobody => Ok(Default::default()),
            Segments::Probed(data, elements) => Ok((ask(data)?, ask(elements)?)),
            Segments::Inspected(instance) => {
                let (data, elements) = instance.inspect_segments(&*store);
                Ok((data.into_iter().map(Some).collect(), elements.into_iter().map(Some).collect()))
            }
        }
    }
}

/// What a probe says.
fn is_empty(store: &mut Store<Host>, probe: &Func) -> Result<bool, Refusal> {
    match probe.call(store, &[], &mut []) {
        Ok(()) => Ok(false),
        Err(error) => match classify(&error) {
            Ok(TrapClass::MemoryOutOfBounds | TrapClass::TableOutOfBounds) => Ok(true),
            _ => Err(broken(error)),
        },
    }
}

impl Entities {
    fn state(&mut self, store: &mut Store<Host>) -> Result<State, Refusal> {
        let mut state = State::default();
        (state.empty_data, state.empty_elements) = self.segments.empty(store)?;
        let store = &*store;
        for global in &self.globals {
            let value = global.get(store).map_err(broken)?;
            state.globals.push(self.neutral(store, &value));
        }
        state.memories.extend(self.memories.iter().map(|memory| MemoryState::of(memory.data(store))));
        for table in &self.tables {
            let mut elements = Vec::new();
            for index in 0..table.size(store) {
                let missing = || Refusal::Broken("a table is shorter than its size".into());
                let value = table.get(store, index).ok_or_else(missing)?;
                elements.push(self.neutral(store, &value));
            }
            state.tables.push(elements);
        }
        Ok(state)
    }

    fn neutral<C: AsContext<Data = Host>>(&self, store: C, value: &Val) -> Value {
        match value {
            Val::I32(value) => Value::I32(*value as u32),
            Val::I64(value) => Value::I64(*value as u64),
            Val::F32(bits) => Value::F32(*bits),
            Val::F64(bits) => Value::F64(*bits),
            Val::V128(bits) => Value::V128(*bits),
            Val::FuncRef(None) | Val::Null(HeapType::Func) => Value::Func(FuncIdentity::Null),
            Val::FuncRef(func) => Value::Func(match self.funcs.iter().position(|known| known == func) {
                Some(index) => FuncIdentity::Index(index as u32),
                None => FuncIdentity::Unknown,
            }),
            Val::ExternRef(None) | Val::Null(_) => Value::Extern(None),
            // No case has such values; what there is of them is equal.
            Val::AnyRef(_) | Val::ExnRef(_) => Value::Extern(Some(u32::MAX)),
            Val::ExternRef(Some(object)) => {
                let payload = object.data(store.as_context()).and_then(|data| data.downcast_ref::<u32>());
                Value::Extern(Some(payload.copied().unwrap_or(u32::MAX)))
            }
        }
    }

    fn val(&self, store: impl AsContextMut, value: Value) -> Result<Val, Refusal> {
        match value {
            Value::Func(FuncIdentity::Index(index)) => {
                Ok(Val::FuncRef(self.funcs.get(index as usize).copied().flatten()))
            }
            value => plain_val(store, value),
        }
    }
}

/// A value that comes to the host.
fn host_value(caller: &mut Caller<'_, Host>, targets: &HostTargets, value: &Val) -> Value {
    match value {
        Val::FuncRef(known @ Some(_)) => {
            Value::Func(targets.identity(|name| caller.get_export(name).and_then(Extern::into_func) == *known))
        }
        value => Entities::default().neutral(&*caller, value),
    }
}

/// Does to the calling instance what the host function does.
fn act(caller: &mut Caller<'_, Host>, targets: &HostTargets, action: Action) -> Result<(), Error> {
    match (action, &targets.memory, &targets.callback) {
        (Action::Grow, Some(name), _) => {
            if let Some(memory) = caller.get_memory(name) {
                // A refusal leaves the memory as it is.
                let _ = memory.grow(&mut *caller, 1);
            }
        }
        (Action::Write(address, byte), Some(name), _) => {
            if let Some(memory) = caller.get_memory(name) {
                let size = memory.data_size(&*caller);
                if size > 0 {
                    let address = address as usize % size;
                    memory.write(&mut *caller, address, &[byte]).map_err(Error::host)?;
                }
            }
        }
        (Action::CallBack(seed), _, Some((name, signature))) => {
            let Some(func) = caller.get_export(name).and_then(Extern::into_func) else { return Ok(()) };
            let mut args = Vec::new();
            for value in arguments(seed, &signature.params) {
                args.push(plain_val(&mut *caller, value).map_err(|_| Error::msg("no room for a reference"))?);
            }
            let mut out = vec![Val::I32(0); signature.results.len()];
            caller.data_mut().callback_begins();
            let ended = func.call(&mut *caller, &args, &mut out);
            let values = |()| out.iter().map(|value| host_value(caller, targets, value)).collect();
            // What has no class ends the call that the callback is part of, and breaks the run there.
            let ended = CallbackEnd::of(ended.map(values), classify)?;
            caller.data_mut().callback_ends(ended);
        }
        _ => {}
    }
    Ok(())
}

fn plain_val(store: impl AsContextMut, value: Value) -> Result<Val, Refusal> {
    Ok(match value {
        Value::I32(bits) => Val::I32(bits as i32),
        Value::I64(bits) => Val::I64(bits as i64),
        Value::F32(bits) => Val::F32(bits),
        Value::F64(bits) => Val::F64(bits),
        Value::V128(bits) => Val::V128(bits),
        Value::Func(_) => Val::FuncRef(None),
        Value::Extern(None) => Val::ExternRef(None),
        Value::Extern(Some(payload)) => Val::ExternRef(Some(ExternRef::new(store, payload).map_err(broken)?)),
    })
}

fn val_type(ty: ValueType) -> ValType {
    match ty {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
        ValueType::F32 => ValType::F32,
        ValueType::F64 => ValType::F64,
        ValueType::V128 => ValType::V128,
        ValueType::FuncRef | ValueType::ExternRef => ValType::Ref(ref_type(ty)),
    }
}

fn ref_type(ty: ValueType) -> RefType {
    if ty == ValueType::ExternRef { RefType::EXTERN } else { RefType::FUNC }
}

fn broken(error: impl fmt::Display) -> Refusal {
    Refusal::Broken(error.to_string())
}

/// The class of an error, else its poison, else nothing known.
pub(crate) fn classify(error: &Error) -> Result<TrapClass, Option<Poison>> {
    match error {
        Error::Trap(trap) => trap_class(trap.code()),
        Error::Host(_) if error.downcast_ref::<HostFailure>().is_some() => Ok(TrapClass::Host),
        Error::Limit(_) => Err(Some(Poison::Limit)),
        _ => Err(None),
    }
}

fn trap_class(code: TrapCode) -> Result<TrapClass, Option<Poison>> {
    Ok(match code {
        TrapCode::Unreachable => TrapClass::Unreachable,
        TrapCode::MemoryOutOfBounds => TrapClass::MemoryOutOfBounds,
        TrapCode::TableOutOfBounds | TrapCode::UndefinedElement => TrapClass::TableOutOfBounds,
        TrapCode::UninitializedElement => TrapClass::NullCall,
        TrapCode::IndirectCallTypeMismatch => TrapClass::BadSignature,
        TrapCode::IntegerOverflow => TrapClass::IntegerOverflow,
        TrapCode::IntegerDivideByZero => TrapClass::DivideByZero,
        TrapCode::InvalidConversionToInteger => TrapClass::BadConversion,
        TrapCode::NullReference | TrapCode::NullFunctionReference | TrapCode::NullDescriptor => {
            TrapClass::NullReference
        }
        TrapCode::CastFailure | TrapCode::DescriptorCastFailure => TrapClass::CastFailure,
        TrapCode::ArrayOutOfBounds => TrapClass::ArrayOutOfBounds,
        TrapCode::UnalignedAtomic => TrapClass::UnalignedAtomic,
        TrapCode::StackOverflow => return Err(Some(Poison::StackOverflow)),
        TrapCode::AllocationTooLarge => return Err(Some(Poison::OutOfMemory)),
        TrapCode::OutOfFuel | TrapCode::Interrupted => return Err(Some(Poison::Budget)),
        _ => return Err(None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_drawn() {
        let drawn: std::collections::BTreeSet<usize> = (0..=u8::MAX).map(config_of).collect();
        assert_eq!(drawn, (0..CONFIGS.len()).collect());
    }

    #[test]
    fn one_option_is_left_out() {
        let named = |name: &str| CONFIGS.iter().find(|row| row.name == name).expect("a row");
        let check = |name: &str, left_out: &str, expected: &str, round_trip: bool| {
            let row = without(named(name), left_out);
            assert_eq!((row.options, row.round_trip), (named(expected).options, round_trip), "{name} {left_out}");
        };
        check("fuel-none", "fuel", "none", false);
        check("explicit", "signals-based-traps", "explicit-bounds", false);
        check("explicit", "", "explicit", false);
        check("round-trip", "fuel", "speed", true);
        check("round-trip", ROUND_TRIP, "speed", false);
    }
}
