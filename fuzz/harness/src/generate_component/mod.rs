//! Random components, top-down.
//!
//! First the world (types, functions), then the tree of component definitions that passes its calls on ([`layers`]), then
//! how it is presented (which instances there are, whole or taken apart and put together again, what is defined and never
//! used), at last the calls. All from the bytes of one seed.
//!
//! Invariant: a [`Scenario`] is a valid component; equal bytes give equal scenarios.
//!
//! Does not know: engines.

pub mod bodies;
pub mod dataflow;
pub mod layers;
pub mod libc;
pub mod resources;
pub mod shape;
pub mod types;
pub mod values;
pub mod world;

use crate::source::{Source, expand};
use layers::{Layer, Writer};
use shape::{Shape, Shapes};
use std::fmt::Write;
use types::Types;
use wattest_differential::components::{ComponentCall, ComponentCase, HostAction, HostScript};

/// Changes when a seed gives another scenario.
pub const GENERATOR_VERSION: u32 = 7;

/// What scenarios are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Values of every type through every pair of encodings and locations.
    Values,
    /// Raw bits where values should be, allocators that misbehave, calls where none are allowed.
    Hostile,
    /// Owned and borrowed handles.
    Resources,
    /// Instantiation that does things.
    Dataflow,
}

impl Theme {
    /// All of them.
    pub const ALL: [Theme; 4] = [Theme::Values, Theme::Hostile, Theme::Resources, Theme::Dataflow];
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
    /// What it has.
    pub shapes: Shapes,
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
        let (subject, Draft { text, calls, renews, host, shapes }) = Draft::of_bytes(theme, bytes);
        let wasm = wat::parse_str(&text).map_err(|error| format!("{error}\n{text}"))?;
        Ok(Scenario { subject, text, case: ComponentCase { wasm, host, calls, renews }, shapes })
    }

    /// The shapes of the scenario of these bytes, which is not made.
    pub fn shapes_of_bytes(theme: Theme, bytes: &[u8]) -> Shapes {
        Draft::of_bytes(theme, bytes).1.shapes
    }
}

/// A scenario while it is written.
#[derive(Default)]
pub(crate) struct Draft {
    text: String,
    calls: Vec<ComponentCall>,
    /// As in a [`ComponentCase`].
    renews: bool,
    host: HostScript,
    shapes: Shapes,
}

/// An instance of a layer, or of the host.
#[derive(Clone)]
struct Placed {
    name: String,
    /// Its layer; none for the host.
    layer: Option<usize>,
    /// What the names of its functions begin with.
    prefix: &'static str,
}

/// The name of the host's instance.
const HOST: &str = "host";

impl Draft {
    /// What is written for these bytes, and the subject's configuration.
    fn of_bytes(theme: Theme, bytes: &[u8]) -> (u8, Draft) {
        let mut source = Source::new(bytes);
        let subject = source.byte();
        let mut draft = Draft { text: "(component $root\n".to_owned(), ..Draft::default() };
        match theme {
            Theme::Values => draft.layers(&mut source, false),
            Theme::Hostile => draft.layers(&mut source, true),
            Theme::Resources => resources::generate(&mut source, &mut draft),
            Theme::Dataflow => dataflow::generate(&mut source, &mut draft),
        }
        draft.text.push_str(")\n");
        (subject, draft)
    }

    /// Calls a function of an exported instance.
    fn call(&mut self, instance: &str, func: &str) {
        let (instance, func) = (instance.to_owned(), func.to_owned());
        self.calls.push(ComponentCall { instance, func, args: Vec::new() });
    }

