//! Calls between components and from the host, without emitted code.
//!
//! `canon lift` and `canon lower` by full values
//! ([calls](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-lift)): what an adapter
//! must be equal to.
//!
//! Invariant: a call that halts leaves nothing that can be entered again.
//!
//! Does not know: adapter modules.

use super::core::{Core, FuncId, Halt, Value, slots};
use super::machine::{CellId, Given, Lifted, Machine, Sink, Task, abi_type, flat_limits, out_pointer, results_of};
use std::sync::Arc;
use wattest_canon::{FLAT_PARAMS_MAX, FLAT_RESULTS_MAX, Nans, ResourceId};
use wattest_component::ComponentIndex;
use wattest_component::graph::{Fused, Side};
use wattest_reference::TrapClass;
use wattest_reference::component::Event;

/// Calls that are active at once.
const DEPTH_MAX: u32 = 100;

/// Whether a status of a task says that it is over.
///
/// # Errors
/// A trap; [`Halt::Nothing`] for a task that waits.
pub fn check_status(packed: u64) -> Result<(), Halt> {
    match packed & 0xf {
        0 => Ok(()),
        1 | 2 => Err(Halt::Nothing("a task yields or waits".to_owned())),
        _ => Err(TrapClass::BadCallbackCode.into()),
    }
}

impl Machine {
    /// Begins a task.
    ///
    /// # Errors
    /// Too many.
    pub(super) fn enter(
        &self,
        component: ComponentIndex,
        sink: Sink,
        lift: Option<Side<CellId>>,
        may_block: bool,
    ) -> Result<(), Halt> {
        let mut state = self.state();
        if state.tasks.len() as u32 >= DEPTH_MAX {
            return Err(Halt::Nothing("calls are nested too deep".to_owned()));
        }
        state.handles.begin();
        state.tasks.push(Task { component, context: [0; 2], sink, lift, may_block, given: None });
        Ok(())
    }

    /// Ends the innermost task.
    pub(super) fn leave(&self) -> Option<Task> {
        self.state().tasks.pop()
    }

    /// The callee has given everything back, or has not.
    ///
    /// # Errors
    /// [`TrapClass::BorrowsRemain`].
    pub(super) fn end_scope(&self) -> Result<(), Halt> {
        self.state().handles.end()
    }

    /// A function that is an adapter by its meaning alone.
    ///
    /// # Errors
    /// When its type is missing.
    pub fn fused(&self, core: &mut dyn Core, fused: &Fused<CellId>) -> Result<FuncId, Halt> {
        let signature = self.core_signature(&fused.lower, false)?;
        let ty = abi_type(&signature.params, &signature.results);
        let (machine, fused) = (self.clone(), fused.clone());
        Ok(core.add_func(&ty, Arc::new(move |core, args| machine.call_fused(core, &fused, args))))
    }

    fn call_fused(&self, core: &mut dyn Core, fused: &Fused<CellId>, args: &[Value]) -> Result<Vec<Value>, Halt> {
        let (lower, lift) = (&fused.lower, &fused.lift);
        self.check_lowered(core, lower)?;
        let (from, to) = (self.place(&lower.opts, Nans::Kept)?, self.place(&lift.opts, Nans::Kept)?);
        let signature = self.core_signature(lower, false)?;
        let (args, is_async) = (slots(args), lower.opts.is_async);
        let out = out_pointer(&signature, &args);
        let sink = match lift.opts.is_async {
            true => Sink::Guest { lower: lower.clone(), out },
            false => Sink::None,
        };
        self.enter(lift.opts.component, sink, Some(lift.clone()), self.is_async(lift))?;
        let (params, _) = self.func_type(lower.ty)?;
        let values = self.lift(core, from, flat_limits(is_async).0, &params, &args)?;
        let (params, _) = self.func_type(lift.ty)?;
        let flat = self.lower(core, to, FLAT_PARAMS_MAX, (&params, &values), None)?;
        let results = self.call_flat(core, self.func(fused.callee)?, &flat)?;
        if lift.opts.is_async {
            self.run_callback(lift, &results)?;
            self.end_scope()?;
            return match self.leave().and_then(|task| task.given) {
                Some(Given::Core(results)) => Ok(results),
                _ => Err(TrapClass::NoResult.into()),
            };
        }
        let (_, result) = self.func_type(lift.ty)?;
        let values = self.lift(core, to, FLAT_RESULTS_MAX, &result, &slots(&results))?;
        self.end_scope()?;
        let (_, result) = self.func_type(lower.ty)?;
        let flat = self.lower(core, from, flat_limits(is_async).1, (&result, &values), out)?;
        self.post_return(core, lift, &results)?;
        self.leave();
        Ok(results_of(&signature, is_async, &flat))
    }

    /// Whether a function's type is `async`.
    fn is_async(&self, side: &Side<CellId>) -> bool {
        self.0.statics.func_types.get(side.ty.index()).is_some_and(|ty| ty.is_async)
    }

