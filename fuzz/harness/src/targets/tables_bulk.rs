//! `tables_bulk`: sequences of operations on tables, memories and segments, against vectors.
//!
//! Every operation of the chapter on tables and of bulk memory, on tables of functions and of external references, 32- and
//! 64-bit, with and without elements to begin with, in one instance: get, set, size, grow, fill, copy, init, drop. Segments
//! are passive or active; an active one that does not fit ends the
//! [instantiation](https://webassembly.github.io/spec/core/exec/modules.html#instantiation). A model predicts each result,
//! each trap and the byte offset of the instruction that traps, and after each call the contents of every table and memory
//! and which segments are empty; what a dropped one still holds shows in the next `init`, too.
//!
//! Invariant: an operation that traps changes nothing in the model. Every step of the plan is compared, or the outcome says
//! why not.
//!
//! Does not know: how tables lie in memory.

use super::core::case_of;
use super::{Outcome, Target};
use crate::coverage;
use crate::envelope::{Argument, Envelope, EnvelopeCall, EnvelopeModule};
use crate::source::Source;
use std::collections::BTreeMap;
use std::fmt::Write;
use wasmparser::{Parser, Payload};
use wattest_differential::{
    CONFIGS, Call, Ending, Engine, FuncIdentity, MemoryState, Poison, Run, Step, TrapClass, Value, WattestEngine,
};

/// Functions that tables may hold; the operations' functions follow.
const CALLEES: u32 = 4;

/// Memories, of one page each.
const MEMORIES: usize = 2;

/// Bytes of a memory.
const MEMORY_BYTES: usize = 65_536;

/// Tables, and segments of either kind, of a case that was changed: operations are as many as their products.
const ENTITIES_MAX: usize = 8;

/// A table's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    is_func: bool,
    wide: bool,
    minimum: u64,
    maximum: u64,
    /// The function that its elements are at first; [`CALLEES`] is null.
    initial: u32,
}

/// Where an active segment goes: a table or memory, and an offset.
type Place = (usize, u32);

/// An element segment. References to functions are [`CALLEES`] where they are null; external ones are all null, since no
/// constant expression of a module without imports gives others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Elements {
    is_func: bool,
    items: Vec<u32>,
    place: Option<Place>,
}

/// A data segment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Data {
    bytes: Vec<u8>,
    place: Option<Place>,
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
    elements: Vec<Elements>,
    data: Vec<Data>,
    ops: Vec<Op>,
}

