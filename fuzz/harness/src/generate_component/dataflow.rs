//! Components whose instantiation does things.
//!
//! What the order of effects decides
//! ([instantiation](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#instance-definitions)):
//! start functions that call the host, instances before and their own built-ins; destructors that are core functions, lowered
//! imports or adapters; several core instances around one memory; instances that share a definition; traps in the middle.
//! Each instance logs what it sees into its memory: arguments, results, the storage of its current thread.
//!
//! Invariant: the text is a valid component; functions of the host always answer the same.
//!
//! Does not know: engines.

use super::Draft;
use super::libc::{self, Allocator, DATA, DATA_BYTES, RESULT};
use super::shape::Shape;
use crate::source::Source;
use std::fmt::Write;
use wattest_differential::components::{ComponentCall, HostAction, HostScript};
use wattest_reference::component::Val;

/// Functions of the host: name, type, what they answer.
const HOST: [(&str, &str); 3] = [
    ("note", "(param \"x\" u32) (result u32)"),
    ("say", "(param \"s\" string) (result string)"),
    ("gone", "(param \"x\" u32)"),
];

/// Functions that every instance exports besides its digest: name, type, core type.
const EXPORTS: [(&str, &str); 3] = [
    ("f", "(param \"x\" u32) (param \"s\" string) (result string)"),
    ("g", "(param \"x\" u32) (result u32)"),
    ("sink", "(param \"x\" u32)"),
];

/// The host.
fn host() -> HostScript {
    let answers =
        [Some(Val::U32(77)), Some(Val::String("d'accord \u{e9}\u{20ac}".into())), None].map(HostAction::Answer);
    let funcs = HOST.iter().zip(answers).map(|((name, _), answer)| ((*name).to_owned(), answer)).collect();
    HostScript { instance: super::HOST.to_owned(), resources: Vec::new(), funcs }
}

const TEXT: &str = "na\u{ef}ve flow of data";

/// The text in an encoding, and its length in code units.
fn encoded(encoding: &str) -> (Vec<u8>, usize) {
    match encoding {
        "utf8" => (TEXT.as_bytes().to_vec(), TEXT.len()),
        "utf16" => (TEXT.encode_utf16().flat_map(u16::to_le_bytes).collect(), TEXT.encode_utf16().count()),
        _ => (TEXT.chars().map(|char| char as u8).collect(), TEXT.chars().count()),
    }
}

/// One component definition in the making.
struct Definition<'s, 'b> {
    source: &'s mut Source<'b>,
    has_up: bool,
    units: usize,
    /// In a hundred: how often an operation traps.
    traps: u32,
}

impl Definition<'_, '_> {
    /// One thing that a function does.
    fn operation(&mut self) -> String {
        let logged = |call: &str| format!("(call $log (i64.extend_i32_u {call}))");
        if self.source.percent(self.traps) {
            return "unreachable".to_owned();
        }
        let number = self.source.below(50);
        let text = format!("(i32.const {DATA}) (i32.const {})", self.source.below(self.units + 1));
        match self.source.below(if self.has_up { 10 } else { 7 }) {
            0 => format!("(call $log (i64.const {number}))"),
            1 => logged(&format!("(call $note (i32.const {number}))")),
            2 => format!("(call $cset (i32.const {number}))"),
            3 => logged("(call $cget)"),
            4 => format!(
                "(call $say {text} (i32.const {RESULT})) {}",
                logged(&format!("(i32.load offset=4 (i32.const {RESULT}))"))
            ),
            5 => "(drop (memory.grow (i32.const 1)))".to_owned(),
            6 => format!("(call $gone (i32.const {number}))"),
            7 => format!("(call $up-sink (i32.const {number}))"),
            8 => logged(&format!("(call $up-g (i32.const {number}))")),
            _ => format!(
                "(call $up-f (i32.const {number}) {text} (i32.const {RESULT})) {}",
                logged(&format!("(i32.load offset=4 (i32.const {RESULT}))"))
            ),
        }
    }

    fn operations(&mut self, most: usize) -> String {
        let count = self.source.below(most + 1);
        (0..count).map(|_| self.operation() + "\n").collect()
    }
}

