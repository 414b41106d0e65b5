//! The official WASI suite: its preview 1 programs as they are, and as components through the official adapter.
//!
//! The suite ([source](https://github.com/WebAssembly/wasi-testsuite)) is not part of the repository: it is taken from
//! `wasi/` in the folder that `WATTEST_SUITES` names (set but missing is an error), else from `spec-tests/suites/`;
//! without it the test says that it is skipped. Components are made by the package `@bytecodealliance/jco` in the folder that
//! `WATTEST_JCO` names (it wraps the official tool and carries the adapter). If `WATTEST_WASMTIME` names that program, it runs
//! the same components, and has to pass no more of them.
//!
//! Invariant: every test gets a fresh copy of its fixture folder, and a store of its own.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use wattest::component::{self, Component};
use wattest::{Engine, Error, Linker, Module, Store};
use wattest_wasi::host::fs::{Access, Dir, HostDir, Resolver};
use wattest_wasi::host::stdio::{OutputBuffer, OutputStream};
use wattest_wasi::{Exit, WasiCtx, WasiCtxBuilder, p2, preview1};

fn suite() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("WATTEST_SUITES") {
        let folder = PathBuf::from(named).join("wasi");
        assert!(folder.is_dir(), "WATTEST_SUITES is set, but there is no {}", folder.display());
        return Some(folder);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec-tests/suites/wasi");
    folder.is_dir().then_some(folder)
}

/// The programs of every language's `wasm32-wasip1` folder.
fn programs(suite: &Path) -> Vec<PathBuf> {
    let mut programs = Vec::new();
    for language in std::fs::read_dir(suite.join("tests")).unwrap() {
        let folder = language.unwrap().path().join("testsuite/wasm32-wasip1");
        let Ok(listing) = std::fs::read_dir(folder) else { continue };
        let files = listing.map(|entry| entry.unwrap().path());
        programs.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == "wasm")));
    }
    programs.sort();
    programs
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_folder(&entry.path(), &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else {
            // The contents only: the suite may be kept read-only, its tests write.
            std::fs::write(target, std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// What the specification beside a program says.
struct Specification {
    args: Vec<String>,
    env: Vec<(String, String)>,
    /// A fresh copy of its folder.
    root: Option<tempfile::TempDir>,
    status: u64,
    stdout: Option<String>,
    stderr: Option<String>,
}

fn specification(program: &Path) -> Specification {
    let text = std::fs::read(program.with_extension("json")).unwrap_or_else(|_| b"{}".to_vec());
    let value: Value = serde_json::from_slice(&text).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let root = value["root"].as_str().map(|root| {
        let temp = tempfile::tempdir().unwrap();
        copy_folder(&program.parent().unwrap().join(root), temp.path());
        temp
    });
    Specification {
        args: value["args"].as_array().into_iter().flatten().filter_map(text).collect(),
        env: value["env"].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), text(v).unwrap())).collect(),
        root,
        status: value["exit_code"].as_u64().unwrap_or(0),
        stdout: text(&value["stdout"]),
        stderr: text(&value["stderr"]),
    }
}

/// What running a program came to: its status, what it wrote.
struct Outcome {
    status: u64,
    stdout: String,
    stderr: String,
}

/// Whether a run is as specified. A component only says whether it succeeded.
fn verdict(specification: &Specification, outcome: &Outcome, is_component: bool) -> Result<(), String> {
    let Outcome { status, stdout, stderr } = outcome;
    let as_specified = match is_component {
        true => (*status == 0) == (specification.status == 0),
        false => *status == specification.status,
    };
    if !as_specified {
        return Err(format!("status {status} instead of {}\n{stderr}", specification.status));
    }
    for (name, actual, expected) in
        [("stdout", stdout, &specification.stdout), ("stderr", stderr, &specification.stderr)]
    {
        if expected.as_ref().is_some_and(|expected| expected != actual) {
            return Err(format!("{name} is {actual:?}"));
        }
    }
    Ok(())
}

type Start = fn(&Engine, &Path, WasiCtx) -> Result<u64, String>;

