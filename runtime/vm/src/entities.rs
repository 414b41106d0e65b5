//! Memories and globals as entries of a store.
//!
//! Invariant: an entry's definition pointer points to the structure that compiled code reads: inside the `vmctx` of the
//! defining instance, inside the entry's own box for what the host made, or inside a shared memory. It is refreshed
//! whenever the entity changes.
//!
//! Does not know: instances.

use crate::limits::Growth;
use crate::memory::{LinearMemory, SharedMemory};
use crate::store::{MemoryHandle, StoreId, StoreInner, WrongStore};
use crate::trap::HostError;
use crate::value::Raw;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use wattest_abi::vmctx::VmMemoryDefinition;
use wattest_module::{GlobalType, MemoryType};

/// The bytes of a memory.
pub(crate) enum MemoryBytes {
    Own(LinearMemory),
    Shared(SharedMemory),
}

/// A memory of a store.
pub(crate) struct MemoryEntry {
    pub ty: MemoryType,
    pub bytes: MemoryBytes,
    pub definition: NonNull<VmMemoryDefinition>,
    /// Keeps the definition of a memory that no instance defines.
    _own_definition: Option<Box<VmMemoryDefinition>>,
}

/// Why a memory did not grow.
#[derive(Debug)]
pub enum MemoryGrowError {
    /// Beyond its maximum, its reservation, the store's limits or the machine.
    Refused,
    /// The limiter failed.
    Limiter(HostError),
}

impl MemoryEntry {
    /// An entry for a memory that an instance defines; `definition` lies in its `vmctx`.
    pub fn in_instance(ty: MemoryType, memory: LinearMemory, definition: NonNull<VmMemoryDefinition>) -> MemoryEntry {
        let mut entry = MemoryEntry { ty, bytes: MemoryBytes::Own(memory), definition, _own_definition: None };
        entry.refresh();
        entry
    }

    /// An entry for a memory that the host made.
    pub fn of_host(ty: MemoryType, memory: LinearMemory) -> MemoryEntry {
        let mut own = Box::new(VmMemoryDefinition { base: std::ptr::null_mut(), length: AtomicUsize::new(0) });
        let definition = NonNull::from(&mut *own);
        let mut entry = MemoryEntry { ty, bytes: MemoryBytes::Own(memory), definition, _own_definition: Some(own) };
        entry.refresh();
        entry
    }

    /// An entry for a shared memory.
    pub fn shared(memory: SharedMemory) -> MemoryEntry {
        let definition = NonNull::from(memory.definition_ref());
        MemoryEntry { ty: *memory.ty(), bytes: MemoryBytes::Shared(memory), definition, _own_definition: None }
    }

    /// Accessible bytes.
    pub fn len_bytes(&self) -> usize {
        match &self.bytes {
            MemoryBytes::Own(memory) => memory.len_bytes(),
            MemoryBytes::Shared(memory) => memory.len_bytes(),
        }
    }

    /// Address of byte 0.
    pub fn base(&self) -> *mut u8 {
        match &self.bytes {
            MemoryBytes::Own(memory) => memory.base(),
            MemoryBytes::Shared(memory) => memory.base(),
        }
    }

    /// Addresses that accesses of the memory may compute, from byte 0 on.
    pub fn reservation(&self) -> std::ops::Range<usize> {
        match &self.bytes {
            MemoryBytes::Own(memory) => memory.address_range(),
            MemoryBytes::Shared(memory) => memory.address_range(),
        }
    }

    /// Tells compiled code where the memory is now.
    fn refresh(&mut self) {
        if let MemoryBytes::Own(memory) = &self.bytes {
            let (base, length) = (memory.base(), memory.len_bytes());
            // SAFETY: the definition outlives the entry and no compiled code runs while the store is borrowed.
            unsafe {
                let definition = self.definition.as_mut();
                definition.base = base;
                definition.length.store(length, Ordering::Relaxed);
            }
        }
    }

