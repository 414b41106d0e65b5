//! Execution: one thread of frames, and its reduction loop.
//!
//! [Instructions](https://webassembly.github.io/spec/core/exec/instructions.html) reduce one at a time on an explicit
//! stack; the guest's call depth is never the host's.
//!
//! Invariant: a frame's locals and operands are the slots from its base up; a frame that has called holds the position
//! after its call.
//!
//! Does not know: modules and linking.

mod aggregates;
mod control;
mod memories;
mod references;
mod tables;

use crate::error::{Failure, Trap, TrapClass};
use crate::instruction::{Code, Instr};
use crate::numerics::shuffle;
use crate::store::{Body, Func, FuncAddr, Instance, InstanceAddr, Store};
use crate::types::ValType;
use crate::value::{Ref, Slot, Value};
use std::sync::Arc;

/// An activation.
struct Frame {
    code: Arc<Code>,
    instance: u32,
    /// The next instruction.
    at: usize,
    base: usize,
}

/// Why reduction stops.
enum Stop {
    Trap(TrapClass),
    Throw(u32),
    Fail(Failure),
}

impl From<TrapClass> for Stop {
    fn from(class: TrapClass) -> Stop {
        Stop::Trap(class)
    }
}

/// What a frame asks for.
enum Flow {
    Call(FuncAddr),
    ReturnCall(FuncAddr),
    Return,
}

/// A thread of execution.
struct Thread<'s> {
    store: &'s mut Store,
    stack: Vec<Slot>,
    frames: Vec<Frame>,
    /// Of the innermost frame.
    instance: u32,
    base: usize,
}

impl Store {
    /// [Invokes](https://webassembly.github.io/spec/core/exec/modules.html#invocation) a function.
    ///
    /// # Errors
    /// When the arguments do not fit, or what execution ended in.
    pub fn invoke(&mut self, func: FuncAddr, args: &[Value]) -> Result<Vec<Value>, Failure> {
        let ty = self.func_type(func);
        let fits = |value: &Value, ty: &ValType| match (value, ty) {
            (Value::Ref(reference), ValType::Ref(ty)) => self.has_type(*reference, *ty),
            (value, ty) => value.sort() == *ty,
        };
        if args.len() != ty.params.len() || !args.iter().zip(&ty.params).all(|(value, ty)| fits(value, ty)) {
            return Err(Failure::Arguments(format!("{args:?} for {:?}", ty.params)));
        }
        let mut thread = Thread::new(self);
        thread.stack.extend(args.iter().map(|value| value.slot()));
        let entered = thread.call(func);
        thread.run(entered)?;
        Ok(thread.stack.iter().zip(&ty.results).map(|(slot, ty)| Value::of_slot(*slot, *ty)).collect())
    }

    /// Evaluates a constant expression.
    pub(crate) fn evaluate(&mut self, instance: u32, code: &Arc<Code>) -> Result<Slot, Failure> {
        let mut thread = Thread::new(self);
        let entered = thread.enter(instance, code);
        thread.run(entered)?;
        Ok(thread.pop())
    }
}

