//! The timeline of each run: power, temperature, clocks and utilisation of its devices, with phases and windows.

use super::text;
use crate::{
    charts::{Chart, Drawing, Panel, Span, SpanKind, TimeLine},
    document::{Block, Section},
    run::LoadedRun,
    samples::{DomainSamples, SHOWN},
    visible::visible_part,
};

/// The most samples of a line. Of a longer one, the first, lowest, highest and last sample of each of a quarter as many spans
/// are kept. A chart is about 1000 pixels wide.
const SAMPLES: usize = 2_000_000;

/// The most characters of the name of a line or a span.
const NAME: usize = 80;

/// The most spans of phases and windows that are marked.
const SPANS: usize = 400;

pub(super) fn section(runs: &[LoadedRun], names: &[String]) -> Section {
    let mut section = Section::new("timeline", "Timeline");
    let mut lacking: Vec<&str> = Vec::new();
    for (place, (run, name)) in runs.iter().zip(names).enumerate() {
        match chart(run, name, place, runs.len()) {
            Some(chart) => section.blocks.push(Block::Chart(Box::new(chart))),
            None => lacking.push(name),
        }
    }
    if !lacking.is_empty() {
        section.blocks.push(text(format!(
            "No samples: {}. A run was too short for its first file, ran with --no-timeline, or no device had a sensor.",
            lacking.join(", ")
        )));
    }
    section
}

fn chart(run: &LoadedRun, name: &str, place: usize, count: usize) -> Option<Chart> {
    let mut panels: Vec<Panel> = Vec::new();
    for (column, &(_, title, unit)) in SHOWN.iter().enumerate() {
        let lines: Vec<TimeLine> = run
            .timeline
            .domains
            .iter()
            .enumerate()
            .filter_map(|(look, (key, samples))| line(key, samples, column, look))
            .collect();
        if !lines.is_empty() {
            panels.push(panel(title, unit, lines));
        }
    }
    if panels.is_empty() {
        return None;
    }
    let spans = spans(run);
    let last = panels.iter().flat_map(|panel| &panel.lines).filter_map(|line| line.times.last());
    let end = last.copied().fold(run.record.wall_ns as f64 * 1e-9, f64::max);
    let title = if count == 1 {
        "Devices over time".to_owned()
    } else {
        format!("Devices over time: {name}")
    };
    let caption = caption(run, &panels);
    let id = format!("timeline-{}", place + 1);
    Some(Chart::new(id, title, caption, Drawing::Timeline { panels, spans, end }))
}

fn panel(title: &str, unit: &str, mut lines: Vec<TimeLine>) -> Panel {
    let is_bytes = unit == "B";
    let unit = if is_bytes { "GB" } else { unit };
    if is_bytes {
        lines.iter_mut().flat_map(|line| &mut line.values).for_each(|value| *value *= 1e-9);
    }
    Panel { name: title.to_owned(), unit: unit.to_owned(), lines }
}

fn line(
    (device, domain): &(String, String),
    samples: &DomainSamples,
    column: usize,
    look: usize,
) -> Option<TimeLine> {
    let (mut times, mut values) = samples.columns[column].clone();
    let mut source = "sensor";
    if times.is_empty() && column == 0 {
        (times, values) = samples.power_from_energy();
        source = "differences of the energy counter";
    }
    // A single sample is no line.
    if times.len() < 2 {
        return None;
    }
    let all = times.len();
    let is_reduced = all > SAMPLES;
    if is_reduced {
        (times, values) = reduced(&times, &values, SAMPLES / 4);
    }
    let name = if domain == "all" || domain.is_empty() {
        visible_part(device, NAME)
    } else {
        visible_part(&format!("{device} {domain}"), NAME)
    };
    let reduced_from = if is_reduced { all } else { 0 };
    Some(TimeLine { name, look, source: source.to_owned(), times, values, reduced_from })
}

