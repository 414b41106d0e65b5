//! Comparing types of two components.
//!
//! Types of different components live in different arenas; they are equal when they are
//! [structurally](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#type-checking) so. Resource
//! types are compared when handles pass, not here.
//!
//! Invariant: iterative, with each pair compared once.
//!
//! Does not know: stores.

use std::collections::BTreeSet;
use wattest_canon::{Type, TypeId, Types};
use wattest_component::{FuncTypeIndex, Statics};

/// Whether two function types are equal, apart from resource types.
pub(crate) fn same_func(a: &Statics, at: FuncTypeIndex, b: &Statics, bt: FuncTypeIndex) -> bool {
    let (Some(left), Some(right)) = (a.func_types.get(at.index()), b.func_types.get(bt.index())) else { return false };
    let params = left.params.iter().zip(&right.params);
    let named = params.clone().all(|((x, _), (y, _))| a.types.text(*x) == b.types.text(*y));
    let mut pairs = params.map(|((_, x), (_, y))| (*x, *y)).collect::<Vec<_>>();
    pairs.extend(left.result.zip(right.result));
    named
        && left.params.len() == right.params.len()
        && left.result.is_some() == right.result.is_some()
        && left.is_async == right.is_async
        && same(&a.types, &b.types, pairs)
}

fn same(a: &Types, b: &Types, mut pairs: Vec<(TypeId, TypeId)>) -> bool {
    let mut seen = BTreeSet::new();
    while let Some(pair) = pairs.pop() {
        if seen.insert(pair) && !same_shallow(a, b, pair, &mut pairs) {
            return false;
        }
    }
    true
}

/// Compares one level; members are pushed to be compared.
fn same_shallow(a: &Types, b: &Types, (x, y): (TypeId, TypeId), pairs: &mut Vec<(TypeId, TypeId)>) -> bool {
    let mut optional = |x: Option<TypeId>, y: Option<TypeId>| {
        pairs.extend(x.zip(y));
        x.is_some() == y.is_some()
    };
    match (a.get(x), b.get(y)) {
        (Type::Scalar(x), Type::Scalar(y)) => x == y,
        (Type::String, Type::String) | (Type::ErrorContext, Type::ErrorContext) => true,
        (Type::Own(_), Type::Own(_)) | (Type::Borrow(_), Type::Borrow(_)) => true,
        (Type::List(x), Type::List(y)) | (Type::Option(x), Type::Option(y)) => optional(Some(*x), Some(*y)),
        (Type::FixedList { element: x, count: m }, Type::FixedList { element: y, count: n }) => {
            m == n && optional(Some(*x), Some(*y))
        }
        (Type::Map { key: k, value: v }, Type::Map { key: l, value: w }) => {
            optional(Some(*k), Some(*l)) && optional(Some(*v), Some(*w))
        }
        (Type::Record(xs), Type::Record(ys)) => {
            xs.len() == ys.len()
                && xs.iter().zip(ys).all(|(x, y)| a.text(x.name) == b.text(y.name) && optional(Some(x.ty), Some(y.ty)))
        }
        (Type::Tuple(xs), Type::Tuple(ys)) => {
            xs.len() == ys.len() && xs.iter().zip(ys).all(|(x, y)| optional(Some(*x), Some(*y)))
        }
        (Type::Variant(xs), Type::Variant(ys)) => {
            xs.len() == ys.len()
                && xs.iter().zip(ys).all(|(x, y)| a.text(x.name) == b.text(y.name) && optional(x.ty, y.ty))
        }
        (Type::Enum(xs), Type::Enum(ys)) | (Type::Flags(xs), Type::Flags(ys)) => {
            xs.iter().map(|name| a.text(*name)).eq(ys.iter().map(|name| b.text(*name)))
        }
        (Type::Result { ok: x, err: e }, Type::Result { ok: y, err: f }) => optional(*x, *y) && optional(*e, *f),
        (Type::Stream(x), Type::Stream(y)) | (Type::Future(x), Type::Future(y)) => optional(*x, *y),
        _ => false,
    }
}
