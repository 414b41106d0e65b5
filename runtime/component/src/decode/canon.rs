//! Canonical definitions.
//!
//! [`canon`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#canonical-definitions) sections:
//! lifts, lowers and built-ins, a built-in as a row of [`Intrinsic`] with everything it was defined with.
//!
//! Invariant: every form the parser knows is either decoded or named as unsupported.
//!
//! Does not know: which rows the runtime can carry out.

use super::Decoder;
use super::ast::{BuiltinDef, Canon, Def, Options};
use super::types::value;
use crate::error::ComponentError;
use crate::intrinsics::Intrinsic;
use wasmparser::{CanonicalFunction as Form, CanonicalOption, ValType};
use wattest_canon::Encoding;

impl Decoder<'_> {
    pub(super) fn canon(&mut self, form: Form) -> Result<(), ComponentError> {
        let canon = match &form {
            Form::Lift { core_func_index, type_index, options } => {
                Canon::Lift { func: *core_func_index, ty: *type_index, options: decode_options(options) }
            }
            Form::Lower { func_index, options } => Canon::Lower { func: *func_index, options: decode_options(options) },
            other => builtin(other).map_or_else(Canon::Unsupported, Canon::Builtin),
        };
        self.define(Def::Canon(canon))
    }
}

fn decode_options(list: &[CanonicalOption]) -> Options {
    let mut options = Options::default();
    for option in list {
        match *option {
            CanonicalOption::UTF8 => options.encoding = Some(Encoding::Utf8),
            CanonicalOption::UTF16 => options.encoding = Some(Encoding::Utf16),
            CanonicalOption::CompactUTF16 => options.encoding = Some(Encoding::Compact),
            CanonicalOption::Memory(index) => options.memory = Some(index),
            CanonicalOption::Realloc(index) => options.realloc = Some(index),
            CanonicalOption::PostReturn(index) => options.post_return = Some(index),
            CanonicalOption::Async => options.is_async = true,
            CanonicalOption::Callback(index) => options.callback = Some(index),
            CanonicalOption::CoreType(_) | CanonicalOption::Gc => options.is_gc = true,
        }
    }
    options
}

const fn row(row: Intrinsic) -> BuiltinDef {
    BuiltinDef { row, options: NO_OPTIONS, ty: None, result: None, table: None, immediates: [0; 2] }
}

const NO_OPTIONS: Options = Options {
    encoding: None,
    memory: None,
    realloc: None,
    post_return: None,
    callback: None,
    is_async: false,
    is_gc: false,
};

fn typed(intrinsic: Intrinsic, ty: u32) -> BuiltinDef {
    BuiltinDef { ty: Some(ty), ..row(intrinsic) }
}

fn flagged(intrinsic: Intrinsic, flag: bool) -> BuiltinDef {
    BuiltinDef { immediates: [u32::from(flag), 0], ..row(intrinsic) }
}

fn with_options(def: BuiltinDef, list: &[CanonicalOption]) -> BuiltinDef {
    BuiltinDef { options: decode_options(list), ..def }
}

fn context(intrinsic: Intrinsic, ty: ValType, slot: u32) -> BuiltinDef {
    BuiltinDef { immediates: [slot, u32::from(ty == ValType::I64)], ..row(intrinsic) }
}

fn waits(intrinsic: Intrinsic, cancellable: bool, memory: u32) -> BuiltinDef {
    BuiltinDef { options: Options { memory: Some(memory), ..NO_OPTIONS }, ..flagged(intrinsic, cancellable) }
}

fn cancels(intrinsic: Intrinsic, ty: u32, is_async: bool) -> BuiltinDef {
    BuiltinDef { ty: Some(ty), ..flagged(intrinsic, is_async) }
}

