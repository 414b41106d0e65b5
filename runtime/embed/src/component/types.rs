//! Types of components as the embedder sees them
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#type-definitions)).
//!
//! Invariant: a type keeps its component alive; `Display` gives the spelling of WIT.
//!
//! Does not know: values.

use super::compiled::ComponentInner;
use std::fmt::Write;
use std::sync::Arc;
use wattest_canon::{Scalar, TypeId, Types};
use wattest_component::FuncTypeIndex;
use wattest_component::graph::{ExportValue, ImportKind};

/// An interface type of a component.
#[derive(Clone)]
pub struct Type {
    pub(crate) component: Arc<ComponentInner>,
    pub(crate) id: TypeId,
}

/// What a [`Type`] is, one level deep.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TypeKind {
    /// `bool`.
    Bool,
    /// `s8`.
    S8,
    /// `u8`.
    U8,
    /// `s16`.
    S16,
    /// `u16`.
    U16,
    /// `s32`.
    S32,
    /// `u32`.
    U32,
    /// `s64`.
    S64,
    /// `u64`.
    U64,
    /// `f32`.
    Float32,
    /// `f64`.
    Float64,
    /// `char`.
    Char,
    /// `string`.
    String,
    /// `error-context`.
    ErrorContext,
    /// `list`.
    List(Type),
    /// `list` of a fixed length.
    FixedList(Type, u32),
    /// `map`.
    Map(Type, Type),
    /// `record`.
    Record(Vec<(String, Type)>),
    /// `tuple`.
    Tuple(Vec<Type>),
    /// `variant`.
    Variant(Vec<(String, Option<Type>)>),
    /// `enum`.
    Enum(Vec<String>),
    /// `option`.
    Option(Type),
    /// `result`.
    Result(Option<Type>, Option<Type>),
    /// `flags`.
    Flags(Vec<String>),
    /// `own`.
    Own,
    /// `borrow`.
    Borrow,
    /// `stream`.
    Stream(Option<Type>),
    /// `future`.
    Future(Option<Type>),
}

impl Type {
    fn with(&self, id: TypeId) -> Type {
        Type { component: Arc::clone(&self.component), id }
    }

    pub(crate) fn types(&self) -> &Types {
        &self.component.plan.statics.types
    }

    /// What it is.
    pub fn kind(&self) -> TypeKind {
        use wattest_canon::Type as Canon;
        let types = self.types();
        let text = |name: &wattest_canon::Name| types.text(*name).to_owned();
        match types.get(self.id) {
            Canon::Scalar(scalar) => scalar_kind(*scalar),
            Canon::String => TypeKind::String,
            Canon::ErrorContext => TypeKind::ErrorContext,
            Canon::List(element) => TypeKind::List(self.with(*element)),
            Canon::FixedList { element, count } => TypeKind::FixedList(self.with(*element), *count),
            Canon::Map { key, value } => TypeKind::Map(self.with(*key), self.with(*value)),
            Canon::Record(fields) => {
                TypeKind::Record(fields.iter().map(|field| (text(&field.name), self.with(field.ty))).collect())
            }
            Canon::Tuple(members) => TypeKind::Tuple(members.iter().map(|member| self.with(*member)).collect()),
            Canon::Variant(cases) => {
                let cases = cases.iter().map(|case| (text(&case.name), case.ty.map(|ty| self.with(ty))));
                TypeKind::Variant(cases.collect())
            }
            Canon::Enum(names) => TypeKind::Enum(names.iter().map(text).collect()),
            Canon::Option(some) => TypeKind::Option(self.with(*some)),
            Canon::Result { ok, err } => TypeKind::Result(ok.map(|ty| self.with(ty)), err.map(|ty| self.with(ty))),
            Canon::Flags(names) => TypeKind::Flags(names.iter().map(text).collect()),
            Canon::Own(_) => TypeKind::Own,
            Canon::Borrow(_) => TypeKind::Borrow,
            Canon::Stream(element) => TypeKind::Stream(element.map(|ty| self.with(ty))),
            Canon::Future(element) => TypeKind::Future(element.map(|ty| self.with(ty))),
        }
    }
}

const fn scalar_kind(scalar: Scalar) -> TypeKind {
    match scalar {
        Scalar::Bool => TypeKind::Bool,
        Scalar::S8 => TypeKind::S8,
        Scalar::U8 => TypeKind::U8,
        Scalar::S16 => TypeKind::S16,
        Scalar::U16 => TypeKind::U16,
        Scalar::S32 => TypeKind::S32,
        Scalar::U32 => TypeKind::U32,
        Scalar::S64 => TypeKind::S64,
        Scalar::U64 => TypeKind::U64,
        Scalar::F32 => TypeKind::Float32,
        Scalar::F64 => TypeKind::Float64,
        Scalar::Char => TypeKind::Char,
    }
}

