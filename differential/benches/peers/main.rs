//! Wattest measured against its peers, interleaved in one run.
//!
//! ```text
//! cargo bench -p wattest-differential --bench peers -- [FILTER] [--rounds N] [--engines A,B] [--json FILE]
//! ```
//!
//! Every measurement is a process of its own, for wattest and wasmi too (this binary calls itself as a worker), so that no
//! engine runs in a heap or on threads that another one has warmed. In every round every engine has its turn, in an order
//! that rotates; a ratio is taken within a round, so that a slow minute of the machine hits both sides, and the median over
//! the rounds is printed. `wattest-again` is wattest once more: its ratio says how much of the others is noise.
//!
//! | Variable | Names |
//! |---|---|
//! | `WATTEST_SHARED` | the folder that holds the programs under `bench/` (default `../shared`) |
//! | `WATTEST_WASMTIME_LIB` | Wasmtime's C library (`libwasmtime.so`, or `_libwasmtime.so` of its Python wheel) |
//! | `WATTEST_WASMTIME_CLI` | the `wasmtime` command; without it the time of a process is that of the C driver |
//! | `WATTEST_WASMTIME_RUST` | the release build of `wasmtime_driver/`, for the rows about components |
//! | `WATTEST_NODE` | a `node` with a current V8 |
//! | `WATTEST_CLI` | the release build of the `wattest` command (default: beside this binary) |
//! | `WATTEST_SUITES` | the suites; the `spec` folder is run once per round by both commands |
//!
//! Invariant: an engine that is not there is reported as skipped, one that fails as failed; neither counts in a mean.
//!
//! Does not know: what a fast engine is; it prints ratios.

#![forbid(unsafe_code)]

mod clock;
mod components;
mod engines;
mod micro;
mod process;
mod programs;
mod rounds;
mod table;
mod wasmi_worker;
mod wattest_components;
mod wattest_worker;

use rounds::Options;
use std::path::PathBuf;
use std::process::ExitCode;

/// The first argument of a worker process.
const WORKER: &str = "--worker";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == WORKER) {
        return worker(&args[1..]);
    }
    match options(&args) {
        Ok(options) => rounds::run(&options),
        Err(message) => {
            eprintln!("{message}\nusage: peers [FILTER] [--rounds N] [--engines A,B] [--json FILE]");
            ExitCode::from(2)
        }
    }
}

/// Measures one thing in this process and prints it as one JSON object of nanoseconds.
fn worker(args: &[String]) -> ExitCode {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let sample = match args.as_slice() {
        ["wattest", "program", rest @ ..] => wattest_worker::program(rest),
        ["wattest", "micro", folder] => wattest_worker::micro(folder),
        ["wattest", "components", folder] => wattest_components::components(folder),
        ["wasmi", "program", rest @ ..] => wasmi_worker::program(rest),
        ["wasmi", "micro", folder] => wasmi_worker::micro(folder),
        _ => Err(format!("no such worker: {args:?}").into()),
    };
    match sample {
        Ok(sample) => {
            println!("{}", serde_json::to_string(&sample).expect("numbers by name are JSON"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options(args: &[String]) -> Result<Options, String> {
    let mut options = Options { filter: None, rounds: 5, engines: None, json: None };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().cloned().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--bench" => {} // cargo's own
            "--rounds" => {
                let text = value()?;
                options.rounds = text.parse().map_err(|_| format!("--rounds takes a number, not `{text}`"))?;
            }
            "--engines" => options.engines = Some(value()?.split(',').map(str::to_owned).collect()),
            "--json" => options.json = Some(PathBuf::from(value()?)),
            flag if flag.starts_with('-') => return Err(format!("no such option: {flag}")),
            filter => options.filter = Some(filter.to_owned()),
        }
    }
    Ok(options)
}
