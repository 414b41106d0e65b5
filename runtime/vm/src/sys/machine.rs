//! Facts about the machine: page size, memory size, instruction cache.
//!
//! Invariant: every answer is constant for the life of the process.
//!
//! Does not know: who asks.

use std::sync::OnceLock;

/// Bytes of a page of the host, a power of two.
pub fn page_bytes() -> usize {
    rustix::param::page_size()
}

/// `bytes` rounded up to whole host pages; `None` when that overflows.
pub fn round_up_to_page(bytes: usize) -> Option<usize> {
    bytes.checked_next_multiple_of(page_bytes())
}

/// The most bytes that a single memory may have: what the machine could ever hold, but never less than the whole range
/// of a 32-bit memory, whose untouched pages cost nothing.
pub fn address_limit_bytes() -> u64 {
    static LIMIT: OnceLock<u64> = OnceLock::new();
    *LIMIT.get_or_init(|| physical_bytes().max(1 << 32))
}

/// Bytes of random-access memory; 0 when the system does not say. (Swap is left out: a guest that needs it is too
/// large.)
fn physical_bytes() -> u64 {
    // SAFETY: `sysconf` reads a constant and touches no memory of ours.
    let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
    u64::try_from(pages).unwrap_or(0).saturating_mul(page_bytes() as u64)
}

/// The address to which the stack of this thread has grown. The address of a local variable does not say: where
/// AddressSanitizer looks for uses after return, locals lie in a stack of its own, elsewhere.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let here: usize;
    // SAFETY: a register is read, nothing else.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        std::arch::asm!("mov {}, rsp", out(reg) here, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "aarch64")]
        std::arch::asm!("mov {}, sp", out(reg) here, options(nomem, nostack, preserves_flags));
    }
    here
}

/// Makes freshly written machine code visible to instruction fetch.
#[cfg(target_arch = "x86_64")]
pub(crate) fn sync_instruction_cache(_base: *mut u8, _bytes: usize) {
    // Instruction fetch is coherent with stores, and the system call that makes the code executable serializes.
}

/// Makes freshly written machine code visible to instruction fetch.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn sync_instruction_cache(base: *mut u8, bytes: usize) {
    unsafe extern "C" {
        fn __clear_cache(start: *mut libc::c_void, end: *mut libc::c_void);
    }
    // SAFETY: the range is mapped memory of the caller; the routine only writes cache lines back.
    unsafe { __clear_cache(base.cast(), base.add(bytes).cast()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How far a caller's stack pointer lies above this one's.
    #[inline(never)]
    fn below(caller: usize) -> usize {
        caller - stack_pointer()
    }

    #[test]
    fn the_stack_grows_downwards_in_small_steps() {
        assert!((1..1 << 16).contains(&below(stack_pointer())));
    }
}
