//! Calls from the host into components.
//!
//! [`canon lift`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-lift) as the host
//! carries it out: enter, lower the parameters, call, lift the result, `post-return`, leave.
//!
//! Invariant: an instance that a call did not return from is poisoned, so that nothing of it runs again; the instance may
//! not be left while its `realloc` or `post-return` runs; no reference into a memory is held while a guest runs.
//!
//! Does not know: how values are written and read.

use super::abi::{LiftCx, LowerCx};
use super::compiled::ComponentInner;
use super::options::CallOptions;
use crate::TrapCode;
use crate::error::{Error, Result};
use std::sync::Arc;
use wattest_component::{ComponentIndex, FuncTypeIndex};
use wattest_vm::component::{ComponentId, ResourceKind, ResourceTypeId, Task, TreeId};
use wattest_vm::{FLAT_SLOTS, FlatFunc, FlatSlots, StoreInner};

/// A lifted function, ready to be called.
#[derive(Debug)]
pub(crate) struct Lifted {
    pub component: Arc<ComponentInner>,
    pub tree: TreeId,
    pub callee: FlatFunc,
    pub options: CallOptions,
    pub ty: FuncTypeIndex,
    /// A parameter contains a borrow.
    pub borrows: bool,
    /// Its type is `async`, so its task may block.
    pub may_block: bool,
}

/// What [`begin`] remembers for [`end`].
struct Before {
    scopes: usize,
    tasks: usize,
}

#[inline]
fn begin(store: &mut StoreInner, tree: TreeId, task: Task) -> Result<Before> {
    let state = store.components_mut();
    let (scopes, tasks) = (state.scopes(), state.tasks.len());
    let row = state.tree(tree);
    if row.poisoned || row.active {
        return Err(TrapCode::CannotEnterComponent.into());
    }
    row.active = true;
    state.tasks.push(task);
    Ok(Before { scopes, tasks })
}

#[inline]
fn end(store: &mut StoreInner, tree: TreeId, before: &Before, returned: bool) {
    let state = store.components_mut();
    state.tasks.truncate(before.tasks);
    let row = state.tree(tree);
    row.active = false;
    if !returned {
        row.poisoned = !wattest_abi::mutant!(poison_forgotten);
        state.abandon_scopes(before.scopes);
    }
}

