//! The contract between compiled code and the virtual machine.
//!
//! Everything that both `compile` (which emits code) and `vm` (which runs it) must agree on, and nothing else: the layout
//! of the per-instance context, the builtin table, trap codes, the calling convention, the tunables that change generated
//! code, and the artifact format. There is no logic here beyond arithmetic on layouts.
//!
//! Invariant: a change of any layout or row in this crate changes [`artifact::VERSION`], so that code compiled under one
//! contract is never run under another.
//!
//! Does not know: WebAssembly's binary format, code generators, operating systems.
#![forbid(unsafe_code)]

pub mod artifact;
pub mod builtins;
pub mod call;
#[cfg(fuzzing)]
pub mod features;
pub mod gc;
#[cfg(wattest_mutants)]
pub mod mutants;
pub mod trap;
pub mod tunables;
pub mod vmctx;

pub use builtins::Builtin;
pub use call::{ArgLocation, CallShape, ResultShape, ValueKind};
pub use trap::TrapCode;
pub use tunables::Tunables;
pub use vmctx::VmOffsets;

/// Size in bytes of a linear-memory page unless a memory type says otherwise
/// ([spec](https://webassembly.github.io/spec/core/exec/runtime.html#memory-instances)).
pub const WASM_PAGE_BYTES: u64 = 65_536;

/// Whether a planted fault is switched on: the constant `false` in ordinary builds, in which the faults' table does not
/// exist. See `mutants.rs`.
#[cfg(not(wattest_mutants))]
#[macro_export]
macro_rules! mutant {
    ($name:ident) => {
        false
    };
}

/// Whether a planted fault is switched on.
#[cfg(wattest_mutants)]
#[macro_export]
macro_rules! mutant {
    ($name:ident) => {
        $crate::mutants::is_on($crate::mutants::Mutant::$name)
    };
}
