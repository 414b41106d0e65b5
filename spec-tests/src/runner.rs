//! The script runner.
//!
//! Puts one engine through one script ([spec](https://github.com/WebAssembly/spec/tree/main/interpreter#scripts)), in a
//! fresh session, to the end: a directive that fails is noted with its line and the next one runs.
//!
//! Invariant: a module that failed to build or instantiate is noted once; what uses it, by name, as the current instance
//! or through a registered name, is blocked and not noted again.
//!
//! Does not know: which failures are expected.

use crate::report::{DirectiveFailure, FileReport};
use crate::script::{Action, Args, Call, Command, Directive, ModuleSource, Returned};
use crate::{
    ComponentValue, Failure, FeatureSet, InstanceId, ModuleId, Pattern, Script, Session, TrapClass, Value, WastEngine,
};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Runs `script` from the start; `file` names it in the report.
pub fn run_script(file: &str, script: &Script, engine: &dyn WastEngine, features: &FeatureSet) -> FileReport {
    let report = FileReport { file: file.to_owned(), configuration: engine.name().to_owned(), ..FileReport::default() };
    match engine.session(features) {
        Ok(session) => {
            let mut run = Run::new(session, report);
            run.all(&script.directives);
            run.join_all();
            run.report.failures.sort_by_key(|failure| failure.line);
            run.report
        }
        Err(failure) => rejected_file(report, 1, failure.to_string()),
    }
}

/// The report of a file that is no script: one failure at `line`.
pub fn unreadable_file(file: &str, configuration: &str, line: u32, text: String) -> FileReport {
    let report = FileReport { file: file.to_owned(), configuration: configuration.to_owned(), ..FileReport::default() };
    rejected_file(report, line, text)
}

fn rejected_file(mut report: FileReport, line: u32, text: String) -> FileReport {
    note(&mut report, line, "file", Verdict::Failed(text));
    report
}

/// How a directive ended.
enum Verdict {
    Passed,
    Failed(String),
    Blocked,
}

/// Why a step did not go on: part of a [`Verdict`] that is not `Passed`.
enum Stop {
    Failed(String),
    Blocked,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure.to_string())
    }
}

type Step<T = ()> = Result<T, Stop>;

/// What a name stands for.
#[derive(Clone, Copy)]
enum Slot<T> {
    Live(T),
    /// The module behind it failed.
    Poisoned,
}

impl<T: Copy> Slot<T> {
    fn live(self) -> Step<T> {
        match self {
            Slot::Live(id) => Ok(id),
            Slot::Poisoned => Err(Stop::Blocked),
        }
    }
}

struct Run<S: ?Sized + Session> {
    report: FileReport,
    current: Option<Slot<InstanceId>>,
    instances: BTreeMap<String, Slot<InstanceId>>,
    latest: Option<Slot<ModuleId>>,
    definitions: BTreeMap<String, Slot<ModuleId>>,
    poisoned_names: BTreeSet<String>,
    /// Without a handle: the thread could not be started.
    threads: BTreeMap<String, Option<JoinHandle<FileReport>>>,
    session: Box<S>,
}

impl<S: ?Sized + Session> Run<S> {
    fn new(session: Box<S>, report: FileReport) -> Run<S> {
        Run {
            report,
            current: None,
            instances: BTreeMap::new(),
            latest: None,
            definitions: BTreeMap::new(),
            poisoned_names: BTreeSet::new(),
            threads: BTreeMap::new(),
            session,
        }
    }

    fn all(&mut self, directives: &[Directive]) {
        let mut panicked = false;
        for directive in directives {
            let verdict = if panicked {
                Verdict::Blocked
            } else {
                // A session that a panic went through is not used again.
                match catch_unwind(AssertUnwindSafe(|| self.step(&directive.command))) {
                    Ok(Ok(())) => Verdict::Passed,
                    Ok(Err(Stop::Failed(text))) => Verdict::Failed(text),
                    Ok(Err(Stop::Blocked)) => Verdict::Blocked,
                    Err(payload) => {
                        panicked = true;
                        Verdict::Failed(format!("the engine panicked: {}", panic_text(payload.as_ref())))
                    }
                }
            };
            note(&mut self.report, directive.line, directive.command.kind(), verdict);
        }
    }

