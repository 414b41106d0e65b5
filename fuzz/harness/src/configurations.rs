//! The configurations of a case: which rows there are for its target, and in which of them it runs.
//!
//! Targets count their rows differently: most take those of [`CONFIGS`], linked programs have rows that force collections
//! before them, scripts have those behind them, components leave out what stops calls, and one target runs several rows side
//! by side. Whoever wants to name, change or leave out a case's configuration asks here.
//!
//! Invariant: [`configuration_of_case`] of a row below [`row_count`] is what the target runs for [`in_row`] of that row.
//!
//! Does not know: what options do.

use crate::components;
use crate::envelope::Envelope;
use crate::targets;
use wattest_differential::linked;
use wattest_differential::{CONFIGS, WattestConfig};

/// How a target counts its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    /// As the table of configurations does.
    Plain,
    /// Those that force collections first.
    Linked,
    /// Only those that do not stop calls; a scenario has one byte for its row.
    Components,
    /// All, and behind them those that force collections: of scripts.
    #[cfg(feature = "suites")]
    Scripts,
    /// Several rows of the plain table side by side.
    Pairs,
    /// The same over linked programs.
    LinkedPairs,
}

/// None where a target is set up in one way only.
fn table(case: &Envelope) -> Option<Table> {
    Some(match case.target.as_str() {
        "gc_model" | "eh_model" | "diff_linked" => Table::Linked,
        "component_abi" | "hostile_abi" | "resources" | "dfg" => Table::Components,
        #[cfg(feature = "suites")]
        "wast_configs" => Table::Scripts,
        "self_configs" if case.is("linked", "true") => Table::LinkedPairs,
        "self_configs" => Table::Pairs,
        // A case made smaller may have lost its row: then it is the first.
        "diff_core" | "op_matrix" | "emi" | "bounds" | "tables_bulk" | "calls_abi" | "artifact" => Table::Plain,
        _ if case.get("subject").is_some() => Table::Plain,
        _ => return None,
    })
}

/// How many rows the target of a case has; none where it is set up in one way only.
pub fn row_count(case: &Envelope) -> usize {
    match table(case) {
        None => 0,
        Some(Table::Plain | Table::Pairs) => CONFIGS.len(),
        Some(Table::Linked | Table::LinkedPairs) => linked::row_count(),
        Some(Table::Components) => components::row_count(),
        #[cfg(feature = "suites")]
        Some(Table::Scripts) => targets::script_row_count(),
    }
}

/// The configuration of a row of a case's target, modulo their number.
pub fn configuration_of_case(case: &Envelope, row: usize) -> Option<&'static WattestConfig> {
    Some(match table(case)? {
        Table::Plain | Table::Pairs => &CONFIGS[row % CONFIGS.len()],
        Table::Linked | Table::LinkedPairs => linked::configuration(row),
        Table::Components => {
            let rows = components::rows();
            &CONFIGS[rows[row % 256 % rows.len()]]
        }
        #[cfg(feature = "suites")]
        Table::Scripts => targets::script_row(row),
    })
}

/// The rows that a case runs in: one, or those that are compared with one another.
pub fn own_rows(case: &Envelope) -> Vec<usize> {
    match table(case) {
        None => Vec::new(),
        Some(Table::Pairs | Table::LinkedPairs) => targets::side_by_side_rows(case),
        Some(_) => vec![case.number("subject", 0) as usize],
    }
}

/// The case in another row; where rows are compared with one another, in that one and the one that goes first.
pub fn in_row(case: &Envelope, row: usize) -> Envelope {
    match table(case) {
        Some(Table::Pairs) => case.clone().set("rows", row),
        Some(Table::LinkedPairs) => {
            // Those that force collections come first.
            let stressed = linked::row_count() - CONFIGS.len();
            let choice = row.checked_sub(stressed);
            case.clone().set("rows", choice.unwrap_or(row)).set("stress", choice.is_none())
        }
        _ => case.clone().set("subject", row),
    }
}

/// The options of a configuration with their values, and `round-trip`.
pub fn words(configuration: &WattestConfig) -> Vec<String> {
    let options = configuration.options.iter().map(|(key, value)| format!("{key}={value}"));
    options.chain(configuration.round_trip.then(|| wattest_differential::ROUND_TRIP.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_of_the_target() {
        let check = |target: &str, setting: (&str, &str), count: usize, row: usize, expected: &str| {
            let case = Envelope::new(target).set(setting.0, setting.1);
            assert_eq!(row_count(&case), count, "{target}");
            let own = own_rows(&case);
            let name = own.get(row).and_then(|row| configuration_of_case(&case, *row)).map(|row| row.name);
            assert_eq!(name, Some(expected), "{target} {own:?}");
        };
        let endless = components::row_count();
        assert!(endless < CONFIGS.len());
        check("diff_core", ("subject", "1"), CONFIGS.len(), 0, "none");
        check("diff_core", ("form", "original"), CONFIGS.len(), 0, "speed");
        check("bounds", ("subject", "3"), CONFIGS.len(), 0, "explicit");
        check("gc_model", ("subject", "0"), linked::row_count(), 0, "gc-stress");
        check("diff_linked", ("subject", "6"), linked::row_count(), 0, "none");
        // Row 9 of the table counts fuel, which components do not.
        check("hostile_abi", ("subject", "9"), endless, 0, "single-pass");
        check("self_configs", ("rows", "1,14"), CONFIGS.len(), 1, "single-pass");
        let case = Envelope::new("self_configs").set("linked", true).set("rows", "4,3").set("stress", "false,true");
        let names: Vec<_> =
            own_rows(&case).iter().filter_map(|row| configuration_of_case(&case, *row)).map(|row| row.name).collect();
        assert_eq!(names, ["explicit-bounds", "gc-stress-explicit"]);
        let case = Envelope::new("graph");
        assert_eq!((row_count(&case), own_rows(&case)), (0, Vec::new()));
    }

    #[test]
    fn a_case_in_another_row_is_run_in_it() {
        let case = Envelope::new("diff_core").set("subject", 3);
        assert_eq!(own_rows(&in_row(&case, 7)), [7]);
        let pairs = Envelope::new("self_configs").set("rows", "1,2,3,4");
        assert_eq!(own_rows(&in_row(&pairs, 7)), [7]);
        let linked = Envelope::new("self_configs").set("linked", true).set("rows", "1,2,3,4");
        (0..row_count(&linked)).for_each(|row| assert_eq!(own_rows(&in_row(&linked, row)), [row]));
    }
}
