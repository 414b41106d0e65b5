//! `cargo prove soak`: all targets for a long time, in rounds that can be interrupted.
//!
//! Every target gets the same processor time, in slices with a seed of their own: the next one is for the target that had
//! the least. What a slice did is a line of the log in the state folder before the next one begins; a soak that is started
//! again goes on with what the log says. It ends when all targets together have used the processor time asked for.
//!
//! Invariant: the log alone says which seeds were run; a disagreement in it fails the soak until it is gone from the log.
//!
//! Does not know: what targets check.

use crate::campaign::{Campaign, Until};
use crate::report;
use crate::stats::{Found, Stats, too_early};
use crate::targets::TARGETS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a soak is asked for.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the log, made if it is not there.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Processor time of all targets together, what the log has already included: seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 6 * 3600)]
    cpu: u64,
    /// Processor time of one target in one round, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    slice: u64,
    /// Worker processes.
    #[arg(long, default_value_t = 1)]
    jobs: u64,
    /// Seed of the first round.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A line of the log: one target in one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The round, from 0 on.
    pub round: u64,
    /// The target.
    pub target: String,
    /// Seed of its campaign.
    pub seed: u64,
    /// Processor time, in milliseconds.
    pub cpu_ms: u64,
    /// Cases.
    pub executions: u64,
    /// Checks.
    pub checks: u64,
    /// Cases that stopped early.
    pub poisoned: u64,
    /// Disagreements that nothing explains.
    pub disagreements: Vec<Found>,
    /// Those in which the oracle is outvoted.
    pub outvoted: Vec<Found>,
}

/// The lines of a log; a last one that was cut off is left out.
///
/// # Errors
///
/// When the file is there and cannot be read, or a line that is not the last, or that is whole, is none of a log: what is
/// lost with it could be a disagreement.
pub fn read_log(path: &Path) -> Result<Vec<Line>, Box<dyn Error>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    parse_log(&std::fs::read_to_string(path)?)
}

fn parse_log(text: &str) -> Result<Vec<Line>, Box<dyn Error>> {
    let (whole, _cut) = text.split_at(text.rfind('\n').map_or(0, |end| end + 1));
    let lines = whole.lines().enumerate();
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| format!("line {} of the log is none: {error}", number + 1).into())
    };
    lines.map(parse).collect()
}

/// Ends a log behind its last whole line: the one behind it was cut off, and its slice is run again.
fn mend(path: &Path) -> std::io::Result<()> {
    let Ok(bytes) = std::fs::read(path) else { return Ok(()) };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < bytes.len() {
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    Ok(())
}

/// Where a soak goes on after these lines: the target that had the least processor time so far, by position, and its round.
/// A slice may end early, on a busy machine or with a worker; nobody's share becomes smaller by that.
pub fn resume(lines: &[Line]) -> (u64, usize) {
    let of = |name: &str| {
        let own = lines.iter().filter(|line| line.target == name);
        own.fold((0, 0), |(cpu, rounds), line| (cpu + line.cpu_ms, rounds + 1))
    };
    let shares = TARGETS.iter().map(|row| of(row.name)).enumerate();
    let (position, (_, round)) = shares.min_by_key(|(_, (cpu, _))| *cpu).unwrap_or_default();
    (round, position)
}

/// Soaks. Whether nothing unexplained is in the log.
///
/// # Errors
///
/// When the state folder cannot be used or workers cannot be started.
pub fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    std::fs::create_dir_all(&arguments.state)?;
    let path = arguments.state.join("log.jsonl");
    let mut lines = read_log(&path)?;
    mend(&path)?;
    let mut log = OpenOptions::new().create(true).append(true).open(&path)?;
    let used = |lines: &[Line]| lines.iter().map(|line| line.cpu_ms).sum::<u64>();
    println!("{} lines, {:.1} s of processor time so far", lines.len(), used(&lines) as f64 / 1000.0);
    while used(&lines) < arguments.cpu * 1000 {
        let (round, position) = resume(&lines);
        let row = &TARGETS[position];
        let seed = arguments.seed.wrapping_add(round.wrapping_mul(1000)).wrapping_add(position as u64);
        let stats = slice(arguments, row.name, seed)?;
        let line = line_of(round, row.name, seed, &stats);
        writeln!(log, "{}", serde_json::to_string(&line)?)?;
        log.flush()?;
        println!(
            "round {round} {:<14} seed {seed}: {} executions, {} checks, {:.1} s, {} disagreements",
            row.name,
            line.executions,
            line.checks,
            line.cpu_ms as f64 / 1000.0,
            line.disagreements.len()
        );
        lines.push(line);
    }
    print_summary(&lines);
    let failures = failures(&lines);
    failures.iter().for_each(|failure| println!("FAILED: {failure}"));
    Ok(failures.is_empty())
}

