//! The engine-wide registry of types.
//!
//! Gives structurally equal types of different modules one identifier, so that a function's type is one `u32` that
//! compiled code compares
//! ([spec](https://webassembly.github.io/spec/core/valid/conventions.html#rolling-and-unrolling)).
//!
//! Invariant: an identifier is never 0 and never reused; the registry lives as long as its engine and grows with the
//! number of *distinct* types it has seen.
//!
//! Does not know: which modules use a type.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use wattest_abi::{CallShape, ValueKind};
use wattest_module::{CompositeType, FuncType, ModuleDesc, SubType, TypeIndex, ValType, roll_group};

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

/// The registry.
#[derive(Debug, Default)]
pub struct TypeRegistry {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    // ORDER: only looked up, never iterated.
    groups: HashMap<Vec<SubType>, u32>,
    /// By identifier minus one; `None` for types that are no functions.
    signatures: Vec<Option<Arc<Signature>>>,
}

impl TypeRegistry {
    /// The identifiers of all types of a module.
    pub fn register_module(&self, desc: &ModuleDesc) -> Box<[u32]> {
        let mut ids: Vec<TypeIndex> = Vec::with_capacity(desc.types.len());
        let ends = desc.rec_groups.iter().skip(1).copied().chain([desc.types.len() as u32]);
        for (start, end) in desc.rec_groups.iter().copied().zip(ends) {
            let group = &desc.types[start as usize..end as usize];
            let first = self.register(roll_group(start, group, &ids));
            ids.extend((0..end - start).map(|position| TypeIndex(first + position)));
        }
        ids.into_iter().map(|id| id.0).collect()
    }

    /// The signature of a function type given by itself.
    pub fn register_func(&self, ty: &FuncType) -> Arc<Signature> {
        let group = vec![SubType { is_final: true, supertype: None, composite: CompositeType::Func(ty.clone()) }];
        let id = self.register(group);
        self.signature(id).expect("a function type was just registered")
    }

    /// The signature with identifier `id`, if it is a function type's.
    pub fn signature(&self, id: u32) -> Option<Arc<Signature>> {
        let state = self.state.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.signatures.get(id.checked_sub(1)? as usize)?.clone()
    }

    fn register(&self, rolled: Vec<SubType>) -> u32 {
        {
            let state = self.state.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(first) = state.groups.get(&rolled) {
                return *first;
            }
        }
        let mut state = self.state.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(first) = state.groups.get(&rolled) {
            return *first;
        }
        let first = state.signatures.len() as u32 + 1;
        for (position, ty) in rolled.iter().enumerate() {
            let signature = match &ty.composite {
                CompositeType::Func(ty) => Some(Arc::new(Signature::new(first + position as u32, ty))),
                _ => None,
            };
            state.signatures.push(signature);
        }
        state.groups.insert(rolled, first);
        first
    }
}
