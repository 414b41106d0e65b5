//! Variable instructions
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#variable-instructions)).
//!
//! Invariant: locals hold values of canonical types.
//!
//! Does not know: how globals are initialized.

use super::vmctx::Region;
use super::{Step, Translator};
use crate::env::GlobalPlan;
use crate::signature::clif_type;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use wattest_abi::{ValueKind, mutant};
use wattest_module::ConstOp;

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
