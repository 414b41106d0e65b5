//! The skeleton of a generated module: types, imports, memories, tables, globals, segments, signatures.
//!
//! Invariant: it is fixed before the first body, except for block types, which bodies add.
//!
//! Does not know: instructions beyond constant expressions.

use super::Generated;
use super::body::Body;
use super::splice::{Donation, Placed};
use crate::corpus;
use crate::source::Source;
use std::borrow::Cow;
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, ExportKind, ExportSection,
    FunctionSection, GlobalSection, HeapType, ImportSection, Instruction, MemorySection, Module, RefType, StartSection,
    TableSection, TypeSection, ValType,
};
use wattest_differential::{FuncSignature, GlobalShape, MemoryShape, TableShape, ValueType};

/// Which features a module uses.
pub struct Swarm {
    pub simd: bool,
    pub relaxed: bool,
    pub wide: bool,
    pub tail_calls: bool,
}

/// Where a segment goes.
pub enum Placement {
    Passive,
    Declared,
    Active { index: u32, offset: u64 },
}

/// An element segment: functions or nulls.
pub struct ElementPlan {
    pub placement: Placement,
    pub ty: ValueType,
    pub items: Vec<Option<u32>>,
}

/// A data segment.
pub struct DataPlan {
    pub placement: Placement,
    pub bytes: Vec<u8>,
}

/// The skeleton.
pub struct World {
    pub swarm: Swarm,
    pub exact_nans: bool,
    pub types: Vec<FuncSignature>,
    pub functions: Vec<FuncSignature>,
    pub imported_functions: usize,
    /// Functions from here on make no indirect calls, and only they (and imports) are ever referenced: no recursion.
    pub leaf_start: usize,
    pub memories: Vec<MemoryShape>,
    imported_memories: usize,
    pub tables: Vec<TableShape>,
    imported_tables: usize,
    pub globals: Vec<GlobalShape>,
    imported_globals: usize,
    pub elements: Vec<ElementPlan>,
    pub data: Vec<DataPlan>,
    start: Option<u32>,
    /// Functions of another module.
    pub splice: Option<Placed>,
}

/// A value type, vectors only where `simd`.
pub fn value_type(source: &mut Source<'_>, simd: bool) -> ValueType {
    const TYPES: [ValueType; 20] = [
        ValueType::I32,
        ValueType::I32,
        ValueType::I32,
        ValueType::I32,
        ValueType::I64,
        ValueType::I64,
        ValueType::I64,
        ValueType::I64,
        ValueType::F32,
        ValueType::F32,
        ValueType::F32,
        ValueType::F64,
        ValueType::F64,
        ValueType::F64,
        ValueType::V128,
        ValueType::V128,
        ValueType::V128,
        ValueType::V128,
        ValueType::FuncRef,
        ValueType::ExternRef,
    ];
    match source.pick(&TYPES) {
        ValueType::V128 if !simd => ValueType::I64,
        ty => ty,
    }
}

/// Up to `most` types.
pub fn value_types(source: &mut Source<'_>, most: usize, simd: bool) -> Vec<ValueType> {
    (0..source.between(0, most)).map(|_| value_type(source, simd)).collect()
}

impl World {
    pub fn choose(source: &mut Source<'_>, exact_nans: bool, donation: Option<Donation>) -> World {
        let simd = source.percent(75);
        let swarm = Swarm {
            simd,
            relaxed: simd && source.percent(60),
            wide: source.percent(70),
            tail_calls: source.percent(70),
        };
        let mut world = World {
            swarm,
            exact_nans,
            types: Vec::new(),
            functions: Vec::new(),
            imported_functions: 0,
            leaf_start: 0,
            memories: Vec::new(),
            imported_memories: 0,
            tables: Vec::new(),
            imported_tables: 0,
            globals: Vec::new(),
            imported_globals: 0,
            elements: Vec::new(),
            data: Vec::new(),
            start: None,
            splice: None,
        };
        world.choose_functions(source, donation);
        world.choose_memories(source);
        world.choose_tables(source);
        world.choose_globals(source);
        world.choose_segments(source);
        if let Some(mut splice) = world.splice.take() {
            splice.settle(&mut world, source);
            world.splice = Some(splice);
        }
        world
    }

