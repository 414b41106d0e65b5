//! Linked programs in the runtime.
//!
//! Invariant: every trap code maps to one class or one poison; any other error is [`Refusal::Broken`].
//!
//! Does not know: predictions.

use super::graph::{Contents, Found, Graph, Heap};
use super::host::{HOST, HOST_DEPTH_MAX, HOST_FUNCTIONS, HostAct, HostLog, HostType, LinkedHostCall, digest};
use super::{Image, LinkedEnding, LinkedEngine, LinkedProgram, LinkedRun, LinkedStep, Observed, Place, Private};
use crate::engines::{HostFailure, KeptWattest, WattestConfig, effective, wattest_classify};
use crate::{CONFIGS, NanRule, Poison, Refusal, TrapClass, Value};
use std::fmt;
use wattest::{
    AnyRef, Caller, Config, Error, ExnRef, Extern, Feature, FieldType, Func, FuncType, HeapType, Instance,
    InstantiateError, Linker, Module, RefType, StorageType, Store, Table, Val, ValType,
};

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

/// How many rows there are.
pub fn row_count() -> usize {
    STRESS.len() + CONFIGS.len()
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
    engine: KeptWattest,
}

impl LinkedWattest {
    /// The row that [`row`] gave, modulo their number; the engine is made on first use.
    pub fn new(row: usize) -> LinkedWattest {
        let config = effective(configuration(row));
        LinkedWattest { config, engine: KeptWattest::new(config, NanRule::Exact) }
    }
}

/// Fuel for one step, by operation of the interpreter's budget.
const FUEL_PER_OPERATION: u64 = 20;

impl LinkedEngine for LinkedWattest {
    fn name(&self) -> String {
        format!("wattest ({})", self.config.name)
    }

