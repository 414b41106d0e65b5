//! Lists, and what strings have in common with them.
//!
//! [`load_list`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading) and
//! [`store_list`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#storing) in one pass:
//! length, alignment and bounds of the source are checked once, then `realloc` is called, even for no elements, then the
//! elements go one by one, or as bytes when any bytes are elements and both ends lay them out alike.
//!
//! Invariant: no element is read before its list's bounds were checked, and none written before those of the allocation.
//!
//! Does not know: elements.

use super::memory::Request;
use super::{Emitter, Local, Piece, Place};
use crate::adapter::ImportId;
use crate::plan::{Op, Plan, PlanId};
use wasm_encoder::BlockType;
use wattest_canon::{CoreType, Fault, LIST_BYTES_MAX, Layout, Width};

impl<I: ImportId> Emitter<'_, '_, I> {
    /// A string or list: reads address and length, calls its piece, writes address and length.
    pub(super) fn slice(&mut self, plan: PlanId, from: Place<'_>, to: Place<'_>) {
        let ends = self.ends;
        let target = self.module.piece(Piece::Slice { plan, ends });
        let from_bytes = ends.from.abi.width.pointer_bytes();
        let to_bytes = ends.to.abi.width.pointer_bytes();
        self.read(from.part(0, 0, 1), ends.from.pointer(), from_bytes, false);
        self.read(from.part(from_bytes, 1, 1), ends.from.pointer(), from_bytes, false);
        let what = self.module.plans.get(plan);
        let (address, length) = match what.op {
            Op::Str(route) if from.is_flat() && to.is_flat() => self.call_unless_empty(route, target),
            _ => {
                self.code.call(target);
                let length = self.code.local_set_new(ends.to.pointer());
                (self.code.local_set_new(ends.to.pointer()), length)
            }
        };
        self.write_local(address, to_bytes, to.part(0, 0, 1));
        self.write_local(length, to_bytes, to.part(to_bytes, 1, 1));
        self.code.release(address);
        self.code.release(length);
    }

    /// The body of a piece for a string or list, given address and length; leaves address and length on the stack.
    pub(super) fn slice_body(&mut self, plan: &Plan, address: Local, length: Local) {
        match plan.op {
            Op::Seq { element, bulk, .. } => self.list_body(element, bulk, address, length),
            Op::Str(route) => self.string_body(route, address, length),
            // No other plan is a slice.
            _ => {
                self.code.sink().unreachable();
            }
        }
    }

    fn list_body(&mut self, element: PlanId, bulk: bool, address: Local, length: Local) {
        let ends = self.ends;
        let part = self.module.plans.get(element);
        let (from, to) = (part.from.layout, part.to.layout);
        self.code.get(address);
        self.widen(&ends.from);
        let source = self.code.local_set_new(CoreType::I64);
        self.code.get(length);
        self.widen(&ends.from);
        let count = self.code.local_set_new(CoreType::I64);
        let bytes = self.code.local(CoreType::I64);
        self.check_list(from, to, source, count, bytes);
        let is_resized = from.size != to.size;
        #[cfg(wattest_mutants)]
        let is_resized = is_resized && !wattest_abi::mutant!(list_allocated_by_source);
        if is_resized {
            self.code.get(count);
            self.code.sink().i64_const(i64::from(to.size)).i64_mul();
            self.code.set(bytes);
        }
        let target = self.code.local(CoreType::I64);
        self.allocate(Request { old: None, align: to.align, beyond: Fault::ListOutOfBounds }, bytes, target);
        if bulk {
            self.copy_bytes(source, target, bytes);
        } else {
            self.each_element(element, (source, from.size), (target, to.size), count);
        }
        for local in [target, count] {
            self.code.get(local);
            self.narrow(&ends.to);
        }
    }

