//! The functions of the suites, as donors for generated modules.
//!
//! Donors are the modules of the official scripts that the suites' own runner finds ([`wattest_spec_tests::Suites`]: the folder
//! that `WATTEST_SUITES` names, else what is embedded) and, one time in ten, those of this repository's scripts, where its
//! sources are. The witnesses of planted faults are none: what finds a fault must not have been told of it. A file is read
//! when the first case wants a function of it.
//!
//! Invariant: the same choices give the same donor, given the same suites; where the sources are missing, as on the machines
//! of a fuzzing service, only the tenth differs. A case that was stored has its modules whole.
//!
//! Does not know: what becomes of a donor.

use crate::generate::DonorModule;
use crate::source::Source;

/// A donor module with at least one function to give; `None` where there are no suites, or none near what was drawn.
#[cfg(feature = "suites")]
pub(crate) fn pick(source: &mut Source<'_>) -> Option<&'static DonorModule> {
    /// Files looked at until one has something to give.
    const FILES_MAX: usize = 24;
    let files = if source.percent(10) { suites::own_files() } else { suites::files() };
    // A prime step: neighbours by name often lack the same.
    const STEP: usize = 37;
    let start = usize::from(source.u32() as u16);
    let choice = usize::from(source.u32() as u16);
    (0..FILES_MAX).find_map(|turn| {
        let modules = files.get((start + turn * STEP) % files.len().max(1))?.modules();
        modules.get(choice % modules.len().max(1))
    })
}

/// Without the suites there is none.
#[cfg(not(feature = "suites"))]
pub(crate) fn pick(_: &mut Source<'_>) -> Option<&'static DonorModule> {
    None
}

#[cfg(feature = "suites")]
pub(crate) mod suites {
    //! Files of suites, read on demand.

    use super::DonorModule;
    use std::collections::BTreeMap;
    use std::sync::OnceLock;
    use wattest_differential::{FuncIdentity, Value};
    use wattest_spec_tests::script::{Action, Args, Call, Command, ModuleSource};
    use wattest_spec_tests::{Heap, Script, SuiteFile, Suites};

    /// Files that take longer to read than a case may.
    const BYTES_MAX: usize = 200_000;

    /// A file, and what it has to give.
    pub(crate) struct DonorFile {
        pub(crate) file: SuiteFile,
        modules: OnceLock<Vec<DonorModule>>,
    }

    /// The official ones, in the order of their names: what components are made of is compiled by their own targets.
    pub(crate) fn files() -> &'static [DonorFile] {
        static FILES: OnceLock<Vec<DonorFile>> = OnceLock::new();
        FILES.get_or_init(|| donors(suites(|name| ["spec", "spec-extra"].contains(&name))))
    }

    /// Those of this repository.
    pub(crate) fn own_files() -> &'static [DonorFile] {
        static FILES: OnceLock<Vec<DonorFile>> = OnceLock::new();
        FILES.get_or_init(|| donors(suites(|name| name == "own")))
    }

    fn donors(files: impl Iterator<Item = SuiteFile>) -> Vec<DonorFile> {
        files.map(|file| DonorFile { file, modules: OnceLock::new() }).collect()
    }

    fn suites(wanted: fn(&str) -> bool) -> impl Iterator<Item = SuiteFile> {
        let suites = Suites::locate().unwrap_or_default();
        suites.found.into_iter().filter(move |suite| wanted(suite.name)).flat_map(|suite| suite.files)
    }

    impl DonorFile {
        /// Its modules that have a function to give.
        pub(crate) fn modules(&self) -> &[DonorModule] {
            self.modules.get_or_init(|| {
                let mut modules =
                    self.file.read().map_or_else(|_| Vec::new(), |text| modules_of(&self.file.name, &text));
                modules.retain(|module| module.given().next().is_some());
                modules
            })
        }
    }

    fn modules_of(name: &str, text: &str) -> Vec<DonorModule> {
        if text.len() > BYTES_MAX { Vec::new() } else { read_all(name, text) }
    }

    /// The modules of a script, with what it calls them with.
    fn read_all(name: &str, text: &str) -> Vec<DonorModule> {
        let Ok(script) = Script::parse(text) else { return Vec::new() };
        let mut modules: Vec<DonorModule> = Vec::new();
        let mut names: BTreeMap<&str, Option<usize>> = BTreeMap::new();
        let mut current = None;
        for directive in script.directives.iter() {
            let (own, source) = match &directive.command {
                Command::Module(own, source) | Command::Definition(own, source) => (own, source),
                Command::Invoke(call)
                | Command::AssertReturn(Action::Invoke(call), _)
                | Command::AssertTrap(Action::Invoke(call), _) => {
                    let named = call.instance.as_deref().map(|name| names.get(name).copied().flatten());
                    if let Some(module) = named.unwrap_or(current) {
                        note(&mut modules[module], call);
                    }
                    continue;
                }
                Command::Instance { .. } => {
                    current = None;
                    continue;
                }
                _ => continue,
            };
            let read = match source {
                ModuleSource::Binary(wasm) => DonorModule::read(format!("{name}:{}", directive.line), wasm),
                ModuleSource::TextError(_) | ModuleSource::Component(_) => None,
            };
            current = read.map(|module| {
                modules.push(module);
                modules.len() - 1
            });
            if let Some(own) = own {
                names.insert(own, current);
            }
        }
        modules
    }

    fn note(module: &mut DonorModule, call: &Call) {
        use wattest_spec_tests::Value as Own;
        let Ok(Args::Core(values)) = &call.args else { return };
        let neutral = |value: &Own| {
            Some(match *value {
                Own::I32(value) => Value::I32(value as u32),
                Own::I64(value) => Value::I64(value as u64),
                Own::F32(bits) => Value::F32(bits),
                Own::F64(bits) => Value::F64(bits),
                Own::V128(bits) => Value::V128(bits),
                Own::Null(Heap::Func) => Value::Func(FuncIdentity::Null),
                Own::Null(Heap::Extern) => Value::Extern(None),
                Own::Extern(number) => Value::Extern(Some(number)),
                _ => return None,
            })
        };
        if let Some(args) = values.iter().map(neutral).collect::<Option<Vec<_>>>() {
            module.called(&call.export, &args);
        }
    }
}

