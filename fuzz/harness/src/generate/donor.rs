//! A module as a donor of functions: what its bodies use, in neutral terms.
//!
//! Everything is read once; what the typed generator's engines do not all have (typed references, exceptions, shared
//! memories …) is kept as a gap, and a function that uses a gap is no donor
//! ([spec](https://webassembly.github.io/spec/core/syntax/modules.html)).
//!
//! Invariant: a function that [`DonorModule::gives`] is valid by itself under [`features`], and everything that it uses has
//! a neutral type.
//!
//! Does not know: where modules come from, and where functions go.

use std::collections::BTreeSet;
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode};
use wasmparser::{
    BinaryReader, ConstExpr, DataKind, ElementItems, ElementKind, ExternalKind, FuncValidatorAllocations, FunctionBody,
    Operator, Parser, Payload, TypeRef, ValidPayload, Validator, WasmFeatures,
};
use wattest_differential::{FuncSignature, GlobalShape, MemoryShape, TableShape, Value, ValueType};

/// Most bytes of a body that is given.
const BODY_BYTES_MAX: usize = 4096;

/// Most locals of one.
const LOCALS_MAX: u32 = 200;

/// Most parameters or results of one.
const WIDTH_MAX: usize = 32;

/// What all engines of the typed generator's modules have.
pub(crate) fn features() -> WasmFeatures {
    WasmFeatures::WASM2
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::MEMORY64
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::WIDE_ARITHMETIC
}

/// Indices in a body, by space.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uses {
    pub types: BTreeSet<u32>,
    /// Called, or referred to.
    pub functions: BTreeSet<u32>,
    pub tables: BTreeSet<u32>,
    pub memories: BTreeSet<u32>,
    pub globals: BTreeSet<u32>,
    pub elements: BTreeSet<u32>,
    pub data: BTreeSet<u32>,
    /// Whether it calls what a table or a reference says.
    pub indirect: bool,
}

impl Reencode for Uses {
    type Error = Infallible;

    fn type_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        self.types.insert(index);
        Ok(index)
    }

    fn function_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        self.functions.insert(index);
        Ok(index)
    }

    fn table_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        self.tables.insert(index);
        Ok(index)
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        self.memories.insert(index);
        Ok(index)
    }

    fn global_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        self.globals.insert(index);
        Ok(index)
    }

    fn element_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        self.elements.insert(index);
        Ok(index)
    }

    fn data_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        self.data.insert(index);
        Ok(index)
    }
}

/// Where a segment goes in the donor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Passive,
    /// Gone as soon as there is an instance.
    Declared,
    /// At the offset, where that is a constant, of a table or memory.
    Active(u32, Option<u64>),
}

/// An element segment: functions, or null for what is none.
#[derive(Clone, Debug)]
pub(crate) struct DonorElement {
    pub target: Target,
    /// `None` for a type that no table here has.
    pub ty: Option<ValueType>,
    pub items: Vec<Option<u32>>,
}

/// A data segment.
#[derive(Clone, Debug)]
pub(crate) struct DonorData {
    pub target: Target,
    pub bytes: Vec<u8>,
}

/// A function with a body.
#[derive(Clone, Debug)]
pub(crate) struct DonorBody {
    /// As in the code section.
    pub bytes: Vec<u8>,
    pub uses: Uses,
    /// What somebody calls it with.
    pub vectors: Vec<Vec<Value>>,
    /// Whether it can be taken.
    given: bool,
    /// Whether it, or what it calls, calls what a table or a reference says.
    indirect_below: bool,
}

/// A module; `None` stands for what has no neutral type.
#[derive(Clone, Debug, Default)]
pub(crate) struct DonorModule {
    /// Where it is from.
    pub place: String,
    pub types: Vec<Option<FuncSignature>>,
    /// Type of each function.
    functions: Vec<u32>,
    pub imported_functions: u32,
    pub tables: Vec<Option<TableShape>>,
    pub memories: Vec<Option<MemoryShape>>,
    pub globals: Vec<Option<GlobalShape>>,
    pub elements: Vec<DonorElement>,
    pub data: Vec<DonorData>,
    bodies: Vec<DonorBody>,
    exports: Vec<(String, u32)>,
}

