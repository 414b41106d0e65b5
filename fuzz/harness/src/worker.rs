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
use crate::components::ComponentChecker;
use crate::diff_core::{Checker, Disagreement};
use crate::model::{Model, ModelChecker};
use crate::quarantine;
use crate::source::case_seed;
use crate::stats::{Judgement, Stats};
use crate::targets::{component_of, model_of};
use crate::vote::vote;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;
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
    /// Where the number of the current case goes.
    pub progress: PathBuf,
}

/// Of so many cases, one is run by the reference too.
const SAMPLE_EVERY: u64 = 25;

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
    let mut checker = Checker::new();
    let mut models = ModelChecker::default();
    let mut components = ComponentChecker::new();
    let mut stats = Stats::default();
    let mut reported = Instant::now();
    let mut index = assignment.first;
    while start.elapsed() < assignment.time {
        progress.seek(SeekFrom::Start(0))?;
        progress.write_all(&index.to_le_bytes())?;
        let seed = case_seed(assignment.campaign, index);
        let only = assignment.only.as_deref();
        match (model_of(index, only), component_of(index, only)) {
            (Some(model), _) => run_model(&mut models, model, seed, &mut stats),
            (None, Some(property)) => {
                let outcome = components.check_seed(property, seed);
                stats.add_component(property, seed, outcome);
            }
            (None, None) => run_case(&mut checker, seed, &mut stats, index.is_multiple_of(SAMPLE_EVERY)),
        }
        index += assignment.stride;
        if reported.elapsed() > REPORT_EVERY {
            send(&mut stats, report)?;
            reported = Instant::now();
        }
    }
    send(&mut stats, report)
}

/// Runs the case of a seed of another property and counts it.
pub fn run_model(checker: &mut ModelChecker, model: &Model, seed: u64, stats: &mut Stats) {
    match model.case_of_seed(seed) {
        None => stats.add_nothing(),
        Some(case) => stats.add_model(model, seed, checker.check(&case)),
    }
}

/// Runs the case of a seed and counts it; a sampled one is run by the reference as well, which counts what is executed.
pub fn run_case(checker: &mut Checker, seed: u64, stats: &mut Stats, sampled: bool) {
    match Case::from_seed(seed) {
        None => stats.add_nothing(),
        Some(case) => {
            if sampled {
                stats.add_tally(checker.tally(&case));
                stats.sampled += 1;
            }
            let outcome = checker.check_knowingly(&case);
            let judgement = outcome.disagreement.as_ref().map(|found| judge(checker, &case, found));
            stats.add(&case, &outcome, judgement);
        }
    }
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
