//! Instances of components.
//!
//! Invariant: an instance lives as long as its store; its exports do not change.
//!
//! Does not know: how the plan is carried out.

use super::compiled::{Component, ComponentInner};
use super::export::{ComponentExportIndex, ExportPath};
use super::func::{Func, FuncKind, TypedFunc};
use super::host::HostFunc;
use super::linker::ResourceDef;
use super::options::{CallOptions, flat_func, func_of};
use super::resource::{ResourceOrigin, ResourceType};
use super::typed::ComponentList;
use super::types::ComponentFuncType;
use super::value::Val;
use super::{Lift, Lower};
use crate::context::{AsContextMut, StoreContextMut};
use crate::error::{InstantiateError, Result, UsageError};
use crate::module::Module;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use wattest_canon::ResourceId;
use wattest_component::graph::{ExportValue, ImportKind, ModuleRef};
use wattest_component::{ExportIndex, Node, Slot, SlotKind};
use wattest_vm::StoreId;
use wattest_vm::component::{ResourceKind, TreeId};

/// What an import was resolved to.
pub(crate) enum ResolvedImport<T: 'static> {
    Func(HostFunc<T>),
    Module(Module),
    Resource(ResourceDef<T>),
}

/// A component whose imports are resolved: it can be instantiated any number of times.
pub struct InstancePre<T: 'static> {
    pub(crate) component: Component,
    pub(crate) imports: Arc<[ResolvedImport<T>]>,
}

impl<T: 'static> Clone for InstancePre<T> {
    fn clone(&self) -> Self {
        InstancePre { component: self.component.clone(), imports: Arc::clone(&self.imports) }
    }
}

impl<T: 'static> InstancePre<T> {
    /// The component.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Looks a function up, and checks that instances will have it with these types.
    ///
    /// # Errors
    ///
    /// There is no such function, or it has other types.
    pub fn typed_func_index<P, R>(&self, path: impl ExportPath) -> Result<ComponentExportIndex, UsageError>
    where
        P: ComponentList + Lower,
        R: ComponentList + Lift,
    {
        let component = &self.component.inner;
        let name = || path.names().collect::<Vec<_>>().join("` `");
        let missing = || UsageError::NoExport { kind: "component function", name: name() };
        let (index, value) = super::export::find(component, &path).ok_or_else(missing)?;
        let ExportValue::Func(slot) = value else { return Err(missing()) };
        let ty = component.func_type(*slot).ok_or_else(missing)?;
        let statics = &component.plan.statics;
        let rows = component.plan.linear.imports.iter().map(|import| statics.import(*import));
        let resources = rows.zip(&*self.imports).filter_map(|(row, import)| match (&row?.kind, import) {
            (ImportKind::Resource(id), ResolvedImport::Resource(def)) => Some((id.0, def.ty.host_type()?)),
            _ => None,
        });
        let resources = resources.collect::<BTreeMap<_, _>>();
        let host = |id: ResourceId| resources.get(&id.0).copied();
        super::linker::check_func::<P, R>(component, ty, &host).map_err(super::func::mismatch)?;
        Ok(super::export::index_of(component, &path, index))
    }

    /// Instantiates the component: its core modules in their order, with their start functions.
    ///
    /// # Errors
    ///
    /// A limit of the store, a segment that does not fit, or a start function that traps.
    pub fn instantiate(&self, mut store: impl AsContextMut<Data = T>) -> Result<Instance, InstantiateError> {
        let mut store = store.as_context_mut();
        if !store.engine().same(self.component.engine()) {
            return Err(UsageError::WrongEngine { what: "component" }.into());
        }
        let tree = super::execute::execute(&mut store, self)?;
        let inner = InstanceInner {
            store: store.inner().id(),
            component: Arc::clone(&self.component.inner),
            tree,
            imports: Box::new(Arc::clone(&self.imports)),
            funcs: Mutex::default(),
        };
        Ok(Instance { inner: Arc::new(inner) })
    }
}

impl<T: Send + 'static> InstancePre<T> {
    /// As [`InstancePre::instantiate`], on a stack of its own: host functions that start functions call can wait.
    ///
    /// # Errors
    ///
    /// As [`InstancePre::instantiate`]; or there is no stack.
    pub fn instantiate_async<'a, S: Into<StoreContextMut<'a, T>>>(
        &self,
        store: S,
    ) -> impl Future<Output = Result<Instance, InstantiateError>> + Send + use<'a, T, S> {
        let pre = self.clone();
        let refused = |text| Err(InstantiateError::Limit(text));
        crate::suspend::on_own_stack(store, refused, move |store| pre.instantiate(store))
    }
}

