//! From graph to plan.
//!
//! Exports of instances are taken out as soon as the instance exists, adapter modules are instantiated where the schedule says,
//! effects happen in their order
//! ([instantiation](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#instance-definitions));
//! everything else is declared. Adapter modules are emitted from the last to the first, each with those of its adapters that
//! turned out to be used, so that nothing unused is ever emitted.
//!
//! Invariant: a value has one slot, written by one operation at or after the value's early position and at or before its late
//! one; slots are numbered in the order in which they are written.
//!
//! Does not know: how adapters are emitted ([`Emit`]) nor how plans are verified.

use crate::error::{ComponentError, Limit};
use crate::graph::{Graph, ImportKind, Node};
use crate::ids::{AdapterIndex, ImportIndex, NodeId, Slot, SlotKind};
use crate::linear::{Adapter, AdapterRef, Linear, LoadKey, Op};
use crate::schedule::{Group, Grouping, Schedule};
use std::collections::BTreeMap;

/// An adapter module as it comes from its emitter.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Emitted {
    /// The core module. Its exports are named by position, in decimal.
    pub wasm: Vec<u8>,
    /// What it imports, in order, each once: every operand of its adapters that is not one of them, and whatever else the
    /// emitter has added to the graph for it.
    pub imports: Vec<NodeId>,
}

/// Who emits adapter modules.
pub trait Emit {
    /// Emits one module.
    ///
    /// `members` are adapters by identifier, so callees come before callers; the position is that of the export. A member that
    /// is the callee, `realloc` or `post-return` of another is called directly, everything else is imported. The emitter may
    /// add flags, transcoders and built-ins to the graph; their operands must be among those of the members.
    ///
    /// # Errors
    /// When a limit is reached.
    fn emit(&mut self, graph: &mut Graph, members: &[NodeId]) -> Result<Emitted, ComponentError>;
}

/// How large a plan may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearLimits {
    /// Adapter modules.
    pub groups_max: u32,
    /// Operations.
    pub ops_max: u32,
    /// Bytes of all distinct adapter modules.
    pub adapter_bytes_max: u32,
}

impl Default for LinearLimits {
    fn default() -> LinearLimits {
        LinearLimits { groups_max: 10_000, ops_max: 1 << 21, adapter_bytes_max: 256 << 20 }
    }
}

/// The plan of a graph. The graph is left with the nodes that the emitter added.
///
/// # Errors
/// A limit, or an emitter that breaks its promise.
pub fn linearize(
    graph: &mut Graph,
    grouping: Grouping,
    limits: &LinearLimits,
    emit: &mut impl Emit,
) -> Result<Linear, ComponentError> {
    let schedule = Schedule::of(graph, grouping);
    Limit::Groups.check(schedule.groups.len() as u64, limits.groups_max)?;
    let mut need = Need::roots(graph, &schedule);
    let modules = need.emit_all(graph, &schedule, limits, emit)?;
    let mut linearizer = Linearizer::new(graph, &need.needed);
    linearizer.declare();
    linearizer.operate(&schedule, &modules);
    Limit::Operations.check(linearizer.linear.ops.len() as u64, limits.ops_max)?;
    linearizer.describe(modules)?;
    linearizer.finish()
}

/// An adapter module on its way into a plan.
struct EmittedGroup {
    /// Position in [`Schedule::groups`].
    group: usize,
    members: Vec<NodeId>,
    emitted: Emitted,
}

/// How a node is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Never,
    /// Only by direct calls within its adapter module.
    Inside,
    Outside,
}

/// Which nodes are used, as far as is known.
struct Need<'a> {
    needed: Vec<Use>,
    work: Vec<NodeId>,
    /// Adapters that are used, by group.
    wanted: Vec<Vec<NodeId>>,
    group_of: &'a [Option<u32>],
}

