//! Linear memories ([spec](https://webassembly.github.io/spec/core/exec/runtime.html#memory-instances)).
//!
//! Invariant: [`Memory`] is one store's and its bytes are borrowed with the store; [`SharedMemory`] may be used by many
//! threads and its bytes are atomics.
//!
//! Does not know: where a memory is mapped.

use crate::context::{AsContext, AsContextMut, StoreContextMut};
use crate::engine::Engine;
use crate::error::{Error, MemoryFault, Result, UsageError};
use std::sync::atomic::AtomicU8;
use wattest_abi::TrapCode;
use wattest_module::MemoryType;
use wattest_vm::{MemoryGrowError, MemoryHandle};

/// A memory of one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Memory {
    pub(crate) handle: MemoryHandle,
}

const WRONG: UsageError = UsageError::WrongStore { what: "memory" };

/// An access outside a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an access of {len} bytes at {offset} is outside the memory")]
pub struct MemoryAccessError {
    /// First byte.
    pub offset: usize,
    /// Number of bytes.
    pub len: usize,
}

impl From<MemoryAccessError> for Error {
    fn from(_: MemoryAccessError) -> Error {
        MemoryFault.into()
    }
}

impl Memory {
    /// Makes a memory.
    ///
    /// # Errors
    ///
    /// The type is a shared memory's, or a limit is reached.
    ///
    /// ```
    /// use wattest::{Engine, Memory, MemoryType, Store};
    /// let mut store = Store::new(&Engine::default(), ());
    /// let ty = MemoryType { memory64: false, shared: false, minimum: 1, maximum: Some(2), page_bytes_log2: 16 };
    /// let memory = Memory::new(&mut store, ty)?;
    /// memory.write(&mut store, 8, b"hello")?;
    /// assert_eq!(&memory.data(&store)[8..13], b"hello");
    /// assert_eq!(memory.grow(&mut store, 1)?, 1);
    /// # Ok::<(), wattest::Error>(())
    /// ```
    pub fn new(mut store: impl AsContextMut, ty: MemoryType) -> Result<Memory> {
        check_type(&ty)?;
        if ty.shared {
            return Err(UsageError::Invalid("a shared memory is made by `SharedMemory::new`".to_owned()).into());
        }
        let made = store.as_context_mut().inner_mut().new_memory(ty);
        let handle = made.map_err(|error| Error::from(crate::instance::instantiate_error(error, &[])))?;
        Ok(Memory { handle })
    }

    /// The type, with the current size as minimum.
    ///
    /// # Errors
    ///
    /// The memory is another store's.
    pub fn ty(&self, store: impl AsContext) -> Result<MemoryType> {
        store.as_context().inner().memory_type(self.handle).map_err(|_| WRONG.into())
    }

    /// The bytes; empty for another store's memory.
    pub fn data<'a, T: 'static>(&self, store: impl Into<crate::context::StoreContext<'a, T>>) -> &'a [u8] {
        store.into().0.inner().memory_bytes(self.handle).unwrap_or(&[])
    }

    /// The bytes, to change; empty for another store's memory.
    pub fn data_mut<'a, T: 'static>(&self, store: impl Into<StoreContextMut<'a, T>>) -> &'a mut [u8] {
        store.into().0.inner_mut().memory_bytes_mut(self.handle).unwrap_or(&mut [])
    }

    /// The bytes and the embedder's data, both to change.
    pub fn data_and_store_mut<'a, T: 'static>(
        &self,
        store: impl Into<StoreContextMut<'a, T>>,
    ) -> (&'a mut [u8], &'a mut T) {
        let (inner, data) = store.into().0.parts_mut();
        (inner.memory_bytes_mut(self.handle).unwrap_or(&mut []), &mut data.data)
    }

    /// Copies bytes out.
    ///
    /// # Errors
    ///
    /// The range is outside the memory.
    pub fn read(&self, store: impl AsContext, offset: usize, buffer: &mut [u8]) -> Result<(), MemoryAccessError> {
        let store = store.as_context();
        let bytes = store.inner().memory_bytes(self.handle).unwrap_or(&[]);
        let error = MemoryAccessError { offset, len: buffer.len() };
        let end = offset.checked_add(buffer.len()).ok_or(error)?;
        buffer.copy_from_slice(bytes.get(offset..end).ok_or(error)?);
        Ok(())
    }

    /// Copies bytes in.
    ///
    /// # Errors
    ///
    /// The range is outside the memory.
    pub fn write(&self, mut store: impl AsContextMut, offset: usize, buffer: &[u8]) -> Result<(), MemoryAccessError> {
        let mut store = store.as_context_mut();
        let bytes = store.inner_mut().memory_bytes_mut(self.handle).unwrap_or(&mut []);
        let error = MemoryAccessError { offset, len: buffer.len() };
        let end = offset.checked_add(buffer.len()).ok_or(error)?;
        bytes.get_mut(offset..end).ok_or(error)?.copy_from_slice(buffer);
        Ok(())
    }

    /// Size in pages; 0 for another store's memory.
    pub fn size(&self, store: impl AsContext) -> u64 {
        store.as_context().inner().memory_type(self.handle).map_or(0, |ty| ty.minimum)
    }

    /// Size in bytes; 0 for another store's memory.
    pub fn data_size(&self, store: impl AsContext) -> usize {
        store.as_context().inner().memory_bytes(self.handle).map_or(0, <[u8]>::len)
    }

    /// Adds `delta` pages; returns the old size in pages.
    ///
    /// # Errors
    ///
    /// A limit is reached.
    pub fn grow(&self, mut store: impl AsContextMut, delta: u64) -> Result<u64> {
        match store.as_context_mut().inner_mut().grow_memory(self.handle, delta) {
            Ok(Ok(old)) => Ok(old),
            Ok(Err(MemoryGrowError::Refused)) => Err(Error::Limit(format!("the memory cannot grow by {delta} pages"))),
            Ok(Err(MemoryGrowError::Limiter(error))) => Err(crate::func::host_error(error, &[])),
            Err(_) => Err(WRONG.into()),
        }
    }
}

impl<'a, T: 'static> From<&'a mut crate::store::Store<T>> for StoreContextMut<'a, T> {
    fn from(store: &'a mut crate::store::Store<T>) -> Self {
        StoreContextMut(&mut store.vm)
    }
}

impl<'a, T: 'static> From<&'a mut crate::context::Caller<'_, T>> for StoreContextMut<'a, T> {
    fn from(caller: &'a mut crate::context::Caller<'_, T>) -> Self {
        StoreContextMut(caller.store.0)
    }
}

impl<'a, T: 'static> From<crate::context::Caller<'a, T>> for StoreContextMut<'a, T> {
    fn from(caller: crate::context::Caller<'a, T>) -> Self {
        caller.store
    }
}

impl<'a, T: 'static> From<&'a mut StoreContextMut<'_, T>> for StoreContextMut<'a, T> {
    fn from(store: &'a mut StoreContextMut<'_, T>) -> Self {
        StoreContextMut(store.0)
    }
}

