//! Charts of empirical distribution functions: one of all configurations, or a panel for each kind of request.
//!
//! ```text
//! up to 12 curves     one chart                                    12 runs × 4 labels     a panel for each label, in
//!                                                                                         which each run has its look
//! ```
//!
//! A reader compares runs at the same work, so panels divide the curves by label, phase and model. Runs that have none of these
//! in common get a panel each.

use super::latency::Latency;
use crate::{
    charts::{Axis, Chart, Drawing, Series, Style},
    configuration::{Configuration, UsedNames, unique},
    quantiles::{POINTS, ecdf, quantile},
};
use llem_quantity::significant;
use std::collections::{BTreeMap, BTreeSet};

/// The most curves of one chart of all configurations. More cannot be told apart.
const CURVES: usize = 12;

/// The most curves of any chart: the page has so many looks that differ.
const LOOKS: usize = 56;

/// The most panels of a latency.
const PANELS: usize = 24;

/// The samples of a configuration, as a curve.
struct Curve<'a> {
    name: String,
    look: usize,
    /// Sorted samples, s. There is at least one.
    samples: &'a [f64],
}

/// Returns the charts of a latency.
pub(super) fn charts(configurations: &[Configuration<'_>], latency: &Latency) -> Vec<Chart> {
    let known = configurations.iter().enumerate().filter_map(|(place, configuration)| {
        let samples = (latency.pick)(configuration.samples?);
        // An axis needs a latency above 0, and a synthetic host may have none.
        let is_drawn = samples.last().is_some_and(|longest| *longest > 0.0);
        is_drawn.then_some((place, configuration, &samples[..]))
    });
    let known: Vec<Known<'_>> = known.collect();
    let is_one_run = known.iter().all(|(_, of, _)| of.run.0 == known[0].1.run.0);
    let (id, short) = (format!("latency-{}", latency.id), latency.short);
    if known.len() <= CURVES || is_one_run {
        let curves = known.iter().map(|&(look, of, samples)| {
            let name = of.name.clone();
            Curve { name, look, samples }
        });
        let curves: Vec<Curve<'_>> = curves.collect();
        let title = format!("{} ({short})", latency.name);
        let about = format!("Share of values at or below each {short}; further left is faster.");
        return chart(id, title, about, latency.name, &curves).into_iter().collect();
    }
    let panels = panels(&known);
    let further = match panels.len().saturating_sub(PANELS) {
        0 => String::new(),
        count => format!("; {count} further panels are in the table only"),
    };
    let heading = format!(
        "{} ({short}): share of values at or below each, in panels with a scale each{further}",
        latency.name
    );
    let drawn = panels.iter().take(PANELS).enumerate().filter_map(|(place, (name, curves))| {
        let (id, title) = (format!("{id}-{}", place + 1), format!("{short}: {name}"));
        let chart = chart(id, title, String::new(), latency.name, curves)?;
        Some(Chart { panel_of: Some(heading.clone()), ..chart })
    });
    drawn.collect()
}

/// A configuration with its place in the report and its samples.
type Known<'a> = (usize, &'a Configuration<'a>, &'a [f64]);

/// Divides configurations into panels with a name each: by what they are within their run, or by run if no two runs have any of
/// these in common.
fn panels<'a>(known: &[Known<'a>]) -> Vec<(String, Vec<Curve<'a>>)> {
    let mut runs_of_parts: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (_, of, _) in known {
        runs_of_parts.entry(&of.part).or_default().insert(of.run.0);
    }
    let by_part = runs_of_parts.values().any(|runs| runs.len() > 1);
    let mut panels: Vec<(String, Vec<Curve<'_>>, UsedNames)> = Vec::new();
    let mut places = BTreeMap::new();
    for &(_, of, samples) in known {
        let (run, run_name) = &of.run;
        let (panel, name) = if by_part { (&of.part, run_name) } else { (run_name, &of.part) };
        let place = *places.entry(panel).or_insert_with(|| {
            panels.push((panel.clone(), Vec::new(), UsedNames::new()));
            panels.len() - 1
        });
        let (_, curves, used) = &mut panels[place];
        let look = if by_part { *run } else { curves.len() };
        curves.push(Curve { name: unique(name.clone(), used), look, samples });
    }
    panels.into_iter().map(|(name, curves, _)| (name, curves)).collect()
}

/// Returns the chart of curves, or `None` if there are none. `about` is the first sentence of its caption.
fn chart(
    id: String,
    title: String,
    about: String,
    latency: &str,
    curves: &[Curve<'_>],
) -> Option<Chart> {
    let drawn = &curves[..curves.len().min(LOOKS)];
    let values = || drawn.iter().flat_map(|curve| curve.samples.iter().copied());
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(0.0, f64::max);
    let x = Axis::new(latency, "s", values());
    // A range of more than a factor of 20 hides its lower part on a linear axis.
    let x = if low > 0.0 && high / low > 20.0 { x.log() } else { x };
    let series = drawn.iter().map(|curve| Series {
        name: curve.name.clone(),
        style: Style::Step,
        look: curve.look,
        points: std::iter::once((curve.samples[0] * x.factor, 0.0))
            .chain(ecdf(curve.samples).into_iter().map(|(value, share)| (value * x.factor, share)))
            .collect(),
        uncertainties: Vec::new(),
        labels: Vec::new(),
    });
    let series: Vec<Series> = series.collect();
    let mut sentences = vec![about];
    sentences.extend(medians(drawn, &x));
    if curves.len() > drawn.len() {
        sentences.push(format!(
            "{} further configurations are in the table only.",
            curves.len() - drawn.len()
        ));
    }
    if drawn.iter().any(|curve| curve.samples.len() > POINTS) {
        sentences.push(format!(
            "Of more than {POINTS} values, {POINTS} ranks at equal distances are drawn."
        ));
    }
    sentences.retain(|sentence| !sentence.is_empty());
    let y = Axis::new("Share of values", "1", []);
    let drawing = Drawing::Plot { x, y, series };
    (!drawn.is_empty()).then(|| Chart::new(id, title, sentences.join(" "), drawing))
}

/// Returns a sentence on the medians of curves.
fn medians(curves: &[Curve<'_>], x: &Axis) -> Option<String> {
    let median = |curve: &'_ Curve<'_>| Some(quantile(curve.samples, 0.5)?.value * x.factor);
    let mut medians: Vec<(f64, &str)> =
        curves.iter().filter_map(|curve| Some((median(curve)?, &curve.name[..]))).collect();
    medians.sort_by(|one, other| one.0.total_cmp(&other.0));
    let said =
        |(median, name): &(f64, &str)| format!("{} {} ({name})", significant(*median), x.unit);
    match &medians[..] {
        [] => None,
        [one] => Some(format!("The median is {}.", said(one))),
        [first, .., last] => Some(format!("Medians go from {} to {}.", said(first), said(last))),
    }
}
