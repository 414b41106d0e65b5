//! The stages between a component and native code, carried out one by one: their traces are equal, and when one of them is
//! made wrong on purpose it is the one that is named.

use std::collections::BTreeMap;
use wattest_canon::Encoding;
use wattest_component::graph::{Args, Node, Role};
use wattest_component::schedule::Grouping;
use wattest_component::{
    CompileOptions, Features, FuseEmitter, Graph, LinearLimits, NodeId, Op, Pass, Passes, Plan, SlotKind, compile,
    linearize,
};
use wattest_differential::components::{ComponentCall, ComponentCase, ComponentEnding};
use wattest_differential::dfg::{
    Adapters, Artifacts, Divergence, Interpreters, Stage, Trace, check_stages, compare_stages, compare_traces,
    run_graph, run_plan, run_reference,
};
use wattest_harness::generate_component::{Scenario, Theme};
use wattest_harness::source::case_seed;
use wattest_reference::TrapClass;
use wattest_reference::component::Event;

/// Scenarios of a theme, by number.
fn scenarios(theme: Theme, count: u64) -> impl Iterator<Item = (u64, Scenario)> {
    (0..count).map(move |index| {
        let seed = case_seed(11, index);
        (seed, Scenario::from_seed(theme, seed).unwrap())
    })
}

fn options(passes: Passes, grouping: Grouping) -> CompileOptions {
    let mut options = CompileOptions { passes, grouping, verify: true, ..CompileOptions::default() };
    options.decode.features = Features::all(options.decode.features.core);
    options
}

fn plan(wasm: &[u8], passes: Passes, grouping: Grouping) -> Plan {
    compile(wasm, &options(passes, grouping)).unwrap()
}

/// Every kind of event, and how often it was seen.
fn count(trace: &Trace, seen: &mut BTreeMap<&'static str, u32>) {
    for event in trace.steps.iter().flatten() {
        let name = match event {
            Event::Instantiate { .. } => "instantiate",
            Event::Start { .. } => "start",
            Event::HostCall { .. } => "host call",
            Event::Realloc { .. } => "realloc",
            Event::PostReturn { .. } => "post-return",
            Event::Dtor { .. } => "dtor",
            Event::Trap(_) => "trap",
            Event::Return(_) => "return",
        };
        *seen.entry(name).or_default() += 1;
    }
}

#[test]
fn every_stage_of_random_components_has_the_same_trace() {
    let engine = Interpreters::default();
    let mut seen = BTreeMap::new();
    for theme in Theme::ALL {
        for (seed, scenario) in scenarios(theme, 8) {
            match check_stages(&engine, &scenario.case, seed) {
                Ok(trace) => count(&trace, &mut seen),
                Err(found) => panic!("{theme:?} {seed:#x}: {found:?}"),
            }
        }
    }
    for kind in ["instantiate", "start", "host call", "realloc", "post-return", "dtor", "trap", "return"] {
        assert!(seen.get(kind).is_some_and(|count| *count > 2), "{kind}: {seen:?}");
    }
}

#[test]
fn graphs_in_any_legal_order_have_one_trace() {
    let engine = Interpreters::default();
    for (seed, scenario) in scenarios(Theme::Dataflow, 4) {
        let artifacts = Artifacts::of(&scenario.case.wasm, seed).unwrap();
        let first = run_graph(&engine, &artifacts.graph, &scenario.case, 1);
        for order in 2..6 {
            let other = run_graph(&engine, &artifacts.graph, &scenario.case, order << 32 | seed);
            assert_eq!(first, other, "{seed:#x} {order}");
        }
    }
}

/// P12.
#[test]
fn any_legal_grouping_gives_equal_traces() {
    let engine = Interpreters::default();
    let mut counts = std::collections::BTreeSet::new();
    for (seed, scenario) in scenarios(Theme::Dataflow, 6) {
        let mut traces = Vec::new();
        let seeded = (1..5).map(|number| Grouping::Seeded(seed ^ number));
        for grouping in [Grouping::Fewest, Grouping::Single].into_iter().chain(seeded) {
            let plan = plan(&scenario.case.wasm, Passes::all(), grouping);
            counts.insert(plan.linear.adapters.len());
            traces.push(run_plan(&engine, &plan, &scenario.case, Adapters::Emitted));
        }
        for other in &traces[1..] {
            assert_eq!(compare_traces(&traces[0], other), None, "{seed:#x}");
        }
    }
    assert!(counts.len() > 3, "groupings hardly differ: {counts:?}");
}

