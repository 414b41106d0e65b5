//! Interface types of Rust's own types.
//!
//! Scalars, strings, lists, options, results and tuples
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#type-definitions)).
//!
//! Invariant: numbers and lists of them are copied as bytes, never one value at a time through something dynamic.
//!
//! Does not know: records, variants, enums and flags: those are derived.

use super::abi::{
    Abi, CheckFn, Checked, ComponentType, Lift, LiftCx, Lower, LowerCx, Ty, TypeCheck, TypeMismatch, member,
};
use crate::error::Result;
use std::sync::Arc;
use wattest_canon::{
    Fault, LIST_BYTES_MAX, Scalar, Type, TypeId, canonicalize_nan_32, canonicalize_nan_64, char_from_bits, lift_string,
    locate_list,
};

macro_rules! numbers {
    ($($ty:ty, $scalar:ident, $bytes:literal, $to:expr, $from:expr;)*) => {
        $(
            impl ComponentType for $ty {
                const ABI: [Abi; 2] = [Abi::scalar($bytes); 2];
                fn check(ty: &Checked, types: &TypeCheck<'_>) -> Result<(), TypeMismatch> {
                    scalar(Scalar::$scalar, ty.0, types)
                }
            }

            #[allow(clippy::cast_lossless, clippy::cast_sign_loss, clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "core values are two's complement")]
            impl Lower for $ty {
                #[inline]
                fn lower_flat(&self, _cx: &mut LowerCx<'_>, _ty: Ty, slots: &mut [u64]) -> Result<()> {
                    const TO: fn($ty) -> u64 = $to;
                    slots[0] = TO(*self);
                    Ok(())
                }
                #[inline]
                fn lower_at(&self, cx: &mut LowerCx<'_>, _ty: Ty, address: u64) -> Result<()> {
                    const TO: fn($ty) -> u64 = $to;
                    cx.write(address, &TO(*self).to_le_bytes()[..$bytes])
                }
                fn lower_all(items: &[$ty], cx: &mut LowerCx<'_>, _ty: Ty, address: u64) -> Result<()> {
                    const TO: fn($ty) -> u64 = $to;
                    let room = cx.room(address, items.len() as u64 * $bytes)?;
                    for (place, item) in room.as_chunks_mut::<$bytes>().0.iter_mut().zip(items) {
                        place.copy_from_slice(&TO(*item).to_le_bytes()[..$bytes]);
                    }
                    Ok(())
                }
            }

            #[allow(clippy::cast_lossless, clippy::cast_sign_loss, clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "lifting takes the low bits")]
            impl Lift for $ty {
                #[inline]
                fn lift_flat(_cx: &mut LiftCx<'_>, _ty: Ty, slots: &[u64]) -> Result<$ty> {
                    const FROM: fn(u64) -> Result<$ty, Fault> = $from;
                    Ok(FROM(slots[0])?)
                }
                #[inline]
                fn lift_at(cx: &mut LiftCx<'_>, _ty: Ty, address: u64) -> Result<$ty> {
                    const FROM: fn(u64) -> Result<$ty, Fault> = $from;
                    let mut bits = [0; 8];
                    bits[..$bytes].copy_from_slice(&cx.read::<$bytes>(address)?);
                    Ok(FROM(u64::from_le_bytes(bits))?)
                }
                fn lift_all(cx: &mut LiftCx<'_>, _ty: Ty, address: u64, count: usize) -> Result<Vec<$ty>> {
                    const FROM: fn(u64) -> Result<$ty, Fault> = $from;
                    cx.charge(count as u64, size_of::<$ty>() as u64)?;
                    let bytes = locate_list(cx.memory.len(), layout($bytes), address, count as u64)?;
                    let items = cx.memory[bytes].as_chunks::<$bytes>().0.iter();
                    let items = items.map(|item| {
                        let mut bits = [0; 8];
                        bits[..$bytes].copy_from_slice(item);
                        FROM(u64::from_le_bytes(bits))
                    });
                    Ok(items.collect::<Result<_, Fault>>()?)
                }
            }
        )*
    };
}

const fn layout(bytes: u32) -> wattest_canon::Layout {
    wattest_canon::Layout::word(bytes)
}

