//! Graphs per second through generator, linearizer and verifier, and the time of chains:
//! `cargo run --release -p wattest-component --features random --example graphs -- [first seed] [count] [faults]`.
//!
//! With a third argument each graph is linearized in a second way, and a fault is planted that the verifier must find.
//!
//! Prints any graph whose plan does not mean the same, by its seed, and then fails.

use std::process::ExitCode;
use std::time::Instant;
use wattest_component::random::{Arena, Chain, Fault, Seed, StubEmitter, recipe};
use wattest_component::schedule::Grouping;
use wattest_component::verify::verify;
use wattest_component::{Graph, LinearLimits, linearize};

/// CPU time of the thread where the system tells it (the first number of its scheduling statistics, nanoseconds), else time.
struct Clock {
    wall: Instant,
    cpu: Option<f64>,
}

impl Clock {
    fn cpu() -> Option<f64> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
    }

    fn now() -> Clock {
        Clock { wall: Instant::now(), cpu: Clock::cpu() }
    }

    fn seconds(&self) -> f64 {
        Clock::cpu().zip(self.cpu).map_or(self.wall.elapsed().as_secs_f64(), |(now, then)| now - then)
    }
}

fn check(graph: &mut Graph) -> Result<(), String> {
    let limits = LinearLimits { groups_max: 1 << 20, ..LinearLimits::default() };
    let linear = linearize(graph, Grouping::Fewest, &limits, &mut StubEmitter::default());
    let linear = linear.map_err(|error| error.to_string())?;
    verify(graph, &linear).map_err(|defect| defect.to_string())
}

/// One module for each adapter too, and a planted fault must be found.
fn check_more(graph: &mut Graph, seed: u64) -> Result<(), String> {
    check(graph)?;
    let grouping = if seed.is_multiple_of(2) { Grouping::Fewest } else { Grouping::Single };
    let linear = linearize(graph, grouping, &LinearLimits::default(), &mut StubEmitter::default());
    let mut linear = linear.map_err(|error| error.to_string())?;
    verify(graph, &linear).map_err(|defect| defect.to_string())?;
    let fault = Fault::ALL[(seed / 2) as usize % Fault::ALL.len()];
    if fault.plant(&mut linear, &mut Seed(seed)) && verify(graph, &linear).is_ok() {
        return Err(format!("the fault {fault:?} was not found"));
    }
    Ok(())
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap_or(0));
    let first = arguments.next().unwrap_or(0);
    let count = arguments.next().unwrap_or(100_000);
    let faults = arguments.next().is_some();
    let (mut nodes, mut effects, mut wrong) = (0, 0, 0);
    let mut arena = Arena::default();
    let begin = Clock::now();
    for seed in first..first + count {
        let mut graph = arena.graph(&recipe(seed));
        nodes += graph.nodes().len();
        effects += graph.effects().len();
        let verdict = if faults { check_more(&mut graph, seed) } else { check(&mut graph) };
        if let Err(message) = verdict {
            println!("seed {seed}: {message}");
            wrong += 1;
        }
        arena.reclaim(graph);
    }
    let seconds = begin.seconds();
    let per = |number: usize| number as f64 / count as f64;
    println!(
        "{count} graphs from seed {first}: {:.0} per second of CPU time, {:.1} nodes and {:.1} effects on average, {wrong} wrong",
        count as f64 / seconds,
        per(nodes),
        per(effects),
    );
    let limits = wattest_component::LinearLimits::default();
    println!(
        "{:<10} {:>6} {:>7} {:>7} {:>10} {:>10} {:>16}",
        "chain", "links", "nodes", "modules", "make ms", "check ms", "per 10,000 nodes"
    );
    for chain in Chain::ALL {
        for links in [10, 100, 1_000, 10_000] {
            let begin = Clock::now();
            let mut graph = chain.graph(links);
            let made = begin.seconds() * 1e3;
            wrong += u64::from(check(&mut graph).is_err());
            let checked = begin.seconds() * 1e3 - made;
            let modules = linearize(&mut graph, Grouping::Fewest, &limits, &mut StubEmitter::default());
            let modules = modules.map_or(0, |linear| linear.adapters.len());
            let name = format!("{chain:?}");
            println!(
                "{name:<10} {links:>6} {:>7} {modules:>7} {made:>10.2} {checked:>10.2} {:>16.2}",
                graph.nodes().len(),
                (made + checked) * 1e4 / graph.nodes().len() as f64
            );
        }
    }
    ExitCode::from(u8::from(wrong > 0))
}
