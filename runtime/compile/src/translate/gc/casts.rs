//! Casts ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#reference-instructions)).
//!
//! A test against a concrete type compares the object's type identifier with it or, if the type may have subtypes, one of
//! the identifiers in the record of the object's type: constant time at any depth.
//!
//! Invariant: [`Translator::branch_on_type`] ends the current block and seals both blocks that it gives.
//!
//! Does not know: static types of operands; a test that validation could decide costs what any other does.

use super::super::vmctx::Region;
use super::super::{Step, Translator};
use crate::CompileErrorKind;
use crate::signature::POINTER;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, Value, types};
use wasmparser::{AbstractHeapType, HeapType, RefType};
use wattest_abi::gc::{
    HOST_TAG, I31_BIT, RECORD_ALL_SUPERS, RECORD_DEPTH, RECORD_KIND, RECORD_SUPERS, RECORD_SUPERS_LEN, TAG_MASK,
    TYPE_RECORD_BYTES, TypeKind,
};
use wattest_abi::{TrapCode, vmctx};
use wattest_module::{CompositeType, TypeIndex};

/// A type of the module as the target of a cast.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub ty: TypeIndex,
    /// Whether types below it are no targets.
    pub exact: bool,
}

/// What a cast tests, null aside.
enum Test {
    /// Nothing: every value of the hierarchy passes.
    Always,
    /// No value passes.
    Never,
    Eq,
    I31,
    Kind(TypeKind),
    Object(Target),
    Function(Target),
}

