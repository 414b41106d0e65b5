//! A module that can be instantiated: description, code, data.
//!
//! Invariant: the code was compiled from the description under the tunables of the engine; whoever makes a
//! [`RuntimeModule`] vouches for that.
//!
//! Does not know: how modules are compiled or loaded.

use crate::artifact::ArtifactFile;
use crate::memory::ImageRef;
use crate::registry::{CodeInfo, Registration};
use std::sync::Arc;
use wattest_abi::artifact::SectionKind;
use wattest_abi::vmctx::{IMPORT_BYTES, VmCounts};
use wattest_abi::{ValueKind, VmOffsets};
use wattest_module::{DataIndex, DefinedFuncIndex, FuncIndex, ModuleDesc};

/// Bytes that live as long as a module: owned, or part of a mapped artifact.
#[derive(Clone)]
pub enum ModuleBytes {
    /// Owned bytes.
    Owned(Arc<[u8]>),
    /// The data section of an artifact.
    Artifact(Arc<ArtifactFile>),
}

impl ModuleBytes {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            ModuleBytes::Owned(bytes) => bytes,
            ModuleBytes::Artifact(file) => file.section(SectionKind::Data),
        }
    }
}

/// A module ready for instantiation.
pub struct RuntimeModule {
    pub(crate) desc: ModuleDesc,
    pub(crate) offsets: VmOffsets,
    pub(crate) code: Registration,
    pub(crate) type_ids: Box<[u32]>,
    pub(crate) data: ModuleBytes,
    pub(crate) images: Vec<Option<ImageRef>>,
    /// Code address and type of every escaping function, in slot order.
    pub(crate) escaping: Box<[(CodeAddress, u32)]>,
    /// One code address per defined function, when calls go through it.
    pub(crate) entries: Box<[usize]>,
    /// Defined globals that hold references the collector looks at.
    pub(crate) traced_globals: Box<[u32]>,
}

impl RuntimeModule {
    /// Puts a module together. `images` has one entry per defined memory; where it is `Some`, all active data segments
    /// of that memory are in the image.
    ///
    /// # Safety
    ///
    /// `code` must have been compiled from `desc`, with `type_ids` the engine's identifiers of its types, under the
    /// tunables of every store that will instantiate the module.
    pub unsafe fn new(
        desc: ModuleDesc,
        code: Registration,
        type_ids: Box<[u32]>,
        data: ModuleBytes,
        images: Vec<Option<ImageRef>>,
        with_entries: bool,
    ) -> RuntimeModule {
        let offsets = VmOffsets::new(&desc.counts());
        let count = if with_entries { desc.bodies.len() as u32 } else { 0 };
        let entries = (0..count).map(|index| function_address(code.info(), DefinedFuncIndex(index)) as usize).collect();
        let escaping = escaping_functions(&desc, code.info(), &type_ids);
        let defined = desc.globals.iter().skip(desc.imported_globals as usize).enumerate();
        let traced_globals = defined.filter(|(_, ty)| ty.content.kind() == ValueKind::Ref);
        let traced_globals = traced_globals.map(|(index, _)| index as u32).collect();
        RuntimeModule { desc, offsets, code, type_ids, data, images, escaping, entries, traced_globals }
    }

    /// The description.
    pub fn desc(&self) -> &ModuleDesc {
        &self.desc
    }

    /// The code.
    pub fn code(&self) -> &Arc<CodeInfo> {
        self.code.info()
    }

    /// The address of the text.
    pub(crate) fn text_address(&self) -> *const u8 {
        self.code.info().code.text().as_ptr()
    }

    /// Engine-wide identifiers of the module's types.
    pub fn type_ids(&self) -> &[u32] {
        &self.type_ids
    }

    /// The bytes that data segments are ranges of.
    pub fn data(&self) -> &ModuleBytes {
        &self.data
    }

    /// The contents of a data segment.
    pub(crate) fn segment(&self, index: DataIndex) -> &[u8] {
        let range = &self.desc.data_segment(index).bytes;
        self.data.as_slice().get(range.start as usize..range.end as usize).unwrap_or(&[])
    }
}

/// The address of compiled code.
#[derive(Clone, Copy)]
pub(crate) struct CodeAddress(pub *const u8);

// SAFETY: the address of immutable memory that the module keeps mapped.
unsafe impl Send for CodeAddress {}
// SAFETY: as above.
unsafe impl Sync for CodeAddress {}

fn escaping_functions(desc: &ModuleDesc, code: &CodeInfo, type_ids: &[u32]) -> Box<[(CodeAddress, u32)]> {
    let mut escaping = vec![(CodeAddress(std::ptr::null()), 0); desc.escaping_functions as usize];
    for (defined, ty) in desc.functions.iter().skip(desc.imported_functions as usize).enumerate() {
        let func = FuncIndex(desc.imported_functions + defined as u32);
        if let Some(slot) = desc.func_ref_slot(func) {
            let address = CodeAddress(function_address(code, DefinedFuncIndex(defined as u32)));
            escaping[slot as usize] = (address, type_ids[ty.index()]);
        }
    }
    escaping.into()
}

fn function_address(code: &CodeInfo, index: DefinedFuncIndex) -> *const u8 {
    let record = code.functions.get(index.index());
    record.and_then(|record| code.code.entry(record.text_offset)).unwrap_or(std::ptr::null())
}

/// Whether a `vmctx` of these counts has a size that offsets can express.
pub fn vmctx_fits(counts: &VmCounts) -> bool {
    const BYTES_MAX: u64 = 1 << 30;
    let pairs = [
        (counts.imported_functions, IMPORT_BYTES),
        (counts.escaping_functions, IMPORT_BYTES),
        (counts.imported_globals + counts.defined_globals, 16),
        (counts.imported_tags + counts.defined_tags, 16),
    ];
    pairs.iter().map(|(count, bytes)| u64::from(*count) * u64::from(*bytes)).sum::<u64>() < BYTES_MAX
}
