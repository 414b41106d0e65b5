//! Component values.
//!
//! [The values](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#type-definitions) that
//! functions of components take and return, as trees: fields and cases by position, in the order of their type.
//!
//! Invariant: fields, cases and labels are as many as their type has.
//!
//! Does not know: types, memories.

use super::types::ResourceId;

/// How strings lie in a memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `utf8`.
    #[default]
    Utf8,
    /// `utf16`, little-endian.
    Utf16,
    /// `latin1+utf16`.
    Latin1Utf16,
}

/// The form in which a string was lifted: which calls of `realloc` lower it depends on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// UTF-8.
    Utf8,
    /// UTF-16.
    Utf16,
    /// The one-byte form of `latin1+utf16`.
    Latin1,
    /// The two-byte form of `latin1+utf16`.
    TaggedUtf16,
}

/// A string and its form.
#[derive(Clone, Debug)]
pub struct Text {
    /// The characters.
    pub text: String,
    /// The form it was in.
    pub form: Form,
}

/// Two strings are equal when their characters are.
impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.text == other.text
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text { text: text.to_owned(), form: Form::Utf8 }
    }
}

impl Text {
    /// Its length in code units of its form.
    pub(crate) fn units(&self) -> u64 {
        match self.form {
            Form::Utf8 => self.text.len() as u64,
            Form::Latin1 => self.text.chars().count() as u64,
            Form::Utf16 | Form::TaggedUtf16 => self.text.encode_utf16().count() as u64,
        }
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are those of the specification")]
pub enum Val {
    Bool(bool),
    S8(i8),
    U8(u8),
    S16(i16),
    U16(u16),
    S32(i32),
    U32(u32),
    S64(i64),
    U64(u64),
    /// By its bits.
    F32(u32),
    /// By its bits.
    F64(u64),
    Char(char),
    String(Text),
    /// Of fixed length or not; a map is a list of pairs.
    List(Vec<Val>),
    /// A tuple too.
    Record(Vec<Val>),
    /// An option, result or enumeration too: the case and its payload.
    Variant(u32, Option<Box<Val>>),
    /// Bit `n` is label `n`.
    Flags(u32),
    Own(Handle),
    Borrow(Handle),
}

/// Makes all NaNs in these values the canonical one: lifting to a value the host sees does that
/// ([loading](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading)).
pub(crate) fn canonicalize_nans(values: &mut [Val]) {
    let mut open: Vec<&mut Val> = values.iter_mut().collect();
    while let Some(value) = open.pop() {
        match value {
            Val::F32(bits) if f32::from_bits(*bits).is_nan() => *bits = 0x7fc0_0000,
            Val::F64(bits) if f64::from_bits(*bits).is_nan() => *bits = 0x7ff8_0000_0000_0000,
            Val::List(values) | Val::Record(values) => open.extend(values),
            Val::Variant(_, Some(payload)) => open.push(payload),
            _ => {}
        }
    }
}

/// A resource outside of every table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// Its type.
    pub resource: ResourceId,
    /// Its representation.
    pub rep: u32,
}
