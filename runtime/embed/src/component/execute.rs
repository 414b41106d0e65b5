//! Execution of a linear plan.
//!
//! Carries out what [`wattest_component::Linear`] says: from front to back, every slot written once
//! ([instantiation](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#component-definitions)).
//!
//! Invariant: a trap ends it and poisons the tree, so that nothing of it is ever entered.
//!
//! Does not know: what trampolines do, where imports are from.

use super::call::seal;
use super::instance::{InstancePre, ResolvedImport};
use super::options::{empty, flat_func, func_of};
use super::resource::ResourceOrigin;
use super::trampoline::trampoline;
use crate::context::StoreContextMut;
use crate::error::{Error, InstantiateError, Result, UsageError};
use crate::instance::{Instance as CoreInstance, instantiate_error};
use crate::module::Module;
use wattest_canon::ResourceId;
use wattest_component::graph::{Args, ImportKind, Key, ModuleRef};
use wattest_component::{LoadKey, Op, Slot, SlotKind};
use wattest_module::{FuncIndex, GlobalIndex, GlobalType, MemoryIndex, TableIndex, ValType};
use wattest_vm::component::{
    ComponentId, ComponentInstance, FLAGS_START, HandleTable, PlanSlots, ResourceKind, ResourceSlot, Tree, TreeId,
};
use wattest_vm::{Extern, Raw};

/// Instantiates a component; the tree that came of it.
pub(crate) fn execute<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    pre: &InstancePre<T>,
) -> Result<TreeId, InstantiateError> {
    let tree = prepare(store, pre)?;
    let mut result = resources(store, pre, tree).map_err(InstantiateError::Start);
    if result.is_ok() {
        result = (|| {
            let ops = &pre.component.inner.plan.linear.ops;
            for number in 0..pre.component.inner.plan.linear.trampolines.len() {
                let func = trampoline(store, pre, tree, number).map_err(InstantiateError::Start)?;
                store.inner_mut().components_mut().tree(tree).slots.trampolines.push(func);
            }
            ops.iter().try_for_each(|op| step(store, pre, tree, op))
        })();
    }
    seal(store.inner_mut(), tree, &result);
    result.map(|()| tree)
}

/// Makes the tree with its component instances, and its slots, all empty.
fn prepare<T: 'static>(store: &mut StoreContextMut<'_, T>, pre: &InstancePre<T>) -> Result<TreeId, InstantiateError> {
    let plan = &pre.component.inner.plan;
    let counts = |kind| plan.linear.counts.of(kind) as usize;
    let inner = store.inner_mut();
    let limit = |what: &str| InstantiateError::Limit(format!("limit reached: {what}"));
    let number = |count: usize| u32::try_from(count).map_err(|_| limit("number of component instances"));
    let tree = TreeId(number(inner.components().trees.len())?);
    let first = ComponentId(number(inner.components().instances.len())?);
    number(first.0 as usize + plan.statics.components.len())?;
    for _ in &plan.statics.components {
        let ty = GlobalType { content: ValType::I32, mutable: true };
        let made = inner.new_global(ty, Raw::I32(FLAGS_START));
        let flags = made.ok().flatten().ok_or_else(|| limit("globals"))?;
        let instance = ComponentInstance { tree, handles: HandleTable::default(), flags, context: [0; 2] };
        inner.components_mut().instances.push(instance);
    }
    let slots = PlanSlots {
        instances: vec![None; counts(SlotKind::Instance)],
        funcs: vec![None; counts(SlotKind::Func)],
        memories: vec![None; counts(SlotKind::Memory)],
        others: [SlotKind::Table, SlotKind::Global, SlotKind::Tag].map(|kind| vec![None; counts(kind)]),
        resources: vec![None; plan.statics.resources.len().max(counts(SlotKind::Resource))],
        trampolines: Vec::with_capacity(plan.linear.trampolines.len()),
    };
    inner.components_mut().trees.push(Tree { poisoned: false, active: true, first, slots });
    Ok(tree)
}

