//! Wide arithmetic
//! ([proposal](https://github.com/WebAssembly/wide-arithmetic)).
//!
//! Invariant: 128-bit values lie on the stack as two 64-bit halves, the lower one first.
//!
//! Does not know: how the code generator splits 128-bit operations.

use super::{Step, Translator};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_frontend::FunctionBuilder;

impl Translator<'_> {
    pub(super) fn wide_binary(
        &mut self,
        operate: impl FnOnce(&mut FunctionBuilder<'_>, Value, Value) -> Value,
    ) -> Step {
        let (second_low, second_high) = self.pop2();
        let (first_low, first_high) = self.pop2();
        let first = self.builder.ins().iconcat(first_low, first_high);
        let second = self.builder.ins().iconcat(second_low, second_high);
        let value = operate(&mut self.builder, first, second);
        self.push_halves(value);
        Ok(())
    }

    pub(super) fn wide_multiply(&mut self, signed: bool) -> Step {
        let (first, second) = self.pop2();
        let mut widen = |value| {
            let ins = self.builder.ins();
            if signed { ins.sextend(types::I128, value) } else { ins.uextend(types::I128, value) }
        };
        let (first, second) = (widen(first), widen(second));
        let value = self.builder.ins().imul(first, second);
        self.push_halves(value);
        Ok(())
    }

    fn push_halves(&mut self, value: Value) {
        let (low, high) = self.builder.ins().isplit(value);
        self.push(low);
        self.push(high);
    }
}