/// What a core module imports to do operations with.
fn imports_text(has_up: bool) -> String {
    let mut text = "(import \"libc\" \"mem\" (memory 1)) (import \"libc\" \"log\" (func $log (param i64)))\n\
        (import \"h\" \"note\" (func $note (param i32) (result i32)))\n(import \"h\" \"say\" (func $say (param i32 i32 i32)))\n\
        (import \"h\" \"gone\" (func $gone (param i32)))\n(import \"h\" \"cget\" (func $cget (result i32)))\n\
        (import \"h\" \"cset\" (func $cset (param i32)))\n"
        .to_owned();
    if has_up {
        text.push_str(
            "(import \"h\" \"up-f\" (func $up-f (param i32 i32 i32 i32)))\n\
            (import \"h\" \"up-g\" (func $up-g (param i32) (result i32)))\n\
            (import \"h\" \"up-sink\" (func $up-sink (param i32)))\n",
        );
    }
    text
}

fn host_types() -> String {
    HOST.iter().map(|(name, ty)| format!("(import \"{name}\" (func ${name} {ty}))\n")).collect()
}

/// A component definition.
fn definition(source: &mut Source<'_>, number: usize, traps: u32) -> String {
    let has_up = number > 0;
    let encoding = source.pick(&["utf8", "utf16", "latin1+utf16"]);
    let (mut data, units) = encoded(encoding);
    data.resize(DATA_BYTES, 0);
    let allocator = Allocator::lawful(source);
    let mut text = format!("(component $C{number}\n{}", host_types());
    if has_up {
        text.push_str("(import \"up\" (instance $up\n");
        for (name, ty) in EXPORTS {
            let _ = writeln!(text, "(export \"{name}\" (func {ty}))");
        }
        text.push_str("))\n");
    }
    text.push_str(&libc::text(allocator, &data, false));
    let options = format!(
        "(memory (core memory $libc \"mem\")) (realloc (core func $libc \"realloc\")) string-encoding={encoding}"
    );
    let mut lowered = String::new();
    let mut lower = |text: &mut String, name: &str, func: &str| {
        let _ = writeln!(text, "(core func $l-{name} (canon lower (func {func}) {options}))");
        let _ = write!(lowered, "(export \"{name}\" (func $l-{name})) ");
    };
    for (name, _) in HOST {
        lower(&mut text, name, &format!("${name}"));
    }
    if has_up {
        for (name, _) in EXPORTS {
            lower(&mut text, &format!("up-{name}"), &format!("$up \"{name}\""));
        }
    }
    text.push_str("(core func $cget (canon context.get i32 0))\n(core func $cset (canon context.set i32 0))\n");
    let host = format!("(instance {lowered} (export \"cget\" (func $cget)) (export \"cset\" (func $cset)))");
    let mut make = Definition { source, has_up, units, traps };
    first_module(&mut text, &mut make);
    let _ = writeln!(text, "(core instance $m (instantiate $M (with \"libc\" (instance $libc)) (with \"h\" {host})))");
    let dtor = match make.source.below(if has_up { 4 } else { 3 }) {
        0 => "(dtor (core func $m \"sink\"))",
        1 => "(dtor (core func $l-gone))",
        2 => "",
        _ => "(dtor (core func $l-up-sink))",
    };
    let _ = writeln!(text, "(type $r (resource (rep i32) {dtor}))");
    text.push_str("(core func $new (canon resource.new $r))\n(core func $drop (canon resource.drop $r))\n");
    second_module(&mut text, &mut make);
    let _ = writeln!(
        text,
        "(core instance $n (instantiate $N (with \"libc\" (instance $libc)) (with \"h\" {host})\n\
        (with \"r\" (instance (export \"new\" (func $new)) (export \"drop\" (func $drop))))))"
    );
    for (name, ty) in EXPORTS {
        let module = if name == "g" { "$n" } else { "$m" };
        let post = if name == "f" && make.source.percent(60) { "(post-return (core func $m \"post\"))" } else { "" };
        let _ = writeln!(
            text,
            "(func (export \"{name}\") {ty} (canon lift (core func {module} \"{name}\") {options} {post}))"
        );
    }
    text.push_str("(func (export \"hash\") (result u64) (canon lift (core func $libc \"hash\")))\n)\n");
    text
}

