//! Interruption: fuel and epochs.
//!
//! Fuel is charged by static cost. Along a path the cost of what was translated accumulates as a constant (`pending`),
//! and is added to the counter only where paths could otherwise run on: before a loop's back edge, where the constant
//! grows beyond [`PENDING_MAX`], and at exits. Where paths join the largest constant holds, so charges are upper bounds
//! that differ from the exact count by at most [`PENDING_MAX`] per join. Outside loops the counter stays in memory and a
//! short function touches it once, at entry; inside loops it lives in a variable that is written back around calls and
//! where control leaves the outermost loop.
//!
//! Invariant: at loop depth zero memory holds the counter; deeper, the variable does. Each loop iteration and each call
//! is checked.
//!
//! Does not know: what happens when fuel or time are used up.

use super::Translator;
use super::vmctx::Region;
use crate::signature::POINTER;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::immediates::Imm64;
use cranelift_codegen::ir::{InstBuilder, InstructionData, Value, types};
use wattest_abi::{Builtin, vmctx};

/// Largest cost that an edge into a join carries along uncommitted.
const PENDING_MAX: u32 = 32;
/// Opcodes of calls, direct, indirect and by reference, tail calls included.
const CALL_OPCODES: std::ops::RangeInclusive<u8> = 0x10..=0x15;
/// Opcodes that cost nothing: `unreachable`, `nop`, `block`, `loop`, `else`, `end`, `return`, `drop`.
const FREE_OPCODES: [u8; 8] = [0x00, 0x01, 0x02, 0x03, 0x05, 0x0b, 0x0f, 0x1a];

/// Whether `body` may contain a call: a function that does not cannot recur, and need not poll at entry.
pub(super) fn may_call(body: &[u8]) -> bool {
    body.iter().any(|byte| CALL_OPCODES.contains(byte))
}

