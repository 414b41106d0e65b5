//! `bounds`: every access to memory near every edge, against arithmetic.
//!
//! A module has one to three memories of random shape (index type, page size, limits, initial contents) and functions of one
//! access or a few, one after the other: loads, stores, lanes, bulk operations, growth, each with a static offset. They are
//! called with addresses near the length, 2³¹, 2³², 2⁶⁴ and near the wrap of address plus offset, before and after growth;
//! where growth lies between two accesses of one function, the second one mostly is in the new pages. A model of bytes
//! predicts each result, each trap and the whole contents of all memories after it, so that a byte written to a neighbour
//! shows as well. The same engine runs one case after the other. Some cases are rounds: modules that differ in their
//! memories' limits and contents, one after the other in a pool that has a slot for each memory and no more, so that what one
//! leaves in a slot is what the next one gets.
//!
//! Invariant: the model is a `Vec<u8>` per memory and additions in 128 bits; a case of rounds has an engine of its own, so
//! that it shows alone what it shows.
//!
//! Does not know: how memories are mapped.

use super::core::case_of;
use super::{Outcome, Target};
use crate::coverage;
use crate::envelope::{Argument, Envelope, EnvelopeCall, EnvelopeModule};
use crate::source::Source;
use std::collections::BTreeMap;
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, Function, FunctionSection, Instruction, MemArg,
    MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wattest_differential::{
    CONFIGS, Call, Ending, Engine, MemoryState, Run, TrapClass, Value, ValueType, WattestConfig, WattestEngine,
};

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Load { bytes: u64, signed: bool, ty: ValueType },
    Store { bytes: u64, ty: ValueType },
    LoadLane { bytes: u64 },
    StoreLane { bytes: u64 },
    Fill,
    Copy,
    Grow,
    Size,
}

struct Access {
    name: &'static str,
    kind: Kind,
    make: fn(MemArg) -> Instruction<'static>,
}

const fn load(
    name: &'static str,
    bytes: u64,
    signed: bool,
    ty: ValueType,
    make: fn(MemArg) -> Instruction<'static>,
) -> Access {
    Access { name, kind: Kind::Load { bytes, signed, ty }, make }
}

const fn store(name: &'static str, bytes: u64, ty: ValueType, make: fn(MemArg) -> Instruction<'static>) -> Access {
    Access { name, kind: Kind::Store { bytes, ty }, make }
}

use ValueType::{F32, F64, I32, I64, V128};

/// The table of accesses.
const ACCESSES: &[Access] = &[
    load("i32.load8_u", 1, false, I32, Instruction::I32Load8U),
    load("i32.load8_s", 1, true, I32, Instruction::I32Load8S),
    load("i32.load16_u", 2, false, I32, Instruction::I32Load16U),
    load("i32.load16_s", 2, true, I32, Instruction::I32Load16S),
    load("i32.load", 4, false, I32, Instruction::I32Load),
    load("i64.load8_u", 1, false, I64, Instruction::I64Load8U),
    load("i64.load8_s", 1, true, I64, Instruction::I64Load8S),
    load("i64.load16_s", 2, true, I64, Instruction::I64Load16S),
    load("i64.load16_u", 2, false, I64, Instruction::I64Load16U),
    load("i64.load32_s", 4, true, I64, Instruction::I64Load32S),
    load("i64.load32_u", 4, false, I64, Instruction::I64Load32U),
    load("i64.load", 8, false, I64, Instruction::I64Load),
    load("f32.load", 4, false, F32, Instruction::F32Load),
    load("f64.load", 8, false, F64, Instruction::F64Load),
    load("v128.load", 16, false, V128, Instruction::V128Load),
    load("v128.load32_zero", 4, false, V128, Instruction::V128Load32Zero),
    load("v128.load64_zero", 8, false, V128, Instruction::V128Load64Zero),
    store("i32.store8", 1, I32, Instruction::I32Store8),
    store("i32.store16", 2, I32, Instruction::I32Store16),
    store("i32.store", 4, I32, Instruction::I32Store),
    store("i64.store8", 1, I64, Instruction::I64Store8),
    store("i64.store16", 2, I64, Instruction::I64Store16),
    store("i64.store32", 4, I64, Instruction::I64Store32),
    store("i64.store", 8, I64, Instruction::I64Store),
    store("f32.store", 4, F32, Instruction::F32Store),
    store("f64.store", 8, F64, Instruction::F64Store),
    store("v128.store", 16, V128, Instruction::V128Store),
    Access {
        name: "v128.load8_lane",
        kind: Kind::LoadLane { bytes: 1 },
        make: |memarg| Instruction::V128Load8Lane { memarg, lane: 3 },
    },
    Access {
        name: "v128.load64_lane",
        kind: Kind::LoadLane { bytes: 8 },
        make: |memarg| Instruction::V128Load64Lane { memarg, lane: 1 },
    },
    Access {
        name: "v128.store16_lane",
        kind: Kind::StoreLane { bytes: 2 },
        make: |memarg| Instruction::V128Store16Lane { memarg, lane: 5 },
    },
    Access {
        name: "v128.store32_lane",
        kind: Kind::StoreLane { bytes: 4 },
        make: |memarg| Instruction::V128Store32Lane { memarg, lane: 2 },
    },
    Access { name: "memory.fill", kind: Kind::Fill, make: |memarg| Instruction::MemoryFill(memarg.memory_index) },
    Access {
        name: "memory.copy",
        kind: Kind::Copy,
        make: |memarg| Instruction::MemoryCopy { dst_mem: memarg.memory_index, src_mem: memarg.memory_index },
    },
    Access { name: "memory.grow", kind: Kind::Grow, make: |memarg| Instruction::MemoryGrow(memarg.memory_index) },
    Access { name: "memory.size", kind: Kind::Size, make: |memarg| Instruction::MemorySize(memarg.memory_index) },
];

