//! Builtins of garbage-collected objects
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#aggregate-instructions)).
//!
//! Invariant: only builtins that allocate may collect, and they hold no raw reference across it; distances that compiled
//! code passes lie within the object that it has checked.
//!
//! Does not know: static types.

use super::{Calling, guarded, returns};
use crate::gc::AllocError;
use crate::sys::trampoline::Outcome;
use wattest_abi::TrapCode;
use wattest_abi::gc::FieldKind;
use wattest_module::{CompositeType, DataIndex, ElementIndex, TypeIndex};

/// Ends the calling computation because an object was not allocated.
fn failed(calling: &mut Calling<'_>, error: AllocError) -> Outcome {
    match error {
        AllocError::Full => calling.trap(TrapCode::AllocationTooLarge),
        AllocError::Limiter(error) => calling.fail(error),
    }
}

pub(super) unsafe extern "C" fn gc_alloc(vmctx: *mut u8, type_id: u32, bytes: u64, second: u32) -> Outcome {
    let body = |calling: &mut Calling<'_>| match calling.store.allocate(type_id, bytes, second) {
        Ok(object) => returns(u64::from(object)),
        Err(error) => failed(calling, error),
    };
    // SAFETY: compiled code passes its own `vmctx`.
    unsafe { guarded(vmctx, body) }
}

impl Calling<'_> {
    /// Identifier and element kind of the module's array type `ty`.
    fn array_type(&self, ty: u32) -> (u32, FieldKind) {
        let module = &self.instance().module;
        let ty = TypeIndex(ty);
        let kind = match &module.desc.types[ty.index()].composite {
            CompositeType::Array(ty) => ty.0.kind(),
            _ => FieldKind::I8,
        };
        (module.type_ids[ty.index()], kind)
    }

    /// The bytes `src..src + len` of a data segment.
    fn data(&self, data: u32, src: u64, len: u64) -> Option<*const u8> {
        let instance = self.instance();
        let dropped = instance.dropped_data[data as usize];
        let bytes: &[u8] = if dropped { &[] } else { instance.module.segment(DataIndex(data)) };
        let end = src.checked_add(len).filter(|end| *end <= bytes.len() as u64)?;
        Some(bytes[src as usize..end as usize].as_ptr())
    }

    /// Stores positions `src..src + len` of an element segment from `to` on; false when it has no such positions.
    ///
    /// # Safety
    ///
    /// There must be room for as many elements of the segment's kind.
    unsafe fn store_elements(&self, element: u32, src: u32, len: u32, to: *mut u8) -> bool {
        let instance = self.instance();
        let element = ElementIndex(element);
        let is_func = instance.module.desc.element(element).ty.is_func;
        let Ok(range) = instance.element_range(element, u64::from(src), u64::from(len)) else { return false };
        for (position, raw) in instance.element_values(element, range).enumerate() {
            // SAFETY: by the caller's promise.
            unsafe {
                if is_func {
                    to.cast::<u64>().add(position).write(raw);
                } else {
                    to.cast::<u32>().add(position).write(raw as u32);
                }
            }
        }
        true
    }
}

pub(super) unsafe extern "C" fn array_new_data(vmctx: *mut u8, ty: u32, data: u32, src: u32, len: u32) -> Outcome {
    let body = |calling: &mut Calling<'_>| {
        let (type_id, kind) = calling.array_type(ty);
        let bytes = u64::from(len) * u64::from(kind.bytes());
        if calling.data(data, u64::from(src), bytes).is_none() {
            return calling.trap(TrapCode::MemoryOutOfBounds);
        }
        let array = match calling.store.new_array(type_id, len) {
            Ok(array) => array,
            Err(error) => return failed(calling, error),
        };
        if let Some(from) = calling.data(data, u64::from(src), bytes) {
            // SAFETY: the array has that many bytes, the segment too; a segment never lies in the heap.
            unsafe { std::ptr::copy_nonoverlapping(from, calling.store.array_elements(array), bytes as usize) };
        }
        returns(u64::from(array))
    };
    // SAFETY: compiled code passes its own `vmctx`.
    unsafe { guarded(vmctx, body) }
}

