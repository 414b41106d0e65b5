//! Validation: what of a module's declarations instructions refer to, and the rules by chapter.
//!
//! [Contexts](https://webassembly.github.io/spec/core/valid/conventions.html#contexts) and their look-ups.
//!
//! Invariant: a look-up beyond the declarations is a [`Refusal`].
//!
//! Does not know: binaries, but for the reader's names of instructions and types.

mod aggregates;
mod control;
mod instructions;
mod memories;
mod references;
mod stack;

pub use stack::{Checker, Frame, FrameKind};

use crate::error::ModuleError;
use crate::types::{
    CompType, FieldType, FuncType, GlobalType, HeapType, MemoryType, RefType, StorageType, TableType, TypeId, Types,
    ValType,
};
use std::collections::BTreeSet;
use wasmparser::{AbstractHeapType as A, UnpackedIndex};

/// Why a rule does not apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A rule of validation is broken.
    Invalid(String),
    /// A rule of the binary grammar that needs the context is broken.
    Malformed(String),
    /// This interpreter does not define it.
    Unsupported(String),
}

impl Refusal {
    /// A broken rule of the binary grammar.
    #[must_use]
    pub fn malformed(text: &str) -> Refusal {
        Refusal::Malformed(text.to_owned())
    }

    /// The same with a place.
    #[must_use]
    pub fn at(self, offset: usize) -> ModuleError {
        match self {
            Refusal::Invalid(text) => ModuleError::invalid(offset, text),
            Refusal::Malformed(text) => ModuleError::malformed(offset, text),
            Refusal::Unsupported(text) => ModuleError::unsupported(offset, text),
        }
    }
}

impl From<String> for Refusal {
    fn from(text: String) -> Refusal {
        Refusal::Invalid(text)
    }
}

impl From<&str> for Refusal {
    fn from(text: &str) -> Refusal {
        Refusal::Invalid(text.to_owned())
    }
}

/// The context of validation.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Defined types, in canonical form.
    pub types: Types,
    /// Canonical types by type index.
    pub type_ids: Vec<TypeId>,
    /// Members of the recursive group that is being read, when one is.
    pub group: usize,
    /// Functions' types.
    pub funcs: Vec<TypeId>,
    /// Imported functions whose own type may be a subtype of the declared one.
    pub inexact: BTreeSet<u32>,
    /// Whether exact types, descriptors and casts between unrelated types are allowed.
    pub custom_descriptors: bool,
    /// Whether there is 128-bit arithmetic.
    pub wide_arithmetic: bool,
    /// Whether there are atomic accesses.
    pub threads: bool,
    /// Tables.
    pub tables: Vec<TableType>,
    /// Memories.
    pub memories: Vec<MemoryType>,
    /// Globals declared so far.
    pub globals: Vec<GlobalType>,
    /// Tags' types.
    pub tags: Vec<TypeId>,
    /// Element segments' types.
    pub elems: Vec<RefType>,
    /// How many data segments the data count section announces.
    pub datas: Option<u32>,
    /// Functions that [`ref.func`](https://webassembly.github.io/spec/core/valid/conventions.html#contexts) may name in
    /// bodies.
    pub refs: BTreeSet<u32>,
}

