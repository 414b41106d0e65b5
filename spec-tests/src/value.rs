//! Neutral values and the patterns that results are matched against.
//!
//! Patterns are those of `assert_return`
//! ([spec](https://github.com/WebAssembly/spec/tree/main/interpreter#scripts)): exact bits, canonical and arithmetic NaNs
//! also lane by lane, kinds of references, alternatives.
//!
//! Invariant: floats are bits; no comparison goes through floating-point arithmetic.
//!
//! Does not know: engines' own values.

use std::fmt;

/// The top of a hierarchy of heap types: all null references of one hierarchy are the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Heap {
    /// Functions.
    Func,
    /// Host values.
    Extern,
    /// Internal values.
    Any,
    /// Exceptions.
    Exn,
}

/// What a reference that scripts cannot look into refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefKind {
    /// A function.
    Func,
    /// A host value that no script made.
    Extern,
    /// Some internal value.
    Any,
    /// Some comparable internal value.
    Eq,
    /// An unboxed integer.
    I31,
    /// A struct.
    Struct,
    /// An array.
    Array,
    /// An exception.
    Exn,
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// 32-bit integer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// Bits of a 32-bit float.
    F32(u32),
    /// Bits of a 64-bit float.
    F64(u64),
    /// 128-bit vector, lane 0 in the low bits.
    V128(u128),
    /// The null reference of a hierarchy.
    Null(Heap),
    /// The `n`th external host value (`ref.extern n`).
    Extern(u32),
    /// The `n`th host value as an internal one (`ref.host n`).
    Host(u32),
    /// Any other reference.
    Ref(RefKind),
}

/// A pattern for a 32-bit float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum F32Pattern {
    /// Exactly these bits.
    Bits(u32),
    /// A canonical NaN of either sign.
    CanonicalNan,
    /// A NaN whose most significant payload bit is set.
    ArithmeticNan,
}

/// A pattern for a 64-bit float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum F64Pattern {
    /// Exactly these bits.
    Bits(u64),
    /// A canonical NaN of either sign.
    CanonicalNan,
    /// A NaN whose most significant payload bit is set.
    ArithmeticNan,
}

impl F32Pattern {
    /// Whether `bits` are meant.
    pub fn matches(self, bits: u32) -> bool {
        match self {
            F32Pattern::Bits(expected) => bits == expected,
            F32Pattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
            F32Pattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
        }
    }
}

impl F64Pattern {
    /// Whether `bits` are meant.
    pub fn matches(self, bits: u64) -> bool {
        match self {
            F64Pattern::Bits(expected) => bits == expected,
            F64Pattern::CanonicalNan => bits & 0x7fff_ffff_ffff_ffff == 0x7ff8_0000_0000_0000,
            F64Pattern::ArithmeticNan => bits & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
        }
    }
}

/// What a result must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Exactly this value.
    Is(Value),
    /// A 32-bit float.
    F32(F32Pattern),
    /// A 64-bit float.
    F64(F64Pattern),
    /// Four 32-bit floats.
    F32x4([F32Pattern; 4]),
    /// Two 64-bit floats.
    F64x2([F64Pattern; 2]),
    /// A null reference, of a hierarchy if one is named.
    Null(Option<Heap>),
    /// A reference of this kind, not null.
    Ref(RefKind),
    /// Any of these.
    Either(Vec<Pattern>),
}

impl Pattern {
    /// Whether `value` is meant.
    ///
    /// ```
    /// use wattest_spec_tests::{Pattern, RefKind, Value};
    /// assert!(Pattern::Is(Value::I32(1)).matches(&Value::I32(1)));
    /// assert!(!Pattern::Ref(RefKind::Func).matches(&Value::I32(1)));
    /// ```
    pub fn matches(&self, value: &Value) -> bool {
        match (self, value) {
            (Pattern::Is(expected), value) => expected == value,
            (Pattern::F32(pattern), Value::F32(bits)) => pattern.matches(*bits),
            (Pattern::F64(pattern), Value::F64(bits)) => pattern.matches(*bits),
            (Pattern::F32x4(lanes), Value::V128(bits)) => {
                lanes.iter().enumerate().all(|(lane, pattern)| pattern.matches((bits >> (32 * lane)) as u32))
            }
            (Pattern::F64x2(lanes), Value::V128(bits)) => {
                lanes.iter().enumerate().all(|(lane, pattern)| pattern.matches((bits >> (64 * lane)) as u64))
            }
            (Pattern::Null(expected), Value::Null(heap)) => expected.is_none_or(|expected| expected == *heap),
            (Pattern::Ref(expected), value) => is_kind(*expected, value),
            (Pattern::Either(cases), value) => cases.iter().any(|case| case.matches(value)),
            _ => false,
        }
    }
}

