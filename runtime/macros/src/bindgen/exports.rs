//! Exports: the functions of instances, found once for a component and called with Rust types.
//!
//! Invariant: an index is looked up and its types are compared before there is an instance; a call compares nothing.
//! Functions of a resource take its handle first
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/WIT.md#item-resource)).
//!
//! Does not know: worlds.

use super::idents::{camel_text, prefixed, snake};
use super::types::{Mode, Types, docs};
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::Result;
use wit_parser::{Function, InterfaceId, TypeDefKind};

/// Exported functions, as parts of structs.
#[derive(Default)]
pub(super) struct Exported {
    /// Fields with indices.
    pub(super) indices: TokenStream,
    /// Their values, from `pre`.
    pub(super) find: TokenStream,
    /// Fields with functions.
    pub(super) funcs: TokenStream,
    /// Their values, from `self`, `store` and `instance`.
    pub(super) load: TokenStream,
}

/// The field of a function.
fn field(at: usize) -> Ident {
    prefixed("func", at)
}

impl Types<'_> {
    /// The fields for functions, which are exported under the name of an interface or by themselves.
    pub(super) fn export_fields(
        &self,
        functions: &[&Function],
        interface: Option<&str>,
        depth: usize,
    ) -> Result<Exported> {
        let mut code = Exported::default();
        for (at, function) in functions.iter().enumerate() {
            let (field, name) = (field(at), &function.name);
            let [params, results] = self.export_types(function, depth)?;
            let path = interface.iter().copied().chain([name.as_str()]);
            code.indices.extend(quote!(#field: ::wattest::component::ComponentExportIndex,));
            code.find.extend(quote!(#field: pre.typed_func_index::<#params, #results>([#(#path),*])?,));
            code.funcs.extend(quote!(#field: ::wattest::component::TypedFunc<#params, #results>,));
            code.load.extend(quote!(#field: instance.get_typed_func(&mut store, &self.#field)?,));
        }
        Ok(code)
    }

    /// The method that calls the function in a field of `this`.
    pub(super) fn call(&self, function: &Function, at: usize, this: &TokenStream, depth: usize) -> Result<TokenStream> {
        let (field, docs) = (field(at), docs(&function.docs));
        let name = match function.kind {
            wit_parser::FunctionKind::Constructor(_) => prefixed("", "call_constructor"),
            _ => prefixed("call_", snake(function.item_name()).to_string().trim_end_matches('_')),
        };
        let (names, types) = self.params(function, depth, Mode::Borrowed, "store")?;
        let result = self.result(function, depth)?;
        let [_, results] = self.export_types(function, depth)?;
        let found = if function.result.is_some() { quote!((result,)) } else { quote!(()) };
        let value = if function.result.is_some() { quote!(result) } else { quote!(()) };
        Ok(quote! {
            #docs
            pub fn #name(&self, store: impl ::wattest::AsContextMut, #(#names: #types),*) -> ::wattest::Result<#result> {
                let #found = #this.#field.call_as::<_, #results>(store, (#(#names,)*))?;
                ::core::result::Result::Ok(#value)
            }
        })
    }

    /// The module of an exported interface.
    pub(super) fn export_module(&self, id: InterfaceId, name: &str, depth: usize) -> Result<TokenStream> {
        let interface = &self.resolve.interfaces[id];
        let types = interface.types.values().map(|ty| self.define(*ty, Some(id), depth));
        let types = types.collect::<Result<TokenStream>>()?;
        let functions = interface.functions.values().collect::<Vec<_>>();
        self.check_names(functions.iter().copied())?;
        let Exported { indices, find, funcs, load } = self.export_fields(&functions, Some(name), depth)?;
        let (mut methods, mut resources) = (TokenStream::new(), TokenStream::new());
        for (at, function) in functions.iter().enumerate().filter(|(_, function)| function.kind.resource().is_none()) {
            methods.extend(self.call(function, at, &quote!(self), depth)?);
        }
        for (name, resource) in &interface.types {
            if !matches!(self.resolve.types[*resource].kind, TypeDefKind::Resource) {
                continue;
            }
            let (guest, getter) = (prefixed("Guest", camel_text(name)), snake(name));
            let own = functions.iter().enumerate().filter(|(_, function)| function.kind.resource() == Some(*resource));
            let own = own.map(|(at, function)| self.call(function, at, &quote!(self.guest), depth));
            let own = own.collect::<Result<TokenStream>>()?;
            let line = format!(" Functions of the resource `{name}`.");
            methods.extend(quote!(#[doc = #line] pub fn #getter(&self) -> #guest<'_> { #guest { guest: self } }));
            resources.extend(quote! {
                #[doc = #line]
                #[derive(Clone, Copy)]
                pub struct #guest<'a> {
                    guest: &'a Guest,
                }
                impl #guest<'_> {
                    #own
                }
            });
        }
        Ok(quote! {
            #types
            /// Functions of the interface of an instance.
            #[derive(Clone)]
            pub struct Guest {
                #funcs
            }
            /// Where a component has the interface.
            #[derive(Clone)]
            pub struct GuestIndices {
                #indices
            }
            impl GuestIndices {
                /// Looks the functions up.
                ///
                /// # Errors
                ///
                /// One is not there, or has other types.
                pub fn new<__T: 'static>(pre: &::wattest::component::InstancePre<__T>) -> ::wattest::Result<GuestIndices> {
                    ::core::result::Result::Ok(GuestIndices { #find })
                }
                /// The functions of an instance of that component.
                ///
                /// # Errors
                ///
                /// The instance is another component's or another store's.
                pub fn load(
                    &self,
                    mut store: impl ::wattest::AsContextMut,
                    instance: &::wattest::component::Instance,
                ) -> ::wattest::Result<Guest> {
                    ::core::result::Result::Ok(Guest { #load })
                }
            }
            impl Guest {
                #methods
            }
            #resources
        })
    }
}
