//! Wattest put through the suites.
//!
//! One row per configuration; an engine per configuration and feature set, made once.
//!
//! Invariant: traps are classified by the wording of the runtime's own trap table, so that no second table maps them.
//!
//! Does not know: scripts.

use crate::engine::{Forked, MissingImport};
use crate::spectest::{self, Item, NumType};
use crate::{Failure, FeatureSet, Heap, InstanceId, ModuleId, RefKind, Session, TrapClass, Value, WastEngine};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use wattest::{
    AnyRef, CompileError, Config, Engine, Error, Extern, ExternRef, Feature, Features, FuncType, Global, GlobalType,
    HeapType, Instance, InstantiateError, Linker, Memory, MemoryType, Module, RefType, SharedMemory, Store, Table,
    TableType, Val, ValType,
};

/// How the runtime is set up.
#[derive(Debug)]
pub struct Configuration {
    /// The name in trial names and reports.
    pub name: &'static str,
    /// Options by key.
    pub options: &'static [(&'static str, &'static str)],
    /// Whether modules are serialized and loaded again before they are used.
    pub round_trip: bool,
}

/// Every configuration that the suites run in; the first is the default one.
pub const CONFIGURATIONS: &[Configuration] = &[
    Configuration { name: "optimized", options: &[("opt-level", "speed")], round_trip: false },
    Configuration { name: "unoptimized", options: &[("opt-level", "none")], round_trip: false },
    Configuration {
        name: "explicit",
        options: &[("explicit-bounds", "true"), ("signals-based-traps", "false")],
        round_trip: false,
    },
    Configuration { name: "round-trip", options: &[], round_trip: true },
    Configuration { name: "gc-stress", options: &[("gc-stress", "true")], round_trip: false },
    Configuration { name: "pooling", options: &[("allocation", "pooling")], round_trip: false },
];

/// Wattest in one configuration.
pub struct WattestEngine {
    row: &'static Configuration,
    engines: Mutex<BTreeMap<FeatureSet, Engine>>,
}

impl WattestEngine {
    /// The runtime set up as `row` says.
    pub fn new(row: &'static Configuration) -> WattestEngine {
        WattestEngine { row, engines: Mutex::new(BTreeMap::new()) }
    }

    /// One engine per configuration, in table order.
    pub fn all() -> Vec<WattestEngine> {
        CONFIGURATIONS.iter().map(WattestEngine::new).collect()
    }

    /// The features of everything that the runtime implements.
    pub fn everything() -> FeatureSet {
        Features::all_implemented().iter().map(Feature::name).collect()
    }

    fn engine(&self, features: &FeatureSet) -> Result<Engine, Failure> {
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = engines.get(features) {
            return Ok(engine.clone());
        }
        let mut config = Config::new();
        for (key, value) in self.row.options {
            config.set(key, value).map_err(|error| Failure::Unsupported(error.to_string()))?;
        }
        let wanted = |feature: &Feature| features.contains(feature.name()) && feature.is_implemented();
        config.features(Feature::ALL.iter().copied().filter(wanted).fold(Features::MVP, Features::with));
        let engine = Engine::new(&config).map_err(|error| Failure::Unsupported(error.to_string()))?;
        engines.insert(features.clone(), engine.clone());
        Ok(engine)
    }
}

impl WastEngine for WattestEngine {
    fn name(&self) -> &str {
        self.row.name
    }

    fn session(&self, features: &FeatureSet) -> Result<Box<dyn Session>, Failure> {
        let engine = self.engine(features)?;
        Ok(Box::new(WattestSession::new(engine, self.row.round_trip, features.contains("threads"))?))
    }
}

/// What instances of a session export.
#[derive(Clone)]
enum Exports {
    Instance(Instance),
    /// Things of another session.
    Shared(Vec<(String, SharedMemory)>),
}

struct WattestSession {
    engine: Engine,
    store: Store<()>,
    linker: Linker<()>,
    round_trip: bool,
    threads: bool,
    modules: Vec<Module>,
    instances: Vec<Exports>,
    /// The host values `ref.extern n` by `n`: equal numbers must be equal references.
    host_values: BTreeMap<u32, ExternRef>,
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Broken(error.to_string())
}

