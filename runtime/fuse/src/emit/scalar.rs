//! Values that are one core value.
//!
//! [`lift_flat`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flat-lifting) and
//! [`lower_flat`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flat-lowering), and the
//! same from and to memory: masks, signs, what `bool` and `char` may be.
//!
//! Invariant: what arrives is what lifting to a value and lowering it again would give, but for the bits of a NaN.
//!
//! Does not know: where places come from.

use super::{Emitter, Place};
use crate::adapter::ImportId;
use crate::intrinsic::Intrinsic;
use wattest_canon::{CoreType, Fault, HandleKind};

/// Surrogates and what lies beyond U+10FFFF, as one comparison: exclusive or with the first surrogate brings the surrogates
/// to the bottom, and a subtraction wraps them to the top.
const FIRST_SURROGATE: i32 = 0xd800;
const SURROGATES: i32 = 0x800;
const CHAR_END: i32 = 0x11_0000;

impl<I: ImportId> Emitter<'_, '_, I> {
    /// Before the value: the target's address, if it is in memory.
    fn aim(&mut self, to: Place<'_>) {
        if let Place::Memory(base, _) = to {
            self.code.get(base);
        }
    }

    /// Puts the source's value on the stack: `bytes` of memory, extended, or a core value of type `ty`.
    pub(super) fn read(&mut self, from: Place<'_>, ty: CoreType, bytes: u32, signed: bool) {
        let end = self.ends.from;
        match from {
            Place::Memory(base, offset) => {
                self.code.get(base);
                let arg = self.arg(&end, offset, bytes);
                let mut sink = self.code.sink();
                match (ty, bytes, signed) {
                    (CoreType::F32, ..) => sink.f32_load(arg),
                    (CoreType::F64, ..) => sink.f64_load(arg),
                    (CoreType::I64, 8, _) => sink.i64_load(arg),
                    (CoreType::I64, ..) => sink.i64_load32_u(arg),
                    (CoreType::I32, 1, false) => sink.i32_load8_u(arg),
                    (CoreType::I32, 1, true) => sink.i32_load8_s(arg),
                    (CoreType::I32, 2, false) => sink.i32_load16_u(arg),
                    (CoreType::I32, 2, true) => sink.i32_load16_s(arg),
                    (CoreType::I32, ..) => sink.i32_load(arg),
                };
            }
            Place::Flat(locals) => {
                // A plan's own form says how many there are.
                if let Some(local) = locals.first() {
                    self.code.get(*local);
                    self.code.convert(local.ty, ty);
                }
            }
        }
    }

    /// Puts the value of type `ty` on the stack into the target, whose address [`Self::aim`] has put below.
    pub(super) fn write(&mut self, to: Place<'_>, ty: CoreType, bytes: u32) {
        let end = self.ends.to;
        match to {
            Place::Memory(_, offset) => {
                let arg = self.arg(&end, offset, bytes);
                let mut sink = self.code.sink();
                match (ty, bytes) {
                    (CoreType::F32, _) => sink.f32_store(arg),
                    (CoreType::F64, _) => sink.f64_store(arg),
                    (CoreType::I64, _) => sink.i64_store(arg),
                    (CoreType::I32, 1) => sink.i32_store8(arg),
                    (CoreType::I32, 2) => sink.i32_store16(arg),
                    (CoreType::I32, _) => sink.i32_store(arg),
                };
            }
            Place::Flat(locals) => {
                if let Some(local) = locals.first() {
                    self.code.convert(ty, local.ty);
                    self.code.set(*local);
                }
            }
        }
    }

    pub(super) fn int(&mut self, bytes: u32, signed: bool, from: Place<'_>, to: Place<'_>) {
        let ty = if bytes == 8 { CoreType::I64 } else { CoreType::I32 };
        self.aim(to);
        self.read(from, ty, bytes, signed);
        // What memory takes has no upper bits, and what it gave was extended.
        let masks = from.is_flat() && to.is_flat();
        #[cfg(wattest_mutants)]
        let masks = masks
            && !(bytes == 1 && wattest_abi::mutant!(canon_int8_unmasked))
            && !(bytes == 2 && wattest_abi::mutant!(canon_int16_unmasked));
        if masks {
            match (bytes, signed) {
                (1, false) => self.code.sink().i32_const(0xff).i32_and(),
                (1, true) => self.code.sink().i32_extend8_s(),
                (2, false) => self.code.sink().i32_const(0xffff).i32_and(),
                (2, true) => self.code.sink().i32_extend16_s(),
                _ => &mut self.code.sink(),
            };
        }
        self.write(to, ty, bytes);
    }

