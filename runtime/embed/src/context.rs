//! Access to a store, from outside and from within a host function.
//!
//! Invariant: whoever holds a [`StoreContextMut`] has exclusive use of the store.
//!
//! Does not know: what is done with it.

use crate::engine::Engine;
use crate::externs::Extern;
use crate::store::{Store, StoreData};
use wattest_vm::{InstanceId, StoreInner};

/// Shared access to a store.
pub struct StoreContext<'a, T: 'static>(pub(crate) &'a wattest_vm::Store<StoreData<T>>);

/// Exclusive access to a store.
pub struct StoreContextMut<'a, T: 'static>(pub(crate) &'a mut wattest_vm::Store<StoreData<T>>);

/// Anything that gives shared access to a store.
pub trait AsContext {
    /// The embedder's data.
    type Data: 'static;
    /// The access.
    fn as_context(&self) -> StoreContext<'_, Self::Data>;
}

/// Anything that gives exclusive access to a store.
pub trait AsContextMut: AsContext {
    /// The access.
    fn as_context_mut(&mut self) -> StoreContextMut<'_, Self::Data>;
}

impl<T: 'static> StoreContext<'_, T> {
    /// The embedder's data.
    pub fn data(&self) -> &T {
        &self.0.data().data
    }

    /// The store's engine.
    pub fn engine(&self) -> &Engine {
        &self.0.data().engine
    }

    pub(crate) fn inner(&self) -> &StoreInner {
        self.0.inner()
    }
}

impl<'a, T: 'static> StoreContextMut<'a, T> {
    /// The embedder's data.
    pub fn data(&self) -> &T {
        &self.0.data().data
    }

    /// The embedder's data.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.0.data_mut().data
    }

    /// As [`Store::collect_garbage`].
    pub fn collect_garbage(&mut self) {
        self.0.inner_mut().collect();
    }

    /// The embedder's data, for as long as the store was lent.
    pub fn into_data_mut(self) -> &'a mut T {
        &mut self.0.data_mut().data
    }

    /// The store's engine.
    pub fn engine(&self) -> &Engine {
        &self.0.data().engine
    }

    pub(crate) fn inner(&self) -> &StoreInner {
        self.0.inner()
    }

    pub(crate) fn inner_mut(&mut self) -> &mut StoreInner {
        self.0.inner_mut()
    }
}

impl<T: 'static> AsContext for Store<T> {
    type Data = T;
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(&self.vm)
    }
}

impl<T: 'static> AsContextMut for Store<T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut(&mut self.vm)
    }
}

impl<T: 'static> AsContext for StoreContext<'_, T> {
    type Data = T;
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.0)
    }
}

impl<T: 'static> AsContext for StoreContextMut<'_, T> {
    type Data = T;
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.0)
    }
}

impl<T: 'static> AsContextMut for StoreContextMut<'_, T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut(self.0)
    }
}

impl<C: AsContext> AsContext for &C {
    type Data = C::Data;
    fn as_context(&self) -> StoreContext<'_, C::Data> {
        C::as_context(self)
    }
}

impl<C: AsContext> AsContext for &mut C {
    type Data = C::Data;
    fn as_context(&self) -> StoreContext<'_, C::Data> {
        C::as_context(self)
    }
}

impl<C: AsContextMut> AsContextMut for &mut C {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, C::Data> {
        C::as_context_mut(self)
    }
}

/// What a host function knows of its caller.
pub struct Caller<'a, T: 'static> {
    pub(crate) store: StoreContextMut<'a, T>,
    pub(crate) instance: Option<InstanceId>,
}

impl<T: 'static> Caller<'_, T> {
    /// The embedder's data.
    pub fn data(&self) -> &T {
        self.store.data()
    }

    /// The embedder's data.
    pub fn data_mut(&mut self) -> &mut T {
        self.store.data_mut()
    }

    /// The store's engine.
    pub fn engine(&self) -> &Engine {
        self.store.engine()
    }

    /// An export of the calling instance; `None` when there is no such export, or the host called.
    pub fn get_export(&mut self, name: &str) -> Option<Extern> {
        let id = self.instance?;
        crate::instance::Instance::from_id(self.store.inner().id(), id).get_export(&self.store, name)
    }

    /// The memory exported as `name`, if there is one that is not shared.
    pub fn get_memory(&mut self, name: &str) -> Option<crate::Memory> {
        self.get_export(name)?.into_memory()
    }
}

impl<T: 'static> AsContext for Caller<'_, T> {
    type Data = T;
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.store.0)
    }
}

impl<T: 'static> AsContextMut for Caller<'_, T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut(self.store.0)
    }
}
