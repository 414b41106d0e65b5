//! What one guest holds.
//!
//! Invariant: everything in a [`WasiCtx`] was put there through its builder; the default is a guest without
//! arguments, environment, streams or files, with the host's clocks and randomness.
//!
//! Does not know: linear memory, engines.

use crate::host::args::{ArgsError, StringList};
use crate::host::clock::Clocks;
use crate::host::denial::{Denial, Denials};
use crate::host::fs::{Access, Dir};
#[cfg(feature = "http")]
use crate::host::http::Http;
use crate::host::net::{Network, TcpSocket};
use crate::host::random::Random;
use crate::host::stdio::{InputStream, OutputStream};
use crate::host::trace::Trace;
use crate::host::waiting::Waiting;
use crate::preview1::Descriptors;
use std::path::Path;
use std::sync::Arc;
use wattest::component::ResourceTable;

/// A guest's capabilities.
#[derive(Debug)]
pub struct WasiCtx {
    pub(crate) args: StringList,
    pub(crate) env: StringList,
    pub(crate) clocks: Clocks,
    pub(crate) random: Random,
    pub(crate) stdin: InputStream,
    pub(crate) stdout: OutputStream,
    pub(crate) stderr: OutputStream,
    pub(crate) preopens: Vec<(Dir, String)>,
    pub(crate) network: Network,
    pub(crate) waiting: Waiting,
    #[cfg(feature = "http")]
    pub(crate) http: Http,
    pub(crate) trace: Option<Trace>,
    pub(crate) denials: Denials,
    /// What preview 1 has open, by number.
    pub(crate) descriptors: Descriptors,
    /// What components hold.
    pub(crate) table: ResourceTable,
}

impl WasiCtx {
    /// What the guest asked for and was not given.
    pub fn denials(&self) -> &Denials {
        &self.denials
    }

    /// What of the network the guest may use.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Notes that a guest looks for directories, if it has none.
    pub(crate) fn look_for_directories(&self) {
        if self.preopens.is_empty() {
            self.denials.note(Denial::NoDirectory);
        }
    }
}

/// Builds a [`WasiCtx`]. Clones build guests with the same capabilities, which share directories, streams and what was
/// denied.
///
/// ```
/// use wattest_wasi::WasiCtxBuilder;
/// let mut builder = WasiCtxBuilder::new();
/// builder.arg("program").unwrap().env("HOME", "/").unwrap().inherit_stdio();
/// let ctx = builder.build();
/// # drop(ctx);
/// ```
#[derive(Clone, Debug, Default)]
pub struct WasiCtxBuilder {
    args: StringList,
    env: StringList,
    stdin: InputStream,
    stdout: OutputStream,
    stderr: OutputStream,
    preopens: Vec<(Dir, String)>,
    listeners: Vec<Arc<TcpSocket>>,
    network: Network,
    clocks: Clocks,
    random: Random,
    waiting: Waiting,
    #[cfg(feature = "http")]
    http: Http,
    trace: Option<Trace>,
    denials: Denials,
}

impl WasiCtxBuilder {
    /// A guest that holds nothing.
    pub fn new() -> WasiCtxBuilder {
        WasiCtxBuilder::default()
    }

    /// Appends an argument; the first is the program's name.
    pub fn arg(&mut self, arg: impl AsRef<[u8]>) -> Result<&mut Self, ArgsError> {
        self.args.push(arg.as_ref())?;
        Ok(self)
    }

    /// Appends an environment variable.
    pub fn env(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<&mut Self, ArgsError> {
        self.env.push_variable(name.as_ref(), value.as_ref())?;
        Ok(self)
    }

    /// Sets the standard input.
    pub fn stdin(&mut self, stream: InputStream) -> &mut Self {
        self.stdin = stream;
        self
    }

    /// Sets the standard output.
    pub fn stdout(&mut self, stream: OutputStream) -> &mut Self {
        self.stdout = stream;
        self
    }

    /// Sets the standard error.
    pub fn stderr(&mut self, stream: OutputStream) -> &mut Self {
        self.stderr = stream;
        self
    }

    /// Hands the guest the process's own streams.
    pub fn inherit_stdio(&mut self) -> &mut Self {
        self.stdin(InputStream::Inherit).stdout(OutputStream::InheritStdout).stderr(OutputStream::InheritStderr)
    }

    /// Hands the guest a directory of the host, under the name `guest`.
    pub fn preopened_dir(
        &mut self,
        host: impl AsRef<Path>,
        guest: impl Into<String>,
        access: Access,
    ) -> Result<&mut Self, std::io::Error> {
        let dir = Dir::open_ambient(host.as_ref(), access)?;
        Ok(self.preopened(dir, guest))
    }

    /// Hands the guest a directory of any file system, under the name `guest`.
    pub fn preopened(&mut self, dir: Dir, guest: impl Into<String>) -> &mut Self {
        self.preopens.push((dir, guest.into()));
        self
    }

    /// Hands the guest of preview 1 a socket that listens ([`TcpSocket::listener`]); in order, they get the numbers after
    /// those of directories. Components have no use for it: they open sockets themselves.
    pub fn listener(&mut self, socket: Arc<TcpSocket>) -> &mut Self {
        self.listeners.push(socket);
        self
    }

    /// Sets what of the network the guest may use.
    pub fn network(&mut self, network: Network) -> &mut Self {
        self.network = network;
        self
    }

    /// Sets how requests are sent.
    #[cfg(feature = "http")]
    pub fn http(&mut self, http: Http) -> &mut Self {
        self.http = http;
        self
    }

    /// Sets who is told of every call.
    pub fn trace(&mut self, trace: Trace) -> &mut Self {
        self.trace = Some(trace);
        self
    }

    /// Sets how the guest waits: its thread does, unless it is said otherwise here and the guest is called with
    /// `call_async`.
    pub fn waiting(&mut self, waiting: Waiting) -> &mut Self {
        self.waiting = waiting;
        self
    }

    /// Sets where times come from.
    pub fn clocks(&mut self, clocks: Clocks) -> &mut Self {
        self.clocks = clocks;
        self
    }

    /// Sets where random bytes come from.
    pub fn random(&mut self, random: Random) -> &mut Self {
        self.random = random;
        self
    }

    /// What guests that were built asked for and were not given.
    pub fn denials(&self) -> &Denials {
        &self.denials
    }

    /// The guest's capabilities; the builder is empty afterwards.
    pub fn build(&mut self) -> WasiCtx {
        let builder = std::mem::take(self);
        let (stdin, stdout, stderr) = (builder.stdin, builder.stdout, builder.stderr);
        let denials = builder.denials;
        builder.network.log_denials(&denials);
        let preopens = builder.preopens.into_iter().map(|(dir, name)| (dir.log_denials(&denials, &name), name));
        let preopens: Vec<_> = preopens.collect();
        WasiCtx {
            descriptors: Descriptors::new(
                stdin.clone(),
                stdout.clone(),
                stderr.clone(),
                preopens.clone(),
                builder.listeners,
            ),
            args: builder.args,
            env: builder.env,
            clocks: builder.clocks,
            random: builder.random,
            stdin,
            stdout,
            stderr,
            preopens,
            network: builder.network,
            #[cfg(feature = "http")]
            http: builder.http,
            waiting: builder.waiting,
            trace: builder.trace,
            denials,
            table: ResourceTable::new(),
        }
    }
}
