//! The house rules' instruments: what a rule needs to look at this repository.
//!
//! The rules themselves are the tests under `tests/house`, one file per subject; each prints every violation as
//! `path:line: what`, all at once, with the fix at the end. A limit is a ratchet: its list of exceptions may only shrink,
//! so a row that is no longer needed fails as well.
//!
//! Invariant: nothing here writes, nor depends on time, network or the order in which a directory is listed.
//!
//! Does not know: any other crate of the house; it reads their text and what `cargo metadata` says of them.

#![forbid(unsafe_code)]

pub mod packages;
pub mod report;
pub mod source;
pub mod tree;
