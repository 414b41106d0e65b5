//! The operating system: the only place that asks which one it is.
//!
//! Promises: every failure of the system is a [`MapError`] value; nothing here aborts or panics on what a guest asks
//! for.
//!
//! Invariant: `target_os` and `target_arch` are consulted in this folder only.
//!
//! Does not know: WebAssembly.

pub mod fault;
mod machine;
mod mmap;
pub mod signal;
pub mod trampoline;

pub use machine::{address_limit_bytes, page_bytes, round_up_to_page};
pub(crate) use machine::{stack_pointer, sync_instruction_cache};
pub(crate) use mmap::anonymous_file;
pub use mmap::{MapError, Mapping, Protection};
