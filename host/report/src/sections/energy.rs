//! Energy per generated token by configuration and phase, and the energies behind it.

use super::{summary::energy_per_token, text};
use crate::{
    charts::{Axis, BarSeries, Chart, Drawing},
    configuration::{Configuration, covered},
    document::{Block, Cell, Section, Table},
    number::{Mark, Number},
};
use llem_quantity::{Cause, Quantity, Reading, ReadingRecord, Source, Unavailable};

/// The most bars of a chart.
const BARS: usize = 40;

pub(super) fn section(configurations: &[Configuration<'_>]) -> Section {
    let mut section = Section::new("energy", "Energy per token");
    let is_known =
        |configuration: &&Configuration<'_>| configuration.group.energy.reading().is_ok();
    let known: Vec<&Configuration<'_>> = configurations.iter().filter(is_known).collect();
    if known.is_empty() {
        section.blocks.push(text(reason(configurations)));
        return section;
    }
    section.blocks.push(chart(&known));
    section.blocks.push(Block::Table(table(configurations)));
    section
}

/// Returns why no energy is known, in one sentence.
pub(super) fn reason(configurations: &[Configuration<'_>]) -> String {
    let reason =
        configurations.iter().find_map(|configuration| configuration.group.energy.reading().err());
    match reason {
        Some(reason) => format!("No energy is known: {}.", reason.detail.trim_end_matches('.')),
        None => "No energy is known: there were no requests.".to_owned(),
    }
}

/// Divides the energy of a phase by all generated tokens, so that the phases add up to the energy per token.
fn part(part: Option<&ReadingRecord>, tokens: u64) -> Option<Reading> {
    let energy = part?.reading();
    let tokens = Quantity::exact(tokens as f64, "{token}", Source::Counted);
    Some(energy.and_then(|energy| {
        let each = energy.per(&tokens, "J/{token}");
        each.ok_or_else(|| Unavailable::new(Cause::NoWork, "no token was generated"))
    }))
}

fn chart(known: &[&Configuration<'_>]) -> Block {
    let shown = &known[..known.len().min(BARS)];
    let totals: Vec<Option<(f64, f64)>> =
        shown.iter().map(|configuration| energy_per_token(configuration).known()).collect();
    let x = Axis::new(
        "Energy per output token",
        "J/{token}",
        totals.iter().flatten().map(|(value, _)| *value),
    );
    let value = |reading: Option<Reading>| Some(reading?.ok()?.value * x.factor);
    let of_phase =
        |pick: for<'a> fn(&'a Configuration<'_>) -> Option<&'a ReadingRecord>| -> Vec<Option<f64>> {
            let each =
                shown.iter().map(|of| value(part(pick(of), of.group.activity.output_tokens)));
            each.collect()
        };
    let phases = [
        ("prefill", of_phase(|of| of.group.energy_prefill.as_ref())),
        ("decode", of_phase(|of| of.group.energy_decode.as_ref())),
    ];
    let rest = (0..shown.len()).map(|place| {
        let (total, _) = totals[place]?;
        let phases: f64 = phases.iter().filter_map(|(_, values)| values[place]).sum();
        let rest = total * x.factor - phases;
        // A difference below a thousandth is rounding.
        (rest > 1e-3 * total * x.factor).then_some(rest)
    });
    let rest: Vec<Option<f64>> = rest.collect();
    let mut series: Vec<BarSeries> = Vec::new();
    for (name, values) in phases.into_iter().chain([("not told apart", rest)]) {
        if values.iter().any(Option::is_some) {
            series.push(BarSeries { name: name.to_owned(), look: series.len(), values });
        }
    }
    let lowest =
        shown.iter().zip(&totals).filter_map(|(of, total)| Some((total.as_ref()?.0, &of.name)));
    let lowest = lowest.min_by(|one, other| one.0.total_cmp(&other.0));
    let mut caption = "Energy of prefill and of decode, each divided by the generated tokens, so that the parts add up. Whiskers are one standard uncertainty of the sum.".to_owned();
    if let (Some((value, name)), true) = (lowest, shown.len() > 1) {
        let value = llem_quantity::significant(value * x.factor);
        caption += &format!(" The lowest is {value} {} ({name}).", x.unit);
    }
    let marks = shown.iter().filter_map(|of| energy_per_token(of).mark);
    caption += marks_note(marks);
    if known.len() > BARS {
        caption += &format!(" The first {BARS} of {} configurations are drawn.", known.len());
    }
    let categories = shown.iter().map(|configuration| configuration.name.clone()).collect();
    let totals =
        totals.iter().map(|total| total.map(|(value, of)| (value * x.factor, of * x.factor)));
    let drawing = Drawing::Bars { categories, series, totals: totals.collect(), x };
    let title = "Energy per output token by configuration and phase";
    Block::Chart(Box::new(Chart::new("energy", title, caption, drawing)))
}

/// A sentence for the caption of a chart that draws numbers which are no plain measurements.
pub(super) fn marks_note(marks: impl Iterator<Item = Mark>) -> &'static str {
    let marks: Vec<Mark> = marks.collect();
    if marks.contains(&Mark::Simulated) {
        " Some energies are simulated: they were read from doubles of hardware."
    } else if marks.contains(&Mark::Modelled) {
        " Some energies are modelled by a declared power model, not measured."
    } else if marks.contains(&Mark::Script) {
        " Some numbers are a script's, which the host cannot check."
    } else {
        ""
    }
}

fn table(configurations: &[Configuration<'_>]) -> Table {
    let first = covered(&configurations[0].group.energy_covers);
    let is_same = configurations.iter().all(|of| covered(&of.group.energy_covers) == first);
    let mut caption = "Energy of the requests of each configuration".to_owned();
    if is_same && !first.is_empty() {
        caption += &format!("; it covers {first}");
    }
    let mut table = Table::new("energy", caption)
        .column("configuration")
        .numbers("energy", "J")
        .numbers("CPU", "J")
        .numbers("accelerators", "J")
        .numbers("per output token", "J/{token}")
        .numbers("prefill per prompt token", "J/{token}")
        .numbers("decode per decoded token", "J/{token}")
        .column("covers");
    for configuration in configurations {
        let group = configuration.group;
        let covers = covered(&group.energy_covers);
        let number = |reading: Option<&ReadingRecord>, unit: &str| -> Cell {
            reading
                .map(|reading| Number::from_reading(reading, unit).covering(covers.clone()))
                .into()
        };
        let covers = if is_same || covers.is_empty() { Cell::Empty } else { covers.clone().into() };
        table.rows.push(vec![
            configuration.name.as_str().into(),
            number(Some(&group.energy), "J"),
            number(group.energy_cpu.as_ref(), "J"),
            number(group.energy_accelerators.as_ref(), "J"),
            energy_per_token(configuration).into(),
            number(group.prefill_energy_per_input_token.as_ref(), "J/{token}"),
            number(group.decode_energy_per_output_token.as_ref(), "J/{token}"),
            covers,
        ]);
    }
    table.without_empty_columns()
}
