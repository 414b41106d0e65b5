//! The envelope: a case as bytes that mean the same whatever becomes of the generators.
//!
//! A text header (target, settings, calls, lengths of modules), an empty line, then the modules' bytes one after the other.
//! Two envelopes can be compared with `diff -a`, and a fuzzer that changes a byte changes one thing.
//!
//! ```text
//! wattest case 1
//! target diff_core
//! set form original
//! call 0 add i32:0x1 i32:0x2
//! module main 97
//!
//! <97 bytes>
//! ```
//!
//! Invariant: [`Envelope::parse`] of [`Envelope::to_bytes`] is the same envelope; what does not parse in full is no
//! envelope. Names are escaped, so that a line is a line.
//!
//! Does not know: what settings mean.

use std::collections::BTreeMap;
use std::fmt::Write;
use wattest_differential::{FuncIdentity, Value};

/// The first line.
const MAGIC: &str = "wattest case 1";

/// Most calls of a case.
const CALLS_MAX: usize = 4096;

/// Most modules of a case.
const MODULES_MAX: usize = 64;

/// A call of an export.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvelopeCall {
    /// The module, by position.
    pub module: usize,
    /// What is called, in the target's own naming.
    pub func: String,
    /// Arguments.
    pub args: Vec<Argument>,
}

/// An argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// A core value.
    Value(Value),
    /// Anything else, as the target writes it.
    Text(String),
}

/// A module of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeModule {
    /// Its name.
    pub name: String,
    /// Its bytes: a binary, or whatever the target makes of them.
    pub bytes: Vec<u8>,
}

/// A materialized case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Envelope {
    /// The target that it belongs to.
    pub target: String,
    /// Settings by name; a missing one has the target's default.
    pub settings: BTreeMap<String, String>,
    /// The modules.
    pub modules: Vec<EnvelopeModule>,
    /// What is called, in order.
    pub calls: Vec<EnvelopeCall>,
}

impl Envelope {
    /// An empty case of a target.
    pub fn new(target: &str) -> Envelope {
        Envelope { target: target.to_owned(), ..Envelope::default() }
    }

    /// The same with a setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Envelope {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }

    /// The same with a module.
    #[must_use]
    pub fn module(mut self, name: &str, bytes: Vec<u8>) -> Envelope {
        self.modules.push(EnvelopeModule { name: name.to_owned(), bytes });
        self
    }

    /// A setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// A setting that is a number; `default` where there is none.
    pub fn number(&self, name: &str, default: u64) -> u64 {
        self.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// Whether a setting is there and is `value`.
    pub fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value)
    }

    /// The bytes of a module.
    pub fn bytes(&self, module: usize) -> &[u8] {
        self.modules.get(module).map_or(&[], |module| &module.bytes)
    }

    /// The whole file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.header().into_bytes();
        bytes.push(b'\n');
        self.modules.iter().for_each(|module| bytes.extend_from_slice(&module.bytes));
        bytes
    }

    /// The text before the modules' bytes.
    pub fn header(&self) -> String {
        let mut text = format!("{MAGIC}\ntarget {}\n", escaped(&self.target));
        // Writing to a string does not fail.
        for (name, value) in &self.settings {
            let _ = writeln!(text, "set {} {}", escaped(name), escaped(value));
        }
        for call in &self.calls {
            let _ = write!(text, "call {} {}", call.module, escaped(&call.func));
            for argument in &call.args {
                let _ = match argument {
                    Argument::Value(value) => write!(text, " {}", print_value(value)),
                    Argument::Text(other) => write!(text, " text:{}", escaped(other)),
                };
            }
            text.push('\n');
        }
        for module in &self.modules {
            let _ = writeln!(text, "module {} {}", escaped(&module.name), module.bytes.len());
        }
        text
    }

    /// Reads an envelope; `None` where the bytes are none.
    pub fn parse(bytes: &[u8]) -> Option<Envelope> {
        if !bytes.starts_with(MAGIC.as_bytes()) {
            return None;
        }
        let end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
        let header = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut rest = &bytes[end + 2..];
        let mut lines = header.lines();
        if lines.next() != Some(MAGIC) {
            return None;
        }
        let mut case = Envelope::default();
        for line in lines {
            let mut words = line.split(' ');
            match words.next()? {
                "target" => case.target = unescaped(words.next()?)?,
                "set" => {
                    case.settings.insert(unescaped(words.next()?)?, unescaped(words.next()?)?);
                }
                "call" => {
                    let module = words.next()?.parse().ok()?;
                    let func = unescaped(words.next()?)?;
                    let args = words.map(parse_argument).collect::<Option<Vec<_>>>()?;
                    case.calls.push(EnvelopeCall { module, func, args });
                }
                "module" => {
                    let name = unescaped(words.next()?)?;
                    let length: usize = words.next()?.parse().ok()?;
                    let (bytes, after) = rest.split_at_checked(length)?;
                    case.modules.push(EnvelopeModule { name, bytes: bytes.to_vec() });
                    rest = after;
                }
                _ => return None,
            }
        }
        let fits = case.calls.len() <= CALLS_MAX && case.modules.len() <= MODULES_MAX;
        (fits && rest.is_empty()).then_some(case)
    }
}

