//! `wattest explain`: what is made of a component.
//!
//! The stages between a component and what is executed, as text: dataflow graph, linear plan, a picture of both, and how an
//! adapter transfers its values.
//!
//! Invariant: nothing of the component runs.
//!
//! Does not know: what the text says.

use crate::command_line::{Command, Flag, Parsed};
use crate::failure::Failure;
use crate::{load, output};
use std::path::Path;
use wattest::component::{Component, View};
use wattest::{Config, Engine, Features};

/// The command.
pub static COMMAND: Command = Command {
    name: "explain",
    operands: "FILE",
    help: "show what is made of a component: its dataflow graph or its plan",
    flags: &[FLAGS],
    passes_arguments: false,
    run,
};

const FLAGS: &[Flag] = &[
    Flag { name: "graph", short: None, value: None, help: "print the dataflow graph after all passes (the default)" },
    Flag { name: "linear", short: None, value: None, help: "print the plan that instantiates the component" },
    Flag { name: "dot", short: None, value: None, help: "print both as a picture in the DOT language" },
    Flag {
        name: "plan",
        short: None,
        value: Some("NODE"),
        help: "print how an adapter of the graph transfers its values, by its name there: n8",
    },
];

fn run(parsed: &Parsed) -> Result<u8, Failure> {
    let path = Path::new(parsed.operand(&COMMAND)?);
    let mut views = Vec::new();
    for (name, view) in [("graph", View::Graph), ("linear", View::Linear), ("dot", View::Dot)] {
        if parsed.has(name) {
            views.push(view);
        }
    }
    views.extend(parsed.texts("plan")?.into_iter().map(|node| View::Plan(node.to_owned())));
    if views.is_empty() {
        views.push(View::Graph);
    }
    let bytes = load::read(path)?;
    let mut config = Config::new();
    config.features(Features::all_implemented());
    let engine = Engine::new(&config).map_err(|error| Failure::new(error.to_string()))?;
    for view in &views {
        let text = Component::explain(&engine, &bytes, view);
        output::print(&text.map_err(|error| Failure::new(format!("{}: {error}", path.display())))?)?;
    }
    Ok(0)
}
