//! The calling convention of compiled functions, and the shapes that universal trampolines work from.
//!
//! Every compiled function has the code generator's tail-call convention with the signature
//! `(callee_vmctx, caller_vmctx, [results_pointer], params…) -> results…`:
//!
//! * Integers and references travel in six registers (`rdi rsi rdx rcx r8 r9` on x86-64), floats and vectors in eight
//!   (`xmm0`–`xmm7`), in order; what is left over lies on the stack, eight bytes each (sixteen, aligned, for `v128`), the
//!   whole padded to sixteen. The callee pops it.
//! * At most four integer results (`rax rcx rdx rsi`) and four float or vector results (`xmm0`–`xmm3`) return in
//!   registers. If there are more of either, *all* results are stored through `results_pointer`, sixteen bytes each, and
//!   none returns in a register. A tail call forwards the pointer it was given.
//! * A callee that returns has preserved `rbx` and `r12` to `r15`, and the frame pointer: every frame keeps one, so that a
//!   walk of frame pointers is a backtrace. One that unwinds has preserved nothing; `vm`'s entry restores what it saved.
//!
//! Host functions are entered by the same convention with `callee_vmctx` pointing to a
//! [`crate::vmctx::VmHostFunction`].
//!
//! Invariant: [`CallShape::new`] is the only place that assigns locations; `vm`'s assembly and `compile`'s signatures are
//! tested against it.
//!
//! Does not know: function types; a value is only its kind here.

/// The machine-level kind of a WebAssembly value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// 32-bit integer; the upper half of its register is undefined.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector.
    V128,
    /// Function reference: the address of a [`crate::vmctx::VmFuncRef`], or 0 for null.
    FuncRef,
    /// Any other reference: a 32-bit store-local reference, or 0 for null.
    Ref,
}

impl ValueKind {
    /// Whether the value travels in a float register.
    pub const fn is_float(self) -> bool {
        matches!(self, ValueKind::F32 | ValueKind::F64 | ValueKind::V128)
    }

    /// Bytes that the value takes on the stack.
    pub const fn stack_bytes(self) -> u32 {
        match self {
            ValueKind::V128 => 16,
            _ => 8,
        }
    }
}

/// Where a parameter or result lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArgLocation {
    /// Integer register number (parameters: 0 is the callee's `vmctx`).
    Int(u8),
    /// Float register number.
    Float(u8),
    /// Byte offset into the stack arguments.
    Stack(u32),
}

/// Where the results lie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ResultShape {
    /// In registers, one location per result.
    Registers(Vec<ArgLocation>),
    /// In memory, sixteen bytes each, through integer parameter 2.
    Memory,
}

/// Integer registers for parameters, `vmctx` pair included.
pub const INT_PARAM_REGISTERS: u8 = 6;
/// Float registers for parameters.
pub const FLOAT_PARAM_REGISTERS: u8 = 8;
/// Integer registers for results.
pub const INT_RESULT_REGISTERS: u8 = 4;
/// Float registers for results.
pub const FLOAT_RESULT_REGISTERS: u8 = 4;
/// Bytes per result when results return in memory.
pub const RESULT_SLOT_BYTES: u32 = 16;

/// The locations of a function type's parameters and results.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallShape {
    /// One location per parameter.
    pub params: Vec<ArgLocation>,
    /// Where the results lie.
    pub results: ResultShape,
    /// Bytes of stack arguments, a multiple of sixteen.
    pub stack_bytes: u32,
    /// Whether any parameter or result uses a float register.
    pub uses_floats: bool,
}

impl CallShape {
    /// Whether `results` are too many for registers.
    pub fn returns_in_memory(results: impl Iterator<Item = ValueKind>) -> bool {
        let (mut ints, mut floats) = (0u32, 0u32);
        for kind in results {
            if kind.is_float() {
                floats += 1;
            } else {
                ints += 1;
            }
        }
        ints > u32::from(INT_RESULT_REGISTERS) || floats > u32::from(FLOAT_RESULT_REGISTERS)
    }

