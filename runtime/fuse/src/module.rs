//! Adapter modules: adapters in, one core module out.
//!
//! Imports are interned in the order of first use, so equal adapters give equal bytes.
//!
//! Invariant: an adapter's callees are imports or adapters added before it.
//!
//! Does not know: how values are transferred.

use crate::adapter::{Adapter, AdapterId, EncodedAdapters, ImportId};
use crate::error::FuseError;
use wattest_canon::Types;

/// What holds for all adapters of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ModuleOptions {
    /// The engine knows exceptions: one that reaches a component boundary becomes a trap. Without, none can.
    pub exceptions: bool,
}

/// Collects adapters and encodes them.
#[derive(Debug)]
pub struct AdapterModuleBuilder<'a, I> {
    types: &'a Types,
    options: ModuleOptions,
    adapters: Vec<Adapter<I>>,
}

impl<'a, I: ImportId> AdapterModuleBuilder<'a, I> {
    /// A module without adapters, whose types are those of one arena.
    pub fn new(types: &'a Types, options: ModuleOptions) -> Self {
        AdapterModuleBuilder { types, options, adapters: Vec::new() }
    }

    /// Adds an adapter.
    ///
    /// # Errors
    /// A [`FuseError`]; the module is then not to be used any more.
    pub fn adapter(&mut self, adapter: Adapter<I>) -> Result<AdapterId, FuseError> {
        let _ = (self.types, self.options);
        self.adapters.push(adapter);
        Err(FuseError::Unimplemented)
    }

    /// The module.
    ///
    /// # Errors
    /// [`FuseError::TooLarge`].
    pub fn finish(self) -> Result<EncodedAdapters<I>, FuseError> {
        Err(FuseError::Unimplemented)
    }
}
