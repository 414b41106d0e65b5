//! The property `op_matrix` in batches: every operation, in many surroundings, over all pairs of boundary values.
//!
//! A unit is a function about one operation: it reads vectors of operands from memory in a loop and writes what it computes
//! beside them, so that one call checks a thousand vectors. Expected are the values of the reference's plain functions,
//! written from the [numerics](https://webassembly.github.io/spec/core/exec/numerics.html) of the specification. Operands
//! come from parameters, from memory (the last cell ends with it), from constants, twice the same, from another operation;
//! results are stored, returned, used again, or decide a branch.
//!
//! Invariant: a unit's expected cells are a function of its trees and vectors alone.
//!
//! Does not know: engines; [`run`] does.

mod classes;
pub(crate) mod run;
pub(crate) mod tree;

use crate::case::{CALL_OPERATIONS_MAX, Case, Origin, Recipe};
use crate::corpus;
use crate::generate::{GENERATOR_VERSION, val_type};
use crate::source::{Source, expand};
use classes::class_of;
use std::sync::OnceLock;
use tree::{At, CELL_BYTES, Catalogue, Choice, Frame, LaneOperation, Operation, StoreOperation, Subject, Tree};
use tree::{UpdateOperation, UpdateRule, mask, width};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, Encode, ExportKind, ExportSection, Function, FunctionSection,
    Instruction, MemArg, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wattest_differential::{CONFIGS, Call, Form, NanRule, Plan, Program, Value, ValueType};
use wattest_reference::TrapClass;

/// Operations of one batch.
const SUBJECTS: usize = 10;

/// Vectors of a unit whose pairs are not all tried.
const VECTORS: usize = 240;

/// Most vectors of a unit: all pairs of two tables.
const VECTORS_MAX: usize = 1296;

/// Operands of a unit at most.
const OPERANDS_MAX: usize = 4;

/// Vectors that trap are called one by one: so many of each unit.
const TRAPS_MAX: usize = 6;

/// What a result cell holds where nothing was written.
const FILL: u128 = 0xa5a5_a5a5_a5a5_a5a5_a5a5_a5a5_a5a5_a5a5;

/// The export that calls the first unit.
const AGAIN: &str = "again";

/// Bytes of the memory: results from the start, operands up to the end.
const MEMORY_BYTES: u64 = 4 << 16;

/// One thing that a unit computes.
#[derive(Clone, Debug)]
enum Root<'t> {
    /// Values, stored whole; NaN lanes of this many bits are open.
    Value(Tree<'t>, Vec<ValueType>, u32),
    Store(&'t StoreOperation, Tree<'t>),
    StoreLane(&'t LaneOperation, u8, Tree<'t>),
    /// The lane comes from the cell of an operand.
    LoadLane(&'t LaneOperation, u8, usize, Tree<'t>),
    /// On a copy of an operand's cell: what is expected, if it is asked, and the operand.
    Update(&'t UpdateOperation, usize, Option<Tree<'t>>, Tree<'t>),
}

/// A function about one operation, and its vectors.
#[derive(Clone, Debug)]
pub(crate) struct Unit<'t> {
    types: Vec<ValueType>,
    roots: Vec<Root<'t>>,
    /// Cells, operand by operand, vector by vector.
    cells: Vec<u128>,
    /// Of each vector whether it holds boundary values.
    boundary: Vec<bool>,
    /// Where operands come from, or results go.
    surroundings: &'static str,
}

/// A module of units.
pub(crate) struct Batch {
    pub subject: usize,
    pub nans: NanRule,
    wide: bool,
    /// Pages of one byte.
    small_pages: bool,
    /// A memory that threads may share.
    shared: bool,
    pub units: Vec<Unit<'static>>,
}

/// What a unit should leave.
pub(crate) struct Expected {
    /// Vectors that do not trap.
    pub vectors: Vec<usize>,
    /// Their result cells.
    pub cells: Vec<u128>,
    /// Some of those that trap, and how.
    pub traps: Vec<ExpectedTrap>,
}

/// What a vector that traps should leave.
pub(crate) struct ExpectedTrap {
    pub vector: usize,
    pub class: TrapClass,
    /// Result cells: those of what comes before the trap, none of what comes behind it. Unknown where the operation that
    /// traps may have begun to write.
    pub left: Vec<Option<u128>>,
}

impl Expected {
    /// The vectors that are run, whatever they end in.
    fn run(&self) -> impl Iterator<Item = usize> {
        self.vectors.iter().copied().chain(self.traps.iter().map(|trap| trap.vector))
    }
}

/// Which operand bits of vectors are drawn alike.
const LANE_SHAPES: usize = 6;

/// Vectors kept of each shape.
const POOL: usize = 192;

