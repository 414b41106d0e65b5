//! The stages between a component and its native code, carried out one by one.
//!
//! Four semantics of one component are compared, so that a disagreement names who is wrong: the reference's evaluator on the
//! syntax (R), the dataflow graph in a random legal order (G), the linear plan (L) by what its adapters mean and by the code
//! that was emitted for them, both in an interpreter; and the runtime, which others compare. What is compared is a [`Trace`]:
//! instantiations, start functions, calls of the host, of allocators, post-return functions and destructors, traps by class,
//! results, and memories in the end
//! ([instantiation](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#instance-definitions)).
//!
//! | Stage | Compared | Who made the difference |
//! |---|---|---|
//! | elaborate | R and G, before any pass | decoding, elaboration, `canon` |
//! | passes | G before and after the passes | a pass |
//! | linear | G and L, adapters by their meaning | schedule, linearization |
//! | fuse | L by meaning and by emitted code | transfer plans, emitter, what passes told it |
//! | grouping | L and L with other adapter modules | schedule |
//!
//! Invariant: a [`Trace`] does not depend on seeds; the first stage that differs is the one that is named.
//!
//! Does not know: where components come from, native code.

mod calls;
pub mod core;
mod interpreters;
mod machine;
mod runs;
mod tables;
mod trace;
mod trampolines;
mod values;

pub use interpreters::Interpreters;
pub use runs::{Adapters, run_graph, run_plan};
pub use trace::{Trace, compare_traces};

use crate::components::{ComponentCall, ComponentCase, ComponentEnding, HostLog, ReferenceHost, reference_ending};
use wattest_component::schedule::Grouping;
use wattest_component::{
    CompileOptions, ComponentError, Features, Graph, Pass, Passes, Plan, compile, compile_with_graph, graph_of,
};
use wattest_reference::component::{Component, Evaluator, Limits};

/// Who made the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The reference itself.
    Reference,
    /// The compiler refuses the component, or rejects its own plan.
    Compile,
    /// Decoding and elaboration.
    Elaborate,
    /// A pass over the graph.
    Passes,
    /// Schedule and linearization.
    Linear,
    /// Adapters.
    Fuse,
    /// How adapters are put into modules.
    Grouping,
}

impl Stage {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Reference => "reference",
            Stage::Compile => "compile",
            Stage::Elaborate => "elaborate",
            Stage::Passes => "passes",
            Stage::Linear => "linear",
            Stage::Fuse => "fuse",
            Stage::Grouping => "grouping",
        }
    }
}

/// The first stage that differs, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Who made it.
    pub stage: Stage,
    /// What differs.
    pub what: String,
}

/// What a compiler made of a component, stage by stage.
#[derive(Clone, Debug)]
pub struct Artifacts {
    /// The graph as it is elaborated.
    pub bare: Graph,
    /// The graph after the passes.
    pub graph: Graph,
    /// Its plan.
    pub plan: Plan,
    /// Other plans that must do the same: with other passes and other adapter modules.
    pub others: Vec<(String, Plan)>,
}

impl Artifacts {
    /// Compiles a component. The seed chooses which other plans there are: another grouping, a pass less.
    ///
    /// # Errors
    /// Whatever compiling ends in.
    pub fn of(wasm: &[u8], seed: u64) -> Result<Artifacts, ComponentError> {
        let mut options = CompileOptions { verify: true, ..CompileOptions::default() };
        options.decode.bodies = false;
        options.decode.features = Features::all(options.decode.features.core);
        let bare = graph_of(wasm, &CompileOptions { passes: Passes::NONE, ..options })?;
        let (graph, plan) = compile_with_graph(wasm, &options)?;
        let pass = Pass::ALL[(seed % Pass::ALL.len() as u64) as usize];
        let without = Passes::all().without(pass);
        let variants = [
            (Passes::NONE, Grouping::Fewest),
            (without, Grouping::Single),
            (without, Grouping::Fewest),
            (Passes::all(), Grouping::Seeded(seed)),
        ];
        let mut others = Vec::new();
        for (passes, grouping) in variants {
            let plan = compile(wasm, &CompileOptions { passes, grouping, ..options })?;
            others.push((format!("{passes:?} {grouping:?}"), plan));
        }
        Ok(Artifacts { bare, graph, plan, others })
    }
}

