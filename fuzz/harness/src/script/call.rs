//! Functions and calls of every kind: direct and imported, through tables and references, in tail position.
//!
//! A callee is generated where its first call stands, for the arguments of that call
//! ([calls](https://webassembly.github.io/spec/core/exec/instructions.html#exec-call)); it may be in any module: an earlier
//! one by import, a later one through the table that all share.
//!
//! Invariant: a function is called once, so what it does is known.
//!
//! Does not know: statements.

use super::body::{CALL, Frame, Local, REF_FUNC, RETURN_CALL};
use super::link::RUNS_MAX;
use super::shadow::V;
use super::shared::{FUNCTIONS, FUNCTIONS_MIN};
use super::types::{Heap, Ty};
use super::{End, Flow, Fun, LOG_MAX, Writer};
use wasm_encoder::{Instruction, MemArg};

/// Active functions at once.
const DEPTH_MAX: u32 = 5;

/// The function that logs.
pub const LOG: u32 = 0;

impl Writer<'_, '_> {
    /// The first function: appends a word to the log.
    pub(super) fn add_log(&mut self) {
        let def = self.graph.func(&[Ty::I64], &[]);
        self.frame = Frame { locals: vec![plain(Ty::I64, V::I64(0))], params: 1, ..Frame::default() };
        let memarg = MemArg { offset: 0, align: 3, memory_index: 0 };
        for instruction in [
            Instruction::GlobalGet(0),
            Instruction::LocalGet(0),
            Instruction::I64Store(memarg),
            Instruction::GlobalGet(0),
            Instruction::I32Const(8),
            Instruction::I32Add,
            Instruction::GlobalSet(0),
            Instruction::End,
        ] {
            self.emit(instruction);
        }
        self.funs.push(Fun { module: 0, def, code: vec![], patches: vec![], export: Some("log".into()) });
        let frame = std::mem::take(&mut self.frame);
        self.close(frame, LOG);
    }

    /// Logs the word on the stack.
    pub(super) fn log(&mut self, word: u64) {
        if self.shadow.log.len() < LOG_MAX {
            self.emit_function(CALL, LOG);
            self.shadow.log.push(word);
        } else {
            self.emit(Instruction::Drop);
        }
    }

    /// Generates a function for these arguments; gives its index and how it ends.
    pub(super) fn function(&mut self, module: usize, params: &[(Ty, V)], results: &[Ty]) -> (u32, End) {
        let types: Vec<Ty> = params.iter().map(|(ty, _)| *ty).collect();
        let def = self.graph.func(&types, results);
        let fun = self.funs.len() as u32;
        self.funs.push(Fun { module, def, code: vec![], patches: vec![], export: None });
        let locals = params.iter().map(|(ty, value)| plain(*ty, *value)).collect();
        let frame = Frame {
            module,
            locals,
            params: params.len(),
            results: results.to_vec(),
            depth: self.frame.depth + 1,
            ..Frame::default()
        };
        let outer = std::mem::replace(&mut self.frame, frame);
        let count = self.source.between(1, 6) as u32;
        let end = match self.statements(count) {
            Flow::Next => {
                let values = results.iter().map(|ty| self.value(*ty, 1)).collect();
                self.results = values;
                End::Values
            }
            Flow::Throw(exception) => {
                self.emit(Instruction::Unreachable);
                End::Throw(exception)
            }
            Flow::Exit(end) => {
                self.emit(Instruction::Unreachable);
                end
            }
        };
        self.end();
        let frame = std::mem::replace(&mut self.frame, outer);
        self.close(frame, fun);
        (fun, end)
    }

    /// Whether another function may be called here.
    pub(super) fn may_call(&self) -> bool {
        let room = self.funs.len() + RUNS_MAX < FUNCTIONS_MIN;
        self.dead == 0 && self.frame.depth < DEPTH_MAX && self.budget > 20 && room
    }

    /// A call of a new function, its results taken into locals.
    pub(super) fn call(&mut self) -> Flow {
        if !self.may_call() {
            return Flow::Next;
        }
        let (params, results) = (self.types(4), self.types(3));
        let args = self.arguments(&params);
        let module = self.source.below(self.pads.len());
        let entry = self.enter_next();
        let (fun, end) = self.function(module, &args, &results);
        let values = std::mem::take(&mut self.results);
        self.invoke(fun, false, entry);
        match end {
            End::Values => {
                self.sink(&results, &values);
                Flow::Next
            }
            End::Throw(exception) => Flow::Throw(exception),
            End::Trap(class) => Flow::Exit(End::Trap(class)),
        }
    }

    /// A call in tail position: the handlers around it are gone when the callee runs.
    pub(super) fn tail_call(&mut self) -> Flow {
        if !self.may_call() {
            return Flow::Next;
        }
        let params = self.types(5);
        let results = self.frame.results.clone();
        let args = self.arguments(&params);
        let module = self.source.below(self.pads.len());
        let entry = self.enter_next();
        // What this function's handlers would catch goes on to the callers'.
        let handlers = std::mem::take(&mut self.frame.tries);
        self.tries -= handlers;
        let (fun, end) = self.function(module, &args, &results);
        self.tries += handlers;
        self.frame.tries = handlers;
        self.invoke(fun, true, entry);
        Flow::Exit(end)
    }

    fn arguments(&mut self, params: &[Ty]) -> Vec<(Ty, V)> {
        params.iter().map(|ty| (*ty, self.value(*ty, 1))).collect()
    }

    /// Emits the call itself, its arguments on the stack: through `entry` of the table of functions, if there is one.
    fn invoke(&mut self, fun: u32, tail: bool, entry: Option<u32>) {
        let def = self.funs[fun as usize].def;
        let type_index = self.type_index(def);
        if let Some(entry) = entry {
            return self.invoke_indirect(entry, type_index, tail);
        }
        let importable = self.funs[fun as usize].module <= self.frame.module;
        match self.source.below(8) {
            0..=2 if importable => self.emit_function(if tail { RETURN_CALL } else { CALL }, fun),
            3 | 4 => self.invoke_indirect(fun, type_index, tail),
            _ if self.plain => self.invoke_indirect(fun, type_index, tail),
            choice => {
                if choice == 5 && importable {
                    self.emit_function(REF_FUNC, fun);
                } else {
                    self.emit(Instruction::I32Const(fun as i32));
                    self.emit(Instruction::TableGet(1));
                    self.convert(Ty::null(Heap::Func), V::Func(fun), Ty::Ref(choice != 6, Heap::Def(def)));
                }
                self.emit(if tail { Instruction::ReturnCallRef(type_index) } else { Instruction::CallRef(type_index) });
            }
        }
    }

    fn invoke_indirect(&mut self, entry: u32, type_index: u32, tail: bool) {
        self.emit(Instruction::I32Const(entry as i32));
        let table_index = FUNCTIONS;
        self.emit(if tail {
            Instruction::ReturnCallIndirect { type_index, table_index }
        } else {
            Instruction::CallIndirect { type_index, table_index }
        });
    }
}

fn plain(ty: Ty, value: V) -> Local {
    Local { ty, value, ready: true, free: true }
}
