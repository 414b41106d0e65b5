//! Functions of the host as a component's imports.
//!
//! [`canon lower`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-lower) of a host
//! function: lift the parameters out of the caller, run the closure, lower its result.
//!
//! Invariant: the caller may not be left while its `realloc` runs; what it lends is given back when the closure returns.
//!
//! Does not know: how the function came to be called.

use super::abi::{At, Lift, LiftCx, Lower, LowerCx, PARAMS_MAX, Ty, TypeMismatch};
use super::compiled::ComponentInner;
use super::func::Func;
use super::linker::check_func;
use super::options::CallOptions;
use super::trampoline::check_lowered;
use super::typed::ComponentList;
use super::types::ComponentFuncType;
use super::value::{Handles, Val, from_value, to_value};
use crate::context::StoreContextMut;
use crate::error::{Error, Result, UsageError};
use crate::store::StoreData;
use crate::suspend::{HostFuture, wait_for};
use std::sync::Arc;
use wattest_canon::{FLAT_ASYNC_PARAMS_MAX, ResourceId, TypeId, flatten_types};
use wattest_component::FuncTypeIndex;
use wattest_vm::component::TreeId;
use wattest_vm::suspend::{Caller as Waits, waiting_within};
use wattest_vm::{FlatSlots, StoreInner};

/// A lowered import that is being called.
pub(crate) struct HostCall<'a> {
    pub component: &'a Arc<ComponentInner>,
    pub tree: TreeId,
    pub options: &'a CallOptions,
    pub ty: FuncTypeIndex,
    /// A parameter contains a borrow.
    pub borrows: bool,
    /// Only tasks that may block may call it.
    pub blocks: bool,
}

type VmStore<T> = wattest_vm::Store<StoreData<T>>;
type Body<T> = dyn Fn(&mut VmStore<T>, &HostCall<'_>, &mut FlatSlots) -> Result<()> + Send + Sync;
type Dynamic<'a, T> =
    dyn Fn(StoreContextMut<'_, T>, &ComponentFuncType, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'a;
type Direct<T> =
    dyn Fn(StoreContextMut<'_, T>, (&ComponentFuncType, TreeId), &[Val], &mut [Val]) -> Result<()> + Send + Sync;
type Check = dyn Fn(&ComponentInner, FuncTypeIndex, &dyn Fn(ResourceId) -> Option<std::any::TypeId>) -> Result<(), TypeMismatch>
    + Send
    + Sync;

/// A function of the host.
pub(crate) struct HostFunc<T: 'static> {
    pub body: Arc<Body<T>>,
    pub check: Arc<Check>,
    /// How the host calls it, when a component only passes it on.
    pub direct: Arc<Direct<T>>,
}

impl<T: 'static> Clone for HostFunc<T> {
    fn clone(&self) -> Self {
        HostFunc { body: Arc::clone(&self.body), check: Arc::clone(&self.check), direct: Arc::clone(&self.direct) }
    }
}

/// Where the parameters of a lowered function are, and where its result goes.
struct Passing {
    /// In core values.
    params_flat: bool,
    /// Through memory, at the core parameter with this position.
    result_pointer: Option<usize>,
}

fn passing(call: &HostCall<'_>, params: &mut dyn Iterator<Item = TypeId>, result: Option<TypeId>) -> Passing {
    let (types, width) = (&call.component.plan.statics.types, call.options.canon.width);
    let max = if call.options.is_async { FLAT_ASYNC_PARAMS_MAX } else { PARAMS_MAX };
    let mut flat = Some(0);
    for ty in params {
        let more = types.flat(ty, width).map(|flat| flat.len());
        flat = flat.zip(more).map(|(a, b)| a + b).filter(|flat| *flat <= max);
    }
    let in_memory = result.is_some_and(|ty| {
        call.options.is_async || types.flat(ty, width).is_none_or(|flat| flat.len() > wattest_canon::FLAT_RESULTS_MAX)
    });
    Passing { params_flat: flat.is_some(), result_pointer: in_memory.then_some(flat.unwrap_or(1)) }
}

/// What `canon lower async` answers when the callee has returned already.
const STATUS_RETURNED: u64 = 2;

/// The steps that typed and dynamic functions have in common.
fn around<T: 'static>(
    store: &mut VmStore<T>,
    call: &HostCall<'_>,
    slots: &mut FlatSlots,
    body: impl FnOnce(&mut VmStore<T>, &mut FlatSlots) -> Result<()>,
) -> Result<()> {
    check_lowered(store.inner_mut(), call.options.component, call.blocks)?;
    if call.borrows {
        store.inner_mut().components_mut().begin_scope();
    }
    body(store, slots)?;
    if call.borrows {
        store.inner_mut().components_mut().end_scope()?;
    }
    if call.options.is_async {
        slots[0] = STATUS_RETURNED;
    }
    Ok(())
}

