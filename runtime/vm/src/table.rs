//! Tables ([spec](https://webassembly.github.io/spec/core/exec/runtime.html#table-instances)).
//!
//! A function table holds its entries inline (code, `vmctx`, type, function reference), so that an indirect call follows
//! no pointer; any other table holds 64-bit slots with a reference each.
//!
//! Invariant: the definition that compiled code reads always describes the storage; an all-zero element is null.
//!
//! Does not know: element segments.

use crate::func::FuncHandle;
use crate::limits::{Growth, TABLE_ELEMENTS_MAX};
use crate::store::{StoreInner, TableHandle, WrongStore};
use crate::trap::HostError;
use crate::value::Raw;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use wattest_abi::vmctx::{ENTRY_BYTES, REF_ENTRY_BYTES, VmFuncRef, VmTableDefinition, VmTableEntry};
use wattest_module::TableType;

/// Why a table did not grow.
#[derive(Debug)]
pub enum TableGrowError {
    /// Beyond its maximum, the store's limits or the machine.
    Refused,
    /// The limiter failed.
    Limiter(HostError),
}

/// An access outside a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds;

/// Zeroed element storage.
struct Storage {
    base: NonNull<u8>,
    bytes: usize,
}

impl Storage {
    const ALIGN: usize = 16;

    fn new(bytes: usize) -> Option<Storage> {
        if bytes == 0 {
            return Some(Storage { base: NonNull::<u128>::dangling().cast(), bytes });
        }
        crate::sys::fault::check().ok()?;
        let layout = Layout::from_size_align(bytes, Storage::ALIGN).ok()?;
        // SAFETY: the layout has a size that is not zero.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Storage { base, bytes })
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let (Ok(layout), true) = (Layout::from_size_align(self.bytes, Storage::ALIGN), self.bytes > 0) {
            // SAFETY: allocated in `new` with this layout.
            unsafe { dealloc(self.base.as_ptr(), layout) };
        }
    }
}

/// A table of a store.
pub(crate) struct TableEntry {
    pub ty: TableType,
    length: u64,
    storage: Storage,
    pub definition: NonNull<VmTableDefinition>,
    _own_definition: Option<Box<VmTableDefinition>>,
}

impl TableEntry {
    /// A table of nulls; `definition` lies in the defining instance's `vmctx`, or is made here for the host. `None`
    /// when there is no memory for it.
    pub fn new(ty: TableType, definition: Option<NonNull<VmTableDefinition>>) -> Option<TableEntry> {
        let length = ty.minimum;
        let storage = Storage::new(usize::try_from(length).ok()?.checked_mul(element_bytes(&ty))?)?;
        let mut own = None;
        let definition = definition.unwrap_or_else(|| {
            let made = own.insert(Box::new(VmTableDefinition { base: std::ptr::null_mut(), length: 0 }));
            NonNull::from(&mut **made)
        });
        let mut entry = TableEntry { ty, length, storage, definition, _own_definition: own };
        entry.refresh();
        Some(entry)
    }

    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.length
    }

    fn refresh(&mut self) {
        // SAFETY: the definition outlives the entry and no compiled code runs while the store is borrowed.
        unsafe {
            let definition = self.definition.as_mut();
            definition.base = self.storage.base.as_ptr();
            definition.length = self.length as usize;
        }
    }

    /// Grows to `length` elements. False when there is no memory for it.
    fn grow_to(&mut self, length: u64) -> bool {
        let element = element_bytes(&self.ty);
        let bytes = usize::try_from(length).ok().and_then(|length| length.checked_mul(element));
        let needed = bytes.filter(|bytes| *bytes <= isize::MAX as usize);
        let Some(needed) = needed else { return false };
        if needed > self.storage.bytes {
            // Doubling keeps repeated growth by one linear.
            let room = needed.max(self.storage.bytes.saturating_mul(2)).min(TABLE_ELEMENTS_MAX as usize * element);
            let Some(storage) = Storage::new(room.max(needed)) else { return false };
            let used = self.length as usize * element;
            // SAFETY: both storages hold at least `used` bytes and are distinct allocations.
            unsafe { std::ptr::copy_nonoverlapping(self.storage.base.as_ptr(), storage.base.as_ptr(), used) };
            self.storage = storage;
        }
        self.length = length;
        self.refresh();
        true
    }

    /// The raw reference at `index`: a function reference's address, or a reference.
    pub fn get(&self, index: u64) -> Option<u64> {
        if index >= self.length {
            return None;
        }
        // SAFETY: `index` is within the storage, whose elements have the type's size.
        unsafe {
            let at = self.storage.base.as_ptr().add(index as usize * element_bytes(&self.ty));
            Some(if self.ty.element.is_func {
                (*at.cast::<VmTableEntry>()).func_ref as u64
            } else {
                at.cast::<u64>().read()
            })
        }
    }

    /// Shows every reference that is no function to `visit`.
    pub fn visit_references(&mut self, visit: &mut impl FnMut(*mut u32)) {
        if self.ty.element.is_func {
            return;
        }
        for index in 0..self.length as usize {
            // SAFETY: within the storage, whose elements are 64 bits wide with the reference in the lower half.
            visit(unsafe { self.storage.base.as_ptr().cast::<u64>().add(index).cast() });
        }
    }

    /// Sets elements `start..start + len` to a raw reference.
    ///
    /// # Safety
    ///
    /// For a function table, `raw` must be 0 or the address of a live `VmFuncRef` of the same store.
    pub unsafe fn fill(&mut self, start: u64, raw: u64, len: u64) -> Result<(), OutOfBounds> {
        if wattest_abi::mutant!(table_fill_partial_before_trap)
            && len > 1
            && start < self.length
            && start.checked_add(len).is_none_or(|end| end > self.length)
        {
            // SAFETY: as this call.
            unsafe { self.fill(start, raw, self.length - start)? };
        }
        let end = start.checked_add(len).filter(|end| *end <= self.length).ok_or(OutOfBounds)?;
        let base = self.storage.base.as_ptr();
        if self.ty.element.is_func {
            // SAFETY: by the caller's promise.
            let entry = unsafe { entry_of(raw as usize as *const VmFuncRef) };
            for index in start..end {
                // SAFETY: within the storage.
                unsafe { base.cast::<VmTableEntry>().add(index as usize).write(entry) };
            }
        } else {
            for index in start..end {
                // SAFETY: within the storage.
                unsafe { base.cast::<u64>().add(index as usize).write(raw) };
            }
        }
        Ok(())
    }

    /// Writes raw references from `start` on.
    ///
    /// # Safety
    ///
    /// As [`TableEntry::fill`], for each of them.
    pub unsafe fn write(&mut self, start: u64, raws: impl ExactSizeIterator<Item = u64>) -> Result<(), OutOfBounds> {
        let end = start.checked_add(raws.len() as u64).filter(|end| *end <= self.length).ok_or(OutOfBounds)?;
        for (index, raw) in (start..end).zip(raws) {
            // SAFETY: by the caller's promise.
            unsafe { self.fill(index, raw, 1)? };
        }
        Ok(())
    }
}

