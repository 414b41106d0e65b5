//! What a store holds, for tools that write it down: after a trap, to a core dump.
//!
//! Invariant: nothing runs; memories are borrowed, not copied.
//!
//! Does not know: how it is written down.

use crate::module::ModuleNames;
use crate::store::Store;
use crate::{GlobalType, MemoryType, Val};
use wattest_module::{GlobalIndex, ImportKind, MemoryIndex};
use wattest_vm::{Extern, GlobalHandle, MemoryHandle, Raw};

/// The contents of a store that instances use.
#[derive(Clone, Debug, Default)]
pub struct Snapshot<'a> {
    /// Each memory once, however many instances share it.
    pub memories: Vec<MemorySnapshot<'a>>,
    /// Each global once.
    pub globals: Vec<GlobalSnapshot>,
    /// In the order in which they were made.
    pub instances: Vec<InstanceSnapshot>,
}

/// A memory.
#[derive(Clone, Copy, Debug)]
pub struct MemorySnapshot<'a> {
    /// Its type, with its current size as minimum.
    pub ty: MemoryType,
    /// Its bytes; none of a shared memory, which other threads may be changing.
    pub bytes: &'a [u8],
}

/// A global.
#[derive(Clone, Debug)]
pub struct GlobalSnapshot {
    /// Its type.
    pub ty: GlobalType,
    /// Its value, if it is a number or a vector.
    pub value: Option<Val>,
}

/// An instance of a core module.
#[derive(Clone, Debug)]
pub struct InstanceSnapshot {
    /// Its module, as [`Module::id`](crate::Module::id) says it.
    pub module_id: u64,
    /// Its module's name.
    pub module_name: Option<String>,
    /// How many of its functions are imported.
    pub imported_functions: u32,
    /// Positions in [`Snapshot::memories`] of its memories.
    pub memories: Vec<u32>,
    /// Positions in [`Snapshot::globals`] of its globals.
    pub globals: Vec<u32>,
}

/// The position of an item, which is added if it is new.
fn position<T: PartialEq>(items: &mut Vec<T>, item: T) -> u32 {
    let at = items.iter().position(|other| *other == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    });
    at as u32
}

impl<T: 'static> Store<T> {
    /// The memories, globals and instances of the store.
    ///
    /// ```
    /// use wattest::{Engine, Linker, Module, Store};
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, r#"(module $m (memory 1) (data (i32.const 8) "hello"))"#)?;
    /// let mut store = Store::new(&engine, ());
    /// Linker::new(&engine).instantiate(&mut store, &module)?;
    /// let snapshot = store.snapshot();
    /// assert_eq!(snapshot.instances[0].module_name.as_deref(), Some("m"));
    /// assert_eq!(&snapshot.memories[0].bytes[8..13], b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(&self) -> Snapshot<'_> {
        let vm = self.vm.inner();
        let (mut memories, mut globals) = (Vec::<MemoryHandle>::new(), Vec::<GlobalHandle>::new());
        let mut instances = Vec::new();
        for id in vm.instance_ids() {
            let Some(module) = vm.instance_module(id) else { continue };
            let desc = module.desc();
            let owner = module.code().owner();
            let names = owner.and_then(|owner| owner.downcast_ref::<ModuleNames>());
            let own_memories = (0..desc.memories.len() as u32)
                .filter_map(|index| match vm.instance_entity(id, ImportKind::Memory(MemoryIndex(index)))? {
                    Extern::Memory(memory) => Some(position(&mut memories, memory)),
                    _ => None,
                })
                .collect();
            let own_globals = (0..desc.globals.len() as u32)
                .filter_map(|index| match vm.instance_entity(id, ImportKind::Global(GlobalIndex(index)))? {
                    Extern::Global(global) => Some(position(&mut globals, global)),
                    _ => None,
                })
                .collect();
            instances.push(InstanceSnapshot {
                module_id: names.map_or(0, |names| names.id),
                module_name: desc.name.clone(),
                imported_functions: desc.imported_functions,
                memories: own_memories,
                globals: own_globals,
            });
        }
        let memories = memories.into_iter().filter_map(|memory| {
            Some(MemorySnapshot { ty: vm.memory_type(memory).ok()?, bytes: vm.memory_bytes(memory).ok()? })
        });
        let globals = globals.into_iter().filter_map(|global| {
            let value = match vm.global(global).ok()? {
                Raw::I32(value) => Some(Val::I32(value as i32)),
                Raw::I64(value) => Some(Val::I64(value as i64)),
                Raw::F32(bits) => Some(Val::F32(bits)),
                Raw::F64(bits) => Some(Val::F64(bits)),
                Raw::V128(bits) => Some(Val::V128(bits)),
                Raw::Func(_) | Raw::Ref(_) => None,
            };
            Some(GlobalSnapshot { ty: global.ty(), value })
        });
        Snapshot { memories: memories.collect(), globals: globals.collect(), instances }
    }
}
