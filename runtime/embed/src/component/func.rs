//! Component functions that the host calls.
//!
//! [`Func`] with values, [`TypedFunc`] with Rust types
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-lift)). `post-return` is
//! called as part of the call.
//!
//! Invariant: arguments are compared with the function's type before the component is entered.
//!
//! Does not know: how a call is made.

use super::abi::{At, Lift, LiftCx, Lower, LowerCx, PARAMS_MAX, Ty};
use super::call::{Lifted, Sink};
use super::compiled::ComponentInner;
use super::instance::Instance;
use super::typed::ComponentList;
use super::types::ComponentFuncType;
use super::value::{Handles, Val, from_value, to_value};
use crate::TrapCode;
use crate::context::{AsContextMut, StoreContextMut};
use crate::error::{Result, UsageError};
use crate::suspend;
use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;
use wattest_canon::{Fault, ResourceId, TypeId, Value, Width, flatten_types};
use wattest_component::FuncTypeIndex;
use wattest_vm::component::{ResourceKind, Task, TreeId};
use wattest_vm::{FlatSlots, StoreId, StoreInner};

/// A function that an instance exports.
#[derive(Clone)]
pub struct Func {
    pub(crate) store: StoreId,
    pub(crate) kind: FuncKind,
}

/// What is exported.
#[derive(Clone)]
pub(crate) enum FuncKind {
    /// A core function of the component.
    Lifted(Arc<Lifted>),
    /// A function that the component imports and passes on, by the position of the import.
    Import { instance: Instance, slot: u32, ty: FuncTypeIndex },
}

impl Func {
    fn component(&self) -> &Arc<ComponentInner> {
        match &self.kind {
            FuncKind::Lifted(lifted) => &lifted.component,
            FuncKind::Import { instance, .. } => &instance.inner.component,
        }
    }

    fn index(&self) -> FuncTypeIndex {
        match &self.kind {
            FuncKind::Lifted(lifted) => lifted.ty,
            FuncKind::Import { ty, .. } => *ty,
        }
    }

    /// Its type.
    pub fn ty(&self) -> ComponentFuncType {
        ComponentFuncType { component: Arc::clone(self.component()), index: self.index() }
    }

    /// Calls the function. `results` has as many places as the function has results: none or one.
    ///
    /// # Errors
    ///
    /// The values do not fit, the component traps, or a host function fails. After a trap nothing of the instance can be
    /// called again.
    pub fn call<T: 'static>(
        &self,
        mut store: impl AsContextMut<Data = T>,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        let mut store = store.as_context_mut();
        if store.inner().id() != self.store {
            return Err(UsageError::WrongStore { what: "component function" }.into());
        }
        let component = Arc::clone(self.component());
        let row = &component.plan.statics.func_types[self.index().index()];
        if params.len() != row.params.len() || results.len() != usize::from(row.result.is_some()) {
            let given = format!("{} parameters and {} results", params.len(), results.len());
            return Err(UsageError::TypeMismatch { wanted: self.ty().to_string(), given }.into());
        }
        let lifted = match &self.kind {
            FuncKind::Lifted(lifted) => lifted,
            FuncKind::Import { instance, slot, .. } => {
                return instance.call_import::<T>(store, *slot, &self.ty(), params, results);
            }
        };
        let list = row.params.iter().map(|(_, ty)| *ty).collect::<Vec<_>>();
        let types = &component.plan.statics.types;
        let handles = Handles { store: self.store, state: store.inner().components() };
        let values = list.iter().zip(params).map(|(ty, val)| to_value(types, *ty, val, &handles));
        let values = values.collect::<Result<Vec<_>>>()?;
        let value = call_values(lifted, store.inner_mut(), &list, &values, row.result)?;
        if let (Some(ty), Some(value), Some(place)) = (row.result, value, results.first_mut()) {
            let handles = Handles { store: self.store, state: store.inner().components() };
            *place = from_value(types, ty, value, &handles)?;
        }
        Ok(())
    }

    /// Calls the function on a stack of its own, so that host functions in it can wait.
    ///
    /// # Errors
    ///
    /// As [`Func::call`]; or there is no stack.
    pub fn call_async<'a, T: Send + 'static, S: Into<StoreContextMut<'a, T>>>(
        &self,
        store: S,
        params: &'a [Val],
        results: &'a mut [Val],
    ) -> impl Future<Output = Result<()>> + Send + use<'a, T, S> {
        let func = self.clone();
        suspend::on_own_stack(store, suspend::call_refused, move |store| func.call(store, params, results))
    }

    /// The function with its types fixed.
    ///
    /// # Errors
    ///
    /// It has other types, is another store's, or is not the component's own.
    pub fn typed<P, R>(&self, mut store: impl AsContextMut) -> Result<TypedFunc<P, R>>
    where
        P: ComponentList + Lower,
        R: ComponentList + Lift,
    {
        let mut store = store.as_context_mut();
        if store.inner().id() != self.store {
            return Err(UsageError::WrongStore { what: "component function" }.into());
        }
        let FuncKind::Lifted(lifted) = &self.kind else {
            let text = "a function that a component only passes on has no typed form".to_owned();
            return Err(UsageError::Invalid(text).into());
        };
        let state = store.inner_mut().components_mut();
        let slots = &state.trees[lifted.tree.0 as usize].slots.resources;
        let host = |id: ResourceId| {
            let slot = slots.get(id.0 as usize)?.as_ref()?;
            match state.resource_kind(slot.ty)? {
                ResourceKind::Host(ty) => Some(*ty),
                ResourceKind::Component { .. } => None,
            }
        };
        super::linker::check_func::<P, R>(&lifted.component, lifted.ty, &host).map_err(mismatch)?;
        Ok(TypedFunc { store: self.store, lifted: Arc::clone(lifted), types: PhantomData })
    }
}

