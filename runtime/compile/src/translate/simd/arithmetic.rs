//! Vector arithmetic that is not a single CLIF instruction.
//!
//! Invariant: comparisons give lanes of all ones or all zeros.
//!
//! Does not know: which operators use which method.

use super::super::numeric::Rounding;
use super::super::{Step, Translator};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use cranelift_frontend::FunctionBuilder;

/// Which half of a vector is widened.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Half {
    Low,
    High,
}

/// `vector`'s low or high lanes, twice as wide.
pub(in super::super) fn widen(builder: &mut FunctionBuilder<'_>, vector: Value, half: Half, signed: bool) -> Value {
    let ins = builder.ins();
    match (half, signed) {
        (Half::Low, true) => ins.swiden_low(vector),
        (Half::Low, false) => ins.uwiden_low(vector),
        (Half::High, true) => ins.swiden_high(vector),
        (Half::High, false) => ins.uwiden_high(vector),
    }
}

impl Translator<'_> {
    pub(in super::super) fn vector_compare(&mut self, ty: Type, condition: IntCC) -> Step {
        self.vector_binary(ty, |b, x, y| b.ins().icmp(condition, x, y))
    }

    pub(in super::super) fn vector_compare_floats(&mut self, ty: Type, condition: FloatCC) -> Step {
        self.vector_binary(ty, |b, x, y| b.ins().fcmp(condition, x, y))
    }

    /// A shift of every lane by a scalar, modulo the lane width.
    pub(in super::super) fn vector_shift(
        &mut self,
        ty: Type,
        operate: impl FnOnce(&mut FunctionBuilder<'_>, Value, Value) -> Value,
    ) -> Step {
        let amount = self.pop();
        self.vector_unary(ty, |b, x| operate(b, x, amount))
    }

    pub(in super::super) fn bit_select(&mut self) -> Step {
        let mask = self.pop_vector(types::I8X16);
        self.vector_binary(types::I8X16, |b, x, y| b.ins().bitselect(mask, x, y))
    }

    pub(in super::super) fn any_true(&mut self) -> Step {
        self.vector_unary(types::I8X16, |b, x| {
            let flag = b.ins().vany_true(x);
            b.ins().uextend(types::I32, flag)
        })
    }

    pub(in super::super) fn all_true(&mut self, ty: Type) -> Step {
        self.vector_unary(ty, |b, x| {
            let flag = b.ins().vall_true(x);
            b.ins().uextend(types::I32, flag)
        })
    }

    pub(in super::super) fn vector_widen(&mut self, ty: Type, half: Half, signed: bool) -> Step {
        self.vector_unary(ty, |b, x| widen(b, x, half, signed))
    }

    pub(in super::super) fn multiply_widened(&mut self, ty: Type, half: Half, signed: bool) -> Step {
        self.vector_binary(ty, |b, x, y| {
            let (x, y) = (widen(b, x, half, signed), widen(b, y, half, signed));
            b.ins().imul(x, y)
        })
    }

    pub(in super::super) fn add_pairwise_widened(&mut self, ty: Type, signed: bool) -> Step {
        let vector = self.pop_vector(ty);
        let value = self.pairwise_sum(vector, signed);
        self.push(value);
        Ok(())
    }

    /// Sums of adjacent lanes, twice as wide.
    pub(in super::super) fn pairwise_sum(&mut self, vector: Value, signed: bool) -> Value {
        let low = widen(&mut self.builder, vector, Half::Low, signed);
        let high = widen(&mut self.builder, vector, Half::High, signed);
        self.builder.ins().iadd_pairwise(low, high)
    }

    pub(in super::super) fn dot(&mut self) -> Step {
        let (first, second) = self.pop2_vectors(types::I16X8);
        let value = self.dot_product(first, second);
        self.push(value);
        Ok(())
    }

    /// Sums of adjacent signed products, twice as wide.
    pub(in super::super) fn dot_product(&mut self, first: Value, second: Value) -> Value {
        let mut halves = [Half::Low, Half::High].map(|half| {
            let first = widen(&mut self.builder, first, half, true);
            let second = widen(&mut self.builder, second, half, true);
            self.builder.ins().imul(first, second)
        });
        let [low, high] = &mut halves;
        self.builder.ins().iadd_pairwise(*low, *high)
    }

    pub(in super::super) fn vector_round(&mut self, ty: Type, rounding: Rounding) -> Step {
        let value = self.pop_vector(ty);
        let value = self.rounded(rounding, value);
        self.push(value);
        Ok(())
    }

    /// `second < first ? second : first`, or with `greater` the other way round, lane by lane.
    pub(in super::super) fn pseudo_extreme(&mut self, ty: Type, greater: bool) -> Step {
        let (first, second) = self.pop2_vectors(ty);
        if wattest_abi::mutant!(f32x4_pmin_as_min) && ty == types::F32X4 && !greater {
            let value = self.builder.ins().fmin(first, second);
            self.push(value);
            return Ok(());
        }
        let (low, high) = if greater { (first, second) } else { (second, first) };
        let mask = self.builder.ins().fcmp(FloatCC::LessThan, low, high);
        let mask = self.as_vector(mask, ty);
        let value = self.builder.ins().bitselect(mask, second, first);
        self.push(value);
        Ok(())
    }

    /// Truncates two 64-bit floats; the upper two lanes are zero.
    pub(in super::super) fn truncate_to_low(&mut self, signed: bool) -> Step {
        let value = self.pop_vector(types::F64X2);
        let zero = self.zero(types::I64X2);
        let value = if signed {
            let wide = self.builder.ins().fcvt_to_sint_sat(types::I64X2, value);
            self.builder.ins().snarrow(wide, zero)
        } else {
            let wide = self.builder.ins().fcvt_to_uint_sat(types::I64X2, value);
            self.builder.ins().uunarrow(wide, zero)
        };
        self.push(value);
        Ok(())
    }

    /// Converts the lower two 32-bit lanes to 64-bit floats.
    pub(in super::super) fn convert_low(&mut self, signed: bool) -> Step {
        self.vector_unary(types::I32X4, |b, x| {
            let wide = widen(b, x, Half::Low, signed);
            let ins = b.ins();
            if signed { ins.fcvt_from_sint(types::F64X2, wide) } else { ins.fcvt_from_uint(types::F64X2, wide) }
        })
    }
}
