//! What modules import and export.
//!
//! Invariant: an [`Extern`] is a handle into one store, save a shared memory, which belongs to none.
//!
//! Does not know: names.

use crate::context::AsContext;
use crate::error::UsageError;
use crate::exception::Tag;
use crate::func::Func;
use crate::global::Global;
use crate::memory::{Memory, SharedMemory};
use crate::table::Table;
use crate::types::{ExternType, FuncType};
use wattest_vm::StoreInner;

/// An importable or exported entity.
#[derive(Clone, Debug)]
pub enum Extern {
    /// A function.
    Func(Func),
    /// A global.
    Global(Global),
    /// A table.
    Table(Table),
    /// A tag.
    Tag(Tag),
    /// A memory of one store.
    Memory(Memory),
    /// A memory shared between stores and threads.
    SharedMemory(SharedMemory),
}

impl Extern {
    /// The function, if it is one.
    pub fn into_func(self) -> Option<Func> {
        if let Extern::Func(func) = self { Some(func) } else { None }
    }

    /// The global, if it is one.
    pub fn into_global(self) -> Option<Global> {
        if let Extern::Global(global) = self { Some(global) } else { None }
    }

    /// The tag, if it is one.
    pub fn into_tag(self) -> Option<Tag> {
        if let Extern::Tag(tag) = self { Some(tag) } else { None }
    }

    /// The table, if it is one.
    pub fn into_table(self) -> Option<Table> {
        if let Extern::Table(table) = self { Some(table) } else { None }
    }

    /// The memory, if it is one of a single store.
    pub fn into_memory(self) -> Option<Memory> {
        if let Extern::Memory(memory) = self { Some(memory) } else { None }
    }

    /// The memory, if it is a shared one.
    pub fn into_shared_memory(self) -> Option<SharedMemory> {
        if let Extern::SharedMemory(memory) = self { Some(memory) } else { None }
    }

    /// The type; sizes are current ones.
    ///
    /// # Errors
    ///
    /// The entity is another store's.
    pub fn ty(&self, store: impl AsContext) -> Result<ExternType, UsageError> {
        let store = store.as_context();
        self.ty_in(store.engine(), store.inner())
    }

    pub(crate) fn ty_in(&self, engine: &crate::engine::Engine, store: &StoreInner) -> Result<ExternType, UsageError> {
        let wrong = |what| move |_| UsageError::WrongStore { what };
        Ok(match self {
            Extern::Func(func) => ExternType::Func(FuncType { ty: func.signature(engine, store)?.ty.clone() }),
            Extern::Global(global) => ExternType::Global(global.handle.ty()),
            Extern::Tag(tag) => ExternType::Tag(FuncType { ty: tag.signature(engine, store)?.ty.clone() }),
            Extern::Table(table) => ExternType::Table(store.table_type(table.handle).map_err(wrong("table"))?),
            Extern::Memory(memory) => ExternType::Memory(store.memory_type(memory.handle).map_err(wrong("memory"))?),
            Extern::SharedMemory(memory) => ExternType::Memory(memory.ty()),
        })
    }

    /// What the virtual machine takes; makes a shared memory known to the store.
    ///
    /// # Errors
    ///
    /// A shared memory of another engine has no room for what this engine's code relies on.
    pub(crate) fn to_vm(&self, store: &mut StoreInner) -> Result<wattest_vm::Extern, UsageError> {
        Ok(match self {
            Extern::Func(func) => wattest_vm::Extern::Func(func.handle),
            Extern::Global(global) => wattest_vm::Extern::Global(global.handle),
            Extern::Tag(tag) => wattest_vm::Extern::Tag(tag.handle),
            Extern::Table(table) => wattest_vm::Extern::Table(table.handle),
            Extern::Memory(memory) => wattest_vm::Extern::Memory(memory.handle),
            Extern::SharedMemory(memory) if !memory.inner.suits(&store.config().tunables) => {
                return Err(UsageError::WrongEngine { what: "shared memory" });
            }
            Extern::SharedMemory(memory) => wattest_vm::Extern::Memory(store.add_shared_memory(memory.inner.clone())),
        })
    }

    pub(crate) fn from_vm(given: wattest_vm::Extern, store: &StoreInner) -> Extern {
        match given {
            wattest_vm::Extern::Func(handle) => Extern::Func(Func { handle }),
            wattest_vm::Extern::Global(handle) => Extern::Global(Global { handle }),
            wattest_vm::Extern::Tag(handle) => Extern::Tag(Tag { handle }),
            wattest_vm::Extern::Table(handle) => Extern::Table(Table { handle }),
            wattest_vm::Extern::Memory(handle) => match store.as_shared_memory(handle) {
                Ok(Some(inner)) => Extern::SharedMemory(SharedMemory { inner: inner.clone() }),
                _ => Extern::Memory(Memory { handle }),
            },
        }
    }
}

macro_rules! from {
    ($($ty:ident),*) => {
        $(
            impl From<$ty> for Extern {
                fn from(entity: $ty) -> Extern {
                    Extern::$ty(entity)
                }
            }
        )*
    };
}
from!(Func, Global, Tag, Table, Memory, SharedMemory);