impl<'a> Need<'a> {
    fn roots(graph: &Graph, schedule: &'a Schedule) -> Need<'a> {
        let mut need = Need {
            needed: vec![Use::Never; graph.nodes().len()],
            work: Vec::new(),
            wanted: vec![Vec::new(); schedule.groups.len()],
            group_of: &schedule.group_of,
        };
        for id in graph.effects() {
            need.mark(*id, Use::Outside);
        }
        for id in graph.exports().iter().filter_map(|export| export.operand()) {
            need.mark(id, Use::Outside);
        }
        need.spread(graph);
        need
    }

    fn mark(&mut self, id: NodeId, how: Use) {
        if self.needed.len() <= id.index() {
            self.needed.resize(id.index() + 1, Use::Never);
        }
        let known = self.needed[id.index()];
        self.needed[id.index()] = known.max(how);
        if known == Use::Never {
            self.work.push(id);
        }
    }

    /// Marks operands; those of adapters wait until the adapter's module is emitted, except for direct calls.
    fn spread(&mut self, graph: &Graph) {
        while let Some(id) = self.work.pop() {
            let node = graph.node(id);
            let Some(group) = self.group_of.get(id.index()).copied().flatten() else {
                node.for_each_operand(|_, operand| self.mark(operand, Use::Outside));
                continue;
            };
            self.wanted[group as usize].push(id);
            node.for_each_operand(|_, operand| {
                if self.group_of.get(operand.index()) == Some(&Some(group)) {
                    self.mark(operand, Use::Inside);
                }
            });
        }
    }

    /// Emits the modules from the last to the first: users come later, so all of a group's members are known by then.
    fn emit_all(
        &mut self,
        graph: &mut Graph,
        schedule: &Schedule,
        limits: &LinearLimits,
        emit: &mut impl Emit,
    ) -> Result<Vec<EmittedGroup>, ComponentError> {
        let mut modules = Vec::new();
        let mut bytes = 0u64;
        for group in (0..schedule.groups.len()).rev() {
            let mut members = std::mem::take(&mut self.wanted[group]);
            if members.is_empty() {
                continue;
            }
            members.sort_unstable();
            let emitted = emit.emit(graph, &members)?;
            bytes += emitted.wasm.len() as u64;
            Limit::AdapterBytes.check(bytes, limits.adapter_bytes_max)?;
            for import in &emitted.imports {
                let own = self.group_of.get(import.index()).copied().flatten();
                if import.index() >= graph.nodes().len() || own.is_some_and(|own| own as usize >= group) {
                    return Err(ComponentError::Rejected(format!("an adapter module imports {import}")));
                }
                self.mark(*import, Use::Outside);
            }
            self.spread(graph);
            modules.push(EmittedGroup { group, members, emitted });
        }
        modules.reverse();
        Ok(modules)
    }
}

struct Linearizer<'a> {
    graph: &'a Graph,
    needed: &'a [Use],
    slots: Vec<Slot>,
    linear: Linear,
}

/// What nodes without a slot have; no plan contains it.
const NOWHERE: Slot = Slot { kind: SlotKind::Import, index: u32::MAX };

