//! The symbolic evaluator: graph and plan as the same kind of term.
//!
//! A denotation is the list of effects with terms for operands, the export tree with terms for values, and the imports that are
//! needed ([instantiation](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#instance-definitions)
//! performs nothing else). The graph's is read off its nodes; the plan's by carrying out its operations on registers, where
//! an adapter module's export is expanded to the adapter that its description says.
//!
//! Invariant: two terms are equal exactly when their identifiers are; the result of an effect is a term of its own, so
//! instances and resource types of different effects are never equal.
//!
//! Does not know: how the plan was made.

use crate::graph::{Args, CoreEntity, Export, Graph, ImportKind, MemoryShape, ModuleRef, Node};
use crate::hash::{Folding, Index};
use crate::ids::{ImportIndex, NodeId, Slot, SlotKind};
use crate::linear::{AdapterRef, Linear, LoadKey, Op};
use crate::verify::{Defect, Property};
use std::collections::HashMap;

/// A term, by number.
type TermId = u32;

/// Evaluates both and compares.
pub(super) fn check(graph: &Graph, linear: &Linear) -> Result<(), Defect> {
    let mut terms = Terms::default();
    let (meant, nodes) = of_graph(graph, &mut terms);
    let mut machine = Machine::new(graph, linear, &mut terms);
    let done = machine.run()?;
    let adapters = std::mem::take(&mut machine.adapters);
    compare(&meant, &done)?;
    p9_exactly_once(graph, &nodes, &adapters)?;
    p11_between_bounds(graph, &nodes, &adapters)
}

/// Compares two graphs with the same tables.
pub(super) fn same(a: &Graph, b: &Graph) -> Result<(), Defect> {
    let mut terms = Terms::default();
    let (a, _) = of_graph(a, &mut terms);
    let (b, _) = of_graph(b, &mut terms);
    compare(&a, &b)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Term {
    /// What an effect made.
    Effect(u32),
    /// A pure value.
    Value(Node<TermId>),
}

#[derive(Default)]
struct Terms {
    terms: Vec<Term>,
    index: Index,
}

impl Terms {
    fn id(&mut self, term: Term) -> TermId {
        let hash = self.index.hash(&term);
        if let Some(known) = self.index.find(hash, |id| self.terms[id as usize] == term) {
            return known;
        }
        let next = TermId::try_from(self.terms.len()).unwrap_or(TermId::MAX);
        self.index.insert(hash, next);
        self.terms.push(term);
        next
    }

    fn value(&mut self, node: Node<TermId>) -> TermId {
        self.id(Term::Value(node))
    }

    /// An export of an instance. Its type is left out, since operations do not have it.
    fn project(&mut self, instance: TermId, key: crate::graph::Key, kind: SlotKind) -> TermId {
        let ty = match kind {
            SlotKind::Table => CoreEntity::Table,
            SlotKind::Memory => CoreEntity::Memory(MemoryShape::DEFAULT),
            SlotKind::Global => CoreEntity::Global,
            SlotKind::Tag => CoreEntity::Tag,
            _ => CoreEntity::Func(None),
        };
        self.value(Node::Project { instance, key, ty })
    }
}

/// What a graph or a plan means.
struct Denotation {
    effects: Vec<Node<TermId>>,
    exports: Vec<Export<TermId>>,
    imports: Vec<ImportIndex>,
}

/// The denotation of a graph, and the term of each live node.
fn of_graph(graph: &Graph, terms: &mut Terms) -> (Denotation, Vec<Option<TermId>>) {
    let live = live(graph);
    let mut values = vec![None; graph.nodes().len()];
    let mut effects = Vec::with_capacity(graph.effects().len());
    let statics = &graph.statics.imports;
    let mut imported: Vec<bool> = statics.iter().map(|row| matches!(row.kind, ImportKind::Resource(_))).collect();
    for (at, node) in graph.nodes().iter().enumerate().filter(|(at, _)| live[*at]) {
        let id = match node {
            Node::Project { instance, key, ty } => {
                terms.project(value(&values, *instance), *key, ty.sort().slot_kind())
            }
            node => {
                let node = node.map_operands(|_, operand| value(&values, operand));
                if let Node::Import(import) = &node
                    && let Some(imported) = imported.get_mut(import.index())
                {
                    *imported = true;
                }
                if node.is_effect() {
                    effects.push(node);
                    terms.id(Term::Effect(effects.len() as u32 - 1))
                } else {
                    terms.value(node)
                }
            }
        };
        values[at] = Some(id);
    }
    let exports = graph.exports().iter().map(|export| {
        let mapped: Result<_, std::convert::Infallible> = export.try_map(|operand| Ok(value(&values, operand)));
        match mapped {
            Ok(export) => export,
            Err(never) => match never {},
        }
    });
    let exports = exports.collect();
    let imports = imported.iter().enumerate().filter(|(_, used)| **used).map(|(at, _)| ImportIndex::at(at)).collect();
    (Denotation { effects, exports, imports }, values)
}

/// Operands have smaller identifiers, so they have been evaluated.
fn value(values: &[Option<TermId>], id: NodeId) -> TermId {
    values[id.index()].unwrap_or(TermId::MAX)
}

fn live(graph: &Graph) -> Vec<bool> {
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
    live
}

/// An adapter of a plan: its term, and the number of effects before its module.
struct Placed {
    term: TermId,
    position: usize,
}

#[derive(Clone)]
enum Register {
    Empty,
    /// A trampoline or lift that is being evaluated.
    Open,
    Term(TermId),
    /// An instance of adapters, by its place in [`Machine::adapters`].
    Adapters(usize, usize),
}

struct Machine<'a> {
    graph: &'a Graph,
    linear: &'a Linear,
    terms: &'a mut Terms,
    registers: Vec<Vec<Register>>,
    adapters: Vec<Placed>,
    effects: Vec<Node<TermId>>,
}

