//! Unshared linear memories.
//!
//! Promises: growth is atomic (on failure the memory is as it was), new bytes are zero
//! ([spec](https://webassembly.github.io/spec/core/exec/modules.html#growing-memories)).
//!
//! Invariant: exactly `[0, length rounded up to a host page)` of the storage is accessible.
//!
//! Does not know: which instances hold copies of its definition; after [`LinearMemory::grow`] the owner refreshes them.

use super::{ImageRef, Layout, MemoryError};
use crate::pool::{MemoryPool, PooledMemory};
use crate::sys::{MapError, Mapping, round_up_to_page};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use wattest_abi::Tunables;
use wattest_abi::vmctx::VmMemoryDefinition;
use wattest_module::MemoryType;

/// Where a memory's bytes lie.
#[derive(Debug)]
enum Storage {
    Own(Mapping),
    Pooled(PooledMemory),
}

/// A memory of one store.
#[derive(Debug)]
pub struct LinearMemory {
    ty: MemoryType,
    storage: Storage,
    length: usize,
    maximum: u64,
    capacity: usize,
    guard: usize,
    may_move: bool,
}

impl LinearMemory {
    /// A memory in a mapping of its own.
    pub fn new(ty: MemoryType, tunables: &Tunables, image: Option<&ImageRef>) -> Result<LinearMemory, MemoryError> {
        check_unshared(&ty)?;
        let layout = Layout::new(&ty, tunables)?;
        check_image(image, layout.minimum)?;
        let mapping = create(&layout, image)?;
        Ok(LinearMemory::assemble(ty, Storage::Own(mapping), &layout))
    }

    /// A memory in a slot of `pool`.
    pub fn pooled(
        pool: &Arc<MemoryPool>,
        ty: MemoryType,
        tunables: &Tunables,
        image: Option<&ImageRef>,
    ) -> Result<LinearMemory, MemoryError> {
        check_unshared(&ty)?;
        let mut layout = Layout::new(&ty, tunables)?;
        check_image(image, layout.minimum)?;
        let slot = pool.acquire_for(&ty, &layout, image)?;
        layout.capacity = slot.capacity();
        layout.maximum = layout.maximum.min(pool.memory_bytes_max());
        layout.may_move = false;
        Ok(LinearMemory::assemble(ty, Storage::Pooled(slot), &layout))
    }

    /// A memory in a slot of `pool` if one is free and does not restrict the memory's growth, else in a mapping of its
    /// own. With [`MemoryPool::recycler`], this is how memories are made on demand.
    pub fn recycled(
        pool: &Arc<MemoryPool>,
        ty: MemoryType,
        tunables: &Tunables,
        image: Option<&ImageRef>,
    ) -> Result<LinearMemory, MemoryError> {
        let layout = Layout::new(&ty, tunables)?;
        let grows_further = layout.may_move || layout.maximum.min(layout.capacity as u64) > pool.memory_bytes_max();
        if !grows_further {
            match LinearMemory::pooled(pool, ty, tunables, image) {
                Err(MemoryError::LimitReached { .. } | MemoryError::TooLarge { .. }) => {}
                result => return result,
            }
        }
        LinearMemory::new(ty, tunables, image)
    }

    fn assemble(ty: MemoryType, storage: Storage, layout: &Layout) -> LinearMemory {
        let Layout { minimum, maximum, capacity, guard, may_move, explicit: _ } = *layout;
        LinearMemory { ty, storage, length: minimum, maximum, capacity, guard, may_move }
    }

    /// The type it was made with.
    pub fn ty(&self) -> &MemoryType {
        &self.ty
    }

    /// Address of byte 0. Changes only in [`LinearMemory::grow`], and there only when
    /// [`Tunables::memory_may_move`] is set.
    pub fn base(&self) -> *mut u8 {
        match &self.storage {
            Storage::Own(mapping) => mapping.base(),
            Storage::Pooled(slot) => slot.base(),
        }
    }

    /// Length in bytes.
    pub fn len_bytes(&self) -> usize {
        self.length
    }

    /// Length in pages.
    pub fn pages(&self) -> u64 {
        self.length as u64 >> self.ty.page_bytes_log2
    }

    /// The largest length, in bytes, that growth can ever reach here.
    pub fn maximum_bytes(&self) -> u64 {
        if self.may_move { self.maximum } else { self.maximum.min(self.capacity as u64) }
    }

    /// Address space that belongs to the memory, guard included: a fault in it is the memory's.
    pub fn address_range(&self) -> std::ops::Range<usize> {
        let base = self.base() as usize;
        base..base + self.capacity + self.guard
    }

    /// What compiled code reads. Copies of it are valid until the next successful [`LinearMemory::grow`].
    pub fn definition(&self) -> VmMemoryDefinition {
        VmMemoryDefinition { base: self.base(), length: AtomicUsize::new(self.length) }
    }

