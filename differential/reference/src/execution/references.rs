//! Reduction of reference instructions.
//!
//! [Reference instructions](https://webassembly.github.io/spec/core/exec/instructions.html#reference-instructions).
//!
//! Invariant: references are compared by what they refer to.
//!
//! Does not know: what structures and arrays hold.

use super::{Stop, Thread};
use crate::error::TrapClass;
use crate::instruction::{Code, ReferenceInstr};
use crate::types::map_ref;
use crate::value::Ref;

impl Thread<'_> {
    pub(super) fn reference_instr(&mut self, code: &Code, instr: ReferenceInstr) -> Result<(), Stop> {
        match instr {
            ReferenceInstr::Func(func) => {
                let func = self.instance().funcs[func as usize];
                self.push_ref(Ref::Func(func.0));
            }
            ReferenceInstr::IsNull => {
                let reference = self.pop_ref();
                self.push_bool(reference == Ref::Null);
            }
            ReferenceInstr::AsNonNull => {
                let reference = self.non_null()?;
                self.push_ref(reference);
            }
            ReferenceInstr::Eq => {
                let (a, b) = (self.pop_ref(), self.pop_ref());
                self.push_bool(a == b);
            }
            ReferenceInstr::Test(to) => {
                let reference = self.pop_ref();
                let ty = map_ref(code.casts[to as usize], &self.instance().types);
                let has_type = self.store.has_type(reference, ty);
                self.push_bool(has_type);
            }
            ReferenceInstr::Cast(to) => {
                let reference = self.pop_ref();
                let ty = map_ref(code.casts[to as usize], &self.instance().types);
                if !self.store.has_type(reference, ty) {
                    return Err(TrapClass::CastFailure.into());
                }
                self.push_ref(reference);
            }
            ReferenceInstr::GetDesc => {
                let reference = self.non_null()?;
                let descriptor = self.store.descriptor(reference);
                self.push_ref(descriptor);
            }
            ReferenceInstr::CastDescEq(nullable) => {
                let (descriptor, reference) = (self.descriptor()?, self.pop_ref());
                if !self.has_descriptor(reference, descriptor, nullable) {
                    return Err(TrapClass::CastFailure.into());
                }
                self.push_ref(reference);
            }
            ReferenceInstr::I31 => {
                let value = self.pop_u32();
                self.push_ref(Ref::I31(value & 0x7fff_ffff));
            }
            ReferenceInstr::I31GetS => {
                let value = self.i31()?;
                self.stack.push((((value << 1) as i32 >> 1) as u32).into());
            }
            ReferenceInstr::I31GetU => {
                let value = self.i31()?;
                self.stack.push(value.into());
            }
        }
        Ok(())
    }

    pub(super) fn non_null(&mut self) -> Result<Ref, Stop> {
        match self.pop_ref() {
            Ref::Null => Err(TrapClass::NullReference.into()),
            reference => Ok(reference),
        }
    }

    /// The operand that describes: never null.
    pub(super) fn descriptor(&mut self) -> Result<Ref, Stop> {
        self.non_null()
    }

    /// Whether a cast to `descriptor` succeeds: null does where it is asked for, a structure when it was allocated with
    /// this very descriptor.
    pub(super) fn has_descriptor(&self, reference: Ref, descriptor: Ref, nullable: bool) -> bool {
        match reference {
            Ref::Null => nullable,
            reference => self.store.descriptor(reference) == descriptor,
        }
    }

    fn i31(&mut self) -> Result<u32, Stop> {
        match self.non_null()? {
            Ref::I31(value) => Ok(value),
            _ => Err(TrapClass::CastFailure.into()),
        }
    }
}
