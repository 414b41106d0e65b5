//! Reduction of memory instructions.
//!
//! [Memory instructions](https://webassembly.github.io/spec/core/exec/instructions.html#memory-instructions), and the
//! atomic accesses of [threads](https://github.com/WebAssembly/threads) as one thread sees them.
//!
//! Invariant: an access that traps has changed nothing.
//!
//! Does not know: other threads: there is nobody to notify, and a wait can only time out.

use super::{Stop, Thread};
use crate::access::{Load, Store};
use crate::error::TrapClass;
use crate::instruction::{MemoryInstr, Place};
use crate::store::Memory;
use crate::value::Slot;

const OUT_OF_BOUNDS: Stop = Stop::Trap(TrapClass::MemoryOutOfBounds);

/// The bytes `from..from + len` of something `size` long.
pub(super) fn range(from: u64, len: u64, size: usize) -> Option<std::ops::Range<usize>> {
    let end = from.checked_add(len)?;
    (end <= size as u64).then_some(from as usize..end as usize)
}

impl Memory {
    /// Up to 16 bytes, zero-extended.
    #[inline]
    fn read(&self, address: u64, offset: u64, bytes: u32) -> Option<u128> {
        let from = address.checked_add(offset)?;
        let bytes = &self.bytes[range(from, bytes.into(), self.bytes.len())?];
        Some(match bytes.len() {
            1 => bytes[0].into(),
            2 => u16::from_le_bytes(bytes.try_into().ok()?).into(),
            4 => u32::from_le_bytes(bytes.try_into().ok()?).into(),
            8 => u64::from_le_bytes(bytes.try_into().ok()?).into(),
            _ => u128::from_le_bytes(bytes.try_into().ok()?),
        })
    }

    #[inline]
    fn write(&mut self, address: u64, offset: u64, bytes: u32, raw: u128) -> Option<()> {
        let range = range(address.checked_add(offset)?, bytes.into(), self.bytes.len())?;
        let raw = raw.to_le_bytes();
        let target = &mut self.bytes[range];
        match target.len() {
            1 => target[0] = raw[0],
            4 => target.copy_from_slice(&raw[..4]),
            8 => target.copy_from_slice(&raw[..8]),
            len => target.copy_from_slice(&raw[..len]),
        }
        Some(())
    }
}

