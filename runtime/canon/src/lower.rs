//! Lowering: [`Value`]s to core values and memory.
//!
//! [Storing](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#storing),
//! [flat lowering](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flat-lowering) and
//! [`lower_flat_values`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#lifting-and-lowering-values).
//! Calls of `realloc`, and what is in memory when they are made, follow in the specification's order.
//!
//! Invariant: nesting is kept on a stack of frames; slots that a case does not use stay 0; padding is never written.
//!
//! Does not know: where values come from. A value of another type is [`Fault::Mismatch`], found when it is reached.

use crate::fault::Fault;
use crate::flatten::flatten_types;
use crate::layout::tuple_layout;
use crate::lift::{Place, check_area};
use crate::memory::{LIST_BYTES_MAX, Lower, Options, reallocate, store_bits};
use crate::scalar::Scalar;
use crate::string::{Form, StringSource, lower_string};
use crate::types::{Shape, TypeId, Types};
use crate::value::Value;
use smallvec::SmallVec;
use std::slice::Iter;

/// A value with members that are still to be stored.
enum Frame<'a> {
    Fields { members: &'a [TypeId], offsets: &'a [u32], values: Iter<'a, Value>, base: Place, slots: usize },
    Elements { element: TypeId, values: Iter<'a, Value>, next: Place, slice: Option<(Place, u64, u64)> },
}

struct Lowerer<'a, C> {
    cx: &'a mut C,
    types: &'a Types,
    options: &'a Options,
    slots: SmallVec<[u64; 16]>,
}

/// Lowers `values` of the types `list` and gives their core values. When flattening makes more than `flat_max` of them they
/// go to memory: to `out`, and there are no core values, or else to a fresh allocation, and the one core value is its
/// address.
///
/// # Errors
/// A [`Fault`], or what [`Lower::realloc`] and [`Lower::lower_handle`] fail with.
pub fn lower_values<C: Lower>(
    cx: &mut C,
    types: &Types,
    options: &Options,
    flat_max: usize,
    (list, values): (&[TypeId], &[Value]),
    out: Option<u64>,
) -> Result<SmallVec<[u64; 16]>, C::Error> {
    if let Some(ty) = list.get(values.len()).or(list.last()).filter(|_| list.len() != values.len()) {
        return Err(Fault::Mismatch(*ty).into());
    }
    let flat = flatten_types(types, list, options.width).filter(|flat| flat.len() <= flat_max);
    let slots = SmallVec::from_elem(0, flat.map_or(0, |flat| flat.len()));
    let mut lowerer = Lowerer { cx, types, options, slots };
    if flat.is_some() {
        let mut slot = 0;
        for (ty, value) in list.iter().zip(values) {
            lowerer.lower(*ty, Place::Slot(slot), value)?;
            slot += lowerer.slots_of(*ty);
        }
        return Ok(lowerer.slots);
    }
    let mut offsets: SmallVec<[u32; 32]> = SmallVec::new();
    let members = list.iter().map(|ty| types.layout(*ty, options.width));
    let area = tuple_layout(members, |offset| offsets.push(offset)).map_err(|_| Fault::PointerOutOfBounds)?;
    let address = match out {
        Some(address) => {
            let address = options.width.address(address);
            check_area(lowerer.cx.memory_mut().len(), address, area.size, area.align)?;
            address
        }
        None => reallocate(lowerer.cx, options.width, (0, 0), area.align, u64::from(area.size))?,
    };
    for ((ty, offset), value) in list.iter().zip(offsets).zip(values) {
        lowerer.lower(*ty, Place::Memory(address + u64::from(offset)), value)?;
    }
    Ok(if out.is_some() { SmallVec::new() } else { SmallVec::from_slice(&[address]) })
}

/// Lowers one value to an address.
///
/// # Errors
/// A [`Fault`], or what [`Lower::realloc`] and [`Lower::lower_handle`] fail with.
pub fn lower_at<C: Lower>(
    cx: &mut C,
    types: &Types,
    options: &Options,
    (ty, value): (TypeId, &Value),
    address: u64,
) -> Result<(), C::Error> {
    let layout = types.layout(ty, options.width);
    check_area(cx.memory_mut().len(), address, layout.size, layout.align)?;
    Lowerer { cx, types, options, slots: SmallVec::new() }.lower(ty, Place::Memory(address), value)
}

