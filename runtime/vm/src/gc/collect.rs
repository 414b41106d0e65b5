//! The collector: what is reachable is copied to the other half, breadth first
//! (C. J. Cheney, "A nonrecursive list compacting algorithm", 1970).
//!
//! Invariant: while it runs, an object of the old half is either untouched or its first word says where the copy is; no
//! recursion, no memory beyond the other half.
//!
//! Does not know: when to run.

use super::hosts::HostValues;
use super::{frames, verify};
use crate::store::StoreInner;
use crate::types::{ObjectLayout, TypeInfo};
use wattest_abi::gc::{
    ARRAY_ELEMENTS, ARRAY_LENGTH, HOST_TAG, OBJECT_ALIGN, RECORD_INFO, TAG_MASK, TYPE_RECORD_BYTES, array_bytes,
};

/// Marks a first word as the new place of the object, in units of the alignment: type identifiers are smaller.
const FORWARDED: u32 = 1 << 31;
/// What the old half is filled with under stress: no valid type, no valid reference.
const POISON: u8 = 0xfc;

/// What is known of the type with identifier `id`.
///
/// # Safety
///
/// `records` must be a registry's records, `id` one of its identifiers; the result lives as long as the registry.
#[inline(always)]
pub(super) unsafe fn type_info<'a>(records: *const u8, id: u32) -> &'a TypeInfo {
    // SAFETY: by the caller's promise.
    unsafe {
        let record = records.add(id as usize * TYPE_RECORD_BYTES as usize);
        &**record.add(RECORD_INFO as usize).cast::<*const TypeInfo>()
    }
}

/// Bytes of the object at `object`, whose type is `info`.
///
/// # Safety
///
/// `object` must point to a live object of that type.
#[inline(always)]
pub(super) unsafe fn object_bytes(object: *const u8, info: &TypeInfo) -> u32 {
    match &info.layout {
        ObjectLayout::Fields { bytes, .. } => *bytes,
        ObjectLayout::Array { element_bytes, .. } => {
            // SAFETY: by the caller's promise.
            let length = unsafe { object.add(ARRAY_LENGTH as usize).cast::<u32>().read() };
            array_bytes(*element_bytes, length).unwrap_or(OBJECT_ALIGN)
        }
    }
}

/// A collection under way.
struct Copier<'a> {
    base: *mut u8,
    records: *const u8,
    hosts: &'a mut HostValues,
    /// Where the next copy goes.
    top: u64,
}

impl Copier<'_> {
    /// Updates the reference in `slot`, copying its object if nobody has.
    ///
    /// # Safety
    ///
    /// `slot` must hold a valid reference of the heap at `base`, or one that was updated before.
    #[inline(always)]
    unsafe fn forward(&mut self, slot: *mut u32) {
        // SAFETY: by the caller's promise; every copy fits, since the other half has room for everything in the old one.
        unsafe {
            let reference = slot.read();
            if reference & TAG_MASK != 0 || reference == 0 {
                if reference & TAG_MASK == HOST_TAG {
                    self.hosts.mark(reference);
                }
                return;
            }
            let object = self.base.add(reference as usize);
            let first = object.cast::<u32>().read();
            if first & FORWARDED != 0 {
                slot.write((first & !FORWARDED) * OBJECT_ALIGN);
                return;
            }
            let bytes = object_bytes(object, type_info(self.records, first));
            let to = self.base.add(self.top as usize);
            let (mut from_word, mut to_word) = (object.cast::<u64>(), to.cast::<u64>());
            if bytes <= 64 {
                for _ in 0..bytes / 8 {
                    to_word.write(from_word.read());
                    (from_word, to_word) = (from_word.add(1), to_word.add(1));
                }
            } else {
                std::ptr::copy_nonoverlapping(object, to, bytes as usize);
            }
            object.cast::<u32>().write(FORWARDED | (self.top / u64::from(OBJECT_ALIGN)) as u32);
            slot.write(self.top as u32);
            self.top += u64::from(bytes);
        }
    }

    /// Updates all references in the copy at offset `at`; returns the offset after it.
    ///
    /// # Safety
    ///
    /// A copy whose references were not updated yet must lie there.
    #[inline(always)]
    unsafe fn scan(&mut self, at: u64) -> u64 {
        // SAFETY: by the caller's promise.
        unsafe {
            let object = self.base.add(at as usize);
            let info = type_info(self.records, object.cast::<u32>().read());
            match &info.layout {
                ObjectLayout::Fields { bytes, traced } => {
                    for offset in traced {
                        self.forward(object.add(*offset as usize).cast());
                    }
                    at + u64::from(*bytes)
                }
                ObjectLayout::Array { element_bytes, traced } => {
                    let length = object.add(ARRAY_LENGTH as usize).cast::<u32>().read();
                    if *traced {
                        let first = object.add(ARRAY_ELEMENTS as usize).cast::<u32>();
                        for index in 0..length as usize {
                            self.forward(first.add(index));
                        }
                    }
                    at + u64::from(array_bytes(*element_bytes, length).unwrap_or(OBJECT_ALIGN))
                }
            }
        }
    }
}

