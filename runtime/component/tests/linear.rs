//! Compiling is a function of the bytes, and what comes out grows linearly.

#[path = "../examples/compile/shapes.rs"]
mod shapes;

use wattest_component::{CompileOptions, DecodeOptions, Features, Plan, compile};

fn plan(wat: &str) -> Plan {
    let binary = wat::parse_str(wat).unwrap();
    let features = Features::all(wattest_module::Features::default());
    let decode = DecodeOptions { features, ..DecodeOptions::default() };
    compile(&binary, &CompileOptions { decode, ..CompileOptions::default() }).unwrap()
}

fn bytes(plan: &Plan) -> Vec<u8> {
    serde_json::to_vec(plan).unwrap()
}

/// P22: hash maps have another key each time, and each thread.
#[test]
fn compiling_again_gives_the_same_bytes() {
    for wat in [shapes::adapters(40), shapes::chain(100), shapes::doubling(6)] {
        let first = bytes(&plan(&wat));
        for _ in 0..4 {
            assert!(bytes(&plan(&wat)) == first);
            let elsewhere = std::thread::scope(|scope| scope.spawn(|| bytes(&plan(&wat))).join().unwrap());
            assert!(elsewhere == first);
        }
    }
}

/// P23: twice the adapters, twice the plan, in operations and in bytes; two thousand of them, too.
#[test]
fn plans_grow_linearly() {
    let sizes = |count: usize| {
        let plan = plan(&shapes::adapters(count));
        let templates: usize = plan.linear.templates.iter().map(Vec::len).sum();
        (plan.linear.ops.len(), templates, bytes(&plan).len())
    };
    let (small, large, huge) = (sizes(100), sizes(200), sizes(2_000));
    let is_linear = |small: usize, large: usize, huge: usize| {
        let each = (large - small) as f64 / 100.0;
        // Numbers have more digits as they grow.
        (huge as f64) < each * 2_000.0 * 1.25 + small as f64
    };
    assert!(is_linear(small.0, large.0, huge.0), "{small:?} {large:?} {huge:?}");
    assert!(is_linear(small.1, large.1, huge.1), "{small:?} {large:?} {huge:?}");
    assert!(is_linear(small.2, large.2, huge.2), "{small:?} {large:?} {huge:?}");
}