/// Boundary vectors, by shape of their lanes.
fn vector_pool() -> &'static [Vec<u128>; LANE_SHAPES] {
    static POOLS: OnceLock<[Vec<u128>; LANE_SHAPES]> = OnceLock::new();
    POOLS.get_or_init(|| {
        std::array::from_fn(|shape| {
            let one = |index: usize| {
                let bytes = expand((shape * POOL + index) as u64);
                corpus::v128_of_shape(&mut Source::new(&bytes), shape)
            };
            (0..POOL).map(one).collect()
        })
    })
}

/// Choices of vectors: cheap, and as many as are wanted.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 33) as usize) % count.max(1)
    }
}

/// Cells of all vectors, and of each vector whether it holds boundary values.
fn draw(types: &[ValueType], all_pairs: bool, seed: u64) -> (Vec<u128>, Vec<bool>) {
    let mut dice = Dice(seed | 1);
    let scalars: Vec<Vec<u128>> = types.iter().map(|ty| corpus::scalars(*ty)).collect();
    let product: usize = scalars
        .iter()
        .map(|table| if table.is_empty() { usize::MAX / 8 } else { table.len() })
        .fold(1, usize::saturating_mul);
    let full = all_pairs && product <= VECTORS_MAX;
    let count = if full { product } else { VECTORS };
    let mut cells = Vec::with_capacity(count * types.len());
    let mut boundary = Vec::with_capacity(count);
    for vector in 0..count {
        let mut rest = vector;
        let shape = dice.below(LANE_SHAPES);
        // One in sixteen is any bits at all.
        let any = !full && dice.below(16) == 0;
        boundary.push(!any);
        for (ty, table) in types.iter().zip(&scalars) {
            let cell = if any {
                let word = |dice: &mut Dice| (dice.below(1 << 31) as u128) << 16 ^ dice.below(1 << 31) as u128;
                word(&mut dice) << 80 ^ word(&mut dice) << 40 ^ word(&mut dice)
            } else if *ty == ValueType::V128 {
                let shape = if dice.below(4) == 0 { dice.below(LANE_SHAPES) } else { shape };
                vector_pool()[shape][dice.below(POOL)]
            } else if full {
                let cell = table[rest % table.len()];
                rest /= table.len();
                cell
            } else {
                table[dice.below(table.len())]
            };
            cells.push(cell & mask(width(*ty)));
        }
    }
    (cells, boundary)
}

/// A constant of a type, from its boundary values.
fn constant(source: &mut Source<'_>, ty: ValueType) -> Tree<'static> {
    let bits = match ty {
        ValueType::V128 => {
            let pool = &vector_pool()[source.below(LANE_SHAPES)];
            pool[source.below(POOL)]
        }
        ty => source.pick(&corpus::scalars(ty)),
    };
    Tree::Constant(ty, bits)
}

fn value(ty: ValueType, bits: u128) -> Value {
    match ty {
        ValueType::I32 => Value::I32(bits as u32),
        ValueType::I64 => Value::I64(bits as u64),
        ValueType::F32 => Value::F32(bits as u32),
        ValueType::F64 => Value::F64(bits as u64),
        _ => Value::V128(bits),
    }
}

fn operands(types: &[ValueType]) -> Vec<Tree<'static>> {
    (0..types.len()).map(Tree::Operand).collect()
}

