//! Computations on stacks of their own, which host functions suspend and executors resume.
//!
//! A [`Computation`] runs a body, which may run WebAssembly, on a stack from a [`StackPool`]. A host function in it that has
//! to wait hands a future to [`wait`]: when the future is not ready, the whole stack is put aside and the thread goes on
//! with something else, until the computation is resumed, on whichever thread.
//!
//! **What moves with it.** A store remembers its activations by frame pointers, which stay valid wherever they are; only
//! which store is active is a fact of the thread (`activation`), and that is exchanged at every switch. Functions that wait
//! may return on another thread than they were called on: none of ours keeps the address of a thread-local across a wait
//! (accesses that follow one are in functions that are not inlined).
//!
//! **Why it may move.** Everything on a suspended stack is this runtime's own frames, compiled code's, or a future that is
//! `Send`: whoever calls [`wait`] promises that no frame of an embedder lies between it and the host function that
//! compiled code called, and a stack on which a host function has entered WebAssembly a second time is not suspended at
//! all ([`WaitError::CannotSuspend`]), because that host function's frames may hold anything.
//!
//! **How it ends early.** A computation that is dropped is resumed one last time, and whatever it waits for fails with
//! [`WaitError::Abandoned`], so that all its frames return: no stack is ever unwound by force or forgotten, so what its
//! frames hold is dropped in order.
//!
//! Invariant: `CURRENT` names the innermost computation that runs on this thread; its switch is only used by this thread.
//!
//! Does not know: executors, what is waited for.

use crate::activation;
use crate::pool::{OwnStack, StackError, StackPool};
use crate::store::{Store, StoreInner};
use crate::sys;
use crate::sys::trampoline::EntryFrame;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use wattest_abi::vmctx::VmStoreContext;

thread_local! {
    static CURRENT: Cell<*const Switch> = const { Cell::new(std::ptr::null()) };
}

/// Why a host function cannot wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// The guest does not run on a stack of its own, or a host function that cannot wait is on that stack too.
    #[error("a host function has to wait, but the guest was not called in a way that lets it")]
    CannotSuspend,
    /// Nobody waits for the computation any more.
    #[error("the computation was dropped while it waited")]
    Abandoned,
}

/// What a computation and whoever resumes it have in common. It is used by one side at a time.
#[derive(Debug)]
pub(crate) struct Switch {
    /// The pages that guard the stack.
    guard: Range<usize>,
    /// The store whose guest runs.
    context: Cell<*mut VmStoreContext>,
    /// The store's `entry_fp` around the activation that may be suspended.
    outer_entry_fp: Cell<usize>,
    /// The thread's active store, as the computation sees it.
    active: Cell<*mut VmStoreContext>,
    /// How to leave the stack, while its body runs.
    yielder: Cell<*const Yielder<(), ()>>,
    /// Whom to tell when the computation can go on; there while it is being resumed.
    waker: Cell<*const Waker>,
    abandoned: Cell<bool>,
}

impl Switch {
    /// The switch of a stack that is guarded by these addresses.
    pub fn new(guard: Range<usize>) -> Switch {
        Switch {
            guard,
            context: Cell::new(std::ptr::null_mut()),
            outer_entry_fp: Cell::new(0),
            active: Cell::new(std::ptr::null_mut()),
            yielder: Cell::new(std::ptr::null()),
            waker: Cell::new(std::ptr::null()),
            abandoned: Cell::new(false),
        }
    }

    fn begin(&self, context: *mut VmStoreContext) {
        self.context.set(context);
        self.active.set(std::ptr::null_mut());
        self.abandoned.set(false);
    }

    /// Whether the stack may be put aside: only frames of ours, and of one activation, are on it. `Caller::Host` asks
    /// whether there is no activation either.
    fn may_suspend(&self, caller: Caller) -> bool {
        let context = self.context.get();
        // SAFETY: the computation has the store borrowed, so its context is alive; an `entry_fp` that is not 0 is that of a
        // live `enter`.
        unsafe {
            let entry_fp = (*context).entry_fp;
            if caller == Caller::Host {
                return entry_fp == self.outer_entry_fp.get() && activation::active_store().is_null();
            }
            if entry_fp == 0 {
                return false;
            }
            let previous = *(entry_fp as *const usize).sub(EntryFrame::PREVIOUS_ENTRY_FP);
            activation::active_store() == context && previous == self.outer_entry_fp.get()
        }
    }

    /// Leaves the stack until it is resumed.
    fn suspend(&self) {
        // SAFETY: the yielder is that of the stack that this runs on: `may_suspend` was asked there, and the switch is
        // `CURRENT`.
        unsafe { (*self.yielder.get()).suspend(()) };
    }
}

/// The innermost computation of this thread. Not inlined: see the module's documentation.
#[inline(never)]
fn current() -> *const Switch {
    CURRENT.get()
}

