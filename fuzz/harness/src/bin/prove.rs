//! The command behind `cargo prove`.
//!
//! Runs the conformance suites, then a seeded differential campaign, and prints what both say.
//!
//! Exit status 0 only if nothing is unexplained. A disagreement is explained by a finding (a row of the quarantine table,
//! with its section in `differential/FINDINGS.md`), or by the vote of three: where the definitional interpreter sides with
//! the runtime on every observed value, the oracle is outvoted. Such a case is printed in a section of its own, to be
//! recorded as a finding; everything else fails.
//!
//! Invariant: the same seed and time give the same cases, as many of them as fit.
//!
//! Does not know: how anything is checked.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wattest_differential::{Form, NanRule};
use wattest_harness::allocator::{Recycler, keep_blocks};
use wattest_harness::campaign::{Campaign, MUTANT_VARIABLE, Until};
use wattest_harness::case::Case;
use wattest_harness::diff_core::Checker;
use wattest_harness::envelope::Envelope;
use wattest_harness::graphs::{self, GraphStats};
use wattest_harness::isolate::{self, Isolated};
use wattest_harness::op_matrix::{self, MatrixResult};
use wattest_harness::patience::Budget;
use wattest_harness::proof::Proof;
use wattest_harness::source::{case_seed, expand};
use wattest_harness::stats::{Found, Stats};
use wattest_harness::suites::SuiteResult;
use wattest_harness::targets::{TARGETS, Targets};
use wattest_harness::vote::vote_without_oracle;
use wattest_harness::worker::{Assignment, work};
use wattest_harness::{coverage, diff_core, quarantine, report, suites};
use wattest_harness::{html, kill, repro, soak, third, verdicts, witness};

#[global_allocator]
static ALLOCATOR: Recycler = Recycler;

/// Proves the runtime: conformance suites, then a differential campaign.
#[derive(Parser)]
#[command(name = "cargo prove")]
struct Arguments {
    /// Length of the differential campaign: seconds, or with a unit (90s, 5m).
    #[arg(long, default_value = "60s", value_parser = parse_time)]
    time: Duration,
    /// Length of the run over random component graphs; a twentieth of the campaign's unless given.
    #[arg(long, value_parser = parse_time)]
    graphs: Option<Duration>,
    /// Seed of the campaign.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Worker processes; as many as there are cores unless given.
    #[arg(long)]
    jobs: Option<u64>,
    /// Check this property only, the operations one by one left out.
    #[arg(long, value_name = "TARGET")]
    only: Option<String>,
    /// Run one case again, as a disagreement printed it: TARGET:SEED.
    #[arg(long, value_name = "TARGET:SEED")]
    replay: Option<String>,
    /// With --replay: make the case smaller first, and write the small one.
    #[arg(long, requires = "replay")]
    reduce: bool,
    /// Compare the engines on a module, binary or text, in every configuration.
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    module: Option<PathBuf>,
    /// Leave the suites out.
    #[arg(long)]
    no_suites: bool,
    /// Print everything as one JSON object.
    #[arg(long)]
    json: bool,
    /// Stop when the workers have used so much user and system time together; the campaign's --time is then the most that
    /// it may take.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    cpu: Option<Duration>,
    /// Write the report to this file, one self-contained page; it has the last kill matrix of `cargo prove mutants` too.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[arg(long, hide = true, num_args = 7)]
    worker: Option<Vec<String>>,
    #[arg(long, hide = true, value_name = "SEED")]
    vote: Option<u64>,
    /// Print where the processor time of diff_core goes, over so many cases, and stop.
    #[arg(long, value_name = "CASES")]
    parts: Option<usize>,
    #[arg(long, hide = true)]
    serve_cases: bool,
    #[arg(long, hide = true, value_name = "KEY")]
    leave_out: Option<String>,
    #[arg(long, hide = true, value_name = "FILE")]
    verdicts: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "NAME")]
    witness: Option<String>,
    #[arg(long, hide = true, value_name = "NAME")]
    reference_witness: Option<String>,
    #[command(subcommand)]
    task: Option<Task>,
}

/// What else can be asked for.
#[derive(Subcommand)]
enum Task {
    /// Runs a failing case again in every engine, reduces it, and writes a regression.
    Repro(repro::Arguments),
    /// Writes a few materialized cases of each target to a folder of its name: the seeds of fuzzing.
    Seeds {
        /// The folder.
        folder: PathBuf,
    },
    /// Runs all targets for a long time, in rounds that can be interrupted.
    Soak(soak::Arguments),
    /// Measures which planted faults the targets find, and how fast.
    Mutants(kill::Arguments),
}

