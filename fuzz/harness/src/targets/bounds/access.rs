//! What functions of `bounds` do with a memory: every load, store, lane access and atomic operation, bulk operations, growth.
//!
//! Loads, stores, lanes and updates are those of the matrix, with its rules; what is added is where they access
//! ([memory instructions](https://webassembly.github.io/spec/core/exec/instructions.html#memory-instructions)). Waiting is left
//! to `threads`: it asks for a memory that threads share.
//!
//! Invariant: an access is known by its name, which stored cases hold; the first ones by their number, too.
//!
//! Does not know: addresses, lengths.

use super::Shape;
use crate::matrix::tree::{Catalogue, LaneOperation, LoadOperation, StoreOperation, UpdateOperation, UpdateRule};
use crate::source::Source;
use std::ops::Range;
use std::sync::OnceLock;
use wasm_encoder::{Instruction, MemArg, ValType};
use wattest_differential::ValueType;

/// What an access does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Load(&'static LoadOperation),
    Store(&'static StoreOperation),
    /// A load or store of this lane.
    Lane(&'static LaneOperation, u8),
    Update(&'static UpdateOperation),
    Notify,
    Fill,
    /// From a memory; from the same one where none is named.
    Copy(Option<usize>),
    /// From the segment.
    Init,
    /// Of the segment.
    Drop,
    Grow,
    Size,
}

/// An access of the table.
#[derive(Clone, Debug)]
pub(super) struct Access {
    /// The operator's name; behind a slash the lane or the memory that it copies from.
    pub name: String,
    pub kind: Kind,
}

/// An operand of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    /// An address in this memory.
    Address(usize),
    /// A number of bytes; whether it is of 64 bits.
    Bytes(bool),
    /// A number of pages for this memory.
    Pages(usize),
    /// A place in the segment.
    Place,
    /// What is stored, or the vector that a lane goes to.
    Value(ValueType),
}

/// An access to a memory with a static offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub access: usize,
    pub memory: usize,
    pub offset: u64,
}

fn index_type(is_wide: bool) -> ValType {
    if is_wide { ValType::I64 } else { ValType::I32 }
}

impl Operand {
    pub fn ty(self, shapes: &[Shape]) -> ValType {
        match self {
            Operand::Address(memory) | Operand::Pages(memory) => index_type(shapes[memory].wide),
            Operand::Bytes(is_wide) => index_type(is_wide),
            Operand::Place => ValType::I32,
            Operand::Value(ty) => crate::generate::val_type(ty),
        }
    }
}

impl Site {
    pub fn kind(&self) -> Kind {
        self.access().kind
    }

