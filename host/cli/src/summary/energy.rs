//! Prints the energy of a run, and how it was measured.

use super::{
    LINES, ROWS, bold, group_row::group_row, lines, plain_table, print_left_out, split_shown,
};
use crate::untrusted::line;
use llem_quantity::{ReadingRecord, Source, significant};
use llem_record::{Distribution, DomainRecord, RequestGroup, RunRecord};
use std::{
    collections::HashSet,
    io::{self, Write},
};

/// Prints the energy of requests by what it was used for. Prints nothing if no energy is known.
pub(super) fn print_table(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let is_known = |group: &&RequestGroup| group.energy.reading().is_ok();
    let groups: Vec<&RequestGroup> = record.groups.iter().filter(is_known).collect();
    if groups.is_empty() {
        return Ok(());
    }
    let mut table = plain_table([
        "phase",
        "requests",
        "J",
        "CPU J",
        "accelerators J",
        "prefill J/token",
        "decode J/token",
        "J/sequence",
    ]);
    let (groups, more) = split_shown(&groups, ROWS);
    for group in groups {
        let part = |part: &Option<ReadingRecord>| part.as_ref().map_or_else(absent, energy);
        let numbers = [
            energy(&group.energy),
            part(&group.energy_cpu),
            part(&group.energy_accelerators),
            part(&group.prefill_energy_per_input_token),
            part(&group.decode_energy_per_output_token),
            group.energy_per_sequence_j.as_ref().map_or_else(absent, spread),
        ];
        table.add_row(group_row(record, &group.phase, &group.label, group.model, numbers));
    }
    writeln!(out, "\n{}\n{}", bold("energy"), table.trim_fmt())?;
    print_left_out(out, more.len(), "rows of energy")?;
    writeln!(
        out,
        "  ±: one standard uncertainty; sequences: median, 99th percentile of their shares"
    )
}

fn absent() -> String {
    "-".to_owned()
}

fn spread(distribution: &Distribution) -> String {
    format!("{} {}", significant(distribution.p50), significant(distribution.p99))
}

/// An energy with its uncertainty, each in four digits.
pub(super) fn energy(energy: &ReadingRecord) -> String {
    match energy {
        ReadingRecord::Known(joules) => {
            format!("{} ± {}", significant(joules.value), significant(joules.uncertainty))
        }
        ReadingRecord::Unavailable { .. } => "-".to_owned(),
    }
}

/// The devices that a total covers.
pub(super) fn covered(covers: &[DomainRecord]) -> String {
    let mut devices: Vec<&str> = covers.iter().map(|covered| covered.device.as_str()).collect();
    devices.dedup();
    if devices.is_empty() { "-".to_owned() } else { devices.join("+") }
}

/// The source of an energy.
pub(super) fn energy_source(energy: &ReadingRecord) -> String {
    match energy {
        ReadingRecord::Known(joules) => joules.source.to_string(),
        ReadingRecord::Unavailable { .. } => "-".to_owned(),
    }
}

/// Prints why energies are not known, each reason once.
pub(super) fn print_reasons(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let generated = record.groups.iter().map(|group| &group.energy);
    let scored = record.score_groups.iter().map(|group| &group.energy);
    let mut printed = HashSet::new();
    let reasons = generated.chain(scored).filter_map(|energy| match energy {
        ReadingRecord::Unavailable { unavailable, .. } => {
            printed.insert(unavailable).then(|| format!("not measured: {unavailable}"))
        }
        ReadingRecord::Known(_) => None,
    });
    lines(out, bold("energy"), "reasons", reasons)
}

/// Prints what meters each device, its idle power, and the cost of sampling.
pub(super) fn print_metering(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let gauges = record.devices.iter().flat_map(|device| {
        device.gauges.iter().filter_map(|gauge| {
            Some(match gauge.source? {
                Source::Modelled => format!("{} by a declared power model", device.id),
                source => format!("{} {} by {source}", device.id, gauge.domain),
            })
        })
    });
    let gauges: Vec<String> = gauges.take(ROWS).collect();
    if !gauges.is_empty() {
        writeln!(out, "{} {}", bold("metered"), line(&gauges.join(", ")))?;
    }
    let baselines = record.baselines.iter().map(|baseline| {
        let power = baseline.power.iter().filter_map(|idle| match &idle.power {
            ReadingRecord::Known(power) => Some(format!("{} {} {power}", idle.device, idle.domain)),
            ReadingRecord::Unavailable { .. } => None,
        });
        let power = power.take(LINES).collect::<Vec<_>>().join(", ");
        format!("{power}, measured {}", baseline.measured_at)
    });
    lines(out, bold("at rest"), "baselines", baselines)?;
    if let Some(timeline) = record.timeline.as_ref().filter(|timeline| timeline.samples > 0) {
        let mut text = format!("{} samples in timeline/", timeline.samples);
        if let (Some(period), Some(sampling), Some(writing)) =
            (&timeline.period, &timeline.sampling, &timeline.writing)
        {
            text += &format!(
                ", a round every {} ms, for {} % of a core and {} % to write them",
                significant(period.value * 1e3),
                significant(sampling.value * 100.0),
                significant(writing.value * 100.0),
            );
        }
        writeln!(out, "{} {text}", bold("timeline"))?;
    }
    Ok(())
}
