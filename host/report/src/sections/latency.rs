//! Distributions of latencies: an ECDF for each of TTFT, ITL, TPOT and E2EL, and a table of their quantiles.

use super::text;
use crate::{
    charts::{Axis, Chart, Drawing, Series, Style},
    configuration::Configuration,
    document::{Block, Cell, Section, Table},
    number::Number,
    quantiles::{POINTS, ecdf, quantile},
    requests::GroupSamples,
};
use llem_quantity::Source;

/// The most curves of a chart. More cannot be told apart.
const CURVES: usize = 12;

type Pick = fn(&GroupSamples) -> &Vec<f64>;

const LATENCIES: [(&str, &str, &str, Pick); 4] = [
    ("ttft", "TTFT", "Time to first token", |of| &of.ttft),
    ("itl", "ITL", "Inter-token latency", |of| &of.itl),
    ("tpot", "TPOT", "Time per output token", |of| &of.tpot),
    ("e2el", "E2EL", "End-to-end latency", |of| &of.e2el),
];

pub(super) fn section(configurations: &[Configuration<'_>]) -> Section {
    let mut section = Section::new("latency", "Latency");
    if configurations.iter().all(|of| of.samples.is_none_or(|samples| samples.ttft.is_empty())) {
        section.blocks.push(text(
            "No latencies are known: the journal has no request that generated a token.",
        ));
        return section;
    }
    for (id, short, name, pick) in LATENCIES {
        section.blocks.extend(chart(configurations, id, short, name, pick));
    }
    section.blocks.push(Block::Table(table(configurations)));
    section
}

fn chart(
    configurations: &[Configuration<'_>],
    id: &str,
    short: &str,
    name: &str,
    pick: Pick,
) -> Option<Block> {
    let known = configurations.iter().enumerate().filter_map(|(look, configuration)| {
        let samples = pick(configuration.samples?);
        (!samples.is_empty()).then_some((look, configuration, samples))
    });
    let known: Vec<_> = known.collect();
    let shown = &known[..known.len().min(CURVES)];
    let values = || shown.iter().flat_map(|(_, _, samples)| samples.iter().copied());
    let (low, high) = values()
        .fold((f64::INFINITY, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
    if shown.is_empty() || high <= 0.0 {
        return None;
    }
    let x = Axis::new(name, "s", values());
    // A range of more than a factor of 20 hides its lower part on a linear axis.
    let x = if low > 0.0 && high / low > 20.0 { x.log() } else { x };
    let factor = x.factor;
    let series = shown.iter().map(|(look, configuration, samples)| Series {
        name: configuration.name.clone(),
        style: Style::Step,
        look: *look,
        points: std::iter::once((samples[0] * factor, 0.0))
            .chain(ecdf(samples).into_iter().map(|(value, share)| (value * factor, share)))
            .collect(),
        uncertainties: Vec::new(),
        labels: Vec::new(),
    });
    let series: Vec<Series> = series.collect();
    let medians = shown.iter().filter_map(|(_, configuration, samples)| {
        let median = quantile(samples, 0.5)?.value;
        Some((median, &configuration.name))
    });
    let mut medians: Vec<(f64, &String)> = medians.collect();
    medians.sort_by(|one, other| one.0.total_cmp(&other.0));
    let said = |(median, name): &(f64, &String)| {
        format!("{} {} ({name})", llem_quantity::significant(median * factor), x.unit)
    };
    let mut caption = format!("Share of values at or below each {short}; further left is faster. ");
    caption += &match &medians[..] {
        [one] => format!("The median is {}.", said(one)),
        [first, .., last] => format!("Medians go from {} to {}.", said(first), said(last)),
        [] => String::new(),
    };
    if known.len() > CURVES {
        caption += &format!(
            " The first {CURVES} of {} configurations are drawn; the table has all.",
            known.len()
        );
    }
    if shown.iter().any(|(_, _, samples)| samples.len() > POINTS) {
        caption +=
            &format!(" Of more than {POINTS} values, {POINTS} ranks at equal distances are drawn.");
    }
    let y = Axis::new("Share of values", "1", []);
    let drawing = Drawing::Plot { x, y, series };
    let title = format!("{name} ({short})");
    Some(Block::Chart(Box::new(Chart { id: format!("latency-{id}"), title, caption, drawing })))
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
    for (_, short, _, pick) in LATENCIES {
        for configuration in configurations {
            let Some(samples) =
                configuration.samples.map(pick).filter(|samples| !samples.is_empty())
            else {
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
                short.into(),
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