    pub fn access(&self) -> &'static Access {
        &Accesses::get().all[self.access]
    }

    /// Its operands, in order.
    pub fn operands(&self, shapes: &[Shape]) -> Vec<Operand> {
        let at = Operand::Address(self.memory);
        let is_wide = |memory: usize| shapes[memory].wide;
        match self.kind() {
            Kind::Load(_) => vec![at],
            Kind::Store(operation) => vec![at, Operand::Value(operation.operand)],
            Kind::Lane(..) => vec![at, Operand::Value(ValueType::V128)],
            Kind::Update(operation) => {
                let operands = if matches!(operation.rule, UpdateRule::Exchange(_)) { 2 } else { 1 };
                [at].into_iter().chain((0..operands).map(|_| Operand::Value(operation.ty))).collect()
            }
            Kind::Notify => vec![at, Operand::Value(ValueType::I32)],
            Kind::Fill => vec![at, Operand::Value(ValueType::I32), Operand::Bytes(is_wide(self.memory))],
            Kind::Copy(from) => {
                let from = from.unwrap_or(self.memory);
                vec![at, Operand::Address(from), Operand::Bytes(is_wide(self.memory) && is_wide(from))]
            }
            Kind::Init => vec![at, Operand::Place, Operand::Bytes(false)],
            Kind::Grow => vec![Operand::Pages(self.memory)],
            Kind::Drop | Kind::Size => Vec::new(),
        }
    }

    /// The type of its result, if it has one.
    pub fn result(&self, shapes: &[Shape]) -> Option<ValType> {
        match self.kind() {
            Kind::Load(operation) => Some(crate::generate::val_type(operation.result)),
            Kind::Lane(operation, _) => (!operation.is_store).then_some(ValType::V128),
            Kind::Update(operation) => Some(crate::generate::val_type(operation.ty)),
            Kind::Notify => Some(ValType::I32),
            Kind::Grow | Kind::Size => Some(index_type(shapes[self.memory].wide)),
            Kind::Store(_) | Kind::Fill | Kind::Copy(_) | Kind::Init | Kind::Drop => None,
        }
    }

    /// What its address has to be a multiple of.
    pub fn alignment(&self) -> u64 {
        u64::from(match self.kind() {
            Kind::Load(operation) => operation.alignment(),
            Kind::Store(operation) => operation.alignment(),
            Kind::Update(operation) => operation.bytes(),
            Kind::Notify => 4,
            _ => 1,
        })
    }

    /// Behind its operands; the module's segment for memories is that of this index.
    pub fn instruction(&self, segment: u32) -> Instruction<'static> {
        let (offset, memory_index) = (self.offset, self.memory as u32);
        match self.kind() {
            Kind::Load(operation) => operation.instruction(offset, memory_index),
            Kind::Store(operation) => operation.instruction(offset, memory_index),
            Kind::Lane(operation, lane) => operation.instruction(offset, memory_index, lane),
            Kind::Update(operation) => operation.instruction(offset, memory_index),
            Kind::Notify => Instruction::MemoryAtomicNotify(MemArg { offset, align: 2, memory_index }),
            Kind::Fill => Instruction::MemoryFill(memory_index),
            Kind::Copy(from) => {
                let src_mem = from.map_or(memory_index, |memory| memory as u32);
                Instruction::MemoryCopy { dst_mem: memory_index, src_mem }
            }
            Kind::Init => Instruction::MemoryInit { mem: memory_index, data_index: segment },
            Kind::Drop => Instruction::DataDrop(segment),
            Kind::Grow => Instruction::MemoryGrow(memory_index),
            Kind::Size => Instruction::MemorySize(memory_index),
        }
    }
}

/// Every access.
pub(super) struct Accesses {
    pub all: Vec<Access>,
    /// Where `memory.grow` is among them.
    pub grow: usize,
    /// Those that are drawn together, by their share in percent.
    families: Vec<(u64, Range<usize>)>,
}

/// The accesses that cases named by number, in that order.
const NUMBERED: &[&str] = &[
    "I32Load8U",
    "I32Load8S",
    "I32Load16U",
    "I32Load16S",
    "I32Load",
    "I64Load8U",
    "I64Load8S",
    "I64Load16S",
    "I64Load16U",
    "I64Load32S",
    "I64Load32U",
    "I64Load",
    "F32Load",
    "F64Load",
    "V128Load",
    "V128Load32Zero",
    "V128Load64Zero",
    "I32Store8",
    "I32Store16",
    "I32Store",
    "I64Store8",
    "I64Store16",
    "I64Store32",
    "I64Store",
    "F32Store",
    "F64Store",
    "V128Store",
    "V128Load8Lane/3",
    "V128Load64Lane/1",
    "V128Store16Lane/5",
    "V128Store32Lane/2",
    "MemoryFill",
    "MemoryCopy",
    "MemoryGrow",
    "MemorySize",
];

