//! The component evaluator: components as the specification's text defines them.
//!
//! An oracle for everything that makes components faster than this. It walks the definitions of a [`Component`] in order
//! ([instantiation](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md)), lifts every value to
//! a tree and lowers it again
//! ([canonical ABI](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md)), and executes core
//! modules by this crate's interpreter, which has exception tags and garbage collection too. No graph, no inlining, no
//! fusing. What can be seen of a run is its [`Event`]s.
//!
//! Of asynchronous functions it defines those that finish without suspending; a call that would have to wait ends in
//! [`Failure::Limit`].
//!
//! ```
//! use wattest_reference::component::{Component, Evaluator, Limits, NoHost, Val};
//! let text = r#"(component
//!     (core module $m (func (export "f") (param i32) (result i32) local.get 0 i32.const 1 i32.add))
//!     (core instance $i (instantiate $m))
//!     (func (export "f") (param "x" u8) (result u8) (canon lift (core func $i "f"))))"#;
//! let component = Component::decode(&wat::parse_str(text)?)?;
//! let mut evaluator = Evaluator::new(Limits::default(), Box::new(NoHost));
//! let root = evaluator.instantiate(&component)?;
//! let func = root.func(&["f"]).unwrap();
//! assert_eq!(evaluator.call(&func, &[Val::U8(255)])?, Some(Val::U8(0)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariant: nothing a guest supplies panics, overflows the stack or exceeds the [`Limits`] and the store's budget; a root
//! instance in which a call did not end well cannot be entered again.
//!
//! Does not know: any other engine; the runtime whose results it is compared with.

mod builtins;
mod calls;
mod decode;
mod instantiate;
mod lift;
mod lower;
mod sizes;
mod state;
mod strings;
mod syntax;
mod trace;
mod types;
mod value;

pub use decode::Component;
pub use state::{Host, Limits, NoHost};
pub use trace::Event;
pub use types::{FuncType, Kind, ResourceId, Type};
pub use value::{Encoding, Form, Handle, Text, Val};

use crate::error::Failure;
use crate::store::{Budget, Store};
use calls::{Callee, Evaluation};
use instantiate::{Closure, Exports, Item};
use state::Shared;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Component instances, and the store that their core instances live in.
pub struct Evaluator {
    store: Store,
    shared: Shared,
}

impl std::fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evaluator").field("store", &self.store).finish_non_exhaustive()
    }
}

/// A root component instance.
#[derive(Clone, Debug)]
pub struct Root {
    number: u32,
    exports: Arc<Exports>,
}

/// An exported function.
#[derive(Clone, Debug)]
pub struct Func {
    root: u32,
    callee: Arc<Callee>,
}

impl Func {
    /// Its type.
    #[must_use]
    pub fn ty(&self) -> &FuncType {
        self.callee.ty()
    }
}

impl Root {
    /// A function by the names of the instances it is in, from the outside, and its own.
    #[must_use]
    pub fn func(&self, path: &[&str]) -> Option<Func> {
        let (name, instances) = path.split_last()?;
        let mut exports = &self.exports;
        for instance in instances {
            let Item::Instance(inner) = exports.get(*instance)? else { return None };
            exports = inner;
        }
        match exports.get(*name)? {
            Item::Func(callee) => Some(Func { root: self.number, callee: callee.clone() }),
            _ => None,
        }
    }

    /// The paths of all exported functions, in the order of their names.
    #[must_use]
    pub fn funcs(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        let mut open = vec![(Vec::new(), &*self.exports)];
        while let Some((path, exports)) = open.pop() {
            for (name, item) in exports {
                let path: Vec<String> = path.iter().cloned().chain([name.clone()]).collect();
                match item {
                    Item::Func(_) => found.push(path),
                    Item::Instance(inner) => open.push((path, inner)),
                    _ => {}
                }
            }
        }
        found.sort();
        found
    }
}

impl Drop for Evaluator {
    fn drop(&mut self) {
        let frames = std::mem::take(&mut self.shared.lock().frames);
        frames.iter().for_each(|frame| frame.clear());
    }
}

