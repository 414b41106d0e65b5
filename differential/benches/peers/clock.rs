//! Clocks for a measurement inside one process.

use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;

/// Nanoseconds by name.
pub type Sample = BTreeMap<String, f64>;

/// What goes wrong in a worker is told to the person who runs it.
pub type Failure = Box<dyn std::error::Error>;

/// How often a small thing is repeated; the least time counts.
const REPEATS: usize = 7;
/// A module is compiled at least twice and at most this often, unless it takes long.
const COMPILES_MAX: usize = 5;
/// Compiling stops after this many nanoseconds.
const COMPILE_NS_MAX: f64 = 3e8;

/// CPU time of this thread in nanoseconds.
pub fn thread_cpu() -> f64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

/// CPU time of all threads of this process in nanoseconds.
pub fn process_cpu() -> f64 {
    nanoseconds(ClockId::ProcessCPUTime)
}

/// Wall time in nanoseconds.
pub fn wall() -> f64 {
    nanoseconds(ClockId::Monotonic)
}

fn nanoseconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// The time between `bench.start` and `bench.end`.
#[derive(Debug, Default)]
pub struct Between {
    /// CPU time of the thread, in nanoseconds.
    pub cpu: f64,
    /// Wall time, in nanoseconds.
    pub wall: f64,
}

impl Between {
    /// The guest called `bench.start`.
    pub fn start(&mut self) {
        self.wall = wall();
        self.cpu = thread_cpu();
    }

    /// The guest called `bench.end`.
    pub fn end(&mut self) {
        self.cpu = thread_cpu() - self.cpu;
        self.wall = wall() - self.wall;
    }
}

/// Compiles some times; the last module, and the times of the first and of the fastest.
pub fn compiles<M>(sample: &mut Sample, mut compile: impl FnMut() -> Result<M, Failure>) -> Result<M, Failure> {
    let (mut best_cpu, mut best_wall, mut spent) = (f64::INFINITY, f64::INFINITY, 0.0);
    for turn in 1.. {
        let (wall_before, cpu_before) = (wall(), process_cpu());
        let module = compile()?;
        let (cpu, time) = (process_cpu() - cpu_before, wall() - wall_before);
        spent += time;
        best_cpu = cpu.min(best_cpu);
        best_wall = time.min(best_wall);
        if turn == 1 {
            sample.insert("compile_first_cpu".into(), cpu);
        }
        if turn >= 2 && (turn >= COMPILES_MAX || spent >= COMPILE_NS_MAX) {
            sample.insert("compile_cpu".into(), best_cpu);
            sample.insert("compile_wall".into(), best_wall);
            return Ok(module);
        }
    }
    unreachable!("the loop ends by returning");
}

/// The least time of one of `count` turns, in nanoseconds of the thread; `turns` makes them all.
pub fn best(count: u32, mut turns: impl FnMut(u32) -> Result<(), Failure>) -> Result<f64, Failure> {
    let mut least = f64::INFINITY;
    for _ in 0..REPEATS {
        let before = thread_cpu();
        turns(count)?;
        least = least.min((thread_cpu() - before) / f64::from(count));
    }
    Ok(least)
}

/// Like [`best`], of the whole process, and in wall time.
pub fn best_of_process(count: u32, mut turns: impl FnMut(u32) -> Result<(), Failure>) -> Result<(f64, f64), Failure> {
    let mut least = (f64::INFINITY, f64::INFINITY);
    for _ in 0..REPEATS {
        let (wall_before, cpu_before) = (wall(), process_cpu());
        turns(count)?;
        let (cpu, time) = (process_cpu() - cpu_before, wall() - wall_before);
        least = (least.0.min(cpu / f64::from(count)), least.1.min(time / f64::from(count)));
    }
    Ok(least)
}
