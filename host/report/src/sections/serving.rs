//! TTFT against the rate of arrivals, for requests that arrived on their own in continuous batches.

use super::text;
use crate::{
    charts::{Axis, Chart, Drawing, Series, Style},
    configuration::Configuration,
    document::{Block, Section, Table},
    number::Number,
    quantiles::quantile,
};
use llem_quantity::Source;

/// The rate of a group's arrivals, and the TTFT at that rate.
struct ServingPoint<'a> {
    configuration: &'a Configuration<'a>,
    rate: Number,
    ttft: [Number; 2],
}

/// The least arrivals from which a rate is computed.
const ARRIVALS: usize = 5;

pub(super) fn section(configurations: &[Configuration<'_>]) -> Section {
    let mut section = Section::new("serving", "TTFT against rate");
    let mut points: Vec<ServingPoint<'_>> = configurations.iter().filter_map(point).collect();
    if points.is_empty() {
        section.blocks.push(text(
            "No rate is known: requests that arrive on their own in a continuous batch have one, and these runs have none with at least five arrivals at different times.",
        ));
        return section;
    }
    let value = |number: &Number| number.known().map_or(0.0, |(value, _)| value);
    points.sort_by(|one, other| value(&one.rate).total_cmp(&value(&other.rate)));
    let x = Axis::new("Arrivals", "{request}/s", points.iter().map(|point| value(&point.rate)));
    let both = points.iter().flat_map(|point| &point.ttft).map(value);
    let y = Axis::new("TTFT", "s", both);
    let line = |name: &str, look: usize, which: usize| Series {
        name: name.to_owned(),
        style: Style::Line,
        look,
        points: points
            .iter()
            .map(|point| (value(&point.rate), value(&point.ttft[which]) * y.factor))
            .collect(),
        uncertainties: points
            .iter()
            .map(|point| {
                let [x, y_of] = [&point.rate, &point.ttft[which]]
                    .map(|number| number.known().map_or(0.0, |(_, uncertainty)| uncertainty));
                (x, y_of * y.factor)
            })
            .collect(),
        labels: points.iter().map(|point| point.configuration.name.clone()).collect(),
    };
    let series = vec![line("median", 0, 0), line("99th percentile", 1, 1)];
    let caption = match &points[..] {
        [only] => format!(
            "One rate of arrivals: {} requests per second. Several runs at different rates make a curve.",
            only.rate.text(&only.rate.shown_unit())
        ),
        _ => "Each point is one configuration. TTFT counts from the arrival, so waiting for a place in the batch is part of it. Bars are one standard uncertainty.".to_owned(),
    };
    let mut table = Table::new("serving", "TTFT at each rate of arrivals")
        .column("configuration")
        .numbers("arrivals", "{request}/s")
        .numbers("TTFT median", "s")
        .numbers("TTFT p99", "s");
    for point in &points {
        let [median, high] = point.ttft.clone();
        table.rows.push(vec![
            point.configuration.name.as_str().into(),
            point.rate.clone().into(),
            median.into(),
            high.into(),
        ]);
    }
    let drawing = Drawing::Plot { x, y, series };
    let title = "TTFT against the rate of arrivals";
    section.blocks.push(Block::Chart(Box::new(Chart::new("serving", title, caption, drawing))));
    section.blocks.push(Block::Table(table));
    section
}

fn point<'a>(configuration: &'a Configuration<'a>) -> Option<ServingPoint<'a>> {
    let samples = configuration.samples?;
    let (first, last) = (*samples.arrivals.first()?, *samples.arrivals.last()?);
    let span = (last - first) as f64 * 1e-9;
    let mut moments = samples.arrivals.clone();
    moments.dedup();
    // Requests that came all at once have no rate.
    if moments.len() < ARRIVALS || span <= 0.0 {
        return None;
    }
    let gaps = (samples.arrivals.len() - 1) as f64;
    // The count of a Poisson process has the standard deviation sqrt(n).
    let rate = Number::new(gaps / span, gaps.sqrt() / span, "{request}/s", Source::Derived);
    let rate = rate.covering(format!("{} arrivals", samples.arrivals.len()));
    let coverage = format!("{} requests", samples.ttft.len());
    let at = |share| {
        let found = quantile(&samples.ttft, share)?;
        let number = Number::new(found.value, found.uncertainty, "s", Source::Clock);
        Some(number.covering(coverage.clone()))
    };
    Some(ServingPoint { configuration, rate, ttft: [at(0.5)?, at(0.99)?] })
}
