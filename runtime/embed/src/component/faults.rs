//! Faults of the canonical ABI as traps of the engine.
//!
//! One row per [`Fault`]
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading)).
//!
//! Invariant: every fault that a guest can cause is a trap.
//!
//! Does not know: where a fault happened.

use crate::error::{Error, Trap};
use crate::{TrapCode, UsageError};
use wattest_canon::Fault;

/// The trap of a fault; `None` for what only a host's value can cause.
pub(crate) fn trap_of(fault: Fault) -> Option<TrapCode> {
    Some(match fault {
        Fault::Unaligned => TrapCode::UnalignedPointer,
        Fault::PointerOutOfBounds => TrapCode::PointerOutOfBounds,
        Fault::ListOutOfBounds => TrapCode::ListOutOfBounds,
        Fault::StringOutOfBounds => TrapCode::StringOutOfBounds,
        Fault::ListTooLong | Fault::StringTooLong | Fault::ValueTooLarge(_) => TrapCode::ValueTooLarge,
        Fault::ReallocUnaligned => TrapCode::ReallocUnaligned,
        Fault::ReallocOutOfBounds => TrapCode::ReallocOutOfBounds,
        Fault::Discriminant => TrapCode::InvalidDiscriminant,
        Fault::Char => TrapCode::InvalidChar,
        Fault::Utf8 => TrapCode::InvalidUtf8,
        Fault::Utf8Incomplete => TrapCode::IncompleteUtf8,
        Fault::Utf16 => TrapCode::InvalidUtf16,
        Fault::SlotsMissing | Fault::Mismatch(_) => return None,
    })
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        match trap_of(fault) {
            Some(code) => Error::Trap(Trap::new(code)),
            None => Error::Usage(UsageError::Invalid(fault.to_string())),
        }
    }
}

impl From<TrapCode> for Error {
    fn from(code: TrapCode) -> Error {
        Error::Trap(Trap::new(code))
    }
}