/// Where growth is among them.
const GROW: usize = ACCESSES.len() - 2;

/// Which lane the lane accesses above name.
fn lane_of(name: &str) -> usize {
    match name {
        "v128.load8_lane" => 3,
        "v128.load64_lane" => 1,
        "v128.store16_lane" => 5,
        _ => 2,
    }
}

/// A memory's shape.
#[derive(Clone, Copy, Debug)]
struct Shape {
    wide: bool,
    page_log2: u32,
    minimum: u64,
    maximum: u64,
}

impl Shape {
    fn bytes(&self) -> u64 {
        self.minimum << self.page_log2
    }
}

/// An access to a memory with a static offset.
#[derive(Clone, Copy, Debug)]
struct Site {
    access: usize,
    memory: usize,
    offset: u64,
}

impl Site {
    fn kind(&self) -> Kind {
        ACCESSES[self.access].kind
    }
}

/// A function: its accesses one after the other, with the parameters and the results of each behind those of the one before.
type Line = Vec<Site>;

/// Most accesses of a function.
const LINE_MAX: usize = 4;

/// A part of a memory's initial contents: bytes drawn from a seed.
#[derive(Clone, Copy, Debug)]
struct Piece {
    memory: usize,
    start: u64,
    length: u64,
    seed: u64,
}

