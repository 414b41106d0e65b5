//! The definitional interpreter put through the conformance suites.
//!
//! The second implementation behind the runner of `wattest-spec-tests`
//! ([scripts](https://github.com/WebAssembly/spec/tree/main/interpreter#scripts)): what both pass, two independent readings
//! of the specification agree on.
//!
//! Core modules go to the interpreter, components to the component evaluator, both in one session.
//!
//! Invariant: traps are classified by the wording of the reference's own trap table; its own limits and its refusal of
//! what it does not define are never taken for what a script expects.
//!
//! Does not know: scripts; other threads (the interpreter has one).

mod components;

pub use components::wordings;

use crate::DefinitionalEngine;
use std::collections::BTreeMap;
use std::sync::Arc;
use wattest_reference as core;
use wattest_reference::component::{Component, Evaluator, NoHost, Root};
use wattest_reference::{Extern, HeapType, Ref, RefType, Store, ValType};
use wattest_spec_tests::spectest::{self, Item, NumType};
use wattest_spec_tests::{
    ComponentValue, Failure, FeatureSet, Heap, InstanceId, MissingImport, ModuleId, RefKind, Session, TrapClass, Value,
    WastEngine,
};

/// What the interpreter is known not to do, for [`wattest_spec_tests::Expectations`].
pub const EXPECTED: &str = include_str!("../../expected.toml");

/// Instructions that one session may take: the longest file needs a tenth.
const FUEL: u64 = 2_000_000_000;

impl WastEngine for DefinitionalEngine {
    fn name(&self) -> &str {
        "reference"
    }

    fn session(&self, features: &FeatureSet) -> Result<Box<dyn Session>, Failure> {
        let all = features.contains("reference-types");
        let features = core::Features {
            threads: features.contains("threads"),
            wide_arithmetic: features.contains("wide-arithmetic"),
            custom_page_sizes: features.contains("custom-page-sizes"),
            custom_descriptors: features.contains("custom-descriptors"),
            multi_memory: features.contains("multi-memory"),
            multi_table: all,
        };
        let mut store = Store::new(core::Budget::default());
        store.set_fuel(FUEL);
        let mut session = ReferenceSession {
            features,
            store,
            evaluator: Evaluator::new(core::component::Limits::default(), Box::new(NoHost)),
            modules: Vec::new(),
            instances: Vec::new(),
            registered: BTreeMap::new(),
            roots: BTreeMap::new(),
        };
        session.define_spectest()?;
        Ok(Box::new(session))
    }
}

type Items = BTreeMap<String, Extern>;

/// What was decoded.
enum Decoded {
    Module(core::Module),
    Component(Component),
}

/// What was instantiated.
enum Made {
    Instance(core::InstanceAddr),
    Root(Root),
}

struct ReferenceSession {
    features: core::Features,
    store: Store,
    evaluator: Evaluator,
    modules: Vec<Decoded>,
    instances: Vec<Made>,
    /// Of core instances.
    registered: BTreeMap<String, Items>,
    /// Instances of components that were registered.
    roots: BTreeMap<String, Root>,
}

fn broken(text: impl ToString) -> Failure {
    Failure::Broken(text.to_string())
}

impl ReferenceSession {
    fn define_spectest(&mut self) -> Result<(), Failure> {
        let mut items = Items::new();
        for (name, item) in spectest::ITEMS {
            if *item == Item::Memory(true) && !self.features.threads {
                continue;
            }
            items.insert((*name).to_owned(), self.item(item)?);
        }
        self.registered.insert(spectest::NAME.to_owned(), items);
        Ok(())
    }

    fn item(&mut self, item: &Item) -> Result<Extern, Failure> {
        Ok(match *item {
            Item::Print(params) => {
                let ty = core::FuncType { params: params.iter().map(num_type).collect(), results: vec![] };
                Extern::Func(self.store.add_func(ty, Arc::new(|_, _| Ok(Vec::new()))))
            }
            Item::Global(value) => {
                let (content, value) = number(&value).ok_or_else(|| broken("no spectest global holds this"))?;
                Extern::Global(self.store.add_global(core::GlobalType { mutable: false, content }, value))
            }
            Item::Table(is64) => {
                let (min, max) = spectest::TABLE_ENTRIES;
                let limits = core::Limits { min, max: Some(max) };
                let ty = core::TableType { is64, limits, element: RefType::null(HeapType::Func) };
                Extern::Table(self.store.add_table(ty, Ref::Null).map_err(failure)?)
            }
            Item::Memory(shared) => {
                let (min, max) = spectest::MEMORY_PAGES;
                let limits = core::Limits { min, max: Some(max) };
                let ty = core::MemoryType { is64: false, shared, limits, page_log2: 16 };
                Extern::Memory(self.store.add_memory(ty).map_err(failure)?)
            }
        })
    }

