//! What fused adapters import of the host.
//!
//! Bodies of the rows of [`wattest_fuse::Intrinsic`]: transcoding, handles that change tables, and the
//! [tasks](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#task-state) of calls between
//! components.
//!
//! Invariant: an address, a length or an index that an adapter passes on is checked here again.
//!
//! Does not know: what an adapter does in between.

use super::abi::resource_type;
use super::call::{boxed, run_callback};
use super::compiled::ComponentInner;
use super::faults::trap_of;
use super::options::{flat_func, memory_of};
use super::trampoline::{once, plain, word};
use crate::TrapCode;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::store::StoreData;
use std::sync::{Arc, OnceLock};
use wattest_canon::HandleKind;
use wattest_canon::transcode::{Room, Step, Text};
use wattest_component::Slot;
use wattest_fuse::{AbiType, AdapterTrap, InstanceId, Intrinsic};
use wattest_vm::component::{ComponentId, TableId, Task, TaskResult, TreeId};
use wattest_vm::{FLAT_SLOTS, FlatFunc, FlatSlots, HostFunction, MemoryHandle, Raw, Signature, StoreInner};

/// The result of a task whose caller is an adapter.
pub(crate) struct Adapted {
    /// Lowers the result to the caller; called with the core parameters of `task.return` and then `out`.
    give: FlatFunc,
    callback: Option<FlatFunc>,
    out: u64,
}

/// Makes the function of a row.
pub(crate) fn support<T: 'static>(
    component: &Arc<ComponentInner>,
    tree: TreeId,
    first: ComponentId,
    intrinsic: Intrinsic<Slot>,
) -> Option<HostFunction<StoreData<T>>> {
    let signature = signature_of(&component.engine, &intrinsic);
    match intrinsic {
        Intrinsic::Trap => plain(signature, |_: &mut StoreInner, slots| Err(trap(word(slots[0])))),
        Intrinsic::Step { step, from, to } => transcoder(signature, tree, step, from, to),
        Intrinsic::Transfer { kind, from, to } => {
            let at = |id: InstanceId| ComponentId(first.0 + id.0);
            let (from, to) = (at(from), at(to));
            plain(signature, move |store: &mut StoreInner, slots| {
                slots[0] = u64::from(transfer(store, tree, kind, (from, to), word(slots[0]))?);
                Ok(())
            })
        }
        Intrinsic::MayBlock { from } => {
            let caller = ComponentId(first.0 + from.0);
            plain(signature, move |store: &mut StoreInner, _| Ok(store.components_mut().check_may_block(caller)?))
        }
        Intrinsic::Enter { to, is_async, .. } => {
            let callee = ComponentId(first.0 + to.0);
            plain(signature, move |store: &mut StoreInner, _| {
                store.components_mut().begin_scope();
                store.components_mut().tasks.push(Task::new(callee, is_async));
                Ok(())
            })
        }
        Intrinsic::Returned => plain(signature, |store: &mut StoreInner, _| Ok(store.components_mut().end_scope()?)),
        Intrinsic::Exit => plain(signature, |store: &mut StoreInner, _| {
            store.components_mut().tasks.pop();
            Ok(())
        }),
        Intrinsic::EnterAsync { to, .. } => {
            Some(enter_async(signature, component.engine.clone(), ComponentId(first.0 + to.0)))
        }
        Intrinsic::ExitAsync => plain(signature, exit_async),
    }
}

fn signature_of(engine: &Engine, intrinsic: &Intrinsic<Slot>) -> Arc<Signature> {
    let ty = intrinsic.func_type();
    let convert = |ty: &AbiType| match ty {
        AbiType::Core(core) => super::compiled::core_type(*core),
        AbiType::FuncRef => crate::ValType::Ref(crate::RefType::FUNC),
    };
    let params = ty.params.iter().map(convert).collect();
    let results = ty.results.iter().map(convert).collect();
    engine.types().register_func(&wattest_module::FuncType { params, results })
}

/// The error of a code that an adapter traps with.
fn trap(code: u32) -> Error {
    match AdapterTrap::from_code(code.cast_signed()) {
        Some(AdapterTrap::Fault(fault)) => trap_of(fault).unwrap_or(TrapCode::ValueTooLarge).into(),
        Some(AdapterTrap::CannotLeave) => TrapCode::CannotLeaveComponent.into(),
        Some(AdapterTrap::UncaughtException) => TrapCode::UncaughtException.into(),
        None => Error::Limit(format!("internal error: an adapter trapped with the unknown code {code}")),
    }
}