fn element_bytes(ty: &TableType) -> usize {
    if ty.element.is_func { ENTRY_BYTES as usize } else { REF_ENTRY_BYTES as usize }
}

/// # Safety
///
/// `func_ref` must be null or point to a live `VmFuncRef`.
unsafe fn entry_of(func_ref: *const VmFuncRef) -> VmTableEntry {
    if func_ref.is_null() {
        return VmTableEntry {
            code: std::ptr::null(),
            vmctx: std::ptr::null_mut(),
            type_id: 0,
            func_ref: std::ptr::null(),
        };
    }
    // SAFETY: by the caller's promise.
    let VmFuncRef { code, vmctx, type_id } = unsafe { *func_ref };
    VmTableEntry { code, vmctx, type_id: u64::from(type_id), func_ref }
}

impl StoreInner {
    pub(crate) fn add_table(&mut self, entry: TableEntry) -> TableHandle {
        self.tables.push(entry);
        TableHandle { store: self.id(), index: self.tables.len() as u32 - 1 }
    }

    /// Makes a table for the host, filled with `value`.
    ///
    /// # Errors
    ///
    /// A limit of the store or the machine.
    pub fn new_table(&mut self, ty: TableType, value: Raw) -> Result<TableHandle, crate::instance::InstantiateError> {
        value.check(self).map_err(|_| crate::instance::InstantiateError::WrongStore)?;
        self.ask(Growth::Entities { instances: 0, memories: 0, tables: 1 })?;
        self.allow_new_table(&ty)?;
        let mut entry = TableEntry::new(ty, None).ok_or(crate::instance::InstantiateError::OutOfMemory)?;
        if value.kind() != wattest_module::ValType::Ref(ty.element).kind() {
            return Err(crate::instance::InstantiateError::Mismatch { import: 0 });
        }
        // SAFETY: the value is this store's and of the table's kind.
        let filled = unsafe { entry.fill(0, value.to_bits() as u64, ty.minimum) };
        debug_assert!(filled.is_ok());
        Ok(self.add_table(entry))
    }

    pub(crate) fn table(&self, handle: TableHandle) -> Result<&TableEntry, WrongStore> {
        self.check(handle.store)?;
        Ok(&self.tables[handle.index as usize])
    }

    /// A table's type, with its current size as minimum.
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    pub fn table_type(&self, handle: TableHandle) -> Result<TableType, WrongStore> {
        let entry = self.table(handle)?;
        Ok(TableType { minimum: entry.length, ..entry.ty })
    }

