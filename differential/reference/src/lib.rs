//! A definitional interpreter for WebAssembly: the specification's rules, written down once more.
//!
//! An oracle. It shares nothing with the runtime that it judges: the byte reader is `wasmparser`'s, everything else, the
//! validator included, follows the [specification](https://webassembly.github.io/spec/core/) chapter by chapter: structure
//! in [`types`], [`module`] and [`instruction`]; validation in [`validation`] and `matching`; execution in [`store`],
//! [`numerics`], `instantiation` and `execution`. All of WebAssembly 3.0 in its
//! [deterministic profile](https://webassembly.github.io/spec/core/appendix/profiles.html), and threads (as a single
//! thread sees them), wide arithmetic, custom page sizes and custom descriptors; branch hints are checked for whoever asks.
//! Anything else is refused as [`ModuleError::Unsupported`].
//!
//! ```
//! use wattest_reference::{Budget, Extern, Features, Module, Store, Value};
//! let text = "(module (func (export \"f\") (param i32) (result i32) local.get 0 i32.const 1 i32.add))";
//! let module = Module::decode(&wat::parse_str(text)?, Features::default())?;
//! let mut store = Store::new(Budget::default());
//! let instance = store.instantiate(&module, &[])?;
//! let Some(Extern::Func(f)) = store.export(instance, "f") else { panic!() };
//! assert_eq!(store.invoke(f, &[Value::I32(41)])?, [Value::I32(42)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariant: nothing a guest supplies panics, recurses on the host's stack or exceeds the [`Budget`].
//!
//! Does not know: any other engine; speed beyond what a check needs.
#![forbid(unsafe_code)]

/// Whether a planted fault of this interpreter is on: the constant `false` in ordinary builds. See `flips.rs`.
#[cfg(not(wattest_mutants))]
macro_rules! flipped {
    ($name:ident) => {
        false
    };
}

/// Whether a planted fault of this interpreter is on.
#[cfg(wattest_mutants)]
macro_rules! flipped {
    ($name:ident) => {
        $crate::flips::is_on($crate::flips::Flip::$name)
    };
}

pub mod access;
pub mod component;
mod custom;
pub mod error;
mod execution;
#[cfg(wattest_mutants)]
pub mod flips;
mod instantiation;
pub mod instruction;
mod lowering;
mod matching;
pub mod module;
pub mod numerics;
pub mod operators;
pub mod store;
pub mod tally;
pub mod types;
pub mod validation;
pub mod value;

pub use error::{Failure, ModuleError, Trap, TrapClass};
pub use module::{Export, Features, Import, Kind, Module};
pub use store::{
    Budget, Extern, FuncAddr, GlobalAddr, HostFunc, Instance, InstanceAddr, Memory, MemoryAddr, Store, Table,
    TableAddr, TagAddr,
};
pub use tally::{Group, Tally};
pub use types::{
    CompType, ExternType, FieldType, FuncType, GlobalType, HeapType, Limits, MemoryType, RefType, StorageType, SubType,
    TableType, TypeId, Types, ValType,
};
pub use value::{Ref, Slot, Value};
