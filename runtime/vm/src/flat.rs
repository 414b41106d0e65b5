//! Calls whose values are 64-bit slots: those of the canonical ABI.
//!
//! A component function's core signature has at most seventeen parameters and one result, all of them numbers
//! ([flattening](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flattening)); a slot holds
//! one of them, `i32` and `f32` in its low half. One call and one host function body serve all such signatures.
//!
//! Invariant: a [`FlatFunc`] was compared with its signature when it was made, so a call only compares stores; slots that a
//! signature does not use are not looked at.
//!
//! Does not know: interface types, what a slot means.

use crate::call::CallError;
use crate::func::FuncHandle;
use crate::host::{CallerInfo, HostFunction, caller_of, guarded};
use crate::store::{MemoryHandle, Store, StoreInner, WrongStore};
use crate::sys::trampoline::Registers;
use crate::trap::HostError;
use crate::types::Signature;
use crate::value::{Slots, StackWords};
use std::sync::Arc;
use wattest_abi::vmctx::VmHostFunction;
use wattest_abi::{ResultShape, ValueKind};

/// How many slots a call has.
pub const FLAT_SLOTS: usize = 17;
/// Parameters of a call, and then its results.
pub type FlatSlots = [u64; FLAT_SLOTS];

/// A function that takes and returns slots.
#[derive(Clone, Debug)]
pub struct FlatFunc {
    func: FuncHandle,
    signature: Arc<Signature>,
}

/// Whether all values of a signature are numbers and fit the slots.
fn is_flat(signature: &Signature) -> bool {
    let number = |kind: &ValueKind| matches!(kind, ValueKind::I32 | ValueKind::I64 | ValueKind::F32 | ValueKind::F64);
    signature.params.len() <= FLAT_SLOTS
        && signature.params.iter().chain(&signature.results).all(number)
        && matches!(&signature.shape.results, ResultShape::Registers(results) if results.len() <= 1)
}

/// The bits of a slot that its kind has.
fn mask(kind: ValueKind, bits: u64) -> u64 {
    match kind {
        ValueKind::I32 | ValueKind::F32 => bits & 0xffff_ffff,
        _ => bits,
    }
}

impl FlatFunc {
    /// `func` with its signature; `None` when the signature is not its own, or has values that are no numbers or too many.
    pub fn new(func: FuncHandle, store: &StoreInner, signature: Arc<Signature>) -> Option<FlatFunc> {
        let own = store.func_type_id(func) == Ok(signature.type_id);
        (own && is_flat(&signature)).then_some(FlatFunc { func, signature })
    }

    /// The function.
    pub fn func(&self) -> FuncHandle {
        self.func
    }

    /// Its signature.
    pub fn signature(&self) -> &Arc<Signature> {
        &self.signature
    }
}

impl StoreInner {
    /// Calls a function with the parameters in `slots`; its result, if it has one, is then the first of them.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    #[inline]
    pub fn call_flat(&mut self, func: &FlatFunc, slots: &mut FlatSlots) -> Result<(), CallError> {
        let shape = &func.signature.shape;
        let mut registers = Registers::default();
        // Sixteen parameters in two registers' shadow: what does not fit the registers is at most this many words.
        let mut room;
        let stack: &mut [u64] = if shape.stack_bytes == 0 {
            &mut []
        } else {
            room = [0u64; FLAT_SLOTS + 1];
            &mut room[..shape.stack_bytes as usize / 8]
        };
        let mut places = Slots { registers: &mut registers, stack: StackWords(stack.as_mut_ptr()) };
        for (value, location) in slots.iter().zip(&shape.params) {
            // SAFETY: the locations are those of the function's own shape, and each of at most seventeen numbers takes at
            // most one of the stack's words.
            unsafe { places.set(*location, u128::from(*value), false) };
        }
        let words = &*stack;
        // SAFETY: registers and stack are laid out by the function's own shape, which has no references and returns in
        // registers.
        let ended = unsafe {
            if shape.uses_floats {
                self.call::<true>(func.func, &mut registers, words)?
            } else {
                self.call::<false>(func.func, &mut registers, words)?
            }
        };
        ended.map_err(CallError::Failed)?;
        if let (ResultShape::Registers(results), Some(kind)) = (&shape.results, func.signature.results.first()) {
            let places = Slots { registers: &mut registers, stack: StackWords(std::ptr::null_mut()) };
            // SAFETY: results in registers have no stack locations, and `enter` has written those of the shape.
            slots[0] = mask(*kind, unsafe { places.get(results[0]) } as u64);
        }
        Ok(())
    }
}