impl Translator<'_> {
    /// Charges function entry.
    pub(super) fn enter_fuel(&mut self) {
        if !self.env.tunables.fuel {
            return;
        }
        self.fuel_variable = Some(self.builder.declare_var(types::I64));
        let charge = self.builder.ins().iconst(types::I64, 1);
        self.state.fuel.entry_charge = self.builder.func.dfg.value_def(charge).unwrap_inst().into();
        let fuel = self.load_fuel();
        let fuel = self.builder.ins().iadd(fuel, charge);
        self.store_fuel(fuel);
        let (cold, next) = self.cold_and_next();
        let spent = self.builder.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, fuel, 0);
        self.builder.ins().brif(spent, cold, &[], next, &[]);
        self.continue_in(cold);
        self.call_builtin(Builtin::out_of_fuel, &[]);
        self.builder.ins().jump(next, &[]);
        self.continue_in(next);
    }

    /// Settles what could only be known at the end of the function.
    pub(super) fn finish_interrupts(&mut self) {
        let Some(inst) = self.state.fuel.entry_charge.expand() else { return };
        let total = 1 + i64::from(self.state.fuel.entry_extra);
        if let InstructionData::UnaryImm { imm, .. } = &mut self.builder.func.dfg.insts[inst] {
            *imm = Imm64::new(total);
        }
    }

    /// Counts the operator that starts with `opcode`.
    pub(super) fn count_fuel(&mut self, opcode: u8) {
        if !FREE_OPCODES.contains(&opcode) {
            self.state.fuel.pending += 1;
        }
    }

    fn load_fuel(&mut self) -> Value {
        let store = self.store_context();
        let flags = self.trusted(Region::Store);
        self.builder.ins().load(types::I64, flags, store, vmctx::STORE_FUEL as i32)
    }

    fn store_fuel(&mut self, fuel: Value) {
        let store = self.store_context();
        let flags = self.trusted(Region::Store);
        self.builder.ins().store(flags, fuel, store, vmctx::STORE_FUEL as i32);
    }

    /// Adds the pending cost to the counter.
    fn commit_pending(&mut self) {
        let Some(variable) = self.fuel_variable else { return };
        let pending = std::mem::take(&mut self.state.fuel.pending);
        if pending == 0 {
            return;
        }
        let in_loop = self.state.loop_depth > 0;
        let fuel = if in_loop { self.builder.use_var(variable) } else { self.load_fuel() };
        let fuel = self.builder.ins().iadd_imm_s(fuel, i64::from(pending));
        if in_loop {
            self.builder.def_var(variable, fuel);
        } else {
            self.store_fuel(fuel);
        }
    }

    /// Makes memory hold the counter too.
    fn write_back(&mut self) {
        if let Some(variable) = self.fuel_variable
            && self.state.loop_depth > 0
        {
            let fuel = self.builder.use_var(variable);
            self.store_fuel(fuel);
        }
    }

    /// Prepares edges from here to the frames at the positions `targets`.
    pub(super) fn prepare_edges(&mut self, targets: impl Iterator<Item = usize> + Clone) {
        if self.fuel_variable.is_none() {
            return;
        }
        let depth = self.state.loop_depth;
        let frames = &self.state.frames;
        let leaves = depth > 0 && targets.clone().any(|at| frames[at].loop_depth == 0);
        let repeats = targets.clone().any(|at| matches!(frames[at].kind, super::state::FrameKind::Loop));
        if repeats && wattest_abi::mutant!(fuel_free_loops) {
            self.state.fuel.pending = 0;
        }
        if leaves || repeats || self.state.fuel.pending > PENDING_MAX {
            self.commit_pending();
        }
        if leaves {
            self.write_back();
        }
        let pending = self.state.fuel.pending;
        for at in targets {
            let frame = &mut self.state.frames[at];
            frame.fuel_pending = frame.fuel_pending.max(pending);
        }
    }

    /// Brings the counter into its variable before the outermost loop.
    pub(super) fn enter_loop(&mut self) {
        let Some(variable) = self.fuel_variable else { return };
        if self.state.loop_depth > 0 {
            self.commit_pending();
            return;
        }
        let pending = std::mem::take(&mut self.state.fuel.pending);
        let fuel = self.load_fuel();
        let fuel = self.builder.ins().iadd_imm_s(fuel, i64::from(pending));
        self.builder.def_var(variable, fuel);
    }

    /// Writes the counter back where control falls out of the outermost loop, which is still being counted.
    pub(super) fn leave_loop(&mut self) {
        if self.state.loop_depth == 1 {
            self.commit_pending();
            self.write_back();
        }
    }

    /// Checks and polls of a loop header.
    pub(super) fn poll_loop(&mut self) {
        if let Some(variable) = self.fuel_variable {
            let fuel = self.builder.use_var(variable);
            let (cold, next) = self.cold_and_next();
            let spent = self.builder.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, fuel, 0);
            self.builder.ins().brif(spent, cold, &[], next, &[]);
            self.continue_in(cold);
            self.store_fuel(fuel);
            self.call_builtin(Builtin::out_of_fuel, &[]);
            let fuel = self.load_fuel();
            self.builder.def_var(variable, fuel);
            self.builder.ins().jump(next, &[]);
            self.continue_in(next);
        }
        if self.env.tunables.epoch && !wattest_abi::mutant!(epoch_not_polled_in_loops) {
            self.poll_epoch();
        }
    }

    /// Compares the epoch with the deadline.
    pub(super) fn poll_epoch(&mut self) {
        let store = self.store_context();
        let flags = self.constant_flags(Region::Store);
        let epoch = self.builder.ins().load(POINTER, flags, store, vmctx::STORE_EPOCH as i32);
        // Another thread advances the epoch: an atomic load is never merged with an earlier one.
        let now = self.builder.ins().atomic_load(types::I64, cranelift_codegen::ir::MemFlagsData::trusted(), epoch);
        let flags = self.trusted(Region::Store);
        let deadline = self.builder.ins().load(types::I64, flags, store, vmctx::STORE_EPOCH_DEADLINE as i32);
        let (cold, next) = self.cold_and_next();
        let passed = self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, now, deadline);
        self.builder.ins().brif(passed, cold, &[], next, &[]);
        self.continue_in(cold);
        let in_loop = self.state.loop_depth > 0;
        if in_loop {
            self.write_back();
        }
        self.call_builtin(Builtin::new_epoch, &[]);
        self.reload_after_call();
        self.builder.ins().jump(next, &[]);
        self.continue_in(next);
    }

    /// Prepares the counter for a call; `to_host` if the callee may look at it.
    pub(super) fn prepare_call(&mut self, to_host: bool) {
        if to_host {
            self.commit_pending();
        }
        self.write_back();
    }

    /// Takes up the counter after a call.
    pub(super) fn reload_after_call(&mut self) {
        if let Some(variable) = self.fuel_variable
            && self.state.loop_depth > 0
            && !wattest_abi::mutant!(fuel_lost_at_calls)
        {
            let fuel = self.load_fuel();
            self.builder.def_var(variable, fuel);
        }
    }

    /// Settles the counter where the function is left.
    pub(super) fn commit_fuel_at_exit(&mut self) {
        if self.fuel_variable.is_none() {
            return;
        }
        if self.state.loop_depth == 0 && self.state.fuel.pending <= PENDING_MAX {
            // Charged at entry instead, at no further cost.
            self.state.fuel.entry_extra = self.state.fuel.entry_extra.max(self.state.fuel.pending);
            return;
        }
        self.commit_pending();
        self.write_back();
    }
}
