//! The graph properties on random graphs and on chains, and the verifier against plans that are wrong.

use super::*;
use crate::error::{ComponentError, Limit};
use crate::graph::GraphLimits;
use crate::linear::Linear;
use crate::linearize::{LinearLimits, linearize};
use crate::passes::{Pass, Passes, run_passes};
use crate::schedule::Grouping;
use crate::verify::{Property, same_meaning, verify, verify_graph, verify_templates};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use std::collections::BTreeSet;

fn plan(graph: &mut Graph, grouping: Grouping) -> Linear {
    let limits = LinearLimits { groups_max: 1 << 20, ..LinearLimits::default() };
    linearize(graph, grouping, &limits, &mut StubEmitter { binaries: true }).expect("a plan")
}

/// P24 as far as a graph shows it: after any subset of the passes it is valid, has the same effects, its plan means what it
/// means; what only removes unused values changes no meaning at all.
#[test]
fn any_subset_of_passes_leaves_a_graph_that_keeps_its_meaning() {
    for seed in 0..160 {
        let original = graph(&recipe(seed));
        let chosen = Pass::ALL.iter().enumerate().filter(|(at, _)| seed >> at & 1 == 1);
        let passes = chosen.fold(Passes::NONE, |set, (_, pass)| set.with(*pass));
        let mut passed = run_passes(original.clone(), &passes).expect("a smaller graph");
        verify_graph(&passed).unwrap_or_else(|defect| panic!("seed {seed}: {defect}"));
        let effects = |graph: &Graph| {
            let effects = graph.effects().iter().map(|id| match graph.node(*id) {
                Node::Instantiate { module: crate::graph::ModuleRef::Static(module), component, .. } => {
                    (Some(*module), None, *component)
                }
                Node::DefineResource { resource, component, .. } => (None, Some(*resource), *component),
                Node::Instantiate { component, .. } => (None, None, *component),
                other => panic!("{other:?} is no effect"),
            });
            effects.collect::<Vec<_>>()
        };
        assert_eq!(effects(&passed), effects(&original), "seed {seed}");
        let linear = plan(&mut passed, Grouping::Fewest);
        verify(&passed, &linear).unwrap_or_else(|defect| panic!("seed {seed}: {defect}"));
        let dropped = run_passes(original.clone(), &Passes::NONE.with(Pass::DropDead)).expect("a smaller graph");
        same_meaning(&dropped, &original).unwrap_or_else(|defect| panic!("seed {seed}: {defect}"));
    }
}

/// P25 for graphs: text comes back as the same graph, which has the same plan.
#[test]
fn text_comes_back_as_the_same_graph() {
    for seed in 0..150 {
        let mut graph = graph(&recipe(seed));
        let text = crate::graph::print(&graph, None);
        let mut back =
            crate::graph::parse(&text, GraphLimits::default()).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(crate::graph::print(&back, None), text);
        let linear = plan(&mut graph, Grouping::Fewest);
        assert_eq!(plan(&mut back, Grouping::Fewest), linear);
        // Support nodes are there only now; comments do not matter.
        let schedule = crate::schedule::Schedule::of(&graph, Grouping::Fewest);
        let text = crate::graph::print(&graph, Some(&schedule));
        let back = crate::graph::parse(&text, GraphLimits::default()).expect("text with comments");
        assert_eq!(back.nodes(), graph.nodes());
        assert_eq!(back.effects(), graph.effects());
        assert!(!crate::graph::print_plan(&graph.statics, &linear).contains("4294967295"));
    }
}

#[test]
fn broken_text_is_an_error() {
    let check = |text: &str, expected: &str| {
        let error = crate::graph::parse(text, GraphLimits::default()).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    };
    check("component i1", "line 1: row i1 stands where i0 should");
    check("name \"a", "a name without its end");
    check("n0 = flags i0\nn1 = flags i0", "line 2: the value is n0 already");
    check("n0 = lift n0 f0 @i0 utf8", "an operand that comes later");
    check("n0 ! flags i0", "effects have");
    check("n0 = flags i0 i1", "unexpected");
    check("type t14 = string", "no type begins with string");
    check("type t14 = list t20", "there is no t20");
    check("n0 = stub cannot-enter", "the line ends too early");
    check("export x0 \"a\" = func n0", "an export of no value");
}

