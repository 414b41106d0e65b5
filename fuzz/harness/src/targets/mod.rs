//! The registry of targets: one row is one property that can be driven by bytes.
//!
//! A [`Target`] decodes, runs, mutates and minimizes cases of one property. The same code is the libFuzzer target
//! ([`fuzz`]), a share of a campaign ([`target_of`]), what replays and reduces a case, and a test of about a second
//! (`smoke`). Bytes that are an [`Envelope`] are that case; all others are input of the target's generator.
//!
//! Invariant: every row has a libFuzzer shim of its name, and the other way round; a target's outcome is a function of its
//! case and of the code under test.
//!
//! Does not know: libFuzzer, processes.

#[cfg(feature = "wattest")]
mod alloc_fail;
#[cfg(feature = "wattest")]
pub mod api;
#[cfg(feature = "wattest")]
mod artifact;
mod baseline;
#[cfg(feature = "wattest")]
mod bounds;
#[cfg(feature = "wattest")]
mod bytes;
#[cfg(feature = "wattest")]
mod calls_abi;
mod components;
mod core;
#[cfg(feature = "wattest")]
mod emi;
mod graph;
mod linked;
mod op_matrix;
#[cfg(feature = "wattest")]
mod self_configs;
#[cfg(feature = "wattest")]
mod subject;
#[cfg(feature = "wattest")]
mod tables_bulk;
#[cfg(feature = "wattest")]
mod threads;
#[cfg(feature = "wasi")]
mod wasi_fs;
#[cfg(feature = "suites")]
mod wast_configs;

use crate::diff_core::Disagreement;
use crate::envelope::Envelope;
use crate::mutate::is_valid;
use crate::source::{Source, expand};
use crate::vote::{Suspect, Vote};
use crate::{minimize, mutate, panics};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Counts of a module of the typed generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleCounts {
    /// Functions with bodies.
    pub functions: u32,
    /// Operations in them; 0 where the source does not count.
    pub operations: u32,
    /// Operations that the interpreter executed.
    pub executed: u64,
    /// Steps that ended in a trap.
    pub traps: u64,
}

/// What a case proved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Steps or values of the runtime that were compared.
    pub checks: u64,
    /// Those of the reference.
    pub reference_checks: u64,
    /// Whether it did enough to be worth its time.
    pub useful: bool,
    /// Why something stopped early, by side.
    pub poison: Vec<String>,
    /// Operations executed, by proposal, where they were counted.
    pub tally: BTreeMap<String, u64>,
    /// Operations executed with boundary operands, by name, where they were counted.
    #[serde(default)]
    pub operations: BTreeMap<String, u64>,
    /// Executions by operation, what surrounded it, and class of a value among its operands, `I32Add memory/zero`, where they
    /// were counted.
    #[serde(default)]
    pub value_classes: BTreeMap<String, u64>,
    /// The case that shows the disagreement, where it is not the one that was asked for.
    #[serde(skip)]
    pub case: Option<Vec<u8>>,
    /// Shapes of a scenario of components.
    pub shapes: Vec<String>,
    /// Counts of the module, for the target that reports them.
    pub module: Option<ModuleCounts>,
    /// What the third voter said, by how often.
    #[serde(default)]
    pub third: BTreeMap<String, u64>,
    /// The finding that explains the disagreement.
    pub explained: Option<String>,
    /// What went wrong, and who is suspected.
    pub disagreement: Option<(Disagreement, Vote)>,
}

impl Outcome {
    /// A disagreement in which nobody votes: the target's own model is the other side.
    pub fn failed(subject: &str, what: impl Into<String>) -> Outcome {
        let disagreement = Disagreement { subject: subject.to_owned(), what: what.into(), step: None };
        let vote = Vote { suspect: Suspect::Subject, reference: "is the target's model".to_owned() };
        Outcome { disagreement: Some((disagreement, vote)), ..Outcome::default() }
    }

    /// Whether something was looked at: what was not is no case.
    pub fn says_something(&self) -> bool {
        let is_checked = self.checks > 0 || self.reference_checks > 0;
        is_checked || self.disagreement.is_some() || self.explained.is_some()
    }

    /// The kind of a disagreement: its text without numbers, so that a smaller case can be told to show the same.
    pub fn signature(&self) -> Option<String> {
        let (found, _) = self.disagreement.as_ref()?;
        Some(signature(&found.subject, &found.what))
    }
}

