//! Functions of the host that adapter modules import: one table.
//!
//! | Row | Core signature | Contract |
//! |---|---|---|
//! | `trap` | `(i32)` | Traps with [`crate::AdapterTrap::from_code`] of the operand. Does not return. |
//! | `step` | `(i64 base, i64 units, i64 base, i64 bytes) -> i64` | [`Step::between`] of the current extents of the two memories (or [`Step::within`], when they are one memory), answered by [`Step::answer`]: negative is a fault's code with its sign turned, and the adapter then calls `trap`. A leaf: it does not trap, unwind or call a guest. |
//! | `transfer` | `(i32) -> i32` | Lifts the handle from `from`'s table and lowers it to `to`'s, as the specification's `lift_own` and `lower_own`, `lift_borrow` and `lower_borrow` and so on do; a borrow of a resource that `to` defines becomes its representation. Traps by itself. |
//! | `may-block` | `()` | Traps unless the current task of `from` may block: its function's type is `async`. |
//! | `enter` | `()` | A synchronous call of `to` by `from` begins: it becomes the current task, of a function whose type is `async` or not, and borrows are counted to it. |
//! | `returned` | `()` | The callee has returned: traps when borrows that were lowered for this call are left; what `from` lent is given back. |
//! | `exit` | `()` | The call is over: the caller's task is current again. |
//! | `enter-async` | `(funcref return, funcref callback, i64 out)` | As `enter`, for a callee lifted with `async`. Its `task.return` calls `return` with its core parameters and then `out`, once; a core result it gives is kept. `callback` is null when the lift has none. |
//! | `exit-async` | `(i32 status) -> i64` | The callee of an `enter-async` has returned, with this status if it has a callback, else 0. Traps unless it is finished and has called `task.return` (waiting is not supported here). Gives what `return` gave, as bits, or 0; the caller's task is current again. |
//!
//! Addresses and lengths are `i64` whatever the memories' widths, so that a row has one signature; a transcoder is never
//! given a host pointer.
//!
//! Invariant: an [`Intrinsic`] carries as operands all that its body depends on, so a body needs no other context than the
//! store.
//!
//! Does not know: how an embedding binds a body to its operands.

use crate::adapter::{AbiType, FuncType, InstanceId};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use wattest_canon::transcode::Step;
use wattest_canon::{CoreType, HandleKind};

/// A row with its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Intrinsic<I> {
    /// `trap`.
    Trap,
    /// `step`.
    Step {
        /// The conversion.
        step: Step,
        /// The memory of the source.
        from: I,
        /// The memory of the target.
        to: I,
    },
    /// `transfer`.
    Transfer {
        /// What the handle must be.
        kind: HandleKind,
        /// The instance it leaves.
        from: InstanceId,
        /// The instance it enters.
        to: InstanceId,
    },
    /// `may-block`.
    MayBlock {
        /// The caller.
        from: InstanceId,
    },
    /// `enter`.
    Enter {
        /// The caller.
        from: InstanceId,
        /// The callee.
        to: InstanceId,
        /// The function's type is `async`.
        is_async: bool,
    },
    /// `returned`.
    Returned,
    /// `exit`.
    Exit,
    /// `enter-async`.
    EnterAsync {
        /// The caller.
        from: InstanceId,
        /// The callee.
        to: InstanceId,
    },
    /// `exit-async`.
    ExitAsync,
}

const I32: AbiType = AbiType::Core(CoreType::I32);
const I64: AbiType = AbiType::Core(CoreType::I64);

/// A row's name and signature.
struct Row {
    name: &'static str,
    params: &'static [AbiType],
    results: &'static [AbiType],
}

const fn row(name: &'static str, params: &'static [AbiType], results: &'static [AbiType]) -> Row {
    Row { name, params, results }
}

const TRAP: Row = row("trap", &[I32], &[]);
const STEP: Row = row("step", &[I64; 4], &[I64]);
const TRANSFER: Row = row("transfer", &[I32], &[I32]);
const MAY_BLOCK: Row = row("may-block", &[], &[]);
const ENTER: Row = row("enter", &[], &[]);
const RETURNED: Row = row("returned", &[], &[]);
const EXIT: Row = row("exit", &[], &[]);
const ENTER_ASYNC: Row = row("enter-async", &[AbiType::FuncRef, AbiType::FuncRef, I64], &[]);
const EXIT_ASYNC: Row = row("exit-async", &[I32], &[I64]);

impl<I: Copy> Intrinsic<I> {
    const fn row(&self) -> &'static Row {
        match self {
            Intrinsic::Trap => &TRAP,
            Intrinsic::Step { .. } => &STEP,
            Intrinsic::Transfer { .. } => &TRANSFER,
            Intrinsic::MayBlock { .. } => &MAY_BLOCK,
            Intrinsic::Enter { .. } => &ENTER,
            Intrinsic::Returned => &RETURNED,
            Intrinsic::Exit => &EXIT,
            Intrinsic::EnterAsync { .. } => &ENTER_ASYNC,
            Intrinsic::ExitAsync => &EXIT_ASYNC,
        }
    }

    /// The row's name.
    pub const fn name(&self) -> &'static str {
        self.row().name
    }

    /// The core signature.
    pub fn func_type(&self) -> FuncType {
        let row = self.row();
        FuncType { params: row.params.to_vec(), results: row.results.to_vec() }
    }

    /// The memories among its operands, source first.
    pub fn memories(&self) -> Option<[I; 2]> {
        match self {
            Intrinsic::Step { from, to, .. } => Some([*from, *to]),
            _ => None,
        }
    }

    /// The same with its user's identifiers converted.
    pub fn map<J>(self, mut convert: impl FnMut(I) -> J) -> Intrinsic<J> {
        match self.try_map(|id| Ok::<J, Infallible>(convert(id))) {
            Ok(mapped) => mapped,
            Err(never) => match never {},
        }
    }

    /// The same with its user's identifiers converted, source first, or the first error.
    ///
    /// # Errors
    /// Whatever `convert` returns.
    pub fn try_map<J, E>(self, mut convert: impl FnMut(I) -> Result<J, E>) -> Result<Intrinsic<J>, E> {
        Ok(match self {
            Intrinsic::Trap => Intrinsic::Trap,
            Intrinsic::Step { step, from, to } => Intrinsic::Step { step, from: convert(from)?, to: convert(to)? },
            Intrinsic::Transfer { kind, from, to } => Intrinsic::Transfer { kind, from, to },
            Intrinsic::MayBlock { from } => Intrinsic::MayBlock { from },
            Intrinsic::Enter { from, to, is_async } => Intrinsic::Enter { from, to, is_async },
            Intrinsic::Returned => Intrinsic::Returned,
            Intrinsic::Exit => Intrinsic::Exit,
            Intrinsic::EnterAsync { from, to } => Intrinsic::EnterAsync { from, to },
            Intrinsic::ExitAsync => Intrinsic::ExitAsync,
        })
    }
}
