//! The structural validator: a plan held against the rules of plans.
//!
//! What every plan obeys by itself, whatever graph it came from: slots, times, uses
//! ([plans](crate::linear)).
//!
//! Invariant: each check names the property it decides; times are found by an explicit walk, so a chain of trampolines as long
//! as the plan costs no stack.
//!
//! Does not know: graphs.

use crate::emit::component_of;
use crate::graph::{Node, ResourceOrigin, Statics};
use crate::ids::{Slot, SlotKind};
use crate::linear::{Adapter, AdapterRef, Linear, LoadKey, Op};
use crate::verify::{Defect, Property};
use std::collections::BTreeSet;
use wattest_fuse::Intrinsic;

/// Checks all rules.
pub(super) fn check(statics: &Statics, linear: &Linear) -> Result<(), Defect> {
    let space = Space::new(statics, linear);
    p2_written_once(&space)?;
    p20_component_indices(&space)?;
    let times = p10_times(&space)?;
    p1_defined_before_use(&space, &times)?;
    p7_extracted_once(&space)?;
    p9_descriptions(&space)?;
    p8_everything_used(&space)
}

/// All slots as one space of positions.
struct Space<'a> {
    statics: &'a Statics,
    linear: &'a Linear,
    /// Where each kind begins.
    begins: [usize; SlotKind::ALL.len()],
    len: usize,
}

impl<'a> Space<'a> {
    fn new(statics: &'a Statics, linear: &'a Linear) -> Space<'a> {
        let mut begins = [0; SlotKind::ALL.len()];
        let mut len = 0usize;
        for (begin, count) in begins.iter_mut().zip(linear.counts.0) {
            *begin = len;
            len = len.saturating_add(count as usize);
        }
        Space { statics, linear, begins, len }
    }

    fn position(&self, slot: Slot) -> Result<usize, Defect> {
        let known = slot.index < self.linear.counts.of(slot.kind);
        Property::P2.require(known, || format!("there is no slot {slot}"))?;
        Ok(self.begins[slot.kind as usize] + slot.index as usize)
    }

    fn slot(&self, position: usize) -> Slot {
        let kind = SlotKind::ALL
            .into_iter()
            .rev()
            .find(|kind| self.begins[*kind as usize] <= position && self.linear.counts.of(*kind) > 0);
        let kind = kind.unwrap_or(SlotKind::Instance);
        Slot { kind, index: u32::try_from(position - self.begins[kind as usize]).unwrap_or(u32::MAX) }
    }

    fn is_host_resource(&self, slot: Slot) -> bool {
        let origin = self.statics.resources.get(slot.index as usize);
        slot.kind == SlotKind::Resource && matches!(origin, Some(ResourceOrigin::Host(_)))
    }

    /// The node behind a trampoline or a lift.
    fn declared(&self, slot: Slot) -> Option<&'a Node<Slot>> {
        match slot.kind {
            SlotKind::Trampoline => self.linear.trampolines.get(slot.index as usize),
            SlotKind::Lift => self.linear.lifts.get(slot.index as usize),
            _ => None,
        }
    }
}

