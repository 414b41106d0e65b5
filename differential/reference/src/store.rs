//! The store: everything that instances own and share.
//!
//! [Runtime structure](https://webassembly.github.io/spec/core/exec/runtime.html#store). Nothing is ever freed: a store
//! lives as long as one experiment, and its [`Budget`] bounds what a guest can make it hold.
//!
//! Invariant: an address that was handed out stays valid; types are canonical in the whole store.
//!
//! Does not know: how instructions are executed.

use crate::error::Failure;
use crate::instruction::Code;
use crate::types::{ExternType, FuncType, GlobalType, HeapType, Limits, MemoryType, RefType, TableType, TypeId, Types};
use crate::value::{Ref, Slot, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

macro_rules! addresses {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) u32);

        impl $name {
            /// Its number: in order of allocation, from 0.
            #[must_use]
            pub fn number(self) -> u32 {
                self.0
            }
        }
    )*};
}

addresses! {
    /// A function of a store.
    FuncAddr;
    /// A table of a store.
    TableAddr;
    /// A memory of a store.
    MemoryAddr;
    /// A global of a store.
    GlobalAddr;
    /// A tag of a store.
    TagAddr;
    /// An instance of a store.
    InstanceAddr;
}

/// An [external value](https://webassembly.github.io/spec/core/exec/runtime.html#external-values): what is exported and
/// imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Extern {
    Func(FuncAddr),
    Table(TableAddr),
    Memory(MemoryAddr),
    Global(GlobalAddr),
    Tag(TagAddr),
}

/// What guests may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Calls that are active at once.
    pub depth: usize,
    /// Slots of locals and operands that are in use at once.
    pub slots: usize,
    /// Bytes of all memories together.
    pub memory: u64,
    /// Entries of all tables together.
    pub entries: u64,
    /// Fields and elements of all structures, arrays and exceptions together.
    pub fields: u64,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { depth: 10_000, slots: 1 << 20, memory: 1 << 31, entries: 1 << 24, fields: 1 << 24 }
    }
}

/// A function of the host: it gets the store, and arguments of its parameter types.
pub type HostFunc = Arc<dyn Fn(&mut Store, &[Value]) -> Result<Vec<Value>, Failure> + Send + Sync>;

#[derive(Clone)]
pub(crate) enum Body {
    Wasm { instance: u32, code: Arc<Code> },
    Host(HostFunc),
}

#[derive(Clone)]
pub(crate) struct Func {
    pub(crate) ty: TypeId,
    pub(crate) body: Body,
}

/// A table's entries.
#[derive(Clone, Debug)]
pub struct Table {
    /// As declared.
    pub ty: TableType,
    /// What it holds.
    pub entries: Vec<Ref>,
}

/// A memory's bytes.
#[derive(Clone, Debug)]
pub struct Memory {
    /// As declared.
    pub ty: MemoryType,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl Memory {
    /// Its size in pages.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.bytes.len() as u64 >> self.ty.page_log2
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Global {
    pub(crate) ty: GlobalType,
    pub(crate) slot: Slot,
}

/// A structure, an array, or an exception, whose type is its tag's address.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) ty: u32,
    /// What describes a structure; null when nothing does.
    pub(crate) descriptor: Ref,
    pub(crate) fields: Vec<Slot>,
}

/// A module [instance](https://webassembly.github.io/spec/core/exec/runtime.html#module-instances): all it refers to,
/// private or not.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    /// Types of the store by the module's.
    pub(crate) types: Vec<TypeId>,
    /// Functions by index.
    pub funcs: Vec<FuncAddr>,
    /// Tables by index.
    pub tables: Vec<TableAddr>,
    /// Memories by index.
    pub memories: Vec<MemoryAddr>,
    /// Globals by index.
    pub globals: Vec<GlobalAddr>,
    /// Tags by index.
    pub tags: Vec<TagAddr>,
    pub(crate) elems: Vec<u32>,
    pub(crate) datas: Vec<u32>,
    /// Exports by name.
    pub exports: BTreeMap<String, Extern>,
}

