//! Lifting: from core values and memory to component values.
//!
//! [Loading](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading) and
//! [flat lifting](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flat-lifting), a whole
//! tree at a time.
//!
//! Invariant: memory is read inside its bounds, which were checked before, or the call traps; recursion follows types,
//! whose depth is bounded.
//!
//! Does not know: who wants the values.

use super::calls::Evaluation;
use super::sizes::{Layout, align_to, discriminant_bytes};
use super::state::{ComponentInstanceId, Options};
use super::types::{Kind, ResourceId, Type, flatten, flatten_variant};
use super::value::{Encoding, Form, Handle, Text, Val};
use crate::error::{Failure, TrapClass};
use crate::types::ValType as Core;
use crate::value::Value;

/// More bytes than this no string or list may have.
pub(crate) const BYTES_MAX: u64 = (1 << 28) - 1;

/// In whose memory and table values are lifted and lowered.
pub(crate) struct Context<'c> {
    pub(crate) inst: ComponentInstanceId,
    pub(crate) options: &'c Options,
    /// The task that owns borrowed handles that are lowered.
    pub(crate) task: Option<usize>,
    /// Handles that were lent while lifting.
    pub(crate) lent: Vec<(ComponentInstanceId, u32)>,
}

impl<'c> Context<'c> {
    pub(crate) fn new(inst: ComponentInstanceId, options: &'c Options) -> Context<'c> {
        Context { inst, options, task: None, lent: Vec::new() }
    }

    pub(crate) fn layout(&self, ty: &Type) -> Layout {
        ty.layout(self.options.is64)
    }

    pub(crate) fn pointer_bytes(&self) -> u64 {
        if self.options.is64 { 8 } else { 4 }
    }

    /// The bit that says that a length counts two-byte units.
    pub(crate) fn tag(&self) -> u64 {
        1 << (8 * self.pointer_bytes() - 1)
    }
}

/// Core values one after the other.
pub(crate) struct Flat<'v> {
    values: &'v [Value],
    at: usize,
}

impl<'v> Flat<'v> {
    pub(crate) fn new(values: &'v [Value]) -> Flat<'v> {
        Flat { values, at: 0 }
    }

    /// The bits of the next one, read as `want`, which may be narrower than the joined type it was passed as.
    pub(crate) fn next(&mut self, want: Core) -> u64 {
        let bits = match self.values.get(self.at) {
            Some(Value::I32(bits) | Value::F32(bits)) => u64::from(*bits),
            Some(Value::I64(bits) | Value::F64(bits)) => *bits,
            _ => 0,
        };
        self.at += 1;
        match want {
            Core::I32 | Core::F32 => bits & u64::from(u32::MAX),
            _ => bits,
        }
    }

    pub(crate) fn pointer(&mut self, is64: bool) -> u64 {
        self.next(if is64 { Core::I64 } else { Core::I32 })
    }
}

fn character(bits: u64) -> Result<Val, Failure> {
    let code = u32::try_from(bits).ok().and_then(char::from_u32);
    code.map(Val::Char).ok_or_else(|| Failure::trap(TrapClass::InvalidChar))
}

impl Evaluation<'_> {
    /// Values of `types` from core values, or from the memory that the only one points to when there would be more than
    /// `max`.
    pub(crate) fn lift_values(
        &mut self,
        cx: &mut Context<'_>,
        flat: &mut Flat<'_>,
        types: &[Type],
        max: usize,
    ) -> Result<Vec<Val>, Failure> {
        let is64 = cx.options.is64;
        if flatten(types, is64).len() <= max {
            return types.iter().map(|ty| self.lift_flat(cx, flat, ty)).collect();
        }
        let layout = Layout::record(types.iter().map(|ty| cx.layout(ty)));
        let pointer = flat.pointer(is64);
        self.check_range(cx, pointer, layout.align, layout.size)?;
        self.load_fields(cx, pointer, types.iter())
    }

    /// Traps unless `size` bytes at an aligned `pointer` are inside the memory.
    pub(crate) fn check_range(&self, cx: &Context<'_>, pointer: u64, align: u64, size: u64) -> Result<(), Failure> {
        if !pointer.is_multiple_of(align) {
            return Err(Failure::trap(TrapClass::UnalignedPointer));
        }
        let memory = cx.options.memory.map_or(0, |memory| self.store.memory(memory).bytes.len() as u64);
        match pointer.checked_add(size).is_some_and(|end| end <= memory) {
            true => Ok(()),
            false => Err(Failure::trap(TrapClass::PointerOutOfBounds)),
        }
    }

    fn bytes(&self, cx: &Context<'_>, pointer: u64, count: u64) -> &[u8] {
        let Some(memory) = cx.options.memory else { return &[] };
        let (start, end) = (pointer as usize, pointer.saturating_add(count) as usize);
        self.store.memory(memory).bytes.get(start..end).unwrap_or(&[])
    }

