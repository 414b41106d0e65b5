//! Two guests around an adapter, in wasmi: their functions are the host's, which writes down what happens.

use wasmi::{Caller, Engine, Error, Extern, Func, Global, Instance, Linker, Module, Mutability, Store, Val};
use wattest_canon::transcode::{Room, Step, Text};
use wattest_canon::{CoreType, Encoding, Fault, HandleKind, Lift, Lower, Options, Token, TypeId, Types, Width};
use wattest_fuse::{
    AbiType, Adapter, AdapterModuleBuilder, CallScope, Callee, Concurrency, EncodedAdapters, Export, Import,
    ImportKind, InstanceId, Intrinsic, Memory, ModuleOptions, Side, Source,
};

/// What fills memories where nothing was put.
pub const CANARY: u8 = 0xa5;
/// Handles move by this much.
pub const HANDLE_STEP: u64 = 1000;
pub const PAGE: u64 = 1 << 16;
/// Where a heap begins; below it a test puts what it likes.
pub const HEAP: u64 = PAGE;

/// What an adapter imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Id {
    Callee,
    PostReturn,
    Callback,
    Realloc(usize),
    Memory(usize),
    MayLeave(usize),
}

/// The caller's and the callee's place in arrays.
pub const LOWER: usize = 0;
pub const LIFT: usize = 1;

/// How `realloc` behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// A fresh place each time, old contents copied, 8-aligned.
    Moving,
    /// The old place if it is large enough.
    InPlace,
    /// As `Moving`, and memory grows by a page each time.
    Growing,
    /// One byte off, from this call on.
    Unaligned(u32),
    /// The first address beyond memory that is aligned, less this many bytes.
    AtEnd(u64),
    /// As large as an address can be, aligned.
    Largest,
    /// Always this address.
    Fixed(u64),
    /// Traps, from this call on.
    Trapping(u32),
}

/// An allocator as a guest would have it; for the interpreter as for wasmi.
#[derive(Clone, Debug)]
pub struct Heap {
    pub policy: Policy,
    pub next: u64,
    pub calls: u32,
    pub given: Vec<(u64, u64)>,
}

impl Heap {
    pub fn new(policy: Policy) -> Heap {
        Heap { policy, next: HEAP, calls: 0, given: Vec::new() }
    }

