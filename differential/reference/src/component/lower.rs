//! Lowering: from component values to core values and memory.
//!
//! [Storing](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#storing) and
//! [flat lowering](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flat-lowering).
//!
//! Invariant: what `realloc` returns is checked before it is written to, after every call; the instance may not be left
//! while its values are lowered.
//!
//! Does not know: where the values come from.

use super::calls::Evaluation;
use super::lift::{BYTES_MAX, Context, Flat};
use super::sizes::{Layout, align_to, discriminant_bytes};
use super::state::Entry;
use super::trace::Event;
use super::types::{Kind, ResourceId, Type, flatten, flatten_variant};
use super::value::{Handle, Val};
use crate::error::{Failure, TrapClass};
use crate::types::ValType as Core;
use crate::value::Value;

/// A call of `realloc`: old address, old size, alignment, new size.
pub(crate) type Request = [u64; 4];

fn mismatch(ty: &Type, value: &Val) -> Failure {
    Failure::Arguments(format!("{value:?} for {ty:?}"))
}

/// Bits as a core value of a type.
pub(crate) fn core_value(bits: u64, ty: Core) -> Value {
    match ty {
        Core::I64 => Value::I64(bits),
        Core::F32 => Value::F32(bits as u32),
        Core::F64 => Value::F64(bits),
        _ => Value::I32(bits as u32),
    }
}

