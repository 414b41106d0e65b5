//! Witnesses: for each planted fault a test that passes without it and fails with it.
//!
//! Most are scripts, `witnesses/NAME.wast`, run in the configuration that their header names; what a script cannot say is a
//! row of [`CHECKS`], those of WASI of `witness/wasi.rs`. A witness shows that a fault is no equivalent of the right code; it does not show that a generator
//! would ever find it.
//!
//! Invariant: a fault has exactly one witness, under its own name.
//!
//! Does not know: whether a fault is on.

mod wasi;

use std::path::{Path, PathBuf};
use wattest::{Config, Engine, Error, Extern, Func, FuncType, Instance, Module, Store, TrapCode, Val, ValType};
use wattest_spec_tests::adapter::{CONFIGURATIONS, WattestEngine, configuration_of};
use wattest_spec_tests::{Script, WastEngine, run_script};

/// Witnesses that are no scripts, by the fault's name.
pub const CHECKS: &[(&str, Check)] = &[
    ("slot_keeps_bytes", slot_keeps_bytes),
    ("slot_image_of_former_module", slot_image_of_former_module),
    ("host_arguments_reversed", host_arguments_reversed),
    ("host_second_result_lost", host_second_result_lost),
    ("artifact_checksum_ignored", artifact_checksum_ignored),
    ("artifact_tunables_ignored", artifact_tunables_ignored),
    ("fuel_free_loops", fuel_free_loops),
    ("fuel_lost_at_calls", fuel_lost_at_calls),
    ("epoch_not_polled_in_loops", epoch_not_polled_in_loops),
];

/// A witness in Rust: what is wrong, if anything is.
pub type Check = fn() -> Result<(), String>;

fn checks() -> impl Iterator<Item = &'static (&'static str, Check)> {
    CHECKS.iter().chain(wasi::CHECKS)
}

/// The folder of scripts.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("witnesses")
}

/// Whether the witness of that name is a script: then a script can show what is wrong.
pub fn is_script(name: &str) -> bool {
    !checks().any(|(known, _)| *known == name)
}

/// Names of all witnesses, sorted.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn names() -> std::io::Result<Vec<String>> {
    let mut names: Vec<String> = checks().map(|(name, _)| (*name).to_owned()).collect();
    for entry in std::fs::read_dir(folder())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wast")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Runs the witness called `name`.
///
/// # Errors
///
/// What it found wrong: the fault is on, or there is a bug, or there is no such witness.
pub fn run(name: &str) -> Result<(), String> {
    if let Some((_, check)) = checks().find(|(known, _)| *known == name) {
        return check();
    }
    run_file(&folder().join(format!("{name}.wast")))
}

/// Runs a script in the configuration that its header names.
///
/// # Errors
///
/// The first directive that fails.
pub fn run_file(path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let script = Script::parse(&text).map_err(|error| format!("{}:{}: {}", path.display(), error.line, error.text))?;
    let engine = WattestEngine::new(configuration_of(&text));
    let report = run_script(&path.display().to_string(), &script, &engine, &WattestEngine::everything());
    match report.failures.first() {
        None => Ok(()),
        Some(failure) => Err(format!("{}:{}: {failure:?}", path.display(), failure.line)),
    }
}

/// Runs a script in every configuration of the suites and on the definitional interpreter: each engine's name, and the
/// first directive that fails there.
///
/// # Errors
///
/// When the file is no script.
pub fn run_file_everywhere(path: &Path) -> Result<Vec<(String, Option<String>)>, String> {
    let source = std::fs::read_to_string(path).map_err(text)?;
    let script = Script::parse(&source).map_err(|error| format!("line {}: {}", error.line, error.text))?;
    let features = WattestEngine::everything();
    let mut engines: Vec<Box<dyn WastEngine>> = Vec::new();
    for row in CONFIGURATIONS {
        engines.push(Box::new(WattestEngine::new(row)));
    }
    engines.push(Box::new(wattest_differential::DefinitionalEngine));
    let run = |engine: &dyn WastEngine| {
        let report = run_script(&path.display().to_string(), &script, engine, &features);
        let failure = report.failures.first().map(|failure| format!("line {}: {failure:?}", failure.line));
        (engine.name().to_owned(), failure)
    };
    Ok(engines.iter().map(|engine| run(engine.as_ref())).collect())
}

