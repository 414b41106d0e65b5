//! Modules: decoded and validated.
//!
//! [Module structure](https://webassembly.github.io/spec/core/syntax/modules.html), read section by section and
//! validated by the rules of [modules](https://webassembly.github.io/spec/core/valid/modules.html).
//!
//! Invariant: a [`Module`] is valid; its types are canonical among themselves.
//!
//! Does not know: stores.

use crate::error::ModuleError;
use crate::instruction::Code;
use crate::lowering::{lower_body, lower_constant};
use crate::matching::SUPERTYPES_MAX;
use crate::types::{
    CompType, ExternType, FuncType, GlobalType, HeapType, Limits, MemoryType, RefType, SubType, TableType, TypeId,
    Types, ValType,
};
use crate::validation::{Context, Refusal};
use std::collections::BTreeSet;
use std::sync::Arc;
use wasmparser::{ElementItems, ExternalKind, Parser, Payload, WasmFeatures};

/// What is not part of WebAssembly 3.0, and parts of it that older test suites presume absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Shared memories and atomic accesses.
    pub threads: bool,
    /// 128-bit arithmetic.
    pub wide_arithmetic: bool,
    /// Pages of one byte.
    pub custom_page_sizes: bool,
    /// Exact types, and structures that describe others.
    pub custom_descriptors: bool,
    /// More than one memory.
    pub multi_memory: bool,
    /// More than one table.
    pub multi_table: bool,
}

impl Default for Features {
    /// WebAssembly 3.0.
    fn default() -> Features {
        Features {
            threads: false,
            wide_arithmetic: false,
            custom_page_sizes: false,
            custom_descriptors: false,
            multi_memory: true,
            multi_table: true,
        }
    }
}

impl Features {
    /// 3.0 and every proposal that is defined here.
    #[must_use]
    pub fn all() -> Features {
        Features {
            threads: true,
            wide_arithmetic: true,
            custom_page_sizes: true,
            custom_descriptors: true,
            ..Features::default()
        }
    }

    fn reader(self) -> WasmFeatures {
        let mut features = WasmFeatures::WASM3;
        features.set(WasmFeatures::THREADS, self.threads);
        features.set(WasmFeatures::WIDE_ARITHMETIC, self.wide_arithmetic);
        features.set(WasmFeatures::CUSTOM_PAGE_SIZES, self.custom_page_sizes);
        features.set(WasmFeatures::CUSTOM_DESCRIPTORS, self.custom_descriptors);
        features.set(WasmFeatures::MULTI_MEMORY, self.multi_memory);
        features
    }
}

/// An import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Module name.
    pub module: String,
    /// Item name.
    pub name: String,
    /// What is asked for; defined types are the module's own.
    pub ty: ExternType,
}

/// What kind of item an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Kind {
    Func,
    Table,
    Memory,
    Global,
    Tag,
}

/// An export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its index among its kind.
    pub index: u32,
}

/// When a segment is used.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    Passive,
    Active { index: u32, offset: Arc<Code> },
    Declarative,
}

/// An entry of an element segment.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Func(u32),
    Expr(Arc<Code>),
}

#[derive(Clone, Debug)]
pub(crate) struct Elem {
    pub(crate) mode: Mode,
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, Debug)]
pub(crate) struct Data {
    pub(crate) mode: Mode,
    pub(crate) bytes: Arc<[u8]>,
}

/// The parts of a module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    pub(crate) types: Types,
    pub(crate) imports: Vec<Import>,
    pub(crate) exports: Vec<Export>,
    pub(crate) funcs: Vec<(TypeId, Arc<Code>)>,
    pub(crate) tables: Vec<(TableType, Option<Arc<Code>>)>,
    pub(crate) memories: Vec<MemoryType>,
    pub(crate) tags: Vec<TypeId>,
    pub(crate) globals: Vec<(GlobalType, Arc<Code>)>,
    pub(crate) elems: Vec<Elem>,
    pub(crate) datas: Vec<Data>,
    pub(crate) start: Option<u32>,
}

/// A valid module.
#[derive(Clone, Debug)]
pub struct Module(pub(crate) Arc<Parts>);

