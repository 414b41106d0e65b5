//! Calling one function from the command line.
//!
//! Invariant: the arguments are read by the function's type before anything of the guest runs.
//!
//! Does not know: how values are written (`values`).

use crate::failure::Failure;
use crate::guest::Host;
use crate::output;
use crate::run::Ended;
use crate::suggest::hint;
use crate::values;
use std::ffi::OsString;
use wattest::{ExternType, FuncType, Instance, Module, Store};

/// Calls the export `name` and prints its results, one per line.
pub fn call(
    store: &mut Store<Host>,
    instance: &Instance,
    module: &Module,
    name: &str,
    args: &[OsString],
) -> Result<(), Ended> {
    let ty = function_type(module, name)?;
    let args = arguments(name, &ty, args)?;
    if module.get_export("_initialize").is_some() && name != "_initialize" {
        let initialize = instance.get_typed_func::<(), ()>(&mut *store, "_initialize")?;
        initialize.call(&mut *store, ())?;
    }
    let function = instance
        .get_func(&mut *store, name)
        .ok_or_else(|| Failure::new(format!("the instance does not export the function `{name}`")))?;
    let mut results: Vec<_> = ty.results().iter().map(|ty| values::placeholder(*ty)).collect();
    function.call(&mut *store, &args, &mut results)?;
    let text: String = results.iter().map(|result| values::print(result) + "\n").collect();
    Ok(output::print(&text)?)
}

fn function_type(module: &Module, name: &str) -> Result<FuncType, Failure> {
    match module.get_export(name) {
        Some(ExternType::Func(ty)) => Ok(ty),
        Some(other) => Err(Failure::new(format!("--invoke {name}: the export is no function but a {other}"))),
        None => {
            let functions: Vec<_> = module
                .exports()
                .filter(|export| matches!(export.ty(), ExternType::Func(_)))
                .map(|export| export.name().to_owned())
                .collect();
            let known = if functions.is_empty() {
                "; the module exports no function".to_owned()
            } else {
                format!("\nits functions: {}", functions.join(", "))
            };
            let suggestion = hint(name, functions.iter().map(String::as_str));
            Err(Failure::new(format!("--invoke {name}: there is no such export{suggestion}{known}")))
        }
    }
}

fn arguments(name: &str, ty: &FuncType, args: &[OsString]) -> Result<Vec<wattest::Val>, Failure> {
    if args.len() != ty.params().len() {
        return Err(Failure::usage(format!(
            "`{name}` takes {} argument(s), not {}: its type is {ty}",
            ty.params().len(),
            args.len()
        )));
    }
    let parse = |(position, (arg, ty)): (usize, (&OsString, &wattest::ValType))| {
        let text = arg.to_string_lossy();
        values::parse(*ty, &text).map_err(|expected| {
            Failure::usage(format!("argument {} of `{name}`: `{text}` is not {expected}", position + 1))
        })
    };
    args.iter().zip(ty.params()).enumerate().map(parse).collect()
}
