//! Rewritings of one operation, and code that changes nothing.
//!
//! Constants in two parts, values that take a detour through a local, a global or a memory of their own, operations that
//! move into a function of their own, direct calls that become calls by reference, through a table, or in place of the
//! caller, and code that never runs: because its condition is false in a way that only an optimizer can know, or because the
//! profile says that nothing of this place ever ran.
//!
//! Invariant: what a rewriting leaves on the stack, and what it does to the rest of the world, is what the operation did.
//!
//! Does not know: control beyond one operation.

use super::module::{Editor, Facts, Line, lines, number, zero};
use super::points::Point;
use crate::source::Source;
use wasm_encoder::{BlockType, Catch, Instruction, MemArg, ValType};
use wasmparser::Operator;

use Instruction as I;

const EMPTY: BlockType = BlockType::Empty;

/// Code that changes nothing, for any place where code can be reached or not.
pub(super) fn nothing(source: &mut Source<'_>, heat: u64) -> Vec<Line> {
    match source.below(9) {
        0 => lines(heat, &[I::Nop]),
        1 => lines(heat, &[I::Block(EMPTY), I::End]),
        2 => lines(heat, &[I::Loop(EMPTY), I::End]),
        3 => lines(heat, &[I::I32Const(0), I::If(EMPTY), I::Unreachable, I::End]),
        4 => lines(heat, &[I::I32Const(96), I::I32Ctz, I::I32Const(5), I::I32Ne, I::If(EMPTY), I::Unreachable, I::End]),
        5 => lines(heat, &[I::Block(EMPTY), I::Br(0), I::End]),
        6 => {
            let catch = [Catch::All { label: 0 }];
            lines(heat, &[I::Block(EMPTY), I::TryTable(EMPTY, (&catch[..]).into()), I::Nop, I::End, I::End])
        }
        7 => lines(heat, &[I::I64Const(-1), I::F64ConvertI64U, I::Drop]),
        _ => lines(
            heat,
            &[I::Block(EMPTY), I::Block(EMPTY), I::I32Const(1), I::BrTable((&[0u32, 1][..]).into(), 0), I::End, I::End],
        ),
    }
}

/// Code that anybody would notice if it ran.
pub(super) fn wild(source: &mut Source<'_>, facts: &Facts) -> Vec<Line> {
    let any = source.u32() as i32;
    match (source.below(6), facts.wide_memory) {
        (0, Some(wide)) => {
            let at = MemArg { offset: u64::from(source.byte()), align: 0, memory_index: 0 };
            let address = if wide { I::I64Const(i64::from(any)) } else { I::I32Const(any) };
            lines(0, &[address, I::I32Const(7), I::I32Store8(at)])
        }
        (1, Some(wide)) => {
            let one = if wide { I::I64Const(1) } else { I::I32Const(1) };
            lines(0, &[one, I::MemoryGrow(0), I::Drop])
        }
        (2, _) if facts.data > 0 => lines(0, &[I::DataDrop(any as u32 % facts.data)]),
        (3, _) if !facts.mutable.is_empty() => {
            let (global, ty) = source.pick(&facts.mutable);
            lines(0, &[zero(ty), I::GlobalSet(global)])
        }
        (4, _) => lines(0, &[I::Loop(EMPTY), I::Br(0), I::End]),
        (5, _) => wild_call(source, facts).unwrap_or_else(|| lines(0, &[I::Unreachable])),
        _ => lines(0, &[I::Unreachable]),
    }
}

/// A call of any function with zeros.
fn wild_call(source: &mut Source<'_>, facts: &Facts) -> Option<Vec<Line>> {
    let func = source.below(facts.types.len());
    let ty = *facts.types.get(func)?;
    let (params, results) = facts.signatures.get(ty as usize)?.as_ref()?;
    let mut all: Vec<Instruction<'_>> = params.iter().map(|ty| zero(*ty)).collect();
    all.push(I::Call(func as u32));
    all.extend(results.iter().map(|_| I::Drop));
    Some(lines(0, &all))
}

