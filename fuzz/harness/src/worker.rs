//! One process of a campaign.
//!
//! It works through its share of the seeds until told to stop by time, writes the number of each case to a file before it
//! starts it, and reports counts as lines of JSON. A signal or an abort ends this process only, and the file names the
//! case.
//!
//! Invariant: what was reported is counted once, whatever happens later.
//!
//! Does not know: the other processes.

use crate::case::Case;
use crate::diff_core::{Checker, Disagreement};
use crate::quarantine;
use crate::source::case_seed;
use crate::stats::{Judgement, Stats};
use crate::targets::{Targets, target_of};
use crate::vote::vote;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a worker is told.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// Seed of the campaign.
    pub campaign: u64,
    /// First case.
    pub first: u64,
    /// Distance between its cases.
    pub stride: u64,
    /// The only property, if not all of them.
    pub only: Option<String>,
    /// How long to work.
    pub time: Duration,
    /// Processor time after which to stop, if there is a budget.
    pub cpu: Option<Duration>,
    /// Where the number of the current case goes.
    pub progress: PathBuf,
}

/// Time between reports.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// Works through an assignment.
///
/// # Errors
///
/// When the progress file or the report cannot be written.
pub fn work(assignment: &Assignment, report: &mut dyn Write) -> io::Result<()> {
    let start = Instant::now();
    let mut progress = File::create(&assignment.progress)?;
    let mut targets = Targets::default();
    let mut stats = Stats::default();
    let (mut reported, mut cpu) = (Instant::now(), cpu_ms());
    let first_cpu = cpu;
    let mut index = assignment.first;
    while start.elapsed() < assignment.time {
        progress.seek(SeekFrom::Start(0))?;
        progress.write_all(&index.to_le_bytes())?;
        let seed = case_seed(assignment.campaign, index);
        let name = target_of(index, assignment.only.as_deref());
        let begin = Instant::now();
        let outcome = targets.check_seed(name, seed);
        let time = begin.elapsed();
        match outcome {
            None => stats.add_nothing(),
            Some(mut outcome) => {
                let case = match outcome.case.take() {
                    Some(case) => {
                        let file = case_file(&assignment.progress, name, seed);
                        std::fs::write(&file, case)?;
                        Some(file)
                    }
                    None => None,
                };
                stats.add(name, seed, outcome, case);
                stats.add_time(name, time);
            }
        }
        index += assignment.stride;
        if reported.elapsed() > REPORT_EVERY {
            let now = cpu_ms();
            stats.cpu_ms += now - std::mem::replace(&mut cpu, now);
            send(&mut stats, report)?;
            reported = Instant::now();
            if assignment.cpu.is_some_and(|budget| u128::from(now - first_cpu) >= budget.as_millis()) {
                return Ok(());
            }
        }
    }
    stats.cpu_ms += cpu_ms() - cpu;
    send(&mut stats, report)
}

/// Where the case of a disagreement is kept that its seed does not give, beside the progress file.
pub fn case_file(beside: &Path, target: &str, seed: u64) -> PathBuf {
    beside.with_file_name(format!("{target}-{seed:#x}.case"))
}

/// User and system time of this process so far, in milliseconds; 0 where the system does not tell.
pub fn cpu_ms() -> u64 {
    crate::patience::cpu_ms("self")
}

/// What becomes of a disagreement: a known finding explains it, or the definitional interpreter votes.
pub fn judge(checker: &mut Checker, case: &Case, found: &Disagreement) -> Judgement {
    match quarantine::explain(checker, case, found) {
        Some(finding) => Judgement::Explained(finding),
        None => Judgement::Voted(vote(checker, case, found.step)),
    }
}

fn send(stats: &mut Stats, report: &mut dyn Write) -> io::Result<()> {
    let line = serde_json::to_string(&std::mem::take(stats))?;
    report.write_all(line.as_bytes())?;
    report.write_all(b"\n")?;
    report.flush()
}
