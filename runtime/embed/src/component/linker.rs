//! Linking of components by name.
//!
//! A [`Linker`] holds what the host supplies: functions, core modules, resource types, in instances that may be nested
//! ([imports](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#import-and-export-definitions)).
//!
//! Invariant: a component is instantiated only when all its imports are there with their types; what is missing is told all
//! at once.
//!
//! Does not know: how instances are made.

use super::abi::{Checked, Lift, Lower, TypeMismatch, check_of};
use super::compiled::{Component, ComponentInner};
use super::host::{HostFunc, dynamic, dynamic_waiting, typed, typed_waiting};
use super::instance::{Instance, InstancePre, ResolvedImport};
use super::resource::{ResourceOrigin, ResourceType};
use super::typed::ComponentList;
use super::types::{ComponentFuncType, func_text};
use super::value::Val;
use crate::context::{AsContextMut, StoreContextMut};
use crate::engine::Engine;
use crate::error::{InstantiateError, Result, UsageError};
use crate::module::Module;
use crate::store::StoreData;
use crate::suspend::HostFuture;
use crate::types::ExternType;
use std::collections::BTreeMap;
use std::sync::Arc;
use wattest_canon::ResourceId;
use wattest_component::graph::{CoreEntity, HostModule, Import, ImportKind};
use wattest_component::{FuncTypeIndex, Statics};
use wattest_vm::HostFunction;

/// An import that nothing satisfies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingItem {
    /// Its name, and names within instances.
    pub path: Vec<String>,
    /// What it must be.
    pub ty: String,
}

/// An import that was given something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MismatchedItem {
    /// Its name, and names within instances.
    pub path: Vec<String>,
    /// What it must be, and what is wrong.
    pub text: String,
}

/// Imports of a component that are missing or of another type: all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkError {
    /// Imports that nothing satisfies.
    pub missing: Vec<MissingItem>,
    /// Imports of another type.
    pub mismatches: Vec<MismatchedItem>,
    /// A name that was defined twice.
    pub redefined: Option<String>,
}

impl std::fmt::Display for LinkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut lines = Vec::new();
        lines.extend(self.missing.iter().map(|row| format!("missing import `{}`: {}", row.path.join("` `"), row.ty)));
        lines.extend(self.mismatches.iter().map(|row| format!("import `{}`: {}", row.path.join("` `"), row.text)));
        lines.extend(self.redefined.iter().map(|name| format!("`{name}` is defined already")));
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for LinkError {}

/// What a name stands for.
enum Definition<T: 'static> {
    Instance(Names<T>),
    Func(HostFunc<T>),
    Module(Module),
    Resource(ResourceDef<T>),
}

type Names<T> = BTreeMap<String, Definition<T>>;

/// A resource type with what dropping it calls.
pub(crate) struct ResourceDef<T: 'static> {
    pub ty: ResourceType,
    pub dtor: Option<HostFunction<StoreData<T>>>,
}

impl<T: 'static> Clone for ResourceDef<T> {
    fn clone(&self) -> Self {
        ResourceDef { ty: self.ty, dtor: self.dtor.clone() }
    }
}

/// What the host supplies to components.
pub struct Linker<T: 'static> {
    engine: Engine,
    names: Names<T>,
    allow_shadowing: bool,
}

/// The names of a linker, or of an instance in it.
pub struct LinkerInstance<'a, T: 'static> {
    engine: &'a Engine,
    names: &'a mut Names<T>,
    allow_shadowing: bool,
}