/// A load that gives this type, from an operand's cell.
fn loaded(source: &mut Source<'_>, ty: ValueType, index: usize) -> Tree<'static> {
    let loads: Vec<_> = Catalogue::get().loads.iter().filter(|load| load.result == ty).collect();
    Tree::Load(loads[source.below(loads.len())], index)
}

const NUMBERS: [ValueType; 5] = [ValueType::I32, ValueType::I64, ValueType::F32, ValueType::F64, ValueType::V128];

impl Batch {
    /// The batch of a generator's input.
    pub fn generate(source: &mut Source<'_>, subjects: usize) -> Batch {
        let nans = if source.percent(75) { NanRule::Exact } else { NanRule::Arithmetic };
        let subject = source.below(subjects);
        let wide = source.percent(25);
        let small_pages = source.percent(15);
        let shared = !small_pages && source.percent(12);
        let catalogue = Catalogue::get();
        let mut units = Vec::new();
        for _ in 0..SUBJECTS {
            let row = source.below(catalogue.subjects.len());
            let chosen = match catalogue.subjects[row] {
                Subject::Wait(_) if !shared => Subject::Notify,
                // Few batches have a shared memory: there, waits are common.
                _ if shared && source.percent(15) => Subject::Wait(source.pick(&[4, 8])),
                chosen => chosen,
            };
            units.push(unit(source, chosen, nans));
            if matches!(chosen, Subject::Operation(_)) {
                units.push(unit(source, chosen, nans));
            }
        }
        Batch { subject, nans, wide, small_pages, shared, units }
    }

    fn address(&self) -> ValType {
        if self.wide { ValType::I64 } else { ValType::I32 }
    }

    fn memory(&self) -> MemoryType {
        let page_log2 = if self.small_pages { 0 } else { 16 };
        let pages = MEMORY_BYTES >> page_log2;
        MemoryType {
            minimum: pages,
            maximum: Some(pages),
            memory64: self.wide,
            shared: self.shared,
            page_size_log2: self.small_pages.then_some(0),
        }
    }

    /// The module: unit `k` is the export `k`, of operands' address, results' address and number of vectors; the last
    /// export calls the first unit as often as its fourth parameter says.
    pub fn module(&self) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([self.address(), self.address(), ValType::I32], []);
        types.ty().function([self.address(), self.address(), ValType::I32, ValType::I32], []);
        let (mut functions, mut memories) = (FunctionSection::new(), MemorySection::new());
        let (mut exports, mut code) = (ExportSection::new(), CodeSection::new());
        memories.memory(self.memory());
        exports.export("m", ExportKind::Memory, 0);
        for (index, unit) in self.units.iter().enumerate() {
            functions.function(0);
            exports.export(&index.to_string(), ExportKind::Func, index as u32);
            code.raw(&unit.body(self.wide));
        }
        functions.function(1);
        exports.export(AGAIN, ExportKind::Func, self.units.len() as u32);
        code.raw(&again());
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
        module.finish()
    }

    /// The runtime's configuration, as reports name it.
    pub fn subject_name(&self) -> String {
        format!("wattest ({})", CONFIGS[self.subject % CONFIGS.len()].name)
    }

    /// The case of one vector in one root, which the result cell belongs to; `None` where the oracle has no such operation.
    pub fn case(&self, unit: usize, vector: usize, cell: usize) -> Option<Case> {
        let (root, _) = self.units[unit].root_of(cell);
        let mut is_atomic = false;
        self.units[unit].roots[root].names(&mut |name| is_atomic |= name.contains("Atomic"));
        if is_atomic {
            return None;
        }
        let (wasm, args) = self.alone(unit, root, vector);
        let program = Program::new(wasm).ok()?;
        let args = args.into_iter().map(|(ty, bits)| value(ty, bits)).collect();
        let plan = Plan {
            calls: vec![Call { func: 0, args }],
            form: Form::Original,
            nans: self.nans,
            acting_host: false,
            host_seed: 0,
            steps_max: CALL_OPERATIONS_MAX,
            capture: None,
            state_every: 1,
        };
        let generator = GENERATOR_VERSION;
        let recipe = Recipe { seed: None, generator, origin: Origin::Typed, subject: self.subject, plan };
        Some(Case { recipe, program, functions: 1, operations: 1, donor: None })
    }

    /// A module with one function that computes one root of one vector, from parameters where it can; and its arguments'
    /// types and bits.
    fn alone(&self, unit: usize, root: usize, vector: usize) -> (Vec<u8>, Vec<(ValueType, u128)>) {
        let unit = &self.units[unit];
        let cells = unit.vector(vector);
        let (body, results) = unit.alone(&unit.roots[root], self.wide);
        let mut types = TypeSection::new();
        types.ty().function(unit.types.iter().map(|ty| val_type(*ty)), results);
        let (mut functions, mut memories, mut data) =
            (FunctionSection::new(), MemorySection::new(), DataSection::new());
        let (mut exports, mut code) = (ExportSection::new(), CodeSection::new());
        functions.function(0);
        exports.export("f", ExportKind::Func, 0);
        code.raw(&body);
        let mut module = Module::new();
        module.section(&types).section(&functions);
        if unit.roots[root].uses_memory() {
            memories.memory(self.memory());
            let offset = if self.wide { ConstExpr::i64_const(0) } else { ConstExpr::i32_const(0) };
            let bytes: Vec<u8> = cells.iter().flat_map(|cell| cell.to_le_bytes()).collect();
            data.active(0, &offset, bytes);
            module.section(&memories).section(&exports).section(&code).section(&data);
        } else {
            module.section(&exports).section(&code);
        }
        (module.finish(), unit.types.iter().copied().zip(cells.iter().copied()).collect())
    }
}

/// The body of [`AGAIN`].
fn again() -> Vec<u8> {
    const TIMES: u32 = 3;
    let mut code = Function::new([]).into_raw_body();
    Instruction::Loop(BlockType::Empty).encode(&mut code);
    (0..TIMES).for_each(|local| Instruction::LocalGet(local).encode(&mut code));
    Instruction::Call(0).encode(&mut code);
    Instruction::LocalGet(TIMES).encode(&mut code);
    Instruction::I32Const(1).encode(&mut code);
    Instruction::I32Sub.encode(&mut code);
    Instruction::LocalTee(TIMES).encode(&mut code);
    Instruction::BrIf(0).encode(&mut code);
    Instruction::End.encode(&mut code);
    Instruction::End.encode(&mut code);
    code
}

