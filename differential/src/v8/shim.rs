//! The modules between V8 and the script that drives it.
//!
//! A script cannot hold a vector, and changes the bits of NaNs that pass through it
//! ([ToJSValue](https://webassembly.github.io/spec/js-api/#tojsvalue)). So numbers pass through the memory of a shim, value
//! `k` in bytes `16 * k` and following, and references as values. The caller imports the module's functions and globals
//! under their reserved names; the host is what the module imports.
//!
//! Invariant: a shim adds nothing to what the module can observe.
//!
//! Does not know: V8.

use crate::expose::{func_name, global_name};
use crate::{FuncSignature, ImportKind, Shape, Value, ValueType};
use wasm_encoder::{
    CodeSection, ConstExpr, EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, ImportSection, Instruction, MemArg, MemorySection, MemoryType, Module, RefType, TableSection,
    TableType, TypeSection, ValType,
};

/// Bytes of one value in a shim's memory.
pub(super) const SLOT_BYTES: u64 = 16;

pub(super) fn is_ref(ty: ValueType) -> bool {
    matches!(ty, ValueType::FuncRef | ValueType::ExternRef)
}

/// How the script has to pass values of these types.
pub(super) fn kinds(types: &[ValueType]) -> String {
    types.iter().map(|ty| if is_ref(*ty) { 'r' } else { 'n' }).collect()
}

fn val_type(ty: ValueType) -> ValType {
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

fn references(types: &[ValueType]) -> Vec<ValType> {
    types.iter().filter(|ty| is_ref(**ty)).map(|ty| val_type(*ty)).collect()
}

fn place(position: usize, memory_index: u32) -> MemArg {
    MemArg { offset: position as u64 * SLOT_BYTES, align: 0, memory_index }
}

fn load(ty: ValueType, at: MemArg) -> Instruction<'static> {
    match ty {
        ValueType::I32 => Instruction::I32Load(at),
        ValueType::I64 => Instruction::I64Load(at),
        ValueType::F32 => Instruction::F32Load(at),
        ValueType::F64 => Instruction::F64Load(at),
        _ => Instruction::V128Load(at),
    }
}

fn store(ty: ValueType, at: MemArg) -> Instruction<'static> {
    match ty {
        ValueType::I32 => Instruction::I32Store(at),
        ValueType::I64 => Instruction::I64Store(at),
        ValueType::F32 => Instruction::F32Store(at),
        ValueType::F64 => Instruction::F64Store(at),
        _ => Instruction::V128Store(at),
    }
}

/// Sections of a shim under construction. Its imports come first, so that indices are known.
#[derive(Default)]
struct Shim {
    types: TypeSection,
    imports: ImportSection,
    imported_funcs: u32,
    imported_globals: u32,
    functions: FunctionSection,
    defined: u32,
    tables: TableSection,
    memories: MemorySection,
    globals: GlobalSection,
    exports: ExportSection,
    code: CodeSection,
    /// The memory of slots.
    slots: u32,
}

impl Shim {
    fn ty(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        self.types.ty().function(params.iter().copied(), results.iter().copied());
        self.types.len() - 1
    }

    fn import_func(&mut self, module: &str, name: &str, params: &[ValType], results: &[ValType]) -> u32 {
        let ty = self.ty(params, results);
        self.imports.import(module, name, EntityType::Function(ty));
        self.imported_funcs += 1;
        self.imported_funcs - 1
    }

    fn import_global(&mut self, module: &str, name: &str, ty: ValueType, mutable: bool) -> u32 {
        let ty = GlobalType { val_type: val_type(ty), mutable, shared: false };
        self.imports.import(module, name, EntityType::Global(ty));
        self.imported_globals += 1;
        self.imported_globals - 1
    }

    fn func(&mut self, name: &str, params: &[ValType], results: &[ValType], body: &Function) {
        let ty = self.ty(params, results);
        self.functions.function(ty);
        self.code.function(body);
        self.exports.export(name, ExportKind::Func, self.imported_funcs + self.defined);
        self.defined += 1;
    }

    /// Adds a function that shows a global: in the first slot, or as its result.
    fn reader(&mut self, name: &str, global: u32, ty: ValueType) {
        let mut body = Function::new([]);
        let get = Instruction::GlobalGet(global);
        if is_ref(ty) {
            body.instruction(&get);
        } else {
            body.instruction(&Instruction::I32Const(0)).instruction(&get);
            body.instruction(&store(ty, place(0, self.slots)));
        }
        body.instruction(&Instruction::End);
        self.func(name, &[], &references(&[ty]), &body);
    }

