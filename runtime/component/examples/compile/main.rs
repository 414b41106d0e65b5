//! How long components take to become plans.
//!
//! `cargo run --release -p wattest-component --example compile` prints a table: components of 10 to 10,000 adapters, and files
//! made to be expensive
//! ([what instantiation means](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md)). With the name
//! of a file behind `--` it writes the plot of time over adapters there, as SVG.
//!
//! Invariant: every component is made here, from a number; a time is the average over a second, CPU time of the thread where
//! the system tells it, since other processes would bend the curve.
//!
//! Does not know: how long compiling core modules takes.

mod plot;
mod shapes;

use plot::plot;
use shapes::{adapters, chain, doubling};
use std::time::Instant;
use wattest_component::{CompileOptions, DecodeOptions, Features, compile};

const COUNTS: [usize; 10] = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

/// CPU time of this thread so far, where the system tells it: the first number of its scheduling statistics, nanoseconds.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}

/// Prints a row and gives the milliseconds.
fn measure(name: &str, wat: &str) -> f64 {
    let binary = wat::parse_str(wat).expect("well-formed text");
    let features = Features::all(wattest_module::Features::default());
    let decode = DecodeOptions { features, ..DecodeOptions::default() };
    let options = CompileOptions { decode, verify: false, ..CompileOptions::default() };
    let (mut runs, mut outcome) = (0, String::new());
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    while runs == 0 || wall.elapsed().as_secs_f64() < 1.0 {
        outcome = match compile(&binary, &options) {
            Ok(plan) => format!("{} bytes of adapters", plan.linear.templates.iter().map(Vec::len).sum::<usize>()),
            Err(error) => error.to_string(),
        };
        runs += 1;
    }
    let spent = cpu_seconds().zip(cpu).map_or(wall.elapsed().as_secs_f64(), |(now, then)| now - then);
    let each = spent * 1e3 / f64::from(runs);
    println!("{name:>24} {:>9} bytes {each:>10.3} ms  {outcome}", binary.len());
    each
}

fn main() {
    let mut points = Vec::new();
    for count in COUNTS {
        let time = measure(&format!("{count} adapters"), &adapters(count));
        println!("{:>24} {:>26.2} \u{b5}s per adapter", "", time * 1e3 / count as f64);
        points.push((count as f64, time));
    }
    measure("2^40 instances", &doubling(40));
    measure("chain of 20,000", &chain(20_000));
    if let Some(path) = std::env::args().nth(1) {
        std::fs::write(&path, plot(&points)).expect("a file that can be written");
        println!("{path}");
    }
}
