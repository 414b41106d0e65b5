//! The schedule: when a pure value may come to life, and which adapters share a module.
//!
//! Effects keep their order
//! ([instantiation](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#instance-definitions) is
//! in program order). A pure value has an early position, after the last effect it depends on, and a late one, before the
//! first effect that could use it. Adapters whose intervals share a point share a module: interval stabbing, which needs the
//! fewest points. Among adapters at one point, layers keep apart those that reach each other other than by a direct call.
//!
//! Invariant: a group's position lies between the early and late positions of all its members; groups are in an order in which
//! every adapter comes after all that it depends on, except for direct calls within its own group; time and space are linear
//! in nodes and operands, without recursion.
//!
//! Does not know: slots, operations, how adapters are emitted.

use crate::graph::{Graph, Node, Role};
use crate::ids::{NodeId, Position};
use std::collections::BTreeSet;

/// The most memories of one adapter module: what engines commonly
/// [accept](https://webassembly.github.io/spec/js-api/#limits).
pub const MEMORIES_MAX: usize = 100;

/// Adapters that share a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// When the module is instantiated.
    pub position: Position,
    /// Its place among groups at the same position.
    pub layer: u32,
    /// The adapters, by identifier.
    pub members: Vec<NodeId>,
}

/// The schedule of a graph.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    /// Whether a node is an effect or used by one or by an export, by node.
    pub live: Vec<bool>,
    /// The first position at which a node can exist. Of an effect, the position after it.
    pub early: Vec<Position>,
    /// The last position at which a live node has to exist. Of an effect, its own.
    pub late: Vec<Position>,
    /// The groups, in order of position and layer.
    pub groups: Vec<Group>,
    /// The group of each live adapter, by node.
    pub group_of: Vec<Option<u32>>,
}

/// How adapters are put into modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Grouping {
    /// As few modules as there can be.
    #[default]
    Fewest,
    /// One module for each adapter, as late as possible: to show that grouping changes nothing.
    Single,
    /// Any legal one, by this seed: to show the same.
    Seeded(u64),
}

/// Whether the planted fault is on that forgets the edge from an adapter to what it calls.
#[cfg(wattest_mutants)]
fn forgets(role: Role) -> bool {
    wattest_abi::mutant!(order_edge_missing) && role == Role::Callee
}

/// Ordinary builds forget nothing.
#[cfg(not(wattest_mutants))]
const fn forgets(_: Role) -> bool {
    false
}

/// Whether an operand in this role, when it is an adapter too, may be called within the same module.
pub const fn is_direct(role: Role) -> bool {
    matches!(role, Role::Callee | Role::Realloc(_) | Role::PostReturn)
}

impl Schedule {
    /// The schedule of a graph.
    pub fn of(graph: &Graph, grouping: Grouping) -> Schedule {
        let mut schedule = Schedule::default();
        schedule.find_early(graph);
        schedule.find_late(graph);
        schedule.group(graph, grouping);
        schedule
    }

    fn find_early(&mut self, graph: &Graph) {
        let mut effects = 0;
        for node in graph.nodes() {
            let early = if node.is_effect() {
                effects += 1;
                effects
            } else {
                let mut early = 0;
                node.for_each_operand(|role, operand| {
                    if !forgets(role) {
                        early = early.max(self.early[operand.index()].0);
                    }
                });
                early
            };
            self.early.push(Position(early));
        }
    }

    fn find_late(&mut self, graph: &Graph) {
        let end = Position::at(graph.effects().len());
        self.live = vec![false; graph.nodes().len()];
        self.late = vec![end; graph.nodes().len()];
        for operand in graph.exports().iter().filter_map(|export| export.operand()) {
            self.live[operand.index()] = true;
        }
        // Operands have smaller identifiers: going down, all users of a node come before it.
        let mut effect = graph.effects().len();
        for (at, node) in graph.nodes().iter().enumerate().rev() {
            if node.is_effect() {
                effect -= 1;
                self.live[at] = true;
                self.late[at] = Position::at(effect);
            } else if !self.live[at] {
                continue;
            }
            let late = self.late[at];
            node.for_each_operand(|_, operand| {
                self.live[operand.index()] = true;
                let bound = &mut self.late[operand.index()];
                *bound = late.min(*bound);
            });
        }
    }

    fn group(&mut self, graph: &Graph, grouping: Grouping) {
        self.group_of = vec![None; graph.nodes().len()];
        let adapters = || {
            let nodes = (0..).map(NodeId).zip(graph.nodes());
            nodes.filter(|(id, node)| matches!(node, Node::Fused(_)) && self.live[id.index()]).map(|(id, _)| id)
        };
        let adapters: Vec<NodeId> = adapters().collect();
        if adapters.is_empty() {
            return;
        }
        match grouping {
            Grouping::Single => self.one_each(&adapters),
            Grouping::Fewest => {
                let ranks = self.ranks(graph, &self.points(&adapters));
                self.collect(graph, adapters, &ranks);
            }
            Grouping::Seeded(seed) => {
                let ranks = self.any_ranks(graph, seed);
                self.collect(graph, adapters, &ranks);
            }
        }
    }

