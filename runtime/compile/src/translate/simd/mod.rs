//! Vector instructions
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#vector-instructions)).
//!
//! Invariant: a vector on the operand stack has any 128-bit type; whoever pops it casts it, which costs no machine
//! instruction. Locals, block parameters and signatures hold [`super::types::I8X16`].
//!
//! Does not know: relaxed operations.

mod arithmetic;
mod lane;
mod memory;
mod visit;

pub(super) use arithmetic::{Half, widen};

use super::{Step, Translator};
use crate::CompileErrorKind;
use cranelift_codegen::ir::{Type, Value};
use cranelift_frontend::FunctionBuilder;

impl Translator<'_> {
    /// Vector code needs SSE4.1: below it the code generator would call library functions.
    pub(in super::super) fn require_vectors(&self) -> Step {
        if self.env.target.has_ssse3 && self.env.target.has_sse41 {
            Ok(())
        } else {
            Err(CompileErrorKind::MissingCpuFeature("SSE4.1, which vector instructions need"))
        }
    }

    pub(in super::super) fn pop_vector(&mut self, ty: Type) -> Value {
        let value = self.pop();
        self.as_vector(value, ty)
    }

    pub(in super::super) fn pop2_vectors(&mut self, ty: Type) -> (Value, Value) {
        let second = self.pop_vector(ty);
        (self.pop_vector(ty), second)
    }

    pub(in super::super) fn vector_unary(
        &mut self,
        ty: Type,
        operate: impl FnOnce(&mut FunctionBuilder<'_>, Value) -> Value,
    ) -> Step {
        let value = self.pop_vector(ty);
        let value = operate(&mut self.builder, value);
        self.push(value);
        Ok(())
    }

    pub(in super::super) fn vector_binary(
        &mut self,
        ty: Type,
        operate: impl FnOnce(&mut FunctionBuilder<'_>, Value, Value) -> Value,
    ) -> Step {
        let (first, second) = self.pop2_vectors(ty);
        let value = operate(&mut self.builder, first, second);
        self.push(value);
        Ok(())
    }
}
