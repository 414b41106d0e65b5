//! Adapter modules: adapters in, one core module out.
//!
//! Invariant: imports, types and functions are numbered in the order in which adapters first need them, so equal adapters
//! give equal bytes; each import stands there once; pieces wait in a queue, so one that needs another does not recurse.
//!
//! Does not know: how values are transferred; `emit` does.

use crate::FUNCTION_BYTES_MAX;
use crate::adapter::{
    Adapter, AdapterId, Callee, EncodedAdapters, Export, FuncType, Import, ImportId, ImportKind, Memory, Source,
};
use crate::emit::code::{Code, FuncRef};
use crate::emit::{Piece, abi_val_type, call, emit_piece, piece_type};
use crate::error::FuseError;
use crate::intrinsic::Intrinsic;
use crate::plan::Plans;
use std::collections::{HashMap, VecDeque};
use wasm_encoder::{
    CodeSection, ElementSection, Elements, EntityType, ExportKind, ExportSection, FunctionSection, GlobalType,
    ImportSection, MemoryType, TypeSection, ValType,
};
use wattest_canon::{Types, Width};

/// What holds for all adapters of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ModuleOptions {
    /// The engine knows exceptions: one that reaches a component boundary becomes a trap. Without, none can.
    pub exceptions: bool,
}

/// A function of the module; without code as long as it waits to be written.
#[derive(Debug)]
struct OwnFunc {
    ty: u32,
    code: Option<Code>,
}

/// A module in the making.
#[derive(Debug)]
pub struct Module<'a, I> {
    pub types: &'a Types,
    pub options: ModuleOptions,
    pub plans: Plans,
    func_types: Vec<FuncType>,
    // ORDER: these maps are only looked up; numbers come from the vectors.
    func_type_ids: HashMap<FuncType, u32>,
    import_ids: HashMap<Source<I>, u32>,
    pieces: HashMap<Piece, FuncRef>,
    imports: Vec<Import<I>>,
    imported_funcs: u32,
    imported_globals: u32,
    memories: Vec<Memory<I>>,
    own: Vec<OwnFunc>,
    queue: VecDeque<(Piece, u32)>,
    exports: Vec<(FuncRef, FuncType)>,
    /// Functions that `ref.func` names.
    declared: Vec<FuncRef>,
}

impl<'a, I: ImportId> Module<'a, I> {
    fn new(types: &'a Types, options: ModuleOptions) -> Self {
        Module {
            types,
            options,
            plans: Plans::default(),
            func_types: Vec::new(),
            func_type_ids: HashMap::new(),
            import_ids: HashMap::new(),
            pieces: HashMap::new(),
            imports: Vec::new(),
            imported_funcs: 0,
            imported_globals: 0,
            memories: Vec::new(),
            own: Vec::new(),
            queue: VecDeque::new(),
            exports: Vec::new(),
            declared: Vec::new(),
        }
    }

    fn func_type(&mut self, ty: &FuncType) -> u32 {
        if let Some(id) = self.func_type_ids.get(ty) {
            return *id;
        }
        let id = count(self.func_types.len());
        self.func_types.push(ty.clone());
        self.func_type_ids.insert(ty.clone(), id);
        id
    }

    /// Interns an import; `next` is its index if it is new.
    fn import(&mut self, source: Source<I>, kind: ImportKind, next: u32) -> (u32, bool) {
        if let Some(index) = self.import_ids.get(&source) {
            return (*index, false);
        }
        if let ImportKind::Func(ty) = &kind {
            let ty = ty.clone();
            self.func_type(&ty);
        }
        self.imports.push(Import { name: self.imports.len().to_string(), kind, source });
        self.import_ids.insert(source, next);
        (next, true)
    }

    fn import_func(&mut self, source: Source<I>, ty: FuncType) -> FuncRef {
        let (index, is_new) = self.import(source, ImportKind::Func(ty), self.imported_funcs);
        self.imported_funcs += u32::from(is_new);
        FuncRef::Import(index)
    }

    /// A function of the host.
    pub fn intrinsic(&mut self, intrinsic: Intrinsic<I>) -> FuncRef {
        self.import_func(Source::Intrinsic(intrinsic), intrinsic.func_type())
    }

    /// The function of the host that traps.
    pub fn trap(&mut self) -> FuncRef {
        self.intrinsic(Intrinsic::Trap)
    }

    /// A function that an adapter names.
    pub fn callee(&mut self, callee: Callee<I>, ty: &FuncType) -> Result<FuncRef, FuseError> {
        match callee {
            Callee::Import(id) => Ok(self.import_func(Source::Given(id), ty.clone())),
            Callee::Adapter(id) => {
                let export = self.exports.get(id.0 as usize);
                let found = export.filter(|(_, own)| own == ty).map(|(target, _)| *target);
                found.ok_or(FuseError::UnknownAdapter(id.0))
            }
        }
    }

    /// A memory's index.
    pub fn memory(&mut self, memory: Memory<I>) -> u32 {
        let kind = ImportKind::Memory { width: memory.width, page_bits: memory.page_bits };
        let (index, is_new) = self.import(Source::Given(memory.id), kind, count(self.memories.len()));
        if is_new {
            self.memories.push(memory);
        }
        index
    }

    /// The user's name of a memory that is imported.
    pub fn memory_id(&self, index: u32) -> I {
        self.memories[index as usize].id
    }

