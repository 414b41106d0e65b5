//! The table of operators: which method of which chapter translates each.
//!
//! One row per operator of [`wasmparser::VisitOperator`]; an operator without a row does not compile. Vector operators have
//! a table of their own.
//!
//! Invariant: rows name methods and pass immediates; they decide nothing.
//!
//! Does not know: what the methods do.

use super::numeric::Rounding;
use super::{Step, Translator};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, types};
use wasmparser::{
    BlockType, BrTable, HeapType, Ieee32, Ieee64, MemArg, Ordering, RefType, ResumeTable, TryTable, ValType,
    VisitOperator, VisitSimdOperator,
};
use wattest_abi::Builtin;

/// `visitor(immediates) => method(arguments);`
macro_rules! rows {
    ($($visit:ident($($arg:tt: $ty:ty),*) => $method:ident($($value:expr),*);)*) => {
        $(
            fn $visit(&mut self, $($arg: $ty),*) -> Step {
                self.$method($($value),*)
            }
        )*
    };
}

/// `"proposal": visitor(immediates) …;`
macro_rules! unsupported {
    ($($proposal:literal: $($visit:ident($($arg:tt: $ty:ty),*))*;)*) => {
        $($(
            fn $visit(&mut self, $($arg: $ty),*) -> Step {
                self.unsupported($proposal)
            }
        )*)*
    };
}

