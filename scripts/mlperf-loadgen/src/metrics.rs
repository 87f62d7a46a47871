//! The metrics of a run, under LoadGen's keys, and its energy, which LoadGen does not have.

use crate::{
    results::{Latencies, Results},
    settings::{Scenario, Settings},
    verdict::Verdict,
};
use llem_sdk::{prelude::*, report};

/// Reports the results of a run.
pub(crate) fn add(results: &Results, verdict: &Verdict, settings: &Settings) -> Result<()> {
    let (scenario, requested) = (settings.scenario(), &settings.requested);
    add_number("result_validity", f64::from(u8::from(verdict.is_valid())), "1")?;
    let at = |before: &str, after: &str, latencies: &Latencies| {
        let percentile = requested.target_latency_percentile;
        let name = format!("{before}{:.2}_percentile{after}", 100.0 * percentile);
        add_time(&name, latencies.at(percentile))
    };
    match scenario {
        Scenario::SingleStream => {
            at("result_", "_latency_ns", &results.latencies)?;
            let rates = [results.qps_with_overhead(), results.qps_without_overhead()];
            add_number("result_qps_with_loadgen_overhead", rates[0], "{query}/s")?;
            add_number("result_qps_without_loadgen_overhead", rates[1], "{query}/s")?;
        }
        Scenario::MultiStream => at("result_", "_per_query_latency_ns", &results.query_latencies)?,
        Scenario::Server => {
            let [completed, scheduled] =
                [results.completed_samples_per_second(), results.scheduled_samples_per_second()];
            add_number("result_completed_samples_per_sec", completed, "{sample}/s")?;
            add_number("result_scheduled_samples_per_sec", scheduled, "{sample}/s")?;
            at("result_", "_latency_ns", &results.latencies)?;
        }
        Scenario::Offline => {
            add_number("result_samples_per_second", results.samples_per_second(), "{sample}/s")?;
        }
    }
    let estimates = [verdict.early_stopping_latency_ss, verdict.early_stopping_latency_ms];
    for (name, estimate) in
        ["early_stopping_latency_ss", "early_stopping_latency_ms"].into_iter().zip(estimates)
    {
        estimate.map_or(Ok(()), |estimate| add_time(name, estimate))?;
    }
    match scenario {
        _ if !requested.use_token_latencies => return Ok(()),
        Scenario::Offline => {
            return add_number(
                "result_tokens_per_second",
                results.tokens_per_second(),
                "{token}/s",
            );
        }
        Scenario::Server => {
            let rate = results.completed_tokens_per_second();
            add_number("result_completed_tokens_per_second", rate, "{token}/s")?;
        }
        Scenario::SingleStream | Scenario::MultiStream => {
            let rate = results.tps_with_overhead();
            add_number("result_token_throughput_with_loadgen_overhead", rate, "{token}/s")?;
        }
    }
    at("result_first_token_", "_latency_ns", &results.ttft)?;
    add_time("result_first_token_mean_latency_ns", results.ttft.mean())?;
    at("result_time_per_output_token_", "_ns", &results.tpot)?;
    add_time("result_time_to_output_token_mean", results.tpot.mean())
}

/// Reports the energy of a run, by llem's meters: the CPU and the devices that held the model, not the whole machine at the
/// wall. Per query as MLPerf Power has it in SingleStream and MultiStream, otherwise as mean power.
pub(crate) fn add_energy(
    results: &Results,
    settings: &Settings,
    window: &Measurement,
) -> Result<()> {
    let energy = match &window.energy_total {
        Ok(energy) => energy,
        Err(reason) => {
            report::warn(&format!("no energy of the test: {reason}"));
            return Ok(());
        }
    };
    let add = |name: &str, quantity: Option<Quantity>| match quantity {
        Some(quantity) => report::add_metric(&quantity.into_metric(name)),
        None => Ok(()),
    };
    add("joules_per_sample", energy.per(results.samples() as f64, "J/{sample}"))?;
    add("joules_per_token", energy.per(results.tokens as f64, "J/{token}"))?;
    let power = energy.per(window.wall_time as f64 * 1e-9, "W");
    let per_query = energy.per(results.queries as f64 / 1000.0, "mJ/{query}");
    let performance = |rate: f64, unit: &str| Quantity::exact(rate, unit, Source::Derived);
    let efficiency = match settings.scenario() {
        Scenario::SingleStream | Scenario::MultiStream => {
            let samples = performance(1000.0 * settings.samples_per_query as f64, "mJ{sample}/J");
            let efficiency =
                per_query.as_ref().and_then(|energy| samples.over(energy, "{sample}/J"));
            add("llem_meters_millijoules_per_query", per_query)?;
            efficiency
        }
        scenario => {
            let rate = match scenario {
                Scenario::Server => results.completed_samples_per_second(),
                _ => results.samples_per_second(),
            };
            let rate = performance(rate, "{sample}/s");
            let efficiency = power.as_ref().and_then(|power| rate.over(power, "{sample}/J"));
            add("llem_meters_watts", power)?;
            efficiency
        }
    };
    add("llem_meters_efficiency", efficiency)
}

fn add_time(name: &str, nanoseconds: i64) -> Result<()> {
    let time = Quantity::exact(nanoseconds as f64, "ns", Source::Clock);
    report::add_metric(&time.into_metric(name))
}

/// Adds a number that is finite. A rate over no time at all is not.
fn add_number(name: &str, value: f64, unit: &str) -> Result<()> {
    match value.is_finite() {
        true => {
            report::add_metric(&Quantity::exact(value, unit, Source::Derived).into_metric(name))
        }
        false => Ok(()),
    }
}
