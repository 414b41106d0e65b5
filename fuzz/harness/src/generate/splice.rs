//! Functions of other modules in a generated one.
//!
//! A [`Donation`] is a few functions of a donor and, mostly, what they call. Their types, globals, tables and memories become
//! those of the host module where it has some that fit, or come along; so do segments. What is not taken of the functions
//! that they call has a stand-in: the donor's imports are functions of the host, everything else is a generated leaf of the
//! same type. Spliced functions lie between the generated functions that may call them and the leaves, which call neither
//! them nor through tables; a call back to an earlier one becomes a call of a leaf, and only those that call nothing
//! indirectly are ever in tables. So there is no recursion. A loop counts its rounds, since what ended with the donor's
//! arguments may not end with others.
//!
//! Invariant: the module is valid if the donor's functions were
//! ([spec](https://webassembly.github.io/spec/core/valid/modules.html)); memories and tables keep their small maximum.
//!
//! Does not know: where donors come from.

use super::donor::{DonorBody, DonorModule, Target};
use super::world::{DataPlan, ElementPlan, Placement, World};
use crate::source::Source;
use std::collections::{BTreeMap, BTreeSet};
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{BlockType, Function, Instruction, ValType};
use wasmparser::Operator;
use wattest_differential::{FuncSignature, MemoryShape, TableShape, Value, ValueType};

/// Functions of a donation.
const FUNCTIONS_MAX: usize = 8;

/// Types of stand-ins that a donation may need, of each kind.
const STAND_INS_MAX: usize = 6;

/// Rounds of all loops of one call of a spliced function.
const ROUNDS_MAX: i32 = 60;

/// Most bytes of a segment that comes along.
const SEGMENT_BYTES_MAX: usize = 1024;

/// Most elements of a table that comes along.
const ELEMENTS_MAX: u64 = 40;

/// Functions of a donor.
pub(crate) struct Donation {
    donor: &'static DonorModule,
    /// Indices in the donor, those that call before those that are called as far as that is possible.
    functions: Vec<u32>,
    /// Types of the host's functions that are needed.
    hosts: Vec<FuncSignature>,
    /// Types of the leaves that are needed.
    leaves: Vec<FuncSignature>,
}

/// Where a donation's functions are in a module.
pub struct Placed {
    donation: Donation,
    /// Index of the first host function for it, the first function of it and the first leaf for it.
    hosts: u32,
    first: u32,
    leaves: u32,
    /// The bodies, once everything else is known.
    bodies: Vec<Vec<u8>>,
    /// Operations in them.
    operations: u32,
}

/// What a function of the donor is in the module.
enum Role {
    Host(FuncSignature),
    Spliced(usize),
    Leaf(FuncSignature),
}

