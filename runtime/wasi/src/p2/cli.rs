//! `wasi:cli` ([spec](https://github.com/WebAssembly/WASI/blob/main/proposals/cli/wit)).
//!
//! Invariant: strings that are not UTF-8 reach the guest with replacement characters, since the interface has no others.
//!
//! Does not know: where arguments and streams came from.

use super::io::Output;
use crate::host::args::StringList;
use crate::host::stream::{Sink, Source};
use crate::{Exit, WasiCtx};
use wattest::component::Resource;
use wattest::{Error, Result};

/// A terminal that is read.
#[derive(Debug)]
pub struct TerminalInput;

/// A terminal that is written to.
#[derive(Debug)]
pub struct TerminalOutput;

fn texts(list: &StringList) -> impl Iterator<Item = String> {
    list.iter().map(|string| String::from_utf8_lossy(string).into_owned())
}

pub fn environment(ctx: &mut WasiCtx, (): ()) -> Result<Vec<(String, String)>> {
    let split = |text: String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(texts(&ctx.env).filter_map(split).collect())
}

pub fn arguments(ctx: &mut WasiCtx, (): ()) -> Result<Vec<String>> {
    Ok(texts(&ctx.args).collect())
}

pub fn initial_cwd(_: &mut WasiCtx, (): ()) -> Result<Option<String>> {
    Ok(None)
}

pub fn exit(_: &mut WasiCtx, (status,): (std::result::Result<(), ()>,)) -> Result<()> {
    Err(Error::host(Exit(u32::from(status.is_err()))))
}

pub fn exit_with_code(_: &mut WasiCtx, (code,): (u8,)) -> Result<()> {
    Err(Error::host(Exit(u32::from(code))))
}

pub fn stdin(ctx: &mut WasiCtx, (): ()) -> Result<Resource<Source>> {
    let stream = Source::Stdio(ctx.stdin.clone());
    ctx.push(stream)
}

pub fn stdout(ctx: &mut WasiCtx, (): ()) -> Result<Resource<Output>> {
    let stream = Output::new(Sink::Stdio(ctx.stdout.clone()));
    ctx.push(stream)
}

pub fn stderr(ctx: &mut WasiCtx, (): ()) -> Result<Resource<Output>> {
    let stream = Output::new(Sink::Stdio(ctx.stderr.clone()));
    ctx.push(stream)
}

pub fn terminal_stdin(ctx: &mut WasiCtx, (): ()) -> Result<Option<Resource<TerminalInput>>> {
    if ctx.stdin.is_terminal() { ctx.push(TerminalInput).map(Some) } else { Ok(None) }
}

pub fn terminal_stdout(ctx: &mut WasiCtx, (): ()) -> Result<Option<Resource<TerminalOutput>>> {
    if ctx.stdout.is_terminal() { ctx.push(TerminalOutput).map(Some) } else { Ok(None) }
}

pub fn terminal_stderr(ctx: &mut WasiCtx, (): ()) -> Result<Option<Resource<TerminalOutput>>> {
    if ctx.stderr.is_terminal() { ctx.push(TerminalOutput).map(Some) } else { Ok(None) }
}