impl<T: 'static> std::fmt::Debug for InstancePre<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstancePre").field("component", &self.component).finish_non_exhaustive()
    }
}

/// An instance of a component. Cheap to clone.
#[derive(Clone)]
pub struct Instance {
    pub(crate) inner: Arc<InstanceInner>,
}

pub(crate) struct InstanceInner {
    pub store: StoreId,
    pub component: Arc<ComponentInner>,
    pub tree: TreeId,
    /// `Arc<[ResolvedImport<T>]>` for the store's `T`.
    imports: Box<dyn Any + Send + Sync>,
    /// Functions that were asked for, by slot.
    funcs: Mutex<Vec<(Slot, Func)>>,
}

/// What an instance exports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExportedItem {
    /// A function.
    Func(Func),
    /// A core module.
    Module(Module),
    /// A resource type.
    Resource(ResourceType),
    /// An instance, whose items have longer paths.
    Instance,
}

impl Instance {
    fn check(&self, store: StoreId) -> Result<(), UsageError> {
        if store == self.inner.store { Ok(()) } else { Err(UsageError::WrongStore { what: "component instance" }) }
    }

    fn find(&self, path: &impl ExportPath) -> Option<&ExportValue<Slot>> {
        super::export::find(&self.inner.component, path).map(|(_, value)| value)
    }

    /// The component.
    pub fn component(&self) -> Component {
        Component { inner: Arc::clone(&self.inner.component) }
    }

