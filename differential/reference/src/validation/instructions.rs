//! Validation of instructions: the choice of the chapter, and numeric, parametric and variable instructions.
//!
//! [Instructions](https://webassembly.github.io/spec/core/valid/instructions.html), and which of them are
//! [constant](https://webassembly.github.io/spec/core/valid/instructions.html#constant-expressions).
//!
//! Invariant: an instruction that no chapter knows is refused as unsupported.
//!
//! Does not know: how instructions are executed.

use super::{Checker, Context, Refusal};
use crate::numerics::{Conversion, Float, Integer, LaneAccess, Relaxed, Signature, VectorFloat, VectorInteger};
use crate::operators::{OPERATORS, number_of};
use crate::types::ValType;
use wasmparser::Operator as O;

/// The type of a numeric instruction.
fn numeric(operator: &O<'_>) -> Option<Signature> {
    Integer::of(operator)
        .map(Integer::signature)
        .or_else(|| Float::of(operator).map(Float::signature))
        .or_else(|| Conversion::of(operator).map(Conversion::signature))
        .or_else(|| VectorInteger::of(operator).map(VectorInteger::signature))
        .or_else(|| VectorFloat::of(operator).map(VectorFloat::signature))
        .or_else(|| Relaxed::of(operator).map(Relaxed::signature))
}

fn is_constant(operator: &O<'_>) -> bool {
    matches!(
        operator,
        O::I32Const { .. }
            | O::I64Const { .. }
            | O::F32Const { .. }
            | O::F64Const { .. }
            | O::V128Const { .. }
            | O::RefNull { .. }
            | O::RefFunc { .. }
            | O::RefI31
            | O::GlobalGet { .. }
            | O::I32Add
            | O::I32Sub
            | O::I32Mul
            | O::I64Add
            | O::I64Sub
            | O::I64Mul
            | O::StructNew { .. }
            | O::StructNewDefault { .. }
            | O::StructNewDesc { .. }
            | O::StructNewDefaultDesc { .. }
            | O::ArrayNew { .. }
            | O::ArrayNewDefault { .. }
            | O::ArrayNewFixed { .. }
            | O::AnyConvertExtern
            | O::ExternConvertAny
            | O::End
    )
}

/// Proposals that may be off, as the byte reader names them, and whether they are on.
fn switches(context: &Context) -> [(&'static str, bool); 3] {
    [
        ("custom_descriptors", context.custom_descriptors),
        ("wide_arithmetic", context.wide_arithmetic),
        ("threads", context.threads),
    ]
}

impl Checker<'_> {
    /// Checks the next instruction.
    ///
    /// # Errors
    /// When a rule is broken.
    pub fn check(&mut self, operator: &O<'_>) -> Result<(), Refusal> {
        if let Some(row) = OPERATORS.get(usize::from(number_of(operator)))
            && switches(self.context).contains(&(row.proposal, false))
        {
            return Err(Refusal::malformed("illegal opcode"));
        }
        if self.constant && !is_constant(operator) {
            return Err("constant expression required".into());
        }
        if let Some((from, to)) = numeric(operator) {
            return self.apply(from, to);
        }
        let known = self.check_plain(operator)?
            || self.check_control(operator)?
            || self.check_call(operator)?
            || self.check_memory(operator)?
            || self.check_table(operator)?
            || self.check_reference(operator)?
            || self.check_struct(operator)?
            || self.check_array(operator)?;
        if known { Ok(()) } else { Err(Refusal::Unsupported(name(operator))) }
    }

    fn check_plain(&mut self, operator: &O<'_>) -> Result<bool, Refusal> {
        match operator {
            O::Nop => {}
            O::I32Const { .. } => self.push_val(ValType::I32),
            O::I64Const { .. } => self.push_val(ValType::I64),
            O::F32Const { .. } => self.push_val(ValType::F32),
            O::F64Const { .. } => self.push_val(ValType::F64),
            O::V128Const { .. } => self.push_val(ValType::V128),
            O::I8x16Shuffle { lanes } => {
                if lanes.iter().any(|lane| *lane >= 32) {
                    return Err("invalid lane index".into());
                }
                self.apply(&[ValType::V128, ValType::V128], &[ValType::V128])?;
            }
            O::Drop => {
                self.pop_val()?;
            }
            O::Select => self.select()?,
            O::TypedSelect { ty } => {
                let ty = self.context.val_type(*ty)?;
                self.apply(&[ty, ty, ValType::I32], &[ty])?;
            }
            O::TypedSelectMulti { .. } => return Err("invalid result arity".into()),
            O::LocalGet { local_index } => {
                let ty = self.local(*local_index)?;
                if !self.is_set(*local_index) {
                    return Err(format!("uninitialized local {local_index}").into());
                }
                self.push_val(ty);
            }
            O::LocalSet { local_index } => {
                let ty = self.local(*local_index)?;
                self.pop_expect(ty)?;
                self.mark_set(*local_index);
            }
            O::LocalTee { local_index } => {
                let ty = self.local(*local_index)?;
                self.apply(&[ty], &[ty])?;
                self.mark_set(*local_index);
            }
            O::GlobalGet { global_index } => self.global_get(*global_index)?,
            O::GlobalSet { global_index } => {
                let global = self.context.global(*global_index)?;
                if !global.mutable {
                    return Err("immutable global".into());
                }
                self.pop_expect(global.content)?;
            }
            other => return self.check_lane(other),
        }
        Ok(true)
    }

    fn check_lane(&mut self, operator: &O<'_>) -> Result<bool, Refusal> {
        let Some((access, lane)) = LaneAccess::of(operator) else { return Ok(false) };
        if u32::from(lane) >= access.lanes() {
            return Err("invalid lane index".into());
        }
        let (from, to) = access.signature();
        self.apply(from, to)?;
        Ok(true)
    }

    fn global_get(&mut self, index: u32) -> Result<(), Refusal> {
        let global = self.context.global(index)?;
        if self.constant && global.mutable {
            return Err("constant expression required: the global is mutable".into());
        }
        self.push_val(global.content);
        Ok(())
    }

    /// `select` without a type: of numbers and vectors only.
    fn select(&mut self) -> Result<(), Refusal> {
        self.pop_expect(ValType::I32)?;
        let (a, b) = (self.pop_val()?, self.pop_val()?);
        if matches!(a, ValType::Ref(_)) || matches!(b, ValType::Ref(_)) {
            return Err("type mismatch: select of references needs a type".into());
        }
        if a != b && a != ValType::Bot && b != ValType::Bot {
            return Err("type mismatch: select of different types".into());
        }
        self.push_val(if a == ValType::Bot { b } else { a });
        Ok(())
    }
}

fn name(operator: &O<'_>) -> String {
    let text = format!("{operator:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}
