//! Host functions.
//!
//! A [`HostFunction`] is a closure with a signature, not yet tied to a store; [`Store::add_host_function`] makes it a
//! function of a store. Compiled code calls it through a universal stub that leaves all argument registers in memory,
//! from which a body, monomorphized for typed closures, takes what its signature says.
//!
//! Invariant: no panic and no error crosses compiled code as an unwinding of the Rust stack: both are recorded in the
//! store and the stub unwinds.
//!
//! Does not know: what host functions do.

use crate::activation;
use crate::exception::Thrown;
use crate::func::FuncHandle;
use crate::store::{InstanceId, Store, StoreInner};
use crate::sys::trampoline::{self, HostBody, Registers};
use crate::trap::{HostError, Unwind};
use crate::types::Signature;
use crate::value::{Raw, Slots, StackWords, WasmValues};
use std::any::Any;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use wattest_abi::ResultShape;
use wattest_abi::call::{ArgLocation, results_in_memory};
use wattest_abi::vmctx::{MAGIC_HOST, VmFuncRef, VmHostFunction};

/// A host function that any store with data `T` can take.
pub struct HostFunction<T> {
    signature: Arc<Signature>,
    body: HostBody,
    data: Arc<dyn Any + Send + Sync>,
    data_address: *const u8,
    stores: PhantomData<fn(&mut Store<T>)>,
}

// SAFETY: `data_address` points into `data`, which is `Send` and `Sync`.
unsafe impl<T> Send for HostFunction<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for HostFunction<T> {}

impl<T> Clone for HostFunction<T> {
    fn clone(&self) -> Self {
        HostFunction {
            signature: self.signature.clone(),
            body: self.body,
            data: self.data.clone(),
            data_address: self.data_address,
            stores: PhantomData,
        }
    }
}

/// A host function in a store.
pub(crate) struct HostFunctionEntry {
    context: VmHostFunction,
    _data: Arc<dyn Any + Send + Sync>,
}

impl HostFunctionEntry {
    pub fn func_ref_address(&self) -> usize {
        (&raw const self.context.func_ref) as usize
    }
}

/// Who called a host function.
#[derive(Clone, Copy, Debug)]
pub struct CallerInfo {
    /// The calling instance; `None` when the host called.
    pub instance: Option<InstanceId>,
}

struct Dynamic<F> {
    signature: Arc<Signature>,
    closure: F,
}

impl<T: 'static> HostFunction<T> {
    /// A host function whose types are known at compile time. `signature` must have exactly the kinds of `P` and `R`;
    /// `None` otherwise.
    pub fn typed<P, R, F>(signature: Arc<Signature>, closure: F) -> Option<HostFunction<T>>
    where
        P: WasmValues + 'static,
        R: WasmValues + 'static,
        F: Fn(&mut Store<T>, CallerInfo, P) -> Result<R, HostError> + Send + Sync + 'static,
    {
        if signature.params != P::KINDS || signature.results != R::KINDS {
            return None;
        }
        Some(HostFunction::new(signature, typed_body::<T, P, R, F>, Arc::new(closure)))
    }

    /// A host function whose types are known at run time. The closure gets the parameters and a slice of results to
    /// fill in; results of the wrong kind are a host error made by `mismatch`.
    pub fn dynamic<F>(signature: Arc<Signature>, closure: F) -> HostFunction<T>
    where
        F: Fn(&mut Store<T>, CallerInfo, &[Raw], &mut [Raw]) -> Result<(), HostError> + Send + Sync + 'static,
    {
        let data = Dynamic { signature: signature.clone(), closure };
        HostFunction::new(signature, dynamic_body::<T, F>, Arc::new(data))
    }

    pub(crate) fn new<D: Any + Send + Sync>(
        signature: Arc<Signature>,
        body: HostBody,
        data: Arc<D>,
    ) -> HostFunction<T> {
        let data_address = Arc::as_ptr(&data).cast();
        HostFunction { signature, body, data, data_address, stores: PhantomData }
    }

    /// The function's type.
    pub fn signature(&self) -> &Arc<Signature> {
        &self.signature
    }
}

