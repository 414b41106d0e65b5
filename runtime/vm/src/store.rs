//! The store: owner of all instances, memories, tables, globals and host functions
//! ([spec](https://webassembly.github.io/spec/core/exec/runtime.html#store)).
//!
//! [`Store<T>`] adds the embedder's data to [`StoreInner`], which knows nothing of it. Everything a store owns lives at a
//! stable address until the store is dropped, so handles are addresses tagged with the store's identity.
//!
//! Invariant: a handle is dereferenced only after its store identity has been compared with the store at hand.
//!
//! Does not know: linking by name, compilation.

use crate::entities::GlobalSlot;
use crate::entities::MemoryEntry;
use crate::gc::{ConstValue, Heap, HeapConfig, HostValues, RootTable};
use crate::host::HostFunctionEntry;
use crate::instance::Instance;
use crate::limits::{Hooks, ResourceLimiter};
use crate::pool::{MemoryPool, StackPool};
use crate::table::TableEntry;
use crate::trap::{HostError, Refused, Unwind};
use std::any::Any;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wattest_abi::vmctx::{MAGIC_HOST, VmHeader, VmStoreContext};

/// A store's identity: unique in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(u64);

static NEXT_STORE: AtomicU64 = AtomicU64::new(1);

/// An instance of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceId(pub(crate) u32);

/// A memory of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryHandle {
    pub(crate) store: StoreId,
    pub(crate) index: u32,
}

/// A table of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableHandle {
    pub(crate) store: StoreId,
    pub(crate) index: u32,
}

/// The store whose handle was used is not the one at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a handle of one store was used with another store")]
pub struct WrongStore;

/// Where a store's memories come from.
#[derive(Clone, Debug)]
pub enum MemorySource {
    /// A mapping of its own for each.
    Mapped,
    /// A slot of the pool; none beyond it.
    Pool(Arc<MemoryPool>),
    /// A slot of the pool as long as there are free ones, then mappings of their own.
    Recycled(Arc<MemoryPool>),
}

/// What a store takes from its engine.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Bytes of native stack that WebAssembly may use.
    pub stack_bytes_max: usize,
    /// Where memories come from.
    pub memories: MemorySource,
    /// The tunables that modules were compiled with.
    pub tunables: Arc<wattest_abi::Tunables>,
    /// The engine's epoch.
    pub epoch: Arc<AtomicU64>,
    /// The engine's types.
    pub types: Arc<crate::types::TypeRegistry>,
    /// How objects are collected.
    pub heap: HeapConfig,
    /// Stacks for computations of their own.
    pub stacks: Arc<StackPool>,
}

/// The `vmctx` that stands for the host when it calls a host function: a header with its instance number before it.
#[repr(C, align(16))]
pub(crate) struct HostContext {
    reserved: u64,
    /// `u64::MAX`: no instance.
    instance: u64,
    pub header: VmHeader,
}

/// Everything of a store but the embedder's data.
#[repr(C)]
pub struct StoreInner {
    // First, so that compiled code's pointer to it is a pointer to the whole.
    pub(crate) context: VmStoreContext,
    pub(crate) host_context: HostContext,
    id: StoreId,
    pub(crate) config: StoreConfig,
    pub(crate) hooks: Hooks,
    pub(crate) pending: Option<Unwind>,
    /// What a builtin refused to access: the trap that follows at once takes it.
    pub(crate) refused: Option<Refused>,
    /// Samples that are being taken.
    pub(crate) recording: Option<crate::samples::Recording>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) memories: Vec<MemoryEntry>,
    pub(crate) tables: Vec<TableEntry>,
    // Boxed, because compiled code and handles point to them.
    #[expect(clippy::vec_box, reason = "the contents must stay where they are")]
    pub(crate) globals: Vec<Box<GlobalSlot>>,
    #[expect(clippy::vec_box, reason = "the contents must stay where they are")]
    pub(crate) host_functions: Vec<Box<HostFunctionEntry>>,
    /// Engine-wide type identifiers of tags.
    pub(crate) tags: Vec<u32>,
    pub(crate) host_values: HostValues,
    pub(crate) heap: Option<Heap>,
    pub(crate) roots: Arc<RootTable>,
    pub(crate) const_stack: Vec<ConstValue>,
    pub(crate) fuel_reserve: u64,
    /// Fuel after which a computation on a stack of its own lets others run; 0 for never.
    pub(crate) fuel_slice: u64,
    /// Whether its guest runs on a stack of its own.
    pub(crate) own_stack: bool,
    pub(crate) components: crate::component::ComponentState,
}

