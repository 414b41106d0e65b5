//! A failing case made small and written down: as a script if one shows the failure, else as the case itself.
//!
//! What `cargo prove repro` does for one case and `cargo prove mutants --regressions` for the first of every planted fault.
//! A script counts only if it fails where the case failed, and nowhere else: on the definitional interpreter it must pass,
//! and, where the fault was planted, without it too.
//!
//! Invariant: everything that may die or hang is run in a process of its own.
//!
//! Does not know: how cases are made smaller, and how scripts are written.

use crate::campaign::{MUTANT_VARIABLE, describe};
use crate::envelope::Envelope;
use crate::isolate::{self, Isolated};
use crate::minimize::{minimize_script, operations_of_script};
use crate::patience::{Budget, Patience};
use crate::targets::{self, Targets};
use crate::{panics, regression, witness};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
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
    /// The step that disagrees, where it is one.
    pub step: Option<usize>,
    /// The script that shows it, or the reduced case as a file.
    pub file: PathBuf,
    /// Whether that is a script.
    pub is_script: bool,
    /// Processor time that it took.
    pub used: Duration,
}

/// Where cases run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    /// The planted fault that is on there.
    pub mutant: Option<&'a str>,
    /// Another build of this program.
    pub program: Option<&'a Path>,
}

/// Reduces a failing case in at most `time` of processor time and writes what is left to `folder`, as `name.wast` or `name.case`.
///
/// # Errors
///
/// When files cannot be written or processes not started.
pub fn reduce(case: &Envelope, place: Place<'_>, time: Duration, folder: &Path, name: &str) -> io::Result<Reduction> {
    let budget = Budget::new(time);
    if let Some(reduced) = reduce_script(case, place, &budget, folder, name)? {
        return Ok(reduced);
    }
    let mut isolated = Isolated::new(place.mutant.map(str::to_owned)).in_program(place.program);
    let mut small = Targets::default().minimize(case, &|| budget.is_over(), &mut |case| {
        let signature = isolated.run(case).signature();
        budget.note(isolated.cpu_ms());
        signature
    });
    isolated.renew();
    let mut found = isolated.run(&small).disagreement;
    if found.is_none() {
        // It needs what other cases left behind: memory that lies where none should be, for one.
        budget.note(0);
        small = Targets::default().minimize(case, &|| budget.is_over(), &mut |case| {
            isolated.renew();
            isolated.run(case).signature()
        });
        isolated.renew();
        found = isolated.run(&small).disagreement;
    }
    let step = found.as_ref().and_then(|(found, _)| found.step);
    let what = found.map(|(found, _)| format!("{}: {}", found.subject, found.what)).unwrap_or_default();
    let operations = regression::operations(&small);
    if let Some(file) = script(&small, &what, place, folder, name)? {
        return Ok(Reduction { case: small, operations, what, step, file, is_script: true, used: budget.used() });
    }
    let file = folder.join(format!("{name}.case"));
    std::fs::write(&file, small.to_bytes())?;
    Ok(Reduction { case: small, operations, what, step, file, is_script: false, used: budget.used() })
}

/// A case that is a file of a suite: its directives and their fields are what it is reduced to.
fn reduce_script(
    case: &Envelope,
    place: Place<'_>,
    budget: &Budget,
    folder: &Path,
    name: &str,
) -> io::Result<Option<Reduction>> {
    let Some(text) = targets::script_text(case) else { return Ok(None) };
    let file = folder.join(format!("{name}.wast"));
    let what = case.get("file").unwrap_or_default();
    let whole = |body: &str| regression::with_header(case, what, body).text;
    let ends = |file: &Path, place: Place<'_>, how: Replay| replay(file, place).is_ok_and(|ending| ending == how);
    let mut accepts = |body: &str| {
        // The reference in this process: a text that is no script fails there.
        std::fs::write(&file, whole(body)).is_ok()
            && panics::record(|| witness::passes_on_reference(&file)) == Ok(Ok(true))
            && ends(&file, place, Replay::Fails)
            && (place.mutant.is_none() || ends(&file, Place { mutant: None, ..place }, Replay::Passes))
    };
    let Some(body) = minimize_script(&text, &|| budget.is_over(), &mut accepts) else { return Ok(None) };
    std::fs::write(&file, whole(&body))?;
    let operations = operations_of_script(&body);
    let (what, used) = (what.to_owned(), budget.used());
    Ok(Some(Reduction { case: case.clone(), operations, what, step: None, file, is_script: true, used }))
}

