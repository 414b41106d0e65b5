//! `artifact`: damaged artifacts are refused, and never read beyond their ends.
//!
//! A generated module is compiled and serialized, then bits flip. As it is, the checksum must refuse it. With the checksum
//! made right again, whatever was hit (header, tables of records, description, images) loading must either refuse it or
//! give a module; it is never run. The undamaged artifact loads.
//!
//! Invariant: nothing damaged is called.
//!
//! Does not know: the artifact's format but where its checksum is.

use super::subject::Engines;
use super::{Outcome, Target};
use crate::artifact::load;
use crate::envelope::Envelope;
use crate::generate;
use crate::model::Model;
use crate::source::Source;
use wattest::Module;
use wattest_differential::CONFIGS;
use wattest_vm::artifact::{CHECKSUM_AT, seal};

/// The target.
#[derive(Default)]
pub(super) struct Artifacts {
    engines: Engines,
}

/// Where bits flip: a fraction of the artifact's length, in 2⁻³², and a bit.
fn flips_of(case: &Envelope) -> Vec<(u64, u8)> {
    let flip = |text: &str| {
        let (place, bit) = text.split_once(':')?;
        Some((place.parse::<u32>().ok()?.into(), bit.parse::<u8>().ok()? % 8))
    };
    case.get("flips").unwrap_or_default().split(',').filter_map(flip).collect()
}

impl Target for Artifacts {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let row = usize::from(source.byte()) % CONFIGS.len();
        let flips: Vec<String> =
            (0..source.between(1, 24)).map(|_| format!("{}:{}", source.u32(), source.below(8))).collect();
        let wasm = if source.percent(60) {
            generate::generate(&mut source, true).wasm
        } else {
            Model::named("gc_model")?.case(bytes.get(64..)?)?.program.modules.into_iter().next()?.wasm
        };
        Some(Envelope::new("artifact").set("subject", row).set("flips", flips.join(",")).module("main", wasm))
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        match self.check_flips(case) {
            Ok(checks) => Outcome { checks, useful: checks > 1, ..Outcome::default() },
            Err(what) => Outcome::failed("wattest", what),
        }
    }
}

impl Artifacts {
    fn check_flips(&mut self, case: &Envelope) -> Result<u64, String> {
        let (engine, _) = self.engines.of_row(case.number("subject", 0) as usize)?;
        let Ok(module) = Module::from_binary(&engine, case.bytes(0)) else { return Ok(0) };
        let artifact = module.serialize().map_err(|error| error.to_string())?;
        load(&engine, &artifact).map_err(|error| format!("its own artifact is refused: {error}"))?;
        let other = self
            .engines
            .of_options("fuel=true epoch=true opt-level=size")
            .or_else(|_| self.engines.of_options("fuel=true epoch=true"))?;
        if load(&other, &artifact).is_ok() {
            return Err("an artifact of other options is loaded".to_owned());
        }
        let mut checks = 2;
        for (place, bit) in flips_of(case) {
            let at = ((place * artifact.len() as u64) >> 32) as usize;
            let mut damaged = artifact.clone();
            damaged[at] ^= 1 << bit;
            if load(&engine, &damaged).is_ok() {
                return Err(format!("bit {bit} of byte {at:#x} flipped, and it is loaded"));
            }
            if !CHECKSUM_AT.contains(&at) {
                seal(&mut damaged);
                // Refused or not: what matters is that it ends in one of the two.
                let _ = load(&engine, &damaged);
            }
            checks += 2;
        }
        Ok(checks)
    }
}
