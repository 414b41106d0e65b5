//! Scalars: bits of a core value or of memory as typed values, and back.
//!
//! Conversions of [loading](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading) and
//! [flat lifting](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flat-lifting): masks and
//! sign extension, `bool` as "not zero", the range of `char`, one NaN.
//!
//! Invariant: a core value is a 64-bit slot with `i32` and `f32` in its low half; lifting looks only at the bits its type
//! has, and lowering clears the others, so that the payload joins of variants (`f32` in `i32`, anything in `i64`) need no
//! code of their own.
//!
//! Does not know: where the bits come from.

use crate::fault::Fault;
use crate::flatten::CoreType;
use crate::value::Value;
use serde::{Deserialize, Serialize};

/// The `f32` NaN that every NaN becomes.
pub const CANONICAL_NAN_32: u32 = 0x7fc0_0000;
/// The `f64` NaN that every NaN becomes.
pub const CANONICAL_NAN_64: u64 = 0x7ff8_0000_0000_0000;

/// A type that is one core value and no handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scalar {
    /// `bool`.
    Bool,
    /// `s8`.
    S8,
    /// `u8`.
    U8,
    /// `s16`.
    S16,
    /// `u16`.
    U16,
    /// `s32`.
    S32,
    /// `u32`.
    U32,
    /// `s64`.
    S64,
    /// `u64`.
    U64,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `char`.
    Char,
}

impl Scalar {
    /// All of them.
    pub const ALL: [Scalar; 12] = [
        Scalar::Bool,
        Scalar::S8,
        Scalar::U8,
        Scalar::S16,
        Scalar::U16,
        Scalar::S32,
        Scalar::U32,
        Scalar::S64,
        Scalar::U64,
        Scalar::F32,
        Scalar::F64,
        Scalar::Char,
    ];

    /// Size and alignment in memory.
    pub const fn bytes(self) -> u32 {
        match self {
            Scalar::Bool | Scalar::S8 | Scalar::U8 => 1,
            Scalar::S16 | Scalar::U16 => 2,
            Scalar::S32 | Scalar::U32 | Scalar::F32 | Scalar::Char => 4,
            Scalar::S64 | Scalar::U64 | Scalar::F64 => 8,
        }
    }

    /// The core value it is.
    pub const fn core(self) -> CoreType {
        match self {
            Scalar::S64 | Scalar::U64 => CoreType::I64,
            Scalar::F32 => CoreType::F32,
            Scalar::F64 => CoreType::F64,
            _ => CoreType::I32,
        }
    }

    /// Whether every bit pattern in memory is a value. NaNs count as values: which NaN arrives is left open.
    pub const fn all_bits_valid(self) -> bool {
        !matches!(self, Scalar::Bool | Scalar::Char)
    }

    /// The value that `bits` stand for; bits that the type does not have are ignored.
    ///
    /// # Errors
    /// [`Fault::Char`].
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "lifting takes the low bits")]
    pub fn lift(self, bits: u64, nans: Nans) -> Result<Value, Fault> {
        Ok(match self {
            Scalar::Bool => Value::Bool(bits as u32 != 0),
            Scalar::S8 => Value::S8(bits as i8),
            Scalar::U8 => Value::U8(bits as u8),
            Scalar::S16 => Value::S16(bits as i16),
            Scalar::U16 => Value::U16(bits as u16),
            Scalar::S32 => Value::S32(bits as i32),
            Scalar::U32 => Value::U32(bits as u32),
            Scalar::S64 => Value::S64(bits as i64),
            Scalar::U64 => Value::U64(bits),
            Scalar::F32 => Value::F32(nans.bits_32(bits as u32)),
            Scalar::F64 => Value::F64(nans.bits_64(bits)),
            Scalar::Char => Value::Char(char_from_bits(bits as u32)?),
        })
    }

    /// The slot of a value, whose NaNs `nans` decides, or `None` when the value is of another type. In memory its low [`Scalar::bytes`] are stored.
    #[expect(clippy::cast_sign_loss, reason = "lowering stores two's complement")]
    pub fn lower(self, value: &Value, nans: Nans) -> Option<u64> {
        Some(match (self, value) {
            (Scalar::Bool, Value::Bool(v)) => u64::from(*v),
            (Scalar::S8, Value::S8(v)) => u64::from(i32::from(*v) as u32),
            (Scalar::U8, Value::U8(v)) => u64::from(*v),
            (Scalar::S16, Value::S16(v)) => u64::from(i32::from(*v) as u32),
            (Scalar::U16, Value::U16(v)) => u64::from(*v),
            (Scalar::S32, Value::S32(v)) => u64::from(*v as u32),
            (Scalar::U32, Value::U32(v)) => u64::from(*v),
            (Scalar::S64, Value::S64(v)) => *v as u64,
            (Scalar::U64, Value::U64(v)) => *v,
            (Scalar::F32, Value::F32(v)) => u64::from(nans.bits_32(*v)),
            (Scalar::F64, Value::F64(v)) => nans.bits_64(*v),
            (Scalar::Char, Value::Char(v)) => u64::from(u32::from(*v)),
            _ => return None,
        })
    }
}

/// What becomes of a NaN that is lifted or lowered; the specification leaves its bits open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Nans {
    /// It becomes the canonical one: what a host sees and gives.
    #[default]
    Canonical,
    /// It keeps its bits: what adapters between guests do, which copy.
    Kept,
}

impl Nans {
    const fn bits_32(self, bits: u32) -> u32 {
        if matches!(self, Nans::Kept) { bits } else { canonicalize_nan_32(bits) }
    }

    const fn bits_64(self, bits: u64) -> u64 {
        if matches!(self, Nans::Kept) { bits } else { canonicalize_nan_64(bits) }
    }
}

/// The bits of an `f32`, with every NaN made the canonical one.
pub const fn canonicalize_nan_32(bits: u32) -> u32 {
    if bits & 0x7fff_ffff > 0x7f80_0000 { CANONICAL_NAN_32 } else { bits }
}

/// The bits of an `f64`, with every NaN made the canonical one.
pub const fn canonicalize_nan_64(bits: u64) -> u64 {
    if bits & (u64::MAX >> 1) > 0x7ff0_0000_0000_0000 { CANONICAL_NAN_64 } else { bits }
}

/// A `char` from an `i32`.
///
/// # Errors
/// [`Fault::Char`] for surrogates and numbers from 0x110000.
pub const fn char_from_bits(bits: u32) -> Result<char, Fault> {
    match char::from_u32(bits) {
        Some(c) => Ok(c),
        None => Err(Fault::Char),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nans_are_kept_where_adapters_copy() {
        let check = |scalar: Scalar, nans: Nans, bits: u64, expected: u64| {
            let value = scalar.lift(bits, nans).unwrap();
            assert_eq!(scalar.lower(&value, nans), Some(expected), "{scalar:?} {nans:?} {bits:#x}");
        };
        check(Scalar::F32, Nans::Canonical, 0xffff_ffe0, u64::from(CANONICAL_NAN_32));
        check(Scalar::F32, Nans::Kept, 0xffff_ffe0, 0xffff_ffe0);
        check(Scalar::F64, Nans::Canonical, u64::MAX, CANONICAL_NAN_64);
        check(Scalar::F64, Nans::Kept, u64::MAX, u64::MAX);
        check(Scalar::F64, Nans::Canonical, 0xfff0_0000_0000_0000, 0xfff0_0000_0000_0000);
    }
}
