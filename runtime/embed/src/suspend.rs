//! Guests that wait: calls as futures, and host functions that wait for one.
//!
//! A function that is called with `call_async` runs on a stack of its own. When a host function in it waits for a future, the
//! stack is put aside and the call is pending: one thread serves as many guests as there are stacks, and any executor will
//! do, also one that moves futures between threads.
//!
//! * Calls: [`Func::call_async`](crate::Func::call_async), [`TypedFunc::call_async`](crate::TypedFunc::call_async),
//!   [`Instance::new_async`](crate::Instance::new_async), [`Linker::instantiate_async`](crate::Linker::instantiate_async),
//!   and the same in [`component`](crate::component). They need data that is `Send`, and have the store to themselves.
//! * Host functions: [`Linker::func_wrap_async`](crate::Linker::func_wrap_async) and its neighbours. In a guest that was
//!   called without `async`, and in one that a host function has called, they work as long as their future is ready at once;
//!   otherwise they fail with [`UsageError::CannotSuspend`](crate::UsageError::CannotSuspend).
//! * A call that is dropped ends its guest: the host function that waits fails, unseen, and everything on the stack is
//!   dropped. In a component the instance is poisoned, as after a trap.
//! * How much stack: `max-wasm-stack` for WebAssembly, `host-stack` for host functions, which end the process when they use
//!   up more (as on any thread); `own-stacks` at a time, then [`Error::Limit`]; `idle-stacks` are kept.
//! * A guest that computes and never waits: [`Store::epoch_deadline_yield`](crate::Store::epoch_deadline_yield),
//!   [`Store::fuel_yield_interval`](crate::Store::fuel_yield_interval).
//!
//! Invariant: nothing of an embedder but futures that are `Send` is on a stack that is put aside.
//!
//! Does not know: executors, how stacks are switched.

use crate::context::StoreContextMut;
use crate::error::{Error, Result, UsageError};
use crate::store::StoreData;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use wattest_vm::pool::StackError;
use wattest_vm::suspend::{Caller, Computation, WaitError, wait};

/// What a host function waits for.
pub type HostFuture<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

/// Waits for what a host function has made. To be called by host functions' bodies alone, of which nothing that belongs to
/// a thread is on the stack.
pub(crate) fn wait_for<R>(caller: Caller, mut future: HostFuture<'_, R>) -> Result<R> {
    wait(caller, future.as_mut()).map_err(|error| match error {
        WaitError::CannotSuspend => UsageError::CannotSuspend.into(),
        WaitError::Abandoned => Error::host(error),
    })
}

/// The future of a body that has the store to itself, on a stack of its own. It takes the stack when it is polled for the
/// first time, and gives it back when the body ends.
pub(crate) struct OnOwnStack<'a, T: 'static, F, R> {
    state: State<'a, T, F, R>,
    /// What it answers when there is no stack.
    refused: fn(String) -> R,
}

enum State<'a, T: 'static, F, R> {
    Waiting(StoreContextMut<'a, T>, F),
    Running(Computation<'a, R>),
    Ended,
}

// What is in it is never pinned.
impl<T: 'static, F, R> Unpin for OnOwnStack<'_, T, F, R> {}

/// Runs `body` on a stack of its own.
pub(crate) fn on_own_stack<'a, T, F, R>(
    store: impl Into<StoreContextMut<'a, T>>,
    refused: fn(String) -> R,
    body: F,
) -> OnOwnStack<'a, T, F, R>
where
    T: Send + 'static,
    F: FnOnce(StoreContextMut<'a, T>) -> R + Send + 'a,
    R: Send + 'a,
{
    OnOwnStack { state: State::Waiting(store.into(), body), refused }
}

/// A call's answer when there is no stack.
pub(crate) fn call_refused<R>(text: String) -> Result<R> {
    Err(Error::Limit(text))
}

impl<'a, T, F, R> Future for OnOwnStack<'a, T, F, R>
where
    T: Send + 'static,
    F: FnOnce(StoreContextMut<'a, T>) -> R + Send + 'a,
    R: Send + 'a,
{
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let this = &mut *self;
        if let State::Waiting(..) = this.state
            && let State::Waiting(store, body) = std::mem::replace(&mut this.state, State::Ended)
        {
            let body = |store: &'a mut wattest_vm::Store<StoreData<T>>| body(StoreContextMut(store));
            match store.0.on_own_stack(body) {
                Ok(computation) => this.state = State::Running(computation),
                Err(error @ (StackError::Limit(_) | StackError::Map(_))) => {
                    return Poll::Ready((this.refused)(error.to_string()));
                }
            }
        }
        let State::Running(computation) = &mut this.state else { panic!("a call was polled after it had ended") };
        let ended = computation.resume(context.waker());
        if ended.is_ready() {
            this.state = State::Ended;
        }
        ended
    }
}
