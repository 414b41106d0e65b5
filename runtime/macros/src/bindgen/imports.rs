//! Imports: the traits that a host implements, and what defines them in a linker.
//!
//! Invariant: a function of the host sees the store's data through the getter that the linker was given, once per call. A
//! resource has a trait of its own, with a `drop` that is called when a guest has dropped its last handle
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-resourcedrop)).
//!
//! Does not know: worlds.

use super::funcs::{Returns, error_alias, method_name};
use super::idents::{camel_text, prefixed, snake, type_name};
use super::modules::up;
use super::types::{Mode, Types, docs};
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use std::collections::BTreeSet;
use syn::Result;
use wit_parser::{Function, InterfaceId, TypeDefKind, TypeId};

/// Functions and resources that are imported together: an interface, or what a world has of its own.
pub(super) struct Imported<'f> {
    /// The trait.
    pub(super) name: Ident,
    pub(super) functions: Vec<&'f Function>,
    pub(super) resources: Vec<TypeId>,
    /// Names of the interface in options.
    pub(super) interfaces: Vec<String>,
    pub(super) depth: usize,
}

/// The traits, and the statements that define them in `instance`.
pub(super) struct HostCode {
    pub(super) traits: TokenStream,
    pub(super) link: TokenStream,
}

/// The trait for a resource.
fn resource_trait(name: &str) -> Ident {
    prefixed("Host", camel_text(name))
}

