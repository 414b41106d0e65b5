//! Graphs per second through generator, linearizer and verifier, and the time of chains:
//! `cargo run --release -p wattest-component --features random --example graphs -- [first seed] [count] [faults]`.
//!
//! With a third argument each graph is linearized in a second way, and a fault is planted that the verifier must find.
//!
//! Prints any graph whose plan does not mean the same, by its seed, and then fails.

use std::process::ExitCode;
use std::time::Instant;
use wattest_component::random::{Chain, Fault, Seed, StubEmitter, graph, recipe};
use wattest_component::schedule::Grouping;
use wattest_component::verify::verify;
use wattest_component::{Graph, LinearLimits, linearize};

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
    let begin = Instant::now();
    for seed in first..first + count {
        let mut graph = graph(&recipe(seed));
        nodes += graph.nodes().len();
        effects += graph.effects().len();
        let verdict = if faults { check_more(&mut graph, seed) } else { check(&mut graph) };
        if let Err(message) = verdict {
            println!("seed {seed}: {message}");
            wrong += 1;
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let per = |number: usize| number as f64 / count as f64;
    println!(
        "{count} graphs from seed {first}: {:.0} per second, {:.1} nodes and {:.1} effects on average, {wrong} wrong",
        count as f64 / seconds,
        per(nodes),
        per(effects),
    );
    let limits = wattest_component::LinearLimits::default();
    println!("{:<10} {:>6} {:>7} {:>7} {:>10} {:>10}", "chain", "links", "nodes", "modules", "make ms", "check ms");
    for chain in Chain::ALL {
        for links in [10, 100, 1_000, 10_000] {
            let begin = Instant::now();
            let mut graph = chain.graph(links);
            let made = begin.elapsed();
            wrong += u64::from(check(&mut graph).is_err());
            let checked = begin.elapsed() - made;
            let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
            let modules = linearize(&mut graph, Grouping::Fewest, &limits, &mut StubEmitter::default());
            let modules = modules.map_or(0, |linear| linear.adapters.len());
            let name = format!("{chain:?}");
            println!(
                "{name:<10} {links:>6} {:>7} {modules:>7} {:>10.2} {:>10.2}",
                graph.nodes().len(),
                ms(made),
                ms(checked)
            );
        }
    }
    ExitCode::from(u8::from(wrong > 0))
}