impl WattestSession {
    fn new(engine: Engine, round_trip: bool, threads: bool) -> Result<WattestSession, Failure> {
        let mut linker = Linker::new(&engine);
        linker.allow_shadowing(true);
        let mut session = WattestSession {
            store: Store::new(&engine, ()),
            linker,
            engine,
            round_trip,
            threads,
            modules: Vec::new(),
            instances: Vec::new(),
            host_values: BTreeMap::new(),
        };
        for (name, item) in spectest::ITEMS {
            session.define_spectest(name, item)?;
        }
        Ok(session)
    }

    fn define_spectest(&mut self, name: &str, item: &Item) -> Result<(), Failure> {
        let shared_memory = matches!(item, Item::Memory(true));
        if shared_memory && !self.threads {
            return Ok(());
        }
        let item: Extern = match *item {
            Item::Print(params) => {
                let ty = FuncType::new(params.iter().map(num_type), []);
                self.linker.func_new(spectest::NAME, name, ty, |_, _, _| Ok(())).map_err(broken)?;
                return Ok(());
            }
            Item::Global(value) => {
                let (content, value) = match value {
                    Value::I32(value) => (ValType::I32, Val::I32(value)),
                    Value::I64(value) => (ValType::I64, Val::I64(value)),
                    Value::F32(bits) => (ValType::F32, Val::F32(bits)),
                    Value::F64(bits) => (ValType::F64, Val::F64(bits)),
                    other => return Err(broken(format!("no spectest global holds {other}"))),
                };
                let ty = GlobalType { content, mutable: false };
                Global::new(&mut self.store, ty, value).map_err(broken)?.into()
            }
            Item::Table(table64) => {
                let (minimum, maximum) = spectest::TABLE_ENTRIES;
                let ty = TableType { element: RefType::FUNC, table64, minimum, maximum: Some(maximum) };
                Table::new(&mut self.store, ty, Val::FuncRef(None)).map_err(broken)?.into()
            }
            Item::Memory(shared) => {
                let (minimum, maximum) = spectest::MEMORY_PAGES;
                let maximum = Some(maximum);
                let ty = MemoryType { memory64: false, shared, minimum, maximum, page_bytes_log2: 16 };
                match shared {
                    true => SharedMemory::new(&self.engine, ty).map_err(broken)?.into(),
                    false => Memory::new(&mut self.store, ty).map_err(broken)?.into(),
                }
            }
        };
        self.linker.define(&self.store, spectest::NAME, name, item).map_err(broken)?;
        Ok(())
    }

    fn export(&mut self, instance: InstanceId, name: &str) -> Result<Extern, Failure> {
        let found = match self.instances.get(instance.0 as usize) {
            Some(Exports::Instance(instance)) => instance.get_export(&self.store, name),
            Some(Exports::Shared(items)) => {
                items.iter().find(|(item, _)| item == name).map(|(_, memory)| memory.clone().into())
            }
            None => None,
        };
        found.ok_or_else(|| broken(format!("no export `{name}`")))
    }

    fn lower(&mut self, value: &Value) -> Result<Val, Failure> {
        Ok(match *value {
            Value::I32(value) => Val::I32(value),
            Value::I64(value) => Val::I64(value),
            Value::F32(bits) => Val::F32(bits),
            Value::F64(bits) => Val::F64(bits),
            Value::V128(bits) => Val::V128(bits),
            Value::Null(Heap::Func) => Val::FuncRef(None),
            Value::Null(Heap::Extern) => Val::ExternRef(None),
            Value::Null(Heap::Any) => Val::Null(HeapType::Any),
            Value::Null(Heap::Exn) => Val::Null(HeapType::Exn),
            Value::Extern(number) => Val::ExternRef(Some(self.host_value(number)?)),
            Value::Host(number) => Val::AnyRef(self.host_value(number)?.to_any()),
            Value::Ref(kind) => return Err(broken(format!("no script makes a reference to {kind:?}"))),
        })
    }

