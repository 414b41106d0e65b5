//! Compiled components.
//!
//! Invariant: a component has been validated, its plan verified, and all its core modules compiled for its engine; it is
//! immutable.
//!
//! Does not know: stores, what satisfies imports.

use super::linker::version_track;
use super::types::{ComponentFuncType, ComponentItem, Type};
use crate::engine::Engine;
use crate::error::{CompileError, SerializeError};
use crate::module::Module;
use std::sync::Arc;
use wattest_component::graph::{ExportValue, ImportKind};
use wattest_component::{
    CompileOptions, DecodeOptions, ExportIndex, FuncTypeIndex, ImportIndex, Node, Plan, Slot, SlotKind,
};
use wattest_module::Features;
use wattest_vm::Signature;

/// A compiled component. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    pub(crate) inner: Arc<ComponentInner>,
}

pub(crate) struct ComponentInner {
    pub engine: Engine,
    pub plan: Plan,
    /// Core modules, in the order of the plan's statics.
    pub modules: Vec<Module>,
    /// Adapter modules, in the order of the plan's templates.
    pub templates: Vec<Module>,
    /// Core signatures, in the order of the plan's statics.
    pub signatures: Vec<Arc<Signature>>,
}

impl std::fmt::Debug for ComponentInner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("modules", &self.modules.len()).finish_non_exhaustive()
    }
}

/// The core value type of a slot.
pub(crate) fn core_type(core: wattest_canon::CoreType) -> crate::ValType {
    match core {
        wattest_canon::CoreType::I32 => crate::ValType::I32,
        wattest_canon::CoreType::I64 => crate::ValType::I64,
        wattest_canon::CoreType::F32 => crate::ValType::F32,
        wattest_canon::CoreType::F64 => crate::ValType::F64,
    }
}

impl ComponentInner {
    pub fn new(engine: &Engine, plan: Plan, modules: Vec<Module>, templates: Vec<Module>) -> ComponentInner {
        let signatures = plan.statics.signatures.iter().map(|signature| {
            let params = signature.params.iter().copied().map(core_type).collect();
            let results = signature.results.iter().copied().map(core_type).collect();
            engine.types().register_func(&wattest_module::FuncType { params, results })
        });
        let signatures = signatures.collect();
        ComponentInner { engine: engine.clone(), plan, modules, templates, signatures }
    }

    /// The row of an import slot.
    pub fn import(&self, slot: u32) -> Option<ImportIndex> {
        self.plan.linear.imports.get(slot as usize).copied()
    }

    /// The export with this parent and name, or with a name of a compatible version.
    pub fn export(&self, parent: Option<ExportIndex>, name: &str) -> Option<(ExportIndex, &ExportValue<Slot>)> {
        let types = &self.plan.statics.types;
        let rows = || self.plan.linear.exports.iter().enumerate().filter(|(_, row)| row.parent == parent);
        let same = rows().find(|(_, row)| types.text(row.name) == name);
        let (at, row) = same.or_else(|| {
            let track = version_track(name)?;
            rows().find(|(_, row)| version_track(types.text(row.name)) == Some(track))
        })?;
        Some((ExportIndex::at(at), &row.value))
    }

    /// The type of an exported function.
    pub fn func_type(&self, slot: Slot) -> Option<FuncTypeIndex> {
        match slot.kind {
            SlotKind::Lift => match self.plan.linear.lifts.get(slot.index as usize)? {
                Node::Lift { side, .. } => Some(side.ty),
                _ => None,
            },
            SlotKind::Import => match self.plan.statics.import(self.import(slot.index)?)?.kind {
                ImportKind::Func(ty) => Some(ty),
                _ => None,
            },
            _ => None,
        }
    }
}

/// How components are compiled for an engine.
pub(super) fn options_of(engine: &Engine, bodies: bool) -> CompileOptions {
    let features = wattest_component::Features::all(engine.config().features);
    let decode = DecodeOptions { features, bodies, ..DecodeOptions::default() };
    CompileOptions { decode, ..CompileOptions::default() }
}

/// Compiles a component to its plan.
fn plan_of(engine: &Engine, binary: &[u8], bodies: bool) -> Result<Plan, CompileError> {
    Ok(wattest_component::compile(binary, &options_of(engine, bodies))?)
}

