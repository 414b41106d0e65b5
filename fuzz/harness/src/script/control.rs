//! Statements, and branches of which one arm is taken.
//!
//! [Control instructions](https://webassembly.github.io/spec/core/exec/instructions.html#control-instructions) on references:
//! the generator knows which way they go, the compiler does not. The other arm is generated as well, on a copy of the
//! shadow that is thrown away.
//!
//! Invariant: a statement leaves the operand stack as it was, unless it does not come to its end.
//!
//! Does not know: how values are made.

use super::shadow::V;
use super::types::{Heap, Ty};
use super::{Flow, Mix, Writer};
use wasm_encoder::{BlockType, Instruction};

/// Blocks in blocks.
const BLOCKS_MAX: u32 = 5;

impl Writer<'_, '_> {
    /// Up to `count` statements; stops at the one that does not come to its end.
    pub(super) fn statements(&mut self, count: u32) -> Flow {
        for _ in 0..count {
            if self.budget <= 0 {
                break;
            }
            let flow = self.statement();
            if flow != Flow::Next {
                return flow;
            }
        }
        Flow::Next
    }

    fn statement(&mut self) -> Flow {
        let exceptional = match self.mix {
            Mix::Heap => 4,
            Mix::Exceptions => 34,
            Mix::Linked => 18,
        };
        if self.source.percent(exceptional) {
            return self.exceptional();
        }
        let nested = self.frame.blocks < BLOCKS_MAX;
        match self.source.below(31) {
            0..=4 => self.log_value(),
            5..=7 => self.set_local_statement(),
            8 | 9 => self.set_global(),
            10 => self.set_entry(),
            11..=14 => self.write_object(),
            15 => self.garbage(),
            16 if self.source.percent(60) => self.fill_in_loop(),
            16 => self.list_in_loop(),
            17 | 18 if nested => self.if_else(),
            19 if nested && !self.plain => self.branch_on_null(),
            20 if nested && !self.plain && self.source.percent(50) => self.branch_on_cast(),
            20 if nested && !self.plain => self.branch_on_descriptor(),
            21 | 22 => self.call(),
            24 => self.write_own_table(),
            25 | 26 => self.write_memory(),
            27 | 28 => self.grow_shared(),
            23 if self.frame.depth > 1 && self.source.percent(30) => self.tail_call(),
            23 if self.source.percent(25) => self.trap(),
            30 => self.host_call(),
            29 if self.source.percent(30) => self.drop_segment(),
            _ => self.log_value(),
        }
    }

    fn exceptional(&mut self) -> Flow {
        if self.tags.is_empty() {
            return self.call();
        }
        match self.source.below(9) {
            0..=3 if self.frame.blocks < BLOCKS_MAX => self.try_table(),
            4 if self.tries > 0 || self.source.percent(8) => self.throw(),
            5 | 6 if self.tries > 0 || self.source.percent(8) => self.rethrow(),
            _ => self.call(),
        }
    }

    fn log_value(&mut self) -> Flow {
        match self.source.below(8) {
            0 => {
                let V::I64(word) = self.value(Ty::I64, 2) else { return Flow::Next };
                self.log(word);
            }
            1 => {
                let V::F32(bits) = self.value(Ty::F32, 2) else { return Flow::Next };
                self.emit(Instruction::I32ReinterpretF32);
                self.emit(Instruction::I64ExtendI32U);
                self.log(bits.into());
            }
            2 => {
                let V::F64(bits) = self.value(Ty::F64, 2) else { return Flow::Next };
                self.emit(Instruction::I64ReinterpretF64);
                self.log(bits);
            }
            3 => {
                let V::V128(bits) = self.value(Ty::V128, 2) else { return Flow::Next };
                let lane = self.source.below(2) as u8;
                self.emit(Instruction::I64x2ExtractLane(lane));
                self.log((bits >> (64 * lane)) as u64);
            }
            _ => {
                let V::I32(bits) = self.value(Ty::I32, 3) else { return Flow::Next };
                self.emit(Instruction::I64ExtendI32U);
                self.log(bits.into());
            }
        }
        Flow::Next
    }

    fn set_local_statement(&mut self) -> Flow {
        let types = self.types(1);
        for ty in types {
            let value = self.value(ty, 3);
            self.sink(&[ty], &[value]);
        }
        Flow::Next
    }

    fn set_global(&mut self) -> Flow {
        let at = self.source.below(self.globals.len());
        let value = self.value(self.globals[at], 3);
        self.emit(Instruction::GlobalSet(at as u32 + 1));
        self.shadow.globals[at] = value;
        Flow::Next
    }

    fn set_entry(&mut self) -> Flow {
        let at = self.source.below(self.shadow.table.len());
        self.emit(Instruction::I32Const(at as i32));
        let value = self.value(Ty::null(self.entry_heap()), 2);
        self.emit(Instruction::TableSet(0));
        self.shadow.table[at] = value;
        Flow::Next
    }

