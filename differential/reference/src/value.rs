//! Values, and the slots they are kept in.
//!
//! The grammar of [values](https://webassembly.github.io/spec/core/exec/runtime.html#values). Validation makes tags
//! superfluous, so inside the interpreter a value is an untagged 128-bit slot: numbers zero-extended, floats as their
//! bits, references as a tag and an address.
//!
//! Invariant: the slot 0 is the [default value](https://webassembly.github.io/spec/core/exec/runtime.html#default) of
//! every type that has one; an `i32` in a slot is zero-extended.
//!
//! Does not know: what addresses refer to.

use crate::types::{HeapType, RefType, ValType};

/// A value without its type.
pub type Slot = u128;

/// A [reference](https://webassembly.github.io/spec/core/exec/runtime.html#syntax-ref). `extern.convert_any` and
/// `any.convert_extern` leave it as it is: the type says from which side it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ref {
    /// Null, of any hierarchy.
    Null,
    /// A function by its address in the store.
    Func(u32),
    /// A value of the host, which gave it this number.
    Host(u32),
    /// An unboxed integer: its low 31 bits.
    I31(u32),
    /// A structure by its address in the store.
    Struct(u32),
    /// An array by its address in the store.
    Array(u32),
    /// An exception by its address in the store.
    Exn(u32),
}

impl Ref {
    /// As a slot.
    #[must_use]
    pub fn slot(self) -> Slot {
        let (tag, payload) = match self {
            Ref::Null => (0u64, 0),
            Ref::Func(address) => (1, address),
            Ref::Host(number) => (2, number),
            Ref::I31(number) => (3, number),
            Ref::Struct(address) => (4, address),
            Ref::Array(address) => (5, address),
            Ref::Exn(address) => (6, address),
        };
        Slot::from(tag << 32 | u64::from(payload))
    }

    /// From a slot that [`Ref::slot`] made.
    #[must_use]
    pub fn of_slot(slot: Slot) -> Ref {
        let payload = slot as u32;
        match (slot >> 32) as u32 {
            1 => Ref::Func(payload),
            2 => Ref::Host(payload),
            3 => Ref::I31(payload),
            4 => Ref::Struct(payload),
            5 => Ref::Array(payload),
            6 => Ref::Exn(payload),
            _ => Ref::Null,
        }
    }
}

/// A value with its sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// 32-bit integer.
    I32(u32),
    /// 64-bit integer.
    I64(u64),
    /// Bits of a 32-bit float.
    F32(u32),
    /// Bits of a 64-bit float.
    F64(u64),
    /// 128-bit vector, lane 0 in the low bits.
    V128(u128),
    /// A reference.
    Ref(Ref),
}

impl Value {
    /// As a slot.
    #[must_use]
    pub fn slot(self) -> Slot {
        match self {
            Value::I32(bits) | Value::F32(bits) => Slot::from(bits),
            Value::I64(bits) | Value::F64(bits) => Slot::from(bits),
            Value::V128(bits) => bits,
            Value::Ref(reference) => reference.slot(),
        }
    }

    /// From a slot of type `ty`.
    #[must_use]
    pub fn of_slot(slot: Slot, ty: ValType) -> Value {
        match ty {
            ValType::I32 => Value::I32(slot as u32),
            ValType::I64 => Value::I64(slot as u64),
            ValType::F32 => Value::F32(slot as u32),
            ValType::F64 => Value::F64(slot as u64),
            ValType::V128 => Value::V128(slot),
            ValType::Ref(_) | ValType::Bot => Value::Ref(Ref::of_slot(slot)),
        }
    }

    /// The type as far as the value alone tells: of a reference, that it is one.
    #[must_use]
    pub fn sort(self) -> ValType {
        match self {
            Value::I32(_) => ValType::I32,
            Value::I64(_) => ValType::I64,
            Value::F32(_) => ValType::F32,
            Value::F64(_) => ValType::F64,
            Value::V128(_) => ValType::V128,
            Value::Ref(_) => ValType::Ref(RefType::null(HeapType::Any)),
        }
    }
}