/// The body of a function of a donation, which holds only what can be taken.
fn body(donor: &'static DonorModule, index: u32) -> &'static DonorBody {
    donor.gives(index).expect("a donation's functions are given")
}

/// What may be called or referred to from a body: functions that it names, that its segments hold, that its tables hold at the
/// beginning.
fn named(donor: &DonorModule, body: &DonorBody) -> BTreeSet<u32> {
    let mut named = body.uses.functions.clone();
    for (index, element) in donor.elements.iter().enumerate() {
        let filled = matches!(element.target, Target::Active(table, _) if body.uses.tables.contains(&table));
        if filled || body.uses.elements.contains(&(index as u32)) {
            named.extend(element.items.iter().flatten());
        }
    }
    named
}

impl Donation {
    /// One to three functions of a donor and most of what they use; `None` where it has nothing to give.
    pub fn choose(source: &mut Source<'_>, donor: &'static DonorModule) -> Option<Donation> {
        let given: Vec<u32> = donor.given().collect();
        let mut functions: Vec<u32> = Vec::new();
        for _ in 0..source.between(1, 3) {
            let root = *given.get(source.below(given.len()))?;
            if !functions.contains(&root) {
                functions.push(root);
            }
        }
        let mut next = 0;
        while let Some(index) = functions.get(next).copied() {
            next += 1;
            for callee in named(donor, body(donor, index)) {
                let is_room = functions.len() < FUNCTIONS_MAX && donor.gives(callee).is_some();
                if is_room && !functions.contains(&callee) && source.percent(80) {
                    functions.push(callee);
                }
            }
        }
        Donation { donor, functions, hosts: Vec::new(), leaves: Vec::new() }.with_stand_ins()
    }

    /// Finds out which stand-ins are needed; without the functions for which there would be too many.
    fn with_stand_ins(mut self) -> Option<Donation> {
        let mut position = 0;
        while position < self.functions.len() {
            let (mut hosts, mut leaves) = (self.hosts.clone(), self.leaves.clone());
            let own = body(self.donor, self.functions[position]);
            for callee in &own.uses.functions {
                for role in [self.called(position, *callee)?, self.referred(*callee)?] {
                    let (kind, ty) = match role {
                        Role::Host(ty) => (&mut hosts, ty),
                        Role::Leaf(ty) => (&mut leaves, ty),
                        Role::Spliced(_) => continue,
                    };
                    if !kind.contains(&ty) {
                        kind.push(ty);
                    }
                }
            }
            if hosts.len().max(leaves.len()) <= STAND_INS_MAX {
                (self.hosts, self.leaves) = (hosts, leaves);
                position += 1;
            } else {
                // Everybody's stand-ins change.
                self.functions.remove(position);
                (self.hosts, self.leaves) = (Vec::new(), Vec::new());
                position = 0;
            }
        }
        (!self.functions.is_empty()).then_some(self)
    }

    /// What a call of a function means in the one at `position`: only later ones are called.
    fn called(&self, position: usize, callee: u32) -> Option<Role> {
        let ty = self.donor.signature(callee)?.clone();
        let later = self.functions.iter().skip(position + 1).position(|index| *index == callee);
        Some(match later {
            _ if callee < self.donor.imported_functions => Role::Host(ty),
            Some(found) => Role::Spliced(position + 1 + found),
            None => Role::Leaf(ty),
        })
    }

    /// What a reference to a function means.
    fn referred(&self, function: u32) -> Option<Role> {
        let ty = self.donor.signature(function)?.clone();
        let own = self.functions.iter().position(|index| *index == function);
        Some(match own.filter(|_| !self.donor.indirect_below(function)) {
            _ if function < self.donor.imported_functions => Role::Host(ty),
            Some(position) => Role::Spliced(position),
            None => Role::Leaf(ty),
        })
    }

    /// Types of the functions.
    pub fn signatures(&self) -> impl Iterator<Item = FuncSignature> + '_ {
        self.functions.iter().filter_map(|index| self.donor.signature(*index).cloned())
    }

    /// Types of the host's functions and of the leaves that it needs.
    pub fn stand_ins(&self) -> (&[FuncSignature], &[FuncSignature]) {
        (&self.hosts, &self.leaves)
    }

    /// It has these places in the module's functions: the first host function, its first own one, the first leaf for it.
    pub fn at(self, hosts: u32, first: u32, leaves: u32) -> Placed {
        Placed { donation: self, hosts, first, leaves, bodies: Vec::new(), operations: 0 }
    }
}

/// Indices of the donor's items in the module.
#[derive(Default)]
struct Mapping {
    tables: BTreeMap<u32, u32>,
    memories: BTreeMap<u32, u32>,
    globals: BTreeMap<u32, u32>,
    elements: BTreeMap<u32, u32>,
    data: BTreeMap<u32, u32>,
    types: BTreeMap<u32, u32>,
    /// In the body at hand.
    calls: BTreeMap<u32, u32>,
    references: BTreeMap<u32, u32>,
}

/// Something has no place.
#[derive(Debug)]
struct Unplaced;

type Moved = Result<u32, Error<Unplaced>>;

fn moved(map: &BTreeMap<u32, u32>, index: u32) -> Moved {
    map.get(&index).copied().ok_or(Error::UserError(Unplaced))
}

impl Reencode for Mapping {
    type Error = Unplaced;

    fn type_index(&mut self, index: u32) -> Moved {
        moved(&self.types, index)
    }

    fn function_index(&mut self, index: u32) -> Moved {
        moved(&self.calls, index)
    }

    fn table_index(&mut self, index: u32) -> Moved {
        moved(&self.tables, index)
    }

    fn memory_index(&mut self, index: u32) -> Moved {
        moved(&self.memories, index)
    }

    fn global_index(&mut self, index: u32) -> Moved {
        moved(&self.globals, index)
    }

    fn element_index(&mut self, index: u32) -> Moved {
        moved(&self.elements, index)
    }

    fn data_index(&mut self, index: u32) -> Moved {
        moved(&self.data, index)
    }
}

