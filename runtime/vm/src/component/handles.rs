//! Handle tables ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#table-state)).
//!
//! One for each component instance, and one for what the host holds.
//!
//! Invariant: index 0 is never used; a freed index is the next to be used again; whatever index a guest supplies ends in an
//! entry or a [`TrapCode`].
//!
//! Does not know: what a representation means, who calls destructors.

use wattest_abi::TrapCode;

/// A resource type of a store: a position in [`super::ComponentState`]'s list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceTypeId(pub u32);

/// Whether an entry owns its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It does.
    Own,
    /// It is lent for the call with this position among those that are active.
    Borrow {
        /// The position.
        scope: u32,
    },
}

/// An entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The resource's type.
    pub ty: ResourceTypeId,
    /// What its implementation knows it by.
    pub rep: u32,
    /// Whether it is owned.
    pub ownership: Ownership,
    /// How many calls it is lent to.
    pub lends: u32,
    /// Tells entries apart that had the same index at different times.
    pub stamp: u64,
}

/// A table.
#[derive(Debug, Default)]
pub struct HandleTable {
    entries: Vec<Option<Handle>>,
    free: Vec<u32>,
    stamps: u64,
}

/// The most entries of a table
/// ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#table-state)).
pub const HANDLES_MAX: u32 = (1 << 28) - 1;

impl HandleTable {
    /// Adds an entry and returns its index.
    ///
    /// # Errors
    ///
    /// [`TrapCode::HandleTableFull`].
    pub fn add(&mut self, ty: ResourceTypeId, rep: u32, ownership: Ownership) -> Result<u32, TrapCode> {
        self.stamps += 1;
        let handle = Some(Handle { ty, rep, ownership, lends: 0, stamp: self.stamps });
        if let Some(index) = self.free.pop() {
            self.entries[index as usize] = handle;
            return Ok(index);
        }
        if self.entries.is_empty() {
            self.entries.push(None);
        }
        let index = u32::try_from(self.entries.len()).ok().filter(|index| *index <= HANDLES_MAX);
        let index = index.ok_or(TrapCode::HandleTableFull)?;
        self.entries.push(handle);
        Ok(index)
    }

    /// An entry of a type.
    ///
    /// # Errors
    ///
    /// [`TrapCode::UnknownHandle`], [`TrapCode::HandleTypeMismatch`].
    pub fn get(&self, index: u32, ty: ResourceTypeId) -> Result<&Handle, TrapCode> {
        let handle = self.entries.get(index as usize).and_then(Option::as_ref).ok_or(TrapCode::UnknownHandle)?;
        if handle.ty == ty || wattest_abi::mutant!(handle_type_unchecked) {
            Ok(handle)
        } else {
            Err(TrapCode::HandleTypeMismatch)
        }
    }

    /// The entry at an index, whatever its type.
    pub fn entry(&self, index: u32) -> Option<&Handle> {
        self.entries.get(index as usize)?.as_ref()
    }

    /// An entry of a type, to change.
    ///
    /// # Errors
    ///
    /// As [`HandleTable::get`].
    pub fn get_mut(&mut self, index: u32, ty: ResourceTypeId) -> Result<&mut Handle, TrapCode> {
        self.get(index, ty)?;
        self.entries[index as usize].as_mut().ok_or(TrapCode::UnknownHandle)
    }

    /// Takes an entry of a type out; one that is lent stays.
    ///
    /// # Errors
    ///
    /// As [`HandleTable::get`], and [`TrapCode::HandleLent`].
    pub fn remove(&mut self, index: u32, ty: ResourceTypeId) -> Result<Handle, TrapCode> {
        let handle = *self.get(index, ty)?;
        if handle.lends > 0 {
            return Err(TrapCode::HandleLent);
        }
        self.entries[index as usize] = None;
        self.free.push(index);
        Ok(handle)
    }

    /// Gives back what a call was lent.
    pub(crate) fn end_lend(&mut self, index: u32, stamp: u64) {
        if let Some(Some(handle)) = self.entries.get_mut(index as usize)
            && handle.stamp == stamp
        {
            handle.lends = handle.lends.saturating_sub(1);
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.iter().flatten().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ResourceTypeId = ResourceTypeId(0);
    const B: ResourceTypeId = ResourceTypeId(1);

    fn check<T: PartialEq + std::fmt::Debug>(actual: Result<T, TrapCode>, expected: Result<T, TrapCode>) {
        assert_eq!(actual, expected);
    }

    #[test]
    fn indices_start_at_one_and_are_used_again() {
        let mut table = HandleTable::default();
        check(table.add(A, 10, Ownership::Own), Ok(1));
        check(table.add(A, 20, Ownership::Own), Ok(2));
        check(table.remove(1, A).map(|handle| handle.rep), Ok(10));
        check(table.add(B, 30, Ownership::Own), Ok(1));
        check(table.add(B, 40, Ownership::Own), Ok(3));
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn any_index_ends_in_an_entry_or_a_trap() {
        let mut table = HandleTable::default();
        check(table.get(0, A).copied(), Err(TrapCode::UnknownHandle));
        check(table.add(A, 1, Ownership::Own), Ok(1));
        for index in [0, 2, u32::MAX] {
            check(table.remove(index, A).map(drop), Err(TrapCode::UnknownHandle));
        }
        check(table.remove(1, B).map(drop), Err(TrapCode::HandleTypeMismatch));
        table.get_mut(1, A).unwrap().lends = 1;
        check(table.remove(1, A).map(drop), Err(TrapCode::HandleLent));
    }
}
