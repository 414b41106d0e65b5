//! Options of a lift or a lower, resolved in a store.
//!
//! The [options](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canonical-abi-options) of a
//! plan name slots; here are the memory and the functions themselves.
//!
//! Invariant: everything belongs to the store whose tree the slots are of.
//!
//! Does not know: types.

use super::compiled::ComponentInner;
use crate::engine::Engine;
use crate::error::{Error, Result};
use wattest_component::graph::Opts;
use wattest_component::{Slot, SlotKind};
use wattest_vm::component::{ComponentId, TreeId};
use wattest_vm::{FlatFunc, FuncHandle, MemoryHandle, StoreInner};

/// Resolved options.
#[derive(Debug)]
pub(crate) struct CallOptions {
    pub component: ComponentId,
    pub canon: wattest_canon::Options,
    pub memory: Option<MemoryHandle>,
    pub realloc: Option<FlatFunc>,
    pub post_return: Option<FlatFunc>,
    pub callback: Option<FlatFunc>,
    pub is_async: bool,
}

/// A slot that is empty: the plan was not verified, or not by us.
pub(crate) fn empty(slot: Slot) -> Error {
    Error::Limit(format!("internal error: {slot} is used before it is written"))
}

/// The core function in a slot.
pub(crate) fn func_of(store: &StoreInner, tree: TreeId, slot: Slot) -> Result<FuncHandle> {
    let slots = &store.components().trees[tree.0 as usize].slots;
    let found = match slot.kind {
        SlotKind::Func => slots.funcs.get(slot.index as usize).copied().flatten(),
        SlotKind::Trampoline => slots.trampolines.get(slot.index as usize).copied(),
        _ => None,
    };
    found.ok_or_else(|| empty(slot))
}

/// The core function in a slot, ready to be called.
pub(crate) fn flat_func(engine: &Engine, store: &StoreInner, func: FuncHandle) -> Result<FlatFunc> {
    let id = store.func_type_id(func).map_err(super::abi::wrong_store)?;
    let signature = engine.types().signature(id);
    let flat = signature.and_then(|signature| FlatFunc::new(func, store, signature));
    flat.ok_or_else(|| Error::Limit("internal error: a core function has no flat signature".to_owned()))
}

/// The memory in a slot.
pub(crate) fn memory_of(store: &StoreInner, tree: TreeId, slot: Slot) -> Result<MemoryHandle> {
    let slots = &store.components().trees[tree.0 as usize].slots;
    slots.memories.get(slot.index as usize).copied().flatten().ok_or_else(|| empty(slot))
}

impl CallOptions {
    /// Options of a call from the host to the host.
    pub fn of_host(component: ComponentId, canon: wattest_canon::Options) -> CallOptions {
        let (memory, realloc, post_return, callback) = (None, None, None, None);
        CallOptions { component, canon, memory, realloc, post_return, callback, is_async: false }
    }

    pub fn resolve(
        component: &ComponentInner,
        store: &StoreInner,
        tree: TreeId,
        opts: &Opts<Slot>,
    ) -> Result<CallOptions> {
        let engine = &component.engine;
        let func =
            |slot: Option<Slot>| slot.map(|slot| flat_func(engine, store, func_of(store, tree, slot)?)).transpose();
        let first = store.components().trees[tree.0 as usize].first;
        Ok(CallOptions {
            component: ComponentId(first.0 + opts.component.0),
            canon: wattest_canon::Options::new(opts.encoding, opts.width()),
            memory: opts.memory.as_ref().map(|memory| memory_of(store, tree, memory.memory)).transpose()?,
            realloc: func(opts.realloc)?,
            post_return: func(opts.post_return)?,
            callback: func(opts.callback)?,
            is_async: opts.is_async,
        })
    }
}