    /// The function exported under a path; `None` when there is none, or the instance is another store's.
    pub fn get_func<T: 'static>(&self, mut store: impl AsContextMut<Data = T>, path: impl ExportPath) -> Option<Func> {
        let mut store = store.as_context_mut();
        match self.find(&path)? {
            ExportValue::Func(slot) => self.func(&mut store, *slot).ok(),
            _ => None,
        }
    }

    /// The function exported under a path, with its types fixed.
    ///
    /// # Errors
    ///
    /// There is no such function, or it has other types.
    pub fn get_typed_func<P, R>(&self, mut store: impl AsContextMut, path: impl ExportPath) -> Result<TypedFunc<P, R>>
    where
        P: ComponentList + Lower,
        R: ComponentList + Lift,
    {
        let name = path.names().collect::<Vec<_>>().join("` `");
        let func = self.get_func(store.as_context_mut(), path);
        let func = func.ok_or(UsageError::NoExport { kind: "component function", name })?;
        func.typed(store)
    }

    /// The resource type exported under a path.
    pub fn get_resource(&self, mut store: impl AsContextMut, path: impl ExportPath) -> Option<ResourceType> {
        let store = store.as_context_mut();
        self.check(store.inner().id()).ok()?;
        match self.find(&path)? {
            ExportValue::Resource(slot) => self.resource(&store, *slot),
            _ => None,
        }
    }

    /// The core module exported under a path.
    pub fn get_module(&self, path: impl ExportPath) -> Option<Module> {
        match self.find(&path)? {
            ExportValue::Module(ModuleRef::Static(module)) => self.inner.component.modules.get(module.index()).cloned(),
            _ => None,
        }
    }

    fn resource<T: 'static>(&self, store: &StoreContextMut<'_, T>, slot: Slot) -> Option<ResourceType> {
        let state = store.inner().components();
        let slots = &state.trees[self.inner.tree.0 as usize].slots;
        let ty = slots.resources.get(slot.index as usize)?.as_ref()?.ty;
        Some(ResourceType(match state.resource_kind(ty)? {
            ResourceKind::Host(ty) => ResourceOrigin::Host(*ty),
            ResourceKind::Component { .. } => ResourceOrigin::Component(self.inner.store, ty),
        }))
    }

    /// All exports with their paths, instances before what is in them.
    ///
    /// # Errors
    ///
    /// The instance is another store's.
    pub fn items<T: 'static>(
        &self,
        mut store: impl AsContextMut<Data = T>,
    ) -> Result<Vec<(Vec<String>, ExportedItem)>> {
        let mut store = store.as_context_mut();
        self.check(store.inner().id())?;
        let component = Arc::clone(&self.inner.component);
        let mut paths: Vec<Vec<String>> = Vec::new();
        let mut items = Vec::new();
        for row in &component.plan.linear.exports {
            let parent = row.parent.and_then(|parent: ExportIndex| paths.get(parent.index()).cloned());
            let mut path = parent.unwrap_or_default();
            path.push(component.plan.statics.types.text(row.name).to_owned());
            paths.push(path.clone());
            let item = match &row.value {
                ExportValue::Func(slot) => Some(ExportedItem::Func(self.func(&mut store, *slot)?)),
                ExportValue::Module(ModuleRef::Static(module)) => {
                    component.modules.get(module.index()).cloned().map(ExportedItem::Module)
                }
                ExportValue::Module(ModuleRef::Host(slot)) => {
                    self.imports::<T>()?.get(slot.index as usize).and_then(|import| match import {
                        ResolvedImport::Module(module) => Some(ExportedItem::Module(module.clone())),
                        _ => None,
                    })
                }
                ExportValue::Resource(slot) => self.resource(&store, *slot).map(ExportedItem::Resource),
                ExportValue::Instance => Some(ExportedItem::Instance),
                ExportValue::Type(_) | ExportValue::Opaque => None,
            };
            items.extend(item.map(|item| (path, item)));
        }
        Ok(items)
    }

    fn imports<T: 'static>(&self) -> Result<&[ResolvedImport<T>], UsageError> {
        let imports = self.inner.imports.downcast_ref::<Arc<[ResolvedImport<T>]>>();
        imports.map(|imports| &**imports).ok_or(UsageError::WrongStore { what: "component instance" })
    }

    /// The function in a slot, resolved once.
    fn func<T: 'static>(&self, store: &mut StoreContextMut<'_, T>, slot: Slot) -> Result<Func> {
        self.check(store.inner().id())?;
        let mut known = self.inner.funcs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, func)) = known.iter().find(|(other, _)| *other == slot) {
            return Ok(func.clone());
        }
        let func = Func { store: self.inner.store, kind: self.resolve(store, slot)? };
        known.push((slot, func.clone()));
        Ok(func)
    }

    fn resolve<T: 'static>(&self, store: &StoreContextMut<'_, T>, slot: Slot) -> Result<FuncKind> {
        let component = &self.inner.component;
        let missing = || UsageError::Invalid(format!("internal error: {slot} holds no function"));
        if slot.kind == SlotKind::Import {
            let ty = component.func_type(slot).ok_or_else(missing)?;
            // The instance is the cache's owner, so the function refers to it by parts.
            let inner = InstanceInner {
                store: self.inner.store,
                component: Arc::clone(component),
                tree: self.inner.tree,
                imports: Box::new(
                    self.inner.imports.downcast_ref::<Arc<[ResolvedImport<T>]>>().cloned().ok_or_else(missing)?,
                ),
                funcs: Mutex::default(),
            };
            return Ok(FuncKind::Import { instance: Instance { inner: Arc::new(inner) }, slot: slot.index, ty });
        }
        let lift = component.plan.linear.lifts.get(slot.index as usize);
        let Some(Node::Lift { callee, side }) = lift else { return Err(missing().into()) };
        let inner = store.inner();
        let callee = flat_func(&component.engine, inner, func_of(inner, self.inner.tree, *callee)?)?;
        let options = CallOptions::resolve(component, inner, self.inner.tree, &side.opts)?;
        let row = component.plan.statics.func_types.get(side.ty.index()).ok_or_else(missing)?;
        let borrows = row.params.iter().any(|(_, ty)| component.plan.statics.types.facts(*ty).borrows);
        let may_block = row.is_async;
        let (component, tree, ty) = (Arc::clone(component), self.inner.tree, side.ty);
        Ok(FuncKind::Lifted(Arc::new(super::call::Lifted { component, tree, callee, options, ty, borrows, may_block })))
    }

    /// Calls a function that the component imports and passes on.
    pub(crate) fn call_import<T: 'static>(
        &self,
        store: StoreContextMut<'_, T>,
        slot: u32,
        ty: &ComponentFuncType,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        let import = self.imports::<T>()?.get(slot as usize);
        match import {
            Some(ResolvedImport::Func(func)) => (func.direct)(store, (ty, self.inner.tree), params, results),
            _ => Err(UsageError::Invalid("internal error: an import is no function".to_owned()).into()),
        }
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("tree", &self.inner.tree).finish_non_exhaustive()
    }
}