    /// A body that calls `callee` and passes values between the two worlds. `inward` if its own parameters and results are
    /// references only and the callee's are whole; else the other way round.
    fn bridge(&self, signature: &FuncSignature, callee: u32, inward: bool) -> Function {
        let FuncSignature { params, results } = signature;
        let own_params = if inward { references(params).len() } else { params.len() };
        let kept: Vec<ValueType> = results.iter().copied().filter(|ty| inward || is_ref(*ty)).collect();
        let mut body = Function::new(kept.iter().map(|ty| (1, val_type(*ty))));
        let mut next = 0;
        for (position, ty) in params.iter().enumerate() {
            let at = place(position, self.slots);
            match (inward, is_ref(*ty)) {
                (true, false) => {
                    body.instruction(&Instruction::I32Const(0)).instruction(&load(*ty, at));
                }
                (false, false) => {
                    body.instruction(&Instruction::I32Const(0)).instruction(&Instruction::LocalGet(position as u32));
                    body.instruction(&store(*ty, at));
                }
                (_, true) => {
                    let local = if inward { next } else { position as u32 };
                    next += 1;
                    body.instruction(&Instruction::LocalGet(local));
                }
            }
        }
        body.instruction(&Instruction::Call(callee));
        for local in (0..kept.len()).rev() {
            body.instruction(&Instruction::LocalSet((own_params + local) as u32));
        }
        self.results(&mut body, results, own_params as u32, inward);
        body.instruction(&Instruction::End);
        body
    }

