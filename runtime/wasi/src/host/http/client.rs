//! Requests that a guest sends, over HTTP/1.1
//! ([RFC 9112](https://www.rfc-editor.org/rfc/rfc9112)), with TLS or without.
//!
//! Invariant: nothing is looked up or connected to that the guest's [`Network`] does not permit; every wait has a limit. A
//! request ends when its guest drops the future, or the response's body.
//!
//! Does not know: guests, how bodies are written and read.

use super::body::Side;
use super::error::{DnsError, ErrorCode, TlsAlert};
use super::fields::Fields;
use super::message::{
    Answer, FutureResponse, Guard, IncomingResponse, OutgoingRequest, Promise, RequestOptions, Scheme, Unread,
    parse_authority,
};
use super::transfer::{Patient, Receiving, Sent, code_of, code_of_io};
use super::{Http, HttpLimits};
use crate::Errno;
use crate::host::net::{Network, Protocol};
use http::header::{HOST, HeaderValue};
use http::uri::Authority;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Most addresses of a name that are tried.
const ADDRESSES_MAX: usize = 16;
/// Bytes that are read of a connection at once, at least.
const READ_BYTES_MIN: usize = 8 << 10;

/// A request with all that is needed to carry it out.
pub struct Exchange {
    network: Network,
    limits: Arc<HttpLimits>,
    tls: Option<Arc<ClientConfig>>,
    host: String,
    port: u16,
    connect: Duration,
    first_byte: Duration,
    receiving: Receiving,
    request: http::Request<Sent>,
}

/// What a guest chose, as far as the host lets it.
fn chosen(asked: Option<u64>, limit: Duration) -> Duration {
    asked.map_or(limit, |nanoseconds| Duration::from_nanos(nanoseconds).min(limit))
}

impl Exchange {
    /// A request that is one, and is permitted so far.
    pub fn new(
        http: &Http,
        network: &Network,
        request: OutgoingRequest,
        options: RequestOptions,
    ) -> Result<Exchange, ErrorCode> {
        let limits = Arc::clone(&http.limits);
        let encrypted = match request.scheme {
            Some(Scheme::Http) => false,
            None | Some(Scheme::Https) => true,
            Some(Scheme::Other(_)) => return Err(ErrorCode::HttpProtocolError),
        };
        let parsed = request.authority.as_deref().map(parse_authority);
        let (authority, port) = parsed.and_then(Result::ok).ok_or(ErrorCode::HttpRequestUriInvalid)?;
        let port = port.unwrap_or(if encrypted { 443 } else { 80 });
        let host = authority.host().to_owned();
        network.permit_host(Protocol::Tcp, &host, port).map_err(|error| match error {
            Errno::Inval => ErrorCode::HttpRequestUriInvalid,
            _ => ErrorCode::HttpRequestDenied,
        })?;
        let receiving = Receiving {
            side: Side::Response,
            bytes_max: limits.response_body_bytes,
            idle: chosen(options.between_bytes_timeout, limits.between_bytes_timeout),
            fields: limits.fields,
        };
        let (connect, first_byte) = (
            chosen(options.connect_timeout, limits.connect_timeout),
            chosen(options.first_byte_timeout, limits.first_byte_timeout),
        );
        let tls = if encrypted { Some(client_config(http.roots.as_ref())?) } else { None };
        let request = message(request, &authority)?;
        Ok(Exchange { network: network.clone(), limits, tls, host, port, connect, first_byte, receiving, request })
    }

    /// Carries it out on a runtime; `permit` is kept until the response's body is read, or dropped.
    pub fn start(self, handle: &Handle, permit: OwnedSemaphorePermit) -> FutureResponse {
        let promise = Promise::default();
        let filled = promise.clone();
        let spawner = handle.clone();
        let task = handle.spawn(async move { filled.fill(self.run(&spawner, permit).await) });
        let abort = task.abort_handle();
        FutureResponse::new(promise, Some(Guard::new(move || abort.abort())))
    }