impl World {
    fn new(tables: Vec<Shape>, elements: Vec<Elements>, data: Vec<Data>) -> World {
        let mut ops = Vec::new();
        for (table, shape) in tables.iter().enumerate() {
            ops.extend([Op::Get(table), Op::Set(table), Op::Size(table), Op::Grow(table), Op::Fill(table)]);
            let alike = tables.iter().enumerate().filter(|(_, other)| other.is_func == shape.is_func);
            ops.extend(alike.map(|(from, _)| Op::Copy(table, from)));
            let fitting = elements.iter().enumerate().filter(|(_, segment)| segment.is_func == shape.is_func);
            ops.extend(fitting.map(|(segment, _)| Op::Init(table, segment)));
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
            let initial = if is_func && source.percent(30) { source.below(CALLEES as usize) as u32 } else { CALLEES };
            let (wide, maximum) = (source.percent(35), minimum + source.below(10) as u64);
            Shape { is_func, wide, minimum, maximum, initial }
        };
        let tables = vec![shape(source, true), shape(source, true), shape(source, false), shape(source, false)];
        let items = |source: &mut Source<'_>| -> Vec<u32> {
            (0..source.below(10)).map(|_| source.below(CALLEES as usize + 1) as u32).collect()
        };
        let bytes = |source: &mut Source<'_>| -> Vec<u8> { (0..source.below(40)).map(|_| source.byte()).collect() };
        // Nearly always where it fits: after an instantiation that ends in a trap nothing is called.
        let place = |source: &mut Source<'_>, to: usize, room: usize, length: usize| {
            let fitting = source.below(room.saturating_sub(length) + 1) as u32;
            let offset = if source.percent(4) { room as u32 + source.below(3) as u32 } else { fitting };
            Some((to, offset))
        };
        let mut elements: Vec<Elements> =
            (0..source.between(1, 3)).map(|_| Elements { is_func: true, items: items(source), place: None }).collect();
        for _ in 0..source.below(2) {
            elements.push(Elements { is_func: false, items: vec![CALLEES; source.below(10)], place: None });
        }
        for _ in 0..source.below(3) {
            let (table, mut items) = (source.below(2), items(source));
            let room = tables[table].minimum as usize;
            items.truncate(room);
            let place = place(source, table, room, items.len());
            elements.push(Elements { is_func: true, items, place });
        }
        let mut data: Vec<Data> =
            (0..source.between(1, 3)).map(|_| Data { bytes: bytes(source), place: None }).collect();
        for _ in 0..source.below(3) {
            let (memory, bytes) = (source.below(MEMORIES), bytes(source));
            let place = place(source, memory, MEMORY_BYTES, bytes.len());
            data.push(Data { bytes, place });
        }
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
            let initial =
                if shape.initial < CALLEES { format!("(ref.func $c{})", shape.initial) } else { String::new() };
            let (minimum, maximum, element) = (shape.minimum, shape.maximum, self.element(table));
            let _ = writeln!(text, "(table {wide}{minimum} {maximum} {element} {initial})");
        }
        text.push_str(&"(memory 1 1)\n".repeat(MEMORIES));
        for func in 0..CALLEES {
            let _ = writeln!(text, "(func $c{func} (export \"c{func}\") (result i32) (i32.const {func}))");
        }
        for segment in &self.elements {
            let null = if segment.is_func { "(ref.null func)" } else { "(ref.null extern)" };
            let item = |func: &u32| match *func {
                CALLEES.. => null.to_owned(),
                func => format!("(ref.func $c{func})"),
            };
            let items: Vec<String> = segment.items.iter().map(item).collect();
            let ty = if segment.is_func { "funcref" } else { "externref" };
            let place =
                |(table, offset): Place| format!("(table {table}) (offset ({}.const {offset})) ", self.index(table));
            let _ = writeln!(text, "(elem {}{ty} {})", segment.place.map_or(String::new(), place), items.join(" "));
        }
        for segment in &self.data {
            let bytes: String = segment.bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
            let place = |(memory, offset): Place| format!("(memory {memory}) (offset (i32.const {offset})) ");
            let _ = writeln!(text, "(data {}\"{bytes}\")", segment.place.map_or(String::new(), place));
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
        let table = |shape: &Shape| {
            let flags = [u64::from(shape.is_func), u64::from(shape.wide)];
            print_numbers(flags.into_iter().chain([shape.minimum, shape.maximum, shape.initial.into()]))
        };
        let numbers = |items: &[u32]| print_numbers(items.iter().map(|item| u64::from(*item)));
        let bytes = |bytes: &[u8]| print_numbers(bytes.iter().map(|byte| u64::from(*byte)));
        let at = |(to, offset): Place, rest: String| {
            format!("{to},{offset}{}{rest}", if rest.is_empty() { "" } else { "," })
        };
        let mut lists: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        lists.insert("tables", self.tables.iter().map(table).collect());
        for segment in &self.elements {
            match (segment.place, segment.is_func) {
                (Some(place), _) => {
                    lists.entry("active-elements").or_default().push(at(place, numbers(&segment.items)))
                }
                (None, true) => lists.entry("elements").or_default().push(numbers(&segment.items)),
                (None, false) => lists.entry("externals").or_default().push(segment.items.len().to_string()),
            }
        }
        for segment in &self.data {
            match segment.place {
                Some(place) => lists.entry("active-data").or_default().push(at(place, bytes(&segment.bytes))),
                None => lists.entry("data").or_default().push(bytes(&segment.bytes)),
            }
        }
        lists.into_iter().fold(case, |case, (name, words)| case.set(name, words.join(";")))
    }

    fn of(case: &Envelope) -> Option<World> {
        let lists = |name: &str| -> Option<Vec<Vec<u32>>> {
            let lists: Vec<_> =
                case.get(name).map_or(Some(Vec::new()), |text| text.split(';').map(numbers).collect())?;
            (lists.len() <= ENTITIES_MAX && lists.iter().all(|list| list.len() <= 256)).then_some(lists)
        };
        let tables = lists("tables")?.iter().map(|numbers| shape(numbers)).collect::<Option<Vec<_>>>()?;
        let passive = |items| Elements { is_func: true, items, place: None };
        let mut elements: Vec<Elements> = lists("elements")?.into_iter().map(passive).collect();
        for count in lists("externals")? {
            let count = *count.first().filter(|count| **count <= 256)?;
            elements.push(Elements { is_func: false, items: vec![CALLEES; count as usize], place: None });
        }
        for list in lists("active-elements")? {
            let (place, items) = placed(&list, tables.len())?;
            // An active segment of the other type would be no valid one.
            let is_func = tables[place.0].is_func;
            let items = items.iter().map(|item| if is_func { *item } else { CALLEES }).collect();
            elements.push(Elements { is_func, items, place: Some(place) });
        }
        let bytes = |items: &[u32]| items.iter().map(|item| *item as u8).collect::<Vec<u8>>();
        let mut data: Vec<Data> =
            lists("data")?.iter().map(|items| Data { bytes: bytes(items), place: None }).collect();
        for list in lists("active-data")? {
            let (place, items) = placed(&list, MEMORIES)?;
            data.push(Data { bytes: bytes(items), place: Some(place) });
        }
        (!tables.is_empty()).then(|| World::new(tables, elements, data))
    }

    /// The byte offset of the operation of each function, in order: the last but one of its instructions.
    fn offsets(wasm: &[u8]) -> Vec<u32> {
        let last = |payload: wasmparser::Result<Payload<'_>>| {
            let Ok(Payload::CodeSectionEntry(body)) = payload else { return None };
            let operators = body.get_operators_reader().ok()?.into_iter_with_offsets();
            let offsets: Vec<usize> = operators.map_while(|operator| Some(operator.ok()?.1)).collect();
            offsets.iter().rev().nth(1).map(|offset| *offset as u32)
        };
        Parser::new(0).parse_all(wasm).filter_map(last).collect()
    }
}

