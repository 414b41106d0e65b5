//! The code generator: function bodies to machine code.
//!
//! [`compile_module`] turns every body of a validated [`wattest_module::ModuleDesc`] into position-independent machine
//! code with trap and address maps, laid out and relocated: a [`wattest_abi::artifact::CompiledCode`].
//! [`ModuleCompiler::compile_function`] is the unit it maps over, and the one that a lazy tier calls.
//!
//! Invariant: equal inputs give equal bytes, whatever the number of threads; nothing a module contains makes this crate
//! panic.
//!
//! Does not know: how code is mapped, called or interrupted (`vm`); how options are named (`embed`).
#![forbid(unsafe_code)]

mod env;
mod error;
#[cfg(fuzzing)]
mod features;
mod function;
mod link;
mod module;
#[cfg(wattest_mutants)]
mod mutants;
mod places;
mod signature;
mod target;
mod translate;

pub use env::ModuleCompiler;
pub use error::{CompileError, CompileErrorKind};
pub use function::{FunctionCode, Worker};
pub use module::{compile_function, compile_module};
pub use target::{CpuFeatures, Target, TargetError};
