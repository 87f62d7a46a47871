//! The Pareto front over configurations: none of its points can be improved in one number without loss in the other.

use super::{
    summary::{decode_rate, energy_per_token, latency},
    text,
};
use crate::{
    charts::{Axis, Chart, Drawing, Series, Style},
    configuration::Configuration,
    document::{Block, Section},
    number::Number,
};

/// A configuration in the plane of cost, of which less is better, and rate, of which more is better.
struct CostPoint {
    name: String,
    rate: Number,
    cost: Number,
}

impl CostPoint {
    fn at(&self) -> [(f64, f64); 2] {
        [&self.rate, &self.cost].map(|number| number.known().unwrap_or_default())
    }
}

pub(super) fn section(configurations: &[Configuration<'_>]) -> Section {
    let mut section = Section::new("pareto", "Pareto front");
    let energy =
        |of: &Configuration<'_>| Some(energy_per_token(of)).filter(|cost| cost.known().is_some());
    let ttft = |of: &Configuration<'_>| {
        let samples = of.samples.map_or(&[][..], |samples| &samples.ttft);
        latency(of, samples, of.group.ttft_s.as_ref(), 0.5)
    };
    let by_energy = points(configurations, energy);
    let by_ttft = points(configurations, ttft);
    if by_energy.len().max(by_ttft.len()) < 2 {
        section.blocks.push(text("A front needs two configurations with a decode rate: give several runs, or a run with several labels."));
        return section;
    }
    if by_energy.len() > 1 {
        section.blocks.push(chart(
            "pareto-energy",
            by_energy,
            "Energy per output token",
            "J/{token}",
        ));
    }
    if by_ttft.len() > 1 {
        section.blocks.push(chart("pareto-ttft", by_ttft, "TTFT, median", "s"));
    }
    section
}

fn points(
    configurations: &[Configuration<'_>],
    cost: impl Fn(&Configuration<'_>) -> Option<Number>,
) -> Vec<CostPoint> {
    let point = |configuration: &Configuration<'_>| {
        let rate = decode_rate(configuration)?;
        Some(CostPoint { name: configuration.name.clone(), rate, cost: cost(configuration)? })
    };
    configurations.iter().filter_map(point).collect()
}

/// Returns whether each point (rate, cost) is on the front: no other has at least its rate at most at its cost, and is better in
/// one of them.
fn front(points: &[(f64, f64)]) -> Vec<bool> {
    let beats =
        |one: &(f64, f64), other: &(f64, f64)| one.0 >= other.0 && one.1 <= other.1 && one != other;
    points.iter().map(|point| !points.iter().any(|other| beats(other, point))).collect()
}

fn chart(id: &str, mut points: Vec<CostPoint>, name: &str, unit: &str) -> Block {
    points.sort_by(|one, other| one.at()[0].0.total_cmp(&other.at()[0].0));
    let x = Axis::new("Decode rate", "{token}/s", []);
    let costs = points.iter().map(|point| point.at()[1].0);
    let (low, high) = costs
        .clone()
        .fold((f64::INFINITY, 0.0f64), |(low, high), cost| (low.min(cost), high.max(cost)));
    let y = Axis::new(name, unit, costs);
    let y = if low > 0.0 && high / low > 20.0 { y.log() } else { y };
    let places: Vec<(f64, f64)> =
        points.iter().map(|point| (point.at()[0].0, point.at()[1].0)).collect();
    let is_best = front(&places);
    let series = |name: &str, style: Style, look: usize, kept: bool| {
        let of: Vec<&CostPoint> = points
            .iter()
            .zip(&is_best)
            .filter(|(_, best)| **best == kept)
            .map(|(point, _)| point)
            .collect();
        let at = |point: &&CostPoint| {
            let [(rate, _), (cost, _)] = point.at();
            (rate, cost * y.factor)
        };
        let reach = |point: &&CostPoint| {
            let [(_, rate), (_, cost)] = point.at();
            (rate, cost * y.factor)
        };
        Series {
            name: name.to_owned(),
            style,
            look,
            points: of.iter().map(at).collect(),
            uncertainties: of.iter().map(reach).collect(),
            labels: of.iter().map(|point| point.name.clone()).collect(),
        }
    };
    let best = series("on the front", Style::Line, 0, true);
    let rest = series("not on the front", Style::Points, 1, false);
    let caption = format!(
        "Lower and further right is better. {} of {} configurations are on the front: {}. Bars are one standard uncertainty, and points closer than that are not told apart.{}",
        best.points.len(),
        points.len(),
        best.labels.join(", "),
        super::energy::marks_note(points.iter().filter_map(|point| point.cost.mark)),
    );
    let series = [best, rest].into_iter().filter(|series| !series.points.is_empty()).collect();
    let title = format!("{name} against decode rate");
    let drawing = Drawing::Plot { x, y, series };
    Block::Chart(Box::new(Chart::new(id, title, caption, drawing)))
}

#[cfg(test)]
mod tests {
    use super::front;

    #[test]
    fn a_point_that_another_beats_is_not_on_the_front() {
        let points = [(1.0, 1.0), (2.0, 2.0), (1.5, 3.0), (3.0, 2.0), (1.0, 1.0)];
        assert_eq!(front(&points), [true, false, false, true, true]);
    }
}
