//! Nodes, generic over what refers to another node.
//!
//! In a [`crate::Graph`] the reference is a [`crate::NodeId`], in a [`crate::Linear`] plan it is a [`crate::Slot`], in the
//! description of an adapter module it is an [`crate::AdapterRef`]: one set of types, converted by
//! [`Node::map_operands`]. Kinds follow
//! [canonical definitions](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#canonical-definitions).
//!
//! Invariant: [`Node::for_each_operand`] and [`Node::try_map_operands`] name every reference of a node exactly once, in one
//! order, with its role; all other walks are made of these two, and a test holds one against the other. Options are part of
//! the node that has them, so whatever a trampoline may touch when it is called is an ordinary operand.
//!
//! Does not know: the order in which nodes come to life, nor how they are carried out.

use crate::graph::statics::Statics;
use crate::ids::{ComponentIndex, FuncTypeIndex, ImportIndex, ModuleIndex, SignatureIndex, SlotKind};
use crate::intrinsics::Intrinsic;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::convert::Infallible;
use wattest_canon::{
    Encoding, FLAT_ASYNC_PARAMS_MAX, FLAT_PARAMS_MAX, FLAT_RESULTS_MAX, Name, ResourceId, TypeId, Width, flatten_types,
};

/// What a core module imports and exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Sort {
    /// A function.
    Func,
    /// A table.
    Table,
    /// A memory.
    Memory,
    /// A global.
    Global,
    /// A tag.
    Tag,
}

impl Sort {
    /// All of them.
    pub const ALL: [Sort; 5] = [Sort::Func, Sort::Table, Sort::Memory, Sort::Global, Sort::Tag];

    /// The kind of slot a value of the sort is taken into.
    pub const fn slot_kind(self) -> SlotKind {
        match self {
            Sort::Func => SlotKind::Func,
            Sort::Table => SlotKind::Table,
            Sort::Memory => SlotKind::Memory,
            Sort::Global => SlotKind::Global,
            Sort::Tag => SlotKind::Tag,
        }
    }
}

/// A memory's type as far as adapters and transcoders depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemoryShape {
    /// The width of addresses.
    pub width: Width,
    /// The binary logarithm of the page size: 16, or 0 with custom page sizes.
    pub page_log2: u8,
    /// Whether threads share it.
    pub shared: bool,
}

impl MemoryShape {
    /// 32-bit, 64 KiB pages, not shared.
    pub const DEFAULT: MemoryShape = MemoryShape { width: Width::W32, page_log2: 16, shared: false };
}

/// The type of a core value, as far as the pipeline depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CoreEntity {
    /// A function; `None` when its type has other than `i32`, `i64`, `f32`, `f64`, which no canonical definition has.
    Func(Option<SignatureIndex>),
    /// A table.
    Table,
    /// A memory.
    Memory(MemoryShape),
    /// A global.
    Global,
    /// A tag.
    Tag,
}

impl CoreEntity {
    /// Its sort.
    pub const fn sort(self) -> Sort {
        match self {
            CoreEntity::Func(_) => Sort::Func,
            CoreEntity::Table => Sort::Table,
            CoreEntity::Memory(_) => Sort::Memory,
            CoreEntity::Global => Sort::Global,
            CoreEntity::Tag => Sort::Tag,
        }
    }
}

/// Which export of a core instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Key {
    /// Of a module of the component: the index in the module's index space of the sort, imports first. Two exports of one
    /// thing are one key.
    Index(u32),
    /// Of a module of the host: the export's name.
    Name(Name),
}

/// A module to instantiate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ModuleRef<R> {
    /// A module of the component.
    Static(ModuleIndex),
    /// A module of the host: a [`Node::Import`].
    Host(R),
}

/// Arguments of an instantiation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Args<R> {
    /// For a module of the component: one for each of its imports, in order.
    Positional(Box<[R]>),
    /// For a module of the host: module name, field name, value. May hold more than the module imports; no pair of names
    /// occurs twice.
    Named(Box<[(Name, Name, R)]>),
}

/// A memory that options name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemoryOpt<R> {
    /// The memory.
    pub memory: R,
    /// Its type.
    pub shape: MemoryShape,
}

