//! Adapters of functions that only trap.
//!
//! A call between an instance and one that contains it
//! [traps](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-lift); so does what calls
//! nothing but that. Where lifting the parameters can neither trap nor run code, nothing tells the two apart: an instance
//! that is entered may be left, so of the two stubs only the outer one's question can be answered with a trap.
//!
//! Invariant: the trap is the same, of the same class.
//!
//! Does not know: functions that trap for other reasons.

use super::elide::crosses_flat;
use super::{Passes, rewrite};
use crate::error::ComponentError;
use crate::graph::{Graph, Node};
use wattest_canon::{Scalar, Shape};

/// Runs the pass.
pub(super) fn run(graph: Graph, _: &Passes) -> Result<Graph, ComponentError> {
    rewrite(graph, |new, _, node| {
        if let Node::Fused(fused) = &node
            && let Node::TrapStub { trap, blocks: false, .. } = *new.node(fused.callee)
            && !fused.lower.opts.is_async
            && !new.statics.blocks(&fused.lower)
            && crosses_flat(fused, &new.statics, |ty| match new.statics.types.shape(ty) {
                Shape::Scalar(scalar) => *scalar != Scalar::Char,
                _ => false,
            })
        {
            let (caller, signature) = (fused.lower.opts.component, fused.signature);
            return Ok(new.add(Node::TrapStub { trap, caller, blocks: false, signature })?);
        }
        Ok(new.add(node)?)
    })
}
