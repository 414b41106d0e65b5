//! Instances and instantiation
//! ([spec](https://webassembly.github.io/spec/core/exec/modules.html#instantiation)).
//!
//! An instance is a `vmctx` that compiled code works on, plus what only the virtual machine needs: which store entries
//! its index spaces mean, and which segments were dropped.
//!
//! Invariant: an instance stays in its store once its `vmctx` exists, even if a segment traps, because tables of other
//! instances may already refer to its functions.
//!
//! Does not know: names, the start function (the embedder calls it).

use crate::entities::{GlobalHandle, MemoryEntry};
use crate::exception::TagHandle;
use crate::func::FuncHandle;
use crate::gc::ConstValue;
use crate::limits::{Growth, TABLE_ELEMENTS_MAX};
use crate::memory::LinearMemory;
use crate::module::RuntimeModule;
use crate::store::{InstanceId, MemoryHandle, MemorySource, StoreId, StoreInner, TableHandle};
use crate::table::TableEntry;
use crate::trap::{FailedAccess, FailedElement, HostError, Refused};
use crate::types::{engine_ref, engine_type};
use crate::value::Raw;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;
use wattest_abi::vmctx::{
    FUNC_REF_BYTES, GLOBAL_BYTES, IMPORT_BYTES, MAGIC_INSTANCE, MEMORY_BYTES, TABLE_BYTES, VmFuncRef, VmFunctionImport,
    VmHeader, VmMemoryDefinition, VmTableDefinition,
};
use wattest_abi::{TrapCode, ValueKind};
use wattest_module::{
    ConstOp, DataIndex, DataKind, ElementIndex, ElementItems, ElementKind, EntityType, FuncIndex, GlobalIndex,
    GlobalType, HeapType, ImportKind, MemoryIndex, MemoryType, ModuleDesc, TableIndex, TableInit, TableType,
};

/// What an import is satisfied with, and what an export gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extern {
    /// A function.
    Func(FuncHandle),
    /// A table.
    Table(TableHandle),
    /// A memory.
    Memory(MemoryHandle),
    /// A global.
    Global(GlobalHandle),
    /// A tag.
    Tag(TagHandle),
}

impl Extern {
    fn store(self) -> StoreId {
        match self {
            Extern::Func(func) => func.store,
            Extern::Table(table) => table.store,
            Extern::Memory(memory) => memory.store,
            Extern::Global(global) => global.store,
            Extern::Tag(tag) => tag.store,
        }
    }
}

/// Why there is no instance.
#[derive(Debug)]
pub enum InstantiateError {
    /// The imports do not match in number, or this one in type.
    Mismatch {
        /// Position of the import.
        import: usize,
    },
    /// An import belongs to another store.
    WrongStore,
    /// A limit of the store.
    Limit(&'static str),
    /// The limiter failed.
    Limiter(HostError),
    /// The machine has no room for a memory or table.
    OutOfMemory,
    /// A segment does not fit, and which of what it fills.
    Trap(TrapCode, Option<Refused>),
}

impl From<crate::memory::MemoryError> for InstantiateError {
    fn from(error: crate::memory::MemoryError) -> InstantiateError {
        match error {
            crate::memory::MemoryError::LimitReached { .. } => {
                InstantiateError::Limit("the pool of memories is used up")
            }
            _ => InstantiateError::OutOfMemory,
        }
    }
}

/// Words before a `vmctx`: one unused, then the instance number.
const PREFIX_BYTES: usize = 16;

/// A zeroed `vmctx`.
struct Block {
    base: NonNull<u8>,
    layout: Layout,
}

impl Block {
    fn new(size: usize) -> Option<Block> {
        let layout = Layout::from_size_align(PREFIX_BYTES + size, 16).ok()?;
        // SAFETY: the size is not zero.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Block { base, layout })
    }

