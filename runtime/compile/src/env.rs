//! What all function bodies of a module share while they are compiled.
//!
//! Invariant: nothing here changes once [`ModuleCompiler::new`] has returned, so functions compile in any order and on any
//! thread.
//!
//! Does not know: any single function.

use crate::Target;
use cranelift_codegen::ir::Signature;
use wattest_abi::gc::{FieldKind, FieldLayout, STRUCT_FIELDS};
use wattest_abi::vmctx::VmOffsets;
use wattest_abi::{Tunables, ValueKind};
use wattest_module::{
    CompositeType, ConstOp, DefinedFuncIndex, FuncIndex, GlobalIndex, MemoryIndex, ModuleDesc, SubType, TableIndex,
    TypeIndex,
};

/// How accesses to a memory are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bounds {
    /// The reservation and guard catch every access whose static offset stays within the guard.
    Guard,
    /// Compare the index with the length; what lies up to a guard's size beyond the length faults.
    LengthThenGuard,
    /// Compare the end of the access with the length.
    Exact,
}

/// What is known about a memory before any instance exists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryPlan {
    pub bounds: Bounds,
    pub memory64: bool,
    pub page_bytes_log2: u8,
    /// Bytes that are always accessible.
    pub minimum_bytes: u64,
    /// The length in bytes, if it never changes.
    pub fixed_bytes: Option<u64>,
    /// Whether the base address never changes.
    pub fixed_base: bool,
    /// Offset in the `vmctx` of the definition, or of a pointer to it.
    pub vmctx_offset: u32,
    /// Whether `vmctx_offset` holds a pointer.
    pub indirect: bool,
    pub shared: bool,
}

/// What is known about a table before any instance exists.
#[derive(Clone, Debug)]
pub(crate) struct TablePlan {
    pub table64: bool,
    pub element: ValueKind,
    /// The length in elements, if it never changes.
    pub fixed_length: Option<u64>,
    /// Offset in the `vmctx` of the definition, or of a pointer to it.
    pub vmctx_offset: u32,
    /// Whether `vmctx_offset` holds a pointer.
    pub indirect: bool,
    /// Contents that are known and never change.
    pub contents: Option<Vec<Option<DefinedFuncIndex>>>,
}

/// What is known about a global before any instance exists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GlobalPlan {
    pub kind: ValueKind,
    pub mutable: bool,
    /// The value of an immutable global with a literal initializer.
    pub literal: Option<ConstOp>,
    /// Offset in the `vmctx` of the slot, or of a pointer to it.
    pub vmctx_offset: u32,
    /// Whether `vmctx_offset` holds a pointer.
    pub indirect: bool,
}

/// What is known about a struct type.
#[derive(Clone, Debug)]
pub(crate) struct StructPlan {
    pub kinds: Vec<FieldKind>,
    pub layout: FieldLayout,
}

/// Compiles functions of one module.
pub struct ModuleCompiler<'a> {
    pub(crate) desc: &'a ModuleDesc,
    pub(crate) wasm: &'a [u8],
    pub(crate) tunables: &'a Tunables,
    pub(crate) target: &'a Target,
    pub(crate) offsets: VmOffsets,
    pub(crate) memories: Vec<MemoryPlan>,
    pub(crate) tables: Vec<TablePlan>,
    pub(crate) globals: Vec<GlobalPlan>,
    /// Signatures of function types, by type index.
    pub(crate) signatures: Vec<Option<Signature>>,
    /// Struct types, by type index.
    pub(crate) structs: Vec<Option<StructPlan>>,
    /// Number of supertypes, by type index.
    pub(crate) depths: Vec<u32>,
}

impl<'a> ModuleCompiler<'a> {
    /// Prepares to compile functions of `desc`, whose binary is `wasm`. `target` must have been made with `tunables`.
    pub fn new(desc: &'a ModuleDesc, wasm: &'a [u8], tunables: &'a Tunables, target: &'a Target) -> ModuleCompiler<'a> {
        let offsets = VmOffsets::new(&desc.counts());
        let signatures = desc.types.iter().map(|ty| match &ty.composite {
            CompositeType::Func(ty) => Some(crate::signature::wasm_signature(ty)),
            _ => None,
        });
        ModuleCompiler {
            desc,
            wasm,
            tunables,
            target,
            offsets,
            memories: (0..desc.memories.len()).map(|i| memory_plan(desc, &offsets, tunables, i as u32)).collect(),
            tables: (0..desc.tables.len()).map(|i| table_plan(desc, &offsets, i as u32)).collect(),
            globals: (0..desc.globals.len()).map(|i| global_plan(desc, &offsets, i as u32)).collect(),
            signatures: signatures.collect(),
            structs: desc.types.iter().map(struct_plan).collect(),
            depths: depths(desc),
        }
    }

    /// The module-wide identity of function type `ty`: what static tables are checked against. Never 0.
    pub(crate) fn static_type_id(&self, ty: TypeIndex) -> u32 {
        self.desc.canonical[ty.index()].0 + 1
    }

    /// The type of defined function `func`.
    pub(crate) fn type_of_defined(&self, func: DefinedFuncIndex) -> TypeIndex {
        self.desc.functions[self.desc.func_index(func).index()]
    }

    /// Offset in the `vmctx` of the import record of `func`.
    pub(crate) fn import_offset(&self, func: FuncIndex) -> u32 {
        self.offsets.imported_functions + func.0 * wattest_abi::vmctx::IMPORT_BYTES
    }
}

