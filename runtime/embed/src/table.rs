//! Tables ([spec](https://webassembly.github.io/spec/core/exec/runtime.html#table-instances)).
//!
//! Invariant: a table only ever holds references of its element type.
//!
//! Does not know: how elements are laid out.

use crate::context::{AsContext, AsContextMut};
use crate::error::{Error, Result, UsageError};
use crate::value::Val;
use wattest_module::{TableType, ValType};
use wattest_vm::{TableGrowError, TableHandle};

/// A table of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    pub(crate) handle: TableHandle,
}

const WRONG: UsageError = UsageError::WrongStore { what: "table" };

impl Table {
    /// Makes a table filled with `init`.
    ///
    /// # Errors
    ///
    /// The value does not fit, or a limit is reached.
    ///
    /// ```
    /// use wattest::{Engine, RefType, Store, Table, TableType, Val};
    /// let mut store = Store::new(&Engine::default(), ());
    /// let ty = TableType { element: RefType::FUNC, table64: false, minimum: 2, maximum: None };
    /// let table = Table::new(&mut store, ty, Val::FuncRef(None))?;
    /// assert_eq!(table.grow(&mut store, 3, Val::FuncRef(None))?, 2);
    /// assert_eq!(table.size(&store), 5);
    /// # Ok::<(), wattest::Error>(())
    /// ```
    pub fn new(mut store: impl AsContextMut, ty: TableType, init: Val) -> Result<Table> {
        let mut store = store.as_context_mut();
        init.check_type(ValType::Ref(ty.element), store.engine(), store.inner())?;
        let raw = init.to_raw(store.inner())?;
        if ty.maximum.is_some_and(|maximum| maximum < ty.minimum) {
            return Err(UsageError::Invalid("a table's maximum is below its minimum".to_owned()).into());
        }
        let made = store.inner_mut().new_table(ty, raw);
        let handle = made.map_err(|error| Error::from(crate::instance::instantiate_error(error, &[])))?;
        Ok(Table { handle })
    }

    /// The type, with the current size as minimum.
    ///
    /// # Errors
    ///
    /// The table is another store's.
    pub fn ty(&self, store: impl AsContext) -> Result<TableType> {
        store.as_context().inner().table_type(self.handle).map_err(|_| WRONG.into())
    }

    /// Number of elements; 0 for another store's table.
    pub fn size(&self, store: impl AsContext) -> u64 {
        store.as_context().inner().table_type(self.handle).map_or(0, |ty| ty.minimum)
    }

    /// The element at `index`; `None` beyond the end or for another store's table.
    pub fn get(&self, store: impl AsContext, index: u64) -> Option<Val> {
        let store = store.as_context();
        let inner = store.inner();
        let ty = inner.table_type(self.handle).ok()?;
        let raw = inner.table_get(self.handle, index).ok()??;
        Some(Val::from_raw(raw, ValType::Ref(ty.element), inner))
    }

    /// Sets the element at `index`.
    ///
    /// # Errors
    ///
    /// The index is beyond the end, or the value does not fit.
    pub fn set(&self, mut store: impl AsContextMut, index: u64, value: Val) -> Result<()> {
        let mut store = store.as_context_mut();
        let ty = store.inner().table_type(self.handle).map_err(|_| WRONG)?;
        value.check_type(ValType::Ref(ty.element), store.engine(), store.inner())?;
        let raw = value.to_raw(store.inner())?;
        match store.inner_mut().table_set(self.handle, index, raw) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => {
                let text = format!("index {index} is beyond a table of {} elements", ty.minimum);
                Err(UsageError::Invalid(text).into())
            }
            Err(_) => Err(WRONG.into()),
        }
    }

    /// Adds `delta` elements of `init`; returns the old size.
    ///
    /// # Errors
    ///
    /// The value does not fit, or a limit is reached.
    pub fn grow(&self, mut store: impl AsContextMut, delta: u64, init: Val) -> Result<u64> {
        let mut store = store.as_context_mut();
        let ty = store.inner().table_type(self.handle).map_err(|_| WRONG)?;
        init.check_type(ValType::Ref(ty.element), store.engine(), store.inner())?;
        let raw = init.to_raw(store.inner())?;
        match store.inner_mut().table_grow(self.handle, delta, raw) {
            Ok(Ok(old)) => Ok(old),
            Ok(Err(TableGrowError::Refused)) => Err(Error::Limit(format!("the table cannot grow by {delta}"))),
            Ok(Err(TableGrowError::Limiter(error))) => Err(crate::func::host_error(error, &[])),
            Err(_) => Err(WRONG.into()),
        }
    }
}