/// A unit about a subject.
fn unit(source: &mut Source<'_>, subject: Subject, nans: NanRule) -> Unit<'static> {
    let catalogue = Catalogue::get();
    let (types, roots, all_pairs, surroundings) = match subject {
        Subject::Operation(row) => {
            let variants = &catalogue.operations[row];
            let variant = source.below(variants.len());
            operation(source, &variants[variant], nans)
        }
        Subject::Load(row) => {
            let load = &catalogue.loads[row];
            let exact = vec![load.result];
            let roots = (0..2).map(|index| Root::Value(Tree::Load(load, index), exact.clone(), 0)).collect();
            (vec![ValueType::V128, ValueType::V128], roots, false, "memory")
        }
        Subject::Store(row) => {
            let store = &catalogue.stores[row];
            let ty = store.operand;
            let second = if source.percent(50) { constant(source, ty) } else { loaded(source, ty, 0) };
            (vec![ty], vec![Root::Store(store, Tree::Operand(0)), Root::Store(store, second)], true, "memory")
        }
        Subject::Lane(row) => {
            let lane_operation = &catalogue.lanes[row];
            let lane = source.below(16 / usize::from(lane_operation.bytes)) as u8;
            let vector = if source.percent(30) { constant(source, ValueType::V128) } else { Tree::Operand(1) };
            let root = match lane_operation.is_store {
                true => Root::StoreLane(lane_operation, lane, Tree::Operand(1)),
                false => Root::LoadLane(lane_operation, lane, 0, vector),
            };
            (vec![ValueType::V128, ValueType::V128], vec![root], false, "memory")
        }
        Subject::Update(row) => update(source, &catalogue.updates[row]),
        Subject::Fence => {
            let root = Root::Value(Tree::Fenced(Box::new(Tree::Operand(0))), vec![ValueType::I64], 0);
            (vec![ValueType::I64], vec![root], true, "memory")
        }
        Subject::Notify => {
            let root = Root::Value(Tree::Notify(1, Box::new(Tree::Operand(0))), vec![ValueType::I32], 0);
            (vec![ValueType::I32, ValueType::I64], vec![root], false, "memory")
        }
        Subject::Wait(bytes) => {
            let ty = if bytes == 4 { ValueType::I32 } else { ValueType::I64 };
            // Cells that hold what is expected, and any.
            let roots = (0..2).map(|index| {
                Root::Value(Tree::Wait(bytes, index, Box::new(Tree::Operand(0))), vec![ValueType::I32], 0)
            });
            (vec![ty, ty], roots.collect(), true, "memory")
        }
        Subject::Choice(choice) => {
            let ty = source.pick(&NUMBERS);
            let roots = (0..2).map(|_| chosen(source, choice, ty, Tree::Operand(0), 1)).collect();
            (vec![ValueType::I32, ty, ty], roots, false, "parameters")
        }
    };
    let (cells, boundary) = draw(&types, all_pairs, source.u64());
    Unit { types, roots, cells, boundary, surroundings }
}

/// A root in which `condition` chooses between values of type `ty`, of operands from `first` on and constants.
fn chosen(
    source: &mut Source<'_>,
    choice: Choice,
    ty: ValueType,
    condition: Tree<'static>,
    first: usize,
) -> Root<'static> {
    let count = if choice == Choice::BrTable { 4 } else { 2 };
    let constants = source.percent(50);
    let alternatives = (0..count)
        .map(|index| if constants || index > 1 { constant(source, ty) } else { Tree::Operand(first + index) })
        .collect();
    Root::Value(Tree::Choose(choice, ty, Box::new(condition), alternatives), vec![ty], 0)
}

/// Operand types, roots, whether all pairs are worth it, and the name of the surroundings.
type Parts = (Vec<ValueType>, Vec<Root<'static>>, bool, &'static str);

