//! Neutral values of components.
//!
//! What `assert_return` and arguments of component functions are made of
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#type-definitions)).
//!
//! Invariant: floats are bits and every NaN is one value, as the canonical ABI has it.
//!
//! Does not know: engines' own values, types.

use wast::component::WastVal;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentValue {
    /// `bool`.
    Bool(bool),
    /// `u8`.
    U8(u8),
    /// `s8`.
    S8(i8),
    /// `u16`.
    U16(u16),
    /// `s16`.
    S16(i16),
    /// `u32`.
    U32(u32),
    /// `s32`.
    S32(i32),
    /// `u64`.
    U64(u64),
    /// `s64`.
    S64(i64),
    /// `f32`, its bits.
    F32(u32),
    /// `f64`, its bits.
    F64(u64),
    /// `char`.
    Char(char),
    /// `string`.
    String(String),
    /// `list`.
    List(Vec<ComponentValue>),
    /// `map`.
    Map(Vec<(ComponentValue, ComponentValue)>),
    /// `record`.
    Record(Vec<(String, ComponentValue)>),
    /// `tuple`.
    Tuple(Vec<ComponentValue>),
    /// `variant`.
    Variant(String, Option<Box<ComponentValue>>),
    /// `enum`.
    Enum(String),
    /// `option`.
    Option(Option<Box<ComponentValue>>),
    /// `result`.
    Result(Result<Option<Box<ComponentValue>>, Option<Box<ComponentValue>>>),
    /// `flags`, those that are set, sorted.
    Flags(Vec<String>),
    /// A handle, which scripts cannot write.
    Resource,
}

impl ComponentValue {
    /// An `f32`.
    pub fn f32(bits: u32) -> ComponentValue {
        ComponentValue::F32(if f32::from_bits(bits).is_nan() { 0x7fc0_0000 } else { bits })
    }

    /// An `f64`.
    pub fn f64(bits: u64) -> ComponentValue {
        ComponentValue::F64(if f64::from_bits(bits).is_nan() { 0x7ff8_0000_0000_0000 } else { bits })
    }

    /// Flags by name, in any order.
    pub fn flags(mut names: Vec<String>) -> ComponentValue {
        names.sort();
        ComponentValue::Flags(names)
    }

    /// A value of a script, as deep as the text's parser allows.
    pub(crate) fn of_script(value: WastVal<'_>) -> ComponentValue {
        let boxed = |value: Option<Box<WastVal<'_>>>| value.map(|value| Box::new(ComponentValue::of_script(*value)));
        let all = |values: Vec<WastVal<'_>>| values.into_iter().map(ComponentValue::of_script).collect();
        match value {
            WastVal::Bool(value) => ComponentValue::Bool(value),
            WastVal::U8(value) => ComponentValue::U8(value),
            WastVal::S8(value) => ComponentValue::S8(value),
            WastVal::U16(value) => ComponentValue::U16(value),
            WastVal::S16(value) => ComponentValue::S16(value),
            WastVal::U32(value) => ComponentValue::U32(value),
            WastVal::S32(value) => ComponentValue::S32(value),
            WastVal::U64(value) => ComponentValue::U64(value),
            WastVal::S64(value) => ComponentValue::S64(value),
            WastVal::F32(value) => ComponentValue::f32(value.bits),
            WastVal::F64(value) => ComponentValue::f64(value.bits),
            WastVal::Char(value) => ComponentValue::Char(value),
            WastVal::String(value) => ComponentValue::String(value.to_owned()),
            WastVal::List(values) => ComponentValue::List(all(values)),
            WastVal::Record(fields) => {
                let fields =
                    fields.into_iter().map(|(name, value)| (name.to_owned(), ComponentValue::of_script(value)));
                ComponentValue::Record(fields.collect())
            }
            WastVal::Tuple(values) => ComponentValue::Tuple(all(values)),
            WastVal::Variant(name, value) => ComponentValue::Variant(name.to_owned(), boxed(value)),
            WastVal::Enum(name) => ComponentValue::Enum(name.to_owned()),
            WastVal::Option(value) => ComponentValue::Option(boxed(value)),
            WastVal::Result(value) => ComponentValue::Result(value.map(boxed).map_err(boxed)),
            WastVal::Flags(names) => ComponentValue::flags(names.into_iter().map(str::to_owned).collect()),
        }
    }
}

impl std::fmt::Display for ComponentValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}
