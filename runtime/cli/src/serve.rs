//! `wattest serve`: answers HTTP requests with a component that exports `wasi:http/incoming-handler`.
//!
//! Each request gets an instance of its own, which is gone afterwards: what one request left behind, no other one sees. What
//! an instance holds is what the options name, as for `wattest run`, but without standard input.
//!
//! Invariant: whatever a guest does, its request is answered or its connection ends, and others are not disturbed; a guest
//! that fails leaves a line on standard error.
//!
//! Does not know: HTTP.

use crate::command_line::{Command, Flag, Parsed};
use crate::failure::Failure;
use crate::guest::{self, Host, Limits};
use crate::load::{self, Loaded, Program};
use crate::settings::{self, Settings, duration, size};
use crate::sources::Sources;
use crate::{component, engine, imports, net};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wattest::component::{Component, ComponentExportIndex, Instance, InstancePre, Linker};
use wattest::{Engine, HostFuture, InstantiateError, Store};
use wattest_wasi::host::http::Http;
use wattest_wasi::host::http::server::{Call, Handler, ServerLimits, serve, waiting};
use wattest_wasi::host::poll::wait;
use wattest_wasi::host::signal::Signal;
use wattest_wasi::host::stdio::InputStream;
use wattest_wasi::{Exit, WasiCtxBuilder, p2};

/// The command.
pub static COMMAND: Command = Command {
    name: "serve",
    operands: "FILE",
    help: "answer HTTP requests with a component that exports wasi:http/incoming-handler",
    flags: &[FLAGS, guest::FLAGS, load::FLAGS, engine::FLAGS, settings::FLAGS],
    passes_arguments: false,
    run,
};

const FLAGS: &[Flag] = &[
    Flag { name: "addr", short: None, value: Some("ADDRESS"), help: "where to listen (127.0.0.1:8080)" },
    Flag { name: "max-requests", short: None, value: Some("N"), help: "requests that are handled at once (128)" },
    Flag { name: "max-connections", short: None, value: Some("N"), help: "connections at once (1024)" },
    Flag { name: "max-header", short: None, value: Some("SIZE"), help: "bytes of a request's headers (64KiB)" },
    Flag { name: "max-body", short: None, value: Some("SIZE"), help: "bytes of a request's body (64MiB)" },
    Flag {
        name: "idle-timeout",
        short: None,
        value: Some("TIME"),
        help: "how long headers may take, and how long a body or connection may stand still (30s)",
    },
    Flag {
        name: "stop-timeout",
        short: None,
        value: Some("TIME"),
        help: "how long requests may go on after SIGINT or SIGTERM (10s)",
    },
];

/// How long a request may take where `--timeout` does not say: as a flag of `run` it has no default.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How often guests are asked whether their time is up.
const TICK: Duration = Duration::from_millis(10);

fn run(parsed: &Parsed) -> Result<u8, Failure> {
    let file = parsed.operand(&COMMAND)?;
    let settings = Settings::new(parsed)?;
    net::refuse_listeners(parsed, &settings)?;
    let limits = server_limits(parsed, &settings)?;
    let engine = served_engine(parsed, &limits)?;
    let Program { loaded, source } = load::load(&engine, Path::new(file), parsed)?;
    let mut sources = Sources::default();
    sources.add(source);
    let Loaded::Component(component) = loaded else {
        let text = "a core module: `wattest serve` needs a component that exports wasi:http/incoming-handler";
        return Err(Failure::new(format!("{} is {text}", Path::new(file).display())));
    };
    let mut wasi = guest::wasi_builder(parsed, &settings, file, &[])?;
    wasi.stdin(InputStream::Null).waiting(waiting());
    let (instances, handle) = prepare(&engine, Path::new(file), &component)?;
    let limits_each = Limits::new(parsed, &settings)?;
    let served = Served { instances, handle, limits: limits_each, sources, wasi: Mutex::new(wasi.clone()) };
    let address = parsed.text("addr")?.unwrap_or("127.0.0.1:8080");
    let listener = TcpListener::bind(address)
        .map_err(|error| Failure::usage(format!("--addr {address}: cannot listen there: {error}")))?;
    let bound = listener.local_addr().map_err(Failure::new)?;
    eprintln!("Serving HTTP on http://{bound}/");
    std::thread::spawn(move || {
        loop {
            // Nothing is waited for but the time.
            let _ = wait(&[], Some(TICK.as_nanos() as u64));
            engine.increment_epoch();
        }
    });
    let finished = serve(listener, limits, &Http::default(), Arc::new(served), Signal::default());
    guest::report_denials(parsed, wasi.denials());
    match finished.map_err(Failure::new)? {
        true => Ok(0),
        false => Err(Failure::new("requests were still on their way when --stop-timeout was over")),
    }
}

