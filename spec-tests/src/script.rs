//! A script: a `.wast` file, parsed and encoded once, ready to be run any number of times.
//!
//! The text format and the script grammar
//! ([spec](https://github.com/WebAssembly/spec/tree/main/interpreter#scripts)) are the `wast` crate's business. What it
//! cannot read becomes data: a module's text error is part of the script, since `assert_malformed` asks for it.
//!
//! Invariant: a [`Script`] borrows nothing and never changes, so configurations and threads share it.
//!
//! Does not know: engines.

use crate::value::{F32Pattern, F64Pattern};
use crate::{ComponentValue, Heap, Pattern, RefKind, Value};
use std::sync::Arc;
use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::lexer::Lexer;
use wast::parser::ParseBuffer;
use wast::token::{F32, F64, Id, Span};
use wast::{QuoteWat, QuoteWatTest, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, WastThread, Wat};

/// A whole file.
#[derive(Clone, Debug)]
pub struct Script {
    /// In order.
    pub directives: Arc<[Directive]>,
}

/// A directive and where it stands.
#[derive(Clone, Debug)]
pub struct Directive {
    /// Line in the file, from 1.
    pub line: u32,
    /// What to do.
    pub command: Command,
}

/// A module as far as the text format goes.
#[derive(Clone, Debug)]
pub enum ModuleSource {
    /// Encoded.
    Binary(Vec<u8>),
    /// The text format rejects it, with this message.
    TextError(String),
    /// A component, encoded.
    Component(Vec<u8>),
}

/// A call of an export.
#[derive(Clone, Debug)]
pub struct Call {
    /// The instance's name; the current one otherwise.
    pub instance: Option<String>,
    /// The export's name.
    pub export: String,
    /// Arguments, or why there are none.
    pub args: Result<Args, String>,
}

/// Arguments of a call.
#[derive(Clone, Debug)]
pub enum Args {
    /// Of a core function, or none.
    Core(Vec<Value>),
    /// Of a component function: at least one.
    Component(Vec<ComponentValue>),
}

/// What an action returns.
#[derive(Clone, Debug)]
pub enum Returned {
    /// Core values that match, or none.
    Core(Vec<Pattern>),
    /// A component's value.
    Component(ComponentValue),
}

/// What an assertion executes.
#[derive(Clone, Debug)]
pub enum Action {
    /// Call a function.
    Invoke(Call),
    /// Instantiate a module.
    Module(ModuleSource),
    /// Read a global.
    Get {
        /// The instance's name; the current one otherwise.
        instance: Option<String>,
        /// The export's name.
        export: String,
    },
}

/// What a directive says.
#[derive(Clone, Debug)]
pub enum Command {
    /// Define a module and instantiate it.
    Module(Option<String>, ModuleSource),
    /// Define a module.
    Definition(Option<String>, ModuleSource),
    /// Instantiate a definition.
    Instance {
        /// The new instance's name.
        instance: Option<String>,
        /// The definition's name; the latest otherwise.
        definition: Option<String>,
    },
    /// Register an instance for imports.
    Register {
        /// The module name that imports use.
        name: String,
        /// The instance's name; the current one otherwise.
        instance: Option<String>,
    },
    /// Call, expecting no failure.
    Invoke(Call),
    /// The module is rejected by decoding or by the text format.
    AssertMalformed(ModuleSource),
    /// The module is rejected.
    AssertInvalid(ModuleSource),
    /// The module's custom section is rejected by decoding or by the text format.
    AssertMalformedCustom(ModuleSource),
    /// The module's custom section is rejected.
    AssertInvalidCustom(ModuleSource),
    /// Imports do not fit.
    AssertUnlinkable(ModuleSource),
    /// The action traps, by the official wording.
    AssertTrap(Action, String),
    /// The call uses up the stack.
    AssertExhaustion(Call, String),
    /// The action throws.
    AssertException(Action),
    /// The action suspends to nobody.
    AssertSuspension,
    /// The action returns values that match, or the patterns that could not be read.
    AssertReturn(Action, Result<Returned, String>),
    /// Run directives in another thread.
    Thread {
        /// The thread's name.
        name: String,
        /// The instance whose shared things the thread sees.
        shared: Option<String>,
        /// What it runs.
        directives: Arc<[Directive]>,
    },
    /// Wait for a thread.
    Wait(String),
}