fn p2_written_once(space: &Space<'_>) -> Result<(), Defect> {
    let linear = space.linear;
    let declared = [
        (SlotKind::Trampoline, linear.trampolines.len()),
        (SlotKind::Lift, linear.lifts.len()),
        (SlotKind::Import, linear.imports.len()),
        (SlotKind::Flags, space.statics.components.len()),
        (SlotKind::Resource, space.statics.resources.len()),
    ];
    for (kind, len) in declared {
        let count = linear.counts.of(kind) as usize;
        Property::P2.require(count == len, || format!("{len} of kind {}, counted {count}", kind.word()))?;
    }
    for (kind, table) in [(SlotKind::Trampoline, &linear.trampolines), (SlotKind::Lift, &linear.lifts)] {
        let right = table.iter().all(|node| node.slot_kind() == kind);
        Property::P2.require(right, || format!("a row of kind {} is something else", kind.word()))?;
    }
    let mut written = [0u32; SlotKind::ALL.len()];
    let hosts = space.statics.resources.iter().take_while(|row| matches!(row, ResourceOrigin::Host(_))).count();
    written[SlotKind::Resource as usize] = u32::try_from(hosts).unwrap_or(u32::MAX);
    for (at, op) in linear.ops.iter().enumerate() {
        let dst = op.dst();
        let fits = match op {
            Op::Instantiate { .. } | Op::Adapters { .. } => dst.kind == SlotKind::Instance,
            Op::Resource { .. } => dst.kind == SlotKind::Resource,
            Op::Load { .. } => (SlotKind::Func..=SlotKind::Tag).contains(&dst.kind),
        };
        Property::P2.require(fits, || format!("operation {at} writes {dst}"))?;
        let next = &mut written[dst.kind as usize];
        Property::P2.require(dst.index == *next, || format!("operation {at} writes {dst}, not number {next}"))?;
        *next = next.saturating_add(1);
    }
    for kind in SlotKind::ALL.into_iter().filter(|kind| kind.is_written()) {
        let (count, written) = (linear.counts.of(kind), written[kind as usize]);
        Property::P2.require(count == written, || format!("{written} of {count} slots {} are written", kind.word()))?;
    }
    Ok(())
}

fn p20_component_indices(space: &Space<'_>) -> Result<(), Defect> {
    let components = space.statics.components.len();
    for (at, op) in space.linear.ops.iter().enumerate() {
        if let Op::Instantiate { component, .. } | Op::Resource { component, .. } = op {
            Property::P20.require(component.index() < components, || format!("operation {at} is in {component}"))?;
        }
    }
    Ok(())
}

/// When a slot and everything it may touch exist: after how many operations. A cycle is an error.
fn p10_times(space: &Space<'_>) -> Result<Vec<usize>, Defect> {
    const UNKNOWN: usize = usize::MAX;
    const OPEN: usize = usize::MAX - 1;
    let mut times = vec![UNKNOWN; space.len];
    for (at, op) in space.linear.ops.iter().enumerate() {
        times[space.position(op.dst())?] = at + 1;
    }
    for (index, _) in (0..).zip(&space.statics.resources) {
        let slot = Slot { kind: SlotKind::Resource, index };
        if space.is_host_resource(slot) {
            times[space.position(slot)?] = 0;
        }
    }
    for kind in [SlotKind::Import, SlotKind::Flags] {
        let begin = space.begins[kind as usize];
        times[begin..begin + space.linear.counts.of(kind) as usize].fill(0);
    }
    let mut stack = Vec::new();
    for start in 0..space.len {
        if times[start] == UNKNOWN {
            stack.push(start);
        }
        while let Some(position) = stack.last().copied() {
            let slot = space.slot(position);
            let Some(node) = space.declared(slot) else {
                return Err(Property::P2.broken(format!("{slot} is never written")));
            };
            times[position] = OPEN;
            let (mut time, depth) = (0, stack.len());
            for operand in node.operands() {
                let operand = space.position(operand)?;
                match times[operand] {
                    UNKNOWN => stack.push(operand),
                    OPEN => return Err(Property::P10.broken(format!("{slot} depends on itself"))),
                    known => time = time.max(known),
                }
            }
            if stack.len() == depth {
                times[position] = time;
                stack.pop();
            }
        }
    }
    Ok(times)
}

fn p1_defined_before_use(space: &Space<'_>, times: &[usize]) -> Result<(), Defect> {
    for (at, op) in space.linear.ops.iter().enumerate() {
        let mut verdict = Ok(());
        op.for_each_operand(|slot| {
            if verdict.is_ok() {
                verdict = space.position(slot).and_then(|position| {
                    let message = || format!("operation {at} uses {slot}, which is complete after {}", times[position]);
                    Property::P1.require(times[position] <= at, message)
                });
            }
        });
        verdict?;
    }
    for operand in space.linear.exports.iter().filter_map(|export| export.operand()) {
        space.position(operand)?;
    }
    Ok(())
}