fn server_limits(parsed: &Parsed, settings: &Settings) -> Result<ServerLimits, Failure> {
    let usual = ServerLimits::default();
    let read = |name: &str, what: &str, parse: &dyn Fn(&str) -> Option<u64>| -> Result<Option<u64>, Failure> {
        let given = parsed.text(name)?.map(str::to_owned).or_else(|| settings.limit(name));
        let Some(text) = given else { return Ok(None) };
        let wrong = || Failure::usage(format!("--{name} {text}: this is no {what}"));
        parse(&text).filter(|value| *value > 0).map(Some).ok_or_else(wrong)
    };
    let count = |text: &str| text.replace('_', "").parse::<u32>().ok().map(u64::from);
    let number = |name, usual: usize| Ok::<_, Failure>(read(name, "number", &count)?.map_or(usual, |n| n as usize));
    let (time, bytes) = ("time (500ms, 10s, 2m)", "size (a number, with KiB, MiB or GiB)");
    let idle = read("idle-timeout", time, &duration)?.map_or(usual.idle_timeout, Duration::from_nanos);
    let header_bytes = read("max-header", bytes, &|text| size(text).filter(|bytes| *bytes <= u64::from(u32::MAX)))?;
    Ok(ServerLimits {
        connections_at_once: number("max-connections", usual.connections_at_once)?,
        requests_at_once: number("max-requests", usual.requests_at_once)?,
        header_bytes: header_bytes.map_or(usual.header_bytes, |bytes| bytes as usize),
        header_timeout: idle,
        idle_timeout: idle,
        body_bytes: read("max-body", bytes, &size)?.unwrap_or(usual.body_bytes),
        request_timeout: read("timeout", time, &duration)?.map_or(REQUEST_TIMEOUT, Duration::from_nanos),
        stop_timeout: read("stop-timeout", time, &duration)?.map_or(usual.stop_timeout, Duration::from_nanos),
        ..usual
    })
}

/// An engine whose guests can be interrupted, and whose memories come from a pool, unless the options say otherwise.
fn served_engine(parsed: &Parsed, limits: &ServerLimits) -> Result<Engine, Failure> {
    let mut config = engine::config(parsed)?;
    config.set("epoch", "true").map_err(Failure::new)?;
    let chosen = parsed.texts("opt")?.iter().any(|option| option.starts_with("allocation="));
    if !chosen {
        // Components have a memory or two, and what the options leave for a guest is what a slot holds.
        let memories = limits.requests_at_once.saturating_mul(MEMORIES_PER_INSTANCE).clamp(MEMORIES_MIN, MEMORIES_MAX);
        for (key, value) in [("allocation", "pooling".to_owned()), ("pooling-memories", memories.to_string())] {
            config.set(key, &value).map_err(Failure::new)?;
        }
    }
    Engine::new(&config).map_err(Failure::usage)
}

/// Memories that are expected of an instance.
const MEMORIES_PER_INSTANCE: usize = 4;
/// Memories in the pool, at least.
const MEMORIES_MIN: usize = 256;
/// Memories in the pool, at most: each takes 4 GiB of addresses, of which there are 128 TiB.
const MEMORIES_MAX: usize = 8192;