/// Text without white space; an empty one is `%`.
fn escaped(text: &str) -> String {
    if text.is_empty() {
        return "%".to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() || c == '%' {
            // Writing to a string does not fail.
            let _ = write!(out, "%{:x};", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

fn unescaped(text: &str) -> Option<String> {
    if text == "%" {
        return Some(String::new());
    }
    let mut parts = text.split('%');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_once(';')?;
        out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        out.push_str(rest);
    }
    Some(out)
}

/// A value as a word: its type and its bits.
pub fn print_value(value: &Value) -> String {
    match value {
        Value::I32(bits) => format!("i32:{bits:#x}"),
        Value::I64(bits) => format!("i64:{bits:#x}"),
        Value::F32(bits) => format!("f32:{bits:#x}"),
        Value::F64(bits) => format!("f64:{bits:#x}"),
        Value::V128(bits) => format!("v128:{bits:#x}"),
        Value::Func(FuncIdentity::Null) => "func:null".to_owned(),
        Value::Func(FuncIdentity::Unknown) => "func:unknown".to_owned(),
        Value::Func(FuncIdentity::Index(index)) => format!("func:{index:#x}"),
        Value::Extern(None) => "extern:null".to_owned(),
        Value::Extern(Some(payload)) => format!("extern:{payload:#x}"),
    }
}

fn parse_argument(word: &str) -> Option<Argument> {
    match word.strip_prefix("text:") {
        Some(text) => Some(Argument::Text(unescaped(text)?)),
        None => parse_value(word).map(Argument::Value),
    }
}

/// Reads what [`print_value`] wrote.
pub fn parse_value(word: &str) -> Option<Value> {
    let (ty, text) = word.split_once(':')?;
    let bits = || u128::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let small = || u32::try_from(bits()?).ok();
    let wide = || u64::try_from(bits()?).ok();
    Some(match (ty, text) {
        ("func", "null") => Value::Func(FuncIdentity::Null),
        ("func", "unknown") => Value::Func(FuncIdentity::Unknown),
        ("extern", "null") => Value::Extern(None),
        ("i32", _) => Value::I32(small()?),
        ("i64", _) => Value::I64(wide()?),
        ("f32", _) => Value::F32(small()?),
        ("f64", _) => Value::F64(wide()?),
        ("v128", _) => Value::V128(bits()?),
        ("func", _) => Value::Func(FuncIdentity::Index(small()?)),
        ("extern", _) => Value::Extern(Some(small()?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_round_trip() {
        let mut case = Envelope::new("diff_core").set("a name", "50 %\nand more").set("empty", "");
        case = case.module("m", vec![0, 10, 10, 255]).module("n", b"\n\n".to_vec());
        let values = [
            Value::I32(u32::MAX),
            Value::I64(1 << 63),
            Value::F32(0x7fc0_0000),
            Value::F64(1),
            Value::V128(u128::MAX),
            Value::Func(FuncIdentity::Null),
            Value::Func(FuncIdentity::Index(7)),
            Value::Extern(None),
            Value::Extern(Some(3)),
        ];
        let args = values.into_iter().map(Argument::Value).chain([Argument::Text("x y\u{0}".to_owned())]).collect();
        case.calls.push(EnvelopeCall { module: 1, func: "f f".to_owned(), args });
        let bytes = case.to_bytes();
        assert_eq!(Envelope::parse(&bytes), Some(case), "{}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn other_bytes_are_no_envelope() {
        let bytes = Envelope::new("t").module("m", vec![1, 2, 3]).to_bytes();
        assert!(Envelope::parse(&bytes).is_some());
        for end in 0..bytes.len() {
            assert_eq!(Envelope::parse(&bytes[..end]), None, "{end}");
        }
        assert_eq!(Envelope::parse(b"\0asm\x01\0\0\0"), None);
    }
}
