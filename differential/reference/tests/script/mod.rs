//! A runner for the official scripts.

use std::collections::BTreeMap;
use std::sync::Arc;
use wast::core::{AbstractHeapType, HeapType as WastHeap, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::lexer::Lexer;
use wast::parser::{ParseBuffer, parse};
use wast::token::Id;
use wast::{QuoteWat, QuoteWatTest, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat};
use wattest_reference::{
    Budget, Extern, Failure, Features, FuncType, GlobalType, HeapType, InstanceAddr, Limits, MemoryType, Module, Ref,
    RefType, Store, TableType, TrapClass, ValType, Value,
};

/// How a file went.
#[derive(Default)]
pub struct Outcome {
    /// Directives that did what they say.
    pub passed: usize,
    /// Lines and reasons of those that did not.
    pub failures: Vec<String>,
}

struct Session {
    features: Features,
    store: Store,
    modules: BTreeMap<String, Module>,
    instances: BTreeMap<String, InstanceAddr>,
    registered: BTreeMap<String, BTreeMap<String, Extern>>,
    last_module: Option<Module>,
    current: Option<InstanceAddr>,
}

type Step<T = ()> = Result<T, String>;
/// Results and their types, or how execution ended.
type Values = Result<(Vec<Value>, Vec<ValType>), Failure>;

/// Runs a script.
pub fn run_file(name: &str, text: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = match ParseBuffer::new_with_lexer(lexer) {
        Ok(buffer) => buffer,
        Err(error) => return Outcome { passed: 0, failures: vec![format!("0: {error}")] },
    };
    let script = match parse::<Wast<'_>>(&buffer) {
        Ok(script) => script,
        Err(error) => return Outcome { passed: 0, failures: vec![format!("0: {error}")] },
    };
    let mut session = Session::new(features(name));
    for directive in script.directives {
        let line = directive.span().linecol_in(text).0 + 1;
        match session.directive(directive) {
            Ok(()) => outcome.passed += 1,
            Err(reason) => outcome.failures.push(format!("{line}: {reason}")),
        }
    }
    outcome
}

fn features(name: &str) -> Features {
    let mut features = Features::default();
    if name.contains("proposals/threads/") {
        features = Features { threads: true, multi_memory: false, multi_table: false, ..features };
    }
    features.wide_arithmetic = name.contains("proposals/wide-arithmetic/");
    features.custom_page_sizes = name.contains("proposals/custom-page-sizes/");
    features
}

fn spectest(store: &mut Store, threads: bool) -> BTreeMap<String, Extern> {
    use ValType::{F32, F64, I32, I64};
    let mut items = BTreeMap::new();
    let prints: [(&str, &[ValType]); 7] = [
        ("print", &[]),
        ("print_i32", &[I32]),
        ("print_i64", &[I64]),
        ("print_f32", &[F32]),
        ("print_f64", &[F64]),
        ("print_i32_f32", &[I32, F32]),
        ("print_f64_f64", &[F64, F64]),
    ];
    for (name, params) in prints {
        let ty = FuncType { params: params.to_vec(), results: vec![] };
        items.insert(name.to_owned(), Extern::Func(store.add_func(ty, Arc::new(|_, _| Ok(vec![])))));
    }
    let globals = [
        ("global_i32", I32, Value::I32(666)),
        ("global_i64", I64, Value::I64(666)),
        ("global_f32", F32, Value::F32(666.6f32.to_bits())),
        ("global_f64", F64, Value::F64(666.6f64.to_bits())),
    ];
    for (name, content, value) in globals {
        items.insert(name.to_owned(), Extern::Global(store.add_global(GlobalType { mutable: false, content }, value)));
    }
    for (name, is64) in [("table", false), ("table64", true)] {
        let limits = Limits { min: 10, max: Some(20) };
        let ty = TableType { is64, limits, element: RefType::null(HeapType::Func) };
        items.insert(name.to_owned(), Extern::Table(store.add_table(ty, Ref::Null).unwrap()));
    }
    let memories: &[_] = if threads { &[("memory", false), ("shared_memory", true)] } else { &[("memory", false)] };
    for (name, shared) in memories {
        let limits = Limits { min: 1, max: Some(2) };
        let ty = MemoryType { is64: false, shared: *shared, limits, page_log2: 16 };
        items.insert((*name).to_owned(), Extern::Memory(store.add_memory(ty).unwrap()));
    }
    items
}

