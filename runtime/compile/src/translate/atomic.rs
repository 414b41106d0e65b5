//! Atomic instructions
//! ([proposal](https://github.com/WebAssembly/threads)).
//!
//! Invariant: an unaligned address traps before anything is accessed; every access is sequentially consistent.
//!
//! Does not know: waiting; that is the virtual machine's.

use super::memory::Address;
use super::{Step, Translator};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, MemFlagsData, Type, Value, types};
use wasmparser::MemArg;
use wattest_abi::{Builtin, TrapCode};

impl Translator<'_> {
    /// Traps unless `index` plus the static offset is a multiple of `bytes`.
    fn check_alignment(&mut self, memarg: &MemArg, index: Value, bytes: u32) {
        if bytes == 1 || wattest_abi::mutant!(atomic_alignment_unchecked) {
            return;
        }
        let offset = (memarg.offset % u64::from(bytes)) as i64;
        let address = if offset == 0 { index } else { self.builder.ins().iadd_imm_u(index, offset) };
        let low = self.builder.ins().band_imm_u(address, i64::from(bytes) - 1);
        let unaligned = self.builder.ins().icmp_imm_u(IntCC::NotEqual, low, 0);
        self.trap_if(unaligned, TrapCode::UnalignedAtomic);
    }

    /// The whole address of an atomic access, and its flags.
    fn atomic_address(&mut self, memarg: &MemArg, index: Value, ty: Type) -> (Value, MemFlagsData) {
        self.check_alignment(memarg, index, ty.bytes());
        let Address { base, offset, flags } = self.address(memarg, index, ty.bytes());
        let at = if offset == 0 { base } else { self.builder.ins().iadd_imm_s(base, i64::from(offset)) };
        (at, flags.with_aligned())
    }

    fn widened(&mut self, value: Value, narrow: Type, wide: Type) -> Value {
        if narrow == wide { value } else { self.builder.ins().uextend(wide, value) }
    }

    fn reduced(&mut self, value: Value, narrow: Type) -> Value {
        if self.builder.func.dfg.value_type(value) == narrow {
            value
        } else {
            self.builder.ins().ireduce(narrow, value)
        }
    }

    pub(super) fn atomic_load(&mut self, memarg: &MemArg, narrow: Type, wide: Type) -> Step {
        let index = self.pop();
        let (at, flags) = self.atomic_address(memarg, index, narrow);
        let value = self.builder.ins().atomic_load(narrow, flags, at);
        let value = self.widened(value, narrow, wide);
        self.push(value);
        Ok(())
    }

    pub(super) fn atomic_store(&mut self, memarg: &MemArg, narrow: Type) -> Step {
        let (index, value) = self.pop2();
        let (at, flags) = self.atomic_address(memarg, index, narrow);
        let value = self.reduced(value, narrow);
        self.builder.ins().atomic_store(flags, value, at);
        Ok(())
    }

    pub(super) fn atomic_rmw(&mut self, memarg: &MemArg, op: AtomicRmwOp, narrow: Type, wide: Type) -> Step {
        let (index, value) = self.pop2();
        let (at, flags) = self.atomic_address(memarg, index, narrow);
        let value = self.reduced(value, narrow);
        let old = self.builder.ins().atomic_rmw(narrow, flags, op, at, value);
        let old = self.widened(old, narrow, wide);
        self.push(old);
        Ok(())
    }

    pub(super) fn atomic_compare_exchange(&mut self, memarg: &MemArg, narrow: Type, wide: Type) -> Step {
        let (index, expected, replacement) = self.pop3();
        let (at, flags) = self.atomic_address(memarg, index, narrow);
        // The comparison is as narrow as the access: upper bits of what is expected do not count
        // (https://github.com/WebAssembly/threads/issues/195).
        let expected_low = self.reduced(expected, narrow);
        let replacement = self.reduced(replacement, narrow);
        let old = self.builder.ins().atomic_cas(flags, at, expected_low, replacement);
        let old = self.widened(old, narrow, wide);
        self.push(old);
        Ok(())
    }

    pub(super) fn atomic_fence(&mut self) -> Step {
        self.builder.ins().fence();
        Ok(())
    }

    /// The byte address of a wait or notify, checked for alignment only.
    fn wait_address(&mut self, memarg: &MemArg, index: Value, bytes: u32) -> Value {
        self.check_alignment(memarg, index, bytes);
        let is_wide = self.memory_plan(memarg.memory).memory64;
        let index = self.extended(index, is_wide);
        if memarg.offset == 0 {
            return index;
        }
        let offset = self.pointer_const(memarg.offset);
        if !is_wide {
            return self.builder.ins().iadd(index, offset);
        }
        let (address, overflow) = self.builder.ins().uadd_overflow(index, offset);
        self.refuse_if(overflow, TrapCode::MemoryOutOfBounds, memarg.memory, index, memarg.offset);
        address
    }

    pub(super) fn atomic_notify(&mut self, memarg: &MemArg) -> Step {
        let (index, count) = self.pop2();
        let address = self.wait_address(memarg, index, 4);
        let memory = self.i32_const(memarg.memory);
        let woken = self.call_builtin(Builtin::memory_atomic_notify, &[memory, address, count]);
        let outside = self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, woken, 0);
        self.trap_if(outside, TrapCode::MemoryOutOfBounds);
        let woken = self.builder.ins().ireduce(types::I32, woken);
        self.push(woken);
        Ok(())
    }

    pub(super) fn atomic_wait(&mut self, memarg: &MemArg, ty: Type) -> Step {
        let (index, expected, timeout) = self.pop3();
        let address = self.wait_address(memarg, index, ty.bytes());
        let memory = self.i32_const(memarg.memory);
        let builtin = if ty == types::I32 { Builtin::memory_atomic_wait32 } else { Builtin::memory_atomic_wait64 };
        let outcome = self.call_builtin(builtin, &[memory, address, expected, timeout]);
        self.push(outcome);
        Ok(())
    }
}
