//! Neutral values: bit patterns and identities, no engine's types.
//!
//! The [value types](https://webassembly.github.io/spec/core/syntax/values.html) that every engine here shares.
//!
//! Invariant: two engines that hold the same WebAssembly value give the same [`Value`], NaN payloads included.
//!
//! Does not know: garbage-collected references.

use serde::{Deserialize, Serialize};

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ValueType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector.
    V128,
    /// Nullable function reference.
    FuncRef,
    /// Nullable external reference.
    ExternRef,
}

/// Which function a reference means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FuncIdentity {
    /// Null.
    Null,
    /// The function of this index of the module under test.
    Index(u32),
    /// A function that the observer cannot name (not exported in the form of the module that ran): equal to every
    /// function, never to null.
    Unknown,
}

/// A value, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Value {
    /// 32-bit integer.
    I32(u32),
    /// 64-bit integer.
    I64(u64),
    /// Bits of a 32-bit float.
    F32(u32),
    /// Bits of a 64-bit float.
    F64(u64),
    /// Lanes, the first in the lowest bits.
    V128(u128),
    /// Function reference.
    Func(FuncIdentity),
    /// External reference: the payload that the host put in, or null.
    Extern(Option<u32>),
}

impl Value {
    /// The type of this value.
    pub fn ty(&self) -> ValueType {
        match self {
            Value::I32(_) => ValueType::I32,
            Value::I64(_) => ValueType::I64,
            Value::F32(_) => ValueType::F32,
            Value::F64(_) => ValueType::F64,
            Value::V128(_) => ValueType::V128,
            Value::Func(_) => ValueType::FuncRef,
            Value::Extern(_) => ValueType::ExternRef,
        }
    }

    /// Zero or null of a type.
    pub fn default_of(ty: ValueType) -> Value {
        match ty {
            ValueType::I32 => Value::I32(0),
            ValueType::I64 => Value::I64(0),
            ValueType::F32 => Value::F32(0),
            ValueType::F64 => Value::F64(0),
            ValueType::V128 => Value::V128(0),
            ValueType::FuncRef => Value::Func(FuncIdentity::Null),
            ValueType::ExternRef => Value::Extern(None),
        }
    }
}

/// Whether these bits are a 32-bit NaN.
pub(crate) fn is_nan32(bits: u32) -> bool {
    f32::from_bits(bits).is_nan()
}

/// Whether these bits are a 64-bit NaN.
pub(crate) fn is_nan64(bits: u64) -> bool {
    f64::from_bits(bits).is_nan()
}