impl Command {
    /// The directive's keyword, as reports count it.
    pub fn kind(&self) -> &'static str {
        match self {
            Command::Module(..) => "module",
            Command::Definition(..) => "module definition",
            Command::Instance { .. } => "module instance",
            Command::Register { .. } => "register",
            Command::Invoke(_) => "invoke",
            Command::AssertMalformed(_) => "assert_malformed",
            Command::AssertInvalid(_) => "assert_invalid",
            Command::AssertMalformedCustom(_) => "assert_malformed_custom",
            Command::AssertInvalidCustom(_) => "assert_invalid_custom",
            Command::AssertUnlinkable(_) => "assert_unlinkable",
            Command::AssertTrap(..) => "assert_trap",
            Command::AssertExhaustion(..) => "assert_exhaustion",
            Command::AssertException(_) => "assert_exception",
            Command::AssertSuspension => "assert_suspension",
            Command::AssertReturn(..) => "assert_return",
            Command::Thread { .. } => "thread",
            Command::Wait(_) => "wait",
        }
    }
}

/// A file that is no script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// Line in the file, from 1.
    pub line: u32,
    /// What is wrong.
    pub text: String,
}

impl Script {
    /// Parses `text` and encodes its modules.
    ///
    /// # Errors
    ///
    /// When the text is not a script at all; errors inside a module's text are part of the script.
    ///
    /// ```
    /// use wattest_spec_tests::Script;
    /// let script = Script::parse("(module) (assert_malformed (module quote \"(func\") \"unexpected end\")").unwrap();
    /// assert_eq!(script.directives.len(), 2);
    /// ```
    pub fn parse(text: &str) -> Result<Script, ScriptError> {
        let lines = LineTable::new(text);
        let at = |error: wast::Error| ScriptError { line: lines.line(error.span()), text: error.message() };
        let mut lexer = Lexer::new(text);
        lexer.allow_confusing_unicode(true);
        let buffer = ParseBuffer::new_with_lexer(lexer).map_err(at)?;
        let wast = wast::parser::parse::<Wast<'_>>(&buffer).map_err(at)?;
        Ok(Script { directives: translate_all(wast.directives, &lines) })
    }
}

/// Byte offsets at which lines start.
struct LineTable(Vec<usize>);

impl LineTable {
    fn new(text: &str) -> LineTable {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(offset, _)| offset + 1);
        LineTable(std::iter::once(0).chain(breaks).collect())
    }

    fn line(&self, span: Span) -> u32 {
        self.0.partition_point(|start| *start <= span.offset()) as u32
    }
}

fn translate_all(directives: Vec<WastDirective<'_>>, lines: &LineTable) -> Arc<[Directive]> {
    directives
        .into_iter()
        .map(|directive| Directive { line: lines.line(directive.span()), command: command(directive, lines) })
        .collect()
}