/// A vote that was not held.
fn nobody() -> Vote {
    Vote { suspect: Suspect::Nobody, reference: "was not asked".to_owned() }
}

/// The subject without its configuration, and the words of the message that are no numbers.
fn signature(subject: &str, what: &str) -> String {
    let engine = subject.split([' ', '/']).next().unwrap_or_default();
    if let Some((left, right)) =
        what.strip_prefix("step ").and_then(|rest| rest.split_once(": ")?.1.split_once(" against "))
    {
        // Which of what is exported holds it, and what, is no part of what kind of failure it is.
        return match left.starts_with("exported ") {
            true => format!("{engine}: exported state"),
            false => format!("{engine}: {} against {}", ending(left), ending(right)),
        };
    }
    // Arguments and elements are no part of it either.
    let mut depth = 0;
    let outside = |c: &char| {
        depth += i32::from(*c == '[') - i32::from(*c == ']');
        depth == 0
    };
    let what: String = what.chars().filter(outside).collect();
    format!("{engine}: {}", words(&what, 8))
}

/// How a call ended, without its values.
fn ending(text: &str) -> String {
    words(if text.starts_with("Trap") { text } else { text.split('(').next().unwrap_or_default() }, usize::MAX)
}

/// The first words of a text that are no numbers: decimal, hexadecimal, or their types.
fn words(text: &str, count: usize) -> String {
    let is_number = |word: &str| {
        word.bytes().any(|byte| byte.is_ascii_digit()) || word.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let all = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() > 2 && !is_number(word));
    all.take(count).collect::<Vec<_>>().join(" ")
}

/// A property, with the engines that it keeps between cases.
pub trait Target {
    /// The case of a generator's input; `None` where it gives none.
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope>;

    /// Runs a case and compares.
    fn run(&mut self, case: &Envelope) -> Outcome;

    /// Runs one case of very many, as a fuzzer does: a target may look less closely, as long as the first case of a process
    /// is looked at as in [`Target::run`], so that what was found is found again alone.
    fn run_of_many(&mut self, case: &Envelope) -> Outcome {
        self.run(case)
    }

    /// Decodes and runs: what a campaign does, which may take a shorter way than over the envelope.
    fn check(&mut self, bytes: &[u8]) -> Option<Outcome> {
        let case = self.decode(bytes)?;
        Some(self.run(&case))
    }

    /// The case of these bytes, which are an envelope or input of the generator.
    fn decode(&mut self, bytes: &[u8]) -> Option<Envelope> {
        Envelope::parse(bytes).or_else(|| self.generate(bytes))
    }

    /// Whether the module that is run follows from a case's settings, so that another one in the case changes nothing.
    fn rebuilds(&self) -> bool {
        false
    }

    /// A case near this one.
    fn mutate(&mut self, case: &Envelope, source: &mut Source<'_>) -> Envelope {
        mutate::mutate(case, source, self.rebuilds())
    }

    /// A smaller case that fails in the same way, what there is time for; the case itself where it does not fail. Whoever
    /// asks decides by `judge` where candidates run, since one may end its process.
    fn minimize(&mut self, case: &Envelope, late: &minimize::Late<'_>, judge: &mut minimize::Judge<'_>) -> Envelope {
        minimize::minimize(case, late, judge)
    }
}

/// A target.
pub struct Row {
    /// Its name: the binary, the first part of a replay line.
    pub name: &'static str,
    /// Its share of a campaign's cases, in all rows' sum.
    pub weight: u32,
    /// Cases of its test: about a second in a debug build.
    pub smoke: u64,
    /// The target, its engines not built yet.
    pub make: fn() -> Box<dyn Target>,
}

