//! Rewritings of control: an `if` as branches, as a branch table or as a selection, and back; a loop with its first turn
//! taken out; a block in a loop of one turn, or under a handler that never catches; arms that never ran as traps.
//!
//! A range that comes to lie in more blocks has its outward branches moved by as many
//! ([labels](https://webassembly.github.io/spec/core/syntax/instructions.html#control-instructions)).
//!
//! Invariant: a range is rewritten as a whole or not at all.
//!
//! Does not know: what lies inside a range, beyond its branches.

use super::module::{Body, Line, lines, number};
use super::points::Point;
use crate::source::Source;
use wasm_encoder::{BlockType, Catch, Instruction, ValType};
use wasmparser::Operator;

use Instruction as I;

const EMPTY: BlockType = BlockType::Empty;

/// Operations of a range that is copied.
const COPIED_MAX: usize = 80;

/// A block type without parameters.
fn simple(ty: wasmparser::BlockType) -> Option<BlockType> {
    match ty {
        wasmparser::BlockType::Empty => Some(EMPTY),
        wasmparser::BlockType::Type(ty) => Some(BlockType::Result(number(ty)?)),
        wasmparser::BlockType::FuncType(_) => None,
    }
}

/// Where the block that opens at `at` ends, and its `else`.
fn extent(all: &[Line], at: usize) -> Option<(Option<usize>, usize)> {
    let (mut depth, mut other) = (0, None);
    for (index, line) in all.iter().enumerate().skip(at) {
        match line.operator()? {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                depth += 1
            }
            Operator::Else if depth == 1 => other = Some(index),
            Operator::End => {
                depth -= 1;
                if depth == 0 {
                    return Some((other, index));
                }
            }
            _ => {}
        }
    }
    None
}

/// A range of operations whose branches out of it reach `by` blocks further; `None` where a branch is not a plain one.
fn shifted(range: &[Line], by: u32) -> Option<Vec<Line>> {
    let mut depth = 0u32;
    let mut all = Vec::with_capacity(range.len());
    for line in range {
        let moved = |label: u32| if label >= depth { label + by } else { label };
        let instead = match line.operator()? {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                depth += 1;
                None
            }
            Operator::TryTable { try_table } => {
                let outward = try_table.catches.iter().any(|catch| match catch {
                    wasmparser::Catch::One { label, .. }
                    | wasmparser::Catch::OneRef { label, .. }
                    | wasmparser::Catch::All { label }
                    | wasmparser::Catch::AllRef { label } => *label >= depth,
                });
                depth += 1;
                if outward {
                    return None;
                }
                None
            }
            Operator::End => {
                depth = depth.checked_sub(1)?;
                None
            }
            Operator::Br { relative_depth } => Some(I::Br(moved(relative_depth))),
            Operator::BrIf { relative_depth } => Some(I::BrIf(moved(relative_depth))),
            Operator::BrTable { targets } => {
                let labels = targets.targets().map(|target| target.map(moved)).collect::<Result<Vec<_>, _>>().ok()?;
                Some(I::BrTable(labels.into(), moved(targets.default())))
            }
            Operator::BrOnNull { .. }
            | Operator::BrOnNonNull { .. }
            | Operator::BrOnCast { .. }
            | Operator::BrOnCastFail { .. } => return None,
            _ => None,
        };
        match instead {
            Some(instruction) => all.extend(lines(line.heat, &[instruction])),
            None => all.push(line.clone()),
        }
    }
    Some(all)
}

/// Whether the range never ran: its first operation that is counted did not. The others have some heat for safety.
fn is_cold(range: &[Line]) -> bool {
    let first = range.iter().find(|line| {
        !matches!(
            line.operator(),
            Some(Operator::Block { .. } | Operator::Loop { .. } | Operator::Nop | Operator::TryTable { .. })
        )
    });
    first.is_some_and(|line| line.heat == 0)
}

