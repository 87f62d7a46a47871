//! Runs the workload on the synthetic host, with the shipped warm-up and metrics.

use llem_sdk::{Result, testing::TestRun};

#[test]
fn requests_arrive_at_times_of_the_seed() -> Result<()> {
    let arrivals = |seed: u64| -> Result<Vec<u64>> {
        let run = TestRun::policies()
            .workload(env!("CARGO_MANIFEST_DIR"))
            .seed(seed);
        let result = run.parameter("requests", 5).run()?;
        assert_eq!(result.status(), "completed");
        let mut times: Vec<u64> = result
            .requests()
            .iter()
            .map(|one| one.submitted_ns)
            .collect();
        times.sort_unstable();
        Ok(times)
    };
    let times = arrivals(1)?;
    assert_eq!(times.len(), 5);
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    assert_eq!(times, arrivals(1)?);
    assert_ne!(times, arrivals(2)?);
    Ok(())
}
