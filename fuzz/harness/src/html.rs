//! The report: one page that needs nothing else, with tables and plots drawn as SVG.
//!
//! Invariant: everything from outside is escaped; equal numbers give equal pages.
//!
//! Does not know: where the numbers come from.

use crate::coverage;
use crate::kill::{Kill, Matrix};
use crate::stats::{Found, Stats};
use crate::suites::SuiteResult;
use crate::targets::TARGETS;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

/// What is shown.
pub struct Contents<'a> {
    /// What the suites said, if they were run.
    pub conformance: Option<&'a SuiteResult>,
    /// Counts of the campaign, if there was one.
    pub stats: Option<&'a Stats>,
    /// How long it took.
    pub elapsed: Duration,
    /// The kill matrix, if it was measured.
    pub kills: Option<&'a Matrix>,
    /// Why the run fails, all of it; none where it does not.
    pub failures: &'a [String],
}

const STYLE: &str = "body{font:14px/1.45 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .7em;border-bottom:1px solid #ddd;text-align:left}\
td.n{text-align:right;font-variant-numeric:tabular-nums}pre{background:#f6f6f6;padding:1em;overflow:auto}\
.bad{color:#b00020;font-weight:600}.good{color:#0a7a2f}svg text{font:11px system-ui,sans-serif}";

/// The page.
pub fn page(contents: &Contents<'_>) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>cargo prove</title>\
         <style>{STYLE}</style></head><body><h1>cargo prove</h1>"
    );
    failures(&mut out, contents.failures);
    conformance(&mut out, contents.conformance);
    if let Some(stats) = contents.stats {
        targets(&mut out, stats, contents.elapsed);
        coverage(&mut out, stats);
    }
    match contents.kills {
        Some(matrix) => kills(&mut out, matrix),
        None => out.push_str("<h2>Planted faults</h2><p>Not measured; <code>cargo prove mutants</code> does so.</p>"),
    }
    if let Some(stats) = contents.stats {
        found(&mut out, stats);
    }
    out.push_str("</body></html>\n");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Whether the run fails, and why: the first thing to see.
fn failures(out: &mut String, failures: &[String]) {
    if failures.is_empty() {
        out.push_str("<p class=good>Nothing is unexplained: this run passes.</p>");
        return;
    }
    let _ = write!(out, "<h2>This run fails</h2><ul>");
    for failure in failures {
        let _ = write!(out, "<li class=bad>{}</li>", escaped(failure));
    }
    out.push_str("</ul>");
}

/// Proposals by configurations.
fn conformance(out: &mut String, suites: Option<&SuiteResult>) {
    out.push_str("<h2>Conformance</h2>");
    let Some(suites) = suites else {
        out.push_str("<p>The suites were left out.</p>");
        return;
    };
    let problems = suites.problems.len();
    let _ = write!(out, "<p class={}>{problems} unexpected outcomes.</p>", if problems == 0 { "good" } else { "bad" });
    for problem in &suites.problems {
        let _ = write!(out, "<p class=bad>{}</p>", escaped(problem));
    }
    out.push_str(
        "<table><tr><th>proposal</th><th>configuration</th><th>files</th><th>as expected</th><th>assertions</th>\
         <th>that hold</th></tr>",
    );
    for row in &suites.rows {
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td></tr>",
            escaped(&row.proposal),
            escaped(&row.configuration),
            row.files,
            row.files_as_expected,
            row.assertions,
            row.assertions_passed
        );
    }
    out.push_str("</table>");
    let mut shares: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for row in &suites.rows {
        let (passed, total) = shares.entry(&row.proposal).or_default();
        *passed += row.assertions_passed;
        *total += row.assertions;
    }
    let bars = shares.iter().filter(|(_, (_, total))| *total > 0);
    let bars: Vec<(String, f64)> =
        bars.map(|(name, (passed, total))| ((*name).to_owned(), *passed as f64 * 100.0 / *total as f64)).collect();
    chart(out, "assertions that hold, in a hundred, over all configurations", &bars, false);
}

