//! Validation of the instructions on structures and arrays.
//!
//! [Aggregate reference
//! instructions](https://webassembly.github.io/spec/core/valid/instructions.html#aggregate-reference-instructions).
//!
//! Invariant: what is written is mutable; what is read with a sign is packed, and nothing else is.
//!
//! Does not know: the heap.

use super::{Checker, Refusal};
use crate::types::{FieldType, HeapType, StorageType, TypeId, ValType};
use wasmparser::Operator as O;

fn mutable(field: FieldType) -> Result<FieldType, Refusal> {
    if field.mutable { Ok(field) } else { Err("immutable field or array".into()) }
}

fn readable(field: FieldType, with_sign: bool) -> Result<ValType, Refusal> {
    let is_packed = !matches!(field.storage, StorageType::Val(_));
    if is_packed == with_sign {
        Ok(field.storage.unpacked())
    } else {
        Err("type mismatch: a sign is needed exactly for packed fields".into())
    }
}

fn defaultable(field: &FieldType) -> Result<(), Refusal> {
    if field.storage.unpacked().is_defaultable() { Ok(()) } else { Err("type mismatch: a field has no default".into()) }
}

fn of_data(field: FieldType) -> Result<(), Refusal> {
    match field.storage {
        StorageType::Val(ValType::Ref(_)) => Err("type mismatch: array type is not numeric or vector".into()),
        _ => Ok(()),
    }
}