impl Module {
    /// Decodes and validates `bytes`.
    ///
    /// # Errors
    /// When the module is malformed or invalid, or uses what is not defined here.
    pub fn decode(bytes: &[u8], features: Features) -> Result<Module, ModuleError> {
        let mut reader = Reader { features, ..Reader::default() };
        reader.context.custom_descriptors = features.custom_descriptors;
        reader.context.wide_arithmetic = features.wide_arithmetic;
        reader.context.threads = features.threads;
        let mut parser = Parser::new(0);
        parser.set_features(features.reader());
        for payload in parser.parse_all(bytes) {
            reader.payload(payload?)?;
        }
        reader.finish(bytes.len())
    }

    /// The imports, in order.
    #[must_use]
    pub fn imports(&self) -> &[Import] {
        &self.0.imports
    }

    /// The exports, in order.
    #[must_use]
    pub fn exports(&self) -> &[Export] {
        &self.0.exports
    }

    /// The defined types that imports refer to.
    #[must_use]
    pub fn types(&self) -> &Types {
        &self.0.types
    }
}

/// A module as far as it has been read.
#[derive(Default)]
struct Reader {
    features: Features,
    context: Context,
    parts: Parts,
    names: BTreeSet<String>,
    /// Defined functions whose body has not been read.
    bodies: std::collections::VecDeque<TypeId>,
    depths: Vec<usize>,
}

impl Reader {
    fn payload(&mut self, payload: Payload<'_>) -> Result<(), ModuleError> {
        match payload {
            Payload::Version { encoding: wasmparser::Encoding::Module, .. } => Ok(()),
            Payload::Version { range, .. } => Err(ModuleError::malformed(range.start, "not a core module")),
            Payload::TypeSection(section) => each(section, |at, group| self.types(group).map_err(|r| r.at(at))),
            Payload::ImportSection(section) => {
                for import in section.into_imports_with_offsets() {
                    let (offset, import) = import?;
                    self.import(import).map_err(|refusal| refusal.at(offset))?;
                }
                Ok(())
            }
            Payload::FunctionSection(section) => each(section, |at, index| self.func(index).map_err(|r| r.at(at))),
            Payload::TableSection(section) => each(section, |at, table| self.table(at, table)),
            Payload::MemorySection(section) => each(section, |at, ty| self.memory(ty).map_err(|r| r.at(at))),
            Payload::TagSection(section) => each(section, |at, ty| self.tag(ty).map_err(|r| r.at(at))),
            Payload::GlobalSection(section) => each(section, |at, global| self.global(at, &global)),
            Payload::ExportSection(section) => each(section, |at, export| self.export(export).map_err(|r| r.at(at))),
            Payload::StartSection { func, range } => self.start(func).map_err(|refusal| refusal.at(range.start)),
            Payload::ElementSection(section) => each(section, |at, elem| self.elem(at, elem)),
            Payload::DataCountSection { count, .. } => {
                self.context.datas = Some(count);
                Ok(())
            }
            Payload::CodeSectionEntry(body) => self.body(&body),
            Payload::DataSection(section) => each(section, |at, data| self.data(at, data)),
            Payload::UnknownSection { range, .. } => Err(ModuleError::malformed(range.start, "malformed section id")),
            _ => Ok(()),
        }
    }

    /// A recursive group: its members may refer to each other.
    fn types(&mut self, group: wasmparser::RecGroup) -> Result<(), Refusal> {
        let members: Vec<_> = group.into_types().collect();
        self.context.group = members.len();
        let base = self.context.type_ids.len();
        let mut rolled = Vec::with_capacity(members.len());
        for (at, member) in members.iter().enumerate() {
            rolled.push(self.sub_type(member, base + at)?);
        }
        self.context.group = 0;
        let first = self.context.types.add_group(rolled);
        for at in 0..members.len() as u32 {
            self.context.type_ids.push(TypeId(first.0 + at));
        }
        (0..members.len() as u32).try_for_each(|at| self.check_sub_type(TypeId(first.0 + at)))
    }

