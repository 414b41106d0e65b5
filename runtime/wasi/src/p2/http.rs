//! `wasi:http` ([spec](https://github.com/WebAssembly/wasi-http/blob/v0.2.12/wit)).
//!
//! Invariant: a child (headers of a message, the stream of a body) is dropped before what it belongs to; otherwise the guest
//! ends, as the interface says.
//!
//! Does not know: connections; what the parts of a message may be.

use super::io::{IoError, Output};
use crate::WasiCtx;
use crate::host::http::fields::{Field, Fields, FieldsError};
use crate::host::http::message::{
    FutureResponse, FutureTrailers, IncomingBody, IncomingRequest, IncomingResponse, Invalid, Method, OutgoingBody,
    OutgoingRequest, OutgoingResponse, RequestOptions, ResponseOutparam, Scheme,
};
use crate::host::http::server::Call;
use crate::host::http::{ErrorCode, HttpLimits};
use crate::host::stream::{Pollable, Sink, Source};
use std::result::Result as Told;
use wattest::component::{ComponentType, Lower, Resource};
use wattest::{Error, Result};

/// The instance and function that a handler exports.
pub const HANDLE: [&str; 2] = ["wasi:http/incoming-handler", "handle"];

/// What [`HANDLE`] takes.
pub type HandleParams = (Resource<IncomingRequest>, Resource<ResponseOutparam>);

/// `header-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(variant)]
pub enum HeaderError {
    InvalidSyntax,
    Forbidden,
    Immutable,
}

type This<T> = Resource<T>;

/// What a guest is told of a change; too large a one ends it, since the interface has no words for that.
fn told<T>(result: Told<T, FieldsError>) -> Result<Told<T, HeaderError>> {
    Ok(Err(match result {
        Ok(value) => return Ok(Ok(value)),
        Err(FieldsError::InvalidSyntax) => HeaderError::InvalidSyntax,
        Err(FieldsError::Forbidden) => HeaderError::Forbidden,
        Err(FieldsError::Immutable) => HeaderError::Immutable,
        Err(error @ FieldsError::TooLarge) => return Err(Error::host(error)),
    }))
}

/// A result without words for what is wrong.
fn plain<T>(result: Told<T, Invalid>) -> Told<T, ()> {
    result.map_err(|Invalid| ())
}

fn signal<T: Send + Sync + 'static>(
    ctx: &mut WasiCtx,
    this: &This<T>,
    signal: fn(&T) -> &crate::host::signal::Signal,
) -> Result<Resource<Pollable>> {
    let pollable = Pollable::Signal(signal(ctx.table.get(this)?).clone());
    ctx.push(pollable)
}

impl WasiCtx {
    /// Hands the guest a request, and what answers it.
    ///
    /// # Errors
    ///
    /// The guest holds too much already.
    pub fn push_call(&mut self, call: Call) -> Result<HandleParams> {
        self.http = call.http;
        Ok((self.push(call.request)?, self.push(call.outparam)?))
    }

    fn http_limits(&self) -> &HttpLimits {
        self.http.limits()
    }
}

pub fn new_fields(ctx: &mut WasiCtx, (): ()) -> Result<Resource<Fields>> {
    let fields = Fields::new(ctx.http_limits().fields);
    ctx.push(fields)
}