impl DonorModule {
    /// Reads a binary; `None` where it is no module under [`features`], bodies apart.
    pub fn read(place: String, wasm: &[u8]) -> Option<DonorModule> {
        let mut module = DonorModule { place, ..DonorModule::default() };
        let mut validator = Validator::new_with_features(features());
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.ok()?;
            if let ValidPayload::Func(function, body) = validator.payload(&payload).ok()? {
                let mut validator = function.into_validator(FuncValidatorAllocations::default());
                module.body(&body, &wasm[body.range()], validator.validate(&body).is_ok())?;
            } else {
                module.section(payload)?;
            }
        }
        module.judge();
        Some(module)
    }

    fn section(&mut self, payload: Payload<'_>) -> Option<()> {
        match payload {
            Payload::TypeSection(reader) => {
                for group in reader {
                    self.types.extend(group.ok()?.types().map(signature));
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    self.import(import.ok()?.ty)?;
                }
            }
            Payload::FunctionSection(reader) => {
                self.functions.extend(reader.into_iter().collect::<Result<Vec<_>, _>>().ok()?);
            }
            Payload::TableSection(reader) => {
                for table in reader {
                    self.tables.push(table_shape(&table.ok()?.ty));
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    self.memories.push(memory_shape(&memory.ok()?));
                }
            }
            Payload::GlobalSection(reader) => {
                for global in reader {
                    self.globals.push(global_shape(&global.ok()?.ty));
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export.ok()?;
                    if export.kind == ExternalKind::Func {
                        self.exports.push((export.name.to_owned(), export.index));
                    }
                }
            }
            Payload::ElementSection(reader) => {
                for element in reader {
                    self.elements.push(element_of(&element.ok()?)?);
                }
            }
            Payload::DataSection(reader) => {
                for data in reader {
                    let data = data.ok()?;
                    let target = match data.kind {
                        DataKind::Passive => Target::Passive,
                        DataKind::Active { memory_index, offset_expr } => {
                            Target::Active(memory_index, constant(&offset_expr))
                        }
                    };
                    self.data.push(DonorData { target, bytes: data.data.to_vec() });
                }
            }
            _ => {}
        }
        Some(())
    }

    fn import(&mut self, ty: TypeRef) -> Option<()> {
        match ty {
            TypeRef::Func(ty) => {
                self.functions.push(ty);
                self.imported_functions += 1;
            }
            TypeRef::Table(ty) => self.tables.push(table_shape(&ty)),
            TypeRef::Memory(ty) => self.memories.push(memory_shape(&ty)),
            TypeRef::Global(ty) => self.globals.push(global_shape(&ty)),
            TypeRef::Tag(_) | TypeRef::FuncExact(_) => return None,
        }
        Some(())
    }

    fn body(&mut self, body: &FunctionBody<'_>, bytes: &[u8], valid: bool) -> Option<()> {
        let mut uses = Uses::default();
        let mut given = valid && bytes.len() <= BODY_BYTES_MAX;
        if given {
            let locals = body.get_locals_reader().ok()?.into_iter();
            let count = locals.map(|group| group.map_or(0, |(count, _)| u64::from(count))).sum::<u64>();
            given = count <= LOCALS_MAX.into();
            for operator in body.get_operators_reader().ok()? {
                let operator = operator.ok()?;
                uses.indirect |=
                    matches!(operator, Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. });
                given &= uses.instruction(operator).is_ok();
            }
        }
        let bytes = if given { bytes.to_vec() } else { Vec::new() };
        self.bodies.push(DonorBody { bytes, uses, vectors: Vec::new(), given, indirect_below: false });
        Some(())
    }

    /// Decides, with all of the module known, which bodies can be taken, and what is below them.
    fn judge(&mut self) {
        for position in 0..self.bodies.len() {
            let uses = &self.bodies[position].uses;
            let known = uses.types.iter().all(|ty| self.types.get(*ty as usize).is_some_and(Option::is_some))
                && uses.functions.iter().all(|index| self.signature(*index).is_some())
                && uses.tables.iter().all(|index| self.tables[*index as usize].is_some())
                && uses.memories.iter().all(|index| self.memories[*index as usize].is_some())
                && uses.globals.iter().all(|index| self.globals[*index as usize].is_some())
                && uses.elements.iter().all(|index| self.elements[*index as usize].ty.is_some());
            let own = self.signature(self.imported_functions + position as u32);
            let narrow = own.is_some_and(|own| own.params.len() <= WIDTH_MAX && own.results.len() <= WIDTH_MAX);
            let body = &mut self.bodies[position];
            body.given &= known && narrow;
            // Of a body that nobody read, anything is possible.
            body.indirect_below = body.uses.indirect || !body.given;
        }
        loop {
            let below = |body: &DonorBody| body.uses.functions.iter().any(|index| self.indirect_below(*index));
            let found = self.bodies.iter().position(|body| !body.indirect_below && below(body));
            let Some(found) = found else { return };
            self.bodies[found].indirect_below = true;
        }
    }

    /// The function with a body of this index that can be taken, if it is one.
    pub fn gives(&self, index: u32) -> Option<&DonorBody> {
        let position = index.checked_sub(self.imported_functions)?;
        self.bodies.get(position as usize).filter(|body| body.given)
    }

    /// All of them.
    pub fn given(&self) -> impl Iterator<Item = u32> + '_ {
        let indices = self.imported_functions..self.functions.len() as u32;
        indices.filter(|index| self.gives(*index).is_some())
    }

    /// The type of a function, where it is a neutral one.
    pub fn signature(&self, index: u32) -> Option<&FuncSignature> {
        let ty = *self.functions.get(index as usize)?;
        self.types.get(ty as usize)?.as_ref()
    }

    /// Whether a function, or what it calls, calls what a table or a reference says. The host's do not.
    pub fn indirect_below(&self, index: u32) -> bool {
        let position = index.checked_sub(self.imported_functions);
        position.is_some_and(|position| self.bodies.get(position as usize).is_none_or(|body| body.indirect_below))
    }

    /// Notes that somebody calls an export with these arguments.
    pub fn called(&mut self, export: &str, args: &[Value]) {
        /// Enough of them.
        const VECTORS_MAX: usize = 16;
        let Some((_, index)) = self.exports.iter().find(|(name, _)| name == export) else { return };
        let fits = self
            .signature(*index)
            .is_some_and(|signature| signature.params.iter().copied().eq(args.iter().map(Value::ty)));
        let Some(position) = index.checked_sub(self.imported_functions).filter(|_| fits) else { return };
        let vectors = &mut self.bodies[position as usize].vectors;
        if vectors.len() < VECTORS_MAX && !vectors.iter().any(|known| known == args) {
            vectors.push(args.to_vec());
        }
    }
}

