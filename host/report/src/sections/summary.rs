//! The summary: the most important numbers of one run, and a row for each configuration.

use crate::{
    configuration::{Configuration, covered},
    document::{Block, Cell, Section, Table},
    number::Number,
    quantiles::quantile,
    run::LoadedRun,
    visible::visible,
};
use llem_quantity::Source;
use llem_record::{Distribution, RunStatus};

pub(super) fn section(
    runs: &[LoadedRun],
    names: &[String],
    configurations: &[Configuration<'_>],
) -> Section {
    let mut section = Section::new("summary", "Summary");
    section.blocks.push(Block::Table(runs_table(runs, names)));
    if let [only] = configurations {
        section.blocks.push(Block::Figures(figures(only)));
    }
    if !configurations.is_empty() {
        section.blocks.push(Block::Table(configurations_table(configurations)));
    }
    section
}

pub(super) fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "running",
        RunStatus::Completed => "completed",
        RunStatus::Failed => "failed",
        RunStatus::Interrupted => "interrupted",
        RunStatus::Killed => "killed",
    }
}

fn runs_table(runs: &[LoadedRun], names: &[String]) -> Table {
    let mut table = Table::new("runs", if runs.len() == 1 { "The run" } else { "The runs" })
        .column("run")
        .column("status")
        .column("began (UTC)")
        .numbers("duration", "s")
        .column("experiment")
        .column("model")
        .numbers("parameters", "1")
        .column("format")
        .column("device");
    for (run, name) in runs.iter().zip(names) {
        let record = &run.record;
        let model = record.models.first();
        let experiments = record.plan.components.iter().map(|component| visible(&component.name));
        let more = match record.models.len() {
            0 | 1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        table.rows.push(vec![
            name.as_str().into(),
            status(record.status).into(),
            visible(&record.started_at).into(),
            Number::new(record.wall_ns as f64 * 1e-9, 0.0, "s", Source::Clock).into(),
            experiments.collect::<Vec<_>>().join(", ").into(),
            model.map(|model| visible(&model.source) + &more).into(),
            model
                .map(|model| Number::new(model.parameters as f64, 0.0, "1", Source::Counted))
                .into(),
            model.map(|model| visible(model.quantization.as_ref().unwrap_or(&model.dtype))).into(),
            model.map(|model| visible(&model.device)).into(),
        ]);
    }
    table.without_empty_columns()
}

/// Returns the quantile of a group's latencies, from the samples if the journal has them, otherwise from the record.
pub(super) fn latency(
    configuration: &Configuration<'_>,
    samples: &[f64],
    recorded: Option<&Distribution>,
    share: f64,
) -> Option<Number> {
    let count = recorded.map_or(samples.len() as u64, |recorded| recorded.count);
    let covering =
        |number: Number| number.covering(format!("{count} values of {}", configuration.name));
    if let Some(found) = quantile(samples, share) {
        return Some(covering(Number::new(found.value, found.uncertainty, "s", Source::Clock)));
    }
    let recorded = recorded?;
    let value = if share == 0.5 { recorded.p50 } else { recorded.p99 };
    Some(covering(Number::new(value, 0.0, "s", Source::Clock)))
}

/// Returns the energy per generated token of a group.
pub(super) fn energy_per_token(configuration: &Configuration<'_>) -> Number {
    let group = configuration.group;
    Number::from_reading(&group.energy_per_output_token, "J/{token}")
        .covering(covered(&group.energy_covers))
}

/// Returns the rate of decode of a group with the spread of its time per output token as its uncertainty.
pub(super) fn decode_rate(configuration: &Configuration<'_>) -> Option<Number> {
    let group = configuration.group;
    let rate = group.decode_rate.as_ref()?;
    let spread = group.tpot_s.as_ref().filter(|tpot| tpot.count > 1 && tpot.mean > 0.0);
    let relative =
        spread.map_or(0.0, |tpot| tpot.standard_deviation / tpot.mean / (tpot.count as f64).sqrt());
    let uncertainty = rate.uncertainty.max(rate.value * relative);
    let number = Number::new(rate.value, uncertainty, &rate.unit, rate.source);
    Some(number.covering(format!("{} requests, tokens after each first", group.requests)))
}

fn figures(only: &Configuration<'_>) -> Vec<(String, Number)> {
    let group = only.group;
    let (ttft, itl) = only.samples.map_or((&[][..], &[][..]), |of| (&of.ttft, &of.itl));
    let mut figures = Vec::new();
    let mut add = |name: &str, number: Option<Number>| {
        figures.extend(number.map(|number| (name.to_owned(), number)));
    };
    add("TTFT, median", latency(only, ttft, group.ttft_s.as_ref(), 0.5));
    add("ITL, median", latency(only, itl, group.itl_s.as_ref(), 0.5));
    add("decode rate", decode_rate(only));
    add("energy per output token", Some(energy_per_token(only)));
    figures
}

fn configurations_table(configurations: &[Configuration<'_>]) -> Table {
    let caption = "Requests of each configuration; latencies are medians and 99th percentiles, warm-up is left out";
    let mut table = Table::new("summary", caption)
        .column("configuration")
        .numbers("requests", "1")
        .numbers("prompt tokens", "1")
        .numbers("output tokens", "1")
        .numbers("TTFT median", "s")
        .numbers("TTFT p99", "s")
        .numbers("TPOT median", "s")
        .numbers("E2EL median", "s")
        .numbers("prefill", "{token}/s")
        .numbers("decode", "{token}/s")
        .numbers("energy per output token", "J/{token}");
    for configuration in configurations {
        let group = configuration.group;
        let counted = |count: u64| Number::new(count as f64, 0.0, "1", Source::Counted);
        let empty = Default::default();
        let samples = configuration.samples.unwrap_or(&empty);
        let at = |samples, recorded: &Option<Distribution>, share| -> Cell {
            latency(configuration, samples, recorded.as_ref(), share).into()
        };
        let prefill = group
            .prefill_rate
            .as_ref()
            .map(|rate| Number::from(rate).covering(format!("{} requests", group.requests)));
        table.rows.push(vec![
            configuration.name.as_str().into(),
            counted(group.requests).into(),
            counted(group.activity.prompt_tokens).into(),
            counted(group.activity.output_tokens).into(),
            at(&samples.ttft, &group.ttft_s, 0.5),
            at(&samples.ttft, &group.ttft_s, 0.99),
            at(&samples.tpot, &group.tpot_s, 0.5),
            at(&samples.e2el, &group.e2el_s, 0.5),
            prefill.into(),
            decode_rate(configuration).into(),
            energy_per_token(configuration).into(),
        ]);
    }
    table.without_empty_columns()
}
