//! The calls of a script, and its modules as binaries.
//!
//! The first module defines the log, the globals and the tables; later ones import them, and import functions from
//! any earlier module ([imports](https://webassembly.github.io/spec/core/syntax/modules.html#imports)). Every module writes
//! its functions into the shared table.
//!
//! Invariant: index spaces are the same in every module but for functions and types: globals, tables, the memory and tags
//! have one number each.
//!
//! Does not know: bodies.

use super::body::Frame;
use super::call::LOG;
use super::shadow::{Own, V};
use super::types::{Heap, Ty, ref_type, val_type};
use super::{End, Flow, Fun, Script, TABLE_ENTRIES, Writer, host, own, segments, shared};
use std::collections::BTreeMap;
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction, MemorySection, MemoryType,
    Module, TableSection, TableType, TagKind, TagSection, TagType,
};
use wattest_differential::Value;
use wattest_differential::linked::{
    HOST, HOST_FUNCTIONS, Image, LinkedCall, LinkedEnding, LinkedHostCall, LinkedModule, LinkedProgram, LinkedRun,
    LinkedStep, Observed, Private,
};

/// Calls from outside at most.
pub const RUNS_MAX: usize = 5;

/// A call and how it ends.
pub struct Step {
    call: LinkedCall,
    ending: LinkedEnding,
    host_calls: Vec<LinkedHostCall>,
    globals: Vec<Observed>,
    memory: Image,
    /// Sizes of the shared tables.
    tables: Vec<u64>,
    /// What every module has for itself.
    own: Vec<Own>,
}

impl Writer<'_, '_> {
    /// Generates the functions that are called from outside, in order.
    pub(super) fn runs(&mut self) -> Vec<Step> {
        let mut memory = vec![0u8; 1 << 16];
        let mut steps = Vec::new();
        for index in 0..self.source.between(2, RUNS_MAX) {
            self.budget = 400;
            self.shadow.log.clear();
            self.shadow.host_calls.clear();
            self.frame = Frame::default();
            let module = self.source.below(self.pads.len());
            let params = [Ty::I32, Ty::I64, Ty::F64, Ty::V128];
            let args: Vec<(Ty, V)> = params.iter().map(|ty| (*ty, self.argument(*ty))).collect();
            let (fun, end) = self.run(module, &args);
            let export = format!("run{index}");
            self.funs[fun as usize].export = Some(export.clone());
            for (word, bytes) in self.shadow.log.iter().zip(memory.chunks_mut(8)) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            let ending = match end {
                End::Values => LinkedEnding::Values(self.results.iter().map(|value| observed(*value)).collect()),
                End::Throw(_) => LinkedEnding::Exception,
                End::Trap(class) => LinkedEnding::Trap(class),
            };
            let cursor = V::I32(self.shadow.log.len() as u32 * 8);
            let globals = std::iter::once(&cursor).chain(&self.shadow.globals).map(|value| observed(*value)).collect();
            let args = args.iter().map(|(_, value)| neutral(*value)).collect();
            memory.resize(self.shadow.pages.len() << 16, 0);
            for (window, page) in self.shadow.pages.iter().zip(memory.chunks_mut(1 << 16)) {
                page[shared::WINDOW..].copy_from_slice(window);
            }
            let memory = Image::new(memory.len() as u64, &memory);
            let tables = self.shared_sizes();
            let (call, own) = (LinkedCall { module, export, args }, self.shadow.own.clone());
            let host_calls = self.shadow.host_calls.clone();
            steps.push(Step { call, ending, host_calls, globals, memory, tables, own });
        }
        steps
    }

    /// Sizes of the shared tables.
    fn shared_sizes(&self) -> Vec<u64> {
        vec![self.shadow.table.len() as u64, (shared::FUNCTIONS_MIN + self.shadow.grown.len()) as u64]
    }

    fn argument(&mut self, ty: Ty) -> V {
        match ty {
            Ty::I32 => V::I32(crate::corpus::i32_value(self.source)),
            Ty::I64 => V::I64(crate::corpus::i64_value(self.source)),
            Ty::F64 => V::F64(crate::corpus::f64_value(self.source)),
            _ => V::V128(crate::corpus::v128_value(self.source)),
        }
    }

