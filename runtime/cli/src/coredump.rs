//! `--coredump FILE`: what a store held when its guest trapped, as a
//! [WebAssembly core dump](https://github.com/WebAssembly/tool-conventions/blob/main/Coredump.md), which is a module.
//!
//! Memories and globals are those of all instances; a frame names the first instance of its module, and has the locals that
//! its code kept: all numbers where the engine option `keep-locals` is on, which the option implies. Operand stacks are
//! empty: nothing keeps those.
//!
//! Invariant: the file is complete or untouched. Zeros are left out of the data, of which at most
//! [`DATA_BYTES_MAX`] is written.
//!
//! Does not know: why the guest trapped.

use crate::cache::write_atomically;
use crate::failure::Failure;
use crate::guest::Host;
use crate::sources::Sources;
use std::path::Path;
use wasm_encoder::{
    ConstExpr, CoreDumpInstancesSection, CoreDumpModulesSection, CoreDumpSection, CoreDumpStackSection, CoreDumpValue,
    DataCountSection, DataSection, GlobalSection, GlobalType, MemorySection, MemoryType, Module, ValType,
};
use wattest::{Backtrace, LocalValue, Snapshot, Store, Val};

/// Bytes that are written or left out together.
const BLOCK_BYTES: usize = 4 << 10;
/// Most bytes of memories in a dump.
const DATA_BYTES_MAX: usize = 1 << 30;

/// Writes the dump of a store after the end that `backtrace` shows; what could not be written.
pub fn write(
    path: &Path,
    process: &str,
    store: &Store<Host>,
    backtrace: &Backtrace,
    sources: &Sources,
) -> Result<(), Failure> {
    let snapshot = store.snapshot();
    let (dump, omitted) = encode(process, &snapshot, backtrace, sources);
    write_atomically(path, &dump)
        .map_err(|error| Failure::new(format!("cannot write the core dump {}: {error}", path.display())))?;
    eprintln!("core dump: {}", path.display());
    if omitted > 0 {
        eprintln!("({omitted} bytes of memories are not in it: it holds {DATA_BYTES_MAX} at most)");
    }
    Ok(())
}

/// The dump, and how many bytes of memories found no room.
fn encode(process: &str, snapshot: &Snapshot<'_>, backtrace: &Backtrace, sources: &Sources) -> (Vec<u8>, usize) {
    let mut dump = Module::new();
    dump.section(&CoreDumpSection::new(process));
    let mut modules = CoreDumpModulesSection::new();
    let mut ids: Vec<u64> = Vec::new();
    for instance in &snapshot.instances {
        if !ids.contains(&instance.module_id) {
            ids.push(instance.module_id);
            modules.module(instance.module_name.as_deref().unwrap_or(""));
        }
    }
    dump.section(&modules);
    let mut instances = CoreDumpInstancesSection::new();
    for instance in &snapshot.instances {
        let module = ids.iter().position(|id| *id == instance.module_id).unwrap_or(0);
        instances.instance(module as u32, instance.memories.iter().copied(), instance.globals.iter().copied());
    }
    dump.section(&instances);
    let mut stack = CoreDumpStackSection::new("main");
    for (position, frame) in backtrace.frames().iter().enumerate() {
        let at = snapshot.instances.iter().position(|instance| instance.module_id == frame.module_id);
        let imported = at.map_or(0, |at| snapshot.instances[at].imported_functions);
        let offset = sources.offset_in_body(frame, imported).unwrap_or(0);
        let locals: Vec<CoreDumpValue> = backtrace.locals(position).iter().map(local).collect();
        stack.frame(at.unwrap_or(0) as u32, frame.func_index, offset, locals, []);
    }
    dump.section(&stack);
    let (data, blocks, omitted) = data(snapshot);
    dump.section(&memories(snapshot));
    dump.section(&globals(snapshot));
    dump.section(&DataCountSection { count: blocks });
    dump.section(&data);
    (dump.finish(), omitted)
}

fn local(value: &Option<LocalValue>) -> CoreDumpValue {
    match *value {
        None => CoreDumpValue::Missing,
        Some(LocalValue::I32(value)) => CoreDumpValue::I32(value),
        Some(LocalValue::I64(value)) => CoreDumpValue::I64(value),
        Some(LocalValue::F32(bits)) => CoreDumpValue::F32(f32::from_bits(bits).into()),
        Some(LocalValue::F64(bits)) => CoreDumpValue::F64(f64::from_bits(bits).into()),
    }
}

fn memories(snapshot: &Snapshot<'_>) -> MemorySection {
    let mut memories = MemorySection::new();
    for memory in &snapshot.memories {
        let page_size_log2 = (memory.ty.page_bytes_log2 != 16).then_some(u32::from(memory.ty.page_bytes_log2));
        memories.memory(MemoryType {
            minimum: memory.ty.minimum,
            maximum: memory.ty.maximum,
            memory64: memory.ty.memory64,
            shared: memory.ty.shared,
            page_size_log2,
        });
    }
    memories
}

/// A global that a dump cannot hold stands for itself as the number 0.
fn globals(snapshot: &Snapshot<'_>) -> GlobalSection {
    let mut globals = GlobalSection::new();
    for global in &snapshot.globals {
        let (val_type, value) = match global.value {
            Some(Val::I64(value)) => (ValType::I64, ConstExpr::i64_const(value)),
            Some(Val::F32(bits)) => (ValType::F32, ConstExpr::f32_const(f32::from_bits(bits).into())),
            Some(Val::F64(bits)) => (ValType::F64, ConstExpr::f64_const(f64::from_bits(bits).into())),
            Some(Val::V128(bits)) => (ValType::V128, ConstExpr::v128_const(bits as i128)),
            Some(Val::I32(value)) => (ValType::I32, ConstExpr::i32_const(value)),
            _ => (ValType::I32, ConstExpr::i32_const(0)),
        };
        globals.global(GlobalType { val_type, mutable: global.ty.mutable, shared: false }, &value);
    }
    globals
}

/// The blocks of memories that are not all zeros, neighbours as one; how many there are; how many bytes found no room.
fn data(snapshot: &Snapshot<'_>) -> (DataSection, u32, usize) {
    let mut section = DataSection::new();
    let (mut blocks, mut written, mut omitted) = (0, 0, 0);
    for (index, memory) in snapshot.memories.iter().enumerate() {
        let used: Vec<bool> =
            memory.bytes.chunks(BLOCK_BYTES).map(|block| block.iter().any(|byte| *byte != 0)).collect();
        let mut at = 0;
        for run in used.chunk_by(|one, next| one == next) {
            let (start, end) = (at * BLOCK_BYTES, ((at + run.len()) * BLOCK_BYTES).min(memory.bytes.len()));
            at += run.len();
            if !run[0] {
                continue;
            }
            if written + (end - start) > DATA_BYTES_MAX {
                omitted += end - start;
                continue;
            }
            written += end - start;
            blocks += 1;
            let offset = match memory.ty.memory64 {
                true => ConstExpr::i64_const(start as i64),
                false => ConstExpr::i32_const(start as i32),
            };
            section.active(index as u32, &offset, memory.bytes[start..end].iter().copied());
        }
    }
    (section, blocks, omitted)
}
