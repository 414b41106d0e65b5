//! References to objects, unboxed integers and host values
//! ([spec](https://webassembly.github.io/spec/core/exec/runtime.html#values)).
//!
//! A reference keeps what it refers to alive until it, and every clone of it, is dropped; on which thread and when does not
//! matter. One that is used with another store than its own is an error. References are equal when they refer to the same
//! value.
//!
//! Invariant: a [`StructRef`] is to a struct, an [`ArrayRef`] to an array, an [`EqRef`] to something that `ref.eq`
//! compares: it was looked at when it was made, and an object never changes its type.
//!
//! Does not know: where objects lie, and that they move.

use crate::context::{AsContext, AsContextMut};
use crate::engine::Engine;
use crate::error::{Error, Result, Trap, UsageError};
use crate::object_types::{ArrayType, StructType};
use crate::value::Val;
use std::any::Any;
use std::sync::Arc;
use wattest_abi::TrapCode;
use wattest_abi::gc::{HOST_TAG, I31_BIT, TAG_MASK};
use wattest_module::{CompositeType, FieldType, HeapType, StorageType, SubType, TypeIndex, ValType};
use wattest_vm::{AllocError, Root, StoreInner};

const WRONG: UsageError = UsageError::WrongStore { what: "reference" };

/// The embedder's error for an object that was not allocated.
pub(crate) fn alloc_error(error: AllocError) -> Error {
    match error {
        AllocError::Full => Error::Trap(Trap::new(TrapCode::AllocationTooLarge)),
        AllocError::Limiter(error) => crate::func::host_error(error, &[]),
    }
}

macro_rules! references {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $name {
                pub(crate) root: Root,
            }

            impl $name {
                pub(crate) fn from_raw(reference: u32, store: &StoreInner) -> $name {
                    $name { root: store.root(reference) }
                }

                #[allow(dead_code, reason = "some kinds are only passed on")]
                pub(crate) fn raw(&self, store: &StoreInner) -> Result<u32, UsageError> {
                    store.rooted(&self.root).map_err(|_| WRONG)
                }
            }
        )*
    };
}

references! {
    /// A reference to a host value.
    ExternRef;
    /// A reference to any internal value: an object, an unboxed integer, or a host value made internal.
    AnyRef;
    /// A reference to a value with identity: an object or an unboxed integer.
    EqRef;
    /// A reference to a struct.
    StructRef;
    /// A reference to an array.
    ArrayRef;
}

impl ExternRef {
    /// Gives `value` to the store, which keeps it as long as the guest or a reference can reach it, and returns a reference
    /// to it.
    ///
    /// # Errors
    ///
    /// The store holds 2³⁰ host values already.
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
        let reference = inner.new_extern(Arc::new(value));
        let reference =
            reference.ok_or_else(|| Error::Limit("the store holds too many external references".to_owned()))?;
        Ok(ExternRef::from_raw(reference, inner))
    }

    /// The host value; `None` when the reference is another store's, or is an internal value made external.
    pub fn data<'a, T: 'static>(
        &self,
        store: impl Into<crate::context::StoreContext<'a, T>>,
    ) -> Option<&'a (dyn Any + Send + Sync)> {
        let inner = store.into().0.inner();
        inner.extern_value(self.raw(inner).ok()?).map(|value| &**value)
    }

    /// The same value as an internal one: `any.convert_extern`.
    pub fn to_any(&self) -> AnyRef {
        AnyRef { root: self.root.clone() }
    }
}

/// An integer of 31 bits, which a reference holds without an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct I31(u32);

impl I31 {
    /// The low 31 bits of `value`, as `ref.i31` takes them.
    ///
    /// ```
    /// use wattest::I31;
    /// assert_eq!(I31::wrapping(-1).signed(), -1);
    /// assert_eq!(I31::wrapping(-1).unsigned(), 0x7fff_ffff);
    /// ```
    pub const fn wrapping(value: i32) -> I31 {
        I31((value as u32) & 0x7fff_ffff)
    }

    /// The value, sign-extended.
    pub const fn signed(self) -> i32 {
        ((self.0 << 1) as i32) >> 1
    }

    /// The value, zero-extended.
    pub const fn unsigned(self) -> u32 {
        self.0
    }
}

impl AnyRef {
    /// A reference that holds `value`.
    pub fn from_i31(store: impl AsContext, value: I31) -> AnyRef {
        AnyRef::from_raw(value.0 << 1 | I31_BIT, store.as_context().inner())
    }

    /// The integer, if the reference holds one.
    ///
    /// # Errors
    ///
    /// The reference is another store's.
    pub fn as_i31(&self, store: impl AsContext) -> Result<Option<I31>> {
        let raw = self.raw(store.as_context().inner())?;
        Ok((raw & I31_BIT != 0).then_some(I31(raw >> 1)))
    }