/// Runs a witness on the definitional interpreter; whether it passes there.
///
/// # Errors
///
/// When there is no such script.
pub fn run_on_reference(name: &str) -> Result<bool, String> {
    passes_on_reference(&folder().join(format!("{name}.wast")))
}

/// Whether a script passes on the definitional interpreter.
///
/// # Errors
///
/// When the file is no script.
pub fn passes_on_reference(path: &Path) -> Result<bool, String> {
    let source = std::fs::read_to_string(path).map_err(text)?;
    let script = Script::parse(&source).map_err(|error| format!("line {}: {}", error.line, error.text))?;
    let features = WattestEngine::everything();
    let name = path.display().to_string();
    Ok(run_script(&name, &script, &wattest_differential::DefinitionalEngine, &features).passed())
}

fn engine(options: &[(&str, &str)]) -> Result<Engine, String> {
    let mut config = Config::new();
    for (key, value) in options {
        config.set(key, value).map_err(text)?;
    }
    Engine::new(&config).map_err(text)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn module(engine: &Engine, source: &str) -> Result<Module, String> {
    Module::from_binary(engine, &wat::parse_str(source).map_err(text)?).map_err(text)
}

fn call(store: &mut Store<()>, instance: &Instance, args: &[Val]) -> Result<Vec<Val>, Error> {
    let func = instance.get_func(&*store, "f").ok_or_else(|| Error::msg("no export f"))?;
    let mut results = vec![Val::I32(0); func.ty(&*store).results().len()];
    func.call(&mut *store, args, &mut results).map(|()| results)
}

fn equal(found: &Val, expected: i32) -> Result<(), String> {
    match found {
        Val::I32(found) if *found == expected => Ok(()),
        other => Err(format!("{other:?} instead of {expected}")),
    }
}

/// Runs `f(argument)` in a fresh instance of its own store.
fn fresh(engine: &Engine, module: &Module, argument: i32) -> Result<Val, String> {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, module, &[]).map_err(text)?;
    let results = call(&mut store, &instance, &[Val::I32(argument)]).map_err(text)?;
    results.first().cloned().ok_or_else(|| "no result".to_owned())
}

const POOL: &[(&str, &str)] = &[("allocation", "pooling"), ("pooling-memories", "1")];

fn slot_keeps_bytes() -> Result<(), String> {
    let engine = engine(POOL)?;
    let source = "(module (memory 1) (func (export \"f\") (param i32) (result i32)
        (i32.load8_u (i32.const 100)) (i32.store8 (i32.const 100) (local.get 0))))";
    let module = module(&engine, source)?;
    equal(&fresh(&engine, &module, 7)?, 0)?;
    equal(&fresh(&engine, &module, 7)?, 0)
}