impl DonorBody {
    /// Its operators and locals.
    pub fn reader(&self) -> FunctionBody<'_> {
        FunctionBody::new(BinaryReader::new(&self.bytes, 0))
    }
}

fn element_of(element: &wasmparser::Element<'_>) -> Option<DonorElement> {
    let target = match &element.kind {
        ElementKind::Passive => Target::Passive,
        ElementKind::Declared => Target::Declared,
        ElementKind::Active { table_index, offset_expr } => {
            Target::Active(table_index.unwrap_or(0), constant(offset_expr))
        }
    };
    let (ty, items) = match &element.items {
        ElementItems::Functions(functions) => {
            let items = functions.clone().into_iter().map(|index| index.map(Some));
            (Some(ValueType::FuncRef), items.collect::<Result<Vec<_>, _>>().ok()?)
        }
        ElementItems::Expressions(ty, expressions) => {
            let mut items = Vec::new();
            for expression in expressions.clone() {
                let first = expression.ok()?.get_operators_reader().read().ok()?;
                items.push(if let Operator::RefFunc { function_index } = first { Some(function_index) } else { None });
            }
            (value_type(wasmparser::ValType::Ref(*ty)), items)
        }
    };
    Some(DonorElement { target, ty, items })
}

/// The value of an expression that is a constant.
fn constant(expression: &ConstExpr<'_>) -> Option<u64> {
    let mut operators = expression.get_operators_reader().into_iter();
    let value = match operators.next()?.ok()? {
        Operator::I32Const { value } => u64::from(value as u32),
        Operator::I64Const { value } => value as u64,
        _ => return None,
    };
    matches!(operators.next()?.ok()?, Operator::End).then_some(value)
}

