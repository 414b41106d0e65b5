//! The decoder of components.
//!
//! [The binary grammar](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md) into [`Syntax`], over
//! the byte reader of `wasmparser`. Validity is asked of `wasmparser`'s validator too: this crate has rules of its own only
//! for core modules, which [`Module::decode`] checks once more, and for the size of values
//! ([`elem_size`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#element-size)).
//!
//! Invariant: iterative: nesting of the binary is a stack of this file.
//!
//! Does not know: what definitions mean.

use super::sizes::Sizes;
use super::syntax::{
    Alias, Canon, CoreModule, CoreSort, Decl, Def, Desc, Options, OuterSort, Sort, Syntax, TypeDef, TypeUse, ValueDef,
};
use super::value::Encoding;
use crate::error::ModuleError;
use crate::module::{Features, Module};
use crate::types::ValType;
use std::sync::Arc;
use wasmparser as w;
use wasmparser::{Payload, WasmFeatures};

/// A component whose definitions are known and valid.
#[derive(Clone, Debug)]
pub struct Component(pub(crate) Arc<Syntax>);

fn features() -> WasmFeatures {
    WasmFeatures::default()
        | WasmFeatures::CM_ASYNC
        | WasmFeatures::CM_ASYNC_STACKFUL
        | WasmFeatures::CM_MORE_ASYNC_BUILTINS
        | WasmFeatures::CM_THREADING
        | WasmFeatures::CM_ERROR_CONTEXT
        | WasmFeatures::CM_FIXED_LENGTH_LISTS
        | WasmFeatures::CM_MAP
        | WasmFeatures::CM_IMPLEMENTS
        | WasmFeatures::CM64
}

/// Components nest no deeper: what they become is taken apart by recursion.
const DEPTH_MAX: usize = 100;

impl Component {
    /// Whether bytes begin as those of a component do, where a core module's would say layer 0.
    #[must_use]
    pub fn is_component(bytes: &[u8]) -> bool {
        matches!(bytes, [0, b'a', b's', b'm', _, _, 1, 0, ..])
    }

    /// Decodes and validates.
    ///
    /// # Errors
    /// When the bytes are not a valid component, or use something that this crate does not define.
    pub fn decode(bytes: &[u8]) -> Result<Component, ModuleError> {
        let mut validator = w::Validator::new_with_features(features());
        validator.validate_all(bytes).map_err(|error| ModuleError::invalid(error.offset(), error.message()))?;
        let mut decoder =
            Decoder { bytes, stack: Vec::new(), sizes: Sizes::default(), modules: 0, skipped: 0, done: None };
        decoder.enter();
        for payload in w::Parser::new(0).parse_all(bytes) {
            decoder.payload(payload?)?;
        }
        let syntax = decoder.done.ok_or_else(|| ModuleError::malformed(bytes.len(), "not a component"))?;
        Ok(Component(syntax))
    }
}

struct Decoder<'a> {
    bytes: &'a [u8],
    stack: Vec<Syntax>,
    sizes: Sizes,
    modules: u32,
    /// Core modules, whose payloads are not this decoder's, that are open.
    skipped: u32,
    done: Option<Arc<Syntax>>,
}

