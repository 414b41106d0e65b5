//! HTTP: what a guest may send, and what is sent to it.
//!
//! Requests go out through [`Http::send`], within the guest's [`Network`]; they come in through [`server`]. Messages and their
//! bodies are values that need no connection ([`message`], [`body`]), so that the same rules hold in both directions.
//!
//! Invariant: there is no async runtime before the first request; what a guest or the other side can multiply is bounded by
//! [`HttpLimits`] and [`server::ServerLimits`].
//!
//! Does not know: handles, linear memory, WASI versions.

pub mod body;
mod client;
pub mod error;
pub mod fields;
pub mod message;
pub(crate) mod reactor;
pub mod server;
pub(crate) mod transfer;

pub use error::ErrorCode;

use super::net::Network;
use fields::FieldLimits;
use message::{FutureResponse, OutgoingRequest, RequestOptions};
use rustls::RootCertStore;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Semaphore;

/// How much a guest, and those it talks to, may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Of headers and trailers that a guest makes, and of those that it receives from servers.
    pub fields: FieldLimits,
    /// Bytes of a body that are held for the side that reads it, and one piece of the connection's.
    pub body_buffer_bytes: usize,
    /// Bytes of the body of a response.
    pub response_body_bytes: u64,
    /// Requests that a guest may have on their way at once.
    pub requests_at_once: usize,
    /// How long to wait for a connection; a guest may choose less.
    pub connect_timeout: Duration,
    /// How long to wait for a response to begin; a guest may choose less.
    pub first_byte_timeout: Duration,
    /// How long a body may stand still; a guest may choose less.
    pub between_bytes_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> HttpLimits {
        HttpLimits {
            fields: FieldLimits::default(),
            body_buffer_bytes: 64 << 10,
            response_body_bytes: u64::MAX,
            requests_at_once: 64,
            connect_timeout: Duration::from_secs(60),
            first_byte_timeout: Duration::from_secs(600),
            between_bytes_timeout: Duration::from_secs(600),
        }
    }
}

/// Where requests are carried out: a runtime that starts with the first one, or one that is there already.
#[derive(Debug)]
enum Executor {
    Own(OnceLock<Runtime>),
    Given(Handle),
}

impl Executor {
    fn handle(&self) -> Result<Handle, ErrorCode> {
        let cell = match self {
            Executor::Given(handle) => return Ok(handle.clone()),
            Executor::Own(cell) => cell,
        };
        if let Some(runtime) = cell.get() {
            return Ok(runtime.handle().clone());
        }
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("wattest-http").enable_all().build();
        let runtime = runtime.map_err(ErrorCode::internal)?;
        Ok(cell.get_or_init(|| runtime).handle().clone())
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        if let Executor::Own(cell) = self
            && let Some(runtime) = cell.take()
        {
            // Nobody waits for requests whose guest is gone.
            runtime.shutdown_background();
        }
    }
}

/// HTTP for guests. Clones share the runtime and the certificates, but not the count of requests.
#[derive(Debug)]
pub struct Http {
    limits: Arc<HttpLimits>,
    roots: Option<Arc<RootCertStore>>,
    executor: Arc<Executor>,
    /// One permit for each request that may be on its way; made with the first of them.
    permits: OnceLock<Arc<Semaphore>>,
}

impl Default for Http {
    fn default() -> Http {
        Http::new(HttpLimits::default())
    }
}

impl Clone for Http {
    fn clone(&self) -> Http {
        let (limits, executor) = (Arc::clone(&self.limits), Arc::clone(&self.executor));
        Http { limits, roots: self.roots.clone(), executor, permits: OnceLock::new() }
    }
}

impl Http {
    /// HTTP within these limits.
    pub fn new(limits: HttpLimits) -> Http {
        let executor = Arc::new(Executor::Own(OnceLock::new()));
        Http { limits: Arc::new(limits), roots: None, executor, permits: OnceLock::new() }
    }

    /// The same on a runtime that is there already.
    pub(crate) fn on(&self, handle: Handle) -> Http {
        Http { executor: Arc::new(Executor::Given(handle)), ..self.clone() }
    }

    /// Trusts only servers that these certificates vouch for, in DER, instead of those that Mozilla's list does.
    ///
    /// # Errors
    ///
    /// One of them is no certificate.
    pub fn trust(&mut self, certificates: impl IntoIterator<Item = Vec<u8>>) -> Result<(), ErrorCode> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate.into()).map_err(ErrorCode::internal)?;
        }
        self.roots = Some(Arc::new(roots));
        Ok(())
    }

    /// What may be used.
    pub fn limits(&self) -> &HttpLimits {
        &self.limits
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// It is no request, is denied, or one too many.
    pub fn send(
        &self,
        network: &Network,
        request: OutgoingRequest,
        options: RequestOptions,
    ) -> Result<FutureResponse, ErrorCode> {
        let exchange = client::Exchange::new(self, network, request, options)?;
        let permits = self.permits.get_or_init(|| Arc::new(Semaphore::new(self.limits.requests_at_once)));
        let permit = Arc::clone(permits).try_acquire_owned().map_err(|_| ErrorCode::ConnectionLimitReached)?;
        Ok(exchange.start(&self.executor.handle()?, permit))
    }
}
