//! Vector loads and stores.
//!
//! Invariant: addresses come from [`Translator::address`].
//!
//! Does not know: bounds.

use super::super::{Step, Translator};
use cranelift_codegen::ir::{InstBuilder, Type, types};
use wasmparser::MemArg;

impl Translator<'_> {
    /// Loads eight bytes as lanes of `narrow` type and widens each.
    pub(in super::super) fn load_widened(&mut self, memarg: &MemArg, narrow: Type, signed: bool) -> Step {
        let index = self.pop();
        let at = self.address(memarg, index, 8);
        let ins = self.builder.ins();
        let value = match (narrow, signed) {
            (types::I8, true) => ins.sload8x8(at.flags, at.base, at.offset),
            (types::I8, false) => ins.uload8x8(at.flags, at.base, at.offset),
            (types::I16, true) => ins.sload16x4(at.flags, at.base, at.offset),
            (types::I16, false) => ins.uload16x4(at.flags, at.base, at.offset),
            (_, true) => ins.sload32x2(at.flags, at.base, at.offset),
            (_, false) => ins.uload32x2(at.flags, at.base, at.offset),
        };
        self.push(value);
        Ok(())
    }

    /// Loads one lane of vector type `ty` into all of them.
    pub(in super::super) fn load_splat(&mut self, memarg: &MemArg, ty: Type) -> Step {
        self.load(memarg, ty.lane_type())?;
        let lane = self.pop();
        let value = self.builder.ins().splat(ty, lane);
        self.push(value);
        Ok(())
    }

    /// Loads one lane of vector type `ty` into the first; the others are zero.
    pub(in super::super) fn load_zero(&mut self, memarg: &MemArg, ty: Type) -> Step {
        self.load(memarg, ty.lane_type())?;
        let lane = self.pop();
        let value = self.builder.ins().scalar_to_vector(ty, lane);
        self.push(value);
        Ok(())
    }

    /// Loads lane `lane` of a vector of type `ty`.
    pub(in super::super) fn load_lane(&mut self, memarg: &MemArg, ty: Type, lane: u8) -> Step {
        let vector = self.pop_vector(ty);
        self.load(memarg, ty.lane_type())?;
        let value = self.pop();
        let value = self.builder.ins().insertlane(vector, value, lane);
        self.push(value);
        Ok(())
    }

    /// Stores lane `lane` of a vector of type `ty`.
    pub(in super::super) fn store_lane(&mut self, memarg: &MemArg, ty: Type, lane: u8) -> Step {
        let vector = self.pop_vector(ty);
        let value = self.builder.ins().extractlane(vector, lane);
        self.push(value);
        self.store(memarg)
    }
}
