//! Reduction of table instructions.
//!
//! [Table instructions](https://webassembly.github.io/spec/core/exec/instructions.html#table-instructions).
//!
//! Invariant: an instruction that traps has changed nothing.
//!
//! Does not know: what entries refer to.

use super::memories::range;
use super::{Stop, Thread};
use crate::error::TrapClass;
use crate::instruction::TableInstr;
use crate::store::Table;
use crate::value::{Ref, Slot};

const OUT_OF_BOUNDS: Stop = Stop::Trap(TrapClass::TableOutOfBounds);

impl Thread<'_> {
    fn table(&mut self, index: u32) -> &mut Table {
        let table = self.instance().tables[index as usize];
        &mut self.store.tables[table.0 as usize]
    }

    pub(super) fn table_instr(&mut self, instr: TableInstr) -> Result<(), Stop> {
        match instr {
            TableInstr::Get(table) => {
                let at = self.pop_u64();
                let entries = &self.table(table).entries;
                let entry = entries[range(at, 1, entries.len()).ok_or(OUT_OF_BOUNDS)?][0];
                self.push_ref(entry);
            }
            TableInstr::Set(table) => {
                let (entry, at) = (self.pop_ref(), self.pop_u64());
                let entries = &mut self.table(table).entries;
                let range = range(at, 1, entries.len()).ok_or(OUT_OF_BOUNDS)?;
                entries[range].fill(entry);
            }
            TableInstr::Size(table) => {
                let size = self.table(table).entries.len();
                self.stack.push(size as Slot);
            }
            TableInstr::Grow(table) => {
                let (delta, entry) = (self.pop_u64(), self.pop_ref());
                let result = self.grow_table(table, delta, entry);
                self.stack.push(result);
            }
            TableInstr::Fill(table) => {
                let (len, entry, to) = (self.pop_u64(), self.pop_ref(), self.pop_u64());
                let entries = &mut self.table(table).entries;
                let range = range(to, len, entries.len()).ok_or(OUT_OF_BOUNDS)?;
                entries[range].fill(entry);
            }
            TableInstr::Copy { to, from } => {
                let (len, source, target) = (self.pop_u64(), self.pop_u64(), self.pop_u64());
                let source = range(source, len, self.table(from).entries.len()).ok_or(OUT_OF_BOUNDS)?;
                let target = range(target, len, self.table(to).entries.len()).ok_or(OUT_OF_BOUNDS)?;
                let moved = self.table(from).entries[source].to_vec();
                self.table(to).entries[target].copy_from_slice(&moved);
            }
            TableInstr::Init { table, elem } => {
                let (len, source, target) = (self.pop_u64(), self.pop_u64(), self.pop_u64());
                let segment = &self.store.elems[self.instance().elems[elem as usize] as usize];
                let moved = segment[range(source, len, segment.len()).ok_or(OUT_OF_BOUNDS)?].to_vec();
                let entries = &mut self.table(table).entries;
                let target = range(target, len, entries.len()).ok_or(OUT_OF_BOUNDS)?;
                entries[target].copy_from_slice(&moved);
            }
            TableInstr::ElemDrop(elem) => {
                let segment = self.instance().elems[elem as usize];
                self.store.elems[segment as usize] = Vec::new();
            }
        }
        Ok(())
    }

    /// `table.grow`: the former size, or -1.
    fn grow_table(&mut self, index: u32, delta: u64, entry: Ref) -> Slot {
        let left = self.store.budget.entries;
        let Table { ty, entries } = self.table(index);
        let range = if ty.is64 { u64::MAX } else { u32::MAX.into() };
        let size = (entries.len() as u64).checked_add(delta);
        let fits = size.is_some_and(|size| size <= ty.limits.max.unwrap_or(range)) && delta <= left;
        if !fits {
            return range.into();
        }
        let before = entries.len();
        entries.resize(before + delta as usize, entry);
        self.store.budget.entries -= delta;
        before as Slot
    }
}
