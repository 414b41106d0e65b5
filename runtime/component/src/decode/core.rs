//! Core modules and core types.
//!
//! A core module stays a byte range; kept are its imports, its exports and whether it runs code when it is instantiated
//! ([core definitions](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#core-type-definitions)).
//! Types are reduced to what the pipeline depends on.
//!
//! Invariant: what is read here has been validated.
//!
//! Does not know: function bodies, segments, recursive types.

use super::ast::{Def, ModuleDef, ModuleType, ModuleTypeIndex};
use super::{Decoder, broken, each};
use crate::error::ComponentError;
use crate::graph::{CoreEntity, MemoryShape, Signature, Sort};
use crate::ids::SignatureIndex;
use std::collections::HashMap;
use std::ops::Range;
use wasmparser::types::{EntityType, Types};
use wasmparser::{
    CompositeInnerType, ExternalKind, FuncType, MemoryType, ModuleTypeDeclaration, Payload, SubType, TypeRef, ValType,
};
use wattest_canon::{CoreType, Width};

/// An entry of a core type index space.
#[derive(Clone, Copy, Debug)]
pub(super) enum CoreTypeRow {
    Func(Option<SignatureIndex>),
    Module(ModuleTypeIndex),
    Other,
}

/// A core module that is being decoded.
pub(super) struct ModuleReader<'a> {
    bytes: Range<usize>,
    imports: Vec<wasmparser::Import<'a>>,
    exports: Vec<wasmparser::Export<'a>>,
    start: bool,
    tags: bool,
}

impl ModuleReader<'_> {
    pub fn new(bytes: Range<usize>) -> Self {
        ModuleReader { bytes, imports: Vec::new(), exports: Vec::new(), start: false, tags: false }
    }
}

/// The sort of a core import or export.
pub(super) fn sort(kind: ExternalKind) -> Sort {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => Sort::Func,
        ExternalKind::Table => Sort::Table,
        ExternalKind::Memory => Sort::Memory,
        ExternalKind::Global => Sort::Global,
        ExternalKind::Tag => Sort::Tag,
    }
}

fn memory(ty: MemoryType) -> CoreEntity {
    CoreEntity::Memory(MemoryShape {
        width: if ty.memory64 { Width::W64 } else { Width::W32 },
        // Validation lets 0 and 16 through.
        page_log2: u8::try_from(ty.page_size_log2.unwrap_or(16)).unwrap_or(16),
        shared: ty.shared,
    })
}

fn core_type(ty: ValType) -> Option<CoreType> {
    Some(match ty {
        ValType::I32 => CoreType::I32,
        ValType::I64 => CoreType::I64,
        ValType::F32 => CoreType::F32,
        ValType::F64 => CoreType::F64,
        _ => return None,
    })
}

