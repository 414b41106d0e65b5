//! Carrying out one definition.
//!
//! Each [definition](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#component-definitions)
//! adds to index spaces; instantiations of core modules and resource types are effects of the graph.
//!
//! Invariant: a definition adds exactly what its kind says, in order, so that indices mean what they mean in the binary.
//!
//! Does not know: canonical definitions, imports of the host.

use super::value::{Closure, ClosureId, CoreInstance, CoreItem, Item, ModuleValue, TypeValue};
use super::{Elaborator, Purpose};
use crate::decode::ast::{Def, Kind, Named, ScopeIndex, Source, Symbol, TypeDef, ValRef};
use crate::decode::broken;
use crate::error::ComponentError;
use crate::graph::{Args, CoreEntity, FuncType, Key, ModuleRef, Node, Sort};
use crate::ids::{ImportIndex, ModuleIndex, NodeId};
use crate::types::{TypeScope, interface};
use std::collections::HashMap;
use wattest_canon::{Name, ResourceId, TypeId};

impl<'b> Elaborator<'_, 'b> {
    pub(super) fn step(&mut self, def: &'b Def) -> Result<(), ComponentError> {
        match def {
            Def::CoreModule(module) => {
                self.push(Kind::Module, Item::Module(ModuleValue::Static(ModuleIndex(*module))));
                Ok(())
            }
            Def::CoreInstance { module, args } => self.core_instance(*module, args),
            Def::CoreBundle(exports) => self.core_bundle(exports),
            Def::CoreAlias { sort, instance, name } => {
                let instance = self.top().core_instances.get(*instance as usize).copied();
                let instance = instance.ok_or_else(|| broken("a core instance"))?;
                let item = self.core_export(instance, *name, *sort)?;
                self.push_core(*sort, item);
                Ok(())
            }
            Def::Component(scope) => {
                let closure = self.close(*scope)?;
                self.push(Kind::Component, Item::Component(closure));
                Ok(())
            }
            Def::Instance { component, args } => self.instance(*component, args),
            Def::Bundle(exports) => {
                self.spend(exports.len() as u64)?;
                let items = exports.iter().map(|named| Ok((named.name, self.item(named.kind, named.index)?)));
                let items = items.collect::<Result<Vec<_>, ComponentError>>()?;
                let instance = Item::Instance(self.instances.add(items));
                self.push(Kind::Instance, instance);
                Ok(())
            }
            Def::AliasExport { kind, instance, name } => {
                let Item::Instance(instance) = self.item(Kind::Instance, *instance)? else {
                    return Err(broken("an instance"));
                };
                let item = self.instances.get(instance, *name).ok_or_else(|| broken("an export"))?;
                self.push(*kind, item);
                Ok(())
            }
            Def::AliasLocal { kind, index } => {
                let item = self.item(*kind, *index)?;
                self.push(*kind, item);
                Ok(())
            }
            Def::AliasCapture { kind, capture } => {
                let item = self.capture(*capture)?;
                self.push(*kind, item);
                Ok(())
            }
            Def::Type(ty) => self.define_type(ty),
            Def::Canon(canon) => self.canon(canon),
            Def::Import { name, ty } => self.import(*name, *ty),
            Def::Declare { name, ty } => self.declare(*name, *ty),
            Def::Export(named) => {
                if named.kind == Kind::Value {
                    return Err(ComponentError::Unsupported("exports of values".to_owned()));
                }
                let item = self.item(named.kind, named.index)?;
                self.push(named.kind, item);
                self.top().exports.push((named.name, item));
                Ok(())
            }
        }
    }

    pub(super) fn push(&mut self, kind: Kind, item: Item) {
        self.top().spaces[kind as usize].push(item);
    }

    pub(super) fn push_core(&mut self, sort: Sort, item: CoreItem) {
        self.top().core[sort as usize].push(item);
    }

    pub(super) fn item(&self, kind: Kind, index: u32) -> Result<Item, ComponentError> {
        let frame = self.frames.last().ok_or_else(|| broken("a frame"))?;
        frame.spaces[kind as usize].get(index as usize).copied().ok_or_else(|| broken("an item"))
    }

    pub(super) fn core_item(&self, sort: Sort, index: u32) -> Result<CoreItem, ComponentError> {
        let frame = self.frames.last().ok_or_else(|| broken("a frame"))?;
        frame.core[sort as usize].get(index as usize).copied().ok_or_else(|| broken("a core item"))
    }

    fn capture(&self, capture: u32) -> Result<Item, ComponentError> {
        let frame = self.frames.last().ok_or_else(|| broken("a frame"))?;
        let at = frame.captures.start + capture;
        self.captured.get(at as usize).copied().ok_or_else(|| broken("a captured item"))
    }

    /// A scope with what it takes from the innermost frame.
    fn close(&mut self, scope: ScopeIndex) -> Result<ClosureId, ComponentError> {
        let captures = &self.ast.scopes[scope.0 as usize].captures;
        self.spend(captures.len() as u64)?;
        let start = self.captured.len() as u32;
        for (kind, source) in captures {
            let item = match source {
                Source::Local(index) => self.item(*kind, *index)?,
                Source::Captured(capture) => self.capture(*capture)?,
            };
            self.captured.push(item);
        }
        Ok(self.closures.push(Closure { scope, captures: start..self.captured.len() as u32 }))
    }

    fn instance(&mut self, component: u32, args: &[Named]) -> Result<(), ComponentError> {
        let Item::Component(closure) = self.item(Kind::Component, component)? else {
            return Err(broken("a component"));
        };
        self.spend(args.len() as u64)?;
        // ORDER: only looked up by name.
        let mut map = HashMap::with_capacity(args.len());
        for named in args {
            map.insert(named.name, self.item(named.kind, named.index)?);
        }
        let parent = self.top().component;
        self.enter_component(closure, map, Some(parent))
    }

    fn core_bundle(&mut self, exports: &[(Symbol, Sort, u32)]) -> Result<(), ComponentError> {
        self.spend(exports.len() as u64)?;
        let bundle = self.core_bundles;
        self.core_bundles += 1;
        for (name, sort, index) in exports {
            let item = self.core_item(*sort, *index)?;
            self.core_exports.insert((bundle, *name), (*sort, item));
        }
        self.top().core_instances.push(CoreInstance::Bundle(bundle));
        Ok(())
    }

    /// The export of a core instance, of a sort that validation has checked.
    fn core_export(&mut self, instance: CoreInstance, name: Symbol, sort: Sort) -> Result<CoreItem, ComponentError> {
        let (instance, key, ty) = match instance {
            CoreInstance::Bundle(bundle) => {
                let found = self.core_exports.get(&(bundle, name)).filter(|(found, _)| *found == sort);
                return found.map(|(_, item)| *item).ok_or_else(|| broken("a core export"));
            }
            CoreInstance::Static(instance, module) => {
                let (index, ty) = *self.module(module).exports.get(&name).ok_or_else(|| broken("a module's export"))?;
                (instance, Key::Index(index), ty)
            }
            CoreInstance::Host(instance, import) => {
                let name = self.name_of(name)?;
                let ty = self.host_exports.get(&(import, name)).copied();
                (instance, Key::Name(name), ty.ok_or_else(|| broken("a module's export"))?)
            }
        };
        if ty.sort() != sort {
            return Err(broken("a core export of the sort"));
        }
        Ok(CoreItem { node: self.graph.add(Node::Project { instance, key, ty })?, ty })
    }

    fn core_instance(&mut self, module: u32, args: &[(Symbol, u32)]) -> Result<(), ComponentError> {
        let Item::Module(module) = self.item(Kind::Module, module)? else { return Err(broken("a module")) };
        let mut instances = HashMap::with_capacity(args.len());
        for (name, index) in args {
            let instance = self.top().core_instances.get(*index as usize).copied();
            instances.insert(*name, instance.ok_or_else(|| broken("a core instance"))?);
        }
        let component = self.top().component;
        let instance = match module {
            ModuleValue::Static(module) => {
                let imports = &self.module(module).imports;
                self.spend(imports.len() as u64 + args.len() as u64)?;
                let values = imports.iter().map(|(from, name, ty)| self.argument(&instances, *from, *name, *ty));
                let args = Args::Positional(values.collect::<Result<_, _>>()?);
                let node = Node::Instantiate { module: ModuleRef::Static(module), args, component };
                CoreInstance::Static(self.graph.add(node)?, module)
            }
            ModuleValue::Host(node, import) => {
                let args = self.named_arguments(import, &instances)?;
                let node = Node::Instantiate { module: ModuleRef::Host(node), args, component };
                CoreInstance::Host(self.graph.add(node)?, import)
            }
        };
        self.top().core_instances.push(instance);
        Ok(())
    }

    fn argument(
        &mut self,
        instances: &HashMap<Symbol, CoreInstance>,
        from: Symbol,
        name: Symbol,
        ty: CoreEntity,
    ) -> Result<NodeId, ComponentError> {
        let instance = instances.get(&from).copied().ok_or_else(|| broken("a module's argument"))?;
        Ok(self.core_export(instance, name, ty.sort())?.node)
    }

    fn named_arguments(
        &mut self,
        import: ImportIndex,
        instances: &HashMap<Symbol, CoreInstance>,
    ) -> Result<Args<NodeId>, ComponentError> {
        let imports = self.host_imports.get(&import).copied().ok_or_else(|| broken("a module type"))?;
        let imports = &self.ast.module_types[imports.0 as usize].imports;
        self.spend(imports.len() as u64)?;
        let rows = imports.iter().map(|(from, name, ty)| {
            let value = self.argument(instances, *from, *name, *ty)?;
            Ok((self.name_of(*from)?, self.name_of(*name)?, value))
        });
        Ok(Args::Named(rows.collect::<Result<_, ComponentError>>()?))
    }

    fn define_type(&mut self, def: &TypeDef) -> Result<(), ComponentError> {
        let ty = match def {
            TypeDef::Value(def) => {
                self.spend(def.members())?;
                let ty = interface(def, self)?;
                TypeValue::Value(self.graph.statics.types.intern(ty)?)
            }
            TypeDef::Func { params, result, is_async } => {
                self.spend(params.len() as u64)?;
                let params = params.iter().map(|(name, ty)| Ok((self.name_of(*name)?, self.value(*ty)?)));
                let params = params.collect::<Result<_, ComponentError>>()?;
                let result = result.map(|ty| self.value(ty)).transpose()?;
                TypeValue::Func(self.func_type(FuncType { params, result, is_async: *is_async }))
            }
            TypeDef::Resource { dtor } => {
                let dtor = dtor.map(|dtor| self.core_item(Sort::Func, dtor)).transpose()?.map(|item| item.node);
                let component = self.top().component;
                let resource = self.component_resource(component);
                TypeValue::Resource(self.graph.add(Node::DefineResource { resource, dtor, component })?, resource)
            }
            TypeDef::Instance(scope) => TypeValue::Instance(self.close(*scope)?),
            TypeDef::Component => TypeValue::Component,
        };
        self.push(Kind::Type, Item::Type(ty));
        Ok(())
    }

    fn import(&mut self, name: Symbol, ty: crate::decode::ast::TypeRef) -> Result<(), ComponentError> {
        if self.frames.len() > 1 {
            let item = self.top().args.get(&name).copied().ok_or_else(|| broken("an argument"))?;
            self.push(ty.kind(), item);
            return Ok(());
        }
        let path = [self.name_of(name)?];
        self.host(path.into(), ty, None)
    }

    fn declare(&mut self, name: Symbol, ty: crate::decode::ast::TypeRef) -> Result<(), ComponentError> {
        let Purpose::Host { path, .. } = &self.top().purpose else { return Err(broken("an instance type")) };
        let mut path = path.to_vec();
        path.push(self.name_of(name)?);
        self.spend(path.len() as u64)?;
        self.host(path.into(), ty, Some(name))
    }
}

/// The innermost frame's types.
impl TypeScope for Elaborator<'_, '_> {
    fn value(&mut self, ty: ValRef) -> Result<TypeId, ComponentError> {
        match ty {
            ValRef::Known(ty) => Ok(ty),
            ValRef::Index(index) => match self.item(Kind::Type, index)? {
                Item::Type(TypeValue::Value(ty)) => Ok(ty),
                _ => Err(broken("a value type")),
            },
        }
    }

    fn name(&mut self, symbol: Symbol) -> Result<Name, ComponentError> {
        self.name_of(symbol)
    }

    fn resource(&mut self, index: u32) -> Result<ResourceId, ComponentError> {
        match self.item(Kind::Type, index)? {
            Item::Type(TypeValue::Resource(_, resource)) => Ok(resource),
            _ => Err(broken("a resource type")),
        }
    }
}
