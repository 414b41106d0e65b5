//! Rules of the vector instructions on bits and integer lanes.
//!
//! [Vector instructions](https://webassembly.github.io/spec/core/exec/instructions.html#vector-instructions).
//!
//! Invariant: no row traps.
//!
//! Does not know: floats, memories.

use crate::numerics::lanes::{Lane, make, map, zip};
use crate::numerics::rules;

rules! {
    /// A vector instruction on bits or integer lanes.
    VectorInteger {
        V128Not(a: u128) -> u128 { !a }
        V128And(a: u128, b: u128) -> u128 { a & b }
        V128AndNot(a: u128, b: u128) -> u128 { a & !b }
        V128Or(a: u128, b: u128) -> u128 { a | b }
        V128Xor(a: u128, b: u128) -> u128 { a ^ b }
        V128Bitselect(a: u128, b: u128, c: u128) -> u128 { a & c | b & !c }
        V128AnyTrue(a: u128) -> bool { a != 0 }
        I8x16Swizzle(a: u128, b: u128) -> u128 { swizzle(a, b) }
        I8x16Popcnt(a: u128) -> u128 { map(a, |x: u8| x.count_ones() as u8) }
        I16x8Q15MulrSatS(a: u128, b: u128) -> u128 { zip(a, b, q15mulr_sat) }
        I32x4DotI16x8S(a: u128, b: u128) -> u128 { make(|at| dot(a, b, 2 * at).wrapping_add(dot(a, b, 2 * at + 1))) }
        I8x16Splat(a: u32) -> u128 { make(|_| a as u8) }
        I8x16Eq(a: u128, b: u128) -> u128 { zip(a, b, |x: u8, y| truth::<u8>(x == y)) }
        I8x16Ne(a: u128, b: u128) -> u128 { zip(a, b, |x: u8, y| truth::<u8>(x != y)) }
        I8x16LtS(a: u128, b: u128) -> u128 { zip(a, b, |x: i8, y| truth::<u8>(x < y)) }
        I8x16LtU(a: u128, b: u128) -> u128 { zip(a, b, |x: u8, y| truth::<u8>(x < y)) }
        I8x16GtS(a: u128, b: u128) -> u128 { zip(a, b, |x: i8, y| truth::<u8>(x > y)) }
        I8x16GtU(a: u128, b: u128) -> u128 { zip(a, b, |x: u8, y| truth::<u8>(x > y)) }
        I8x16LeS(a: u128, b: u128) -> u128 { zip(a, b, |x: i8, y| truth::<u8>(x <= y)) }
        I8x16LeU(a: u128, b: u128) -> u128 { zip(a, b, |x: u8, y| truth::<u8>(x <= y)) }
        I8x16GeS(a: u128, b: u128) -> u128 { zip(a, b, |x: i8, y| truth::<u8>(x >= y)) }
        I8x16GeU(a: u128, b: u128) -> u128 { zip(a, b, |x: u8, y| truth::<u8>(x >= y)) }
        I8x16Abs(a: u128) -> u128 { map(a, i8::wrapping_abs) }
        I8x16Neg(a: u128) -> u128 { map(a, i8::wrapping_neg) }
        I8x16AllTrue(a: u128) -> bool { all_true::<u8>(a) }
        I8x16Bitmask(a: u128) -> u32 { bitmask::<u8>(a) }
        I8x16Shl(a: u128, b: u32) -> u128 { map(a, |x: u8| x.wrapping_shl(b)) }
        I8x16ShrS(a: u128, b: u32) -> u128 { map(a, |x: i8| x.wrapping_shr(b)) }
        I8x16ShrU(a: u128, b: u32) -> u128 { map(a, |x: u8| x.wrapping_shr(b)) }
        I8x16Add(a: u128, b: u128) -> u128 { zip(a, b, u8::wrapping_add) }
        I8x16Sub(a: u128, b: u128) -> u128 { zip(a, b, u8::wrapping_sub) }
        I8x16AddSatS(a: u128, b: u128) -> u128 { zip(a, b, i8::saturating_add) }
        I8x16AddSatU(a: u128, b: u128) -> u128 { zip(a, b, u8::saturating_add) }
        I8x16SubSatS(a: u128, b: u128) -> u128 { zip(a, b, i8::saturating_sub) }
        I8x16SubSatU(a: u128, b: u128) -> u128 { zip(a, b, u8::saturating_sub) }
        I8x16AvgrU(a: u128, b: u128) -> u128 { zip(a, b, |x: u8, y| (u32::from(x) + u32::from(y)).div_ceil(2) as u8) }
        I8x16MinS(a: u128, b: u128) -> u128 { zip(a, b, i8::min) }
        I8x16MinU(a: u128, b: u128) -> u128 { zip(a, b, u8::min) }
        I8x16MaxS(a: u128, b: u128) -> u128 { zip(a, b, i8::max) }
        I8x16MaxU(a: u128, b: u128) -> u128 { zip(a, b, u8::max) }
        I16x8Splat(a: u32) -> u128 { make(|_| a as u16) }
        I16x8Eq(a: u128, b: u128) -> u128 { zip(a, b, |x: u16, y| truth::<u16>(x == y)) }
        I16x8Ne(a: u128, b: u128) -> u128 { zip(a, b, |x: u16, y| truth::<u16>(x != y)) }
        I16x8LtS(a: u128, b: u128) -> u128 { zip(a, b, |x: i16, y| truth::<u16>(x < y)) }
        I16x8LtU(a: u128, b: u128) -> u128 { zip(a, b, |x: u16, y| truth::<u16>(x < y)) }
        I16x8GtS(a: u128, b: u128) -> u128 { zip(a, b, |x: i16, y| truth::<u16>(x > y)) }
        I16x8GtU(a: u128, b: u128) -> u128 { zip(a, b, |x: u16, y| truth::<u16>(x > y)) }
        I16x8LeS(a: u128, b: u128) -> u128 { zip(a, b, |x: i16, y| truth::<u16>(x <= y)) }
        I16x8LeU(a: u128, b: u128) -> u128 { zip(a, b, |x: u16, y| truth::<u16>(x <= y)) }
        I16x8GeS(a: u128, b: u128) -> u128 { zip(a, b, |x: i16, y| truth::<u16>(x >= y)) }
        I16x8GeU(a: u128, b: u128) -> u128 { zip(a, b, |x: u16, y| truth::<u16>(x >= y)) }
        I16x8Abs(a: u128) -> u128 { map(a, i16::wrapping_abs) }
        I16x8Neg(a: u128) -> u128 { map(a, i16::wrapping_neg) }
        I16x8AllTrue(a: u128) -> bool { all_true::<u16>(a) }
        I16x8Bitmask(a: u128) -> u32 { bitmask::<u16>(a) }
        I16x8Shl(a: u128, b: u32) -> u128 { map(a, |x: u16| x.wrapping_shl(b)) }
        I16x8ShrS(a: u128, b: u32) -> u128 { map(a, |x: i16| x.wrapping_shr(b)) }
        I16x8ShrU(a: u128, b: u32) -> u128 { map(a, |x: u16| x.wrapping_shr(b)) }
        I16x8Add(a: u128, b: u128) -> u128 { zip(a, b, u16::wrapping_add) }
        I16x8Sub(a: u128, b: u128) -> u128 { zip(a, b, u16::wrapping_sub) }
        I16x8Mul(a: u128, b: u128) -> u128 { zip(a, b, u16::wrapping_mul) }
        I16x8AddSatS(a: u128, b: u128) -> u128 { zip(a, b, i16::saturating_add) }
        I16x8AddSatU(a: u128, b: u128) -> u128 { zip(a, b, u16::saturating_add) }
        I16x8SubSatS(a: u128, b: u128) -> u128 { zip(a, b, i16::saturating_sub) }
        I16x8SubSatU(a: u128, b: u128) -> u128 { zip(a, b, u16::saturating_sub) }
        I16x8AvgrU(a: u128, b: u128) -> u128 { zip(a, b, |x: u16, y| (u32::from(x) + u32::from(y)).div_ceil(2) as u16) }
        I16x8MinS(a: u128, b: u128) -> u128 { zip(a, b, i16::min) }
        I16x8MinU(a: u128, b: u128) -> u128 { zip(a, b, u16::min) }
        I16x8MaxS(a: u128, b: u128) -> u128 { zip(a, b, i16::max) }
        I16x8MaxU(a: u128, b: u128) -> u128 { zip(a, b, u16::max) }
        I32x4Splat(a: u32) -> u128 { make(|_| a) }
        I32x4Eq(a: u128, b: u128) -> u128 { zip(a, b, |x: u32, y| truth::<u32>(x == y)) }
        I32x4Ne(a: u128, b: u128) -> u128 { zip(a, b, |x: u32, y| truth::<u32>(x != y)) }
        I32x4LtS(a: u128, b: u128) -> u128 { zip(a, b, |x: i32, y| truth::<u32>(x < y)) }
        I32x4LtU(a: u128, b: u128) -> u128 { zip(a, b, |x: u32, y| truth::<u32>(x < y)) }
        I32x4GtS(a: u128, b: u128) -> u128 { zip(a, b, |x: i32, y| truth::<u32>(x > y)) }
        I32x4GtU(a: u128, b: u128) -> u128 { zip(a, b, |x: u32, y| truth::<u32>(x > y)) }
        I32x4LeS(a: u128, b: u128) -> u128 { zip(a, b, |x: i32, y| truth::<u32>(x <= y)) }
        I32x4LeU(a: u128, b: u128) -> u128 { zip(a, b, |x: u32, y| truth::<u32>(x <= y)) }
        I32x4GeS(a: u128, b: u128) -> u128 { zip(a, b, |x: i32, y| truth::<u32>(x >= y)) }
        I32x4GeU(a: u128, b: u128) -> u128 { zip(a, b, |x: u32, y| truth::<u32>(x >= y)) }
        I32x4Abs(a: u128) -> u128 { map(a, i32::wrapping_abs) }
        I32x4Neg(a: u128) -> u128 { map(a, i32::wrapping_neg) }
        I32x4AllTrue(a: u128) -> bool { all_true::<u32>(a) }
        I32x4Bitmask(a: u128) -> u32 { bitmask::<u32>(a) }
        I32x4Shl(a: u128, b: u32) -> u128 { map(a, |x: u32| x.wrapping_shl(b)) }
        I32x4ShrS(a: u128, b: u32) -> u128 { map(a, |x: i32| x.wrapping_shr(b)) }
        I32x4ShrU(a: u128, b: u32) -> u128 { map(a, |x: u32| x.wrapping_shr(b)) }
        I32x4Add(a: u128, b: u128) -> u128 { zip(a, b, u32::wrapping_add) }
        I32x4Sub(a: u128, b: u128) -> u128 { zip(a, b, u32::wrapping_sub) }
        I32x4Mul(a: u128, b: u128) -> u128 { zip(a, b, u32::wrapping_mul) }
        I32x4MinS(a: u128, b: u128) -> u128 { zip(a, b, i32::min) }
        I32x4MinU(a: u128, b: u128) -> u128 { zip(a, b, u32::min) }
        I32x4MaxS(a: u128, b: u128) -> u128 { zip(a, b, i32::max) }
        I32x4MaxU(a: u128, b: u128) -> u128 { zip(a, b, u32::max) }
        I64x2Splat(a: u64) -> u128 { make(|_| a) }
        I64x2Eq(a: u128, b: u128) -> u128 { zip(a, b, |x: u64, y| truth::<u64>(x == y)) }
        I64x2Ne(a: u128, b: u128) -> u128 { zip(a, b, |x: u64, y| truth::<u64>(x != y)) }
        I64x2LtS(a: u128, b: u128) -> u128 { zip(a, b, |x: i64, y| truth::<u64>(x < y)) }
        I64x2GtS(a: u128, b: u128) -> u128 { zip(a, b, |x: i64, y| truth::<u64>(x > y)) }
        I64x2LeS(a: u128, b: u128) -> u128 { zip(a, b, |x: i64, y| truth::<u64>(x <= y)) }
        I64x2GeS(a: u128, b: u128) -> u128 { zip(a, b, |x: i64, y| truth::<u64>(x >= y)) }
        I64x2Abs(a: u128) -> u128 { map(a, i64::wrapping_abs) }
        I64x2Neg(a: u128) -> u128 { map(a, i64::wrapping_neg) }
        I64x2AllTrue(a: u128) -> bool { all_true::<u64>(a) }
        I64x2Bitmask(a: u128) -> u32 { bitmask::<u64>(a) }
        I64x2Shl(a: u128, b: u32) -> u128 { map(a, |x: u64| x.wrapping_shl(b)) }
        I64x2ShrS(a: u128, b: u32) -> u128 { map(a, |x: i64| x.wrapping_shr(b)) }
        I64x2ShrU(a: u128, b: u32) -> u128 { map(a, |x: u64| x.wrapping_shr(b)) }
        I64x2Add(a: u128, b: u128) -> u128 { zip(a, b, u64::wrapping_add) }
        I64x2Sub(a: u128, b: u128) -> u128 { zip(a, b, u64::wrapping_sub) }
        I64x2Mul(a: u128, b: u128) -> u128 { zip(a, b, u64::wrapping_mul) }
        I8x16NarrowI16x8S(a: u128, b: u128) -> u128 {
            narrow(a, b, |x: i16| x.clamp(i8::MIN.into(), i8::MAX.into()) as i8)
        }
        I8x16NarrowI16x8U(a: u128, b: u128) -> u128 { narrow(a, b, |x: i16| x.clamp(0, u8::MAX.into()) as u8) }
        I16x8NarrowI32x4S(a: u128, b: u128) -> u128 {
            narrow(a, b, |x: i32| x.clamp(i16::MIN.into(), i16::MAX.into()) as i16)
        }
        I16x8NarrowI32x4U(a: u128, b: u128) -> u128 { narrow(a, b, |x: i32| x.clamp(0, u16::MAX.into()) as u16) }
        I16x8ExtendLowI8x16S(a: u128) -> u128 { make(|at| i16::from(i8::at(a, at))) }
        I16x8ExtMulLowI8x16S(a: u128, b: u128) -> u128 {
            make(|at| i16::from(i8::at(a, at)).wrapping_mul(i8::at(b, at).into()))
        }
        I16x8ExtendLowI8x16U(a: u128) -> u128 { make(|at| u16::from(u8::at(a, at))) }
        I16x8ExtMulLowI8x16U(a: u128, b: u128) -> u128 {
            make(|at| u16::from(u8::at(a, at)).wrapping_mul(u8::at(b, at).into()))
        }
        I16x8ExtendHighI8x16S(a: u128) -> u128 { make(|at| i16::from(i8::at(a, at + 8))) }
        I16x8ExtMulHighI8x16S(a: u128, b: u128) -> u128 {
            make(|at| i16::from(i8::at(a, at + 8)).wrapping_mul(i8::at(b, at + 8).into()))
        }
        I16x8ExtendHighI8x16U(a: u128) -> u128 { make(|at| u16::from(u8::at(a, at + 8))) }
        I16x8ExtMulHighI8x16U(a: u128, b: u128) -> u128 {
            make(|at| u16::from(u8::at(a, at + 8)).wrapping_mul(u8::at(b, at + 8).into()))
        }
        I16x8ExtAddPairwiseI8x16S(a: u128) -> u128 {
            make(|at| i16::from(i8::at(a, 2 * at)) + i16::from(i8::at(a, 2 * at + 1)))
        }
        I16x8ExtAddPairwiseI8x16U(a: u128) -> u128 {
            make(|at| u16::from(u8::at(a, 2 * at)) + u16::from(u8::at(a, 2 * at + 1)))
        }
        I32x4ExtendLowI16x8S(a: u128) -> u128 { make(|at| i32::from(i16::at(a, at))) }
        I32x4ExtMulLowI16x8S(a: u128, b: u128) -> u128 {
            make(|at| i32::from(i16::at(a, at)).wrapping_mul(i16::at(b, at).into()))
        }
        I32x4ExtendLowI16x8U(a: u128) -> u128 { make(|at| u32::from(u16::at(a, at))) }
        I32x4ExtMulLowI16x8U(a: u128, b: u128) -> u128 {
            make(|at| u32::from(u16::at(a, at)).wrapping_mul(u16::at(b, at).into()))
        }
        I32x4ExtendHighI16x8S(a: u128) -> u128 { make(|at| i32::from(i16::at(a, at + 4))) }
        I32x4ExtMulHighI16x8S(a: u128, b: u128) -> u128 {
            make(|at| i32::from(i16::at(a, at + 4)).wrapping_mul(i16::at(b, at + 4).into()))
        }
        I32x4ExtendHighI16x8U(a: u128) -> u128 { make(|at| u32::from(u16::at(a, at + 4))) }
        I32x4ExtMulHighI16x8U(a: u128, b: u128) -> u128 {
            make(|at| u32::from(u16::at(a, at + 4)).wrapping_mul(u16::at(b, at + 4).into()))
        }
        I32x4ExtAddPairwiseI16x8S(a: u128) -> u128 {
            make(|at| i32::from(i16::at(a, 2 * at)) + i32::from(i16::at(a, 2 * at + 1)))
        }
        I32x4ExtAddPairwiseI16x8U(a: u128) -> u128 {
            make(|at| u32::from(u16::at(a, 2 * at)) + u32::from(u16::at(a, 2 * at + 1)))
        }
        I64x2ExtendLowI32x4S(a: u128) -> u128 { make(|at| i64::from(i32::at(a, at))) }
        I64x2ExtMulLowI32x4S(a: u128, b: u128) -> u128 {
            make(|at| i64::from(i32::at(a, at)).wrapping_mul(i32::at(b, at).into()))
        }
        I64x2ExtendLowI32x4U(a: u128) -> u128 { make(|at| u64::from(u32::at(a, at))) }
        I64x2ExtMulLowI32x4U(a: u128, b: u128) -> u128 {
            make(|at| u64::from(u32::at(a, at)).wrapping_mul(u32::at(b, at).into()))
        }
        I64x2ExtendHighI32x4S(a: u128) -> u128 { make(|at| i64::from(i32::at(a, at + 2))) }
        I64x2ExtMulHighI32x4S(a: u128, b: u128) -> u128 {
            make(|at| i64::from(i32::at(a, at + 2)).wrapping_mul(i32::at(b, at + 2).into()))
        }
        I64x2ExtendHighI32x4U(a: u128) -> u128 { make(|at| u64::from(u32::at(a, at + 2))) }
        I64x2ExtMulHighI32x4U(a: u128, b: u128) -> u128 {
            make(|at| u64::from(u32::at(a, at + 2)).wrapping_mul(u32::at(b, at + 2).into()))
        }
    }
}

