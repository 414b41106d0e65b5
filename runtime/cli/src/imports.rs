//! Imports that a guest needs and the command does not have, and where they may come from.
//!
//! Invariant: all missing imports are named with their types, up to a number; each module of them is explained once.
//!
//! Does not know: how imports are linked.

use crate::failure::Failure;
use crate::suggest::nearest;
use std::fmt::Write;
use wattest::MissingImport;
use wattest::component::LinkError;
use wattest_wasi::{p2, preview1};

/// Most imports that are listed.
const LISTED_MAX: usize = 20;

/// How a module's name begins, and what that says.
const ORIGINS: &[(&str, &str)] = &[
    ("wasix_", "WASIX, which only Wasmer has; build for wasm32-wasip1 instead"),
    ("wasi:http/", "HTTP, which this `wattest` was built without: it has the feature `http`"),
    ("wasi:", "an interface of WASI that is not one of version 0.2's"),
    ("wasi", "threads of WASI, a proposal that was withdrawn; build without threads"),
    ("wasi_nn", "the proposal wasi-nn, which is not here"),
    ("__wbindgen", "wasm-bindgen, for JavaScript hosts; build for wasm32-wasip1 instead of wasm32-unknown-unknown"),
    ("wbg", "wasm-bindgen, for JavaScript hosts; build for wasm32-wasip1 instead of wasm32-unknown-unknown"),
    ("gojs", "Go for JavaScript hosts; build with GOOS=wasip1 GOARCH=wasm"),
    ("go", "Go for JavaScript hosts; build with GOOS=wasip1 GOARCH=wasm"),
    ("a", "Emscripten with short names, for JavaScript hosts; link with -sSTANDALONE_WASM"),
];

/// Names that toolchains import from `env`.
const ENV_NAMES: &[(&[&str], &str)] = &[
    (&["emscripten_", "_emscripten_", "__cxa_", "invoke_", "_embind_"], "Emscripten; link with -sSTANDALONE_WASM"),
    (&["abort", "seed", "trace"], "AssemblyScript; use @assemblyscript/wasi-shim"),
    (&["__linear_memory", "__indirect_function_table", "__stack_pointer"], "an object file; link it with wasm-ld"),
    (&["memory", "table"], "whoever links it: --preload env=FILE gives it another module's exports"),
    (&[""], "C functions that were declared and not linked; --preload env=FILE gives it another module's exports"),
];

fn origin(module: &str, name: &str) -> Option<String> {
    if module == "env" {
        let row = ENV_NAMES.iter().find(|(starts, _)| starts.iter().any(|start| name.starts_with(start)));
        return row.map(|(_, text)| format!("`env` is {text}"));
    }
    if [preview1::MODULE, preview1::MODULE_UNSTABLE].contains(&module) {
        let names = preview1::FUNCTIONS.iter().map(|function| function.name);
        if names.clone().any(|known| known == name) {
            return Some(format!("`{name}` of WASI preview 1 has another type"));
        }
        let near = nearest(name, names).map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        return Some(format!("WASI preview 1 has no function `{name}`{near}"));
    }
    let unversioned = module.split('@').next().unwrap_or(module);
    if p2::FUNCTIONS.iter().any(|(interface, _)| *interface == unversioned) {
        return Some(format!("`{module}`: here is version {}", p2::VERSION));
    }
    let matches = |prefix: &str| match prefix.ends_with(['_', '/', ':']) || prefix.starts_with("__") {
        true => module.starts_with(prefix),
        false => module == prefix,
    };
    ORIGINS.iter().find(|(prefix, _)| matches(prefix)).map(|(_, text)| format!("`{module}` is {text}"))
}

fn message(what: &str, rows: &[(&str, &str, String)], otherwise: &str) -> Failure {
    let mut text = format!("the {what} needs {} import(s) that `wattest run` does not have:", rows.len());
    for (_, _, line) in rows.iter().take(LISTED_MAX) {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {line}");
    }
    if rows.len() > LISTED_MAX {
        let _ = write!(text, "\n  … and {} more", rows.len() - LISTED_MAX);
    }
    let mut origins: Vec<_> = rows.iter().filter_map(|(module, name, _)| origin(module, name)).collect();
    origins.dedup();
    let mut told = Vec::new();
    for origin in origins {
        if !told.contains(&origin) && told.len() < LISTED_MAX {
            let _ = write!(text, "\n{origin}");
            told.push(origin);
        }
    }
    if told.is_empty() {
        let _ = write!(text, "\n({otherwise})");
    }
    Failure::new(text)
}

/// What a core module lacks.
pub fn of_module(missing: &[MissingImport]) -> Failure {
    let rows: Vec<_> = missing
        .iter()
        .map(|import| {
            let line = format!("{:?} {:?}: {}", import.module, import.name, import.ty);
            (import.module.as_str(), import.name.as_str(), line)
        })
        .collect();
    message("module", &rows, "it has WASI preview 1, and --preload NAME=FILE gives another module's exports")
}

/// What a component lacks.
pub fn of_component(error: &LinkError) -> Failure {
    let rows: Vec<_> = error
        .missing
        .iter()
        .map(|import| {
            let path: Vec<_> = import.path.iter().map(|name| format!("{name:?}")).collect();
            let name = |at: usize| import.path.get(at).map_or("", String::as_str);
            (name(0), name(1), format!("{}: {}", path.join(" "), import.ty))
        })
        .collect();
    message("component", &rows, "it has WASI 0.2; other hosts are built with the `wattest` library")
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn origins_are_known_by_names() {
        fn check(module: &str, name: &str, expected: Option<&str>) {
            let found = origin(module, name);
            assert_eq!(found.is_some(), expected.is_some(), "{module} {name}: {found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or("")), "{module} {name}");
        }
        check("wasi_snapshot_preview1", "fd_wirte", Some("did you mean `fd_write`?"));
        check("wasi_snapshot_preview1", "fd_write", Some("another type"));
        check("env", "emscripten_memcpy_js", Some("Emscripten"));
        check("env", "abort", Some("AssemblyScript"));
        check("env", "puts", Some("not linked"));
        check("gojs", "runtime.wasmExit", Some("GOOS=wasip1"));
        let version = if cfg!(feature = "http") { "0.2.12" } else { "feature `http`" };
        check("wasi:http/types@0.3.0", "x", Some(version));
        check("wasi:cli/stdin@0.1.0", "get-stdin", Some("0.2.12"));
        check("mine", "x", None);
        check("ab", "x", None);
    }
}
