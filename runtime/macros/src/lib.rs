//! Derives of interface types for Rust types.
//!
//! `ComponentType`, `Lift` and `Lower` for records, variants, enums and flags
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#type-definitions)); used as
//! `wattest::component::{ComponentType, Lift, Lower}`, where there is an example.
//!
//! Invariant: what is generated names everything by its full path, lays out with the constants of `wattest::component::Abi`,
//! and is as deep as the Rust type. A shape that is no interface type is a compile error at the place in question.
//!
//! Does not know: how values are read and written; that is the business of the types inside.
#![forbid(unsafe_code)]

mod emit;
mod labels;
mod names;
mod shape;

use proc_macro::TokenStream;
use shape::Shape;

/// Derives what interface type a Rust type is.
///
/// The attribute `#[component(…)]` on the type says which:
///
/// | Attribute | Rust type | Interface type |
/// |---|---|---|
/// | `#[component(record)]` | a struct with named fields | `record` |
/// | `#[component(variant)]` | an enum, each case with no payload or with one unnamed field | `variant` |
/// | `#[component(enum)]` | an enum without payloads | `enum` |
/// | `#[component(flags)]` | a struct of 1 to 32 fields of type `bool` | `flags` |
///
/// Names are those of Rust in kebab-case; `#[component(name = "other-name")]` on a field or case gives another. Parameters of
/// types must be interface types themselves.
#[proc_macro_derive(ComponentType, attributes(component))]
pub fn component_type(input: TokenStream) -> TokenStream {
    expand(input, emit::component_type)
}

/// Derives reading values that a guest hands out. Shapes and attributes are those of the derive of `ComponentType`.
#[proc_macro_derive(Lift, attributes(component))]
pub fn lift(input: TokenStream) -> TokenStream {
    expand(input, emit::lift)
}

/// Derives writing values that a guest receives. Shapes and attributes are those of the derive of `ComponentType`.
#[proc_macro_derive(Lower, attributes(component))]
pub fn lower(input: TokenStream) -> TokenStream {
    expand(input, emit::lower)
}

fn expand(input: TokenStream, emit: fn(&syn::DeriveInput, &Shape<'_>) -> proc_macro2::TokenStream) -> TokenStream {
    let expanded = syn::parse::<syn::DeriveInput>(input).and_then(|input| Ok(emit(&input, &shape::shape(&input)?)));
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}
