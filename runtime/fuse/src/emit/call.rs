//! The call itself: what an adapter does before and after the callee runs.
//!
//! [`canon lower`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-lower) around
//! [`canon lift`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-lift), in this
//! order: `may_leave` of the caller is asked, and whether it may block; the callee's task begins; parameters go over; the callee runs; borrows must be
//! gone; the result goes over; `post-return` runs; the task ends.
//!
//! Invariant: `may_leave` is 0 exactly while a `realloc` or `post-return` of its instance may run, and 1 when the adapter
//! returns; a trap may leave it at 0, since nothing enters the instance again.
//!
//! Does not know: types; plans do.

use super::code::{FuncRef, Local};
use super::memory::Request;
use super::{Emitter, EndPoint, Ends, Place, locals_of};
use crate::adapter::{AbiType, Adapter, AdapterTrap, CallScope, Concurrency, FuncType, ImportId, Side};
use crate::error::{End, FuseError};
use crate::intrinsic::Intrinsic;
use crate::module::Module;
use crate::plan::{Abi, PlanId, Route};
use wasm_encoder::{BlockType, Catch, HeapType};
use wattest_canon::{
    Convention, CoreSignature, CoreType, FLAT_PARAMS_MAX, Fault, Passing, TypeId, Types, Width, flatten_function,
    flatten_types,
};

/// What `canon lower` with `async` returns when the callee has returned already.
const SUBTASK_RETURNED: i32 = 2;

/// An adapter with all that its code refers to.
struct Call {
    lift: EndPoint,
    lower: EndPoint,
    lift_may_leave: Option<u32>,
    lower_may_leave: Option<u32>,
    lift_signature: CoreSignature,
    lower_signature: CoreSignature,
    callee: FuncRef,
    post_return: Option<FuncRef>,
    params: Option<PlanId>,
    result: Option<PlanId>,
    is_scope: bool,
    is_async: bool,
    is_async_lower: bool,
}

/// Where a list of values is: in these core values, or behind the one of them that is an address.
struct Operands<'p> {
    passing: Passing,
    locals: &'p [Local],
}

fn width<I>(side: &Side<I>) -> Width {
    side.memory.as_ref().map_or(Width::W32, |memory| memory.width)
}

fn core_type(params: &[CoreType], results: &[CoreType]) -> FuncType {
    let core = |types: &[CoreType]| types.iter().copied().map(AbiType::Core).collect();
    FuncType { params: core(params), results: core(results) }
}

fn end_point<I: ImportId>(module: &mut Module<'_, I>, side: &Side<I>) -> Result<EndPoint, FuseError> {
    let width = width(side);
    let memory = side.memory.map(|memory| module.memory(memory));
    let realloc = match side.realloc {
        Some(callee) => {
            let pointer = CoreType::pointer(width);
            Some(module.callee(callee, &core_type(&[pointer; 4], &[pointer]))?)
        }
        None => None,
    };
    Ok(EndPoint {
        instance: side.instance,
        abi: Abi { encoding: side.encoding, width },
        memory: memory.unwrap_or_default(),
        page_bits: side.memory.map_or(16, |memory| memory.page_bits),
        realloc,
    })
}

/// Types that reach memory only through its encoding and width need no more than those.
fn check_options<I: ImportId>(
    types: &Types,
    adapter: &Adapter<I>,
    (lift, lower): (&CoreSignature, &CoreSignature),
) -> Result<(), FuseError> {
    if matches!(adapter.lower.concurrency, Concurrency::Callback(_)) || adapter.lower.post_return.is_some() {
        return Err(FuseError::OptionMisplaced(End::Lower));
    }
    let lift_is_sync = adapter.lift.concurrency == Concurrency::Sync;
    if adapter.lift.post_return.is_some() && !lift_is_sync {
        return Err(FuseError::OptionMisplaced(End::Lift));
    }
    let params_point = adapter.params.iter().any(|ty| types.facts(*ty).pointers);
    let result_points = adapter.result.is_some_and(|ty| types.facts(ty).pointers);
    let in_memory = |passing: Passing| matches!(passing, Passing::Pointer | Passing::OutPointer);
    // An asynchronous lift returns through `task.return`, which spills after 16 core values.
    let result_spills =
        !lift_is_sync && adapter.result.is_some_and(|ty| flatten_types(types, &[ty], width(&adapter.lift)).is_none());
    let rows = [
        (End::Lift, &adapter.lift, lift, params_point || in_memory(lift.params_passing), result_spills),
        (End::Lower, &adapter.lower, lower, result_points, false),
    ];
    for (end, side, signature, allocates, spills) in rows {
        let touches = params_point
            || result_points
            || spills
            || in_memory(signature.params_passing)
            || in_memory(signature.results_passing);
        if touches && side.memory.is_none() {
            return Err(FuseError::MemoryMissing(end));
        }
        if allocates && side.realloc.is_none() {
            return Err(FuseError::ReallocMissing(end));
        }
    }
    Ok(())
}

