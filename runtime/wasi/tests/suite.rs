//! The preview 1 tests of the official WASI suite.
//!
//! The suite ([source](https://github.com/WebAssembly/wasi-testsuite)) is not part of the repository: it is taken from
//! `wasi/` in the folder that `WATTEST_SUITES` names (set but missing is an error), else from `spec-tests/suites/`;
//! without it the test says that it is skipped.
//!
//! Invariant: every test gets a fresh copy of its fixture folder, and a store of its own.

use serde_json::Value;
use std::path::{Path, PathBuf};
use wattest::{Engine, InstantiateError, Linker, Module, Store};
use wattest_wasi::host::fs::Access;
use wattest_wasi::host::stdio::{OutputBuffer, OutputStream};
use wattest_wasi::{Exit, WasiCtx, WasiCtxBuilder, preview1};

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

/// Runs a program as its specification beside it says.
fn run(engine: &Engine, program: &Path) -> Result<(), String> {
    let specification = std::fs::read(program.with_extension("json")).unwrap_or_else(|_| b"{}".to_vec());
    let specification: Value = serde_json::from_slice(&specification).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let (stdout, stderr) = (OutputBuffer::new(1 << 20), OutputBuffer::new(1 << 20));
    let mut builder = WasiCtxBuilder::new();
    builder.stdout(OutputStream::Buffer(stdout.clone())).stderr(OutputStream::Buffer(stderr.clone()));
    builder.arg(program.file_name().unwrap().as_encoded_bytes()).unwrap();
    for arg in specification["args"].as_array().into_iter().flatten() {
        builder.arg(arg.as_str().unwrap()).unwrap();
    }
    for (name, value) in specification["env"].as_object().into_iter().flatten() {
        builder.env(name, value.as_str().unwrap()).unwrap();
    }
    if let Some(root) = specification["root"].as_str() {
        copy_folder(&program.parent().unwrap().join(root), temp.path());
        builder.preopened_dir(temp.path(), "/", Access::READ_WRITE).unwrap();
    }
    let status = call(engine, program, builder.build())
        .map_err(|error| format!("{error}\n{}", String::from_utf8_lossy(&stderr.contents())))?;
    let expected = specification["exit_code"].as_u64().unwrap_or(0);
    if u64::from(status) != expected {
        let stderr = String::from_utf8_lossy(&stderr.contents()).into_owned();
        return Err(format!("status {status} instead of {expected}\n{stderr}"));
    }
    for (name, buffer) in [("stdout", stdout), ("stderr", stderr)] {
        let actual = String::from_utf8_lossy(&buffer.contents()).into_owned();
        if specification[name].as_str().is_some_and(|expected| expected != actual) {
            return Err(format!("{name} is {actual:?}"));
        }
    }
    Ok(())
}

/// Calls `_start`; the status.
fn call(engine: &Engine, program: &Path, ctx: WasiCtx) -> Result<u32, String> {
    let module = Module::new(engine, std::fs::read(program).unwrap()).map_err(|error| error.to_string())?;
    let mut linker = Linker::new(engine);
    preview1::add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx).map_err(|error| error.to_string())?;
    let mut store = Store::new(engine, ctx);
    let instance = linker.instantiate(&mut store, &module).map_err(|error: InstantiateError| error.to_string())?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").map_err(|error| error.to_string())?;
    match start.call(&mut store, ()) {
        Ok(()) => Ok(0),
        Err(error) => error.downcast_ref::<Exit>().map(|exit| exit.0).ok_or_else(|| error.to_string()),
    }
}

#[test]
fn the_suite_passes() {
    let Some(suite) = suite() else {
        println!("skipped: the WASI suite (no folder: set WATTEST_SUITES)");
        return;
    };
    let engine = Engine::default();
    let programs = programs(&suite);
    assert!(!programs.is_empty(), "no programs in {}", suite.display());
    let failures: Vec<String> = programs
        .iter()
        .filter_map(|program| Some(format!("{}: {}", program.display(), run(&engine, program).err()?)))
        .collect();
    println!("{} of {} WASI preview 1 tests pass", programs.len() - failures.len(), programs.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
