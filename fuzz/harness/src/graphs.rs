//! The property `graph`: the linear plan of a component graph means what the graph means.
//!
//! Random graphs without any WebAssembly ([`wattest_component::random`]) go through the passes, the schedule and the
//! linearizer, and the verifier holds each plan against its graph: P1 to P13 and P17 to P25 of
//! [`wattest_component::verify::Property`], as far as they can be seen without running code.
//!
//! Invariant: a verdict is a function of the steps; a seed names its graph for good, for one version of the generator.
//!
//! Does not know: how graphs are scheduled, what adapters contain.

use crate::panics;
use crate::source::case_seed;
use serde::Serialize;
use std::time::{Duration, Instant};
use wattest_component::graph::{parse, print};
use wattest_component::random::{Fault, Seed, Step, StubEmitter, graph, recipe};
use wattest_component::schedule::Grouping;
use wattest_component::verify::{same_meaning, verify, verify_graph, verify_templates};
use wattest_component::{Graph, GraphLimits, Linear, LinearLimits, Pass, Passes, linearize, run_passes};

/// What a graph was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checked {
    /// Nodes.
    pub nodes: usize,
    /// Effects among them.
    pub effects: usize,
}

/// What a run has seen.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GraphStats {
    /// Graphs.
    pub graphs: u64,
    /// Nodes of all of them.
    pub nodes: u64,
    /// Effects of all of them.
    pub effects: u64,
    /// How long it took.
    pub seconds: f64,
    /// Seeds whose graphs broke a property, and which one.
    pub found: Vec<(u64, String)>,
}

impl GraphStats {
    /// An average.
    pub fn per_graph(&self, sum: u64) -> f64 {
        sum as f64 / self.graphs.max(1) as f64
    }
}

/// Most findings that a run reports.
const FOUND_MAX: usize = 20;

/// Bytes of one step.
const STEP_BYTES: usize = 17;

/// Most steps of a fuzzer's input.
const STEPS_MAX: usize = 512;

/// Steps from a fuzzer's bytes.
pub fn steps_of(bytes: &[u8]) -> Vec<Step> {
    let step = |bytes: &[u8]| {
        let mut step = Step { kind: bytes[0], ..Step::default() };
        for (pick, bytes) in step.picks.iter_mut().zip(bytes[1..].chunks_exact(2)) {
            *pick = u16::from_le_bytes([bytes[0], bytes[1]]);
        }
        step
    };
    bytes.chunks_exact(STEP_BYTES).take(STEPS_MAX).map(step).collect()
}

/// The graph of a seed as text.
pub fn text(seed: u64) -> String {
    print(&graph(&recipe(seed)), None)
}

/// Checks the graph of a seed.
///
/// # Errors
/// What is wrong, a panic included.
pub fn check_seed(seed: u64) -> Result<Checked, String> {
    panics::record(|| check(&recipe(seed))).unwrap_or_else(|text| Err(format!("panic: {text}")))
}

/// Checks the graph of some steps.
///
/// # Errors
/// What is wrong.
pub fn check(steps: &[Step]) -> Result<Checked, String> {
    let original = graph(steps);
    let checked = Checked { nodes: original.nodes().len(), effects: original.effects().len() };
    let text = |defect: wattest_component::verify::Defect| defect.to_string();
    verify_graph(&original).map_err(text)?;
    // Which of the rarer checks are made depends on the graph alone.
    let choice =
        steps.iter().fold(0u64, |sum, step| sum.rotate_left(7) ^ u64::from(step.picks[0]) ^ u64::from(step.kind));
    let chosen = Pass::ALL.iter().enumerate().filter(|(at, _)| choice >> at & 1 == 1);
    let passes = chosen.fold(Passes::NONE, |set, (_, pass)| set.with(*pass));
    let mut passed = run_passes(original.clone(), &passes).map_err(|error| error.to_string())?;
    if choice.is_multiple_of(8) {
        verify_graph(&passed).map_err(text)?;
        passes_end(&passed, &passes)?;
        round_trips(&original)?;
    }
    let grouping = if choice % 4 == 1 { Grouping::Single } else { Grouping::Fewest };
    let linear = plan(&mut passed, grouping)?;
    verify(&passed, &linear).map_err(text)?;
    verify_templates(&linear).map_err(text)?;
    plant(&passed, linear, choice)?;
    Ok(checked)
}