impl Piece {
    fn bytes(&self) -> Vec<u8> {
        (0..self.length).map(|at| ((self.seed ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
    }
}

/// Most bytes of a module's initial contents.
const PIECES_BYTES_MAX: u64 = 1 << 18;

/// Above so many bytes a memory's initial contents are mapped, not copied.
const MAPPED_BYTES: u64 = 4096;

/// The memories of one module.
#[derive(Clone, Debug)]
struct Round {
    shapes: Vec<Shape>,
    pieces: Vec<Piece>,
}

/// Most modules that follow one another.
const ROUNDS_MAX: usize = 4;

/// Most memories of a module.
const MEMORIES_MAX: usize = 3;

const fn slots(name: &'static str, options: &'static [(&'static str, &'static str)]) -> WattestConfig {
    WattestConfig { name, share: 0, options, round_trip: false }
}

/// Pools that have no slot to spare, by their number of slots, in several ways to reset them.
const SLOTS: [[WattestConfig; MEMORIES_MAX]; 3] = [
    [
        slots("1 slot", &[("allocation", "pooling"), ("pooling-memories", "1")]),
        slots("2 slots", &[("allocation", "pooling"), ("pooling-memories", "2")]),
        slots("3 slots", &[("allocation", "pooling"), ("pooling-memories", "3")]),
    ],
    [
        slots(
            "1 resident slot",
            &[("allocation", "pooling"), ("pooling-memories", "1"), ("pooling-keep-resident", "16384")],
        ),
        slots(
            "2 resident slots",
            &[("allocation", "pooling"), ("pooling-memories", "2"), ("pooling-keep-resident", "16384")],
        ),
        slots(
            "3 resident slots",
            &[("allocation", "pooling"), ("pooling-memories", "3"), ("pooling-keep-resident", "16384")],
        ),
    ],
    [
        slots("1 slot, checked", &[("allocation", "pooling"), ("pooling-memories", "1"), ("explicit-bounds", "true")]),
        slots("2 slots, checked", &[("allocation", "pooling"), ("pooling-memories", "2"), ("explicit-bounds", "true")]),
        slots("3 slots, checked", &[("allocation", "pooling"), ("pooling-memories", "3"), ("explicit-bounds", "true")]),
    ],
];

/// The target.
#[derive(Default)]
pub(super) struct Bounds {
    engines: BTreeMap<usize, WattestEngine>,
}

fn shapes(source: &mut Source<'_>) -> Vec<Shape> {
    let count = source.between(1, MEMORIES_MAX);
    (0..count)
        .map(|_| {
            let shape = limits(source);
            Shape { wide: source.percent(40), ..shape }
        })
        .collect()
}

/// Limits of a memory.
fn limits(source: &mut Source<'_>) -> Shape {
    let page_log2 = if source.percent(20) { 0 } else { 16 };
    // Pages of one byte make lengths that are no multiple of anything.
    let minimum = if page_log2 == 0 { u64::from(source.u32() % 70_000) } else { source.below(3) as u64 };
    let maximum = minimum + if page_log2 == 0 { source.below(5000) as u64 } else { source.below(3) as u64 };
    Shape { wide: false, page_log2, minimum, maximum }
}

/// The same memories in another module: what code needs to know of them is the same.
fn again(source: &mut Source<'_>, shapes: &[Shape]) -> Vec<Shape> {
    let other = |shape: &Shape, source: &mut Source<'_>| match source.below(4) {
        0 => Shape { wide: shape.wide, ..limits(source) },
        1 => Shape { minimum: shape.minimum.min(1), ..*shape },
        _ => *shape,
    };
    shapes.iter().map(|shape| other(shape, source)).collect()
}

/// Initial contents of some of the memories; with `mapped`, of the most that have room for it, and enough to be mapped.
fn pieces(source: &mut Source<'_>, shapes: &[Shape], mapped: bool) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (memory, shape) in shapes.iter().enumerate() {
        if !source.percent(if mapped { 90 } else { 15 }) {
            continue;
        }
        let length = match source.below(8) {
            0 if !mapped => source.below(100) as u64,
            0 | 1 => MAPPED_BYTES + source.below(3) as u64 - 1,
            2..=4 => MAPPED_BYTES + source.below(8192) as u64,
            5 => 5 * MAPPED_BYTES,
            _ => source.pick(&[40_000, 65_535, 65_536, 65_537]),
        };
        let length = length.min(shape.bytes());
        let room = shape.bytes() - length;
        let start = match source.below(6) {
            0..=2 => 0,
            3 => room,
            4 => MAPPED_BYTES,
            _ => u64::from(source.u32()) % (room + 1),
        };
        pieces.push(Piece { memory, start: start.min(room), length, seed: source.u32().into() });
        if length > 100 && source.percent(20) {
            // Over a part of the other.
            let start = start.min(room) + length / 2;
            pieces.push(Piece { memory, start, length: (shape.bytes() - start).min(50), seed: 1 });
        }
    }
    pieces
}

/// What a function does: mostly one access, else a few, often with growth between two of the same memory.
fn line(source: &mut Source<'_>, shapes: &[Shape]) -> Line {
    let site = |source: &mut Source<'_>, memory: usize| {
        let access = source.below(ACCESSES.len());
        Site { access, memory, offset: offset(source, shapes[memory]) }
    };
    let memory = source.below(shapes.len());
    let first = site(source, memory);
    match source.below(10) {
        0..=5 => vec![first],
        6..=8 => {
            // Where the second access is allowed must not be what was loaded for the first one.
            let grow = Site { access: GROW, memory, offset: 0 };
            let second = site(source, memory);
            let near = |source: &mut Source<'_>, site: Site| {
                if source.percent(60) { Site { offset: source.below(24) as u64, ..site } } else { site }
            };
            vec![near(source, first), grow, near(source, second)]
        }
        _ => {
            let mut line = vec![first];
            for _ in 1..source.between(2, LINE_MAX) {
                let other = if source.percent(30) { source.below(shapes.len()) } else { memory };
                line.push(site(source, other));
            }
            line
        }
    }
}

fn offset(source: &mut Source<'_>, shape: Shape) -> u64 {
    let length = shape.bytes();
    let near = |source: &mut Source<'_>, at: u64| at.wrapping_add(source.below(40) as u64).wrapping_sub(20);
    let wide = match source.below(10) {
        0..=3 => source.below(24) as u64,
        4 | 5 => near(source, length),
        6 => near(source, 1 << 31),
        7 => u64::from(u32::MAX) - source.below(24) as u64,
        8 => near(source, 32 << 20),
        _ if shape.wide => u64::MAX - source.below(24) as u64,
        _ => near(source, 65_536),
    };
    if shape.wide { wide } else { wide & u64::from(u32::MAX) }
}

