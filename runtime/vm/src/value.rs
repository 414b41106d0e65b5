//! WebAssembly values on their way through a call.
//!
//! [`Raw`] is any value, for calls whose type is known only at run time; [`WasmValue`] and [`WasmValues`] are values
//! whose type is known at compile time, so that reading and writing registers folds to plain moves.
//!
//! Invariant: a value is written to, and read from, the location that `wattest_abi::call` gives its kind.
//!
//! Does not know: function types.

use crate::func::FuncHandle;
use crate::store::{StoreInner, WrongStore};
use crate::sys::trampoline::Registers;
use std::ptr::NonNull;
use wattest_abi::call::{ConstShape, RESULT_SLOT_BYTES};
use wattest_abi::vmctx::VmFuncRef;
use wattest_abi::{ArgLocation, ValueKind};

/// Any value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw {
    /// 32-bit integer.
    I32(u32),
    /// 64-bit integer.
    I64(u64),
    /// 32-bit float, as bits.
    F32(u32),
    /// 64-bit float, as bits.
    F64(u64),
    /// Vector.
    V128(u128),
    /// Function reference.
    Func(Option<FuncHandle>),
    /// Any other reference; 0 is null.
    Ref(u32),
}

impl Raw {
    /// The value's kind.
    pub fn kind(self) -> ValueKind {
        match self {
            Raw::I32(_) => ValueKind::I32,
            Raw::I64(_) => ValueKind::I64,
            Raw::F32(_) => ValueKind::F32,
            Raw::F64(_) => ValueKind::F64,
            Raw::V128(_) => ValueKind::V128,
            Raw::Func(_) => ValueKind::FuncRef,
            Raw::Ref(_) => ValueKind::Ref,
        }
    }

    /// The bits of the value in a register or slot.
    pub(crate) fn to_bits(self) -> u128 {
        match self {
            Raw::I32(bits) | Raw::F32(bits) | Raw::Ref(bits) => u128::from(bits),
            Raw::I64(bits) | Raw::F64(bits) => u128::from(bits),
            Raw::V128(bits) => bits,
            Raw::Func(func) => func.map_or(0, |func| u128::from(func.to_raw())),
        }
    }

    /// The value of `kind` with the given bits, which compiled code of `store` or this crate has produced.
    pub(crate) fn from_bits(kind: ValueKind, bits: u128, store: &StoreInner) -> Raw {
        match kind {
            ValueKind::I32 => Raw::I32(bits as u32),
            ValueKind::I64 => Raw::I64(bits as u64),
            ValueKind::F32 => Raw::F32(bits as u32),
            ValueKind::F64 => Raw::F64(bits as u64),
            ValueKind::V128 => Raw::V128(bits),
            ValueKind::FuncRef => {
                Raw::Func(NonNull::new(bits as usize as *mut VmFuncRef).map(|func_ref| store.func_handle(func_ref)))
            }
            ValueKind::Ref => Raw::Ref(bits as u32),
        }
    }

    /// Checks that a reference belongs to `store`.
    pub(crate) fn check(self, store: &StoreInner) -> Result<(), WrongStore> {
        match self {
            Raw::Func(Some(func)) => store.check(func.store),
            _ => Ok(()),
        }
    }
}

/// Registers, stack arguments and result slots of one call, seen from either side.
pub(crate) struct Slots<'a> {
    pub registers: &'a mut Registers,
    /// Stack arguments, word by word.
    pub stack: StackWords,
}

/// The stack arguments of a call.
#[derive(Clone, Copy)]
pub(crate) struct StackWords(pub *mut u64);

impl Slots<'_> {
    /// # Safety
    ///
    /// A stack location must lie within the stack arguments; a float register must have been written, here or by
    /// [`enter`](crate::sys::trampoline::enter).
    #[inline(always)]
    pub unsafe fn get(&self, location: ArgLocation) -> u128 {
        match location {
            ArgLocation::Int(number) => u128::from(self.registers.ints[number as usize]),
            // SAFETY: by the caller's promise.
            ArgLocation::Float(number) => unsafe { self.registers.floats[number as usize].assume_init() },
            // SAFETY: by the caller's promise; a vector's location is two words, of which a scalar uses the first.
            ArgLocation::Stack(offset) => unsafe {
                let word = self.stack.0.add(offset as usize / 8);
                u128::from(word.read())
            },
        }
    }

    /// # Safety
    ///
    /// As [`Slots::get`], for a location of a vector.
    #[inline(always)]
    pub unsafe fn get_vector(&self, location: ArgLocation) -> u128 {
        match location {
            // SAFETY: by the caller's promise.
            ArgLocation::Stack(offset) => unsafe {
                self.stack.0.add(offset as usize / 8).cast::<u128>().read_unaligned()
            },
            // SAFETY: by the caller's promise.
            other => unsafe { self.get(other) },
        }
    }

    /// # Safety
    ///
    /// As [`Slots::get`]; `wide` says that the location is a vector's.
    #[inline(always)]
    pub unsafe fn set(&mut self, location: ArgLocation, bits: u128, wide: bool) {
        match location {
            ArgLocation::Int(number) => self.registers.ints[number as usize] = bits as u64,
            ArgLocation::Float(number) => {
                self.registers.floats[number as usize].write(bits);
            }
            // SAFETY: by the caller's promise.
            ArgLocation::Stack(offset) => unsafe {
                let word = self.stack.0.add(offset as usize / 8);
                if wide { word.cast::<u128>().write_unaligned(bits) } else { word.write(bits as u64) }
            },
        }
    }
}

