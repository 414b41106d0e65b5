//! Boundary values of every type.
//!
//! The numbers near which implementations go wrong: limits of every width, powers of two, subnormals, halfway cases, NaNs
//! with and without payload ([spec](https://webassembly.github.io/spec/core/syntax/values.html#floating-point)).
//!
//! Invariant: every table is ordered from plain to peculiar, so that exhausted choices give plain values.
//!
//! Does not know: operations.

use crate::source::Source;
use wattest_differential::{FuncIdentity, Value, ValueType};

const I32: [u32; 36] = [
    0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000,
    0x55555555, 0xaaaaaaaa, 0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff, 0xffff8000,
    0xffffff80, 0xffff7fff, 0xffff0000, 0x01000000, 0x00ff00ff, 0x12345678,
];

const I64: [u64; 36] = [
    0,
    1,
    2,
    3,
    7,
    8,
    31,
    32,
    33,
    63,
    64,
    65,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0x8000_0000_0000_0001,
    u64::MAX,
    u64::MAX - 1,
    0xffff_ffff_8000_0000,
    0xffff_ffff_7fff_ffff,
    0xffff_ffff_0000_0000,
    0xffff_ffff_ffff_8000,
    0xffff_ffff_ffff_ff80,
    0x5555_5555_5555_5555,
    0x0020_0000_0000_0000,
    0x0020_0000_0000_0001,
    0x0123_4567_89ab_cdef,
];

const F32: [u32; 36] = [
    0x0000_0000,
    0x8000_0000,
    0x3f80_0000,
    0xbf80_0000,
    0x3f00_0000,
    0xbf00_0000,
    0x3fc0_0000,
    0x4020_0000,
    0x4000_0000,
    0x0000_0001,
    0x8000_0001,
    0x007f_ffff,
    0x0080_0000,
    0x7f7f_ffff,
    0xff7f_ffff,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0000,
    0xffc0_0000,
    0x7fa0_0000,
    0xffa0_0001,
    0x7fff_ffff,
    0x4f00_0000,
    0x4eff_ffff,
    0xcf00_0000,
    0xcf00_0001,
    0x4f80_0000,
    0x4f7f_ffff,
    0x5f00_0000,
    0xdf00_0000,
    0x5f80_0000,
    0x4b00_0000,
    0x4b00_0001,
    0x3eff_ffff,
    0x3f7f_ffff,
    0x4049_0fdb,
];

const F64: [u64; 36] = [
    0x0000_0000_0000_0000,
    0x8000_0000_0000_0000,
    0x3ff0_0000_0000_0000,
    0xbff0_0000_0000_0000,
    0x3fe0_0000_0000_0000,
    0xbfe0_0000_0000_0000,
    0x3ff8_0000_0000_0000,
    0x4004_0000_0000_0000,
    0x4000_0000_0000_0000,
    0x0000_0000_0000_0001,
    0x8000_0000_0000_0001,
    0x000f_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
    0xffef_ffff_ffff_ffff,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_0000,
    0xfff8_0000_0000_0000,
    0x7ff4_0000_0000_0000,
    0xfff4_0000_0000_0001,
    0x7fff_ffff_ffff_ffff,
    0x41e0_0000_0000_0000,
    0x41df_ffff_ffc0_0000,
    0xc1e0_0000_0000_0000,
    0xc1e0_0000_0020_0000,
    0x41f0_0000_0000_0000,
    0x41ef_ffff_ffe0_0000,
    0x43e0_0000_0000_0000,
    0xc3e0_0000_0000_0000,
    0x43f0_0000_0000_0000,
    0x4330_0000_0000_0000,
    0x4330_0000_0000_0001,
    0x3fdf_ffff_ffff_ffff,
    0x47ef_ffff_f000_0000,
    0x36a0_0000_0000_0000,
];

/// A 32-bit integer: four in five from the table.
pub fn i32_value(source: &mut Source<'_>) -> u32 {
    if source.percent(80) { source.pick(&I32) } else { source.u32() }
}

/// A 64-bit integer.
pub fn i64_value(source: &mut Source<'_>) -> u64 {
    if source.percent(80) { source.pick(&I64) } else { source.u64() }
}

/// Bits of a 32-bit float.
pub fn f32_value(source: &mut Source<'_>) -> u32 {
    match source.below(10) {
        0 => source.u32(),
        1 => (source.byte() as i8 as f32 / 4.0).to_bits(),
        _ => source.pick(&F32),
    }
}

/// Bits of a 64-bit float.
pub fn f64_value(source: &mut Source<'_>) -> u64 {
    match source.below(10) {
        0 => source.u64(),
        1 => (f64::from(source.byte() as i8) / 4.0).to_bits(),
        _ => source.pick(&F64),
    }
}

/// Bits of a lane: bytes, halves, words, long words, and floats of both widths.
const LANE_BITS: [u32; 6] = [8, 16, 32, 64, 33, 65];

/// A vector: lanes of one of the six shapes, all from that shape's table, or one lane repeated.
pub fn v128_value(source: &mut Source<'_>) -> u128 {
    let shape = source.below(LANE_BITS.len());
    v128_of_shape(source, shape)
}

/// The same of one shape, by number.
pub(crate) fn v128_of_shape(source: &mut Source<'_>, shape: usize) -> u128 {
    const BYTES: [u8; 12] = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff, 15, 16, 17, 0x55];
    let lane_bits = LANE_BITS[shape % LANE_BITS.len()];
    let splat = source.percent(20);
    let lane = |source: &mut Source<'_>| -> u128 {
        match lane_bits {
            8 => source.pick(&BYTES).into(),
            16 => (i32_value(source) as u16).into(),
            32 => i32_value(source).into(),
            64 => i64_value(source).into(),
            33 => f32_value(source).into(),
            _ => f64_value(source).into(),
        }
    };
    let width = lane_bits & !1;
    let first = lane(source);
    let mut vector = first;
    for position in 1..128 / width {
        let next = if splat { first } else { lane(source) };
        vector |= next << (position * width);
    }
    vector
}

/// The table of a scalar type, as bits; empty for others.
pub(crate) fn scalars(ty: ValueType) -> Vec<u128> {
    match ty {
        ValueType::I32 => I32.iter().map(|bits| (*bits).into()).collect(),
        ValueType::I64 => I64.iter().map(|bits| (*bits).into()).collect(),
        ValueType::F32 => F32.iter().map(|bits| (*bits).into()).collect(),
        ValueType::F64 => F64.iter().map(|bits| (*bits).into()).collect(),
        ValueType::V128 | ValueType::FuncRef | ValueType::ExternRef => Vec::new(),
    }
}

/// A value to call a function with. `callable` holds functions that a reference may mean.
pub fn argument(source: &mut Source<'_>, ty: ValueType, callable: &[u32]) -> Value {
    match ty {
        ValueType::I32 => Value::I32(i32_value(source)),
        ValueType::I64 => Value::I64(i64_value(source)),
        ValueType::F32 => Value::F32(f32_value(source)),
        ValueType::F64 => Value::F64(f64_value(source)),
        ValueType::V128 => Value::V128(v128_value(source)),
        ValueType::FuncRef if callable.is_empty() || source.percent(25) => Value::Func(FuncIdentity::Null),
        ValueType::FuncRef => Value::Func(FuncIdentity::Index(source.pick(callable))),
        ValueType::ExternRef => Value::Extern((!source.percent(25)).then(|| source.byte().into())),
    }
}
