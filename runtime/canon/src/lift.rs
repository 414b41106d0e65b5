//! Lifting: core values and memory to [`Value`]s.
//!
//! [Loading](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading),
//! [flat lifting](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flat-lifting) and
//! [`lift_flat_values`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#lifting-and-lowering-values)
//! in one engine: a place is an address or a slot, and the only difference between them is how far apart members are.
//!
//! Invariant: nesting is kept on a stack of frames, never on the machine's; before host memory is taken for what a guest
//! claims to be there, the claim is checked against the memory's bounds and charged to the budget.
//!
//! Does not know: who owns the handles it passes on.

use crate::fault::Fault;
use crate::flatten::flatten_types;
use crate::layout::{align_to, tuple_layout};
use crate::memory::{Lift, Options, checked_range, load_bits, locate_list};
use crate::string::{Form, lift_string};
use crate::types::{Shape, TypeId, Types};
use crate::value::Value;
use smallvec::SmallVec;

/// Where a value is.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// In memory, at an address.
    Memory(u64),
    /// In core values, from a slot on.
    Slot(usize),
}

impl Place {
    /// A place further on, by bytes or by slots.
    pub(crate) fn after(self, bytes: u64, slots: usize) -> Place {
        match self {
            Place::Memory(address) => Place::Memory(address.saturating_add(bytes)),
            Place::Slot(slot) => Place::Slot(slot + slots),
        }
    }
}

/// An unfinished value.
enum Frame<'a> {
    Fields { members: &'a [TypeId], offsets: &'a [u32], base: Place, slots: usize, done: Vec<Value> },
    Elements { element: TypeId, count: usize, next: Place, done: Vec<Value> },
    Case { case: u32, payload: Option<(TypeId, Place)>, done: Option<Value> },
}

/// What stands at a place: a finished value or one with members.
enum Found<'a> {
    Value(Value),
    Frame(Frame<'a>),
}

struct Lifter<'a, C> {
    cx: &'a mut C,
    types: &'a Types,
    options: &'a Options,
    slots: &'a [u64],
    /// Bytes of host memory that may still be taken.
    left: u64,
}

/// Lifts values of `list` from core values, or from where they point when flattening makes more than `flat_max` of them.
/// Slots hold `i32` and `f32` in their low half; the upper half does not matter.
///
/// # Errors
/// A [`Fault`], or what [`Lift::lift_handle`] fails with.
pub fn lift_values<C: Lift>(
    cx: &mut C,
    types: &Types,
    options: &Options,
    flat_max: usize,
    list: &[TypeId],
    slots: &[u64],
) -> Result<Vec<Value>, C::Error> {
    let flat = flatten_types(types, list, options.width).filter(|flat| flat.len() <= flat_max);
    let mut lifter = Lifter { cx, types, options, slots, left: options.lift_bytes_max };
    lifter.charge(list.len() as u64, size_of::<Value>() as u64)?;
    let mut values = Vec::with_capacity(list.len());
    if flat.is_some() {
        let mut slot = 0;
        for ty in list {
            values.push(lifter.lift(*ty, Place::Slot(slot))?);
            slot += lifter.slots_of(*ty);
        }
        return Ok(values);
    }
    let address = options.width.address(*slots.first().ok_or(Fault::SlotsMissing)?);
    let mut offsets: SmallVec<[u32; 32]> = SmallVec::new();
    let members = list.iter().map(|ty| types.layout(*ty, options.width));
    let area = tuple_layout(members, |offset| offsets.push(offset)).map_err(|_| Fault::PointerOutOfBounds)?;
    check_area(lifter.cx.memory().len(), address, area.size, area.align)?;
    for (ty, offset) in list.iter().zip(offsets) {
        values.push(lifter.lift(*ty, Place::Memory(address + u64::from(offset)))?);
    }
    Ok(values)
}

