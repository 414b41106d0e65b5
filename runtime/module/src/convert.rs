//! Conversions from the parser's types to the description's.
//!
//! Invariant: conversion never loses information that this engine acts on; what it does not know (shared references,
//! continuations) is a typed error, not an approximation.
//!
//! Does not know: sections.

use crate::{
    ArrayType, CompositeType, ConstExpr, ConstOp, DecodeError, Descriptor, EntityType, FieldType, FuncIndex, FuncType,
    GlobalIndex, GlobalType, HeapType, MemoryType, RefType, StorageType, StructType, SubType, TableType, TagType,
    TypeIndex, ValType,
};
use wasmparser::{AbstractHeapType, CompositeInnerType, Operator, TypeRef, UnpackedIndex};

/// A conversion context: which types of the module are function types, and where errors lie.
#[derive(Clone, Copy)]
pub(crate) struct Converter<'a> {
    /// Types converted so far.
    pub types: &'a [SubType],
    /// First type of the recursion group being converted; types from here on are not in `types` yet.
    pub group: u32,
    /// For each type of the group being converted, whether it is a function type.
    pub group_is_func: &'a [bool],
    /// Byte offset for errors.
    pub offset: usize,
}

impl<'a> Converter<'a> {
    /// A context in which all types are known.
    pub fn new(types: &'a [SubType], offset: usize) -> Converter<'a> {
        Converter { types, group: types.len() as u32, group_is_func: &[], offset }
    }

    fn unsupported<T>(&self, what: &str) -> Result<T, DecodeError> {
        Err(DecodeError::Invalid { message: format!("{what} are not supported"), offset: self.offset, function: None })
    }

    fn index(&self, index: UnpackedIndex) -> Result<TypeIndex, DecodeError> {
        match index {
            UnpackedIndex::Module(index) => Ok(TypeIndex(index)),
            UnpackedIndex::RecGroup(index) => Ok(TypeIndex(self.group + index)),
            UnpackedIndex::Id(_) => self.unsupported("validator type identifiers"),
        }
    }

    fn is_func(&self, index: TypeIndex) -> bool {
        match self.types.get(index.index()) {
            Some(ty) => matches!(ty.composite, CompositeType::Func(_)),
            None => self.group_is_func.get((index.0 - self.group) as usize).copied().unwrap_or(false),
        }
    }

    pub fn ref_type(&self, ty: wasmparser::RefType) -> Result<RefType, DecodeError> {
        let heap = self.heap_type(ty.heap_type())?;
        let is_func = match heap {
            HeapType::Func | HeapType::NoFunc => true,
            HeapType::Concrete(index) | HeapType::Exact(index) => self.is_func(index),
            _ => false,
        };
        Ok(RefType { nullable: ty.is_nullable(), heap, is_func })
    }

    pub fn heap_type(&self, ty: wasmparser::HeapType) -> Result<HeapType, DecodeError> {
        match ty {
            wasmparser::HeapType::Abstract { shared: true, .. } => self.unsupported("shared references"),
            wasmparser::HeapType::Abstract { ty, .. } => self.abstract_heap_type(ty),
            wasmparser::HeapType::Concrete(index) => Ok(HeapType::Concrete(self.index(index)?)),
            wasmparser::HeapType::Exact(index) => Ok(HeapType::Exact(self.index(index)?)),
        }
    }

    fn abstract_heap_type(&self, ty: AbstractHeapType) -> Result<HeapType, DecodeError> {
        Ok(match ty {
            AbstractHeapType::Func => HeapType::Func,
            AbstractHeapType::NoFunc => HeapType::NoFunc,
            AbstractHeapType::Extern => HeapType::Extern,
            AbstractHeapType::NoExtern => HeapType::NoExtern,
            AbstractHeapType::Any => HeapType::Any,
            AbstractHeapType::None => HeapType::None,
            AbstractHeapType::Eq => HeapType::Eq,
            AbstractHeapType::I31 => HeapType::I31,
            AbstractHeapType::Struct => HeapType::Struct,
            AbstractHeapType::Array => HeapType::Array,
            AbstractHeapType::Exn => HeapType::Exn,
            AbstractHeapType::NoExn => HeapType::NoExn,
            AbstractHeapType::Cont | AbstractHeapType::NoCont => return self.unsupported("continuations"),
        })
    }

    pub fn val_type(&self, ty: wasmparser::ValType) -> Result<ValType, DecodeError> {
        Ok(match ty {
            wasmparser::ValType::I32 => ValType::I32,
            wasmparser::ValType::I64 => ValType::I64,
            wasmparser::ValType::F32 => ValType::F32,
            wasmparser::ValType::F64 => ValType::F64,
            wasmparser::ValType::V128 => ValType::V128,
            wasmparser::ValType::Ref(ty) => ValType::Ref(self.ref_type(ty)?),
        })
    }

    fn field(&self, ty: wasmparser::FieldType) -> Result<FieldType, DecodeError> {
        let storage = match ty.element_type {
            wasmparser::StorageType::I8 => StorageType::I8,
            wasmparser::StorageType::I16 => StorageType::I16,
            wasmparser::StorageType::Val(ty) => StorageType::Val(self.val_type(ty)?),
        };
        Ok(FieldType { storage, mutable: ty.mutable })
    }

    /// The type, with a descriptor's place not known yet.
    pub fn sub_type(&self, ty: &wasmparser::SubType) -> Result<SubType, DecodeError> {
        let composite = match &ty.composite_type.inner {
            CompositeInnerType::Func(ty) => CompositeType::Func(self.func_type(ty)?),
            CompositeInnerType::Array(ty) => CompositeType::Array(ArrayType(self.field(ty.0)?)),
            CompositeInnerType::Struct(ty) => {
                let fields = ty.fields.iter().map(|field| self.field(*field)).collect::<Result<_, _>>()?;
                CompositeType::Struct(StructType { fields })
            }
            CompositeInnerType::Cont(_) => return self.unsupported("continuation types"),
        };
        let optional =
            |index: Option<wasmparser::PackedIndex>| index.map(|index| self.index(index.unpack())).transpose();
        let descriptor = optional(ty.composite_type.descriptor_idx)?.map(|ty| Descriptor { ty, before: 0 });
        Ok(SubType {
            is_final: ty.is_final,
            supertype: optional(ty.supertype_idx)?,
            describes: optional(ty.composite_type.describes_idx)?,
            descriptor,
            composite,
        })
    }

    fn func_type(&self, ty: &wasmparser::FuncType) -> Result<FuncType, DecodeError> {
        let list = |types: &[wasmparser::ValType]| types.iter().map(|ty| self.val_type(*ty)).collect::<Result<_, _>>();
        Ok(FuncType { params: list(ty.params())?, results: list(ty.results())? })
    }

    pub fn table_type(&self, ty: &wasmparser::TableType) -> Result<TableType, DecodeError> {
        if ty.shared {
            return self.unsupported("shared tables");
        }
        let element = self.ref_type(ty.element_type)?;
        Ok(TableType { element, table64: ty.table64, minimum: ty.initial, maximum: ty.maximum })
    }

    pub fn memory_type(&self, ty: &wasmparser::MemoryType) -> MemoryType {
        MemoryType {
            memory64: ty.memory64,
            shared: ty.shared,
            minimum: ty.initial,
            maximum: ty.maximum,
            page_bytes_log2: ty.page_size_log2.unwrap_or(16) as u8,
        }
    }

    pub fn global_type(&self, ty: &wasmparser::GlobalType) -> Result<GlobalType, DecodeError> {
        if ty.shared {
            return self.unsupported("shared globals");
        }
        Ok(GlobalType { content: self.val_type(ty.content_type)?, mutable: ty.mutable })
    }

    pub fn entity_type(&self, ty: &TypeRef) -> Result<EntityType, DecodeError> {
        Ok(match ty {
            TypeRef::Func(index) => EntityType::Func(TypeIndex(*index)),
            TypeRef::FuncExact(index) => EntityType::FuncExact(TypeIndex(*index)),
            TypeRef::Table(ty) => EntityType::Table(self.table_type(ty)?),
            TypeRef::Memory(ty) => EntityType::Memory(self.memory_type(ty)),
            TypeRef::Global(ty) => EntityType::Global(self.global_type(ty)?),
            TypeRef::Tag(ty) => EntityType::Tag(TagType { ty: TypeIndex(ty.func_type_idx) }),
        })
    }

    pub fn const_expr(&self, expr: &wasmparser::ConstExpr<'_>) -> Result<ConstExpr, DecodeError> {
        let mut ops = Vec::new();
        for operator in expr.get_operators_reader() {
            if let Some(op) = self.const_op(&operator?)? {
                ops.push(op);
            }
        }
        Ok(ConstExpr { ops })
    }

    fn const_op(&self, operator: &Operator<'_>) -> Result<Option<ConstOp>, DecodeError> {
        Ok(Some(match *operator {
            Operator::I32Const { value } => ConstOp::I32Const(value),
            Operator::I64Const { value } => ConstOp::I64Const(value),
            Operator::F32Const { value } => ConstOp::F32Const(value.bits()),
            Operator::F64Const { value } => ConstOp::F64Const(value.bits()),
            Operator::V128Const { value } => ConstOp::V128Const(value.i128() as u128),
            Operator::GlobalGet { global_index } => ConstOp::GlobalGet(GlobalIndex(global_index)),
            Operator::RefNull { hty } => ConstOp::RefNull(self.heap_type(hty)?),
            Operator::RefFunc { function_index } => ConstOp::RefFunc(FuncIndex(function_index)),
            Operator::I32Add => ConstOp::I32Add,
            Operator::I32Sub => ConstOp::I32Sub,
            Operator::I32Mul => ConstOp::I32Mul,
            Operator::I64Add => ConstOp::I64Add,
            Operator::I64Sub => ConstOp::I64Sub,
            Operator::I64Mul => ConstOp::I64Mul,
            Operator::RefI31 => ConstOp::RefI31,
            Operator::StructNew { struct_type_index } => ConstOp::StructNew(TypeIndex(struct_type_index)),
            Operator::StructNewDefault { struct_type_index } => ConstOp::StructNewDefault(TypeIndex(struct_type_index)),
            Operator::StructNewDesc { struct_type_index } => ConstOp::StructNewDesc(TypeIndex(struct_type_index)),
            Operator::StructNewDefaultDesc { struct_type_index } => {
                ConstOp::StructNewDefaultDesc(TypeIndex(struct_type_index))
            }
            Operator::ArrayNew { array_type_index } => ConstOp::ArrayNew(TypeIndex(array_type_index)),
            Operator::ArrayNewDefault { array_type_index } => ConstOp::ArrayNewDefault(TypeIndex(array_type_index)),
            Operator::ArrayNewFixed { array_type_index, array_size } => {
                ConstOp::ArrayNewFixed(TypeIndex(array_type_index), array_size)
            }
            Operator::AnyConvertExtern => ConstOp::AnyConvertExtern,
            Operator::ExternConvertAny => ConstOp::ExternConvertAny,
            Operator::End => return Ok(None),
            _ => return self.unsupported("constant instructions of this kind"),
        }))
    }
}
