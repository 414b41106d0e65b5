//! What is left of a campaign: a table, and a folder per disagreement.
//!
//! Invariant: a folder holds all that a report to the owner of a bug needs: module, text, arguments, outcome.
//!
//! Does not know: where the numbers come from.

use crate::case::{Case, Recipe};
use crate::diff_core::Outcome;
use crate::generate_component::Scenario;
use crate::generate_component::shape::Shape;
use crate::model::ModelCase;
use crate::stats::Stats;
use serde::Serialize;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder of output: `prove` in cargo's target folder.
pub fn output_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from).join("prove")
}

/// Writes `case.wasm`, `case.wat` and `case.json`; gives their folder.
///
/// # Errors
///
/// When a file cannot be written.
pub fn write_case(folder: &Path, case: &Case, outcome: Option<&Outcome>) -> io::Result<PathBuf> {
    #[derive(Serialize)]
    struct Description<'a> {
        replay: String,
        recipe: &'a Recipe,
        outcome: Option<&'a Outcome>,
    }
    let folder = folder.join(format!("diff_core-{:#x}", case.recipe.seed.unwrap_or_default()));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("case.wasm"), &case.program.wasm)?;
    let text = wasmprinter::print_bytes(&case.program.wasm).unwrap_or_else(|error| format!(";; {error}"));
    std::fs::write(folder.join("case.wat"), text)?;
    let description = Description { replay: case.replay_line(), recipe: &case.recipe, outcome };
    std::fs::write(folder.join("case.json"), serde_json::to_string_pretty(&description)?)?;
    Ok(folder)
}

/// Writes the modules of a case of another property, as binaries and as text, and what is expected of them.
///
/// # Errors
///
/// When a file cannot be written.
pub fn write_model_case(folder: &Path, name: &str, seed: u64, case: &ModelCase) -> io::Result<PathBuf> {
    let folder = folder.join(format!("{name}-{seed:#x}"));
    std::fs::create_dir_all(&folder)?;
    for module in &case.program.modules {
        std::fs::write(folder.join(format!("{}.wasm", module.name)), &module.wasm)?;
        let text = wasmprinter::print_bytes(&module.wasm).unwrap_or_else(|error| format!(";; {error}"));
        std::fs::write(folder.join(format!("{}.wat", module.name)), text)?;
    }
    let mut text = format!("cargo prove --replay {name}:{seed:#x}\nsubject row {}\n", case.subject);
    for (index, call) in case.program.calls.iter().enumerate() {
        let step = index + case.program.modules.len();
        let ending = case.expected.as_ref().and_then(|run| run.steps.get(step)).map(|step| &step.ending);
        // Writing to a string does not fail.
        let _ = writeln!(text, "step {step}: module {} {} {:x?} => {ending:x?}", call.module, call.export, call.args);
    }
    std::fs::write(folder.join("case.txt"), text)?;
    Ok(folder)
}

/// Writes a scenario of components to a folder of its own.
///
/// # Errors
///
/// When files cannot be written.
pub fn write_scenario(folder: &Path, name: &str, seed: u64, scenario: &Scenario) -> io::Result<PathBuf> {
    let folder = folder.join(format!("{name}-{seed:#x}"));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("component.wasm"), &scenario.case.wasm)?;
    std::fs::write(folder.join("component.wat"), &scenario.text)?;
    let mut text = format!("cargo prove --replay {name}:{seed:#x}\nsubject row {}\n", scenario.subject);
    for (step, call) in scenario.case.calls.iter().enumerate() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "step {}: {} {} {:x?}", step + 1, call.instance, call.func, call.args);
    }
    std::fs::write(folder.join("case.txt"), text)?;
    Ok(folder)
}

/// The table of a campaign.
pub fn table(stats: &Stats, elapsed: Duration) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:<28} {value}");
    };
    let seconds = elapsed.as_secs_f64().max(0.001);
    if stats.modules > 0 {
        core_lines(stats, seconds, &mut line);
    }
    model_lines(stats, seconds, &mut line);
    for (reason, count) in &stats.poison {
        line("stopped early", format!("{count} ({:.2} %), {reason}", percent(*count, stats.modules)));
    }
    for (finding, count) in &stats.explained {
        line("explained", format!("{count} by {finding}"));
    }
    line("oracle outvoted", stats.outvoted.len().to_string());
    line("disagreements", stats.disagreements.len().to_string());
    text
}

fn core_lines(stats: &Stats, seconds: f64, line: &mut dyn FnMut(&str, String)) {
    let typed = stats.typed.max(1) as f64;
    line("modules", format!("{} ({:.0} per second)", stats.modules, stats.modules as f64 / seconds));
    line("checks (calls compared)", format!("{} ({:.0} per second)", stats.checks, stats.checks as f64 / seconds));
    line("  ended in a trap", format!("{:.1} %", percent(stats.traps, stats.checks)));
    line("  operations executed", format!("{:.0} per call", stats.executed as f64 / stats.checks.max(1) as f64));
    line("useful executions", format!("{:.1} %", stats.useful_percent()));
    line("functions per module", format!("{:.1} on average", stats.functions as f64 / typed));
    line("operations per module", format!("{:.0} on average", stats.operations as f64 / typed));
    line("  of which by 50", histogram(stats.operations_by_50.iter().map(|(key, count)| (*key, *count)), stats.typed));
    line(
        "  functions, distribution",
        histogram(stats.functions_by_1.iter().map(|(key, count)| (*key, *count)), stats.typed),
    );
}

fn model_lines(stats: &Stats, seconds: f64, line: &mut dyn FnMut(&str, String)) {
    for (name, row) in &stats.models {
        let text = format!(
            "{} cases ({:.1} per second), as predicted: {} steps of the runtime, {} of the reference; {} stopped early",
            row.cases,
            row.cases as f64 / seconds,
            row.checks,
            row.reference_checks,
            row.poisoned
        );
        line(name, text);
    }
    if !stats.shapes.is_empty() {
        // Those that nothing reached too: what is missing is what there is to see.
        for shape in Shape::ALL {
            let count = stats.shapes.get(shape.text()).copied().unwrap_or(0);
            line("scenarios of components with", format!("{count:>12} {}", shape.text()));
        }
    }
    for (group, count) in &stats.tally {
        line("operations executed", format!("{count:>12} {group}"));
    }
    if !stats.tally.is_empty() {
        line(
            "  counted by the reference",
            format!("in all cases but those of diff_core, and {} of those", stats.sampled),
        );
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

fn histogram(rows: impl Iterator<Item = (u32, u64)>, whole: u64) -> String {
    let cells: Vec<String> = rows.map(|(key, count)| format!("{key}:{:.0}%", percent(count, whole))).collect();
    cells.join(" ")
}