    /// Assigns locations.
    ///
    /// ```
    /// use wattest_abi::{ArgLocation, CallShape, ValueKind};
    /// let shape = CallShape::new(&[ValueKind::I32, ValueKind::F64], &[ValueKind::I32]);
    /// assert_eq!(shape.params, [ArgLocation::Int(2), ArgLocation::Float(0)]);
    /// ```
    pub fn new(params: &[ValueKind], results: &[ValueKind]) -> CallShape {
        let in_memory = CallShape::returns_in_memory(results.iter().copied());
        let (mut int, mut float, mut stack) = (2 + u8::from(in_memory), 0u8, 0u32);
        let params = params
            .iter()
            .map(|kind| assign(*kind, &mut int, INT_PARAM_REGISTERS, &mut float, &mut stack))
            .collect::<Vec<_>>();
        let uses_float_param = float > 0;
        let results_shape = if in_memory {
            ResultShape::Memory
        } else {
            let (mut int, mut float, mut none) = (0u8, 0u8, 0u32);
            let locations = results
                .iter()
                .map(|kind| assign(*kind, &mut int, INT_RESULT_REGISTERS, &mut float, &mut none))
                .collect();
            ResultShape::Registers(locations)
        };
        let uses_float_result = results.iter().any(|kind| kind.is_float());
        CallShape {
            params,
            results: results_shape,
            stack_bytes: stack.next_multiple_of(16),
            uses_floats: uses_float_param || uses_float_result,
        }
    }
}

/// Locations of up to `N` values known at compile time, and the bytes of stack they take.
#[derive(Clone, Copy, Debug)]
pub struct ConstShape<const N: usize> {
    /// One location per value.
    pub locations: [ArgLocation; N],
    /// Bytes of stack arguments, a multiple of sixteen.
    pub stack_bytes: u32,
    /// Whether any value uses a float register.
    pub uses_floats: bool,
}

impl<const N: usize> ConstShape<N> {
    /// Parameters of these kinds, for a function whose results return in memory or not.
    pub const fn params(kinds: [ValueKind; N], results_in_memory: bool) -> ConstShape<N> {
        let first = if results_in_memory { 3 } else { 2 };
        ConstShape::assign(kinds, first, INT_PARAM_REGISTERS)
    }

    /// Results of these kinds, which return in registers.
    pub const fn results(kinds: [ValueKind; N]) -> ConstShape<N> {
        ConstShape::assign(kinds, 0, INT_RESULT_REGISTERS)
    }

    const fn assign(kinds: [ValueKind; N], first_int: u8, int_max: u8) -> ConstShape<N> {
        let mut locations = [ArgLocation::Stack(0); N];
        let (mut int, mut float, mut stack) = (first_int, 0, 0);
        let mut position = 0;
        while position < N {
            locations[position] = assign(kinds[position], &mut int, int_max, &mut float, &mut stack);
            position += 1;
        }
        ConstShape { locations, stack_bytes: stack.next_multiple_of(16), uses_floats: float > 0 }
    }
}

/// Whether results of these kinds are too many for registers; the constant form of [`CallShape::returns_in_memory`].
pub const fn results_in_memory(kinds: &[ValueKind]) -> bool {
    let (mut ints, mut floats, mut position) = (0, 0, 0);
    while position < kinds.len() {
        if kinds[position].is_float() {
            floats += 1;
        } else {
            ints += 1;
        }
        position += 1;
    }
    ints > INT_RESULT_REGISTERS as u32 || floats > FLOAT_RESULT_REGISTERS as u32
}

const fn assign(kind: ValueKind, int: &mut u8, int_max: u8, float: &mut u8, stack: &mut u32) -> ArgLocation {
    if kind.is_float() && *float < FLOAT_PARAM_REGISTERS {
        *float += 1;
        ArgLocation::Float(*float - 1)
    } else if !kind.is_float() && *int < int_max {
        *int += 1;
        ArgLocation::Int(*int - 1)
    } else {
        let at = stack.next_multiple_of(kind.stack_bytes());
        *stack = at + kind.stack_bytes();
        ArgLocation::Stack(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spills_to_the_stack_in_order() {
        let params = [vec![ValueKind::I64; 5], vec![ValueKind::V128; 9]].concat();
        let shape = CallShape::new(&params, &[]);
        assert_eq!(shape.params[3], ArgLocation::Int(5));
        assert_eq!(shape.params[4], ArgLocation::Stack(0));
        assert_eq!(shape.params[12], ArgLocation::Float(7));
        assert_eq!(shape.params[13], ArgLocation::Stack(16));
        assert_eq!(shape.stack_bytes, 32);
    }

    #[test]
    fn five_integer_results_return_in_memory() {
        let shape = CallShape::new(&[ValueKind::I32], &[ValueKind::I32; 5]);
        assert_eq!(shape.results, ResultShape::Memory);
        assert_eq!(shape.params, [ArgLocation::Int(3)]);
    }
}
