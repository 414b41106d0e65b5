//! The abstract syntax of components.
//!
//! The [grammar of the explainer](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#component-definitions):
//! a component is its definitions in order, each of which appends to one index space.
//!
//! Invariant: indices are as they stand in the binary; nothing is resolved.
//!
//! Does not know: bytes, run-time values.

use crate::module::Module;
use std::sync::Arc;

/// A component: its definitions in order.
#[derive(Debug, Default)]
pub(crate) struct Syntax {
    pub(crate) defs: Vec<Def>,
}

/// Sorts of core definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CoreSort {
    Func,
    Table,
    Memory,
    Global,
    Tag,
}

/// Sorts of component definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Module,
    Func,
    Value,
    Type,
    Instance,
    Component,
}

/// What can be aliased from an enclosing component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OuterSort {
    Module,
    CoreType,
    Type,
    Component,
}

/// A definition.
#[derive(Debug)]
pub(crate) enum Def {
    CoreModule(Arc<CoreModule>),
    CoreType,
    CoreInstance { module: u32, args: Vec<(String, u32)> },
    CoreExports(Vec<(String, CoreSort, u32)>),
    Component(Arc<Syntax>),
    Instance { component: u32, args: Vec<(String, Sort, u32)> },
    Exports(Vec<(String, Sort, u32)>),
    Alias(Alias),
    Type(Arc<TypeDef>),
    Canon(Canon),
    Import(String, Desc),
    Export(String, Sort, u32),
}

/// A core module with the number by which traces name it: its order in the binary.
#[derive(Debug)]
pub(crate) struct CoreModule {
    pub(crate) number: u32,
    pub(crate) module: Module,
    pub(crate) has_start: bool,
}

/// An alias.
#[derive(Clone, Debug)]
pub(crate) enum Alias {
    Export { sort: Sort, instance: u32, name: String },
    CoreExport { instance: u32, name: String },
    Outer { sort: OuterSort, count: u32, index: u32 },
}

/// A primitive value type.
pub(crate) type Primitive = wasmparser::PrimitiveValType;

/// A value type as it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TypeUse {
    Primitive(Primitive),
    Index(u32),
}

/// A type definition.
#[derive(Debug)]
pub(crate) enum TypeDef {
    Value(ValueDef),
    Func { is_async: bool, params: Vec<(String, TypeUse)>, result: Option<TypeUse> },
    Component,
    Instance(Vec<Decl>),
    Resource { dtor: Option<u32> },
}

/// A value type definition.
#[derive(Debug)]
pub(crate) enum ValueDef {
    Primitive(Primitive),
    Record(Vec<(String, TypeUse)>),
    Variant(Vec<(String, Option<TypeUse>)>),
    List(TypeUse),
    FixedList(TypeUse, u32),
    Map(TypeUse, TypeUse),
    Tuple(Vec<TypeUse>),
    Flags(Vec<String>),
    Enum(Vec<String>),
    Option(TypeUse),
    Result(Option<TypeUse>, Option<TypeUse>),
    Own(u32),
    Borrow(u32),
    Future(Option<TypeUse>),
    Stream(Option<TypeUse>),
}

/// A declaration of an instance type.
#[derive(Debug)]
pub(crate) enum Decl {
    CoreType,
    Type(Arc<TypeDef>),
    Alias(Alias),
    Export(String, Desc),
}

/// What an import or a declared export has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Desc {
    Module,
    Func(u32),
    Value,
    TypeEq(u32),
    SubResource,
    Instance(u32),
    Component,
}

/// Canonical options as they are written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) encoding: super::value::Encoding,
    pub(crate) memory: Option<u32>,
    pub(crate) realloc: Option<u32>,
    pub(crate) post_return: Option<u32>,
    pub(crate) callback: Option<u32>,
    pub(crate) is_async: bool,
}

/// A canonical definition.
#[derive(Clone, Debug)]
pub(crate) enum Canon {
    Lift {
        core: u32,
        ty: u32,
        options: Options,
    },
    Lower {
        func: u32,
        options: Options,
    },
    ResourceNew(u32),
    ResourceDrop(u32),
    ResourceRep(u32),
    TaskReturn {
        result: Option<TypeUse>,
        options: Options,
    },
    ContextGet {
        slot: u32,
        wide: bool,
    },
    ContextSet {
        slot: u32,
        wide: bool,
    },
    BackpressureInc,
    BackpressureDec,
    /// What needs more than a task that never suspends, by its name and core signature.
    Other {
        name: &'static str,
        params: &'static [crate::ValType],
        results: &'static [crate::ValType],
    },
}