/// Options of a canonical definition
/// ([`canonopt`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#canonical-definitions)), and
/// the component instance it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Opts<R> {
    /// The component instance whose handle table and flags are used.
    pub component: ComponentIndex,
    /// `string-encoding`.
    pub encoding: Encoding,
    /// `memory`.
    pub memory: Option<MemoryOpt<R>>,
    /// `realloc`: a core function.
    pub realloc: Option<R>,
    /// `post-return`: a core function. Only of a lift.
    pub post_return: Option<R>,
    /// `callback`: a core function. Only of an asynchronous lift.
    pub callback: Option<R>,
    /// `async`.
    pub is_async: bool,
}

impl<R> Opts<R> {
    /// No option set.
    pub const fn new(component: ComponentIndex) -> Opts<R> {
        Opts {
            component,
            encoding: Encoding::Utf8,
            memory: None,
            realloc: None,
            post_return: None,
            callback: None,
            is_async: false,
        }
    }

    /// The width of pointers: that of the memory, 32 bits without one.
    pub fn width(&self) -> Width {
        self.memory.as_ref().map_or(Width::W32, |memory| memory.shape.width)
    }
}

/// One side of a call between components.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Side<R> {
    /// The component function's type as this side sees it.
    pub ty: FuncTypeIndex,
    /// Its options.
    pub opts: Opts<R>,
}

/// Which side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The callee's.
    Lift,
    /// The caller's.
    Lower,
}

/// A canonical built-in with everything it was defined with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Builtin<R> {
    /// Which one.
    pub row: Intrinsic,
    /// Component instance, encoding, memory, `realloc`.
    pub opts: Opts<R>,
    /// The resource type of `resource.*`: a [`Node::DefineResource`] or a [`Node::Import`].
    pub resource: Option<R>,
    /// The table of `thread.new-indirect`.
    pub table: Option<R>,
    /// The result of `task.return`, the element of streams and futures.
    pub ty: Option<TypeId>,
    /// What else the row says it takes ([`crate::intrinsics::Immediate`]): zeros otherwise.
    pub immediates: [u32; 2],
    /// The core type.
    pub signature: SignatureIndex,
}

/// A fused adapter: a component function of one instance called from another, without the host in between.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fused<R> {
    /// The side that calls.
    pub lower: Side<R>,
    /// The side that is called.
    pub lift: Side<R>,
    /// The core function that was lifted.
    pub callee: R,
    /// The core type of the adapter, as the caller imports it.
    pub signature: SignatureIndex,
}

/// Why a call always traps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StubTrap {
    /// Caller and callee are one component instance or one contains the other.
    CannotEnter,
    /// A canonical definition that can only trap, such as an asynchronous feature that is switched off.
    Unsupported,
}

impl StubTrap {
    /// All of them, with their word in text.
    pub const ALL: [(StubTrap, &'static str); 2] =
        [(StubTrap::CannotEnter, "cannot-enter"), (StubTrap::Unsupported, "unsupported")];
}

/// A node. Effects (the first two) happen in order and are never merged; all others are pure values, equal when their parts
/// are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Node<R> {
    /// Effect: a core module is instantiated, its start function run. The value is the core instance.
    Instantiate {
        /// The module.
        module: ModuleRef<R>,
        /// Its imports.
        args: Args<R>,
        /// The component instance it is part of.
        component: ComponentIndex,
    },
    /// Effect: a resource type comes into being. The value is the resource type.
    DefineResource {
        /// Its number: the host's resource types come first, then these in the order of the effects.
        resource: ResourceId,
        /// Its destructor: a core function of type `[i32] -> []`.
        dtor: Option<R>,
        /// The component instance that defines it.
        component: ComponentIndex,
    },
    /// Something of the host: a component function, a core module or a resource type, as its row says.
    Import(ImportIndex),
    /// An export of a core instance (of an [`Node::Instantiate`]).
    Project {
        /// The instance.
        instance: R,
        /// Which export.
        key: Key,
        /// Its type.
        ty: CoreEntity,
    },
    /// A function of the host as a core function (`canon lower`).
    Lower {
        /// A [`Node::Import`] of a function.
        import: R,
        /// Type and options.
        side: Side<R>,
        /// The core type.
        signature: SignatureIndex,
    },
    /// A canonical built-in as a core function.
    Builtin(Box<Builtin<R>>),
    /// A function of another component instance as a core function. In a plan it is a function loaded from an adapter module,
    /// which [`crate::Adapter::exports`] describes by this node.
    Fused(Box<Fused<R>>),
    /// A function of the host that only adapter modules import: transcoding, handles that change tables, call scopes.
    Support(wattest_fuse::Intrinsic<R>),
    /// The flags of a component instance, a global for adapter modules only.
    Flags(ComponentIndex),
    /// A core function that traps; before that it asks what every lowered function asks.
    TrapStub {
        /// Why.
        trap: StubTrap,
        /// The component instance that calls it, which has to be one that may be left.
        caller: ComponentIndex,
        /// The function's type is `async` and it is lowered without: the caller's task has to be one that may block.
        blocks: bool,
        /// The core type.
        signature: SignatureIndex,
    },
    /// A core function as a component function for the host (`canon lift`): only exports refer to it.
    Lift {
        /// The core function.
        callee: R,
        /// Type and options.
        side: Side<R>,
    },
}

/// How a node uses an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The module of the host to instantiate.
    Module,
    /// An argument of an instantiation, by position.
    Arg(u32),
    /// A destructor.
    Dtor,
    /// The core instance an export is taken from.
    Instance,
    /// The function of the host to lower.
    Import,
    /// An option `memory`.
    Memory(MemoryShape),
    /// An option `realloc`, with the width of its pointers.
    Realloc(Width),
    /// An option `post-return`.
    PostReturn,
    /// An option `callback`.
    Callback,
    /// A resource type.
    Resource,
    /// A table.
    Table,
    /// The function an adapter or a lift calls.
    Callee,
    /// A memory that is read.
    From,
    /// A memory that is written.
    To,
}

