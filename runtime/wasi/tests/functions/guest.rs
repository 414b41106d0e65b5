//! A guest from a script: a component that makes the script's calls and checks what they return.
//!
//! A line is `INTERFACE/FUNCTION(VALUES) = PATTERN`, `RESOURCE.METHOD(VALUES) = PATTERN` or `drop RESOURCE $handle`. Values are
//! numbers, `"text"`, labels, `label(value)`, `(fields)`, `[items]` and `$names`, which patterns give to what they stand for.
//! In patterns `_` is anything, `nonzero` and `nonempty` what they say.
//!
//! Invariant: it is the guest that compares; its `run` returns the line of the first result that is not as the script says,
//! and 0 if all are.
//!
//! Does not know: what the host does.

use crate::interface::{Interfaces, Item, Shape, Type, split};
use std::collections::BTreeMap;
use std::fmt::Write;

#[derive(Clone, Debug)]
enum Value {
    Word(String),
    Text(String),
    Var(String),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Case(String, Box<Value>),
}

fn values(text: &str) -> Vec<Value> {
    split(text, ',').into_iter().filter(|part| !part.trim().is_empty()).map(value).collect()
}

fn value(text: &str) -> Value {
    let text = text.trim();
    let between = |open: char, close: char| text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    if let Some(inner) = between('"', '"') {
        Value::Text(inner.replace("\\n", "\n"))
    } else if let Some(inner) = between('(', ')') {
        Value::Tuple(values(inner))
    } else if let Some(inner) = between('[', ']') {
        Value::List(values(inner))
    } else if let Some(name) = text.strip_prefix('$') {
        Value::Var(name.to_owned())
    } else if let Some((label, inner)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let mut inner = values(inner);
        let inner = if inner.len() == 1 { inner.remove(0) } else { Value::Tuple(inner) };
        Value::Case(label.to_owned(), Box::new(inner))
    } else {
        Value::Word(text.to_owned())
    }
}

/// Where constants, arguments and results lie; what the host allocates begins after them.
const ARENA: usize = 1024;
const HEAP: usize = 1 << 18;
const VERSION: &str = "0.2.12";

struct Guest<'a> {
    interfaces: &'a Interfaces,
    next: usize,
    data: String,
    code: String,
    line: usize,
    /// Captured values: whether each is an `i64`.
    names: BTreeMap<String, bool>,
    /// Core functions: their imports in the component and in the module.
    functions: Vec<(String, String)>,
}

/// The text of the component.
pub fn component(interfaces: &Interfaces, script: &str) -> String {
    let mut guest = Guest {
        interfaces,
        next: ARENA,
        data: String::new(),
        code: String::new(),
        line: 0,
        names: BTreeMap::new(),
        functions: Vec::new(),
    };
    for (number, line) in script.lines().enumerate() {
        guest.line = number + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("expects ") || line.starts_with("grants ") {
            continue;
        }
        match line.strip_prefix("drop ") {
            Some(rest) => guest.drop_handle(rest),
            None => guest.call(line),
        }
    }
    guest.text()
}

