//! Evaluation of constant expressions
//! ([spec](https://webassembly.github.io/spec/core/exec/modules.html#instantiation)).
//!
//! Invariant: operands lie on the store's own stack, where the collector finds the references among them.
//!
//! Does not know: what the values initialize.

use crate::gc::{AllocError, ConstValue};
use crate::instance::InstantiateError;
use crate::store::{InstanceId, StoreInner};
use wattest_abi::TrapCode;
use wattest_abi::gc::{FieldKind, I31_BIT};
use wattest_module::{CompositeType, ConstExpr, ConstOp, TypeIndex};

impl From<AllocError> for InstantiateError {
    fn from(error: AllocError) -> InstantiateError {
        match error {
            AllocError::Full => InstantiateError::Trap(TrapCode::AllocationTooLarge, None),
            AllocError::Limiter(error) => InstantiateError::Limiter(error),
        }
    }
}

impl StoreInner {
    /// Evaluates a constant expression of instance `id` to the bits of its value. May collect.
    pub(crate) fn evaluate(&mut self, id: InstanceId, expr: &ConstExpr) -> Result<u128, InstantiateError> {
        let instance = &self.instances[id.0 as usize];
        if let [op] = expr.ops.as_slice()
            && let Some(value) = instance.simple_value(self, *op)
        {
            return Ok(value.bits);
        }
        let height = self.const_stack.len();
        let evaluated = expr.ops.iter().try_for_each(|op| self.step(id, *op));
        let value = self.const_stack.last().map_or(0, |value| value.bits);
        self.const_stack.truncate(height);
        evaluated.map(|()| value)
    }

    fn pop_const(&mut self) -> u128 {
        self.const_stack.pop().map_or(0, |value| value.bits)
    }

    fn push_const(&mut self, bits: u128, is_reference: bool) {
        self.const_stack.push(ConstValue { bits, is_reference });
    }

    fn step(&mut self, id: InstanceId, op: ConstOp) -> Result<(), InstantiateError> {
        if let Some(value) = self.instances[id.0 as usize].simple_value(self, op) {
            self.const_stack.push(value);
            return Ok(());
        }
        match op {
            ConstOp::RefI31 => {
                let value = self.pop_const() as u32;
                self.push_const(u128::from(value << 1 | I31_BIT), true);
            }
            ConstOp::StructNew(ty) => {
                let kinds = self.struct_kinds(id, ty);
                self.new_object(id, ty, None, &kinds)?;
            }
            ConstOp::StructNewDefault(ty) => self.new_object(id, ty, None, &[])?,
            ConstOp::StructNewDesc(ty) => {
                let kinds = self.struct_kinds(id, ty);
                self.new_described(id, ty, &kinds)?;
            }
            ConstOp::StructNewDefaultDesc(ty) => self.new_described(id, ty, &[])?,
            ConstOp::ArrayNewDefault(ty) => {
                let length = self.pop_const() as u32;
                self.new_object(id, ty, Some(length), &[])?;
            }
            ConstOp::ArrayNewFixed(ty, length) => {
                let kinds = vec![self.element_kind(id, ty); length as usize];
                self.new_object(id, ty, Some(length), &kinds)?;
            }
            ConstOp::ArrayNew(ty) => self.new_filled_array(id, ty)?,
            // A reference is the same on either side.
            ConstOp::AnyConvertExtern | ConstOp::ExternConvertAny => {}
            op => {
                let right = self.pop_const();
                let left = self.pop_const();
                self.push_const(arithmetic(op, left, right), false);
            }
        }
        Ok(())
    }

    fn struct_kinds(&self, id: InstanceId, ty: TypeIndex) -> Vec<FieldKind> {
        match &self.instances[id.0 as usize].module.desc.types[ty.index()].composite {
            CompositeType::Struct(ty) => ty.fields.iter().map(|field| field.kind()).collect(),
            _ => Vec::new(),
        }
    }

    fn element_kind(&self, id: InstanceId, ty: TypeIndex) -> FieldKind {
        match &self.instances[id.0 as usize].module.desc.types[ty.index()].composite {
            CompositeType::Array(ty) => ty.0.kind(),
            _ => FieldKind::I8,
        }
    }

    /// Allocates a struct, or an array of `length`, of type `ty` and pops as many values for it as `kinds` has.
    fn new_object(
        &mut self,
        id: InstanceId,
        ty: TypeIndex,
        length: Option<u32>,
        kinds: &[FieldKind],
    ) -> Result<(), InstantiateError> {
        let type_id = self.instances[id.0 as usize].module.type_ids[ty.index()];
        let object = match length {
            Some(length) => self.new_array(type_id, length)?,
            None => self.new_struct(type_id)?,
        };
        self.initialize_top(object, kinds);
        Ok(())
    }

    /// Pops as many values as `kinds` has into the first fields or elements of `object`, which is pushed.
    fn initialize_top(&mut self, object: u32, kinds: &[FieldKind]) {
        let start = self.const_stack.len() - kinds.len();
        for (position, kind) in kinds.iter().enumerate() {
            let bits = self.const_stack[start + position].bits;
            self.initialize_field(object, position as u32, *kind, bits);
        }
        self.const_stack.truncate(start);
        self.push_const(u128::from(object), true);
    }

    /// Allocates a struct of type `ty`, whose descriptor lies above as many values as `kinds` has.
    fn new_described(&mut self, id: InstanceId, ty: TypeIndex, kinds: &[FieldKind]) -> Result<(), InstantiateError> {
        // The operands stay on the stack, where an allocation that moves them updates them.
        let type_id = self.instances[id.0 as usize].module.type_ids[ty.index()];
        if self.const_stack.last().is_none_or(|descriptor| descriptor.bits == 0) {
            return Err(InstantiateError::Trap(TrapCode::NullDescriptor, None));
        }
        let object = self.new_struct(type_id)?;
        let descriptor = self.pop_const() as u32;
        self.set_descriptor(object, descriptor).map_err(|_| InstantiateError::Trap(TrapCode::NullDescriptor, None))?;
        self.initialize_top(object, kinds);
        Ok(())
    }

    /// `array.new`: pops the length, then the value.
    fn new_filled_array(&mut self, id: InstanceId, ty: TypeIndex) -> Result<(), InstantiateError> {
        let length = self.pop_const() as u32;
        let type_id = self.instances[id.0 as usize].module.type_ids[ty.index()];
        let kind = self.element_kind(id, ty);
        // The value stays on the stack, where an allocation that moves it updates it.
        let array = self.new_array(type_id, length)?;
        let bits = self.pop_const();
        if bits != 0 {
            (0..length).for_each(|index| self.initialize_element(array, index, kind, bits));
        }
        self.push_const(u128::from(array), true);
        Ok(())
    }
}

fn arithmetic(op: ConstOp, left: u128, right: u128) -> u128 {
    let (left32, right32) = (left as u32, right as u32);
    let (left64, right64) = (left as u64, right as u64);
    match op {
        ConstOp::I32Add => u128::from(left32.wrapping_add(right32)),
        ConstOp::I32Sub => u128::from(left32.wrapping_sub(right32)),
        ConstOp::I32Mul => u128::from(left32.wrapping_mul(right32)),
        ConstOp::I64Add => u128::from(left64.wrapping_add(right64)),
        ConstOp::I64Sub => u128::from(left64.wrapping_sub(right64)),
        ConstOp::I64Mul => u128::from(left64.wrapping_mul(right64)),
        _ => 0,
    }
}