impl<T: 'static> Store<T> {
    /// Makes `function` a function of this store.
    pub fn add_host_function(&mut self, function: &HostFunction<T>) -> FuncHandle {
        let shape = &function.signature.shape;
        let code: unsafe extern "C" fn() = match (shape.stack_bytes, shape.uses_floats) {
            (0, false) => trampoline::host_stub::<false>,
            (0, true) => trampoline::host_stub::<true>,
            _ => trampoline::host_stub_stack,
        };
        let func_ref =
            VmFuncRef { code: code as *const u8, vmctx: std::ptr::null_mut(), type_id: function.signature.type_id };
        let mut entry = Box::new(HostFunctionEntry {
            context: VmHostFunction {
                magic: MAGIC_HOST,
                body: function.body as *const u8,
                stack_bytes: u64::from(shape.stack_bytes),
                data: function.data_address.cast_mut(),
                func_ref,
            },
            _data: function.data.clone(),
        });
        let context: *mut VmHostFunction = &mut entry.context;
        entry.context.func_ref.vmctx = context.cast();
        let func_ref = NonNull::from(&mut entry.context.func_ref);
        let inner = self.inner_mut();
        inner.host_functions.push(entry);
        inner.func_handle(func_ref)
    }
}

/// The store that a host function was called in, and by whom.
///
/// # Safety
///
/// `caller` must be the `vmctx` of an instance of a `Store<T>`, or that store's host context.
pub(crate) unsafe fn caller_of<'a, T>(caller: *mut u8) -> (&'a mut Store<T>, CallerInfo) {
    // SAFETY: by the caller's promise: a header whose store pointer is set, with the instance number before it.
    unsafe {
        let header = &*caller.cast::<wattest_abi::vmctx::VmHeader>();
        let number = *caller.cast::<u64>().sub(1);
        let store = &mut *(*header.store).owner.cast::<Store<T>>();
        (store, CallerInfo { instance: u32::try_from(number).ok().map(InstanceId) })
    }
}

impl StoreInner {
    /// Ends the running activation with an error.
    fn fail(&mut self, error: HostError) {
        let frames = activation::frames(self);
        self.pending = Some(Unwind::Host { error, frames });
    }
}

/// Runs `body` so that neither panic nor error leaves it: returns 1, or 0 with the reason recorded in the store.
pub(crate) fn guarded<T>(store: &mut Store<T>, body: impl FnOnce(&mut Store<T>) -> Result<(), HostError>) -> u32 {
    match catch_unwind(AssertUnwindSafe(|| body(store))) {
        Ok(Ok(())) => 1,
        Ok(Err(error)) => {
            let inner = store.inner_mut();
            match error.downcast::<Thrown>() {
                Ok(thrown) if thrown.store == inner.id() => inner.throw(thrown.exception),
                Ok(thrown) => inner.fail(thrown),
                Err(error) => inner.fail(error),
            }
            0
        }
        Err(payload) => {
            store.inner_mut().pending = Some(Unwind::Panic(payload));
            0
        }
    }
}