    pub(super) fn boolean(&mut self, from: Place<'_>, to: Place<'_>) {
        self.aim(to);
        self.read(from, CoreType::I32, 1, false);
        #[cfg(wattest_mutants)]
        if wattest_abi::mutant!(canon_bool_unnormalized) {
            return self.write(to, CoreType::I32, 1);
        }
        self.code.sink().i32_const(0).i32_ne();
        self.write(to, CoreType::I32, 1);
    }

    pub(super) fn char(&mut self, from: Place<'_>, to: Place<'_>) {
        self.read(from, CoreType::I32, 4, false);
        let value = self.code.local_set_new(CoreType::I32);
        let surrogates = SURROGATES;
        #[cfg(wattest_mutants)]
        let surrogates = if wattest_abi::mutant!(canon_char_surrogates_accepted) { 0 } else { surrogates };
        self.code.get(value);
        self.code.sink().i32_const(FIRST_SURROGATE).i32_xor().i32_const(surrogates).i32_sub();
        self.code.sink().i32_const(CHAR_END - surrogates).i32_ge_u();
        self.trap_if(Fault::Char);
        self.aim(to);
        self.code.get(value);
        self.write(to, CoreType::I32, 4);
        self.code.release(value);
    }

    pub(super) fn float(&mut self, bytes: u32, from: Place<'_>, to: Place<'_>) {
        let ty = if bytes == 8 { CoreType::F64 } else { CoreType::F32 };
        self.aim(to);
        self.read(from, ty, bytes, false);
        self.write(to, ty, bytes);
    }

    pub(super) fn flags(&mut self, bytes: u32, count: u32, from: Place<'_>, to: Place<'_>) {
        self.aim(to);
        self.read(from, CoreType::I32, bytes, false);
        // A full word has nothing to clear, unless a core value's upper bits would be seen.
        let masks = count < 8 * bytes || (bytes < 4 && from.is_flat() && to.is_flat());
        #[cfg(wattest_mutants)]
        let masks = masks && !wattest_abi::mutant!(canon_flags_unmasked);
        if masks {
            let mask = u32::MAX >> (32 - count.clamp(1, 32));
            self.code.sink().i32_const(mask.cast_signed()).i32_and();
        }
        self.write(to, CoreType::I32, bytes);
    }

    pub(super) fn enumeration(&mut self, bytes: u32, count: u32, from: Place<'_>, to: Place<'_>) {
        let case = self.checked_case(bytes, count, from);
        self.aim(to);
        self.code.get(case);
        self.write(to, CoreType::I32, bytes);
        self.code.release(case);
    }

    /// Reads a discriminant and traps unless it is below `count`.
    pub(super) fn checked_case(&mut self, bytes: u32, count: u32, from: Place<'_>) -> super::Local {
        self.read(from, CoreType::I32, bytes, false);
        let case = self.code.local(CoreType::I32);
        self.code.tee(case);
        #[cfg(wattest_mutants)]
        let count = if wattest_abi::mutant!(canon_discriminant_inclusive) { count + 1 } else { count };
        self.code.sink().i32_const(count.cast_signed()).i32_ge_u();
        self.trap_if(Fault::Discriminant);
        case
    }

    /// Writes a discriminant from a local.
    pub(super) fn write_case(&mut self, case: super::Local, bytes: u32, to: Place<'_>) {
        self.aim(to);
        self.code.get(case);
        self.write(to, CoreType::I32, bytes);
    }

    pub(super) fn handle(&mut self, kind: HandleKind, from: Place<'_>, to: Place<'_>) {
        let transfer = Intrinsic::Transfer { kind, from: self.ends.from.instance, to: self.ends.to.instance };
        let target = self.module.intrinsic(transfer);
        self.aim(to);
        self.read(from, CoreType::I32, 4, false);
        self.code.call(target);
        self.write(to, CoreType::I32, 4);
    }

    /// Writes a core value from a local to a place of its type.
    pub(super) fn write_local(&mut self, local: super::Local, bytes: u32, to: Place<'_>) {
        self.aim(to);
        self.code.get(local);
        self.write(to, local.ty, bytes);
    }
}
