//! Components on the command line: commands, and `wattest run --invoke 'add(1, 2)' FILE`.
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
use crate::suggest::hint;
use std::path::Path;
use std::time::Instant;
use wattest::component::{Component, ComponentItem, Instance, Linker, Val, split_call};
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
    let instance = instantiate(store, component)?;
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
    Func((String, Vec<Val>)),
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
        true => "a component that answers HTTP, which `wattest` does not serve yet",
        false => "a component without `wasi:cli/run`: call one of its functions with --invoke 'NAME(ARGS)'",
    };
    Err(Failure::new(format!("{} is {what}{}", path.display(), exports(component))))
}

/// The function that `NAME(ARGS)` names, and its arguments: read before anything of the guest runs.
fn find(path: &Path, component: &Component, call: &str) -> Result<(String, Vec<Val>), Failure> {
    let (name, args) = split_call(call).unwrap_or((call, "()"));
    let exported = component.exports();
    let ty = match exported.iter().find(|(export, _)| export == name) {
        Some((_, ComponentItem::Func(ty))) => ty,
        Some((_, other)) => {
            return Err(Failure::new(format!("--invoke {name}: the export is no function but: {other}")));
        }
        None => {
            let functions = exported.iter().filter(|(_, item)| matches!(item, ComponentItem::Func(_)));
            let suggestion = hint(name, functions.map(|(name, _)| name.as_str()));
            let text = format!("{} exports no function `{name}`{suggestion}", path.display());
            return Err(Failure::new(text + &exports(component)));
        }
    };
    let params = ty.parse_arguments(args).map_err(|error| Failure::usage(format!("{name}: {ty}: {error}")))?;
    Ok((name.to_owned(), params))
}

fn instantiate(store: &mut Store<Host>, component: &Component) -> Result<Instance, Ended> {
    let mut linker = Linker::new(store.engine());
    p2::add_to_linker(&mut linker, |host: &mut Host| &mut host.wasi).map_err(Failure::new)?;
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

fn invoke(store: &mut Store<Host>, instance: &Instance, name: &str, params: &[Val]) -> Result<u8, Ended> {
    let function = instance
        .get_func(&mut *store, name)
        .ok_or_else(|| Failure::new(format!("the instance does not export the function `{name}`")))?;
    let mut results = vec![Val::Bool(false); usize::from(function.ty().result().is_some())];
    function.call(&mut *store, params, &mut results)?;
    for result in &results {
        crate::output::print(&format!("{}\n", result.to_wave().map_err(Failure::new)?))?;
    }
    Ok(0)
}

/// The functions that a component exports, a line each, those of instances with their path.
fn exports(component: &Component) -> String {
    let mut lines = String::new();
    for (name, item) in component.exports() {
        match item {
            ComponentItem::Func(ty) => lines.push_str(&format!("\n  {name}: {ty}")),
            ComponentItem::Instance(items) => {
                let functions = items.iter().filter(|(_, item)| matches!(item, ComponentItem::Func(_)));
                lines.extend(functions.map(|(function, ty)| format!("\n  {name:?} {function:?}: {ty}")));
            }
            _ => {}
        }
    }
    lines
}
