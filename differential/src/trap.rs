//! Traps by class, and the reasons for which a run proves nothing.
//!
//! The classes are those of the [specification's assertions](https://webassembly.github.io/spec/core/exec/index.html): one
//! row of the table is one class. What the specification leaves to the machine (stack, memory) is not a class but a
//! [`Poison`], counted by reason and never a free pass for an unexpected error.
//!
//! Invariant: each engine maps each of its own trap codes to exactly one row.
//!
//! Does not know: engines.

use serde::{Deserialize, Serialize};

macro_rules! rows {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $row:ident = $text:literal;)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$doc])* $row,)*
        }

        impl $name {
            /// Every row, in order.
            pub const ALL: &[$name] = &[$($name::$row),*];

            /// The wording.
            pub const fn text(self) -> &'static str {
                match self { $($name::$row => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.text())
            }
        }
    };
}

pub(crate) use rows;

rows! {
    /// A class of traps that every engine must agree on.
    TrapClass {
        /// The `unreachable` instruction.
        Unreachable = "unreachable";
        /// Outside a memory or a data segment.
        MemoryOutOfBounds = "out of bounds memory access";
        /// Outside a table or an element segment, `call_indirect` beyond the table included.
        TableOutOfBounds = "out of bounds table access";
        /// Indirect call of null.
        NullCall = "uninitialized element";
        /// Indirect call of another type.
        BadSignature = "indirect call type mismatch";
        /// Signed division overflow, or truncation of a float too large.
        IntegerOverflow = "integer overflow";
        /// Division by zero.
        DivideByZero = "integer divide by zero";
        /// Truncation of a NaN.
        BadConversion = "invalid conversion to integer";
        /// Something was asked of a null reference.
        NullReference = "null reference";
        /// A cast to a type that the value does not have.
        CastFailure = "cast failure";
        /// Outside an array.
        ArrayOutOfBounds = "out of bounds array access";
        /// An atomic access at an address that is no multiple of its width.
        UnalignedAtomic = "unaligned atomic";
        /// A host function said no.
        Host = "host error";
    }
}

rows! {
    /// Why a call proves nothing.
    Poison {
        /// The step budget of the interpreter is used up.
        Budget = "step budget exhausted";
        /// The stack is used up, here or there.
        StackOverflow = "call stack exhausted";
        /// The machine refused memory.
        OutOfMemory = "out of memory";
        /// A limit of one engine that the other does not have.
        Limit = "implementation limit";
    }
}