fn bytes(linear: &Linear) -> Vec<u8> {
    serde_json::to_vec(linear).expect("plain data")
}

/// P1 to P11, P13, P17 to P21, P23 by the verifier; P12 in that both groupings mean the same; P22 in that a second run gives
/// the same bytes; P25 in that these bytes come back equal.
fn check(steps: &[Step]) {
    let mut graph = graph(steps);
    verify_graph(&graph).expect("a valid graph");
    for grouping in [Grouping::Fewest, Grouping::Single] {
        let mut again = super::graph(steps);
        let linear = plan(&mut graph, grouping);
        verify(&graph, &linear).unwrap_or_else(|defect| panic!("{grouping:?}: {defect}"));
        verify_templates(&linear).expect("stubs");
        let text = bytes(&linear);
        if grouping == Grouping::Fewest {
            assert_eq!(text, bytes(&plan(&mut again, grouping)), "P22");
        }
        assert_eq!(serde_json::from_slice::<Linear>(&text).expect("what was written"), linear, "P25");
    }
}

#[test]
fn random_graphs_keep_their_meaning() {
    for seed in 0..400 {
        check(&recipe(seed));
    }
}

#[test]
fn random_graphs_are_as_large_and_as_odd_as_they_should_be() {
    let (mut nodes, mut effects, mut groups, mut layered, mut shared, mut again) = (0, 0, 0, 0, 0, 0);
    let mut shapes = BTreeSet::new();
    const GRAPHS: u64 = 1000;
    for seed in 0..GRAPHS {
        let graph = graph(&recipe(seed));
        nodes += graph.nodes().len();
        effects += graph.effects().len();
        let schedule = crate::schedule::Schedule::of(&graph, Grouping::Fewest);
        groups += schedule.groups.len();
        layered += schedule.groups.iter().filter(|group| group.layer > 0).count();
        shared += schedule.groups.iter().filter(|group| group.members.len() > 1).count();
        again += schedule.live.iter().filter(|live| !**live).count();
        for node in graph.nodes() {
            node.for_each_operand(|role, operand| {
                let user = match node {
                    Node::Fused(_) => "adapter",
                    Node::Lower { .. } => "lowered",
                    Node::Lift { .. } => "lifted",
                    Node::DefineResource { .. } => "resource",
                    Node::Instantiate { .. } => "instance",
                    _ => return,
                };
                let value = match graph.node(operand) {
                    Node::Fused(_) => "adapter",
                    Node::Lower { .. } => "lowered",
                    Node::Project { .. } => "export",
                    Node::Builtin(_) => "builtin",
                    _ => return,
                };
                let role = match role {
                    crate::graph::Role::Callee => "callee",
                    crate::graph::Role::Realloc(_) => "realloc",
                    crate::graph::Role::PostReturn => "post-return",
                    crate::graph::Role::Dtor => "dtor",
                    crate::graph::Role::Arg(_) => "argument",
                    _ => return,
                };
                shapes.insert((user, role, value));
            });
        }
    }
    let graphs = GRAPHS as usize;
    assert!(nodes >= 32 * graphs && effects >= 6 * graphs, "{nodes} nodes, {effects} effects");
    assert!(groups > graphs && layered > graphs / 20 && shared > graphs / 2, "{groups}, {layered}, {shared}");
    assert!(again > graphs, "{again} unused values");
    for user in ["adapter", "lifted"] {
        for role in ["callee", "realloc", "post-return"] {
            for value in ["adapter", "lowered", "export"] {
                assert!(shapes.contains(&(user, role, value)), "no {user} whose {role} is of the kind {value}");
            }
        }
    }
    for value in ["adapter", "lowered", "export"] {
        assert!(shapes.contains(&("lowered", "realloc", value)) && shapes.contains(&("resource", "dtor", value)));
        assert!(shapes.contains(&("instance", "argument", value)));
    }
}

