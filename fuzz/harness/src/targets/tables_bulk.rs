//! `tables_bulk`: sequences of operations on tables, memories and segments, against vectors.
//!
//! Every operation of the chapter on tables and of bulk memory, on tables of functions and of external references, 32- and
//! 64-bit, in one instance: get, set, size, grow, fill, copy, init, drop. A model predicts each result and trap, and after
//! each call the contents of every table and memory; what a dropped segment still holds shows in the next `init`.
//!
//! Invariant: an operation that traps changes nothing in the model.
//!
//! Does not know: how tables lie in memory.

use super::core::case_of;
use super::{Outcome, Target};
use crate::coverage;
use crate::envelope::{Argument, Envelope, EnvelopeCall, EnvelopeModule};
use crate::source::Source;
use std::collections::BTreeMap;
use std::fmt::Write;
use wattest_differential::{
    CONFIGS, Call, Ending, Engine, FuncIdentity, MemoryState, Run, TrapClass, Value, WattestEngine,
};

/// Functions that tables may hold; the operations' functions follow.
const CALLEES: u32 = 4;

/// Memories, of one page each.
const MEMORIES: usize = 2;

/// A table's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    is_func: bool,
    wide: bool,
    minimum: u64,
    maximum: u64,
}

/// An operation; the numbers name tables, memories or segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Get(usize),
    Set(usize),
    Size(usize),
    Grow(usize),
    Fill(usize),
    Copy(usize, usize),
    Init(usize, usize),
    ElemDrop(usize),
    MemoryFill(usize),
    MemoryCopy(usize, usize),
    MemoryInit(usize, usize),
    DataDrop(usize),
}

/// What a case is about.
#[derive(Clone, Debug)]
struct World {
    tables: Vec<Shape>,
    /// Functions of each element segment; [`CALLEES`] is null.
    elements: Vec<Vec<u32>>,
    data: Vec<Vec<u8>>,
    ops: Vec<Op>,
}

impl World {
    fn new(tables: Vec<Shape>, elements: Vec<Vec<u32>>, data: Vec<Vec<u8>>) -> World {
        let mut ops = Vec::new();
        for (table, shape) in tables.iter().enumerate() {
            ops.extend([Op::Get(table), Op::Set(table), Op::Size(table), Op::Grow(table), Op::Fill(table)]);
            let alike = tables.iter().enumerate().filter(|(_, other)| other.is_func == shape.is_func);
            ops.extend(alike.map(|(from, _)| Op::Copy(table, from)));
            if shape.is_func {
                ops.extend((0..elements.len()).map(|segment| Op::Init(table, segment)));
            }
        }
        ops.extend((0..elements.len()).map(Op::ElemDrop));
        for memory in 0..MEMORIES {
            ops.push(Op::MemoryFill(memory));
            ops.extend((0..MEMORIES).map(|from| Op::MemoryCopy(memory, from)));
            ops.extend((0..data.len()).map(|segment| Op::MemoryInit(memory, segment)));
        }
        ops.extend((0..data.len()).map(Op::DataDrop));
        World { tables, elements, data, ops }
    }