pub fn fields_from_list(ctx: &mut WasiCtx, (list,): (Vec<Field>,)) -> Result<Told<Resource<Fields>, HeaderError>> {
    match told(Fields::from_list(ctx.http_limits().fields, list))? {
        Ok(fields) => ctx.push(fields).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}

pub fn fields_get(ctx: &mut WasiCtx, (this, name): (This<Fields>, String)) -> Result<Vec<Vec<u8>>> {
    Ok(ctx.table.get(&this)?.get(&name))
}

pub fn fields_has(ctx: &mut WasiCtx, (this, name): (This<Fields>, String)) -> Result<bool> {
    Ok(ctx.table.get(&this)?.has(&name))
}

type Values = Vec<Vec<u8>>;

pub fn fields_set(
    ctx: &mut WasiCtx,
    (this, name, values): (This<Fields>, String, Values),
) -> Result<Told<(), HeaderError>> {
    told(ctx.table.get_mut(&this)?.set(&name, values))
}

pub fn fields_delete(ctx: &mut WasiCtx, (this, name): (This<Fields>, String)) -> Result<Told<(), HeaderError>> {
    told(ctx.table.get_mut(&this)?.delete(&name))
}

pub fn fields_append(
    ctx: &mut WasiCtx,
    (this, name, value): (This<Fields>, String, Vec<u8>),
) -> Result<Told<(), HeaderError>> {
    told(ctx.table.get_mut(&this)?.append(&name, value))
}

pub fn fields_entries(ctx: &mut WasiCtx, (this,): (This<Fields>,)) -> Result<Vec<Field>> {
    Ok(ctx.table.get(&this)?.entries().to_vec())
}

pub fn fields_clone(ctx: &mut WasiCtx, (this,): (This<Fields>,)) -> Result<Resource<Fields>> {
    let copy = ctx.table.get(&this)?.copy();
    ctx.push(copy)
}

pub fn incoming_request_method(ctx: &mut WasiCtx, (this,): (This<IncomingRequest>,)) -> Result<Method> {
    Ok(ctx.table.get(&this)?.method.clone())
}

pub fn incoming_request_path(ctx: &mut WasiCtx, (this,): (This<IncomingRequest>,)) -> Result<Option<String>> {
    Ok(ctx.table.get(&this)?.path_with_query.clone())
}

pub fn incoming_request_scheme(ctx: &mut WasiCtx, (this,): (This<IncomingRequest>,)) -> Result<Option<Scheme>> {
    Ok(ctx.table.get(&this)?.scheme.clone())
}

pub fn incoming_request_authority(ctx: &mut WasiCtx, (this,): (This<IncomingRequest>,)) -> Result<Option<String>> {
    Ok(ctx.table.get(&this)?.authority.clone())
}

pub fn incoming_request_headers(ctx: &mut WasiCtx, (this,): (This<IncomingRequest>,)) -> Result<Resource<Fields>> {
    let headers = ctx.table.get(&this)?.headers.frozen();
    ctx.push_child(headers, &this)
}

pub fn incoming_request_consume(
    ctx: &mut WasiCtx,
    (this,): (This<IncomingRequest>,),
) -> Result<Told<Resource<IncomingBody>, ()>> {
    match ctx.table.get_mut(&this)?.body.take() {
        Some(body) => ctx.push(IncomingBody::new(body)).map(Ok),
        None => Ok(Err(())),
    }
}

pub fn new_outgoing_request(ctx: &mut WasiCtx, (headers,): (Resource<Fields>,)) -> Result<Resource<OutgoingRequest>> {
    let headers = ctx.table.delete(headers)?;
    ctx.push(OutgoingRequest::new(&headers))
}

pub fn outgoing_request_body(
    ctx: &mut WasiCtx,
    (this,): (This<OutgoingRequest>,),
) -> Result<Told<Resource<OutgoingBody>, ()>> {
    let capacity = ctx.http_limits().body_buffer_bytes;
    match ctx.table.get_mut(&this)?.body(capacity) {
        Ok(body) => ctx.push(body).map(Ok),
        Err(Invalid) => Ok(Err(())),
    }
}

pub fn outgoing_request_method(ctx: &mut WasiCtx, (this,): (This<OutgoingRequest>,)) -> Result<Method> {
    Ok(ctx.table.get(&this)?.method.clone())
}

pub fn outgoing_request_set_method(
    ctx: &mut WasiCtx,
    (this, method): (This<OutgoingRequest>, Method),
) -> Result<Told<(), ()>> {
    Ok(plain(ctx.table.get_mut(&this)?.set_method(method)))
}

pub fn outgoing_request_path(ctx: &mut WasiCtx, (this,): (This<OutgoingRequest>,)) -> Result<Option<String>> {
    Ok(ctx.table.get(&this)?.path_with_query.clone())
}

pub fn outgoing_request_set_path(
    ctx: &mut WasiCtx,
    (this, path): (This<OutgoingRequest>, Option<String>),
) -> Result<Told<(), ()>> {
    Ok(plain(ctx.table.get_mut(&this)?.set_path_with_query(path)))
}

pub fn outgoing_request_scheme(ctx: &mut WasiCtx, (this,): (This<OutgoingRequest>,)) -> Result<Option<Scheme>> {
    Ok(ctx.table.get(&this)?.scheme.clone())
}

pub fn outgoing_request_set_scheme(
    ctx: &mut WasiCtx,
    (this, scheme): (This<OutgoingRequest>, Option<Scheme>),
) -> Result<Told<(), ()>> {
    Ok(plain(ctx.table.get_mut(&this)?.set_scheme(scheme)))
}

pub fn outgoing_request_authority(ctx: &mut WasiCtx, (this,): (This<OutgoingRequest>,)) -> Result<Option<String>> {
    Ok(ctx.table.get(&this)?.authority.clone())
}

pub fn outgoing_request_set_authority(
    ctx: &mut WasiCtx,
    (this, authority): (This<OutgoingRequest>, Option<String>),
) -> Result<Told<(), ()>> {
    Ok(plain(ctx.table.get_mut(&this)?.set_authority(authority)))
}

pub fn outgoing_request_headers(ctx: &mut WasiCtx, (this,): (This<OutgoingRequest>,)) -> Result<Resource<Fields>> {
    let headers = ctx.table.get(&this)?.headers.frozen();
    ctx.push_child(headers, &this)
}

pub fn new_request_options(ctx: &mut WasiCtx, (): ()) -> Result<Resource<RequestOptions>> {
    ctx.push(RequestOptions::default())
}

type Timeout = (This<RequestOptions>, Option<u64>);

pub fn connect_timeout(ctx: &mut WasiCtx, (this,): (This<RequestOptions>,)) -> Result<Option<u64>> {
    Ok(ctx.table.get(&this)?.connect_timeout)
}

pub fn set_connect_timeout(ctx: &mut WasiCtx, (this, duration): Timeout) -> Result<Told<(), ()>> {
    ctx.table.get_mut(&this)?.connect_timeout = duration;
    Ok(Ok(()))
}

pub fn first_byte_timeout(ctx: &mut WasiCtx, (this,): (This<RequestOptions>,)) -> Result<Option<u64>> {
    Ok(ctx.table.get(&this)?.first_byte_timeout)
}

pub fn set_first_byte_timeout(ctx: &mut WasiCtx, (this, duration): Timeout) -> Result<Told<(), ()>> {
    ctx.table.get_mut(&this)?.first_byte_timeout = duration;
    Ok(Ok(()))
}

pub fn between_bytes_timeout(ctx: &mut WasiCtx, (this,): (This<RequestOptions>,)) -> Result<Option<u64>> {
    Ok(ctx.table.get(&this)?.between_bytes_timeout)
}

pub fn set_between_bytes_timeout(ctx: &mut WasiCtx, (this, duration): Timeout) -> Result<Told<(), ()>> {
    ctx.table.get_mut(&this)?.between_bytes_timeout = duration;
    Ok(Ok(()))
}

pub fn send_informational(
    ctx: &mut WasiCtx,
    (this, status, headers): (This<ResponseOutparam>, u16, Resource<Fields>),
) -> Result<Told<(), ErrorCode>> {
    ctx.table.delete(headers)?;
    Ok(ctx.table.get(&this)?.send_informational(status))
}

pub fn set_response(
    ctx: &mut WasiCtx,
    (outparam, response): (Resource<ResponseOutparam>, Told<Resource<OutgoingResponse>, ErrorCode>),
) -> Result<()> {
    let response = match response {
        Ok(response) => Ok(ctx.table.delete(response)?),
        Err(code) => Err(code),
    };
    ctx.table.delete(outparam)?.set(response);
    Ok(())
}

pub fn incoming_response_status(ctx: &mut WasiCtx, (this,): (This<IncomingResponse>,)) -> Result<u16> {
    Ok(ctx.table.get(&this)?.status)
}

pub fn incoming_response_headers(ctx: &mut WasiCtx, (this,): (This<IncomingResponse>,)) -> Result<Resource<Fields>> {
    let headers = ctx.table.get(&this)?.headers.frozen();
    ctx.push_child(headers, &this)
}

pub fn incoming_response_consume(
    ctx: &mut WasiCtx,
    (this,): (This<IncomingResponse>,),
) -> Result<Told<Resource<IncomingBody>, ()>> {
    match ctx.table.get_mut(&this)?.body.take() {
        Some(body) => ctx.push(IncomingBody::new(body)).map(Ok),
        None => Ok(Err(())),
    }
}

pub fn incoming_body_stream(ctx: &mut WasiCtx, (this,): (This<IncomingBody>,)) -> Result<Told<Resource<Source>, ()>> {
    match ctx.table.get_mut(&this)?.stream() {
        Ok(stream) => ctx.push_child(Source::Http(stream), &this).map(Ok),
        Err(Invalid) => Ok(Err(())),
    }
}

pub fn incoming_body_finish(ctx: &mut WasiCtx, (this,): (Resource<IncomingBody>,)) -> Result<Resource<FutureTrailers>> {
    let trailers = ctx.table.delete(this)?.finish();
    ctx.push(trailers)
}

pub fn subscribe_trailers(ctx: &mut WasiCtx, (this,): (This<FutureTrailers>,)) -> Result<Resource<Pollable>> {
    signal(ctx, &this, FutureTrailers::signal)
}

type Trailers = Told<Option<Resource<Fields>>, ErrorCode>;

pub fn get_trailers(ctx: &mut WasiCtx, (this,): (This<FutureTrailers>,)) -> Result<Option<Told<Trailers, ()>>> {
    Ok(match ctx.table.get_mut(&this)?.get() {
        None => None,
        Some(Err(Invalid)) => Some(Err(())),
        Some(Ok(Err(code))) => Some(Ok(Err(code))),
        Some(Ok(Ok(None))) => Some(Ok(Ok(None))),
        Some(Ok(Ok(Some(trailers)))) => Some(Ok(Ok(Some(ctx.push_child(trailers.frozen(), &this)?)))),
    })
}

pub fn new_outgoing_response(ctx: &mut WasiCtx, (headers,): (Resource<Fields>,)) -> Result<Resource<OutgoingResponse>> {
    let headers = ctx.table.delete(headers)?;
    ctx.push(OutgoingResponse::new(&headers))
}

pub fn outgoing_response_status(ctx: &mut WasiCtx, (this,): (This<OutgoingResponse>,)) -> Result<u16> {
    Ok(ctx.table.get(&this)?.status())
}

pub fn outgoing_response_set_status(
    ctx: &mut WasiCtx,
    (this, status): (This<OutgoingResponse>, u16),
) -> Result<Told<(), ()>> {
    Ok(plain(ctx.table.get_mut(&this)?.set_status(status)))
}

pub fn outgoing_response_headers(ctx: &mut WasiCtx, (this,): (This<OutgoingResponse>,)) -> Result<Resource<Fields>> {
    let headers = ctx.table.get(&this)?.headers.frozen();
    ctx.push_child(headers, &this)
}

pub fn outgoing_response_body(
    ctx: &mut WasiCtx,
    (this,): (This<OutgoingResponse>,),
) -> Result<Told<Resource<OutgoingBody>, ()>> {
    let capacity = ctx.http_limits().body_buffer_bytes;
    match ctx.table.get_mut(&this)?.body(capacity) {
        Ok(body) => ctx.push(body).map(Ok),
        Err(Invalid) => Ok(Err(())),
    }
}

pub fn outgoing_body_write(ctx: &mut WasiCtx, (this,): (This<OutgoingBody>,)) -> Result<Told<Resource<Output>, ()>> {
    match ctx.table.get_mut(&this)?.stream() {
        Ok(stream) => ctx.push_child(Output::new(Sink::Http(stream)), &this).map(Ok),
        Err(Invalid) => Ok(Err(())),
    }
}

pub fn outgoing_body_finish(
    ctx: &mut WasiCtx,
    (this, trailers): (Resource<OutgoingBody>, Option<Resource<Fields>>),
) -> Result<Told<(), ErrorCode>> {
    let body = ctx.table.delete(this)?;
    let trailers = trailers.map(|trailers| ctx.table.delete(trailers)).transpose()?;
    Ok(body.finish(trailers))
}

pub fn subscribe_response(ctx: &mut WasiCtx, (this,): (This<FutureResponse>,)) -> Result<Resource<Pollable>> {
    signal(ctx, &this, FutureResponse::signal)
}

type Response = Told<Resource<IncomingResponse>, ErrorCode>;

pub fn get_response(ctx: &mut WasiCtx, (this,): (This<FutureResponse>,)) -> Result<Option<Told<Response, ()>>> {
    Ok(match ctx.table.get_mut(&this)?.get() {
        None => None,
        Some(Err(Invalid)) => Some(Err(())),
        Some(Ok(Err(code))) => Some(Ok(Err(code))),
        Some(Ok(Ok(response))) => Some(Ok(Ok(ctx.push(response)?))),
    })
}

pub fn error_code(ctx: &mut WasiCtx, (error,): (This<IoError>,)) -> Result<Option<ErrorCode>> {
    Ok(match ctx.table.get(&error)? {
        IoError::Http(code) => Some((**code).clone()),
        IoError::Host(_) => None,
    })
}

pub fn handle(
    ctx: &mut WasiCtx,
    (request, options): (Resource<OutgoingRequest>, Option<Resource<RequestOptions>>),
) -> Result<Told<Resource<FutureResponse>, ErrorCode>> {
    let request = ctx.table.delete(request)?;
    let options = options.map(|options| ctx.table.delete(options)).transpose()?.unwrap_or_default();
    match ctx.http.send(&ctx.network, request, options) {
        Ok(response) => ctx.push(response).map(Ok),
        Err(code) => Ok(Err(code)),
    }
}
