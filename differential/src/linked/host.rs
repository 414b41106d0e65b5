//! The host of linked programs: functions that every module may import.
//!
//! Numbers and references go out and come back, functions are called, and exceptions go through the frames of
//! [host functions](https://webassembly.github.io/spec/core/exec/runtime.html#function-instances) or begin there. What they
//! are called with is part of a step.
//!
//! Invariant: what a function does follows from its arguments alone; one row of [`HOST_FUNCTIONS`] is one of them.
//!
//! Does not know: engines.

use super::Observed;
use crate::Value;

/// The name of the host among modules. A program with a module of that name has no host.
pub const HOST: &str = "host";

/// A type of what goes out or comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum HostType {
    I32,
    I64,
    F64,
    V128,
    /// A nullable reference to any internal value.
    Any,
    /// A nullable reference to a function.
    Func,
    /// A nullable reference to an exception.
    Exn,
}

/// What a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostAct {
    /// Gives [`digest`] of its arguments.
    Digest,
    /// Gives its references back, the last first.
    Swap,
    /// Calls the function that is its last argument, which takes and gives nothing. Any other is a failure, and so is a call
    /// in more than [`HOST_DEPTH_MAX`] others.
    Call,
    /// Throws the exception that is its last argument. Null is a failure.
    Throw,
}

/// A function.
#[derive(Clone, Copy, Debug)]
pub struct HostFunction {
    /// The name under which it is imported from [`HOST`].
    pub name: &'static str,
    /// Parameters.
    pub params: &'static [HostType],
    /// Results.
    pub results: &'static [HostType],
    /// What it does.
    pub act: HostAct,
}

/// All of them.
pub const HOST_FUNCTIONS: &[HostFunction] = {
    use HostType::{Any, Exn, F64, Func, I32, I64, V128};
    &[
        HostFunction { name: "digest", params: &[I32, I64, F64, V128], results: &[I64], act: HostAct::Digest },
        HostFunction { name: "swap", params: &[Any, I32, Any], results: &[Any, Any], act: HostAct::Swap },
        HostFunction { name: "call", params: &[I32, Func], results: &[], act: HostAct::Call },
        HostFunction { name: "throw", params: &[I64, Exn], results: &[], act: HostAct::Throw },
    ]
};

/// Calls of the host that call back, in one another.
pub const HOST_DEPTH_MAX: u32 = 8;

/// A call of the host by a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedHostCall {
    /// Row of [`HOST_FUNCTIONS`].
    pub function: usize,
    /// What it was called with.
    pub args: Vec<Observed>,
}

/// What the host remembers during a step.
#[derive(Debug, Default)]
pub(super) struct HostLog {
    pub(super) calls: Vec<LinkedHostCall>,
    /// Calls that are active and have called back.
    pub(super) depth: u32,
}

/// A number that follows from numbers; references do not count.
pub fn digest(args: &[Observed]) -> u64 {
    let bits = args.iter().map(|arg| match arg {
        Observed::Number(Value::I32(bits) | Value::F32(bits)) => u128::from(*bits),
        Observed::Number(Value::I64(bits) | Value::F64(bits)) => u128::from(*bits),
        Observed::Number(Value::V128(bits)) => *bits,
        _ => 0,
    });
    bits.fold(0x9e37_79b9_7f4a_7c15, |state: u64, bits| {
        let mixed = state.rotate_left(23) ^ bits as u64 ^ ((bits >> 64) as u64).rotate_left(31);
        mixed.wrapping_mul(0xff51_afd7_ed55_8ccd)
    })
}
