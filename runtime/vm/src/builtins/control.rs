//! Builtins of control: fuel, epochs, explicit traps.
//!
//! Invariant: as for all builtins (see the parent module).
//!
//! Does not know: how often compiled code polls.

use super::{Calling, guarded, returns};
use crate::sys::trampoline::Outcome;
use wattest_abi::TrapCode;

pub(super) unsafe extern "C" fn out_of_fuel(vmctx: *mut u8) -> Outcome {
    // SAFETY: compiled code passes its own `vmctx`.
    let mut calling = unsafe { Calling::new(vmctx) };
    let store = &mut *calling.store;
    if store.fuel_reserve > 0 {
        let refill = store.fuel_reserve.min(i64::MAX as u64);
        store.fuel_reserve -= refill;
        store.context.fuel -= refill as i64;
        return returns(0);
    }
    calling.trap(TrapCode::OutOfFuel)
}

pub(super) unsafe extern "C" fn new_epoch(vmctx: *mut u8) -> Outcome {
    let body = |calling: &mut Calling<'_>| match calling.store.ask_epoch() {
        None => calling.trap(TrapCode::Interrupted),
        Some(Ok(ticks)) => {
            calling.store.set_epoch_deadline(ticks);
            returns(calling.store.context.epoch_deadline)
        }
        Some(Err(error)) => calling.fail(error),
    };
    // SAFETY: compiled code passes its own `vmctx`.
    unsafe { guarded(vmctx, body) }
}

pub(super) unsafe extern "C" fn trap(vmctx: *mut u8, code: u32) -> Outcome {
    // SAFETY: compiled code passes its own `vmctx`.
    let mut calling = unsafe { Calling::new(vmctx) };
    let code = TrapCode::from_u8(code as u8).unwrap_or(TrapCode::Unreachable);
    calling.trap(code)
}
