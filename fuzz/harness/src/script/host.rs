//! Calls of the host: numbers and objects that go out and come back, functions that it calls, exceptions that it throws.
//!
//! An exception that a function throws when the host calls it goes on through the host's frame to the handlers of who called
//! the host ([host functions](https://webassembly.github.io/spec/core/exec/runtime.html#function-instances)).
//!
//! Invariant: the host's record of a call is predicted, before what the call does.
//!
//! Does not know: how the host does it.

use super::body::{CALL, REF_FUNC};
use super::shadow::V;
use super::shared::FUNCTIONS;
use super::types::{Heap, Ty};
use super::{End, Flow, Mix, Writer, link};
use wasm_encoder::Instruction;
use wattest_differential::linked::{HOST_FUNCTIONS, HostAct, HostType, LinkedHostCall, Observed, digest};

/// Numbers of functions from here on are rows of [`HOST_FUNCTIONS`].
pub const FIRST: u32 = 1 << 20;

fn ty(of: HostType) -> Ty {
    match of {
        HostType::I32 => Ty::I32,
        HostType::I64 => Ty::I64,
        HostType::F64 => Ty::F64,
        HostType::V128 => Ty::V128,
        HostType::Any => Ty::null(Heap::Any),
        HostType::Func => Ty::null(Heap::Func),
        HostType::Exn => Ty::null(Heap::Exn),
    }
}

impl Writer<'_, '_> {
    /// A call of one of the host's functions.
    pub(super) fn host_call(&mut self) -> Flow {
        let row = self.source.below(HOST_FUNCTIONS.len());
        match HOST_FUNCTIONS[row].act {
            HostAct::Digest => self.host_digest(row),
            HostAct::Swap if !self.plain => self.host_swap(row),
            HostAct::Call if self.may_call() => self.host_callback(row),
            HostAct::Throw if self.mix != Mix::Heap => self.host_throw(row),
            _ => Flow::Next,
        }
    }

    /// Emits the call, its arguments on the stack.
    fn invoke_host(&mut self, row: usize) {
        if self.host_types[row].is_none() {
            let function = &HOST_FUNCTIONS[row];
            let [params, results] =
                [function.params, function.results].map(|types| types.iter().map(|of| ty(*of)).collect::<Vec<Ty>>());
            self.host_types[row] = Some(self.graph.func(&params, &results));
        }
        self.emit_function(CALL, FIRST + row as u32);
    }

    fn record(&mut self, function: usize, args: &[V]) -> Vec<Observed> {
        let args: Vec<Observed> = args.iter().map(|value| link::observed(*value)).collect();
        self.shadow.host_calls.push(LinkedHostCall { function, args: args.clone() });
        args
    }

    fn host_digest(&mut self, row: usize) -> Flow {
        let params = HOST_FUNCTIONS[row].params;
        let args: Vec<V> = params.iter().map(|of| self.value(ty(*of), 2)).collect();
        self.invoke_host(row);
        let number = digest(&self.record(row, &args));
        self.sink(&[Ty::I64], &[V::I64(number)]);
        Flow::Next
    }

    fn host_swap(&mut self, row: usize) -> Flow {
        let any = Ty::null(Heap::Any);
        let args = [self.value(any, 2), self.value(Ty::I32, 1), self.value(any, 2)];
        self.invoke_host(row);
        self.record(row, &args);
        self.sink(&[any, any], &[args[2], args[0]]);
        Flow::Next
    }

    /// The host calls a new function of any module.
    fn host_callback(&mut self, row: usize) -> Flow {
        let number = self.value(Ty::I32, 1);
        let (module, fun) = (self.source.below(self.pads.len()), self.funs.len() as u32);
        self.record(row, &[number, V::Func(fun)]);
        let (fun, end) = self.function(module, &[], &[]);
        if module <= self.frame.module && self.source.percent(50) {
            self.emit_function(REF_FUNC, fun);
        } else {
            self.emit(Instruction::I32Const(fun as i32));
            self.emit(Instruction::TableGet(FUNCTIONS));
        }
        self.invoke_host(row);
        match end {
            End::Values => Flow::Next,
            End::Throw(exception) => Flow::Throw(exception),
            End::Trap(_) => Flow::Exit(end),
        }
    }

    /// The host throws an exception that some local holds, or fails for want of one.
    fn host_throw(&mut self, row: usize) -> Flow {
        let held = |ty: Ty, value: V| ty == Ty::null(Heap::Exn) && matches!(value, V::Exn(_));
        let roots: Vec<_> = self.roots().into_iter().filter(|(_, ty, value)| held(*ty, *value)).collect();
        if roots.is_empty() || self.tries == 0 && self.source.percent(90) {
            return Flow::Next;
        }
        let number = self.value(Ty::I64, 1);
        let (root, _, value) = self.source.pick(&roots);
        let V::Exn(exception) = value else { return Flow::Next };
        self.push_root(root);
        self.invoke_host(row);
        self.record(row, &[number, value]);
        Flow::Throw(exception)
    }
}

/// The host's types of a program, by row; none where it does not call the function.
pub type Types = [Option<u32>; HOST_FUNCTIONS.len()];
