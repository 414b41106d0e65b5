//! Classes of operand values: what a report says an operation has met.
//!
//! Invariant: a value has exactly one class, which depends on its type and its bits only.
//!
//! Does not know: operations.

use wattest_differential::ValueType;

/// The classes, as reports name them.
pub(crate) const CLASSES: [&str; 8] =
    ["zero", "one or all ones", "extreme", "NaN", "infinite", "subnormal", "lanes", "other"];

/// The position in [`CLASSES`] of a value.
pub(crate) fn class_of(ty: ValueType, bits: u128) -> usize {
    match ty {
        ValueType::I32 => integer(bits as u32 as u64, 32),
        ValueType::I64 => integer(bits as u64, 64),
        ValueType::F32 => float(bits as u32 as u64, 32, 23),
        ValueType::F64 => float(bits as u64, 64, 52),
        ValueType::V128 if bits == 0 => 0,
        ValueType::V128 if bits == u128::MAX => 1,
        ValueType::V128 => 6,
        ValueType::FuncRef | ValueType::ExternRef => 7,
    }
}

fn integer(bits: u64, width: u32) -> usize {
    let ones = u64::MAX >> (64 - width);
    match bits {
        0 => 0,
        1 => 1,
        bits if bits == ones => 1,
        bits if bits == ones >> 1 || bits == (ones >> 1) + 1 => 2,
        _ => 7,
    }
}

/// `fraction` bits of fraction.
fn float(bits: u64, width: u32, fraction: u32) -> usize {
    let magnitude = bits & (u64::MAX >> (65 - width));
    let infinity = (u64::MAX >> (65 - width)) >> fraction << fraction;
    let bias = infinity >> fraction >> 1;
    match magnitude {
        0 => 0,
        one if one == bias << fraction => 1,
        largest if largest == infinity - 1 => 2,
        nan if nan > infinity => 3,
        infinite if infinite == infinity => 4,
        subnormal if subnormal >> fraction == 0 => 5,
        _ => 7,
    }
}

/// Whether a value, or a lane of it, is a NaN that is not canonical.
pub(crate) fn holds_other_nan(ty: ValueType, bits: u128) -> bool {
    let any = |width: u32, fraction: u32| {
        let infinity = (u64::MAX >> (65 - width)) >> fraction << fraction;
        (0..128 / width).any(|lane| {
            let magnitude = (bits >> (lane * width)) as u64 & (u64::MAX >> (65 - width));
            magnitude > infinity && magnitude != infinity | 1 << (fraction - 1)
        })
    };
    match ty {
        ValueType::F32 => any(32, 23),
        ValueType::F64 => any(64, 52),
        ValueType::V128 => any(32, 23) || any(64, 52),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_classes() {
        let check =
            |ty, bits: u128, expected: &str| assert_eq!(CLASSES[class_of(ty, bits)], expected, "{ty:?} {bits:x}");
        check(ValueType::I32, 0, "zero");
        check(ValueType::I32, 0xffff_ffff, "one or all ones");
        check(ValueType::I32, 0x8000_0000, "extreme");
        check(ValueType::I64, 0x8000_0000, "other");
        check(ValueType::I64, 0x7fff_ffff_ffff_ffff, "extreme");
        check(ValueType::F32, 0x8000_0000, "zero");
        check(ValueType::F32, 0x3f80_0000, "one or all ones");
        check(ValueType::F32, 0x7f7f_ffff, "extreme");
        check(ValueType::F32, 0xffc0_0000, "NaN");
        check(ValueType::F64, 0x7ff0_0000_0000_0000, "infinite");
        check(ValueType::F64, 0xbff0_0000_0000_0000, "one or all ones");
        check(ValueType::F64, 1, "subnormal");
        check(ValueType::F64, 0x4000_0000_0000_0000, "other");
        check(ValueType::V128, 5, "lanes");
    }

    #[test]
    fn other_nans_are_told_from_canonical_ones() {
        let check = |ty, bits: u128, expected| assert_eq!(holds_other_nan(ty, bits), expected, "{ty:?} {bits:x}");
        check(ValueType::F32, 0x7fc0_0000, false);
        check(ValueType::F32, 0xffc0_0000, false);
        check(ValueType::F32, 0x7fa0_0000, true);
        check(ValueType::F32, 0x7f80_0000, false);
        check(ValueType::F64, 0x7ff8_0000_0000_0000, false);
        check(ValueType::F64, 0xfff8_0000_0000_0001, true);
        check(ValueType::V128, 0x7fc0_0000 << 96 | 0x3f80_0000, false);
        check(ValueType::V128, 0x7fc0_0001 << 96, true);
        check(ValueType::I64, u128::from(u64::MAX), false);
    }
}
