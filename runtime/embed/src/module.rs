//! Modules.
//!
//! Invariant: a module has been validated and compiled for its engine; it is immutable.
//!
//! Does not know: where its code is mapped; see `load`.

use crate::engine::Engine;
use crate::error::{CompileError, SerializeError};
use crate::types::ExternType;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wattest_abi::artifact::SectionKind;
use wattest_module::{DataKind, DataSegment, DefinedFuncIndex, ImportKind, ModuleDesc, Names, decode};
use wattest_vm::RuntimeModule;
use wattest_vm::artifact::ArtifactWriter;
use wattest_vm::registry::encode_records;

/// A compiled module. Cheap to clone.
#[derive(Clone)]
pub struct Module {
    pub(crate) inner: Arc<ModuleInner>,
}

pub(crate) struct ModuleInner {
    pub engine: Engine,
    pub runtime: Arc<RuntimeModule>,
    pub names: Arc<ModuleNames>,
}

/// What backtraces need of a module: kept by its code.
pub(crate) struct ModuleNames {
    /// The module's number in this process.
    pub id: u64,
    /// The module's name.
    pub module: Option<String>,
    imported_functions: u32,
    /// Contents of the name section.
    section: Vec<u8>,
    /// Exported functions.
    exports: Vec<(u32, String)>,
}

/// The number of the next module. 0 is none's.
static NEXT_MODULE: AtomicU64 = AtomicU64::new(1);

impl ModuleNames {
    pub fn new(desc: &ModuleDesc, section: Vec<u8>) -> ModuleNames {
        let exports = desc.exports.iter().filter_map(|export| match export.kind {
            ImportKind::Func(index) => Some((index.0, export.name.clone())),
            _ => None,
        });
        ModuleNames {
            id: NEXT_MODULE.fetch_add(1, Ordering::Relaxed),
            module: desc.name.clone(),
            imported_functions: desc.imported_functions,
            section,
            exports: exports.collect(),
        }
    }

    pub fn func_index(&self, defined: DefinedFuncIndex) -> u32 {
        self.imported_functions + defined.0
    }

    /// The name of a function: from the name section, demangled, else the name it is exported by.
    pub fn function(&self, defined: DefinedFuncIndex) -> Option<String> {
        let index = self.func_index(defined);
        if let Some(name) = Names::new(&self.section).function(index) {
            return Some(format!("{:#}", rustc_demangle::demangle(name)));
        }
        self.exports.iter().find(|(exported, _)| *exported == index).map(|(_, name)| name.clone())
    }
}

/// The initial image of a defined memory: which bytes of the images section lie where.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct ImageRecord {
    /// First byte in the memory.
    pub start: u64,
    /// Bytes in the images section.
    pub bytes: Range<u64>,
}

/// Everything of a compiled module that is not code: what an artifact stores beside it.
pub(crate) struct ModuleData {
    pub desc: ModuleDesc,
    /// Contents of all data segments, one after the other.
    pub data: Vec<u8>,
    pub image_records: Vec<Option<ImageRecord>>,
    pub images: Vec<u8>,
    pub names: Vec<u8>,
}

impl ModuleData {
    /// Takes from `wasm` what is needed later, so that the binary itself is not.
    pub fn new(mut desc: ModuleDesc, wasm: &[u8]) -> ModuleData {
        let mut data = Vec::new();
        for segment in &mut desc.data {
            let start = data.len() as u32;
            data.extend_from_slice(&wasm[segment.bytes.start as usize..segment.bytes.end as usize]);
            segment.bytes = start..data.len() as u32;
        }
        let names =
            desc.names.clone().map_or(Vec::new(), |range| wasm[range.start as usize..range.end as usize].to_vec());
        let (image_records, images) = build_images(&desc, &data);
        ModuleData { desc, data, image_records, images, names }
    }
}

/// Memory contents below which segments are copied at instantiation: a page or less is cheaper to copy than to map.
const IMAGE_BYTES_MIN: u64 = 4 << 10;
/// Zero bytes that an image may contain between segments.
const IMAGE_GAP_BYTES_MAX: u64 = 1 << 20;
/// Alignment of images in memories and in the images section.
const IMAGE_ALIGN: u64 = wattest_abi::artifact::PAGE_BYTES as u64;