    /// Statements of one arm. Ends in `unreachable` where they do not come to their end.
    pub(super) fn arm(&mut self, taken: bool) -> Flow {
        let count = self.source.between(1, 3) as u32;
        let ready = self.ready();
        self.frame.blocks += 1;
        let flow = if taken { self.statements(count) } else { self.not_taken(count) };
        self.frame.blocks -= 1;
        if flow != Flow::Next {
            self.emit(Instruction::Unreachable);
        }
        self.leave_block(&ready);
        if taken { flow } else { Flow::Next }
    }

    /// Which locals may be read.
    pub(super) fn ready(&self) -> Vec<bool> {
        self.frame.locals.iter().map(|local| local.ready).collect()
    }

    /// What was first set in a block is not set behind it.
    pub(super) fn leave_block(&mut self, ready: &[bool]) {
        for (index, local) in self.frame.locals.iter_mut().enumerate() {
            local.ready = ready.get(index).copied().unwrap_or(false) || local.ty.is_defaultable();
        }
    }

    fn not_taken(&mut self, count: u32) -> Flow {
        let shadow = self.shadow.clone();
        let values: Vec<V> = self.frame.locals.iter().map(|local| local.value).collect();
        self.dead += 1;
        let flow = self.statements(count);
        self.dead -= 1;
        self.shadow = shadow;
        for (index, local) in self.frame.locals.iter_mut().enumerate() {
            local.value = values.get(index).copied().unwrap_or(V::default_of(local.ty));
        }
        flow
    }

    fn if_else(&mut self) -> Flow {
        let V::I32(condition) = self.value(Ty::I32, 2) else { return Flow::Next };
        self.emit(Instruction::If(BlockType::Empty));
        let first = self.arm(condition != 0);
        if self.source.percent(30) {
            self.end();
            return first;
        }
        self.emit(Instruction::Else);
        let second = self.arm(condition == 0);
        self.end();
        if condition != 0 { first } else { second }
    }

    /// `br_on_null` or `br_on_non_null` on what some place holds.
    fn branch_on_null(&mut self) -> Flow {
        let nullable = |ty: &Ty| matches!(ty, Ty::Ref(true, _));
        let roots: Vec<_> = self.roots().into_iter().filter(|(_, ty, _)| nullable(ty)).collect();
        let (root, ty, value) = self.source.pick(&roots);
        let Ty::Ref(_, heap) = ty else { return Flow::Next };
        let is_null = value == V::Null;
        if self.source.percent(50) {
            self.emit(Instruction::Block(BlockType::Empty));
            self.push_root(root);
            self.emit(Instruction::BrOnNull(0));
            self.emit(Instruction::Drop);
            let flow = self.arm(!is_null);
            self.end();
            return flow;
        }
        let not_null = Ty::Ref(false, heap);
        let result = self.block_type(&[not_null]);
        self.emit(Instruction::Block(BlockType::Empty));
        self.emit(Instruction::Block(result));
        self.push_root(root);
        self.emit(Instruction::BrOnNonNull(0));
        let flow = self.arm(is_null);
        self.emit(Instruction::Br(1));
        self.end();
        let local = self.new_local(not_null, false);
        let ready = !is_null;
        self.emit(Instruction::LocalSet(local));
        self.frame.locals[local as usize].value = value;
        self.frame.locals[local as usize].ready = ready;
        let other = self.arm(ready);
        self.frame.locals[local as usize].ready = false;
        self.end();
        if is_null { flow } else { other }
    }

    /// `br_on_cast` or `br_on_cast_fail` on what some place holds.
    fn branch_on_cast(&mut self) -> Flow {
        let internal = |ty: &Ty| matches!(ty, Ty::Ref(_, heap) if self.graph.top(*heap) == Heap::Any);
        let roots: Vec<_> = self.roots().into_iter().filter(|(_, ty, _)| internal(ty)).collect();
        let (root, from, value) = self.source.pick(&roots);
        let Ty::Ref(from_null, from_heap) = from else { return Flow::Next };
        let narrower = self.any_heap();
        let heap = if self.graph.heap_below(narrower, from_heap) { narrower } else { from_heap };
        let to_null = from_null && self.source.percent(40);
        let to = Ty::Ref(to_null, heap);
        let on_success = self.source.percent(50);
        let fits = self.fits(value, to);
        let (from_ref_type, to_ref_type) = (self.reference(from_null, from_heap), self.reference(to_null, heap));
        // A branch on failure carries the value as it was.
        let result = self.block_type(&[if on_success { to } else { from }]);
        self.emit(Instruction::Block(BlockType::Empty));
        self.emit(Instruction::Block(result));
        self.push_root(root);
        let relative_depth = 0;
        self.emit(if on_success {
            Instruction::BrOnCast { relative_depth, from_ref_type, to_ref_type }
        } else {
            Instruction::BrOnCastFail { relative_depth, from_ref_type, to_ref_type }
        });
        self.emit(Instruction::Drop);
        let branches = fits == on_success;
        let first = self.arm(!branches);
        self.emit(Instruction::Br(1));
        self.end();
        self.emit(Instruction::Drop);
        let second = self.arm(branches);
        self.end();
        if branches { second } else { first }
    }
}