/// Operands of a node, in the order of [`Node::try_map_operands`].
pub type Operands<R> = SmallVec<[R; 8]>;

impl<R: Copy> Node<R> {
    /// Whether the node happens at its place in the order of effects.
    pub const fn is_effect(&self) -> bool {
        matches!(self, Node::Instantiate { .. } | Node::DefineResource { .. })
    }

    /// The references, in the order of [`Node::try_map_operands`].
    pub fn operands(&self) -> Operands<R> {
        let mut operands = Operands::new();
        self.for_each_operand(|_, operand| operands.push(operand));
        operands
    }

    /// Calls `f` with each role and reference, in the order of [`Node::try_map_operands`].
    pub fn for_each_operand(&self, mut f: impl FnMut(Role, R)) {
        let f = &mut f;
        match self {
            Node::Instantiate { module, args, .. } => {
                if let ModuleRef::Host(import) = module {
                    f(Role::Module, *import);
                }
                match args {
                    Args::Positional(values) => each(values.iter().copied(), f),
                    Args::Named(rows) => each(rows.iter().map(|(_, _, value)| *value), f),
                }
            }
            Node::DefineResource { dtor, .. } => maybe(*dtor, Role::Dtor, f),
            Node::Import(_) | Node::Flags(_) | Node::TrapStub { .. } => {}
            Node::Project { instance, .. } => f(Role::Instance, *instance),
            Node::Lower { import, side, .. } => {
                f(Role::Import, *import);
                side.opts.each(f);
            }
            Node::Builtin(builtin) => {
                builtin.opts.each(f);
                maybe(builtin.resource, Role::Resource, f);
                maybe(builtin.table, Role::Table, f);
            }
            Node::Fused(fused) => {
                fused.lower.opts.each(f);
                fused.lift.opts.each(f);
                f(Role::Callee, fused.callee);
            }
            Node::Support(intrinsic) => {
                if let Some([from, to]) = intrinsic.memories() {
                    f(Role::From, from);
                    f(Role::To, to);
                }
            }
            Node::Lift { callee, side } => {
                f(Role::Callee, *callee);
                side.opts.each(f);
            }
        }
    }

    /// The same node with other references.
    pub fn map_operands<S: Copy>(&self, mut f: impl FnMut(Role, R) -> S) -> Node<S> {
        let mapped: Result<Node<S>, Infallible> = self.try_map_operands(|role, operand| Ok(f(role, operand)));
        match mapped {
            Ok(node) => node,
            Err(never) => match never {},
        }
    }

