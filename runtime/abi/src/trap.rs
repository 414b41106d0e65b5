//! Trap codes: why execution stopped.
//!
//! One row per cause. The row's text is the official test suite's wording
//! ([spec](https://webassembly.github.io/spec/core/appendix/embedding.html#embed-error)), so that messages, tests and
//! differential classes are derived from the same table.
//!
//! Invariant: codes are dense, start at 1 and are never reused, since they are stored in artifacts.
//!
//! Does not know: where a trap happened.

macro_rules! traps {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// The cause of a trap.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum TrapCode {
            $($(#[$doc])* $name = $code,)*
        }

        impl TrapCode {
            /// Every trap code, in code order.
            pub const ALL: &[TrapCode] = &[$(TrapCode::$name),*];

            /// The trap code stored as `code`, if it is one.
            ///
            /// ```
            /// use wattest_abi::TrapCode;
            /// assert_eq!(TrapCode::from_u8(1), Some(TrapCode::Unreachable));
            /// assert_eq!(TrapCode::from_u8(0), None);
            /// ```
            pub const fn from_u8(code: u8) -> Option<TrapCode> {
                match code {
                    $($code => Some(TrapCode::$name),)*
                    _ => None,
                }
            }

            /// The official wording.
            pub const fn text(self) -> &'static str {
                match self {
                    $(TrapCode::$name => $text,)*
                }
            }

            /// The identifier used by tools and in machine-readable output.
            pub const fn name(self) -> &'static str {
                match self {
                    $(TrapCode::$name => stringify!($name),)*
                }
            }
        }
    };
}

traps! {
    /// The `unreachable` instruction.
    Unreachable = 1, "unreachable";
    /// A memory access, or a bulk memory operation, outside its memory or segment.
    MemoryOutOfBounds = 2, "out of bounds memory access";
    /// A table access, or a bulk table operation, outside its table or segment.
    TableOutOfBounds = 3, "out of bounds table access";
    /// `call_indirect` with an index beyond the table.
    UndefinedElement = 4, "undefined element";
    /// `call_indirect` through a null entry.
    UninitializedElement = 5, "uninitialized element";
    /// `call_indirect` to a function of another type.
    IndirectCallTypeMismatch = 6, "indirect call type mismatch";
    /// Signed division overflow, or a float too large for the integer it is truncated to.
    IntegerOverflow = 7, "integer overflow";
    /// Division or remainder by zero.
    IntegerDivideByZero = 8, "integer divide by zero";
    /// Truncation of a NaN.
    InvalidConversionToInteger = 9, "invalid conversion to integer";
    /// The native stack reserved for WebAssembly is used up.
    StackOverflow = 10, "call stack exhausted";
    /// An atomic access whose address is not aligned.
    UnalignedAtomic = 11, "unaligned atomic";
    /// `memory.atomic.wait` on a memory that is not shared.
    ExpectedSharedMemory = 12, "expected shared memory";
    /// A null reference where an object is needed.
    NullReference = 13, "null reference";
    /// A failed `ref.cast`.
    CastFailure = 14, "cast failure";
    /// An array access outside its array.
    ArrayOutOfBounds = 15, "out of bounds array access";
    /// The garbage-collected heap is full.
    AllocationTooLarge = 16, "allocation size too large";
    /// The store's fuel is used up.
    OutOfFuel = 17, "all fuel consumed by WebAssembly";
    /// The store's epoch deadline has passed.
    Interrupted = 18, "interrupted";
    /// A null function reference was called through `call_ref`.
    NullFunctionReference = 19, "null function reference";
    /// An exception left the outermost WebAssembly frame.
    UncaughtException = 20, "unhandled exception";
    /// A host function, or a builtin acting for one, returned an error: the error itself is kept by the store.
    HostError = 21, "host error";
    /// Something in use is entered again, or was left behind by a trap.
    CannotEnterComponent = 22, "cannot enter component instance";
    /// A component instance calls out of its `realloc` or `post-return`.
    CannotLeaveComponent = 23, "cannot leave component instance";
    /// A handle that is not in its table.
    UnknownHandle = 24, "unknown handle index";
    /// A handle of another resource type, or a borrowed one where an owned one is needed.
    HandleTypeMismatch = 25, "handle index used with the wrong type";
    /// A handle that is lent is taken away.
    HandleLent = 26, "cannot remove owned resource while borrowed";
    /// A call ends with borrowed handles that were not dropped.
    BorrowsRemain = 27, "borrow handles still remain at the end of the call";
    /// A handle table is full.
    HandleTableFull = 28, "resource table has no free keys";
    /// A pointer that its type's alignment does not divide.
    UnalignedPointer = 29, "unaligned pointer";
    /// A parameter or result area outside its memory.
    PointerOutOfBounds = 30, "pointer out of bounds of memory";
    /// A list outside its memory.
    ListOutOfBounds = 31, "list content out-of-bounds";
    /// A string outside its memory.
    StringOutOfBounds = 32, "string content out-of-bounds";
    /// A string, list or value beyond what the canonical ABI or the host allows.
    ValueTooLarge = 33, "value exceeds a limit of the canonical ABI";
    /// `realloc` returned an unaligned address.
    ReallocUnaligned = 34, "realloc return: result not aligned";
    /// `realloc` returned an address outside its memory.
    ReallocOutOfBounds = 35, "realloc return: beyond end of memory";
    /// A discriminant that names no case.
    InvalidDiscriminant = 36, "invalid variant discriminant";
    /// A `char` that is none.
    InvalidChar = 37, "invalid `char` bit pattern";
    /// A string that is not UTF-8.
    InvalidUtf8 = 38, "invalid utf-8";
    /// A string that ends within a character.
    IncompleteUtf8 = 39, "incomplete utf-8 byte sequence";
    /// A string that is not UTF-16.
    InvalidUtf16 = 40, "unpaired surrogate in utf-16";
    /// An asynchronously lifted function that did not return a value, or returned it twice.
    TaskReturn = 41, "task.return was not called exactly once";
    /// Something of component async that would have to wait.
    AsyncUnsupported = 42, "component async is not supported";
    /// A null reference where a descriptor is needed.
    NullDescriptor = 43, "null descriptor reference";
    /// A failed `ref.cast_desc_eq`.
    DescriptorCastFailure = 44, "descriptor cast failure";
    /// A task whose function type is not `async` calls a function that may block.
    CannotBlock = 45, "cannot block a synchronous task before returning";
}

impl std::fmt::Display for TrapCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_dense_and_round_trip() {
        for (position, trap) in TrapCode::ALL.iter().enumerate() {
            assert_eq!(*trap as usize, position + 1);
            assert_eq!(TrapCode::from_u8(*trap as u8), Some(*trap));
        }
    }
}
