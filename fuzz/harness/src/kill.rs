//! `cargo prove mutants`: which planted faults the targets find, and how fast.
//!
//! For each fault one campaign with the fault switched on, all targets that can see it interleaved, until the first
//! disagreement or the end of its time; beside it the same campaign of the baseline lane, which does what the usual harness
//! does. Before them, a campaign without any fault, which must find nothing. In an ordinary build, the command builds itself
//! with faults into a folder of its own and goes on there.
//!
//! Invariant: a fault counts as killed only by a disagreement that names a target and a seed, or by the death of a worker.
//!
//! Does not know: what the faults are.

use crate::campaign::{Campaign, SILENCE_MAX};
use crate::envelope::Envelope;
use crate::html;
use crate::reduction::{self, Place};
use crate::report;
use crate::source::expand;
use crate::stats::{Found, Stats};
use crate::targets::{BASELINE, Targets};
use crate::worker::case_file;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// What is asked for.
#[derive(clap::Args)]
pub struct Arguments {
    /// Longest campaign for one fault, in seconds of each worker's processor time: what else runs on the machine does not
    /// count.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    time: u64,
    /// Longest campaign of the baseline lane for one fault, in seconds; 0 leaves it out.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    baseline: u64,
    /// Length of the campaign without faults, and of the baseline lane without faults, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    clean: u64,
    /// Only faults whose names contain this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// After the first kill, go on with every other target by itself.
    #[arg(long)]
    full: bool,
    /// Reduce each first failing case and write it as a script.
    #[arg(long)]
    regressions: bool,
    /// Worker processes.
    #[arg(long, default_value_t = 2)]
    jobs: u64,
    /// Seed of the campaigns.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the report to this file, one self-contained page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print everything as one JSON object.
    #[arg(long)]
    json: bool,
}

/// A kill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kill {
    /// The target that found it first.
    pub target: String,
    /// The seed of the case.
    pub seed: u64,
    /// What it said.
    pub what: String,
    /// Whom the vote suspects: the reference, for faults planted there.
    pub suspect: String,
    /// Cases until then, of all targets.
    pub executions: u64,
    /// Time until then: processor time of each worker, and the time for which it hung.
    pub seconds: f64,
    /// The same on the clock.
    #[serde(default)]
    pub clock_seconds: f64,
}

/// Most operations of a script that is a regression.
const OPERATIONS_MAX: usize = 20;

/// So many first failing cases in a hundred have to become one, of faults that a script can show.
const SCRIPTS_PERCENT_MIN: f64 = 90.0;

/// Longest reduction to one, in seconds of processor time: what else runs on the machine does not count.
const REDUCED_WITHIN: f64 = 60.0;

/// What became of the first failing case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reduced {
    /// Operations that are left.
    pub operations: usize,
    /// Whether a script says it.
    pub is_script: bool,
    /// How long it took: processor time of this process and those that it started.
    pub seconds: f64,
    /// The same on the clock.
    #[serde(default)]
    pub clock_seconds: f64,
    /// The file.
    pub file: String,
    /// Whether the file fails while the fault is on, run again by itself.
    #[serde(default)]
    pub replays: bool,
}

impl Reduced {
    /// Whether this is a regression that somebody would read.
    pub fn is_small_script(&self) -> bool {
        self.is_script && self.operations <= OPERATIONS_MAX && self.seconds < REDUCED_WITHIN
    }
}

/// A row of the matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The fault.
    pub mutant: String,
    /// What it is in.
    pub layer: String,
    /// What it is modelled on.
    pub reason: String,
    /// Why no script can show it; none where one can.
    #[serde(default)]
    pub case_only: Option<String>,
    /// How it was killed, if it was.
    pub kill: Option<Kill>,
    /// The same in the baseline lane.
    pub baseline: Option<Kill>,
    /// Other targets that kill it by themselves, with `--full`.
    pub others: Vec<Kill>,
    /// The reduced case.
    pub reduced: Option<Reduced>,
}

/// The whole matrix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// The rows, in the order of the faults' table.
    pub rows: Vec<Row>,
    /// Cases without a fault, and what they wrongly found.
    pub clean_executions: u64,
    /// False positives.
    pub false_positives: Vec<Found>,
}

