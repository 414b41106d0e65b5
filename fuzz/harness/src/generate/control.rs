//! Statements, blocks, loops and branches.
//!
//! A loop counts a reserved local down: at its head, where branches back are free, or at its foot, where they are not
//! allowed. So every loop ends, whatever else its body does
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#control-instructions)).
//!
//! Invariant: statements leave the stack as it was; nesting is at most six.
//!
//! Does not know: operations.

use super::body::{Body, Label, Role};
use super::world::value_types;
use wasm_encoder::{BlockType, Instruction};
use wattest_differential::ValueType::{self, I32, I64};

impl Body<'_, '_, '_> {
    /// Emits statements worth about `share` operations; false where the last one never falls through.
    pub fn statements(&mut self, share: i32) -> bool {
        let floor = self.budget.saturating_sub(share).max(0);
        while self.budget > floor {
            if !self.statement() {
                return false;
            }
        }
        true
    }

    fn statement(&mut self) -> bool {
        let nested = self.labels.len() >= 6;
        match self.source.below(64) {
            0..=4 if !nested => self.conditional(),
            5..=7 if !nested => self.block(),
            8..=10 if !nested && self.loops < 2 => self.head_counted_loop(),
            11..=13 if !nested && self.loops < 2 => self.foot_counted_loop(),
            14..=16 => self.branch_if(),
            17 => self.branch_table(),
            18 if self.labels.len() > 1 => return self.leave(),
            19..=21 => drop(self.call(1)),
            22 => drop(self.call_indirect(1)),
            23 => self.growth(),
            _ => self.operation_statement(),
        }
        true
    }

    /// Growth and what must notice it; an operation where there is no memory that grows.
    fn growth(&mut self) {
        let grown = self.memory().is_some_and(|memory| self.growth_between(memory));
        if !grown {
            self.operation_statement();
        }
    }

    /// An operation drawn from the whole table, its result kept for later.
    fn operation_statement(&mut self) {
        let index = usize::from(self.source.pick(Self::table().statements()));
        let row = &Self::table().rows[index];
        let depth = self.source.pick(&[1, 1, 1, 2, 2, 3]);
        if self.enabled(row) && self.operation(index, depth) {
            if let Some(result) = row.result {
                self.sink(result);
            }
        } else {
            // Nothing was emitted: an ordinary expression instead, so that every statement costs something.
            self.expression(I64, 1);
            self.sink(I64);
        }
    }

    fn small_types(&mut self, most: usize) -> Vec<ValueType> {
        let simd = self.world.swarm.simd;
        if self.source.percent(50) { Vec::new() } else { value_types(self.source, most, simd) }
    }

    fn push_all(&mut self, types: &[ValueType]) {
        for ty in types {
            self.expression(*ty, 1);
        }
    }

    fn open(&mut self, types: Vec<ValueType>, branchable: bool) {
        self.labels.push(Label { types, branchable });
    }

    fn share(&mut self) -> i32 {
        let part = self.source.between(2, 4) as i32;
        self.budget / part
    }

    /// Statements, then the results of the block if its end is reached.
    fn fill(&mut self, share: i32, results: &[ValueType]) {
        if self.statements(share) {
            self.push_all(results);
        }
    }

    fn conditional(&mut self) {
        let params = self.small_types(2);
        let results = self.small_types(2);
        self.push_all(&params);
        self.condition(2);
        let ty = self.block_type(&params, &results);
        self.emit(Instruction::If(ty));
        self.open(results.clone(), true);
        self.sink_all(&params);
        let share = self.share();
        self.fill(share, &results);
        if params != results || self.source.percent(60) {
            self.emit(Instruction::Else);
            self.sink_all(&params);
            self.fill(share, &results);
        }
        self.end();
        self.sink_all(&results);
    }

    /// An i32 that is zero about half of the time.
    pub fn condition(&mut self, depth: u32) {
        self.expression(I32, depth);
        if self.source.percent(40) {
            self.emit(Instruction::I32Const(1));
            self.emit(Instruction::I32And);
        }
    }

    fn block(&mut self) {
        let params = self.small_types(2);
        let results = self.small_types(3);
        self.push_all(&params);
        let ty = self.block_type(&params, &results);
        self.emit(Instruction::Block(ty));
        self.open(results.clone(), true);
        self.sink_all(&params);
        let share = self.share();
        self.fill(share, &results);
        self.end();
        self.sink_all(&results);
    }

    /// A block or conditional in the middle of an expression.
    pub fn block_expression(&mut self, ty: ValueType, depth: u32) {
        let results = [ty];
        let block_type = self.block_type(&[], &results);
        if self.source.percent(50) {
            self.condition(depth);
            self.emit(Instruction::If(block_type));
            self.open(results.to_vec(), true);
            self.expression(ty, depth);
            self.emit(Instruction::Else);
            self.expression(ty, depth);
        } else {
            self.emit(Instruction::Block(block_type));
            self.open(results.to_vec(), true);
            self.expression(ty, depth);
            self.condition(depth);
            self.emit(Instruction::BrIf(0));
        }
        self.end();
    }

    /// Sets a counter; returns it and whether it is 64-bit.
    fn counter(&mut self) -> u32 {
        let counter = self.new_local(I32, Role::Reserved);
        let inner = self.loops > 0;
        if self.source.percent(70) || inner {
            let most = if inner { 4 } else { 9 };
            let count = self.source.between(1, most) as i32;
            self.emit(Instruction::I32Const(count));
        } else {
            self.expression(I32, 1);
            self.emit(Instruction::I32Const(7));
            self.emit(Instruction::I32And);
        }
        self.emit(Instruction::LocalSet(counter));
        counter
    }

    fn count_down(&mut self, counter: u32) {
        self.emit(Instruction::LocalGet(counter));
        self.emit(Instruction::I32Const(1));
        self.emit(Instruction::I32Sub);
    }

    /// `block loop (exit if the counter is zero) … br loop end end`.
    fn head_counted_loop(&mut self) {
        let params = self.small_types(2);
        let counter = self.counter();
        self.emit(Instruction::Block(BlockType::Empty));
        self.open(Vec::new(), true);
        self.push_all(&params);
        let ty = self.block_type(&params, &[]);
        self.emit(Instruction::Loop(ty));
        self.open(params.clone(), true);
        self.loops += 1;
        self.sink_all(&params);
        self.emit(Instruction::LocalGet(counter));
        self.emit(Instruction::I32Eqz);
        self.emit(Instruction::BrIf(1));
        self.count_down(counter);
        self.emit(Instruction::LocalSet(counter));
        let share = self.share();
        self.fill(share, &params);
        self.emit(Instruction::Br(0));
        self.loops -= 1;
        self.end();
        self.end();
    }

    /// `loop … br_if loop (counter not zero) end`; the loop's parameters fall out of it.
    fn foot_counted_loop(&mut self) {
        let params = self.small_types(2);
        let counter = self.counter();
        self.push_all(&params);
        let ty = self.block_type(&params, &params);
        self.emit(Instruction::Loop(ty));
        self.open(params.clone(), false);
        self.loops += 1;
        self.sink_all(&params);
        let share = self.share();
        if self.statements(share) {
            self.push_all(&params);
            self.count_down(counter);
            self.emit(Instruction::LocalTee(counter));
            self.emit(Instruction::I32Const(0));
            self.emit(Instruction::I32GtS);
            self.emit(Instruction::BrIf(0));
        }
        self.loops -= 1;
        self.end();
        self.sink_all(&params);
    }

    /// A branch target: its depth and types.
    fn target(&mut self) -> Option<(u32, Vec<ValueType>)> {
        let depth = self.source.below(self.labels.len());
        let label = &self.labels[self.labels.len() - 1 - depth];
        label.branchable.then(|| (depth as u32, label.types.clone()))
    }

    fn branch_if(&mut self) {
        let Some((depth, types)) = self.target() else { return self.operation_statement() };
        self.push_all(&types);
        self.condition(2);
        self.emit(Instruction::BrIf(depth));
        self.sink_all(&types);
    }

    /// `br_table` in a block of its own, so that code after it is reached by the branches to that block.
    fn branch_table(&mut self) {
        let Some((_, types)) = self.target() else { return self.operation_statement() };
        let ty = self.block_type(&[], &types);
        self.emit(Instruction::Block(ty));
        self.open(types.clone(), true);
        let height = self.labels.len();
        let fits = |label: &Label| label.branchable && label.types == types;
        let near: Vec<u32> =
            (0..height).filter(|depth| fits(&self.labels[height - 1 - depth])).map(|depth| depth as u32).collect();
        self.push_all(&types);
        self.expression(I32, 2);
        let count = self.source.pick(&[0, 1, 2, 3, 5, 9]);
        let targets: Vec<u32> = (0..count).map(|_| self.source.pick(&near)).collect();
        let default = if self.source.percent(70) { 0 } else { self.source.pick(&near) };
        if count > 0 && self.source.percent(60) {
            self.emit(Instruction::I32Const(7));
            self.emit(Instruction::I32And);
        }
        self.emit(Instruction::BrTable(targets.into(), default));
        self.end();
        self.sink_all(&types);
    }

    /// Leaves the block for good; sometimes with code behind that never runs. Always false.
    fn leave(&mut self) -> bool {
        match self.source.below(16) {
            0 => self.emit(Instruction::Unreachable),
            1..=4 => {
                let results = self.labels[0].types.clone();
                self.push_all(&results);
                self.emit(Instruction::Return);
            }
            5..=7 => {
                let results = self.labels[0].types.clone();
                if !self.tail_call(&results) {
                    self.push_all(&results);
                    self.emit(Instruction::Return);
                }
            }
            _ => match self.target() {
                Some((depth, types)) => {
                    self.push_all(&types);
                    self.emit(Instruction::Br(depth));
                }
                None => {
                    let results = self.labels[0].types.clone();
                    self.push_all(&results);
                    self.emit(Instruction::Return);
                }
            },
        }
        if self.source.percent(25) {
            self.operation_statement();
        }
        false
    }
}