pub(super) unsafe extern "C" fn array_new_elem(vmctx: *mut u8, ty: u32, element: u32, src: u32, len: u32) -> Outcome {
    let body = |calling: &mut Calling<'_>| {
        let (type_id, _) = calling.array_type(ty);
        let range = calling.instance().element_range(ElementIndex(element), u64::from(src), u64::from(len));
        if range.is_err() {
            return calling.trap(TrapCode::TableOutOfBounds);
        }
        let array = match calling.store.new_array(type_id, len) {
            Ok(array) => array,
            Err(error) => return failed(calling, error),
        };
        let to = calling.store.array_elements(array);
        // SAFETY: the array has that many elements, of the segment's kind by validation.
        unsafe { calling.store_elements(element, src, len, to) };
        returns(u64::from(array))
    };
    // SAFETY: compiled code passes its own `vmctx`.
    unsafe { guarded(vmctx, body) }
}

/// The address `at` bytes into the heap of the store that `vmctx` is of.
///
/// # Safety
///
/// As [`Calling::new`].
unsafe fn heap_address(vmctx: *mut u8, at: u64) -> *mut u8 {
    // SAFETY: by the caller's promise.
    unsafe {
        let base = (*vmctx.cast::<wattest_abi::vmctx::VmHeader>()).heap_base;
        base.wrapping_add(at as usize)
    }
}

pub(super) unsafe extern "C" fn array_init_data(vmctx: *mut u8, at: u64, data: u32, src: u32, bytes: u64) -> u32 {
    // SAFETY: compiled code passes its own `vmctx`, and a range that it has checked.
    unsafe {
        let to = heap_address(vmctx, at);
        let calling = Calling::new(vmctx);
        let Some(from) = calling.data(data, u64::from(src), bytes) else { return 0 };
        std::ptr::copy_nonoverlapping(from, to, bytes as usize);
    }
    1
}

pub(super) unsafe extern "C" fn array_init_elem(vmctx: *mut u8, at: u64, element: u32, src: u32, len: u32) -> u32 {
    // SAFETY: compiled code passes its own `vmctx`, and a range that it has checked.
    unsafe {
        let to = heap_address(vmctx, at);
        u32::from(Calling::new(vmctx).store_elements(element, src, len, to))
    }
}

pub(super) unsafe extern "C" fn heap_move(vmctx: *mut u8, to: u64, from: u64, bytes: u64) -> u32 {
    if wattest_abi::mutant!(array_copy_forward) {
        for at in 0..bytes {
            // SAFETY: as below.
            unsafe { heap_address(vmctx, to + at).write(heap_address(vmctx, from + at).read()) };
        }
        return 0;
    }
    // SAFETY: compiled code passes its own `vmctx`, and ranges that it has checked.
    unsafe { std::ptr::copy(heap_address(vmctx, from), heap_address(vmctx, to), bytes as usize) };
    0
}

pub(super) unsafe extern "C" fn heap_fill(vmctx: *mut u8, at: u64, value: u64, count: u64, scale: u32) -> u32 {
    let count = count as usize;
    // SAFETY: compiled code passes its own `vmctx`, and a range that it has checked.
    unsafe {
        let to = heap_address(vmctx, at);
        let byte = value as u8;
        if value == u64::from(byte) * 0x0101_0101_0101_0101 || scale == 0 {
            to.write_bytes(byte, count << scale);
            return 0;
        }
        match scale {
            1 => (0..count).for_each(|index| to.cast::<u16>().add(index).write_unaligned(value as u16)),
            2 => (0..count).for_each(|index| to.cast::<u32>().add(index).write_unaligned(value as u32)),
            _ => (0..count).for_each(|index| to.cast::<u64>().add(index).write_unaligned(value)),
        }
    }
    0
}

pub(super) unsafe extern "C" fn heap_fill_v128(vmctx: *mut u8, at: u64, low: u64, high: u64, count: u64) -> u32 {
    let value = u128::from(high) << 64 | u128::from(low);
    // SAFETY: compiled code passes its own `vmctx`, and a range that it has checked.
    unsafe {
        let to = heap_address(vmctx, at).cast::<u128>();
        (0..count as usize).for_each(|index| to.add(index).write_unaligned(value));
    }
    0
}
