//! Lanes: constants, splats, extraction, replacement, shuffles.
//!
//! Invariant: lane numbers were validated.
//!
//! Does not know: arithmetic.

use super::super::{Step, Translator};
use cranelift_codegen::ir::{InstBuilder, Type, types};

impl Translator<'_> {
    pub(in super::super) fn vector_constant(&mut self, bytes: [u8; 16]) -> Step {
        let value = self.v128_const(bytes);
        self.push(value);
        Ok(())
    }

    pub(in super::super) fn shuffle(&mut self, lanes: [u8; 16]) -> Step {
        let (first, second) = self.pop2_vectors(types::I8X16);
        let mask = self.builder.func.dfg.immediates.push(lanes.as_slice().into());
        let value = self.builder.ins().shuffle(first, second, mask);
        self.push(value);
        Ok(())
    }

    /// Fills a vector of type `ty` with a scalar, of which small lanes take the low bits.
    pub(in super::super) fn splat(&mut self, ty: Type) -> Step {
        let value = self.pop();
        let lane = ty.lane_type();
        let value = if lane.bits() < 32 { self.builder.ins().ireduce(lane, value) } else { value };
        let value = self.builder.ins().splat(ty, value);
        self.push(value);
        Ok(())
    }

    pub(in super::super) fn extract(&mut self, ty: Type, lane: u8) -> Step {
        let vector = self.pop_vector(ty);
        let value = self.builder.ins().extractlane(vector, lane);
        self.push(value);
        Ok(())
    }

    pub(in super::super) fn extract_extended(&mut self, ty: Type, lane: u8, signed: bool) -> Step {
        let vector = self.pop_vector(ty);
        let value = self.builder.ins().extractlane(vector, lane);
        let ins = self.builder.ins();
        let value = if signed { ins.sextend(types::I32, value) } else { ins.uextend(types::I32, value) };
        self.push(value);
        Ok(())
    }

    pub(in super::super) fn replace(&mut self, ty: Type, lane: u8) -> Step {
        let value = self.pop();
        let vector = self.pop_vector(ty);
        let narrow = ty.lane_type();
        let value = if narrow.bits() < 32 { self.builder.ins().ireduce(narrow, value) } else { value };
        let value = self.builder.ins().insertlane(vector, value, lane);
        self.push(value);
        Ok(())
    }
}