// SAFETY: the raw pointers inside point to memory that the store owns, or to memory shared between threads by design
// (shared memories, the epoch); none is tied to a thread while no WebAssembly runs.
unsafe impl Send for StoreInner {}
// SAFETY: `&StoreInner` gives no access to anything mutable but shared memories, which are atomics.
unsafe impl Sync for StoreInner {}

/// A store with the embedder's data.
#[repr(C)]
pub struct Store<T> {
    // First, so that a pointer to it is a pointer to the whole.
    pub(crate) inner: StoreInner,
    pub(crate) limiter: Option<LimiterOf<T>>,
    pub(crate) epoch_callback: Option<EpochCallback<T>>,
    data: T,
}

/// Finds the limiter in the embedder's data.
pub type LimiterOf<T> = Box<dyn (FnMut(&mut T) -> &mut dyn ResourceLimiter) + Send + Sync>;
/// What to do when the epoch deadline has passed, or an error.
pub type EpochCallback<T> = Box<dyn FnMut(&mut T) -> Result<EpochAnswer, HostError> + Send + Sync>;

/// What to do when the epoch deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochAnswer {
    /// Go on for so many ticks.
    Continue(u64),
    /// Let others run first, if the guest is on a stack of its own; then go on for so many ticks.
    Yield(u64),
}

impl<T> Store<T> {
    /// A new, empty store.
    pub fn new(config: StoreConfig, data: T) -> Box<Store<T>> {
        let epoch = Arc::as_ptr(&config.epoch);
        let mut store = Box::new(Store {
            inner: StoreInner::new(config, Hooks::of::<T>(), epoch),
            limiter: None,
            epoch_callback: None,
            data,
        });
        let owner: *mut Store<T> = &mut *store;
        store.inner.context.owner = owner.cast();
        store.inner.host_context.header.store = &mut store.inner.context;
        store
    }

    /// The embedder's data.
    pub fn data(&self) -> &T {
        &self.data
    }

    /// The embedder's data.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.data
    }

    /// Takes the embedder's data out.
    #[expect(clippy::boxed_local, reason = "a store only exists in its box")]
    pub fn into_data(self: Box<Self>) -> T {
        let store = *self;
        store.data
    }

    /// The store without its data.
    pub fn inner(&self) -> &StoreInner {
        &self.inner
    }

    /// The store without its data.
    pub fn inner_mut(&mut self) -> &mut StoreInner {
        &mut self.inner
    }

    /// The store without its data, and the data.
    pub fn parts_mut(&mut self) -> (&mut StoreInner, &mut T) {
        (&mut self.inner, &mut self.data)
    }

    /// Sets what limits growth.
    pub fn set_limiter(&mut self, limiter: LimiterOf<T>) {
        self.limiter = Some(limiter);
    }

    /// Sets what happens when the epoch deadline has passed; without one, the computation traps.
    pub fn set_epoch_callback(&mut self, callback: Option<EpochCallback<T>>) {
        self.epoch_callback = callback;
    }

    /// Asks the epoch callback, if there is one.
    pub(crate) fn ask_epoch_callback(&mut self) -> Option<Result<EpochAnswer, HostError>> {
        let callback = self.epoch_callback.as_mut()?;
        Some(callback(&mut self.data))
    }

    /// Asks the limiter, if there is one.
    pub(crate) fn with_limiter<R>(&mut self, ask: impl FnOnce(&mut dyn ResourceLimiter) -> R) -> Option<R> {
        let limiter = self.limiter.as_mut()?;
        Some(ask(limiter(&mut self.data)))
    }
}

