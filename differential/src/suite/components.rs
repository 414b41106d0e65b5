//! Values and traps of components between scripts and the component evaluator.
//!
//! The evaluator knows [despecialized](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#despecialization)
//! types only, in which an option is a variant and a tuple a record: what scripts write is despecialized before it is
//! compared.
//!
//! Invariant: a value goes to the evaluator only if it is one of the type that its function has.
//!
//! Does not know: sessions, instances.

use super::{broken, failure};
use wattest_reference as core;
use wattest_reference::component::{Evaluator, Func, Kind, Type, Val};
use wattest_spec_tests::{ComponentValue, Failure, TrapClass};

/// Classes of the evaluator that stand for several of the suite's, which has one wording at a boundary with the host and
/// another between components: the evaluator's, and the suite's.
const COARSE: &[(core::TrapClass, &[TrapClass])] = &[
    (
        core::TrapClass::PointerOutOfBounds,
        &[
            TrapClass::PointerOutOfBounds,
            TrapClass::ListOutOfBounds,
            TrapClass::StringOutOfBounds,
            TrapClass::ReallocOutOfBounds,
        ],
    ),
    (core::TrapClass::UnalignedPointer, &[TrapClass::UnalignedPointer, TrapClass::ReallocUnaligned]),
    (core::TrapClass::InvalidString, &[TrapClass::InvalidUtf8, TrapClass::IncompleteUtf8, TrapClass::InvalidUtf16]),
    (core::TrapClass::ValueTooLong, &[TrapClass::ValueTooLarge]),
    (core::TrapClass::NoResult, &[TrapClass::TaskReturn]),
    (core::TrapClass::TaskReturn, &[TrapClass::TaskReturn]),
];

/// The class of a trap in scripts; of several, the first.
pub(super) fn class_of(class: core::TrapClass) -> Option<TrapClass> {
    let coarse = COARSE.iter().find(|(own, _)| *own == class).and_then(|(_, classes)| classes.first());
    coarse.copied().or_else(|| TrapClass::from_text(class.text()))
}

/// What scripts call a trap of the evaluator: one text for each class that it may be.
pub fn wordings(class: core::TrapClass) -> Vec<&'static str> {
    match COARSE.iter().find(|(own, _)| *own == class) {
        Some((_, classes)) => classes.iter().map(|class| class.text()).collect(),
        None => vec![class_of(class).map_or(class.text(), TrapClass::text)],
    }
}

/// Whether the class that [`class_of`] gave may be the one that is expected.
pub(super) fn may_be(actual: TrapClass, expected: TrapClass) -> bool {
    let among = |classes: &[TrapClass]| classes.first() == Some(&actual) && classes.contains(&expected);
    actual == expected || COARSE.iter().any(|(_, classes)| among(classes))
}

/// Calls a function with values of a script.
pub(super) fn call(
    evaluator: &mut Evaluator,
    func: &Func,
    args: &[ComponentValue],
) -> Result<Option<ComponentValue>, Failure> {
    let ty = func.ty();
    if args.len() != ty.params.len() {
        return Err(broken(format!("{} arguments for {} parameters", args.len(), ty.params.len())));
    }
    let args = args.iter().zip(&ty.params).map(|(arg, (_, ty))| lower(arg, ty));
    let args = args.collect::<Result<Vec<_>, _>>()?;
    let value = evaluator.call(func, &args).map_err(failure)?;
    Ok(value.zip(ty.result.as_ref()).map(|(value, ty)| lift(&value, ty)))
}

