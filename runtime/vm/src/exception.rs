//! Tags, exceptions as objects of a store, and throwing them
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#exec-throw-ref)).
//!
//! A thrown exception ends frames up to the nearest call inside a `try_table` of the same activation, whose landing pad
//! takes it; where there is none, it ends the activation and the host that entered it gets it as
//! [`CallFailure::Exception`](crate::CallFailure::Exception). A host function passes one on, or throws one of its own, by
//! failing with [`Thrown`].
//!
//! Promises: nothing is paid for a `try_table` while nothing is thrown; throwing costs a table lookup per frame.
//!
//! Invariant: a tag's identity is its position in its store plus one, so that tags are the same exactly when identities
//! are.
//!
//! Does not know: which clause of a `try_table` catches; compiled code decides, and throws on what it does not want.

use crate::activation;
use crate::gc::{AllocError, ConstValue};
use crate::store::{StoreId, StoreInner, WrongStore};
use crate::trap::Unwind;
use crate::value::Raw;
use wattest_abi::ValueKind;
use wattest_abi::gc::{EXCEPTION_FIELDS, EXCEPTION_TAG, FieldKind, FieldLayout};

/// A tag of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TagHandle {
    pub(crate) store: StoreId,
    pub(crate) index: u32,
}

impl TagHandle {
    /// What compiled code and exceptions hold.
    pub(crate) fn identity(self) -> u64 {
        u64::from(self.index) + 1
    }
}

/// What a host function fails with to throw an exception into its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thrown {
    /// The exception's store.
    pub store: StoreId,
    /// The exception.
    pub exception: u32,
}

impl StoreInner {
    /// Where an object of the heap lies.
    fn object_address(&self, object: u32) -> *mut u8 {
        let base = self.heap.as_ref().map_or(std::ptr::null_mut(), |heap| heap.base());
        base.wrapping_add(object as usize)
    }

    /// Makes a tag whose payload are the parameters of the function type with identifier `type_id`.
    pub fn new_tag(&mut self, type_id: u32) -> TagHandle {
        self.tags.push(type_id);
        TagHandle { store: self.id(), index: self.tags.len() as u32 - 1 }
    }

    /// The engine-wide identifier of a tag's function type.
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    pub fn tag_type_id(&self, tag: TagHandle) -> Result<u32, WrongStore> {
        self.check(tag.store)?;
        Ok(self.tags[tag.index as usize])
    }

    /// The tag with an identity that compiled code or this crate has produced.
    pub(crate) fn tag_of_identity(&self, identity: u64) -> TagHandle {
        TagHandle { store: self.id(), index: identity as u32 - 1 }
    }

    /// Makes an exception; `payload` must have the kinds of the tag's parameters, which the caller has checked. May
    /// collect.
    ///
    /// # Errors
    ///
    /// The heap is full.
    ///
    /// # Panics
    ///
    /// If the tag is another store's.
    pub fn new_exception(&mut self, tag: TagHandle, payload: &[Raw]) -> Result<u32, AllocError> {
        let type_id = self.tag_type_id(tag).expect("the tag is this store's");
        let layout = FieldLayout::new(EXCEPTION_FIELDS, payload.iter().map(|value| FieldKind::Value(value.kind())));
        // The collector finds the payload's references on this stack.
        let height = self.const_stack.len();
        let values = payload.iter();
        self.const_stack.extend(
            values.map(|value| ConstValue { bits: value.to_bits(), is_reference: matches!(value, Raw::Ref(_)) }),
        );
        let allocated = self.allocate(type_id, u64::from(layout.bytes), 0);
        let values = self.const_stack.split_off(height);
        let exception = allocated?;
        // SAFETY: the object has this layout, and nothing else refers to it yet.
        unsafe {
            let object = self.object_address(exception);
            object.add(EXCEPTION_TAG as usize).cast::<u64>().write(tag.identity());
            for ((kind, value), offset) in payload.iter().map(|value| value.kind()).zip(values).zip(&layout.offsets) {
                write_field(object.add(*offset as usize), kind, value.bits);
            }
        }
        Ok(exception)
    }

    /// The tag of an exception of this store, which is not null.
    pub fn exception_tag(&self, exception: u32) -> TagHandle {
        // SAFETY: an exception of this store has its tag's identity there.
        let identity = unsafe { self.object_address(exception).add(EXCEPTION_TAG as usize).cast::<u64>().read() };
        self.tag_of_identity(identity)
    }

    /// The payload of an exception of this store, which is not null, whose tag's parameters are of `kinds`.
    pub fn exception_payload(&self, exception: u32, kinds: &[ValueKind]) -> Vec<Raw> {
        let layout = FieldLayout::new(EXCEPTION_FIELDS, kinds.iter().map(|kind| FieldKind::Value(*kind)));
        let object = self.object_address(exception);
        let fields = kinds.iter().zip(&layout.offsets);
        // SAFETY: an exception of this store with such a tag has this layout.
        fields.map(|(kind, at)| unsafe { read_field(object.add(*at as usize), *kind, self) }).collect()
    }

    /// Throws `exception`, of this store and not null, from whatever was called at the current exit: either the landing
    /// pad that takes it is noted for [`unwind`](crate::sys::trampoline::unwind), or the activation is to end with it.
    pub(crate) fn throw(&mut self, exception: u32) {
        if let Some(landing) = activation::find_landing(&self.context) {
            self.context.landing_pc = landing.pc;
            self.context.landing_sp = landing.sp;
            self.context.landing_fp = landing.fp;
            self.context.landing_exception = u64::from(exception);
            return;
        }
        let frames = activation::frames(self);
        self.pending = Some(Unwind::Exception { exception, frames });
    }

    /// What [`CallFailure::Exception`] becomes when the host throws it on.
    pub fn thrown(&self, exception: u32) -> Thrown {
        Thrown { store: self.id(), exception }
    }
}

/// # Safety
///
/// `at` must be the place of a field of `kind`.
unsafe fn write_field(at: *mut u8, kind: ValueKind, bits: u128) {
    let bytes = bits.to_le_bytes();
    let len = FieldKind::Value(kind).bytes() as usize;
    // SAFETY: by the caller's promise.
    unsafe { at.copy_from_nonoverlapping(bytes.as_ptr(), len) };
}

/// # Safety
///
/// `at` must be the place of a field of `kind`, written by `write_field` or compiled code of `store`.
unsafe fn read_field(at: *const u8, kind: ValueKind, store: &StoreInner) -> Raw {
    let mut bytes = [0; 16];
    // SAFETY: by the caller's promise.
    unsafe { at.copy_to_nonoverlapping(bytes.as_mut_ptr(), FieldKind::Value(kind).bytes() as usize) };
    Raw::from_bits(kind, u128::from_le_bytes(bytes), store)
}

impl std::fmt::Display for Thrown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a thrown exception")
    }
}

impl std::error::Error for Thrown {}
