//! Instantiation: definitions in order, each appending run-time values to an index space.
//!
//! [Component
//! definitions](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#component-definitions) as
//! the text says it: no definition is looked at before its turn, none is merged with another, nothing is inlined. A
//! component is a closure: its syntax and the scopes around it.
//!
//! Invariant: validation has checked every index and name; one that is missing all the same is an error, not a panic.
//! Nested instantiations are counted, so that their depth and number are bounded.
//!
//! Does not know: how values cross.

use super::calls::{Callee, Evaluation, Lifted, Lowered};
use super::state::{ComponentInstanceId, Instance, Options, Resolver, Resource, Table, Task};
use super::syntax::{
    self, Alias, CoreModule, CoreSort, Decl, Def, Desc, OuterSort, Sort, Syntax, TypeDef, TypeUse, ValueDef,
};
use super::trace::Event;
use super::types::{FuncType, Kind, ResourceId, Type};
use crate::error::{Failure, TrapClass};
use crate::store::{Extern, FuncAddr, MemoryAddr};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A type at run time.
#[derive(Clone, Debug)]
pub(crate) enum TypeValue {
    Value(Type),
    Func(Arc<FuncType>),
    Resource(ResourceId),
    /// An instance type and the scope it was defined in.
    Instance(Arc<TypeDef>, Arc<Frame>),
    /// Component types, which only validation needs.
    Other,
}

/// What instances export and components import.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Module(Arc<CoreModule>),
    Func(Arc<Callee>),
    Type(TypeValue),
    Instance(Arc<Exports>),
    Component(Arc<Closure>),
}

/// The exports of an instance by name.
pub(crate) type Exports = BTreeMap<String, Item>;

/// A component and what its definitions can see.
#[derive(Debug)]
pub(crate) struct Closure {
    pub(crate) syntax: Arc<Syntax>,
    pub(crate) outer: Option<Arc<Frame>>,
}

/// A scope.
#[derive(Debug)]
pub(crate) struct Frame {
    outer: Option<Arc<Frame>>,
    spaces: Mutex<Spaces>,
}

/// The index spaces of a scope.
#[derive(Debug, Default)]
struct Spaces {
    core_funcs: Vec<FuncAddr>,
    core_tables: Vec<Extern>,
    core_memories: Vec<MemoryAddr>,
    core_globals: Vec<Extern>,
    core_tags: Vec<Extern>,
    core_modules: Vec<Arc<CoreModule>>,
    core_instances: Vec<Arc<BTreeMap<String, Extern>>>,
    types: Vec<TypeValue>,
    funcs: Vec<Arc<Callee>>,
    instances: Vec<Arc<Exports>>,
    components: Vec<Arc<Closure>>,
}

impl Frame {
    pub(crate) fn new(outer: Option<Arc<Frame>>) -> Arc<Frame> {
        Arc::new(Frame { outer, spaces: Mutex::default() })
    }

    /// Empties the scope: a component that is defined in it sees it, and would keep it for ever.
    pub(crate) fn clear(&self) {
        let spaces = std::mem::take(&mut *self.spaces());
        drop(spaces);
    }