    /// `None` traps. Memory is grown before this is called.
    pub fn realloc(&mut self, memory: &mut [u8], [old, old_bytes, align, bytes]: [u64; 4]) -> Option<u64> {
        self.calls += 1;
        let fresh = (self.next + 7) & !7;
        let address = match self.policy {
            Policy::Trapping(from) if self.calls >= from => return None,
            Policy::Unaligned(from) if self.calls >= from => fresh + 1,
            Policy::AtEnd(less) => (memory.len() as u64 - less) & !(align - 1),
            Policy::Largest => !(align - 1),
            Policy::Fixed(address) => address,
            Policy::InPlace if old != 0 && bytes <= old_bytes => old,
            _ => fresh,
        };
        if address == fresh || address == fresh + 1 {
            self.next = address + bytes;
        }
        let (from, to) = (old as usize, address as usize);
        let length = old_bytes.min(bytes) as usize;
        let fits = |start: usize| start.checked_add(length).is_some_and(|end| end <= memory.len());
        if fits(from) && fits(to) {
            memory.copy_within(from..from + length, to);
        }
        self.given.push((address, bytes));
        Some(address)
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Realloc { end: usize, args: [u64; 4], may_leave: [i32; 2] },
    Call { args: Vec<u64>, may_leave: [i32; 2] },
    PostReturn { args: Vec<u64>, may_leave: [i32; 2] },
    Transfer { kind: HandleKind, from: InstanceId, to: InstanceId, index: u32 },
    Intrinsic(&'static str),
}

/// The store's data.
pub struct State {
    pub memories: [Option<wasmi::Memory>; 2],
    pub may_leave: [Option<Global>; 2],
    pub heaps: [Heap; 2],
    pub events: Vec<Event>,
    pub results: Vec<u64>,
    /// The callee's memory when it was called.
    pub seen: Vec<u8>,
    /// What `task.return` calls, and the caller's area.
    pub task_return: Option<(Func, u64)>,
    /// What an asynchronous callee gives to `task.return`; `None` when it does not call it.
    pub returns: Option<Vec<u64>>,
    pub returned: u64,
}

/// How a call went.
#[derive(Debug)]
pub struct Outcome {
    /// Core results, or the number that a trap came with (-1 for a guest's own, -2 for anything unexpected).
    pub result: Result<Vec<u64>, i32>,
    pub events: Vec<Event>,
    pub memories: [Vec<u8>; 2],
    pub seen: Vec<u8>,
    pub given: [Vec<(u64, u64)>; 2],
    pub may_leave: [i32; 2],
}

pub fn engine() -> Engine {
    let mut config = wasmi::Config::default();
    config.wasm_multi_memory(true).wasm_memory64(true).wasm_custom_page_sizes(true);
    Engine::new(&config)
}

/// One side with everything it could need.
pub fn side(end: usize, encoding: Encoding, width: Width) -> Side<Id> {
    Side {
        instance: InstanceId(end as u32),
        may_leave: Some(Id::MayLeave(end)),
        encoding,
        memory: Some(Memory { id: Id::Memory(end), width, page_bits: 16 }),
        realloc: Some(Callee::Import(Id::Realloc(end))),
        post_return: None,
        concurrency: Concurrency::Sync,
    }
}

/// An adapter between two such sides.
pub fn adapter(
    params: &[TypeId],
    result: Option<TypeId>,
    (lower, lift): ((Encoding, Width), (Encoding, Width)),
) -> Adapter<Id> {
    Adapter {
        params: params.into(),
        result,
        is_async: false,
        lift: side(LIFT, lift.0, lift.1),
        lower: side(LOWER, lower.0, lower.1),
        callee: Callee::Import(Id::Callee),
        scope: CallScope::WhenNeeded,
    }
}

/// A module with one adapter, validated.
pub fn encode(types: &Types, adapter: &Adapter<Id>) -> EncodedAdapters<Id> {
    let mut builder = AdapterModuleBuilder::new(types, ModuleOptions::default());
    builder.adapter(adapter).unwrap();
    let encoded = builder.finish();
    validate(&encoded.wasm);
    encoded
}

pub fn validate(wasm: &[u8]) {
    let features = wasmparser::WasmFeatures::all();
    if let Err(error) = wasmparser::Validator::new_with_features(features).validate_all(wasm) {
        panic!("invalid adapter module: {error}");
    }
}

fn bits(value: &Val) -> u64 {
    match value {
        Val::I32(v) => u64::from(v.cast_unsigned()),
        Val::I64(v) => v.cast_unsigned(),
        Val::F32(v) => u64::from(v.to_bits()),
        Val::F64(v) => v.to_bits(),
        _ => 0,
    }
}

fn val(ty: CoreType, bits: u64) -> Val {
    match ty {
        CoreType::I32 => Val::I32((bits as u32).cast_signed()),
        CoreType::I64 => Val::I64(bits.cast_signed()),
        CoreType::F32 => Val::F32(f32::from_bits(bits as u32).into()),
        CoreType::F64 => Val::F64(f64::from_bits(bits).into()),
    }
}

fn vals(types: &[AbiType], bits: &[u64]) -> Vec<Val> {
    let core = types.iter().map(|ty| match ty {
        AbiType::Core(ty) => *ty,
        AbiType::FuncRef => CoreType::I32,
    });
    core.zip(bits).map(|(ty, bits)| val(ty, *bits)).collect()
}

fn func_type(ty: &wattest_fuse::FuncType) -> wasmi::FuncType {
    let core = |ty: &AbiType| match ty {
        AbiType::Core(CoreType::I32) => wasmi::ValType::I32,
        AbiType::Core(CoreType::I64) => wasmi::ValType::I64,
        AbiType::Core(CoreType::F32) => wasmi::ValType::F32,
        AbiType::Core(CoreType::F64) => wasmi::ValType::F64,
        AbiType::FuncRef => wasmi::ValType::FuncRef,
    };
    wasmi::FuncType::new(ty.params.iter().map(core), ty.results.iter().map(core))
}

fn flags(cx: &Caller<'_, State>) -> [i32; 2] {
    cx.data().may_leave.map(|global| match global.map(|global| global.get(cx)) {
        Some(Val::I32(value)) => value,
        _ => 1,
    })
}

/// The two guests, their memories, and the adapter's instance.
pub struct World {
    pub store: Store<State>,
    instance: Instance,
    export: Export,
}

impl World {
    pub fn new(engine: &Engine, encoded: &EncodedAdapters<Id>, policies: [Policy; 2], memories: [&[u8]; 2]) -> World {
        let state = State {
            memories: [None; 2],
            may_leave: [None; 2],
            heaps: policies.map(Heap::new),
            events: Vec::new(),
            results: Vec::new(),
            seen: Vec::new(),
            task_return: None,
            returns: None,
            returned: 0,
        };
        let mut store = Store::new(engine, state);
        for import in &encoded.imports {
            define(&mut store, import, memories);
        }
        let mut linker = Linker::new(engine);
        for import in &encoded.imports {
            let item = provide(&mut store, import);
            linker.define("", &import.name, item).unwrap();
        }
        let module = Module::new(engine, &encoded.wasm).unwrap();
        let instance = linker.instantiate_and_start(&mut store, &module).unwrap();
        World { store, instance, export: encoded.exports.last().unwrap().clone() }
    }

    /// Sets an instance's `may_leave`.
    pub fn set_may_leave(&mut self, end: usize, value: i32) {
        let global = self.store.data().may_leave[end].unwrap();
        global.set(&mut self.store, Val::I32(value)).unwrap();
    }

    /// Calls the last adapter.
    pub fn call(mut self, args: &[u64]) -> Outcome {
        let func = self.instance.get_func(&self.store, &self.export.name).unwrap();
        let args = vals(&self.export.ty.params, args);
        let mut results = vec![Val::I32(0); self.export.ty.results.len()];
        let result = match func.call(&mut self.store, &args, &mut results) {
            Ok(()) => Ok(results.iter().map(bits).collect()),
            Err(error) => Err(error.i32_exit_status().unwrap_or(-2)),
        };
        let state = self.store.data();
        let memory = |end: usize| state.memories[end].map_or(Vec::new(), |memory| memory.data(&self.store).to_vec());
        let flag = |end: usize| match state.may_leave[end].map(|global| global.get(&self.store)) {
            Some(Val::I32(value)) => value,
            _ => 1,
        };
        Outcome {
            result,
            events: state.events.clone(),
            memories: [memory(LOWER), memory(LIFT)],
            seen: state.seen.clone(),
            given: [state.heaps[LOWER].given.clone(), state.heaps[LIFT].given.clone()],
            may_leave: [flag(LOWER), flag(LIFT)],
        }
    }
}

/// Memories and globals first: functions use them.
fn define(store: &mut Store<State>, import: &Import<Id>, memories: [&[u8]; 2]) {
    match (&import.kind, import.source) {
        (ImportKind::Memory { width, page_bits }, Source::Given(Id::Memory(end))) => {
            let contents = memories[end];
            let mut ty = wasmi::MemoryType::builder();
            ty.memory64(*width == Width::W64);
            ty.page_size_log2(*page_bits as u8);
            ty.min(contents.len() as u64 >> page_bits);
            let ty = ty.build();
            let memory = wasmi::Memory::new(&mut *store, ty.unwrap()).unwrap();
            memory.data_mut(&mut *store).copy_from_slice(contents);
            store.data_mut().memories[end] = Some(memory);
        }
        (ImportKind::MayLeave, Source::Given(Id::MayLeave(end))) => {
            let global = Global::new(&mut *store, Val::I32(1), Mutability::Var);
            store.data_mut().may_leave[end] = Some(global);
        }
        _ => {}
    }
}

fn provide(store: &mut Store<State>, import: &Import<Id>) -> Extern {
    match (&import.kind, import.source) {
        (ImportKind::Memory { .. }, Source::Given(Id::Memory(end))) => store.data().memories[end].unwrap().into(),
        (ImportKind::MayLeave, Source::Given(Id::MayLeave(end))) => store.data().may_leave[end].unwrap().into(),
        (ImportKind::Func(ty), source) => {
            let result_types = ty.results.clone();
            let body = move |mut cx: Caller<'_, State>, params: &[Val], results: &mut [Val]| {
                let values: Vec<u64> = params.iter().map(bits).collect();
                let answer = match source {
                    Source::Given(id) => guest(&mut cx, id, values)?,
                    Source::Intrinsic(intrinsic) => host(&mut cx, intrinsic, params, &values)?,
                };
                results.clone_from_slice(&vals(&result_types, &answer));
                Ok(())
            };
            Func::new(&mut *store, func_type(ty), body).into()
        }
        other => panic!("no such import: {other:?}"),
    }
}

fn guest(cx: &mut Caller<'_, State>, id: Id, values: Vec<u64>) -> Result<Vec<u64>, Error> {
    let may_leave = flags(cx);
    match id {
        Id::Callee => {
            cx.data_mut().events.push(Event::Call { args: values, may_leave });
            if let Some(memory) = cx.data().memories[LIFT] {
                let seen = memory.data(&*cx).to_vec();
                cx.data_mut().seen = seen;
            }
            if let (Some((target, out)), Some(mut args)) = (cx.data().task_return, cx.data().returns.clone()) {
                args.push(out);
                let ty = target.ty(&*cx);
                let core = ty.params().iter().map(|ty| match ty {
                    wasmi::ValType::I32 => CoreType::I32,
                    wasmi::ValType::F32 => CoreType::F32,
                    wasmi::ValType::F64 => CoreType::F64,
                    _ => CoreType::I64,
                });
                let args: Vec<Val> = core.zip(args).map(|(ty, bits)| val(ty, bits)).collect();
                let mut results = vec![Val::I32(0); ty.results().len()];
                target.call(&mut *cx, &args, &mut results)?;
                cx.data_mut().returned = results.first().map_or(0, bits);
            }
            Ok(cx.data().results.clone())
        }
        Id::PostReturn => {
            cx.data_mut().events.push(Event::PostReturn { args: values, may_leave });
            Ok(Vec::new())
        }
        Id::Realloc(end) => {
            let args = [values[0], values[1], values[2], values[3]];
            let memory = cx.data().memories[end].unwrap();
            if cx.data().heaps[end].policy == Policy::Growing {
                memory.grow(&mut *cx, 1).unwrap();
            }
            let (bytes, state) = memory.data_and_store_mut(&mut *cx);
            state.events.push(Event::Realloc { end, args, may_leave });
            Ok(vec![state.heaps[end].realloc(bytes, args).ok_or(Error::i32_exit(-1))?])
        }
        Id::Callback | Id::Memory(_) | Id::MayLeave(_) => Err(Error::i32_exit(-2)),
    }
}

fn host(
    cx: &mut Caller<'_, State>,
    intrinsic: Intrinsic<Id>,
    params: &[Val],
    values: &[u64],
) -> Result<Vec<u64>, Error> {
    match intrinsic {
        Intrinsic::Trap => return Err(Error::i32_exit((values[0] as u32).cast_signed())),
        Intrinsic::Step { step, from, to } => return Ok(vec![transcode(cx, step, [from, to], values)]),
        Intrinsic::Transfer { kind, from, to } => {
            let index = values[0] as u32;
            cx.data_mut().events.push(Event::Transfer { kind, from, to, index });
            return Ok(vec![u64::from(index.wrapping_add(HANDLE_STEP as u32))]);
        }
        Intrinsic::EnterAsync { .. } => {
            let Val::FuncRef(target) = &params[0] else { return Err(Error::i32_exit(-2)) };
            let target = *target.val().unwrap();
            cx.data_mut().task_return = Some((target, values[2]));
        }
        Intrinsic::ExitAsync => {
            if values[0] != 0 || cx.data().returns.is_none() {
                return Err(Error::i32_exit(-3));
            }
        }
        Intrinsic::MayBlock { .. } | Intrinsic::Enter { .. } | Intrinsic::Returned | Intrinsic::Exit => {}
    }
    cx.data_mut().events.push(Event::Intrinsic(intrinsic.name()));
    Ok(if matches!(intrinsic, Intrinsic::ExitAsync) { vec![cx.data().returned] } else { Vec::new() })
}

fn transcode(cx: &mut Caller<'_, State>, step: Step, memories: [Id; 2], values: &[u64]) -> u64 {
    let text = Text { base: values[0], units: values[1] };
    let room = Room { base: values[2], bytes: values[3] };
    let [Id::Memory(from), Id::Memory(to)] = memories else { panic!("a step of {memories:?}") };
    let memory = |end: usize| cx.data().memories[end].unwrap();
    let (from, to) = (memory(from), memory(to));
    let result = if memories[0] == memories[1] {
        step.within(to.data_mut(&mut *cx), text, room)
    } else {
        let source = from.data(&*cx).to_vec();
        step.between(&source, text, to.data_mut(&mut *cx), room)
    };
    Step::answer(result).cast_unsigned()
}

/// A guest's memory without a guest, for [`wattest_canon`].
pub struct Bytes {
    pub memory: Vec<u8>,
    pub next: u64,
    /// Where a guest's `realloc` is to begin.
    pub heap: u64,
}

impl Lift for Bytes {
    type Error = Fault;

