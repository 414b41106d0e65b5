//! The export tree, as a list.
//!
//! [Exports](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#import-and-export-definitions) of
//! the component, those of nested instances below them.
//!
//! Invariant: a row's parent is an earlier row and an [`ExportValue::Instance`]; names under one parent are distinct; rows are
//! in the order of the component's definitions.
//!
//! Does not know: how an export is called.

use crate::ids::ExportIndex;
use serde::{Deserialize, Serialize};
use wattest_canon::{Name, TypeId};

/// A row of an export tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Export<R> {
    /// The instance it is an export of; none at the root.
    pub parent: Option<ExportIndex>,
    /// Its name.
    pub name: Name,
    /// What it is.
    pub value: ExportValue<R>,
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExportValue<R> {
    /// A function: a [`crate::graph::Node::Lift`], or a [`crate::graph::Node::Import`] that is passed on.
    Func(R),
    /// A core module: one of the component, or a [`crate::graph::Node::Import`].
    Module(super::ModuleRef<R>),
    /// A resource type: a [`crate::graph::Node::DefineResource`] or a [`crate::graph::Node::Import`].
    Resource(R),
    /// A type other than a resource type.
    Type(TypeId),
    /// An instance; its exports are the rows with this one as their parent.
    Instance,
    /// A definition that a host cannot use: a component, or a type of a function, an instance or a component.
    Opaque,
}

impl<R: Copy> Export<R> {
    /// The reference, if there is one.
    pub fn operand(&self) -> Option<R> {
        match self.value {
            ExportValue::Func(value)
            | ExportValue::Resource(value)
            | ExportValue::Module(super::ModuleRef::Host(value)) => Some(value),
            _ => None,
        }
    }

    /// The same row with another reference, or the error.
    ///
    /// # Errors
    /// Whatever `f` returns.
    pub fn try_map<S, E>(&self, f: impl FnOnce(R) -> Result<S, E>) -> Result<Export<S>, E> {
        let value = match self.value {
            ExportValue::Func(value) => ExportValue::Func(f(value)?),
            ExportValue::Resource(value) => ExportValue::Resource(f(value)?),
            ExportValue::Module(super::ModuleRef::Host(value)) => {
                ExportValue::Module(super::ModuleRef::Host(f(value)?))
            }
            ExportValue::Module(super::ModuleRef::Static(module)) => {
                ExportValue::Module(super::ModuleRef::Static(module))
            }
            ExportValue::Type(ty) => ExportValue::Type(ty),
            ExportValue::Instance => ExportValue::Instance,
            ExportValue::Opaque => ExportValue::Opaque,
        };
        Ok(Export { parent: self.parent, name: self.name, value })
    }
}
