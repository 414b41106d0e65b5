//! The dataflow graph of a component.
//!
//! What is left of a component when nesting, aliases and synthetic instances are gone: effects in their order, pure values
//! between them, exports
//! ([instantiation](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#component-definitions)).
//! Pure nodes are hash-consed, so equal values are one node.
//!
//! Invariant: a node's operands have smaller identifiers than the node; effects are never merged; the limits hold.
//!
//! Does not know: binaries, the order in which pure values come to life, adapter code.

mod dot;
mod export;
mod node;
mod parse;
mod print;
mod statics;

pub use dot::dot;
pub use export::{Export, ExportValue};
pub use node::{
    Args, Builtin, CoreEntity, End, Fused, Key, MemoryOpt, MemoryShape, ModuleRef, Node, Operands, Opts, Role, Side,
    Sort, StubTrap,
};
pub use parse::{ParseError, parse};
pub use print::{print, print_plan};
pub use statics::{Component, FuncType, HostModule, Import, ImportKind, Module, ResourceOrigin, Signature, Statics};

use crate::error::{Limit, LimitError};
use crate::hash::Index;
use crate::ids::{ExportIndex, NodeId};

/// How large a graph may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphLimits {
    /// Nodes.
    pub nodes_max: u32,
    /// Effects: core instances and resource types.
    pub effects_max: u32,
    /// Operands over all nodes.
    pub operands_max: u32,
    /// Rows of the export tree.
    pub exports_max: u32,
}

impl Default for GraphLimits {
    fn default() -> GraphLimits {
        GraphLimits { nodes_max: 1 << 20, effects_max: 10_000, operands_max: 1 << 22, exports_max: 1 << 18 }
    }
}

/// A graph.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The tables that nodes refer to.
    pub statics: Statics,
    limits: GraphLimits,
    nodes: Vec<Node<NodeId>>,
    effects: Vec<NodeId>,
    exports: Vec<Export<NodeId>>,
    operands: u32,
    /// Pure nodes by what they are.
    index: Index,
}

impl Graph {
    /// A graph without nodes.
    pub fn new(statics: Statics, limits: GraphLimits) -> Graph {
        Graph { statics, limits, ..Graph::default() }
    }

    /// Without nodes and exports again; memory stays taken.
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.effects.clear();
        self.exports.clear();
        self.index.clear();
        self.operands = 0;
    }

    /// How large it may become.
    pub const fn limits(&self) -> GraphLimits {
        self.limits
    }

    /// Adds an effect, after all others, or a pure value. A pure value that is there already keeps its identifier.
    ///
    /// # Errors
    /// A [`LimitError`] when a limit is reached; the graph is then as before.
    pub fn add(&mut self, node: Node<NodeId>) -> Result<NodeId, LimitError> {
        let is_effect = node.is_effect();
        let hash = if is_effect { 0 } else { self.index.hash(&node) };
        if !is_effect && let Some(id) = self.index.find(hash, |id| self.nodes[id as usize] == node) {
            return Ok(NodeId(id));
        }
        let mut operands = self.operands;
        node.for_each_operand(|_, _| operands = operands.saturating_add(1));
        Limit::Operands.check(u64::from(operands), self.limits.operands_max)?;
        Limit::Nodes.check(self.nodes.len() as u64 + 1, self.limits.nodes_max)?;
        let id = NodeId::at(self.nodes.len());
        if is_effect {
            Limit::Effects.check(self.effects.len() as u64 + 1, self.limits.effects_max)?;
            self.effects.push(id);
        } else {
            self.index.insert(hash, id.0);
        }
        self.operands = operands;
        self.nodes.push(node);
        Ok(id)
    }

    /// Adds a row to the export tree.
    ///
    /// # Errors
    /// A [`LimitError`] when there are too many.
    pub fn export(&mut self, export: Export<NodeId>) -> Result<ExportIndex, LimitError> {
        Limit::Exports.check(self.exports.len() as u64 + 1, self.limits.exports_max)?;
        self.exports.push(export);
        Ok(ExportIndex::at(self.exports.len() - 1))
    }

    /// A node. An identifier of another graph may be out of range, which panics: it is a programmer's error.
    pub fn node(&self, id: NodeId) -> &Node<NodeId> {
        &self.nodes[id.index()]
    }

    /// All nodes; an identifier is a position here.
    pub fn nodes(&self) -> &[Node<NodeId>] {
        &self.nodes
    }

    /// The effects, in order.
    pub fn effects(&self) -> &[NodeId] {
        &self.effects
    }

    /// The export tree.
    pub fn exports(&self) -> &[Export<NodeId>] {
        &self.exports
    }
}