/// One of the surroundings of an operation.
fn operation(source: &mut Source<'_>, operation: &'static Operation, nans: NanRule) -> Parts {
    let types = operation.params.clone();
    let root = |tree: Tree<'static>| Root::Value(tree, operation.results.clone(), operation.nan_bits);
    let apply = |operands: Vec<Tree<'static>>| root(Tree::Apply(operation, operands));
    let direct = operands(&types);
    match source.below(8) {
        0 | 1 => (types, vec![apply(direct)], true, "parameters"),
        2 => {
            let loads = types.iter().enumerate().map(|(index, ty)| loaded(source, *ty, index)).collect();
            (vec![ValueType::V128; types.len()], vec![apply(loads)], false, "loads")
        }
        3 => {
            let mut roots = Vec::new();
            for _ in 0..4 {
                let mut mixed = direct.clone();
                let place = source.below(mixed.len());
                mixed[place] = constant(source, types[place]);
                roots.push(apply(mixed));
            }
            (types, roots, false, "constants")
        }
        4 => {
            // The first operand of each type, wherever the type is wanted.
            let first = |ty: &ValueType| types.iter().position(|known| known == ty).unwrap_or(0);
            let same = types.iter().map(|ty| Tree::Operand(first(ty))).collect();
            (types.clone(), vec![apply(same)], true, "same twice")
        }
        5 => {
            let swapped = match types.as_slice() {
                [a, b] if a == b => vec![Tree::Operand(1), Tree::Operand(0)],
                _ => direct.clone(),
            };
            let again = types.first().map(|ty| Root::Value(Tree::Operand(0), vec![*ty], 0));
            let mut roots = vec![apply(direct), apply(swapped)];
            roots.extend(again);
            (types, roots, true, "used again")
        }
        6 if operation.results == [ValueType::I32] => {
            let ty = source.pick(&NUMBERS);
            let choice = source.pick(&[Choice::Select, Choice::If, Choice::BrIf, Choice::BrTable]);
            let mut wider = types.clone();
            wider.extend([ty, ty]);
            let condition = Tree::Apply(operation, direct);
            let first = types.len();
            if wider.len() > OPERANDS_MAX {
                return (types, vec![root(condition)], true, "parameters");
            }
            (wider, vec![chosen(source, choice, ty, condition, first)], false, "condition")
        }
        _ => chain(source, operation, nans),
    }
}

/// An operation on the result of another, and the other way round.
fn chain(source: &mut Source<'_>, operation: &'static Operation, nans: NanRule) -> Parts {
    let mut types = operation.params.clone();
    let place = source.below(types.len());
    let ty = types[place];
    let rows: Vec<&Operation> = Catalogue::get().operations.iter().filter_map(|row| row.first()).collect();
    let fits = |inner: &&&Operation| {
        inner.results == [ty]
            && inner.params.len() + types.len() <= OPERANDS_MAX + 1
            && (nans == NanRule::Exact || inner.nan_bits == 0)
    };
    let inner: Vec<&Operation> = rows.iter().filter(fits).copied().collect();
    let mut outer = operands(&types);
    if !inner.is_empty() {
        let inner = inner[source.below(inner.len())];
        // Its operands: those of the outer operation where the types fit, else new ones.
        let reuse = source.percent(50);
        let mut own = Vec::new();
        for ty in &inner.params {
            let known = types.iter().position(|known| known == ty).filter(|_| reuse);
            match known {
                Some(index) => own.push(Tree::Operand(index)),
                None if types.len() < OPERANDS_MAX => {
                    types.push(*ty);
                    own.push(Tree::Operand(types.len() - 1));
                }
                None => own.push(constant(source, *ty)),
            }
        }
        outer[place] = Tree::Apply(inner, own);
    }
    let root = Root::Value(Tree::Apply(operation, outer), operation.results.clone(), operation.nan_bits);
    (types, vec![root], false, "chain")
}

fn update(source: &mut Source<'_>, operation: &'static UpdateOperation) -> Parts {
    let ty = operation.ty;
    let expected = match operation.rule {
        UpdateRule::Update(_) => None,
        // What is there in one of two cases: as far as the access reaches, mostly.
        UpdateRule::Exchange(_) => Some(if source.percent(60) {
            let loads = Catalogue::get().loads.iter().filter(|load| load.result == ty && load.name.ends_with('U'));
            let loads: Vec<_> = loads.collect();
            let whole = if ty == ValueType::I32 { "I32Load" } else { "I64Load" };
            let whole = Catalogue::get().loads.iter().find(|load| load.name == whole);
            match whole.filter(|_| source.percent(50)) {
                Some(whole) => Tree::Load(whole, 0),
                None => Tree::Load(loads[source.below(loads.len())], 0),
            }
        } else {
            Tree::Operand(1)
        }),
    };
    (vec![ValueType::V128, ty, ty], vec![Root::Update(operation, 0, expected, Tree::Operand(2))], false, "memory")
}