fn scalar(scalar: Scalar, ty: TypeId, types: &TypeCheck<'_>) -> Result<(), TypeMismatch> {
    if *types.get(ty) == Type::Scalar(scalar) {
        return Ok(());
    }
    types.mismatch(super::types::scalar_text(scalar), ty)
}

numbers! {
    bool, Bool, 1, |value| value as u64, |bits| Ok(bits as u32 != 0);
    i8, S8, 1, |value| value as i32 as u32 as u64, |bits| Ok(bits as i8);
    i16, S16, 2, |value| value as i32 as u32 as u64, |bits| Ok(bits as i16);
    u16, U16, 2, |value| value as u64, |bits| Ok(bits as u16);
    i32, S32, 4, |value| value as u32 as u64, |bits| Ok(bits as i32);
    u32, U32, 4, |value| value as u64, |bits| Ok(bits as u32);
    i64, S64, 8, |value| value as u64, |bits| Ok(bits as i64);
    u64, U64, 8, |value| value, Ok;
    f32, F32, 4, |value| canonicalize_nan_32(value.to_bits()) as u64, |bits| Ok(f32::from_bits(canonicalize_nan_32(bits as u32)));
    f64, F64, 8, |value| canonicalize_nan_64(value.to_bits()), |bits| Ok(f64::from_bits(canonicalize_nan_64(bits)));
    char, Char, 4, |value| value as u64, |bits| char_from_bits(bits as u32);
}

impl ComponentType for u8 {
    const ABI: [Abi; 2] = [Abi::scalar(1); 2];
    fn check(ty: &Checked, types: &TypeCheck<'_>) -> Result<(), TypeMismatch> {
        scalar(Scalar::U8, ty.0, types)
    }
}

impl Lower for u8 {
    #[inline]
    fn lower_flat(&self, _cx: &mut LowerCx<'_>, _ty: Ty, slots: &mut [u64]) -> Result<()> {
        slots[0] = u64::from(*self);
        Ok(())
    }
    #[inline]
    fn lower_at(&self, cx: &mut LowerCx<'_>, _ty: Ty, address: u64) -> Result<()> {
        cx.write(address, &[*self])
    }
    fn lower_all(items: &[u8], cx: &mut LowerCx<'_>, _ty: Ty, address: u64) -> Result<()> {
        cx.write(address, items)
    }
}

impl Lift for u8 {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "lifting takes the low bits")]
    fn lift_flat(_cx: &mut LiftCx<'_>, _ty: Ty, slots: &[u64]) -> Result<u8> {
        Ok(slots[0] as u8)
    }
    #[inline]
    fn lift_at(cx: &mut LiftCx<'_>, _ty: Ty, address: u64) -> Result<u8> {
        Ok(cx.read::<1>(address)?[0])
    }
    fn lift_all(cx: &mut LiftCx<'_>, _ty: Ty, address: u64, count: usize) -> Result<Vec<u8>> {
        cx.charge(count as u64, 1)?;
        let bytes = locate_list(cx.memory.len(), layout(1), address, count as u64)?;
        Ok(cx.memory[bytes].to_vec())
    }
}

impl ComponentType for str {
    const ABI: [Abi; 2] = Abi::SLICE;
    fn check(ty: &Checked, types: &TypeCheck<'_>) -> Result<(), TypeMismatch> {
        if *types.get(ty.0) == Type::String { Ok(()) } else { types.mismatch("string", ty.0) }
    }
}

impl Lower for str {
    fn lower_flat(&self, cx: &mut LowerCx<'_>, _ty: Ty, slots: &mut [u64]) -> Result<()> {
        let (address, length) = cx.lower_text(self)?;
        slots[..2].copy_from_slice(&[address, length]);
        Ok(())
    }
    fn lower_at(&self, cx: &mut LowerCx<'_>, _ty: Ty, address: u64) -> Result<()> {
        let (text, length) = cx.lower_text(self)?;
        write_slice(cx, address, text, length)
    }
}

pub(crate) fn write_slice(cx: &mut LowerCx<'_>, address: u64, pointer: u64, length: u64) -> Result<()> {
    let step = u64::from(cx.options.canon.width.pointer_bytes());
    cx.write_pointer(address, pointer)?;
    cx.write_pointer(address + step, length)
}