impl<T: 'static> Linker<T> {
    /// A linker without names.
    pub fn new(engine: &Engine) -> Linker<T> {
        Linker { engine: engine.clone(), names: Names::new(), allow_shadowing: false }
    }

    /// Whether a name may be defined again.
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Linker<T> {
        self.allow_shadowing = allow;
        self
    }

    /// The names that components import directly.
    pub fn root(&mut self) -> LinkerInstance<'_, T> {
        LinkerInstance { engine: &self.engine, names: &mut self.names, allow_shadowing: self.allow_shadowing }
    }

    /// The names of the instance that components import as `name`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// The name stands for something else.
    pub fn instance(&mut self, name: &str) -> Result<LinkerInstance<'_, T>, LinkError> {
        self.root().into_instance(name)
    }

    /// Resolves the imports of a component.
    ///
    /// # Errors
    ///
    /// Imports are missing or do not fit: all of them are told.
    pub fn instantiate_pre(&self, component: &Component) -> Result<InstancePre<T>, InstantiateError> {
        if !self.engine.same(component.engine()) {
            return Err(UsageError::WrongEngine { what: "linker" }.into());
        }
        let inner = &component.inner;
        let statics = &inner.plan.statics;
        let rows = inner.plan.linear.imports.iter().filter_map(|import| statics.import(*import)).collect::<Vec<_>>();
        // Resource types first: function types are compared by them.
        let mut resources = BTreeMap::new();
        for row in &rows {
            if let (ImportKind::Resource(id), Some(Definition::Resource(def))) = (&row.kind, self.find(statics, row)) {
                resources.insert(id.0, def.ty);
            }
        }
        let mut error = LinkError::default();
        let mut imports = Vec::with_capacity(rows.len());
        for row in rows {
            match self.resolve(inner, row, &resources) {
                Ok(Some(import)) => imports.push(import),
                Ok(None) => error.missing.push(MissingItem { path: path(statics, row), ty: item_text(statics, row) }),
                Err(text) => error.mismatches.push(MismatchedItem { path: path(statics, row), text }),
            }
        }
        if error != LinkError::default() {
            return Err(InstantiateError::Component(error));
        }
        Ok(InstancePre { component: component.clone(), imports: imports.into() })
    }

    /// Instantiates a component.
    ///
    /// # Errors
    ///
    /// As [`Linker::instantiate_pre`] and [`InstancePre::instantiate`].
    pub fn instantiate(
        &self,
        store: impl AsContextMut<Data = T>,
        component: &Component,
    ) -> Result<Instance, InstantiateError> {
        self.instantiate_pre(component)?.instantiate(store)
    }

    /// As [`Linker::instantiate`], on a stack of its own: host functions that start functions call can wait.
    ///
    /// # Errors
    ///
    /// As [`Linker::instantiate`]; or there is no stack.
    pub async fn instantiate_async<'a, S>(&self, store: S, component: &Component) -> Result<Instance, InstantiateError>
    where
        T: Send,
        S: Into<StoreContextMut<'a, T>>,
    {
        let store = store.into();
        self.instantiate_pre(component)?.instantiate_async(store).await
    }

    /// Defines every function and resource type that a component imports and the linker does not have. Such a function ends
    /// the guest that calls it, with an error that names it: what is not called need not be there. Core modules that are
    /// missing stay so.
    ///
    /// # Errors
    ///
    /// A name stands for something other than the instance that the component imports.
    pub fn define_unknown_imports_as_traps(&mut self, component: &Component) -> Result<(), LinkError> {
        /// All resource types that nobody knows: a handle to one is never made.
        enum Unknown {}

        let statics = &component.inner.plan.statics;
        let rows = component.inner.plan.linear.imports.iter().filter_map(|import| statics.import(*import));
        for row in rows {
            let names = path(statics, row);
            let Some((name, parents)) = names.split_last() else { continue };
            if self.find(statics, row).is_some() {
                continue;
            }
            let mut view = self.root();
            for parent in parents {
                view = view.into_instance(parent)?;
            }
            match row.kind {
                ImportKind::Func(_) => {
                    let text = format!("the component called `{}`, which is not there", names.join("` `"));
                    view.insert(name, Definition::Func(super::host::failing(text)))?;
                }
                ImportKind::Resource(_) => {
                    view.resource(name, ResourceType::host::<Unknown>(), |_, _| Ok(()))?;
                }
                ImportKind::Module(_) => {}
            }
        }
        Ok(())
    }

    fn find(&self, statics: &Statics, import: &Import) -> Option<&Definition<T>> {
        let (first, rest) = import.path.split_first()?;
        let mut found = lookup(&self.names, statics.types.text(*first))?;
        for name in rest {
            let Definition::Instance(names) = found else { return None };
            found = lookup(names, statics.types.text(*name))?;
        }
        Some(found)
    }

    fn resolve(
        &self,
        component: &Arc<ComponentInner>,
        import: &Import,
        resources: &BTreeMap<u32, ResourceType>,
    ) -> Result<Option<ResolvedImport<T>>, String> {
        let statics = &component.plan.statics;
        let Some(found) = self.find(statics, import) else { return Ok(None) };
        match (&import.kind, found) {
            (ImportKind::Func(ty), Definition::Func(func)) => {
                let host = |id: ResourceId| match resources.get(&id.0).map(|ty| ty.0) {
                    Some(ResourceOrigin::Host(ty)) => Some(ty),
                    _ => None,
                };
                (func.check)(component, *ty, &host).map_err(|error| error.to_string())?;
                Ok(Some(ResolvedImport::Func(func.clone())))
            }
            (ImportKind::Module(wanted), Definition::Module(module)) => {
                check_module(component, wanted, module)?;
                Ok(Some(ResolvedImport::Module(module.clone())))
            }
            (ImportKind::Resource(_), Definition::Resource(def)) => Ok(Some(ResolvedImport::Resource(def.clone()))),
            _ => Err(format!("needs {}", item_text(statics, import))),
        }
    }
}