/// Fills in the resource types of the host.
fn resources<T: 'static>(store: &mut StoreContextMut<'_, T>, pre: &InstancePre<T>, tree: TreeId) -> Result<()> {
    let component = &pre.component.inner;
    for (position, import) in pre.imports.iter().enumerate() {
        let row = component.plan.linear.imports.get(position).and_then(|row| component.plan.statics.import(*row));
        let (Some(row), ResolvedImport::Resource(def)) = (row, import) else { continue };
        let ImportKind::Resource(ResourceId(id)) = row.kind else { continue };
        let ty = match def.ty.0 {
            ResourceOrigin::Host(ty) => store.inner_mut().components_mut().host_resource_type(ty),
            ResourceOrigin::Component(owner, ty) if owner == store.inner().id() => ty,
            ResourceOrigin::Component(..) => return Err(UsageError::WrongStore { what: "resource type" }.into()),
        };
        let dtor = match &def.dtor {
            Some(dtor) => {
                let func = store.0.add_host_function(dtor);
                Some(flat_func(&component.engine, store.inner(), func)?)
            }
            None => match store.inner().components().resource_kind(ty) {
                Some(ResourceKind::Component { dtor, .. }) => dtor.clone(),
                _ => None,
            },
        };
        let slots = &mut store.inner_mut().components_mut().tree(tree).slots;
        if let Some(slot) = slots.resources.get_mut(id as usize) {
            *slot = Some(ResourceSlot { ty, dtor });
        }
    }
    Ok(())
}

fn step<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    pre: &InstancePre<T>,
    tree: TreeId,
    op: &Op,
) -> Result<(), InstantiateError> {
    let component = &pre.component.inner;
    match op {
        Op::Instantiate { dst, module, args, component: owner } => {
            let module = match module {
                ModuleRef::Static(module) => component.modules.get(module.index()),
                ModuleRef::Host(slot) => match pre.imports.get(slot.index as usize) {
                    Some(ResolvedImport::Module(module)) => Some(module),
                    _ => None,
                },
            };
            let module = module.ok_or_else(|| InstantiateError::Start(empty(*dst)))?.clone();
            let imports = arguments(store, pre, tree, &module, args)?;
            let owner = ComponentId(store.inner_mut().components_mut().tree(tree).first.0 + owner.0);
            let depth = store.inner_mut().components_mut().begin_instantiation(owner);
            let made = instantiate(store, tree, *dst, &module, &imports);
            store.inner_mut().components_mut().end_instantiation(owner, depth);
            made
        }
        Op::Adapters { dst, adapter, args } => {
            let template = component.plan.linear.adapters.get(adapter.index()).map(|row| row.template as usize);
            let module = template.and_then(|template| component.templates.get(template));
            let module = module.ok_or_else(|| InstantiateError::Start(empty(*dst)))?.clone();
            let imports = args.iter().map(|slot| value(store, tree, *slot)).collect::<Result<Vec<_>>>();
            instantiate(store, tree, *dst, &module, &imports.map_err(InstantiateError::Start)?)
        }
        Op::Load { dst, instance, export } => {
            load(store, pre, tree, *dst, *instance, *export).map_err(InstantiateError::Start)
        }
        Op::Resource { dst, dtor, component: owner } => {
            define_resource(store, pre, tree, *dst, *dtor, owner.0).map_err(InstantiateError::Start)
        }
    }
}

fn instantiate<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    tree: TreeId,
    dst: Slot,
    module: &Module,
    imports: &[Extern],
) -> Result<(), InstantiateError> {
    if imports.len() != module.desc().imports.len() {
        return Err(instantiate_error(wattest_vm::InstantiateError::Mismatch { import: imports.len() }, imports));
    }
    let instance = CoreInstance::from_vm_imports(store, module, imports)?;
    let slots = &mut store.inner_mut().components_mut().tree(tree).slots;
    if let Some(slot) = slots.instances.get_mut(dst.index as usize) {
        *slot = Some(instance.vm_id());
    }
    Ok(())
}

fn arguments<T: 'static>(
    store: &StoreContextMut<'_, T>,
    pre: &InstancePre<T>,
    tree: TreeId,
    module: &Module,
    args: &Args<Slot>,
) -> Result<Vec<Extern>, InstantiateError> {
    let statics = &pre.component.inner.plan.statics;
    let values = match args {
        Args::Positional(slots) => slots.iter().map(|slot| value(store, tree, *slot)).collect::<Result<_>>(),
        Args::Named(rows) => {
            let named = |import: &wattest_module::Import| {
                let text = |name| statics.types.text(name);
                let row = rows.iter().find(|(m, n, _)| text(*m) == import.module && text(*n) == import.name);
                let (_, _, slot) = row.ok_or_else(|| Error::Limit("an import of a module is missing".to_owned()))?;
                value(store, tree, *slot)
            };
            module.desc().imports.iter().map(named).collect::<Result<_>>()
        }
    };
    values.map_err(InstantiateError::Start)
}

