//! The roofline: rates of operations against arithmetic intensity, for prefill and decode of each configuration, with MFU
//! and MBU where the device's peaks are given.
//!
//! ```text
//! FLOP/s │      ________ peak of the products        Williams, Waterman, Patterson, CACM 52 (2009)
//!        │     /
//!        │    / slope: peak bandwidth
//!        └─────────────── FLOP/B
//! ```
//!
//! Operations are counted from the model's shape. Bytes are those of the weights that each pass reads and, in decode, those of
//! the keys and values of all tokens before it, as the SDK's MBU counts them. A record without the bytes of a token's keys and
//! values gives the bytes of the weights only, which makes the intensity an upper bound and the MBU a lower one.

use super::text;
use crate::{
    charts::{Axis, Chart, Drawing, Series, Style},
    configuration::Configuration,
    document::{Block, Section, Table},
    number::Number,
    peaks::{DevicePeaks, find_peaks},
};
use llem_quantity::{Quantity, Source};

/// A phase of a configuration.
struct RooflinePoint<'a> {
    configuration: &'a Configuration<'a>,
    phase: &'static str,
    /// Operations per second, FLOP/s.
    rate: Quantity,
    /// Bytes of weights and of the KV cache read per second, By/s.
    bandwidth: Quantity,
    /// The part of `bandwidth` that is the KV cache's, By/s. `None` in prefill, and if the record does not tell.
    cache_bandwidth: Option<Quantity>,
    peaks: Option<&'a DevicePeaks>,
}

impl RooflinePoint<'_> {
    /// The arithmetic intensity, FLOP/By.
    fn intensity(&self) -> f64 {
        self.rate.value / self.bandwidth.value
    }

    fn peak_rate(&self) -> Option<&Quantity> {
        self.peaks?.rate(&self.configuration.model()?.dtype)
    }
}

pub(super) fn section(configurations: &[Configuration<'_>], peaks: &[DevicePeaks]) -> Section {
    let mut section = Section::new("roofline", "Roofline, MFU and MBU");
    let points: Vec<RooflinePoint<'_>> =
        configurations.iter().flat_map(|configuration| points(configuration, peaks)).collect();
    if points.is_empty() {
        section.blocks.push(text(
            "No intensity is known: it needs static requests and the bytes that a pass reads of the weights, and these records have no such requests.",
        ));
        return section;
    }
    if points.iter().any(|point| point.peaks.is_none()) {
        section.blocks.push(text(
            "The records hold no peaks of the devices, so rates are shown without a roof. Measure them with llem doctor --peaks on the same machine, and give the file with --peaks.",
        ));
    }
    section.blocks.push(chart(&points));
    section.blocks.push(Block::Table(table(&points)));
    section
}

fn points<'a>(
    configuration: &'a Configuration<'a>,
    peaks: &'a [DevicePeaks],
) -> Vec<RooflinePoint<'a>> {
    let found = || -> Option<Vec<RooflinePoint<'a>>> {
        let (samples, model) = (configuration.samples?, configuration.model()?);
        let bytes = model.decode_weight_bytes? as f64;
        let peaks = find_peaks(peaks, &configuration.loaded.record, model);
        let activity = &configuration.group.activity;
        let flops = activity.flops_estimated;
        let cache_bytes = model
            .kv_bytes_per_token
            .map(|bytes| bytes as f64 * samples.decode_cached_tokens as f64);
        let phases = [
            ("prefill", flops.prefill, activity.prefill_ns, samples.static_requests, None),
            ("decode", flops.decode, activity.decode_ns, samples.decode_passes, cache_bytes),
        ];
        // Sequences of continuous batches are in the group, but their passes are not.
        if samples.static_requests != configuration.group.requests {
            return None;
        }
        let point = |(phase, flops, ns, passes, cache): (_, f64, u64, u64, Option<f64>)| {
            let per_second = |count: f64, unit: &str| {
                Quantity::exact(count / (ns as f64 * 1e-9), unit, Source::Analytic)
            };
            let read = bytes * passes as f64 + cache.unwrap_or(0.0);
            (flops > 0.0 && ns > 0 && passes > 0).then(|| RooflinePoint {
                configuration,
                phase,
                rate: per_second(flops, "FLOP/s"),
                bandwidth: per_second(read, "By/s"),
                cache_bandwidth: cache.map(|cache| per_second(cache, "By/s")),
                peaks,
            })
        };
        Some(phases.into_iter().filter_map(point).collect())
    };
    found().unwrap_or_default()
}