/// An `if` in another form.
fn conditional(body: &mut Body, at: usize, ty: BlockType, source: &mut Source<'_>) -> Option<(usize, Vec<Line>)> {
    let (other, end) = extent(&body.lines, at)?;
    let heat = body.lines[at].heat;
    let then = body.lines[at + 1..other.unwrap_or(end)].to_vec();
    let otherwise = other.map_or_else(Vec::new, |other| body.lines[other + 1..end].to_vec());
    let opening = body.lines[at].clone();
    let mut all = Vec::new();
    let choice = source.below(4);
    if choice == 0 && (is_cold(&then) || is_cold(&otherwise)) {
        // An arm that never ran.
        let trap = || lines(0, &[I::Unreachable]);
        all.push(opening);
        all.extend(if is_cold(&then) { trap() } else { then });
        if other.is_some() {
            all.extend(lines(heat, &[I::Else]));
            all.extend(if is_cold(&otherwise) { trap() } else { otherwise });
        }
        all.extend(lines(heat, &[I::End]));
        return Some((end, all));
    }
    let condition = body.local(ValType::I32)?;
    if choice == 1
        && let (BlockType::Result(_), [one], [two]) = (ty, &then[..], &otherwise[..])
        && [one, two].into_iter().all(is_pure)
    {
        all.extend(lines(heat, &[I::LocalSet(condition)]));
        all.extend([one.clone(), two.clone()]);
        all.extend(lines(heat, &[I::LocalGet(condition), I::Select]));
        return Some((end, all));
    }
    all.extend(lines(heat, &[I::LocalSet(condition), I::Block(ty), I::Block(EMPTY)]));
    match choice {
        0 | 1 => all.extend(lines(heat, &[I::LocalGet(condition), I::I32Eqz, I::BrIf(0)])),
        _ => {
            let table = I::BrTable((&[1u32][..]).into(), 0);
            all.extend(lines(heat, &[I::Block(EMPTY), I::LocalGet(condition), table, I::End]));
        }
    }
    all.extend(shifted(&then, 1)?);
    all.extend(lines(heat, &[I::Br(1), I::End]));
    all.extend(otherwise);
    all.extend(lines(heat, &[I::End]));
    Some((end, all))
}

/// Whether an operation only gives a value.
fn is_pure(line: &Line) -> bool {
    matches!(
        line.operator(),
        Some(
            Operator::LocalGet { .. }
                | Operator::GlobalGet { .. }
                | Operator::I32Const { .. }
                | Operator::I64Const { .. }
                | Operator::F32Const { .. }
                | Operator::F64Const { .. }
        )
    )
}

/// A loop with its first turn before it. A branch to the loop in that turn goes on with the loop.
fn peeled(body: &Body, at: usize, ty: BlockType) -> Option<(usize, Vec<Line>)> {
    let (_, end) = extent(&body.lines, at)?;
    let heat = body.lines[at].heat;
    let turn = &body.lines[at + 1..end];
    if turn.len() > COPIED_MAX {
        return None;
    }
    // The label of the loop stays the innermost one of both copies; what lies outside is one block further.
    let copy = outer_shifted(turn)?;
    let mut all = lines(heat, &[I::Block(ty), I::Block(EMPTY)]);
    all.extend(copy.clone());
    all.extend(lines(heat, &[I::Br(1), I::End, I::Loop(ty)]));
    all.extend(copy);
    all.extend(lines(heat, &[I::End, I::End]));
    Some((end, all))
}

/// The inside of a block whose own label stays, and whose further labels are one block further.
fn outer_shifted(inside: &[Line]) -> Option<Vec<Line>> {
    let mut framed = lines(0, &[I::Block(EMPTY)]);
    framed.extend_from_slice(inside);
    framed.extend(lines(0, &[I::End]));
    let mut moved = shifted(&framed, 1)?;
    moved.pop();
    moved.remove(0);
    Some(moved)
}

