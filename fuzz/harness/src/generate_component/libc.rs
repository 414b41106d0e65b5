//! The core module that every generated component instance has: memory, log, allocator, digest.
//!
//! The log lies in linear memory, since nothing may be called from where it is written; `realloc` writes its arguments
//! there, and may do at its n-th call what no allocator should.
//!
//! Invariant: what is in memory after a call is a function of the calls that were made, in their order.
//!
//! Does not know: which functions the instance has.

use super::shape::{Shape, Shapes};
use crate::source::Source;

/// Where random bytes lie.
pub const DATA: u32 = 256;
/// How many they are.
pub const DATA_BYTES: usize = 512;
/// Where results are put.
pub const RESULT: u32 = 1024;

/// What `realloc` does at one of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misdeed {
    /// Returns an address that is not aligned, unless alignment is 1.
    Misaligned,
    /// Returns an address beyond the end.
    Outside,
    /// Returns an address so near the end that only nothing fits.
    AtTheEnd,
    /// Returns what was allocated before.
    Overlapping,
    /// Traps.
    Traps,
    /// Calls out of the component instance.
    CallsOut,
    /// Grows the memory, which is legal.
    Grows,
}

impl Misdeed {
    fn shape(self) -> Shape {
        match self {
            Misdeed::Misaligned => Shape::ReallocMisaligned,
            Misdeed::Outside => Shape::ReallocOutside,
            Misdeed::AtTheEnd => Shape::ReallocAtTheEnd,
            Misdeed::Overlapping => Shape::ReallocOverlaps,
            Misdeed::Traps => Shape::ReallocTraps,
            Misdeed::CallsOut => Shape::ReallocCallsOut,
            Misdeed::Grows => Shape::ReallocGrows,
        }
    }
}

/// An allocator.
#[derive(Clone, Copy, Debug)]
pub struct Allocator {
    /// Whether shrinking leaves an allocation where it is.
    pub in_place: bool,
    /// What it does, and at which of its calls.
    pub misdeed: Option<(Misdeed, u32)>,
    /// Whether it counts its calls in the context of the task it runs in, too, and says how far it is.
    pub counts: bool,
}

/// The place of a task's context that an [`Allocator`] counts in; modules may set it by `$context-set`.
const CONTEXT: u32 = 1;

impl Allocator {
    /// One that does nothing wrong.
    pub fn lawful(source: &mut Source<'_>) -> Allocator {
        let misdeed = source.percent(20).then(|| (Misdeed::Grows, source.between(1, 4) as u32));
        Allocator { in_place: source.percent(50), misdeed, counts: source.percent(25) }
    }

    /// One that may.
    pub fn hostile(source: &mut Source<'_>) -> Allocator {
        const ALL: [Misdeed; 7] = [
            Misdeed::Misaligned,
            Misdeed::Outside,
            Misdeed::AtTheEnd,
            Misdeed::Overlapping,
            Misdeed::Traps,
            Misdeed::CallsOut,
            Misdeed::Grows,
        ];
        let misdeed = source.percent(60).then(|| (source.pick(&ALL), source.between(1, 6) as u32));
        Allocator { in_place: source.percent(50), misdeed, counts: source.percent(15) }
    }

    /// What is to be said of it.
    pub fn shapes(self, shapes: &mut Shapes) {
        shapes.add(if self.in_place { Shape::ReallocInPlace } else { Shape::ReallocMoves });
        shapes.add_if(self.counts, Shape::ReallocCounts);
        if let Some((misdeed, _)) = self.misdeed {
            shapes.add(misdeed.shape());
        }
    }

    /// Written for addresses called `P`.
    fn misdeed_text(self) -> String {
        let Some((misdeed, at)) = self.misdeed else { return String::new() };
        let deed = match misdeed {
            Misdeed::Misaligned => "(return (P.const 4097))",
            Misdeed::Outside => "(return (P.const -16))",
            Misdeed::AtTheEnd => "(return (P.mul (memory.size) (P.const 65536)))",
            Misdeed::Overlapping => "(return (P.const 4096))",
            Misdeed::Traps => "unreachable",
            Misdeed::CallsOut => "(call_indirect (type $out) (i32.const 0))",
            Misdeed::Grows => "(drop (memory.grow (P.const 1)))",
        };
        format!("(if (i32.eq (global.get $calls) (i32.const {at})) (then {deed}))")
    }

    fn shrink_text(self) -> &'static str {
        match self.in_place {
            true => {
                "(if (i32.and (P.ne (local.get $old) (P.const 0))
                  (P.le_u (local.get $new_size) (local.get $old_size))) (then (return (local.get $old))))"
            }
            false => "",
        }
    }
}