    fn memory(&self) -> &[u8] {
        &self.memory
    }

    fn lift_handle(&mut self, _handle: HandleKind, index: u32) -> Result<Token, Fault> {
        Ok(Token(u64::from(index)))
    }
}

impl Lower for Bytes {
    type Error = Fault;

    fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    fn realloc(&mut self, old: u64, old_bytes: u64, _align: u32, bytes: u64) -> Result<u64, Fault> {
        let address = (self.next + 7) & !7;
        self.next = address + bytes;
        while (self.memory.len() as u64) < self.next {
            self.memory.resize(self.memory.len() + PAGE as usize, CANARY);
        }
        let kept = old_bytes.min(bytes);
        self.memory.copy_within(old as usize..(old + kept) as usize, address as usize);
        Ok(address)
    }

    fn lower_handle(&mut self, _handle: HandleKind, token: Token) -> Result<u32, Fault> {
        Ok(token.0 as u32)
    }
}

/// Options with a budget that no test reaches.
pub fn options(encoding: Encoding, width: Width) -> Options {
    Options { lift_bytes_max: 1 << 40, ..Options::new(encoding, width) }
}

/// Memory of so many bytes, all canary.
pub fn memory(bytes: u64) -> Vec<u8> {
    vec![CANARY; bytes as usize]
}

/// Nothing outside of what `realloc` gave, and of `area`, differs from what was there.
pub fn check_canaries(before: &[u8], after: &[u8], given: &[(u64, u64)], area: (u64, u64)) {
    let mut expected = before.to_vec();
    expected.resize(after.len(), 0);
    for (base, bytes) in given.iter().chain([&area]) {
        let end = base.saturating_add(*bytes).min(after.len() as u64) as usize;
        let start = (*base as usize).min(end);
        expected[start..end].copy_from_slice(&after[start..end]);
    }
    if expected != after {
        let changed = after.iter().zip(&expected).position(|(after, expected)| after != expected);
        panic!("byte {changed:x?} changed outside of {given:x?}");
    }
}

/// The code of a fault.
pub fn code(fault: Fault) -> i32 {
    fault.code().unwrap()
}

/// Whether a trap is the fault, but for the names that bad addresses have.
pub fn same_class(fault: Fault, result: &Result<Vec<u64>, i32>) -> bool {
    let beyond = [Fault::ListOutOfBounds, Fault::StringOutOfBounds, Fault::PointerOutOfBounds];
    match (fault, result) {
        (Fault::ReallocUnaligned, Err(number)) => *number == code(Fault::Unaligned),
        (Fault::ReallocOutOfBounds, Err(number)) => beyond.iter().any(|fault| *number == code(*fault)),
        (fault, result) => *result == Err(code(fault)),
    }
}

/// Runs a test with room for wasmi: without optimization across its crates, its dispatch keeps a frame for each instruction.
pub fn with_room(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(1 << 30).spawn(test).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