    fn choose(source: &mut Source<'_>) -> World {
        let shape = |source: &mut Source<'_>, is_func| {
            let minimum = source.below(12) as u64;
            Shape { is_func, wide: source.percent(35), minimum, maximum: minimum + source.below(10) as u64 }
        };
        let tables = vec![shape(source, true), shape(source, true), shape(source, false), shape(source, false)];
        let element = |source: &mut Source<'_>| {
            (0..source.below(10)).map(|_| source.below(CALLEES as usize + 1) as u32).collect()
        };
        let elements = (0..source.between(1, 3)).map(|_| element(source)).collect();
        let bytes = |source: &mut Source<'_>| (0..source.below(40)).map(|_| source.byte()).collect();
        let data = (0..source.between(1, 3)).map(|_| bytes(source)).collect();
        World::new(tables, elements, data)
    }

    /// How often each operation is called.
    fn counted(&self, calls: &[Call]) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for call in calls {
            let Some(op) = (call.func.checked_sub(CALLEES)).and_then(|index| self.ops.get(index as usize)) else {
                continue;
            };
            *counts.entry(coverage::operator_name(&World::instruction(*op))).or_default() += 1;
            let tables = match *op {
                Op::Get(table) | Op::Set(table) | Op::Size(table) | Op::Grow(table) | Op::Fill(table) => vec![table],
                Op::Copy(to, from) => vec![to, from],
                Op::Init(table, _) => vec![table],
                _ => Vec::new(),
            };
            if tables.iter().any(|table| self.tables[*table].wide) {
                *counts.entry(coverage::TABLE64.to_owned()).or_default() += 1;
            }
        }
        counts
    }

    fn index(&self, table: usize) -> &'static str {
        if self.tables[table].wide { "i64" } else { "i32" }
    }

    fn element(&self, table: usize) -> &'static str {
        if self.tables[table].is_func { "funcref" } else { "externref" }
    }

    /// The parameters of an operation's function; the last column says whether there is a result, and which.
    fn signature(&self, op: Op) -> (Vec<&'static str>, Option<&'static str>) {
        match op {
            Op::Get(table) => (vec![self.index(table)], Some(self.element(table))),
            Op::Set(table) => (vec![self.index(table), self.element(table)], None),
            Op::Size(table) => (vec![], Some(self.index(table))),
            Op::Grow(table) => (vec![self.element(table), self.index(table)], Some(self.index(table))),
            Op::Fill(table) => (vec![self.index(table), self.element(table), self.index(table)], None),
            Op::Copy(to, from) => {
                let both = if self.tables[to].wide && self.tables[from].wide { "i64" } else { "i32" };
                (vec![self.index(to), self.index(from), both], None)
            }
            Op::Init(table, _) => (vec![self.index(table), "i32", "i32"], None),
            Op::MemoryFill(_) | Op::MemoryCopy(..) | Op::MemoryInit(..) => (vec!["i32", "i32", "i32"], None),
            Op::ElemDrop(_) | Op::DataDrop(_) => (vec![], None),
        }
    }

    fn instruction(op: Op) -> String {
        match op {
            Op::Get(table) => format!("table.get {table}"),
            Op::Set(table) => format!("table.set {table}"),
            Op::Size(table) => format!("table.size {table}"),
            Op::Grow(table) => format!("table.grow {table}"),
            Op::Fill(table) => format!("table.fill {table}"),
            Op::Copy(to, from) => format!("table.copy {to} {from}"),
            Op::Init(table, segment) => format!("table.init {table} {segment}"),
            Op::ElemDrop(segment) => format!("elem.drop {segment}"),
            Op::MemoryFill(memory) => format!("memory.fill {memory}"),
            Op::MemoryCopy(to, from) => format!("memory.copy {to} {from}"),
            Op::MemoryInit(memory, segment) => format!("memory.init {memory} {segment}"),
            Op::DataDrop(segment) => format!("data.drop {segment}"),
        }
    }

    /// The module as text.
    fn text(&self) -> String {
        let mut text = "(module\n".to_owned();
        // Writing to a string does not fail.
        for (table, shape) in self.tables.iter().enumerate() {
            let wide = if shape.wide { "i64 " } else { "" };
            let _ = writeln!(text, "(table {wide}{} {} {})", shape.minimum, shape.maximum, self.element(table));
        }
        text.push_str(&"(memory 1 1)\n".repeat(MEMORIES));
        for func in 0..CALLEES {
            let _ = writeln!(text, "(func $c{func} (export \"c{func}\") (result i32) (i32.const {func}))");
        }
        for segment in &self.elements {
            let item = |func: &u32| match *func {
                CALLEES.. => "(ref.null func)".to_owned(),
                func => format!("(ref.func $c{func})"),
            };
            let items: Vec<String> = segment.iter().map(item).collect();
            let _ = writeln!(text, "(elem funcref {})", items.join(" "));
        }
        for segment in &self.data {
            let bytes: String = segment.iter().map(|byte| format!("\\{byte:02x}")).collect();
            let _ = writeln!(text, "(data \"{bytes}\")");
        }
        for (position, op) in self.ops.iter().enumerate() {
            let (params, result) = self.signature(*op);
            let result = result.map_or(String::new(), |result| format!(" (result {result})"));
            let operands: String = (0..params.len()).map(|local| format!("local.get {local} ")).collect();
            let params = if params.is_empty() { String::new() } else { format!(" (param {})", params.join(" ")) };
            let instruction = World::instruction(*op);
            let _ = writeln!(text, "(func (export \"o{position}\"){params}{result} {operands}{instruction})");
        }
        text.push(')');
        text
    }

    fn settings(&self, case: Envelope) -> Envelope {
        let list = |words: Vec<String>| words.join(";");
        let table = |shape: &Shape| {
            format!("{},{},{},{}", u8::from(shape.is_func), u8::from(shape.wide), shape.minimum, shape.maximum)
        };
        let numbers = |numbers: &mut dyn Iterator<Item = u32>| {
            numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
        };
        case.set("tables", list(self.tables.iter().map(table).collect()))
            .set("elements", list(self.elements.iter().map(|one| numbers(&mut one.iter().copied())).collect()))
            .set("data", list(self.data.iter().map(|one| numbers(&mut one.iter().map(|b| u32::from(*b)))).collect()))
    }

    fn of(case: &Envelope) -> Option<World> {
        let numbers = |text: &str| -> Option<Vec<u32>> {
            if text.is_empty() { Some(Vec::new()) } else { text.split(',').map(|word| word.parse().ok()).collect() }
        };
        let lists = |name: &str| -> Option<Vec<Vec<u32>>> { case.get(name)?.split(';').map(numbers).collect() };
        let shape = |numbers: Vec<u32>| match numbers.as_slice() {
            &[is_func, wide, minimum, maximum] if minimum <= maximum && maximum < 1000 => {
                Some(Shape { is_func: is_func == 1, wide: wide == 1, minimum: minimum.into(), maximum: maximum.into() })
            }
            _ => None,
        };
        let tables = lists("tables")?.into_iter().map(shape).collect::<Option<Vec<_>>>()?;
        let data = lists("data")?.into_iter().map(|bytes| bytes.into_iter().map(|byte| byte as u8).collect()).collect();
        Some(World::new(tables, lists("elements")?, data))
    }
}

