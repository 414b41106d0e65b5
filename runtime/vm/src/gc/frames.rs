//! References in the frames of compiled code.
//!
//! Frames are walked by their frame pointers, from the trampoline through which each activation left to the one through
//! which it was entered; a call's return address has the distances of its references in the code's stack maps.
//!
//! Invariant: a compiled frame is only ever suspended at a call, whose return address identifies its map.
//!
//! Does not know: what the frames compute.

use crate::activation;
use crate::registry::{self, CodeInfo};
use std::sync::Arc;
use wattest_abi::vmctx::VmStoreContext;

/// Shows every reference in the frames of `context`'s activations to `visit`.
pub(super) fn visit(context: &VmStoreContext, visit: &mut impl FnMut(*mut u32)) {
    // Most frames of a stack belong to one module.
    let mut last: Option<Arc<CodeInfo>> = None;
    activation::for_each_frame(context, |return_address, fp| {
        // The call's own last byte lies in its code for certain; the return address may be one past the end.
        let call = return_address - 1;
        let offset = match last.as_ref().and_then(|code| code.text_offset(call)) {
            Some(offset) => offset,
            None => {
                let Some((code, offset)) = registry::lookup(call) else { return };
                last = Some(code);
                offset
            }
        };
        if let Some(code) = &last {
            code.references_at(offset + 1, |below_fp| visit((fp - below_fp as usize) as *mut u32));
        }
    });
}
