//! Values that nothing uses.
//!
//! [Definitions](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#component-definitions) that
//! neither an effect nor an export reaches have no meaning.
//!
//! Invariant: effects and exports stay.
//!
//! Does not know: why a value is unused.

use super::Passes;
use crate::error::ComponentError;
use crate::graph::Graph;
use crate::ids::NodeId;

/// Runs the pass.
pub(super) fn run(mut graph: Graph, _: &Passes) -> Result<Graph, ComponentError> {
    // Operands come before their users, so one backward walk finds all that is used.
    let mut live = vec![false; graph.nodes().len()];
    for operand in graph.exports().iter().filter_map(|export| export.operand()) {
        live[operand.index()] = true;
    }
    for (at, node) in graph.nodes().iter().enumerate().rev() {
        live[at] |= node.is_effect();
        if live[at] {
            node.for_each_operand(|_, operand| live[operand.index()] = true);
        }
    }
    let statics = std::mem::take(&mut graph.statics);
    let mut new = Graph::new(statics, graph.limits());
    let mut ids: Vec<NodeId> = vec![NodeId(u32::MAX); live.len()];
    for (at, node) in graph.nodes().iter().enumerate().filter(|(at, _)| live[*at]) {
        ids[at] = new.add(node.map_operands(|_, operand| ids[operand.index()]))?;
    }
    for export in graph.exports() {
        new.export(export.try_map(|operand| Ok::<_, ComponentError>(ids[operand.index()]))?)?;
    }
    Ok(new)
}
