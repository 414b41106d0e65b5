//! Every operator that the byte reader knows, by number.
//!
//! What coverage is counted in: the names are those of the reader's operators, which follow the
//! [instructions](https://webassembly.github.io/spec/core/appendix/index-instructions.html); each row knows its proposal.
//!
//! Invariant: numbers are dense, in the reader's order.
//!
//! Does not know: what operators do.

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatorRow {
    /// Its name.
    pub name: &'static str,
    /// The proposal that brought it, as the byte reader calls it.
    pub proposal: &'static str,
    /// Operands; three where their number depends on immediates, which is as far as a count looks.
    pub operands: u8,
}

/// No operator.
pub const NO_OPERATOR: u16 = u16::MAX;

macro_rules! operators {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        /// The table.
        pub static OPERATORS: &[OperatorRow] = &[$(OperatorRow {
            name: stringify!($op),
            proposal: stringify!($proposal),
            operands: operators!(@operands $($ann)*),
        },)*];

        #[derive(Clone, Copy)]
        #[repr(u16)]
        enum Number {
            $($op,)*
        }

        /// The number of an operator: its position in the table.
        #[must_use]
        pub fn number_of(operator: &wasmparser::Operator<'_>) -> u16 {
            match operator {
                $(wasmparser::Operator::$op { .. } => Number::$op as u16,)*
                _ => NO_OPERATOR,
            }
        }
    };
    (@operands arity $from:literal -> $to:literal) => { $from };
    (@operands $($rest:tt)*) => { 3 };
}

wasmparser::for_each_operator!(operators);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_positions() {
        let check = |operator: wasmparser::Operator<'_>, name: &str, proposal: &str, operands: u8| {
            let row = OPERATORS[usize::from(number_of(&operator))];
            assert_eq!(row, OperatorRow { name: row.name, proposal: row.proposal, operands });
            assert_eq!((row.name, row.proposal), (name, proposal));
        };
        check(wasmparser::Operator::I32Add, "I32Add", "mvp", 2);
        check(wasmparser::Operator::I8x16RelaxedSwizzle, "I8x16RelaxedSwizzle", "relaxed_simd", 2);
        check(wasmparser::Operator::Call { function_index: 0 }, "Call", "mvp", 3);
    }
}