/// The initial images of all defined memories whose contents are known.
///
/// Only when no active segment of the module can trap: else the segments before the one that traps must be applied and
/// those after it must not.
fn build_images(desc: &ModuleDesc, data: &[u8]) -> (Vec<Option<ImageRecord>>, Vec<u8>) {
    let defined = desc.memories.len() - desc.imported_memories as usize;
    let mut records = vec![None; defined];
    let mut images = Vec::new();
    let mut placed: Vec<Vec<(u64, &DataSegment)>> = vec![Vec::new(); defined];
    for segment in &desc.data {
        let DataKind::Active { memory, offset } = &segment.kind else { continue };
        let length = u64::from(segment.bytes.end - segment.bytes.start);
        let known = memory.0.checked_sub(desc.imported_memories).zip(offset.as_constant_index());
        let Some((memory, start)) = known else { return (records, images) };
        let ty = &desc.memories[desc.imported_memories as usize + memory as usize];
        let size = ty.minimum.saturating_mul(ty.page_bytes());
        if start.checked_add(length).is_none_or(|end| end > size) {
            return (records, images);
        }
        if length > 0 {
            placed[memory as usize].push((start, segment));
        }
    }
    for (memory, segments) in placed.iter().enumerate() {
        let ty = &desc.memories[desc.imported_memories as usize + memory];
        let total = segments.iter().map(|(_, segment)| segment.bytes.len() as u64).sum::<u64>();
        let first = segments.iter().map(|(start, _)| *start).min().unwrap_or(0);
        let end = segments.iter().map(|(start, segment)| start + segment.bytes.len() as u64).max().unwrap_or(0);
        if ty.shared || ty.page_bytes_log2 != 16 || total < IMAGE_BYTES_MIN || end - first > total + IMAGE_GAP_BYTES_MAX
        {
            continue;
        }
        let start = first / IMAGE_ALIGN * IMAGE_ALIGN;
        let length = (end - start).next_multiple_of(IMAGE_ALIGN);
        let at = images.len();
        images.resize(at + length as usize, 0);
        for (offset, segment) in segments {
            let to = at + (offset - start) as usize;
            let from = segment.bytes.start as usize..segment.bytes.end as usize;
            images[to..to + from.len()].copy_from_slice(&data[from]);
        }
        records[memory] = Some(ImageRecord { start, bytes: at as u64..at as u64 + length });
    }
    (records, images)
}

impl Module {
    /// Validates and compiles a module in binary or text form.
    ///
    /// # Errors
    ///
    /// [`CompileError`] with the offset, and the function where there is one.
    ///
    /// ```
    /// use wattest::{Engine, Module};
    /// let engine = Engine::default();
    /// assert!(Module::new(&engine, "(module)").is_ok());
    /// let error = Module::new(&engine, b"\0asm\x01\0\0\0\x0a\x01").err().unwrap();
    /// assert_eq!(error.offset(), Some(10));
    /// ```
    pub fn new(engine: &Engine, wasm: impl AsRef<[u8]>) -> Result<Module, CompileError> {
        let bytes = wasm.as_ref();
        if bytes.starts_with(b"\0asm") {
            return Module::from_binary(engine, bytes);
        }
        let binary = wat::parse_bytes(bytes).map_err(|error| CompileError::Text(error.to_string()))?;
        Module::from_binary(engine, &binary)
    }

    /// Validates and compiles a module in binary form.
    ///
    /// # Errors
    ///
    /// As [`Module::new`].
    pub fn from_binary(engine: &Engine, wasm: &[u8]) -> Result<Module, CompileError> {
        Module::with_features(engine, wasm, engine.config().features)
    }

    /// As [`Module::from_binary`], with other features than the engine's: for modules that the engine itself emits.
    pub(crate) fn with_features(
        engine: &Engine,
        wasm: &[u8],
        features: wattest_module::Features,
    ) -> Result<Module, CompileError> {
        let desc = decode(wasm, &features, &engine.config().limits)?;
        if !wattest_vm::vmctx_fits(&desc.counts()) {
            return Err(CompileError::Codegen("the module has too many imports, globals and functions".to_owned()));
        }
        let parallel = engine.config().options.parallel_compilation;
        let code = wattest_compile::compile_module(&desc, wasm, engine.tunables(), engine.target(), parallel)
            .map_err(|error| CompileError::Codegen(error.to_string()))?;
        crate::load::from_compiled(engine, code, ModuleData::new(desc, wasm))
    }

    /// Validates a module in binary form without compiling it.
    ///
    /// # Errors
    ///
    /// As [`Module::new`].
    pub fn validate(engine: &Engine, wasm: &[u8]) -> Result<(), CompileError> {
        decode(wasm, &engine.config().features, &engine.config().limits)?;
        Ok(())
    }

    /// Checks the contents of the custom sections that the engine makes use of, such as branch hints. Elsewhere, what is
    /// wrong there is ignored, as the specification wants.
    ///
    /// # Errors
    ///
    /// As [`Module::validate`], or such a section is malformed or refers to something that is not there.
    pub fn validate_custom_sections(engine: &Engine, wasm: &[u8]) -> Result<(), CompileError> {
        wattest_module::check_custom_sections(wasm, &engine.config().features, &engine.config().limits)?;
        Ok(())
    }

