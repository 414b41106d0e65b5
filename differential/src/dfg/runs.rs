//! The two ways to carry a component out: its graph in any legal order, its plan in the plan's.
//!
//! A graph's effects keep their order, which is that of
//! [instantiation](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#instance-definitions); its
//! pure nodes come whenever their operands are there, as a seed says. A plan's adapters are either what their nodes mean, or
//! the modules that were emitted for them.
//!
//! Invariant: a [`Trace`] depends on the graph or plan and on nothing else, least of all on the seed.
//!
//! Does not know: what traces are compared with.

use super::core::{Core, FuncId, Halt, Item};
use super::interpreters::Interpreters;
use super::machine::{Cell, CellId, Machine};
use super::trace::{Trace, ended};
use super::values::{from_canon, to_canon};
use crate::components::{ComponentCall, ComponentCase};
use std::sync::Arc;
use wattest_component::graph::{Args, Export, ExportValue, Fused, ImportKind, Node, Opts, Side};
use wattest_component::{
    Adapter, AdapterRef, ComponentIndex, Graph, Linear, LoadKey, NodeId, Op, Plan, Slot, SlotKind, Statics,
};
use wattest_reference::component::{Event, Val};

/// Who does the work of adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapters {
    /// What their nodes mean.
    Meaning,
    /// The modules that were emitted.
    Emitted,
}

/// A number generator: what chooses among legal orders.
struct Chooser(u64);

impl Chooser {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % count.max(1) as u64) as usize
    }
}

/// Carries a graph out, its pure nodes in an order that the seed chooses.
pub fn run_graph(engine: &Interpreters, graph: &Graph, case: &ComponentCase, seed: u64) -> Trace {
    segments(case, |calls| {
        let modules = modules_of(&graph.statics, &case.wasm);
        engine.with_store(&modules, |core| {
            let machine = Machine::new(core, &graph.statics, case, graph.nodes().len());
            let made = instantiate_graph(core, &machine, graph, Chooser(seed | 1));
            let exports: Vec<Export<CellId>> = graph.exports().iter().map(|row| cell_export(row, |id| id.0)).collect();
            let lift_of = |cell: CellId| match graph.node(NodeId(cell.0)) {
                Node::Lift { callee, side } => Some((CellId(callee.0), cell_side(side, |id| CellId(id.0)))),
                _ => None,
            };
            finish(core, &machine, (&exports, &lift_of), calls, made)
        })
    })
}

/// Carries a plan out.
pub fn run_plan(engine: &Interpreters, plan: &Plan, case: &ComponentCase, adapters: Adapters) -> Trace {
    let mut modules = modules_of(&plan.statics, &case.wasm);
    if adapters == Adapters::Emitted {
        modules.extend(plan.linear.templates.iter().map(Vec::as_slice));
    }
    let linear = &plan.linear;
    segments(case, |calls| {
        engine.with_store(&modules, |core| {
            let cells = Cells::of(linear);
            let machine = Machine::new(core, &plan.statics, case, cells.count);
            let mut run = PlanRun { machine: &machine, linear, cells: &cells, adapters, hidden: false };
            let made = run.instantiate(core);
            let hidden = run.hidden;
            let exports: Vec<Export<CellId>> =
                linear.exports.iter().map(|row| cell_export(row, |slot| cells.of_slot(slot).0)).collect();
            let lift_of = |cell: CellId| {
                let at = cell.0.checked_sub(cells.of_slot(Slot { kind: SlotKind::Lift, index: 0 }).0)?;
                match linear.lifts.get(at as usize)? {
                    Node::Lift { callee, side } => {
                        Some((cells.of_slot(*callee), cell_side(side, |slot| cells.of_slot(slot))))
                    }
                    _ => None,
                }
            };
            let mut trace = finish(core, &machine, (&exports, &lift_of), calls, made);
            trace.hides_allocations = hidden;
            trace
        })
    })
}

/// Runs that do not fail by themselves, one after the other.
fn segments(case: &ComponentCase, mut run: impl FnMut(&[ComponentCall]) -> Trace) -> Trace {
    super::in_segments(case, |calls| Ok(run(calls)))
        .unwrap_or_else(|broken| Trace { broken: Some(broken), ..Trace::default() })
}

