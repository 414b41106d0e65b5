//! Consistency of a description that was not just decoded.
//!
//! A description read back from an artifact may be damaged although it can be read. [`ModuleDesc::is_consistent`] says
//! whether every index lies in its space and every count fits, which is what using a description relies on; whether types
//! match, it does not say again.
//!
//! Invariant: what [`crate::decode`] gives is consistent.
//!
//! Does not know: artifacts.

use crate::{
    CompositeType, ConstExpr, ConstOp, DataKind, ElementItems, ElementKind, ElementSegment, FieldType, ImportKind,
    ModuleDesc, RefType, StorageType, SubType, TableInit, TypeIndex, ValType,
};

/// Largest page size that there is, as a power of two.
const PAGE_BYTES_LOG2_MAX: u8 = 16;

impl ModuleDesc {
    /// Whether every index lies in its space, and every count fits.
    pub fn is_consistent(&self) -> bool {
        self.counts_fit()
            && self.types_are_consistent()
            && self.spaces_are_consistent()
            && self.segments_are_consistent()
    }

    fn counts_fit(&self) -> bool {
        let defined = |imported: u32, all: usize| all.checked_sub(imported as usize);
        let functions = defined(self.imported_functions, self.functions.len());
        functions == Some(self.bodies.len())
            && defined(self.imported_tables, self.tables.len()) == Some(self.table_inits.len())
            && defined(self.imported_globals, self.globals.len()) == Some(self.global_inits.len())
            && defined(self.imported_memories, self.memories.len()).is_some()
            && defined(self.imported_tags, self.tags.len()).is_some()
            && self.escapes.len() == self.functions.len()
            && self.escapes.iter().all(|position| *position <= self.escaping_functions)
            && self.escaping_functions as usize <= self.functions.len()
            && self.facts.tables_written.len() == self.tables.len()
            && self.canonical.len() == self.types.len()
    }

    fn types_are_consistent(&self) -> bool {
        let starts = &self.rec_groups;
        let ends = starts.iter().skip(1).copied().chain([self.types.len() as u32]);
        starts.first().copied().unwrap_or(0) == 0
            && (self.types.is_empty() || !starts.is_empty())
            && starts.iter().copied().zip(ends).all(|(start, end)| {
                let group = self.types.get(start as usize..end as usize);
                start <= end && group.is_some_and(|group| group.iter().zip(start..).all(|(ty, own)| fits(ty, own, end)))
            })
            && self.canonical.iter().zip(0..).all(|(canonical, own)| canonical.0 <= own)
    }

    fn spaces_are_consistent(&self) -> bool {
        let is_function =
            |ty: TypeIndex| self.types.get(ty.index()).is_some_and(|ty| matches!(ty.composite, CompositeType::Func(_)));
        let types = self.types.len() as u32;
        let exists = |kind: ImportKind| match kind {
            ImportKind::Func(index) => index.index() < self.functions.len(),
            ImportKind::Table(index) => index.index() < self.tables.len(),
            ImportKind::Memory(index) => index.index() < self.memories.len(),
            ImportKind::Global(index) => index.index() < self.globals.len(),
            ImportKind::Tag(index) => index.index() < self.tags.len(),
        };
        self.functions.iter().all(|ty| is_function(*ty))
            && self.tags.iter().all(|tag| is_function(tag.ty))
            && self.tables.iter().all(|table| reference_fits(table.element, types))
            && self.globals.iter().all(|global| value_fits(global.content, types))
            && self.memories.iter().all(|memory| memory.page_bytes_log2 <= PAGE_BYTES_LOG2_MAX)
            && self.imports.iter().all(|import| exists(import.kind))
            && self.exports.iter().all(|export| exists(export.kind))
            && self.start.is_none_or(|start| exists(ImportKind::Func(start)))
            && self.global_inits.iter().all(|init| self.expression_fits(&init.0))
            && self.table_inits.iter().all(|init| match init {
                TableInit::Null => true,
                TableInit::Expr(expression) => self.expression_fits(expression),
            })
    }

    fn segments_are_consistent(&self) -> bool {
        let element = |segment: &ElementSegment| {
            let kind = match &segment.kind {
                ElementKind::Passive | ElementKind::Declared => true,
                ElementKind::Active { table, offset } => {
                    table.index() < self.tables.len() && self.expression_fits(offset)
                }
            };
            let items = match &segment.items {
                ElementItems::Functions(functions) => functions.iter().all(|func| func.index() < self.functions.len()),
                ElementItems::Expressions(items) => items.iter().all(|item| self.expression_fits(item)),
            };
            kind && items && reference_fits(segment.ty, self.types.len() as u32)
        };
        self.elements.iter().all(element)
            && self.data.iter().all(|segment| {
                let kind = match &segment.kind {
                    DataKind::Passive => true,
                    DataKind::Active { memory, offset } => {
                        memory.index() < self.memories.len() && self.expression_fits(offset)
                    }
                };
                kind && segment.bytes.start <= segment.bytes.end
            })
    }

    fn expression_fits(&self, expression: &ConstExpr) -> bool {
        let types = self.types.len() as u32;
        expression.ops.iter().all(|op| match op {
            ConstOp::GlobalGet(global) => global.index() < self.globals.len(),
            ConstOp::RefFunc(func) => func.index() < self.functions.len(),
            ConstOp::RefNull(heap) => heap.concrete().is_none_or(|ty| ty.0 < types),
            ConstOp::StructNew(ty)
            | ConstOp::StructNewDefault(ty)
            | ConstOp::StructNewDesc(ty)
            | ConstOp::StructNewDefaultDesc(ty)
            | ConstOp::ArrayNew(ty)
            | ConstOp::ArrayNewDefault(ty)
            | ConstOp::ArrayNewFixed(ty, _) => ty.0 < types,
            _ => true,
        })
    }
}

/// Whether type `own`, of a group that ends before type `end`, refers to types up to there, and to a supertype before it.
fn fits(ty: &SubType, own: u32, end: u32) -> bool {
    let field = |field: &FieldType| match field.storage {
        StorageType::Val(ty) => value_fits(ty, end),
        StorageType::I8 | StorageType::I16 => true,
    };
    let composite = match &ty.composite {
        CompositeType::Func(ty) => ty.params.iter().chain(&ty.results).all(|ty| value_fits(*ty, end)),
        CompositeType::Struct(ty) => ty.fields.iter().all(field),
        CompositeType::Array(ty) => field(&ty.0),
    };
    let descriptor = ty.descriptor.is_none_or(|descriptor| {
        let CompositeType::Struct(fields) = &ty.composite else { return false };
        descriptor.ty.0 < end && descriptor.before as usize <= fields.fields.len()
    });
    composite
        && descriptor
        && ty.supertype.is_none_or(|above| above.0 < own)
        && ty.describes.is_none_or(|described| described.0 < end)
}

fn value_fits(ty: ValType, end: u32) -> bool {
    match ty {
        ValType::Ref(ty) => reference_fits(ty, end),
        _ => true,
    }
}

fn reference_fits(ty: RefType, end: u32) -> bool {
    ty.heap.concrete().is_none_or(|ty| ty.0 < end)
}
