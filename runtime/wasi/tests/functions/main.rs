//! Every function of every interface of WASI 0.2, called by guests.
//!
//! Guests are made of the scripts in `guests/` (see `guest.rs`); each imports every interface, written down from the
//! specification in `interfaces.txt`, and checks results by itself. A trace tells which functions were called, and whether they
//! succeeded or failed: `called.txt` lists them, blessed by `UPDATE=1 cargo test -p wattest-wasi --test functions`. The lines of
//! `wasi:http` are those of the test `http`: its guest is `http/handler.wat`, and a line says which of its paths call a function.
//!
//! Invariant: a function of the runtime's table that no guest calls with success fails the test, as does one that is listed
//! otherwise than it was called.

mod guest;
mod interface;

use interface::Interfaces;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use wattest::component::{Component, Linker};
use wattest::{Engine, Store};
use wattest_wasi::host::clock::Clocks;
use wattest_wasi::host::fs::Access;
use wattest_wasi::host::net::{NetError, Network, Purpose, Resolver, Rule};
use wattest_wasi::host::random::Random;
use wattest_wasi::host::stdio::{InputBuffer, InputStream, OutputBuffer, OutputStream};
use wattest_wasi::host::trace::Trace;
use wattest_wasi::{Exit, WasiCtx, WasiCtxBuilder, p2};

/// Prefix of the functions that the guest of another test calls: `every_function_of_http_is_called` in `tests/http.rs`, which
/// checks their lines of the list.
const ELSEWHERE: &str = "wasi:http/";

/// How often each function succeeded and failed, by its name in traces.
type Calls = Arc<Mutex<BTreeMap<String, [usize; 2]>>>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/functions")
}

fn known_names() -> Resolver {
    Resolver::new(|name| match name {
        "two.test" => Ok(["192.0.2.1", "2001:db8::1"].map(|address| address.parse().unwrap()).into()),
        _ => Err(NetError::NameUnresolvable),
    })
}

fn trace(calls: &Calls) -> Trace {
    let calls = calls.clone();
    Trace::new(move |line| {
        let name = line.split('(').next().unwrap_or_default().to_owned();
        // What a guest is told: results that are errors, and not those that end it.
        let failed = line.rsplit(" -> ").next().is_some_and(|result| result.starts_with("Ok((Err("));
        calls.lock().unwrap().entry(name).or_default()[usize::from(failed)] += 1;
    })
}

fn ctx(script: &str, dir: &Path, calls: &Calls) -> WasiCtx {
    let mut builder = WasiCtxBuilder::new();
    builder.trace(trace(calls)).clocks(Clocks::Stepping { now: 1_000_000_000, step: 1000 }).random(Random::Seeded(7));
    if script.contains("grants nothing") {
        return builder.build();
    }
    builder.arg("guest").unwrap().arg("one").unwrap().env("NAME", "value").unwrap();
    builder.stdin(InputStream::Buffer(InputBuffer::new("hello world")));
    builder.stdout(OutputStream::Buffer(OutputBuffer::new(1 << 20)));
    builder.stderr(OutputStream::Buffer(OutputBuffer::new(4)));
    builder.preopened_dir(dir, "/data", Access::READ_WRITE).unwrap();
    let network = Network::new([Rule::all(Purpose::Reach), Rule::all(Purpose::Listen)]).with_resolver(known_names());
    builder.network(network);
    builder.build()
}

/// What came of a guest: `fine`, `line N`, `exit N` or `trap TEXT`.
fn outcome(engine: &Engine, interfaces: &Interfaces, script: &str, calls: &Calls) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "contents").unwrap();
    let text = guest::component(interfaces, script);
    let component = match Component::new(engine, text.as_bytes()) {
        Ok(component) => component,
        Err(error) => return format!("invalid: {error}\n{text}"),
    };
    let mut linker = Linker::new(engine);
    p2::add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx).unwrap();
    let mut store = Store::new(engine, ctx(script, dir.path(), calls));
    let instance = match linker.instantiate(&mut store, &component) {
        Ok(instance) => instance,
        Err(error) => return format!("not linked: {error}"),
    };
    let run = instance.get_typed_func::<(), (u32,)>(&mut store, "run").unwrap();
    match run.call(&mut store, ()) {
        Ok((0,)) => "fine".to_owned(),
        Ok((line,)) => format!("line {line}: {}", script.lines().nth(line as usize - 1).unwrap_or_default()),
        Err(error) => match error.downcast_ref::<Exit>() {
            Some(Exit(status)) => format!("exit {status}"),
            None => format!("trap {error}"),
        },
    }
}

/// The list of what was called, a line per function.
fn list(calls: &BTreeMap<String, [usize; 2]>) -> String {
    let lines = calls.iter().map(|(name, [succeeded, failed])| {
        let word = |count: usize, word: &'static str| if count > 0 { word } else { "" };
        format!("{name}{}{}\n", word(*succeeded, " ok"), word(*failed, " err"))
    });
    lines.collect()
}

#[test]
fn every_function_is_called() {
    let interfaces = Interfaces::parse(&std::fs::read_to_string(folder().join("interfaces.txt")).unwrap());
    let engine = Engine::default();
    let calls = Calls::default();
    let mut guests: Vec<PathBuf> =
        std::fs::read_dir(folder().join("guests")).unwrap().map(|entry| entry.unwrap().path()).collect();
    guests.sort();
    let mut wrong = Vec::new();
    for path in guests {
        let script = std::fs::read_to_string(&path).unwrap();
        let expected = script.lines().find_map(|line| line.strip_prefix("expects ")).unwrap_or("fine");
        let actual = outcome(&engine, &interfaces, &script, &calls);
        if !(actual == expected || expected == "trap" && actual.starts_with("trap ")) {
            wrong.push(format!("{}: {actual}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let calls = calls.lock().unwrap();
    let missing: Vec<_> = p2::FUNCTIONS
        .iter()
        .filter(|(interface, _)| !interface.starts_with(ELSEWHERE))
        .map(|(interface, name)| format!("{interface}#{name}"))
        // What ends the guest does not come back with success.
        .filter(|name| !name.starts_with("wasi:cli/exit#") || !calls.contains_key(name))
        .filter(|name| calls.get(name).is_none_or(|[succeeded, _]| *succeeded == 0))
        .collect();
    assert!(missing.is_empty(), "no guest calls these with success:\n{}", missing.join("\n"));
    let (blessed, actual) = (folder().join("called.txt"), list(&calls));
    let listed = std::fs::read_to_string(&blessed).unwrap_or_default();
    let (others, own): (Vec<_>, Vec<_>) = listed.lines().partition(|line| line.starts_with(ELSEWHERE));
    if std::env::var_os("UPDATE").is_some() {
        let mut lines: Vec<_> = others.into_iter().chain(actual.lines()).collect();
        lines.sort_unstable();
        return std::fs::write(&blessed, lines.join("\n") + "\n").unwrap();
    }
    assert!(own.join("\n") + "\n" == actual, "not as listed (UPDATE=1 blesses anew):\n{actual}");
}
