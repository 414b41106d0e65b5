//! What guest code can tell about calls between component instances.
//!
//! A component instance [may not be left](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#component-instance-state)
//! while its `realloc` or `post-return` runs. Only a lowered function or a built-in of the same instance can notice, since
//! core instances are linked within one component instance and nowhere else.
//!
//! Invariant: a fact errs towards being observable.
//!
//! Does not know: what core code does.

use super::{Pass, Passes};
use crate::graph::{Graph, ModuleRef, Node, Opts};
use crate::ids::{ComponentIndex, NodeId};
use crate::intrinsics::Gate;

/// What can be observed, by component instance.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `may_leave` is set by something and asked by something.
    may_leave: Vec<bool>,
    /// Something depends on the current task: a built-in, or a call that is only allowed to tasks that may block.
    tasks: Vec<bool>,
    /// A core instance may throw exceptions.
    throws: Vec<bool>,
}

impl Facts {
    /// The facts of a graph.
    pub fn of(graph: &Graph) -> Facts {
        let count = graph.statics.components.len();
        let (mut cleared, mut asked) = (vec![false; count], vec![false; count]);
        let (mut tasks, mut throws) = (vec![false; count], vec![false; count]);
        for node in graph.nodes() {
            each_options(node, |opts, leaves| {
                let at = opts.component.index();
                if at < count {
                    cleared[at] |= opts.realloc.is_some() || opts.post_return.is_some();
                    asked[at] |= leaves;
                }
            });
            if let Node::Instantiate { module, component, .. } = node
                && let Some(throws) = throws.get_mut(component.index())
            {
                *throws |= match module {
                    ModuleRef::Static(module) => graph.statics.modules.get(module.index()).is_none_or(|row| row.throws),
                    // Nothing is known about a module of the host.
                    ModuleRef::Host(_) => true,
                };
            }
            if let Some(component) = asks_for_task(graph, node)
                && let Some(tasks) = tasks.get_mut(component.index())
            {
                *tasks = true;
            }
            if let Node::TrapStub { caller, .. } = node
                && let Some(asked) = asked.get_mut(caller.index())
            {
                *asked = true;
            }
        }
        let may_leave = cleared.into_iter().zip(asked).map(|(cleared, asked)| cleared && asked).collect();
        Facts { may_leave, tasks, throws }
    }

    /// The facts as adapters are to use them: what no pass elides counts as observable.
    #[must_use]
    pub fn for_adapters(mut self, passes: &Passes) -> Facts {
        if !passes.contains(Pass::ElideMayLeave) {
            self.may_leave.fill(true);
        }
        if !passes.contains(Pass::ElideTasks) {
            self.tasks.fill(true);
        }
        self
    }

    /// Whether `may_leave` of the instance can be told apart from one that is always set.
    pub fn sees_may_leave(&self, component: ComponentIndex) -> bool {
        self.may_leave.get(component.index()).copied().unwrap_or(true)
    }

    /// Whether code of the instance may throw an exception, which a call from outside turns into a trap.
    pub fn throws(&self, component: ComponentIndex) -> bool {
        self.throws.get(component.index()).copied().unwrap_or(true)
    }

    /// Whether any code may throw an exception.
    pub fn throws_anywhere(&self) -> bool {
        self.throws.contains(&true)
    }

    /// Whether code of the instance can tell which task is current.
    pub fn sees_tasks(&self, component: ComponentIndex) -> bool {
        self.tasks.get(component.index()).copied().unwrap_or(true)
    }
}

/// The component instance whose current task a node depends on.
fn asks_for_task(graph: &Graph, node: &Node<NodeId>) -> Option<ComponentIndex> {
    match node {
        Node::Builtin(builtin) => (builtin.row.gate() != Gate::Sync).then_some(builtin.opts.component),
        Node::Lower { side, .. } => graph.statics.blocks(side).then_some(side.opts.component),
        Node::Fused(fused) => graph.statics.blocks(&fused.lower).then_some(fused.lower.opts.component),
        Node::TrapStub { caller, blocks, .. } => blocks.then_some(*caller),
        _ => None,
    }
}

/// All options of a node, and whether a call through them leaves the component instance.
fn each_options(node: &Node<NodeId>, mut f: impl FnMut(&Opts<NodeId>, bool)) {
    match node {
        Node::Lower { side, .. } => f(&side.opts, true),
        Node::Lift { side, .. } => f(&side.opts, false),
        Node::Fused(fused) => {
            f(&fused.lower.opts, true);
            f(&fused.lift.opts, false);
        }
        Node::Builtin(builtin) => f(&builtin.opts, builtin.row.asks_may_leave()),
        _ => {}
    }
}