/// The table.
pub const TARGETS: &[Row] = &[
    Row { name: "diff_core", weight: 400, smoke: 40, make: || Box::<core::DiffCore>::default() },
    Row { name: "op_matrix", weight: 120, smoke: 30, make: || Box::<op_matrix::OpMatrix>::default() },
    Row { name: "gc_model", weight: 60, smoke: 60, make: || linked::target("gc_model") },
    Row { name: "eh_model", weight: 60, smoke: 60, make: || linked::target("eh_model") },
    Row { name: "diff_linked", weight: 60, smoke: 60, make: || linked::target("diff_linked") },
    Row { name: "component_abi", weight: 10, smoke: 12, make: || components::target("component_abi") },
    Row { name: "hostile_abi", weight: 12, smoke: 30, make: || components::target("hostile_abi") },
    Row { name: "resources", weight: 12, smoke: 40, make: || components::target("resources") },
    Row { name: "graph", weight: 10, smoke: 200, make: || Box::new(graph::GraphTarget) },
    Row { name: "dfg", weight: 10, smoke: 6, make: || components::target("dfg") },
    #[cfg(feature = "wattest")]
    Row { name: "self_configs", weight: 80, smoke: 12, make: || Box::<self_configs::SelfConfigs>::default() },
    #[cfg(feature = "wattest")]
    Row { name: "emi", weight: 60, smoke: 20, make: || Box::<emi::Emi>::default() },
    #[cfg(feature = "wattest")]
    Row { name: "bounds", weight: 60, smoke: 20, make: || Box::<bounds::Bounds>::default() },
    #[cfg(feature = "wattest")]
    Row { name: "tables_bulk", weight: 50, smoke: 30, make: || Box::<tables_bulk::TablesBulk>::default() },
    #[cfg(feature = "wattest")]
    Row { name: "calls_abi", weight: 60, smoke: 20, make: || Box::<calls_abi::CallsAbi>::default() },
    #[cfg(feature = "wattest")]
    Row { name: "bytes", weight: 30, smoke: 60, make: || Box::<bytes::Bytes>::default() },
    #[cfg(feature = "suites")]
    Row { name: "wast_configs", weight: 10, smoke: 4, make: || Box::<wast_configs::WastConfigs>::default() },
    #[cfg(feature = "wattest")]
    Row { name: "api", weight: 20, smoke: 40, make: || Box::<api::Api>::default() },
    #[cfg(feature = "wattest")]
    Row { name: "alloc_fail", weight: 10, smoke: 10, make: || Box::<alloc_fail::AllocFail>::default() },
    #[cfg(feature = "wattest")]
    Row { name: "artifact", weight: 30, smoke: 20, make: || Box::<artifact::Artifacts>::default() },
    #[cfg(feature = "wattest")]
    Row { name: "threads", weight: 4, smoke: 6, make: || Box::new(threads::Threads) },
    #[cfg(feature = "wasi")]
    Row { name: "wasi_fs", weight: 20, smoke: 60, make: || Box::new(wasi_fs::WasiFs) },
];

/// The lane that [`crate::kill`] compares all of these with; no target of campaigns.
pub const BASELINE: &str = "baseline";

const BASELINE_ROW: Row = Row { name: BASELINE, weight: 0, smoke: 0, make: || Box::<baseline::Baseline>::default() };

/// The row of that name.
pub fn named(name: &str) -> Option<&'static Row> {
    static BASELINE_PLACE: Row = BASELINE_ROW;
    TARGETS.iter().find(|row| row.name == name).or((name == BASELINE).then_some(&BASELINE_PLACE))
}

/// The target that the `index`-th case of a campaign belongs to: rows in turn, each by its weight; those of `only`, if the
/// campaign has targets named, with commas between them.
pub fn target_of(index: u64, only: Option<&str>) -> &'static str {
    let names: Vec<&str> = only.into_iter().flat_map(|names| names.split(',')).collect();
    if let Some(row) = names.first().and_then(|name| named(name)).filter(|_| names.len() == 1) {
        return row.name;
    }
    let rows = || TARGETS.iter().filter(|row| names.is_empty() || names.contains(&row.name));
    let total: u64 = rows().map(|row| u64::from(row.weight)).sum::<u64>().max(1);
    // A step that shares no factor with any total below it spreads every row evenly over the round.
    const STEP: u64 = 7919;
    let mut place = (index % total) * STEP % total;
    for row in rows() {
        match place.checked_sub(u64::from(row.weight)) {
            None => return row.name,
            Some(rest) => place = rest,
        }
    }
    TARGETS[0].name
}

/// Targets made on first use, by name.
#[derive(Default)]
pub struct Targets {
    made: BTreeMap<&'static str, Box<dyn Target>>,
}

impl Targets {
    /// The target of that name, if there is one.
    pub fn get(&mut self, name: &str) -> Option<&mut dyn Target> {
        let row = named(name)?;
        Some(self.made.entry(row.name).or_insert_with(row.make).as_mut())
    }

    /// Checks the case of a seed. A panic of the target itself is a disagreement, and its engines are made anew.
    pub fn check_seed(&mut self, name: &str, seed: u64) -> Option<Outcome> {
        self.check(name, &expand(seed))
    }