impl std::fmt::Debug for Func {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Func").field("ty", &self.ty()).finish_non_exhaustive()
    }
}

/// A mismatch as the embedder's mistake.
pub(crate) fn mismatch(error: super::TypeMismatch) -> UsageError {
    let place = error.place();
    UsageError::TypeMismatch { wanted: error.found, given: error.expected + &place }
}

/// Calls with neutral values.
fn call_values(
    lifted: &Lifted,
    store: &mut StoreInner,
    list: &[TypeId],
    values: &[Value],
    result: Option<TypeId>,
) -> Result<Option<Value>> {
    let types = &lifted.component.plan.statics.types;
    let canon = lifted.options.canon;
    let lower = |cx: &mut LowerCx<'_>, slots: &mut FlatSlots| {
        let flat = wattest_canon::lower_values(cx, types, &canon, PARAMS_MAX, (list, values), None)?;
        slots[..flat.len()].copy_from_slice(&flat);
        Ok(())
    };
    if lifted.options.is_async {
        let component = Arc::clone(&lifted.component);
        let sink = move |cx: &mut LiftCx<'_>, slots: &FlatSlots| {
            let types = &component.plan.statics.types;
            let list = result.into_iter().collect::<Vec<_>>();
            let count = flatten_types(types, &list, canon.width).map_or(1, |flat| flat.len());
            let values = wattest_canon::lift_values(cx, types, &canon, PARAMS_MAX, &list, &slots[..count])?;
            Ok(Box::new(values.into_iter().next()) as Box<dyn Any + Send + Sync>)
        };
        return lifted.call_async::<Option<Value>>(store, lower, Sink(Arc::new(sink)));
    }
    lifted.call(store, lower, |cx, slots| {
        let list = result.into_iter().collect::<Vec<_>>();
        let max = wattest_canon::FLAT_RESULTS_MAX;
        let count = usize::from(!list.is_empty());
        let count = flatten_types(types, &list, canon.width).map_or(count, |flat| flat.len().min(count));
        Ok(wattest_canon::lift_values(cx, types, &canon, max, &list, &slots[..count])?.into_iter().next())
    })
}

/// A function whose types are fixed: parameters are a tuple, the result is `()` or a tuple of one.
pub struct TypedFunc<P, R> {
    store: StoreId,
    lifted: Arc<Lifted>,
    types: PhantomData<fn(P) -> R>,
}

impl<P, R> Clone for TypedFunc<P, R> {
    fn clone(&self) -> Self {
        TypedFunc { store: self.store, lifted: Arc::clone(&self.lifted), types: PhantomData }
    }
}

