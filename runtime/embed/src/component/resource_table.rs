//! The host's resources by number: what is behind a [`Resource`]
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#handle-types)).
//!
//! Invariant: a number stands for one resource from [`ResourceTable::push`] to [`ResourceTable::delete`]; a resource with
//! children stays. Guests can make resources without end, so their number has a limit.
//!
//! Does not know: stores, handles of guests.

use super::resource::Resource;
use crate::error::Error;
use std::any::Any;
use std::collections::BTreeSet;

/// How many resources a table holds unless it is told otherwise.
const CAPACITY_DEFAULT: usize = 1_000_000;

/// Why a [`ResourceTable`] refused. In a host function, `?` makes a trap of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceTableError {
    /// It holds as many as it may.
    #[error("the resource table is full")]
    Full,
    /// There is no resource with this number.
    #[error("the resource is not in the table")]
    NotPresent,
    /// The resource is of another type.
    #[error("the resource is of another type")]
    WrongType,
    /// It cannot be deleted before its children are.
    #[error("the resource has children")]
    HasChildren,
    /// It is only lent, so it cannot be deleted.
    #[error("the resource is only lent")]
    NotOwned,
}

impl From<ResourceTableError> for Error {
    fn from(error: ResourceTableError) -> Error {
        Error::host(error)
    }
}

type Value = Box<dyn Any + Send + Sync>;

struct Entry {
    value: Value,
    parent: Option<u32>,
    children: BTreeSet<u32>,
}

/// The host's resources by number.
///
/// ```
/// use wattest::component::ResourceTable;
/// let mut table = ResourceTable::new();
/// let resource = table.push("a file".to_owned())?;
/// assert_eq!(table.get(&resource)?, "a file");
/// assert_eq!(table.delete(resource)?, "a file");
/// # Ok::<(), wattest::component::ResourceTableError>(())
/// ```
pub struct ResourceTable {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    capacity_max: usize,
}

impl Default for ResourceTable {
    fn default() -> ResourceTable {
        ResourceTable { entries: Vec::new(), free: Vec::new(), capacity_max: CAPACITY_DEFAULT }
    }
}

impl ResourceTable {
    /// An empty table for up to 1,000,000 resources.
    pub fn new() -> ResourceTable {
        ResourceTable::default()
    }

    /// Sets how many resources there may be; those that there are stay.
    pub fn set_max_capacity(&mut self, resources: usize) {
        self.capacity_max = resources;
    }

    /// How many resources there may be.
    pub fn max_capacity(&self) -> usize {
        self.capacity_max
    }

    /// Adds a resource.
    ///
    /// # Errors
    ///
    /// [`ResourceTableError::Full`].
    pub fn push<T: Any + Send + Sync>(&mut self, resource: T) -> Result<Resource<T>, ResourceTableError> {
        self.insert(Box::new(resource), None).map(Resource::new_own)
    }

