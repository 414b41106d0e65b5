//! The bodies of the builtin table.
//!
//! Each row of `wattest_abi::for_each_builtin!` has a body here, in the file of its subject; [`TABLE`] is built from the
//! rows, so a missing body does not compile. Bodies get the raw `vmctx` and turn it into the checked [`Calling`] at once.
//!
//! Invariant: a body never unwinds the Rust stack; one that may trap records why and says so in its
//! [`Outcome`].
//!
//! Does not know: which instruction called it.

mod control;
mod exception;
mod float;
mod gc;
mod memory;
mod table;

use crate::activation;
use crate::instance::Instance;
use crate::store::{InstanceId, StoreInner};
use crate::sys::trampoline::{Outcome, trapping_thunk};
use crate::trap::{FailedAccess, FailedElement, HostError, Refused, Unwind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use wattest_abi::vmctx::VmHeader;
use wattest_abi::{TrapCode, for_each_builtin};

/// An entry of the table.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Entry(*const u8);

// SAFETY: an entry is the address of code.
unsafe impl Sync for Entry {}

/// Who is calling: a store and one of its instances.
struct Calling<'a> {
    store: &'a mut StoreInner,
    id: InstanceId,
}

impl<'a> Calling<'a> {
    /// # Safety
    ///
    /// `vmctx` must be that of a live instance whose store is not borrowed.
    unsafe fn new(vmctx: *mut u8) -> Calling<'a> {
        // SAFETY: by the caller's promise; the instance number lies before the header, and the store's context is the
        // first field of its `StoreInner`.
        unsafe {
            let number = *vmctx.cast::<u64>().sub(1) as u32;
            let store = &mut *(*vmctx.cast::<VmHeader>()).store.cast::<StoreInner>();
            Calling { store, id: InstanceId(number) }
        }
    }

    fn instance(&self) -> &Instance {
        &self.store.instances[self.id.0 as usize]
    }

    fn instance_mut(&mut self) -> &mut Instance {
        &mut self.store.instances[self.id.0 as usize]
    }

    /// Position of a memory in the store.
    fn memory(&self, index: u32) -> usize {
        self.instance().memories[index as usize] as usize
    }

    /// Remembers what a builtin refuses to access, for the trap that its caller makes of it.
    #[cold]
    fn refuse_access(&mut self, memory: usize, address: u64, bytes: u64) -> u32 {
        let memory_bytes = self.store.memories[memory].len_bytes() as u64;
        self.store.refused = Some(Refused::Access(FailedAccess { address, bytes: Some(bytes), memory_bytes }));
        0
    }

    fn has_elements(&self, table: usize, index: u64, count: u64) -> bool {
        index.checked_add(count).is_some_and(|end| end <= self.store.tables[table].len())
    }

    /// As [`Calling::refuse_access`], for elements of a table.
    #[cold]
    fn refuse_elements(&mut self, table: usize, index: u64, count: u64) -> u32 {
        let table_elements = self.store.tables[table].len();
        self.store.refused = Some(Refused::Element(FailedElement { index, count: Some(count), table_elements }));
        0
    }

    /// Position of a table in the store.
    fn table(&self, index: u32) -> usize {
        self.instance().tables[index as usize] as usize
    }

    /// Makes the calling computation trap.
    fn trap(&mut self, code: TrapCode) -> Outcome {
        let frames = activation::frames(self.store);
        let refused = activation::take_refused(self.store, code);
        self.store.pending = Some(Unwind::Trap { code, refused, frames });
        Outcome { value: 0, go_on: 0 }
    }

    /// Makes the calling computation end with a host error.
    fn fail(&mut self, error: HostError) -> Outcome {
        let frames = activation::frames(self.store);
        self.store.pending = Some(Unwind::Host { error, frames });
        Outcome { value: 0, go_on: 0 }
    }
}

/// Runs a body that may call the embedder's code; a panic there ends the calling computation and is resumed where the
/// host called it.
///
/// # Safety
///
/// As [`Calling::new`].
unsafe fn guarded(vmctx: *mut u8, body: impl FnOnce(&mut Calling<'_>) -> Outcome) -> Outcome {
    // SAFETY: by the caller's promise.
    let mut calling = unsafe { Calling::new(vmctx) };
    let ended = catch_unwind(AssertUnwindSafe(|| body(&mut calling)));
    ended.unwrap_or_else(|payload| {
        calling.store.pending = Some(Unwind::Panic(payload));
        Outcome { value: 0, go_on: 0 }
    })
}

/// A builtin's ordinary return.
fn returns(value: u64) -> Outcome {
    Outcome { value, go_on: 1 }
}

/// The address of a row's entry: a thunk for rows that may trap, the body itself for others.
macro_rules! entry {
    ($name:ident, Traps) => {{
        trapping_thunk!(thunk, $name);
        Entry(thunk as *const u8)
    }};
    ($name:ident, $other:ident) => {
        Entry($name as *const u8)
    };
}

macro_rules! table {
    ($($(#[$doc:meta])* $name:ident($($param:ident: $ty:ident),*) -> $result:ident, $failure:ident;)*) => {
        /// The builtin table, in row order.
        pub static TABLE: &[Entry] = &[$(entry!($name, $failure)),*];
    };
}

use control::{new_epoch, out_of_fuel, trap};
use exception::throw_ref;
use float::{
    f32_ceil, f32_floor, f32_fma, f32_nearest, f32_trunc, f64_ceil, f64_floor, f64_fma, f64_nearest, f64_trunc,
};
use gc::{
    array_init_data, array_init_elem, array_new_data, array_new_elem, gc_alloc, heap_fill, heap_fill_v128, heap_move,
};
use memory::{
    data_drop, memory_atomic_notify, memory_atomic_wait32, memory_atomic_wait64, memory_copy, memory_fill, memory_grow,
    memory_init,
};
use table::{elem_drop, table_copy, table_fill, table_grow, table_init};

for_each_builtin!(table);
