//! Values of components whose types are known at run time
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#type-definitions)).
//!
//! Invariant: a value that is handed to a guest has been compared with its type before the guest is entered; nothing is
//! deeper than a type, which [`wattest_canon::Limits::depth_max`] bounds.
//!
//! Does not know: memories.

use super::resource::ResourceAny;
use super::types::type_text;
use crate::error::{Error, Result, UsageError};
use wattest_canon::{Scalar, Token, Type, TypeId, Types, Value};
use wattest_vm::component::{ComponentState, TableId};

/// A value of an interface type.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Val {
    /// `bool`.
    Bool(bool),
    /// `s8`.
    S8(i8),
    /// `u8`.
    U8(u8),
    /// `s16`.
    S16(i16),
    /// `u16`.
    U16(u16),
    /// `s32`.
    S32(i32),
    /// `u32`.
    U32(u32),
    /// `s64`.
    S64(i64),
    /// `u64`.
    U64(u64),
    /// `f32`.
    Float32(f32),
    /// `f64`.
    Float64(f64),
    /// `char`.
    Char(char),
    /// `string`.
    String(String),
    /// `list`, of any or of a fixed length.
    List(Vec<Val>),
    /// `map`.
    Map(Vec<(Val, Val)>),
    /// `record`, its fields in the type's order.
    Record(Vec<(String, Val)>),
    /// `tuple`.
    Tuple(Vec<Val>),
    /// `variant`.
    Variant(String, Option<Box<Val>>),
    /// `enum`.
    Enum(String),
    /// `option`.
    Option(Option<Box<Val>>),
    /// `result`.
    Result(Result<Option<Box<Val>>, Option<Box<Val>>>),
    /// `flags`, those that are set.
    Flags(Vec<String>),
    /// `own` or `borrow`.
    Resource(ResourceAny),
}

fn mismatch(types: &Types, ty: TypeId, val: &Val) -> Error {
    let given = format!("{val:?}");
    let given = if given.len() > 256 { "a value of another type".to_owned() } else { given };
    UsageError::TypeMismatch { wanted: type_text(types, ty), given }.into()
}

/// What conversion of handles looks at.
pub(crate) struct Handles<'a> {
    pub store: wattest_vm::StoreId,
    pub state: &'a ComponentState,
}

