//! `self_configs`: however the runtime is set up, a program does the same.
//!
//! Four configurations run a case: results, host calls, state, and the byte offset of every trap must be equal. The rows
//! that count fuel are compared among themselves in what a step costs, and those that keep locals in the locals of a trap's
//! frames, since that, too, may not depend on how code is generated. Cases are those of `diff_core` (numbers, vectors,
//! memories, tables, host functions) and of `gc_model` and `eh_model` (objects, exceptions): of the latter every fourth
//! configuration is one that collects at every point, the others are those of the table.
//!
//! Invariant: with canonical NaNs and the deterministic profile nothing is left that a configuration may choose.
//!
//! Does not know: what is right.

use super::core::{case_of, envelope};
use super::{Outcome, Target, linked};
use crate::case::Case;
use crate::envelope::Envelope;
use crate::model::Model;
use crate::source::Source;
use std::collections::BTreeMap;
use wattest_differential::linked::{LinkedEngine, LinkedRun, LinkedWattest, compare_linked, row};
use wattest_differential::{CONFIGS, Engine, NanRule, Plan, Run, WattestEngine, compare};

/// Configurations compared with one another.
const ROWS: usize = 4;

/// Operations of a step of a linked program.
const STEPS_MAX: u64 = 200_000;

/// The target.
#[derive(Default)]
pub(super) struct SelfConfigs {
    engines: BTreeMap<usize, WattestEngine>,
    linked: BTreeMap<usize, LinkedWattest>,
}

/// Rows that count fuel: they end calls that do not end, and are compared in what they count.
fn fuel_rows() -> Vec<usize> {
    (0..CONFIGS.len()).filter(|row| CONFIGS[*row].counts_fuel()).collect()
}

/// Rows whose frames keep locals: they are compared in those.
fn locals_rows() -> Vec<usize> {
    (0..CONFIGS.len()).filter(|row| CONFIGS[*row].keeps_locals()).collect()
}

/// Rows that are all different: the same one twice would run the same machine code in the same engine.
fn distinct_rows(source: &mut Source<'_>) -> Vec<usize> {
    let mut left: Vec<usize> = (0..CONFIGS.len()).collect();
    (0..ROWS).map(|_| left.swap_remove(source.below(left.len()))).collect()
}

/// For each row of a linked case whether collections are forced instead: one in four.
fn drawn_stress(source: &mut Source<'_>, rows: usize) -> Vec<bool> {
    let dice = source.byte();
    (0..rows as u32).map(|index| dice.rotate_right(2 * index) & 3 == 0).collect()
}

/// What a stored case says of that; older ones leave it to the number of the row.
fn stored_stress(case: &Envelope, rows: &[usize]) -> Vec<(usize, bool)> {
    match case.get("stress") {
        None => rows.iter().map(|row| (*row, row % 3 == 0)).collect(),
        Some(flags) => {
            let flags = flags.split(',').map(|flag| flag == "true").chain(std::iter::repeat(false));
            rows.iter().copied().zip(flags).collect()
        }
    }
}

/// The rows that a case compares; those of linked programs for a linked case.
pub(super) fn compared_rows(case: &Envelope) -> Vec<usize> {
    let rows = rows_of(case);
    if !case.is("linked", "true") {
        return rows;
    }
    stored_stress(case, &rows).into_iter().map(|(choice, stressed)| row(choice, stressed)).collect()
}

/// The row choices that a case stores.
fn rows_of(case: &Envelope) -> Vec<usize> {
    let rows = case.get("rows").unwrap_or("0,1,2,3").split(',');
    rows.filter_map(|row| row.parse::<usize>().ok()).map(|row| row % CONFIGS.len()).collect()
}

fn listed<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

impl SelfConfigs {
    fn run_core(&mut self, case: &Case, rows: &[usize], by_fuel: bool) -> Outcome {
        let mut plan = case.recipe.plan.clone();
        plan.nans = NanRule::Exact;
        let mut outcome = Outcome::default();
        // One that counts fuel goes first: what does not end there is not asked of the others.
        let first = fuel_rows()[0];
        let expected = match self.run_row(first, case, &plan) {
            Ok(run) => run,
            Err(what) => return Outcome::failed(CONFIGS[first].name, what),
        };
        outcome.useful = expected.steps.len() > 1;
        outcome.poison.extend(expected.stopped.map(|poison| format!("subject: {poison}")));
        if expected.steps.is_empty() {
            return outcome;
        }
        plan.calls.truncate(expected.steps.len() - 1);
        let mut with_locals: Option<(usize, Run)> = None;
        for row in rows.iter().copied().filter(|row| *row != first) {
            let name = format!("wattest ({}) against ({})", CONFIGS[row].name, CONFIGS[first].name);
            let run = match self.run_row(row, case, &plan) {
                Ok(run) => run,
                Err(what) => return Outcome::failed(&name, what),
            };
            outcome.checks += run.steps.len() as u64;
            outcome.poison.extend(run.stopped.map(|poison| format!("{}: {poison}", CONFIGS[row].name)));
            if let Err(mismatch) = compare(&expected, &run, NanRule::Exact) {
                return Outcome::failed(&name, mismatch.to_string());
            }
            if by_fuel && let Some(what) = other_cost(&expected, &run) {
                return Outcome::failed(&name, what);
            }
            if !CONFIGS[row].keeps_locals() {
                continue;
            }
            match &with_locals {
                None => with_locals = Some((row, run)),
                Some((other, known)) => {
                    if let Err(mismatch) = compare(known, &run, NanRule::Exact) {
                        let name = format!("wattest ({}) against ({})", CONFIGS[row].name, CONFIGS[*other].name);
                        return Outcome::failed(&name, mismatch.to_string());
                    }
                }
            }
        }
        outcome
    }