/// Runs `lower` while the caller may not be left.
fn lowering(
    store: &mut StoreInner,
    call: &HostCall<'_>,
    lower: impl FnOnce(&mut LowerCx<'_>) -> Result<()>,
) -> Result<()> {
    let reallocs = call.options.realloc.is_some();
    if reallocs {
        store.set_may_leave(call.options.component, false);
    }
    let statics = &call.component.plan.statics;
    lower(&mut LowerCx { store, options: call.options, statics, tree: call.tree, host: None })?;
    if reallocs {
        store.set_may_leave(call.options.component, true);
    }
    Ok(())
}

/// A function whose types are known at compile time.
pub(crate) fn typed<T: 'static, P, R>(
    closure: impl Fn(StoreContextMut<'_, T>, P) -> Result<R> + Send + Sync + 'static,
) -> HostFunc<T>
where
    P: ComponentList + Lift + 'static,
    R: ComponentList + Lower + 'static,
{
    typed_for(move |_, store, params| closure(store, params))
}

/// A function whose types are known at compile time, and that waits.
pub(crate) fn typed_waiting<T: 'static, P, R>(
    closure: impl for<'a> Fn(StoreContextMut<'a, T>, P) -> HostFuture<'a, Result<R>> + Send + Sync + 'static,
) -> HostFunc<T>
where
    P: ComponentList + Lift + 'static,
    R: ComponentList + Lower + 'static,
{
    typed_for(move |caller, store, params| wait_for(caller, closure(store, params))?)
}

/// A function that knows who calls it.
fn typed_for<T: 'static, P, R>(
    closure: impl Fn(Waits, StoreContextMut<'_, T>, P) -> Result<R> + Send + Sync + 'static,
) -> HostFunc<T>
where
    P: ComponentList + Lift + 'static,
    R: ComponentList + Lower + 'static,
{
    let closure = Arc::new(closure);
    let direct = Arc::clone(&closure);
    let direct = move |store: StoreContextMut<'_, T>, params: P| direct(Waits::Host, store, params);
    let body = move |store: &mut VmStore<T>, call: &HostCall<'_>, slots: &mut FlatSlots| {
        around(store, call, slots, |store, slots| {
            let wide = usize::from(call.options.canon.width == wattest_canon::Width::W64);
            let max = if call.options.is_async { FLAT_ASYNC_PARAMS_MAX } else { PARAMS_MAX };
            let flat = P::ABI[wide].flat;
            let params_flat = flat <= max;
            let params = {
                let statics = &call.component.plan.statics;
                let mut cx = LiftCx::new(store.inner_mut(), statics, call.options, call.tree)?;
                let ty = Ty(At::Params(call.ty));
                if params_flat {
                    P::lift_flat(&mut cx, ty, &slots[..flat])?
                } else {
                    let address = call.options.canon.width.address(slots[0]);
                    let abi = P::ABI[wide];
                    wattest_canon::check_area(cx.memory.len(), address, abi.size, abi.align)?;
                    P::lift_at(&mut cx, ty, address)?
                }
            };
            let pointer = slots[if params_flat { flat } else { 1 }];
            let result = closure(Waits::Guest, StoreContextMut(store), params)?;
            if R::LENGTH == 0 {
                return Ok(());
            }
            lowering(store.inner_mut(), call, |cx| {
                let (abi, ty) = (R::ABI[wide], Ty(At::Result(call.ty)));
                if abi.flat <= wattest_canon::FLAT_RESULTS_MAX && !call.options.is_async {
                    return result.lower_flat(cx, ty, &mut slots[..abi.flat]);
                }
                let address = call.options.canon.width.address(pointer);
                let bytes = wattest_canon::Lower::memory_mut(cx).len();
                wattest_canon::check_area(bytes, address, abi.size, abi.align)?;
                result.lower_at(cx, ty, address)
            })
        })
    };
    let direct = Arc::new(
        move |store: StoreContextMut<'_, T>,
              func: (&ComponentFuncType, TreeId),
              params: &[Val],
              results: &mut [Val]| { super::direct::call(store, func, params, results, &direct) },
    );
    HostFunc { body: Arc::new(body), check: Arc::new(check_func::<P, R>), direct }
}

/// A function whose types are known at run time.
pub(crate) fn dynamic<T: 'static>(
    closure: impl Fn(StoreContextMut<'_, T>, &ComponentFuncType, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
) -> HostFunc<T> {
    dynamic_for(move |_, store, ty, params, results| closure(store, ty, params, results))
}

/// A function whose types are known at run time, and that waits.
pub(crate) fn dynamic_waiting<T: 'static>(
    closure: impl for<'a> Fn(
        StoreContextMut<'a, T>,
        &'a ComponentFuncType,
        &'a [Val],
        &'a mut [Val],
    ) -> HostFuture<'a, Result<()>>
    + Send
    + Sync
    + 'static,
) -> HostFunc<T> {
    dynamic_for(move |caller, store, ty, params, results| wait_for(caller, closure(store, ty, params, results))?)
}