    /// One exported function: the log starts anew, then statements.
    fn run(&mut self, module: usize, args: &[(Ty, V)]) -> (u32, End) {
        let types: Vec<Ty> = args.iter().map(|(ty, _)| *ty).collect();
        let def = self.graph.func(&types, &[Ty::I32]);
        let fun = self.funs.len() as u32;
        self.funs.push(Fun { module, def, code: vec![], patches: vec![], export: None });
        let plain = |(ty, value): &(Ty, V)| super::body::Local { ty: *ty, value: *value, ready: true, free: true };
        self.frame = Frame {
            module,
            locals: args.iter().map(plain).collect(),
            params: args.len(),
            results: vec![Ty::I32],
            depth: 1,
            ..Frame::default()
        };
        self.emit(Instruction::I32Const(0));
        self.emit(Instruction::GlobalSet(0));
        let count = self.source.between(6, 14) as u32;
        let end = match self.statements(count) {
            Flow::Next => {
                self.results = vec![self.value(Ty::I32, 1)];
                End::Values
            }
            Flow::Throw(exception) => End::Throw(exception),
            Flow::Exit(end) => end,
        };
        if end != End::Values {
            self.emit(Instruction::Unreachable);
        }
        self.end();
        let frame = std::mem::take(&mut self.frame);
        self.close(frame, fun);
        (fun, end)
    }

    /// The program, and what it must do.
    pub(super) fn finish(self, steps: Vec<Step>) -> Script {
        let modules = (0..self.pads.len())
            .map(|index| LinkedModule { name: module_name(index), wasm: self.module(index) })
            .collect();
        let initial = std::iter::once(V::I32(0)).chain(self.globals.iter().map(|ty| V::default_of(*ty)));
        let blank = LinkedStep {
            globals: initial.map(observed).collect(),
            memories: vec![Image::new(1 << 16, &[])],
            tables: vec![TABLE_ENTRIES as u64, shared::FUNCTIONS_MIN as u64],
            ..LinkedStep::ended(LinkedEnding::Values(vec![]))
        };
        let fresh = vec![Own::new(own::ENTRIES, own::BYTES); self.pads.len()];
        let mut expected = LinkedRun::default();
        for instances in 1..=self.pads.len() {
            let private = Some(self.private(&fresh[..instances]));
            expected.steps.push(LinkedStep { private, ..blank.clone() });
        }
        let mut calls = Vec::new();
        for step in steps {
            let Step { call, ending, host_calls, globals, memory, tables, own } = step;
            calls.push(call);
            let (memories, private) = (vec![memory], Some(self.private(&own)));
            let step = LinkedStep { ending, host_calls, globals, memories, tables, private, ..blank.clone() };
            expected.steps.push(step);
        }
        Script { program: LinkedProgram { modules, calls }, expected, operations: self.operations, plain: self.plain }
    }

    /// What no export of these modules shows.
    fn private(&self, modules: &[Own]) -> Private {
        let mut private = Private::default();
        for (module, own) in modules.iter().enumerate() {
            private.memories.push(Image::new(u64::from(own.pages) << 16, &own.bytes));
            private.tables.push(own.entries.len() as u64);
            private.empty_data.extend(own.dropped_data());
            // Passive ones; those that filled the shared table, and the one that declares.
            private.empty_elements.extend(own.dropped_elements());
            let spent = self.funs.iter().filter(|fun| fun.module == module).count() + 1;
            private.empty_elements.extend(std::iter::repeat_n(true, spent));
        }
        private
    }

    fn module(&self, module: usize) -> Vec<u8> {
        let pad = self.pads[module];
        let functions = Functions::of(&self.funs, module);
        let mut binary = Module::new();
        binary.section(&self.graph.section(pad));
        binary.section(&self.imports(module, &functions));
        let mut section = FunctionSection::new();
        functions.own.iter().for_each(|fun| {
            section.function(self.funs[*fun as usize].def + pad);
        });
        binary.section(&section);
        binary.section(&self.tables(module)).section(&memories(module));
        binary.section(&self.own_tags(module));
        if module == 0 {
            binary.section(&self.global_section(pad));
        }
        binary.section(&self.exports(module, &functions));
        binary.section(&self.element_section(pad, &functions));
        binary.section(&DataCountSection { count: segments::COUNT as u32 });
        let mut code = CodeSection::new();
        for fun in &functions.own {
            code.raw(&functions.patched(&self.funs[*fun as usize]));
        }
        binary.section(&code);
        let mut data = DataSection::new();
        for bytes in &self.data {
            data.passive(bytes.iter().copied());
        }
        binary.section(&data);
        binary.finish()
    }

