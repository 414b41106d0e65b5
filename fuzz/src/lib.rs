//! What the libFuzzer shims share.
//!
//! Invariant: nothing here decides what a case is, or what is checked.
//!
//! Does not know: targets.
#![deny(unsafe_code)]
#![deny(clippy::undocumented_unsafe_blocks)]
#![forbid(unsafe_op_in_unsafe_fn)]

pub mod counters;
