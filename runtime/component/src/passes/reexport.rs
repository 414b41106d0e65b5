//! Exports that are imports.
//!
//! A core module may export [what it imports](https://webassembly.github.io/spec/core/syntax/modules.html#exports); taken from
//! an instance, that is the argument it was instantiated with. Memories and functions that several modules pass on become one
//! node.
//!
//! Invariant: the argument has the type of the import it was given for.
//!
//! Does not know: modules of the host, whose imports may be anything.

use super::{Passes, rewrite};
use crate::error::ComponentError;
use crate::graph::{Args, CoreEntity, Graph, Key, ModuleRef, Node, Sort};

/// Runs the pass.
pub(super) fn run(graph: Graph, _: &Passes) -> Result<Graph, ComponentError> {
    // For each module and sort, the positions and types of its imports.
    let mut positions: Vec<[Vec<(u32, CoreEntity)>; Sort::ALL.len()]> = Vec::with_capacity(graph.statics.modules.len());
    for module in &graph.statics.modules {
        let mut sorts: [Vec<(u32, CoreEntity)>; Sort::ALL.len()] = Default::default();
        for (at, ty) in (0..).zip(&module.imports) {
            sorts[ty.sort() as usize].push((at, *ty));
        }
        positions.push(sorts);
    }
    rewrite(graph, |new, _, node| {
        if let Node::Project { instance, key: Key::Index(index), ty } = &node
            && let Node::Instantiate { module: ModuleRef::Static(module), args: Args::Positional(args), .. } =
                new.node(*instance)
            && let Some(sorts) = positions.get(module.index())
            && let Some((at, import)) = sorts[ty.sort() as usize].get(*index as usize)
            && import == ty
            && let Some(arg) = args.get(*at as usize)
        {
            return Ok(*arg);
        }
        Ok(new.add(node)?)
    })
}
