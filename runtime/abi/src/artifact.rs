//! Compiled code as plain data, and the artifact format that stores it.
//!
//! An artifact is one little-endian file that is mapped and used in place: a [`HEADER_BYTES`]-byte header, a table of
//! [`SECTION_BYTES`]-byte section rows, then the sections. Text and memory images start on [`PAGE_BYTES`] boundaries so
//! that they can be mapped; per-function tables are arrays of fixed-size records, read where they lie.
//!
//! Invariant: the checksum in the header covers every byte of the file after the checksum field itself.
//!
//! Does not know: how sections are filled (`embed`) or mapped (`vm`).

/// First eight bytes of an artifact.
pub const MAGIC: [u8; 8] = *b"\0wattest";
/// Version of the contract between compiled code and the virtual machine.
pub const VERSION: u32 = 4;
/// Bytes of the header: magic, version, section count, checksum (16 bytes), file length (8 bytes), padding.
pub const HEADER_BYTES: usize = 64;
/// Bytes of a section row: kind (`u32`), zero (`u32`), offset (`u64`), length (`u64`).
pub const SECTION_BYTES: usize = 24;
/// Alignment of text and images, in bytes.
pub const PAGE_BYTES: usize = 4096;
/// Where the checksum lies in the header.
pub const CHECKSUM_AT: std::ops::Range<usize> = 16..32;

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum SectionKind {
    /// Engine compatibility: target, CPU features, tunables, WebAssembly features.
    Compatibility = 1,
    /// The module description.
    Module = 2,
    /// Machine code and read-only data, page aligned.
    Text = 3,
    /// [`FunctionRecord`]s, one per defined function.
    Functions = 4,
    /// [`TrapRecord`]s by text offset.
    Traps = 5,
    /// [`AddressRecord`]s by text offset.
    Addresses = 6,
    /// Bytes of data segments.
    Data = 7,
    /// Initial memory images, page aligned.
    Images = 8,
    /// The name section's bytes.
    Names = 9,
    /// [`HandlerRecord`]s by text offset.
    Handlers = 10,
    /// [`StackMapRecord`]s by text offset.
    StackMaps = 11,
    /// [`LocalsRecord`]s by text offset.
    Locals = 12,
}

/// Where a function's code lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionRecord {
    /// Byte offset into the text.
    pub text_offset: u32,
    /// Bytes of code.
    pub text_bytes: u32,
}

/// An instruction that can trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrapRecord {
    /// Byte offset of the machine instruction in the text.
    pub text_offset: u32,
    /// The [`crate::TrapCode`].
    pub code: u8,
}

/// Where machine code came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRecord {
    /// Byte offset in the text from which this row holds, up to the next row.
    pub text_offset: u32,
    /// Byte offset of the WebAssembly instruction in the module; `u32::MAX` when there is none.
    pub wasm_offset: u32,
}

/// A call inside a `try_table`: where control goes when the callee throws instead of returning. Machine code there decides
/// which clause catches; one that none does is thrown again from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandlerRecord {
    /// Byte offset in the text of the call's return address.
    pub text_offset: u32,
    /// Byte offset in the text of the landing pad.
    pub landing_offset: u32,
    /// Distance in bytes from the frame pointer down to the stack pointer that the landing pad expects.
    pub frame_bytes: u32,
}

/// Where a frame holds a reference while one of its calls runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackMapRecord {
    /// Byte offset in the text of the call's return address.
    pub text_offset: u32,
    /// Distance in bytes from the reference's slot up to the frame pointer.
    pub below_fp: u32,
}

/// Neighbouring locals of one kind, and where every frame of their function keeps their values
/// ([`crate::Tunables::keep_locals`]). A function's records are in the order of its locals and name all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalsRecord {
    /// Byte offset in the text of the function.
    pub text_offset: u32,
    /// The [`crate::ValueKind`] of the locals.
    pub kind: u32,
    /// How many they are.
    pub count: u32,
    /// Distance in bytes from the first one's slot up to the frame pointer; the others follow, each
    /// [`LOCAL_SLOT_BYTES`] further. 0: not kept.
    pub below_fp: u32,
}

/// What the compiler produces for a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompiledCode {
    /// Machine code with all relocations resolved, then read-only data.
    pub text: Vec<u8>,
    /// One record per defined function, in index order.
    pub functions: Vec<FunctionRecord>,
    /// Sorted by offset.
    pub traps: Vec<TrapRecord>,
    /// Sorted by offset.
    pub addresses: Vec<AddressRecord>,
    /// Sorted by offset.
    pub handlers: Vec<HandlerRecord>,
    /// Sorted by offset.
    pub stack_maps: Vec<StackMapRecord>,
    /// Sorted by offset.
    pub locals: Vec<LocalsRecord>,
}

/// Bytes of an encoded [`FunctionRecord`], [`AddressRecord`] or [`StackMapRecord`].
pub const RECORD_BYTES: usize = 8;
/// Bytes of an encoded [`HandlerRecord`].
pub const HANDLER_RECORD_BYTES: usize = 12;
/// Bytes of an encoded [`LocalsRecord`].
pub const LOCALS_RECORD_BYTES: usize = 16;
/// Bytes of the slot in which a frame keeps a local.
pub const LOCAL_SLOT_BYTES: u32 = 8;
/// Bytes of an encoded [`TrapRecord`].
pub const TRAP_RECORD_BYTES: usize = 5;