    /// The same node with other references, or the first error.
    ///
    /// # Errors
    /// Whatever `f` returns.
    pub fn try_map_operands<S: Copy, E>(&self, mut f: impl FnMut(Role, R) -> Result<S, E>) -> Result<Node<S>, E> {
        let f = &mut f;
        Ok(match self {
            Node::Instantiate { module, args, component } => {
                Node::Instantiate { module: module.map(f)?, args: args.map(f)?, component: *component }
            }
            Node::DefineResource { resource, dtor, component } => Node::DefineResource {
                resource: *resource,
                dtor: optional(*dtor, Role::Dtor, f)?,
                component: *component,
            },
            Node::Import(import) => Node::Import(*import),
            Node::Project { instance, key, ty } => {
                Node::Project { instance: f(Role::Instance, *instance)?, key: *key, ty: *ty }
            }
            Node::Lower { import, side, signature } => {
                Node::Lower { import: f(Role::Import, *import)?, side: side.map(f)?, signature: *signature }
            }
            Node::Builtin(builtin) => Node::Builtin(Box::new(builtin.map(f)?)),
            Node::Fused(fused) => Node::Fused(Box::new(fused.map(f)?)),
            Node::Support(intrinsic) => {
                // Source first, as `memories` has them.
                let mut role = Role::From;
                Node::Support(intrinsic.try_map(|memory| f(std::mem::replace(&mut role, Role::To), memory))?)
            }
            Node::Flags(component) => Node::Flags(*component),
            Node::TrapStub { trap, caller, blocks, signature } => {
                Node::TrapStub { trap: *trap, caller: *caller, blocks: *blocks, signature: *signature }
            }
            Node::Lift { callee, side } => Node::Lift { callee: f(Role::Callee, *callee)?, side: side.map(f)? },
        })
    }

    /// The core type, of a node that is a core function of the runtime.
    pub fn signature(&self) -> Option<SignatureIndex> {
        match self {
            Node::Lower { signature, .. } | Node::TrapStub { signature, .. } => Some(*signature),
            Node::Builtin(builtin) => Some(builtin.signature),
            Node::Fused(fused) => Some(fused.signature),
            Node::Project { ty: CoreEntity::Func(signature), .. } => *signature,
            _ => None,
        }
    }

    /// The kind of slot the node's value is kept in.
    pub const fn slot_kind(&self) -> SlotKind {
        match self {
            Node::Instantiate { .. } => SlotKind::Instance,
            Node::DefineResource { .. } => SlotKind::Resource,
            // A resource type of the host is in `SlotKind::Resource`: `Statics::slot_kind_of_import` knows.
            Node::Import(_) => SlotKind::Import,
            Node::Project { ty, .. } => ty.sort().slot_kind(),
            Node::Lower { .. } | Node::Builtin(_) | Node::Support(_) | Node::TrapStub { .. } => SlotKind::Trampoline,
            Node::Fused(_) => SlotKind::Func,
            Node::Flags(_) => SlotKind::Flags,
            Node::Lift { .. } => SlotKind::Lift,
        }
    }
}

impl<R: Copy> ModuleRef<R> {
    fn map<S, E>(&self, f: &mut impl FnMut(Role, R) -> Result<S, E>) -> Result<ModuleRef<S>, E> {
        Ok(match self {
            ModuleRef::Static(module) => ModuleRef::Static(*module),
            ModuleRef::Host(import) => ModuleRef::Host(f(Role::Module, *import)?),
        })
    }
}

impl<R: Copy> Args<R> {
    fn map<S, E>(&self, f: &mut impl FnMut(Role, R) -> Result<S, E>) -> Result<Args<S>, E> {
        Ok(match self {
            Args::Positional(values) => Args::Positional(positional(values, f)?),
            Args::Named(rows) => {
                let mut mapped = Vec::with_capacity(rows.len());
                for (at, (module, name, value)) in (0..).zip(rows) {
                    mapped.push((*module, *name, f(Role::Arg(at), *value)?));
                }
                Args::Named(mapped.into())
            }
        })
    }
}

impl<R: Copy> MemoryOpt<R> {
    fn map<S, E>(&self, role: Role, f: &mut impl FnMut(Role, R) -> Result<S, E>) -> Result<MemoryOpt<S>, E> {
        Ok(MemoryOpt { memory: f(role, self.memory)?, shape: self.shape })
    }
}

impl<R: Copy> Opts<R> {
    fn each(&self, f: &mut impl FnMut(Role, R)) {
        maybe(self.memory.as_ref().map(|memory| memory.memory), Role::Memory(self.shape()), f);
        maybe(self.realloc, Role::Realloc(self.width()), f);
        maybe(self.post_return, Role::PostReturn, f);
        maybe(self.callback, Role::Callback, f);
    }

