//! The bodies of core functions: what implements a world, and what passes its calls on.
//!
//! Invariant: a body leaves what the signature of its function asks for.
//!
//! Does not know: component definitions.

use super::libc::{DATA, RESULT};
use super::types::Core;
use super::world::{Func, Leaf, Signature};
use crate::source::Source;
use std::fmt::Write;

/// How a layer has a function.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    /// Its number.
    pub at: usize,
    /// Whether addresses have 64 bits.
    pub wide: bool,
    /// Whether it is lifted asynchronously.
    pub lifts_async: bool,
    /// Whether the one below is lowered asynchronously.
    pub lowers_async: bool,
    /// Whether calls are passed on with other bits than they came with.
    pub wild: bool,
}

impl Mode {
    fn address(self, at: u32) -> String {
        format!("({}.const {at})", Core::pointer(self.wide).text())
    }

    fn loaded(self, core: Core, at: u32) -> String {
        format!("({}.load {})", core.text(), self.address(at))
    }

    /// The address of a length beside an address.
    fn second(self) -> u32 {
        RESULT + if self.wide { 8 } else { 4 }
    }

    /// The flat values of the result in memory.
    fn loaded_result(self, func: &Func, core: Core) -> String {
        let pointer = Core::pointer(self.wide);
        match func.is_pair() {
            true => format!("{} {}", self.loaded(pointer, RESULT), self.loaded(pointer, self.second())),
            false => self.loaded(core, RESULT),
        }
    }

    /// Returns flat values from an asynchronous task, and ends it.
    fn task_returns(self, values: &str) -> String {
        format!("(call $ret{} {values}) (i32.const 0)", self.at)
    }
}

/// Any bits, the ends of ranges more often.
fn wild_constant(source: &mut Source<'_>, core: Core) -> String {
    let bits = match source.below(8) {
        0 => u64::from(DATA),
        1 => u64::from(DATA) + 2 * source.below(64) as u64,
        2 => 0xffff_ffff - source.below(40) as u64,
        3 => source.below(8) as u64,
        4 => 65536 - source.below(20) as u64,
        5 => source.pick(&[0xd7ff, 0xd800, 0xdfff, 0xe000, 0x10_ffff, 0x11_0000, 0x8000_0004, 0x8000_0000]),
        6 => 1 << source.below(64),
        _ => source.u64(),
    };
    match core {
        Core::I32 => format!("(i32.const {})", bits as u32),
        Core::I64 => format!("(i64.const {bits})"),
        Core::F32 => format!("(f32.reinterpret_i32 (i32.const {}))", bits as u32),
        Core::F64 => format!("(f64.reinterpret_i64 (i64.const {bits}))"),
    }
}

/// A number of elements that lie in memory as raw bytes, or so many that their bytes are a few again, modulo 2^64.
fn raw_count(source: &mut Source<'_>, mode: Mode) -> String {
    match mode.wide && source.percent(40) {
        true => format!("(i64.const {})", (1u64 << (60 + source.below(4))) + source.below(2) as u64),
        false => mode.address(source.pick(&[0, 1, 2, 7, 8, 9, 17, 31])),
    }
}

/// A function that calls the one below it, `$up{at}`.
pub fn forward(source: &mut Source<'_>, func: &Func, mode: Mode, below: &Signature, above: &Signature) -> String {
    let given = below.params.len() - usize::from(below.in_memory);
    let mut args = String::new();
    let pointer = Core::pointer(mode.wide);
    let mut count = None;
    for (index, core) in below.params[..given].iter().enumerate() {
        // Two that may be a list.
        let is_pair = below.params[index..given].starts_with(&[pointer, pointer]);
        args.push_str(&match count.take() {
            Some(count) => count,
            None if mode.wild && is_pair && source.percent(35) => {
                count = Some(raw_count(source, mode));
                mode.address(DATA + 8 * source.below(16) as u32)
            }
            None if mode.wild && source.percent(40) => wild_constant(source, *core),
            None => format!("(local.get {index})"),
        });
    }
    let mut place = mode.address(RESULT);
    if below.in_memory {
        if mode.wild && source.percent(40) {
            // Aligned, and too near to the end of a memory of one page, or anywhere.
            place = match source.percent(50) {
                true => mode.address(65536 - 8 * source.below(8) as u32),
                false => wild_constant(source, pointer),
            };
        }
        args.push_str(&place);
    }
    let call = format!("(call $up{} {args})", mode.at);
    let scalar = func.params.first().map_or(Core::I32, |_| below.params[0]);
    match (mode.lowers_async, mode.lifts_async) {
        (false, false) if below.in_memory => format!("{call}\n{place}"),
        (false, false) => call,
        (false, true) if below.in_memory => format!("{call} {}", mode.task_returns(&mode.loaded_result(func, scalar))),
        (false, true) => mode.task_returns(&call),
        (true, lifts_async) => {
            let status = format!("(call $log (i64.extend_i32_u {call}))");
            let values = match lifts_async {
                true => mode.task_returns(&mode.loaded_result(func, scalar)),
                false if above.in_memory => place,
                false => mode.loaded(scalar, RESULT),
            };
            format!("{status} {values}")
        }
    }
}

fn as_i64(core: Core, value: &str) -> String {
    match core {
        Core::I32 => format!("(i64.extend_i32_u {value})"),
        Core::I64 => value.to_owned(),
        Core::F32 => format!("(i64.extend_i32_u (i32.reinterpret_f32 {value}))"),
        Core::F64 => format!("(i64.reinterpret_f64 {value})"),
    }
}

/// A function that implements.
pub fn leaf(source: &mut Source<'_>, func: &Func, mode: Mode, signature: &Signature) -> String {
    let mut text = String::new();
    let locals: String = (0..signature.params.len()).map(|at| format!("(local.get {at}) ")).collect();
    if func.leaf != Leaf::Echo {
        for (at, core) in signature.params.iter().enumerate() {
            let _ = writeln!(text, "(call $log {})", as_i64(*core, &format!("(local.get {at})")));
        }
    }
    if mode.lifts_async {
        text.push_str(&match func.leaf {
            Leaf::Never => "(i32.const 0)".to_owned(),
            Leaf::Twice => format!("(call $ret{} {locals}) {}", mode.at, mode.task_returns(&locals)),
            _ => mode.task_returns(&locals),
        });
        return text;
    }
    let pair = || {
        let pointer = Core::pointer(mode.wide).text();
        let (first, second) = (mode.address(RESULT), mode.address(mode.second()));
        format!("({pointer}.store {first} (local.get 0)) ({pointer}.store {second} (local.get 1)) {first}")
    };
    match func.leaf {
        Leaf::EchoList => text.push_str(&pair()),
        Leaf::Never | Leaf::Twice if func.is_pair() => text.push_str(&pair()),
        Leaf::Echo | Leaf::Never | Leaf::Twice => text.push_str("(local.get 0)"),
        Leaf::Note => {}
        Leaf::Sink => {
            let _ = write!(text, "(i32.const {})", signature.params.len());
        }
        Leaf::Wild if signature.in_memory => {
            let misaligned = if source.percent(15) { source.below(8) } else { 0 };
            let at = DATA as usize + 8 * source.below(32) + misaligned;
            text.push_str(&mode.address(at as u32));
        }
        Leaf::Wild => {
            if let Some(core) = signature.result {
                text.push_str(&wild_constant(source, core));
            }
        }
    }
    text
}