/// What a slot gives as an import of a core module.
fn value<T: 'static>(store: &StoreContextMut<'_, T>, tree: TreeId, slot: Slot) -> Result<Extern> {
    let state = store.inner().components();
    let row = &state.trees[tree.0 as usize];
    let at = slot.index as usize;
    let other = |kind: usize| row.slots.others[kind].get(at).copied().flatten();
    let found = match slot.kind {
        SlotKind::Func | SlotKind::Trampoline => return func_of(store.inner(), tree, slot).map(Extern::Func),
        SlotKind::Memory => row.slots.memories.get(at).copied().flatten().map(Extern::Memory),
        SlotKind::Table => other(0),
        SlotKind::Global => other(1),
        SlotKind::Tag => other(2),
        SlotKind::Flags => {
            state.instances.get(row.first.0 as usize + at).map(|instance| Extern::Global(instance.flags))
        }
        SlotKind::Instance | SlotKind::Resource | SlotKind::Lift | SlotKind::Import => None,
    };
    found.ok_or_else(|| empty(slot))
}

fn load<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    pre: &InstancePre<T>,
    tree: TreeId,
    dst: Slot,
    instance: Slot,
    export: LoadKey,
) -> Result<()> {
    let inner = store.inner_mut();
    let id = inner.components_mut().tree(tree).slots.instances.get(instance.index as usize).copied().flatten();
    let id = id.ok_or_else(|| empty(instance))?;
    let module = inner.instance_module(id).ok_or_else(|| empty(instance))?;
    let named = |name: &str| module.desc().export(name).map(|export| export.kind);
    let kind = match export {
        LoadKey::Core(Key::Index(index)) => match dst.kind {
            SlotKind::Func => Some(wattest_module::ImportKind::Func(FuncIndex(index))),
            SlotKind::Table => Some(wattest_module::ImportKind::Table(TableIndex(index))),
            SlotKind::Memory => Some(wattest_module::ImportKind::Memory(MemoryIndex(index))),
            SlotKind::Global => Some(wattest_module::ImportKind::Global(GlobalIndex(index))),
            SlotKind::Tag => Some(wattest_module::ImportKind::Tag(wattest_module::TagIndex(index))),
            _ => None,
        },
        LoadKey::Core(Key::Name(name)) => named(pre.component.inner.plan.statics.types.text(name)),
        LoadKey::Adapter(number) => named(&number.to_string()),
    };
    let found = kind.and_then(|kind| inner.instance_entity(id, kind)).ok_or_else(|| empty(dst))?;
    let slots = &mut inner.components_mut().tree(tree).slots;
    let at = dst.index as usize;
    match (dst.kind, found) {
        (SlotKind::Func, Extern::Func(func)) => slots.funcs[at] = Some(func),
        (SlotKind::Memory, Extern::Memory(memory)) => slots.memories[at] = Some(memory),
        (SlotKind::Table, found) => slots.others[0][at] = Some(found),
        (SlotKind::Global, found) => slots.others[1][at] = Some(found),
        (SlotKind::Tag, found) => slots.others[2][at] = Some(found),
        _ => return Err(empty(dst)),
    }
    Ok(())
}

fn define_resource<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    pre: &InstancePre<T>,
    tree: TreeId,
    dst: Slot,
    dtor: Option<Slot>,
    owner: u32,
) -> Result<()> {
    let inner = store.inner_mut();
    let dtor = match dtor {
        Some(slot) => Some(flat_func(&pre.component.inner.engine, inner, func_of(inner, tree, slot)?)?),
        None => None,
    };
    let state = inner.components_mut();
    let owner = ComponentId(state.tree(tree).first.0 + owner);
    let ty = state.add_resource_type(ResourceKind::Component { owner, dtor: dtor.clone() });
    match state.tree(tree).slots.resources.get_mut(dst.index as usize) {
        Some(slot) => *slot = Some(ResourceSlot { ty, dtor }),
        None => return Err(empty(dst)),
    }
    Ok(())
}
