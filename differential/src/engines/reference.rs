//! The definitional interpreter as an oracle.
//!
//! It runs the original form, since it shows its whole state, in the deterministic profile, and counts instructions.
//!
//! Invariant: every trap class maps to one class or one poison; any other ending is [`Refusal::Broken`], never skipped.
//!
//! Does not know: the budget of anybody else.

use super::HostTargets;
use crate::host::arguments;
use crate::{
    Action, CallbackEnd, Ending, Engine, FuncIdentity, Host, ImportKind, MemoryState, Plan, Poison, Program, Refusal,
    Run, Shape, State, Step, TrapClass, Value, ValueType,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wattest_reference as core;
use wattest_reference::{Extern, Failure, Ref, Store};

/// The interpreter in `differential/reference`.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefinitionalEngine;

impl Engine for DefinitionalEngine {
    fn name(&self) -> String {
        "reference".to_owned()
    }

    fn interruptible(&self) -> bool {
        true
    }

    fn run(&mut self, program: &Program, plan: &Plan) -> Result<Run, Refusal> {
        run_in(Store::new(core::Budget::default()), program, plan).map(|(run, _)| run)
    }
}

impl DefinitionalEngine {
    /// A run, and what it executes, by proposal.
    ///
    /// # Errors
    ///
    /// As [`Engine::run`].
    pub fn run_with_tally(&self, program: &Program, plan: &Plan) -> Result<(Run, BTreeMap<String, u64>), Refusal> {
        let mut store = Store::new(core::Budget::default());
        store.keep_tally();
        let (run, store) = run_in(store, program, plan)?;
        Ok((run, tally_of(&store)))
    }

    /// A run, and how often the operation at each byte offset is executed; blocks, their ends and `nop` are not counted.
    ///
    /// # Errors
    ///
    /// As [`Engine::run`].
    pub fn run_with_profile(&self, program: &Program, plan: &Plan) -> Result<(Run, BTreeMap<u32, u64>), Refusal> {
        let mut store = Store::new(core::Budget::default());
        store.keep_tally();
        let (run, store) = run_in(store, program, plan)?;
        Ok((run, store.tally().map_or_else(BTreeMap::new, |tally| tally.places().collect())))
    }

    /// What a run executes, by proposal; nothing where it is refused.
    pub fn tally(&self, program: &Program, plan: &Plan) -> BTreeMap<String, u64> {
        let mut store = Store::new(core::Budget::default());
        store.keep_tally();
        match run_in(store, program, plan) {
            Ok((_, store)) => tally_of(&store),
            Err(_) => BTreeMap::new(),
        }
    }
}

/// Before the names of operators in a tally; proposals have none.
pub const OPERATOR_PREFIX: &str = "operator ";

/// What a store has counted, by the names of proposals and of operators, the latter behind [`OPERATOR_PREFIX`].
pub(crate) fn tally_of(store: &Store) -> BTreeMap<String, u64> {
    let Some(tally) = store.tally() else { return BTreeMap::new() };
    let groups = tally.iter().map(|(group, count)| (group.text().to_owned(), count));
    let operators = tally.operators().filter(|(_, count)| *count > 0);
    let operators = operators.map(|(name, count)| (format!("{OPERATOR_PREFIX}{name}"), count));
    groups.filter(|(_, count)| *count > 0).chain(operators).collect()
}

fn run_in(store: Store, program: &Program, plan: &Plan) -> Result<(Run, Store), Refusal> {
    let module = core::Module::decode(&program.wasm, core::Features::all())
        .map_err(|error| Refusal::Module(error.to_string()))?;
    let host = Arc::new(Mutex::new(Host::new(plan.host_seed, plan.acting_host)));
    let mut session = Session {
        shape: &program.shape,
        plan,
        store,
        host: host.clone(),
        entities: Entities::default(),
        run: Run::default(),
    };
    session.go(&module)?;
    session.run.trace = std::mem::take(&mut locked(&host).trace);
    Ok((session.run, session.store))
}

/// Addresses of everything in the instance, by index.
#[derive(Default)]
struct Entities {
    instance: Option<core::InstanceAddr>,
    funcs: Vec<core::FuncAddr>,
    globals: Vec<core::GlobalAddr>,
    memories: Vec<core::MemoryAddr>,
    tables: Vec<core::TableAddr>,
}

struct Session<'a> {
    shape: &'a Shape,
    plan: &'a Plan,
    store: Store,
    host: Arc<Mutex<Host>>,
    entities: Entities,
    run: Run,
}