impl Root<'_> {
    /// Cells of its results.
    fn cells(&self) -> usize {
        if matches!(self, Root::Update(..)) { 2 } else { 1 }
    }

    fn uses_memory(&self) -> bool {
        fn loads(tree: &Tree<'_>) -> bool {
            match tree {
                Tree::Load(..) | Tree::Fenced(_) | Tree::Notify(..) | Tree::Wait(..) => true,
                Tree::Operand(_) | Tree::Constant(..) => false,
                Tree::Apply(_, operands) => operands.iter().any(loads),
                Tree::Choose(_, _, condition, alternatives) => loads(condition) || alternatives.iter().any(loads),
            }
        }
        match self {
            Root::Value(tree, ..) => loads(tree),
            _ => true,
        }
    }

    /// Computes and writes, to cells at `out`. `pair` is the first of two spare locals of type i64.
    fn encode(&self, frame: &Frame, out: At, pair: u32, code: &mut Vec<u8>) {
        Instruction::LocalGet(out.local).encode(code);
        match self {
            Root::Value(tree, types, _) => {
                tree.encode(frame, code);
                match types.as_slice() {
                    [ty] => store_whole(*ty, out.offset).encode(code),
                    _ => {
                        Instruction::LocalSet(pair + 1).encode(code);
                        Instruction::LocalSet(pair).encode(code);
                        Instruction::LocalGet(pair).encode(code);
                        store_whole(ValueType::I64, out.offset).encode(code);
                        Instruction::LocalGet(out.local).encode(code);
                        Instruction::LocalGet(pair + 1).encode(code);
                        store_whole(ValueType::I64, out.offset + 8).encode(code);
                    }
                }
            }
            Root::Store(store, tree) => {
                tree.encode(frame, code);
                store.encode(out.offset, code);
            }
            Root::StoreLane(lane_operation, lane, tree) => {
                tree.encode(frame, code);
                lane_operation.encode(out.offset, *lane, code);
            }
            Root::LoadLane(lane_operation, lane, operand, tree) => {
                Instruction::LocalGet(frame.base).encode(code);
                tree.encode(frame, code);
                lane_operation.encode(*operand as u64 * CELL_BYTES, *lane, code);
                store_whole(ValueType::V128, out.offset).encode(code);
            }
            Root::Update(update, operand, expected, tree) => {
                // The cell is a copy of the operand's.
                Instruction::LocalGet(frame.base).encode(code);
                let place = MemArg { offset: *operand as u64 * CELL_BYTES, align: 0, memory_index: 0 };
                Instruction::V128Load(place).encode(code);
                store_whole(ValueType::V128, out.offset).encode(code);
                Instruction::LocalGet(out.local).encode(code);
                Instruction::LocalGet(out.local).encode(code);
                if let Some(expected) = expected {
                    expected.encode(frame, code);
                }
                tree.encode(frame, code);
                update.encode(out.offset, code);
                store_whole(update.ty, out.offset + CELL_BYTES).encode(code);
            }
        }
    }

    /// Pushes its result cells.
    fn evaluate(&self, cells: &[u128], types: &[ValueType], out: &mut Vec<u128>) -> Result<(), TrapClass> {
        let mut stack = Vec::with_capacity(6);
        let mut value = |tree: &Tree<'_>| {
            stack.clear();
            tree.evaluate(cells, types, &mut stack)?;
            Ok(stack.iter().rev().fold(0u128, |cell, part| if stack.len() > 1 { cell << 64 | part } else { *part }))
        };
        let whole = |ty: ValueType, bits: u128| FILL & !mask(width(ty)) | bits & mask(width(ty));
        match self {
            Root::Value(tree, results, _) => {
                let bits = value(tree)?;
                out.push(if let [ty] = results.as_slice() { whole(*ty, bits) } else { bits });
            }
            Root::Store(store, tree) => out.push(store.stored(FILL, value(tree)?)),
            Root::StoreLane(lane_operation, lane, tree) => out.push(lane_operation.moved(FILL, value(tree)?, *lane)),
            Root::LoadLane(lane_operation, lane, operand, tree) => {
                out.push(lane_operation.moved(cells[*operand], value(tree)?, *lane));
            }
            Root::Update(update, operand, expected, tree) => {
                let expected = expected.as_ref().map_or(Ok(0), &mut value)?;
                let (cell, old) = update.reduce(cells[*operand], expected, value(tree)?);
                out.extend([cell, whole(update.ty, old)]);
            }
        }
        Ok(())
    }

    /// Width of the lanes that may hold other NaNs.
    fn nan_bits(&self) -> u32 {
        if let Root::Value(_, _, bits) = self { *bits } else { 0 }
    }

    fn names(&self, add: &mut dyn FnMut(&str)) {
        match self {
            Root::Value(tree, ..) => tree.names(add),
            Root::Store(store, tree) => {
                add(&store.name);
                tree.names(add);
            }
            Root::StoreLane(lane, ..) | Root::LoadLane(lane, ..) => add(&lane.name),
            Root::Update(update, ..) => add(&update.name),
        }
    }
}

fn store_whole(ty: ValueType, offset: u64) -> Instruction<'static> {
    let memarg = MemArg { offset, align: 0, memory_index: 0 };
    match ty {
        ValueType::I32 => Instruction::I32Store(memarg),
        ValueType::I64 => Instruction::I64Store(memarg),
        ValueType::F32 => Instruction::F32Store(memarg),
        ValueType::F64 => Instruction::F64Store(memarg),
        _ => Instruction::V128Store(memarg),
    }
}

