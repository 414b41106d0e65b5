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
