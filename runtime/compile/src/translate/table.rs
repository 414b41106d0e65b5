//! Table instructions
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#table-instructions)), but bulk ones.
//!
//! Invariant: an entry's address is computed only after its index was compared with the length, and masked where
//! speculation matters.
//!
//! Does not know: how tables grow.

use super::vmctx::Region;
use super::{Step, Translator};
use crate::signature::POINTER;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use wattest_abi::vmctx::{self, ENTRY_BYTES, REF_ENTRY_BYTES};
use wattest_abi::{Builtin, TrapCode, ValueKind, mutant};

impl Translator<'_> {
    /// The table's length in elements, as 64 bits.
    pub(super) fn table_length(&mut self, table: u32) -> Value {
        let plan = &self.env.tables[table as usize];
        if let Some(length) = plan.fixed_length {
            return self.pointer_const(length);
        }
        let (base, offset) = self.definition(plan.vmctx_offset, plan.indirect);
        self.load_field(POINTER, base, offset + vmctx::TABLE_LENGTH)
    }

    /// The address of the entry at `index`; traps with `code` if there is none.
    pub(super) fn table_entry(&mut self, table: u32, index: Value, code: TrapCode) -> Value {
        let plan = &self.env.tables[table as usize];
        let mut index = self.extended(index, plan.table64);
        if plan.table64 && mutant!(table64_index_truncated) {
            index = self.builder.ins().band_imm_u(index, 0xffff_ffff);
        }
        let length = self.table_length(table);
        let inclusive = mutant!(table_set_bounds_inclusive) && code == TrapCode::TableOutOfBounds;
        let beyond = if inclusive { IntCC::UnsignedGreaterThan } else { IntCC::UnsignedGreaterThanOrEqual };
        let outside = self.builder.ins().icmp(beyond, index, length);
        if code == TrapCode::TableOutOfBounds {
            self.refuse_if(outside, code, table, index, 0);
        } else {
            // A call, of which there are many: its message does without numbers.
            self.trap_if(outside, code);
        }
        let (definition, offset) = self.definition(plan.vmctx_offset, plan.indirect);
        let base = self.load_field(POINTER, definition, offset + vmctx::TABLE_BASE);
        let log2 = if plan.element == ValueKind::FuncRef { ENTRY_BYTES.ilog2() } else { REF_ENTRY_BYTES.ilog2() };
        let scaled = self.builder.ins().ishl_imm_u(index, i64::from(log2));
        let entry = self.builder.ins().iadd(base, scaled);
        if !self.env.tunables.spectre_mitigation {
            return entry;
        }
        self.builder.ins().select_spectre_guard(outside, base, entry)
    }

    /// Flags of an access to a checked entry.
    pub(super) fn entry_flags(&mut self) -> MemFlagsData {
        self.trusted(Region::Tables)
    }

    pub(super) fn table_get(&mut self, table: u32) -> Step {
        let index = self.pop();
        let entry = self.table_entry(table, index, TrapCode::TableOutOfBounds);
        let flags = self.entry_flags();
        let kind = self.env.tables[table as usize].element;
        let value = if kind == ValueKind::FuncRef {
            self.builder.ins().load(POINTER, flags, entry, vmctx::ENTRY_FUNC_REF as i32)
        } else {
            self.builder.ins().load(types::I32, flags, entry, 0)
        };
        self.push_kind(kind, value);
        Ok(())
    }

    pub(super) fn table_set(&mut self, table: u32) -> Step {
        let (index, value) = self.pop2();
        let entry = self.table_entry(table, index, TrapCode::TableOutOfBounds);
        if self.env.tables[table as usize].element == ValueKind::FuncRef {
            self.set_function_entry(entry, value);
        } else {
            let flags = self.entry_flags();
            let value = self.raw_reference(value);
            self.builder.ins().store(flags, value, entry, 0);
        }
        Ok(())
    }

    /// Copies what `func_ref` points to into `entry`, or clears the entry if it is null.
    fn set_function_entry(&mut self, entry: Value, func_ref: Value) {
        let filled = self.builder.create_block();
        let join = self.builder.create_block();
        let params = [0; 3].map(|_| self.builder.append_block_param(join, types::I64));
        let zero = self.pointer_const(0).into();
        self.builder.ins().brif(func_ref, filled, &[], join, &[zero, zero, zero]);
        self.continue_in(filled);
        // A function reference never changes, but null must not be dereferenced: the loads may not move.
        let flags = self.trusted(Region::Vmctx);
        let code = self.builder.ins().load(POINTER, flags, func_ref, vmctx::FUNC_REF_CODE as i32);
        let callee = self.builder.ins().load(POINTER, flags, func_ref, vmctx::FUNC_REF_VMCTX as i32);
        let type_id = self.builder.ins().uload32(flags, func_ref, vmctx::FUNC_REF_TYPE_ID as i32);
        self.builder.ins().jump(join, &[code.into(), callee.into(), type_id.into()]);
        self.continue_in(join);
        let flags = self.entry_flags();
        let fields = [vmctx::ENTRY_CODE, vmctx::ENTRY_VMCTX, vmctx::ENTRY_TYPE_ID];
        for (value, offset) in params.into_iter().zip(fields) {
            self.builder.ins().store(flags, value, entry, offset as i32);
        }
        self.builder.ins().store(flags, func_ref, entry, vmctx::ENTRY_FUNC_REF as i32);
    }

    pub(super) fn table_size(&mut self, table: u32) -> Step {
        let length = self.table_length(table);
        let length = self.narrowed(length, self.env.tables[table as usize].table64);
        self.push(length);
        Ok(())
    }

    pub(super) fn table_grow(&mut self, table: u32) -> Step {
        let is_wide = self.env.tables[table as usize].table64;
        let (value, delta) = self.pop2();
        let delta = self.extended(delta, is_wide);
        let value = self.raw_reference(value);
        let which = self.i32_const(table);
        let old = self.call_builtin(Builtin::table_grow, &[which, value, delta]);
        let old = self.narrowed(old, is_wide);
        self.push(old);
        Ok(())
    }
}