fn print_numbers(numbers: impl Iterator<Item = u64>) -> String {
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
}

fn numbers(text: &str) -> Option<Vec<u32>> {
    if text.is_empty() { Some(Vec::new()) } else { text.split(',').map(|word| word.parse().ok()).collect() }
}

/// A table's shape from its numbers; the initial element may be missing.
fn shape(numbers: &[u32]) -> Option<Shape> {
    let (&[is_func, wide, minimum, maximum], rest) = numbers.split_first_chunk()?;
    let initial = rest.first().copied().filter(|_| is_func == 1).unwrap_or(CALLEES);
    let (is_func, wide) = (is_func == 1, wide == 1);
    let shape = Shape { is_func, wide, minimum: minimum.into(), maximum: maximum.into(), initial };
    (minimum <= maximum && maximum < 1000).then_some(shape)
}

/// The place of an active segment, among so many, and what follows.
fn placed(list: &[u32], count: usize) -> Option<(Place, &[u32])> {
    let (&[to, offset], items) = list.split_first_chunk()?;
    // Offsets are printed as signed constants.
    ((to as usize) < count && offset <= i32::MAX as u32).then_some(((to as usize, offset), items))
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
        let reference = |is_func: bool, func: u32| match func {
            func if is_func && func < CALLEES => Value::Func(FuncIdentity::Index(func)),
            _ if is_func => Value::Func(FuncIdentity::Null),
            _ => Value::Extern(None),
        };
        let initial = |shape: &Shape| vec![reference(shape.is_func, shape.initial); shape.minimum as usize];
        let items = |segment: &Elements| -> Vec<Value> {
            segment.items.iter().map(|func| reference(segment.is_func, *func)).collect()
        };
        Model {
            world,
            tables: world.tables.iter().map(initial).collect(),
            memories: vec![vec![0; MEMORY_BYTES]; MEMORIES],
            elements: world.elements.iter().map(items).collect(),
            data: world.data.iter().map(|segment| segment.bytes.clone()).collect(),
        }
    }

    /// Active segments are copied and dropped, elements first; the first that does not fit ends it.
    fn instantiate(&mut self) -> Ending {
        for (index, segment) in self.world.elements.iter().enumerate() {
            let Some((table, offset)) = segment.place else { continue };
            let length = self.elements[index].len() as u32;
            let args = [u64::from(offset), 0, length.into()].map(Value::I64);
            if self.apply(Op::Init(table, index), &args).is_none() {
                return TABLE;
            }
            self.elements[index].clear();
        }
        for (index, segment) in self.world.data.iter().enumerate() {
            let Some((memory, offset)) = segment.place else { continue };
            let length = self.data[index].len() as u32;
            let args = [u64::from(offset), 0, length.into()].map(Value::I64);
            if self.apply(Op::MemoryInit(memory, index), &args).is_none() {
                return MEMORY;
            }
            self.data[index].clear();
        }
        Ending::Values(Vec::new())
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

    /// The first step that is not as predicted; `offsets` are those of the functions' operations.
    fn judge(&mut self, run: &Run, calls: &[Call], offsets: &[u32]) -> Option<String> {
        let begun = self.instantiate();
        let fails = begun != Ending::Values(Vec::new());
        let wanted = if fails { 1 } else { calls.len() + 1 };
        for (step, seen) in run.steps.iter().enumerate() {
            let Some(call) = step.checked_sub(1).and_then(|index| calls.get(index)) else {
                let differs = self.differs(&begun, seen, None, fails);
                if let Some(what) = differs {
                    return Some(format!("instantiation: {what}"));
                }
                continue;
            };
            let op = call.func.checked_sub(CALLEES).and_then(|position| self.world.ops.get(position as usize)).copied();
            let (expected, name) = match op {
                Some(op) => (self.call(op, &call.args), World::instruction(op)),
                None => (Ending::Values(vec![Value::I32(call.func)]), "a callee".to_owned()),
            };
            if let Some(what) = self.differs(&expected, seen, offsets.get(call.func as usize).copied(), false) {
                return Some(format!("call {step}: {name} with {:x?}: {what}", call.args));
            }
        }
        // Nothing here takes so long that it has to be stopped.
        let is_early = matches!(run.stopped, None | Some(Poison::Budget)) && run.steps.len() != wanted;
        is_early.then(|| format!("{} steps of {wanted}: stopped by {:?}", run.steps.len(), run.stopped))
    }

    /// What of a step is not as predicted; where nothing was made, there is no state.
    fn differs(&self, expected: &Ending, seen: &Step, offset: Option<u32>, is_nothing: bool) -> Option<String> {
        if *expected != seen.ending {
            return Some(format!("{expected:x?} expected, {:x?} seen", seen.ending));
        }
        if is_nothing {
            return (!seen.state.tables.is_empty()).then(|| "there is an instance all the same".to_owned());
        }
        if matches!(seen.ending, Ending::Trap(_)) && seen.offset != offset {
            return Some(format!("a trap at offset {offset:x?} expected, {:x?} seen", seen.offset));
        }
        if seen.state.tables != self.tables {
            return Some(format!("tables {:x?} expected, {:x?} seen", self.tables, seen.state.tables));
        }
        let memories = self.memories.iter().map(|bytes| MemoryState::of(bytes));
        if !memories.eq(seen.state.memories.iter().cloned()) {
            return Some("the contents of a memory differ from the model".to_owned());
        }
        let elements: Vec<_> = self.elements.iter().map(|segment| Some(segment.is_empty())).collect();
        let data: Vec<_> = self.data.iter().map(|segment| Some(segment.is_empty())).collect();
        if (&elements, &data) != (&seen.state.empty_elements, &seen.state.empty_data) {
            let seen = (&seen.state.empty_elements, &seen.state.empty_data);
            return Some(format!("empty segments {elements:?}, {data:?} expected, {seen:?} seen"));
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
    let size = if is_memory { MEMORY_BYTES as u64 } else { 12 };
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
        let form = if source.percent(35) { "exposed" } else { "original" };
        let case = Envelope::new("tables_bulk").set("subject", subject).set("form", form);
        let mut case = world.settings(case).module("main", wasm);
        case.calls = calls;
        Some(case)
    }

    fn rebuilds(&self) -> bool {
        true
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let Some(world) = World::of(case) else { return Outcome::default() };
        // The module is a function of the settings: a mutated one would not be what the model predicts.
        let Ok(wasm) = wat::parse_str(world.text()) else { return Outcome::default() };
        let mut same = case.clone();
        same.modules = vec![EnvelopeModule { name: "main".to_owned(), bytes: wasm }];
        // Budgets are as ever: an end of one is a failure here.
        same.settings.remove("steps");
        let Some(core) = case_of(&same) else { return Outcome::default() };
        let row = core.recipe.subject % CONFIGS.len();
        let engine = self.engines.entry(row).or_insert_with(|| WattestEngine::new(row));
        let name = engine.name();
        let run = match engine.run(&core.program, &core.recipe.plan) {
            Ok(run) => run,
            Err(refusal) => return Outcome::failed(&name, refusal.to_string()),
        };
        let offsets = World::offsets(&core.program.wasm);
        match Model::new(&world).judge(&run, &core.recipe.plan.calls, &offsets) {
            None => {
                let operations = world.counted(&core.recipe.plan.calls);
                let poison = run.stopped.map(|poison| format!("subject: {poison}")).into_iter().collect();
                Outcome { checks: run.steps.len() as u64, useful: true, poison, operations, ..Outcome::default() }
            }
            Some(what) => Outcome::failed(&name, what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Case;
    use crate::source::{case_seed, expand};
    use wattest_differential::{Form, Refusal};

    /// A case with its run, which is as predicted.
    fn sound(seed: u64) -> (World, Case, Run) {
        let case = TablesBulk::default().generate(&expand(case_seed(5, seed))).expect("a case");
        let (world, core) = (World::of(&case).expect("a world"), case_of(&case).expect("a module"));
        let run = WattestEngine::new(0).run(&core.program, &core.recipe.plan);
        let run = run.unwrap_or_else(|refusal: Refusal| panic!("{refusal}"));
        assert_eq!(judge(&world, &core, &run), None);
        (world, core, run)
    }

    fn judge(world: &World, core: &Case, run: &Run) -> Option<String> {
        Model::new(world).judge(run, &core.recipe.plan.calls, &World::offsets(&core.program.wasm))
    }

    #[test]
    fn every_difference_is_seen() {
        let (world, core, run) = sound(1);
        let check = |what: &str, expected: &str, change: &dyn Fn(&mut Run)| {
            let mut other = run.clone();
            change(&mut other);
            let found = judge(&world, &core, &other).unwrap_or_default();
            assert!(found.contains(expected), "{what}: {found:?}");
        };
        let trap = run.steps.iter().position(|step| matches!(step.ending, Ending::Trap(_))).expect("a trap");
        let flip = |flags: &mut Vec<Option<bool>>| flags[0] = flags[0].map(|flag| !flag);
        check("a data segment", "empty segments", &|run| flip(&mut run.steps[3].state.empty_data));
        check("an element segment", "empty segments", &|run| flip(&mut run.steps[3].state.empty_elements));
        check("a segment too few", "empty segments", &|run| run.steps[0].state.empty_data.truncate(0));
        check("an offset", "a trap at offset", &|run| run.steps[trap].offset = run.steps[trap].offset.map(|at| at + 1));
        check("no offset", "a trap at offset", &|run| run.steps[trap].offset = None);
        check("a table", "tables", &|run| run.steps[2].state.tables[0].push(Value::Extern(None)));
        check("a memory", "memory", &|run| run.steps[2].state.memories[1].hash ^= 1);
        check("an early end", "steps of", &|run| run.steps.truncate(5));
        check("a call that is stopped", "steps of", &|run| {
            run.steps.truncate(5);
            run.stopped = Some(Poison::Budget);
        });
    }

    #[test]
    fn segments_that_do_not_fit_end_the_instantiation() {
        let check = |setting: &str, value: &str, class: TrapClass| {
            let case = Envelope::new("tables_bulk").set("tables", "1,0,3,5,2").set(setting, value);
            let world = World::of(&case).expect("a world");
            assert_eq!(Model::new(&world).instantiate(), Ending::Trap(class), "{value}");
            let outcome = TablesBulk::default().run(&case);
            assert_eq!((outcome.disagreement, outcome.checks), (None, 1), "{value}");
        };
        check("active-elements", "0,3,1", TrapClass::TableOutOfBounds);
        check("active-elements", "0,0,1,2;0,4", TrapClass::TableOutOfBounds);
        check("active-data", "1,65535,1,2", TrapClass::MemoryOutOfBounds);
        check("active-data", "0,5,1;0,65537", TrapClass::MemoryOutOfBounds);
    }

    #[test]
    fn cases_have_every_kind_of_segment_and_form() {
        let mut seen = BTreeMap::<&str, u32>::new();
        for index in 0..40 {
            let case = TablesBulk::default().generate(&expand(case_seed(8, index))).expect("a case");
            for name in ["externals", "active-elements", "active-data"] {
                *seen.entry(name).or_default() += u32::from(case.get(name).is_some());
            }
            let core = case_of(&case).expect("a module");
            *seen.entry("exposed").or_default() += u32::from(core.recipe.plan.form == Form::Exposed);
        }
        assert!(seen.len() == 4 && seen.values().all(|count| *count >= 8), "{seen:?}");
    }
}