/// A scalar's name in WIT.
pub(crate) const fn scalar_text(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Bool => "bool",
        Scalar::S8 => "s8",
        Scalar::U8 => "u8",
        Scalar::S16 => "s16",
        Scalar::U16 => "u16",
        Scalar::S32 => "s32",
        Scalar::U32 => "u32",
        Scalar::S64 => "s64",
        Scalar::U64 => "u64",
        Scalar::F32 => "f32",
        Scalar::F64 => "f64",
        Scalar::Char => "char",
    }
}

/// Characters after which a type's text is cut off: types can be exponentially larger than their component.
const TEXT_MAX: usize = 4096;

/// What resource types are called: by the names under which a component imports and exports them.
#[derive(Clone, Copy)]
pub(crate) enum ResourceNames<'a> {
    /// Nothing is known of the component.
    Unknown,
    /// Its imports are known.
    Imports(&'a wattest_component::Statics),
    /// Its exports as well.
    Plan(&'a wattest_component::Plan),
}

impl ResourceNames<'_> {
    fn write(self, word: &str, resource: wattest_canon::ResourceId, out: &mut String) {
        let name = match self {
            ResourceNames::Unknown => None,
            ResourceNames::Imports(statics) => imported_name(statics, resource),
            ResourceNames::Plan(plan) => {
                let exported = || {
                    let is = |slot: &wattest_component::Slot| slot.index == resource.0;
                    let rows = plan.linear.exports.iter();
                    let mut rows = rows.filter(|row| matches!(&row.value, ExportValue::Resource(slot) if is(slot)));
                    rows.next().map(|row| plan.statics.types.text(row.name))
                };
                imported_name(&plan.statics, resource).or_else(exported)
            }
        };
        // Writing to a `String` does not fail.
        let _ = match name {
            Some(name) => write!(out, "{word}<{name}>"),
            None => write!(out, "{word}<resource{}>", resource.0),
        };
    }
}

fn imported_name(statics: &wattest_component::Statics, resource: wattest_canon::ResourceId) -> Option<&str> {
    let is = |kind: &ImportKind| matches!(kind, ImportKind::Resource(id) if *id == resource);
    let row = statics.imports.iter().find(|row| is(&row.kind))?;
    row.path.last().map(|name| statics.types.text(*name))
}

/// A type as WIT spells it. As deep as the type, which [`wattest_canon::Limits::depth_max`] bounds.
pub(crate) fn type_text(types: &Types, ty: TypeId) -> String {
    named_text(types, ty, ResourceNames::Unknown)
}

fn named_text(types: &Types, ty: TypeId, names: ResourceNames<'_>) -> String {
    let mut text = String::new();
    write_type(types, ty, names, &mut text);
    text
}

fn write_type(types: &Types, ty: TypeId, names: ResourceNames<'_>, out: &mut String) {
    use wattest_canon::Type as Canon;
    if out.len() > TEXT_MAX {
        out.push('…');
        return;
    }
    match types.get(ty) {
        Canon::Scalar(scalar) => out.push_str(scalar_text(*scalar)),
        Canon::String => out.push_str("string"),
        Canon::ErrorContext => out.push_str("error-context"),
        Canon::List(element) => write_generic(types, "list", &[Some(*element)], names, out),
        Canon::FixedList { element, count } => {
            out.push_str("list<");
            write_type(types, *element, names, out);
            // Writing to a `String` does not fail.
            let _ = write!(out, ", {count}>");
        }
        Canon::Map { key, value } => write_generic(types, "map", &[Some(*key), Some(*value)], names, out),
        Canon::Record(fields) => {
            let fields = fields.iter().map(|field| (field.name, Some(field.ty)));
            write_named(types, ("record", ": ", ""), fields, names, out);
        }
        Canon::Tuple(members) => {
            let members = members.iter().copied().map(Some).collect::<Vec<_>>();
            write_generic(types, "tuple", &members, names, out);
        }
        Canon::Variant(cases) => {
            write_named(types, ("variant", "(", ")"), cases.iter().map(|case| (case.name, case.ty)), names, out);
        }
        Canon::Enum(labels) => {
            write_named(types, ("enum", "", ""), labels.iter().map(|name| (*name, None)), names, out)
        }
        Canon::Option(some) => write_generic(types, "option", &[Some(*some)], names, out),
        Canon::Result { ok: None, err: None } => out.push_str("result"),
        Canon::Result { ok, err: None } => write_generic(types, "result", &[*ok], names, out),
        Canon::Result { ok, err } => write_generic(types, "result", &[*ok, *err], names, out),
        Canon::Flags(labels) => {
            write_named(types, ("flags", "", ""), labels.iter().map(|name| (*name, None)), names, out)
        }
        Canon::Own(resource) => names.write("own", *resource, out),
        Canon::Borrow(resource) => names.write("borrow", *resource, out),
        Canon::Stream(None) => out.push_str("stream"),
        Canon::Stream(element) => write_generic(types, "stream", &[*element], names, out),
        Canon::Future(None) => out.push_str("future"),
        Canon::Future(element) => write_generic(types, "future", &[*element], names, out),
    }
}

