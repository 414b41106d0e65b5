//! Rules of the relaxed vector instructions, in the deterministic profile.
//!
//! [Relaxed operations](https://webassembly.github.io/spec/core/exec/numerics.html#relaxed-operations): of the results
//! that each may have, the one that the profile prescribes.
//!
//! Invariant: no row traps or depends on the machine.
//!
//! Does not know: memories.

use crate::numerics::floats::FloatOps;
use crate::numerics::lanes::{Lane, make, map, zip};
use crate::numerics::rules;
use crate::numerics::vector_floats::low;
use crate::numerics::vector_integers::{q15mulr_sat, swizzle};

rules! {
    /// A relaxed vector instruction.
    Relaxed {
        I8x16RelaxedSwizzle(a: u128, b: u128) -> u128 { swizzle(a, b) }
        I32x4RelaxedTruncF32x4S(a: u128) -> u128 { map(a, |x: f32| x as i32) }
        I32x4RelaxedTruncF32x4U(a: u128) -> u128 { map(a, |x: f32| x as u32) }
        I32x4RelaxedTruncF64x2SZero(a: u128) -> u128 { low(|at| f64::at(a, at) as i32) }
        I32x4RelaxedTruncF64x2UZero(a: u128) -> u128 { low(|at| f64::at(a, at) as u32) }
        I16x8RelaxedQ15mulrS(a: u128, b: u128) -> u128 { zip(a, b, q15mulr_sat) }
        I16x8RelaxedDotI8x16I7x16S(a: u128, b: u128) -> u128 { dot(a, b) }
        I32x4RelaxedDotI8x16I7x16AddS(a: u128, b: u128, c: u128) -> u128 { dot_add(dot(a, b), c) }
        F32x4RelaxedMadd(a: u128, b: u128, c: u128) -> u128 {
            fused(a, b, c, |x: f32, y, z| x.mul_add(y, z).canonical())
        }
        F32x4RelaxedNmadd(a: u128, b: u128, c: u128) -> u128 {
            fused(a, b, c, |x: f32, y, z| x.fneg().mul_add(y, z).canonical())
        }
        F32x4RelaxedMin(a: u128, b: u128) -> u128 { zip(a, b, f32::fmin) }
        F32x4RelaxedMax(a: u128, b: u128) -> u128 { zip(a, b, f32::fmax) }
        F64x2RelaxedMadd(a: u128, b: u128, c: u128) -> u128 {
            fused(a, b, c, |x: f64, y, z| x.mul_add(y, z).canonical())
        }
        F64x2RelaxedNmadd(a: u128, b: u128, c: u128) -> u128 {
            fused(a, b, c, |x: f64, y, z| x.fneg().mul_add(y, z).canonical())
        }
        F64x2RelaxedMin(a: u128, b: u128) -> u128 { zip(a, b, f64::fmin) }
        F64x2RelaxedMax(a: u128, b: u128) -> u128 { zip(a, b, f64::fmax) }
        I8x16RelaxedLaneselect(a: u128, b: u128, c: u128) -> u128 { a & c | b & !c }
        I16x8RelaxedLaneselect(a: u128, b: u128, c: u128) -> u128 { a & c | b & !c }
        I32x4RelaxedLaneselect(a: u128, b: u128, c: u128) -> u128 { a & c | b & !c }
        I64x2RelaxedLaneselect(a: u128, b: u128, c: u128) -> u128 { a & c | b & !c }
    }
}

fn fused<T: Lane>(a: u128, b: u128, c: u128, f: impl Fn(T, T, T) -> T) -> u128 {
    make(|at| f(T::at(a, at), T::at(b, at), T::at(c, at)))
}

fn dot(a: u128, b: u128) -> u128 {
    let product = |at| i16::from(i8::at(a, at)) * i16::from(i8::at(b, at));
    make(|at| product(2 * at).wrapping_add(product(2 * at + 1)))
}

fn dot_add(products: u128, c: u128) -> u128 {
    let product = |at| i32::from(i16::at(products, at));
    make(|at| (product(2 * at) + product(2 * at + 1)).wrapping_add(i32::at(c, at)))
}