    /// The struct, if it is one.
    ///
    /// # Errors
    ///
    /// The reference is another store's.
    pub fn as_struct(&self, store: impl AsContext) -> Result<Option<StructRef>> {
        let is_struct = |ty: &SubType| matches!(ty.composite, CompositeType::Struct(_));
        Ok(self.is_object(store, is_struct)?.then(|| StructRef { root: self.root.clone() }))
    }

    /// The array, if it is one.
    ///
    /// # Errors
    ///
    /// The reference is another store's.
    pub fn as_array(&self, store: impl AsContext) -> Result<Option<ArrayRef>> {
        let is_array = |ty: &SubType| matches!(ty.composite, CompositeType::Array(_));
        Ok(self.is_object(store, is_array)?.then(|| ArrayRef { root: self.root.clone() }))
    }

    /// The value with identity, if it is one: no host value.
    ///
    /// # Errors
    ///
    /// The reference is another store's.
    pub fn as_eq(&self, store: impl AsContext) -> Result<Option<EqRef>> {
        let raw = self.raw(store.as_context().inner())?;
        Ok((raw & TAG_MASK != HOST_TAG).then(|| EqRef { root: self.root.clone() }))
    }

    /// The same value as an external one: `extern.convert_any`.
    pub fn to_extern(&self) -> ExternRef {
        ExternRef { root: self.root.clone() }
    }

    /// The most precise heap type of what is referred to; a concrete one is an engine-wide identifier, as in
    /// [`StructType::heap_type`].
    ///
    /// # Errors
    ///
    /// The reference is another store's.
    pub fn heap_type(&self, store: impl AsContext) -> Result<HeapType> {
        let heap = heap_type_of(self.raw(store.as_context().inner())?, store.as_context().inner());
        Ok(heap.concrete().map_or(heap, HeapType::Concrete))
    }

    fn is_object(&self, store: impl AsContext, kind: impl Fn(&SubType) -> bool) -> Result<bool> {
        let store = store.as_context();
        let raw = self.raw(store.inner())?;
        let ty = store.inner().object_type(raw).and_then(|id| store.engine().types().ty(id));
        Ok(ty.is_some_and(|ty| kind(&ty)))
    }
}

/// The most precise heap type of an internal value that is not null.
pub(crate) fn heap_type_of(raw: u32, store: &StoreInner) -> HeapType {
    match raw & TAG_MASK {
        0 => store.object_type(raw).map_or(HeapType::Any, |id| HeapType::Exact(TypeIndex(id))),
        HOST_TAG => HeapType::Any,
        _ => HeapType::I31,
    }
}

impl EqRef {
    /// The reference as one to any internal value.
    pub fn to_any(&self) -> AnyRef {
        AnyRef { root: self.root.clone() }
    }
}

/// What a field of `ty` holds: packed ones hold an `i32`.
fn value_type(field: FieldType) -> ValType {
    match field.storage {
        StorageType::Val(ty) => ty,
        StorageType::I8 | StorageType::I16 => ValType::I32,
    }
}

/// Reads field or element `index`.
fn get(store: &StoreInner, raw: u32, field: FieldType, index: u32) -> Result<Val> {
    let value = store.object_get(raw, index).map_err(|error| UsageError::Invalid(error.to_string()))?;
    Ok(Val::from_raw(value, value_type(field), store))
}

/// Sets field or element `index`, mutable or not.
fn set(engine: &Engine, store: &mut StoreInner, raw: u32, field: FieldType, index: u32, value: &Val) -> Result<()> {
    value.check_type(value_type(field), engine, store)?;
    let value = value.to_raw(store)?;
    store.object_set(raw, index, value).map_err(|error| UsageError::Invalid(error.to_string()).into())
}

fn immutable() -> Error {
    UsageError::Invalid("the field is immutable".to_owned()).into()
}

impl StructRef {
    /// Makes a struct of type `ty` whose fields are `values`.
    ///
    /// # Errors
    ///
    /// The values do not fit the type or are another store's; the type has a descriptor or is another engine's; the heap is
    /// full.
    ///
    /// ```
    /// use wattest::{Engine, FieldType, Store, StorageType, StructRef, StructType, Val, ValType};
    /// let engine = Engine::default();
    /// let field = FieldType { storage: StorageType::Val(ValType::I32), mutable: true };
    /// let ty = StructType::new(&engine, [field])?;
    /// let mut store = Store::new(&engine, ());
    /// let object = StructRef::new(&mut store, &ty, &[Val::I32(7)])?;
    /// object.set(&mut store, 0, &Val::I32(8))?;
    /// assert_eq!(object.get(&store, 0)?, Val::I32(8));
    /// # Ok::<(), wattest::Error>(())
    /// ```
    pub fn new(store: impl AsContextMut, ty: &StructType, values: &[Val]) -> Result<StructRef> {
        StructRef::make(store, ty, None, values)
    }