impl Guest<'_> {
    fn emit(&mut self, text: &str) {
        self.code.push_str(text);
        self.code.push('\n');
    }

    fn place(&mut self, bytes: usize, align: usize) -> usize {
        let address = self.next.next_multiple_of(align);
        self.next = address + bytes;
        assert!(self.next < HEAP);
        address
    }

    fn constant(&mut self, text: &str) -> [String; 2] {
        let address = self.place(text.len(), 1);
        let escaped: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        let _ = writeln!(self.data, "(data (i32.const {address}) \"{escaped}\")");
        [address, text.len()].map(|number| format!("(i32.const {number})"))
    }

    fn drop_handle(&mut self, rest: &str) {
        let (resource, name) = rest.split_once(" $").expect("drop RESOURCE $handle");
        let owns = |item: &Item| matches!(item, Item::Resource(own) if own == resource);
        let interface = self.interfaces.order.iter().find(|name| self.interfaces.items[*name].iter().any(owns));
        let interface = interface.unwrap_or_else(|| panic!("no resource {resource}"));
        let id = self.functions.len();
        let lower = format!("(core func $f{id} (canon resource.drop ${interface}.{resource}))");
        self.functions.push((lower, "(param i32)".to_owned()));
        self.emit(&format!("(call $f{id} (global.get ${name}))"));
    }

    /// The interface, full name and type of a function.
    fn find(&self, name: &str) -> (String, String, Vec<Type>, Option<Type>) {
        let (interface, function) = match name.split_once('/') {
            Some((interface, function)) => (Some(interface), function.to_owned()),
            None => (None, format!("[method]{name}")),
        };
        let fits = |full: &&String| interface.is_none_or(|interface| full.ends_with(&format!("/{interface}")));
        let found = self.interfaces.order.iter().filter(fits).find_map(|full| {
            self.interfaces.items[full].iter().find_map(|item| match item {
                Item::Function(own, params, result) if *own == function => {
                    Some((full.clone(), function.clone(), params.clone(), result.clone()))
                }
                _ => None,
            })
        });
        found.unwrap_or_else(|| panic!("no function {name}"))
    }

    fn call(&mut self, line: &str) {
        let (call, pattern) = line.split_once(" = ").map_or((line, None), |(call, pattern)| (call, Some(pattern)));
        let (name, args) = call.split_once('(').unwrap_or_else(|| panic!("line {}: {line}", self.line));
        let args = values(args.strip_suffix(')').expect("the arguments end"));
        let (interface, function, params, result) = self.find(name);
        assert_eq!(args.len(), params.len(), "line {}: {line}", self.line);
        let mut flat: Vec<String> = Vec::new();
        let mut types: Vec<bool> = Vec::new();
        for (ty, arg) in params.iter().zip(&args) {
            flat.extend(self.flat(&interface, ty, arg));
            types.extend(self.interfaces.flat(&interface, ty));
        }
        assert!(flat.len() <= 16 && flat.len() == types.len(), "{line}");
        let returned = result.as_ref().map_or(Vec::new(), |ty| self.interfaces.flat(&interface, ty));
        let (size, align) = result
            .as_ref()
            .map_or((0, 1), |ty| (self.interfaces.size(&interface, ty), self.interfaces.align(&interface, ty)));
        let area = self.place(size, align.max(8));
        if returned.len() > 1 {
            flat.push(format!("(i32.const {area})"));
            types.push(false);
        }
        let id = self.functions.len();
        let call = format!("(call $f{id} {})", flat.join(" "));
        match returned.as_slice() {
            [wide] => {
                let store = store_of(if *wide { 8 } else { size });
                self.emit(&format!("({store} (i32.const {area}) {call})"));
            }
            _ => self.emit(&call),
        }
        let types: String = types.iter().map(|wide| if *wide { " i64" } else { " i32" }).collect();
        let back = match returned.as_slice() {
            [wide] => format!("(result {})", if *wide { "i64" } else { "i32" }),
            _ => String::new(),
        };
        let options = "(memory $m \"memory\") (realloc (func $m \"realloc\"))";
        let lower = format!("(core func $f{id} (canon lower (func ${interface} \"{function}\") {options}))");
        self.functions.push((lower, format!("(param{types}) {back}")));
        if let (Some(pattern), Some(ty)) = (pattern, &result) {
            self.check(&interface, ty, &value(pattern), &format!("(i32.const {area})"), 0);
        }
    }

    /// A value as core values.
    fn flat(&mut self, interface: &str, ty: &Type, value: &Value) -> Vec<String> {
        let all = self.interfaces;
        let (interface, shape) = all.shape(interface, ty);
        match (shape, value) {
            (Shape::Int(_), Value::Var(name)) => vec![format!("(global.get ${name})")],
            (Shape::Int(bytes), Value::Word(word)) => {
                vec![format!("({}.const {})", if bytes == 8 { "i64" } else { "i32" }, number(word))]
            }
            (Shape::Text | Shape::List(_), Value::Text(text)) => self.constant(text).to_vec(),
            (Shape::List(item), Value::List(list)) => {
                let (size, align) = (all.size(interface, item), all.align(interface, item));
                let address = self.place(size * list.len(), align);
                for (position, value) in list.iter().enumerate() {
                    self.store(interface, item, value, address + position * size);
                }
                [address, list.len()].map(|number| format!("(i32.const {number})")).to_vec()
            }
            (Shape::Fields(fields), Value::Tuple(list)) => {
                assert_eq!(fields.len(), list.len(), "line {}", self.line);
                fields.iter().zip(list).flat_map(|(field, value)| self.flat(interface, field, value)).collect()
            }
            (Shape::Cases(cases), value) => {
                let (at, inner) = case(&cases, value);
                let joined = all.flat(interface, ty);
                let mut flat = vec![format!("(i32.const {at})")];
                if let (Some(ty), Some(inner)) = (cases[at].1, inner) {
                    let own = all.flat(interface, ty);
                    for ((wide, joined), text) in own.iter().zip(&joined[1..]).zip(self.flat(interface, ty, inner)) {
                        flat.push(if *joined && !wide { format!("(i64.extend_i32_u {text})") } else { text });
                    }
                }
                let rest = joined[flat.len()..].iter();
                flat.extend(rest.map(|wide| format!("({}.const 0)", if *wide { "i64" } else { "i32" })));
                flat
            }
            (Shape::Flags(flags), Value::List(list)) => vec![format!("(i32.const {})", mask(&flags, list))],
            (_, value) => panic!("line {}: {value:?} is no {ty:?}", self.line),
        }
    }

    /// Puts a value into memory.
    fn store(&mut self, interface: &str, ty: &Type, value: &Value, address: usize) {
        let all = self.interfaces;
        let (interface, shape) = all.shape(interface, ty);
        match (shape, value) {
            (Shape::Int(bytes), _) => {
                let flat = self.flat(interface, ty, value).remove(0);
                self.emit(&format!("({} (i32.const {address}) {flat})", store_of(bytes)));
            }
            (Shape::Text | Shape::List(_), _) => {
                for (at, text) in self.flat(interface, ty, value).iter().enumerate() {
                    self.emit(&format!("(i32.store (i32.const {}) {text})", address + 4 * at));
                }
            }
            (Shape::Flags(_), _) => {
                let flat = self.flat(interface, ty, value).remove(0);
                self.emit(&format!("(i32.store8 (i32.const {address}) {flat})"));
            }
            (Shape::Fields(fields), Value::Tuple(list)) => {
                for ((field, value), offset) in fields.iter().zip(list).zip(all.offsets(interface, &fields)) {
                    self.store(interface, field, value, address + offset);
                }
            }
            (Shape::Cases(cases), value) => {
                let (at, inner) = case(&cases, value);
                self.emit(&format!("(i32.store8 (i32.const {address}) (i32.const {at}))"));
                if let (Some(ty), Some(inner)) = (cases[at].1, inner) {
                    let payload = payload_offset(all, interface, &cases);
                    self.store(interface, ty, inner, address + payload);
                }
            }
            (_, value) => panic!("line {}: {value:?} is no {ty:?}", self.line),
        }
    }

    fn fail_if(&mut self, condition: &str) {
        let line = self.line;
        self.emit(&format!("(if {condition} (then (return (i32.const {line}))))"));
    }

    /// Compares what lies in memory with a pattern.
    fn check(&mut self, interface: &str, ty: &Type, pattern: &Value, base: &str, offset: usize) {
        let all = self.interfaces;
        let (interface, shape) = all.shape(interface, ty);
        let is_anything = matches!(pattern, Value::Word(word) if word == "_");
        match (shape, pattern) {
            _ if is_anything => {}
            (Shape::Int(bytes), _) => self.check_number(bytes, pattern, base, offset),
            (Shape::Text | Shape::List(_), Value::Text(text)) => {
                self.fail_if(&format!("(i32.ne (i32.load offset={} {base}) (i32.const {}))", offset + 4, text.len()));
                for (at, byte) in text.bytes().enumerate() {
                    let address = format!("(i32.load offset={offset} {base})");
                    self.fail_if(&format!("(i32.ne (i32.load8_u offset={at} {address}) (i32.const {byte}))"));
                }
            }
            (Shape::Text | Shape::List(_), Value::Word(word)) if word == "nonempty" => {
                self.fail_if(&format!("(i32.eqz (i32.load offset={} {base}))", offset + 4));
            }
            (Shape::Text | Shape::List(_), Value::Case(word, count)) if word == "length" => {
                self.check_number(4, count, base, offset + 4);
            }
            (Shape::List(item), Value::List(list)) => {
                self.fail_if(&format!("(i32.ne (i32.load offset={} {base}) (i32.const {}))", offset + 4, list.len()));
                let items = format!("(i32.load offset={offset} {base})");
                for (position, pattern) in list.iter().enumerate() {
                    self.check(interface, item, pattern, &items, position * all.size(interface, item));
                }
            }
            (Shape::Fields(fields), Value::Tuple(list)) => {
                assert_eq!(fields.len(), list.len(), "line {}", self.line);
                for ((field, pattern), at) in fields.iter().zip(list).zip(all.offsets(interface, &fields)) {
                    self.check(interface, field, pattern, base, offset + at);
                }
            }
            (Shape::Cases(cases), pattern) => {
                let (at, inner) = case(&cases, pattern);
                self.fail_if(&format!("(i32.ne (i32.load8_u offset={offset} {base}) (i32.const {at}))"));
                if let (Some(ty), Some(inner)) = (cases[at].1, inner) {
                    let payload = payload_offset(all, interface, &cases);
                    self.check(interface, ty, inner, base, offset + payload);
                }
            }
            (Shape::Flags(flags), Value::List(list)) => {
                let wanted = mask(&flags, list);
                self.fail_if(&format!("(i32.ne (i32.load8_u offset={offset} {base}) (i32.const {wanted}))"));
            }
            (_, pattern) => panic!("line {}: {pattern:?} is no pattern of {ty:?}", self.line),
        }
    }

    fn check_number(&mut self, bytes: usize, pattern: &Value, base: &str, offset: usize) {
        let kind = if bytes == 8 { "i64" } else { "i32" };
        let load = match bytes {
            1 => "i32.load8_u",
            2 => "i32.load16_u",
            4 => "i32.load",
            _ => "i64.load",
        };
        let actual = format!("({load} offset={offset} {base})");
        match pattern {
            Value::Var(name) => {
                self.names.insert(name.clone(), bytes == 8);
                self.emit(&format!("(global.set ${name} {actual})"));
            }
            Value::Word(word) if word == "nonzero" => self.fail_if(&format!("({kind}.eqz {actual})")),
            Value::Word(word) => {
                let wanted = number(word);
                self.fail_if(&format!("({kind}.ne {actual} ({kind}.const {wanted}))"));
            }
            // What a name stands for already.
            Value::Case(word, name) if word == "same" => {
                let Value::Var(name) = &**name else { panic!("same($name)") };
                self.fail_if(&format!("({kind}.ne {actual} (global.get ${name}))"));
            }
            pattern => panic!("line {}: {pattern:?} is no number", self.line),
        }
    }

    fn text(&self) -> String {
        let imports: String =
            self.interfaces.order.iter().map(|interface| self.interfaces.import(interface, VERSION)).collect();
        let lowered: String = self.functions.iter().map(|(lower, _)| format!("{lower}\n")).collect();
        let numbered = || self.functions.iter().enumerate();
        let imported: String =
            numbered().map(|(id, (_, ty))| format!("(import \"f\" \"{id}\" (func $f{id} {ty}))\n")).collect();
        let passed: String = numbered().map(|(id, _)| format!("(export \"{id}\" (func $f{id}))")).collect();
        let globals = self.names.iter().map(|(name, wide)| {
            let ty = if *wide { "i64" } else { "i32" };
            format!("(global ${name} (mut {ty}) ({ty}.const 0))\n")
        });
        let globals: String = globals.collect();
        let (data, code) = (&self.data, &self.code);
        format!(
            "(component\n{imports}
            (core module $memory (memory (export \"memory\") 8) (global $next (mut i32) (i32.const {HEAP}))
              (func (export \"realloc\") (param i32 i32 i32 i32) (result i32)
                (global.get $next)
                (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 7))
                  (i32.const -8))))
              {data})
            (core instance $m (instantiate $memory))
            {lowered}
            (core module $main (import \"m\" \"memory\" (memory 8))
              {imported}{globals}
              (func (export \"run\") (result i32)\n{code}(i32.const 0)))
            (core instance $main (instantiate $main (with \"m\" (instance $m)) (with \"f\" (instance {passed}))))
            (func (export \"run\") (result u32) (canon lift (core func $main \"run\"))))"
        )
    }
}

fn store_of(bytes: usize) -> &'static str {
    match bytes {
        1 => "i32.store8",
        2 => "i32.store16",
        4 => "i32.store",
        _ => "i64.store",
    }
}

fn number(word: &str) -> String {
    match word {
        "true" => "1".to_owned(),
        "false" => "0".to_owned(),
        number => number.parse::<i128>().unwrap_or_else(|_| panic!("{number} is no number")).to_string(),
    }
}

fn mask(flags: &[&str], list: &[Value]) -> u32 {
    let bit = |value: &Value| match value {
        Value::Word(word) => flags.iter().position(|flag| flag == word).unwrap_or_else(|| panic!("no flag {word}")),
        value => panic!("{value:?} is no flag"),
    };
    list.iter().map(|value| 1 << bit(value)).sum()
}

/// Which case a value is, and its payload.
fn case<'v>(cases: &[(&str, Option<&Type>)], value: &'v Value) -> (usize, Option<&'v Value>) {
    let (label, inner) = match value {
        Value::Word(label) => (label, None),
        Value::Case(label, inner) => (label, Some(&**inner)),
        value => panic!("{value:?} is no case"),
    };
    let at = cases.iter().position(|(own, _)| own == label).unwrap_or_else(|| panic!("no case {label}"));
    (at, inner)
}

fn payload_offset(all: &Interfaces, interface: &str, cases: &[(&str, Option<&Type>)]) -> usize {
    cases.iter().filter_map(|(_, ty)| *ty).map(|ty| all.align(interface, ty)).max().unwrap_or(1)
}