/// P24: with each pass left out, and with none.
#[test]
fn passes_commute_with_traces() {
    let engine = Interpreters::default();
    for (seed, scenario) in scenarios(Theme::Dataflow, 4).chain(scenarios(Theme::Hostile, 2)) {
        let all = plan(&scenario.case.wasm, Passes::all(), Grouping::Fewest);
        let all = run_plan(&engine, &all, &scenario.case, Adapters::Emitted);
        let without = Pass::ALL.iter().map(|pass| Passes::all().without(*pass));
        for passes in [Passes::NONE].into_iter().chain(without) {
            let plan = plan(&scenario.case.wasm, passes, Grouping::Fewest);
            let other = run_plan(&engine, &plan, &scenario.case, Adapters::Emitted);
            assert_eq!(compare_traces(&all, &other), None, "{seed:#x} {passes:?}");
        }
    }
}

fn rule(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/components");
    wat::parse_file(folder.join(name)).unwrap()
}

/// Calls functions without parameters of the instance `i`, each in an instance of its own.
fn check_rule(wasm: &[u8], rows: &[(&str, Result<(), TrapClass>)]) {
    let engine = Interpreters::default();
    for (func, expected) in rows {
        let calls = vec![ComponentCall { instance: "i".into(), func: (*func).into(), args: Vec::new() }];
        let case = ComponentCase { wasm: wasm.to_vec(), calls, ..ComponentCase::default() };
        let trace = check_stages(&engine, &case, 5).unwrap_or_else(|found| panic!("{func}: {found:?}"));
        match (&trace.record[1], expected) {
            (ComponentEnding::Value(_), Ok(())) => {}
            (ComponentEnding::Trap(class), Err(expected)) if class == expected => {}
            other => panic!("{func}: {other:?}"),
        }
    }
}

/// P14.
#[test]
fn verdicts_on_leaving_are_those_of_the_specification() {
    let left = Err(TrapClass::CannotLeave);
    check_rule(
        &rule("verdicts.wat"),
        &[
            ("nothing", Ok(())),
            ("realloc-calls", left),
            ("realloc-makes", left),
            ("realloc-drops", left),
            ("realloc-asks", Ok(())),
            ("post-calls", left),
            ("post-makes", left),
            ("post-drops", left),
            ("post-asks", Ok(())),
        ],
    );
    check_rule(
        &rule("own-instance-in-realloc.wat"),
        &[("plain", Ok(())), ("realloc", left), ("own", Err(TrapClass::CannotEnter))],
    );
}

/// P16.
#[test]
fn the_current_task_is_seen_everywhere() {
    check_rule(&rule("current-task.wat"), &[("start", Ok(())), ("call", Ok(())), ("own", Ok(())), ("dtor", Ok(()))]);
}

/// P13: an allocator that grows the memory while a string is on its way, in every pair of encodings.
#[test]
fn transcoders_see_memories_that_grow_under_them() {
    let engine = Interpreters::default();
    let mut grown = 0;
    for from in ["utf8", "utf16", "latin1+utf16"] {
        for to in ["utf8", "utf16", "latin1+utf16"] {
            let wasm = wat::parse_str(growing(from, to)).unwrap();
            let args = vec![wattest_reference::component::Val::String("\u{e9}".repeat(70_000).as_str().into())];
            let calls = vec![ComponentCall { instance: "i".into(), func: "f".into(), args }];
            let case = ComponentCase { wasm, calls, ..ComponentCase::default() };
            let trace = check_stages(&engine, &case, 3).unwrap_or_else(|found| panic!("{from} {to}: {found:?}"));
            assert!(matches!(trace.record[1], ComponentEnding::Value(Some(_))), "{from} {to}: {:?}", trace.record);
            grown += trace.steps[1].iter().filter(|event| matches!(event, Event::Realloc { .. })).count();
        }
    }
    assert!(grown >= 18, "{grown} calls of allocators");
}