    fn vmctx(&self) -> *mut u8 {
        // SAFETY: the block is larger than the prefix.
        unsafe { self.base.as_ptr().add(PREFIX_BYTES) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

/// An instance of a module.
pub(crate) struct Instance {
    pub module: Arc<RuntimeModule>,
    block: Block,
    /// Store entries of the table index space.
    pub tables: Box<[u32]>,
    /// Store entries of the memory index space.
    pub memories: Box<[u32]>,
    imported_globals: Box<[GlobalHandle]>,
    pub dropped_data: Box<[bool]>,
    pub dropped_elements: Box<[bool]>,
    /// Values of the element segments that are given by expressions; empty for others and dropped ones.
    elements: Box<[Vec<u64>]>,
}

impl Instance {
    pub fn vmctx(&self) -> *mut u8 {
        self.block.vmctx()
    }

    fn desc(&self) -> &ModuleDesc {
        &self.module.desc
    }

    /// # Safety
    ///
    /// `offset` must be that of a `V` in the `vmctx`.
    unsafe fn at<V>(&self, offset: u32) -> *mut V {
        // SAFETY: by the caller's promise.
        unsafe { self.vmctx().add(offset as usize).cast() }
    }

    fn func_ref_at(&self, slot: u32) -> *mut VmFuncRef {
        // SAFETY: slots are numbered by the description that the layout was made for.
        unsafe { self.at(self.module.offsets.func_refs + slot * FUNC_REF_BYTES) }
    }

    fn import_at(&self, index: u32) -> *mut VmFunctionImport {
        // SAFETY: as in `func_ref_at`.
        unsafe { self.at(self.module.offsets.imported_functions + index * IMPORT_BYTES) }
    }

    fn global_slot_at(&self, defined: u32) -> *mut u128 {
        // SAFETY: as in `func_ref_at`; slots are sixteen bytes, aligned.
        unsafe { self.at(self.module.offsets.defined_globals + defined * GLOBAL_BYTES) }
    }

    fn tag_at(&self, index: u32) -> *mut u64 {
        // SAFETY: as in `func_ref_at`; identities of defined tags follow those of imported ones.
        unsafe { self.at(self.module.offsets.imported_tags + index * 8) }
    }

    /// Whether `address` is that of one of this instance's own function references.
    pub fn owns_func_ref(&self, address: usize) -> bool {
        let start = self.func_ref_at(0) as usize;
        let bytes = self.desc().escaping_functions as usize * FUNC_REF_BYTES as usize;
        address >= start && address < start + bytes && (address - start).is_multiple_of(FUNC_REF_BYTES as usize)
    }

    /// The function reference of `func`, which escapes or is imported.
    pub fn func_ref(&self, func: FuncIndex) -> Option<NonNull<VmFuncRef>> {
        if func.0 < self.desc().imported_functions {
            // SAFETY: imports were filled in when the instance was made.
            return NonNull::new(unsafe { (*self.import_at(func.0)).func_ref.cast_mut() });
        }
        NonNull::new(self.func_ref_at(self.desc().func_ref_slot(func)?))
    }

    /// A raw function reference, 0 for a function that does not escape.
    fn raw_func(&self, func: FuncIndex) -> u64 {
        self.func_ref(func).map_or(0, |func_ref| func_ref.as_ptr() as u64)
    }

    pub fn global(&self, store: &StoreInner, index: GlobalIndex) -> GlobalHandle {
        let imported = self.desc().imported_globals;
        if index.0 < imported {
            return self.imported_globals[index.index()];
        }
        let slot = NonNull::new(self.global_slot_at(index.0 - imported));
        let slot = slot.expect("a vmctx has no slot at address zero");
        let ty = self.desc().globals[index.index()];
        let content = engine_type(ty.content, &self.module.type_ids);
        GlobalHandle { store: store.id(), slot, ty: GlobalType { content, ..ty } }
    }

    /// The value of a constant expression that is one instruction and allocates nothing.
    pub(crate) fn simple_value(&self, store: &StoreInner, op: ConstOp) -> Option<ConstValue> {
        let (bits, is_reference) = match op {
            ConstOp::I32Const(value) => (u128::from(value as u32), false),
            ConstOp::I64Const(value) => (u128::from(value as u64), false),
            ConstOp::F32Const(bits) => (u128::from(bits), false),
            ConstOp::F64Const(bits) => (u128::from(bits), false),
            ConstOp::V128Const(bits) => (bits, false),
            ConstOp::GlobalGet(index) => {
                let global = self.global(store, index);
                // SAFETY: the slot is this store's.
                (unsafe { global.slot.read() }, global.ty.content.kind() == ValueKind::Ref)
            }
            ConstOp::RefNull(_) => (0, false),
            ConstOp::RefFunc(func) => (u128::from(self.raw_func(func)), false),
            _ => return None,
        };
        Some(ConstValue { bits, is_reference })
    }

    /// The positions `src..src + len` of an element segment, if it has them.
    pub(crate) fn element_range(
        &self,
        element: ElementIndex,
        src: u64,
        len: u64,
    ) -> Result<Range<usize>, crate::table::OutOfBounds> {
        let dropped = self.dropped_elements[element.index()];
        let available = if dropped { 0 } else { segment_len(&self.desc().element(element).items) };
        let end = src.checked_add(len).filter(|end| *end <= available).ok_or(crate::table::OutOfBounds)?;
        Ok(src as usize..end as usize)
    }

    /// The raw references at positions of an element segment that [`Instance::element_range`] gave.
    pub(crate) fn element_values(
        &self,
        element: ElementIndex,
        range: Range<usize>,
    ) -> impl ExactSizeIterator<Item = u64> + '_ {
        let functions = match &self.desc().element(element).items {
            ElementItems::Functions(functions) => Some(functions),
            ElementItems::Expressions(_) => None,
        };
        range.map(move |position| match functions {
            Some(functions) => self.raw_func(functions[position]),
            None => self.elements[element.index()][position],
        })
    }

    /// Shows every reference in globals and element segments to `visit`.
    pub(crate) fn visit_references(&mut self, visit: &mut impl FnMut(*mut u32)) {
        for defined in &self.module.traced_globals {
            visit(self.global_slot_at(*defined).cast());
        }
        for (index, segment) in self.elements.iter_mut().enumerate() {
            if !self.module.desc.elements[index].ty.is_func {
                segment.iter_mut().for_each(|value| visit((&raw mut *value).cast()));
            }
        }
    }

    /// Whether each data segment and each element segment is empty: dropped, or without contents from the start.
    fn empty_segments(&self) -> (Vec<bool>, Vec<bool>) {
        let data = self.desc().data.iter().zip(&self.dropped_data);
        let data = data.map(|(segment, dropped)| *dropped || segment.bytes.is_empty()).collect();
        let elements = self.desc().elements.iter().zip(&self.dropped_elements);
        (data, elements.map(|(segment, dropped)| *dropped || segment_len(&segment.items) == 0).collect())
    }

    /// Forgets the values of an element segment.
    pub(crate) fn drop_element(&mut self, index: usize) {
        self.dropped_elements[index] = true;
        self.elements[index] = Vec::new();
    }
}

impl StoreInner {
    /// Whether each data segment and each element segment of an instance is empty.
    pub fn empty_segments(&self, id: InstanceId) -> (Vec<bool>, Vec<bool>) {
        self.instances.get(id.0 as usize).map_or_else(Default::default, Instance::empty_segments)
    }

    /// Instantiates `module`: allocates, initializes, and applies active segments. The start function is not called.
    ///
    /// # Errors
    ///
    /// [`InstantiateError`]. After a trap the effects of earlier segments remain, as the specification wants.
    pub fn instantiate(
        &mut self,
        module: &Arc<RuntimeModule>,
        imports: &[Extern],
    ) -> Result<InstanceId, InstantiateError> {
        self.check_imports(module, imports)?;
        let desc = &module.desc;
        self.ask(Growth::Entities {
            instances: 1,
            memories: desc.memories.len() - desc.imported_memories as usize,
            tables: desc.tables.len() - desc.imported_tables as usize,
        })?;
        let number = u32::try_from(self.instances.len()).map_err(|_| InstantiateError::Limit("number of instances"))?;
        let block = Block::new(module.offsets.size as usize).ok_or(InstantiateError::OutOfMemory)?;
        let mut instance = Instance {
            module: module.clone(),
            block,
            tables: Box::default(),
            memories: Box::default(),
            imported_globals: Box::default(),
            dropped_data: vec![false; desc.data.len()].into(),
            dropped_elements: vec![false; desc.elements.len()].into(),
            elements: vec![Vec::new(); desc.elements.len()].into(),
        };
        self.init_header(&instance, number)?;
        self.init_imports(&mut instance, imports);
        self.make_tags(&instance);
        init_func_refs(&instance);
        let (_, memories, tables) = self.sizes();
        if let Err(error) = self.make_memories(&mut instance).and_then(|()| self.make_tables(&mut instance)) {
            // No instance will own what was made so far: its definitions lie in the block that is about to go.
            self.memories.truncate(memories);
            self.tables.truncate(tables);
            return Err(error);
        }
        self.instances.push(instance);
        let id = InstanceId(number);
        self.init_globals(id)?;
        self.init_tables(id)?;
        self.init_elements(id)?;
        self.apply_elements(id)?;
        self.apply_data(id)?;
        Ok(id)
    }

    pub(crate) fn ask(&mut self, growth: Growth) -> Result<(), InstantiateError> {
        match self.allows(growth) {
            Ok(true) => Ok(()),
            Ok(false) => Err(InstantiateError::Limit(match growth {
                Growth::Memory { .. } => "memory size",
                Growth::Heap { .. } => "heap size",
                Growth::Table { .. } => "table size",
                Growth::Entities { .. } => "number of instances, memories or tables",
            })),
            Err(error) => Err(InstantiateError::Limiter(error)),
        }
    }

    pub(crate) fn allow_new_memory(&mut self, ty: &MemoryType) -> Result<(), InstantiateError> {
        let bytes = |pages: u64| usize::try_from(pages.checked_mul(ty.page_bytes())?).ok();
        let desired = bytes(ty.minimum).ok_or(InstantiateError::OutOfMemory)?;
        let maximum = ty.maximum.map(|pages| bytes(pages).unwrap_or(usize::MAX));
        self.ask(Growth::Memory { current: 0, desired, maximum })
    }

    pub(crate) fn allow_new_table(&mut self, ty: &TableType) -> Result<(), InstantiateError> {
        if ty.minimum > TABLE_ELEMENTS_MAX {
            return Err(InstantiateError::Limit("table size"));
        }
        let maximum = ty.maximum.map(|maximum| usize::try_from(maximum).unwrap_or(usize::MAX));
        self.ask(Growth::Table { current: 0, desired: ty.minimum as usize, maximum })
    }

    fn check_imports(&self, module: &RuntimeModule, imports: &[Extern]) -> Result<(), InstantiateError> {
        let desc = &module.desc;
        if imports.len() != desc.imports.len() {
            return Err(InstantiateError::Mismatch { import: imports.len().min(desc.imports.len()) });
        }
        for (position, (import, given)) in desc.imports.iter().zip(imports).enumerate() {
            let wanted = desc.import_type(import);
            if !self.import_matches(&wanted, &module.type_ids, *given)? {
                return Err(InstantiateError::Mismatch { import: position });
            }
        }
        Ok(())
    }

    /// Whether `given` satisfies an import of type `wanted`
    /// ([spec](https://webassembly.github.io/spec/core/valid/matching.html#external-types)); `type_ids` are the engine-wide
    /// identifiers of the importing module's types.
    ///
    /// # Errors
    ///
    /// `given` belongs to another store.
    pub fn import_matches(
        &self,
        wanted: &EntityType,
        type_ids: &[u32],
        given: Extern,
    ) -> Result<bool, InstantiateError> {
        let wrong_store = |_| InstantiateError::WrongStore;
        self.check(given.store()).map_err(wrong_store)?;
        Ok(match (wanted, given) {
            (EntityType::Func(ty), Extern::Func(func)) => {
                let given = self.func_type_id(func).map_err(wrong_store)?;
                self.config.types.is_subtype(given, type_ids[ty.index()])
            }
            (EntityType::FuncExact(ty), Extern::Func(func)) => {
                self.func_type_id(func).map_err(wrong_store)? == type_ids[ty.index()]
            }
            (EntityType::Table(wanted), Extern::Table(table)) => {
                let given = self.table_type(table).map_err(wrong_store)?;
                given.element == engine_ref(wanted.element, type_ids)
                    && given.table64 == wanted.table64
                    && limits_match((given.minimum, given.maximum), (wanted.minimum, wanted.maximum))
            }
            (EntityType::Memory(wanted), Extern::Memory(memory)) => {
                let given = self.memory_type(memory).map_err(wrong_store)?;
                given.memory64 == wanted.memory64
                    && given.shared == wanted.shared
                    && given.page_bytes_log2 == wanted.page_bytes_log2
                    && limits_match((given.minimum, given.maximum), (wanted.minimum, wanted.maximum))
            }
            (EntityType::Global(wanted), Extern::Global(global)) => {
                let (given, content) = (global.ty, engine_type(wanted.content, type_ids));
                given.mutable == wanted.mutable
                    && (given.content == content || !given.mutable && self.config.types.matches(given.content, content))
            }
            // Tags are matched by equal types, not by subtypes.
            (EntityType::Tag(wanted), Extern::Tag(tag)) => {
                self.tag_type_id(tag).map_err(wrong_store)? == type_ids[wanted.ty.index()]
            }
            _ => false,
        })
    }

    fn init_header(&mut self, instance: &Instance, number: u32) -> Result<(), InstantiateError> {
        let module = &instance.module;
        let heap_base = if module.desc.uses_heap() {
            self.heap().map_err(|_| InstantiateError::OutOfMemory)?.base()
        } else {
            std::ptr::null_mut()
        };
        let entries = if module.entries.is_empty() { std::ptr::null() } else { module.entries.as_ptr() };
        let header = VmHeader {
            magic: MAGIC_INSTANCE,
            store: &raw mut self.context,
            builtins: crate::builtins::TABLE.as_ptr().cast(),
            type_ids: module.type_ids.as_ptr(),
            entries,
            text: module.text_address(),
            heap_base,
            type_records: self.config.types.records(),
        };
        // SAFETY: the block has room for the prefix and the header.
        unsafe {
            instance.vmctx().cast::<u64>().sub(1).write(u64::from(number));
            instance.vmctx().cast::<VmHeader>().write(header);
        }
        Ok(())
    }

    fn init_imports(&mut self, instance: &mut Instance, imports: &[Extern]) {
        let desc = &instance.module.desc;
        let offsets = instance.module.offsets;
        let mut tables = Vec::with_capacity(desc.tables.len());
        let mut memories = Vec::with_capacity(desc.memories.len());
        let mut globals = Vec::with_capacity(desc.imported_globals as usize);
        for (import, given) in desc.imports.iter().zip(imports) {
            // SAFETY: the offsets are those of the entities' slots; the handles were checked to be this store's.
            unsafe {
                match (import.kind, *given) {
                    (ImportKind::Func(index), Extern::Func(func)) => {
                        let VmFuncRef { code, vmctx, .. } = *func.func_ref.as_ptr();
                        let import = VmFunctionImport { code, vmctx, func_ref: func.func_ref.as_ptr() };
                        instance.import_at(index.0).write(import);
                    }
                    (ImportKind::Table(index), Extern::Table(table)) => {
                        let definition = self.tables[table.index as usize].definition;
                        instance
                            .at::<NonNull<VmTableDefinition>>(offsets.imported_tables + index.0 * 8)
                            .write(definition);
                        tables.push(table.index);
                    }
                    (ImportKind::Memory(index), Extern::Memory(memory)) => {
                        let definition = self.memories[memory.index as usize].definition;
                        instance
                            .at::<NonNull<VmMemoryDefinition>>(offsets.imported_memories + index.0 * 8)
                            .write(definition);
                        memories.push(memory.index);
                    }
                    (ImportKind::Global(index), Extern::Global(global)) => {
                        instance.at::<NonNull<u128>>(offsets.imported_globals + index.0 * 8).write(global.slot);
                        globals.push(global);
                    }
                    (ImportKind::Tag(index), Extern::Tag(tag)) => instance.tag_at(index.0).write(tag.identity()),
                    _ => unreachable!("imports were checked"),
                }
            }
        }
        instance.imported_globals = globals.into();
        instance.tables = tables.into();
        instance.memories = memories.into();
    }

    fn make_tags(&mut self, instance: &Instance) {
        let desc = instance.desc();
        for (index, ty) in desc.tags.iter().enumerate().skip(desc.imported_tags as usize) {
            let tag = self.new_tag(instance.module.type_ids[ty.ty.index()]);
            // SAFETY: the slot is this instance's own.
            unsafe { instance.tag_at(index as u32).write(tag.identity()) };
        }
    }

    fn make_memories(&mut self, instance: &mut Instance) -> Result<(), InstantiateError> {
        let module = instance.module.clone();
        let desc = &module.desc;
        let mut memories = std::mem::take(&mut instance.memories).into_vec();
        for (defined, ty) in desc.memories.iter().skip(desc.imported_memories as usize).enumerate() {
            self.allow_new_memory(ty)?;
            let at = module.offsets.defined_memories + defined as u32 * MEMORY_BYTES;
            let entry = if ty.shared {
                let memory = crate::memory::SharedMemory::new(*ty, &self.config.tunables, None)?;
                let definition = memory.definition().cast_mut();
                // SAFETY: the slot of a shared memory holds a pointer to its definition.
                unsafe { instance.at::<*mut VmMemoryDefinition>(at).write(definition) };
                MemoryEntry::shared(memory)
            } else {
                let image = module.images.get(defined).and_then(Option::as_ref);
                let memory = self.make_linear_memory(ty, image)?;
                // SAFETY: the slot of an unshared memory is its definition.
                let definition = NonNull::new(unsafe { instance.at::<VmMemoryDefinition>(at) });
                let definition = definition.ok_or(InstantiateError::OutOfMemory)?;
                MemoryEntry::in_instance(*ty, memory, definition)
            };
            memories.push(self.add_memory(entry).index);
        }
        instance.memories = memories.into();
        Ok(())
    }

    fn make_linear_memory(
        &self,
        ty: &MemoryType,
        image: Option<&crate::memory::ImageRef>,
    ) -> Result<LinearMemory, InstantiateError> {
        let tunables = &self.config.tunables;
        Ok(match &self.config.memories {
            MemorySource::Pool(pool) => LinearMemory::pooled(pool, *ty, tunables, image)?,
            MemorySource::Recycled(pool) => LinearMemory::recycled(pool, *ty, tunables, image)?,
            MemorySource::Mapped => LinearMemory::new(*ty, tunables, image)?,
        })
    }

    fn make_tables(&mut self, instance: &mut Instance) -> Result<(), InstantiateError> {
        let module = instance.module.clone();
        let desc = &module.desc;
        let mut tables = std::mem::take(&mut instance.tables).into_vec();
        for (defined, ty) in desc.tables.iter().skip(desc.imported_tables as usize).enumerate() {
            self.allow_new_table(ty)?;
            let at = module.offsets.defined_tables + defined as u32 * TABLE_BYTES;
            // SAFETY: the slot of a table is its definition.
            let definition = NonNull::new(unsafe { instance.at::<VmTableDefinition>(at) });
            let ty = TableType { element: engine_ref(ty.element, &module.type_ids), ..*ty };
            let entry = TableEntry::new(ty, definition).ok_or(InstantiateError::OutOfMemory)?;
            tables.push(self.add_table(entry).index);
        }
        instance.tables = tables.into();
        Ok(())
    }

    fn init_globals(&mut self, id: InstanceId) -> Result<(), InstantiateError> {
        let module = self.instances[id.0 as usize].module.clone();
        for (defined, init) in module.desc.global_inits.iter().enumerate() {
            let bits = self.evaluate(id, &init.0)?;
            // SAFETY: the slot is this instance's own.
            unsafe { self.instances[id.0 as usize].global_slot_at(defined as u32).write(bits) };
        }
        Ok(())
    }

    /// Evaluates the element segments that are given by expressions, in order.
    fn init_elements(&mut self, id: InstanceId) -> Result<(), InstantiateError> {
        let module = self.instances[id.0 as usize].module.clone();
        for (index, segment) in module.desc.elements.iter().enumerate() {
            let ElementItems::Expressions(exprs) = &segment.items else { continue };
            if segment.kind == ElementKind::Declared {
                continue;
            }
            for expr in exprs {
                let value = self.evaluate(id, expr)? as u64;
                self.instances[id.0 as usize].elements[index].push(value);
            }
        }
        Ok(())
    }

    fn init_tables(&mut self, id: InstanceId) -> Result<(), InstantiateError> {
        let module = self.instances[id.0 as usize].module.clone();
        for (defined, init) in module.desc.table_inits.iter().enumerate() {
            let TableInit::Expr(expr) = init else { continue };
            let raw = self.evaluate(id, expr)? as u64;
            let instance = &self.instances[id.0 as usize];
            let entry = instance.tables[module.desc.imported_tables as usize + defined] as usize;
            let table = &mut self.tables[entry];
            // SAFETY: validation made the value one of the table's type; it is this store's.
            let filled = unsafe { table.fill(0, raw, table.len()) };
            filled.map_err(|_| InstantiateError::Trap(TrapCode::TableOutOfBounds, None))?;
        }
        Ok(())
    }

    fn apply_elements(&mut self, id: InstanceId) -> Result<(), InstantiateError> {
        let module = self.instances[id.0 as usize].module.clone();
        for (index, segment) in module.desc.elements.iter().enumerate() {
            if let ElementKind::Active { table, offset } = &segment.kind {
                let at = index_of(self.evaluate(id, offset)?, module.desc.tables[table.index()].table64);
                let len = segment_len(&segment.items);
                self.init_table(id, *table, ElementIndex(index as u32), at, 0, len)
                    .map_err(|_| self.refused_elements(id, *table, at, len))?;
            }
            if !matches!(segment.kind, ElementKind::Passive) {
                self.instances[id.0 as usize].drop_element(index);
            }
        }
        Ok(())
    }

    fn refused_elements(&self, id: InstanceId, table: TableIndex, index: u64, count: u64) -> InstantiateError {
        let table_elements = self.tables[self.instances[id.0 as usize].tables[table.index()] as usize].len();
        let element = FailedElement { index, count: Some(count), table_elements };
        InstantiateError::Trap(TrapCode::TableOutOfBounds, Some(Refused::Element(element)))
    }

    fn refused_bytes(&self, id: InstanceId, memory: MemoryIndex, address: u64, bytes: u64) -> InstantiateError {
        let memory = &self.memories[self.instances[id.0 as usize].memories[memory.index()] as usize];
        let access = FailedAccess { address, bytes: Some(bytes), memory_bytes: memory.len_bytes() as u64 };
        InstantiateError::Trap(TrapCode::MemoryOutOfBounds, Some(Refused::Access(access)))
    }

    /// `table.init` ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#table-instructions)).
    pub(crate) fn init_table(
        &mut self,
        id: InstanceId,
        table: TableIndex,
        element: ElementIndex,
        dst: u64,
        src: u64,
        len: u64,
    ) -> Result<(), crate::table::OutOfBounds> {
        let instance = &self.instances[id.0 as usize];
        let range = instance.element_range(element, src, len)?;
        let entry = instance.tables[table.index()] as usize;
        // SAFETY: validation made the values those of the table's type; they are this store's.
        unsafe { self.tables[entry].write(dst, instance.element_values(element, range)) }
    }

    fn apply_data(&mut self, id: InstanceId) -> Result<(), InstantiateError> {
        let module = self.instances[id.0 as usize].module.clone();
        for (index, segment) in module.desc.data.iter().enumerate() {
            let DataKind::Active { memory, offset } = &segment.kind else { continue };
            let defined = memory.0.checked_sub(module.desc.imported_memories);
            let in_image =
                defined.is_some_and(|defined| module.images.get(defined as usize).is_some_and(Option::is_some));
            if !in_image {
                let at = index_of(self.evaluate(id, offset)?, module.desc.memories[memory.index()].memory64);
                let len = u64::from(segment.bytes.end - segment.bytes.start);
                self.init_memory(id, *memory, DataIndex(index as u32), at, 0, len)
                    .map_err(|_| self.refused_bytes(id, *memory, at, len))?;
            }
            self.instances[id.0 as usize].dropped_data[index] = true;
        }
        Ok(())
    }

    /// `memory.init` ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#memory-instructions)).
    pub(crate) fn init_memory(
        &mut self,
        id: InstanceId,
        memory: MemoryIndex,
        data: DataIndex,
        dst: u64,
        src: u64,
        len: u64,
    ) -> Result<(), crate::table::OutOfBounds> {
        let instance = &self.instances[id.0 as usize];
        let bytes: &[u8] = if instance.dropped_data[data.index()] { &[] } else { instance.module.segment(data) };
        if wattest_abi::mutant!(memory_init_source_unchecked) && src <= bytes.len() as u64 {
            let entry = &self.memories[instance.memories[memory.index()] as usize];
            let to = entry.range(dst, len).ok_or(crate::table::OutOfBounds)?;
            let rest = &bytes[src as usize..];
            let count = rest.len().min(len as usize);
            // SAFETY: `range` checked the destination; a segment never lies in a linear memory.
            unsafe { std::ptr::copy_nonoverlapping(rest.as_ptr(), to, count) };
            return Ok(());
        }
        let end = src.checked_add(len).filter(|end| *end <= bytes.len() as u64).ok_or(crate::table::OutOfBounds)?;
        let bytes = &bytes[src as usize..end as usize];
        let entry = &self.memories[instance.memories[memory.index()] as usize];
        let to = entry.range(dst, len).ok_or(crate::table::OutOfBounds)?;
        // SAFETY: `range` checked the destination; a segment never lies in a linear memory.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        Ok(())
    }

    /// All instances, in the order in which they were made.
    pub fn instance_ids(&self) -> impl Iterator<Item = InstanceId> + use<> {
        (0..self.instances.len() as u32).map(InstanceId)
    }

    /// An instance's module.
    pub fn instance_module(&self, id: InstanceId) -> Option<&Arc<RuntimeModule>> {
        self.instances.get(id.0 as usize).map(|instance| &instance.module)
    }

    /// What an instance's index means, if it has it. Functions that do not escape have no value.
    pub fn instance_entity(&self, id: InstanceId, kind: ImportKind) -> Option<Extern> {
        let instance = self.instances.get(id.0 as usize)?;
        let desc = instance.desc();
        match kind {
            ImportKind::Func(index) => {
                let known = index.index() < desc.functions.len();
                let func_ref = known.then(|| instance.func_ref(index)).flatten()?;
                Some(Extern::Func(self.func_handle(func_ref)))
            }
            ImportKind::Table(index) => {
                let index = *instance.tables.get(index.index())?;
                Some(Extern::Table(TableHandle { store: self.id(), index }))
            }
            ImportKind::Memory(index) => {
                let index = *instance.memories.get(index.index())?;
                Some(Extern::Memory(MemoryHandle { store: self.id(), index }))
            }
            ImportKind::Global(index) => {
                (index.index() < desc.globals.len()).then(|| Extern::Global(instance.global(self, index)))
            }
            ImportKind::Tag(index) => {
                let known = index.index() < desc.tags.len();
                // SAFETY: identities were filled in when the instance was made.
                let identity = known.then(|| unsafe { instance.tag_at(index.0).read() })?;
                Some(Extern::Tag(self.tag_of_identity(identity)))
            }
        }
    }

    /// The null of a reference type.
    pub fn null_of(heap: HeapType) -> Raw {
        match heap {
            HeapType::Func | HeapType::NoFunc => Raw::Func(None),
            _ => Raw::Ref(0),
        }
    }
}

fn init_func_refs(instance: &Instance) {
    let vmctx = instance.vmctx();
    for (slot, (code, type_id)) in instance.module.escaping.iter().enumerate() {
        let func_ref = VmFuncRef { code: code.0, vmctx, type_id: *type_id };
        // SAFETY: the slots are numbered by the description that the layout was made for.
        unsafe { instance.func_ref_at(slot as u32).write(func_ref) };
    }
}

/// An offset or index as an unsigned number of its index type's width.
fn index_of(bits: u128, is_64: bool) -> u64 {
    if is_64 { bits as u64 } else { u64::from(bits as u32) }
}

fn segment_len(items: &ElementItems) -> u64 {
    match items {
        ElementItems::Functions(functions) => functions.len() as u64,
        ElementItems::Expressions(exprs) => exprs.len() as u64,
    }
}

/// Whether limits `given` match the limits `wanted`
/// ([spec](https://webassembly.github.io/spec/core/valid/matching.html#limits)).
fn limits_match(given: (u64, Option<u64>), wanted: (u64, Option<u64>)) -> bool {
    let maximum_fits = match (given.1, wanted.1) {
        (_, None) => true,
        (Some(given), Some(wanted)) => given <= wanted,
        (None, Some(_)) => false,
    };
    given.0 >= wanted.0 && maximum_fits
}
