//! Memory accesses: addresses near the edges that matter.
//!
//! Most accesses are in bounds, many of them the last possible one; a few are just beyond, or wild, with offsets around
//! 2^31, 2^32 and beyond ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#memory-instructions)).
//!
//! Invariant: the alignment hint is never above the access width.
//!
//! Does not know: current memory sizes, only the initial ones.

use super::body::Body;
use wasm_encoder::{Instruction, MemArg};
use wattest_differential::ValueType::{self, I32, I64, V128};

/// Bytes of address space behind a 32-bit memory that nobody else has, in most configurations.
const GUARD_BYTES: u64 = 32 << 20;

impl Body<'_, '_, '_> {
    /// A memory, if there is one.
    pub fn memory(&mut self) -> Option<u32> {
        let count = self.world.memories.len();
        (count > 0).then(|| self.source.below(count) as u32)
    }

    pub fn load(&mut self, width: u64, make: fn(MemArg) -> Instruction<'static>, depth: u32) -> bool {
        let Some(memarg) = self.address(width, depth) else { return false };
        self.emit(make(memarg));
        true
    }

    pub fn store(
        &mut self,
        operand: ValueType,
        width: u64,
        make: fn(MemArg) -> Instruction<'static>,
        depth: u32,
    ) -> bool {
        let Some(memarg) = self.address(width, depth) else { return false };
        self.expression(operand, depth);
        self.visible(operand);
        self.emit(make(memarg));
        true
    }

    pub fn memory_lane(&mut self, width: u64, make: fn(MemArg, u8) -> Instruction<'static>, depth: u32) -> bool {
        let Some(memarg) = self.address(width, depth) else { return false };
        self.expression(V128, depth);
        let lane = self.source.below((16 / width) as usize) as u8;
        self.emit(make(memarg, lane));
        true
    }

    /// Pushes an address for an access of `width` bytes and gives the immediate that goes with it.
    fn address(&mut self, width: u64, depth: u32) -> Option<MemArg> {
        let memory_index = self.memory()?;
        let memory = self.world.memories[memory_index as usize];
        let bytes = memory.minimum << memory.page_bytes_log2;
        let room = bytes.checked_sub(width);
        let align = self.source.below(width.trailing_zeros() as usize + 1) as u32;
        let mut offset = self.source.pick(&[0, 0, 0, 0, 1, 4, 8, 15, 16, 255]);
        match (self.source.below(64), room) {
            (0..=23, Some(room)) => {
                offset = offset.min(room);
                let address = (u64::from(self.source.u32()) & 0xff).min(room - offset);
                self.index_constant(memory.memory64, address);
            }
            (24..=42, Some(room)) => {
                // A computed address below a power of two, so that it stays in bounds.
                let half = (room / 2).max(1);
                let mask = (1u64 << half.ilog2()) - 1;
                offset = if self.source.percent(20) { half } else { offset.min(half) };
                self.masked_index(memory.memory64, mask, depth);
            }
            (43..=61, Some(room)) => {
                offset = if self.source.percent(30) { room } else { offset.min(room) };
                self.index_constant(memory.memory64, room - offset);
            }
            (62, _) => {
                let beyond = room.unwrap_or(0).saturating_add(self.source.pick(&[1, 2, width, 8]));
                offset = if self.source.percent(50) { offset.min(beyond) } else { 0 };
                self.index_constant(memory.memory64, beyond - offset);
            }
            _ if !memory.memory64 && self.source.percent(30) => {
                // Behind the end of the usual guard, but for what is checked because of the offset.
                offset = self.source.pick(&[GUARD_BYTES, GUARD_BYTES - width, GUARD_BYTES + 1, 2 * GUARD_BYTES]);
                let below = self.source.below(8) as u64;
                self.index_constant(false, u64::from(u32::MAX) - below);
            }
            _ => {
                let wide: &[u64] = &[0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fff0, 0x1_0000, 0xffff];
                let huge: &[u64] = &[u64::MAX, 0x1_0000_0000, 1 << 63, 0xffff_ffff, (1 << 48) - 1, u64::MAX - 7];
                offset = self.source.pick(if memory.memory64 { huge } else { wide });
                self.expression(if memory.memory64 { I64 } else { I32 }, depth);
            }
        }
        Some(MemArg { offset, align, memory_index })
    }

    /// Pushes a constant index or address.
    pub fn index_constant(&mut self, wide: bool, value: u64) {
        if wide {
            self.emit(Instruction::I64Const(value as i64));
        } else {
            self.emit(Instruction::I32Const(value as u32 as i32));
        }
    }

    /// Pushes a computed index or address of at most `mask`.
    pub fn masked_index(&mut self, wide: bool, mask: u64, depth: u32) {
        if wide {
            self.expression(I64, depth);
            self.emit(Instruction::I64Const(mask as i64));
            self.emit(Instruction::I64And);
        } else {
            self.expression(I32, depth);
            self.emit(Instruction::I32Const(mask as u32 as i32));
            self.emit(Instruction::I32And);
        }
    }
}