    fn sub_type(&self, ty: &wasmparser::SubType, index: usize) -> Result<SubType, Refusal> {
        use wasmparser::CompositeInnerType as C;
        let context = &self.context;
        let composite = &ty.composite_type;
        if composite.shared {
            return Err(Refusal::Unsupported("shared types".to_owned()));
        }
        let describes = self.clause(composite.describes_idx, "described type")?;
        let descriptor = self.clause(composite.descriptor_idx, "descriptor type")?;
        let comp = match &composite.inner {
            C::Func(ty) => CompType::Func(FuncType {
                params: ty.params().iter().map(|ty| context.val_type(*ty)).collect::<Result<_, _>>()?,
                results: ty.results().iter().map(|ty| context.val_type(*ty)).collect::<Result<_, _>>()?,
            }),
            C::Array(ty) => CompType::Array(context.field_type(ty.0)?),
            C::Struct(ty) => {
                CompType::Struct(ty.fields.iter().map(|field| context.field_type(*field)).collect::<Result<_, _>>()?)
            }
            C::Cont(_) => return Err(Refusal::Unsupported("stack switching".to_owned())),
        };
        let supertype = match super_index(ty)? {
            Some(parent) if parent as usize >= index => return Err(format!("unknown type {parent}").into()),
            Some(parent) => Some(context.type_index(parent)?),
            None => None,
        };
        Ok(SubType { is_final: ty.is_final, supertype, describes, descriptor, comp })
    }

    /// The type that a `describes` or `descriptor` clause names: a member of the same group.
    fn clause(&self, index: Option<wasmparser::PackedIndex>, what: &str) -> Result<Option<HeapType>, Refusal> {
        let Some(index) = index else { return Ok(None) };
        self.context.of_custom_descriptors("malformed definition type")?;
        match index.as_module_index().map(|index| self.context.type_index(index)) {
            Some(Ok(member @ HeapType::Rec(_))) => Ok(Some(member)),
            _ => Err(format!("{what} is outside rec group").into()),
        }
    }

    /// A type and its descriptor are structures that name each other, the described one first.
    fn check_clauses(&self, id: TypeId) -> Result<(), Refusal> {
        let types = &self.context.types;
        let ty = types.get(id);
        let is_struct = |ty: &SubType| matches!(ty.comp, CompType::Struct(_));
        if let Some(described) = ty.described_id() {
            if described >= id {
                return Err("forward use of described type".into());
            }
            if types.get(described).descriptor_id() != Some(id) {
                return Err("described type is not described by descriptor".into());
            }
            if !is_struct(ty) {
                return Err("described type must be a struct".into());
            }
        }
        if let Some(descriptor) = ty.descriptor_id() {
            if types.get(descriptor).described_id() != Some(id) {
                return Err("type is not described by its descriptor".into());
            }
            if !is_struct(ty) {
                return Err("descriptor type must be a struct".into());
            }
        }
        Ok(())
    }

    /// Below a type with a descriptor are only types with descriptors, which match it; below and above a type that
    /// describes another only such types, and what they describe matches likewise.
    fn check_sub_clauses(&self, ty: &SubType, above: &SubType) -> Result<(), Refusal> {
        let matches = |a: TypeId, b: TypeId| self.context.types.match_def(a, b);
        match (ty.descriptor_id(), above.descriptor_id()) {
            (None, Some(_)) => return Err("sub type does not match super type: it has no descriptor".into()),
            (Some(a), Some(b)) if !matches(a, b) => {
                return Err(format!("descriptor type {} does not match", a.0).into());
            }
            _ => {}
        }
        match (ty.described_id(), above.described_id()) {
            (None, None) => Ok(()),
            (Some(a), Some(b)) if matches(a, b) => Ok(()),
            (Some(a), Some(_)) => Err(format!("described type {} does not match", a.0).into()),
            _ => Err("sub type does not match super type: only one of them describes a type".into()),
        }
    }

