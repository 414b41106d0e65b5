//! What is left of a campaign: a table, and a folder per disagreement.
//!
//! Invariant: a folder holds all that a report to the owner of a bug needs: module, text, arguments, outcome.
//!
//! Does not know: where the numbers come from.

use crate::envelope::Envelope;
use crate::generate_component::shape::Shape;
use crate::stats::Stats;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder of output: `prove` in cargo's target folder.
pub fn output_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from).join("prove")
}

/// Writes a materialized case: the envelope, and its modules as binaries and as text; gives their folder.
///
/// # Errors
///
/// When a file cannot be written.
pub fn write_envelope(folder: &Path, name: &str, case: &Envelope) -> io::Result<PathBuf> {
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("case"), case.to_bytes())?;
    std::fs::write(folder.join("case.txt"), case.header())?;
    for module in &case.modules {
        let file = module_file(&module.name);
        std::fs::write(folder.join(format!("{file}.wasm")), &module.bytes)?;
        if let Ok(text) = wasmprinter::print_bytes(&module.bytes) {
            std::fs::write(folder.join(format!("{file}.wat")), text)?;
        }
    }
    Ok(folder)
}

/// The file of a module, without its ending.
pub fn module_file(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
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
    line("processor time", format!("{:.1} s", stats.cpu_ms as f64 / 1000.0));
    model_lines(stats, &mut line);
    for (reason, count) in &stats.poison {
        line("stopped early", format!("{count}: {reason}"));
    }
    for (said, count) in &stats.third {
        line("V8", format!("{count}: {said}"));
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

fn model_lines(stats: &Stats, line: &mut dyn FnMut(&str, String)) {
    for (name, row) in &stats.models {
        let text = format!(
            "{} cases ({:.1} per second of its own, {:.1} % useful), {} checks of the runtime, {} of the reference; {:.2} % stopped early",
            row.cases,
            row.cases as f64 / stats.seconds_of(name).max(0.001),
            percent(row.useful, row.cases),
            row.checks,
            row.reference_checks,
            percent(row.poisoned, row.cases)
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
