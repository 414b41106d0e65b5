//! Value and function types whose resources are known.
//!
//! [Despecialized](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#despecialization) when
//! they are made: tuples are records, enumerations, options and results are variants, maps are lists of pairs. Also
//! [flattening](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flattening).
//!
//! Invariant: equal types are one node, so that comparing them is comparing addresses; a flattening stops when it is
//! longer than any that is passed outside of memory.
//!
//! Does not know: values.

use super::sizes::{Layout, SIZE_MAX};
use super::syntax::Primitive;
use crate::types::ValType as Core;
// ORDER: nodes are looked up, never listed.
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A resource type, by its order of definition in the evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(pub(crate) u32);

/// A value type.
#[derive(Clone)]
pub struct Type(Arc<Node>);

struct Node {
    kind: Kind,
    /// With 32-bit addresses and with 64-bit addresses.
    layouts: [Layout; 2],
    /// The same two: core value types, at most [`FLAT_MAX`] and one more.
    flats: [Vec<Core>; 2],
    depth: u32,
}

/// The forms of value types.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of the specification")]
pub enum Kind {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    ErrorContext,
    List(Type),
    FixedList(Type, u32),
    Record(Vec<(String, Type)>),
    Variant(Vec<(String, Option<Type>)>),
    Flags(Vec<String>),
    Own(ResourceId),
    Borrow(ResourceId),
    Future(Option<Type>),
    Stream(Option<Type>),
}

impl PartialEq for Type {
    fn eq(&self, other: &Type) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Type {}

impl Hash for Type {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl fmt::Debug for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)
    }
}

impl Type {
    /// Its form.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    pub(crate) fn layout(&self, is64: bool) -> Layout {
        self.0.layouts[usize::from(is64)]
    }

    pub(crate) fn flat(&self, is64: bool) -> &[Core] {
        &self.0.flats[usize::from(is64)]
    }
}

/// A function type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FuncType {
    /// Whether it may wait.
    pub is_async: bool,
    /// Names and types of the parameters.
    pub params: Vec<(String, Type)>,
    /// What it returns.
    pub result: Option<Type>,
}

impl FuncType {
    pub(crate) fn param_types(&self) -> Vec<Type> {
        self.params.iter().map(|(_, ty)| ty.clone()).collect()
    }

    pub(crate) fn result_types(&self) -> Vec<Type> {
        self.result.iter().cloned().collect()
    }
}

/// Every value type of an evaluation, once.
#[derive(Default)]
pub(crate) struct Interner {
    nodes: HashMap<Kind, Type>,
}

/// Types nest no deeper, so that what follows them may recurse.
const DEPTH_MAX: u32 = 128;

impl Interner {
    /// Nothing when the type nests too deeply or is too large.
    pub(crate) fn intern(&mut self, kind: Kind) -> Option<Type> {
        if let Some(ty) = self.nodes.get(&kind) {
            return Some(ty.clone());
        }
        let depth = 1 + children(&kind).map(|child| child.0.depth).max().unwrap_or(0);
        let layouts = [4, 8].map(|pointer_bytes| layout(&kind, pointer_bytes));
        // Validation bounds what is written; the pairs of a map may be larger than a value of their own.
        if depth > DEPTH_MAX || layouts[1].size > 4 * SIZE_MAX {
            return None;
        }
        let flats = [false, true].map(|is64| flatten_kind(&kind, is64));
        let ty = Type(Arc::new(Node { kind: kind.clone(), layouts, flats, depth }));
        self.nodes.insert(kind, ty.clone());
        Some(ty)
    }

    pub(crate) fn primitive(&mut self, primitive: Primitive) -> Option<Type> {
        self.intern(match primitive {
            Primitive::Bool => Kind::Bool,
            Primitive::S8 => Kind::S8,
            Primitive::U8 => Kind::U8,
            Primitive::S16 => Kind::S16,
            Primitive::U16 => Kind::U16,
            Primitive::S32 => Kind::S32,
            Primitive::U32 => Kind::U32,
            Primitive::S64 => Kind::S64,
            Primitive::U64 => Kind::U64,
            Primitive::F32 => Kind::F32,
            Primitive::F64 => Kind::F64,
            Primitive::Char => Kind::Char,
            Primitive::String => Kind::String,
            Primitive::ErrorContext => Kind::ErrorContext,
        })
    }
}