impl<P, R> TypedFunc<P, R>
where
    P: ComponentList + Lower,
    R: ComponentList + Lift,
{
    /// Calls the function.
    ///
    /// # Errors
    ///
    /// The component traps, or a host function fails. After a trap nothing of the instance can be called again.
    #[inline]
    pub fn call(&self, store: impl AsContextMut, params: P) -> Result<R>
    where
        R: Send + Sync + 'static,
    {
        self.call_as(store, params)
    }

    /// Calls the function on a stack of its own, so that host functions in it can wait.
    ///
    /// # Errors
    ///
    /// As [`TypedFunc::call`]; or there is no stack.
    pub fn call_async<'a, T: Send + 'static, S: Into<StoreContextMut<'a, T>>>(
        &self,
        store: S,
        params: P,
    ) -> impl Future<Output = Result<R>> + Send + use<'a, T, S, P, R>
    where
        P: Send + 'a,
        R: Send + Sync + 'static,
    {
        let func = self.clone();
        suspend::on_own_stack(store, suspend::call_refused, move |store| func.call(store, params))
    }

    /// As [`TypedFunc::call`], with other Rust types for the same interface types: parameters that are borrowed.
    #[doc(hidden)]
    #[inline]
    pub fn call_as<Q, S>(&self, mut store: impl AsContextMut, params: Q) -> Result<S>
    where
        Q: ComponentList + Lower,
        S: ComponentList + Lift + Send + Sync + 'static,
    {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        if inner.id() != self.store {
            return Err(UsageError::WrongStore { what: "component function" }.into());
        }
        let wide = usize::from(self.lifted.options.canon.width == Width::W64);
        let ty = self.lifted.ty;
        if self.lifted.options.is_async {
            return call_async(&self.lifted, inner, wide, &params);
        }
        self.lifted.call(
            inner,
            |cx, slots| lower_params(cx, ty, wide, &params, slots),
            |cx, slots| lift_result::<S>(cx, ty, wide, slots, wattest_canon::FLAT_RESULTS_MAX),
        )
    }
}

#[cold]
fn call_async<P, R>(lifted: &Lifted, store: &mut StoreInner, wide: usize, params: &P) -> Result<R>
where
    P: ComponentList + Lower,
    R: ComponentList + Lift + Send + Sync + 'static,
{
    let ty = lifted.ty;
    let sink = move |cx: &mut LiftCx<'_>, slots: &FlatSlots| {
        let result = lift_result::<R>(cx, ty, wide, slots, PARAMS_MAX)?;
        Ok(Box::new(result) as Box<dyn Any + Send + Sync>)
    };
    let lower = |cx: &mut LowerCx<'_>, slots: &mut FlatSlots| lower_params(cx, ty, wide, params, slots);
    lifted.call_async(store, lower, Sink(Arc::new(sink)))
}

#[inline]
fn lower_params<P: ComponentList + Lower>(
    cx: &mut LowerCx<'_>,
    ty: FuncTypeIndex,
    wide: usize,
    params: &P,
    slots: &mut FlatSlots,
) -> Result<()> {
    let (abi, ty) = (P::ABI[wide], Ty(At::Params(ty)));
    if abi.flat <= PARAMS_MAX {
        return params.lower_flat(cx, ty, &mut slots[..abi.flat]);
    }
    let address = cx.allocate(u64::from(abi.size), abi.align)?;
    slots[0] = address;
    params.lower_at(cx, ty, address)
}

#[inline]
fn lift_result<R: ComponentList + Lift>(
    cx: &mut LiftCx<'_>,
    ty: FuncTypeIndex,
    wide: usize,
    slots: &FlatSlots,
    flat_max: usize,
) -> Result<R> {
    let (abi, ty) = (R::ABI[wide], Ty(At::Result(ty)));
    if abi.flat <= flat_max {
        return R::lift_flat(cx, ty, &slots[..abi.flat]);
    }
    let address = cx.options.canon.width.address(slots[0]);
    wattest_canon::check_area(cx.memory.len(), address, abi.size, abi.align)?;
    R::lift_at(cx, ty, address)
}

impl<P, R> std::fmt::Debug for TypedFunc<P, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TypedFunc").finish_non_exhaustive()
    }
}

/// Takes the value that `task.return` was called with.
pub(crate) fn task_return(
    store: &mut StoreInner,
    component: &ComponentInner,
    options: &super::options::CallOptions,
    tree: TreeId,
    slots: &FlatSlots,
) -> Result<()> {
    let task = store.components_mut().tasks.last_mut();
    let sink = task.and_then(Task::take_sink).ok_or(TrapCode::TaskReturn)?;
    let sink = match sink.downcast::<super::support::Adapted>() {
        Ok(adapted) => return super::support::give(store, *adapted, slots),
        Err(sink) => sink.downcast::<Sink>().map_err(|_| TrapCode::TaskReturn)?,
    };
    let value = (sink.0)(&mut LiftCx::new(store, &component.plan.statics, options, tree)?, slots)?;
    let task = store.components_mut().tasks.last_mut().ok_or(Fault::SlotsMissing)?;
    task.give(value);
    Ok(())
}
