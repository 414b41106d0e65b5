//! Neutral values: a tree without types or names.
//!
//! Tuples are records, enums, options and results are variants, and a map is a list of pairs, as
//! [despecialization](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#despecialization)
//! says; the type tells them apart.
//!
//! Invariant: a value is as deep as its type, hence at most [`crate::Limits::depth_max`]; floats are bits, so equality is
//! bit for bit.
//!
//! Does not know: its type, names of fields and cases, whose handle a token is.

/// What a handle table gave for a handle: the representation of a resource, or whatever identifies a stream, a future or
/// an error context to the one who keeps the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// A value of some interface type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// `bool`.
    Bool(bool),
    /// `s8`.
    S8(i8),
    /// `u8`.
    U8(u8),
    /// `s16`.
    S16(i16),
    /// `u16`.
    U16(u16),
    /// `s32`.
    S32(i32),
    /// `u32`.
    U32(u32),
    /// `s64`.
    S64(i64),
    /// `u64`.
    U64(u64),
    /// `f32`, its bits.
    F32(u32),
    /// `f64`, its bits.
    F64(u64),
    /// `char`.
    Char(char),
    /// `string`.
    String(Box<str>),
    /// `list`, fixed-length `list`, `map` (of records of two).
    List(Vec<Value>),
    /// `record` or `tuple`, in the type's order.
    Record(Vec<Value>),
    /// `variant`, `enum`, `option` (0 is none) or `result` (0 is ok).
    Variant {
        /// The case's position.
        case: u32,
        /// Its payload, if the case has one.
        payload: Option<Box<Value>>,
    },
    /// `flags`, the first label in bit 0.
    Flags(u32),
    /// `own`, `borrow`, `stream`, `future` or `error-context`.
    Handle(Token),
}

impl Value {
    /// A variant's case without payload.
    pub const fn case(case: u32) -> Value {
        Value::Variant { case, payload: None }
    }

    /// A variant's case with its payload.
    pub fn case_of(case: u32, payload: Value) -> Value {
        Value::Variant { case, payload: Some(Box::new(payload)) }
    }
}
