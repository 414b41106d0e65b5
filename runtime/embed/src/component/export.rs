//! How exports are named, and looked up ahead of time.
//!
//! Names are those of
//! [exports](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#import-and-export-definitions); one
//! with a version stands for a compatible one as well, as with imports.
//!
//! Invariant: an index is of the component that it was looked up in, and is refused with another one's instances.
//!
//! Does not know: instances.

use super::compiled::{Component, ComponentInner};
use std::sync::Arc;
use wattest_component::graph::ExportValue;
use wattest_component::{ExportIndex, Slot};

/// The name of an export, or the names of instances and then of an export within.
pub trait ExportPath {
    /// The names.
    fn names(&self) -> impl Iterator<Item = &str>;

    /// The place in a component, if it is known.
    #[doc(hidden)]
    fn index(&self) -> Option<&ComponentExportIndex> {
        None
    }
}

impl ExportPath for &str {
    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(*self)
    }
}

impl ExportPath for String {
    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.as_str())
    }
}

impl<const N: usize> ExportPath for [&str; N] {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().copied()
    }
}

impl ExportPath for &[&str] {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().copied()
    }
}

/// An export of a component that was looked up: what finds it in an instance without comparing names.
#[derive(Clone)]
pub struct ComponentExportIndex {
    component: Arc<ComponentInner>,
    names: Arc<[String]>,
    index: ExportIndex,
}

impl ExportPath for &ComponentExportIndex {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    fn index(&self) -> Option<&ComponentExportIndex> {
        Some(self)
    }
}

impl Component {
    /// Looks an export up, to find it in instances. The name of an instance may be one of a compatible version.
    pub fn get_export_index(&self, path: impl ExportPath) -> Option<ComponentExportIndex> {
        find(&self.inner, &path).map(|(index, _)| index_of(&self.inner, &path, index))
    }
}

/// The index of what was found under a path.
pub(crate) fn index_of(
    component: &Arc<ComponentInner>,
    path: &impl ExportPath,
    index: ExportIndex,
) -> ComponentExportIndex {
    let names = path.names().map(str::to_owned).collect();
    ComponentExportIndex { component: Arc::clone(component), names, index }
}

/// What is exported under a path.
pub(crate) fn find<'a>(
    component: &'a Arc<ComponentInner>,
    path: &impl ExportPath,
) -> Option<(ExportIndex, &'a ExportValue<Slot>)> {
    if let Some(known) = path.index() {
        let row = component.plan.linear.exports.get(known.index.index())?;
        return Arc::ptr_eq(&known.component, component).then_some((known.index, &row.value));
    }
    let mut found = None;
    for name in path.names() {
        found = Some(component.export(found.map(|(index, _)| index), name)?);
    }
    found
}

impl std::fmt::Debug for ComponentExportIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ComponentExportIndex").field(&self.names).finish()
    }
}
