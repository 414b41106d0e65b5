//! The layout of the per-instance context (`vmctx`) and of everything compiled code reaches from it.
//!
//! A `vmctx` is a fixed header followed by arrays whose sizes depend on the module; [`VmOffsets`] computes where each
//! array starts. Offsets are bytes from the start of the `vmctx`.
//!
//! Invariant: a field that generated code may assume constant for the life of an instance is marked *constant*; every
//! other field may change at any call.
//!
//! Does not know: who allocates these structures.

use std::sync::atomic::{AtomicU64, AtomicUsize};

/// Value of [`VmHeader::magic`] in a WebAssembly instance.
pub const MAGIC_INSTANCE: u64 = 0x6574_736e_6961_7457;
/// Value of [`VmHostFunction::magic`].
pub const MAGIC_HOST: u64 = 0x6574_736f_6861_7457;

/// Offset of [`VmHeader::magic`].
pub const MAGIC: u32 = 0;
/// Offset of the pointer to the store's [`VmStoreContext`]. Constant.
pub const STORE: u32 = 8;
/// Offset of the pointer to the builtin table. Constant.
pub const BUILTINS: u32 = 16;
/// Offset of the pointer to the engine-wide type identifiers, one `u32` per type of the module. Constant.
pub const TYPE_IDS: u32 = 24;
/// Offset of the pointer to the module's entry array, one code address per defined function. Constant (the entries are
/// not). Null unless compiled with [`crate::tunables::CallPath::Entry`].
pub const ENTRIES: u32 = 32;
/// Offset of the address of the module's text. Constant.
pub const TEXT: u32 = 40;
/// Offset of the base address of the store's heap of garbage-collected objects. Constant. Null unless the module uses it.
pub const HEAP_BASE: u32 = 48;
/// Offset of the address of the engine's type records ([`crate::gc::TYPE_RECORD_BYTES`] each, by identifier). Constant.
pub const TYPE_RECORDS: u32 = 56;
/// Bytes of the fixed header.
pub const HEADER_BYTES: u32 = 64;

/// The fixed header of a `vmctx`.
#[derive(Debug)]
#[repr(C)]
pub struct VmHeader {
    /// [`MAGIC_INSTANCE`].
    pub magic: u64,
    /// The store's context.
    pub store: *mut VmStoreContext,
    /// The builtin table.
    pub builtins: *const u8,
    /// Engine-wide type identifiers.
    pub type_ids: *const u32,
    /// Entry array.
    pub entries: *const usize,
    /// Start of the module's text.
    pub text: *const u8,
    /// Base of the store's heap of garbage-collected objects.
    pub heap_base: *mut u8,
    /// The engine's type records.
    pub type_records: *const u8,
}

/// State of a store that compiled code reads and writes.
#[derive(Debug)]
#[repr(C)]
pub struct VmStoreContext {
    /// Lowest stack address that WebAssembly may use.
    pub stack_limit: usize,
    /// Fuel counter: negative while fuel remains, counts up, out of fuel at zero and above.
    pub fuel: i64,
    /// Epoch at which `new_epoch` is called.
    pub epoch_deadline: u64,
    /// The engine's epoch counter. Constant.
    pub epoch: *const AtomicU64,
    /// Frame pointer of the trampoline through which WebAssembly last left to the host.
    pub exit_fp: usize,
    /// Frame pointer of the trampoline through which the host last entered WebAssembly; 0 when none is running.
    pub entry_fp: usize,
    /// The owning store, for the virtual machine's use.
    pub owner: *mut u8,
    /// Where unwinding continues: the address of a landing pad, or 0 to end the innermost entry.
    pub landing_pc: usize,
    /// Stack pointer at the landing pad.
    pub landing_sp: usize,
    /// Frame pointer at the landing pad.
    pub landing_fp: usize,
    /// The exception that the landing pad gets.
    pub landing_exception: u64,
    /// Distance from the heap's base at which the next object is allocated.
    pub heap_top: u64,
    /// Distance from the heap's base that no allocation may pass without asking the virtual machine.
    pub heap_limit: u64,
    /// Set with the three fields below by compiled code that traps at once, since it has compared an index with a length:
    /// whose memory or table it is. Null otherwise.
    pub refused_vmctx: *mut u8,
    /// The index that is too large.
    pub refused_index: u64,
    /// What the instruction itself adds to it.
    pub refused_offset: u64,
    /// Which of the instance's memories or, for table traps, tables it is.
    pub refused_entity: u64,
}