    /// Layers above one that implements a world, which may be the host.
    fn layers(&mut self, source: &mut Source<'_>, hostile: bool) {
        let types = Types::generate(source);
        let funcs = world::functions(source, &types, hostile);
        funcs.iter().for_each(|func| func.shapes(&types, &mut self.shapes));
        let writer = Writer { types: &types, funcs: &funcs };
        let (mut layers, mut instances, mut previous) = (Vec::new(), Vec::new(), Vec::new());
        let first = usize::from(source.percent(30));
        if first == 1 {
            self.text.push_str(&writer.import_text(HOST));
            let row = |(at, func): (usize, &world::Func)| (format!("f{at}"), func.host_action(source, &types, hostile));
            let funcs: Vec<_> = funcs.iter().enumerate().map(row).collect();
            self.shapes.add(Shape::HostFuncs);
            self.shapes.add_if(funcs.iter().any(|(_, action)| *action == HostAction::Fail), Shape::HostFails);
            self.host = HostScript { instance: HOST.to_owned(), resources: Vec::new(), funcs };
            previous.push(Placed { name: HOST.to_owned(), layer: None, prefix: "f" });
        }
        let count = source.between(1, 4);
        for at in 0..count {
            let number = at + first;
            let mut layer = Layer::generate(source, &funcs, number == 0, hostile);
            if hostile && number > 0 && at + 1 == count && source.percent(30) {
                layer.block();
            }
            let text = writer.component(number, &layer, &mut self.shapes);
            self.text.push_str(&text);
            layers.push(layer);
            let copies = if source.percent(25) { source.between(2, 3) } else { 1 };
            self.shapes.add_if(copies > 1, Shape::Copies);
            let mut current = Vec::new();
            for copy in 0..copies {
                let placed = Placed { name: format!("i{at}x{copy}"), layer: Some(at), prefix: layers[at].prefix };
                self.place(source, &writer, &layers, (&placed, number), &previous, &instances);
                instances.push(placed.clone());
                current.push(placed);
            }
            previous = current;
        }
        for Placed { name, .. } in &instances {
            let _ = writeln!(self.text, "(export \"{name}\" (instance ${name}))");
        }
        // What traps ends an instance: a hostile component is worth more calls in new ones than in that.
        self.renews = hostile && source.percent(80);
        self.calls_of(source, &writer, &layers, &instances);
    }

    /// Instantiates a layer above one of the instances before, of the layer below or of any.
    fn place(
        &mut self,
        source: &mut Source<'_>,
        writer: &Writer<'_>,
        layers: &[Layer],
        (placed, number): (&Placed, usize),
        previous: &[Placed],
        instances: &[Placed],
    ) {
        let name = &placed.name;
        let Some(mut from) = previous.get(source.below(previous.len())) else {
            let _ = writeln!(self.text, "(instance ${name} (instantiate $L{number}))");
            return;
        };
        if source.percent(20) && !instances.is_empty() {
            let other = &instances[source.below(instances.len())];
            // A layer is not above itself.
            if other.layer < placed.layer {
                self.shapes.add_if(other.layer != from.layer, Shape::SkipsLayer);
                from = other;
            }
        }
        let above = &layers[placed.layer.unwrap_or(0)];
        match from.layer {
            Some(below) => writer.note_crossing(above, &layers[below], &mut self.shapes),
            None => self.shapes.add_if(writer.relifts_any(number, above), Shape::LiftOfLowerOfHost),
        }
        let is_bagged = from.prefix != "f" || source.percent(30);
        let with = if is_bagged { self.bag(writer, from, name) } else { from.name.clone() };
        let _ = writeln!(self.text, "(instance ${name} (instantiate $L{number} (with \"up\" (instance ${with}))))");
    }

    /// Takes an instance apart and puts it together again, under the names that a world has.
    fn bag(&mut self, writer: &Writer<'_>, from: &Placed, to: &str) -> String {
        self.shapes.add(Shape::Bag);
        let name = format!("bag-{to}");
        let Placed { name: from, prefix, .. } = from;
        let _ = write!(self.text, "(instance ${name}");
        for at in 0..writer.types.named.len() {
            let _ = write!(self.text, " (export \"t{at}\" (type ${from} \"t{at}\"))");
        }
        for at in 0..writer.funcs.len() {
            let _ = write!(self.text, " (export \"f{at}\" (func ${from} \"{prefix}{at}\"))");
        }
        self.text.push_str(")\n");
        name
    }

    fn calls_of(&mut self, source: &mut Source<'_>, writer: &Writer<'_>, layers: &[Layer], instances: &[Placed]) {
        for _ in 0..if self.renews { source.between(6, 20) } else { source.between(2, 10) } {
            // The outermost layer more often: its calls go through all of them.
            let at = if source.percent(60) { instances.len() - 1 } else { source.below(instances.len()) };
            let func = source.below(writer.funcs.len());
            let params = &writer.funcs[func].params;
            let args = params.iter().map(|ty| values::value(source, writer.types, ty)).collect();
            let (instance, func) = (instances[at].name.clone(), format!("{}{func}", instances[at].prefix));
            self.calls.push(ComponentCall { instance, func, args });
        }
        for placed in instances {
            self.call(&placed.name, "hash");
            if placed.layer.is_some_and(|layer| layers[layer].twins) {
                self.call(&placed.name, "hash1");
            }
        }
    }
}