/// A campaign this long has to reach every operation, and few of its cases may stop early; a shorter one lists what it did
/// not reach, and what stopped.
const COMPLETE_AFTER: Duration = Duration::from_secs(600);

/// How long a reduction may take.
const REDUCTION_TIME: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = plant(std::env::var(MUTANT_VARIABLE).ok().as_deref()) {
        eprintln!("prove: {error}");
        return ExitCode::from(2);
    }
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("prove: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    if let Some(worker) = &arguments.worker {
        return run_worker(worker).map(|()| true);
    }
    if let Some(seed) = arguments.vote {
        return print_vote(seed).map(|()| true);
    }
    if let Some(key) = &arguments.leave_out {
        wattest_differential::leave_out(key);
    }
    if let Some(file) = &arguments.verdicts {
        return print_verdicts(file).map(|()| true);
    }
    if arguments.serve_cases {
        isolate::serve(&mut std::io::stdin().lock(), &mut std::io::stdout().lock())?;
        return Ok(true);
    }
    if let Some(name) = &arguments.witness {
        return match witness::run(name) {
            Ok(()) => Ok(true),
            Err(what) => {
                println!("{what}");
                Ok(false)
            }
        };
    }
    if let Some(name) = &arguments.reference_witness {
        return Ok(witness::run_on_reference(name)?);
    }
    match &arguments.task {
        Some(Task::Repro(task)) => return repro::run(task),
        Some(Task::Seeds { folder }) => return write_seeds(folder).map(|()| true),
        Some(Task::Soak(task)) => return soak::run(task),
        Some(Task::Mutants(task)) => return kill::run(task),
        None => {}
    }
    #[cfg(feature = "wattest")]
    if let Some(cases) = arguments.parts {
        keep_blocks();
        wattest_harness::parts::print(cases);
        return Ok(true);
    }
    match (&arguments.replay, &arguments.module) {
        (Some(case), _) => replay(case, arguments.reduce),
        (None, Some(file)) => check_module(file),
        (None, None) => prove(arguments),
    }
}

/// Switches the planted fault of this process on.
#[cfg(wattest_mutants)]
fn plant(name: Option<&str>) -> Result<(), Box<dyn Error>> {
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        if let Some(flip) = name.strip_prefix(kill::FLIP_PREFIX) {
            return match wattest_reference::flips::set(Some(flip)) {
                true => Ok(()),
                false => Err(format!("the reference has no planted fault {flip}").into()),
            };
        }
        let row = wattest_abi::mutants::named(name).ok_or_else(|| format!("there is no planted fault {name}"))?;
        wattest_abi::mutants::set(Some(row.mutant));
    }
    Ok(())
}

/// An ordinary build has no planted faults, and says so.
#[cfg(not(wattest_mutants))]
fn plant(name: Option<&str>) -> Result<(), Box<dyn Error>> {
    match name.filter(|name| !name.is_empty()) {
        None => Ok(()),
        Some(_) => Err(format!("{MUTANT_VARIABLE} is set, but this build has no planted faults").into()),
    }
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = digits.parse().map_err(|_| format!("{text:?} is no time: write 90s or 5m"))?;
    let seconds = match unit {
        "" | "s" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3600),
        _ => None,
    };
    seconds.map(Duration::from_secs).ok_or_else(|| format!("{text:?} is no time: write 90s or 5m"))
}

fn run_worker(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [campaign, first, stride, milliseconds, progress, only, cpu] = arguments else {
        return Err("seven arguments".into());
    };
    let assignment = Assignment {
        campaign: campaign.parse()?,
        first: first.parse()?,
        stride: stride.parse()?,
        only: (!only.is_empty()).then(|| only.clone()),
        time: Duration::from_millis(milliseconds.parse()?),
        progress: PathBuf::from(progress),
        cpu: if cpu.is_empty() { None } else { Some(Duration::from_millis(cpu.parse()?)) },
    };
    keep_blocks();
    Ok(work(&assignment, &mut std::io::stdout().lock())?)
}

/// Seeds of one target.
const SEEDS: usize = 3;

/// Largest seed: small ones are mutated fastest.
const SEED_BYTES_MAX: usize = 16_384;

