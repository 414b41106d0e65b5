//! Reduction of control instructions.
//!
//! [Control instructions](https://webassembly.github.io/spec/core/exec/instructions.html#control-instructions):
//! branches, calls, tail calls and exceptions.
//!
//! Invariant: a branch leaves exactly the slots below its label and those it takes along.
//!
//! Does not know: numeric instructions.

use super::{Flow, Stop, Thread};
use crate::error::{Failure, TrapClass};
use crate::instruction::{Catch, Code, Instr, Jump};
use crate::store::{FuncAddr, TagAddr};
use crate::types::{TypeId, map_ref};
use crate::value::Ref;

impl Thread<'_> {
    /// `br`: where execution goes on.
    #[inline]
    pub(super) fn jump(&mut self, jump: Jump) -> usize {
        let to = self.base + jump.height as usize;
        self.keep(to, jump.arity as usize);
        jump.to as usize
    }

    /// Moves the last `arity` slots down to `to`.
    #[inline]
    fn keep(&mut self, to: usize, arity: usize) {
        let from = self.stack.len().saturating_sub(arity);
        if from > to {
            self.stack.copy_within(from.., to);
            self.stack.truncate(to + arity);
        }
    }

    /// `return`: leaves the innermost frame.
    pub(super) fn return_results(&mut self, results: usize) {
        self.keep(self.base, results);
        self.frames.pop();
    }

    /// `return_call`: leaves the innermost frame and calls.
    pub(super) fn return_call(&mut self, func: FuncAddr) -> Result<(), Stop> {
        let ty = self.store.funcs[func.0 as usize].ty;
        let params = self.store.types.func(ty).map_or(0, |ty| ty.params.len());
        self.return_results(params);
        self.call(func)
    }

    /// Everything that may leave the frame or test a reference.
    pub(super) fn control_instr(&mut self, code: &Code, instr: Instr, at: &mut usize) -> Result<Option<Flow>, Stop> {
        match instr {
            Instr::Unreachable => return Err(TrapClass::Unreachable.into()),
            Instr::BrTable(table) => {
                let jumps = &code.tables[table as usize];
                let index = (self.pop_u32() as usize).min(jumps.len() - 1);
                *at = self.jump(jumps[index]);
            }
            Instr::BrOnNull(jump) => match self.pop_ref() {
                Ref::Null => *at = self.jump(jump),
                reference => self.push_ref(reference),
            },
            Instr::BrOnNonNull(jump) => match self.pop_ref() {
                Ref::Null => {}
                reference => {
                    self.push_ref(reference);
                    *at = self.jump(jump);
                }
            },
            Instr::BrOnCast { on, to, jump } => {
                let reference = self.pop_ref();
                self.push_ref(reference);
                let ty = map_ref(code.casts[to as usize], &self.instance().types);
                if self.store.has_type(reference, ty) == on {
                    *at = self.jump(jump);
                }
            }
            Instr::BrOnCastDescEq { on, nullable, jump } => {
                let (descriptor, reference) = (self.descriptor()?, self.pop_ref());
                self.push_ref(reference);
                if self.has_descriptor(reference, descriptor, nullable) == on {
                    *at = self.jump(jump);
                }
            }
            Instr::Return => return Ok(Some(Flow::Return)),
            Instr::Call(func) => return Ok(Some(Flow::Call(self.instance().funcs[func as usize]))),
            Instr::CallRef => return Ok(Some(Flow::Call(self.callee()?))),
            Instr::CallIndirect { ty, table } => return Ok(Some(Flow::Call(self.indirect_callee(ty, table)?))),
            Instr::ReturnCall(func) => return Ok(Some(Flow::ReturnCall(self.instance().funcs[func as usize]))),
            Instr::ReturnCallRef => return Ok(Some(Flow::ReturnCall(self.callee()?))),
            Instr::ReturnCallIndirect { ty, table } => {
                return Ok(Some(Flow::ReturnCall(self.indirect_callee(ty, table)?)));
            }
            Instr::Throw(tag) => {
                let tag = self.instance().tags[tag as usize];
                return Err(self.throw(tag));
            }
            Instr::ThrowRef => {
                return Err(match self.pop_ref() {
                    Ref::Exn(exn) => Stop::Throw(exn),
                    _ => TrapClass::NullReference.into(),
                });
            }
            // Every other instruction is reduced by the loop.
            _ => {}
        }
        Ok(None)
    }

    fn callee(&mut self) -> Result<FuncAddr, Stop> {
        match self.pop_ref() {
            Ref::Func(func) => Ok(FuncAddr(func)),
            _ => Err(TrapClass::NullReference.into()),
        }
    }

    fn indirect_callee(&mut self, ty: TypeId, table: u32) -> Result<FuncAddr, Stop> {
        let index = self.pop_u64();
        let instance = self.instance();
        let (expected, table) = (instance.types[ty.0 as usize], instance.tables[table as usize]);
        let entry = usize::try_from(index).ok().and_then(|index| self.store.table(table).entries.get(index));
        match entry {
            None => Err(TrapClass::UndefinedElement.into()),
            Some(Ref::Func(func)) => {
                let actual = self.store.funcs[*func as usize].ty;
                let matches = self.store.types.match_def(actual, expected);
                if matches { Ok(FuncAddr(*func)) } else { Err(TrapClass::IndirectCallTypeMismatch.into()) }
            }
            Some(_) => Err(TrapClass::UninitializedElement.into()),
        }
    }

    /// `throw`: makes the exception.
    fn throw(&mut self, tag: TagAddr) -> Stop {
        let ty = self.store.tags[tag.0 as usize];
        let params = self.store.types.func(ty).map_or(0, |ty| ty.params.len());
        let fields = self.stack.split_off(self.stack.len().saturating_sub(params));
        match self.store.push_exn(tag, fields) {
            Some(exn) => Stop::Throw(exn),
            None => TrapClass::AllocationTooLarge.into(),
        }
    }

    /// `throw_ref`: unwinds to the innermost handler that catches.
    pub(super) fn unwind(&mut self, exn: u32) -> Result<(), Failure> {
        while let Some(frame) = self.frames.last() {
            let at = frame.at.wrapping_sub(1);
            let inside = |start: u32, end: u32| (start as usize..end as usize).contains(&at);
            let handlers = frame.code.handlers.iter().rev().filter(|handler| inside(handler.start, handler.end));
            let instance = &self.store.instances[frame.instance as usize];
            let tag = TagAddr(self.store.exns[exn as usize].ty);
            let catches = |catch: &&Catch| catch.tag.is_none_or(|own| instance.tags[own as usize] == tag);
            let found = handlers.flat_map(|handler| &handler.catches).find(catches).copied();
            let base = frame.base;
            if let Some(catch) = found {
                self.stack.truncate(base + catch.jump.height as usize);
                if catch.tag.is_some() {
                    let from = self.stack.len();
                    self.stack.extend_from_slice(&self.store.exns[exn as usize].fields);
                    if flipped!(exception_payload_swapped) && self.stack.len() - from == 2 {
                        self.stack.swap(from, from + 1);
                    }
                }
                if catch.with_ref {
                    self.push_ref(Ref::Exn(exn));
                }
                if let Some(frame) = self.frames.last_mut() {
                    frame.at = catch.jump.to as usize;
                }
                return Ok(());
            }
            self.stack.truncate(base);
            self.frames.pop();
        }
        Err(Failure::Exception(Ref::Exn(exn)))
    }
}