impl<'s> Thread<'s> {
    fn new(store: &'s mut Store) -> Thread<'s> {
        Thread { store, stack: Vec::new(), frames: Vec::new(), instance: 0, base: 0 }
    }

    fn pop(&mut self) -> Slot {
        self.stack.pop().unwrap_or(0)
    }

    fn top(&self) -> Slot {
        self.stack.last().copied().unwrap_or(0)
    }

    fn pop_u32(&mut self) -> u32 {
        self.pop() as u32
    }

    fn pop_u64(&mut self) -> u64 {
        self.pop() as u64
    }

    fn pop_ref(&mut self) -> Ref {
        Ref::of_slot(self.pop())
    }

    fn push_bool(&mut self, value: bool) {
        self.stack.push(Slot::from(value));
    }

    fn push_ref(&mut self, reference: Ref) {
        self.stack.push(reference.slot());
    }

    fn instance(&self) -> &Instance {
        &self.store.instances[self.instance as usize]
    }

    fn enter(&mut self, instance: u32, code: &Arc<Code>) -> Result<(), Stop> {
        let base = self.stack.len().saturating_sub(code.params as usize);
        let budget = &self.store.budget;
        let is_deep = self.frames.len() + self.store.depth >= budget.depth;
        if is_deep || base + code.slots as usize > budget.slots {
            return Err(TrapClass::StackExhausted.into());
        }
        self.stack.resize(base + code.params as usize + code.locals as usize, 0);
        self.frames.push(Frame { code: code.clone(), instance, at: 0, base });
        Ok(())
    }

    fn call(&mut self, func: FuncAddr) -> Result<(), Stop> {
        let Func { ty, body } = &self.store.funcs[func.0 as usize];
        match body {
            Body::Wasm { instance, code } => {
                let (instance, code) = (*instance, code.clone());
                self.enter(instance, &code)
            }
            Body::Host(host) => {
                let (ty, host) = (*ty, host.clone());
                let Some(ty) = self.store.types.func(ty).cloned() else { return Ok(()) };
                let from = self.stack.len().saturating_sub(ty.params.len());
                let args: Vec<Value> =
                    self.stack.drain(from..).zip(&ty.params).map(|(slot, ty)| Value::of_slot(slot, *ty)).collect();
                self.store.depth += self.frames.len() + 1;
                let results = host(self.store, &args);
                self.store.depth -= self.frames.len() + 1;
                let results = results.map_err(|failure| match failure {
                    Failure::Exception(Ref::Exn(exn)) => Stop::Throw(exn),
                    other => Stop::Fail(other),
                })?;
                if results.len() != ty.results.len() {
                    return Err(TrapClass::Host.into());
                }
                self.stack.extend(results.iter().map(|value| value.slot()));
                Ok(())
            }
        }
    }

    /// Reduces until no frame is left; `last` is what the latest step ended in.
    fn run(&mut self, entered: Result<(), Stop>) -> Result<(), Failure> {
        let mut last = entered;
        loop {
            last = match last {
                Ok(()) if self.frames.is_empty() => return Ok(()),
                Ok(()) => self.step(),
                Err(Stop::Throw(exn)) => {
                    self.unwind(exn)?;
                    Ok(())
                }
                Err(Stop::Trap(class) | Stop::Fail(Failure::Trap(Trap { class, offset: None, .. }))) => {
                    let instance = self.frames.last().map(|frame| InstanceAddr(frame.instance));
                    return Err(Failure::Trap(Trap { class, offset: self.offset(), instance }));
                }
                Err(Stop::Fail(failure)) => return Err(failure),
            };
        }
    }

    /// The first byte of the instruction that was executed last.
    fn offset(&self) -> Option<u32> {
        let frame = self.frames.last()?;
        frame.code.offsets.get(frame.at.wrapping_sub(1)).copied()
    }

    /// Runs the innermost frame until it calls or returns.
    fn step(&mut self) -> Result<(), Stop> {
        let Some(Frame { code, instance, at, base }) = self.frames.last() else { return Ok(()) };
        let (code, mut at) = (code.clone(), *at);
        (self.instance, self.base) = (*instance, *base);
        let flow = self.reduce(&code, &mut at);
        if let Some(frame) = self.frames.last_mut() {
            frame.at = at;
        }
        match flow? {
            Flow::Call(func) => self.call(func),
            Flow::ReturnCall(func) => self.return_call(func),
            Flow::Return => {
                self.return_results(code.results as usize);
                Ok(())
            }
        }
    }

    /// Reduces instructions of one frame.
    fn reduce(&mut self, code: &Code, at: &mut usize) -> Result<Flow, Stop> {
        loop {
            if self.store.fuel == 0 {
                return Err(TrapClass::OutOfFuel.into());
            }
            self.store.fuel -= 1;
            let instr = code.instrs[*at];
            *at += 1;
            if let Some(tally) = &mut self.store.tally {
                tally.count(code, *at - 1, &self.stack);
            }
            match instr {
                Instr::Integer(op) => op.reduce(&mut self.stack)?,
                Instr::Float(op) => op.reduce(&mut self.stack)?,
                Instr::Conversion(op) => op.reduce(&mut self.stack)?,
                Instr::VectorInteger(op) => op.reduce(&mut self.stack)?,
                Instr::VectorFloat(op) => op.reduce(&mut self.stack)?,
                Instr::Relaxed(op) => op.reduce(&mut self.stack)?,
                Instr::Lane(op, lane) => op.reduce(lane, &mut self.stack),
                Instr::Const(bits) => self.stack.push(bits.into()),
                Instr::ConstVector(vector) => self.stack.push(code.vectors[vector as usize]),
                Instr::Shuffle(lanes) => {
                    let (b, a) = (self.pop(), self.pop());
                    self.stack.push(shuffle(code.vectors[lanes as usize], a, b));
                }
                Instr::Drop => {
                    self.pop();
                }
                Instr::Select => {
                    let (condition, b, a) = (self.pop_u32(), self.pop(), self.pop());
                    self.stack.push(if condition != 0 { a } else { b });
                }
                Instr::LocalGet(local) => self.stack.push(self.stack[self.base + local as usize]),
                Instr::LocalSet(local) => self.stack[self.base + local as usize] = self.pop(),
                Instr::LocalTee(local) => self.stack[self.base + local as usize] = self.top(),
                Instr::GlobalGet(global) => {
                    let global = self.instance().globals[global as usize];
                    self.stack.push(self.store.globals[global.0 as usize].slot);
                }
                Instr::GlobalSet(global) => {
                    let (value, global) = (self.pop(), self.instance().globals[global as usize]);
                    self.store.globals[global.0 as usize].slot = value;
                }
                Instr::Load(load, place) => self.load(load, place)?,
                Instr::Store(store, place) => self.store(store, place)?,
                Instr::LoadLane(bytes, lane, place) => self.load_lane(bytes, lane, place)?,
                Instr::StoreLane(bytes, lane, place) => self.store_lane(bytes, lane, place)?,
                Instr::Memory(instr) => self.memory_instr(instr)?,
                Instr::Table(instr) => self.table_instr(instr)?,
                Instr::Reference(instr) => self.reference_instr(code, instr)?,
                Instr::Aggregate(instr) => self.aggregate_instr(instr)?,
                Instr::Br(jump) => *at = self.jump(jump),
                Instr::BrIf(jump) => {
                    if self.pop_u32() != 0 {
                        *at = self.jump(jump);
                    }
                }
                Instr::BrIfZero(to) => {
                    if self.pop_u32() == 0 {
                        *at = to as usize;
                    }
                }
                control => {
                    if let Some(flow) = self.control_instr(code, control, at)? {
                        return Ok(flow);
                    }
                }
            }
        }
    }
}
