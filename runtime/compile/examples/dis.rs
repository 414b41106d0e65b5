//! temp
use wattest_abi::Tunables;
use wattest_compile::*;
use wattest_module::{Features, Limits, decode};
fn main() {
    let mut args = std::env::args().skip(1);
    let wasm = wat::parse_file(args.next().unwrap()).unwrap();
    let out = args.next().unwrap();
    let mut t = Tunables::default();
    for a in args { match a.as_str() { "fuel" => t.fuel = true, "epoch" => t.epoch = true, "explicit" => t.explicit_bounds = true, "nosig" => t.signals_based_traps = false, "entry" => t.call_path = wattest_abi::tunables::CallPath::Entry, _ => {} } }
    let desc = decode(&wasm, &Features::all_implemented(), &Limits::default()).unwrap();
    let target = Target::host(&t, &CpuFeatures::native()).unwrap();
    let code = compile_module(&desc, &wasm, &t, &target, false).unwrap();
    for (i, f) in code.functions.iter().enumerate() { println!("{i}: {:#x} {}", f.text_offset, f.text_bytes); }
    for a in &code.addresses { println!("addr {:#x} {:#x}", a.text_offset, a.wasm_offset); }
    for a in &code.traps { println!("trap {:#x} {:#x}", a.text_offset, a.code); }
    std::fs::write(out, &code.text).unwrap();
}
