//! Custom descriptors
//! ([proposal](https://github.com/WebAssembly/custom-descriptors/blob/main/proposals/custom-descriptors/Overview.md)):
//! structs that hold a reference to another struct that describes them, and casts by the identity of that one.
//!
//! A cast by descriptor first tests the type, as any cast does, and then compares the descriptor: an object of the target
//! type, or of one below it, holds its descriptor where the target type does.
//!
//! Invariant: a descriptor is looked for only in an object whose type is known to have one at that place, whatever the
//! static type of the descriptor that it is compared with.
//!
//! Does not know: which fields descriptors have.

use super::super::vmctx::Region;
use super::super::{Step, Translator};
use crate::CompileErrorKind;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, Value, types};
use wasmparser::{HeapType, RefType};
use wattest_abi::{TrapCode, ValueKind};
use wattest_module::TypeIndex;

impl Translator<'_> {
    /// Where objects of type `ty` hold their descriptor.
    fn descriptor_offset(&self, ty: TypeIndex) -> Result<u32, CompileErrorKind> {
        let plan = self.env.structs[ty.index()].as_ref();
        let offset = plan.and_then(|plan| plan.layout.descriptor);
        offset.ok_or_else(|| CompileErrorKind::Internal(format!("type {} has no descriptor", ty.0)))
    }

    /// Pops a descriptor; traps if it is null.
    fn pop_descriptor(&mut self) -> Result<Value, CompileErrorKind> {
        let descriptor = self.pop();
        // In a module that declares a type twice, the validator (wasmparser 0.254.2) takes an identifier of its own for
        // the index of the descriptor's type, and so lets other references pass here.
        if self.builder.func.dfg.value_type(descriptor) != types::I32 {
            return Err(CompileErrorKind::Unsupported("a cast by descriptor where a type is declared twice"));
        }
        self.trap_unless(descriptor, TrapCode::NullDescriptor);
        Ok(descriptor)
    }

    /// Stores the descriptor of the new struct `object` and pushes it.
    fn push_described(&mut self, ty: u32, object: Value, descriptor: Value) -> Step {
        let offset = self.descriptor_offset(TypeIndex(ty))?;
        let address = self.object_address(object);
        let flags = self.object_flags(Region::ObjectHeaders);
        self.builder.ins().store(flags, descriptor, address, offset as i32);
        self.push(object);
        Ok(())
    }

    pub(in super::super) fn struct_new_desc(&mut self, ty: u32) -> Step {
        let descriptor = self.pop_descriptor()?;
        let object = self.make_struct(ty);
        self.push_described(ty, object, descriptor)
    }

    pub(in super::super) fn struct_new_default_desc(&mut self, ty: u32) -> Step {
        let descriptor = self.pop_descriptor()?;
        let object = self.make_default_struct(ty);
        self.push_described(ty, object, descriptor)
    }

    pub(in super::super) fn ref_get_desc(&mut self, ty: u32) -> Step {
        let offset = self.descriptor_offset(TypeIndex(ty))?;
        let object = self.pop();
        let flags = self.null_checked(object, offset, Region::ObjectHeaders);
        let address = self.object_address(object);
        let descriptor = self.builder.ins().load(types::I32, flags, address, offset as i32);
        self.push_kind(ValueKind::Ref, descriptor);
        Ok(())
    }

    /// Branches on whether `value` is of type `heap` with `descriptor`, which is not null, or null where `nullable` says
    /// so: the blocks for yes and no.
    fn branch_on_descriptor(
        &mut self,
        value: Value,
        descriptor: Value,
        heap: HeapType,
        nullable: bool,
    ) -> Result<(Block, Block), CompileErrorKind> {
        let target = self.target(heap)?;
        let offset = self.descriptor_offset(target.ty)?;
        let (yes, no) = (self.builder.create_block(), self.builder.create_block());
        let (next, of_type) = (self.builder.create_block(), self.builder.create_block());
        self.builder.ins().brif(value, next, &[], if nullable { yes } else { no }, &[]);
        self.continue_in(next);
        let found = self.object_type_or(value, no);
        self.branch_on_id(found, target, of_type, no);
        self.continue_in(of_type);
        let address = self.object_address(value);
        let flags = self.object_flags(Region::ObjectHeaders);
        let own = self.builder.ins().load(types::I32, flags, address, offset as i32);
        let same = self.builder.ins().icmp(IntCC::Equal, own, descriptor);
        self.builder.ins().brif(same, yes, &[], no, &[]);
        self.builder.seal_block(yes);
        self.builder.seal_block(no);
        Ok((yes, no))
    }

    pub(in super::super) fn ref_cast_desc_eq(&mut self, heap: HeapType, nullable: bool) -> Step {
        let descriptor = self.pop_descriptor()?;
        let value = self.pop();
        let (yes, no) = self.branch_on_descriptor(value, descriptor, heap, nullable)?;
        self.builder.set_cold_block(no);
        self.builder.switch_to_block(no);
        self.trap(TrapCode::DescriptorCastFailure);
        self.builder.switch_to_block(yes);
        self.push(value);
        Ok(())
    }

    /// `br_on_cast_desc_eq` and, with `on_fail`, `br_on_cast_desc_eq_fail`.
    pub(in super::super) fn br_on_cast_desc_eq(&mut self, depth: u32, to: RefType, on_fail: bool) -> Step {
        let descriptor = self.pop_descriptor()?;
        let at = self.frame_at_depth(depth);
        let target = self.prepare_branch(at);
        let value = *self.state.stack.last().expect("validation keeps the operand stack balanced");
        let (yes, no) = self.branch_on_descriptor(value, descriptor, to.heap_type(), to.is_nullable())?;
        let (taken, next) = if on_fail { (no, yes) } else { (yes, no) };
        self.builder.switch_to_block(taken);
        self.builder.ins().jump(target, &self.state.branch_args);
        self.builder.switch_to_block(next);
        Ok(())
    }
}
