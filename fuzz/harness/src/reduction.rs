//! A failing case made small and written down: as a script if one shows the failure, else as the case itself.
//!
//! What `cargo prove repro` does for one case and `cargo prove mutants --regressions` for the first of every planted fault.
//! A script counts only if it fails where the case failed, and nowhere else: on the definitional interpreter it must pass,
//! and, where the fault was planted, without it too.
//!
//! Invariant: everything that may die or hang is run in a process of its own.
//!
//! Does not know: how cases are made smaller, and how scripts are written.

use crate::campaign::MUTANT_VARIABLE;
use crate::envelope::Envelope;
use crate::isolate::{self, Isolated};
use crate::minimize::minimize;
use crate::patience::Patience;
use crate::regression;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// What is left of a case.
#[derive(Debug)]
pub struct Reduction {
    /// The reduced case.
    pub case: Envelope,
    /// Operations in its bodies.
    pub operations: usize,
    /// What is wrong in it.
    pub what: String,
    /// The script that shows it, or the reduced case as a file.
    pub file: PathBuf,
    /// Whether that is a script.
    pub is_script: bool,
}

/// Where cases run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    /// The planted fault that is on there.
    pub mutant: Option<&'a str>,
    /// Another build of this program.
    pub program: Option<&'a Path>,
}

/// Reduces a failing case in at most `time` and writes what is left to `folder`, as `name.wast` or `name.case`.
///
/// # Errors
///
/// When files cannot be written or processes not started.
pub fn reduce(case: &Envelope, place: Place<'_>, time: Duration, folder: &Path, name: &str) -> io::Result<Reduction> {
    let mut isolated = Isolated::new(place.mutant.map(str::to_owned)).in_program(place.program);
    let small = minimize(case, time, &mut |case| isolated.run(case).signature());
    let found = isolated.run(&small).disagreement;
    let what = found.map(|(found, _)| format!("{}: {}", found.subject, found.what)).unwrap_or_default();
    let operations = regression::operations(&small);
    if let Some(script) = regression::script(&small, &what) {
        let file = folder.join(format!("{name}.wast"));
        std::fs::write(&file, script.text)?;
        let shows = fails(&file, place)?;
        if shows && (place.mutant.is_none() || !fails(&file, Place { mutant: None, ..place })?) {
            return Ok(Reduction { case: small, operations, what, file, is_script: true });
        }
        // What does not show the failure is no regression, but somebody may want to know why.
        std::fs::rename(&file, folder.join(format!("{name}.silent.wast")))?;
    }
    let file = folder.join(format!("{name}.case"));
    std::fs::write(&file, small.to_bytes())?;
    Ok(Reduction { case: small, operations, what, file, is_script: false })
}

/// Processor time after which a script hangs, which is a failure.
const SCRIPT_MAX: Duration = Duration::from_secs(5);

/// Time between looks at what a silent process uses.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Whether a script fails in the configuration of its header, or on the reference, in a process of its own.
fn fails(file: &Path, place: Place<'_>) -> io::Result<bool> {
    let mut command = Command::new(isolate::program(place.program)?);
    command.arg("repro").arg(file).arg("--quiet").env(MUTANT_VARIABLE, place.mutant.unwrap_or_default());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let patience = Patience::new(child.id());
    let Some(output) = child.stdout.take() else { return Err(io::Error::other("a pipe is missing")) };
    let (sender, ended) = channel::<()>();
    // The end of the output is the end of the process: the sender goes with it.
    std::thread::spawn(move || {
        let read = io::read_to_string(output);
        drop((read, sender));
    });
    loop {
        match ended.recv_timeout(LOOK_EVERY) {
            Err(RecvTimeoutError::Timeout) if !patience.is_over(SCRIPT_MAX) => {}
            Err(RecvTimeoutError::Timeout) => {
                child.kill()?;
                child.wait()?;
                return Ok(true);
            }
            _ => return child.wait().map(|status| !status.success()),
        }
    }
}