    /// The index of a function type, added when it is new.
    pub fn intern(&mut self, params: &[ValueType], results: &[ValueType]) -> u32 {
        match self.types.iter().position(|ty| ty.params == params && ty.results == results) {
            Some(index) => index as u32,
            None => {
                self.types.push(FuncSignature { params: params.to_vec(), results: results.to_vec() });
                self.types.len() as u32 - 1
            }
        }
    }

    /// Functions that references may mean.
    pub fn referable(&self) -> Vec<u32> {
        let own = (0..self.imported_functions).chain(self.leaf_start..self.functions.len()).map(|index| index as u32);
        own.chain(self.splice.iter().flat_map(Placed::referable)).collect()
    }

    /// Imports, functions that call others, those of the donation, leaves, and perhaps one to start with, in this order.
    fn choose_functions(&mut self, source: &mut Source<'_>, donation: Option<Donation>) {
        let simd = self.swarm.simd;
        let imported = source.between(0, 3).saturating_sub(1);
        let defined = source.between(5, 11);
        let mut drawn: Vec<FuncSignature> = Vec::new();
        for index in 0..imported + defined {
            let reuse = index > 0 && source.percent(25);
            let signature = if reuse {
                let known = source.below(drawn.len());
                drawn[known].clone()
            } else {
                let most = if source.percent(4) { 14 } else { 5 };
                FuncSignature { params: value_types(source, most, simd), results: value_types(source, 3, simd) }
            };
            drawn.push(signature);
        }
        let leaves = drawn.split_off(imported + defined * 2 / 3);
        let callers = drawn.split_off(imported);
        let (hosts, stand_ins) = donation.as_ref().map(Donation::stand_ins).unwrap_or_default();
        self.functions = drawn;
        let first_host = self.functions.len() as u32;
        self.functions.extend_from_slice(hosts);
        self.imported_functions = self.functions.len();
        self.functions.extend(callers);
        let first = self.functions.len() as u32;
        self.functions.extend(donation.iter().flat_map(Donation::signatures));
        self.leaf_start = self.functions.len();
        self.functions.extend(leaves);
        let first_leaf = self.functions.len() as u32;
        self.functions.extend_from_slice(stand_ins);
        self.splice = donation.map(|donation| donation.at(first_host, first, first_leaf));
        for signature in self.functions.clone() {
            self.intern(&signature.params, &signature.results);
        }
        if source.percent(12) {
            self.intern(&[], &[]);
            self.functions.push(FuncSignature::default());
            self.start = Some(self.functions.len() as u32 - 1);
        }
    }

    fn choose_memories(&mut self, source: &mut Source<'_>) {
        let count = source.pick(&[1, 1, 1, 1, 2, 2, 3, 0]);
        self.imported_memories = usize::from(source.percent(15)).min(count);
        for _ in 0..count {
            let custom = source.percent(15);
            let (minimum, growth) = if custom {
                (source.between(64, 4000) as u64, source.between(0, 3000) as u64)
            } else {
                (source.pick(&[1, 1, 1, 1, 1, 2, 2, 0]), source.between(0, 2) as u64)
            };
            self.memories.push(MemoryShape {
                memory64: source.percent(25),
                minimum,
                maximum: Some(minimum + growth),
                page_bytes_log2: if custom { 0 } else { 16 },
            });
        }
    }

    fn choose_tables(&mut self, source: &mut Source<'_>) {
        let count = source.pick(&[1, 1, 1, 2, 2, 3, 1, 0]);
        self.imported_tables = usize::from(source.percent(15)).min(count);
        for index in 0..count {
            let element = if index > 0 && source.percent(40) { ValueType::ExternRef } else { ValueType::FuncRef };
            let minimum = source.between(1, 9) as u64;
            let maximum = Some(minimum + source.between(0, 5) as u64);
            self.tables.push(TableShape { element, table64: source.percent(20), minimum, maximum });
        }
    }

