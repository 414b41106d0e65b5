//! Fused adapters: calls from one component instance into another as core functions.
//!
//! A `canon lower` of a `canon lift`
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-lower)) lifts values out
//! of one linear memory and lowers them into another. Fused, no value is built in between: an [`AdapterModuleBuilder`] makes
//! a transfer plan of the types and the options of both ends and turns it into a core module, so that all of it but
//! transcoding and handle tables runs in the guests' sandbox.
//!
//! Invariant: equal adapters give equal bytes; the size of a module is linear in the types that its adapters mention; no
//! stack depth depends on a type beyond [`DEPTH_MAX`].
//!
//! Does not know: components, graphs, engines. Imports are named by their user's identifiers; functions of the host are rows
//! of [`Intrinsic`].
#![forbid(unsafe_code)]

mod adapter;
mod emit;
mod error;
pub mod interp;
mod intrinsic;
mod module;
pub mod plan;
pub mod print;

pub use adapter::{
    AbiType, Adapter, AdapterId, AdapterTrap, CallScope, Callee, Concurrency, EncodedAdapters, Export, FuncType,
    Import, ImportId, ImportKind, InstanceId, Memory, Side, Source,
};
pub use error::{End, FuseError};
pub use intrinsic::Intrinsic;
pub use module::{AdapterModuleBuilder, ModuleOptions};

/// The deepest nesting of types that is fused; what [`wattest_canon::Limits`] allows by default.
pub const DEPTH_MAX: u32 = 128;
/// Most transfer plans of one module.
pub const PLANS_MAX: u32 = 1 << 20;
/// Most bytes of one function: what engines commonly accept.
pub const FUNCTION_BYTES_MAX: usize = 7_654_321;