impl Accesses {
    /// The table, made once.
    pub fn get() -> &'static Accesses {
        static ACCESSES: OnceLock<Accesses> = OnceLock::new();
        ACCESSES.get_or_init(Accesses::build)
    }

    fn build() -> Accesses {
        let catalogue = Catalogue::get();
        let mut table = Accesses { all: Vec::new(), grow: 0, families: Vec::new() };
        let access = |name: &str, kind| Access { name: name.to_owned(), kind };
        let loads = |is_atomic: bool| {
            let own = catalogue.loads.iter().filter(move |load| load.name.contains("Atomic") == is_atomic);
            own.map(|load| access(&load.name, Kind::Load(load)))
        };
        let stores = |is_atomic: bool| {
            let own = catalogue.stores.iter().filter(move |store| store.name.contains("Atomic") == is_atomic);
            own.map(|store| access(&store.name, Kind::Store(store)))
        };
        let lanes = catalogue.lanes.iter().flat_map(|operation| {
            let all = 0..16 / operation.bytes;
            all.map(|lane| access(&format!("{}/{lane}", operation.name), Kind::Lane(operation, lane)))
        });
        let updates = catalogue.updates.iter().map(|update| access(&update.name, Kind::Update(update)));
        let notify = access("MemoryAtomicNotify", Kind::Notify);
        let copies = (0..super::MEMORIES_MAX).map(|from| access(&format!("MemoryCopy/{from}"), Kind::Copy(Some(from))));
        let bulk = [access("MemoryFill", Kind::Fill), access("MemoryCopy", Kind::Copy(None))];
        table.family(25, loads(false));
        table.family(22, stores(false));
        table.family(10, lanes);
        table.family(6, loads(true).chain(stores(true)));
        table.family(12, updates.chain([notify]));
        table.family(11, bulk.into_iter().chain(copies));
        table.family(5, [access("MemoryInit", Kind::Init)]);
        // What is dropped is empty for the rest of the case.
        table.family(1, [access("DataDrop", Kind::Drop)]);
        table.grow = table.all.len();
        table.family(5, [access("MemoryGrow", Kind::Grow)]);
        table.family(3, [access("MemorySize", Kind::Size)]);
        table
    }

    fn family(&mut self, share: u64, accesses: impl IntoIterator<Item = Access>) {
        let first = self.all.len();
        self.all.extend(accesses);
        self.families.push((share, first..self.all.len()));
    }

    /// Any access where there are so many memories, by its family's share.
    pub fn draw(&self, source: &mut Source<'_>, memories: usize) -> usize {
        let mut place = source.below(100) as u64;
        let family = self.families.iter().find(|(share, _)| match place.checked_sub(*share) {
            None => true,
            Some(rest) => {
                place = rest;
                false
            }
        });
        let drawn = family.map_or(self.grow, |(_, range)| range.start + source.below(range.len()));
        let is_there = !matches!(self.all[drawn].kind, Kind::Copy(Some(from)) if from >= memories);
        if is_there { drawn } else { self.grow }
    }

    /// The access of this name or number.
    pub fn find(&self, text: &str) -> Option<usize> {
        let name = match text.parse::<usize>() {
            Ok(number) => *NUMBERED.get(number)?,
            Err(_) => text,
        };
        self.all.iter().position(|access| access.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use wattest_reference::operators::OPERATORS;

    #[test]
    fn the_first_accesses_keep_their_numbers() {
        let accesses = Accesses::get();
        for (number, name) in NUMBERED.iter().enumerate() {
            let found = accesses.find(&number.to_string()).unwrap_or_else(|| panic!("no {name}"));
            assert_eq!(accesses.all[found].name, *name);
        }
        assert_eq!(accesses.find("35"), None);
        assert_eq!(accesses.families.iter().map(|(share, _)| share).sum::<u64>(), 100);
    }

    #[test]
    fn every_operation_on_memories_is_an_access() {
        let here: BTreeSet<_> =
            Accesses::get().all.iter().map(|access| access.name.split('/').next().unwrap_or_default()).collect();
        // Waiting needs a memory that is shared, and a fence has no address.
        let elsewhere = ["MemoryDiscard", "MemoryAtomicWait32", "MemoryAtomicWait64", "AtomicFence"];
        let proposals = ["mvp", "simd", "bulk_memory", "threads"];
        let parts = ["Load", "Store", "Memory", "I32Atomic", "I64Atomic", "DataDrop"];
        let all =
            OPERATORS.iter().filter(|operator| proposals.contains(&operator.proposal)).map(|operator| operator.name);
        let all = all.filter(|name| parts.iter().any(|part| name.contains(part)) && !elsewhere.contains(name));
        assert_eq!(here, all.collect());
    }
}