/// Lifts one value from an address.
///
/// # Errors
/// A [`Fault`], or what [`Lift::lift_handle`] fails with.
pub fn lift_at<C: Lift>(
    cx: &mut C,
    types: &Types,
    options: &Options,
    ty: TypeId,
    address: u64,
) -> Result<Value, C::Error> {
    let layout = types.layout(ty, options.width);
    check_area(cx.memory().len(), address, layout.size, layout.align)?;
    let mut lifter = Lifter { cx, types, options, slots: &[], left: options.lift_bytes_max };
    lifter.lift(ty, Place::Memory(address))
}

/// Checks alignment, then bounds, of an area of parameters or results.
///
/// # Errors
/// [`Fault::Unaligned`], [`Fault::PointerOutOfBounds`].
pub fn check_area(memory_bytes: usize, address: u64, bytes: u32, align: u32) -> Result<(), Fault> {
    if address != align_to(address, align) {
        return Err(Fault::Unaligned);
    }
    checked_range(memory_bytes, address, u64::from(bytes)).map(|_| ()).ok_or(Fault::PointerOutOfBounds)
}

impl<'a, C: Lift> Lifter<'a, C> {
    fn lift(&mut self, ty: TypeId, place: Place) -> Result<Value, C::Error> {
        let mut frames: Vec<Frame<'a>> = Vec::new();
        let mut at = (ty, place);
        loop {
            let mut finished = match self.find(at.0, at.1)? {
                Found::Value(value) => Some(value),
                Found::Frame(frame) => {
                    frames.push(frame);
                    None
                }
            };
            at = loop {
                let Some(mut frame) = frames.pop() else {
                    // Only a finished value leaves no frame behind.
                    return finished.ok_or(Fault::SlotsMissing.into());
                };
                if let Some(value) = finished.take() {
                    frame.accept(value);
                }
                match self.next_member(&mut frame) {
                    Some(next) => {
                        frames.push(frame);
                        break next;
                    }
                    None => finished = Some(frame.finish()),
                }
            };
        }
    }

    fn next_member(&self, frame: &mut Frame<'a>) -> Option<(TypeId, Place)> {
        match frame {
            Frame::Fields { members, offsets, base, slots, done } => {
                let member = *members.get(done.len())?;
                let place = base.after(u64::from(*offsets.get(done.len())?), *slots);
                if matches!(base, Place::Slot(_)) {
                    *slots += self.slots_of(member);
                }
                Some((member, place))
            }
            Frame::Elements { element, count, next, done } => {
                if done.len() == *count {
                    return None;
                }
                let place = *next;
                *next = self.after_element(*element, place);
                Some((*element, place))
            }
            Frame::Case { payload, .. } => payload.take(),
        }
    }

    fn after_element(&self, element: TypeId, place: Place) -> Place {
        let bytes = self.types.layout(element, self.options.width).size;
        let slots = if matches!(place, Place::Slot(_)) { self.slots_of(element) } else { 0 };
        place.after(u64::from(bytes), slots)
    }

