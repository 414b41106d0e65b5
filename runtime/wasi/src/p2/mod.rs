//! The faces of WASI 0.2: `wasi:cli`, `io`, `clocks`, `random`, `filesystem`, `sockets`, and `http` with the feature of that name.
//!
//! Each function takes a guest's values, asks the core, and answers with the interface's types
//! ([spec](https://github.com/WebAssembly/WASI/tree/main/wasip2)). One table names them all: the linker's entries and
//! [`FUNCTIONS`] are derived from it.
//!
//! Invariant: a resource is in the context's table from when the guest gets it to when the guest drops it; what a guest can
//! hold at once is bounded.
//!
//! Does not know: what the core does; component binaries.

mod cli;
mod clocks;
mod face;
mod filesystem;
#[cfg(feature = "http")]
mod http;
mod io;
mod random;
mod sockets;

use crate::WasiCtx;
#[cfg(feature = "http")]
use crate::host::http::{
    fields::Fields,
    message::{
        FutureResponse, FutureTrailers, IncomingBody, IncomingRequest, IncomingResponse, OutgoingBody, OutgoingRequest,
        OutgoingResponse, RequestOptions, ResponseOutparam,
    },
};
use crate::host::net::{IncomingDatagrams, Lookup, TcpSocket, UdpSocket};
use crate::host::stream::{Pollable, Source};
use face::Face;
use filesystem::{Descriptor, DirectoryEntries};
use io::{IoError, Output};
use std::sync::Arc;
use wattest::component::{LinkError, Linker};

#[cfg(feature = "http")]
pub use http::{HANDLE, HandleParams};

/// The version that the interfaces are defined as; components that import an earlier 0.2 get them too.
pub const VERSION: &str = "0.2.12";

/// The instance and function that a `wasi:cli/command` exports.
pub const RUN: [&str; 2] = ["wasi:cli/run", "run"];

/// An interface, without a version, and a function's name.
type Function = (&'static str, &'static str);

/// Every function: its interface, without a version, and its name.
pub const FUNCTIONS: &[Function] = &{
    let mut all = [("", ""); PLAIN.len() + HTTP.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < PLAIN.len() { PLAIN[at] } else { HTTP[at - PLAIN.len()] };
        at += 1;
    }
    all
};

macro_rules! interfaces {
    ($table:ident, $define:ident; $($interface:literal [$($resource:literal: $ty:ty),*] {
        $($kind:ident $name:literal = $function:path;)*
    })*) => {
        const $table: &[Function] = &[$($(($interface, $name),)*)*];

        fn $define<T: 'static>(face: &mut Face<'_, T>) -> Result<(), LinkError> {
            $(
                face.enter($interface)?;
                $(face.resource::<$ty>($resource)?;)*
                $(face.$kind($name, $function)?;)*
            )*
            // A table may be empty.
            let _ = face;
            Ok(())
        }
    };
}

