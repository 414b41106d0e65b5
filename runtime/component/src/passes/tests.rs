//! Passes on random graphs.

use super::{Pass, Passes, run_passes};
use crate::graph::{Args, Export, ExportValue, Graph, Key, ModuleRef, Node, print};
use crate::ids::{ComponentIndex, NodeId};
use crate::linearize::{LinearLimits, linearize};
use crate::random::{Seed, StubEmitter, graph, recipe};
use crate::schedule::Grouping;
use crate::verify::{verify, verify_graph};

/// What no pass may change: effects in their order, and exports by name and kind.
#[derive(Debug, PartialEq, Eq)]
struct Skeleton {
    effects: Vec<(Option<ModuleRef<()>>, ComponentIndex, usize)>,
    exports: Vec<Export<()>>,
}

fn skeleton(graph: &Graph) -> Skeleton {
    let effects = graph.effects().iter().map(|id| match graph.node(*id) {
        Node::Instantiate { module, args, component } => {
            let module = match module {
                ModuleRef::Static(module) => ModuleRef::Static(*module),
                ModuleRef::Host(_) => ModuleRef::Host(()),
            };
            let count = match args {
                Args::Positional(args) => args.len(),
                Args::Named(rows) => rows.len(),
            };
            (Some(module), *component, count)
        }
        Node::DefineResource { component, dtor, .. } => (None, *component, usize::from(dtor.is_some())),
        other => panic!("{other:?} is no effect"),
    });
    let exports = graph.exports().iter().map(|export| export.try_map(|_| Ok::<_, ()>(())).expect("no error"));
    Skeleton { effects: effects.collect(), exports: exports.collect() }
}

fn subset(seed: u64) -> Passes {
    let mut seed = Seed(seed);
    let chosen = Pass::ALL.iter().filter(|_| seed.draw() & 1 == 1);
    chosen.fold(Passes::NONE, |set, pass| set.with(*pass))
}

fn plan(graph: &mut Graph) -> crate::linear::Linear {
    let limits = LinearLimits { groups_max: 1 << 20, ..LinearLimits::default() };
    linearize(graph, Grouping::Fewest, &limits, &mut StubEmitter { binaries: false }).expect("a plan")
}

/// P24 as far as graphs show it: any subset of passes leaves a valid graph with the same effects and exports, whose plan
/// verifies; a second run changes nothing.
#[test]
fn any_subset_of_passes_keeps_effects_and_exports() {
    for seed in 0..300 {
        let before = graph(&recipe(seed));
        let wanted = skeleton(&before);
        let alone = Pass::ALL.iter().map(|pass| Passes::NONE.with(*pass));
        for passes in alone.chain([subset(seed), Passes::all()]) {
            let mut after = run_passes(before.clone(), &passes).expect("within limits");
            verify_graph(&after).unwrap_or_else(|defect| panic!("seed {seed}, {passes:?}: {defect}"));
            assert_eq!(skeleton(&after), wanted, "seed {seed}, {passes:?}");
            assert!(after.nodes().len() <= before.nodes().len());
            let text = print(&after, None);
            let again = run_passes(after.clone(), &passes).expect("within limits");
            if passes == Passes::all() || passes == Passes::NONE.with(Pass::DropDead) {
                let settled = run_passes(again.clone(), &passes).expect("within limits");
                assert_eq!(print(&settled, None), print(&again, None), "seed {seed}: passes go on and on");
            } else {
                assert!(print(&again, None).len() <= text.len());
            }
            let linear = plan(&mut after);
            verify(&after, &linear).unwrap_or_else(|defect| panic!("seed {seed}, {passes:?}: {defect}"));
        }
    }
}

/// What is dead is not in the plan either, so dropping it leaves the plan as it was.
#[test]
fn dropping_what_is_dead_leaves_the_plan() {
    let mut dropped = 0;
    for seed in 0..300 {
        let mut before = graph(&recipe(seed));
        let mut after = run_passes(before.clone(), &Passes::NONE.with(Pass::DropDead)).expect("within limits");
        dropped += before.nodes().len() - after.nodes().len();
        assert_eq!(plan(&mut before), plan(&mut after), "seed {seed}");
    }
    assert!(dropped > 1_000, "{dropped}");
}

/// After the pass no export of an instance is an import of its module, and what stood for one is the argument.
#[test]
fn no_reexport_is_left() {
    let is_reexport = |graph: &Graph, id: NodeId| {
        let Node::Project { instance, key: Key::Index(index), ty } = graph.node(id) else { return false };
        let Node::Instantiate { module: ModuleRef::Static(module), .. } = graph.node(*instance) else { return false };
        let position = graph.statics.import_position(*module, ty.sort(), *index);
        position.is_some_and(|at| graph.statics.modules[module.index()].imports[at] == *ty)
    };
    let mut found = 0;
    for seed in 0..300 {
        let before = graph(&recipe(seed));
        let ids = |graph: &Graph| (0..graph.nodes().len()).map(NodeId::at).collect::<Vec<_>>();
        found += ids(&before).into_iter().filter(|id| is_reexport(&before, *id)).count();
        let after = run_passes(before, &Passes::NONE.with(Pass::Reexport)).expect("within limits");
        assert!(!ids(&after).into_iter().any(|id| is_reexport(&after, id)), "seed {seed}");
    }
    assert!(found > 100, "{found}");
}

#[test]
fn exports_of_random_graphs_are_of_several_kinds() {
    let mut kinds = [0; 2];
    for seed in 0..50 {
        for export in graph(&recipe(seed)).exports() {
            kinds[usize::from(matches!(export.value, ExportValue::Func(_)))] += 1;
        }
    }
    assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
}
