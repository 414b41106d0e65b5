//! What is derived for: a Rust type with its attributes, understood and checked.
//!
//! Invariant: a [`Shape`] has at least one member, flags at most 32; its labels are different ones
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md#type-definitions)).
//!
//! Does not know: what is generated.

use crate::names::{is_label, kebab};
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Field, Fields, Ident, LitStr, Result, Token, Type, Variant};

/// Bits of flags: they are one core value.
const FLAGS_MAX: usize = 32;

/// A type that can be derived for.
pub(crate) enum Shape<'a> {
    /// A struct, by its fields.
    Record(Vec<Member<'a>>),
    /// An enum whose cases have payloads.
    Variant(Vec<Case<'a>>),
    /// An enum without payloads.
    Enum(Vec<Case<'a>>),
    /// A struct of `bool`s.
    Flags(Vec<Member<'a>>),
}

/// A field.
pub(crate) struct Member<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) label: String,
    pub(crate) ty: &'a Type,
}

/// A case.
pub(crate) struct Case<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) label: String,
    pub(crate) payload: Option<&'a Type>,
}

/// The word of the attribute of a type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Record,
    Variant,
    Enum,
    Flags,
}

const KINDS: &[(&str, Kind)] =
    &[("record", Kind::Record), ("variant", Kind::Variant), ("enum", Kind::Enum), ("flags", Kind::Flags)];

/// The shape of a type.
///
/// # Errors
///
/// It is no interface type, or does not say which.
pub(crate) fn shape(input: &DeriveInput) -> Result<Shape<'_>> {
    let kind = kind(input)?;
    match (&input.data, kind) {
        (Data::Struct(data), Kind::Record) => {
            Ok(Shape::Record(members(&data.fields, input, "`#[component(record)]` needs named fields")?))
        }
        (Data::Struct(data), Kind::Flags) => {
            let members = members(&data.fields, input, "`#[component(flags)]` needs named fields")?;
            if let Some(member) = members.iter().find(|member| !is_bool(member.ty)) {
                return Err(Error::new(member.ty.span(), "a field of flags is a `bool`"));
            }
            if let Some(member) = members.get(FLAGS_MAX) {
                return Err(Error::new(member.ident.span(), format!("flags have at most {FLAGS_MAX} labels")));
            }
            Ok(Shape::Flags(members))
        }
        (Data::Enum(data), Kind::Variant) => Ok(Shape::Variant(cases(data.variants.iter(), input)?)),
        (Data::Enum(data), Kind::Enum) => {
            let cases = cases(data.variants.iter(), input)?;
            if let Some(payload) = cases.iter().find_map(|case| case.payload) {
                return Err(Error::new(payload.span(), "a case with a payload makes it `#[component(variant)]`"));
            }
            Ok(Shape::Enum(cases))
        }
        (Data::Union(data), _) => Err(Error::new(data.union_token.span, "a union is no interface type")),
        (Data::Struct(data), _) => {
            Err(Error::new(data.struct_token.span, "a struct is `#[component(record)]` or `#[component(flags)]`"))
        }
        (Data::Enum(data), _) => {
            Err(Error::new(data.enum_token.span, "an enum is `#[component(variant)]` or `#[component(enum)]`"))
        }
    }
}

fn is_bool(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.qself.is_none() && path.path.is_ident("bool"))
}

/// The kind that the attribute of the type names.
fn kind(input: &DeriveInput) -> Result<Kind> {
    let mut found = None;
    for attribute in ours(&input.attrs) {
        // `enum` is a keyword, so this is no `Meta`.
        let word = attribute.parse_args_with(Ident::parse_any)?;
        let Some((_, kind)) = KINDS.iter().find(|(known, _)| word == known) else {
            return Err(Error::new(word.span(), "expected `record`, `variant`, `enum` or `flags`"));
        };
        if found.replace(*kind).is_some() {
            return Err(Error::new(word.span(), "a type is of one kind"));
        }
    }
    let missing = "say which interface type it is: `#[component(record)]`, `#[component(variant)]`, `#[component(enum)]` \
                   or `#[component(flags)]`";
    found.ok_or_else(|| Error::new(input.ident.span(), missing))
}

fn ours(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("component"))
}

/// The label of a field or case: from its attribute, else from its identifier.
fn label(ident: &Ident, attributes: &[Attribute]) -> Result<(String, Span)> {
    let mut found = None;
    for attribute in ours(attributes) {
        let text = attribute.parse_args_with(|input: syn::parse::ParseStream<'_>| {
            let word = input.call(Ident::parse_any)?;
            if word != "name" {
                return Err(Error::new(word.span(), "expected `name = \"…\"`"));
            }
            input.parse::<Token![=]>()?;
            input.parse::<LitStr>()
        })?;
        if found.replace((text.value(), text.span())).is_some() {
            return Err(Error::new(text.span(), "there is a name already"));
        }
    }
    let (label, span) = found.unwrap_or_else(|| (kebab(&ident.to_string()), ident.span()));
    if is_label(&label) { Ok((label, span)) } else { Err(Error::new(span, format!("`{label}` is not in kebab-case"))) }
}