fn modules_of<'a>(statics: &Statics, wasm: &'a [u8]) -> Vec<&'a [u8]> {
    statics.modules.iter().map(|row| wasm.get(row.bytes.clone()).unwrap_or_default()).collect()
}

fn cell_export<R: Copy>(row: &Export<R>, mut cell: impl FnMut(R) -> u32) -> Export<CellId> {
    match row.try_map(|operand| Ok::<_, std::convert::Infallible>(CellId(cell(operand)))) {
        Ok(row) => row,
        Err(never) => match never {},
    }
}

fn cell_side<R: Copy>(side: &Side<R>, cell: impl Fn(R) -> CellId) -> Side<CellId> {
    let opts = &side.opts;
    let memory = opts
        .memory
        .map(|memory| wattest_component::graph::MemoryOpt { memory: cell(memory.memory), shape: memory.shape });
    Side {
        ty: side.ty,
        opts: Opts {
            component: opts.component,
            encoding: opts.encoding,
            memory,
            realloc: opts.realloc.map(&cell),
            post_return: opts.post_return.map(&cell),
            callback: opts.callback.map(&cell),
            is_async: opts.is_async,
        },
    }
}

/// The nodes of a graph in some legal order.
fn instantiate_graph(core: &mut dyn Core, machine: &Machine, graph: &Graph, mut chooser: Chooser) -> Result<(), Halt> {
    let count = graph.nodes().len();
    let (mut waits, mut users) = (vec![0u32; count], vec![Vec::new(); count]);
    for (at, node) in graph.nodes().iter().enumerate() {
        node.for_each_operand(|_, operand| {
            waits[at] += 1;
            users[operand.index()].push(at);
        });
    }
    let mut ready: Vec<usize> = (0..count).filter(|at| waits[*at] == 0 && !graph.nodes()[*at].is_effect()).collect();
    let mut effects = graph.effects().iter().map(|id| id.index()).peekable();
    loop {
        let next = effects.peek().copied().filter(|at| waits[*at] == 0);
        let choices = ready.len() + usize::from(next.is_some());
        if choices == 0 {
            break;
        }
        let at = match (chooser.below(choices), next) {
            (choice, Some(effect)) if choice == ready.len() => {
                effects.next();
                effect
            }
            (choice, _) => ready.swap_remove(choice),
        };
        execute_node(core, machine, graph, at)?;
        for user in &users[at] {
            waits[*user] -= 1;
            if waits[*user] == 0 && !graph.nodes()[*user].is_effect() {
                ready.push(*user);
            }
        }
    }
    match effects.next() {
        None => Ok(()),
        Some(at) => Err(Halt::Broken(format!("effect n{at} waits for what never comes"))),
    }
}

fn execute_node(core: &mut dyn Core, machine: &Machine, graph: &Graph, at: usize) -> Result<(), Halt> {
    let node = graph.nodes()[at].map_operands(|_, operand| CellId(operand.0));
    let dst = CellId(at as u32);
    let func = |func: FuncId| Cell::Item(Item::Func(func));
    let value = match &node {
        Node::Instantiate { module, args, component } => {
            return machine.instantiate(core, dst, (module, args), *component);
        }
        Node::DefineResource { resource, dtor, component } => {
            return machine.define_resource(dst, *resource, *dtor, *component);
        }
        Node::Import(import) => match graph.statics.import(*import).map(|row| &row.kind) {
            Some(ImportKind::Resource(resource)) => Cell::Resource(*resource),
            _ => Cell::Import(*import),
        },
        Node::Project { instance, key, ty } => machine.project(core, *instance, *key, ty.sort())?,
        Node::Lower { .. } | Node::Builtin(_) | Node::Support(_) | Node::TrapStub { .. } => {
            func(machine.trampoline(core, &node)?)
        }
        Node::Fused(fused) => func(machine.fused(core, fused)?),
        Node::Flags(component) => Cell::Item(machine.flags_item(*component)?),
        // Called by its operands.
        Node::Lift { .. } => return Ok(()),
    };
    machine.set(dst, value)
}

/// Where the slots of a plan are among the cells.
struct Cells {
    first: [u32; SlotKind::ALL.len()],
    count: usize,
}

