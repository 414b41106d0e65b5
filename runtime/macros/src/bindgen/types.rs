//! Types of WIT as types of Rust: how they are written, and how they are defined.
//!
//! | WIT | Rust |
//! |---|---|
//! | `string`, `list`, `map` | `String`, `Vec`, `BTreeMap`; as parameters of exports `&str`, `&[T]`, `&BTreeMap` |
//! | `list<T, 4>` | `[T; 4]` |
//! | `option`, `result`, `tuple` | `Option`, `Result`, tuples |
//! | `record`, `variant`, `enum` | a struct or an enum with the derives |
//! | `flags` | a set of bits with constants |
//! | handles of imported resources | `Resource<T>` |
//! | handles of exported resources | `ResourceAny` |
//!
//! Invariant: a type of the world has one definition
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/WIT.md#wit-types)); another interface that
//! uses it has an alias.
//!
//! Does not know: functions.

use super::flags::flags;
use super::idents::{camel, prefixed, snake, type_name};
use super::modules::{Place, Places, up};
use super::options::Options;
use super::unsupported;
use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;
use std::collections::BTreeSet;
use syn::Result;
use wit_parser::{
    Docs, Function, Handle, InterfaceId, Resolve, Type, TypeDef, TypeDefKind, TypeId, TypeOwner, WorldId, WorldItem,
};

/// Labels of flags: they are one core value.
const FLAGS_MAX: usize = 32;

/// How a type is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// As something that can be kept.
    Owned,
    /// As what a call only looks at.
    Borrowed,
}

/// What is in a type.
#[derive(Clone, Copy, Default)]
struct Facts {
    /// Something on the heap.
    heap: bool,
    /// A handle of the host's, which cannot be copied.
    handle: bool,
    float: bool,
}

impl std::ops::BitOr for Facts {
    type Output = Facts;
    fn bitor(self, other: Facts) -> Facts {
        Facts { heap: self.heap | other.heap, handle: self.handle | other.handle, float: self.float | other.float }
    }
}

/// The types of a world.
pub(super) struct Types<'a> {
    pub(super) resolve: &'a Resolve,
    pub(super) places: &'a Places<'a>,
    pub(super) options: &'a Options,
    /// What functions return as errors.
    errors: BTreeSet<TypeId>,
}