    fn spaces(&self) -> MutexGuard<'_, Spaces> {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outward(self: &Arc<Frame>, count: u32) -> Result<Arc<Frame>, Failure> {
        let mut frame = self.clone();
        for _ in 0..count {
            frame = frame.outer.clone().ok_or_else(unknown)?;
        }
        Ok(frame)
    }

    fn ty(&self, index: u32) -> Result<TypeValue, Failure> {
        self.spaces().types.get(index as usize).cloned().ok_or_else(unknown)
    }

    fn core_func(&self, index: u32) -> Result<FuncAddr, Failure> {
        self.spaces().core_funcs.get(index as usize).copied().ok_or_else(unknown)
    }

    fn resource(&self, index: u32) -> Result<ResourceId, Failure> {
        match self.ty(index)? {
            TypeValue::Resource(resource) => Ok(resource),
            _ => Err(unknown()),
        }
    }

    fn item(&self, sort: Sort, index: u32) -> Result<Item, Failure> {
        let (spaces, at) = (self.spaces(), index as usize);
        let item = match sort {
            Sort::Module => spaces.core_modules.get(at).cloned().map(Item::Module),
            Sort::Func => spaces.funcs.get(at).cloned().map(Item::Func),
            Sort::Type => spaces.types.get(at).cloned().map(Item::Type),
            Sort::Instance => spaces.instances.get(at).cloned().map(Item::Instance),
            Sort::Component => spaces.components.get(at).cloned().map(Item::Component),
            Sort::Value => None,
        };
        item.ok_or_else(unknown)
    }

    fn push(&self, item: Item) {
        let mut spaces = self.spaces();
        match item {
            Item::Module(module) => spaces.core_modules.push(module),
            Item::Func(func) => spaces.funcs.push(func),
            Item::Type(ty) => spaces.types.push(ty),
            Item::Instance(exports) => spaces.instances.push(exports),
            Item::Component(closure) => spaces.components.push(closure),
        }
    }

    fn core_item(&self, sort: CoreSort, index: u32) -> Result<Extern, Failure> {
        let (spaces, at) = (self.spaces(), index as usize);
        let item = match sort {
            CoreSort::Func => spaces.core_funcs.get(at).copied().map(Extern::Func),
            CoreSort::Memory => spaces.core_memories.get(at).copied().map(Extern::Memory),
            CoreSort::Table => spaces.core_tables.get(at).copied(),
            CoreSort::Global => spaces.core_globals.get(at).copied(),
            CoreSort::Tag => spaces.core_tags.get(at).copied(),
        };
        item.ok_or_else(unknown)
    }

    fn push_core(&self, item: Extern) {
        let mut spaces = self.spaces();
        match item {
            Extern::Func(func) => spaces.core_funcs.push(func),
            Extern::Memory(memory) => spaces.core_memories.push(memory),
            Extern::Table(_) => spaces.core_tables.push(item),
            Extern::Global(_) => spaces.core_globals.push(item),
            Extern::Tag(_) => spaces.core_tags.push(item),
        }
    }
}

pub(crate) fn unknown() -> Failure {
    Failure::Unlinkable("unknown definition".to_owned())
}

/// A component instance that is being made.
struct Site {
    frame: Arc<Frame>,
    inst: ComponentInstanceId,
    exports: Exports,
}

