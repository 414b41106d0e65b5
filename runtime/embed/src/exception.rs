//! Tags and exceptions
//! ([spec](https://webassembly.github.io/spec/core/exec/runtime.html#exception-instances)).
//!
//! An exception that nothing in the guest catches ends the call that the host made with
//! [`Error::Exception`](crate::Error::Exception). A host function that fails with such an error throws the exception on
//! into its caller, whose handlers get it; [`ExnRef::new`] makes one of the host's own.
//!
//! Invariant: an exception's payload has the types of its tag's parameters.
//!
//! Does not know: how frames are unwound.

use crate::context::{AsContext, AsContextMut};
use crate::engine::Engine;
use crate::error::{Backtrace, Error, Result, UsageError};
use crate::types::FuncType;
use crate::value::Val;
use std::sync::Arc;
use wattest_module::ValType;
use wattest_vm::{HostError, Root, Signature, StoreInner, TagHandle};

/// A tag of a store: what tells exceptions apart. Every tag that is made, by the host or by an instance, is a different one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    pub(crate) handle: TagHandle,
}

impl Tag {
    /// Makes a tag whose exceptions carry the parameters of `ty`.
    ///
    /// # Errors
    ///
    /// `ty` has results.
    ///
    /// ```
    /// use wattest::{Engine, ExnRef, FuncType, Store, Tag, Val, ValType};
    /// let mut store = Store::new(&Engine::default(), ());
    /// let tag = Tag::new(&mut store, FuncType::new([ValType::I32], []))?;
    /// let exception = ExnRef::new(&mut store, tag, &[Val::I32(7)])?;
    /// assert_eq!(exception.tag(&mut store)?, tag);
    /// assert_eq!(exception.payload(&mut store)?, [Val::I32(7)]);
    /// # Ok::<(), wattest::Error>(())
    /// ```
    pub fn new(mut store: impl AsContextMut, ty: FuncType) -> Result<Tag> {
        if !ty.results().is_empty() {
            return Err(UsageError::Invalid("a tag's type has no results".to_owned()).into());
        }
        let mut store = store.as_context_mut();
        let signature = store.engine().types().register_func(&ty.ty);
        Ok(Tag { handle: store.inner_mut().new_tag(signature.type_id) })
    }

    /// The type: parameters are what an exception carries.
    ///
    /// # Errors
    ///
    /// The tag is another store's.
    pub fn ty(&self, store: impl AsContext) -> Result<FuncType> {
        let store = store.as_context();
        Ok(FuncType { ty: self.signature(store.engine(), store.inner())?.ty.clone() })
    }

    pub(crate) fn signature(&self, engine: &Engine, store: &StoreInner) -> Result<Arc<Signature>, UsageError> {
        let wrong = UsageError::WrongStore { what: "tag" };
        let id = store.tag_type_id(self.handle).map_err(|_| wrong.clone())?;
        engine.types().signature(id).ok_or(wrong)
    }
}

/// A reference to an exception of a store, which it keeps alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExnRef {
    pub(crate) root: Root,
}

impl ExnRef {
    /// Makes an exception.
    ///
    /// # Errors
    ///
    /// The payload does not fit the tag; the tag or a reference in the payload is another store's; the store's heap is full.
    pub fn new(mut store: impl AsContextMut, tag: Tag, payload: &[Val]) -> Result<ExnRef> {
        let mut store = store.as_context_mut();
        let signature = tag.signature(store.engine(), store.inner())?;
        let params = &signature.ty.params;
        payload.iter().try_for_each(|value| value.check(store.inner()))?;
        let one_fits = |(value, ty): (&Val, &ValType)| value.fits(*ty, store.engine(), store.inner());
        let fits = payload.len() == params.len() && payload.iter().zip(params).all(one_fits);
        if !fits {
            let given = payload.iter().map(|value| value.ty().to_string()).collect::<Vec<_>>().join(", ");
            let wanted = signature.ty.to_string();
            return Err(UsageError::TypeMismatch { wanted, given: format!("({given})") }.into());
        }
        let raw = payload.iter().map(|value| value.to_raw(store.inner())).collect::<Result<Vec<_>, _>>()?;
        let inner = store.inner_mut();
        let made = inner.new_exception(tag.handle, &raw);
        let reference = made.map_err(crate::reference::alloc_error)?;
        Ok(ExnRef::from_raw(reference, inner))
    }