/// Writes the smallest cases of the first seeds of every target that check something.
fn write_seeds(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut targets = Targets::default();
    for row in TARGETS {
        let folder = folder.join(row.name);
        std::fs::create_dir_all(&folder)?;
        let Some(target) = targets.get(row.name) else { continue };
        let mut cases: Vec<(Vec<u8>, Envelope)> = (0..200)
            .filter_map(|index| target.generate(&expand(case_seed(1, index))))
            .map(|case| (case.to_bytes(), case))
            .collect();
        cases.sort_by_key(|(bytes, _)| bytes.len());
        let small = cases.iter().filter(|(bytes, _)| bytes.len() <= SEED_BYTES_MAX);
        for (number, (bytes, _)) in small.filter(|(_, case)| target.run(case).checks > 0).take(SEEDS).enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), bytes)?;
        }
    }
    Ok(())
}

/// Prints what the subject and the reference say of a case that ended a worker.
fn print_vote(seed: u64) -> Result<(), Box<dyn Error>> {
    let case = Case::from_seed(seed).ok_or("this seed gives no module")?;
    let vote = vote_without_oracle(&mut Checker::new(), &case);
    println!("{}", serde_json::to_string(&vote)?);
    Ok(())
}

/// Says what every engine makes of a stored case, each as soon as it is known.
fn print_verdicts(file: &Path) -> Result<(), Box<dyn Error>> {
    let case = Envelope::parse(&std::fs::read(file)?).ok_or("no stored case")?;
    verdicts::verdicts(&case, &mut |line| {
        // Of text and truth values: that does not fail.
        println!("{}", serde_json::to_string(&line).unwrap_or_default());
    });
    Ok(())
}

/// Refuses a name that no property has.
fn known_target(name: &str) -> Result<(), Box<dyn Error>> {
    if TARGETS.iter().any(|row| row.name == name) {
        return Ok(());
    }
    let names: Vec<&str> = TARGETS.iter().map(|row| row.name).collect();
    Err(format!("there is no target {name}; there is {}", names.join(", ")).into())
}

/// Runs one case, its files written first so that they survive a crash.
fn replay(text: &str, smaller: bool) -> Result<bool, Box<dyn Error>> {
    let (target, seed) = text.split_once(':').ok_or("write --replay TARGET:SEED")?;
    let seed = match seed.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16)?,
        None => seed.parse()?,
    };
    if target == "recipe" {
        return Ok(replay_graph(seed));
    }
    known_target(target)?;
    let mut targets = Targets::default();
    let case = targets.get(target).and_then(|target| target.decode(&expand(seed)));
    let case = case.ok_or("this seed gives no case")?;
    let folder = report::write_envelope(&report::output_folder(), &format!("{target}-{seed:#x}"), &case)?;
    println!("case in {}", folder.display());
    let outcome = if smaller {
        let mut isolated = Isolated::new(std::env::var(MUTANT_VARIABLE).ok());
        let budget = Budget::new(REDUCTION_TIME);
        let small = targets.minimize(&case, &|| budget.is_over(), &mut |case| {
            let signature = isolated.run(case).signature();
            budget.note(isolated.cpu_ms());
            signature
        });
        let folder = report::write_envelope(&folder, "reduced", &small)?;
        println!("reduced case in {}", folder.display());
        isolated.run(&small)
    } else {
        targets.check_seed(target, seed).unwrap_or_default()
    };
    println!("{} checks of the runtime, {} of the reference", outcome.checks, outcome.reference_checks);
    outcome.poison.iter().for_each(|poison| println!("stopped early: {poison}"));
    if let Some(finding) = &outcome.explained {
        println!("explained by {finding}");
    }
    let Some((found, vote)) = &outcome.disagreement else {
        println!("agreement");
        return Ok(true);
    };
    println!("DISAGREEMENT with {}: {}", found.subject, found.what);
    println!("suspect: {:?}; the reference {}", vote.suspect, vote.reference);
    Ok(vote.suspect.is_oracle())
}

/// Prints a graph and the plan's defect, if it has one.
fn replay_graph(seed: u64) -> bool {
    print!("{}", graphs::text(seed));
    match graphs::check_seed(seed) {
        Ok(checked) => println!("{} nodes, {} effects: agreement", checked.nodes, checked.effects),
        Err(defect) => {
            println!("DISAGREEMENT: {defect}");
            return false;
        }
    }
    true
}

