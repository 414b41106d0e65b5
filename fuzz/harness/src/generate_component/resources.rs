//! Components that make, lend, give away and drop resources.
//!
//! One component defines two resource types, one with a destructor; others hold handles of both. What they do is a list of
//! steps with small constants, so that most handles exist, some are of the other type, lent, or gone.
//!
//! Invariant: the text is a valid component.
//!
//! Does not know: which steps trap.

use super::libc::{self, Allocator, DATA_BYTES};
use super::shape::{Shape, Shapes};
use super::{Draft, HOST};
use crate::source::{Source, expand};
use std::fmt::Write;
use wattest_differential::components::{HostAction, HostScript};

/// The functions that the defining component exports: name, component type, core type.
const FUNCS: [(&str, &str, &str); 8] = [
    ("make-a", "(param \"rep\" u32) (result (own $a))", "(param i32) (result i32)"),
    ("make-b", "(param \"rep\" u32) (result (own $b))", "(param i32) (result i32)"),
    ("take-a", "(param \"r\" (own $a))", "(param i32)"),
    ("look-a", "(param \"r\" (borrow $a)) (result u32)", "(param i32) (result i32)"),
    ("look-b", "(param \"r\" (borrow $b)) (result u32)", "(param i32) (result i32)"),
    ("swap-a", "(param \"r\" (own $a)) (param \"s\" (borrow $a)) (result (own $a))", "(param i32 i32) (result i32)"),
    ("give-a", "(param \"r\" (borrow $a)) (param \"s\" (own $a)) (result u32)", "(param i32 i32) (result i32)"),
    ("many-a", "(param \"r\" (list (borrow $a))) (result u32)", "(param i32 i32) (result i32)"),
];

const OPTIONS: &str = "(memory (core memory $libc \"mem\")) (realloc (core func $libc \"realloc\"))";

fn libc(source: &mut Source<'_>) -> String {
    let data = expand(source.u64());
    libc::text(Allocator::lawful(source), &data[..DATA_BYTES], false)
}

