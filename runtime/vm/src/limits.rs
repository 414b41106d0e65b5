//! Limits on what a store may grow to.
//!
//! Invariant: every growth of a memory or table that a guest can cause, and every creation at instantiation, is asked for
//! here first.
//!
//! Does not know: how growth is done.

use crate::store::{EpochAnswer, Store, StoreInner};
use crate::trap::HostError;

/// Decides whether memories and tables may grow. The default grants everything.
pub trait ResourceLimiter: Send + Sync {
    /// Whether a memory may go from `current` to `desired` bytes; `maximum` is its declared maximum in bytes, if any.
    ///
    /// # Errors
    ///
    /// An error ends the computation instead of making `memory.grow` return -1.
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool, HostError> {
        let _ = (current, desired, maximum);
        Ok(true)
    }

    /// Whether a table may go from `current` to `desired` elements; `maximum` is its declared maximum, if any.
    ///
    /// # Errors
    ///
    /// An error ends the computation instead of making `table.grow` return -1.
    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool, HostError> {
        let _ = (current, desired, maximum);
        Ok(true)
    }

    /// Whether the heap of garbage-collected objects may go from `current` to `desired` bytes; `maximum` is what its
    /// reservation allows. While it collects, a heap needs up to twice that.
    ///
    /// # Errors
    ///
    /// An error ends the computation instead of making the allocation trap.
    fn heap_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool, HostError> {
        let _ = (current, desired, maximum);
        Ok(true)
    }

    /// Instances that the store may hold.
    fn instances_max(&self) -> usize {
        10_000
    }

    /// Memories that the store may hold.
    fn memories_max(&self) -> usize {
        10_000
    }

    /// Tables that the store may hold.
    fn tables_max(&self) -> usize {
        10_000
    }
}

/// Elements that a table may have, whatever its type and limiter say.
pub const TABLE_ELEMENTS_MAX: u64 = 10_000_000;

/// A growth to decide on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Growth {
    /// Bytes of a memory.
    Memory { current: usize, desired: usize, maximum: Option<usize> },
    /// Bytes of the heap of objects.
    Heap { current: usize, desired: usize, maximum: Option<usize> },
    /// Elements of a table.
    Table { current: usize, desired: usize, maximum: Option<usize> },
    /// New instances, memories and tables, in addition to what is there.
    Entities { instances: usize, memories: usize, tables: usize },
}

/// Functions that reach the embedder's data from code that does not know its type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hooks {
    grow: unsafe fn(*mut StoreInner, Growth) -> Result<bool, HostError>,
    epoch: unsafe fn(*mut StoreInner) -> Option<Result<EpochAnswer, HostError>>,
}

impl Hooks {
    /// The hooks of a `Store<T>`.
    pub fn of<T>() -> Hooks {
        Hooks { grow: grow::<T>, epoch: epoch::<T> }
    }
}

impl StoreInner {
    /// Whether `growth` is allowed.
    pub(crate) fn allows(&mut self, growth: Growth) -> Result<bool, HostError> {
        let hook = self.hooks.grow;
        // SAFETY: the hooks were made for the `Store<T>` that this `StoreInner` is the first field of, and every
        // `StoreInner` lives inside a boxed `Store<T>`.
        unsafe { hook(self.owner(), growth) }
    }

    /// What to do after the epoch deadline; `None` without a callback.
    pub(crate) fn ask_epoch(&mut self) -> Option<Result<EpochAnswer, HostError>> {
        let hook = self.hooks.epoch;
        // SAFETY: as in `allows`.
        unsafe { hook(self.owner()) }
    }

    /// The pointer through which hooks reach the whole store.
    fn owner(&mut self) -> *mut StoreInner {
        self.context.owner.cast()
    }
}

/// # Safety
///
/// `store` must point to the `StoreInner` of a live `Store<T>`.
unsafe fn grow<T>(store: *mut StoreInner, growth: Growth) -> Result<bool, HostError> {
    // SAFETY: by the caller's promise; `Store<T>` is `repr(C)` with its `StoreInner` first.
    let store = unsafe { &mut *store.cast::<Store<T>>() };
    let (has_instances, has_memories, has_tables) = store.inner.sizes();
    let answer = store.with_limiter(|limiter| match growth {
        Growth::Memory { current, desired, maximum } => limiter.memory_growing(current, desired, maximum),
        Growth::Heap { current, desired, maximum } => limiter.heap_growing(current, desired, maximum),
        Growth::Table { current, desired, maximum } => limiter.table_growing(current, desired, maximum),
        Growth::Entities { instances, memories, tables } => Ok(has_instances + instances <= limiter.instances_max()
            && has_memories + memories <= limiter.memories_max()
            && has_tables + tables <= limiter.tables_max()),
    });
    answer.unwrap_or(Ok(true))
}

/// # Safety
///
/// As [`grow`].
unsafe fn epoch<T>(store: *mut StoreInner) -> Option<Result<EpochAnswer, HostError>> {
    // SAFETY: by the caller's promise.
    let store = unsafe { &mut *store.cast::<Store<T>>() };
    store.ask_epoch_callback()
}
