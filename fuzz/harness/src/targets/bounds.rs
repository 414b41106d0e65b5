//! `bounds`: every access to memory near every edge, against arithmetic.
//!
//! A module has two or three memories of random shape (index type, page size, limits) and one function per access: loads,
//! stores, lanes, bulk operations, each with a static offset. They are called with addresses near the length, 2³¹, 2³², 2⁶⁴
//! and near the wrap of address plus offset, before and after growth. A model of bytes predicts each result, each trap and
//! the whole contents of all memories after it, so that a byte written to a neighbour shows as well. The same engine runs
//! one case after the other, with pools too: what a former case left in a slot would show in the next.
//!
//! Invariant: the model is a `Vec<u8>` per memory and additions in 128 bits.
//!
//! Does not know: how memories are mapped.

use super::core::case_of;
use super::{Outcome, Target};
use crate::coverage;
use crate::envelope::{Argument, Envelope, EnvelopeCall};
use crate::source::Source;
use std::collections::BTreeMap;
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, Instruction, MemArg, MemorySection, MemoryType,
    Module, TypeSection, ValType,
};
use wattest_differential::{CONFIGS, Ending, Engine, MemoryState, Run, TrapClass, Value, ValueType, WattestEngine};

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

/// One function: an access to a memory with a static offset.
#[derive(Clone, Copy, Debug)]
struct Site {
    access: usize,
    memory: usize,
    offset: u64,
}

/// The target.
#[derive(Default)]
pub(super) struct Bounds {
    engines: BTreeMap<usize, WattestEngine>,
}

fn shapes(source: &mut Source<'_>) -> Vec<Shape> {
    let count = source.between(1, 3);
    let shape = |source: &mut Source<'_>| {
        let page_log2 = if source.percent(20) { 0 } else { 16 };
        // Pages of one byte make lengths that are no multiple of anything.
        let minimum = if page_log2 == 0 { u64::from(source.u32() % 70_000) } else { source.below(3) as u64 };
        let maximum = minimum + if page_log2 == 0 { source.below(5000) as u64 } else { source.below(3) as u64 };
        Shape { wide: source.percent(40), page_log2, minimum, maximum }
    };
    (0..count).map(|_| shape(source)).collect()
}

