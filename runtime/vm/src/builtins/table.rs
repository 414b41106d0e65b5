//! Builtins of tables
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#table-instructions)).
//!
//! Invariant: bounds are checked against the table's current length before an element is touched.
//!
//! Does not know: index types; compiled code zero-extends 32-bit indices.

use super::{Calling, guarded, returns};
use crate::sys::trampoline::Outcome;
use crate::table::TableGrowError;
use wattest_module::{ElementIndex, TableIndex};

pub(super) unsafe extern "C" fn table_grow(vmctx: *mut u8, table: u32, value: u64, delta: u64) -> Outcome {
    let body = |calling: &mut Calling<'_>| {
        let index = calling.table(table);
        // SAFETY: validation made the value one of the table's type; compiled code's references are its store's.
        match unsafe { calling.store.grow_table_at(index, delta, value) } {
            Ok(old) => returns(old),
            Err(TableGrowError::Refused) => returns(u64::MAX),
            Err(TableGrowError::Limiter(error)) => calling.fail(error),
        }
    };
    // SAFETY: compiled code passes its own `vmctx`.
    unsafe { guarded(vmctx, body) }
}

pub(super) unsafe extern "C" fn table_fill(vmctx: *mut u8, table: u32, dst: u64, value: u64, len: u64) -> u32 {
    // SAFETY: compiled code passes its own `vmctx`.
    let mut calling = unsafe { Calling::new(vmctx) };
    let table = calling.table(table);
    // SAFETY: as in `table_grow`.
    match unsafe { calling.store.tables[table].fill(dst, value, len) } {
        Ok(()) => 1,
        Err(_) => calling.refuse_elements(table, dst, len),
    }
}

pub(super) unsafe extern "C" fn table_copy(
    vmctx: *mut u8,
    dst_table: u32,
    dst: u64,
    src_table: u32,
    src: u64,
    len: u64,
) -> u32 {
    // SAFETY: compiled code passes its own `vmctx`.
    let mut calling = unsafe { Calling::new(vmctx) };
    let (to, from) = (calling.table(dst_table), calling.table(src_table));
    if calling.store.copy_table((to, dst), (from, src), len).is_ok() {
        return 1;
    }
    let (table, index) = if calling.has_elements(from, src, len) { (to, dst) } else { (from, src) };
    calling.refuse_elements(table, index, len)
}

pub(super) unsafe extern "C" fn table_init(
    vmctx: *mut u8,
    table: u32,
    element: u32,
    dst: u64,
    src: u32,
    len: u32,
) -> u32 {
    // SAFETY: compiled code passes its own `vmctx`.
    let mut calling = unsafe { Calling::new(vmctx) };
    let id = calling.id;
    let done =
        calling.store.init_table(id, TableIndex(table), ElementIndex(element), dst, u64::from(src), u64::from(len));
    if done.is_ok() {
        return 1;
    }
    let table = calling.table(table);
    // Else the segment is too short, which no element tells.
    if !calling.has_elements(table, dst, u64::from(len)) {
        calling.refuse_elements(table, dst, u64::from(len));
    }
    0
}

pub(super) unsafe extern "C" fn elem_drop(vmctx: *mut u8, element: u32) -> u32 {
    // SAFETY: compiled code passes its own `vmctx`.
    let mut calling = unsafe { Calling::new(vmctx) };
    if wattest_abi::mutant!(table_init_ignores_drop) {
        return 0;
    }
    calling.instance_mut().drop_element(element as usize);
    0
}