    fn run(&mut self, program: &LinkedProgram, steps_max: u64) -> Result<LinkedRun, Refusal> {
        let engine = self.engine.next()?.clone();
        let mut store = Store::new(&engine, HostLog::default());
        store.set_epoch_deadline(1 << 40);
        let fuel = self.config.counts_fuel().then_some(steps_max * FUEL_PER_OPERATION);
        let mut linker = Linker::new(&engine);
        if program.modules.iter().all(|module| module.name != HOST) {
            (0..HOST_FUNCTIONS.len()).try_for_each(|row| define_host(&mut linker, row))?;
        }
        let mut session =
            Session { linker, store, instances: Vec::new(), modules: Vec::new(), fuel, config: self.config };
        let mut run = LinkedRun::default();
        for module in &program.modules {
            let refused = |error| Refusal::Module(format!("{}: {error}", module.name));
            let mut compiled = Module::from_binary(&engine, &module.wasm).map_err(refused)?;
            if self.config.round_trip {
                compiled = compiled.reload().map_err(broken)?;
            }
            session.refuel()?;
            let Some(outcome) = session.instantiate(&module.name, &compiled)? else {
                run.steps.push(LinkedStep::ended(LinkedEnding::Unlinkable));
                return Ok(run);
            };
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

/// Defines a function of the host.
fn define_host(linker: &mut Linker<HostLog>, row: usize) -> Result<(), Refusal> {
    let function = &HOST_FUNCTIONS[row];
    let types = |types: &'static [HostType]| types.iter().map(|ty| host_type(*ty));
    let ty = FuncType::new(types(function.params), types(function.results));
    let act = move |mut caller: Caller<'_, HostLog>, args: &[Val], results: &mut [Val]| {
        let observed: Vec<Observed> = args.iter().map(observe).collect();
        let number = digest(&observed);
        caller.data_mut().calls.push(LinkedHostCall { function: row, args: observed });
        match (function.act, args) {
            (HostAct::Digest, _) => results[0] = Val::I64(number as i64),
            (HostAct::Swap, [first, _, last]) => results.clone_from_slice(&[last.clone(), first.clone()]),
            (HostAct::Call, [.., Val::FuncRef(Some(callee))]) => {
                let ty = callee.ty(&caller);
                let fits = ty.params().is_empty() && ty.results().is_empty();
                if !fits || caller.data().depth >= HOST_DEPTH_MAX {
                    return Err(Error::host(HostFailure));
                }
                caller.data_mut().depth += 1;
                let ended = callee.call(&mut caller, &[], &mut []);
                caller.data_mut().depth -= 1;
                ended?;
            }
            (HostAct::Throw, [.., Val::ExnRef(exception)]) => return Err(exception.clone().throw()),
            _ => return Err(Error::host(HostFailure)),
        }
        Ok(())
    };
    linker.func_new(HOST, function.name, ty, act).map(|_| ()).map_err(broken)
}

fn host_type(ty: HostType) -> ValType {
    let reference = |heap| ValType::Ref(RefType { nullable: true, heap, is_func: false });
    match ty {
        HostType::I32 => ValType::I32,
        HostType::I64 => ValType::I64,
        HostType::F64 => ValType::F64,
        HostType::V128 => ValType::V128,
        HostType::Any => reference(HeapType::Any),
        HostType::Func => ValType::Ref(RefType::FUNC),
        HostType::Exn => reference(HeapType::Exn),
    }
}

fn is_success(step: &LinkedStep) -> bool {
    matches!(step.ending, LinkedEnding::Values(_))
}

struct Session {
    linker: Linker<HostLog>,
    store: Store<HostLog>,
    instances: Vec<(String, Instance)>,
    /// Numbers of the modules in frames, in the order of instantiation; the last may have no instance.
    modules: Vec<u64>,
    fuel: Option<u64>,
    config: &'static WattestConfig,
}

type Outcome = Result<Vec<Val>, Error>;

impl Session {
    fn refuel(&mut self) -> Result<(), Refusal> {
        match self.fuel {
            Some(fuel) => self.store.set_fuel(fuel).map_err(broken),
            None => Ok(()),
        }
    }

    /// None where the module does not link.
    fn instantiate(&mut self, name: &str, module: &Module) -> Result<Option<Outcome>, Refusal> {
        self.modules.push(module.id());
        match self.linker.instantiate(&mut self.store, module) {
            Ok(instance) => {
                self.linker.instance(&mut self.store, name, instance).map_err(broken)?;
                self.instances.push((name.to_owned(), instance));
                Ok(Some(Ok(Vec::new())))
            }
            Err(InstantiateError::Link(_)) => Ok(None),
            Err(InstantiateError::Start(error)) => Ok(Some(Err(error))),
            Err(InstantiateError::Limit(text)) => Ok(Some(Err(Error::Limit(text)))),
            Err(other) => Err(broken(other)),
        }
    }

    fn call(&mut self, module: usize, export: &str, args: &[Value]) -> Result<Outcome, Refusal> {
        let (_, instance) = self.instances.get(module).ok_or_else(|| broken("no such instance"))?;
        let func = instance.get_export(&self.store, export).and_then(Extern::into_func);
        let func = func.ok_or_else(|| broken(format!("no function {export}")))?;
        let args = args.iter().map(own).collect::<Result<Vec<_>, _>>()?;
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        Ok(func.call(&mut self.store, &args, &mut results).map(|()| results))
    }

    /// Records a step; false where it was poisoned.
    fn step(&mut self, run: &mut LinkedRun, outcome: Outcome) -> Result<bool, Refusal> {
        let mut roots = Vec::new();
        let mut place = None;
        let host_calls = std::mem::take(&mut self.store.data_mut().calls);
        let ending = match outcome {
            Ok(values) => {
                let observed = values.iter().map(observe).collect();
                roots.extend(values);
                LinkedEnding::Values(observed)
            }
            Err(Error::Exception(uncaught)) => {
                roots.push(Val::ExnRef(uncaught.exception().clone()));
                LinkedEnding::Exception
            }
            Err(error) => match wattest_classify(&error) {
                Ok(class) => {
                    place = self.place(class, &error, run.steps.len())?;
                    LinkedEnding::Trap(class)
                }
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
        let fuel = match self.fuel {
            Some(fuel) => Some(fuel.saturating_sub(self.store.fuel().map_err(broken)?)),
            None => None,
        };
        let mut step = LinkedStep { host_calls, place, fuel, ..LinkedStep::ended(ending) };
        let exports = self.exports();
        let mut tables = Vec::new();
        for (_, item) in &exports {
            match item {
                Extern::Global(global) => {
                    let value = global.get(&mut self.store).map_err(broken)?;
                    step.globals.push(observe(&value));
                    roots.push(value);
                }
                Extern::Memory(memory) => step.memories.push(Image::of(memory.data(&self.store))),
                Extern::Table(table) => {
                    step.tables.push(table.size(&self.store));
                    tables.push(*table);
                }
                _ => {}
            }
        }
        for table in tables {
            self.entries(table, &mut roots);
        }
        step.private = Some(self.private(&exports, &mut roots)?);
        step.graph = Some(Objects { store: &mut self.store, exports: &exports }.explore(roots)?);
        run.steps.push(step);
        Ok(true)
    }

    /// Where the innermost frame of a trap was. Only instantiation traps without one, when segments do not fit; what a host
    /// function says has no place.
    fn place(&self, class: TrapClass, error: &Error, step: usize) -> Result<Option<Place>, Refusal> {
        if class == TrapClass::Host {
            return Ok(None);
        }
        let frames = error.trap().map(|trap| trap.backtrace().frames());
        let Some(frame) = frames.and_then(|frames| frames.first()) else {
            let instantiates = step + 1 == self.modules.len() && self.instances.len() == step;
            return if instantiates {
                Ok(Some(Place::Nowhere))
            } else {
                Err(broken(format!("{class} without a frame")))
            };
        };
        let module = self.modules.iter().position(|id| *id == frame.module_id);
        let (Some(offset), Some(module)) = (frame.wasm_offset, module) else {
            return Err(broken(format!("{class} without a place")));
        };
        Ok(Some(Place::At { module, offset, is_late: !self.config.places_exactly(class) }))
    }

    /// The first elements of a table.
    fn entries(&self, table: Table, roots: &mut Vec<Val>) {
        let size = table.size(&self.store).min(super::TABLE_ROOTS_MAX as u64);
        roots.extend((0..size).filter_map(|index| table.get(&self.store, index)));
    }

    /// What no export shows, by inspection; references in it become roots.
    fn private(&mut self, exports: &[(String, Extern)], roots: &mut Vec<Val>) -> Result<Private, Refusal> {
        let mut private = Private::default();
        for index in 0..self.instances.len() {
            let instance = self.instances[index].1;
            let shown = |is: &dyn Fn(&Extern) -> bool| exports.iter().any(|(_, item)| is(item));
            for global in instance.inspect_globals(&self.store) {
                if !shown(&|item| matches!(item, Extern::Global(other) if *other == global)) {
                    let value = global.get(&mut self.store).map_err(broken)?;
                    private.globals.push(observe(&value));
                    roots.push(value);
                }
            }
            for memory in instance.inspect_memories(&self.store) {
                if !shown(&|item| matches!(item, Extern::Memory(other) if *other == memory)) {
                    private.memories.push(Image::of(memory.data(&self.store)));
                }
            }
            for table in instance.inspect_tables(&self.store) {
                if !shown(&|item| matches!(item, Extern::Table(other) if *other == table)) {
                    private.tables.push(table.size(&self.store));
                    self.entries(table, roots);
                }
            }
            let (data, elements) = instance.inspect_segments(&self.store);
            private.empty_data.extend(data);
            private.empty_elements.extend(elements);
        }
        Ok(private)
    }

    /// Exports of every instance with their full names: by name within an instance, as the reference keeps them.
    fn exports(&self) -> Vec<(String, Extern)> {
        let mut all = Vec::new();
        for (module, instance) in &self.instances {
            let mut exports = instance.exports(&self.store);
            exports.sort_by(|left, right| left.0.cmp(&right.0));
            all.extend(exports.into_iter().map(|(name, item)| (format!("{module}.{name}"), item)));
        }
        all
    }
}

fn observe(value: &Val) -> Observed {
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

/// The store's objects, read by [`Graph::explore`].
struct Objects<'a> {
    store: &'a mut Store<HostLog>,
    exports: &'a [(String, Extern)],
}

/// A reference that is not null.
#[derive(Clone)]
enum Object {
    /// Internal or external: the same value is one object from both sides.
    Any(AnyRef),
    Func(Func),
    Exn(ExnRef),
}

impl Objects<'_> {
    fn explore(&mut self, roots: Vec<Val>) -> Result<Graph, Refusal> {
        let roots = roots.into_iter().map(|value| self.found(value)).collect::<Result<_, _>>()?;
        Graph::explore(self, roots)
    }

    fn found(&self, value: Val) -> Result<Found<Object>, Refusal> {
        let any = |reference: AnyRef| {
            Ok(match reference.as_i31(&*self.store).map_err(broken)? {
                Some(number) => Found::I31(number.unsigned()),
                None => Found::Object(Object::Any(reference)),
            })
        };
        Ok(match value {
            Val::I32(value) => Found::Number(Value::I32(value as u32)),
            Val::I64(value) => Found::Number(Value::I64(value as u64)),
            Val::F32(bits) => Found::Number(Value::F32(bits)),
            Val::F64(bits) => Found::Number(Value::F64(bits)),
            Val::V128(bits) => Found::Number(Value::V128(bits)),
            Val::FuncRef(None) | Val::ExternRef(None) | Val::Null(_) => Found::Null,
            Val::FuncRef(Some(func)) => Found::Object(Object::Func(func)),
            Val::ExternRef(Some(reference)) => any(reference.to_any())?,
            Val::AnyRef(reference) => any(reference)?,
            Val::ExnRef(exception) => Found::Object(Object::Exn(exception)),
        })
    }

    /// The name of the first export that `is` holds for; nothing for what is private.
    fn export_name(&self, is: impl Fn(&Extern) -> bool) -> &str {
        self.exports.iter().find(|(_, item)| is(item)).map_or("", |(name, _)| name)
    }

    fn heap_contents(&mut self, object: &AnyRef, parts_max: usize) -> Result<Contents<Object>, Refusal> {
        let store = &*self.store;
        let (mut shape, mut parts) = (String::new(), Vec::new());
        if let Some(object) = object.as_struct(store).map_err(broken)? {
            let ty = object.ty(store).map_err(broken)?;
            shape.push_str("struct");
            ty.fields().iter().for_each(|field| shape.push_str(field_text(*field)));
            if ty.descriptor().is_some() {
                let descriptor = object.descriptor(store).map_err(broken)?;
                parts.push(descriptor.map_or(Found::Null, |object| Found::Object(Object::Any(object.to_any()))));
            }
            for index in 0..ty.fields().len() as u32 {
                parts.push(self.found(object.get(store, index).map_err(broken)?)?);
            }
        } else if let Some(object) = object.as_array(store).map_err(broken)? {
            let element = object.ty(store).map_err(broken)?.element();
            let length = object.len(store).map_err(broken)?;
            shape = format!("array of {length}{}", field_text(element));
            for index in 0..length.min(parts_max as u32) {
                parts.push(self.found(object.get(store, index).map_err(broken)?)?);
            }
        } else {
            shape.push_str("host value");
        }
        Ok(Contents { shape, ty: self.bucket(&Object::Any(object.clone()))?, parts })
    }
}

impl Heap for Objects<'_> {
    type Object = Object;

    fn bucket(&self, object: &Object) -> Result<u64, Refusal> {
        let Object::Any(object) = object else { return Ok(super::OTHER_TYPE) };
        let heap = object.heap_type(&*self.store).map_err(broken)?;
        Ok(heap.concrete().map_or(super::OTHER_TYPE, |index| u64::from(index.0)))
    }

    fn same(&self, left: &Object, right: &Object) -> bool {
        match (left, right) {
            (Object::Any(left), Object::Any(right)) => left == right,
            (Object::Func(left), Object::Func(right)) => left == right,
            (Object::Exn(left), Object::Exn(right)) => left == right,
            _ => false,
        }
    }

    fn contents(&mut self, object: &Object, parts_max: usize) -> Result<Contents<Object>, Refusal> {
        match object {
            Object::Any(object) => self.heap_contents(object, parts_max),
            Object::Func(func) => {
                let name = self.export_name(|item| matches!(item, Extern::Func(other) if other == func));
                Ok(Contents { shape: format!("func {name}"), ty: super::OTHER_TYPE, parts: Vec::new() })
            }
            Object::Exn(exception) => {
                let tag = exception.tag(&mut *self.store).map_err(broken)?;
                let payload = exception.payload(&mut *self.store).map_err(broken)?;
                let parts = payload.into_iter().map(|value| self.found(value)).collect::<Result<_, _>>()?;
                let name = self.export_name(|item| matches!(item, Extern::Tag(other) if *other == tag));
                let shape = format!("exception {name}");
                // Tags have no number to tell types by: their names do, and their payloads.
                Ok(Contents { shape, ty: super::OTHER_TYPE + 1, parts })
            }
        }
    }
}

fn field_text(field: FieldType) -> &'static str {
    use {StorageType as S, ValType as V};
    let texts = match field.storage {
        S::I8 => [" i8", " mut-i8"],
        S::I16 => [" i16", " mut-i16"],
        S::Val(V::I32) => [" i32", " mut-i32"],
        S::Val(V::I64) => [" i64", " mut-i64"],
        S::Val(V::F32) => [" f32", " mut-f32"],
        S::Val(V::F64) => [" f64", " mut-f64"],
        S::Val(V::V128) => [" v128", " mut-v128"],
        S::Val(V::Ref(_)) => [" ref", " mut-ref"],
    };
    texts[usize::from(field.mutable)]
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