macro_rules! lookups {
    ($($(#[$doc:meta])* $name:ident($field:ident) -> $ty:ty, $what:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// When there is none.
        pub fn $name(&self, index: u32) -> Result<$ty, Refusal> {
            let found = self.$field.get(index as usize).copied();
            found.ok_or_else(|| format!(concat!("unknown ", $what, " {}"), index).into())
        }
    )*};
}

impl Context {
    lookups! {
        /// A type.
        ty(type_ids) -> TypeId, "type";
        /// A function's type.
        func(funcs) -> TypeId, "function";
        /// A table.
        table(tables) -> TableType, "table";
        /// A memory.
        memory(memories) -> MemoryType, "memory";
        /// A global.
        global(globals) -> GlobalType, "global";
        /// A tag's type.
        tag(tags) -> TypeId, "tag";
        /// An element segment's type.
        elem(elems) -> RefType, "elem segment";
    }

    /// A function type by type index.
    ///
    /// # Errors
    /// When there is none.
    pub fn func_type(&self, index: u32) -> Result<(TypeId, &FuncType), Refusal> {
        let id = self.ty(index)?;
        Ok((id, self.func_of(id)?))
    }

    /// The function type that `id` must be.
    ///
    /// # Errors
    /// When it is another.
    pub fn func_of(&self, id: TypeId) -> Result<&FuncType, Refusal> {
        self.types.func(id).ok_or_else(|| "type mismatch: not a function type".into())
    }

    /// A structure type by type index.
    ///
    /// # Errors
    /// When there is none.
    pub fn struct_type(&self, index: u32) -> Result<(TypeId, &[FieldType]), Refusal> {
        let id = self.ty(index)?;
        match &self.types.get(id).comp {
            CompType::Struct(fields) => Ok((id, fields)),
            _ => Err("type mismatch: not a structure type".into()),
        }
    }

    /// An array type by type index.
    ///
    /// # Errors
    /// When there is none.
    pub fn array_type(&self, index: u32) -> Result<(TypeId, FieldType), Refusal> {
        let id = self.ty(index)?;
        match &self.types.get(id).comp {
            CompType::Array(field) => Ok((id, *field)),
            _ => Err("type mismatch: not an array type".into()),
        }
    }

    /// A field of a structure type.
    ///
    /// # Errors
    /// When there is none.
    pub fn field(&self, ty: u32, field: u32) -> Result<(TypeId, FieldType), Refusal> {
        let (id, fields) = self.struct_type(ty)?;
        let field =
            fields.get(field as usize).copied().ok_or_else(|| Refusal::from(format!("unknown field {field}")))?;
        Ok((id, field))
    }

    /// A data segment.
    ///
    /// # Errors
    /// When there is none, or no section announces how many there are.
    pub fn data(&self, index: u32) -> Result<(), Refusal> {
        match self.datas {
            None => Err(Refusal::malformed("data count section required")),
            Some(count) if index < count => Ok(()),
            Some(_) => Err(format!("unknown data segment {index}").into()),
        }
    }

    /// A value type as read.
    ///
    /// # Errors
    /// When it names an unknown type.
    pub fn val_type(&self, ty: wasmparser::ValType) -> Result<ValType, Refusal> {
        Ok(match ty {
            wasmparser::ValType::I32 => ValType::I32,
            wasmparser::ValType::I64 => ValType::I64,
            wasmparser::ValType::F32 => ValType::F32,
            wasmparser::ValType::F64 => ValType::F64,
            wasmparser::ValType::V128 => ValType::V128,
            wasmparser::ValType::Ref(ty) => ValType::Ref(self.ref_type(ty)?),
        })
    }

    /// A reference type as read.
    ///
    /// # Errors
    /// When it names an unknown type.
    pub fn ref_type(&self, ty: wasmparser::RefType) -> Result<RefType, Refusal> {
        Ok(RefType { nullable: ty.is_nullable(), heap: self.heap_type(ty.heap_type())? })
    }

    /// A heap type as read.
    ///
    /// # Errors
    /// When it is an unknown type.
    pub fn heap_type(&self, ty: wasmparser::HeapType) -> Result<HeapType, Refusal> {
        match ty {
            wasmparser::HeapType::Abstract { shared: false, ty } => Ok(match ty {
                A::Any => HeapType::Any,
                A::Eq => HeapType::Eq,
                A::I31 => HeapType::I31,
                A::Struct => HeapType::Struct,
                A::Array => HeapType::Array,
                A::None => HeapType::None,
                A::Func => HeapType::Func,
                A::NoFunc => HeapType::NoFunc,
                A::Extern => HeapType::Extern,
                A::NoExtern => HeapType::NoExtern,
                A::Exn => HeapType::Exn,
                A::NoExn => HeapType::NoExn,
                A::Cont | A::NoCont => return Err(Refusal::Unsupported("stack switching".to_owned())),
            }),
            wasmparser::HeapType::Concrete(UnpackedIndex::Module(index)) => self.type_index(index),
            wasmparser::HeapType::Exact(UnpackedIndex::Module(index)) => {
                self.of_custom_descriptors("malformed heap type")?;
                Ok(match self.type_index(index)? {
                    HeapType::Def(id) => HeapType::Exact(id),
                    HeapType::Rec(position) => HeapType::ExactRec(position),
                    other => other,
                })
            }
            _ => Err(Refusal::Unsupported("shared types".to_owned())),
        }
    }

    /// What only the binary grammar of custom descriptors has.
    ///
    /// # Errors
    /// `text`, when they are off.
    pub fn of_custom_descriptors(&self, text: &str) -> Result<(), Refusal> {
        if self.custom_descriptors { Ok(()) } else { Err(Refusal::malformed(text)) }
    }

    /// A type index: of a type read before, or of the group that is being read.
    ///
    /// # Errors
    /// When there is no such type.
    pub fn type_index(&self, index: u32) -> Result<HeapType, Refusal> {
        let index = index as usize;
        match self.type_ids.get(index) {
            Some(id) => Ok(HeapType::Def(*id)),
            None if index < self.type_ids.len() + self.group => Ok(HeapType::Rec((index - self.type_ids.len()) as u32)),
            None => Err(format!("unknown type {index}").into()),
        }
    }

    /// A storage type as read.
    ///
    /// # Errors
    /// When it names an unknown type.
    pub fn field_type(&self, ty: wasmparser::FieldType) -> Result<FieldType, Refusal> {
        let storage = match ty.element_type {
            wasmparser::StorageType::I8 => StorageType::I8,
            wasmparser::StorageType::I16 => StorageType::I16,
            wasmparser::StorageType::Val(ty) => StorageType::Val(self.val_type(ty)?),
        };
        Ok(FieldType { mutable: ty.mutable, storage })
    }
}
