//! The interpreter wasmi as the oracle that goes first.
//!
//! It runs the exposed form of a program under a fuel budget (about one unit per operation), in the deterministic profile.
//!
//! Invariant: every trap code maps to one class or one poison; any other error is [`Refusal::Broken`], never skipped.
//!
//! Does not know: the original form; the budget of anybody else.

use super::HostTargets;
use crate::expose::{data_name, element_name, func_name, global_name, memory_name, table_name};
use crate::host::arguments;
use crate::{
    Action, CallbackEnd, Ending, Engine, FuncIdentity, Host, ImportKind, MemoryState, Plan, Poison, Program, Refusal,
    Run, Shape, State, Step, TrapClass, Value, ValueType,
};
use std::cell::OnceCell;
use std::fmt::Write;
use wasmi::{AsContext, AsContextMut, Extern, ExternRef, Func, Nullable, Ref, Store, TrapCode, Val};

/// How wasmi translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceMode {
    /// Everything at once.
    Eager,
    /// Each function at its first call.
    Lazy,
}

/// wasmi 2.
pub struct WasmiEngine {
    engine: wasmi::Engine,
    mode: ReferenceMode,
    /// Programs that the engine has run.
    runs: u32,
}

/// Programs until the engine is made anew: it keeps the code of every module that it ever translated.
const RUNS_MAX: u32 = 500;

impl WasmiEngine {
    /// An engine with every feature that wasmi has.
    pub fn new(mode: ReferenceMode) -> WasmiEngine {
        WasmiEngine { engine: WasmiEngine::engine(mode), mode, runs: 0 }
    }

    fn engine(mode: ReferenceMode) -> wasmi::Engine {
        let mut config = wasmi::Config::default();
        config
            .consume_fuel(true)
            .wasm_custom_page_sizes(true)
            .wasm_wide_arithmetic(true)
            .wasm_memory64(true)
            .wasm_multi_memory(true)
            .wasm_relaxed_simd(true)
            .compilation_mode(match mode {
                ReferenceMode::Eager => wasmi::CompilationMode::Eager,
                ReferenceMode::Lazy => wasmi::CompilationMode::Lazy,
            });
        wasmi::Engine::new(&config)
    }
}

impl Engine for WasmiEngine {
    fn name(&self) -> String {
        format!("wasmi 2.0.0 ({:?})", self.mode)
    }

    fn run(&mut self, program: &Program, plan: &Plan) -> Result<Run, Refusal> {
        if self.runs == RUNS_MAX {
            *self = WasmiEngine::new(self.mode);
        }
        self.runs += 1;
        let module = wasmi::Module::new(&self.engine, &program.exposed[..])
            .map_err(|error| Refusal::Module(error.to_string()))?;
        let mut store = Store::new(&self.engine, Host::new(plan.host_seed, plan.acting_host));
        let mut session = Session { shape: &program.shape, plan, entities: Entities::default(), run: Run::default() };
        session.go(&mut store, &module)?;
        session.run.trace = std::mem::take(&mut store.data_mut().trace);
        Ok(session.run)
    }
}

/// Handles of everything in the instance, by index.
#[derive(Default)]
struct Entities {
    funcs: Vec<Func>,
    /// Of each function, made when the first one has to be recognized.
    identities: OnceCell<Vec<u64>>,
    globals: Vec<wasmi::Global>,
    memories: Vec<wasmi::Memory>,
    tables: Vec<wasmi::Table>,
    /// Of each data and each element segment the probe, where it has one.
    data_probes: Vec<Option<Func>>,
    element_probes: Vec<Option<Func>>,
}

struct Session<'a> {
    shape: &'a Shape,
    plan: &'a Plan,
    entities: Entities,
    run: Run,
}