/// Offset of [`VmStoreContext::stack_limit`].
pub const STORE_STACK_LIMIT: u32 = 0;
/// Offset of [`VmStoreContext::fuel`].
pub const STORE_FUEL: u32 = 8;
/// Offset of [`VmStoreContext::epoch_deadline`].
pub const STORE_EPOCH_DEADLINE: u32 = 16;
/// Offset of [`VmStoreContext::epoch`].
pub const STORE_EPOCH: u32 = 24;
/// Offset of [`VmStoreContext::exit_fp`].
pub const STORE_EXIT_FP: u32 = 32;
/// Offset of [`VmStoreContext::entry_fp`].
pub const STORE_ENTRY_FP: u32 = 40;
/// Offset of [`VmStoreContext::heap_top`].
pub const STORE_HEAP_TOP: u32 = 88;
/// Offset of [`VmStoreContext::heap_limit`].
pub const STORE_HEAP_LIMIT: u32 = 96;
/// Offset of [`VmStoreContext::refused_vmctx`].
pub const STORE_REFUSED_VMCTX: u32 = 104;
/// Offset of [`VmStoreContext::refused_index`].
pub const STORE_REFUSED_INDEX: u32 = 112;
/// Offset of [`VmStoreContext::refused_offset`].
pub const STORE_REFUSED_OFFSET: u32 = 120;
/// Offset of [`VmStoreContext::refused_entity`].
pub const STORE_REFUSED_ENTITY: u32 = 128;

/// Offset of [`VmStoreContext::landing_pc`].
pub const STORE_LANDING_PC: u32 = 56;
/// Offset of [`VmStoreContext::landing_sp`].
pub const STORE_LANDING_SP: u32 = 64;
/// Offset of [`VmStoreContext::landing_fp`].
pub const STORE_LANDING_FP: u32 = 72;
/// Offset of [`VmStoreContext::landing_exception`].
pub const STORE_LANDING_EXCEPTION: u32 = 80;

/// A function as a value: what a `funcref` points to. Constant once created.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct VmFuncRef {
    /// Code address.
    pub code: *const u8,
    /// The callee's `vmctx`, or its [`VmHostFunction`].
    pub vmctx: *mut u8,
    /// Engine-wide type identifier, never 0.
    pub type_id: u32,
}

/// Offset of [`VmFuncRef::code`].
pub const FUNC_REF_CODE: u32 = 0;
/// Offset of [`VmFuncRef::vmctx`].
pub const FUNC_REF_VMCTX: u32 = 8;
/// Offset of [`VmFuncRef::type_id`].
pub const FUNC_REF_TYPE_ID: u32 = 16;
/// Bytes of a [`VmFuncRef`].
pub const FUNC_REF_BYTES: u32 = 24;

/// An imported function. Constant.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct VmFunctionImport {
    /// Code address.
    pub code: *const u8,
    /// The callee's `vmctx`, or its [`VmHostFunction`].
    pub vmctx: *mut u8,
    /// The same function as a value.
    pub func_ref: *const VmFuncRef,
}

/// Offset of [`VmFunctionImport::code`].
pub const IMPORT_CODE: u32 = 0;
/// Offset of [`VmFunctionImport::vmctx`].
pub const IMPORT_VMCTX: u32 = 8;
/// Offset of [`VmFunctionImport::func_ref`].
pub const IMPORT_FUNC_REF: u32 = 16;
/// Bytes of a [`VmFunctionImport`].
pub const IMPORT_BYTES: u32 = 24;

/// A host function's context: what compiled code passes as `callee_vmctx` when it calls the host.
#[derive(Debug)]
#[repr(C)]
pub struct VmHostFunction {
    /// [`MAGIC_HOST`].
    pub magic: u64,
    /// `extern "C" fn(*mut VmHostFunction, caller_vmctx, *mut HostFrame) -> u32`; a result of 0 unwinds to the host.
    pub body: *const u8,
    /// Bytes of stack arguments, which the stub pops.
    pub stack_bytes: u64,
    /// The closure, for the body's use.
    pub data: *mut u8,
    /// The host function as a value.
    pub func_ref: VmFuncRef,
}

/// Offset of [`VmHostFunction::body`].
pub const HOST_BODY: u32 = 8;
/// Offset of [`VmHostFunction::stack_bytes`].
pub const HOST_STACK_BYTES: u32 = 16;

/// A linear memory as compiled code sees it.
#[derive(Debug)]
#[repr(C)]
pub struct VmMemoryDefinition {
    /// Address of byte 0. Constant unless [`crate::Tunables::memory_may_move`].
    pub base: *mut u8,
    /// Accessible bytes.
    pub length: AtomicUsize,
}