    /// Leaves the results, which locals from `first` on keep, as the outer side wants them.
    fn results(&self, body: &mut Function, results: &[ValueType], first: u32, inward: bool) {
        let mut kept = first;
        for (position, ty) in results.iter().enumerate() {
            let at = place(position, self.slots);
            let own = kept;
            kept += u32::from(inward || is_ref(*ty));
            if is_ref(*ty) {
                body.instruction(&Instruction::LocalGet(own));
            } else if inward {
                body.instruction(&Instruction::I32Const(0)).instruction(&Instruction::LocalGet(own));
                body.instruction(&store(*ty, at));
            } else {
                body.instruction(&Instruction::I32Const(0)).instruction(&load(*ty, at));
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.memories.memory(memory_type(false, 1, None));
        self.exports.export("s", ExportKind::Memory, self.slots);
        let mut module = Module::new();
        module.section(&self.types).section(&self.imports).section(&self.functions).section(&self.tables);
        module.section(&self.memories).section(&self.globals).section(&self.exports).section(&self.code);
        module.finish()
    }
}

fn memory_type(memory64: bool, minimum: u64, maximum: Option<u64>) -> MemoryType {
    MemoryType { minimum, maximum, memory64, shared: false, page_size_log2: None }
}

/// The shim that calls: `c<function>` takes its arguments from slots and leaves its results there, `g<global>` shows one.
pub(super) fn caller(shape: &Shape, functions: &[u32]) -> Vec<u8> {
    let mut shim = Shim::default();
    let whole = |types: &[ValueType]| types.iter().map(|ty| val_type(*ty)).collect::<Vec<_>>();
    for func in functions {
        let FuncSignature { params, results } = &shape.functions[*func as usize];
        shim.import_func("m", &func_name(*func as usize), &whole(params), &whole(results));
    }
    for (index, global) in shape.globals.iter().enumerate() {
        shim.import_global("m", &global_name(index), global.ty, global.mutable);
    }
    for (callee, func) in functions.iter().enumerate() {
        let signature = &shape.functions[*func as usize];
        let body = shim.bridge(signature, callee as u32, true);
        let (params, results) = (references(&signature.params), references(&signature.results));
        shim.func(&format!("c{func}"), &params, &results, &body);
    }
    for (index, global) in shape.globals.iter().enumerate() {
        shim.reader(&format!("g{index}"), index as u32, global.ty);
    }
    shim.finish()
}

/// The name under which the host's shim exports what a module imports.
pub(super) fn host_export(kind: ImportKind) -> String {
    match kind {
        ImportKind::Func(index) => format!("h{index}"),
        ImportKind::Global(index) => format!("g{index}"),
        ImportKind::Memory(index) => format!("m{index}"),
        ImportKind::Table(index) => format!("t{index}"),
    }
}

/// The shim that is the host: `h<function>` asks the script's `h<function>`; imported memories and tables are `m<index>` and
/// `t<index>`, globals `g<index>` with the given values, shown by `r<index>`. External references in globals are the
/// script's `g<index>`.
pub(super) fn host(shape: &Shape, initial: impl Fn(u32, ValueType) -> Value) -> Vec<u8> {
    let mut shim = Shim::default();
    let whole = |types: &[ValueType]| types.iter().map(|ty| val_type(*ty)).collect::<Vec<_>>();
    let imported: Vec<ImportKind> = shape.imports.iter().map(|import| import.kind).collect();
    let functions = imported.iter().filter_map(|kind| if let ImportKind::Func(at) = kind { Some(*at) } else { None });
    let functions: Vec<u32> = functions.collect();
    for func in &functions {
        let FuncSignature { params, results } = &shape.functions[*func as usize];
        shim.import_func("j", &format!("h{func}"), &references(params), &references(results));
    }
    let globals: Vec<u32> =
        imported.iter().filter_map(|kind| if let ImportKind::Global(at) = kind { Some(*at) } else { None }).collect();
    let external = |global: &&u32| shape.globals[**global as usize].ty == ValueType::ExternRef;
    for global in globals.iter().filter(external) {
        let ty = shape.globals[*global as usize];
        shim.import_global("j", &format!("g{global}"), ty.ty, ty.mutable);
    }
    shim.slots = imported.iter().filter(|kind| matches!(kind, ImportKind::Memory(_))).count() as u32;
    let (mut external_index, mut own_index) = (0, shim.imported_globals);
    for global in &globals {
        let ty = shape.globals[*global as usize];
        let index = if ty.ty == ValueType::ExternRef { &mut external_index } else { &mut own_index };
        if ty.ty != ValueType::ExternRef {
            let declared = GlobalType { val_type: val_type(ty.ty), mutable: ty.mutable, shared: false };
            shim.globals.global(declared, &constant(initial(*global, ty.ty)));
        }
        shim.exports.export(&host_export(ImportKind::Global(*global)), ExportKind::Global, *index);
        let index = std::mem::replace(index, *index + 1);
        shim.reader(&format!("r{global}"), index, ty.ty);
    }
    for (callee, func) in functions.iter().enumerate() {
        let signature = &shape.functions[*func as usize];
        let body = shim.bridge(signature, callee as u32, false);
        shim.func(&host_export(ImportKind::Func(*func)), &whole(&signature.params), &whole(&signature.results), &body);
    }
    let (mut memories, mut tables) = (0, 0);
    for kind in imported {
        match kind {
            ImportKind::Memory(index) => {
                let ty = shape.memories[index as usize];
                shim.memories.memory(memory_type(ty.memory64, ty.minimum, ty.maximum));
                shim.exports.export(&host_export(kind), ExportKind::Memory, memories);
                memories += 1;
            }
            ImportKind::Table(index) => {
                let ty = shape.tables[index as usize];
                let element_type =
                    if ty.element == ValueType::ExternRef { RefType::EXTERNREF } else { RefType::FUNCREF };
                let (minimum, maximum) = (ty.minimum, ty.maximum);
                shim.tables.table(TableType { element_type, table64: ty.table64, minimum, maximum, shared: false });
                shim.exports.export(&host_export(kind), ExportKind::Table, tables);
                tables += 1;
            }
            ImportKind::Func(_) | ImportKind::Global(_) => {}
        }
    }
    shim.finish()
}

/// A number, or null.
fn constant(value: Value) -> ConstExpr {
    match value {
        Value::I32(bits) => ConstExpr::i32_const(bits as i32),
        Value::I64(bits) => ConstExpr::i64_const(bits as i64),
        Value::F32(bits) => ConstExpr::f32_const(f32::from_bits(bits).into()),
        Value::F64(bits) => ConstExpr::f64_const(f64::from_bits(bits).into()),
        Value::V128(bits) => ConstExpr::v128_const(bits as i128),
        Value::Func(_) => ConstExpr::ref_null(wasm_encoder::HeapType::FUNC),
        Value::Extern(_) => ConstExpr::ref_null(wasm_encoder::HeapType::EXTERN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::{Validator, WasmFeatures};

    #[test]
    fn shims_are_valid() {
        let text = r#"(module
            (import "host" "f" (func (param i32 externref f64 funcref) (result v128 externref)))
            (import "host" "n" (func))
            (import "host" "g" (global i32))
            (import "host" "e" (global (mut externref)))
            (import "host" "v" (global (mut v128)))
            (import "host" "r" (global funcref))
            (import "host" "m" (memory i64 1 2))
            (import "host" "t" (table i64 1 2 externref))
            (memory 1)
            (global f32 (f32.const 1))
            (func (export "f") (param externref v128 i64) (result f32 funcref i32 externref) unreachable))"#;
        let wasm = wat::parse_str(text).expect("valid text");
        let shape = Shape::of(&wasm).expect("a module that can be described");
        let initial = |_, ty| Value::default_of(ty);
        for shim in [caller(&shape, &[2, 0]), host(&shape, initial)] {
            let valid = Validator::new_with_features(WasmFeatures::all()).validate_all(&shim);
            let printed = wasmprinter::print_bytes(&shim).unwrap_or_default();
            assert!(valid.is_ok(), "{:?}\n{printed}", valid.err());
        }
        assert_eq!(kinds(&shape.functions[2].results), "nrnr");
    }
}