fn children(kind: &Kind) -> Box<dyn Iterator<Item = &Type> + '_> {
    match kind {
        Kind::List(ty) | Kind::FixedList(ty, _) => Box::new(std::iter::once(ty)),
        Kind::Record(fields) => Box::new(fields.iter().map(|(_, ty)| ty)),
        Kind::Variant(cases) => Box::new(cases.iter().filter_map(|(_, ty)| ty.as_ref())),
        Kind::Future(ty) | Kind::Stream(ty) => Box::new(ty.iter()),
        _ => Box::new(std::iter::empty()),
    }
}

fn layout(kind: &Kind, pointer_bytes: u64) -> Layout {
    let of = |ty: &Type| ty.layout(pointer_bytes == 8);
    match kind {
        Kind::Bool | Kind::S8 | Kind::U8 => Layout::natural(1),
        Kind::S16 | Kind::U16 => Layout::natural(2),
        Kind::S64 | Kind::U64 | Kind::F64 => Layout::natural(8),
        Kind::String | Kind::List(_) => Layout::pair(pointer_bytes),
        Kind::FixedList(ty, length) => of(ty).repeated(*length),
        Kind::Record(fields) => Layout::record(fields.iter().map(|(_, ty)| of(ty))),
        Kind::Variant(cases) => Layout::variant(cases.len(), cases.iter().filter_map(|(_, ty)| Some(of(ty.as_ref()?)))),
        Kind::Flags(labels) => Layout::flags(labels.len()),
        _ => Layout::natural(4),
    }
}

/// More core values than this are passed in memory, whatever they are.
pub(crate) const FLAT_MAX: usize = 16;

/// The core value types of value types: at most [`FLAT_MAX`] and one more.
pub(crate) fn flatten(types: &[Type], is64: bool) -> Vec<Core> {
    let flat = types.iter().flat_map(|ty| ty.flat(is64).iter().copied());
    flat.take(FLAT_MAX + 1).collect()
}

fn flatten_kind(kind: &Kind, is64: bool) -> Vec<Core> {
    let pointer = if is64 { Core::I64 } else { Core::I32 };
    let mut flat = match kind {
        Kind::S64 | Kind::U64 => vec![Core::I64],
        Kind::F32 => vec![Core::F32],
        Kind::F64 => vec![Core::F64],
        Kind::String | Kind::List(_) => vec![pointer, pointer],
        Kind::FixedList(ty, length) => {
            let repeated = (0..*length).flat_map(|_| ty.flat(is64).iter().copied());
            repeated.take(FLAT_MAX + 1).collect()
        }
        Kind::Record(fields) => fields.iter().flat_map(|(_, ty)| ty.flat(is64).iter().copied()).collect(),
        Kind::Variant(cases) => flatten_variant(cases, is64),
        _ => vec![Core::I32],
    };
    flat.truncate(FLAT_MAX + 1);
    flat
}

/// The discriminant, then the join of the payloads.
pub(crate) fn flatten_variant(cases: &[(String, Option<Type>)], is64: bool) -> Vec<Core> {
    let mut joined: Vec<Core> = vec![Core::I32];
    for ty in cases.iter().filter_map(|(_, ty)| ty.as_ref()) {
        for (at, core) in ty.flat(is64).iter().enumerate() {
            match joined.get_mut(at + 1) {
                Some(slot) => *slot = join(*slot, *core),
                None => joined.push(*core),
            }
        }
    }
    joined
}

fn join(a: Core, b: Core) -> Core {
    match (a, b) {
        _ if a == b => a,
        (Core::I32, Core::F32) | (Core::F32, Core::I32) => Core::I32,
        _ => Core::I64,
    }
}