    fn tag_type(&self, tag: usize, pad: u32) -> TagType {
        let params = &self.tags[tag].params;
        let is = |def: &super::types::Def| def.form == super::types::Form::Func(params.clone(), vec![]);
        // Made by `choose_tags`: the last of its form is the one in a group of its own.
        let def = self.graph.defs.iter().rposition(is).unwrap_or(0) as u32;
        TagType { kind: TagKind::Exception, func_type_idx: def + pad }
    }

    fn imports(&self, module: usize, functions: &Functions) -> ImportSection {
        let pad = self.pads[module];
        let mut section = ImportSection::new();
        if module > 0 {
            let first = module_name(0);
            section.import(&first, "t0any", self.any_table(pad)).import(&first, "t1fun", self.fun_table(pad));
            section.import(&first, "mem", memory_type());
            for (index, ty) in self.global_types(pad).into_iter().enumerate() {
                section.import(&first, &global_name(index), ty);
            }
            for tag in (0..self.tags.len()).filter(|tag| self.tags[*tag].owner < module) {
                let owner = module_name(self.tags[tag].owner);
                section.import(&owner, &format!("tag{tag}"), self.tag_type(tag, pad));
            }
        }
        for fun in &functions.imported {
            if let Some(row) = fun.checked_sub(host::FIRST) {
                let def = self.host_types[row as usize].unwrap_or(0);
                section.import(HOST, HOST_FUNCTIONS[row as usize].name, EntityType::Function(def + pad));
                continue;
            }
            let callee = &self.funs[*fun as usize];
            let ty = EntityType::Function(callee.def + pad);
            section.import(&module_name(callee.module), &function_name(callee, *fun), ty);
        }
        section
    }

    fn any_table(&self, pad: u32) -> TableType {
        let element_type = ref_type(true, self.entry_heap(), pad);
        TableType { element_type, table64: false, minimum: TABLE_ENTRIES as u64, maximum: None, shared: false }
    }

    fn fun_table(&self, pad: u32) -> TableType {
        let element_type = ref_type(true, Heap::Func, pad);
        TableType { element_type, table64: false, minimum: shared::FUNCTIONS_MIN as u64, maximum: None, shared: false }
    }

    fn tables(&self, module: usize) -> TableSection {
        let pad = self.pads[module];
        let mut section = TableSection::new();
        if module == 0 {
            section.table(self.any_table(pad)).table(self.fun_table(pad));
        }
        section.table(TableType { minimum: own::ENTRIES as u64, ..self.any_table(pad) });
        section
    }

    /// The log's cursor, then the others.
    fn global_types(&self, pad: u32) -> Vec<GlobalType> {
        let types = std::iter::once(&Ty::I32).chain(&self.globals);
        types.map(|ty| GlobalType { val_type: val_type(*ty, pad), mutable: true, shared: false }).collect()
    }

    fn global_section(&self, pad: u32) -> GlobalSection {
        let mut section = GlobalSection::new();
        let types = std::iter::once(&Ty::I32).chain(&self.globals);
        for (global, ty) in self.global_types(pad).into_iter().zip(types) {
            let init = match ty {
                Ty::I32 => ConstExpr::i32_const(0),
                Ty::I64 => ConstExpr::i64_const(0),
                Ty::F32 => ConstExpr::f32_const(0.0.into()),
                Ty::F64 => ConstExpr::f64_const(0.0.into()),
                Ty::V128 => ConstExpr::v128_const(0),
                Ty::Ref(_, heap) => ConstExpr::ref_null(super::types::heap_type(*heap, pad)),
            };
            section.global(global, &init);
        }
        section
    }

    fn own_tags(&self, module: usize) -> TagSection {
        let mut section = TagSection::new();
        for tag in (0..self.tags.len()).filter(|tag| self.tags[*tag].owner == module) {
            section.tag(self.tag_type(tag, self.pads[module]));
        }
        section
    }

    fn exports(&self, module: usize, functions: &Functions) -> ExportSection {
        let mut section = ExportSection::new();
        if module == 0 {
            section.export("t0any", ExportKind::Table, 0).export("t1fun", ExportKind::Table, 1);
            section.export("mem", ExportKind::Memory, 0);
            for index in 0..=self.globals.len() {
                section.export(&global_name(index), ExportKind::Global, index as u32);
            }
        }
        for tag in (0..self.tags.len()).filter(|tag| self.tags[*tag].owner == module) {
            section.export(&format!("tag{tag}"), ExportKind::Tag, tag as u32);
        }
        for fun in &functions.own {
            section.export(&function_name(&self.funs[*fun as usize], *fun), ExportKind::Func, functions.index(*fun));
        }
        section
    }