/// The host; a panic elsewhere does not make its record less true.
fn locked(host: &Mutex<Host>) -> MutexGuard<'_, Host> {
    host.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session<'_> {
    fn go(&mut self, module: &core::Module) -> Result<(), Refusal> {
        self.store.set_fuel(self.plan.steps_max);
        let imports = self.imports()?;
        match self.store.instantiate(module, &imports) {
            Ok(instance) => {
                self.entities.instance = Some(instance);
                let instance = self.store.instance(instance);
                self.entities.funcs.clone_from(&instance.funcs);
                self.entities.globals.clone_from(&instance.globals);
                self.entities.memories.clone_from(&instance.memories);
                self.entities.tables.clone_from(&instance.tables);
                if !self.step(Ok(Vec::new()), &[])? {
                    return Ok(());
                }
            }
            Err(failure) => {
                self.step(Err(failure), &[])?;
                return Ok(());
            }
        }
        for call in &self.plan.calls {
            self.store.set_fuel(self.plan.steps_max);
            let args: Vec<core::Value> = call.args.iter().map(|value| self.entities.own(*value)).collect();
            let func = self.entities.funcs.get(call.func as usize);
            let func = *func.ok_or_else(|| Refusal::Broken("a planned function is missing".into()))?;
            let outcome = self.store.invoke(func, &args);
            let shape = self.shape;
            if !self.step(outcome, &shape.functions[call.func as usize].results)? {
                break;
            }
        }
        Ok(())
    }

    /// Records a step; false where it was poisoned.
    fn step(&mut self, outcome: Result<Vec<core::Value>, Failure>, types: &[ValueType]) -> Result<bool, Refusal> {
        let stopped = locked(&self.host).stopped;
        if stopped.is_some() {
            self.run.stopped = stopped;
            return Ok(false);
        }
        let offset = if let Err(Failure::Trap(trap)) = &outcome { trap.offset } else { None };
        let ending = match outcome {
            Ok(values) => {
                Ending::Values(values.iter().zip(types).map(|(value, ty)| self.entities.neutral(*value, *ty)).collect())
            }
            Err(failure) => match classify(&failure) {
                Ok(class) => Ending::Trap(class),
                Err(Some(poison)) => {
                    self.run.stopped = Some(poison);
                    return Ok(false);
                }
                Err(None) => return Err(Refusal::Broken(failure.to_string())),
            },
        };
        let operations = self.plan.steps_max.saturating_sub(self.store.fuel());
        let trace_len = locked(&self.host).trace.len();
        let state = if self.plan.shows(&self.run.steps, &ending) { self.state() } else { State::default() };
        if self.plan.capture == Some(self.run.steps.len()) {
            let memories = self.entities.memories.iter();
            self.run.captured = memories.map(|memory| self.store.memory(*memory).bytes.clone()).collect();
        }
        self.run.steps.push(Step { ending, trace_len, state, operations, offset, offset_is_late: false, frames: None });
        Ok(true)
    }

    fn state(&mut self) -> State {
        let (shape, store) = (self.shape, &self.store);
        let memories = self.entities.memories.iter();
        let memories = memories.map(|memory| MemoryState::of(&store.memory(*memory).bytes)).collect();
        let entities = &self.entities;
        let globals = entities.globals.iter().zip(&shape.globals);
        let globals = globals.map(|(global, shape)| entities.neutral(store.global(*global).1, shape.ty)).collect();
        let table = |(table, element): (&core::TableAddr, ValueType)| {
            let entries = store.table(*table).entries.iter();
            entries.map(|entry| entities.neutral(core::Value::Ref(*entry), element)).collect()
        };
        let elements = shape.tables.iter().map(|shape| shape.element);
        let tables = entities.tables.iter().zip(elements).map(table).collect();
        let (mut empty_data, mut empty_elements) = (Vec::new(), Vec::new());
        if let Some(instance) = entities.instance {
            let data = 0..shape.data_segments;
            empty_data.extend(data.map(|index| Some(store.is_data_empty(instance, index))));
            let elements = 0..shape.element_segments.len() as u32;
            empty_elements.extend(elements.map(|index| Some(store.is_elem_empty(instance, index))));
        }
        State { globals, memories, tables, empty_data, empty_elements }
    }

    fn imports(&mut self) -> Result<Vec<Extern>, Refusal> {
        let shape = self.shape;
        let mut imports = Vec::new();
        for import in &shape.imports {
            imports.push(match import.kind {
                ImportKind::Func(index) => Extern::Func(self.host_func(index)),
                ImportKind::Global(index) => {
                    let shape = shape.globals[index as usize];
                    let value = locked(&self.host).global(index, shape.ty);
                    let ty = core::GlobalType { mutable: shape.mutable, content: val_type(shape.ty) };
                    let global = self.store.add_global(ty, self.entities.own(value));
                    self.entities.globals.push(global);
                    Extern::Global(global)
                }
                ImportKind::Memory(index) => {
                    let shape = shape.memories[index as usize];
                    let limits = core::Limits { min: shape.minimum, max: shape.maximum };
                    let page_log2 = shape.page_bytes_log2.into();
                    let ty = core::MemoryType { is64: shape.memory64, shared: false, limits, page_log2 };
                    let memory = self.store.add_memory(ty).map_err(broken)?;
                    self.entities.memories.push(memory);
                    Extern::Memory(memory)
                }
                ImportKind::Table(index) => {
                    let shape = shape.tables[index as usize];
                    let limits = core::Limits { min: shape.minimum, max: shape.maximum };
                    let ty = core::TableType { is64: shape.table64, limits, element: ref_type(shape.element) };
                    let table = self.store.add_table(ty, Ref::Null).map_err(broken)?;
                    self.entities.tables.push(table);
                    Extern::Table(table)
                }
            });
        }
        Ok(imports)
    }

    fn host_func(&mut self, index: u32) -> core::FuncAddr {
        let signature = self.shape.functions[index as usize].clone();
        let targets = HostTargets::of(self.shape);
        let ty = core::FuncType {
            params: signature.params.iter().map(|ty| val_type(*ty)).collect(),
            results: signature.results.iter().map(|ty| val_type(*ty)).collect(),
        };
        let host = self.host.clone();
        self.store.add_func(
            ty,
            Arc::new(move |store, args| {
                let nobody = Entities::default();
                let args = args.iter().zip(&signature.params);
                let args = args.map(|(value, ty)| host_value(store, &targets, *value, *ty)).collect();
                let answer = locked(&host).call(index, args, &signature.results);
                act(store, &host, &targets, answer.action)?;
                let results = answer.results.ok_or_else(|| Failure::trap(core::TrapClass::Host))?;
                Ok(results.into_iter().map(|value| nobody.own(value)).collect())
            }),
        )
    }
}

