//! Rules of the vector instructions on floating-point lanes.
//!
//! [Vector instructions](https://webassembly.github.io/spec/core/exec/instructions.html#vector-instructions) in the
//! deterministic profile.
//!
//! Invariant: no row traps; a lane is computed as the scalar instruction computes it.
//!
//! Does not know: memories.

use crate::numerics::floats::FloatOps;
use crate::numerics::lanes::{Lane, make, map, zip};
use crate::numerics::rules;
use crate::numerics::vector_integers::truth;

rules! {
    /// A vector instruction on floating-point lanes.
    VectorFloat {
        F32x4Splat(a: f32) -> u128 { make(|_| a) }
        F32x4Eq(a: u128, b: u128) -> u128 { zip(a, b, |x: f32, y| truth::<u32>(x == y)) }
        F32x4Ne(a: u128, b: u128) -> u128 { zip(a, b, |x: f32, y| truth::<u32>(x != y)) }
        F32x4Lt(a: u128, b: u128) -> u128 { zip(a, b, |x: f32, y| truth::<u32>(x < y)) }
        F32x4Gt(a: u128, b: u128) -> u128 { zip(a, b, |x: f32, y| truth::<u32>(x > y)) }
        F32x4Le(a: u128, b: u128) -> u128 { zip(a, b, |x: f32, y| truth::<u32>(x <= y)) }
        F32x4Ge(a: u128, b: u128) -> u128 { zip(a, b, |x: f32, y| truth::<u32>(x >= y)) }
        F32x4Abs(a: u128) -> u128 { map(a, |x: f32| x.fabs()) }
        F32x4Neg(a: u128) -> u128 { map(a, |x: f32| x.fneg()) }
        F32x4Ceil(a: u128) -> u128 { map(a, |x: f32| x.ceil().canonical()) }
        F32x4Floor(a: u128) -> u128 { map(a, |x: f32| x.floor().canonical()) }
        F32x4Trunc(a: u128) -> u128 { map(a, |x: f32| x.trunc().canonical()) }
        F32x4Nearest(a: u128) -> u128 { map(a, |x: f32| x.round_ties_even().canonical()) }
        F32x4Sqrt(a: u128) -> u128 { map(a, |x: f32| x.sqrt().canonical()) }
        F32x4Add(a: u128, b: u128) -> u128 { zip(a, b, |x: f32, y| (x + y).canonical()) }
        F32x4Sub(a: u128, b: u128) -> u128 { zip(a, b, |x: f32, y| (x - y).canonical()) }
        F32x4Mul(a: u128, b: u128) -> u128 { zip(a, b, |x: f32, y| (x * y).canonical()) }
        F32x4Div(a: u128, b: u128) -> u128 { zip(a, b, |x: f32, y| (x / y).canonical()) }
        F32x4Min(a: u128, b: u128) -> u128 { zip(a, b, |x: f32, y| x.fmin(y)) }
        F32x4Max(a: u128, b: u128) -> u128 { zip(a, b, |x: f32, y| x.fmax(y)) }
        F32x4PMin(a: u128, b: u128) -> u128 { zip(a, b, |x: f32, y| x.fpmin(y)) }
        F32x4PMax(a: u128, b: u128) -> u128 { zip(a, b, |x: f32, y| x.fpmax(y)) }
        F64x2Splat(a: f64) -> u128 { make(|_| a) }
        F64x2Eq(a: u128, b: u128) -> u128 { zip(a, b, |x: f64, y| truth::<u64>(x == y)) }
        F64x2Ne(a: u128, b: u128) -> u128 { zip(a, b, |x: f64, y| truth::<u64>(x != y)) }
        F64x2Lt(a: u128, b: u128) -> u128 { zip(a, b, |x: f64, y| truth::<u64>(x < y)) }
        F64x2Gt(a: u128, b: u128) -> u128 { zip(a, b, |x: f64, y| truth::<u64>(x > y)) }
        F64x2Le(a: u128, b: u128) -> u128 { zip(a, b, |x: f64, y| truth::<u64>(x <= y)) }
        F64x2Ge(a: u128, b: u128) -> u128 { zip(a, b, |x: f64, y| truth::<u64>(x >= y)) }
        F64x2Abs(a: u128) -> u128 { map(a, |x: f64| x.fabs()) }
        F64x2Neg(a: u128) -> u128 { map(a, |x: f64| x.fneg()) }
        F64x2Ceil(a: u128) -> u128 { map(a, |x: f64| x.ceil().canonical()) }
        F64x2Floor(a: u128) -> u128 { map(a, |x: f64| x.floor().canonical()) }
        F64x2Trunc(a: u128) -> u128 { map(a, |x: f64| x.trunc().canonical()) }
        F64x2Nearest(a: u128) -> u128 { map(a, |x: f64| x.round_ties_even().canonical()) }
        F64x2Sqrt(a: u128) -> u128 { map(a, |x: f64| x.sqrt().canonical()) }
        F64x2Add(a: u128, b: u128) -> u128 { zip(a, b, |x: f64, y| (x + y).canonical()) }
        F64x2Sub(a: u128, b: u128) -> u128 { zip(a, b, |x: f64, y| (x - y).canonical()) }
        F64x2Mul(a: u128, b: u128) -> u128 { zip(a, b, |x: f64, y| (x * y).canonical()) }
        F64x2Div(a: u128, b: u128) -> u128 { zip(a, b, |x: f64, y| (x / y).canonical()) }
        F64x2Min(a: u128, b: u128) -> u128 { zip(a, b, |x: f64, y| x.fmin(y)) }
        F64x2Max(a: u128, b: u128) -> u128 { zip(a, b, |x: f64, y| x.fmax(y)) }
        F64x2PMin(a: u128, b: u128) -> u128 { zip(a, b, |x: f64, y| x.fpmin(y)) }
        F64x2PMax(a: u128, b: u128) -> u128 { zip(a, b, |x: f64, y| x.fpmax(y)) }
        I32x4TruncSatF32x4S(a: u128) -> u128 { map(a, |x: f32| x as i32) }
        I32x4TruncSatF32x4U(a: u128) -> u128 { map(a, |x: f32| x as u32) }
        F32x4ConvertI32x4S(a: u128) -> u128 { map(a, |x: i32| x as f32) }
        F32x4ConvertI32x4U(a: u128) -> u128 { map(a, |x: u32| x as f32) }
        I32x4TruncSatF64x2SZero(a: u128) -> u128 { low(|at| f64::at(a, at) as i32) }
        I32x4TruncSatF64x2UZero(a: u128) -> u128 { low(|at| f64::at(a, at) as u32) }
        F64x2ConvertLowI32x4S(a: u128) -> u128 { make(|at| f64::from(i32::at(a, at))) }
        F64x2ConvertLowI32x4U(a: u128) -> u128 { make(|at| f64::from(u32::at(a, at))) }
        F32x4DemoteF64x2Zero(a: u128) -> u128 { low(|at| (f64::at(a, at) as f32).canonical()) }
        F64x2PromoteLowF32x4(a: u128) -> u128 { make(|at| f64::from(f32::at(a, at)).canonical()) }
    }
}

/// The two low lanes; the others are 0.
pub(crate) fn low<R: Lane>(lane: impl Fn(u32) -> R) -> u128 {
    make(|at| if at < 2 { lane(at) } else { R::of_bits(0) })
}