/// Links the component, once for all requests.
fn prepare(
    engine: &Engine,
    path: &Path,
    component: &Component,
) -> Result<(InstancePre<Host>, ComponentExportIndex), Failure> {
    let [interface, function] = p2::HANDLE;
    let exported = component.exports();
    let found = exported.iter().map(|(name, _)| name.as_str()).find(|name| name.split('@').next() == Some(interface));
    let Some(interface) = found else {
        let runs = exported.iter().any(|(name, _)| name.split('@').next() == Some(p2::RUN[0]));
        let hint = if runs { "; it is a program: `wattest run` runs it" } else { "" };
        let text = format!("does not export {interface}, so it answers no requests{hint}");
        return Err(Failure::new(format!("{} {text}{}", path.display(), component::exports(component))));
    };
    let mut linker = Linker::new(engine);
    p2::add_to_linker(&mut linker, |host: &mut Host| &mut host.wasi).map_err(Failure::new)?;
    let instances = linker.instantiate_pre(component).map_err(|error| match error {
        InstantiateError::Component(error) if !error.missing.is_empty() => imports::of_component(&error),
        error => Failure::new(error),
    })?;
    let handle = instances.typed_func_index::<p2::HandleParams, ()>([interface, function]).map_err(Failure::new)?;
    Ok((instances, handle))
}

/// What answers requests.
struct Served {
    instances: InstancePre<Host>,
    handle: ComponentExportIndex,
    limits: Limits,
    /// For the words about guests that fail.
    sources: Sources,
    wasi: Mutex<WasiCtxBuilder>,
}

impl Handler for Served {
    fn handle(&self, call: Call) -> HostFuture<'_, ()> {
        let path = call.request.path_with_query.as_deref().unwrap_or_default();
        let what = format!("{} {path}", call.request.method);
        Box::pin(async move {
            let mut line = Line { what, text: Some("it took longer than --timeout, or its client is gone".to_owned()) };
            line.text = self.answer(call).await.err();
        })
    }
}

/// A line on standard error about a request that did not end well, also if it just ends.
struct Line {
    what: String,
    text: Option<String>,
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(text) = &self.text {
            // One line for each, whatever the guest or the client put into it.
            eprintln!("error: {}: {}", self.what.escape_debug(), text.replace('\n', "; "));
        }
    }
}

impl Served {
    async fn answer(&self, call: Call) -> Result<(), String> {
        let wasi = self.wasi.lock().unwrap_or_else(PoisonError::into_inner).clone().build();
        let engine = self.instances.component().engine();
        let mut store = self.limits.store_without_clock(engine, wasi).map_err(|failure| failure.text().to_owned())?;
        // Guests that compute let others run at every tick; how long they may go on is the server's business.
        store.set_epoch_deadline(1);
        store.epoch_deadline_yield(1);
        let instance = self.instances.instantiate_async(&mut store).await.map_err(|error| match error {
            InstantiateError::Start(error) => Failure::run(&error, &self.sources).text().to_owned(),
            error => error.to_string(),
        })?;
        let answered = call.outparam.answered();
        match self.call(&mut store, &instance, call).await {
            Ok(()) if answered.get() => Ok(()),
            Ok(()) => Err("the component returned without an answer".to_owned()),
            Err(error) => match error.downcast_ref::<Exit>() {
                Some(Exit(0)) if answered.get() => Ok(()),
                _ => Err(Failure::run(&error, &self.sources).text().to_owned()),
            },
        }
    }

    async fn call(&self, store: &mut Store<Host>, instance: &Instance, call: Call) -> wattest::Result<()> {
        let params = store.data_mut().wasi.push_call(call)?;
        let handle = instance.get_typed_func::<p2::HandleParams, ()>(&mut *store, &self.handle)?;
        handle.call_async(&mut *store, params).await
    }
}
