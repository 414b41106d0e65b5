//! Components on the command line: `wattest run --invoke 'add(1, 2)' FILE`.
//!
//! Arguments and results are written in
//! [WAVE](https://github.com/bytecodealliance/wasm-tools/tree/main/crates/wasm-wave).
//!
//! Invariant: a component gets no imports: WASI for components is not there yet, and what is missing is named.
//!
//! Does not know: core modules.

use crate::failure::Failure;
use std::path::Path;
use wattest::component::{Component, ComponentItem, Linker, Val, split_call};
use wattest::{Engine, InstantiateError, Store};

/// Whether a file holds a component, binary or text.
pub fn is_component(bytes: &[u8]) -> bool {
    // In text, comments may come first.
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let first = text.lines().map(str::trim_start).find(|line| !line.is_empty() && !line.starts_with(";;"));
    Component::is_component(bytes) || first.is_some_and(|line| line.starts_with("(component"))
}

/// Calls a function of a component and prints its result.
pub fn run(engine: &Engine, path: &Path, bytes: &[u8], call: Option<&str>) -> Result<u8, Failure> {
    let component = Component::new(engine, bytes);
    let component = component.map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    let Some(call) = call else {
        let text = format!("{} is a component: call one of its functions with --invoke 'NAME(ARGS)'", path.display());
        return Err(Failure::new(text + &exports(&component)));
    };
    let (name, args) = split_call(call).unwrap_or((call, "()"));
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine).instantiate(&mut store, &component).map_err(|error| match error {
        InstantiateError::Start(error) => Failure::run(&error),
        error => Failure::new(error),
    })?;
    let function = instance.get_func(&mut store, name).ok_or_else(|| {
        Failure::new(format!("{} exports no function `{name}`.", path.display()) + &exports(&component))
    })?;
    let ty = function.ty();
    let params = ty.parse_arguments(args).map_err(|error| Failure::usage(format!("{name}: {ty}: {error}")))?;
    let mut results = vec![Val::Bool(false); usize::from(ty.result().is_some())];
    function.call(&mut store, &params, &mut results).map_err(|error| Failure::run(&error))?;
    for result in &results {
        crate::output::print(&format!("{}\n", result.to_wave().map_err(Failure::new)?))?;
    }
    Ok(0)
}

/// The functions that a component exports, a line each.
fn exports(component: &Component) -> String {
    let functions = component.exports().into_iter().filter_map(|(name, item)| match item {
        ComponentItem::Func(ty) => Some(format!("\n  {name}: {ty}")),
        _ => None,
    });
    functions.collect()
}
