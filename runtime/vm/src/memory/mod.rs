//! Linear memories ([spec](https://webassembly.github.io/spec/core/exec/runtime.html#memory-instances)).
//!
//! [`LinearMemory`] belongs to one store and may stem from a mapping of its own or from a pool; [`SharedMemory`] is
//! used by several threads; [`MemoryImage`] is what a memory starts with.
//!
//! Promises: sizes that the machine cannot offer are [`MemoryError`]s.
//!
//! Invariant: bytes from a memory's length (rounded up to a host page) to the end of its guard always fault, and every
//! byte that was never written reads as zero or as the image.
//!
//! Does not know: instances, stores, traps as control flow.

mod growth;
mod image;
mod layout;
mod linear;
#[cfg(all(test, wattest_model))]
mod model;
mod shared;
mod sync;
mod wait;
#[cfg(test)]
mod wait_tests;

pub use image::{COPIED_BYTES_MAX, ImageRef, MemoryImage};
pub(crate) use layout::Layout;
pub use linear::LinearMemory;
pub use shared::{SharedMemory, check_atomic};
pub use wait::{Parking, WaitOutcome};

use crate::sys::MapError;

/// A memory cannot be made or grown.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// More than the machine, the address width or the pool allows.
    #[error("a memory of {pages} pages of {page_bytes} bytes is too large: the limit is {limit_bytes} bytes")]
    TooLarge {
        /// Pages asked for.
        pages: u64,
        /// Bytes per page.
        page_bytes: u64,
        /// What is possible, in bytes.
        limit_bytes: u64,
    },
    /// An initial image that does not fit the memory's initial size.
    #[error("the initial image ends at byte {end_bytes} of a memory of {length_bytes} bytes")]
    ImageOutOfBounds {
        /// Where the image ends, in bytes.
        end_bytes: u64,
        /// The memory's initial length in bytes.
        length_bytes: u64,
    },
    /// Every slot of the pool is taken.
    #[error("all {slots} memories of the pool are in use")]
    LimitReached {
        /// The pool's size.
        slots: u32,
    },
    /// The system refused.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A shared memory was asked for where an unshared one is needed, or the reverse.
    #[error("the memory type is {}shared", if *.shared { "" } else { "not " })]
    Sharing {
        /// What the type says.
        shared: bool,
    },
}