impl Matrix {
    /// Faults in a hundred that were killed within `seconds`.
    pub fn killed_percent(&self, seconds: f64) -> f64 {
        let within = self.rows.iter().filter(|row| row.kill.as_ref().is_some_and(|kill| kill.seconds <= seconds));
        within.count() as f64 * 100.0 / self.rows.len().max(1) as f64
    }

    /// First failing cases in a hundred, of faults that a script can show, that became a small one; all where none was
    /// reduced.
    pub fn scripts_percent(&self) -> f64 {
        let reduced = self.rows.iter().filter(|row| row.case_only.is_none()).filter_map(|row| row.reduced.as_ref());
        let (small, others): (Vec<_>, Vec<_>) = reduced.partition(|reduced| reduced.is_small_script());
        match small.len() + others.len() {
            0 => 100.0,
            all => small.len() as f64 * 100.0 / all as f64,
        }
    }

    /// The same of the baseline lane.
    pub fn baseline_percent(&self) -> f64 {
        let killed = self.rows.iter().filter(|row| row.baseline.is_some());
        killed.count() as f64 * 100.0 / self.rows.len().max(1) as f64
    }
}

/// Runs the matrix. Whether enough is killed and nothing was found without a fault.
///
/// # Errors
///
/// When processes cannot be started or files cannot be written.
pub fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    match faults() {
        Some(faults) => run_matrix(arguments, &faults),
        None => run_elsewhere(),
    }
}

/// A planted fault.
struct Fault {
    name: String,
    layer: String,
    reason: &'static str,
    /// Why no script can show it; none where one can.
    case_only: Option<&'static str>,
}

/// Before the name of a fault that is planted in the reference instead of the runtime.
pub const FLIP_PREFIX: &str = "reference:";

/// The planted faults of this build, then those of the reference.
#[cfg(wattest_mutants)]
fn faults() -> Option<Vec<Fault>> {
    let rows = wattest_abi::mutants::ROWS.iter();
    let rows = rows.map(|row| Fault {
        name: row.name().to_owned(),
        layer: format!("{:?}", row.layer),
        reason: row.reason,
        case_only: match row.shown {
            wattest_abi::mutants::Shown::Script => None,
            wattest_abi::mutants::Shown::Case(why) => Some(why),
        },
    });
    let flips = wattest_reference::flips::NAMES.iter().map(|name| Fault {
        name: format!("{FLIP_PREFIX}{name}"),
        layer: "Oracle".to_owned(),
        reason: "planted in the reference",
        case_only: None,
    });
    Some(rows.chain(flips).collect())
}

/// An ordinary build has none.
#[cfg(not(wattest_mutants))]
fn faults() -> Option<Vec<Fault>> {
    None
}

fn run_matrix(arguments: &Arguments, faults: &[Fault]) -> Result<bool, Box<dyn Error>> {
    let mut matrix = Matrix::default();
    let folder = report::output_folder().join("mutants");
    std::fs::create_dir_all(&folder)?;
    if arguments.clean > 0 {
        // The lane that stands for others, too: what it says without a fault is no kill with one.
        let lanes = if arguments.baseline == 0 { &[None][..] } else { &[None, Some(BASELINE)] };
        for only in lanes {
            let stats = campaign(arguments, &folder, None, *only, arguments.clean)?;
            matrix.clean_executions += stats.seeds;
            matrix.false_positives.extend(stats.disagreements);
        }
    }
    for fault in faults {
        if arguments.only.as_deref().is_some_and(|only| !fault.name.contains(only)) {
            continue;
        }
        let measured = measure(arguments, &folder, fault)?;
        print_row(&measured);
        matrix.rows.push(measured);
        std::fs::write(folder.join("matrix.json"), serde_json::to_string_pretty(&matrix)?)?;
    }
    print_summary(&matrix);
    if let Some(file) = &arguments.html {
        let contents = html::Contents { conformance: None, stats: None, elapsed: Duration::ZERO, kills: Some(&matrix) };
        std::fs::write(file, html::page(&contents))?;
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&matrix)?);
    }
    let is_killed = matrix.killed_percent(arguments.time as f64) >= 95.0;
    Ok(matrix.false_positives.is_empty() && is_killed && matrix.scripts_percent() >= SCRIPTS_PERCENT_MIN)
}

/// The matrix of the last `cargo prove mutants`, if there is one in this folder of outputs.
pub fn last(folder: &Path) -> Option<Matrix> {
    let text = std::fs::read_to_string(folder.join("mutants").join("matrix.json")).ok()?;
    serde_json::from_str(&text).ok()
}

