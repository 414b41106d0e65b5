//! `wattest run`: runs a program or calls a function.
//!
//! Invariant: the guest gets what the options name and nothing else; its own status is the command's.
//!
//! Does not know: how guests are compiled.

use crate::bench::{self, Bench, Stats};
use crate::command_line::{Command, Flag, Parsed};
use crate::failure::Failure;
use crate::load::{self, Loaded};
use crate::{component, engine, invoke};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;
use wattest::{Engine, Error, Instance, InstantiateError, Linker, Module, Store};
use wattest_wasi::host::fs::Access;
use wattest_wasi::{Exit, WasiCtx, WasiCtxBuilder, preview1};

/// The command.
pub static COMMAND: Command = Command {
    name: "run",
    operands: "FILE [ARGS…]",
    help: "run a program (.wasm, .wat or compiled), or call a function of a library",
    flags: &[FLAGS, load::FLAGS, engine::FLAGS],
    passes_arguments: true,
    run,
};

const FLAGS: &[Flag] = &[
    Flag {
        name: "dir",
        short: None,
        value: Some("HOST[::GUEST[::ro]]"),
        help: "give the guest a directory; with ::ro it can only read it",
    },
    Flag { name: "env", short: None, value: Some("NAME=VALUE"), help: "set an environment variable of the guest" },
    Flag { name: "invoke", short: None, value: Some("NAME"), help: "call this export with ARGS and print its results" },
    Flag { name: "stats", short: None, value: None, help: "print how long the stages took, in nanoseconds" },
];

/// What belongs to the one guest of the process.
pub struct Host {
    wasi: WasiCtx,
    bench: Bench,
}

fn run(parsed: &Parsed) -> Result<u8, Failure> {
    let Some((file, args)) = parsed.operands.split_first() else {
        return Err(Failure::usage("no file to run\nusage: wattest run [OPTIONS] FILE [ARGS…]"));
    };
    let invoked = parsed.text("invoke")?;
    // An invoked function takes the arguments itself.
    let wasi = wasi_ctx(parsed, file, if invoked.is_some() { &[] } else { args })?;
    let mut stats = Stats::default();

    let started = Instant::now();
    let engine = engine::engine(parsed)?;
    let module = match load::load(&engine, Path::new(file), parsed)? {
        Loaded::Module(module) => module,
        Loaded::Component(component) => return component::run(&engine, Path::new(file), &component, invoked, args),
    };
    stats.compile = started.elapsed();

    let started = Instant::now();
    let linker = linker(&engine, &module)?;
    let mut store = Store::new(&engine, Host { wasi, bench: Bench::default() });
    lift_limits(&mut store)?;
    let result = instantiate(&linker, &mut store, &module).and_then(|instance| {
        stats.instantiate = started.elapsed();
        let started = Instant::now();
        let result = match invoked {
            Some(name) => invoke::call(&mut store, &instance, &module, name, args),
            None => start(&mut store, &instance, &module, file),
        };
        stats.run = started.elapsed();
        result
    });
    if parsed.has("stats") {
        stats.print(&store.data().bench);
    }
    match result {
        Ok(()) => Ok(0),
        Err(Ended::Failed(failure)) => Err(failure),
        Err(Ended::Wasm(error)) => match error.downcast_ref::<Exit>() {
            // A status that a process cannot have is not turned into success.
            Some(Exit(status)) => Ok(u8::try_from(*status).unwrap_or(1)),
            None => Err(Failure::run(&error)),
        },
    }
}

/// Gives a guest all the fuel and time there are, where the engine counts them.
pub fn lift_limits<T>(store: &mut Store<T>) -> Result<(), Failure> {
    let on = |store: &Store<T>, key: &str| store.engine().config().get(key).as_deref() == Some("true");
    if on(store, "fuel") {
        store.set_fuel(u64::MAX).map_err(Failure::new)?;
    }
    if on(store, "epoch") {
        store.set_epoch_deadline(u64::MAX);
    }
    Ok(())
}

