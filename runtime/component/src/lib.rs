//! Components: dataflow graph, schedule, linear plan, and the proof that the plan means what the graph means.
//!
//! `decode → elaborate → Graph → passes → schedule → Linear → verify`: a component of the
//! [component model](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md) becomes a [`Graph`] of
//! effects and pure values, and that a [`Plan`] that a runtime executes from front to back.
//!
//! Invariant: for every graph, the plan performs the same effects in the same order on the same values; the verifier proves it
//! for each plan in debug builds, in tests and under fuzzing.
//!
//! Does not know: code generators, stores, instances, threads of execution.
#![forbid(unsafe_code)]

mod decode;
mod elaborate;
mod emit;
mod error;
mod explain;
mod features;
pub mod graph;
mod hash;
mod ids;
pub mod intrinsics;
mod linear;
mod linearize;
mod passes;
mod pipeline;
#[cfg(any(test, feature = "random"))]
pub mod random;
pub mod schedule;
mod types;
pub mod verify;

pub use decode::{DEPTH_MAX, DecodeOptions, is_component};
pub use elaborate::ElaborateLimits;
pub use emit::{FuseEmitter, component_of};
pub use error::{ComponentError, Limit, LimitError};
pub use explain::{View, explain};
pub use features::{Features, Proposal};
pub use graph::{Graph, GraphLimits, Node, Statics};
pub use ids::{
    AdapterIndex, ComponentIndex, ExportIndex, FuncTypeIndex, ImportIndex, ModuleIndex, NodeId, Position,
    SignatureIndex, Slot, SlotKind,
};
pub use linear::{Adapter, AdapterRef, Linear, LoadKey, Op, Plan, SlotCounts};
pub use linearize::{Emit, Emitted, LinearLimits, linearize};
pub use passes::{Facts, Pass, Passes, run_passes};
pub use pipeline::{CompileOptions, compile, compile_with_graph, graph_of};
