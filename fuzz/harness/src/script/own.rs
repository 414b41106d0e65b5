//! What every module has for itself: a table and a memory that no other module sees; and how memories are used.
//!
//! Functions of different modules that call each other must each find their own
//! ([instances](https://webassembly.github.io/spec/core/exec/runtime.html#module-instances)); collections must find the
//! references in the tables of all.
//!
//! Invariant: indices and addresses lie within; sizes are predicted, so growth is too.
//!
//! Does not know: which module is called next.

use super::body::Root;
use super::shadow::{Own, V};
use super::types::Ty;
use super::{Flow, Writer, shared};
use wasm_encoder::{Instruction, MemArg};

/// The own table's index; shared ones come first.
pub const TABLE: u32 = 2;
/// The own memory's index.
pub const MEMORY: u32 = 1;
/// Entries at first.
pub const ENTRIES: usize = 3;
/// Entries up to which it grows.
const ENTRIES_MAX: usize = 12;
/// Bytes that are used.
pub const BYTES: usize = 64;
/// Pages of the memory at most.
pub const PAGES_MAX: u32 = 3;

/// Where statements keep numbers.
#[derive(Clone, Copy)]
enum Area {
    /// At the beginning of the module's own memory.
    Own,
    /// At the end of this page of the shared one.
    Shared(usize),
}

impl Area {
    fn memory(self) -> u32 {
        if let Area::Own = self { MEMORY } else { shared::MEMORY }
    }

    /// Its first address.
    fn base(self) -> usize {
        match self {
            Area::Own => 0,
            Area::Shared(page) => (page << 16) + shared::WINDOW,
        }
    }
}

impl Writer<'_, '_> {
    pub(super) fn own(&mut self) -> &mut Own {
        let module = self.frame.module;
        &mut self.shadow.own[module]
    }

    /// Entries of the module's own table as places.
    pub(super) fn own_roots(&self) -> impl Iterator<Item = (Root, Ty, V)> {
        let ty = Ty::null(self.entry_heap());
        let entries = self.shadow.own.get(self.frame.module).map_or(&[][..], |own| &own.entries);
        entries.iter().enumerate().map(move |(index, value)| (Root::Own(index as u32), ty, *value))
    }