impl Session<'_> {
    fn go(&mut self, store: &mut Store<Host>, module: &wasmi::Module) -> Result<(), Refusal> {
        store.set_fuel(self.plan.steps_max).map_err(broken)?;
        let imports = self.imports(store)?;
        match wasmi::Instance::new(&mut *store, module, &imports) {
            Ok(instance) => {
                self.collect(store, &instance)?;
                if !self.step(store, Ok(Vec::new()))? {
                    return Ok(());
                }
            }
            Err(error) => {
                self.step(store, Err(error))?;
                return Ok(());
            }
        }
        for call in &self.plan.calls {
            store.set_fuel(self.plan.steps_max).map_err(broken)?;
            let args: Vec<Val> = call.args.iter().map(|value| self.to_wasmi(&mut *store, *value)).collect();
            let results = &self.shape.functions[call.func as usize].results;
            let mut out: Vec<Val> = results.iter().map(|ty| default_val(*ty)).collect();
            let func = self.entities.funcs[call.func as usize];
            let outcome = func.call(&mut *store, &args, &mut out).map(|()| out);
            if !self.step(store, outcome)? {
                break;
            }
        }
        Ok(())
    }

    /// Records a step; false where it was poisoned.
    fn step(&mut self, store: &mut Store<Host>, outcome: Result<Vec<Val>, wasmi::Error>) -> Result<bool, Refusal> {
        if let stopped @ Some(_) = store.data().stopped {
            self.run.stopped = stopped;
            return Ok(false);
        }
        let ending = match outcome {
            Ok(values) => Ending::Values(values.iter().map(|value| self.entities.neutral(&*store, value)).collect()),
            Err(error) => match classify(&error) {
                Ok(class) => Ending::Trap(class),
                Err(Some(poison)) => {
                    self.run.stopped = Some(poison);
                    return Ok(false);
                }
                Err(None) => return Err(Refusal::Broken(error.to_string())),
            },
        };
        let operations = self.plan.steps_max - store.get_fuel().unwrap_or(0);
        let trace_len = store.data().trace.len();
        let is_shown = self.plan.shows(&self.run.steps, &ending);
        let state = if is_shown { self.entities.state(store)? } else { State::default() };
        if self.plan.capture == Some(self.run.steps.len()) {
            self.run.captured = self.entities.memories.iter().map(|memory| memory.data(&*store).to_vec()).collect();
        }
        self.run.steps.push(Step {
            ending,
            trace_len,
            state,
            operations,
            offset: None,
            offset_is_late: false,
            frames: None,
        });
        Ok(true)
    }

    fn imports(&mut self, store: &mut Store<Host>) -> Result<Vec<Extern>, Refusal> {
        let mut imports = Vec::new();
        // wasmi wants imports by kind, in this order; within a kind, in the module's.
        let mut ordered: Vec<_> = self.shape.imports.iter().collect();
        ordered.sort_by_key(|import| match import.kind {
            ImportKind::Func(_) => 0,
            ImportKind::Table(_) => 1,
            ImportKind::Memory(_) => 2,
            ImportKind::Global(_) => 3,
        });
        for import in ordered {
            imports.push(match import.kind {
                ImportKind::Func(index) => Extern::Func(self.host_func(store, index)?),
                ImportKind::Global(index) => {
                    let shape = self.shape.globals[index as usize];
                    let value = store.data().global(index, shape.ty);
                    let value = self.to_wasmi(&mut *store, value);
                    let mutability = if shape.mutable { wasmi::Mutability::Var } else { wasmi::Mutability::Const };
                    let global = wasmi::Global::new(&mut *store, value, mutability);
                    self.entities.globals.push(global);
                    Extern::Global(global)
                }
                ImportKind::Memory(index) => {
                    let shape = self.shape.memories[index as usize];
                    let mut builder = wasmi::MemoryType::builder();
                    builder.memory64(shape.memory64).min(shape.minimum).max(shape.maximum);
                    builder.page_size_log2(shape.page_bytes_log2);
                    let ty = builder.build().map_err(|error| Refusal::Broken(error.to_string()))?;
                    let memory = wasmi::Memory::new(&mut *store, ty).map_err(broken)?;
                    self.entities.memories.push(memory);
                    Extern::Memory(memory)
                }
                ImportKind::Table(index) => {
                    let shape = self.shape.tables[index as usize];
                    let element = ref_type(shape.element);
                    let ty = if shape.table64 {
                        wasmi::TableType::new64(element, shape.minimum, shape.maximum)
                    } else {
                        wasmi::TableType::new(element, shape.minimum as u32, shape.maximum.map(|max| max as u32))
                    };
                    let table = wasmi::Table::new(&mut *store, ty, Ref::null(element)).map_err(broken)?;
                    self.entities.tables.push(table);
                    Extern::Table(table)
                }
            });
        }
        Ok(imports)
    }

    fn host_func(&self, store: &mut Store<Host>, index: u32) -> Result<Func, Refusal> {
        let signature = self.shape.functions[index as usize].clone();
        let targets = HostTargets::of(self.shape);
        let ty = wasmi::FuncType::new(
            signature.params.iter().map(|ty| val_type(*ty)),
            signature.results.iter().map(|ty| val_type(*ty)),
        );
        Ok(Func::new(store, ty, move |mut caller, args, results| {
            let args = args.iter().map(|value| host_value(&caller, &targets, value)).collect();
            let answer = caller.data_mut().call(index, args, &signature.results);
            act(&mut caller, &targets, answer.action)?;
            let Some(values) = answer.results else {
                return Err(wasmi::Error::i32_exit(HOST_FAILURE));
            };
            for (slot, value) in results.iter_mut().zip(values) {
                *slot = plain_val(&mut caller, value);
            }
            Ok(())
        }))
    }

    fn collect(&mut self, store: &mut Store<Host>, instance: &wasmi::Instance) -> Result<(), Refusal> {
        let missing = || Refusal::Broken("an exposed export is missing".into());
        let shape = self.shape;
        let funcs = (0..shape.functions.len()).map(|index| instance.get_func(&*store, &func_name(index)));
        self.entities.funcs = funcs.collect::<Option<_>>().ok_or_else(missing)?;
        let globals = (0..shape.globals.len()).map(|index| instance.get_global(&*store, &global_name(index)));
        self.entities.globals = globals.collect::<Option<_>>().ok_or_else(missing)?;
        let memories = (0..shape.memories.len()).map(|index| instance.get_memory(&*store, &memory_name(index)));
        self.entities.memories = memories.collect::<Option<_>>().ok_or_else(missing)?;
        let tables = (0..shape.tables.len()).map(|index| instance.get_table(&*store, &table_name(index)));
        self.entities.tables = tables.collect::<Option<_>>().ok_or_else(missing)?;
        let data = 0..shape.data_segments as usize;
        self.entities.data_probes = data.map(|index| instance.get_func(&*store, &data_name(index))).collect();
        let elements = 0..shape.element_segments.len();
        self.entities.element_probes = elements.map(|index| instance.get_func(&*store, &element_name(index))).collect();
        Ok(())
    }

    fn to_wasmi(&self, store: impl AsContextMut, value: Value) -> Val {
        match value {
            Value::Func(FuncIdentity::Index(index)) => Val::FuncRef(
                self.entities.funcs.get(index as usize).map_or(Nullable::Null, |func| Nullable::Val(*func)),
            ),
            value => plain_val(store, value),
        }
    }
}

