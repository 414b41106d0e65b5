//! The pool of linear memories.
//!
//! One reservation holds all slots; each is large enough for the largest memory, and as far from the next as compiled
//! code without bounds checks may reach. A slot keeps its image and its accessible length between users, so that
//! handing it out for the same module again usually needs no system call, and taking it back needs one.
//!
//! Invariant: exactly `[0, accessible)` of a free slot is accessible; it reads as the image that the slot still maps,
//! and as zero elsewhere.
//!
//! Does not know: stores, instances.

use super::slots::{FreeSlots, Slot};
use crate::memory::{ImageRef, Layout, MemoryError};
use crate::sys::{MapError, Mapping, Protection, address_limit_bytes, round_up_to_page};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use wattest_abi::Tunables;
use wattest_module::MemoryType;

/// Slots of a [`MemoryPool::recycler`]: 64 GiB of address space by default.
const RECYCLED_SLOTS: u32 = 16;
/// Bytes that each of them keeps: writing them is cheaper than the faults on pages given back.
const RECYCLED_RESIDENT_BYTES: usize = 16 << 10;

/// Sizes of a memory pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolConfig {
    /// Memories at most in use at a time.
    pub slots: u32,
    /// Largest length of a memory, in bytes.
    pub memory_bytes_max: u64,
    /// Bytes at the start of each memory that are reset by writing instead of by giving their pages back. Applies to
    /// memories without a mapped image.
    pub keep_resident_bytes: usize,
}

/// Slots for linear memories.
#[derive(Debug)]
pub struct MemoryPool {
    config: PoolConfig,
    mapping: Mapping,
    /// Bytes from a slot to the next.
    stride: usize,
    /// Bytes of a slot that can be made accessible.
    capacity: usize,
    /// The reservation that memories in the pool have, guard excluded: memories that need more are refused.
    reservation: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: FreeSlots,
    /// What each used slot holds.
    residues: Vec<Residue>,
}

/// What the last user left in a slot.
#[derive(Clone, Debug, Default)]
struct Residue {
    accessible: usize,
    image: Option<MappedImage>,
    /// The last user could not be wiped out: the next one must do it, or not have the slot.
    dirty: bool,
}

/// An image that a slot maps.
#[derive(Clone, Debug)]
struct MappedImage {
    id: u64,
    range: Range<usize>,
}

/// A slot in use. Returns to the pool when dropped.
#[derive(Debug)]
pub struct PooledMemory {
    pool: Arc<MemoryPool>,
    slot: Slot,
    residue: Residue,
    /// Whether the slot's state is unknown after a failure, so that it must be replaced or given up.
    damaged: bool,
}

impl MemoryPool {
    /// Reserves the address space of a pool for modules compiled with `tunables`.
    pub fn new(config: PoolConfig, tunables: &Tunables) -> Result<Arc<MemoryPool>, MemoryError> {
        let limit_bytes = address_limit_bytes();
        let error = || MemoryError::TooLarge { pages: config.memory_bytes_max, page_bytes: 1, limit_bytes };
        let in_pages = |bytes: u64| usize::try_from(bytes).ok().and_then(round_up_to_page).ok_or_else(error);
        let capacity = in_pages(config.memory_bytes_max)?;
        // When 32-bit memories go unchecked, a slot takes their whole range, however small the memories are.
        let unchecked = !tunables.needs_explicit_bounds(32, wattest_abi::WASM_PAGE_BYTES);
        let reservation = if unchecked { capacity.max(in_pages(tunables.memory_reservation_bytes)?) } else { capacity };
        let stride = reservation.checked_add(in_pages(tunables.memory_guard_bytes)?).ok_or_else(error)?;
        let bytes = stride.checked_mul(config.slots as usize).ok_or_else(error)?;
        let mapping = Mapping::reserve(bytes)?;
        let state = Mutex::new(State { free: FreeSlots::new(config.slots), residues: Vec::new() });
        Ok(Arc::new(MemoryPool { config, mapping, stride, capacity, reservation, state }))
    }

    /// A small pool whose slots restrict no memory that does not move, for [`crate::memory::LinearMemory::recycled`]:
    /// an engine that makes memories on demand reuses the address space of the last ones, whose page tables stay.
    pub fn recycler(tunables: &Tunables) -> Result<Arc<MemoryPool>, MemoryError> {
        let memory_bytes_max = tunables.memory_reservation_bytes;
        MemoryPool::new(
            PoolConfig { slots: RECYCLED_SLOTS, memory_bytes_max, keep_resident_bytes: RECYCLED_RESIDENT_BYTES },
            tunables,
        )
    }

    /// Largest length of a memory, in bytes.
    pub fn memory_bytes_max(&self) -> u64 {
        self.config.memory_bytes_max
    }

    /// Takes a slot for a memory of type `ty`.
    pub(crate) fn acquire_for(
        self: &Arc<Self>,
        ty: &MemoryType,
        layout: &Layout,
        image: Option<&ImageRef>,
    ) -> Result<PooledMemory, MemoryError> {
        // Unchecked code relies on the reservation that it was compiled for.
        let unchecked_beyond = !layout.explicit && layout.capacity > self.reservation;
        let guard_beyond = layout.guard > self.stride - self.reservation;
        if layout.minimum as u64 > self.config.memory_bytes_max || unchecked_beyond || guard_beyond {
            let limit_bytes = self.config.memory_bytes_max;
            return Err(MemoryError::TooLarge { pages: ty.minimum, page_bytes: ty.page_bytes(), limit_bytes });
        }
        self.acquire(layout.minimum, image)
    }

