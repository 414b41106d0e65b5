//! Faults of the code generator's lowering, modelled one level higher: a pass over CLIF between translation and compilation.
//!
//! Exists under `--cfg wattest_mutants` only ([`wattest_abi::mutants`]). A rule replaces an instruction of one kind by
//! what a wrong lowering would compute; nothing happens while none of these faults is on.
//!
//! Invariant: a rule changes only the value that its instruction defines or, for branches, where it goes; the function
//! stays well-typed.
//!
//! Does not know: WebAssembly.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    Endianness, Function, Inst, InstBuilder, InstructionData, MemFlagsData, Opcode, Type, Value, types,
};
use wattest_abi::mutants::{self, Mutant};

/// Applies the fault that is switched on, if it is one of lowering.
pub(crate) fn apply(func: &mut Function) {
    let Some(row) = mutants::current() else { return };
    let mut site = Site { cursor: FuncCursor::new(func), mutant: row.mutant };
    while site.cursor.next_block().is_some() {
        while let Some(inst) = site.cursor.next_inst() {
            site.cursor.use_srcloc(inst);
            site.visit(inst);
        }
    }
}

struct Site<'a> {
    cursor: FuncCursor<'a>,
    mutant: Mutant,
}

/// What a rule looks at: the instruction, its opcode, the type of its first result, its operands.
struct Seen {
    inst: Inst,
    opcode: Opcode,
    ty: Type,
    args: [Value; 3],
}