/// Runs a program as its specification says; the file that is started may be another form of it.
fn run(engine: &Engine, program: &Path, file: &Path, resolver: Resolver, start: Start) -> Result<(), String> {
    let specification = specification(program);
    let (stdout, stderr) = (OutputBuffer::new(1 << 20), OutputBuffer::new(1 << 20));
    let mut builder = WasiCtxBuilder::new();
    builder.stdout(OutputStream::Buffer(stdout.clone())).stderr(OutputStream::Buffer(stderr.clone()));
    builder.arg(program.file_name().unwrap().as_encoded_bytes()).unwrap();
    for arg in &specification.args {
        builder.arg(arg).unwrap();
    }
    for (name, value) in &specification.env {
        builder.env(name, value).unwrap();
    }
    if let Some(root) = &specification.root {
        let root = HostDir::open_ambient(root.path()).unwrap().resolved_by(resolver);
        builder.preopened(Dir::new(Arc::new(root), Access::READ_WRITE), "/");
    }
    let text = |buffer: &OutputBuffer| String::from_utf8_lossy(&buffer.contents()).into_owned();
    let status = start(engine, file, builder.build()).map_err(|error| format!("{error}\n{}", text(&stderr)))?;
    let outcome = Outcome { status, stdout: text(&stdout), stderr: text(&stderr) };
    verdict(&specification, &outcome, file != program)
}

fn status(error: &Error) -> Result<u64, String> {
    error.downcast_ref::<Exit>().map(|exit| exit.0.into()).ok_or_else(|| error.to_string())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Calls `_start`; the status.
fn start_module(engine: &Engine, file: &Path, ctx: WasiCtx) -> Result<u64, String> {
    let module = Module::new(engine, std::fs::read(file).unwrap()).map_err(text)?;
    let mut linker = Linker::new(engine);
    preview1::add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx).map_err(text)?;
    let mut store = Store::new(engine, ctx);
    let instance = linker.instantiate(&mut store, &module).map_err(text)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").map_err(text)?;
    start.call(&mut store, ()).map_or_else(|error| status(&error), |()| Ok(0))
}

/// Calls `wasi:cli/run`; the status.
fn start_component(engine: &Engine, file: &Path, ctx: WasiCtx) -> Result<u64, String> {
    let component = Component::new(engine, std::fs::read(file).unwrap()).map_err(text)?;
    let mut linker = component::Linker::new(engine);
    p2::add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx).map_err(text)?;
    let mut store = Store::new(engine, ctx);
    let instance = linker.instantiate(&mut store, &component).map_err(text)?;
    let exports = component.exports();
    let run = exports.iter().find(|(name, _)| name.starts_with(p2::RUN[0])).ok_or("no wasi:cli/run")?;
    let run =
        instance.get_typed_func::<(), (Result<(), ()>,)>(&mut store, [run.0.as_str(), p2::RUN[1]]).map_err(text)?;
    run.call(&mut store, ()).map_or_else(|error| status(&error), |(result,)| Ok(u64::from(result.is_err())))
}

fn failures<'a>(
    programs: impl IntoIterator<Item = &'a PathBuf>,
    run: impl Fn(&Path) -> Result<(), String>,
) -> Vec<(PathBuf, String)> {
    programs.into_iter().filter_map(|program| Some((program.clone(), run(program).err()?))).collect()
}

fn summary(what: &str, programs: &[PathBuf], failures: &[(PathBuf, String)]) -> String {
    let lines = failures.iter().map(|(program, why)| format!("\n{}: {why}", program.display()));
    let (passed, all) = (programs.len() - failures.len(), programs.len());
    format!("{passed} of {all} WASI preview 1 tests pass {what}{}", lines.collect::<String>())
}

#[test]
fn the_suite_passes() {
    let Some(suite) = suite() else {
        println!("skipped: the WASI suite (no folder: set WATTEST_SUITES)");
        return;
    };
    let (engine, programs) = (Engine::default(), programs(&suite));
    assert!(!programs.is_empty(), "no programs in {}", suite.display());
    for (resolver, what) in [(Resolver::Kernel, "as modules"), (Resolver::Walk, "as modules, without openat2")] {
        let failures = failures(&programs, |program| run(&engine, program, program, resolver, start_module));
        let summary = summary(what, &programs, &failures);
        println!("{summary}");
        assert!(failures.is_empty(), "{summary}");
    }
}

