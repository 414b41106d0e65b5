//! What goes wrong: a guest's faults and types beyond a limit.
//!
//! A [`Fault`] is what the specification calls a trap of `lift` or `lower`
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading)); a [`TypeError`]
//! is a type that validation refuses.
//!
//! Invariant: every variant is plain data; none carries guest bytes.
//!
//! Does not know: traps of an engine; whoever implements [`crate::Lift`] converts.

use crate::layout::ELEMENT_BYTES_MAX;
use crate::types::TypeId;
use thiserror::Error;

/// A trap of lifting or lowering, or a value of the host that does not fit its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Fault {
    /// A pointer that its type's alignment does not divide.
    #[error("unaligned pointer")]
    Unaligned,
    /// A parameter or result area beyond the end of memory.
    #[error("pointer out of bounds of memory")]
    PointerOutOfBounds,
    /// A list that reaches beyond the end of memory.
    #[error("list content out-of-bounds")]
    ListOutOfBounds,
    /// A string that reaches beyond the end of memory.
    #[error("string content out-of-bounds")]
    StringOutOfBounds,
    /// A list longer than [`crate::LIST_BYTES_MAX`].
    #[error("list exceeds the maximum byte length")]
    ListTooLong,
    /// A string longer than [`crate::STRING_BYTES_MAX`].
    #[error("string exceeds the maximum byte length")]
    StringTooLong,
    /// A `realloc` result that the requested alignment does not divide.
    #[error("realloc return: result not aligned")]
    ReallocUnaligned,
    /// A `realloc` result whose requested size reaches beyond the end of memory.
    #[error("realloc return: beyond end of memory")]
    ReallocOutOfBounds,
    /// A discriminant that names no case.
    #[error("invalid variant discriminant")]
    Discriminant,
    /// A `char` that is a surrogate or beyond U+10FFFF.
    #[error("invalid `char` bit pattern")]
    Char,
    /// A string that is not UTF-8.
    #[error("invalid utf-8")]
    Utf8,
    /// A string that ends within a UTF-8 sequence.
    #[error("incomplete utf-8 byte sequence")]
    Utf8Incomplete,
    /// A string with a surrogate that has no partner.
    #[error("unpaired surrogate in utf-16")]
    Utf16,
    /// A lift that would build more than [`crate::Options::lift_bytes_max`].
    #[error("lifted value exceeds the budget of {0} bytes")]
    ValueTooLarge(u64),
    /// A flat value list that is shorter than its types demand.
    #[error("fewer core values than the type demands")]
    SlotsMissing,
    /// A host value whose shape is not that of its type; nothing a guest does leads here.
    #[error("value does not have the expected type {0:?}")]
    Mismatch(TypeId),
}

impl Fault {
    /// The faults a guest can cause, in the order of their codes. Generated code names them by number.
    const CODED: [Fault; 13] = [
        Fault::Unaligned,
        Fault::PointerOutOfBounds,
        Fault::ListOutOfBounds,
        Fault::StringOutOfBounds,
        Fault::ListTooLong,
        Fault::StringTooLong,
        Fault::ReallocUnaligned,
        Fault::ReallocOutOfBounds,
        Fault::Discriminant,
        Fault::Char,
        Fault::Utf8,
        Fault::Utf8Incomplete,
        Fault::Utf16,
    ];

    /// How many codes there are; they count from 1.
    pub const CODES: i32 = Fault::CODED.len() as i32;

    /// The fault's number, from 1 to [`Fault::CODES`]; `None` for a fault that only the host can cause.
    pub fn code(self) -> Option<i32> {
        (1..).zip(Fault::CODED).find(|(_, fault)| *fault == self).map(|(code, _)| code)
    }

    /// The fault with this number.
    pub fn from_code(code: i32) -> Option<Fault> {
        let at = usize::try_from(code).ok()?.checked_sub(1)?;
        Fault::CODED.get(at).copied()
    }
}

/// A type that no component may have, or that exceeds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum TypeError {
    /// An identifier that this arena did not give out.
    #[error("type {0} does not exist")]
    Unknown(u32),
    /// A record, tuple, variant, enum or flags without members.
    #[error("type must have at least one member")]
    Empty,
    /// More flags than one word holds.
    #[error("flags have {0} labels, at most 32 are allowed")]
    FlagsTooMany(usize),
    /// A value that takes more than [`ELEMENT_BYTES_MAX`] in a 64-bit memory.
    #[error("type exceeds maximum byte size of {ELEMENT_BYTES_MAX}")]
    TooLarge,
    /// A type nested deeper than [`crate::Limits::depth_max`].
    #[error("type is nested deeper than {0}")]
    TooDeep(u32),
    /// More types than [`crate::Limits::types_max`].
    #[error("more than {0} types")]
    TooMany(u32),
    /// More members, summed over all types, than [`crate::Limits::members_max`].
    #[error("types have more than {0} members in all")]
    MembersTooMany(u32),
    /// More bytes of names than [`crate::Limits::name_bytes_max`].
    #[error("names of types take more than {0} bytes")]
    NamesTooLong(u32),
    /// A map whose key is neither an integer, a bool, a char nor a string.
    #[error("type is not allowed as the key of a map")]
    MapKey,
    /// A stream or future that would carry a borrow.
    #[error("a stream or future may not contain a borrow")]
    BorrowInTransit,
}