impl Thread<'_> {
    fn memory(&mut self, index: u32) -> &mut Memory {
        let memory = self.instance().memories[index as usize];
        &mut self.store.memories[memory.0 as usize]
    }

    #[inline]
    pub(super) fn load(&mut self, load: Load, place: Place) -> Result<(), Stop> {
        let address = self.pop_u64();
        let raw = self.memory(place.memory).read(address, place.offset, load.bytes()).ok_or(OUT_OF_BOUNDS)?;
        self.stack.push(load.value(raw));
        Ok(())
    }

    #[inline]
    pub(super) fn store(&mut self, store: Store, place: Place) -> Result<(), Stop> {
        let (value, address) = (self.pop(), self.pop_u64());
        let memory = self.memory(place.memory);
        memory.write(address, place.offset, store.bytes(), store.raw(value)).ok_or(OUT_OF_BOUNDS)
    }

    pub(super) fn load_lane(&mut self, bytes: u8, lane: u8, place: Place) -> Result<(), Stop> {
        let (vector, address) = (self.pop(), self.pop_u64());
        let raw = self.memory(place.memory).read(address, place.offset, bytes.into()).ok_or(OUT_OF_BOUNDS)?;
        let (width, shift) = (u32::from(bytes) * 8, u32::from(bytes) * 8 * u32::from(lane));
        let mask = (u128::MAX >> (128 - width)) << shift;
        self.stack.push(vector & !mask | raw << shift);
        Ok(())
    }

    pub(super) fn store_lane(&mut self, bytes: u8, lane: u8, place: Place) -> Result<(), Stop> {
        let (vector, address) = (self.pop(), self.pop_u64());
        let raw = vector >> (u32::from(bytes) * 8 * u32::from(lane));
        self.memory(place.memory).write(address, place.offset, bytes.into(), raw).ok_or(OUT_OF_BOUNDS)
    }

    pub(super) fn memory_instr(&mut self, instr: MemoryInstr) -> Result<(), Stop> {
        match instr {
            MemoryInstr::AtomicLoad(load, place) => {
                let address = self.pop_u64();
                let raw = self.atomic_read(address, place, load.bytes())?;
                self.stack.push(load.value(raw));
            }
            MemoryInstr::AtomicStore(store, place) => {
                let (value, address) = (self.pop(), self.pop_u64());
                self.atomic_read(address, place, store.bytes())?;
                self.write(address, place, store.bytes(), store.raw(value))?;
            }
            MemoryInstr::Update(update, place) => {
                let (operand, address) = (self.pop(), self.pop_u64());
                let old = self.atomic_read(address, place, update.bytes())?;
                self.write(address, place, update.bytes(), update.replacement(old, operand))?;
                self.stack.push(old);
            }
            MemoryInstr::Exchange(exchange, place) => {
                let (new, expected, address) = (self.pop(), self.pop(), self.pop_u64());
                let old = self.atomic_read(address, place, exchange.bytes())?;
                // As narrow as the access: see issue 195 of the proposal.
                if old == expected & (u128::MAX >> (128 - 8 * exchange.bytes())) {
                    self.write(address, place, exchange.bytes(), exchange.replacement(old, new))?;
                }
                self.stack.push(old);
            }
            MemoryInstr::Wait(bytes, place) => self.wait(bytes, place)?,
            MemoryInstr::Notify(place) => {
                let (_, address) = (self.pop(), self.pop_u64());
                self.atomic_read(address, place, 4)?;
                self.stack.push(0);
            }
            other => self.memory_bulk(other)?,
        }
        Ok(())
    }

    fn atomic_read(&mut self, address: u64, place: Place, bytes: u32) -> Result<u128, Stop> {
        let at = address.wrapping_add(place.offset);
        if !at.is_multiple_of(bytes.into()) {
            return Err(TrapClass::UnalignedAtomic.into());
        }
        self.memory(place.memory).read(address, place.offset, bytes).ok_or(OUT_OF_BOUNDS)
    }

    fn write(&mut self, address: u64, place: Place, bytes: u32, raw: u128) -> Result<(), Stop> {
        self.memory(place.memory).write(address, place.offset, bytes, raw).ok_or(OUT_OF_BOUNDS)
    }

    /// `memory.atomic.wait`: 1 when the value is another, else 2, timed out.
    fn wait(&mut self, bytes: u8, place: Place) -> Result<(), Stop> {
        let (timeout, expected, address) = (self.pop_u64() as i64, self.pop(), self.pop_u64());
        let actual = self.atomic_read(address, place, bytes.into())?;
        if !self.memory(place.memory).ty.shared {
            return Err(TrapClass::ExpectedSharedMemory.into());
        }
        if actual == expected && timeout < 0 {
            return Err(TrapClass::Deadlock.into());
        }
        self.stack.push(if actual == expected { 2 } else { 1 });
        Ok(())
    }

    fn memory_bulk(&mut self, instr: MemoryInstr) -> Result<(), Stop> {
        match instr {
            MemoryInstr::Size(memory) => {
                let pages = self.memory(memory).pages();
                self.stack.push(pages.into());
            }
            MemoryInstr::Grow(memory) => {
                let delta = self.pop_u64();
                let result = self.grow_memory(memory, delta);
                self.stack.push(result);
            }
            MemoryInstr::Fill(memory) => {
                let (len, value, to) = (self.pop_u64(), self.pop() as u8, self.pop_u64());
                let bytes = &mut self.memory(memory).bytes;
                let mut range = range(to, len, bytes.len()).ok_or(OUT_OF_BOUNDS)?;
                if flipped!(memory_fill_one_less) {
                    range.end = range.end.saturating_sub(1).max(range.start);
                }
                bytes[range].fill(value);
            }
            MemoryInstr::Copy { to, from } => {
                let (len, source, target) = (self.pop_u64(), self.pop_u64(), self.pop_u64());
                let source = range(source, len, self.memory(from).bytes.len()).ok_or(OUT_OF_BOUNDS)?;
                let target = range(target, len, self.memory(to).bytes.len()).ok_or(OUT_OF_BOUNDS)?;
                let moved = self.memory(from).bytes[source].to_vec();
                self.memory(to).bytes[target].copy_from_slice(&moved);
            }
            MemoryInstr::Init { memory, data } => {
                let (len, source, target) = (self.pop_u64(), self.pop_u64(), self.pop_u64());
                let segment = self.store.datas[self.instance().datas[data as usize] as usize].clone();
                let source = range(source, len, segment.len()).ok_or(OUT_OF_BOUNDS)?;
                let bytes = &mut self.memory(memory).bytes;
                let target = range(target, len, bytes.len()).ok_or(OUT_OF_BOUNDS)?;
                bytes[target].copy_from_slice(&segment[source]);
            }
            MemoryInstr::DataDrop(_) if flipped!(memory_init_ignores_drop) => {}
            MemoryInstr::DataDrop(data) => {
                let segment = self.instance().datas[data as usize];
                self.store.datas[segment as usize] = [].into();
            }
            // Every other memory instruction is an access.
            _ => {}
        }
        Ok(())
    }

    /// `memory.grow`: the former size, or -1.
    fn grow_memory(&mut self, index: u32, delta: u64) -> Slot {
        let memory = self.instance().memories[index as usize];
        let is64 = self.store.memory(memory).ty.is64;
        match self.store.grow_memory(memory, delta) {
            Ok(pages) => pages.into(),
            Err(_) if is64 => u64::MAX.into(),
            Err(_) => u32::MAX.into(),
        }
    }
}
