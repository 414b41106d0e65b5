//! A component instance as its graph or its plan sees it: cells, flags, handles, tasks, and the trace.
//!
//! Both forms are carried out by the same machine, in which a node's operands are numbers of [cells](Cell), so that what
//! differs between two runs is their order and who does the adapters' work. Values are lifted to trees and lowered again as
//! the [canonical ABI](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md) says.
//!
//! Invariant: a cell is written once; one that is read before is [`Halt::Broken`], never skipped.
//!
//! Does not know: in which order cells are written.

use super::core::{Core, FuncId, GlobalId, Halt, InstanceId, Item, MemoryId, Value, slots, values};
use super::tables::Handles;
use super::values::{from_canon, to_canon};
use crate::components::{ComponentCase, HostAnswer, HostLog, HostScript};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmparser::{ExternalKind, Parser, Payload};
use wattest_canon::{
    Convention, CoreSignature, FLAT_ASYNC_PARAMS_MAX, FLAT_PARAMS_MAX, FLAT_RESULTS_MAX, Form, HandleKind, Lift, Lower,
    Nans, Options, Passing, ResourceId, Token, TypeId, flatten_function, lift_values, lower_values,
};
use wattest_component::graph::{Args, ImportKind, Key, ModuleRef, Opts, Side, Sort};
use wattest_component::{ComponentIndex, FuncTypeIndex, ImportIndex, ModuleIndex, Statics};
use wattest_fuse::{AbiType, FuncType};
use wattest_reference::TrapClass;
use wattest_reference::component::{Event, Val};

/// Where a value of a run is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellId(pub u32);

/// What a cell holds.
#[derive(Clone, Debug)]
pub enum Cell {
    /// A core value.
    Item(Item),
    /// An instance of a module of the component.
    Instance(InstanceId, ModuleIndex),
    /// An instance of an adapter module: its exports.
    Adapters(Vec<FuncId>),
    /// Something of the host.
    Import(ImportIndex),
    /// A resource type.
    Resource(ResourceId),
}

/// Who takes the result of a task that calls `task.return`.
#[derive(Clone, Debug)]
pub enum Sink {
    /// Nobody: the task returns by returning.
    None,
    /// The host.
    Host,
    /// A caller that gets it lowered.
    Guest { lower: Side<CellId>, out: Option<u64> },
    /// An emitted adapter.
    Adapter { give: FuncId, has_callback: bool, out: u64 },
}

/// A call of a lifted function.
#[derive(Clone, Debug)]
pub struct Task {
    /// Whose it is.
    pub component: ComponentIndex,
    /// Storage of its thread.
    pub context: [u64; 2],
    /// Where its result goes.
    pub sink: Sink,
    /// How it was lifted, as far as that is known.
    pub lift: Option<Side<CellId>>,
    /// Whether it may wait before it returns: its function's type is `async`.
    pub may_block: bool,
    /// What it has returned.
    pub given: Option<Given>,
}

/// A result.
#[derive(Clone, Debug)]
pub enum Given {
    /// To the host.
    Host(Vec<wattest_canon::Value>),
    /// Core values of the caller.
    Core(Vec<Value>),
}

/// What changes in a run.
pub struct State {
    pub(super) cells: Vec<Option<Cell>>,
    pub(super) flags: Vec<GlobalId>,
    pub(super) resources: Vec<Option<(ComponentIndex, Option<CellId>)>>,
    pub(super) handles: Handles,
    pub(super) tasks: Vec<Task>,
    /// Tasks that instantiate, while it lasts: by component instance.
    pub(super) starting: Option<Vec<[u64; 2]>>,
    pub(super) poisoned: bool,
    pub(super) trace: Vec<Event>,
    /// Exported memories of the instances there are, in their order.
    pub(super) memories: Vec<Vec<MemoryId>>,
}

/// What a core module exports.
#[derive(Debug, Default)]
struct Exported {
    names: BTreeMap<(Sort, u32), String>,
    memories: Vec<String>,
}

/// What stays the same in a run.
pub struct Fixed {
    pub(super) statics: Statics,
    wasm: Vec<u8>,
    modules: Vec<Exported>,
    /// By module, its place in the binary.
    order: Vec<u32>,
    host: HostScript,
    /// Nothing is called any more once a call has trapped.
    pub(super) case_renews: bool,
    state: Mutex<State>,
}

