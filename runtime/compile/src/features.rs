//! What is noted of a compilation for a fuzzer: pairs of operations, operations of CLIF, axes of the configuration.
//!
//! Exists under `--cfg fuzzing` only ([`wattest_abi::features`]). A body is noted as it is translated, its CLIF before the
//! optimizer sees it.
//!
//! Invariant: nothing here changes what is compiled.
//!
//! Does not know: who listens.

use crate::ModuleCompiler;
use cranelift_codegen::ir::{Function, ValueDef};
use wattest_abi::features::{Kind, is_observed, note};

/// Notes the axes of the tunables, one by one and in pairs.
pub(crate) fn note_configuration(compiler: &ModuleCompiler<'_>) {
    if !is_observed() {
        return;
    }
    let bytes = compiler.tunables.to_bytes();
    let axes: Vec<u64> = bytes.iter().enumerate().map(|(axis, value)| (axis as u64) << 8 | u64::from(*value)).collect();
    for (position, first) in axes.iter().enumerate() {
        note(Kind::Axis, *first, u64::MAX);
        for second in &axes[position + 1..] {
            note(Kind::Axis, *first, *second);
        }
    }
}

/// The operation whose encoding begins at `bytes`: its first byte, and the number behind a prefix.
pub(crate) fn operation(bytes: &[u8]) -> u64 {
    let Some((first, rest)) = bytes.split_first() else { return 0 };
    if !(0xfb..=0xfe).contains(first) {
        return u64::from(*first);
    }
    let mut number = 0;
    for (position, byte) in rest.iter().take(3).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            break;
        }
    }
    u64::from(*first) << 32 | number
}

/// Notes that one operation follows another.
pub(crate) fn note_operations(previous: u64, next: u64) {
    note(Kind::OperationPair, previous, next);
}

/// Notes the operations of a function before it is optimized.
pub(crate) fn note_clif(function: &Function) {
    if !is_observed() {
        return;
    }
    for block in function.layout.blocks() {
        for inst in function.layout.block_insts(block) {
            let dfg = &function.dfg;
            let opcode = dfg.insts[inst].opcode() as u64;
            let ty = dfg.inst_results(inst).first().map_or(0, |value| dfg.value_type(*value).index() as u64);
            note(Kind::Clif, opcode, ty);
            let maker = dfg.inst_args(inst).first().map(|value| dfg.value_def(dfg.resolve_aliases(*value)));
            if let Some(ValueDef::Result(maker, _)) = maker {
                note(Kind::ClifPair, opcode, dfg.insts[maker].opcode() as u64);
            }
        }
    }
}
