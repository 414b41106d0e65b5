//! Calls and operations on globals, tables, memories and segments.
//!
//! Invariant: a call goes to an import or to a function of a higher index, an indirect call to a leaf: no recursion.
//!
//! Does not know: control flow.

use super::body::Body;
use super::ops::Special;
use super::splice::Placed;
use super::world::val_type;
use wasm_encoder::{Instruction, MemArg};
use wattest_differential::ValueType::{self, ExternRef, FuncRef, I32, I64};

impl Body<'_, '_, '_> {
    /// Emits a whole statement around the operation; false, with nothing emitted, where the module has no room for it.
    pub fn special(&mut self, special: Special, depth: u32) -> bool {
        match special {
            Special::Select | Special::TypedSelect => {
                let ty = super::world::value_type(self.source, self.world.swarm.simd);
                self.choose_between(ty, depth, special == Special::TypedSelect);
                self.sink(ty);
            }
            Special::RefIsNull => {
                let ty = self.source.pick(&[FuncRef, ExternRef]);
                self.expression(ty, depth);
                self.emit(Instruction::RefIsNull);
                self.sink(I32);
            }
            Special::RefFunc => {
                self.constant(FuncRef);
                self.sink(FuncRef);
            }
            Special::GlobalGet => {
                let index = self.source.below(self.world.globals.len());
                let ty = self.world.globals[index].ty;
                self.emit(Instruction::GlobalGet(index as u32));
                self.sink(ty);
            }
            Special::GlobalSet => return self.global_set(depth),
            Special::LocalTee => {
                let ty = super::world::value_type(self.source, self.world.swarm.simd);
                self.expression(ty, depth);
                let local = self.writable(ty);
                self.emit(Instruction::LocalTee(local));
                self.sink(ty);
            }
            Special::Call => return self.call(depth),
            Special::CallIndirect => return self.call_indirect(depth),
            Special::Drop => {
                self.expression(I64, depth);
                self.emit(Instruction::Drop);
            }
            Special::Nop => self.emit(Instruction::Nop),
            Special::MemorySize
            | Special::MemoryGrow
            | Special::MemoryFill
            | Special::MemoryCopy
            | Special::MemoryInit
            | Special::DataDrop => return self.memory_special(special, depth),
            _ => return self.table_special(special, depth),
        }
        true
    }

    pub fn selection(&mut self, ty: ValueType, depth: u32) {
        let typed = self.source.percent(25);
        self.choose_between(ty, depth, typed);
    }

    fn choose_between(&mut self, ty: ValueType, depth: u32, typed: bool) {
        self.expression(ty, depth);
        self.expression(ty, depth);
        self.condition(depth);
        if typed || matches!(ty, FuncRef | ExternRef) {
            self.emit(Instruction::TypedSelect(val_type(ty)));
        } else {
            self.emit(Instruction::Select);
        }
    }

    /// A value that comes from an entity of the module, where there is one that fits; else a leaf.
    pub fn entity_value(&mut self, ty: ValueType, depth: u32) {
        match ty {
            FuncRef | ExternRef => {
                if let Some(table) = self.table_of(ty) {
                    self.table_index(table, depth);
                    return self.emit(Instruction::TableGet(table));
                }
            }
            I32 | I64 if self.source.percent(30) => {
                let wide = ty == I64;
                if let Some(index) = self.world.memories.iter().position(|memory| memory.memory64 == wide) {
                    return self.emit(Instruction::MemorySize(index as u32));
                }
            }
            _ => {
                if self.source.percent(50) && self.call_for(ty, depth) {
                    return;
                }
                self.expression(ty, depth);
                let local = self.writable(ty);
                return self.emit(Instruction::LocalTee(local));
            }
        }
        self.leaf(ty);
    }

    fn global_set(&mut self, depth: u32) -> bool {
        let index = self.source.below(self.world.globals.len());
        let global = self.world.globals[index];
        if !global.mutable {
            return false;
        }
        self.expression(global.ty, depth);
        self.emit(Instruction::GlobalSet(index as u32));
        true
    }

    /// Functions that may be called directly from here.
    fn callee(&mut self) -> Option<usize> {
        if let Some(spliced) = self.world.splice.as_ref().map(Placed::range)
            && self.index < spliced.start
            && self.loops == 0
            && self.source.percent(30)
        {
            return Some(spliced.start + self.source.below(spliced.len()));
        }
        let later = self.world.functions.len() - self.index - 1;
        let count = self.world.imported_functions + later;
        if count == 0 || (self.loops > 0 && self.source.percent(50)) {
            return None;
        }
        let choice = self.source.below(count);
        let imports = self.world.imported_functions;
        Some(if choice < imports { choice } else { choice - imports + self.index + 1 })
    }

    pub fn call(&mut self, depth: u32) -> bool {
        let Some(callee) = self.callee() else { return false };
        let signature = self.world.functions[callee].clone();
        for ty in &signature.params {
            self.expression(*ty, depth);
        }
        self.emit(Instruction::Call(callee as u32));
        self.sink_all(&signature.results);
        true
    }

    /// A call whose one result is of type `ty`.
    fn call_for(&mut self, ty: ValueType, depth: u32) -> bool {
        let Some(callee) = self.callee() else { return false };
        let signature = self.world.functions[callee].clone();
        if signature.results != [ty] {
            return false;
        }
        for ty in &signature.params {
            self.expression(*ty, depth);
        }
        self.emit(Instruction::Call(callee as u32));
        true
    }

    pub fn tail_call(&mut self, results: &[ValueType]) -> bool {
        if !self.world.swarm.tail_calls {
            return false;
        }
        let functions = &self.world.functions;
        let later = self.index + 1..functions.len();
        let candidates: Vec<usize> = (0..self.world.imported_functions)
            .chain(later)
            .filter(|index| functions[*index].results == results)
            .collect();
        if candidates.is_empty() {
            return false;
        }
        let callee = self.source.pick(&candidates);
        let signature = self.world.functions[callee].clone();
        for ty in &signature.params {
            self.expression(*ty, 1);
        }
        let table = self.indirect_home(callee).filter(|_| self.index < self.world.leaf_start);
        match table {
            Some((table_index, slot)) if self.source.percent(60) => {
                self.index_constant(self.world.tables[table_index as usize].table64, slot);
                let type_index = self.world.intern(&signature.params, &signature.results);
                self.emit(Instruction::ReturnCallIndirect { type_index, table_index });
            }
            _ => self.emit(Instruction::ReturnCall(callee as u32)),
        }
        true
    }

    /// Where a function was put by an active segment: table and index.
    fn indirect_home(&self, callee: usize) -> Option<(u32, u64)> {
        for element in &self.world.elements {
            if let super::world::Placement::Active { index, offset } = element.placement
                && let Some(slot) = element.items.iter().position(|item| *item == Some(callee as u32))
            {
                return Some((index, offset + slot as u64));
            }
        }
        None
    }

    pub fn call_indirect(&mut self, depth: u32) -> bool {
        if self.index >= self.world.leaf_start || (self.loops > 0 && self.source.percent(50)) {
            return false;
        }
        let Some(table_index) = self.table_of(FuncRef) else { return false };
        let referable = self.world.referable();
        if referable.is_empty() {
            return false;
        }
        let callee = self.source.pick(&referable) as usize;
        let signature = self.world.functions[callee].clone();
        for ty in &signature.params {
            self.expression(*ty, depth);
        }
        let known = self.indirect_home(callee);
        let table_index = match known {
            Some((home, slot)) if self.source.percent(85) => {
                self.index_constant(self.world.tables[home as usize].table64, slot);
                home
            }
            _ => {
                self.table_index(table_index, depth);
                table_index
            }
        };
        let type_index = self.world.intern(&signature.params, &signature.results);
        self.emit(Instruction::CallIndirect { type_index, table_index });
        self.sink_all(&signature.results);
        true
    }

    /// A table of this element type.
    fn table_of(&mut self, ty: ValueType) -> Option<u32> {
        let count = self.world.tables.iter().filter(|table| table.element == ty).count();
        let skip = self.source.below(count);
        let mut matching = self.world.tables.iter().enumerate().filter(|(_, table)| table.element == ty);
        matching.nth(skip).map(|(index, _)| index as u32)
    }

    /// Pushes an index into a table, mostly in bounds.
    fn table_index(&mut self, table: u32, depth: u32) {
        let shape = self.world.tables[table as usize];
        match self.source.below(32) {
            0 => {
                let beyond = shape.minimum + self.source.below(6) as u64;
                self.index_constant(shape.table64, beyond);
            }
            1..=10 => {
                let mask = (1u64 << shape.minimum.max(1).ilog2()) - 1;
                self.masked_index(shape.table64, mask, depth);
            }
            _ => {
                let index = self.source.below(shape.minimum as usize) as u64;
                self.index_constant(shape.table64, index);
            }
        }
    }

    fn memory_special(&mut self, special: Special, depth: u32) -> bool {
        let Some(index) = self.memory() else { return false };
        let memory = self.world.memories[index as usize];
        let bytes = memory.minimum << memory.page_bytes_log2;
        let address_type = if memory.memory64 { I64 } else { I32 };
        match special {
            Special::MemorySize => {
                self.emit(Instruction::MemorySize(index));
                self.sink(address_type);
            }
            Special::MemoryGrow => {
                let delta = self.source.pick(&[0, 1, 1, 2, 100, 0xffff_ffff]);
                self.index_constant(memory.memory64, delta);
                self.emit(Instruction::MemoryGrow(index));
                self.sink(address_type);
            }
            Special::MemoryFill => {
                let length = self.bulk_start(memory.memory64, bytes);
                self.expression(I32, depth);
                self.index_constant(memory.memory64, length);
                self.emit(Instruction::MemoryFill(index));
            }
            Special::MemoryCopy => {
                let Some(src_mem) = self.memory() else { return false };
                let source = self.world.memories[src_mem as usize];
                let common = bytes.min(source.minimum << source.page_bytes_log2);
                let length = self.bulk_start(memory.memory64, common);
                let other = self.source.pick(&[0, 1, 8, common]).min(common - length);
                self.index_constant(source.memory64, other);
                self.index_constant(memory.memory64 && source.memory64, length);
                self.emit(Instruction::MemoryCopy { src_mem, dst_mem: index });
            }
            Special::MemoryInit => {
                if self.world.data.is_empty() {
                    return false;
                }
                let segment = self.source.below(self.world.data.len());
                let active = matches!(self.world.data[segment].placement, super::world::Placement::Active { .. });
                let room = if active { 0 } else { self.world.data[segment].bytes.len() };
                if self.source.percent(8) {
                    self.emit(Instruction::DataDrop(segment as u32));
                }
                self.bulk_start(memory.memory64, bytes);
                let start = self.source.between(0, room);
                let length = self.source.between(0, room - start);
                let length = if self.source.percent(4) { length + 1 } else { length };
                self.emit(Instruction::I32Const(start as i32));
                self.emit(Instruction::I32Const(length as i32));
                self.emit(Instruction::MemoryInit { mem: index, data_index: segment as u32 });
            }
            _ => {
                if self.world.data.is_empty() || self.source.percent(70) {
                    return false;
                }
                let segment = self.source.below(self.world.data.len()) as u32;
                self.emit(Instruction::DataDrop(segment));
            }
        }
        true
    }

    /// Growth between two uses of a memory's length, the second one mostly an access to what is new: what is known of the length
    /// before must not be used behind. False, with nothing emitted, where the memory never grows.
    pub fn growth_between(&mut self, index: u32) -> bool {
        let memory = self.world.memories[index as usize];
        let room = memory.maximum.unwrap_or(u64::MAX).saturating_sub(memory.minimum);
        let bytes = memory.minimum << memory.page_bytes_log2;
        if room == 0 {
            return false;
        }
        let address_type = if memory.memory64 { I64 } else { I32 };
        let access = MemArg { offset: 0, align: 0, memory_index: index };
        if bytes > 0 && self.source.percent(50) {
            // A computed address: of a constant one nobody asks whether it is below the least length.
            self.masked_index(memory.memory64, (1 << bytes.ilog2()) - 1, 1);
            self.emit(Instruction::I32Load8U(access));
            self.sink(I32);
        } else {
            self.emit(Instruction::MemorySize(index));
            self.sink(address_type);
        }
        let delta = if memory.page_bytes_log2 == 0 { room } else { 1 };
        self.index_constant(memory.memory64, delta);
        self.emit(Instruction::MemoryGrow(index));
        self.sink(address_type);
        let grown = bytes + (delta << memory.page_bytes_log2);
        match self.source.below(4) {
            0 => {
                self.emit(Instruction::MemorySize(index));
                self.sink(address_type);
            }
            1 => {
                self.index_constant(memory.memory64, bytes);
                self.expression(I64, 1);
                self.emit(Instruction::I64Store8(access));
            }
            _ => {
                self.index_constant(memory.memory64, grown - 1);
                self.emit(Instruction::I32Load8S(access));
                self.sink(I32);
            }
        }
        true
    }

    /// Pushes the start of a bulk operation and gives a length that mostly fits behind it.
    fn bulk_start(&mut self, wide: bool, bytes: u64) -> u64 {
        let length = self.source.pick(&[0, 1, 4, 16, 33, 100]).min(bytes);
        let room = bytes - length;
        let start = match self.source.below(32) {
            0 => room + 1,
            1..=10 => room,
            11..=20 => room / 2,
            _ => u64::from(self.source.byte()).min(room),
        };
        self.index_constant(wide, start);
        length
    }

    fn table_special(&mut self, special: Special, depth: u32) -> bool {
        if self.world.tables.is_empty() {
            return false;
        }
        let index = self.source.below(self.world.tables.len()) as u32;
        let table = self.world.tables[index as usize];
        let index_type = if table.table64 { I64 } else { I32 };
        let length = self.source.between(0, 2) as u64;
        match special {
            Special::TableGet => {
                self.table_index(index, depth);
                self.emit(Instruction::TableGet(index));
                self.sink(table.element);
            }
            Special::TableSet => {
                self.table_index(index, depth);
                self.expression(table.element, depth);
                self.emit(Instruction::TableSet(index));
            }
            Special::TableSize => {
                self.emit(Instruction::TableSize(index));
                self.sink(index_type);
            }
            Special::TableGrow => {
                self.expression(table.element, depth);
                let delta = self.source.pick(&[0, 1, 1, 2, 7, 0xffff_ffff]);
                self.index_constant(table.table64, delta);
                self.emit(Instruction::TableGrow(index));
                self.sink(index_type);
            }
            Special::TableFill => {
                self.table_index(index, depth);
                self.expression(table.element, depth);
                self.index_constant(table.table64, length.min(1));
                self.emit(Instruction::TableFill(index));
            }
            Special::TableCopy => {
                let Some(src_table) = self.table_of(table.element) else { return false };
                let wide = self.world.tables[src_table as usize].table64;
                let start = self.source.below(3) as u64;
                self.index_constant(table.table64, start.min(table.minimum.saturating_sub(length)));
                let start = self.source.below(3) as u64;
                let room = self.world.tables[src_table as usize].minimum.saturating_sub(length);
                self.index_constant(wide, start.min(room));
                self.index_constant(wide && table.table64, length);
                self.emit(Instruction::TableCopy { src_table, dst_table: index });
            }
            Special::TableInit => return self.table_init(index),
            _ => {
                if self.source.percent(70) {
                    return false;
                }
                let segment = self.source.below(self.world.elements.len()) as u32;
                self.emit(Instruction::ElemDrop(segment));
            }
        }
        true
    }

    fn table_init(&mut self, index: u32) -> bool {
        let table = self.world.tables[index as usize];
        let passive = |element: &super::world::ElementPlan| {
            element.ty == table.element && matches!(element.placement, super::world::Placement::Passive)
        };
        let Some(segment) = self.world.elements.iter().position(passive) else { return false };
        let room = self.world.elements[segment].items.len();
        let length = self.source.between(0, 2).min(room);
        let start = self.source.between(0, room - length);
        if self.source.percent(8) {
            self.emit(Instruction::ElemDrop(segment as u32));
        }
        let target = self.source.below(3) as u64;
        self.index_constant(table.table64, target.min(table.minimum.saturating_sub(length as u64)));
        self.emit(Instruction::I32Const(start as i32));
        self.emit(Instruction::I32Const(length as i32));
        self.emit(Instruction::TableInit { elem_index: segment as u32, table: index });
        true
    }
}
