//! Struct instructions
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#aggregate-instructions)).
//!
//! Invariant: a new struct's fields are all stored before anything can look at them.
//!
//! Does not know: where objects are allocated.

use super::super::{Step, Translator};
use crate::env::StructPlan;
use cranelift_codegen::ir::{InstBuilder, Value};
use wattest_abi::Builtin;
use wattest_abi::gc::STRUCT_FIELDS;
use wattest_module::TypeIndex;

/// Bytes from which on a struct is zeroed by a builtin.
const ZEROED_INLINE_MAX: u32 = 256;

impl<'a> Translator<'a> {
    pub(super) fn struct_plan(&self, ty: u32) -> &'a StructPlan {
        self.env.structs[ty as usize].as_ref().expect("validation has seen a struct type")
    }

    /// Allocates a struct of type `ty`; its second word is zero.
    fn allocate_struct(&mut self, ty: u32) -> Value {
        let type_id = self.type_id(TypeIndex(ty));
        let zero = self.i32_const(0);
        self.allocate_constant(self.struct_plan(ty).layout.bytes, type_id, zero)
    }

    pub(in super::super) fn struct_new(&mut self, ty: u32) -> Step {
        let object = self.make_struct(ty);
        self.push(object);
        Ok(())
    }

    /// Pops the fields of a struct of type `ty` into a new one, whose descriptor, if it has one, is undefined.
    pub(super) fn make_struct(&mut self, ty: u32) -> Value {
        let plan = self.struct_plan(ty);
        let count = plan.kinds.len();
        self.canonicalize_top(count);
        let object = self.allocate_struct(ty);
        let address = self.object_address(object);
        let start = self.state.stack.len() - count;
        for (field, (kind, offset)) in plan.kinds.iter().zip(&plan.layout.offsets).enumerate() {
            let region = self.field_region(TypeIndex(ty), field as u32);
            let flags = self.object_flags(region);
            let value = self.state.stack[start + field];
            self.store_object_field(*kind, flags, value, address, *offset);
        }
        self.state.stack.truncate(start);
        object
    }

    pub(in super::super) fn struct_new_default(&mut self, ty: u32) -> Step {
        let object = self.make_default_struct(ty);
        self.push(object);
        Ok(())
    }

    /// A new struct of type `ty` whose fields are zero, and whose descriptor, if it has one, is undefined.
    pub(super) fn make_default_struct(&mut self, ty: u32) -> Value {
        let plan = self.struct_plan(ty);
        let object = self.allocate_struct(ty);
        if plan.layout.bytes > ZEROED_INLINE_MAX {
            let at = self.heap_distance(object, STRUCT_FIELDS);
            let zero = self.pointer_const(0);
            let bytes = self.pointer_const(u64::from(plan.layout.bytes - STRUCT_FIELDS));
            let scale = self.i32_const(0);
            self.call_builtin(Builtin::heap_fill, &[at, zero, bytes, scale]);
        } else {
            let address = self.object_address(object);
            for (field, (kind, offset)) in plan.kinds.iter().zip(&plan.layout.offsets).enumerate() {
                let region = self.field_region(TypeIndex(ty), field as u32);
                let flags = self.object_flags(region);
                let zero = self.field_zero(*kind);
                self.store_object_field(*kind, flags, zero, address, *offset);
            }
        }
        object
    }

    pub(in super::super) fn struct_get(&mut self, ty: u32, field: u32, is_signed: bool) -> Step {
        let plan = self.struct_plan(ty);
        let (kind, offset) = (plan.kinds[field as usize], plan.layout.offsets[field as usize]);
        let object = self.pop();
        let region = self.field_region(TypeIndex(ty), field);
        let flags = self.null_checked(object, offset, region);
        let address = self.object_address(object);
        let value = self.load_object_field(kind, is_signed, flags, address, offset);
        self.push_field(kind, value);
        Ok(())
    }

    pub(in super::super) fn struct_set(&mut self, ty: u32, field: u32) -> Step {
        let plan = self.struct_plan(ty);
        let (kind, offset) = (plan.kinds[field as usize], plan.layout.offsets[field as usize]);
        let (object, value) = self.pop2();
        let value = self.canonical(value);
        let region = self.field_region(TypeIndex(ty), field);
        let flags = self.null_checked(object, offset, region);
        let address = self.object_address(object);
        self.store_object_field(kind, flags, value, address, offset);
        Ok(())
    }

    pub(in super::super) fn ref_eq(&mut self) -> Step {
        self.compare(cranelift_codegen::ir::condcodes::IntCC::Equal)
    }

    /// The distance from the heap's base, `offset` bytes into `object`, as 64 bits: how builtins take places in objects.
    pub(super) fn heap_distance(&mut self, object: Value, offset: u32) -> Value {
        let distance = self.builder.ins().uextend(cranelift_codegen::ir::types::I64, object);
        self.builder.ins().iadd_imm_u(distance, i64::from(offset))
    }
}
