//! `artifact`: damaged artifacts are refused, and never read beyond their ends.
//!
//! A generated module is compiled and serialized, then bits flip: anywhere, or in one of the sections that are not machine
//! code. As it is, the checksum must refuse it. With the checksum made right again, whatever was hit (header, tables of
//! records, description, images) loading must either refuse it or give a module that can be asked for all that it has, and
//! serialized again. Where neither machine code nor the description was hit, it is instantiated, too: nothing of it runs.
//! The undamaged artifact loads, and is serialized to the same bytes.
//!
//! Invariant: nothing damaged is called. A description that is damaged and fits together may name any function as the one
//! that starts, so modules with such a one are not instantiated.
//!
//! Does not know: the artifact's format but where its checksum and its sections are.

use super::subject::Engines;
use super::{Outcome, Target};
use crate::artifact::load;
use crate::envelope::Envelope;
use crate::generate;
use crate::model::Model;
use crate::source::Source;
use std::ops::Range;
use wasmparser::{Parser, Payload};
use wattest::{
    Engine, Error, Extern, ExternType, Func, Global, Instance, InstantiateError, Memory, Module, Store, StoreLimits,
    StoreLimitsBuilder, Table, Val, ValType,
};
use wattest_abi::artifact::{HEADER_BYTES, SECTION_BYTES, SectionKind};
use wattest_differential::CONFIGS;
use wattest_vm::artifact::{CHECKSUM_AT, seal};

/// Flips of a case.
const FLIPS_MAX: usize = 64;

/// What an instance of a damaged module may have: numbers in damaged records may be large.
const MEMORY_BYTES_MAX: usize = 64 << 20;
const ELEMENTS_MAX: usize = 1 << 16;

/// The target.
#[derive(Default)]
pub(super) struct Artifacts {
    engines: Engines,
}

/// Where a bit flips.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// A fraction of the artifact's length, in 2⁻³².
    Anywhere(u32),
    /// A section that is not machine code, by the upper four bits modulo their number, and a fraction of its length, in
    /// 2⁻²⁸.
    Section(u32),
}

impl Place {
    /// The byte.
    fn of(self, length: usize, sections: &[(u32, Range<usize>)]) -> usize {
        let part = |fraction: u32, bits: u32, length: usize| ((u64::from(fraction) * length as u64) >> bits) as usize;
        match self {
            Place::Section(place) if !sections.is_empty() => {
                let (_, range) = &sections[(place >> 28) as usize % sections.len()];
                range.start + part(place & 0x0fff_ffff, 28, range.len())
            }
            Place::Anywhere(place) | Place::Section(place) => part(place, 32, length),
        }
    }
}

/// Places and bits: `12:3` anywhere, `m12:3` in a section.
fn flips_of(case: &Envelope) -> Vec<(Place, u8)> {
    let flip = |text: &str| {
        let (place, bit) = text.split_once(':')?;
        let place = match place.strip_prefix('m') {
            Some(place) => Place::Section(place.parse().ok()?),
            None => Place::Anywhere(place.parse().ok()?),
        };
        Some((place, bit.parse::<u8>().ok()? % 8))
    };
    case.get("flips").unwrap_or_default().split(',').filter_map(flip).take(FLIPS_MAX).collect()
}

/// The sections of an artifact that are not empty, by kind.
fn sections(artifact: &[u8]) -> Vec<(u32, Range<usize>)> {
    let word = |at: usize, bytes: usize| {
        artifact[at..at + bytes].iter().rev().fold(0usize, |number, byte| number << 8 | usize::from(*byte))
    };
    let row = |number: usize| {
        let at = HEADER_BYTES + number * SECTION_BYTES;
        let start = word(at + 8, 8);
        (word(at, 4) as u32, start..start + word(at + 16, 8))
    };
    (0..word(12, 4)).map(row).filter(|(_, range)| !range.is_empty()).collect()
}

/// Whether nothing of a module runs when it is instantiated.
fn is_at_rest(wasm: &[u8]) -> bool {
    !Parser::new(0).parse_all(wasm).any(|payload| matches!(payload, Ok(Payload::StartSection { .. })))
}

/// Asks a module for all that it has.
fn walk(module: &Module) -> Result<(), String> {
    let mut seen = module.name().map_or(0, str::len) + module.text_bytes();
    for import in module.imports() {
        seen += import.module().len() + import.name().len() + import.ty().to_string().len();
        seen += usize::from(import.is_exact());
    }
    for export in module.exports() {
        seen += export.ty().to_string().len();
        if module.get_export(export.name()).is_none() {
            return Err(format!("`{}` is exported, and cannot be had ({seen})", export.name()));
        }
    }
    // It may say that it cannot be.
    let _ = module.serialize();
    Ok(())
}