    fn load_int(&self, cx: &Context<'_>, pointer: u64, count: u64) -> u64 {
        let mut raw = [0; 8];
        let bytes = self.bytes(cx, pointer, count);
        raw[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(raw)
    }

    fn load(&mut self, cx: &mut Context<'_>, pointer: u64, ty: &Type) -> Result<Val, Failure> {
        self.shared.lock().spend_values(1)?;
        let size = cx.layout(ty).size;
        let width = cx.pointer_bytes();
        Ok(match ty.kind() {
            Kind::String => {
                let (start, units) = (self.load_int(cx, pointer, width), self.load_int(cx, pointer + width, width));
                self.load_string(cx, start, units)?
            }
            Kind::List(element) => {
                let (start, length) = (self.load_int(cx, pointer, width), self.load_int(cx, pointer + width, width));
                self.load_list(cx, start, length, element)?
            }
            Kind::FixedList(element, length) => self.load_elements(cx, pointer, u64::from(*length), element)?,
            Kind::Record(fields) => Val::Record(self.load_fields(cx, pointer, fields.iter().map(|(_, ty)| ty))?),
            Kind::Variant(cases) => {
                let discriminant = discriminant_bytes(cases.len());
                let case = self.load_int(cx, pointer, discriminant);
                let payload = payload_of(cases, case)?;
                let align = cases.iter().filter_map(|(_, ty)| Some(cx.layout(ty.as_ref()?).align)).max().unwrap_or(1);
                let at = align_to(pointer + discriminant, align);
                let payload = payload.map(|ty| self.load(cx, at, ty).map(Box::new)).transpose()?;
                Val::Variant(case as u32, payload)
            }
            kind => {
                let bits = self.load_int(cx, pointer, size);
                self.scalar(cx, kind, bits)?
            }
        })
    }

    fn load_fields<'t>(
        &mut self,
        cx: &mut Context<'_>,
        mut pointer: u64,
        types: impl Iterator<Item = &'t Type>,
    ) -> Result<Vec<Val>, Failure> {
        let mut values = Vec::new();
        for ty in types {
            let layout = cx.layout(ty);
            pointer = align_to(pointer, layout.align);
            values.push(self.load(cx, pointer, ty)?);
            pointer += layout.size;
        }
        Ok(values)
    }

    fn load_list(&mut self, cx: &mut Context<'_>, start: u64, length: u64, element: &Type) -> Result<Val, Failure> {
        let layout = cx.layout(element);
        let bytes = length.checked_mul(layout.size).filter(|bytes| *bytes <= BYTES_MAX);
        let bytes = bytes.ok_or_else(|| Failure::trap(TrapClass::ValueTooLong))?;
        self.check_range(cx, start, layout.align, bytes)?;
        self.load_elements(cx, start, length, element)
    }

    fn load_elements(&mut self, cx: &mut Context<'_>, start: u64, length: u64, element: &Type) -> Result<Val, Failure> {
        let size = cx.layout(element).size;
        let values = (0..length).map(|at| self.load(cx, start + at * size, element));
        Ok(Val::List(values.collect::<Result<_, _>>()?))
    }

    fn load_string(&mut self, cx: &Context<'_>, start: u64, tagged: u64) -> Result<Val, Failure> {
        let (form, units) = match cx.options.encoding {
            Encoding::Utf8 => (Form::Utf8, tagged),
            Encoding::Utf16 => (Form::Utf16, tagged),
            Encoding::Latin1Utf16 if tagged & cx.tag() != 0 => (Form::TaggedUtf16, tagged ^ cx.tag()),
            Encoding::Latin1Utf16 => (Form::Latin1, tagged),
        };
        let unit = if matches!(form, Form::Utf16 | Form::TaggedUtf16) { 2 } else { 1 };
        let align = if form == Form::Utf8 { 1 } else { 2 };
        let bytes = units.checked_mul(unit).filter(|bytes| *bytes <= BYTES_MAX);
        let bytes = bytes.ok_or_else(|| Failure::trap(TrapClass::ValueTooLong))?;
        self.check_range(cx, start, align, bytes)?;
        self.shared.lock().spend_values(bytes)?;
        let bytes = self.bytes(cx, start, bytes);
        let text = match form {
            Form::Utf8 => std::str::from_utf8(bytes).ok().map(str::to_owned),
            Form::Latin1 => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
            Form::Utf16 | Form::TaggedUtf16 => {
                let units: Vec<u16> =
                    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
                String::from_utf16(&units).ok()
            }
        };
        let text = text.ok_or_else(|| Failure::trap(TrapClass::InvalidString))?;
        Ok(Val::String(Text { text, form }))
    }