fn load_whole(ty: ValueType, offset: u64) -> Instruction<'static> {
    let memarg = MemArg { offset, align: 0, memory_index: 0 };
    match ty {
        ValueType::I32 => Instruction::I32Load(memarg),
        ValueType::I64 => Instruction::I64Load(memarg),
        ValueType::F32 => Instruction::F32Load(memarg),
        ValueType::F64 => Instruction::F64Load(memarg),
        _ => Instruction::V128Load(memarg),
    }
}

impl Unit<'_> {
    pub fn count(&self) -> usize {
        self.cells.len() / self.types.len()
    }

    pub fn vector(&self, index: usize) -> &[u128] {
        &self.cells[index * self.types.len()..(index + 1) * self.types.len()]
    }

    /// Result cells of one vector.
    pub fn width(&self) -> usize {
        self.roots.iter().map(Root::cells).sum()
    }

    /// The root that a result cell belongs to, and how wide its open lanes are.
    pub fn root_of(&self, cell: usize) -> (usize, u32) {
        let mut rest = cell;
        for (index, root) in self.roots.iter().enumerate() {
            match rest.checked_sub(root.cells()) {
                None => return (index, root.nan_bits()),
                Some(left) => rest = left,
            }
        }
        (0, 0)
    }

    /// Operations with their surroundings and the classes of values that their vectors hold, and in how many vectors that
    /// are run.
    pub fn value_classes(&self, expected: &Expected, add: &mut dyn FnMut(String, u64)) {
        let mut counts = [0; classes::CLASSES.len()];
        for vector in expected.run() {
            let seen = self
                .vector(vector)
                .iter()
                .zip(&self.types)
                .fold(0u32, |seen, (cell, ty)| seen | 1 << class_of(*ty, *cell));
            counts.iter_mut().enumerate().for_each(|(class, count)| *count += u64::from(seen >> class & 1));
        }
        for root in &self.roots {
            root.names(&mut |name| {
                for (class, count) in classes::CLASSES.iter().zip(counts).filter(|(_, count)| *count > 0) {
                    add(format!("{name} {}/{class}", self.surroundings), count);
                }
            });
        }
    }

    /// Operations that boundary values reach, with their surroundings, and how often.
    pub fn executions(&self, expected: &Expected, add: &mut dyn FnMut(String, u64)) {
        let count = expected.run().filter(|vector| self.boundary[*vector]).count() as u64;
        for root in &self.roots {
            root.names(&mut |name| add(format!("{name} {}", self.surroundings), count));
        }
    }

    /// Whether what a root computes of a vector can hold no NaN but canonical ones: of one operation on operands as they are,
    /// if none of these is another NaN
    /// ([spec](https://webassembly.github.io/spec/core/exec/numerics.html#nan-propagation)).
    pub fn makes_canonical_nans(&self, root: usize, vector: usize) -> bool {
        let Some(Root::Value(Tree::Apply(_, operands), ..)) = self.roots.get(root) else { return false };
        operands.iter().all(|operand| match operand {
            Tree::Operand(index) => !classes::holds_other_nan(self.types[*index], self.vector(vector)[*index]),
            Tree::Constant(ty, bits) => !classes::holds_other_nan(*ty, *bits),
            _ => false,
        })
    }

    /// Accesses to memory, all vectors together.
    pub fn accesses(&self) -> u64 {
        (self.count() * (self.types.len() + self.roots.len())) as u64
    }

    /// What the reference's functions make of it.
    pub fn expected(&self) -> Expected {
        let mut expected = Expected { vectors: Vec::new(), cells: Vec::new(), traps: Vec::new() };
        expected.cells.reserve(self.count() * self.width());
        for vector in 0..self.count() {
            let before = expected.cells.len();
            let cells = self.vector(vector);
            let mut done = before;
            let trap = self.roots.iter().find_map(|root| {
                done = expected.cells.len();
                root.evaluate(cells, &self.types, &mut expected.cells).err().map(|class| (class, root.cells()))
            });
            let Some((class, open)) = trap else {
                expected.vectors.push(vector);
                continue;
            };
            if expected.traps.len() < TRAPS_MAX {
                let mut left: Vec<Option<u128>> = expected.cells[before..done].iter().copied().map(Some).collect();
                left.extend(vec![None; open]);
                left.resize(self.width(), Some(FILL));
                expected.traps.push(ExpectedTrap { vector, class, left });
            }
            expected.cells.truncate(before);
        }
        expected
    }

    /// The loop over vectors.
    fn body(&self, wide: bool) -> Vec<u8> {
        const BASE: u32 = 0;
        const OUT: u32 = 1;
        const COUNT: u32 = 2;
        const FIRST: u32 = 3;
        let mut groups: Vec<(u32, ValType)> = self.types.iter().map(|ty| (1, val_type(*ty))).collect();
        groups.push((2, ValType::I64));
        let pair = FIRST + self.types.len() as u32;
        let mut code = Function::new(groups).into_raw_body();
        let frame = Frame { base: BASE, first: FIRST };
        Instruction::Loop(BlockType::Empty).encode(&mut code);
        for (index, ty) in self.types.iter().enumerate() {
            Instruction::LocalGet(BASE).encode(&mut code);
            load_whole(*ty, index as u64 * CELL_BYTES).encode(&mut code);
            Instruction::LocalSet(FIRST + index as u32).encode(&mut code);
        }
        let mut offset = 0;
        for root in &self.roots {
            root.encode(&frame, At { local: OUT, offset }, pair, &mut code);
            offset += root.cells() as u64 * CELL_BYTES;
        }
        for (local, bytes) in [(BASE, self.types.len() as i32 * 16), (OUT, self.width() as i32 * 16)] {
            Instruction::LocalGet(local).encode(&mut code);
            if wide {
                Instruction::I64Const(bytes.into()).encode(&mut code);
                Instruction::I64Add.encode(&mut code);
            } else {
                Instruction::I32Const(bytes).encode(&mut code);
                Instruction::I32Add.encode(&mut code);
            }
            Instruction::LocalSet(local).encode(&mut code);
        }
        Instruction::LocalGet(COUNT).encode(&mut code);
        Instruction::I32Const(1).encode(&mut code);
        Instruction::I32Sub.encode(&mut code);
        Instruction::LocalTee(COUNT).encode(&mut code);
        Instruction::BrIf(0).encode(&mut code);
        Instruction::End.encode(&mut code);
        Instruction::End.encode(&mut code);
        code
    }

    /// One root, once, operands from parameters; cells are at address 0, results behind them.
    fn alone(&self, root: &Root<'_>, wide: bool) -> (Vec<u8>, Vec<ValType>) {
        let address = if wide { ValType::I64 } else { ValType::I32 };
        let base = self.types.len() as u32;
        let frame = Frame { base, first: 0 };
        let mut code = match root.uses_memory() {
            true => Function::new([(1, address), (2, ValType::I64)]).into_raw_body(),
            false => Function::new([]).into_raw_body(),
        };
        let results = if let Root::Value(tree, results, _) = root {
            tree.encode(&frame, &mut code);
            results.iter().map(|ty| val_type(*ty)).collect()
        } else {
            let offset = self.types.len() as u64 * CELL_BYTES;
            root.encode(&frame, At { local: base, offset }, base + 1, &mut code);
            let words = root.cells() as u64 * 2;
            for word in 0..words {
                Instruction::LocalGet(base).encode(&mut code);
                load_whole(ValueType::I64, offset + word * 8).encode(&mut code);
            }
            vec![ValType::I64; words as usize]
        };
        Instruction::End.encode(&mut code);
        (code, results)
    }
}

