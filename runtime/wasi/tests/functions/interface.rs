//! Interfaces as small text: resources, types, functions; their text in a component, their layout in memory.
//!
//! A line is `interface NAME`, `use INTERFACE NAME…`, `resource NAME`, `type NAME = TYPE` or a function, `NAME(TYPE, …) -> TYPE`.
//! Layout is that of the
//! [canonical ABI](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#alignment).
//!
//! Invariant: written down from the specification, not from the runtime: a function that the runtime defines with another type
//! does not link.
//!
//! Does not know: what functions do.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A type: a name, what it is made of, labels of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    pub name: String,
    pub parts: Vec<(String, Option<Type>)>,
}

#[derive(Clone, Debug)]
pub enum Item {
    Use(String, String),
    Resource(String),
    Type(String, Type),
    Function(String, Vec<Type>, Option<Type>),
}

/// The interfaces, in the order of the text.
#[derive(Debug)]
pub struct Interfaces {
    pub order: Vec<String>,
    pub items: BTreeMap<String, Vec<Item>>,
}

/// What a value is in memory.
pub enum Shape<'a> {
    /// An integer of so many bytes.
    Int(usize),
    /// Characters.
    Text,
    List(&'a Type),
    Fields(Vec<&'a Type>),
    Cases(Vec<(&'a str, Option<&'a Type>)>),
    /// Bits with names.
    Flags(Vec<&'a str>),
}

fn parse_type(text: &str) -> Type {
    let text = text.trim();
    let Some((name, rest)) = text.split_once('<') else {
        return Type { name: text.to_owned(), parts: Vec::new() };
    };
    let inner = rest.strip_suffix('>').unwrap_or_else(|| panic!("{text}"));
    let parts = split(inner, ',').into_iter().filter(|part| !part.trim().is_empty());
    let parts = parts.map(|part| match part.split_once(": ") {
        // A label, where the colon is not within a part's own part.
        Some((label, ty)) if !label.contains('<') => (label.trim().to_owned(), Some(parse_type(ty))),
        _ if ["enum", "flags", "variant"].contains(&name) => (part.trim().to_owned(), None),
        _ => (String::new(), Some(parse_type(part))),
    });
    Type { name: name.to_owned(), parts: parts.collect() }
}

/// Splits where no bracket is open.
pub fn split(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (position, c) in text.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            // Not that of an arrow.
            '>' if text[..position].ends_with('-') => {}
            '>' | ')' | ']' => depth -= 1,
            c if c == at && depth == 0 => {
                parts.push(&text[start..position]);
                start = position + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

impl Interfaces {
    pub fn parse(text: &str) -> Interfaces {
        let mut interfaces = Interfaces { order: Vec::new(), items: BTreeMap::new() };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            if word == "interface" {
                interfaces.order.push(rest.to_owned());
                interfaces.items.insert(rest.to_owned(), Vec::new());
                continue;
            }
            let current = interfaces.order.last().expect("an interface begins").clone();
            let items = interfaces.items.get_mut(&current).expect("it was just begun");
            match word {
                "use" => {
                    let (from, names) = rest.split_once(' ').expect("use INTERFACE NAME…");
                    items.extend(names.split(' ').map(|name| Item::Use(from.to_owned(), name.to_owned())));
                }
                "resource" => items.push(Item::Resource(rest.to_owned())),
                "type" => {
                    let (name, ty) = rest.split_once(" = ").expect("type NAME = TYPE");
                    items.push(Item::Type(name.to_owned(), parse_type(ty)));
                }
                _ => items.push(function(line)),
            }
        }
        interfaces
    }

    /// The interface in which a name of another one's types is defined, and the definition.
    fn definition(&self, interface: &str, name: &str) -> Option<(&str, Option<&Type>)> {
        let (own, items) = self.items.get_key_value(interface)?;
        items.iter().find_map(|item| match item {
            Item::Use(from, used) if used == name => self.definition(from, name),
            Item::Resource(own_name) if own_name == name => Some((own.as_str(), None)),
            Item::Type(own_name, ty) if own_name == name => Some((own.as_str(), Some(ty))),
            _ => None,
        })
    }

    /// What a type of an interface is, and the interface that its parts are to be looked up in.
    pub fn shape<'a>(&'a self, interface: &'a str, ty: &'a Type) -> (&'a str, Shape<'a>) {
        let types = || ty.parts.iter().filter_map(|(_, part)| part.as_ref());
        let part = |position: usize| ty.parts.get(position).and_then(|(_, part)| part.as_ref());
        let shape = match ty.name.as_str() {
            "u8" | "bool" => Shape::Int(1),
            "u16" => Shape::Int(2),
            "u32" | "s32" | "own" | "borrow" => Shape::Int(4),
            "u64" => Shape::Int(8),
            "string" => Shape::Text,
            "list" => Shape::List(part(0).expect("list<T>")),
            "tuple" | "record" => Shape::Fields(types().collect()),
            "option" => Shape::Cases(vec![("none", None), ("some", part(0))]),
            "result" => {
                let unless_empty = |position| part(position).filter(|ty| ty.name != "_");
                Shape::Cases(vec![("ok", unless_empty(0)), ("err", unless_empty(1))])
            }
            "variant" | "enum" => {
                Shape::Cases(ty.parts.iter().map(|(label, ty)| (label.as_str(), ty.as_ref())).collect())
            }
            "flags" => Shape::Flags(ty.parts.iter().map(|(label, _)| label.as_str()).collect()),
            name => {
                let (interface, ty) =
                    self.definition(interface, name).unwrap_or_else(|| panic!("{interface} has no type {name}"));
                return self.shape(interface, ty.expect("a resource is a handle's"));
            }
        };
        (interface, shape)
    }

    pub fn align(&self, interface: &str, ty: &Type) -> usize {
        self.size_and_align(interface, ty).1
    }

    pub fn size(&self, interface: &str, ty: &Type) -> usize {
        self.size_and_align(interface, ty).0
    }

    fn size_and_align(&self, interface: &str, ty: &Type) -> (usize, usize) {
        let (interface, shape) = self.shape(interface, ty);
        match shape {
            Shape::Int(bytes) => (bytes, bytes),
            Shape::Text | Shape::List(_) => (8, 4),
            Shape::Flags(_) => (1, 1),
            Shape::Fields(fields) => {
                let align = fields.iter().map(|field| self.align(interface, field)).max().unwrap_or(1);
                let end = self.offsets(interface, &fields).last().copied().unwrap_or(0)
                    + fields.last().map_or(0, |field| self.size(interface, field));
                (end.next_multiple_of(align), align)
            }
            Shape::Cases(cases) => {
                let payloads = || cases.iter().filter_map(|(_, ty)| *ty);
                let align = payloads().map(|ty| self.align(interface, ty)).max().unwrap_or(1);
                let size = payloads().map(|ty| self.size(interface, ty)).max().unwrap_or(0);
                ((align + size).next_multiple_of(align), align)
            }
        }
    }

    pub fn offsets(&self, interface: &str, fields: &[&Type]) -> Vec<usize> {
        let mut end: usize = 0;
        let mut offsets = Vec::new();
        for field in fields {
            let start = end.next_multiple_of(self.align(interface, field));
            offsets.push(start);
            end = start + self.size(interface, field);
        }
        offsets
    }

    /// The core types that a value flattens to: whether each is an `i64`.
    pub fn flat(&self, interface: &str, ty: &Type) -> Vec<bool> {
        let (interface, shape) = self.shape(interface, ty);
        match shape {
            Shape::Int(bytes) => vec![bytes == 8],
            Shape::Text | Shape::List(_) => vec![false, false],
            Shape::Flags(_) => vec![false],
            Shape::Fields(fields) => fields.iter().flat_map(|field| self.flat(interface, field)).collect(),
            Shape::Cases(cases) => {
                let mut joined = Vec::new();
                for flat in cases.iter().filter_map(|(_, ty)| *ty).map(|ty| self.flat(interface, ty)) {
                    joined.resize(flat.len().max(joined.len()), false);
                    joined.iter_mut().zip(flat).for_each(|(joined, wide)| *joined |= wide);
                }
                [false].into_iter().chain(joined).collect()
            }
        }
    }

    /// A type as the text of a component has it.
    fn wat_type(ty: &Type) -> String {
        let inner: Vec<String> = ty
            .parts
            .iter()
            .map(|(label, part)| {
                let part = part.as_ref().map(Interfaces::wat_type);
                match ty.name.as_str() {
                    "record" => format!("(field \"{label}\" {})", part.unwrap_or_default()),
                    "variant" => format!("(case \"{label}\" {})", part.unwrap_or_default()),
                    "enum" | "flags" => format!("\"{label}\""),
                    _ => part.unwrap_or_default(),
                }
            })
            .collect();
        match (ty.name.as_str(), inner.is_empty()) {
            ("result", _) => {
                let [ok, error] = [0, 1].map(|at| inner.get(at).filter(|text| *text != "$_").cloned());
                let error = error.map_or(String::new(), |error| format!("(error {error})"));
                format!("(result {} {error})", ok.unwrap_or_default())
            }
            ("u8" | "u16" | "u32" | "u64" | "s32" | "bool" | "string", _) => ty.name.clone(),
            (name, true) => format!("${name}"),
            (name, false) => format!("({name} {})", inner.join(" ")),
        }
    }

    /// The import of an interface, all of it.
    pub fn import(&self, interface: &str, version: &str) -> String {
        let mut text = format!("(import \"{interface}@{version}\" (instance ${interface}\n");
        // Writing to a string cannot fail.
        for item in &self.items[interface] {
            let _ = match item {
                Item::Use(from, name) => {
                    let _ = writeln!(text, "(alias outer 1 ${from}.{name} (type $outer.{name}))");
                    writeln!(text, "(export \"{name}\" (type ${name} (eq $outer.{name})))")
                }
                Item::Resource(name) => writeln!(text, "(export \"{name}\" (type ${name} (sub resource)))"),
                Item::Type(name, ty) => {
                    let _ = writeln!(text, "(type $own.{name} {})", Interfaces::wat_type(ty));
                    writeln!(text, "(export \"{name}\" (type ${name} (eq $own.{name})))")
                }
                Item::Function(name, params, result) => {
                    let label = |at: usize| {
                        if at == 0 && name.starts_with("[method]") { "self".into() } else { format!("p{at}") }
                    };
                    let params = params.iter().enumerate();
                    let params: String = params
                        .map(|(at, ty)| format!(" (param \"{}\" {})", label(at), Interfaces::wat_type(ty)))
                        .collect();
                    let result = result.as_ref().map(|ty| format!(" (result {})", Interfaces::wat_type(ty)));
                    writeln!(text, "(export \"{name}\" (func{params}{}))", result.unwrap_or_default())
                }
            };
        }
        text.push_str("))\n");
        for item in &self.items[interface] {
            if let Item::Use(_, name) | Item::Resource(name) | Item::Type(name, _) = item {
                let _ = writeln!(text, "(alias export ${interface} \"{name}\" (type ${interface}.{name}))");
            }
        }
        text
    }
}

fn function(line: &str) -> Item {
    let (signature, result) = match line.split_once(" -> ") {
        Some((signature, result)) => (signature, Some(parse_type(result))),
        None => (line, None),
    };
    let (name, params) = signature.split_once('(').expect("NAME(TYPE, …)");
    let params = params.strip_suffix(')').expect("a list of parameters ends");
    let params = split(params, ',').into_iter().filter(|param| !param.trim().is_empty()).map(parse_type);
    Item::Function(name.to_owned(), params.collect(), result)
}
