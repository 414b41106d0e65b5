//! The decoder: binary in, validated description out.
//!
//! Walks the sections once ([spec](https://webassembly.github.io/spec/core/binary/modules.html)), validating each before
//! it is converted; function bodies come last. Malformed and invalid binaries, components and modules beyond [`Limits`]
//! are typed errors.
//!
//! Invariant: memory use is linear in the size of the binary; there is no recursion.
//!
//! Does not know: what the description is used for.

use crate::bodies::{self, Pending};
use crate::canonical::Canonicalizer;
use crate::convert::Converter;
use crate::{
    CompositeType, ConstExpr, ConstOp, DataKind, DataSegment, DecodeError, ElementItems, ElementKind, ElementSegment,
    EntityType, Export, Features, FuncIndex, FunctionBody, GlobalIndex, GlobalInit, Import, ImportKind, MemoryIndex,
    ModuleDesc, SubType, TableIndex, TableInit, TagIndex, TagType, TypeIndex,
};
use wasmparser::{Encoding, ExternalKind, Imports, Parser, Payload, TypeRef, ValidPayload, Validator};

/// What an engine accepts at most, beyond the limits that all engines agree on
/// ([implementation limits](https://webassembly.github.io/spec/js-api/#limits)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a module.
    pub module_bytes_max: u64,
    /// Functions, imports included.
    pub functions_max: u64,
    /// Bytes of one function body.
    pub body_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { module_bytes_max: 1 << 30, functions_max: 1_000_000, body_bytes_max: 7_654_321 }
    }
}

/// Decodes and validates `wasm`.
///
/// # Errors
///
/// [`DecodeError`] with the offset, and the function where there is one.
///
/// ```
/// use wattest_module::{Features, Limits, decode};
/// let wasm = wat::parse_str("(module (func (export \"f\")))").unwrap();
/// let desc = decode(&wasm, &Features::default(), &Limits::default()).unwrap();
/// assert_eq!(desc.exports[0].name, "f");
/// ```
pub fn decode(wasm: &[u8], features: &Features, limits: &Limits) -> Result<ModuleDesc, DecodeError> {
    Ok(decode_all(wasm, features, limits)?.0)
}

/// Checks what decoding forgives: the contents of custom sections that the engine makes use of.
///
/// # Errors
///
/// As [`decode`], or a custom section is malformed or refers to something that is not there.
pub fn check_custom_sections(wasm: &[u8], features: &Features, limits: &Limits) -> Result<(), DecodeError> {
    let (_, forgiven) = decode_all(wasm, features, limits)?;
    forgiven.map_or(Ok(()), Err)
}

/// The description, and the first error in a custom section.
fn decode_all(
    wasm: &[u8],
    features: &Features,
    limits: &Limits,
) -> Result<(ModuleDesc, Option<DecodeError>), DecodeError> {
    check_limit("module size", wasm.len() as u64, limits.module_bytes_max, 0)?;
    let mut decoder = Decoder {
        desc: ModuleDesc::default(),
        canonicalizer: Canonicalizer::default(),
        pending: Vec::new(),
        hints: None,
        import_bytes: 0,
        wasm,
        limits,
    };
    let mut validator = Validator::new_with_features(features.to_parser());
    let mut parser = Parser::new(0);
    parser.set_features(features.to_parser());
    for payload in parser.parse_all(wasm) {
        let payload = payload?;
        if let Payload::Version { encoding: Encoding::Component, .. } = payload {
            return Err(DecodeError::Component);
        }
        if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
            decoder.body(function, body)?;
        }
        decoder.section(payload)?;
    }
    decoder.finish()
}

/// Bytes that the names of all imports may have: in the compact form, many imports share one module name.
const IMPORT_BYTES_MAX: u64 = 64 << 20;

fn check_limit(what: &'static str, value: u64, limit: u64, offset: usize) -> Result<(), DecodeError> {
    if value > limit { Err(DecodeError::Limit { what, limit, offset }) } else { Ok(()) }
}

struct Decoder<'a> {
    desc: ModuleDesc,
    canonicalizer: Canonicalizer,
    pending: Vec<Pending<'a>>,
    /// The section of branch hints, and where it starts.
    hints: Option<(&'a [u8], usize)>,
    /// Bytes of the names of all imports.
    import_bytes: u64,
    wasm: &'a [u8],
    limits: &'a Limits,
}