impl Instance {
    /// Number of its data segments.
    #[must_use]
    pub fn data_count(&self) -> u32 {
        self.datas.len() as u32
    }

    /// Number of its element segments.
    #[must_use]
    pub fn elem_count(&self) -> u32 {
        self.elems.len() as u32
    }
}

/// A store.
#[derive(Default)]
pub struct Store {
    pub(crate) types: Types,
    pub(crate) funcs: Vec<Func>,
    pub(crate) tables: Vec<Table>,
    pub(crate) memories: Vec<Memory>,
    pub(crate) globals: Vec<Global>,
    pub(crate) tags: Vec<TypeId>,
    pub(crate) elems: Vec<Vec<Ref>>,
    pub(crate) datas: Vec<Arc<[u8]>>,
    pub(crate) structs: Vec<Object>,
    pub(crate) arrays: Vec<Object>,
    pub(crate) exns: Vec<Object>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) budget: Budget,
    pub(crate) fuel: u64,
    /// Counts of what is executed, where they are asked for.
    pub(crate) tally: Option<Box<crate::tally::Tally>>,
    /// Calls that are active in outer invocations.
    pub(crate) depth: usize,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("instances", &self.instances.len())
            .field("fuel", &self.fuel)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// An empty store whose guests may take any number of steps.
    #[must_use]
    pub fn new(budget: Budget) -> Store {
        Store { budget, fuel: u64::MAX, ..Store::default() }
    }

    /// How many more instructions may be executed.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        self.fuel
    }

    /// Sets how many more instructions may be executed before
    /// [`OutOfFuel`](crate::TrapClass::OutOfFuel).
    pub fn set_fuel(&mut self, fuel: u64) {
        self.fuel = fuel;
    }

    /// From now on counts what is executed.
    pub fn keep_tally(&mut self) {
        self.tally.get_or_insert_default();
    }

    /// What was executed since the count began.
    #[must_use]
    pub fn tally(&self) -> Option<&crate::tally::Tally> {
        self.tally.as_deref()
    }

    /// The types of the store.
    #[must_use]
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// Adds a function of the host.
    pub fn add_func(&mut self, ty: FuncType, func: HostFunc) -> FuncAddr {
        let ty = self.types.add_func(ty);
        self.push_func(Func { ty, body: Body::Host(func) })
    }

    pub(crate) fn push_func(&mut self, func: Func) -> FuncAddr {
        self.funcs.push(func);
        FuncAddr(self.funcs.len() as u32 - 1)
    }

    /// Adds a table filled with `entry`.
    ///
    /// # Errors
    /// When the budget does not allow it.
    pub fn add_table(&mut self, ty: TableType, entry: Ref) -> Result<TableAddr, Failure> {
        let left = self.budget.entries.checked_sub(ty.limits.min);
        self.budget.entries = left.ok_or_else(|| Failure::Limit("table entries".to_owned()))?;
        self.tables.push(Table { ty, entries: vec![entry; ty.limits.min as usize] });
        Ok(TableAddr(self.tables.len() as u32 - 1))
    }

    /// Adds a memory.
    ///
    /// # Errors
    /// When the budget does not allow it.
    pub fn add_memory(&mut self, ty: MemoryType) -> Result<MemoryAddr, Failure> {
        let bytes = ty.limits.min.checked_mul(1 << ty.page_log2);
        let left = bytes.and_then(|bytes| self.budget.memory.checked_sub(bytes));
        let limit = || Failure::Limit("memory".to_owned());
        self.budget.memory = left.ok_or_else(limit)?;
        self.memories.push(Memory { ty, bytes: vec![0; bytes.unwrap_or(0) as usize] });
        Ok(MemoryAddr(self.memories.len() as u32 - 1))
    }

    /// Adds a global.
    pub fn add_global(&mut self, ty: GlobalType, value: Value) -> GlobalAddr {
        self.globals.push(Global { ty, slot: value.slot() });
        GlobalAddr(self.globals.len() as u32 - 1)
    }

    /// Adds a tag whose exceptions have the parameters of `ty`.
    pub fn add_tag(&mut self, ty: FuncType) -> TagAddr {
        let ty = self.types.add_func(ty);
        self.push_tag(ty)
    }

    pub(crate) fn push_tag(&mut self, ty: TypeId) -> TagAddr {
        self.tags.push(ty);
        TagAddr(self.tags.len() as u32 - 1)
    }

    /// An instance.
    #[must_use]
    pub fn instance(&self, instance: InstanceAddr) -> &Instance {
        &self.instances[instance.0 as usize]
    }

    /// The youngest instance: inside a host function of a store with one instance, the caller.
    #[must_use]
    pub fn last_instance(&self) -> Option<InstanceAddr> {
        self.instances.len().checked_sub(1).map(|last| InstanceAddr(last as u32))
    }

    /// Grows a memory by `delta` pages, as `memory.grow` does.
    ///
    /// # Errors
    /// When its limits or the budget do not allow it.
    pub fn grow_memory(&mut self, memory: MemoryAddr, delta: u64) -> Result<u64, Failure> {
        let left = self.budget.memory;
        let memory = &mut self.memories[memory.0 as usize];
        let (ty, pages) = (memory.ty, memory.pages());
        let range = match (ty.is64, ty.page_log2) {
            (false, 0) => u64::from(u32::MAX),
            (false, _) => 1 << 16,
            (true, 0) => u64::MAX,
            (true, _) => 1 << 48,
        };
        let fits = pages.checked_add(delta).is_some_and(|size| size <= ty.limits.max.unwrap_or(range).min(range));
        let bytes = delta.checked_mul(1 << ty.page_log2).filter(|bytes| fits && *bytes <= left);
        let bytes = bytes.ok_or_else(|| Failure::Limit("memory".to_owned()))?;
        memory.bytes.resize(memory.bytes.len() + bytes as usize, 0);
        self.budget.memory -= bytes;
        Ok(pages)
    }

    /// An export of an instance.
    #[must_use]
    pub fn export(&self, instance: InstanceAddr, name: &str) -> Option<Extern> {
        self.instance(instance).exports.get(name).copied()
    }

    /// The function that a reference refers to, if it is one to a function.
    #[must_use]
    pub fn func_of(&self, reference: Ref) -> Option<FuncAddr> {
        match reference {
            Ref::Func(number) if (number as usize) < self.funcs.len() => Some(FuncAddr(number)),
            _ => None,
        }
    }

    /// A function's type.
    #[must_use]
    pub fn func_type(&self, func: FuncAddr) -> FuncType {
        self.types.func(self.funcs[func.0 as usize].ty).cloned().unwrap_or_default()
    }

    /// A table.
    #[must_use]
    pub fn table(&self, table: TableAddr) -> &Table {
        &self.tables[table.0 as usize]
    }

    /// A memory.
    #[must_use]
    pub fn memory(&self, memory: MemoryAddr) -> &Memory {
        &self.memories[memory.0 as usize]
    }

    /// A memory's bytes.
    pub fn memory_mut(&mut self, memory: MemoryAddr) -> &mut [u8] {
        &mut self.memories[memory.0 as usize].bytes
    }

    /// A global's type and value.
    #[must_use]
    pub fn global(&self, global: GlobalAddr) -> (GlobalType, Value) {
        let Global { ty, slot } = self.globals[global.0 as usize];
        (ty, Value::of_slot(slot, ty.content))
    }

    /// Sets a global whose type the value has.
    pub fn set_global(&mut self, global: GlobalAddr, value: Value) {
        self.globals[global.0 as usize].slot = value.slot();
    }

    /// Every instance, in the order of instantiation; the last one may have failed.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter()
    }

    /// Whether a passive data segment has been dropped, or had no bytes.
    #[must_use]
    pub fn is_data_empty(&self, instance: InstanceAddr, data: u32) -> bool {
        let segment = self.instance(instance).datas.get(data as usize);
        segment.is_none_or(|segment| self.datas[*segment as usize].is_empty())
    }

    /// Whether an element segment has been dropped, or had no elements.
    #[must_use]
    pub fn is_elem_empty(&self, instance: InstanceAddr, elem: u32) -> bool {
        let segment = self.instance(instance).elems.get(elem as usize);
        segment.is_none_or(|segment| self.elems[*segment as usize].is_empty())
    }

    /// The type and fields of a structure or array: nothing for other references.
    #[must_use]
    pub fn fields(&self, reference: Ref) -> Option<(TypeId, &[Slot])> {
        let object = match reference {
            Ref::Struct(address) => self.structs.get(address as usize)?,
            Ref::Array(address) => self.arrays.get(address as usize)?,
            _ => return None,
        };
        Some((TypeId(object.ty), &object.fields))
    }

    /// What describes a structure: null for other references, and for structures of types without descriptors.
    #[must_use]
    pub fn descriptor(&self, reference: Ref) -> Ref {
        let Ref::Struct(address) = reference else { return Ref::Null };
        self.structs.get(address as usize).map_or(Ref::Null, |object| object.descriptor)
    }

    /// The tag and arguments of an exception.
    #[must_use]
    pub fn exception(&self, reference: Ref) -> Option<(TagAddr, Vec<Value>)> {
        let Ref::Exn(address) = reference else { return None };
        let object = self.exns.get(address as usize)?;
        let ty = self.types.func(self.tags[object.ty as usize])?;
        let args = object.fields.iter().zip(&ty.params).map(|(slot, ty)| Value::of_slot(*slot, *ty));
        Some((TagAddr(object.ty), args.collect()))
    }

    /// Makes an exception.
    ///
    /// # Errors
    /// When the budget does not allow it.
    pub fn add_exception(&mut self, tag: TagAddr, args: &[Value]) -> Result<Ref, Failure> {
        let fields = args.iter().map(|value| value.slot()).collect();
        let exn = self.push_exn(tag, fields).ok_or_else(|| Failure::Limit("exceptions".to_owned()))?;
        Ok(Ref::Exn(exn))
    }

    pub(crate) fn push_exn(&mut self, tag: TagAddr, fields: Vec<Slot>) -> Option<u32> {
        self.spend(fields.len() as u64)?;
        self.exns.push(Object { ty: tag.0, descriptor: Ref::Null, fields });
        Some(self.exns.len() as u32 - 1)
    }

    /// Takes `fields` and an object's header from the budget.
    pub(crate) fn spend(&mut self, fields: u64) -> Option<()> {
        self.budget.fields = self.budget.fields.checked_sub(fields.checked_add(1)?)?;
        Some(())
    }

    /// The type of an external value: bounds from what it is now.
    #[must_use]
    pub fn extern_type(&self, item: Extern) -> ExternType {
        match item {
            Extern::Func(func) => ExternType::Func(HeapType::Exact(self.funcs[func.0 as usize].ty)),
            Extern::Tag(tag) => ExternType::Tag(self.tags[tag.0 as usize]),
            Extern::Global(global) => ExternType::Global(self.globals[global.0 as usize].ty),
            Extern::Table(table) => {
                let Table { ty, entries } = self.table(table);
                ExternType::Table(TableType { limits: Limits { min: entries.len() as u64, ..ty.limits }, ..*ty })
            }
            Extern::Memory(memory) => {
                let memory = self.memory(memory);
                let limits = Limits { min: memory.pages(), ..memory.ty.limits };
                ExternType::Memory(MemoryType { limits, ..memory.ty })
            }
        }
    }

    /// Whether a [reference has a type](https://webassembly.github.io/spec/core/exec/values.html#references).
    #[must_use]
    pub fn has_type(&self, reference: Ref, ty: RefType) -> bool {
        let heap = match reference {
            Ref::Null => return ty.nullable,
            _ if ty.heap == HeapType::Extern => return true,
            Ref::Func(func) => HeapType::Exact(self.funcs[func as usize].ty),
            Ref::Host(_) => HeapType::Any,
            Ref::I31(_) => HeapType::I31,
            Ref::Struct(address) => HeapType::Exact(TypeId(self.structs[address as usize].ty)),
            Ref::Array(address) => HeapType::Exact(TypeId(self.arrays[address as usize].ty)),
            Ref::Exn(_) => HeapType::Exn,
        };
        self.types.match_heap(heap, ty.heap)
    }
}