fn chart(points: &[RooflinePoint<'_>]) -> Block {
    let x = Axis::new("Arithmetic intensity", "FLOP/By", []).log();
    let y = Axis::new("Rate", "FLOP/s", points.iter().map(|point| point.rate.value)).log();
    let mut series = Vec::new();
    for (place, phase) in ["prefill", "decode"].into_iter().enumerate() {
        let of: Vec<&RooflinePoint<'_>> =
            points.iter().filter(|point| point.phase == phase).collect();
        series.push(Series {
            name: phase.to_owned(),
            style: Style::Points,
            look: place,
            points: of
                .iter()
                .map(|point| (point.intensity(), point.rate.value * y.factor))
                .collect(),
            uncertainties: Vec::new(),
            labels: of
                .iter()
                .map(|point| format!("{} {phase}", point.configuration.name))
                .collect(),
        });
    }
    series.extend(roofs(points, y.factor));
    let fastest = points.iter().max_by(|one, other| one.rate.value.total_cmp(&other.rate.value));
    let fastest = fastest.map_or_else(String::new, |point| {
        let number = Number::from(&point.rate);
        let unit = number.shown_unit();
        format!(
            " The highest rate is {} {} ({} {}).",
            number.text(&unit),
            unit.name,
            point.configuration.name,
            point.phase
        )
    });
    let caption = format!(
        "Operations per second against operations per byte read; both are counted from the model's shape. {}{fastest}",
        counted_bytes(points)
    );
    let drawing = Drawing::Plot { x, y, series };
    Block::Chart(Box::new(Chart::new("roofline", "Roofline", caption, drawing)))
}

/// Returns what the bytes of the points are, and which are left out.
fn counted_bytes(points: &[RooflinePoint<'_>]) -> String {
    let decode = points.iter().filter(|point| point.phase == "decode");
    let lacking = decode.clone().filter(|point| point.cache_bandwidth.is_none()).count();
    let lack = "the record lacks the bytes of a token's keys and values, so the KV cache is not counted and decode lies too far right, the more so the longer the sequences";
    let counted = "A pass reads the weights (of a mixture of experts, all of them), and a decode pass also the keys and values of all tokens before it (of layers with a sliding window, too).";
    match (lacking, decode.count()) {
        (0, _) => counted.to_owned(),
        (lacking, all) if lacking == all => {
            format!("A pass reads the weights (of a mixture of experts, all of them); {lack}.")
        }
        (lacking, all) => format!("{counted} For {lacking} of {all} decode points, {lack}."),
    }
}

/// Returns a roof for each pair of peaks: the bandwidth's slope up to the ridge, and the rate of products from there.
fn roofs(points: &[RooflinePoint<'_>], factor: f64) -> Vec<Series> {
    let mut roofs: Vec<Series> = Vec::new();
    let intensities = || points.iter().map(RooflinePoint::intensity);
    let low = intensities().fold(f64::INFINITY, f64::min) / 2.0;
    let high = intensities().fold(0.0, f64::max) * 2.0;
    for point in points {
        let Some((peaks, rate)) = point.peaks.zip(point.peak_rate()) else { continue };
        let dtype = point.configuration.model().map_or("", |model| &model.dtype);
        let name = format!("peak of {} in {dtype}", peaks.device);
        if roofs.iter().any(|roof| roof.name == name) {
            continue;
        }
        let ridge = rate.value / peaks.bandwidth.value;
        let at = |x: f64| (x, (x * peaks.bandwidth.value).min(rate.value) * factor);
        let mut places = vec![low.min(ridge / 2.0), ridge, high.max(ridge * 2.0)];
        places.sort_by(f64::total_cmp);
        roofs.push(Series {
            name,
            style: Style::Line,
            look: 2 + roofs.len(),
            points: places.into_iter().map(at).collect(),
            uncertainties: Vec::new(),
            labels: Vec::new(),
        });
    }
    roofs
}

fn table(points: &[RooflinePoint<'_>]) -> Table {
    let caption =
        "Rates by phase. MFU and MBU are shares of the peaks of one device, all ranks together";
    let mut table = Table::new("roofline", caption)
        .column("configuration")
        .column("phase")
        .numbers("rate", "FLOP/s")
        .numbers("bytes read", "By/s")
        .numbers("KV cache read", "By/s")
        .numbers("intensity", "FLOP/By")
        .numbers("MFU", "%")
        .numbers("MBU", "%");
    for point in points {
        let coverage =
            format!("{} of {} requests", point.phase, point.configuration.group.requests);
        let number = |quantity: &Quantity| Number::from(quantity).covering(coverage.clone());
        let ranks = point.configuration.model().map_or(1, |model| model.ranks.len().max(1)) as f64;
        let share = |reached: &Quantity, peak: Option<&Quantity>| {
            let peak = peak?;
            let percent = Quantity::exact(100.0 / ranks, "1", Source::Counted);
            // The share keeps the mark of what was counted from the model's shape.
            let share = reached.per(peak, "1")?.times(&percent, "%");
            Some(number(&Quantity { source: Source::Analytic, ..share }))
        };
        let (rate, bandwidth) = (point.peak_rate(), point.peaks.map(|peaks| &peaks.bandwidth));
        let intensity = Quantity::exact(point.intensity(), "FLOP/By", Source::Analytic);
        table.rows.push(vec![
            point.configuration.name.as_str().into(),
            point.phase.into(),
            number(&point.rate).into(),
            number(&point.bandwidth).into(),
            point.cache_bandwidth.as_ref().map(number).into(),
            number(&intensity).into(),
            share(&point.rate, rate).into(),
            share(&point.bandwidth, bandwidth).into(),
        ]);
    }
    table.without_empty_columns()
}