fn targets(out: &mut String, stats: &Stats, elapsed: Duration) {
    // Each target by its own time: what others take is not its rate.
    let seconds = |name: &str| stats.seconds_of(name).max(0.001);
    let _ = write!(
        out,
        "<h2>Targets</h2><p>{:.1} s, {:.1} s of processor time.</p><table><tr><th>target</th><th>cases</th>\
         <th>s of processor time</th><th>per such second</th><th>useful</th><th>checks</th><th>per such second</th>\
         <th>stopped early</th></tr>",
        elapsed.as_secs_f64(),
        stats.cpu_ms as f64 / 1000.0
    );
    for (name, row) in &stats.models {
        let percent = |part: u64| part as f64 * 100.0 / row.cases.max(1) as f64;
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=n>{}</td><td class=n>{:.1}</td><td class=n>{:.1}</td><td class=n>{:.1} %</td>\
             <td class=n>{}</td><td class=n>{:.0}</td><td class=n>{:.2} %</td></tr>",
            escaped(name),
            row.cases,
            seconds(name),
            row.cases as f64 / seconds(name),
            percent(row.useful),
            row.checks,
            row.checks as f64 / seconds(name),
            percent(row.poisoned)
        );
    }
    out.push_str("</table>");
    let bars: Vec<(String, f64)> =
        stats.models.iter().map(|(name, row)| (name.clone(), row.checks as f64 / seconds(name))).collect();
    chart(out, "checks per second of the target's processor time (logarithmic)", &bars, true);
}

fn coverage(out: &mut String, stats: &Stats) {
    out.push_str("<h2>Operations executed, counted by the reference</h2>");
    let bars: Vec<(String, f64)> = stats.tally.iter().map(|(name, count)| (name.clone(), *count as f64)).collect();
    chart(out, "operations by proposal (logarithmic)", &bars, true);
    let bars: Vec<(String, f64)> =
        stats.operations_by_50.iter().map(|(from, count)| (format!("{from}+"), *count as f64)).collect();
    chart(out, "modules by number of operations", &bars, false);
    surroundings(out, stats);
}

/// Operation by what surrounded it, and how often it met a boundary value there.
fn surroundings(out: &mut String, stats: &Stats) {
    let totals = coverage::totals(&stats.operations_by_name);
    let mut columns: Vec<&str> =
        stats.operations_by_name.keys().filter_map(|key| key.split_once(' ').map(|(_, column)| column)).collect();
    columns.sort_unstable();
    columns.dedup();
    let short = coverage::short(&stats.operations_by_name);
    let _ = write!(
        out,
        "<h2>Executions with boundary operands</h2><p class={}>{} of {} operations at least {} times.</p>",
        if short.is_empty() { "good" } else { "bad" },
        coverage::required().len() - short.len(),
        coverage::required().len(),
        coverage::EXECUTIONS_MIN
    );
    let met = Met::of(stats);
    let classes = met.classes();
    let _ = write!(
        out,
        "<table><tr><th rowspan=2>operation</th><th rowspan=2>works on</th><th rowspan=2>total</th>\
         <th colspan={}>operands come from, or results go to</th><th colspan={}>class of an operand's value</th></tr>\
         <tr><th>programs</th>",
        columns.len() + 1,
        classes.len()
    );
    columns.iter().chain(&classes).for_each(|column| {
        let _ = write!(out, "<th>{}</th>", escaped(column));
    });
    out.push_str("</tr>");
    for name in coverage::required() {
        let total = totals.get(name).copied().unwrap_or(0);
        let state = if total < coverage::EXECUTIONS_MIN { "n bad" } else { "n" };
        let cell = |key: &str| stats.operations_by_name.get(key).copied().unwrap_or(0);
        let _ = write!(
            out,
            "<tr><td>{name}</td><td>{}</td><td class=\"{state}\">{total}</td><td class=n>{}</td>",
            coverage::value_class(name),
            cell(name)
        );
        for column in &columns {
            let _ = write!(out, "<td class=n>{}</td>", cell(&format!("{name} {column}")));
        }
        for class in &classes {
            let _ = write!(out, "<td class=n>{}</td>", met.count(name, None, class));
        }
        out.push_str("</tr>");
    }
    out.push_str("</table>");
    met.by_source(out, &classes);
}

