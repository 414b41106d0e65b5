//! The virtual machine: the one house of unsafe code.
//!
//! Mappings, linear memories, tables, instances, stores, traps, trampolines and builtins. It runs compiled code that it is
//! given and offers a safe interface to the embedding API; what it cannot check (that code was compiled for the contract in
//! `wattest_abi`) is asked for by `unsafe` in exactly one place, [`RuntimeModule::new`].
//!
//! Invariant: an unsafe entry turns raw arguments into checked ones and calls a safe body.
//!
//! Does not know: the binary format, code generators, names and linking.
#![deny(clippy::undocumented_unsafe_blocks)]
#![forbid(unsafe_op_in_unsafe_fn)]

pub mod activation;
pub mod artifact;
mod builtins;
mod call;
pub mod code;
pub mod component;
mod constant;
mod entities;
mod exception;
mod flat;
mod func;
mod gc;
mod host;
mod instance;
mod limits;
pub mod memory;
mod module;
pub mod pool;
pub mod registry;
mod samples;
mod store;
pub mod suspend;
pub mod sys;
mod table;
mod trap;
mod types;
mod value;

pub use call::CallError;
pub use entities::{GlobalHandle, MemoryGrowError};
pub use exception::{TagHandle, Thrown};
pub use flat::{FLAT_SLOTS, FlatFunc, FlatSlots, MemoryPair};
pub use func::FuncHandle;
pub use gc::{AllocError, HeapConfig, HeapError, ObjectError, Root};
pub use host::{CallerInfo, HostFunction, ResultMismatch};
pub use instance::{Extern, InstantiateError};
pub use limits::{ResourceLimiter, TABLE_ELEMENTS_MAX};
pub use memory::SharedMemory;
pub use module::{ModuleBytes, RuntimeModule, vmctx_fits};
pub use samples::Samples;
pub use store::{
    EpochAnswer, EpochCallback, InstanceId, LimiterOf, MemoryHandle, MemorySource, Store, StoreConfig, StoreId,
    StoreInner, TableHandle, WrongStore,
};
pub use table::{OutOfBounds, TableGrowError};
pub use trap::{CallFailure, FailedAccess, FailedElement, Frame, HostError, Refused};
pub use types::{Signature, TYPES_MAX, TooManyTypes, TypeRegistry, engine_ref, engine_type};
pub use value::{Raw, RawRef, TypedHandle, V128, WasmValue, WasmValues};