/// The neutral form of a value of a type.
///
/// # Errors
///
/// The value is of another type, or a resource of another store or one that was given away.
pub(crate) fn to_value(types: &Types, ty: TypeId, val: &Val, handles: &Handles<'_>) -> Result<Value> {
    let each = |element: TypeId, vals: &[Val]| {
        vals.iter().map(|val| to_value(types, element, val, handles)).collect::<Result<Vec<_>>>()
    };
    let payload = |ty: Option<TypeId>, given: &Option<Box<Val>>| match (ty, given) {
        (Some(ty), Some(given)) => to_value(types, ty, given, handles).map(|value| Some(Box::new(value))),
        (None, None) => Ok(None),
        _ => Err(mismatch(types, ty.unwrap_or(TypeId::STRING), val)),
    };
    let position = |mut names: &mut dyn Iterator<Item = wattest_canon::Name>, wanted: &str| {
        (&mut names).position(|name| types.text(name) == wanted).ok_or_else(|| mismatch(types, ty, val))
    };
    Ok(match (types.get(ty), val) {
        (Type::Scalar(scalar), val) => to_scalar(*scalar, val).ok_or_else(|| mismatch(types, ty, val))?,
        (Type::String, Val::String(text)) => Value::String(text.as_str().into()),
        (Type::List(element), Val::List(vals)) => Value::List(each(*element, vals)?),
        (Type::FixedList { element, count }, Val::List(vals)) if vals.len() == *count as usize => {
            Value::List(each(*element, vals)?)
        }
        (Type::Map { key, value }, Val::Map(pairs)) => {
            let pairs = pairs.iter().map(|(k, v)| {
                let pair = vec![to_value(types, *key, k, handles)?, to_value(types, *value, v, handles)?];
                Ok(Value::Record(pair))
            });
            Value::List(pairs.collect::<Result<_>>()?)
        }
        (Type::Record(fields), Val::Record(vals)) => {
            let named = |(field, (name, _)): (&wattest_canon::Field, &(String, Val))| types.text(field.name) == name;
            if fields.len() != vals.len() || !fields.iter().zip(vals).all(named) {
                return Err(mismatch(types, ty, val));
            }
            let vals = fields.iter().zip(vals).map(|(field, (_, val))| to_value(types, field.ty, val, handles));
            Value::Record(vals.collect::<Result<_>>()?)
        }
        (Type::Tuple(members), Val::Tuple(vals)) if members.len() == vals.len() => {
            let vals = members.iter().zip(vals).map(|(ty, val)| to_value(types, *ty, val, handles));
            Value::Record(vals.collect::<Result<_>>()?)
        }
        (Type::Variant(cases), Val::Variant(name, given)) => {
            let case = position(&mut cases.iter().map(|case| case.name), name)?;
            Value::Variant { case: number(case), payload: payload(cases[case].ty, given)? }
        }
        (Type::Enum(names), Val::Enum(name)) => Value::case(number(position(&mut names.iter().copied(), name)?)),
        (Type::Option(_), Val::Option(None)) => Value::case(0),
        (Type::Option(some), Val::Option(given)) => Value::Variant { case: 1, payload: payload(Some(*some), given)? },
        (Type::Result { ok, .. }, Val::Result(Ok(given))) => Value::Variant { case: 0, payload: payload(*ok, given)? },
        (Type::Result { err, .. }, Val::Result(Err(given))) => {
            Value::Variant { case: 1, payload: payload(*err, given)? }
        }
        (Type::Flags(names), Val::Flags(set)) => {
            let bits = set.iter().map(|name| Ok(1 << position(&mut names.iter().copied(), name)?));
            Value::Flags(bits.collect::<Result<Vec<u32>>>()?.into_iter().fold(0, |all, bit| all | bit))
        }
        (Type::Own(_) | Type::Borrow(_), Val::Resource(resource)) => {
            Value::Handle(Token(u64::from(resource.index_in(handles)?)))
        }
        _ => return Err(mismatch(types, ty, val)),
    })
}