impl Entities {
    fn state(&mut self, store: &mut Store<Host>) -> Result<State, Refusal> {
        let empty_data = empty(store, &self.data_probes)?;
        let empty_elements = empty(store, &self.element_probes)?;
        let store = &*store;
        let memories = self.memories.iter().map(|memory| MemoryState::of(memory.data(store))).collect();
        Ok(State {
            globals: self.globals.iter().map(|global| self.neutral(store, &global.get(store))).collect(),
            memories,
            tables: self.tables.iter().map(|table| self.table(store, table)).collect(),
            empty_data,
            empty_elements,
        })
    }

    fn table(&self, store: &Store<Host>, table: &wasmi::Table) -> Vec<Value> {
        (0..table.size(store))
            .map(|index| match table.get(store, index) {
                Some(Ref::Func(func)) => Value::Func(self.func(func)),
                Some(Ref::Extern(Nullable::Val(object))) => Value::Extern(Some(payload(store, &object))),
                Some(Ref::Extern(Nullable::Null)) | None => Value::Extern(None),
            })
            .collect()
    }

    fn func(&self, func: Nullable<Func>) -> FuncIdentity {
        let Nullable::Val(func) = func else { return FuncIdentity::Null };
        let wanted = identity(&func);
        let identities = self.identities.get_or_init(|| self.funcs.iter().map(identity).collect());
        match identities.iter().position(|known| *known == wanted) {
            Some(index) => FuncIdentity::Index(index as u32),
            None => FuncIdentity::Unknown,
        }
    }