    /// The module's artifact: machine code that [`Module::deserialize`] loads. Equal modules compiled by equal engines
    /// have equal artifacts.
    ///
    /// # Errors
    ///
    /// The description cannot be encoded.
    pub fn serialize(&self) -> Result<Vec<u8>, SerializeError> {
        let runtime = &self.inner.runtime;
        let (records, images) = build_images(runtime.desc(), runtime.data().as_slice());
        let description = postcard::to_allocvec(&(runtime.desc(), &records));
        let description = description.map_err(|error| SerializeError(error.to_string()))?;
        let code = runtime.code();
        let mut writer = ArtifactWriter::default();
        writer.section(SectionKind::Compatibility, self.inner.engine.compatibility());
        writer.section(SectionKind::Module, description);
        writer.section(SectionKind::Text, code.code.text().to_vec());
        writer.section(SectionKind::Functions, encode_records(&code.functions.to_vec()));
        let mut traps = code.traps.to_vec();
        if wattest_abi::mutant!(artifact_last_trap_lost) {
            traps.pop();
        }
        writer.section(SectionKind::Traps, encode_records(&traps));
        writer.section(SectionKind::Addresses, encode_records(&code.addresses.to_vec()));
        writer.section(SectionKind::Handlers, encode_records(&code.handlers.to_vec()));
        writer.section(SectionKind::StackMaps, encode_records(&code.stack_maps.to_vec()));
        writer.section(SectionKind::Locals, encode_records(&code.locals.to_vec()));
        writer.section(SectionKind::Data, runtime.data().as_slice().to_vec());
        writer.section(SectionKind::Images, images);
        writer.section(SectionKind::Names, self.inner.names.section.clone());
        Ok(writer.finish())
    }

    /// The engine that the module was compiled by.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// A number that no other module of this process has: frames of backtraces carry it. Clones are the same module.
    pub fn id(&self) -> u64 {
        self.inner.names.id
    }

    /// The module's name, from its name section.
    pub fn name(&self) -> Option<&str> {
        self.desc().name.as_deref()
    }

    /// The imports, in order.
    pub fn imports(&self) -> impl ExactSizeIterator<Item = ImportType<'_>> {
        let (desc, type_ids) = (self.desc(), self.runtime().type_ids());
        desc.imports.iter().map(move |import| ImportType { desc, type_ids, import })
    }

    /// The exports, in order.
    pub fn exports(&self) -> impl ExactSizeIterator<Item = ExportType<'_>> {
        let (desc, type_ids) = (self.desc(), self.runtime().type_ids());
        desc.exports.iter().map(move |export| ExportType { desc, type_ids, export })
    }

    /// The type of the export called `name`.
    pub fn get_export(&self, name: &str) -> Option<ExternType> {
        let export = self.desc().export(name)?;
        Some(ExternType::of(self.desc(), self.runtime().type_ids(), self.desc().entity_type(export.kind)))
    }

    /// Bytes of machine code.
    pub fn text_bytes(&self) -> usize {
        self.inner.runtime.code().code.text().len()
    }

    pub(crate) fn desc(&self) -> &ModuleDesc {
        self.inner.runtime.desc()
    }

    pub(crate) fn runtime(&self) -> &Arc<RuntimeModule> {
        &self.inner.runtime
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// An import of a module.
#[derive(Clone, Copy, Debug)]
pub struct ImportType<'a> {
    desc: &'a ModuleDesc,
    type_ids: &'a [u32],
    import: &'a wattest_module::Import,
}

impl<'a> ImportType<'a> {
    /// Module name.
    pub fn module(&self) -> &'a str {
        &self.import.module
    }

    /// Field name.
    pub fn name(&self) -> &'a str {
        &self.import.name
    }

    /// The type it must have.
    pub fn ty(&self) -> ExternType {
        ExternType::of(self.desc, self.type_ids, self.desc.entity_type(self.import.kind))
    }

    /// Whether a function must be of the type itself, not of one declared below it.
    pub fn is_exact(&self) -> bool {
        self.import.exact
    }
}

/// An export of a module.
#[derive(Clone, Copy, Debug)]
pub struct ExportType<'a> {
    desc: &'a ModuleDesc,
    type_ids: &'a [u32],
    export: &'a wattest_module::Export,
}

impl<'a> ExportType<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        &self.export.name
    }

    /// Its type.
    pub fn ty(&self) -> ExternType {
        ExternType::of(self.desc, self.type_ids, self.desc.entity_type(self.export.kind))
    }
}
