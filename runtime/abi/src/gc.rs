//! Garbage-collected objects as compiled code and the collector see them.
//!
//! A reference that is no function is 32 bits wide
//! ([spec](https://webassembly.github.io/spec/core/exec/runtime.html#values)): 0 is null; with the lowest bit set it is an
//! unboxed integer; with the lowest bits `10` a host value's number; else the distance of an object from the base of its
//! store's heap. An object starts with the engine-wide identifier of its type:
//!
//! | object | bytes 0–3 | bytes 4–7 | then |
//! |---|---|---|---|
//! | struct | type | the first field, if it fits | fields in order, each at its own alignment; among them its descriptor |
//! | array | type | length | elements |
//! | exception | its tag's *function* type | zero | the tag's identity, then the payload |
//!
//! Every type has a [`TYPE_RECORD_BYTES`]-byte record at a fixed address, with the identifiers of its supertypes from the
//! root down, so that a cast is one comparison with one of them.
//!
//! A struct whose type has a descriptor
//! ([custom descriptors](https://github.com/WebAssembly/custom-descriptors/blob/main/proposals/custom-descriptors/Overview.md))
//! holds the reference to it after the fields of the nearest supertype that has none: first, if there is no such type.
//!
//! Invariant: a field's offset depends only on the fields before it, so a subtype's layout extends its supertype's, whether
//! or not either has a descriptor.
//!
//! Does not know: who allocates, when objects move.

use crate::ValueKind;

/// Lowest bits that tell the forms of a reference apart.
pub const TAG_MASK: u32 = 3;
/// The bit of an unboxed integer, which lies above it.
pub const I31_BIT: u32 = 1;
/// The lowest bits of a host value's number, which lies above them.
pub const HOST_TAG: u32 = 2;
/// Alignment of objects, in bytes.
pub const OBJECT_ALIGN: u32 = 8;
/// Bytes at the base of a heap that no access may touch: small offsets from null fault.
pub const NULL_GUARD_BYTES: u32 = 64 << 10;
/// Bytes of the largest object.
pub const OBJECT_BYTES_MAX: u64 = 1 << 30;

/// Where an object holds its type's identifier.
pub const OBJECT_TYPE: u32 = 0;
/// Where a struct's fields may start.
pub const STRUCT_FIELDS: u32 = 4;
/// Where an array holds its length.
pub const ARRAY_LENGTH: u32 = 4;
/// Where an array's elements start.
pub const ARRAY_ELEMENTS: u32 = 8;
/// Where an exception holds its tag's identity: the eight bytes of the tag's slot.
pub const EXCEPTION_TAG: u32 = 8;
/// Where an exception's payload may start.
pub const EXCEPTION_FIELDS: u32 = 16;

/// Bytes of a type's record.
pub const TYPE_RECORD_BYTES: u32 = 64;
/// Where a record holds the number of the type's supertypes, a `u32`.
pub const RECORD_DEPTH: u32 = 0;
/// Where a record holds the type's [`TypeKind`], a `u32`.
pub const RECORD_KIND: u32 = 4;
/// Where a record holds the address of the identifiers of all supertypes and the type itself, from the root down.
pub const RECORD_ALL_SUPERS: u32 = 8;
/// Where a record holds what the collector needs; not for compiled code.
pub const RECORD_INFO: u32 = 16;
/// Where a record holds the first [`RECORD_SUPERS_LEN`] of them, zeros beyond the type itself.
pub const RECORD_SUPERS: u32 = 24;
/// How many of them a record holds.
pub const RECORD_SUPERS_LEN: u32 = 10;

/// What a type describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum TypeKind {
    /// Functions; as the type of an object, an exception whose payload are the parameters.
    Func = 0,
    /// Structs.
    Struct = 1,
    /// Arrays.
    Array = 2,
}

/// How a field or element is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// One byte of an `i32`.
    I8,
    /// Two bytes of an `i32`.
    I16,
    /// A value.
    Value(ValueKind),
}