/// Offset of [`VmMemoryDefinition::base`].
pub const MEMORY_BASE: u32 = 0;
/// Offset of [`VmMemoryDefinition::length`].
pub const MEMORY_LENGTH: u32 = 8;
/// Bytes of a [`VmMemoryDefinition`].
pub const MEMORY_BYTES: u32 = 16;

/// A table as compiled code sees it.
#[derive(Debug)]
#[repr(C)]
pub struct VmTableDefinition {
    /// Address of element 0: [`VmTableEntry`]s for function tables, `u64` references otherwise.
    pub base: *mut u8,
    /// Number of elements.
    pub length: usize,
}

/// Offset of [`VmTableDefinition::base`].
pub const TABLE_BASE: u32 = 0;
/// Offset of [`VmTableDefinition::length`].
pub const TABLE_LENGTH: u32 = 8;
/// Bytes of a [`VmTableDefinition`].
pub const TABLE_BYTES: u32 = 16;

/// An element of a function table, inline so that `call_indirect` chases no pointer. All zero when null.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct VmTableEntry {
    /// Code address.
    pub code: *const u8,
    /// The callee's `vmctx`.
    pub vmctx: *mut u8,
    /// Engine-wide type identifier; 0 when null.
    pub type_id: u64,
    /// The function as a value; null when the element is null.
    pub func_ref: *const VmFuncRef,
}

/// Offset of [`VmTableEntry::code`].
pub const ENTRY_CODE: u32 = 0;
/// Offset of [`VmTableEntry::vmctx`].
pub const ENTRY_VMCTX: u32 = 8;
/// Offset of [`VmTableEntry::type_id`], a `u64` of which the lower half is the identifier.
pub const ENTRY_TYPE_ID: u32 = 16;
/// Offset of [`VmTableEntry::func_ref`].
pub const ENTRY_FUNC_REF: u32 = 24;
/// Bytes of a [`VmTableEntry`], the element size of function tables.
pub const ENTRY_BYTES: u32 = 32;
/// Element size of every other table: a `u64` whose lower half is the reference.
pub const REF_ENTRY_BYTES: u32 = 8;

/// Bytes of a global's slot.
pub const GLOBAL_BYTES: u32 = 16;

/// How many entities of each kind a module has; imports and definitions counted apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VmCounts {
    /// Imported functions.
    pub imported_functions: u32,
    /// Imported tables.
    pub imported_tables: u32,
    /// Imported memories.
    pub imported_memories: u32,
    /// Imported globals.
    pub imported_globals: u32,
    /// Imported tags.
    pub imported_tags: u32,
    /// Defined tables.
    pub defined_tables: u32,
    /// Defined memories.
    pub defined_memories: u32,
    /// Defined globals.
    pub defined_globals: u32,
    /// Defined tags.
    pub defined_tags: u32,
    /// Defined functions that are used as values (exported, in element segments, or named by `ref.func`).
    pub escaping_functions: u32,
}

/// Byte offsets of a `vmctx`'s arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmOffsets {
    /// [`VmFunctionImport`]s.
    pub imported_functions: u32,
    /// Pointers to [`VmTableDefinition`]s.
    pub imported_tables: u32,
    /// Pointers to [`VmMemoryDefinition`]s.
    pub imported_memories: u32,
    /// Pointers to global slots.
    pub imported_globals: u32,
    /// Identities of imported tags: one `u64` each, equal exactly for the same tag of the store. Constant.
    pub imported_tags: u32,
    /// [`VmTableDefinition`]s.
    pub defined_tables: u32,
    /// One [`VmMemoryDefinition`] per unshared memory; for a shared one, a pointer to the definition and a zero word.
    pub defined_memories: u32,
    /// Slots of [`GLOBAL_BYTES`].
    pub defined_globals: u32,
    /// Identities of defined tags, right after those of imported ones. Constant.
    pub defined_tags: u32,
    /// [`VmFuncRef`]s of escaping functions.
    pub func_refs: u32,
    /// Bytes of the whole `vmctx`.
    pub size: u32,
}