/// Wild code under a condition that is false whatever the number: `x * (x + 1)` is even.
pub(super) fn guarded(editor: &mut Editor, body: usize, source: &mut Source<'_>, heat: u64) -> Option<Vec<Line>> {
    let global = editor.spill_global(ValType::I32);
    let number = editor.bodies.get_mut(body)?.local(ValType::I32)?;
    let mut all = lines(
        heat,
        &[
            I::GlobalGet(global),
            I::LocalTee(number),
            I::LocalGet(number),
            I::I32Const(1),
            I::I32Add,
            I::I32Mul,
            I::I32Const(1),
            I::I32And,
            I::If(EMPTY),
        ],
    );
    all.extend(wild(source, &editor.facts));
    all.extend(lines(heat, &[I::End]));
    Some(all)
}

/// A detour for the value of type `ty` on top of the stack.
pub(super) fn spill(
    editor: &mut Editor,
    body: usize,
    ty: ValType,
    source: &mut Source<'_>,
    heat: u64,
) -> Option<Vec<Line>> {
    if source.percent(35) {
        let global = editor.spill_global(ty);
        return Some(lines(heat, &[I::GlobalSet(global), I::GlobalGet(global)]));
    }
    let local = editor.bodies.get_mut(body)?.local(ty)?;
    if source.percent(40) {
        return Some(lines(heat, &[I::LocalSet(local), I::LocalGet(local)]));
    }
    let memory_index = editor.spill_memory();
    let at = MemArg { offset: u64::from(source.byte()) * 16, align: 0, memory_index };
    let (store, load) = match ty {
        ValType::I32 => (I::I32Store(at), I::I32Load(at)),
        ValType::I64 => (I::I64Store(at), I::I64Load(at)),
        ValType::F32 => (I::F32Store(at), I::F32Load(at)),
        ValType::F64 => (I::F64Store(at), I::F64Load(at)),
        _ => (I::V128Store(at), I::V128Load(at)),
    };
    let address = source.below(8) as i32;
    let detour = [I::LocalSet(local), I::I32Const(address), I::LocalGet(local), store, I::I32Const(address), load];
    Some(lines(heat, &detour))
}

/// The operation in a function of its own, if it is one of numbers only.
pub(super) fn outline(editor: &mut Editor, line: &Line, point: &Point, next: Option<&Point>) -> Option<Vec<Line>> {
    let (takes, gives) = point.arity?;
    let own = matches!(
        line.operator()?,
        Operator::LocalGet { .. }
            | Operator::LocalSet { .. }
            | Operator::LocalTee { .. }
            | Operator::Return
            | Operator::Unreachable
            | Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Else
            | Operator::End
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::BrTable { .. }
            | Operator::TryTable { .. }
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. }
    );
    if own || takes as usize > point.stack.len() || gives > 1 || !point.reachable {
        return None;
    }
    let types =
        |types: &[Option<wasmparser::ValType>]| types.iter().map(|ty| number((*ty)?)).collect::<Option<Vec<_>>>();
    let mut params = types(&point.stack[..takes as usize])?;
    params.reverse();
    let results = types(&next?.stack[..gives as usize])?;
    let func = editor.outline(&params, &results, &line.bytes);
    Some(lines(line.heat, &[I::Call(func)]))
}

/// A direct call in another way. `last` if it is the last operation of the function, or `return` follows.
fn call(
    editor: &mut Editor,
    line: &Line,
    function: u32,
    caller: Option<u32>,
    last: bool,
    source: &mut Source<'_>,
) -> Option<Vec<Line>> {
    let ty = *editor.facts.types.get(function as usize)?;
    let own = |before: &[Instruction<'_>], after: &[Instruction<'_>]| {
        let mut all = lines(line.heat, before);
        all.push(line.clone());
        all.extend(lines(line.heat, after));
        all
    };
    // Results must be the caller's: equal types are enough.
    let results = |ty: u32| editor.facts.signatures.get(ty as usize).cloned().flatten().map(|(_, results)| results);
    let in_place = last && caller.is_some_and(|caller| results(caller).is_some() && results(caller) == results(ty));
    let declared = editor.facts.declared.contains(&function);
    Some(match source.below(6) {
        0 if declared && in_place => lines(line.heat, &[I::RefFunc(function), I::ReturnCallRef(ty)]),
        0 | 1 if declared => lines(line.heat, &[I::RefFunc(function), I::CallRef(ty)]),
        2 if in_place => lines(line.heat, &[I::ReturnCall(function)]),
        0..=3 => {
            let table_index = editor.function_table();
            let index = I::I32Const(function as i32);
            let instead = match in_place && source.percent(50) {
                true => I::ReturnCallIndirect { type_index: ty, table_index },
                false => I::CallIndirect { type_index: ty, table_index },
            };
            lines(line.heat, &[index, instead])
        }
        4 => own(&[I::Block(BlockType::FunctionType(ty))], &[I::End]),
        // What the callee throws cannot be: no module here throws.
        _ => own(&[I::TryTable(BlockType::FunctionType(ty), (&[][..]).into())], &[I::End]),
    })
}

