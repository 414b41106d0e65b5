//! Builtins of exceptions.
//!
//! Invariant: as for all builtins (see the parent module).
//!
//! Does not know: how a landing pad is found.

use super::Calling;
use crate::sys::trampoline::Outcome;

pub(super) unsafe extern "C" fn throw_ref(vmctx: *mut u8, exception: u32) -> Outcome {
    // SAFETY: compiled code passes its own `vmctx`.
    let calling = unsafe { Calling::new(vmctx) };
    calling.store.throw(exception);
    Outcome { value: 0, go_on: 0 }
}