/// Why a log is no proof: disagreements, targets that did nothing, targets that too often stopped early.
fn failures(lines: &[Line]) -> Vec<String> {
    let mut stats = Stats::default();
    for line in lines {
        let row = stats.models.entry(line.target.clone()).or_default();
        row.cases += line.executions;
        row.checks += line.checks;
        row.poisoned += line.poisoned;
    }
    let found: usize = lines.iter().map(|line| line.disagreements.len()).sum();
    let mut failures = Vec::new();
    if found > 0 {
        failures.push(format!("{found} disagreements"));
    }
    failures.extend(stats.idle());
    failures.extend(stats.over_poisoned().iter().map(|(name, share)| too_early(name, *share)));
    failures
}

fn slice(arguments: &Arguments, target: &str, seed: u64) -> Result<Stats, Box<dyn Error>> {
    let cpu = Duration::from_secs(arguments.slice);
    let campaign = Campaign {
        seed,
        time: cpu * 20,
        only: Some(target.to_owned()),
        jobs: arguments.jobs.max(1),
        folder: arguments.state.join("work"),
        cpu: Some(cpu),
        mutant: None,
        until: Until::Over,
    };
    Ok(campaign.run(&mut |_, _| {})?)
}

fn line_of(round: u64, target: &str, seed: u64, stats: &Stats) -> Line {
    let row = stats.models.get(target).cloned().unwrap_or_default();
    Line {
        round,
        target: target.to_owned(),
        seed,
        // A target that ends at once must not make a soak endless.
        cpu_ms: stats.cpu_ms.max(1),
        executions: row.cases,
        checks: row.checks,
        poisoned: row.poisoned,
        disagreements: stats.disagreements.clone(),
        outvoted: stats.outvoted.clone(),
    }
}

fn print_summary(lines: &[Line]) {
    let mut by_target: BTreeMap<&str, (u64, u64, u64, usize)> = BTreeMap::new();
    for line in lines {
        let row = by_target.entry(&line.target).or_default();
        row.0 += line.cpu_ms;
        row.1 += line.executions;
        row.2 += line.checks;
        row.3 += line.disagreements.len();
    }
    for (target, (cpu_ms, executions, checks, found)) in by_target {
        let seconds = cpu_ms as f64 / 1000.0;
        println!("{target:<14} {seconds:9.1} s {executions:>10} executions {checks:>12} checks {found} disagreements");
    }
    for found in lines.iter().flat_map(|line| &line.disagreements) {
        println!("DISAGREEMENT {}: {}", found.subject, found.what);
        println!("  {}", found.command());
    }
    println!("cases of disagreements: run the lines above; files go to {}", report::output_folder().display());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(round: u64, target: &str) -> Line {
        Line {
            round,
            target: target.to_owned(),
            seed: 0,
            cpu_ms: 1,
            executions: 0,
            checks: 0,
            poisoned: 0,
            disagreements: Vec::new(),
            outvoted: Vec::new(),
        }
    }

    #[test]
    fn a_soak_fails_for_what_is_no_proof() {
        let check = |change: &dyn Fn(&mut Vec<Line>), expected: &[&str]| {
            let working = |row: &crate::targets::Row| Line { executions: 1000, checks: 10, ..line(0, row.name) };
            let mut lines: Vec<Line> = TARGETS.iter().map(working).collect();
            change(&mut lines);
            let failures = failures(&lines);
            assert_eq!(failures.len(), expected.len(), "{failures:?}");
            assert!(failures.iter().zip(expected).all(|(one, part)| one.contains(part)), "{failures:?}");
        };
        check(&|_| {}, &[]);
        check(&|lines| drop(lines.remove(2)), &[TARGETS[2].name]);
        check(&|lines| lines[1].checks = 0, &[TARGETS[1].name]);
        check(&|lines| lines[0].poisoned = 51, &["5.1 %"]);
        let found = || Found {
            target: "dfg".to_owned(),
            seed: 1,
            subject: String::new(),
            what: String::new(),
            vote: crate::vote::Vote { suspect: crate::vote::Suspect::Nobody, reference: String::new() },
            case: None,
        };
        check(&|lines| lines[3].disagreements.push(found()), &["1 disagreements"]);
        check(&|lines| lines[3].outvoted.push(found()), &[]);
    }

    #[test]
    fn only_a_cut_last_line_is_left_out() {
        let one = serde_json::to_string(&line(0, "dfg")).unwrap_or_default();
        let check = |text: String, expected: Option<usize>| {
            assert_eq!(parse_log(&text).ok().map(|lines| lines.len()), expected, "{text}");
        };
        check(String::new(), Some(0));
        check(format!("{one}\n{one}\n"), Some(2));
        check(format!("{one}\n{}", &one[..20]), Some(1));
        check(format!("{one}\n{}\n", &one[..20]), None);
        check(format!("{}\n{one}\n", &one[..20]), None);
        check(format!("{one}\n\n{one}\n"), None);
    }

    #[test]
    fn a_soak_goes_on_with_the_target_that_had_the_least() {
        let check = |lines: &[Line], expected| assert_eq!(resume(lines), expected);
        check(&[], (0, 0));
        check(&[line(0, TARGETS[0].name)], (0, 1));
        let all: Vec<Line> = TARGETS.iter().map(|row| line(0, row.name)).collect();
        check(&all, (1, 0));
        let mut short = all;
        short[3].cpu_ms = 0;
        check(&short, (1, 3));
    }
}