    fn find(&mut self, ty: TypeId, place: Place) -> Result<Found<'a>, C::Error> {
        let types = self.types;
        Ok(Found::Value(match types.shape(ty) {
            Shape::Scalar(scalar) => scalar.lift(self.read(place, scalar.bytes())?, self.options.nans)?,
            Shape::String => {
                let (address, length) = self.read_slice(place)?;
                let text = lift_string(self.cx.memory(), self.options, address, length, self.left)?;
                self.cx.string_lifted(Form::of(self.options, length));
                self.charge(text.len() as u64, 1)?;
                Value::String(text)
            }
            Shape::List(element) => return self.find_list(*element, place),
            Shape::Array { element, count } => return self.elements(*element, u64::from(*count), place),
            Shape::Fields(members) => {
                self.charge(members.len() as u64, size_of::<Value>() as u64)?;
                let offsets = types.field_offsets(ty, self.options.width);
                let done = Vec::with_capacity(members.len());
                return Ok(Found::Frame(Frame::Fields { members, offsets, base: place, slots: 0, done }));
            }
            Shape::Cases(payloads) => {
                let case = self.read_case(ty, place, payloads.len())?;
                let Some(payload) = payloads[case as usize] else { return Ok(Found::Value(Value::case(case))) };
                self.charge(1, size_of::<Value>() as u64)?;
                let offset = types.payload_offset(ty, self.options.width);
                let payload = Some((payload, place.after(u64::from(offset), 1)));
                return Ok(Found::Frame(Frame::Case { case, payload, done: None }));
            }
            Shape::Enum(cases) => Value::case(self.read_case(ty, place, *cases as usize)?),
            Shape::Flags(count) => {
                let bits = low_half(self.read(place, types.layout(ty, self.options.width).size)?);
                Value::Flags(bits & (u32::MAX >> (32 - count)))
            }
            Shape::Handle(kind) => {
                let index = low_half(self.read(place, 4)?);
                Value::Handle(self.cx.lift_handle(*kind, index)?)
            }
        }))
    }

    fn find_list(&mut self, element: TypeId, place: Place) -> Result<Found<'a>, C::Error> {
        let (address, count) = self.read_slice(place)?;
        let layout = self.types.layout(element, self.options.width);
        locate_list(self.cx.memory().len(), layout, address, count)?;
        self.elements(element, count, Place::Memory(address))
    }

    fn elements(&mut self, element: TypeId, count: u64, next: Place) -> Result<Found<'a>, C::Error> {
        self.charge(count, size_of::<Value>() as u64)?;
        let count = usize::try_from(count).map_err(|_| Fault::ListTooLong)?;
        let mut done = Vec::with_capacity(count);
        let (Shape::Scalar(scalar), Place::Memory(address)) = (self.types.shape(element), next) else {
            return Ok(Found::Frame(Frame::Elements { element, count, next, done }));
        };
        let bytes = scalar.bytes();
        let memory = self.cx.memory();
        for at in 0..count as u64 {
            let bits = load_bits(memory, address + at * u64::from(bytes), bytes).ok_or(Fault::ListOutOfBounds)?;
            done.push(scalar.lift(bits, self.options.nans)?);
        }
        Ok(Found::Value(Value::List(done)))
    }

    fn read_case(&self, ty: TypeId, place: Place, cases: usize) -> Result<u32, Fault> {
        let case = low_half(self.read(place, self.types.discriminant_bytes(ty))?);
        if (case as usize) < cases { Ok(case) } else { Err(Fault::Discriminant) }
    }

    fn read_slice(&self, place: Place) -> Result<(u64, u64), Fault> {
        let pointer_bytes = self.options.width.pointer_bytes();
        let pointer = self.read(place, pointer_bytes)?;
        let length = self.read(place.after(u64::from(pointer_bytes), 1), pointer_bytes)?;
        Ok((self.options.width.address(pointer), self.options.width.address(length)))
    }

    fn read(&self, place: Place, bytes: u32) -> Result<u64, Fault> {
        match place {
            Place::Memory(address) => load_bits(self.cx.memory(), address, bytes).ok_or(Fault::PointerOutOfBounds),
            Place::Slot(slot) => self.slots.get(slot).copied().ok_or(Fault::SlotsMissing),
        }
    }

    /// Slots of a type that lies in slots: then it has at most 16.
    fn slots_of(&self, ty: TypeId) -> usize {
        self.types.flat(ty, self.options.width).map_or(0, |flat| flat.len())
    }

    fn charge(&mut self, count: u64, bytes: u64) -> Result<(), Fault> {
        let cost = count.saturating_mul(bytes);
        self.left = self.left.checked_sub(cost).ok_or(Fault::ValueTooLarge(self.options.lift_bytes_max))?;
        Ok(())
    }
}

impl Frame<'_> {
    fn accept(&mut self, value: Value) {
        match self {
            Frame::Fields { done, .. } | Frame::Elements { done, .. } => done.push(value),
            Frame::Case { done, .. } => *done = Some(value),
        }
    }

    fn finish(self) -> Value {
        match self {
            Frame::Fields { done, .. } => Value::Record(done),
            Frame::Elements { done, .. } => Value::List(done),
            Frame::Case { case, done, .. } => Value::Variant { case, payload: done.map(Box::new) },
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "an i32 is the low half of its slot")]
const fn low_half(bits: u64) -> u32 {
    bits as u32
}
