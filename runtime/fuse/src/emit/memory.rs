//! Addresses: bounds, alignment, allocation.
//!
//! Every address a guest supplies is checked as
//! [`lift_heap_values` and `lower_heap_values`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#lifting-and-lowering-values)
//! say: alignment first, then bounds, and of an allocation of size 0 as well.
//!
//! Invariant: sums are taken in 64 bits and cannot wrap: an address of a 64-bit memory is compared before anything is added.
//!
//! Does not know: what lies at an address.

use super::{Emitter, EndPoint, Local};
use crate::adapter::ImportId;
use wattest_canon::{CoreType, Fault, Width};

/// What an allocation asks for: locals of type `i64`, and a constant alignment.
#[derive(Clone, Copy)]
pub struct Request {
    /// Address and size of what is to be resized; `None` for a new allocation.
    pub old: Option<(Local, Local)>,
    /// The alignment in bytes.
    pub align: u32,
    /// What an allocation beyond the end of memory is called: the same as if the guest had supplied the address.
    pub beyond: Fault,
}

impl<I: ImportId> Emitter<'_, '_, I> {
    /// The length of an end's memory in bytes, as an `i64` on the stack.
    pub(super) fn memory_bytes(&mut self, end: &EndPoint) {
        self.code.sink().memory_size(end.memory);
        if end.abi.width == Width::W32 {
            self.code.sink().i64_extend_i32_u();
        }
        if end.page_bits > 0 {
            self.code.sink().i64_const(i64::from(end.page_bits)).i64_shl();
        }
    }

    /// Turns an address of an end's type on the stack into an `i64`.
    pub(super) fn widen(&mut self, end: &EndPoint) {
        if end.abi.width == Width::W32 {
            self.code.sink().i64_extend_i32_u();
        }
    }

    /// Turns an `i64` on the stack, which is an address of the end, into its type.
    pub(super) fn narrow(&mut self, end: &EndPoint) {
        if end.abi.width == Width::W32 {
            self.code.sink().i32_wrap_i64();
        }
    }

    /// Traps unless the address in an `i64` local is aligned.
    pub(super) fn check_align(&mut self, address: Local, align: u32, fault: Fault) {
        if align > 1 {
            self.code.get(address);
            self.code.sink().i32_wrap_i64().i32_const(align.cast_signed() - 1).i32_and();
            self.trap_if(fault);
        }
    }

    /// Traps unless the bytes (an `i64` local, below 2³²) from the address (an `i64` local) on lie in the end's memory.
    pub(super) fn check_bounds(&mut self, end: &EndPoint, address: Local, bytes: Local, fault: Fault) {
        // Of a 64-bit memory, address + bytes may wrap; memory - bytes may not, once memory >= bytes.
        if end.abi.width == Width::W32 {
            self.code.get(address);
            self.code.get(bytes);
            self.code.sink().i64_add();
            self.memory_bytes(end);
            self.code.sink().i64_gt_u();
            return self.trap_if(fault);
        }
        self.memory_bytes(end);
        let memory = self.code.local_set_new(CoreType::I64);
        self.code.get(bytes);
        self.code.get(memory);
        self.code.sink().i64_gt_u();
        self.code.get(address);
        self.code.get(memory);
        self.code.get(bytes);
        self.code.sink().i64_sub().i64_gt_u().i32_or();
        self.trap_if(fault);
        self.code.release(memory);
    }

    /// Checks an area of parameters or results at an address of an end's type: alignment, then bounds.
    pub(super) fn check_area(&mut self, end: &EndPoint, address: Local, bytes: u32, align: u32) {
        #[cfg(wattest_mutants)]
        let bytes = if wattest_abi::mutant!(area_size_ignored) { 0 } else { bytes };
        #[cfg(wattest_mutants)]
        let align = if wattest_abi::mutant!(area_alignment_unchecked) { 1 } else { align };
        self.code.get(address);
        self.widen(end);
        let wide = self.code.local_set_new(CoreType::I64);
        self.code.sink().i64_const(i64::from(bytes));
        let bytes = self.code.local_set_new(CoreType::I64);
        self.check_align(wide, align, Fault::Unaligned);
        self.check_bounds(end, wide, bytes, Fault::PointerOutOfBounds);
        self.code.release(wide);
        self.code.release(bytes);
    }

    /// Calls `realloc` of the end that values go to and checks what it gives, which ends in `address` (an `i64` local, which
    /// may be that of the old allocation). `bytes` is an `i64` local.
    pub(super) fn allocate(&mut self, request: Request, bytes: Local, address: Local) {
        let end = self.ends.to;
        let Some(realloc) = end.realloc else {
            // An adapter whose plan allocates is not made without `realloc`.
            self.code.sink().unreachable();
            return;
        };
        #[cfg(wattest_mutants)]
        let stale = wattest_abi::mutant!(realloc_growth_unseen).then(|| {
            self.memory_bytes(&end);
            self.code.local_set_new(CoreType::I64)
        });
        match request.old {
            Some((old, old_bytes)) => {
                for local in [old, old_bytes] {
                    self.code.get(local);
                    self.narrow(&end);
                }
            }
            None => {
                self.code.zero(end.pointer());
                self.code.zero(end.pointer());
            }
        }
        match end.abi.width {
            Width::W32 => self.code.sink().i32_const(request.align.cast_signed()),
            Width::W64 => self.code.sink().i64_const(i64::from(request.align)),
        };
        self.code.get(bytes);
        self.narrow(&end);
        self.code.call(realloc);
        self.widen(&end);
        self.code.set(address);
        #[cfg(wattest_mutants)]
        if let Some(stale) = stale {
            self.code.get(address);
            self.code.get(stale);
            self.code.sink().i64_ge_u();
            self.trap_if(request.beyond);
        }
        let align = request.align;
        #[cfg(wattest_mutants)]
        let align = if wattest_abi::mutant!(realloc_alignment_unchecked) { 1 } else { align };
        self.check_align(address, align, Fault::Unaligned);
        #[cfg(wattest_mutants)]
        if wattest_abi::mutant!(realloc_bounds_unchecked) {
            return;
        }
        self.check_bounds(&end, address, bytes, request.beyond);
    }
}
