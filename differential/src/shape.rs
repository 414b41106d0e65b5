//! The index spaces of a module in neutral terms.
//!
//! What a comparison must know without trusting either engine: types of functions and globals, sizes and limits of tables
//! and memories, names of exported functions ([spec](https://webassembly.github.io/spec/core/syntax/modules.html)).
//!
//! Invariant: every vector covers its index space, imports first.
//!
//! Does not know: bodies; types that no engine here shares (an error).

use crate::ValueType;
use std::fmt;
use wasmparser::{Parser, Payload, TypeRef};

/// A module that cannot be described: malformed, or with types beyond [`ValueType`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError(pub String);

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot describe the module: {}", self.0)
    }
}

impl std::error::Error for ShapeError {}

impl From<wasmparser::BinaryReaderError> for ShapeError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        ShapeError(error.to_string())
    }
}

/// Type of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FuncSignature {
    /// Parameters.
    pub params: Vec<ValueType>,
    /// Results.
    pub results: Vec<ValueType>,
}

/// Type of a global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalShape {
    /// Content.
    pub ty: ValueType,
    /// Whether it can be set.
    pub mutable: bool,
}

/// Type of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableShape {
    /// Element type.
    pub element: ValueType,
    /// Whether indices are 64-bit.
    pub table64: bool,
    /// Least size, in elements.
    pub minimum: u64,
    /// Greatest size, in elements.
    pub maximum: Option<u64>,
}

/// Type of a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryShape {
    /// Whether addresses are 64-bit.
    pub memory64: bool,
    /// Least size, in pages.
    pub minimum: u64,
    /// Greatest size, in pages.
    pub maximum: Option<u64>,
    /// Logarithm of the page size in bytes.
    pub page_bytes_log2: u8,
}

/// What is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportKind {
    /// The function of this index.
    Func(u32),
    /// The global of this index.
    Global(u32),
    /// The table of this index.
    Table(u32),
    /// The memory of this index.
    Memory(u32),
}

/// An import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportShape {
    /// Module name.
    pub module: String,
    /// Field name.
    pub name: String,
    /// What.
    pub kind: ImportKind,
}

/// The index spaces of a module.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// Signatures of all functions.
    pub functions: Vec<FuncSignature>,
    /// Types of all globals.
    pub globals: Vec<GlobalShape>,
    /// Types of all tables.
    pub tables: Vec<TableShape>,
    /// Types of all memories.
    pub memories: Vec<MemoryShape>,
    /// Imports, in order.
    pub imports: Vec<ImportShape>,
    /// For each function, a name under which the original module exports it.
    pub export_names: Vec<Option<String>>,
    /// How many functions are imported.
    pub imported_functions: u32,
    /// The last exported function with a body, by index and name: what a host function calls back.
    pub callback: Option<(u32, String)>,
    /// The first exported memory, by index and name: what a host function grows and writes.
    pub host_memory: Option<(u32, String)>,
    /// Bytes of code.
    pub code_bytes: u64,
    /// How many data segments there are.
    pub data_segments: u32,
    /// Of each element segment, the type of its elements; `None` for one that no table here can have.
    pub element_segments: Vec<Option<ValueType>>,
    /// Whether operations can name data segments.
    pub counts_data: bool,
    types: Vec<Option<FuncSignature>>,
}

impl Shape {
    /// Reads the sections of a binary module. Bodies are not read.
    pub fn of(wasm: &[u8]) -> Result<Shape, ShapeError> {
        let mut shape = Shape::default();
        for payload in Parser::new(0).parse_all(wasm) {
            shape.absorb(payload?)?;
        }
        Ok(shape)
    }

    fn absorb(&mut self, payload: Payload<'_>) -> Result<(), ShapeError> {
        match payload {
            Payload::TypeSection(reader) => {
                for group in reader {
                    for ty in group?.types() {
                        self.types.push(signature(ty));
                    }
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let import = import?;
                    self.import(import.module, import.name, import.ty)?;
                }
            }
            Payload::FunctionSection(reader) => {
                for ty in reader {
                    self.function(ty?)?;
                }
            }
            Payload::TableSection(reader) => {
                for table in reader {
                    self.tables.push(table_shape(&table?.ty)?);
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    self.memories.push(memory_shape(&memory?)?);
                }
            }
            Payload::GlobalSection(reader) => {
                for global in reader {
                    self.globals.push(global_shape(&global?.ty)?);
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export?;
                    self.note_host_targets(export);
                    if export.kind == wasmparser::ExternalKind::Func
                        && let Some(name) = self.export_names.get_mut(export.index as usize)
                    {
                        name.get_or_insert_with(|| export.name.to_owned());
                    }
                }
            }
            Payload::CodeSectionStart { size, .. } => self.code_bytes = u64::from(size),
            Payload::DataCountSection { .. } => self.counts_data = true,
            Payload::DataSection(reader) => self.data_segments = reader.count(),
            Payload::ElementSection(reader) => {
                for element in reader {
                    self.element_segments.push(element_type(&element?.items));
                }
            }
            Payload::TagSection(_) => return Err(ShapeError("tags are not covered yet".into())),
            _ => {}
        }
        Ok(())
    }

