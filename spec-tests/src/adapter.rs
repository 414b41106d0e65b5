//! Wattest put through the suites.
//!
//! One row per configuration; an engine per configuration and feature set, made once.
//!
//! Invariant: traps are classified by the wording of the runtime's own trap table, so that no second table maps them.
//!
//! Does not know: scripts.

use crate::engine::{Forked, MissingImport};
use crate::spectest::{self, Item, NumType};
use crate::{
    ComponentValue, Failure, FeatureSet, Heap, InstanceId, ModuleId, RefKind, Session, TrapClass, Value, WastEngine,
};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use wattest::component::{self, Component};
use wattest::{
    AnyRef, CompileError, ComponentError, Config, Engine, Error, Extern, ExternRef, Feature, Features, FuncType,
    Global, GlobalType, HeapType, Instance, InstantiateError, Linker, Memory, MemoryType, Module, RefType,
    SharedMemory, Store, Table, TableType, Val, ValType,
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

/// The configuration that a script's header asks for; the default one without it.
pub fn configuration_of(script: &str) -> &'static Configuration {
    header_of(script).unwrap_or(&CONFIGURATIONS[0])
}

/// The configuration that a script's header asks for, a line `;; options: KEY=VALUE … [round-trip]` before anything else, if
/// it has one. Regressions that show only in one configuration say so: whoever runs scripts runs them in that one. A word
/// that is no option is one that no engine has, so that such a script fails.
pub fn header_of(script: &str) -> Option<&'static Configuration> {
    let header = script.lines().take_while(|line| line.starts_with(";;"));
    let words = header.filter_map(|line| line.strip_prefix(";; options:")).next()?;
    let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let mut configuration = Configuration { name: leak(words.trim()), options: &[], round_trip: false };
    let mut options = Vec::new();
    for word in words.split_whitespace() {
        match word.split_once('=') {
            Some((key, value)) => options.push((leak(key), leak(value))),
            None if word == "round-trip" => configuration.round_trip = true,
            None => options.push((leak(word), "")),
        }
    }
    configuration.options = Vec::leak(options);
    // Scripts are few, and live as long as the process: nothing is lost by leaking their headers.
    Some(Box::leak(Box::new(configuration)))
}

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
        let fuel = self.row.options.contains(&("fuel", "true"));
        let session = WattestSession::new(engine, self.row.round_trip, features.contains("threads"), fuel)?;
        Ok(Box::new(session))
    }
}

/// Epochs that never come.
const ENDLESS: u64 = 1 << 40;

/// Fuel that no script needs that ends: less than a second of it.
const FUEL: u64 = 1 << 29;

/// What instances of a session export.
#[derive(Clone)]
enum Exports {
    Instance(Instance),
    /// An instance of a component.
    Component(component::Instance),
    /// Things of another session.
    Shared(Vec<(String, SharedMemory)>),
}

/// What was compiled.
#[derive(Clone)]
enum Compiled {
    Module(Module),
    Component(Component),
}

struct WattestSession {
    engine: Engine,
    store: Store<()>,
    linker: Linker<()>,
    components: component::Linker<()>,
    round_trip: bool,
    threads: bool,
    /// Whether code counts fuel.
    fuel: bool,
    modules: Vec<Compiled>,
    instances: Vec<Exports>,
    /// The host values `ref.extern n` by `n`: equal numbers must be equal references.
    host_values: BTreeMap<u32, ExternRef>,
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Broken(error.to_string())
}

