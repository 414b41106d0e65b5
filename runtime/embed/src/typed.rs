//! Rust types as WebAssembly types: typed calls and typed host functions.
//!
//! A [`WasmTy`] is a Rust value that is one WebAssembly value; [`WasmParams`] and [`WasmResults`] are lists of them;
//! [`IntoFunc`] is a closure over them. All compile to plain register moves.
//!
//! Invariant: the WebAssembly type of a Rust type is fixed by its [`WasmTy::TYPE`]; a function is only ever typed by a
//! list that equals its own type.
//!
//! Does not know: dynamic calls; see [`Func::call`](crate::Func::call).

use crate::context::{Caller, StoreContextMut};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::exception::ExnRef;
use crate::func::Func;
use crate::reference::{AnyRef, ArrayRef, EqRef, ExternRef, StructRef};
use crate::store::StoreData;
use crate::suspend::{HostFuture, wait_for};
use crate::types::FuncType;
use wattest_module::{HeapType, RefType, ValType};
use wattest_vm::suspend::Caller as Waits;
use wattest_vm::{CallerInfo, FuncHandle, HostError, HostFunction, RawRef, StoreInner, V128, WasmValues};

/// A Rust type that is a WebAssembly value type.
pub trait WasmTy: Clone + Send + Sync + 'static {
    /// The WebAssembly type.
    const TYPE: ValType;
    /// The machine-level form.
    #[doc(hidden)]
    type Abi: wattest_vm::WasmValue;
    #[doc(hidden)]
    fn into_abi(self, store: &StoreInner) -> Self::Abi;
    #[doc(hidden)]
    fn from_abi(abi: Self::Abi, store: &StoreInner) -> Self;
    /// Whether a reference is the store's.
    #[doc(hidden)]
    #[inline(always)]
    fn belongs_to(&self, store: &StoreInner) -> bool {
        let _ = store;
        true
    }
}

macro_rules! plain {
    ($($ty:ty = $val:ident),*) => {
        $(
            impl WasmTy for $ty {
                const TYPE: ValType = ValType::$val;
                type Abi = $ty;
                #[inline(always)]
                fn into_abi(self, _store: &StoreInner) -> $ty {
                    self
                }
                #[inline(always)]
                fn from_abi(abi: $ty, _store: &StoreInner) -> $ty {
                    abi
                }
            }
        )*
    };
}
plain!(i32 = I32, u32 = I32, i64 = I64, u64 = I64, f32 = F32, f64 = F64, V128 = V128);

impl WasmTy for Option<Func> {
    const TYPE: ValType = ValType::Ref(RefType::FUNC);
    type Abi = Option<FuncHandle>;
    fn into_abi(self, _store: &StoreInner) -> Option<FuncHandle> {
        self.map(|func| func.handle)
    }
    fn from_abi(abi: Option<FuncHandle>, _store: &StoreInner) -> Option<Func> {
        abi.map(Func::from_handle)
    }
}

macro_rules! references {
    ($($name:ident, $heap:ident;)*) => {
        $(
            impl WasmTy for Option<$name> {
                const TYPE: ValType =
                    ValType::Ref(RefType { nullable: true, heap: HeapType::$heap, is_func: false });
                type Abi = RawRef;
                fn into_abi(self, store: &StoreInner) -> RawRef {
                    // A reference of another store, which `belongs_to` keeps away, would become null.
                    RawRef(self.and_then(|value| store.rooted(&value.root).ok()).unwrap_or(0))
                }
                fn from_abi(abi: RawRef, store: &StoreInner) -> Option<$name> {
                    (abi.0 != 0).then(|| $name::from_raw(abi.0, store))
                }
                fn belongs_to(&self, store: &StoreInner) -> bool {
                    self.as_ref().is_none_or(|value| store.owns_root(&value.root).is_ok())
                }
            }
        )*
    };
}
references! {
    ExternRef, Extern;
    AnyRef, Any;
    EqRef, Eq;
    StructRef, Struct;
    ArrayRef, Array;
    ExnRef, Exn;
}

/// A list of parameters: `()`, one value, or a tuple.
pub trait WasmParams: Send + 'static {
    /// The WebAssembly types.
    #[doc(hidden)]
    const TYPES: &'static [ValType];
    #[doc(hidden)]
    type Abi: WasmValues + 'static;
    #[doc(hidden)]
    fn into_abi(self, store: &StoreInner) -> Self::Abi;
    #[doc(hidden)]
    fn from_abi(abi: Self::Abi, store: &StoreInner) -> Self;
    #[doc(hidden)]
    fn belong_to(&self, store: &StoreInner) -> bool;
}

/// A list of results: `()`, one value, or a tuple.
pub trait WasmResults: WasmParams {}

impl<T: WasmTy> WasmParams for T {
    const TYPES: &'static [ValType] = &[T::TYPE];
    type Abi = (T::Abi,);
    #[inline(always)]
    fn into_abi(self, store: &StoreInner) -> (T::Abi,) {
        (WasmTy::into_abi(self, store),)
    }
    #[inline(always)]
    fn from_abi(abi: (T::Abi,), store: &StoreInner) -> T {
        WasmTy::from_abi(abi.0, store)
    }
    #[inline(always)]
    fn belong_to(&self, store: &StoreInner) -> bool {
        self.belongs_to(store)
    }
}

impl<T: WasmTy> WasmResults for T {}

/// What a host function returns: results, or a `Result` of them.
pub trait HostResult {
    /// The results.
    type Results: WasmResults;
    /// As a `Result`.
    #[doc(hidden)]
    fn into_result(self) -> Result<Self::Results>;
}