    fn shape(&self) -> MemoryShape {
        self.memory.as_ref().map_or(MemoryShape::DEFAULT, |memory| memory.shape)
    }

    fn map<S, E>(&self, f: &mut impl FnMut(Role, R) -> Result<S, E>) -> Result<Opts<S>, E> {
        Ok(Opts {
            component: self.component,
            encoding: self.encoding,
            memory: match &self.memory {
                Some(memory) => Some(memory.map(Role::Memory(memory.shape), f)?),
                None => None,
            },
            realloc: optional(self.realloc, Role::Realloc(self.width()), f)?,
            post_return: optional(self.post_return, Role::PostReturn, f)?,
            callback: optional(self.callback, Role::Callback, f)?,
            is_async: self.is_async,
        })
    }
}

impl<R> Side<R> {
    /// Drops the options that no call of the function needs: a memory that nothing lies in, a `realloc` that nothing calls
    /// ([which ones](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canonical-abi-options)).
    /// Adapters import exactly what is left.
    pub fn strip(&mut self, statics: &Statics, end: End) {
        let Some(func) = statics.func_types.get(self.ty.index()) else { return };
        let (types, width) = (&statics.types, self.opts.width());
        let params: SmallVec<[TypeId; 8]> = func.params.iter().map(|(_, ty)| *ty).collect();
        let params_max = match (end, self.opts.is_async) {
            (End::Lower, true) => FLAT_ASYNC_PARAMS_MAX,
            _ => FLAT_PARAMS_MAX,
        };
        let spilled = flatten_types(types, &params, width).is_none_or(|flat| flat.len() > params_max);
        let params_lie = spilled || params.iter().any(|ty| types.facts(*ty).pointers);
        let pointers = func.result.is_some_and(|ty| types.facts(ty).pointers);
        let results_max = if self.opts.is_async && end == End::Lower { 0 } else { FLAT_RESULTS_MAX };
        let returned = func.result.is_some_and(|ty| types.flat(ty, width).is_none_or(|flat| flat.len() > results_max));
        if !(params_lie || pointers || returned) {
            self.opts.memory = None;
        }
        let called = match end {
            End::Lift => params_lie,
            End::Lower => pointers,
        };
        if !called {
            self.opts.realloc = None;
        }
    }
}

impl<R: Copy> Side<R> {
    fn map<S, E>(&self, f: &mut impl FnMut(Role, R) -> Result<S, E>) -> Result<Side<S>, E> {
        Ok(Side { ty: self.ty, opts: self.opts.map(f)? })
    }
}

impl<R: Copy> Builtin<R> {
    fn map<S, E>(&self, f: &mut impl FnMut(Role, R) -> Result<S, E>) -> Result<Builtin<S>, E> {
        Ok(Builtin {
            row: self.row,
            opts: self.opts.map(f)?,
            resource: optional(self.resource, Role::Resource, f)?,
            table: optional(self.table, Role::Table, f)?,
            ty: self.ty,
            immediates: self.immediates,
            signature: self.signature,
        })
    }
}

impl<R: Copy> Fused<R> {
    fn map<S, E>(&self, f: &mut impl FnMut(Role, R) -> Result<S, E>) -> Result<Fused<S>, E> {
        Ok(Fused {
            lower: self.lower.map(f)?,
            lift: self.lift.map(f)?,
            callee: f(Role::Callee, self.callee)?,
            signature: self.signature,
        })
    }
}

fn optional<R, S, E>(
    operand: Option<R>,
    role: Role,
    f: &mut impl FnMut(Role, R) -> Result<S, E>,
) -> Result<Option<S>, E> {
    operand.map(|operand| f(role, operand)).transpose()
}

fn positional<R: Copy, S, E>(values: &[R], f: &mut impl FnMut(Role, R) -> Result<S, E>) -> Result<Box<[S]>, E> {
    (0..).zip(values).map(|(at, value)| f(Role::Arg(at), *value)).collect()
}

fn each<R>(values: impl Iterator<Item = R>, f: &mut impl FnMut(Role, R)) {
    for (at, value) in (0..).zip(values) {
        f(Role::Arg(at), value);
    }
}

fn maybe<R>(operand: Option<R>, role: Role, f: &mut impl FnMut(Role, R)) {
    if let Some(operand) = operand {
        f(role, operand);
    }
}