impl Types<'_> {
    /// The module of an imported interface.
    pub(super) fn import_module(&self, id: InterfaceId, name: &str, depth: usize) -> Result<TokenStream> {
        let interface = &self.resolve.interfaces[id];
        let types = interface.types.values().map(|ty| self.define(*ty, Some(id), depth));
        let types = types.collect::<Result<TokenStream>>()?;
        let resources = interface.types.values().copied();
        let imported = Imported {
            name: prefixed("", "Host"),
            functions: interface.functions.values().collect(),
            resources: resources.filter(|id| matches!(self.resolve.types[*id].kind, TypeDefKind::Resource)).collect(),
            interfaces: self.interface_names(id),
            depth,
        };
        let HostCode { traits, link } = self.host(&imported)?;
        Ok(quote! {
            #types
            #traits
            /// Defines the interface in a linker. `host_getter` finds what implements [`Host`] in the store's data.
            pub fn add_to_linker<__T: 'static, __D>(
                linker: &mut ::wattest::component::Linker<__T>,
                host_getter: fn(&mut __T) -> __D::Data<'_>,
            ) -> ::wattest::Result<()>
            where
                __D: ::wattest::component::HasData,
                for<'a> __D::Data<'a>: Host,
            {
                let mut instance = linker.instance(#name)?;
                #link
                ::core::result::Result::Ok(())
            }
        })
    }

    /// Traits and definitions of what is imported together.
    pub(super) fn host(&self, imported: &Imported<'_>) -> Result<HostCode> {
        self.check_names(imported.functions.iter().copied())?;
        let (mut traits, mut link, mut bounds) = (TokenStream::new(), TokenStream::new(), Vec::new());
        for resource in &imported.resources {
            let name = self.resolve.types[*resource].name.as_deref().unwrap_or_default();
            let (host, ty) = (resource_trait(name), type_name(name));
            let own = imported.functions.iter().copied().filter(|function| function.kind.resource() == Some(*resource));
            let functions = own.collect::<Vec<_>>();
            traits.extend(self.host_trait(imported, &host, &functions, &[], Some(&ty))?);
            link.extend(quote! {
                instance.resource(
                    #name,
                    ::wattest::component::ResourceType::host::<#ty>(),
                    move |mut caller, rep| {
                        let host = &mut host_getter(caller.data_mut());
                        #host::drop(host, ::wattest::component::Resource::new_own(rep))
                    },
                )?;
            });
            for function in functions {
                link.extend(self.link(imported, function, &host)?);
            }
            bounds.push(host);
        }
        let free = imported.functions.iter().copied().filter(|function| function.kind.resource().is_none());
        let free = free.collect::<Vec<_>>();
        traits.extend(self.host_trait(imported, &imported.name, &free, &bounds, None)?);
        for function in free {
            link.extend(self.link(imported, function, &imported.name)?);
        }
        Ok(HostCode { traits, link })
    }

    /// A trait and its impl for references. `resource` is the type that it is of.
    fn host_trait(
        &self,
        imported: &Imported<'_>,
        name: &Ident,
        functions: &[&Function],
        bounds: &[Ident],
        resource: Option<&Ident>,
    ) -> Result<TokenStream> {
        let (mut methods, mut forwards) = (TokenStream::new(), TokenStream::new());
        for function in functions {
            let signature = self.host_signature(function, &imported.interfaces, imported.depth)?;
            let (docs, method) = (docs(&function.docs), method_name(function));
            let (params, _) = self.params(function, imported.depth, Mode::Owned, "")?;
            methods.extend(quote!(#docs #signature;));
            forwards.extend(quote!(#signature { #name::#method(*self, #(#params),*) }));
        }
        if let Some(ty) = resource {
            let signature = quote! {
                fn drop(&mut self, rep: ::wattest::component::Resource<#ty>) -> ::wattest::Result<()>
            };
            methods.extend(quote!(#[doc = " A guest dropped its last handle of the resource."] #signature;));
            forwards.extend(quote!(#signature { #name::drop(*self, rep) }));
        } else {
            let (converts, converted) = self.converts(imported);
            methods.extend(converts);
            forwards.extend(converted);
        }
        Ok(quote! {
            pub trait #name: #(#bounds +)* {
                #methods
            }
            impl<__T: #name + ?Sized> #name for &mut __T {
                #forwards
            }
        })
    }

    /// Conversions of errors of the host's own that functions return.
    fn converts(&self, imported: &Imported<'_>) -> (TokenStream, TokenStream) {
        let (mut methods, mut forwards) = (TokenStream::new(), TokenStream::new());
        let mut seen = BTreeSet::new();
        for function in &imported.functions {
            let (Some(error), Returns::Converted(at)) =
                (self.error_of(function), self.returns(function, &imported.interfaces))
            else {
                continue;
            };
            if seen.insert(at) {
                let (name, up) = (self.convert_name(error), up(imported.depth));
                let (alias, path, host) = (error_alias(at), self.path(error, imported.depth), &imported.name);
                let signature = quote!(fn #name(&mut self, error: #up #alias) -> ::wattest::Result<#path>);
                let line = " What a guest gets of an error of the host's own; an error is a trap.";
                methods.extend(quote!(#[doc = #line] #signature;));
                forwards.extend(quote!(#signature { #host::#name(*self, error) }));
            }
        }
        (methods, forwards)
    }

    fn convert_name(&self, error: TypeId) -> Ident {
        prefixed("convert_", snake(self.resolve.types[error].name.as_deref().unwrap_or_default()))
    }

    /// The definition of a function in `instance`.
    fn link(&self, imported: &Imported<'_>, function: &Function, host: &Ident) -> Result<TokenStream> {
        let (name, method) = (&function.name, method_name(function));
        let (_, types) = self.params(function, imported.depth, Mode::Owned, "")?;
        let args = (0..types.len()).map(|at| prefixed("arg", at)).collect::<Vec<_>>();
        let call = quote!(#host::#method(host, #(#args),*));
        let result = match (self.returns(function, &imported.interfaces), function.result.is_some()) {
            (Returns::Plain, true) => quote!(::core::result::Result::Ok((#call,))),
            (Returns::Plain, false) => quote!(::core::result::Result::Ok(#call)),
            (Returns::Trappable, true) => quote!(::core::result::Result::Ok((#call?,))),
            (Returns::Trappable, false) => call,
            (Returns::Converted(_), _) => {
                let convert = self.error_of(function).map(|error| self.convert_name(error));
                let outer = &imported.name;
                quote! {
                    ::core::result::Result::Ok((match #call {
                        ::core::result::Result::Ok(ok) => ::core::result::Result::Ok(ok),
                        ::core::result::Result::Err(error) => {
                            ::core::result::Result::Err(#outer::#convert(host, error)?)
                        }
                    },))
                }
            }
        };
        let output = self.result(function, imported.depth)?;
        let output = if function.result.is_some() { quote!((#output,)) } else { quote!(()) };
        Ok(quote! {
            instance.func_wrap(
                #name,
                move |mut caller: ::wattest::StoreContextMut<'_, __T>, (#(#args,)*): (#(#types,)*)|
                    -> ::wattest::Result<#output> {
                    let host = &mut host_getter(caller.data_mut());
                    #result
                },
            )?;
        })
    }
}