    /// A declared supertype is not final, and the structure matches its.
    fn check_sub_type(&mut self, id: TypeId) -> Result<(), Refusal> {
        self.check_clauses(id)?;
        let ty = self.context.types.get(id);
        let mut depth = 0;
        if let Some(parent) = ty.super_id() {
            let above = self.context.types.get(parent);
            if above.is_final || !self.context.types.match_comp(&ty.comp, &above.comp) {
                return Err(format!("sub type {} does not match its super type {}", id.0, parent.0).into());
            }
            self.check_sub_clauses(ty, above)?;
            depth = self.depths.get(parent.0 as usize).copied().unwrap_or(0) + 1;
        }
        if depth > SUPERTYPES_MAX {
            return Err(Refusal::Unsupported("a chain of supertypes this long".to_owned()));
        }
        self.depths.resize(self.context.types.len(), 0);
        self.depths[id.0 as usize] = depth;
        Ok(())
    }

    fn import(&mut self, import: wasmparser::Import<'_>) -> Result<(), Refusal> {
        let ty = match import.ty {
            wasmparser::TypeRef::Func(index) => {
                let (id, _) = self.context.func_type(index)?;
                self.context.inexact.insert(self.context.funcs.len() as u32);
                self.context.funcs.push(id);
                ExternType::Func(HeapType::Def(id))
            }
            wasmparser::TypeRef::FuncExact(index) => {
                self.context.of_custom_descriptors("malformed import kind")?;
                let (id, _) = self.context.func_type(index)?;
                self.context.funcs.push(id);
                ExternType::Func(HeapType::Exact(id))
            }
            wasmparser::TypeRef::Table(ty) => {
                let ty = self.table_type(ty)?;
                self.context.tables.push(ty);
                self.check_counts()?;
                ExternType::Table(ty)
            }
            wasmparser::TypeRef::Memory(ty) => {
                let ty = self.memory_type(ty)?;
                self.context.memories.push(ty);
                self.check_counts()?;
                ExternType::Memory(ty)
            }
            wasmparser::TypeRef::Global(ty) => {
                let ty = self.global_type(ty)?;
                self.context.globals.push(ty);
                ExternType::Global(ty)
            }
            wasmparser::TypeRef::Tag(ty) => {
                let id = self.tag_type(ty)?;
                self.context.tags.push(id);
                ExternType::Tag(id)
            }
        };
        let (module, name) = (import.module.to_owned(), import.name.to_owned());
        self.parts.imports.push(Import { module, name, ty });
        Ok(())
    }

    fn check_counts(&self) -> Result<(), Refusal> {
        if self.context.memories.len() > 1 && !self.features.multi_memory {
            return Err("multiple memories".into());
        }
        if self.context.tables.len() > 1 && !self.features.multi_table {
            return Err("multiple tables".into());
        }
        Ok(())
    }

    fn func(&mut self, index: u32) -> Result<(), Refusal> {
        let (id, _) = self.context.func_type(index)?;
        self.context.funcs.push(id);
        self.bodies.push_back(id);
        Ok(())
    }

    fn table_type(&self, ty: wasmparser::TableType) -> Result<TableType, Refusal> {
        if ty.shared {
            return Err(Refusal::Unsupported("shared tables".to_owned()));
        }
        let limits = Limits { min: ty.initial, max: ty.maximum };
        let range = if ty.table64 { u64::MAX } else { u64::from(u32::MAX) };
        check_limits(limits, range, "table size")?;
        Ok(TableType { is64: ty.table64, limits, element: self.context.ref_type(ty.element_type)? })
    }

    fn table(&mut self, offset: usize, table: wasmparser::Table<'_>) -> Result<(), ModuleError> {
        let ty = self.table_type(table.ty).map_err(|refusal| refusal.at(offset))?;
        let init = match &table.init {
            wasmparser::TableInit::Expr(expr) => Some(self.constant(ValType::Ref(ty.element), expr)?),
            wasmparser::TableInit::RefNull if ty.element.nullable => None,
            wasmparser::TableInit::RefNull => {
                return Err(ModuleError::invalid(offset, "type mismatch: the table needs an initializer"));
            }
        };
        self.context.tables.push(ty);
        self.check_counts().map_err(|refusal| refusal.at(offset))?;
        self.parts.tables.push((ty, init));
        Ok(())
    }