    /// The address of `len` bytes at `offset`, if they are within the memory.
    pub fn range(&self, offset: u64, len: u64) -> Option<*mut u8> {
        let end = offset.checked_add(len)?;
        if end > self.len_bytes() as u64 {
            return None;
        }
        // SAFETY: within the memory, or one past its end when `len` is 0.
        Some(unsafe { self.base().add(offset as usize) })
    }
}

impl StoreInner {
    pub(crate) fn add_memory(&mut self, entry: MemoryEntry) -> MemoryHandle {
        self.memories.push(entry);
        MemoryHandle { store: self.id(), index: self.memories.len() as u32 - 1 }
    }

    /// Makes a memory for the host.
    ///
    /// # Errors
    ///
    /// A limit of the store or the machine.
    pub fn new_memory(&mut self, ty: MemoryType) -> Result<MemoryHandle, crate::instance::InstantiateError> {
        self.ask(Growth::Entities { instances: 0, memories: 1, tables: 0 })?;
        self.allow_new_memory(&ty)?;
        let memory = LinearMemory::new(ty, &self.config.tunables, None)?;
        Ok(self.add_memory(MemoryEntry::of_host(ty, memory)))
    }

    /// Makes a shared memory known to the store.
    pub fn add_shared_memory(&mut self, memory: SharedMemory) -> MemoryHandle {
        self.add_memory(MemoryEntry::shared(memory))
    }

    /// The entry of a memory.
    pub(crate) fn memory(&self, handle: MemoryHandle) -> Result<&MemoryEntry, WrongStore> {
        self.check(handle.store)?;
        Ok(&self.memories[handle.index as usize])
    }

    /// A memory's type, with its current size as minimum.
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    pub fn memory_type(&self, handle: MemoryHandle) -> Result<MemoryType, WrongStore> {
        let entry = self.memory(handle)?;
        let minimum = entry.len_bytes() as u64 >> entry.ty.page_bytes_log2;
        Ok(MemoryType { minimum, ..entry.ty })
    }

    /// The shared memory behind a handle, if it is one.
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    pub fn as_shared_memory(&self, handle: MemoryHandle) -> Result<Option<&SharedMemory>, WrongStore> {
        Ok(match &self.memory(handle)?.bytes {
            MemoryBytes::Shared(memory) => Some(memory),
            MemoryBytes::Own(_) => None,
        })
    }

    /// The bytes of a memory; empty for a shared memory, whose bytes other threads may be changing.
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    pub fn memory_bytes(&self, handle: MemoryHandle) -> Result<&[u8], WrongStore> {
        let entry = self.memory(handle)?;
        match &entry.bytes {
            // SAFETY: the bytes are accessible, and only compiled code of this borrowed store could change them.
            MemoryBytes::Own(memory) => Ok(unsafe { std::slice::from_raw_parts(memory.base(), memory.len_bytes()) }),
            MemoryBytes::Shared(_) => Ok(&[]),
        }
    }

    /// The bytes of a memory, to change; empty for a shared memory.
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    pub fn memory_bytes_mut(&mut self, handle: MemoryHandle) -> Result<&mut [u8], WrongStore> {
        let entry = self.memory(handle)?;
        match &entry.bytes {
            MemoryBytes::Own(memory) => {
                // SAFETY: as in `memory_bytes`, and the store is borrowed mutably.
                Ok(unsafe { std::slice::from_raw_parts_mut(memory.base(), memory.len_bytes()) })
            }
            MemoryBytes::Shared(_) => Ok(&mut []),
        }
    }

    /// Grows a memory by `delta` pages; returns its old size in pages.
    ///
    /// # Errors
    ///
    /// [`MemoryGrowError`]; the memory is unchanged.
    pub fn grow_memory(
        &mut self,
        handle: MemoryHandle,
        delta: u64,
    ) -> Result<Result<u64, MemoryGrowError>, WrongStore> {
        self.check(handle.store)?;
        Ok(self.grow_memory_at(handle.index as usize, delta))
    }

