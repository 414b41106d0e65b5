//! Functions.
//!
//! Invariant: arguments are checked against the function's type before it is called.
//!
//! Does not know: registers; see `wattest_vm`.

use crate::context::{AsContext, AsContextMut, Caller, StoreContextMut};
use crate::engine::Engine;
use crate::error::{Backtrace, Error, Frame, HostError, LocalValue, Result, Trap, UsageError};
use crate::exception::{self, ExnRef, UncaughtException};
use crate::store::StoreData;
use crate::suspend::{self, HostFuture};
use crate::typed::{HostResult, IntoFunc, WasmParams, WasmResults};
use crate::types::FuncType;
use crate::value::Val;
use std::sync::Arc;
use wattest_module::ValType;
use wattest_vm::{
    CallError, CallFailure, CallerInfo, FuncHandle, HostFunction, Raw, Signature, StoreInner, TypedHandle,
};

/// A function of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Func {
    pub(crate) handle: FuncHandle,
}

impl Func {
    pub(crate) fn from_handle(handle: FuncHandle) -> Func {
        Func { handle }
    }

    /// Makes a function of a closure whose types are known at compile time.
    ///
    /// ```
    /// use wattest::{Engine, Func, Store, Val};
    /// let mut store = Store::new(&Engine::default(), ());
    /// let add = Func::wrap(&mut store, |a: i32, b: i32| a + b);
    /// let mut results = [Val::I32(0)];
    /// add.call(&mut store, &[Val::I32(2), Val::I32(3)], &mut results)?;
    /// assert_eq!(results[0].i32(), Some(5));
    /// # Ok::<(), wattest::Error>(())
    /// ```
    pub fn wrap<T: 'static, Params>(mut store: impl AsContextMut<Data = T>, closure: impl IntoFunc<T, Params>) -> Func {
        let store = store.as_context_mut();
        let host = closure.into_host(store.engine());
        Func { handle: store.0.add_host_function(&host) }
    }

    /// Makes a function of a closure whose types are known at run time.
    pub fn new<T: 'static>(
        mut store: impl AsContextMut<Data = T>,
        ty: FuncType,
        closure: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Func {
        let store = store.as_context_mut();
        let host = dynamic_host(store.engine(), &ty, closure);
        Func { handle: store.0.add_host_function(&host) }
    }

    /// The function's type.
    ///
    /// # Panics
    ///
    /// If the function is another store's.
    pub fn ty(&self, store: impl AsContext) -> FuncType {
        let store = store.as_context();
        let signature = self.signature(store.engine(), store.inner()).expect("the function is this store's");
        FuncType { ty: signature.ty.clone() }
    }

    pub(crate) fn signature(&self, engine: &Engine, store: &StoreInner) -> Result<Arc<Signature>, UsageError> {
        let wrong = UsageError::WrongStore { what: "function" };
        let id = store.func_type_id(self.handle).map_err(|_| wrong.clone())?;
        engine.types().signature(id).ok_or(wrong)
    }

    /// Calls the function. `results` is filled in; what it held before does not matter.
    ///
    /// # Errors
    ///
    /// The arguments do not fit, the guest traps, or a host function fails.
    pub fn call(&self, mut store: impl AsContextMut, params: &[Val], results: &mut [Val]) -> Result<()> {
        let mut store = store.as_context_mut();
        let signature = self.signature(store.engine(), store.inner())?;
        let count = params.len() == signature.params.len() && results.len() == signature.results.len();
        if count {
            params.iter().try_for_each(|value| value.check(store.inner()))?;
        }
        let one_fits = |(value, ty): (&Val, &ValType)| value.fits(*ty, store.engine(), store.inner());
        if !count || !params.iter().zip(&signature.ty.params).all(one_fits) {
            let given = params.iter().map(|value| value.ty().to_string()).collect::<Vec<_>>().join(", ");
            return Err(Error::Usage(UsageError::TypeMismatch {
                wanted: signature.ty.to_string(),
                given: format!("({given}) -> {} results", results.len()),
            }));
        }
        let raw_params = params.iter().map(|value| value.to_raw(store.inner())).collect::<Result<Vec<_>, _>>()?;
        let mut raw_results = vec![Raw::I32(0); results.len()];
        let inner = store.inner_mut();
        let ended = inner.call_dynamic(self.handle, &signature, &raw_params, &mut raw_results);
        ended.map_err(|error| call_error(&store, error))?;
        for ((result, raw), ty) in results.iter_mut().zip(raw_results).zip(&signature.ty.results) {
            *result = Val::from_raw(raw, *ty, store.inner());
        }
        Ok(())
    }

    /// Makes a function of a closure that waits: see [`Linker::func_wrap_async`](crate::Linker::func_wrap_async).
    pub fn wrap_async<T, P, R>(
        mut store: impl AsContextMut<Data = T>,
        closure: impl for<'a> Fn(Caller<'a, T>, P) -> HostFuture<'a, R> + Send + Sync + 'static,
    ) -> Func
    where
        T: 'static,
        P: WasmParams,
        R: HostResult,
    {
        let store = store.as_context_mut();
        let host = crate::typed::waiting_host(store.engine(), closure);
        Func { handle: store.0.add_host_function(&host) }
    }

    /// Calls the function on a stack of its own, so that host functions in it can wait.
    ///
    /// # Errors
    ///
    /// As [`Func::call`]; or there is no stack.
    pub fn call_async<'a, T: Send + 'static, S: Into<StoreContextMut<'a, T>>>(
        &self,
        store: S,
        params: &'a [Val],
        results: &'a mut [Val],
    ) -> impl Future<Output = Result<()>> + Send + use<'a, T, S> {
        let func = *self;
        suspend::on_own_stack(store, suspend::call_refused, move |store| func.call(store, params, results))
    }

    /// The function with its types fixed at compile time.
    ///
    /// # Errors
    ///
    /// The function is another store's or has another type.
    pub fn typed<P: WasmParams, R: WasmResults>(&self, store: impl AsContext) -> Result<TypedFunc<P, R>> {
        let store = store.as_context();
        let signature = self.signature(store.engine(), store.inner())?;
        let same = signature.ty.params == P::TYPES && signature.ty.results == R::TYPES;
        let handle = same.then(|| TypedHandle::new(self.handle, store.inner(), &signature)).flatten();
        handle.map(|handle| TypedFunc { handle, types: std::marker::PhantomData }).ok_or_else(|| {
            let given = FuncType::new(P::TYPES.iter().copied(), R::TYPES.iter().copied());
            UsageError::TypeMismatch { wanted: signature.ty.to_string(), given: given.ty.to_string() }.into()
        })
    }
}

