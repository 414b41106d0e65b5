//! Adapters that change nothing.
//!
//! A function whose values are all 32- or 64-bit numbers
//! [lowers to the core values it lifts](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flattening);
//! when besides nobody can tell that a call crossed from one instance into another, the adapter is its callee.
//!
//! Invariant: the callee's core type is the adapter's.
//!
//! Does not know: numbers that are narrower than their core value, which adapters normalize.

use super::{Facts, Passes, rewrite};
use crate::error::ComponentError;
use crate::graph::{Fused, Graph, Node, Statics};
use crate::ids::NodeId;
use wattest_canon::{FLAT_PARAMS_MAX, Scalar, Shape, TypeId};

/// Runs the pass.
pub(super) fn run(graph: Graph, _: &Passes) -> Result<Graph, ComponentError> {
    let facts = Facts::of(&graph);
    rewrite(graph, |new, _, node| {
        if let Node::Fused(fused) = &node
            && is_identity(fused, &new.statics)
            && !facts.sees_may_leave(fused.lower.opts.component)
            && !facts.sees_tasks(fused.lift.opts.component)
            && !facts.throws(fused.lift.opts.component)
        {
            return Ok(fused.callee);
        }
        Ok(new.add(node)?)
    })
}

fn is_identity(fused: &Fused<NodeId>, statics: &Statics) -> bool {
    let (lower, lift) = (&fused.lower.opts, &fused.lift.opts);
    !lower.is_async
        && !lift.is_async
        && !statics.blocks(&fused.lower)
        && lift.post_return.is_none()
        && crosses_flat(fused, statics, |ty| is_whole(statics, ty))
}

/// Whether all values cross as one core value each, of types for which the predicate holds.
pub(super) fn crosses_flat(fused: &Fused<NodeId>, statics: &Statics, holds: impl Fn(TypeId) -> bool) -> bool {
    let Some(ty) = statics.func_types.get(fused.lift.ty.index()) else { return false };
    ty.params.len() <= FLAT_PARAMS_MAX && ty.params.iter().map(|(_, ty)| *ty).chain(ty.result).all(holds)
}

/// Whether every core value is a value of the type and the other way round.
fn is_whole(statics: &Statics, ty: TypeId) -> bool {
    matches!(
        statics.types.shape(ty),
        Shape::Scalar(Scalar::S32 | Scalar::U32 | Scalar::S64 | Scalar::U64 | Scalar::F32 | Scalar::F64)
    )
}
