//! Scalar arithmetic
//! ([spec](https://webassembly.github.io/spec/core/exec/numerics.html)) that is not a single CLIF instruction.
//!
//! Invariant: comparisons give 32-bit 0 or 1.
//!
//! Does not know: vectors.

use super::{Step, Translator};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use cranelift_frontend::FunctionBuilder;
use wattest_abi::{Builtin, mutant};

/// The rounding operations, and the builtins that stand in for them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rounding {
    Ceil,
    Floor,
    Trunc,
    Nearest,
}

impl Translator<'_> {
    pub(super) fn unary(&mut self, operate: impl FnOnce(&mut FunctionBuilder<'_>, Value) -> Value) -> Step {
        let value = self.pop();
        let value = operate(&mut self.builder, value);
        self.push(value);
        Ok(())
    }

    pub(super) fn binary(&mut self, operate: impl FnOnce(&mut FunctionBuilder<'_>, Value, Value) -> Value) -> Step {
        let (first, second) = self.pop2();
        let value = operate(&mut self.builder, first, second);
        self.push(value);
        Ok(())
    }

    fn push_flag(&mut self, flag: Value) -> Step {
        let value = self.builder.ins().uextend(types::I32, flag);
        self.push(value);
        Ok(())
    }

    pub(super) fn compare(&mut self, condition: IntCC) -> Step {
        let (first, second) = self.pop2();
        let flag = self.builder.ins().icmp(condition, first, second);
        self.push_flag(flag)
    }

    pub(super) fn equals_zero(&mut self) -> Step {
        let value = self.pop();
        let flag = self.builder.ins().icmp_imm_u(IntCC::Equal, value, 0);
        self.push_flag(flag)
    }

    pub(super) fn compare_floats(&mut self, condition: FloatCC) -> Step {
        let (first, second) = self.pop2();
        let flag = self.builder.ins().fcmp(condition, first, second);
        self.push_flag(flag)
    }

    pub(super) fn divide_signed(&mut self) -> Step {
        let (dividend, divisor) = self.pop2();
        self.check_divisor(divisor);
        self.check_overflow(dividend, divisor);
        let value = self.builder.ins().sdiv(dividend, divisor);
        self.push(value);
        Ok(())
    }

    pub(super) fn divide_unsigned(&mut self) -> Step {
        let (dividend, divisor) = self.pop2();
        self.check_divisor(divisor);
        let value = self.builder.ins().udiv(dividend, divisor);
        self.push(value);
        Ok(())
    }

    pub(super) fn remainder_signed(&mut self) -> Step {
        let (dividend, divisor) = self.pop2();
        self.check_divisor(divisor);
        let value = self.builder.ins().srem(dividend, divisor);
        self.push(value);
        Ok(())
    }

    pub(super) fn remainder_unsigned(&mut self) -> Step {
        let (dividend, divisor) = self.pop2();
        self.check_divisor(divisor);
        let value = self.builder.ins().urem(dividend, divisor);
        self.push(value);
        Ok(())
    }

    /// Sign-extends the low `narrow` bits.
    pub(super) fn extend_unsigned(&mut self) -> Step {
        let value = self.pop();
        let ins = self.builder.ins();
        let value = if mutant!(i64_extend_unsigned_as_signed) {
            ins.sextend(types::I64, value)
        } else {
            ins.uextend(types::I64, value)
        };
        self.push(value);
        Ok(())
    }

    pub(super) fn extend_in_place(&mut self, narrow: Type) -> Step {
        let value = self.pop();
        let wide = self.builder.func.dfg.value_type(value);
        let low = self.builder.ins().ireduce(narrow, value);
        let value = self.builder.ins().sextend(wide, low);
        self.push(value);
        Ok(())
    }

    pub(super) fn round(&mut self, rounding: Rounding) -> Step {
        let value = self.pop();
        let value = self.rounded(rounding, value);
        self.push(value);
        Ok(())
    }

    /// `value`, a float or a vector of floats, rounded.
    pub(super) fn rounded(&mut self, rounding: Rounding, value: Value) -> Value {
        let ty = self.builder.func.dfg.value_type(value);
        if !self.env.target.has_sse41 && !ty.is_vector() {
            let builtin = match (rounding, ty == types::F32) {
                (Rounding::Ceil, true) => Builtin::f32_ceil,
                (Rounding::Ceil, false) => Builtin::f64_ceil,
                (Rounding::Floor, true) => Builtin::f32_floor,
                (Rounding::Floor, false) => Builtin::f64_floor,
                (Rounding::Trunc, true) => Builtin::f32_trunc,
                (Rounding::Trunc, false) => Builtin::f64_trunc,
                (Rounding::Nearest, true) => Builtin::f32_nearest,
                (Rounding::Nearest, false) => Builtin::f64_nearest,
            };
            let value = self.call_builtin(builtin, &[value]);
            return self.canonical_nan(value);
        }
        let ins = self.builder.ins();
        match rounding {
            Rounding::Ceil => ins.ceil(value),
            Rounding::Floor => ins.floor(value),
            Rounding::Trunc => ins.trunc(value),
            Rounding::Nearest => ins.nearest(value),
        }
    }

    /// Where NaNs are canonicalized, the canonical NaN for any other: the code generator does this for its own
    /// instructions, not for what builtins return.
    pub(super) fn canonical_nan(&mut self, value: Value) -> Value {
        if !self.env.tunables.nan_canonicalization {
            return value;
        }
        let is_f32 = self.builder.func.dfg.value_type(value) == types::F32;
        let nan = if is_f32 { self.f32_const(0x7fc0_0000) } else { self.f64_const(0x7ff8_0000_0000_0000) };
        let unordered = self.builder.ins().fcmp(FloatCC::Unordered, value, value);
        self.builder.ins().select(unordered, nan, value)
    }
}