/// Doc comments.
pub(super) fn docs(docs: &Docs) -> TokenStream {
    let lines = docs.contents.iter().flat_map(|text| text.lines()).map(|line| format!(" {line}"));
    quote!(#(#[doc = #lines])*)
}

impl<'a> Types<'a> {
    pub(super) fn new(resolve: &'a Resolve, world: WorldId, places: &'a Places<'a>, options: &'a Options) -> Types<'a> {
        let mut types = Types { resolve, places, options, errors: BTreeSet::new() };
        let items = resolve.worlds[world].imports.values().chain(resolve.worlds[world].exports.values());
        let functions = items.flat_map(|item| match item {
            WorldItem::Interface { id, .. } => resolve.interfaces[*id].functions.values().collect(),
            WorldItem::Function(function) => vec![function],
            WorldItem::Type { .. } => Vec::new(),
        });
        types.errors = functions.filter_map(|function| types.error_of(function)).collect();
        types
    }

    /// The definition behind aliases.
    pub(super) fn dealias(&self, mut id: TypeId) -> TypeId {
        while let TypeDefKind::Type(Type::Id(next)) = self.resolve.types[id].kind {
            id = next;
        }
        id
    }

    /// The parts of the `result` that a function returns, if it does.
    pub(super) fn result_of(&self, function: &Function) -> Option<(Option<Type>, Option<Type>)> {
        let Some(Type::Id(id)) = function.result else { return None };
        match &self.resolve.types[self.dealias(id)].kind {
            TypeDefKind::Result(result) => Some((result.ok, result.err)),
            _ => None,
        }
    }

    /// The definition of the error that a function returns, if it has one.
    pub(super) fn error_of(&self, function: &Function) -> Option<TypeId> {
        match self.result_of(function)?.1? {
            Type::Id(id) => Some(self.dealias(id)).filter(|id| self.resolve.types[*id].name.is_some()),
            _ => None,
        }
    }

    fn place(&self, owner: TypeOwner) -> Option<&Place> {
        match owner {
            TypeOwner::Interface(id) => self.places.interfaces.get(&id),
            TypeOwner::World(_) | TypeOwner::None => None,
        }
    }

    /// The names of an interface in options: with its version and without.
    pub(super) fn interface_names(&self, id: InterfaceId) -> Vec<String> {
        let name = self.places.interfaces.get(&id).map(|place| place.name.clone()).unwrap_or_default();
        let plain = name.split('@').next().map(str::to_owned);
        [name].into_iter().chain(plain).collect()
    }

    /// The names of a type in options.
    pub(super) fn type_names(&self, id: TypeId) -> Vec<String> {
        let ty = &self.resolve.types[id];
        let name = ty.name.clone().unwrap_or_default();
        match ty.owner {
            TypeOwner::Interface(id) => {
                self.interface_names(id).iter().map(|interface| format!("{interface}/{name}")).collect()
            }
            TypeOwner::World(_) | TypeOwner::None => vec![name],
        }
    }

    /// The path of a type with a name.
    pub(super) fn path(&self, id: TypeId, depth: usize) -> TokenStream {
        let ty = &self.resolve.types[id];
        let name = type_name(ty.name.as_deref().unwrap_or_default());
        let up = up(depth);
        let path = self.place(ty.owner).map(|place| place.path.as_slice()).unwrap_or_default();
        quote!(#up #(#path::)* #name)
    }

    /// Whether a resource is one that the world exports.
    fn exported(&self, resource: TypeId) -> bool {
        self.place(self.resolve.types[resource].owner).is_some_and(|place| place.exported)
    }

    fn facts(&self, ty: &Type) -> Facts {
        let of = |ty: &Option<Type>| ty.as_ref().map(|ty| self.facts(ty)).unwrap_or_default();
        let all = |facts: &mut dyn Iterator<Item = Facts>| facts.fold(Facts::default(), |a, b| a | b);
        let heap = Facts { heap: true, ..Facts::default() };
        let id = match ty {
            Type::String => return heap,
            Type::F32 | Type::F64 => return Facts { float: true, ..Facts::default() },
            Type::Id(id) => *id,
            _ => return Facts::default(),
        };
        match &self.resolve.types[id].kind {
            TypeDefKind::Record(record) => all(&mut record.fields.iter().map(|field| self.facts(&field.ty))),
            TypeDefKind::Tuple(tuple) => all(&mut tuple.types.iter().map(|ty| self.facts(ty))),
            TypeDefKind::Variant(variant) => all(&mut variant.cases.iter().map(|case| of(&case.ty))),
            TypeDefKind::Result(result) => of(&result.ok) | of(&result.err),
            TypeDefKind::Option(ty) | TypeDefKind::Type(ty) | TypeDefKind::FixedLengthList(ty, _) => self.facts(ty),
            TypeDefKind::List(ty) => heap | self.facts(ty),
            TypeDefKind::Map(key, value) => heap | self.facts(key) | self.facts(value),
            TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => {
                Facts { handle: !self.exported(self.dealias(*id)), ..Facts::default() }
            }
            _ => Facts::default(),
        }
    }

    /// A type as it is written in a module with so many modules around it.
    ///
    /// # Errors
    ///
    /// It is not supported.
    pub(super) fn write(&self, ty: &Type, depth: usize, mode: Mode) -> Result<TokenStream> {
        Ok(match ty {
            Type::Bool => quote!(bool),
            Type::U8 => quote!(u8),
            Type::U16 => quote!(u16),
            Type::U32 => quote!(u32),
            Type::U64 => quote!(u64),
            Type::S8 => quote!(i8),
            Type::S16 => quote!(i16),
            Type::S32 => quote!(i32),
            Type::S64 => quote!(i64),
            Type::F32 => quote!(f32),
            Type::F64 => quote!(f64),
            Type::Char => quote!(char),
            Type::String if mode == Mode::Owned => quote!(::std::string::String),
            Type::String => quote!(&str),
            Type::ErrorContext => return Err(unsupported(self.options.world_span(), "`error-context`")),
            Type::Id(id) => return self.write_def(*id, depth, mode),
        })
    }

    fn write_def(&self, id: TypeId, depth: usize, mode: Mode) -> Result<TokenStream> {
        let ty = &self.resolve.types[id];
        let nominal = matches!(
            self.resolve.types[self.dealias(id)].kind,
            TypeDefKind::Record(_) | TypeDefKind::Variant(_) | TypeDefKind::Enum(_) | TypeDefKind::Flags(_)
        );
        let heap = self.facts(&Type::Id(id)).heap;
        if ty.name.is_some() && (nominal || mode == Mode::Owned) {
            let path = self.path(id, depth);
            return Ok(if heap && mode == Mode::Borrowed { quote!(&#path) } else { path });
        }
        self.write_kind(&ty.kind, depth, mode, heap)
    }

    /// A type by what it is.
    fn write_kind(&self, kind: &TypeDefKind, depth: usize, mode: Mode, heap: bool) -> Result<TokenStream> {
        let inner = |ty: &Type| self.write(ty, depth, mode);
        let owned = |ty: &Type| self.write(ty, depth, Mode::Owned);
        let payload = |ty: &Option<Type>| ty.as_ref().map_or_else(|| Ok(quote!(())), inner);
        Ok(match kind {
            TypeDefKind::Type(ty) => inner(ty)?,
            TypeDefKind::Option(ty) => {
                let ty = inner(ty)?;
                quote!(::core::option::Option<#ty>)
            }
            TypeDefKind::Result(result) => {
                let (ok, err) = (payload(&result.ok)?, payload(&result.err)?);
                quote!(::core::result::Result<#ok, #err>)
            }
            TypeDefKind::Tuple(tuple) => {
                self.at_most(tuple.types.len(), "tuples")?;
                let types = tuple.types.iter().map(inner).collect::<Result<Vec<_>>>()?;
                quote!((#(#types,)*))
            }
            TypeDefKind::List(ty) => {
                let ty = owned(ty)?;
                if mode == Mode::Owned { quote!(::std::vec::Vec<#ty>) } else { quote!(&[#ty]) }
            }
            TypeDefKind::Map(key, value) => {
                let (key, value) = (owned(key)?, owned(value)?);
                let map = quote!(::std::collections::BTreeMap<#key, #value>);
                if mode == Mode::Owned { map } else { quote!(&#map) }
            }
            TypeDefKind::FixedLengthList(ty, count) => {
                let (ty, count) = (owned(ty)?, Literal::u32_unsuffixed(*count));
                if heap && mode == Mode::Borrowed { quote!(&[#ty; #count]) } else { quote!([#ty; #count]) }
            }
            TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => self.write_handle(self.dealias(*id), depth),
            other => return Err(unsupported(self.options.world_span(), format_args!("`{}` here", other.as_str()))),
        })
    }

    fn write_handle(&self, resource: TypeId, depth: usize) -> TokenStream {
        if self.exported(resource) {
            return quote!(::wattest::component::ResourceAny);
        }
        let path = self.path(resource, depth);
        quote!(::wattest::component::Resource<#path>)
    }

    /// What is a tuple in Rust has a limit.
    pub(super) fn at_most(&self, count: usize, what: &str) -> Result<()> {
        const MEMBERS_MAX: usize = 16;
        if count <= MEMBERS_MAX {
            return Ok(());
        }
        Err(unsupported(self.options.world_span(), format_args!("{what} of {count} types: {MEMBERS_MAX} is the limit")))
    }

    /// Defines a type, or gives it a name.
    ///
    /// # Errors
    ///
    /// It is not supported.
    pub(super) fn define(&self, id: TypeId, interface: Option<InterfaceId>, depth: usize) -> Result<TokenStream> {
        let ty = &self.resolve.types[id];
        let text = ty.name.as_deref().unwrap_or_default();
        let (name, docs) = (type_name(text), docs(&ty.docs));
        let names = interface.map_or_else(|| vec!["$root".to_owned()], |id| self.interface_names(id));
        let exported = interface.is_some_and(|id| self.places.interfaces.get(&id).is_some_and(|place| place.exported));
        if !exported && let Some(alias) = self.places.remapped_type(&names, text) {
            let up = up(depth);
            return Ok(quote!(#docs pub type #name = #up #alias;));
        }
        let aliased = match &ty.kind {
            TypeDefKind::Resource if exported => quote!(::wattest::component::ResourceAny),
            // Nothing is ever made of it: it tells handles of resources apart.
            TypeDefKind::Resource => return Ok(quote!(#docs pub enum #name {})),
            TypeDefKind::Record(_) | TypeDefKind::Variant(_) | TypeDefKind::Enum(_) | TypeDefKind::Flags(_) => {
                let definition = self.define_nominal(id, &name, depth)?;
                let error = self.errors.contains(&id).then(|| error_impls(&name));
                return Ok(quote!(#definition #error));
            }
            // The alias of a resource stands for the resource, not for a handle.
            TypeDefKind::Type(Type::Id(target)) if self.resolve.types[*target].name.is_some() => {
                self.path(*target, depth)
            }
            kind => self.write_kind(kind, depth, Mode::Owned, false)?,
        };
        Ok(quote!(#docs pub type #name = #aliased;))
    }

    /// Defines a type that is one of its own in Rust.
    fn define_nominal(&self, id: TypeId, name: &Ident, depth: usize) -> Result<TokenStream> {
        let ty = &self.resolve.types[id];
        let (derives, docs) = (self.derives(id, ty), docs(&ty.docs));
        Ok(match &ty.kind {
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter().map(|field| {
                    let (label, ident, docs) = (&field.name, snake(&field.name), self::docs(&field.docs));
                    let ty = self.write(&field.ty, depth, Mode::Owned)?;
                    Ok(quote!(#docs #[component(name = #label)] pub #ident: #ty))
                });
                let fields = fields.collect::<Result<Vec<_>>>()?;
                quote!(#docs #derives #[component(record)] pub struct #name { #(#fields),* })
            }
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter().map(|case| {
                    let (label, ident, docs) = (&case.name, camel(&case.name), self::docs(&case.docs));
                    let payload = case.ty.as_ref().map(|ty| self.write(ty, depth, Mode::Owned)).transpose()?;
                    let payload = payload.map(|ty| quote!((#ty)));
                    Ok(quote!(#docs #[component(name = #label)] #ident #payload))
                });
                let cases = cases.collect::<Result<Vec<_>>>()?;
                quote!(#docs #derives #[component(variant)] pub enum #name { #(#cases),* })
            }
            TypeDefKind::Enum(labels) => {
                let cases = labels.cases.iter().map(|case| {
                    let (label, ident, docs) = (&case.name, camel(&case.name), self::docs(&case.docs));
                    quote!(#docs #[component(name = #label)] #ident)
                });
                quote!(#docs #derives #[component(enum)] pub enum #name { #(#cases),* })
            }
            TypeDefKind::Flags(labels) if labels.flags.len() <= FLAGS_MAX => {
                let labels = labels.flags.iter().map(|flag| (flag.name.as_str(), self::docs(&flag.docs)));
                flags(name, &docs, &labels.collect::<Vec<_>>())
            }
            kind => {
                let text = format_args!("more than {FLAGS_MAX} labels in the {} `{name}`", kind.as_str());
                return Err(unsupported(self.options.world_span(), text));
            }
        })
    }

    /// The derives of a type: those that what is in it allows, and those that were asked for.
    fn derives(&self, id: TypeId, ty: &TypeDef) -> TokenStream {
        let facts = self.facts(&Type::Id(id));
        let rows = [
            ("Clone", !facts.handle),
            ("Copy", !facts.handle && !facts.heap),
            ("Debug", true),
            ("PartialEq", !facts.handle),
            ("Eq", !facts.handle && !facts.float),
            ("PartialOrd", matches!(ty.kind, TypeDefKind::Enum(_))),
            ("Ord", matches!(ty.kind, TypeDefKind::Enum(_))),
            ("Hash", matches!(ty.kind, TypeDefKind::Enum(_))),
        ];
        let own = rows.iter().filter(|(_, derived)| *derived).map(|(name, _)| *name).collect::<Vec<_>>();
        let paths = own.iter().map(|name| match *name {
            "Debug" => quote!(::core::fmt::Debug),
            "Hash" => quote!(::core::hash::Hash),
            "Clone" => quote!(::core::clone::Clone),
            "Copy" => quote!(::core::marker::Copy),
            other => {
                let name = prefixed("", other);
                quote!(::core::cmp::#name)
            }
        });
        let more = self
            .options
            .derives
            .iter()
            .filter(|path| path.segments.last().is_none_or(|last| !own.contains(&last.ident.to_string().as_str())));
        quote! {
            #[derive(
                #(#paths,)* #(#more,)*
                ::wattest::component::ComponentType, ::wattest::component::Lift, ::wattest::component::Lower
            )]
        }
    }
}

/// What makes a type one that can be an error of Rust.
fn error_impls(name: &Ident) -> TokenStream {
    quote! {
        impl ::core::fmt::Display for #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Debug::fmt(self, f)
            }
        }
        impl ::std::error::Error for #name {}
    }
}
