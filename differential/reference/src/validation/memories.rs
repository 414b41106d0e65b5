//! Validation of memory and table instructions.
//!
//! [Memory instructions](https://webassembly.github.io/spec/core/valid/instructions.html#memory-instructions),
//! [table instructions](https://webassembly.github.io/spec/core/valid/instructions.html#table-instructions), and the
//! atomic accesses of [threads](https://github.com/WebAssembly/threads).
//!
//! Invariant: an address has the type of the memory's or table's addresses; a size of two of them, the smaller type.
//!
//! Does not know: bounds.

use super::{Checker, Refusal};
use crate::access::{AtomicLoad, AtomicStore, Exchange, Load, Store, Update, lane_access};
use crate::types::{RefType, ValType};
use wasmparser::{MemArg, Operator as O};

/// The type of addresses.
pub(super) fn address(is64: bool) -> ValType {
    if is64 { ValType::I64 } else { ValType::I32 }
}

impl Checker<'_> {
    /// Checks an access of `bytes` and returns the type of its address.
    fn memarg(&self, memarg: &MemArg, bytes: u32, atomic: bool) -> Result<ValType, Refusal> {
        let memory = self.context.memory(memarg.memory)?;
        let natural = bytes.trailing_zeros();
        if u32::from(memarg.align) > natural {
            return Err("alignment must not be larger than natural".into());
        }
        if atomic && u32::from(memarg.align) != natural {
            return Err("atomic alignment must be natural".into());
        }
        if !memory.is64 && memarg.offset > u64::from(u32::MAX) {
            return Err("offset out of range".into());
        }
        Ok(address(memory.is64))
    }

    pub(super) fn check_memory(&mut self, operator: &O<'_>) -> Result<bool, Refusal> {
        use ValType::{I32, I64, V128};
        if let Some((load, memarg)) = Load::of(operator) {
            let at = self.memarg(&memarg, load.bytes(), false)?;
            self.apply(&[at], &[load.value_type()])?;
        } else if let Some((store, memarg)) = Store::of(operator) {
            let at = self.memarg(&memarg, store.bytes(), false)?;
            self.apply(&[at, store.value_type()], &[])?;
        } else if let Some((bytes, memarg, lane, is_store)) = lane_access(operator) {
            let at = self.memarg(&memarg, bytes.into(), false)?;
            if u32::from(lane) * u32::from(bytes) >= 16 {
                return Err("invalid lane index".into());
            }
            self.apply(&[at, V128], if is_store { &[] } else { &[V128] })?;
        } else if let Some((load, memarg)) = AtomicLoad::of(operator) {
            let at = self.memarg(&memarg, load.bytes(), true)?;
            self.apply(&[at], &[load.value_type()])?;
        } else if let Some((store, memarg)) = AtomicStore::of(operator) {
            let at = self.memarg(&memarg, store.bytes(), true)?;
            self.apply(&[at, store.value_type()], &[])?;
        } else if let Some((update, memarg)) = Update::of(operator) {
            let at = self.memarg(&memarg, update.bytes(), true)?;
            let ty = update.value_type();
            self.apply(&[at, ty], &[ty])?;
        } else if let Some((exchange, memarg)) = Exchange::of(operator) {
            let at = self.memarg(&memarg, exchange.bytes(), true)?;
            let ty = exchange.value_type();
            self.apply(&[at, ty, ty], &[ty])?;
        } else {
            match operator {
                O::MemoryAtomicNotify { memarg } => {
                    let at = self.memarg(memarg, 4, true)?;
                    self.apply(&[at, I32], &[I32])?;
                }
                O::MemoryAtomicWait32 { memarg } => {
                    let at = self.memarg(memarg, 4, true)?;
                    self.apply(&[at, I32, I64], &[I32])?;
                }
                O::MemoryAtomicWait64 { memarg } => {
                    let at = self.memarg(memarg, 8, true)?;
                    self.apply(&[at, I64, I64], &[I32])?;
                }
                O::AtomicFence => {}
                other => return self.check_memory_bulk(other),
            }
        }
        Ok(true)
    }

    fn check_memory_bulk(&mut self, operator: &O<'_>) -> Result<bool, Refusal> {
        use ValType::I32;
        match operator {
            O::MemorySize { mem } => {
                let at = address(self.context.memory(*mem)?.is64);
                self.push_val(at);
            }
            O::MemoryGrow { mem } => {
                let at = address(self.context.memory(*mem)?.is64);
                self.apply(&[at], &[at])?;
            }
            O::MemoryFill { mem } => {
                let at = address(self.context.memory(*mem)?.is64);
                self.apply(&[at, I32, at], &[])?;
            }
            O::MemoryCopy { dst_mem, src_mem } => {
                let (to, from) = (self.context.memory(*dst_mem)?.is64, self.context.memory(*src_mem)?.is64);
                self.apply(&[address(to), address(from), address(to && from)], &[])?;
            }
            O::MemoryInit { data_index, mem } => {
                let at = address(self.context.memory(*mem)?.is64);
                self.context.data(*data_index)?;
                self.apply(&[at, I32, I32], &[])?;
            }
            O::DataDrop { data_index } => self.context.data(*data_index)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn check_table(&mut self, operator: &O<'_>) -> Result<bool, Refusal> {
        use ValType::I32;
        match operator {
            O::TableGet { table } => {
                let table = self.context.table(*table)?;
                self.apply(&[address(table.is64)], &[ValType::Ref(table.element)])?;
            }
            O::TableSet { table } => {
                let table = self.context.table(*table)?;
                self.apply(&[address(table.is64), ValType::Ref(table.element)], &[])?;
            }
            O::TableSize { table } => {
                let at = address(self.context.table(*table)?.is64);
                self.push_val(at);
            }
            O::TableGrow { table } => {
                let table = self.context.table(*table)?;
                let at = address(table.is64);
                self.apply(&[ValType::Ref(table.element), at], &[at])?;
            }
            O::TableFill { table } => {
                let table = self.context.table(*table)?;
                let at = address(table.is64);
                self.apply(&[at, ValType::Ref(table.element), at], &[])?;
            }
            O::TableCopy { dst_table, src_table } => {
                let (to, from) = (self.context.table(*dst_table)?, self.context.table(*src_table)?);
                self.match_elements(from.element, to.element)?;
                self.apply(&[address(to.is64), address(from.is64), address(to.is64 && from.is64)], &[])?;
            }
            O::TableInit { elem_index, table } => {
                let table = self.context.table(*table)?;
                self.match_elements(self.context.elem(*elem_index)?, table.element)?;
                self.apply(&[address(table.is64), I32, I32], &[])?;
            }
            O::ElemDrop { elem_index } => {
                self.context.elem(*elem_index)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn match_elements(&self, from: RefType, to: RefType) -> Result<(), Refusal> {
        if self.context.types.match_ref(from, to) {
            return Ok(());
        }
        Err(format!("type mismatch: {from:?} where {to:?} is expected").into())
    }
}
