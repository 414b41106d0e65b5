//! Bulk memory and table instructions
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#memory-instructions)), all by builtin.
//!
//! Invariant: indices are zero-extended to 64 bits before they reach a builtin, which alone checks bounds.
//!
//! Does not know: how bytes are moved.

use super::{Step, Translator};
use cranelift_codegen::ir::{Value, types};
use wattest_abi::{Builtin, TrapCode, mutant};

impl Translator<'_> {
    /// Calls a builtin that returns 0 to make this function trap.
    pub(super) fn call_checked(&mut self, builtin: Builtin, args: &[Value], code: TrapCode) -> Step {
        let done = self.call_builtin(builtin, args);
        self.trap_unless(done, code);
        Ok(())
    }

    pub(super) fn memory_fill(&mut self, memory: u32) -> Step {
        let is_wide = self.memory_plan(memory).memory64;
        let (dst, value, len) = self.pop3();
        let (dst, len) = (self.extended(dst, is_wide), self.extended(len, is_wide));
        let memory = self.i32_const(memory);
        self.call_checked(Builtin::memory_fill, &[memory, dst, value, len], TrapCode::MemoryOutOfBounds)
    }

    pub(super) fn memory_copy(&mut self, dst_memory: u32, src_memory: u32) -> Step {
        let (dst_wide, src_wide) = (self.memory_plan(dst_memory).memory64, self.memory_plan(src_memory).memory64);
        let (dst, src, len) = self.pop3();
        let (dst, src) = (self.extended(dst, dst_wide), self.extended(src, src_wide));
        let len = self.extended(len, dst_wide && src_wide);
        let (dst_memory, src_memory) = (self.i32_const(dst_memory), self.i32_const(src_memory));
        let swapped = mutant!(memory_copy_memories_swapped);
        let (dst_memory, src_memory) = if swapped { (src_memory, dst_memory) } else { (dst_memory, src_memory) };
        let args = [dst_memory, dst, src_memory, src, len];
        self.call_checked(Builtin::memory_copy, &args, TrapCode::MemoryOutOfBounds)
    }

    pub(super) fn memory_init(&mut self, data: u32, memory: u32) -> Step {
        let is_wide = self.memory_plan(memory).memory64;
        let (dst, src, len) = self.pop3();
        let dst = self.extended(dst, is_wide);
        let (memory, data) = (self.i32_const(memory), self.i32_const(data));
        self.call_checked(Builtin::memory_init, &[memory, data, dst, src, len], TrapCode::MemoryOutOfBounds)
    }

    pub(super) fn data_drop(&mut self, data: u32) -> Step {
        let data = self.i32_const(data);
        self.call_builtin(Builtin::data_drop, &[data]);
        Ok(())
    }

    pub(super) fn table_fill(&mut self, table: u32) -> Step {
        let is_wide = self.env.tables[table as usize].table64;
        let (dst, value, len) = self.pop3();
        let (dst, len) = (self.extended(dst, is_wide), self.extended(len, is_wide));
        let value = self.raw_reference(value);
        let table = self.i32_const(table);
        self.call_checked(Builtin::table_fill, &[table, dst, value, len], TrapCode::TableOutOfBounds)
    }

    pub(super) fn table_copy(&mut self, dst_table: u32, src_table: u32) -> Step {
        let dst_wide = self.env.tables[dst_table as usize].table64;
        let src_wide = self.env.tables[src_table as usize].table64;
        let (dst, src, len) = self.pop3();
        let (dst, src) = (self.extended(dst, dst_wide), self.extended(src, src_wide));
        let len = self.extended(len, dst_wide && src_wide);
        let (dst_table, src_table) = (self.i32_const(dst_table), self.i32_const(src_table));
        let args = [dst_table, dst, src_table, src, len];
        self.call_checked(Builtin::table_copy, &args, TrapCode::TableOutOfBounds)
    }

    pub(super) fn table_init(&mut self, element: u32, table: u32) -> Step {
        let is_wide = self.env.tables[table as usize].table64;
        let (dst, src, len) = self.pop3();
        let dst = self.extended(dst, is_wide);
        let (table, element) = (self.i32_const(table), self.i32_const(element));
        self.call_checked(Builtin::table_init, &[table, element, dst, src, len], TrapCode::TableOutOfBounds)
    }

    pub(super) fn elem_drop(&mut self, element: u32) -> Step {
        let element = self.i32_const(element);
        self.call_builtin(Builtin::elem_drop, &[element]);
        Ok(())
    }

    /// A reference as builtins take it.
    pub(super) fn raw_reference(&mut self, value: Value) -> Value {
        let is_wide = self.builder.func.dfg.value_type(value) == types::I64;
        self.extended(value, is_wide)
    }
}
