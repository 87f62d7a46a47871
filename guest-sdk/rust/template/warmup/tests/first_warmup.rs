//! Runs the warm-up on the synthetic host, with the shipped workload and metrics.

use llem_sdk::{Result, testing::TestRun};

#[test]
fn equal_times_are_steady_after_the_window() -> Result<()> {
    let run = TestRun::policies()
        .warmup(env!("CARGO_MANIFEST_DIR"))
        .parameter("requests", 2);
    let result = run.parameter("window", 4).run()?;
    assert_eq!(result.status(), "completed");
    // Equal requests take equal times on the synthetic host.
    assert_eq!(result.warmup_requests().len(), 4);
    assert!(
        result
            .log()
            .iter()
            .any(|line| line.message == "warm: steady after 4 runs")
    );
    assert_eq!(result.requests().len(), 2);
    Ok(())
}
