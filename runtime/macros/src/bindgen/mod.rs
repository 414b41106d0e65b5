//! `bindgen!`: Rust for a world of
//! [WIT](https://github.com/WebAssembly/component-model/blob/main/design/mvp/WIT.md).
//!
//! Options are parsed, WIT is read and resolved, then each imported and exported interface becomes a module.
//!
//! Invariant: equal options and equal files give equal text, in the order of the world; what is generated names everything
//! outside of itself by a path from the root of a crate, so nothing that a world defines can stand in its way.
//!
//! Does not know: how values are read and written: types are given the derives, flags what the derives would give them.

mod exports;
mod flags;
mod funcs;
mod idents;
mod imports;
mod modules;
mod options;
mod source;
mod types;
mod world;

use options::Options;
use proc_macro2::{Span, TokenStream};
use quote::quote;
use std::path::Path;
use syn::Error;

/// What a world becomes. Paths of files are relative to `base`.
///
/// # Errors
///
/// Options that are not understood, files that are not there, WIT that does not parse, a world that is not there or has
/// what is not supported: each where it is written in the macro.
pub(crate) fn expand(input: TokenStream, base: &Path) -> syn::Result<TokenStream> {
    let options = syn::parse2::<Options>(input)?;
    let source = source::read(&options, base)?;
    let generated = world::generate(&source, &options)?;
    // Makes the compiler look at the files again when they change.
    let files = source.files.iter().map(|file| {
        quote!(
            const _: &[u8] = ::core::include_bytes!(#file);
        )
    });
    Ok(quote!(#generated #(#files)*))
}

/// An error in a world, told where the world is named.
fn unsupported(span: Span, what: impl std::fmt::Display) -> Error {
    Error::new(span, format!("`bindgen!` does not support {what}"))
}

#[cfg(test)]
mod tests;