impl<'a> Machine<'a> {
    fn new(graph: &'a Graph, linear: &'a Linear, terms: &'a mut Terms) -> Machine<'a> {
        let registers = SlotKind::ALL.iter().map(|kind| vec![Register::Empty; linear.counts.of(*kind) as usize]);
        Machine { graph, linear, terms, registers: registers.collect(), adapters: Vec::new(), effects: Vec::new() }
    }

    fn run(&mut self) -> Result<Denotation, Defect> {
        self.begin()?;
        for op in &self.linear.ops {
            self.step(op)?;
        }
        let mut exports = Vec::with_capacity(self.linear.exports.len());
        for export in &self.linear.exports {
            exports.push(export.try_map(|slot| self.term(slot))?);
        }
        let effects = std::mem::take(&mut self.effects);
        Ok(Denotation { effects, exports, imports: self.linear.imports.clone() })
    }

    /// Registers that hold something from the start.
    fn begin(&mut self) -> Result<(), Defect> {
        for (at, import) in (0..).zip(&self.linear.imports) {
            let row = self.graph.statics.import(*import);
            let row = row.ok_or_else(|| Property::P18.broken(format!("there is no import {import}")))?;
            let term = self.terms.value(Node::Import(*import));
            self.write(Slot { kind: SlotKind::Import, index: at }, Register::Term(term))?;
            if let ImportKind::Resource(resource) = row.kind {
                self.write(Slot { kind: SlotKind::Resource, index: resource.0 }, Register::Term(term))?;
            }
        }
        for (index, _) in (0..).zip(&self.graph.statics.components) {
            let term = self.terms.value(Node::Flags(crate::ids::ComponentIndex(index)));
            self.write(Slot { kind: SlotKind::Flags, index }, Register::Term(term))?;
        }
        Ok(())
    }

    fn register(&mut self, slot: Slot) -> Result<&mut Register, Defect> {
        let register = self.registers[slot.kind as usize].get_mut(slot.index as usize);
        register.ok_or_else(|| Property::P2.broken(format!("there is no slot {slot}")))
    }

    fn write(&mut self, slot: Slot, value: Register) -> Result<(), Defect> {
        let register = self.register(slot)?;
        let first = matches!(register, Register::Empty);
        *register = value;
        Property::P2.require(first, || format!("{slot} is written twice"))
    }

    /// The term in a slot. Trampolines and lifts are evaluated when they are first asked for: whatever they refer to must be
    /// there by then, since whoever gets one may call it.
    fn term(&mut self, slot: Slot) -> Result<TermId, Defect> {
        let mut stack = vec![slot];
        loop {
            let Some(top) = stack.last().copied() else {
                return Err(Property::P1.broken(format!("{slot} has no value")));
            };
            if let Register::Term(term) = self.register(top)? {
                let term = *term;
                stack.pop();
                if stack.is_empty() {
                    return Ok(term);
                }
                continue;
            }
            let node = match top.kind {
                SlotKind::Trampoline => self.linear.trampolines.get(top.index as usize),
                SlotKind::Lift => self.linear.lifts.get(top.index as usize),
                _ => None,
            };
            let node = node.ok_or_else(|| Property::P1.broken(format!("{top} is used before it is written")))?;
            *self.register(top)? = Register::Open;
            let depth = stack.len();
            for operand in node.operands() {
                match self.register(operand)? {
                    Register::Term(_) => {}
                    Register::Open => return Err(Property::P10.broken(format!("{operand} depends on itself"))),
                    _ => stack.push(operand),
                }
            }
            if stack.len() == depth {
                let node = node.try_map_operands(|_, operand| self.known(operand))?;
                let term = self.terms.value(node);
                *self.register(top)? = Register::Term(term);
            }
        }
    }

    fn known(&mut self, slot: Slot) -> Result<TermId, Defect> {
        match self.register(slot)? {
            Register::Term(term) => Ok(*term),
            _ => Err(Property::P1.broken(format!("{slot} is used before it is written"))),
        }
    }

    fn step(&mut self, op: &Op) -> Result<(), Defect> {
        match op {
            Op::Instantiate { dst, module, args, component } => {
                let node = Node::Instantiate { module: *module, args: args.clone(), component: *component };
                self.effect(*dst, &node)
            }
            Op::Resource { dst, dtor, component } => {
                let resource = wattest_canon::ResourceId(dst.index);
                self.effect(*dst, &Node::DefineResource { resource, dtor: *dtor, component: *component })
            }
            Op::Load { dst, instance, export } => self.load(*dst, *instance, *export),
            Op::Adapters { dst, adapter, args } => {
                let row = self.linear.adapters.get(adapter.index());
                let row = row.ok_or_else(|| Property::P9.broken(format!("there is no {adapter}")))?;
                let mut imports = Vec::with_capacity(args.len());
                for arg in args {
                    imports.push(self.term(*arg)?);
                }
                let first = self.adapters.len();
                for export in &row.exports {
                    let node = export.try_map_operands(|_, operand| {
                        let term = match operand {
                            AdapterRef::Import(import) => imports.get(import as usize).copied(),
                            AdapterRef::Export(at) => self.adapters[first..].get(at as usize).map(|placed| placed.term),
                        };
                        term.ok_or_else(|| Property::P9.broken(format!("{adapter} refers to {operand:?}")))
                    })?;
                    let term = self.terms.value(node);
                    self.adapters.push(Placed { term, position: self.effects.len() });
                }
                for (position, node) in &row.support {
                    let node = node.try_map_operands(|_, operand| {
                        let AdapterRef::Import(import) = operand else { return Err(Property::P13.broken("an export")) };
                        let term = imports.get(import as usize).copied();
                        term.ok_or_else(|| Property::P9.broken(format!("{adapter} has no import {import}")))
                    })?;
                    let term = self.terms.value(node);
                    let same = imports.get(*position as usize) == Some(&term);
                    Property::P13.require(same, || format!("import {position} of {adapter} is another one"))?;
                }
                self.write(*dst, Register::Adapters(first, self.adapters.len()))
            }
        }
    }

    fn effect(&mut self, dst: Slot, node: &Node<Slot>) -> Result<(), Defect> {
        let node = node.try_map_operands(|_, operand| self.term(operand))?;
        let term = self.terms.id(Term::Effect(self.effects.len() as u32));
        self.effects.push(node);
        self.write(dst, Register::Term(term))
    }

    fn load(&mut self, dst: Slot, instance: Slot, export: LoadKey) -> Result<(), Defect> {
        let term = match (self.register(instance)?.clone(), export) {
            (Register::Term(instance), LoadKey::Core(key)) => self.terms.project(instance, key, dst.kind),
            (Register::Adapters(first, end), LoadKey::Adapter(export)) if dst.kind == SlotKind::Func => {
                let placed = self.adapters[first..end].get(export as usize);
                placed.ok_or_else(|| Property::P9.broken(format!("{instance} has no export {export}")))?.term
            }
            (Register::Empty, _) => return Err(Property::P1.broken(format!("{instance} is used before it is written"))),
            _ => return Err(Property::P2.broken(format!("{dst} is loaded from {instance} by the wrong key"))),
        };
        self.write(dst, Register::Term(term))
    }
}

fn compare(meant: &Denotation, done: &Denotation) -> Result<(), Defect> {
    let count = meant.effects.len();
    Property::P3.require(count == done.effects.len(), || format!("{} effects, not {count}", done.effects.len()))?;
    for (at, (meant, done)) in meant.effects.iter().zip(&done.effects).enumerate() {
        if meant != done {
            return Err(which(meant, done).broken(format!("effect {at} is another one")));
        }
    }
    let same = meant.exports.len() == done.exports.len();
    Property::P17.require(same, || format!("{} exports, not {}", done.exports.len(), meant.exports.len()))?;
    for (at, (meant, done)) in meant.exports.iter().zip(&done.exports).enumerate() {
        Property::P17.require(meant == done, || format!("export {at} is {done:?}, not {meant:?}"))?;
    }
    Property::P18.require(meant.imports == done.imports, || "other imports".into())
}

/// The property that says of what differs between two effects that it must be equal.
fn which(meant: &Node<TermId>, done: &Node<TermId>) -> Property {
    match (meant, done) {
        (
            Node::Instantiate { module, args, component },
            Node::Instantiate { module: other, args: others, component: another },
        ) => match (module, other) {
            (ModuleRef::Static(a), ModuleRef::Static(b)) if a != b => Property::P3,
            _ if component != another => Property::P3,
            _ if !same_shape(args, others) => Property::P3,
            _ => Property::P5,
        },
        (Node::DefineResource { dtor, .. }, Node::DefineResource { dtor: other, .. }) if dtor != other => Property::P6,
        (Node::DefineResource { .. }, Node::DefineResource { .. }) => Property::P4,
        _ => Property::P3,
    }
}

fn same_shape<R>(a: &Args<R>, b: &Args<R>) -> bool {
    match (a, b) {
        (Args::Positional(a), Args::Positional(b)) => a.len() == b.len(),
        (Args::Named(a), Args::Named(b)) => a.len() == b.len(),
        _ => false,
    }
}

fn p9_exactly_once(graph: &Graph, nodes: &[Option<TermId>], adapters: &[Placed]) -> Result<(), Defect> {
    let mut placed: Vec<TermId> = adapters.iter().map(|placed| placed.term).collect();
    placed.sort_unstable();
    let twice = placed.windows(2).any(|pair| pair[0] == pair[1]);
    Property::P9.require(!twice, || "an adapter is in two modules".into())?;
    let live = graph.nodes().iter().zip(nodes).filter(|(node, term)| matches!(node, Node::Fused(_)) && term.is_some());
    let mut wanted: Vec<TermId> = live.filter_map(|(_, term)| *term).collect();
    wanted.sort_unstable();
    Property::P9.require(wanted == placed, || format!("{} adapters, not {}", placed.len(), wanted.len()))
}

fn p11_between_bounds(graph: &Graph, nodes: &[Option<TermId>], adapters: &[Placed]) -> Result<(), Defect> {
    if adapters.is_empty() {
        return Ok(());
    }
    let end = graph.effects().len();
    let (mut early, mut late) = (vec![0; nodes.len()], vec![end; nodes.len()]);
    let mut effects = 0;
    for (at, node) in graph.nodes().iter().enumerate() {
        effects += usize::from(node.is_effect());
        let mut bound = if node.is_effect() { effects } else { 0 };
        node.for_each_operand(|_, operand| bound = bound.max(early[operand.index()]));
        early[at] = bound;
    }
    for (at, node) in graph.nodes().iter().enumerate().rev() {
        if node.is_effect() {
            effects -= 1;
            late[at] = effects;
        }
        if nodes[at].is_some() {
            let bound = late[at];
            node.for_each_operand(|_, operand| late[operand.index()] = bound.min(late[operand.index()]));
        }
    }
    // ORDER: only looked up.
    let positions: HashMap<TermId, usize, Folding> =
        adapters.iter().map(|placed| (placed.term, placed.position)).collect();
    for (at, term) in nodes.iter().enumerate() {
        if let Some(position) = term.and_then(|term| positions.get(&term)) {
            let fits = early[at] <= *position && *position <= late[at];
            let bounds = || format!("n{at} is made at {position}, not within {} and {}", early[at], late[at]);
            Property::P11.require(fits, bounds)?;
        }
    }
    Ok(())
}
