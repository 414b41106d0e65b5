//! Random values of random types.
//!
//! Integers at their ends, strings of every width of character, lists that are empty, of one element, and of a few.
//!
//! Invariant: a value has its type; floats are numbers, infinities, or the canonical NaN.
//!
//! Does not know: components.

use super::types::{Named, PRIMITIVES, Ty, Types};
use crate::source::Source;
use wattest_reference::component::Val;

/// Strings by what they hold: nothing, ASCII, Latin-1, two bytes, three, four, and mixtures that transcoders switch in.
const TEXTS: [&str; 12] = [
    "",
    "a",
    "hello, world: plain ascii of more than sixteen bytes",
    "é",
    "latin öäü ÿ one",
    "ab\u{3b1}cd",
    "☃",
    "🍰",
    "ascii until 🍰 here",
    "é then ☃",
    "\u{ff}\u{100}",
    "\0\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}",
];

const CHARS: [char; 8] = ['\0', 'a', '\u{7f}', '\u{80}', '\u{d7ff}', '\u{e000}', '\u{10000}', '\u{10ffff}'];

fn integer(source: &mut Source<'_>) -> u64 {
    match source.below(4) {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << source.below(64),
        _ => source.u64(),
    }
}

fn float32(source: &mut Source<'_>) -> u32 {
    let bits = source.pick(&[0, 0x8000_0000, 0x3f80_0000, 0x7f80_0000, 0x7fc0_0000, 1, 0x7f7f_ffff]);
    if source.percent(60) { bits } else { f32::from(source.u32() as u16).to_bits() }
}

fn float64(source: &mut Source<'_>) -> u64 {
    let bits = source.pick(&[0, 1 << 63, 0x3ff0_0000_0000_0000, 0x7ff0_0000_0000_0000, 0x7ff8_0000_0000_0000, 1]);
    if source.percent(60) { bits } else { f64::from(source.u32()).to_bits() }
}

fn primitive(source: &mut Source<'_>, row: usize) -> Val {
    let bits = integer(source);
    match PRIMITIVES[row].0 {
        "bool" => Val::Bool(bits & 1 != 0),
        "s8" => Val::S8(bits as i8),
        "u8" => Val::U8(bits as u8),
        "s16" => Val::S16(bits as i16),
        "u16" => Val::U16(bits as u16),
        "s32" => Val::S32(bits as i32),
        "u32" => Val::U32(bits as u32),
        "s64" => Val::S64(bits as i64),
        "u64" => Val::U64(bits),
        "f32" => Val::F32(float32(source)),
        "f64" => Val::F64(float64(source)),
        _ => Val::Char(source.pick(&CHARS)),
    }
}

/// A value of a type.
pub fn value(source: &mut Source<'_>, types: &Types, ty: &Ty) -> Val {
    match ty {
        Ty::Primitive(row) => primitive(source, *row),
        Ty::String => Val::String(source.pick(&TEXTS).into()),
        Ty::List(element) => {
            // Some are copied eight elements at a time.
            let length = source.pick(&[0, 1, 1, 2, 3, 5, 8, 9, 17]);
            Val::List((0..length).map(|_| value(source, types, element)).collect())
        }
        Ty::FixedList(element, length) => Val::List((0..*length).map(|_| value(source, types, element)).collect()),
        Ty::Map(key, payload) => {
            let length = source.pick(&[0, 1, 2, 3]);
            let pairs = (0..length).map(|_| Val::Record(vec![primitive(source, *key), value(source, types, payload)]));
            Val::List(pairs.collect())
        }
        Ty::Tuple(fields) => Val::Record(fields.iter().map(|ty| value(source, types, ty)).collect()),
        Ty::Option(payload) => case(source, types, &[None, Some(payload)]),
        Ty::Result(ok, error) => case(source, types, &[ok.as_deref(), error.as_deref()]),
        Ty::Named(at) => match &types.named[*at] {
            Named::Record(fields) => Val::Record(fields.iter().map(|ty| value(source, types, ty)).collect()),
            Named::Variant(cases) => {
                let cases: Vec<Option<&Ty>> = cases.iter().map(Option::as_ref).collect();
                case(source, types, &cases)
            }
            Named::Enum(labels) => Val::Variant(source.below(*labels) as u32, None),
            Named::Flags(labels) => {
                let mask = u32::MAX >> (32 - *labels as u32);
                Val::Flags(source.u32() & mask)
            }
        },
    }
}

fn case(source: &mut Source<'_>, types: &Types, cases: &[Option<&Ty>]) -> Val {
    let at = source.below(cases.len());
    Val::Variant(at as u32, cases[at].map(|ty| Box::new(value(source, types, ty))))
}
