//! Calls from the host, typed and dynamic.
//!
//! Both lay arguments out by the function's shape and enter through the universal trampoline
//! ([spec](https://webassembly.github.io/spec/core/exec/modules.html#invocation)). The typed form is monomorphized, so
//! that it compiles to the moves its signature needs.
//!
//! Invariant: arguments are checked against the function's own type before anything is called.
//!
//! Does not know: the embedder's value type.

use crate::func::FuncHandle;
use crate::store::StoreInner;
use crate::sys::trampoline::Registers;
use crate::trap::CallFailure;
use crate::types::Signature;
use crate::value::{RESULT_SLOTS_MAX, Raw, Slots, StackWords, TypedHandle, WasmValues};
use wattest_abi::call::results_in_memory;
use wattest_abi::{ArgLocation, ResultShape};

/// Why a call was not made or did not return.
pub enum CallError {
    /// The function or a reference among the arguments belongs to another store.
    WrongStore,
    /// The arguments do not fit the function's type.
    Mismatch,
    /// The computation did not return.
    Failed(CallFailure),
}

impl From<crate::store::WrongStore> for CallError {
    fn from(_: crate::store::WrongStore) -> CallError {
        CallError::WrongStore
    }
}

/// Words of stack arguments that a typed call can have: seventeen vectors.
const STACK_WORDS_MAX: usize = 34;

impl StoreInner {
    /// Calls a typed function.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    #[inline]
    pub fn call_typed<P: WasmValues, R: WasmValues>(
        &mut self,
        func: TypedHandle<P, R>,
        params: P,
    ) -> Result<R, CallError> {
        params.check(self)?;
        let in_memory = const { results_in_memory(R::KINDS) };
        let locations = if in_memory { &P::PARAMS[1] } else { &P::PARAMS[0] };
        let mut registers = Registers::default();
        if !in_memory && locations.stack_bytes == 0 {
            return self.call_in_registers(func, params, &mut registers);
        }
        let mut stack = [0u64; STACK_WORDS_MAX];
        let mut results = [0u128; RESULT_SLOTS_MAX];
        let mut slots = Slots { registers: &mut registers, stack: StackWords(stack.as_mut_ptr()) };
        // SAFETY: `locations` are those of `P`, whose stack words fit in `stack`.
        params.write(locations, |location, bits, wide| unsafe { slots.set(location, bits, wide) });
        if in_memory {
            registers.ints[2] = results.as_mut_ptr() as u64;
        }
        let words = &stack[..locations.stack_bytes as usize / 8];
        let floats = const { P::PARAMS[0].uses_floats || R::RESULTS.uses_floats };
        // SAFETY: the handle's type was compared with `P` and `R`, by whose shapes registers and stack are laid out;
        // the result slots are enough for seventeen results.
        let ended = unsafe {
            if floats {
                self.call::<true>(func.func, &mut registers, words)?
            } else {
                self.call::<false>(func.func, &mut registers, words)?
            }
        };
        ended.map_err(CallError::Failed)?;
        if in_memory {
            let mut next = results.iter();
            return Ok(R::read(&R::RESULTS, self, |_, _| next.next().copied().unwrap_or(0)));
        }
        let slots = Slots { registers: &mut registers, stack: StackWords(std::ptr::null_mut()) };
        // SAFETY: results in registers have no stack locations.
        Ok(R::read(&R::RESULTS, self, |location, _| unsafe { slots.get(location) }))
    }

    /// The usual case of [`StoreInner::call_typed`]: nothing lies on the stack or in memory.
    #[inline(always)]
    fn call_in_registers<P: WasmValues, R: WasmValues>(
        &mut self,
        func: TypedHandle<P, R>,
        params: P,
        registers: &mut Registers,
    ) -> Result<R, CallError> {
        let mut slots = Slots { registers, stack: StackWords(std::ptr::null_mut()) };
        // SAFETY: the caller has checked that no parameter lies on the stack.
        params.write(&P::PARAMS[0], |location, bits, wide| unsafe { slots.set(location, bits, wide) });
        let floats = const { P::PARAMS[0].uses_floats || R::RESULTS.uses_floats };
        // SAFETY: the handle's type was compared with `P` and `R`, by whose shapes the registers are laid out.
        let ended = unsafe {
            if floats {
                self.call::<true>(func.func, slots.registers, &[])?
            } else {
                self.call::<false>(func.func, slots.registers, &[])?
            }
        };
        ended.map_err(CallError::Failed)?;
        // SAFETY: results in registers have no stack locations, and `enter` has written the registers.
        Ok(R::read(&R::RESULTS, self, |location, _| unsafe { slots.get(location) }))
    }

    /// Calls a function with arguments checked at run time. `signature` must be the function's own.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn call_dynamic(
        &mut self,
        func: FuncHandle,
        signature: &Signature,
        params: &[Raw],
        results: &mut [Raw],
    ) -> Result<(), CallError> {
        let fits = self.func_type_id(func)? == signature.type_id
            && params.iter().map(|value| value.kind()).eq(signature.params.iter().copied())
            && results.len() == signature.results.len();
        if !fits {
            return Err(CallError::Mismatch);
        }
        params.iter().try_for_each(|value| value.check(self))?;
        let shape = &signature.shape;
        let mut registers = Registers::default();
        let mut stack = vec![0u64; shape.stack_bytes as usize / 8];
        let mut slots = Slots { registers: &mut registers, stack: StackWords(stack.as_mut_ptr()) };
        for (value, location) in params.iter().zip(&shape.params) {
            if wattest_abi::mutant!(argument_of_the_stack_lost) && *location == ArgLocation::Stack(0) {
                continue;
            }
            // SAFETY: the locations are those of the signature's shape, whose stack words `stack` has.
            unsafe { slots.set(*location, value.to_bits(), matches!(value, Raw::V128(_))) };
        }
        let in_memory = shape.results == ResultShape::Memory;
        let mut slots_in_memory = vec![0u128; if in_memory { results.len() } else { 0 }];
        if in_memory {
            registers.ints[2] = slots_in_memory.as_mut_ptr() as u64;
        }
        // SAFETY: laid out by the function's own shape, with one slot per result in memory.
        let ended = unsafe {
            if shape.uses_floats {
                self.call::<true>(func, &mut registers, &stack)?
            } else {
                self.call::<false>(func, &mut registers, &stack)?
            }
        };
        ended.map_err(CallError::Failed)?;
        for (position, result) in results.iter_mut().enumerate() {
            let bits = match &shape.results {
                ResultShape::Memory => slots_in_memory[position],
                ResultShape::Registers(locations) => match locations[position] {
                    ArgLocation::Int(number) => u128::from(registers.ints[number as usize]),
                    // SAFETY: a float result means that the shape uses floats, so `enter` has written the registers.
                    ArgLocation::Float(number) => unsafe { registers.floats[number as usize].assume_init() },
                    ArgLocation::Stack(_) => unreachable!("results in registers have no stack locations"),
                },
            };
            *result = Raw::from_bits(signature.results[position], bits, self);
        }
        Ok(())
    }
}