/// Where an operation stands.
pub(super) struct Place {
    /// The type of the function that it is in.
    pub(super) caller: Option<u32>,
    /// Whether the function ends behind it.
    pub(super) last: bool,
}

/// What may stand for an operation, or go with it; `None` where there is nothing.
pub(super) fn instead(editor: &mut Editor, line: &Line, place: &Place, source: &mut Source<'_>) -> Option<Vec<Line>> {
    let own = |after: &[Instruction<'_>]| {
        let mut all = vec![line.clone()];
        all.extend(lines(line.heat, after));
        Some(all)
    };
    let all = match line.operator()? {
        Operator::LocalSet { local_index } => return own(&[I::LocalGet(local_index), I::LocalSet(local_index)]),
        Operator::LocalGet { local_index } if source.percent(50) => {
            return own(&[I::LocalGet(local_index), I::Drop]);
        }
        Operator::LocalGet { local_index } => vec![I::LocalGet(local_index), I::LocalTee(local_index)],
        Operator::LocalTee { local_index } => vec![I::LocalSet(local_index), I::LocalGet(local_index)],
        Operator::I32Const { value } => {
            let part = source.u32() as i32;
            vec![I::I32Const(value.wrapping_sub(part)), I::I32Const(part), I::I32Add]
        }
        Operator::I64Const { value } => {
            let part = source.u64() as i64;
            vec![I::I64Const(value ^ part), I::I64Const(part), I::I64Xor]
        }
        Operator::F32Const { value } => vec![I::I32Const(value.bits() as i32), I::F32ReinterpretI32],
        Operator::F64Const { value } => vec![I::I64Const(value.bits() as i64), I::F64ReinterpretI64],
        Operator::Call { function_index } => {
            return call(editor, line, function_index, place.caller, place.last, source);
        }
        Operator::Return => {
            let mut all = lines(line.heat, &[I::Block(EMPTY), I::End]);
            all.push(line.clone());
            return Some(all);
        }
        Operator::I32Eqz => vec![I::I32Const(0), I::I32Eq],
        Operator::I64Eqz => vec![I::I64Const(0), I::I64Eq],
        Operator::I32Add => vec![I::I32Const(-1), I::I32Xor, I::I32Const(1), I::I32Add, I::I32Sub],
        Operator::I64Mul => vec![I::I64Const(-1), I::I64Mul, I::I64Mul, I::I64Const(-1), I::I64Mul],
        Operator::I32WrapI64 => vec![I::I64Const(0x5a5a_5a5a_0000_0000), I::I64Xor, I::I32WrapI64],
        _ => return None,
    };
    Some(lines(line.heat, &all))
}

fn any(source: &mut Source<'_>, items: &[Instruction<'static>]) -> Instruction<'static> {
    items[source.below(items.len())].clone()
}

/// Another operation of the same type, for a place that never ran.
pub(super) fn changed(line: &Line, source: &mut Source<'_>) -> Option<Vec<Line>> {
    let other = match line.operator()? {
        Operator::I32Add | Operator::I32Mul | Operator::I32Xor | Operator::I32Shl => {
            any(source, &[I::I32DivS, I::I32RemU, I::I32Sub, I::I32Rotl])
        }
        Operator::I64Add | Operator::I64Mul | Operator::I64Xor | Operator::I64Shl => {
            any(source, &[I::I64DivU, I::I64RemS, I::I64Sub, I::I64Rotr])
        }
        Operator::F32Add | Operator::F32Mul => any(source, &[I::F32Div, I::F32Copysign, I::F32Min]),
        Operator::F64Add | Operator::F64Mul => any(source, &[I::F64Div, I::F64Copysign, I::F64Max]),
        Operator::I32Const { value } => I::I32Const(!value),
        Operator::I64Const { value } => I::I64Const(!value),
        _ => return None,
    };
    Some(lines(0, &[other]))
}
