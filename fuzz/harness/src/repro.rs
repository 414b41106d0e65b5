//! `cargo prove repro FILE`: everything about one failing case.
//!
//! Takes an envelope, a libFuzzer or OSS-Fuzz testcase of a target, a module or component (binary or text) or a script. Says
//! how the case is written on a command line, runs it in every configuration of its target and in every engine that is there,
//! says who disagrees and where; then reduces it, finds the options and the functions that matter, and writes a regression: a
//! script with the reference's values where a script can say it, else the reduced case.
//!
//! Invariant: every run is in a process of its own, so that a case that kills or hangs one is told apart from the others. A
//! case of which nothing can be checked is an error, never agreement.
//!
//! Does not know: libFuzzer.

use crate::campaign::{MUTANT_VARIABLE, PROCESS};
use crate::configurations::{configuration_of_case, in_row, own_rows, row_count, words};
use crate::envelope::Envelope;
use crate::isolate::{self, HANGS, Isolated};
use crate::pieces::{join, split};
use crate::reduction::{self, Place};
use crate::targets::Outcome;
use crate::verdicts::{self, Verdict};
use crate::vote::Suspect;
use crate::{command_line, input, report, witness};
use serde::Serialize;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What is asked for.
#[derive(clap::Args)]
pub struct Arguments {
    /// An envelope, a testcase, a `.wasm`, `.wat` or `.wast` file.
    file: PathBuf,
    /// The target whose input the file is; else its name says so, or the file itself.
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Longest reduction, in seconds of processor time; 60 unless given.
    #[arg(long, value_name = "SECONDS")]
    time: Option<u64>,
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

/// Longest reduction, in seconds of processor time, unless another is asked for.
const REDUCTION_SECONDS: u64 = 60;

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
    /// The case as command lines.
    pub command: Vec<String>,
    /// What was compared of the runtime, and of the reference.
    pub checks: u64,
    /// Steps or values of the reference.
    pub reference_checks: u64,
    /// The finding that explains the failure.
    pub explained: Option<String>,
    /// What happened, in the case's own configuration.
    pub failure: Option<String>,
    /// Who is suspected.
    pub suspect: Option<String>,
    /// The same in every configuration.
    pub configurations: Vec<Said>,
    /// What every engine that is there says of it.
    pub engines: Vec<Verdict>,
    /// Options without which the reduced case does not fail; none where the program cannot leave one out.
    pub culprit_options: Option<Vec<String>>,
    /// Functions of the reduced case without which it does not fail: their modules, and their numbers among those with bodies.
    pub culprit_functions: Vec<(String, usize)>,
    /// Operations of the reduced case.
    pub operations: usize,
    /// How long the reduction took, on the clock.
    pub reduced_in_seconds: f64,
    /// The processor time of it.
    pub reduced_in_cpu_seconds: f64,
    /// What is wrong in it.
    pub reduced_failure: Option<String>,
    /// It as command lines.
    pub reduced_command: Vec<String>,
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
    let case = input::read(&arguments.file, arguments.target.as_deref())?;
    let mut isolated = Isolated::new(fault(arguments)).in_program(arguments.with.as_deref());
    let outcome = isolated.ask(&case)?.ok_or_else(|| format!("this program has no target {}", case.target))?;
    if is_nothing(&outcome) {
        return Err("nothing in this case could be checked: no module that its target can run, or no calls".into());
    }
    let mut findings = Findings { target: case.target.clone(), ..Findings::default() };
    note(&mut findings, &outcome);
    if arguments.quiet {
        return Ok(findings.failure.is_none());
    }
    if findings.failure.is_some() {
        let written = report::write_envelope(&folder(arguments)?, "case", &case)?;
        findings.command = command_line::lines(&case, &format!("{}/", written.display()), step(&outcome));
        findings.engines = every_engine(arguments, &written.join("case"))?;
        if outcome.disagreement.as_ref().is_some_and(|(found, _)| found.subject == PROCESS) {
            findings.suspect = suspect_of_death(&findings.engines).or(findings.suspect);
        }
    } else {
        // Of what agrees nothing is kept.
        let written = tempfile::tempdir()?;
        findings.command = command_line::lines(&case, "", None);
        findings.engines =
            every_engine(arguments, &report::write_envelope(written.path(), "case", &case)?.join("case"))?;
    }
    findings.configurations = every_configuration(&case, &mut isolated);
    if findings.failure.is_some() {
        let folder = folder(arguments)?;
        let small = reduce(arguments, &case, &folder, &mut findings)?;
        bisect(&small, &mut findings, &mut isolated, arguments);
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        print(&findings);
    }
    Ok(findings.failure.is_none())
}