interfaces! {
    PLAIN, define_plain;
    "wasi:io/error" ["error": IoError] {
        value "[method]error.to-debug-string" = io::to_debug_string;
    }
    "wasi:io/poll" ["pollable": Pollable] {
        value "[method]pollable.ready" = io::ready;
        waiting_unit "[method]pollable.block" = io::block;
        waiting_value "poll" = io::poll;
    }
    "wasi:io/streams" ["input-stream": Source, "output-stream": Output] {
        stream "[method]input-stream.read" = io::read;
        waiting_stream "[method]input-stream.blocking-read" = io::blocking_read;
        stream "[method]input-stream.skip" = io::skip;
        waiting_stream "[method]input-stream.blocking-skip" = io::blocking_skip;
        value "[method]input-stream.subscribe" = io::subscribe_input;
        stream "[method]output-stream.check-write" = io::check_write;
        stream "[method]output-stream.write" = io::write;
        waiting_stream "[method]output-stream.blocking-write-and-flush" = io::blocking_write_and_flush;
        stream "[method]output-stream.flush" = io::flush;
        waiting_stream "[method]output-stream.blocking-flush" = io::blocking_flush;
        value "[method]output-stream.subscribe" = io::subscribe_output;
        stream "[method]output-stream.write-zeroes" = io::write_zeroes;
        waiting_stream "[method]output-stream.blocking-write-zeroes-and-flush" = io::blocking_write_zeroes_and_flush;
        stream "[method]output-stream.splice" = io::splice;
        waiting_stream "[method]output-stream.blocking-splice" = io::blocking_splice;
    }
    "wasi:clocks/monotonic-clock" [] {
        value "now" = clocks::now;
        value "resolution" = clocks::resolution;
        value "subscribe-instant" = clocks::subscribe_instant;
        value "subscribe-duration" = clocks::subscribe_duration;
    }
    "wasi:clocks/wall-clock" [] {
        value "now" = clocks::wall_now;
        value "resolution" = clocks::wall_resolution;
    }
    "wasi:clocks/timezone" [] {
        value "display" = clocks::display;
        value "utc-offset" = clocks::utc_offset;
    }
    "wasi:random/random" [] {
        value "get-random-bytes" = random::bytes;
        value "get-random-u64" = random::number;
    }
    "wasi:random/insecure" [] {
        value "get-insecure-random-bytes" = random::bytes;
        value "get-insecure-random-u64" = random::number;
    }
    "wasi:random/insecure-seed" [] {
        value "insecure-seed" = random::seed;
    }
    "wasi:cli/environment" [] {
        value "get-environment" = cli::environment;
        value "get-arguments" = cli::arguments;
        value "initial-cwd" = cli::initial_cwd;
    }
    "wasi:cli/exit" [] {
        unit "exit" = cli::exit;
        unit "exit-with-code" = cli::exit_with_code;
    }
    "wasi:cli/stdin" [] {
        value "get-stdin" = cli::stdin;
    }
    "wasi:cli/stdout" [] {
        value "get-stdout" = cli::stdout;
    }
    "wasi:cli/stderr" [] {
        value "get-stderr" = cli::stderr;
    }
    "wasi:cli/terminal-input" ["terminal-input": cli::TerminalInput] {
    }
    "wasi:cli/terminal-output" ["terminal-output": cli::TerminalOutput] {
    }
    "wasi:cli/terminal-stdin" [] {
        value "get-terminal-stdin" = cli::terminal_stdin;
    }
    "wasi:cli/terminal-stdout" [] {
        value "get-terminal-stdout" = cli::terminal_stdout;
    }
    "wasi:cli/terminal-stderr" [] {
        value "get-terminal-stderr" = cli::terminal_stderr;
    }
    "wasi:filesystem/types" ["descriptor": Descriptor, "directory-entry-stream": DirectoryEntries] {
        file "[method]descriptor.read-via-stream" = filesystem::read_via_stream;
        file "[method]descriptor.write-via-stream" = filesystem::write_via_stream;
        file "[method]descriptor.append-via-stream" = filesystem::append_via_stream;
        file "[method]descriptor.advise" = filesystem::advise;
        file "[method]descriptor.sync-data" = filesystem::sync_data;
        file "[method]descriptor.get-flags" = filesystem::get_flags;
        file "[method]descriptor.get-type" = filesystem::get_type;
        file "[method]descriptor.set-size" = filesystem::set_size;
        file "[method]descriptor.set-times" = filesystem::set_times;
        file "[method]descriptor.read" = filesystem::read;
        file "[method]descriptor.write" = filesystem::write;
        file "[method]descriptor.read-directory" = filesystem::read_directory;
        file "[method]descriptor.sync" = filesystem::sync;
        file "[method]descriptor.create-directory-at" = filesystem::create_directory_at;
        file "[method]descriptor.stat" = filesystem::stat;
        file "[method]descriptor.stat-at" = filesystem::stat_at;
        file "[method]descriptor.set-times-at" = filesystem::set_times_at;
        file "[method]descriptor.link-at" = filesystem::link_at;
        file "[method]descriptor.open-at" = filesystem::open_at;
        file "[method]descriptor.readlink-at" = filesystem::readlink_at;
        file "[method]descriptor.remove-directory-at" = filesystem::remove_directory_at;
        file "[method]descriptor.rename-at" = filesystem::rename_at;
        file "[method]descriptor.symlink-at" = filesystem::symlink_at;
        file "[method]descriptor.unlink-file-at" = filesystem::unlink_file_at;
        value "[method]descriptor.is-same-object" = filesystem::is_same_object;
        file "[method]descriptor.metadata-hash" = filesystem::metadata_hash;
        file "[method]descriptor.metadata-hash-at" = filesystem::metadata_hash_at;
        file "[method]directory-entry-stream.read-directory-entry" = filesystem::read_directory_entry;
        value "filesystem-error-code" = filesystem::error_code;
    }
    "wasi:filesystem/preopens" [] {
        value "get-directories" = filesystem::get_directories;
    }
    "wasi:sockets/network" ["network": sockets::Network] {
        value "network-error-code" = sockets::network_error_code;
    }
    "wasi:sockets/instance-network" [] {
        value "instance-network" = sockets::instance_network;
    }
    "wasi:sockets/ip-name-lookup" ["resolve-address-stream": Lookup] {
        socket "resolve-addresses" = sockets::resolve_addresses;
        socket "[method]resolve-address-stream.resolve-next-address" = sockets::resolve_next_address;
        value "[method]resolve-address-stream.subscribe" = sockets::subscribe_lookup;
    }
    "wasi:sockets/tcp" ["tcp-socket": Arc<TcpSocket>] {
        socket "[method]tcp-socket.start-bind" = sockets::tcp::start_bind;
        socket "[method]tcp-socket.finish-bind" = sockets::tcp::finish_bind;
        socket "[method]tcp-socket.start-connect" = sockets::tcp::start_connect;
        socket "[method]tcp-socket.finish-connect" = sockets::tcp::finish_connect;
        socket "[method]tcp-socket.start-listen" = sockets::tcp::start_listen;
        socket "[method]tcp-socket.finish-listen" = sockets::tcp::finish_listen;
        socket "[method]tcp-socket.accept" = sockets::tcp::accept;
        socket "[method]tcp-socket.local-address" = sockets::tcp::local_address;
        socket "[method]tcp-socket.remote-address" = sockets::tcp::remote_address;
        value "[method]tcp-socket.is-listening" = sockets::tcp::is_listening;
        value "[method]tcp-socket.address-family" = sockets::tcp::address_family;
        socket "[method]tcp-socket.set-listen-backlog-size" = sockets::tcp::set_listen_backlog_size;
        socket "[method]tcp-socket.keep-alive-enabled" = sockets::tcp::keep_alive_enabled;
        socket "[method]tcp-socket.set-keep-alive-enabled" = sockets::tcp::set_keep_alive_enabled;
        socket "[method]tcp-socket.keep-alive-idle-time" = sockets::tcp::keep_alive_idle_time;
        socket "[method]tcp-socket.set-keep-alive-idle-time" = sockets::tcp::set_keep_alive_idle_time;
        socket "[method]tcp-socket.keep-alive-interval" = sockets::tcp::keep_alive_interval;
        socket "[method]tcp-socket.set-keep-alive-interval" = sockets::tcp::set_keep_alive_interval;
        socket "[method]tcp-socket.keep-alive-count" = sockets::tcp::keep_alive_count;
        socket "[method]tcp-socket.set-keep-alive-count" = sockets::tcp::set_keep_alive_count;
        socket "[method]tcp-socket.hop-limit" = sockets::tcp::hop_limit;
        socket "[method]tcp-socket.set-hop-limit" = sockets::tcp::set_hop_limit;
        socket "[method]tcp-socket.receive-buffer-size" = sockets::tcp::receive_buffer_size;
        socket "[method]tcp-socket.set-receive-buffer-size" = sockets::tcp::set_receive_buffer_size;
        socket "[method]tcp-socket.send-buffer-size" = sockets::tcp::send_buffer_size;
        socket "[method]tcp-socket.set-send-buffer-size" = sockets::tcp::set_send_buffer_size;
        value "[method]tcp-socket.subscribe" = sockets::tcp::subscribe;
        socket "[method]tcp-socket.shutdown" = sockets::tcp::shutdown;
    }
    "wasi:sockets/tcp-create-socket" [] {
        socket "create-tcp-socket" = sockets::tcp::create;
    }
    "wasi:sockets/udp" [
        "udp-socket": Arc<UdpSocket>,
        "incoming-datagram-stream": IncomingDatagrams,
        "outgoing-datagram-stream": sockets::udp::Outgoing
    ] {
        socket "[method]udp-socket.start-bind" = sockets::udp::start_bind;
        socket "[method]udp-socket.finish-bind" = sockets::udp::finish_bind;
        socket "[method]udp-socket.stream" = sockets::udp::stream;
        socket "[method]udp-socket.local-address" = sockets::udp::local_address;
        socket "[method]udp-socket.remote-address" = sockets::udp::remote_address;
        value "[method]udp-socket.address-family" = sockets::udp::address_family;
        socket "[method]udp-socket.unicast-hop-limit" = sockets::udp::unicast_hop_limit;
        socket "[method]udp-socket.set-unicast-hop-limit" = sockets::udp::set_unicast_hop_limit;
        socket "[method]udp-socket.receive-buffer-size" = sockets::udp::receive_buffer_size;
        socket "[method]udp-socket.set-receive-buffer-size" = sockets::udp::set_receive_buffer_size;
        socket "[method]udp-socket.send-buffer-size" = sockets::udp::send_buffer_size;
        socket "[method]udp-socket.set-send-buffer-size" = sockets::udp::set_send_buffer_size;
        value "[method]udp-socket.subscribe" = sockets::udp::subscribe;
        socket "[method]incoming-datagram-stream.receive" = sockets::udp::receive;
        value "[method]incoming-datagram-stream.subscribe" = sockets::udp::subscribe_incoming;
        socket "[method]outgoing-datagram-stream.check-send" = sockets::udp::check_send;
        socket "[method]outgoing-datagram-stream.send" = sockets::udp::send;
        value "[method]outgoing-datagram-stream.subscribe" = sockets::udp::subscribe_outgoing;
    }
    "wasi:sockets/udp-create-socket" [] {
        socket "create-udp-socket" = sockets::udp::create;
    }
}

