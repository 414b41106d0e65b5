//! Garbage-collected objects
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#aggregate-instructions)): access to the heap
//! that all chapters of objects share.
//!
//! An object's address is made from its reference at each access and never outlives it: every call may move objects, and
//! only references are in stack maps.
//!
//! Invariant: every value of kind [`ValueKind::Ref`] that can live across a call is declared to need a stack map, by
//! [`Translator::push_kind`] or where its block parameter or variable is made.
//!
//! Does not know: how the collector works.

mod alloc;
mod arrays;
mod casts;
mod descriptors;
mod structs;

use super::vmctx::Region;
use super::{Step, Translator};
use crate::signature::{POINTER, clif_type};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use wattest_abi::gc::{FieldKind, NULL_GUARD_BYTES, OBJECT_TYPE};
use wattest_abi::{TrapCode, ValueKind, vmctx};
use wattest_module::{CompositeType, TypeIndex};

/// Most references that the stack maps of one function may list, counted as all reference locals and operands at each
/// call: a short function can otherwise ask for gigabytes of maps.
const MAPPED_MAX: u64 = 8 << 20;

impl Translator<'_> {
    /// Pushes a value of `kind` that a call, load or builtin gave.
    pub(super) fn push_kind(&mut self, kind: ValueKind, value: Value) {
        self.declare_kind(kind, value);
        self.push(value);
    }

    /// Makes the collector see `value` if it is a reference.
    pub(super) fn declare_kind(&mut self, kind: ValueKind, value: Value) {
        if kind == ValueKind::Ref {
            self.builder.declare_value_needs_stack_map(value);
            self.state.has_references = true;
        }
    }

    /// Charges the stack map of a call that is about to be emitted.
    pub(super) fn charge_stack_map(&mut self) {
        let live = u64::from(self.state.reference_locals) + self.state.stack.len() as u64;
        self.state.mapped += live;
    }

    /// Whether the function's stack maps stay within their budget.
    pub(super) fn stack_maps_fit(&self) -> bool {
        !self.state.has_references || self.state.mapped <= MAPPED_MAX
    }

    /// The address of the object behind `object`.
    pub(super) fn object_address(&mut self, object: Value) -> Value {
        let base = self.load_constant(POINTER, self.vmctx, vmctx::HEAP_BASE);
        let distance = self.builder.ins().uextend(types::I64, object);
        self.builder.ins().iadd(base, distance)
    }

    /// Flags of an access, `offset` bytes into `object`, that traps when that is null; emits a check where no fault can
    /// be the check.
    fn null_checked(&mut self, object: Value, offset: u32, region: Region) -> MemFlagsData {
        let region = self.region(region);
        let flags = MemFlagsData::new().with_alias_region(Some(region));
        // Null plus a small offset lies in the part of the heap that is never accessible.
        if self.env.tunables.signals_based_traps && offset < NULL_GUARD_BYTES - 16 {
            return flags.with_trap_code(Some(super::trap::clif_trap(TrapCode::NullReference)));
        }
        self.trap_unless(object, TrapCode::NullReference);
        flags.with_notrap()
    }

    /// Flags of an access to an object that is known not to be null.
    fn object_flags(&mut self, region: Region) -> MemFlagsData {
        let region = self.region(region);
        MemFlagsData::new().with_notrap().with_alias_region(Some(region))
    }

    /// Loads the type of an object that is not null.
    fn object_type(&mut self, object: Value) -> Value {
        let address = self.object_address(object);
        let flags = self.object_flags(Region::ObjectHeaders);
        self.builder.ins().load(types::I32, flags, address, OBJECT_TYPE as i32)
    }

    /// The region of field `field` of struct or array type `ty`: fields of types that share no root never overlap.
    fn field_region(&self, ty: TypeIndex, field: u32) -> Region {
        let mut root = ty;
        while let Some(above) = self.env.desc.types[root.index()].supertype {
            root = above;
        }
        let root = self.env.desc.canonical[root.index()];
        Region::Fields(root.0.wrapping_mul(7).wrapping_add(field))
    }

    /// Loads a field.
    fn load_object_field(
        &mut self,
        kind: FieldKind,
        is_signed: bool,
        flags: MemFlagsData,
        address: Value,
        offset: u32,
    ) -> Value {
        let is_signed = is_signed && !wattest_abi::mutant!(packed_get_unsigned);
        let (ins, offset) = (self.builder.ins(), offset as i32);
        match (kind, is_signed) {
            (FieldKind::I8, false) => ins.uload8(types::I32, flags, address, offset),
            (FieldKind::I8, true) => ins.sload8(types::I32, flags, address, offset),
            (FieldKind::I16, false) => ins.uload16(types::I32, flags, address, offset),
            (FieldKind::I16, true) => ins.sload16(types::I32, flags, address, offset),
            (FieldKind::Value(kind), _) => ins.load(clif_type(kind), flags, address, offset),
        }
    }

    /// Pushes a field's value.
    fn push_field(&mut self, kind: FieldKind, value: Value) {
        match kind {
            FieldKind::Value(kind) => self.push_kind(kind, value),
            _ => self.push(value),
        }
    }

    /// Stores a field.
    fn store_object_field(&mut self, kind: FieldKind, flags: MemFlagsData, value: Value, address: Value, offset: u32) {
        let offset = offset as i32;
        match kind {
            FieldKind::I8 => self.builder.ins().istore8(flags, value, address, offset),
            FieldKind::I16 => self.builder.ins().istore16(flags, value, address, offset),
            FieldKind::Value(_) => self.builder.ins().store(flags, value, address, offset),
        };
    }

    /// The field's zero.
    fn field_zero(&mut self, kind: FieldKind) -> Value {
        match kind {
            FieldKind::Value(kind) => self.zero(clif_type(kind)),
            _ => self.i32_const(0),
        }
    }

    /// The element kind of array type `ty`.
    fn element_kind(&self, ty: TypeIndex) -> FieldKind {
        match &self.env.desc.types[ty.index()].composite {
            CompositeType::Array(ty) => ty.0.kind(),
            _ => FieldKind::I8,
        }
    }

    /// The engine-wide identifier of type `ty`.
    pub(super) fn type_id(&mut self, ty: TypeIndex) -> Value {
        let ids = self.load_constant(POINTER, self.vmctx, vmctx::TYPE_IDS);
        self.load_constant(types::I32, ids, ty.0 * 4)
    }

    pub(super) fn ref_i31(&mut self) -> Step {
        let value = self.pop();
        let shifted = self.builder.ins().ishl_imm_u(value, 1);
        let tagged = self.builder.ins().bor_imm_u(shifted, i64::from(wattest_abi::gc::I31_BIT));
        self.push(tagged);
        Ok(())
    }

    pub(super) fn i31_get(&mut self, is_signed: bool) -> Step {
        let value = self.pop();
        self.trap_unless(value, TrapCode::NullReference);
        let is_signed = is_signed && !wattest_abi::mutant!(i31_get_unsigned);
        let value =
            if is_signed { self.builder.ins().sshr_imm_u(value, 1) } else { self.builder.ins().ushr_imm_u(value, 1) };
        self.push(value);
        Ok(())
    }
}