fn plan(graph: &mut Graph, grouping: Grouping) -> Result<Linear, String> {
    let limits = LinearLimits::default();
    linearize(graph, grouping, &limits, &mut StubEmitter { binaries: true }).map_err(|error| error.to_string())
}

/// Running the passes again comes to an end: what one pass leaves may be work for an earlier one, but not forever.
fn passes_end(graph: &Graph, passes: &Passes) -> Result<(), String> {
    const RUNS_MAX: usize = 8;
    let mut last = graph.clone();
    for _ in 0..RUNS_MAX {
        let next = run_passes(last.clone(), passes).map_err(|error| error.to_string())?;
        verify_graph(&next).map_err(|defect| format!("passes run again: {defect}"))?;
        if same_meaning(&next, &last).is_ok() {
            return Ok(());
        }
        last = next;
    }
    Err(format!("P24: passes still change the graph after {RUNS_MAX} runs"))
}

/// Text and a second run give the same.
fn round_trips(original: &Graph) -> Result<(), String> {
    let text = print(original, None);
    let mut back = parse(&text, GraphLimits::default()).map_err(|error| error.to_string())?;
    if print(&back, None) != text {
        return Err("P25: the text of the graph that was read back differs".into());
    }
    let linear = plan(&mut original.clone(), Grouping::Fewest)?;
    if plan(&mut back, Grouping::Fewest)? != linear {
        return Err("P22: another plan for an equal graph".into());
    }
    let bytes = serde_json::to_vec(&linear).map_err(|error| error.to_string())?;
    match serde_json::from_slice::<Linear>(&bytes) {
        Ok(same) if same == linear => Ok(()),
        _ => Err("P25: the plan's serialized form gives another plan".into()),
    }
}

/// A fault in the plan must not pass.
fn plant(graph: &Graph, mut linear: Linear, choice: u64) -> Result<(), String> {
    let fault = Fault::ALL[(choice >> 16) as usize % Fault::ALL.len()];
    if fault.plant(&mut linear, &mut Seed(choice)) && verify(graph, &linear).is_ok() {
        return Err(format!("the fault {fault:?} was not found"));
    }
    Ok(())
}

/// Checks graphs for some time, on as many threads as told.
pub fn run(campaign: u64, time: Duration, jobs: u64) -> GraphStats {
    let begin = Instant::now();
    let worker = |job: u64| {
        let mut stats = GraphStats::default();
        let mut index = job;
        // At least one batch each, however short the time.
        loop {
            for _ in 0..100 {
                let seed = case_seed(campaign, index);
                index += jobs;
                stats.graphs += 1;
                match check_seed(seed) {
                    Ok(checked) => {
                        stats.nodes += checked.nodes as u64;
                        stats.effects += checked.effects as u64;
                    }
                    Err(defect) => stats.found.push((seed, defect)),
                }
            }
            if begin.elapsed() >= time || stats.found.len() >= FOUND_MAX {
                return stats;
            }
        }
    };
    let mut total = GraphStats::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|job| scope.spawn(move || worker(job))).collect();
        for worker in workers {
            // A worker does not panic: `check_seed` records panics.
            if let Ok(stats) = worker.join() {
                total.graphs += stats.graphs;
                total.nodes += stats.nodes;
                total.effects += stats.effects;
                total.found.extend(stats.found);
            }
        }
    });
    total.seconds = begin.elapsed().as_secs_f64();
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_of_random_graphs_mean_the_same() {
        let mut nodes = 0;
        for index in 0..600 {
            let seed = case_seed(5, index);
            match check_seed(seed) {
                Ok(checked) => nodes += checked.nodes,
                Err(defect) => panic!("{seed:#x}: {defect}"),
            }
        }
        assert!(nodes > 600 * 32, "{nodes} nodes");
    }

    #[test]
    fn a_run_counts_what_it_checks() {
        let stats = run(1, Duration::ZERO, 2);
        assert!(stats.graphs == 200 && stats.nodes > stats.effects && stats.found.is_empty(), "{stats:?}");
    }

    #[test]
    fn a_seed_has_a_text() {
        let back = parse(&text(1), GraphLimits::default()).expect("the text of a graph");
        assert_eq!(back.nodes().len(), graph(&recipe(1)).nodes().len());
    }
}
