//! Expressions: one value of a wanted type.
//!
//! Invariant: depth only falls, so generation ends; a leaf is always possible.
//!
//! Does not know: statements.

use super::body::{Body, Role};
use super::ops::{Care, Op};
use crate::corpus;
use wasm_encoder::{HeapType, Instruction};
use wattest_differential::ValueType::{self, ExternRef, F32, F64, FuncRef, I32, I64, V128};

impl Body<'_, '_, '_> {
    pub fn expression(&mut self, ty: ValueType, depth: u32) {
        if depth == 0 || self.budget <= 0 {
            return self.leaf(ty);
        }
        match self.source.below(16) {
            0..=4 => self.leaf(ty),
            5 => self.selection(ty, depth - 1),
            6 if self.labels.len() < 4 => self.block_expression(ty, depth - 1),
            7 => self.entity_value(ty, depth - 1),
            _ => self.table_expression(ty, depth),
        }
    }

    fn table_expression(&mut self, ty: ValueType, depth: u32) {
        let rows = Self::table().giving(ty);
        for _ in 0..4 {
            if rows.is_empty() {
                break;
            }
            let index = usize::from(self.source.pick(rows));
            if self.enabled(&Self::table().rows[index]) && self.operation(index, depth - 1) {
                return;
            }
        }
        self.leaf(ty);
    }

    /// Emits the operation of a row, operands first; false where the module has no room for it. Leaves the row's result.
    pub fn operation(&mut self, index: usize, depth: u32) -> bool {
        match &Self::table().rows[index].op {
            Op::Plain { params, instruction, care } => self.plain(params, instruction, *care, depth),
            Op::Load { width, make } => return self.load(*width, *make, depth),
            Op::Store { operand, width, make } => return self.store(*operand, *width, *make, depth),
            Op::MemoryLane { width, make } => return self.memory_lane(*width, *make, depth),
            Op::Extract { lanes, make } => {
                self.expression(V128, depth);
                let lane = self.source.below(usize::from(*lanes)) as u8;
                self.emit(make(lane));
            }
            Op::Replace { lanes, operand, make } => {
                self.expression(V128, depth);
                self.expression(*operand, depth);
                self.visible(*operand);
                let lane = self.source.below(usize::from(*lanes)) as u8;
                self.emit(make(lane));
            }
            Op::Shuffle => {
                self.expression(V128, depth);
                self.expression(V128, depth);
                let lanes = self.shuffle_lanes();
                self.emit(Instruction::I8x16Shuffle(lanes));
            }
            Op::Wide { operands, instruction } => {
                for _ in 0..*operands {
                    self.expression(I64, depth);
                }
                self.emit(instruction.clone());
                let local = self.writable(I64);
                self.emit(Instruction::LocalSet(local));
            }
            Op::Special(special) => return self.special(*special, depth),
        }
        true
    }

    fn plain(&mut self, params: &[ValueType], instruction: &Instruction<'static>, care: Care, depth: u32) {
        let twice = matches!(params, [first, second, ..] if first == second) && self.source.percent(12);
        for (position, ty) in params.iter().enumerate() {
            match care {
                Care::Divisor if position == 1 && self.source.percent(85) => self.divisor(*ty, depth),
                Care::Truncation if self.source.percent(70) => self.small_float(*ty, depth),
                _ if twice && position == 1 => {
                    let local = self.scratch(*ty);
                    self.emit(Instruction::LocalTee(local));
                    self.emit(Instruction::LocalGet(local));
                }
                _ => self.expression(*ty, depth),
            }
            if care == Care::Leak {
                self.visible(*ty);
            }
        }
        self.emit(instruction.clone());
        if !self.world.exact_nans {
            match care {
                Care::Lanes32 => self.canonical_lanes(0x7fc0_0000_7fc0_0000_7fc0_0000_7fc0_0000, Instruction::F32x4Eq),
                Care::Lanes64 => self.canonical_lanes(0x7ff8_0000_0000_0000_7ff8_0000_0000_0000, Instruction::F64x2Eq),
                _ => {}
            }
        }
    }

    fn divisor(&mut self, ty: ValueType, depth: u32) {
        if ty == I32 {
            if self.source.percent(50) {
                let value = corpus::i32_value(self.source).max(1);
                return self.emit(Instruction::I32Const(value as i32));
            }
            self.expression(I32, depth);
            self.emit(Instruction::I32Const(1));
            self.emit(Instruction::I32Or);
        } else {
            if self.source.percent(50) {
                let value = corpus::i64_value(self.source).max(1);
                return self.emit(Instruction::I64Const(value as i64));
            }
            self.expression(I64, depth);
            self.emit(Instruction::I64Const(1));
            self.emit(Instruction::I64Or);
        }
    }

    /// A float that every integer type holds.
    fn small_float(&mut self, ty: ValueType, depth: u32) {
        self.expression(I32, depth);
        self.emit(Instruction::I32Const(0x00ff_ffff));
        self.emit(Instruction::I32And);
        self.emit(if ty == F32 { Instruction::F32ConvertI32U } else { Instruction::F64ConvertI32U });
    }

    /// Prepares a float whose bits are about to be seen: its NaN becomes canonical, where engines may differ.
    pub fn visible(&mut self, ty: ValueType) {
        if self.world.exact_nans {
            return;
        }
        let (nan, equal) = match ty {
            F32 => (Instruction::F32Const(f32::from_bits(0x7fc0_0000).into()), Instruction::F32Eq),
            F64 => (Instruction::F64Const(f64::from_bits(0x7ff8_0000_0000_0000).into()), Instruction::F64Eq),
            _ => return,
        };
        let local = self.scratch(ty);
        self.emit(Instruction::LocalTee(local));
        self.emit(nan);
        self.emit(Instruction::LocalGet(local));
        self.emit(Instruction::LocalGet(local));
        self.emit(equal);
        self.emit(Instruction::Select);
    }

    fn canonical_lanes(&mut self, nans: u128, equal: Instruction<'static>) {
        let local = self.new_local(V128, Role::Hidden);
        self.emit(Instruction::LocalTee(local));
        self.emit(Instruction::V128Const(nans as i128));
        self.emit(Instruction::LocalGet(local));
        self.emit(Instruction::LocalGet(local));
        self.emit(equal);
        self.emit(Instruction::V128Bitselect);
    }

    /// Lanes of a shuffle: random, or one of the patterns that code generators treat apart.
    fn shuffle_lanes(&mut self) -> [u8; 16] {
        let pattern = self.source.below(8);
        let base = self.source.byte() % 32;
        std::array::from_fn(|position| {
            let lane = position as u8;
            match pattern {
                0 => base,
                1 => (lane + base) % 32,
                2 => lane / 2 + 16 * (lane % 2),
                3 => (15 - lane) + (base & 16),
                4 => (lane % 4) + (base & 28),
                5 => (lane % 8) + (base & 24),
                _ => self.source.byte() % 32,
            }
        })
    }

    pub fn leaf(&mut self, ty: ValueType) {
        let choice = self.source.below(16);
        if choice < 8
            && let Some(local) = self.readable(ty)
        {
            return self.emit(Instruction::LocalGet(local));
        }
        if choice < 10 {
            let count = self.world.globals.iter().filter(|global| global.ty == ty).count();
            let skip = self.source.below(count);
            let mut matching = self.world.globals.iter().enumerate().filter(|(_, global)| global.ty == ty);
            if let Some((index, _)) = matching.nth(skip) {
                return self.emit(Instruction::GlobalGet(index as u32));
            }
        }
        self.constant(ty);
    }

    pub fn constant(&mut self, ty: ValueType) {
        let instruction = match ty {
            I32 => Instruction::I32Const(corpus::i32_value(self.source) as i32),
            I64 => Instruction::I64Const(corpus::i64_value(self.source) as i64),
            F32 => Instruction::F32Const(f32::from_bits(corpus::f32_value(self.source)).into()),
            F64 => Instruction::F64Const(f64::from_bits(corpus::f64_value(self.source)).into()),
            V128 => Instruction::V128Const(corpus::v128_value(self.source) as i128),
            FuncRef => {
                let referable = self.world.referable();
                if referable.is_empty() || self.source.percent(25) {
                    Instruction::RefNull(HeapType::FUNC)
                } else {
                    Instruction::RefFunc(self.source.pick(&referable))
                }
            }
            ExternRef => Instruction::RefNull(HeapType::EXTERN),
        };
        self.emit(instruction);
    }
}