/// Whether a run says nothing at all, not even why.
fn is_nothing(outcome: &Outcome) -> bool {
    outcome.checks + outcome.reference_checks == 0
        && outcome.poison.is_empty()
        && outcome.explained.is_none()
        && outcome.disagreement.is_none()
}

fn step(outcome: &Outcome) -> Option<usize> {
    outcome.disagreement.as_ref().and_then(|(found, _)| found.step)
}

/// Where everything about this file goes.
fn folder(arguments: &Arguments) -> std::io::Result<PathBuf> {
    let stem = arguments.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = report::output_folder().join(format!("repro-{stem}"));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The planted fault that cases run with.
fn fault(arguments: &Arguments) -> Option<String> {
    arguments.fault.clone().or_else(|| std::env::var(MUTANT_VARIABLE).ok())
}

/// Makes the case small and writes what is left.
fn reduce(
    arguments: &Arguments,
    case: &Envelope,
    folder: &Path,
    findings: &mut Findings,
) -> Result<Envelope, Box<dyn Error>> {
    let fault = fault(arguments);
    let place = Place { mutant: fault.as_deref(), program: arguments.with.as_deref() };
    let time = Duration::from_secs(arguments.time.unwrap_or(REDUCTION_SECONDS));
    let start = Instant::now();
    let reduced = reduction::reduce(case, place, time, folder, "regression")?;
    findings.reduced_in_seconds = start.elapsed().as_secs_f64();
    findings.reduced_in_cpu_seconds = reduced.used.as_secs_f64();
    let written = report::write_envelope(folder, "reduced", &reduced.case)?;
    findings.operations = reduced.operations;
    findings.reduced_failure = Some(reduced.what);
    findings.reduced_command = command_line::lines(&reduced.case, &format!("{}/", written.display()), reduced.step);
    if reduced.is_script {
        findings.reduced_command.push(format!("wattest wast {}", reduced.file.display()));
    }
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
    findings.checks = outcome.checks;
    findings.reference_checks = outcome.reference_checks;
    findings.explained = outcome.explained.clone();
    if let Some((found, vote)) = &outcome.disagreement {
        findings.failure = Some(format!("{}: {}", found.subject, found.what));
        findings.suspect = Some(format!("{:?}; the reference {}", vote.suspect, vote.reference));
    }
}

/// Runs a script in its own configuration, in every other one, and on the reference.
fn run_script(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    if let Some(flag) = unused(arguments) {
        return Err(format!("{flag} means nothing for a script: it is run as its header says, and not reduced").into());
    }
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

/// A flag that scripts have no use for.
fn unused(arguments: &Arguments) -> Option<&'static str> {
    let given = [
        ("--with", arguments.with.is_some()),
        ("--fault", arguments.fault.is_some()),
        ("--out", arguments.out.is_some()),
        ("--time", arguments.time.is_some()),
        ("--target", arguments.target.is_some()),
    ];
    given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
}

/// The hidden flag by which this binary says what every engine makes of a stored case, a line of JSON each.
pub const VERDICTS_FLAG: &str = "--verdicts";

/// Asks every engine in a process of its own: what was said before it ended is known.
fn every_engine(arguments: &Arguments, file: &Path) -> Result<Vec<Verdict>, Box<dyn Error>> {
    let mut command = Command::new(isolate::program(arguments.with.as_deref())?);
    command.arg(VERDICTS_FLAG).arg(file).env(MUTANT_VARIABLE, fault(arguments).unwrap_or_default());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (lines, ending) = reduction::said_by(&mut child)?;
    Ok(verdicts::of_lines(lines.lines().filter_map(|line| serde_json::from_str(line).ok()), ending))
}

/// Whom the vote suspects where a case ends the process that runs all engines.
fn suspect_of_death(engines: &[Verdict]) -> Option<String> {
    let (last, others) = engines.split_last()?;
    let is_outvoted = last.engine == verdicts::WASMI && last.differs && others.iter().all(|other| !other.differs);
    is_outvoted.then(|| {
        format!("{:?}; the reference agrees with the runtime, and {} {}", Suspect::Oracle, last.engine, last.says)
    })
}

/// The case in every row of its target.
fn every_configuration(case: &Envelope, isolated: &mut Isolated) -> Vec<Said> {
    let said = |row: usize| {
        let configuration = configuration_of_case(case, row)?.name.to_owned();
        let (what, suspect) = match &isolated.run(&in_row(case, row)).disagreement {
            Some((found, vote)) => (Some(found.what.clone()), Some(format!("{:?}", vote.suspect))),
            None => (None, None),
        };
        Some(Said { configuration, what, suspect })
    };
    (0..row_count(case)).filter_map(said).collect()
}

/// Finds what the failure needs: options by leaving each out, functions by emptying each.
fn bisect(case: &Envelope, findings: &mut Findings, isolated: &mut Isolated, arguments: &Arguments) {
    let Some(signature) = isolated.run(case).signature() else { return };
    let mut without = |key: &str| {
        let place = Isolated::new(fault(arguments)).in_program(arguments.with.as_deref());
        place.without(key).run(case)
    };
    findings.culprit_options = culprit_options(case, &signature, &mut without);
    let mut fails = |case: &Envelope| isolated.run(case).signature().as_deref() == Some(signature.as_str());
    findings.culprit_functions = culprit_functions(case, &mut fails);
}

/// Options of the case's configurations without which it does not fail in the same way. Nothing where a process that leaves
/// none out does not fail as ever: it cannot be asked.
fn culprit_options(case: &Envelope, signature: &str, without: &mut dyn FnMut(&str) -> Outcome) -> Option<Vec<String>> {
    without("").signature().filter(|own| own == signature)?;
    let rows = own_rows(case).into_iter().filter_map(|row| configuration_of_case(case, row));
    let mut options: Vec<String> = Vec::new();
    for option in rows.flat_map(words) {
        if !options.contains(&option) {
            options.push(option);
        }
    }
    options.retain(|option| {
        let outcome = without(option.split('=').next().unwrap_or_default());
        // What hangs without its fuel says nothing about the failure.
        let hangs = outcome.disagreement.as_ref().is_some_and(|(found, _)| found.what == HANGS);
        !hangs && outcome.signature().as_deref() != Some(signature)
    });
    Some(options)
}

/// Functions with bodies, of any module of the case, that cannot be emptied.
fn culprit_functions(case: &Envelope, fails: &mut dyn FnMut(&Envelope) -> bool) -> Vec<(String, usize)> {
    let mut culprits = Vec::new();
    for (position, module) in case.modules.iter().enumerate() {
        // Modules in components are not taken apart: what is joined would be one module.
        let bodies = if wasmparser::Parser::is_component(&module.bytes) { None } else { split(&module.bytes) };
        let bodies = bodies.unwrap_or_default();
        for body in (0..bodies.len()).filter(|body| !bodies[*body].operations.is_empty()) {
            let mut without = bodies.clone();
            without[body].operations = vec![vec![0x00]];
            let mut candidate = case.clone();
            candidate.modules[position].bytes = join(&module.bytes, &without);
            if !fails(&candidate) {
                culprits.push((module.name.clone(), body));
            }
        }
    }
    culprits
}

fn print(findings: &Findings) {
    println!("target {}", findings.target);
    findings.command.iter().for_each(|line| println!("{line}"));
    println!("{} checks of the runtime, {} of the reference", findings.checks, findings.reference_checks);
    if findings.checks == 0 {
        println!("NOTHING OF THE RUNTIME WAS CHECKED");
    }
    match (&findings.failure, &findings.suspect, &findings.explained) {
        (Some(what), Some(suspect), _) => println!("DISAGREEMENT with {what}\nsuspect: {suspect}"),
        (_, _, Some(finding)) => println!("explained by {finding}"),
        _ => println!("agreement"),
    }
    for verdict in &findings.engines {
        println!("  {:<28} {}", verdict.engine, verdict.says);
    }
    if !findings.configurations.is_empty() {
        println!("in the other configurations of its target");
    }
    for said in &findings.configurations {
        println!("  {:<28} {}", said.configuration, said.what.as_deref().unwrap_or("agrees"));
    }
    if findings.failure.is_some() {
        print_reduced(findings);
    }
    if let Some(file) = &findings.file {
        println!("{} in {}", if findings.is_script { "script" } else { "reduced case" }, file.display());
    }
}

fn print_reduced(findings: &Findings) {
    let what = findings.reduced_failure.as_deref().unwrap_or("");
    println!("reduced to {} operations: {what}", findings.operations);
    match &findings.culprit_options {
        Some(options) if options.is_empty() => println!("no option matters"),
        Some(options) => println!("options that matter: {}", options.join(" ")),
        None => println!("options that matter: not known, that program cannot leave one out"),
    }
    let functions = findings.culprit_functions.iter().map(|(module, function)| format!("{module}:{function}"));
    println!("functions that matter: {}", functions.collect::<Vec<_>>().join(" "));
    findings.reduced_command.iter().for_each(|line| println!("{line}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff_core::Disagreement;
    use wattest_differential::{CONFIGS, ROUND_TRIP};

    fn row_named(name: &str) -> usize {
        CONFIGS.iter().position(|row| row.name == name).expect("a row")
    }

    fn found(what: &str) -> Outcome {
        Outcome::failed("wattest", what)
    }

    #[test]
    fn options_are_left_out_one_by_one() {
        let check = |target: &str, setting: (&str, String), needs: &[&str], expected: &[&str]| {
            let case = Envelope::new(target).set(setting.0, setting.1);
            let signature = found("wrong").signature().expect("a failure");
            let mut without = |key: &str| match () {
                // Without its fuel it never ends.
                () if key == "fuel" => found(HANGS),
                () if needs.contains(&key) => Outcome::default(),
                () => found("wrong"),
            };
            let options = culprit_options(&case, &signature, &mut without);
            assert_eq!(options, Some(expected.iter().map(|option| (*option).to_owned()).collect()), "{case:?}");
        };
        let row = |name: &str| ("subject", row_named(name).to_string());
        // Both rows that have the option fail: what rows have in common would say too much.
        check("diff_core", row("explicit"), &["explicit-bounds"], &["explicit-bounds=true"]);
        check("diff_core", row("explicit"), &[], &[]);
        check("diff_core", row("fuel-none"), &["opt-level"], &["opt-level=none"]);
        check("diff_core", row("round-trip"), &[ROUND_TRIP], &[ROUND_TRIP]);
        check("gc_model", ("subject", "2".to_owned()), &["gc-stress"], &["gc-stress=true"]);
        let rows = format!("{},{}", row_named("fuel"), row_named("single-pass"));
        check("self_configs", ("rows", rows), &["regalloc"], &["regalloc=single-pass"]);
    }

    #[test]
    fn a_program_that_leaves_nothing_out_is_not_asked() {
        let case = Envelope::new("diff_core").set("subject", row_named("explicit"));
        let mut without = |_: &str| found("ended with exit status: 2");
        let signature = found("wrong").signature().expect("a failure");
        assert_eq!(culprit_options(&case, &signature, &mut without), None);
    }

    #[test]
    fn functions_of_every_module_are_emptied() {
        let module = |text: &str| wat::parse_str(text).expect("valid text");
        let case = Envelope::new("gc_model")
            .module("a", module("(module (func nop) (func (result i32) i32.const 1))"))
            .module("b", module("(module (func) (func (result i32) i32.const 2))"));
        let mut fails = |case: &Envelope| {
            let counts = case.modules.iter().map(|module| split(&module.bytes).expect("a module"));
            counts.flatten().filter(|body| body.operations.iter().any(|one| one[0] == 0x41)).count() == 2
        };
        assert_eq!(culprit_functions(&case, &mut fails), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
    }

    #[test]
    fn an_engine_that_ends_the_process_is_outvoted() {
        let check = |last: &str, other: bool, expected: bool| {
            let verdict =
                |engine: &str, differs| Verdict { engine: engine.to_owned(), says: "died".to_owned(), differs };
            let engines = [verdict("reference", false), verdict("wattest (speed)", other), verdict(last, true)];
            let suspect = suspect_of_death(&engines);
            assert_eq!(suspect.is_some_and(|text| text.starts_with("Oracle")), expected, "{engines:?}");
        };
        check(verdicts::WASMI, false, true);
        check(verdicts::WASMI, true, false);
        check(PROCESS, false, false);
    }

    #[test]
    fn what_says_nothing_is_no_agreement() {
        let check = |outcome: Outcome, expected| assert_eq!(is_nothing(&outcome), expected, "{outcome:?}");
        check(Outcome::default(), true);
        check(Outcome { checks: 1, ..Outcome::default() }, false);
        check(Outcome { poison: vec!["oracle: budget".to_owned()], ..Outcome::default() }, false);
        check(found("wrong"), false);
        let disagreement = Disagreement { subject: "x".to_owned(), what: "y".to_owned(), step: Some(3) };
        let vote = found("").disagreement.map(|(_, vote)| vote).expect("a vote");
        assert_eq!(step(&Outcome { disagreement: Some((disagreement, vote)), ..Outcome::default() }), Some(3));
    }
}
