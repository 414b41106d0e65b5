//! Traps, conditional and not, and checked divisions.
//!
//! Invariant: with signal-based traps off, no instruction emitted here or by its callers can fault: every trap is a call of
//! the `trap` builtin in a cold block.
//!
//! Does not know: how traps unwind.

use super::{Step, Translator};
use crate::signature::POINTER;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, Block, InstBuilder, Value, types};
use wattest_abi::{Builtin, TrapCode, vmctx};

/// The code generator's form of `code`.
pub(crate) const fn clif_trap(code: TrapCode) -> ir::TrapCode {
    ir::TrapCode::unwrap_user(code as u8)
}

impl Translator<'_> {
    /// Ends the current block with a trap.
    pub(super) fn trap(&mut self, code: TrapCode) {
        if !self.env.tunables.signals_based_traps {
            let argument = self.i32_const(code as u32);
            self.call_builtin(Builtin::trap, &[argument]);
        }
        self.builder.ins().trap(clif_trap(code));
    }

    /// Traps if `condition` is not zero.
    pub(super) fn trap_if(&mut self, condition: Value, code: TrapCode) {
        if self.env.tunables.signals_based_traps {
            self.builder.ins().trapnz(condition, clif_trap(code));
            return;
        }
        let (cold, next) = self.cold_and_next();
        self.builder.ins().brif(condition, cold, &[], next, &[]);
        self.fill_cold(cold, code);
        self.continue_in(next);
    }

    /// Traps if `condition` is zero.
    pub(super) fn trap_unless(&mut self, condition: Value, code: TrapCode) {
        if self.env.tunables.signals_based_traps {
            self.builder.ins().trapz(condition, clif_trap(code));
            return;
        }
        let (cold, next) = self.cold_and_next();
        self.builder.ins().brif(condition, next, &[], cold, &[]);
        self.fill_cold(cold, code);
        self.continue_in(next);
    }

    /// Traps if `condition` is not zero: `index` plus `offset` is too large for the memory or table `entity`. Where compiled
    /// code goes on, this costs what [`Translator::trap_if`] does: the message's numbers are stored in the cold block.
    pub(super) fn refuse_if(&mut self, condition: Value, code: TrapCode, entity: u32, index: Value, offset: u64) {
        let (cold, next) = self.cold_and_next();
        self.builder.ins().brif(condition, cold, &[], next, &[]);
        self.continue_in(cold);
        // Not loaded as the constant that it is: that could be moved out of a loop, and hold a register there.
        let store = self.load_field(POINTER, self.vmctx, vmctx::STORE);
        let flags = self.trusted(super::vmctx::Region::Store);
        let (offset, entity) = (self.pointer_const(offset), self.pointer_const(u64::from(entity)));
        let rows = [
            (self.vmctx, vmctx::STORE_REFUSED_VMCTX),
            (index, vmctx::STORE_REFUSED_INDEX),
            (offset, vmctx::STORE_REFUSED_OFFSET),
            (entity, vmctx::STORE_REFUSED_ENTITY),
        ];
        for (value, at) in rows {
            self.builder.ins().store(flags, value, store, at as i32);
        }
        self.trap(code);
        self.continue_in(next);
    }

    /// A cold block and an ordinary one.
    pub(super) fn cold_and_next(&mut self) -> (Block, Block) {
        let cold = self.builder.create_block();
        self.builder.set_cold_block(cold);
        (cold, self.builder.create_block())
    }

    fn fill_cold(&mut self, cold: Block, code: TrapCode) {
        self.continue_in(cold);
        self.trap(code);
    }

    /// Goes on in `block`, all of whose predecessors exist.
    pub(super) fn continue_in(&mut self, block: Block) {
        self.builder.seal_block(block);
        self.builder.switch_to_block(block);
    }

    /// The `unreachable` instruction.
    pub(super) fn unreachable(&mut self) -> Step {
        self.commit_fuel_at_exit();
        if self.env.tunables.addresses {
            // A block that does nothing but trap would be merged with the branch to it, and the trap be reported there.
            self.builder.ins().sequence_point();
        }
        self.trap(TrapCode::Unreachable);
        self.state.reachable = false;
        Ok(())
    }

    /// Traps if the stack pointer is below the store's limit.
    pub(super) fn check_stack(&mut self) {
        let store = self.store_context();
        let flags = self.trusted(super::vmctx::Region::Store);
        let limit = self.builder.ins().load(POINTER, flags, store, vmctx::STORE_STACK_LIMIT as i32);
        let stack = self.builder.ins().get_stack_pointer(POINTER);
        let overflow = self.builder.ins().icmp(IntCC::UnsignedLessThan, stack, limit);
        self.trap_if(overflow, TrapCode::StackOverflow);
    }

    /// Emits what a division by `divisor` needs where faults are off.
    pub(super) fn check_divisor(&mut self, divisor: Value) {
        if !self.env.tunables.signals_based_traps {
            self.trap_unless(divisor, TrapCode::IntegerDivideByZero);
        }
    }

    /// Emits what a signed division needs where faults are off, besides [`Self::check_divisor`].
    pub(super) fn check_overflow(&mut self, dividend: Value, divisor: Value) {
        if self.env.tunables.signals_based_traps {
            return;
        }
        let is_wide = self.builder.func.dfg.value_type(dividend) == types::I64;
        let lowest = if is_wide { i64::MIN } else { i64::from(i32::MIN) };
        let is_lowest = self.builder.ins().icmp_imm_s(IntCC::Equal, dividend, lowest);
        let is_minus_one = self.builder.ins().icmp_imm_s(IntCC::Equal, divisor, -1);
        let overflow = self.builder.ins().band(is_lowest, is_minus_one);
        self.trap_if(overflow, TrapCode::IntegerOverflow);
    }
}