fn command(directive: WastDirective<'_>, lines: &LineTable) -> Command {
    match directive {
        WastDirective::Module(mut module) => Command::Module(owned(module.name()), quoted(&mut module)),
        WastDirective::ModuleDefinition(mut module) => Command::Definition(owned(module.name()), quoted(&mut module)),
        WastDirective::ModuleInstance { instance, module, .. } => {
            Command::Instance { instance: owned(instance), definition: owned(module) }
        }
        WastDirective::AssertMalformed { mut module, .. } => Command::AssertMalformed(quoted(&mut module)),
        WastDirective::AssertInvalid { mut module, .. } => Command::AssertInvalid(quoted(&mut module)),
        WastDirective::AssertMalformedCustom { mut module, .. } => Command::AssertMalformedCustom(quoted(&mut module)),
        WastDirective::AssertInvalidCustom { mut module, .. } => Command::AssertInvalidCustom(quoted(&mut module)),
        WastDirective::Register { name, module, .. } => {
            Command::Register { name: name.to_owned(), instance: owned(module) }
        }
        WastDirective::Invoke(invoke) => Command::Invoke(call(invoke)),
        WastDirective::AssertTrap { exec, message, .. } => Command::AssertTrap(action(exec), message.to_owned()),
        WastDirective::AssertReturn { exec, results, .. } => Command::AssertReturn(action(exec), returned(results)),
        WastDirective::AssertExhaustion { call: invoke, message, .. } => {
            Command::AssertExhaustion(call(invoke), message.to_owned())
        }
        WastDirective::AssertUnlinkable { mut module, .. } => Command::AssertUnlinkable(encoded(&mut module)),
        WastDirective::AssertException { exec, .. } => Command::AssertException(action(exec)),
        WastDirective::AssertSuspension { .. } => Command::AssertSuspension,
        WastDirective::Thread(WastThread { name, shared_module, directives, .. }) => Command::Thread {
            name: name.name().to_owned(),
            shared: owned(shared_module),
            directives: translate_all(directives, lines),
        },
        WastDirective::Wait { thread, .. } => Command::Wait(thread.name().to_owned()),
    }
}

fn owned(id: Option<Id<'_>>) -> Option<String> {
    id.map(|id| id.name().to_owned())
}

fn encoded(module: &mut Wat<'_>) -> ModuleSource {
    match module {
        Wat::Component(component) => match component.encode() {
            Ok(binary) => ModuleSource::Component(binary),
            Err(error) => ModuleSource::TextError(error.message()),
        },
        Wat::Module(module) => match module.encode() {
            Ok(binary) => ModuleSource::Binary(binary),
            Err(error) => ModuleSource::TextError(error.message()),
        },
    }
}

fn quoted(module: &mut QuoteWat<'_>) -> ModuleSource {
    match module {
        QuoteWat::Wat(module) => encoded(module),
        QuoteWat::QuoteComponent(..) | QuoteWat::QuoteModule(..) => match module.to_test() {
            Ok(QuoteWatTest::Binary(binary)) if is_component(&binary) => ModuleSource::Component(binary),
            Ok(QuoteWatTest::Binary(binary)) => ModuleSource::Binary(binary),
            Ok(QuoteWatTest::Text(bytes)) => parse_quoted(&bytes).unwrap_or_else(ModuleSource::TextError),
            Err(error) => ModuleSource::TextError(error.message()),
        },
    }
}

fn parse_quoted(bytes: &[u8]) -> Result<ModuleSource, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "malformed UTF-8 encoding".to_owned())?;
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).map_err(|error| error.message())?;
    let mut module = wast::parser::parse::<Wat<'_>>(&buffer).map_err(|error| error.message())?;
    Ok(encoded(&mut module))
}

fn action(exec: WastExecute<'_>) -> Action {
    match exec {
        WastExecute::Invoke(invoke) => Action::Invoke(call(invoke)),
        WastExecute::Wat(mut module) => Action::Module(encoded(&mut module)),
        WastExecute::Get { module, global, .. } => Action::Get { instance: owned(module), export: global.to_owned() },
    }
}

/// Whether a binary has the preamble of a component: layer 1, where a core module has layer 0.
fn is_component(binary: &[u8]) -> bool {
    matches!(binary, [0, b'a', b's', b'm', _, _, 1, 0, ..])
}

fn call(invoke: WastInvoke<'_>) -> Call {
    Call { instance: owned(invoke.module), export: invoke.name.to_owned(), args: arguments(invoke.args) }
}