/// Whether `address` lies in the pages that guard the stack of this thread's innermost computation. Async-signal-safe.
pub(crate) fn overflowed(address: usize) -> bool {
    let switch = CURRENT.get();
    // SAFETY: a current computation's switch is alive.
    !switch.is_null() && unsafe { (*switch).guard.contains(&address) }
}

/// Who called the host function that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Compiled code.
    Guest,
    /// The host, without any WebAssembly in between.
    Host,
}

/// Waits for `future`: the stack that this is called on is put aside as long as it is not ready.
///
/// Only host functions' own machinery may call this, with nothing on its frames that belongs to a thread; see the module's
/// documentation.
///
/// # Errors
///
/// [`WaitError`]. On a stack that cannot be put aside the future is asked once whether it is ready.
pub fn wait<R>(caller: Caller, future: Pin<&mut (dyn Future<Output = R> + Send + '_)>) -> Result<R, WaitError> {
    // SAFETY: a current computation's switch is alive as long as its body runs, which this is part of.
    let switch = unsafe { current().as_ref() };
    let switch = switch.filter(|switch| switch.may_suspend(caller));
    let mut ready = None;
    // Hidden from the optimizer, which would otherwise merge the polls of a future that it knows, and with them the
    // addresses of thread-locals.
    let mut future = std::hint::black_box(future);
    drive(switch, &mut |context| match future.as_mut().poll(context) {
        Poll::Ready(value) => {
            ready = Some(value);
            true
        }
        Poll::Pending => false,
    })?;
    ready.ok_or(WaitError::Abandoned)
}

/// Polls until that says so.
#[inline(never)]
fn drive(switch: Option<&Switch>, poll: &mut dyn FnMut(&mut Context<'_>) -> bool) -> Result<(), WaitError> {
    let Some(switch) = switch else {
        let ready = poll(&mut Context::from_waker(Waker::noop()));
        return if ready { Ok(()) } else { Err(WaitError::CannotSuspend) };
    };
    loop {
        if switch.abandoned.get() {
            return Err(WaitError::Abandoned);
        }
        // SAFETY: whoever resumed the computation waits for it, with the waker that it was given.
        let waker = unsafe { &*switch.waker.get() };
        if poll(&mut Context::from_waker(waker)) {
            return Ok(());
        }
        switch.suspend();
    }
}

/// Lets the executor do something else first, if the stack that this is called on can be put aside. For the machinery of
/// host functions, as [`wait`].
///
/// # Errors
///
/// [`WaitError::Abandoned`].
pub(crate) fn yield_now() -> Result<(), WaitError> {
    let mut asked = false;
    let once = std::pin::pin!(std::future::poll_fn(move |context: &mut Context<'_>| {
        if std::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }));
    match wait(Caller::Guest, once) {
        Err(WaitError::CannotSuspend) => Ok(()),
        ended => ended,
    }
}

/// Runs `body`, which may enter WebAssembly again and be suspended there, in a host function that compiled code has called
/// and that could itself wait: nothing on its frames belongs to a thread. For what a component's built-ins call, like
/// destructors; with the promise of [`wait`].
pub fn waiting_within<S, R>(
    store: &mut S,
    inner: impl FnOnce(&mut S) -> &mut StoreInner,
    body: impl FnOnce(&mut S) -> R,
) -> R {
    struct Restore<'a>(&'a Switch, usize);
    impl Drop for Restore<'_> {
        fn drop(&mut self) {
            self.0.outer_entry_fp.set(self.1);
        }
    }
    // SAFETY: as in `wait`.
    let switch = unsafe { current().as_ref() };
    let context = &raw mut inner(store).context;
    let within = switch.filter(|switch| switch.context.get() == context && switch.may_suspend(Caller::Guest));
    // SAFETY: the context is the store's.
    let entry_fp = unsafe { (*context).entry_fp };
    let _restore = within.map(|switch| Restore(switch, switch.outer_entry_fp.replace(entry_fp)));
    body(store)
}

type Body<R> = Coroutine<(), (), std::thread::Result<R>, OwnStack>;

/// A body that runs on a stack of its own.
pub struct Computation<'a, R: 'a> {
    /// `None` when it has ended.
    body: Option<Body<R>>,
    switch: NonNull<Switch>,
    pool: Arc<StackPool>,
    borrowed: PhantomData<&'a mut ()>,
}

// SAFETY: what is on the stack may move to another thread (see the module's documentation): the body and what it returns
// are `Send` by the bounds of `Store::on_own_stack`, frames of this runtime hold nothing that belongs to a thread while
// they wait, and futures that are waited for are `Send`. The switch is used by one thread at a time, whichever resumes.
unsafe impl<R: Send> Send for Computation<'_, R> {}

