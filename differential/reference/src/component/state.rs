//! The state of an evaluation: component instances, handle tables, resource types, tasks, and the trace.
//!
//! [Runtime state](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#runtime-state), as far
//! as tasks that never suspend need it: they form a stack.
//!
//! Invariant: what a guest can multiply is counted against the [`Limits`].
//!
//! Does not know: memories and code, which the core store has.

use super::instantiate::Frame;
use super::trace::Event;
use super::types::{FuncType, Interner, ResourceId};
use super::value::{Encoding, Handle, Val};
use crate::error::{Failure, TrapClass};
use crate::store::{FuncAddr, MemoryAddr};
use crate::value::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What guests may use up besides the core store's [`Budget`](crate::Budget).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls between components, and instantiations, that are active at once.
    pub depth: u32,
    /// Component and core instances.
    pub instances: u32,
    /// Nodes of lifted values, and bytes of lifted strings.
    pub values: u64,
    /// Events of the trace.
    pub events: usize,
    /// Instructions of all guests together.
    pub fuel: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { depth: 100, instances: 10_000, values: 1 << 21, events: 1 << 20, fuel: 100_000_000 }
    }
}

/// A component instance, by order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentInstanceId(pub(crate) u32);

pub(crate) struct Instance {
    pub(crate) parent: Option<ComponentInstanceId>,
    pub(crate) root: u32,
    pub(crate) may_leave: bool,
    pub(crate) backpressure: u32,
    pub(crate) table: Table,
}

pub(crate) struct Resource {
    /// Nothing for a resource of the host.
    pub(crate) owner: Option<ComponentInstanceId>,
    pub(crate) dtor: Option<FuncAddr>,
    /// The import's name, of a resource of the host.
    pub(crate) path: String,
}

/// An entry of a handle table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) handle: Handle,
    /// The task that has to drop it; nothing for an owned one.
    pub(crate) scope: Option<usize>,
    pub(crate) lends: u32,
}

/// A handle table: freed indices are used again, the last one first.
#[derive(Default)]
pub(crate) struct Table {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
}

/// The [largest length](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#table-state)
/// would take gigabytes.
const TABLE_LENGTH_MAX: usize = 1 << 20;

impl Table {
    pub(crate) fn add(&mut self, entry: Entry) -> Result<u32, Failure> {
        if self.entries.is_empty() {
            self.entries.push(None);
        }
        if let Some(index) = self.free.pop() {
            self.entries[index as usize] = Some(entry);
            return Ok(index);
        }
        if self.entries.len() >= TABLE_LENGTH_MAX {
            return Err(Failure::Limit("handles".to_owned()));
        }
        self.entries.push(Some(entry));
        Ok(self.entries.len() as u32 - 1)
    }

    /// The entry of a handle of a type.
    pub(crate) fn get(&mut self, index: u32, resource: ResourceId) -> Result<&mut Entry, Failure> {
        let entry = self.entries.get_mut(index as usize).and_then(Option::as_mut);
        let entry = entry.ok_or_else(|| Failure::trap(TrapClass::UnknownHandle))?;
        if entry.handle.resource != resource {
            return Err(Failure::trap(TrapClass::HandleType));
        }
        Ok(entry)
    }

    /// Ends one loan.
    pub(crate) fn returned(&mut self, index: u32) {
        if let Some(Some(entry)) = self.entries.get_mut(index as usize) {
            entry.lends = entry.lends.saturating_sub(1);
        }
    }

    /// Removes a handle that is not lent.
    pub(crate) fn remove(&mut self, index: u32, resource: ResourceId) -> Result<Entry, Failure> {
        let entry = *self.get(index, resource)?;
        if entry.lends != 0 {
            return Err(Failure::trap(TrapClass::HandleLent));
        }
        self.entries[index as usize] = None;
        self.free.push(index);
        Ok(entry)
    }
}

/// Canonical options whose functions and memory are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) encoding: Encoding,
    pub(crate) memory: Option<MemoryAddr>,
    pub(crate) is64: bool,
    pub(crate) realloc: Option<FuncAddr>,
    pub(crate) post_return: Option<FuncAddr>,
    pub(crate) callback: Option<FuncAddr>,
    pub(crate) is_async: bool,
}

/// Who gets the result of a task.
pub(crate) enum Resolver {
    Host,
    Guest { inst: ComponentInstanceId, task: usize, options: Arc<Options>, out: Option<u64> },
}

/// The result of a task, as its caller wants it.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Host(Vec<Val>),
    Guest(Vec<Value>),
}

/// A task: a call of a lifted function, or what instantiates an instance.
pub(crate) struct Task {
    pub(crate) inst: ComponentInstanceId,
    pub(crate) ty: Arc<FuncType>,
    pub(crate) options: Arc<Options>,
    pub(crate) resolver: Resolver,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) borrows: u32,
    pub(crate) context: [u64; 2],
}