/// A name, or one of a compatible version (`a:b/c@1.2.3` is satisfied by `a:b/c@1.3.0`).
fn lookup<'a, T>(names: &'a Names<T>, name: &str) -> Option<&'a Definition<T>> {
    if let Some(found) = names.get(name) {
        return Some(found);
    }
    let track = version_track(name)?;
    names.iter().rev().find(|(other, _)| version_track(other) == Some(track)).map(|(_, found)| found)
}

/// The part of a versioned name that compatible versions have in common: up to the first number that is not zero.
pub(crate) fn version_track(name: &str) -> Option<&str> {
    let at = name.rfind('@')?;
    let version = &name[at + 1..];
    if version.contains(['-', '+']) {
        return None;
    }
    let mut end = at + 1;
    for part in version.split('.') {
        end += part.len();
        if part.parse::<u64>().ok()? != 0 {
            return Some(&name[..end]);
        }
        end += 1;
    }
    None
}

fn path(statics: &Statics, import: &Import) -> Vec<String> {
    import.path.iter().map(|name| statics.types.text(*name).to_owned()).collect()
}

fn item_text(statics: &Statics, import: &Import) -> String {
    match &import.kind {
        ImportKind::Func(ty) => func_text(statics, *ty),
        ImportKind::Module(_) => "core module".to_owned(),
        ImportKind::Resource(_) => "resource".to_owned(),
    }
}

/// Whether a core module is of the type that a component imports, as far as its plan knows.
fn check_module(component: &ComponentInner, wanted: &HostModule, module: &Module) -> Result<(), String> {
    let statics = &component.plan.statics;
    let text = |name: &wattest_canon::Name| statics.types.text(*name);
    for (name, entity) in &wanted.exports {
        let Some(ty) = module.get_export(text(name)) else {
            return Err(format!("the module has no export `{}`", text(name)));
        };
        if !entity_fits(component, *entity, &ty) {
            return Err(format!("the module's export `{}` is {ty}", text(name)));
        }
    }
    for import in module.imports() {
        let row = wanted.imports.iter().find(|(m, n, _)| text(m) == import.module() && text(n) == import.name());
        let fits = row.is_some_and(|(_, _, entity)| entity_fits(component, *entity, &import.ty()));
        if !fits {
            return Err(format!("the module imports `{}` `{}`: {}", import.module(), import.name(), import.ty()));
        }
    }
    Ok(())
}

fn entity_fits(component: &ComponentInner, entity: CoreEntity, ty: &ExternType) -> bool {
    match (entity, ty) {
        (CoreEntity::Func(Some(signature)), ExternType::Func(ty)) => {
            component.signatures.get(signature.index()).is_some_and(|signature| signature.ty == ty.ty)
        }
        (CoreEntity::Memory(shape), ExternType::Memory(ty)) => {
            ty.memory64 == (shape.width == wattest_canon::Width::W64) && ty.shared == shape.shared
        }
        (CoreEntity::Func(None), ExternType::Func(_))
        | (CoreEntity::Table, ExternType::Table(_))
        | (CoreEntity::Global, ExternType::Global(_))
        | (CoreEntity::Tag, ExternType::Tag(_)) => true,
        _ => false,
    }
}