/// The module with the functions that values go through.
fn first_module(text: &mut String, make: &mut Definition<'_, '_>) {
    let _ = writeln!(text, "(core module $M\n{}", imports_text(make.has_up));
    let result = RESULT + 64;
    let length = make.source.below(make.units + 1);
    let body = make.operations(3);
    let _ = writeln!(
        text,
        "(func (export \"f\") (param i32 i32 i32) (result i32)\n(call $log (i64.extend_i32_u (local.get 0)))\n\
        (call $log (i64.extend_i32_u (local.get 2)))\n{body}(i32.store (i32.const {result}) (i32.const {DATA}))\n\
        (i32.store offset=4 (i32.const {result}) (i32.const {length}))\n(i32.const {result}))"
    );
    let body = make.operations(3);
    let _ =
        writeln!(text, "(func (export \"sink\") (param i32)\n(call $log (i64.extend_i32_u (local.get 0)))\n{body})");
    // Calls are not allowed there.
    let body = if make.source.percent(10) { make.operation() } else { String::new() };
    let _ = writeln!(text, "(func (export \"post\") (param i32) (call $log (i64.const 112)) {body})");
    start(text, make);
    text.push_str(")\n");
}

/// The module that makes and drops resources.
fn second_module(text: &mut String, make: &mut Definition<'_, '_>) {
    let _ = writeln!(
        text,
        "(core module $N\n{}(import \"r\" \"new\" (func $new (param i32) (result i32)))\n\
        (import \"r\" \"drop\" (func $drop (param i32)))",
        imports_text(make.has_up)
    );
    let (before, after) = (make.operations(2), make.operations(2));
    let drops = match make.source.below(8) {
        0 => "",
        1 => "(call $drop (local.get 1)) (call $drop (local.get 1))",
        _ => "(call $drop (local.get 1))",
    };
    let _ = writeln!(
        text,
        "(func $g (export \"g\") (param i32) (result i32) (local i32)\n{before}\
        (local.set 1 (call $new (local.get 0)))\n{drops}\n{after}(local.get 1))"
    );
    start(text, make);
    text.push_str(")\n");
}

fn start(text: &mut String, make: &mut Definition<'_, '_>) {
    if make.source.percent(60) {
        let body = make.operations(4);
        let _ = writeln!(text, "(func $start {body})\n(start $start)");
    }
}

/// A component and calls of it.
pub(super) fn generate(source: &mut Source<'_>, draft: &mut Draft) {
    // Most worlds live; in some there are traps.
    let traps = source.pick(&[0, 0, 0, 1, 4]);
    let count = source.between(1, 4);
    let text = &mut draft.text;
    let _ = write!(text, "(import \"{0}\" (instance ${0}", super::HOST);
    for (name, ty) in HOST {
        let _ = write!(text, " (export \"{name}\" (func {ty}))");
    }
    text.push_str("))\n");
    let with: String =
        HOST.iter().map(|(name, _)| format!(" (with \"{name}\" (func ${} \"{name}\"))", super::HOST)).collect();
    let mut instances: Vec<String> = Vec::new();
    for number in 0..count {
        text.push_str(&definition(source, number, traps));
        let copies = if source.percent(30) { 2 } else { 1 };
        let before = instances.len();
        for copy in 0..copies {
            let name = format!("i{number}x{copy}");
            let up = match before {
                0 => String::new(),
                count => format!(" (with \"up\" (instance ${}))", instances[source.below(count)]),
            };
            let _ = writeln!(text, "(instance ${name} (instantiate $C{number}{with}{up}))");
            instances.push(name);
        }
    }
    for name in &instances {
        let _ = writeln!(text, "(export \"{name}\" (instance ${name}))");
    }
    for _ in 0..source.between(2, 8) {
        let instance = instances[source.below(instances.len())].clone();
        let number = Val::U32(source.below(100) as u32);
        let (func, args) = match source.below(3) {
            0 => ("f", vec![number, Val::String("\u{fc}ber \u{4e16}".into())]),
            1 => ("g", vec![number]),
            _ => ("sink", vec![number]),
        };
        draft.calls.push(ComponentCall { instance, func: func.to_owned(), args });
    }
    for instance in instances {
        draft.call(&instance, "hash");
    }
    draft.host = host();
    draft.renews = source.percent(30);
    draft.shapes.add(Shape::HostFuncs);
}
