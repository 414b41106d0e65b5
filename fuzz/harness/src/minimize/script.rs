//! Minimization of a script that fails: as few directives, with as few fields of their modules, as still fail.
//!
//! Invariant: the result is the script or one that [`Accepts`] took.
//!
//! Does not know: what directives mean, and who runs them.

use super::Late;
use super::text::Text;
use crate::regression;

/// Whether a script fails as it should: where the fault is, and nowhere else.
pub type Accepts<'a> = dyn FnMut(&str) -> bool + 'a;

/// Directives that are about what is refused. Whether it is depends on the proposals that a suite is for.
const REFUSALS: [&str; 5] = [
    "(assert_invalid",
    "(assert_malformed",
    "(assert_unlinkable",
    "(assert_invalid_custom",
    "(assert_malformed_custom",
];

/// A smaller script; `None` where neither the script nor its beginning, without what is refused, is accepted.
pub fn minimize_script(script: &str, late: &Late<'_>, accepts: &mut Accepts<'_>) -> Option<String> {
    let directives = directives(script)?;
    let is_run = |directive: &&str| !REFUSALS.iter().any(|refused| directive.starts_with(refused));
    let plain: Vec<&str> = directives.iter().copied().filter(is_run).collect();
    let starts = [directives, plain].map(|all| all.join("\n"));
    let start = starts.into_iter().find(|start| accepts(start))?;
    let inner =
        |text: &str| text.strip_prefix("(script\n").and_then(|text| text.strip_suffix("\n)")).map(str::to_owned);
    let mut best = start;
    loop {
        let text = Text::read(format!("(script\n{best}\n)"))?;
        let smaller = text.drop_fields(late, &mut |rest| inner(rest).is_some_and(|rest| accepts(&rest)));
        match smaller.as_deref().and_then(inner) {
            Some(smaller) => best = smaller,
            None => return Some(without_blank_lines(&best)),
        }
    }
}

/// Operations in all modules of a script, wherever they stand in it.
pub fn operations_of_script(script: &str) -> usize {
    let modules = Text::modules(script).unwrap_or_default();
    let plain = modules.into_iter().map(|span| script[span].replacen(" definition", "", 1));
    plain.filter_map(|module| wat::parse_str(module).ok()).map(|wasm| regression::operations_of(&wasm)).sum()
}

/// The directives of a script, without what stands between them.
fn directives(script: &str) -> Option<Vec<&str>> {
    Some(Text::spans(script)?.into_iter().map(|span| &script[span]).collect())
}

fn without_blank_lines(text: &str) -> String {
    text.lines().filter(|line| !line.trim().is_empty()).fold(String::new(), |text, line| text + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_dropped() {
        let script = "(module (func (export \"a\")) (func (export \"b\") nop nop)) ;; a comment (
            (assert_invalid (module (func i32.add)) \"type mismatch\")
            (assert_return (invoke \"a\"))
            (assert_return (invoke \"b\"))";
        let mut accepts =
            |text: &str| !text.contains("assert_invalid") && text.contains("invoke \"b\"") && text.contains("nop");
        let small = minimize_script(script, &|| false, &mut accepts).expect("a script");
        assert!(!small.contains("\"a\"") && small.contains("(assert_return (invoke \"b\"))"), "{small}");
        assert_eq!(operations_of_script(&small), 2);
        let others = "(component definition $C (core module (func nop))) (assert_trap (module (func nop nop)) \"\")";
        assert_eq!(operations_of_script(others), 3);
        assert_eq!(minimize_script(script, &|| false, &mut |_| false), None);
    }
}
