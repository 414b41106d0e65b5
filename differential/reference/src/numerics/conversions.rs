//! Rules of the conversions between number types.
//!
//! [Conversions](https://webassembly.github.io/spec/core/exec/numerics.html#conversions) in the deterministic profile.
//!
//! Invariant: only the truncations that are not saturating trap.
//!
//! Does not know: vectors.

use crate::error::TrapClass;
use crate::numerics::floats::FloatOps;
use crate::numerics::rules;

type Partial<T> = Result<T, TrapClass>;

rules! {
    /// A conversion.
    Conversion {
        I32WrapI64(a: u64) -> u32 { a as u32 }
        I32TruncF32S(a: f32) -> Partial<i32> { trunc(f64::from(a), -2147483648.0, 2147483648.0).map(|a| a as i32) }
        I32TruncSatF32S(a: f32) -> i32 { a as i32 }
        F32ConvertI32S(a: i32) -> f32 { a as f32 }
        I32TruncF64S(a: f64) -> Partial<i32> { trunc(a, -2147483648.0, 2147483648.0).map(|a| a as i32) }
        I32TruncSatF64S(a: f64) -> i32 { a as i32 }
        F64ConvertI32S(a: i32) -> f64 { f64::from(a) }
        I32TruncF32U(a: f32) -> Partial<u32> { trunc(f64::from(a), 0.0, 4294967296.0).map(|a| a as u32) }
        I32TruncSatF32U(a: f32) -> u32 { a as u32 }
        F32ConvertI32U(a: u32) -> f32 { a as f32 }
        I32TruncF64U(a: f64) -> Partial<u32> { trunc(a, 0.0, 4294967296.0).map(|a| a as u32) }
        I32TruncSatF64U(a: f64) -> u32 { a as u32 }
        F64ConvertI32U(a: u32) -> f64 { f64::from(a) }
        I64TruncF32S(a: f32) -> Partial<i64> {
            trunc(f64::from(a), -9223372036854775808.0, 9223372036854775808.0).map(|a| a as i64)
        }
        I64TruncSatF32S(a: f32) -> i64 { a as i64 }
        F32ConvertI64S(a: i64) -> f32 { a as f32 }
        I64TruncF64S(a: f64) -> Partial<i64> {
            trunc(a, -9223372036854775808.0, 9223372036854775808.0).map(|a| a as i64)
        }
        I64TruncSatF64S(a: f64) -> i64 { a as i64 }
        F64ConvertI64S(a: i64) -> f64 { a as f64 }
        I64TruncF32U(a: f32) -> Partial<u64> { trunc(f64::from(a), 0.0, 18446744073709551616.0).map(|a| a as u64) }
        I64TruncSatF32U(a: f32) -> u64 { a as u64 }
        F32ConvertI64U(a: u64) -> f32 { a as f32 }
        I64TruncF64U(a: f64) -> Partial<u64> { trunc(a, 0.0, 18446744073709551616.0).map(|a| a as u64) }
        I64TruncSatF64U(a: f64) -> u64 { a as u64 }
        F64ConvertI64U(a: u64) -> f64 { a as f64 }
        I64ExtendI32S(a: i32) -> i64 { i64::from(a) }
        I64ExtendI32U(a: u32) -> u64 { u64::from(a) }
        F32DemoteF64(a: f64) -> f32 { (a as f32).canonical() }
        F64PromoteF32(a: f32) -> f64 { f64::from(a).canonical() }
        I32ReinterpretF32(a: f32) -> u32 { a.to_bits() }
        I64ReinterpretF64(a: f64) -> u64 { a.to_bits() }
        F32ReinterpretI32(a: u32) -> f32 { f32::from_bits(a) }
        F64ReinterpretI64(a: u64) -> f64 { f64::from_bits(a) }
    }
}

/// `trunc`: defined from `min` to just below `end`.
fn trunc(value: f64, min: f64, end: f64) -> Partial<f64> {
    let truncated = value.trunc();
    if value.is_nan() {
        Err(TrapClass::InvalidConversionToInteger)
    } else if truncated >= min && truncated < end {
        Ok(truncated)
    } else {
        Err(TrapClass::IntegerOverflow)
    }
}