#[cfg(test)]
mod tests {
    use super::run::BatchEngines;
    use super::*;
    use std::collections::BTreeSet;

    /// Every subject in a unit of its own, in a configuration that changes with it: the runtime computes what is expected,
    /// and what is expected is compared.
    #[test]
    fn every_subject_agrees() {
        let mut engines = BatchEngines::default();
        let mut reached = BTreeSet::new();
        let catalogue = Catalogue::get();
        for (row, subject) in catalogue.subjects.iter().enumerate() {
            let bytes = expand(row as u64);
            let mut source = Source::new(&bytes);
            let nans = if row % 4 == 0 { NanRule::Arithmetic } else { NanRule::Exact };
            let units = vec![unit(&mut source, *subject, nans)];
            let shared = matches!(subject, Subject::Wait(_));
            let small_pages = row % 5 == 0 && !shared;
            let batch = Batch { subject: row, nans, wide: row % 3 == 0, small_pages, shared, units };
            let checked = engines.check(&batch);
            assert!(checked.difference.is_none(), "{subject:?}: {:?}", checked.difference);
            assert!(checked.checks > 0, "{subject:?}");
            reached.extend(checked.executions.into_keys());
        }
        // In some surroundings only other operations meet boundary values, so not all names turn up every time.
        assert!(reached.len() > catalogue.subjects.len() * 9 / 10, "{} of {}", reached.len(), catalogue.subjects.len());
    }

    /// A case alone computes what the unit does, so that it shows what the unit showed.
    #[test]
    fn cases_alone_agree_with_the_oracle() {
        let mut checker = crate::diff_core::Checker::new();
        for seed in 0..12 {
            let bytes = expand(seed);
            let batch = Batch::generate(&mut Source::new(&bytes), CONFIGS.len());
            for unit in 0..batch.units.len() {
                let Some(case) = batch.case(unit, seed as usize, 0) else { continue };
                let outcome = checker.check_knowingly(&case);
                assert_eq!(outcome.disagreement, None, "unit {unit} of batch {seed}");
                let opinion = checker.second_opinion(&case);
                assert_eq!(opinion.alone, None, "unit {unit} of batch {seed}");
                assert!(!opinion.tally.is_empty());
            }
        }
    }
}