fn transcoder<T: 'static>(
    signature: Arc<Signature>,
    tree: TreeId,
    step: Step,
    from: Slot,
    to: Slot,
) -> Option<HostFunction<StoreData<T>>> {
    let memories: OnceLock<(MemoryHandle, MemoryHandle)> = OnceLock::new();
    plain(signature, move |store: &mut StoreInner, slots| {
        let (from, to) = *once(&memories, || Ok((memory_of(store, tree, from)?, memory_of(store, tree, to)?)))?;
        let text = Text { base: slots[0], units: slots[1] };
        let room = Room { base: slots[2], bytes: slots[3] };
        slots[0] = store.transcode(step, from, to, text, room).cast_unsigned();
        Ok(())
    })
}

fn transfer(
    store: &mut StoreInner,
    tree: TreeId,
    kind: HandleKind,
    (from, to): (ComponentId, ComponentId),
    index: u32,
) -> Result<u32> {
    let (from, to) = (TableId::Component(from), TableId::Component(to));
    let state = store.components_mut();
    match kind {
        HandleKind::Own(resource) => {
            let ty = resource_type(state, tree, resource)?;
            let rep = state.lift_own(from, index, ty)?;
            Ok(state.lower_own(to, ty, rep)?)
        }
        HandleKind::Borrow(resource) => {
            let ty = resource_type(state, tree, resource)?;
            let rep = state.lift_borrow(from, index, ty)?;
            Ok(state.lower_borrow(to, ty, rep)?)
        }
        _ => Err(TrapCode::AsyncUnsupported.into()),
    }
}

fn enter_async<T: 'static>(
    signature: Arc<Signature>,
    engine: Engine,
    callee: ComponentId,
) -> HostFunction<StoreData<T>> {
    HostFunction::dynamic(signature, move |store: &mut wattest_vm::Store<StoreData<T>>, _, params, _| {
        let store = store.inner_mut();
        let [Raw::Func(give), Raw::Func(callback), Raw::I64(out)] = params else {
            return Err(boxed(TrapCode::TaskReturn.into()));
        };
        let flat = |func: Option<_>| func.map(|func| flat_func(&engine, store, func)).transpose();
        let give = flat(*give).map_err(boxed)?.ok_or_else(|| boxed(TrapCode::TaskReturn.into()))?;
        let adapted = Adapted { give, callback: flat(*callback).map_err(boxed)?, out: *out };
        let state = store.components_mut();
        state.begin_scope();
        state.tasks.push(Task::awaiting(callee, Box::new(adapted)));
        Ok(())
    })
}

/// The state of a task that has called `task.return`.
struct Given {
    bits: u64,
    callback: Option<FlatFunc>,
}

/// `task.return` of a task whose caller is an adapter: lowers the result to the caller.
pub(crate) fn give(store: &mut StoreInner, adapted: Adapted, slots: &FlatSlots) -> Result<()> {
    let Adapted { give, callback, out } = adapted;
    let mut slots = *slots;
    let last = give.signature().params.len().saturating_sub(1);
    slots[last] = out;
    store.call_flat(&give, &mut slots).map_err(crate::func::ended)?;
    let task = store.components_mut().tasks.last_mut().ok_or(TrapCode::TaskReturn)?;
    task.give(Box::new(Given { bits: slots[0], callback }));
    Ok(())
}

fn exit_async(store: &mut StoreInner, slots: &mut FlatSlots) -> Result<()> {
    let state = store.components_mut();
    let task = state.tasks.last().ok_or(TrapCode::TaskReturn)?;
    let callback = match task.result.as_deref() {
        Some(TaskResult::Awaited(sink)) => sink.downcast_ref::<Adapted>().and_then(|task| task.callback.clone()),
        Some(TaskResult::Given(given)) => given.downcast_ref::<Given>().and_then(|task| task.callback.clone()),
        None => None,
    };
    if let Some(callback) = callback {
        let mut status: FlatSlots = [0; FLAT_SLOTS];
        status[0] = slots[0];
        run_callback(store, &callback, &mut status)?;
    }
    let state = store.components_mut();
    let given = state.tasks.pop().and_then(|mut task| task.take_given()).ok_or(TrapCode::TaskReturn)?;
    slots[0] = given.downcast::<Given>().map_err(|_| TrapCode::TaskReturn)?.bits;
    Ok(state.end_scope()?)
}