/// The entities as they should be.
struct Model<'a> {
    world: &'a World,
    tables: Vec<Vec<Value>>,
    memories: Vec<Vec<u8>>,
    elements: Vec<Vec<Value>>,
    data: Vec<Vec<u8>>,
}

fn number(value: Value) -> u64 {
    match value {
        Value::I32(bits) => bits.into(),
        Value::I64(bits) => bits,
        _ => 0,
    }
}

fn part(length: usize, start: u64, count: u64) -> Option<std::ops::Range<usize>> {
    let end = u128::from(start) + u128::from(count);
    (end <= length as u128).then_some(start as usize..end as usize)
}

const TABLE: Ending = Ending::Trap(TrapClass::TableOutOfBounds);
const MEMORY: Ending = Ending::Trap(TrapClass::MemoryOutOfBounds);

impl<'a> Model<'a> {
    fn new(world: &'a World) -> Model<'a> {
        let null = |shape: &Shape| {
            if shape.is_func { Value::Func(FuncIdentity::Null) } else { Value::Extern(None) }
        };
        let func = |func: &u32| match *func {
            CALLEES.. => Value::Func(FuncIdentity::Null),
            func => Value::Func(FuncIdentity::Index(func)),
        };
        Model {
            world,
            tables: world.tables.iter().map(|shape| vec![null(shape); shape.minimum as usize]).collect(),
            memories: vec![vec![0; 65_536]; MEMORIES],
            elements: world.elements.iter().map(|segment| segment.iter().map(func).collect()).collect(),
            data: world.data.clone(),
        }
    }

    fn index(&self, table: usize, number: u64) -> Ending {
        let value = if self.world.tables[table].wide { Value::I64(number) } else { Value::I32(number as u32) };
        Ending::Values(vec![value])
    }

    fn call(&mut self, op: Op, args: &[Value]) -> Ending {
        self.apply(op, args).unwrap_or(match op {
            Op::MemoryFill(_) | Op::MemoryCopy(..) | Op::MemoryInit(..) => MEMORY,
            _ => TABLE,
        })
    }

    /// `None` where it traps.
    fn apply(&mut self, op: Op, args: &[Value]) -> Option<Ending> {
        let n = |position: usize| args.get(position).map_or(0, |value| number(*value));
        let nothing = Some(Ending::Values(Vec::new()));
        match op {
            Op::Get(table) => {
                let at = part(self.tables[table].len(), n(0), 1)?.start;
                Some(Ending::Values(vec![self.tables[table][at]]))
            }
            Op::Set(table) => {
                let at = part(self.tables[table].len(), n(0), 1)?.start;
                self.tables[table][at] = args[1];
                nothing
            }
            Op::Size(table) => Some(self.index(table, self.tables[table].len() as u64)),
            Op::Grow(table) => {
                let old = self.tables[table].len() as u64;
                if u128::from(old) + u128::from(n(1)) > u128::from(self.world.tables[table].maximum) {
                    return Some(self.index(table, u64::MAX));
                }
                self.tables[table].resize((old + n(1)) as usize, args[0]);
                Some(self.index(table, old))
            }
            Op::Fill(table) => {
                let range = part(self.tables[table].len(), n(0), n(2))?;
                self.tables[table][range].fill(args[1]);
                nothing
            }
            Op::Copy(to, from) => {
                let source = part(self.tables[from].len(), n(1), n(2))?;
                let target = part(self.tables[to].len(), n(0), n(2))?;
                let copied = self.tables[from][source].to_vec();
                self.tables[to][target].copy_from_slice(&copied);
                nothing
            }
            Op::Init(table, segment) => {
                let source = part(self.elements[segment].len(), n(1), n(2))?;
                let target = part(self.tables[table].len(), n(0), n(2))?;
                self.tables[table][target].copy_from_slice(&self.elements[segment][source]);
                nothing
            }
            Op::ElemDrop(segment) => {
                self.elements[segment].clear();
                nothing
            }
            Op::MemoryFill(memory) => {
                let range = part(self.memories[memory].len(), n(0), n(2))?;
                self.memories[memory][range].fill(n(1) as u8);
                nothing
            }
            Op::MemoryCopy(to, from) => {
                let source = part(self.memories[from].len(), n(1), n(2))?;
                let target = part(self.memories[to].len(), n(0), n(2))?;
                let copied = self.memories[from][source].to_vec();
                self.memories[to][target].copy_from_slice(&copied);
                nothing
            }
            Op::MemoryInit(memory, segment) => {
                let source = part(self.data[segment].len(), n(1), n(2))?;
                let target = part(self.memories[memory].len(), n(0), n(2))?;
                self.memories[memory][target].copy_from_slice(&self.data[segment][source]);
                nothing
            }
            Op::DataDrop(segment) => {
                self.data[segment].clear();
                nothing
            }
        }
    }

    /// The first step that is not as predicted.
    fn judge(&mut self, run: &Run, calls: &[Call]) -> Option<String> {
        for (step, seen) in run.steps.iter().enumerate() {
            let mut place = "instantiation".to_owned();
            if let Some(call) = step.checked_sub(1).and_then(|index| calls.get(index)) {
                let position = call.func.checked_sub(CALLEES).map(|position| position as usize);
                let Some(op) = position.and_then(|position| self.world.ops.get(position)) else { continue };
                let expected = self.call(*op, &call.args);
                place = format!("call {step}: {} with {:x?}", World::instruction(*op), call.args);
                if expected != seen.ending {
                    return Some(format!("{place}: {expected:x?} expected, {:x?} seen", seen.ending));
                }
            }
            if seen.state.tables != self.tables {
                return Some(format!("{place}: tables {:x?} expected, {:x?} seen", self.tables, seen.state.tables));
            }
            let memories = self.memories.iter().map(|bytes| MemoryState::of(bytes));
            if !memories.eq(seen.state.memories.iter().cloned()) {
                return Some(format!("{place}: the contents of a memory differ from the model"));
            }
        }
        None
    }
}

/// The target.
#[derive(Default)]
pub(super) struct TablesBulk {
    engines: BTreeMap<usize, WattestEngine>,
}

fn argument(source: &mut Source<'_>, ty: &str, is_memory: bool) -> Value {
    let size = if is_memory { 65_536 } else { 12 };
    let near = |source: &mut Source<'_>| match source.below(12) {
        0..=5 => source.below(12) as u64,
        6..=8 => (size + source.below(20) as u64).wrapping_sub(10),
        9 => u64::from(u32::MAX) - source.below(4) as u64,
        10 => (1 << 32) + source.below(6) as u64,
        _ => u64::MAX - source.below(4) as u64,
    };
    match ty {
        "i32" => Value::I32(near(source) as u32),
        "i64" => Value::I64(near(source)),
        "funcref" if source.percent(75) => Value::Func(FuncIdentity::Index(source.below(CALLEES as usize) as u32)),
        "funcref" => Value::Func(FuncIdentity::Null),
        _ => Value::Extern((!source.percent(20)).then(|| source.byte().into())),
    }
}