enum Source {
    Binary(Vec<u8>),
    TextError(String),
}

fn encoded(module: &mut Wat<'_>) -> Source {
    match module.encode() {
        Ok(binary) => Source::Binary(binary),
        Err(error) => Source::TextError(error.message()),
    }
}

fn source(module: &mut QuoteWat<'_>) -> Source {
    match module {
        QuoteWat::Wat(module) => encoded(module),
        other => match other.to_test() {
            Ok(QuoteWatTest::Binary(binary)) => Source::Binary(binary),
            Ok(QuoteWatTest::Text(bytes)) => quoted(&bytes).unwrap_or_else(Source::TextError),
            Err(error) => Source::TextError(error.message()),
        },
    }
}

fn quoted(bytes: &[u8]) -> Result<Source, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).map_err(|error| error.message())?;
    let mut module = parse::<Wat<'_>>(&buffer).map_err(|error| error.message())?;
    Ok(encoded(&mut module))
}

impl Session {
    fn new(features: Features) -> Session {
        let mut store = Store::new(Budget::default());
        store.set_fuel(2_000_000_000);
        let items = spectest(&mut store, features.threads);
        let registered = BTreeMap::from([("spectest".to_owned(), items)]);
        let (modules, instances) = (BTreeMap::new(), BTreeMap::new());
        Session { features, store, modules, instances, registered, last_module: None, current: None }
    }

    fn directive(&mut self, directive: WastDirective<'_>) -> Step {
        match directive {
            WastDirective::Module(mut module) => {
                let name = module.name();
                self.current = None;
                let module = self.decode(source(&mut module))?;
                self.last_module = Some(module.clone());
                let instance = self.instantiate(&module)?.map_err(|failure| failure.to_string())?;
                self.bind(name, instance);
                Ok(())
            }
            WastDirective::ModuleDefinition(mut module) => {
                let name = module.name();
                let module = self.decode(source(&mut module))?;
                if let Some(name) = name {
                    self.modules.insert(name.name().to_owned(), module.clone());
                }
                self.last_module = Some(module);
                Ok(())
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let module = match module {
                    Some(name) => self.modules.get(name.name()).cloned(),
                    None => self.last_module.clone(),
                };
                let module = module.ok_or("no such module")?;
                let made = self.instantiate(&module)?.map_err(|failure| failure.to_string())?;
                self.bind(instance, made);
                Ok(())
            }
            WastDirective::Register { name, module, .. } => {
                let exports = self.store.instance(self.instance(module)?).exports.clone();
                self.registered.insert(name.to_owned(), exports);
                Ok(())
            }
            WastDirective::Invoke(invoke) => self.invoke(&invoke)?.map(|_| ()).map_err(|failure| failure.to_string()),
            WastDirective::AssertMalformed { mut module, .. }
            | WastDirective::AssertInvalid { mut module, .. }
            | WastDirective::AssertMalformedCustom { mut module, .. }
            | WastDirective::AssertInvalidCustom { mut module, .. } => self.expect_rejection(source(&mut module)),
            assertion => self.assertion(assertion),
        }
    }

    fn assertion(&mut self, directive: WastDirective<'_>) -> Step {
        match directive {
            WastDirective::AssertUnlinkable { mut module, .. } => {
                let module = self.decode(encoded(&mut module))?;
                match self.instantiate(&module)? {
                    Err(Failure::Unlinkable(_)) => Ok(()),
                    other => Err(format!("expected unlinkable, got {other:?}")),
                }
            }
            WastDirective::AssertTrap { exec, message, .. } => {
                let outcome = self.execute(exec)?;
                expect_trap(outcome, message)
            }
            WastDirective::AssertExhaustion { call, message, .. } => {
                let outcome = self.invoke(&call)?;
                expect_trap(outcome, message)
            }
            WastDirective::AssertException { exec, .. } => match self.execute(exec)? {
                Err(Failure::Exception(_)) => Ok(()),
                other => Err(format!("expected an exception, got {other:?}")),
            },
            WastDirective::AssertReturn { exec, results, .. } => {
                let (values, types) = self.execute(exec)?.map_err(|failure| failure.to_string())?;
                if values.len() != results.len() {
                    return Err(format!("{values:?} where {results:?} is expected"));
                }
                for ((value, ty), result) in values.iter().zip(types).zip(&results) {
                    let WastRet::Core(result) = result else { return Err("component".to_owned()) };
                    if !self.matches(*value, ty, result) {
                        return Err(format!("{value:x?} where {result:?} is expected"));
                    }
                }
                Ok(())
            }
            _ => Err("unsupported directive".to_owned()),
        }
    }