impl<'c> Checker<'c> {
    pub(super) fn check_struct(&mut self, operator: &O<'_>) -> Result<bool, Refusal> {
        match operator {
            O::StructNew { struct_type_index } => {
                let (id, fields) = self.undescribed(*struct_type_index)?;
                self.pop_fields(fields)?;
                self.push_ref(false, HeapType::Exact(id));
            }
            O::StructNewDefault { struct_type_index } => {
                let (id, fields) = self.undescribed(*struct_type_index)?;
                fields.iter().try_for_each(defaultable)?;
                self.push_ref(false, HeapType::Exact(id));
            }
            O::StructNewDesc { struct_type_index } => {
                let (id, fields) = self.context.struct_type(*struct_type_index)?;
                self.pop_descriptor(HeapType::Exact(id))?;
                self.pop_fields(fields)?;
                self.push_ref(false, HeapType::Exact(id));
            }
            O::StructNewDefaultDesc { struct_type_index } => {
                let (id, fields) = self.context.struct_type(*struct_type_index)?;
                fields.iter().try_for_each(defaultable)?;
                self.pop_descriptor(HeapType::Exact(id))?;
                self.push_ref(false, HeapType::Exact(id));
            }
            O::StructGet { struct_type_index, field_index } => {
                self.struct_get(*struct_type_index, *field_index, false)?;
            }
            O::StructGetS { struct_type_index, field_index } | O::StructGetU { struct_type_index, field_index } => {
                self.struct_get(*struct_type_index, *field_index, true)?;
            }
            O::StructSet { struct_type_index, field_index } => {
                let (id, field) = self.context.field(*struct_type_index, *field_index)?;
                self.pop_expect(mutable(field)?.storage.unpacked())?;
                self.pop_heap(HeapType::Def(id))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A structure type without a `descriptor` clause: any other needs a descriptor to be allocated.
    fn undescribed(&self, index: u32) -> Result<(TypeId, &'c [FieldType]), Refusal> {
        let (id, fields) = self.context.struct_type(index)?;
        match self.context.types.get(id).descriptor {
            Some(_) => Err("type with descriptor requires descriptor allocation".into()),
            None => Ok((id, fields)),
        }
    }

    fn pop_fields(&mut self, fields: &[FieldType]) -> Result<(), Refusal> {
        let types: Vec<ValType> = fields.iter().map(|field| field.storage.unpacked()).collect();
        self.pop_vals(&types).map(drop)
    }

    fn struct_get(&mut self, ty: u32, field: u32, with_sign: bool) -> Result<(), Refusal> {
        let (id, field) = self.context.field(ty, field)?;
        let ty = readable(field, with_sign)?;
        self.pop_heap(HeapType::Def(id))?;
        self.push_val(ty);
        Ok(())
    }

    pub(super) fn check_array(&mut self, operator: &O<'_>) -> Result<bool, Refusal> {
        use ValType::I32;
        match operator {
            O::ArrayNew { array_type_index } => {
                let (id, field) = self.context.array_type(*array_type_index)?;
                self.apply(&[field.storage.unpacked(), I32], &[])?;
                self.push_ref(false, HeapType::Exact(id));
            }
            O::ArrayNewDefault { array_type_index } => {
                let (id, field) = self.context.array_type(*array_type_index)?;
                defaultable(&field)?;
                self.pop_expect(I32)?;
                self.push_ref(false, HeapType::Exact(id));
            }
            O::ArrayNewFixed { array_type_index, array_size } => {
                let (id, field) = self.context.array_type(*array_type_index)?;
                for _ in 0..*array_size {
                    self.pop_expect(field.storage.unpacked())?;
                }
                self.push_ref(false, HeapType::Exact(id));
            }
            O::ArrayNewData { array_type_index, array_data_index } => {
                let (id, field) = self.context.array_type(*array_type_index)?;
                of_data(field)?;
                self.context.data(*array_data_index)?;
                self.apply(&[I32, I32], &[])?;
                self.push_ref(false, HeapType::Exact(id));
            }
            O::ArrayNewElem { array_type_index, array_elem_index } => {
                let (id, field) = self.context.array_type(*array_type_index)?;
                self.elements(*array_elem_index, field)?;
                self.apply(&[I32, I32], &[])?;
                self.push_ref(false, HeapType::Exact(id));
            }
            O::ArrayGet { array_type_index } => self.array_get(*array_type_index, false)?,
            O::ArrayGetS { array_type_index } | O::ArrayGetU { array_type_index } => {
                self.array_get(*array_type_index, true)?;
            }
            O::ArraySet { array_type_index } => {
                let (id, field) = self.context.array_type(*array_type_index)?;
                self.apply(&[I32, mutable(field)?.storage.unpacked()], &[])?;
                self.pop_heap(HeapType::Def(id))?;
            }
            O::ArrayLen => {
                self.pop_heap(HeapType::Array)?;
                self.push_val(I32);
            }
            other => return self.check_array_bulk(other),
        }
        Ok(true)
    }

    fn array_get(&mut self, ty: u32, with_sign: bool) -> Result<(), Refusal> {
        let (id, field) = self.context.array_type(ty)?;
        let ty = readable(field, with_sign)?;
        self.pop_expect(ValType::I32)?;
        self.pop_heap(HeapType::Def(id))?;
        self.push_val(ty);
        Ok(())
    }

    fn check_array_bulk(&mut self, operator: &O<'_>) -> Result<bool, Refusal> {
        use ValType::I32;
        match operator {
            O::ArrayFill { array_type_index } => {
                let (id, field) = self.context.array_type(*array_type_index)?;
                self.apply(&[I32, mutable(field)?.storage.unpacked(), I32], &[])?;
                self.pop_heap(HeapType::Def(id))?;
            }
            O::ArrayCopy { array_type_index_dst, array_type_index_src } => {
                let (to, to_field) = self.context.array_type(*array_type_index_dst)?;
                let (from, from_field) = self.context.array_type(*array_type_index_src)?;
                if !self.context.types.match_storage(from_field.storage, mutable(to_field)?.storage) {
                    return Err("type mismatch: array types do not match".into());
                }
                self.apply(&[I32, I32], &[])?;
                self.pop_heap(HeapType::Def(from))?;
                self.pop_expect(I32)?;
                self.pop_heap(HeapType::Def(to))?;
            }
            O::ArrayInitData { array_type_index, array_data_index } => {
                let (id, field) = self.context.array_type(*array_type_index)?;
                of_data(mutable(field)?)?;
                self.context.data(*array_data_index)?;
                self.apply(&[I32, I32, I32], &[])?;
                self.pop_heap(HeapType::Def(id))?;
            }
            O::ArrayInitElem { array_type_index, array_elem_index } => {
                let (id, field) = self.context.array_type(*array_type_index)?;
                self.elements(*array_elem_index, mutable(field)?)?;
                self.apply(&[I32, I32, I32], &[])?;
                self.pop_heap(HeapType::Def(id))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Elements of a segment fit an array.
    fn elements(&self, elem: u32, field: FieldType) -> Result<(), Refusal> {
        match field.storage {
            StorageType::Val(ValType::Ref(ty)) => self.match_elements(self.context.elem(elem)?, ty),
            _ => Err("type mismatch: not an array of references".into()),
        }
    }
}