impl Entities {
    fn neutral(&self, value: core::Value, ty: ValueType) -> Value {
        match value {
            core::Value::I32(bits) => Value::I32(bits),
            core::Value::I64(bits) => Value::I64(bits),
            core::Value::F32(bits) => Value::F32(bits),
            core::Value::F64(bits) => Value::F64(bits),
            core::Value::V128(bits) => Value::V128(bits),
            core::Value::Ref(Ref::Null) if ty == ValueType::ExternRef => Value::Extern(None),
            core::Value::Ref(Ref::Null) => Value::Func(FuncIdentity::Null),
            core::Value::Ref(Ref::Host(number)) => Value::Extern(Some(number)),
            core::Value::Ref(Ref::Func(number)) => {
                let index = self.funcs.iter().position(|func| func.number() == number);
                Value::Func(index.map_or(FuncIdentity::Unknown, |index| FuncIdentity::Index(index as u32)))
            }
            core::Value::Ref(_) => Value::Func(FuncIdentity::Unknown),
        }
    }

    fn own(&self, value: Value) -> core::Value {
        match value {
            Value::I32(bits) => core::Value::I32(bits),
            Value::I64(bits) => core::Value::I64(bits),
            Value::F32(bits) => core::Value::F32(bits),
            Value::F64(bits) => core::Value::F64(bits),
            Value::V128(bits) => core::Value::V128(bits),
            Value::Extern(Some(number)) => core::Value::Ref(Ref::Host(number)),
            Value::Func(FuncIdentity::Index(index)) => {
                let func = self.funcs.get(index as usize);
                core::Value::Ref(func.map_or(Ref::Null, |func| Ref::Func(func.number())))
            }
            Value::Extern(None) | Value::Func(_) => core::Value::Ref(Ref::Null),
        }
    }
}