/// Whether `value` is a reference that is not null and that the pattern for `kind` admits.
fn is_kind(kind: RefKind, value: &Value) -> bool {
    let actual = match value {
        Value::Extern(_) => RefKind::Extern,
        Value::Host(_) => RefKind::Any,
        Value::Ref(actual) => *actual,
        _ => return false,
    };
    match kind {
        RefKind::Any => !matches!(actual, RefKind::Func | RefKind::Extern | RefKind::Exn),
        RefKind::Eq => matches!(actual, RefKind::Eq | RefKind::I31 | RefKind::Struct | RefKind::Array),
        exact => exact == actual,
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::I32(value) => write!(f, "i32 {value} ({value:#x})"),
            Value::I64(value) => write!(f, "i64 {value} ({value:#x})"),
            Value::F32(bits) => write!(f, "f32 {} ({bits:#x})", f32::from_bits(*bits)),
            Value::F64(bits) => write!(f, "f64 {} ({bits:#x})", f64::from_bits(*bits)),
            Value::V128(bits) => write!(f, "v128 {bits:#034x}"),
            Value::Null(heap) => write!(f, "null {heap:?}"),
            Value::Extern(number) => write!(f, "ref.extern {number}"),
            Value::Host(number) => write!(f, "ref.host {number}"),
            Value::Ref(kind) => write!(f, "ref {kind:?}"),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Is(value) => value.fmt(f),
            Pattern::F32(F32Pattern::Bits(bits)) => Value::F32(*bits).fmt(f),
            Pattern::F64(F64Pattern::Bits(bits)) => Value::F64(*bits).fmt(f),
            other => write!(f, "{other:x?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: Pattern, value: Value, expected: bool) {
        assert_eq!(pattern.matches(&value), expected, "{pattern} against {value}");
    }

    #[test]
    fn floats_are_compared_by_bits() {
        check(Pattern::F32(F32Pattern::Bits(0)), Value::F32(0), true);
        check(Pattern::F32(F32Pattern::Bits(0)), Value::F32(0x8000_0000), false);
        check(Pattern::F32(F32Pattern::Bits(0)), Value::F64(0), false);
        check(Pattern::F32(F32Pattern::CanonicalNan), Value::F32(0xffc0_0000), true);
        check(Pattern::F32(F32Pattern::CanonicalNan), Value::F32(0x7fc0_0001), false);
        check(Pattern::F32(F32Pattern::ArithmeticNan), Value::F32(0x7fc0_0001), true);
        check(Pattern::F32(F32Pattern::ArithmeticNan), Value::F32(0x7fa0_0000), false);
        check(Pattern::F32(F32Pattern::ArithmeticNan), Value::F32(0x7f80_0000), false);
        check(Pattern::F64(F64Pattern::CanonicalNan), Value::F64(0x7ff8_0000_0000_0000), true);
        check(Pattern::F64(F64Pattern::CanonicalNan), Value::F64(0x7ff0_0000_0000_0000), false);
        check(Pattern::F64(F64Pattern::ArithmeticNan), Value::F64(0xfff8_0000_0000_0001), true);
    }

    #[test]
    fn lanes_are_matched_one_by_one() {
        let lanes =
            [F32Pattern::Bits(1), F32Pattern::CanonicalNan, F32Pattern::ArithmeticNan, F32Pattern::Bits(0x8000_0000)];
        let value = 0x8000_0000_7fc0_0009_ffc0_0000_0000_0001u128;
        check(Pattern::F32x4(lanes), Value::V128(value), true);
        check(Pattern::F32x4(lanes), Value::V128(value ^ 1), false);
        check(Pattern::F32x4(lanes), Value::V128(value ^ (1 << 127)), false);
        let lanes = [F64Pattern::CanonicalNan, F64Pattern::Bits(2)];
        check(Pattern::F64x2(lanes), Value::V128(0x0000_0000_0000_0002_7ff8_0000_0000_0000), true);
        check(Pattern::F64x2(lanes), Value::V128(0x7ff8_0000_0000_0000_0000_0000_0000_0002), false);
    }

    #[test]
    fn references_match_by_kind() {
        check(Pattern::Null(None), Value::Null(Heap::Exn), true);
        check(Pattern::Null(Some(Heap::Func)), Value::Null(Heap::Func), true);
        check(Pattern::Null(Some(Heap::Func)), Value::Null(Heap::Extern), false);
        check(Pattern::Null(None), Value::Ref(RefKind::Func), false);
        check(Pattern::Ref(RefKind::Func), Value::Null(Heap::Func), false);
        check(Pattern::Ref(RefKind::Extern), Value::Extern(3), true);
        check(Pattern::Is(Value::Extern(3)), Value::Extern(4), false);
        check(Pattern::Ref(RefKind::Any), Value::Host(1), true);
        check(Pattern::Ref(RefKind::Any), Value::Extern(1), false);
        check(Pattern::Ref(RefKind::Eq), Value::Ref(RefKind::Struct), true);
        check(Pattern::Ref(RefKind::Eq), Value::Host(1), false);
        check(Pattern::Ref(RefKind::Struct), Value::Ref(RefKind::Array), false);
    }

    #[test]
    fn either_takes_any_case() {
        let either = || Pattern::Either(vec![Pattern::Is(Value::I32(1)), Pattern::Is(Value::I32(2))]);
        check(either(), Value::I32(2), true);
        check(either(), Value::I32(3), false);
    }
}
