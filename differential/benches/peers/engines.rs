//! The engines that are measured: one row each.

use std::env::{current_exe, var_os};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An engine, as the command that measures it.
#[derive(Debug, Clone)]
pub struct Engine {
    /// Its name in the tables.
    pub name: &'static str,
    program: PathBuf,
    args: Vec<String>,
}

/// The engines that are there, wattest first, and why others are not.
#[derive(Debug, Default)]
pub struct Engines {
    /// In the order of the first round.
    pub found: Vec<Engine>,
    /// What is missing, and how to have it.
    pub skipped: Vec<String>,
}

impl Engine {
    /// The command that measures `what`, one of a driver's subcommands.
    pub fn command(&self, what: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).arg(what).env("RUST_BACKTRACE", "0");
        command
    }
}

/// Finds the engines; `only` names those that are wanted.
pub fn find(only: Option<&[String]>) -> Engines {
    those(rows(), only)
}

/// Finds the engines that run components.
pub fn find_for_components(only: Option<&[String]>) -> Engines {
    let wasmtime = || -> Place {
        let reason = "set WATTEST_WASMTIME_RUST to the release build of benches/peers/wasmtime_driver";
        Ok((var_os("WATTEST_WASMTIME_RUST").map(PathBuf::from).ok_or(reason)?, Vec::new()))
    };
    let rows = vec![("wattest", this("wattest")), ("wasmtime", wasmtime()), ("wattest-again", this("wattest"))];
    those(rows, only)
}

fn those(rows: Vec<(&'static str, Place)>, only: Option<&[String]>) -> Engines {
    let mut engines = Engines::default();
    for (name, place) in rows {
        if only.is_some_and(|only| !only.iter().any(|wanted| wanted == name)) {
            continue;
        }
        match place {
            Ok((program, args)) => engines.found.push(Engine { name, program, args }),
            Err(reason) => engines.skipped.push(format!("{name}: {reason}")),
        }
    }
    engines
}

type Place = Result<(PathBuf, Vec<String>), String>;

fn rows() -> Vec<(&'static str, Place)> {
    let node = |flags: &[&str]| -> Place {
        let node = var_os("WATTEST_NODE").ok_or("set WATTEST_NODE to a node binary")?;
        let driver = source_folder().join("node_driver.mjs").to_string_lossy().into_owned();
        let flags = flags.iter().map(|flag| (*flag).to_owned());
        Ok((PathBuf::from(node), flags.chain([driver]).collect()))
    };
    vec![
        ("wattest", this("wattest")),
        ("wasmtime", wasmtime_driver().map(|driver| (driver, Vec::new()))),
        ("wasmi", this("wasmi")),
        ("v8", node(&[])),
        ("v8-turbofan", node(&["--no-liftoff", "--no-wasm-lazy-compilation"])),
        ("wattest-again", this("wattest")),
    ]
}

fn this(engine: &str) -> Place {
    let exe = current_exe().map_err(|error| error.to_string())?;
    Ok((exe, vec![crate::WORKER.to_owned(), engine.to_owned()]))
}

/// The folder of the drivers' sources.
fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers")
}

/// The C driver, built for the library that is named.
pub fn wasmtime_driver() -> Result<PathBuf, String> {
    let library = var_os("WATTEST_WASMTIME_LIB").ok_or("set WATTEST_WASMTIME_LIB to its C library")?;
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wasmtime_driver");
    let built = Command::new("bash").arg(source_folder().join("build.sh")).arg(library).arg(&out).output();
    match built {
        Ok(output) if output.status.success() => Ok(out),
        Ok(output) => Err(format!("its driver does not build: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("its driver does not build: {error}")),
    }
}

/// The `wattest` command: named, or beside this binary.
pub fn wattest_cli() -> Result<PathBuf, String> {
    let beside = || Some(current_exe().ok()?.parent()?.parent()?.join("wattest"));
    let path = var_os("WATTEST_CLI").map(PathBuf::from).or_else(beside).unwrap_or_default();
    if path.is_file() { Ok(path) } else { Err("build it: cargo build --release -p wattest-cli".to_owned()) }
}

/// The `wasmtime` command, if it is named.
pub fn wasmtime_cli() -> Option<PathBuf> {
    var_os("WATTEST_WASMTIME_CLI").map(PathBuf::from)
}