impl<T: Send> Store<T> {
    /// A computation that has the store to itself. It begins when it is resumed for the first time.
    ///
    /// # Errors
    ///
    /// There is no stack for it.
    pub fn on_own_stack<'a, R: Send + 'a>(
        &'a mut self,
        body: impl FnOnce(&'a mut Store<T>) -> R + Send + 'a,
    ) -> Result<Computation<'a, R>, StackError> {
        let pool = Arc::clone(&self.inner.config.stacks);
        let stack = pool.take()?;
        let switch = stack.switch();
        let inner: *mut StoreInner = &raw mut self.inner;
        let run = move |yielder: &Yielder<(), ()>, ()| {
            // SAFETY: the switch lives as long as the stack that this runs on; the store is borrowed for as long.
            unsafe { switch.as_ref().yielder.set(yielder) };
            let run = || {
                // SAFETY: as above.
                let entered = unsafe { Entered::new(inner, switch.as_ref()) };
                let result = body(self);
                drop(entered);
                result
            };
            catch_unwind(AssertUnwindSafe(run))
        };
        // SAFETY: the pointer is to this store's context.
        unsafe { switch.as_ref().begin(&raw mut (*inner).context) };
        // SAFETY: what `body` borrows outlives the computation, which ends, at the latest, when it is dropped; one that is
        // leaked keeps its stack and is never resumed.
        let body = unsafe { Coroutine::with_stack_unchecked(stack, run) };
        Ok(Computation { body: Some(body), switch, pool, borrowed: PhantomData })
    }
}

/// A store while its guest runs on a stack of its own.
struct Entered {
    store: *mut StoreInner,
    stack_limit: usize,
    own_stack: bool,
}

impl Entered {
    /// # Safety
    ///
    /// `store` must be alive, and not borrowed now or when the value is dropped.
    #[inline(never)]
    unsafe fn new(store: *mut StoreInner, switch: &Switch) -> Entered {
        let here = sys::stack_pointer();
        // SAFETY: by the caller's promise.
        let store_ref = unsafe { &mut *store };
        let stack_limit = here.saturating_sub(store_ref.config.stack_bytes_max);
        switch.outer_entry_fp.set(store_ref.context.entry_fp);
        Entered {
            store,
            stack_limit: std::mem::replace(&mut store_ref.context.stack_limit, stack_limit),
            own_stack: std::mem::replace(&mut store_ref.own_stack, true),
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // SAFETY: by the promise of `new`.
        let store = unsafe { &mut *self.store };
        store.context.stack_limit = self.stack_limit;
        store.own_stack = self.own_stack;
    }
}

impl<R> Computation<'_, R> {
    /// Goes on until the computation waits or ends. When it can go on after having waited, `waker` is told.
    ///
    /// # Panics
    ///
    /// When the body panics, with its panic; when it has ended before.
    pub fn resume(&mut self, waker: &Waker) -> Poll<R> {
        let body = self.body.as_mut().expect("the computation has not ended");
        let Some(ended) = switch_to(body, self.switch, waker) else { return Poll::Pending };
        if let Some(body) = self.body.take() {
            self.pool.give_back(body.into_stack());
        }
        Poll::Ready(ended.unwrap_or_else(|payload| resume_unwind(payload)))
    }
}

/// Runs a body until it waits (`None`) or ends.
fn switch_to<R>(body: &mut Body<R>, switch: NonNull<Switch>, waker: &Waker) -> Option<std::thread::Result<R>> {
    // SAFETY: the switch lives as long as the stack, which the body owns.
    let shared = unsafe { switch.as_ref() };
    shared.waker.set(waker);
    let outer_active = activation::exchange(shared.active.get());
    let outer = CURRENT.replace(switch.as_ptr());
    let outcome = body.resume(());
    CURRENT.set(outer);
    shared.active.set(activation::exchange(outer_active));
    shared.waker.set(std::ptr::null());
    match outcome {
        CoroutineResult::Yield(()) => None,
        CoroutineResult::Return(ended) => Some(ended),
    }
}

impl<R> Drop for Computation<'_, R> {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take() else { return };
        let mut ended = None;
        if body.started() {
            // SAFETY: as in `switch_to`.
            unsafe { self.switch.as_ref() }.abandoned.set(true);
            // Every wait fails now, so this ends. (If it did not, dropping the body would unwind its stack.)
            ended = switch_to(&mut body, self.switch, Waker::noop());
        } else {
            body.force_unwind();
        }
        if body.done() {
            self.pool.give_back(body.into_stack());
        }
        // A destructor panicked.
        if let Some(Err(payload)) = ended
            && !std::thread::panicking()
        {
            resume_unwind(payload);
        }
    }
}

impl<R> std::fmt::Debug for Computation<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Computation").field("ended", &self.body.is_none()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "suspend_tests.rs"]
mod tests;
