//! Handle tables, and who has lent what.
//!
//! [Handle tables](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#table-state) and the
//! counting of borrows by task, once more and as plainly as possible: the runtime's own are what is checked.
//!
//! Invariant: an index that was freed last is used again first; a handle that is lent stays.
//!
//! Does not know: what a representation means.

use super::core::Halt;
use wattest_canon::ResourceId;
use wattest_reference::TrapClass;

/// What stands at an index.
#[derive(Clone, Copy, Debug)]
struct Entry {
    resource: ResourceId,
    rep: u32,
    /// The call that has to drop it; nothing for an owned one.
    scope: Option<usize>,
    lends: u32,
}

/// The most handles of a table.
const HANDLES_MAX: usize = 1 << 20;

/// A handle table.
#[derive(Clone, Debug, Default)]
pub struct HandleTable {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
}

impl HandleTable {
    fn add(&mut self, entry: Entry) -> Result<u32, Halt> {
        if self.entries.is_empty() {
            self.entries.push(None);
        }
        if let Some(index) = self.free.pop() {
            self.entries[index as usize] = Some(entry);
            return Ok(index);
        }
        if self.entries.len() >= HANDLES_MAX {
            return Err(Halt::Nothing("handles".to_owned()));
        }
        self.entries.push(Some(entry));
        Ok(self.entries.len() as u32 - 1)
    }

    fn get(&mut self, index: u32, resource: ResourceId) -> Result<&mut Entry, Halt> {
        let entry = self.entries.get_mut(index as usize).and_then(Option::as_mut).ok_or(TrapClass::UnknownHandle)?;
        if entry.resource != resource {
            return Err(TrapClass::HandleType.into());
        }
        Ok(entry)
    }

    fn remove(&mut self, index: u32, resource: ResourceId) -> Result<Entry, Halt> {
        let entry = *self.get(index, resource)?;
        if entry.lends != 0 {
            return Err(TrapClass::HandleLent.into());
        }
        self.entries[index as usize] = None;
        self.free.push(index);
        Ok(entry)
    }
}

/// A call that may lend.
#[derive(Clone, Debug, Default)]
struct Scope {
    borrows: u32,
    lent: Vec<(usize, u32)>,
}

/// The tables of all component instances.
#[derive(Clone, Debug, Default)]
pub struct Handles {
    tables: Vec<HandleTable>,
    scopes: Vec<Scope>,
}

impl Handles {
    /// Empty tables.
    pub fn new(components: usize) -> Handles {
        Handles { tables: vec![HandleTable::default(); components], scopes: Vec::new() }
    }

    fn table(&mut self, at: usize) -> Result<&mut HandleTable, Halt> {
        self.tables.get_mut(at).ok_or_else(|| Halt::Broken(format!("there is no component instance {at}")))
    }

    /// A call begins.
    pub fn begin(&mut self) {
        self.scopes.push(Scope::default());
    }

    /// The callee has returned.
    ///
    /// # Errors
    /// [`TrapClass::BorrowsRemain`].
    pub fn end(&mut self) -> Result<(), Halt> {
        let Some(scope) = self.scopes.pop() else { return Ok(()) };
        for (table, index) in scope.lent {
            if let Some(Some(entry)) = self.table(table)?.entries.get_mut(index as usize) {
                entry.lends = entry.lends.saturating_sub(1);
            }
        }
        if scope.borrows > 0 { Err(TrapClass::BorrowsRemain.into()) } else { Ok(()) }
    }

    /// `resource.rep`.
    ///
    /// # Errors
    /// The trap of the specification, here and below.
    pub fn rep(&mut self, table: usize, index: u32, resource: ResourceId) -> Result<u32, Halt> {
        Ok(self.table(table)?.get(index, resource)?.rep)
    }

    /// `lift_own`.
    ///
    /// # Errors
    /// No such handle, or one that is lent or borrowed.
    pub fn lift_own(&mut self, table: usize, index: u32, resource: ResourceId) -> Result<u32, Halt> {
        let entry = self.table(table)?.remove(index, resource)?;
        match entry.scope {
            None => Ok(entry.rep),
            Some(_) => Err(TrapClass::HandleType.into()),
        }
    }

    /// `lift_borrow`.
    ///
    /// # Errors
    /// No such handle.
    pub fn lift_borrow(&mut self, table: usize, index: u32, resource: ResourceId) -> Result<u32, Halt> {
        let entry = self.table(table)?.get(index, resource)?;
        entry.lends += 1;
        let rep = entry.rep;
        if let Some(scope) = self.scopes.last_mut() {
            scope.lent.push((table, index));
        }
        Ok(rep)
    }

    /// `lower_own`, `resource.new`.
    ///
    /// # Errors
    /// No room.
    pub fn lower_own(&mut self, table: usize, resource: ResourceId, rep: u32) -> Result<u32, Halt> {
        self.table(table)?.add(Entry { resource, rep, scope: None, lends: 0 })
    }

    /// `lower_borrow`, to an instance that does not define the type.
    ///
    /// # Errors
    /// No room.
    pub fn lower_borrow(&mut self, table: usize, resource: ResourceId, rep: u32) -> Result<u32, Halt> {
        let scope = self.scopes.len().checked_sub(1);
        let entry = Entry { resource, rep, scope: scope.or(Some(usize::MAX)), lends: 0 };
        if let Some(scope) = self.scopes.last_mut() {
            scope.borrows += 1;
        }
        self.table(table)?.add(entry)
    }

    /// `resource.drop`: the representation, if it was owned.
    ///
    /// # Errors
    /// No such handle, or one that is lent.
    pub fn drop(&mut self, table: usize, index: u32, resource: ResourceId) -> Result<Option<u32>, Halt> {
        let entry = self.table(table)?.remove(index, resource)?;
        let Some(scope) = entry.scope else { return Ok(Some(entry.rep)) };
        if let Some(scope) = self.scopes.get_mut(scope) {
            scope.borrows = scope.borrows.saturating_sub(1);
        }
        Ok(None)
    }
}
