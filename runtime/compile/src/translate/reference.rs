//! Reference instructions
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#reference-instructions)).
//!
//! Invariant: null is 0 in every representation.
//!
//! Does not know: the garbage-collected heap; its instructions are a chapter of their own.

use super::{Step, Translator};
use crate::CompileErrorKind;
use crate::signature::{POINTER, clif_type, heap_kind};
use cranelift_codegen::ir::InstBuilder;
use wasmparser::HeapType;
use wattest_abi::{TrapCode, vmctx};
use wattest_module::FuncIndex;

impl Translator<'_> {
    pub(super) fn ref_null(&mut self, heap: HeapType) -> Step {
        let ty = clif_type(heap_kind(self.env.desc, heap));
        let value = self.builder.ins().iconst(ty, 0);
        self.push(value);
        Ok(())
    }

    pub(super) fn ref_as_non_null(&mut self) -> Step {
        let value = self.pop();
        self.trap_unless(value, TrapCode::NullReference);
        self.push(value);
        Ok(())
    }

    pub(super) fn ref_func(&mut self, index: u32) -> Step {
        let func = FuncIndex(index);
        let value = if self.env.desc.defined_func(func).is_none() {
            let offset = self.env.import_offset(func) + vmctx::IMPORT_FUNC_REF;
            self.load_constant(POINTER, self.vmctx, offset)
        } else {
            let slot = self.env.desc.func_ref_slot(func);
            let slot = slot.ok_or_else(|| CompileErrorKind::Internal(format!("function {index} does not escape")))?;
            let offset = self.env.offsets.func_refs + slot * vmctx::FUNC_REF_BYTES;
            self.builder.ins().iadd_imm_u(self.vmctx, i64::from(offset))
        };
        self.push(value);
        Ok(())
    }
}
