//! Parametric instructions
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#parametric-instructions)) and constants.
//!
//! Invariant: constants keep their bits, NaN payloads included.
//!
//! Does not know: types; validation has compared them.

use super::{Step, Translator};
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{InstBuilder, Value, types};

impl Translator<'_> {
    /// What `nop` does.
    pub(super) fn nothing(&mut self) -> Step {
        Ok(())
    }

    pub(super) fn drop_(&mut self) -> Step {
        self.pop();
        Ok(())
    }

    pub(super) fn select(&mut self) -> Step {
        let (first, second, condition) = self.pop3();
        let first = self.canonical(first);
        let second = self.canonical(second);
        let value = self.builder.ins().select(condition, first, second);
        self.push(value);
        Ok(())
    }

    pub(super) fn typed_select(&mut self, ty: wasmparser::ValType) -> Step {
        self.select()?;
        let value = self.pop();
        self.push_kind(crate::signature::kind_of(self.env.desc, ty), value);
        Ok(())
    }

    pub(super) fn constant_i32(&mut self, value: i32) -> Step {
        let value = self.i32_const(value as u32);
        self.push(value);
        Ok(())
    }

    pub(super) fn constant_i64(&mut self, value: i64) -> Step {
        let value = self.builder.ins().iconst(types::I64, value);
        self.push(value);
        Ok(())
    }

    pub(super) fn constant_f32(&mut self, bits: u32) -> Step {
        let value = self.f32_const(bits);
        self.push(value);
        Ok(())
    }

    pub(super) fn constant_f64(&mut self, bits: u64) -> Step {
        let value = self.f64_const(bits);
        self.push(value);
        Ok(())
    }

    pub(super) fn f32_const(&mut self, bits: u32) -> Value {
        self.builder.ins().f32const(Ieee32::with_bits(bits))
    }

    pub(super) fn f64_const(&mut self, bits: u64) -> Value {
        self.builder.ins().f64const(Ieee64::with_bits(bits))
    }

    pub(super) fn v128_const(&mut self, bytes: [u8; 16]) -> Value {
        let constant = self.builder.func.dfg.constants.insert(bytes.as_slice().into());
        self.builder.ins().vconst(types::I8X16, constant)
    }
}
