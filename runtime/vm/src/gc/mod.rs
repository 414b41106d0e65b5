//! The garbage-collected heap of a store
//! ([spec](https://webassembly.github.io/spec/core/exec/runtime.html#aggregate-instances)).
//!
//! Objects are allocated by bumping a pointer and copied, as long as they are reachable, from one half of a reservation to
//! the other. Host values that references name are kept in a list beside it and marked on the way.
//!
//! How a reference stays valid: compiled code's are in stack maps; those in globals, tables, element segments and objects
//! are found by their owners; the host keeps a [`Root`]. A raw reference, a plain `u32`, is valid until the next
//! allocation or call.
//!
//! Invariant: a collection runs only while every live reference is in one of those places: in a builtin that says so, or
//! when the host asks.
//!
//! Does not know: modules, types beyond their layout.

mod collect;
mod frames;
mod heap;
mod hosts;
mod objects;
mod roots;
mod verify;

pub(crate) use heap::Heap;
pub use heap::{AllocError, HeapConfig};
pub(crate) use hosts::HostValues;
pub use objects::ObjectError;
pub use roots::Root;
pub(crate) use roots::{ConstValue, RootTable};
pub use verify::HeapError;
