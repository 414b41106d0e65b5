//! Trampolines: core functions of the runtime that a plan declares.
//!
//! Bodies of lowered imports, of [canonical
//! built-ins](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canonical-definitions), and of
//! what adapters import. All are host functions of slots.
//!
//! Invariant: operands are looked up when a trampoline is called for the first time, by when the plan has written them; a
//! number that a guest supplies ends in a value or a trap.
//!
//! Does not know: fused adapters.

use super::call::{boxed, destroy};
use super::compiled::ComponentInner;
use super::host::{HostCall, HostFunc};
use super::instance::{InstancePre, ResolvedImport};
use super::options::{CallOptions, empty};
use crate::TrapCode;
use crate::context::StoreContextMut;
use crate::error::{Error, Result};
use crate::store::StoreData;
use std::sync::{Arc, OnceLock};
use wattest_component::graph::{Builtin, Node, Side, StubTrap};
use wattest_component::intrinsics::Intrinsic;
use wattest_component::{Slot, SlotKind};
use wattest_vm::component::{ComponentId, MAY_LEAVE, ResourceKind, ResourceSlot, TableId, TreeId};
use wattest_vm::suspend::waiting_within;
use wattest_vm::{FlatSlots, FuncHandle, HostFunction, Signature, StoreInner};

type VmStore<T> = wattest_vm::Store<StoreData<T>>;

/// Makes the trampoline with this number.
pub(crate) fn trampoline<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    pre: &InstancePre<T>,
    tree: TreeId,
    number: usize,
) -> Result<FuncHandle> {
    let component = &pre.component.inner;
    let missing = || empty(Slot { kind: SlotKind::Trampoline, index: u32::try_from(number).unwrap_or(u32::MAX) });
    let node = component.plan.linear.trampolines.get(number).ok_or_else(missing)?;
    let first = store.inner().components().trees[tree.0 as usize].first;
    if let Node::Support(intrinsic) = node {
        let host = super::support::support(component, tree, first, *intrinsic);
        return Ok(store.0.add_host_function(&host.ok_or_else(missing)?));
    }
    let signature = node.signature().and_then(|index| component.signatures.get(index.index()));
    let signature = Arc::clone(signature.ok_or_else(missing)?);
    let host = match node {
        Node::Lower { import, side, .. } => {
            let Some(ResolvedImport::Func(func)) = pre.imports.get(import.index as usize) else {
                return Err(missing());
            };
            lowered(signature, component, tree, func.clone(), side.clone())
        }
        Node::Builtin(builtin) => {
            let place = Place { component: Arc::clone(component), tree, first, builtin: builtin.as_ref().clone() };
            let options = OnceLock::new();
            plain(signature, move |store: &mut StoreInner, slots| place.run(store, slots, &options))
        }
        Node::TrapStub { trap, caller, blocks, .. } => {
            let code = match trap {
                StubTrap::CannotEnter => TrapCode::CannotEnterComponent,
                StubTrap::Unsupported => TrapCode::AsyncUnsupported,
            };
            let (caller, blocks) = (ComponentId(first.0 + caller.0), *blocks);
            plain(signature, move |store: &mut StoreInner, _| {
                check_lowered(store, caller, blocks)?;
                Err(code.into())
            })
        }
        _ => return Err(missing()),
    };
    Ok(store.0.add_host_function(&host.ok_or_else(missing)?))
}

/// A trampoline that needs nothing of the embedder's data.
pub(super) fn plain<T: 'static>(
    signature: Arc<Signature>,
    body: impl Fn(&mut StoreInner, &mut FlatSlots) -> Result<()> + Send + Sync + 'static,
) -> Option<HostFunction<StoreData<T>>> {
    HostFunction::flat(signature, move |store: &mut VmStore<T>, _, slots| body(store.inner_mut(), slots).map_err(boxed))
}

/// The value of a cell, made when it is asked for the first time.
pub(super) fn once<V>(cell: &OnceLock<V>, make: impl FnOnce() -> Result<V>) -> Result<&V> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}

/// What every call of a lowered function asks first: its component instance may be left, and, for a function of an `async`
/// type that is lowered without, the task may block.
pub(super) fn check_lowered(store: &mut StoreInner, caller: ComponentId, blocks: bool) -> Result<()> {
    if store.component_flags(caller) & MAY_LEAVE == 0 {
        return Err(TrapCode::CannotLeaveComponent.into());
    }
    if blocks { Ok(store.components_mut().check_may_block(caller)?) } else { Ok(()) }
}