    /// Checks length, alignment and bounds of a list; its size in bytes ends in `bytes`.
    fn check_list(&mut self, from: Layout, to: Layout, source: Local, count: Local, bytes: Local) {
        let end = self.ends.from;
        let count_max = (LIST_BYTES_MAX / u64::from(from.size)).min(2 * LIST_BYTES_MAX / u64::from(to.size));
        #[cfg(wattest_mutants)]
        let count_max = if wattest_abi::mutant!(list_limit_unchecked) { u64::MAX } else { count_max };
        self.code.get(count);
        self.code.sink().i64_const(count_max.cast_signed()).i64_gt_u();
        self.trap_if(Fault::ListTooLong);
        let align = from.align;
        #[cfg(wattest_mutants)]
        let align = if wattest_abi::mutant!(list_alignment_unchecked) { 1 } else { align };
        self.check_align(source, align, Fault::Unaligned);
        self.code.get(count);
        let is_scaled = from.size > 1;
        #[cfg(wattest_mutants)]
        let is_scaled = is_scaled && !wattest_abi::mutant!(list_bounds_by_count);
        if is_scaled {
            self.code.sink().i64_const(i64::from(from.size)).i64_mul();
        }
        self.code.set(bytes);
        self.check_bounds(&end, source, bytes, Fault::ListOutOfBounds);
    }

    /// Copies bytes from address to address, all in `i64` locals, checked.
    pub(super) fn copy_bytes(&mut self, source: Local, target: Local, bytes: Local) {
        let ends = self.ends;
        self.code.get(target);
        self.narrow(&ends.to);
        self.code.get(source);
        self.narrow(&ends.from);
        self.code.get(bytes);
        // A length is as wide as the narrower of both memories.
        if ends.from.abi.width == Width::W32 || ends.to.abi.width == Width::W32 {
            self.code.sink().i32_wrap_i64();
        }
        self.code.sink().memory_copy(ends.to.memory, ends.from.memory);
    }

    fn each_element(&mut self, element: PlanId, source: (Local, u32), target: (Local, u32), count: Local) {
        let ends = self.ends;
        self.code.get(count);
        self.code.sink().i64_eqz().i32_eqz().if_(BlockType::Empty);
        self.code.get(source.0);
        self.narrow(&ends.from);
        let from = self.code.local_set_new(ends.from.pointer());
        self.code.get(target.0);
        self.narrow(&ends.to);
        let to = self.code.local_set_new(ends.to.pointer());
        self.code.get(count);
        self.code.sink().i32_wrap_i64();
        #[cfg(wattest_mutants)]
        if wattest_abi::mutant!(list_last_element_lost) {
            // One of several: none of one would be 2³² of them.
            self.code.get(count);
            self.code.sink().i64_const(1).i64_gt_u().i32_sub();
        }
        let left = self.code.local_set_new(CoreType::I32);
        if self.module.plans.get(element).op == Op::Bool {
            self.booleans(from, to, left);
            self.code.get(left);
            self.code.sink().if_(BlockType::Empty);
            self.element_loop(element, (from, source.1), (to, target.1), left);
            self.code.sink().end();
        } else {
            self.element_loop(element, (from, source.1), (to, target.1), left);
        }
        for local in [from, to, left] {
            self.code.release(local);
        }
        self.code.sink().end();
    }

    /// Eight values of `bool` at a time, as long as there are so many: each byte that is not 0 becomes 1.
    fn booleans(&mut self, from: Local, to: Local, left: Local) {
        let ends = self.ends;
        let lanes = |byte: u64| (byte * 0x0101_0101_0101_0101).cast_signed();
        self.code.sink().block(BlockType::Empty).loop_(BlockType::Empty);
        self.code.get(left);
        self.code.sink().i32_const(8).i32_lt_u().br_if(1);
        self.code.get(to);
        self.code.get(from);
        let (source, target) = (self.arg(&ends.from, 0, 1), self.arg(&ends.to, 0, 1));
        self.code.sink().i64_load(source);
        let values = self.code.local(CoreType::I64);
        self.code.tee(values);
        #[cfg(wattest_mutants)]
        if wattest_abi::mutant!(list_bools_by_low_bit) {
            // Bit 0 is kept where bit 7 of the sum would be: the rest goes on as below.
            self.code.sink().i64_const(lanes(1)).i64_and();
            self.code.set(values);
            self.code.get(values);
        }
        // The low seven bits carry into the eighth unless they are all clear.
        self.code.sink().i64_const(lanes(0x7f)).i64_and().i64_const(lanes(0x7f)).i64_add();
        self.code.get(values);
        self.code.sink().i64_or().i64_const(7).i64_shr_u().i64_const(lanes(1)).i64_and().i64_store(target);
        self.code.release(values);
        for (local, step) in [(from, 8), (to, 8), (left, -8)] {
            self.code.get(local);
            self.add_const(local.ty, step);
            self.code.set(local);
        }
        self.code.sink().br(0).end().end();
    }
}