    fn made(&self, instance: InstanceId) -> Result<&Made, Failure> {
        self.instances.get(instance.0 as usize).ok_or_else(|| broken("no such instance"))
    }

    fn export(&self, instance: InstanceId, name: &str) -> Result<Extern, Failure> {
        let Made::Instance(instance) = self.made(instance)? else { return Err(broken("an instance of a component")) };
        self.store.export(*instance, name).ok_or_else(|| broken(format!("no export `{name}`")))
    }

    fn instantiate_module(&mut self, module: &core::Module) -> Result<core::InstanceAddr, Failure> {
        let mut imports = Vec::new();
        let mut missing = Vec::new();
        for import in module.imports() {
            match self.registered.get(&import.module).and_then(|items| items.get(&import.name)) {
                Some(item) => imports.push(*item),
                None => missing.push(MissingImport { module: import.module.clone(), name: import.name.clone() }),
            }
        }
        if !missing.is_empty() {
            return Err(Failure::Unlinkable { text: "unknown import".to_owned(), missing });
        }
        self.store.instantiate(module, &imports).map_err(failure)
    }

    /// The hierarchy of a reference type: that of the bottom type below it.
    fn hierarchy(&self, ty: RefType) -> Heap {
        const BOTTOMS: [(HeapType, Heap); 3] =
            [(HeapType::NoFunc, Heap::Func), (HeapType::NoExtern, Heap::Extern), (HeapType::NoExn, Heap::Exn)];
        let below = |bottom| {
            let bottom = ValType::Ref(RefType { nullable: false, heap: bottom });
            self.store.types().match_val(bottom, ValType::Ref(ty))
        };
        BOTTOMS.iter().find(|(bottom, _)| below(*bottom)).map_or(Heap::Any, |(_, heap)| *heap)
    }

    fn lift(&self, value: core::Value, ty: ValType) -> Value {
        match (value, ty) {
            (core::Value::I32(bits), _) => Value::I32(bits as i32),
            (core::Value::I64(bits), _) => Value::I64(bits as i64),
            (core::Value::F32(bits), _) => Value::F32(bits),
            (core::Value::F64(bits), _) => Value::F64(bits),
            (core::Value::V128(bits), _) => Value::V128(bits),
            (core::Value::Ref(reference), ValType::Ref(ty)) => self.lift_reference(reference, self.hierarchy(ty)),
            // Validation gives every reference a reference type.
            (core::Value::Ref(_), _) => Value::Ref(RefKind::Any),
        }
    }