    /// The passive segments, the functions of this module in the shared table, a declaration of the rest.
    fn element_section(&self, pad: u32, functions: &Functions) -> ElementSection {
        let mut section = ElementSection::new();
        let heap = if self.plain { Heap::Func } else { Heap::I31 };
        for elements in &self.elements {
            let items: Vec<ConstExpr> = elements
                .iter()
                .map(|bits| match self.element(*bits) {
                    V::Func(fun) => ConstExpr::ref_func(functions.index(fun)),
                    V::I31(bits) => ConstExpr::extended([Instruction::I32Const(bits as i32), Instruction::RefI31]),
                    _ => ConstExpr::ref_null(super::types::heap_type(heap, pad)),
                })
                .collect();
            section.passive(Elements::Expressions(ref_type(true, heap, pad), items.into()));
        }
        for fun in &functions.own {
            let offset = ConstExpr::i32_const(*fun as i32);
            section.active(Some(1), &offset, Elements::Functions(vec![functions.index(*fun)].into()));
        }
        let imported: Vec<u32> = functions.imported.iter().map(|fun| functions.index(*fun)).collect();
        section.declared(Elements::Functions(imported.into()));
        section
    }
}

fn memories(module: usize) -> MemorySection {
    let mut section = MemorySection::new();
    if module == 0 {
        section.memory(memory_type());
    }
    section.memory(MemoryType { maximum: Some(own::PAGES_MAX.into()), ..memory_type() });
    section
}

fn memory_type() -> MemoryType {
    MemoryType {
        minimum: 1,
        maximum: Some(shared::PAGES_MAX as u64),
        memory64: false,
        shared: false,
        page_size_log2: None,
    }
}

fn module_name(index: usize) -> String {
    format!("m{index}")
}

fn global_name(index: usize) -> String {
    format!("g{index:02}")
}

fn function_name(fun: &Fun, index: u32) -> String {
    fun.export.clone().unwrap_or_else(|| format!("f{index}"))
}

/// The function index space of one module.
struct Functions {
    imported: Vec<u32>,
    own: Vec<u32>,
    indices: BTreeMap<u32, u32>,
}

impl Functions {
    fn of(funs: &[Fun], module: usize) -> Functions {
        let own: Vec<u32> = (0..funs.len() as u32).filter(|fun| funs[*fun as usize].module == module).collect();
        let mut imported: Vec<u32> =
            own.iter().flat_map(|fun| &funs[*fun as usize].patches).map(|patch| patch.fun).collect();
        // Element segments may hold it.
        imported.push(LOG);
        imported.retain(|fun| *fun >= host::FIRST || funs[*fun as usize].module != module);
        imported.sort_unstable();
        imported.dedup();
        let indices = (0..).zip(imported.iter().chain(&own)).map(|(index, fun)| (*fun, index)).collect();
        Functions { imported, own, indices }
    }

    fn index(&self, fun: u32) -> u32 {
        self.indices.get(&fun).copied().unwrap_or(0)
    }

    /// The code of a function with its places filled in: five bytes each, however small the number.
    fn patched(&self, fun: &Fun) -> Vec<u8> {
        let mut code = fun.code.clone();
        for patch in &fun.patches {
            let index = self.index(patch.fun);
            for (position, byte) in code[patch.at..patch.at + 5].iter_mut().enumerate() {
                let more = if position < 4 { 0x80 } else { 0 };
                *byte = (index >> (7 * position) & 0x7f) as u8 | more;
            }
        }
        code
    }
}

/// A value as an outsider sees it.
pub fn observed(value: V) -> Observed {
    match value {
        V::Null => Observed::Null,
        V::I31(bits) => Observed::I31(bits),
        V::Object(_) | V::Func(_) | V::Exn(_) => Observed::Reference,
        number => Observed::Number(neutral(number)),
    }
}

fn neutral(value: V) -> Value {
    match value {
        V::I64(bits) => Value::I64(bits),
        V::F32(bits) => Value::F32(bits),
        V::F64(bits) => Value::F64(bits),
        V::V128(bits) => Value::V128(bits),
        V::I32(bits) => Value::I32(bits),
        // Only numbers are arguments.
        _ => Value::I32(0),
    }
}
