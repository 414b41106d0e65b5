//! The seeded campaign: worker processes of this binary, their reports merged.
//!
//! A worker that dies by a signal, or that reports nothing for [`SILENCE_MAX`], is a disagreement that names its case; a new
//! worker goes on behind it.
//!
//! Invariant: case `k` of a campaign is the same whatever the number of workers.
//!
//! Does not know: how workers check, how results are shown.

use crate::diff_core;
use crate::patience::Patience;
use crate::source::case_seed;
use crate::stats::{Found, Stats};
use crate::targets::target_of;
use crate::vote::{Suspect, Vote};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// A worker that says nothing for this much processor time hangs.
pub const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Workers that die are replaced this often.
const REPLACEMENTS_MAX: u32 = 100;

/// What to run.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Its seed.
    pub seed: u64,
    /// How long.
    pub time: Duration,
    /// The only property, if not all of them.
    pub only: Option<String>,
    /// Worker processes.
    pub jobs: u64,
    /// Folder for progress files.
    pub folder: PathBuf,
    /// Processor time of all workers together after which they stop, if it is not `time` alone that counts.
    pub cpu: Option<Duration>,
    /// The planted fault that workers run with; needs a build that has them.
    pub mutant: Option<String>,
    /// What ends the campaign before its time.
    pub until: Until,
}

/// What ends a campaign before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Nothing.
    Over,
    /// A disagreement that nothing explains; where the oracle is outvoted, that is one of the oracle's.
    Unexplained,
    /// A disagreement of which the vote blames this side.
    Blamed(Suspect),
}

impl Until {
    /// The disagreement that ends the campaign.
    pub fn found(self, stats: &Stats) -> Option<&Found> {
        match self {
            Until::Over => None,
            Until::Unexplained => stats.disagreements.first(),
            Until::Blamed(suspect) => {
                let mut all = stats.disagreements.iter().chain(&stats.outvoted);
                all.find(|found| found.vote.suspect == suspect)
            }
        }
    }
}

/// Disagreements that a campaign keeps which waits for another one.
const KEPT_MAX: usize = 100;

/// Names the planted fault of a process.
pub const MUTANT_VARIABLE: &str = "WATTEST_MUTANT";

/// The subject's name in a report where nobody knows which side ended the process.
pub(crate) const PROCESS: &str = "process";

/// How long a vote in a process of its own may take.
const VOTE_MAX: Duration = Duration::from_secs(60);

enum Event {
    Line(u64, String),
    Closed(u64),
}

struct Worker {
    child: Child,
    progress: PathBuf,
    /// The first case it may have run.
    first: u64,
    patience: Patience,
}

/// The arguments behind the hidden `--worker` flag, in order: seed, first case, stride, milliseconds, progress file, the only
/// property (empty for all), milliseconds of processor time (empty for any).
pub fn worker_arguments(campaign: &Campaign, first: u64, time: Duration, progress: &Path) -> Vec<String> {
    vec![
        "--worker".into(),
        campaign.seed.to_string(),
        first.to_string(),
        campaign.jobs.to_string(),
        time.as_millis().to_string(),
        progress.display().to_string(),
        campaign.only.clone().unwrap_or_default(),
        campaign.cpu.map(|cpu| (cpu.as_millis() / u128::from(campaign.jobs.max(1))).to_string()).unwrap_or_default(),
    ]
}