impl Site<'_> {
    fn visit(&mut self, inst: Inst) {
        let dfg = &self.cursor.func.dfg;
        let data = dfg.insts[inst];
        let args = dfg.inst_args(inst);
        let filler = Value::from_u32(0);
        let arg = |position: usize| args.get(position).map_or(filler, |value| dfg.resolve_aliases(*value));
        let ty = dfg.inst_results(inst).first().map_or(types::INVALID, |value| dfg.value_type(*value));
        let seen = Seen { inst, opcode: data.opcode(), ty, args: [arg(0), arg(1), arg(2)] };
        self.integers(&seen);
        self.comparisons(&seen, data);
        self.floats(&seen);
        self.vectors(&seen);
        self.lanes(&seen, data);
        self.branches(&seen, data);
    }

    fn constant(&self, value: Value) -> Option<i64> {
        let dfg = &self.cursor.func.dfg;
        let inst = dfg.value_def(value).inst()?;
        match dfg.insts[inst] {
            InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => Some(imm.bits()),
            _ => None,
        }
    }

    fn defining(&self, value: Value) -> Option<InstructionData> {
        let dfg = &self.cursor.func.dfg;
        Some(dfg.insts[dfg.value_def(value).inst()?])
    }

    /// Makes `value` the result of `inst`, which goes.
    fn give(&mut self, inst: Inst, value: Value) {
        let dfg = &mut self.cursor.func.dfg;
        let old = dfg.first_result(inst);
        dfg.clear_results(inst);
        dfg.change_to_alias(old, value);
        self.cursor.goto_inst(inst);
        self.cursor.remove_inst_and_step_back();
    }

    fn splat64(&mut self, bits: u64) -> Value {
        let bytes = [bits.to_le_bytes(), bits.to_le_bytes()].concat();
        let constant = self.cursor.func.dfg.constants.insert(bytes.as_slice().into());
        self.cursor.ins().vconst(types::I64X2, constant)
    }

    fn splat(&mut self, ty: Type, lane: i64) -> Value {
        let lane = self.cursor.ins().iconst(ty.lane_type(), lane);
        self.cursor.ins().splat(ty, lane)
    }

    fn vector(&mut self, ty: Type, value: Value) -> Value {
        self.cursor.ins().bitcast(ty, MemFlagsData::new().with_endianness(Endianness::Little), value)
    }

    fn integers(&mut self, seen: &Seen) {
        let Seen { inst, opcode, ty, args: [x, y, _] } = *seen;
        match (self.mutant, opcode, ty) {
            (Mutant::i32_shift_by_constant_unmasked, Opcode::Ishl | Opcode::Ushr, types::I32)
                if self.constant(y).is_some_and(|amount| amount as u32 > 31) =>
            {
                let value = self.cursor.ins().iconst(ty, 0);
                self.give(inst, value);
            }
            (Mutant::i64_shift_by_constant_unmasked, Opcode::Ishl | Opcode::Ushr, types::I64)
                if self.constant(y).is_some_and(|amount| amount as u64 > 63) =>
            {
                let value = self.cursor.ins().iconst(ty, 0);
                self.give(inst, value);
            }
            (Mutant::i32_mul_as_shift_by_one_less, Opcode::Imul, types::I32) => {
                let power = |value: Option<i64>| value.filter(|value| (*value as u32).is_power_of_two() && *value > 1);
                if let Some(factor) = power(self.constant(y)) {
                    let amount = self.cursor.ins().iconst(types::I32, i64::from((factor as u32).ilog2() - 1));
                    let value = self.cursor.ins().ishl(x, amount);
                    self.give(inst, value);
                }
            }
            (Mutant::i64_rotate_left_as_right, Opcode::Rotl, types::I64) => {
                let value = self.cursor.ins().rotr(x, y);
                self.give(inst, value);
            }
            (Mutant::i32_sub_of_itself, Opcode::Isub, types::I32) if x == y => {
                let value = self.cursor.ins().bor(x, x);
                self.give(inst, value);
            }
            (Mutant::i64_and_of_itself_as_zero, Opcode::Band, types::I64) if x == y => {
                let value = self.cursor.ins().iconst(ty, 0);
                self.give(inst, value);
            }
            (Mutant::i64_clz_of_zero, Opcode::Clz, types::I64) => self.unless_zero(seen, 63),
            (Mutant::i32_ctz_of_zero, Opcode::Ctz, types::I32) => self.unless_zero(seen, 31),
            (Mutant::i32_popcnt_without_top_bit, Opcode::Popcnt, types::I32) => {
                let mask = self.cursor.ins().iconst(ty, 0x7fff_ffff);
                let masked = self.cursor.ins().band(x, mask);
                let value = self.cursor.ins().popcnt(masked);
                self.give(inst, value);
            }
            (Mutant::i64_remainder_of_minus_one, Opcode::Srem, types::I64) => {
                let quotient = self.cursor.ins().sdiv(x, y);
                let product = self.cursor.ins().imul(quotient, y);
                let value = self.cursor.ins().isub(x, product);
                self.give(inst, value);
            }
            (Mutant::i32_divide_unsigned_as_signed, Opcode::Udiv, types::I32) => {
                let value = self.cursor.ins().sdiv(x, y);
                self.give(inst, value);
            }
            (Mutant::wide_add_loses_carry, Opcode::Iadd, types::I128) => {
                let (x_low, x_high) = self.cursor.ins().isplit(x);
                let (y_low, y_high) = self.cursor.ins().isplit(y);
                let low = self.cursor.ins().iadd(x_low, y_low);
                let high = self.cursor.ins().iadd(x_high, y_high);
                let value = self.cursor.ins().iconcat(low, high);
                self.give(inst, value);
            }
            (Mutant::load8_signed_as_unsigned, Opcode::Sload8, _) => {
                if let InstructionData::Load { opcode, .. } = &mut self.cursor.func.dfg.insts[inst] {
                    *opcode = Opcode::Uload8;
                }
            }
            _ => {}
        }
    }

    /// Counts bits as before, but gives `wrong` for zero.
    fn unless_zero(&mut self, seen: &Seen, wrong: i64) {
        let x = seen.args[0];
        let right = if seen.opcode == Opcode::Clz { self.cursor.ins().clz(x) } else { self.cursor.ins().ctz(x) };
        let wrong = self.cursor.ins().iconst(seen.ty, wrong);
        let value = self.cursor.ins().select(x, right, wrong);
        self.give(seen.inst, value);
    }

    fn comparisons(&mut self, seen: &Seen, data: InstructionData) {
        let operand = if seen.args[0].as_u32() == 0 { types::INVALID } else { self.type_of(seen.args[0]) };
        match (self.mutant, data) {
            (
                Mutant::i32_less_than_unsigned_as_signed,
                InstructionData::IntCompare { cond: IntCC::UnsignedLessThan, .. },
            ) if operand == types::I32 => self.set_condition(seen.inst, IntCC::SignedLessThan),
            (
                Mutant::i64_greater_equal_signed_as_unsigned,
                InstructionData::IntCompare { cond: IntCC::SignedGreaterThanOrEqual, .. },
            ) if operand == types::I64 => self.set_condition(seen.inst, IntCC::UnsignedGreaterThanOrEqual),
            (Mutant::f32_not_equal_ordered, InstructionData::FloatCompare { cond: FloatCC::NotEqual, .. })
                if operand == types::F32 =>
            {
                self.set_float_condition(seen.inst, FloatCC::OrderedNotEqual);
            }
            (Mutant::f64_less_equal_as_less, InstructionData::FloatCompare { cond: FloatCC::LessThanOrEqual, .. })
                if operand == types::F64 =>
            {
                self.set_float_condition(seen.inst, FloatCC::LessThan);
            }
            (Mutant::select_swapped_on_constants, InstructionData::Ternary { opcode: Opcode::Select, .. })
                if self.constant(seen.args[1]).is_some() && self.constant(seen.args[2]).is_some() =>
            {
                let value = self.cursor.ins().select(seen.args[0], seen.args[2], seen.args[1]);
                self.give(seen.inst, value);
            }
            (Mutant::v128_select_swapped, InstructionData::Ternary { opcode: Opcode::Select, .. })
                if seen.ty.is_vector() =>
            {
                let value = self.cursor.ins().select(seen.args[0], seen.args[2], seen.args[1]);
                self.give(seen.inst, value);
            }
            _ => {}
        }
    }

    fn type_of(&self, value: Value) -> Type {
        self.cursor.func.dfg.value_type(value)
    }

    fn set_condition(&mut self, inst: Inst, condition: IntCC) {
        if let InstructionData::IntCompare { cond, .. } = &mut self.cursor.func.dfg.insts[inst] {
            *cond = condition;
        }
    }

    fn set_float_condition(&mut self, inst: Inst, condition: FloatCC) {
        if let InstructionData::FloatCompare { cond, .. } = &mut self.cursor.func.dfg.insts[inst] {
            *cond = condition;
        }
    }

    fn floats(&mut self, seen: &Seen) {
        let Seen { inst, opcode, ty, args: [x, y, _] } = *seen;
        match (self.mutant, opcode, ty) {
            (Mutant::f32_min_by_comparison, Opcode::Fmin, types::F32) => {
                let less = self.cursor.ins().fcmp(FloatCC::LessThan, x, y);
                let value = self.cursor.ins().select(less, x, y);
                self.give(inst, value);
            }
            (Mutant::f64_max_by_comparison, Opcode::Fmax, types::F64) => {
                let greater = self.cursor.ins().fcmp(FloatCC::GreaterThan, x, y);
                let value = self.cursor.ins().select(greater, x, y);
                self.give(inst, value);
            }
            (Mutant::f64_copysign_swapped, Opcode::Fcopysign, types::F64) => {
                let value = self.cursor.ins().fcopysign(y, x);
                self.give(inst, value);
            }
            (Mutant::f32_negate_by_subtraction, Opcode::Fneg, types::F32) => {
                let zero = self.cursor.ins().f32const(0.0f32);
                let value = self.cursor.ins().fsub(zero, x);
                self.give(inst, value);
            }
            (Mutant::f64_nearest_by_floor, Opcode::Nearest, types::F64) => {
                let half = self.cursor.ins().f64const(0.5f64);
                let sum = self.cursor.ins().fadd(x, half);
                let value = self.cursor.ins().floor(sum);
                self.give(inst, value);
            }
            (Mutant::f64_convert_unsigned_as_signed, Opcode::FcvtFromUint, types::F64)
                if self.type_of(x) == types::I64 =>
            {
                let value = self.cursor.ins().fcvt_from_sint(ty, x);
                self.give(inst, value);
            }
            (Mutant::f32_trunc_without_trap, Opcode::FcvtToSint, _) if self.type_of(x) == types::F32 => {
                let value = self.cursor.ins().fcvt_to_sint_sat(ty, x);
                self.give(inst, value);
            }
            (Mutant::f64_trunc_saturating_nan, Opcode::FcvtToSintSat, types::I32 | types::I64)
                if self.type_of(x) == types::F64 =>
            {
                let right = self.cursor.ins().fcvt_to_sint_sat(ty, x);
                let least = if ty == types::I32 { i64::from(u32::MAX / 2 + 1) } else { i64::MIN };
                let least = self.cursor.ins().iconst(ty, least);
                let nan = self.cursor.ins().fcmp(FloatCC::Unordered, x, x);
                let value = self.cursor.ins().select(nan, least, right);
                self.give(inst, value);
            }
            (Mutant::f32_sqrt_of_negative_zero, Opcode::Sqrt, types::F32) => {
                let root = self.cursor.ins().sqrt(x);
                let zero = self.cursor.ins().f32const(0.0f32);
                let value = self.cursor.ins().fadd(root, zero);
                self.give(inst, value);
            }
            (Mutant::f64_abs_of_nan, Opcode::Fabs, types::F64) => {
                let right = self.cursor.ins().fabs(x);
                let nan = self.cursor.ins().fcmp(FloatCC::Unordered, x, x);
                let value = self.cursor.ins().select(nan, x, right);
                self.give(inst, value);
            }
            _ => {}
        }
    }

    fn vectors(&mut self, seen: &Seen) {
        let Seen { inst, opcode, ty, args: [x, y, z] } = *seen;
        match (self.mutant, opcode, ty) {
            (Mutant::i8x16_swizzle_wraps, Opcode::Swizzle, types::I8X16) => {
                let low = self.splat(ty, 15);
                let masked = self.cursor.ins().band(y, low);
                let value = self.cursor.ins().swizzle(x, masked);
                self.give(inst, value);
            }
            (Mutant::i64x2_mul_low_halves, Opcode::Imul, types::I64X2) => {
                let low = self.splat64(0xffff_ffff);
                let (x, y) = (self.cursor.ins().band(x, low), self.cursor.ins().band(y, low));
                let value = self.cursor.ins().imul(x, y);
                self.give(inst, value);
            }
            (Mutant::f64x2_splat_one_lane, Opcode::Splat, types::F64X2) => {
                let value = self.cursor.ins().scalar_to_vector(ty, x);
                self.give(inst, value);
            }
            (Mutant::i16x8_q15mulr_of_minimum, Opcode::SqmulRoundSat, types::I16X8) => {
                let least = self.splat(ty, 0x8000);
                let (first, second) =
                    (self.cursor.ins().icmp(IntCC::Equal, x, least), self.cursor.ins().icmp(IntCC::Equal, y, least));
                let both = self.cursor.ins().band(first, second);
                let right = self.cursor.ins().sqmul_round_sat(x, y);
                let value = self.cursor.ins().bitselect(both, least, right);
                self.give(inst, value);
            }
            (Mutant::i16x8_avgr_without_rounding, Opcode::AvgRound, types::I16X8) => {
                let common = self.cursor.ins().band(x, y);
                let different = self.cursor.ins().bxor(x, y);
                let one = self.cursor.ins().iconst(types::I32, 1);
                let half = self.cursor.ins().ushr(different, one);
                let value = self.cursor.ins().iadd(common, half);
                self.give(inst, value);
            }
            (Mutant::i8x16_add_saturating_wraps, Opcode::SaddSat, types::I8X16) => {
                let value = self.cursor.ins().iadd(x, y);
                self.give(inst, value);
            }
            (Mutant::v128_bitselect_constant_mask, Opcode::Bitselect, _)
                if self.defining(x).is_some_and(|data| data.opcode() == Opcode::Vconst) =>
            {
                let value = self.cursor.ins().bitselect(x, z, y);
                self.give(inst, value);
            }
            (Mutant::i8x16_narrow_unsigned_source, Opcode::Unarrow, types::I8X16) => {
                let low = self.splat(types::I16X8, 0x7fff);
                let (x, y) = (self.cursor.ins().band(x, low), self.cursor.ins().band(y, low));
                let value = self.cursor.ins().unarrow(x, y);
                self.give(inst, value);
            }
            (Mutant::i64x2_shift_right_logical, Opcode::Sshr, types::I64X2) => {
                let value = self.cursor.ins().ushr(x, y);
                self.give(inst, value);
            }
            (Mutant::i16x8_extend_high_as_low, Opcode::SwidenHigh, types::I16X8) => {
                let value = self.cursor.ins().swiden_low(x);
                self.give(inst, value);
            }
            (Mutant::i64x2_all_true_by_halves, Opcode::VallTrue, _) if self.type_of(x) == types::I64X2 => {
                let halves = self.vector(types::I32X4, x);
                let value = self.cursor.ins().vall_true(halves);
                self.give(inst, value);
            }
            _ => {}
        }
    }

    fn lanes(&mut self, seen: &Seen, data: InstructionData) {
        let Seen { inst, ty, args: [x, y, _], .. } = *seen;
        match (self.mutant, data) {
            (Mutant::i8x16_shuffle_second_operand, InstructionData::Shuffle { imm, .. }) => {
                let mut lanes = self.cursor.func.dfg.immediates[imm].as_slice().to_vec();
                // One lane is enough, the one in the middle.
                lanes[7] &= 15;
                let imm = self.cursor.func.dfg.immediates.push(lanes.as_slice().into());
                let value = self.cursor.ins().shuffle(x, y, imm);
                self.give(inst, value);
            }
            (Mutant::i32x4_replace_next_lane, InstructionData::TernaryImm8 { opcode: Opcode::Insertlane, imm, .. })
                if ty == types::I32X4 =>
            {
                let value = self.cursor.ins().insertlane(x, y, (imm + 1) % 4);
                self.give(inst, value);
            }
            (Mutant::i8x16_extract_unsigned, InstructionData::Unary { opcode: Opcode::Sextend, .. })
                if self.defining(x).is_some_and(|data| data.opcode() == Opcode::Extractlane)
                    && self.type_of(x) == types::I8 =>
            {
                let value = self.cursor.ins().uextend(ty, x);
                self.give(inst, value);
            }
            _ => {}
        }
    }

    fn branches(&mut self, seen: &Seen, data: InstructionData) {
        let x = seen.args[0];
        match (self.mutant, data) {
            (Mutant::br_table_default_inclusive, InstructionData::BranchTable { table, .. }) => {
                let count = self.cursor.func.stencil.dfg.jump_tables[table].as_slice().len();
                if count > 0 {
                    let count = self.cursor.ins().iconst(types::I32, count as i64);
                    let past = self.cursor.ins().icmp(IntCC::Equal, x, count);
                    let one = self.cursor.ins().uextend(types::I32, past);
                    let index = self.cursor.ins().isub(x, one);
                    if let InstructionData::BranchTable { arg, .. } = &mut self.cursor.func.dfg.insts[seen.inst] {
                        *arg = index;
                    }
                }
            }
            (Mutant::br_if_of_low_byte, InstructionData::Brif { .. }) if self.type_of(x) == types::I32 => {
                let low = self.cursor.ins().ireduce(types::I8, x);
                if let InstructionData::Brif { arg, .. } = &mut self.cursor.func.dfg.insts[seen.inst] {
                    *arg = low;
                }
            }
            _ => {}
        }
    }
}
