//! Variable instructions
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#variable-instructions)).
//!
//! Invariant: locals hold values of canonical types.
//!
//! Does not know: how globals are initialized.

use super::state::LocalRun;
use super::vmctx::Region;
use super::{Step, Translator};
use crate::env::GlobalPlan;
use crate::signature::{POINTER, clif_type};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Value, types};
use wattest_abi::artifact::LOCAL_SLOT_BYTES;
use wattest_abi::{ValueKind, mutant};
use wattest_module::ConstOp;

/// Most locals of a function that its frames keep.
const LOCALS_KEPT_MAX: u32 = 1024;

impl Translator<'_> {
    pub(super) fn local_get(&mut self, index: u32) -> Step {
        let variable = self.state.locals[index as usize].variable;
        let value = self.builder.use_var(variable);
        self.push(value);
        Ok(())
    }

    pub(super) fn local_set(&mut self, index: u32) -> Step {
        let value = self.pop();
        self.define_local(index, value);
        Ok(())
    }

    pub(super) fn local_tee(&mut self, index: u32) -> Step {
        let value = self.pop();
        self.define_local(index, value);
        self.push(value);
        Ok(())
    }

    fn define_local(&mut self, index: u32, value: Value) {
        let local = self.state.locals[index as usize];
        let value = if local.ty.is_vector() { self.as_vector(value, local.ty) } else { value };
        self.builder.def_var(local.variable, value);
        self.keep_local(local.kept, value);
    }

    /// Gives the next local, of kind `kind`, a place in the frame, if it is to have one.
    pub(super) fn place_local(&mut self, kind: ValueKind) -> Option<u32> {
        if !self.env.tunables.keep_locals {
            return None;
        }
        let next = self.state.kept_locals;
        let is_number = matches!(kind, ValueKind::I32 | ValueKind::I64 | ValueKind::F32 | ValueKind::F64);
        let kept = (is_number && next < LOCALS_KEPT_MAX).then_some(next);
        self.state.kept_locals += u32::from(kept.is_some());
        match self.state.local_runs.last_mut() {
            Some(last) if last.kind == kind && last.kept.is_some() == kept.is_some() => last.count += 1,
            _ => self.state.local_runs.push(LocalRun { kind, count: 1, kept }),
        }
        kept
    }

    /// Stores the new value of a local where the frame keeps it.
    pub(super) fn keep_local(&mut self, place: Option<u32>, value: Value) {
        let Some(place) = place else { return };
        let slot = *self.state.locals_slot.get_or_insert_with(|| {
            let data = StackSlotData::new(StackSlotKind::ExplicitSlot, 0, LOCAL_SLOT_BYTES.ilog2() as u8);
            self.builder.create_sized_stack_slot(data)
        });
        let bytes = &mut self.builder.func.sized_stack_slots[slot].size;
        *bytes = (*bytes).max((place + 1) * LOCAL_SLOT_BYTES);
        let at = self.builder.ins().stack_addr(POINTER, slot, (place * LOCAL_SLOT_BYTES) as i32);
        self.builder.ins().store(MemFlagsData::trusted(), value, at, 0);
    }

    /// The address and offset of a global's slot, and its alias region.
    fn global_slot(&mut self, index: u32, plan: GlobalPlan) -> (Value, u32, Region) {
        let (base, offset) = self.definition(plan.vmctx_offset, plan.indirect);
        let region = if plan.indirect {
            Region::ImportedGlobals
        } else {
            Region::DefinedGlobal(index - self.env.desc.imported_globals)
        };
        (base, offset, region)
    }

    pub(super) fn global_get(&mut self, index: u32) -> Step {
        let plan = self.env.globals[index as usize];
        if let Some(value) = plan.literal.and_then(|literal| self.literal(literal)) {
            self.push(value);
            return Ok(());
        }
        let (base, offset, region) = self.global_slot(index, plan);
        let flags = if plan.mutable && !mutant!(global_get_as_constant) {
            self.trusted(region)
        } else {
            self.constant_flags(region)
        };
        // The collector changes references, those in immutable globals too.
        let flags = if plan.kind == ValueKind::Ref { self.trusted(region) } else { flags };
        let value = self.builder.ins().load(clif_type(plan.kind), flags, base, offset as i32);
        self.push_kind(plan.kind, value);
        Ok(())
    }

    fn literal(&mut self, literal: ConstOp) -> Option<Value> {
        Some(match literal {
            ConstOp::I32Const(value) => self.i32_const(value as u32),
            ConstOp::I64Const(value) => self.builder.ins().iconst(types::I64, value),
            ConstOp::F32Const(bits) => self.f32_const(bits),
            ConstOp::F64Const(bits) => self.f64_const(bits),
            ConstOp::V128Const(bits) => self.v128_const(bits.to_le_bytes()),
            _ => return None,
        })
    }

    pub(super) fn global_set(&mut self, index: u32) -> Step {
        let plan = self.env.globals[index as usize];
        let value = self.pop();
        let (base, offset, region) = self.global_slot(index, plan);
        let flags = self.trusted(region);
        if plan.kind == ValueKind::V128 && mutant!(global_v128_low_half) {
            let halves = self.as_vector(value, types::I64X2);
            let low = self.builder.ins().extractlane(halves, 0);
            self.builder.ins().store(flags, low, base, offset as i32);
            return Ok(());
        }
        if plan.kind == ValueKind::I64 && mutant!(global_narrow_store) {
            self.builder.ins().istore32(flags, value, base, offset as i32);
            return Ok(());
        }
        self.builder.ins().store(flags, value, base, offset as i32);
        Ok(())
    }
}