/// A script's value as the evaluator has it: of type `ty`, which may be specialized.
fn lower(value: &ComponentValue, ty: &Type) -> Result<Val, Failure> {
    use ComponentValue as C;
    let mismatch = || broken(format!("{value} is no {ty:?}"));
    let all = |values: &[C], types: &mut dyn Iterator<Item = &Type>| {
        values.iter().zip(types).map(|(value, ty)| lower(value, ty)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match (&despecialized_once(value), ty.kind()) {
        (C::Bool(value), Kind::Bool) => Val::Bool(*value),
        (C::U8(value), Kind::U8) => Val::U8(*value),
        (C::S8(value), Kind::S8) => Val::S8(*value),
        (C::U16(value), Kind::U16) => Val::U16(*value),
        (C::S16(value), Kind::S16) => Val::S16(*value),
        (C::U32(value), Kind::U32) => Val::U32(*value),
        (C::S32(value), Kind::S32) => Val::S32(*value),
        (C::U64(value), Kind::U64) => Val::U64(*value),
        (C::S64(value), Kind::S64) => Val::S64(*value),
        (C::F32(bits), Kind::F32) => Val::F32(*bits),
        (C::F64(bits), Kind::F64) => Val::F64(*bits),
        (C::Char(value), Kind::Char) => Val::Char(*value),
        (C::String(text), Kind::String) => Val::String(text.as_str().into()),
        (C::List(values), Kind::List(element)) => {
            Val::List(all(values, &mut std::iter::repeat_n(element, values.len()))?)
        }
        (C::List(values), Kind::FixedList(element, length)) if values.len() == *length as usize => {
            Val::List(all(values, &mut std::iter::repeat_n(element, values.len()))?)
        }
        (C::Record(values), Kind::Record(fields)) if values.len() == fields.len() => {
            let named = values.iter().zip(fields).map(|((name, value), (field, ty))| match name == field {
                true => lower(value, ty),
                false => Err(mismatch()),
            });
            Val::Record(named.collect::<Result<_, _>>()?)
        }
        (C::Variant(name, payload), Kind::Variant(cases)) => {
            let at = cases.iter().position(|(case, _)| case == name).ok_or_else(mismatch)?;
            let payload = match (payload, &cases[at].1) {
                (Some(payload), Some(ty)) => Some(Box::new(lower(payload, ty)?)),
                (None, None) => None,
                _ => return Err(mismatch()),
            };
            Val::Variant(at as u32, payload)
        }
        (C::Flags(names), Kind::Flags(labels)) => {
            let bit = |name: &String| labels.iter().position(|label| label == name).map(|at| 1u32 << at);
            Val::Flags(names.iter().map(bit).sum::<Option<u32>>().ok_or_else(mismatch)?)
        }
        _ => return Err(mismatch()),
    })
}

/// A value of the evaluator with the names of its type.
fn lift(value: &Val, ty: &Type) -> ComponentValue {
    use ComponentValue as C;
    match (value, ty.kind()) {
        (Val::Bool(value), _) => C::Bool(*value),
        (Val::U8(value), _) => C::U8(*value),
        (Val::S8(value), _) => C::S8(*value),
        (Val::U16(value), _) => C::U16(*value),
        (Val::S16(value), _) => C::S16(*value),
        (Val::U32(value), _) => C::U32(*value),
        (Val::S32(value), _) => C::S32(*value),
        (Val::U64(value), _) => C::U64(*value),
        (Val::S64(value), _) => C::S64(*value),
        (Val::F32(bits), _) => C::f32(*bits),
        (Val::F64(bits), _) => C::f64(*bits),
        (Val::Char(value), _) => C::Char(*value),
        (Val::String(text), _) => C::String(text.text.clone()),
        (Val::List(values), Kind::List(element) | Kind::FixedList(element, _)) => {
            C::List(values.iter().map(|value| lift(value, element)).collect())
        }
        (Val::Record(values), Kind::Record(fields)) => {
            let named = values.iter().zip(fields).map(|(value, (name, ty))| (name.clone(), lift(value, ty)));
            C::Record(named.collect())
        }
        (Val::Variant(case, payload), Kind::Variant(cases)) => {
            // The evaluator makes no value with a case that its type lacks.
            let Some((name, ty)) = cases.get(*case as usize) else { return C::Resource };
            let payload = payload.as_ref().zip(ty.as_ref()).map(|(payload, ty)| Box::new(lift(payload, ty)));
            C::Variant(name.clone(), payload)
        }
        (Val::Flags(bits), Kind::Flags(labels)) => {
            let set = labels.iter().enumerate().filter(|(at, _)| bits >> at & 1 != 0);
            C::flags(set.map(|(_, label)| label.clone()).collect())
        }
        _ => C::Resource,
    }
}

/// A value whose outermost form is no specialized one.
fn despecialized_once(value: &ComponentValue) -> ComponentValue {
    use ComponentValue as C;
    let case = |name: &str, payload: &Option<Box<C>>| C::Variant(name.to_owned(), payload.clone());
    match value {
        C::Tuple(values) => {
            let named = values.iter().enumerate().map(|(at, value)| (at.to_string(), value.clone()));
            C::Record(named.collect())
        }
        C::Map(pairs) => {
            let pair = |(key, value): &(C, C)| C::Tuple(vec![key.clone(), value.clone()]);
            C::List(pairs.iter().map(pair).collect())
        }
        C::Enum(name) => case(name, &None),
        C::Option(payload) => case(if payload.is_some() { "some" } else { "none" }, payload),
        C::Result(Ok(payload)) => case("ok", payload),
        C::Result(Err(payload)) => case("error", payload),
        other => other.clone(),
    }
}

/// A value in which nothing is specialized: as deep as the script's parser allows.
pub(super) fn despecialized(value: &ComponentValue) -> ComponentValue {
    use ComponentValue as C;
    match despecialized_once(value) {
        C::List(values) => C::List(values.iter().map(despecialized).collect()),
        C::Record(fields) => C::Record(fields.into_iter().map(|(name, value)| (name, despecialized(&value))).collect()),
        C::Variant(name, payload) => C::Variant(name, payload.map(|payload| Box::new(despecialized(&payload)))),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: ComponentValue, expected: ComponentValue) {
        assert_eq!(despecialized(&value), expected);
    }

    #[test]
    fn specialized_values_are_variants_records_and_lists() {
        use ComponentValue as C;
        let some = |value| C::Variant("some".to_owned(), Some(Box::new(value)));
        let one = || C::Record(vec![("0".to_owned(), C::U8(1))]);
        check(C::Option(Some(Box::new(C::Tuple(vec![C::U8(1)])))), some(one()));
        check(C::Option(None), C::Variant("none".to_owned(), None));
        check(C::Result(Err(None)), C::Variant("error".to_owned(), None));
        check(C::List(vec![C::Enum("a".to_owned())]), C::List(vec![C::Variant("a".to_owned(), None)]));
        let pair = C::Record(vec![("0".to_owned(), C::U8(1)), ("1".to_owned(), one())]);
        check(C::Map(vec![(C::U8(1), C::Tuple(vec![C::U8(1)]))]), C::List(vec![pair]));
    }

    #[test]
    fn a_coarse_class_may_be_each_of_its_own() {
        let pointer = class_of(core::TrapClass::PointerOutOfBounds).unwrap();
        assert!(may_be(pointer, TrapClass::StringOutOfBounds) && !may_be(pointer, TrapClass::UnalignedPointer));
        assert!(!may_be(TrapClass::StringOutOfBounds, pointer));
        for (class, _) in COARSE {
            assert!(class_of(*class).is_some(), "{class:?}");
        }
    }
}