impl WattestSession {
    fn new(engine: Engine, round_trip: bool, threads: bool, fuel: bool) -> Result<WattestSession, Failure> {
        let mut linker = Linker::new(&engine);
        linker.allow_shadowing(true);
        let mut components = component::Linker::new(&engine);
        components.allow_shadowing(true);
        let mut session = WattestSession {
            store: Store::new(&engine, ()),
            linker,
            components,
            engine,
            round_trip,
            threads,
            fuel,
            modules: Vec::new(),
            instances: Vec::new(),
            host_values: BTreeMap::new(),
        };
        // Scripts end by themselves, in each of their threads; a header may still ask for code that counts.
        session.store.set_epoch_deadline(ENDLESS);
        if fuel {
            session.store.set_fuel(FUEL).map_err(broken)?;
        }
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
            Some(Exports::Component(_)) | None => None,
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

/// A value of a script for a component function.
fn lower_component(value: &ComponentValue) -> Result<component::Val, Failure> {
    use component::Val;
    let boxed = |value: &Option<Box<ComponentValue>>| {
        value.as_ref().map(|value| lower_component(value).map(Box::new)).transpose()
    };
    let all = |values: &[ComponentValue]| values.iter().map(lower_component).collect::<Result<Vec<_>, _>>();
    Ok(match value {
        ComponentValue::Bool(value) => Val::Bool(*value),
        ComponentValue::U8(value) => Val::U8(*value),
        ComponentValue::S8(value) => Val::S8(*value),
        ComponentValue::U16(value) => Val::U16(*value),
        ComponentValue::S16(value) => Val::S16(*value),
        ComponentValue::U32(value) => Val::U32(*value),
        ComponentValue::S32(value) => Val::S32(*value),
        ComponentValue::U64(value) => Val::U64(*value),
        ComponentValue::S64(value) => Val::S64(*value),
        ComponentValue::F32(bits) => Val::Float32(f32::from_bits(*bits)),
        ComponentValue::F64(bits) => Val::Float64(f64::from_bits(*bits)),
        ComponentValue::Char(value) => Val::Char(*value),
        ComponentValue::String(value) => Val::String(value.clone()),
        ComponentValue::List(values) => Val::List(all(values)?),
        ComponentValue::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| Ok((lower_component(key)?, lower_component(value)?)));
            Val::Map(pairs.collect::<Result<_, _>>()?)
        }
        ComponentValue::Record(fields) => {
            let fields = fields.iter().map(|(name, value)| Ok((name.clone(), lower_component(value)?)));
            Val::Record(fields.collect::<Result<_, _>>()?)
        }
        ComponentValue::Tuple(values) => Val::Tuple(all(values)?),
        ComponentValue::Variant(name, value) => Val::Variant(name.clone(), boxed(value)?),
        ComponentValue::Enum(name) => Val::Enum(name.clone()),
        ComponentValue::Option(value) => Val::Option(boxed(value)?),
        ComponentValue::Result(Ok(value)) => Val::Result(Ok(boxed(value)?)),
        ComponentValue::Result(Err(value)) => Val::Result(Err(boxed(value)?)),
        ComponentValue::Flags(names) => Val::Flags(names.clone()),
        ComponentValue::Resource => return Err(broken("no script makes a handle")),
    })
}

/// The neutral form of a component function's result.
fn lift_component(value: component::Val) -> ComponentValue {
    use component::Val;
    let boxed = |value: Option<Box<Val>>| value.map(|value| Box::new(lift_component(*value)));
    let all = |values: Vec<Val>| values.into_iter().map(lift_component).collect();
    match value {
        Val::Bool(value) => ComponentValue::Bool(value),
        Val::U8(value) => ComponentValue::U8(value),
        Val::S8(value) => ComponentValue::S8(value),
        Val::U16(value) => ComponentValue::U16(value),
        Val::S16(value) => ComponentValue::S16(value),
        Val::U32(value) => ComponentValue::U32(value),
        Val::S32(value) => ComponentValue::S32(value),
        Val::U64(value) => ComponentValue::U64(value),
        Val::S64(value) => ComponentValue::S64(value),
        Val::Float32(value) => ComponentValue::f32(value.to_bits()),
        Val::Float64(value) => ComponentValue::f64(value.to_bits()),
        Val::Char(value) => ComponentValue::Char(value),
        Val::String(value) => ComponentValue::String(value),
        Val::List(values) => ComponentValue::List(all(values)),
        Val::Map(pairs) => {
            let pairs = pairs.into_iter().map(|(key, value)| (lift_component(key), lift_component(value)));
            ComponentValue::Map(pairs.collect())
        }
        Val::Record(fields) => {
            ComponentValue::Record(fields.into_iter().map(|(name, value)| (name, lift_component(value))).collect())
        }
        Val::Tuple(values) => ComponentValue::Tuple(all(values)),
        Val::Variant(name, value) => ComponentValue::Variant(name, boxed(value)),
        Val::Enum(name) => ComponentValue::Enum(name),
        Val::Option(value) => ComponentValue::Option(boxed(value)),
        Val::Result(value) => ComponentValue::Result(value.map(boxed).map_err(boxed)),
        Val::Flags(names) => ComponentValue::flags(names),
        _ => ComponentValue::Resource,
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
        CompileError::Component(ComponentError::Unsupported(what)) => Failure::Unsupported(what),
        CompileError::Component(ComponentError::Limit(error)) => Failure::Limit(error.to_string()),
        CompileError::Component(ComponentError::Rejected(what)) => broken(what),
        CompileError::Component(error) => Failure::Invalid(error.to_string()),
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
        InstantiateError::Component(error) => Failure::Unlinkable { text: error.to_string(), missing: Vec::new() },
        InstantiateError::Start(error) => failure(error),
        InstantiateError::Limit(text) => Failure::Limit(text),
        other => broken(other),
    }
}