impl StoreInner {
    /// Frees everything that nobody can reach. Raw references are invalid afterwards. Does nothing when the machine has no
    /// memory for the copies.
    pub fn collect(&mut self) {
        let mut hosts = std::mem::take(&mut self.host_values);
        hosts.begin();
        let records = self.config.types.records();
        let start = match &mut self.heap {
            Some(heap) => {
                let used = self.context.heap_top - heap.start();
                if heap.commit_other(used).is_err() {
                    self.host_values = hosts;
                    return;
                }
                heap.other_start()
            }
            None => 0,
        };
        let base = self.heap.as_ref().map_or(std::ptr::null_mut(), |heap| heap.base());
        let mut copier = Copier { base, records, hosts: &mut hosts, top: start };
        // SAFETY: roots hold valid references, by the invariant of this module; copies are scanned once, in order.
        unsafe {
            self.visit_roots(&mut |slot| copier.forward(slot));
            let mut next = start;
            while next < copier.top {
                next = copier.scan(next);
            }
        }
        let top = copier.top;
        let dead = hosts.sweep();
        self.host_values = hosts;
        self.finish(start, top);
        if self.config.heap.stress {
            let verified = self.verify_heap();
            assert!(verified.is_ok(), "after a collection: {verified:?}");
        }
        drop(dead);
    }

    fn finish(&mut self, start: u64, top: u64) {
        let Some(heap) = &mut self.heap else { return };
        if self.config.heap.stress {
            let (old, used) = (heap.start() as usize, (self.context.heap_top - heap.start()) as usize);
            // SAFETY: everything in the old half was copied or is garbage.
            unsafe { heap.base().add(old).write_bytes(POISON, used) };
        }
        heap.flip(top - start);
        self.context.heap_top = top;
        self.context.heap_limit = if self.config.heap.stress { 0 } else { heap.limit() };
    }

    /// Shows every place outside the heap that holds a reference to `visit`.
    pub(super) fn visit_roots(&mut self, visit: &mut impl FnMut(*mut u32)) {
        for value in &mut self.const_stack {
            if value.is_reference {
                visit((&raw mut value.bits).cast());
            }
        }
        self.roots.visit(|slot| visit(slot));
        for global in &mut self.globals {
            if global.is_reference && !wattest_abi::mutant!(roots_miss_globals) {
                visit((&raw mut global.bits).cast());
            }
        }
        for table in &mut self.tables {
            if wattest_abi::mutant!(roots_miss_tables) {
                break;
            }
            table.visit_references(visit);
        }
        for instance in &mut self.instances {
            if wattest_abi::mutant!(roots_miss_globals) {
                break;
            }
            instance.visit_references(visit);
        }
        frames::visit(&self.context, visit);
    }

    /// Checks every object and every reference: for tests, and after each collection under stress.
    ///
    /// # Errors
    ///
    /// [`verify::HeapError`] says what is wrong: a defect of this engine.
    pub fn verify_heap(&mut self) -> Result<(), verify::HeapError> {
        verify::verify(self)
    }
}