impl Lifted {
    /// Calls the function: `lower` fills in the core parameters, `lift` reads the core result.
    #[inline]
    pub fn call<R>(
        &self,
        store: &mut StoreInner,
        lower: impl FnOnce(&mut LowerCx<'_>, &mut FlatSlots) -> Result<()>,
        lift: impl FnOnce(&mut LiftCx<'_>, &FlatSlots) -> Result<R>,
    ) -> Result<R> {
        let before = begin(store, self.tree, Task::new(self.options.component, self.may_block))?;
        let result = self.call_entered(store, lower, lift);
        end(store, self.tree, &before, result.is_ok());
        result
    }

    #[inline]
    fn call_entered<R>(
        &self,
        store: &mut StoreInner,
        lower: impl FnOnce(&mut LowerCx<'_>, &mut FlatSlots) -> Result<()>,
        lift: impl FnOnce(&mut LiftCx<'_>, &FlatSlots) -> Result<R>,
    ) -> Result<R> {
        let mut slots = [0; FLAT_SLOTS];
        self.lower_params(store, &mut slots, lower)?;
        store.call_flat(&self.callee, &mut slots).map_err(crate::func::ended)?;
        let statics = &self.component.plan.statics;
        let result = lift(&mut LiftCx::new(store, statics, &self.options, self.tree)?, &slots)?;
        if self.borrows {
            store.components_mut().end_scope()?;
        }
        if let Some(post_return) = &self.options.post_return {
            store.set_may_leave(self.options.component, false);
            store.call_flat(post_return, &mut slots).map_err(crate::func::ended)?;
            store.set_may_leave(self.options.component, true);
        }
        Ok(result)
    }

    #[inline]
    fn lower_params(
        &self,
        store: &mut StoreInner,
        slots: &mut FlatSlots,
        lower: impl FnOnce(&mut LowerCx<'_>, &mut FlatSlots) -> Result<()>,
    ) -> Result<()> {
        if self.borrows {
            store.components_mut().begin_scope();
        }
        let reallocs = self.options.realloc.is_some();
        if reallocs {
            store.set_may_leave(self.options.component, false);
        }
        let statics = &self.component.plan.statics;
        lower(&mut LowerCx { store, options: &self.options, statics, tree: self.tree, host: None }, slots)?;
        if reallocs {
            store.set_may_leave(self.options.component, true);
        }
        Ok(())
    }

    /// Calls a function that was lifted with `async` and a callback, and that does not wait. `sink` lifts what
    /// `task.return` is called with, when it is.
    pub fn call_async<R: Send + Sync + 'static>(
        &self,
        store: &mut StoreInner,
        lower: impl FnOnce(&mut LowerCx<'_>, &mut FlatSlots) -> Result<()>,
        sink: Sink,
    ) -> Result<R> {
        let before = begin(store, self.tree, Task::awaiting(self.options.component, Box::new(sink)))?;
        let result = self.run_task(store, lower);
        let result = result.and_then(|()| {
            let task = store.components_mut().tasks.last_mut();
            let returned = task.and_then(Task::take_given).ok_or(TrapCode::TaskReturn)?;
            returned.downcast::<R>().map(|value| *value).map_err(|_| TrapCode::TaskReturn.into())
        });
        end(store, self.tree, &before, result.is_ok());
        result
    }

    fn run_task(
        &self,
        store: &mut StoreInner,
        lower: impl FnOnce(&mut LowerCx<'_>, &mut FlatSlots) -> Result<()>,
    ) -> Result<()> {
        let mut slots = [0; FLAT_SLOTS];
        self.lower_params(store, &mut slots, lower)?;
        store.call_flat(&self.callee, &mut slots).map_err(crate::func::ended)?;
        if let Some(callback) = &self.options.callback {
            run_callback(store, callback, &mut slots)?;
        }
        if self.borrows {
            store.components_mut().end_scope()?;
        }
        Ok(())
    }
}

/// How a task's result is taken: from the core parameters of `task.return`, or a pointer to them.
#[derive(Clone)]
pub(crate) struct Sink(pub Arc<SinkFn>);
pub(crate) type SinkFn =
    dyn Fn(&mut LiftCx<'_>, &FlatSlots) -> Result<Box<dyn std::any::Any + Send + Sync>> + Send + Sync;

/// What a callback answers, in the low four bits.
const CALLBACK_EXIT: u64 = 0;
const CALLBACK_YIELD: u64 = 1;

/// How often a task may yield. Nothing else runs meanwhile, so a task that yields until something happens never ends.
const YIELDS_MAX: u32 = 100_000;

/// Goes on with a task until it exits: it may yield, but there is nothing it could wait for.
pub(crate) fn run_callback(store: &mut StoreInner, callback: &FlatFunc, slots: &mut FlatSlots) -> Result<()> {
    for _ in 0..YIELDS_MAX {
        match slots[0] & 0xf {
            CALLBACK_EXIT => return Ok(()),
            // The event "none".
            CALLBACK_YIELD => slots[..3].fill(0),
            _ => return Err(TrapCode::AsyncUnsupported.into()),
        }
        store.call_flat(callback, slots).map_err(crate::func::ended)?;
    }
    Err(TrapCode::AsyncUnsupported.into())
}

/// Runs the destructor of a resource that has lost its owner, if its type is a component's and has one.
pub(crate) fn run_destructor(store: &mut StoreInner, ty: ResourceTypeId, rep: u32) -> Result<()> {
    let Some(ResourceKind::Component { owner, dtor }) = store.components().resource_kind(ty).cloned() else {
        return Ok(());
    };
    let Some(dtor) = dtor else { return Ok(()) };
    destroy_from_outside(store, owner, &dtor, rep)
}

/// Runs a destructor as if the host called it: nothing of its tree may be running.
fn destroy_from_outside(store: &mut StoreInner, owner: ComponentId, dtor: &FlatFunc, rep: u32) -> Result<()> {
    let tree = store.components_mut().instance(owner).tree;
    let before = begin(store, tree, Task::new(owner, false))?;
    let result = call_destructor(store, dtor, rep);
    end(store, tree, &before, result.is_ok());
    result
}

/// Calls a destructor.
pub(crate) fn call_destructor(store: &mut StoreInner, dtor: &FlatFunc, rep: u32) -> Result<()> {
    if wattest_abi::mutant!(destructor_not_called) {
        return Ok(());
    }
    let mut slots = [0; FLAT_SLOTS];
    slots[0] = u64::from(rep);
    store.call_flat(dtor, &mut slots).map_err(crate::func::ended)
}

/// Destroys a resource whose last owner a component instance has dropped
/// ([`canon resource.drop`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-resourcedrop)):
/// the instance that defined the type does it in the task it is in; from another one it is a call of a function
/// `(u32)`, which has a task of its own and may not be recursive, whether there is a destructor or not.
pub(crate) fn destroy(
    store: &mut StoreInner,
    component: &ComponentInner,
    (caller, owner): (ComponentId, ComponentId),
    dtor: Option<&FlatFunc>,
    rep: u32,
) -> Result<()> {
    if caller == owner {
        return dtor.map_or(Ok(()), |dtor| call_destructor(store, dtor, rep));
    }
    let state = store.components_mut();
    let (from, to) = (state.instance(caller).tree, state.instance(owner).tree);
    if from != to {
        if let Some(dtor) = dtor {
            return destroy_from_outside(store, owner, dtor, rep);
        }
        let row = state.tree(to);
        return if row.poisoned || row.active { Err(TrapCode::CannotEnterComponent.into()) } else { Ok(()) };
    }
    let first = state.tree(to).first.0;
    let (a, b) = (ComponentIndex(caller.0 - first), ComponentIndex(owner.0 - first));
    let statics = &component.plan.statics;
    if statics.contains(a, b) || statics.contains(b, a) {
        return Err(TrapCode::CannotEnterComponent.into());
    }
    let Some(dtor) = dtor else { return Ok(()) };
    // After a trap the call from outside that this is part of ends task and scope.
    state.tasks.push(Task::new(owner, false));
    state.begin_scope();
    call_destructor(store, dtor, rep)?;
    let state = store.components_mut();
    state.tasks.pop();
    Ok(state.end_scope()?)
}

/// Marks a tree as being instantiated, so that nothing enters it before it is whole.
pub(crate) fn seal(store: &mut StoreInner, tree: TreeId, result: &Result<(), crate::InstantiateError>) {
    let row = store.components_mut().tree(tree);
    row.active = false;
    row.poisoned = result.is_err();
}

/// An error on its way through compiled code.
pub(crate) fn boxed(error: Error) -> wattest_vm::HostError {
    Box::new(error)
}