impl<R: WasmResults> HostResult for R {
    type Results = R;
    #[inline(always)]
    fn into_result(self) -> Result<R> {
        Ok(self)
    }
}

impl<R: WasmResults, E: Into<Error>> HostResult for Result<R, E> {
    type Results = R;
    #[inline(always)]
    fn into_result(self) -> Result<R> {
        self.map_err(Into::into)
    }
}

/// A closure that can be a host function. `Params` only tells the forms apart.
pub trait IntoFunc<T: 'static, Params>: Send + Sync + 'static {
    /// The function's type.
    #[doc(hidden)]
    fn func_type() -> FuncType;
    /// The host function.
    #[doc(hidden)]
    fn into_host(self, engine: &Engine) -> HostFunction<StoreData<T>>;
}

fn host<T, P, R, F>(engine: &Engine, closure: F) -> HostFunction<StoreData<T>>
where
    T: 'static,
    P: WasmParams,
    R: HostResult,
    F: Fn(Caller<'_, T>, P) -> R + Send + Sync + 'static,
{
    let signature = engine.types().register_func(&func_type::<P, R>().ty);
    let body = move |store: &mut wattest_vm::Store<StoreData<T>>, caller: CallerInfo, params: P::Abi| {
        let params = P::from_abi(params, store.inner());
        let view = Caller { store: StoreContextMut(store), instance: caller.instance };
        let results = closure(view, params).into_result();
        let results = results.map_err(|error| crate::exception::to_vm(error, store.inner()))?;
        if !results.belong_to(store.inner()) {
            let error: Error = crate::error::UsageError::WrongStore { what: "reference" }.into();
            return Err(Box::new(error) as HostError);
        }
        Ok(results.into_abi(store.inner()))
    };
    HostFunction::typed(signature, body).expect("the signature was made from the same types")
}

/// The host function of a closure that waits.
pub(crate) fn waiting_host<T, P, R>(
    engine: &Engine,
    closure: impl for<'a> Fn(Caller<'a, T>, P) -> HostFuture<'a, R> + Send + Sync + 'static,
) -> HostFunction<StoreData<T>>
where
    T: 'static,
    P: WasmParams,
    R: HostResult,
{
    let closure =
        move |caller: Caller<'_, T>, params: P| wait_for(Waits::Guest, closure(caller, params))?.into_result();
    host::<T, P, Result<R::Results>, _>(engine, closure)
}

fn func_type<P: WasmParams, R: HostResult>() -> FuncType {
    FuncType::new(P::TYPES.iter().copied(), R::Results::TYPES.iter().copied())
}

/// Marks closures whose first parameter is a [`Caller`].
#[derive(Debug)]
pub struct WithCaller;

macro_rules! lists {
    ($($name:ident $position:tt),*) => {
        #[allow(clippy::unused_unit, reason = "the empty list's value is the unit")]
        impl<$($name: WasmTy),*> WasmParams for ($($name,)*) {
            const TYPES: &'static [ValType] = &[$($name::TYPE),*];
            type Abi = ($($name::Abi,)*);
            #[inline(always)]
            fn into_abi(self, _store: &StoreInner) -> Self::Abi {
                ($(WasmTy::into_abi(self.$position, _store),)*)
            }
            #[inline(always)]
            fn from_abi(_abi: Self::Abi, _store: &StoreInner) -> Self {
                ($(<$name as WasmTy>::from_abi(_abi.$position, _store),)*)
            }
            #[inline(always)]
            fn belong_to(&self, _store: &StoreInner) -> bool {
                true $(&& self.$position.belongs_to(_store))*
            }
        }

        impl<$($name: WasmTy),*> WasmResults for ($($name,)*) {}

        impl<T: 'static, Closure, Return, $($name: WasmTy),*> IntoFunc<T, ($($name,)* Return,)> for Closure
        where
            Closure: Fn($($name),*) -> Return + Send + Sync + 'static,
            Return: HostResult,
        {
            fn func_type() -> FuncType {
                func_type::<($($name,)*), Return>()
            }

            #[allow(non_snake_case, reason = "the macro's type parameters double as variables")]
            fn into_host(self, engine: &Engine) -> HostFunction<StoreData<T>> {
                host(engine, move |_caller: Caller<'_, T>, ($($name,)*): ($($name,)*)| self($($name),*))
            }
        }

        impl<T: 'static, Closure, Return, $($name: WasmTy),*> IntoFunc<T, (WithCaller, $($name,)* Return)> for Closure
        where
            Closure: Fn(Caller<'_, T>, $($name),*) -> Return + Send + Sync + 'static,
            Return: HostResult,
        {
            fn func_type() -> FuncType {
                func_type::<($($name,)*), Return>()
            }

            #[allow(non_snake_case, reason = "the macro's type parameters double as variables")]
            fn into_host(self, engine: &Engine) -> HostFunction<StoreData<T>> {
                host(engine, move |caller: Caller<'_, T>, ($($name,)*): ($($name,)*)| self(caller, $($name),*))
            }
        }
    };
}
lists!();
lists!(A 0);
lists!(A 0, B 1);
lists!(A 0, B 1, C 2);
lists!(A 0, B 1, C 2, D 3);
lists!(A 0, B 1, C 2, D 3, E 4);
lists!(A 0, B 1, C 2, D 3, E 4, F 5);
lists!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
lists!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
lists!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
lists!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
lists!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
lists!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
lists!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12);
lists!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13);
lists!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14);
lists!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15);