/// How often operations met values of classes: operation, where the operands come from or the results go to, class, count.
struct Met<'a> {
    rows: BTreeMap<&'a str, Vec<(&'a str, &'a str, u64)>>,
}

impl<'a> Met<'a> {
    fn of(stats: &'a Stats) -> Met<'a> {
        let mut rows: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (key, count) in &stats.value_classes {
            let parts = key.split_once(' ').and_then(|(name, rest)| Some((name, rest.split_once('/')?)));
            if let Some((name, (source, class))) = parts {
                rows.entry(name).or_default().push((source, class, *count));
            }
        }
        Met { rows }
    }

    fn classes(&self) -> Vec<&'a str> {
        let classes: BTreeSet<&str> = self.rows.values().flatten().map(|(_, class, _)| *class).collect();
        classes.into_iter().collect()
    }

    fn count(&self, name: &str, source: Option<&str>, class: &str) -> u64 {
        let rows = self.rows.get(name).into_iter().flatten();
        rows.filter(|row| source.is_none_or(|source| source == row.0) && class == row.1).map(|row| row.2).sum()
    }

    /// Operation by source: the number of classes that were met there, of those that were met anywhere, and which how often.
    fn by_source(&self, out: &mut String, classes: &[&str]) {
        let sources: BTreeSet<&str> = self.rows.values().flatten().map(|(source, ..)| *source).collect();
        if self.rows.is_empty() {
            return;
        }
        out.push_str(
            "<h2>Classes of values by operation and source</h2><p>Of the classes that an operation met anywhere, so many where \
             its operands come from there; a cell's text says which, and how often.</p><table><tr><th>operation</th>",
        );
        for source in &sources {
            let _ = write!(out, "<th>{}</th>", escaped(source));
        }
        out.push_str("</tr>");
        for name in self.rows.keys() {
            let _ = write!(out, "<tr><td>{}</td>", escaped(name));
            let of = classes.iter().filter(|class| self.count(name, None, class) > 0).count();
            for source in &sources {
                let counts = classes.iter().map(|class| (class, self.count(name, Some(source), class)));
                let counts: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
                let text: Vec<String> = counts.iter().map(|(class, count)| format!("{class} {count}")).collect();
                let (met, text) = (counts.len(), escaped(&text.join(", ")));
                let _ = write!(out, "<td class=n title=\"{text}\">{met}/{of}</td>");
            }
            out.push_str("</tr>");
        }
        out.push_str("</table>");
    }
}

fn found(out: &mut String, stats: &Stats) {
    let _ = write!(
        out,
        "<h2>Findings</h2><p class={}>{} disagreements, {} cases in which the oracle is outvoted.</p>",
        if stats.disagreements.is_empty() { "good" } else { "bad" },
        stats.disagreements.len(),
        stats.outvoted.len()
    );
    list(out, &stats.disagreements);
    list(out, &stats.outvoted);
    for (finding, count) in &stats.explained {
        let _ = write!(out, "<p>{count} explained by {}</p>", escaped(finding));
    }
    for (said, count) in &stats.third {
        let _ = write!(out, "<p>V8, of cases of {}: {count}</p>", escaped(said));
    }
}

fn list(out: &mut String, found: &[Found]) {
    if found.is_empty() {
        return;
    }
    out.push_str("<table><tr><th>replay</th><th>engine</th><th>what</th></tr>");
    for one in found {
        let _ = write!(
            out,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            escaped(&one.command()),
            escaped(&one.subject),
            escaped(&one.what)
        );
    }
    out.push_str("</table>");
}

