//! The stacks of the validation algorithm.
//!
//! The algorithm of the
//! [appendix](https://webassembly.github.io/spec/core/appendix/algorithm.html), by the names it uses there: `push_val`,
//! `pop_val`, `push_ctrl`, `pop_ctrl`, `unreachable`.
//!
//! Invariant: operands below the innermost frame's height are never popped.
//!
//! Does not know: any instruction but by the kind of frame it opens.

use super::{Context, Refusal};
use crate::types::{HeapType, RefType, ValType};

/// What opened a control frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A function body or constant expression.
    Body,
    /// `block`.
    Block,
    /// `loop`.
    Loop,
    /// `if` without `else` so far.
    If,
    /// `else`.
    Else,
    /// `try_table`.
    TryTable,
}

/// A control frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What opened it.
    pub kind: FrameKind,
    /// Its parameters.
    pub start: Vec<ValType>,
    /// Its results.
    pub end: Vec<ValType>,
    /// Operands below it.
    pub height: usize,
    /// Initializations of locals before it.
    pub inits: usize,
    /// Whether the rest of it cannot be reached.
    pub unreachable: bool,
}

impl Frame {
    /// What a branch to it takes along.
    #[must_use]
    pub fn label(&self) -> &[ValType] {
        if self.kind == FrameKind::Loop { &self.start } else { &self.end }
    }
}

/// The state of the algorithm in one function body or constant expression.
pub struct Checker<'c> {
    /// What the module defines.
    pub context: &'c Context,
    /// Types of the locals.
    pub locals: Vec<ValType>,
    /// Operand types.
    pub vals: Vec<ValType>,
    /// Innermost last.
    pub ctrls: Vec<Frame>,
    /// Results of the function.
    pub results: Vec<ValType>,
    /// Whether only [constant](https://webassembly.github.io/spec/core/valid/instructions.html#constant-expressions)
    /// instructions are allowed.
    pub constant: bool,
    set: Vec<bool>,
    inits: Vec<u32>,
}

impl<'c> Checker<'c> {
    /// A body of `locals`, of which the first `params` are set, with `results`.
    #[must_use]
    pub fn new(context: &'c Context, locals: Vec<ValType>, params: usize, results: Vec<ValType>) -> Checker<'c> {
        let set = locals.iter().enumerate().map(|(at, ty)| at < params || ty.is_defaultable()).collect();
        let body = Frame {
            kind: FrameKind::Body,
            start: Vec::new(),
            end: results.clone(),
            height: 0,
            inits: 0,
            unreachable: false,
        };
        let (vals, ctrls, inits) = (Vec::new(), vec![body], Vec::new());
        Checker { context, locals, vals, ctrls, results, constant: false, set, inits }
    }

    /// Whether what comes next can be reached, as far as the algorithm tells.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.ctrls.last().is_some_and(|frame| !frame.unreachable)
    }

    pub(super) fn push_val(&mut self, ty: ValType) {
        self.vals.push(ty);
    }

    pub(super) fn push_vals(&mut self, types: &[ValType]) {
        self.vals.extend_from_slice(types);
    }

    pub(super) fn push_ref(&mut self, nullable: bool, heap: HeapType) {
        self.vals.push(ValType::Ref(RefType { nullable, heap }));
    }

    pub(super) fn pop_val(&mut self) -> Result<ValType, Refusal> {
        let (height, unreachable) = self.ctrls.last().map_or((0, false), |frame| (frame.height, frame.unreachable));
        if self.vals.len() == height {
            return if unreachable { Ok(ValType::Bot) } else { Err("type mismatch: an operand is missing".into()) };
        }
        self.vals.pop().ok_or_else(|| "type mismatch: an operand is missing".into())
    }

    pub(super) fn pop_expect(&mut self, expected: ValType) -> Result<ValType, Refusal> {
        let actual = self.pop_val()?;
        if !self.context.types.match_val(actual, expected) {
            return Err(format!("type mismatch: {actual:?} where {expected:?} is expected").into());
        }
        Ok(actual)
    }

    pub(super) fn pop_vals(&mut self, expected: &[ValType]) -> Result<Vec<ValType>, Refusal> {
        let mut popped = Vec::with_capacity(expected.len());
        for ty in expected.iter().rev() {
            popped.push(self.pop_expect(*ty)?);
        }
        popped.reverse();
        Ok(popped)
    }

    /// A reference of any type; of the bottom type in unreachable code.
    pub(super) fn pop_ref(&mut self) -> Result<RefType, Refusal> {
        match self.pop_val()? {
            ValType::Ref(ty) => Ok(ty),
            ValType::Bot => Ok(RefType::non_null(HeapType::Bot)),
            other => Err(format!("type mismatch: {other:?} where a reference is expected").into()),
        }
    }

    pub(super) fn pop_heap(&mut self, heap: HeapType) -> Result<ValType, Refusal> {
        self.pop_expect(ValType::Ref(RefType::null(heap)))
    }

    /// The descriptor of `described`: exactly of the declared type when the described type is exact.
    pub(super) fn pop_descriptor(&mut self, described: HeapType) -> Result<(), Refusal> {
        let descriptor = described.def().and_then(|id| self.context.types.get(id).descriptor_id());
        let descriptor = descriptor.ok_or("type without descriptor")?;
        self.pop_heap(described.exact_as(descriptor)).map(drop)
    }

    /// `[from*] → [to*]`.
    pub(super) fn apply(&mut self, from: &[ValType], to: &[ValType]) -> Result<(), Refusal> {
        for ty in from.iter().rev() {
            self.pop_expect(*ty)?;
        }
        self.push_vals(to);
        Ok(())
    }

    pub(super) fn push_ctrl(&mut self, kind: FrameKind, start: Vec<ValType>, end: Vec<ValType>) {
        let (height, inits) = (self.vals.len(), self.inits.len());
        self.push_vals(&start);
        self.ctrls.push(Frame { kind, start, end, height, inits, unreachable: false });
    }

    pub(super) fn pop_ctrl(&mut self) -> Result<Frame, Refusal> {
        let frame = self.ctrls.last().cloned().ok_or_else(|| Refusal::malformed("an `end` too many"))?;
        self.pop_vals(&frame.end)?;
        if self.vals.len() != frame.height {
            return Err("type mismatch: operands are left at the end of a block".into());
        }
        for local in self.inits.drain(frame.inits..) {
            self.set[local as usize] = false;
        }
        self.ctrls.pop();
        Ok(frame)
    }

    pub(super) fn unreachable(&mut self) {
        if let Some(frame) = self.ctrls.last_mut() {
            self.vals.truncate(frame.height);
            frame.unreachable = true;
        }
    }

    /// The types that a branch to the label takes along.
    pub(super) fn label(&self, depth: u32) -> Result<Vec<ValType>, Refusal> {
        let frame = self.ctrls.iter().rev().nth(depth as usize);
        frame.map(|frame| frame.label().to_vec()).ok_or_else(|| format!("unknown label {depth}").into())
    }

    pub(super) fn local(&self, index: u32) -> Result<ValType, Refusal> {
        self.locals.get(index as usize).copied().ok_or_else(|| format!("unknown local {index}").into())
    }

    pub(super) fn is_set(&self, local: u32) -> bool {
        self.set.get(local as usize).copied().unwrap_or(false)
    }

    pub(super) fn mark_set(&mut self, local: u32) {
        if let Some(set) = self.set.get_mut(local as usize)
            && !*set
        {
            *set = true;
            self.inits.push(local);
        }
    }
}