fn write_generic(types: &Types, word: &str, members: &[Option<TypeId>], names: ResourceNames<'_>, out: &mut String) {
    out.push_str(word);
    out.push('<');
    for (at, member) in members.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        match member {
            Some(ty) => write_type(types, *ty, names, out),
            None => out.push('_'),
        }
    }
    out.push('>');
}

fn write_named(
    types: &Types,
    (word, before, after): (&str, &str, &str),
    members: impl Iterator<Item = (wattest_canon::Name, Option<TypeId>)>,
    names: ResourceNames<'_>,
    out: &mut String,
) {
    out.push_str(word);
    out.push_str(" { ");
    for (at, (name, ty)) in members.enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        out.push_str(types.text(name));
        if let Some(ty) = ty {
            out.push_str(before);
            write_type(types, ty, names, out);
            out.push_str(after);
        }
    }
    out.push_str(" }");
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&named_text(self.types(), self.id, ResourceNames::Plan(&self.component.plan)))
    }
}

impl std::fmt::Debug for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The type of a component function.
#[derive(Clone)]
pub struct ComponentFuncType {
    pub(crate) component: Arc<ComponentInner>,
    pub(crate) index: FuncTypeIndex,
}

impl ComponentFuncType {
    fn row(&self) -> &wattest_component::graph::FuncType {
        &self.component.plan.statics.func_types[self.index.index()]
    }

    fn ty(&self, id: TypeId) -> Type {
        Type { component: Arc::clone(&self.component), id }
    }

    /// The parameters, by name.
    pub fn params(&self) -> impl ExactSizeIterator<Item = (&str, Type)> {
        let types = &self.component.plan.statics.types;
        self.row().params.iter().map(|(name, ty)| (types.text(*name), self.ty(*ty)))
    }

    /// The result, if there is one.
    pub fn result(&self) -> Option<Type> {
        self.row().result.map(|ty| self.ty(ty))
    }

    /// Whether it is `async`.
    pub fn is_async(&self) -> bool {
        self.row().is_async
    }
}

/// A function type as WIT spells it.
pub(crate) fn func_text(statics: &wattest_component::Statics, index: FuncTypeIndex) -> String {
    func_named_text(statics, index, ResourceNames::Imports(statics))
}

fn func_named_text(statics: &wattest_component::Statics, index: FuncTypeIndex, names: ResourceNames<'_>) -> String {
    let Some(row) = statics.func_types.get(index.index()) else { return "func".to_owned() };
    let mut text = if row.is_async { "async func(".to_owned() } else { "func(".to_owned() };
    for (at, (name, ty)) in row.params.iter().enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        text.push_str(statics.types.text(*name));
        text.push_str(": ");
        write_type(&statics.types, *ty, names, &mut text);
    }
    text.push(')');
    if let Some(ty) = row.result {
        text.push_str(" -> ");
        write_type(&statics.types, ty, names, &mut text);
    }
    text
}

impl std::fmt::Display for ComponentFuncType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plan = &self.component.plan;
        f.write_str(&func_named_text(&plan.statics, self.index, ResourceNames::Plan(plan)))
    }
}

impl std::fmt::Debug for ComponentFuncType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// What a component imports or exports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ComponentItem {
    /// A function.
    Func(ComponentFuncType),
    /// A core module.
    Module,
    /// A resource type.
    Resource,
    /// Another type.
    Type(Type),
    /// An instance, by its items.
    Instance(Vec<(String, ComponentItem)>),
    /// A component, or a type of something other than a value: nothing that a host can use.
    Opaque,
}

impl std::fmt::Display for ComponentItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ComponentItem::Func(ty) => ty.fmt(f),
            ComponentItem::Module => f.write_str("core module"),
            ComponentItem::Resource => f.write_str("resource"),
            ComponentItem::Type(ty) => write!(f, "type {ty}"),
            ComponentItem::Instance(_) => f.write_str("instance"),
            ComponentItem::Opaque => f.write_str("component or type"),
        }
    }
}