#[cfg(all(test, feature = "suites"))]
mod tests {
    use super::*;
    use crate::case::{Case, Origin};
    use crate::diff_core::Checker;
    use crate::generate::{donor_features, generate_spliced};
    use crate::quarantine;
    use crate::source::{case_seed, expand};
    use crate::targets::Targets;
    use wasmparser::{Parser, Payload, Validator};
    use wattest_spec_tests::script::{Command, ModuleSource};
    use wattest_spec_tests::{Script, SuiteFile};

    /// Every so many files are looked at: the whole takes longer than a test may.
    const FILE_STEP: usize = 3;

    /// Functions in the modules of a file, whatever they use, and those of them that can be given.
    fn counts(file: &SuiteFile) -> (usize, usize) {
        let script = file.read().ok().and_then(|text| Script::parse(&text).ok());
        let (mut bodies, mut given) = (0, 0);
        for directive in script.iter().flat_map(|script| script.directives.iter()) {
            let (Command::Module(_, ModuleSource::Binary(wasm)) | Command::Definition(_, ModuleSource::Binary(wasm))) =
                &directive.command
            else {
                continue;
            };
            let payloads = Parser::new(0).parse_all(wasm).filter_map(Result::ok);
            bodies += payloads.filter(|payload| matches!(payload, Payload::CodeSectionEntry(_))).count();
            given += DonorModule::read(String::new(), wasm).map_or(0, |module| module.given().count());
        }
        (bodies, given)
    }

    #[test]
    fn most_functions_of_the_suites_can_be_given() {
        let (mut bodies, mut given, mut donors) = (0, 0, 0);
        for file in suites::files().iter().chain(suites::own_files()).step_by(FILE_STEP) {
            let own = counts(&file.file);
            bodies += own.0;
            given += own.1;
            donors += file.modules().len();
        }
        println!("{given} of {bodies} functions, {donors} donors");
        assert!(given * 2 > bodies && given > 500, "{given} of {bodies}");
    }

    /// Modules with functions of the suites are valid, the function of a donor once in each of its cases.
    #[test]
    fn spliced_modules_are_valid() {
        let (mut checked, mut seed) = (0, 0);
        for file in suites::files().iter().chain(suites::own_files()).step_by(FILE_STEP) {
            for module in file.modules() {
                let choices = expand(case_seed(13, seed));
                seed += 1;
                let made = generate_spliced(&mut Source::new(&choices), module).expect("it has functions to give");
                let valid = Validator::new_with_features(donor_features()).validate_all(&made.wasm);
                assert!(valid.is_ok(), "{}, seed {seed}: {:?}", module.place, valid.err());
                checked += 1;
            }
        }
        assert!(checked > 100, "{checked}");
    }

    /// Targets that take their cases from the generator of `diff_core` have them too, and say where they are from.
    #[test]
    fn other_targets_have_them() {
        let mut targets = Targets::default();
        for name in ["diff_core", "self_configs", "emi"] {
            let target = targets.get(name).expect("a target");
            let donor = (0..60).find_map(|index| {
                let case = target.generate(&expand(case_seed(16, index)))?;
                case.get("donor").map(str::to_owned)
            });
            assert!(donor.is_some_and(|donor| donor.contains(".wast:")), "{name}");
        }
    }

    #[test]
    fn one_case_in_eight_is_spliced_and_few_stop_early() {
        let mut checker = Checker::new();
        let (mut spliced, mut poisoned, mut useful) = (0, 0, 0);
        for index in 0..320 {
            let Some(case) = Case::from_seed(case_seed(14, index)) else { continue };
            if case.recipe.origin != Origin::Spliced {
                continue;
            }
            spliced += 1;
            let outcome = checker.check_knowingly(&case);
            if let Some(found) = &outcome.disagreement {
                let explained = quarantine::explain(&mut checker, &case, found);
                assert!(explained.is_some(), "{found:?}: {}", case.replay_line());
            }
            poisoned += usize::from(outcome.oracle_poison.is_some());
            useful += usize::from(outcome.useful);
        }
        println!("{spliced} spliced, {poisoned} stop early, {useful} are useful");
        assert!((24..=56).contains(&spliced), "{spliced} of 320");
        assert!(poisoned * 10 <= spliced && useful * 10 > spliced * 8, "{poisoned}, {useful} of {spliced}");
    }
}