impl<'a> Decoder<'a> {
    pub(super) fn module_payload(&mut self, payload: Payload<'a>) -> Result<(), ComponentError> {
        let Some(module) = &mut self.module else { return Ok(()) };
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    module.imports.push(import.map_err(|error| super::invalid(&error))?);
                }
                Ok(())
            }
            Payload::ExportSection(section) => each(section, |export| {
                module.exports.push(export);
                Ok(())
            }),
            Payload::StartSection { .. } => {
                module.start = true;
                Ok(())
            }
            Payload::TagSection(section) => {
                module.tags |= section.count() > 0;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn end_module(&mut self, types: &Types) -> Result<(), ComponentError> {
        let Some(module) = self.module.take() else { return Ok(()) };
        let types_ref = types.as_ref();
        // ORDER: only looked up by name.
        let mut def = ModuleDef {
            bytes: module.bytes,
            imports: Vec::with_capacity(module.imports.len()),
            exports: HashMap::with_capacity(module.exports.len()),
            start: module.start,
            throws: module.tags,
        };
        for import in &module.imports {
            let ty = types_ref.entity_type_from_import(import).ok_or_else(|| broken("an import's type"))?;
            let entity = self.entity(types, &ty);
            def.throws |= entity == CoreEntity::Tag;
            def.imports.push((self.symbols.intern(import.module), self.symbols.intern(import.name), entity));
        }
        for export in &module.exports {
            let ty = types_ref.entity_type_from_export(export).ok_or_else(|| broken("an export's type"))?;
            let entity = self.entity(types, &ty);
            def.exports.insert(self.symbols.intern(export.name), (export.index, entity));
        }
        self.count((module.imports.len() + module.exports.len()) as u64)?;
        self.modules.push(def);
        self.define(Def::CoreModule(self.modules.len() as u32 - 1))
    }

    fn entity(&mut self, types: &Types, ty: &EntityType) -> CoreEntity {
        match ty {
            EntityType::Func(id) | EntityType::FuncExact(id) => {
                let ty = types.as_ref().get(*id);
                CoreEntity::Func(ty.and_then(|ty| self.sub_type(ty)))
            }
            EntityType::Table(_) => CoreEntity::Table,
            EntityType::Memory(ty) => memory(*ty),
            EntityType::Global(_) => CoreEntity::Global,
            EntityType::Tag(_) => CoreEntity::Tag,
        }
    }

    fn sub_type(&mut self, ty: &SubType) -> Option<SignatureIndex> {
        match &ty.composite_type.inner {
            CompositeInnerType::Func(ty) => self.signature(ty),
            _ => None,
        }
    }

    fn signature(&mut self, ty: &FuncType) -> Option<SignatureIndex> {
        let list = |types: &[ValType]| types.iter().map(|ty| core_type(*ty)).collect::<Option<Vec<_>>>();
        let signature = Signature { params: list(ty.params())?.into(), results: list(ty.results())?.into() };
        let next = SignatureIndex::at(self.signatures.len());
        let index = *self.signature_ids.entry(signature.clone()).or_insert(next);
        if index == next {
            self.signatures.push(signature);
        }
        Some(index)
    }

    /// Adds a core type to the innermost scope.
    pub(super) fn core_type(&mut self, ty: &wasmparser::CoreType<'a>) -> Result<(), ComponentError> {
        match ty {
            wasmparser::CoreType::Rec(group) => {
                for ty in group.types() {
                    let row = self.core_sub_type(ty);
                    self.top().core_types.push(row);
                }
            }
            wasmparser::CoreType::Module(declarations) => {
                let ty = self.module_type(declarations)?;
                self.module_types.push(ty);
                let row = CoreTypeRow::Module(ModuleTypeIndex(self.module_types.len() as u32 - 1));
                self.top().core_types.push(row);
            }
        }
        self.count(1)
    }

    fn core_sub_type(&mut self, ty: &SubType) -> CoreTypeRow {
        match &ty.composite_type.inner {
            CompositeInnerType::Func(ty) => CoreTypeRow::Func(self.signature(ty)),
            _ => CoreTypeRow::Other,
        }
    }

    fn module_type(&mut self, declarations: &[ModuleTypeDeclaration<'a>]) -> Result<ModuleType, ComponentError> {
        let mut rows: Vec<CoreTypeRow> = Vec::new();
        let mut module = ModuleType::default();
        for declaration in declarations {
            match declaration {
                ModuleTypeDeclaration::Type(group) => {
                    for ty in group.types() {
                        rows.push(self.core_sub_type(ty));
                    }
                }
                ModuleTypeDeclaration::OuterAlias { count: 0, index, .. } => {
                    rows.push(*rows.get(*index as usize).ok_or_else(|| broken("a core type"))?);
                }
                // A module type is a scope of its own, which is not among the frames.
                ModuleTypeDeclaration::OuterAlias { count, index, .. } => {
                    rows.push(self.outer_core_type(count - 1, *index)?);
                }
                ModuleTypeDeclaration::Export { name, ty } => {
                    let entity = declared(&rows, ty);
                    module.exports.push((self.symbols.intern(name), entity));
                }
                ModuleTypeDeclaration::Import(import) => {
                    let entity = declared(&rows, &import.ty);
                    let names = (self.symbols.intern(import.module), self.symbols.intern(import.name));
                    module.imports.push((names.0, names.1, entity));
                }
            }
        }
        self.count(declarations.len() as u64)?;
        Ok(module)
    }
}

fn declared(rows: &[CoreTypeRow], ty: &TypeRef) -> CoreEntity {
    match ty {
        TypeRef::Func(index) | TypeRef::FuncExact(index) => CoreEntity::Func(match rows.get(*index as usize) {
            Some(CoreTypeRow::Func(signature)) => *signature,
            _ => None,
        }),
        TypeRef::Table(_) => CoreEntity::Table,
        TypeRef::Memory(ty) => memory(*ty),
        TypeRef::Global(_) => CoreEntity::Global,
        TypeRef::Tag(_) => CoreEntity::Tag,
    }
}