impl Placed {
    /// Where the functions are.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.first as usize..self.first as usize + self.donation.functions.len()
    }

    /// Those that tables and references may hold.
    pub fn referable(&self) -> impl Iterator<Item = u32> + '_ {
        let functions = (self.first..).zip(&self.donation.functions);
        functions.filter(|(_, index)| !self.donation.donor.indirect_below(**index)).map(|(own, _)| own)
    }

    /// The body of a function of the module, if it is one of these.
    pub fn body(&self, index: usize) -> Option<&[u8]> {
        self.bodies.get(index.checked_sub(self.first as usize)?).map(Vec::as_slice)
    }

    /// Operations in the bodies.
    pub fn operations(&self) -> u32 {
        self.operations
    }

    /// Arguments that the donor's functions are called with where they are from.
    pub fn vectors(&self) -> BTreeMap<u32, Vec<Vec<Value>>> {
        let functions = (self.first..).zip(&self.donation.functions);
        functions.map(|(own, index)| (own, body(self.donation.donor, *index).vectors.clone())).collect()
    }

    fn index(&self, role: Role) -> Option<u32> {
        let at = |known: &[FuncSignature], ty: FuncSignature| known.iter().position(|known| *known == ty);
        Some(match role {
            Role::Host(ty) => self.hosts + at(&self.donation.hosts, ty)? as u32,
            Role::Spliced(position) => self.first + position as u32,
            Role::Leaf(ty) => self.leaves + at(&self.donation.leaves, ty)? as u32,
        })
    }

    /// Finds or makes a place for everything that the functions use, then encodes them.
    pub fn settle(&mut self, world: &mut World, source: &mut Source<'_>) {
        let bodies: Vec<&DonorBody> =
            self.donation.functions.iter().map(|index| body(self.donation.donor, *index)).collect();
        let mut mapping = Mapping::default();
        for body in &bodies {
            self.settle_types(world, &mut mapping, body);
            self.settle_memories(world, source, &mut mapping, body);
            self.settle_tables(world, source, &mut mapping, body);
            self.settle_globals(world, source, &mut mapping, body);
            self.settle_segments(world, &mut mapping, body);
        }
        let mut referred = BTreeSet::new();
        for (position, own) in bodies.iter().enumerate() {
            mapping.calls.clear();
            for callee in &own.uses.functions {
                let called = self.donation.called(position, *callee).and_then(|role| self.index(role));
                mapping.calls.extend(called.map(|called| (*callee, called)));
                let reference = self.donation.referred(*callee).and_then(|role| self.index(role));
                mapping.references.extend(reference.map(|reference| (*callee, reference)));
            }
            let params = world.functions[self.first as usize + position].params.len() as u32;
            let encoded = encode(&mut mapping, own, params, &mut referred);
            let (bytes, operations) = encoded.unwrap_or_else(|| (vec![0, 0x00, 0x0b], 1));
            self.bodies.push(bytes);
            self.operations += operations;
        }
        let items = referred.into_iter().map(Some).collect();
        world.elements.push(ElementPlan { placement: Placement::Declared, ty: ValueType::FuncRef, items });
    }

    fn settle_types(&self, world: &mut World, mapping: &mut Mapping, body: &DonorBody) {
        for index in &body.uses.types {
            if let Some(Some(ty)) = self.donation.donor.types.get(*index as usize) {
                mapping.types.insert(*index, world.intern(&ty.params, &ty.results));
            }
        }
    }

    fn settle_memories(&self, world: &mut World, source: &mut Source<'_>, mapping: &mut Mapping, body: &DonorBody) {
        let donor = self.donation.donor;
        for index in &body.uses.memories {
            let Some(Some(shape)) = donor.memories.get(*index as usize) else { continue };
            if mapping.memories.contains_key(index) {
                continue;
            }
            let fitting = world.memories.iter().position(|own| own.memory64 == shape.memory64);
            if let Some(own) = fitting.filter(|_| source.percent(50)) {
                mapping.memories.insert(*index, own as u32);
                continue;
            }
            let own = world.memories.len() as u32;
            mapping.memories.insert(*index, own);
            let (least, more) = if shape.page_bytes_log2 == 0 { (8000, 3000) } else { (2, 2) };
            let minimum = shape.minimum.min(least);
            let maximum = Some(shape.maximum.unwrap_or(u64::MAX).min(minimum + more));
            world.memories.push(MemoryShape { minimum, maximum, ..*shape });
            let bytes = minimum << shape.page_bytes_log2;
            for data in &donor.data {
                let Target::Active(memory, Some(offset)) = data.target else { continue };
                let fits = offset.checked_add(data.bytes.len() as u64).is_some_and(|end| end <= bytes);
                if memory == *index && fits && data.bytes.len() <= SEGMENT_BYTES_MAX {
                    let placement = Placement::Active { index: own, offset };
                    world.data.push(DataPlan { placement, bytes: data.bytes.clone() });
                }
            }
        }
    }

    fn settle_tables(&self, world: &mut World, source: &mut Source<'_>, mapping: &mut Mapping, body: &DonorBody) {
        let donor = self.donation.donor;
        // A segment names a table's type, not the table.
        for index in &body.uses.tables {
            let Some(Some(shape)) = donor.tables.get(*index as usize) else { continue };
            if mapping.tables.contains_key(index) {
                continue;
            }
            let fits = |own: &TableShape| own.element == shape.element && own.table64 == shape.table64;
            let fitting = world.tables.iter().position(fits);
            if let Some(own) = fitting.filter(|_| source.percent(40)) {
                mapping.tables.insert(*index, own as u32);
                continue;
            }
            let own = world.tables.len() as u32;
            mapping.tables.insert(*index, own);
            let minimum = shape.minimum.min(ELEMENTS_MAX);
            let maximum = Some(shape.maximum.unwrap_or(u64::MAX).min(minimum + 5));
            world.tables.push(TableShape { minimum, maximum, ..*shape });
            for element in &donor.elements {
                let Target::Active(table, Some(offset)) = element.target else { continue };
                if table != *index || element.ty != Some(shape.element) || offset >= minimum {
                    continue;
                }
                let mut items = self.items(&element.items);
                items.truncate((minimum - offset) as usize);
                let placement = Placement::Active { index: own, offset };
                world.elements.push(ElementPlan { placement, ty: shape.element, items });
            }
        }
    }

    fn settle_globals(&self, world: &mut World, source: &mut Source<'_>, mapping: &mut Mapping, body: &DonorBody) {
        for index in &body.uses.globals {
            let Some(Some(shape)) = self.donation.donor.globals.get(*index as usize) else { continue };
            if mapping.globals.contains_key(index) {
                continue;
            }
            let fitting = world.globals.iter().position(|own| own == shape);
            let own = match fitting.filter(|_| source.percent(60)) {
                Some(own) => own,
                None => {
                    world.globals.push(*shape);
                    world.globals.len() - 1
                }
            };
            mapping.globals.insert(*index, own as u32);
        }
    }

    /// Segments that operations name: active and declared ones are gone as soon as there is an instance.
    fn settle_segments(&self, world: &mut World, mapping: &mut Mapping, body: &DonorBody) {
        let donor = self.donation.donor;
        for index in &body.uses.data {
            let Some(data) = donor.data.get(*index as usize) else { continue };
            if mapping.data.contains_key(index) {
                continue;
            }
            let mut bytes = if data.target == Target::Passive { data.bytes.clone() } else { Vec::new() };
            bytes.truncate(SEGMENT_BYTES_MAX);
            world.data.push(DataPlan { placement: Placement::Passive, bytes });
            mapping.data.insert(*index, world.data.len() as u32 - 1);
        }
        for index in &body.uses.elements {
            let Some(element) = donor.elements.get(*index as usize) else { continue };
            let (Some(ty), false) = (element.ty, mapping.elements.contains_key(index)) else { continue };
            let plan = match element.target {
                Target::Passive => ElementPlan { placement: Placement::Passive, ty, items: self.items(&element.items) },
                _ => ElementPlan { placement: Placement::Declared, ty, items: Vec::new() },
            };
            world.elements.push(plan);
            mapping.elements.insert(*index, world.elements.len() as u32 - 1);
        }
    }

    /// Elements of a segment; null for those for which there is nobody.
    fn items(&self, items: &[Option<u32>]) -> Vec<Option<u32>> {
        let item = |item: &Option<u32>| self.donation.referred((*item)?).and_then(|role| self.index(role));
        items.iter().take(ELEMENTS_MAX as usize).map(item).collect()
    }
}