impl Evaluation<'_> {
    /// Instantiates a component: its exports. Imports that `args` does not have are the host's.
    pub(crate) fn instantiate(
        &mut self,
        closure: &Closure,
        parent: Option<ComponentInstanceId>,
        args: &Exports,
    ) -> Result<Exports, Failure> {
        let (inst, caller) = self.enter_instance(parent)?;
        let frame = self.scope(closure.outer.clone());
        let mut site = Site { frame, inst, exports: Exports::new() };
        let ended = closure.syntax.defs.iter().try_for_each(|def| self.define(&mut site, def, parent, args));
        let mut state = self.shared.lock();
        state.tasks.pop();
        state.current = caller;
        state.depth -= 1;
        ended.map(|()| site.exports)
    }

    /// A new scope, which lasts as long as the evaluator.
    fn scope(&self, outer: Option<Arc<Frame>>) -> Arc<Frame> {
        let frame = Frame::new(outer);
        self.shared.lock().frames.push(frame.clone());
        frame
    }

    /// A new component instance, and the task in whose name its start functions run.
    fn enter_instance(
        &mut self,
        parent: Option<ComponentInstanceId>,
    ) -> Result<(ComponentInstanceId, Option<usize>), Failure> {
        let mut state = self.shared.lock();
        if state.depth >= state.limits.depth {
            return Err(Failure::Limit("nested instantiation".to_owned()));
        }
        state.spend_instance()?;
        state.depth += 1;
        let inst = ComponentInstanceId(state.instances.len() as u32);
        let root = match parent {
            Some(parent) => state.instance(parent).root,
            None => {
                state.poisoned.push(false);
                state.poisoned.len() as u32 - 1
            }
        };
        state.instances.push(Instance { parent, root, may_leave: true, backpressure: 0, table: Table::default() });
        let ty = Arc::new(FuncType { is_async: false, params: Vec::new(), result: None });
        let options = Arc::new(Options::default());
        let resolver = Resolver::Host;
        state.tasks.push(Task { inst, ty, options, resolver, outcome: None, borrows: 0, context: [0; 2] });
        let at = state.tasks.len() - 1;
        let caller = state.current.replace(at);
        Ok((inst, caller))
    }

    fn define(
        &mut self,
        site: &mut Site,
        def: &Def,
        parent: Option<ComponentInstanceId>,
        args: &Exports,
    ) -> Result<(), Failure> {
        let frame = site.frame.clone();
        match def {
            Def::CoreModule(module) => frame.push(Item::Module(module.clone())),
            Def::CoreType => {}
            Def::CoreInstance { module, args } => {
                let exports = self.core_instance(site, *module, args)?;
                frame.spaces().core_instances.push(Arc::new(exports));
            }
            Def::CoreExports(items) => {
                let mut exports = BTreeMap::new();
                for (name, sort, index) in items {
                    exports.insert(name.clone(), frame.core_item(*sort, *index)?);
                }
                frame.spaces().core_instances.push(Arc::new(exports));
            }
            Def::Component(syntax) => {
                let closure = Closure { syntax: syntax.clone(), outer: Some(frame.clone()) };
                frame.push(Item::Component(Arc::new(closure)));
            }
            Def::Instance { component, args } => {
                let Item::Component(closure) = frame.item(Sort::Component, *component)? else { return Err(unknown()) };
                let args = collect(&frame, args)?;
                let exports = self.instantiate(&closure, Some(site.inst), &args)?;
                frame.push(Item::Instance(Arc::new(exports)));
            }
            Def::Exports(items) => frame.push(Item::Instance(Arc::new(collect(&frame, items)?))),
            Def::Alias(alias) => define_alias(&frame, alias)?,
            Def::Type(ty) => {
                let ty = self.resolve_type(&frame, ty, Some(site.inst))?;
                frame.push(Item::Type(ty));
            }
            Def::Canon(canon) => self.canon(site, canon)?,
            Def::Import(name, desc) => {
                let item = match args.get(name) {
                    Some(item) => item.clone(),
                    None if parent.is_none() => self.host_item(&frame, name, *desc)?,
                    None => return Err(unknown()),
                };
                frame.push(item);
            }
            Def::Export(name, sort, index) => {
                let item = frame.item(*sort, *index)?;
                frame.push(item.clone());
                site.exports.insert(name.clone(), item);
            }
        }
        Ok(())
    }

    fn core_instance(
        &mut self,
        site: &Site,
        module: u32,
        args: &[(String, u32)],
    ) -> Result<BTreeMap<String, Extern>, Failure> {
        let Item::Module(module) = site.frame.item(Sort::Module, module)? else { return Err(unknown()) };
        let mut imports = Vec::new();
        for import in module.module.imports() {
            let arg = args.iter().find(|(name, _)| *name == import.module).ok_or_else(unknown)?;
            let spaces = site.frame.spaces();
            let instance = spaces.core_instances.get(arg.1 as usize).ok_or_else(unknown)?;
            imports.push(*instance.get(&import.name).ok_or_else(unknown)?);
        }
        {
            let mut state = self.shared.lock();
            state.spend_instance()?;
            let (module_number, instance) = (module.number, site.inst.0);
            state.record(Event::Instantiate { module: module_number, instance })?;
            if module.has_start {
                state.record(Event::Start { module: module_number, instance })?;
            }
        }
        match self.store.instantiate(&module.module, &imports) {
            Ok(instance) => Ok(self.store.instance(instance).exports.clone()),
            Err(Failure::Exception(_)) => Err(Failure::trap(TrapClass::UncaughtException)),
            Err(failure) => Err(failure),
        }
    }

    fn options(&self, frame: &Frame, options: &syntax::Options) -> Result<Arc<Options>, Failure> {
        let func = |index: Option<u32>| index.map(|index| frame.core_func(index)).transpose();
        let memory = options.memory.map(|index| frame.spaces().core_memories.get(index as usize).copied());
        let memory = memory.map(|memory| memory.ok_or_else(unknown)).transpose()?;
        Ok(Arc::new(Options {
            encoding: options.encoding,
            memory,
            is64: memory.is_some_and(|memory| self.store.memory(memory).ty.is64),
            realloc: func(options.realloc)?,
            post_return: func(options.post_return)?,
            callback: func(options.callback)?,
            is_async: options.is_async,
        }))
    }

    fn canon(&mut self, site: &Site, canon: &syntax::Canon) -> Result<(), Failure> {
        let frame = &site.frame;
        let func = match canon {
            syntax::Canon::Lift { core, ty, options } => {
                let TypeValue::Func(ty) = frame.ty(*ty)? else { return Err(unknown()) };
                let options = self.options(frame, options)?;
                let lifted = Lifted { inst: site.inst, core: frame.core_func(*core)?, ty, options };
                frame.push(Item::Func(Arc::new(Callee::Lifted(lifted))));
                return Ok(());
            }
            syntax::Canon::Lower { func, options } => {
                let Item::Func(callee) = frame.item(Sort::Func, *func)? else { return Err(unknown()) };
                let options = self.options(frame, options)?;
                self.lowered_func(Lowered { inst: site.inst, callee, options })
            }
            syntax::Canon::ResourceNew(ty) => self.resource_new_func(site.inst, frame.resource(*ty)?),
            syntax::Canon::ResourceDrop(ty) => self.resource_drop_func(site.inst, frame.resource(*ty)?),
            syntax::Canon::ResourceRep(ty) => self.resource_rep_func(site.inst, frame.resource(*ty)?),
            syntax::Canon::TaskReturn { result, options } => {
                let result = result.map(|ty| self.value_type(frame, ty)).transpose()?;
                let options = self.options(frame, options)?;
                self.task_return_func(site.inst, result, options)
            }
            syntax::Canon::ContextGet { slot, wide } => self.context_get_func(*slot, *wide),
            syntax::Canon::ContextSet { slot, wide } => self.context_set_func(*slot, *wide),
            syntax::Canon::BackpressureInc => self.backpressure_func(site.inst, true),
            syntax::Canon::BackpressureDec => self.backpressure_func(site.inst, false),
            syntax::Canon::Other { name, params, results } => self.other_func(site.inst, name, params, results),
        };
        frame.push_core(Extern::Func(func));
        Ok(())
    }

    /// What a type definition means here; resources belong to `inst`.
    fn resolve_type(
        &mut self,
        frame: &Arc<Frame>,
        def: &Arc<TypeDef>,
        inst: Option<ComponentInstanceId>,
    ) -> Result<TypeValue, Failure> {
        Ok(match &**def {
            TypeDef::Value(value) => TypeValue::Value(self.value_def(frame, value)?),
            TypeDef::Func { is_async, params, result } => {
                let mut named = Vec::new();
                for (name, ty) in params {
                    named.push((name.clone(), self.value_type(frame, *ty)?));
                }
                let result = result.map(|ty| self.value_type(frame, ty)).transpose()?;
                TypeValue::Func(Arc::new(FuncType { is_async: *is_async, params: named, result }))
            }
            TypeDef::Instance(_) => TypeValue::Instance(def.clone(), frame.clone()),
            TypeDef::Component => TypeValue::Other,
            TypeDef::Resource { dtor } => {
                let dtor = dtor.map(|dtor| frame.core_func(dtor)).transpose()?;
                TypeValue::Resource(self.new_resource(Resource { owner: inst, dtor, path: String::new() }))
            }
        })
    }

    fn new_resource(&mut self, resource: Resource) -> ResourceId {
        let mut state = self.shared.lock();
        state.resources.push(resource);
        ResourceId(state.resources.len() as u32 - 1)
    }

    fn intern(&mut self, kind: Kind) -> Result<Type, Failure> {
        self.shared.lock().types.intern(kind).ok_or_else(|| Failure::Limit("type".to_owned()))
    }

    fn value_type(&mut self, frame: &Frame, ty: TypeUse) -> Result<Type, Failure> {
        match ty {
            TypeUse::Primitive(primitive) => {
                self.shared.lock().types.primitive(primitive).ok_or_else(|| Failure::Limit("type".to_owned()))
            }
            TypeUse::Index(index) => match frame.ty(index)? {
                TypeValue::Value(ty) => Ok(ty),
                _ => Err(unknown()),
            },
        }
    }

    fn value_def(&mut self, frame: &Frame, def: &ValueDef) -> Result<Type, Failure> {
        let mut of = |ty: TypeUse| self.value_type(frame, ty);
        let numbered = |at: usize, ty: Type| (at.to_string(), ty);
        let kind = match def {
            ValueDef::Primitive(primitive) => return of(TypeUse::Primitive(*primitive)),
            ValueDef::Record(fields) => {
                let fields = fields.iter().map(|(name, ty)| Ok((name.clone(), of(*ty)?)));
                Kind::Record(fields.collect::<Result<_, Failure>>()?)
            }
            ValueDef::Tuple(types) => {
                let fields = types.iter().enumerate().map(|(at, ty)| Ok(numbered(at, of(*ty)?)));
                Kind::Record(fields.collect::<Result<_, Failure>>()?)
            }
            ValueDef::Variant(cases) => {
                let cases = cases.iter().map(|(name, ty)| Ok((name.clone(), ty.map(&mut of).transpose()?)));
                Kind::Variant(cases.collect::<Result<_, Failure>>()?)
            }
            ValueDef::Enum(labels) => Kind::Variant(labels.iter().map(|label| (label.clone(), None)).collect()),
            ValueDef::Option(ty) => Kind::Variant(vec![("none".to_owned(), None), ("some".to_owned(), Some(of(*ty)?))]),
            ValueDef::Result(ok, error) => {
                let (ok, error) = (ok.map(&mut of).transpose()?, error.map(&mut of).transpose()?);
                Kind::Variant(vec![("ok".to_owned(), ok), ("error".to_owned(), error)])
            }
            ValueDef::List(ty) => Kind::List(of(*ty)?),
            ValueDef::FixedList(ty, length) => Kind::FixedList(of(*ty)?, *length),
            ValueDef::Map(key, value) => {
                let pair = vec![numbered(0, of(*key)?), numbered(1, of(*value)?)];
                Kind::List(self.intern(Kind::Record(pair))?)
            }
            ValueDef::Flags(labels) => Kind::Flags(labels.clone()),
            ValueDef::Own(resource) => Kind::Own(frame.resource(*resource)?),
            ValueDef::Borrow(resource) => Kind::Borrow(frame.resource(*resource)?),
            ValueDef::Future(ty) => Kind::Future(ty.map(&mut of).transpose()?),
            ValueDef::Stream(ty) => Kind::Stream(ty.map(&mut of).transpose()?),
        };
        self.intern(kind)
    }

    /// What the host has for an import of a root component.
    fn host_item(&mut self, frame: &Arc<Frame>, path: &str, desc: Desc) -> Result<Item, Failure> {
        match desc {
            Desc::Func(ty) => {
                let TypeValue::Func(ty) = frame.ty(ty)? else { return Err(unknown()) };
                Ok(Item::Func(Arc::new(Callee::Host { path: path.to_owned(), ty })))
            }
            Desc::TypeEq(ty) => Ok(Item::Type(frame.ty(ty)?)),
            Desc::SubResource => {
                let resource = Resource { owner: None, dtor: None, path: path.to_owned() };
                Ok(Item::Type(TypeValue::Resource(self.new_resource(resource))))
            }
            Desc::Instance(ty) => {
                let TypeValue::Instance(def, scope) = frame.ty(ty)? else { return Err(unknown()) };
                let TypeDef::Instance(decls) = &*def else { return Err(unknown()) };
                // Validation bounds how deep instance types nest.
                let inside = self.scope(Some(scope));
                let mut exports = Exports::new();
                for decl in decls {
                    match decl {
                        Decl::CoreType => {}
                        Decl::Type(ty) => {
                            let ty = self.resolve_type(&inside, ty, None)?;
                            inside.push(Item::Type(ty));
                        }
                        Decl::Alias(alias) => define_alias(&inside, alias)?,
                        Decl::Export(name, desc) => {
                            let item = self.host_item(&inside, &format!("{path}#{name}"), *desc)?;
                            inside.push(item.clone());
                            exports.insert(name.clone(), item);
                        }
                    }
                }
                Ok(Item::Instance(Arc::new(exports)))
            }
            Desc::Module | Desc::Value | Desc::Component => {
                Err(Failure::Unlinkable(format!("the host has no module, component or value {path}")))
            }
        }
    }
}

