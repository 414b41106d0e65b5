//! Components on the command line: commands, and `wattest run --invoke 'add(1, 2)' FILE`, where
//! `'ns:pkg/iface#add(1, 2)'` is a function of an exported instance.
//!
//! Arguments and results are written in
//! [WAVE](https://github.com/bytecodealliance/wasm-tools/tree/main/crates/wasm-wave).
//!
//! Invariant: a component gets the interfaces of WASI 0.2, with what the options grant; what is missing is named.
//!
//! Does not know: core modules.

use crate::bench::Stats;
use crate::command_line::Parsed;
use crate::failure::Failure;
use crate::guest::Host;
use crate::imports;
use crate::run::Ended;
use crate::settings::Settings;
use crate::suggest::hint;
use std::path::Path;
use std::time::Instant;
use wattest::component::{Component, ComponentFuncType, ComponentItem, Instance, Linker, Val, split_call};
use wattest::{InstantiateError, Store};
use wattest_wasi::p2;

/// Runs a component, or calls one of its functions and prints the result; the status.
pub fn run(parsed: &Parsed, store: &mut Store<Host>, component: &Component, stats: &mut Stats) -> Result<u8, Ended> {
    let (file, args) = parsed.operands.split_first().ok_or_else(|| Failure::usage("no file to run"))?;
    let path = Path::new(file);
    if parsed.has("preload") {
        return Err(Failure::usage("--preload is for modules: components are linked before they are run").into());
    }
    let call = match parsed.text("invoke")? {
        Some(_) if !args.is_empty() => {
            return Err(Failure::usage("arguments for a component's function go into --invoke 'NAME(ARGS)'").into());
        }
        Some(call) => Call::Func(find(path, component, call)?),
        None => Call::Run(command(path, component)?),
    };
    let started = Instant::now();
    let instance = instantiate(store, component, &Settings::new(parsed)?)?;
    stats.instantiate = started.elapsed();
    let started = Instant::now();
    let status = match call {
        Call::Run(interface) => start(store, &instance, &interface),
        Call::Func((name, params)) => invoke(store, &instance, &name, &params),
    };
    stats.run = started.elapsed();
    status
}

/// What is called.
enum Call {
    /// The function of a command, by its interface.
    Run(String),
    /// A function with its arguments.
    Func((Vec<String>, Vec<Val>)),
}

/// The interface through which a component is run.
fn command(path: &Path, component: &Component) -> Result<String, Failure> {
    let [interface, _] = p2::RUN;
    let exported = component.exports();
    let found = exported.iter().find(|(name, _)| name.split('@').next() == Some(interface));
    if let Some((name, ComponentItem::Instance(_))) = found {
        return Ok(name.clone());
    }
    let what = match exported.iter().any(|(name, _)| name.starts_with("wasi:http/incoming-handler@")) {
        true if cfg!(feature = "http") => "a component that answers HTTP requests: `wattest serve` runs it",
        true => "a component that answers HTTP requests, for which this `wattest` was built without the feature `http`",
        false => "a component without `wasi:cli/run`: call one of its functions with --invoke 'NAME(ARGS)'",
    };
    Err(Failure::new(format!("{} is {what}{}", path.display(), exports(component))))
}

/// The path of the function that `NAME(ARGS)` names, and its arguments: read before anything of the guest runs.
fn find(path: &Path, component: &Component, call: &str) -> Result<(Vec<String>, Vec<Val>), Failure> {
    let (name, args) = split_call(call).unwrap_or((call, "()"));
    let exported = functions(component);
    let Some((names, ty)) = exported.iter().find(|(names, _)| names.join("#") == name) else {
        return Err(unknown(path, component, &exported, name));
    };
    let params = ty.parse_arguments(args).map_err(|error| Failure::usage(format!("{name}: {ty}: {error}")))?;
    Ok((names.clone(), params))
}

/// There is no function of this name.
fn unknown(path: &Path, component: &Component, functions: &[Function], name: &str) -> Failure {
    if let Some((_, other)) = component.exports().iter().find(|(export, _)| export == name) {
        return Failure::new(format!("--invoke {name}: the export is no function but: {other}"));
    }
    let names: Vec<String> = functions.iter().map(|(names, _)| names.join("#")).collect();
    let suggestion = hint(name, names.iter().map(String::as_str));
    let text = format!("{} exports no function `{name}`{suggestion}", path.display());
    Failure::new(text + &exports(component))
}

fn instantiate(store: &mut Store<Host>, component: &Component, settings: &Settings) -> Result<Instance, Ended> {
    let mut linker = Linker::new(store.engine());
    p2::add_to_linker(&mut linker, |host: &mut Host| &mut host.wasi).map_err(Failure::new)?;
    if settings.unknown_imports_trap() {
        linker.define_unknown_imports_as_traps(component).map_err(|error| imports::of_component(&error))?;
    }
    linker.instantiate(&mut *store, component).map_err(|error| match error {
        InstantiateError::Start(error) => Ended::Wasm(error),
        InstantiateError::Component(error) if !error.missing.is_empty() => imports::of_component(&error).into(),
        error => Failure::new(error).into(),
    })
}

/// Calls `wasi:cli/run`.
fn start(store: &mut Store<Host>, instance: &Instance, interface: &str) -> Result<u8, Ended> {
    let [_, function] = p2::RUN;
    let run = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut *store, [interface, function])?;
    let (result,) = run.call(&mut *store, ())?;
    Ok(u8::from(result.is_err()))
}

fn invoke(store: &mut Store<Host>, instance: &Instance, names: &[String], params: &[Val]) -> Result<u8, Ended> {
    let path: Vec<&str> = names.iter().map(String::as_str).collect();
    let function = instance
        .get_func(&mut *store, &*path)
        .ok_or_else(|| Failure::new(format!("the instance does not export the function `{}`", names.join("#"))))?;
    let mut results = vec![Val::Bool(false); usize::from(function.ty().result().is_some())];
    function.call(&mut *store, params, &mut results)?;
    for result in &results {
        crate::output::print(&format!("{}\n", result.to_wave().map_err(Failure::new)?))?;
    }
    Ok(0)
}

/// A function by its path: the name of its export, after those of the instances it is in. `#` joins them.
type Function = (Vec<String>, ComponentFuncType);

/// The functions that a component exports, by itself or in instances, in order.
fn functions(component: &Component) -> Vec<Function> {
    let mut found = Vec::new();
    let below = |names: &[String], items: Vec<(String, ComponentItem)>| {
        let path = |name| names.iter().cloned().chain([name]).collect::<Vec<_>>();
        items.into_iter().rev().map(|(name, item)| (path(name), item)).collect::<Vec<_>>()
    };
    let mut work = below(&[], component.exports());
    while let Some((names, item)) = work.pop() {
        match item {
            ComponentItem::Func(ty) => found.push((names, ty)),
            ComponentItem::Instance(items) => work.extend(below(&names, items)),
            _ => {}
        }
    }
    found
}

/// The functions that a component exports, a line each, those of instances with their path.
pub fn exports(component: &Component) -> String {
    functions(component).iter().map(|(names, ty)| format!("\n  {}: {ty}", names.join("#"))).collect()
}