/// A body with other indices, its loops counted: its bytes and operations. Functions that it refers to are noted.
fn encode(
    mapping: &mut Mapping,
    body: &DonorBody,
    params: u32,
    referred: &mut BTreeSet<u32>,
) -> Option<(Vec<u8>, u32)> {
    let reader = body.reader();
    let (mut locals, mut next) = (Vec::new(), params);
    for group in reader.get_locals_reader().ok()? {
        let (count, ty) = group.ok()?;
        locals.push((count, mapping.val_type(ty).ok()?));
        next += count;
    }
    let counter = next;
    locals.push((1, ValType::I32));
    let mut function = Function::new(locals);
    let mut operations = 0;
    for operator in reader.get_operators_reader().ok()? {
        let operator = operator.ok()?;
        let is_loop = matches!(operator, Operator::Loop { .. });
        let instruction = match operator {
            Operator::RefFunc { function_index } => {
                let index = *mapping.references.get(&function_index)?;
                referred.insert(index);
                Instruction::RefFunc(index)
            }
            operator => mapping.instruction(operator).ok()?,
        };
        function.instruction(&instruction);
        operations += 1;
        if is_loop {
            count_round(&mut function, counter);
        }
    }
    Some((function.into_raw_body(), operations))
}

/// Traps where a loop is entered too often.
fn count_round(function: &mut Function, counter: u32) {
    for instruction in [
        Instruction::LocalGet(counter),
        Instruction::I32Const(1),
        Instruction::I32Add,
        Instruction::LocalTee(counter),
        Instruction::I32Const(ROUNDS_MAX),
        Instruction::I32GtU,
        Instruction::If(BlockType::Empty),
        Instruction::Unreachable,
        Instruction::End,
    ] {
        function.instruction(&instruction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::generate_spliced;
    use crate::source::{case_seed, expand};
    use wasmparser::Validator;

    fn donor(text: &str) -> &'static DonorModule {
        let wasm = wat::parse_str(text).expect("valid text");
        Box::leak(Box::new(DonorModule::read("a test".to_owned(), &wasm).expect("a module")))
    }

    /// Modules with functions of this donor are valid, and each text occurs in some of them.
    fn check(text: &str, expected: &[&str]) {
        let donor = donor(text);
        let mut all = String::new();
        for index in 0..40 {
            let choices = expand(case_seed(11, index));
            let module = generate_spliced(&mut Source::new(&choices), donor).expect("a module");
            Validator::new_with_features(super::super::donor::features())
                .validate_all(&module.wasm)
                .unwrap_or_else(|error| panic!("seed {index}: {error}"));
            all.push_str(&wasmprinter::print_bytes(&module.wasm).expect("a module"));
        }
        for text in expected {
            assert!(all.contains(text), "{text}");
        }
        assert!(!all.contains("i32.const 987654321\n    unreachable"), "a body that could not be encoded");
    }

    #[test]
    fn what_functions_use_comes_along() {
        check(
            "(module (import \"spectest\" \"print_i32\" (func $print (param i32)))
                (memory 1 70) (data (i32.const 8) \"donated\") (data $passive \"passive\") (global $g (mut f64) (f64.const 1))
                (table $t 4 funcref) (elem (table $t) (i32.const 0) func $leaf) (elem $e funcref (ref.func $leaf) (ref.null func))
                (func $leaf (result i32) (i32.const 271828182))
                (func (export \"f\") (param i64) (result i32)
                    (call $print (i32.const 314159265))
                    (memory.init $passive (i32.const 0) (i32.const 0) (i32.const 7))
                    (data.drop $passive)
                    (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 2))
                    (elem.drop $e)
                    (global.set $g (f64.const 577215664))
                    (drop (call $leaf))
                    (drop (ref.func $leaf))
                    (i32.add (memory.grow (i32.const 1)) (call_indirect (result i32) (i32.const 0)))))",
            &["271828182", "314159265", "donated", "\"passive\"", "(;=577215664;)", "memory.init", "table.init"],
        );
    }

    #[test]
    fn recursion_is_cut_and_loops_are_counted() {
        // Nothing of the donor calls itself: the callee is another function, of the same type.
        let donor = donor(
            "(module
                (func $even (export \"even\") (param i64) (result i32)
                    (if (result i32) (i64.eqz (local.get 0))
                        (then (i32.const 44))
                        (else (call $odd (i64.sub (local.get 0) (i64.const 1))))))
                (func $odd (param i64) (result i32) (call $even (i64.sub (local.get 0) (i64.const 1))))
                (func (export \"spin\") (loop (br 0))))",
        );
        for index in 0..20 {
            let choices = expand(case_seed(12, index));
            let donation = Donation::choose(&mut Source::new(&choices), donor).expect("a donation");
            for position in 0..donation.functions.len() {
                for callee in 0..3 {
                    if let Some(Role::Spliced(called)) = donation.called(position, callee) {
                        assert!(called > position, "{index}");
                    }
                }
            }
        }
        check("(module (func (loop (br 0))))", &["i32.const 60\n      i32.gt_u\n      if"]);
    }

    #[test]
    fn arguments_of_the_donor_are_known() {
        let wasm = wat::parse_str("(module (func (export \"f\") (param i64)))").expect("valid text");
        let mut donor = DonorModule::read("a test".to_owned(), &wasm).expect("a module");
        donor.called("f", &[Value::I64(5)]);
        let choices = expand(1);
        let module = generate_spliced(&mut Source::new(&choices), Box::leak(Box::new(donor))).expect("a module");
        let known: Vec<_> = module.vectors.values().collect();
        assert_eq!(known, [&vec![vec![Value::I64(5)]]]);
    }
}