/// A value that comes to the host.
fn host_value(store: &Store, targets: &HostTargets, value: core::Value, ty: ValueType) -> Value {
    match (value, store.last_instance()) {
        (core::Value::Ref(Ref::Func(number)), Some(instance)) => Value::Func(targets.identity(
            |name| matches!(store.export(instance, name), Some(Extern::Func(func)) if func.number() == number),
        )),
        _ => Entities::default().neutral(value, ty),
    }
}

/// Does to the only instance what the host function does.
fn act(store: &mut Store, host: &Mutex<Host>, targets: &HostTargets, action: Action) -> Result<(), Failure> {
    let Some(instance) = store.last_instance() else { return Ok(()) };
    let memory = targets.memory.as_ref().and_then(|name| match store.export(instance, name) {
        Some(Extern::Memory(memory)) => Some(memory),
        _ => None,
    });
    match action {
        Action::Nothing => {}
        Action::Grow => {
            if let Some(memory) = memory {
                // A refusal leaves the memory as it is.
                let _ = store.grow_memory(memory, 1);
            }
        }
        Action::Write(address, byte) => {
            if let Some(memory) = memory {
                let data = store.memory_mut(memory);
                if let Some(last) = data.len().checked_sub(1) {
                    data[address as usize % (last + 1)] = byte;
                }
            }
        }
        Action::CallBack(seed) => {
            let Some((name, signature)) = &targets.callback else { return Ok(()) };
            let Some(Extern::Func(func)) = store.export(instance, name) else { return Ok(()) };
            let nobody = Entities::default();
            let args: Vec<_> = arguments(seed, &signature.params).into_iter().map(|value| nobody.own(value)).collect();
            locked(host).callback_begins();
            let ended = store.invoke(func, &args);
            let neutral = |values: Vec<core::Value>| {
                let values = values.iter().zip(&signature.results);
                values.map(|(value, ty)| host_value(store, targets, *value, *ty)).collect()
            };
            let ended = CallbackEnd::of(ended.map(neutral), classify)?;
            locked(host).callback_ends(ended);
        }
    }
    Ok(())
}

fn val_type(ty: ValueType) -> core::ValType {
    match ty {
        ValueType::I32 => core::ValType::I32,
        ValueType::I64 => core::ValType::I64,
        ValueType::F32 => core::ValType::F32,
        ValueType::F64 => core::ValType::F64,
        ValueType::V128 => core::ValType::V128,
        ValueType::FuncRef | ValueType::ExternRef => core::ValType::Ref(ref_type(ty)),
    }
}

fn ref_type(ty: ValueType) -> core::RefType {
    match ty {
        ValueType::ExternRef => core::RefType::null(core::HeapType::Extern),
        _ => core::RefType::null(core::HeapType::Func),
    }
}

fn broken(failure: Failure) -> Refusal {
    Refusal::Broken(failure.to_string())
}

/// The class of a failure; else the poison, if it is one.
fn classify(failure: &Failure) -> Result<TrapClass, Option<Poison>> {
    match failure {
        Failure::Trap(trap) => trap_class(trap.class),
        Failure::Limit(_) => Err(Some(Poison::Limit)),
        _ => Err(None),
    }
}

/// The class of a trap; else the poison, if it is one.
pub(crate) fn trap_class(class: core::TrapClass) -> Result<TrapClass, Option<Poison>> {
    use core::TrapClass as T;
    Ok(match class {
        T::Unreachable => TrapClass::Unreachable,
        T::MemoryOutOfBounds => TrapClass::MemoryOutOfBounds,
        T::TableOutOfBounds | T::UndefinedElement => TrapClass::TableOutOfBounds,
        T::UninitializedElement => TrapClass::NullCall,
        T::IndirectCallTypeMismatch => TrapClass::BadSignature,
        T::IntegerOverflow => TrapClass::IntegerOverflow,
        T::IntegerDivideByZero => TrapClass::DivideByZero,
        T::InvalidConversionToInteger => TrapClass::BadConversion,
        T::NullReference => TrapClass::NullReference,
        T::CastFailure => TrapClass::CastFailure,
        T::ArrayOutOfBounds => TrapClass::ArrayOutOfBounds,
        T::UnalignedAtomic => TrapClass::UnalignedAtomic,
        T::Host => TrapClass::Host,
        T::StackExhausted => return Err(Some(Poison::StackOverflow)),
        T::OutOfFuel => return Err(Some(Poison::Budget)),
        T::AllocationTooLarge => return Err(Some(Poison::OutOfMemory)),
        // Traps of threads and of components, which no program here has.
        _ => return Err(None),
    })
}