fn check_type(ty: &MemoryType) -> Result<(), UsageError> {
    if ty.page_bytes_log2 != 0 && ty.page_bytes_log2 != 16 {
        return Err(UsageError::Invalid("a memory's page size is 1 or 65536 bytes".to_owned()));
    }
    let maximum = ty.maximum.unwrap_or(ty.pages_max());
    if ty.minimum > maximum || maximum > ty.pages_max() {
        return Err(UsageError::Invalid("a memory's limits contradict each other or its address width".to_owned()));
    }
    Ok(())
}

/// A memory that several threads may use.
#[derive(Clone)]
pub struct SharedMemory {
    pub(crate) inner: wattest_vm::SharedMemory,
}

impl SharedMemory {
    /// Makes a shared memory.
    ///
    /// # Errors
    ///
    /// The type is not a shared memory's with a maximum, or the machine has no room.
    ///
    /// ```
    /// use wattest::{Engine, MemoryType, SharedMemory};
    /// let ty = MemoryType { memory64: false, shared: true, minimum: 1, maximum: Some(4), page_bytes_log2: 16 };
    /// let memory = SharedMemory::new(&Engine::default(), ty)?;
    /// assert_eq!(memory.atomic_notify(0, 1)?, 0);
    /// # Ok::<(), wattest::Error>(())
    /// ```
    pub fn new(engine: &Engine, ty: MemoryType) -> Result<SharedMemory> {
        check_type(&ty)?;
        if !ty.shared || ty.maximum.is_none() {
            return Err(UsageError::Invalid("a shared memory's type is shared and has a maximum".to_owned()).into());
        }
        let made = wattest_vm::SharedMemory::new(ty, engine.tunables(), None);
        Ok(SharedMemory { inner: made.map_err(|error| Error::Limit(error.to_string()))? })
    }

    /// The type, with the current size as minimum.
    pub fn ty(&self) -> MemoryType {
        MemoryType { minimum: self.inner.pages(), ..*self.inner.ty() }
    }

    /// Size in pages.
    pub fn size(&self) -> u64 {
        self.inner.pages()
    }

    /// The bytes.
    pub fn data(&self) -> &[AtomicU8] {
        self.inner.data()
    }

    /// Adds `delta` pages; returns the old size in pages.
    ///
    /// # Errors
    ///
    /// Beyond the maximum.
    pub fn grow(&self, delta: u64) -> Result<u64> {
        let grown = self.inner.grow(delta).map_err(|error| Error::Limit(error.to_string()))?;
        grown.ok_or_else(|| Error::Limit(format!("the memory cannot grow by {delta} pages")))
    }

    /// Wakes up to `count` waiters at byte `address`; returns how many.
    ///
    /// # Errors
    ///
    /// Unaligned or outside the memory.
    pub fn atomic_notify(&self, address: u64, count: u32) -> Result<u32> {
        self.inner.notify(address, count).map_err(trap)
    }

    /// Waits at byte `address` while it holds `expected`; a negative timeout is infinite.
    /// Returns 0 when woken, 1 when the value differs, 2 on timeout.
    ///
    /// # Errors
    ///
    /// Unaligned or outside the memory.
    pub fn atomic_wait32(&self, address: u64, expected: u32, timeout_ns: i64) -> Result<u32> {
        self.inner.wait32(address, expected, timeout_ns).map(|outcome| outcome as u32).map_err(trap)
    }

    /// As [`SharedMemory::atomic_wait32`], for eight bytes.
    ///
    /// # Errors
    ///
    /// Unaligned or outside the memory.
    pub fn atomic_wait64(&self, address: u64, expected: u64, timeout_ns: i64) -> Result<u32> {
        self.inner.wait64(address, expected, timeout_ns).map(|outcome| outcome as u32).map_err(trap)
    }
}

fn trap(code: TrapCode) -> Error {
    Error::Trap(crate::error::Trap::new(code))
}

impl std::fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedMemory").field("ty", &self.ty()).finish_non_exhaustive()
    }
}