/// Two instances whose allocators grow their memory at every call and put things at its end.
fn growing(from: &str, to: &str) -> String {
    let libc = r#"(core module $libc (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
        (local.set $at (i32.mul (i32.const 65536) (memory.size)))
        (drop (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get 3) (i32.const 16)))))
        (memory.copy (local.get $at) (local.get 0)
          (select (local.get 1) (local.get 3) (i32.lt_u (local.get 1) (local.get 3))))
        (local.get $at)))
      (core instance $libc (instantiate $libc))"#;
    let options =
        r#"(memory (core memory $libc "mem")) (realloc (core func $libc "realloc")) string-encoding="#.to_owned();
    format!(
        r#"(component
      (component $C {libc}
        (core module $m (import "" "mem" (memory 1))
          (func (export "f") (param i32 i32) (result i32)
            (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16)))
        (core instance $m (instantiate $m (with "" (instance (export "mem" (memory $libc "mem"))))))
        (func (export "f") (param "s" string) (result string) (canon lift (core func $m "f") {options}{to})))
      (component $D (import "f" (func $f (param "s" string) (result string))) {libc}
        (core func $f (canon lower (func $f) {options}{from}))
        (core module $m (import "" "mem" (memory 1)) (import "" "f" (func $f (param i32 i32 i32)))
          (func (export "f") (param i32 i32) (result i32)
            (call $f (local.get 0) (local.get 1) (i32.const 32)) (i32.const 32)))
        (core instance $m (instantiate $m (with "" (instance (export "mem" (memory $libc "mem")) (export "f" (func $f))))))
        (func (export "f") (param "s" string) (result string) (canon lift (core func $m "f") {options}{from})))
      (instance $c (instantiate $C))
      (instance $i (instantiate $D (with "f" (func $c "f"))))
      (export "i" (instance $i)))"#
    )
}

/// P15: whatever traps, in a start function, in a destructor, in an allocator, nothing happens after it, and the instance
/// is not entered again.
#[test]
fn a_trap_in_an_effect_is_the_last_thing_that_happens() {
    let engine = Interpreters::default();
    let (mut in_start, mut in_calls) = (0, 0);
    for (seed, scenario) in scenarios(Theme::Dataflow, 60) {
        let case = ComponentCase { renews: false, ..scenario.case };
        let reference = run_reference(&case).unwrap();
        let is_trap = |ending: &ComponentEnding| matches!(ending, ComponentEnding::Trap(_));
        let Some(at) = reference.record.iter().position(is_trap) else { continue };
        let artifacts = Artifacts::of(&case.wasm, seed).unwrap();
        compare_stages(&engine, &reference, &artifacts, &case, seed).unwrap();
        let trace = run_plan(&engine, &artifacts.plan, &case, Adapters::Emitted);
        for later in &trace.record[at + 1..] {
            assert_eq!(*later, ComponentEnding::Trap(TrapClass::CannotEnter), "{seed:#x}");
        }
        assert!(trace.steps[at + 1..].iter().all(Vec::is_empty), "{seed:#x}: {:?}", trace.steps);
        match at {
            0 => in_start += 1,
            _ => in_calls += 1,
        }
    }
    assert!(in_start > 3 && in_calls > 3, "{in_start} in start functions, {in_calls} in calls");
}

/// A graph with the operands of some node changed.
fn rewired(graph: &Graph, mut change: impl FnMut(&Graph, &Node<NodeId>, Role, NodeId) -> NodeId) -> Graph {
    let mut new = Graph::new(graph.statics.clone(), graph.limits());
    let mut ids: Vec<NodeId> = Vec::new();
    for node in graph.nodes() {
        let node = node.map_operands(|role, operand| ids[change(graph, node, role, operand).index()]);
        ids.push(new.add(node).unwrap());
    }
    for export in graph.exports() {
        new.export(export.try_map(|operand| Ok::<_, String>(ids[operand.index()])).unwrap()).unwrap();
    }
    new
}

/// The callee of every adapter is another function of the same type, where there is one.
fn with_wrong_callees(graph: &Graph) -> Graph {
    rewired(graph, |graph, node, role, operand| {
        if role != Role::Callee || !matches!(node, Node::Fused(_)) {
            return operand;
        }
        let older = (0..graph.nodes().len() as u32).map(NodeId).take_while(|id| *id < operand);
        let is_other = |id: &NodeId| {
            graph.node(*id).signature().is_some() && graph.node(*id).signature() == graph.node(operand).signature()
        };
        older.filter(is_other).last().unwrap_or(operand)
    })
}

