//! Typed functions of the host that a component only passes on, as the host calls them.
//!
//! Caller and callee are the host, one with values, the other with Rust types. Between them values are
//! [lowered and lifted](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#lifting-and-lowering-values)
//! through bytes that only exist for the call; handles stay in the host's table.
//!
//! Invariant: no guest runs and no memory of a guest is touched, but by what the function itself does.
//!
//! Does not know: components, besides their types.

use super::abi::{At, Lift, LiftCx, Lower, LowerCx, Ty};
use super::options::CallOptions;
use super::typed::ComponentList;
use super::types::ComponentFuncType;
use super::value::{Handles, Val, from_value, to_value};
use crate::context::StoreContextMut;
use crate::error::Result;
use std::sync::Arc;
use wattest_canon::{Encoding, Fault, Width};
use wattest_vm::component::TreeId;

/// Calls the function.
///
/// # Errors
///
/// The values are of other types, or the function fails.
pub(super) fn call<T: 'static, P, R>(
    mut store: StoreContextMut<'_, T>,
    (ty, tree): (&ComponentFuncType, TreeId),
    params: &[Val],
    results: &mut [Val],
    func: &(impl Fn(StoreContextMut<'_, T>, P) -> Result<R> + ?Sized),
) -> Result<()>
where
    P: ComponentList + Lift,
    R: ComponentList + Lower,
{
    let before = store.inner().components().scopes();
    store.inner_mut().components_mut().begin_scope();
    let result = within(&mut store, (ty, tree), params, results, func);
    let state = store.inner_mut().components_mut();
    match &result {
        Ok(()) => state.end_scope()?,
        Err(_) => state.abandon_scopes(before),
    }
    result
}

fn within<T: 'static, P, R>(
    store: &mut StoreContextMut<'_, T>,
    (ty, tree): (&ComponentFuncType, TreeId),
    params: &[Val],
    results: &mut [Val],
    func: &(impl Fn(StoreContextMut<'_, T>, P) -> Result<R> + ?Sized),
) -> Result<()>
where
    P: ComponentList + Lift,
    R: ComponentList + Lower,
{
    let component = Arc::clone(&ty.component);
    let statics = &component.plan.statics;
    let (types, row) = (&statics.types, &statics.func_types[ty.index.index()]);
    let options = {
        let root = store.inner().components().trees[tree.0 as usize].first;
        CallOptions::of_host(root, wattest_canon::Options::new(Encoding::Utf8, Width::W32))
    };
    let canon = options.canon;
    let list: Vec<_> = row.params.iter().map(|(_, ty)| *ty).collect();
    let values = {
        let handles = Handles { store: store.inner().id(), state: store.inner().components() };
        let values = list.iter().zip(params).map(|(ty, val)| to_value(types, *ty, val, &handles));
        values.collect::<Result<Vec<_>>>()?
    };
    let mut bytes = Vec::new();
    let slots = {
        let mut cx = LowerCx { store: store.inner_mut(), options: &options, statics, tree, host: Some(&mut bytes) };
        wattest_canon::lower_values(&mut cx, types, &canon, 0, (&list, &values), None)?
    };
    let params = {
        let mut cx = LiftCx::of_host(store.inner_mut(), (statics, &options), tree, &bytes);
        let ty = Ty(At::Params(ty.index));
        match slots.first() {
            Some(address) if P::LENGTH > 0 => P::lift_at(&mut cx, ty, *address)?,
            _ => P::lift_flat(&mut cx, ty, &[])?,
        }
    };
    let result = func(StoreContextMut(&mut *store.0), params)?;
    let (Some(result_type), Some(place)) = (row.result, results.first_mut()) else { return Ok(()) };
    let mut bytes = Vec::new();
    let address = {
        let mut cx = LowerCx { store: store.inner_mut(), options: &options, statics, tree, host: Some(&mut bytes) };
        let abi = R::ABI[0];
        let address = cx.allocate(u64::from(abi.size), abi.align)?;
        result.lower_at(&mut cx, Ty(At::Result(ty.index)), address)?;
        address
    };
    let value = {
        let mut cx = LiftCx::of_host(store.inner_mut(), (statics, &options), tree, &bytes);
        wattest_canon::lift_values(&mut cx, types, &canon, 0, &[result_type], &[address])?
    };
    let handles = Handles { store: store.inner().id(), state: store.inner().components() };
    if let Some(value) = value.into_iter().next() {
        *place = from_value(types, result_type, value, &handles)?;
    }
    Ok(())
}

/// `realloc` of a memory that is the host's own: what is new lies at the end.
///
/// # Errors
///
/// Values of 4 GiB.
pub(super) fn grow(memory: &mut Vec<u8>, (old, old_bytes): (u64, u64), align: u32, bytes: u64) -> Result<u64> {
    let at = (memory.len() as u64).next_multiple_of(u64::from(align.max(1)));
    let fits =
        |at: u64| u32::try_from(at).ok().and_then(|at| usize::try_from(at).ok()).ok_or(Fault::PointerOutOfBounds);
    let (start, end) = (fits(at)?, fits(at.saturating_add(bytes))?);
    let old = wattest_canon::checked_range(memory.len(), old, old_bytes.min(bytes)).ok_or(Fault::PointerOutOfBounds)?;
    memory.resize(end, 0);
    memory.copy_within(old, start);
    Ok(at)
}