    /// Adds a resource that needs another one: `parent` cannot be deleted before it.
    ///
    /// # Errors
    ///
    /// [`ResourceTableError::Full`], or there is no such parent.
    pub fn push_child<T: Any + Send + Sync, P: 'static>(
        &mut self,
        resource: T,
        parent: &Resource<P>,
    ) -> Result<Resource<T>, ResourceTableError> {
        self.entry(parent.rep())?;
        let rep = self.insert(Box::new(resource), Some(parent.rep()))?;
        self.entry_mut(parent.rep())?.children.insert(rep);
        Ok(Resource::new_own(rep))
    }

    fn insert(&mut self, value: Value, parent: Option<u32>) -> Result<u32, ResourceTableError> {
        if self.len() >= self.capacity_max {
            return Err(ResourceTableError::Full);
        }
        let entry = Some(Entry { value, parent, children: BTreeSet::new() });
        if let Some(at) = self.free.pop() {
            self.entries[at as usize] = entry;
            return Ok(at);
        }
        let at = u32::try_from(self.entries.len()).map_err(|_| ResourceTableError::Full)?;
        self.entries.push(entry);
        Ok(at)
    }

    fn entry(&self, rep: u32) -> Result<&Entry, ResourceTableError> {
        self.entries.get(rep as usize).and_then(Option::as_ref).ok_or(ResourceTableError::NotPresent)
    }

    fn entry_mut(&mut self, rep: u32) -> Result<&mut Entry, ResourceTableError> {
        self.entries.get_mut(rep as usize).and_then(Option::as_mut).ok_or(ResourceTableError::NotPresent)
    }

    /// A resource.
    ///
    /// # Errors
    ///
    /// It is not there, or of another type.
    pub fn get<T: Any>(&self, resource: &Resource<T>) -> Result<&T, ResourceTableError> {
        self.get_any(resource.rep())?.downcast_ref().ok_or(ResourceTableError::WrongType)
    }

    /// A resource, to change.
    ///
    /// # Errors
    ///
    /// As [`ResourceTable::get`].
    pub fn get_mut<T: Any>(&mut self, resource: &Resource<T>) -> Result<&mut T, ResourceTableError> {
        self.get_any_mut(resource.rep())?.downcast_mut().ok_or(ResourceTableError::WrongType)
    }

    /// A resource of whatever type, by its number.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn get_any(&self, rep: u32) -> Result<&dyn Any, ResourceTableError> {
        Ok(&*self.entry(rep)?.value)
    }

    /// A resource of whatever type, by its number, to change.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn get_any_mut(&mut self, rep: u32) -> Result<&mut dyn Any, ResourceTableError> {
        Ok(&mut *self.entry_mut(rep)?.value)
    }

    /// The numbers of a resource's children, in ascending order.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn children<T: 'static>(
        &self,
        resource: &Resource<T>,
    ) -> Result<impl Iterator<Item = u32>, ResourceTableError> {
        Ok(self.entry(resource.rep())?.children.iter().copied())
    }

    /// Takes a resource out.
    ///
    /// # Errors
    ///
    /// As [`ResourceTable::get`]; or it has children, or is only lent.
    pub fn delete<T: Any + Send + Sync>(&mut self, resource: Resource<T>) -> Result<T, ResourceTableError> {
        self.get(&resource)?;
        if !resource.owned() {
            return Err(ResourceTableError::NotOwned);
        }
        if !self.entry(resource.rep())?.children.is_empty() {
            return Err(ResourceTableError::HasChildren);
        }
        let place = self.entries.get_mut(resource.rep() as usize).ok_or(ResourceTableError::NotPresent)?;
        let Entry { value, parent, .. } = place.take().ok_or(ResourceTableError::NotPresent)?;
        self.free.push(resource.rep());
        if let Some(parent) = parent {
            self.entry_mut(parent)?.children.remove(&resource.rep());
        }
        let value: Box<dyn Any> = value;
        value.downcast().map(|value| *value).map_err(|_| ResourceTableError::WrongType)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Debug for ResourceTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResourceTable").field("len", &self.len()).field("max", &self.capacity_max).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Resource, ResourceTable, ResourceTableError};

    #[test]
    fn a_number_stands_for_one_resource() {
        let mut table = ResourceTable::new();
        let (a, b) = (table.push(1u8).unwrap(), table.push("b").unwrap());
        assert_eq!((table.get(&a), table.get(&b), table.len()), (Ok(&1), Ok(&"b"), 2));
        assert_eq!(table.get(&Resource::<u16>::new_own(a.rep())), Err(ResourceTableError::WrongType));
        *table.get_mut(&a).unwrap() = 7;
        assert_eq!(table.get_any(a.rep()).unwrap().downcast_ref::<u8>(), Some(&7));
        let lent = Resource::<u8>::new_borrow(a.rep());
        assert_eq!(table.delete(lent), Err(ResourceTableError::NotOwned));
        let old = a.rep();
        assert_eq!(table.delete(a), Ok(7));
        assert_eq!(table.get(&Resource::<u8>::new_own(old)), Err(ResourceTableError::NotPresent));
        assert_eq!(table.push(0u32).unwrap().rep(), old, "numbers are used again");
    }

    #[test]
    fn a_parent_outlives_its_children() {
        let mut table = ResourceTable::new();
        let parent = table.push(()).unwrap();
        let children = [0u32, 1].map(|child| table.push_child(child, &parent).unwrap());
        assert_eq!(table.children(&parent).unwrap().collect::<Vec<_>>(), children.each_ref().map(Resource::rep));
        let again = Resource::<()>::new_own(parent.rep());
        assert_eq!(table.delete(again), Err(ResourceTableError::HasChildren));
        for child in children {
            table.delete(child).unwrap();
        }
        assert_eq!(table.delete(parent), Ok(()));
        assert_eq!(table.push_child(0u32, &Resource::<()>::new_own(9)).unwrap_err(), ResourceTableError::NotPresent);
        assert!(table.is_empty());
    }

    #[test]
    fn a_table_has_a_limit() {
        let mut table = ResourceTable::new();
        table.set_max_capacity(2);
        let first = table.push(0u8).unwrap();
        let _second = table.push_child(1u8, &first).unwrap();
        assert_eq!(table.push(2u8).unwrap_err(), ResourceTableError::Full);
        assert_eq!(table.push_child(2u8, &first).unwrap_err(), ResourceTableError::Full);
        assert_eq!(table.children(&first).unwrap().count(), 1);
    }
}
