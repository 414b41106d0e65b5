//! `bounds`: every access to memory near every edge, against arithmetic.
//!
//! A module has one to three memories of random shape (index type, page size, limits, initial contents) and functions of one
//! access or a few, one after the other: loads, stores, lanes, atomic and bulk operations, growth, each with a static offset.
//! They are called with addresses near the length, 2³¹, 2³², 2⁶⁴ and near the wrap of address plus offset, before and after
//! growth; where growth lies between two accesses of one function, the second one mostly is in the new pages. A model of bytes
//! predicts each result, each trap and the whole contents of all memories after it, so that a byte written to a neighbour
//! shows as well. The same engine runs one case after the other. Some cases are rounds: modules that differ in their
//! memories' limits and contents, one after the other in a pool that has a slot for each memory and no more, so that what one
//! leaves in a slot is what the next one gets.
//!
//! Invariant: the model is a `Vec<u8>` per memory and additions in 128 bits; a case of rounds has an engine of its own, so
//! that it shows alone what it shows.
//!
//! Does not know: how memories are mapped.

mod access;
mod model;

use super::core::case_of;
use super::{Outcome, Target};
use crate::coverage;
use crate::envelope::{Argument, Envelope, EnvelopeCall, EnvelopeModule};
use crate::source::Source;
use access::{Accesses, Kind, Operand, Site};
use model::{Model, bits_of, value_of};
use std::collections::BTreeMap;
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ExportKind, ExportSection, Function, FunctionSection,
    Instruction, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wattest_differential::{CONFIGS, Call, Engine, MemoryState, Run, Value, ValueType, WattestConfig, WattestEngine};

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