impl Component {
    /// Validates and compiles a component in binary or text form.
    ///
    /// # Errors
    ///
    /// [`CompileError`].
    pub fn new(engine: &Engine, wasm: impl AsRef<[u8]>) -> Result<Component, CompileError> {
        let bytes = wasm.as_ref();
        if bytes.starts_with(b"\0asm") {
            return Component::from_binary(engine, bytes);
        }
        let binary = wat::parse_bytes(bytes).map_err(|error| CompileError::Text(error.to_string()))?;
        Component::from_binary(engine, &binary)
    }

    /// Validates and compiles a component in binary form.
    ///
    /// # Errors
    ///
    /// As [`Component::new`].
    pub fn from_binary(engine: &Engine, wasm: &[u8]) -> Result<Component, CompileError> {
        // Compiling a core module validates its functions.
        let plan = plan_of(engine, wasm, false)?;
        let mut modules = Vec::with_capacity(plan.statics.modules.len());
        for module in &plan.statics.modules {
            let bytes = wasm.get(module.bytes.clone());
            let bytes =
                bytes.ok_or_else(|| CompileError::Codegen("a core module lies outside its component".into()))?;
            modules.push(Module::from_binary(engine, bytes).map_err(|error| match error {
                CompileError::Decode(error) => CompileError::Decode(error.within(module.bytes.start)),
                error => error,
            })?);
        }
        let templates =
            plan.linear.templates.iter().map(|wasm| Module::with_features(engine, wasm, Features::all_implemented()));
        let templates = templates.collect::<Result<Vec<_>, _>>()?;
        Ok(Component { inner: Arc::new(ComponentInner::new(engine, plan, modules, templates)) })
    }

    /// Whether a binary is a component rather than a core module, by its first bytes.
    pub fn is_component(bytes: &[u8]) -> bool {
        matches!(bytes, [0, b'a', b's', b'm', _, _, 1, 0, ..])
    }

    /// Validates a component in binary form without compiling it.
    ///
    /// # Errors
    ///
    /// As [`Component::new`].
    pub fn validate(engine: &Engine, wasm: &[u8]) -> Result<(), CompileError> {
        plan_of(engine, wasm, true).map(drop)
    }

    /// The engine that the component was compiled by.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// What the component imports, by path: the name of an import, then names of exports of imported instances.
    pub fn imports(&self) -> Vec<(Vec<String>, ComponentItem)> {
        let statics = &self.inner.plan.statics;
        let rows = self.inner.plan.linear.imports.iter().filter_map(|import| statics.import(*import));
        let rows = rows.map(|import| {
            let path = import.path.iter().map(|name| statics.types.text(*name).to_owned()).collect();
            let item = match import.kind {
                ImportKind::Func(index) => ComponentItem::Func(self.func_type(index)),
                ImportKind::Module(_) => ComponentItem::Module,
                ImportKind::Resource(_) => ComponentItem::Resource,
            };
            (path, item)
        });
        rows.collect()
    }

    /// What the component exports, in order.
    pub fn exports(&self) -> Vec<(String, ComponentItem)> {
        // Parents come before their children, so the list is turned into a tree from its end.
        let rows = &self.inner.plan.linear.exports;
        let mut children: Vec<Vec<(String, ComponentItem)>> = vec![Vec::new(); rows.len()];
        let mut root = Vec::new();
        for (at, row) in rows.iter().enumerate().rev() {
            let name = self.inner.plan.statics.types.text(row.name).to_owned();
            let mut own = std::mem::take(&mut children[at]);
            own.reverse();
            let item = self.item(&row.value, own);
            match row.parent {
                Some(parent) => children[parent.index()].push((name, item)),
                None => root.push((name, item)),
            }
        }
        root.reverse();
        root
    }

    /// The core modules that lie in the component and in components within it, in the order of its binary.
    pub fn core_modules(&self) -> Vec<CoreModule> {
        let rows = self.inner.plan.statics.modules.iter().zip(&self.inner.modules);
        rows.map(|(row, module)| CoreModule { start: row.bytes.start, bytes: row.bytes.len(), module: module.clone() })
            .collect()
    }

    /// How many core modules were made to transfer values between the component's instances.
    pub fn adapter_modules(&self) -> usize {
        self.inner.templates.len()
    }

    fn func_type(&self, index: FuncTypeIndex) -> ComponentFuncType {
        ComponentFuncType { component: Arc::clone(&self.inner), index }
    }