/// An address at which something happens to an access of a few bytes at `offset`.
fn address(source: &mut Source<'_>, shape: Shape, offset: u64, length: u64) -> u64 {
    let edge = match source.below(12) {
        0..=4 => length.wrapping_sub(offset),
        5 => 0,
        6 => length,
        7 => 1 << 31,
        8 => 1 << 32,
        9 => 0u64.wrapping_sub(offset),
        10 => (shape.maximum << shape.page_log2).wrapping_sub(offset),
        _ => source.u64(),
    };
    edge.wrapping_add(source.below(40) as u64).wrapping_sub(20)
}

fn signature(kind: Kind, index: ValType) -> (Vec<ValType>, Vec<ValType>) {
    let own = crate::generate::val_type;
    match kind {
        Kind::Load { ty, .. } => (vec![index], vec![own(ty)]),
        Kind::Store { ty, .. } => (vec![index, own(ty)], vec![]),
        Kind::LoadLane { .. } => (vec![index, ValType::V128], vec![ValType::V128]),
        Kind::StoreLane { .. } => (vec![index, ValType::V128], vec![]),
        Kind::Fill => (vec![index, ValType::I32, index], vec![]),
        Kind::Copy => (vec![index, index, index], vec![]),
        Kind::Grow => (vec![index], vec![index]),
        Kind::Size => (vec![], vec![index]),
    }
}