/// A component instance.
#[derive(Clone)]
pub struct Machine(pub(super) Arc<Fixed>);

/// Events of a run.
const EVENTS_MAX: usize = 1 << 20;

fn exported(wasm: &[u8]) -> Exported {
    let mut exported = Exported::default();
    for payload in Parser::new(0).parse_all(wasm).flatten() {
        let Payload::ExportSection(section) = payload else { continue };
        for export in section.into_iter().flatten() {
            let sort = match export.kind {
                ExternalKind::Func | ExternalKind::FuncExact => Sort::Func,
                ExternalKind::Table => Sort::Table,
                ExternalKind::Memory => Sort::Memory,
                ExternalKind::Global => Sort::Global,
                ExternalKind::Tag => Sort::Tag,
            };
            exported.names.insert((sort, export.index), export.name.to_owned());
            if sort == Sort::Memory {
                exported.memories.push(export.name.to_owned());
            }
        }
    }
    exported.memories.sort();
    exported
}

/// One end of a call, with everything there.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    component: ComponentIndex,
    options: Options,
    memory: Option<MemoryId>,
    realloc: Option<FuncId>,
}

/// Lifted values, and the forms that their strings were in: on those it depends how memory is asked for.
#[derive(Clone, Debug, Default)]
pub struct Lifted {
    /// The values.
    pub values: Vec<wattest_canon::Value>,
    forms: VecDeque<Form>,
}

impl From<Vec<wattest_canon::Value>> for Lifted {
    fn from(values: Vec<wattest_canon::Value>) -> Lifted {
        Lifted { values, forms: VecDeque::new() }
    }
}

/// An end of a call at work.
struct At<'a> {
    core: &'a mut dyn Core,
    machine: &'a Machine,
    place: Place,
    forms: VecDeque<Form>,
}

impl Lift for At<'_> {
    type Error = Halt;

    fn memory(&self) -> &[u8] {
        self.place.memory.map_or(&[], |memory| self.core.memory(memory))
    }

    fn lift_handle(&mut self, handle: HandleKind, index: u32) -> Result<Token, Halt> {
        let table = self.place.component.index();
        let mut state = self.machine.state();
        let rep = match handle {
            HandleKind::Own(resource) => state.handles.lift_own(table, index, resource)?,
            HandleKind::Borrow(resource) => state.handles.lift_borrow(table, index, resource)?,
            _ => return Err(Halt::Nothing("component async: handles".to_owned())),
        };
        Ok(Token(u64::from(rep)))
    }

    fn string_lifted(&mut self, form: Form) {
        self.forms.push_back(form);
    }
}

impl Lower for At<'_> {
    type Error = Halt;

    fn memory_mut(&mut self) -> &mut [u8] {
        match self.place.memory {
            Some(memory) => self.core.memory_mut(memory),
            None => &mut [],
        }
    }

    fn realloc(&mut self, old: u64, old_bytes: u64, align: u32, new_bytes: u64) -> Result<u64, Halt> {
        let realloc = self.place.realloc.ok_or(TrapClass::PointerOutOfBounds)?;
        let args = [old, old_bytes, u64::from(align), new_bytes];
        let pointer = AbiType::Core(wattest_canon::CoreType::pointer(self.place.options.width));
        let results = self.core.call(realloc, &values(&[pointer; 4], &args))?;
        let result = slots(&results).first().copied().unwrap_or(0);
        self.machine.record(Event::Realloc { instance: self.place.component.0, args, result })?;
        Ok(result)
    }

    fn lower_handle(&mut self, handle: HandleKind, token: Token) -> Result<u32, Halt> {
        let (table, rep) = (self.place.component.index(), token.0 as u32);
        let mut state = self.machine.state();
        match handle {
            HandleKind::Own(resource) => state.handles.lower_own(table, resource, rep),
            HandleKind::Borrow(resource) => {
                let owner = state.resources.get(resource.0 as usize).and_then(|row| row.as_ref());
                if owner.is_some_and(|(owner, _)| *owner == self.place.component) {
                    return Ok(rep);
                }
                state.handles.lower_borrow(table, resource, rep)
            }
            _ => Err(Halt::Nothing("component async: handles".to_owned())),
        }
    }

    fn string_form(&mut self) -> Form {
        // Strings of the host have none.
        self.forms.pop_front().unwrap_or(Form::Utf8)
    }
}

