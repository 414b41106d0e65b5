//! The embedding API of Wattest.
//!
//! An [`Engine`] compiles [`Module`]s under a [`Config`]; a [`Store`] holds [`Instance`]s of them and everything they make;
//! a [`Linker`] connects them with host functions by name. The API follows the specification's embedding interface
//! ([spec](https://webassembly.github.io/spec/core/appendix/embedding.html)).
//!
//! ```
//! use wattest::{Engine, Linker, Module, Store};
//!
//! let engine = Engine::default();
//! let module = Module::new(
//!     &engine,
//!     r#"(module
//!         (import "host" "double" (func $double (param i32) (result i32)))
//!         (func (export "quadruple") (param i32) (result i32)
//!             (call $double (call $double (local.get 0)))))"#,
//! )?;
//! let mut linker = Linker::new(&engine);
//! linker.func_wrap("host", "double", |x: i32| x * 2)?;
//! let mut store = Store::new(&engine, ());
//! let instance = linker.instantiate(&mut store, &module)?;
//! let quadruple = instance.get_typed_func::<i32, i32>(&mut store, "quadruple")?;
//! assert_eq!(quadruple.call(&mut store, 5)?, 20);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariant: nothing a guest supplies makes this crate panic, and a handle used with a store that is not its own is an
//! error that says so.
//!
//! Does not know: WASI, files (but for loading artifacts), the command line.
#![deny(unsafe_code)]
#![deny(clippy::undocumented_unsafe_blocks)]
#![forbid(unsafe_op_in_unsafe_fn)]

pub mod component;
mod config;
mod context;
mod engine;
mod error;
mod exception;
mod externs;
mod func;
mod global;
mod instance;
mod limits;
mod linker;
mod load;
mod memory;
mod module;
mod object_types;
mod options;
pub mod profile;
mod reference;
mod snapshot;
mod store;
mod suspend;
mod table;
mod typed;
mod types;
mod value;

pub use config::{Config, ConfigError};
pub use context::{AsContext, AsContextMut, Caller, StoreContext, StoreContextMut};
pub use engine::Engine;
pub use error::{
    Backtrace, CompileError, DeserializeError, Error, FailedAccess, FailedElement, Frame, HostError, ImportMismatch,
    InstantiateError, LinkError, LocalValue, MissingImport, Result, SerializeError, Trap, UsageError,
};
pub use exception::{ExnRef, Tag, UncaughtException};
pub use externs::Extern;
pub use func::{Func, TypedFunc};
pub use global::Global;
pub use instance::Instance;
pub use limits::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};
pub use linker::Linker;
pub use memory::{Memory, MemoryAccessError, SharedMemory};
pub use module::{ExportType, ImportType, Module};
pub use object_types::{ArrayType, ConcreteType, StructDeclaration, StructType};
pub use options::{OptionRow, Strategy};
pub use reference::{AnyRef, ArrayRef, EqRef, ExternRef, I31, StructRef};
pub use snapshot::{GlobalSnapshot, InstanceSnapshot, MemorySnapshot, Snapshot};
pub use store::Store;
pub use suspend::HostFuture;
pub use table::Table;
pub use typed::{HostResult, IntoFunc, WasmParams, WasmResults, WasmTy};
pub use types::{ExternType, FuncType};
pub use value::Val;
pub use wattest_abi::TrapCode;
pub use wattest_abi::tunables::{CallPath, OptLevel, RegAlloc};
pub use wattest_compile::CpuFeatures;
pub use wattest_component::ComponentError;
pub use wattest_module::{
    Feature, Features, FieldType, GlobalType, HeapType, MemoryType, RefType, StorageType, TableType, ValType,
};
pub use wattest_vm::{EpochAnswer, V128};
