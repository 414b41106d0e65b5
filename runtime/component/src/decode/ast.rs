//! The definitions of a component as inert data.
//!
//! A component, an instance type and a component type are each a [`Scope`]: a list of definitions that add to its
//! [index spaces](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#index-spaces), and a list of
//! what they take from the scopes around them. Names are [`Symbol`]s, core types and core modules are resolved: nothing in
//! them depends on an instance.
//!
//! Invariant: an index in a definition refers to an earlier definition of the same scope; validation has checked all types.
//!
//! Does not know: values; what an index means at run time.

use crate::graph::{CoreEntity, Sort};
use crate::intrinsics::Intrinsic;
use std::collections::HashMap;
use std::ops::Range;
use wattest_canon::{Encoding, TypeId};

/// A name of the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Symbol(pub u32);

/// Names, each once.
#[derive(Debug, Default)]
pub(crate) struct Symbols<'a> {
    texts: Vec<&'a str>,
    // ORDER: only looked up; symbols are numbered by first occurrence.
    ids: HashMap<&'a str, Symbol>,
}

impl<'a> Symbols<'a> {
    pub fn intern(&mut self, text: &'a str) -> Symbol {
        *self.ids.entry(text).or_insert_with(|| {
            self.texts.push(text);
            Symbol(self.texts.len() as u32 - 1)
        })
    }

    pub fn text(&self, symbol: Symbol) -> &'a str {
        self.texts[symbol.0 as usize]
    }

    pub fn find(&self, text: &str) -> Option<Symbol> {
        self.ids.get(text).copied()
    }

    pub fn len(&self) -> usize {
        self.texts.len()
    }
}

/// Index spaces of a scope, apart from the core ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Func,
    Module,
    Component,
    Instance,
    Type,
    /// Counted, never filled: values are not supported.
    Value,
}

impl Kind {
    pub const COUNT: usize = 6;
}

/// A scope of [`Ast::scopes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ScopeIndex(pub u32);

/// A core module type of [`Ast::module_types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ModuleTypeIndex(pub u32);

/// Where a scope finds what it takes from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// In an index space of the scope around it.
    Local(u32),
    /// Among what the scope around it takes itself.
    Captured(u32),
}

/// A component, an instance type or a component type.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub defs: Vec<Def>,
    pub captures: Vec<(Kind, Source)>,
}

/// An instantiation argument or an export of a synthetic instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    pub name: Symbol,
    pub kind: Kind,
    pub index: u32,
}

/// A definition.
#[derive(Debug)]
pub(crate) enum Def {
    CoreModule(u32),
    CoreInstance {
        module: u32,
        args: Box<[(Symbol, u32)]>,
    },
    CoreBundle(Box<[(Symbol, Sort, u32)]>),
    CoreAlias {
        sort: Sort,
        instance: u32,
        name: Symbol,
    },
    Component(ScopeIndex),
    Instance {
        component: u32,
        args: Box<[Named]>,
    },
    Bundle(Box<[Named]>),
    AliasExport {
        kind: Kind,
        instance: u32,
        name: Symbol,
    },
    AliasLocal {
        kind: Kind,
        index: u32,
    },
    AliasCapture {
        kind: Kind,
        capture: u32,
    },
    Type(TypeDef),
    Canon(Canon),
    Import {
        name: Symbol,
        ty: TypeRef,
    },
    /// In a component: exports an item and defines it anew.
    Export(Named),
    /// In a type: an export of instances of the type.
    Declare {
        name: Symbol,
        ty: TypeRef,
    },
}

/// The type of an import or of a declared export.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TypeRef {
    Module(ModuleTypeIndex),
    Func(u32),
    Type(u32),
    Resource,
    Instance(u32),
    Component,
    Value,
}

impl TypeRef {
    pub const fn kind(self) -> Kind {
        match self {
            TypeRef::Module(_) => Kind::Module,
            TypeRef::Func(_) => Kind::Func,
            TypeRef::Type(_) | TypeRef::Resource => Kind::Type,
            TypeRef::Instance(_) => Kind::Instance,
            TypeRef::Component => Kind::Component,
            TypeRef::Value => Kind::Value,
        }
    }
}

/// A value type as it stands in a definition.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ValRef {
    Known(TypeId),
    Index(u32),
}

/// A type definition.
#[derive(Debug)]
pub(crate) enum TypeDef {
    Value(ValueDef),
    Func { params: Box<[(Symbol, ValRef)]>, result: Option<ValRef>, is_async: bool },
    Resource { dtor: Option<u32> },
    Instance(ScopeIndex),
    Component,
}

/// A value type definition.
#[derive(Debug)]
pub(crate) enum ValueDef {
    Known(TypeId),
    Record(Box<[(Symbol, ValRef)]>),
    Variant(Box<[(Symbol, Option<ValRef>)]>),
    List(ValRef),
    FixedList(ValRef, u32),
    Map(ValRef, ValRef),
    Tuple(Box<[ValRef]>),
    Flags(Box<[Symbol]>),
    Enum(Box<[Symbol]>),
    Option(ValRef),
    Result(Option<ValRef>, Option<ValRef>),
    Own(u32),
    Borrow(u32),
    Stream(Option<ValRef>),
    Future(Option<ValRef>),
}

/// Options of a canonical definition.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub encoding: Option<Encoding>,
    pub memory: Option<u32>,
    pub realloc: Option<u32>,
    pub post_return: Option<u32>,
    pub callback: Option<u32>,
    pub is_async: bool,
    /// An option that is decoded only to be refused.
    pub is_gc: bool,
}

/// A canonical definition.
#[derive(Debug)]
pub(crate) enum Canon {
    Lift {
        func: u32,
        ty: u32,
        options: Options,
    },
    Lower {
        func: u32,
        options: Options,
    },
    Builtin(BuiltinDef),
    /// Something that no supported proposal has.
    Unsupported(&'static str),
}

/// A canonical built-in.
#[derive(Debug)]
pub(crate) struct BuiltinDef {
    pub row: Intrinsic,
    pub options: Options,
    /// A resource type, a stream type or a future type.
    pub ty: Option<u32>,
    /// The result of `task.return`.
    pub result: Option<ValRef>,
    pub table: Option<u32>,
    pub immediates: [u32; 2],
}

/// A core module's type, or that of a host's module.
#[derive(Debug, Default)]
pub(crate) struct ModuleType {
    pub imports: Vec<(Symbol, Symbol, CoreEntity)>,
    pub exports: Vec<(Symbol, CoreEntity)>,
}

/// A core module of the component.
#[derive(Debug)]
pub(crate) struct ModuleDef {
    pub bytes: Range<usize>,
    pub imports: Vec<(Symbol, Symbol, CoreEntity)>,
    // ORDER: only looked up.
    pub exports: HashMap<Symbol, (u32, CoreEntity)>,
    pub start: bool,
    pub throws: bool,
}

/// A decoded, validated component.
pub(crate) struct Ast<'a> {
    pub symbols: Symbols<'a>,
    pub scopes: Vec<Scope>,
    pub root: ScopeIndex,
    pub modules: Vec<ModuleDef>,
    pub module_types: Vec<ModuleType>,
    pub signatures: Vec<crate::graph::Signature>,
    /// What the validator knows about the root: export types.
    pub validated: wasmparser::types::Types,
}