/// The component that defines both types; `gone_to_host` says that what it is told of goes to the host.
fn definer(source: &mut Source<'_>, gone_to_host: bool, shapes: &mut Shapes) -> String {
    // The destructor may be an adapter: the lowered function of another component, or of the host.
    let is_lowered = source.percent(40);
    shapes.add(match (is_lowered, gone_to_host) {
        (false, _) => Shape::CoreDtor,
        (true, false) => Shape::AdapterDtor,
        (true, true) => Shape::LoweredDtor,
    });
    let (import, dtor) = match is_lowered {
        true => {
            ("(import \"log\" (func $gone (param \"rep\" u32)))\n(core func $dtor (canon lower (func $gone)))", "$dtor")
        }
        false => ("(import \"log\" (func $gone (param \"rep\" u32)))", "$dtors \"a\""),
    };
    // The number of a handle that it makes tells which places are free by then.
    let is_busy = !is_lowered && source.percent(50);
    shapes.add_if(is_busy, Shape::BusyDtor);
    let busy = if is_busy {
        "(local.tee 0 (call $new-b (local.get 0))) (call $log (i64.extend_i32_u)) (call $drop-b (local.get 0))"
    } else {
        ""
    };
    let mut text = format!("(component $Definer\n{import}\n{}", libc(source));
    text.push_str(
        r#"(type $b' (resource (rep i32)))
(export $b "b" (type $b'))
(core func $new-b (canon resource.new $b'))
(core func $drop-b (canon resource.drop $b'))
(core module $Dtors (import "libc" "log" (func $log (param i64)))
  (import "r" "new-b" (func $new-b (param i32) (result i32))) (import "r" "drop-b" (func $drop-b (param i32)))
  (func (export "a") (param i32) (call $log (i64.extend_i32_u (local.get 0))) BUSY))
(core instance $dtors (instantiate $Dtors (with "libc" (instance $libc))
  (with "r" (instance (export "new-b" (func $new-b)) (export "drop-b" (func $drop-b))))))
(type $a' (resource (rep i32) (dtor (core func DTOR))))
(export $a "a" (type $a'))
(core func $new-a (canon resource.new $a'))
(core func $rep-a (canon resource.rep $a'))
(core func $drop-a (canon resource.drop $a'))
"#,
    );
    text = text.replace("DTOR", dtor).replace("BUSY", busy);
    let keeps = source.percent(20);
    let take = if keeps { "(drop (call $rep-a (local.get 0)))" } else { "(call $drop-a (local.get 0))" };
    let _ = write!(
        text,
        r#"(core module $M
  (import "libc" "log" (func $log (param i64)))
  (import "libc" "mem" (memory 1))
  (import "r" "new-a" (func $new-a (param i32) (result i32)))
  (import "r" "new-b" (func $new-b (param i32) (result i32)))
  (import "r" "rep-a" (func $rep-a (param i32) (result i32)))
  (import "r" "drop-a" (func $drop-a (param i32)))
  (func (export "make-a") (param i32) (result i32) (call $new-a (local.get 0)))
  (func (export "make-b") (param i32) (result i32) (call $new-b (local.get 0)))
  (func (export "take-a") (param i32) {take})
  (func (export "look-a") (param i32) (result i32) (local.get 0))
  (func (export "look-b") (param i32) (result i32) (local.get 0))
  (func (export "swap-a") (param i32 i32) (result i32)
    (call $log (i64.extend_i32_u (local.get 0)))
    (call $drop-a (local.get 0))
    (call $new-a (i32.add (local.get 1) (i32.const 1))))
  (func (export "give-a") (param i32 i32) (result i32)
    (call $drop-a (local.get 1))
    (local.get 0))
  (func (export "many-a") (param i32 i32) (result i32)
    (local $sum i32)
    (block $done (loop $again
      (br_if $done (i32.eqz (local.get 1)))
      (local.set $sum (i32.add (local.get $sum) (i32.load (local.get 0))))
      (local.set 0 (i32.add (local.get 0) (i32.const 4)))
      (local.set 1 (i32.sub (local.get 1) (i32.const 1)))
      (br $again)))
    (local.get $sum)))
(core instance $m (instantiate $M (with "libc" (instance $libc)) (with "r" (instance
  (export "new-a" (func $new-a)) (export "new-b" (func $new-b))
  (export "rep-a" (func $rep-a)) (export "drop-a" (func $drop-a))))))
"#
    );
    for (name, ty, _) in FUNCS {
        let _ = writeln!(text, "(func (export \"{name}\") {ty} (canon lift (core func $m \"{name}\") {OPTIONS}))");
    }
    text.push_str("(func (export \"hash\") (result u64) (canon lift (core func $libc \"hash\")))\n)\n");
    text
}

/// The component that is told of what is gone.
fn logger(source: &mut Source<'_>) -> String {
    let mut text = format!("(component $Logger\n{}", libc(source));
    text.push_str(
        r#"(core module $M (import "libc" "log" (func $log (param i64)))
  (func (export "log") (param i32) (call $log (i64.extend_i32_u (local.get 0)))))
(core instance $m (instantiate $M (with "libc" (instance $libc))))
(func (export "log") (param "rep" u32) (canon lift (core func $m "log")))
(func (export "hash") (result u64) (canon lift (core func $libc "hash")))
)
"#,
    );
    text
}

/// The import of what [`definer`] exports.
fn import_text(import: &str) -> String {
    let mut text = format!(
        "(import \"{import}\" (instance ${import} (export \"a\" (type $a (sub resource)))\n\
        (export \"b\" (type $b (sub resource)))\n"
    );
    for (name, ty, _) in FUNCS {
        let _ = writeln!(text, "(export \"{name}\" (func {ty}))");
    }
    text.push_str("))\n");
    text
}

/// The same in a component, whose types are then `$a` and `$b`.
fn imports() -> String {
    import_text("up") + "(alias export $up \"a\" (type $a))\n(alias export $up \"b\" (type $b))\n"
}

/// What a component that passes handles on does with those that are lent to it.
#[derive(Clone, Copy)]
enum Keeping {
    Drops,
    Forgets,
    /// Passes one as its own.
    GivesAway,
    DropsTwice,
}

impl Keeping {
    fn generate(source: &mut Source<'_>) -> Keeping {
        match source.below(20) {
            0 | 1 => Keeping::Forgets,
            2 | 3 => Keeping::GivesAway,
            4 => Keeping::DropsTwice,
            _ => Keeping::Drops,
        }
    }

    fn shapes(self, shapes: &mut Shapes) {
        match self {
            Keeping::Drops => {}
            Keeping::Forgets => shapes.add(Shape::Forgotten),
            Keeping::GivesAway => shapes.add(Shape::GivenAway),
            Keeping::DropsTwice => shapes.add(Shape::DroppedTwice),
        }
    }
}

/// A component that only passes handles on.
fn passer(source: &mut Source<'_>, shapes: &mut Shapes) -> String {
    let mut text = format!("(component $Passer\n{}{}", imports(), libc(source));
    text.push_str(
        "(export $ea \"a\" (type $a))\n(export $eb \"b\" (type $b))\n(core func $drop-a (canon resource.drop $a))\n\
        (core func $drop-b (canon resource.drop $b))\n",
    );
    // Borrowed handles that were passed on are dropped, or something is done with them that is a trap.
    let keeping = Keeping::generate(source);
    keeping.shapes(shapes);
    let mut module = "(core module $M (import \"r\" \"drop-a\" (func $drop-a (param i32)))\n\
        (import \"r\" \"drop-b\" (func $drop-b (param i32)))\n(import \"libc\" \"mem\" (memory 1))\n"
        .to_owned();
    let mut bodies = String::new();
    for (name, _, core) in FUNCS {
        let _ = writeln!(text, "(core func $low-{name} (canon lower (func $up \"{name}\") {OPTIONS}))");
        let _ = writeln!(module, "(import \"r\" \"{name}\" (func ${name} {core}))");
        let args = if core.contains("i32 i32)") { "(local.get 0) (local.get 1)" } else { "(local.get 0)" };
        let lent = match name {
            "look-a" => "(call $drop-a (local.get 0))",
            "look-b" => "(call $drop-b (local.get 0))",
            "swap-a" => "(call $drop-a (local.get 1))",
            "give-a" => "(call $drop-a (local.get 0))",
            "many-a" => {
                "(block $done (loop $again
                  (br_if $done (i32.eqz (local.get 1)))
                  (call $drop-a (i32.load (local.get 0)))
                  (local.set 0 (i32.add (local.get 0) (i32.const 4)))
                  (local.set 1 (i32.sub (local.get 1) (i32.const 1)))
                  (br $again)))"
            }
            _ => "",
        };
        let after = match keeping {
            Keeping::Drops => lent.to_owned(),
            Keeping::Forgets => String::new(),
            Keeping::GivesAway if name == "look-a" => "(call $take-a (local.get 0))".to_owned(),
            Keeping::GivesAway => lent.to_owned(),
            Keeping::DropsTwice => format!("{lent} {lent}"),
        };
        let _ = writeln!(bodies, "(func (export \"{name}\") {core} (call ${name} {args}) {after})");
    }
    let _ = writeln!(text, "{module}{bodies})");
    text.push_str("(core instance $m (instantiate $M (with \"libc\" (instance $libc)) (with \"r\" (instance\n");
    text.push_str("(export \"drop-a\" (func $drop-a)) (export \"drop-b\" (func $drop-b))\n");
    for (name, ..) in FUNCS {
        let _ = writeln!(text, "(export \"{name}\" (func $low-{name}))");
    }
    text.push_str("))))\n");
    for (name, ty, _) in FUNCS {
        let ty = ty.replace("$a", "$ea").replace("$b", "$eb");
        let _ = writeln!(text, "(func (export \"{name}\") {ty} (canon lift (core func $m \"{name}\") {OPTIONS}))");
    }
    text.push_str("(func (export \"hash\") (result u64) (canon lift (core func $libc \"hash\")))\n)\n");
    text
}

/// What a user's handle table holds if nothing trapped, so that most steps are legal.
#[derive(Default)]
struct Table {
    entries: Vec<Option<char>>,
    free: Vec<usize>,
}

impl Table {
    fn add(&mut self, ty: char) {
        match self.free.pop() {
            Some(index) => self.entries[index] = Some(ty),
            None => self.entries.push(Some(ty)),
        }
    }

    fn remove(&mut self, index: usize) {
        self.entries[index - 1] = None;
        self.free.push(index - 1);
    }

    /// Indices of handles of a type.
    fn of(&self, ty: char) -> Vec<usize> {
        self.entries.iter().enumerate().filter(|(_, entry)| **entry == Some(ty)).map(|(at, _)| at + 1).collect()
    }
}

/// One step of a user; one in twelve with any index.
fn step(source: &mut Source<'_>, table: &mut Table) -> String {
    let wild = source.percent(9);
    let rep = format!("(i32.const {})", source.between(100, 120));
    let logged = |call: String| format!("(call $log (i64.extend_i32_u {call}))");
    let mut chosen = |table: &Table, ty: char| match table.of(ty)[..] {
        _ if wild => source.pick(&[0, 1, 2, 3, 4, 7]),
        [] => 0,
        ref live => source.pick(live),
    };
    let (a, b, c) = (chosen(table, 'a'), chosen(table, 'a'), chosen(table, 'b'));
    let kind = source.below(15);
    let index = |at: usize| format!("(i32.const {at})");
    let live = table.of('a').first().copied().unwrap_or(1);
    if !wild && (a == 0 && kind > 4 || c == 0 && matches!(kind, 7 | 11) || a == b && kind == 8) {
        table.add('a');
        return logged(format!("(call $make-a {rep})"));
    }
    let mut gone = |at: usize| {
        if !wild {
            table.remove(at);
        }
    };
    match kind {
        0..=2 => {
            table.add('a');
            logged(format!("(call $make-a {rep})"))
        }
        3 | 4 => {
            table.add('b');
            logged(format!("(call $make-b {rep})"))
        }
        5 => {
            gone(a);
            format!("(call $take-a {})", index(a))
        }
        6 => logged(format!("(call $look-a {})", index(a))),
        7 => logged(format!("(call $look-b {})", index(c))),
        8 => {
            gone(a);
            table.add('a');
            logged(format!("(call $swap-a {} {})", index(a), index(b)))
        }
        9 => {
            let stores = format!("(i32.store (i32.const 512) {}) (i32.store (i32.const 516) {})", index(a), index(b));
            format!("{stores} {}", logged("(call $many-a (i32.const 512) (i32.const 2))".to_owned()))
        }
        10 => {
            gone(a);
            format!("(call $drop-a {})", index(a))
        }
        11 => {
            gone(c);
            format!("(call $drop-b {})", index(c))
        }
        // A handle that is lent cannot be given away by the same call.
        _ if wild => logged(format!("(call $give-a {0} {0})", index(live))),
        _ if a == b => logged(format!("(call $look-a {})", index(a))),
        _ => {
            gone(b);
            logged(format!("(call $give-a {} {})", index(a), index(b)))
        }
    }
}

/// A component that does things.
fn user(source: &mut Source<'_>, scripts: usize) -> String {
    let mut text = format!("(component $User\n{}{}", imports(), libc(source));
    text.push_str("(core func $drop-a (canon resource.drop $a))\n(core func $drop-b (canon resource.drop $b))\n");
    let mut module =
        "(core module $M (import \"libc\" \"log\" (func $log (param i64)))\n(import \"libc\" \"mem\" (memory 1))\n\
        (import \"r\" \"drop-a\" (func $drop-a (param i32)))\n(import \"r\" \"drop-b\" (func $drop-b (param i32)))\n"
            .to_owned();
    for (name, _, core) in FUNCS {
        let _ = writeln!(text, "(core func $low-{name} (canon lower (func $up \"{name}\") {OPTIONS}))");
        let _ = writeln!(module, "(import \"r\" \"{name}\" (func ${name} {core}))");
    }
    let mut table = Table::default();
    for script in 0..scripts {
        let _ = writeln!(module, "(func (export \"run{script}\")");
        for _ in 0..source.between(2, 8) {
            let _ = writeln!(module, "{}", step(source, &mut table));
        }
        module.push_str(")\n");
    }
    let _ = writeln!(text, "{module})");
    text.push_str("(core instance $m (instantiate $M (with \"libc\" (instance $libc)) (with \"r\" (instance\n");
    text.push_str("(export \"drop-a\" (func $drop-a)) (export \"drop-b\" (func $drop-b))\n");
    for (name, ..) in FUNCS {
        let _ = writeln!(text, "(export \"{name}\" (func $low-{name}))");
    }
    text.push_str("))))\n");
    for script in 0..scripts {
        let _ = writeln!(text, "(func (export \"run{script}\") (canon lift (core func $m \"run{script}\")))");
    }
    text.push_str("(func (export \"hash\") (result u64) (canon lift (core func $libc \"hash\")))\n)\n");
    text
}

/// What the host does in the functions of [`FUNCS`], by name.
fn host_actions() -> Vec<(String, HostAction)> {
    let action = |name: &str| match name {
        "make-a" => HostAction::Make(0),
        "make-b" => HostAction::Make(1),
        "swap-a" => HostAction::Next(0),
        "take-a" => HostAction::Answer(None),
        _ => HostAction::Sum,
    };
    FUNCS.iter().map(|(name, ..)| ((*name).to_owned(), action(name))).collect()
}

/// A component and calls of it.
pub(crate) fn generate(source: &mut Source<'_>, draft: &mut Draft) {
    draft.renews = source.percent(50);
    let scripts = source.between(1, 4);
    let (host_defines, host_logs) = (source.percent(25), source.percent(40));
    let mut hashed = Vec::new();
    let mut last = HOST;
    if host_defines {
        draft.shapes.add(Shape::HostResources);
        draft.text.push_str(&import_text(HOST));
        let resources = vec!["a".to_owned(), "b".to_owned()];
        draft.host = HostScript { instance: HOST.to_owned(), resources, funcs: host_actions() };
    } else {
        define(source, draft, host_logs, &mut hashed);
        last = "d0";
    }
    let defined = last;
    let text = passer(source, &mut draft.shapes) + &user(source, scripts);
    draft.text.push_str(&text);
    let passes = source.below(4);
    draft.shapes.add_if(passes > 1, Shape::ThroughLayers);
    for name in ["p0", "p1", "p2"].into_iter().take(passes) {
        let _ = writeln!(draft.text, "(instance ${name} (instantiate $Passer (with \"up\" (instance ${last}))))");
        last = name;
        hashed.push(name);
    }
    let users: &[&str] = if source.percent(40) { &["u0", "u1"] } else { &["u0"] };
    draft.shapes.add_if(users.len() > 1, Shape::TwoUsers);
    for name in &hashed {
        let _ = writeln!(draft.text, "(alias export ${name} \"hash\" (func $h-{name}))");
        let _ = writeln!(draft.text, "(instance $x-{name} (export \"hash\" (func $h-{name})))");
        let _ = writeln!(draft.text, "(export \"{name}\" (instance $x-{name}))");
    }
    for name in users {
        let from = if source.percent(80) { last } else { defined };
        let _ = writeln!(draft.text, "(instance ${name} (instantiate $User (with \"up\" (instance ${from}))))");
        let _ = writeln!(draft.text, "(export \"{name}\" (instance ${name}))");
        hashed.push(name);
    }
    for script in 0..scripts {
        for user in users {
            draft.call(user, &format!("run{script}"));
        }
    }
    for name in hashed {
        draft.call(name, "hash");
    }
}

/// The component that defines the resources, and whom it tells what is gone.
fn define(source: &mut Source<'_>, draft: &mut Draft, host_logs: bool, hashed: &mut Vec<&'static str>) {
    let text = definer(source, host_logs, &mut draft.shapes);
    if host_logs {
        draft.shapes.add(Shape::HostFuncs);
        let _ = writeln!(draft.text, "(import \"{HOST}\" (instance $g0 (export \"log\" (func (param \"rep\" u32)))))");
        let funcs = vec![("log".to_owned(), HostAction::Answer(None))];
        draft.host = HostScript { instance: HOST.to_owned(), resources: Vec::new(), funcs };
        draft.text.push_str(&text);
    } else {
        let logger = logger(source);
        draft.text.push_str(&logger);
        draft.text.push_str(&text);
        draft.text.push_str("(instance $g0 (instantiate $Logger))\n");
        hashed.push("g0");
    }
    draft.text.push_str("(instance $d0 (instantiate $Definer (with \"log\" (func $g0 \"log\"))))\n");
    hashed.push("d0");
}
