//! How a call of WebAssembly can end other than by returning.
//!
//! Invariant: an [`Unwind`] is taken exactly once, by the call whose `enter` it ended.
//!
//! Does not know: the embedder's error type.

use crate::registry::CodeInfo;
use std::any::Any;
use std::sync::Arc;
use wattest_abi::TrapCode;
use wattest_module::DefinedFuncIndex;

/// An error of a host function, carried through WebAssembly frames unseen.
pub type HostError = Box<dyn Any + Send>;

/// An address on the stack of a trapped computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// The address.
    pub pc: usize,
    /// Whether it is a return address, one past the call.
    pub is_return: bool,
}

/// A memory access that trapped, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedAccess {
    /// Where: for a load or store, the first byte that is not there; for a bulk operation, its first byte.
    pub address: u64,
    /// How many bytes a bulk operation wanted.
    pub bytes: Option<u64>,
    /// The memory's length at the time, in bytes.
    pub memory_bytes: u64,
}

/// Why an activation is being unwound.
#[derive(Debug)]
pub(crate) enum Unwind {
    /// A trap.
    Trap { code: TrapCode, access: Option<FailedAccess>, frames: Vec<RawFrame> },
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
}

/// A call that did not return.
pub enum CallFailure {
    /// A trap.
    Trap {
        /// Its cause.
        code: TrapCode,
        /// The memory access that was out of bounds, where it is known.
        access: Option<FailedAccess>,
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
            Some(Frame { code, function, wasm_offset })
        })
        .collect()
}
