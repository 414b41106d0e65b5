//! The engine-wide registry of types.
//!
//! Gives structurally equal types of different modules one identifier, so that a function's or object's type is one `u32`
//! that compiled code compares
//! ([spec](https://webassembly.github.io/spec/core/valid/conventions.html#rolling-and-unrolling)), and keeps a record per
//! type, at an address that never changes, in which compiled code finds its supertypes
//! ([`wattest_abi::gc`]).
//!
//! Promises: registering a module is linear in its type section; a subtype test is constant time.
//!
//! Invariant: an identifier is never 0 and never reused; the registry lives as long as its engine and grows only with the
//! number of *distinct* recursion groups it has seen, up to [`TYPES_MAX`], beyond which modules are refused.
//!
//! Does not know: which modules use a type.

use crate::sys::{MapError, Mapping};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use wattest_abi::gc::{
    EXCEPTION_FIELDS, FieldKind, FieldLayout, RECORD_ALL_SUPERS, RECORD_DEPTH, RECORD_INFO, RECORD_KIND, RECORD_SUPERS,
    RECORD_SUPERS_LEN, STRUCT_FIELDS, TYPE_RECORD_BYTES, TypeKind,
};
use wattest_abi::{CallShape, ValueKind};
use wattest_module::{
    CompositeType, FuncType, HeapType, ModuleDesc, RefType, SubType, TypeIndex, ValType, map_concrete, roll_group,
};

/// Distinct types that an engine can hold for its modules.
pub const TYPES_MAX: usize = 2 << 20;
/// Further types for host functions and host-made objects.
const HOST_TYPES_MAX: usize = 64 << 10;
/// Records made accessible at a time.
const COMMIT_RECORDS: usize = 1024;

/// The engine has as many distinct types as it can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine holds too many distinct types")]
pub struct TooManyTypes;

/// A function type with everything a call needs to know of it.
#[derive(Debug)]
pub struct Signature {
    /// Engine-wide identifier.
    pub type_id: u32,
    /// The type; concrete references in it are engine-wide identifiers.
    pub ty: FuncType,
    /// Kinds of the parameters.
    pub params: Vec<ValueKind>,
    /// Kinds of the results.
    pub results: Vec<ValueKind>,
    /// Where they lie.
    pub shape: CallShape,
}

impl Signature {
    fn new(type_id: u32, ty: &FuncType) -> Signature {
        let kinds = |types: &[ValType]| types.iter().map(|ty| ty.kind()).collect::<Vec<_>>();
        let (params, results) = (kinds(&ty.params), kinds(&ty.results));
        let shape = CallShape::new(&params, &results);
        Signature { type_id, ty: ty.clone(), params, results, shape }
    }
}

/// How the collector finds the references in an object.
#[derive(Debug)]
pub(crate) enum ObjectLayout {
    /// Of a struct, or of an exception with this function type.
    Fields {
        /// Bytes of the object.
        bytes: u32,
        /// Byte offsets of references.
        traced: Box<[u32]>,
    },
    /// Of an array.
    Array {
        /// Bytes of an element.
        element_bytes: u32,
        /// Whether elements are references.
        traced: bool,
    },
}

/// What the registry knows of a type, at a stable address.
#[derive(Debug)]
pub(crate) struct TypeInfo {
    /// All supertypes from the root down, then the type itself.
    pub supers: Box<[u32]>,
    pub layout: ObjectLayout,
}

/// A registered type.
#[derive(Debug)]
struct Entry {
    /// References are engine-wide identifiers.
    ty: Arc<SubType>,
    signature: Option<Arc<Signature>>,
    info: Box<TypeInfo>,
}

/// The registry.
#[derive(Debug)]
pub struct TypeRegistry {
    records: Mapping,
    /// Distinct types that modules may bring.
    types_max: usize,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    // ORDER: only looked up, never iterated.
    groups: HashMap<Vec<SubType>, u32>,
    /// By identifier minus one.
    types: Vec<Entry>,
}

