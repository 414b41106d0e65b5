//! What linearization must preserve, property by property, and which checks decide it.
//!
//! A table from each [`Property`] to the tests that would fail if it did not hold. That every row has one is a test; that the
//! tests are there, too.

use std::path::Path;
use wattest_component::verify::Property;

/// A check: the file and the test function in it.
type Check = (&'static str, &'static str);

const RANDOM: &str = "runtime/component/src/random/tests.rs";
const STAGES: &str = "fuzz/harness/tests/stages.rs";
const RULES: &str = "fuzz/harness/tests/components.rs";
/// Plans of random graphs, of which the verifier decides everything that shows without running code.
const GRAPHS: Check = (RANDOM, "random_graphs_keep_their_meaning");
/// Faults that the verifier must name by their property.
const WRONG: Check = (RANDOM, "wrong_plans_are_rejected");
/// One component for each rule, in every engine and at every stage.
const RULE: Check = (RULES, "components_of_one_rule_each");
/// Traces of random components at every stage.
const TRACES: Check = (STAGES, "every_stage_of_random_components_has_the_same_trace");

const CHECKS: &[(Property, &[Check])] = &[
    (Property::P1, &[GRAPHS, WRONG, (RANDOM, "chains_keep_their_meaning")]),
    (Property::P2, &[GRAPHS, WRONG]),
    (Property::P3, &[GRAPHS, WRONG, (RANDOM, "adapter_modules_with_effects_are_rejected"), TRACES]),
    (Property::P4, &[GRAPHS, WRONG]),
    (Property::P5, &[GRAPHS, WRONG, TRACES]),
    (Property::P6, &[GRAPHS, WRONG, TRACES]),
    (Property::P7, &[GRAPHS, WRONG]),
    (Property::P8, &[GRAPHS, WRONG]),
    (Property::P9, &[GRAPHS, WRONG, (RANDOM, "emitters_that_break_their_promise_are_caught")]),
    (Property::P10, &[GRAPHS, (RANDOM, "chains_keep_their_meaning")]),
    (Property::P11, &[GRAPHS, WRONG]),
    (Property::P12, &[(STAGES, "any_legal_grouping_gives_equal_traces")]),
    (Property::P13, &[GRAPHS, WRONG, (STAGES, "transcoders_see_memories_that_grow_under_them")]),
    (Property::P14, &[RULE, (STAGES, "verdicts_on_leaving_are_those_of_the_specification")]),
    (Property::P15, &[(STAGES, "a_trap_in_an_effect_is_the_last_thing_that_happens")]),
    (Property::P16, &[RULE, (STAGES, "the_current_task_is_seen_everywhere")]),
    (Property::P17, &[GRAPHS, WRONG]),
    (Property::P18, &[GRAPHS, WRONG]),
    (Property::P19, &[GRAPHS, (RANDOM, "equal_values_are_one_node_and_effects_are_not"), TRACES]),
    (Property::P20, &[GRAPHS, WRONG]),
    (Property::P21, &[GRAPHS, WRONG]),
    (Property::P22, &[GRAPHS, ("runtime/component/tests/linear.rs", "compiling_again_gives_the_same_bytes")]),
    (
        Property::P23,
        &[(RANDOM, "chains_keep_their_meaning"), ("runtime/component/tests/linear.rs", "plans_grow_linearly")],
    ),
    (
        Property::P24,
        &[
            (RANDOM, "any_subset_of_passes_leaves_a_graph_that_keeps_its_meaning"),
            (STAGES, "passes_commute_with_traces"),
        ],
    ),
    (Property::P25, &[(RANDOM, "text_comes_back_as_the_same_graph"), GRAPHS]),
];

#[test]
fn every_property_has_a_check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let listed: Vec<Property> = CHECKS.iter().map(|(property, _)| *property).collect();
    assert_eq!(listed, Property::ALL);
    for (property, checks) in CHECKS {
        assert!(!checks.is_empty(), "{property:?} ({}) has no check", property.text());
        for (file, name) in *checks {
            let source = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let is_test = source.contains(&format!("#[test]\nfn {name}("))
                || source.contains(&format!("#[test]\n    fn {name}("));
            assert!(is_test, "{property:?}: {file} has no test {name}");
        }
    }
}