fn kills(out: &mut String, matrix: &Matrix) {
    let _ = write!(
        out,
        "<h2>Planted faults</h2><p>{} faults: {:.1} % killed, {:.1} % within 60 s. The baseline lane kills {:.1} %. \
         Without a fault: {} cases, {} disagreements.</p>",
        matrix.rows.len(),
        matrix.killed_percent(f64::INFINITY),
        matrix.killed_percent(60.0),
        matrix.baseline_percent(),
        matrix.clean_executions,
        matrix.false_positives.len()
    );
    reductions(out, matrix);
    curve(out, matrix);
    out.push_str(
        "<table><tr><th>fault</th><th>layer</th><th>modelled on</th><th>killed by</th><th>what it said</th><th>cases</th>\
         <th>s</th><th>baseline</th><th>reduced to</th><th>measured</th></tr>",
    );
    for row in &matrix.rows {
        let (by, cases, seconds) = cells(row.kill.as_ref());
        let (baseline, ..) = cells(row.baseline.as_ref());
        let reduced = row.reduced.as_ref().map_or(String::new(), |reduced| {
            let kind = match &row.case_only {
                _ if reduced.is_script => ", script".to_owned(),
                Some(why) => format!(", case: {}", escaped(why)),
                None => ", case".to_owned(),
            };
            format!("{} operations{kind}", reduced.operations)
        });
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{by}</td><td>{}</td><td class=n>{cases}</td>\
             <td class=n>{seconds}</td><td>{baseline}</td><td>{reduced}</td><td>{} {}</td></tr>",
            escaped(&row.mutant),
            escaped(&row.layer),
            escaped(&row.reason),
            row.kill.as_ref().map_or(String::new(), |kill| escaped(&kill.what)),
            escaped(&row.date),
            escaped(&row.commit)
        );
    }
    out.push_str("</table>");
    by_target(out, matrix);
}

/// Every target that kills a fault by itself, and after how long: of a measurement that went on after the first.
fn by_target(out: &mut String, matrix: &Matrix) {
    if matrix.rows.iter().all(|row| row.others.is_empty()) {
        return;
    }
    out.push_str("<h3>Seconds to a kill, by target; the first of all in bold</h3><table><tr><th>fault</th>");
    for target in TARGETS {
        let _ = write!(out, "<th>{}</th>", escaped(target.name));
    }
    out.push_str("</tr>");
    for row in matrix.rows.iter().filter(|row| !row.others.is_empty()) {
        let _ = write!(out, "<tr><td>{}</td>", escaped(&row.mutant));
        for target in TARGETS {
            let first = row.kill.as_ref().filter(|kill| kill.target == target.name);
            let other = row.others.iter().find(|kill| kill.target == target.name);
            let _ = match (first, other) {
                (Some(kill), _) => write!(out, "<td class=n><b>{:.1}</b></td>", kill.seconds),
                (None, Some(kill)) => {
                    write!(out, "<td class=n title=\"{}\">{:.1}</td>", escaped(&kill.what), kill.seconds)
                }
                (None, None) => write!(out, "<td></td>"),
            };
        }
        out.push_str("</tr>");
    }
    out.push_str("</table>");
}

fn reductions(out: &mut String, matrix: &Matrix) {
    if matrix.rows.iter().any(|row| row.reduced.is_some()) {
        let percent = matrix.scripts_percent();
        let _ = write!(
            out,
            "<p>Of faults that a script can show, {percent:.1} % of the first failing cases became a short one.</p>"
        );
    }
}

fn cells(kill: Option<&Kill>) -> (String, String, String) {
    match kill {
        None => ("<span class=bad>not killed</span>".to_owned(), String::new(), String::new()),
        Some(kill) => (escaped(&kill.target), kill.executions.to_string(), format!("{:.1}", kill.seconds)),
    }
}

/// Horizontal bars.
fn chart(out: &mut String, title: &str, bars: &[(String, f64)], logarithmic: bool) {
    const ROW: usize = 18;
    const LEFT: f64 = 190.0;
    const WIDTH: f64 = 560.0;
    let scale = |value: f64| if logarithmic { (value + 1.0).ln() } else { value };
    let most = bars.iter().map(|(_, value)| scale(*value)).fold(f64::MIN_POSITIVE, f64::max);
    let height = bars.len() * ROW + 24;
    let _ = write!(out, "<svg width=900 height={height} role=img><title>{}</title>", escaped(title));
    let _ = write!(out, "<text x=0 y=12>{}</text>", escaped(title));
    for (index, (name, value)) in bars.iter().enumerate() {
        let y = index * ROW + 20;
        let width = scale(*value) / most * WIDTH;
        let _ = write!(
            out,
            "<text x={:.0} y={} text-anchor=end>{}</text><rect x={LEFT} y={y} width={width:.1} height=13 fill=\"#4878a8\"/>\
             <text x={:.1} y={}>{value:.0}</text>",
            LEFT - 6.0,
            y + 11,
            escaped(name),
            LEFT + width + 5.0,
            y + 11
        );
    }
    out.push_str("</svg>");
}

