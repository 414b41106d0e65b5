//! Where generated code lies: the module of each interface, or what stands for it, and the tree of modules.
//!
//! Invariant: paths in generated code begin at the module that the macro was invoked in, by as many `super` as it takes; no
//! two interfaces of a world share a module.
//!
//! Does not know: what is in a module.

use super::idents::{prefixed, snake};
use super::options::Options;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use std::cell::Cell;
use std::collections::BTreeMap;
use syn::{Error, Result};
use wit_parser::{InterfaceId, PackageName, Resolve, World, WorldItem, WorldKey};

/// What lints are not for: names and shapes come from WIT.
pub(super) fn quiet() -> TokenStream {
    quote! {
        #[allow(
            dead_code, missing_docs, missing_debug_implementations, non_camel_case_types, private_interfaces, unreachable_pub,
            unused, clippy::all, clippy::nursery, clippy::pedantic, clippy::restriction, rustdoc::all,
            reason = "generated from WIT"
        )]
    }
}

/// An interface of a world.
pub(super) struct Place {
    /// Its module, from where the macro was invoked.
    pub(super) path: Vec<Ident>,
    /// Its name in the binary.
    pub(super) name: String,
    pub(super) exported: bool,
    /// Its code is elsewhere: `with` names it.
    pub(super) remapped: bool,
}

/// The places of all interfaces, and what `with` and other options name.
pub(super) struct Places<'a> {
    pub(super) interfaces: BTreeMap<InterfaceId, Place>,
    with: &'a [(syn::LitStr, syn::Path)],
    used: Vec<Cell<bool>>,
}

/// The alias of a path that an option has.
fn alias(at: usize) -> Ident {
    prefixed("__with_name", at)
}

impl<'a> Places<'a> {
    pub(super) fn new(resolve: &Resolve, world: &World, options: &'a Options) -> Places<'a> {
        let used = options.with.iter().map(|_| Cell::new(false)).collect();
        let mut places = Places { interfaces: BTreeMap::new(), with: &options.with, used };
        for (items, exported) in [(&world.imports, false), (&world.exports, true)] {
            for (key, item) in items {
                if let WorldItem::Interface { id, .. } = item {
                    let place = places.place(resolve, key, exported);
                    places.interfaces.insert(*id, place);
                }
            }
        }
        places
    }

    fn place(&self, resolve: &Resolve, key: &WorldKey, exported: bool) -> Place {
        let name = resolve.name_world_key(key);
        let package = match key {
            WorldKey::Interface(id) => resolve.interfaces[*id].package,
            WorldKey::Name(_) => None,
        };
        let package = package.map(|package| &resolve.packages[package].name);
        let interface = match key {
            WorldKey::Interface(id) => resolve.interfaces[*id].name.clone().unwrap_or_default(),
            WorldKey::Name(name) => name.clone(),
        };
        if !exported && let Some(path) = self.remapped(package, &interface) {
            return Place { path, name, exported, remapped: true };
        }
        let mut path = Vec::new();
        path.extend(exported.then(|| snake("exports")));
        path.extend(
            package.into_iter().flat_map(|package| [snake(&package.namespace), package_module(resolve, package)]),
        );
        path.push(snake(&interface));
        Place { path, name, exported, remapped: false }
    }

    /// What `with` has for an interface, its package or its namespace.
    fn remapped(&self, package: Option<&PackageName>, interface: &str) -> Option<Vec<Ident>> {
        let Some(package) = package else { return self.find(&[interface.to_owned()]).map(|at| vec![alias(at)]) };
        let (plain, versioned) = (format!("{}:{}", package.namespace, package.name), package.to_string());
        let (name, module) = (snake(interface), snake(&package.name));
        let full = [package.interface_id(interface), format!("{plain}/{interface}")];
        self.find(&full)
            .map(|at| vec![alias(at)])
            .or_else(|| self.find(&[versioned, plain]).map(|at| vec![alias(at), name.clone()]))
            .or_else(|| self.find(std::slice::from_ref(&package.namespace)).map(|at| vec![alias(at), module, name]))
    }

    /// The row of `with` with one of these names.
    fn find(&self, names: &[String]) -> Option<usize> {
        let at = self.with.iter().position(|(name, _)| names.contains(&name.value()))?;
        self.used[at].set(true);
        Some(at)
    }

    /// What `with` has for a type of an interface: the alias of its path.
    pub(super) fn remapped_type(&self, interfaces: &[String], name: &str) -> Option<Ident> {
        let names = interfaces.iter().map(|interface| format!("{interface}/{name}"));
        self.find(&names.collect::<Vec<_>>()).map(alias)
    }

    /// The aliases of what `with` names, at the root.
    ///
    /// # Errors
    ///
    /// A row that names nothing of the world.
    pub(super) fn aliases(&self) -> Result<TokenStream> {
        let mut errors = None::<Error>;
        for ((name, _), used) in self.with.iter().zip(&self.used) {
            if !used.get() {
                let text = format!("the world imports nothing called `{}`", name.value());
                let error = Error::new(name.span(), text);
                match &mut errors {
                    Some(errors) => errors.combine(error),
                    None => errors = Some(error),
                }
            }
        }
        let quiet = quiet();
        let names = (0..self.with.len()).map(alias);
        let paths = self.with.iter().map(|(_, path)| path);
        errors.map_or_else(|| Ok(quote!(#(#quiet use #paths as #names;)*)), Err)
    }
}

/// The module of a package: with its version, if there are several.
fn package_module(resolve: &Resolve, package: &PackageName) -> Ident {
    let same = resolve
        .package_names
        .keys()
        .filter(|other| (&other.namespace, &other.name) == (&package.namespace, &package.name));
    match (&package.version, same.count()) {
        (Some(version), 2..) => {
            let version = version.to_string().replace(['.', '-', '+'], "_");
            prefixed("", format!("{}{version}", package.name.replace('-', "_")))
        }
        _ => snake(&package.name),
    }
}

/// Up from a module with so many modules around it.
pub(super) fn up(depth: usize) -> TokenStream {
    std::iter::repeat_n(quote!(super::), depth).collect()
}

/// Modules within modules.
#[derive(Default)]
pub(super) struct Modules {
    children: Vec<(Ident, Modules)>,
    body: TokenStream,
}

impl Modules {
    /// Puts code into a module.
    pub(super) fn insert(&mut self, path: &[Ident], code: TokenStream) {
        let Some((first, rest)) = path.split_first() else { return self.body.extend(code) };
        let at = self.children.iter().position(|(name, _)| name == first).unwrap_or_else(|| {
            self.children.push((first.clone(), Modules::default()));
            self.children.len() - 1
        });
        self.children[at].1.insert(rest, code);
    }

    /// The modules, each in its parent.
    pub(super) fn text(&self, depth: usize) -> TokenStream {
        let quiet = if depth == 0 { quiet() } else { TokenStream::new() };
        let children = self.children.iter().map(|(name, module)| {
            let text = module.text(depth + 1);
            quote!(#quiet pub mod #name { #text })
        });
        let body = &self.body;
        quote!(#body #(#children)*)
    }
}
