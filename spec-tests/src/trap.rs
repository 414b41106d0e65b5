//! Trap classes, and the official wordings that name them.
//!
//! Scripts state a trap by its text ([spec](https://github.com/WebAssembly/spec/tree/main/interpreter#scripts)); engines
//! word it differently. Only the class is compared. One row per class: its name, then every text that means it. A text
//! matches a row when it starts with one of the row's texts, the longest such text deciding.
//!
//! Invariant: no text belongs to two classes.
//!
//! Does not know: how an engine represents traps. An adapter maps by text ([`TrapClass::from_text`]) where it can.

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $($text:literal)|+;)*) => {
        /// Why execution stopped, as far as scripts distinguish it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum TrapClass {
            $($(#[$doc])* $name,)*
        }

        impl TrapClass {
            /// Every class with its texts, in table order.
            pub const ROWS: &[(TrapClass, &[&str])] = &[$((TrapClass::$name, &[$($text),+])),*];
        }
    };
}

classes! {
    /// The `unreachable` instruction.
    Unreachable = "unreachable";
    /// An access outside a memory or data segment.
    MemoryOutOfBounds = "out of bounds memory access";
    /// An access outside a table or element segment.
    TableOutOfBounds = "out of bounds table access";
    /// An indirect call beyond the table's end.
    UndefinedElement = "undefined element" | "undefined";
    /// An indirect call through a null entry.
    UninitializedElement = "uninitialized element" | "uninitialized";
    /// An indirect call to a function of another type.
    IndirectCallTypeMismatch = "indirect call type mismatch" | "indirect call";
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
    NullReference = "null reference" | "null function reference" | "null structure reference"
        | "null array reference" | "null i31 reference" | "null exception reference" | "null descriptor reference";
    /// A failed downcast.
    CastFailure = "cast failure" | "descriptor cast failure";
    /// An access outside an array.
    ArrayOutOfBounds = "out of bounds array access";
    /// An allocation larger than the heap allows.
    AllocationTooLarge = "allocation size too large";
    /// An interruption that the embedder asked for.
    Interrupted = "interrupted" | "all fuel consumed";
    /// Entering a component instance that is in use or was left behind by a trap.
    CannotEnterComponent = "cannot enter component instance";
    /// Leaving a component instance from its `realloc` or `post-return`.
    CannotLeaveComponent = "cannot leave component instance";
    /// A handle that is not in its table.
    UnknownHandle = "unknown handle index";
    /// A handle of another type.
    HandleTypeMismatch = "handle index";
    /// A lent handle that is taken away.
    HandleLent = "cannot remove owned resource while borrowed";
    /// Borrowed handles that outlive their call.
    BorrowsRemain = "borrow handles still remain at the end of the call";
    /// A full handle table.
    HandleTableFull = "resource table has no free keys";
    /// An unaligned pointer.
    UnalignedPointer = "unaligned pointer";
    /// A parameter or result area outside its memory.
    PointerOutOfBounds = "pointer out of bounds of memory";
    /// A list outside its memory.
    ListOutOfBounds = "list content out-of-bounds" | "list pointer/length out of bounds of memory";
    /// A string outside its memory.
    StringOutOfBounds = "string content out-of-bounds" | "string pointer/length out of bounds of memory";
    /// A value beyond a limit.
    ValueTooLarge = "value exceeds a limit of the canonical ABI";
    /// An unaligned result of `realloc`.
    ReallocUnaligned = "realloc return: result not aligned";
    /// A result of `realloc` outside its memory.
    ReallocOutOfBounds = "realloc return: beyond end of memory";
    /// A discriminant without a case.
    InvalidDiscriminant = "invalid variant discriminant";
    /// A `char` that is none.
    InvalidChar = "invalid `char` bit pattern";
    /// A string that is not UTF-8.
    InvalidUtf8 = "invalid utf-8";
    /// A string that ends within a character.
    IncompleteUtf8 = "incomplete utf-8 byte sequence";
    /// A string that is not UTF-16.
    InvalidUtf16 = "unpaired surrogate in utf-16";
    /// An exception at the boundary of a component.
    UncaughtException = "unhandled exception" | "uncaught exception";
    /// A value that an asynchronous function did not return once.
    TaskReturn = "task.return was not called exactly once";
    /// Component async beyond what does not wait.
    AsyncUnsupported = "component async is not supported";
    /// A task of a synchronous function calls what may block.
    CannotBlock = "cannot block a synchronous task before returning";
}

impl TrapClass {
    /// The class that `text` names.
    ///
    /// ```
    /// use wattest_spec_tests::TrapClass;
    /// assert_eq!(TrapClass::from_text("uninitialized element 2"), Some(TrapClass::UninitializedElement));
    /// assert_eq!(TrapClass::from_text("no such wording"), None);
    /// ```
    pub fn from_text(text: &str) -> Option<TrapClass> {
        // The component suite quotes another engine's messages.
        let text = text.strip_prefix("wasm trap: ").unwrap_or(text);
        let text = text.strip_prefix("wasm `unreachable`").map_or(text, |_| "unreachable");
        Self::ROWS
            .iter()
            .flat_map(|(class, texts)| texts.iter().map(move |known| (*class, *known)))
            .filter(|(_, known)| text.starts_with(known))
            .max_by_key(|(_, known)| known.len())
            .map(|(class, _)| class)
    }

    /// The official wording.
    pub fn text(self) -> &'static str {
        Self::ROWS.iter().find(|(class, _)| *class == self).map_or("", |(_, texts)| texts[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<TrapClass>) {
        assert_eq!(TrapClass::from_text(text), expected, "{text}");
    }

    #[test]
    fn every_text_names_its_own_class() {
        for (class, texts) in TrapClass::ROWS {
            for text in *texts {
                check(text, Some(*class));
            }
            check(class.text(), Some(*class));
        }
    }

    #[test]
    fn details_after_a_text_are_ignored() {
        check("uninitialized element 7", Some(TrapClass::UninitializedElement));
        check("undefined element", Some(TrapClass::UndefinedElement));
        check("out of bounds memory access: 4", Some(TrapClass::MemoryOutOfBounds));
        check("out of bounds", None);
        check("", None);
    }
}