    pub(crate) fn from_raw(reference: u32, store: &StoreInner) -> ExnRef {
        ExnRef { root: store.root(reference) }
    }

    fn raw(&self, store: &StoreInner) -> Result<u32, UsageError> {
        store.rooted(&self.root).map_err(|_| UsageError::WrongStore { what: "exception" })
    }

    /// The exception's tag.
    ///
    /// # Errors
    ///
    /// The exception is another store's.
    pub fn tag(&self, mut store: impl AsContextMut) -> Result<Tag> {
        let mut store = store.as_context_mut();
        let raw = self.raw(store.inner())?;
        Ok(Tag { handle: store.inner_mut().exception_tag(raw) })
    }

    /// What the exception carries.
    ///
    /// # Errors
    ///
    /// The exception is another store's.
    pub fn payload(&self, mut store: impl AsContextMut) -> Result<Vec<Val>> {
        let mut store = store.as_context_mut();
        let tag = self.tag(&mut store)?;
        let signature = tag.signature(store.engine(), store.inner())?;
        let inner = store.inner_mut();
        let raw = inner.exception_payload(self.raw(inner)?, &signature.params);
        Ok(raw.into_iter().zip(&signature.ty.params).map(|(raw, ty)| Val::from_raw(raw, *ty, inner)).collect())
    }

    /// The error that throws the exception, when a host function returns it. In other stores than its own, it is an error
    /// like any other.
    ///
    /// ```
    /// use wattest::{Engine, Error, ExnRef, FuncType, Linker, Module, Store, Tag, Val, ValType};
    /// let mut store = Store::new(&Engine::default(), ());
    /// let tag = Tag::new(&mut store, FuncType::new([ValType::I32], []))?;
    /// let mut linker = Linker::new(store.engine());
    /// linker.define(&store, "host", "tag", tag)?;
    /// linker.func_wrap("host", "fail", move |mut caller: wattest::Caller<'_, ()>| -> Result<(), Error> {
    ///     Err(ExnRef::new(&mut caller, tag, &[Val::I32(7)])?.throw())
    /// })?;
    /// let module = Module::new(store.engine(), r#"(module
    ///     (import "host" "tag" (tag $t (param i32)))
    ///     (import "host" "fail" (func $fail))
    ///     (func (export "f") (result i32)
    ///         (block $caught (result i32)
    ///             (try_table (catch $t $caught) (call $fail))
    ///             (i32.const 0))))"#)?;
    /// let instance = linker.instantiate(&mut store, &module)?;
    /// assert_eq!(instance.get_typed_func::<(), i32>(&store, "f")?.call(&mut store, ())?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn throw(self) -> Error {
        Error::Exception(UncaughtException { exception: self, backtrace: Backtrace::default() })
    }
}

/// An exception on its way through the host.
#[derive(Clone, Debug)]
pub struct UncaughtException {
    pub(crate) exception: ExnRef,
    pub(crate) backtrace: Backtrace,
}

impl UncaughtException {
    /// The exception.
    pub fn exception(&self) -> &ExnRef {
        &self.exception
    }

    /// The WebAssembly stack from which it was thrown, or last thrown on.
    pub fn backtrace(&self) -> &Backtrace {
        &self.backtrace
    }
}

impl std::fmt::Display for UncaughtException {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(wattest_abi::TrapCode::UncaughtException.text())
    }
}

impl std::error::Error for UncaughtException {}

/// What a host function of `store` that failed with `error` tells the virtual machine.
#[cold]
pub(crate) fn to_vm(error: Error, store: &StoreInner) -> HostError {
    match error {
        Error::Exception(thrown) => match thrown.exception.raw(store) {
            Ok(raw) => Box::new(store.thrown(raw)),
            Err(_) => Box::new(Error::Exception(thrown)),
        },
        other => Box::new(other),
    }
}
