//! The house rules, as tests: `cargo test -p wattest-tidy`.
//!
//! Each test prints every violation as `path:line: what` and, at the end, the fix. The design behind the rules is in
//! `runtime/ARCHITECTURE.md`.
//!
//! Invariant: a rule looks at the whole repository; its exceptions are rows of a list beside it that may only shrink.
//!
//! Does not know: what the code computes.

mod docs;
mod files;
mod hygiene;
mod layers;
mod layout;
mod names;
mod sizes;
mod unsafety;