/// All bits set or none.
pub(crate) fn truth<T: Lane>(condition: bool) -> T {
    T::of_bits(if condition { u128::MAX } else { 0 })
}

/// `i8x16.swizzle`: indices beyond the vector choose 0.
pub(crate) fn swizzle(a: u128, b: u128) -> u128 {
    let wraps = flipped!(i8x16_swizzle_wraps);
    map(b, |lane: u8| if lane < 16 || wraps { u8::at(a, u32::from(lane) % 16) } else { 0 })
}

/// `iq15mulr_sat_s`.
pub(crate) fn q15mulr_sat(a: i16, b: i16) -> i16 {
    if flipped!(i16x8_q15mulr_of_minimum) {
        return ((i32::from(a) * i32::from(b) + 0x4000) >> 15) as i16;
    }
    ((i32::from(a) * i32::from(b) + 0x4000) >> 15).clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

fn dot(a: u128, b: u128, lane: u32) -> i32 {
    i32::from(i16::at(a, lane)) * i32::from(i16::at(b, lane))
}

fn all_true<T: Lane>(a: u128) -> bool {
    (0..128 / T::BITS).all(|at| T::at(a, at).bits() != 0)
}

fn bitmask<T: Lane>(a: u128) -> u32 {
    (0..128 / T::BITS).fold(0, |mask, at| mask | ((T::at(a, at).bits() >> (T::BITS - 1)) as u32) << at)
}

fn narrow<A: Lane, R: Lane>(a: u128, b: u128, f: impl Fn(A) -> R) -> u128 {
    let half = 64 / R::BITS;
    make(|at| f(if at < half { A::at(a, at) } else { A::at(b, at - half) }))
}
