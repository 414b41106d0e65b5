//! The growth of a shared memory
//! ([proposal](https://github.com/WebAssembly/threads/blob/main/proposals/threads/Overview.md#resizing)).
//!
//! Promises: growing is one step with respect to every other growth; whoever reads a length can access that many bytes; a
//! growth that the system refuses changes nothing.
//!
//! Invariant: the length is stored only under the lock, and only after the bytes below it became accessible.
//!
//! Does not know: mappings; what makes bytes accessible is the caller's.

// The model checker compiles this file a second time, with its own primitives in the place of these.
use super::sync::{AtomicUsize, Mutex};
use crate::sys::round_up_to_page;
use std::ops::Range;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// The right to grow one memory.
#[derive(Debug)]
pub(super) struct Growth {
    lock: Mutex<()>,
    page_bytes_log2: u8,
    bytes_max: u64,
}

impl Growth {
    /// Of a memory with pages of this size that never has more than `bytes_max` bytes.
    pub fn new(page_bytes_log2: u8, bytes_max: u64) -> Growth {
        Growth { lock: Mutex::new(()), page_bytes_log2, bytes_max }
    }

    /// Grows by `delta_pages` and returns the old size in pages; `None` beyond the maximum. `make_accessible` is asked for
    /// the host pages that the memory does not have yet.
    ///
    /// # Errors
    ///
    /// What `make_accessible` gave; the length is as before.
    pub fn grow<E>(
        &self,
        length: &AtomicUsize,
        delta_pages: u64,
        make_accessible: impl FnOnce(Range<usize>) -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        let _growing = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let old_length = length.load(Ordering::Relaxed);
        let old_pages = old_length as u64 >> self.page_bytes_log2;
        let new_length = old_pages
            .checked_add(delta_pages)
            .and_then(|pages| pages.checked_mul(1 << self.page_bytes_log2))
            .filter(|bytes| *bytes <= self.bytes_max);
        let Some(new_length) = new_length else { return Ok(None) };
        let (old_end, new_end) = (round_up_to_page(old_length), round_up_to_page(new_length as usize));
        let (Some(old_end), Some(new_end)) = (old_end, new_end) else { return Ok(None) };
        if new_end > old_end {
            make_accessible(old_end..new_end)?;
        }
        length.store(new_length as usize, Ordering::Release);
        Ok(Some(old_pages))
    }
}