/// Faults killed over time, logarithmic, with the baseline lane.
fn curve(out: &mut String, matrix: &Matrix) {
    const WIDTH: f64 = 700.0;
    const HEIGHT: f64 = 220.0;
    let total = matrix.rows.len().max(1) as f64;
    let x = |seconds: f64| (seconds.max(0.1).log10() + 1.0) / 3.8 * WIDTH + 40.0;
    let y = |killed: f64| HEIGHT - killed / total * (HEIGHT - 20.0);
    let _ = write!(out, "<svg width=800 height={:.0} role=img><title>faults killed over time</title>", HEIGHT + 30.0);
    for (seconds, label) in [(0.1, "0.1 s"), (1.0, "1 s"), (10.0, "10 s"), (60.0, "60 s"), (600.0, "600 s")] {
        let _ = write!(
            out,
            "<line x1={0:.1} y1=10 x2={0:.1} y2={HEIGHT} stroke=\"#ddd\"/><text x={0:.1} y={1} text-anchor=middle>{label}</text>",
            x(seconds),
            HEIGHT + 16.0
        );
    }
    let lanes: [(&str, Vec<f64>); 2] = [
        ("#0a7a2f", matrix.rows.iter().filter_map(|row| row.kill.as_ref().map(|kill| kill.seconds)).collect()),
        ("#b00020", matrix.rows.iter().filter_map(|row| row.baseline.as_ref().map(|kill| kill.seconds)).collect()),
    ];
    for (color, mut times) in lanes {
        times.sort_by(f64::total_cmp);
        let mut points = format!("{:.1},{:.1}", x(0.1), y(0.0));
        for (index, seconds) in times.iter().enumerate() {
            let _ = write!(points, " {0:.1},{1:.1} {0:.1},{2:.1}", x(*seconds), y(index as f64), y(index as f64 + 1.0));
        }
        let _ = write!(points, " {:.1},{:.1}", x(600.0), y(times.len() as f64));
        let _ = write!(out, "<polyline points=\"{points}\" fill=none stroke=\"{color}\" stroke-width=2 />");
    }
    out.push_str(
        "<text x=60 y=24 fill=\"#0a7a2f\">all targets</text><text x=60 y=40 fill=\"#b00020\">baseline</text></svg>",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kill::Row;
    use crate::stats::ModelStats;
    use crate::suites::Conformance;
    use crate::vote::{Suspect, Vote};

    fn whole_page() -> String {
        let mut stats = Stats { seeds: 1, ..Stats::default() };
        let row = ModelStats { cases: 300, useful: 240, checks: 600, busy_us: 500_000, ..ModelStats::default() };
        stats.models.insert("diff_core".to_owned(), row);
        let row = ModelStats { cases: 5, busy_us: 1_500_000, ..ModelStats::default() };
        stats.models.insert("dfg".to_owned(), row);
        // A quarter of it is the first one's.
        stats.cpu_ms = 8000;
        stats.third.insert("diff_core, differs from <all> others".to_owned(), 3);
        stats.operations_by_name.insert("I32Add memory".to_owned(), 4321);
        stats.value_classes.insert("I32Add memory/extreme".to_owned(), 1200);
        stats.value_classes.insert("I32Add constants/extreme".to_owned(), 34);
        stats.value_classes.insert("I32Add constants/zero".to_owned(), 5);
        let vote = Vote { suspect: Suspect::Subject, reference: "sides with the oracle".to_owned() };
        let (target, subject, what) = ("diff_core".to_owned(), "s<t".to_owned(), "1 against 2".to_owned());
        stats.disagreements.push(Found { target, seed: 0xabc, subject, what, vote, case: None });
        let row = Row {
            mutant: "a<b".to_owned(),
            layer: "Integer".to_owned(),
            reason: "x & y".to_owned(),
            case_only: None,
            kill: None,
            baseline: None,
            others: vec![kill("dfg", "o<ther", 7.5)],
            reduced: None,
            wrongly_blamed: None,
            commit: "abc+".to_owned(),
            date: "2026-01-02".to_owned(),
        };
        let killed = Row { kill: Some(kill("diff_core", "1 < 2", 2.5)), ..row.clone() };
        let matrix = Matrix { rows: vec![row, killed], ..Matrix::default() };
        let row = Conformance {
            proposal: "tail-call".to_owned(),
            configuration: "p < q".to_owned(),
            files: 5,
            files_as_expected: 5,
            assertions_passed: 777,
            assertions: 777,
        };
        let suites = SuiteResult { rows: vec![row], ..SuiteResult::default() };
        let elapsed = Duration::from_secs(2);
        let failures = ["1 disagreements & more".to_owned()];
        page(&Contents {
            conformance: Some(&suites),
            stats: Some(&stats),
            elapsed,
            kills: Some(&matrix),
            failures: &failures,
        })
    }

    fn kill(target: &str, what: &str, seconds: f64) -> Kill {
        let [target, what, suspect] = [target, what, "Subject"].map(str::to_owned);
        Kill { target, seed: 1, what, suspect, executions: 9, seconds, clock_seconds: seconds }
    }

    #[test]
    fn a_page_is_whole_and_escaped() {
        let page = whole_page();
        assert!(page.contains("a&lt;b") && page.contains("p &lt; q") && page.contains("x &amp; y"));
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        for elsewhere in ["http", "<script", "<link", "<img", "url("] {
            assert!(!page.contains(elsewhere), "nothing is loaded from elsewhere: {elsewhere}");
        }
        assert_eq!(page.matches("<table>").count(), page.matches("</table>").count());
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }

    #[test]
    fn a_page_has_every_section() {
        let page = whole_page();
        let section = |title: &str, holds: &[&str]| {
            let start = page.find(&format!("<h2>{title}")).unwrap_or_else(|| panic!("no section {title}"));
            let end = page[start + 4..].find("<h2>").map_or(page.len(), |length| start + 4 + length);
            for text in holds {
                assert!(page[start..end].contains(text), "{title}: no {text} in {}", &page[start..end]);
            }
        };
        section("Conformance", &["tail-call", "<td class=n>777</td>", "<svg"]);
        // Executions per second, and those that were useful.
        section("Targets", &["diff_core", "<td class=n>150.0</td>", "80.0 %", "<svg"]);
        section("Operations executed", &["<svg"]);
        section(
            "Executions with boundary operands",
            &["I32Add", "<th>memory</th>", "<td class=n>4321</td>", "<th>extreme</th>", "<td class=n>1234</td>"],
        );
        section(
            "Classes of values by operation and source",
            &["title=\"extreme 34, zero 5\">2/2</td>", "title=\"extreme 1200\">1/2</td>"],
        );
        section("This run fails", &["1 disagreements &amp; more"]);
        let faults = ["2 faults", "not killed", "1 &lt; 2", "2026-01-02 abc+", "<b>2.5</b>", ">7.5<", "<svg"];
        section("Planted faults", &faults);
        section(
            "Findings",
            &[
                "1 disagreements",
                "V8, of cases of diff_core, differs from &lt;all&gt; others: 3",
                "cargo prove --replay diff_core:0xabc",
                "s&lt;t",
            ],
        );
    }

    #[test]
    fn what_was_not_measured_is_said() {
        let page =
            page(&Contents { conformance: None, stats: None, elapsed: Duration::ZERO, kills: None, failures: &[] });
        assert!(page.contains("this run passes") && !page.contains("fails"));
        assert!(page.contains("The suites were left out.") && page.contains("Not measured"));
    }
}