impl Decoder<'_> {
    fn payload(&mut self, payload: Payload<'_>) -> Result<(), ModuleError> {
        if self.skipped > 0 {
            self.skipped -= u32::from(matches!(payload, Payload::End(_)));
            return Ok(());
        }
        match payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                self.skipped = 1;
                let def = self.core_module(&self.bytes[unchecked_range])?;
                self.push(def, 0)
            }
            Payload::ComponentSection { .. } => {
                if self.stack.len() >= DEPTH_MAX {
                    return Err(ModuleError::unsupported(0, "components nested too deeply"));
                }
                self.enter();
                Ok(())
            }
            Payload::End(_) => self.end(),
            Payload::InstanceSection(section) => self.section(section, |instance| Ok(core_instance(instance))),
            Payload::CoreTypeSection(section) => self.section(section, |ty| Ok(repeat_core_type(&ty))),
            Payload::ComponentInstanceSection(section) => {
                self.section(section, |item| Ok(vec![component_instance(item)]))
            }
            Payload::ComponentAliasSection(section) => self.section(section, |item| Ok(vec![Def::Alias(alias(item))])),
            Payload::ComponentTypeSection(section) => {
                self.section(section, |item| Ok(vec![Def::Type(Arc::new(type_def(item)))]))
            }
            Payload::ComponentCanonicalSection(section) => {
                self.section(section, |item| Ok(vec![Def::Canon(canon(item))]))
            }
            Payload::ComponentImportSection(section) => {
                self.section(section, |item| Ok(vec![Def::Import(item.name.name.to_owned(), desc(item.ty))]))
            }
            Payload::ComponentExportSection(section) => self
                .section(section, |item| Ok(vec![Def::Export(item.name.name.to_owned(), sort(item.kind), item.index)])),
            Payload::ComponentStartSection { range, .. } => {
                Err(ModuleError::unsupported(range.start, "component start function"))
            }
            _ => Ok(()),
        }
    }

    fn section<'a, T: w::FromReader<'a>>(
        &mut self,
        section: w::SectionLimited<'a, T>,
        convert: impl Fn(T) -> Result<Vec<Def>, ModuleError>,
    ) -> Result<(), ModuleError> {
        for item in section.into_iter_with_offsets() {
            let (offset, item) = item?;
            for def in convert(item)? {
                self.push(def, offset)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, def: Def, offset: usize) -> Result<(), ModuleError> {
        let Some(syntax) = self.stack.last_mut() else { return Ok(()) };
        self.sizes.define(&def).map_err(|text| ModuleError::invalid(offset, text))?;
        syntax.defs.push(def);
        Ok(())
    }

    fn enter(&mut self) {
        self.stack.push(Syntax::default());
        self.sizes.enter();
    }

    fn end(&mut self) -> Result<(), ModuleError> {
        let Some(syntax) = self.stack.pop() else { return Ok(()) };
        let syntax = Arc::new(syntax);
        self.sizes.leave();
        match self.stack.is_empty() {
            true => self.done = Some(syntax),
            false => self.push(Def::Component(syntax), 0)?,
        }
        Ok(())
    }

    fn core_module(&mut self, bytes: &[u8]) -> Result<Def, ModuleError> {
        let module = Module::decode(bytes, Features::all())?;
        let has_start = module.0.start.is_some();
        let number = self.modules;
        self.modules += 1;
        Ok(Def::CoreModule(Arc::new(CoreModule { number, module, has_start })))
    }
}

fn repeat_core_type(ty: &w::CoreType<'_>) -> Vec<Def> {
    let count = match ty {
        w::CoreType::Rec(group) => group.types().len(),
        w::CoreType::Module(_) => 1,
    };
    (0..count).map(|_| Def::CoreType).collect()
}

fn core_instance(instance: w::Instance<'_>) -> Vec<Def> {
    vec![match instance {
        w::Instance::Instantiate { module_index, args } => {
            let args = args.iter().map(|arg| (arg.name.to_owned(), arg.index)).collect();
            Def::CoreInstance { module: module_index, args }
        }
        w::Instance::FromExports(exports) => {
            let item = |export: &w::Export<'_>| (export.name.to_owned(), core_sort(export.kind), export.index);
            Def::CoreExports(exports.iter().map(item).collect())
        }
    }]
}

fn component_instance(instance: w::ComponentInstance<'_>) -> Def {
    match instance {
        w::ComponentInstance::Instantiate { component_index, args } => {
            let args = args.iter().map(|arg| (arg.name.to_owned(), sort(arg.kind), arg.index)).collect();
            Def::Instance { component: component_index, args }
        }
        w::ComponentInstance::FromExports(exports) => {
            let item = |export: &w::ComponentExport<'_>| (export.name.name.to_owned(), sort(export.kind), export.index);
            Def::Exports(exports.iter().map(item).collect())
        }
    }
}

fn core_sort(kind: w::ExternalKind) -> CoreSort {
    match kind {
        w::ExternalKind::Func | w::ExternalKind::FuncExact => CoreSort::Func,
        w::ExternalKind::Table => CoreSort::Table,
        w::ExternalKind::Memory => CoreSort::Memory,
        w::ExternalKind::Global => CoreSort::Global,
        w::ExternalKind::Tag => CoreSort::Tag,
    }
}

fn sort(kind: w::ComponentExternalKind) -> Sort {
    match kind {
        w::ComponentExternalKind::Module => Sort::Module,
        w::ComponentExternalKind::Func => Sort::Func,
        w::ComponentExternalKind::Value => Sort::Value,
        w::ComponentExternalKind::Type => Sort::Type,
        w::ComponentExternalKind::Instance => Sort::Instance,
        w::ComponentExternalKind::Component => Sort::Component,
    }
}

fn alias(alias: w::ComponentAlias<'_>) -> Alias {
    match alias {
        w::ComponentAlias::InstanceExport { kind, instance_index, name } => {
            Alias::Export { sort: sort(kind), instance: instance_index, name: name.to_owned() }
        }
        w::ComponentAlias::CoreInstanceExport { instance_index, name, .. } => {
            Alias::CoreExport { instance: instance_index, name: name.to_owned() }
        }
        w::ComponentAlias::Outer { kind, count, index } => {
            let sort = match kind {
                w::ComponentOuterAliasKind::CoreModule => OuterSort::Module,
                w::ComponentOuterAliasKind::CoreType => OuterSort::CoreType,
                w::ComponentOuterAliasKind::Type => OuterSort::Type,
                w::ComponentOuterAliasKind::Component => OuterSort::Component,
            };
            Alias::Outer { sort, count, index }
        }
    }
}

fn desc(ty: w::ComponentTypeRef) -> Desc {
    match ty {
        w::ComponentTypeRef::Module(_) => Desc::Module,
        w::ComponentTypeRef::Func(ty) => Desc::Func(ty),
        w::ComponentTypeRef::Value(_) => Desc::Value,
        w::ComponentTypeRef::Type(w::TypeBounds::Eq(ty)) => Desc::TypeEq(ty),
        w::ComponentTypeRef::Type(w::TypeBounds::SubResource) => Desc::SubResource,
        w::ComponentTypeRef::Instance(ty) => Desc::Instance(ty),
        w::ComponentTypeRef::Component(_) => Desc::Component,
    }
}

fn type_use(ty: w::ComponentValType) -> TypeUse {
    match ty {
        w::ComponentValType::Primitive(ty) => TypeUse::Primitive(ty),
        w::ComponentValType::Type(index) => TypeUse::Index(index),
    }
}

fn type_def(ty: w::ComponentType<'_>) -> TypeDef {
    match ty {
        w::ComponentType::Defined(ty) => TypeDef::Value(value_def(ty)),
        w::ComponentType::Func(ty) => TypeDef::Func {
            is_async: ty.async_,
            params: ty.params.iter().map(|(name, ty)| ((*name).to_owned(), type_use(*ty))).collect(),
            result: ty.result.map(type_use),
        },
        w::ComponentType::Component(_) => TypeDef::Component,
        w::ComponentType::Instance(decls) => {
            TypeDef::Instance(decls.into_vec().into_iter().flat_map(instance_decl).collect())
        }
        w::ComponentType::Resource { dtor, .. } => TypeDef::Resource { dtor },
    }
}

fn instance_decl(decl: w::InstanceTypeDeclaration<'_>) -> Vec<Decl> {
    match decl {
        w::InstanceTypeDeclaration::CoreType(ty) => repeat_core_type(&ty).iter().map(|_| Decl::CoreType).collect(),
        w::InstanceTypeDeclaration::Type(ty) => vec![Decl::Type(Arc::new(type_def(ty)))],
        w::InstanceTypeDeclaration::Alias(item) => vec![Decl::Alias(alias(item))],
        w::InstanceTypeDeclaration::Export { name, ty } => vec![Decl::Export(name.name.to_owned(), desc(ty))],
    }
}

fn value_def(ty: w::ComponentDefinedType<'_>) -> ValueDef {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    match ty {
        w::ComponentDefinedType::Primitive(ty) => ValueDef::Primitive(ty),
        w::ComponentDefinedType::Record(fields) => {
            ValueDef::Record(fields.iter().map(|(name, ty)| ((*name).to_owned(), type_use(*ty))).collect())
        }
        w::ComponentDefinedType::Variant(cases) => {
            ValueDef::Variant(cases.iter().map(|case| (case.name.to_owned(), case.ty.map(type_use))).collect())
        }
        w::ComponentDefinedType::List(ty) => ValueDef::List(type_use(ty)),
        w::ComponentDefinedType::Map(key, value) => ValueDef::Map(type_use(key), type_use(value)),
        w::ComponentDefinedType::FixedLengthList(ty, length) => ValueDef::FixedList(type_use(ty), length),
        w::ComponentDefinedType::Tuple(types) => ValueDef::Tuple(types.iter().map(|ty| type_use(*ty)).collect()),
        w::ComponentDefinedType::Flags(labels) => ValueDef::Flags(names(&labels)),
        w::ComponentDefinedType::Enum(labels) => ValueDef::Enum(names(&labels)),
        w::ComponentDefinedType::Option(ty) => ValueDef::Option(type_use(ty)),
        w::ComponentDefinedType::Result { ok, err } => ValueDef::Result(ok.map(type_use), err.map(type_use)),
        w::ComponentDefinedType::Own(resource) => ValueDef::Own(resource),
        w::ComponentDefinedType::Borrow(resource) => ValueDef::Borrow(resource),
        w::ComponentDefinedType::Future(ty) => ValueDef::Future(ty.map(type_use)),
        w::ComponentDefinedType::Stream(ty) => ValueDef::Stream(ty.map(type_use)),
    }
}