/// Bytes as a string of the text format.
pub fn bytes_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// What an allocator that counts does at each call.
const COUNT: &str = "(call $log (i64.extend_i32_u (call $context-get)))
    (call $context-set (i32.add (call $context-get) (i32.const 1)))";

/// The module, called `P` where an address type is meant, `LONG` where an address becomes an `i64`.
const TEXT: &str = r#"(core module $Libc
  (type $out (func))
  IMPORTS
  (memory (export "mem") MEMORY)
  (table (export "out") 1 funcref)
  (global $next (mut P) (P.const 4096))
  (global $log_at (mut P) (P.const 0))
  (global $calls (mut i32) (i32.const 0))
  (data (P.const 256) "BYTES")
  (func $log (export "log") (param i64)
    (i64.store (P.add (P.const 2048) (P.and (global.get $log_at) (P.const 2040))) (local.get 0))
    (global.set $log_at (P.add (global.get $log_at) (P.const 8))))
  (func (export "realloc") (param $old P) (param $old_size P) (param $align P) (param $new_size P) (result P)
    (local $at P)
    (call $log (LONG (local.get $old)))
    (call $log (LONG (local.get $old_size)))
    (call $log (LONG (local.get $align)))
    (call $log (LONG (local.get $new_size)))
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    COUNT
    MISDEED
    SHRINK
    (local.set $at (P.and
      (P.add (global.get $next) (P.sub (local.get $align) (P.const 1)))
      (P.sub (P.const 0) (local.get $align))))
    (global.set $next (P.add (local.get $at) (local.get $new_size)))
    (if (P.gt_u (global.get $next) (P.mul (memory.size) (P.const 65536)))
      (then (drop (memory.grow (P.add (P.const 1) (P.shr_u (local.get $new_size) (P.const 16)))))))
    (if (P.ne (local.get $old) (P.const 0))
      (then (memory.copy (local.get $at) (local.get $old)
        (select (local.get $old_size) (local.get $new_size)
          (P.lt_u (local.get $old_size) (local.get $new_size))))))
    (local.get $at))
  (func (export "hash") (result i64)
    (local $at P) (local $hash i64)
    (local.set $hash (i64.const 0x2545f4914f6cdd1d))
    (loop $next_word
      (local.set $hash (i64.mul (i64.const 0x100000001b3)
        (i64.xor (i64.load (local.get $at)) (i64.rotl (local.get $hash) (i64.const 5)))))
      (local.set $at (P.add (local.get $at) (P.const 8)))
      (br_if $next_word (i32.and
        (P.lt_u (local.get $at) (global.get $next)) (P.lt_u (local.get $at) (P.const 16384)))))
    (i64.xor (local.get $hash) (LONG (global.get $log_at)))))"#;

/// The module and its instance, `$libc`, with the canonical definitions `$context-get` and `$context-set`; `wide` says that
/// its memory has 64-bit addresses.
pub fn text(allocator: Allocator, data: &[u8], wide: bool) -> String {
    let text = TEXT.replace("MISDEED", &allocator.misdeed_text()).replace("SHRINK", allocator.shrink_text());
    let text = text.replace("MEMORY", if wide { "i64 1" } else { "1" });
    // An `i64` is one already: adding nothing keeps the text in the same form.
    let text = text.replace("(LONG ", if wide { "(i64.or (i64.const 0) " } else { "(i64.extend_i32_u " });
    let pointer = if wide { "i64" } else { "i32" };
    let text = text.replace("P.", &format!("{pointer}.")).replace(" P)", &format!(" {pointer})"));
    let text = text.replace("(mut P)", &format!("(mut {pointer})")).replace("BYTES", &bytes_text(data));
    let (imports, count, with) = match allocator.counts {
        true => (
            "(import \"context\" \"get\" (func $context-get (result i32)))
  (import \"context\" \"set\" (func $context-set (param i32)))",
            COUNT,
            "(with \"context\" (instance (export \"get\" (func $context-get)) (export \"set\" (func $context-set))))",
        ),
        false => ("", "", ""),
    };
    let module = text.replace("IMPORTS", imports).replace("COUNT", count);
    format!(
        "(core func $context-get (canon context.get i32 {CONTEXT}))\n\
        (core func $context-set (canon context.set i32 {CONTEXT}))\n\
        {module}\n(core instance $libc (instantiate $Libc {with}))\n"
    )
}