    fn choose_globals(&mut self, source: &mut Source<'_>) {
        let count = source.between(1, 8);
        self.imported_globals = source.between(0, 5).saturating_sub(3).min(count);
        for _ in 0..count {
            let ty = value_type(source, self.swarm.simd);
            self.globals.push(GlobalShape { ty, mutable: source.percent(75) });
        }
    }

    fn choose_segments(&mut self, source: &mut Source<'_>) {
        let referable = self.referable();
        let items = |source: &mut Source<'_>, count: usize, null_percent: u32| -> Vec<Option<u32>> {
            let item = |source: &mut Source<'_>| {
                let null = referable.is_empty() || source.percent(null_percent);
                if null { None } else { Some(source.pick(&referable)) }
            };
            (0..count).map(|_| item(source)).collect()
        };
        // One module in a hundred does not instantiate, because its segments do not fit.
        let misfit = source.percent(1);
        for (index, table) in self.tables.iter().enumerate() {
            if table.element == ValueType::FuncRef {
                let offset = source.below(2) as u64;
                let offset = offset.min(table.minimum);
                let room = (table.minimum - offset) as usize;
                let items = items(source, room + usize::from(misfit), 10);
                let placement = Placement::Active { index: index as u32, offset };
                self.elements.push(ElementPlan { placement, ty: ValueType::FuncRef, items });
            }
        }
        for _ in 0..source.below(3) {
            let count = source.between(0, 5);
            let items = items(source, count, 30);
            self.elements.push(ElementPlan { placement: Placement::Passive, ty: ValueType::FuncRef, items });
        }
        let declared = referable.iter().map(|index| Some(*index)).collect();
        self.elements.push(ElementPlan { placement: Placement::Declared, ty: ValueType::FuncRef, items: declared });
        for (index, memory) in self.memories.iter().enumerate() {
            for _ in 0..source.below(3) {
                let size = memory.minimum << memory.page_bytes_log2;
                let count = source.between(0, 40).min(size as usize);
                let bytes: Vec<u8> = (0..count).map(|_| source.byte()).collect();
                let room = size - count as u64;
                let offset = source.pick(&[0, 8, 1, room, room / 2, 16, 3, 64]).min(room);
                let offset = if misfit { offset + 70000 } else { offset };
                self.data.push(DataPlan { placement: Placement::Active { index: index as u32, offset }, bytes });
            }
        }
        if !self.memories.is_empty() {
            for _ in 0..source.below(3) {
                let bytes = (0..source.between(0, 40)).map(|_| source.byte()).collect();
                self.data.push(DataPlan { placement: Placement::Passive, bytes });
            }
        }
    }

    /// Generates the bodies and encodes everything.
    pub fn finish(mut self, source: &mut Source<'_>) -> Generated {
        let mut code = CodeSection::new();
        let mut operations = 0;
        for index in self.imported_functions..self.functions.len() {
            if let Some(body) = self.splice.as_ref().and_then(|splice| splice.body(index)) {
                code.raw(body);
                continue;
            }
            let (body, count) = Body::generate(&mut self, source, index);
            code.raw(&body);
            operations += count;
        }
        let functions = (self.functions.len() - self.imported_functions) as u32;
        let mut module = Module::new();
        self.encode_head(source, &mut module);
        self.encode_exports(source, &mut module);
        if let Some(function_index) = self.start {
            module.section(&StartSection { function_index });
        }
        self.encode_elements(&mut module);
        module.section(&DataCountSection { count: self.data.len() as u32 });
        module.section(&code);
        self.encode_data(source, &mut module);
        operations += self.splice.as_ref().map_or(0, Placed::operations);
        let vectors = self.splice.as_ref().map(Placed::vectors).unwrap_or_default();
        Generated { wasm: module.finish(), functions, operations, vectors }
    }

    fn encode_head(&self, source: &mut Source<'_>, module: &mut Module) {
        let mut types = TypeSection::new();
        for ty in &self.types {
            types.ty().function(ty.params.iter().map(|ty| val_type(*ty)), ty.results.iter().map(|ty| val_type(*ty)));
        }
        module.section(&types);
        self.encode_imports(module);
        let mut functions = FunctionSection::new();
        for signature in &self.functions[self.imported_functions..] {
            functions.function(self.type_of(signature));
        }
        module.section(&functions);
        let mut tables = TableSection::new();
        for table in &self.tables[self.imported_tables..] {
            tables.table(table_type(table));
        }
        module.section(&tables);
        let mut memories = MemorySection::new();
        for memory in &self.memories[self.imported_memories..] {
            memories.memory(memory_type(memory));
        }
        module.section(&memories);
        let mut globals = GlobalSection::new();
        for global in &self.globals[self.imported_globals..] {
            globals.global(global_type(global), &self.initial(source, global.ty));
        }
        module.section(&globals);
    }

    fn encode_imports(&self, module: &mut Module) {
        let mut imports = ImportSection::new();
        for (index, signature) in self.functions[..self.imported_functions].iter().enumerate() {
            imports.import("host", &format!("f{index}"), wasm_encoder::EntityType::Function(self.type_of(signature)));
        }
        for (index, memory) in self.memories[..self.imported_memories].iter().enumerate() {
            imports.import("host", &format!("m{index}"), memory_type(memory));
        }
        for (index, table) in self.tables[..self.imported_tables].iter().enumerate() {
            imports.import("host", &format!("t{index}"), table_type(table));
        }
        for (index, global) in self.globals[..self.imported_globals].iter().enumerate() {
            imports.import("host", &format!("g{index}"), global_type(global));
        }
        module.section(&imports);
    }

    /// Most functions are exported, a part of everything else.
    fn encode_exports(&self, source: &mut Source<'_>, module: &mut Module) {
        let mut exports = ExportSection::new();
        for index in 0..self.functions.len() {
            let spliced = self.splice.as_ref().is_some_and(|splice| splice.range().contains(&index));
            if source.percent(85) || spliced {
                exports.export(&format!("f{index}"), ExportKind::Func, index as u32);
            }
        }
        for index in 0..self.globals.len() {
            if source.percent(30) {
                exports.export(&format!("g{index}"), ExportKind::Global, index as u32);
            }
        }
        for index in 0..self.memories.len() {
            if source.percent(30) {
                exports.export(&format!("m{index}"), ExportKind::Memory, index as u32);
            }
        }
        for index in 0..self.tables.len() {
            if source.percent(30) {
                exports.export(&format!("t{index}"), ExportKind::Table, index as u32);
            }
        }
        module.section(&exports);
    }

    fn encode_elements(&self, module: &mut Module) {
        let mut section = ElementSection::new();
        for element in &self.elements {
            let only_functions: Option<Vec<u32>> = element.items.iter().copied().collect();
            let expressions = |items: &[Option<u32>]| -> Vec<ConstExpr> {
                let one = |item: &Option<u32>| match item {
                    Some(index) => ConstExpr::ref_func(*index),
                    None => ConstExpr::ref_null(HeapType::FUNC),
                };
                items.iter().map(one).collect()
            };
            let items = match &only_functions {
                _ if element.ty == ValueType::ExternRef => {
                    let nulls = vec![ConstExpr::ref_null(HeapType::EXTERN); element.items.len()];
                    Elements::Expressions(RefType::EXTERNREF, nulls.into())
                }
                Some(functions) => Elements::Functions(Cow::Borrowed(functions)),
                None => Elements::Expressions(RefType::FUNCREF, Cow::Owned(expressions(&element.items))),
            };
            match element.placement {
                Placement::Passive => section.passive(items),
                Placement::Declared => section.declared(items),
                Placement::Active { index, offset } => {
                    let offset = offset_expression(offset, self.tables[index as usize].table64, false);
                    section.active(Some(index), &offset, items)
                }
            };
        }
        module.section(&section);
    }

    fn encode_data(&self, source: &mut Source<'_>, module: &mut Module) {
        let mut section = DataSection::new();
        for data in &self.data {
            match data.placement {
                Placement::Active { index, offset } => {
                    let extended = source.percent(20);
                    let offset = offset_expression(offset, self.memories[index as usize].memory64, extended);
                    section.active(index, &offset, data.bytes.iter().copied());
                }
                Placement::Passive | Placement::Declared => {
                    section.passive(data.bytes.iter().copied());
                }
            }
        }
        module.section(&section);
    }

    fn type_of(&self, signature: &FuncSignature) -> u32 {
        self.types.iter().position(|ty| ty == signature).unwrap_or(0) as u32
    }

    /// An initial value: a constant, an imported global of the type, or arithmetic on them.
    fn initial(&self, source: &mut Source<'_>, ty: ValueType) -> ConstExpr {
        let imported = self.globals[..self.imported_globals]
            .iter()
            .position(|global| global.ty == ty && !global.mutable)
            .map(|index| index as u32);
        let referable = self.referable();
        match (ty, imported) {
            (ValueType::I32, Some(index)) if source.percent(60) => {
                let base = ConstExpr::global_get(index).with_i32_const(corpus::i32_value(source) as i32);
                match source.below(3) {
                    0 => base.with_i32_add(),
                    1 => base.with_i32_sub(),
                    _ => base.with_i32_mul(),
                }
            }
            (ValueType::I64, Some(index)) if source.percent(60) => {
                let base = ConstExpr::global_get(index).with_i64_const(corpus::i64_value(source) as i64);
                match source.below(3) {
                    0 => base.with_i64_add(),
                    1 => base.with_i64_sub(),
                    _ => base.with_i64_mul(),
                }
            }
            (_, Some(index)) if source.percent(50) => ConstExpr::global_get(index),
            (ValueType::I32, _) => ConstExpr::i32_const(corpus::i32_value(source) as i32),
            (ValueType::I64, _) => ConstExpr::i64_const(corpus::i64_value(source) as i64),
            (ValueType::F32, _) => ConstExpr::f32_const(f32::from_bits(corpus::f32_value(source)).into()),
            (ValueType::F64, _) => ConstExpr::f64_const(f64::from_bits(corpus::f64_value(source)).into()),
            (ValueType::V128, _) => ConstExpr::v128_const(corpus::v128_value(source) as i128),
            (ValueType::FuncRef, _) if !referable.is_empty() && source.percent(60) => {
                ConstExpr::ref_func(source.pick(&referable))
            }
            (ValueType::FuncRef, _) => ConstExpr::ref_null(HeapType::FUNC),
            (ValueType::ExternRef, _) => ConstExpr::ref_null(HeapType::EXTERN),
        }
    }
}