/// Builds this binary with planted faults, in a target folder of its own, and runs it with the same arguments.
fn run_elsewhere() -> Result<bool, Box<dyn Error>> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let target = target.join("mutants");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    eprintln!("building with planted faults into {}", target.display());
    let built = Command::new(cargo)
        .args(["build", "--profile", "mutants", "-p", "wattest-harness", "--bin", "prove", "--target-dir"])
        .arg(&target)
        .env("RUSTFLAGS", format!("{flags} --cfg wattest_mutants"))
        .status()?;
    if !built.success() {
        return Err("the build with planted faults failed".into());
    }
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let status = Command::new(target.join("mutants").join("prove")).args(arguments).status()?;
    Ok(status.success())
}

/// A machine on which a worker gets less than one part in so many of a core is too busy to measure anything.
const BUSY_FACTOR_MAX: u64 = 20;

fn campaign(
    arguments: &Arguments,
    folder: &Path,
    mutant: Option<&str>,
    only: Option<&str>,
    seconds: u64,
) -> Result<Stats, Box<dyn Error>> {
    let jobs = arguments.jobs.max(1);
    let campaign = Campaign {
        seed: arguments.seed,
        time: Duration::from_secs(seconds * BUSY_FACTOR_MAX),
        only: only.map(str::to_owned),
        jobs,
        folder: folder.to_owned(),
        cpu: Some(Duration::from_secs(seconds * jobs)),
        mutant: mutant.map(str::to_owned),
        until_found: mutant.is_some(),
    };
    Ok(campaign.run(&mut |_, _| {})?)
}

/// One campaign until the first kill.
fn hunt(
    arguments: &Arguments,
    folder: &Path,
    mutant: &str,
    only: Option<&str>,
    seconds: u64,
) -> Result<Option<Kill>, Box<dyn Error>> {
    let start = Instant::now();
    let stats = campaign(arguments, folder, Some(mutant), only, seconds)?;
    let found = stats.disagreements.first().or(stats.outvoted.first());
    let hung = found.is_some_and(|found| found.what.starts_with("hangs"));
    let used = stats.cpu_ms as f64 / 1000.0 / arguments.jobs.max(1) as f64;
    let seconds = used + if hung { SILENCE_MAX.as_secs_f64() } else { 0.0 };
    Ok(found.map(|found| Kill {
        target: found.target.clone(),
        seed: found.seed,
        what: format!("{}: {}", found.subject, found.what).chars().take(300).collect(),
        suspect: format!("{:?}", found.vote.suspect),
        executions: stats.seeds,
        seconds,
        clock_seconds: start.elapsed().as_secs_f64(),
    }))
}

/// The targets that can see a fault of a layer, where not all of them can.
fn applicable(layer: &str) -> Option<&'static str> {
    match layer {
        "Component" => Some("component_abi,hostile_abi,resources,graph,dfg,wast_configs"),
        "Wasi" => Some("wasi_fs"),
        _ => None,
    }
}

/// Measures one fault.
fn measure(arguments: &Arguments, folder: &Path, fault: &Fault) -> Result<Row, Box<dyn Error>> {
    let mutant = fault.name.as_str();
    let kill = hunt(arguments, folder, mutant, applicable(&fault.layer), arguments.time)?;
    let baseline = match arguments.baseline {
        0 => None,
        seconds => hunt(arguments, folder, mutant, Some(BASELINE), seconds)?,
    };
    let mut others = Vec::new();
    if arguments.full && kill.is_some() {
        for target in crate::targets::TARGETS {
            if kill.as_ref().is_none_or(|kill| kill.target != target.name) {
                others.extend(hunt(arguments, folder, mutant, Some(target.name), 60)?);
            }
        }
    }
    let reduced = match &kill {
        Some(kill) if arguments.regressions => reduce(folder, mutant, kill)?,
        _ => None,
    };
    Ok(Row {
        mutant: mutant.to_owned(),
        layer: fault.layer.clone(),
        reason: fault.reason.to_owned(),
        case_only: fault.case_only.map(str::to_owned),
        kill,
        baseline,
        others,
        reduced,
    })
}

/// How much processor time the reduction of one case may take.
const REDUCTION_MAX: Duration = Duration::from_secs(50);