    fn step(&mut self, command: &Command) -> Step {
        match command {
            Command::Module(name, source) => {
                let definition = self.define(name.as_deref(), source);
                let instance = definition.and_then(|definition| self.instantiate(definition));
                self.bind(name.as_deref(), instance)
            }
            Command::Definition(name, source) => self.define(name.as_deref(), source).map(drop),
            Command::Instance { instance, definition } => {
                let instantiated = self.definition(definition.as_deref()).and_then(|module| self.instantiate(module));
                self.bind(instance.as_deref(), instantiated)
            }
            Command::Register { name, instance } => self.register(name, instance.as_deref()),
            Command::Invoke(call) => self.invoke(call)?.map(drop).map_err(Stop::from),
            Command::AssertMalformed(source) | Command::AssertInvalid(source) => {
                self.assert_rejected(source, |session, binary| session.compile(binary).map(drop))
            }
            Command::AssertMalformedCustom(source) | Command::AssertInvalidCustom(source) => {
                self.assert_rejected(source, |session, binary| session.check_custom(binary))
            }
            Command::AssertUnlinkable(source) => match self.action_module(source)? {
                Err(Failure::Unlinkable { .. }) => Ok(()),
                other => unexpected("unlinkable", other),
            },
            Command::AssertTrap(action, text) => self.assert_trap(action, text),
            Command::AssertExhaustion(call, text) => {
                let outcome = self.invoke(call)?;
                self.expect_trap(outcome, text)
            }
            Command::AssertException(action) => match self.act(action)? {
                Err(Failure::Exception) => Ok(()),
                other => unexpected("an exception", other),
            },
            Command::AssertSuspension => unsupported("stack switching"),
            Command::AssertReturn(action, patterns) => match patterns {
                Ok(Returned::Component(wanted)) => self.assert_component_value(action, wanted),
                Ok(Returned::Core(patterns)) => {
                    let outcome = self.act(action)?;
                    expect_values(outcome, patterns)
                }
                Err(name) => unsupported(name),
            },
            Command::Thread { name, shared, directives } => {
                let thread = self.spawn(name, shared.as_deref(), directives);
                let (handle, outcome) = match thread {
                    Ok(handle) => (Some(handle), Ok(())),
                    Err(stop) => (None, Err(stop)),
                };
                self.threads.insert(name.clone(), handle);
                outcome
            }
            Command::Wait(name) => self.wait(name),
        }
    }

    /// Compiles `source` and makes it the latest definition, under `name` if there is one.
    fn define(&mut self, name: Option<&str>, source: &ModuleSource) -> Step<ModuleId> {
        let compiled = self.binary(source).and_then(|binary| Ok(self.session.compile(binary)?));
        let slot = compiled.as_ref().map_or(Slot::Poisoned, |id| Slot::Live(*id));
        self.latest = Some(slot);
        if let Some(name) = name {
            self.definitions.insert(name.to_owned(), slot);
        }
        compiled
    }

    fn definition(&self, name: Option<&str>) -> Step<ModuleId> {
        let slot = name.map_or(self.latest, |name| self.definitions.get(name).copied());
        slot.ok_or_else(|| Stop::Failed("no such module definition".to_owned()))?.live()
    }

    fn instantiate(&mut self, module: ModuleId) -> Step<InstanceId> {
        self.try_instantiate(module)?.map_err(Stop::from)
    }

    /// Instantiates, telling an import of a poisoned name from an engine's failure.
    fn try_instantiate(&mut self, module: ModuleId) -> Step<Result<InstanceId, Failure>> {
        let outcome = self.session.instantiate(module);
        match &outcome {
            Err(Failure::Unlinkable { missing, .. })
                if missing.iter().any(|import| self.poisoned_names.contains(&import.module)) =>
            {
                Err(Stop::Blocked)
            }
            _ => Ok(outcome),
        }
    }

    /// Makes an instance, or its failure, the current one, under `name` if there is one.
    fn bind(&mut self, name: Option<&str>, instance: Step<InstanceId>) -> Step {
        let slot = instance.as_ref().map_or(Slot::Poisoned, |id| Slot::Live(*id));
        self.current = Some(slot);
        if let Some(name) = name {
            self.instances.insert(name.to_owned(), slot);
        }
        instance.map(drop)
    }

