//! What energy a run took, and how that is known.

use super::{group_row, label, plain_table};
use llem_quantity::{ReadingRecord, Source, significant};
use llem_record::{Distribution, RunRecord, energy::DomainRecord};

/// The energy of requests by what it went into; nothing where none is known.
pub fn print_table(record: &RunRecord) {
    let known = |reading: &ReadingRecord| reading.reading().is_ok();
    let groups = || record.groups.iter().filter(|group| known(&group.energy));
    if groups().next().is_none() {
        return;
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
    for group in groups() {
        let part = |part: &Option<ReadingRecord>| part.as_ref().map_or_else(none, energy);
        let numbers = [
            energy(&group.energy),
            part(&group.energy_cpu),
            part(&group.energy_accelerators),
            part(&group.prefill_energy_per_input_token),
            part(&group.decode_energy_per_output_token),
            group.energy_per_sequence_j.as_ref().map_or_else(none, spread),
        ];
        table.add_row(group_row(&group.phase, &label(record, &group.label, group.model), numbers));
    }
    println!("\n{}\n{}", console::style("energy").bold(), table.trim_fmt());
    println!("  ±: one standard uncertainty; sequences: median, 99th percentile of their shares");
}

fn none() -> String {
    "-".to_owned()
}

fn spread(distribution: &Distribution) -> String {
    format!("{} {}", significant(distribution.p50), significant(distribution.p99))
}

/// A number with its uncertainty, in four digits.
pub fn energy(energy: &ReadingRecord) -> String {
    match energy {
        ReadingRecord::Known(joules) => {
            format!("{} ± {}", significant(joules.value), significant(joules.uncertainty))
        }
        ReadingRecord::Unavailable { .. } => "-".to_owned(),
    }
}

/// The devices that a total covers.
pub fn covered(covers: &[DomainRecord]) -> String {
    let mut devices: Vec<&str> = covers.iter().map(|covered| covered.device.as_str()).collect();
    devices.dedup();
    if devices.is_empty() { "-".to_owned() } else { devices.join("+") }
}

/// Where a number came from.
pub fn energy_source(energy: &ReadingRecord) -> String {
    match energy {
        ReadingRecord::Known(joules) => joules.source.to_string(),
        ReadingRecord::Unavailable { .. } => "-".to_owned(),
    }
}

/// Why energies are not known, each reason once.
pub fn print_reasons<'a>(energies: impl Iterator<Item = &'a ReadingRecord>) {
    let mut reasons: Vec<&str> = energies
        .filter_map(|energy| match energy {
            ReadingRecord::Unavailable { unavailable } => Some(unavailable.as_str()),
            ReadingRecord::Known(_) => None,
        })
        .collect();
    reasons.dedup();
    for reason in reasons {
        println!("{} not measured: {reason}", console::style("energy").bold());
    }
}

/// What meters each device, what it drew at rest, and what watching it cost.
pub fn print_metering(record: &RunRecord) {
    let gauges = record.devices.iter().flat_map(|device| {
        let metered = device.gauges.iter().filter_map(|gauge| {
            let source = gauge.source?;
            Some(match source {
                Source::Modelled => format!("{} by a declared power model", device.id),
                source => format!("{} {} by {source}", device.id, gauge.domain),
            })
        });
        metered.collect::<Vec<_>>()
    });
    let gauges: Vec<String> = gauges.collect();
    if !gauges.is_empty() {
        println!("{} {}", console::style("metered").bold(), gauges.join(", "));
    }
    for baseline in &record.baselines {
        let power = baseline.power.iter().filter_map(|idle| match &idle.power {
            ReadingRecord::Known(power) => Some(format!("{} {} {power}", idle.device, idle.domain)),
            ReadingRecord::Unavailable { .. } => None,
        });
        let power = power.collect::<Vec<_>>().join(", ");
        println!("{} {power}, measured {}", console::style("at rest").bold(), baseline.measured_at);
    }
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
        println!("{} {text}", console::style("timeline").bold());
    }
}
