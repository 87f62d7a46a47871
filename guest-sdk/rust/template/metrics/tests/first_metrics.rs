//! Runs the metrics on the synthetic host, with the shipped warm-up and workload.

use llem_sdk::{Result, testing::TestRun};

#[test]
fn percentiles_of_equal_latencies_are_the_latency() -> Result<()> {
    let run = TestRun::policies().metrics(env!("CARGO_MANIFEST_DIR"));
    let result = run
        .parameter("requests", 2)
        .parameter("new-tokens", 8)
        .run()?;
    assert_eq!(result.status(), "completed");
    // A step of decode takes 5 ms on the synthetic host.
    for name in ["itl_p50", "itl_p99"] {
        let latency = result.metric(name)?;
        assert!(
            (latency.value - 5e-3).abs() < 1e-12 && latency.unit == "s",
            "{latency:?}"
        );
    }
    Ok(())
}