impl Session for WattestSession {
    fn compile(&mut self, binary: &[u8]) -> Result<ModuleId, Failure> {
        let compiled = if Component::is_component(binary) {
            let mut component = Component::from_binary(&self.engine, binary).map_err(compile_failure)?;
            if self.round_trip {
                component = component.reload().map_err(broken)?;
            }
            Compiled::Component(component)
        } else {
            let mut module = Module::from_binary(&self.engine, binary).map_err(compile_failure)?;
            if self.round_trip {
                module = module.reload().map_err(broken)?;
            }
            Compiled::Module(module)
        };
        self.modules.push(compiled);
        Ok(ModuleId(self.modules.len() as u32 - 1))
    }

    fn check_custom(&mut self, binary: &[u8]) -> Result<(), Failure> {
        Module::validate_custom_sections(&self.engine, binary).map_err(compile_failure)
    }

    fn instantiate(&mut self, module: ModuleId) -> Result<InstanceId, Failure> {
        let module = self.modules.get(module.0 as usize).ok_or_else(|| broken("no such module"))?;
        let exports = match module {
            Compiled::Module(module) => {
                Exports::Instance(self.linker.instantiate(&mut self.store, module).map_err(link_failure)?)
            }
            Compiled::Component(component) => {
                let instance = self.components.instantiate(&mut self.store, component).map_err(link_failure)?;
                Exports::Component(instance)
            }
        };
        self.instances.push(exports);
        Ok(InstanceId(self.instances.len() as u32 - 1))
    }

    fn register(&mut self, name: &str, instance: InstanceId) -> Result<(), Failure> {
        match self.instances.get(instance.0 as usize).cloned() {
            Some(Exports::Instance(instance)) => {
                self.linker.instance(&mut self.store, name, instance).map_err(broken)?;
            }
            Some(Exports::Component(instance)) => {
                let mut names = self.components.instance(name).map_err(broken)?;
                names.exports(&mut self.store, &instance).map_err(broken)?;
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

    fn takes_components(&self) -> bool {
        true
    }

    fn is_component(&self, instance: InstanceId) -> bool {
        matches!(self.instances.get(instance.0 as usize), Some(Exports::Component(_)))
    }

    fn invoke_component(
        &mut self,
        instance: InstanceId,
        export: &str,
        args: &[ComponentValue],
    ) -> Result<Option<ComponentValue>, Failure> {
        let Some(Exports::Component(instance)) = self.instances.get(instance.0 as usize).cloned() else {
            return Err(broken("not an instance of a component"));
        };
        let function = instance.get_func(&mut self.store, export);
        let function = function.ok_or_else(|| broken(format!("no component function `{export}`")))?;
        let args = args.iter().map(lower_component).collect::<Result<Vec<_>, _>>()?;
        let mut results = vec![component::Val::Bool(false); usize::from(function.ty().result().is_some())];
        function.call(&mut self.store, &args, &mut results).map_err(failure)?;
        Ok(results.pop().map(lift_component))
    }

    fn get(&mut self, instance: InstanceId, export: &str) -> Result<Value, Failure> {
        let global = self.export(instance, export)?.into_global().ok_or_else(|| broken("not a global"))?;
        let value = global.get(&self.store).map_err(failure)?;
        Ok(self.lift(&value))
    }

    fn fork(&mut self, shared: Option<InstanceId>) -> Result<Forked, Failure> {
        let mut session = WattestSession::new(self.engine.clone(), self.round_trip, self.threads, self.fuel)?;
        let items = match shared.map(|id| self.instances.get(id.0 as usize)) {
            None => None,
            Some(None) => return Err(broken("no such instance")),
            Some(Some(Exports::Shared(items))) => Some(items.clone()),
            Some(Some(Exports::Component(_))) => return Err(broken("a component's instance is not shared")),
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
        let without = [TrapCode::HostError];
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
