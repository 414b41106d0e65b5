//! Cases of other targets that fail in the same way and that a script can say.
//!
//! Rewritings, configurations side by side and models of memories are how a fault is found; what is left of it is a module
//! with calls, in one configuration, against the reference. [`lanes`] lists the cases of `diff_core` and `diff_linked` that
//! a failing case may be, the likeliest first. Components are looked at from outside only, their host beside them; a chain
//! of calls goes without its host, or from behind it.
//!
//! Invariant: the configuration of a lane is one of those that the case was run in, or that one without what stops calls.
//!
//! Does not know: which of them fails.

use super::guest;
use crate::envelope::{Envelope, EnvelopeCall};
use crate::targets;
use std::collections::BTreeMap;
use wasmparser::{ExternalKind, Parser, Payload};

/// The case itself first, where a script can say it.
pub(super) fn lanes(case: &Envelope) -> Vec<Envelope> {
    let subject = case.number("subject", 0) as usize;
    let mut all = match case.target.as_str() {
        "diff_core" | "op_matrix" => rows_of(subject).into_iter().map(|row| core(case, 0, row)).collect(),
        "gc_model" | "eh_model" | "diff_linked" => Vec::new(),
        "emi" => {
            let both = |row| [core(case, 1, row), core(case, 0, row)];
            rows_of(subject).into_iter().flat_map(both).collect()
        }
        "bounds" | "tables_bulk" => vec![core(case, 0, subject), linked(&named(case), linked_row(subject))],
        "calls_abi" => {
            let both = |case: &Envelope| [subject, 0].map(|row| linked(case, linked_row(row)));
            targets::calls_without_host(case).iter().flat_map(both).collect()
        }
        "component_abi" | "hostile_abi" | "resources" | "dfg" => {
            // Stages before the last are not looked at there.
            let own = Envelope { target: "component_abi".to_owned(), ..case.clone() };
            guest::without_host(&own).into_iter().chain([own]).collect()
        }
        "self_configs" => {
            let rows = case.get("rows").unwrap_or_default().split(',').filter_map(|row| row.parse::<usize>().ok());
            let linked_too = |row: usize| [stressed_row(row), linked_row(row)].map(|row| linked(case, row));
            if case.is("linked", "true") {
                rows.flat_map(linked_too).collect()
            } else {
                rows.flat_map(rows_of).map(|row| core(case, 0, row)).collect()
            }
        }
        _ => return Vec::new(),
    };
    all.retain(|lane| !lane.modules.is_empty());
    all
}

/// One module of a case, against the reference and wasmi.
fn core(case: &Envelope, module: usize, subject: usize) -> Envelope {
    let mut lane = case.clone();
    lane.target = "diff_core".to_owned();
    lane.modules = case.modules.get(module).cloned().into_iter().collect();
    lane.settings.retain(|name, _| ["host-acts", "host-seed", "steps", "nans"].contains(&name.as_str()));
    lane.set("form", "original").set("subject", subject)
}

/// The modules of a case linked with each other, against the reference.
fn linked(case: &Envelope, subject: usize) -> Envelope {
    let mut lane = case.clone();
    lane.target = "diff_linked".to_owned();
    lane.settings = BTreeMap::new();
    lane.set("subject", subject)
}

/// The case with its calls by name instead of index; calls of what has no name are left out.
fn named(case: &Envelope) -> Envelope {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for payload in Parser::new(0).parse_all(case.bytes(0)).filter_map(Result::ok) {
        let Payload::ExportSection(reader) = payload else { continue };
        for export in reader.into_iter().filter_map(Result::ok).filter(|export| export.kind == ExternalKind::Func) {
            names.insert(export.index.to_string(), export.name.to_owned());
        }
    }
    let mut lane = case.clone();
    let call = |call: &EnvelopeCall| Some(EnvelopeCall { func: names.get(&call.func)?.clone(), ..call.clone() });
    lane.calls = case.calls.iter().filter_map(call).collect();
    lane
}

/// A row of configurations, before it the one that is the same but for what stops calls: a script has no fuel to run out of.
#[cfg(feature = "wattest")]
fn rows_of(row: usize) -> Vec<usize> {
    use wattest_differential::CONFIGS;
    let stops = |option: &&(&str, &str)| ["fuel", "epoch"].contains(&option.0);
    let row = row % CONFIGS.len();
    let wanted: Vec<_> = CONFIGS[row].options.iter().filter(|option| !stops(option)).collect();
    let same = |other: &wattest_differential::WattestConfig| {
        other.round_trip == CONFIGS[row].round_trip && other.options.iter().eq(wanted.iter().copied())
    };
    CONFIGS.iter().position(same).into_iter().filter(|other| *other != row).chain([row]).collect()
}

#[cfg(not(feature = "wattest"))]
fn rows_of(row: usize) -> Vec<usize> {
    vec![row]
}

#[cfg(feature = "wattest")]
fn linked_row(row: usize) -> usize {
    wattest_differential::linked::row(row, false)
}

/// The row that forces collections, for a choice of `self_configs`.
#[cfg(feature = "wattest")]
fn stressed_row(row: usize) -> usize {
    wattest_differential::linked::row(row, true)
}

#[cfg(not(feature = "wattest"))]
fn linked_row(row: usize) -> usize {
    row
}

#[cfg(not(feature = "wattest"))]
fn stressed_row(row: usize) -> usize {
    row
}

#[cfg(all(test, feature = "wattest"))]
mod tests {
    use super::*;
    use wattest_differential::CONFIGS;

    #[test]
    fn what_stops_calls_is_left_out_first() {
        let check = |name: &str, expected: &[&str]| {
            let row = CONFIGS.iter().position(|row| row.name == name).expect("a row");
            let found: Vec<&str> = rows_of(row).into_iter().map(|row| CONFIGS[row].name).collect();
            assert_eq!(found, expected);
        };
        check("speed", &["speed"]);
        check("fuel-none", &["none", "fuel-none"]);
        check("fuel-explicit", &["explicit", "fuel-explicit"]);
        check("fuel-single-pass", &["single-pass", "fuel-single-pass"]);
        check("round-trip", &["round-trip"]);
    }
}
