//! `cargo prove repro FILE`: everything about one failing case.
//!
//! Takes an envelope, a libFuzzer or OSS-Fuzz testcase of a target, a module (binary or text) or a script. Says how the
//! configuration is written on a command line, runs the case in every configuration and the script or module in every
//! engine that is there, says who disagrees and where; then reduces it, finds the options and the functions that matter, and
//! writes a regression: a script with the reference's values where a script can say it, else the reduced case.
//!
//! Invariant: every run is in a process of its own, so that a case that kills or hangs one is told apart from the others.
//!
//! Does not know: libFuzzer.

use crate::campaign::MUTANT_VARIABLE;
use crate::case::Case;
use crate::envelope::Envelope;
use crate::isolate::Isolated;
use crate::pieces::{join, split};
use crate::reduction::{self, Place};
use crate::targets::{Outcome, TARGETS, core_envelope, decode_input};
use crate::{model, regression, report, witness};
use serde::Serialize;
use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wattest_differential::{CONFIGS, Form, NanRule};

/// What is asked for.
#[derive(clap::Args)]
pub struct Arguments {
    /// An envelope, a testcase, a `.wasm`, `.wat` or `.wast` file.
    file: PathBuf,
    /// The target whose input the file is; else its name says so, or the file itself.
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Longest reduction, in seconds of processor time.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    time: u64,
    /// Where the regression goes; a folder of the output folder unless given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Run cases in this build of the program instead: one with planted faults, or an older one.
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
    /// With --with a build that has planted faults: switch this one on.
    #[arg(long, value_name = "NAME", requires = "with")]
    fault: Option<String>,
    /// Print everything as one JSON object.
    #[arg(long)]
    json: bool,
    /// Only say by the exit status whether the file fails.
    #[arg(long)]
    quiet: bool,
}

/// What one configuration said.
#[derive(Clone, Debug, Serialize)]
pub struct Said {
    /// The configuration.
    pub configuration: String,
    /// What it did wrong, if anything.
    pub what: Option<String>,
    /// Who is suspected.
    pub suspect: Option<String>,
}

/// Everything that was found out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// The target.
    pub target: String,
    /// The case's configuration as a command line.
    pub command: String,
    /// What happened, in the case's own configuration.
    pub failure: Option<String>,
    /// Who is suspected.
    pub suspect: Option<String>,
    /// The same in every configuration.
    pub configurations: Vec<Said>,
    /// Options without which it does not fail.
    pub culprit_options: Vec<String>,
    /// Functions of the reduced case without which it does not fail.
    pub culprit_functions: Vec<usize>,
    /// Operations of the reduced case.
    pub operations: usize,
    /// How long the reduction took, on the clock.
    pub reduced_in_seconds: f64,
    /// The processor time of it.
    pub reduced_in_cpu_seconds: f64,
    /// What is wrong in it.
    pub reduced_failure: Option<String>,
    /// Its configuration as a command line.
    pub reduced_command: Option<String>,
    /// The regression or the reduced case.
    pub file: Option<PathBuf>,
    /// Whether that is a script.
    pub is_script: bool,
}

/// Runs everything. Whether nothing is wrong.
///
/// # Errors
///
/// When the file is none of what this reads.
pub fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    if arguments.file.extension().is_some_and(|extension| extension == "wast") {
        return run_script(arguments);
    }
    let case = read(arguments)?;
    let fault = fault(arguments);
    let mut isolated = Isolated::new(fault).in_program(arguments.with.as_deref());
    let outcome = isolated.run(&case);
    let mut findings = Findings { target: case.target.clone(), command: command(&case), ..Findings::default() };
    note(&mut findings, &outcome);
    if arguments.quiet {
        return Ok(findings.failure.is_none());
    }
    findings.configurations = every_configuration(&case, &mut isolated);
    if findings.failure.is_some() {
        let small = reduce(arguments, &case, &mut findings)?;
        bisect(&small, &mut findings, &mut isolated);
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        print(&findings);
    }
    Ok(findings.failure.is_none())
}

/// The planted fault that cases run with.
fn fault(arguments: &Arguments) -> Option<String> {
    arguments.fault.clone().or_else(|| std::env::var(MUTANT_VARIABLE).ok())
}

/// Makes the case small and writes what is left.
fn reduce(arguments: &Arguments, case: &Envelope, findings: &mut Findings) -> Result<Envelope, Box<dyn Error>> {
    let stem = arguments.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = report::output_folder().join(format!("repro-{stem}"));
    std::fs::create_dir_all(&folder)?;
    let fault = fault(arguments);
    let place = Place { mutant: fault.as_deref(), program: arguments.with.as_deref() };
    let time = Duration::from_secs(arguments.time);
    let start = Instant::now();
    let reduced = reduction::reduce(case, place, time, &folder, "regression")?;
    findings.reduced_in_seconds = start.elapsed().as_secs_f64();
    findings.reduced_in_cpu_seconds = reduced.used.as_secs_f64();
    report::write_envelope(&folder, "reduced", &reduced.case)?;
    findings.operations = reduced.operations;
    findings.reduced_failure = Some(reduced.what);
    findings.reduced_command = Some(command(&reduced.case));
    findings.is_script = reduced.is_script;
    findings.file = Some(match &arguments.out {
        Some(out) => {
            std::fs::copy(&reduced.file, out)?;
            out.clone()
        }
        None => reduced.file,
    });
    Ok(reduced.case)
}

fn note(findings: &mut Findings, outcome: &Outcome) {
    if let Some((found, vote)) = &outcome.disagreement {
        findings.failure = Some(format!("{}: {}", found.subject, found.what));
        findings.suspect = Some(format!("{:?}; the reference {}", vote.suspect, vote.reference));
    }
}