impl Cells {
    fn of(linear: &Linear) -> Cells {
        let mut first = [0; SlotKind::ALL.len()];
        let mut count = 0;
        for (place, kind) in first.iter_mut().zip(SlotKind::ALL) {
            *place = count;
            count += linear.counts.of(kind);
        }
        Cells { first, count: count as usize }
    }

    fn of_slot(&self, slot: Slot) -> CellId {
        CellId(self.first[slot.kind as usize] + slot.index)
    }
}

struct PlanRun<'a> {
    machine: &'a Machine,
    linear: &'a Linear,
    cells: &'a Cells,
    adapters: Adapters,
    /// Whether some call of an allocator or of a post-return function cannot be told from other calls.
    hidden: bool,
}

impl PlanRun<'_> {
    fn cell(&self, slot: Slot) -> CellId {
        self.cells.of_slot(slot)
    }

    fn args(&self, args: &Args<Slot>) -> Args<CellId> {
        match args {
            Args::Positional(values) => Args::Positional(values.iter().map(|slot| self.cell(*slot)).collect()),
            Args::Named(rows) => {
                Args::Named(rows.iter().map(|(module, name, slot)| (*module, *name, self.cell(*slot))).collect())
            }
        }
    }

    fn declare(&self, core: &mut dyn Core) -> Result<(), Halt> {
        let statics = &self.machine.0.statics;
        for (index, import) in (0..).zip(&self.linear.imports) {
            if let Some(ImportKind::Resource(resource)) = statics.import(*import).map(|row| &row.kind) {
                let slot = Slot { kind: SlotKind::Resource, index: resource.0 };
                self.machine.set(self.cell(slot), Cell::Resource(*resource))?;
            } else {
                self.machine.set(self.cell(Slot { kind: SlotKind::Import, index }), Cell::Import(*import))?;
            }
        }
        for index in 0..self.linear.counts.of(SlotKind::Flags) {
            let flags = self.machine.flags_item(ComponentIndex(index))?;
            self.machine.set(self.cell(Slot { kind: SlotKind::Flags, index }), Cell::Item(flags))?;
        }
        for (index, node) in (0..).zip(&self.linear.trampolines) {
            let node = node.map_operands(|_, slot| self.cell(slot));
            let func = self.machine.trampoline(core, &node)?;
            let slot = Slot { kind: SlotKind::Trampoline, index };
            self.machine.set(self.cell(slot), Cell::Item(Item::Func(func)))?;
        }
        Ok(())
    }

    fn instantiate(&mut self, core: &mut dyn Core) -> Result<(), Halt> {
        self.declare(core)?;
        let linear = self.linear;
        for op in &linear.ops {
            let dst = self.cell(op.dst());
            match op {
                Op::Instantiate { module, args, component, .. } => {
                    let module = match module {
                        wattest_component::graph::ModuleRef::Static(module) => {
                            wattest_component::graph::ModuleRef::Static(*module)
                        }
                        wattest_component::graph::ModuleRef::Host(slot) => {
                            wattest_component::graph::ModuleRef::Host(self.cell(*slot))
                        }
                    };
                    self.machine.instantiate(core, dst, (&module, &self.args(args)), *component)?;
                }
                Op::Adapters { adapter, args, .. } => {
                    let missing = || Halt::Broken(format!("there is no {adapter}"));
                    let adapter = linear.adapters.get(adapter.index()).ok_or_else(missing)?;
                    let args: Vec<CellId> = args.iter().map(|slot| self.cell(*slot)).collect();
                    let funcs = match self.adapters {
                        Adapters::Meaning => self.meant(core, adapter, &args)?,
                        Adapters::Emitted => self.emitted(core, adapter, &args)?,
                    };
                    self.machine.set(dst, Cell::Adapters(funcs))?;
                }
                Op::Load { instance, export, .. } => self.load(core, (op.dst(), dst), *instance, *export)?,
                Op::Resource { dst: slot, dtor, component } => {
                    let dtor = dtor.map(|dtor| self.cell(dtor));
                    let resource = wattest_canon::ResourceId(slot.index);
                    self.machine.define_resource(dst, resource, dtor, *component)?;
                }
            }
        }
        Ok(())
    }

    fn load(
        &self,
        core: &mut dyn Core,
        (slot, dst): (Slot, CellId),
        instance: Slot,
        export: LoadKey,
    ) -> Result<(), Halt> {
        let broken = || Halt::Broken(format!("{slot} is loaded from {instance}"));
        let value = match export {
            LoadKey::Core(key) => {
                let sort = wattest_component::graph::Sort::ALL.into_iter().find(|sort| sort.slot_kind() == slot.kind);
                self.machine.project(core, self.cell(instance), key, sort.ok_or_else(broken)?)?
            }
            LoadKey::Adapter(at) => match self.machine.cell(self.cell(instance))? {
                Cell::Adapters(funcs) => Cell::Item(Item::Func(*funcs.get(at as usize).ok_or_else(broken)?)),
                _ => return Err(broken()),
            },
        };
        self.machine.set(dst, value)
    }

    /// The adapters of a module by what they mean. Exports that others call come first, and get cells of their own.
    fn meant(&self, core: &mut dyn Core, adapter: &Adapter, args: &[CellId]) -> Result<Vec<FuncId>, Halt> {
        let mut funcs: Vec<FuncId> = Vec::new();
        let mut own: Vec<CellId> = Vec::new();
        for export in &adapter.exports {
            let wrong = || Halt::Broken("an adapter module exports what is not there".to_owned());
            let node = export.try_map_operands(|_, operand| match operand {
                AdapterRef::Import(at) => args.get(at as usize).copied().ok_or_else(wrong),
                AdapterRef::Export(at) => own.get(at as usize).copied().ok_or_else(wrong),
            })?;
            let Node::Fused(fused) = node else { return Err(wrong()) };
            let func = self.machine.fused(core, &fused)?;
            funcs.push(func);
            let mut state = self.machine.state();
            own.push(CellId(state.cells.len() as u32));
            state.cells.push(Some(Cell::Item(Item::Func(func))));
        }
        Ok(funcs)
    }

    /// The module that was emitted. Allocators and post-return functions go through functions that record their calls.
    fn emitted(&mut self, core: &mut dyn Core, adapter: &Adapter, args: &[CellId]) -> Result<Vec<FuncId>, Halt> {
        let watched = self.watched(adapter, args.len());
        let mut items = Vec::with_capacity(args.len());
        for (cell, watched) in args.iter().zip(watched) {
            let item = self.machine.item(*cell)?;
            items.push(match (item, watched) {
                (Item::Func(func), Some(Watched { role, component })) => {
                    Item::Func(self.watch(core, func, role, component))
                }
                _ => item,
            });
        }
        let missing = || Halt::Broken("an adapter module is missing".to_owned());
        let template = self.linear.templates.get(adapter.template as usize).ok_or_else(missing)?;
        let instance = core.instantiate(template, &items)?;
        let funcs = (0..adapter.exports.len()).map(|at| match core.export(instance, &at.to_string()) {
            Some(Item::Func(func)) => Ok(func),
            _ => Err(Halt::Broken(format!("an adapter module has no export {at}"))),
        });
        funcs.collect()
    }

    /// Which imports are allocators or post-return functions, and of which component instance.
    fn watched(&mut self, adapter: &Adapter, imports: usize) -> Vec<Option<Watched>> {
        let mut uses: Vec<Vec<Option<Watched>>> = vec![Vec::new(); imports];
        for export in &adapter.exports {
            let Node::Fused(fused) = export else { continue };
            for (role, component, operand) in roles(fused) {
                let how = role.map(|role| Watched { role, component });
                match operand {
                    AdapterRef::Import(at) => uses[at as usize].push(how),
                    AdapterRef::Export(_) => self.hidden |= how.is_some(),
                }
            }
        }
        let mut watched = Vec::new();
        for mut uses in uses {
            uses.dedup();
            self.hidden |= uses.len() > 1 && uses.iter().any(Option::is_some);
            watched.push(uses.into_iter().next().flatten());
        }
        watched
    }

    fn watch(&self, core: &mut dyn Core, func: FuncId, role: Watch, component: ComponentIndex) -> FuncId {
        let Some(ty) = core.func_type(func) else { return func };
        let machine = self.machine.clone();
        let instance = component.0;
        core.add_func(
            &ty,
            Arc::new(move |core, args| {
                let flat = super::core::slots(args);
                if role == Watch::PostReturn {
                    machine.record(Event::PostReturn { instance, args: flat })?;
                    return core.call(func, args);
                }
                let results = core.call(func, args)?;
                let result = super::core::slots(&results).first().copied().unwrap_or(0);
                let args = <[u64; 4]>::try_from(flat).unwrap_or_default();
                machine.record(Event::Realloc { instance, args, result })?;
                Ok(results)
            }),
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    Realloc,
    PostReturn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Watched {
    role: Watch,
    component: ComponentIndex,
}

/// The functions that an adapter calls: what to watch them as, and whose they are.
fn roles(fused: &Fused<AdapterRef>) -> Vec<(Option<Watch>, ComponentIndex, AdapterRef)> {
    let mut roles = Vec::new();
    for opts in [&fused.lower.opts, &fused.lift.opts] {
        roles.extend(opts.realloc.map(|operand| (Some(Watch::Realloc), opts.component, operand)));
        roles.extend(opts.post_return.map(|operand| (Some(Watch::PostReturn), opts.component, operand)));
        roles.extend(opts.callback.map(|operand| (None, opts.component, operand)));
    }
    roles.push((None, fused.lift.opts.component, fused.callee));
    roles
}

/// The core function and the options behind an exported function.
type LiftOf<'a> = &'a dyn Fn(CellId) -> Option<(CellId, Side<CellId>)>;

/// The calls after instantiation, and what memories hold in the end.
fn finish(
    core: &mut dyn Core,
    machine: &Machine,
    (exports, lift_of): (&[Export<CellId>], LiftOf<'_>),
    calls: &[ComponentCall],
    made: Result<(), Halt>,
) -> Trace {
    let mut trace = Trace::default();
    machine.state().starting = None;
    let is_made = made.is_ok();
    step(machine, &mut trace, made.map(|()| None));
    for call in calls.iter().filter(|_| is_made) {
        if trace.broken.is_some() || machine.0.case_renews && trace.ends_badly() {
            break;
        }
        let ended = call_export(core, machine, exports, lift_of, call);
        step(machine, &mut trace, ended);
    }
    let memories = machine.state().memories.clone();
    let digest = |memory| xxhash_rust::xxh3::xxh3_64(core.memory(memory));
    trace.memories = memories.into_iter().map(|row| row.into_iter().map(digest).collect()).collect();
    trace
}

fn step(machine: &Machine, trace: &mut Trace, result: Result<Option<Val>, Halt>) {
    let mut state = machine.state();
    if result.is_err() {
        state.tasks.clear();
    }
    let events = std::mem::take(&mut state.trace);
    trace.push(events, ended(result));
}

fn call_export(
    core: &mut dyn Core,
    machine: &Machine,
    exports: &[Export<CellId>],
    lift_of: LiftOf<'_>,
    call: &ComponentCall,
) -> Result<Option<Val>, Halt> {
    let types = &machine.0.statics.types;
    let missing = || Halt::Broken(format!("there is no export {} {}", call.instance, call.func));
    let named = |row: &Export<CellId>, name: &str| types.text(row.name) == name;
    let parent = exports.iter().position(|row| row.parent.is_none() && named(row, &call.instance));
    let is_it = |row: &&Export<CellId>| {
        row.parent.map(|parent| parent.index()) == parent && parent.is_some() && named(row, &call.func)
    };
    let row = exports.iter().find(is_it).ok_or_else(missing)?;
    let ExportValue::Func(cell) = row.value else { return Err(missing()) };
    let Some((callee, side)) = lift_of(cell) else {
        return machine.call_import(cell, &call.args);
    };
    let (params, result) = machine.func_type(side.ty)?;
    let wrong = || Halt::Broken("arguments of another type".to_owned());
    if params.len() != call.args.len() {
        return Err(wrong());
    }
    let args = params.iter().zip(&call.args).map(|(ty, val)| to_canon(types, *ty, val));
    let args = args.collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    // A function of the host that fails when it is called directly ends no instance.
    let called = machine.call_lift(core, callee, &side, args);
    if called.is_err() {
        machine.state().poisoned = true;
    }
    let values = called?;
    match (result.first(), values.first()) {
        (Some(ty), Some(value)) => {
            let handles = || Halt::Nothing("handles of the host".to_owned());
            Ok(Some(from_canon(types, *ty, value).ok_or_else(handles)?))
        }
        _ => Ok(None),
    }
}