pub(crate) fn read_slice(cx: &LiftCx<'_>, address: u64) -> Result<(u64, u64)> {
    let step = u64::from(cx.options.canon.width.pointer_bytes());
    Ok((cx.read_pointer(address)?, cx.read_pointer(address.saturating_add(step))?))
}

fn lift_text(cx: &mut LiftCx<'_>, (address, length): (u64, u64)) -> Result<String> {
    let text = lift_string(cx.memory, &cx.options.canon, address, length, cx.left)?;
    cx.charge(text.len() as u64, 1)?;
    Ok(text.into_string())
}

impl Lift for String {
    fn lift_flat(cx: &mut LiftCx<'_>, _ty: Ty, slots: &[u64]) -> Result<String> {
        let slice = cx.pointers(slots);
        lift_text(cx, slice)
    }
    fn lift_at(cx: &mut LiftCx<'_>, _ty: Ty, address: u64) -> Result<String> {
        let slice = read_slice(cx, address)?;
        lift_text(cx, slice)
    }
}

impl<T: ComponentType> ComponentType for [T] {
    const ABI: [Abi; 2] = Abi::SLICE;
    const TYPED: bool = T::TYPED;
    fn check(ty: &Checked, types: &TypeCheck<'_>) -> Result<(), TypeMismatch> {
        match types.get(ty.0) {
            Type::List(element) => T::check(&Checked(*element), types).map_err(|error| error.within("[]")),
            _ => types.mismatch("list", ty.0),
        }
    }
}

fn lower_list<T: Lower>(items: &[T], cx: &mut LowerCx<'_>, ty: Ty) -> Result<(u64, u64)> {
    let abi = T::ABI[cx.wide()];
    let bytes = (items.len() as u64).checked_mul(u64::from(abi.size)).filter(|bytes| *bytes <= LIST_BYTES_MAX);
    let address = cx.allocate(bytes.ok_or(Fault::ListTooLong)?, abi.align)?;
    let element = cx.member::<T>(ty, 0);
    T::lower_all(items, cx, element, address)?;
    Ok((address, items.len() as u64))
}

impl<T: Lower> Lower for [T] {
    fn lower_flat(&self, cx: &mut LowerCx<'_>, ty: Ty, slots: &mut [u64]) -> Result<()> {
        let (address, length) = lower_list(self, cx, ty)?;
        slots[..2].copy_from_slice(&[address, length]);
        Ok(())
    }
    fn lower_at(&self, cx: &mut LowerCx<'_>, ty: Ty, address: u64) -> Result<()> {
        let (list, length) = lower_list(self, cx, ty)?;
        write_slice(cx, address, list, length)
    }
}

fn lift_list<T: Lift>(cx: &mut LiftCx<'_>, ty: Ty, (address, count): (u64, u64)) -> Result<Vec<T>> {
    let abi = T::ABI[cx.wide()];
    let layout = wattest_canon::Layout { size: abi.size, align: abi.align };
    locate_list(cx.memory.len(), layout, address, count)?;
    let element = cx.member::<T>(ty, 0);
    T::lift_all(cx, element, address, usize::try_from(count).map_err(|_| Fault::ListTooLong)?)
}

impl<T: Lift> Lift for Vec<T> {
    fn lift_flat(cx: &mut LiftCx<'_>, ty: Ty, slots: &[u64]) -> Result<Vec<T>> {
        let slice = cx.pointers(slots);
        lift_list(cx, ty, slice)
    }
    fn lift_at(cx: &mut LiftCx<'_>, ty: Ty, address: u64) -> Result<Vec<T>> {
        let slice = read_slice(cx, address)?;
        lift_list(cx, ty, slice)
    }
}

