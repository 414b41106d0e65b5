//! What is known of every operation of a body: what lies on the stack before it, what it takes and gives, where its branches
//! go, how often it ran.
//!
//! Types are the validator's ([validation algorithm](https://webassembly.github.io/spec/core/appendix/algorithm.html)).
//!
//! Invariant: one point per operation, the final `end` left out.
//!
//! Does not know: what is done with it.

use wasmparser::{
    BlockType, FrameKind, ModuleArity, Operator, OperatorsReader, Parser, ValType, ValidPayload, Validator,
    WasmFeatures,
};

/// Operands that a point knows.
const OPERANDS: usize = 3;

/// An operation of a body.
#[derive(Clone, Debug, Default)]
pub(super) struct Point {
    /// Types on the stack before it, the topmost first; `None` where there is no such operand, or its type is not known.
    pub(super) stack: [Option<ValType>; OPERANDS],
    /// How many operands it takes and gives.
    pub(super) arity: Option<(u32, u32)>,
    /// Whether validation thinks that it can be reached.
    pub(super) reachable: bool,
    /// For a conditional branch, whether its label takes no values.
    pub(super) plain_label: bool,
}

/// The points of every body; `None` where the module is not valid.
pub(super) fn of_module(wasm: &[u8]) -> Option<Vec<Vec<Point>>> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let ValidPayload::Func(to_validate, code) = validator.payload(&payload.ok()?).ok()? else { continue };
        let mut func = to_validate.into_validator(Default::default());
        let mut reader = code.get_binary_reader();
        func.read_locals(&mut reader).ok()?;
        let mut points = Vec::new();
        let mut operators = OperatorsReader::new(reader);
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset().ok()?;
            let frame = func.get_control_frame(0);
            // Operands below the innermost block are not its own.
            let own = frame.map_or(0, |frame| func.operand_stack_height() as usize - frame.height);
            let mut point = Point {
                arity: operator.operator_arity(&func),
                reachable: frame.is_some_and(|frame| !frame.unreachable),
                ..Point::default()
            };
            for (depth, slot) in point.stack.iter_mut().enumerate().take(own) {
                *slot = func.get_operand_type(depth).flatten();
            }
            if let Operator::BrIf { relative_depth } = operator {
                point.plain_label = matches!(
                    func.label_block(relative_depth),
                    Some((BlockType::Empty, _) | (BlockType::Type(_), FrameKind::Loop))
                );
            }
            func.op(offset, &operator).ok()?;
            points.push(point);
        }
        points.pop();
        bodies.push(points);
    }
    Some(bodies)
}