    fn instance(&self, name: Option<&str>) -> Step<InstanceId> {
        let slot = name.map_or(self.current, |name| self.instances.get(name).copied());
        slot.ok_or_else(|| Stop::Failed(format!("no instance {}", name.unwrap_or("yet"))))?.live()
    }

    fn register(&mut self, name: &str, instance: Option<&str>) -> Step {
        match self.instance(instance) {
            Ok(instance) => {
                self.poisoned_names.remove(name);
                Ok(self.session.register(name, instance)?)
            }
            Err(stop) => {
                self.poisoned_names.insert(name.to_owned());
                Err(stop)
            }
        }
    }

    fn invoke(&mut self, call: &Call) -> Step<Result<Vec<Value>, Failure>> {
        let instance = self.instance(call.instance.as_deref())?;
        match &call.args {
            Ok(Args::Core(args)) if args.is_empty() && self.session.is_component(instance) => {
                Ok(self.invoke_component(instance, &call.export, &[])?.map(|_| Vec::new()))
            }
            Ok(Args::Core(args)) => Ok(self.session.invoke(instance, &call.export, args)),
            Ok(Args::Component(args)) => Ok(self.invoke_component(instance, &call.export, args)?.map(|_| Vec::new())),
            Err(name) => unsupported(name),
        }
    }

    fn invoke_component(
        &mut self,
        instance: InstanceId,
        export: &str,
        args: &[ComponentValue],
    ) -> Step<Result<Option<ComponentValue>, Failure>> {
        Ok(self.session.invoke_component(instance, export, args))
    }

    fn assert_component_value(&mut self, action: &Action, wanted: &ComponentValue) -> Step {
        let Action::Invoke(call) = action else { return unsupported("a component's value that is not returned") };
        let instance = self.instance(call.instance.as_deref())?;
        let args: &[ComponentValue] = match &call.args {
            Ok(Args::Component(args)) => args,
            Ok(Args::Core(args)) if args.is_empty() => &[],
            Ok(Args::Core(_)) => return unsupported("core arguments of a component function"),
            Err(name) => return unsupported(name),
        };
        match self.invoke_component(instance, &call.export, args)? {
            Ok(Some(value)) if self.session.is_value(&value, wanted) => Ok(()),
            Ok(value) => {
                let actual = value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
                Err(Stop::Failed(format!("expected {wanted}, got {actual}")))
            }
            Err(failure) => unexpected(&wanted.to_string(), Err(failure)),
        }
    }