    fn memory_type(&self, ty: wasmparser::MemoryType) -> Result<MemoryType, Refusal> {
        let page_log2 = ty.page_size_log2.unwrap_or(16);
        if page_log2 != 16 && page_log2 != 0 {
            return Err("invalid custom page size".into());
        }
        let limits = Limits { min: ty.initial, max: ty.maximum };
        let range = match (ty.memory64, page_log2) {
            (false, 0) => u64::from(u32::MAX),
            (true, 0) => u64::MAX,
            (false, _) => 1 << 16,
            (true, _) => 1 << 48,
        };
        check_limits(limits, range, "memory size")?;
        if ty.shared && ty.maximum.is_none() {
            return Err("shared memory must have maximum".into());
        }
        Ok(MemoryType { is64: ty.memory64, shared: ty.shared, limits, page_log2 })
    }

    fn memory(&mut self, ty: wasmparser::MemoryType) -> Result<(), Refusal> {
        let ty = self.memory_type(ty)?;
        self.context.memories.push(ty);
        self.parts.memories.push(ty);
        self.check_counts()
    }

    fn tag_type(&self, ty: wasmparser::TagType) -> Result<TypeId, Refusal> {
        let (id, func) = self.context.func_type(ty.func_type_idx)?;
        if func.results.is_empty() { Ok(id) } else { Err("non-empty tag result type".into()) }
    }

    fn tag(&mut self, ty: wasmparser::TagType) -> Result<(), Refusal> {
        let id = self.tag_type(ty)?;
        self.context.tags.push(id);
        self.parts.tags.push(id);
        Ok(())
    }

    fn global_type(&self, ty: wasmparser::GlobalType) -> Result<GlobalType, Refusal> {
        if ty.shared {
            return Err(Refusal::Unsupported("shared globals".to_owned()));
        }
        Ok(GlobalType { mutable: ty.mutable, content: self.context.val_type(ty.content_type)? })
    }

    fn global(&mut self, offset: usize, global: &wasmparser::Global<'_>) -> Result<(), ModuleError> {
        let ty = self.global_type(global.ty).map_err(|refusal| refusal.at(offset))?;
        let init = self.constant(ty.content, &global.init_expr)?;
        self.context.globals.push(ty);
        self.parts.globals.push((ty, init));
        Ok(())
    }

    fn export(&mut self, export: wasmparser::Export<'_>) -> Result<(), Refusal> {
        let kind = match export.kind {
            ExternalKind::FuncExact => return Err(Refusal::malformed("malformed export kind")),
            ExternalKind::Func => {
                self.context.func(export.index)?;
                self.context.refs.insert(export.index);
                Kind::Func
            }
            ExternalKind::Table => self.context.table(export.index).map(|_| Kind::Table)?,
            ExternalKind::Memory => self.context.memory(export.index).map(|_| Kind::Memory)?,
            ExternalKind::Global => self.context.global(export.index).map(|_| Kind::Global)?,
            ExternalKind::Tag => self.context.tag(export.index).map(|_| Kind::Tag)?,
        };
        if !self.names.insert(export.name.to_owned()) {
            return Err("duplicate export name".into());
        }
        self.parts.exports.push(Export { name: export.name.to_owned(), kind, index: export.index });
        Ok(())
    }

    fn start(&mut self, func: u32) -> Result<(), Refusal> {
        let ty = self.context.func_of(self.context.func(func)?)?;
        if *ty != FuncType::default() {
            return Err("start function: it has parameters or results".into());
        }
        self.parts.start = Some(func);
        Ok(())
    }

    fn constant(&mut self, ty: ValType, expr: &wasmparser::ConstExpr<'_>) -> Result<Arc<Code>, ModuleError> {
        let mut refs = Vec::new();
        let code = lower_constant(&self.context, ty, expr.get_operators_reader(), &mut refs)?;
        self.context.refs.extend(refs);
        Ok(Arc::new(code))
    }