/// Something of each type that a module imports; `None` where there is nothing of one.
fn imports(store: &mut Store<StoreLimits>, module: &Module) -> Option<Vec<Extern>> {
    let mut imports = Vec::new();
    for import in module.imports() {
        imports.push(match import.ty() {
            ExternType::Func(ty) => {
                Extern::Func(Func::new(&mut *store, ty, |_, _, _| Err(Error::msg("nothing is called"))))
            }
            ExternType::Global(ty) => {
                let value = Val::default_for(ty.content)?;
                Extern::Global(Global::new(&mut *store, ty, value).ok()?)
            }
            ExternType::Memory(ty) => Extern::Memory(Memory::new(&mut *store, ty).ok()?),
            ExternType::Table(ty) => {
                let value = Val::default_for(ValType::Ref(ty.element))?;
                Extern::Table(Table::new(&mut *store, ty, value).ok()?)
            }
            _ => return None,
        });
    }
    Some(imports)
}

/// Instantiates a module and looks at what it has; whether there was an instance.
fn look(engine: &Engine, module: &Module) -> Result<bool, String> {
    let limits = StoreLimitsBuilder::new().memory_bytes(MEMORY_BYTES_MAX).table_elements(ELEMENTS_MAX).build();
    let mut store = Store::new(engine, limits);
    store.limiter(|limits| limits);
    store.set_epoch_deadline(1 << 40);
    let _ = store.set_fuel(1 << 40);
    let Some(imports) = imports(&mut store, module) else { return Ok(false) };
    match Instance::new(&mut store, module, &imports) {
        Ok(instance) => {
            let memories = instance.inspect_memories(&store);
            let tables = instance.inspect_tables(&store);
            let bytes: u64 = memories.iter().flat_map(|memory| memory.data(&store)).map(|byte| u64::from(*byte)).sum();
            let missing = tables.iter().any(|table| (0..table.size(&store)).any(|at| table.get(&store, at).is_none()));
            let ended = instance.inspect_globals(&store).iter().all(|global| global.get(&mut store).is_ok());
            if missing || !ended {
                return Err(format!("an instance does not show what it has ({bytes})"));
            }
            Ok(true)
        }
        // A segment that does not fit, or limits of the store.
        Err(InstantiateError::Start(Error::Trap(_)) | InstantiateError::Limit(_)) => Ok(false),
        Err(error) => Err(format!("a damaged module is not instantiated: {error:?}")),
    }
}

impl Target for Artifacts {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let row = usize::from(source.byte()) % CONFIGS.len();
        let flip = |source: &mut Source<'_>| {
            let kind = if source.percent(50) { "m" } else { "" };
            format!("{kind}{}:{}", source.u32(), source.below(8))
        };
        let flips: Vec<String> = (0..source.between(1, 24)).map(|_| flip(&mut source)).collect();
        let wasm = if source.percent(60) {
            generate::generate(&mut source, true).wasm
        } else {
            Model::named("gc_model")?.case(bytes.get(64..)?)?.program.modules.into_iter().next()?.wasm
        };
        Some(Envelope::new("artifact").set("subject", row).set("flips", flips.join(",")).module("main", wasm))
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let mut outcome = Outcome::default();
        if let Err(what) = self.check_flips(case, &mut outcome) {
            return Outcome::failed("wattest", what);
        }
        outcome.useful = outcome.checks > 2;
        outcome
    }
}

