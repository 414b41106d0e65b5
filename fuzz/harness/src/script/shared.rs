//! What modules share and grow: the log's memory, the table of objects, the table of functions.
//!
//! One instance [grows](https://webassembly.github.io/spec/core/exec/instructions.html#memory-instructions), and another
//! must find the new size, what was put there, and the functions in the new entries when it calls.
//!
//! Invariant: the log's part of the first page belongs to the log; sizes are predicted, so growth is too.
//!
//! Does not know: which module is called next.

use super::shadow::V;
use super::types::{Heap, Ty};
use super::{Flow, Writer};
use wasm_encoder::Instruction;

/// The memory's index.
pub const MEMORY: u32 = 0;
/// Pages of the memory at most.
pub const PAGES_MAX: usize = 4;
/// The bytes of each page that statements use begin here and end with the page: the log ends before.
pub const WINDOW: usize = (1 << 16) - super::own::BYTES;
/// The index of the table of objects.
pub const OBJECTS: u32 = 0;
/// Its entries up to which it grows.
const OBJECTS_MAX: usize = 16;
/// The index of the table of functions.
pub const FUNCTIONS: u32 = 1;
/// Its entries at first: as many as a program has functions at most.
pub const FUNCTIONS_MIN: usize = 128;
/// Entries by which it grows.
const GROWN_MAX: usize = 12;

impl Writer<'_, '_> {
    /// Grows a memory or a table that all modules see, or fills a new entry.
    pub(super) fn grow_shared(&mut self) -> Flow {
        match self.source.below(5) {
            0 | 1 => {
                let (pages, more) = (self.shadow.pages.len(), self.source.between(0, 2));
                self.emit(Instruction::I32Const(more as i32));
                self.emit(Instruction::MemoryGrow(MEMORY));
                let fits = pages + more <= PAGES_MAX;
                if fits {
                    self.shadow.pages.resize(pages + more, vec![0; super::own::BYTES]);
                }
                self.sink(&[Ty::I32], &[V::I32(if fits { pages as u32 } else { u32::MAX })]);
            }
            2 if self.shadow.table.len() < OBJECTS_MAX => {
                let (length, ty) = (self.shadow.table.len(), Ty::null(self.entry_heap()));
                let (value, more) = self.grow(OBJECTS, ty, length);
                self.shadow.table.resize(length + more, value);
            }
            3 if self.shadow.grown.len() < GROWN_MAX => {
                let length = self.shadow.grown.len();
                let (value, more) = self.grow(FUNCTIONS, Ty::null(Heap::Func), FUNCTIONS_MIN + length);
                self.shadow.grown.resize(length + more, value);
            }
            _ if !self.shadow.grown.is_empty() => {
                let at = self.source.below(self.shadow.grown.len());
                self.emit(Instruction::I32Const((FUNCTIONS_MIN + at) as i32));
                let value = self.value(Ty::null(Heap::Func), 1);
                self.emit(Instruction::TableSet(FUNCTIONS));
                self.shadow.grown[at] = value;
            }
            _ => {}
        }
        Flow::Next
    }

    /// Grows a table of so many entries; gives what the new ones hold, and their number.
    fn grow(&mut self, table: u32, ty: Ty, length: usize) -> (V, usize) {
        let value = self.value(ty, 2);
        let more = self.source.between(0, 3);
        self.emit(Instruction::I32Const(more as i32));
        self.emit(Instruction::TableGrow(table));
        self.sink(&[Ty::I32], &[V::I32(length as u32)]);
        (value, more)
    }

    /// Sometimes puts the function that comes next into an entry by which the table of functions has grown: the entry.
    pub(super) fn enter_next(&mut self) -> Option<u32> {
        if self.shadow.grown.is_empty() || self.source.percent(60) {
            return None;
        }
        let (at, fun) = (self.source.below(self.shadow.grown.len()), self.funs.len() as u32);
        let entry = (FUNCTIONS_MIN + at) as u32;
        self.emit(Instruction::I32Const(entry as i32));
        self.emit(Instruction::I32Const(fun as i32));
        self.emit(Instruction::TableGet(FUNCTIONS));
        self.emit(Instruction::TableSet(FUNCTIONS));
        self.shadow.grown[at] = V::Func(fun);
        Some(entry)
    }
}