/// Keeps the first, lowest, highest and last sample of each of `spans` equal parts, in order of time (Jugel et al., "M4",
/// VLDB 2014).
fn reduced(times: &[f64], values: &[f32], spans: usize) -> (Vec<f64>, Vec<f32>) {
    let size = values.len().div_ceil(spans);
    let mut kept = Vec::with_capacity(4 * spans);
    for (part, chunk) in values.chunks(size).enumerate() {
        let at = |better: fn(f32, f32) -> bool| {
            (1..chunk.len())
                .fold(0, |best, place| if better(chunk[place], chunk[best]) { place } else { best })
        };
        let mut places = [0, at(|new, old| new < old), at(|new, old| new > old), chunk.len() - 1];
        places.sort_unstable();
        kept.extend(places.map(|place| part * size + place));
    }
    kept.dedup();
    kept.into_iter().map(|place| (times[place], values[place])).unzip()
}

fn spans(run: &LoadedRun) -> Vec<Span> {
    let seconds = |ns: u64| ns as f64 * 1e-9;
    let span = |kind, name: &str, from: u64, wall: u64| Span {
        kind,
        name: visible_part(name, NAME),
        from: seconds(from),
        to: seconds(from + wall),
    };
    let record = &run.record;
    let phases = record.phases.iter();
    let phases =
        phases.map(|phase| span(SpanKind::Phase, &phase.phase, phase.started_ns, phase.wall_ns));
    let windows = record.windows.iter();
    let windows = windows
        .map(|window| span(SpanKind::Window, &window.label, window.started_ns, window.wall_ns));
    let throttled = run.timeline.domains.iter().flat_map(|((device, _), samples)| {
        samples.throttled.iter().map(move |(from, to, reason)| Span {
            kind: SpanKind::Throttled,
            name: visible_part(&format!("{device} held back: {reason}"), NAME),
            from: *from,
            to: *to,
        })
    });
    phases.take(SPANS).chain(windows.take(SPANS)).chain(throttled.take(SPANS)).collect()
}

fn caption(run: &LoadedRun, panels: &[Panel]) -> String {
    let mut parts =
        vec![format!("{} samples of {} domains.", run.timeline.rows, run.timeline.domains.len())];
    for panel in panels {
        let is_told = ["Power", "Temperature"].contains(&panel.name.as_str());
        for line in &panel.lines {
            let (low, high) = line
                .values
                .iter()
                .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
                    (low.min(*value), high.max(*value))
                });
            let [low, high] = [low, high].map(|value| llem_quantity::significant(f64::from(value)));
            let source = if line.source == "sensor" {
                String::new()
            } else {
                format!(", from {}", line.source)
            };
            if is_told {
                parts.push(format!(
                    "{} of {}: {low} to {high} {}{source}.",
                    panel.name, line.name, panel.unit
                ));
            }
            if line.reduced_from > 0 {
                parts.push(format!(
                    "Of its {} samples, the first, lowest, highest and last of each short span are kept.",
                    line.reduced_from
                ));
            }
        }
    }
    let (phases, windows) = (run.record.phases.len(), run.record.windows.len());
    if phases + windows > 0 {
        let more = if phases.max(windows) > SPANS {
            format!(", of which the first {SPANS} are marked")
        } else {
            String::new()
        };
        let of = |count: usize, word: &str| {
            format!("{count} {word}{}", if count == 1 { "" } else { "s" })
        };
        parts.push(format!(
            "The run has {} and {}{more}.",
            of(phases, "phase"),
            of(windows, "window")
        ));
    }
    if run.record.plan.metering.as_ref().is_some_and(|metering| metering.sys_root.is_some()) {
        parts.push("The readings are simulated: files stood in for the machine's.".to_owned());
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reduced_line_keeps_its_peaks() {
        let times: Vec<f64> = (0..10_000).map(f64::from).collect();
        let mut values: Vec<f32> = times.iter().map(|t| (t * 0.01).sin() as f32).collect();
        (values[1234], values[8765]) = (50.0, -70.0);
        let (kept_times, kept) = reduced(&times, &values, 100);
        assert!(kept.len() <= 400 && kept.contains(&50.0) && kept.contains(&-70.0));
        assert!(kept_times.is_sorted() && kept_times[0] == 0.0);
        assert_eq!(kept_times.last(), Some(&9999.0));
    }
}