/// Runs a script in its own configuration, in every other one, and on the reference.
fn run_script(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let own = witness::run_file(&arguments.file);
    if arguments.quiet {
        return Ok(own.is_ok() && witness::passes_on_reference(&arguments.file)?);
    }
    let all = witness::run_file_everywhere(&arguments.file)?;
    let failed: Vec<&(String, Option<String>)> = all.iter().filter(|(_, what)| what.is_some()).collect();
    if arguments.json {
        let value = serde_json::json!({ "own": own.as_ref().err(), "engines": all });
        println!("{}", serde_json::to_string_pretty(&value)?);
    } else {
        println!("as its header says: {}", own.as_ref().map_or_else(String::as_str, |()| "passes"));
        for (engine, what) in &all {
            println!("  {engine:<28} {}", what.as_deref().unwrap_or("passes"));
        }
    }
    Ok(own.is_ok() && failed.is_empty())
}

/// The case in the file.
fn read(arguments: &Arguments) -> Result<Envelope, Box<dyn Error>> {
    let bytes = std::fs::read(&arguments.file)?;
    if let Some(case) = Envelope::parse(&bytes) {
        return Ok(case);
    }
    let is_text = arguments.file.extension().is_some_and(|extension| extension == "wat");
    if is_text || bytes.starts_with(b"\0asm") {
        return of_module(&wat::parse_bytes(&bytes)?);
    }
    let name = arguments.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // Testcases of ClusterFuzz are named after their target; a longer name is the better guess.
    let mut guesses: Vec<&str> = TARGETS.iter().map(|row| row.name).filter(|row| name.contains(row)).collect();
    guesses.sort_by_key(|row| row.len());
    let target = arguments.target.as_deref().or(guesses.last().copied());
    let target = target.ok_or("no envelope and no module: say with --target whose input it is")?;
    Ok(decode_input(target, &bytes)
        .ok_or_else(|| format!("these bytes give no case of {target}, if there is such a target"))?)
}

/// A module with calls of all its exports.
fn of_module(wasm: &[u8]) -> Result<Envelope, Box<dyn Error>> {
    match Case::from_module(wasm.to_vec(), 0, Form::Original, NanRule::Exact, 1) {
        Ok(case) => Ok(core_envelope("diff_core", &case)),
        Err(error) => {
            model::envelope_of_module(wasm).ok_or_else(|| format!("this module cannot be called: {error}").into())
        }
    }
}

/// The case's configuration as options of the `wattest` command.
pub fn command(case: &Envelope) -> String {
    let options = regression::options_of(case);
    let flags: String = options.split_whitespace().map(|option| format!(" --{option}")).collect();
    format!("wattest run{flags} main.wasm")
}

/// The case in every row of configurations.
fn every_configuration(case: &Envelope, isolated: &mut Isolated) -> Vec<Said> {
    if case.get("subject").is_none() {
        return Vec::new();
    }
    let said = |row: usize| {
        let outcome = isolated.run(&case.clone().set("subject", row));
        let (what, suspect) = match &outcome.disagreement {
            Some((found, vote)) => (Some(found.what.clone()), Some(format!("{:?}", vote.suspect))),
            None => (None, None),
        };
        Said { configuration: CONFIGS[row].name.to_owned(), what, suspect }
    };
    (0..CONFIGS.len()).map(said).collect()
}

/// Finds what the failure needs: options by leaving each out, functions by emptying each.
fn bisect(case: &Envelope, findings: &mut Findings, isolated: &mut Isolated) {
    let Some(signature) = isolated.run(case).signature() else { return };
    let mut fails = |case: &Envelope| isolated.run(case).signature().as_deref() == Some(signature.as_str());
    let own = &CONFIGS[case.number("subject", 0) as usize % CONFIGS.len()];
    // Rows are few: an option matters if no failing row is without it.
    let failing: Vec<usize> = (0..CONFIGS.len()).filter(|row| fails(&case.clone().set("subject", row))).collect();
    let everywhere = |option: &(&str, &str)| failing.iter().all(|row| CONFIGS[*row].options.contains(option));
    findings.culprit_options =
        own.options.iter().filter(|option| everywhere(option)).map(|(key, value)| format!("{key}={value}")).collect();
    let Some(bodies) = split(case.bytes(0)) else { return };
    for body in 0..bodies.len() {
        let mut without = bodies.clone();
        without[body].operations = vec![vec![0x00]];
        let mut candidate = case.clone();
        candidate.modules[0].bytes = join(case.bytes(0), &without);
        if !bodies[body].operations.is_empty() && !fails(&candidate) {
            findings.culprit_functions.push(body);
        }
    }
}

fn print(findings: &Findings) {
    println!("target {}\n{}", findings.target, findings.command);
    match (&findings.failure, &findings.suspect) {
        (Some(what), Some(suspect)) => println!("DISAGREEMENT with {what}\nsuspect: {suspect}"),
        _ => println!("agreement"),
    }
    for said in &findings.configurations {
        println!("  {:<20} {}", said.configuration, said.what.as_deref().unwrap_or("agrees"));
    }
    if findings.failure.is_some() {
        println!("options that matter: {}", findings.culprit_options.join(" "));
        println!("functions that matter: {:?}", findings.culprit_functions);
        println!(
            "reduced to {} operations: {}",
            findings.operations,
            findings.reduced_failure.as_deref().unwrap_or("")
        );
        println!("{}", findings.reduced_command.as_deref().unwrap_or(""));
    }
    if let Some(file) = &findings.file {
        println!("{} in {}", if findings.is_script { "script" } else { "reduced case" }, file.display());
    }
}