fn number(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn to_scalar(scalar: Scalar, val: &Val) -> Option<Value> {
    Some(match (scalar, val) {
        (Scalar::Bool, Val::Bool(v)) => Value::Bool(*v),
        (Scalar::S8, Val::S8(v)) => Value::S8(*v),
        (Scalar::U8, Val::U8(v)) => Value::U8(*v),
        (Scalar::S16, Val::S16(v)) => Value::S16(*v),
        (Scalar::U16, Val::U16(v)) => Value::U16(*v),
        (Scalar::S32, Val::S32(v)) => Value::S32(*v),
        (Scalar::U32, Val::U32(v)) => Value::U32(*v),
        (Scalar::S64, Val::S64(v)) => Value::S64(*v),
        (Scalar::U64, Val::U64(v)) => Value::U64(*v),
        (Scalar::F32, Val::Float32(v)) => Value::F32(v.to_bits()),
        (Scalar::F64, Val::Float64(v)) => Value::F64(v.to_bits()),
        (Scalar::Char, Val::Char(v)) => Value::Char(*v),
        _ => return None,
    })
}

/// The value that a neutral one of a type is. A value of another type, which lifting does not make, is an error.
///
/// # Errors
///
/// [`UsageError::Invalid`].
pub(crate) fn from_value(types: &Types, ty: TypeId, value: Value, handles: &Handles<'_>) -> Result<Val> {
    let each = |element: TypeId, values: Vec<Value>| {
        values.into_iter().map(|value| from_value(types, element, value, handles)).collect::<Result<Vec<_>>>()
    };
    let payload = |ty: Option<TypeId>, value: Option<Box<Value>>| match (ty, value) {
        (Some(ty), Some(value)) => from_value(types, ty, *value, handles).map(|val| Some(Box::new(val))),
        _ => Ok(None),
    };
    let text = |name: wattest_canon::Name| types.text(name).to_owned();
    Ok(match (types.get(ty), value) {
        (Type::Scalar(_), value) => return from_scalar(value).ok_or_else(|| unexpected(types, ty)),
        (Type::String, Value::String(text)) => Val::String(text.into_string()),
        (Type::List(element) | Type::FixedList { element, .. }, Value::List(values)) => {
            Val::List(each(*element, values)?)
        }
        (Type::Map { key, value: mapped }, Value::List(values)) => {
            let pairs = values.into_iter().map(|pair| match pair {
                Value::Record(pair) => {
                    let [k, v]: [Value; 2] = pair.try_into().map_err(|_| unexpected(types, ty))?;
                    Ok((from_value(types, *key, k, handles)?, from_value(types, *mapped, v, handles)?))
                }
                _ => Err(unexpected(types, ty)),
            });
            Val::Map(pairs.collect::<Result<_>>()?)
        }
        (Type::Record(fields), Value::Record(values)) => {
            let values = fields.iter().zip(values);
            let values =
                values.map(|(field, value)| Ok((text(field.name), from_value(types, field.ty, value, handles)?)));
            Val::Record(values.collect::<Result<_>>()?)
        }
        (Type::Tuple(members), Value::Record(values)) => {
            let values = members.iter().zip(values).map(|(ty, value)| from_value(types, *ty, value, handles));
            Val::Tuple(values.collect::<Result<_>>()?)
        }
        (Type::Variant(cases), Value::Variant { case, payload: given }) => {
            let case = cases.get(case as usize).ok_or_else(|| unexpected(types, ty))?;
            Val::Variant(text(case.name), payload(case.ty, given)?)
        }
        (Type::Enum(names), Value::Variant { case, .. }) => {
            Val::Enum(text(*names.get(case as usize).ok_or_else(|| unexpected(types, ty))?))
        }
        (Type::Option(_), Value::Variant { case: 0, .. }) => Val::Option(None),
        (Type::Option(some), Value::Variant { payload: given, .. }) => Val::Option(payload(Some(*some), given)?),
        (Type::Result { ok, .. }, Value::Variant { case: 0, payload: given }) => Val::Result(Ok(payload(*ok, given)?)),
        (Type::Result { err, .. }, Value::Variant { payload: given, .. }) => Val::Result(Err(payload(*err, given)?)),
        (Type::Flags(names), Value::Flags(bits)) => {
            let set = names.iter().zip(0..).filter(|(_, at)| bits >> at & 1 == 1);
            Val::Flags(set.map(|(name, _)| text(*name)).collect())
        }
        (Type::Own(_) | Type::Borrow(_), Value::Handle(token)) => {
            let index = u32::try_from(token.0).map_err(|_| unexpected(types, ty))?;
            Val::Resource(ResourceAny::at(handles, index).ok_or_else(|| unexpected(types, ty))?)
        }
        _ => return Err(unexpected(types, ty)),
    })
}

fn unexpected(types: &Types, ty: TypeId) -> Error {
    UsageError::Invalid(format!("a value is not of its type {}", type_text(types, ty))).into()
}

fn from_scalar(value: Value) -> Option<Val> {
    Some(match value {
        Value::Bool(v) => Val::Bool(v),
        Value::S8(v) => Val::S8(v),
        Value::U8(v) => Val::U8(v),
        Value::S16(v) => Val::S16(v),
        Value::U16(v) => Val::U16(v),
        Value::S32(v) => Val::S32(v),
        Value::U32(v) => Val::U32(v),
        Value::S64(v) => Val::S64(v),
        Value::U64(v) => Val::U64(v),
        Value::F32(bits) => Val::Float32(f32::from_bits(bits)),
        Value::F64(bits) => Val::Float64(f64::from_bits(bits)),
        Value::Char(v) => Val::Char(v),
        _ => return None,
    })
}

impl Handles<'_> {
    /// The entry of the host's table.
    pub fn entry(&self, index: u32) -> Option<&wattest_vm::component::Handle> {
        self.state.handle_entry(TableId::Host, index)
    }
}
