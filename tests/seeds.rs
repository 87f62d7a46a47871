//! Each request of a phase has its own stream of random numbers, which is the same in every run with that seed.

use crate::support::{TestContext, guest, of_kind};
use serde_json::Value;

/// Returns the tokens of three equal requests at temperature 1, static or in batches, after a warm-up.
fn drawn(seed: &str, warm_up: &str, batch: &str) -> Vec<Value> {
    let context = TestContext::new();
    let component = guest("given_tokens");
    let mut args = vec!["exec", &component, "--seed", seed];
    for parameter in ["temperature=1.0", "requests=3", warm_up, batch] {
        args.extend(["-p", parameter]);
    }
    context.llem(&args).ok();
    let events = context.events();
    let is_measured =
        |event: &&Value| event["window"]["phase"] != "warmup" && event["phase"] != "warmup";
    let measured = |kind| of_kind(&events, kind).into_iter().filter(is_measured).cloned();
    let of_requests = measured("generation").map(|event| event["sequences"][0]["tokens"].clone());
    let of_batches = measured("batch-sequence").map(|event| event["sequence"]["tokens"].clone());
    of_requests.chain(of_batches).collect()
}

#[test]
fn repeated_requests_draw_other_tokens_and_repeated_runs_the_same() {
    for batch in ["batch=false", "batch=true"] {
        let first = drawn("5", "warm-up=0", batch);
        assert_eq!(first.len(), 3, "{batch}");
        assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2], "{first:?}");
        assert_eq!(drawn("5", "warm-up=0", batch), first, "{batch}");
    }
    assert_eq!(
        drawn("5", "warm-up=0", "batch=true"),
        drawn("5", "warm-up=0", "batch=false"),
        "a batch draws no others"
    );
}

#[test]
fn a_longer_warm_up_changes_no_measured_token() {
    // A warm-up that goes on until times settle has other lengths on other machines.
    for batch in ["batch=false", "batch=true"] {
        let [short, long] = ["warm-up=1", "warm-up=4"].map(|warm_up| drawn("5", warm_up, batch));
        assert_eq!(short.len(), 3, "{batch}");
        assert_eq!(short, long, "{batch}");
    }
}
