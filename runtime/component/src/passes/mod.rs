//! Rewriting of graphs.
//!
//! Each pass makes a new graph from an old one, node by node, so that operands keep coming before their users; effects are
//! kept one for one. A pass may only change what
//! [the canonical ABI](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md) leaves unobservable:
//! traces are the same with and without it.
//!
//! Invariant: passes are linear in the size of the graph, do not recurse, and may be run in any subset.
//!
//! Does not know: schedules, adapter code.

mod dead;
mod elide;
mod facts;
mod fold;
mod reexport;
mod strip;
#[cfg(test)]
mod tests;

pub use facts::Facts;

use crate::error::ComponentError;
use crate::graph::{Graph, Node};
use crate::ids::NodeId;

macro_rules! passes {
    ($($(#[$doc:meta])* $name:ident $text:literal $run:expr;)*) => {
        /// A pass.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Pass {
            $($(#[$doc])* $name,)*
        }

        impl Pass {
            /// Every pass, in the order in which they run.
            pub const ALL: &[Pass] = &[$(Pass::$name),*];

            /// Its name, as options spell it.
            pub const fn name(self) -> &'static str {
                match self { $(Pass::$name => $text,)* }
            }

            fn run(self) -> Option<fn(Graph, &Passes) -> Result<Graph, ComponentError>> {
                match self { $(Pass::$name => $run,)* }
            }
        }
    };
}

passes! {
    /// Options that no call needs are dropped: a memory that nothing lies in, a `realloc` that nothing calls.
    StripOptions "strip-options" Some(strip::run);
    /// An export that is an import of its own module becomes the argument for it.
    Reexport "reexport" Some(reexport::run);
    /// An adapter of a function that only traps becomes a function that only traps.
    FoldTraps "fold-traps" Some(fold::run);
    /// An adapter that changes nothing becomes its callee.
    ElideScalars "elide-scalars" Some(elide::run);
    /// Values that neither an effect nor an export uses vanish.
    DropDead "drop-dead" Some(dead::run);
    /// Adapters neither ask nor set `may_leave` where nothing can tell.
    ElideMayLeave "elide-may-leave" None;
    /// Adapters do not say which task is current where nothing can tell.
    ElideTasks "elide-tasks" None;
}

/// A set of passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Passes {
    on: u32,
}

impl Passes {
    /// No pass.
    pub const NONE: Passes = Passes { on: 0 };

    /// Every pass.
    pub fn all() -> Passes {
        Pass::ALL.iter().fold(Passes::NONE, |set, pass| set.with(*pass))
    }

    /// The set with a pass added.
    #[must_use]
    pub fn with(self, pass: Pass) -> Passes {
        Passes { on: self.on | 1 << pass as u32 }
    }

    /// The set with a pass removed.
    #[must_use]
    pub fn without(self, pass: Pass) -> Passes {
        Passes { on: self.on & !(1 << pass as u32) }
    }

    /// Whether a pass is in the set.
    pub fn contains(self, pass: Pass) -> bool {
        self.on & (1 << pass as u32) != 0
    }
}

impl Default for Passes {
    fn default() -> Passes {
        Passes::all()
    }
}

/// Runs the passes of a set, in table order.
///
/// # Errors
/// A limit of the graph, which passes do not raise: they only make graphs smaller.
pub fn run_passes(mut graph: Graph, passes: &Passes) -> Result<Graph, ComponentError> {
    for pass in Pass::ALL.iter().filter(|pass| passes.contains(**pass)) {
        if let Some(run) = pass.run() {
            graph = run(graph, passes)?;
        }
    }
    Ok(graph)
}

/// A new graph with each node replaced: `replace` is given the new graph so far and the node with its operands already
/// replaced, and says which node of the new graph stands for it.
fn rewrite(
    mut graph: Graph,
    mut replace: impl FnMut(&mut Graph, NodeId, Node<NodeId>) -> Result<NodeId, ComponentError>,
) -> Result<Graph, ComponentError> {
    let statics = std::mem::take(&mut graph.statics);
    let mut new = Graph::new(statics, graph.limits());
    let mut ids: Vec<NodeId> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in (0..).map(NodeId).zip(graph.nodes()) {
        let node = node.map_operands(|_, operand| ids[operand.index()]);
        ids.push(replace(&mut new, id, node)?);
    }
    for export in graph.exports() {
        new.export(export.try_map(|operand| Ok::<_, ComponentError>(ids[operand.index()]))?)?;
    }
    Ok(new)
}