impl Campaign {
    /// Runs the campaign; `progress` sees the counts so far, now and then.
    ///
    /// # Errors
    ///
    /// When workers cannot be started.
    pub fn run(&self, progress: &mut dyn FnMut(&Stats, Duration)) -> io::Result<Stats> {
        std::fs::create_dir_all(&self.folder)?;
        let start = Instant::now();
        let (sender, events) = channel();
        let mut workers = Vec::new();
        for job in 0..self.jobs {
            workers.push(Some(self.start(job, job, self.time, &sender)?));
        }
        let mut stats = Stats::default();
        let mut replacements = 0;
        while workers.iter().any(Option::is_some) {
            self.receive(&events, &mut workers, &mut stats)?;
            for job in 0..self.jobs {
                let slot = &mut workers[job as usize];
                let Some((reason, case)) = self.death(slot) else { continue };
                stats.disagreements.push(Found {
                    target: target_of(case, self.only.as_deref()).into(),
                    seed: case_seed(self.seed, case),
                    subject: PROCESS.into(),
                    what: reason,
                    vote: Vote { suspect: Suspect::Nobody, reference: "not asked".into() },
                    case: None,
                });
                stats.seeds += 1;
                replacements += 1;
                let left = self.time.saturating_sub(start.elapsed());
                *slot = if replacements < REPLACEMENTS_MAX && !left.is_zero() {
                    Some(self.start(job, case + self.jobs, left, &sender)?)
                } else {
                    None
                };
            }
            progress(&stats, start.elapsed());
            if self.until.found(&stats).is_some() {
                for worker in workers.iter_mut().flatten() {
                    // It may have ended by itself meanwhile.
                    let _ = worker.child.kill();
                    worker.child.wait()?;
                }
                return Ok(stats);
            }
            if matches!(self.until, Until::Blamed(_)) {
                stats.disagreements.truncate(KEPT_MAX);
                stats.outvoted.truncate(KEPT_MAX);
            }
        }
        for mut found in std::mem::take(&mut stats.disagreements) {
            if found.subject == PROCESS && found.target == diff_core::NAME {
                found.vote = ask(found.seed)?;
            }
            stats.add_found(found);
        }
        Ok(stats)
    }

    fn start(&self, job: u64, first: u64, time: Duration, sender: &Sender<Event>) -> io::Result<Worker> {
        let progress = self.folder.join(format!("worker-{job}.case"));
        let mut command = Command::new(std::env::current_exe()?);
        if let Some(mutant) = &self.mutant {
            command.env(MUTANT_VARIABLE, mutant);
        }
        let mut child = command
            .args(worker_arguments(self, first, time, &progress))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(stdout) = child.stdout.take() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                each_line(&mut BufReader::new(stdout), &mut |line| sender.send(Event::Line(job, line)).is_ok());
                // The campaign may be over: nobody to tell.
                let _ = sender.send(Event::Closed(job));
            });
        }
        let patience = Patience::new(child.id());
        Ok(Worker { child, progress, first, patience })
    }

    fn receive(&self, events: &Receiver<Event>, workers: &mut [Option<Worker>], stats: &mut Stats) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_millis(100);
        loop {
            match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::Line(job, line)) => {
                    if let Some(worker) = &mut workers[job as usize] {
                        worker.patience.heard();
                    }
                    stats.merge(report_of(&line)?);
                }
                Ok(Event::Closed(job)) => {
                    let slot = &mut workers[job as usize];
                    if let Some(worker) = slot
                        && worker.child.wait().is_ok_and(|status| status.success())
                    {
                        *slot = None;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Whether a worker died or hangs: why, and in which case.
    fn death(&self, slot: &mut Option<Worker>) -> Option<(String, u64)> {
        let worker = slot.as_mut()?;
        let reason = match worker.child.try_wait() {
            Ok(Some(status)) if !status.success() => describe(status),
            Ok(None) if worker.patience.is_over(SILENCE_MAX) => {
                // It may have ended by itself meanwhile.
                let _ = worker.child.kill();
                let _ = worker.child.wait();
                format!("hangs: no sign of life for {} s", SILENCE_MAX.as_secs())
            }
            _ => return None,
        };
        match case_of(&worker.progress) {
            Some(case) => Some((reason, case)),
            // Without the file nobody knows the case; a death is told all the same, or the campaign would wait forever.
            None => {
                Some((format!("{reason}; its progress file is gone, the case is the first it might be"), worker.first))
            }
        }
    }
}

/// Hands out lines while somebody takes them. A last one without its end was cut by the death of its writer, which is told by
/// itself.
fn each_line(input: &mut dyn BufRead, take: &mut dyn FnMut(String) -> bool) {
    let mut bytes = Vec::new();
    while input.read_until(b'\n', &mut bytes).is_ok() && bytes.last() == Some(&b'\n') {
        if !take(String::from_utf8_lossy(&bytes[..bytes.len() - 1]).into_owned()) {
            return;
        }
        bytes.clear();
    }
}

/// The counts in a line of a worker. Anything else is an error: what is lost with it could be a disagreement.
fn report_of(line: &str) -> io::Result<Stats> {
    serde_json::from_str(line).map_err(|error| {
        let start: String = line.chars().take(200).collect();
        io::Error::other(format!("a worker wrote what is no report ({error}): {start:?}"))
    })
}

/// The case that a worker wrote down before it ran it.
fn case_of(progress: &Path) -> Option<u64> {
    let bytes = std::fs::read(progress).ok()?;
    Some(u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?))
}

