//! `wattest run`: runs a program or calls a function.
//!
//! Invariant: the guest gets what the options name and nothing else; its own status is the command's.
//!
//! Does not know: how guests are compiled.

use crate::bench::{self, Stats};
use crate::command_line::{Command, Flag, Parsed};
use crate::failure::Failure;
use crate::guest::{Host, Limits};
use crate::load::{self, Loaded, Program};
use crate::settings::{self, Settings};
use crate::sources::Sources;
use crate::{component, coredump, engine, guest, imports, invoke, net, profile};
use std::ffi::OsStr;
use std::path::Path;
use std::time::Instant;
use wattest::{Backtrace, Error, ExternType, Instance, InstantiateError, Linker, Module, Store};
use wattest_wasi::{Exit, preview1};

/// The command.
pub static COMMAND: Command = Command {
    name: "run",
    operands: "FILE [ARGS…]",
    help: "run a program or component (.wasm, .wat or compiled), or call a function of a library",
    flags: &[guest::FLAGS, FLAGS, profile::FLAGS, load::FLAGS, engine::FLAGS, settings::FLAGS],
    passes_arguments: true,
    run,
};

const FLAGS: &[Flag] = &[
    Flag {
        name: "invoke",
        short: None,
        value: Some("NAME"),
        help: "call this export with ARGS, or a component's as NAME(ARGS), and print its results",
    },
    Flag {
        name: "preload",
        short: None,
        value: Some("NAME=FILE"),
        help: "instantiate this module first; what it exports can be imported from NAME",
    },
    Flag {
        name: "listen",
        short: None,
        value: Some("ADDRESS"),
        help: "hand a module a socket that listens at 127.0.0.1:8080, as the descriptor after its directories",
    },
    Flag { name: "stats", short: None, value: None, help: "print how long the stages took, in nanoseconds" },
];

fn run(parsed: &Parsed) -> Result<u8, Failure> {
    let Some((file, args)) = parsed.operands.split_first() else {
        return Err(Failure::usage("no file to run\nusage: wattest run [OPTIONS] FILE [ARGS…]"));
    };
    let settings = Settings::new(parsed)?;
    let limits = Limits::new(parsed, &settings)?;
    let invoked = parsed.text("invoke")?;
    // An invoked function takes the arguments itself.
    let mut wasi = guest::wasi_builder(parsed, &settings, file, if invoked.is_some() { &[] } else { args })?;
    let mut stats = Stats::default();

    let started = Instant::now();
    let engine = engine::engine(parsed)?;
    let Program { loaded, source } = load::load(&engine, Path::new(file), parsed)?;
    let mut sources = Sources::default();
    sources.add(source);
    stats.compile = started.elapsed();

    match &loaded {
        Loaded::Module(_) => {
            for socket in net::listeners(parsed, &settings)? {
                wasi.listener(socket);
            }
        }
        Loaded::Component(_) => net::refuse_listeners(parsed, &settings)?,
    }
    let mut store = limits.store(&engine, wasi.build())?;
    let profile = match profile::kind(parsed)? {
        Some(kind) => {
            let modules: Vec<&Module> = match &loaded {
                Loaded::Module(module) => vec![module],
                Loaded::Component(component) => component.modules().collect(),
            };
            Some(profile::begin(&kind, modules, &mut store, limits.timeout_ns())?)
        }
        None => None,
    };
    let result = match &loaded {
        Loaded::Module(module) => run_module(parsed, &mut store, module, &mut stats, &mut sources),
        Loaded::Component(component) => component::run(parsed, &mut store, component, &mut stats),
    };
    if parsed.has("stats") {
        stats.print(&store.data().bench);
    }
    guest::report_denials(parsed, store.data().wasi.denials());
    let name = Path::new(file).file_name().unwrap_or(file).to_string_lossy();
    if let Some(profile) = profile {
        profile.end(&name, &mut store)?;
    }
    let coredump = parsed.all("coredump").last().map(OsStr::to_owned);
    if let Some(path) = coredump.or_else(|| settings.limit("coredump").map(Into::into))
        && let Err(Ended::Wasm(error)) = &result
        && let Some(backtrace) = stack_of(error)
    {
        // What ended the guest is said whether or not there is a dump of it.
        coredump::write(Path::new(&path), &name, &store, backtrace, &sources).unwrap_or_else(|failure| failure.print());
    }
    match result {
        Ok(status) => Ok(status),
        Err(Ended::Failed(failure)) => Err(failure),
        Err(Ended::Wasm(error)) => match error.downcast_ref::<Exit>() {
            // A status that a process cannot have is not turned into success.
            Some(Exit(status)) => Ok(u8::try_from(*status).unwrap_or(1)),
            None => Err(Failure::run(&error, &sources)),
        },
    }
}

