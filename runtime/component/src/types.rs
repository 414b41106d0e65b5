//! Interface types out of their definitions.
//!
//! A definition names other types by index; a [`TypeScope`] knows what they are, so that
//! [types](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#type-definitions) become entries of
//! one arena in which resource types of different instances are different types.
//!
//! Invariant: a definition's members are resolved before it is interned; nothing here recurses.
//!
//! Does not know: where a scope's types come from.

use crate::decode::ast::{Symbol, ValRef, ValueDef};
use crate::error::ComponentError;
use wattest_canon::{Case, Field, Name, ResourceId, Type, TypeId};

/// What the indices in a definition stand for.
pub(crate) trait TypeScope {
    /// The value type.
    fn value(&mut self, ty: ValRef) -> Result<TypeId, ComponentError>;

    /// The name in the arena.
    fn name(&mut self, symbol: Symbol) -> Result<Name, ComponentError>;

    /// The resource type behind a type index.
    fn resource(&mut self, index: u32) -> Result<ResourceId, ComponentError>;
}

impl ValueDef {
    /// Fields, cases, labels and elements, at least 1: what resolving the definition costs.
    pub fn members(&self) -> u64 {
        1 + match self {
            ValueDef::Record(fields) => fields.len(),
            ValueDef::Variant(cases) => cases.len(),
            ValueDef::Tuple(types) => types.len(),
            ValueDef::Flags(names) | ValueDef::Enum(names) => names.len(),
            _ => 1,
        } as u64
    }
}

/// The type that a definition stands for in a scope.
///
/// # Errors
/// Whatever the scope returns.
pub(crate) fn interface(def: &ValueDef, scope: &mut impl TypeScope) -> Result<Type, ComponentError> {
    Ok(match def {
        // An alias of a known type: interning it finds the type itself.
        ValueDef::Known(ty) => known(*ty),
        ValueDef::Record(fields) => {
            let fields = fields.iter().map(|(name, ty)| Ok(Field { name: scope.name(*name)?, ty: scope.value(*ty)? }));
            Type::Record(fields.collect::<Result<_, ComponentError>>()?)
        }
        ValueDef::Variant(cases) => {
            let cases = cases.iter().map(|(name, ty)| {
                let name = scope.name(*name)?;
                Ok(Case { name, ty: ty.map(|ty| scope.value(ty)).transpose()? })
            });
            Type::Variant(cases.collect::<Result<_, ComponentError>>()?)
        }
        ValueDef::List(element) => Type::List(scope.value(*element)?),
        ValueDef::FixedList(element, count) => Type::FixedList { element: scope.value(*element)?, count: *count },
        ValueDef::Map(key, value) => Type::Map { key: scope.value(*key)?, value: scope.value(*value)? },
        ValueDef::Tuple(types) => {
            Type::Tuple(types.iter().map(|ty| scope.value(*ty)).collect::<Result<_, ComponentError>>()?)
        }
        ValueDef::Flags(names) => Type::Flags(labels(names, scope)?),
        ValueDef::Enum(names) => Type::Enum(labels(names, scope)?),
        ValueDef::Option(ty) => Type::Option(scope.value(*ty)?),
        ValueDef::Result(ok, err) => Type::Result {
            ok: ok.map(|ty| scope.value(ty)).transpose()?,
            err: err.map(|ty| scope.value(ty)).transpose()?,
        },
        ValueDef::Own(resource) => Type::Own(scope.resource(*resource)?),
        ValueDef::Borrow(resource) => Type::Borrow(scope.resource(*resource)?),
        ValueDef::Stream(ty) => Type::Stream(ty.map(|ty| scope.value(ty)).transpose()?),
        ValueDef::Future(ty) => Type::Future(ty.map(|ty| scope.value(ty)).transpose()?),
    })
}

fn labels(names: &[Symbol], scope: &mut impl TypeScope) -> Result<Box<[Name]>, ComponentError> {
    names.iter().map(|name| scope.name(*name)).collect()
}

fn known(ty: TypeId) -> Type {
    if ty == TypeId::STRING {
        return Type::String;
    }
    let scalar = wattest_canon::Scalar::ALL.into_iter().find(|scalar| TypeId::scalar(*scalar) == ty);
    scalar.map_or(Type::ErrorContext, Type::Scalar)
}
