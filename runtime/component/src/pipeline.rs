//! The pipeline: component binary in, plan out.
//!
//! `decode → elaborate → passes → schedule → linear → verify`, with adapter modules emitted on the way
//! ([what instantiating a component means](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md)).
//!
//! Invariant: the same binary and options give the same plan, byte for byte; a plan is verified against its graph in debug
//! builds and whenever it is asked for.
//!
//! Does not know: how a plan is executed.

use crate::decode::{DecodeOptions, decode};
use crate::elaborate::{ElaborateLimits, elaborate};
use crate::emit::FuseEmitter;
use crate::error::ComponentError;
use crate::graph::Graph;
use crate::linear::Plan;
use crate::linearize::{LinearLimits, linearize};
use crate::passes::{Passes, run_passes};
use crate::schedule::Grouping;
use crate::verify::{verify, verify_templates};

/// How a component is compiled.
#[derive(Clone, Copy, Debug)]
pub struct CompileOptions {
    /// What is decoded.
    pub decode: DecodeOptions,
    /// How large the elaboration may become.
    pub elaborate: ElaborateLimits,
    /// Which passes run.
    pub passes: Passes,
    /// How adapters are put into modules.
    pub grouping: Grouping,
    /// How large the plan may become.
    pub linear: LinearLimits,
    /// Whether the plan is held against its graph in release builds too.
    pub verify: bool,
}

impl Default for CompileOptions {
    fn default() -> CompileOptions {
        CompileOptions {
            decode: DecodeOptions::default(),
            elaborate: ElaborateLimits::default(),
            passes: Passes::all(),
            grouping: Grouping::default(),
            linear: LinearLimits::default(),
            verify: cfg!(debug_assertions),
        }
    }
}

/// The graph of a component, after the passes.
///
/// # Errors
/// A [`ComponentError`] when the component is not valid, uses something unsupported or reaches a limit.
pub fn graph_of(bytes: &[u8], options: &CompileOptions) -> Result<Graph, ComponentError> {
    let ast = decode(bytes, &options.decode)?;
    let graph = elaborate(&ast, &options.elaborate)?;
    run_passes(graph, &options.passes)
}

/// A component as a graph and a plan of it. The graph has the nodes that adapters added.
///
/// # Errors
/// A [`ComponentError`]; [`ComponentError::Rejected`] when the plan does not mean what the graph means.
pub fn compile_with_graph(bytes: &[u8], options: &CompileOptions) -> Result<(Graph, Plan), ComponentError> {
    let mut graph = graph_of(bytes, options)?;
    let mut emitter = FuseEmitter::new(&graph, &options.passes);
    let linear = linearize(&mut graph, options.grouping, &options.linear, &mut emitter)?;
    if options.verify {
        let verdict = verify(&graph, &linear).and_then(|()| verify_templates(&linear));
        verdict.map_err(|defect| ComponentError::Rejected(defect.to_string()))?;
    }
    let plan = Plan { statics: graph.statics.clone(), linear };
    Ok((graph, plan))
}

/// Compiles a component.
///
/// The core modules to compile are those of [`crate::Statics::modules`], as ranges of `bytes`, and
/// [`crate::Linear::templates`].
///
/// # Errors
/// See [`compile_with_graph`].
pub fn compile(bytes: &[u8], options: &CompileOptions) -> Result<Plan, ComponentError> {
    compile_with_graph(bytes, options).map(|(_, plan)| plan)
}