    /// Checks the case of some bytes.
    pub fn check(&mut self, name: &str, bytes: &[u8]) -> Option<Outcome> {
        self.guarded(name, |target| target.check(bytes))
    }

    /// Does something with a target; a panic is a disagreement, and the target's engines are made anew.
    fn guarded(&mut self, name: &str, work: impl FnOnce(&mut dyn Target) -> Option<Outcome>) -> Option<Outcome> {
        let target = self.get(name)?;
        match panics::record(|| work(target)) {
            Ok(outcome) => outcome,
            Err(text) => {
                self.made.remove(name);
                Some(Outcome::failed("process", format!("panic: {text}")))
            }
        }
    }

    /// Runs a case.
    pub fn run(&mut self, case: &Envelope) -> Option<Outcome> {
        self.guarded(&case.target, |target| Some(target.run(case)))
    }

    /// A smaller case that fails in the same way, by its target's own means; a case of no target stays as it is.
    pub fn minimize(
        &mut self,
        case: &Envelope,
        late: &minimize::Late<'_>,
        judge: &mut minimize::Judge<'_>,
    ) -> Envelope {
        match self.get(&case.target) {
            Some(target) => target.minimize(case, late, judge),
            None => case.clone(),
        }
    }
}

/// The envelope of a case of `diff_core`.
pub(crate) fn core_envelope(target: &str, case: &crate::case::Case) -> Envelope {
    core::envelope(target, case)
}

/// The case of an envelope of one module.
pub(crate) fn core_case(case: &Envelope) -> Option<crate::case::Case> {
    core::case_of(case)
}

/// The component of an envelope, with its host and its calls.
pub(crate) fn component_case(case: &Envelope) -> Option<wattest_differential::components::ComponentCase> {
    components::case_of(case)
}

/// The calls of a stored case of one module.
pub(crate) fn plan_calls(case: &Envelope, program: &wattest_differential::Program) -> Vec<wattest_differential::Call> {
    core::from_calls(case, program)
}

/// The program of a stored case of linked modules.
pub(crate) fn linked_program(case: &Envelope) -> wattest_differential::linked::LinkedProgram {
    linked::program_of(case)
}

/// What the calls of a case of `calls_abi` return.
#[cfg(feature = "wattest")]
pub(crate) fn predicted_results(case: &Envelope) -> Option<Vec<Vec<wattest_differential::Value>>> {
    calls_abi::predicted(case)
}

/// Cases of `calls_abi` that need no host: the layers behind each place where the host calls back, each with what it is
/// called with; the host's calls are direct ones.
#[cfg(feature = "wattest")]
pub(crate) fn calls_without_host(case: &Envelope) -> Vec<Envelope> {
    calls_abi::without_host(case)
}

/// Without the runtime there is no such target.
#[cfg(not(feature = "wattest"))]
pub(crate) fn calls_without_host(_: &Envelope) -> Vec<Envelope> {
    Vec::new()
}

/// A value of a component case in simpler forms, as text, the simplest first.
pub(crate) fn simpler_argument(text: &str) -> Vec<String> {
    components::simpler(text)
}

/// The text of the file that a case of `wast_configs` runs.
#[cfg(feature = "suites")]
pub(crate) fn script_text(case: &Envelope) -> Option<String> {
    wast_configs::text(case)
}

/// How many subjects `wast_configs` has.
#[cfg(feature = "suites")]
pub(crate) fn script_row_count() -> usize {
    wast_configs::row_count()
}

/// The rows of configurations that a case of `self_configs` compares; those of linked programs where it has some.
#[cfg(feature = "wattest")]
pub(crate) fn side_by_side_rows(case: &Envelope) -> Vec<usize> {
    self_configs::compared_rows(case)
}

/// The configuration for a subject of `wast_configs`.
#[cfg(feature = "suites")]
pub(crate) fn script_row(subject: usize) -> &'static wattest_differential::WattestConfig {
    wast_configs::row(subject)
}

thread_local! {
    static KEPT: RefCell<Targets> = RefCell::new(Targets::default());
}

/// What an input of libFuzzer stands for.
enum Input {
    /// A stored case.
    Case(Envelope),
    /// Choices of the generator.
    Choices(Vec<u8>),
}