impl Evaluator {
    /// Nothing yet, and the host that roots import from.
    #[must_use]
    pub fn new(limits: Limits, host: Box<dyn Host>) -> Evaluator {
        let mut store = Store::new(Budget { depth: 2_000, ..Budget::default() });
        store.set_fuel(limits.fuel);
        Evaluator { store, shared: Shared::new(limits, host) }
    }

    /// The same, in which a NaN that crosses from guest to guest keeps its bits; the host sees and gives canonical ones.
    /// The specification allows any others as well
    /// ([loading](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading)); this is
    /// what engines do that copy bits.
    #[must_use]
    pub fn keeping_nans(self) -> Evaluator {
        self.shared.lock().keeps_nans = true;
        self
    }

    /// Instantiates a component whose imports are the host's.
    ///
    /// # Errors
    /// What instantiation ends in.
    pub fn instantiate(&mut self, component: &Component) -> Result<Root, Failure> {
        self.instantiate_with(component, &BTreeMap::new())
    }

    /// Instantiates a component that imports the exports of these instances by name, and everything else from the host.
    ///
    /// # Errors
    /// What instantiation ends in.
    pub fn instantiate_with(
        &mut self,
        component: &Component,
        imports: &BTreeMap<String, Root>,
    ) -> Result<Root, Failure> {
        let closure = Closure { syntax: component.0.clone(), outer: None };
        let imports: Exports =
            imports.iter().map(|(name, root)| (name.clone(), Item::Instance(root.exports.clone()))).collect();
        let number = self.shared.lock().poisoned.len() as u32;
        let mut evaluation = Evaluation { store: &mut self.store, shared: &self.shared };
        let made = evaluation.instantiate(&closure, None, &imports);
        let exports = self.end(Some(number), made)?;
        Ok(Root { number, exports: Arc::new(exports) })
    }

    /// Calls an exported function.
    ///
    /// # Errors
    /// What the call ends in when not in a value.
    pub fn call(&mut self, func: &Func, args: &[Val]) -> Result<Option<Val>, Failure> {
        let mut evaluation = Evaluation { store: &mut self.store, shared: &self.shared };
        let result = evaluation.call_from_host(&func.callee, args);
        // A function of the host that was exported again is none of its instance's.
        let root = matches!(*func.callee, Callee::Lifted(_)).then_some(func.root);
        let result = self.end(root, result)?;
        self.shared.lock().record(Event::Return(result.clone()))?;
        Ok(result)
    }

    /// Drops a resource that the host was given.
    ///
    /// # Errors
    /// What the destructor ends in.
    pub fn drop_resource(&mut self, root: &Root, handle: Handle) -> Result<(), Failure> {
        let mut evaluation = Evaluation { store: &mut self.store, shared: &self.shared };
        let result = evaluation.destroy(None, handle);
        self.end(Some(root.number), result)
    }

    /// What has been seen since this was asked last.
    #[must_use]
    pub fn take_trace(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.shared.lock().trace)
    }

    /// The core store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A failure is the end of its root instance, if it happened in one.
    fn end<T>(&mut self, root: Option<u32>, result: Result<T, Failure>) -> Result<T, Failure> {
        let Err(failure) = &result else { return result };
        let mut state = self.shared.lock();
        if let Failure::Trap(trap) = failure {
            state.record(Event::Trap(trap.class))?;
        }
        if let Some(poisoned) = root.and_then(|root| state.poisoned.get_mut(root as usize)) {
            *poisoned = true;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component that is defined in another one sees the scope that has it.
    #[test]
    fn scopes_end_with_the_evaluator() {
        let text = "(component (component $C (component $D) (instance (instantiate $D))) (instance (instantiate $C)))";
        let component = Component::decode(&wat::parse_str(text).unwrap()).unwrap();
        let mut evaluator = Evaluator::new(Limits::default(), Box::new(NoHost));
        evaluator.instantiate(&component).unwrap();
        let scopes: Vec<_> = evaluator.shared.lock().frames.iter().map(Arc::downgrade).collect();
        assert_eq!(scopes.len(), 3);
        drop(evaluator);
        assert!(scopes.iter().all(|scope| scope.upgrade().is_none()));
    }
}
