//! Standard output.
//!
//! Invariant: a reader that has seen enough (`| head`) ends the command's output, not the command.
//!
//! Does not know: what is printed.

use crate::failure::Failure;
use std::io::{ErrorKind, Write};

/// Prints a text.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