    fn neutral(&self, store: impl AsContext, value: &Val) -> Value {
        match value {
            Val::I32(value) => Value::I32(*value as u32),
            Val::I64(value) => Value::I64(*value as u64),
            Val::F32(value) => Value::F32(value.to_bits()),
            Val::F64(value) => Value::F64(value.to_bits()),
            Val::V128(value) => Value::V128(value.as_u128()),
            Val::FuncRef(func) => Value::Func(self.func(*func)),
            Val::ExternRef(Nullable::Null) => Value::Extern(None),
            Val::ExternRef(Nullable::Val(object)) => Value::Extern(Some(payload(store, object))),
        }
    }
}

/// What the probes say, where there are probes.
fn empty(store: &mut Store<Host>, probes: &[Option<Func>]) -> Result<Vec<Option<bool>>, Refusal> {
    let mut all = Vec::with_capacity(probes.len());
    for probe in probes {
        let Some(probe) = probe else {
            all.push(None);
            continue;
        };
        store.set_fuel(PROBE_FUEL).map_err(broken)?;
        all.push(Some(match probe.call(&mut *store, &[], &mut []) {
            Ok(()) => false,
            Err(error) => match classify(&error) {
                Ok(TrapClass::MemoryOutOfBounds | TrapClass::TableOutOfBounds) => true,
                _ => return Err(broken(error)),
            },
        }));
    }
    Ok(all)
}

/// Fuel for one probe: more than its five operations take.
const PROBE_FUEL: u64 = 1000;

/// A value that comes to the host.
fn host_value(caller: &wasmi::Caller<'_, Host>, targets: &HostTargets, value: &Val) -> Value {
    match value {
        Val::FuncRef(Nullable::Val(func)) => {
            let wanted = identity(func);
            Value::Func(targets.identity(|name| {
                let known = caller.get_export(name).and_then(Extern::into_func);
                known.is_some_and(|known| identity(&known) == wanted)
            }))
        }
        value => Entities::default().neutral(caller, value),
    }
}

/// Does to the calling instance what the host function does.
fn act(caller: &mut wasmi::Caller<'_, Host>, targets: &HostTargets, action: Action) -> Result<(), wasmi::Error> {
    let memory = |caller: &wasmi::Caller<'_, Host>| -> Option<wasmi::Memory> {
        caller.get_export(targets.memory.as_ref()?)?.into_memory()
    };
    match action {
        Action::Nothing => {}
        Action::Grow => {
            if let Some(memory) = memory(caller) {
                // A refusal leaves the memory as it is.
                let _ = memory.grow(&mut *caller, 1);
            }
        }
        Action::Write(address, byte) => {
            if let Some(memory) = memory(caller) {
                let data = memory.data_mut(&mut *caller);
                if let Some(slot) = data.len().checked_sub(1).map(|last| address as usize % (last + 1)) {
                    data[slot] = byte;
                }
            }
        }
        Action::CallBack(seed) => {
            let Some((name, signature)) = &targets.callback else { return Ok(()) };
            let Some(func) = caller.get_export(name).and_then(Extern::into_func) else { return Ok(()) };
            let args: Vec<Val> =
                arguments(seed, &signature.params).into_iter().map(|value| plain_val(&mut *caller, value)).collect();
            let mut out: Vec<Val> = signature.results.iter().map(|ty| default_val(*ty)).collect();
            caller.data_mut().callback_begins();
            let ended = func.call(&mut *caller, &args, &mut out);
            let values = |()| out.iter().map(|value| host_value(caller, targets, value)).collect();
            let ended = CallbackEnd::of(ended.map(values), classify)?;
            caller.data_mut().callback_ends(ended);
        }
    }
    Ok(())
}

/// Exit status that marks a failing host function.
const HOST_FAILURE: i32 = 0x7761;

