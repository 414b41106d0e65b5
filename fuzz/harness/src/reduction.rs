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
use crate::minimize::{minimize_script, operations_of_script};
use crate::patience::{Budget, Patience};
use crate::targets::{self, Targets};
use crate::{panics, regression, witness};
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
    let what = found.map(|(found, _)| format!("{}: {}", found.subject, found.what)).unwrap_or_default();
    let operations = regression::operations(&small);
    if let Some(file) = script(&small, &what, place, folder, name)? {
        return Ok(Reduction { case: small, operations, what, file, is_script: true, used: budget.used() });
    }
    let file = folder.join(format!("{name}.case"));
    std::fs::write(&file, small.to_bytes())?;
    Ok(Reduction { case: small, operations, what, file, is_script: false, used: budget.used() })
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
    let mut accepts = |body: &str| {
        // The reference in this process: a text that is no script fails there.
        std::fs::write(&file, whole(body)).is_ok()
            && panics::record(|| witness::passes_on_reference(&file)) == Ok(Ok(true))
            && fails(&file, place).unwrap_or(false)
            && (place.mutant.is_none() || !fails(&file, Place { mutant: None, ..place }).unwrap_or(true))
    };
    let Some(body) = minimize_script(&text, &|| budget.is_over(), &mut accepts) else { return Ok(None) };
    std::fs::write(&file, whole(&body))?;
    let operations = operations_of_script(&body);
    let (what, used) = (what.to_owned(), budget.used());
    Ok(Some(Reduction { case: case.clone(), operations, what, file, is_script: true, used }))
}

/// The script that shows the failure of a case, if one does.
fn script(case: &Envelope, what: &str, place: Place<'_>, folder: &Path, name: &str) -> io::Result<Option<PathBuf>> {
    let file = folder.join(format!("{name}.wast"));
    let scripts = regression::scripts(case, what);
    let mut failing = Vec::new();
    for script in &scripts {
        std::fs::write(&file, &script.text)?;
        // What this process, which has no fault, cannot run on the reference is no script of this case.
        let shows = panics::record(|| witness::passes_on_reference(&file)) == Ok(Ok(true)) && fails(&file, place)?;
        if shows && place.mutant.is_some() && !fails(&file, Place { mutant: None, ..place })? {
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
    fails(file, place)
}

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
