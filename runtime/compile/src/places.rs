//! Places in the module for instructions that the optimizer made.
//!
//! A rewritten instruction has no source location, and a load that machine code does together with it would trap nowhere. It
//! gets the location of an operand: of a load, if one of them is a load, which then traps at its own place.
//!
//! Invariant: locations that are there stay.
//!
//! Does not know: machine code.

use cranelift_codegen::ir::{Function, Inst, SourceLoc, ValueDef};

/// Gives locations to instructions that have none.
pub(crate) fn inherit(func: &mut Function) {
    let mut next_block = func.layout.entry_block();
    while let Some(block) = next_block {
        next_block = func.layout.next_block(block);
        let mut next = func.layout.first_inst(block);
        while let Some(inst) = next {
            next = func.layout.next_inst(inst);
            if func.srcloc(inst).is_default()
                && let Some(place) = place_of_operands(func, inst)
            {
                func.set_srcloc(inst, place);
            }
        }
    }
}

/// The location of the first operand that is a load, else of the first that has one.
fn place_of_operands(func: &Function, inst: Inst) -> Option<SourceLoc> {
    let mut first = None;
    for value in func.dfg.inst_args(inst) {
        let ValueDef::Result(operand, _) = func.dfg.value_def(*value) else { continue };
        let place = func.srcloc(operand);
        if place.is_default() {
            continue;
        }
        if func.dfg.insts[operand].opcode().can_load() {
            return Some(place);
        }
        first = first.or(Some(place));
    }
    first
}
