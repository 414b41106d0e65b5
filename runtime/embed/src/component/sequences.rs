//! Interface types of arrays and maps.
//!
//! A [list of a fixed length](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#type-definitions)
//! lies in place; a map is in memory a list of pairs.
//!
//! Invariant: pairs are lowered in the order of their keys. Of pairs with equal keys that a guest hands out, the last one
//! counts.
//!
//! Does not know: lists of any length.

use super::abi::{Abi, Checked, ComponentType, Lift, LiftCx, Lower, LowerCx, Ty, TypeCheck, TypeMismatch};
use super::typed::{read_slice, write_slice};
use crate::error::Result;
use std::collections::BTreeMap;
use wattest_canon::{Fault, LIST_BYTES_MAX, Type, locate_list};

impl<T: ComponentType, const N: usize> ComponentType for [T; N] {
    const ABI: [Abi; 2] = [Abi::array(T::ABI[0], N), Abi::array(T::ABI[1], N)];
    const TYPED: bool = T::TYPED;
    fn check(ty: &Checked, types: &TypeCheck<'_>) -> Result<(), TypeMismatch> {
        match types.get(ty.0) {
            Type::FixedList { element, count } if *count as usize == N => {
                T::check(&Checked(*element), types).map_err(|error| error.within("[]"))
            }
            _ => types.mismatch(format!("list of {N}"), ty.0),
        }
    }
}

impl<T: Lower, const N: usize> Lower for [T; N] {
    fn lower_flat(&self, cx: &mut LowerCx<'_>, ty: Ty, slots: &mut [u64]) -> Result<()> {
        let (element, flat) = (cx.member::<T>(ty, 0), T::ABI[cx.wide()].flat);
        // A type without core values has no chunks; nothing is written of it.
        let places = slots.chunks_exact_mut(flat.max(1));
        self.iter().zip(places).try_for_each(|(item, place)| item.lower_flat(cx, element, place))
    }
    fn lower_at(&self, cx: &mut LowerCx<'_>, ty: Ty, address: u64) -> Result<()> {
        let element = cx.member::<T>(ty, 0);
        T::lower_all(self, cx, element, address)
    }
}

/// What was lifted one by one, all of it.
fn whole<T, const N: usize>(items: Vec<T>) -> Result<[T; N]> {
    items.try_into().map_err(|_| Fault::SlotsMissing.into())
}

impl<T: Lift, const N: usize> Lift for [T; N] {
    fn lift_flat(cx: &mut LiftCx<'_>, ty: Ty, slots: &[u64]) -> Result<[T; N]> {
        let (element, flat) = (cx.member::<T>(ty, 0), T::ABI[cx.wide()].flat);
        let items = slots.chunks_exact(flat.max(1)).take(N).map(|place| T::lift_flat(cx, element, place));
        whole(items.collect::<Result<Vec<_>>>()?)
    }
    fn lift_at(cx: &mut LiftCx<'_>, ty: Ty, address: u64) -> Result<[T; N]> {
        let element = cx.member::<T>(ty, 0);
        whole(T::lift_all(cx, element, address, N)?)
    }
}

/// Layout of a pair, and where its value begins.
fn pair<K: ComponentType, V: ComponentType>(wide: usize) -> (Abi, u64) {
    let members = [K::ABI[wide], V::ABI[wide]];
    (Abi::fields(&members), u64::from(Abi::offset(&members, 1)))
}

impl<K: ComponentType, V: ComponentType> ComponentType for BTreeMap<K, V> {
    const ABI: [Abi; 2] = Abi::SLICE;
    const TYPED: bool = K::TYPED || V::TYPED;
    fn check(ty: &Checked, types: &TypeCheck<'_>) -> Result<(), TypeMismatch> {
        let Type::Map { key, value } = types.get(ty.0) else { return types.mismatch("map", ty.0) };
        K::check(&Checked(*key), types).map_err(|error| error.within("key"))?;
        V::check(&Checked(*value), types).map_err(|error| error.within("value"))
    }
}

fn lower_pairs<K: Lower, V: Lower>(map: &BTreeMap<K, V>, cx: &mut LowerCx<'_>, ty: Ty) -> Result<(u64, u64)> {
    let (abi, offset) = pair::<K, V>(cx.wide());
    let bytes = (map.len() as u64).checked_mul(u64::from(abi.size)).filter(|bytes| *bytes <= LIST_BYTES_MAX);
    let address = cx.allocate(bytes.ok_or(Fault::ListTooLong)?, abi.align)?;
    let (key_ty, value_ty) = (cx.member::<K>(ty, 0), cx.member::<V>(ty, 1));
    for (at, (key, value)) in (0..).zip(map) {
        let place = address + at * u64::from(abi.size);
        key.lower_at(cx, key_ty, place)?;
        value.lower_at(cx, value_ty, place + offset)?;
    }
    Ok((address, map.len() as u64))
}

impl<K: Lower, V: Lower> Lower for BTreeMap<K, V> {
    fn lower_flat(&self, cx: &mut LowerCx<'_>, ty: Ty, slots: &mut [u64]) -> Result<()> {
        let (address, length) = lower_pairs(self, cx, ty)?;
        slots[..2].copy_from_slice(&[address, length]);
        Ok(())
    }
    fn lower_at(&self, cx: &mut LowerCx<'_>, ty: Ty, address: u64) -> Result<()> {
        let (pairs, length) = lower_pairs(self, cx, ty)?;
        write_slice(cx, address, pairs, length)
    }
}

fn lift_pairs<K, V>(cx: &mut LiftCx<'_>, ty: Ty, (address, count): (u64, u64)) -> Result<BTreeMap<K, V>>
where
    K: Lift + Ord,
    V: Lift,
{
    let (abi, offset) = pair::<K, V>(cx.wide());
    let layout = wattest_canon::Layout { size: abi.size, align: abi.align };
    locate_list(cx.memory.len(), layout, address, count)?;
    cx.charge(count, size_of::<(K, V)>() as u64)?;
    let (key_ty, value_ty) = (cx.member::<K>(ty, 0), cx.member::<V>(ty, 1));
    let pairs = (0..count).map(|at| {
        let place = address + at * u64::from(abi.size);
        Ok((K::lift_at(cx, key_ty, place)?, V::lift_at(cx, value_ty, place + offset)?))
    });
    pairs.collect()
}

impl<K: Lift + Ord, V: Lift> Lift for BTreeMap<K, V> {
    fn lift_flat(cx: &mut LiftCx<'_>, ty: Ty, slots: &[u64]) -> Result<BTreeMap<K, V>> {
        let slice = cx.pointers(slots);
        lift_pairs(cx, ty, slice)
    }
    fn lift_at(cx: &mut LiftCx<'_>, ty: Ty, address: u64) -> Result<BTreeMap<K, V>> {
        let slice = read_slice(cx, address)?;
        lift_pairs(cx, ty, slice)
    }
}
