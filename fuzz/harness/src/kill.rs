//! `cargo prove mutants`: which planted faults the targets find, and how fast.
//!
//! For each fault one campaign with the fault switched on, all targets that can see it interleaved, until the first
//! disagreement or the end of its time; beside it the same campaign of the baseline lane, which does what the usual harness
//! does. Before them, a campaign without any fault, which must find nothing. In an ordinary build, the command builds itself
//! with faults into a folder of its own and goes on there.
//!
//! Invariant: a fault counts as killed only by a disagreement that names a target and a seed, or by the death of a worker, and
//! only where the vote does not blame somebody else: the oracle for a fault of the runtime, anybody but the reference for one
//! of the reference.
//!
//! Does not know: what the faults are.

use crate::campaign::{Campaign, SILENCE_MAX, Until};
use crate::envelope::Envelope;
use crate::html;
use crate::reduction::{self, Place};
use crate::report;
use crate::source::expand;
use crate::stats::{Found, Stats};
use crate::targets::{BASELINE, Targets};
use crate::vote::Suspect;
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

/// So many faults in a hundred have to be killed in their time.
const KILLED_PERCENT_MIN: f64 = 95.0;

/// And so many within [`SOON`].
const SOON_PERCENT_MIN: f64 = 75.0;

/// A minute, in seconds.
const SOON: f64 = 60.0;

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
    /// A disagreement of a fault in the reference for which the vote blames another side, or nobody; only where none blames
    /// the reference.
    #[serde(default)]
    pub wrongly_blamed: Option<Kill>,
    /// The commit that it was measured at, as far as that is known.
    #[serde(default)]
    pub commit: String,
    /// The day.
    #[serde(default)]
    pub date: String,
}