/// Writes an adapter and gives its function and type.
pub fn emit_adapter<I: ImportId>(
    module: &mut Module<'_, I>,
    adapter: &Adapter<I>,
) -> Result<(FuncRef, FuncType), FuseError> {
    let call = resolve(module, adapter)?;
    let ty = core_type(&call.lower_signature.params, &call.lower_signature.results);
    let params = locals_of(&ty.params);
    let forth = Ends { from: call.lower, to: call.lift };
    let task_return = match adapter.lift.concurrency {
        Concurrency::Sync => None,
        Concurrency::Async | Concurrency::Callback(_) => Some(emit_task_return(module, adapter, &call)),
    };
    let callback = match adapter.lift.concurrency {
        Concurrency::Callback(id) => {
            let ty = core_type(&[CoreType::I32; 3], &[CoreType::I32]);
            let target = module.callee(crate::Callee::Import(id), &ty)?;
            module.declare(target);
            Some(target)
        }
        _ => None,
    };
    let barrier = module.options.exceptions;
    #[cfg(wattest_mutants)]
    let barrier = barrier && !wattest_abi::mutant!(exception_crosses_components);
    let mut emitter = Emitter::new(module, forth, params.len());
    if barrier {
        emitter.code.sink().block(BlockType::Empty).try_table(BlockType::Empty, [Catch::All { label: 0 }]);
    }
    emitter.check_may_leave(&call);
    if call.is_async && !call.is_async_lower {
        emitter.call_intrinsic(Intrinsic::MayBlock { from: call.lower.instance });
    }
    match task_return {
        None => emitter.synchronous_call(&call, &params),
        Some(task_return) => emitter.asynchronous_call(&call, &params, task_return, callback),
    }
    if barrier {
        emitter.code.sink().return_().end().unreachable().end();
        emitter.trap_with(AdapterTrap::UncaughtException);
    }
    let code = emitter.code;
    Ok((module.own(&ty, code), ty))
}

fn resolve<I: ImportId>(module: &mut Module<'_, I>, adapter: &Adapter<I>) -> Result<Call, FuseError> {
    let types = module.types;
    let lift_convention = match adapter.lift.concurrency {
        Concurrency::Sync => Convention::Lift,
        Concurrency::Async => Convention::LiftAsync,
        Concurrency::Callback(_) => Convention::LiftAsyncCallback,
    };
    let is_async_lower = adapter.lower.concurrency != Concurrency::Sync;
    let lower_convention = if is_async_lower { Convention::LowerAsync } else { Convention::Lower };
    let flatten = |side: &Side<I>, convention: Convention| {
        flatten_function(types, &adapter.params, adapter.result, width(side), convention)
    };
    let lift_signature = flatten(&adapter.lift, lift_convention);
    let lower_signature = flatten(&adapter.lower, lower_convention);
    check_options(types, adapter, (&lift_signature, &lower_signature))?;
    let lift = end_point(module, &adapter.lift)?;
    let lower = end_point(module, &adapter.lower)?;
    let forth = Route { from: lower.abi, to: lift.abi };
    let back = Route { from: lift.abi, to: lower.abi };
    let params = match adapter.params.as_ref() {
        [] => None,
        params => Some(module.plans.list(types, params, forth)?),
    };
    let result = match adapter.result {
        None => None,
        Some(ty) => Some(module.plans.value(types, ty, back)?),
    };
    let post_return = match adapter.post_return_type(&lift_signature) {
        Some((callee, ty)) => Some(module.callee(callee, &ty)?),
        None => None,
    };
    let callee = module.callee(adapter.callee, &core_type(&lift_signature.params, &lift_signature.results))?;
    let lends = adapter.params.iter().any(|ty| types.facts(*ty).borrows);
    Ok(Call {
        lift,
        lower,
        lift_may_leave: adapter.lift.may_leave.map(|id| module.may_leave(id)),
        lower_may_leave: adapter.lower.may_leave.map(|id| module.may_leave(id)),
        lift_signature,
        lower_signature,
        callee,
        post_return,
        params,
        result,
        is_scope: lends || adapter.scope == CallScope::Always,
        is_async: adapter.is_async,
        is_async_lower,
    })
}

impl<I: ImportId> Adapter<I> {
    fn post_return_type(&self, lift: &CoreSignature) -> Option<(crate::Callee<I>, FuncType)> {
        Some((self.lift.post_return?, core_type(&lift.results, &[])))
    }
}