fn offset(source: &mut Source<'_>, shape: Shape) -> u64 {
    let length = shape.minimum << shape.page_log2;
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

fn module(shapes: &[Shape], sites: &[Site]) -> Vec<u8> {
    let (mut types, mut functions, mut memories) = (TypeSection::new(), FunctionSection::new(), MemorySection::new());
    let (mut exports, mut code) = (ExportSection::new(), CodeSection::new());
    for shape in shapes {
        memories.memory(MemoryType {
            minimum: shape.minimum,
            maximum: Some(shape.maximum),
            memory64: shape.wide,
            shared: false,
            page_size_log2: (shape.page_log2 != 16).then_some(shape.page_log2),
        });
    }
    for (position, site) in sites.iter().enumerate() {
        let access = &ACCESSES[site.access];
        let index = if shapes[site.memory].wide { ValType::I64 } else { ValType::I32 };
        let (params, results) = signature(access.kind, index);
        let mut body = Function::new([]);
        (0..params.len() as u32).for_each(|local| {
            body.instruction(&Instruction::LocalGet(local));
        });
        let memarg = MemArg { offset: site.offset, align: 0, memory_index: site.memory as u32 };
        body.instruction(&(access.make)(memarg)).instruction(&Instruction::End);
        types.ty().function(params, results);
        functions.function(position as u32);
        exports.export(&format!("f{position}"), ExportKind::Func, position as u32);
        code.function(&body);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
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

    /// Does what the site's function should do.
    fn call(&mut self, site: Site, args: &[u128]) -> Ending {
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

fn print_shape(shape: &Shape) -> String {
    format!("{},{},{},{}", u8::from(shape.wide), shape.page_log2, shape.minimum, shape.maximum)
}

fn numbers(text: &str) -> Option<Vec<u64>> {
    text.split(',').map(|word| word.parse().ok()).collect()
}

fn shapes_of(case: &Envelope) -> Option<Vec<Shape>> {
    let shape = |text: &str| match numbers(text)?.as_slice() {
        &[wide, page_log2 @ (0 | 16), minimum, maximum] => {
            let small = minimum <= maximum && maximum << page_log2 <= 1 << 20;
            small.then_some(Shape { wide: wide == 1, page_log2: page_log2 as u32, minimum, maximum })
        }
        _ => None,
    };
    case.get("memories")?.split(';').map(shape).collect()
}

fn sites_of(case: &Envelope, memories: usize) -> Option<Vec<Site>> {
    let site = |text: &str| match numbers(text)?.as_slice() {
        &[access, memory, offset] => {
            let known = (access as usize) < ACCESSES.len() && (memory as usize) < memories;
            known.then_some(Site { access: access as usize, memory: memory as usize, offset })
        }
        _ => None,
    };
    case.get("sites")?.split(';').map(site).collect()
}

impl Target for Bounds {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let subject = source.below(CONFIGS.len());
        let shapes = shapes(&mut source);
        let mut sites = Vec::new();
        for _ in 0..source.between(6, 24) {
            let memory = source.below(shapes.len());
            let access = source.below(ACCESSES.len());
            sites.push(Site { access, memory, offset: offset(&mut source, shapes[memory]) });
        }
        // Growth is wanted in every case.
        sites.push(Site { access: ACCESSES.len() - 2, memory: source.below(shapes.len()), offset: 0 });
        let mut calls = Vec::new();
        for _ in 0..source.between(20, 120) {
            let position = source.below(sites.len());
            let site = sites[position];
            let shape = shapes[site.memory];
            let (params, _) = signature(ACCESSES[site.access].kind, ValType::I64);
            let length = shape.minimum << shape.page_log2;
            let mut args = Vec::new();
            for (place, param) in params.iter().enumerate() {
                let is_size = matches!(ACCESSES[site.access].kind, Kind::Fill | Kind::Copy) && place == 2;
                let bits = match param {
                    _ if ACCESSES[site.access].kind == Kind::Grow => source.below(4) as u64,
                    _ if is_size && source.percent(70) => source.below(300) as u64,
                    ValType::I64 => address(&mut source, shape, site.offset, length),
                    _ => source.u64(),
                };
                let own = match (param, ACCESSES[site.access].kind, shape.wide) {
                    (ValType::I64, Kind::Store { ty: I64, .. }, _) if place == 1 => Value::I64(bits),
                    (ValType::I64, _, true) => Value::I64(bits),
                    (ValType::I64 | ValType::I32, ..) => Value::I32(bits as u32),
                    (ValType::F32, ..) => Value::F32(bits as u32),
                    (ValType::F64, ..) => Value::F64(bits),
                    _ => Value::V128(u128::from(bits) << 64 | u128::from(source.u64())),
                };
                args.push(Argument::Value(own));
            }
            calls.push(EnvelopeCall { module: 0, func: position.to_string(), args });
        }
        let memories: Vec<String> = shapes.iter().map(print_shape).collect();
        let list = sites.iter().map(|site| format!("{},{},{}", site.access, site.memory, site.offset));
        let mut case = Envelope::new("bounds")
            .set("subject", subject)
            .set("memories", memories.join(";"))
            .set("sites", list.collect::<Vec<_>>().join(";"))
            .module("main", module(&shapes, &sites));
        case.calls = calls;
        Some(case)
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let Some(shapes) = shapes_of(case) else { return Outcome::default() };
        let Some(sites) = sites_of(case, shapes.len()) else { return Outcome::default() };
        // The module is a function of the shapes and sites: a mutated one would not be what the model predicts.
        let mut same = case.clone();
        same.modules =
            vec![crate::envelope::EnvelopeModule { name: "main".to_owned(), bytes: module(&shapes, &sites) }];
        let Some(core) = case_of(&same) else { return Outcome::default() };
        let row = core.recipe.subject % CONFIGS.len();
        let engine = self.engines.entry(row).or_insert_with(|| WattestEngine::new(row));
        let name = engine.name();
        let run = match engine.run(&core.program, &core.recipe.plan) {
            Ok(run) => run,
            Err(refusal) => return Outcome::failed(&name, refusal.to_string()),
        };
        let mut model = Model {
            memories: shapes.iter().map(|shape| vec![0; (shape.minimum << shape.page_log2) as usize]).collect(),
            shapes,
        };
        let mut outcome = Outcome { checks: run.steps.len() as u64, useful: true, ..Outcome::default() };
        outcome.poison.extend(run.stopped.map(|poison| format!("subject: {poison}")));
        for call in &core.recipe.plan.calls {
            let site = sites[call.func as usize];
            let shape = model.shapes[site.memory];
            let name = coverage::operator_name(ACCESSES[site.access].name);
            let kinds = [(shape.wide, coverage::MEMORY64), (shape.page_log2 == 0, coverage::CUSTOM_PAGES)];
            let kinds = kinds.into_iter().filter(|(is_kind, _)| *is_kind).map(|(_, kind)| kind.to_owned());
            for name in kinds.chain([name]) {
                *outcome.operations.entry(name).or_default() += 1;
            }
        }
        match judge(&run, &mut model, &sites, &core.recipe.plan.calls) {
            None => outcome,
            Some(what) => Outcome::failed(&name, what),
        }
    }
}

/// The first step that the model does not predict.
fn judge(run: &Run, model: &mut Model, sites: &[Site], calls: &[wattest_differential::Call]) -> Option<String> {
    for (step, seen) in run.steps.iter().enumerate() {
        let mut place = "instantiation".to_owned();
        if let Some(call) = step.checked_sub(1).and_then(|index| calls.get(index)) {
            let site = sites[call.func as usize];
            let args: Vec<u128> = call.args.iter().map(|value| bits_of(*value)).collect();
            let expected = model.call(site, &args);
            place = format!(
                "call {step}: {} offset={} of memory {} with {:x?}",
                ACCESSES[site.access].name, site.offset, site.memory, call.args
            );
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