impl<'a> Linearizer<'a> {
    fn new(graph: &'a Graph, needed: &'a [Use]) -> Linearizer<'a> {
        Linearizer { graph, needed, slots: vec![NOWHERE; graph.nodes().len()], linear: Linear::default() }
    }

    fn fresh(&mut self, kind: SlotKind) -> Slot {
        let count = &mut self.linear.counts.0[kind as usize];
        let slot = Slot { kind, index: *count };
        *count += 1;
        slot
    }

    fn needed(&self) -> impl Iterator<Item = NodeId> + use<'a> {
        let needed = self.needed;
        (0..).map(NodeId).take(needed.len()).filter(move |id| needed[id.index()] != Use::Never)
    }

    /// Slots that are there from the start.
    fn declare(&mut self) {
        let statics = &self.graph.statics;
        let mut imports: Vec<Option<NodeId>> = vec![None; statics.imports.len()];
        for id in self.needed() {
            match self.graph.node(id) {
                Node::Import(import) => imports[import.index()] = Some(id),
                Node::Flags(component) => {
                    self.slots[id.index()] = Slot { kind: SlotKind::Flags, index: component.0 };
                }
                node if !node.slot_kind().is_written() => self.slots[id.index()] = self.fresh(node.slot_kind()),
                _ => {}
            }
        }
        for (at, (row, node)) in statics.imports.iter().zip(imports).enumerate() {
            let resource = match row.kind {
                ImportKind::Resource(resource) => Some(Slot { kind: SlotKind::Resource, index: resource.0 }),
                _ => None,
            };
            if node.is_none() && resource.is_none() {
                continue;
            }
            let import = self.fresh(SlotKind::Import);
            self.linear.imports.push(ImportIndex::at(at));
            if let Some(node) = node {
                self.slots[node.index()] = resource.unwrap_or(import);
            }
        }
        self.linear.counts.0[SlotKind::Flags as usize] = self.graph.statics.components.len() as u32;
        self.linear.counts.0[SlotKind::Resource as usize] = self.graph.statics.resources.len() as u32;
    }

    fn operate(&mut self, schedule: &Schedule, modules: &[EmittedGroup]) {
        let mut loads: Vec<Vec<NodeId>> = vec![Vec::new(); self.graph.effects().len() + 1];
        for id in self.needed() {
            if let Node::Project { .. } = self.graph.node(id) {
                // Of a node that the emitter added the schedule knows nothing, but it adds no such nodes.
                let position = schedule.early.get(id.index()).map_or(loads.len() - 1, |position| position.index());
                loads[position].push(id);
            }
        }
        let mut next = modules.iter().enumerate().peekable();
        for (position, loads) in loads.iter().enumerate() {
            for id in loads {
                self.load(*id);
            }
            let here = |group: &Group| group.position.index() <= position;
            while let Some((adapter, module)) = next.next_if(|(_, module)| here(&schedule.groups[module.group])) {
                self.adapters(AdapterIndex::at(adapter), module);
            }
            if let Some(effect) = self.graph.effects().get(position) {
                self.effect(*effect);
            }
        }
    }

    fn load(&mut self, id: NodeId) {
        let Node::Project { instance, key, ty } = *self.graph.node(id) else { return };
        let dst = self.fresh(ty.sort().slot_kind());
        self.slots[id.index()] = dst;
        self.linear.ops.push(Op::Load { dst, instance: self.slots[instance.index()], export: LoadKey::Core(key) });
    }

    fn adapters(&mut self, adapter: AdapterIndex, module: &EmittedGroup) {
        let instance = self.fresh(SlotKind::Instance);
        let args = module.emitted.imports.iter().map(|import| self.slots[import.index()]).collect();
        self.linear.ops.push(Op::Adapters { dst: instance, adapter, args });
        for (export, id) in (0..).zip(&module.members) {
            if self.needed[id.index()] == Use::Outside {
                let dst = self.fresh(SlotKind::Func);
                self.slots[id.index()] = dst;
                self.linear.ops.push(Op::Load { dst, instance, export: LoadKey::Adapter(export) });
            }
        }
    }

    fn effect(&mut self, id: NodeId) {
        let slots = &self.slots;
        let node = self.graph.node(id).map_operands(|_, operand| slots[operand.index()]);
        let dst = match &node {
            Node::DefineResource { resource, .. } => Slot { kind: SlotKind::Resource, index: resource.0 },
            _ => self.fresh(SlotKind::Instance),
        };
        self.slots[id.index()] = dst;
        self.linear.ops.push(match node {
            Node::Instantiate { module, args, component } => Op::Instantiate { dst, module, args, component },
            Node::DefineResource { dtor, component, .. } => Op::Resource { dst, dtor, component },
            _ => return,
        });
    }
    /// Says what each adapter module's exports are, in terms of its imports, and keeps equal modules once.
    fn describe(&mut self, modules: Vec<EmittedGroup>) -> Result<(), ComponentError> {
        let mut refs: Vec<Option<AdapterRef>> = vec![None; self.slots.len()];
        let mut templates: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        for module in modules {
            for (at, import) in (0..).zip(&module.emitted.imports) {
                refs[import.index()] = Some(AdapterRef::Import(at));
            }
            for (at, member) in (0..).zip(&module.members) {
                refs[member.index()] = Some(AdapterRef::Export(at));
            }
            let mut exports = Vec::with_capacity(module.members.len());
            for member in &module.members {
                let export = self.graph.node(*member).try_map_operands(|_, operand| {
                    let missing =
                        || ComponentError::Rejected(format!("the module of {member} does not import {operand}"));
                    refs[operand.index()].ok_or_else(missing)
                });
                exports.push(export?);
            }
            let support = self.support(&module, &refs)?;
            for id in module.emitted.imports.iter().chain(&module.members) {
                refs[id.index()] = None;
            }
            let fresh = self.linear.templates.len() as u32;
            let template = *templates.entry(module.emitted.wasm).or_insert_with_key(|wasm| {
                self.linear.templates.push(wasm.clone());
                fresh
            });
            let imports = module.emitted.imports.len() as u32;
            self.linear.adapters.push(Adapter { template, imports, exports, support });
        }
        Ok(())
    }

    /// Describes the imports that the emitter has added.
    fn support(
        &self,
        module: &EmittedGroup,
        refs: &[Option<AdapterRef>],
    ) -> Result<Vec<(u32, Node<AdapterRef>)>, ComponentError> {
        let mut support = Vec::new();
        for (at, import) in (0..).zip(&module.emitted.imports) {
            let node = self.graph.node(*import);
            if matches!(node, Node::Flags(_) | Node::Support(_)) {
                let node = node.try_map_operands(|_, operand| {
                    let missing = || ComponentError::Rejected(format!("{import} is of {operand}, which is no operand"));
                    refs[operand.index()].ok_or_else(missing)
                })?;
                support.push((at, node));
            }
        }
        Ok(support)
    }

    fn finish(mut self) -> Result<Linear, ComponentError> {
        let resolve = |id: NodeId| match self.slots[id.index()] {
            NOWHERE => Err(ComponentError::Rejected(format!("{id} has no slot"))),
            slot => Ok(slot),
        };
        for id in self.needed() {
            let node = self.graph.node(id);
            let table = match node.slot_kind() {
                SlotKind::Trampoline => &mut self.linear.trampolines,
                SlotKind::Lift => &mut self.linear.lifts,
                _ => continue,
            };
            table.push(node.try_map_operands(|_, operand| resolve(operand))?);
        }
        let exports: Result<Vec<_>, _> = self.graph.exports().iter().map(|export| export.try_map(resolve)).collect();
        self.linear.exports = exports?;
        Ok(self.linear)
    }
}