    /// How many types there are.
    pub(crate) fn type_count(&self) -> u32 {
        self.types.len() as u32
    }

    fn note_host_targets(&mut self, export: wasmparser::Export<'_>) {
        let target = Some((export.index, export.name.to_owned()));
        let later = self.callback.as_ref().is_none_or(|(index, _)| *index < export.index);
        match export.kind {
            wasmparser::ExternalKind::Func if export.index >= self.imported_functions && later => {
                self.callback = target
            }
            wasmparser::ExternalKind::Memory if self.host_memory.is_none() => self.host_memory = target,
            _ => {}
        }
    }

    fn function(&mut self, ty: u32) -> Result<(), ShapeError> {
        let signature = self.types.get(ty as usize).cloned().flatten();
        self.functions.push(signature.ok_or_else(|| ShapeError(format!("type {ty} is not a covered function type")))?);
        self.export_names.push(None);
        Ok(())
    }

    fn import(&mut self, module: &str, name: &str, ty: TypeRef) -> Result<(), ShapeError> {
        let kind = match ty {
            TypeRef::Func(ty) => {
                self.function(ty)?;
                self.imported_functions += 1;
                ImportKind::Func(self.functions.len() as u32 - 1)
            }
            TypeRef::Table(ty) => {
                self.tables.push(table_shape(&ty)?);
                ImportKind::Table(self.tables.len() as u32 - 1)
            }
            TypeRef::Memory(ty) => {
                self.memories.push(memory_shape(&ty)?);
                ImportKind::Memory(self.memories.len() as u32 - 1)
            }
            TypeRef::Global(ty) => {
                self.globals.push(global_shape(&ty)?);
                ImportKind::Global(self.globals.len() as u32 - 1)
            }
            other => return Err(ShapeError(format!("import {module}.{name} of kind {other:?} is not covered yet"))),
        };
        self.imports.push(ImportShape { module: module.to_owned(), name: name.to_owned(), kind });
        Ok(())
    }
}

/// The type of the tables that a segment's elements fit.
fn element_type(items: &wasmparser::ElementItems<'_>) -> Option<ValueType> {
    match items {
        wasmparser::ElementItems::Functions(_) => Some(ValueType::FuncRef),
        wasmparser::ElementItems::Expressions(ty, _) => match ty.heap_type() {
            wasmparser::HeapType::FUNC => Some(ValueType::FuncRef),
            wasmparser::HeapType::EXTERN => Some(ValueType::ExternRef),
            _ => None,
        },
    }
}

fn signature(ty: &wasmparser::SubType) -> Option<FuncSignature> {
    let wasmparser::CompositeInnerType::Func(ty) = &ty.composite_type.inner else { return None };
    let convert =
        |types: &[wasmparser::ValType]| types.iter().map(|ty| value_type(*ty).ok()).collect::<Option<Vec<_>>>();
    Some(FuncSignature { params: convert(ty.params())?, results: convert(ty.results())? })
}

fn value_type(ty: wasmparser::ValType) -> Result<ValueType, ShapeError> {
    use wasmparser::ValType;
    Ok(match ty {
        ValType::I32 => ValueType::I32,
        ValType::I64 => ValueType::I64,
        ValType::F32 => ValueType::F32,
        ValType::F64 => ValueType::F64,
        ValType::V128 => ValueType::V128,
        ValType::Ref(wasmparser::RefType::FUNCREF) => ValueType::FuncRef,
        ValType::Ref(wasmparser::RefType::EXTERNREF) => ValueType::ExternRef,
        ValType::Ref(other) => return Err(ShapeError(format!("reference type {other} is not covered yet"))),
    })
}

fn global_shape(ty: &wasmparser::GlobalType) -> Result<GlobalShape, ShapeError> {
    Ok(GlobalShape { ty: value_type(ty.content_type)?, mutable: ty.mutable })
}

fn table_shape(ty: &wasmparser::TableType) -> Result<TableShape, ShapeError> {
    let element = value_type(wasmparser::ValType::Ref(ty.element_type))?;
    Ok(TableShape { element, table64: ty.table64, minimum: ty.initial, maximum: ty.maximum })
}

fn memory_shape(ty: &wasmparser::MemoryType) -> Result<MemoryShape, ShapeError> {
    if ty.shared {
        return Err(ShapeError("shared memories are not covered yet".into()));
    }
    let page_bytes_log2 = ty.page_size_log2.unwrap_or(16) as u8;
    Ok(MemoryShape { memory64: ty.memory64, minimum: ty.initial, maximum: ty.maximum, page_bytes_log2 })
}