/// The stack of a guest that did not end by its own will.
fn stack_of(error: &Error) -> Option<&Backtrace> {
    match error {
        Error::Trap(trap) => Some(trap.backtrace()),
        Error::Exception(thrown) => Some(thrown.backtrace()),
        Error::Host(failed) if error.downcast_ref::<Exit>().is_none() => Some(failed.backtrace()),
        _ => None,
    }
}

/// Runs a core module; the status.
fn run_module(
    parsed: &Parsed,
    store: &mut Store<Host>,
    module: &Module,
    stats: &mut Stats,
    sources: &mut Sources,
) -> Result<u8, Ended> {
    let (file, args) = parsed.operands.split_first().ok_or_else(|| Failure::usage("no file to run"))?;
    let started = Instant::now();
    let mut linker = linker(parsed, store, module, sources)?;
    if Settings::new(parsed)?.unknown_imports_trap() {
        trap_unknown(&mut linker, module)?;
    }
    let instance = instantiate(&linker, store, module)?;
    stats.instantiate = started.elapsed();
    let started = Instant::now();
    let result = match parsed.text("invoke")? {
        Some(name) => invoke::call(store, &instance, module, name, args),
        None => start(store, &instance, module, file),
    };
    stats.run = started.elapsed();
    result.map(|()| 0)
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

/// A linker with what the module asks for, as far as the command has it.
fn linker(
    parsed: &Parsed,
    store: &mut Store<Host>,
    module: &Module,
    sources: &mut Sources,
) -> Result<Linker<Host>, Ended> {
    let engine = store.engine().clone();
    let mut linker = Linker::new(&engine);
    let mut preloaded = Vec::new();
    for text in parsed.texts("preload")? {
        let Some((name, path)) = text.split_once('=') else {
            return Err(Failure::usage(format!("--preload {text}: give the module as NAME=FILE")).into());
        };
        let program = load::load(&engine, Path::new(path), parsed)?;
        sources.add(program.source);
        let Loaded::Module(module) = program.loaded else {
            return Err(Failure::usage(format!("--preload {text}: this is a component, not a module")).into());
        };
        preloaded.push((name, module));
    }
    let imports = |name: &str| {
        let of = |module: &Module| module.imports().any(|import| import.module() == name);
        of(module) || preloaded.iter().any(|(_, module)| of(module))
    };
    for name in [preview1::MODULE, preview1::MODULE_UNSTABLE] {
        if imports(name) {
            preview1::add_module_to_linker(&mut linker, name, |host: &mut Host| &mut host.wasi)
                .map_err(Failure::new)?;
        }
    }
    if imports(bench::MODULE) {
        bench::add_to_linker(&mut linker, |host: &mut Host| &mut host.bench)?;
    }
    for (name, module) in preloaded {
        let instance = instantiate(&linker, store, &module)?;
        linker
            .instance(&mut *store, name, instance)
            .map_err(|error| Failure::usage(format!("--preload {name}=…: {error}")))?;
    }
    Ok(linker)
}

/// Defines functions that nothing provides as ones that fail when they are called.
fn trap_unknown(linker: &mut Linker<Host>, module: &Module) -> Result<(), Failure> {
    for import in linker.missing_imports(module) {
        let ExternType::Func(ty) = import.ty else { continue };
        let text = format!("the module called {:?} {:?}, which is not there", import.module, import.name);
        linker
            .func_new(&import.module, &import.name, ty, move |_, _, _| Err(Error::msg(text.clone())))
            .map_err(Failure::new)?;
    }
    Ok(())
}

fn instantiate(linker: &Linker<Host>, store: &mut Store<Host>, module: &Module) -> Result<Instance, Ended> {
    let missing = linker.missing_imports(module);
    if !missing.is_empty() {
        return Err(imports::of_module(&missing).into());
    }
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