/// Asks a process of its own for the vote of the subject and the reference alone: it ends as well where the subject did.
fn ask(seed: u64) -> io::Result<Vote> {
    let nobody = |reference: String| Vote { suspect: Suspect::Nobody, reference };
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--vote", &seed.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let Some(stdout) = child.stdout.take() else { return Ok(nobody("was not asked".into())) };
    let (sender, said) = channel();
    std::thread::spawn(move || {
        // Nobody listens any more where the time is over.
        let _ = sender.send(io::read_to_string(stdout));
    });
    match said.recv_timeout(VOTE_MAX) {
        Ok(said) => {
            let status = child.wait()?;
            let vote = serde_json::from_str(&said?);
            Ok(vote.unwrap_or_else(|_| nobody(format!("and the subject alone end as well: {}", describe(status)))))
        }
        Err(_) => {
            // It may have ended by itself meanwhile.
            let _ = child.kill();
            child.wait()?;
            Ok(nobody(format!("and the subject alone do not end within {} s", VOTE_MAX.as_secs())))
        }
    }
}

#[cfg(unix)]
pub(crate) fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(signal) => format!("died of signal {signal}"),
        None => format!("ended with {status}"),
    }
}

#[cfg(not(unix))]
pub(crate) fn describe(status: ExitStatus) -> String {
    format!("ended with {status}")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn lines_are_reports_or_errors() {
        let check = |text: &str, expected: &[&str]| {
            let mut lines = Vec::new();
            each_line(&mut text.as_bytes(), &mut |line| {
                lines.push(line);
                true
            });
            assert_eq!(lines, expected, "{text:?}");
        };
        check("a\nb\n", &["a", "b"]);
        check("a\n{\"cut", &["a"]);
        check("", &[]);
        let line = serde_json::to_string(&Stats { seeds: 3, ..Stats::default() }).unwrap_or_default();
        assert_eq!(report_of(&line).map(|stats| stats.seeds).ok(), Some(3));
        for garbled in ["", "{\"seeds\":3}", "thread panicked"] {
            assert!(report_of(garbled).is_err_and(|error| error.to_string().contains("no report")), "{garbled}");
        }
    }

    #[test]
    fn campaigns_end_with_what_they_wait_for() {
        let found = |suspect| Found {
            target: "dfg".to_owned(),
            seed: 1,
            subject: "x".to_owned(),
            what: "y".to_owned(),
            vote: Vote { suspect, reference: String::new() },
            case: None,
        };
        let check = |suspects: &[Suspect], until: Until, expected: Option<Suspect>| {
            let mut stats = Stats::default();
            suspects.iter().for_each(|suspect| stats.add_found(found(*suspect)));
            assert_eq!(until.found(&stats).map(|found| found.vote.suspect), expected, "{suspects:?} {until:?}");
        };
        use Suspect::{Nobody, Oracle, Reference, Subject};
        check(&[Oracle], Until::Unexplained, None);
        check(&[Oracle, Subject], Until::Unexplained, Some(Subject));
        check(&[Nobody], Until::Unexplained, Some(Nobody));
        check(&[Oracle, Nobody, Subject], Until::Blamed(Reference), None);
        check(&[Nobody, Reference], Until::Blamed(Reference), Some(Reference));
        check(&[Subject, Reference], Until::Over, None);
    }

    #[test]
    fn a_death_is_told_without_a_progress_file() -> io::Result<()> {
        let campaign = Campaign {
            seed: 1,
            time: Duration::ZERO,
            only: None,
            jobs: 1,
            folder: PathBuf::new(),
            cpu: None,
            mutant: None,
            until: Until::Over,
        };
        let mut child = Command::new("false").spawn()?;
        child.wait()?;
        let progress = PathBuf::from("no such folder/worker-0.case");
        let patience = Patience::new(child.id());
        let mut slot = Some(Worker { child, progress, first: 7, patience });
        let death = campaign.death(&mut slot);
        assert!(matches!(death, Some((ref reason, 7)) if reason.contains("ended with")), "{death:?}");
        Ok(())
    }
}