    /// Makes a struct of type `ty` with a descriptor, whose fields are `values`.
    ///
    /// # Errors
    ///
    /// As [`StructRef::new`]; the descriptor is not of the type's descriptor type itself, or there is no such type.
    ///
    /// ```
    /// use wattest::{Engine, Store, StructDeclaration, StructRef, StructType};
    /// let engine = Engine::default();
    /// let plain = || StructDeclaration { is_final: true, supertype: None, fields: Vec::new() };
    /// let (described, descriptor) = StructType::declare_described(&engine, plain(), plain())?;
    /// let mut store = Store::new(&engine, ());
    /// let class = StructRef::new(&mut store, &descriptor, &[])?;
    /// let object = StructRef::with_descriptor(&mut store, &described, &class, &[])?;
    /// assert_eq!(object.descriptor(&store)?, Some(class));
    /// # Ok::<(), wattest::Error>(())
    /// ```
    pub fn with_descriptor(
        store: impl AsContextMut,
        ty: &StructType,
        descriptor: &StructRef,
        values: &[Val],
    ) -> Result<StructRef> {
        StructRef::make(store, ty, Some(descriptor), values)
    }

    fn make(
        mut store: impl AsContextMut,
        ty: &StructType,
        descriptor: Option<&StructRef>,
        values: &[Val],
    ) -> Result<StructRef> {
        let mut store = store.as_context_mut();
        let engine = ty.check_engine(store.engine())?;
        let given = descriptor.map(|descriptor| descriptor.ty(&store)).transpose()?;
        if given != ty.descriptor() {
            return Err(
                UsageError::Invalid("the descriptor is not of the type that the struct wants".to_owned()).into()
            );
        }
        let fields = ty.fields();
        if fields.len() != values.len() {
            let text = format!("{} values for a struct of {} fields", values.len(), fields.len());
            return Err(UsageError::Invalid(text).into());
        }
        for (value, field) in values.iter().zip(fields) {
            value.check_type(value_type(*field), &engine, store.inner())?;
        }
        let inner = store.inner_mut();
        let raw = inner.new_struct(ty.id()).map_err(alloc_error)?;
        if let Some(descriptor) = descriptor {
            let descriptor = descriptor.raw(inner)?;
            inner.set_descriptor(raw, descriptor).map_err(|error| UsageError::Invalid(error.to_string()))?;
        }
        for (index, (value, field)) in values.iter().zip(fields).enumerate() {
            set(&engine, inner, raw, *field, index as u32, value)?;
        }
        Ok(StructRef::from_raw(raw, inner))
    }

    /// The struct's type.
    ///
    /// # Errors
    ///
    /// The reference is another store's.
    pub fn ty(&self, store: impl AsContext) -> Result<StructType> {
        let store = store.as_context();
        let id = store.inner().object_type(self.raw(store.inner())?);
        id.and_then(|id| StructType::from_id(store.engine(), id)).ok_or_else(|| WRONG.into())
    }

    /// The struct's descriptor, if its type has one.
    ///
    /// # Errors
    ///
    /// The reference is another store's.
    pub fn descriptor(&self, store: impl AsContext) -> Result<Option<StructRef>> {
        let store = store.as_context();
        let inner = store.inner();
        let descriptor = inner.object_descriptor(self.raw(inner)?);
        let descriptor = descriptor.map_err(|error| UsageError::Invalid(error.to_string()))?;
        Ok(descriptor.map(|raw| StructRef::from_raw(raw, inner)))
    }

    fn field(&self, store: impl AsContext, index: u32) -> Result<FieldType> {
        let ty = self.ty(store)?;
        let field = ty.fields().get(index as usize).copied();
        field.ok_or_else(|| UsageError::Invalid(format!("the struct has no field {index}")).into())
    }

    /// The value of field `index`; packed ones are zero-extended.
    ///
    /// # Errors
    ///
    /// There is no such field, or the reference is another store's.
    pub fn get(&self, store: impl AsContext, index: u32) -> Result<Val> {
        let field = self.field(&store, index)?;
        let store = store.as_context();
        get(store.inner(), self.raw(store.inner())?, field, index)
    }

