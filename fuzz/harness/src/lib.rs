//! The harness: generated cases, the properties that they must satisfy, and the campaign behind `cargo prove`.
//!
//! A property is a function from a case to an outcome; the same code runs under `cargo test` over a few seeds, under
//! `cargo prove` over as many as fit in the time, and behind the libFuzzer shims.
//!
//! Invariant: a `u64` seed names a case for good, for one version of the generator.
//!
//! Does not know: sanitizers, libFuzzer, continuous integration.
#![forbid(unsafe_code)]

pub mod campaign;
pub mod case;
pub mod components;
pub mod corpus;
pub mod diff_core;
pub mod generate;
pub mod generate_component;
pub mod graphs;
pub mod litmus;
pub mod model;
pub mod op_matrix;
pub mod panics;
pub mod quarantine;
pub mod reduce;
pub mod report;
pub mod script;
pub mod smith;
pub mod source;
pub mod stats;
pub mod suites;
pub mod targets;
pub mod vote;
pub mod worker;
