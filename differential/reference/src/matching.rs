//! Subtyping.
//!
//! The rules of [matching](https://webassembly.github.io/spec/core/valid/matching.html), one function per sort of type,
//! each answering whether the first type can stand where the second is expected.
//!
//! Invariant: a chain of declared supertypes is at most [`SUPERTYPES_MAX`] long, so every question is answered in
//! constant time but for the length of the types asked about.
//!
//! Does not know: where the types come from.

use crate::types::{
    CompType, ExternType, FieldType, FuncType, GlobalType, HeapType, Limits, MemoryType, RefType, StorageType,
    TableType, TypeId, Types, ValType,
};

/// The longest chain of declared supertypes that is accepted; an
/// [implementation limit](https://webassembly.github.io/spec/core/appendix/implementation.html).
pub const SUPERTYPES_MAX: usize = 63;

impl Types {
    /// `deftype ≤ deftype`: equal, or a declared supertype matches.
    #[must_use]
    pub fn match_def(&self, a: TypeId, b: TypeId) -> bool {
        let mut at = Some(a);
        while let Some(id) = at {
            if id == b {
                return true;
            }
            at = self.get(id).super_id();
        }
        false
    }

    /// `heaptype ≤ heaptype`: an exact type matches what its type matches, and is matched by itself and the bottom alone.
    #[must_use]
    pub fn match_heap(&self, a: HeapType, b: HeapType) -> bool {
        use HeapType as H;
        match (a, b) {
            (H::Bot, _) => true,
            (H::Exact(a), H::Exact(b)) => a == b,
            (H::None | H::NoFunc, H::Exact(b)) => self.match_heap(a, H::Def(b)),
            (_, H::Exact(_)) => false,
            (H::Exact(a), b) => self.match_heap(H::Def(a), b),
            (H::Def(a), H::Def(b)) => self.match_def(a, b),
            (H::Def(a), b) => matches!(
                (&self.get(a).comp, b),
                (CompType::Func(_), H::Func)
                    | (CompType::Struct(_), H::Struct)
                    | (CompType::Array(_), H::Array)
                    | (CompType::Struct(_) | CompType::Array(_), H::Eq | H::Any)
            ),
            (H::None, H::Def(b)) => !matches!(self.get(b).comp, CompType::Func(_)),
            (H::NoFunc, H::Def(b)) => matches!(self.get(b).comp, CompType::Func(_)),
            (H::None, H::I31 | H::Struct | H::Array | H::Eq | H::Any) => true,
            (H::I31 | H::Struct | H::Array, H::Eq | H::Any) | (H::Eq, H::Any) => true,
            (H::NoFunc, H::Func) | (H::NoExtern, H::Extern) | (H::NoExn, H::Exn) => true,
            (a, b) => a == b,
        }
    }

    /// `reftype ≤ reftype`.
    #[must_use]
    pub fn match_ref(&self, a: RefType, b: RefType) -> bool {
        (!a.nullable || b.nullable) && self.match_heap(a.heap, b.heap)
    }

    /// `valtype ≤ valtype`.
    #[must_use]
    pub fn match_val(&self, a: ValType, b: ValType) -> bool {
        match (a, b) {
            (ValType::Bot, _) => true,
            (ValType::Ref(a), ValType::Ref(b)) => self.match_ref(a, b),
            (a, b) => a == b,
        }
    }

    /// `resulttype ≤ resulttype`.
    #[must_use]
    pub fn match_results(&self, a: &[ValType], b: &[ValType]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.match_val(*a, *b))
    }

    /// `functype ≤ functype`: parameters the other way round.
    #[must_use]
    pub fn match_func(&self, a: &FuncType, b: &FuncType) -> bool {
        self.match_results(&b.params, &a.params) && self.match_results(&a.results, &b.results)
    }

    /// `comptype ≤ comptype`: a structure may have further fields.
    #[must_use]
    pub fn match_comp(&self, a: &CompType, b: &CompType) -> bool {
        match (a, b) {
            (CompType::Func(a), CompType::Func(b)) => self.match_func(a, b),
            (CompType::Struct(a), CompType::Struct(b)) => {
                a.len() >= b.len() && a.iter().zip(b).all(|(a, b)| self.match_field(*a, *b))
            }
            (CompType::Array(a), CompType::Array(b)) => self.match_field(*a, *b),
            _ => false,
        }
    }

    /// `fieldtype ≤ fieldtype`: a mutable field matches only itself.
    #[must_use]
    pub fn match_field(&self, a: FieldType, b: FieldType) -> bool {
        let matches = |a, b| self.match_storage(a, b);
        a.mutable == b.mutable && matches(a.storage, b.storage) && (!a.mutable || matches(b.storage, a.storage))
    }

    /// `storagetype ≤ storagetype`.
    #[must_use]
    pub fn match_storage(&self, a: StorageType, b: StorageType) -> bool {
        match (a, b) {
            (StorageType::Val(a), StorageType::Val(b)) => self.match_val(a, b),
            (a, b) => a == b,
        }
    }

    /// `globaltype ≤ globaltype`.
    #[must_use]
    pub fn match_global(&self, a: GlobalType, b: GlobalType) -> bool {
        a.mutable == b.mutable
            && self.match_val(a.content, b.content)
            && (!a.mutable || self.match_val(b.content, a.content))
    }

    /// `tabletype ≤ tabletype`.
    #[must_use]
    pub fn match_table(&self, a: TableType, b: TableType) -> bool {
        a.is64 == b.is64
            && match_limits(a.limits, b.limits)
            && self.match_ref(a.element, b.element)
            && self.match_ref(b.element, a.element)
    }

    /// `externtype ≤ externtype`.
    #[must_use]
    pub fn match_extern(&self, a: ExternType, b: ExternType) -> bool {
        match (a, b) {
            (ExternType::Func(a), ExternType::Func(b)) => self.match_heap(a, b),
            (ExternType::Tag(a), ExternType::Tag(b)) => a == b,
            (ExternType::Table(a), ExternType::Table(b)) => self.match_table(a, b),
            (ExternType::Memory(a), ExternType::Memory(b)) => match_memory(a, b),
            (ExternType::Global(a), ExternType::Global(b)) => self.match_global(a, b),
            _ => false,
        }
    }

    /// The top of a heap type's hierarchy.
    #[must_use]
    pub fn top(&self, heap: HeapType) -> HeapType {
        use HeapType as H;
        match heap {
            H::Func | H::NoFunc => H::Func,
            H::Extern | H::NoExtern => H::Extern,
            H::Exn | H::NoExn => H::Exn,
            H::Def(id) | H::Exact(id) if matches!(self.get(id).comp, CompType::Func(_)) => H::Func,
            _ => H::Any,
        }
    }

    /// `reftype ∖ reftype`: what is left of `a` when what matches `b` is taken out.
    #[must_use]
    pub fn difference(a: RefType, b: RefType) -> RefType {
        RefType { nullable: a.nullable && !b.nullable, heap: a.heap }
    }
}

/// `limits ≤ limits`.
#[must_use]
pub fn match_limits(a: Limits, b: Limits) -> bool {
    let max = match (a.max, b.max) {
        (_, None) => true,
        (Some(a), Some(b)) => a <= b,
        (None, Some(_)) => false,
    };
    a.min >= b.min && max
}

/// `memtype ≤ memtype`.
#[must_use]
pub fn match_memory(a: MemoryType, b: MemoryType) -> bool {
    a.is64 == b.is64 && a.shared == b.shared && a.page_log2 == b.page_log2 && match_limits(a.limits, b.limits)
}
