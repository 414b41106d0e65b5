//! Memory instructions
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#memory-instructions)): addresses, loads, stores,
//! size and growth.
//!
//! Invariant: [`Translator::address`] is the only place that computes an address in a memory, and what it returns is in
//! bounds, or faults there and only there.
//!
//! Does not know: bulk operations, atomics.

use super::vmctx::Region;
use super::{Step, Translator};
use crate::env::{Bounds, MemoryPlan};
use crate::signature::POINTER;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Type, Value, types};
use wasmparser::MemArg;
use wattest_abi::{Builtin, TrapCode, mutant, vmctx};

/// A checked address: access it at `base + offset` with `flags`.
#[derive(Clone, Copy)]
pub(super) struct Address {
    pub base: Value,
    pub offset: i32,
    pub flags: MemFlagsData,
}

/// Whether and when an access is out of bounds.
enum Verdict {
    Never,
    /// Not unless the hardware says so.
    Faults,
    If(Value),
    Always,
}

impl Translator<'_> {
    pub(super) fn memory_plan(&self, memory: u32) -> MemoryPlan {
        self.env.memories[memory as usize]
    }

    fn memory_base(&mut self, plan: MemoryPlan) -> Value {
        let (base, offset) = self.definition(plan.vmctx_offset, plan.indirect);
        if plan.fixed_base {
            self.load_constant(POINTER, base, offset + vmctx::MEMORY_BASE)
        } else {
            self.load_field(POINTER, base, offset + vmctx::MEMORY_BASE)
        }
    }

    /// The memory's length in bytes.
    fn memory_length(&mut self, plan: MemoryPlan) -> Value {
        if let Some(bytes) = plan.fixed_bytes {
            return self.pointer_const(bytes);
        }
        let (base, offset) = self.definition(plan.vmctx_offset, plan.indirect);
        if plan.shared {
            // Another thread may grow it: never merged with an earlier load.
            let at = self.builder.ins().iadd_imm_u(base, i64::from(offset + vmctx::MEMORY_LENGTH));
            return self.builder.ins().atomic_load(POINTER, MemFlagsData::trusted(), at);
        }
        if mutant!(bounds_stale_after_growth) {
            return self.load_constant(POINTER, base, offset + vmctx::MEMORY_LENGTH);
        }
        self.load_field(POINTER, base, offset + vmctx::MEMORY_LENGTH)
    }

    fn memory_region(&self, memory: u32) -> Region {
        match memory.checked_sub(self.env.desc.imported_memories) {
            Some(defined) => Region::DefinedMemory(defined),
            None => Region::ImportedMemories,
        }
    }

    /// The address of an access of `bytes` bytes at `index` plus the static offset.
    pub(super) fn address(&mut self, memarg: &MemArg, index: Value, bytes: u32) -> Address {
        let plan = self.memory_plan(memarg.memory);
        let region = self.region(self.memory_region(memarg.memory));
        let flags = MemFlagsData::new().with_endianness(Endianness::Little).with_alias_region(Some(region));
        let faulting = flags.with_trap_code(Some(super::trap::clif_trap(TrapCode::MemoryOutOfBounds)));
        let constant = self.constant(index);
        let mut index = self.extended(index, plan.memory64);
        if plan.memory64 && mutant!(memory64_index_truncated) {
            index = self.builder.ins().band_imm_u(index, 0xffff_ffff);
        }
        let verdict = self.verdict(plan, memarg.offset, index, constant, bytes);
        let condition = match verdict {
            Verdict::Never | Verdict::Faults => None,
            Verdict::If(condition) => Some(condition),
            Verdict::Always => Some(self.builder.ins().iconst(types::I8, 1)),
        };
        if let Some(condition) = condition {
            self.refuse_if(condition, TrapCode::MemoryOutOfBounds, memarg.memory, index, memarg.offset);
        }
        let checked_whole = matches!(verdict, Verdict::Never) || condition.is_some() && plan.bounds == Bounds::Exact;
        let flags = if checked_whole { flags.with_notrap() } else { faulting };
        let base = self.memory_base(plan);
        let Some(condition) = condition.filter(|_| self.env.tunables.spectre_mitigation) else {
            let start = self.builder.ins().iadd(base, index);
            return self.with_offset(start, memarg.offset, flags);
        };
        // In speculation, the access is one of what lies the static offset behind the memory's start, if that much is
        // reserved, else one of null.
        let zero = self.pointer_const(0);
        if memarg.offset.checked_add(u64::from(bytes)).is_some_and(|end| end <= self.env.tunables.memory_guard_bytes) {
            let index = self.builder.ins().select_spectre_guard(condition, zero, index);
            let start = self.builder.ins().iadd(base, index);
            return self.with_offset(start, memarg.offset, flags);
        }
        let start = self.builder.ins().iadd(base, index);
        let full = self.plus(start, memarg.offset);
        let base = self.builder.ins().select_spectre_guard(condition, zero, full);
        Address { base, offset: 0, flags }
    }

    fn plus(&mut self, value: Value, offset: u64) -> Value {
        if offset == 0 {
            return value;
        }
        let offset = self.pointer_const(offset);
        self.builder.ins().iadd(value, offset)
    }

    fn with_offset(&mut self, base: Value, offset: u64, flags: MemFlagsData) -> Address {
        match i32::try_from(offset) {
            Ok(offset) => Address { base, offset, flags },
            Err(_) => Address { base: self.plus(base, offset), offset: 0, flags },
        }
    }

    fn verdict(&mut self, plan: MemoryPlan, offset: u64, index: Value, constant: Option<u64>, bytes: u32) -> Verdict {
        let Some(end) = offset.checked_add(u64::from(bytes)) else { return Verdict::Always };
        if constant.is_some_and(|index| index.checked_add(end).is_some_and(|end| end <= plan.minimum_bytes)) {
            return Verdict::Never;
        }
        let guard = self.env.tunables.memory_guard_bytes;
        let end = if mutant!(bounds_access_size_ignored) { offset + 1 } else { end };
        let end = if mutant!(bounds_offset_ignored) { u64::from(bytes) } else { end };
        match plan.bounds {
            Bounds::Guard if mutant!(guard_offset_unchecked) => Verdict::Faults,
            Bounds::Guard if end <= guard => Verdict::Faults,
            Bounds::Guard => {
                // Everything up to the end of the guard either exists or faults.
                let caught = self.env.tunables.memory_reservation_bytes.saturating_add(guard);
                let Some(limit) = caught.checked_sub(end) else { return Verdict::Always };
                if limit >= u64::from(u32::MAX) {
                    return Verdict::Faults;
                }
                Verdict::If(self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, index, limit as i64))
            }
            Bounds::LengthThenGuard if end <= guard => {
                let length = self.memory_length(plan);
                Verdict::If(self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, length))
            }
            Bounds::LengthThenGuard | Bounds::Exact => self.exact_verdict(plan, end, index),
        }
    }

    /// Compares `index + end` with the length, exactly.
    fn exact_verdict(&mut self, plan: MemoryPlan, end: u64, index: Value) -> Verdict {
        if let Some(length) = plan.fixed_bytes {
            let Some(limit) = length.checked_sub(end) else { return Verdict::Always };
            let limit = self.pointer_const(limit);
            return Verdict::If(self.builder.ins().icmp(IntCC::UnsignedGreaterThan, index, limit));
        }
        let length = self.memory_length(plan);
        if end <= plan.minimum_bytes {
            let end = self.pointer_const(end);
            let mut limit = self.builder.ins().isub(length, end);
            if mutant!(bounds_off_by_one) {
                limit = self.builder.ins().iadd_imm_u(limit, 1);
            }
            return Verdict::If(self.builder.ins().icmp(IntCC::UnsignedGreaterThan, index, limit));
        }
        let end = self.pointer_const(end);
        if !plan.memory64 {
            // Neither summand has more than 33 bits.
            let end = self.builder.ins().iadd(index, end);
            return Verdict::If(self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, length));
        }
        if mutant!(memory64_sum_wraps) {
            let end = self.builder.ins().iadd(index, end);
            return Verdict::If(self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, length));
        }
        let (end, overflow) = self.builder.ins().uadd_overflow(index, end);
        let beyond = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, length);
        Verdict::If(self.builder.ins().bor(overflow, beyond))
    }

    pub(super) fn load(&mut self, memarg: &MemArg, ty: Type) -> Step {
        let index = self.pop();
        let at = self.address(memarg, index, ty.bytes());
        let value = self.builder.ins().load(ty, at.flags, at.base, at.offset);
        self.push(value);
        Ok(())
    }

    /// Loads `narrow` and extends it to `wide`.
    pub(super) fn load_extended(&mut self, memarg: &MemArg, narrow: Type, wide: Type, signed: bool) -> Step {
        let index = self.pop();
        let at = self.address(memarg, index, narrow.bytes());
        let ins = self.builder.ins();
        let value = match (narrow, signed) {
            (types::I8, true) => ins.sload8(wide, at.flags, at.base, at.offset),
            (types::I8, false) => ins.uload8(wide, at.flags, at.base, at.offset),
            (types::I16, true) => ins.sload16(wide, at.flags, at.base, at.offset),
            (types::I16, false) => ins.uload16(wide, at.flags, at.base, at.offset),
            (_, true) => ins.sload32(at.flags, at.base, at.offset),
            (_, false) => ins.uload32(at.flags, at.base, at.offset),
        };
        self.push(value);
        Ok(())
    }

    pub(super) fn store(&mut self, memarg: &MemArg) -> Step {
        let (index, value) = self.pop2();
        let bytes = self.builder.func.dfg.value_type(value).bytes();
        let at = self.address(memarg, index, bytes);
        self.builder.ins().store(at.flags, value, at.base, at.offset);
        Ok(())
    }

    /// Stores the low `narrow` bits.
    pub(super) fn store_narrow(&mut self, memarg: &MemArg, narrow: Type) -> Step {
        let (index, value) = self.pop2();
        let at = self.address(memarg, index, narrow.bytes());
        let ins = self.builder.ins();
        match narrow {
            types::I8 => ins.istore8(at.flags, value, at.base, at.offset),
            types::I16 => ins.istore16(at.flags, value, at.base, at.offset),
            _ => ins.istore32(at.flags, value, at.base, at.offset),
        };
        Ok(())
    }

    pub(super) fn memory_size(&mut self, memory: u32) -> Step {
        let plan = self.memory_plan(memory);
        let length = self.memory_length(plan);
        let pages = self.builder.ins().ushr_imm_u(length, i64::from(plan.page_bytes_log2));
        let pages = self.narrowed(pages, plan.memory64);
        self.push(pages);
        Ok(())
    }

    pub(super) fn memory_grow(&mut self, memory: u32) -> Step {
        let plan = self.memory_plan(memory);
        let delta = self.pop();
        let mut delta = self.extended(delta, plan.memory64);
        if plan.memory64 && mutant!(memory64_growth_truncated) {
            delta = self.builder.ins().band_imm_u(delta, 0xffff_ffff);
        }
        let which = self.i32_const(memory);
        let old = self.call_builtin(Builtin::memory_grow, &[which, delta]);
        let old = self.narrowed(old, plan.memory64);
        self.push(old);
        Ok(())
    }

    /// `value` in the index type.
    pub(super) fn narrowed(&mut self, value: Value, is_wide: bool) -> Value {
        if is_wide { value } else { self.builder.ins().ireduce(types::I32, value) }
    }
}