    fn binary<'s>(&self, source: &'s ModuleSource) -> Step<&'s [u8]> {
        match source {
            ModuleSource::Binary(binary) => Ok(binary),
            ModuleSource::TextError(text) => Err(Stop::Failed(format!("text format: {text}"))),
            ModuleSource::Component(binary) if self.session.takes_components() => Ok(binary),
            ModuleSource::Component(_) => unsupported("component"),
        }
    }

    /// Instantiates `source` for its outcome alone.
    fn action_module(&mut self, source: &ModuleSource) -> Step<Result<Vec<Value>, Failure>> {
        match self.session.compile(self.binary(source)?) {
            Ok(module) => Ok(self.try_instantiate(module)?.map(|_| Vec::new())),
            Err(failure) => Ok(Err(failure)),
        }
    }

    fn act(&mut self, action: &Action) -> Step<Result<Vec<Value>, Failure>> {
        match action {
            Action::Invoke(call) => self.invoke(call),
            Action::Module(source) => self.action_module(source),
            Action::Get { instance, export } => {
                let instance = self.instance(instance.as_deref())?;
                Ok(self.session.get(instance, export).map(|value| vec![value]))
            }
        }
    }

    fn assert_rejected(&mut self, source: &ModuleSource, check: impl Fn(&mut S, &[u8]) -> Result<(), Failure>) -> Step {
        let binary = match source {
            ModuleSource::TextError(_) => return Ok(()),
            source => self.binary(source)?,
        };
        match check(&mut *self.session, binary) {
            Err(Failure::Invalid(_) | Failure::Malformed(_)) => Ok(()),
            Err(failure) => Err(failure.into()),
            Ok(_) => Err(Stop::Failed("the module was accepted".to_owned())),
        }
    }

    fn assert_trap(&mut self, action: &Action, text: &str) -> Step {
        let outcome = self.act(action)?;
        self.expect_trap(outcome, text)
    }

    fn expect_trap(&self, outcome: Result<Vec<Value>, Failure>, text: &str) -> Step {
        let Some(class) = TrapClass::from_text(text) else {
            return Err(Stop::Failed(format!("no trap class is worded `{text}`")));
        };
        match outcome {
            Err(Failure::Trap(actual)) if self.session.may_be(actual, class) => Ok(()),
            other => unexpected(&format!("trap: {text}"), other),
        }
    }

    fn spawn(
        &mut self,
        name: &str,
        shared: Option<&str>,
        directives: &Arc<[Directive]>,
    ) -> Step<JoinHandle<FileReport>> {
        let instance = shared.map(|name| self.instance(Some(name))).transpose()?;
        let forked = self.session.fork(instance)?;
        let report = FileReport {
            file: self.report.file.clone(),
            configuration: self.report.configuration.clone(),
            ..FileReport::default()
        };
        let names: Vec<_> = shared.into_iter().map(str::to_owned).zip(forked.shared).collect();
        let directives = Arc::clone(directives);
        let body = move || {
            let mut run = Run::new(forked.session, report);
            run.instances.extend(names.into_iter().map(|(name, instance)| (name, Slot::Live(instance))));
            run.all(&directives);
            run.join_all();
            run.report
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        thread.map_err(|error| Stop::Failed(format!("no thread: {error}")))
    }

    fn wait(&mut self, name: &str) -> Step {
        let thread = self.threads.remove(name).ok_or_else(|| Stop::Failed(format!("no thread {name}")))?;
        let report =
            thread.ok_or(Stop::Blocked)?.join().map_err(|_| Stop::Failed(format!("thread {name} panicked")))?;
        for (kind, tally) in report.directives {
            self.report.directives.entry(kind).or_default().add(tally);
        }
        self.report.failures.extend(report.failures);
        Ok(())
    }

    /// Waits for threads that the script forgot.
    fn join_all(&mut self) {
        while let Some(name) = self.threads.keys().next().cloned() {
            if let Err(Stop::Failed(text)) = self.wait(&name) {
                note(&mut self.report, 0, "thread", Verdict::Failed(text));
            }
        }
    }
}

fn note(report: &mut FileReport, line: u32, kind: &str, verdict: Verdict) {
    // Keys are few and the lookup by `&str` spares an allocation for each of a file's thousands of directives.
    if !report.directives.contains_key(kind) {
        report.directives.insert(kind.to_owned(), Default::default());
    }
    let Some(tally) = report.directives.get_mut(kind) else { return };
    tally.total += 1;
    match verdict {
        Verdict::Passed => tally.passed += 1,
        Verdict::Blocked => tally.blocked += 1,
        Verdict::Failed(text) => {
            tally.failed += 1;
            report.failures.push(DirectiveFailure { line, kind: kind.to_owned(), text });
        }
    }
}

fn unsupported<T>(name: &str) -> Step<T> {
    Err(Stop::Failed(Failure::Unsupported(name.to_owned()).to_string()))
}

fn unexpected<T>(wanted: &str, outcome: Result<Vec<Value>, Failure>) -> Step<T> {
    let actual = match outcome {
        Ok(values) => list(&values),
        Err(failure) => failure.to_string(),
    };
    Err(Stop::Failed(format!("expected {wanted}, got {actual}")))
}

fn expect_values(outcome: Result<Vec<Value>, Failure>, patterns: &[Pattern]) -> Step {
    match outcome {
        Ok(values)
            if values.len() == patterns.len()
                && values.iter().zip(patterns).all(|(value, pattern)| pattern.matches(value)) =>
        {
            Ok(())
        }
        other => unexpected(&list(patterns), other),
    }
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    format!("[{}]", items.join(", "))
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