impl<'w> VisitOperator<'w> for Translator<'_> {
    type Output = Step;

    fn simd_visitor(&mut self) -> Option<&mut dyn VisitSimdOperator<'w, Output = Step>> {
        Some(self)
    }

    rows! {
        // The first version of WebAssembly.
        visit_unreachable() => unreachable();
        visit_nop() => nothing();
        visit_block(blockty: BlockType) => block(blockty);
        visit_loop(blockty: BlockType) => loop_(blockty);
        visit_if(blockty: BlockType) => if_(blockty);
        visit_else() => else_();
        visit_end() => end();
        visit_br(relative_depth: u32) => br(relative_depth);
        visit_br_if(relative_depth: u32) => br_if(relative_depth);
        visit_br_table(targets: BrTable<'w>) => br_table(&targets);
        visit_return() => return_();
        visit_call(function_index: u32) => call(function_index);
        visit_call_indirect(type_index: u32, table_index: u32) => call_indirect(type_index, table_index);
        visit_drop() => drop_();
        visit_select() => select();
        visit_local_get(local_index: u32) => local_get(local_index);
        visit_local_set(local_index: u32) => local_set(local_index);
        visit_local_tee(local_index: u32) => local_tee(local_index);
        visit_global_get(global_index: u32) => global_get(global_index);
        visit_global_set(global_index: u32) => global_set(global_index);
        visit_i32_load(memarg: MemArg) => load(&memarg, types::I32);
        visit_i64_load(memarg: MemArg) => load(&memarg, types::I64);
        visit_f32_load(memarg: MemArg) => load(&memarg, types::F32);
        visit_f64_load(memarg: MemArg) => load(&memarg, types::F64);
        visit_i32_load8_s(memarg: MemArg) => load_extended(&memarg, types::I8, types::I32, true);
        visit_i32_load8_u(memarg: MemArg) => load_extended(&memarg, types::I8, types::I32, false);
        visit_i32_load16_s(memarg: MemArg) => load_extended(&memarg, types::I16, types::I32, true);
        visit_i32_load16_u(memarg: MemArg) => load_extended(&memarg, types::I16, types::I32, false);
        visit_i64_load8_s(memarg: MemArg) => load_extended(&memarg, types::I8, types::I64, true);
        visit_i64_load8_u(memarg: MemArg) => load_extended(&memarg, types::I8, types::I64, false);
        visit_i64_load16_s(memarg: MemArg) => load_extended(&memarg, types::I16, types::I64, true);
        visit_i64_load16_u(memarg: MemArg) => load_extended(&memarg, types::I16, types::I64, false);
        visit_i64_load32_s(memarg: MemArg) => load_extended(&memarg, types::I32, types::I64, true);
        visit_i64_load32_u(memarg: MemArg) => load_extended(&memarg, types::I32, types::I64, false);
        visit_i32_store(memarg: MemArg) => store(&memarg);
        visit_i64_store(memarg: MemArg) => store(&memarg);
        visit_f32_store(memarg: MemArg) => store(&memarg);
        visit_f64_store(memarg: MemArg) => store(&memarg);
        visit_i32_store8(memarg: MemArg) => store_narrow(&memarg, types::I8);
        visit_i32_store16(memarg: MemArg) => store_narrow(&memarg, types::I16);
        visit_i64_store8(memarg: MemArg) => store_narrow(&memarg, types::I8);
        visit_i64_store16(memarg: MemArg) => store_narrow(&memarg, types::I16);
        visit_i64_store32(memarg: MemArg) => store_narrow(&memarg, types::I32);
        visit_memory_size(mem: u32) => memory_size(mem);
        visit_memory_grow(mem: u32) => memory_grow(mem);
        visit_i32_const(value: i32) => constant_i32(value);
        visit_i64_const(value: i64) => constant_i64(value);
        visit_f32_const(value: Ieee32) => constant_f32(value.bits());
        visit_f64_const(value: Ieee64) => constant_f64(value.bits());
        visit_i32_eqz() => equals_zero();
        visit_i32_eq() => compare(IntCC::Equal);
        visit_i32_ne() => compare(IntCC::NotEqual);
        visit_i32_lt_s() => compare(IntCC::SignedLessThan);
        visit_i32_lt_u() => compare(IntCC::UnsignedLessThan);
        visit_i32_gt_s() => compare(IntCC::SignedGreaterThan);
        visit_i32_gt_u() => compare(IntCC::UnsignedGreaterThan);
        visit_i32_le_s() => compare(IntCC::SignedLessThanOrEqual);
        visit_i32_le_u() => compare(IntCC::UnsignedLessThanOrEqual);
        visit_i32_ge_s() => compare(IntCC::SignedGreaterThanOrEqual);
        visit_i32_ge_u() => compare(IntCC::UnsignedGreaterThanOrEqual);
        visit_i64_eqz() => equals_zero();
        visit_i64_eq() => compare(IntCC::Equal);
        visit_i64_ne() => compare(IntCC::NotEqual);
        visit_i64_lt_s() => compare(IntCC::SignedLessThan);
        visit_i64_lt_u() => compare(IntCC::UnsignedLessThan);
        visit_i64_gt_s() => compare(IntCC::SignedGreaterThan);
        visit_i64_gt_u() => compare(IntCC::UnsignedGreaterThan);
        visit_i64_le_s() => compare(IntCC::SignedLessThanOrEqual);
        visit_i64_le_u() => compare(IntCC::UnsignedLessThanOrEqual);
        visit_i64_ge_s() => compare(IntCC::SignedGreaterThanOrEqual);
        visit_i64_ge_u() => compare(IntCC::UnsignedGreaterThanOrEqual);
        visit_f32_eq() => compare_floats(FloatCC::Equal);
        visit_f32_ne() => compare_floats(FloatCC::NotEqual);
        visit_f32_lt() => compare_floats(FloatCC::LessThan);
        visit_f32_gt() => compare_floats(FloatCC::GreaterThan);
        visit_f32_le() => compare_floats(FloatCC::LessThanOrEqual);
        visit_f32_ge() => compare_floats(FloatCC::GreaterThanOrEqual);
        visit_f64_eq() => compare_floats(FloatCC::Equal);
        visit_f64_ne() => compare_floats(FloatCC::NotEqual);
        visit_f64_lt() => compare_floats(FloatCC::LessThan);
        visit_f64_gt() => compare_floats(FloatCC::GreaterThan);
        visit_f64_le() => compare_floats(FloatCC::LessThanOrEqual);
        visit_f64_ge() => compare_floats(FloatCC::GreaterThanOrEqual);
        visit_i32_clz() => unary(|b, x| b.ins().clz(x));
        visit_i32_ctz() => unary(|b, x| b.ins().ctz(x));
        visit_i32_popcnt() => unary(|b, x| b.ins().popcnt(x));
        visit_i32_add() => binary(|b, x, y| b.ins().iadd(x, y));
        visit_i32_sub() => binary(|b, x, y| b.ins().isub(x, y));
        visit_i32_mul() => binary(|b, x, y| b.ins().imul(x, y));
        visit_i32_div_s() => divide_signed();
        visit_i32_div_u() => divide_unsigned();
        visit_i32_rem_s() => remainder_signed();
        visit_i32_rem_u() => remainder_unsigned();
        visit_i32_and() => binary(|b, x, y| b.ins().band(x, y));
        visit_i32_or() => binary(|b, x, y| b.ins().bor(x, y));
        visit_i32_xor() => binary(|b, x, y| b.ins().bxor(x, y));
        visit_i32_shl() => binary(|b, x, y| b.ins().ishl(x, y));
        visit_i32_shr_s() => binary(|b, x, y| b.ins().sshr(x, y));
        visit_i32_shr_u() => binary(|b, x, y| b.ins().ushr(x, y));
        visit_i32_rotl() => binary(|b, x, y| b.ins().rotl(x, y));
        visit_i32_rotr() => binary(|b, x, y| b.ins().rotr(x, y));
        visit_i64_clz() => unary(|b, x| b.ins().clz(x));
        visit_i64_ctz() => unary(|b, x| b.ins().ctz(x));
        visit_i64_popcnt() => unary(|b, x| b.ins().popcnt(x));
        visit_i64_add() => binary(|b, x, y| b.ins().iadd(x, y));
        visit_i64_sub() => binary(|b, x, y| b.ins().isub(x, y));
        visit_i64_mul() => binary(|b, x, y| b.ins().imul(x, y));
        visit_i64_div_s() => divide_signed();
        visit_i64_div_u() => divide_unsigned();
        visit_i64_rem_s() => remainder_signed();
        visit_i64_rem_u() => remainder_unsigned();
        visit_i64_and() => binary(|b, x, y| b.ins().band(x, y));
        visit_i64_or() => binary(|b, x, y| b.ins().bor(x, y));
        visit_i64_xor() => binary(|b, x, y| b.ins().bxor(x, y));
        visit_i64_shl() => binary(|b, x, y| b.ins().ishl(x, y));
        visit_i64_shr_s() => binary(|b, x, y| b.ins().sshr(x, y));
        visit_i64_shr_u() => binary(|b, x, y| b.ins().ushr(x, y));
        visit_i64_rotl() => binary(|b, x, y| b.ins().rotl(x, y));
        visit_i64_rotr() => binary(|b, x, y| b.ins().rotr(x, y));
        visit_f32_abs() => unary(|b, x| b.ins().fabs(x));
        visit_f32_neg() => unary(|b, x| b.ins().fneg(x));
        visit_f32_ceil() => round(Rounding::Ceil);
        visit_f32_floor() => round(Rounding::Floor);
        visit_f32_trunc() => round(Rounding::Trunc);
        visit_f32_nearest() => round(Rounding::Nearest);
        visit_f32_sqrt() => unary(|b, x| b.ins().sqrt(x));
        visit_f32_add() => binary(|b, x, y| b.ins().fadd(x, y));
        visit_f32_sub() => binary(|b, x, y| b.ins().fsub(x, y));
        visit_f32_mul() => binary(|b, x, y| b.ins().fmul(x, y));
        visit_f32_div() => binary(|b, x, y| b.ins().fdiv(x, y));
        visit_f32_min() => binary(|b, x, y| b.ins().fmin(x, y));
        visit_f32_max() => binary(|b, x, y| b.ins().fmax(x, y));
        visit_f32_copysign() => binary(|b, x, y| b.ins().fcopysign(x, y));
        visit_f64_abs() => unary(|b, x| b.ins().fabs(x));
        visit_f64_neg() => unary(|b, x| b.ins().fneg(x));
        visit_f64_ceil() => round(Rounding::Ceil);
        visit_f64_floor() => round(Rounding::Floor);
        visit_f64_trunc() => round(Rounding::Trunc);
        visit_f64_nearest() => round(Rounding::Nearest);
        visit_f64_sqrt() => unary(|b, x| b.ins().sqrt(x));
        visit_f64_add() => binary(|b, x, y| b.ins().fadd(x, y));
        visit_f64_sub() => binary(|b, x, y| b.ins().fsub(x, y));
        visit_f64_mul() => binary(|b, x, y| b.ins().fmul(x, y));
        visit_f64_div() => binary(|b, x, y| b.ins().fdiv(x, y));
        visit_f64_min() => binary(|b, x, y| b.ins().fmin(x, y));
        visit_f64_max() => binary(|b, x, y| b.ins().fmax(x, y));
        visit_f64_copysign() => binary(|b, x, y| b.ins().fcopysign(x, y));
        visit_i32_wrap_i64() => unary(|b, x| b.ins().ireduce(types::I32, x));
        visit_i32_trunc_f32_s() => truncate(types::I32, true);
        visit_i32_trunc_f32_u() => truncate(types::I32, false);
        visit_i32_trunc_f64_s() => truncate(types::I32, true);
        visit_i32_trunc_f64_u() => truncate(types::I32, false);
        visit_i64_extend_i32_s() => unary(|b, x| b.ins().sextend(types::I64, x));
        visit_i64_extend_i32_u() => extend_unsigned();
        visit_i64_trunc_f32_s() => truncate(types::I64, true);
        visit_i64_trunc_f32_u() => truncate(types::I64, false);
        visit_i64_trunc_f64_s() => truncate(types::I64, true);
        visit_i64_trunc_f64_u() => truncate(types::I64, false);
        visit_f32_convert_i32_s() => unary(|b, x| b.ins().fcvt_from_sint(types::F32, x));
        visit_f32_convert_i32_u() => unary(|b, x| b.ins().fcvt_from_uint(types::F32, x));
        visit_f32_convert_i64_s() => unary(|b, x| b.ins().fcvt_from_sint(types::F32, x));
        visit_f32_convert_i64_u() => unary(|b, x| b.ins().fcvt_from_uint(types::F32, x));
        visit_f32_demote_f64() => unary(|b, x| b.ins().fdemote(types::F32, x));
        visit_f64_convert_i32_s() => unary(|b, x| b.ins().fcvt_from_sint(types::F64, x));
        visit_f64_convert_i32_u() => unary(|b, x| b.ins().fcvt_from_uint(types::F64, x));
        visit_f64_convert_i64_s() => unary(|b, x| b.ins().fcvt_from_sint(types::F64, x));
        visit_f64_convert_i64_u() => unary(|b, x| b.ins().fcvt_from_uint(types::F64, x));
        visit_f64_promote_f32() => unary(|b, x| b.ins().fpromote(types::F64, x));
        visit_i32_reinterpret_f32() => reinterpret(types::I32);
        visit_i64_reinterpret_f64() => reinterpret(types::I64);
        visit_f32_reinterpret_i32() => reinterpret(types::F32);
        visit_f64_reinterpret_i64() => reinterpret(types::F64);
        // Sign extension.
        visit_i32_extend8_s() => extend_in_place(types::I8);
        visit_i32_extend16_s() => extend_in_place(types::I16);
        visit_i64_extend8_s() => extend_in_place(types::I8);
        visit_i64_extend16_s() => extend_in_place(types::I16);
        visit_i64_extend32_s() => extend_in_place(types::I32);
        // Saturating truncation.
        visit_i32_trunc_sat_f32_s() => truncate_saturating(types::I32, true);
        visit_i32_trunc_sat_f32_u() => truncate_saturating(types::I32, false);
        visit_i32_trunc_sat_f64_s() => truncate_saturating(types::I32, true);
        visit_i32_trunc_sat_f64_u() => truncate_saturating(types::I32, false);
        visit_i64_trunc_sat_f32_s() => truncate_saturating(types::I64, true);
        visit_i64_trunc_sat_f32_u() => truncate_saturating(types::I64, false);
        visit_i64_trunc_sat_f64_s() => truncate_saturating(types::I64, true);
        visit_i64_trunc_sat_f64_u() => truncate_saturating(types::I64, false);
        // Bulk memory.
        visit_memory_init(data_index: u32, mem: u32) => memory_init(data_index, mem);
        visit_data_drop(data_index: u32) => data_drop(data_index);
        visit_memory_copy(dst_mem: u32, src_mem: u32) => memory_copy(dst_mem, src_mem);
        visit_memory_fill(mem: u32) => memory_fill(mem);
        visit_table_init(elem_index: u32, table: u32) => table_init(elem_index, table);
        visit_elem_drop(elem_index: u32) => elem_drop(elem_index);
        visit_table_copy(dst_table: u32, src_table: u32) => table_copy(dst_table, src_table);
        // Reference types.
        visit_typed_select(ty: ValType) => typed_select(ty);
        visit_typed_select_multi(_: Vec<ValType>) => unsupported("a select of several values");
        visit_ref_null(hty: HeapType) => ref_null(hty);
        visit_ref_is_null() => equals_zero();
        visit_ref_func(function_index: u32) => ref_func(function_index);
        visit_table_fill(table: u32) => table_fill(table);
        visit_table_get(table: u32) => table_get(table);
        visit_table_set(table: u32) => table_set(table);
        visit_table_grow(table: u32) => table_grow(table);
        visit_table_size(table: u32) => table_size(table);
        // Tail calls.
        visit_return_call(function_index: u32) => return_call(function_index);
        visit_return_call_indirect(type_index: u32, table_index: u32) => return_call_indirect(type_index, table_index);
        // Exceptions.
        visit_try_table(try_table: TryTable) => try_table(&try_table);
        visit_throw(tag_index: u32) => throw(tag_index);
        visit_throw_ref() => throw_ref();
        // Exceptions in their legacy encoding.
        visit_try(blockty: BlockType) => try_(blockty);
        visit_catch(tag_index: u32) => catch(tag_index);
        visit_rethrow(relative_depth: u32) => rethrow(relative_depth);
        visit_delegate(relative_depth: u32) => delegate(relative_depth);
        visit_catch_all() => catch_all();
        // Threads.
        visit_memory_atomic_notify(memarg: MemArg) => atomic_notify(&memarg);
        visit_memory_atomic_wait32(memarg: MemArg) => atomic_wait(&memarg, types::I32);
        visit_memory_atomic_wait64(memarg: MemArg) => atomic_wait(&memarg, types::I64);
        visit_atomic_fence() => atomic_fence();
        visit_i32_atomic_load(memarg: MemArg) => atomic_load(&memarg, types::I32, types::I32);
        visit_i64_atomic_load(memarg: MemArg) => atomic_load(&memarg, types::I64, types::I64);
        visit_i32_atomic_load8_u(memarg: MemArg) => atomic_load(&memarg, types::I8, types::I32);
        visit_i32_atomic_load16_u(memarg: MemArg) => atomic_load(&memarg, types::I16, types::I32);
        visit_i64_atomic_load8_u(memarg: MemArg) => atomic_load(&memarg, types::I8, types::I64);
        visit_i64_atomic_load16_u(memarg: MemArg) => atomic_load(&memarg, types::I16, types::I64);
        visit_i64_atomic_load32_u(memarg: MemArg) => atomic_load(&memarg, types::I32, types::I64);
        visit_i32_atomic_store(memarg: MemArg) => atomic_store(&memarg, types::I32);
        visit_i64_atomic_store(memarg: MemArg) => atomic_store(&memarg, types::I64);
        visit_i32_atomic_store8(memarg: MemArg) => atomic_store(&memarg, types::I8);
        visit_i32_atomic_store16(memarg: MemArg) => atomic_store(&memarg, types::I16);
        visit_i64_atomic_store8(memarg: MemArg) => atomic_store(&memarg, types::I8);
        visit_i64_atomic_store16(memarg: MemArg) => atomic_store(&memarg, types::I16);
        visit_i64_atomic_store32(memarg: MemArg) => atomic_store(&memarg, types::I32);
        visit_i32_atomic_rmw_add(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Add, types::I32, types::I32);
        visit_i64_atomic_rmw_add(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Add, types::I64, types::I64);
        visit_i32_atomic_rmw8_add_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Add, types::I8, types::I32);
        visit_i32_atomic_rmw16_add_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Add, types::I16, types::I32);
        visit_i64_atomic_rmw8_add_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Add, types::I8, types::I64);
        visit_i64_atomic_rmw16_add_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Add, types::I16, types::I64);
        visit_i64_atomic_rmw32_add_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Add, types::I32, types::I64);
        visit_i32_atomic_rmw_sub(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Sub, types::I32, types::I32);
        visit_i64_atomic_rmw_sub(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Sub, types::I64, types::I64);
        visit_i32_atomic_rmw8_sub_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Sub, types::I8, types::I32);
        visit_i32_atomic_rmw16_sub_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Sub, types::I16, types::I32);
        visit_i64_atomic_rmw8_sub_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Sub, types::I8, types::I64);
        visit_i64_atomic_rmw16_sub_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Sub, types::I16, types::I64);
        visit_i64_atomic_rmw32_sub_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Sub, types::I32, types::I64);
        visit_i32_atomic_rmw_and(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::And, types::I32, types::I32);
        visit_i64_atomic_rmw_and(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::And, types::I64, types::I64);
        visit_i32_atomic_rmw8_and_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::And, types::I8, types::I32);
        visit_i32_atomic_rmw16_and_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::And, types::I16, types::I32);
        visit_i64_atomic_rmw8_and_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::And, types::I8, types::I64);
        visit_i64_atomic_rmw16_and_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::And, types::I16, types::I64);
        visit_i64_atomic_rmw32_and_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::And, types::I32, types::I64);
        visit_i32_atomic_rmw_or(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Or, types::I32, types::I32);
        visit_i64_atomic_rmw_or(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Or, types::I64, types::I64);
        visit_i32_atomic_rmw8_or_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Or, types::I8, types::I32);
        visit_i32_atomic_rmw16_or_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Or, types::I16, types::I32);
        visit_i64_atomic_rmw8_or_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Or, types::I8, types::I64);
        visit_i64_atomic_rmw16_or_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Or, types::I16, types::I64);
        visit_i64_atomic_rmw32_or_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Or, types::I32, types::I64);
        visit_i32_atomic_rmw_xor(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Xor, types::I32, types::I32);
        visit_i64_atomic_rmw_xor(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Xor, types::I64, types::I64);
        visit_i32_atomic_rmw8_xor_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Xor, types::I8, types::I32);
        visit_i32_atomic_rmw16_xor_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Xor, types::I16, types::I32);
        visit_i64_atomic_rmw8_xor_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Xor, types::I8, types::I64);
        visit_i64_atomic_rmw16_xor_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Xor, types::I16, types::I64);
        visit_i64_atomic_rmw32_xor_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Xor, types::I32, types::I64);
        visit_i32_atomic_rmw_xchg(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Xchg, types::I32, types::I32);
        visit_i64_atomic_rmw_xchg(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Xchg, types::I64, types::I64);
        visit_i32_atomic_rmw8_xchg_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Xchg, types::I8, types::I32);
        visit_i32_atomic_rmw16_xchg_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Xchg, types::I16, types::I32);
        visit_i64_atomic_rmw8_xchg_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Xchg, types::I8, types::I64);
        visit_i64_atomic_rmw16_xchg_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Xchg, types::I16, types::I64);
        visit_i64_atomic_rmw32_xchg_u(memarg: MemArg) => atomic_rmw(&memarg, AtomicRmwOp::Xchg, types::I32, types::I64);
        visit_i32_atomic_rmw_cmpxchg(memarg: MemArg) => atomic_compare_exchange(&memarg, types::I32, types::I32);
        visit_i64_atomic_rmw_cmpxchg(memarg: MemArg) => atomic_compare_exchange(&memarg, types::I64, types::I64);
        visit_i32_atomic_rmw8_cmpxchg_u(memarg: MemArg) => atomic_compare_exchange(&memarg, types::I8, types::I32);
        visit_i32_atomic_rmw16_cmpxchg_u(memarg: MemArg) => atomic_compare_exchange(&memarg, types::I16, types::I32);
        visit_i64_atomic_rmw8_cmpxchg_u(memarg: MemArg) => atomic_compare_exchange(&memarg, types::I8, types::I64);
        visit_i64_atomic_rmw16_cmpxchg_u(memarg: MemArg) => atomic_compare_exchange(&memarg, types::I16, types::I64);
        visit_i64_atomic_rmw32_cmpxchg_u(memarg: MemArg) => atomic_compare_exchange(&memarg, types::I32, types::I64);
        // Typed function references.
        visit_call_ref(type_index: u32) => call_ref(type_index);
        visit_return_call_ref(type_index: u32) => return_call_ref(type_index);
        visit_ref_as_non_null() => ref_as_non_null();
        visit_br_on_null(relative_depth: u32) => br_on_null(relative_depth);
        visit_br_on_non_null(relative_depth: u32) => br_on_non_null(relative_depth);
        // Garbage collection.
        visit_ref_eq() => ref_eq();
        visit_struct_new(ty: u32) => struct_new(ty);
        visit_struct_new_default(ty: u32) => struct_new_default(ty);
        visit_struct_get(ty: u32, field: u32) => struct_get(ty, field, false);
        visit_struct_get_s(ty: u32, field: u32) => struct_get(ty, field, true);
        visit_struct_get_u(ty: u32, field: u32) => struct_get(ty, field, false);
        visit_struct_set(ty: u32, field: u32) => struct_set(ty, field);
        visit_array_new(ty: u32) => array_new(ty);
        visit_array_new_default(ty: u32) => array_new_default(ty);
        visit_array_new_fixed(ty: u32, length: u32) => array_new_fixed(ty, length);
        visit_array_new_data(ty: u32, data: u32) => array_new_segment(Builtin::array_new_data, ty, data);
        visit_array_new_elem(ty: u32, elem: u32) => array_new_segment(Builtin::array_new_elem, ty, elem);
        visit_array_get(ty: u32) => array_get(ty, false);
        visit_array_get_s(ty: u32) => array_get(ty, true);
        visit_array_get_u(ty: u32) => array_get(ty, false);
        visit_array_set(ty: u32) => array_set(ty);
        visit_array_len() => array_len();
        visit_array_fill(ty: u32) => array_fill(ty);
        visit_array_copy(dst: u32, src: u32) => array_copy(dst, src);
        visit_array_init_data(ty: u32, data: u32) => array_init_data(ty, data);
        visit_array_init_elem(ty: u32, elem: u32) => array_init_elem(ty, elem);
        visit_ref_test_non_null(hty: HeapType) => ref_test(hty, false);
        visit_ref_test_nullable(hty: HeapType) => ref_test(hty, true);
        visit_ref_cast_non_null(hty: HeapType) => ref_cast(hty, false);
        visit_ref_cast_nullable(hty: HeapType) => ref_cast(hty, true);
        visit_br_on_cast(depth: u32, _: RefType, to: RefType) => br_on_cast(depth, to, false);
        visit_br_on_cast_fail(depth: u32, _: RefType, to: RefType) => br_on_cast(depth, to, true);
        visit_any_convert_extern() => nothing();
        visit_extern_convert_any() => nothing();
        visit_ref_i31() => ref_i31();
        visit_i31_get_s() => i31_get(true);
        visit_i31_get_u() => i31_get(false);
        // Custom descriptors.
        visit_struct_new_desc(ty: u32) => struct_new_desc(ty);
        visit_struct_new_default_desc(ty: u32) => struct_new_default_desc(ty);
        visit_ref_get_desc(ty: u32) => ref_get_desc(ty);
        visit_ref_cast_desc_eq_non_null(hty: HeapType) => ref_cast_desc_eq(hty, false);
        visit_ref_cast_desc_eq_nullable(hty: HeapType) => ref_cast_desc_eq(hty, true);
        visit_br_on_cast_desc_eq(depth: u32, _: RefType, to: RefType) => br_on_cast_desc_eq(depth, to, false);
        visit_br_on_cast_desc_eq_fail(depth: u32, _: RefType, to: RefType) => br_on_cast_desc_eq(depth, to, true);
        // Wide arithmetic.
        visit_i64_add128() => wide_binary(|b, x, y| b.ins().iadd(x, y));
        visit_i64_sub128() => wide_binary(|b, x, y| b.ins().isub(x, y));
        visit_i64_mul_wide_s() => wide_multiply(true);
        visit_i64_mul_wide_u() => wide_multiply(false);
    }

    unsupported! {
        "memory control":
            visit_memory_discard(_: u32)
            ;
        "shared-everything threads":
            visit_global_atomic_get(_: Ordering, _: u32)
            visit_global_atomic_set(_: Ordering, _: u32)
            visit_global_atomic_rmw_add(_: Ordering, _: u32)
            visit_global_atomic_rmw_sub(_: Ordering, _: u32)
            visit_global_atomic_rmw_and(_: Ordering, _: u32)
            visit_global_atomic_rmw_or(_: Ordering, _: u32)
            visit_global_atomic_rmw_xor(_: Ordering, _: u32)
            visit_global_atomic_rmw_xchg(_: Ordering, _: u32)
            visit_global_atomic_rmw_cmpxchg(_: Ordering, _: u32)
            visit_table_atomic_get(_: Ordering, _: u32)
            visit_table_atomic_set(_: Ordering, _: u32)
            visit_table_atomic_rmw_xchg(_: Ordering, _: u32)
            visit_table_atomic_rmw_cmpxchg(_: Ordering, _: u32)
            visit_struct_atomic_get(_: Ordering, _: u32, _: u32)
            visit_struct_atomic_get_s(_: Ordering, _: u32, _: u32)
            visit_struct_atomic_get_u(_: Ordering, _: u32, _: u32)
            visit_struct_atomic_set(_: Ordering, _: u32, _: u32)
            visit_struct_atomic_rmw_add(_: Ordering, _: u32, _: u32)
            visit_struct_atomic_rmw_sub(_: Ordering, _: u32, _: u32)
            visit_struct_atomic_rmw_and(_: Ordering, _: u32, _: u32)
            visit_struct_atomic_rmw_or(_: Ordering, _: u32, _: u32)
            visit_struct_atomic_rmw_xor(_: Ordering, _: u32, _: u32)
            visit_struct_atomic_rmw_xchg(_: Ordering, _: u32, _: u32)
            visit_struct_atomic_rmw_cmpxchg(_: Ordering, _: u32, _: u32)
            visit_array_atomic_get(_: Ordering, _: u32)
            visit_array_atomic_get_s(_: Ordering, _: u32)
            visit_array_atomic_get_u(_: Ordering, _: u32)
            visit_array_atomic_set(_: Ordering, _: u32)
            visit_array_atomic_rmw_add(_: Ordering, _: u32)
            visit_array_atomic_rmw_sub(_: Ordering, _: u32)
            visit_array_atomic_rmw_and(_: Ordering, _: u32)
            visit_array_atomic_rmw_or(_: Ordering, _: u32)
            visit_array_atomic_rmw_xor(_: Ordering, _: u32)
            visit_array_atomic_rmw_xchg(_: Ordering, _: u32)
            visit_array_atomic_rmw_cmpxchg(_: Ordering, _: u32)
            visit_ref_i31_shared()
            ;
        "stack switching":
            visit_cont_new(_: u32)
            visit_cont_bind(_: u32, _: u32)
            visit_suspend(_: u32)
            visit_resume(_: u32, _: ResumeTable)
            visit_resume_throw(_: u32, _: u32, _: ResumeTable)
            visit_resume_throw_ref(_: u32, _: ResumeTable)
            visit_switch(_: u32, _: u32)
            ;
    }
}
