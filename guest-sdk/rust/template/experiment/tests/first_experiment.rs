//! Runs the experiment on the synthetic host: no model, and times and joules that are known beforehand.

use llem_sdk::{Result, testing::TestRun};

#[test]
fn every_prompt_is_measured() -> Result<()> {
    let run = TestRun::experiment(env!("CARGO_MANIFEST_DIR")).parameter("prompts", 3);
    let result = run.run()?;
    assert_eq!(result.status(), "completed");
    let requests = result.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.output_tokens() == 16));
    // A step of decode takes 5 ms on the synthetic host.
    let rate = result.metric("decode_rate")?;
    assert!((rate.value - 200.0).abs() < 1e-9, "{rate:?}");
    assert!(result.metric("joules_per_output_token")?.value > 0.0);
    Ok(())
}