impl Evaluation<'_> {
    /// Core values for `values`: themselves, or when there would be more than `max`, their address in memory that `out`
    /// points to, or that `realloc` finds.
    pub(crate) fn lower_values(
        &mut self,
        cx: &mut Context<'_>,
        values: &[Val],
        types: &[Type],
        max: usize,
        out: Option<&mut Flat<'_>>,
    ) -> Result<Vec<Value>, Failure> {
        if values.len() != types.len() {
            return Err(Failure::Arguments(format!("{values:?} for {types:?}")));
        }
        self.shared.lock().instance(cx.inst).may_leave = false;
        let is64 = cx.options.is64;
        let mut flat = Vec::new();
        if flatten(types, is64).len() <= max {
            for (value, ty) in values.iter().zip(types) {
                self.lower_flat(cx, value, ty, &mut flat)?;
            }
        } else {
            let layout = Layout::record(types.iter().map(|ty| cx.layout(ty)));
            let pointer = match out {
                Some(out) => {
                    let pointer = out.pointer(is64);
                    self.check_range(cx, pointer, layout.align, layout.size)?;
                    pointer
                }
                None => {
                    let pointer = self.realloc(cx, [0, 0, layout.align, layout.size])?;
                    flat.push(core_value(pointer, if is64 { Core::I64 } else { Core::I32 }));
                    pointer
                }
            };
            self.store_fields(cx, pointer, values.iter().zip(types))?;
        }
        self.shared.lock().instance(cx.inst).may_leave = true;
        Ok(flat)
    }

    /// Calls `realloc` and checks what it returns.
    pub(crate) fn realloc(&mut self, cx: &Context<'_>, request: Request) -> Result<u64, Failure> {
        let Some(realloc) = cx.options.realloc else { return Err(Failure::trap(TrapClass::PointerOutOfBounds)) };
        let pointer = if cx.options.is64 { Core::I64 } else { Core::I32 };
        let args = request.map(|arg| core_value(arg, pointer));
        let results = self.call_core(realloc, &args)?;
        let result = Flat::new(&results).next(pointer);
        self.shared.lock().record(Event::Realloc { instance: cx.inst.0, args: request, result })?;
        self.check_range(cx, result, request[2], request[3])?;
        Ok(result)
    }

    pub(crate) fn write(&mut self, cx: &Context<'_>, pointer: u64, bytes: &[u8]) {
        let Some(memory) = cx.options.memory else { return };
        let start = pointer as usize;
        if let Some(target) = self.store.memory_mut(memory).get_mut(start..start.saturating_add(bytes.len())) {
            target.copy_from_slice(bytes);
        }
    }

    fn store_int(&mut self, cx: &Context<'_>, pointer: u64, bits: u64, count: u64) {
        self.write(cx, pointer, &bits.to_le_bytes()[..count.min(8) as usize]);
    }

    fn store(&mut self, cx: &mut Context<'_>, pointer: u64, value: &Val, ty: &Type) -> Result<(), Failure> {
        let width = cx.pointer_bytes();
        match (ty.kind(), value) {
            (Kind::String, Val::String(text)) => {
                let (start, units) = self.store_string(cx, text)?;
                self.store_int(cx, pointer, start, width);
                self.store_int(cx, pointer + width, units, width);
            }
            (Kind::List(element), Val::List(values)) => {
                let start = self.store_list(cx, values, element)?;
                self.store_int(cx, pointer, start, width);
                self.store_int(cx, pointer + width, values.len() as u64, width);
            }
            (Kind::FixedList(element, length), Val::List(values)) if values.len() as u64 == u64::from(*length) => {
                self.store_elements(cx, pointer, values, element)?;
            }
            (Kind::Record(fields), Val::Record(values)) if fields.len() == values.len() => {
                self.store_fields(cx, pointer, values.iter().zip(fields.iter().map(|(_, ty)| ty)))?;
            }
            (Kind::Variant(cases), Val::Variant(case, payload)) => {
                let chosen = cases.get(*case as usize).ok_or_else(|| mismatch(ty, value))?;
                let discriminant = discriminant_bytes(cases.len());
                self.store_int(cx, pointer, u64::from(*case), discriminant);
                let align = cases.iter().filter_map(|(_, ty)| Some(cx.layout(ty.as_ref()?).align)).max().unwrap_or(1);
                match (&chosen.1, payload) {
                    (Some(ty), Some(payload)) => {
                        self.store(cx, align_to(pointer + discriminant, align), payload, ty)?;
                    }
                    (None, None) => {}
                    _ => return Err(mismatch(ty, value)),
                }
            }
            _ => {
                let bits = self.scalar_bits(cx, value, ty)?;
                self.store_int(cx, pointer, bits, cx.layout(ty).size);
            }
        }
        Ok(())
    }

    fn store_fields<'v>(
        &mut self,
        cx: &mut Context<'_>,
        mut pointer: u64,
        fields: impl Iterator<Item = (&'v Val, &'v Type)>,
    ) -> Result<(), Failure> {
        for (value, ty) in fields {
            let layout = cx.layout(ty);
            pointer = align_to(pointer, layout.align);
            self.store(cx, pointer, value, ty)?;
            pointer += layout.size;
        }
        Ok(())
    }

    fn store_list(&mut self, cx: &mut Context<'_>, values: &[Val], element: &Type) -> Result<u64, Failure> {
        let layout = cx.layout(element);
        // The limit is on what is lifted; with wider pointers here, the same list may take up to twice as much.
        let bytes = (values.len() as u64).checked_mul(layout.size).filter(|bytes| *bytes <= 2 * BYTES_MAX);
        let bytes = bytes.ok_or_else(|| Failure::trap(TrapClass::ValueTooLong))?;
        let start = self.realloc(cx, [0, 0, layout.align, bytes])?;
        self.store_elements(cx, start, values, element)?;
        Ok(start)
    }

    fn store_elements(
        &mut self,
        cx: &mut Context<'_>,
        start: u64,
        values: &[Val],
        element: &Type,
    ) -> Result<(), Failure> {
        let size = cx.layout(element).size;
        for (at, value) in values.iter().enumerate() {
            self.store(cx, start + at as u64 * size, value, element)?;
        }
        Ok(())
    }

    fn lower_flat(
        &mut self,
        cx: &mut Context<'_>,
        value: &Val,
        ty: &Type,
        flat: &mut Vec<Value>,
    ) -> Result<(), Failure> {
        let pointer = if cx.options.is64 { Core::I64 } else { Core::I32 };
        match (ty.kind(), value) {
            (Kind::String, Val::String(text)) => {
                let (start, units) = self.store_string(cx, text)?;
                flat.extend([core_value(start, pointer), core_value(units, pointer)]);
            }
            (Kind::List(element), Val::List(values)) => {
                let start = self.store_list(cx, values, element)?;
                flat.extend([core_value(start, pointer), core_value(values.len() as u64, pointer)]);
            }
            (Kind::FixedList(element, length), Val::List(values)) if values.len() as u64 == u64::from(*length) => {
                for value in values {
                    self.lower_flat(cx, value, element, flat)?;
                }
            }
            (Kind::Record(fields), Val::Record(values)) if fields.len() == values.len() => {
                for (value, (_, ty)) in values.iter().zip(fields) {
                    self.lower_flat(cx, value, ty, flat)?;
                }
            }
            (Kind::Variant(cases), Val::Variant(case, payload)) => {
                let chosen = cases.get(*case as usize).ok_or_else(|| mismatch(ty, value))?;
                let mut lowered = vec![Value::I32(*case)];
                match (&chosen.1, payload) {
                    (Some(ty), Some(payload)) => self.lower_flat(cx, payload, ty, &mut lowered)?,
                    (None, None) => {}
                    _ => return Err(mismatch(ty, value)),
                }
                let joined = flatten_variant(cases, cx.options.is64);
                let mut lowered = Flat::new(&lowered);
                // Values beyond the payload's are zero.
                flat.extend(joined.into_iter().map(|core| core_value(lowered.next(core), core)));
            }
            _ => {
                let bits = self.scalar_bits(cx, value, ty)?;
                flat.push(core_value(bits, ty.flat(cx.options.is64).first().copied().unwrap_or(Core::I32)));
            }
        }
        Ok(())
    }

    /// The bits of a value that is one core value, sign-extended.
    fn scalar_bits(&mut self, cx: &mut Context<'_>, value: &Val, ty: &Type) -> Result<u64, Failure> {
        Ok(match (ty.kind(), value) {
            (Kind::Bool, Val::Bool(value)) => u64::from(*value),
            (Kind::S8, Val::S8(value)) => i64::from(*value) as u64,
            (Kind::U8, Val::U8(value)) => u64::from(*value),
            (Kind::S16, Val::S16(value)) => i64::from(*value) as u64,
            (Kind::U16, Val::U16(value)) => u64::from(*value),
            (Kind::S32, Val::S32(value)) => i64::from(*value) as u64,
            (Kind::U32, Val::U32(value)) => u64::from(*value),
            (Kind::S64, Val::S64(value)) => *value as u64,
            (Kind::U64, Val::U64(value)) => *value,
            (Kind::F32, Val::F32(bits)) => u64::from(self.float32(*bits)),
            (Kind::F64, Val::F64(bits)) => self.float64(*bits),
            (Kind::Char, Val::Char(value)) => u64::from(u32::from(*value)),
            (Kind::Flags(_), Val::Flags(bits)) => u64::from(*bits),
            (Kind::Own(resource), Val::Own(handle)) if handle.resource == *resource => {
                u64::from(self.lower_own(cx, *handle)?)
            }
            (Kind::Borrow(resource), Val::Borrow(handle)) if handle.resource == *resource => {
                u64::from(self.lower_borrow(cx, *handle, *resource)?)
            }
            _ => return Err(mismatch(ty, value)),
        })
    }

    fn lower_own(&mut self, cx: &Context<'_>, handle: Handle) -> Result<u32, Failure> {
        self.shared.lock().instance(cx.inst).table.add(Entry { handle, scope: None, lends: 0 })
    }

    /// The instance that defined a resource sees the representation itself.
    fn lower_borrow(&mut self, cx: &Context<'_>, handle: Handle, resource: ResourceId) -> Result<u32, Failure> {
        let mut state = self.shared.lock();
        if state.resources[resource.0 as usize].owner == Some(cx.inst) {
            return Ok(handle.rep);
        }
        let Some(task) = cx.task else { return Err(Failure::Limit("borrowed handles as results".to_owned())) };
        state.tasks[task].borrows += 1;
        state.instance(cx.inst).table.add(Entry { handle, scope: Some(task), lends: 0 })
    }
}
