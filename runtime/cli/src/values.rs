//! Values as text.
//!
//! Invariant: what is printed for a number can be given as an argument again and means the same bits.
//!
//! Does not know: functions.

use wattest::{Val, ValType};

/// The value of a type that `text` denotes; the error says what was expected.
pub fn parse(ty: ValType, text: &str) -> Result<Val, String> {
    let value = match ty {
        ValType::I32 => integer(text, 32).map(|bits| Val::I32(bits as u32 as i32)),
        ValType::I64 => integer(text, 64).map(|bits| Val::I64(bits as u64 as i64)),
        ValType::F32 => f32_bits(text).map(Val::F32),
        ValType::F64 => f64_bits(text).map(Val::F64),
        ValType::V128 => vector(text).map(Val::V128),
        ValType::Ref(_) if text == "null" => Val::default_for(ty),
        ValType::Ref(_) => None,
    };
    value.ok_or_else(|| match ty {
        ValType::I32 => "an i32 (decimal, 0x hexadecimal, optionally negative, 32 bits)".to_owned(),
        ValType::I64 => "an i64 (decimal, 0x hexadecimal, optionally negative, 64 bits)".to_owned(),
        ValType::F32 | ValType::F64 => format!("an {ty} (decimal, inf, nan, nan:0xPAYLOAD)"),
        ValType::V128 => "a v128 (0x and up to 32 hexadecimal digits, or i32x4:1,2,3,4 and the like)".to_owned(),
        ValType::Ref(_) => format!("a {ty}: only `null` can be given on a command line"),
    })
}

/// An integer of so many bits, signed or unsigned.
fn integer(text: &str, bits: u32) -> Option<i128> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let digits = digits.replace('_', "");
    let magnitude = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) if !hex.starts_with('+') => i128::from_str_radix(hex, 16).ok()?,
        Some(_) => return None,
        None => digits.parse::<i128>().ok()?,
    };
    let value = if negative { -magnitude } else { magnitude };
    (-(1_i128 << (bits - 1))..1_i128 << bits).contains(&value).then_some(value)
}

/// The sign and payload of `nan`, `-nan`, `nan:0x…`; an absent payload is `canonical`.
fn nan(text: &str, canonical: u64) -> Option<(bool, u64)> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let rest = text.strip_prefix("nan")?;
    let payload = match rest.strip_prefix(":0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None if rest.is_empty() => canonical,
        None => return None,
    };
    Some((negative, payload))
}

fn f32_bits(text: &str) -> Option<u32> {
    match nan(text, 1 << 22) {
        Some((negative, payload @ 1..0x80_0000)) => Some(u32::from(negative) << 31 | 0xff << 23 | payload as u32),
        Some(_) => None,
        None => text.parse::<f32>().ok().map(f32::to_bits),
    }
}

fn f64_bits(text: &str) -> Option<u64> {
    match nan(text, 1 << 51) {
        Some((negative, payload @ 1..0x10_0000_0000_0000)) => Some(u64::from(negative) << 63 | 0x7ff << 52 | payload),
        Some(_) => None,
        None => text.parse::<f64>().ok().map(f64::to_bits),
    }
}

/// The lanes of `shape:lane,lane,…`, or all bits in hexadecimal.
fn vector(text: &str) -> Option<u128> {
    let Some((shape, lanes)) = text.split_once(':') else {
        return u128::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    };
    let (bits, lane): (u32, fn(&str) -> Option<u64>) = match shape {
        "i8x16" => (8, |lane| integer(lane, 8).map(|value| value as u64)),
        "i16x8" => (16, |lane| integer(lane, 16).map(|value| value as u64)),
        "i32x4" => (32, |lane| integer(lane, 32).map(|value| value as u64)),
        "i64x2" => (64, |lane| integer(lane, 64).map(|value| value as u64)),
        "f32x4" => (32, |lane| f32_bits(lane).map(u64::from)),
        "f64x2" => (64, f64_bits),
        _ => return None,
    };
    let lanes = lanes.split(',').map(|text| lane(text.trim())).collect::<Option<Vec<u64>>>()?;
    if lanes.len() as u32 * bits != 128 {
        return None;
    }
    let mask = u128::MAX >> (128 - bits);
    Some(lanes.iter().rev().fold(0, |vector, lane| vector.checked_shl(bits).unwrap_or(0) | u128::from(*lane) & mask))
}

/// A value of a type, to be overwritten.
pub fn placeholder(ty: ValType) -> Val {
    // A result of a type without null is overwritten as well; any reference holds its place.
    Val::default_for(ty).unwrap_or(Val::ExternRef(None))
}

/// A value as text.
pub fn print(value: &Val) -> String {
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(bits) => match f32::from_bits(*bits) {
            value if value.is_nan() => print_nan(bits >> 31 != 0, u64::from(bits & 0x7f_ffff), 1 << 22),
            value => value.to_string(),
        },
        Val::F64(bits) => match f64::from_bits(*bits) {
            value if value.is_nan() => print_nan(bits >> 63 != 0, bits & 0xf_ffff_ffff_ffff, 1 << 51),
            value => value.to_string(),
        },
        Val::V128(bits) => format!("{bits:#034x}"),
        Val::FuncRef(Some(_)) => "funcref".to_owned(),
        Val::ExternRef(Some(_)) => "externref".to_owned(),
        Val::AnyRef(_) => "anyref".to_owned(),
        Val::ExnRef(_) => "exnref".to_owned(),
        _ => "null".to_owned(),
    }
}

fn print_nan(negative: bool, payload: u64, canonical: u64) -> String {
    let sign = if negative { "-" } else { "" };
    if payload == canonical { format!("{sign}nan") } else { format!("{sign}nan:{payload:#x}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_printed() {
        fn check(ty: ValType, text: &str, expected: &str) {
            assert_eq!(parse(ty, text).map(|value| print(&value)).as_deref(), Ok(expected), "{text}");
        }
        check(ValType::I32, "42", "42");
        check(ValType::I32, "-0x80000000", "-2147483648");
        check(ValType::I32, "4294967295", "-1");
        check(ValType::I64, "0xffff_ffff_ffff_ffff", "-1");
        check(ValType::F32, "1e10", "10000000000");
        check(ValType::F32, "-0", "-0");
        check(ValType::F64, "-inf", "-inf");
        check(ValType::F64, "0.1", "0.1");
        check(ValType::F64, "nan", "nan");
        check(ValType::F32, "-nan:0x1", "-nan:0x1");
        check(ValType::V128, "0x1", "0x00000000000000000000000000000001");
        check(ValType::V128, "i32x4:1,-1,3,4", "0x0000000400000003ffffffff00000001");
        check(ValType::V128, "i64x2:1,2", "0x00000000000000020000000000000001");
    }

    #[test]
    fn wrong_values_are_refused() {
        fn check(ty: ValType, text: &str) {
            assert!(parse(ty, text).is_err(), "{text}");
        }
        for text in ["", "x", "4294967296", "-2147483649", "1.5", "0x", "--1", "0x+1", "+-1"] {
            check(ValType::I32, text);
        }
        for text in ["", "nan:0x0", "nan:0x800000", "nanx", "one"] {
            check(ValType::F32, text);
        }
        for text in ["1", "i32x4:1,2,3", "i9x9:1", "0x1ffffffffffffffffffffffffffffffff"] {
            check(ValType::V128, text);
        }
    }
}