fn builtin(form: &Form) -> Result<BuiltinDef, &'static str> {
    Ok(match form {
        Form::ResourceNew { resource } => typed(Intrinsic::ResourceNew, *resource),
        Form::ResourceDrop { resource } => typed(Intrinsic::ResourceDrop, *resource),
        Form::ResourceRep { resource } => typed(Intrinsic::ResourceRep, *resource),
        Form::TaskReturn { result, options } => {
            with_options(BuiltinDef { result: result.map(value), ..row(Intrinsic::TaskReturn) }, options)
        }
        Form::TaskCancel => row(Intrinsic::TaskCancel),
        Form::ContextGet { ty, slot } => context(Intrinsic::ContextGet, *ty, *slot),
        Form::ContextSet { ty, slot } => context(Intrinsic::ContextSet, *ty, *slot),
        Form::BackpressureInc => row(Intrinsic::BackpressureInc),
        Form::BackpressureDec => row(Intrinsic::BackpressureDec),
        Form::SubtaskDrop => row(Intrinsic::SubtaskDrop),
        Form::SubtaskCancel { async_ } => flagged(Intrinsic::SubtaskCancel, *async_),
        Form::ErrorContextNew { options } => with_options(row(Intrinsic::ErrorContextNew), options),
        Form::ErrorContextDebugMessage { options } => with_options(row(Intrinsic::ErrorContextDebugMessage), options),
        Form::ErrorContextDrop => row(Intrinsic::ErrorContextDrop),
        Form::WaitableSetNew => row(Intrinsic::WaitableSetNew),
        Form::WaitableSetWait { cancellable, memory } => waits(Intrinsic::WaitableSetWait, *cancellable, *memory),
        Form::WaitableSetPoll { cancellable, memory } => waits(Intrinsic::WaitableSetPoll, *cancellable, *memory),
        Form::WaitableSetDrop => row(Intrinsic::WaitableSetDrop),
        Form::WaitableJoin => row(Intrinsic::WaitableJoin),
        other => return transfer(other).or_else(thread),
    })
}

/// Streams and futures; gives back what is something else.
fn transfer(form: &Form) -> Result<BuiltinDef, &Form> {
    Ok(match form {
        Form::StreamNew { ty } => typed(Intrinsic::StreamNew, *ty),
        Form::StreamRead { ty, options } => with_options(typed(Intrinsic::StreamRead, *ty), options),
        Form::StreamWrite { ty, options } => with_options(typed(Intrinsic::StreamWrite, *ty), options),
        Form::StreamCancelRead { ty, async_ } => cancels(Intrinsic::StreamCancelRead, *ty, *async_),
        Form::StreamCancelWrite { ty, async_ } => cancels(Intrinsic::StreamCancelWrite, *ty, *async_),
        Form::StreamDropReadable { ty } => typed(Intrinsic::StreamDropReadable, *ty),
        Form::StreamDropWritable { ty } => typed(Intrinsic::StreamDropWritable, *ty),
        Form::FutureNew { ty } => typed(Intrinsic::FutureNew, *ty),
        Form::FutureRead { ty, options } => with_options(typed(Intrinsic::FutureRead, *ty), options),
        Form::FutureWrite { ty, options } => with_options(typed(Intrinsic::FutureWrite, *ty), options),
        Form::FutureCancelRead { ty, async_ } => cancels(Intrinsic::FutureCancelRead, *ty, *async_),
        Form::FutureCancelWrite { ty, async_ } => cancels(Intrinsic::FutureCancelWrite, *ty, *async_),
        Form::FutureDropReadable { ty } => typed(Intrinsic::FutureDropReadable, *ty),
        Form::FutureDropWritable { ty } => typed(Intrinsic::FutureDropWritable, *ty),
        other => return Err(other),
    })
}

fn thread(form: &Form) -> Result<BuiltinDef, &'static str> {
    Ok(match form {
        Form::ThreadYield { cancellable } => flagged(Intrinsic::ThreadYield, *cancellable),
        Form::ThreadIndex => row(Intrinsic::ThreadIndex),
        Form::ThreadNewIndirect { table_index, .. } => {
            BuiltinDef { table: Some(*table_index), ..row(Intrinsic::ThreadNewIndirect) }
        }
        Form::ThreadResumeLater => row(Intrinsic::ThreadResumeLater),
        Form::ThreadSuspend { cancellable } => flagged(Intrinsic::ThreadSuspend, *cancellable),
        Form::ThreadSuspendThenResume { cancellable } => flagged(Intrinsic::ThreadSuspendThenResume, *cancellable),
        Form::ThreadYieldThenResume { cancellable } => flagged(Intrinsic::ThreadYieldThenResume, *cancellable),
        Form::ThreadSuspendThenPromote { cancellable } => flagged(Intrinsic::ThreadSuspendThenPromote, *cancellable),
        Form::ThreadYieldThenPromote { cancellable } => flagged(Intrinsic::ThreadYieldThenPromote, *cancellable),
        Form::ThreadAvailableParallelism => row(Intrinsic::ThreadAvailableParallelism),
        Form::ThreadSpawnRef { .. } => return Err("thread.spawn-ref"),
        Form::ThreadSpawnIndirect { .. } => return Err("thread.spawn-indirect"),
        _ => return Err("canonical definition"),
    })
}