    fn bind(&mut self, name: Option<Id<'_>>, instance: InstanceAddr) {
        self.current = Some(instance);
        if let Some(name) = name {
            self.instances.insert(name.name().to_owned(), instance);
        }
    }

    fn instance(&self, name: Option<Id<'_>>) -> Step<InstanceAddr> {
        let found = match name {
            Some(name) => self.instances.get(name.name()).copied(),
            None => self.current,
        };
        found.ok_or_else(|| "no such instance".to_owned())
    }

    fn decode(&self, source: Source) -> Step<Module> {
        match source {
            Source::Binary(binary) => Module::decode(&binary, self.features).map_err(|error| error.to_string()),
            Source::TextError(text) => Err(text),
        }
    }

    fn expect_rejection(&self, source: Source) -> Step {
        let Source::Binary(binary) = source else { return Ok(()) };
        match Module::decode(&binary, self.features) {
            Err(error @ wattest_reference::ModuleError::Unsupported { .. }) => Err(error.to_string()),
            Err(_) => Ok(()),
            Ok(_) => Err("expected a rejection".to_owned()),
        }
    }

    fn instantiate(&mut self, module: &Module) -> Step<Result<InstanceAddr, Failure>> {
        let mut imports = Vec::new();
        for import in module.imports() {
            match self.registered.get(&import.module).and_then(|items| items.get(&import.name)) {
                Some(item) => imports.push(*item),
                None => return Ok(Err(Failure::Unlinkable(format!("unknown import {}", import.name)))),
            }
        }
        Ok(self.store.instantiate(module, &imports))
    }

