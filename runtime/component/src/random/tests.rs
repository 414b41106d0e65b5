//! The graph properties on random graphs and on chains, and the verifier against plans that are wrong.

use super::*;
use crate::linear::Linear;
use crate::linearize::{LinearLimits, linearize};
use crate::schedule::Grouping;
use crate::verify::{verify, verify_graph, verify_templates};

fn plan(graph: &mut Graph, grouping: Grouping) -> Linear {
    let limits = LinearLimits { groups_max: 1 << 20, ..LinearLimits::default() };
    linearize(graph, grouping, &limits, &mut StubEmitter { binaries: true }).expect("a plan")
}

fn check(steps: &[Step]) {
    let mut graph = graph(steps);
    verify_graph(&graph).expect("a valid graph");
    for grouping in [Grouping::Fewest, Grouping::Single] {
        let linear = plan(&mut graph, grouping);
        verify(&graph, &linear).unwrap_or_else(|defect| panic!("{grouping:?}: {defect}"));
        verify_templates(&linear).expect("stubs");
    }
}

#[test]
fn random_graphs_keep_their_meaning() {
    for seed in 0..500 {
        check(&recipe(seed));
    }
}

#[test]
fn chains_keep_their_meaning() {
    for chain in Chain::ALL {
        let mut graph = chain.graph(10_000);
        verify_graph(&graph).expect("a valid graph");
        let linear = plan(&mut graph, Grouping::Fewest);
        verify(&graph, &linear).unwrap_or_else(|defect| panic!("{chain:?}: {defect}"));
    }
}
