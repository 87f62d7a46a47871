//! Distributions of latencies: ECDFs of TTFT, ITL, TPOT and E2EL, and a table of their quantiles.

use super::{ecdf, text};
use crate::{
    configuration::Configuration,
    document::{Block, Cell, Section, Table},
    number::Number,
    quantiles::quantile,
    requests::GroupSamples,
};
use llem_quantity::Source;

/// A kind of latency.
pub(super) struct Latency {
    /// The name in links and files.
    pub id: &'static str,
    pub short: &'static str,
    pub name: &'static str,
    /// Returns the sorted samples of a group, s.
    pub pick: fn(&GroupSamples) -> &Vec<f64>,
}

const LATENCIES: [Latency; 4] = [
    Latency { id: "ttft", short: "TTFT", name: "Time to first token", pick: |of| &of.ttft },
    Latency { id: "itl", short: "ITL", name: "Inter-token latency", pick: |of| &of.itl },
    Latency { id: "tpot", short: "TPOT", name: "Time per output token", pick: |of| &of.tpot },
    Latency { id: "e2el", short: "E2EL", name: "End-to-end latency", pick: |of| &of.e2el },
];

pub(super) fn section(configurations: &[Configuration<'_>]) -> Section {
    let mut section = Section::new("latency", "Latency");
    if configurations.iter().all(|of| of.samples.is_none_or(|samples| samples.ttft.is_empty())) {
        section.blocks.push(text(
            "No latencies are known: the journal has no request that generated a token.",
        ));
        return section;
    }
    for latency in &LATENCIES {
        let charts = ecdf::charts(configurations, latency);
        section.blocks.extend(charts.into_iter().map(|chart| Block::Chart(Box::new(chart))));
    }
    section.blocks.push(Block::Table(table(configurations)));
    section
}

fn table(configurations: &[Configuration<'_>]) -> Table {
    let caption = "Quantiles of latencies. The uncertainty of a quantile is that of its order statistics; of a mean, the standard error";
    let mut table = Table::new("latency", caption)
        .column("latency")
        .column("configuration")
        .numbers("values", "1")
        .numbers("mean", "s")
        .numbers("median", "s")
        .numbers("p90", "s")
        .numbers("p99", "s")
        .numbers("longest", "s");
    for latency in &LATENCIES {
        for configuration in configurations {
            let samples = configuration.samples.map(latency.pick);
            let Some(samples) = samples.filter(|samples| !samples.is_empty()) else {
                continue;
            };
            let coverage = format!("{} values of {}", samples.len(), configuration.name);
            let number = |value, uncertainty| -> Cell {
                Number::new(value, uncertainty, "s", Source::Clock)
                    .covering(coverage.clone())
                    .into()
            };
            let at = |share| match quantile(samples, share) {
                Some(found) => number(found.value, found.uncertainty),
                None => Cell::Empty,
            };
            let count = samples.len() as f64;
            let mean = samples.iter().sum::<f64>() / count;
            let squares: f64 = samples.iter().map(|value| (value - mean).powi(2)).sum();
            let error = if count > 1.0 { (squares / (count - 1.0) / count).sqrt() } else { 0.0 };
            table.rows.push(vec![
                latency.short.into(),
                configuration.name.as_str().into(),
                Number::new(count, 0.0, "1", Source::Counted).into(),
                number(mean, error),
                at(0.5),
                at(0.9),
                at(0.99),
                number(samples[samples.len() - 1], 0.0),
            ]);
        }
    }
    table
}
