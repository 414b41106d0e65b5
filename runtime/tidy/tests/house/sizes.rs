//! Limits of size: a function of at most 70 code lines, a file of at most 1,000 lines.
//!
//! Invariant: a limit has one list of exceptions, each exactly as large as the thing it excepts.
//!
//! Does not know: the compiler's idea of a function; one inside a macro table counts as well.

use wattest_tidy::report::{Exception, Measured, Report};
use wattest_tidy::tree::tree;

const FUNCTION_CODE_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 1000;

const LIST: &str = "runtime/tidy/tests/house/sizes.rs";

/// Functions that are longer, as `file::function`. Only tables may stand here.
const FUNCTION_EXCEPTIONS: &[Exception] = &[];

/// Files that are longer. Only tables may stand here.
const FILE_EXCEPTIONS: &[Exception] = &[];

#[test]
fn functions_are_short() {
    let mut measured = Vec::new();
    for source in &tree().sources {
        for function in source.functions() {
            let place = format!("{}::{}", source.path, function.name);
            measured.push(Measured {
                path: source.path.clone(),
                line: function.line,
                place,
                measure: function.code_lines,
            });
        }
    }
    let mut report = Report::default();
    report.ratchet(LIST, FUNCTION_CODE_LINES_MAX, FUNCTION_EXCEPTIONS, &measured);
    report.finish("split the function where its subject changes; push `if`s up and `for`s down");
}

#[test]
fn files_are_short() {
    let measure = |source: &wattest_tidy::source::Source| Measured {
        path: source.path.clone(),
        line: 1,
        place: source.path.clone(),
        measure: source.text.lines().count(),
    };
    let measured: Vec<Measured> = tree().sources.iter().map(measure).collect();
    let mut report = Report::default();
    report.ratchet(LIST, FILE_LINES_MAX, FILE_EXCEPTIONS, &measured);
    report.finish("split the file by subject, one noun phrase each");
}
