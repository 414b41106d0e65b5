//! Samples by round, and the ratios that are printed.

use crate::clock::Sample;
use crate::engines::Engine;
use crate::{components, micro};
use std::collections::BTreeMap;

const SUBJECT: &str = "wattest";
/// A shorter run between `bench.start` and `bench.end`, in nanoseconds, is printed but not counted in the mean.
const EXEC_NS_MIN: f64 = 1e5;

/// A row of the programs' tables.
pub struct Row {
    name: String,
}

impl Row {
    /// The row of a program.
    pub fn program(name: &str) -> Row {
        Row { name: name.to_owned() }
    }
}

/// All samples: by row and engine, one per round.
#[derive(Debug)]
pub struct Results {
    rounds: usize,
    samples: BTreeMap<(String, &'static str), Vec<Option<Sample>>>,
    failures: BTreeMap<(String, &'static str), String>,
}

impl Results {
    /// No samples yet.
    pub fn new(rounds: usize) -> Results {
        Results { rounds, samples: BTreeMap::new(), failures: BTreeMap::new() }
    }

    /// Notes what an engine gave in a round.
    pub fn add(&mut self, round: usize, row: &str, engine: &'static str, sample: Result<Sample, String>) {
        let key = (row.to_owned(), engine);
        match sample {
            Ok(sample) => self.samples.entry(key).or_insert_with(|| vec![None; self.rounds])[round] = Some(sample),
            Err(reason) => {
                self.failures.entry(key).or_insert(reason);
            }
        }
    }

    /// Whether wattest itself failed somewhere.
    pub fn subject_failed(&self) -> bool {
        self.failures.keys().any(|(_, engine)| *engine == SUBJECT)
    }

    /// The samples as JSON: row, engine, rounds.
    pub fn json(&self) -> String {
        let mut rows: BTreeMap<&str, BTreeMap<&str, &Vec<Option<Sample>>>> = BTreeMap::new();
        for ((row, engine), samples) in &self.samples {
            rows.entry(row).or_default().insert(engine, samples);
        }
        serde_json::to_string_pretty(&rows).expect("numbers by name are JSON")
    }

    fn values(&self, row: &str, engine: &'static str, key: &str) -> Vec<Option<f64>> {
        let samples = self.samples.get(&(row.to_owned(), engine));
        samples.into_iter().flatten().map(|sample| sample.as_ref()?.get(key).copied()).collect()
    }

    fn median_of(&self, row: &str, engine: &'static str, key: &str) -> Option<f64> {
        median(self.values(row, engine, key).into_iter().flatten().collect())
    }

    /// The median over the rounds of wattest's value divided by the engine's in the same round.
    fn ratio(&self, row: &str, engine: &'static str, key: &str) -> Option<f64> {
        let (ours, theirs) = (self.values(row, SUBJECT, key), self.values(row, engine, key));
        let pairs = ours.into_iter().zip(theirs).filter_map(|(ours, theirs)| Some(ours? / theirs?));
        median(pairs.filter(|ratio| ratio.is_finite()).collect())
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

fn geometric_mean(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    (!values.is_empty()).then(|| (sum / values.len() as f64).exp())
}

/// Prints every table that has a row, and then what failed.
pub fn print(results: &Results, rows: &[Row], engines: &[Engine], of_components: &[Engine]) {
    let names: Vec<&'static str> = engines.iter().map(|engine| engine.name).collect();
    let tables = [
        ("execution, CPU time of the thread", "exec_cpu"),
        ("execution, wall time", "exec_wall"),
        ("compilation, CPU time of all threads", "compile_cpu"),
        ("compilation, wall time", "compile_wall"),
        ("first compilation in a process, CPU time of all threads", "compile_first_cpu"),
    ];
    if !rows.is_empty() {
        for (title, key) in tables {
            print_programs(results, rows, &names, title, key);
        }
    }
    print_small(results, "micro", micro::ROWS, "small things", &names);
    let of_components: Vec<&'static str> = of_components.iter().map(|engine| engine.name).collect();
    print_small(results, "components", components::ROWS, "components", &of_components);
    for (row, text) in [("process", "a whole process that runs a trivial module"), ("suite", "the official suite")] {
        for key in ["process_cpu", "process_wall"] {
            print_line(results, row, key, &format!("{text}, {}", &key[8..]), &names);
        }
    }
    for ((row, engine), reason) in &results.failures {
        println!("failed: {row} in {engine}: {reason}");
    }
}

fn print_programs(results: &Results, rows: &[Row], names: &[&'static str], title: &str, key: &str) {
    println!("\n## {title}: ratio wattest / engine, median over {} rounds; (ms of the engine)\n", results.rounds);
    print_head("program", names);
    let mut means: Vec<Vec<f64>> = vec![Vec::new(); names.len()];
    for row in rows {
        let cells = names.iter().enumerate().map(|(column, name)| {
            let ratio = results.ratio(&row.name, name, key);
            let subject = results.median_of(&row.name, SUBJECT, key).unwrap_or(0.0);
            let counts = !key.starts_with("exec") || subject >= EXEC_NS_MIN;
            if let Some(ratio) = ratio.filter(|_| counts) {
                means[column].push(ratio);
            }
            cell(ratio, results.median_of(&row.name, name, key).map(|ns| ns / 1e6))
        });
        println!("| {} | {} |", row.name, cells.collect::<Vec<_>>().join(" | "));
    }
    let cells = means.iter().map(|ratios| match geometric_mean(ratios) {
        Some(mean) => format!("**{mean:.3}** of {}", ratios.len()),
        None => "–".to_owned(),
    });
    println!("| geometric mean | {} |", cells.collect::<Vec<_>>().join(" | "));
}

fn print_small(results: &Results, section: &str, rows: &[micro::Row], title: &str, names: &[&'static str]) {
    if !results.samples.keys().any(|(row, _)| row == section) {
        return;
    }
    println!("\n## {title}: ratio wattest / engine; (ns of the engine)\n");
    print_head("what", names);
    for row in rows {
        let cells = names
            .iter()
            .map(|name| cell(results.ratio(section, name, row.key), results.median_of(section, name, row.key)));
        println!("| {} | {} |", row.text, cells.collect::<Vec<_>>().join(" | "));
    }
}

fn print_line(results: &Results, row: &str, key: &str, text: &str, names: &[&'static str]) {
    let cells: Vec<String> = names
        .iter()
        .filter_map(|name| {
            let ms = results.median_of(row, name, key)? / 1e6;
            Some(format!("{name} {}", cell(results.ratio(row, name, key), Some(ms))))
        })
        .collect();
    if !cells.is_empty() {
        println!("\n{text}: {} (ms)", cells.join(", "));
    }
}

fn print_head(first: &str, names: &[&'static str]) {
    println!("| {first} | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
}

fn cell(ratio: Option<f64>, value: Option<f64>) -> String {
    let value = value.map_or_else(|| "–".to_owned(), |value| format!("({value:.2})"));
    match ratio {
        Some(ratio) => format!("{ratio:.3} {value}"),
        None => value,
    }
}
