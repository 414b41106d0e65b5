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

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wattest_differential::{Form, NanRule};
use wattest_harness::campaign::Campaign;
use wattest_harness::case::Case;
use wattest_harness::components::{ComponentChecker, Property};
use wattest_harness::diff_core::Checker;
use wattest_harness::graphs::{self, GraphStats};
use wattest_harness::model::{Model, ModelChecker};
use wattest_harness::op_matrix::{self, MatrixResult};
use wattest_harness::stats::{Found, Judgement, Stats};
use wattest_harness::suites::SuiteResult;
use wattest_harness::targets::TARGETS;
use wattest_harness::vote::{Suspect, vote_without_oracle};
use wattest_harness::worker::{Assignment, judge, work};
use wattest_harness::{diff_core, quarantine, reduce, report, suites};

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
    #[arg(long, hide = true, num_args = 6)]
    worker: Option<Vec<String>>,
    #[arg(long, hide = true, value_name = "SEED")]
    vote: Option<u64>,
}

/// How long a reduction may take.
const REDUCTION_TIME: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match (&arguments.worker, arguments.vote, &arguments.replay, &arguments.module) {
        (Some(worker), ..) => run_worker(worker).map(|()| true),
        (None, Some(seed), ..) => print_vote(seed).map(|()| true),
        (None, None, Some(case), _) => replay(case, arguments.reduce),
        (None, None, None, Some(file)) => check_module(file),
        (None, None, None, None) => prove(&arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("prove: {error}");
            ExitCode::from(2)
        }
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
    let [campaign, first, stride, milliseconds, progress, only] = arguments else {
        return Err("six arguments".into());
    };
    let assignment = Assignment {
        campaign: campaign.parse()?,
        first: first.parse()?,
        stride: stride.parse()?,
        only: (!only.is_empty()).then(|| only.clone()),
        time: Duration::from_millis(milliseconds.parse()?),
        progress: PathBuf::from(progress),
    };
    Ok(work(&assignment, &mut std::io::stdout().lock())?)
}

/// Prints what the subject and the reference say of a case that ended a worker.
fn print_vote(seed: u64) -> Result<(), Box<dyn Error>> {
    let case = Case::from_seed(seed).ok_or("this seed gives no module")?;
    let vote = vote_without_oracle(&mut Checker::new(), &case);
    println!("{}", serde_json::to_string(&vote)?);
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

/// Runs one case in this process, its files written first so that they survive a crash.
fn replay(text: &str, smaller: bool) -> Result<bool, Box<dyn Error>> {
    let (target, seed) = text.split_once(':').ok_or("write --replay TARGET:SEED")?;
    known_target(target)?;
    let seed = match seed.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16)?,
        None => seed.parse()?,
    };
    if let Some(model) = Model::named(target) {
        return replay_model(model, seed);
    }
    if let Some(property) = Property::named(target) {
        return replay_component(property, seed);
    }
    if target == "graph" {
        return Ok(replay_graph(seed));
    }
    let case = Case::from_seed(seed).ok_or("this seed gives no module")?;
    let folder = report::write_case(&report::output_folder(), &case, None)?;
    println!("case in {}", folder.display());
    println!(
        "generator {}, {:?}, {} functions, {} operations, {} calls, NaNs {:?}, subject row {} on the {:?} form",
        case.recipe.generator,
        case.recipe.origin,
        case.functions,
        case.operations,
        case.recipe.plan.calls.len(),
        case.recipe.plan.nans,
        case.recipe.subject,
        case.recipe.plan.form,
    );
    let mut checker = Checker::new();
    let outcome = checker.check_knowingly(&case);
    if smaller && outcome.disagreement.is_some() {
        let small = reduce::reduce(&case, REDUCTION_TIME);
        let outcome = Checker::new().check(&small);
        let folder = report::write_case(&report::output_folder().join("reduced"), &small, Some(&outcome))?;
        println!("reduced case in {}", folder.display());
        if let Some(found) = &outcome.disagreement {
            println!("reduced: {}: {}", found.subject, found.what);
        }
    }
    report::write_case(&report::output_folder(), &case, Some(&outcome))?;
    println!("{} steps compared, useful: {}", outcome.checks, outcome.useful);
    match &outcome.disagreement {
        None => println!("agreement"),
        Some(found) => {
            println!("DISAGREEMENT with {}: {}", found.subject, found.what);
            match judge(&mut checker, &case, found) {
                Judgement::Explained(finding) => {
                    println!("explained by {finding}");
                    return Ok(true);
                }
                Judgement::Voted(vote) => {
                    println!("suspect: {:?}; the reference {}", vote.suspect, vote.reference);
                    return Ok(vote.suspect == Suspect::Oracle);
                }
            }
        }
    }
    Ok(outcome.disagreement.is_none())
}