    fn host_value(&mut self, number: u32) -> Result<ExternRef, Failure> {
        if let Some(value) = self.host_values.get(&number) {
            return Ok(value.clone());
        }
        let value = ExternRef::new(&mut self.store, number).map_err(failure)?;
        self.host_values.insert(number, value.clone());
        Ok(value)
    }

    fn lift(&self, value: &Val) -> Value {
        match value {
            Val::I32(value) => Value::I32(*value),
            Val::I64(value) => Value::I64(*value),
            Val::F32(bits) => Value::F32(*bits),
            Val::F64(bits) => Value::F64(*bits),
            Val::V128(bits) => Value::V128(*bits),
            Val::FuncRef(None) => Value::Null(Heap::Func),
            Val::FuncRef(Some(_)) => Value::Ref(RefKind::Func),
            Val::ExternRef(None) => Value::Null(Heap::Extern),
            Val::ExternRef(Some(value)) => {
                let number = value.data(&self.store).and_then(|data| data.downcast_ref::<u32>());
                number.map_or(Value::Ref(RefKind::Extern), |number| Value::Extern(*number))
            }
            Val::AnyRef(value) => self.lift_internal(value),
            Val::ExnRef(_) => Value::Ref(RefKind::Exn),
            Val::Null(heap) => Value::Null(hierarchy(*heap)),
        }
    }
}

impl WattestSession {
    fn lift_internal(&self, value: &AnyRef) -> Value {
        let external = value.to_extern();
        let number = external.data(&self.store).and_then(|data| data.downcast_ref::<u32>());
        if let Some(number) = number {
            return Value::Host(*number);
        }
        let is = |found: Result<bool, Error>| found.is_ok_and(|found| found);
        Value::Ref(if is(value.as_i31(&self.store).map(|found| found.is_some())) {
            RefKind::I31
        } else if is(value.as_struct(&self.store).map(|found| found.is_some())) {
            RefKind::Struct
        } else if is(value.as_array(&self.store).map(|found| found.is_some())) {
            RefKind::Array
        } else {
            RefKind::Any
        })
    }
}

fn num_type(ty: &NumType) -> ValType {
    match ty {
        NumType::I32 => ValType::I32,
        NumType::I64 => ValType::I64,
        NumType::F32 => ValType::F32,
        NumType::F64 => ValType::F64,
    }
}

fn hierarchy(heap: HeapType) -> Heap {
    match heap {
        HeapType::Func | HeapType::NoFunc => Heap::Func,
        HeapType::Extern | HeapType::NoExtern => Heap::Extern,
        HeapType::Exn | HeapType::NoExn => Heap::Exn,
        _ => Heap::Any,
    }
}

/// The neutral form of an error.
fn failure(error: Error) -> Failure {
    match &error {
        Error::Trap(trap) => match TrapClass::from_text(trap.code().text()) {
            Some(class) => Failure::Trap(class),
            None => broken(format!("trap without a class: {}", trap.code().text())),
        },
        Error::Exception(_) => Failure::Exception,
        Error::Limit(text) => Failure::Limit(text.clone()),
        other => broken(other),
    }
}

/// The neutral form of a compile error: only what the decoder refused says something about the module.
fn compile_failure(error: CompileError) -> Failure {
    match error {
        CompileError::Decode(error) => Failure::Invalid(error.to_string()),
        CompileError::Memory(text) => Failure::Limit(text),
        other => broken(other),
    }
}

fn link_failure(error: InstantiateError) -> Failure {
    match error {
        InstantiateError::Link(error) => {
            let import =
                |row: &wattest::MissingImport| MissingImport { module: row.module.clone(), name: row.name.clone() };
            let missing = error.missing.iter().map(import).collect();
            Failure::Unlinkable { text: error.to_string(), missing }
        }
        InstantiateError::Start(error) => failure(error),
        InstantiateError::Limit(text) => Failure::Limit(text),
        other => broken(other),
    }
}

impl Session for WattestSession {
    fn compile(&mut self, binary: &[u8]) -> Result<ModuleId, Failure> {
        let mut module = Module::from_binary(&self.engine, binary).map_err(compile_failure)?;
        if self.round_trip {
            module = module.reload().map_err(broken)?;
        }
        self.modules.push(module);
        Ok(ModuleId(self.modules.len() as u32 - 1))
    }