/// Whether all labels are different, without regard to case, and there are any.
fn check_labels<'a>(labels: impl Iterator<Item = (&'a str, Span)>, input: &DeriveInput) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for (label, span) in labels {
        if !seen.insert(label.to_ascii_lowercase()) {
            return Err(Error::new(span, format!("the label `{label}` is there already")));
        }
    }
    if seen.is_empty() {
        Err(Error::new(input.ident.span(), "an interface type has at least one label"))
    } else {
        Ok(())
    }
}

fn members<'a>(fields: &'a Fields, input: &DeriveInput, unnamed: &str) -> Result<Vec<Member<'a>>> {
    if let Fields::Unnamed(fields) = fields {
        return Err(Error::new(fields.span(), unnamed));
    }
    let mut spans = Vec::new();
    let named = fields.iter().filter_map(|Field { ident, attrs, ty, .. }| Some((ident.as_ref()?, attrs, ty)));
    let members = named.map(|(ident, attributes, ty)| {
        let (label, span) = label(ident, attributes)?;
        spans.push(span);
        Ok(Member { ident, label, ty })
    });
    let members = members.collect::<Result<Vec<_>>>()?;
    check_labels(members.iter().map(|member| member.label.as_str()).zip(spans), input)?;
    Ok(members)
}

fn cases<'a>(variants: impl Iterator<Item = &'a Variant>, input: &DeriveInput) -> Result<Vec<Case<'a>>> {
    let mut spans = Vec::new();
    let cases = variants.map(|Variant { ident, attrs, fields, .. }| {
        let (label, span) = label(ident, attrs)?;
        spans.push(span);
        let payload = match fields {
            Fields::Unit => None,
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => fields.unnamed.first().map(|field| &field.ty),
            other => {
                return Err(Error::new(other.span(), "a payload is one unnamed field: use a record or a tuple in it"));
            }
        };
        Ok(Case { ident, label, payload })
    });
    let cases = cases.collect::<Result<Vec<_>>>()?;
    check_labels(cases.iter().map(|case| case.label.as_str()).zip(spans), input)?;
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::shape;

    /// What is said about a type, or nothing if it is one that can be derived for.
    fn check(text: &str, expected: &str) {
        let input = syn::parse_str::<syn::DeriveInput>(text).unwrap();
        let found = shape(&input).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(if expected.is_empty() { found.is_empty() } else { found.contains(expected) }, "{text}: {found}");
    }

    #[test]
    fn shapes_are_told_apart() {
        const ROWS: &[(&str, &str)] = &[
            ("#[component(record)] struct S { a: u32, #[component(name = \"x-y\")] b: u32 }", ""),
            ("#[component(variant)] enum V { A, B(u32) }", ""),
            ("#[component(enum)] enum E { A, B }", ""),
            ("#[component(flags)] struct F { a: bool }", ""),
            ("struct S { a: u32 }", "say which"),
            ("#[component(tuple)] struct S { a: u32 }", "expected `record`"),
            ("#[component(record)] #[component(flags)] struct S { a: bool }", "of one kind"),
            ("#[component(record)] union U { a: u32 }", "a union is no"),
            ("#[component(record)] enum E { A }", "an enum is"),
            ("#[component(variant)] struct S { a: u32 }", "a struct is"),
            ("#[component(record)] struct S(u32);", "named fields"),
            ("#[component(flags)] struct S(bool);", "named fields"),
            ("#[component(record)] struct S;", "at least one"),
            ("#[component(flags)] struct S {}", "at least one"),
            ("#[component(enum)] enum E {}", "at least one"),
            ("#[component(enum)] enum E { A, B(u32) }", "component(variant)"),
            ("#[component(variant)] enum V { A(u32, u32) }", "one unnamed field"),
            ("#[component(variant)] enum V { A { a: u32 } }", "one unnamed field"),
            ("#[component(variant)] enum V { A() }", "one unnamed field"),
            ("#[component(flags)] struct F { a: u8 }", "is a `bool`"),
            ("#[component(record)] struct S { #[component(name = \"A_b\")] a: u32 }", "kebab-case"),
            ("#[component(record)] struct S { größe: u32 }", "kebab-case"),
            ("#[component(record)] struct S { #[component(rename = \"b\")] a: u32 }", "expected `name"),
            ("#[component(record)] struct S { a_b: u32, aB: u32 }", "there already"),
            ("#[component(record)] struct S { #[component(name = \"B\")] a: u32, b: u32 }", "there already"),
        ];
        for (text, expected) in ROWS {
            check(text, expected);
        }
    }

    #[test]
    fn flags_have_at_most_32_labels() {
        for (count, expected) in [(1, ""), (32, ""), (33, "at most 32")] {
            let fields = (0..count).map(|at| format!("f{at}: bool,")).collect::<String>();
            check(&format!("#[component(flags)] struct F {{ {fields} }}"), expected);
        }
    }
}
