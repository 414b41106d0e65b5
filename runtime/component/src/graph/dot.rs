//! Graphs as pictures: input for [Graphviz](https://graphviz.org/doc/info/lang.html).
//!
//! Effects are a spine of boxes, adapters that share a module are a cluster, edges point from users to operands and say in
//! which role.
//!
//! Invariant: equal graphs give equal text.
//!
//! Does not know: how pictures are drawn.

use crate::graph::{Graph, Node, Role};
use crate::ids::NodeId;
use crate::schedule::Schedule;
use std::fmt::{self, Write};

/// A graph as a picture, of what effects and exports use.
pub fn dot(graph: &Graph, schedule: &Schedule) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ok = write(&mut text, graph, schedule);
    text
}

fn write(f: &mut String, graph: &Graph, schedule: &Schedule) -> fmt::Result {
    writeln!(f, "digraph component {{\n  rankdir = TB;\n  node [fontname = monospace];")?;
    for (at, group) in schedule.groups.iter().enumerate() {
        write!(f, "  subgraph cluster_a{at} {{ label = \"adapters a{at}\";")?;
        for member in &group.members {
            write!(f, " {member};")?;
        }
        writeln!(f, " }}")?;
    }
    let live = |id: &NodeId| schedule.live.get(id.index()).is_some_and(|live| *live);
    for (id, node) in (0..).map(NodeId).zip(graph.nodes()).filter(|(id, _)| live(id)) {
        let shape = if node.is_effect() { "box, style = bold" } else { "ellipse" };
        writeln!(f, "  {id} [label = \"{id} {}\", shape = {shape}];", label(node))?;
        let mut edges = String::new();
        node.for_each_operand(|role, operand| {
            let _ok = writeln!(edges, "  {id} -> {operand} [label = \"{}\"];", role_word(role));
        });
        f.write_str(&edges)?;
    }
    for pair in graph.effects().windows(2) {
        writeln!(f, "  {} -> {} [style = dotted, weight = 10, constraint = true];", pair[0], pair[1])?;
    }
    for (at, export) in graph.exports().iter().enumerate() {
        if let Some(operand) = export.operand() {
            writeln!(f, "  x{at} [label = \"export x{at}\", shape = house];\n  x{at} -> {operand};")?;
        }
    }
    writeln!(f, "}}")
}

fn label(node: &Node<NodeId>) -> String {
    match node {
        Node::Instantiate { module: crate::graph::ModuleRef::Static(module), component, .. } => {
            format!("instantiate {module} @{component}")
        }
        Node::Instantiate { component, .. } => format!("instantiate host @{component}"),
        Node::DefineResource { resource, component, .. } => format!("resource {} @{component}", resource.0),
        Node::Import(import) => format!("import {import}"),
        Node::Project { ty, .. } => format!("{:?}", ty.sort()).to_lowercase(),
        Node::Lower { side, .. } => format!("lower {}", side.ty),
        Node::Builtin(builtin) => builtin.row.name().into(),
        Node::Fused(fused) => {
            format!("adapter {} @{} to @{}", fused.lift.ty, fused.lower.opts.component, fused.lift.opts.component)
        }
        Node::Support(intrinsic) => intrinsic.name().into(),
        Node::Flags(component) => format!("flags {component}"),
        Node::TrapStub { .. } => "trap".into(),
        Node::Lift { side, .. } => format!("lift {}", side.ty),
    }
}

fn role_word(role: Role) -> String {
    match role {
        Role::Arg(at) => at.to_string(),
        Role::Memory(_) => "memory".into(),
        Role::Realloc(_) => "realloc".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}
