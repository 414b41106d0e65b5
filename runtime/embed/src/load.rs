//! Loading compiled code: the one file of this crate that vouches for machine code.
//!
//! Code comes straight from the compiler, or from an artifact. An artifact is outside the safety boundary: whoever loads
//! one promises that it was made by [`Module::serialize`](crate::Module::serialize) and not changed since; damage is
//! detected, forgery is not.
//!
//! Invariant: code and description that are put together here come from the same compilation.
//!
//! Does not know: how code is compiled.
#![expect(unsafe_code, reason = "vouching for machine code is what this file is for")]

use crate::component::{Artifact, Component, ComponentInner, Description, artifact_body};
use crate::engine::Engine;
use crate::error::{CompileError, DeserializeError};
use crate::module::{ImageRecord, Module, ModuleData, ModuleInner, ModuleNames};
use std::path::Path;
use std::sync::Arc;
use wattest_abi::artifact::{CompiledCode, SectionKind};
use wattest_abi::tunables::CallPath;
use wattest_module::ModuleDesc;
use wattest_vm::artifact::ArtifactFile;
use wattest_vm::code::CodeMemory;
use wattest_vm::memory::{ImageRef, MemoryImage};
use wattest_vm::registry::{CodeInfo, RecordTable, register};
use wattest_vm::{ModuleBytes, RuntimeModule, TooManyTypes};

/// A module of freshly compiled code.
pub(crate) fn from_compiled(engine: &Engine, code: CompiledCode, data: ModuleData) -> Result<Module, CompileError> {
    let memory = CodeMemory::new(&code.text).map_err(|error| CompileError::Memory(error.to_string()))?;
    let names = Arc::new(ModuleNames::new(&data.desc, data.names));
    let info = CodeInfo {
        code: Arc::new(memory),
        functions: RecordTable::Own(code.functions),
        traps: RecordTable::Own(code.traps),
        addresses: RecordTable::Own(code.addresses),
        handlers: RecordTable::Own(code.handlers),
        stack_maps: RecordTable::Own(code.stack_maps),
        locals: RecordTable::Own(code.locals),
        owner: Some(names.clone()),
    };
    let copy_on_write = engine.config().options.copy_on_write;
    let image = |record: &ImageRecord| {
        let bytes = &data.images[record.bytes.start as usize..record.bytes.end as usize];
        Arc::new(MemoryImage::from_bytes(bytes, record.start))
    };
    let images = data.image_records.iter().map(|record| record.as_ref().filter(|_| copy_on_write).map(image));
    let images = images.collect();
    let bytes = ModuleBytes::Owned(data.data.into());
    // SAFETY: the code was just compiled from this description under the engine's tunables.
    unsafe { assemble(engine, data.desc, info, names, bytes, images) }
        .map_err(|error| CompileError::Memory(error.to_string()))
}

/// # Safety
///
/// `info` must hold code compiled from `desc` under the engine's tunables.
unsafe fn assemble(
    engine: &Engine,
    desc: ModuleDesc,
    info: CodeInfo,
    names: Arc<ModuleNames>,
    data: ModuleBytes,
    images: Vec<Option<ImageRef>>,
) -> Result<Module, TooManyTypes> {
    let type_ids = engine.types().register_module(&desc)?;
    let with_entries = engine.tunables().call_path == CallPath::Entry;
    let code = register(Arc::new(info));
    // SAFETY: by the caller's promise; stores of the engine have its tunables.
    let runtime = unsafe { RuntimeModule::new(desc, code, type_ids, data, images, with_entries) };
    Ok(Module { inner: Arc::new(ModuleInner { engine: engine.clone(), runtime: Arc::new(runtime), names }) })
}

