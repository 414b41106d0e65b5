//! The allocator of worker processes: blocks are kept for the next case.
//!
//! Cases are alike, and so are the sizes that they ask for. A thread that asks for it keeps the blocks that it frees, in one
//! list for each of some sixty sizes, instead of giving them back: an allocation is a removal from a list, and memory that
//! one case has touched serves the next one without page faults.
//!
//! Invariant: every block, kept or not, comes from the system's allocator with the layout of its size class, whatever
//! thread asks for it or frees it.
//!
//! Does not know: cases.
#![expect(unsafe_code, reason = "a global allocator hands out memory")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

/// Smallest size of a class, in bytes, and the alignment of all blocks.
const UNIT_BYTES: usize = 16;
/// Sizes between one power of two and the next.
const STEPS: usize = 4;
/// Powers of two, from [`UNIT_BYTES`] on, for which there are classes: up to seven eighths of a MiB.
const POWERS: usize = 16;
/// Number of classes.
const CLASSES: usize = STEPS * POWERS;

/// The allocator.
pub struct Recycler;

/// First words of kept blocks, by class; each block's first word is the next one.
struct Lists {
    is_kept: Cell<bool>,
    heads: [Cell<*mut u8>; CLASSES],
}

thread_local! {
    static LISTS: Lists =
        const { Lists { is_kept: Cell::new(false), heads: [const { Cell::new(ptr::null_mut()) }; CLASSES] } };
}

/// From now on this thread keeps the blocks that it frees, for itself. They are lost where it ends: for main threads.
pub fn keep_blocks() {
    LISTS.with(|lists| lists.is_kept.set(true));
}

/// The class of a layout: `None` where the system answers itself.
fn class_of(layout: &Layout) -> Option<usize> {
    if layout.align() > UNIT_BYTES {
        return None;
    }
    let units = layout.size().max(1).div_ceil(UNIT_BYTES);
    let power = units.ilog2() as usize;
    // Positions within a power: the sizes 4/4, 5/4, 6/4, 7/4 of it, rounded up.
    let (step, base) = (((units << 2) >> power) - STEPS, 1 << power);
    let exact = (base * (STEPS + step)).div_ceil(STEPS) >= units;
    let class = power * STEPS + step + usize::from(!exact);
    (class < CLASSES).then_some(class)
}

/// What the system is asked for, for a class.
fn layout_of(class: usize) -> Layout {
    let units = ((1 << (class / STEPS)) * (STEPS + class % STEPS)).div_ceil(STEPS);
    Layout::from_size_align(units * UNIT_BYTES, UNIT_BYTES).expect("small and aligned to a power of two")
}

// SAFETY: a block is handed out by the system or by `take`, which hands out what `give` was given: blocks of the class's
// layout, each once. Sizes are rounded up, never down.
unsafe impl GlobalAlloc for Recycler {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(&layout) else {
            // SAFETY: by the caller's promise.
            return unsafe { System.alloc(layout) };
        };
        match take(class) {
            Some(block) => block,
            // SAFETY: the layout of a class is not empty.
            None => unsafe { System.alloc(layout_of(class)) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = class_of(&layout) else {
            // SAFETY: by the caller's promise; such blocks come from the system as they are.
            return unsafe { System.dealloc(block, layout) };
        };
        // SAFETY: by the caller's promise, the block is of this class and nobody uses it any more.
        let is_kept = unsafe { give(class, block) };
        if !is_kept {
            // SAFETY: the block came from the system with the layout of its class.
            unsafe { System.dealloc(block, layout_of(class)) };
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(&layout) else {
            // SAFETY: by the caller's promise.
            return unsafe { System.alloc_zeroed(layout) };
        };
        match take(class) {
            Some(block) => {
                // SAFETY: the block has room for the layout.
                unsafe { block.write_bytes(0, layout.size()) };
                block
            }
            // SAFETY: the layout of a class is not empty.
            None => unsafe { System.alloc_zeroed(layout_of(class)) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return ptr::null_mut() };
        let (old, new) = (class_of(&layout), class_of(&wanted));
        if old.is_none() && new.is_none() {
            // SAFETY: by the caller's promise; the block came from the system as it is.
            return unsafe { System.realloc(block, layout, size) };
        }
        if old == new {
            return block;
        }
        // SAFETY: by the caller's promise; the new block is another one.
        unsafe {
            let moved = self.alloc(wanted);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

/// Takes a kept block of a class, if this thread has one.
fn take(class: usize) -> Option<*mut u8> {
    LISTS.with(|lists| {
        let head = lists.heads[class].get();
        if head.is_null() {
            return None;
        }
        // SAFETY: a kept block holds the next one in its first word.
        lists.heads[class].set(unsafe { head.cast::<*mut u8>().read() });
        Some(head)
    })
}

/// Keeps a block, if this thread does so.
///
/// # Safety
///
/// The block must have the layout of the class, and nobody may use it any more.
unsafe fn give(class: usize, block: *mut u8) -> bool {
    LISTS.with(|lists| {
        let is_kept = lists.is_kept.get();
        if is_kept {
            // SAFETY: the block is at least a word long and aligned for it, and it is ours now.
            unsafe { block.cast::<*mut u8>().write(lists.heads[class].get()) };
            lists.heads[class].set(block);
        }
        is_kept
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    #[test]
    fn classes_hold_what_they_are_asked_for() {
        let mut largest = 0;
        for size in 0..(3 << 20) {
            let Some(class) = class_of(&layout(size, 8)) else { continue };
            let given = layout_of(class).size();
            assert!(given >= size && given <= size.max(UNIT_BYTES) * 3 / 2 + UNIT_BYTES, "{size}: {given}");
            largest = size;
        }
        assert!(largest >= 900_000, "{largest}");
        assert_eq!(class_of(&layout(64, 32)), None);
    }

    #[test]
    fn classes_grow() {
        for class in 1..CLASSES {
            assert!(layout_of(class).size() >= layout_of(class - 1).size(), "{class}");
        }
    }

    #[test]
    fn a_kept_block_is_the_next_one() {
        // A thread of its own: others keep nothing.
        let thread = std::thread::spawn(|| {
            keep_blocks();
            let small = layout(100, 8);
            // SAFETY: blocks are used within their layouts, and freed once.
            unsafe {
                let first = Recycler.alloc(small);
                first.write_bytes(0xff, 100);
                Recycler.dealloc(first, small);
                let again = Recycler.alloc_zeroed(small);
                assert_eq!((again, again.add(99).read()), (first, 0));
                again.write_bytes(7, 100);
                let grown = Recycler.realloc(again, small, 5000);
                assert_eq!((grown.read(), grown.add(99).read()), (7, 7));
                let huge = Recycler.realloc(grown, layout(5000, 8), 4 << 20);
                assert_eq!(huge.add(99).read(), 7);
                Recycler.dealloc(huge, layout(4 << 20, 8));
            }
        });
        thread.join().expect("no panic");
    }
}