fn arguments(args: Vec<WastArg<'_>>) -> Result<Args, String> {
    let (mut core, mut component) = (Vec::new(), Vec::new());
    for arg in args {
        match arg {
            WastArg::Core(arg) => core.push(argument(arg)?),
            WastArg::Component(value) => component.push(ComponentValue::of_script(value)),
            _ => return Err("an unknown kind of argument".to_owned()),
        }
    }
    match (core.is_empty(), component.is_empty()) {
        (_, true) => Ok(Args::Core(core)),
        (true, false) => Ok(Args::Component(component)),
        (false, false) => Err("arguments of core and component functions together".to_owned()),
    }
}

fn argument(arg: WastArgCore<'_>) -> Result<Value, String> {
    Ok(match arg {
        WastArgCore::I32(value) => Value::I32(value),
        WastArgCore::I64(value) => Value::I64(value),
        WastArgCore::F32(value) => Value::F32(value.bits),
        WastArgCore::F64(value) => Value::F64(value.bits),
        WastArgCore::V128(value) => Value::V128(u128::from_le_bytes(value.to_le_bytes())),
        WastArgCore::RefNull(heap) => {
            Value::Null(hierarchy(&heap).ok_or_else(|| "an argument of a concrete null type".to_owned())?)
        }
        WastArgCore::RefExtern(number) => Value::Extern(number),
        WastArgCore::RefHost(number) => Value::Host(number),
    })
}

fn returned(results: Vec<WastRet<'_>>) -> Result<Returned, String> {
    let mut core = Vec::with_capacity(results.len());
    let single = results.len() == 1;
    for result in results {
        match result {
            WastRet::Core(result) => core.push(pattern(result)?),
            WastRet::Component(value) if single => return Ok(Returned::Component(ComponentValue::of_script(value))),
            _ => return Err("results of a kind that is not known".to_owned()),
        }
    }
    Ok(Returned::Core(core))
}

/// `either` nests only as deep as the parser allows.
fn pattern(result: WastRetCore<'_>) -> Result<Pattern, String> {
    Ok(match result {
        WastRetCore::I32(value) => Pattern::Is(Value::I32(value)),
        WastRetCore::I64(value) => Pattern::Is(Value::I64(value)),
        WastRetCore::F32(value) => Pattern::F32(f32_pattern(&value)),
        WastRetCore::F64(value) => Pattern::F64(f64_pattern(&value)),
        WastRetCore::V128(value) => vector_pattern(&value),
        WastRetCore::RefNull(heap) => Pattern::Null(heap.and_then(|heap| hierarchy(&heap))),
        WastRetCore::RefExtern(Some(number)) => Pattern::Is(Value::Extern(number)),
        WastRetCore::RefExtern(None) => Pattern::Ref(RefKind::Extern),
        WastRetCore::RefHost(number) => Pattern::Is(Value::Host(number)),
        WastRetCore::RefFunc(_) => Pattern::Ref(RefKind::Func),
        WastRetCore::RefAny => Pattern::Ref(RefKind::Any),
        WastRetCore::RefEq => Pattern::Ref(RefKind::Eq),
        WastRetCore::RefArray => Pattern::Ref(RefKind::Array),
        WastRetCore::RefStruct => Pattern::Ref(RefKind::Struct),
        WastRetCore::RefI31 => Pattern::Ref(RefKind::I31),
        WastRetCore::RefI31Shared => return Err("shared-everything-threads".to_owned()),
        WastRetCore::Either(cases) => Pattern::Either(cases.into_iter().map(pattern).collect::<Result<_, _>>()?),
    })
}

fn f32_pattern(value: &NanPattern<F32>) -> F32Pattern {
    match value {
        NanPattern::CanonicalNan => F32Pattern::CanonicalNan,
        NanPattern::ArithmeticNan => F32Pattern::ArithmeticNan,
        NanPattern::Value(value) => F32Pattern::Bits(value.bits),
    }
}

