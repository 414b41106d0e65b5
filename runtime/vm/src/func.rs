//! Functions as values, and calls from the host.
//!
//! Invariant: a [`FuncHandle`] points to a `VmFuncRef` inside something that its store owns, so it stays valid as long as
//! the store.
//!
//! Does not know: parameter and result types; the caller lays out registers by `wattest_abi::CallShape`.

use crate::activation::{self, Active};
use crate::store::{StoreId, StoreInner, WrongStore};
use crate::sys;
use crate::sys::trampoline::{self, Registers};
use crate::trap::{self, CallFailure, Unwind};
use std::ptr::NonNull;
use wattest_abi::TrapCode;
use wattest_abi::vmctx::{VmFuncRef, VmStoreContext};

/// A function of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FuncHandle {
    pub(crate) store: StoreId,
    pub(crate) func_ref: NonNull<VmFuncRef>,
}

// SAFETY: a handle is only an address; it is dereferenced under a reference to its store.
unsafe impl Send for FuncHandle {}
// SAFETY: as above.
unsafe impl Sync for FuncHandle {}

impl FuncHandle {
    /// The raw reference, as compiled code sees it.
    pub fn to_raw(self) -> u64 {
        self.func_ref.as_ptr() as u64
    }

    /// The store that the function belongs to.
    pub fn store(self) -> StoreId {
        self.store
    }
}

/// Enters WebAssembly that may go on on another thread after a wait: what is active is not restored through an address
/// that was computed before.
#[inline(never)]
fn enter_movable(context: *mut VmStoreContext, enter: &mut dyn FnMut() -> u64) -> u64 {
    let previous = activation::exchange(context);
    let ended = enter();
    activation::exchange(previous);
    ended
}

impl StoreInner {
    /// The engine-wide type of `func`.
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    pub fn func_type_id(&self, func: FuncHandle) -> Result<u32, WrongStore> {
        self.check(func.store)?;
        // SAFETY: the handle is this store's, which keeps its target alive.
        Ok(unsafe { func.func_ref.as_ref() }.type_id)
    }

    /// The function behind a raw reference, if this store owns such a function. A raw value of any other origin is
    /// refused, so callers need not know where it came from.
    pub fn func_from_raw(&self, raw: u64) -> Option<FuncHandle> {
        let func_ref = NonNull::new(raw as usize as *mut VmFuncRef)?;
        let address = raw as usize;
        let owned = self.instances.iter().any(|instance| instance.owns_func_ref(address))
            || self.host_functions.iter().any(|entry| entry.func_ref_address() == address);
        owned.then_some(FuncHandle { store: self.id(), func_ref })
    }

    /// A handle for a reference that compiled code or this crate produced.
    pub(crate) fn func_handle(&self, func_ref: NonNull<VmFuncRef>) -> FuncHandle {
        FuncHandle { store: self.id(), func_ref }
    }

    /// Calls `func` with the parameters in `registers` and on `stack`; results are left in `registers`. The first two
    /// integer registers are filled in here. With `FLOATS` false no float register is passed or returned.
    ///
    /// # Errors
    ///
    /// `Ok(Err(_))` when the computation traps or a host function fails.
    ///
    /// # Panics
    ///
    /// Resumes the panic of a host function that panicked.
    ///
    /// # Safety
    ///
    /// Registers and stack words must be laid out by the `CallShape` of the function's own type, references among them
    /// must be this store's; the results pointer, if the shape has one, must point to enough room.
    #[inline(always)]
    pub unsafe fn call<const FLOATS: bool>(
        &mut self,
        func: FuncHandle,
        registers: &mut Registers,
        stack: &[u64],
    ) -> Result<Result<(), CallFailure>, WrongStore> {
        self.check(func.store)?;
        // SAFETY: the handle is this store's, which keeps its target alive.
        let target = unsafe { *func.func_ref.as_ptr() };
        registers.ints[0] = target.vmctx as u64;
        registers.ints[1] = self.host_vmctx() as u64;
        let context = &raw mut self.context;
        let here = sys::stack_pointer();
        if self.context.entry_fp == 0 {
            // The outermost entry decides how much stack there is; nested ones share it, those of other stores too.
            let own = here.saturating_sub(self.config.stack_bytes_max);
            self.context.stack_limit = own.max(activation::outer_stack_limit());
        }
        // Compiled code checks this for itself, but a host function may be the target, and host code may be on the way.
        if here < self.context.stack_limit {
            return Ok(Err(self.stack_overflow()));
        }
        // SAFETY: by the caller's promise; `target` is a function of this store.
        let mut enter =
            || unsafe { trampoline::enter::<FLOATS>(target.code, registers, context, stack.as_ptr(), stack.len()) };
        let ended = if self.own_stack {
            enter_movable(context, &mut enter)
        } else {
            let _active = Active::enter(context);
            enter()
        };
        if ended == 1 { Ok(Ok(())) } else { Ok(Err(self.take_failure())) }
    }

    #[cold]
    fn stack_overflow(&self) -> CallFailure {
        let frames = activation::walk(&self.context, None);
        CallFailure::Trap { code: TrapCode::StackOverflow, refused: None, frames: trap::resolve(&frames) }
    }

    #[cold]
    fn take_failure(&mut self) -> CallFailure {
        match self.pending.take() {
            Some(Unwind::Trap { code, refused, frames }) => {
                CallFailure::Trap { code, refused, frames: trap::resolve(&frames) }
            }
            Some(Unwind::Host { error, frames }) => CallFailure::Host { error, frames: trap::resolve(&frames) },
            Some(Unwind::Exception { exception, frames }) => {
                CallFailure::Exception { exception, frames: trap::resolve(&frames) }
            }
            Some(Unwind::Panic(payload)) => std::panic::resume_unwind(payload),
            None => unreachable!("an activation ended without a reason"),
        }
    }
}
