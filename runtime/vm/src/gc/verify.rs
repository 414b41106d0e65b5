//! The heap verifier.
//!
//! Walks the active half from object to object, then checks that every reference, in objects and roots, is null, an
//! unboxed integer, a kept host value, or the start of an object.
//!
//! Invariant: nothing is changed.
//!
//! Does not know: static types; that a field's object is of the field's type is the compiler's business.

use super::collect::{object_bytes, type_info};
use crate::store::StoreInner;
use crate::types::ObjectLayout;
use std::collections::HashSet;
use wattest_abi::gc::{ARRAY_ELEMENTS, ARRAY_LENGTH, HOST_TAG, OBJECT_ALIGN, RECORD_INFO, TAG_MASK, TYPE_RECORD_BYTES};

/// What is wrong with a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeapError {
    /// An object's first word is no type.
    #[error("the object at {at:#x} has no type: {word:#x}")]
    Type {
        /// Offset of the object.
        at: u64,
        /// The word.
        word: u32,
    },
    /// An object reaches beyond what is allocated.
    #[error("the object at {at:#x} of {bytes} bytes ends beyond {top:#x}")]
    Bounds {
        /// Offset of the object.
        at: u64,
        /// Its size.
        bytes: u32,
        /// End of what is allocated.
        top: u64,
    },
    /// A reference to nothing.
    #[error("a reference in {holder:#x} (0: a root) to {reference:#x}, where nothing is")]
    Reference {
        /// Offset of the object that holds it.
        holder: u64,
        /// The reference.
        reference: u32,
    },
}

pub(super) fn verify(store: &mut StoreInner) -> Result<(), HeapError> {
    let (records, types) = (store.config.types.records(), store.config.types.len() as u32);
    let (base, start) = match &store.heap {
        Some(heap) => (heap.base(), heap.start()),
        None => (std::ptr::null_mut(), 0),
    };
    let top = if store.heap.is_some() { store.context.heap_top } else { 0 };
    // ORDER: only looked up, never iterated.
    let mut objects = HashSet::new();
    let mut held = Vec::new();
    let mut at = start;
    while at < top {
        // SAFETY: within the active half; the type is checked before it is used.
        unsafe {
            let object = base.add(at as usize);
            let word = object.cast::<u32>().read();
            let is_type = word != 0 && word <= types && {
                let record = records.add(word as usize * TYPE_RECORD_BYTES as usize);
                !record.add(RECORD_INFO as usize).cast::<*const u8>().read().is_null()
            };
            if !is_type {
                return Err(HeapError::Type { at, word });
            }
            let info = type_info(records, word);
            let bytes = object_bytes(object, info);
            if at + u64::from(bytes) > top {
                return Err(HeapError::Bounds { at, bytes, top });
            }
            objects.insert(at as u32);
            match &info.layout {
                ObjectLayout::Fields { traced, .. } => {
                    held.extend(traced.iter().map(|offset| (at, object.add(*offset as usize).cast::<u32>().read())));
                }
                ObjectLayout::Array { traced: true, .. } => {
                    let length = object.add(ARRAY_LENGTH as usize).cast::<u32>().read();
                    let first = object.add(ARRAY_ELEMENTS as usize).cast::<u32>();
                    held.extend((0..length as usize).map(|index| (at, first.add(index).read())));
                }
                ObjectLayout::Array { traced: false, .. } => {}
            }
            at += u64::from(bytes);
        }
    }
    // SAFETY: roots are readable.
    store.visit_roots(&mut |slot| held.push((0, unsafe { slot.read() })));
    for (holder, reference) in held {
        let valid = match reference & TAG_MASK {
            0 => reference == 0 || objects.contains(&reference) && reference.is_multiple_of(OBJECT_ALIGN),
            HOST_TAG => store.host_values.get(reference).is_some(),
            _ => true,
        };
        if !valid {
            return Err(HeapError::Reference { holder, reference });
        }
    }
    Ok(())
}