/// The host function of a closure whose types are known at run time.
pub(crate) fn dynamic_host<T: 'static>(
    engine: &Engine,
    ty: &FuncType,
    closure: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
) -> HostFunction<StoreData<T>> {
    let ty = ty.clone();
    let signature = engine.types().register_func(&ty.ty);
    let body = move |store: &mut wattest_vm::Store<StoreData<T>>,
                     caller: CallerInfo,
                     raw_params: &[Raw],
                     raw_results: &mut [Raw]| {
        let inner = store.inner();
        let params = raw_params.iter().zip(ty.params()).map(|(raw, ty)| Val::from_raw(*raw, *ty, inner));
        let params = params.collect::<Vec<_>>();
        let mut results =
            raw_results.iter().zip(ty.results()).map(|(raw, ty)| Val::from_raw(*raw, *ty, inner)).collect::<Vec<_>>();
        let view = Caller { store: StoreContextMut(store), instance: caller.instance };
        let ended = closure(view, &params, &mut results);
        ended.map_err(|error| exception::to_vm(error, store.inner()))?;
        let boxed = |error: Error| Box::new(error) as wattest_vm::HostError;
        for ((raw, value), ty) in raw_results.iter_mut().zip(&results).zip(ty.results()) {
            let checked = value.check_type(*ty, &store.data().engine, store.inner());
            let lowered = checked.and_then(|()| value.to_raw(store.inner()));
            *raw = lowered.map_err(|error| boxed(error.into()))?;
        }
        Ok(())
    };
    HostFunction::dynamic(signature, body)
}

/// A function whose types are fixed at compile time.
#[derive(Debug)]
pub struct TypedFunc<P: WasmParams, R: WasmResults> {
    handle: TypedHandle<P::Abi, R::Abi>,
    types: std::marker::PhantomData<fn(P) -> R>,
}

impl<P: WasmParams, R: WasmResults> Clone for TypedFunc<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: WasmParams, R: WasmResults> Copy for TypedFunc<P, R> {}

impl<P: WasmParams, R: WasmResults> TypedFunc<P, R> {
    /// Calls the function.
    ///
    /// # Errors
    ///
    /// The guest traps, or a host function fails.
    #[inline]
    pub fn call(&self, mut store: impl AsContextMut, params: P) -> Result<R> {
        let mut store = store.as_context_mut();
        if !params.belong_to(store.inner()) {
            return Err(UsageError::WrongStore { what: "reference" }.into());
        }
        let inner = store.inner_mut();
        let params = params.into_abi(inner);
        match inner.call_typed(self.handle, params) {
            Ok(results) => Ok(R::from_abi(results, inner)),
            Err(error) => Err(call_error(&store, error)),
        }
    }