impl Row {
    /// Whether its first failing case became what such a case can become: a short script where a script can show it, else
    /// something that fails again when it is run by itself. Nothing is said of a row that was not killed.
    fn is_reduced(&self) -> bool {
        match &self.reduced {
            None => false,
            Some(reduced) if self.case_only.is_none() && reduced.is_small_script() => true,
            Some(reduced) => reduced.replays,
        }
    }
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
        if self.rows.iter().all(|row| row.reduced.is_none()) {
            return 100.0;
        }
        // One that was killed and not reduced is a miss as well.
        let killed: Vec<_> = self.rows.iter().filter(|row| row.case_only.is_none() && row.kill.is_some()).collect();
        let is_small = |row: &&&Row| row.reduced.as_ref().is_some_and(Reduced::is_small_script);
        match killed.len() {
            0 => 100.0,
            all => killed.iter().filter(is_small).count() as f64 * 100.0 / all as f64,
        }
    }

    /// Why this is not enough: what was found without a fault, wrong blame, cases that do not fail again; and, of a matrix of
    /// all faults, too few kills. `seconds` is the time that each had; `reduced` says whether first failing cases were.
    pub fn misses(&self, seconds: f64, is_whole: bool, reduced: bool) -> Vec<String> {
        let mut misses = Vec::new();
        if !self.false_positives.is_empty() {
            misses.push(format!("{} disagreements without a fault", self.false_positives.len()));
        }
        for row in self.rows.iter().filter(|row| row.kill.is_none()) {
            if let Some(blamed) = &row.wrongly_blamed {
                misses.push(format!("WRONGLY BLAMED {}: {} suspects {}", row.mutant, blamed.target, blamed.suspect));
            }
        }
        if reduced {
            let missed = self.rows.iter().filter(|row| row.kill.is_some() && !row.is_reduced());
            misses.extend(missed.map(|row| match &row.reduced {
                None => format!("NOT REDUCED {}", row.mutant),
                Some(reduced) => format!("DOES NOT FAIL AGAIN {}: {}", row.mutant, reduced.file),
            }));
        }
        let bars = [
            ("killed", self.killed_percent(seconds), KILLED_PERCENT_MIN),
            ("killed within 60 s", self.killed_percent(SOON), SOON_PERCENT_MIN),
            ("first failing cases that became a short script", self.scripts_percent(), SCRIPTS_PERCENT_MIN),
        ];
        // Of some of the faults, shares say nothing.
        for (what, found, least) in bars.into_iter().filter(|(_, found, least)| is_whole && found < least) {
            misses.push(format!("{what}: {found:.1} %, not {least} %"));
        }
        misses
    }

    /// The same with these rows instead of those of the same faults, in the order of `names`; rows of no such fault go.
    #[must_use]
    fn with_rows(&self, rows: &[Row], names: &[&str]) -> Matrix {
        let of = |name: &&str| {
            let mut all = rows.iter().chain(&self.rows);
            all.find(|row| row.mutant == **name).cloned()
        };
        Matrix { rows: names.iter().filter_map(of).collect(), ..self.clone() }
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
    // What is measured takes nothing away from what is known of the others; each row says when it was measured.
    let known = last(&report::output_folder()).unwrap_or_default();
    let known = if arguments.clean > 0 { Matrix { rows: known.rows, ..matrix.clone() } } else { known };
    let names: Vec<&str> = faults.iter().map(|fault| fault.name.as_str()).collect();
    let mut whole = known.clone();
    let is_asked_for = |fault: &&Fault| arguments.only.as_deref().is_none_or(|only| fault.name.contains(only));
    for fault in faults.iter().filter(is_asked_for) {
        let measured = measure(arguments, &folder, fault)?;
        print_row(&measured);
        matrix.rows.push(measured);
        whole = known.with_rows(&matrix.rows, &names);
        std::fs::write(folder.join(FILE), serde_json::to_string_pretty(&whole)?)?;
    }
    let seconds = arguments.time as f64;
    let misses = matrix.misses(seconds, arguments.only.is_none(), arguments.regressions);
    print_summary(&matrix);
    misses.iter().for_each(|miss| println!("FAILED: {miss}"));
    if let Some(file) = &arguments.html {
        let contents = html::Contents {
            conformance: None,
            stats: None,
            elapsed: Duration::ZERO,
            kills: Some(&whole),
            failures: &misses,
        };
        std::fs::write(file, html::page(&contents))?;
    }
    if arguments.json {
        let value = serde_json::json!({ "matrix": matrix, "failures": misses });
        println!("{}", serde_json::to_string_pretty(&value)?);
    }
    Ok(misses.is_empty())
}

/// The matrix in the folder of outputs.
const FILE: &str = "matrix.json";

/// The commit that is checked out, with a `+` where files were changed; nothing outside of a clone.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(name) = git(&["rev-parse", "--short=12", "HEAD"]) else { return String::new() };
    let is_changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|text| !text.is_empty());
    format!("{name}{}", if is_changed { "+" } else { "" })
}

/// Today, in UTC: year, month and day.
fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    date(since.as_secs() / 86_400)
}

/// The date so many days after the first of January 1970, in the Gregorian calendar.
fn date(mut days: u64) -> String {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

/// The matrix of the last `cargo prove mutants`, if there is one in this folder of outputs.
pub fn last(folder: &Path) -> Option<Matrix> {
    let text = std::fs::read_to_string(folder.join("mutants").join(FILE)).ok()?;
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
        until: mutant.map_or(Until::Over, until),
    };
    Ok(campaign.run(&mut |_, _| {})?)
}

/// What kills a fault: of one in the reference, a vote that blames the reference.
fn until(mutant: &str) -> Until {
    if mutant.starts_with(FLIP_PREFIX) { Until::Blamed(Suspect::Reference) } else { Until::Unexplained }
}

/// What a campaign found.
#[derive(Default)]
struct Hunt {
    kill: Option<Kill>,
    /// Where it found no kill: a disagreement that blames somebody else.
    wrongly_blamed: Option<Kill>,
}

