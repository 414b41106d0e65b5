//! Cases in a process of their own: what kills or hangs it is an outcome like any other.
//!
//! The process is this binary again, told to serve; it reads envelopes, each behind its length, and answers a line of JSON
//! per case. It lives as long as its cases let it.
//!
//! Invariant: [`Isolated::run`] ends, whatever the case does.
//!
//! Does not know: what is checked.

use crate::campaign::{MUTANT_VARIABLE, describe};
use crate::envelope::Envelope;
use crate::targets::{Outcome, Targets};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A case may take this long.
const CASE_MAX: Duration = Duration::from_secs(20);

/// The hidden flag by which this binary serves.
pub const SERVE_FLAG: &str = "--serve-cases";

/// Largest case.
const CASE_BYTES_MAX: u32 = 64 << 20;

/// Serves cases until the input ends.
///
/// # Errors
///
/// When the pipe breaks.
pub fn serve(input: &mut dyn Read, output: &mut dyn Write) -> io::Result<()> {
    let mut targets = Targets::default();
    loop {
        let mut length = [0; 4];
        match input.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        let length = u32::from_le_bytes(length).min(CASE_BYTES_MAX);
        let mut bytes = vec![0; length as usize];
        input.read_exact(&mut bytes)?;
        let outcome = Envelope::parse(&bytes).and_then(|case| targets.run(&case));
        writeln!(output, "{}", serde_json::to_string(&outcome)?)?;
        output.flush()?;
    }
}

struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

/// The other end.
#[derive(Default)]
pub struct Isolated {
    /// The planted fault of the process.
    mutant: Option<String>,
    process: Option<Process>,
}

impl Isolated {
    /// Starts a process on first use.
    pub fn new(mutant: Option<String>) -> Isolated {
        Isolated { mutant, process: None }
    }

    fn start(&self) -> io::Result<Process> {
        let mut command = Command::new(std::env::current_exe()?);
        if let Some(mutant) = &self.mutant {
            command.env(MUTANT_VARIABLE, mutant);
        }
        let mut child =
            command.arg(SERVE_FLAG).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Process { child, input, lines })
    }

    /// Runs a case; death and silence of the process are disagreements.
    pub fn run(&mut self, case: &Envelope) -> Outcome {
        match self.try_run(case) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::failed("process", error.to_string()),
        }
    }

    fn try_run(&mut self, case: &Envelope) -> io::Result<Outcome> {
        let mut process = match self.process.take() {
            Some(process) => process,
            None => self.start()?,
        };
        let bytes = case.to_bytes();
        // A process that died while idle does not take the case: what it says is asked below.
        let _ = process.input.write_all(&(bytes.len() as u32).to_le_bytes());
        let _ = process.input.write_all(&bytes).and_then(|()| process.input.flush());
        match process.lines.recv_timeout(CASE_MAX) {
            Ok(line) => {
                let outcome: Option<Outcome> = serde_json::from_str(&line)?;
                self.process = Some(process);
                Ok(outcome.unwrap_or_default())
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                let status = process.child.wait()?;
                Ok(Outcome::failed("process", describe(status)))
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                // It may have ended by itself meanwhile.
                let _ = process.child.kill();
                process.child.wait()?;
                Ok(Outcome::failed("process", "hangs"))
            }
        }
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself meanwhile.
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}
