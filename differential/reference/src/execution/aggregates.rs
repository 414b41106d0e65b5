//! Reduction of the instructions on structures and arrays.
//!
//! [Aggregate reference
//! instructions](https://webassembly.github.io/spec/core/exec/instructions.html#aggregate-reference-instructions).
//!
//! Invariant: a packed field holds its value zero-extended.
//!
//! Does not know: when objects die: they do not.

use super::memories::range;
use super::{Stop, Thread};
use crate::error::TrapClass;
use crate::instruction::{AggregateInstr, Element, Packing};
use crate::store::Object;
use crate::types::{CompType, TypeId};
use crate::value::{Ref, Slot};

const OUT_OF_BOUNDS: Stop = Stop::Trap(TrapClass::ArrayOutOfBounds);

/// `pack`.
fn pack(value: Slot, packing: Packing) -> Slot {
    if packing.bits == 0 { value } else { value & ((1 << packing.bits) - 1) }
}

/// `unpack`.
fn unpack(value: Slot, packing: Packing) -> Slot {
    match packing {
        Packing { bits: 8, signed: true } => (value as i8 as u32).into(),
        Packing { bits: 16, signed: true } => (value as i16 as u32).into(),
        _ => value,
    }
}

impl Thread<'_> {
    pub(super) fn aggregate_instr(&mut self, instr: AggregateInstr) -> Result<(), Stop> {
        match instr {
            AggregateInstr::StructNew { ty, fields } => {
                let fields = self.stack.split_off(self.stack.len().saturating_sub(fields as usize));
                self.new_struct(ty, Ref::Null, fields)?;
            }
            AggregateInstr::StructNewDefault { ty, fields } => {
                self.new_struct(ty, Ref::Null, vec![0; fields as usize])?;
            }
            AggregateInstr::StructNewDesc { ty, fields } => {
                let descriptor = self.descriptor()?;
                let fields = self.stack.split_off(self.stack.len().saturating_sub(fields as usize));
                self.new_struct(ty, descriptor, fields)?;
            }
            AggregateInstr::StructNewDefaultDesc { ty, fields } => {
                let descriptor = self.descriptor()?;
                self.new_struct(ty, descriptor, vec![0; fields as usize])?;
            }
            AggregateInstr::StructGet(field) => {
                let value = self.structure()?[field.index as usize];
                self.stack.push(unpack(value, field.packing));
            }
            AggregateInstr::StructSet(field) => {
                let value = self.pop();
                self.structure()?[field.index as usize] = pack(value, field.packing);
            }
            AggregateInstr::ArrayGet(packing) => {
                let at = self.pop_u32();
                let value = *self.array()?.get(at as usize).ok_or(OUT_OF_BOUNDS)?;
                self.stack.push(unpack(value, packing));
            }
            AggregateInstr::ArraySet(packing) => {
                let (value, at) = (self.pop(), self.pop_u32());
                *self.array()?.get_mut(at as usize).ok_or(OUT_OF_BOUNDS)? = pack(value, packing);
            }
            AggregateInstr::ArrayLen => {
                let len = self.array()?.len();
                self.stack.push(len as Slot);
            }
            other => self.array_bulk(other)?,
        }
        Ok(())
    }

    fn array_bulk(&mut self, instr: AggregateInstr) -> Result<(), Stop> {
        match instr {
            AggregateInstr::ArrayNew(ty) => {
                let (len, value) = (self.pop_u32(), self.pop());
                self.store.spend(len.into()).ok_or(TrapClass::AllocationTooLarge)?;
                self.new_array(ty, vec![value; len as usize]);
            }
            AggregateInstr::ArrayNewDefault(ty) => {
                let len = self.pop_u32();
                self.store.spend(len.into()).ok_or(TrapClass::AllocationTooLarge)?;
                self.new_array(ty, vec![0; len as usize]);
            }
            AggregateInstr::ArrayNewFixed { ty, len } => {
                self.store.spend(len.into()).ok_or(TrapClass::AllocationTooLarge)?;
                let fields = self.stack.split_off(self.stack.len().saturating_sub(len as usize));
                self.new_array(ty, fields);
            }
            AggregateInstr::ArrayNewData { ty, data, element } => {
                let (len, from) = (self.pop_u64(), self.pop_u64());
                let fields = self.data(data, element, from, len)?;
                self.store.spend(len).ok_or(TrapClass::AllocationTooLarge)?;
                self.new_array(ty, fields);
            }
            AggregateInstr::ArrayNewElem { ty, elem } => {
                let (len, from) = (self.pop_u64(), self.pop_u64());
                let fields = self.elem(elem, from, len)?;
                self.store.spend(len).ok_or(TrapClass::AllocationTooLarge)?;
                self.new_array(ty, fields);
            }
            AggregateInstr::ArrayFill(packing) => {
                let (len, value, to) = (self.pop_u64(), self.pop(), self.pop_u64());
                let fields = self.array()?;
                let range = range(to, len, fields.len()).ok_or(OUT_OF_BOUNDS)?;
                fields[range].fill(pack(value, packing));
            }
            AggregateInstr::ArrayCopy => {
                let (len, from) = (self.pop_u64(), self.pop_u64());
                let source = self.pop_ref();
                let (to, target) = (self.pop_u64(), self.pop_ref());
                let size = self.array_at(target)?.len();
                let fields = self.array_at(source)?;
                let to = range(to, len, size).ok_or(OUT_OF_BOUNDS)?;
                let moved = fields[range(from, len, fields.len()).ok_or(OUT_OF_BOUNDS)?].to_vec();
                if flipped!(array_copy_forward) && source == target {
                    for at in 0..to.len() {
                        let fields = self.array_at(target)?;
                        fields[to.start + at] = fields[from as usize + at];
                    }
                    return Ok(());
                }
                self.array_at(target)?[to].copy_from_slice(&moved);
            }
            AggregateInstr::ArrayInitData { data, element } => {
                self.array_init(|thread, from, len| thread.data(data, element, from, len))?;
            }
            AggregateInstr::ArrayInitElem { elem } => {
                self.array_init(|thread, from, len| thread.elem(elem, from, len))?
            }
            // Conversions change no value; every other instruction reads or writes one field.
            _ => {}
        }
        Ok(())
    }

    /// `array.init_data` and `array.init_elem`.
    fn array_init(&mut self, segment: impl Fn(&Self, u64, u64) -> Result<Vec<Slot>, Stop>) -> Result<(), Stop> {
        let (len, from, to) = (self.pop_u64(), self.pop_u64(), self.pop_u64());
        let target = self.pop_ref();
        let to = range(to, len, self.array_at(target)?.len()).ok_or(OUT_OF_BOUNDS)?;
        let values = segment(self, from, len)?;
        self.array_at(target)?[to].copy_from_slice(&values);
        Ok(())
    }

    fn new_struct(&mut self, ty: TypeId, descriptor: Ref, mut fields: Vec<Slot>) -> Result<(), Stop> {
        let ty = self.instance().types[ty.0 as usize];
        if let CompType::Struct(types) = &self.store.types.get(ty).comp {
            for (field, ty) in fields.iter_mut().zip(types) {
                *field = pack(*field, Packing::of(ty.storage, false));
            }
        }
        self.store.spend(fields.len() as u64).ok_or(TrapClass::AllocationTooLarge)?;
        self.store.structs.push(Object { ty: ty.0, descriptor, fields });
        self.push_ref(Ref::Struct(self.store.structs.len() as u32 - 1));
        Ok(())
    }

    /// Adds an array whose elements the budget has allowed.
    fn new_array(&mut self, ty: TypeId, mut fields: Vec<Slot>) {
        let ty = self.instance().types[ty.0 as usize];
        if let CompType::Array(element) = self.store.types.get(ty).comp {
            let packing = Packing::of(element.storage, false);
            fields.iter_mut().filter(|_| packing.bits != 0).for_each(|field| *field = pack(*field, packing));
        }
        self.store.arrays.push(Object { ty: ty.0, descriptor: Ref::Null, fields });
        self.push_ref(Ref::Array(self.store.arrays.len() as u32 - 1));
    }

    fn structure(&mut self) -> Result<&mut [Slot], Stop> {
        match self.non_null()? {
            Ref::Struct(address) => Ok(&mut self.store.structs[address as usize].fields),
            _ => Err(TrapClass::CastFailure.into()),
        }
    }

    fn array(&mut self) -> Result<&mut [Slot], Stop> {
        let reference = self.pop_ref();
        self.array_at(reference)
    }

    fn array_at(&mut self, reference: Ref) -> Result<&mut [Slot], Stop> {
        match reference {
            Ref::Array(address) => Ok(&mut self.store.arrays[address as usize].fields),
            Ref::Null => Err(TrapClass::NullReference.into()),
            _ => Err(TrapClass::CastFailure.into()),
        }
    }

    /// Elements of `element` bytes from a data segment.
    fn data(&self, data: u32, element: Element, from: u64, len: u64) -> Result<Vec<Slot>, Stop> {
        let segment = &self.store.datas[self.instance().datas[data as usize] as usize];
        let width = usize::from(element.0);
        let bytes = len.checked_mul(width as u64).and_then(|bytes| range(from, bytes, segment.len()));
        let bytes = &segment[bytes.ok_or(TrapClass::MemoryOutOfBounds)?];
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |value, byte| value << 8 | Slot::from(*byte));
        Ok(bytes.chunks_exact(width.max(1)).map(number).collect())
    }

    fn elem(&self, elem: u32, from: u64, len: u64) -> Result<Vec<Slot>, Stop> {
        let segment = &self.store.elems[self.instance().elems[elem as usize] as usize];
        let range = range(from, len, segment.len()).ok_or(TrapClass::TableOutOfBounds)?;
        Ok(segment[range].iter().map(|reference| reference.slot()).collect())
    }
}