    fn run_row(&mut self, row: usize, case: &Case, plan: &Plan) -> Result<Run, String> {
        let engine = self.engines.entry(row).or_insert_with(|| WattestEngine::new(row));
        engine.run(&case.program, plan).map_err(|refusal| refusal.to_string())
    }

    /// Runs a linked program in the row of [`row`] for each choice and its flag.
    fn run_linked(&mut self, case: &Envelope, rows: &[(usize, bool)]) -> Outcome {
        let program = linked::program_of(case);
        if program.modules.is_empty() || program.calls.iter().any(|call| call.module >= program.modules.len()) {
            return Outcome::default();
        }
        let mut outcome = Outcome::default();
        let mut expected: Option<(String, LinkedRun)> = None;
        let mut program = program;
        let fuel = fuel_rows()[0];
        // The row of plain configurations starts behind those that force collections.
        let rows = [row(fuel, false)].into_iter().chain(rows.iter().map(|(choice, stressed)| row(*choice, *stressed)));
        for row in rows {
            let engine = self.linked.entry(row).or_insert_with(|| LinkedWattest::new(row));
            let run = match engine.run(&program, STEPS_MAX) {
                Ok(run) => run,
                Err(refusal) => return Outcome::failed(&engine.name(), refusal.to_string()),
            };
            outcome.checks += run.steps.len() as u64;
            match &expected {
                None => {
                    outcome.poison.extend(run.stopped.map(|poison| format!("subject: {poison}")));
                    outcome.useful = run.steps.len() > 1;
                    program.calls.truncate(run.steps.len().saturating_sub(program.modules.len()));
                    expected = Some((engine.name(), run));
                }
                Some((first, expected)) => {
                    outcome.poison.extend(run.stopped.map(|poison| format!("{}: {poison}", engine.name())));
                    if let Err(what) = compare_linked(expected, &run) {
                        return Outcome::failed(&format!("{} against {first}", engine.name()), what);
                    }
                }
            }
        }
        outcome
    }
}

/// The first step that costs another amount of fuel.
fn other_cost(left: &Run, right: &Run) -> Option<String> {
    let mut steps = left.steps.iter().zip(&right.steps).enumerate();
    let (step, (left, right)) = steps.find(|(_, (left, right))| left.operations != right.operations)?;
    Some(format!("at step {step}: {} units of fuel against {}", left.operations, right.operations))
}

impl Target for SelfConfigs {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let choice = source.below(10);
        let by_fuel = source.percent(30);
        let rows = match (by_fuel, source.percent(15)) {
            (true, _) => fuel_rows(),
            (_, true) => locals_rows(),
            _ => distinct_rows(&mut source),
        };
        let stress = drawn_stress(&mut source, rows.len());
        let rest = bytes.get(8..).unwrap_or_default();
        let case = if choice < 6 {
            envelope("self_configs", &Case::from_bytes(rest)?).set("form", "original")
        } else {
            let model = Model::named(if choice < 8 { "gc_model" } else { "eh_model" })?;
            let case = linked::envelope("self_configs", &model.case(rest)?.program, 0);
            case.set("linked", true).set("stress", listed(&stress))
        };
        Some(case.set("rows", listed(&rows)).set("fuel", by_fuel))
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let rows = rows_of(case);
        if case.is("linked", "true") {
            return self.run_linked(case, &stored_stress(case, &rows));
        }
        let Some(core) = case_of(case) else { return Outcome::default() };
        let by_fuel = case.is("fuel", "true") && rows.iter().all(|row| CONFIGS[*row].counts_fuel());
        self.run_core(&core, &rows, by_fuel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::expand;
    use std::collections::BTreeSet;

    #[test]
    fn no_row_is_drawn_twice() {
        let mut drawn = BTreeSet::new();
        for seed in 0..200 {
            let rows = distinct_rows(&mut Source::new(&expand(seed)));
            assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), ROWS, "{rows:?}");
            drawn.extend(rows);
        }
        assert_eq!(drawn.len(), CONFIGS.len());
    }

    /// Linked programs run in every row of the table as it is, and are stressed in one of four.
    #[test]
    fn every_row_runs_linked_programs_plainly() {
        let (mut plainly, mut stressed, mut all) = (BTreeSet::new(), 0, 0);
        for seed in 0..500 {
            let Some(case) = SelfConfigs::default().generate(&expand(seed)) else { continue };
            if !case.is("linked", "true") {
                continue;
            }
            let rows: Vec<usize> =
                case.get("rows").expect("rows").split(',').filter_map(|row| row.parse().ok()).collect();
            for (row, flag) in stored_stress(&case, &rows) {
                all += 1;
                stressed += usize::from(flag);
                if !flag {
                    plainly.insert(row);
                }
            }
        }
        assert_eq!(plainly.len(), CONFIGS.len());
        assert!(stressed * 3 > all / 2 && stressed * 3 < all, "{stressed} of {all}");
    }

    #[test]
    fn older_cases_keep_their_meaning() {
        let check = |case: Envelope, expected: &[bool]| {
            let flags: Vec<bool> = stored_stress(&case, &[3, 4, 6]).into_iter().map(|(_, flag)| flag).collect();
            assert_eq!(flags, expected);
        };
        check(Envelope::new("self_configs"), &[true, false, true]);
        check(Envelope::new("self_configs").set("stress", "false,true"), &[false, true, false]);
    }
}
