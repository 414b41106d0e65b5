//! Objects as the host and builtins see them.
//!
//! Invariant: every access is checked against the object's own type; a raw reference is this store's.
//!
//! Does not know: the embedder's values.

use super::heap::AllocError;
use crate::store::StoreInner;
use crate::types::field_layout;
use crate::value::Raw;
use std::sync::Arc;
use wattest_abi::ValueKind;
use wattest_abi::gc::{ARRAY_ELEMENTS, ARRAY_LENGTH, FieldKind, OBJECT_TYPE, STRUCT_FIELDS, TAG_MASK, array_bytes};
use wattest_module::{CompositeType, SubType};

/// An access that the object does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// The reference is null, an unboxed integer, a host value, or an object of another kind.
    #[error("the reference is to no such object")]
    Kind,
    /// There is no such field or element.
    #[error("there is no field or element {0}")]
    Index(u32),
    /// The value is not of the field's kind.
    #[error("the value is not of the field's type")]
    Value,
}

impl StoreInner {
    /// The engine-wide type of the object behind `reference`, if it is one.
    pub fn object_type(&self, reference: u32) -> Option<u32> {
        if reference & TAG_MASK != 0 || reference == 0 {
            return None;
        }
        let heap = self.heap.as_ref()?;
        // SAFETY: a reference of this store with the tag of an object points to one.
        Some(unsafe { heap.base().add(reference as usize + OBJECT_TYPE as usize).cast::<u32>().read() })
    }

    fn described(&self, reference: u32) -> Result<Arc<SubType>, ObjectError> {
        let id = self.object_type(reference).ok_or(ObjectError::Kind)?;
        self.config.types.ty(id).ok_or(ObjectError::Kind)
    }

    /// Kind and offset of the field or element `index`.
    fn place(&self, reference: u32, index: u32) -> Result<(FieldKind, u32), ObjectError> {
        let ty = self.described(reference)?;
        if let CompositeType::Array(array) = &ty.composite {
            let kind = array.0.kind();
            if index >= self.array_len(reference)? {
                return Err(ObjectError::Index(index));
            }
            return Ok((kind, ARRAY_ELEMENTS + index * kind.bytes()));
        }
        let (layout, kinds) = field_layout(&ty);
        let at = layout.offsets.get(index as usize).ok_or(ObjectError::Index(index))?;
        Ok((kinds[index as usize], *at))
    }