fn lowered<T: 'static>(
    signature: Arc<Signature>,
    component: &Arc<ComponentInner>,
    tree: TreeId,
    func: HostFunc<T>,
    side: Side<Slot>,
) -> Option<HostFunction<StoreData<T>>> {
    let component = Arc::clone(component);
    let statics = &component.plan.statics;
    let row = statics.func_types.get(side.ty.index())?;
    let borrows = row.params.iter().any(|(_, ty)| statics.types.facts(*ty).borrows);
    let blocks = statics.blocks(&side);
    let options = OnceLock::new();
    HostFunction::flat(signature, move |store: &mut VmStore<T>, _, slots: &mut FlatSlots| {
        let resolve = || CallOptions::resolve(&component, store.inner(), tree, &side.opts);
        let options = once(&options, resolve).map_err(boxed)?;
        let call = HostCall { component: &component, tree, options, ty: side.ty, borrows, blocks };
        (func.body)(store, &call, slots).map_err(boxed)
    })
}

/// A built-in of a tree.
struct Place {
    component: Arc<ComponentInner>,
    tree: TreeId,
    /// The root of the tree.
    first: ComponentId,
    builtin: Builtin<Slot>,
}

/// The low half of a slot: an `i32`.
#[expect(clippy::cast_possible_truncation, reason = "a slot of type `i32`")]
pub(super) const fn word(slot: u64) -> u32 {
    slot as u32
}

impl Place {
    /// The component instance that has the built-in.
    fn instance(&self) -> ComponentId {
        ComponentId(self.first.0 + self.builtin.opts.component.0)
    }

    fn resource(&self, store: &StoreInner) -> Result<ResourceSlot> {
        let slot = self.builtin.resource.ok_or_else(unsupported)?;
        let slots = &store.components().trees[self.tree.0 as usize].slots;
        slots.resources.get(slot.index as usize).cloned().flatten().ok_or_else(|| empty(slot))
    }

    fn run(&self, store: &mut StoreInner, slots: &mut FlatSlots, options: &OnceLock<CallOptions>) -> Result<()> {
        let row = self.builtin.row;
        if row.asks_may_leave() && store.component_flags(self.instance()) & MAY_LEAVE == 0 {
            return Err(TrapCode::CannotLeaveComponent.into());
        }
        let table = TableId::Component(self.instance());
        match row {
            Intrinsic::ResourceNew => {
                let ty = self.resource(store)?.ty;
                slots[0] = u64::from(store.components_mut().lower_own(table, ty, word(slots[0]))?);
                Ok(())
            }
            Intrinsic::ResourceRep => {
                let ty = self.resource(store)?.ty;
                slots[0] = u64::from(store.components_mut().table(table).get(word(slots[0]), ty)?.rep);
                Ok(())
            }
            Intrinsic::ResourceDrop => self.drop_resource(store, word(slots[0])),
            Intrinsic::TaskReturn => {
                let resolve = || CallOptions::resolve(&self.component, store, self.tree, &self.builtin.opts);
                let options = once(options, resolve)?;
                super::func::task_return(store, &self.component, options, self.tree, slots)
            }
            _ => self.run_other(store, slots),
        }
    }

    /// What only tasks and adapters use.
    fn run_other(&self, store: &mut StoreInner, slots: &mut FlatSlots) -> Result<()> {
        let immediates = self.builtin.immediates;
        match self.builtin.row {
            Intrinsic::ContextGet => {
                let task = store.components_mut().task_of(self.instance());
                slots[0] = task.and_then(|task| task.context.get(immediates[0] as usize)).copied().unwrap_or(0);
                Ok(())
            }
            Intrinsic::ContextSet => {
                let task = store.components_mut().task_of(self.instance());
                if let Some(place) = task.and_then(|task| task.context.get_mut(immediates[0] as usize)) {
                    *place = slots[0];
                }
                Ok(())
            }
            // Nothing ever waits here, so nothing is held back.
            Intrinsic::BackpressureInc | Intrinsic::BackpressureDec => Ok(()),
            _ => Err(unsupported()),
        }
    }

    fn drop_resource(&self, store: &mut StoreInner, index: u32) -> Result<()> {
        let slot = self.resource(store)?;
        let state = store.components_mut();
        let table = TableId::Component(self.instance());
        let Some(rep) = state.drop_handle(table, index, slot.ty)? else { return Ok(()) };
        if wattest_abi::mutant!(destructor_before_removal) {
            // The place that was freed last is taken first.
            state.lower_own(table, slot.ty, rep)?;
            self.destroy(store, &slot, rep)?;
            return store.components_mut().drop_handle(table, index, slot.ty).map(drop).map_err(Error::from);
        }
        self.destroy(store, &slot, rep)
    }

    fn destroy(&self, store: &mut StoreInner, slot: &ResourceSlot, rep: u32) -> Result<()> {
        match (store.components().resource_kind(slot.ty), &slot.dtor) {
            (Some(ResourceKind::Component { owner, .. }), dtor) => {
                let ends = (self.instance(), *owner);
                let destroy = |store: &mut _| destroy(store, &self.component, ends, dtor.as_ref(), rep);
                waiting_within(store, |store| store, destroy)
            }
            (_, Some(dtor)) => super::call::call_destructor(store, dtor, rep),
            (_, None) => Ok(()),
        }
    }
}

fn unsupported() -> Error {
    TrapCode::AsyncUnsupported.into()
}
