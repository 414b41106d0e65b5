//! Globals ([spec](https://webassembly.github.io/spec/core/exec/runtime.html#global-instances)).
//!
//! Invariant: a global only ever holds values of its type.
//!
//! Does not know: where the value lies.

use crate::context::{AsContext, AsContextMut};
use crate::error::{Result, UsageError};
use crate::value::Val;
use wattest_module::GlobalType;
use wattest_vm::GlobalHandle;

/// A global of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Global {
    pub(crate) handle: GlobalHandle,
}

impl Global {
    /// Makes a global.
    ///
    /// # Errors
    ///
    /// The value does not fit the type or is another store's.
    ///
    /// ```
    /// use wattest::{Engine, Global, GlobalType, Store, Val, ValType};
    /// let mut store = Store::new(&Engine::default(), ());
    /// let ty = GlobalType { content: ValType::I32, mutable: true };
    /// let global = Global::new(&mut store, ty, Val::I32(1))?;
    /// global.set(&mut store, Val::I32(2))?;
    /// assert_eq!(global.get(&store)?, Val::I32(2));
    /// # Ok::<(), wattest::Error>(())
    /// ```
    pub fn new(mut store: impl AsContextMut, ty: GlobalType, value: Val) -> Result<Global> {
        let mut store = store.as_context_mut();
        value.check_type(ty.content, store.engine(), store.inner())?;
        let raw = value.to_raw(store.inner())?;
        let made = store.inner_mut().new_global(ty, raw);
        let handle = made.ok().flatten().ok_or(UsageError::WrongStore { what: "reference" })?;
        Ok(Global { handle })
    }

    /// The type.
    pub fn ty(&self, _store: impl AsContext) -> GlobalType {
        self.handle.ty()
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// The global is another store's.
    pub fn get(&self, store: impl AsContext) -> Result<Val> {
        let store = store.as_context();
        let inner = store.inner();
        let raw = inner.global(self.handle).map_err(|_| UsageError::WrongStore { what: "global" })?;
        Ok(Val::from_raw(raw, self.handle.ty().content, inner))
    }

    /// Sets the value.
    ///
    /// # Errors
    ///
    /// The global is immutable or another store's; the value does not fit or is another store's.
    pub fn set(&self, mut store: impl AsContextMut, value: Val) -> Result<()> {
        let mut store = store.as_context_mut();
        if !self.handle.ty().mutable {
            return Err(UsageError::Invalid("the global is immutable".to_owned()).into());
        }
        value.check_type(self.handle.ty().content, store.engine(), store.inner())?;
        let raw = value.to_raw(store.inner())?;
        let set = store.inner_mut().set_global(self.handle, raw);
        set.map(|_| ()).map_err(|_| UsageError::WrongStore { what: "global" }.into())
    }
}