    fn post_return(&self, core: &mut dyn Core, lift: &Side<CellId>, results: &[Value]) -> Result<(), Halt> {
        let Some(post_return) = lift.opts.post_return else { return Ok(()) };
        let component = lift.opts.component;
        self.set_may_leave(core, component, false)?;
        self.record(Event::PostReturn { instance: component.0, args: slots(results) })?;
        core.call(self.func(post_return)?, results)?;
        self.set_may_leave(core, component, true)
    }

    /// What a callee with a callback returns: it is over, or it would have to wait.
    pub(super) fn run_callback(&self, lift: &Side<CellId>, results: &[Value]) -> Result<(), Halt> {
        match lift.opts.callback {
            Some(_) => check_status(slots(results).first().copied().unwrap_or(0)),
            None => Ok(()),
        }
    }

    /// The innermost task of a component instance.
    pub(super) fn with_task<T>(&self, component: ComponentIndex, f: impl FnOnce(&mut Task) -> T) -> Option<T> {
        let mut state = self.state();
        state.tasks.iter_mut().rev().find(|task| task.component == component).map(f)
    }

    /// Reads or writes a slot of the current thread of a component instance.
    pub(super) fn context<T>(&self, component: ComponentIndex, f: impl FnOnce(&mut [u64; 2]) -> T) -> Option<T> {
        let mut state = self.state();
        let state = &mut *state;
        match state.tasks.iter_mut().rev().find(|task| task.component == component) {
            Some(task) => Some(f(&mut task.context)),
            None => state.starting.as_mut()?.get_mut(component.index()).map(f),
        }
    }

    /// `task.return` with lifted values: they go to the caller at once.
    pub(super) fn give(
        &self,
        core: &mut dyn Core,
        component: ComponentIndex,
        sink: Sink,
        values: Lifted,
    ) -> Result<(), Halt> {
        let given = match sink {
            Sink::Host => Given::Host(values.values),
            Sink::Guest { lower, out } => {
                let (_, result) = self.func_type(lower.ty)?;
                let (place, is_async) = (self.place(&lower.opts, Nans::Kept)?, lower.opts.is_async);
                let flat = self.lower(core, place, flat_limits(is_async).1, (&result, &values), out)?;
                Given::Core(results_of(&self.core_signature(&lower, false)?, is_async, &flat))
            }
            Sink::None | Sink::Adapter { .. } => return Err(TrapClass::TaskReturn.into()),
        };
        self.with_task(component, |task| task.given = Some(given));
        Ok(())
    }

    /// Calls a lifted function in the name of the host.
    ///
    /// # Errors
    /// A trap, after which nothing may be entered.
    pub fn call_lift(
        &self,
        core: &mut dyn Core,
        callee: CellId,
        lift: &Side<CellId>,
        args: Vec<wattest_canon::Value>,
    ) -> Result<Vec<wattest_canon::Value>, Halt> {
        if self.state().poisoned {
            return Err(TrapClass::CannotEnter.into());
        }
        let place = self.place(&lift.opts, Nans::Canonical)?;
        let sink = if lift.opts.is_async { Sink::Host } else { Sink::None };
        self.enter(lift.opts.component, sink, Some(lift.clone()), self.is_async(lift))?;
        let (params, result) = self.func_type(lift.ty)?;
        let flat = self.lower(core, place, FLAT_PARAMS_MAX, (&params, &args.into()), None)?;
        let results = self.call_flat(core, self.func(callee)?, &flat)?;
        if lift.opts.is_async {
            self.run_callback(lift, &results)?;
            self.end_scope()?;
            return match self.leave().and_then(|task| task.given) {
                Some(Given::Host(values)) => Ok(values),
                _ => Err(TrapClass::NoResult.into()),
            };
        }
        let values = self.lift(core, place, FLAT_RESULTS_MAX, &result, &slots(&results))?;
        self.end_scope()?;
        self.post_return(core, lift, &results)?;
        self.leave();
        Ok(values.values)
    }

    /// `resource.drop`.
    pub(super) fn drop_handle(
        &self,
        core: &mut dyn Core,
        by: ComponentIndex,
        resource: ResourceId,
        index: u32,
    ) -> Result<(), Halt> {
        let rep = self.state().handles.drop(by.index(), index, resource)?;
        let row = self.state().resources.get(resource.0 as usize).copied().flatten();
        let Some(rep) = rep else { return Ok(()) };
        let Some((owner, dtor)) = row else { return self.record(Event::Dtor { instance: None, rep }) };
        if dtor.is_some() {
            self.record(Event::Dtor { instance: Some(owner.0), rep })?;
        }
        let statics = &self.0.statics;
        if owner != by && (statics.contains(owner, by) || statics.contains(by, owner)) {
            return Err(TrapClass::CannotEnter.into());
        }
        let Some(dtor) = dtor else { return Ok(()) };
        let dtor = self.func(dtor)?;
        if owner == by {
            return core.call(dtor, &[Value::I32(rep)]).map(|_| ());
        }
        self.enter(owner, Sink::None, None, false)?;
        core.call(dtor, &[Value::I32(rep)])?;
        self.end_scope()?;
        self.leave();
        Ok(())
    }
}