/// The script that shows the failure of a case, if one does.
fn script(case: &Envelope, what: &str, place: Place<'_>, folder: &Path, name: &str) -> io::Result<Option<PathBuf>> {
    let file = folder.join(format!("{name}.wast"));
    let scripts = regression::scripts(case, what);
    let mut failing = Vec::new();
    for script in &scripts {
        std::fs::write(&file, &script.text)?;
        // What this process, which has no fault, cannot run on the reference is no script of this case.
        let shows = panics::record(|| witness::passes_on_reference(&file)) == Ok(Ok(true)) && replays(&file, place)?;
        if shows && place.mutant.is_some() && replay(&file, Place { mutant: None, ..place })? == Replay::Passes {
            return Ok(Some(file));
        }
        failing.extend(shows.then_some(script));
    }
    // Without a planted fault nobody knows which wording of a trap is right: all of them have to fail.
    if let Some(script) = failing.first().filter(|_| place.mutant.is_none() && failing.len() == scripts.len()) {
        std::fs::write(&file, &script.text)?;
        return Ok(Some(file));
    }
    if !scripts.is_empty() {
        // What does not show the failure is no regression, but somebody may want to know why.
        std::fs::rename(&file, folder.join(format!("{name}.silent.wast")))?;
    }
    Ok(None)
}

/// Processor time after which a script hangs, which is a failure.
const SCRIPT_MAX: Duration = Duration::from_secs(5);

/// Time between looks at what a silent process uses.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Whether a file that was written fails where the case did: a script or a stored case, run again by itself.
///
/// # Errors
///
/// When the process cannot be started.
pub fn replays(file: &Path, place: Place<'_>) -> io::Result<bool> {
    Ok(replay(file, place)? == Replay::Fails)
}

/// How a file ends that is run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replay {
    Passes,
    /// It says so, or it dies of a signal, or it hangs.
    Fails,
    /// It was not run: no case, no script, no such fault.
    Unusable,
}

/// The status of `repro --quiet` for a file that fails; any other but success is about the command, not about the file.
const FAILED: i32 = 1;

impl Replay {
    fn of(status: ExitStatus) -> Replay {
        match status.code() {
            Some(0) => Replay::Passes,
            // No code is a signal's.
            Some(FAILED) | None => Replay::Fails,
            Some(_) => Replay::Unusable,
        }
    }
}

/// Runs a file in the configuration of its header, and on the reference, in a process of its own.
fn replay(file: &Path, place: Place<'_>) -> io::Result<Replay> {
    let mut command = Command::new(isolate::program(place.program)?);
    command.arg("repro").arg(file).arg("--quiet").env(MUTANT_VARIABLE, place.mutant.unwrap_or_default());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    match wait(&mut child)?.1 {
        Some(status) => Ok(Replay::of(status)),
        None => Ok(Replay::Fails),
    }
}

/// What a process wrote until it ended, and why it did not end well, if it did not.
///
/// # Errors
///
/// When it cannot be waited for.
pub(crate) fn said_by(child: &mut Child) -> io::Result<(String, Option<String>)> {
    let (said, status) = wait(child)?;
    let why = match status {
        None => Some(isolate::HANGS.to_owned()),
        Some(status) => (!status.success()).then(|| describe(status)),
    };
    Ok((said, why))
}

/// The output of a process, and its status; none of the latter where it hangs, and is ended.
fn wait(child: &mut Child) -> io::Result<(String, Option<ExitStatus>)> {
    let mut patience = Patience::new(child.id());
    let Some(mut output) = child.stdout.take() else { return Err(io::Error::other("a pipe is missing")) };
    let (sender, said) = channel();
    // The end of the output is the end of the process.
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before it broke counts.
        let _ = output.read_to_end(&mut bytes);
        // Nobody may listen any more.
        let _ = sender.send(());
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let mut is_over = false;
    loop {
        match said.recv_timeout(LOOK_EVERY) {
            Err(RecvTimeoutError::Timeout) if !patience.is_over(SCRIPT_MAX) => {}
            Err(RecvTimeoutError::Timeout) if !is_over => {
                is_over = true;
                child.kill()?;
            }
            _ => break,
        }
    }
    let status = child.wait()?;
    Ok((reader.join().unwrap_or_default(), (!is_over).then_some(status)))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_failures_are_failures() {
        let check = |script: &str, expected: Replay| {
            let status = Command::new("sh").args(["-c", script]).status().expect("a shell");
            assert_eq!(Replay::of(status), expected, "{script}");
        };
        check("exit 0", Replay::Passes);
        check("exit 1", Replay::Fails);
        check("kill -ABRT $$", Replay::Fails);
        check("exit 2", Replay::Unusable);
        check("exit 101", Replay::Unusable);
    }
}
