//! Calls that lend handles.
//!
//! What [lifting and lowering borrows](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flat-lifting)
//! leaves to be undone at the end of a call: what the caller lent is given back, and the callee must have dropped what it
//! borrowed.
//!
//! Invariant: scopes end in the reverse order of their beginning; after a trap, those of the calls that did not return are
//! ended at once.
//!
//! Does not know: why a call ended.

use super::handles::{Ownership, ResourceTypeId};
use super::{ComponentId, ComponentState, HandleTable};
use wattest_abi::TrapCode;

/// A handle table of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableId {
    /// The host's.
    Host,
    /// A component instance's.
    Component(ComponentId),
}

/// A handle that is lent.
#[derive(Clone, Copy, Debug)]
pub struct Lender {
    table: TableId,
    index: u32,
    stamp: u64,
}

/// A call in progress.
#[derive(Debug, Default)]
pub(super) struct Scope {
    borrows: u32,
    lenders: Vec<Lender>,
    /// Borrows that the host holds during the call: they end with it.
    host: Vec<(u32, ResourceTypeId)>,
}

impl ComponentState {
    /// A table.
    pub fn table(&mut self, id: TableId) -> &mut HandleTable {
        match id {
            TableId::Host => &mut self.host,
            TableId::Component(id) => &mut self.instance(id).handles,
        }
    }

    /// How many calls that may lend are in progress.
    pub fn scopes(&self) -> usize {
        self.scopes.len()
    }

    /// A call begins.
    pub fn begin_scope(&mut self) {
        self.scopes.push(Scope::default());
    }

    /// The innermost call ends.
    ///
    /// # Errors
    ///
    /// [`TrapCode::BorrowsRemain`] when its callee has not dropped all it borrowed.
    pub fn end_scope(&mut self) -> Result<(), TrapCode> {
        let Some(scope) = self.scopes.pop() else { return Ok(()) };
        let remain = scope.borrows > 0 && !wattest_abi::mutant!(borrows_may_remain);
        for (index, ty) in scope.host {
            // The host may have dropped it by itself.
            let _ = self.host.remove(index, ty);
        }
        for lender in scope.lenders {
            self.table(lender.table).end_lend(lender.index, lender.stamp);
        }
        if remain { Err(TrapCode::BorrowsRemain) } else { Ok(()) }
    }

    /// Ends all calls but the outermost `count`, which did not return.
    pub fn abandon_scopes(&mut self, count: usize) {
        while self.scopes.len() > count {
            // Their instances are poisoned, so what they still borrow is lost with them.
            let _ = self.end_scope();
        }
    }

    /// `lift_own`: takes an owned handle out of a table and gives its representation.
    ///
    /// # Errors
    ///
    /// The trap of the specification.
    pub fn lift_own(&mut self, table: TableId, index: u32, ty: ResourceTypeId) -> Result<u32, TrapCode> {
        let table = self.table(table);
        if table.get(index, ty)?.ownership != Ownership::Own && !wattest_abi::mutant!(borrow_given_away) {
            return Err(TrapCode::HandleTypeMismatch);
        }
        Ok(table.remove(index, ty)?.rep)
    }

    /// `lift_borrow`: lends a handle for the innermost call and gives its representation.
    ///
    /// # Errors
    ///
    /// The trap of the specification.
    pub fn lift_borrow(&mut self, table: TableId, index: u32, ty: ResourceTypeId) -> Result<u32, TrapCode> {
        let handle = self.table(table).get_mut(index, ty)?;
        let (rep, stamp) = (handle.rep, handle.stamp);
        if self.scopes.is_empty() || wattest_abi::mutant!(loan_not_counted) {
            return Ok(rep);
        }
        let handle = self.table(table).get_mut(index, ty)?;
        handle.lends = handle.lends.checked_add(1).ok_or(TrapCode::HandleTableFull)?;
        if let Some(scope) = self.scopes.last_mut() {
            scope.lenders.push(Lender { table, index, stamp });
        }
        Ok(rep)
    }

    /// `lower_own`: puts an owned handle into a table.
    ///
    /// # Errors
    ///
    /// The table is full.
    pub fn lower_own(&mut self, table: TableId, ty: ResourceTypeId, rep: u32) -> Result<u32, TrapCode> {
        self.table(table).add(ty, rep, Ownership::Own)
    }

    /// `lower_borrow`: puts a handle that lasts for the innermost call into a table, or gives the representation to the
    /// instance that implements the type.
    ///
    /// # Errors
    ///
    /// The table is full.
    pub fn lower_borrow(&mut self, table: TableId, ty: ResourceTypeId, rep: u32) -> Result<u32, TrapCode> {
        if let TableId::Component(component) = table
            && self.implements(component, ty)
            && !wattest_abi::mutant!(representation_hidden)
        {
            return Ok(rep);
        }
        let scope = u32::try_from(self.scopes.len().saturating_sub(1)).map_err(|_| TrapCode::HandleTableFull)?;
        let index = self.table(table).add(ty, rep, Ownership::Borrow { scope })?;
        if let Some(last) = self.scopes.last_mut() {
            match table {
                TableId::Host => last.host.push((index, ty)),
                TableId::Component(_) => last.borrows += 1,
            }
        }
        Ok(index)
    }

    /// `resource.drop`: takes a handle out; the representation, if it was owned and a destructor has to run.
    ///
    /// # Errors
    ///
    /// The trap of the specification.
    pub fn drop_handle(&mut self, table: TableId, index: u32, ty: ResourceTypeId) -> Result<Option<u32>, TrapCode> {
        let handle = self.table(table).remove(index, ty)?;
        match handle.ownership {
            Ownership::Own => Ok(Some(handle.rep)),
            Ownership::Borrow { scope } => {
                if let (Some(scope), TableId::Component(_)) = (self.scopes.get_mut(scope as usize), table) {
                    scope.borrows = scope.borrows.saturating_sub(1);
                }
                Ok(None)
            }
        }
    }
}