    fn item(&self, value: &ExportValue<Slot>, children: Vec<(String, ComponentItem)>) -> ComponentItem {
        match value {
            ExportValue::Func(slot) => match self.inner.func_type(*slot) {
                Some(index) => ComponentItem::Func(self.func_type(index)),
                None => ComponentItem::Opaque,
            },
            ExportValue::Module(_) => ComponentItem::Module,
            ExportValue::Resource(_) => ComponentItem::Resource,
            ExportValue::Type(id) => ComponentItem::Type(Type { component: Arc::clone(&self.inner), id: *id }),
            ExportValue::Instance => ComponentItem::Instance(children),
            ExportValue::Opaque => ComponentItem::Opaque,
        }
    }

    /// The component's artifact, that [`Component::deserialize`] loads. Equal components compiled by equal engines have
    /// equal artifacts.
    ///
    /// # Errors
    ///
    /// Its description cannot be encoded.
    pub fn serialize(&self) -> Result<Vec<u8>, SerializeError> {
        let modules = |modules: &[Module]| modules.iter().map(Module::serialize).collect::<Result<Vec<_>, _>>();
        let parts = Artifact {
            compatibility: self.inner.engine.compatibility(),
            plan: self.inner.plan.clone(),
            modules: modules(&self.inner.modules)?,
            templates: modules(&self.inner.templates)?,
        };
        let body = postcard::to_allocvec(&parts).map_err(|error| SerializeError(error.to_string()))?;
        Ok([&ARTIFACT_MAGIC[..], &artifact_checksum(&body), &body].concat())
    }

    /// The component's artifact in parts: its description, and the artifacts of its modules, each of which
    /// [`Module::deserialize_file`] can map. [`Component::deserialize_parts`] puts them together.
    ///
    /// # Errors
    ///
    /// As [`Component::serialize`].
    pub fn serialize_parts(&self) -> Result<(Vec<u8>, Vec<Vec<u8>>), SerializeError> {
        let modules = self.inner.modules.iter().chain(&self.inner.templates).map(Module::serialize);
        let modules = modules.collect::<Result<Vec<_>, _>>()?;
        let description = Description {
            compatibility: self.inner.engine.compatibility(),
            modules: self.inner.modules.len(),
            templates: self.inner.templates.len(),
            plan: self.inner.plan.clone(),
        };
        let body = postcard::to_allocvec(&description).map_err(|error| SerializeError(error.to_string()))?;
        Ok(([&ARTIFACT_MAGIC[..], &artifact_checksum(&body), &body].concat(), modules))
    }

    /// Whether `bytes` begin like a component's artifact.
    pub fn detect_precompiled(bytes: &[u8]) -> bool {
        bytes.starts_with(&ARTIFACT_MAGIC)
    }
}

/// A core module that lies in a component.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CoreModule {
    /// Where its binary begins in the component's.
    pub start: usize,
    /// The size of its binary.
    pub bytes: usize,
    /// What was compiled from it.
    pub module: Module,
}

/// What a component's artifact begins with.
const ARTIFACT_MAGIC: [u8; 8] = *b"wattestC";

/// What protects an artifact's body from accidents.
fn artifact_checksum(body: &[u8]) -> [u8; 16] {
    xxhash_rust::xxh3::xxh3_128(body).to_le_bytes()
}

/// The body of an undamaged artifact: what follows magic and checksum.
pub(crate) fn artifact_body(bytes: &[u8]) -> Result<&[u8], &'static str> {
    let rest = bytes.strip_prefix(&ARTIFACT_MAGIC).ok_or("the bytes are no component's artifact")?;
    let (checksum, body) =
        rest.split_first_chunk::<16>().ok_or("the component's artifact is damaged: it is cut off")?;
    match *checksum == artifact_checksum(body) {
        true => Ok(body),
        false => Err("the component's artifact is damaged: its checksum differs"),
    }
}

/// A component's artifact behind its magic and checksum.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Artifact {
    pub compatibility: Vec<u8>,
    pub plan: Plan,
    pub modules: Vec<Vec<u8>>,
    pub templates: Vec<Vec<u8>>,
}

/// A component's artifact in parts, without its modules.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Description {
    pub compatibility: Vec<u8>,
    pub modules: usize,
    pub templates: usize,
    pub plan: Plan,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}
