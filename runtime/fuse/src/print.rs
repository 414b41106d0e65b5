//! Plans as text, for `explain` and for reading a test's failure.
//!
//! One line per plan that is needed, parts before what has them, so a line's parts are known when it is read.
//!
//! Invariant: the text depends on the plan alone; its length is linear in the plans it names, whatever they share.
//!
//! Does not know: how plans come about.

use crate::plan::{Op, Plan, PlanId, Plans, parts};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The lines of a plan and all its parts.
pub fn print(plans: &Plans, root: PlanId) -> String {
    let mut needed = BTreeSet::from([root]);
    let mut open = vec![root];
    while let Some(plan) = open.pop() {
        for part in parts(&plans.get(plan).op) {
            if needed.insert(part) {
                open.push(part);
            }
        }
    }
    let mut text = String::new();
    for plan in needed {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{plan} = {}", line(&plans.get(plan)));
    }
    text
}

fn line(plan: &Plan) -> String {
    let mut text = match &plan.op {
        Op::Int { bytes, signed } => format!("int {}{}", if *signed { 's' } else { 'u' }, 8 * bytes),
        Op::Bool => "bool".into(),
        Op::Char => "char".into(),
        Op::Float { bytes } => format!("float {}", 8 * bytes),
        Op::Flags { count, .. } => format!("flags {count}"),
        Op::Enum { count, .. } => format!("enum {count}"),
        Op::Handle(kind) => format!("handle {kind:?}"),
        Op::Str(route) => format!("str {:?} -> {:?}", route.from.encoding, route.to.encoding),
        Op::Seq { element, bulk, .. } => format!("seq {element}{}", if *bulk { " bulk" } else { "" }),
        Op::Rep { element, count } => format!("rep {count} x {element}"),
        Op::Fields(members) => {
            let member = |text, (plan, from, to)| format!("{text} {plan}@{from}->{to}");
            members.iter().map(|member| (member.plan, member.from, member.to)).fold("fields".into(), member)
        }
        Op::Cases(cases) => {
            let mut text = format!("cases {} @{}->{}:", cases.arm_of.len(), cases.from, cases.to);
            for arm in &cases.arms {
                match arm {
                    Some(plan) => text.push_str(&format!(" {plan}")),
                    None => text.push_str(" none"),
                }
            }
            text
        }
    };
    let size = |form: &crate::plan::Form| format!("{}/{}", form.layout.size, form.layout.align);
    let _ = write!(text, "  ; {} -> {} cost {}", size(&plan.from), size(&plan.to), plan.cost);
    text
}

impl std::fmt::Display for PlanId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p{}", self.index())
    }
}
