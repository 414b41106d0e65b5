//! What can go wrong: refusals of modules, traps, and how an execution ends when not in values.
//!
//! Traps are named by the reason that the official test suite gives for them.
//!
//! Invariant: the offset of a trap is that of the first byte of the trapping instruction in its module.
//!
//! Does not know: how anything is executed.

use crate::store::InstanceAddr;
use crate::value::Ref;
use std::fmt;

/// Why a module is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleError {
    /// It does not follow the [binary grammar](https://webassembly.github.io/spec/core/binary/index.html).
    Malformed {
        /// Where.
        offset: usize,
        /// What is wrong.
        text: String,
    },
    /// It breaks a rule of [validation](https://webassembly.github.io/spec/core/valid/index.html).
    Invalid {
        /// Where.
        offset: usize,
        /// Which rule.
        text: String,
    },
    /// It uses something that this interpreter does not define.
    Unsupported {
        /// Where.
        offset: usize,
        /// What.
        text: String,
    },
}

impl ModuleError {
    pub(crate) fn invalid(offset: usize, text: impl Into<String>) -> ModuleError {
        ModuleError::Invalid { offset, text: text.into() }
    }

    pub(crate) fn malformed(offset: usize, text: impl Into<String>) -> ModuleError {
        ModuleError::Malformed { offset, text: text.into() }
    }

    pub(crate) fn unsupported(offset: usize, text: impl Into<String>) -> ModuleError {
        ModuleError::Unsupported { offset, text: text.into() }
    }
}

impl From<wasmparser::Error> for ModuleError {
    fn from(error: wasmparser::Error) -> ModuleError {
        ModuleError::malformed(error.offset(), error.message())
    }
}

impl fmt::Display for ModuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModuleError::Malformed { offset, text } => write!(f, "malformed at {offset:#x}: {text}"),
            ModuleError::Invalid { offset, text } => write!(f, "invalid at {offset:#x}: {text}"),
            ModuleError::Unsupported { offset, text } => write!(f, "unsupported at {offset:#x}: {text}"),
        }
    }
}

impl std::error::Error for ModuleError {}

macro_rules! traps {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// The class of a trap.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum TrapClass { $($(#[$doc])* $name,)* }

        impl TrapClass {
            /// The official wording.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(TrapClass::$name => $text,)* }
            }
        }
    };
}

traps! {
    /// The `unreachable` instruction.
    Unreachable = "unreachable";
    /// An access outside a memory or data segment.
    MemoryOutOfBounds = "out of bounds memory access";
    /// An access outside a table or element segment.
    TableOutOfBounds = "out of bounds table access";
    /// An indirect call beyond the table's end.
    UndefinedElement = "undefined element";
    /// An indirect call through a null entry.
    UninitializedElement = "uninitialized element";
    /// An indirect call to a function of another type.
    IndirectCallTypeMismatch = "indirect call type mismatch";
    /// An integer result that does not fit.
    IntegerOverflow = "integer overflow";
    /// Division by zero.
    IntegerDivideByZero = "integer divide by zero";
    /// Truncation of a NaN.
    InvalidConversionToInteger = "invalid conversion to integer";
    /// The call stack is used up.
    StackExhausted = "call stack exhausted";
    /// A misaligned atomic access.
    UnalignedAtomic = "unaligned atomic";
    /// An atomic wait on an unshared memory.
    ExpectedSharedMemory = "expected shared memory";
    /// A null reference where something is needed.
    NullReference = "null reference";
    /// A failed downcast.
    CastFailure = "cast failure";
    /// An access outside an array.
    ArrayOutOfBounds = "out of bounds array access";
    /// An allocation beyond the store's budget.
    AllocationTooLarge = "allocation size too large";
    /// The step budget is used up.
    OutOfFuel = "all fuel consumed";
    /// A wait that could never end, since there is only one thread.
    Deadlock = "wait without end";
    /// The host refused.
    Host = "host";
    /// A call out of a component instance while its values are lowered or a post-return function runs.
    CannotLeave = "cannot leave component instance";
    /// A call that might be recursive, or into a component instance that a trap has ended.
    CannotEnter = "cannot enter component instance";
    /// A task that has to return before it may wait.
    CannotBlock = "cannot block a synchronous task before returning";
    /// A pointer that is no multiple of its type's alignment.
    UnalignedPointer = "unaligned pointer";
    /// A string, list or record that is not inside its memory.
    PointerOutOfBounds = "pointer out of bounds of memory";
    /// A string or list of too many bytes.
    ValueTooLong = "string or list is too long";
    /// A case that a variant does not have.
    InvalidDiscriminant = "invalid variant discriminant";
    /// A number that is no Unicode scalar value.
    InvalidChar = "invalid `char` bit pattern";
    /// Bytes that are no string of their encoding.
    InvalidString = "invalid string";
    /// An index without a handle.
    UnknownHandle = "unknown handle index";
    /// A handle of another resource type, or a borrowed one where an owned one is needed.
    HandleType = "handle index used with the wrong type";
    /// A handle that is lent cannot be given away or dropped.
    HandleLent = "cannot remove owned resource while borrowed";
    /// A task returns before it has dropped what it borrowed.
    BorrowsRemain = "borrow handles still remain at the end of the call";
    /// `task.return` of another type, with other options, twice, or outside of an asynchronous task.
    TaskReturn = "invalid `task.return`";
    /// An asynchronous task that ends without `task.return`.
    NoResult = "async-lifted export failed to produce a result";
    /// A callback that returns a code without meaning.
    BadCallbackCode = "unsupported callback code";
    /// More or fewer than the counter can hold.
    Backpressure = "backpressure counter overflow";
    /// An exception at a component's boundary.
    UncaughtException = "uncaught exception";
}

/// An execution that [trapped](https://webassembly.github.io/spec/core/exec/runtime.html#administrative-instructions).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Why.
    pub class: TrapClass,
    /// First byte of the instruction in its module; none when no instruction did it.
    pub offset: Option<u32>,
    /// Whose instruction it was.
    pub instance: Option<InstanceAddr>,
}

/// How an execution ends when not in values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It trapped.
    Trap(Trap),
    /// It threw this exception and nothing caught it.
    Exception(Ref),
    /// Imports are missing or do not match.
    Unlinkable(String),
    /// A limit of the store does not allow it.
    Limit(String),
    /// The arguments do not fit the function.
    Arguments(String),
}

impl Failure {
    /// A trap that no instruction did.
    #[must_use]
    pub fn trap(class: TrapClass) -> Failure {
        Failure::Trap(Trap { class, offset: None, instance: None })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Trap(Trap { class, offset: Some(offset), .. }) => {
                write!(f, "trap at {offset:#x}: {}", class.text())
            }
            Failure::Trap(Trap { class, offset: None, .. }) => write!(f, "trap: {}", class.text()),
            Failure::Exception(_) => f.write_str("uncaught exception"),
            Failure::Unlinkable(text) => write!(f, "unlinkable: {text}"),
            Failure::Limit(text) => write!(f, "limit: {text}"),
            Failure::Arguments(text) => write!(f, "arguments: {text}"),
        }
    }
}

impl std::error::Error for Failure {}