impl<'a> Decoder<'a> {
    fn section(&mut self, payload: Payload<'a>) -> Result<(), DecodeError> {
        match payload {
            Payload::TypeSection(section) => self.types(section),
            Payload::ImportSection(section) => self.imports(section),
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.desc.functions.push(TypeIndex(ty?));
                }
                check_limit("number of functions", self.desc.functions.len() as u64, self.limits.functions_max, 0)
            }
            Payload::TableSection(section) => self.tables(section),
            Payload::MemorySection(section) => {
                for ty in section {
                    let ty = self.converter(0).memory_type(&ty?);
                    self.desc.memories.push(ty);
                }
                Ok(())
            }
            Payload::TagSection(section) => {
                for ty in section {
                    self.desc.tags.push(TagType { ty: TypeIndex(ty?.func_type_idx) });
                }
                Ok(())
            }
            Payload::GlobalSection(section) => self.globals(section),
            Payload::ExportSection(section) => self.exports(section),
            Payload::StartSection { func, .. } => {
                self.desc.start = Some(FuncIndex(func));
                Ok(())
            }
            Payload::ElementSection(section) => self.elements(section),
            Payload::DataSection(section) => self.data(section),
            Payload::CustomSection(section) if section.name() == "name" => {
                let start = section.data_offset() as u32;
                self.desc.names = Some(start..start + section.data().len() as u32);
                self.desc.name = crate::Names::new(section.data()).module().map(str::to_owned);
                Ok(())
            }
            // After the code, or a second time, the section has no meaning.
            Payload::CustomSection(section)
                if section.name() == crate::hints::NAME && self.pending.is_empty() && self.hints.is_none() =>
            {
                self.hints = Some((section.data(), section.data_offset()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn converter(&self, offset: usize) -> Converter<'_> {
        Converter::new(&self.desc.types, offset)
    }

    fn types(&mut self, section: wasmparser::TypeSectionReader<'a>) -> Result<(), DecodeError> {
        for entry in section.into_iter_with_offsets() {
            let (offset, group) = entry?;
            let start = self.desc.types.len() as u32;
            let is_func =
                |ty: &wasmparser::SubType| matches!(ty.composite_type.inner, wasmparser::CompositeInnerType::Func(_));
            let group_is_func = group.types().map(is_func).collect::<Vec<_>>();
            let converter = Converter { types: &self.desc.types, group: start, group_is_func: &group_is_func, offset };
            let mut types = group.types().map(|ty| converter.sub_type(ty)).collect::<Result<Vec<_>, _>>()?;
            place_descriptors(&self.desc.types, &mut types);
            self.canonicalizer.add_group(start, &types);
            self.desc.rec_groups.push(start);
            self.desc.types.extend(types);
        }
        Ok(())
    }

    fn imports(&mut self, section: wasmparser::ImportSectionReader<'a>) -> Result<(), DecodeError> {
        for entry in section.into_iter_with_offsets() {
            let (offset, imports) = entry?;
            match imports {
                Imports::Single(_, import) => self.import(offset, import.module, import.name, &import.ty)?,
                Imports::Compact1 { module, items } => {
                    for item in items {
                        let item = item?;
                        self.import(offset, module, item.name, &item.ty)?;
                    }
                }
                Imports::Compact2 { module, ty, names } => {
                    for name in names {
                        self.import(offset, module, name?, &ty)?;
                    }
                }
            }
        }
        self.desc.imported_functions = self.desc.functions.len() as u32;
        self.desc.imported_tables = self.desc.tables.len() as u32;
        self.desc.imported_memories = self.desc.memories.len() as u32;
        self.desc.imported_globals = self.desc.globals.len() as u32;
        self.desc.imported_tags = self.desc.tags.len() as u32;
        Ok(())
    }

    fn import(&mut self, offset: usize, module: &str, name: &str, ty: &TypeRef) -> Result<(), DecodeError> {
        self.import_bytes += (module.len() + name.len()) as u64;
        check_limit("size of the names of imports", self.import_bytes, IMPORT_BYTES_MAX, offset)?;
        let desc = &mut self.desc;
        let ty = Converter::new(&desc.types, offset).entity_type(ty)?;
        let exact = matches!(ty, EntityType::FuncExact(_));
        let kind = match ty {
            EntityType::Func(ty) | EntityType::FuncExact(ty) => {
                desc.functions.push(ty);
                ImportKind::Func(FuncIndex(desc.functions.len() as u32 - 1))
            }
            EntityType::Table(ty) => {
                desc.tables.push(ty);
                ImportKind::Table(TableIndex(desc.tables.len() as u32 - 1))
            }
            EntityType::Memory(ty) => {
                desc.memories.push(ty);
                ImportKind::Memory(MemoryIndex(desc.memories.len() as u32 - 1))
            }
            EntityType::Global(ty) => {
                desc.globals.push(ty);
                ImportKind::Global(GlobalIndex(desc.globals.len() as u32 - 1))
            }
            EntityType::Tag(ty) => {
                desc.tags.push(ty);
                ImportKind::Tag(TagIndex(desc.tags.len() as u32 - 1))
            }
        };
        desc.imports.push(Import { module: module.to_owned(), name: name.to_owned(), kind, exact });
        Ok(())
    }

    fn tables(&mut self, section: wasmparser::TableSectionReader<'a>) -> Result<(), DecodeError> {
        for entry in section.into_iter_with_offsets() {
            let (offset, table) = entry?;
            let converter = self.converter(offset);
            let ty = converter.table_type(&table.ty)?;
            let init = match table.init {
                wasmparser::TableInit::RefNull => TableInit::Null,
                wasmparser::TableInit::Expr(expr) => TableInit::Expr(converter.const_expr(&expr)?),
            };
            self.desc.tables.push(ty);
            self.desc.table_inits.push(init);
        }
        Ok(())
    }

    fn globals(&mut self, section: wasmparser::GlobalSectionReader<'a>) -> Result<(), DecodeError> {
        for entry in section.into_iter_with_offsets() {
            let (offset, global) = entry?;
            let converter = self.converter(offset);
            let ty = converter.global_type(&global.ty)?;
            let init = GlobalInit(converter.const_expr(&global.init_expr)?);
            self.desc.globals.push(ty);
            self.desc.global_inits.push(init);
        }
        Ok(())
    }

    fn exports(&mut self, section: wasmparser::ExportSectionReader<'a>) -> Result<(), DecodeError> {
        for export in section {
            let export = export?;
            let kind = match export.kind {
                ExternalKind::Func | ExternalKind::FuncExact => ImportKind::Func(FuncIndex(export.index)),
                ExternalKind::Table => ImportKind::Table(TableIndex(export.index)),
                ExternalKind::Memory => ImportKind::Memory(MemoryIndex(export.index)),
                ExternalKind::Global => ImportKind::Global(GlobalIndex(export.index)),
                ExternalKind::Tag => ImportKind::Tag(TagIndex(export.index)),
            };
            self.desc.exports.push(Export { name: export.name.to_owned(), kind });
        }
        Ok(())
    }

    fn elements(&mut self, section: wasmparser::ElementSectionReader<'a>) -> Result<(), DecodeError> {
        for entry in section.into_iter_with_offsets() {
            let (offset, element) = entry?;
            let converter = self.converter(offset);
            let (ty, items) = match element.items {
                wasmparser::ElementItems::Functions(functions) => {
                    let functions = functions.into_iter().map(|func| Ok(FuncIndex(func?)));
                    (crate::RefType::FUNC, ElementItems::Functions(functions.collect::<Result<_, DecodeError>>()?))
                }
                wasmparser::ElementItems::Expressions(ty, exprs) => {
                    let exprs = exprs.into_iter().map(|expr| converter.const_expr(&expr?));
                    let exprs = exprs.collect::<Result<Vec<_>, DecodeError>>()?;
                    (converter.ref_type(ty)?, function_items(exprs))
                }
            };
            let kind = match element.kind {
                wasmparser::ElementKind::Passive => ElementKind::Passive,
                wasmparser::ElementKind::Declared => ElementKind::Declared,
                wasmparser::ElementKind::Active { table_index, offset_expr } => ElementKind::Active {
                    table: TableIndex(table_index.unwrap_or(0)),
                    offset: converter.const_expr(&offset_expr)?,
                },
            };
            self.desc.elements.push(ElementSegment { ty, kind, items });
        }
        Ok(())
    }

    fn data(&mut self, section: wasmparser::DataSectionReader<'a>) -> Result<(), DecodeError> {
        for entry in section.into_iter_with_offsets() {
            let (offset, data) = entry?;
            let kind = match data.kind {
                wasmparser::DataKind::Passive => DataKind::Passive,
                wasmparser::DataKind::Active { memory_index, offset_expr } => DataKind::Active {
                    memory: MemoryIndex(memory_index),
                    offset: self.converter(offset).const_expr(&offset_expr)?,
                },
            };
            let end = data.range.end as u32;
            self.desc.data.push(DataSegment { kind, bytes: end - data.data.len() as u32..end });
        }
        Ok(())
    }

    fn body(
        &mut self,
        function: wasmparser::FuncToValidate<wasmparser::ValidatorResources>,
        body: wasmparser::FunctionBody<'a>,
    ) -> Result<(), DecodeError> {
        let range = body.range();
        check_limit("function body size", range.len() as u64, self.limits.body_bytes_max, range.start)?;
        self.desc.bodies.push(FunctionBody { bytes: range.start as u32..range.end as u32 });
        self.pending.push((function, body));
        Ok(())
    }

    fn finish(mut self) -> Result<(ModuleDesc, Option<DecodeError>), DecodeError> {
        debug_assert!(self.wasm.len() as u64 <= self.limits.module_bytes_max);
        self.desc.facts = bodies::validate_all(std::mem::take(&mut self.pending), &self.desc)?;
        self.desc.canonical = self.canonicalizer.finish();
        number_escaping(&mut self.desc);
        let mut forgiven = None;
        if let Some((section, start)) = self.hints {
            match crate::hints::read(section, start, self.wasm, &self.desc) {
                Ok(hints) => self.desc.branch_hints = hints,
                Err(error) => forgiven = Some(error),
            }
        }
        Ok((self.desc, forgiven))
    }
}

/// Finds where objects of the types of `group`, which follow `types`, hold their descriptors. Validation has seen that
/// supertypes come first, and that a type below one with a descriptor has one.
fn place_descriptors(types: &[SubType], group: &mut [SubType]) {
    for position in 0..group.len() {
        let (before, rest) = group.split_at_mut(position);
        let Some(own) = &mut rest[0].descriptor else { continue };
        let Some(above) = rest[0].supertype.map(TypeIndex::index) else { continue };
        let Some(above) = types.get(above).or_else(|| before.get(above - types.len())) else { continue };
        own.before = match (&above.descriptor, &above.composite) {
            (Some(inherited), _) => inherited.before,
            (None, CompositeType::Struct(ty)) => ty.fields.len() as u32,
            (None, _) => 0,
        };
    }
}

/// The short form of a segment whose expressions are all `ref.func`.
fn function_items(exprs: Vec<ConstExpr>) -> ElementItems {
    let function = |expr: &ConstExpr| match expr.ops.as_slice() {
        [ConstOp::RefFunc(func)] => Some(*func),
        _ => None,
    };
    match exprs.iter().map(function).collect::<Option<Vec<_>>>() {
        Some(functions) => ElementItems::Functions(functions),
        None => ElementItems::Expressions(exprs),
    }
}

/// Numbers the functions that can become values. Validation makes every `ref.func` in a body be declared by an export,
/// a segment, or an initializer, so bodies need no look.
fn number_escaping(desc: &mut ModuleDesc) {
    let mut escapes = vec![0; desc.functions.len()];
    let mut mark = |func: FuncIndex| escapes[func.index()] = 1;
    let mark_expr = |expr: &ConstExpr, mark: &mut dyn FnMut(FuncIndex)| {
        for op in &expr.ops {
            if let ConstOp::RefFunc(func) = op {
                mark(*func);
            }
        }
    };
    for export in &desc.exports {
        if let ImportKind::Func(func) = export.kind {
            mark(func);
        }
    }
    desc.start.into_iter().for_each(&mut mark);
    for element in &desc.elements {
        match &element.items {
            ElementItems::Functions(functions) => functions.iter().copied().for_each(&mut mark),
            ElementItems::Expressions(exprs) => exprs.iter().for_each(|expr| mark_expr(expr, &mut mark)),
        }
    }
    desc.global_inits.iter().for_each(|init| mark_expr(&init.0, &mut mark));
    for init in &desc.table_inits {
        if let TableInit::Expr(expr) = init {
            mark_expr(expr, &mut mark);
        }
    }
    let mut next = 0;
    for slot in escapes.iter_mut().skip(desc.imported_functions as usize).filter(|slot| **slot != 0) {
        next += 1;
        *slot = next;
    }
    escapes.iter_mut().take(desc.imported_functions as usize).for_each(|slot| *slot = 0);
    desc.escapes = escapes;
    desc.escaping_functions = next;
}

impl ModuleDesc {
    /// Whether type `ty` is a function type.
    pub fn is_func_type(&self, ty: TypeIndex) -> bool {
        matches!(self.types[ty.index()].composite, CompositeType::Func(_))
    }
}
