//! The rounds: every engine's turn at everything, and the tables at the end.

use crate::clock::Sample;
use crate::engines::{self, Engine};
use crate::process::{self, Outside};
use crate::programs::{self, Program};
use crate::table::{Results, Row};
use crate::{components, micro, table};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to run.
#[derive(Debug)]
pub struct Options {
    /// Part of a program's name, or `micro`, `components`, `process`, `suite`.
    pub filter: Option<String>,
    /// Turns of every engine.
    pub rounds: usize,
    /// The engines wanted; all when not given.
    pub engines: Option<Vec<String>>,
    /// Where the raw samples go.
    pub json: Option<PathBuf>,
}

impl Options {
    fn wants(&self, section: &str) -> bool {
        self.filter.as_deref().is_none_or(|filter| filter == section)
    }
}

/// Runs everything that is wanted and prints the tables.
pub fn run(options: &Options) -> ExitCode {
    let scratch = match micro::write().and_then(|folder| components::write(&folder).map(|()| folder)) {
        Ok(scratch) => scratch,
        Err(error) => {
            eprintln!("the scratch folder: {error}");
            return ExitCode::FAILURE;
        }
    };
    let engines = engines::find(options.engines.as_deref());
    let of_components = engines::find_for_components(options.engines.as_deref());
    for reason in engines.skipped.iter().chain(&of_components.skipped) {
        println!("skipped: {reason}");
    }
    let section =
        options.filter.as_deref().filter(|filter| ["micro", "components", "process", "suite"].contains(filter));
    let programs = if section.is_some() { Vec::new() } else { programs::find(options.filter.as_deref()) };
    if programs.is_empty() && section.is_none() {
        println!("skipped: no program in {}", programs::folder().display());
    }
    let outside = outside(options, &scratch);
    let mut results = Results::new(options.rounds);
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        run_engines(&mut results, round, options, &engines.found, &programs, &scratch);
        if options.wants("components") {
            for (_, engine) in rotated(&of_components.found, round) {
                results.add(round, "components", engine.name, process::components(engine, &scratch));
                eprintln!("  components {}", engine.name);
            }
        }
        for (turn, (row, command)) in rotated(&outside, round) {
            let sample = command.measure().map_err(|error| error.to_string());
            eprintln!("  {turn} {row} {}", command.name);
            results.add(round, row, command.name, sample.and_then(no_failures));
        }
    }
    let _ = fs::remove_dir_all(&scratch);
    table::print(&results, &rows(&programs), &engines.found, &of_components.found);
    if let Some(path) = &options.json
        && let Err(error) = fs::write(path, results.json())
    {
        eprintln!("{}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    if results.subject_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run_engines(
    results: &mut Results,
    round: usize,
    options: &Options,
    engines: &[Engine],
    programs: &[Program],
    scratch: &Path,
) {
    for (number, program) in programs.iter().enumerate() {
        for (_, engine) in rotated(engines, round + number) {
            results.add(round, &program.name, engine.name, process::program(engine, program, scratch));
        }
        eprintln!("  {}", program.name);
    }
    if options.wants("micro") {
        for (_, engine) in rotated(engines, round) {
            results.add(round, "micro", engine.name, process::micro(engine, scratch));
            eprintln!("  micro {}", engine.name);
        }
    }
}

/// The items from a place that moves on with every turn.
fn rotated<T>(items: &[T], turn: usize) -> impl Iterator<Item = (usize, &T)> {
    let start = turn.checked_rem(items.len()).unwrap_or(0);
    items.iter().enumerate().cycle().skip(start).take(items.len())
}

fn rows(programs: &[Program]) -> Vec<Row> {
    let program = |program: &Program| Row::program(&program.name);
    programs.iter().map(program).collect()
}

fn no_failures(sample: Sample) -> Result<Sample, String> {
    match sample.get("failures") {
        Some(failures) if *failures > 0.0 => Err(format!("{failures} processes ended with a failure")),
        _ => Ok(sample),
    }
}

/// The commands measured from outside: the start of a process, and the suite.
fn outside(options: &Options, scratch: &Path) -> Vec<(&'static str, Outside)> {
    let mut rows = Vec::new();
    let ours = engines::wattest_cli();
    if let Err(reason) = &ours {
        println!("skipped: the wattest command: {reason}");
    }
    if options.wants("process") {
        let trivial = scratch.join("trivial.wasm");
        let mut add = |name, line: Vec<PathBuf>| rows.push(("process", Outside::started_often(name, line)));
        if let Ok(cli) = &ours {
            add("wattest", vec![cli.clone(), "run".into(), trivial.clone()]);
            add("wattest-again", vec![cli.clone(), "run".into(), trivial.clone()]);
        }
        if let Some(cli) = engines::wasmtime_cli() {
            add("wasmtime", vec![cli, "run".into(), "-C".into(), "cache=n".into(), trivial.clone()]);
        } else if let Ok(driver) = engines::wasmtime_driver() {
            add("wasmtime", vec![driver, "trivial".into(), trivial]);
        }
    }
    if options.wants("suite") {
        rows.extend(suite(ours.ok()));
    }
    rows
}

/// The official suite in one process. `wasmtime wast` shares one store between files: those that would disturb each
/// other are left out on both sides.
fn suite(ours: Option<PathBuf>) -> Vec<(&'static str, Outside)> {
    let Some(suites) = std::env::var_os("WATTEST_SUITES") else {
        println!("skipped: the suite: WATTEST_SUITES is not set");
        return Vec::new();
    };
    let folder = PathBuf::from(suites).join("spec");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.ends_with(".wast") && !name.starts_with("imports")
    });
    files.sort();
    let mut rows = Vec::new();
    let mut add = |name, mut line: Vec<PathBuf>| {
        line.extend(files.iter().cloned());
        rows.push(("suite", Outside { name, line, count: 1 }));
    };
    if let Some(cli) = ours {
        add("wattest", vec![cli.clone(), "wast".into()]);
        add("wattest-again", vec![cli, "wast".into()]);
    }
    match engines::wasmtime_cli() {
        Some(cli) => {
            let flags = ["wast", "-C", "cache=n", "-W", "all-proposals=y", "--ignore-error-messages"];
            add("wasmtime", [cli].into_iter().chain(flags.map(PathBuf::from)).collect());
        }
        None => println!("skipped: the suite in wasmtime: WATTEST_WASMTIME_CLI is not set"),
    }
    rows
}