/// A type of Rust value that is a WebAssembly value.
pub trait WasmValue: Copy {
    /// Its kind.
    const KIND: ValueKind;

    /// Checks that a reference belongs to `store`.
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    #[inline(always)]
    fn check(self, store: &StoreInner) -> Result<(), WrongStore> {
        let _ = store;
        Ok(())
    }

    /// Its bits in a register or slot.
    fn to_bits(self) -> u128;

    /// The value with these bits, as produced by compiled code of `store`.
    fn from_bits(bits: u128, store: &StoreInner) -> Self;
}

macro_rules! scalar_values {
    ($($ty:ty, $kind:ident, $to:expr, $from:expr;)*) => {
        $(
            impl WasmValue for $ty {
                const KIND: ValueKind = ValueKind::$kind;
                #[inline(always)]
                fn to_bits(self) -> u128 {
                    let to: fn($ty) -> u128 = $to;
                    to(self)
                }
                #[inline(always)]
                fn from_bits(bits: u128, _store: &StoreInner) -> $ty {
                    let from: fn(u128) -> $ty = $from;
                    from(bits)
                }
            }
        )*
    };
}
scalar_values! {
    i32, I32, |value| value as u32 as u128, |bits| bits as i32;
    u32, I32, |value| value as u128, |bits| bits as u32;
    i64, I64, |value| value as u64 as u128, |bits| bits as i64;
    u64, I64, |value| value as u128, |bits| bits as u64;
    f32, F32, |value| value.to_bits() as u128, |bits| f32::from_bits(bits as u32);
    f64, F64, |value| value.to_bits() as u128, |bits| f64::from_bits(bits as u64);
}

/// A 128-bit vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct V128(pub u128);

impl WasmValue for V128 {
    const KIND: ValueKind = ValueKind::V128;
    #[inline(always)]
    fn to_bits(self) -> u128 {
        self.0
    }
    #[inline(always)]
    fn from_bits(bits: u128, _store: &StoreInner) -> V128 {
        V128(bits)
    }
}

impl WasmValue for Option<FuncHandle> {
    const KIND: ValueKind = ValueKind::FuncRef;
    #[inline(always)]
    fn check(self, store: &StoreInner) -> Result<(), WrongStore> {
        self.map_or(Ok(()), |func| store.check(func.store))
    }
    #[inline(always)]
    fn to_bits(self) -> u128 {
        self.map_or(0, |func| u128::from(func.to_raw()))
    }
    #[inline(always)]
    fn from_bits(bits: u128, store: &StoreInner) -> Option<FuncHandle> {
        NonNull::new(bits as usize as *mut VmFuncRef).map(|func_ref| store.func_handle(func_ref))
    }
}

/// A reference that is no function; 0 is null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RawRef(pub u32);

impl WasmValue for RawRef {
    const KIND: ValueKind = ValueKind::Ref;
    #[inline(always)]
    fn to_bits(self) -> u128 {
        u128::from(self.0)
    }
    #[inline(always)]
    fn from_bits(bits: u128, _store: &StoreInner) -> RawRef {
        RawRef(bits as u32)
    }
}

/// Values in memory while a call returns more than fits in registers.
pub(crate) const RESULT_SLOTS_MAX: usize = 17;
const _: () = assert!(RESULT_SLOT_BYTES as usize == size_of::<u128>());

/// A list of values whose types are known at compile time: `()`, or a tuple of up to seventeen.
pub trait WasmValues: Copy {
    /// Kinds, in order.
    const KINDS: &'static [ValueKind];

    /// Locations as parameters, for results in registers and in memory.
    const PARAMS: [Locations; 2];
    /// Locations as results in registers.
    const RESULTS: Locations;