    /// The length of an array.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn array_len(&self, reference: u32) -> Result<u32, ObjectError> {
        match self.described(reference)?.composite {
            // SAFETY: an array has a length.
            CompositeType::Array(_) => Ok(unsafe { self.at::<u32>(reference, ARRAY_LENGTH).read() }),
            _ => Err(ObjectError::Kind),
        }
    }

    /// # Safety
    ///
    /// `reference` must be to an object; what is done with the pointer must stay within it.
    unsafe fn at<V>(&self, reference: u32, offset: u32) -> *mut V {
        let base = self.heap.as_ref().map_or(std::ptr::null_mut(), |heap| heap.base());
        // SAFETY: by the caller's promise.
        unsafe { base.add(reference as usize + offset as usize).cast() }
    }

    /// The value of a field of a struct, of an exception's payload, or of an array's element; packed ones zero-extended.
    ///
    /// # Errors
    ///
    /// [`ObjectError`].
    pub fn object_get(&self, reference: u32, index: u32) -> Result<Raw, ObjectError> {
        let (kind, offset) = self.place(reference, index)?;
        // SAFETY: `place` has found the field within the object; a v128 may be unaligned.
        unsafe {
            Ok(match kind {
                FieldKind::I8 => Raw::I32(u32::from(self.at::<u8>(reference, offset).read())),
                FieldKind::I16 => Raw::I32(u32::from(self.at::<u16>(reference, offset).read())),
                FieldKind::Value(kind) => {
                    let bits = match FieldKind::Value(kind).bytes() {
                        4 => u128::from(self.at::<u32>(reference, offset).read()),
                        8 => u128::from(self.at::<u64>(reference, offset).read()),
                        _ => self.at::<u128>(reference, offset).read_unaligned(),
                    };
                    Raw::from_bits(kind, bits, self)
                }
            })
        }
    }

    /// Sets a field or element, mutable or not, to a value whose kind is the field's; packed ones are wrapped.
    ///
    /// # Errors
    ///
    /// [`ObjectError`].
    pub fn object_set(&mut self, reference: u32, index: u32, value: Raw) -> Result<(), ObjectError> {
        let (kind, offset) = self.place(reference, index)?;
        let wanted = if let FieldKind::Value(kind) = kind { kind } else { ValueKind::I32 };
        if value.kind() != wanted || value.check(self).is_err() {
            return Err(ObjectError::Value);
        }
        // SAFETY: `place` has found the field within the object.
        unsafe { self.store_bits(reference, offset, kind, value.to_bits()) };
        Ok(())
    }

    /// # Safety
    ///
    /// The object must have a field of `kind` at `offset`.
    pub(crate) unsafe fn store_bits(&mut self, reference: u32, offset: u32, kind: FieldKind, bits: u128) {
        // SAFETY: by the caller's promise.
        unsafe {
            match kind.bytes() {
                1 => self.at::<u8>(reference, offset).write(bits as u8),
                2 => self.at::<u16>(reference, offset).write(bits as u16),
                4 => self.at::<u32>(reference, offset).write(bits as u32),
                8 => self.at::<u64>(reference, offset).write(bits as u64),
                _ => self.at::<u128>(reference, offset).write_unaligned(bits),
            }
        }
    }

    /// Stores the bits of a value of `kind` as field or element `index` of an object that has such a one.
    pub(crate) fn initialize_field(&mut self, reference: u32, index: u32, kind: FieldKind, bits: u128) {
        let place = self.place(reference, index);
        if let Ok((found, offset)) = place
            && found == kind
        {
            // SAFETY: `place` has found the field within the object.
            unsafe { self.store_bits(reference, offset, kind, bits) };
        }
    }

    /// Stores the bits of a value of `kind` as element `index` of an array of such elements.
    pub(crate) fn initialize_element(&mut self, array: u32, index: u32, kind: FieldKind, bits: u128) {
        let inside = self.heap.is_some() && {
            // SAFETY: the reference is to an array, which has a length.
            index < unsafe { self.at::<u32>(array, ARRAY_LENGTH).read() }
        };
        assert!(inside, "element {index} of a new array");
        // SAFETY: just checked.
        unsafe { self.store_bits(array, ARRAY_ELEMENTS + index * kind.bytes(), kind, bits) };
    }

    /// Where the object behind `reference` holds its descriptor, if it has one.
    fn descriptor_offset(&self, reference: u32) -> Result<Option<u32>, ObjectError> {
        let ty = self.described(reference)?;
        Ok(ty.descriptor.and_then(|_| field_layout(&ty).0.descriptor))
    }

    /// The descriptor of an object, if its type has one.
    ///
    /// # Errors
    ///
    /// The reference is to no object.
    pub fn object_descriptor(&self, reference: u32) -> Result<Option<u32>, ObjectError> {
        let offset = self.descriptor_offset(reference)?;
        // SAFETY: the object has a reference there.
        Ok(offset.map(|offset| unsafe { self.at::<u32>(reference, offset).read() }))
    }

    /// Gives a new struct its descriptor, which is of the type that the struct's type wants.
    ///
    /// # Errors
    ///
    /// The struct's type wants none, or another type's.
    pub fn set_descriptor(&mut self, reference: u32, descriptor: u32) -> Result<(), ObjectError> {
        let wanted = self.described(reference)?.descriptor.ok_or(ObjectError::Kind)?;
        let offset = self.descriptor_offset(reference)?.ok_or(ObjectError::Kind)?;
        if self.object_type(descriptor) != Some(wanted.ty.0) {
            return Err(ObjectError::Value);
        }
        // SAFETY: the object has a reference there.
        unsafe { self.at::<u32>(reference, offset).write(descriptor) };
        Ok(())
    }

    /// Allocates a struct of type `type_id` whose fields are all zero; a descriptor that the type wants must be set before
    /// anything else sees the struct. May collect.
    ///
    /// # Errors
    ///
    /// [`AllocError`]; full also when the type is no struct's.
    pub fn new_struct(&mut self, type_id: u32) -> Result<u32, AllocError> {
        let ty = self.config.types.ty(type_id).filter(|ty| matches!(ty.composite, CompositeType::Struct(_)));
        let (layout, _) = field_layout(&*ty.ok_or(AllocError::Full)?);
        let object = self.allocate(type_id, u64::from(layout.bytes), 0)?;
        // SAFETY: the bytes were just allocated.
        unsafe { self.at::<u8>(object, STRUCT_FIELDS).write_bytes(0, (layout.bytes - STRUCT_FIELDS) as usize) };
        Ok(object)
    }

    /// Allocates an array of type `type_id` whose elements are all zero. May collect.
    ///
    /// # Errors
    ///
    /// [`AllocError`]; full also when the type is no array's.
    pub fn new_array(&mut self, type_id: u32, length: u32) -> Result<u32, AllocError> {
        let ty = self.config.types.ty(type_id).ok_or(AllocError::Full)?;
        let CompositeType::Array(array) = &ty.composite else { return Err(AllocError::Full) };
        let bytes = array_bytes(array.0.kind().bytes(), length).ok_or(AllocError::Full)?;
        let object = self.allocate(type_id, u64::from(bytes), length)?;
        // SAFETY: the bytes were just allocated.
        unsafe { self.at::<u8>(object, ARRAY_ELEMENTS).write_bytes(0, (bytes - ARRAY_ELEMENTS) as usize) };
        Ok(object)
    }

    /// The address of an array's elements: for bulk operations, until the next allocation.
    pub(crate) fn array_elements(&mut self, reference: u32) -> *mut u8 {
        // SAFETY: the elements of an array start there.
        unsafe { self.at(reference, ARRAY_ELEMENTS) }
    }
}