fn plain_val(store: impl AsContextMut, value: Value) -> Val {
    match value {
        Value::I32(bits) => Val::I32(bits as i32),
        Value::I64(bits) => Val::I64(bits as i64),
        Value::F32(bits) => Val::F32(wasmi::F32::from_bits(bits)),
        Value::F64(bits) => Val::F64(wasmi::F64::from_bits(bits)),
        Value::V128(bits) => Val::V128(bits.into()),
        Value::Func(_) => Val::FuncRef(Nullable::Null),
        Value::Extern(None) => Val::ExternRef(Nullable::Null),
        Value::Extern(Some(payload)) => Val::ExternRef(Nullable::Val(ExternRef::new(store, payload))),
    }
}

fn default_val(ty: ValueType) -> Val {
    Val::default_for_ty(val_type(ty))
}

fn val_type(ty: ValueType) -> wasmi::ValType {
    match ty {
        ValueType::I32 => wasmi::ValType::I32,
        ValueType::I64 => wasmi::ValType::I64,
        ValueType::F32 => wasmi::ValType::F32,
        ValueType::F64 => wasmi::ValType::F64,
        ValueType::V128 => wasmi::ValType::V128,
        ValueType::FuncRef => wasmi::ValType::FuncRef,
        ValueType::ExternRef => wasmi::ValType::ExternRef,
    }
}

fn ref_type(ty: ValueType) -> wasmi::RefType {
    if ty == ValueType::ExternRef { wasmi::RefType::Extern } else { wasmi::RefType::Func }
}

fn payload(store: impl AsContext, object: &ExternRef) -> u32 {
    object.data(store.as_context()).downcast_ref::<u32>().copied().unwrap_or(u32::MAX)
}

/// wasmi's handles have no equality, but their debug form is the handle: its digest identifies the function.
fn identity(func: &Func) -> u64 {
    struct Digest(u64);
    impl Write for Digest {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            for byte in text.bytes() {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            Ok(())
        }
    }
    let mut digest = Digest(0xcbf2_9ce4_8422_2325);
    let _ = write!(digest, "{func:?}");
    digest.0
}

fn broken(error: wasmi::Error) -> Refusal {
    Refusal::Broken(error.to_string())
}

/// The class of an error, else its poison, else nothing known.
fn classify(error: &wasmi::Error) -> Result<TrapClass, Option<Poison>> {
    use wasmi::errors::{ErrorKind, InstantiationError, MemoryError, TableError};
    if error.i32_exit_status() == Some(HOST_FAILURE) {
        return Ok(TrapClass::Host);
    }
    if let Some(code) = error.as_trap_code() {
        return trap_class(code);
    }
    match error.kind() {
        ErrorKind::Table(TableError::CopyOutOfBounds)
        | ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }) => {
            Ok(TrapClass::TableOutOfBounds)
        }
        ErrorKind::Memory(MemoryError::OutOfSystemMemory | MemoryError::ResourceLimiterDeniedAllocation)
        | ErrorKind::Table(TableError::OutOfSystemMemory | TableError::ResourceLimiterDeniedAllocation) => {
            Err(Some(Poison::OutOfMemory))
        }
        _ => Err(None),
    }
}

fn trap_class(code: TrapCode) -> Result<TrapClass, Option<Poison>> {
    Ok(match code {
        TrapCode::UnreachableCodeReached => TrapClass::Unreachable,
        TrapCode::MemoryOutOfBounds => TrapClass::MemoryOutOfBounds,
        TrapCode::TableOutOfBounds => TrapClass::TableOutOfBounds,
        TrapCode::IndirectCallToNull => TrapClass::NullCall,
        TrapCode::IntegerDivisionByZero => TrapClass::DivideByZero,
        TrapCode::IntegerOverflow => TrapClass::IntegerOverflow,
        TrapCode::BadConversionToInteger => TrapClass::BadConversion,
        TrapCode::BadSignature => TrapClass::BadSignature,
        TrapCode::StackOverflow => return Err(Some(Poison::StackOverflow)),
        TrapCode::OutOfFuel => return Err(Some(Poison::Budget)),
        TrapCode::OutOfSystemMemory | TrapCode::GrowthOperationLimited => return Err(Some(Poison::OutOfMemory)),
    })
}