fn collect(frame: &Frame, items: &[(String, Sort, u32)]) -> Result<Exports, Failure> {
    items.iter().map(|(name, sort, index)| Ok((name.clone(), frame.item(*sort, *index)?))).collect()
}

fn define_alias(frame: &Arc<Frame>, alias: &Alias) -> Result<(), Failure> {
    match alias {
        Alias::Export { instance, name, .. } => {
            let item = {
                let spaces = frame.spaces();
                let exports = spaces.instances.get(*instance as usize).ok_or_else(unknown)?;
                exports.get(name).cloned().ok_or_else(unknown)?
            };
            frame.push(item);
        }
        Alias::CoreExport { instance, name } => {
            let item = {
                let spaces = frame.spaces();
                let exports = spaces.core_instances.get(*instance as usize).ok_or_else(unknown)?;
                *exports.get(name).ok_or_else(unknown)?
            };
            frame.push_core(item);
        }
        Alias::Outer { sort, count, index } => {
            let outer = frame.outward(*count)?;
            let item = match sort {
                OuterSort::CoreType => return Ok(()),
                OuterSort::Module => outer.item(Sort::Module, *index)?,
                OuterSort::Type => outer.item(Sort::Type, *index)?,
                OuterSort::Component => outer.item(Sort::Component, *index)?,
            };
            frame.push(item);
        }
    }
    Ok(())
}
