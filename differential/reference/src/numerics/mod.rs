//! Numeric instructions, as tables of rules.
//!
//! Each row is an instruction by its specified name, the types of its operands and result, and the
//! [operator](https://webassembly.github.io/spec/core/exec/numerics.html) it reduces to. Validation, decoding and
//! execution are derived from the same row.
//!
//! Invariant: a row changes nothing but the operand stack.
//!
//! Does not know: memories, control, modules.

mod conversions;
mod floats;
mod integers;
mod lanes;
mod relaxed;
mod vector_floats;
mod vector_integers;

pub use conversions::Conversion;
pub use floats::Float;
pub use integers::Integer;
pub(crate) use lanes::{Lane, make};
pub use lanes::{LaneAccess, shuffle};
pub use relaxed::Relaxed;
pub use vector_floats::VectorFloat;
pub use vector_integers::VectorInteger;

use crate::error::TrapClass;
use crate::types::ValType;
use crate::value::Slot;

/// Operand types and result types.
pub type Signature = (&'static [ValType], &'static [ValType]);

/// A type that operands are read as.
pub trait Operand: Copy {
    /// Its value type.
    const TYPE: ValType;
    /// From a slot of that type.
    fn of_slot(slot: Slot) -> Self;
    /// As a slot of that type.
    fn slot(self) -> Slot;
}

macro_rules! operands {
    ($($ty:ty: $val:ident, $of:expr, $to:expr;)*) => {$(
        impl Operand for $ty {
            const TYPE: ValType = ValType::$val;
            #[inline(always)]
            fn of_slot(slot: Slot) -> $ty {
                ($of)(slot)
            }
            #[inline(always)]
            fn slot(self) -> Slot {
                ($to)(self)
            }
        }
        impl Outcome for $ty {
            const TYPES: &'static [ValType] = &[ValType::$val];
            #[inline(always)]
            fn finish(self, stack: &mut Vec<Slot>) -> Result<(), TrapClass> {
                stack.push(self.slot());
                Ok(())
            }
        }
    )*};
}

operands! {
    u32: I32, |slot| slot as u32, Slot::from;
    i32: I32, |slot| slot as i32, |value| Slot::from(value as u32);
    u64: I64, |slot| slot as u64, Slot::from;
    i64: I64, |slot| slot as i64, |value| Slot::from(value as u64);
    f32: F32, |slot| f32::from_bits(slot as u32), |value: f32| Slot::from(value.to_bits());
    f64: F64, |slot| f64::from_bits(slot as u64), |value: f64| Slot::from(value.to_bits());
    u128: V128, |slot| slot, |value| value;
    bool: I32, |slot| slot as u32 != 0, Slot::from;
}

/// What a rule produces.
pub trait Outcome {
    /// Its result types.
    const TYPES: &'static [ValType];
    /// Pushes it.
    ///
    /// # Errors
    /// When the rule traps.
    fn finish(self, stack: &mut Vec<Slot>) -> Result<(), TrapClass>;
}

impl Outcome for (u64, u64) {
    const TYPES: &'static [ValType] = &[ValType::I64, ValType::I64];
    fn finish(self, stack: &mut Vec<Slot>) -> Result<(), TrapClass> {
        stack.extend([self.0.slot(), self.1.slot()]);
        Ok(())
    }
}

impl<T: Outcome> Outcome for Result<T, TrapClass> {
    const TYPES: &'static [ValType] = T::TYPES;
    #[inline(always)]
    fn finish(self, stack: &mut Vec<Slot>) -> Result<(), TrapClass> {
        self?.finish(stack)
    }
}

/// Takes the last `N` slots.
#[inline(always)]
pub(crate) fn pop_n<const N: usize>(stack: &mut Vec<Slot>) -> [Slot; N] {
    let slots = stack.last_chunk::<N>().copied().unwrap_or([0; N]);
    stack.truncate(stack.len().saturating_sub(N));
    slots
}

macro_rules! rules {
    ($(#[$doc:meta])* $name:ident { $($op:ident($($arg:ident: $ty:ty),*) -> $ret:ty $body:block)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("`", stringify!($op), "`.")] $op,)*
        }

        impl $name {
            /// The rule of an instruction, if it is in this table.
            #[must_use]
            pub fn of(operator: &wasmparser::Operator<'_>) -> Option<$name> {
                match operator {
                    $(wasmparser::Operator::$op => Some($name::$op),)*
                    _ => None,
                }
            }

            /// Its type.
            #[must_use]
            pub fn signature(self) -> $crate::numerics::Signature {
                match self {
                    $($name::$op => (
                        &[$(<$ty as $crate::numerics::Operand>::TYPE),*],
                        <$ret as $crate::numerics::Outcome>::TYPES,
                    ),)*
                }
            }

            /// Reduces it with its operands on `stack`.
            ///
            /// # Errors
            /// When the rule traps.
            #[inline(always)]
            pub fn reduce(self, stack: &mut Vec<$crate::value::Slot>) -> Result<(), $crate::error::TrapClass> {
                match self {
                    $($name::$op => {
                        let [$($arg),*] = $crate::numerics::pop_n(stack);
                        $(let $arg = <$ty as $crate::numerics::Operand>::of_slot($arg);)*
                        let result: $ret = $body;
                        $crate::numerics::Outcome::finish(result, stack)
                    })*
                }
            }
        }
    };
}
use rules;
