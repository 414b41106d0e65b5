//! Memories as they should be: a vector of bytes each, and additions in 128 bits.
//!
//! Invariant: an access that traps changes nothing
//! ([memory instructions](https://webassembly.github.io/spec/core/exec/instructions.html#memory-instructions)); one that is
//! neither aligned nor within bounds is said to be unaligned, as the proposal's
//! [text](https://github.com/WebAssembly/threads/blob/main/proposals/threads/Overview.md#alignment) checks that first.
//!
//! Does not know: how memories are mapped, what runs.

use super::access::{Kind, Site};
use super::{Line, Round, Shape, segment};
use std::ops::Range;
use wattest_differential::ValueType::{self, F32, F64, I32, I64};
use wattest_differential::{Ending, TrapClass, Value};

/// The memories and the segment.
pub(super) struct Model {
    shapes: Vec<Shape>,
    pub memories: Vec<Vec<u8>>,
    segment: Vec<u8>,
}

pub(super) const OUTSIDE: Ending = Ending::Trap(TrapClass::MemoryOutOfBounds);

pub(super) fn bits_of(value: Value) -> u128 {
    match value {
        Value::I32(bits) | Value::F32(bits) => bits.into(),
        Value::I64(bits) | Value::F64(bits) => bits.into(),
        Value::V128(bits) => bits,
        Value::Func(_) | Value::Extern(_) => 0,
    }
}

pub(super) fn value_of(ty: ValueType, bits: u128) -> Value {
    match ty {
        I32 => Value::I32(bits as u32),
        I64 => Value::I64(bits as u64),
        F32 => Value::F32(bits as u32),
        F64 => Value::F64(bits as u64),
        _ => Value::V128(bits),
    }
}

fn within(length: usize, start: u128, bytes: u128) -> Result<Range<usize>, Ending> {
    let end = start + bytes;
    if end <= length as u128 { Ok(start as usize..end as usize) } else { Err(OUTSIDE) }
}

impl Model {
    /// The memories of a new instance.
    pub fn new(round: &Round) -> Model {
        let memories = round.shapes.iter().map(|shape| vec![0; shape.bytes() as usize]).collect();
        let mut model = Model { memories, shapes: round.shapes.clone(), segment: segment() };
        for piece in &round.pieces {
            let range = piece.start as usize..(piece.start + piece.length) as usize;
            model.memories[piece.memory][range].copy_from_slice(&piece.bytes());
        }
        model
    }

    /// Does what the function should do: up to the first access that traps.
    pub fn call(&mut self, line: &Line, args: &[u128]) -> Ending {
        let (mut all, mut left) = (Vec::new(), args);
        for site in line {
            let (own, rest) = left.split_at(site.operands(&self.shapes).len());
            match self.access(*site, own) {
                Ok(value) => all.extend(value),
                Err(trap) => return trap,
            }
            left = rest;
        }
        Ending::Values(all)
    }

    fn range(&self, memory: usize, address: u128, bytes: u128) -> Result<Range<usize>, Ending> {
        within(self.memories[memory].len(), address, bytes)
    }

    /// The bytes at an address with the site's offset.
    fn at(&self, site: Site, address: u128, bytes: u32) -> Result<Range<usize>, Ending> {
        let address = address + u128::from(site.offset);
        if !address.is_multiple_of(site.alignment().into()) {
            return Err(Ending::Trap(TrapClass::UnalignedAtomic));
        }
        self.range(site.memory, address, bytes.into())
    }

    fn read(&self, memory: usize, range: Range<usize>) -> u128 {
        self.memories[memory][range].iter().rev().fold(0, |bits, byte| bits << 8 | u128::from(*byte))
    }

    fn write(&mut self, memory: usize, range: Range<usize>, bits: u128) {
        let bytes = bits.to_le_bytes();
        self.memories[memory][range.clone()].copy_from_slice(&bytes[..range.len()]);
    }

    fn index(&self, memory: usize, bits: u128) -> Value {
        value_of(if self.shapes[memory].wide { I64 } else { I32 }, bits)
    }

    /// Does what an access should do; its result, if it has one.
    fn access(&mut self, site: Site, args: &[u128]) -> Result<Option<Value>, Ending> {
        let memory = site.memory;
        Ok(match site.kind() {
            Kind::Load(operation) => {
                let range = self.at(site, args[0], operation.bytes())?;
                Some(value_of(operation.result, operation.value(self.read(memory, range))))
            }
            Kind::Store(operation) => {
                let range = self.at(site, args[0], operation.bytes())?;
                self.write(memory, range, operation.stored(0, args[1]));
                None
            }
            Kind::Lane(operation, lane) => {
                let range = self.at(site, args[0], operation.bytes.into())?;
                let moved = operation.moved(self.read(memory, range.clone()), args[1], lane);
                if operation.is_store {
                    self.write(memory, range, moved);
                }
                (!operation.is_store).then_some(Value::V128(moved))
            }
            Kind::Update(operation) => {
                let range = self.at(site, args[0], operation.bytes())?;
                let (expected, operand) =
                    if let &[_, expected, operand] = args { (expected, operand) } else { (0, args[1]) };
                let (new, old) = operation.reduce(self.read(memory, range.clone()), expected, operand);
                self.write(memory, range, new);
                Some(value_of(operation.ty, old))
            }
            // Nobody waits.
            Kind::Notify => self.at(site, args[0], 4).map(|_| Some(Value::I32(0)))?,
            Kind::Drop => {
                self.segment.clear();
                None
            }
            Kind::Size => {
                let pages = self.memories[memory].len() as u128 >> self.shapes[memory].page_log2;
                Some(self.index(memory, pages))
            }
            Kind::Grow => Some(self.grow(memory, args[0])),
            Kind::Fill | Kind::Copy(_) | Kind::Init => {
                self.bulk(site, args)?;
                None
            }
        })
    }

    fn bulk(&mut self, site: Site, args: &[u128]) -> Result<(), Ending> {
        let to = self.range(site.memory, args[0], args[2])?;
        match site.kind() {
            Kind::Copy(from) => {
                let from = from.unwrap_or(site.memory);
                let range = self.range(from, args[1], args[2])?;
                let bytes = self.memories[from][range].to_vec();
                self.memories[site.memory][to].copy_from_slice(&bytes);
            }
            Kind::Init => {
                let range = within(self.segment.len(), args[1], args[2])?;
                self.memories[site.memory][to].copy_from_slice(&self.segment[range]);
            }
            _ => self.memories[site.memory][to].fill(args[1] as u8),
        }
        Ok(())
    }

    fn grow(&mut self, memory: usize, pages: u128) -> Value {
        let shape = self.shapes[memory];
        let old = self.memories[memory].len() as u128 >> shape.page_log2;
        let grown = old + pages;
        if grown > u128::from(shape.maximum) {
            return self.index(memory, u128::MAX);
        }
        self.memories[memory].resize((grown << shape.page_log2) as usize, 0);
        self.index(memory, old)
    }
}
