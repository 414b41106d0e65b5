//! Values of any type.
//!
//! Invariant: floats are kept as bits, so that NaN payloads survive.
//!
//! Does not know: how values travel; see [`wattest_vm::Raw`].

use crate::context::AsContextMut;
use crate::error::{Error, Result, UsageError};
use crate::exception::ExnRef;
use crate::func::Func;
use std::any::Any;
use std::sync::Arc;
use wattest_module::{HeapType, RefType, ValType};
use wattest_vm::{Raw, StoreId, StoreInner};

/// A WebAssembly value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            ValType::Ref(RefType { heap: HeapType::Extern, .. }) => Val::ExternRef(None),
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

    pub(crate) fn to_raw(self) -> Raw {
        match self {
            Val::I32(value) => Raw::I32(value as u32),
            Val::I64(value) => Raw::I64(value as u64),
            Val::F32(bits) => Raw::F32(bits),
            Val::F64(bits) => Raw::F64(bits),
            Val::V128(bits) => Raw::V128(bits),
            Val::FuncRef(func) => Raw::Func(func.map(|func| func.handle)),
            Val::ExternRef(value) => Raw::Ref(value.map_or(0, |value| value.reference)),
            Val::ExnRef(exception) => Raw::Ref(exception.reference),
            Val::Null(_) => Raw::Ref(0),
        }
    }

    pub(crate) fn from_raw(raw: Raw, ty: ValType, store: StoreId) -> Val {
        match (raw, ty) {
            (Raw::I32(value), _) => Val::I32(value as i32),
            (Raw::I64(value), _) => Val::I64(value as i64),
            (Raw::F32(bits), _) => Val::F32(bits),
            (Raw::F64(bits), _) => Val::F64(bits),
            (Raw::V128(bits), _) => Val::V128(bits),
            (Raw::Func(func), _) => Val::FuncRef(func.map(Func::from_handle)),
            (Raw::Ref(0), ValType::Ref(RefType { heap, .. })) if heap != HeapType::Extern => Val::Null(heap),
            (Raw::Ref(0), _) => Val::ExternRef(None),
            (Raw::Ref(reference), ValType::Ref(RefType { heap: HeapType::Exn, .. })) => {
                Val::ExnRef(ExnRef { store, reference })
            }
            (Raw::Ref(reference), _) => Val::ExternRef(Some(ExternRef { store, reference })),
        }
    }

    /// Checks that a reference is `store`'s.
    pub(crate) fn check(&self, store: &StoreInner) -> Result<(), UsageError> {
        let of = match self {
            Val::FuncRef(Some(func)) => func.handle.store(),
            Val::ExternRef(Some(value)) => value.store,
            Val::ExnRef(exception) => exception.store,
            _ => return Ok(()),
        };
        if of == store.id() { Ok(()) } else { Err(UsageError::WrongStore { what: "reference" }) }
    }

    /// Whether the value is one of type `ty`.
    pub(crate) fn fits(&self, ty: ValType) -> bool {
        match (self, ty) {
            (Val::FuncRef(func), ValType::Ref(ty)) => ty.is_func && (ty.nullable || func.is_some()),
            (Val::ExternRef(value), ValType::Ref(ty)) => {
                ty.heap == HeapType::Extern && (ty.nullable || value.is_some())
            }
            (Val::ExnRef(_), ValType::Ref(ty)) => ty.heap == HeapType::Exn,
            // A null function is `FuncRef(None)`.
            (Val::Null(heap), ValType::Ref(ty)) => ty.heap == *heap && ty.nullable && !ty.is_func,
            (value, ty) => value.ty() == ty,
        }
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

/// A reference to a host value, which the store keeps alive as long as it lives itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExternRef {
    pub(crate) store: StoreId,
    pub(crate) reference: u32,
}

impl ExternRef {
    /// Gives `value` to the store and returns a reference to it.
    ///
    /// # Errors
    ///
    /// The store holds 2³² references already.
    ///
    /// ```
    /// use wattest::{Engine, ExternRef, Store};
    /// let mut store = Store::new(&Engine::default(), ());
    /// let value = ExternRef::new(&mut store, "text")?;
    /// assert_eq!(value.data(&store).and_then(|data| data.downcast_ref::<&str>()), Some(&"text"));
    /// # Ok::<(), wattest::Error>(())
    /// ```
    pub fn new(mut store: impl AsContextMut, value: impl Any + Send + Sync) -> Result<ExternRef> {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        let reference = inner
            .new_extern(Arc::new(value))
            .ok_or_else(|| Error::Limit("the store holds too many external references".to_owned()))?;
        Ok(ExternRef { store: inner.id(), reference })
    }

    /// The host value; `None` when the reference is another store's.
    pub fn data<'a, T: 'static>(
        &self,
        store: impl Into<crate::context::StoreContext<'a, T>>,
    ) -> Option<&'a (dyn Any + Send + Sync)> {
        let inner = store.into().0.inner();
        if self.store != inner.id() {
            return None;
        }
        inner.extern_value(self.reference).map(|value| &**value)
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