struct Flat<F> {
    signature: Arc<Signature>,
    closure: F,
}

impl<T: 'static> HostFunction<T> {
    /// A host function of slots: the closure finds the parameters in them and leaves the result in the first. `None` for a
    /// signature that has values that are no numbers, or too many.
    pub fn flat<F>(signature: Arc<Signature>, closure: F) -> Option<HostFunction<T>>
    where
        F: Fn(&mut Store<T>, CallerInfo, &mut FlatSlots) -> Result<(), HostError> + Send + Sync + 'static,
    {
        if !is_flat(&signature) {
            return None;
        }
        let data = Flat { signature: signature.clone(), closure };
        Some(HostFunction::new(signature, flat_body::<T, F>, Arc::new(data)))
    }
}

unsafe extern "C" fn flat_body<T, F>(
    function: *mut VmHostFunction,
    caller: *mut u8,
    registers: &mut Registers,
    stack: *const u8,
) -> u32
where
    F: Fn(&mut Store<T>, CallerInfo, &mut FlatSlots) -> Result<(), HostError>,
{
    // SAFETY: as in `typed_body`, for a closure wrapped in `Flat`.
    let (data, (store, info)) = unsafe { (&*(*function).data.cast::<Flat<F>>(), caller_of::<T>(caller)) };
    let signature = &data.signature;
    guarded(store, |store| {
        let mut places = Slots { registers, stack: StackWords(stack.cast_mut().cast()) };
        let mut slots = [0u64; FLAT_SLOTS];
        for ((slot, kind), location) in slots.iter_mut().zip(&signature.params).zip(&signature.shape.params) {
            // SAFETY: the caller has laid its arguments out by the signature's shape.
            *slot = mask(*kind, unsafe { places.get(*location) } as u64);
        }
        (data.closure)(store, info, &mut slots)?;
        if let (ResultShape::Registers(results), Some(kind)) = (&signature.shape.results, signature.results.first()) {
            // SAFETY: results in registers have no stack locations.
            unsafe { places.set(results[0], u128::from(mask(*kind, slots[0])), false) };
        }
        Ok(())
    })
}

/// The bytes of two memories, to read the one and write the other.
#[derive(Debug)]
pub enum MemoryPair<'a> {
    /// They are one memory.
    Same(&'a mut [u8]),
    /// They are two.
    Two(&'a [u8], &'a mut [u8]),
}

impl StoreInner {
    /// The bytes of two memories, which may be one. Shared memories are empty, as in [`StoreInner::memory_bytes`].
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    pub fn memory_pair_mut(&mut self, from: MemoryHandle, to: MemoryHandle) -> Result<MemoryPair<'_>, WrongStore> {
        let source = self.memory_bytes(from)?;
        let (base, length) = (source.as_ptr(), source.len());
        let target = self.memory_bytes_mut(to)?;
        if length == 0 {
            return Ok(MemoryPair::Two(&[], target));
        }
        let (start, end) = (base as usize, base as usize + length);
        let (other_start, other_end) = (target.as_ptr() as usize, target.as_ptr() as usize + target.len());
        if start < other_end && other_start < end {
            return Ok(MemoryPair::Same(target));
        }
        // SAFETY: both ranges are accessible memories of this store, which stays borrowed; they were just compared and do
        // not overlap.
        Ok(MemoryPair::Two(unsafe { std::slice::from_raw_parts(base, length) }, target))
    }
}