    async fn run(self, spawner: &Handle, permit: OwnedSemaphorePermit) -> Answer {
        let connected = timeout(self.connect, connect(&self.network, &self.host, self.port, self.tls.clone())).await;
        let io = connected.map_err(|_| ErrorCode::ConnectionTimeout)??;
        let io = Patient::new(TokioIo::new(io), self.receiving.idle);
        let mut builder = http1::Builder::new();
        builder
            .max_headers(self.limits.fields.count_max)
            .max_header_size(self.limits.fields.bytes_max)
            .max_buf_size(self.limits.fields.bytes_max.max(READ_BYTES_MIN));
        let (mut sender, connection) = builder.handshake(io).await.map_err(|error| code_of(Side::Response, &error))?;
        let task = spawner.spawn(connection);
        // Whatever ends this exchange ends the connection.
        let abort = task.abort_handle();
        let guard = Guard::new(move || abort.abort());
        let response = timeout(self.first_byte, sender.send_request(self.request)).await;
        let response =
            response.map_err(|_| ErrorCode::ConnectionReadTimeout)?.map_err(|error| code_of(Side::Response, &error))?;
        let (head, body) = response.into_parts();
        let (receiving, spawner) = (self.receiving, spawner.clone());
        let unread = Unread::new(self.limits.body_buffer_bytes, move |writer| {
            spawner.spawn(async move {
                receiving.run(body, writer).await;
                drop((guard, permit, sender));
            });
        });
        let headers = Fields::received(&head.headers, self.limits.fields);
        Ok(IncomingResponse { status: head.status.as_u16(), headers, body: Some(unread) })
    }
}

/// The request as it is sent.
fn message(request: OutgoingRequest, authority: &Authority) -> Result<http::Request<Sent>, ErrorCode> {
    let declared = request.headers.content_length().map_err(|_| ErrorCode::HttpProtocolError)?;
    let mut headers = request.headers.to_map().map_err(|_| ErrorCode::HttpProtocolError)?;
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    headers.insert(HOST, host);
    let path = match request.path_with_query.as_deref() {
        None | Some("") => "/".to_owned(),
        Some(query) if query.starts_with('?') => format!("/{query}"),
        Some(path) => path.to_owned(),
    };
    let method = request.method.to_http().map_err(|_| ErrorCode::HttpRequestMethodInvalid)?;
    if method == http::Method::CONNECT {
        // A tunnel is no request with a response.
        return Err(ErrorCode::HttpRequestMethodInvalid);
    }
    let body = Sent::new(request.draft.into_reader(), declared);
    let mut message = http::Request::new(body);
    *message.method_mut() = method;
    *message.uri_mut() = path.parse().map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    *message.headers_mut() = headers;
    Ok(message)
}

/// A stream of bytes, encrypted or not.
trait Io: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Io for T {}

async fn connect(
    network: &Network,
    host: &str,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Box<dyn Io>, ErrorCode> {
    let addresses = resolve(network, host, port).await?;
    let stream = reach(network, &addresses).await?;
    // Requests are written whole.
    stream.set_nodelay(true).map_err(|error| code_of_io(&error))?;
    let Some(config) = tls else { return Ok(Box::new(stream)) };
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(|error| code_of_tls(&error))?;
    Ok(Box::new(stream))
}

async fn resolve(network: &Network, host: &str, port: u16) -> Result<Vec<SocketAddr>, ErrorCode> {
    if let Ok(address) = format!("{host}:{port}").parse() {
        return Ok(vec![address]);
    }
    let found = lookup_host((host, port))
        .await
        .map_err(|error| ErrorCode::DnsError(DnsError { rcode: Some(error.to_string()), info_code: None }))?;
    let found: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
    network.learn(host, found.iter().map(SocketAddr::ip));
    Ok(found)
}

/// Connects to the first address that is permitted and answers.
async fn reach(network: &Network, addresses: &[SocketAddr]) -> Result<TcpStream, ErrorCode> {
    let mut last = ErrorCode::DestinationNotFound;
    for address in addresses {
        if network.permit_remote(Protocol::Tcp, *address).is_err() {
            last = ErrorCode::DestinationIpProhibited;
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = code_of_io(&error),
        }
    }
    Err(last)
}

fn code_of_tls(error: &std::io::Error) -> ErrorCode {
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => ErrorCode::TlsCertificateError,
        Some(rustls::Error::AlertReceived(alert)) => ErrorCode::TlsAlertReceived(TlsAlert {
            alert_id: Some(u8::from(*alert)),
            alert_message: Some(format!("{alert:?}")),
        }),
        Some(_) => ErrorCode::TlsProtocolError,
        None => match code_of_io(error) {
            ErrorCode::InternalError(_) => ErrorCode::TlsProtocolError,
            code => code,
        },
    }
}

/// How servers are recognized.
fn client_config(roots: Option<&Arc<RootCertStore>>) -> Result<Arc<ClientConfig>, ErrorCode> {
    /// With Mozilla's list, which takes a while to read.
    static USUAL: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let make = |roots: Arc<RootCertStore>| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(ErrorCode::internal)?;
        Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    };
    if let Some(roots) = roots {
        return make(Arc::clone(roots));
    }
    if let Some(config) = USUAL.get() {
        return Ok(Arc::clone(config));
    }
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = make(Arc::new(roots))?;
    Ok(Arc::clone(USUAL.get_or_init(|| config)))
}