fn offset_expression(offset: u64, wide: bool, extended: bool) -> ConstExpr {
    match (wide, extended) {
        (true, false) => ConstExpr::i64_const(offset as i64),
        (false, false) => ConstExpr::i32_const(offset as i32),
        (true, true) => ConstExpr::extended([
            Instruction::I64Const(offset as i64 + 5),
            Instruction::I64Const(5),
            Instruction::I64Sub,
        ]),
        (false, true) => ConstExpr::extended([
            Instruction::I32Const(offset as i32 - 5),
            Instruction::I32Const(5),
            Instruction::I32Add,
        ]),
    }
}

/// The encoder's name of a type.
pub fn val_type(ty: ValueType) -> ValType {
    match ty {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
        ValueType::F32 => ValType::F32,
        ValueType::F64 => ValType::F64,
        ValueType::V128 => ValType::V128,
        ValueType::FuncRef => ValType::FUNCREF,
        ValueType::ExternRef => ValType::EXTERNREF,
    }
}

fn global_type(global: &GlobalShape) -> wasm_encoder::GlobalType {
    wasm_encoder::GlobalType { val_type: val_type(global.ty), mutable: global.mutable, shared: false }
}

fn table_type(table: &TableShape) -> wasm_encoder::TableType {
    wasm_encoder::TableType {
        element_type: if table.element == ValueType::FuncRef { RefType::FUNCREF } else { RefType::EXTERNREF },
        table64: table.table64,
        minimum: table.minimum,
        maximum: table.maximum,
        shared: false,
    }
}

fn memory_type(memory: &MemoryShape) -> wasm_encoder::MemoryType {
    wasm_encoder::MemoryType {
        minimum: memory.minimum,
        maximum: memory.maximum,
        memory64: memory.memory64,
        shared: false,
        page_size_log2: (memory.page_bytes_log2 != 16).then_some(u32::from(memory.page_bytes_log2)),
    }
}