impl<'a, C: Lower> Lowerer<'a, C> {
    fn lower(&mut self, ty: TypeId, place: Place, value: &'a Value) -> Result<(), C::Error> {
        let mut frames: SmallVec<[Frame<'a>; 4]> = SmallVec::new();
        let mut at = Some((ty, place, value));
        loop {
            while let Some((ty, place, value)) = at {
                at = self.put(ty, place, value, &mut frames)?;
            }
            let Some(mut frame) = frames.pop() else { return Ok(()) };
            at = self.next_member(&mut frame);
            if at.is_some() {
                frames.push(frame);
            } else if let Frame::Elements { slice: Some((place, address, count)), .. } = frame {
                self.write_slice(place, address, count)?;
            }
        }
    }

    fn next_member(&self, frame: &mut Frame<'a>) -> Option<(TypeId, Place, &'a Value)> {
        match frame {
            Frame::Fields { members, offsets, values, base, slots } => {
                let value = values.next()?;
                let (member, rest) = members.split_first()?;
                let (offset, rest_offsets) = offsets.split_first()?;
                let place = base.after(u64::from(*offset), *slots);
                (*members, *offsets) = (rest, rest_offsets);
                if matches!(base, Place::Slot(_)) {
                    *slots += self.slots_of(*member);
                }
                Some((*member, place, value))
            }
            Frame::Elements { element, values, next, .. } => {
                let value = values.next()?;
                let place = *next;
                let bytes = self.types.layout(*element, self.options.width).size;
                let slots = if matches!(place, Place::Slot(_)) { self.slots_of(*element) } else { 0 };
                *next = place.after(u64::from(bytes), slots);
                Some((*element, place, value))
            }
        }
    }

    /// Stores what has no members, opens a frame for what has, and gives a payload back as the next thing to store.
    fn put(
        &mut self,
        ty: TypeId,
        place: Place,
        value: &'a Value,
        frames: &mut SmallVec<[Frame<'a>; 4]>,
    ) -> Result<Option<(TypeId, Place, &'a Value)>, C::Error> {
        let types = self.types;
        let mismatch = Fault::Mismatch(ty);
        match (types.shape(ty), value) {
            (Shape::Scalar(scalar), _) => {
                self.write(place, scalar.bytes(), scalar.lower(value, self.options.nans).ok_or(mismatch)?)?;
            }
            (Shape::String, Value::String(text)) => {
                let (address, length) = match self.cx.string_form() {
                    Form::Utf8 => lower_string(self.cx, self.options, StringSource::utf8(text.as_bytes()))?,
                    form => {
                        let bytes = form.encode(text);
                        lower_string(self.cx, self.options, StringSource { form, bytes: &bytes })?
                    }
                };
                self.write_slice(place, address, length)?;
            }
            (Shape::List(element), Value::List(values)) => self.put_list(*element, place, values, frames)?,
            (Shape::Array { element, count }, Value::List(values)) if values.len() == *count as usize => {
                frames.push(Frame::Elements { element: *element, values: values.iter(), next: place, slice: None });
            }
            (Shape::Fields(members), Value::Record(values)) if values.len() == members.len() => {
                let offsets = types.field_offsets(ty, self.options.width);
                frames.push(Frame::Fields { members, offsets, values: values.iter(), base: place, slots: 0 });
            }
            (Shape::Cases(payloads), Value::Variant { case, payload }) => {
                let expected = *payloads.get(*case as usize).ok_or(mismatch)?;
                self.write(place, types.discriminant_bytes(ty), u64::from(*case))?;
                let offset = types.payload_offset(ty, self.options.width);
                return match (expected, payload) {
                    (Some(ty), Some(value)) => Ok(Some((ty, place.after(u64::from(offset), 1), value.as_ref()))),
                    (None, None) => Ok(None),
                    _ => Err(mismatch.into()),
                };
            }
            (Shape::Enum(cases), Value::Variant { case, payload: None }) if case < cases => {
                self.write(place, types.discriminant_bytes(ty), u64::from(*case))?;
            }
            (Shape::Flags(count), Value::Flags(bits)) if u64::from(*bits) >> count == 0 => {
                self.write(place, types.layout(ty, self.options.width).size, u64::from(*bits))?;
            }
            (Shape::Handle(kind), Value::Handle(token)) => {
                let index = self.cx.lower_handle(*kind, *token)?;
                self.write(place, 4, u64::from(index))?;
            }
            _ => return Err(mismatch.into()),
        }
        Ok(None)
    }

    fn put_list(
        &mut self,
        element: TypeId,
        place: Place,
        values: &'a [Value],
        frames: &mut SmallVec<[Frame<'a>; 4]>,
    ) -> Result<(), C::Error> {
        let layout = self.types.layout(element, self.options.width);
        // A list that came from a narrower memory may have doubled.
        let bytes = (values.len() as u64).checked_mul(u64::from(layout.size));
        let bytes = bytes.filter(|bytes| *bytes <= 2 * LIST_BYTES_MAX).ok_or(Fault::ListTooLong)?;
        let address = reallocate(self.cx, self.options.width, (0, 0), layout.align, bytes)?;
        let count = values.len() as u64;
        if let Shape::Scalar(scalar) = self.types.shape(element) {
            self.put_scalars(*scalar, element, address, values)?;
            return self.write_slice(place, address, count).map_err(C::Error::from);
        }
        let slice = Some((place, address, count));
        frames.push(Frame::Elements { element, values: values.iter(), next: Place::Memory(address), slice });
        Ok(())
    }

    fn put_scalars(&mut self, scalar: Scalar, ty: TypeId, address: u64, values: &[Value]) -> Result<(), Fault> {
        let (bytes, nans) = (scalar.bytes(), self.options.nans);
        let memory = self.cx.memory_mut();
        let mut next = address;
        for value in values {
            let bits = scalar.lower(value, nans).ok_or(Fault::Mismatch(ty))?;
            store_bits(memory, next, bytes, bits).ok_or(Fault::ReallocOutOfBounds)?;
            next += u64::from(bytes);
        }
        Ok(())
    }

    fn write_slice(&mut self, place: Place, address: u64, length: u64) -> Result<(), Fault> {
        let pointer_bytes = self.options.width.pointer_bytes();
        self.write(place, pointer_bytes, address)?;
        self.write(place.after(u64::from(pointer_bytes), 1), pointer_bytes, length)
    }

    fn write(&mut self, place: Place, bytes: u32, bits: u64) -> Result<(), Fault> {
        match place {
            Place::Memory(address) => {
                store_bits(self.cx.memory_mut(), address, bytes, bits).ok_or(Fault::PointerOutOfBounds)
            }
            Place::Slot(slot) => {
                *self.slots.get_mut(slot).ok_or(Fault::SlotsMissing)? = bits;
                Ok(())
            }
        }
    }

    /// Slots of a type that lies in slots: then it has at most 16.
    fn slots_of(&self, ty: TypeId) -> usize {
        self.types.flat(ty, self.options.width).map_or(0, |flat| flat.len())
    }
}