    fn lift_reference(&self, reference: Ref, heap: Heap) -> Value {
        match (reference, heap) {
            (Ref::Null, heap) => Value::Null(heap),
            (Ref::Host(number), Heap::Extern) => Value::Extern(number),
            (Ref::Host(number), _) => Value::Host(number),
            (_, Heap::Extern) => Value::Ref(RefKind::Extern),
            (Ref::Func(_), _) => Value::Ref(RefKind::Func),
            (Ref::I31(_), _) => Value::Ref(RefKind::I31),
            (Ref::Struct(_), _) => Value::Ref(RefKind::Struct),
            (Ref::Array(_), _) => Value::Ref(RefKind::Array),
            (Ref::Exn(_), _) => Value::Ref(RefKind::Exn),
        }
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

fn number(value: &Value) -> Option<(ValType, core::Value)> {
    Some(match *value {
        Value::I32(value) => (ValType::I32, core::Value::I32(value as u32)),
        Value::I64(value) => (ValType::I64, core::Value::I64(value as u64)),
        Value::F32(bits) => (ValType::F32, core::Value::F32(bits)),
        Value::F64(bits) => (ValType::F64, core::Value::F64(bits)),
        Value::V128(bits) => (ValType::V128, core::Value::V128(bits)),
        _ => return None,
    })
}

fn lower(value: &Value) -> Result<core::Value, Failure> {
    match *value {
        Value::Null(_) => Ok(core::Value::Ref(Ref::Null)),
        Value::Extern(number) | Value::Host(number) => Ok(core::Value::Ref(Ref::Host(number))),
        Value::Ref(kind) => Err(broken(format!("no script makes a reference to {kind:?}"))),
        ref value => number(value).map(|(_, value)| value).ok_or_else(|| broken("no number")),
    }
}

/// The neutral form of how an execution ended.
fn failure(failure: core::Failure) -> Failure {
    match &failure {
        core::Failure::Trap(trap) => match components::class_of(trap.class) {
            Some(TrapClass::Interrupted) => Failure::Limit("the instructions of a session are used up".to_owned()),
            Some(class) => Failure::Trap(class),
            None => broken(&failure),
        },
        core::Failure::Exception(_) => Failure::Exception,
        core::Failure::Unlinkable(text) => Failure::Unlinkable { text: text.clone(), missing: Vec::new() },
        core::Failure::Limit(text) => Failure::Limit(text.clone()),
        core::Failure::Arguments(_) => broken(&failure),
    }
}

fn refusal(error: core::ModuleError) -> Failure {
    match error {
        core::ModuleError::Malformed { .. } => Failure::Malformed(error.to_string()),
        core::ModuleError::Invalid { .. } => Failure::Invalid(error.to_string()),
        core::ModuleError::Unsupported { text, .. } => Failure::Unsupported(text),
    }
}

impl Session for ReferenceSession {
    fn compile(&mut self, binary: &[u8]) -> Result<ModuleId, Failure> {
        let decoded = match Component::is_component(binary) {
            true => Component::decode(binary).map(Decoded::Component),
            false => core::Module::decode(binary, self.features).map(Decoded::Module),
        };
        self.modules.push(decoded.map_err(refusal)?);
        Ok(ModuleId(self.modules.len() as u32 - 1))
    }

    fn check_custom(&mut self, binary: &[u8]) -> Result<(), Failure> {
        match Component::is_component(binary) {
            true => Component::decode(binary).map(drop).map_err(refusal),
            false => core::Module::check_custom_sections(binary, self.features).map_err(refusal),
        }
    }

    fn instantiate(&mut self, module: ModuleId) -> Result<InstanceId, Failure> {
        let made = match self.modules.get(module.0 as usize) {
            Some(Decoded::Module(module)) => {
                let module = module.clone();
                Made::Instance(self.instantiate_module(&module)?)
            }
            Some(Decoded::Component(component)) => {
                Made::Root(self.evaluator.instantiate_with(component, &self.roots).map_err(failure)?)
            }
            None => return Err(broken("no such module")),
        };
        self.instances.push(made);
        Ok(InstanceId(self.instances.len() as u32 - 1))
    }

    fn register(&mut self, name: &str, instance: InstanceId) -> Result<(), Failure> {
        match self.made(instance)? {
            Made::Instance(instance) => {
                let exports = self.store.instance(*instance).exports.clone();
                self.registered.insert(name.to_owned(), exports);
            }
            Made::Root(root) => {
                let root = root.clone();
                self.roots.insert(name.to_owned(), root);
            }
        }
        Ok(())
    }

    fn invoke(&mut self, instance: InstanceId, export: &str, args: &[Value]) -> Result<Vec<Value>, Failure> {
        let Extern::Func(func) = self.export(instance, export)? else { return Err(broken("not a function")) };
        let args = args.iter().map(lower).collect::<Result<Vec<_>, _>>()?;
        let types = self.store.func_type(func).results;
        let results = self.store.invoke(func, &args).map_err(failure)?;
        Ok(results.into_iter().zip(types).map(|(value, ty)| self.lift(value, ty)).collect())
    }

    fn get(&mut self, instance: InstanceId, export: &str) -> Result<Value, Failure> {
        let Extern::Global(global) = self.export(instance, export)? else { return Err(broken("not a global")) };
        let (ty, value) = self.store.global(global);
        Ok(self.lift(value, ty.content))
    }

    fn takes_components(&self) -> bool {
        true
    }

    fn is_component(&self, instance: InstanceId) -> bool {
        matches!(self.made(instance), Ok(Made::Root(_)))
    }

    fn invoke_component(
        &mut self,
        instance: InstanceId,
        export: &str,
        args: &[ComponentValue],
    ) -> Result<Option<ComponentValue>, Failure> {
        let Made::Root(root) = self.made(instance)? else { return Err(broken("not an instance of a component")) };
        let func = root.func(&[export]).ok_or_else(|| broken(format!("no component function `{export}`")))?;
        components::call(&mut self.evaluator, &func, args)
    }

    fn is_value(&self, actual: &ComponentValue, expected: &ComponentValue) -> bool {
        *actual == components::despecialized(expected)
    }

    fn may_be(&self, actual: TrapClass, expected: TrapClass) -> bool {
        components::may_be(actual, expected)
    }
}

/// Whether the reference is put through the suite of this name: the official ones.
pub fn covers(suite: &str) -> bool {
    matches!(suite, "spec" | "spec-extra" | "component-model")
}
