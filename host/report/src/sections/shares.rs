//! The share of each sequence in the energy of its batch.

use super::text;
use crate::{
    charts::{Axis, BarSeries, Chart, Drawing},
    configuration::covered,
    document::{Block, Section},
    number::Mark,
    requests::{Share, SharedBatch},
    run::LoadedRun,
    visible::visible_part,
};
use llem_quantity::ReadingRecord;

/// The most charts of a report: the shares of more batches are in the JSON form of the journal only.
const CHARTS: usize = 4;

pub(super) fn section(runs: &[LoadedRun], names: &[String]) -> Section {
    let mut section = Section::new("shares", "Share of each sequence");
    let mut batches: Vec<(&SharedBatch, &String)> = Vec::new();
    for (run, name) in runs.iter().zip(names) {
        let measured = |batch: &&SharedBatch| {
            batch.sequences.len() > 1 && !batch.phase.split('/').any(|part| part == "warmup")
        };
        batches.extend(run.requests.batches.iter().filter(measured).map(|batch| (batch, name)));
    }
    let is_known =
        |share: &Share| share.energy.as_ref().is_some_and(|energy| energy.share.reading().is_ok());
    let known: Vec<_> =
        batches.iter().filter(|(batch, _)| batch.sequences.iter().any(is_known)).collect();
    if known.is_empty() {
        section.blocks.push(text(match batches.is_empty() {
            true => "No two sequences shared the steps of a batch.".to_owned(),
            false => absent(batches[0].0),
        }));
        return section;
    }
    if known.len() > CHARTS {
        section.blocks.push(text(format!(
            "The first {CHARTS} of {} batches are drawn; a report of one run shows more of it.",
            known.len()
        )));
    }
    for (place, (batch, name)) in known.iter().take(CHARTS).enumerate() {
        section.blocks.push(chart(batch, name, place, runs.len() > 1));
    }
    section
}

fn absent(batch: &SharedBatch) -> String {
    let reason =
        batch.sequences.iter().find_map(|share| share.energy.as_ref()?.share.reading().err());
    match reason {
        Some(reason) => {
            format!("The shares of energy are not known: {}.", reason.detail.trim_end_matches('.'))
        }
        None => "The shares of energy are not in the journal.".to_owned(),
    }
}

fn chart(batch: &SharedBatch, run: &str, place: usize, is_several: bool) -> Block {
    let value = |reading: Option<&ReadingRecord>| reading?.reading().ok();
    let totals =
        batch.sequences.iter().map(|share| value(share.energy.as_ref().map(|of| &of.share)));
    let totals: Vec<_> = totals.collect();
    let x = Axis::new("Share of energy", "J", totals.iter().flatten().map(|share| share.value));
    let sum: f64 = totals.iter().flatten().map(|share| share.value).sum();
    let part = |pick: fn(&Share) -> Option<&ReadingRecord>| -> Vec<Option<f64>> {
        let each = batch.sequences.iter().map(|share| Some(value(pick(share))?.value * x.factor));
        each.collect()
    };
    let series = vec![
        BarSeries {
            name: "prefill".to_owned(),
            look: 0,
            values: part(|share| share.energy.as_ref()?.prefill.as_ref()),
        },
        BarSeries {
            name: "decode".to_owned(),
            look: 1,
            values: part(|share| share.energy.as_ref()?.decode.as_ref()),
        },
    ];
    let categories = batch.sequences.iter().map(|share| {
        format!("{}: {} + {} tokens", share.name, share.prompt_tokens, share.output_tokens)
    });
    let what = match batch.number {
        Some(number) => format!("continuous batch {number}"),
        None => format!("first request “{}”", visible_part(&batch.label, 40)),
    };
    let of = if is_several { format!(" of {run}") } else { String::new() };
    let first = batch.sequences.iter().find_map(|share| share.energy.as_ref());
    let rule = first.map_or("", |energy| &energy.shared_by);
    let covers = first.map_or_else(String::new, |energy| covered(&energy.covers));
    let sources = totals.iter().flatten().filter_map(|share| Mark::of(share.source));
    let note = super::energy::marks_note(sources);
    let left_out = match batch.left_out {
        0 => String::new(),
        count => format!(" {count} further sequences are not drawn."),
    };
    let count = batch.sequences.len();
    let caption = format!(
        "Each bar is one sequence: its prompt tokens and generated tokens, and its share of the energy of its steps ({covers}), by the rule {rule}. These {count} shares add up to {} J.{left_out}{note}",
        llem_quantity::significant(sum),
    );
    let totals = totals.iter().map(|share| {
        share.as_ref().map(|share| (share.value * x.factor, share.uncertainty * x.factor))
    });
    let drawing =
        Drawing::Bars { categories: categories.collect(), series, totals: totals.collect(), x };
    let title = format!("Sequences of the {what}{of}");
    Block::Chart(Box::new(Chart::new(format!("shares-{}", place + 1), title, caption, drawing)))
}
