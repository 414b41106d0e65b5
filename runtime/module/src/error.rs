//! Why a binary is not a module this engine accepts.
//!
//! Invariant: every error names the byte offset at which it was noticed, and the function if it lies in one.
//!
//! Does not know: files, engines.

/// A binary that is malformed, invalid, or beyond this engine's limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Malformed or invalid ([spec](https://webassembly.github.io/spec/core/valid/index.html)).
    #[error("{message} (at offset {offset:#x}{})", in_function(*function))]
    Invalid {
        /// What is wrong.
        message: String,
        /// Byte offset in the binary.
        offset: usize,
        /// The function whose body contains the offset.
        function: Option<u32>,
    },
    /// Valid, but larger than the engine's limits allow.
    #[error("{what} exceeds the engine's limit of {limit} (at offset {offset:#x})")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// Byte offset in the binary.
        offset: usize,
    },
    /// A component, where a core module was expected.
    #[error("this is a component, not a core module")]
    Component,
}

fn in_function(function: Option<u32>) -> String {
    function.map(|index| format!(", in function {index}")).unwrap_or_default()
}

impl DecodeError {
    /// The error of a module that lies within another binary, from its byte `start` on.
    pub fn within(self, start: usize) -> DecodeError {
        match self {
            DecodeError::Invalid { message, offset, function } => {
                DecodeError::Invalid { message, offset: offset + start, function }
            }
            DecodeError::Limit { what, limit, offset } => DecodeError::Limit { what, limit, offset: offset + start },
            DecodeError::Component => DecodeError::Component,
        }
    }

    /// Byte offset in the binary at which the error was noticed.
    pub fn offset(&self) -> usize {
        match self {
            DecodeError::Invalid { offset, .. } | DecodeError::Limit { offset, .. } => *offset,
            DecodeError::Component => 0,
        }
    }
}

impl From<wasmparser::BinaryReaderError> for DecodeError {
    fn from(error: wasmparser::BinaryReaderError) -> DecodeError {
        DecodeError::Invalid { message: error.message().to_owned(), offset: error.offset(), function: None }
    }
}
