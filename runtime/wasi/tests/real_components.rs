//! Components as the tools of others make them: `wasm-tools component new` (with an adapter), `componentize-py` (CPython) and
//! `componentize-js` (SpiderMonkey, what `jco componentize` drives), built from the sources in `real/`.
//!
//! A tool is looked for in `PATH`; the folder `node_modules` with `componentize-js` is the one that `WATTEST_NODE_MODULES`
//! names. A test whose tool is not there is listed as ignored, with the reason in its name.
//!
//! Invariant: all of them export [`greet`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/WIT.md), and
//! are called through the same generated code.

use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use wattest::component::{Component, HasSelf, Linker};
use wattest::{Engine, Store};
use wattest_wasi::{WasiCtx, WasiCtxBuilder};

mod hello {
    wattest::component::bindgen!({ path: "tests/real", world: "hello" });
}

mod logging {
    wattest::component::bindgen!({ path: "tests/real", world: "logging" });
}

impl logging::test::hello::console::Host for Vec<String> {
    fn log(&mut self, line: String) {
        self.push(line);
    }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real").join(name)
}

/// A folder of its own for each test, emptied.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn in_path(tool: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()))
}

fn node_modules() -> Option<PathBuf> {
    let modules = PathBuf::from(std::env::var_os("WATTEST_NODE_MODULES")?);
    modules.join("@bytecodealliance/componentize-js").is_dir().then_some(modules)
}

/// Runs a tool; what it says is the failure.
fn run(command: &mut Command) -> Result<(), Failed> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
        .into())
}

fn load(file: &Path) -> Result<Component, Failed> {
    Ok(Component::new(&Engine::default(), std::fs::read(file)?)?)
}

/// Greets, with WASI 0.2 and nothing else: whatever more the component imports must not be called.
fn greet(component: &Component) -> Result<String, Failed> {
    let mut linker = Linker::new(component.engine());
    wattest_wasi::p2::add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx)?;
    linker.define_unknown_imports_as_traps(component)?;
    let mut store = Store::new(component.engine(), WasiCtxBuilder::new().build());
    let hello = hello::Hello::instantiate(&mut store, component, &linker)?;
    hello.call_greet(&mut store, "components")?;
    Ok(hello.call_greet(&mut store, "again")?)
}

fn expect(found: &str, expected: &str) -> Result<(), Failed> {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}").into()) }
}

/// A module that knows nothing of components, with an adapter for what it imports.
fn wasm_tools() -> Result<(), Failed> {
    let folder = folder("wasm-tools");
    let tool = || {
        let mut command = Command::new("wasm-tools");
        command.current_dir(&folder).arg("component");
        command
    };
    for (world, name) in [("hello", "hello"), ("adapter", "adapter")] {
        let (wit, text) = (source("hello.wit"), source(&format!("{name}.wat")));
        let out = format!("{name}.wasm");
        run(tool().args(["embed", "--world", world, "-o", &out]).args([wit, text]))?;
    }
    run(tool().args(["new", "hello.wasm", "--adapt", "old=adapter.wasm", "-o", "component.wasm"]))?;
    let component = load(&folder.join("component.wasm"))?;
    let mut linker = Linker::new(component.engine());
    logging::Logging::add_to_linker::<_, HasSelf<Vec<String>>>(&mut linker, |lines| lines)?;
    let mut store = Store::new(component.engine(), Vec::new());
    let world = logging::Logging::instantiate(&mut store, &component, &linker)?;
    expect(&world.call_greet(&mut store, "Grüße 🎈")?, "Hello, Grüße 🎈!")?;
    expect(&world.call_greet(&mut store, "")?, "Hello, !")?;
    expect(&store.data().join("|"), "Grüße 🎈|")?;
    // Without the interface: what calls it ends, and is told the name.
    let error = greet(&component).err().map(|error| error.message().unwrap_or_default().to_owned());
    let text = "the component called `test:hello/console` `log`, which is not there";
    expect(error.as_deref().unwrap_or_default(), text)
}

/// CPython in a component that imports nothing, or WASI 0.2 with sockets.
fn componentize_py(stub: bool) -> Result<(), Failed> {
    let folder = folder(if stub { "componentize-py-stub" } else { "componentize-py" });
    // Python writes beside its sources.
    std::fs::copy(source("hello.py"), folder.join("hello.py"))?;
    let mut command = Command::new("componentize-py");
    command.arg("-d").arg(source("hello.wit")).args(["-w", "hello", "componentize"]);
    run(command.args(stub.then_some("--stub-wasi")).args(["hello", "-o", "component.wasm"]).current_dir(&folder))?;
    let component = load(&folder.join("component.wasm"))?;
    expect(&greet(&component)?, "Hello, again!")
}

/// SpiderMonkey in a component, without the features named: with all of them it imports WASI 0.2 and `wasi:http`.
fn componentize_js(modules: &Path, name: &str, disabled: &[&str]) -> Result<(), Failed> {
    let folder = folder(name);
    let mut command = Command::new("node");
    command.arg(source("componentize.mjs")).arg(modules).arg(source("hello.js")).arg(source("hello.wit"));
    run(command.arg(folder.join("component.wasm")).args(disabled).current_dir(&folder))?;
    let component = load(&folder.join("component.wasm"))?;
    expect(&greet(&component)?, "Hello, again!")
}

/// A test, or the name of one whose tool is missing.
fn trial(name: &str, missing: Option<&str>, test: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    match missing {
        None => Trial::test(name, test),
        Some(tool) => Trial::test(format!("{name} (skipped: no {tool})"), || Ok(())).with_ignored_flag(true),
    }
}

fn main() -> ExitCode {
    let missing = |tool: &'static str| (!in_path(tool)).then_some(tool);
    let modules = node_modules();
    let js = missing("node").or_else(|| modules.is_none().then_some("componentize-js in WATTEST_NODE_MODULES"));
    let modules = modules.unwrap_or_default();
    let (bare, full) = (modules.clone(), modules);
    let trials = vec![
        trial("wasm-tools component new", missing("wasm-tools"), wasm_tools),
        trial("componentize-py --stub-wasi", missing("componentize-py"), || componentize_py(true)),
        trial("componentize-py", missing("componentize-py"), || componentize_py(false)),
        trial("componentize-js without features", js, move || {
            componentize_js(&bare, "js-bare", &["stdio", "random", "clocks", "http", "fetch-event"])
        }),
        trial("componentize-js", js, move || componentize_js(&full, "js-full", &[])),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
