//! Core functions that canonical definitions make.
//!
//! Each is a closure over the component instance that defines it:
//! [canonical built-ins](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#canonical-built-ins).
//!
//! Invariant: a built-in that needs to leave its instance traps when that is forbidden, before anything else.
//!
//! Does not know: index spaces.

use super::calls::{Evaluation, FLAT_ASYNC_PARAMS_MAX, FLAT_RESULTS_MAX, Lowered};
use super::state::{ComponentInstanceId, Entry, Options};
use super::types::{FLAT_MAX, ResourceId, Type, flatten};
use super::value::Handle;
use crate::error::{Failure, TrapClass};
use crate::store::{FuncAddr, Store};
use crate::types::{FuncType, ValType};
use crate::value::Value;
use std::sync::Arc;

fn first_u32(args: &[Value]) -> u32 {
    args.first().map_or(0, |value| value.slot() as u32)
}

/// The core signature of a lowered function.
fn lowered_type(lowered: &Lowered) -> FuncType {
    let (ty, options) = (lowered.callee.ty(), &lowered.options);
    let pointer = if options.is64 { ValType::I64 } else { ValType::I32 };
    let mut params = flatten(&ty.param_types(), options.is64);
    let mut results = flatten(&ty.result_types(), options.is64);
    if params.len() > if options.is_async { FLAT_ASYNC_PARAMS_MAX } else { FLAT_MAX } {
        params = vec![pointer];
    }
    if results.len() > if options.is_async { 0 } else { FLAT_RESULTS_MAX } {
        params.push(pointer);
        results.clear();
    }
    if options.is_async {
        results = vec![ValType::I32];
    }
    FuncType { params, results }
}

impl Evaluation<'_> {
    fn add(
        &mut self,
        params: &[ValType],
        results: &[ValType],
        body: impl Fn(&mut Evaluation<'_>, &[Value]) -> Result<Vec<Value>, Failure> + Send + Sync + 'static,
    ) -> FuncAddr {
        let shared = self.shared.clone();
        let ty = FuncType { params: params.to_vec(), results: results.to_vec() };
        let func = move |store: &mut Store, args: &[Value]| body(&mut Evaluation { store, shared: &shared }, args);
        self.store.add_func(ty, Arc::new(func))
    }

    pub(crate) fn lowered_func(&mut self, lowered: Lowered) -> FuncAddr {
        let FuncType { params, results } = lowered_type(&lowered);
        self.add(&params, &results, move |this, args| this.call_lowered(&lowered, args))
    }

    pub(crate) fn resource_new_func(&mut self, inst: ComponentInstanceId, resource: ResourceId) -> FuncAddr {
        self.add(&[ValType::I32], &[ValType::I32], move |this, args| {
            let mut state = this.shared.lock();
            state.check_may_leave(inst)?;
            let handle = Handle { resource, rep: first_u32(args) };
            let index = state.instance(inst).table.add(Entry { handle, scope: None, lends: 0 })?;
            Ok(vec![Value::I32(index)])
        })
    }

    pub(crate) fn resource_drop_func(&mut self, inst: ComponentInstanceId, resource: ResourceId) -> FuncAddr {
        self.add(&[ValType::I32], &[], move |this, args| {
            this.resource_drop(inst, resource, first_u32(args)).map(|()| Vec::new())
        })
    }

    pub(crate) fn resource_rep_func(&mut self, inst: ComponentInstanceId, resource: ResourceId) -> FuncAddr {
        self.add(&[ValType::I32], &[ValType::I32], move |this, args| {
            let mut state = this.shared.lock();
            let entry = state.instance(inst).table.get(first_u32(args), resource)?;
            Ok(vec![Value::I32(entry.handle.rep)])
        })
    }

    pub(crate) fn task_return_func(
        &mut self,
        inst: ComponentInstanceId,
        result: Option<Type>,
        options: Arc<Options>,
    ) -> FuncAddr {
        let types: Vec<Type> = result.iter().cloned().collect();
        let mut params = flatten(&types, options.is64);
        if params.len() > FLAT_MAX {
            params = vec![if options.is64 { ValType::I64 } else { ValType::I32 }];
        }
        self.add(&params, &[], move |this, args| {
            this.task_return(inst, result.as_ref(), &options, args).map(|()| Vec::new())
        })
    }

    pub(crate) fn context_get_func(&mut self, slot: u32, wide: bool) -> FuncAddr {
        let ty = if wide { ValType::I64 } else { ValType::I32 };
        self.add(&[], &[ty], move |this, _| {
            let state = this.shared.lock();
            let task = state.current.and_then(|at| state.tasks.get(at));
            let bits = task.and_then(|task| task.context.get(slot as usize).copied()).unwrap_or(0);
            Ok(vec![super::lower::core_value(bits, ty)])
        })
    }

    pub(crate) fn context_set_func(&mut self, slot: u32, wide: bool) -> FuncAddr {
        let ty = if wide { ValType::I64 } else { ValType::I32 };
        self.add(&[ty], &[], move |this, args| {
            let mut state = this.shared.lock();
            let at = state.current.unwrap_or(usize::MAX);
            if let Some(place) = state.tasks.get_mut(at).and_then(|task| task.context.get_mut(slot as usize)) {
                *place = args.first().map_or(0, |value| value.slot() as u64);
            }
            Ok(Vec::new())
        })
    }

    pub(crate) fn backpressure_func(&mut self, inst: ComponentInstanceId, up: bool) -> FuncAddr {
        self.add(&[], &[], move |this, _| {
            let mut state = this.shared.lock();
            let count = &mut state.instance(inst).backpressure;
            let next = if up { Some(*count + 1) } else { count.checked_sub(1) };
            match next.filter(|next| *next < 1 << 16) {
                Some(next) => *count = next,
                None => return Err(Failure::trap(TrapClass::Backpressure)),
            }
            Ok(Vec::new())
        })
    }

    pub(crate) fn other_func(
        &mut self,
        inst: ComponentInstanceId,
        name: &'static str,
        params: &[ValType],
        results: &[ValType],
    ) -> FuncAddr {
        self.add(params, results, move |this, _| {
            this.shared.lock().check_may_leave(inst)?;
            Err(Failure::Limit(format!("component async: {name}")))
        })
    }
}