    fn elem(&mut self, offset: usize, elem: wasmparser::Element<'_>) -> Result<(), ModuleError> {
        let mut items = Vec::new();
        let ty = match elem.items {
            ElementItems::Functions(funcs) => {
                each(funcs, |at, index| {
                    self.context.func(index).map_err(|refusal| refusal.at(at))?;
                    self.context.refs.insert(index);
                    items.push(Item::Func(index));
                    Ok(())
                })?;
                RefType::non_null(HeapType::Func)
            }
            ElementItems::Expressions(ty, exprs) => {
                let ty = self.context.ref_type(ty).map_err(|refusal| refusal.at(offset))?;
                each(exprs, |_, expr| {
                    items.push(Item::Expr(self.constant(ValType::Ref(ty), &expr)?));
                    Ok(())
                })?;
                ty
            }
        };
        let mode = match elem.kind {
            wasmparser::ElementKind::Passive => Mode::Passive,
            wasmparser::ElementKind::Declared => Mode::Declarative,
            wasmparser::ElementKind::Active { table_index, offset_expr } => {
                let index = table_index.unwrap_or(0);
                let table = self.context.table(index).map_err(|refusal| refusal.at(offset))?;
                if !self.context.types.match_ref(ty, table.element) {
                    return Err(ModuleError::invalid(offset, "type mismatch: segment and table"));
                }
                let offset = self.constant(address(table.is64), &offset_expr)?;
                Mode::Active { index, offset }
            }
        };
        self.context.elems.push(ty);
        self.parts.elems.push(Elem { mode, items });
        Ok(())
    }

    fn body(&mut self, body: &wasmparser::FunctionBody<'_>) -> Result<(), ModuleError> {
        let offset = body.range().start;
        let Some(id) = self.bodies.pop_front() else {
            return Err(ModuleError::malformed(offset, "function and code section have inconsistent lengths"));
        };
        let ty = self.context.func_of(id).map_err(|refusal| refusal.at(offset))?;
        let code = lower_body(&self.context, ty, body)?;
        self.parts.funcs.push((id, Arc::new(code)));
        Ok(())
    }

    fn data(&mut self, offset: usize, data: wasmparser::Data<'_>) -> Result<(), ModuleError> {
        let mode = match data.kind {
            wasmparser::DataKind::Passive => Mode::Passive,
            wasmparser::DataKind::Active { memory_index: index, offset_expr } => {
                let memory = self.context.memory(index).map_err(|refusal| refusal.at(offset))?;
                let offset = self.constant(address(memory.is64), &offset_expr)?;
                Mode::Active { index, offset }
            }
        };
        self.parts.datas.push(Data { mode, bytes: data.data.into() });
        Ok(())
    }

    fn finish(mut self, end: usize) -> Result<Module, ModuleError> {
        if !self.bodies.is_empty() {
            return Err(ModuleError::malformed(end, "function and code section have inconsistent lengths"));
        }
        if self.context.datas.is_some_and(|count| count as usize != self.parts.datas.len()) {
            return Err(ModuleError::malformed(end, "data count and data section have inconsistent lengths"));
        }
        self.parts.types = self.context.types;
        Ok(Module(Arc::new(self.parts)))
    }
}

fn each<'a, T: wasmparser::FromReader<'a>>(
    section: wasmparser::SectionLimited<'a, T>,
    mut f: impl FnMut(usize, T) -> Result<(), ModuleError>,
) -> Result<(), ModuleError> {
    for item in section.into_iter_with_offsets() {
        let (offset, item) = item?;
        f(offset, item)?;
    }
    Ok(())
}

fn address(is64: bool) -> ValType {
    if is64 { ValType::I64 } else { ValType::I32 }
}

fn super_index(ty: &wasmparser::SubType) -> Result<Option<u32>, Refusal> {
    let Some(parent) = ty.supertype_idx else { return Ok(None) };
    parent.as_module_index().map(Some).ok_or_else(|| "unknown type".into())
}

fn check_limits(limits: Limits, range: u64, what: &str) -> Result<(), Refusal> {
    if limits.min > range || limits.max.is_some_and(|max| max > range) {
        return Err(format!("{what} must be at most {range}").into());
    }
    if limits.max.is_some_and(|max| max < limits.min) {
        return Err("size minimum must not be greater than maximum".into());
    }
    Ok(())
}
