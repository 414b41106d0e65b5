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
use wattest_component::random::{Arena, Fault, Seed, Step, StubEmitter, graph, recipe};
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
    /// Whether passes were run and the rarer checks made.
    pub is_thorough: bool,
    /// Whether a fault was planted in its plan, and found.
    pub is_faulted: bool,
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
    /// Graphs that went through a random set of passes and the rarer checks besides.
    pub thorough: u64,
    /// Plans in which a fault was planted, all found but those in `found`.
    pub faulted: u64,
    /// How long it took.
    pub seconds: f64,
    /// CPU time of all threads, where the system tells it: else their time.
    pub cpu_seconds: f64,
    /// Seeds whose graphs broke a property, and which one.
    pub found: Vec<(u64, String)>,
}

impl GraphStats {
    /// Graphs per second of one core: what does not depend on what else the machine does.
    pub fn per_core_second(&self) -> f64 {
        self.graphs as f64 / self.cpu_seconds.max(0.001)
    }

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
    check_seed_in(&mut Arena::default(), seed)
}

fn check_seed_in(arena: &mut Arena, seed: u64) -> Result<Checked, String> {
    panics::record(|| check_in(arena, &recipe(seed))).unwrap_or_else(|text| Err(format!("panic: {text}")))
}

/// Checks the graph of some steps.
///
/// # Errors
/// What is wrong.
pub fn check(steps: &[Step]) -> Result<Checked, String> {
    check_in(&mut Arena::default(), steps)
}

/// Generates, linearizes and verifies; one graph in four is looked at more closely, in one plan in eight a fault is planted.
/// Which ones depends on the graph alone.
fn check_in(arena: &mut Arena, steps: &[Step]) -> Result<Checked, String> {
    let mut graph = arena.graph(steps);
    let mut checked = Checked { nodes: graph.nodes().len(), effects: graph.effects().len(), ..Checked::default() };
    let choice =
        steps.iter().fold(0u64, |sum, step| sum.rotate_left(7) ^ u64::from(step.picks[0]) ^ u64::from(step.kind));
    let choice = Seed(choice).draw();
    if choice >> 32 & 3 == 0 {
        checked.is_thorough = true;
        check_thoroughly(&graph, choice)?;
    }
    let grouping = match choice >> 40 & 7 {
        0 => Grouping::Single,
        1 => Grouping::Seeded(choice),
        _ => Grouping::Fewest,
    };
    let linear = linearize(&mut graph, grouping, &LinearLimits::default(), &mut StubEmitter::default());
    let linear = linear.map_err(|error| error.to_string())?;
    verify(&graph, &linear).map_err(|defect| defect.to_string())?;
    if choice >> 48 & 7 == 0 {
        checked.is_faulted = plant(&graph, linear, choice)?;
    }
    arena.reclaim(graph);
    Ok(checked)
}

/// A random set of passes, adapter modules that are binaries, and now and then all that is slow.
fn check_thoroughly(original: &Graph, choice: u64) -> Result<(), String> {
    let text = |defect: wattest_component::verify::Defect| defect.to_string();
    let chosen = Pass::ALL.iter().enumerate().filter(|(at, _)| choice >> at & 1 == 1);
    let passes = chosen.fold(Passes::NONE, |set, (_, pass)| set.with(*pass));
    verify_graph(original).map_err(text)?;
    let mut passed = run_passes(original.clone(), &passes).map_err(|error| error.to_string())?;
    if choice >> 56 & 3 == 0 {
        verify_graph(&passed).map_err(text)?;
        passes_end(&passed, &passes)?;
        round_trips(original)?;
    }
    let linear = plan(&mut passed, Grouping::Fewest)?;
    verify(&passed, &linear).map_err(text)?;
    verify_templates(&linear).map_err(text)
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

/// A fault in the plan must not pass. Says whether there was one: not every plan has what a fault breaks.
fn plant(graph: &Graph, mut linear: Linear, choice: u64) -> Result<bool, String> {
    let fault = Fault::ALL[(choice >> 16) as usize % Fault::ALL.len()];
    let is_planted = fault.plant(&mut linear, &mut Seed(choice));
    if is_planted && verify(graph, &linear).is_ok() {
        return Err(format!("the fault {fault:?} was not found"));
    }
    Ok(is_planted)
}

/// CPU time of this thread so far: the first number of its scheduling statistics, in nanoseconds.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}

/// Checks graphs for some time, on as many threads as told.
pub fn run(campaign: u64, time: Duration, jobs: u64) -> GraphStats {
    let begin = Instant::now();
    let worker = |job: u64| {
        let (mut stats, mut arena) = (GraphStats::default(), Arena::default());
        let (mut index, cpu) = (job, cpu_seconds());
        // At least one batch each, however short the time.
        loop {
            for _ in 0..100 {
                let seed = case_seed(campaign, index);
                index += jobs;
                stats.graphs += 1;
                match check_seed_in(&mut arena, seed) {
                    Ok(checked) => {
                        stats.thorough += u64::from(checked.is_thorough);
                        stats.faulted += u64::from(checked.is_faulted);
                        stats.nodes += checked.nodes as u64;
                        stats.effects += checked.effects as u64;
                    }
                    Err(defect) => stats.found.push((seed, defect)),
                }
            }
            if begin.elapsed() >= time || stats.found.len() >= FOUND_MAX {
                let spent = cpu_seconds().zip(cpu).map(|(now, then)| now - then);
                stats.cpu_seconds = spent.unwrap_or_else(|| begin.elapsed().as_secs_f64());
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
                total.cpu_seconds += stats.cpu_seconds;
                total.thorough += stats.thorough;
                total.faulted += stats.faulted;
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
        assert!(stats.thorough > 20 && stats.faulted > 8, "{stats:?}");
    }

    #[test]
    fn a_seed_has_a_text() {
        let back = parse(&text(1), GraphLimits::default()).expect("the text of a graph");
        assert_eq!(back.nodes().len(), graph(&recipe(1)).nodes().len());
    }
}
