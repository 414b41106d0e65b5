//! A world: its struct, and everything below.
//!
//! Invariant: what can be looked up without an instance is in `…Pre`; `instantiate` of it only instantiates and resolves
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/WIT.md#wit-worlds)).
//!
//! Does not know: how an interface is generated.

use super::exports::Exported;
use super::funcs::error_alias;
use super::idents::{camel_text, prefixed};
use super::imports::{HostCode, Imported};
use super::modules::{Modules, Places, quiet};
use super::options::Options;
use super::source::Source;
use super::types::{Types, docs};
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Error, Result};
use wit_parser::{Function, TypeDefKind, World, WorldItem};

/// Everything for a world.
///
/// # Errors
///
/// Something is not supported, or an option names what is not there.
pub(super) fn generate(source: &Source, options: &Options) -> Result<TokenStream> {
    let world = &source.resolve.worlds[source.world];
    let places = Places::new(&source.resolve, world, options);
    let types = Types::new(&source.resolve, source.world, &places, options);
    types.check_options(world)?;
    let mut modules = Modules::default();
    for place in world.imports.values().chain(world.exports.values()) {
        let WorldItem::Interface { id, .. } = place else { continue };
        let Some(place) = places.interfaces.get(id).filter(|place| !place.remapped) else { continue };
        let depth = place.path.len();
        let code = match place.exported {
            true => types.export_module(*id, &place.name, depth)?,
            false => types.import_module(*id, &place.name, depth)?,
        };
        modules.insert(&place.path, code);
    }
    let root = types.root(world)?;
    let modules = modules.text(0);
    let (quiet, aliases) = (quiet(), places.aliases()?);
    let errors = options.trappable_errors.iter().enumerate().map(|(at, (_, path))| {
        let alias = error_alias(at);
        quote!(#quiet use #path as #alias;)
    });
    Ok(quote!(#aliases #(#errors)* #modules #root))
}

/// Functions of a world itself.
fn functions<'w>(items: impl Iterator<Item = &'w WorldItem>) -> Vec<&'w Function> {
    let functions = items.filter_map(|item| match item {
        WorldItem::Function(function) => Some(function),
        _ => None,
    });
    functions.collect()
}

/// Names of what is generated for a world.
struct Names {
    world: Ident,
    pre: Ident,
    indices: Ident,
    imports: Ident,
}

impl Types<'_> {
    /// Refuses names in options that the world does not have.
    fn check_options(&self, world: &World) -> Result<()> {
        let mut known =
            functions(world.imports.values()).iter().map(|function| function.name.clone()).collect::<Vec<_>>();
        let mut errors = Vec::new();
        for item in world.imports.values() {
            let WorldItem::Interface { id, .. } = item else { continue };
            let interface = &self.resolve.interfaces[*id];
            for name in self.interface_names(*id) {
                known.extend(interface.functions.keys().map(|function| format!("{name}/{function}")));
                errors.extend(interface.types.keys().map(|ty| format!("{name}/{ty}")));
                known.push(name);
            }
        }
        let trappable = self.options.trappable.iter().filter_map(|(name, _)| name.as_ref());
        let trappable = trappable.filter(|name| !known.contains(&name.value()));
        let types = self.options.trappable_errors.iter().map(|(name, _)| name);
        let types = types.filter(|name| !errors.contains(&name.value()));
        match trappable.chain(types).next() {
            Some(name) => Err(Error::new(name.span(), format!("the world imports nothing called `{}`", name.value()))),
            None => Ok(()),
        }
    }

    /// What lies beside the modules.
    fn root(&self, world: &World) -> Result<TokenStream> {
        let text = camel_text(&world.name);
        let names = Names {
            world: prefixed("", &text),
            pre: prefixed(&text, "Pre"),
            indices: prefixed(&text, "Indices"),
            imports: prefixed(&text, "Imports"),
        };
        let items = world.imports.values().chain(world.exports.values());
        let own = items.filter_map(|item| match item {
            WorldItem::Type { id, .. } => Some(*id),
            _ => None,
        });
        let own = own.collect::<Vec<_>>();
        let definitions = own.iter().map(|id| self.define(*id, None, 0)).collect::<Result<Vec<_>>>()?;
        let resources = own.into_iter().filter(|id| matches!(self.resolve.types[*id].kind, TypeDefKind::Resource));
        let imported = Imported {
            name: names.imports.clone(),
            functions: functions(world.imports.values()),
            resources: resources.collect(),
            interfaces: Vec::new(),
            depth: 0,
        };
        let anything = !imported.functions.is_empty() || !imported.resources.is_empty();
        let host = if anything { Some(self.host(&imported)?) } else { None };
        let traits = host.as_ref().map(|host| &host.traits);
        let exports = functions(world.exports.values());
        self.check_names(exports.iter().copied())?;
        let (structs, impls) = self.structs(world, &names, &exports)?;
        let linking = self.linking(world, &names, host.as_ref());
        let quiet = quiet();
        // One scope for lints, without a module that paths would have to go through.
        let body = quote!(#(#definitions)* #traits #structs #impls #linking);
        let items = syn::parse2::<syn::File>(body)?.items;
        Ok(quote!(#(#quiet #items)*))
    }

    /// The structs of the world, and what they are made with.
    fn structs(&self, world: &World, names: &Names, exports: &[&Function]) -> Result<(TokenStream, TokenStream)> {
        let Names { world: name, pre, indices, .. } = names;
        let Exported { indices: mut index_fields, mut find, mut funcs, mut load } =
            self.export_fields(exports, None, 0)?;
        let calls = exports.iter().enumerate().map(|(at, function)| self.call(function, at, &quote!(self), 0));
        let mut methods = calls.collect::<Result<TokenStream>>()?;
        let interfaces = world.exports.values().filter_map(|item| match item {
            WorldItem::Interface { id, .. } => self.places.interfaces.get(id),
            _ => None,
        });
        for (at, place) in interfaces.enumerate() {
            let (field, path) = (prefixed("interface", at), &place.path);
            // Without `exports`.
            let getter = path.iter().skip(1).map(Ident::to_string).collect::<Vec<_>>().join("_");
            let getter = prefixed("", getter);
            index_fields.extend(quote!(#field: #(#path::)* GuestIndices,));
            find.extend(quote!(#field: #(#path::)* GuestIndices::new(pre)?,));
            funcs.extend(quote!(#field: #(#path::)* Guest,));
            load.extend(quote!(#field: self.#field.load(&mut store, instance)?,));
            let line = format!(" The interface `{}`.", place.name);
            methods.extend(quote!(#[doc = #line] pub fn #getter(&self) -> &#(#path::)* Guest { &self.#field }));
        }
        let (docs, text) = (docs(&world.docs), format!("`{}`", world.name));
        let lines = [
            format!(" An instance of a component of the world {text}."),
            format!(" A component of the world {text} whose imports are resolved and whose exports were found."),
            format!(" Where a component of the world {text} has its exports."),
        ];
        let [line, pre_line, indices_line] = &lines;
        let structs = quote! {
            #[doc = #line]
            #docs
            #[derive(Clone)]
            pub struct #name { #funcs }
            #[doc = #pre_line]
            pub struct #pre<__T: 'static> {
                instance_pre: ::wattest::component::InstancePre<__T>,
                indices: #indices,
            }
            #[doc = #indices_line]
            #[derive(Clone)]
            pub struct #indices { #index_fields }
        };
        Ok((structs, impls(names, &find, &load, &methods)))
    }

    /// What defines everything that the world imports; nothing if it imports nothing.
    fn linking(&self, world: &World, names: &Names, host: Option<&HostCode>) -> TokenStream {
        let places = world.imports.values().filter_map(|item| match item {
            WorldItem::Interface { id, .. } => self.places.interfaces.get(id).filter(|place| !place.remapped),
            _ => None,
        });
        let paths = places.map(|place| &place.path).map(|path| quote!(#(#path::)*)).collect::<Vec<_>>();
        if paths.is_empty() && host.is_none() {
            return TokenStream::new();
        }
        let (name, imports) = (&names.world, &names.imports);
        let own = host.map(|HostCode { link, .. }| {
            quote! {
                /// Defines the functions and resources that the world imports outside of interfaces.
                ///
                /// # Errors
                ///
                /// A name is defined already.
                pub fn add_to_linker_imports<__T: 'static, __D>(
                    linker: &mut ::wattest::component::Linker<__T>,
                    host_getter: fn(&mut __T) -> __D::Data<'_>,
                ) -> ::wattest::Result<()>
                where
                    __D: ::wattest::component::HasData,
                    for<'a> __D::Data<'a>: #imports,
                {
                    let mut instance = linker.root();
                    #link
                    ::core::result::Result::Ok(())
                }
            }
        });
        let (bound, call) = match host {
            Some(_) => (quote!(#imports +), quote!(Self::add_to_linker_imports::<__T, __D>(linker, host_getter)?;)),
            None => (TokenStream::new(), TokenStream::new()),
        };
        quote! {
            impl #name {
                #own
                /// Defines everything that the world imports, but for interfaces that `with` replaces. `host_getter` finds
                /// what implements the traits in the store's data.
                ///
                /// # Errors
                ///
                /// A name is defined already.
                pub fn add_to_linker<__T: 'static, __D>(
                    linker: &mut ::wattest::component::Linker<__T>,
                    host_getter: fn(&mut __T) -> __D::Data<'_>,
                ) -> ::wattest::Result<()>
                where
                    __D: ::wattest::component::HasData,
                    for<'a> __D::Data<'a>: #bound #(#paths Host +)*,
                {
                    #call
                    #(#paths add_to_linker::<__T, __D>(linker, host_getter)?;)*
                    ::core::result::Result::Ok(())
                }
            }
        }
    }
}

/// The impls of the structs of a world.
fn impls(names: &Names, find: &TokenStream, load: &TokenStream, methods: &TokenStream) -> TokenStream {
    let Names { world: name, pre, indices, .. } = names;
    quote! {
        impl<__T: 'static> ::core::clone::Clone for #pre<__T> {
            fn clone(&self) -> Self {
                Self { instance_pre: self.instance_pre.clone(), indices: self.indices.clone() }
            }
        }
        impl<__T: 'static> #pre<__T> {
            /// Looks up what the world exports.
            ///
            /// # Errors
            ///
            /// An export is not there, or has other types.
            pub fn new(instance_pre: ::wattest::component::InstancePre<__T>) -> ::wattest::Result<Self> {
                let indices = #indices::new(&instance_pre)?;
                ::core::result::Result::Ok(Self { instance_pre, indices })
            }
            /// The component with its imports.
            pub fn instance_pre(&self) -> &::wattest::component::InstancePre<__T> {
                &self.instance_pre
            }
            /// The engine of the component.
            pub fn engine(&self) -> &::wattest::Engine {
                self.instance_pre.component().engine()
            }
            /// Instantiates the component.
            ///
            /// # Errors
            ///
            /// A limit of the store, or a start function that traps.
            pub fn instantiate(
                &self,
                mut store: impl ::wattest::AsContextMut<Data = __T>,
            ) -> ::wattest::Result<#name> {
                let instance = self.instance_pre.instantiate(&mut store)?;
                self.indices.load(&mut store, &instance)
            }
        }
        impl #indices {
            /// Looks up what the world exports.
            ///
            /// # Errors
            ///
            /// An export is not there, or has other types.
            pub fn new<__T: 'static>(pre: &::wattest::component::InstancePre<__T>) -> ::wattest::Result<Self> {
                ::core::result::Result::Ok(Self { #find })
            }
            /// The exports of an instance of the component.
            ///
            /// # Errors
            ///
            /// The instance is another component's or another store's.
            pub fn load(
                &self,
                mut store: impl ::wattest::AsContextMut,
                instance: &::wattest::component::Instance,
            ) -> ::wattest::Result<#name> {
                ::core::result::Result::Ok(#name { #load })
            }
        }
        impl #name {
            /// Instantiates a component with what a linker has.
            ///
            /// # Errors
            ///
            /// Imports that are missing or of another type, exports likewise, a limit of the store, or a start function
            /// that traps.
            pub fn instantiate<__T: 'static>(
                store: impl ::wattest::AsContextMut<Data = __T>,
                component: &::wattest::component::Component,
                linker: &::wattest::component::Linker<__T>,
            ) -> ::wattest::Result<Self> {
                #pre::new(linker.instantiate_pre(component)?)?.instantiate(store)
            }
            #methods
        }
    }
}