/// The input itself, then inputs drawn from it: what a target's generator makes nothing of stands for a case all the same,
/// or a fuzzer would see no difference between most small inputs.
fn stand_ins(name: &str, bytes: &[u8]) -> impl Iterator<Item = Input> + use<> {
    const STAND_INS: u64 = 8;
    let start = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |all, byte| (all ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let own = match Envelope::parse(bytes) {
        None => Some(Input::Choices(bytes.to_vec())),
        Some(case) if case.target == name && is_sound(&case) => Some(Input::Case(case)),
        Some(_) => None,
    };
    let drawn = move |number| Input::Choices(expand(start.wrapping_add(number)));
    own.into_iter().chain((0..STAND_INS).map(drawn))
}

/// Whether the modules of a stored case of the target are valid: a fuzzer that changes bytes makes many that are not, and what engines
/// say of those is the business of targets that are about bytes.
fn is_sound(case: &Envelope) -> bool {
    let is_module_or_other = |bytes: &[u8]| !bytes.starts_with(b"\0asm") || is_valid(bytes);
    ["bytes", "artifact"].contains(&case.target.as_str())
        || case.modules.iter().all(|module| is_module_or_other(&module.bytes))
}

/// The case that an input of libFuzzer stands for.
pub fn decode_input(name: &str, bytes: &[u8]) -> Option<Envelope> {
    let mut targets = Targets::default();
    stand_ins(name, bytes).find_map(|input| match input {
        Input::Case(case) => Some(case),
        Input::Choices(bytes) => targets.get(name)?.generate(&bytes),
    })
}

/// Checks one input of the target called `name`; whether it was a case. A stored one of which nothing could be checked is
/// none, and nobody stands in for it: a corpus would be full of them.
///
/// # Panics
///
/// Where the property does not hold and no finding explains it, or there is no such target.
pub fn fuzz(name: &str, bytes: &[u8]) -> bool {
    assert!(named(name).is_some(), "there is no target {name}");
    let checked = |input: &Input| {
        KEPT.with_borrow_mut(|targets| match input {
            Input::Case(case) => {
                #[cfg(fuzzing)]
                crate::features::note_settings(case);
                targets.guarded(name, |target| Some(target.run_of_many(case)))
            }
            Input::Choices(bytes) => targets.check(name, bytes),
        })
    };
    let says_something = |input: Input| {
        let outcome = checked(&input).filter(Outcome::says_something);
        let is_over = outcome.is_some() || matches!(input, Input::Case(_));
        is_over.then_some(outcome)
    };
    let Some(Some(outcome)) = stand_ins(name, bytes).find_map(says_something) else { return false };
    if let (Some((found, vote)), None) = (&outcome.disagreement, &outcome.explained) {
        // A new bug of the oracle is for the campaign to report; a crash here would hide what lies behind it.
        assert!(
            vote.suspect.is_oracle(),
            "disagreement with {}: {}; the reference {}",
            found.subject,
            found.what,
            vote.reference
        );
    }
    true
}

/// A case near the one in `bytes`, as an envelope of at most `size_max` bytes; `None` where there is none.
pub fn mutate_bytes(name: &str, bytes: &[u8], seed: u64, size_max: usize) -> Option<Vec<u8>> {
    KEPT.with_borrow_mut(|targets| {
        let target = targets.get(name)?;
        let case = target.decode(bytes)?;
        let choices = expand(seed);
        let near = target.mutate(&case, &mut Source::new(&choices)).to_bytes();
        (near.len() <= size_max).then_some(near)
    })
}

/// What libFuzzer's mutator does: two times in three it changes a case, else the bytes, by `plain`. Gives the new size.
pub fn mutate_in_place(
    name: &str,
    data: &mut [u8],
    size: usize,
    size_max: usize,
    seed: u32,
    plain: fn(&mut [u8], usize, usize) -> usize,
) -> usize {
    if !seed.is_multiple_of(3)
        && let Some(near) = mutate_bytes(name, &data[..size], seed.into(), size_max)
    {
        data[..near.len()].copy_from_slice(&near);
        return near.len();
    }
    let before = Envelope::parse(&data[..size]);
    let size = plain(data, size, size_max);
    let changed =
        Envelope::parse(&data[..size]).filter(|case| before.is_none_or(|before| before.modules != case.modules));
    if let Some(mut case) = changed {
        mutate::with_exact_nans(&mut case);
        let bytes = case.to_bytes();
        // One word is shorter than the other.
        data[..bytes.len()].copy_from_slice(&bytes);
        return bytes.len();
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::case_seed;
    use std::collections::BTreeSet;

    /// The smoke budget of one target: seeded cases, the same every time.
    fn smoke(name: &str) {
        let row = named(name).expect("a row");
        let mut targets = Targets::default();
        let mut checks = 0;
        for index in 0..row.smoke {
            let seed = case_seed(5, index);
            let Some(outcome) = targets.check_seed(name, seed) else { continue };
            let unexplained = outcome.disagreement.filter(|_| outcome.explained.is_none());
            assert_eq!(unexplained, None, "cargo prove --replay {name}:{seed:#x}");
            checks += outcome.checks;
        }
        assert!(checks >= row.smoke, "{name}: only {checks} checks");
    }

    macro_rules! smoke {
        ($($name:ident),*) => {
            $(#[test] fn $name() { smoke(stringify!($name)); })*

            #[test]
            fn every_row_has_a_test() {
                let tested = [$(stringify!($name)),*];
                for row in TARGETS {
                    assert!(tested.contains(&row.name), "{}", row.name);
                }
            }
        };
    }
    smoke!(
        diff_core,
        op_matrix,
        gc_model,
        eh_model,
        diff_linked,
        component_abi,
        hostile_abi,
        resources,
        graph,
        dfg,
        self_configs,
        emi,
        bounds,
        tables_bulk,
        calls_abi,
        bytes,
        wast_configs,
        api,
        alloc_fail,
        artifact,
        threads,
        wasi_fs
    );

    #[test]
    fn values_are_no_part_of_a_failure() {
        let check = |what: &str, expected: &str| assert_eq!(signature("wattest (speed)", what), expected, "{what}");
        check(
            "call 2 (function 1, [I64(1), F32(0)]): result 0: I64(ffffff85) against I64(deadbeef)",
            "wattest: call function result against",
        );
        check(
            "call 1 (function 0, []): Trap(DivideByZero) against Values([I32(ff)])",
            "wattest: call function Trap DivideByZero against Values",
        );
        check("step 3: Trap(Unreachable) at offset 0x51 against 0x5a", "wattest: Trap Unreachable offset against ");
        check("step 2: exported memory 0, word 1: 0xfff against 0x7", "wattest: exported state");
        check("step 2: Value(Some(U64(1032))) against Value(Some(U64(1048)))", "wattest: Value against Value");
        check("step 1: Exception against Trap(Unreachable)", "wattest: Exception against Trap Unreachable");
    }

    #[test]
    fn every_input_is_a_case() {
        for row in TARGETS {
            for bytes in [&b""[..], b"\0", b"\n"] {
                assert!(decode_input(row.name, bytes).is_some(), "{}: {bytes:?}", row.name);
            }
            for bytes in damaged(row.name) {
                assert!(
                    decode_input(row.name, &bytes).is_some(),
                    "{}: {:?}",
                    row.name,
                    String::from_utf8_lossy(&bytes)
                );
            }
        }
    }

    /// A case of a target, with changes that a fuzzer makes without knowing what it changes.
    fn damaged(name: &str) -> Vec<Vec<u8>> {
        let mut targets = Targets::default();
        let target = targets.get(name).expect("a target");
        let case = (0..20).find_map(|index| target.generate(&expand(case_seed(3, index)))).expect("a case");
        let whole = case.to_bytes();
        let header = case.header().len();
        let cut = |end: usize| whole[..end].to_vec();
        let flipped = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        };
        let bare = Envelope { settings: BTreeMap::new(), ..case.clone() };
        let silent = Envelope { calls: Vec::new(), ..case.clone() };
        let empty = Envelope { modules: Vec::new(), ..case.clone() };
        let strange = case.settings.keys().map(|key| case.clone().set(key, "4294967295;x")).map(|case| case.to_bytes());
        let mut all = vec![cut(header / 2), cut(header), cut(whole.len() - 1), flipped(0), flipped(header - 3)];
        all.extend([bare, silent, empty, Envelope::new(name)].map(|case| case.to_bytes()));
        all.extend((0..header).step_by(header.div_ceil(12)).map(flipped));
        all.extend(strange);
        all
    }

    #[test]
    fn damaged_cases_are_nobodys_fault() {
        for row in TARGETS {
            // A panic or a disagreement ends this.
            for bytes in damaged(row.name).iter().step_by(1 + 20 / row.smoke.min(20) as usize) {
                fuzz(row.name, bytes);
            }
        }
    }

    #[test]
    fn cases_that_check_nothing_are_none() {
        let check = |case: Envelope, expected: bool| {
            assert_eq!(fuzz(&case.target, &case.to_bytes()), expected, "{:?}", case.settings);
        };
        check(Envelope::new("tables_bulk"), false);
        check(Envelope::new("tables_bulk").set("tables", "5,1"), false);
        check(Envelope::new("tables_bulk").set("tables", "1,0,3,5"), true);
        check(Envelope::new("calls_abi").set("layers", "call|i32|p1"), false);
        check(Envelope::new("wast_configs").set("file", "none"), false);
        let bounds = |memory: &str, site: &str| Envelope::new("bounds").set("memories", memory).set("sites", site);
        check(bounds("1,16,1,1", "I32Load,0,4294967296"), true);
        check(bounds("0,16,1,1", "I32Load,0,4294967295"), true);
        check(bounds("0,16,1,1", "I32Load,0,4294967296"), false);
    }

    /// What a fuzzer makes of a case is one too, or none: nobody disagrees about it.
    #[test]
    fn cases_near_a_case_are_cases() {
        const STEPS: u64 = 3;
        for row in TARGETS {
            let mut targets = Targets::default();
            for index in 0..row.smoke.div_ceil(12) {
                let seed = case_seed(6, index);
                let mut bytes = expand(seed);
                for step in 0..STEPS {
                    let Some(near) = mutate_bytes(row.name, &bytes, seed ^ step, 1 << 16) else { break };
                    let case = Envelope::parse(&near).expect("an envelope");
                    if is_sound(&case) {
                        let outcome = targets.run(&case).unwrap_or_default();
                        let suspects_others =
                            matches!(&outcome.disagreement, Some((_, vote)) if vote.suspect.is_oracle());
                        let unexplained =
                            outcome.disagreement.filter(|_| outcome.explained.is_none() && !suspects_others);
                        assert_eq!(unexplained, None, "{} {index} {step}: {:?}", row.name, case.settings);
                    }
                    bytes = near;
                }
            }
        }
    }

    #[test]
    fn modules_that_are_not_valid_are_no_cases() {
        let case = Envelope::new("diff_core").module("main", b"\0asm\x01\0\0\0\x07\x05\x01\x01a\x02\0".to_vec());
        assert!(!is_sound(&case));
        assert_ne!(decode_input("diff_core", &case.to_bytes()), Some(case.clone()));
        assert!(fuzz("diff_core", &case.to_bytes()));
    }

    #[test]
    fn every_target_has_its_share_of_a_campaign() {
        let total: u64 = TARGETS.iter().map(|row| u64::from(row.weight)).sum();
        for row in TARGETS {
            let share = (0..total).filter(|index| target_of(*index, None) == row.name).count();
            assert_eq!(share, row.weight as usize, "{}", row.name);
        }
    }

    #[test]
    fn a_campaign_of_several_targets_has_no_others() {
        let names: BTreeSet<_> = (0..100).map(|index| target_of(index, Some("gc_model,graph"))).collect();
        assert_eq!(names, BTreeSet::from(["gc_model", "graph"]));
        assert_eq!(target_of(7, Some("graph")), "graph");
    }

    #[test]
    fn any_bytes_are_an_input() {
        let check = |bytes: &[u8]| {
            for row in TARGETS {
                fuzz(row.name, bytes);
            }
            // The smallest inputs must be cases: an empty corpus starts from them.
            assert!(fuzz("diff_core", bytes), "{bytes:?}");
        };
        check(&[]);
        check(&[0x0a]);
        check(&[0; 100]);
        check(&[0xff; 300]);
        check(b"\0asm\x01\0\0\0");
    }

    #[test]
    fn cases_survive_their_envelope() {
        let mut targets = Targets::default();
        for row in TARGETS {
            let target = targets.get(row.name).expect("a target");
            let case = (0..20).find_map(|index| target.generate(&expand(case_seed(9, index)))).expect("a case");
            assert_eq!(case.target, row.name);
            let again = Envelope::parse(&case.to_bytes());
            assert_eq!(again.as_ref(), Some(&case), "{}", row.name);
            let (left, right) = (target.run(&case), again.map(|case| target.run(&case)));
            assert_eq!(Some(left), right, "{}", row.name);
        }
    }
}