/// A function that knows who calls it.
fn dynamic_for<T: 'static>(
    closure: impl Fn(Waits, StoreContextMut<'_, T>, &ComponentFuncType, &[Val], &mut [Val]) -> Result<()>
    + Send
    + Sync
    + 'static,
) -> HostFunc<T> {
    let closure = Arc::new(closure);
    let direct = Arc::clone(&closure);
    let body = move |store: &mut VmStore<T>, call: &HostCall<'_>, slots: &mut FlatSlots| {
        let closure = |store: StoreContextMut<'_, T>, ty: &ComponentFuncType, params: &[Val], results: &mut [Val]| {
            closure(Waits::Guest, store, ty, params, results)
        };
        around(store, call, slots, |store, slots| dynamic_body(store, call, slots, &closure))
    };
    let direct = Arc::new(
        move |store: StoreContextMut<'_, T>,
              func: (&ComponentFuncType, TreeId),
              params: &[Val],
              results: &mut [Val]| { direct(Waits::Host, store, func.0, params, results) },
    );
    HostFunc { body: Arc::new(body), check: Arc::new(|_, _, _| Ok(())), direct }
}

/// A function of any type that only fails, without a look at its parameters.
pub(crate) fn failing<T: 'static>(text: String) -> HostFunc<T> {
    let text = Arc::<str>::from(text);
    let again = Arc::clone(&text);
    HostFunc {
        body: Arc::new(move |_, _, _| Err(Error::msg(&*text))),
        check: Arc::new(|_, _, _| Ok(())),
        direct: Arc::new(move |_, _, _, _| Err(Error::msg(&*again))),
    }
}

fn dynamic_body<T: 'static>(
    store: &mut VmStore<T>,
    call: &HostCall<'_>,
    slots: &mut FlatSlots,
    closure: &Dynamic<'_, T>,
) -> Result<()> {
    let statics = &call.component.plan.statics;
    let (types, canon) = (&statics.types, call.options.canon);
    let Some(row) = statics.func_types.get(call.ty.index()) else {
        return Err(UsageError::Invalid("internal error: a function without a type".to_owned()).into());
    };
    let list = row.params.iter().map(|(_, ty)| *ty).collect::<Vec<_>>();
    let places = passing(call, &mut list.iter().copied(), row.result);
    let params = {
        let mut cx = LiftCx::new(store.inner_mut(), statics, call.options, call.tree)?;
        let flat = if places.params_flat { PARAMS_MAX } else { 0 };
        let count = flatten_types(types, &list, canon.width).map_or(1, |flat| flat.len());
        let slots = if places.params_flat { &slots[..count] } else { &slots[..1] };
        wattest_canon::lift_values(&mut cx, types, &canon, flat, &list, slots)?
    };
    let handles = Handles { store: store.inner().id(), state: store.inner().components() };
    let params = list.iter().zip(params).map(|(ty, value)| from_value(types, *ty, value, &handles));
    let params = params.collect::<Result<Vec<_>>>()?;
    let mut results = vec![Val::Bool(false); usize::from(row.result.is_some())];
    let ty = ComponentFuncType { component: Arc::clone(call.component), index: call.ty };
    closure(StoreContextMut(store), &ty, &params, &mut results)?;
    let (Some(result), Some(val)) = (row.result, results.first()) else { return Ok(()) };
    let handles = Handles { store: store.inner().id(), state: store.inner().components() };
    let value = to_value(types, result, val, &handles)?;
    let out = places.result_pointer.map(|at| canon.width.address(slots[at]));
    lowering(store.inner_mut(), call, |cx| match out {
        Some(address) => wattest_canon::lower_at(cx, types, &canon, (result, &value), address),
        None => {
            let max = wattest_canon::FLAT_RESULTS_MAX;
            let flat = wattest_canon::lower_values(cx, types, &canon, max, (&[result], &[value]), None)?;
            slots[..flat.len()].copy_from_slice(&flat);
            Ok(())
        }
    })
}

/// A function of another component instance of the store.
pub(crate) fn forward<T: 'static>(func: Func) -> HostFunc<T> {
    let check = {
        let func = func.clone();
        move |component: &ComponentInner, ty: FuncTypeIndex, _: &dyn Fn(ResourceId) -> Option<std::any::TypeId>| {
            let wanted = super::types::func_text(&component.plan.statics, ty);
            let given = func.ty();
            if super::same::same_func(&component.plan.statics, ty, &given.component.plan.statics, given.index) {
                return Ok(());
            }
            Err(TypeMismatch::new(given.to_string(), wanted))
        }
    };
    let mut made =
        dynamic(move |store: StoreContextMut<'_, T>, _: &ComponentFuncType, params: &[Val], results: &mut [Val]| {
            func.call(store, params, results)
        });
    made.check = Arc::new(check);
    // The other component's guest may wait where this one may.
    let body = made.body;
    made.body = Arc::new(move |store, call, slots| {
        waiting_within(store, wattest_vm::Store::inner_mut, |store| body(store, call, slots))
    });
    made
}
