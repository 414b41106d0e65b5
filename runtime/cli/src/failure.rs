//! What a command ends in when it does not succeed.
//!
//! Invariant: a message says what was wrong and, where there is something, what to do next; statuses are 2 for a wrong
//! command line, 134 for a trap or an exception that nothing caught, 1 for everything else.
//!
//! Does not know: how failures come about.

use crate::dwarf::Place;
use crate::output::printable;
use crate::sources::Sources;
use std::fmt::Display;
use std::process::ExitCode;
use wattest::{Backtrace, Error, FailedAccess, FailedElement, Frame, TrapCode};

/// Status after a trap or an uncaught exception: what a shell shows for an aborted process.
const STATUS_TRAP: u8 = 134;
/// Status after a wrong command line.
const STATUS_USAGE: u8 = 2;

/// What to do about a trap, where it is not the program's own fault.
const HINTS: &[(TrapCode, &str)] = &[
    (TrapCode::OutOfFuel, "\nthe limit of --fuel is reached: give more, or leave it out"),
    (TrapCode::Interrupted, "\nthe limit of --timeout is reached: give more, or leave it out"),
    (TrapCode::StackOverflow, "\n--opt max-wasm-stack=SIZE gives more stack, if this is no endless recursion"),
];

/// The end of a command that failed.
#[derive(Debug)]
pub struct Failure {
    message: String,
    status: u8,
}

impl Failure {
    /// A failure with status 1.
    pub fn new(message: impl Display) -> Failure {
        Failure { message: message.to_string(), status: 1 }
    }

    /// A wrong command line.
    pub fn usage(message: impl Display) -> Failure {
        Failure { message: message.to_string(), status: STATUS_USAGE }
    }

    /// Several failures as one.
    pub fn all(failures: &[Failure]) -> Failure {
        let messages: Vec<_> = failures.iter().map(|failure| failure.message.as_str()).collect();
        Failure::new(messages.join("\nerror: "))
    }

    /// What running a guest ended in.
    pub fn run(error: &Error, sources: &Sources) -> Failure {
        match error {
            Error::Trap(trap) => {
                let hint = HINTS.iter().find(|(code, _)| *code == trap.code()).map_or("", |(_, hint)| hint);
                let element = || trap.failed_element().map_or_else(String::new, describe_element);
                let access = trap.failed_access().map_or_else(element, describe_access);
                let what = format!("wasm trap: {} [{}]{access}{hint}", trap.code().text(), trap.code().name());
                Failure { message: describe(what, trap.backtrace(), sources), status: STATUS_TRAP }
            }
            Error::Exception(thrown) => {
                Failure { message: describe(thrown.to_string(), thrown.backtrace(), sources), status: STATUS_TRAP }
            }
            Error::Host(error) => Failure::new(describe(error.error().to_string(), error.backtrace(), sources)),
            other => Failure::new(other),
        }
    }

    /// The message.
    #[cfg(feature = "http")]
    pub fn text(&self) -> &str {
        &self.message
    }

    /// Prints the message; the status to end with.
    pub fn report(&self) -> ExitCode {
        self.print();
        ExitCode::from(self.status)
    }

    /// Prints the message.
    pub fn print(&self) {
        eprintln!("error: {}", self.message);
    }
}

/// Most frames that are printed.
const FRAMES_MAX: usize = 16;

/// Which access of which memory was out of bounds.
fn describe_access(access: &FailedAccess) -> String {
    const PAGE_BYTES: u64 = 64 << 10;
    let FailedAccess { address, memory_bytes, .. } = access;
    let size = match memory_bytes {
        0 => "an empty memory".to_owned(),
        bytes if bytes % PAGE_BYTES == 0 => {
            format!("a memory of {bytes:#x} bytes ({} page(s) of 64 KiB)", bytes / PAGE_BYTES)
        }
        bytes => format!("a memory of {bytes:#x} bytes"),
    };
    match access.bytes {
        None => format!("\nthe access reached address {address:#x} of {size}"),
        Some(bytes) => format!("\nthe operation wanted {bytes:#x} bytes at address {address:#x} of {size}"),
    }
}

/// Which access of which table was out of bounds.
fn describe_element(element: &FailedElement) -> String {
    let FailedElement { index, count, table_elements } = element;
    let size = if *table_elements == 0 { "an empty table".to_owned() } else { format!("a table of {table_elements}") };
    match count {
        None => format!("\nthe access reached element {index} of {size}"),
        Some(count) => format!("\nthe operation wanted {count} element(s) from {index} on, of {size}"),
    }
}

/// What happened, and where: innermost frame first, frames that repeat once.
fn describe(mut text: String, backtrace: &Backtrace, sources: &Sources) -> String {
    let frames = backtrace.frames();
    if !frames.is_empty() {
        text.push_str("\nwasm backtrace, innermost frame first:");
    }
    let runs: Vec<_> = frames.chunk_by(|one, next| one == next).collect();
    let shown: Vec<_> = runs.iter().take(FRAMES_MAX).map(|run| run[0].clone()).collect();
    for (run, places) in runs.iter().zip(sources.places(&shown)) {
        text.push_str(&describe_frame(&run[0], &places));
        if run.len() > 1 {
            text.push_str(&format!(" (and {} more like it)", run.len() - 1));
        }
    }
    if runs.len() > FRAMES_MAX {
        text.push_str("\n  …");
    }
    text
}

/// A frame; before it, the functions that were inlined into it at this place.
fn describe_frame(frame: &Frame, places: &[Place]) -> String {
    let offset = frame.wasm_offset.map_or_else(|| "?".to_owned(), |offset| format!("{offset:#x}"));
    let mut text = format!("\n  {offset:>10}  ");
    let (outer, inlined) = match places.split_last() {
        Some((outer, inlined)) => (Some(outer), inlined),
        None => (None, places),
    };
    for place in inlined {
        let name = printable(place.function.as_deref().unwrap_or("<unnamed>"));
        text.push_str(&format!("{name} at {}, inlined into\n{:14}", place.text(), ""));
    }
    let module = frame.module_name.as_deref().map_or_else(String::new, |module| format!("{}!", printable(module)));
    let debug_name = outer.and_then(|place| place.function.as_deref());
    let name = printable(frame.func_name.as_deref().or(debug_name).unwrap_or("<unnamed>"));
    text.push_str(&format!("{module}{name} (function {})", frame.func_index));
    let place = outer.map(Place::text).filter(|text| !text.is_empty());
    place.iter().for_each(|place| text.push_str(&format!(" at {place}")));
    text
}
