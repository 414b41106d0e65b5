//! Components on the command line: `wattest run --invoke 'add(1, 2)' FILE`.
//!
//! Arguments and results are written in
//! [WAVE](https://github.com/bytecodealliance/wasm-tools/tree/main/crates/wasm-wave).
//!
//! Invariant: a component gets no imports: WASI for components is not there yet, and what is missing is named.
//!
//! Does not know: core modules.

use crate::failure::Failure;
use crate::run::lift_limits;
use crate::suggest::hint;
use std::ffi::OsString;
use std::path::Path;
use wattest::component::{Component, ComponentItem, LinkError, Linker, Val, split_call};
use wattest::{Engine, InstantiateError, Store};

/// Calls a function of a component and prints its result.
pub fn run(
    engine: &Engine,
    path: &Path,
    component: &Component,
    call: Option<&str>,
    args: &[OsString],
) -> Result<u8, Failure> {
    let Some(call) = call else {
        let text = format!("{} is a component: call one of its functions with --invoke 'NAME(ARGS)'", path.display());
        return Err(Failure::new(text + &exports(component)));
    };
    if !args.is_empty() {
        return Err(Failure::usage("arguments for a component's function go into --invoke 'NAME(ARGS)'"));
    }
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
    // Arguments are read before anything of the guest runs.
    let params = ty.parse_arguments(args).map_err(|error| Failure::usage(format!("{name}: {ty}: {error}")))?;
    let mut store = Store::new(engine, ());
    lift_limits(&mut store)?;
    let instance = Linker::new(engine).instantiate(&mut store, component).map_err(|error| match error {
        InstantiateError::Start(error) => Failure::run(&error),
        InstantiateError::Component(error) if !error.missing.is_empty() => missing(&error),
        error => Failure::new(error),
    })?;
    let function = instance
        .get_func(&mut store, name)
        .ok_or_else(|| Failure::new(format!("the instance does not export the function `{name}`")))?;
    let mut results = vec![Val::Bool(false); usize::from(ty.result().is_some())];
    function.call(&mut store, &params, &mut results).map_err(|error| Failure::run(&error))?;
    for result in &results {
        crate::output::print(&format!("{}\n", result.to_wave().map_err(Failure::new)?))?;
    }
    Ok(0)
}

/// What a component needs and does not get.
fn missing(error: &LinkError) -> Failure {
    let mut text = format!("the component needs {} import(s) that `wattest run` does not have:", error.missing.len());
    for import in &error.missing {
        let path: Vec<_> = import.path.iter().map(|name| format!("{name:?}")).collect();
        text.push_str(&format!("\n  {}: {}", path.join(" "), import.ty));
    }
    text.push_str("\n(it has none for components yet; other hosts are built with the `wattest` library)");
    Failure::new(text)
}

/// The functions that a component exports, a line each.
fn exports(component: &Component) -> String {
    let functions = component.exports().into_iter().filter_map(|(name, item)| match item {
        ComponentItem::Func(ty) => Some(format!("\n  {name}: {ty}")),
        _ => None,
    });
    functions.collect()
}
