//! Stores ([spec](https://webassembly.github.io/spec/core/exec/runtime.html#store)).
//!
//! Invariant: a store belongs to one engine; what was made in a store lives until the store is dropped.
//!
//! Does not know: how its contents are laid out.

use crate::engine::Engine;
use crate::error::{Error, Result, UsageError};
use crate::limits::ResourceLimiter;
use std::num::NonZeroU64;
use wattest_vm::EpochAnswer;

/// A store with the embedder's data `T`.
///
/// ```
/// use wattest::{Engine, Store};
/// let mut store = Store::new(&Engine::default(), 7);
/// *store.data_mut() += 1;
/// assert_eq!(store.into_data(), 8);
/// ```
pub struct Store<T: 'static> {
    pub(crate) vm: Box<wattest_vm::Store<StoreData<T>>>,
}

/// What the virtual machine keeps for a store: the engine beside the embedder's data.
#[derive(Debug)]
pub struct StoreData<T> {
    pub engine: Engine,
    pub data: T,
}

impl<T: 'static> Store<T> {
    /// A new, empty store.
    pub fn new(engine: &Engine, data: T) -> Store<T> {
        let data = StoreData { engine: engine.clone(), data };
        Store { vm: wattest_vm::Store::new(engine.store_config().clone(), data) }
    }

    /// The store's engine.
    pub fn engine(&self) -> &Engine {
        &self.vm.data().engine
    }

    /// The embedder's data.
    pub fn data(&self) -> &T {
        &self.vm.data().data
    }

    /// The embedder's data.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.vm.data_mut().data
    }

    /// Takes the embedder's data out.
    pub fn into_data(self) -> T {
        self.vm.into_data().data
    }

    /// Sets the fuel that remains. Most instructions cost one unit.
    ///
    /// # Errors
    ///
    /// The engine does not count fuel.
    pub fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        self.check_fuel()?;
        self.vm.inner_mut().set_fuel(fuel);
        Ok(())
    }

    /// The fuel that remains.
    ///
    /// # Errors
    ///
    /// The engine does not count fuel.
    pub fn fuel(&self) -> Result<u64> {
        self.check_fuel()?;
        Ok(self.vm.inner().fuel())
    }

    fn check_fuel(&self) -> Result<()> {
        if self.engine().tunables().fuel { Ok(()) } else { Err(Error::Usage(UsageError::OptionOff { option: "fuel" })) }
    }

    /// Frees everything on the heap of objects, and every host value, that neither the guest nor a reference of the host
    /// can reach. Collections happen by themselves; this is for when host values should go early.
    pub fn collect_garbage(&mut self) {
        self.vm.inner_mut().collect();
    }

    /// Interrupts WebAssembly once the engine's epoch has advanced by `ticks`.
    pub fn set_epoch_deadline(&mut self, ticks: u64) {
        self.vm.inner_mut().set_epoch_deadline(ticks);
    }

    /// Asks `callback` what to do when the deadline is reached: go on for a number of ticks, or end with an error.
    /// Without a callback the computation traps.
    pub fn epoch_deadline_callback(&mut self, mut callback: impl FnMut(&mut T) -> Result<u64> + Send + Sync + 'static) {
        let callback = move |data: &mut StoreData<T>| {
            let ticks = callback(&mut data.data).map_err(|error| Box::new(error) as wattest_vm::HostError)?;
            Ok(EpochAnswer::Continue(ticks))
        };
        self.vm.set_epoch_callback(Some(Box::new(callback)));
    }

    /// As [`Store::epoch_deadline_callback`], with a callback that may also let the executor do something else first.
    pub fn epoch_deadline_answer(
        &mut self,
        mut callback: impl FnMut(&mut T) -> Result<EpochAnswer> + Send + Sync + 'static,
    ) {
        let callback = move |data: &mut StoreData<T>| {
            callback(&mut data.data).map_err(|error| Box::new(error) as wattest_vm::HostError)
        };
        self.vm.set_epoch_callback(Some(Box::new(callback)));
    }

    /// When the deadline is reached, lets the executor do something else, if the guest is on a stack of its own
    /// ([`Func::call_async`](crate::Func::call_async)); it goes on for another `ticks` afterwards.
    pub fn epoch_deadline_yield(&mut self, ticks: u64) {
        self.vm.set_epoch_callback(Some(Box::new(move |_| Ok(EpochAnswer::Yield(ticks)))));
    }

    /// After every `fuel` units of fuel, lets the executor do something else, if the guest is on a stack of its own.
    ///
    /// # Errors
    ///
    /// The engine does not count fuel.
    pub fn fuel_yield_interval(&mut self, fuel: Option<NonZeroU64>) -> Result<()> {
        self.check_fuel()?;
        self.vm.inner_mut().set_fuel_slice(fuel);
        Ok(())
    }

    /// Sets what limits the growth of memories and tables and the number of instances.
    pub fn limiter(&mut self, mut limiter: impl (FnMut(&mut T) -> &mut dyn ResourceLimiter) + Send + Sync + 'static) {
        self.vm.set_limiter(Box::new(move |data: &mut StoreData<T>| limiter(&mut data.data)));
    }
}

impl<T: std::fmt::Debug + 'static> std::fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("data", self.data()).finish_non_exhaustive()
    }
}