#[cfg(feature = "http")]
interfaces! {
    HTTP, define_http;
    "wasi:http/types" [
        "fields": Fields, "incoming-request": IncomingRequest, "outgoing-request": OutgoingRequest,
        "request-options": RequestOptions, "response-outparam": ResponseOutparam, "incoming-response": IncomingResponse,
        "incoming-body": IncomingBody, "future-trailers": FutureTrailers, "outgoing-response": OutgoingResponse,
        "outgoing-body": OutgoingBody, "future-incoming-response": FutureResponse
    ] {
        value "[constructor]fields" = http::new_fields;
        value "[static]fields.from-list" = http::fields_from_list;
        value "[method]fields.get" = http::fields_get;
        value "[method]fields.has" = http::fields_has;
        value "[method]fields.set" = http::fields_set;
        value "[method]fields.delete" = http::fields_delete;
        value "[method]fields.append" = http::fields_append;
        value "[method]fields.entries" = http::fields_entries;
        value "[method]fields.clone" = http::fields_clone;
        value "[method]incoming-request.method" = http::incoming_request_method;
        value "[method]incoming-request.path-with-query" = http::incoming_request_path;
        value "[method]incoming-request.scheme" = http::incoming_request_scheme;
        value "[method]incoming-request.authority" = http::incoming_request_authority;
        value "[method]incoming-request.headers" = http::incoming_request_headers;
        value "[method]incoming-request.consume" = http::incoming_request_consume;
        value "[constructor]outgoing-request" = http::new_outgoing_request;
        value "[method]outgoing-request.body" = http::outgoing_request_body;
        value "[method]outgoing-request.method" = http::outgoing_request_method;
        value "[method]outgoing-request.set-method" = http::outgoing_request_set_method;
        value "[method]outgoing-request.path-with-query" = http::outgoing_request_path;
        value "[method]outgoing-request.set-path-with-query" = http::outgoing_request_set_path;
        value "[method]outgoing-request.scheme" = http::outgoing_request_scheme;
        value "[method]outgoing-request.set-scheme" = http::outgoing_request_set_scheme;
        value "[method]outgoing-request.authority" = http::outgoing_request_authority;
        value "[method]outgoing-request.set-authority" = http::outgoing_request_set_authority;
        value "[method]outgoing-request.headers" = http::outgoing_request_headers;
        value "[constructor]request-options" = http::new_request_options;
        value "[method]request-options.connect-timeout" = http::connect_timeout;
        value "[method]request-options.set-connect-timeout" = http::set_connect_timeout;
        value "[method]request-options.first-byte-timeout" = http::first_byte_timeout;
        value "[method]request-options.set-first-byte-timeout" = http::set_first_byte_timeout;
        value "[method]request-options.between-bytes-timeout" = http::between_bytes_timeout;
        value "[method]request-options.set-between-bytes-timeout" = http::set_between_bytes_timeout;
        value "[method]response-outparam.send-informational" = http::send_informational;
        unit "[static]response-outparam.set" = http::set_response;
        value "[method]incoming-response.status" = http::incoming_response_status;
        value "[method]incoming-response.headers" = http::incoming_response_headers;
        value "[method]incoming-response.consume" = http::incoming_response_consume;
        value "[method]incoming-body.stream" = http::incoming_body_stream;
        value "[static]incoming-body.finish" = http::incoming_body_finish;
        value "[method]future-trailers.subscribe" = http::subscribe_trailers;
        value "[method]future-trailers.get" = http::get_trailers;
        value "[constructor]outgoing-response" = http::new_outgoing_response;
        value "[method]outgoing-response.status-code" = http::outgoing_response_status;
        value "[method]outgoing-response.set-status-code" = http::outgoing_response_set_status;
        value "[method]outgoing-response.headers" = http::outgoing_response_headers;
        value "[method]outgoing-response.body" = http::outgoing_response_body;
        value "[method]outgoing-body.write" = http::outgoing_body_write;
        value "[static]outgoing-body.finish" = http::outgoing_body_finish;
        value "[method]future-incoming-response.subscribe" = http::subscribe_response;
        value "[method]future-incoming-response.get" = http::get_response;
        value "http-error-code" = http::error_code;
    }
    "wasi:http/outgoing-handler" [] {
        value "handle" = http::handle;
    }
}

#[cfg(not(feature = "http"))]
interfaces! {
    HTTP, define_http;
}

/// Defines all interfaces.
///
/// # Errors
///
/// The linker has one of the names already.
pub fn add_to_linker<T: 'static>(linker: &mut Linker<T>, get: fn(&mut T) -> &mut WasiCtx) -> Result<(), LinkError> {
    define_plain(&mut Face::new(linker, get))?;
    define_http(&mut Face::new(linker, get))
}