#[test]
fn chains_keep_their_meaning() {
    for chain in Chain::ALL {
        let mut graph = chain.graph(10_000);
        verify_graph(&graph).expect("a valid graph");
        let linear = plan(&mut graph, Grouping::Fewest);
        verify(&graph, &linear).unwrap_or_else(|defect| panic!("{chain:?}: {defect}"));
        let modules = linear.adapters.len();
        match chain {
            Chain::Callee | Chain::Realloc => assert_eq!(modules, 1, "{chain:?}"),
            Chain::Lower => assert_eq!(modules, 0, "{chain:?}"),
            Chain::Indirect | Chain::Instances => assert_eq!(modules, 10_000, "{chain:?}"),
            Chain::Resources => assert!(modules <= 20_001, "{chain:?}: {modules}"),
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (any::<u8>(), any::<[u16; 8]>()).prop_map(|(kind, picks)| Step { kind, picks });
    prop::collection::vec(step, 0..64)
}

/// A runner without files and with a fixed seed.
fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let seed = proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, seed)
}

#[test]
fn any_recipe_keeps_its_meaning() {
    let verdict = runner(200).run(&steps(), |steps| {
        check(&steps);
        Ok(())
    });
    verdict.expect("every graph");
}

/// A failure shrinks to the few steps that matter.
#[test]
fn failures_shrink() {
    let has = |steps: &[Step]| {
        let graph = graph(steps);
        graph.nodes().iter().any(|node| match node {
            Node::Fused(fused) => {
                matches!(graph.node(fused.callee), Node::Fused(_)) && fused.lift.opts.memory.is_some()
            }
            _ => false,
        })
    };
    let failure = runner(500).run(&steps(), |steps| {
        prop_assert!(!has(&steps));
        Ok(())
    });
    match failure {
        Err(TestError::Fail(_, steps)) => assert!(steps.len() <= 4, "{steps:?}"),
        other => panic!("not found: {other:?}"),
    }
}

#[test]
fn operands_are_the_same_in_every_walk() {
    for seed in 0..100 {
        for node in graph(&recipe(seed)).nodes() {
            let mut mapped = Vec::new();
            let same = node.map_operands(|role, operand| {
                mapped.push((role, operand));
                operand
            });
            let mut walked = Vec::new();
            node.for_each_operand(|role, operand| walked.push((role, operand)));
            assert_eq!((&same, mapped), (node, walked));
        }
    }
}

#[test]
fn equal_values_are_one_node_and_effects_are_not() {
    let mut graph = graph(&recipe(1));
    let (nodes, effects) = (graph.nodes().len(), graph.effects().len());
    for node in graph.nodes().to_vec() {
        graph.add(node).expect("below the limits");
    }
    assert_eq!(graph.nodes().len(), nodes + effects);
    assert_eq!(graph.effects().len(), 2 * effects);
}

/// Every fault is found wherever it is planted, and each kind finds places.
#[test]
fn wrong_plans_are_rejected() {
    let mut found = BTreeSet::new();
    for fault in Fault::ALL {
        let mut planted = 0;
        for seed in 0..150 {
            let mut graph = graph(&recipe(seed));
            let mut linear = plan(&mut graph, Grouping::Fewest);
            if fault.plant(&mut linear, &mut Seed(seed)) {
                planted += 1;
                match verify(&graph, &linear) {
                    Err(defect) => _ = found.insert(defect.property),
                    Ok(()) => panic!("{fault:?} was not found in the plan of seed {seed}"),
                }
            }
        }
        assert!(planted >= 20, "{fault:?} was planted {planted} times");
    }
    for property in [1, 2, 3, 5, 6, 8, 9, 10, 17, 18].map(|number| Property::ALL[number - 1]) {
        assert!(found.contains(&property), "no fault broke {property:?}");
    }
}