    /// The contents.
    pub fn data(&self) -> &[u8] {
        // SAFETY: `[0, length)` is accessible and initialized; compiled code runs only while the store, which owns the
        // memory, is borrowed mutably.
        unsafe { std::slice::from_raw_parts(self.base(), self.length) }
    }

    /// The contents.
    pub fn data_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `data`, and `&mut self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.base(), self.length) }
    }

    /// Grows by `delta_pages` and returns the old size in pages; `None` when the type, the machine, the reservation or
    /// the pool do not allow the new size.
    ///
    /// # Errors
    ///
    /// The system refused; the memory is unchanged. A guest is answered -1.
    pub fn grow(&mut self, delta_pages: u64) -> Result<Option<u64>, MemoryError> {
        let old_pages = self.pages();
        let new_length = old_pages
            .checked_add(delta_pages)
            .and_then(|pages| pages.checked_mul(self.ty.page_bytes()))
            .filter(|bytes| *bytes <= self.maximum_bytes())
            .filter(|bytes| !wattest_abi::mutant!(growth_stops_before_maximum) || *bytes < self.maximum_bytes())
            .and_then(|bytes| usize::try_from(bytes).ok());
        let Some(new_length) = new_length else { return Ok(None) };
        let Some(new_end) = round_up_to_page(new_length) else { return Ok(None) };
        let old_end = round_up_to_page(self.length).expect("the length fits the capacity");
        if new_end > self.capacity {
            self.relocate(new_end)?;
        } else if new_end > old_end {
            match &mut self.storage {
                Storage::Own(mapping) => mapping.make_accessible(old_end..new_end)?,
                Storage::Pooled(slot) => slot.extend(new_end)?,
            }
        }
        let old_length = std::mem::replace(&mut self.length, new_length);
        if wattest_abi::mutant!(growth_keeps_old_bytes)
            && let Some(byte) = self.data_mut().get_mut(old_length)
        {
            *byte = 0xa5;
        }
        Ok(Some(old_pages))
    }

    /// Moves the memory to a mapping with room for `end` bytes and more, so that repeated growth copies each byte a
    /// constant number of times.
    fn relocate(&mut self, end: usize) -> Result<(), MapError> {
        let limit = usize::try_from(self.maximum).ok().and_then(round_up_to_page).unwrap_or(end);
        let capacity = end.max(end.saturating_add(end / 2).min(limit));
        let capacity = round_up_to_page(capacity).unwrap_or(end);
        let (mapping, capacity) = match capacity.checked_add(self.guard).map(Mapping::reserve) {
            Some(Ok(mapping)) => (mapping, capacity),
            // No room for headroom: try without.
            _ => (Mapping::reserve(end.saturating_add(self.guard))?, end),
        };
        mapping.make_accessible(0..end)?;
        // SAFETY: both ranges are accessible, the new mapping is distinct from the old one.
        unsafe { mapping.base().copy_from_nonoverlapping(self.base(), self.length) };
        self.storage = Storage::Own(mapping);
        self.capacity = capacity;
        Ok(())
    }
}

fn check_unshared(ty: &MemoryType) -> Result<(), MemoryError> {
    if ty.shared { Err(MemoryError::Sharing { shared: true }) } else { Ok(()) }
}

/// Checks that `image` lies within the first `length` bytes, rounded up to host pages for images in files.
pub(super) fn check_image(image: Option<&ImageRef>, length: usize) -> Result<(), MemoryError> {
    let Some(image) = image else { return Ok(()) };
    let limit = if image.is_mapped() { round_up_to_page(length).unwrap_or(length) } else { length };
    let end_bytes = image.covers().end;
    if end_bytes <= limit as u64 {
        Ok(())
    } else {
        Err(MemoryError::ImageOutOfBounds { end_bytes, length_bytes: length as u64 })
    }
}

/// A mapping laid out as `layout` says, with `image` in place. Uses as few system calls as the image allows.
pub(super) fn create(layout: &Layout, image: Option<&ImageRef>) -> Result<Mapping, MapError> {
    let mapping = Mapping::reserve(layout.total())?;
    let end = round_up_to_page(layout.minimum).expect("the minimum fits the capacity");
    // An image in a file brings its own protection: only what lies around it remains, in one call where possible.
    let mapped = image.filter(|image| image.is_mapped()).map(|image| image.range());
    match mapped {
        Some(range) if range.start == 0 => mapping.make_accessible(range.end..end)?,
        Some(range) if range.end == end => mapping.make_accessible(0..range.start)?,
        _ => mapping.make_accessible(0..end)?,
    }
    if let Some(image) = image {
        // SAFETY: the mapping is new, nobody refers to it, and a copied image's range has just been made accessible.
        unsafe { image.apply(&mapping, 0)? };
    }
    Ok(mapping)
}

#[cfg(test)]
#[path = "linear_tests.rs"]
mod tests;
