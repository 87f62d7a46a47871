//! Each request of a run has its own stream of random numbers, which is the same in every run with that seed.

use crate::support::{TestContext, guest, of_kind};
use serde_json::Value;

/// Returns the tokens of three equal requests at temperature 1, static or in batches.
fn drawn(seed: &str, batch: &str) -> Vec<Value> {
    let context = TestContext::new();
    let component = guest("given_tokens");
    let mut args = vec!["exec", &component, "--seed", seed];
    for parameter in ["temperature=1.0", "requests=3", batch] {
        args.extend(["-p", parameter]);
    }
    context.llem(&args).ok();
    let events = context.events();
    let of_requests =
        of_kind(&events, "generation").into_iter().map(|event| &event["sequences"][0]);
    let of_batches = of_kind(&events, "batch-sequence").into_iter().map(|event| &event["sequence"]);
    of_requests.chain(of_batches).map(|sequence| sequence["tokens"].clone()).collect()
}

#[test]
fn repeated_requests_draw_other_tokens_and_repeated_runs_the_same() {
    for batch in ["batch=false", "batch=true"] {
        let first = drawn("5", batch);
        assert_eq!(first.len(), 3, "{batch}");
        assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2], "{first:?}");
        assert_eq!(drawn("5", batch), first, "{batch}");
    }
    assert_eq!(drawn("5", "batch=true"), drawn("5", "batch=false"), "a batch draws no others");
}
