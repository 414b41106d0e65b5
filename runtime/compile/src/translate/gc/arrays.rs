//! Array instructions
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#aggregate-instructions)).
//!
//! Invariant: an element's address is computed only after its index was compared with the length, and masked where
//! speculation matters; null traps before bounds do.
//!
//! Does not know: where objects are allocated; bulk operations move bytes by builtin.

use super::super::vmctx::Region;
use super::super::{Step, Translator};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use wattest_abi::gc::{ARRAY_ELEMENTS, ARRAY_LENGTH, FieldKind, OBJECT_ALIGN, array_bytes};
use wattest_abi::{Builtin, TrapCode, ValueKind};
use wattest_module::TypeIndex;

/// Elements up to which a new array of constant length is filled inline.
const FILLED_INLINE_MAX: u64 = 16;

impl Translator<'_> {
    /// The length of `array`; traps if that is null.
    fn length(&mut self, array: Value) -> Value {
        let flags = self.null_checked(array, ARRAY_LENGTH, Region::ObjectHeaders);
        let address = self.object_address(array);
        self.builder.ins().load(types::I32, flags, address, ARRAY_LENGTH as i32)
    }

    /// The address of element `index` of `array`, less [`ARRAY_ELEMENTS`].
    fn element_address(&mut self, array: Value, index: Value, kind: FieldKind) -> Value {
        let length = self.length(array);
        let inclusive = wattest_abi::mutant!(array_bounds_inclusive);
        let beyond = if inclusive { IntCC::UnsignedGreaterThan } else { IntCC::UnsignedGreaterThanOrEqual };
        let outside = self.builder.ins().icmp(beyond, index, length);
        self.trap_if(outside, TrapCode::ArrayOutOfBounds);
        let index = if self.env.tunables.spectre_mitigation {
            let zero = self.i32_const(0);
            self.builder.ins().select_spectre_guard(outside, zero, index)
        } else {
            index
        };
        let index = self.builder.ins().uextend(types::I64, index);
        let scaled = self.builder.ins().ishl_imm_u(index, i64::from(kind.bytes().ilog2()));
        let base = self.object_address(array);
        self.builder.ins().iadd(base, scaled)
    }

    fn element_flags(&mut self, ty: u32) -> MemFlagsData {
        let region = self.field_region(TypeIndex(ty), 0);
        self.object_flags(region)
    }

    pub(in super::super) fn array_get(&mut self, ty: u32, is_signed: bool) -> Step {
        let kind = self.element_kind(TypeIndex(ty));
        let (array, index) = self.pop2();
        let address = self.element_address(array, index, kind);
        let flags = self.element_flags(ty);
        let value = self.load_object_field(kind, is_signed, flags, address, ARRAY_ELEMENTS);
        self.push_field(kind, value);
        Ok(())
    }

    pub(in super::super) fn array_set(&mut self, ty: u32) -> Step {
        let kind = self.element_kind(TypeIndex(ty));
        let (array, index, value) = self.pop3();
        let value = self.canonical(value);
        let address = self.element_address(array, index, kind);
        let flags = self.element_flags(ty);
        self.store_object_field(kind, flags, value, address, ARRAY_ELEMENTS);
        Ok(())
    }

    pub(in super::super) fn array_len(&mut self) -> Step {
        let array = self.pop();
        let length = self.length(array);
        self.push(length);
        Ok(())
    }

    /// Allocates an array of type `ty` whose elements are undefined.
    fn allocate_array(&mut self, ty: u32, length: Value) -> Value {
        let kind = self.element_kind(TypeIndex(ty));
        let type_id = self.type_id(TypeIndex(ty));
        let bytes = match self.constant(length).and_then(|length| array_bytes(kind.bytes(), length as u32)) {
            Some(bytes) => self.pointer_const(u64::from(bytes)),
            None => {
                let length = self.builder.ins().uextend(types::I64, length);
                let bytes = self.builder.ins().ishl_imm_u(length, i64::from(kind.bytes().ilog2()));
                let rounded = self.builder.ins().iadd_imm_u(bytes, i64::from(ARRAY_ELEMENTS + OBJECT_ALIGN - 1));
                self.builder.ins().band_imm_s(rounded, -i64::from(OBJECT_ALIGN))
            }
        };
        self.allocate(bytes, type_id, length)
    }

    pub(in super::super) fn array_new(&mut self, ty: u32) -> Step {
        let (value, length) = self.pop2();
        let value = self.canonical(value);
        let array = self.allocate_array(ty, length);
        self.fill_new(ty, array, value, length);
        self.push(array);
        Ok(())
    }

    pub(in super::super) fn array_new_default(&mut self, ty: u32) -> Step {
        let length = self.pop();
        let array = self.allocate_array(ty, length);
        let zero = self.field_zero(self.element_kind(TypeIndex(ty)));
        self.fill_new(ty, array, zero, length);
        self.push(array);
        Ok(())
    }

    /// Fills a new array.
    fn fill_new(&mut self, ty: u32, array: Value, value: Value, length: Value) {
        let kind = self.element_kind(TypeIndex(ty));
        match self.constant(length) {
            Some(count) if count <= FILLED_INLINE_MAX => {
                let address = self.object_address(array);
                let flags = self.element_flags(ty);
                for index in 0..count as u32 {
                    self.store_object_field(kind, flags, value, address, ARRAY_ELEMENTS + index * kind.bytes());
                }
            }
            _ => {
                let at = self.heap_distance(array, ARRAY_ELEMENTS);
                self.fill_range(kind, at, value, length);
            }
        }
    }

    /// Stores `count` elements of `value` from distance `at` of the heap on.
    fn fill_range(&mut self, kind: FieldKind, at: Value, value: Value, count: Value) {
        let count = self.builder.ins().uextend(types::I64, count);
        if kind == FieldKind::Value(ValueKind::V128) {
            let value = self.as_vector(value, types::I64X2);
            let low = self.builder.ins().extractlane(value, 0);
            let high = self.builder.ins().extractlane(value, 1);
            self.call_builtin(Builtin::heap_fill_v128, &[at, low, high, count]);
            return;
        }
        let bits = match self.builder.func.dfg.value_type(value) {
            types::I64 => value,
            types::F64 => self.builder.ins().bitcast(types::I64, MemFlagsData::new(), value),
            types::F32 => {
                let bits = self.builder.ins().bitcast(types::I32, MemFlagsData::new(), value);
                self.builder.ins().uextend(types::I64, bits)
            }
            _ => self.builder.ins().uextend(types::I64, value),
        };
        let scale = self.i32_const(kind.bytes().ilog2());
        self.call_builtin(Builtin::heap_fill, &[at, bits, count, scale]);
    }

    pub(in super::super) fn array_new_fixed(&mut self, ty: u32, length: u32) -> Step {
        let kind = self.element_kind(TypeIndex(ty));
        let count = length as usize;
        self.canonicalize_top(count);
        let length = self.i32_const(length);
        let array = self.allocate_array(ty, length);
        let address = self.object_address(array);
        let flags = self.element_flags(ty);
        let start = self.state.stack.len() - count;
        for index in 0..count {
            let value = self.state.stack[start + index];
            let offset = ARRAY_ELEMENTS + index as u32 * kind.bytes();
            self.store_object_field(kind, flags, value, address, offset);
        }
        self.state.stack.truncate(start);
        self.push(array);
        Ok(())
    }

    /// Checks that `count` elements from `index` on lie within `array`; traps if that is null. The first one's distance
    /// from the heap's base.
    fn element_range(&mut self, array: Value, index: Value, count: Value, kind: FieldKind) -> Value {
        let length = self.length(array);
        let length = self.builder.ins().uextend(types::I64, length);
        let index = self.builder.ins().uextend(types::I64, index);
        let count = self.builder.ins().uextend(types::I64, count);
        let end = self.builder.ins().iadd(index, count);
        let outside = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, length);
        self.trap_if(outside, TrapCode::ArrayOutOfBounds);
        let start = self.heap_distance(array, ARRAY_ELEMENTS);
        let scaled = self.builder.ins().ishl_imm_u(index, i64::from(kind.bytes().ilog2()));
        self.builder.ins().iadd(start, scaled)
    }

    pub(in super::super) fn array_fill(&mut self, ty: u32) -> Step {
        let kind = self.element_kind(TypeIndex(ty));
        let (value, count) = self.pop2();
        let (array, index) = self.pop2();
        let value = self.canonical(value);
        let at = self.element_range(array, index, count, kind);
        self.fill_range(kind, at, value, count);
        Ok(())
    }

    pub(in super::super) fn array_copy(&mut self, dst_ty: u32, _src_ty: u32) -> Step {
        let kind = self.element_kind(TypeIndex(dst_ty));
        let (src, src_index, count) = self.pop3();
        let (dst, dst_index) = self.pop2();
        // Both are checked for null before either is for bounds.
        self.length(dst);
        self.length(src);
        let to = self.element_range(dst, dst_index, count, kind);
        let from = self.element_range(src, src_index, count, kind);
        let count = self.builder.ins().uextend(types::I64, count);
        let bytes = self.builder.ins().ishl_imm_u(count, i64::from(kind.bytes().ilog2()));
        self.call_builtin(Builtin::heap_move, &[to, from, bytes]);
        Ok(())
    }

    /// `array.new_data` or `array.new_elem`, by builtin.
    pub(in super::super) fn array_new_segment(&mut self, builtin: Builtin, ty: u32, segment: u32) -> Step {
        let (start, count) = self.pop2();
        let (ty, segment) = (self.i32_const(ty), self.i32_const(segment));
        let array = self.call_builtin(builtin, &[ty, segment, start, count]);
        self.push_kind(ValueKind::Ref, array);
        Ok(())
    }

    pub(in super::super) fn array_init_data(&mut self, ty: u32, data: u32) -> Step {
        let kind = self.element_kind(TypeIndex(ty));
        let (dst_index, src, count) = self.pop3();
        let array = self.pop();
        let at = self.element_range(array, dst_index, count, kind);
        let count = self.builder.ins().uextend(types::I64, count);
        let bytes = self.builder.ins().ishl_imm_u(count, i64::from(kind.bytes().ilog2()));
        let data = self.i32_const(data);
        self.call_checked(Builtin::array_init_data, &[at, data, src, bytes], TrapCode::MemoryOutOfBounds)
    }

    pub(in super::super) fn array_init_elem(&mut self, ty: u32, element: u32) -> Step {
        let kind = self.element_kind(TypeIndex(ty));
        let (dst_index, src, count) = self.pop3();
        let array = self.pop();
        let at = self.element_range(array, dst_index, count, kind);
        let element = self.i32_const(element);
        self.call_checked(Builtin::array_init_elem, &[at, element, src, count], TrapCode::TableOutOfBounds)
    }
}