/// Makes components of programs, in a folder.
fn componentize(jco: &Path, programs: &[PathBuf], out: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/componentize.mjs");
    let output = Command::new("node").arg(script).arg(jco).arg(out).args(programs).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The component that was made of a program.
fn component_of(program: &Path, folder: &Path) -> PathBuf {
    let language = program.ancestors().nth(3).unwrap().file_name().unwrap().to_str().unwrap();
    folder.join(format!("{language}-{}", program.file_name().unwrap().to_str().unwrap()))
}

/// Runs a component with Wasmtime.
fn wasmtime(wasmtime: &Path, program: &Path, file: &Path) -> Result<(), String> {
    let specification = specification(program);
    let mut command = Command::new(wasmtime);
    command.arg("run");
    for (name, value) in &specification.env {
        command.arg("--env").arg(format!("{name}={value}"));
    }
    if let Some(root) = &specification.root {
        command.arg("--dir").arg(format!("{}::/", root.path().display()));
    }
    command.arg("--argv0").arg(program.file_name().unwrap()).arg(file).args(&specification.args);
    let output = command.stdin(std::process::Stdio::null()).output().map_err(text)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let status = output.status.code().unwrap_or(255) as u64;
    let outcome = Outcome { status, stdout: text(&output.stdout), stderr: text(&output.stderr) };
    verdict(&specification, &outcome, true)
}

#[test]
fn the_suite_passes_as_components() {
    let (Some(suite), Some(jco)) = (suite(), std::env::var_os("WATTEST_JCO").map(PathBuf::from)) else {
        println!("skipped: the WASI suite as components (set WATTEST_SUITES, and WATTEST_JCO to the package's folder)");
        return;
    };
    let (engine, programs) = (Engine::default(), programs(&suite));
    let temp = tempfile::tempdir().unwrap();
    componentize(&jco, &programs, temp.path());
    let ours = failures(&programs, |program| {
        run(&engine, program, &component_of(program, temp.path()), Resolver::Kernel, start_component)
    });
    let mut report = summary("as components", &programs, &ours);
    let mut unexpected = ours.iter().filter(|(program, _)| explained(program).is_none()).count();
    if let Some(path) = std::env::var_os("WATTEST_WASMTIME").map(PathBuf::from) {
        let theirs = failures(&programs, |program| wasmtime(&path, program, &component_of(program, temp.path())));
        report.push_str(&format!("\nWasmtime: {}", summary("as components", &programs, &theirs)));
        let passes_there = |program: &PathBuf| theirs.iter().all(|(failed, _)| failed != program);
        unexpected += ours.iter().filter(|(program, _)| passes_there(program)).count();
    }
    println!("{report}");
    assert_eq!(unexpected, 0, "{report}");
    let stale: Vec<_> = EXPLAINED
        .iter()
        .filter(|(name, _)| ours.iter().all(|(program, _)| program.file_stem().unwrap() != *name))
        .collect();
    assert!(stale.is_empty(), "these pass, or are not there: {stale:?}");
}

/// Programs that cannot pass through the adapter, and why.
const EXPLAINED: &[(&str, &str)] = &[
    ("args_get-multiple-arguments", "an assertion of the adapter fails in args_get (its line 2858), in Wasmtime too"),
    (
        "environ_get-multiple-variables",
        "an assertion of the adapter fails in environ_get (its line 2858), in Wasmtime too",
    ),
    ("fd_write-to-invalid-fd", "the adapter answers for the descriptor itself, with another number, in Wasmtime too"),
];

fn explained(program: &Path) -> Option<&'static str> {
    EXPLAINED.iter().find(|(name, _)| program.file_stem().unwrap() == *name).map(|(_, why)| *why)
}

/// The folders of the suite that are not run, and why.
const NOT_RUN: &[(&str, &str)] = &[
    ("tests/rust/testsuite/wasm32-wasip3", "component async: WASI 0.3 is not implemented"),
    ("tests/proposals/wasi-threads", "wasi-threads: the proposal was withdrawn for shared-everything-threads"),
];

/// Every folder with programs is either run or has its reason.
#[test]
fn nothing_is_left_out_silently() {
    let Some(suite) = suite() else {
        println!("skipped: the WASI suite (no folder: set WATTEST_SUITES)");
        return;
    };
    let mut open = vec![suite.clone()];
    let mut folders = std::collections::BTreeMap::<PathBuf, usize>::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                *folders.entry(folder.strip_prefix(&suite).unwrap().to_owned()).or_default() += 1;
            }
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            }
        }
    }
    for (folder, programs) in folders {
        let why = NOT_RUN.iter().find(|(prefix, _)| folder.starts_with(prefix)).map(|(_, why)| *why);
        let run = folder.ends_with("testsuite/wasm32-wasip1").then_some("run");
        println!("{}: {programs} programs: {}", folder.display(), why.or(run).unwrap_or("?"));
        assert!(why.is_some() || run.is_some(), "{} is not run", folder.display());
    }
}