impl StoreInner {
    fn new(config: StoreConfig, hooks: Hooks, epoch: *const AtomicU64) -> StoreInner {
        let header = VmHeader {
            magic: MAGIC_HOST,
            store: std::ptr::null_mut(),
            builtins: std::ptr::null(),
            type_ids: std::ptr::null(),
            entries: std::ptr::null(),
            text: std::ptr::null(),
            heap_base: std::ptr::null_mut(),
            type_records: config.types.records(),
        };
        StoreInner {
            context: VmStoreContext {
                stack_limit: 0,
                fuel: 0,
                epoch_deadline: 0,
                epoch,
                exit_fp: 0,
                entry_fp: 0,
                owner: std::ptr::null_mut(),
                landing_pc: 0,
                landing_sp: 0,
                landing_fp: 0,
                landing_exception: 0,
                heap_top: 0,
                heap_limit: 0,
                refused_vmctx: std::ptr::null_mut(),
                refused_index: 0,
                refused_offset: 0,
                refused_entity: 0,
            },
            host_context: HostContext { reserved: 0, instance: u64::MAX, header },
            id: StoreId(NEXT_STORE.fetch_add(1, Ordering::Relaxed)),
            config,
            hooks,
            pending: None,
            refused: None,
            recording: None,
            instances: Vec::new(),
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            host_functions: Vec::new(),
            tags: Vec::new(),
            host_values: HostValues::default(),
            heap: None,
            roots: Arc::default(),
            const_stack: Vec::new(),
            fuel_reserve: 0,
            fuel_slice: 0,
            own_stack: false,
            components: crate::component::ComponentState::default(),
        }
    }

    /// The store's identity.
    pub fn id(&self) -> StoreId {
        self.id
    }

    /// The store's configuration.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// Checks that a handle is this store's.
    pub(crate) fn check(&self, store: StoreId) -> Result<(), WrongStore> {
        if store == self.id { Ok(()) } else { Err(WrongStore) }
    }

    /// The `vmctx` that stands for the host.
    pub(crate) fn host_vmctx(&mut self) -> *mut u8 {
        (&raw mut self.host_context.header).cast()
    }

    /// Sets the fuel that remains.
    pub fn set_fuel(&mut self, fuel: u64) {
        let active = fuel.min(self.fuel_portion());
        self.context.fuel = -(active as i64);
        self.fuel_reserve = fuel - active;
    }

    /// Sets after how much fuel a computation on a stack of its own lets others run.
    pub fn set_fuel_slice(&mut self, fuel: Option<NonZeroU64>) {
        let remaining = self.fuel();
        self.fuel_slice = fuel.map_or(0, NonZeroU64::get);
        self.set_fuel(remaining);
    }

    /// How much fuel the counter gets at a time.
    pub(crate) fn fuel_portion(&self) -> u64 {
        let max = i64::MAX as u64;
        if self.fuel_slice == 0 { max } else { self.fuel_slice.min(max) }
    }

    /// The fuel that remains.
    pub fn fuel(&self) -> u64 {
        let active = self.context.fuel.min(0).unsigned_abs();
        // What was used beyond the last portion, and not asked for yet, comes from the next.
        let owed = self.context.fuel.max(0).unsigned_abs();
        active.saturating_add(self.fuel_reserve).saturating_sub(owed)
    }

    /// Sets the epoch, relative to the current one, at which WebAssembly is interrupted.
    pub fn set_epoch_deadline(&mut self, ticks: u64) {
        let now = self.config.epoch.load(Ordering::Relaxed);
        self.context.epoch_deadline = now.saturating_add(ticks);
    }

    /// Keeps a host value alive as long as it is referred to, and returns a reference to it; `None` when there are too
    /// many. May collect: raw references that the caller holds are invalid afterwards.
    pub fn new_extern(&mut self, value: Arc<dyn Any + Send + Sync>) -> Option<u32> {
        if self.config.heap.stress || self.host_values.wants_collection() {
            self.collect();
        }
        self.host_values.add(value)
    }

    /// Number of host values that are kept.
    pub fn extern_count(&self) -> usize {
        self.host_values.len()
    }

    /// The host value behind a reference that [`StoreInner::new_extern`] returned.
    pub fn extern_value(&self, reference: u32) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.host_values.get(reference)
    }

    /// Number of instances, memories and tables that the store owns.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.instances.len(), self.memories.len(), self.tables.len())
    }
}