    /// The index of the global that holds an instance's `may_leave`.
    pub fn may_leave(&mut self, id: I) -> u32 {
        let (index, is_new) = self.import(Source::Given(id), ImportKind::MayLeave, self.imported_globals);
        self.imported_globals += u32::from(is_new);
        index
    }

    /// The function of a piece, to be written later if it is new.
    pub fn piece(&mut self, piece: Piece) -> FuncRef {
        if let Some(target) = self.pieces.get(&piece) {
            return *target;
        }
        let (Piece::Value { plan, .. } | Piece::Slice { plan, .. }) = piece;
        let ty = piece_type(&piece, &self.plans.get(plan));
        let index = self.reserve(&ty);
        self.queue.push_back((piece, index));
        self.pieces.insert(piece, FuncRef::Own(index));
        FuncRef::Own(index)
    }

    fn reserve(&mut self, ty: &FuncType) -> u32 {
        let ty = self.func_type(ty);
        self.own.push(OwnFunc { ty, code: None });
        count(self.own.len() - 1)
    }

    /// Adds a function that is written.
    pub fn own(&mut self, ty: &FuncType, code: Code) -> FuncRef {
        let index = self.reserve(ty);
        self.own[index as usize].code = Some(code);
        FuncRef::Own(index)
    }

    /// Says that `ref.func` names a function.
    pub fn declare(&mut self, target: FuncRef) {
        self.declared.push(target);
    }

    fn write_pieces(&mut self) -> Result<(), FuseError> {
        while let Some((piece, index)) = self.queue.pop_front() {
            let code = emit_piece(self, piece);
            if code.len() > FUNCTION_BYTES_MAX {
                return Err(FuseError::TooLarge(FUNCTION_BYTES_MAX));
            }
            self.own[index as usize].code = Some(code);
        }
        Ok(())
    }

    fn index_of(&self, target: FuncRef) -> u32 {
        match target {
            FuncRef::Import(index) => index,
            FuncRef::Own(index) => self.imported_funcs + index,
        }
    }

    fn encode(mut self) -> EncodedAdapters<I> {
        let mut module = wasm_encoder::Module::new();
        let mut imports = ImportSection::new();
        for import in &self.imports {
            imports.import("", &import.name, entity(&import.kind, &self.func_type_ids));
        }
        let mut types = TypeSection::new();
        for ty in &self.func_types {
            let list = |types: &[crate::AbiType]| types.iter().map(|ty| abi_val_type(*ty)).collect::<Vec<_>>();
            types.ty().function(list(&ty.params), list(&ty.results));
        }
        let mut functions = FunctionSection::new();
        for own in &self.own {
            functions.function(own.ty);
        }
        let (mut exports, mut exported) = (ExportSection::new(), Vec::new());
        for (at, (target, ty)) in std::mem::take(&mut self.exports).into_iter().enumerate() {
            let name = at.to_string();
            exports.export(&name, ExportKind::Func, self.index_of(target));
            exported.push(Export { name, ty });
        }
        module.section(&types).section(&imports).section(&functions).section(&exports);
        if !self.declared.is_empty() {
            let declared: Vec<u32> = self.declared.iter().map(|target| self.index_of(*target)).collect();
            let mut elements = ElementSection::new();
            elements.declared(Elements::Functions(declared.into()));
            module.section(&elements);
        }
        let mut code = CodeSection::new();
        for own in self.own {
            // Every function was written when the adapter that needs it was added.
            if let Some(body) = own.code {
                code.function(&body.finish(self.imported_funcs));
            }
        }
        module.section(&code);
        EncodedAdapters { wasm: module.finish(), imports: self.imports, exports: exported }
    }
}

fn entity(kind: &ImportKind, func_types: &HashMap<FuncType, u32>) -> EntityType {
    match kind {
        // Types of imports are interned with them.
        ImportKind::Func(ty) => EntityType::Function(func_types.get(ty).copied().unwrap_or_default()),
        ImportKind::Memory { width, page_bits } => EntityType::Memory(MemoryType {
            minimum: 0,
            maximum: None,
            memory64: *width == Width::W64,
            shared: false,
            page_size_log2: (*page_bits != 16).then_some(*page_bits),
        }),
        ImportKind::MayLeave => EntityType::Global(GlobalType { val_type: ValType::I32, mutable: true, shared: false }),
    }
}

/// A count that a module's size keeps far below 2³².
fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Collects adapters and encodes them.
#[derive(Debug)]
pub struct AdapterModuleBuilder<'a, I> {
    module: Module<'a, I>,
}

impl<'a, I: ImportId> AdapterModuleBuilder<'a, I> {
    /// A module without adapters, whose types are those of one arena.
    pub fn new(types: &'a Types, options: ModuleOptions) -> Self {
        AdapterModuleBuilder { module: Module::new(types, options) }
    }

    /// Adds an adapter.
    ///
    /// # Errors
    /// A [`FuseError`]; the module is then not to be used any more.
    pub fn adapter(&mut self, adapter: &Adapter<I>) -> Result<AdapterId, FuseError> {
        let export = call::emit_adapter(&mut self.module, adapter)?;
        self.module.exports.push(export);
        self.module.write_pieces()?;
        Ok(AdapterId(count(self.module.exports.len() - 1)))
    }

    /// The module.
    pub fn finish(self) -> EncodedAdapters<I> {
        self.module.encode()
    }
}