fn module(round: &Round, lines: &[Line]) -> Vec<u8> {
    let (mut types, mut functions, mut memories) = (TypeSection::new(), FunctionSection::new(), MemorySection::new());
    let (mut exports, mut code, mut data) = (ExportSection::new(), CodeSection::new(), DataSection::new());
    for shape in &round.shapes {
        memories.memory(MemoryType {
            minimum: shape.minimum,
            maximum: Some(shape.maximum),
            memory64: shape.wide,
            shared: false,
            page_size_log2: (shape.page_log2 != 16).then_some(shape.page_log2),
        });
    }
    for (position, line) in lines.iter().enumerate() {
        let (mut params, mut results) = (Vec::new(), Vec::new());
        let mut body = Function::new([]);
        for site in line {
            let index = if round.shapes[site.memory].wide { ValType::I64 } else { ValType::I32 };
            let (own, given) = signature(site.kind(), index);
            (0..own.len()).for_each(|local| {
                body.instruction(&Instruction::LocalGet((params.len() + local) as u32));
            });
            let memarg = MemArg { offset: site.offset, align: 0, memory_index: site.memory as u32 };
            body.instruction(&(ACCESSES[site.access].make)(memarg));
            params.extend(own);
            results.extend(given);
        }
        body.instruction(&Instruction::End);
        types.ty().function(params, results);
        functions.function(position as u32);
        exports.export(&format!("f{position}"), ExportKind::Func, position as u32);
        code.function(&body);
    }
    for piece in &round.pieces {
        let wide = round.shapes[piece.memory].wide;
        let start =
            if wide { ConstExpr::i64_const(piece.start as i64) } else { ConstExpr::i32_const(piece.start as i32) };
        data.active(piece.memory as u32, &start, piece.bytes());
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
    if !round.pieces.is_empty() {
        module.section(&data);
    }
    module.finish()
}

/// The memories as they should be.
struct Model {
    shapes: Vec<Shape>,
    memories: Vec<Vec<u8>>,
}

const OUTSIDE: Ending = Ending::Trap(TrapClass::MemoryOutOfBounds);

fn bits_of(value: Value) -> u128 {
    match value {
        Value::I32(bits) | Value::F32(bits) => bits.into(),
        Value::I64(bits) | Value::F64(bits) => bits.into(),
        Value::V128(bits) => bits,
        Value::Func(_) | Value::Extern(_) => 0,
    }
}

fn value_of(ty: ValueType, bits: u128) -> Value {
    match ty {
        I32 => Value::I32(bits as u32),
        I64 => Value::I64(bits as u64),
        F32 => Value::F32(bits as u32),
        F64 => Value::F64(bits as u64),
        _ => Value::V128(bits),
    }
}

impl Model {
    /// The memories of a new instance.
    fn new(round: &Round) -> Model {
        let zeros = |shape: &Shape| vec![0; shape.bytes() as usize];
        let mut model = Model { memories: round.shapes.iter().map(zeros).collect(), shapes: round.shapes.clone() };
        for piece in &round.pieces {
            let range = piece.start as usize..(piece.start + piece.length) as usize;
            model.memories[piece.memory][range].copy_from_slice(&piece.bytes());
        }
        model
    }

    fn range(&self, memory: usize, address: u128, bytes: u128) -> Option<std::ops::Range<usize>> {
        let end = address + bytes;
        (end <= self.memories[memory].len() as u128).then_some(address as usize..end as usize)
    }

    fn read(&self, memory: usize, range: std::ops::Range<usize>) -> u128 {
        self.memories[memory][range].iter().rev().fold(0, |bits, byte| bits << 8 | u128::from(*byte))
    }

    fn index(&self, memory: usize, bits: u128) -> Value {
        value_of(if self.shapes[memory].wide { I64 } else { I32 }, bits)
    }

    /// Does what the function should do: up to the first access that traps.
    fn call(&mut self, line: &Line, args: &[u128]) -> Ending {
        let (mut all, mut left) = (Vec::new(), args);
        for site in line {
            let (params, _) = signature(site.kind(), ValType::I64);
            let (own, rest) = left.split_at(params.len());
            match self.access(*site, own) {
                Ending::Values(values) => all.extend(values),
                trap @ Ending::Trap(_) => return trap,
            }
            left = rest;
        }
        Ending::Values(all)
    }

    /// Does what an access should do.
    fn access(&mut self, site: Site, args: &[u128]) -> Ending {
        let (memory, access) = (site.memory, &ACCESSES[site.access]);
        let at = |bytes: u64| self.range(memory, args[0] + u128::from(site.offset), bytes.into());
        let nothing = Ending::Values(Vec::new());
        match access.kind {
            Kind::Load { bytes, signed, ty } => {
                let Some(range) = at(bytes) else { return OUTSIDE };
                let mut bits = self.read(memory, range);
                let top = bytes * 8;
                if signed && bits >> (top - 1) & 1 == 1 {
                    bits |= !0u128 << top;
                }
                Ending::Values(vec![value_of(ty, bits)])
            }
            Kind::Store { bytes, .. } => {
                let Some(range) = at(bytes) else { return OUTSIDE };
                let value = args[1].to_le_bytes();
                self.memories[memory][range].copy_from_slice(&value[..bytes as usize]);
                nothing
            }
            Kind::LoadLane { bytes } => {
                let Some(range) = at(bytes) else { return OUTSIDE };
                let mut vector = args[1].to_le_bytes();
                let first = lane_of(access.name) * bytes as usize;
                vector[first..first + bytes as usize].copy_from_slice(&self.memories[memory][range]);
                Ending::Values(vec![Value::V128(u128::from_le_bytes(vector))])
            }
            Kind::StoreLane { bytes } => {
                let Some(range) = at(bytes) else { return OUTSIDE };
                let vector = args[1].to_le_bytes();
                let first = lane_of(access.name) * bytes as usize;
                self.memories[memory][range].copy_from_slice(&vector[first..first + bytes as usize]);
                nothing
            }
            Kind::Fill => {
                let Some(range) = self.range(memory, args[0], args[2]) else { return OUTSIDE };
                self.memories[memory][range].fill(args[1] as u8);
                nothing
            }
            Kind::Copy => {
                let (to, from) = (self.range(memory, args[0], args[2]), self.range(memory, args[1], args[2]));
                let (Some(to), Some(from)) = (to, from) else { return OUTSIDE };
                self.memories[memory].copy_within(from, to.start);
                nothing
            }
            Kind::Grow => {
                let shape = self.shapes[memory];
                let old = self.memories[memory].len() as u128 >> shape.page_log2;
                let refused = if shape.wide { u128::from(u64::MAX) } else { u128::from(u32::MAX) };
                let grown = old + args[0];
                if grown > u128::from(shape.maximum) {
                    return Ending::Values(vec![self.index(memory, refused)]);
                }
                self.memories[memory].resize((grown << shape.page_log2) as usize, 0);
                Ending::Values(vec![self.index(memory, old)])
            }
            Kind::Size => {
                let pages = self.memories[memory].len() as u128 >> self.shapes[memory].page_log2;
                Ending::Values(vec![self.index(memory, pages)])
            }
        }
    }
}

/// A case, read.
struct Parts {
    rounds: Vec<Round>,
    lines: Vec<Line>,
    /// The row of [`SLOTS`] that rounds run in.
    slots: usize,
}

fn joined<T>(items: &[T], between: &str, print: impl Fn(&T) -> String) -> String {
    items.iter().map(print).collect::<Vec<_>>().join(between)
}

fn print_shape(shape: &Shape) -> String {
    format!("{},{},{},{}", u8::from(shape.wide), shape.page_log2, shape.minimum, shape.maximum)
}

fn print_line(line: &Line) -> String {
    joined(line, "+", |site| format!("{},{},{}", site.access, site.memory, site.offset))
}

fn print_piece(piece: &Piece) -> String {
    format!("{},{},{},{}", piece.memory, piece.start, piece.length, piece.seed)
}

fn numbers(text: &str) -> Option<Vec<u64>> {
    text.split(',').map(|word| word.parse().ok()).collect()
}

fn shapes_of(text: &str) -> Option<Vec<Shape>> {
    let shape = |text: &str| match numbers(text)?.as_slice() {
        &[wide, page_log2 @ (0 | 16), minimum, maximum] => {
            let small = minimum <= maximum && maximum <= (1 << 20) >> page_log2;
            small.then_some(Shape { wide: wide == 1, page_log2: page_log2 as u32, minimum, maximum })
        }
        _ => None,
    };
    text.split(';').map(shape).collect()
}

fn lines_of(text: &str, memories: usize) -> Option<Vec<Line>> {
    let site = |text: &str| match numbers(text)?.as_slice() {
        &[access, memory, offset] => {
            let known = (access as usize) < ACCESSES.len() && (memory as usize) < memories;
            known.then_some(Site { access: access as usize, memory: memory as usize, offset })
        }
        _ => None,
    };
    let line = |text: &str| {
        let line: Line = text.split('+').map(site).collect::<Option<_>>()?;
        (line.len() <= LINE_MAX).then_some(line)
    };
    text.split(';').map(line).collect()
}

fn pieces_of(text: &str, shapes: &[Shape]) -> Option<Vec<Piece>> {
    let piece = |text: &str| match numbers(text)?.as_slice() {
        &[memory, start, length, seed] => {
            let shape = shapes.get(memory as usize)?;
            let fits = start.checked_add(length)? <= shape.bytes();
            fits.then_some(Piece { memory: memory as usize, start, length, seed })
        }
        _ => None,
    };
    let pieces: Vec<Piece> = text.split(';').filter(|text| !text.is_empty()).map(piece).collect::<Option<_>>()?;
    (pieces.iter().map(|piece| piece.length).sum::<u64>() <= PIECES_BYTES_MAX).then_some(pieces)
}

impl Parts {
    /// What a case means; without initial contents and rounds, all there was once, it says neither.
    fn of(case: &Envelope) -> Option<Parts> {
        let mut data = case.get("data").unwrap_or_default().split('|');
        let round = |text: &str| {
            let shapes = shapes_of(text)?;
            let pieces = pieces_of(data.next().unwrap_or_default(), &shapes)?;
            Some(Round { shapes, pieces })
        };
        let rounds: Vec<Round> = case.get("memories")?.split('|').map(round).collect::<Option<_>>()?;
        // Calls fit the index types of all.
        let kinds = |round: &Round| round.shapes.iter().map(|shape| shape.wide).collect::<Vec<_>>();
        let same = rounds.iter().all(|round| kinds(round) == kinds(&rounds[0]));
        let memories = rounds[0].shapes.len();
        let fits = rounds.len() == 1 || rounds.len() <= ROUNDS_MAX && memories <= MEMORIES_MAX;
        let lines = lines_of(case.get("sites")?, memories)?;
        let slots = case.number("slots", 0) as usize % SLOTS.len();
        (same && fits).then_some(Parts { rounds, lines, slots })
    }
}

/// The argument of a parameter of an access: of the parameter `place`, whose type is `param` where indices are i64.
fn argument(
    source: &mut Source<'_>,
    (site, shape): (Site, Shape),
    (place, param): (usize, ValType),
    (length, before): (u64, Option<u64>),
) -> u64 {
    let is_size = matches!(site.kind(), Kind::Fill | Kind::Copy) && place == 2;
    match param {
        _ if site.kind() == Kind::Grow && shape.page_log2 == 0 => source.below(3000) as u64,
        _ if site.kind() == Kind::Grow => source.pick(&[0, 1, 1, 2, 3]),
        _ if is_size && source.percent(70) => source.below(300) as u64,
        // Where the access before was.
        ValType::I64 if place == 0 && before.is_some() && source.percent(25) => {
            before.unwrap_or_default().wrapping_sub(site.offset)
        }
        ValType::I64 => address(source, shape, site.offset, length),
        _ => source.u64(),
    }
}

/// Arguments of a function, where memories have these lengths by now, as far as anybody can tell without running it.
fn arguments(source: &mut Source<'_>, line: &Line, shapes: &[Shape], lengths: &mut [u64]) -> Vec<Argument> {
    let (mut args, mut before) = (Vec::new(), None);
    for site in line {
        let (shape, kind) = (shapes[site.memory], site.kind());
        let (params, _) = signature(kind, ValType::I64);
        for (place, param) in params.iter().enumerate() {
            let known = if source.percent(80) { lengths[site.memory] } else { shape.bytes() };
            let bits = argument(source, (*site, shape), (place, *param), (known, before));
            let own = match (param, kind, shape.wide) {
                (ValType::I64, Kind::Store { ty: I64, .. }, _) if place == 1 => Value::I64(bits),
                (ValType::I64, _, true) => Value::I64(bits),
                (ValType::I64 | ValType::I32, ..) => Value::I32(bits as u32),
                (ValType::F32, ..) => Value::F32(bits as u32),
                (ValType::F64, ..) => Value::F64(bits),
                _ => Value::V128(u128::from(bits) << 64 | u128::from(source.u64())),
            };
            args.push(Argument::Value(own));
            let grown = lengths[site.memory].saturating_add(bits.saturating_mul(1 << shape.page_log2));
            if kind == Kind::Grow && grown <= shape.maximum << shape.page_log2 {
                lengths[site.memory] = grown;
            } else if place == 0 {
                before = Some(bits.wrapping_add(site.offset));
            }
        }
    }
    args
}

impl Target for Bounds {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let subject = source.below(CONFIGS.len());
        let shapes = shapes(&mut source);
        let mut lines: Vec<Line> = (0..source.between(6, 24)).map(|_| line(&mut source, &shapes)).collect();
        // Growth is wanted in every case.
        lines.push(vec![Site { access: GROW, memory: source.below(shapes.len()), offset: 0 }]);
        let several = source.percent(20);
        let first = Round { pieces: pieces(&mut source, &shapes, several), shapes };
        let mut rounds = vec![first];
        for _ in 0..if several { source.between(1, 2) } else { 0 } {
            let shapes = again(&mut source, &rounds[0].shapes);
            rounds.push(Round { pieces: pieces(&mut source, &shapes, true), shapes });
        }
        let slots = source.below(SLOTS.len());
        let mut lengths: Vec<u64> = rounds[0].shapes.iter().map(Shape::bytes).collect();
        let mut case = Envelope::new("bounds")
            .set("subject", subject)
            .set("memories", joined(&rounds, "|", |round| joined(&round.shapes, ";", print_shape)))
            .set("sites", joined(&lines, ";", print_line));
        if rounds.iter().any(|round| !round.pieces.is_empty()) {
            case = case.set("data", joined(&rounds, "|", |round| joined(&round.pieces, ";", print_piece)));
        }
        if several {
            case = case.set("slots", slots);
        }
        for _ in 0..source.between(20, if several { 50 } else { 120 }) {
            let position = source.below(lines.len());
            let args = arguments(&mut source, &lines[position], &rounds[0].shapes, &mut lengths);
            case.calls.push(EnvelopeCall { module: 0, func: position.to_string(), args });
        }
        // Who looks at one module only, looks at the last one.
        for (number, round) in rounds.iter().enumerate().rev() {
            let name = if number + 1 == rounds.len() { "main".to_owned() } else { format!("round-{number}") };
            case = case.module(&name, module(round, &lines));
        }
        Some(case)
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let Some(parts) = Parts::of(case) else { return Outcome::default() };
        let mut outcome = Outcome { useful: true, ..Outcome::default() };
        if let [round] = parts.rounds.as_slice() {
            let row = case.number("subject", 0) as usize % CONFIGS.len();
            let engine = self.engines.entry(row).or_insert_with(|| WattestEngine::new(row));
            return check_round(engine, case, round, &parts.lines, &mut outcome).map_or(outcome, |failed| failed);
        }
        let mut engine = WattestEngine::of(&SLOTS[parts.slots][parts.rounds[0].shapes.len() - 1]);
        for (number, round) in parts.rounds.iter().enumerate() {
            if let Some(mut failed) = check_round(&mut engine, case, round, &parts.lines, &mut outcome) {
                if let Some((found, _)) = &mut failed.disagreement {
                    found.what = format!("round {number}, {}", found.what);
                }
                return failed;
            }
        }
        outcome
    }
}

