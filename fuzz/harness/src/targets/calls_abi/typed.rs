//! Functions whose types are known when the harness is compiled: a table of lists of parameters and of results.
//!
//! Typed calls and typed host functions go other ways than dynamic ones: each pair of lists of the table is compiled, and
//! is used for functions of just that type.
//!
//! Invariant: a function is typed by the lists that equal its own.
//!
//! Does not know: chains.

use super::chain::Type;
use wattest::{
    AnyRef, Caller, Error, Extern, ExternRef, Func, HeapType, Store, V128, Val, WasmParams, WasmResults, WasmTy,
};

/// One value.
trait Scalar: WasmTy {
    const TYPE: Type;
    fn of(value: &Val) -> Option<Self>;
    fn val(self) -> Val;
}

macro_rules! scalars {
    ($($ty:ty, $name:ident, $pattern:pat => $read:expr, $value:ident => $write:expr;)*) => {
        $(
            impl Scalar for $ty {
                const TYPE: Type = Type::$name;
                fn of(value: &Val) -> Option<$ty> {
                    if let $pattern = value { Some($read) } else { None }
                }
                fn val(self) -> Val {
                    let $value = self;
                    $write
                }
            }
        )*
    };
}
scalars! {
    i32, I32, Val::I32(value) => *value, value => Val::I32(value);
    i64, I64, Val::I64(value) => *value, value => Val::I64(value);
    f32, F32, Val::F32(bits) => f32::from_bits(*bits), value => Val::F32(value.to_bits());
    f64, F64, Val::F64(bits) => f64::from_bits(*bits), value => Val::F64(value.to_bits());
    V128, V128, Val::V128(bits) => V128(*bits), value => Val::V128(value.0);
    Option<Func>, Func, Val::FuncRef(func) => *func, value => Val::FuncRef(value);
    Option<ExternRef>, Extern, Val::ExternRef(object) => object.clone(), value => Val::ExternRef(value);
}

impl Scalar for Option<AnyRef> {
    const TYPE: Type = Type::Any;

    fn of(value: &Val) -> Option<Option<AnyRef>> {
        match value {
            Val::AnyRef(value) => Some(Some(value.clone())),
            Val::Null(_) => Some(None),
            _ => None,
        }
    }

    fn val(self) -> Val {
        self.map_or(Val::Null(HeapType::Any), Val::AnyRef)
    }
}

/// A list of values.
trait List: WasmResults {
    fn types() -> Vec<Type>;
    fn of(values: &[Val]) -> Option<Self>
    where
        Self: Sized;
    fn vals(self) -> Vec<Val>;
    /// The host function of these parameters that calls the instance's function of that number.
    fn host<R: List>(store: &mut Store<()>, number: usize) -> Func;
}

/// What is done with a pair of lists.
trait Work {
    type Output;
    fn with<P: List, R: List>(self) -> Self::Output;
}

macro_rules! lists {
    ($($position:ident: $($name:ident $ty:ty),*;)*) => {
        $(
            impl List for ($($ty,)*) {
                fn types() -> Vec<Type> {
                    vec![$(<$ty as Scalar>::TYPE),*]
                }
                fn of(values: &[Val]) -> Option<Self> {
                    let mut values = values.iter();
                    let list = ($(<$ty as Scalar>::of(values.next()?)?,)*);
                    values.next().is_none().then_some(list)
                }
                fn vals(self) -> Vec<Val> {
                    let ($($name,)*) = self;
                    vec![$($name.val()),*]
                }
                fn host<R: List>(store: &mut Store<()>, number: usize) -> Func {
                    Func::wrap(store, move |mut caller: Caller<'_, ()>, $($name: $ty),*| {
                        back::<($($ty,)*), R>(&mut caller, number, ($($name,)*))
                    })
                }
            }
        )*

        /// Every list of the table.
        pub(super) fn lists() -> Vec<Vec<Type>> {
            vec![$(<($($ty,)*) as List>::types()),*]
        }

        fn with_params<W: Work>(params: &[Type], results: &[Type], work: W) -> Option<W::Output> {
            $(
                if params == <($($ty,)*) as List>::types() {
                    return with_results::<($($ty,)*), W>(results, work);
                }
            )*
            None
        }

        fn with_results<P: List, W: Work>(results: &[Type], work: W) -> Option<W::Output> {
            $(
                if results == <($($ty,)*) as List>::types() {
                    return Some(work.with::<P, ($($ty,)*)>());
                }
            )*
            None
        }
    };
}
lists! {
    nothing: ;
    one: a i32;
    two: a i64, b i32;
    numbers: a f32, b f64, c i32, d i64;
    // More than there are registers for.
    many: a i32, b i64, c i32, d i32, e i64, f i32, g i32, h i64, i i32, j f64, k i32, l f32;
    vectors: a V128, b i32, c V128;
    references: a Option<Func>, b i64, c Option<ExternRef>, d Option<AnyRef>;
}

fn back<P: WasmParams, R: List>(caller: &mut Caller<'_, ()>, number: usize, params: P) -> Result<R, Error> {
    let next = caller.get_export(&format!("f{number}")).and_then(Extern::into_func);
    let next = next.ok_or_else(|| Error::msg("the next layer is not exported"))?;
    next.typed::<P, R>(&*caller)?.call(&mut *caller, params)
}

struct Host<'a> {
    store: &'a mut Store<()>,
    number: usize,
}

impl Work for Host<'_> {
    type Output = Func;

    fn with<P: List, R: List>(self) -> Func {
        P::host::<R>(self.store, self.number)
    }
}

/// The host function that calls the instance's function of that number; `None` where its type is not in the table.
pub(super) fn host(store: &mut Store<()>, number: usize, params: &[Type], results: &[Type]) -> Option<Func> {
    with_params(params, results, Host { store, number })
}

struct Call<'a> {
    store: &'a mut Store<()>,
    func: Func,
    args: &'a [Val],
}

impl Work for Call<'_> {
    type Output = Result<Vec<Val>, Error>;

    fn with<P: List, R: List>(self) -> Result<Vec<Val>, Error> {
        let typed = self.func.typed::<P, R>(&*self.store)?;
        let args = P::of(self.args).ok_or_else(|| Error::msg("arguments of another type"))?;
        typed.call(self.store, args).map(R::vals)
    }
}

/// Calls a function as one of its type; `None` where that is not in the table.
pub(super) fn call(
    store: &mut Store<()>,
    func: Func,
    (params, results): (&[Type], &[Type]),
    args: &[Val],
) -> Option<Result<Vec<Val>, Error>> {
    with_params(params, results, Call { store, func, args })
}
