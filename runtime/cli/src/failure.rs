//! What a command ends in when it does not succeed.
//!
//! Invariant: a message says what was wrong and, where there is something, what to do next; statuses are 2 for a wrong
//! command line, 134 for a trap or an exception that nothing caught, 1 for everything else.
//!
//! Does not know: how failures come about.

use std::fmt::Display;
use std::process::ExitCode;
use wattest::{Backtrace, Error, Frame, TrapCode};

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
    pub fn run(error: &Error) -> Failure {
        match error {
            Error::Trap(trap) => {
                let hint = HINTS.iter().find(|(code, _)| *code == trap.code()).map_or("", |(_, hint)| hint);
                let what = format!("wasm trap: {} [{}]{hint}", trap.code().text(), trap.code().name());
                Failure { message: describe(what, trap.backtrace()), status: STATUS_TRAP }
            }
            Error::Exception(thrown) => {
                Failure { message: describe(thrown.to_string(), thrown.backtrace()), status: STATUS_TRAP }
            }
            other => Failure::new(other),
        }
    }

    /// Prints the message; the status to end with.
    pub fn report(&self) -> ExitCode {
        eprintln!("error: {}", self.message);
        ExitCode::from(self.status)
    }
}

/// Most frames that are printed.
const FRAMES_MAX: usize = 16;

/// What happened, and where: innermost frame first, frames that repeat once.
fn describe(mut text: String, backtrace: &Backtrace) -> String {
    let frames = backtrace.frames();
    if !frames.is_empty() {
        text.push_str("\nwasm backtrace, innermost frame first:");
    }
    for (position, run) in frames.chunk_by(|one, next| one == next).enumerate() {
        if position == FRAMES_MAX {
            text.push_str("\n  …");
            break;
        }
        text.push_str(&describe_frame(&run[0]));
        if run.len() > 1 {
            text.push_str(&format!(" (and {} more like it)", run.len() - 1));
        }
    }
    text
}

fn describe_frame(frame: &Frame) -> String {
    let offset = frame.wasm_offset.map_or_else(|| "?".to_owned(), |offset| format!("{offset:#x}"));
    let module = frame.module_name.as_deref().map_or_else(String::new, |module| format!("{module}!"));
    let name = frame.func_name.as_deref().unwrap_or("<unnamed>");
    format!("\n  {offset:>10}  {module}{name} (function {})", frame.func_index)
}
