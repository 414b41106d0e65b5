//! The table of component intrinsics: core functions that the runtime makes for components.
//!
//! One row per
//! [canonical built-in](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canonical-definitions):
//! name, gate, what it needs, core signature, whether it asks `may_leave`, the meaning of its immediates. Decoding, printing,
//! trampolines and bodies are derived from the rows. (What only adapter modules import is [`wattest_fuse::Intrinsic`].)
//!
//! Invariant: a row's position is its number in artifacts; rows are only appended within one artifact version.
//!
//! Does not know: the bodies.

use crate::graph::{Builtin, Node};
use serde::{Deserialize, Serialize};
use wattest_canon::{CoreType, Width};

/// When an intrinsic may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Always.
    Sync,
    /// With the feature "component async".
    Async,
    /// With component async and threads.
    Threads,
}

/// An option a built-in needs besides its component instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A resource type.
    Resource,
    /// A memory, if what is passed contains pointers or lies in memory.
    Memory,
    /// `realloc`, if what is passed contains pointers.
    Realloc,
    /// A table of functions.
    Table,
    /// An interface type: a result, or the element of a stream or future.
    Type,
}

/// A parameter or result of a core signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// `i32`.
    I32,
    /// `i64`.
    I64,
    /// A pointer or a length: the width of the memory.
    Pointer,
    /// `i32` or `i64` as the second immediate says (0 or 1).
    Slot,
}

/// How an intrinsic's core signature comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// Parameters and results.
    Fixed(&'static [Param], &'static [Param]),
    /// The flattened type as parameters, one pointer if there are more than 16 of them; no result.
    TaskReturn,
}

/// What [`Builtin::immediates`] hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Immediate {
    /// Nothing: both are 0.
    None,
    /// The number of the context slot; 0 for `i32`, 1 for `i64`.
    Context,
    /// 1 if it may be cancelled (or, of a cancellation, if it is asynchronous); 0.
    Flag,
}