    /// Pushes a start and a count of positions of which there are `length`.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let at = self.source.between(0, length);
        (at, self.source.between(0, length - at))
    }

    fn push_numbers(&mut self, numbers: &[usize]) {
        numbers.iter().for_each(|number| self.emit(Instruction::I32Const(*number as i32)));
    }

    /// Writes the module's own table.
    pub(super) fn write_own_table(&mut self) -> Flow {
        let (length, ty) = (self.own().entries.len(), Ty::null(self.entry_heap()));
        match self.source.below(7) {
            0 if length < ENTRIES_MAX => {
                let value = self.value(ty, 2);
                let more = self.source.between(0, 3);
                self.push_numbers(&[more]);
                self.emit(Instruction::TableGrow(TABLE));
                self.own().entries.resize(length + more, value);
                self.sink(&[Ty::I32], &[V::I32(length as u32)]);
            }
            1 => {
                let (at, count) = self.range(length);
                self.push_numbers(&[at]);
                let value = self.value(ty, 1);
                self.push_numbers(&[count]);
                self.emit(Instruction::TableFill(TABLE));
                self.own().entries[at..at + count].fill(value);
            }
            2 => {
                let src_table = self.source.pick(&[0, TABLE]);
                let from = if src_table == 0 { self.shadow.table.clone() } else { self.own().entries.clone() };
                let (start, count) = self.range(from.len().min(length));
                let at = self.source.between(0, length - count);
                self.push_numbers(&[at, start, count]);
                self.emit(Instruction::TableCopy { src_table, dst_table: TABLE });
                self.own().entries[at..at + count].copy_from_slice(&from[start..start + count]);
            }
            3 => self.init_table(),
            _ => {
                let at = self.source.below(length);
                self.push_numbers(&[at]);
                let value = self.value(ty, 2);
                self.emit(Instruction::TableSet(TABLE));
                self.own().entries[at] = value;
            }
        }
        Flow::Next
    }

    /// Copies elements of a segment into the module's own table, or into the one of objects.
    fn init_table(&mut self) {
        let table = self.source.pick(&[TABLE, shared::OBJECTS]);
        let length = if table == TABLE { self.own().entries.len() } else { self.shadow.table.len() };
        let wanted = self.source.between(0, length);
        let (elem_index, from, count) = self.element_range(wanted);
        let at = self.source.between(0, length - count);
        self.push_numbers(&[at, from, count]);
        self.emit(Instruction::TableInit { elem_index, table });
        let values = self.elements_of(elem_index);
        let entries = if table == TABLE { &mut self.own().entries } else { &mut self.shadow.table };
        entries[at..at + count].copy_from_slice(&values[from..from + count]);
    }

    fn area(&mut self) -> Area {
        if self.source.percent(60) { Area::Own } else { Area::Shared(self.source.below(self.shadow.pages.len())) }
    }

    fn bytes(&mut self, area: Area) -> &mut [u8] {
        match area {
            Area::Own => &mut self.own().bytes,
            Area::Shared(page) => &mut self.shadow.pages[page],
        }
    }

    /// Writes the module's own memory, or the shared one.
    pub(super) fn write_memory(&mut self) -> Flow {
        let area = self.area();
        let (base, mem) = (area.base(), area.memory());
        match self.source.below(6) {
            0 => {
                let (at, count) = self.range(BYTES);
                self.push_numbers(&[base + at]);
                let V::I32(value) = self.value(Ty::I32, 1) else { return Flow::Next };
                self.push_numbers(&[count]);
                self.emit(Instruction::MemoryFill(mem));
                self.bytes(area)[at..at + count].fill(value as u8);
            }
            1 => {
                let source = self.area();
                let (from, count) = self.range(BYTES);
                let at = self.source.between(0, BYTES - count);
                self.push_numbers(&[base + at, source.base() + from, count]);
                self.emit(Instruction::MemoryCopy { src_mem: source.memory(), dst_mem: mem });
                let bytes = self.bytes(source)[from..from + count].to_vec();
                self.bytes(area)[at..at + count].copy_from_slice(&bytes);
            }
            2 => {
                let wanted = self.source.between(0, BYTES);
                let (data_index, from, count) = self.data_range(1, wanted);
                let at = self.source.between(0, BYTES - count);
                self.push_numbers(&[base + at, from, count]);
                self.emit(Instruction::MemoryInit { mem, data_index });
                let bytes = self.data_of(data_index)[from..from + count].to_vec();
                self.bytes(area)[at..at + count].copy_from_slice(&bytes);
            }
            3 if self.source.percent(30) => {
                let (pages, more) = (self.own().pages, self.source.between(0, 2) as u32);
                self.push_numbers(&[more as usize]);
                self.emit(Instruction::MemoryGrow(MEMORY));
                let fits = pages + more <= PAGES_MAX;
                if fits {
                    self.own().pages += more;
                }
                self.sink(&[Ty::I32], &[V::I32(if fits { pages } else { u32::MAX })]);
            }
            _ => self.store(area),
        }
        Flow::Next
    }

    fn store(&mut self, area: Area) {
        let ty = self.source.pick(&[Ty::I32, Ty::I64, Ty::F32, Ty::F64, Ty::V128]);
        let (at, memarg) = self.address(area, 16);
        let value = self.value(ty, 2);
        let (instruction, bytes) = match value {
            V::I64(bits) => (Instruction::I64Store(memarg), bits.to_le_bytes().to_vec()),
            V::F32(bits) => (Instruction::F32Store(memarg), bits.to_le_bytes().to_vec()),
            V::F64(bits) => (Instruction::F64Store(memarg), bits.to_le_bytes().to_vec()),
            V::V128(bits) => (Instruction::V128Store(memarg), bits.to_le_bytes().to_vec()),
            V::I32(bits) if self.source.percent(30) => (Instruction::I32Store8(memarg), vec![bits as u8]),
            V::I32(bits) => (Instruction::I32Store(memarg), bits.to_le_bytes().to_vec()),
            _ => return self.emit(Instruction::Unreachable),
        };
        self.emit(instruction);
        self.bytes(area)[at..at + bytes.len()].copy_from_slice(&bytes);
    }

    /// Pushes an address of an area from which on there are `width` bytes; gives its place in the area.
    fn address(&mut self, area: Area, width: usize) -> (usize, MemArg) {
        let at = self.source.between(0, BYTES - width);
        let address = area.base() + at;
        let offset = if self.source.percent(20) { address } else { self.source.between(0, at) };
        self.push_numbers(&[address - offset]);
        (at, MemArg { offset: offset as u64, align: 0, memory_index: area.memory() })
    }

    /// Reads a number from a memory.
    pub(super) fn memory_read(&mut self, ty: Ty) -> Option<V> {
        if matches!(ty, Ty::Ref(..)) {
            return None;
        }
        let area = self.area();
        let (at, memarg) = self.address(area, 16);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.bytes(area)[at..at + 16]);
        let word = u128::from_le_bytes(bytes);
        let (instruction, value) = match ty {
            Ty::I32 if self.source.percent(30) => (Instruction::I32Load8S(memarg), V::I32(word as i8 as u32)),
            Ty::I32 => (Instruction::I32Load(memarg), V::I32(word as u32)),
            Ty::I64 => (Instruction::I64Load(memarg), V::I64(word as u64)),
            Ty::F32 => (Instruction::F32Load(memarg), V::F32(word as u32)),
            Ty::F64 => (Instruction::F64Load(memarg), V::F64(word as u64)),
            _ => (Instruction::V128Load(memarg), V::V128(word)),
        };
        self.emit(instruction);
        Some(value)
    }

    /// The size of a table or of a memory, the module's own or shared.
    pub(super) fn size(&mut self) -> V {
        let (instruction, size) = match self.source.below(6) {
            0 => (Instruction::TableSize(TABLE), self.own().entries.len()),
            1 => (Instruction::MemorySize(MEMORY), self.own().pages as usize),
            2 => (Instruction::TableSize(shared::OBJECTS), self.shadow.table.len()),
            3 => (Instruction::TableSize(shared::FUNCTIONS), shared::FUNCTIONS_MIN + self.shadow.grown.len()),
            _ => (Instruction::MemorySize(shared::MEMORY), self.shadow.pages.len()),
        };
        self.emit(instruction);
        V::I32(size as u32)
    }
}
