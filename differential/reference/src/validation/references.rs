//! Validation of reference instructions.
//!
//! [Reference instructions](https://webassembly.github.io/spec/core/valid/instructions.html#reference-instructions).
//!
//! Invariant: a cast stays within the hierarchy of its type.
//!
//! Does not know: structures and arrays.

use super::{Checker, Refusal};
use crate::types::{HeapType, RefType, ValType};
use wasmparser::Operator as O;

impl Checker<'_> {
    pub(super) fn check_reference(&mut self, operator: &O<'_>) -> Result<bool, Refusal> {
        match operator {
            O::RefNull { hty } => {
                let heap = self.context.heap_type(*hty)?;
                self.push_ref(true, heap);
            }
            O::RefFunc { function_index } => {
                let id = self.context.func(*function_index)?;
                if !self.constant && !self.context.refs.contains(function_index) {
                    return Err("undeclared function reference".into());
                }
                let is_exact = !self.context.inexact.contains(function_index);
                self.push_ref(false, if is_exact { HeapType::Exact(id) } else { HeapType::Def(id) });
            }
            O::RefIsNull => {
                self.pop_ref()?;
                self.push_val(ValType::I32);
            }
            O::RefAsNonNull => {
                let ty = self.pop_ref()?;
                self.push_ref(false, ty.heap);
            }
            O::RefEq => {
                self.pop_heap(HeapType::Eq)?;
                self.pop_heap(HeapType::Eq)?;
                self.push_val(ValType::I32);
            }
            O::RefTestNonNull { hty } => self.cast(*hty, false, true)?,
            O::RefTestNullable { hty } => self.cast(*hty, true, true)?,
            O::RefCastNonNull { hty } => self.cast(*hty, false, false)?,
            O::RefCastNullable { hty } => self.cast(*hty, true, false)?,
            O::RefGetDesc { type_index } => self.get_desc(*type_index)?,
            O::RefCastDescEqNonNull { hty } => self.cast_desc_eq(*hty, false)?,
            O::RefCastDescEqNullable { hty } => self.cast_desc_eq(*hty, true)?,
            O::RefI31 => {
                self.pop_expect(ValType::I32)?;
                self.push_ref(false, HeapType::I31);
            }
            O::I31GetS | O::I31GetU => {
                self.pop_heap(HeapType::I31)?;
                self.push_val(ValType::I32);
            }
            O::AnyConvertExtern => self.convert(HeapType::Extern, HeapType::Any)?,
            O::ExternConvertAny => self.convert(HeapType::Any, HeapType::Extern)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn cast(&mut self, heap: wasmparser::HeapType, nullable: bool, is_test: bool) -> Result<(), Refusal> {
        let heap = self.context.heap_type(heap)?;
        self.pop_heap(self.context.types.top(heap))?;
        self.push_val(if is_test { ValType::I32 } else { ValType::Ref(RefType { nullable, heap }) });
        Ok(())
    }

    /// `ref.get_desc x : [(ref null (exact_1 x))] → [(ref (exact_1 y))]` where `y` is the descriptor of `x`.
    fn get_desc(&mut self, index: u32) -> Result<(), Refusal> {
        let id = self.context.ty(index)?;
        let descriptor = self.context.types.get(id).descriptor_id().ok_or("type without descriptor")?;
        let operand = self.pop_heap(HeapType::Def(id))?;
        let exact = HeapType::Exact(id);
        let is_exact = self.context.types.match_val(operand, ValType::Ref(RefType::null(exact)));
        self.push_ref(false, if is_exact { HeapType::Exact(descriptor) } else { HeapType::Def(descriptor) });
        Ok(())
    }

    /// `ref.cast_desc_eq (ref null? (exact_1 x)) : [(ref null any) (ref null (exact_1 y))] → [(ref null? (exact_1 x))]`
    /// where `y` is the descriptor of `x`.
    fn cast_desc_eq(&mut self, heap: wasmparser::HeapType, nullable: bool) -> Result<(), Refusal> {
        let heap = self.context.heap_type(heap)?;
        self.pop_descriptor(heap)?;
        self.pop_heap(self.context.types.top(heap))?;
        self.push_ref(nullable, heap);
        Ok(())
    }

    /// Keeps whether null belongs to the type.
    fn convert(&mut self, from: HeapType, to: HeapType) -> Result<(), Refusal> {
        match self.pop_heap(from)? {
            ValType::Ref(ty) => self.push_ref(ty.nullable, to),
            _ => self.push_ref(false, to),
        }
        Ok(())
    }
}
