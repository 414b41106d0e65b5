//! What the pipeline makes of a component, for people to read.
//!
//! Every stage has a text
//! ([the pipeline](crate)): the graph with its schedule, the plan, a picture of both, and for one adapter how each value goes
//! [from one memory into another](wattest_fuse::plan).
//!
//! Invariant: the text is that of the very objects that are executed.
//!
//! Does not know: terminals.

use crate::error::ComponentError;
use crate::graph::{Fused, Graph, Node, Opts, dot, print, print_plan};
use crate::ids::NodeId;
use crate::pipeline::{CompileOptions, compile, graph_of};
use crate::schedule::Schedule;
use std::fmt::Write as _;
use wattest_canon::TypeId;
use wattest_fuse::FuseError;
use wattest_fuse::plan::{Abi, Plans, Route};

/// Which stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// The graph after the passes, with its schedule.
    Graph,
    /// The linear plan.
    Linear,
    /// Both as a picture in the DOT language.
    Dot,
    /// The transfer plans of an adapter, by its name in the graph: `n8`.
    Plan(String),
}

/// A stage of a component's compilation as text.
///
/// # Errors
/// What compiling it ends in; [`ComponentError::Unsupported`] when there is no such adapter.
pub fn explain(bytes: &[u8], options: &CompileOptions, view: &View) -> Result<String, ComponentError> {
    if *view == View::Linear {
        let plan = compile(bytes, options)?;
        return Ok(print_plan(&plan.statics, &plan.linear));
    }
    let graph = graph_of(bytes, options)?;
    let schedule = Schedule::of(&graph, options.grouping);
    match view {
        View::Plan(name) => transfer(&graph, name),
        View::Dot => Ok(dot(&graph, &schedule)),
        View::Graph | View::Linear => Ok(print(&graph, Some(&schedule))),
    }
}

fn transfer(graph: &Graph, name: &str) -> Result<String, ComponentError> {
    let adapters = || {
        let nodes = (0..).map(NodeId).zip(graph.nodes());
        nodes.filter_map(|(id, node)| if let Node::Fused(fused) = node { Some((id, fused)) } else { None })
    };
    let Some((_, fused)) = adapters().find(|(id, _)| id.to_string() == name) else {
        let known: Vec<String> = adapters().map(|(id, _)| id.to_string()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(ComponentError::Unsupported(format!("there is no adapter `{name}`; there are: {known}")));
    };
    text(graph, fused).map_err(|error| ComponentError::Unsupported(error.to_string()))
}

fn text(graph: &Graph, fused: &Fused<NodeId>) -> Result<String, FuseError> {
    let abi = |opts: &Opts<NodeId>| Abi { encoding: opts.encoding, width: opts.width() };
    let (lower, lift) = (abi(&fused.lower.opts), abi(&fused.lift.opts));
    let types = &graph.statics.types;
    let mut out = String::new();
    let Some(ty) = graph.statics.func_types.get(fused.lift.ty.index()) else { return Ok(out) };
    let params: Vec<TypeId> = ty.params.iter().map(|(_, ty)| *ty).collect();
    let mut plans = Plans::default();
    let forth = plans.list(types, &params, Route { from: lower, to: lift })?;
    // Writing to a string does not fail.
    let _ = writeln!(out, "; parameters, {forth}\n{}", wattest_fuse::print::print(&plans, forth));
    if let Some(ty) = ty.result {
        let back = plans.value(types, ty, Route { from: lift, to: lower })?;
        let _ = writeln!(out, "; result, {back}\n{}", wattest_fuse::print::print(&plans, back));
    }
    Ok(out)
}