/// Reduces the case of a kill, with the fault on in processes of its own, and writes what is left.
fn reduce(folder: &Path, mutant: &str, kill: &Kill) -> Result<Option<Reduced>, Box<dyn Error>> {
    let start = Instant::now();
    let mut targets = Targets::default();
    // Where the fault shows in a part of the case only, the worker has kept that.
    let kept = std::fs::read(case_file(&folder.join("progress"), &kill.target, kill.seed)).ok();
    let kept = kept.and_then(|bytes| Envelope::parse(&bytes));
    let case = kept.or_else(|| targets.get(&kill.target).and_then(|target| target.decode(&expand(kill.seed))));
    let Some(case) = case else { return Ok(None) };
    let name = mutant.replace(':', "-");
    let place = Place { mutant: Some(mutant), program: None };
    let reduced = reduction::reduce(&case, place, REDUCTION_MAX, folder, &name)?;
    Ok(Some(Reduced {
        operations: reduced.operations,
        is_script: reduced.is_script,
        seconds: reduced.used.as_secs_f64(),
        clock_seconds: start.elapsed().as_secs_f64(),
        replays: reduction::replays(&reduced.file, place)?,
        file: reduced.file.display().to_string(),
    }))
}

fn print_kill(kill: Option<&Kill>) -> String {
    kill.map_or("NOT KILLED".to_owned(), |kill| {
        let Kill { target, executions, seconds, clock_seconds, suspect, .. } = kill;
        format!(
            "{target} after {executions} cases, {seconds:.1} s ({clock_seconds:.1} on the clock), suspect {suspect}"
        )
    })
}

fn print_row(row: &Row) {
    let reduced = row.reduced.as_ref().map_or(String::new(), |reduced| {
        let kind = if reduced.is_script { "script" } else { "case" };
        format!("; {kind} of {} operations in {:.1} s", reduced.operations, reduced.seconds)
    });
    let baseline = print_kill(row.baseline.as_ref());
    println!("{:<40} {} | baseline: {baseline}{reduced}", row.mutant, print_kill(row.kill.as_ref()));
}

fn print_summary(matrix: &Matrix) {
    let (minute, all) = (matrix.killed_percent(60.0), matrix.killed_percent(f64::INFINITY));
    println!("{} faults: {all:.1} % killed, {minute:.1} % within 60 s", matrix.rows.len());
    println!("baseline lane: {:.1} % killed", matrix.baseline_percent());
    println!("without a fault: {} cases, {} disagreements", matrix.clean_executions, matrix.false_positives.len());
    print_reductions(matrix);
    for row in matrix.rows.iter().filter(|row| row.kill.is_none()) {
        println!("NOT KILLED {} ({}): {}", row.mutant, row.layer, row.reason);
    }
}

/// How many first failing cases became what they can be, and each that did not.
fn print_reductions(matrix: &Matrix) {
    let reduced = matrix.rows.iter().filter_map(|row| row.reduced.as_ref().map(|reduced| (row, reduced)));
    let (scripts, cases): (Vec<_>, Vec<_>) = reduced.partition(|(row, _)| row.case_only.is_none());
    if scripts.is_empty() && cases.is_empty() {
        return;
    }
    let small = scripts.iter().filter(|(_, reduced)| reduced.is_small_script()).count();
    let replay = cases.iter().filter(|(_, reduced)| reduced.replays).count();
    println!(
        "{small} of {} first failing cases of faults that a script can show became one of at most {OPERATIONS_MAX} operations",
        scripts.len()
    );
    println!("{replay} of {} of the others became a reduced case or a script that fails again", cases.len());
    for (row, reduced) in scripts.iter().filter(|(_, reduced)| !reduced.is_small_script()) {
        let kind = if reduced.is_script { "a script" } else { "a case" };
        let Reduced { operations, seconds, file, .. } = reduced;
        println!("NO SMALL SCRIPT {}: {kind} of {operations} operations in {seconds:.1} s, {file}", row.mutant);
    }
    for (row, reduced) in cases.iter().filter(|(_, reduced)| !reduced.replays) {
        println!("DOES NOT FAIL AGAIN {}: {}", row.mutant, reduced.file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::named;

    #[test]
    fn targets_of_layers_exist() {
        for layer in ["Component", "Wasi"] {
            let names = applicable(layer).expect("targets of their own");
            assert!(names.split(',').all(|name| named(name).is_some()), "{names}");
        }
        assert_eq!(applicable("Bounds"), None);
    }
}
