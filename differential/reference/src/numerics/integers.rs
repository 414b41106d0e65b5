//! Rules of the integer instructions, wide arithmetic included.
//!
//! [Integer operations](https://webassembly.github.io/spec/core/exec/numerics.html#integer-operations), and
//! [wide arithmetic](https://github.com/WebAssembly/wide-arithmetic).
//!
//! Invariant: arithmetic is modulo the width; only division and remainder trap.
//!
//! Does not know: floats and vectors.

use crate::error::TrapClass;
use crate::numerics::rules;

type Partial<T> = Result<T, TrapClass>;

const ZERO: TrapClass = TrapClass::IntegerDivideByZero;
const OVERFLOW: TrapClass = TrapClass::IntegerOverflow;

rules! {
    /// An integer instruction.
    Integer {
        I32Eqz(a: u32) -> bool { a == 0 }
        I32Eq(a: u32, b: u32) -> bool { a == b }
        I32Ne(a: u32, b: u32) -> bool { a != b }
        I32LtS(a: i32, b: i32) -> bool { a < b }
        I32LtU(a: u32, b: u32) -> bool { a < b }
        I32GtS(a: i32, b: i32) -> bool { a > b }
        I32GtU(a: u32, b: u32) -> bool { a > b }
        I32LeS(a: i32, b: i32) -> bool { a <= b }
        I32LeU(a: u32, b: u32) -> bool { a <= b }
        I32GeS(a: i32, b: i32) -> bool { a >= b }
        I32GeU(a: u32, b: u32) -> bool { a >= b }
        I32Clz(a: u32) -> u32 { a.leading_zeros() }
        I32Ctz(a: u32) -> u32 { if a == 0 && flipped!(i32_ctz_of_zero) { 31 } else { a.trailing_zeros() } }
        I32Popcnt(a: u32) -> u32 { a.count_ones() }
        I32Add(a: u32, b: u32) -> u32 { a.wrapping_add(b) }
        I32Sub(a: u32, b: u32) -> u32 { a.wrapping_sub(b) }
        I32Mul(a: u32, b: u32) -> u32 { a.wrapping_mul(b) }
        I32DivS(a: i32, b: i32) -> Partial<i32> { if b == 0 { Err(ZERO) } else { a.checked_div(b).ok_or(OVERFLOW) } }
        I32DivU(a: u32, b: u32) -> Partial<u32> { a.checked_div(b).ok_or(ZERO) }
        I32RemS(a: i32, b: i32) -> Partial<i32> { if b == 0 { Err(ZERO) } else { Ok(a.wrapping_rem(b)) } }
        I32RemU(a: u32, b: u32) -> Partial<u32> { a.checked_rem(b).ok_or(ZERO) }
        I32And(a: u32, b: u32) -> u32 { a & b }
        I32Or(a: u32, b: u32) -> u32 { a | b }
        I32Xor(a: u32, b: u32) -> u32 { a ^ b }
        I32Shl(a: u32, b: u32) -> u32 { a.wrapping_shl(b) }
        I32ShrS(a: i32, b: u32) -> i32 { a.wrapping_shr(b) }
        I32ShrU(a: u32, b: u32) -> u32 { a.wrapping_shr(b) }
        I32Rotl(a: u32, b: u32) -> u32 { a.rotate_left(b % 32) }
        I32Rotr(a: u32, b: u32) -> u32 { a.rotate_right(b % 32) }
        I32Extend8S(a: i32) -> i32 { i32::from(a as i8) }
        I32Extend16S(a: i32) -> i32 { i32::from(a as i16) }
        I64Eqz(a: u64) -> bool { a == 0 }
        I64Eq(a: u64, b: u64) -> bool { a == b }
        I64Ne(a: u64, b: u64) -> bool { a != b }
        I64LtS(a: i64, b: i64) -> bool { a < b }
        I64LtU(a: u64, b: u64) -> bool { a < b }
        I64GtS(a: i64, b: i64) -> bool { a > b }
        I64GtU(a: u64, b: u64) -> bool { a > b }
        I64LeS(a: i64, b: i64) -> bool { a <= b }
        I64LeU(a: u64, b: u64) -> bool { a <= b }
        I64GeS(a: i64, b: i64) -> bool { a >= b }
        I64GeU(a: u64, b: u64) -> bool { a >= b }
        I64Clz(a: u64) -> u64 { u64::from(a.leading_zeros()) }
        I64Ctz(a: u64) -> u64 { u64::from(a.trailing_zeros()) }
        I64Popcnt(a: u64) -> u64 { u64::from(a.count_ones()) }
        I64Add(a: u64, b: u64) -> u64 { a.wrapping_add(b) }
        I64Sub(a: u64, b: u64) -> u64 { a.wrapping_sub(b) }
        I64Mul(a: u64, b: u64) -> u64 { a.wrapping_mul(b) }
        I64DivS(a: i64, b: i64) -> Partial<i64> { if b == 0 { Err(ZERO) } else { a.checked_div(b).ok_or(OVERFLOW) } }
        I64DivU(a: u64, b: u64) -> Partial<u64> { a.checked_div(b).ok_or(ZERO) }
        I64RemS(a: i64, b: i64) -> Partial<i64> {
            if b == 0 {
                Err(ZERO)
            } else if flipped!(i64_remainder_of_minus_one) {
                a.checked_rem(b).ok_or(OVERFLOW)
            } else {
                Ok(a.wrapping_rem(b))
            }
        }
        I64RemU(a: u64, b: u64) -> Partial<u64> { a.checked_rem(b).ok_or(ZERO) }
        I64And(a: u64, b: u64) -> u64 { a & b }
        I64Or(a: u64, b: u64) -> u64 { a | b }
        I64Xor(a: u64, b: u64) -> u64 { a ^ b }
        I64Shl(a: u64, b: u64) -> u64 { a.wrapping_shl(b as u32) }
        I64ShrS(a: i64, b: u64) -> i64 { a.wrapping_shr(b as u32) }
        I64ShrU(a: u64, b: u64) -> u64 { a.wrapping_shr(b as u32) }
        I64Rotl(a: u64, b: u64) -> u64 {
            if flipped!(i64_rotate_left_as_right) { a.rotate_right((b as u32) % 64) } else { a.rotate_left((b as u32) % 64) }
        }
        I64Rotr(a: u64, b: u64) -> u64 { a.rotate_right((b as u32) % 64) }
        I64Extend8S(a: i64) -> i64 { i64::from(a as i8) }
        I64Extend16S(a: i64) -> i64 { i64::from(a as i16) }
        I64Extend32S(a: i64) -> i64 { i64::from(a as i32) }
        I64Add128(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) { halves(whole(a, b).wrapping_add(whole(c, d))) }
        I64Sub128(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) { halves(whole(a, b).wrapping_sub(whole(c, d))) }
        I64MulWideS(a: i64, b: i64) -> (u64, u64) { halves((i128::from(a) * i128::from(b)) as u128) }
        I64MulWideU(a: u64, b: u64) -> (u64, u64) { halves(u128::from(a) * u128::from(b)) }
    }
}

fn whole(low: u64, high: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

fn halves(value: u128) -> (u64, u64) {
    (value as u64, (value >> 64) as u64)
}