fn with_swapped_effects(plan: &mut Plan) {
    let user = |op: &Op| matches!(op, Op::Instantiate { args: Args::Positional(args), .. } if args.is_empty());
    let at: Vec<usize> = (0..plan.linear.ops.len()).filter(|at| user(&plan.linear.ops[*at])).collect();
    if let [one, other, ..] = at[..] {
        plan.linear.ops.swap(one, other);
    }
}

fn with_a_wrong_slot(plan: &mut Plan) {
    for op in &mut plan.linear.ops {
        if let Op::Instantiate { args: Args::Positional(args), .. } = op
            && let Some(arg) = args.iter_mut().find(|arg| arg.kind == SlotKind::Func && arg.index > 0)
        {
            arg.index -= 1;
            return;
        }
    }
}

fn without_a_load(plan: &mut Plan) {
    let is_load = |op: &Op| matches!(op, Op::Load { .. });
    let at = plan.linear.ops.iter().position(is_load).unwrap();
    plan.linear.ops.remove(at);
}

/// Adapters that write strings in another encoding than their callees read.
fn with_wrong_adapters(plan: &mut Plan, graph: &Graph) {
    let mut new = Graph::new(graph.statics.clone(), graph.limits());
    let mut ids: Vec<NodeId> = Vec::new();
    for node in graph.nodes() {
        let mut node = node.map_operands(|_, operand| ids[operand.index()]);
        if let Node::Fused(fused) = &mut node {
            let encoding = &mut fused.lift.opts.encoding;
            *encoding = if *encoding == Encoding::Utf8 { Encoding::Utf16 } else { Encoding::Utf8 };
        }
        ids.push(new.add(node).unwrap());
    }
    for export in graph.exports() {
        new.export(export.try_map(|operand| Ok::<_, String>(ids[operand.index()])).unwrap()).unwrap();
    }
    let mut emitter = FuseEmitter::new(&new, &Passes::all());
    let linear = linearize(&mut new, Grouping::Fewest, &LinearLimits::default(), &mut emitter).unwrap();
    assert_eq!(linear.adapters.len(), plan.linear.adapters.len());
    let templates =
        plan.linear.adapters.iter().zip(&linear.adapters).map(|(row, wrong)| (row.template, wrong.template));
    let templates: BTreeMap<u32, u32> = templates.collect();
    for (at, template) in (0..).zip(&mut plan.linear.templates) {
        *template = linear.templates[templates[&at] as usize].clone();
    }
}

/// Makes one stage wrong in every scenario where it can be: whatever is found names that stage, and something is found.
fn check_fault(stage: Stage, plant: impl Fn(&mut Artifacts)) {
    let engine = Interpreters::default();
    let mut found = 0;
    for (seed, scenario) in scenarios(Theme::Dataflow, 14) {
        let reference = run_reference(&scenario.case).unwrap();
        let mut artifacts = Artifacts::of(&scenario.case.wasm, seed).unwrap();
        if artifacts.plan.linear.adapters.is_empty() {
            continue;
        }
        plant(&mut artifacts);
        match compare_stages(&engine, &reference, &artifacts, &scenario.case, seed) {
            Ok(()) => {}
            Err(Divergence { stage: named, .. }) if named == stage => found += 1,
            Err(other) => panic!("{seed:#x}: {other:?} instead of {stage:?}"),
        }
    }
    assert!(found >= 3, "{stage:?}: found in {found} scenarios");
}

#[test]
fn a_stage_that_is_wrong_is_named() {
    check_fault(Stage::Elaborate, |artifacts| artifacts.bare = with_wrong_callees(&artifacts.bare));
    check_fault(Stage::Passes, |artifacts| artifacts.graph = with_wrong_callees(&artifacts.graph));
    check_fault(Stage::Linear, |artifacts| with_swapped_effects(&mut artifacts.plan));
    check_fault(Stage::Linear, |artifacts| with_a_wrong_slot(&mut artifacts.plan));
    check_fault(Stage::Linear, |artifacts| without_a_load(&mut artifacts.plan));
    check_fault(Stage::Fuse, |artifacts| with_wrong_adapters(&mut artifacts.plan, &artifacts.graph));
    check_fault(Stage::Grouping, |artifacts| {
        let (_, other) = &mut artifacts.others[0];
        with_a_wrong_slot(other);
    });
}