    pub(crate) fn grow_memory_at(&mut self, index: usize, delta: u64) -> Result<u64, MemoryGrowError> {
        let entry = &self.memories[index];
        let ty = entry.ty;
        let current = entry.len_bytes();
        let old_pages = current as u64 >> ty.page_bytes_log2;
        let maximum = ty.maximum.unwrap_or(u64::MAX).min(ty.pages_max());
        let pages = old_pages.checked_add(delta).filter(|pages| *pages <= maximum).ok_or(MemoryGrowError::Refused)?;
        let desired = pages
            .checked_shl(u32::from(ty.page_bytes_log2))
            .filter(|bytes| bytes >> ty.page_bytes_log2 == pages)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or(MemoryGrowError::Refused)?;
        let maximum_bytes = ty.maximum.map(|pages| usize::try_from(pages << ty.page_bytes_log2).unwrap_or(usize::MAX));
        match self.allows(Growth::Memory { current, desired, maximum: maximum_bytes }) {
            Ok(true) => {}
            Ok(false) => return Err(MemoryGrowError::Refused),
            Err(error) => return Err(MemoryGrowError::Limiter(error)),
        }
        let entry = &mut self.memories[index];
        let grown = match &mut entry.bytes {
            MemoryBytes::Own(memory) => memory.grow(delta),
            MemoryBytes::Shared(memory) => memory.grow(delta),
        };
        let old = grown.ok().flatten().ok_or(MemoryGrowError::Refused)?;
        entry.refresh();
        Ok(old)
    }
}

/// A global that the host made.
#[repr(C, align(16))]
pub(crate) struct GlobalSlot {
    pub bits: u128,
    /// Whether the collector has to look at it.
    pub is_reference: bool,
}

/// A global of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GlobalHandle {
    pub(crate) store: StoreId,
    pub(crate) slot: NonNull<u128>,
    pub(crate) ty: GlobalType,
}

// SAFETY: a handle is only an address; it is dereferenced under a reference to its store.
unsafe impl Send for GlobalHandle {}
// SAFETY: as above.
unsafe impl Sync for GlobalHandle {}

impl GlobalHandle {
    /// The global's type.
    pub fn ty(&self) -> GlobalType {
        self.ty
    }
}

impl StoreInner {
    /// Makes a global for the host. `None` when the value's kind is not the type's.
    ///
    /// # Errors
    ///
    /// [`WrongStore`] for a reference of another store.
    pub fn new_global(&mut self, ty: GlobalType, value: Raw) -> Result<Option<GlobalHandle>, WrongStore> {
        value.check(self)?;
        if value.kind() != ty.content.kind() {
            return Ok(None);
        }
        let is_reference = matches!(value, Raw::Ref(_));
        self.globals.push(Box::new(GlobalSlot { bits: value.to_bits(), is_reference }));
        let slot = self.globals.last_mut().map(|slot| NonNull::from(&mut slot.bits));
        Ok(slot.map(|slot| GlobalHandle { store: self.id(), slot, ty }))
    }

    /// A global's value.
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    pub fn global(&self, handle: GlobalHandle) -> Result<Raw, WrongStore> {
        self.check(handle.store)?;
        // SAFETY: the handle is this store's, whose globals stay where they are.
        let bits = unsafe { handle.slot.read() };
        Ok(Raw::from_bits(handle.ty.content.kind(), bits, self))
    }

    /// Sets a global, mutable or not, to a value whose kind is the type's; returns false for another kind.
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    pub fn set_global(&mut self, handle: GlobalHandle, value: Raw) -> Result<bool, WrongStore> {
        self.check(handle.store)?;
        value.check(self)?;
        if value.kind() != handle.ty.content.kind() {
            return Ok(false);
        }
        // SAFETY: as in `global`, and the store is borrowed mutably.
        unsafe { handle.slot.write(value.to_bits()) };
        Ok(true)
    }
}
