//! Calls: `canon lift`, `canon lower`, and the built-in functions.
//!
//! [Canonical definitions](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canonical-definitions)
//! for callees that finish without suspending: what would have to wait for another task is [`Failure::Limit`].
//!
//! Invariant: whatever a call ends in, the stack of tasks is what it was; a call that fails ends its root instance.
//!
//! Does not know: how instances come to be.

use super::lift::{Context, Flat};
use super::state::{ComponentInstanceId, Options, Outcome, Resolver, Shared, Task};
use super::trace::Event;
use super::types::{FLAT_MAX, FuncType, Kind, ResourceId, Type};
use super::value::{Handle, Val, canonicalize_nans};
use crate::error::{Failure, TrapClass};
use crate::store::{FuncAddr, Store};
use crate::value::Value;
use std::sync::Arc;

/// Flat parameters of an asynchronous call.
pub(crate) const FLAT_ASYNC_PARAMS_MAX: usize = 4;
/// Flat results.
pub(crate) const FLAT_RESULTS_MAX: usize = 1;
/// The state of a subtask that has returned.
const RETURNED: u32 = 2;

/// Code of components in the middle of its evaluation.
pub(crate) struct Evaluation<'e> {
    pub(crate) store: &'e mut Store,
    pub(crate) shared: &'e Shared,
}

/// A core function as a component function.
#[derive(Clone, Debug)]
pub(crate) struct Lifted {
    pub(crate) inst: ComponentInstanceId,
    pub(crate) core: FuncAddr,
    pub(crate) ty: Arc<FuncType>,
    pub(crate) options: Arc<Options>,
}

/// A component function.
#[derive(Clone, Debug)]
pub(crate) enum Callee {
    Lifted(Lifted),
    Host { path: String, ty: Arc<FuncType> },
}

impl Callee {
    pub(crate) fn ty(&self) -> &Arc<FuncType> {
        match self {
            Callee::Lifted(lifted) => &lifted.ty,
            Callee::Host { ty, .. } => ty,
        }
    }
}

/// A component function as a core function.
#[derive(Clone, Debug)]
pub(crate) struct Lowered {
    pub(crate) inst: ComponentInstanceId,
    pub(crate) callee: Arc<Callee>,
    pub(crate) options: Arc<Options>,
}

fn trap<T>(class: TrapClass) -> Result<T, Failure> {
    Err(Failure::trap(class))
}