    fn lift_flat(&mut self, cx: &mut Context<'_>, flat: &mut Flat<'_>, ty: &Type) -> Result<Val, Failure> {
        self.shared.lock().spend_values(1)?;
        let is64 = cx.options.is64;
        Ok(match ty.kind() {
            Kind::String => {
                let (start, units) = (flat.pointer(is64), flat.pointer(is64));
                self.load_string(cx, start, units)?
            }
            Kind::List(element) => {
                let (start, length) = (flat.pointer(is64), flat.pointer(is64));
                self.load_list(cx, start, length, element)?
            }
            Kind::FixedList(element, length) => {
                let values = (0..*length).map(|_| self.lift_flat(cx, flat, element));
                Val::List(values.collect::<Result<_, _>>()?)
            }
            Kind::Record(fields) => {
                let values = fields.iter().map(|(_, ty)| self.lift_flat(cx, flat, ty));
                Val::Record(values.collect::<Result<_, _>>()?)
            }
            Kind::Variant(cases) => {
                let end = flat.at + flatten_variant(cases, is64).len();
                let case = flat.next(Core::I32);
                let payload = payload_of(cases, case)?;
                let payload = payload.map(|ty| self.lift_flat(cx, flat, ty).map(Box::new)).transpose()?;
                flat.at = end;
                Val::Variant(case as u32, payload)
            }
            kind => {
                let bits = flat.next(ty.flat(is64).first().copied().unwrap_or(Core::I32));
                self.scalar(cx, kind, bits)?
            }
        })
    }

    /// What one core value means: bits beyond the type's width do not count.
    fn scalar(&mut self, cx: &mut Context<'_>, kind: &Kind, bits: u64) -> Result<Val, Failure> {
        Ok(match kind {
            Kind::Bool => Val::Bool(bits != 0),
            Kind::S8 => Val::S8(bits as i8),
            Kind::U8 => Val::U8(bits as u8),
            Kind::S16 => Val::S16(bits as i16),
            Kind::U16 => Val::U16(bits as u16),
            Kind::S32 => Val::S32(bits as i32),
            Kind::U32 => Val::U32(bits as u32),
            Kind::S64 => Val::S64(bits as i64),
            Kind::U64 => Val::U64(bits),
            Kind::F32 => Val::F32(self.float32(bits as u32)),
            Kind::F64 => Val::F64(self.float64(bits)),
            Kind::Char => character(bits)?,
            Kind::Flags(labels) => {
                let mask = 1u64.checked_shl(labels.len() as u32).unwrap_or(0).wrapping_sub(1);
                Val::Flags((bits & mask) as u32)
            }
            Kind::Own(resource) => Val::Own(self.lift_own(cx, bits as u32, *resource)?),
            Kind::Borrow(resource) => Val::Borrow(self.lift_borrow(cx, bits as u32, *resource)?),
            _ => return Err(Failure::Limit("values of streams, futures and error contexts".to_owned())),
        })
    }

    /// The canonical NaN for all that are none, in the
    /// [deterministic profile](https://webassembly.github.io/spec/core/appendix/profiles.html#deterministic-profile).
    pub(crate) fn float32(&self, bits: u32) -> u32 {
        let canonical = f32::from_bits(bits).is_nan() && !self.shared.lock().keeps_nans;
        if canonical { 0x7fc0_0000 } else { bits }
    }

    /// The same for doubles.
    pub(crate) fn float64(&self, bits: u64) -> u64 {
        let canonical = f64::from_bits(bits).is_nan() && !self.shared.lock().keeps_nans;
        if canonical { 0x7ff8_0000_0000_0000 } else { bits }
    }

    fn lift_own(&mut self, cx: &Context<'_>, index: u32, resource: ResourceId) -> Result<Handle, Failure> {
        let entry = self.shared.lock().instance(cx.inst).table.remove(index, resource)?;
        match entry.scope {
            None => Ok(entry.handle),
            Some(_) => Err(Failure::trap(TrapClass::HandleType)),
        }
    }

    fn lift_borrow(&mut self, cx: &mut Context<'_>, index: u32, resource: ResourceId) -> Result<Handle, Failure> {
        let mut state = self.shared.lock();
        let entry = state.instance(cx.inst).table.get(index, resource)?;
        entry.lends += 1;
        cx.lent.push((cx.inst, index));
        Ok(entry.handle)
    }
}

fn payload_of(cases: &[(String, Option<Type>)], case: u64) -> Result<Option<&Type>, Failure> {
    let case = usize::try_from(case).ok().and_then(|case| cases.get(case));
    case.map(|(_, ty)| ty.as_ref()).ok_or_else(|| Failure::trap(TrapClass::InvalidDiscriminant))
}