    fn execute(&mut self, exec: WastExecute<'_>) -> Step<Values> {
        match exec {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Wat(mut module) => {
                let module = self.decode(encoded(&mut module))?;
                Ok(self.instantiate(&module)?.map(|_| (vec![], vec![])))
            }
            WastExecute::Get { module, global, .. } => match self.store.export(self.instance(module)?, global) {
                Some(Extern::Global(global)) => {
                    let (ty, value) = self.store.global(global);
                    Ok(Ok((vec![value], vec![ty.content])))
                }
                _ => Err("no such global".to_owned()),
            },
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Step<Values> {
        let Some(Extern::Func(func)) = self.store.export(self.instance(invoke.module)?, invoke.name) else {
            return Err("no such function".to_owned());
        };
        let args = invoke.args.iter().map(argument).collect::<Step<Vec<_>>>()?;
        let results = self.store.func_type(func).results;
        Ok(self.store.invoke(func, &args).map(|values| (values, results)))
    }

    fn matches(&self, value: Value, ty: ValType, expected: &WastRetCore<'_>) -> bool {
        let is = |heap| matches!(value, Value::Ref(r) if r != Ref::Null && self.store.has_type(r, RefType::null(heap)));
        match (expected, value) {
            (WastRetCore::I32(expected), Value::I32(bits)) => bits == *expected as u32,
            (WastRetCore::I64(expected), Value::I64(bits)) => bits == *expected as u64,
            (WastRetCore::F32(pattern), Value::F32(bits)) => float32(&pattern_map(pattern, |v| v.bits), bits),
            (WastRetCore::F64(pattern), Value::F64(bits)) => float64(&pattern_map(pattern, |v| v.bits), bits),
            (WastRetCore::V128(pattern), Value::V128(bits)) => vector(pattern, bits),
            (WastRetCore::RefNull(heap), Value::Ref(Ref::Null)) => heap.is_none_or(|heap| self.null_of(heap, ty)),
            (WastRetCore::RefExtern(None), Value::Ref(reference)) => reference != Ref::Null,
            (WastRetCore::RefExtern(Some(number)) | WastRetCore::RefHost(number), Value::Ref(Ref::Host(actual))) => {
                *number == actual
            }
            (WastRetCore::RefFunc(_), _) => is(HeapType::Func),
            (WastRetCore::RefAny, _) => is(HeapType::Any),
            (WastRetCore::RefEq, _) => is(HeapType::Eq),
            (WastRetCore::RefArray, _) => is(HeapType::Array),
            (WastRetCore::RefStruct, _) => is(HeapType::Struct),
            (WastRetCore::RefI31, _) => is(HeapType::I31),
            (WastRetCore::Either(cases), _) => cases.iter().any(|case| self.matches(value, ty, case)),
            _ => false,
        }
    }

    /// Whether the null of `heap`'s hierarchy belongs to `ty`.
    fn null_of(&self, heap: WastHeap<'_>, ty: ValType) -> bool {
        let WastHeap::Abstract { ty: heap, .. } = heap else { return true };
        let bottom = match heap {
            AbstractHeapType::Func | AbstractHeapType::NoFunc => HeapType::NoFunc,
            AbstractHeapType::Extern | AbstractHeapType::NoExtern => HeapType::NoExtern,
            AbstractHeapType::Exn | AbstractHeapType::NoExn => HeapType::NoExn,
            _ => HeapType::None,
        };
        self.store.types().match_val(ValType::Ref(RefType::null(bottom)), ty)
    }
}

fn argument(arg: &WastArg<'_>) -> Step<Value> {
    let WastArg::Core(arg) = arg else { return Err("component".to_owned()) };
    Ok(match arg {
        WastArgCore::I32(value) => Value::I32(*value as u32),
        WastArgCore::I64(value) => Value::I64(*value as u64),
        WastArgCore::F32(value) => Value::F32(value.bits),
        WastArgCore::F64(value) => Value::F64(value.bits),
        WastArgCore::V128(value) => Value::V128(u128::from_le_bytes(value.to_le_bytes())),
        WastArgCore::RefNull(_) => Value::Ref(Ref::Null),
        WastArgCore::RefExtern(number) | WastArgCore::RefHost(number) => Value::Ref(Ref::Host(*number)),
    })
}

fn expect_trap<T: std::fmt::Debug>(outcome: Result<T, Failure>, message: &str) -> Step {
    match outcome {
        Err(Failure::Trap(trap)) => {
            let text = trap.class.text();
            let is_null = trap.class == TrapClass::NullReference && message.starts_with("null ");
            let same = message.starts_with(text) || text.starts_with(message) || is_null;
            if same { Ok(()) } else { Err(format!("trap `{text}` where `{message}` is expected")) }
        }
        other => Err(format!("trap `{message}` expected, got {other:?}")),
    }
}

fn pattern_map<T, U>(pattern: &NanPattern<T>, f: impl Fn(&T) -> U) -> NanPattern<U> {
    match pattern {
        NanPattern::CanonicalNan => NanPattern::CanonicalNan,
        NanPattern::ArithmeticNan => NanPattern::ArithmeticNan,
        NanPattern::Value(value) => NanPattern::Value(f(value)),
    }
}

fn float32(pattern: &NanPattern<u32>, bits: u32) -> bool {
    match pattern {
        NanPattern::Value(expected) => bits == *expected,
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
    }
}

fn float64(pattern: &NanPattern<u64>, bits: u64) -> bool {
    match pattern {
        NanPattern::Value(expected) => bits == *expected,
        NanPattern::CanonicalNan => bits & (u64::MAX >> 1) == 0x7ff8_0000_0000_0000,
        NanPattern::ArithmeticNan => bits & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
    }
}

fn vector(pattern: &V128Pattern, bits: u128) -> bool {
    let lanes = |values: &[u64], width: u32| {
        let mask = u128::MAX >> (128 - width);
        values
            .iter()
            .enumerate()
            .all(|(lane, value)| (bits >> (lane as u32 * width)) & mask == u128::from(*value) & mask)
    };
    match pattern {
        V128Pattern::I8x16(values) => lanes(&values.map(|lane| lane as u64), 8),
        V128Pattern::I16x8(values) => lanes(&values.map(|lane| lane as u64), 16),
        V128Pattern::I32x4(values) => lanes(&values.map(|lane| lane as u64), 32),
        V128Pattern::I64x2(values) => lanes(&values.map(|lane| lane as u64), 64),
        V128Pattern::F32x4(values) => values
            .iter()
            .enumerate()
            .all(|(lane, pattern)| float32(&pattern_map(pattern, |v| v.bits), (bits >> (lane * 32)) as u32)),
        V128Pattern::F64x2(values) => values
            .iter()
            .enumerate()
            .all(|(lane, pattern)| float64(&pattern_map(pattern, |v| v.bits), (bits >> (lane * 64)) as u64)),
    }
}