impl Machine {
    /// Nothing instantiated yet; `cells` is how many there are.
    pub fn new(core: &mut dyn Core, statics: &Statics, case: &ComponentCase, cells: usize) -> Machine {
        let wasm = &case.wasm;
        let modules = statics.modules.iter();
        let modules = modules.map(|row| exported(wasm.get(row.bytes.clone()).unwrap_or_default())).collect();
        let start = |range: &Range<usize>| range.start;
        let order = statics
            .modules
            .iter()
            .map(|row| statics.modules.iter().filter(|other| start(&other.bytes) < start(&row.bytes)).count() as u32);
        let components = statics.components.len();
        let state = State {
            cells: vec![None; cells],
            flags: (0..components).map(|_| core.add_flag()).collect(),
            resources: vec![None; statics.resources.len()],
            handles: Handles::new(components),
            tasks: Vec::new(),
            starting: Some(vec![[0; 2]; components]),
            poisoned: false,
            trace: Vec::new(),
            memories: Vec::new(),
        };
        Machine(Arc::new(Fixed {
            order: order.collect(),
            statics: statics.clone(),
            wasm: wasm.clone(),
            modules,
            host: case.host.clone(),
            case_renews: case.renews,
            state: Mutex::new(state),
        }))
    }

    /// Never held while a guest runs.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self, event: Event) -> Result<(), Halt> {
        let mut state = self.state();
        if state.trace.len() >= EVENTS_MAX {
            return Err(Halt::Nothing("trace".to_owned()));
        }
        state.trace.push(event);
        Ok(())
    }

    /// Writes a cell.
    ///
    /// # Errors
    /// When it was written before.
    pub fn set(&self, cell: CellId, value: Cell) -> Result<(), Halt> {
        let mut state = self.state();
        match state.cells.get_mut(cell.0 as usize) {
            Some(place @ None) => {
                *place = Some(value);
                Ok(())
            }
            _ => Err(Halt::Broken(format!("{cell:?} is written twice"))),
        }
    }

    /// Reads a cell.
    ///
    /// # Errors
    /// When nothing has written it yet.
    pub fn cell(&self, cell: CellId) -> Result<Cell, Halt> {
        let found = self.state().cells.get(cell.0 as usize).cloned().flatten();
        found.ok_or_else(|| Halt::Broken(format!("{cell:?} is used before it is written")))
    }

    /// A core value.
    ///
    /// # Errors
    /// When the cell holds something else.
    pub fn item(&self, cell: CellId) -> Result<Item, Halt> {
        match self.cell(cell)? {
            Cell::Item(item) => Ok(item),
            other => Err(Halt::Broken(format!("{other:?} is no core value"))),
        }
    }

    /// A function.
    ///
    /// # Errors
    /// When the cell holds something else.
    pub fn func(&self, cell: CellId) -> Result<FuncId, Halt> {
        match self.item(cell)? {
            Item::Func(func) => Ok(func),
            other => Err(Halt::Broken(format!("{other:?} is no function"))),
        }
    }

    /// A memory.
    ///
    /// # Errors
    /// When the cell holds something else.
    pub fn memory(&self, cell: CellId) -> Result<MemoryId, Halt> {
        match self.item(cell)? {
            Item::Memory(memory) => Ok(memory),
            other => Err(Halt::Broken(format!("{other:?} is no memory"))),
        }
    }

    /// A component function's type.
    ///
    /// # Errors
    /// When there is none.
    pub fn func_type(&self, ty: FuncTypeIndex) -> Result<(Vec<TypeId>, Vec<TypeId>), Halt> {
        let row = self.0.statics.func_types.get(ty.index()).ok_or_else(|| Halt::Broken(format!("there is no {ty}")))?;
        Ok((row.params.iter().map(|(_, ty)| *ty).collect(), row.result.into_iter().collect()))
    }

    /// The core signature of one side of a call.
    ///
    /// # Errors
    /// When its type is missing.
    pub fn core_signature(&self, side: &Side<CellId>, is_lift: bool) -> Result<CoreSignature, Halt> {
        let (params, result) = self.func_type(side.ty)?;
        let convention = match (is_lift, side.opts.is_async, side.opts.callback) {
            (true, false, _) => Convention::Lift,
            (true, true, None) => Convention::LiftAsync,
            (true, true, Some(_)) => Convention::LiftAsyncCallback,
            (false, false, _) => Convention::Lower,
            (false, true, _) => Convention::LowerAsync,
        };
        let types = &self.0.statics.types;
        Ok(flatten_function(types, &params, result.first().copied(), side.opts.width(), convention))
    }

    /// One end of a call.
    ///
    /// # Errors
    /// When one of its options is not there yet.
    pub fn place(&self, opts: &Opts<CellId>, nans: Nans) -> Result<Place, Halt> {
        Ok(Place {
            component: opts.component,
            options: Options { nans, ..Options::new(opts.encoding, opts.width()) },
            memory: opts.memory.map(|memory| self.memory(memory.memory)).transpose()?,
            realloc: opts.realloc.map(|realloc| self.func(realloc)).transpose()?,
        })
    }

    /// Lifts values out of a place.
    ///
    /// # Errors
    /// A trap.
    pub fn lift(
        &self,
        core: &mut dyn Core,
        place: Place,
        flat_max: usize,
        types: &[TypeId],
        slots: &[u64],
    ) -> Result<Lifted, Halt> {
        let mut at = At { core, machine: self, place, forms: VecDeque::new() };
        let values = lift_values(&mut at, &self.0.statics.types, &place.options, flat_max, types, slots)?;
        Ok(Lifted { values, forms: at.forms })
    }

    /// Lowers values into a place, which may not be left meanwhile.
    ///
    /// # Errors
    /// A trap.
    pub fn lower(
        &self,
        core: &mut dyn Core,
        place: Place,
        flat_max: usize,
        (types, lifted): (&[TypeId], &Lifted),
        out: Option<u64>,
    ) -> Result<Vec<u64>, Halt> {
        self.set_may_leave(core, place.component, false)?;
        let mut at = At { core, machine: self, place, forms: lifted.forms.clone() };
        let values = (types, &*lifted.values);
        let flat = lower_values(&mut at, &self.0.statics.types, &place.options, flat_max, values, out)?.to_vec();
        self.set_may_leave(core, place.component, true)?;
        Ok(flat)
    }

    fn flags(&self, component: ComponentIndex) -> Result<GlobalId, Halt> {
        let flags = self.state().flags.get(component.index()).copied();
        flags.ok_or_else(|| Halt::Broken(format!("there is no {component}")))
    }

    /// The flags of a component instance.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn flags_item(&self, component: ComponentIndex) -> Result<Item, Halt> {
        Ok(Item::Global(self.flags(component)?))
    }

    pub(super) fn set_may_leave(&self, core: &mut dyn Core, at: ComponentIndex, may: bool) -> Result<(), Halt> {
        core.set_flag(self.flags(at)?, u32::from(may));
        Ok(())
    }

    pub(super) fn check_may_leave(&self, core: &dyn Core, component: ComponentIndex) -> Result<(), Halt> {
        match core.flag(self.flags(component)?) & 1 {
            0 => Err(TrapClass::CannotLeave.into()),
            _ => Ok(()),
        }
    }

    /// What every call of a lowered function asks first.
    pub(super) fn check_lowered(&self, core: &dyn Core, lower: &Side<CellId>) -> Result<(), Halt> {
        self.check_may_leave(core, lower.opts.component)?;
        match self.0.statics.blocks(lower) {
            true => self.check_may_block(lower.opts.component),
            false => Ok(()),
        }
    }

    /// Whether the current task may wait: its type says so, or it has returned already.
    pub(super) fn check_may_block(&self, component: ComponentIndex) -> Result<(), Halt> {
        match self.with_task(component, |task| task.may_block || task.given.is_some()) {
            Some(true) => Ok(()),
            _ => Err(TrapClass::CannotBlock.into()),
        }
    }

    /// Calls down to the host: `canon lower` of an import.
    ///
    /// # Errors
    /// A trap.
    pub fn call_host(
        &self,
        core: &mut dyn Core,
        import: CellId,
        side: &Side<CellId>,
        args: &[Value],
    ) -> Result<Vec<Value>, Halt> {
        self.check_lowered(core, side)?;
        let Cell::Import(import) = self.cell(import)? else {
            return Err(Halt::Broken("what is lowered is no import".to_owned()));
        };
        let (place, signature) = (self.place(&side.opts, Nans::Canonical)?, self.core_signature(side, false)?);
        let (params, result) = self.func_type(side.ty)?;
        let (params_max, results_max) = flat_limits(side.opts.is_async);
        let args = slots(args);
        // What is lent to the host is given back when it answers.
        self.state().handles.begin();
        let lifted = self.lift(core, place, params_max, &params, &args)?;
        let answer = Lifted::from(self.answer(import, &params, &lifted.values, &result)?);
        let out = out_pointer(&signature, &args);
        let flat = self.lower(core, place, results_max, (&result, &answer), out)?;
        self.end_scope()?;
        Ok(results_of(&signature, side.opts.is_async, &flat))
    }

    /// Calls a function of the host that the component exports again.
    ///
    /// # Errors
    /// When the host fails.
    pub fn call_import(&self, import: CellId, args: &[Val]) -> Result<Option<Val>, Halt> {
        let wrong = || Halt::Broken("what is exported is no function".to_owned());
        let Cell::Import(import) = self.cell(import)? else { return Err(wrong()) };
        let types = &self.0.statics.types;
        let Some(ImportKind::Func(ty)) = self.0.statics.import(import).map(|row| &row.kind) else {
            return Err(wrong());
        };
        let (params, result) = self.func_type(*ty)?;
        let args = params.iter().zip(args).map(|(ty, val)| to_canon(types, *ty, val));
        let args = args.collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
        let values = self.answer(import, &params, &args, &result)?;
        match (result.first(), values.first()) {
            (Some(ty), Some(value)) => Ok(Some(from_canon(types, *ty, value).ok_or_else(wrong)?)),
            _ => Ok(None),
        }
    }

    /// What the host answers to a call. Handles are numbers to it.
    fn answer(
        &self,
        import: ImportIndex,
        params: &[TypeId],
        args: &[wattest_canon::Value],
        result: &[TypeId],
    ) -> Result<Vec<wattest_canon::Value>, Halt> {
        let types = &self.0.statics.types;
        let broken = |what: &str| Halt::Broken(format!("{import}: {what}"));
        let row = self.0.statics.import(import).ok_or_else(|| broken("there is no such import"))?;
        let name = row.path.last().map_or("", |name| types.text(*name));
        let args = params.iter().zip(args).map(|(ty, value)| from_canon(types, *ty, value));
        let args = args.collect::<Option<Vec<Val>>>().ok_or_else(|| broken("arguments of another type"))?;
        let action = self.0.host.funcs.iter().find(|(func, _)| func == name).map(|(_, action)| action);
        let action = action.ok_or_else(|| broken("the host has no such function"))?;
        let answer = HostLog::default().called(name, action, args.clone());
        let value = match answer {
            HostAnswer::Value(value) => value,
            HostAnswer::Own(_, rep) => Some(Val::U32(rep)),
            HostAnswer::Failed => return Err(TrapClass::Host.into()),
        };
        self.record(Event::HostCall { path: name.to_owned(), args, result: value.clone() })?;
        let values = result.iter().zip(&value).map(|(ty, val)| to_canon(types, *ty, val));
        values.collect::<Option<Vec<_>>>().ok_or_else(|| broken("an answer of another type"))
    }

    /// Instantiates a module of the component and runs its start function.
    ///
    /// # Errors
    /// What that ends in.
    pub fn instantiate(
        &self,
        core: &mut dyn Core,
        dst: CellId,
        (module, args): (&ModuleRef<CellId>, &Args<CellId>),
        component: ComponentIndex,
    ) -> Result<(), Halt> {
        let (ModuleRef::Static(module), Args::Positional(args)) = (module, args) else {
            return Err(Halt::Nothing("a module of the host".to_owned()));
        };
        let missing = || Halt::Broken(format!("there is no {module}"));
        let row = self.0.statics.modules.get(module.index()).ok_or_else(missing)?;
        let items = args.iter().map(|arg| self.item(*arg)).collect::<Result<Vec<_>, _>>()?;
        if items.len() != row.imports.len() || items.iter().zip(&row.imports).any(|(item, ty)| item.sort() != ty.sort())
        {
            return Err(Halt::Broken(format!("{module} is instantiated with {items:?}")));
        }
        let number = self.0.order.get(module.index()).copied().unwrap_or(u32::MAX);
        self.record(Event::Instantiate { module: number, instance: component.0 })?;
        if row.start {
            self.record(Event::Start { module: number, instance: component.0 })?;
        }
        let wasm = self.0.wasm.get(row.bytes.clone()).ok_or_else(missing)?;
        let instance = core.instantiate(wasm, &items)?;
        let mut memories = Vec::new();
        for name in &self.0.modules[module.index()].memories {
            if let Some(Item::Memory(memory)) = core.export(instance, name) {
                memories.push(memory);
            }
        }
        self.state().memories.push(memories);
        self.set(dst, Cell::Instance(instance, *module))
    }

    /// Makes a resource type.
    ///
    /// # Errors
    /// When it was made before.
    pub fn define_resource(
        &self,
        dst: CellId,
        resource: ResourceId,
        dtor: Option<CellId>,
        component: ComponentIndex,
    ) -> Result<(), Halt> {
        match self.state().resources.get_mut(resource.0 as usize) {
            Some(place @ None) => *place = Some((component, dtor)),
            _ => return Err(Halt::Broken(format!("{resource:?} is made twice"))),
        }
        self.set(dst, Cell::Resource(resource))
    }

    /// Takes an export out of an instance of a module of the component.
    ///
    /// # Errors
    /// When there is no such export, or of another sort.
    pub fn project(&self, core: &mut dyn Core, instance: CellId, key: Key, sort: Sort) -> Result<Cell, Halt> {
        let Cell::Instance(instance, module) = self.cell(instance)? else {
            return Err(Halt::Broken("an export of what is no instance".to_owned()));
        };
        let Key::Index(index) = key else { return Err(Halt::Nothing("a module of the host".to_owned())) };
        let missing = || Halt::Broken(format!("{module} exports no {sort:?} {index}"));
        let name = self.0.modules[module.index()].names.get(&(sort, index)).ok_or_else(missing)?;
        core.export(instance, name).filter(|item| item.sort() == sort).map(Cell::Item).ok_or_else(missing)
    }

    /// Calls a core function with 64-bit slots.
    pub(super) fn call_flat(&self, core: &mut dyn Core, func: FuncId, flat: &[u64]) -> Result<Vec<Value>, Halt> {
        let ty = core.func_type(func).filter(|ty| ty.params.len() == flat.len());
        let ty = ty.ok_or_else(|| Halt::Broken("a function of another type".to_owned()))?;
        core.call(func, &values(&ty.params, flat))
    }
}

/// Flat parameters and results of a lowered function.
pub const fn flat_limits(is_async: bool) -> (usize, usize) {
    if is_async { (FLAT_ASYNC_PARAMS_MAX, 0) } else { (FLAT_PARAMS_MAX, FLAT_RESULTS_MAX) }
}

/// Where the caller wants a result that lies in memory.
pub fn out_pointer(signature: &CoreSignature, args: &[u64]) -> Option<u64> {
    args.last().copied().filter(|_| signature.results_passing == Passing::OutPointer)
}

/// The state of a subtask that has returned.
const RETURNED: u64 = 2;

/// Core results of a lowered function.
pub fn results_of(signature: &CoreSignature, is_async: bool, flat: &[u64]) -> Vec<Value> {
    let types: Vec<AbiType> = signature.results.iter().copied().map(AbiType::Core).collect();
    if is_async { values(&types, &[RETURNED]) } else { values(&types, flat) }
}

/// A core type of the canonical ABI.
pub fn abi_type(params: &[wattest_canon::CoreType], results: &[wattest_canon::CoreType]) -> FuncType {
    let list = |types: &[wattest_canon::CoreType]| types.iter().copied().map(AbiType::Core).collect();
    FuncType { params: list(params), results: list(results) }
}
