//! The harness: generated cases, the properties that they must satisfy, and the campaign behind `cargo prove`.
//!
//! A property is a function from a case to an outcome; the same code runs under `cargo test` over a few seeds, under
//! `cargo prove` over as many as fit in the time, and behind the libFuzzer shims.
//!
//! Invariant: a `u64` seed names a case for good, for one version of the generator.
//!
//! Does not know: sanitizers, libFuzzer, continuous integration.
#![deny(unsafe_code)]
#![deny(clippy::undocumented_unsafe_blocks)]
#![forbid(unsafe_op_in_unsafe_fn)]

pub mod allocator;
#[cfg(feature = "wattest")]
pub mod artifact;
pub mod campaign;
pub mod case;
#[cfg(feature = "wattest")]
pub mod command_line;
pub mod components;
#[cfg(feature = "wattest")]
pub mod configurations;
pub mod corpus;
pub mod coverage;
pub mod diff_core;
mod donors;
#[cfg(feature = "wattest")]
mod emi;
pub mod envelope;
pub mod features;
pub mod generate;
pub mod generate_component;
pub mod graphs;
#[cfg(feature = "suites")]
pub mod html;
#[cfg(feature = "suites")]
mod input;
mod interface;
pub mod isolate;
#[cfg(feature = "suites")]
pub mod kill;
pub mod litmus;
#[cfg(feature = "wattest")]
mod matrix;
pub mod minimize;
pub mod model;
pub mod mutate;
pub mod op_matrix;
pub mod panics;
#[cfg(feature = "wattest")]
pub mod parts;
pub mod patience;
mod pieces;
pub mod proof;
pub mod quarantine;
#[cfg(feature = "suites")]
pub mod reduction;
#[cfg(feature = "wattest")]
pub mod regression;
#[cfg(feature = "wattest")]
mod regression_component;
pub mod report;
#[cfg(feature = "suites")]
pub mod repro;
pub mod script;
pub mod smith;
pub mod soak;
pub mod source;
pub mod stats;
pub mod suites;
pub mod targets;
pub mod third;
#[cfg(feature = "suites")]
pub mod verdicts;
pub mod vote;
#[cfg(feature = "suites")]
pub mod witness;
pub mod worker;