/// Runs one case of another property.
fn replay_model(model: &Model, seed: u64) -> Result<bool, Box<dyn Error>> {
    let case = model.case_of_seed(seed).ok_or("this seed gives no module")?;
    let folder = report::write_model_case(&report::output_folder(), model.name, seed, &case)?;
    println!("case in {}", folder.display());
    let outcome = ModelChecker::default().check(&case);
    println!("{} steps of the runtime compared, {} of the reference", outcome.checks, outcome.reference_checks);
    match &outcome.disagreement {
        None => println!("agreement"),
        Some((found, vote)) => {
            println!("DISAGREEMENT with {}: {}", found.subject, found.what);
            println!("suspect: {:?}; the reference {}", vote.suspect, vote.reference);
        }
    }
    Ok(outcome.disagreement.is_none())
}

/// Runs one scenario of components.
fn replay_component(property: &Property, seed: u64) -> Result<bool, Box<dyn Error>> {
    let scenario = property.scenario(seed)?;
    let folder = report::write_scenario(&report::output_folder(), property.name, seed, &scenario)?;
    println!("case in {}", folder.display());
    let outcome = ComponentChecker::new().check(property, &scenario);
    println!("{} endings of the runtime compared, {} of the reference", outcome.checks, outcome.record.len());
    match &outcome.disagreement {
        None => println!("agreement"),
        Some((subject, what)) => {
            for (step, ending) in outcome.record.iter().enumerate() {
                println!("step {step} of the reference: {ending:x?}");
            }
            println!("DISAGREEMENT with {subject}: {what}");
        }
    }
    Ok(outcome.disagreement.is_none())
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
        time: if is_only(arguments, "graph") { Duration::ZERO } else { arguments.time },
        only: arguments.only.clone(),
        jobs,
        folder: folder.clone(),
    };
    let start = Instant::now();
    let bar = progress_bar(arguments);
    let stats = campaign.run(&mut |stats, elapsed| {
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
    for found in stats.disagreements.iter().chain(&stats.outvoted) {
        // A case that kills the process is written too, only not run again here.
        if let Some(property) = Property::named(&found.target) {
            report::write_scenario(&folder, property.name, found.seed, &property.scenario(found.seed)?)?;
            continue;
        }
        match Model::named(&found.target) {
            Some(model) => {
                if let Some(case) = model.case_of_seed(found.seed) {
                    report::write_model_case(&folder, model.name, found.seed, &case)?;
                }
            }
            None => {
                if let Some(case) = Case::from_seed(found.seed) {
                    report::write_case(&folder, &case, None)?;
                }
            }
        }
    }
    let problems = suite_result.as_ref().map_or(0, |result| result.problems.len());
    if arguments.json {
        print_json(suite_result.as_ref(), &matrix, &graphs, &stats, elapsed)?;
    } else {
        print_suites(suite_result.as_ref(), suite_time);
        print_graphs(&graphs);
        print_campaign(&matrix, &stats, elapsed);
    }
    Ok(problems == 0 && matrix.disagreements.is_empty() && graphs.found.is_empty() && stats.disagreements.is_empty())
}

/// The graph properties: their share of the campaign's time, all of it with `--only graph`, none with another target.
fn run_graphs(arguments: &Arguments, jobs: u64) -> GraphStats {
    let share = if is_only(arguments, "graph") { arguments.time } else { arguments.time / 20 };
    match &arguments.only {
        Some(only) if only != "graph" => GraphStats::default(),
        _ => graphs::run(arguments.seed, arguments.graphs.unwrap_or(share), jobs),
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
        total.disagreements.extend(part.disagreements);
    }
    total
}

fn print_json(
    suites: Option<&SuiteResult>,
    matrix: &MatrixResult,
    graphs: &GraphStats,
    stats: &Stats,
    elapsed: Duration,
) -> Result<(), Box<dyn Error>> {
    let value = serde_json::json!({
        "suites": suites,
        "op_matrix": matrix,
        "graphs": graphs,
        "campaign": stats,
        "seconds": elapsed.as_secs_f64(),
        "oracle": quarantine::ORACLE,
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
        "Component graphs: {} linearized and verified ({:.1} values and {:.1} effects on average, {:.0} per second), {} defects",
        graphs.graphs,
        graphs.per_graph(graphs.nodes),
        graphs.per_graph(graphs.effects),
        graphs.graphs as f64 / graphs.seconds.max(0.001),
        graphs.found.len(),
    );
    for (seed, defect) in &graphs.found {
        println!("  DEFECT {defect}\n    cargo prove --replay graph:{seed:#x}");
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
        println!("Suspect: {}, outvoted by the runtime and the reference; record in FINDINGS.md", quarantine::ORACLE);
        print_found("OUTVOTED", &stats.outvoted);
    }
}

fn print_found(word: &str, list: &[Found]) {
    for found in list {
        println!("  {word} {}: {}", found.subject, found.what);
        println!("    suspect: {:?}; the reference {}", found.vote.suspect, found.vote.reference);
        println!("    cargo prove --replay {}:{:#x}", found.target, found.seed);
    }
}