impl Evaluation<'_> {
    /// Calls a core function; an exception does not leave it.
    pub(crate) fn call_core(&mut self, func: FuncAddr, args: &[Value]) -> Result<Vec<Value>, Failure> {
        match self.store.invoke(func, args) {
            Err(Failure::Exception(_)) => trap(TrapClass::UncaughtException),
            other => other,
        }
    }

    fn deepen(&mut self) -> Result<(), Failure> {
        let mut state = self.shared.lock();
        if state.depth >= state.limits.depth {
            return trap(TrapClass::StackExhausted);
        }
        state.depth += 1;
        Ok(())
    }

    /// Calls a component function in the name of the host.
    pub(crate) fn call_from_host(&mut self, callee: &Callee, args: &[Val]) -> Result<Option<Val>, Failure> {
        let Callee::Lifted(lifted) = callee else {
            let Callee::Host { path, ty } = callee else { return Ok(None) };
            return self.call_host(path, ty, args);
        };
        self.shared.lock().check_enter(None, lifted.inst)?;
        let mut args = args.to_vec();
        canonicalize_nans(&mut args);
        let outcome = self.run_task(lifted, Resolver::Host, |_| Ok(args))?;
        match outcome {
            Outcome::Host(mut values) => {
                canonicalize_nans(&mut values);
                Ok(values.into_iter().next())
            }
            Outcome::Guest(_) => Ok(None),
        }
    }

    fn call_host(&mut self, path: &str, ty: &FuncType, args: &[Val]) -> Result<Option<Val>, Failure> {
        // Taken out meanwhile: the state is not locked while the host runs.
        let Some(mut host) = self.shared.lock().host.take() else { return trap(TrapClass::CannotEnter) };
        let result = host.call(path, ty, args);
        let mut state = self.shared.lock();
        state.host = Some(host);
        let result = result?;
        state.record(Event::HostCall { path: path.to_owned(), args: args.to_vec(), result: result.clone() })?;
        Ok(result)
    }

    /// [`canon lower`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-lower).
    pub(crate) fn call_lowered(&mut self, lowered: &Lowered, args: &[Value]) -> Result<Vec<Value>, Failure> {
        let (inst, options) = (lowered.inst, &*lowered.options);
        let ty = lowered.callee.ty().clone();
        let caller = {
            let mut state = self.shared.lock();
            state.check_may_leave(inst)?;
            if ty.is_async && !options.is_async && !state.may_block() {
                return trap(TrapClass::CannotBlock);
            }
            state.current
        };
        let (params, results) = (ty.param_types(), ty.result_types());
        let params_max = if options.is_async { FLAT_ASYNC_PARAMS_MAX } else { FLAT_MAX };
        let mut cx = Context::new(inst, options);
        let mut flat = Flat::new(args);
        let lowered_results = match &*lowered.callee {
            Callee::Host { path, ty } => {
                let mut values = self.lift_values(&mut cx, &mut flat, &params, params_max)?;
                canonicalize_nans(&mut values);
                let result = self.call_host(path, ty, &values)?;
                let mut values: Vec<Val> = result.into_iter().collect();
                canonicalize_nans(&mut values);
                let max = if options.is_async { 0 } else { FLAT_RESULTS_MAX };
                self.lower_values(&mut cx, &values, &results, max, Some(&mut flat))?
            }
            Callee::Lifted(lifted) => {
                self.shared.lock().check_enter(Some(inst), lifted.inst)?;
                let Some(task) = caller else { return trap(TrapClass::CannotEnter) };
                let resolver = Resolver::Guest { inst, task, options: lowered.options.clone(), out: None };
                let outcome = self.run_task(lifted, resolver, |this| {
                    let values = this.lift_values(&mut cx, &mut flat, &params, params_max)?;
                    let out = flat.pointer(options.is64);
                    if let Some(Task { resolver: Resolver::Guest { out: place, .. }, .. }) =
                        this.shared.lock().tasks.last_mut()
                    {
                        *place = Some(out);
                    }
                    Ok(values)
                })?;
                match outcome {
                    Outcome::Guest(values) => values,
                    Outcome::Host(_) => Vec::new(),
                }
            }
        };
        self.give_back(&cx);
        Ok(if options.is_async { vec![Value::I32(RETURNED)] } else { lowered_results })
    }

    /// The lender has its handles for itself again.
    fn give_back(&mut self, cx: &Context<'_>) {
        let mut state = self.shared.lock();
        for (inst, index) in &cx.lent {
            state.instance(*inst).table.returned(*index);
        }
    }

    /// [`canon lift`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-lift):
    /// a task from its start to its end.
    fn run_task(
        &mut self,
        lifted: &Lifted,
        resolver: Resolver,
        start: impl FnOnce(&mut Self) -> Result<Vec<Val>, Failure>,
    ) -> Result<Outcome, Failure> {
        self.deepen()?;
        let (at, caller) = {
            let mut state = self.shared.lock();
            if state.instance(lifted.inst).backpressure > 0 {
                return Err(Failure::Limit("a call has to wait for backpressure".to_owned()));
            }
            let (ty, options) = (lifted.ty.clone(), lifted.options.clone());
            let task = Task { inst: lifted.inst, ty, options, resolver, outcome: None, borrows: 0, context: [0; 2] };
            state.tasks.push(task);
            let at = state.tasks.len() - 1;
            (at, state.current.replace(at))
        };
        let ended = self.run_body(lifted, at, start);
        let mut state = self.shared.lock();
        state.depth -= 1;
        state.current = caller;
        let task = state.tasks.pop();
        ended?;
        match task.and_then(|task| task.outcome) {
            Some(outcome) => Ok(outcome),
            None => trap(TrapClass::NoResult),
        }
    }

    fn run_body(
        &mut self,
        lifted: &Lifted,
        task: usize,
        start: impl FnOnce(&mut Self) -> Result<Vec<Val>, Failure>,
    ) -> Result<(), Failure> {
        let options = &*lifted.options;
        let args = start(self)?;
        let mut cx = Context { task: Some(task), ..Context::new(lifted.inst, options) };
        let flat = self.lower_values(&mut cx, &args, &lifted.ty.param_types(), FLAT_MAX, None)?;
        let results = self.call_core(lifted.core, &flat)?;
        match (options.is_async, options.callback) {
            (false, _) => self.finish(lifted, task, &results),
            (true, None) => Ok(()),
            (true, Some(callback)) => self.event_loop(callback, &results),
        }
    }

    /// The end of a synchronous task: its results, then post-return.
    fn finish(&mut self, lifted: &Lifted, task: usize, results: &[Value]) -> Result<(), Failure> {
        let mut cx = Context::new(lifted.inst, &lifted.options);
        let types = lifted.ty.result_types();
        let values = self.lift_values(&mut cx, &mut Flat::new(results), &types, FLAT_RESULTS_MAX)?;
        self.resolve(task, values)?;
        if let Some(post_return) = lifted.options.post_return {
            {
                let mut state = self.shared.lock();
                state.instance(lifted.inst).may_leave = false;
                let args = results.iter().map(|value| value.slot() as u64).collect();
                state.record(Event::PostReturn { instance: lifted.inst.0, args })?;
            }
            self.call_core(post_return, results)?;
            self.shared.lock().instance(lifted.inst).may_leave = true;
        }
        Ok(())
    }

    /// Calls back until the task exits, as long as nothing has to be waited for.
    fn event_loop(&mut self, callback: FuncAddr, results: &[Value]) -> Result<(), Failure> {
        let mut packed = Flat::new(results).next(crate::types::ValType::I32);
        loop {
            match packed & 0xf {
                0 => return Ok(()),
                1 if !self.shared.lock().may_block() => {}
                1 => return Err(Failure::Limit("a task yields".to_owned())),
                2 if !self.shared.lock().may_block() => return trap(TrapClass::CannotBlock),
                2 => return Err(Failure::Limit("a task waits".to_owned())),
                _ => return trap(TrapClass::BadCallbackCode),
            }
            let results = self.call_core(callback, &[Value::I32(0), Value::I32(0), Value::I32(0)])?;
            packed = Flat::new(&results).next(crate::types::ValType::I32);
        }
    }

    /// The task has its result, which goes to its caller.
    fn resolve(&mut self, at: usize, values: Vec<Val>) -> Result<(), Failure> {
        let (inst, caller, options, out, ty) = {
            let mut state = self.shared.lock();
            let Some(task) = state.tasks.get_mut(at) else { return trap(TrapClass::TaskReturn) };
            if task.outcome.is_some() {
                return trap(TrapClass::TaskReturn);
            }
            if task.borrows > 0 {
                return trap(TrapClass::BorrowsRemain);
            }
            match &task.resolver {
                Resolver::Host => {
                    task.outcome = Some(Outcome::Host(values));
                    return Ok(());
                }
                Resolver::Guest { inst, task: caller, options, out } => {
                    (*inst, *caller, options.clone(), *out, task.ty.clone())
                }
            }
        };
        let current = self.shared.lock().current.replace(caller);
        let out = [super::lower::core_value(out.unwrap_or(0), crate::types::ValType::I64)];
        let max = if options.is_async { 0 } else { FLAT_RESULTS_MAX };
        let mut cx = Context::new(inst, &options);
        let flat = self.lower_values(&mut cx, &values, &ty.result_types(), max, Some(&mut Flat::new(&out)))?;
        let mut state = self.shared.lock();
        state.current = current;
        if let Some(task) = state.tasks.get_mut(at) {
            task.outcome = Some(Outcome::Guest(flat));
        }
        Ok(())
    }

    pub(crate) fn task_return(
        &mut self,
        inst: ComponentInstanceId,
        result: Option<&Type>,
        options: &Options,
        args: &[Value],
    ) -> Result<(), Failure> {
        let (at, ty) = {
            let mut state = self.shared.lock();
            state.check_may_leave(inst)?;
            let Some(at) = state.current else { return trap(TrapClass::TaskReturn) };
            let task = &state.tasks[at];
            let same = task.options.memory == options.memory && task.options.encoding == options.encoding;
            if !task.options.is_async || task.ty.result.as_ref() != result || !same {
                return trap(TrapClass::TaskReturn);
            }
            (at, task.ty.clone())
        };
        let mut cx = Context::new(inst, options);
        let values = self.lift_values(&mut cx, &mut Flat::new(args), &ty.result_types(), FLAT_MAX)?;
        self.resolve(at, values)
    }

    pub(crate) fn resource_drop(
        &mut self,
        inst: ComponentInstanceId,
        resource: ResourceId,
        index: u32,
    ) -> Result<(), Failure> {
        let entry = {
            let mut state = self.shared.lock();
            state.check_may_leave(inst)?;
            state.instance(inst).table.remove(index, resource)?
        };
        match entry.scope {
            Some(task) => {
                let mut state = self.shared.lock();
                if let Some(task) = state.tasks.get_mut(task) {
                    task.borrows -= 1;
                }
                Ok(())
            }
            None => self.destroy(Some(inst), entry.handle),
        }
    }

    /// The last handle is gone: runs the destructor.
    pub(crate) fn destroy(&mut self, by: Option<ComponentInstanceId>, handle: Handle) -> Result<(), Failure> {
        let (owner, dtor, path) = {
            let mut state = self.shared.lock();
            let resource = &state.resources[handle.resource.0 as usize];
            let parts = (resource.owner, resource.dtor, resource.path.clone());
            if parts.0.is_none() || parts.1.is_some() {
                state.record(Event::Dtor { instance: parts.0.map(|owner| owner.0), rep: handle.rep })?;
            }
            parts
        };
        let Some(owner) = owner else {
            let Some(mut host) = self.shared.lock().host.take() else { return trap(TrapClass::CannotEnter) };
            host.drop_resource(&path, handle.rep);
            self.shared.lock().host = Some(host);
            return Ok(());
        };
        if by == Some(owner) {
            return match dtor {
                Some(dtor) => self.call_core(dtor, &[Value::I32(handle.rep)]).map(|_| ()),
                None => Ok(()),
            };
        }
        let (ty, caller) = {
            let mut state = self.shared.lock();
            state.check_enter(by, owner)?;
            let Some(u32_type) = state.types.intern(Kind::U32) else { return Ok(()) };
            (FuncType { is_async: false, params: vec![("rep".to_owned(), u32_type)], result: None }, state.current)
        };
        let Some(core) = dtor else { return Ok(()) };
        let options = Arc::new(Options::default());
        let resolver = match (by, caller) {
            (Some(inst), Some(task)) => Resolver::Guest { inst, task, options: options.clone(), out: None },
            _ => Resolver::Host,
        };
        let lifted = Lifted { inst: owner, core, ty: Arc::new(ty), options };
        self.run_task(&lifted, resolver, |_| Ok(vec![Val::U32(handle.rep)])).map(|_| ())
    }
}