impl State {
    fn entry(&self, id: u32) -> Option<&Entry> {
        self.types.get(id.checked_sub(1)? as usize)
    }

    fn is_subtype(&self, sub: u32, sup: u32) -> bool {
        if sub == sup {
            return true;
        }
        let (Some(below), Some(above)) = (self.entry(sub), self.entry(sup)) else { return false };
        below.info.supers.get(above.info.supers.len() - 1) == Some(&sup)
    }

    fn kind(&self, id: u32) -> Option<TypeKind> {
        self.entry(id).map(|entry| kind_of(&entry.ty))
    }

    /// [Matching](https://webassembly.github.io/spec/core/valid/matching.html#heap-types) of heap types.
    fn heap_matches(&self, given: HeapType, wanted: HeapType) -> bool {
        use HeapType::{
            Any, Array, Concrete, Eq, Exact, Exn, Extern, Func, I31, NoExn, NoExtern, NoFunc, None, Struct,
        };
        if given == wanted {
            return true;
        }
        match (given, wanted) {
            (Concrete(sub) | Exact(sub), Concrete(sup)) => self.is_subtype(sub.0, sup.0),
            (Concrete(sub) | Exact(sub), wanted) => match self.kind(sub.0) {
                Some(TypeKind::Func) => wanted == Func,
                Some(TypeKind::Struct) => matches!(wanted, Struct | Eq | Any),
                Some(TypeKind::Array) => matches!(wanted, Array | Eq | Any),
                Option::None => false,
            },
            (NoFunc, Concrete(sup) | Exact(sup)) => self.kind(sup.0) == Some(TypeKind::Func),
            (None, Concrete(sup) | Exact(sup)) => matches!(self.kind(sup.0), Some(TypeKind::Struct | TypeKind::Array)),
            (NoFunc, Func) | (NoExtern, Extern) | (NoExn, Exn) => true,
            (None, I31 | Struct | Array | Eq | Any) => true,
            (I31 | Struct | Array, Eq | Any) | (Eq, Any) => true,
            _ => false,
        }
    }
}

fn kind_of(ty: &SubType) -> TypeKind {
    match ty.composite {
        CompositeType::Func(_) => TypeKind::Func,
        CompositeType::Struct(_) => TypeKind::Struct,
        CompositeType::Array(_) => TypeKind::Array,
    }
}

/// The layout of the fields of a struct, or of the payload of an exception with function type `ty`.
pub(crate) fn field_layout(ty: &SubType) -> (FieldLayout, Vec<FieldKind>) {
    let (start, kinds) = match &ty.composite {
        CompositeType::Func(ty) => {
            (EXCEPTION_FIELDS, ty.params.iter().map(|ty| FieldKind::Value(ty.kind())).collect::<Vec<_>>())
        }
        CompositeType::Struct(ty) => (STRUCT_FIELDS, ty.fields.iter().map(|field| field.kind()).collect()),
        CompositeType::Array(_) => (STRUCT_FIELDS, Vec::new()),
    };
    let before = ty.descriptor.map(|descriptor| descriptor.before);
    (FieldLayout::with_descriptor(start, kinds.iter().copied(), before), kinds)
}

fn object_layout(ty: &SubType) -> ObjectLayout {
    if let CompositeType::Array(ty) = &ty.composite {
        let kind = ty.0.kind();
        return ObjectLayout::Array { element_bytes: kind.bytes(), traced: kind.is_traced() };
    }
    let (layout, kinds) = field_layout(ty);
    let traced = layout.offsets.iter().zip(&kinds).filter(|(_, kind)| kind.is_traced()).map(|(offset, _)| *offset);
    ObjectLayout::Fields { bytes: layout.bytes, traced: traced.chain(layout.descriptor).collect() }
}

impl TypeRegistry {
    /// An empty registry.
    ///
    /// # Errors
    ///
    /// The machine has no address space for the records.
    pub fn new() -> Result<TypeRegistry, MapError> {
        TypeRegistry::with_limit(TYPES_MAX)
    }