/// Compares the engines on one module, in every configuration.
fn check_module(file: &Path) -> Result<bool, Box<dyn Error>> {
    let wasm = wat::parse_file(file)?;
    let mut checker = Checker::new();
    let mut agreed = true;
    for subject in 0..diff_core::subject_count() {
        for form in [Form::Original, Form::Exposed] {
            let case = Case::from_module(wasm.clone(), subject, form, NanRule::Exact, 1)?;
            let outcome = checker.check_knowingly(&case);
            if let Some(found) = &outcome.disagreement {
                agreed = false;
                println!("{} on the {form:?} form: {}", found.subject, found.what);
            }
        }
    }
    println!("{}", if agreed { "agreement" } else { "DISAGREEMENT" });
    Ok(agreed)
}

fn prove(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let cores = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let jobs = arguments.jobs.unwrap_or(cores).max(1);
    let suite_start = Instant::now();
    let suite_result = if arguments.no_suites { None } else { Some(suites::run(jobs as usize)?) };
    let suite_time = suite_start.elapsed();
    if let Some(name) = &arguments.only {
        known_target(name)?;
    }
    let matrix = if arguments.only.is_some() { MatrixResult::default() } else { matrix(arguments.seed) };
    let graphs = run_graphs(arguments, jobs);
    let folder = report::output_folder();
    let campaign = Campaign {
        seed: arguments.seed,
        time: campaign_time(arguments),
        only: arguments.only.clone(),
        jobs,
        folder: folder.clone(),
        cpu: arguments.cpu,
        mutant: None,
        until: Until::Over,
    };
    let start = Instant::now();
    let bar = progress_bar(arguments);
    let mut stats = campaign.run(&mut |stats, elapsed| {
        bar.set_position(elapsed.as_millis().min(u128::from(u64::MAX)) as u64);
        bar.set_message(format!(
            "{} modules, {:.0}/s, {} disagreements",
            stats.modules,
            stats.modules as f64 / elapsed.as_secs_f64().max(0.001),
            stats.disagreements.len()
        ));
    })?;
    let elapsed = start.elapsed();
    bar.finish_and_clear();
    for (name, count) in &matrix.executions {
        *stats.operations_by_name.entry(format!("{name} parameters")).or_default() += count;
    }
    let short = if arguments.only.is_some() { Vec::new() } else { coverage::short(&stats.operations_by_name) };
    for found in stats.disagreements.iter().chain(&stats.outvoted) {
        write_found(&folder, found)?;
    }
    let over_poisoned = stats.over_poisoned();
    let run = Proof { suites: suite_result.as_ref(), matrix: &matrix, graphs: &graphs, stats: &stats, short: &short };
    let failures = run.failures(arguments.time >= COMPLETE_AFTER, arguments.only.is_none());
    if let Some(file) = &arguments.html {
        let kills = kill::last(&folder);
        let conformance = suite_result.as_ref();
        let (stats, kills, failures) = (Some(&stats), kills.as_ref(), failures.as_slice());
        let contents = html::Contents { conformance, stats, elapsed, kills, failures };
        std::fs::write(file, html::page(&contents))?;
        println!("report in {}", file.display());
    }
    if arguments.json {
        print_json(&run, elapsed, &failures)?;
    } else {
        print_suites(suite_result.as_ref(), suite_time);
        print_graphs(&graphs);
        print_campaign(&matrix, &stats, elapsed);
        println!("Third voter: {}", third::name().unwrap_or_else(|why| format!("V8 is skipped: {why}")));
        for (name, share) in &over_poisoned {
            println!("  TOO MANY CASES STOPPED EARLY: {share:.1} % of {name}");
        }
        print_coverage(arguments, &short);
        failures.iter().for_each(|failure| println!("FAILED: {failure}"));
    }
    Ok(failures.is_empty())
}

/// Writes the case of a disagreement. One that kills the process is written too, only not run again here.
fn write_found(folder: &Path, found: &Found) -> Result<(), Box<dyn Error>> {
    let mut targets = Targets::default();
    let case: Option<Envelope> = targets.get(&found.target).and_then(|target| target.decode(&expand(found.seed)));
    if let (Some(case), None) = (case, &found.case) {
        report::write_envelope(folder, &format!("{}-{:#x}", found.target, found.seed), &case)?;
    }
    Ok(())
}

/// The graph properties: their share of the campaign's time, all of it with `--only graph`, none with another target.
fn run_graphs(arguments: &Arguments, jobs: u64) -> GraphStats {
    let share = if is_only(arguments, "graph") { arguments.time } else { arguments.time / 20 };
    match &arguments.only {
        Some(only) if only != "graph" => GraphStats::default(),
        _ => graphs::run(arguments.seed, arguments.graphs.unwrap_or(share), jobs),
    }
}