/// Types that are written as what they refer to.
macro_rules! references {
    ($([$($params:tt)*] $ty:ty => $target:ty;)*) => {
        $(
            impl<$($params)*> ComponentType for $ty where $target: ComponentType {
                const ABI: [Abi; 2] = <$target as ComponentType>::ABI;
                const TYPED: bool = <$target as ComponentType>::TYPED;
                fn check(ty: &Checked, types: &TypeCheck<'_>) -> Result<(), TypeMismatch> {
                    <$target as ComponentType>::check(ty, types)
                }
            }
            impl<$($params)*> Lower for $ty where $target: Lower {
                fn lower_flat(&self, cx: &mut LowerCx<'_>, ty: Ty, slots: &mut [u64]) -> Result<()> {
                    let target: &$target = self;
                    target.lower_flat(cx, ty, slots)
                }
                fn lower_at(&self, cx: &mut LowerCx<'_>, ty: Ty, address: u64) -> Result<()> {
                    let target: &$target = self;
                    target.lower_at(cx, ty, address)
                }
            }
        )*
    };
}
references! {
    ['a, T: ?Sized] &'a T => T;
    [T: ?Sized] Box<T> => T;
    [T: ?Sized] Arc<T> => T;
    [] String => str;
    [T] Vec<T> => [T];
}

/// Lifting to what is boxed: recursion in Rust types, and unsized ones.
macro_rules! boxed {
    ($($ty:ty => $source:ty;)*) => {
        $(
            impl Lift for $ty {
                fn lift_flat(cx: &mut LiftCx<'_>, ty: Ty, slots: &[u64]) -> Result<$ty> {
                    Ok(<$source>::lift_flat(cx, ty, slots)?.into())
                }
                fn lift_at(cx: &mut LiftCx<'_>, ty: Ty, address: u64) -> Result<$ty> {
                    Ok(<$source>::lift_at(cx, ty, address)?.into())
                }
            }
        )*
    };
}
boxed! {
    Box<str> => String;
    Arc<str> => String;
}

impl<T: Lift> Lift for Box<T> {
    fn lift_flat(cx: &mut LiftCx<'_>, ty: Ty, slots: &[u64]) -> Result<Box<T>> {
        T::lift_flat(cx, ty, slots).map(Box::new)
    }
    fn lift_at(cx: &mut LiftCx<'_>, ty: Ty, address: u64) -> Result<Box<T>> {
        T::lift_at(cx, ty, address).map(Box::new)
    }
}

impl<T: ComponentType> ComponentType for Option<T> {
    const ABI: [Abi; 2] = [Abi::cases(&[Abi::EMPTY, T::ABI[0]]), Abi::cases(&[Abi::EMPTY, T::ABI[1]])];
    const TYPED: bool = T::TYPED;
    fn check(ty: &Checked, types: &TypeCheck<'_>) -> Result<(), TypeMismatch> {
        match types.get(ty.0) {
            Type::Option(some) => T::check(&Checked(*some), types).map_err(|error| error.within("some")),
            _ => types.mismatch("option", ty.0),
        }
    }
}

/// Where the payload of a variant of two cases begins.
fn payload_offset(wide: usize, a: [Abi; 2], b: [Abi; 2]) -> u64 {
    u64::from(Abi::payload_offset(&[a[wide], b[wide]]))
}

impl<T: Lower> Lower for Option<T> {
    fn lower_flat(&self, cx: &mut LowerCx<'_>, ty: Ty, slots: &mut [u64]) -> Result<()> {
        slots.fill(0);
        let Some(some) = self else { return Ok(()) };
        slots[0] = 1;
        let some_ty = cx.member::<T>(ty, 0);
        some.lower_flat(cx, some_ty, &mut slots[1..])
    }
    fn lower_at(&self, cx: &mut LowerCx<'_>, ty: Ty, address: u64) -> Result<()> {
        cx.write(address, &[u8::from(self.is_some())])?;
        let Some(some) = self else { return Ok(()) };
        let (some_ty, offset) = (cx.member::<T>(ty, 0), payload_offset(cx.wide(), [Abi::EMPTY; 2], T::ABI));
        some.lower_at(cx, some_ty, address + offset)
    }
}

impl<T: Lift> Lift for Option<T> {
    fn lift_flat(cx: &mut LiftCx<'_>, ty: Ty, slots: &[u64]) -> Result<Option<T>> {
        match LiftCx::discriminant(slots[0], 2)? {
            0 => Ok(None),
            _ => T::lift_flat(cx, member::<T>(cx.statics, ty, 0), &slots[1..=T::ABI[cx.wide()].flat]).map(Some),
        }
    }
    fn lift_at(cx: &mut LiftCx<'_>, ty: Ty, address: u64) -> Result<Option<T>> {
        match cx.read_discriminant(address, 2)? {
            0 => Ok(None),
            _ => {
                let offset = payload_offset(cx.wide(), [Abi::EMPTY; 2], T::ABI);
                T::lift_at(cx, member::<T>(cx.statics, ty, 0), address + offset).map(Some)
            }
        }
    }
}

impl<T: ComponentType, E: ComponentType> ComponentType for Result<T, E> {
    const ABI: [Abi; 2] = [Abi::cases(&[T::ABI[0], E::ABI[0]]), Abi::cases(&[T::ABI[1], E::ABI[1]])];
    const TYPED: bool = T::TYPED || E::TYPED;
    fn check(ty: &Checked, types: &TypeCheck<'_>) -> Result<(), TypeMismatch> {
        let Type::Result { ok, err } = types.get(ty.0) else { return types.mismatch("result", ty.0) };
        payload::<T>(*ok, ty, types).map_err(|error| error.within("ok"))?;
        payload::<E>(*err, ty, types).map_err(|error| error.within("err"))
    }
}

/// The unit stands for a payload that is not there.
fn payload<T: ComponentType>(found: Option<TypeId>, ty: &Checked, types: &TypeCheck<'_>) -> Result<(), TypeMismatch> {
    match found {
        Some(found) => T::check(&Checked(found), types),
        None if T::ABI[0] == Abi::EMPTY => Ok(()),
        None => types.mismatch("result with a payload", ty.0),
    }
}

impl<T: Lower, E: Lower> Lower for Result<T, E> {
    fn lower_flat(&self, cx: &mut LowerCx<'_>, ty: Ty, slots: &mut [u64]) -> Result<()> {
        slots.fill(0);
        let wide = cx.wide();
        match self {
            Ok(ok) => ok.lower_flat(cx, member::<T>(cx.statics, ty, 0), &mut slots[1..=T::ABI[wide].flat]),
            Err(err) => {
                slots[0] = 1;
                err.lower_flat(cx, member::<E>(cx.statics, ty, 1), &mut slots[1..=E::ABI[wide].flat])
            }
        }
    }
    fn lower_at(&self, cx: &mut LowerCx<'_>, ty: Ty, address: u64) -> Result<()> {
        cx.write(address, &[u8::from(self.is_err())])?;
        let address = address + payload_offset(cx.wide(), T::ABI, E::ABI);
        match self {
            Ok(ok) => ok.lower_at(cx, member::<T>(cx.statics, ty, 0), address),
            Err(err) => err.lower_at(cx, member::<E>(cx.statics, ty, 1), address),
        }
    }
}

impl<T: Lift, E: Lift> Lift for Result<T, E> {
    fn lift_flat(cx: &mut LiftCx<'_>, ty: Ty, slots: &[u64]) -> Result<Result<T, E>> {
        let wide = cx.wide();
        Ok(match LiftCx::discriminant(slots[0], 2)? {
            0 => Ok(T::lift_flat(cx, member::<T>(cx.statics, ty, 0), &slots[1..=T::ABI[wide].flat])?),
            _ => Err(E::lift_flat(cx, member::<E>(cx.statics, ty, 1), &slots[1..=E::ABI[wide].flat])?),
        })
    }
    fn lift_at(cx: &mut LiftCx<'_>, ty: Ty, address: u64) -> Result<Result<T, E>> {
        let found = cx.read_discriminant(address, 2)?;
        let address = address + payload_offset(cx.wide(), T::ABI, E::ABI);
        Ok(if found == 0 {
            Ok(T::lift_at(cx, member::<T>(cx.statics, ty, 0), address)?)
        } else {
            Err(E::lift_at(cx, member::<E>(cx.statics, ty, 1), address)?)
        })
    }
}

/// A parameter list or a result: `()`, `(A,)`, `(A, B)` …
pub trait ComponentList: ComponentType {
    /// How many.
    #[doc(hidden)]
    const LENGTH: usize;
    /// Checks of the members.
    #[doc(hidden)]
    const CHECKS: &'static [CheckFn];
}

macro_rules! tuples {
    ($(($($name:ident $at:tt),*))*) => {
        $(
            impl<$($name: ComponentType),*> ComponentType for ($($name,)*) {
                const ABI: [Abi; 2] = [Abi::fields(&[$($name::ABI[0]),*]), Abi::fields(&[$($name::ABI[1]),*])];
                const TYPED: bool = false $(|| $name::TYPED)*;
                fn check(ty: &Checked, types: &TypeCheck<'_>) -> Result<(), TypeMismatch> {
                    match types.get(ty.0) {
                        Type::Tuple(members) if members.len() == Self::LENGTH => {
                            let mut members = members.iter().zip(Self::CHECKS).enumerate();
                            members.try_for_each(|(at, (member, check))| {
                                check(&Checked(*member), types).map_err(|error| error.within(at.to_string()))
                            })
                        }
                        _ => types.mismatch(format!("tuple of {}", Self::LENGTH), ty.0),
                    }
                }
            }

            impl<$($name: ComponentType),*> ComponentList for ($($name,)*) {
                const LENGTH: usize = [$($at),*].len();
                const CHECKS: &'static [CheckFn] = &[$($name::check),*];
            }

            impl<$($name: Lower),*> Lower for ($($name,)*) {
                #[inline]
                #[allow(unused, reason = "the empty tuple has no members")]
                fn lower_flat(&self, cx: &mut LowerCx<'_>, ty: Ty, slots: &mut [u64]) -> Result<()> {
                    let (wide, mut slots) = (cx.wide(), slots);
                    $(
                        let (here, rest) = slots.split_at_mut($name::ABI[wide].flat);
                        self.$at.lower_flat(cx, member::<$name>(cx.statics, ty, $at), here)?;
                        slots = rest;
                    )*
                    Ok(())
                }
                #[inline]
                #[allow(unused, reason = "the empty tuple has no members")]
                fn lower_at(&self, cx: &mut LowerCx<'_>, ty: Ty, address: u64) -> Result<()> {
                    let members: [Abi; [$($at),*].len()] = if cx.wide() == 0 { [$($name::ABI[0]),*] } else { [$($name::ABI[1]),*] };
                    $(self.$at.lower_at(cx, member::<$name>(cx.statics, ty, $at), address + u64::from(Abi::offset(&members, $at)))?;)*
                    Ok(())
                }
            }

            impl<$($name: Lift),*> Lift for ($($name,)*) {
                #[inline]
                #[allow(unused, clippy::unused_unit, reason = "the empty tuple has no members")]
                fn lift_flat(cx: &mut LiftCx<'_>, ty: Ty, slots: &[u64]) -> Result<Self> {
                    let (wide, mut slots) = (cx.wide(), slots);
                    Ok(($({
                        let (here, rest) = slots.split_at($name::ABI[wide].flat);
                        slots = rest;
                        $name::lift_flat(cx, member::<$name>(cx.statics, ty, $at), here)?
                    },)*))
                }
                #[inline]
                #[allow(unused, clippy::unused_unit, reason = "the empty tuple has no members")]
                fn lift_at(cx: &mut LiftCx<'_>, ty: Ty, address: u64) -> Result<Self> {
                    let members: [Abi; [$($at),*].len()] = if cx.wide() == 0 { [$($name::ABI[0]),*] } else { [$($name::ABI[1]),*] };
                    Ok(($($name::lift_at(cx, member::<$name>(cx.statics, ty, $at), address + u64::from(Abi::offset(&members, $at)))?,)*))
                }
            }
        )*
    };
}
tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15)
}

impl ComponentType for () {
    const ABI: [Abi; 2] = [Abi::EMPTY; 2];
    fn check(ty: &Checked, types: &TypeCheck<'_>) -> Result<(), TypeMismatch> {
        types.mismatch("nothing", ty.0)
    }
}

impl ComponentList for () {
    const LENGTH: usize = 0;
    const CHECKS: &'static [CheckFn] = &[];
}

impl Lower for () {
    #[inline]
    fn lower_flat(&self, _cx: &mut LowerCx<'_>, _ty: Ty, _slots: &mut [u64]) -> Result<()> {
        Ok(())
    }
    #[inline]
    fn lower_at(&self, _cx: &mut LowerCx<'_>, _ty: Ty, _address: u64) -> Result<()> {
        Ok(())
    }
}

impl Lift for () {
    #[inline]
    fn lift_flat(_cx: &mut LiftCx<'_>, _ty: Ty, _slots: &[u64]) -> Result<()> {
        Ok(())
    }
    #[inline]
    fn lift_at(_cx: &mut LiftCx<'_>, _ty: Ty, _address: u64) -> Result<()> {
        Ok(())
    }
}
