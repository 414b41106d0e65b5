//! Roots that the host holds, and those of constant expressions.
//!
//! Promises: dropping a [`Root`], on any thread and at any time, lets go of its object; a root used with another store is
//! an error; nothing is leaked while the store lives.
//!
//! Invariant: a root's slot is its own until the last clone is dropped.
//!
//! Does not know: what is referred to.

use crate::store::{StoreInner, WrongStore};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Slots {
    references: Vec<u32>,
    free: Vec<u32>,
}

/// The slots of a store's roots.
#[derive(Debug, Default)]
pub(crate) struct RootTable {
    slots: Mutex<Slots>,
}

impl RootTable {
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows every slot to `visit`, free ones (which are null) too.
    pub fn visit(&self, mut visit: impl FnMut(&mut u32)) {
        self.lock().references.iter_mut().for_each(&mut visit);
    }

    /// Roots that are held.
    pub fn len(&self) -> usize {
        let slots = self.lock();
        slots.references.len() - slots.free.len()
    }
}

#[derive(Debug)]
struct Slot {
    table: Arc<RootTable>,
    index: u32,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut slots = self.table.lock();
        slots.references[self.index as usize] = 0;
        slots.free.push(self.index);
    }
}

/// Keeps an object or host value alive. Clones share a slot.
#[derive(Clone, Debug)]
pub struct Root(Arc<Slot>);

impl PartialEq for Root {
    /// Whether both refer to the same object, host value or integer of the same store.
    fn eq(&self, other: &Root) -> bool {
        if !Arc::ptr_eq(&self.0.table, &other.0.table) {
            return false;
        }
        let slots = self.0.table.lock();
        slots.references[self.0.index as usize] == slots.references[other.0.index as usize]
    }
}

impl Eq for Root {}

/// A value on the stack of a constant expression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConstValue {
    pub bits: u128,
    pub is_reference: bool,
}

impl StoreInner {
    /// Roots `reference`, which must be fresh from a call, an allocation or a read.
    pub fn root(&self, reference: u32) -> Root {
        let mut slots = self.roots.lock();
        let index = match slots.free.pop() {
            Some(index) => {
                slots.references[index as usize] = reference;
                index
            }
            None => {
                slots.references.push(reference);
                slots.references.len() as u32 - 1
            }
        };
        drop(slots);
        Root(Arc::new(Slot { table: self.roots.clone(), index }))
    }

    /// The reference that `root` holds now.
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    pub fn rooted(&self, root: &Root) -> Result<u32, WrongStore> {
        self.owns_root(root)?;
        Ok(self.roots.lock().references[root.0.index as usize])
    }

    /// Checks that `root` is this store's.
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    pub fn owns_root(&self, root: &Root) -> Result<(), WrongStore> {
        if Arc::ptr_eq(&root.0.table, &self.roots) { Ok(()) } else { Err(WrongStore) }
    }

    /// Roots that the host holds: for tests.
    pub fn root_count(&self) -> usize {
        self.roots.len()
    }
}
