//! Values of any type.
//!
//! Invariant: floats are kept as bits, so that NaN payloads survive.
//!
//! Does not know: how values travel; see [`wattest_vm::Raw`].

use crate::engine::Engine;
use crate::error::UsageError;
use crate::exception::ExnRef;
use crate::func::Func;
use crate::reference::{AnyRef, ExternRef, heap_type_of};
use wattest_module::{HeapType, RefType, TypeIndex, ValType};
use wattest_vm::{Raw, StoreInner, WrongStore};

/// A WebAssembly value. References keep what they refer to alive; two are equal when they refer to the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Val {
    /// 32-bit integer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// 32-bit float, as bits.
    F32(u32),
    /// 64-bit float, as bits.
    F64(u64),
    /// Vector, lane 0 in the lowest bits.
    V128(u128),
    /// Function reference.
    FuncRef(Option<Func>),
    /// External reference.
    ExternRef(Option<ExternRef>),
    /// Reference to an internal value, not null.
    AnyRef(AnyRef),
    /// Reference to an exception, not null.
    ExnRef(ExnRef),
    /// The null of another reference type.
    Null(HeapType),
}

impl Val {
    /// The type's zero or null; `None` for a type without one.
    ///
    /// ```
    /// use wattest::{Val, ValType};
    /// assert_eq!(Val::default_for(ValType::I64), Some(Val::I64(0)));
    /// ```
    pub fn default_for(ty: ValType) -> Option<Val> {
        Some(match ty {
            ValType::I32 => Val::I32(0),
            ValType::I64 => Val::I64(0),
            ValType::F32 => Val::F32(0),
            ValType::F64 => Val::F64(0),
            ValType::V128 => Val::V128(0),
            ValType::Ref(RefType { nullable: false, .. }) => return None,
            ValType::Ref(RefType { is_func: true, .. }) => Val::FuncRef(None),
            ValType::Ref(RefType { heap: HeapType::Extern | HeapType::NoExtern, .. }) => Val::ExternRef(None),
            ValType::Ref(RefType { heap, .. }) => Val::Null(heap),
        })
    }

    /// The value's most precise type.
    pub fn ty(&self) -> ValType {
        match self {
            Val::I32(_) => ValType::I32,
            Val::I64(_) => ValType::I64,
            Val::F32(_) => ValType::F32,
            Val::F64(_) => ValType::F64,
            Val::V128(_) => ValType::V128,
            Val::FuncRef(_) => ValType::Ref(RefType::FUNC),
            Val::ExternRef(_) => ValType::Ref(RefType::EXTERN),
            Val::AnyRef(_) => ValType::Ref(RefType { nullable: false, heap: HeapType::Any, is_func: false }),
            Val::ExnRef(_) => ValType::Ref(RefType { nullable: false, heap: HeapType::Exn, is_func: false }),
            Val::Null(heap) => ValType::Ref(RefType { nullable: true, heap: *heap, is_func: false }),
        }
    }

    /// The `i32`, if it is one.
    pub fn i32(&self) -> Option<i32> {
        if let Val::I32(value) = self { Some(*value) } else { None }
    }

    /// The `i64`, if it is one.
    pub fn i64(&self) -> Option<i64> {
        if let Val::I64(value) = self { Some(*value) } else { None }
    }

    /// The `f32`, if it is one.
    pub fn f32(&self) -> Option<f32> {
        if let Val::F32(bits) = self { Some(f32::from_bits(*bits)) } else { None }
    }

    /// The `f64`, if it is one.
    pub fn f64(&self) -> Option<f64> {
        if let Val::F64(bits) = self { Some(f64::from_bits(*bits)) } else { None }
    }

    /// The value as the virtual machine takes it; a reference is valid until the next allocation or call.
    pub(crate) fn to_raw(&self, store: &StoreInner) -> Result<Raw, UsageError> {
        let wrong = |_: WrongStore| UsageError::WrongStore { what: "reference" };
        Ok(match self {
            Val::I32(value) => Raw::I32(*value as u32),
            Val::I64(value) => Raw::I64(*value as u64),
            Val::F32(bits) => Raw::F32(*bits),
            Val::F64(bits) => Raw::F64(*bits),
            Val::V128(bits) => Raw::V128(*bits),
            Val::FuncRef(func) => Raw::Func(func.map(|func| func.handle)),
            Val::ExternRef(None) | Val::Null(_) => Raw::Ref(0),
            Val::ExternRef(Some(value)) => Raw::Ref(store.rooted(&value.root).map_err(wrong)?),
            Val::AnyRef(value) => Raw::Ref(store.rooted(&value.root).map_err(wrong)?),
            Val::ExnRef(exception) => Raw::Ref(store.rooted(&exception.root).map_err(wrong)?),
        })
    }