fn slot_image_of_former_module() -> Result<(), String> {
    let engine = engine(POOL)?;
    let source = |byte: &str| {
        let data = format!("\\{byte}").repeat(65536);
        format!(
            "(module (memory 1) (data (i32.const 0) \"{data}\")
                (func (export \"f\") (param i32) (result i32) (i32.load8_u (local.get 0))))"
        )
    };
    let (first, second) = (module(&engine, &source("01"))?, module(&engine, &source("02"))?);
    equal(&fresh(&engine, &first, 100)?, 1)?;
    equal(&fresh(&engine, &second, 100)?, 2)
}

fn with_host(
    imported: &str,
    body: &str,
    host: impl Fn(&[Val], &mut [Val]) + Send + Sync + 'static,
) -> Result<Val, String> {
    let engine = engine(&[])?;
    let source = format!("(module (import \"\" \"h\" (func $h {imported})) (func (export \"f\") (result i32) {body}))");
    let module = module(&engine, &source)?;
    let mut store = Store::new(&engine, ());
    let ty = match module.imports().next().map(|import| import.ty()) {
        Some(wattest::ExternType::Func(ty)) => ty,
        _ => FuncType::new([], [ValType::I32]),
    };
    let func = Func::new(&mut store, ty, move |_, args, results| {
        host(args, results);
        Ok(())
    });
    let instance = Instance::new(&mut store, &module, &[Extern::Func(func)]).map_err(text)?;
    let results = call(&mut store, &instance, &[]).map_err(text)?;
    results.first().cloned().ok_or_else(|| "no result".to_owned())
}

fn host_arguments_reversed() -> Result<(), String> {
    let found = with_host("(param i32 i32) (result i32)", "(call $h (i32.const 1) (i32.const 2))", |args, results| {
        results[0] = args[0].clone();
    })?;
    equal(&found, 1)
}

fn host_second_result_lost() -> Result<(), String> {
    let found = with_host("(result i32 i32)", "(call $h) (i32.sub)", |_, results| {
        results[0] = Val::I32(5);
        results[1] = Val::I32(3);
    })?;
    equal(&found, 2)
}

const DIVISION: &str =
    "(module (func (export \"f\") (param i32) (result i32) (i32.div_s (i32.const 6) (local.get 0))))";

fn artifact_checksum_ignored() -> Result<(), String> {
    let engine = engine(&[])?;
    let mut bytes = module(&engine, DIVISION)?.serialize().map_err(text)?;
    // In the padding behind a section, where nothing but the checksum notices.
    let last = bytes.iter().rposition(|byte| *byte == 0).ok_or("no zero byte")?;
    bytes[last] = 1;
    match crate::artifact::load(&engine, &bytes) {
        Err(_) => Ok(()),
        Ok(_) => Err("a damaged artifact was loaded".to_owned()),
    }
}

fn artifact_tunables_ignored() -> Result<(), String> {
    let bytes = module(&engine(&[])?, DIVISION)?.serialize().map_err(text)?;
    match crate::artifact::load(&engine(&[("explicit-bounds", "true"), ("fuel", "true")])?, &bytes) {
        Err(_) => Ok(()),
        Ok(_) => Err("an artifact of other options was loaded".to_owned()),
    }
}

/// What `f(1000)` of a loop costs.
fn fuel_used(body: &str) -> Result<u64, String> {
    const START: u64 = 1_000_000;
    let engine = engine(&[("fuel", "true")])?;
    let source = format!(
        "(module
            (func $callee (param i32) (result i32) {})
            (func (export \"f\") (param i32) (result i32)
                (loop $again
                    {body}
                    (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                    (br_if $again (local.get 0)))
                (local.get 0)))",
        "(i32.add (i32.const 1) ".repeat(50) + "(local.get 0)" + &")".repeat(50)
    );
    let module = module(&engine, &source)?;
    let mut store = Store::new(&engine, ());
    store.set_fuel(START).map_err(text)?;
    let instance = Instance::new(&mut store, &module, &[]).map_err(text)?;
    call(&mut store, &instance, &[Val::I32(1000)]).map_err(text)?;
    Ok(START - store.fuel().map_err(text)?)
}

fn at_least(used: u64, least: u64) -> Result<(), String> {
    if used >= least { Ok(()) } else { Err(format!("{used} units of fuel, less than {least}")) }
}

fn fuel_free_loops() -> Result<(), String> {
    at_least(fuel_used("")?, 5000)
}

fn fuel_lost_at_calls() -> Result<(), String> {
    at_least(fuel_used("(drop (call $callee (local.get 0)))")?, 100_000)
}

fn epoch_not_polled_in_loops() -> Result<(), String> {
    let engine = engine(&[("epoch", "true")])?;
    let source = "(module (func (export \"f\") (param i32) (result i32)
        (loop $again
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (br_if $again (local.get 0)))
        (local.get 0)))";
    let module = module(&engine, source)?;
    let mut store = Store::new(&engine, ());
    store.set_epoch_deadline(1);
    engine.increment_epoch();
    let instance = Instance::new(&mut store, &module, &[]).map_err(text)?;
    match call(&mut store, &instance, &[Val::I32(1000)]) {
        Err(Error::Trap(trap)) if trap.code() == TrapCode::Interrupted => Ok(()),
        other => Err(format!("{:?} instead of an interruption", other.map_err(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a fault on, they must fail; that is for `tests/mutants.rs` to show, in a build that has faults.
    #[test]
    fn all_pass_without_a_fault() {
        for name in names().expect("the folder") {
            if let Err(what) = run(&name) {
                panic!("{name}: {what}");
            }
        }
    }
}
