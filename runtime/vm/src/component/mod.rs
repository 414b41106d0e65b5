//! What a store keeps for components: handle tables, resource types, calls in progress, slots of instances.
//!
//! The [runtime state](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#runtime-state) of the
//! canonical ABI. A *tree* is what one instantiation of a component makes: the component instances nested in it, and the slots
//! of its plan.
//!
//! Invariant: numbers are never reused; all here is safe code over vectors, and a number that a guest supplies is only ever
//! looked up.
//!
//! Does not know: plans, interface types, how host functions are made.

mod handles;
mod scopes;
mod transcode;

pub use handles::{HANDLES_MAX, Handle, HandleTable, Ownership, ResourceTypeId};
pub use scopes::{Lender, TableId};

use crate::flat::FlatFunc;
use crate::func::FuncHandle;
use crate::store::{InstanceId, MemoryHandle, StoreInner};
use crate::{Extern, GlobalHandle};
use scopes::Scope;
use std::any::{Any, TypeId};
use wattest_abi::TrapCode;

/// A component instance of a store; those of one tree have consecutive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ComponentId(pub u32);

/// A tree of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TreeId(pub u32);

/// A component instance.
#[derive(Debug)]
pub struct ComponentInstance {
    /// The tree it is part of.
    pub tree: TreeId,
    /// Its handles.
    pub handles: HandleTable,
    /// Its flags: a mutable `i32`, whose bit 0 says that it may be left.
    pub flags: GlobalHandle,
    /// Storage of the thread that instantiates it, between its core instances.
    pub context: [u64; 2],
}

/// What a resource type is.
#[derive(Clone, Debug)]
pub enum ResourceKind {
    /// The host's, identified by a Rust type.
    Host(TypeId),
    /// A component instance's.
    Component {
        /// The instance that defines it.
        owner: ComponentId,
        /// `[i32] -> []`, called with the representation when the last owner is dropped.
        dtor: Option<FlatFunc>,
    },
}

/// A resource type as a component sees it.
#[derive(Clone, Debug)]
pub struct ResourceSlot {
    /// The type.
    pub ty: ResourceTypeId,
    /// What dropping an owned handle calls.
    pub dtor: Option<FlatFunc>,
}

/// The places of a plan, by kind; each is written once.
#[derive(Debug, Default)]
pub struct PlanSlots {
    /// Core instances.
    pub instances: Vec<Option<InstanceId>>,
    /// Core functions of instances.
    pub funcs: Vec<Option<FuncHandle>>,
    /// Memories.
    pub memories: Vec<Option<MemoryHandle>>,
    /// Tables, globals and tags, which are only passed on.
    pub others: [Vec<Option<Extern>>; 3],
    /// Resource types.
    pub resources: Vec<Option<ResourceSlot>>,
    /// Core functions of the runtime.
    pub trampolines: Vec<FuncHandle>,
}

/// What one instantiation has made.
#[derive(Debug)]
pub struct Tree {
    /// A computation in it did not return: nothing of it may be entered again.
    pub poisoned: bool,
    /// A call from the host is in it.
    pub active: bool,
    /// The root; the others follow it.
    pub first: ComponentId,
    /// The slots of its plan.
    pub slots: PlanSlots,
}

/// A call of a component function.
#[derive(Debug)]
pub struct Task {
    /// Whose function it is.
    pub instance: ComponentId,
    /// Whether it may wait before it returns: its function's type is `async`.
    pub may_block: bool,
    /// Storage of the current thread.
    pub context: [u64; 2],
    /// What `task.return` has to do with it; `None` when the task may not call it. One thin pointer, since every call
    /// between host and component writes a task.
    pub result: Option<Box<TaskResult>>,
}

/// The result of a task that gives it by `task.return`.
#[derive(Debug)]
pub enum TaskResult {
    /// How the embedding takes what `task.return` will be called with.
    Awaited(Box<dyn Any + Send + Sync>),
    /// What it was called with.
    Given(Box<dyn Any + Send + Sync>),
}

impl Task {
    /// A task that begins.
    pub fn new(instance: ComponentId, may_block: bool) -> Task {
        Task { instance, may_block, context: [0; 2], result: None }
    }

    /// A task that will call `task.return`.
    pub fn awaiting(instance: ComponentId, sink: Box<dyn Any + Send + Sync>) -> Task {
        Task { instance, may_block: true, context: [0; 2], result: Some(Box::new(TaskResult::Awaited(sink))) }
    }

    /// How the result is taken, once: the task then has no result until it is given one.
    pub fn take_sink(&mut self) -> Option<Box<dyn Any + Send + Sync>> {
        match self.result.take().map(|result| *result) {
            Some(TaskResult::Awaited(sink)) => Some(sink),
            given => {
                self.result = given.map(Box::new);
                None
            }
        }
    }

    /// What `task.return` was called with.
    pub fn give(&mut self, value: Box<dyn Any + Send + Sync>) {
        self.result = Some(Box::new(TaskResult::Given(value)));
    }

    /// Takes what `task.return` was called with.
    pub fn take_given(&mut self) -> Option<Box<dyn Any + Send + Sync>> {
        match self.result.take().map(|result| *result) {
            Some(TaskResult::Given(value)) => Some(value),
            _ => None,
        }
    }
}

/// Everything a store keeps for components.
#[derive(Debug, Default)]
pub struct ComponentState {
    /// Component instances.
    pub instances: Vec<ComponentInstance>,
    /// Trees.
    pub trees: Vec<Tree>,
    /// Resource types.
    pub resource_types: Vec<ResourceKind>,
    /// Handles that the host holds.
    pub host: HandleTable,
    /// Tasks, innermost last.
    pub tasks: Vec<Task>,
    scopes: Vec<Scope>,
}