    fn check_custom(&mut self, binary: &[u8]) -> Result<(), Failure> {
        Module::validate_custom_sections(&self.engine, binary).map_err(compile_failure)
    }

    fn instantiate(&mut self, module: ModuleId) -> Result<InstanceId, Failure> {
        let module = self.modules.get(module.0 as usize).ok_or_else(|| broken("no such module"))?;
        let instance = self.linker.instantiate(&mut self.store, module).map_err(link_failure)?;
        self.instances.push(Exports::Instance(instance));
        Ok(InstanceId(self.instances.len() as u32 - 1))
    }

    fn register(&mut self, name: &str, instance: InstanceId) -> Result<(), Failure> {
        match self.instances.get(instance.0 as usize).cloned() {
            Some(Exports::Instance(instance)) => {
                self.linker.instance(&mut self.store, name, instance).map_err(broken)?;
            }
            Some(Exports::Shared(items)) => {
                for (item, memory) in items {
                    self.linker.define(&self.store, name, &item, memory).map_err(broken)?;
                }
            }
            None => return Err(broken("no such instance")),
        }
        Ok(())
    }

    fn invoke(&mut self, instance: InstanceId, export: &str, args: &[Value]) -> Result<Vec<Value>, Failure> {
        let export = self.export(instance, export)?;
        let function = export.into_func().ok_or_else(|| broken("not a function"))?;
        let args = args.iter().map(|value| self.lower(value)).collect::<Result<Vec<_>, _>>()?;
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, &args, &mut results).map_err(failure)?;
        Ok(results.iter().map(|value| self.lift(value)).collect())
    }

    fn get(&mut self, instance: InstanceId, export: &str) -> Result<Value, Failure> {
        let global = self.export(instance, export)?.into_global().ok_or_else(|| broken("not a global"))?;
        let value = global.get(&self.store).map_err(failure)?;
        Ok(self.lift(&value))
    }

    fn fork(&mut self, shared: Option<InstanceId>) -> Result<Forked, Failure> {
        let mut session = WattestSession::new(self.engine.clone(), self.round_trip, self.threads)?;
        let items = match shared.map(|id| self.instances.get(id.0 as usize)) {
            None => None,
            Some(None) => return Err(broken("no such instance")),
            Some(Some(Exports::Shared(items))) => Some(items.clone()),
            Some(Some(Exports::Instance(instance))) => {
                let memory = |(name, item)| match item {
                    Extern::SharedMemory(memory) => Some((name, memory)),
                    _ => None,
                };
                Some(instance.exports(&self.store).into_iter().filter_map(memory).collect())
            }
        };
        let instance = items.map(|items| {
            session.instances.push(Exports::Shared(items));
            InstanceId(0)
        });
        Ok(Forked { session: Box::new(session), shared: instance })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_of_a_suite_folder_is_known() {
        // Components are no core feature.
        let foreign = ["component-model"];
        for file in ["spec/x", "spec/legacy/x", "spec/proposals/custom-descriptors/x", "own/x", "component-model/x"] {
            for name in FeatureSet::of_file(file).unwrap().iter() {
                assert!(foreign.contains(&name) || name.parse::<Feature>().is_ok(), "{file}: {name}");
            }
        }
    }

    #[test]
    fn every_trap_code_but_those_without_a_script_wording_has_a_class() {
        use wattest::TrapCode;
        let without = [TrapCode::UncaughtException, TrapCode::HostError];
        for code in TrapCode::ALL {
            assert_eq!(TrapClass::from_text(code.text()).is_none(), without.contains(code), "{}", code.text());
        }
    }

    #[test]
    fn configurations_are_accepted_and_differ() {
        let engines: Vec<_> = WattestEngine::all();
        let settings = |engine: &WattestEngine| {
            let made = engine.engine(&WattestEngine::everything()).unwrap();
            let options = Config::options().iter().map(|row| made.config().get(row.key));
            (engine.row.round_trip, options.collect::<Vec<_>>())
        };
        let first = settings(&engines[0]);
        assert!(engines[1..].iter().all(|engine| settings(engine) != first));
    }
}
