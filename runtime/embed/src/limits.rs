//! Ready-made limits for stores.
//!
//! Invariant: a limit once reached refuses growth, it never shrinks what is there.
//!
//! Does not know: who asks; see [`ResourceLimiter`].

use crate::error::Error;
use wattest_abi::TrapCode;
use wattest_vm::HostError;
pub use wattest_vm::ResourceLimiter;

/// Fixed limits.
///
/// ```
/// use wattest::{Engine, Store, StoreLimits, StoreLimitsBuilder};
/// let limits = StoreLimitsBuilder::new().memory_bytes(1 << 20).instances(2).build();
/// let mut store = Store::new(&Engine::default(), limits);
/// store.limiter(|limits| limits);
/// ```
#[derive(Clone, Debug)]
pub struct StoreLimits {
    memory_bytes: Option<usize>,
    table_elements: Option<usize>,
    heap_bytes: Option<usize>,
    instances: usize,
    tables: usize,
    memories: usize,
    trap_on_grow_failure: bool,
}

impl Default for StoreLimits {
    fn default() -> StoreLimits {
        StoreLimits {
            memory_bytes: None,
            table_elements: None,
            heap_bytes: None,
            instances: 10_000,
            tables: 10_000,
            memories: 10_000,
            trap_on_grow_failure: false,
        }
    }
}

/// Builds [`StoreLimits`].
#[derive(Clone, Debug, Default)]
pub struct StoreLimitsBuilder(StoreLimits);

impl StoreLimitsBuilder {
    /// No limit but the numbers of entities.
    pub fn new() -> StoreLimitsBuilder {
        StoreLimitsBuilder::default()
    }

    /// Bytes of each memory.
    #[must_use]
    pub fn memory_bytes(mut self, limit: usize) -> StoreLimitsBuilder {
        self.0.memory_bytes = Some(limit);
        self
    }

    /// Elements of each table.
    #[must_use]
    pub fn table_elements(mut self, limit: usize) -> StoreLimitsBuilder {
        self.0.table_elements = Some(limit);
        self
    }

    /// Bytes of the heap of garbage-collected objects.
    #[must_use]
    pub fn heap_bytes(mut self, limit: usize) -> StoreLimitsBuilder {
        self.0.heap_bytes = Some(limit);
        self
    }

    /// Instances in the store.
    #[must_use]
    pub fn instances(mut self, limit: usize) -> StoreLimitsBuilder {
        self.0.instances = limit;
        self
    }

    /// Tables in the store.
    #[must_use]
    pub fn tables(mut self, limit: usize) -> StoreLimitsBuilder {
        self.0.tables = limit;
        self
    }

    /// Memories in the store.
    #[must_use]
    pub fn memories(mut self, limit: usize) -> StoreLimitsBuilder {
        self.0.memories = limit;
        self
    }

    /// Trap instead of returning -1 from `memory.grow` and `table.grow`.
    #[must_use]
    pub fn trap_on_grow_failure(mut self, trap: bool) -> StoreLimitsBuilder {
        self.0.trap_on_grow_failure = trap;
        self
    }

    /// The limits.
    pub fn build(self) -> StoreLimits {
        self.0
    }
}

impl StoreLimits {
    fn decide(&self, desired: usize, limit: Option<usize>) -> Result<bool, HostError> {
        let allowed = limit.is_none_or(|limit| desired <= limit);
        if !allowed && self.trap_on_grow_failure {
            let trap = crate::error::Trap::new(TrapCode::AllocationTooLarge);
            return Err(Box::new(Error::Trap(trap)));
        }
        Ok(allowed)
    }
}

impl ResourceLimiter for StoreLimits {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool, HostError> {
        self.decide(desired, self.memory_bytes)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool, HostError> {
        self.decide(desired, self.table_elements)
    }

    fn heap_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool, HostError> {
        self.decide(desired, self.heap_bytes)
    }

    fn instances_max(&self) -> usize {
        self.instances
    }

    fn tables_max(&self) -> usize {
        self.tables
    }

    fn memories_max(&self) -> usize {
        self.memories
    }
}
