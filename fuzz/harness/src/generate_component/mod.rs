//! Random components, top-down.
//!
//! First the world (types, functions), then the tree of component definitions that passes its calls on ([`layers`]), then
//! how it is presented (which instances there are, whole or taken apart and put together again, what is defined and never
//! used), at last the calls. All from the bytes of one seed.
//!
//! Invariant: a [`Scenario`] is a valid component; equal bytes give equal scenarios.
//!
//! Does not know: engines.

pub mod layers;
pub mod libc;
pub mod resources;
pub mod types;
pub mod values;

use crate::source::{Source, expand};
use layers::{Layer, Writer};
use std::fmt::Write;
use types::Types;
use wattest_differential::components::{ComponentCall, ComponentCase, HostScript};

/// Changes when a seed gives another scenario.
pub const GENERATOR_VERSION: u32 = 2;

/// What scenarios are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Values of every type through every pair of encodings and locations.
    Values,
    /// Raw bits where values should be, allocators that misbehave, calls where none are allowed.
    Hostile,
    /// Owned and borrowed handles.
    Resources,
}

impl Theme {
    /// All of them.
    pub const ALL: [Theme; 3] = [Theme::Values, Theme::Hostile, Theme::Resources];
}

/// A component and what is called.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Chooses the subject's configuration.
    pub subject: u8,
    /// Text.
    pub text: String,
    /// What engines run.
    pub case: ComponentCase,
}

impl Scenario {
    /// The scenario of a seed.
    ///
    /// # Errors
    /// When the text does not parse: a mistake of this generator.
    pub fn from_seed(theme: Theme, seed: u64) -> Result<Scenario, String> {
        Scenario::from_bytes(theme, &expand(seed))
    }

    /// The scenario of these bytes.
    ///
    /// # Errors
    /// When the text does not parse: a mistake of this generator.
    pub fn from_bytes(theme: Theme, bytes: &[u8]) -> Result<Scenario, String> {
        let mut source = Source::new(bytes);
        let subject = source.byte();
        let (text, calls) = match theme {
            Theme::Values => chain(&mut source, false),
            Theme::Hostile => chain(&mut source, true),
            Theme::Resources => resources::generate(&mut source),
        };
        let wasm = wat::parse_str(&text).map_err(|error| format!("{error}\n{text}"))?;
        Ok(Scenario { subject, text, case: ComponentCase { wasm, calls, host: HostScript::default() } })
    }
}

/// The name of an instance of a layer.
fn instance_name(layer: usize, copy: usize) -> String {
    format!("i{layer}x{copy}")
}

fn chain(source: &mut Source<'_>, hostile: bool) -> (String, Vec<ComponentCall>) {
    let types = Types::generate(source);
    let funcs = layers::functions(source, &types, hostile);
    let count = source.between(1, 4);
    let writer = Writer { types: &types, funcs: &funcs };
    let mut text = "(component\n".to_owned();
    let mut instances: Vec<(String, usize)> = Vec::new();
    let mut previous: Vec<String> = Vec::new();
    for number in 0..count {
        if source.percent(15) {
            text.push_str(
                "(core module $unused (func (export \"f\")))\n".replace("$unused", &format!("$u{number}")).as_str(),
            );
        }
        let layer = Layer::generate(source, number == 0, hostile);
        text.push_str(&writer.component(number, &layer));
        let copies = if source.percent(25) { 2 } else { 1 };
        let mut current = Vec::new();
        for copy in 0..copies {
            let name = instance_name(number, copy);
            let with = match previous.is_empty() {
                true => String::new(),
                false => {
                    let from = previous[source.below(previous.len())].clone();
                    let from = if source.percent(30) { bag(&mut text, &writer, &from, &name) } else { from };
                    format!(" (with \"up\" (instance ${from}))")
                }
            };
            let _ = writeln!(text, "(instance ${name} (instantiate $L{number}{with}))");
            instances.push((name.clone(), number));
            current.push(name);
        }
        previous = current;
    }
    for (name, _) in &instances {
        let _ = writeln!(text, "(export \"{name}\" (instance ${name}))");
    }
    text.push(')');
    let mut calls = Vec::new();
    for _ in 0..source.between(2, 10) {
        // The outermost layer more often: its calls go through all of them.
        let at = if source.percent(60) { instances.len() - 1 } else { source.below(instances.len()) };
        let func = source.below(funcs.len());
        let args = funcs[func].params.iter().map(|ty| values::value(source, &types, ty)).collect();
        calls.push(ComponentCall { instance: instances[at].0.clone(), func: format!("f{func}"), args });
    }
    for (name, _) in instances {
        calls.push(ComponentCall { instance: name, func: "hash".to_owned(), args: Vec::new() });
    }
    (text, calls)
}

/// Takes an instance apart and puts it together again.
fn bag(text: &mut String, writer: &Writer<'_>, from: &str, to: &str) -> String {
    let name = format!("bag-{to}");
    let _ = write!(text, "(instance ${name}");
    for at in 0..writer.types.named.len() {
        let _ = write!(text, " (export \"t{at}\" (type ${from} \"t{at}\"))");
    }
    for at in 0..writer.funcs.len() {
        let _ = write!(text, " (export \"f{at}\" (func ${from} \"f{at}\"))");
    }
    text.push_str(")\n");
    name
}