impl VmOffsets {
    /// Lays out a `vmctx` for `counts`.
    ///
    /// ```
    /// use wattest_abi::vmctx::{HEADER_BYTES, VmCounts, VmOffsets};
    /// let offsets = VmOffsets::new(&VmCounts { defined_globals: 1, ..VmCounts::default() });
    /// assert_eq!(offsets.size, HEADER_BYTES + 16);
    /// ```
    pub fn new(counts: &VmCounts) -> VmOffsets {
        let mut next = HEADER_BYTES;
        let mut array = |count: u32, bytes: u32| {
            let start = next;
            next += count * bytes;
            start
        };
        // The arrays that need sixteen-byte alignment come first; the header keeps it.
        let defined_globals = array(counts.defined_globals, GLOBAL_BYTES);
        let defined_memories = array(counts.defined_memories, MEMORY_BYTES);
        let defined_tables = array(counts.defined_tables, TABLE_BYTES);
        let imported_memories = array(counts.imported_memories, 8);
        let imported_globals = array(counts.imported_globals, 8);
        let imported_tables = array(counts.imported_tables, 8);
        let imported_tags = array(counts.imported_tags, 8);
        let defined_tags = array(counts.defined_tags, 8);
        let imported_functions = array(counts.imported_functions, IMPORT_BYTES);
        let func_refs = array(counts.escaping_functions, FUNC_REF_BYTES);
        VmOffsets {
            imported_functions,
            imported_tables,
            imported_memories,
            imported_globals,
            imported_tags,
            defined_tables,
            defined_memories,
            defined_globals,
            defined_tags,
            func_refs,
            size: next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn offsets_match_the_structures() {
        let pairs = [
            (offset_of!(VmHeader, store), STORE),
            (offset_of!(VmHeader, builtins), BUILTINS),
            (offset_of!(VmHeader, type_ids), TYPE_IDS),
            (offset_of!(VmHeader, entries), ENTRIES),
            (offset_of!(VmHeader, text), TEXT),
            (offset_of!(VmHeader, heap_base), HEAP_BASE),
            (offset_of!(VmHeader, type_records), TYPE_RECORDS),
            (size_of::<VmHeader>(), HEADER_BYTES),
            (offset_of!(VmStoreContext, stack_limit), STORE_STACK_LIMIT),
            (offset_of!(VmStoreContext, fuel), STORE_FUEL),
            (offset_of!(VmStoreContext, epoch_deadline), STORE_EPOCH_DEADLINE),
            (offset_of!(VmStoreContext, epoch), STORE_EPOCH),
            (offset_of!(VmStoreContext, exit_fp), STORE_EXIT_FP),
            (offset_of!(VmStoreContext, entry_fp), STORE_ENTRY_FP),
            (offset_of!(VmStoreContext, landing_pc), STORE_LANDING_PC),
            (offset_of!(VmStoreContext, landing_sp), STORE_LANDING_SP),
            (offset_of!(VmStoreContext, landing_fp), STORE_LANDING_FP),
            (offset_of!(VmStoreContext, landing_exception), STORE_LANDING_EXCEPTION),
            (offset_of!(VmStoreContext, heap_top), STORE_HEAP_TOP),
            (offset_of!(VmStoreContext, heap_limit), STORE_HEAP_LIMIT),
            (offset_of!(VmStoreContext, refused_vmctx), STORE_REFUSED_VMCTX),
            (offset_of!(VmStoreContext, refused_index), STORE_REFUSED_INDEX),
            (offset_of!(VmStoreContext, refused_offset), STORE_REFUSED_OFFSET),
            (offset_of!(VmStoreContext, refused_entity), STORE_REFUSED_ENTITY),
            (offset_of!(VmFuncRef, vmctx), FUNC_REF_VMCTX),
            (offset_of!(VmFuncRef, type_id), FUNC_REF_TYPE_ID),
            (size_of::<VmFuncRef>(), FUNC_REF_BYTES),
            (offset_of!(VmFunctionImport, vmctx), IMPORT_VMCTX),
            (offset_of!(VmFunctionImport, func_ref), IMPORT_FUNC_REF),
            (size_of::<VmFunctionImport>(), IMPORT_BYTES),
            (offset_of!(VmHostFunction, body), HOST_BODY),
            (offset_of!(VmHostFunction, stack_bytes), HOST_STACK_BYTES),
            (offset_of!(VmMemoryDefinition, length), MEMORY_LENGTH),
            (size_of::<VmMemoryDefinition>(), MEMORY_BYTES),
            (offset_of!(VmTableDefinition, length), TABLE_LENGTH),
            (size_of::<VmTableDefinition>(), TABLE_BYTES),
            (offset_of!(VmTableEntry, vmctx), ENTRY_VMCTX),
            (offset_of!(VmTableEntry, type_id), ENTRY_TYPE_ID),
            (offset_of!(VmTableEntry, func_ref), ENTRY_FUNC_REF),
            (size_of::<VmTableEntry>(), ENTRY_BYTES),
        ];
        for (actual, declared) in pairs {
            assert_eq!(actual, declared as usize);
        }
    }
}
