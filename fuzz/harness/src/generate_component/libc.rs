//! The core module that every generated component instance has: memory, log, allocator, digest.
//!
//! The log lies in linear memory, since nothing may be called from where it is written; `realloc` writes its arguments
//! there, and may do at its n-th call what no allocator should.
//!
//! Invariant: what is in memory after a call is a function of the calls that were made, in their order.
//!
//! Does not know: which functions the instance has.

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

/// An allocator.
#[derive(Clone, Copy, Debug)]
pub struct Allocator {
    /// Whether shrinking leaves an allocation where it is.
    pub in_place: bool,
    /// What it does, and at which of its calls.
    pub misdeed: Option<(Misdeed, u32)>,
}

impl Allocator {
    /// One that does nothing wrong.
    pub fn lawful(source: &mut Source<'_>) -> Allocator {
        let misdeed = source.percent(20).then(|| (Misdeed::Grows, source.between(1, 4) as u32));
        Allocator { in_place: source.percent(50), misdeed }
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
        Allocator { in_place: source.percent(50), misdeed }
    }

    fn misdeed_text(self) -> String {
        let Some((misdeed, at)) = self.misdeed else { return String::new() };
        let deed = match misdeed {
            Misdeed::Misaligned => "(return (i32.const 4097))",
            Misdeed::Outside => "(return (i32.const -16))",
            Misdeed::AtTheEnd => "(return (i32.mul (memory.size) (i32.const 65536)))",
            Misdeed::Overlapping => "(return (i32.const 4096))",
            Misdeed::Traps => "unreachable",
            Misdeed::CallsOut => "(call_indirect (type $out) (i32.const 0))",
            Misdeed::Grows => "(drop (memory.grow (i32.const 1)))",
        };
        format!("(if (i32.eq (global.get $calls) (i32.const {at})) (then {deed}))")
    }

    fn shrink_text(self) -> &'static str {
        match self.in_place {
            true => {
                "(if (i32.and (i32.ne (local.get $old) (i32.const 0))
                  (i32.le_u (local.get $new_size) (local.get $old_size))) (then (return (local.get $old))))"
            }
            false => "",
        }
    }
}

/// Bytes as a string of the text format.
pub fn bytes_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// The module.
pub fn module_text(allocator: Allocator, data: &[u8]) -> String {
    let (misdeed, shrink, data) = (allocator.misdeed_text(), allocator.shrink_text(), bytes_text(data));
    format!(
        r#"(core module $Libc
  (type $out (func))
  (memory (export "mem") 1)
  (table (export "out") 1 funcref)
  (global $next (mut i32) (i32.const 4096))
  (global $log_at (mut i32) (i32.const 0))
  (global $calls (mut i32) (i32.const 0))
  (data (i32.const {DATA}) "{data}")
  (func $log (export "log") (param i64)
    (i64.store (i32.add (i32.const 2048) (i32.and (global.get $log_at) (i32.const 2040))) (local.get 0))
    (global.set $log_at (i32.add (global.get $log_at) (i32.const 8))))
  (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $new_size i32) (result i32)
    (local $at i32)
    (call $log (i64.extend_i32_u (local.get $old)))
    (call $log (i64.extend_i32_u (local.get $old_size)))
    (call $log (i64.extend_i32_u (local.get $align)))
    (call $log (i64.extend_i32_u (local.get $new_size)))
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    {misdeed}
    {shrink}
    (local.set $at (i32.and
      (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $at) (local.get $new_size)))
    (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
      (then (drop (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $new_size) (i32.const 16)))))))
    (if (local.get $old)
      (then (memory.copy (local.get $at) (local.get $old)
        (select (local.get $old_size) (local.get $new_size)
          (i32.lt_u (local.get $old_size) (local.get $new_size))))))
    (local.get $at))
  (func (export "hash") (result i64)
    (local $at i32) (local $hash i64)
    (local.set $hash (i64.const 0x2545f4914f6cdd1d))
    (loop $next_word
      (local.set $hash (i64.mul (i64.const 0x100000001b3)
        (i64.xor (i64.load (local.get $at)) (i64.rotl (local.get $hash) (i64.const 5)))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next_word (i32.and
        (i32.lt_u (local.get $at) (global.get $next)) (i32.lt_u (local.get $at) (i32.const 16384)))))
    (i64.xor (local.get $hash) (i64.extend_i32_u (global.get $log_at)))))"#
    )
}