    /// Checks references.
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    fn check(self, store: &StoreInner) -> Result<(), WrongStore>;

    /// Hands every value's bits to `put`, with its location and kind.
    fn write(self, locations: &Locations, put: impl FnMut(ArgLocation, u128, bool));

    /// Takes every value's bits from `take`, by location.
    fn read(locations: &Locations, store: &StoreInner, take: impl FnMut(ArgLocation, bool) -> u128) -> Self;
}

/// Locations of up to seventeen values.
pub type Locations = ConstShape<17>;

const fn pad<const N: usize>(kinds: &[ValueKind; N]) -> [ValueKind; 17] {
    let mut padded = [ValueKind::I32; 17];
    let mut position = 0;
    while position < N {
        padded[position] = kinds[position];
        position += 1;
    }
    padded
}

/// Cuts the padding's share off: `stack_bytes` and `uses_floats` of the first `N` locations only.
const fn exact<const N: usize>(kinds: &[ValueKind; N], first: Assign) -> Locations {
    let exact = match first {
        Assign::Params { results_in_memory } => ConstShape::<N>::params(*kinds, results_in_memory),
        Assign::Results => ConstShape::<N>::results(*kinds),
    };
    let mut all = ConstShape::<17>::params(pad(kinds), false);
    let mut position = 0;
    while position < N {
        all.locations[position] = exact.locations[position];
        position += 1;
    }
    all.stack_bytes = exact.stack_bytes;
    all.uses_floats = exact.uses_floats;
    all
}

enum Assign {
    Params { results_in_memory: bool },
    Results,
}

macro_rules! tuple_values {
    ($($name:ident $position:tt),*) => {
        impl<$($name: WasmValue),*> WasmValues for ($($name,)*) {
            const KINDS: &'static [ValueKind] = &[$($name::KIND),*];
            const PARAMS: [Locations; 2] = [
                exact(&[$($name::KIND),*], Assign::Params { results_in_memory: false }),
                exact(&[$($name::KIND),*], Assign::Params { results_in_memory: true }),
            ];
            const RESULTS: Locations = exact(&[$($name::KIND),*], Assign::Results);

            #[inline(always)]
            fn check(self, _store: &StoreInner) -> Result<(), WrongStore> {
                $(self.$position.check(_store)?;)*
                Ok(())
            }

            #[inline(always)]
            fn write(self, _locations: &Locations, mut _put: impl FnMut(ArgLocation, u128, bool)) {
                $(_put(
                    _locations.locations[$position],
                    self.$position.to_bits(),
                    matches!($name::KIND, ValueKind::V128),
                );)*
            }

            #[inline(always)]
            #[allow(clippy::unused_unit, reason = "the empty list's value is the unit")]
            fn read(
                _locations: &Locations,
                _store: &StoreInner,
                mut _take: impl FnMut(ArgLocation, bool) -> u128,
            ) -> Self {
                ($($name::from_bits(
                    _take(_locations.locations[$position], matches!($name::KIND, ValueKind::V128)),
                    _store,
                ),)*)
            }
        }
    };
}
tuple_values!();
tuple_values!(A 0);
tuple_values!(A 0, B 1);
tuple_values!(A 0, B 1, C 2);
tuple_values!(A 0, B 1, C 2, D 3);
tuple_values!(A 0, B 1, C 2, D 3, E 4);
tuple_values!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple_values!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple_values!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuple_values!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuple_values!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuple_values!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuple_values!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
tuple_values!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12);
tuple_values!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13);
tuple_values!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14);
tuple_values!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15);
tuple_values!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16);

/// A function whose type has been compared with `P` and `R`.
#[derive(Debug)]
pub struct TypedHandle<P, R> {
    pub(crate) func: FuncHandle,
    types: std::marker::PhantomData<fn(P) -> R>,
}

impl<P, R> Clone for TypedHandle<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, R> Copy for TypedHandle<P, R> {}

impl<P: WasmValues, R: WasmValues> TypedHandle<P, R> {
    /// The handle, if `func` has exactly these kinds of parameters and results by `signature`, which must be its own.
    pub fn new(func: FuncHandle, store: &StoreInner, signature: &crate::types::Signature) -> Option<TypedHandle<P, R>> {
        let same = store.func_type_id(func) == Ok(signature.type_id)
            && signature.params == P::KINDS
            && signature.results == R::KINDS;
        same.then_some(TypedHandle { func, types: std::marker::PhantomData })
    }

    /// The function.
    pub fn func(self) -> FuncHandle {
        self.func
    }
}
