//! Emitted adapters run in wasmi, beside the interpreter of the same plans and beside lifting to values and lowering again.
//!
//! Invariant: a test's inputs come from a seed that stands in it.
//!
//! Does not know: the runtime that adapters are for.

mod calls;
mod generate;
mod hostile;
mod interpret;
mod limits;
mod random;
mod world;