impl Module {
    /// Loads the bytes of an artifact that [`Module::serialize`] made.
    ///
    /// # Errors
    ///
    /// The artifact is damaged, or was made by an engine that this one is not compatible with.
    ///
    /// # Safety
    ///
    /// The bytes must be what `Module::serialize` returned, in this or another process: they contain machine code that
    /// runs with the rights of this process. The checksum protects from accidents, not from malice.
    ///
    /// ```
    /// use wattest::{Engine, Module};
    /// let engine = Engine::default();
    /// let bytes = Module::new(&engine, "(module)")?.serialize()?;
    /// // SAFETY: the bytes were just made by `serialize`.
    /// let module = unsafe { Module::deserialize(&engine, &bytes)? };
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn deserialize(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Module, DeserializeError> {
        let artifact = ArtifactFile::from_bytes(bytes.as_ref().to_vec(), false).map_err(artifact_error)?;
        // SAFETY: by the caller's promise.
        unsafe { from_artifact(engine, artifact) }
    }

    /// The module after a round trip through its artifact: what another process would get. Safe, since the bytes never
    /// leave this call.
    ///
    /// # Errors
    ///
    /// As [`Module::deserialize`], or the module cannot be serialized.
    pub fn reload(&self) -> Result<Module, DeserializeError> {
        let bytes = self.serialize().map_err(artifact_error)?;
        // SAFETY: the bytes were just made by `serialize`, and nothing else saw them.
        unsafe { Module::deserialize(self.engine(), bytes) }
    }

    /// Maps an artifact file that was written with the bytes of [`Module::serialize`]. Code is used where it lies: nothing
    /// is decoded per function.
    ///
    /// # Errors
    ///
    /// As [`Module::deserialize`], or the file cannot be read.
    ///
    /// # Safety
    ///
    /// As [`Module::deserialize`]; besides, the file must not change as long as the module or its instances live.
    pub unsafe fn deserialize_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Module, DeserializeError> {
        // SAFETY: by the caller's promise.
        let artifact = unsafe { ArtifactFile::open(path.as_ref(), false) }.map_err(artifact_error)?;
        // SAFETY: by the caller's promise.
        unsafe { from_artifact(engine, artifact) }
    }

    /// As [`Module::deserialize_file`], without verifying the checksum: for files in a cache that only this user writes.
    ///
    /// # Errors
    ///
    /// As [`Module::deserialize_file`].
    ///
    /// # Safety
    ///
    /// As [`Module::deserialize_file`]; besides, the file must not be damaged.
    pub unsafe fn deserialize_file_trusted(
        engine: &Engine,
        path: impl AsRef<Path>,
    ) -> Result<Module, DeserializeError> {
        // SAFETY: by the caller's promise.
        let artifact = unsafe { ArtifactFile::open(path.as_ref(), true) }.map_err(artifact_error)?;
        // SAFETY: by the caller's promise.
        unsafe { from_artifact(engine, artifact) }
    }
}

impl Component {
    /// Loads the bytes of an artifact that [`Component::serialize`] made.
    ///
    /// # Errors
    ///
    /// The artifact is damaged, or was made by an engine that this one is not compatible with.
    ///
    /// # Safety
    ///
    /// As [`Module::deserialize`]: the bytes must be what `Component::serialize` returned. Their checksum protects from
    /// accidents, not from malice.
    pub unsafe fn deserialize(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Component, DeserializeError> {
        let body = artifact_body(bytes.as_ref()).map_err(artifact_error)?;
        let parts = postcard::from_bytes::<Artifact>(body).map_err(artifact_error)?;
        if parts.compatibility != engine.compatibility() {
            let text = "compile it again with this version, these options and this CPU";
            return Err(DeserializeError::Incompatible(text.to_owned()));
        }
        let load = |artifacts: Vec<Vec<u8>>| {
            // SAFETY: by the caller's promise, `Module::serialize` made what `Component::serialize` put together.
            artifacts
                .into_iter()
                .map(|bytes| unsafe { Module::deserialize(engine, bytes) })
                .collect::<Result<Vec<_>, _>>()
        };
        let (modules, templates) = (load(parts.modules)?, load(parts.templates)?);
        let inner = ComponentInner::new(engine, parts.plan, modules, templates);
        Ok(Component { inner: Arc::new(inner) })
    }

    /// Puts together the parts that [`Component::serialize_parts`] made; `module` loads the artifact with a number.
    ///
    /// # Errors
    ///
    /// As [`Component::deserialize`], or `module` fails.
    ///
    /// # Safety
    ///
    /// As [`Component::deserialize`]: the description must be what `serialize_parts` returned, and `module` must load the
    /// artifacts that it returned with it.
    pub unsafe fn deserialize_parts(
        engine: &Engine,
        description: &[u8],
        module: impl FnMut(usize) -> Result<Module, DeserializeError>,
    ) -> Result<Component, DeserializeError> {
        let body = artifact_body(description).map_err(artifact_error)?;
        let parts = postcard::from_bytes::<Description>(body).map_err(artifact_error)?;
        if parts.compatibility != engine.compatibility() {
            let text = "compile it again with this version, these options and this CPU";
            return Err(DeserializeError::Incompatible(text.to_owned()));
        }
        let mut modules = (0..parts.modules + parts.templates).map(module).collect::<Result<Vec<_>, _>>()?;
        let templates = modules.split_off(parts.modules);
        Ok(Component { inner: Arc::new(ComponentInner::new(engine, parts.plan, modules, templates)) })
    }

    /// The component after a round trip through its artifact: what another process would get. Safe, since the bytes never
    /// leave this call.
    ///
    /// # Errors
    ///
    /// As [`Component::deserialize`], or the component cannot be serialized.
    pub fn reload(&self) -> Result<Component, DeserializeError> {
        let bytes = self.serialize().map_err(artifact_error)?;
        // SAFETY: the bytes were just made by `serialize`, and nothing else saw them.
        unsafe { Component::deserialize(self.engine(), bytes) }
    }
}

fn artifact_error(error: impl std::fmt::Display) -> DeserializeError {
    DeserializeError::Artifact(error.to_string())
}

/// # Safety
///
/// The artifact must have been made by [`Module::serialize`].
unsafe fn from_artifact(engine: &Engine, artifact: ArtifactFile) -> Result<Module, DeserializeError> {
    if artifact.section(SectionKind::Compatibility) != engine.compatibility() {
        let text = "compile it again with this version, these options and this CPU";
        return Err(DeserializeError::Incompatible(text.to_owned()));
    }
    let decoded = postcard::from_bytes::<(ModuleDesc, Vec<Option<ImageRecord>>)>(artifact.section(SectionKind::Module));
    let (desc, records) = decoded.map_err(artifact_error)?;
    if !desc.is_consistent() || !wattest_vm::vmctx_fits(&desc.counts()) {
        return Err(artifact_error("its description does not fit together"));
    }
    let names = Arc::new(ModuleNames::new(&desc, artifact.section(SectionKind::Names).to_vec()));
    let artifact = Arc::new(artifact);
    let info = CodeInfo {
        code: Arc::new(CodeMemory::from_artifact(&artifact).map_err(artifact_error)?),
        functions: RecordTable::Artifact(artifact.clone()),
        traps: RecordTable::Artifact(artifact.clone()),
        addresses: RecordTable::Artifact(artifact.clone()),
        handlers: RecordTable::Artifact(artifact.clone()),
        stack_maps: RecordTable::Artifact(artifact.clone()),
        locals: RecordTable::Artifact(artifact.clone()),
        owner: Some(names.clone()),
    };
    let mut images = Vec::with_capacity(records.len());
    for record in records {
        let Some(record) = record.filter(|_| engine.config().options.copy_on_write) else {
            images.push(None);
            continue;
        };
        let image = artifact.image(record.bytes, record.start);
        images.push(Some(Arc::new(image.ok_or_else(|| artifact_error("an image lies outside its section"))?)));
    }
    let data = ModuleBytes::Artifact(artifact);
    // SAFETY: by the caller's promise, the code was compiled from this description; its compatibility was compared.
    unsafe { assemble(engine, desc, info, names, data, images) }.map_err(artifact_error)
}