    /// Takes a slot and makes `length` bytes of it accessible, with `image` in place. The caller has checked that both
    /// fit.
    fn acquire(self: &Arc<Self>, length: usize, image: Option<&ImageRef>) -> Result<PooledMemory, MemoryError> {
        let mut taken = self.take(image.filter(|image| image.is_mapped()).map(|image| image.id()))?;
        let end = round_up_to_page(length).expect("the length fits the slot");
        // On failure the slot is dropped here, and thereby replaced.
        taken.damaged = true;
        if taken.residue.dirty {
            taken.reset()?;
        }
        taken.prepare(end, image)?;
        taken.damaged = false;
        Ok(taken)
    }

    fn take(self: &Arc<Self>, image: Option<u64>) -> Result<PooledMemory, MemoryError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = state.free.take(image).ok_or(MemoryError::LimitReached { slots: self.config.slots })?;
        if state.residues.len() <= slot as usize {
            state.residues.resize(slot as usize + 1, Residue::default());
        }
        let residue = std::mem::take(&mut state.residues[slot as usize]);
        drop(state);
        Ok(PooledMemory { pool: self.clone(), slot, residue, damaged: false })
    }

    fn put(&self, slot: Slot, residue: Residue) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let image = residue.image.as_ref().map(|image| image.id);
        state.residues[slot as usize] = residue;
        state.free.put(slot, image);
    }
}

impl PooledMemory {
    /// Address of byte 0.
    pub fn base(&self) -> *mut u8 {
        self.pool.mapping.base().wrapping_add(self.start())
    }

    /// Bytes that the memory can have.
    pub fn capacity(&self) -> usize {
        self.pool.capacity
    }

    fn start(&self) -> usize {
        self.slot as usize * self.pool.stride
    }

    /// `range` of the slot as a range of the pool's mapping.
    fn place(&self, range: Range<usize>) -> Range<usize> {
        self.start() + range.start..self.start() + range.end
    }

    /// Makes everything up to `end`, a multiple of the host's page size, accessible.
    pub(crate) fn extend(&mut self, end: usize) -> Result<(), MapError> {
        assert!(end <= self.pool.capacity);
        if end > self.residue.accessible {
            self.pool.mapping.make_accessible(self.place(self.residue.accessible..end))?;
            self.residue.accessible = end;
        }
        Ok(())
    }

    /// Turns what the last user left into a memory of `end` bytes that starts with `image`.
    fn prepare(&mut self, end: usize, image: Option<&ImageRef>) -> Result<(), MapError> {
        let wanted = image.filter(|image| image.is_mapped()).map(|image| image.id());
        let mut kept = self.residue.image.as_ref().map(|image| image.id);
        if wattest_abi::mutant!(slot_image_of_former_module) && kept.is_some() && wanted.is_some() {
            kept = wanted;
        }
        let mapping = &self.pool.mapping;
        if kept != wanted
            && let Some(old) = self.residue.image.take()
        {
            // SAFETY: the slot has no user yet.
            unsafe { mapping.replace(self.place(old.range), Protection::ReadWrite)? };
        }
        if end < self.residue.accessible {
            // SAFETY: the slot has no user yet.
            unsafe { mapping.protect(self.place(end..self.residue.accessible), Protection::None)? };
            self.residue.accessible = end;
        }
        self.extend(end)?;
        if let Some(image) = image
            && (kept != wanted || !image.is_mapped())
        {
            // SAFETY: the slot has no user yet, and its first `end` bytes, in which the image lies, are accessible.
            unsafe { image.apply(&self.pool.mapping, self.start())? };
            self.residue.image = image.is_mapped().then(|| MappedImage { id: image.id(), range: image.range() });
        }
        Ok(())
    }

    /// Makes the slot fit for the next user.
    fn reset(&mut self) -> Result<(), MapError> {
        let accessible = self.residue.accessible;
        let mapping = &self.pool.mapping;
        if self.damaged {
            let all = self.place(0..self.pool.capacity);
            self.residue = Residue::default();
            // SAFETY: the slot's user is gone.
            return unsafe { self.pool.mapping.replace(all, Protection::None) };
        }
        let keep = self.pool.config.keep_resident_bytes.min(accessible) & !(crate::sys::page_bytes() - 1);
        let keep = if self.residue.image.is_some() { 0 } else { keep };
        if wattest_abi::mutant!(slot_keeps_bytes) {
            return Ok(());
        }
        // SAFETY: the slot's user is gone, and its first `accessible` bytes are writable.
        unsafe {
            self.base().write_bytes(0, keep);
            mapping.decommit(self.place(keep..accessible))
        }
    }
}

impl Drop for PooledMemory {
    fn drop(&mut self) {
        if self.reset().is_err() {
            self.damaged = true;
            if self.reset().is_err() {
                // The slot's contents cannot be trusted; the machine may have memory again when it is wanted next.
                self.residue.dirty = true;
            }
        }
        let residue = std::mem::take(&mut self.residue);
        self.pool.put(self.slot, residue);
    }
}

#[cfg(test)]
#[path = "memories_tests.rs"]
mod tests;