impl FieldKind {
    /// Bytes that the field takes.
    pub const fn bytes(self) -> u32 {
        match self {
            FieldKind::I8 => 1,
            FieldKind::I16 => 2,
            FieldKind::Value(ValueKind::I32 | ValueKind::F32 | ValueKind::Ref) => 4,
            FieldKind::Value(ValueKind::I64 | ValueKind::F64 | ValueKind::FuncRef) => 8,
            FieldKind::Value(ValueKind::V128) => 16,
        }
    }

    /// Alignment in bytes; objects give no more than [`OBJECT_ALIGN`].
    pub const fn align(self) -> u32 {
        if self.bytes() < OBJECT_ALIGN { self.bytes() } else { OBJECT_ALIGN }
    }

    /// Whether the field holds a reference that the collector follows.
    pub const fn is_traced(self) -> bool {
        matches!(self, FieldKind::Value(ValueKind::Ref))
    }
}

/// Where the fields of a struct or exception lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldLayout {
    /// Byte offsets from the object's start, in field order.
    pub offsets: Vec<u32>,
    /// Byte offset of the reference to the descriptor.
    pub descriptor: Option<u32>,
    /// Bytes of the object, a multiple of [`OBJECT_ALIGN`].
    pub bytes: u32,
}

impl FieldLayout {
    /// Lays out fields that may start at `start`.
    ///
    /// ```
    /// use wattest_abi::ValueKind;
    /// use wattest_abi::gc::{FieldKind, FieldLayout, STRUCT_FIELDS};
    /// let fields = [FieldKind::I8, FieldKind::Value(ValueKind::I64), FieldKind::Value(ValueKind::Ref)];
    /// let layout = FieldLayout::new(STRUCT_FIELDS, fields.into_iter());
    /// assert_eq!((layout.offsets, layout.bytes), (vec![4, 8, 16], 24));
    /// ```
    pub fn new(start: u32, fields: impl Iterator<Item = FieldKind>) -> FieldLayout {
        FieldLayout::with_descriptor(start, fields, None)
    }

    /// Lays out fields that may start at `start`, and with `before` the reference to a descriptor before that field.
    ///
    /// ```
    /// use wattest_abi::ValueKind;
    /// use wattest_abi::gc::{FieldKind, FieldLayout, STRUCT_FIELDS};
    /// let layout = |before| FieldLayout::with_descriptor(STRUCT_FIELDS, [FieldKind::I8].into_iter(), Some(before));
    /// assert_eq!((layout(0).descriptor, layout(0).offsets), (Some(4), vec![8]));
    /// assert_eq!((layout(1).descriptor, layout(1).offsets), (Some(8), vec![4]));
    /// ```
    pub fn with_descriptor(start: u32, fields: impl Iterator<Item = FieldKind>, before: Option<u32>) -> FieldLayout {
        let mut next = start;
        let mut place = |field: FieldKind| {
            let offset = next.next_multiple_of(field.align());
            next = offset + field.bytes();
            offset
        };
        let reference = FieldKind::Value(ValueKind::Ref);
        let mut offsets = Vec::with_capacity(fields.size_hint().0);
        let mut descriptor = None;
        for (position, field) in fields.enumerate() {
            if before == Some(position as u32) {
                descriptor = Some(place(reference));
            }
            offsets.push(place(field));
        }
        if before.is_some() && descriptor.is_none() {
            descriptor = Some(place(reference));
        }
        FieldLayout { offsets, descriptor, bytes: next.next_multiple_of(OBJECT_ALIGN) }
    }
}

/// Bytes of an array of `length` elements of `bytes` each, or `None` beyond [`OBJECT_BYTES_MAX`].
pub fn array_bytes(bytes: u32, length: u32) -> Option<u32> {
    let total = u64::from(bytes) * u64::from(length) + u64::from(ARRAY_ELEMENTS);
    let total = total.next_multiple_of(u64::from(OBJECT_ALIGN));
    (total <= OBJECT_BYTES_MAX).then_some(total as u32)
}
