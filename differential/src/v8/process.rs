//! A driver process and its frames.
//!
//! One process answers many frames, each with many cases. It is given a limit of time per frame: one that does not answer in
//! time, or ends, is replaced with the next frame, and who asked is told which of the two it was.
//!
//! A frame is its length, the length of its JSON text, the JSON, and bytes that the JSON points to; lengths are 32 bits in
//! little-endian order, and the first counts everything behind itself.
//!
//! Invariant: no process outlives its [`Driver`], and nothing waits for one without limit.
//!
//! Does not know: what is asked and answered.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Most bytes of one frame.
const FRAME_BYTES_MAX: usize = 1 << 29;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Not in time.
    Hung,
    /// The process ended, or wrote something else.
    Died,
}

/// An answer: its JSON text, and the bytes behind it.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) json: Vec<u8>,
    pub(super) blobs: Vec<u8>,
}

/// A program that answers frames, started when it is needed.
#[derive(Debug)]
pub(super) struct Driver {
    program: PathBuf,
    args: Vec<String>,
    limit: Duration,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    input: ChildStdin,
    answers: Receiver<io::Result<Frame>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Driver {
    /// The program with these arguments, each frame to be answered within `limit`.
    pub(super) fn new(program: &Path, args: Vec<String>, limit: Duration) -> Driver {
        Driver { program: program.to_owned(), args, limit, process: None }
    }

    /// Makes sure that there is a process; what a new one says first is given to `greet`.
    pub(super) fn start(&mut self, greet: impl FnOnce(Frame)) -> Result<(), Failure> {
        if self.process.is_some() {
            return Ok(());
        }
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|_| Failure::Died)?;
        let (Some(input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Failure::Died);
        };
        let (sender, answers) = channel();
        let reading = std::thread::Builder::new().name("answers".into()).spawn(move || read_all(&mut output, &sender));
        let process = self.process.insert(Process { child, input, answers });
        if reading.is_err() {
            self.process = None;
            return Err(Failure::Died);
        }
        let greeting = process.answer(self.limit);
        match greeting {
            Ok(frame) => {
                greet(frame);
                Ok(())
            }
            Err(failure) => {
                self.process = None;
                Err(failure)
            }
        }
    }

    /// Sends a frame and waits for the answer.
    pub(super) fn ask(&mut self, json: &[u8], blobs: &[u8]) -> Result<Frame, Failure> {
        self.start(|_| ())?;
        let process = self.process.as_mut().ok_or(Failure::Died)?;
        let answer = process.send(json, blobs).map_err(|_| Failure::Died).and_then(|()| process.answer(self.limit));
        if answer.is_err() {
            self.process = None;
        }
        answer
    }
}

impl Process {
    fn send(&mut self, json: &[u8], blobs: &[u8]) -> io::Result<()> {
        let length = |length: usize| u32::try_from(length).map_err(io::Error::other);
        self.input.write_all(&length(4 + json.len() + blobs.len())?.to_le_bytes())?;
        self.input.write_all(&length(json.len())?.to_le_bytes())?;
        self.input.write_all(json)?;
        self.input.write_all(blobs)?;
        self.input.flush()
    }

    fn answer(&mut self, limit: Duration) -> Result<Frame, Failure> {
        match self.answers.recv_timeout(limit) {
            Ok(Ok(frame)) => Ok(frame),
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => Err(Failure::Died),
            Err(RecvTimeoutError::Timeout) => Err(Failure::Hung),
        }
    }
}

/// Hands on frames until there are no more, or nobody listens.
fn read_all(output: &mut ChildStdout, sender: &Sender<io::Result<Frame>>) {
    loop {
        let frame = read(output);
        let ended = frame.is_err();
        if sender.send(frame).is_err() || ended {
            return;
        }
    }
}

fn read(output: &mut impl Read) -> io::Result<Frame> {
    let mut word = [0; 4];
    output.read_exact(&mut word)?;
    let length = u32::from_le_bytes(word) as usize;
    if !(4..=FRAME_BYTES_MAX).contains(&length) {
        return Err(io::Error::other("no frame"));
    }
    let mut all = vec![0; length];
    output.read_exact(&mut all)?;
    let (head, rest) = all.split_at(4);
    let json = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let (json, blobs) = rest.split_at_checked(json).ok_or_else(|| io::Error::other("no frame"))?;
    Ok(Frame { json: json.to_vec(), blobs: blobs.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of one question to a shell that runs `script`.
    fn check(script: &str, expected: Result<&str, Failure>) {
        let args = vec!["-c".to_owned(), script.to_owned()];
        // Short only where it is to run out.
        let limit = Duration::from_millis(if expected == Err(Failure::Hung) { 200 } else { 60_000 });
        let mut driver = Driver::new(Path::new("/bin/sh"), args, limit);
        let answer = driver.ask(b"{}", b"xyz").map(|frame| String::from_utf8_lossy(&frame.json).into_owned());
        assert_eq!(answer.as_deref().map_err(|failure| *failure), expected, "{script}");
        assert_eq!(driver.process.is_some(), expected.is_ok(), "{script}");
    }

    #[test]
    fn processes_that_hang_or_die_are_told_apart() {
        // A greeting, and one answer.
        let hello = r"printf '\005\000\000\000\001\000\000\000a'";
        check(&format!("{hello}; {hello}; cat > /dev/null"), Ok("a"));
        check("exit 3", Err(Failure::Died));
        check(&format!("{hello}; exit 0"), Err(Failure::Died));
        check(&format!("{hello}; echo nonsense"), Err(Failure::Died));
        // The shell keeps its output open while it waits.
        check("cat > /dev/null; exit", Err(Failure::Hung));
        check(&format!("{hello}; cat > /dev/null; exit"), Err(Failure::Hung));
    }
}
