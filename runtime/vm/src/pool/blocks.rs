//! Reused heap blocks.
//!
//! Blocks come in sizes of powers of two; a returned block is zeroed and kept for the next user of its size, up to a
//! bound. Large blocks always come fresh from the system, which delivers zeroed pages lazily.
//!
//! Invariant: every byte of a kept block is zero; kept bytes never exceed the bound.
//!
//! Does not know: tables, instance contexts.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

/// Alignment of every block, in bytes: a cache line, and enough for vectors.
const ALIGNMENT: usize = 64;
/// Base-two logarithm of the smallest block's bytes.
const SMALLEST_LOG2: u32 = 8;
/// Number of kept sizes: the largest is 64 KiB.
const SIZES: usize = 9;

/// Blocks to reuse.
#[derive(Debug)]
pub struct BlockPool {
    kept: Mutex<Kept>,
    kept_bytes_max: usize,
}

#[derive(Debug, Default)]
struct Kept {
    by_size: [Vec<Raw>; SIZES],
    bytes: usize,
}

/// An owned allocation.
#[derive(Debug)]
struct Raw {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: an owned allocation may move between threads.
unsafe impl Send for Raw {}
// SAFETY: `Raw` gives no access to its bytes by itself.
unsafe impl Sync for Raw {}

impl Raw {
    fn new(layout: Layout) -> Option<Raw> {
        // SAFETY: the layout's size is not zero.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Raw { base, layout })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout and owned.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

/// A zero-initialized block of memory. Returns to its pool when dropped.
#[derive(Debug)]
pub struct Block {
    raw: Option<Raw>,
    bytes: usize,
    pool: Option<Arc<BlockPool>>,
}

impl BlockPool {
    /// A pool that keeps at most `kept_bytes_max` bytes of returned blocks.
    pub fn new(kept_bytes_max: usize) -> Arc<BlockPool> {
        Arc::new(BlockPool { kept: Mutex::default(), kept_bytes_max })
    }

    /// A block of `bytes` zero bytes; `None` when there is no memory for it.
    pub fn acquire(self: &Arc<Self>, bytes: usize) -> Option<Block> {
        let Some(size) = size_index(bytes) else { return Block::new(bytes) };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let reused = kept.by_size[size].pop();
        if let Some(raw) = &reused {
            kept.bytes -= raw.layout.size();
        }
        drop(kept);
        let raw = match reused {
            Some(raw) => raw,
            None => Raw::new(Layout::from_size_align(1 << (SMALLEST_LOG2 + size as u32), ALIGNMENT).ok()?)?,
        };
        Some(Block { raw: Some(raw), bytes, pool: Some(self.clone()) })
    }

    fn put(&self, raw: Raw) {
        let Some(size) = size_index(raw.layout.size()) else { return };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + raw.layout.size() <= self.kept_bytes_max {
            kept.bytes += raw.layout.size();
            kept.by_size[size].push(raw);
        }
    }
}

/// The position of the smallest kept size that holds `bytes`.
fn size_index(bytes: usize) -> Option<usize> {
    let log2 = bytes.checked_next_power_of_two()?.trailing_zeros().max(SMALLEST_LOG2);
    let index = (log2 - SMALLEST_LOG2) as usize;
    (index < SIZES).then_some(index)
}

impl Block {
    /// A block of `bytes` zero bytes that belongs to no pool; `None` when there is no memory for it.
    pub fn new(bytes: usize) -> Option<Block> {
        let raw = Raw::new(Layout::from_size_align(bytes.max(1), ALIGNMENT).ok()?)?;
        Some(Block { raw: Some(raw), bytes, pool: None })
    }

    /// Address of the first byte, aligned to 64.
    pub fn base(&self) -> *mut u8 {
        self.raw.as_ref().expect("present until drop").base.as_ptr()
    }

    /// Bytes asked for.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let Some(pool) = self.pool.take() else { return };
        let raw = self.raw.take().expect("present until drop");
        // SAFETY: the block is owned, and at least `bytes` long.
        unsafe { raw.base.as_ptr().write_bytes(0, self.bytes) };
        pool.put(raw);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reused_blocks_are_zero() {
        let pool = BlockPool::new(1 << 20);
        for bytes in [1, 255, 256, 257, 4096, 65_536, 65_537, 200_000, 0, 300, 60_000] {
            let block = pool.acquire(bytes).unwrap();
            assert!((block.base() as usize).is_multiple_of(ALIGNMENT));
            // SAFETY: the block is ours and `bytes` long.
            let contents = unsafe { std::slice::from_raw_parts_mut(block.base(), bytes) };
            assert!(contents.iter().all(|byte| *byte == 0), "{bytes}");
            contents.fill(0xAA);
        }
        let kept = pool.kept.lock().unwrap();
        assert_eq!(kept.bytes, 256 + 512 + 4096 + 65_536);
    }

    #[test]
    fn the_bound_holds_and_absurd_sizes_fail() {
        let pool = BlockPool::new(600);
        drop([pool.acquire(256), pool.acquire(256), pool.acquire(256)]);
        assert_eq!(pool.kept.lock().unwrap().bytes, 512);
        assert!(pool.acquire(usize::MAX).is_none() && pool.acquire(isize::MAX as usize - 64).is_none());
    }
}