/// What the reference's evaluator does.
///
/// # Errors
/// When it does not take the component.
pub fn run_reference(case: &ComponentCase) -> Result<Trace, String> {
    let component = Component::decode(&case.wasm).map_err(|error| error.to_string())?;
    in_segments(case, |calls| run_segment(case, &component, calls))
}

fn run_segment(case: &ComponentCase, component: &Component, calls: &[ComponentCall]) -> Result<Trace, String> {
    let host = ReferenceHost { script: case.host.clone(), log: HostLog::default() };
    let mut evaluator = Evaluator::new(Limits::default(), Box::new(host)).keeping_nans();
    let mut trace = Trace::default();
    match evaluator.instantiate(component) {
        Err(failure) => trace.push(evaluator.take_trace(), Ok(reference_ending(failure)?)),
        Ok(root) => {
            trace.push(evaluator.take_trace(), Ok(ComponentEnding::Value(None)));
            for call in calls {
                let func = root.func(&[&call.instance, &call.func]).ok_or_else(|| format!("no export {call:?}"))?;
                let ending = match evaluator.call(&func, &call.args) {
                    Ok(value) => ComponentEnding::Value(value),
                    Err(failure) => reference_ending(failure)?,
                };
                trace.push(evaluator.take_trace(), Ok(ending));
                if case.renews && trace.ends_badly() {
                    break;
                }
            }
        }
    }
    let store = evaluator.store();
    for instance in store.instances() {
        let memories = instance.exports.values().filter_map(|item| match item {
            wattest_reference::Extern::Memory(memory) => Some(&store.memory(*memory).bytes),
            _ => None,
        });
        trace.memories.push(memories.map(|bytes| xxhash_rust::xxh3::xxh3_64(bytes)).collect());
    }
    Ok(trace)
}

/// A case whose instance is a new one after each call that trapped: one run after the other.
fn in_segments(
    case: &ComponentCase,
    mut run: impl FnMut(&[ComponentCall]) -> Result<Trace, String>,
) -> Result<Trace, String> {
    let mut whole = run(&case.calls)?;
    let mut done = whole.record.len().saturating_sub(1);
    while case.renews && whole.ends_badly() && (1..case.calls.len()).contains(&done) {
        let part = run(&case.calls[done..])?;
        let count = part.record.len().saturating_sub(1);
        whole.append(part);
        if count == 0 {
            break;
        }
        done += count;
    }
    Ok(whole)
}

/// Compares the stages of a component with the reference's trace, and each with the one before.
///
/// # Errors
/// The first that differs.
pub fn compare_stages(
    engine: &Interpreters,
    reference: &Trace,
    artifacts: &Artifacts,
    case: &ComponentCase,
    seed: u64,
) -> Result<(), Divergence> {
    let differ = |stage: Stage, left: &Trace, right: &Trace| match compare_traces(left, right) {
        None => Ok(()),
        Some(what) => Err(Divergence { stage, what }),
    };
    let bare = run_graph(engine, &artifacts.bare, case, seed);
    differ(Stage::Elaborate, reference, &bare)?;
    let graph = run_graph(engine, &artifacts.graph, case, seed.rotate_left(32));
    differ(Stage::Passes, &bare, &graph)?;
    let meant = run_plan(engine, &artifacts.plan, case, Adapters::Meaning);
    differ(Stage::Linear, &graph, &meant)?;
    let emitted = run_plan(engine, &artifacts.plan, case, Adapters::Emitted);
    differ(Stage::Fuse, &meant, &emitted)?;
    for (name, plan) in &artifacts.others {
        let other = run_plan(engine, plan, case, Adapters::Emitted);
        differ(Stage::Grouping, &meant, &other)
            .map_err(|found| Divergence { what: format!("{name}: {}", found.what), ..found })?;
    }
    Ok(())
}

/// All of it: reference, compiler, stages.
///
/// # Errors
/// The first stage that differs.
pub fn check_stages(engine: &Interpreters, case: &ComponentCase, seed: u64) -> Result<Trace, Divergence> {
    let reference = run_reference(case).map_err(|what| Divergence { stage: Stage::Reference, what })?;
    let artifacts = Artifacts::of(&case.wasm, seed)
        .map_err(|error| Divergence { stage: Stage::Compile, what: error.to_string() })?;
    compare_stages(engine, &reference, &artifacts, case, seed)?;
    Ok(reference)
}
