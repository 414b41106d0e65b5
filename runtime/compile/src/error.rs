//! Compile errors.
//!
//! Invariant: every failure of this crate that a module can cause is a [`CompileError`].
//!
//! Does not know: validation errors; a module that reaches this crate is valid.

use std::fmt;
use wattest_module::FuncIndex;

/// Why a module could not be compiled, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// The function that was being compiled, if one was.
    pub function: Option<FuncIndex>,
    /// Byte offset in the module of the instruction, or of the body, that could not be compiled.
    pub offset: Option<u32>,
    /// What went wrong.
    pub kind: CompileErrorKind,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileErrorKind {
    /// An instruction of a proposal that the code generator does not implement.
    Unsupported(&'static str),
    /// An instruction that needs a CPU feature which the target lacks.
    MissingCpuFeature(&'static str),
    /// The function is too large for the code generator.
    FunctionTooLarge,
    /// The module's code is larger than relative calls can span.
    ModuleTooLarge,
    /// The function's stack frame is too large to be checked in software; the size in bytes.
    FrameTooLarge(u32),
    /// The body could not be read although it was said to be valid.
    Malformed(String),
    /// The code generator contradicts itself: a defect of this crate.
    Internal(String),
}

impl CompileError {
    /// An error that belongs to no function.
    pub(crate) fn module(kind: CompileErrorKind) -> CompileError {
        CompileError { function: None, offset: None, kind }
    }
}

impl fmt::Display for CompileErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompileErrorKind::Unsupported(proposal) => write!(f, "{proposal} is not supported"),
            CompileErrorKind::MissingCpuFeature(feature) => write!(f, "the target CPU lacks {feature}"),
            CompileErrorKind::FunctionTooLarge => f.write_str("function too large to compile"),
            CompileErrorKind::ModuleTooLarge => f.write_str("compiled code of the module is too large"),
            CompileErrorKind::FrameTooLarge(bytes) => write!(f, "stack frame of {bytes} bytes is too large"),
            CompileErrorKind::Malformed(message) => write!(f, "malformed function body: {message}"),
            CompileErrorKind::Internal(message) => write!(f, "internal compiler error: {message}"),
        }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(function) = self.function {
            write!(f, "function {}", function.0)?;
            if let Some(offset) = self.offset {
                write!(f, " at offset {offset:#x}")?;
            }
            f.write_str(": ")?;
        }
        self.kind.fmt(f)
    }
}

impl std::error::Error for CompileError {}