    fn with_limit(types_max: usize) -> Result<TypeRegistry, MapError> {
        let records = Mapping::reserve((types_max + HOST_TYPES_MAX + 1) * TYPE_RECORD_BYTES as usize)?;
        Ok(TypeRegistry { records, types_max, state: RwLock::default() })
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of the records.
    pub(crate) fn records(&self) -> *const u8 {
        self.records.base()
    }

    /// The identifiers of all types of a module.
    ///
    /// # Errors
    ///
    /// [`TooManyTypes`].
    pub fn register_module(&self, desc: &ModuleDesc) -> Result<Box<[u32]>, TooManyTypes> {
        let mut ids: Vec<TypeIndex> = Vec::with_capacity(desc.types.len());
        let ends = desc.rec_groups.iter().skip(1).copied().chain([desc.types.len() as u32]);
        for (start, end) in desc.rec_groups.iter().copied().zip(ends) {
            let group = &desc.types[start as usize..end as usize];
            let first = self.register(roll_group(start, group, &ids), self.types_max)?;
            ids.extend((0..end - start).map(|position| TypeIndex(first + position)));
        }
        Ok(ids.into_iter().map(|id| id.0).collect())
    }

    /// The signature of a function type given by itself, whose concrete references are identifiers of this registry.
    ///
    /// # Panics
    ///
    /// If the host has registered more types than an engine can hold.
    pub fn register_func(&self, ty: &FuncType) -> Arc<Signature> {
        let ty = SubType::new(true, None, CompositeType::Func(ty.clone()));
        let id = self.register_type(ty).expect("host functions do not have that many types");
        self.signature(id).expect("a function type was just registered")
    }

    /// The identifier of a type given by itself, whose concrete references are identifiers of this registry.
    ///
    /// # Errors
    ///
    /// [`TooManyTypes`].
    pub fn register_type(&self, ty: SubType) -> Result<u32, TooManyTypes> {
        self.register_group(vec![ty])
    }

    /// The identifier of the first type of a recursion group in rolled form, whose references to other types are
    /// identifiers of this registry; the others follow it.
    ///
    /// # Errors
    ///
    /// [`TooManyTypes`].
    pub fn register_group(&self, group: Vec<SubType>) -> Result<u32, TooManyTypes> {
        self.register(group, self.types_max + HOST_TYPES_MAX)
    }

    /// The signature with identifier `id`, if it is a function type's.
    pub fn signature(&self, id: u32) -> Option<Arc<Signature>> {
        self.read().entry(id)?.signature.clone()
    }

    /// The type with identifier `id`; references in it are identifiers.
    pub fn ty(&self, id: u32) -> Option<Arc<SubType>> {
        Some(self.read().entry(id)?.ty.clone())
    }

    /// Whether the type `sub` is `sup` or declared to be below it.
    pub fn is_subtype(&self, sub: u32, sup: u32) -> bool {
        sub == sup || self.read().is_subtype(sub, sup)
    }

    /// Whether heap type `given` is a subtype of `wanted`, both with identifiers for concrete types.
    pub fn heap_matches(&self, given: HeapType, wanted: HeapType) -> bool {
        given == wanted || self.read().heap_matches(given, wanted)
    }

    /// Whether reference type `given` is a subtype of `wanted`
    /// ([spec](https://webassembly.github.io/spec/core/valid/matching.html#reference-types)).
    pub fn ref_matches(&self, given: RefType, wanted: RefType) -> bool {
        given.is_func == wanted.is_func
            && (wanted.nullable || !given.nullable)
            && self.heap_matches(given.heap, wanted.heap)
    }

    /// Whether value type `given` is a subtype of `wanted`.
    pub fn matches(&self, given: ValType, wanted: ValType) -> bool {
        match (given, wanted) {
            (ValType::Ref(given), ValType::Ref(wanted)) => self.ref_matches(given, wanted),
            (given, wanted) => given == wanted,
        }
    }

    /// Number of distinct types.
    pub fn len(&self) -> usize {
        self.read().types.len()
    }

    /// Whether no type is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn register(&self, rolled: Vec<SubType>, limit: usize) -> Result<u32, TooManyTypes> {
        if let Some(first) = self.read().groups.get(&rolled) {
            return Ok(*first);
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = state.groups.get(&rolled) {
            return Ok(*first);
        }
        let start = state.types.len();
        let end = start + rolled.len();
        if end > limit {
            return Err(TooManyTypes);
        }
        self.commit(start + 1, end + 1)?;
        let first = start as u32 + 1;
        for (position, ty) in rolled.iter().enumerate() {
            let id = first + position as u32;
            let entry = self.new_entry(&state, id, unroll(ty, first));
            state.types.push(entry);
        }
        state.groups.insert(rolled, first);
        Ok(first)
    }

    fn new_entry(&self, state: &State, id: u32, ty: SubType) -> Entry {
        let above = ty.supertype.and_then(|above| state.entry(above.0)).map_or(&[][..], |entry| &entry.info.supers);
        let supers = above.iter().copied().chain([id]).collect::<Box<[u32]>>();
        let info = Box::new(TypeInfo { supers, layout: object_layout(&ty) });
        let signature = match &ty.composite {
            CompositeType::Func(ty) => Some(Arc::new(Signature::new(id, ty))),
            _ => None,
        };
        self.write_record(id, kind_of(&ty), &info);
        Entry { ty: Arc::new(ty), signature, info }
    }

    /// Makes the records of the identifiers `from..to` accessible; all before `from` are.
    fn commit(&self, from: usize, to: usize) -> Result<(), TooManyTypes> {
        let chunk = |ids: usize| ids.div_ceil(COMMIT_RECORDS) * COMMIT_RECORDS * TYPE_RECORD_BYTES as usize;
        let (start, end) = (if from <= 1 { 0 } else { chunk(from) }, chunk(to).min(self.records.bytes()));
        if start >= end {
            return Ok(());
        }
        self.records.make_accessible(start..end).map_err(|_| TooManyTypes)
    }

    fn write_record(&self, id: u32, kind: TypeKind, info: &TypeInfo) {
        debug_assert!((id as usize + 1) * TYPE_RECORD_BYTES as usize <= self.records.bytes());
        // SAFETY: `commit` made the record accessible; nobody knows the identifier yet, so nobody reads the record.
        unsafe {
            let record = self.records.base().add(id as usize * TYPE_RECORD_BYTES as usize);
            record.add(RECORD_DEPTH as usize).cast::<u32>().write(info.supers.len() as u32 - 1);
            record.add(RECORD_KIND as usize).cast::<u32>().write(kind as u32);
            record.add(RECORD_ALL_SUPERS as usize).cast::<*const u32>().write(info.supers.as_ptr());
            record.add(RECORD_INFO as usize).cast::<*const TypeInfo>().write(info);
            let supers = record.add(RECORD_SUPERS as usize).cast::<u32>();
            for (position, id) in info.supers.iter().take(RECORD_SUPERS_LEN as usize).enumerate() {
                supers.add(position).write(*id);
            }
        }
    }
}

/// The form of a rolled type whose references into its group, which starts at `first`, are identifiers too.
fn unroll(ty: &SubType, first: u32) -> SubType {
    map_concrete(ty, |index| match index.group_position() {
        Some(position) => TypeIndex(first + position),
        None => index,
    })
}

/// `ty` of a module with identifiers for concrete types.
pub fn engine_ref(ty: RefType, type_ids: &[u32]) -> RefType {
    RefType { heap: ty.heap.map_concrete(|index| TypeIndex(type_ids[index.index()])), ..ty }
}

/// `ty` of a module with identifiers for concrete types.
pub fn engine_type(ty: ValType, type_ids: &[u32]) -> ValType {
    match ty {
        ValType::Ref(ty) => ValType::Ref(engine_ref(ty, type_ids)),
        other => other,
    }
}

#[cfg(test)]
#[path = "types_tests.rs"]
mod tests;