fn struct_plan(sub: &SubType) -> Option<StructPlan> {
    let CompositeType::Struct(ty) = &sub.composite else { return None };
    let kinds = ty.fields.iter().map(|field| field.kind()).collect::<Vec<_>>();
    let before = sub.descriptor.map(|descriptor| descriptor.before);
    let layout = FieldLayout::with_descriptor(STRUCT_FIELDS, kinds.iter().copied(), before);
    Some(StructPlan { kinds, layout })
}

/// Number of supertypes of every type; a supertype always comes first.
fn depths(desc: &ModuleDesc) -> Vec<u32> {
    let mut depths: Vec<u32> = Vec::with_capacity(desc.types.len());
    for ty in &desc.types {
        let above = ty.supertype.and_then(|above| depths.get(above.index()));
        depths.push(above.map_or(0, |above| above + 1));
    }
    depths
}

fn memory_plan(desc: &ModuleDesc, offsets: &VmOffsets, tunables: &Tunables, index: u32) -> MemoryPlan {
    let ty = &desc.memories[MemoryIndex(index).index()];
    let page_bytes = ty.page_bytes();
    let limit = ty.maximum.unwrap_or(u64::MAX).min(ty.pages_max());
    let maximum_bytes = limit.checked_mul(page_bytes);
    let minimum_bytes = ty.minimum.saturating_mul(page_bytes);
    let host_page_multiple = page_bytes.is_multiple_of(wattest_abi::WASM_PAGE_BYTES);
    let bounds = if !tunables.needs_explicit_bounds(ty.index_bits(), page_bytes) {
        Bounds::Guard
    } else if tunables.signals_based_traps && !tunables.explicit_bounds && host_page_multiple {
        Bounds::LengthThenGuard
    } else {
        Bounds::Exact
    };
    let within_reservation = maximum_bytes.is_some_and(|bytes| bytes <= tunables.memory_reservation_bytes);
    let imported = index < desc.imported_memories;
    let vmctx_offset = if imported {
        offsets.imported_memories + index * 8
    } else {
        offsets.defined_memories + (index - desc.imported_memories) * wattest_abi::vmctx::MEMORY_BYTES
    };
    MemoryPlan {
        bounds,
        memory64: ty.memory64,
        page_bytes_log2: ty.page_bytes_log2,
        minimum_bytes,
        fixed_bytes: (ty.maximum == Some(ty.minimum)).then_some(minimum_bytes),
        fixed_base: !tunables.memory_may_move || within_reservation || ty.shared,
        vmctx_offset,
        indirect: imported || ty.shared,
        shared: ty.shared,
    }
}

fn table_plan(desc: &ModuleDesc, offsets: &VmOffsets, index: u32) -> TablePlan {
    let table = TableIndex(index);
    let ty = &desc.tables[table.index()];
    let imported = index < desc.imported_tables;
    let fixed = ty.maximum == Some(ty.minimum) || desc.table_is_read_only(table);
    let vmctx_offset = if imported {
        offsets.imported_tables + index * 8
    } else {
        offsets.defined_tables + (index - desc.imported_tables) * wattest_abi::vmctx::TABLE_BYTES
    };
    TablePlan {
        table64: ty.table64,
        element: if ty.element.is_func { ValueKind::FuncRef } else { ValueKind::Ref },
        fixed_length: fixed.then_some(ty.minimum),
        vmctx_offset,
        indirect: imported,
        contents: desc.static_table(table),
    }
}

fn global_plan(desc: &ModuleDesc, offsets: &VmOffsets, index: u32) -> GlobalPlan {
    let ty = &desc.globals[GlobalIndex(index).index()];
    let imported = index < desc.imported_globals;
    let literal =
        match index.checked_sub(desc.imported_globals).map(|at| desc.global_inits[at as usize].0.ops.as_slice()) {
            Some([op]) if !ty.mutable => Some(*op),
            _ => None,
        };
    let vmctx_offset = if imported {
        offsets.imported_globals + index * 8
    } else {
        offsets.defined_globals + (index - desc.imported_globals) * wattest_abi::vmctx::GLOBAL_BYTES
    };
    GlobalPlan { kind: ty.content.kind(), mutable: ty.mutable, literal, vmctx_offset, indirect: imported }
}
