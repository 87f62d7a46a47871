//! Drawings of a run's timeline: panels of power, temperature and clocks over one time axis, below lanes of phases and
//! windows.

use super::{
    Drawn, font,
    frame::{END, NORMAL, Ruler, SMALL, X_AXIS},
    legend::{self, Entry, Sample},
    look::{SOFT, look},
    reduce::reduced,
    scale::Scale,
    scene::{Anchor, Area, Fill, Paint, Shape, Stroke, Text},
};
use crate::charts::{Panel, Span, SpanKind, TimeLine};

/// Height of a panel within a width.
fn panel_height(width: f64) -> f64 {
    (width * 0.2).clamp(48.0, 64.0)
}

/// Room above a panel for its name, and between two panels.
const HEAD: f64 = 12.0;
const BETWEEN: f64 = 7.0;
const LANE: f64 = 11.0;
const LINE: f64 = 0.8;

/// Draws the timeline within a width.
pub(super) fn draw(panels: &[Panel], spans: &[Span], end: f64, width: f64) -> Option<Drawn> {
    let mut shapes = Vec::new();
    let time = Scale::around([0.0, end].into_iter(), false)?;
    let mut lines: Vec<&TimeLine> = Vec::new();
    for line in panels.iter().flat_map(|panel| &panel.lines) {
        if !lines.iter().any(|other| other.name == line.name) {
            lines.push(line);
        }
    }
    let sample = Sample::Line { has_marker: false };
    let entries =
        lines.iter().map(|line| Entry { name: &line.name, look: look(line.look), sample });
    let entries: Vec<Entry<'_>> = entries.collect();
    let mut top = legend::draw(&mut shapes, &entries, width) + 1.0;
    let rulers = panels.iter().map(|panel| {
        let values = panel.lines.iter().flat_map(|line| &line.values);
        let values = values.map(|value| f64::from(*value));
        Some(Ruler::new(&panel.name, &panel.unit, Scale::around(values, false)?.padded(0.06), 3))
    });
    let rulers: Vec<Ruler> = rulers.collect::<Option<_>>()?;
    let lanes = lanes(spans);
    let names = lanes.iter().map(|lane| font::width(lane.name(), SMALL) + 4.0);
    let widths = rulers.iter().map(Ruler::numbers_width).chain(names);
    let (left, right) = (widths.fold(0.0, f64::max) + 1.0, width - END);
    let at = |seconds: f64| left + time.share(seconds).clamp(0.0, 1.0) * (right - left);
    for lane in &lanes {
        let area = Area { left, top, right, bottom: top + LANE };
        push_lane(&mut shapes, lane, area, &at);
        top += LANE;
    }
    let ruler = Ruler::new("Time since the run began", "s", time, ((right - left) / 42.0) as usize);
    let height = panel_height(width);
    for (place, (panel, own)) in panels.iter().zip(&rulers).enumerate() {
        let name = Text::of_runs(own.name(), NORMAL, (left, top + HEAD - 3.5), Anchor::Start);
        shapes.push(name.into());
        let area = Area { left, top: top + HEAD, right, bottom: top + HEAD + height };
        push_phases(&mut shapes, spans, area, &at);
        ruler.draw_below(&mut shapes, area, place + 1 == panels.len());
        own.draw_beside(&mut shapes, area);
        for line in &panel.lines {
            let points = line.times.iter().zip(&line.values);
            let points = points.filter(|(_, value)| value.is_finite()).map(|(seconds, value)| {
                (at(*seconds), area.bottom - own.scale.share(f64::from(*value)) * area.height())
            });
            shapes.push(Shape::line(reduced(points), look(line.look).stroke(LINE)));
        }
        top = area.bottom + BETWEEN;
    }
    Some(Drawn { shapes, height: top - BETWEEN + X_AXIS })
}

/// Spans that stand side by side: phases of one depth, windows, or times in which a device was held back.
struct Lane<'a> {
    kind: SpanKind,
    depth: usize,
    spans: Vec<&'a Span>,
}

impl Lane<'_> {
    fn name(&self) -> &'static str {
        match self.kind {
            SpanKind::Phase => "phases",
            SpanKind::Window => "windows",
            SpanKind::Throttled => "held back",
        }
    }

    fn color(&self) -> [u8; 3] {
        look(match self.kind {
            SpanKind::Phase => 0,
            SpanKind::Throttled => 1,
            SpanKind::Window => 2,
        })
        .color
    }
}

/// Lays spans in lanes: phases by how deep they are nested, then windows, then times in which a device was held back.
fn lanes(spans: &[Span]) -> Vec<Lane<'_>> {
    let mut lanes: Vec<Lane<'_>> = Vec::new();
    for span in spans {
        let kind = span.kind;
        let depth = if kind == SpanKind::Phase { span.name.matches('/').count() } else { 0 };
        match lanes.iter_mut().find(|lane| lane.kind == kind && lane.depth == depth) {
            Some(lane) => lane.spans.push(span),
            None => lanes.push(Lane { kind, depth, spans: vec![span] }),
        }
    }
    lanes.sort_by_key(|lane| {
        let order = [SpanKind::Phase, SpanKind::Window, SpanKind::Throttled];
        (order.iter().position(|kind| *kind == lane.kind), lane.depth)
    });
    lanes
}

/// Draws the spans of a lane as boxes, with the names that fit into them.
fn push_lane(shapes: &mut Vec<Shape>, lane: &Lane<'_>, area: Area, at: &impl Fn(f64) -> f64) {
    let middle = (area.top + area.bottom) / 2.0;
    let baseline = middle + SMALL * font::CAPITAL / 2.0;
    let name = Text::new(lane.name(), SMALL, (area.left - 4.0, baseline), Anchor::End);
    shapes.push(name.colored(SOFT).into());
    for (place, span) in lane.spans.iter().enumerate() {
        let (from, to) = (at(span.from), at(span.to));
        let to = to.max(from + 0.4);
        let opacity = if place % 2 == 0 { 0.18 } else { 0.34 };
        let paint = Paint {
            fill: Some(Fill { color: lane.color(), opacity }),
            stroke: Some(Stroke::new(lane.color(), 0.4)),
        };
        let place = Area { left: from, top: area.top + 1.0, right: to, bottom: area.bottom - 1.0 };
        shapes.push(Shape::area(place, paint));
        let name = span.name.rsplit('/').next().unwrap_or_default();
        let room = to - from - 4.0;
        let name = font::fitted(name, SMALL, room);
        // Fewer letters than these tell nothing.
        let is_told = name.chars().count() >= span.name.chars().count().min(4);
        if is_told && font::width(&name, SMALL) <= room {
            shapes.push(Text::new(name, SMALL, (from + 2.0, baseline), Anchor::Start).into());
        }
    }
}

/// Shades every second phase through a panel.
fn push_phases(shapes: &mut Vec<Shape>, spans: &[Span], area: Area, at: &impl Fn(f64) -> f64) {
    let phases =
        spans.iter().filter(|span| span.kind == SpanKind::Phase && !span.name.contains('/'));
    let mut phases: Vec<&Span> = phases.collect();
    phases.sort_by(|one, other| one.from.total_cmp(&other.from));
    let shade = Fill { color: look(0).color, opacity: 0.07 };
    for span in phases.into_iter().step_by(2) {
        let (left, right) = (at(span.from), at(span.to));
        shapes.push(Shape::area(Area { left, right, ..area }, shade.into()));
    }
}