/// The function that `task.return` calls: core values of the result, or their address, and then the caller's area, to a
/// core result if the caller takes one.
fn emit_task_return<I: ImportId>(module: &mut Module<'_, I>, adapter: &Adapter<I>, call: &Call) -> FuncRef {
    let result: &[TypeId] = adapter.result.as_slice();
    let flat = flatten_types(module.types, result, call.lift.abi.width).filter(|flat| flat.len() <= FLAT_PARAMS_MAX);
    let mut core: Vec<CoreType> = match flat {
        Some(flat) => flat.iter().collect(),
        None => vec![call.lift.pointer()],
    };
    let passing = match flat {
        Some(_) => Passing::Flat,
        None => Passing::Pointer,
    };
    core.push(CoreType::I64);
    // With `async` the caller's core result is a status, which is not the callee's to give.
    let results = if call.is_async_lower { &[] } else { call.lower_signature.results.as_slice() };
    let ty = core_type(&core, results);
    let params = locals_of(&ty.params);
    let back = Ends { from: call.lift, to: call.lower };
    let mut emitter = Emitter::new(module, back, params.len());
    if let (Some(plan), [sources @ .., out]) = (call.result, params.as_slice()) {
        emitter.code.get(*out);
        emitter.narrow(&call.lower);
        let out = emitter.code.local_set_new(call.lower.pointer());
        let source = Operands { passing, locals: sources };
        let results = emitter.result_over(call, plan, &source, out);
        for local in results {
            emitter.code.get(local);
        }
    }
    let code = emitter.code;
    let target = module.own(&ty, code);
    module.declare(target);
    target
}

impl<I: ImportId> Emitter<'_, '_, I> {
    fn check_may_leave(&mut self, call: &Call) {
        #[cfg(wattest_mutants)]
        if wattest_abi::mutant!(leaving_unchecked) {
            return;
        }
        if let Some(global) = call.lower_may_leave {
            self.code.sink().global_get(global).i32_eqz().if_(BlockType::Empty);
            self.trap_with(AdapterTrap::CannotLeave);
            self.code.sink().end();
        }
    }

    fn set_may_leave(&mut self, global: Option<u32>, value: bool) {
        if let Some(global) = global {
            self.code.sink().i32_const(i32::from(value)).global_set(global);
        }
    }

    fn call_intrinsic(&mut self, intrinsic: Intrinsic<I>) {
        let target = self.module.intrinsic(intrinsic);
        self.code.call(target);
    }

    fn synchronous_call(&mut self, call: &Call, params: &[Local]) {
        let (from, to) = (call.lower.instance, call.lift.instance);
        if call.is_scope {
            self.call_intrinsic(Intrinsic::Enter { from, to, is_async: call.is_async });
        }
        self.params_over(call, params);
        self.code.call(call.callee);
        let results: Vec<Local> = call.lift_signature.results.iter().map(|ty| self.code.local_set_new(*ty)).collect();
        if call.is_scope {
            self.call_intrinsic(Intrinsic::Returned);
        }
        self.ends = Ends { from: call.lift, to: call.lower };
        let mut lowered = Vec::new();
        if let Some(plan) = call.result {
            // Only looked at when the signature says that the last parameter is an area.
            let out = params.last().copied().unwrap_or(Local { index: 0, ty: call.lower.pointer() });
            let source = Operands { passing: call.lift_signature.results_passing, locals: &results };
            lowered = self.result_over(call, plan, &source, out);
        }
        let (post_return, window) = (call.post_return, call.lift_may_leave);
        #[cfg(wattest_mutants)]
        let post_return = post_return.filter(|_| !wattest_abi::mutant!(post_return_omitted));
        #[cfg(wattest_mutants)]
        let window = window.filter(|_| !wattest_abi::mutant!(post_return_may_leave));
        if let Some(post_return) = post_return {
            self.set_may_leave(window, false);
            for local in &results {
                self.code.get(*local);
            }
            self.code.call(post_return);
            self.set_may_leave(window, true);
        }
        if call.is_scope {
            self.call_intrinsic(Intrinsic::Exit);
        }
        for local in lowered {
            self.code.get(local);
        }
        if call.is_async_lower {
            self.code.sink().i32_const(SUBTASK_RETURNED);
        }
    }