    /// Sets field `index`; packed ones are wrapped.
    ///
    /// # Errors
    ///
    /// There is no such field, it is immutable, the value does not fit, or something is another store's.
    pub fn set(&self, mut store: impl AsContextMut, index: u32, value: &Val) -> Result<()> {
        let mut store = store.as_context_mut();
        let field = self.field(&store, index)?;
        if !field.mutable {
            return Err(immutable());
        }
        let engine = store.engine().clone();
        let raw = self.raw(store.inner())?;
        set(&engine, store.inner_mut(), raw, field, index, value)
    }

    /// The reference as one to any internal value.
    pub fn to_any(&self) -> AnyRef {
        AnyRef { root: self.root.clone() }
    }
}

impl ArrayRef {
    /// Makes an array of type `ty` of `length` times `value`.
    ///
    /// # Errors
    ///
    /// The value does not fit the type or is another store's; the type is another engine's; the heap is full.
    pub fn new(mut store: impl AsContextMut, ty: &ArrayType, value: &Val, length: u32) -> Result<ArrayRef> {
        let mut store = store.as_context_mut();
        let engine = ty.check_engine(store.engine())?;
        value.check_type(value_type(ty.element()), &engine, store.inner())?;
        let inner = store.inner_mut();
        let raw = inner.new_array(ty.id(), length).map_err(alloc_error)?;
        for index in 0..length {
            set(&engine, inner, raw, ty.element(), index, value)?;
        }
        Ok(ArrayRef::from_raw(raw, inner))
    }

    /// Makes an array of type `ty` of `values`.
    ///
    /// # Errors
    ///
    /// As [`ArrayRef::new`].
    pub fn of_values(mut store: impl AsContextMut, ty: &ArrayType, values: &[Val]) -> Result<ArrayRef> {
        let mut store = store.as_context_mut();
        let engine = ty.check_engine(store.engine())?;
        let length = u32::try_from(values.len()).map_err(|_| Error::Limit("the array is too long".to_owned()))?;
        for value in values {
            value.check_type(value_type(ty.element()), &engine, store.inner())?;
        }
        let inner = store.inner_mut();
        let raw = inner.new_array(ty.id(), length).map_err(alloc_error)?;
        for (index, value) in values.iter().enumerate() {
            set(&engine, inner, raw, ty.element(), index as u32, value)?;
        }
        Ok(ArrayRef::from_raw(raw, inner))
    }

    /// The array's type.
    ///
    /// # Errors
    ///
    /// The reference is another store's.
    pub fn ty(&self, store: impl AsContext) -> Result<ArrayType> {
        let store = store.as_context();
        let id = store.inner().object_type(self.raw(store.inner())?);
        id.and_then(|id| ArrayType::from_id(store.engine(), id)).ok_or_else(|| WRONG.into())
    }

    /// Number of elements.
    ///
    /// # Errors
    ///
    /// The reference is another store's.
    pub fn len(&self, store: impl AsContext) -> Result<u32> {
        let store = store.as_context();
        let raw = self.raw(store.inner())?;
        store.inner().array_len(raw).map_err(|error| UsageError::Invalid(error.to_string()).into())
    }

    /// The element at `index`; packed ones are zero-extended.
    ///
    /// # Errors
    ///
    /// The index is beyond the end, or the reference is another store's.
    pub fn get(&self, store: impl AsContext, index: u32) -> Result<Val> {
        let element = self.ty(&store)?.element();
        let store = store.as_context();
        get(store.inner(), self.raw(store.inner())?, element, index)
    }

    /// Sets the element at `index`; packed ones are wrapped.
    ///
    /// # Errors
    ///
    /// The index is beyond the end, elements are immutable, the value does not fit, or something is another store's.
    pub fn set(&self, mut store: impl AsContextMut, index: u32, value: &Val) -> Result<()> {
        let mut store = store.as_context_mut();
        let element = self.ty(&store)?.element();
        if !element.mutable {
            return Err(immutable());
        }
        let engine = store.engine().clone();
        let raw = self.raw(store.inner())?;
        set(&engine, store.inner_mut(), raw, element, index, value)
    }

    /// The reference as one to any internal value.
    pub fn to_any(&self) -> AnyRef {
        AnyRef { root: self.root.clone() }
    }
}

macro_rules! values {
    ($($name:ident => $variant:ident, $value:ident => $convert:expr;)*) => {
        $(
            impl From<$name> for Val {
                fn from($value: $name) -> Val {
                    Val::$variant($convert)
                }
            }
        )*
    };
}
values! {
    ExternRef => ExternRef, value => Some(value);
    AnyRef => AnyRef, value => value;
    EqRef => AnyRef, value => value.to_any();
    StructRef => AnyRef, value => value.to_any();
    ArrayRef => AnyRef, value => value.to_any();
}
