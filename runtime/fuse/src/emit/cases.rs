//! Variants: a checked discriminant, then the payload of its case.
//!
//! [`lift_flat_variant`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flat-lifting) and
//! its lowering, and the same in memory. Cases share core values whose types are joins; what a case does not use is 0.
//!
//! Invariant: every core value of the target is set on every way; padding is not written.
//!
//! Does not know: how payloads are transferred.

use super::{Emitter, Local, Place};
use crate::adapter::ImportId;
use crate::plan::{Cases, PlanId};
use wasm_encoder::BlockType;

/// Most targets of one `br_table`: engines accept at least twice as many.
const TABLE_MAX: usize = 1 << 15;

impl<I: ImportId> Emitter<'_, '_, I> {
    pub(super) fn cases(&mut self, cases: &Cases, from: Place<'_>, to: Place<'_>) {
        let count = u32::try_from(cases.arm_of.len()).unwrap_or(u32::MAX);
        let case = self.checked_case(cases.bytes, count, from);
        self.write_case(case, cases.bytes, to);
        match (cases.arms.as_ref(), cases.arm_of.as_ref()) {
            ([arm], _) => self.arm(cases, *arm, from, to),
            ([first, second], [_, _]) => {
                #[cfg(wattest_mutants)]
                let (first, second) =
                    if wattest_abi::mutant!(variant_arms_swapped) { (second, first) } else { (first, second) };
                self.code.get(case);
                self.code.sink().if_(BlockType::Empty);
                self.arm(cases, *second, from, to);
                self.code.sink().else_();
                self.arm(cases, *first, from, to);
                self.code.sink().end();
            }
            (arms, arm_of) => {
                // One block for each arm, the first innermost, in one around all of them.
                for _ in 0..=arms.len() {
                    self.code.sink().block(BlockType::Empty);
                }
                self.dispatch(case, arm_of);
                for (at, arm) in arms.iter().enumerate() {
                    self.code.sink().end();
                    self.arm(cases, *arm, from, to);
                    let out = u32::try_from(arms.len() - 1 - at).unwrap_or(u32::MAX);
                    self.code.sink().br(out);
                }
                self.code.sink().end();
            }
        }
        self.code.release(case);
    }

    /// Branches to the block of the case's arm.
    fn dispatch(&mut self, case: Local, arm_of: &[u32]) {
        let mut chunks = arm_of.chunks(TABLE_MAX).peekable();
        while let Some(chunk) = chunks.next() {
            if chunks.peek().is_none() {
                self.code.get(case);
                self.code.sink().br_table(chunk.iter().copied(), chunk[0]);
                return;
            }
            let length = i32::try_from(chunk.len()).unwrap_or(i32::MAX);
            self.code.get(case);
            self.code.sink().i32_const(length).i32_lt_u().if_(BlockType::Empty);
            self.code.get(case);
            self.code.sink().br_table(chunk.iter().map(|arm| arm + 1), chunk[0] + 1).end();
            self.code.get(case);
            self.code.sink().i32_const(length).i32_sub();
            self.code.set(case);
        }
    }

    fn arm(&mut self, cases: &Cases, arm: Option<PlanId>, from: Place<'_>, to: Place<'_>) {
        let (from_slots, to_slots) = match arm {
            Some(plan) => {
                let plan = self.module.plans.get(plan);
                (plan.from.slots(), plan.to.slots())
            }
            None => (0, 0),
        };
        if let Place::Flat(locals) = to {
            for unused in locals.iter().skip(1 + to_slots) {
                self.code.zero(unused.ty);
                self.code.set(*unused);
            }
        }
        if let Some(plan) = arm {
            self.transfer(plan, from.part(cases.from, 1, from_slots), to.part(cases.to, 1, to_slots));
        }
    }
}