fn options(items: &[w::CanonicalOption]) -> Options {
    let mut options = Options::default();
    for item in items {
        match item {
            w::CanonicalOption::UTF8 => options.encoding = Encoding::Utf8,
            w::CanonicalOption::UTF16 => options.encoding = Encoding::Utf16,
            w::CanonicalOption::CompactUTF16 => options.encoding = Encoding::Latin1Utf16,
            w::CanonicalOption::Memory(memory) => options.memory = Some(*memory),
            w::CanonicalOption::Realloc(func) => options.realloc = Some(*func),
            w::CanonicalOption::PostReturn(func) => options.post_return = Some(*func),
            w::CanonicalOption::Callback(func) => options.callback = Some(*func),
            w::CanonicalOption::Async => options.is_async = true,
            // Validation refuses the options of the GC ABI, which is not a feature of this decoder.
            w::CanonicalOption::CoreType(_) | w::CanonicalOption::Gc => {}
        }
    }
    options
}

fn canon(function: w::CanonicalFunction) -> Canon {
    use w::CanonicalFunction as F;
    match function {
        F::Lift { core_func_index, type_index, options: items } => {
            Canon::Lift { core: core_func_index, ty: type_index, options: options(&items) }
        }
        F::Lower { func_index, options: items } => Canon::Lower { func: func_index, options: options(&items) },
        F::ResourceNew { resource } => Canon::ResourceNew(resource),
        F::ResourceDrop { resource } => Canon::ResourceDrop(resource),
        F::ResourceRep { resource } => Canon::ResourceRep(resource),
        F::TaskReturn { result, options: items } => {
            Canon::TaskReturn { result: result.map(type_use), options: options(&items) }
        }
        F::ContextGet { ty, slot } => Canon::ContextGet { slot, wide: ty == w::ValType::I64 },
        F::ContextSet { ty, slot } => Canon::ContextSet { slot, wide: ty == w::ValType::I64 },
        F::BackpressureInc => Canon::BackpressureInc,
        F::BackpressureDec => Canon::BackpressureDec,
        other => {
            let (name, params, results) = signature(&other);
            Canon::Other { name, params, results }
        }
    }
}

