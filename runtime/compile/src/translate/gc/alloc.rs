//! Allocation: a bump of the store's allocation pointer, with a builtin behind it.
//!
//! Invariant: between an allocation and the last store that initializes the object there is no call that may collect.
//!
//! Does not know: when the heap is full; the builtin collects, grows or traps.

use super::super::Translator;
use super::super::vmctx::Region;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use wattest_abi::gc::{EXCEPTION_TAG, FieldKind, FieldLayout, OBJECT_TYPE};
use wattest_abi::{Builtin, ValueKind, vmctx};
use wattest_module::{FuncType, TypeIndex};

impl Translator<'_> {
    /// Allocates an object of `bytes` (64 bits, a multiple of the alignment) and writes its header: `type_id` and, in the
    /// second word, `second`. Everything else is undefined and must be initialized before the next call.
    pub(super) fn allocate(&mut self, bytes: Value, type_id: Value, second: Value) -> Value {
        let store = self.store_context();
        let flags = self.trusted(Region::Store);
        let top = self.builder.ins().load(types::I64, flags, store, vmctx::STORE_HEAP_TOP as i32);
        let limit = self.builder.ins().load(types::I64, flags, store, vmctx::STORE_HEAP_LIMIT as i32);
        let next = self.builder.ins().iadd(top, bytes);
        let full = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, next, limit);
        let (cold, fast) = self.cold_and_next();
        let join = self.builder.create_block();
        let object = self.builder.append_block_param(join, types::I32);
        self.declare_kind(ValueKind::Ref, object);
        self.builder.ins().brif(full, cold, &[], fast, &[]);
        self.continue_in(cold);
        let slow = self.call_builtin(Builtin::gc_alloc, &[type_id, bytes, second]);
        self.builder.ins().jump(join, &[slow.into()]);
        self.continue_in(fast);
        self.builder.ins().store(flags, next, store, vmctx::STORE_HEAP_TOP as i32);
        let made = self.builder.ins().ireduce(types::I32, top);
        let address = self.object_address(made);
        let flags = self.object_flags(Region::ObjectHeaders);
        self.builder.ins().store(flags, type_id, address, OBJECT_TYPE as i32);
        self.builder.ins().store(flags, second, address, OBJECT_TYPE as i32 + 4);
        self.builder.ins().jump(join, &[made.into()]);
        self.continue_in(join);
        object
    }

    /// Allocates an object of constant size.
    pub(super) fn allocate_constant(&mut self, bytes: u32, type_id: Value, second: Value) -> Value {
        let bytes = self.pointer_const(u64::from(bytes));
        self.allocate(bytes, type_id, second)
    }

    /// Allocates an exception of a tag with function type `ty`: `tag` is the tag's identity (64 bits), `fields` the
    /// payload in canonical types.
    pub(in super::super) fn allocate_exception(&mut self, ty: TypeIndex, tag: Value, fields: &[Value]) -> Value {
        let func = self.env.desc.func_type(ty);
        let (kinds, layout) = exception_layout(func);
        let type_id = self.type_id(ty);
        let zero = self.i32_const(0);
        let object = self.allocate_constant(layout.bytes, type_id, zero);
        let address = self.object_address(object);
        let flags = self.object_flags(Region::ObjectHeaders);
        self.builder.ins().store(flags, tag, address, EXCEPTION_TAG as i32);
        let flags = self.object_flags(Region::Exceptions);
        for ((kind, offset), value) in kinds.iter().zip(&layout.offsets).zip(fields) {
            self.store_object_field(*kind, flags, *value, address, *offset);
        }
        object
    }

    /// The identity of the tag of an exception that is not null.
    pub(in super::super) fn exception_tag(&mut self, exception: Value) -> Value {
        let address = self.object_address(exception);
        let flags = self.object_flags(Region::ObjectHeaders);
        self.builder.ins().load(types::I64, flags, address, EXCEPTION_TAG as i32)
    }

    /// Pushes the payload of an exception, not null, whose tag has function type `ty`.
    pub(in super::super) fn push_exception_fields(&mut self, ty: TypeIndex, exception: Value) {
        let func = self.env.desc.func_type(ty);
        let (kinds, layout) = exception_layout(func);
        let address = self.object_address(exception);
        let flags = self.object_flags(Region::Exceptions);
        let swapped = wattest_abi::mutant!(exception_payload_swapped) && kinds.len() > 1 && kinds[0] == kinds[1];
        for (position, kind) in kinds.iter().enumerate() {
            let offset = if swapped && position < 2 { layout.offsets[1 - position] } else { layout.offsets[position] };
            let value = self.load_object_field(*kind, false, flags, address, offset);
            self.push_field(*kind, value);
        }
    }
}

/// The payload's kinds and layout of an exception whose tag has function type `ty`.
fn exception_layout(ty: &FuncType) -> (Vec<FieldKind>, FieldLayout) {
    let kinds = ty.params.iter().map(|ty| FieldKind::Value(ty.kind())).collect::<Vec<_>>();
    let layout = FieldLayout::new(wattest_abi::gc::EXCEPTION_FIELDS, kinds.iter().copied());
    (kinds, layout)
}
