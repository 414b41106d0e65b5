//! Builtins of control: fuel, epochs, explicit traps.
//!
//! Invariant: as for all builtins (see the parent module).
//!
//! Does not know: how often compiled code polls.

use super::{Calling, guarded, returns};
use crate::store::EpochAnswer;
use crate::suspend;
use crate::sys::trampoline::Outcome;
use wattest_abi::TrapCode;

pub(super) unsafe extern "C" fn out_of_fuel(vmctx: *mut u8) -> Outcome {
    let body = |calling: &mut Calling<'_>| {
        let store = &mut *calling.store;
        let owed = store.context.fuel.max(0).unsigned_abs();
        if store.fuel_reserve <= owed {
            return calling.trap(TrapCode::OutOfFuel);
        }
        // What is owed is paid at once, however small a portion is.
        let refill = store.fuel_reserve.min(store.fuel_portion().saturating_add(owed));
        store.fuel_reserve -= refill;
        store.context.fuel = -((refill - owed) as i64);
        if store.fuel_slice > 0 { let_others_run(calling, 0) } else { returns(0) }
    };
    // SAFETY: compiled code passes its own `vmctx`.
    unsafe { guarded(vmctx, body) }
}

/// Goes on with `value` after whoever else wants to run.
fn let_others_run(calling: &mut Calling<'_>, value: u64) -> Outcome {
    match suspend::yield_now() {
        Ok(()) => returns(value),
        Err(error) => calling.fail(Box::new(error)),
    }
}

/// Does what the store wants when the epoch's deadline has been reached.
fn answer_epoch(calling: &mut Calling<'_>) -> Outcome {
    match calling.store.ask_epoch() {
        None => calling.trap(TrapCode::Interrupted),
        Some(Ok(answer)) => {
            let yielded = match answer {
                EpochAnswer::Continue(_) => Ok(()),
                EpochAnswer::Yield(_) => suspend::yield_now(),
            };
            let (EpochAnswer::Continue(ticks) | EpochAnswer::Yield(ticks)) = answer;
            // Counted from when it goes on.
            calling.store.set_epoch_deadline(ticks);
            match yielded {
                Ok(()) => returns(calling.store.context.epoch_deadline),
                Err(error) => calling.fail(Box::new(error)),
            }
        }
        Some(Err(error)) => calling.fail(error),
    }
}

pub(super) unsafe extern "C" fn new_epoch(vmctx: *mut u8) -> Outcome {
    let body = |calling: &mut Calling<'_>| {
        calling.store.sample();
        answer_epoch(calling)
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
