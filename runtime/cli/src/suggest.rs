//! "Did you mean": the nearest name to a wrong one.
//!
//! Invariant: no suggestion is better than a far one: a third of the letters may differ.
//!
//! Does not know: what the names stand for.

/// The candidate most like `wrong`, if one is near.
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A budget, since a guest can export many and long names.
    const CANDIDATES_MAX: usize = 10_000;
    const NAME_BYTES_MAX: usize = 100;
    let near = wrong.chars().count().div_ceil(3);
    let short = candidates.into_iter().take(CANDIDATES_MAX).filter(|name| name.len() <= NAME_BYTES_MAX);
    let scored = short.map(|name| (strsim::damerau_levenshtein(wrong, name), name));
    scored.filter(|(distance, _)| *distance <= near).min().map(|(_, name)| name)
}

/// `; did you mean …?`, or nothing.
pub fn hint<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(wrong, candidates).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested() {
        fn check(wrong: &str, expected: Option<&str>) {
            assert_eq!(nearest(wrong, ["compile", "inspect", "run"]), expected);
        }
        check("complie", Some("compile"));
        check("inspct", Some("inspect"));
        check("rnu", Some("run"));
        check("xyz", None);
    }
}