/// How a run ends early.
pub enum Ended {
    /// Before or beside the guest.
    Failed(Failure),
    /// In the guest: a trap, an exit, an error of the host.
    Wasm(Error),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Ended {
        Ended::Failed(failure)
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Ended {
        Ended::Wasm(error)
    }
}

fn wasi_ctx(parsed: &Parsed, file: &OsStr, args: &[std::ffi::OsString]) -> Result<WasiCtx, Failure> {
    let mut builder = WasiCtxBuilder::new();
    builder.inherit_stdio();
    // Programs know themselves by their file's name, not by where it lies on this machine.
    let name = Path::new(file).file_name().unwrap_or(file);
    for arg in std::iter::once(name).chain(args.iter().map(|arg| arg.as_os_str())) {
        builder.arg(arg.as_bytes()).map_err(Failure::usage)?;
    }
    for variable in parsed.texts("env")? {
        let Some((name, value)) = variable.split_once('=') else {
            return Err(Failure::usage(format!("--env {variable}: give the variable as NAME=VALUE")));
        };
        builder.env(name, value).map_err(|error| Failure::usage(format!("--env {variable}: {error}")))?;
    }
    for dir in parsed.texts("dir")? {
        let mut parts = dir.splitn(3, "::");
        let host = parts.next().unwrap_or_default();
        let guest = parts.next().unwrap_or(host);
        let access = match parts.next() {
            None | Some("rw") => Access::READ_WRITE,
            Some("ro") => Access::READ_ONLY,
            Some(other) => {
                return Err(Failure::usage(format!("--dir {dir}: the access is `ro` or `rw`, not `{other}`")));
            }
        };
        builder
            .preopened_dir(host, guest, access)
            .map_err(|error| Failure::usage(format!("--dir {dir}: cannot open the directory {host}: {error}")))?;
    }
    Ok(builder.build())
}

/// A linker with what the module asks for, as far as the command has it.
fn linker(engine: &Engine, module: &Module) -> Result<Linker<Host>, Failure> {
    let mut linker = Linker::new(engine);
    let imports = |name: &str| module.imports().any(|import| import.module() == name);
    for name in [preview1::MODULE, preview1::MODULE_UNSTABLE] {
        if imports(name) {
            preview1::add_module_to_linker(&mut linker, name, |host: &mut Host| &mut host.wasi)
                .map_err(Failure::new)?;
        }
    }
    if imports(bench::MODULE) {
        bench::add_to_linker(&mut linker, |host: &mut Host| &mut host.bench)?;
    }
    let missing = linker.missing_imports(module);
    if missing.is_empty() {
        return Ok(linker);
    }
    let mut text = format!("the module needs {} import(s) that `wattest run` does not have:", missing.len());
    for import in &missing {
        text.push_str(&format!("\n  {:?} {:?}: {}", import.module, import.name, import.ty));
    }
    text.push_str("\n(it has WASI preview 1; other hosts are built with the `wattest` library)");
    Err(Failure::new(text))
}

fn instantiate(linker: &Linker<Host>, store: &mut Store<Host>, module: &Module) -> Result<Instance, Ended> {
    linker.instantiate(store, module).map_err(|error| match error {
        InstantiateError::Start(error) => Ended::Wasm(error),
        error => Ended::Failed(Failure::new(error)),
    })
}

/// Runs the program's `_start`.
fn start(store: &mut Store<Host>, instance: &Instance, module: &Module, file: &OsStr) -> Result<(), Ended> {
    if module.get_export("_start").is_none() {
        // A module without exports has done its work in its start function.
        if module.exports().len() == 0 {
            return Ok(());
        }
        let mut text = format!(
            "{} is a library: it exports no `_start` to run; call one of its functions with --invoke NAME. It exports:",
            Path::new(file).display()
        );
        for export in module.exports() {
            text.push_str(&format!("\n  {}: {}", export.name(), export.ty()));
        }
        return Err(Ended::Failed(Failure::new(text)));
    }
    let start = instance
        .get_typed_func::<(), ()>(&mut *store, "_start")
        .map_err(|error| Failure::new(format!("the program's `_start` cannot be called: {error}")))?;
    Ok(start.call(store, ())?)
}
