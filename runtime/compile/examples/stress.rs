//! temp
use wattest_abi::Tunables;
use wattest_abi::tunables::*;
use wattest_compile::*;
use wattest_module::{Features, Limits, decode};
fn main() {
    let mut files = Vec::new();
    for arg in std::env::args().skip(1) { files.push(arg); }
    let with = |change: fn(&mut Tunables)| { let mut t = Tunables::default(); change(&mut t); t };
    let reps: usize = std::env::var("REPS").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let configs = if reps > 0 { vec![Tunables::default()] } else { vec![Tunables::default(), with(|t| t.fuel = true), with(|t| t.epoch = true), with(|t| t.signals_based_traps = false), with(|t| {t.opt_level = OptLevel::None; t.regalloc = RegAlloc::SinglePass}), with(|t| t.call_path = CallPath::Entry)] };
    let parallel = std::env::var("PAR").is_ok();
    let mut bad = 0;
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let wasm = if file.ends_with(".wat") { wat::parse_bytes(&bytes).unwrap().into_owned() } else { bytes };
        let desc = match decode(&wasm, &Features::all_implemented(), &Limits::default()) { Ok(d) => d, Err(e) => { println!("{file}: skip {e}"); continue } };
        for t in &configs {
            let target = Target::host(t, &CpuFeatures::native()).unwrap();
            let mut best = f64::MAX; let mut size = 0;
            for _ in 0..reps.max(1) {
                let start = std::time::Instant::now();
                match compile_module(&desc, &wasm, t, &target, parallel) {
                    Ok(c) => size = c.text.len(),
                    Err(e) => { println!("{file}: {t:?} {}", e.to_string().chars().take(600).collect::<String>()); bad += 1; }
                }
                best = best.min(start.elapsed().as_secs_f64());
            }
            println!("{file} {} -> {size} {:.1}ms", wasm.len(), best * 1e3);
        }
    }
    println!("bad {bad}");
}
