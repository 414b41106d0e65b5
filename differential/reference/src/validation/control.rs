//! Validation of control instructions.
//!
//! [Control instructions](https://webassembly.github.io/spec/core/valid/instructions.html#control-instructions):
//! blocks, branches, calls, exceptions.
//!
//! Invariant: after an instruction that never continues, the rest of its frame is unreachable.
//!
//! Does not know: where branches end up.

use super::{Checker, FrameKind, Refusal};
use crate::types::{FuncType, HeapType, RefType, Types, ValType};
use wasmparser::{BlockType, Catch, Operator as O};

impl Checker<'_> {
    pub(super) fn check_control(&mut self, operator: &O<'_>) -> Result<bool, Refusal> {
        match operator {
            O::Unreachable => self.unreachable(),
            O::Block { blockty } => self.block(FrameKind::Block, *blockty)?,
            O::Loop { blockty } => self.block(FrameKind::Loop, *blockty)?,
            O::If { blockty } => {
                self.pop_expect(ValType::I32)?;
                self.block(FrameKind::If, *blockty)?;
            }
            O::Else => {
                let frame = self.pop_ctrl()?;
                if frame.kind != FrameKind::If {
                    return Err(Refusal::malformed("`else` without `if`"));
                }
                self.push_ctrl(FrameKind::Else, frame.start, frame.end);
            }
            O::TryTable { try_table } => {
                for catch in &try_table.catches {
                    self.catch(catch)?;
                }
                self.block(FrameKind::TryTable, try_table.ty)?;
            }
            O::End => {
                let frame = self.pop_ctrl()?;
                if frame.kind == FrameKind::If && !self.context.types.match_results(&frame.start, &frame.end) {
                    return Err("type mismatch: `if` without `else` changes types".into());
                }
                self.push_vals(&frame.end);
            }
            O::Br { relative_depth } => {
                let label = self.label(*relative_depth)?;
                self.pop_vals(&label)?;
                self.unreachable();
            }
            O::BrIf { relative_depth } => {
                self.pop_expect(ValType::I32)?;
                let label = self.label(*relative_depth)?;
                self.apply(&label, &label)?;
            }
            O::BrTable { targets } => self.br_table(targets)?,
            O::Throw { tag_index } => {
                let tag = self.context.tag(*tag_index)?;
                let params = self.context.func_of(tag)?.params.clone();
                self.pop_vals(&params)?;
                self.unreachable();
            }
            O::ThrowRef => {
                self.pop_heap(HeapType::Exn)?;
                self.unreachable();
            }
            other => return self.check_reference_branch(other),
        }
        Ok(true)
    }

    fn check_reference_branch(&mut self, operator: &O<'_>) -> Result<bool, Refusal> {
        match operator {
            O::BrOnNull { relative_depth } => {
                let ty = self.pop_ref()?;
                let label = self.label(*relative_depth)?;
                self.apply(&label, &label)?;
                self.push_ref(false, ty.heap);
            }
            O::BrOnNonNull { relative_depth } => {
                let ty = self.pop_ref()?;
                let mut label = self.label(*relative_depth)?;
                let last = label.pop().ok_or("type mismatch: the label takes no reference")?;
                self.expect_match(ValType::Ref(RefType::non_null(ty.heap)), last)?;
                self.apply(&label, &label)?;
            }
            O::BrOnCast { relative_depth, from_ref_type, to_ref_type } => {
                let (from, to) = self.cast_types(*from_ref_type, *to_ref_type)?;
                self.br_on_cast(*relative_depth, from, to, Types::difference(from, to))?;
            }
            O::BrOnCastFail { relative_depth, from_ref_type, to_ref_type } => {
                let (from, to) = self.cast_types(*from_ref_type, *to_ref_type)?;
                self.br_on_cast(*relative_depth, from, Types::difference(from, to), to)?;
            }
            O::BrOnCastDescEq { relative_depth, from_ref_type, to_ref_type } => {
                let (from, to) = self.cast_types(*from_ref_type, *to_ref_type)?;
                self.pop_descriptor(to.heap)?;
                self.br_on_cast(*relative_depth, from, to, Types::difference(from, to))?;
            }
            O::BrOnCastDescEqFail { relative_depth, from_ref_type, to_ref_type } => {
                let (from, to) = self.cast_types(*from_ref_type, *to_ref_type)?;
                self.pop_descriptor(to.heap)?;
                self.br_on_cast(*relative_depth, from, Types::difference(from, to), to)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The second type matches the first; with custom descriptors, both have the same top type.
    fn cast_types(&self, from: wasmparser::RefType, to: wasmparser::RefType) -> Result<(RefType, RefType), Refusal> {
        let (from, to) = (self.context.ref_type(from)?, self.context.ref_type(to)?);
        if !self.context.custom_descriptors {
            self.expect_match(ValType::Ref(to), ValType::Ref(from))?;
        } else if self.context.types.top(from.heap) != self.context.types.top(to.heap) {
            return Err("type mismatch: a cast to another hierarchy".into());
        }
        Ok((from, to))
    }

    /// Branches with `taken`, or goes on with `left`.
    fn br_on_cast(&mut self, depth: u32, from: RefType, taken: RefType, left: RefType) -> Result<(), Refusal> {
        let mut label = self.label(depth)?;
        let last = label.pop().ok_or("type mismatch: the label takes no reference")?;
        self.expect_match(ValType::Ref(taken), last)?;
        self.pop_expect(ValType::Ref(from))?;
        self.apply(&label, &label)?;
        self.push_val(ValType::Ref(left));
        Ok(())
    }

    fn expect_match(&self, actual: ValType, expected: ValType) -> Result<(), Refusal> {
        if self.context.types.match_val(actual, expected) {
            return Ok(());
        }
        Err(format!("type mismatch: {actual:?} where {expected:?} is expected").into())
    }

    /// The function type of a block.
    fn block_type(&self, ty: BlockType) -> Result<FuncType, Refusal> {
        Ok(match ty {
            BlockType::Empty => FuncType::default(),
            BlockType::Type(ty) => FuncType { params: Vec::new(), results: vec![self.context.val_type(ty)?] },
            BlockType::FuncType(index) => self.context.func_type(index)?.1.clone(),
        })
    }

    fn block(&mut self, kind: FrameKind, ty: BlockType) -> Result<(), Refusal> {
        let ty = self.block_type(ty)?;
        self.pop_vals(&ty.params)?;
        self.push_ctrl(kind, ty.params, ty.results);
        Ok(())
    }

    fn catch(&self, catch: &Catch) -> Result<(), Refusal> {
        let exn = ValType::Ref(RefType::non_null(HeapType::Exn));
        let (tag, label, with_ref) = match *catch {
            Catch::One { tag, label } => (Some(tag), label, false),
            Catch::OneRef { tag, label } => (Some(tag), label, true),
            Catch::All { label } => (None, label, false),
            Catch::AllRef { label } => (None, label, true),
        };
        let mut caught = match tag {
            Some(tag) => self.context.func_of(self.context.tag(tag)?)?.params.clone(),
            None => Vec::new(),
        };
        caught.extend(with_ref.then_some(exn));
        if self.context.types.match_results(&caught, &self.label(label)?) {
            return Ok(());
        }
        Err("type mismatch: the label does not take what is caught".into())
    }

    fn br_table(&mut self, targets: &wasmparser::BrTable<'_>) -> Result<(), Refusal> {
        self.pop_expect(ValType::I32)?;
        let default = self.label(targets.default())?;
        for depth in targets.targets() {
            let depth = depth.map_err(|error| Refusal::malformed(error.message()))?;
            let label = self.label(depth)?;
            if label.len() != default.len() {
                return Err("type mismatch: labels of different arity".into());
            }
            let popped = self.pop_vals(&label)?;
            self.push_vals(&popped);
        }
        self.pop_vals(&default)?;
        self.unreachable();
        Ok(())
    }

    pub(super) fn check_call(&mut self, operator: &O<'_>) -> Result<bool, Refusal> {
        let ty = match operator {
            O::Call { function_index } | O::ReturnCall { function_index } => {
                let id = self.context.func(*function_index)?;
                self.context.func_of(id)?.clone()
            }
            O::CallRef { type_index } | O::ReturnCallRef { type_index } => {
                let (id, ty) = self.context.func_type(*type_index)?;
                let ty = ty.clone();
                self.pop_heap(HeapType::Def(id))?;
                ty
            }
            O::CallIndirect { type_index, table_index } | O::ReturnCallIndirect { type_index, table_index } => {
                let table = self.context.table(*table_index)?;
                if !self.context.types.match_ref(table.element, RefType::null(HeapType::Func)) {
                    return Err("type mismatch: not a table of functions".into());
                }
                let ty = self.context.func_type(*type_index)?.1.clone();
                self.pop_expect(super::memories::address(table.is64))?;
                ty
            }
            O::Return => {
                let results = self.results.clone();
                self.pop_vals(&results)?;
                self.unreachable();
                return Ok(true);
            }
            _ => return Ok(false),
        };
        let is_tail = matches!(operator, O::ReturnCall { .. } | O::ReturnCallRef { .. } | O::ReturnCallIndirect { .. });
        if !is_tail {
            self.apply(&ty.params, &ty.results)?;
            return Ok(true);
        }
        if !self.context.types.match_results(&ty.results, &self.results) {
            return Err("type mismatch: a tail call with other results".into());
        }
        self.pop_vals(&ty.params)?;
        self.unreachable();
        Ok(true)
    }
}
