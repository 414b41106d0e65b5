//! Whole processes: starting one, and the CPU time it took.

use crate::clock::{Failure, Sample, wall};
use crate::engines::Engine;
use crate::programs::Program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Processes per sample of the time to start one: the system counts CPU time of children in hundredths of a second.
const STARTS: u32 = 40;

/// Runs a program under an engine and checks what it printed.
pub fn program(engine: &Engine, program: &Program, scratch: &Path) -> Result<Sample, String> {
    let (stdout, stderr) = (scratch.join("stdout"), scratch.join("stderr"));
    for file in [&stdout, &stderr] {
        fs::write(file, "").map_err(|error| error.to_string())?;
    }
    let mut command = engine.command("program");
    command.args([&program.wasm, &program.folder, &stdout, &stderr]);
    let sample = sample(&mut command)?;
    program.complaint(&stdout, &stderr).map_or(Ok(sample), Err)
}

/// Runs the small rows under an engine.
pub fn micro(engine: &Engine, modules: &Path) -> Result<Sample, String> {
    sample(engine.command("micro").arg(modules))
}

/// Runs the rows about components under an engine.
pub fn components(engine: &Engine, folder: &Path) -> Result<Sample, String> {
    sample(engine.command("components").arg(folder))
}

fn sample(command: &mut Command) -> Result<Sample, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}", output.status, text.lines().next().unwrap_or_default()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).map_err(|error| format!("{error} in {text}"))
}

/// A command line that is measured from outside.
#[derive(Debug)]
pub struct Outside {
    /// Its name in the table.
    pub name: &'static str,
    /// The program and its arguments.
    pub line: Vec<PathBuf>,
    /// How many processes make one sample.
    pub count: u32,
}

impl Outside {
    /// A process that is started often.
    pub fn started_often(name: &'static str, line: Vec<PathBuf>) -> Outside {
        Outside { name, line, count: STARTS }
    }

    /// CPU and wall time of one process, in nanoseconds, and whether it ended well.
    pub fn measure(&self) -> Result<Sample, Failure> {
        let (wall_before, cpu_before) = (wall(), children_cpu()?);
        let mut failures = 0;
        for _ in 0..self.count {
            let mut command = Command::new(&self.line[0]);
            command.args(&self.line[1..]).env("RUST_BACKTRACE", "0");
            let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            failures += u32::from(!status.success());
        }
        let count = f64::from(self.count);
        let mut sample = Sample::new();
        sample.insert("process_cpu".into(), (children_cpu()? - cpu_before) / count);
        sample.insert("process_wall".into(), (wall() - wall_before) / count);
        sample.insert("failures".into(), f64::from(failures));
        Ok(sample)
    }
}

/// CPU time of the children that have ended, in nanoseconds; see `proc_pid_stat(5)`, fields 16 and 17.
fn children_cpu() -> Result<f64, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 * 1e9 / rustix::param::clock_ticks_per_second() as f64)
}
