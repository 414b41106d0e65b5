//! Options that no call needs are dropped.
//!
//! [Options](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canonical-abi-options) that are
//! given and not needed would tie a function to instances it never touches.
//!
//! Invariant: no value crosses differently; widths of pointers stay where there are pointers.
//!
//! Does not know: built-ins, which say themselves what they need.

use super::{Passes, rewrite};
use crate::error::ComponentError;
use crate::graph::{End, Graph, Node};

/// Runs the pass.
pub(super) fn run(graph: Graph, _: &Passes) -> Result<Graph, ComponentError> {
    rewrite(graph, |new, _, mut node| {
        match &mut node {
            Node::Lower { side, .. } => side.strip(&new.statics, End::Lower),
            Node::Lift { side, .. } => side.strip(&new.statics, End::Lift),
            Node::Fused(fused) => {
                fused.lower.strip(&new.statics, End::Lower);
                fused.lift.strip(&new.statics, End::Lift);
            }
            _ => {}
        }
        Ok(new.add(node)?)
    })
}