/// What imports of a root component do.
pub trait Host: Send {
    /// Calls the function that was imported under `path`, names of instances and of the function joined by `#`.
    ///
    /// # Errors
    /// What the call ends in when not in a value.
    fn call(&mut self, path: &str, ty: &FuncType, args: &[Val]) -> Result<Option<Val>, Failure>;

    /// The last handle of a resource of the host is gone.
    fn drop_resource(&mut self, path: &str, rep: u32) {
        let _ = (path, rep);
    }
}

/// A host without functions.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn call(&mut self, path: &str, _: &FuncType, _: &[Val]) -> Result<Option<Val>, Failure> {
        Err(Failure::Unlinkable(format!("unknown import {path}")))
    }
}

pub(crate) struct State {
    pub(crate) limits: Limits,
    /// Every scope there is.
    pub(crate) frames: Vec<Arc<Frame>>,
    pub(crate) types: Interner,
    pub(crate) instances: Vec<Instance>,
    pub(crate) resources: Vec<Resource>,
    /// Innermost last.
    pub(crate) tasks: Vec<Task>,
    /// In whose name code runs: not the innermost while a result is lowered into its caller.
    pub(crate) current: Option<usize>,
    /// By root component instance: whether a trap has ended it.
    pub(crate) poisoned: Vec<bool>,
    pub(crate) depth: u32,
    /// Whether NaNs keep their bits: one of the choices that there are outside of the deterministic profile.
    pub(crate) keeps_nans: bool,
    pub(crate) trace: Vec<Event>,
    pub(crate) host: Option<Box<dyn Host>>,
}

/// The state, shared with the functions of the core store.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(crate) fn new(limits: Limits, host: Box<dyn Host>) -> Shared {
        Shared(Arc::new(Mutex::new(State {
            limits,
            frames: Vec::new(),
            types: Interner::default(),
            instances: Vec::new(),
            resources: Vec::new(),
            tasks: Vec::new(),
            current: None,
            poisoned: Vec::new(),
            depth: 0,
            keeps_nans: false,
            trace: Vec::new(),
            host: Some(host),
        })))
    }

    /// Never held while a guest or the host runs.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(crate) fn instance(&mut self, id: ComponentInstanceId) -> &mut Instance {
        &mut self.instances[id.0 as usize]
    }

    pub(crate) fn record(&mut self, event: Event) -> Result<(), Failure> {
        if self.trace.len() >= self.limits.events {
            return Err(Failure::Limit("trace".to_owned()));
        }
        self.trace.push(event);
        Ok(())
    }

    pub(crate) fn spend_instance(&mut self) -> Result<(), Failure> {
        let left = self.limits.instances.checked_sub(1);
        self.limits.instances = left.ok_or_else(|| Failure::Limit("instances".to_owned()))?;
        Ok(())
    }

    pub(crate) fn spend_values(&mut self, count: u64) -> Result<(), Failure> {
        let left = self.limits.values.checked_sub(count);
        self.limits.values = left.ok_or_else(|| Failure::Limit("values".to_owned()))?;
        Ok(())
    }

    pub(crate) fn check_may_leave(&mut self, inst: ComponentInstanceId) -> Result<(), Failure> {
        match self.instance(inst).may_leave {
            true => Ok(()),
            false => Err(Failure::trap(TrapClass::CannotLeave)),
        }
    }

    fn is_ancestor(&self, ancestor: ComponentInstanceId, of: ComponentInstanceId) -> bool {
        let mut at = Some(of);
        while let Some(inst) = at {
            if inst == ancestor {
                return true;
            }
            at = self.instances[inst.0 as usize].parent;
        }
        false
    }

    /// Traps when a call of `callee` by the current task, or by the host, [might be
    /// recursive](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#component-instance-state),
    /// and when a trap has ended `callee`.
    pub(crate) fn check_enter(
        &self,
        caller: Option<ComponentInstanceId>,
        callee: ComponentInstanceId,
    ) -> Result<(), Failure> {
        let root = self.instances[callee.0 as usize].root;
        let is_recursive = match caller {
            Some(caller) => self.is_ancestor(caller, callee) || self.is_ancestor(callee, caller),
            None => self.tasks.iter().any(|task| self.instances[task.inst.0 as usize].root == root),
        };
        match is_recursive || self.poisoned[root as usize] {
            true => Err(Failure::trap(TrapClass::CannotEnter)),
            false => Ok(()),
        }
    }

    /// Whether the current task may wait: its type says so, or it has returned already.
    pub(crate) fn may_block(&self) -> bool {
        let task = self.current.and_then(|at| self.tasks.get(at));
        task.is_some_and(|task| task.ty.is_async || task.outcome.is_some())
    }
}