/// Runs one module; what went wrong, if anything did.
fn check_round(
    engine: &mut WattestEngine,
    case: &Envelope,
    round: &Round,
    lines: &[Line],
    outcome: &mut Outcome,
) -> Option<Outcome> {
    // The module is a function of memories and sites: a mutated one would not be what the model predicts.
    let mut same = case.clone();
    same.modules = vec![EnvelopeModule { name: "main".to_owned(), bytes: module(round, lines) }];
    let core = case_of(&same)?;
    let name = engine.name();
    let run = match engine.run(&core.program, &core.recipe.plan) {
        Ok(run) => run,
        Err(refusal) => return Some(Outcome::failed(&name, refusal.to_string())),
    };
    outcome.checks += run.steps.len() as u64;
    outcome.poison.extend(run.stopped.map(|poison| format!("subject: {poison}")));
    for site in core.recipe.plan.calls.iter().flat_map(|call| &lines[call.func as usize]) {
        let shape = round.shapes[site.memory];
        let name = coverage::operator_name(ACCESSES[site.access].name);
        let kinds = [(shape.wide, coverage::MEMORY64), (shape.page_log2 == 0, coverage::CUSTOM_PAGES)];
        let kinds = kinds.into_iter().filter(|(is_kind, _)| *is_kind).map(|(_, kind)| kind.to_owned());
        for name in kinds.chain([name]) {
            *outcome.operations.entry(name).or_default() += 1;
        }
    }
    let what = judge(&run, &mut Model::new(round), lines, &core.recipe.plan.calls)?;
    Some(Outcome::failed(&name, what))
}