impl Translator<'_> {
    fn test(&self, heap: HeapType) -> Result<Test, CompileErrorKind> {
        Ok(match heap {
            HeapType::Abstract { ty, .. } => match ty {
                AbstractHeapType::Func | AbstractHeapType::Extern | AbstractHeapType::Any | AbstractHeapType::Exn => {
                    Test::Always
                }
                AbstractHeapType::None
                | AbstractHeapType::NoFunc
                | AbstractHeapType::NoExtern
                | AbstractHeapType::NoExn => Test::Never,
                AbstractHeapType::Eq => Test::Eq,
                AbstractHeapType::I31 => Test::I31,
                AbstractHeapType::Struct => Test::Kind(TypeKind::Struct),
                AbstractHeapType::Array => Test::Kind(TypeKind::Array),
                AbstractHeapType::Cont | AbstractHeapType::NoCont => {
                    return Err(CompileErrorKind::Unsupported("a cast of a continuation"));
                }
            },
            HeapType::Concrete(_) | HeapType::Exact(_) => {
                let target = self.target(heap)?;
                match self.env.desc.types[target.ty.index()].composite {
                    CompositeType::Func(_) => Test::Function(target),
                    _ => Test::Object(target),
                }
            }
        })
    }

    /// The type of the module that `heap` names, where only that can follow.
    pub(super) fn target(&self, heap: HeapType) -> Result<Target, CompileErrorKind> {
        let (index, exact) = match heap {
            HeapType::Concrete(index) => (index.as_module_index(), false),
            HeapType::Exact(index) => (index.as_module_index(), true),
            HeapType::Abstract { .. } => (None, false),
        };
        let ty = index.map(TypeIndex).ok_or_else(|| CompileErrorKind::Internal("not a module's type".to_string()))?;
        Ok(Target { ty, exact })
    }

    /// The address of the record of the type with identifier `id`.
    fn type_record(&mut self, id: Value) -> Value {
        let records = self.load_constant(POINTER, self.vmctx, vmctx::TYPE_RECORDS);
        let id = self.builder.ins().uextend(types::I64, id);
        let scaled = self.builder.ins().ishl_imm_u(id, i64::from(TYPE_RECORD_BYTES.ilog2()));
        self.builder.ins().iadd(records, scaled)
    }

    /// Whether the type with identifier `found`, not 0, is type `ty`, whose identifier is `expected`, or declared to be below
    /// it.
    pub(in super::super) fn is_below(&mut self, found: Value, expected: Value, ty: TypeIndex) -> Value {
        let record = self.type_record(found);
        let depth = self.env.depths[ty.index()];
        let depth = if wattest_abi::mutant!(cast_subtype_depth) && depth > 1 { depth - 1 } else { depth };
        let flags = self.trusted(Region::Vmctx);
        let above = if depth < RECORD_SUPERS_LEN {
            let offset = RECORD_SUPERS + depth * 4;
            self.builder.ins().load(types::I32, flags, record, offset as i32)
        } else {
            // A type higher up than `ty` is the last of its own list, and is not `ty`.
            let own = self.builder.ins().load(types::I32, flags, record, RECORD_DEPTH as i32);
            let depth = self.i32_const(depth);
            let position = self.builder.ins().umin(own, depth);
            let position = self.builder.ins().uextend(types::I64, position);
            let scaled = self.builder.ins().ishl_imm_u(position, 2);
            let all = self.builder.ins().load(POINTER, flags, record, RECORD_ALL_SUPERS as i32);
            let at = self.builder.ins().iadd(all, scaled);
            self.builder.ins().load(types::I32, flags, at, 0)
        };
        self.builder.ins().icmp(IntCC::Equal, above, expected)
    }

    /// Branches on whether `value` is of type `heap`, or null where `nullable` says so: the blocks for yes and no.
    fn branch_on_type(
        &mut self,
        value: Value,
        heap: HeapType,
        nullable: bool,
    ) -> Result<(Block, Block), CompileErrorKind> {
        let test = self.test(heap)?;
        let (yes, no) = (self.builder.create_block(), self.builder.create_block());
        let next = self.builder.create_block();
        let nullable = nullable && !wattest_abi::mutant!(cast_of_null);
        self.builder.ins().brif(value, next, &[], if nullable { yes } else { no }, &[]);
        self.continue_in(next);
        match test {
            Test::Always => {
                self.builder.ins().jump(yes, &[]);
            }
            Test::Never => {
                self.builder.ins().jump(no, &[]);
            }
            Test::Eq => {
                let tag = self.builder.ins().band_imm_u(value, i64::from(TAG_MASK));
                let is_host = self.builder.ins().icmp_imm_u(IntCC::Equal, tag, i64::from(HOST_TAG));
                self.builder.ins().brif(is_host, no, &[], yes, &[]);
            }
            Test::I31 => {
                let bit = self.builder.ins().band_imm_u(value, i64::from(I31_BIT));
                self.builder.ins().brif(bit, yes, &[], no, &[]);
            }
            Test::Kind(kind) => {
                let found = self.object_type_or(value, no);
                let record = self.type_record(found);
                let flags = self.trusted(Region::Vmctx);
                let found = self.builder.ins().load(types::I32, flags, record, RECORD_KIND as i32);
                let same = self.builder.ins().icmp_imm_u(IntCC::Equal, found, i64::from(kind as u32));
                self.builder.ins().brif(same, yes, &[], no, &[]);
            }
            Test::Object(target) => {
                let found = self.object_type_or(value, no);
                self.branch_on_id(found, target, yes, no);
            }
            Test::Function(target) => {
                let flags = self.trusted(Region::Vmctx);
                let found = self.builder.ins().load(types::I32, flags, value, vmctx::FUNC_REF_TYPE_ID as i32);
                self.branch_on_id(found, target, yes, no);
            }
        }
        self.builder.seal_block(yes);
        self.builder.seal_block(no);
        Ok((yes, no))
    }

    /// The type of the object `value`; goes to `no` if that is no object.
    pub(super) fn object_type_or(&mut self, value: Value, no: Block) -> Value {
        let tag = self.builder.ins().band_imm_u(value, i64::from(TAG_MASK));
        let object = self.builder.create_block();
        self.builder.ins().brif(tag, no, &[], object, &[]);
        self.continue_in(object);
        self.object_type(value)
    }

    /// Branches on whether the type with identifier `found` is `target`; ends the current block.
    pub(super) fn branch_on_id(&mut self, found: Value, target: Target, yes: Block, no: Block) {
        let ty = target.ty;
        let expected = self.type_id(ty);
        // The record of a type names the type itself as well, so one comparison will do (runtime/RATIONALE.md).
        let matches = if target.exact || self.env.desc.types[ty.index()].is_final {
            self.builder.ins().icmp(IntCC::Equal, found, expected)
        } else {
            self.is_below(found, expected, ty)
        };
        self.builder.ins().brif(matches, yes, &[], no, &[]);
    }

    pub(in super::super) fn ref_test(&mut self, heap: HeapType, nullable: bool) -> Step {
        let value = self.pop();
        let (yes, no) = self.branch_on_type(value, heap, nullable)?;
        let join = self.builder.create_block();
        let flag = self.builder.append_block_param(join, types::I32);
        for (block, result) in [(yes, 1), (no, 0)] {
            self.builder.switch_to_block(block);
            let result = self.i32_const(result);
            self.builder.ins().jump(join, &[result.into()]);
        }
        self.continue_in(join);
        self.push(flag);
        Ok(())
    }

    pub(in super::super) fn ref_cast(&mut self, heap: HeapType, nullable: bool) -> Step {
        let value = self.pop();
        let (yes, no) = self.branch_on_type(value, heap, nullable)?;
        self.builder.set_cold_block(no);
        self.builder.switch_to_block(no);
        self.trap(TrapCode::CastFailure);
        self.builder.switch_to_block(yes);
        self.push(value);
        Ok(())
    }

    /// `br_on_cast` and, with `on_fail`, `br_on_cast_fail`.
    pub(in super::super) fn br_on_cast(&mut self, depth: u32, to: RefType, on_fail: bool) -> Step {
        let at = self.frame_at_depth(depth);
        let target = self.prepare_branch(at);
        let value = *self.state.stack.last().expect("validation keeps the operand stack balanced");
        let (yes, no) = self.branch_on_type(value, to.heap_type(), to.is_nullable())?;
        let (taken, next) = if on_fail { (no, yes) } else { (yes, no) };
        self.builder.switch_to_block(taken);
        self.builder.ins().jump(target, &self.state.branch_args);
        self.builder.switch_to_block(next);
        Ok(())
    }
}
