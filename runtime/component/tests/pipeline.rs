//! Components with their graphs and plans, as files.
//!
//! `pipeline/*.wat` holds components, `.expected` beside each the graph as it was elaborated, the graph after all passes and
//! the [plan](wattest_component::Plan). `passes/*.wat` holds components, `.expected` beside each the graph before a pass and
//! after it, for the pass that the first line names: `;; pass: drop-dead`.
//!
//! Invariant: every graph reads back from its text; every plan is verified, with all passes, with none and with each one
//! alone; compiling twice gives the same bytes. `UPDATE=1` writes what is found.
//!
//! Does not know: how a plan is executed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use wattest_component::graph::{parse, print, print_plan};
use wattest_component::schedule::{Grouping, Schedule};
use wattest_component::{
    CompileOptions, ComponentError, DecodeOptions, Features, Graph, Node, Pass, Passes, View, compile,
    compile_with_graph, explain, graph_of,
};

fn options(passes: Passes) -> CompileOptions {
    let core = wattest_module::Features::default().with(wattest_module::Feature::Exceptions);
    let decode = DecodeOptions { features: Features::all(core), ..DecodeOptions::default() };
    CompileOptions { decode, passes, verify: true, ..CompileOptions::default() }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let entries = std::fs::read_dir(folder).expect("a folder of cases");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wat"));
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn bless(path: &Path, found: &str) {
    let expected = path.with_extension("expected");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&expected, found).expect("a writable folder");
    }
    let text = std::fs::read_to_string(&expected).unwrap_or_default();
    assert_eq!(found, text, "{}: UPDATE=1 writes what is found", path.display());
}

fn ok<T>(path: &Path, result: Result<T, ComponentError>) -> T {
    result.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The graph's text, which has to read back.
fn text_of(graph: &Graph) -> String {
    let text = print(graph, None);
    let back = parse(&text, graph.limits()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(print(&back, None), text);
    text
}

#[test]
fn components_have_the_expected_plans() {
    for path in files("pipeline") {
        let binary = wat::parse_file(&path).unwrap_or_else(|error| panic!("{error}"));
        let plain = ok(&path, graph_of(&binary, &options(Passes::NONE)));
        let graph = ok(&path, graph_of(&binary, &options(Passes::all())));
        let plan = ok(&path, compile(&binary, &options(Passes::all())));
        let mut found = format!(";; elaborated\n{}", text_of(&plain));
        text_of(&graph);
        let scheduled = print(&graph, Some(&Schedule::of(&graph, Grouping::Fewest)));
        write!(found, "\n;; after passes\n{scheduled}\n;; plan\n{}", print_plan(&plan.statics, &plan.linear))
            .expect("memory");
        bless(&path, &found);
    }
}

#[test]
fn passes_do_what_they_say() {
    let mut seen = Vec::new();
    for path in files("passes") {
        let source = std::fs::read_to_string(&path).expect("a readable file");
        let name = source.lines().next().and_then(|line| line.strip_prefix(";; pass: ")).expect("a pass");
        let pass = *Pass::ALL.iter().find(|pass| pass.name() == name).expect("a known pass");
        seen.push(pass);
        let binary = wat::parse_str(&source).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut found = String::new();
        // A pass that acts when adapters are emitted shows in the graph with what they import.
        for (title, passes) in [("before", Passes::NONE), ("after", Passes::NONE.with(pass))] {
            let (graph, _) = ok(&path, compile_with_graph(&binary, &options(passes)));
            write!(found, ";; {title}\n{}\n", text_of(&graph)).expect("memory");
        }
        bless(&path, &found);
    }
    for pass in Pass::ALL {
        assert!(seen.contains(pass), "no file for the pass `{}`", pass.name());
    }
}

/// Every component, of both folders, with no pass, all passes, each one alone and each one missing, in both groupings.
#[test]
fn plans_verify_with_any_passes() {
    for path in files("pipeline").into_iter().chain(files("passes")) {
        let binary = wat::parse_file(&path).unwrap_or_else(|error| panic!("{error}"));
        let alone = Pass::ALL.iter().map(|pass| Passes::NONE.with(*pass));
        let missing = Pass::ALL.iter().map(|pass| Passes::all().without(*pass));
        for passes in alone.chain(missing).chain([Passes::NONE, Passes::all()]) {
            for grouping in [Grouping::Fewest, Grouping::Single] {
                let options = CompileOptions { grouping, ..options(passes) };
                let plan = ok(&path, compile(&binary, &options));
                let again = compile(&binary, &options).expect("a plan");
                assert_eq!(serde_json::to_vec(&plan).ok(), serde_json::to_vec(&again).ok());
            }
        }
    }
}

#[test]
fn every_stage_of_every_component_has_a_text() {
    for path in files("pipeline").into_iter().chain(files("passes")) {
        let binary = wat::parse_file(&path).unwrap_or_else(|error| panic!("{error}"));
        for view in [View::Graph, View::Linear, View::Dot] {
            assert!(!ok(&path, explain(&binary, &options(Passes::all()), &view)).is_empty());
        }
        let graph = ok(&path, graph_of(&binary, &options(Passes::all())));
        for (at, node) in graph.nodes().iter().enumerate() {
            let text = explain(&binary, &options(Passes::all()), &View::Plan(format!("n{at}")));
            assert_eq!(text.is_ok(), matches!(node, Node::Fused(_)), "n{at}: {text:?}");
        }
    }
}