/// The first step that the model does not predict.
fn judge(run: &Run, model: &mut Model, lines: &[Line], calls: &[Call]) -> Option<String> {
    for (step, seen) in run.steps.iter().enumerate() {
        let mut place = "instantiation".to_owned();
        if let Some(call) = step.checked_sub(1).and_then(|index| calls.get(index)) {
            let line = &lines[call.func as usize];
            let args: Vec<u128> = call.args.iter().map(|value| bits_of(*value)).collect();
            let expected = model.call(line, &args);
            let print = |site: &Site| {
                format!("{} offset={} of memory {}", ACCESSES[site.access].name, site.offset, site.memory)
            };
            place = format!("call {step}: {} with {:x?}", joined(line, ", ", print), call.args);
            if expected != seen.ending {
                return Some(format!("{place}: {expected:x?} expected, {:x?} seen", seen.ending));
            }
        }
        for (index, bytes) in model.memories.iter().enumerate() {
            if seen.state.memories.get(index) != Some(&MemoryState::of(bytes)) {
                return Some(format!("{place}: contents of memory {index} differ from the model"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{case_seed, expand};

    /// A case with these settings and calls of its first function does as the model says: the endings that it gives.
    fn check(settings: &[(&str, &str)], calls: &[&[Value]], expected: &[&str]) {
        let mut case = settings.iter().fold(Envelope::new("bounds"), |case, (name, value)| case.set(name, value));
        for args in calls {
            let args = args.iter().map(|value| Argument::Value(*value)).collect();
            case.calls.push(EnvelopeCall { module: 0, func: "0".to_owned(), args });
        }
        let parts = Parts::of(&case).expect("a case");
        let mut model = Model::new(&parts.rounds[0]);
        let bits = |args: &&[Value]| args.iter().map(|value| bits_of(*value)).collect::<Vec<_>>();
        let predicted: Vec<String> =
            calls.iter().map(|args| format!("{:?}", model.call(&parts.lines[0], &bits(args)))).collect();
        assert_eq!(predicted, expected, "the model");
        for row in 0..CONFIGS.len() {
            let outcome = Bounds::default().run(&case.clone().set("subject", row));
            assert_eq!((outcome.disagreement, outcome.checks), (None, (calls.len() + 1) as u64), "row {row}");
        }
    }

    #[test]
    fn growth_is_seen_by_what_follows_it() {
        // i32.load, memory.grow, i32.load of one memory.
        let line = ("sites", "4,0,0+33,0,0+4,0,0");
        let outside = format!("{OUTSIDE:?}");
        check(
            &[("memories", "0,16,1,3"), line],
            &[
                &[Value::I32(0), Value::I32(1), Value::I32(131_068)],
                &[Value::I32(0), Value::I32(1), Value::I32(196_609)],
                &[Value::I32(0), Value::I32(0), Value::I32(131_072)],
            ],
            &["Values([I32(0), I32(1), I32(0)])", &outside, "Values([I32(0), I32(3), I32(0)])"],
        );
    }

    #[test]
    fn contents_are_those_of_the_round() {
        let mut targets = Bounds::default();
        for slots in 0..SLOTS.len() {
            let case = Envelope::new("bounds")
                .set("memories", "0,16,1,1|0,16,1,1|0,16,2,2")
                .set("data", "0,0,65536,7|0,8192,5000,9|")
                .set("sites", "4,0,0")
                .set("slots", slots);
            let outcome = targets.run(&case);
            assert_eq!((outcome.disagreement, outcome.checks), (None, 3), "{slots}");
        }
    }

    #[test]
    fn cases_have_lines_and_rounds() {
        let (mut grown, mut rounds, mut mapped) = (0, 0, 0);
        for index in 0..200 {
            let case = Bounds::default().generate(&expand(case_seed(3, index))).expect("a case");
            let parts = Parts::of(&case).expect("what is written reads back");
            let is_grown = |line: &Line| line.iter().skip(1).any(|site| site.access == GROW);
            grown += parts.lines.iter().filter(|line| is_grown(line)).count();
            rounds += usize::from(parts.rounds.len() > 1);
            let is_mapped = |round: &Round| round.pieces.iter().any(|piece| piece.length > MAPPED_BYTES);
            mapped += usize::from(parts.rounds.iter().filter(|round| is_mapped(round)).count() > 1);
        }
        assert!(grown > 400 && rounds > 20 && mapped > 12, "{grown} lines, {rounds} rounds, {mapped} mapped");
    }
}