    /// A callee that is lifted with `async`: its result arrives through `task.return`.
    fn asynchronous_call(&mut self, call: &Call, params: &[Local], task_return: FuncRef, callback: Option<FuncRef>) {
        let (from, to) = (call.lower.instance, call.lift.instance);
        self.code.ref_func(task_return);
        match callback {
            Some(callback) => self.code.ref_func(callback),
            None => {
                self.code.sink().ref_null(HeapType::FUNC);
            }
        }
        match (call.lower_signature.results_passing, params.last()) {
            (Passing::OutPointer, Some(out)) => {
                self.code.get(*out);
                self.widen(&call.lower);
            }
            _ => self.code.zero(CoreType::I64),
        }
        self.call_intrinsic(Intrinsic::EnterAsync { from, to });
        self.params_over(call, params);
        self.code.call(call.callee);
        if call.lift_signature.results.is_empty() {
            self.code.zero(CoreType::I32);
        }
        self.call_intrinsic(Intrinsic::ExitAsync);
        match call.lower_signature.results.first() {
            Some(_) if call.is_async_lower => {
                let status = SUBTASK_RETURNED;
                #[cfg(wattest_mutants)]
                let status = if wattest_abi::mutant!(subtask_status_started) { 1 } else { status };
                self.code.sink().drop().i32_const(status);
            }
            Some(ty) => self.code.convert(CoreType::I64, *ty),
            None => {
                self.code.sink().drop();
            }
        }
    }

    /// Lifts the parameters and lowers them; leaves the callee's core arguments on the stack.
    fn params_over(&mut self, call: &Call, params: &[Local]) {
        let Some(plan) = call.params else { return };
        let what = self.module.plans.get(plan);
        let spills = call.lift_signature.params_passing == Passing::Pointer;
        let source = Operands { passing: call.lower_signature.params_passing, locals: params };
        let runs_realloc = spills || what.allocates;
        #[cfg(wattest_mutants)]
        let runs_realloc = runs_realloc && !wattest_abi::mutant!(realloc_may_leave);
        if runs_realloc {
            self.set_may_leave(call.lift_may_leave, false);
        }
        let area = self.area(&source, what.from.layout);
        let from = self.place(&source, area.as_ref());
        let targets: Vec<Local> = if spills {
            vec![self.new_area(what.to.layout)]
        } else {
            call.lift_signature.params.iter().map(|ty| self.code.local(*ty)).collect()
        };
        let to = match targets.as_slice() {
            [base] if spills => Place::Memory(*base, 0),
            locals => Place::Flat(locals),
        };
        self.transfer(plan, from, to);
        if runs_realloc {
            self.set_may_leave(call.lift_may_leave, true);
        }
        for local in targets {
            self.code.get(local);
        }
    }

    /// Lifts the result and lowers it, to `out` if the caller passes an area; gives the caller's core results.
    fn result_over(&mut self, call: &Call, plan: PlanId, source: &Operands<'_>, out: Local) -> Vec<Local> {
        let what = self.module.plans.get(plan);
        let area = self.area(source, what.from.layout);
        let from = self.place(source, area.as_ref());
        let is_out = call.lower_signature.results_passing == Passing::OutPointer;
        let mut targets = Vec::new();
        if is_out {
            let end = self.ends.to;
            self.check_area(&end, out, what.to.layout.size, what.to.layout.align);
        } else {
            targets = call.lower_signature.results.iter().map(|ty| self.code.local(*ty)).collect();
        }
        let to = if is_out { Place::Memory(out, 0) } else { Place::Flat(&targets) };
        if what.allocates {
            self.set_may_leave(call.lower_may_leave, false);
        }
        self.transfer(plan, from, to);
        if what.allocates {
            self.set_may_leave(call.lower_may_leave, true);
        }
        targets
    }

    /// The checked address of operands that lie in memory.
    fn area(&mut self, source: &Operands<'_>, layout: wattest_canon::Layout) -> Option<Local> {
        let base = source.locals.first().copied().filter(|_| source.passing == Passing::Pointer)?;
        let end = self.ends.from;
        self.check_area(&end, base, layout.size, layout.align);
        Some(base)
    }

    fn place<'p>(&self, source: &Operands<'p>, area: Option<&Local>) -> Place<'p> {
        match area {
            Some(base) => Place::Memory(*base, 0),
            None => Place::Flat(source.locals),
        }
    }

    /// An area for parameters that the callee's `realloc` gives.
    fn new_area(&mut self, layout: wattest_canon::Layout) -> Local {
        let end = self.ends.to;
        self.code.sink().i64_const(i64::from(layout.size));
        let bytes = self.code.local_set_new(CoreType::I64);
        let address = self.code.local(CoreType::I64);
        self.allocate(Request { old: None, align: layout.align, beyond: Fault::PointerOutOfBounds }, bytes, address);
        self.code.get(address);
        self.narrow(&end);
        let base = self.code.local_set_new(end.pointer());
        self.code.release(bytes);
        self.code.release(address);
        base
    }
}