fn p7_extracted_once(space: &Space<'_>) -> Result<(), Defect> {
    let mut loads = BTreeSet::new();
    for (at, op) in space.linear.ops.iter().enumerate() {
        if let Op::Load { dst, instance, export } = op {
            let key = match export {
                LoadKey::Core(crate::graph::Key::Index(index)) => (0, u64::from(*index), None),
                LoadKey::Core(crate::graph::Key::Name(name)) => (1, 0, Some(*name)),
                LoadKey::Adapter(index) => (2, u64::from(*index), None),
            };
            let first = loads.insert((*instance, dst.kind, key));
            Property::P7.require(first, || format!("operation {at} loads from {instance} once more"))?;
        }
    }
    Ok(())
}

fn p9_descriptions(space: &Space<'_>) -> Result<(), Defect> {
    let linear = space.linear;
    let mut seen = vec![false; linear.adapters.len()];
    for (at, op) in linear.ops.iter().enumerate() {
        let Op::Adapters { adapter, args, .. } = op else { continue };
        let row = linear.adapters.get(adapter.index());
        let row = row.ok_or_else(|| Property::P9.broken(format!("operation {at} instantiates {adapter}")))?;
        let fits = args.len() == row.imports as usize;
        Property::P9.require(fits, || format!("{adapter} has {} imports, not {}", row.imports, args.len()))?;
        let again = std::mem::replace(&mut seen[adapter.index()], true);
        Property::P9.require(!again, || format!("{adapter} is instantiated twice"))?;
        let known = (row.template as usize) < linear.templates.len();
        Property::P9.require(known, || format!("{adapter} has no template {}", row.template))?;
    }
    Property::P8.require(seen.iter().all(|seen| *seen), || "an adapter module is not instantiated".into())?;
    for (at, row) in linear.adapters.iter().enumerate() {
        for (position, export) in row.exports.iter().enumerate() {
            let is_adapter = matches!(export, Node::Fused(_));
            Property::P9.require(is_adapter, || format!("export {position} of a{at} is no adapter"))?;
            for operand in export.operands() {
                let fits = match operand {
                    AdapterRef::Import(import) => import < row.imports,
                    AdapterRef::Export(callee) => (callee as usize) < position,
                };
                Property::P9.require(fits, || format!("export {position} of a{at} refers to {operand:?}"))?;
            }
        }
        p13_support(at, row)?;
    }
    Ok(())
}

/// Every import of an adapter module is an operand of its adapters, or serves them: flags of their component instances,
/// transcoders between their memories, handles between their tables.
fn p13_support(at: usize, row: &Adapter) -> Result<(), Defect> {
    let mut named = vec![0u32; row.imports as usize];
    let mut name = |operand: AdapterRef| {
        if let AdapterRef::Import(import) = operand
            && let Some(count) = named.get_mut(import as usize)
        {
            *count += 1;
        }
    };
    let mut memories = BTreeSet::new();
    let mut components = BTreeSet::new();
    for export in &row.exports {
        export.for_each_operand(|_, operand| name(operand));
        if let Node::Fused(fused) = export {
            for opts in [&fused.lower.opts, &fused.lift.opts] {
                components.insert(opts.component);
                memories.extend(opts.memory.map(|memory| memory.memory));
            }
        }
    }
    for (position, node) in &row.support {
        name(AdapterRef::Import(*position));
        let fits = match node {
            Node::Flags(component) => components.contains(component),
            Node::Support(intrinsic) => match intrinsic {
                Intrinsic::Transfer { from, to, .. }
                | Intrinsic::Enter { from, to, .. }
                | Intrinsic::EnterAsync { from, to } => {
                    components.contains(&component_of(*from)) && components.contains(&component_of(*to))
                }
                Intrinsic::MayBlock { from } => components.contains(&component_of(*from)),
                intrinsic => intrinsic.memories().iter().flatten().all(|memory| memories.contains(memory)),
            },
            _ => false,
        };
        Property::P13.require(fits, || format!("import {position} of a{at} serves none of its adapters"))?;
    }
    Property::P9.require(!named.contains(&0), || format!("a{at} has an import that nothing names"))
}

