//! Rules of the floating-point instructions.
//!
//! [Floating-point operations](https://webassembly.github.io/spec/core/exec/numerics.html#floating-point-operations) in
//! the [deterministic
//! profile](https://webassembly.github.io/spec/core/appendix/profiles.html#deterministic-profile-small-mathrm-det):
//! every NaN that arithmetic produces is the positive canonical one.
//!
//! Invariant: `abs`, `neg` and `copysign` work on bits and never canonicalize.
//!
//! Does not know: integers and vectors.

use crate::numerics::rules;

/// The operators that scalars and lanes share.
pub(crate) trait FloatOps: Copy {
    /// The result of arithmetic.
    fn canonical(self) -> Self;
    /// `fmin`.
    fn fmin(self, other: Self) -> Self;
    /// `fmax`.
    fn fmax(self, other: Self) -> Self;
    /// `fpmin`: the second when it is less.
    fn fpmin(self, other: Self) -> Self;
    /// `fpmax`: the second when it is greater.
    fn fpmax(self, other: Self) -> Self;
    /// `fabs`.
    fn fabs(self) -> Self;
    /// `fneg`.
    fn fneg(self) -> Self;
    /// `fcopysign`.
    fn fcopysign(self, sign: Self) -> Self;
}

macro_rules! float_ops {
    ($ty:ty, $nan:literal, $sign:literal, $infinity:literal) => {
        impl FloatOps for $ty {
            fn canonical(self) -> $ty {
                // On bits: a test of the float itself may be optimized away, since Rust leaves the payload open.
                let bits = std::hint::black_box(self.to_bits());
                if bits & !$sign > $infinity { <$ty>::from_bits($nan) } else { <$ty>::from_bits(bits) }
            }
            fn fmin(self, other: $ty) -> $ty {
                if self.is_nan() || other.is_nan() {
                    <$ty>::from_bits($nan)
                } else if self == other {
                    <$ty>::from_bits(self.to_bits() | other.to_bits())
                } else if self < other {
                    self
                } else {
                    other
                }
            }
            fn fmax(self, other: $ty) -> $ty {
                if flipped!(f64_max_by_comparison) && <$ty>::MANTISSA_DIGITS > 24 {
                    if self > other { self } else { other }
                } else if self.is_nan() || other.is_nan() {
                    <$ty>::from_bits($nan)
                } else if self == other {
                    <$ty>::from_bits(self.to_bits() & other.to_bits())
                } else if self > other {
                    self
                } else {
                    other
                }
            }
            fn fpmin(self, other: $ty) -> $ty {
                if other < self { other } else { self }
            }
            fn fpmax(self, other: $ty) -> $ty {
                if self < other { other } else { self }
            }
            fn fabs(self) -> $ty {
                <$ty>::from_bits(self.to_bits() & !$sign)
            }
            fn fneg(self) -> $ty {
                <$ty>::from_bits(self.to_bits() ^ $sign)
            }
            fn fcopysign(self, sign: $ty) -> $ty {
                <$ty>::from_bits(self.to_bits() & !$sign | sign.to_bits() & $sign)
            }
        }
    };
}

float_ops!(f32, 0x7fc0_0000, 0x8000_0000, 0x7f80_0000);
float_ops!(f64, 0x7ff8_0000_0000_0000, 0x8000_0000_0000_0000, 0x7ff0_0000_0000_0000);

rules! {
    /// A floating-point instruction.
    Float {
        F32Eq(a: f32, b: f32) -> bool { a == b }
        F32Ne(a: f32, b: f32) -> bool { a != b }
        F32Lt(a: f32, b: f32) -> bool { a < b }
        F32Gt(a: f32, b: f32) -> bool { a > b }
        F32Le(a: f32, b: f32) -> bool { a <= b }
        F32Ge(a: f32, b: f32) -> bool { a >= b }
        F32Abs(a: f32) -> f32 { a.fabs() }
        F32Neg(a: f32) -> f32 { a.fneg() }
        F32Ceil(a: f32) -> f32 { a.ceil().canonical() }
        F32Floor(a: f32) -> f32 { a.floor().canonical() }
        F32Trunc(a: f32) -> f32 { a.trunc().canonical() }
        F32Nearest(a: f32) -> f32 { a.round_ties_even().canonical() }
        F32Sqrt(a: f32) -> f32 { a.sqrt().canonical() }
        F32Add(a: f32, b: f32) -> f32 { (a + b).canonical() }
        F32Sub(a: f32, b: f32) -> f32 { (a - b).canonical() }
        F32Mul(a: f32, b: f32) -> f32 { (a * b).canonical() }
        F32Div(a: f32, b: f32) -> f32 { (a / b).canonical() }
        F32Min(a: f32, b: f32) -> f32 { a.fmin(b) }
        F32Max(a: f32, b: f32) -> f32 { a.fmax(b) }
        F32Copysign(a: f32, b: f32) -> f32 { a.fcopysign(b) }
        F64Eq(a: f64, b: f64) -> bool { a == b }
        F64Ne(a: f64, b: f64) -> bool { a != b }
        F64Lt(a: f64, b: f64) -> bool { a < b }
        F64Gt(a: f64, b: f64) -> bool { a > b }
        F64Le(a: f64, b: f64) -> bool { a <= b }
        F64Ge(a: f64, b: f64) -> bool { a >= b }
        F64Abs(a: f64) -> f64 { a.fabs() }
        F64Neg(a: f64) -> f64 { a.fneg() }
        F64Ceil(a: f64) -> f64 { a.ceil().canonical() }
        F64Floor(a: f64) -> f64 { a.floor().canonical() }
        F64Trunc(a: f64) -> f64 { a.trunc().canonical() }
        F64Nearest(a: f64) -> f64 { a.round_ties_even().canonical() }
        F64Sqrt(a: f64) -> f64 { a.sqrt().canonical() }
        F64Add(a: f64, b: f64) -> f64 { (a + b).canonical() }
        F64Sub(a: f64, b: f64) -> f64 { (a - b).canonical() }
        F64Mul(a: f64, b: f64) -> f64 { (a * b).canonical() }
        F64Div(a: f64, b: f64) -> f64 { (a / b).canonical() }
        F64Min(a: f64, b: f64) -> f64 { a.fmin(b) }
        F64Max(a: f64, b: f64) -> f64 { a.fmax(b) }
        F64Copysign(a: f64, b: f64) -> f64 { a.fcopysign(b) }
    }
}