fn signature(ty: &wasmparser::SubType) -> Option<FuncSignature> {
    let wasmparser::CompositeInnerType::Func(ty) = &ty.composite_type.inner else { return None };
    let neutral = |types: &[wasmparser::ValType]| types.iter().map(|ty| value_type(*ty)).collect::<Option<Vec<_>>>();
    Some(FuncSignature { params: neutral(ty.params())?, results: neutral(ty.results())? })
}

fn value_type(ty: wasmparser::ValType) -> Option<ValueType> {
    use wasmparser::{RefType, ValType};
    Some(match ty {
        ValType::I32 => ValueType::I32,
        ValType::I64 => ValueType::I64,
        ValType::F32 => ValueType::F32,
        ValType::F64 => ValueType::F64,
        ValType::V128 => ValueType::V128,
        ValType::Ref(RefType::FUNCREF) => ValueType::FuncRef,
        ValType::Ref(RefType::EXTERNREF) => ValueType::ExternRef,
        ValType::Ref(_) => return None,
    })
}

fn global_shape(ty: &wasmparser::GlobalType) -> Option<GlobalShape> {
    Some(GlobalShape { ty: value_type(ty.content_type)?, mutable: ty.mutable })
}

fn table_shape(ty: &wasmparser::TableType) -> Option<TableShape> {
    let element = value_type(wasmparser::ValType::Ref(ty.element_type))?;
    Some(TableShape { element, table64: ty.table64, minimum: ty.initial, maximum: ty.maximum })
}

fn memory_shape(ty: &wasmparser::MemoryType) -> Option<MemoryShape> {
    let page_bytes_log2 = ty.page_size_log2.unwrap_or(16) as u8;
    let shape = MemoryShape { memory64: ty.memory64, minimum: ty.initial, maximum: ty.maximum, page_bytes_log2 };
    (!ty.shared).then_some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> DonorModule {
        DonorModule::read("here".to_owned(), &wat::parse_str(text).expect("valid text")).expect("a module")
    }

    #[test]
    fn what_is_used_is_known() {
        let module = read(
            "(module (import \"a\" \"f\" (func (param i32))) (memory 1) (memory 1) (global i32 (i32.const 1))
                (table 2 funcref) (elem (i32.const 1) 1)
                (func (export \"g\") (param i64) (call 0 (i32.load 1 (global.get 0))))
                (func (call_indirect (i32.const 1)))
                (func (call 2)))",
        );
        assert_eq!(module.given().collect::<Vec<_>>(), [1, 2, 3]);
        let uses = &module.gives(1).expect("a donor").uses;
        assert_eq!((uses.functions.len(), uses.memories.first(), uses.globals.len()), (1, Some(&1), 1));
        assert_eq!([0, 1, 2, 3].map(|index| module.indirect_below(index)), [false, false, true, true]);
        assert_eq!(
            (module.elements[0].target, module.elements[0].items.clone()),
            (Target::Active(0, Some(1)), vec![Some(1)])
        );
    }

    #[test]
    fn gaps_give_nothing() {
        let module = read(
            "(module (table 1 funcref) (func (param i32)) (func (drop (ref.func 0))) (elem declare func 0)
                (func (local i32) (local.set 0 (i32.atomic.load (i32.const 0)))) (memory 1))",
        );
        assert_eq!(module.given().collect::<Vec<_>>(), [0, 1], "no threads");
        let shared = wat::parse_str("(module (memory 1 1 shared))").expect("valid text");
        assert!(DonorModule::read(String::new(), &shared).is_none());
    }

    #[test]
    fn calls_are_noted_where_they_fit() {
        let mut module = read("(module (func (export \"f\") (param i32)))");
        module.called("f", &[Value::I32(1)]);
        module.called("f", &[Value::I32(1)]);
        module.called("f", &[Value::I64(1)]);
        module.called("g", &[]);
        assert_eq!(module.gives(0).expect("a donor").vectors, [[Value::I32(1)]]);
    }
}
