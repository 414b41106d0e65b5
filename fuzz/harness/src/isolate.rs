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
use crate::patience::{Patience, cpu_ms};
use crate::targets::{Outcome, Targets};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// A case may take this much processor time.
const CASE_MAX: Duration = Duration::from_secs(5);

/// What is said of a process that does not answer.
pub const HANGS: &str = "hangs";

/// Time between looks at what a silent process uses.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The hidden flag by which this binary serves.
pub const SERVE_FLAG: &str = "--serve-cases";

/// The hidden flag by which an option is left out of every configuration.
pub const LEAVE_OUT_FLAG: &str = "--leave-out";

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

/// The program that runs cases: this one, unless another build is named.
///
/// # Errors
///
/// When this program's own file cannot be found.
pub fn program(other: Option<&Path>) -> io::Result<PathBuf> {
    match other {
        Some(other) => Ok(other.to_owned()),
        None => std::env::current_exe(),
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
    /// Another build of this program, if cases run in that.
    program: Option<PathBuf>,
    /// The option that its configurations do without.
    left_out: Option<String>,
    process: Option<Process>,
}

impl Isolated {
    /// Starts a process on first use.
    pub fn new(mutant: Option<String>) -> Isolated {
        Isolated { mutant, program: None, left_out: None, process: None }
    }

    /// The same in another build of this program: one with planted faults, or an older one.
    #[must_use]
    pub fn in_program(mut self, program: Option<&Path>) -> Isolated {
        self.program = program.map(Path::to_owned);
        self
    }

    /// The same without an option in any configuration; `""` leaves out none.
    #[must_use]
    pub fn without(mut self, key: &str) -> Isolated {
        self.left_out = Some(key.to_owned());
        self
    }

    fn start(&self) -> io::Result<Process> {
        let mut command = Command::new(program(self.program.as_deref())?);
        if let Some(mutant) = &self.mutant {
            command.env(MUTANT_VARIABLE, mutant);
        }
        if let Some(key) = &self.left_out {
            command.args([LEAVE_OUT_FLAG, key]);
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

    /// Ends the process: the next case gets one that has run nothing.
    pub fn renew(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself meanwhile.
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }

    /// Processor time so far of the process that runs cases now, in milliseconds.
    pub fn cpu_ms(&self) -> u64 {
        self.process.as_ref().map_or(0, |process| cpu_ms(&process.child.id().to_string()))
    }

    /// Runs a case; death and silence of the process are disagreements.
    pub fn run(&mut self, case: &Envelope) -> Outcome {
        match self.ask(case) {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Outcome::failed("harness", format!("there is no target {}", case.target)),
            Err(error) => Outcome::failed("process", error.to_string()),
        }
    }

    /// The same; nothing where the process knows no such target.
    ///
    /// # Errors
    ///
    /// When there is no process to ask, or it does not answer in this program's words.
    pub fn ask(&mut self, case: &Envelope) -> io::Result<Option<Outcome>> {
        let mut process = match self.process.take() {
            Some(process) => process,
            None => self.start()?,
        };
        let bytes = case.to_bytes();
        // A process that died while idle does not take the case: what it says is asked below.
        let _ = process.input.write_all(&(bytes.len() as u32).to_le_bytes());
        let _ = process.input.write_all(&bytes).and_then(|()| process.input.flush());
        match wait(&process) {
            Ok(line) => {
                let outcome: Option<Outcome> = serde_json::from_str(&line)?;
                self.process = Some(process);
                Ok(outcome)
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = process.child.wait()?;
                Ok(Some(Outcome::failed("process", describe(status))))
            }
            Err(RecvTimeoutError::Timeout) => {
                // It may have ended by itself meanwhile.
                let _ = process.child.kill();
                process.child.wait()?;
                Ok(Some(Outcome::failed("process", HANGS)))
            }
        }
    }
}

/// The next line of a process that is not out of patience.
fn wait(process: &Process) -> Result<String, RecvTimeoutError> {
    let mut patience = Patience::new(process.child.id());
    loop {
        match process.lines.recv_timeout(LOOK_EVERY) {
            Err(RecvTimeoutError::Timeout) if !patience.is_over(CASE_MAX) => {}
            other => return other,
        }
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        self.renew();
    }
}
