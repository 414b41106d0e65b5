//! The component-model suite through the whole pipeline.
//!
//! Every `.wast` file of the
//! [suite](https://github.com/WebAssembly/component-model/tree/main/test): components that are valid must
//! become plans that verify, components that are not must be refused. The folder of suites is named by
//! `WATTEST_SUITES`; without it the test says that it was skipped.
//!
//! Invariant: a directive is decided by its text alone, no file is special.
//!
//! Does not know: how anything runs; `spec-tests` runs the files.

use std::path::{Path, PathBuf};
use wast::core::EncodeOptions;
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::{QuoteWat, Wast, WastDirective, Wat};
use wattest_component::{CompileOptions, ComponentError, DecodeOptions, Features, compile};

const FOLDERS: [&str; 6] = ["async", "binary", "linking", "resources", "validation", "values"];

/// What a directive expects of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Plan,
    Refusal,
}

fn options() -> CompileOptions {
    let core = wattest_module::Feature::ALL.iter().filter(|feature| !feature.name().starts_with("legacy"));
    let core = core.fold(wattest_module::Features::MVP, |set, feature| set.with(*feature));
    let decode = DecodeOptions { features: Features::all(core), ..DecodeOptions::default() };
    CompileOptions { decode, verify: true, ..CompileOptions::default() }
}

fn check(binary: &[u8], expected: Expected) -> Result<(), String> {
    let plan = compile(binary, &options());
    match (plan, expected) {
        (Ok(_), Expected::Plan) => Ok(()),
        (Err(ComponentError::Invalid { .. }), Expected::Refusal) => Ok(()),
        (Err(error), _) => Err(error.to_string()),
        (Ok(_), Expected::Refusal) => Err("was accepted".to_owned()),
    }
}

/// A binary, if the text has one: a refusal by the text parser counts as one.
fn encode(wat: &mut QuoteWat<'_>) -> Option<Vec<u8>> {
    match wat {
        QuoteWat::Wat(Wat::Module(_)) | QuoteWat::QuoteModule(..) => None,
        QuoteWat::Wat(wat) => EncodeOptions::new().encode_wat(wat).ok(),
        QuoteWat::QuoteComponent(..) => wat.encode().ok(),
    }
}

fn directive(directive: WastDirective<'_>) -> Option<Result<(), String>> {
    let (mut wat, expected) = match directive {
        WastDirective::Module(wat) | WastDirective::ModuleDefinition(wat) => (wat, Expected::Plan),
        WastDirective::AssertInvalid { module, .. } | WastDirective::AssertMalformed { module, .. } => {
            (module, Expected::Refusal)
        }
        WastDirective::AssertUnlinkable { module, .. } => (QuoteWat::Wat(module), Expected::Plan),
        _ => return None,
    };
    Some(check(&encode(&mut wat)?, expected))
}

fn file(path: &Path, failures: &mut Vec<String>) -> usize {
    let text = std::fs::read_to_string(path).expect("a readable file");
    let mut lexer = Lexer::new(&text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).expect("a lexable file");
    let wast: Wast<'_> = parser::parse(&buffer).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut checked = 0;
    for item in wast.directives {
        let line = item.span().linecol_in(&text).0 + 1;
        match directive(item) {
            Some(Ok(())) => checked += 1,
            Some(Err(error)) => failures.push(format!("{}:{line}: {error}", path.display())),
            None => {}
        }
    }
    checked
}

#[test]
fn components_of_the_suite_compile_or_are_refused() {
    let Some(suites) = std::env::var_os("WATTEST_SUITES") else {
        eprintln!("skipped: suites/component-model (WATTEST_SUITES is not set)");
        return;
    };
    let root = PathBuf::from(suites).join("component-model/test");
    let (mut files, mut checked, mut failures) = (0, 0, Vec::new());
    for folder in FOLDERS {
        let entries = std::fs::read_dir(root.join(folder)).expect("a folder of the suite");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "wast")) {
            files += 1;
            checked += file(path, &mut failures);
        }
    }
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), checked + failures.len(), failures.join("\n"));
    assert!(files >= 63 && checked >= 700, "{files} files, {checked} components");
}