impl Artifacts {
    fn check_flips(&mut self, case: &Envelope, outcome: &mut Outcome) -> Result<(), String> {
        let (engine, _) = self.engines.of_row(case.number("subject", 0) as usize)?;
        let wasm = case.bytes(0);
        let module = match Module::from_binary(&engine, wasm) {
            Ok(module) => module,
            Err(error) => {
                // A fuzzer's module may be none, or have what this engine was not told to take.
                outcome.poison.push(format!("module: {}", words(&error.to_string())));
                return Ok(());
            }
        };
        let artifact = module.serialize().map_err(|error| error.to_string())?;
        let own = load(&engine, &artifact).map_err(|error| format!("its own artifact is refused: {error}"))?;
        if own.serialize().map_err(|error| error.to_string())? != artifact {
            return Err("its own artifact is serialized to others".to_owned());
        }
        walk(&own)?;
        // No row has both.
        let other = self.engines.of_options("fuel=true epoch=true")?;
        if load(&other, &artifact).is_ok() {
            return Err("an artifact of other options is loaded".to_owned());
        }
        outcome.checks += 4;
        let sections = sections(&artifact);
        let text = |(kind, _): &&(u32, Range<usize>)| *kind == SectionKind::Text as u32;
        let others: Vec<_> = sections.iter().filter(|section| !text(section)).cloned().collect();
        // The padding between sections is nobody's: nothing reads it.
        let inert = |at: usize| {
            let hit = sections.iter().find(|(_, range)| range.contains(&at));
            hit.is_some_and(|(kind, _)| {
                ![SectionKind::Text, SectionKind::Module].iter().any(|own| *own as u32 == *kind)
            })
        };
        let is_at_rest = is_at_rest(wasm);
        for (place, bit) in flips_of(case) {
            let at = place.of(artifact.len(), &others);
            let mut damaged = artifact.clone();
            damaged[at] ^= 1 << bit;
            if load(&engine, &damaged).is_ok() {
                return Err(format!("bit {bit} of byte {at:#x} flipped, and it is loaded"));
            }
            outcome.checks += 1;
            if CHECKSUM_AT.contains(&at) {
                continue;
            }
            seal(&mut damaged);
            let named = |what: String| format!("bit {bit} of byte {at:#x} flipped, and {what}");
            if let Ok(module) = load(&engine, &damaged) {
                walk(&module).map_err(named)?;
                outcome.checks += 1;
                if is_at_rest && inert(at) && look(&engine, &module).map_err(named)? {
                    outcome.checks += 1;
                }
            }
        }
        Ok(())
    }
}

/// The words of a text, so that reasons are few.
fn words(text: &str) -> String {
    let is_word = |word: &&str| word.chars().all(|c| c.is_ascii_alphabetic());
    text.split_whitespace().filter(is_word).take(6).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{case_seed, expand};
    use std::collections::BTreeMap;

    #[test]
    fn half_of_the_flips_are_outside_of_machine_code() {
        let mut target = Artifacts::default();
        let (mut hit, mut all) = (BTreeMap::<u32, u32>::new(), 0);
        for index in 0..12 {
            let case = target.generate(&expand(case_seed(5, index))).expect("a case");
            let (engine, _) = target.engines.of_row(0).expect("an engine");
            let artifact = Module::from_binary(&engine, case.bytes(0)).expect("a module").serialize().expect("bytes");
            let sections = sections(&artifact);
            assert!(sections.len() > 4 && sections.iter().all(|(_, range)| range.end <= artifact.len()));
            let others: Vec<_> =
                sections.iter().filter(|(kind, _)| *kind != SectionKind::Text as u32).cloned().collect();
            for (place, _) in flips_of(&case) {
                let at = place.of(artifact.len(), &others);
                let kind = others.iter().find(|(_, range)| range.contains(&at)).map(|(kind, _)| *kind);
                *hit.entry(kind.unwrap_or_default()).or_default() += 1;
                all += 1;
            }
        }
        let elsewhere = hit.remove(&0).unwrap_or_default();
        assert!(elsewhere * 2 < all + all / 5 && hit.len() > 4, "{elsewhere} of {all} elsewhere, {hit:?}");
    }

    #[test]
    fn damaged_modules_are_instantiated() {
        let wasm = wat::parse_str(
            "(module $m (memory 1) (table 3 funcref) (global (mut i64) (i64.const 7)) (data (i32.const 5) \"abc\")
               (elem (i32.const 1) func $f) (func $f (export \"f\") (result i32) (i32.load (i32.const 0))))",
        )
        .expect("valid text");
        // Each section in turn, at its start.
        let flips: Vec<String> = (0..12u32).map(|section| format!("m{}:0", section << 28)).collect();
        let case = Envelope::new("artifact").set("subject", 0).set("flips", flips.join(",")).module("main", wasm);
        let outcome = Artifacts::default().run(&case);
        assert_eq!(outcome.disagreement, None);
        assert!(outcome.checks > 4 + 12 + 6, "{} checks", outcome.checks);
    }

    #[test]
    fn a_module_that_is_refused_is_counted() {
        let outcome = Artifacts::default().run(&Envelope::new("artifact").module("main", b"\0asm".to_vec()));
        assert_eq!((outcome.checks, outcome.poison.len()), (0, 1));
    }

    #[test]
    fn what_is_at_rest_has_no_start() {
        let at_rest = |text: &str| is_at_rest(&wat::parse_str(text).expect("valid text"));
        assert!(at_rest("(module (func $f))"));
        assert!(!at_rest("(module (func $f) (start $f))"));
    }
}