/// One campaign until the first kill.
fn hunt(
    arguments: &Arguments,
    folder: &Path,
    mutant: &str,
    only: Option<&str>,
    seconds: u64,
) -> Result<Hunt, Box<dyn Error>> {
    let start = Instant::now();
    let stats = campaign(arguments, folder, Some(mutant), only, seconds)?;
    let killed = until(mutant).found(&stats).map(|found| kill_of(arguments, &stats, found, start));
    let is_flip = mutant.starts_with(FLIP_PREFIX);
    let others = stats.disagreements.first().or(stats.outvoted.first()).filter(|_| is_flip && killed.is_none());
    let wrongly_blamed = others.map(|found| kill_of(arguments, &stats, found, start));
    Ok(Hunt { kill: killed, wrongly_blamed })
}

fn kill_of(arguments: &Arguments, stats: &Stats, found: &Found, start: Instant) -> Kill {
    let hung = found.what.starts_with("hangs");
    let used = stats.cpu_ms as f64 / 1000.0 / arguments.jobs.max(1) as f64;
    let seconds = used + if hung { SILENCE_MAX.as_secs_f64() } else { 0.0 };
    Kill {
        target: found.target.clone(),
        seed: found.seed,
        what: format!("{}: {}", found.subject, found.what).chars().take(300).collect(),
        suspect: format!("{:?}", found.vote.suspect),
        executions: stats.seeds,
        seconds,
        clock_seconds: start.elapsed().as_secs_f64(),
    }
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
    let Hunt { kill, wrongly_blamed } = hunt(arguments, folder, mutant, applicable(&fault.layer), arguments.time)?;
    let baseline = match arguments.baseline {
        0 => None,
        seconds => hunt(arguments, folder, mutant, Some(BASELINE), seconds)?.kill,
    };
    let mut others = Vec::new();
    if arguments.full && kill.is_some() {
        for target in crate::targets::TARGETS {
            if kill.as_ref().is_none_or(|kill| kill.target != target.name) {
                others.extend(hunt(arguments, folder, mutant, Some(target.name), 60)?.kill);
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
        wrongly_blamed,
        commit: commit(),
        date: today(),
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
        let Kill { target, what, executions, seconds, clock_seconds, suspect, .. } = kill;
        // A row is a line.
        let what = what.lines().next().unwrap_or_default();
        format!(
            "{target} after {executions} cases, {seconds:.1} s ({clock_seconds:.1} on the clock), suspect {suspect}: {what}"
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
    for other in &row.others {
        println!("{:<40} also {}", "", print_kill(Some(other)));
    }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::named;

    fn killed(seconds: f64) -> Option<Kill> {
        let (target, what, suspect) = ("dfg".to_owned(), "x".to_owned(), "Nobody".to_owned());
        Some(Kill { target, seed: 1, what, suspect, executions: 1, seconds, clock_seconds: seconds })
    }

    fn reduced(operations: usize, is_script: bool, replays: bool) -> Option<Reduced> {
        Some(Reduced { operations, is_script, seconds: 1.0, clock_seconds: 1.0, file: "f".to_owned(), replays })
    }

    fn row(name: &str) -> Row {
        Row {
            mutant: name.to_owned(),
            layer: "Gc".to_owned(),
            reason: String::new(),
            case_only: None,
            kill: killed(1.0),
            baseline: None,
            others: Vec::new(),
            reduced: reduced(3, true, true),
            wrongly_blamed: None,
            commit: String::new(),
            date: String::new(),
        }
    }

    /// A hundred rows, some of them changed: what is missed of all of them, and of a part.
    #[test]
    fn every_bar_fails_the_matrix() {
        let check = |count: usize, change: &dyn Fn(&mut Row), whole: &[&str], part: &[&str]| {
            let mut rows: Vec<Row> = (0..100).map(|number| row(&format!("fault {number}"))).collect();
            rows.iter_mut().take(count).for_each(change);
            let matrix = Matrix { rows, ..Matrix::default() };
            for (is_whole, expected) in [(true, whole), (false, part)] {
                let misses = matrix.misses(600.0, is_whole, true);
                assert_eq!(misses.len(), expected.len(), "{misses:?}");
                assert!(misses.iter().zip(expected).all(|(miss, part)| miss.contains(part)), "{misses:?}");
            }
        };
        check(0, &|_| {}, &[], &[]);
        check(5, &|row| row.kill = None, &[], &[]);
        check(6, &|row| row.kill = None, &["killed: 94.0 %"], &[]);
        check(25, &|row| row.kill = killed(61.0), &[], &[]);
        check(26, &|row| row.kill = killed(61.0), &["within 60 s: 74.0 %"], &[]);
        check(11, &|row| row.reduced = reduced(21, true, true), &["short script: 89.0 %"], &[]);
        check(1, &|row| row.reduced = None, &["NOT REDUCED fault 0"], &["NOT REDUCED"]);
        let lost = |row: &mut Row| row.reduced = reduced(3, false, false);
        check(1, &lost, &["DOES NOT FAIL AGAIN fault 0: f"], &["DOES NOT FAIL AGAIN"]);
        let lost = |row: &mut Row| (row.case_only, row.reduced) = (Some(String::new()), reduced(3, true, false));
        check(1, &lost, &["DOES NOT FAIL AGAIN"], &["DOES NOT FAIL AGAIN"]);
        check(1, &|row| (row.case_only, row.reduced) = (Some(String::new()), reduced(3, false, true)), &[], &[]);
        let blamed = |row: &mut Row| (row.kill, row.wrongly_blamed) = (None, killed(1.0));
        check(1, &blamed, &["WRONGLY BLAMED fault 0: dfg suspects Nobody"], &["WRONGLY BLAMED"]);
    }

    #[test]
    fn what_is_found_without_a_fault_fails_the_matrix() {
        let vote = crate::vote::Vote { suspect: Suspect::Nobody, reference: String::new() };
        let [target, subject, what] = ["dfg", "x", "y"].map(str::to_owned);
        let found = Found { target, seed: 1, subject, what, vote, case: None };
        let matrix = Matrix { rows: vec![row("a")], false_positives: vec![found], ..Matrix::default() };
        assert_eq!(matrix.misses(600.0, true, false), ["1 disagreements without a fault"]);
    }

    #[test]
    fn flips_wait_for_the_right_blame() {
        assert_eq!(until("i32_sub_of_itself"), Until::Unexplained);
        assert_eq!(until("reference:i32_sub"), Until::Blamed(Suspect::Reference));
    }

    #[test]
    fn a_part_of_the_faults_keeps_the_rows_of_the_others() {
        let known = Matrix { rows: vec![row("a"), row("gone"), row("c")], clean_executions: 7, ..Matrix::default() };
        let new = Row { date: "2026-01-02".to_owned(), ..row("c") };
        let merged = known.with_rows(&[new, row("b")], &["a", "b", "c", "d"]);
        let rows: Vec<_> = merged.rows.iter().map(|row| (row.mutant.as_str(), row.date.as_str())).collect();
        assert_eq!((rows, merged.clean_executions), (vec![("a", ""), ("b", ""), ("c", "2026-01-02")], 7));
    }

    #[test]
    fn days_have_dates() {
        let check = |days: u64, expected: &str| assert_eq!(date(days), expected);
        check(0, "1970-01-01");
        check(789, "1972-02-29");
        check(790, "1972-03-01");
        check(11_016, "2000-02-29");
        check(20_453, "2025-12-31");
        check(20_454, "2026-01-01");
    }

    #[test]
    fn targets_of_layers_exist() {
        for layer in ["Component", "Wasi"] {
            let names = applicable(layer).expect("targets of their own");
            assert!(names.split(',').all(|name| named(name).is_some()), "{names}");
        }
        assert_eq!(applicable("Bounds"), None);
    }
}