/// Everything that is not an effect is reached from effects and exports.
fn p8_everything_used(space: &Space<'_>) -> Result<(), Defect> {
    let linear = space.linear;
    let writers = writers(space)?;
    let mut reach = Reach { used: vec![false; space.len], work: Vec::new() };
    let mut exports: Vec<Vec<bool>> = linear.adapters.iter().map(|row| vec![false; row.exports.len()]).collect();
    for op in linear.ops.iter().filter(|op| op.is_effect()) {
        reach.mark(space.position(op.dst())?);
        reach.operands(space, op)?;
    }
    for operand in linear.exports.iter().filter_map(|export| export.operand()) {
        reach.mark(space.position(operand)?);
    }
    while let Some(position) = reach.work.pop() {
        if let Some(node) = space.declared(space.slot(position)) {
            for operand in node.operands() {
                reach.mark(space.position(operand)?);
            }
        }
        let Some(op) = writers[position].map(|at| &linear.ops[at]) else { continue };
        reach.operands(space, op)?;
        if let Op::Load { instance, export: LoadKey::Adapter(export), .. } = op {
            use_export(space, &writers, &mut exports, *instance, *export)?;
        }
    }
    for (position, _) in reach.used.iter().enumerate().filter(|(_, used)| !**used) {
        let slot = space.slot(position);
        let exempt = match slot.kind {
            SlotKind::Flags => true,
            SlotKind::Resource => true,
            SlotKind::Import => is_resource_import(space, slot),
            _ => false,
        };
        Property::P8.require(exempt, || format!("{slot} is never used"))?;
    }
    for (at, row) in exports.iter().enumerate() {
        Property::P8.require(row.iter().all(|used| *used), || format!("a{at} has an adapter that is never used"))?;
    }
    let bound = linear.ops.iter().filter(|op| op.is_effect()).count() + space.len + linear.adapters.len();
    Property::P23.require(linear.ops.len() <= bound, || format!("{} operations", linear.ops.len()))
}

fn is_resource_import(space: &Space<'_>, slot: Slot) -> bool {
    let import = space.linear.imports.get(slot.index as usize).and_then(|import| space.statics.import(*import));
    import.is_some_and(|row| matches!(row.kind, crate::graph::ImportKind::Resource(_)))
}

fn writers(space: &Space<'_>) -> Result<Vec<Option<usize>>, Defect> {
    let mut writers = vec![None; space.len];
    for (at, op) in space.linear.ops.iter().enumerate() {
        writers[space.position(op.dst())?] = Some(at);
    }
    Ok(writers)
}

struct Reach {
    used: Vec<bool>,
    work: Vec<usize>,
}

impl Reach {
    fn mark(&mut self, position: usize) {
        if !std::mem::replace(&mut self.used[position], true) {
            self.work.push(position);
        }
    }

    fn operands(&mut self, space: &Space<'_>, op: &Op) -> Result<(), Defect> {
        let mut verdict = Ok(());
        op.for_each_operand(|slot| match space.position(slot) {
            Ok(position) => self.mark(position),
            Err(defect) => verdict = Err(defect),
        });
        verdict
    }
}

/// Marks an export of an adapter module and those it calls directly.
fn use_export(
    space: &Space<'_>,
    writers: &[Option<usize>],
    exports: &mut [Vec<bool>],
    instance: Slot,
    export: u32,
) -> Result<(), Defect> {
    let writer = writers[space.position(instance)?].map(|at| &space.linear.ops[at]);
    let Some(Op::Adapters { adapter, .. }) = writer else {
        return Err(Property::P9.broken(format!("{instance} is no instance of adapters")));
    };
    let row = &space.linear.adapters[adapter.index()];
    let used = &mut exports[adapter.index()];
    let mut work = vec![export];
    while let Some(export) = work.pop() {
        let seen = used.get_mut(export as usize);
        let seen = seen.ok_or_else(|| Property::P9.broken(format!("{adapter} has no export {export}")))?;
        if std::mem::replace(seen, true) {
            continue;
        }
        for operand in row.exports[export as usize].operands() {
            if let AdapterRef::Export(callee) = operand {
                work.push(callee);
            }
        }
    }
    Ok(())
}
