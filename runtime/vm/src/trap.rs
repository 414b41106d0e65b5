//! How a call of WebAssembly can end other than by returning.
//!
//! Invariant: an [`Unwind`] is taken exactly once, by the call whose `enter` it ended.
//!
//! Does not know: the embedder's error type.

use crate::registry::CodeInfo;
use crate::value::Raw;
use std::any::Any;
use std::sync::Arc;
use wattest_abi::TrapCode;
use wattest_module::DefinedFuncIndex;

/// An error of a host function, carried through WebAssembly frames unseen.
pub type HostError = Box<dyn Any + Send>;

/// An address on the stack of a trapped computation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// The address.
    pub pc: usize,
    /// Whether it is a return address, one past the call.
    pub is_return: bool,
    /// The frame's own frame pointer.
    pub fp: usize,
    /// Locals, if the module was compiled to keep them in frames; none where one is not kept.
    pub locals: Vec<Option<Raw>>,
}

/// A memory access that trapped, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedAccess {
    /// Where: for a load or store, the first byte that is not there, or `u64::MAX` if it lies beyond all addresses; for a
    /// bulk operation, its first byte.
    pub address: u64,
    /// How many bytes a bulk operation wanted.
    pub bytes: Option<u64>,
    /// The memory's length at the time, in bytes.
    pub memory_bytes: u64,
}

/// A table access that trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedElement {
    /// Which element, or the first of those that a bulk operation wanted.
    pub index: u64,
    /// How many elements a bulk operation wanted.
    pub count: Option<u64>,
    /// The table's length at the time, in elements.
    pub table_elements: u64,
}

/// What a trap says about an access out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Of a memory.
    Access(FailedAccess),
    /// Of a table.
    Element(FailedElement),
}

/// Why an activation is being unwound.
#[derive(Debug)]
pub(crate) enum Unwind {
    /// A trap.
    Trap { code: TrapCode, refused: Option<Refused>, frames: Vec<RawFrame> },
    /// A host function returned an error.
    Host { error: HostError, frames: Vec<RawFrame> },
    /// An exception that nothing in the activation catches.
    Exception { exception: u32, frames: Vec<RawFrame> },
    /// A host function panicked.
    Panic(Box<dyn Any + Send>),
}

/// A frame of a backtrace.
#[derive(Clone)]
pub struct Frame {
    /// The code that the frame runs.
    pub code: Arc<CodeInfo>,
    /// The function.
    pub function: DefinedFuncIndex,
    /// Byte offset of the instruction in the WebAssembly binary, if addresses were recorded.
    pub wasm_offset: Option<u32>,
    /// Locals of numeric types, if the module was compiled to keep them in frames; none where one is not kept.
    pub locals: Vec<Option<Raw>>,
}

/// A call that did not return.
pub enum CallFailure {
    /// A trap.
    Trap {
        /// Its cause.
        code: TrapCode,
        /// The access that was out of bounds, where it is known.
        refused: Option<Refused>,
        /// The stack, innermost first, at most [`crate::activation::FRAMES_MAX`] frames.
        frames: Vec<Frame>,
    },
    /// A host function's error.
    Host {
        /// The error.
        error: HostError,
        /// The WebAssembly stack at the time.
        frames: Vec<Frame>,
    },
    /// An exception that nothing caught.
    Exception {
        /// The exception, an object of the store.
        exception: u32,
        /// The stack from which it was thrown, or thrown on, last.
        frames: Vec<Frame>,
    },
}

/// Resolves addresses to functions. Addresses outside compiled code are skipped.
pub(crate) fn resolve(raw: &[RawFrame]) -> Vec<Frame> {
    raw.iter()
        .filter_map(|frame| {
            // A return address belongs to the call before it.
            let pc = frame.pc - usize::from(frame.is_return);
            let (code, text_offset) = crate::registry::lookup(pc)?;
            let function = code.function_at(text_offset)?;
            let wasm_offset = code.wasm_offset_at(text_offset);
            Some(Frame { code, function, wasm_offset, locals: frame.locals.clone() })
        })
        .collect()
}
