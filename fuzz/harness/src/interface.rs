//! Types of a component's functions, written again where another component exports or implements them.
//!
//! A function can be exported only if records, variants, enumerations and flags in its
//! [type](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#type-definitions) are exported
//! with names of their own: they are defined again, since types of values are equal by structure, and exported.
//!
//! Invariant: what is written is the same type.
//!
//! Does not know: values; streams and futures.

use std::fmt::Write;
use wasmparser::ValType;
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentFuncType, ComponentValType,
};
use wasmparser::types::TypesRef;

/// What a component is about to define for the types of its functions.
pub(crate) struct Interface<'a> {
    types: TypesRef<'a>,
    named: Vec<(ComponentAnyTypeId, String)>,
    /// The definitions and exports, in order.
    pub(crate) text: String,
}

/// Numbers in the flat form of a value that a function takes and returns at most: else they are in memory.
pub(crate) const FLAT_PARAMS_MAX: usize = 16;
pub(crate) const FLAT_RESULTS_MAX: usize = 1;

impl<'a> Interface<'a> {
    /// Nothing is defined yet.
    pub(crate) fn new(types: TypesRef<'a>) -> Interface<'a> {
        Interface { types, named: Vec::new(), text: String::new() }
    }

    /// Says that a type has this name.
    pub(crate) fn name(&mut self, id: ComponentAnyTypeId, name: String) {
        self.named.push((id, name));
    }

    /// A function's type, what it needs defined; `None` where a part of it cannot be written.
    pub(crate) fn function(&mut self, ty: &ComponentFuncType) -> Option<String> {
        let mut text = if ty.async_ { "(func async" } else { "(func" }.to_owned();
        for (name, ty) in &ty.params {
            // Writing to a string does not fail.
            let _ = write!(text, " (param \"{name}\" {})", self.value(*ty)?);
        }
        if let Some(ty) = ty.result {
            let _ = write!(text, " (result {})", self.value(ty)?);
        }
        text.push(')');
        Some(text)
    }

    /// A type where it is used. Types nest no deeper than the validator lets them.
    fn value(&mut self, ty: ComponentValType) -> Option<String> {
        let id = match ty {
            ComponentValType::Primitive(ty) => return Some(ty.to_string()),
            ComponentValType::Type(id) => id,
        };
        if let Some(name) = self.name_of(ComponentAnyTypeId::Defined(id)) {
            return Some(name);
        }
        let structure = self.structure(id)?;
        use ComponentDefinedType as T;
        if !matches!(self.types[id], T::Record(_) | T::Variant(_) | T::Enum(_) | T::Flags(_)) {
            return Some(structure);
        }
        let number = self.named.len();
        let _ =
            writeln!(self.text, "  (type $t{number} {structure}) (export $e{number} \"t{number}\" (type $t{number}))");
        self.name(ComponentAnyTypeId::Defined(id), format!("$e{number}"));
        Some(format!("$e{number}"))
    }

    fn name_of(&self, id: ComponentAnyTypeId) -> Option<String> {
        let same = |known: &ComponentAnyTypeId| match (known, id) {
            // Each alias of a resource type has a number of its own.
            (ComponentAnyTypeId::Resource(known), ComponentAnyTypeId::Resource(id)) => {
                known.resource() == id.resource()
            }
            (ComponentAnyTypeId::Defined(known), ComponentAnyTypeId::Defined(id)) => {
                self.original(*known) == self.original(id)
            }
            _ => false,
        };
        self.named.iter().find(|(known, _)| same(known)).map(|(_, name)| name.clone())
    }

    /// The type that a type is an alias of, or itself.
    fn original(&self, mut id: ComponentDefinedTypeId) -> ComponentDefinedTypeId {
        while let Some(aliased) = self.types.peel_alias(id) {
            id = aliased;
        }
        id
    }

    /// What a type is made of.
    pub(crate) fn structure(&mut self, id: ComponentDefinedTypeId) -> Option<String> {
        let types = self.types;
        let mut text = String::new();
        match &types[id] {
            ComponentDefinedType::Primitive(ty) => return Some(ty.to_string()),
            ComponentDefinedType::Record(ty) => {
                text.push_str("(record");
                for (name, ty) in &ty.fields {
                    let _ = write!(text, " (field \"{name}\" {})", self.value(*ty)?);
                }
            }
            ComponentDefinedType::Variant(ty) => {
                text.push_str("(variant");
                for (name, case) in &ty.cases {
                    let payload = self.optional("", case.ty)?;
                    let _ = write!(text, " (case \"{name}\"{payload})");
                }
            }
            ComponentDefinedType::List { element, .. } => {
                let _ = write!(text, "(list {}", self.value(*element)?);
            }
            ComponentDefinedType::FixedLengthList { element, length, .. } => {
                let _ = write!(text, "(list {} {length}", self.value(*element)?);
            }
            ComponentDefinedType::Map { key, value, .. } => {
                let _ = write!(text, "(map {} {}", self.value(*key)?, self.value(*value)?);
            }
            ComponentDefinedType::Tuple(ty) => {
                text.push_str("(tuple");
                for ty in &ty.types {
                    let _ = write!(text, " {}", self.value(*ty)?);
                }
            }
            ComponentDefinedType::Flags(names) | ComponentDefinedType::Enum(names) => {
                text.push_str(if matches!(types[id], ComponentDefinedType::Flags(_)) { "(flags" } else { "(enum" });
                names.iter().for_each(|name| {
                    let _ = write!(text, " \"{name}\"");
                });
            }
            ComponentDefinedType::Option { ty, .. } => {
                let _ = write!(text, "(option {}", self.value(*ty)?);
            }
            ComponentDefinedType::Result { ok, err, .. } => {
                let ok = self.optional("", *ok)?;
                let err =
                    err.map(|ty| self.value(ty).map(|ty| format!(" (error {ty})"))).unwrap_or(Some(String::new()))?;
                let _ = write!(text, "(result{ok}{err}");
            }
            ComponentDefinedType::Own(id) => {
                let _ = write!(text, "(own {}", self.name_of(ComponentAnyTypeId::Resource(*id))?);
            }
            ComponentDefinedType::Borrow(id) => {
                let _ = write!(text, "(borrow {}", self.name_of(ComponentAnyTypeId::Resource(*id))?);
            }
            _ => return None,
        }
        text.push(')');
        Some(text)
    }

    fn optional(&mut self, before: &str, ty: Option<ComponentValType>) -> Option<String> {
        match ty {
            None => Some(String::new()),
            Some(ty) => Some(format!("{before} {}", self.value(ty)?)),
        }
    }

    /// The [flat form](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flattening) of a
    /// type between 32-bit memories; `None` where a part of it cannot be written.
    pub(crate) fn flat(&self, ty: ComponentValType) -> Option<Vec<ValType>> {
        use wasmparser::PrimitiveValType as P;
        let id = match ty {
            ComponentValType::Type(id) => id,
            ComponentValType::Primitive(ty) => {
                return Some(match ty {
                    P::S64 | P::U64 => vec![ValType::I64],
                    P::F32 => vec![ValType::F32],
                    P::F64 => vec![ValType::F64],
                    P::String => vec![ValType::I32; 2],
                    P::ErrorContext => return None,
                    _ => vec![ValType::I32],
                });
            }
        };
        let all = |types: &mut dyn Iterator<Item = ComponentValType>| -> Option<Vec<ValType>> {
            let each: Option<Vec<Vec<ValType>>> = types.map(|ty| self.flat(ty)).collect();
            Some(each?.concat())
        };
        match &self.types[id] {
            ComponentDefinedType::Primitive(ty) => self.flat(ComponentValType::Primitive(*ty)),
            ComponentDefinedType::Record(ty) => all(&mut ty.fields.values().copied()),
            ComponentDefinedType::Tuple(ty) => all(&mut ty.types.iter().copied()),
            ComponentDefinedType::FixedLengthList { element, length, .. } => {
                all(&mut std::iter::repeat_n(*element, *length as usize))
            }
            ComponentDefinedType::List { .. } | ComponentDefinedType::Map { .. } => Some(vec![ValType::I32; 2]),
            ComponentDefinedType::Flags(_)
            | ComponentDefinedType::Enum(_)
            | ComponentDefinedType::Own(_)
            | ComponentDefinedType::Borrow(_) => Some(vec![ValType::I32]),
            ComponentDefinedType::Variant(ty) => self.joined(ty.cases.values().map(|case| case.ty)),
            ComponentDefinedType::Option { ty, .. } => self.joined([None, Some(*ty)].into_iter()),
            ComponentDefinedType::Result { ok, err, .. } => self.joined([*ok, *err].into_iter()),
            _ => None,
        }
    }

    /// The flat form of a variant with these payloads.
    fn joined(&self, payloads: impl Iterator<Item = Option<ComponentValType>>) -> Option<Vec<ValType>> {
        let mut joined: Vec<ValType> = Vec::new();
        for payload in payloads.flatten() {
            for (at, ty) in self.flat(payload)?.into_iter().enumerate() {
                match joined.get_mut(at) {
                    None => joined.push(ty),
                    Some(known) if *known == ty => {}
                    Some(known) if [*known, ty].iter().all(|ty| [ValType::I32, ValType::F32].contains(ty)) => {
                        *known = ValType::I32;
                    }
                    Some(known) => *known = ValType::I64,
                }
            }
        }
        joined.insert(0, ValType::I32);
        Some(joined)
    }
}
