//! Relaxed vector instructions
//! ([spec](https://webassembly.github.io/spec/core/exec/numerics.html#relaxed-operations)).
//!
//! Each is what the hardware does best within the specification's choices; with `relaxed_simd_deterministic`, or where
//! the choice could show in a NaN's bits that are to be canonical, it is the deterministic profile's.
//!
//! Invariant: the choice depends on the target and the tunables only, never on operands.
//!
//! Does not know: the operand stack's types.

use super::simd::{Half, widen};
use super::{Step, Translator};
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use wattest_abi::Builtin;

impl Translator<'_> {
    fn deterministic(&self) -> bool {
        self.env.tunables.relaxed_simd_deterministic
    }

    pub(super) fn relaxed_swizzle(&mut self) -> Step {
        let deterministic = self.deterministic();
        self.vector_binary(
            types::I8X16,
            |b, x, y| {
                if deterministic { b.ins().swizzle(x, y) } else { b.ins().x86_pshufb(x, y) }
            },
        )
    }

    pub(super) fn relaxed_truncate(&mut self) -> Step {
        let deterministic = self.deterministic();
        self.vector_unary(types::F32X4, |b, x| {
            if deterministic { b.ins().fcvt_to_sint_sat(types::I32X4, x) } else { b.ins().x86_cvtt2dq(types::I32X4, x) }
        })
    }

    pub(super) fn relaxed_truncate_to_low(&mut self) -> Step {
        if self.deterministic() {
            return self.truncate_to_low(true);
        }
        let value = self.pop_vector(types::F64X2);
        let zero = self.zero(types::I64X2);
        let wide = self.builder.ins().x86_cvtt2dq(types::I64X2, value);
        let value = self.builder.ins().snarrow(wide, zero);
        self.push(value);
        Ok(())
    }

    /// `first * second + third`, or `third - first * second`.
    pub(super) fn relaxed_multiply_add(&mut self, ty: Type, negated: bool) -> Step {
        let third = self.pop_vector(ty);
        let (first, second) = self.pop2_vectors(ty);
        let first = if negated { self.builder.ins().fneg(first) } else { first };
        let value = if self.env.target.has_fma {
            self.builder.ins().fma(first, second, third)
        } else if self.deterministic() {
            self.fused_by_lane(ty, [first, second, third])
        } else {
            let product = self.builder.ins().fmul(first, second);
            self.builder.ins().fadd(product, third)
        };
        self.push(value);
        Ok(())
    }

    fn fused_by_lane(&mut self, ty: Type, operands: [Value; 3]) -> Value {
        let builtin = if ty == types::F32X4 { Builtin::f32_fma } else { Builtin::f64_fma };
        let mut result = operands[2];
        for lane in 0..ty.lane_count() as u8 {
            let args = operands.map(|operand| self.builder.ins().extractlane(operand, lane));
            let value = self.call_builtin(builtin, &args);
            let value = self.canonical_nan(value);
            result = self.builder.ins().insertlane(result, value, lane);
        }
        result
    }

    pub(super) fn relaxed_lane_select(&mut self, ty: Type) -> Step {
        let mask = self.pop_vector(ty);
        // There is no blend of 16-bit lanes; any choice within a lane is allowed, so bits are selected.
        let blend = !self.deterministic() && ty != types::I16X8;
        self.vector_binary(ty, |b, x, y| if blend { b.ins().blendv(mask, x, y) } else { b.ins().bitselect(mask, x, y) })
    }

    pub(super) fn relaxed_extreme(&mut self, ty: Type, greater: bool) -> Step {
        if self.deterministic() || self.env.tunables.nan_canonicalization {
            return self.vector_binary(ty, |b, x, y| if greater { b.ins().fmax(x, y) } else { b.ins().fmin(x, y) });
        }
        self.pseudo_extreme(ty, greater)
    }

    pub(super) fn relaxed_q15_multiply(&mut self) -> Step {
        let deterministic = self.deterministic();
        self.vector_binary(types::I16X8, |b, x, y| {
            if deterministic { b.ins().sqmul_round_sat(x, y) } else { b.ins().x86_pmulhrsw(x, y) }
        })
    }

    /// Sums of adjacent products of 8-bit lanes, of which the second operand's have seven significant bits.
    fn relaxed_dot_product(&mut self, first: Value, second: Value) -> Value {
        if !self.deterministic() {
            return self.builder.ins().x86_pmaddubsw(first, second);
        }
        let halves = [Half::Low, Half::High].map(|half| {
            let first = widen(&mut self.builder, first, half, true);
            let second = widen(&mut self.builder, second, half, true);
            self.builder.ins().imul(first, second)
        });
        self.builder.ins().iadd_pairwise(halves[0], halves[1])
    }

    pub(super) fn relaxed_dot(&mut self) -> Step {
        let (first, second) = self.pop2_vectors(types::I8X16);
        let value = self.relaxed_dot_product(first, second);
        self.push(value);
        Ok(())
    }

    pub(super) fn relaxed_dot_add(&mut self) -> Step {
        let sum = self.pop_vector(types::I32X4);
        let (first, second) = self.pop2_vectors(types::I8X16);
        let products = self.relaxed_dot_product(first, second);
        let pairs = self.pairwise_sum(products, true);
        let value = self.builder.ins().iadd(pairs, sum);
        self.push(value);
        Ok(())
    }
}