impl Target for TablesBulk {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let subject = source.below(CONFIGS.len());
        let world = World::choose(&mut source);
        let mut calls = Vec::new();
        for _ in 0..source.between(20, 150) {
            let position = source.below(world.ops.len());
            let op = world.ops[position];
            // Drops would leave nothing to initialize with.
            if matches!(op, Op::ElemDrop(_) | Op::DataDrop(_)) && source.percent(80) {
                continue;
            }
            let is_memory = matches!(op, Op::MemoryFill(_) | Op::MemoryCopy(..) | Op::MemoryInit(..));
            let (params, _) = world.signature(op);
            let args = params.iter().map(|ty| Argument::Value(argument(&mut source, ty, is_memory))).collect();
            calls.push(EnvelopeCall { module: 0, func: (position as u32 + CALLEES).to_string(), args });
        }
        let wasm = wat::parse_str(world.text()).ok()?;
        let mut case = world.settings(Envelope::new("tables_bulk").set("subject", subject)).module("main", wasm);
        case.calls = calls;
        Some(case)
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let Some(world) = World::of(case) else { return Outcome::default() };
        // The module is a function of the settings: a mutated one would not be what the model predicts.
        let Ok(wasm) = wat::parse_str(world.text()) else { return Outcome::default() };
        let mut same = case.clone();
        same.modules = vec![EnvelopeModule { name: "main".to_owned(), bytes: wasm }];
        let Some(core) = case_of(&same) else { return Outcome::default() };
        let row = core.recipe.subject % CONFIGS.len();
        let engine = self.engines.entry(row).or_insert_with(|| WattestEngine::new(row));
        let name = engine.name();
        let run = match engine.run(&core.program, &core.recipe.plan) {
            Ok(run) => run,
            Err(refusal) => return Outcome::failed(&name, refusal.to_string()),
        };
        match Model::new(&world).judge(&run, &core.recipe.plan.calls) {
            None => {
                let operations = world.counted(&core.recipe.plan.calls);
                Outcome { checks: run.steps.len() as u64, useful: true, operations, ..Outcome::default() }
            }
            Some(what) => Outcome::failed(&name, what),
        }
    }
}