/// A block, loop or `if` inside something that changes nothing.
fn wrapped(body: &mut Body, at: usize, ty: BlockType, source: &mut Source<'_>) -> Option<(usize, Vec<Line>)> {
    let (_, end) = extent(&body.lines, at)?;
    let heat = body.lines[at].heat;
    let is_if = matches!(body.lines[at].operator()?, Operator::If { .. });
    let condition = if is_if { Some(body.local(ValType::I32)?) } else { None };
    let mut all = condition.map_or_else(Vec::new, |local| lines(heat, &[I::LocalSet(local)]));
    let again = condition.map_or_else(Vec::new, |local| lines(heat, &[I::LocalGet(local)]));
    let range = &body.lines[at..=end];
    if source.percent(40) {
        all.extend(lines(heat, &[I::Loop(ty)]));
        all.extend(again);
        all.extend(shifted(range, 1)?);
        all.extend(lines(heat, &[I::End]));
    } else {
        let catch = [Catch::All { label: 0 }];
        all.extend(lines(heat, &[I::Block(ty), I::Block(EMPTY), I::TryTable(ty, (&catch[..]).into())]));
        all.extend(again);
        all.extend(shifted(range, 3)?);
        all.extend(lines(heat, &[I::End, I::Br(1), I::End, I::Unreachable, I::End]));
    }
    Some((end, all))
}

/// A selection as an `if`.
fn selection(body: &mut Body, at: usize, point: &Point) -> Option<(usize, Vec<Line>)> {
    let heat = body.lines[at].heat;
    let ty = number(point.stack[1]?)?;
    let (condition, two, one) = (body.local(ValType::I32)?, body.local(ty)?, body.local(ty)?);
    let all = [
        I::LocalSet(condition),
        I::LocalSet(two),
        I::LocalSet(one),
        I::LocalGet(condition),
        I::If(BlockType::Result(ty)),
        I::LocalGet(one),
        I::Else,
        I::LocalGet(two),
        I::End,
    ];
    Some((at, lines(heat, &all)))
}

/// What begins at an operation.
enum Form {
    If(BlockType),
    Loop(BlockType),
    Block(BlockType),
    Select,
}

/// What may stand for the operation at `at` and those that belong to it, up to the position that is given.
pub(super) fn instead(
    body: &mut Body,
    at: usize,
    point: &Point,
    source: &mut Source<'_>,
) -> Option<(usize, Vec<Line>)> {
    if !point.reachable {
        return None;
    }
    let heat = body.lines.get(at)?.heat;
    let one = |all: &[Instruction<'_>]| Some((at, lines(heat, all)));
    let form = match body.lines[at].operator()? {
        Operator::If { blockty } => Form::If(simple(blockty)?),
        Operator::Loop { blockty } => Form::Loop(simple(blockty)?),
        Operator::Block { blockty } => Form::Block(simple(blockty)?),
        Operator::Select => Form::Select,
        Operator::Br { relative_depth } => {
            let table = I::BrTable(vec![relative_depth].into(), relative_depth);
            return one(&[I::I32Const(source.below(3) as i32), table]);
        }
        Operator::BrIf { relative_depth } if point.plain_label => {
            return one(&[I::If(EMPTY), I::Br(relative_depth + 1), I::End]);
        }
        Operator::BrTable { targets } if targets.len() == 1 => {
            let first = targets.targets().next()?.ok()?;
            return one(&[I::I32Eqz, I::BrIf(first), I::Br(targets.default())]);
        }
        _ => return None,
    };
    match form {
        Form::If(ty) if source.percent(80) => conditional(body, at, ty, source),
        Form::Loop(ty) if source.percent(70) => peeled(body, at, ty),
        Form::If(ty) | Form::Loop(ty) | Form::Block(ty) => wrapped(body, at, ty, source),
        Form::Select => selection(body, at, point),
    }
}