/// Bytes drawn from a seed.
fn drawn(seed: u64, length: u64) -> Vec<u8> {
    (0..length).map(|at| ((seed ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

impl Piece {
    fn bytes(&self) -> Vec<u8> {
        drawn(self.seed, self.length)
    }
}

/// Bytes of the segment that memories are initialized from by functions.
const SEGMENT_BYTES: u64 = 200;

/// That segment.
fn segment() -> Vec<u8> {
    drawn(0x5e6, SEGMENT_BYTES)
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
        let access = Accesses::get().draw(source, shapes.len());
        Site { access, memory, offset: offset(source, shapes[memory]) }
    };
    let memory = source.below(shapes.len());
    let first = site(source, memory);
    match source.below(10) {
        0..=5 => vec![first],
        6..=8 => {
            // Where the second access is allowed must not be what was loaded for the first one.
            let grow = Site { access: Accesses::get().grow, memory, offset: 0 };
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

fn module(round: &Round, lines: &[Line]) -> Vec<u8> {
    let (mut types, mut functions, mut memories) = (TypeSection::new(), FunctionSection::new(), MemorySection::new());
    let (mut exports, mut code, mut data) = (ExportSection::new(), CodeSection::new(), DataSection::new());
    let segment_index = round.pieces.len() as u32;
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
            for operand in site.operands(&round.shapes) {
                body.instruction(&Instruction::LocalGet(params.len() as u32));
                params.push(operand.ty(&round.shapes));
            }
            body.instruction(&site.instruction(segment_index));
            results.extend(site.result(&round.shapes));
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
    module.section(&types).section(&functions).section(&memories).section(&exports);
    if lines.iter().flatten().any(|site| matches!(site.kind(), Kind::Init | Kind::Drop)) {
        module.section(&DataCountSection { count: segment_index + 1 });
        data.passive(segment());
    }
    module.section(&code);
    if !data.is_empty() {
        module.section(&data);
    }
    module.finish()
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
    joined(line, "+", |site| format!("{},{},{}", site.access().name, site.memory, site.offset))
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

fn lines_of(text: &str, shapes: &[Shape]) -> Option<Vec<Line>> {
    let site = |text: &str| {
        let (access, place) = text.split_once(',')?;
        let &[memory, offset] = numbers(place)?.as_slice() else { return None };
        let site = Site { access: Accesses::get().find(access)?, memory: memory as usize, offset };
        let from = if let Kind::Copy(Some(from)) = site.kind() { from } else { site.memory };
        let shape = shapes.get(site.memory).filter(|_| from < shapes.len())?;
        (shape.wide || offset <= u64::from(u32::MAX)).then_some(site)
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
        let shapes = &rounds[0].shapes;
        let fits = rounds.len() == 1 || rounds.len() <= ROUNDS_MAX && shapes.len() <= MEMORIES_MAX;
        let lines = lines_of(case.get("sites")?, shapes)?;
        let slots = case.number("slots", 0) as usize % SLOTS.len();
        (same && fits).then_some(Parts { rounds, lines, slots })
    }
}

/// What is known of memories while arguments are drawn.
struct Known<'a> {
    shapes: &'a [Shape],
    /// Lengths by now, as far as anybody can tell without running it.
    lengths: &'a mut [u64],
    /// Where the access before was.
    before: Option<u64>,
}

/// Pages to grow by, more than there can be among them.
fn pages(source: &mut Source<'_>, shape: Shape) -> u64 {
    match source.below(10) {
        0 => source.pick(&[1 << 32, (1 << 32) + 1, 1 << 31, 1 << 48, u64::MAX, 65_536, u64::MAX << 32]),
        _ if shape.page_log2 == 0 => source.below(3000) as u64,
        _ => source.pick(&[0, 1, 1, 2, 3]),
    }
}

impl Known<'_> {
    /// An address for an access.
    fn address(&self, source: &mut Source<'_>, site: Site, memory: usize) -> u64 {
        let shape = self.shapes[memory];
        let length = if source.percent(80) { self.lengths[memory] } else { shape.bytes() };
        let at = match self.before {
            Some(before) if source.percent(25) => before.wrapping_sub(site.offset),
            _ => address(source, shape, site.offset, length),
        };
        // Atomic accesses beyond an edge are told from unaligned ones.
        let wrong = at.wrapping_add(site.offset) % site.alignment();
        if source.percent(75) { at.wrapping_sub(wrong) } else { at }
    }

    /// The argument of an operand.
    fn argument(&mut self, source: &mut Source<'_>, site: Site, operand: Operand) -> Value {
        let bits = match operand {
            Operand::Address(memory) => self.address(source, site, memory),
            Operand::Bytes(_) if source.percent(70) => source.below(300) as u64,
            Operand::Bytes(_) => address(source, self.shapes[site.memory], 0, self.lengths[site.memory]),
            Operand::Pages(memory) => pages(source, self.shapes[memory]),
            Operand::Place if source.percent(80) => source.below(SEGMENT_BYTES as usize + 8) as u64,
            Operand::Place | Operand::Value(_) => source.u64(),
        };
        let own = match operand.ty(self.shapes) {
            ValType::I32 => Value::I32(bits as u32),
            ValType::I64 => Value::I64(bits),
            ValType::F32 => Value::F32(bits as u32),
            ValType::F64 => Value::F64(bits),
            _ => value_of(ValueType::V128, u128::from(bits) << 64 | u128::from(source.u64())),
        };
        let bits = bits_of(own) as u64;
        match operand {
            Operand::Pages(memory) => {
                let shape = self.shapes[memory];
                let grown = self.lengths[memory].saturating_add(bits.saturating_mul(1 << shape.page_log2));
                if grown <= shape.maximum << shape.page_log2 {
                    self.lengths[memory] = grown;
                }
            }
            Operand::Address(memory) if memory == site.memory => self.before = Some(bits.wrapping_add(site.offset)),
            _ => {}
        }
        own
    }
}

/// Arguments of a function.
fn arguments(source: &mut Source<'_>, line: &Line, shapes: &[Shape], lengths: &mut [u64]) -> Vec<Argument> {
    let mut known = Known { shapes, lengths, before: None };
    let mut args = Vec::new();
    for site in line {
        for operand in site.operands(shapes) {
            args.push(Argument::Value(known.argument(source, *site, operand)));
        }
    }
    args
}

impl Target for Bounds {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let subject = source.below(CONFIGS.len());
        let mut shapes = shapes(&mut source);
        let mut lines: Vec<Line> = (0..source.between(6, 24)).map(|_| line(&mut source, &shapes)).collect();
        // Growth is wanted in every case.
        lines.push(vec![Site { access: Accesses::get().grow, memory: source.below(shapes.len()), offset: 0 }]);
        let several = source.percent(20);
        if several {
            // Something to hold contents.
            for shape in shapes.iter_mut().filter(|shape| shape.page_log2 == 16) {
                shape.minimum = shape.minimum.max(1);
                shape.maximum = shape.maximum.max(1);
            }
        }
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

    fn rebuilds(&self) -> bool {
        true
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
        let name = site.access().name.split('/').next().unwrap_or_default().to_owned();
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
            let print =
                |site: &Site| format!("{} offset={} of memory {}", site.access().name, site.offset, site.memory);
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
    use super::model::OUTSIDE;
    use super::*;
    use crate::source::{case_seed, expand};
    use wattest_differential::{Ending, TrapClass};

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
    fn copies_have_the_narrower_length() {
        // From a memory of 64 bits to one of 32 bits, and the other way around.
        let memories = ("memories", "0,16,1,1;1,16,1,1");
        let outside = format!("{OUTSIDE:?}");
        let wide = 1 << 32;
        check(
            &[memories, ("sites", "MemoryCopy/1,0,0")],
            &[&[Value::I32(0), Value::I64(65_530), Value::I32(6)], &[Value::I32(0), Value::I64(wide), Value::I32(0)]],
            &["Values([])", &outside],
        );
        check(
            &[memories, ("sites", "MemoryCopy/0,1,0")],
            &[&[Value::I64(65_530), Value::I32(0), Value::I32(6)], &[Value::I64(wide), Value::I32(0), Value::I32(0)]],
            &["Values([])", &outside],
        );
    }

    #[test]
    fn segments_are_empty_when_dropped() {
        let outside = format!("{OUTSIDE:?}");
        check(
            &[("memories", "0,16,1,1"), ("sites", "MemoryInit,0,0+DataDrop,0,0")],
            &[
                &[Value::I32(0), Value::I32(1), Value::I32(199)],
                &[Value::I32(0), Value::I32(0), Value::I32(1)],
                &[Value::I32(0), Value::I32(0), Value::I32(0)],
            ],
            &["Values([])", &outside, "Values([])"],
        );
    }

    #[test]
    fn atomic_accesses_are_aligned() {
        let unaligned = format!("{:?}", Ending::Trap(TrapClass::UnalignedAtomic));
        let outside = format!("{OUTSIDE:?}");
        check(
            &[("memories", "0,16,1,1"), ("sites", "I64AtomicRmw16AddU,0,1")],
            &[
                &[Value::I32(1), Value::I64(7)],
                &[Value::I32(1), Value::I64(0)],
                &[Value::I32(2), Value::I64(0)],
                &[Value::I32(65_535), Value::I64(0)],
                &[Value::I32(65_536), Value::I64(0)],
            ],
            &["Values([I64(0)])", "Values([I64(7)])", &unaligned, &outside, &unaligned],
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
            let is_grown = |line: &Line| line.iter().skip(1).any(|site| site.access == Accesses::get().grow);
            grown += parts.lines.iter().filter(|line| is_grown(line)).count();
            rounds += usize::from(parts.rounds.len() > 1);
            let is_mapped = |round: &Round| round.pieces.iter().any(|piece| piece.length > MAPPED_BYTES);
            mapped += usize::from(parts.rounds.iter().filter(|round| is_mapped(round)).count() > 1);
        }
        assert!(grown > 400 && rounds > 20 && mapped > 12, "{grown} lines, {rounds} rounds, {mapped} mapped");
    }
}