/// The longest that the campaign may take. With a budget of processor time that is what counts, unless the machine is
/// far too busy.
fn campaign_time(arguments: &Arguments) -> Duration {
    if is_only(arguments, "graph") {
        return Duration::ZERO;
    }
    match arguments.cpu {
        Some(cpu) => arguments.time.max(cpu * 20),
        None => arguments.time,
    }
}

fn is_only(arguments: &Arguments, target: &str) -> bool {
    arguments.only.as_deref() == Some(target)
}

fn progress_bar(arguments: &Arguments) -> ProgressBar {
    if arguments.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(arguments.time.as_millis().min(u128::from(u64::MAX)) as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Every operation alone, in every configuration.
fn matrix(seed: u64) -> MatrixResult {
    let mut total = MatrixResult::default();
    for (nans, constants) in op_matrix::VARIANTS {
        let part = op_matrix::run(nans, constants, seed);
        total.checks += part.checks;
        for (name, count) in part.executions {
            *total.executions.entry(name).or_default() += count;
        }
        total.disagreements.extend(part.disagreements);
    }
    total
}

fn print_json(run: &Proof<'_>, elapsed: Duration, failures: &[String]) -> Result<(), Box<dyn Error>> {
    let value = serde_json::json!({
        "suites": run.suites,
        "op_matrix": run.matrix,
        "graphs": run.graphs,
        "campaign": run.stats,
        "seconds": elapsed.as_secs_f64(),
        "oracle": quarantine::ORACLE,
        "failures": failures,
    });
    println!("{}", serde_json::to_string_pretty(&value)?);
    Ok(())
}

fn print_suites(suites: Option<&SuiteResult>, time: Duration) {
    match suites {
        Some(result) => {
            println!("Conformance ({:.1} s)\n{}", time.as_secs_f64(), result.table);
            for problem in &result.problems {
                println!("  PROBLEM {problem}");
            }
        }
        None => println!("Conformance: left out"),
    }
}

fn print_graphs(graphs: &GraphStats) {
    println!(
        "Component graphs: {} linearized and verified ({:.1} values and {:.1} effects on average, {:.0} per second of a core); {} of them through passes and text too, {} with a planted fault that was found; {} defects",
        graphs.graphs,
        graphs.per_graph(graphs.nodes),
        graphs.per_graph(graphs.effects),
        graphs.per_core_second(),
        graphs.thorough,
        graphs.faulted,
        graphs.found.len(),
    );
    for (seed, defect) in &graphs.found {
        println!("  DEFECT {defect}\n    cargo prove --replay recipe:{seed:#x}");
    }
}

fn print_campaign(matrix: &MatrixResult, stats: &Stats, elapsed: Duration) {
    println!(
        "Operations one by one against {}: {} calls compared, {} disagreements",
        quarantine::ORACLE,
        matrix.checks,
        matrix.disagreements.len()
    );
    for line in &matrix.disagreements {
        println!("  DISAGREEMENT {line}");
    }
    println!("Differential campaign against {} ({:.1} s)", quarantine::ORACLE, elapsed.as_secs_f64());
    print!("{}", report::table(stats, elapsed));
    print_found("DISAGREEMENT", &stats.disagreements);
    if !stats.outvoted.is_empty() {
        println!("Outvoted by the runtime and the reference, record in FINDINGS.md: {} or V8", quarantine::ORACLE);
        print_found("OUTVOTED", &stats.outvoted);
    }
}

/// Operations that were executed too rarely.
fn print_coverage(arguments: &Arguments, short: &[(&str, u64)]) {
    if arguments.only.is_some() {
        return;
    }
    let least = coverage::EXECUTIONS_MIN;
    let count = coverage::required().len();
    println!(
        "Operations of phase 4 and later: {} of {count} were executed with a boundary operand {least} times or more",
        count - short.len()
    );
    let word = if arguments.time < COMPLETE_AFTER { "rare in this short run" } else { "TOO RARE" };
    for (name, count) in short {
        println!("  {word}: {name}, {count} times");
    }
}

fn print_found(word: &str, list: &[Found]) {
    for found in list {
        println!("  {word} {}: {}", found.subject, found.what);
        println!("    suspect: {:?}; the reference {}", found.vote.suspect, found.vote.reference);
        println!("    {}", found.command());
    }
}
