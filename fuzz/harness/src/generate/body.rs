//! One function body under construction.
//!
//! Invariant: every method that takes a type leaves exactly one value of it on the operand stack, every statement leaves
//! the stack as it was.
//!
//! Does not know: other bodies; it sees only the [`World`].

use super::ops::{Feature, Row, Table};
use super::world::{World, val_type};
use crate::source::Source;
use wasm_encoder::{BlockType, Encode, Instruction, ValType};
use wattest_differential::ValueType;

/// A branch target.
pub struct Label {
    /// Types a branch carries.
    pub types: Vec<ValueType>,
    /// Whether a branch here keeps the program finite.
    pub branchable: bool,
}

/// What a local is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Anything.
    Free,
    /// Written by one place only.
    Reserved,
    /// The same, and read there only: it holds a NaN that engines may choose.
    Hidden,
}

/// A body.
pub struct Body<'w, 's, 'b> {
    pub world: &'w mut World,
    pub source: &'s mut Source<'b>,
    pub index: usize,
    pub labels: Vec<Label>,
    /// Operations that may still be emitted before only the ends are.
    pub budget: i32,
    pub loops: u32,
    /// Type of each local, parameters first; loop counters and scratch locals are reserved.
    locals: Vec<ValueType>,
    roles: Vec<Role>,
    params: usize,
    code: Vec<u8>,
    operations: u32,
}

impl Body<'_, '_, '_> {
    /// Generates the body of function `index`: its bytes and number of operations.
    pub fn generate(world: &mut World, source: &mut Source<'_>, index: usize) -> (Vec<u8>, u32) {
        let signature = world.functions[index].clone();
        // A long body now and then: register pressure, spills, far branches.
        let budget = if source.below(256) == 255 { 400 } else { source.pick(&[6, 8, 10, 12, 14, 16, 18, 22, 26, 36]) };
        let mut body = Body {
            world,
            source,
            index,
            labels: vec![Label { types: signature.results.clone(), branchable: true }],
            budget,
            loops: 0,
            roles: vec![Role::Free; signature.params.len()],
            params: signature.params.len(),
            locals: signature.params,
            code: Vec::with_capacity(512),
            operations: 0,
        };
        for _ in 0..body.source.below(4) {
            let ty = super::world::value_type(body.source, body.world.swarm.simd);
            body.new_local(ty, Role::Free);
        }
        body.statements(budget);
        if body.source.percent(6) && body.tail_call(&signature.results) {
            body.code.push(0x0b);
        } else {
            for ty in &signature.results {
                body.expression(*ty, 1);
            }
            body.code.push(0x0b);
        }
        body.finish()
    }

    fn finish(self) -> (Vec<u8>, u32) {
        let mut groups: Vec<(u32, ValType)> = Vec::new();
        for ty in &self.locals[self.params..] {
            match groups.last_mut() {
                Some((count, last)) if *last == val_type(*ty) => *count += 1,
                _ => groups.push((1, val_type(*ty))),
            }
        }
        let mut bytes = wasm_encoder::Function::new(groups).into_raw_body();
        bytes.extend_from_slice(&self.code);
        (bytes, self.operations)
    }

    pub fn emit(&mut self, instruction: Instruction<'_>) {
        instruction.encode(&mut self.code);
        self.operations += 1;
        self.budget -= 1;
    }

    /// Ends a block: not an operation.
    pub fn end(&mut self) {
        self.code.push(0x0b);
        self.labels.pop();
    }

    pub fn table() -> &'static Table {
        Table::get()
    }

    pub fn enabled(&self, row: &Row) -> bool {
        let swarm = &self.world.swarm;
        let vector = row.result == Some(ValueType::V128);
        match row.feature {
            Feature::Scalar => swarm.simd || !vector,
            Feature::Simd => swarm.simd,
            Feature::Relaxed => swarm.relaxed,
            Feature::Wide => swarm.wide,
        }
    }

    pub fn new_local(&mut self, ty: ValueType, role: Role) -> u32 {
        self.locals.push(ty);
        self.roles.push(role);
        self.locals.len() as u32 - 1
    }

    /// A local that may be read, if there is one of this type.
    pub fn readable(&mut self, ty: ValueType) -> Option<u32> {
        let matches = |(local, role): (&ValueType, &Role)| *local == ty && *role != Role::Hidden;
        let count = self.locals.iter().zip(&self.roles).filter(|pair| matches(*pair)).count();
        if count == 0 {
            return None;
        }
        // Recent locals hold recent values: half of the reads go to the newest one.
        let skip = if self.source.percent(40) { count - 1 } else { self.source.below(count) };
        let mut matching = self.locals.iter().zip(&self.roles).enumerate().filter(|(_, pair)| matches(*pair));
        matching.nth(skip).map(|(index, _)| index as u32)
    }

    /// A local that may be written: one in three times a new one.
    pub fn writable(&mut self, ty: ValueType) -> u32 {
        let matches = |(local, role): (&ValueType, &Role)| *local == ty && *role == Role::Free;
        let count = self.locals.iter().zip(&self.roles).filter(|pair| matches(*pair)).count();
        if count == 0 || (self.locals.len() < 40 && self.source.percent(33)) {
            return self.new_local(ty, Role::Free);
        }
        let skip = self.source.below(count);
        let mut candidates = self.locals.iter().zip(&self.roles).enumerate().filter(|(_, pair)| matches(*pair));
        candidates.nth(skip).map_or(0, |(index, _)| index as u32)
    }

    /// A local that nothing else writes, shared by all uses that need one for a few instructions.
    pub fn scratch(&mut self, ty: ValueType) -> u32 {
        self.new_local(ty, Role::Reserved)
    }

    /// Takes the top of the stack away: into a local, mostly.
    pub fn sink(&mut self, ty: ValueType) {
        match self.source.below(16) {
            0 => self.emit(Instruction::Drop),
            1 | 2 => {
                let fits = |global: &wattest_differential::GlobalShape| global.mutable && global.ty == ty;
                match self.world.globals.iter().position(fits) {
                    Some(index) => self.emit(Instruction::GlobalSet(index as u32)),
                    None => self.emit(Instruction::Drop),
                }
            }
            _ => {
                let local = self.writable(ty);
                self.emit(Instruction::LocalSet(local));
            }
        }
    }

    /// Takes values away, the last type first.
    pub fn sink_all(&mut self, types: &[ValueType]) {
        for ty in types.iter().rev() {
            self.sink(*ty);
        }
    }

    pub fn block_type(&mut self, params: &[ValueType], results: &[ValueType]) -> BlockType {
        match (params, results) {
            ([], []) => BlockType::Empty,
            ([], [result]) => BlockType::Result(val_type(*result)),
            _ => BlockType::FunctionType(self.world.intern(params, results)),
        }
    }
}