    /// For each adapter any point between early and late and any layer, not before those of the adapters it reaches without
    /// an effect in between, and after them unless it calls them directly.
    fn any_ranks(&self, graph: &Graph, seed: u64) -> Vec<Option<(Position, u32)>> {
        let mut state = seed | 1;
        let mut below = |count: u32| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            u32::try_from(state % u64::from(count.max(1))).unwrap_or(0)
        };
        let mut ranks: Vec<Option<(Position, u32)>> = vec![None; graph.nodes().len()];
        for (at, node) in graph.nodes().iter().enumerate().filter(|(at, node)| self.live[*at] && !node.is_effect()) {
            // The least rank there may be.
            let mut rank = None;
            let adapter = matches!(node, Node::Fused(_));
            node.for_each_operand(|role, operand| {
                let direct = is_direct(role) && matches!(graph.node(operand), Node::Fused(_)) && below(2) == 0;
                let after = u32::from(adapter && !direct);
                rank = rank.max(ranks[operand.index()].map(|(point, layer)| (point, layer + after)));
            });
            if adapter {
                let (least, layer) = rank.unwrap_or((Position(0), 0));
                let least = least.max(self.early[at]);
                let point = Position(least.0 + below(self.late[at].0.saturating_sub(least.0) + 1));
                let layer = if rank.is_some_and(|(known, _)| known == point) { layer } else { below(3) };
                rank = Some((point, layer));
            }
            ranks[at] = rank;
        }
        ranks
    }

    /// One group each. An adapter's late position is not before its operands', and identifiers break ties.
    fn one_each(&mut self, adapters: &[NodeId]) {
        let mut order = adapters.to_vec();
        order.sort_by_key(|id| (self.late[id.index()], *id));
        let mut layers = vec![0; self.positions()];
        for id in order {
            let position = self.late[id.index()];
            let layer = layers[position.index()];
            layers[position.index()] += 1;
            self.group_of[id.index()] = Some(u32::try_from(self.groups.len()).unwrap_or(u32::MAX));
            self.groups.push(Group { position, layer, members: vec![id] });
        }
    }

    /// For each position, the first point at or after it at which groups are made.
    fn points(&self, adapters: &[NodeId]) -> Vec<Position> {
        // The latest early position of the adapters that have to exist at a position.
        let mut bounds = vec![None; self.positions()];
        for id in adapters {
            let early = Some(self.early[id.index()]);
            let bound = &mut bounds[self.late[id.index()].index()];
            *bound = early.max(*bound);
        }
        let mut last = None;
        let mut points = vec![Position(u32::MAX); bounds.len()];
        for (at, bound) in bounds.iter().enumerate() {
            if bound.is_some() && *bound > last {
                last = Some(Position::at(at));
                points[at] = Position::at(at);
            }
        }
        let mut next = Position(u32::MAX);
        for point in points.iter_mut().rev() {
            next = next.min(*point);
            *point = next;
        }
        points
    }

    /// For each adapter its point and layer; for any other value the greatest of the adapters it reaches without an effect in
    /// between. An early position never grows from a node to its operand, so neither does the point.
    fn ranks(&self, graph: &Graph, points: &[Position]) -> Vec<Option<(Position, u32)>> {
        let mut ranks: Vec<Option<(Position, u32)>> = vec![None; graph.nodes().len()];
        for (at, node) in graph.nodes().iter().enumerate().filter(|(at, node)| self.live[*at] && !node.is_effect()) {
            let adapter = matches!(node, Node::Fused(_));
            let mut rank = adapter.then(|| (points[self.early[at].index()], 0));
            node.for_each_operand(|role, operand| {
                let below = ranks[operand.index()];
                let direct = is_direct(role) && matches!(graph.node(operand), Node::Fused(_));
                let below = match (below, rank) {
                    (Some((point, layer)), Some((own, _))) if adapter => {
                        (point == own).then_some((point, layer + u32::from(!direct)))
                    }
                    _ => below,
                };
                rank = rank.max(below);
            });
            ranks[at] = rank;
        }
        ranks
    }

    /// One group for each point and layer, or several where its memories are too many for a module: adapters come in the order
    /// of their identifiers, so those that are called directly are in the same group or an earlier one.
    fn collect(&mut self, graph: &Graph, mut adapters: Vec<NodeId>, ranks: &[Option<(Position, u32)>]) {
        adapters.sort_by_key(|id| (ranks[id.index()], *id));
        let mut memories = BTreeSet::new();
        for id in adapters {
            let Some((position, layer)) = ranks[id.index()] else { continue };
            let mut own = BTreeSet::new();
            graph.node(id).for_each_operand(|role, operand| {
                if matches!(role, Role::Memory(_)) {
                    own.insert(operand);
                }
            });
            let group = self.groups.last_mut().filter(|group| group.position == position && group.layer == layer);
            let fits = memories.union(&own).count() <= MEMORIES_MAX;
            match group.filter(|_| fits) {
                Some(group) => {
                    memories.append(&mut own);
                    group.members.push(id);
                }
                None => {
                    memories = own;
                    self.groups.push(Group { position, layer, members: vec![id] });
                }
            }
            self.group_of[id.index()] = Some(u32::try_from(self.groups.len() - 1).unwrap_or(u32::MAX));
        }
    }

    fn positions(&self) -> usize {
        self.late.iter().chain(&self.early).map(|position| position.index() + 1).max().unwrap_or(1)
    }
}