impl<'a, T: 'static> LinkerInstance<'a, T> {
    fn insert(&mut self, name: &str, definition: Definition<T>) -> Result<&mut Self, LinkError> {
        if !self.allow_shadowing && self.names.contains_key(name) {
            return Err(LinkError { redefined: Some(name.to_owned()), ..LinkError::default() });
        }
        self.names.insert(name.to_owned(), definition);
        Ok(self)
    }

    /// The names of an instance within, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// The name stands for something else.
    pub fn instance(&mut self, name: &str) -> Result<LinkerInstance<'_, T>, LinkError> {
        let view = LinkerInstance { engine: self.engine, names: self.names, allow_shadowing: self.allow_shadowing };
        view.into_instance(name)
    }

    /// As [`LinkerInstance::instance`], used up.
    ///
    /// # Errors
    ///
    /// The name stands for something else.
    pub fn into_instance(self, name: &str) -> Result<LinkerInstance<'a, T>, LinkError> {
        let entry = self.names.entry(name.to_owned()).or_insert_with(|| Definition::Instance(Names::new()));
        match entry {
            Definition::Instance(names) => {
                Ok(LinkerInstance { engine: self.engine, names, allow_shadowing: self.allow_shadowing })
            }
            _ => Err(LinkError { redefined: Some(name.to_owned()), ..LinkError::default() }),
        }
    }

    /// Defines a function whose types are known at compile time. Parameters are a tuple; the result is `()` or a tuple of
    /// one.
    ///
    /// # Errors
    ///
    /// The name is defined already.
    pub fn func_wrap<P, R>(
        &mut self,
        name: &str,
        closure: impl Fn(StoreContextMut<'_, T>, P) -> Result<R> + Send + Sync + 'static,
    ) -> Result<&mut Self, LinkError>
    where
        P: ComponentList + Lift + 'static,
        R: ComponentList + Lower + 'static,
    {
        self.insert(name, Definition::Func(typed(closure)))
    }

    /// Defines a function that waits for a future; types as in [`LinkerInstance::func_wrap`]. The component that calls it is
    /// put aside as long as the future is not ready, if it was called with `call_async`.
    ///
    /// # Errors
    ///
    /// The name is defined already.
    pub fn func_wrap_async<P, R>(
        &mut self,
        name: &str,
        closure: impl for<'b> Fn(StoreContextMut<'b, T>, P) -> HostFuture<'b, Result<R>> + Send + Sync + 'static,
    ) -> Result<&mut Self, LinkError>
    where
        P: ComponentList + Lift + 'static,
        R: ComponentList + Lower + 'static,
    {
        self.insert(name, Definition::Func(typed_waiting(closure)))
    }

    /// Defines a function that waits for a future, and whose types are known at run time.
    ///
    /// # Errors
    ///
    /// The name is defined already.
    pub fn func_new_async(
        &mut self,
        name: &str,
        closure: impl for<'b> Fn(
            StoreContextMut<'b, T>,
            &'b ComponentFuncType,
            &'b [Val],
            &'b mut [Val],
        ) -> HostFuture<'b, Result<()>>
        + Send
        + Sync
        + 'static,
    ) -> Result<&mut Self, LinkError> {
        self.insert(name, Definition::Func(dynamic_waiting(closure)))
    }

    /// Defines a function whose types are known at run time: it fits any type. The closure fills in the result, of which
    /// there is none or one.
    ///
    /// # Errors
    ///
    /// The name is defined already.
    pub fn func_new(
        &mut self,
        name: &str,
        closure: impl Fn(StoreContextMut<'_, T>, &ComponentFuncType, &[Val], &mut [Val]) -> Result<()>
        + Send
        + Sync
        + 'static,
    ) -> Result<&mut Self, LinkError> {
        self.insert(name, Definition::Func(dynamic(closure)))
    }

    /// Defines a core module.
    ///
    /// # Errors
    ///
    /// The name is defined already.
    pub fn module(&mut self, name: &str, module: &Module) -> Result<&mut Self, LinkError> {
        self.insert(name, Definition::Module(module.clone()))
    }

    /// Defines a resource type of the host. The destructor is called with the number of a resource whose owner was
    /// dropped by a guest.
    ///
    /// # Errors
    ///
    /// The name is defined already.
    pub fn resource(
        &mut self,
        name: &str,
        ty: ResourceType,
        dtor: impl Fn(StoreContextMut<'_, T>, u32) -> Result<()> + Send + Sync + 'static,
    ) -> Result<&mut Self, LinkError> {
        let core = wattest_module::FuncType { params: [crate::ValType::I32].into(), results: [].into() };
        let signature = self.engine.types().register_func(&core);
        let body = move |store: &mut wattest_vm::Store<StoreData<T>>, _, slots: &mut wattest_vm::FlatSlots| {
            let rep = u32::try_from(slots[0]).unwrap_or(u32::MAX);
            dtor(StoreContextMut(store), rep).map_err(super::call::boxed)
        };
        let dtor = HostFunction::flat(signature, body);
        self.insert(name, Definition::Resource(ResourceDef { ty, dtor }))
    }

    /// Defines what an instance of another component of the store exports, recursively.
    ///
    /// # Errors
    ///
    /// A name is defined already, or the instance is another store's.
    pub fn exports(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        instance: &Instance,
    ) -> Result<&mut Self, InstantiateError> {
        let items = instance.items(store.as_context_mut()).map_err(InstantiateError::Start)?;
        for (path, item) in items {
            let Some((name, parents)) = path.split_last() else { continue };
            let mut view =
                LinkerInstance { engine: self.engine, names: self.names, allow_shadowing: self.allow_shadowing };
            for parent in parents {
                view = view.into_instance(parent).map_err(InstantiateError::Component)?;
            }
            let definition = match item {
                super::instance::ExportedItem::Func(func) => Definition::Func(super::host::forward(func)),
                super::instance::ExportedItem::Module(module) => Definition::Module(module),
                super::instance::ExportedItem::Resource(ty) => Definition::Resource(ResourceDef { ty, dtor: None }),
                super::instance::ExportedItem::Instance => {
                    view.into_instance(name).map_err(InstantiateError::Component)?;
                    continue;
                }
            };
            view.insert(name, definition).map_err(InstantiateError::Component)?;
        }
        Ok(self)
    }
}

/// Checks a function's type against Rust types.
pub(crate) fn check_func<P: ComponentList, R: ComponentList>(
    component: &ComponentInner,
    ty: FuncTypeIndex,
    resource: &dyn Fn(ResourceId) -> Option<std::any::TypeId>,
) -> Result<(), TypeMismatch> {
    let statics = &component.plan.statics;
    let wrong = |expected: String| TypeMismatch::new(expected, func_text(statics, ty));
    let row = statics.func_types.get(ty.index()).ok_or_else(|| wrong("a function".to_owned()))?;
    if row.params.len() != P::LENGTH {
        return Err(wrong(format!("a function of {} parameters", P::LENGTH)));
    }
    if usize::from(row.result.is_some()) != R::LENGTH {
        return Err(wrong(format!("a function of {} results", R::LENGTH)));
    }
    let types = check_of(component, resource);
    for ((name, ty), check) in row.params.iter().zip(P::CHECKS) {
        check(&Checked(*ty), &types).map_err(|error| error.within(statics.types.text(*name)))?;
    }
    let mut results = row.result.iter().zip(R::CHECKS);
    results.try_for_each(|(ty, check)| check(&Checked(*ty), &types).map_err(|error| error.within("result")))
}

impl<T: 'static> std::fmt::Debug for Linker<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linker").field("names", &self.names.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::version_track;

    fn check(name: &str, expected: Option<&str>) {
        assert_eq!(version_track(name), expected, "{name}");
    }

    #[test]
    fn compatible_versions_share_a_track() {
        check("a:b/c@1.2.3", Some("a:b/c@1"));
        check("a:b/c@0.2.6", Some("a:b/c@0.2"));
        check("a:b/c@0.0.6", Some("a:b/c@0.0.6"));
        check("a:b/c@0.2.0-rc", None);
        check("a:b/c", None);
        check("a:b/c@0.0.0", None);
    }
}