    /// The value of type `ty` that the virtual machine gave just now.
    pub(crate) fn from_raw(raw: Raw, ty: ValType, store: &StoreInner) -> Val {
        let heap = if let ValType::Ref(ty) = ty { ty.heap } else { HeapType::Any };
        match (raw, hierarchy(heap)) {
            (Raw::I32(value), _) => Val::I32(value as i32),
            (Raw::I64(value), _) => Val::I64(value as i64),
            (Raw::F32(bits), _) => Val::F32(bits),
            (Raw::F64(bits), _) => Val::F64(bits),
            (Raw::V128(bits), _) => Val::V128(bits),
            (Raw::Func(func), _) => Val::FuncRef(func.map(Func::from_handle)),
            (Raw::Ref(0), HeapType::Extern) => Val::ExternRef(None),
            (Raw::Ref(0), _) => Val::Null(heap),
            (Raw::Ref(reference), HeapType::Extern) => Val::ExternRef(Some(ExternRef::from_raw(reference, store))),
            (Raw::Ref(reference), HeapType::Exn) => Val::ExnRef(ExnRef::from_raw(reference, store)),
            (Raw::Ref(reference), _) => Val::AnyRef(AnyRef::from_raw(reference, store)),
        }
    }

    /// Checks that a reference is `store`'s.
    pub(crate) fn check(&self, store: &StoreInner) -> Result<(), UsageError> {
        let owned = match self {
            Val::FuncRef(Some(func)) => func.handle.store() == store.id(),
            Val::ExternRef(Some(value)) => store.owns_root(&value.root).is_ok(),
            Val::AnyRef(value) => store.owns_root(&value.root).is_ok(),
            Val::ExnRef(exception) => store.owns_root(&exception.root).is_ok(),
            _ => true,
        };
        if owned { Ok(()) } else { Err(UsageError::WrongStore { what: "reference" }) }
    }

    /// Whether the value, whose references are `store`'s, is one of type `ty`.
    pub(crate) fn fits(&self, ty: ValType, engine: &Engine, store: &StoreInner) -> bool {
        let ValType::Ref(ty) = ty else { return self.ty() == ty };
        let types = engine.types();
        match self {
            Val::FuncRef(None) => ty.is_func && ty.nullable,
            Val::FuncRef(Some(func)) => {
                let given = store.func_type_id(func.handle).map(|id| HeapType::Exact(TypeIndex(id)));
                ty.is_func && given.is_ok_and(|given| types.heap_matches(given, ty.heap))
            }
            Val::ExternRef(None) => ty.nullable && !ty.is_func && hierarchy(ty.heap) == HeapType::Extern,
            Val::ExternRef(Some(_)) => ty.heap == HeapType::Extern && !ty.is_func,
            Val::AnyRef(value) => {
                let given = store.rooted(&value.root).map(|raw| heap_type_of(raw, store));
                !ty.is_func && given.is_ok_and(|given| types.heap_matches(given, ty.heap))
            }
            Val::ExnRef(_) => ty.heap == HeapType::Exn && !ty.is_func,
            // A null function is `FuncRef(None)`.
            Val::Null(heap) => ty.nullable && !ty.is_func && hierarchy(*heap) == hierarchy(ty.heap),
            _ => false,
        }
    }

    /// Checks that the value is one of type `ty` and its reference `store`'s.
    pub(crate) fn check_type(&self, ty: ValType, engine: &Engine, store: &StoreInner) -> Result<(), UsageError> {
        self.check(store)?;
        if self.fits(ty, engine, store) {
            return Ok(());
        }
        Err(UsageError::TypeMismatch { wanted: ty.to_string(), given: self.ty().to_string() })
    }
}

/// The top of the hierarchy of a heap type that is no function's: a concrete type is an internal one.
fn hierarchy(heap: HeapType) -> HeapType {
    match heap {
        HeapType::Func | HeapType::NoFunc => HeapType::Func,
        HeapType::Extern | HeapType::NoExtern => HeapType::Extern,
        HeapType::Exn | HeapType::NoExn => HeapType::Exn,
        _ => HeapType::Any,
    }
}

impl From<i32> for Val {
    fn from(value: i32) -> Val {
        Val::I32(value)
    }
}

impl From<i64> for Val {
    fn from(value: i64) -> Val {
        Val::I64(value)
    }
}

impl From<f32> for Val {
    fn from(value: f32) -> Val {
        Val::F32(value.to_bits())
    }
}

impl From<f64> for Val {
    fn from(value: f64) -> Val {
        Val::F64(value.to_bits())
    }
}

impl From<Func> for Val {
    fn from(func: Func) -> Val {
        Val::FuncRef(Some(func))
    }
}

impl<'a, T: 'static> From<&'a crate::store::Store<T>> for crate::context::StoreContext<'a, T> {
    fn from(store: &'a crate::store::Store<T>) -> Self {
        crate::context::StoreContext(&store.vm)
    }
}

impl<'a, T: 'static> From<&'a mut crate::store::Store<T>> for crate::context::StoreContext<'a, T> {
    fn from(store: &'a mut crate::store::Store<T>) -> Self {
        crate::context::StoreContext(&store.vm)
    }
}

impl<'a, T: 'static> From<&'a crate::context::Caller<'_, T>> for crate::context::StoreContext<'a, T> {
    fn from(caller: &'a crate::context::Caller<'_, T>) -> Self {
        crate::context::StoreContext(caller.store.0)
    }
}

impl<'a, T: 'static> From<&'a mut crate::context::Caller<'_, T>> for crate::context::StoreContext<'a, T> {
    fn from(caller: &'a mut crate::context::Caller<'_, T>) -> Self {
        crate::context::StoreContext(caller.store.0)
    }
}