#[test]
fn adapter_modules_with_effects_are_rejected() {
    let check = |text: &str, expected: bool| {
        let mut linear = Linear::default();
        linear.templates.push(wat::parse_str(text).expect("a module"));
        assert_eq!(verify_templates(&linear).is_ok(), expected, "{text}");
    };
    check("(module (func (export \"0\")))", true);
    check("(module (elem declare func 0) (func))", true);
    check("(module (func (export \"f\")))", false);
    check("(module (func) (start 0))", false);
    check("(module (memory 1))", false);
    check("(module (table 1 funcref))", false);
    check("(module (global i32 i32.const 0))", false);
    check("(module (import \"\" \"0\" (memory 1)) (data (i32.const 0) \"a\"))", false);
    check("(module (import \"\" \"0\" (table 1 funcref)) (func) (elem (i32.const 0) func 0))", false);
}

#[test]
fn graphs_have_limits() {
    let source = Chain::Instances.graph(20);
    let check = |limits: GraphLimits, expected: Option<Limit>| {
        let mut graph = Graph::new(source.statics.clone(), limits);
        let added: Result<Vec<_>, _> = source.nodes().iter().map(|node| graph.add(node.clone())).collect();
        let rows = added
            .and_then(|_| source.exports().iter().map(|row| graph.export(row.clone())).collect::<Result<Vec<_>, _>>());
        assert_eq!(rows.err().map(|error| error.what), expected);
    };
    let all = GraphLimits::default();
    check(all, None);
    check(GraphLimits { nodes_max: 10, ..all }, Some(Limit::Nodes));
    check(GraphLimits { effects_max: 5, ..all }, Some(Limit::Effects));
    check(GraphLimits { operands_max: 5, ..all }, Some(Limit::Operands));
    check(GraphLimits { exports_max: 0, ..all }, Some(Limit::Exports));
}

#[test]
fn plans_have_limits() {
    let check = |limits: LinearLimits, expected: Option<Limit>| {
        let mut graph = Chain::Instances.graph(20);
        let made = linearize(&mut graph, Grouping::Fewest, &limits, &mut StubEmitter { binaries: true });
        let what = match made {
            Err(ComponentError::Limit(error)) => Some(error.what),
            Err(other) => panic!("{other}"),
            Ok(_) => None,
        };
        assert_eq!(what, expected);
    };
    let all = LinearLimits::default();
    check(all, None);
    check(LinearLimits { groups_max: 19, ..all }, Some(Limit::Groups));
    check(LinearLimits { ops_max: 40, ..all }, Some(Limit::Operations));
    check(LinearLimits { adapter_bytes_max: 100, ..all }, Some(Limit::AdapterBytes));
}

/// An emitter that imports what it should not, or less than it should, is an error and no wrong plan.
#[test]
fn emitters_that_break_their_promise_are_caught() {
    struct Broken(fn(&mut Vec<NodeId>, &[NodeId]));
    impl Emit for Broken {
        fn emit(&mut self, graph: &mut Graph, members: &[NodeId]) -> Result<Emitted, ComponentError> {
            let mut emitted = StubEmitter::default().emit(graph, members)?;
            (self.0)(&mut emitted.imports, members);
            Ok(emitted)
        }
    }
    let check = |breaking: fn(&mut Vec<NodeId>, &[NodeId])| {
        let mut graph = Chain::Instances.graph(3);
        let made = linearize(&mut graph, Grouping::Fewest, &LinearLimits::default(), &mut Broken(breaking));
        assert!(matches!(made, Err(ComponentError::Rejected(_))), "{made:?}");
    };
    check(|imports, _| imports.clear());
    check(|imports, members| imports.push(members[0]));
    check(|imports, _| imports.push(NodeId(1 << 30)));
}
