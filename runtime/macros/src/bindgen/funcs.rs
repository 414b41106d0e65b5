//! Functions of WIT as functions of Rust: names, parameters, results.
//!
//! Invariant: a function of the host returns what WIT says, in a [`Result`] of the runtime if it may trap; a `result` whose
//! error has a type of the host's own returns that one
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/WIT.md#item-func)).
//!
//! Does not know: how functions are defined in a linker or found in an instance.

use super::idents::{prefixed, snake};
use super::modules::up;
use super::types::{Mode, Types};
use super::unsupported;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::Result;
use wit_parser::{Function, FunctionKind, Type};

/// What a function of the host returns.
pub(super) enum Returns {
    /// What WIT says.
    Plain,
    /// That, or an error that is a trap.
    Trappable,
    /// A `result` whose error is the type of this row of `trappable_error_type`.
    Converted(usize),
}

/// The alias of the type that stands for an error.
pub(super) fn error_alias(at: usize) -> Ident {
    prefixed("__trappable_error", at)
}

/// The name of a function among those of its interface or resource.
pub(super) fn method_name(function: &Function) -> Ident {
    let name = function.item_name();
    match function.kind {
        FunctionKind::Constructor(_) => prefixed("", "new"),
        FunctionKind::Freestanding | FunctionKind::AsyncFreestanding => snake(name),
        // What every resource of the host has.
        _ if name == "new" || name == "drop" => prefixed("", format_args!("{name}_")),
        _ => snake(name),
    }
}

impl Types<'_> {
    /// Names and types of parameters. `taken` is a name that is in use.
    pub(super) fn params(
        &self,
        function: &Function,
        depth: usize,
        mode: Mode,
        taken: &str,
    ) -> Result<(Vec<Ident>, Vec<TokenStream>)> {
        self.at_most(function.params.len(), "parameter lists")?;
        let names = function.params.iter().map(|param| {
            let name = snake(&param.name);
            if name == taken { prefixed("", format_args!("{name}_")) } else { name }
        });
        let types = function.params.iter().map(|param| self.write(&param.ty, depth, mode));
        Ok((names.collect(), types.collect::<Result<Vec<_>>>()?))
    }

    /// The type of a result; the unit if there is none.
    pub(super) fn result(&self, function: &Function, depth: usize) -> Result<TokenStream> {
        self.optional(function.result.as_ref(), depth)
    }

    fn optional(&self, ty: Option<&Type>, depth: usize) -> Result<TokenStream> {
        ty.map_or_else(|| Ok(quote!(())), |ty| self.write(ty, depth, Mode::Owned))
    }

    /// What a function of the host returns. `interfaces` are names of its interface in options.
    pub(super) fn returns(&self, function: &Function, interfaces: &[String]) -> Returns {
        if let Some(error) = self.error_of(function) {
            let names = self.type_names(error);
            let mut rows = self.options.trappable_errors.iter();
            if let Some(at) = rows.position(|(name, _)| names.contains(&name.value())) {
                return Returns::Converted(at);
            }
        }
        let full = interfaces.iter().map(|interface| format!("{interface}/{}", function.name));
        let full = if interfaces.is_empty() { vec![function.name.clone()] } else { full.collect() };
        let rows = &self.options.trappable;
        let named = |names: &[String]| {
            rows.iter().find(|(name, _)| name.as_ref().is_some_and(|name| names.contains(&name.value())))
        };
        let found = named(&full).or_else(|| named(interfaces)).or_else(|| rows.iter().find(|(name, _)| name.is_none()));
        if found.is_some_and(|(_, trappable)| *trappable) { Returns::Trappable } else { Returns::Plain }
    }

    /// The signature of a function of the host.
    pub(super) fn host_signature(
        &self,
        function: &Function,
        interfaces: &[String],
        depth: usize,
    ) -> Result<TokenStream> {
        let name = method_name(function);
        let (names, types) = self.params(function, depth, Mode::Owned, "")?;
        let result = match self.returns(function, interfaces) {
            Returns::Plain => self.result(function, depth)?,
            Returns::Trappable => {
                let result = self.result(function, depth)?;
                quote!(::wattest::Result<#result>)
            }
            Returns::Converted(at) => {
                let ok = self.result_of(function).and_then(|(ok, _)| ok);
                let (ok, up, error) = (self.optional(ok.as_ref(), depth)?, up(depth), error_alias(at));
                quote!(::core::result::Result<#ok, #up #error>)
            }
        };
        Ok(quote!(fn #name(&mut self, #(#names: #types),*) -> #result))
    }

    /// Parameters and results of an export, as types that it is looked up with.
    pub(super) fn export_types(&self, function: &Function, depth: usize) -> Result<[TokenStream; 2]> {
        let (_, params) = self.params(function, depth, Mode::Owned, "")?;
        let result = self.result(function, depth)?;
        let result = if function.result.is_some() { quote!((#result,)) } else { quote!(()) };
        Ok([quote!((#(#params,)*)), result])
    }

    /// Refuses the names that one module would have twice.
    pub(super) fn check_names<'f>(&self, functions: impl Iterator<Item = &'f Function>) -> Result<()> {
        let mut seen = std::collections::BTreeSet::new();
        for function in functions {
            let key = (function.kind.resource().map(|id| id.index()), method_name(function).to_string());
            if !seen.insert(key) {
                let text = format!("two functions that are one in Rust: `{}`", function.name);
                return Err(unsupported(self.options.world_span(), text));
            }
        }
        Ok(())
    }
}
