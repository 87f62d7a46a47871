//! Has parameters that hold secrets, and reports only their lengths.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("has-secrets", "0.1.0", "Says how long its parameters are.")
        .text("api-key", "", "a secret by its name")
        .text("endpoint", "", "an address with a secret in it")
        .integer("new-tokens", 1, "no secret")
}

fn run() -> Result<()> {
    for (parameter_name, metric) in [("api-key", "api_key_bytes"), ("endpoint", "endpoint_bytes")] {
        let text: String = parameter(parameter_name)?;
        report::add_metric(
            &Quantity::exact(text.len() as f64, "By", Source::Counted).into_metric(metric),
        )?;
    }
    Ok(())
}