macro_rules! rows {
    ($($(#[$doc:meta])* $row:ident $name:literal $gate:ident [$($need:ident)*] $signature:expr, $leaves:literal, $immediate:ident;)*) => {
        /// A row of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Intrinsic {
            $($(#[$doc])* $row,)*
        }

        impl Intrinsic {
            /// Every row, in order.
            pub const ALL: &[Intrinsic] = &[$(Intrinsic::$row),*];

            /// The specification's name.
            pub const fn name(self) -> &'static str {
                match self { $(Intrinsic::$row => $name,)* }
            }

            /// When it may be used.
            pub const fn gate(self) -> Gate {
                match self { $(Intrinsic::$row => Gate::$gate,)* }
            }

            /// What it needs.
            pub const fn needs(self) -> &'static [Need] {
                match self { $(Intrinsic::$row => &[$(Need::$need),*],)* }
            }

            /// Its core signature.
            pub const fn signature(self) -> Signature {
                match self { $(Intrinsic::$row => $signature,)* }
            }

            /// Whether it traps when the component instance may not be left.
            pub const fn asks_may_leave(self) -> bool {
                match self { $(Intrinsic::$row => $leaves,)* }
            }

            /// What its immediates are.
            pub const fn immediate(self) -> Immediate {
                match self { $(Intrinsic::$row => Immediate::$immediate,)* }
            }
        }
    };
}

use Param::{I32, I64, Pointer, Slot};
use Signature::{Fixed, TaskReturn};

rows! {
    /// A new handle of a resource type the component defines.
    ResourceNew "resource.new" Sync [Resource] Fixed(&[I32], &[I32]), true, None;
    /// Drops a handle; the last owner runs the destructor.
    ResourceDrop "resource.drop" Sync [Resource] Fixed(&[I32], &[]), true, None;
    /// The representation behind a handle.
    ResourceRep "resource.rep" Sync [Resource] Fixed(&[I32], &[I32]), false, None;
    /// Returns the value of an asynchronously lifted function.
    TaskReturn "task.return" Async [Memory Type] TaskReturn, true, None;
    /// Acknowledges cancellation.
    TaskCancel "task.cancel" Async [] Fixed(&[], &[]), true, None;
    /// Reads a slot of the current thread.
    ContextGet "context.get" Async [] Fixed(&[], &[Slot]), false, Context;
    /// Writes a slot of the current thread.
    ContextSet "context.set" Async [] Fixed(&[Slot], &[]), false, Context;
    /// Fewer calls may start.
    BackpressureInc "backpressure.inc" Async [] Fixed(&[], &[]), false, None;
    /// More calls may start.
    BackpressureDec "backpressure.dec" Async [] Fixed(&[], &[]), false, None;
    /// Lets others run.
    ThreadYield "thread.yield" Async [] Fixed(&[], &[I32]), true, Flag;
    /// Drops a finished subtask.
    SubtaskDrop "subtask.drop" Async [] Fixed(&[I32], &[]), true, None;
    /// Asks a subtask to stop.
    SubtaskCancel "subtask.cancel" Async [] Fixed(&[I32], &[I32]), true, Flag;
    /// A new stream: both ends.
    StreamNew "stream.new" Async [Type] Fixed(&[], &[I64]), true, None;
    /// Reads from a stream.
    StreamRead "stream.read" Async [Memory Realloc Type] Fixed(&[I32, Pointer, Pointer], &[Pointer]), true, None;
    /// Writes to a stream.
    StreamWrite "stream.write" Async [Memory Type] Fixed(&[I32, Pointer, Pointer], &[Pointer]), true, None;
    /// Stops a read.
    StreamCancelRead "stream.cancel-read" Async [Type] Fixed(&[I32], &[I32]), true, Flag;
    /// Stops a write.
    StreamCancelWrite "stream.cancel-write" Async [Type] Fixed(&[I32], &[I32]), true, Flag;
    /// Drops the readable end.
    StreamDropReadable "stream.drop-readable" Async [Type] Fixed(&[I32], &[]), true, None;
    /// Drops the writable end.
    StreamDropWritable "stream.drop-writable" Async [Type] Fixed(&[I32], &[]), true, None;
    /// A new future: both ends.
    FutureNew "future.new" Async [Type] Fixed(&[], &[I64]), true, None;
    /// Reads from a future.
    FutureRead "future.read" Async [Memory Realloc Type] Fixed(&[I32, Pointer], &[I32]), true, None;
    /// Writes to a future.
    FutureWrite "future.write" Async [Memory Type] Fixed(&[I32, Pointer], &[I32]), true, None;
    /// Stops a read.
    FutureCancelRead "future.cancel-read" Async [Type] Fixed(&[I32], &[I32]), true, Flag;
    /// Stops a write.
    FutureCancelWrite "future.cancel-write" Async [Type] Fixed(&[I32], &[I32]), true, Flag;
    /// Drops the readable end.
    FutureDropReadable "future.drop-readable" Async [Type] Fixed(&[I32], &[]), true, None;
    /// Drops the writable end.
    FutureDropWritable "future.drop-writable" Async [Type] Fixed(&[I32], &[]), true, None;
    /// A new error context with a debug message.
    ErrorContextNew "error-context.new" Async [Memory] Fixed(&[Pointer, Pointer], &[I32]), true, None;
    /// The debug message of an error context.
    ErrorContextDebugMessage "error-context.debug-message" Async [Memory Realloc] Fixed(&[I32, Pointer], &[]), true, None;
    /// Drops an error context.
    ErrorContextDrop "error-context.drop" Async [] Fixed(&[I32], &[]), true, None;
    /// A new waitable set.
    WaitableSetNew "waitable-set.new" Async [] Fixed(&[], &[I32]), true, None;
    /// Waits for an event of a set.
    WaitableSetWait "waitable-set.wait" Async [Memory] Fixed(&[I32, Pointer], &[I32]), true, Flag;
    /// Asks for an event of a set.
    WaitableSetPoll "waitable-set.poll" Async [Memory] Fixed(&[I32, Pointer], &[I32]), true, Flag;
    /// Drops a set.
    WaitableSetDrop "waitable-set.drop" Async [] Fixed(&[I32], &[]), true, None;
    /// Puts a waitable into a set, or takes it out.
    WaitableJoin "waitable.join" Async [] Fixed(&[I32, I32], &[]), true, None;
    /// The number of the current thread.
    ThreadIndex "thread.index" Threads [] Fixed(&[], &[I32]), true, None;
    /// A new thread, suspended, that will run a function of a table.
    ThreadNewIndirect "thread.new-indirect" Threads [Table] Fixed(&[I32, I32], &[I32]), true, None;
    /// Makes a thread ready.
    ThreadResumeLater "thread.resume-later" Threads [] Fixed(&[I32], &[]), true, None;
    /// Suspends the current thread.
    ThreadSuspend "thread.suspend" Threads [] Fixed(&[], &[I32]), true, Flag;
    /// Suspends the current thread for another.
    ThreadSuspendThenResume "thread.suspend-then-resume" Threads [] Fixed(&[I32], &[I32]), true, Flag;
    /// Yields to another thread.
    ThreadYieldThenResume "thread.yield-then-resume" Threads [] Fixed(&[I32], &[I32]), true, Flag;
    /// Suspends the current thread for a ready one.
    ThreadSuspendThenPromote "thread.suspend-then-promote" Threads [] Fixed(&[I32], &[I32]), true, Flag;
    /// Yields to a ready thread.
    ThreadYieldThenPromote "thread.yield-then-promote" Threads [] Fixed(&[I32], &[I32]), true, Flag;
    /// How many threads may run at once.
    ThreadAvailableParallelism "thread.available-parallelism" Threads [] Fixed(&[], &[I32]), false, None;
}

impl Intrinsic {
    /// The row with a name.
    pub fn by_name(name: &str) -> Option<Intrinsic> {
        Intrinsic::ALL.iter().copied().find(|row| row.name() == name)
    }

    /// The fixed core signature for a width of pointers and immediates; `None` for a row whose signature depends on a type.
    pub fn core_signature(self, width: Width, immediates: [u32; 2]) -> Option<(Vec<CoreType>, Vec<CoreType>)> {
        let Fixed(params, results) = self.signature() else { return None };
        let core = |param: &Param| match param {
            I32 => CoreType::I32,
            I64 => CoreType::I64,
            Pointer => CoreType::pointer(width),
            Slot if immediates[1] == 0 => CoreType::I32,
            Slot => CoreType::I64,
        };
        Some((params.iter().map(core).collect(), results.iter().map(core).collect()))
    }
}

impl<R> From<Builtin<R>> for Node<R> {
    fn from(builtin: Builtin<R>) -> Node<R> {
        Node::Builtin(Box::new(builtin))
    }
}