    /// Calls the function on a stack of its own, so that host functions in it can wait.
    ///
    /// ```
    /// use wattest::{Engine, Linker, Module, Store};
    /// # fn executor<R>(future: impl Future<Output = R>) -> R {
    /// #     let mut future = std::pin::pin!(future);
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop {
    /// #         if let std::task::Poll::Ready(result) = future.as_mut().poll(&mut context) {
    /// #             return result;
    /// #         }
    /// #     }
    /// # }
    /// # async fn later(x: i32) -> i32 { x + 1 }
    /// let engine = Engine::default();
    /// let text = r#"(module (import "" "later" (func $f (param i32) (result i32))) (export "later" (func $f)))"#;
    /// let mut linker = Linker::new(&engine);
    /// linker.func_wrap_async("", "later", |_, (x,): (i32,)| Box::pin(async move { later(x).await }))?;
    /// let mut store = Store::new(&engine, ());
    /// let instance = linker.instantiate(&mut store, &Module::new(&engine, text)?)?;
    /// let func = instance.get_typed_func::<i32, i32>(&mut store, "later")?;
    /// assert_eq!(executor(func.call_async(&mut store, 4))?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`TypedFunc::call`]; or there is no stack.
    pub fn call_async<'a, T: Send + 'static, S: Into<StoreContextMut<'a, T>>>(
        &self,
        store: S,
        params: P,
    ) -> impl Future<Output = Result<R>> + Send + use<'a, T, S, P, R> {
        let func = *self;
        suspend::on_own_stack(store, suspend::call_refused, move |store| func.call(store, params))
    }

    /// The function without its types.
    pub fn func(&self) -> Func {
        Func { handle: self.handle.func() }
    }
}

/// The embedder's error for a call that was not made or did not return.
#[cold]
fn call_error<T: 'static>(store: &StoreContextMut<'_, T>, error: CallError) -> Error {
    match error {
        CallError::WrongStore => UsageError::WrongStore { what: "function or reference" }.into(),
        CallError::Mismatch => UsageError::Invalid("the arguments do not fit the function's type".to_owned()).into(),
        CallError::Failed(CallFailure::Trap { code, refused, frames }) => {
            Error::Trap(Trap::with_backtrace(code, backtrace(&frames)).with_refused(refused))
        }
        CallError::Failed(CallFailure::Host { error, frames }) => host_error(error, &frames),
        CallError::Failed(CallFailure::Exception { exception, frames }) => Error::Exception(UncaughtException {
            exception: ExnRef::from_raw(exception, store.inner()),
            backtrace: backtrace(&frames),
        }),
    }
}

/// The error of a call into a component that was not made or did not return: an exception does not leave a component.
#[cold]
pub(crate) fn ended(error: CallError) -> Error {
    match error {
        CallError::WrongStore => UsageError::WrongStore { what: "function or reference" }.into(),
        CallError::Mismatch => UsageError::Invalid("the arguments do not fit the function's type".to_owned()).into(),
        CallError::Failed(CallFailure::Trap { code, refused, frames }) => {
            Error::Trap(Trap::with_backtrace(code, backtrace(&frames)).with_refused(refused))
        }
        CallError::Failed(CallFailure::Host { error, frames }) => host_error(error, &frames),
        CallError::Failed(CallFailure::Exception { frames, .. }) => {
            Error::Trap(Trap::with_backtrace(wattest_abi::TrapCode::UncaughtException, backtrace(&frames)))
        }
    }
}

/// The error that a host function returned, with the stack if it has none yet.
pub(crate) fn host_error(error: wattest_vm::HostError, frames: &[wattest_vm::Frame]) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => match *error {
            Error::Host(HostError { source, backtrace: old }) if old.frames().is_empty() => {
                Error::Host(HostError { source, backtrace: backtrace(frames) })
            }
            Error::Trap(trap) if trap.backtrace().frames().is_empty() => {
                let refused = trap.refused();
                Error::Trap(Trap::with_backtrace(trap.code(), backtrace(frames)).with_refused(refused))
            }
            other => other,
        },
        Err(other) => match other.downcast::<wattest_vm::WrongStore>() {
            Ok(_) => UsageError::WrongStore { what: "reference" }.into(),
            Err(_) => Error::msg("a host function failed"),
        },
    }
}

fn local_value(raw: Raw) -> Option<LocalValue> {
    Some(match raw {
        Raw::I32(value) => LocalValue::I32(value as i32),
        Raw::I64(value) => LocalValue::I64(value as i64),
        Raw::F32(bits) => LocalValue::F32(bits),
        Raw::F64(bits) => LocalValue::F64(bits),
        Raw::V128(_) | Raw::Func(_) | Raw::Ref(_) => return None,
    })
}

pub(crate) fn backtrace(all: &[wattest_vm::Frame]) -> Backtrace {
    let frames = all.iter().map(|frame| {
        let names = frame.code.owner().and_then(|owner| owner.downcast_ref::<crate::module::ModuleNames>());
        Frame {
            module_id: names.map_or(0, |names| names.id),
            func_index: names.map_or(frame.function.0, |names| names.func_index(frame.function)),
            func_name: names.and_then(|names| names.function(frame.function)),
            module_name: names.and_then(|names| names.module.clone()),
            wasm_offset: frame.wasm_offset,
        }
    });
    let locals = if all.iter().all(|frame| frame.locals.is_empty()) {
        Arc::default()
    } else {
        all.iter().map(|frame| frame.locals.iter().map(|local| local.and_then(local_value)).collect()).collect()
    };
    Backtrace { frames: frames.collect(), locals }
}
