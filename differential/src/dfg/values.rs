//! Values of the canonical ABI as the reference's, and back.
//!
//! Both go by position
//! ([values](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#lifting-and-lowering-values)).
//!
//! Invariant: what goes over and back is what it was.
//!
//! Does not know: whose a handle is; to the host it is a number.

use wattest_canon::{Shape, Token, TypeId, Types, Value};
use wattest_reference::component::Val;

/// A value of the reference; nothing when it is not one of the type.
pub fn from_canon(types: &Types, ty: TypeId, value: &Value) -> Option<Val> {
    Some(match (types.shape(ty), value) {
        (_, Value::Bool(value)) => Val::Bool(*value),
        (_, Value::S8(value)) => Val::S8(*value),
        (_, Value::U8(value)) => Val::U8(*value),
        (_, Value::S16(value)) => Val::S16(*value),
        (_, Value::U16(value)) => Val::U16(*value),
        (_, Value::S32(value)) => Val::S32(*value),
        (_, Value::U32(value)) => Val::U32(*value),
        (_, Value::S64(value)) => Val::S64(*value),
        (_, Value::U64(value)) => Val::U64(*value),
        (_, Value::F32(bits)) => Val::F32(*bits),
        (_, Value::F64(bits)) => Val::F64(*bits),
        (_, Value::Char(value)) => Val::Char(*value),
        // A handle is its representation.
        (Shape::Handle(_), Value::Handle(token)) => Val::U32(token.0 as u32),
        (_, Value::String(text)) => Val::String((&**text).into()),
        (_, Value::Flags(bits)) => Val::Flags(*bits),
        (Shape::List(element) | Shape::Array { element, .. }, Value::List(values)) => {
            Val::List(values.iter().map(|value| from_canon(types, *element, value)).collect::<Option<_>>()?)
        }
        (Shape::Fields(members), Value::Record(values)) => {
            let values = members.iter().zip(values).map(|(ty, value)| from_canon(types, *ty, value));
            Val::Record(values.collect::<Option<_>>()?)
        }
        (Shape::Cases(payloads), Value::Variant { case, payload }) => {
            let ty = payloads.get(*case as usize).copied().flatten();
            let payload = match (ty, payload) {
                (Some(ty), Some(value)) => Some(Box::new(from_canon(types, ty, value)?)),
                (None, None) => None,
                _ => return None,
            };
            Val::Variant(*case, payload)
        }
        (Shape::Enum(_), Value::Variant { case, payload: None }) => Val::Variant(*case, None),
        _ => return None,
    })
}

/// A value of the canonical ABI; nothing when it is not one of the type.
pub fn to_canon(types: &Types, ty: TypeId, val: &Val) -> Option<Value> {
    Some(match (types.shape(ty), val) {
        (Shape::Scalar(_), Val::Bool(value)) => Value::Bool(*value),
        (Shape::Scalar(_), Val::S8(value)) => Value::S8(*value),
        (Shape::Scalar(_), Val::U8(value)) => Value::U8(*value),
        (Shape::Scalar(_), Val::S16(value)) => Value::S16(*value),
        (Shape::Scalar(_), Val::U16(value)) => Value::U16(*value),
        (Shape::Scalar(_), Val::S32(value)) => Value::S32(*value),
        (Shape::Scalar(_), Val::U32(value)) => Value::U32(*value),
        (Shape::Scalar(_), Val::S64(value)) => Value::S64(*value),
        (Shape::Scalar(_), Val::U64(value)) => Value::U64(*value),
        (Shape::Scalar(_), Val::F32(bits)) => Value::F32(*bits),
        (Shape::Scalar(_), Val::F64(bits)) => Value::F64(*bits),
        (Shape::Scalar(_), Val::Char(value)) => Value::Char(*value),
        (Shape::Handle(_), Val::U32(rep)) => Value::Handle(Token(u64::from(*rep))),
        (Shape::String, Val::String(text)) => Value::String(text.text.as_str().into()),
        (Shape::Flags(_), Val::Flags(bits)) => Value::Flags(*bits),
        (Shape::List(element) | Shape::Array { element, .. }, Val::List(vals)) => {
            Value::List(vals.iter().map(|val| to_canon(types, *element, val)).collect::<Option<_>>()?)
        }
        (Shape::Fields(members), Val::Record(vals)) if members.len() == vals.len() => {
            let vals = members.iter().zip(vals).map(|(ty, val)| to_canon(types, *ty, val));
            Value::Record(vals.collect::<Option<_>>()?)
        }
        (Shape::Cases(payloads), Val::Variant(case, payload)) => {
            match (payloads.get(*case as usize).copied()?, payload) {
                (Some(ty), Some(val)) => Value::case_of(*case, to_canon(types, ty, val)?),
                (None, None) => Value::case(*case),
                _ => return None,
            }
        }
        (Shape::Enum(_), Val::Variant(case, None)) => Value::case(*case),
        _ => return None,
    })
}