/// Bit 0 of a component instance's flags.
pub const MAY_LEAVE: u32 = 1;
/// What the flags of a component instance start as: emitted adapters treat the whole word as `may_leave`.
pub const FLAGS_START: u32 = MAY_LEAVE;

impl ComponentState {
    /// A tree. Its number comes from this store.
    pub fn tree(&mut self, tree: TreeId) -> &mut Tree {
        &mut self.trees[tree.0 as usize]
    }

    /// A component instance. Its number comes from this store.
    pub fn instance(&mut self, id: ComponentId) -> &mut ComponentInstance {
        &mut self.instances[id.0 as usize]
    }

    /// The task that code of an instance runs in. It need not be the innermost one: while a result is lowered the callee's
    /// task is not over, but `realloc` is the caller's.
    pub fn task_of(&mut self, instance: ComponentId) -> Option<&mut Task> {
        if wattest_abi::mutant!(context_of_innermost_task) {
            return self.tasks.last_mut();
        }
        self.tasks.iter_mut().rev().find(|task| task.instance == instance)
    }

    /// Whether the task that code of an instance runs in may block; outside of any task, as in a start function, none may.
    ///
    /// # Errors
    ///
    /// [`TrapCode::CannotBlock`].
    pub fn check_may_block(&mut self, instance: ComponentId) -> Result<(), TrapCode> {
        let may_block = self.task_of(instance).is_some_and(|task| task.may_block);
        if may_block { Ok(()) } else { Err(TrapCode::CannotBlock) }
    }

    /// A core instance of a component instance is about to be made: its start function runs in a task, the same for all of
    /// them. Gives how many tasks there were.
    pub fn begin_instantiation(&mut self, instance: ComponentId) -> usize {
        let context = self.instances.get(instance.0 as usize).map_or([0; 2], |row| row.context);
        self.tasks.push(Task { context, ..Task::new(instance, false) });
        self.tasks.len() - 1
    }

    /// It is made, or it is not: what tasks there were before are left.
    pub fn end_instantiation(&mut self, instance: ComponentId, tasks: usize) {
        if let (Some(task), Some(row)) = (self.tasks.get(tasks), self.instances.get_mut(instance.0 as usize)) {
            row.context = task.context;
        }
        self.tasks.truncate(tasks);
    }

    /// The entry of a table at an index, whatever its type.
    pub fn handle_entry(&self, table: TableId, index: u32) -> Option<&Handle> {
        match table {
            TableId::Host => self.host.entry(index),
            TableId::Component(id) => self.instances.get(id.0 as usize)?.handles.entry(index),
        }
    }

    /// A new resource type.
    pub fn add_resource_type(&mut self, kind: ResourceKind) -> ResourceTypeId {
        self.resource_types.push(kind);
        ResourceTypeId(u32::try_from(self.resource_types.len() - 1).unwrap_or(u32::MAX))
    }

    /// The number of a host's resource type, a new one if it is new to the store.
    pub fn host_resource_type(&mut self, ty: TypeId) -> ResourceTypeId {
        let is = |kind: &ResourceKind| matches!(kind, ResourceKind::Host(known) if *known == ty);
        match self.resource_types.iter().position(is) {
            Some(at) => ResourceTypeId(u32::try_from(at).unwrap_or(u32::MAX)),
            None => self.add_resource_type(ResourceKind::Host(ty)),
        }
    }

    /// What a resource type is.
    pub fn resource_kind(&self, ty: ResourceTypeId) -> Option<&ResourceKind> {
        self.resource_types.get(ty.0 as usize)
    }

    /// Whether a component instance implements a resource type, so that it sees representations instead of borrows.
    pub fn implements(&self, component: ComponentId, ty: ResourceTypeId) -> bool {
        matches!(self.resource_kind(ty), Some(ResourceKind::Component { owner, .. }) if *owner == component)
    }
}

impl StoreInner {
    /// What the store keeps for components.
    pub fn components(&self) -> &ComponentState {
        &self.components
    }

    /// What the store keeps for components.
    pub fn components_mut(&mut self) -> &mut ComponentState {
        &mut self.components
    }

    /// The bytes of a memory (none without one), and what the store keeps for components beside them.
    ///
    /// # Errors
    ///
    /// [`crate::WrongStore`].
    pub fn memory_and_components(
        &mut self,
        memory: Option<MemoryHandle>,
    ) -> Result<(&[u8], &mut ComponentState), crate::WrongStore> {
        let Some(memory) = memory else { return Ok((&[], &mut self.components)) };
        let bytes = self.memory_bytes(memory)?;
        let (base, length) = (bytes.as_ptr(), bytes.len());
        // SAFETY: the bytes are outside the store's own structures, stay where they are while the store is borrowed, and
        // nothing that is done with `ComponentState` touches them.
        Ok((unsafe { std::slice::from_raw_parts(base, length) }, &mut self.components))
    }

    /// The flags of a component instance.
    pub fn component_flags(&self, id: ComponentId) -> u32 {
        let Some(instance) = self.components.instances.get(id.0 as usize) else { return 0 };
        match self.global(instance.flags) {
            Ok(crate::Raw::I32(bits)) => bits,
            _ => 0,
        }
    }

    /// Sets whether a component instance may be left.
    pub fn set_may_leave(&mut self, id: ComponentId, may: bool) {
        let flags = self.component_flags(id);
        let flags = if may { flags | MAY_LEAVE } else { flags & !MAY_LEAVE };
        if let Some(instance) = self.components.instances.get(id.0 as usize) {
            // The kind is the global's own, and the handle is this store's.
            let _ = self.set_global(instance.flags, crate::Raw::I32(flags));
        }
    }
}