    /// The element at `index`, or `None` beyond the end.
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    pub fn table_get(&self, handle: TableHandle, index: u64) -> Result<Option<Raw>, WrongStore> {
        let entry = self.table(handle)?;
        let kind = wattest_module::ValType::Ref(entry.ty.element).kind();
        Ok(entry.get(index).map(|raw| Raw::from_bits(kind, u128::from(raw), self)))
    }

    /// Sets an element. The inner error is an index beyond the end or a value of another kind.
    ///
    /// # Errors
    ///
    /// [`WrongStore`].
    pub fn table_set(
        &mut self,
        handle: TableHandle,
        index: u64,
        value: Raw,
    ) -> Result<Result<(), OutOfBounds>, WrongStore> {
        value.check(self)?;
        let kind = wattest_module::ValType::Ref(self.table(handle)?.ty.element).kind();
        if value.kind() != kind {
            return Ok(Err(OutOfBounds));
        }
        let entry = &mut self.tables[handle.index as usize];
        // SAFETY: the value is this store's and of the table's kind.
        Ok(unsafe { entry.fill(index, value.to_bits() as u64, 1) })
    }

    /// Grows a table by `delta` elements of `value`; returns its old size.
    ///
    /// # Errors
    ///
    /// [`WrongStore`]; the inner error leaves the table unchanged.
    pub fn table_grow(
        &mut self,
        handle: TableHandle,
        delta: u64,
        value: Raw,
    ) -> Result<Result<u64, TableGrowError>, WrongStore> {
        value.check(self)?;
        let kind = wattest_module::ValType::Ref(self.table(handle)?.ty.element).kind();
        if value.kind() != kind {
            return Ok(Err(TableGrowError::Refused));
        }
        // SAFETY: the value is this store's and of the table's kind.
        Ok(unsafe { self.grow_table_at(handle.index as usize, delta, value.to_bits() as u64) })
    }

    /// # Safety
    ///
    /// As [`TableEntry::fill`].
    pub(crate) unsafe fn grow_table_at(&mut self, index: usize, delta: u64, raw: u64) -> Result<u64, TableGrowError> {
        let entry = &self.tables[index];
        let (ty, old) = (entry.ty, entry.length);
        let index_max = if ty.table64 { u64::MAX } else { u64::from(u32::MAX) };
        let maximum = ty.maximum.unwrap_or(index_max).min(TABLE_ELEMENTS_MAX);
        let length = old.checked_add(delta).filter(|length| *length <= maximum).ok_or(TableGrowError::Refused)?;
        let limit = ty.maximum.map(|maximum| usize::try_from(maximum).unwrap_or(usize::MAX));
        match self.allows(Growth::Table { current: old as usize, desired: length as usize, maximum: limit }) {
            Ok(true) => {}
            Ok(false) => return Err(TableGrowError::Refused),
            Err(error) => return Err(TableGrowError::Limiter(error)),
        }
        let raw = if wattest_abi::mutant!(table_grow_with_null) { 0 } else { raw };
        let entry = &mut self.tables[index];
        if !entry.grow_to(length) {
            return Err(TableGrowError::Refused);
        }
        // SAFETY: by the caller's promise.
        let filled = unsafe { entry.fill(old, raw, delta) };
        debug_assert!(filled.is_ok());
        Ok(old)
    }

    /// Copies `len` elements between two tables of a store, or within one.
    pub(crate) fn copy_table(
        &mut self,
        (dst_table, dst): (usize, u64),
        (src_table, src): (usize, u64),
        len: u64,
    ) -> Result<(), OutOfBounds> {
        let source = &self.tables[src_table];
        let target = &self.tables[dst_table];
        let fits = |start: u64, length: u64| start.checked_add(len).is_some_and(|end| end <= length);
        if !fits(src, source.length) || !fits(dst, target.length) {
            return Err(OutOfBounds);
        }
        let element = element_bytes(&source.ty);
        debug_assert_eq!(element, element_bytes(&target.ty));
        // SAFETY: both ranges are within their storage; validation made the element representations equal; `copy`
        // allows overlap.
        unsafe {
            let from = source.storage.base.as_ptr().add(src as usize * element);
            let to = target.storage.base.as_ptr().add(dst as usize * element);
            if wattest_abi::mutant!(table_copy_forward) {
                for at in 0..len as usize {
                    std::ptr::copy(from.add(at * element), to.add(at * element), element);
                }
                return Ok(());
            }
            std::ptr::copy(from, to, len as usize * element);
        }
        Ok(())
    }

    /// A function as a table element or any other raw reference.
    pub fn func_to_raw(func: Option<FuncHandle>) -> u64 {
        func.map_or(0, FuncHandle::to_raw)
    }
}
