//! The conformance suites and what runs them.
//!
//! [`suites`] finds the official `.wast` files, [`script`] parses and encodes each of them once, [`runner`] puts an engine
//! through a script ([spec](https://github.com/WebAssembly/spec/tree/main/interpreter#scripts)), [`expected`] compares the
//! outcome with the checked list of expected failures. An engine is anything that implements [`WastEngine`]; Wattest's own
//! implementation is [`adapter`].
//!
//! Invariant: nothing but [`adapter`] names a type of the runtime.
//!
//! Does not know: who asks for a run (the test harness, the command line, the proof campaign).
#![forbid(unsafe_code)]

pub mod adapter;
pub mod campaign;
pub mod component;
pub mod engine;
pub mod expected;
#[cfg(test)]
mod fake;
pub mod features;
pub mod report;
pub mod runner;
#[cfg(test)]
mod runner_tests;
pub mod script;
pub mod spectest;
pub mod suites;
pub mod trap;
pub mod value;

pub use component::ComponentValue;
pub use engine::{Failure, InstanceId, MissingImport, ModuleId, Session, WastEngine};
pub use expected::Expectations;
pub use features::FeatureSet;
pub use report::{FileReport, Summary};
pub use runner::run_script;
pub use script::Script;
pub use suites::{Suite, SuiteFile, Suites};
pub use trap::TrapClass;
pub use value::{Heap, Pattern, RefKind, Value};