fn f64_pattern(value: &NanPattern<F64>) -> F64Pattern {
    match value {
        NanPattern::CanonicalNan => F64Pattern::CanonicalNan,
        NanPattern::ArithmeticNan => F64Pattern::ArithmeticNan,
        NanPattern::Value(value) => F64Pattern::Bits(value.bits),
    }
}

fn vector_pattern(value: &V128Pattern) -> Pattern {
    /// Lanes from the lowest to one vector; `bits` is the width of a lane.
    fn lanes(lanes: impl Iterator<Item = u128>, bits: u32) -> Pattern {
        let vector = lanes.enumerate().fold(0, |vector, (lane, value)| vector | value << (bits * lane as u32));
        Pattern::Is(Value::V128(vector))
    }
    match value {
        V128Pattern::I8x16(values) => lanes(values.iter().map(|lane| u128::from(*lane as u8)), 8),
        V128Pattern::I16x8(values) => lanes(values.iter().map(|lane| u128::from(*lane as u16)), 16),
        V128Pattern::I32x4(values) => lanes(values.iter().map(|lane| u128::from(*lane as u32)), 32),
        V128Pattern::I64x2(values) => lanes(values.iter().map(|lane| u128::from(*lane as u64)), 64),
        V128Pattern::F32x4(values) => Pattern::F32x4(std::array::from_fn(|lane| f32_pattern(&values[lane]))),
        V128Pattern::F64x2(values) => Pattern::F64x2(std::array::from_fn(|lane| f64_pattern(&values[lane]))),
    }
}

/// The hierarchy of a heap type; none for a type of some module, whose index means nothing outside it.
fn hierarchy(heap: &HeapType<'_>) -> Option<Heap> {
    let HeapType::Abstract { ty, .. } = heap else { return None };
    match ty {
        AbstractHeapType::Func | AbstractHeapType::NoFunc => Some(Heap::Func),
        AbstractHeapType::Extern | AbstractHeapType::NoExtern => Some(Heap::Extern),
        AbstractHeapType::Exn | AbstractHeapType::NoExn => Some(Heap::Exn),
        AbstractHeapType::Any
        | AbstractHeapType::Eq
        | AbstractHeapType::Struct
        | AbstractHeapType::Array
        | AbstractHeapType::I31
        | AbstractHeapType::None => Some(Heap::Any),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(u32, &str)]) {
        let script = Script::parse(text).unwrap();
        let actual: Vec<_> = script.directives.iter().map(|row| (row.line, row.command.kind())).collect();
        assert_eq!(actual, expected);
    }

    #[test]
    fn directives_have_lines_and_kinds() {
        check(
            "(module)\n\n(assert_return (invoke \"x\"))\n(register \"M\")",
            &[(1, "module"), (3, "assert_return"), (4, "register")],
        );
        check("(module definition $m)\n(module instance $i $m)", &[(1, "module definition"), (2, "module instance")]);
        check("(module)(thread $t (invoke \"x\"))\n(wait $t)", &[(1, "module"), (1, "thread"), (2, "wait")]);
    }

    #[test]
    fn a_bad_quote_is_data_and_a_bad_script_an_error() {
        let script = Script::parse("(assert_malformed (module quote \"(func\") \"x\")").unwrap();
        let Command::AssertMalformed(ModuleSource::TextError(_)) = &script.directives[0].command else { panic!() };
        assert_eq!(Script::parse("(module)\n(bogus)").unwrap_err().line, 2);
    }

    #[test]
    fn vectors_put_lane_zero_lowest() {
        let script =
            Script::parse("(module)(assert_return (invoke \"x\") (v128.const i16x8 1 2 3 4 5 6 7 -1))").unwrap();
        let Command::AssertReturn(_, Ok(Returned::Core(patterns))) = &script.directives[1].command else { panic!() };
        assert_eq!(patterns[..], [Pattern::Is(Value::V128(0xffff_0007_0006_0005_0004_0003_0002_0001))]);
    }
}