/// The name and core signature of what this crate does not define, for 32-bit memories.
fn signature(function: &w::CanonicalFunction) -> (&'static str, &'static [ValType], &'static [ValType]) {
    use w::CanonicalFunction as F;
    const I: ValType = ValType::I32;
    const L: ValType = ValType::I64;
    match function {
        F::TaskCancel => ("task.cancel", &[], &[]),
        F::ThreadYield { .. } => ("thread.yield", &[], &[I]),
        F::SubtaskDrop => ("subtask.drop", &[I], &[]),
        F::SubtaskCancel { .. } => ("subtask.cancel", &[I], &[I]),
        F::StreamNew { .. } => ("stream.new", &[], &[L]),
        F::StreamRead { .. } => ("stream.read", &[I, I, I], &[I]),
        F::StreamWrite { .. } => ("stream.write", &[I, I, I], &[I]),
        F::StreamCancelRead { .. } => ("stream.cancel-read", &[I], &[I]),
        F::StreamCancelWrite { .. } => ("stream.cancel-write", &[I], &[I]),
        F::StreamDropReadable { .. } => ("stream.drop-readable", &[I], &[]),
        F::StreamDropWritable { .. } => ("stream.drop-writable", &[I], &[]),
        F::FutureNew { .. } => ("future.new", &[], &[L]),
        F::FutureRead { .. } => ("future.read", &[I, I], &[I]),
        F::FutureWrite { .. } => ("future.write", &[I, I], &[I]),
        F::FutureCancelRead { .. } => ("future.cancel-read", &[I], &[I]),
        F::FutureCancelWrite { .. } => ("future.cancel-write", &[I], &[I]),
        F::FutureDropReadable { .. } => ("future.drop-readable", &[I], &[]),
        F::FutureDropWritable { .. } => ("future.drop-writable", &[I], &[]),
        F::ErrorContextNew { .. } => ("error-context.new", &[I, I], &[I]),
        F::ErrorContextDebugMessage { .. } => ("error-context.debug-message", &[I, I], &[]),
        F::ErrorContextDrop => ("error-context.drop", &[I], &[]),
        F::WaitableSetNew => ("waitable-set.new", &[], &[I]),
        F::WaitableSetWait { .. } => ("waitable-set.wait", &[I, I], &[I]),
        F::WaitableSetPoll { .. } => ("waitable-set.poll", &[I, I], &[I]),
        F::WaitableSetDrop => ("waitable-set.drop", &[I], &[]),
        F::WaitableJoin => ("waitable.join", &[I, I], &[]),
        F::ThreadIndex => ("thread.index", &[], &[I]),
        F::ThreadNewIndirect { .. } => ("thread.new-indirect", &[I, I], &[I]),
        F::ThreadResumeLater => ("thread.resume-later", &[I], &[]),
        F::ThreadSuspend { .. } => ("thread.suspend", &[], &[I]),
        F::ThreadSuspendThenResume { .. } => ("thread.suspend-then-resume", &[I], &[I]),
        F::ThreadYieldThenResume { .. } => ("thread.yield-then-resume", &[I], &[I]),
        F::ThreadSuspendThenPromote { .. } => ("thread.suspend-then-promote", &[I], &[I]),
        F::ThreadYieldThenPromote { .. } => ("thread.yield-then-promote", &[I], &[I]),
        // Shared-everything threads are not a feature of this decoder.
        _ => ("thread.spawn", &[], &[]),
    }
}
