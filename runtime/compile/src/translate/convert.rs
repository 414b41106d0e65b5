//! Conversions
//! ([spec](https://webassembly.github.io/spec/core/exec/numerics.html#conversions)).
//!
//! Invariant: with signal-based traps off, a truncation is checked before it happens.
//!
//! Does not know: vectors.

use super::{Step, Translator};
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Type, Value, types};
use wattest_abi::TrapCode;

impl Translator<'_> {
    pub(super) fn reinterpret(&mut self, to: Type) -> Step {
        let value = self.pop();
        let flags = MemFlagsData::new().with_endianness(Endianness::Little);
        let value = self.builder.ins().bitcast(to, flags, value);
        self.push(value);
        Ok(())
    }

    /// A truncation that traps.
    pub(super) fn truncate(&mut self, to: Type, signed: bool) -> Step {
        let value = self.pop();
        let value = if self.env.tunables.signals_based_traps {
            let ins = self.builder.ins();
            if signed { ins.fcvt_to_sint(to, value) } else { ins.fcvt_to_uint(to, value) }
        } else {
            self.check_truncation(value, to, signed);
            self.saturated(value, to, signed)
        };
        self.push(value);
        Ok(())
    }

    /// A truncation that saturates.
    pub(super) fn truncate_saturating(&mut self, to: Type, signed: bool) -> Step {
        let value = self.pop();
        let value = self.saturated(value, to, signed);
        self.push(value);
        Ok(())
    }

    fn saturated(&mut self, value: Value, to: Type, signed: bool) -> Value {
        let ins = self.builder.ins();
        if signed { ins.fcvt_to_sint_sat(to, value) } else { ins.fcvt_to_uint_sat(to, value) }
    }

    fn check_truncation(&mut self, value: Value, to: Type, signed: bool) {
        let nan = self.builder.ins().fcmp(FloatCC::Unordered, value, value);
        self.trap_if(nan, TrapCode::InvalidConversionToInteger);
        // In range exactly when `below < value < above`, or `below <= value` where one less is not representable.
        let is_f32 = self.builder.func.dfg.value_type(value) == types::F32;
        let (below, inclusive, above) = match (to == types::I64, signed) {
            (false, true) if is_f32 => (-2_147_483_648.0, true, 2_147_483_648.0),
            (false, true) => (-2_147_483_649.0, false, 2_147_483_648.0),
            (true, true) => (-9_223_372_036_854_775_808.0, true, 9_223_372_036_854_775_808.0),
            (false, false) => (-1.0, false, 4_294_967_296.0),
            (true, false) => (-1.0, false, 18_446_744_073_709_551_616.0),
        };
        let (low, high) = if is_f32 {
            (self.f32_const((below as f32).to_bits()), self.f32_const((above as f32).to_bits()))
        } else {
            (self.f64_const(f64::to_bits(below)), self.f64_const(f64::to_bits(above)))
        };
        let condition = if inclusive { FloatCC::LessThan } else { FloatCC::LessThanOrEqual };
        let too_low = self.builder.ins().fcmp(condition, value, low);
        let too_high = self.builder.ins().fcmp(FloatCC::GreaterThanOrEqual, value, high);
        let outside = self.builder.ins().bor(too_low, too_high);
        self.trap_if(outside, TrapCode::IntegerOverflow);
    }
}