unsafe extern "C" fn typed_body<T, P, R, F>(
    function: *mut VmHostFunction,
    caller: *mut u8,
    registers: &mut Registers,
    stack: *const u8,
) -> u32
where
    P: WasmValues,
    R: WasmValues,
    F: Fn(&mut Store<T>, CallerInfo, P) -> Result<R, HostError>,
{
    let in_memory = const { results_in_memory(R::KINDS) };
    let locations = if in_memory { &P::PARAMS[1] } else { &P::PARAMS[0] };
    // SAFETY: the stub passes its own `VmHostFunction`, made by `add_host_function` for a store with data `T` from a
    // closure of type `F`, and the caller's `vmctx`.
    let (closure, (store, info)) = unsafe { (&*(*function).data.cast::<F>(), caller_of::<T>(caller)) };
    guarded(store, |store| {
        let mut slots = Slots { registers, stack: StackWords(stack.cast_mut().cast()) };
        // SAFETY: the signature has the kinds of `P`, so the caller has laid its arguments out by these locations.
        let params = P::read(locations, store.inner(), |location, wide| unsafe {
            if wide { slots.get_vector(location) } else { slots.get(location) }
        });
        let results_at = slots.registers.ints[2] as *mut u128;
        let results = closure(store, info, params)?;
        results.check(store.inner()).map_err(|error| Box::new(error) as HostError)?;
        if in_memory {
            let mut position = 0;
            results.write(&R::RESULTS, |_, bits, _| {
                // SAFETY: the caller passed a pointer with a slot per result.
                unsafe { results_at.add(position).write_unaligned(bits) };
                position += 1;
            });
        } else {
            // SAFETY: results in registers have no stack locations.
            results.write(&R::RESULTS, |location, bits, wide| unsafe { slots.set(location, bits, wide) });
        }
        Ok(())
    })
}

unsafe extern "C" fn dynamic_body<T, F>(
    function: *mut VmHostFunction,
    caller: *mut u8,
    registers: &mut Registers,
    stack: *const u8,
) -> u32
where
    F: Fn(&mut Store<T>, CallerInfo, &[Raw], &mut [Raw]) -> Result<(), HostError>,
{
    // SAFETY: as in `typed_body`, for a closure wrapped in `Dynamic`.
    let (data, (store, info)) = unsafe { (&*(*function).data.cast::<Dynamic<F>>(), caller_of::<T>(caller)) };
    let signature = &data.signature;
    guarded(store, |store| {
        let mut slots = Slots { registers, stack: StackWords(stack.cast_mut().cast()) };
        let values = signature.params.iter().zip(&signature.shape.params);
        // SAFETY: the caller has laid its arguments out by the signature's shape.
        let take = |kind, location| unsafe {
            if kind == wattest_abi::ValueKind::V128 { slots.get_vector(location) } else { slots.get(location) }
        };
        let mut params =
            values.map(|(kind, at)| Raw::from_bits(*kind, take(*kind, *at), store.inner())).collect::<Vec<_>>();
        if wattest_abi::mutant!(host_arguments_reversed) && params.len() > 1 && params[0].kind() == params[1].kind() {
            params.swap(0, 1);
        }
        let mut results =
            signature.results.iter().map(|kind| Raw::from_bits(*kind, 0, store.inner())).collect::<Vec<_>>();
        let results_at = slots.registers.ints[2] as *mut u128;
        (data.closure)(store, info, &params, &mut results)?;
        if wattest_abi::mutant!(host_second_result_lost) && results.len() > 1 && results[0].kind() == results[1].kind()
        {
            results[1] = results[0];
        }
        for (position, result) in results.iter().enumerate() {
            if result.kind() != signature.results[position] {
                return Err(Box::new(ResultMismatch { position }));
            }
            result.check(store.inner()).map_err(|error| Box::new(error) as HostError)?;
            match &signature.shape.results {
                // SAFETY: the caller passed a pointer with a slot per result.
                ResultShape::Memory => unsafe { results_at.add(position).write_unaligned(result.to_bits()) },
                ResultShape::Registers(locations) => write_result(&mut slots, locations[position], *result),
            }
        }
        Ok(())
    })
}

fn write_result(slots: &mut Slots<'_>, location: ArgLocation, result: Raw) {
    // SAFETY: results in registers have no stack locations.
    unsafe { slots.set(location, result.to_bits(), false) };
}

/// A dynamic host function left a result of the wrong kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host function returned a value of the wrong type as result {position}")]
pub struct ResultMismatch {
    /// Which result.
    pub position: usize,
}
