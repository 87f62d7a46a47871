//! Draws charts for print: on white, in their true size, with nothing that needs a pointer.
//!
//! ```text
//! Chart ──curves, bars, timeline──► Scene of paths and texts ─┬─svg──► SVG, whose texts stay texts
//!                                                             └─pdf──► PDF with the glyphs that it needs
//! ```
//!
//! The layout is our own: all three kinds of chart must fit a column of 84 mm, with texts measured in the font that the PDF
//! holds, and a timeline is lanes of spans over panels with one time axis. `plotters` leaves panels, lanes and legends in rows to
//! its caller, `kuva` is 95 000 lines for many other kinds of plot, and `charming` needs V8; ECharts, which draws the page,
//! would need a JavaScript engine in this program. Few kinds of shape are left, so each format writes them by itself.
//! `krilla` would write the PDF in fewer lines, but brings 19 more crates; `pdf-writer` and `subsetter`, on which it stands,
//! compile in seconds.

mod bars;
mod curves;
pub(super) mod font;
mod frame;
mod labels;
mod legend;
mod look;
mod reduce;
mod scale;
pub(super) mod scene;
mod timeline;

use crate::charts::{Chart, Drawing};
use scene::{Area, Fill, Scene, Shape};

/// Room around a drawing, so that no line is cut by the edge.
const MARGIN: f64 = 1.5;

/// The shapes of a drawing, from (0, 0) to its width and this height.
struct Drawn {
    shapes: Vec<Shape>,
    height: f64,
}

/// Draws a chart of a width in points. `None` if the chart has no value that can be drawn.
pub(super) fn draw(chart: &Chart, width: f64) -> Option<Scene> {
    let inner = width - 2.0 * MARGIN;
    let Drawn { shapes, height } = match &chart.drawing {
        Drawing::Plot { x, y, series } => {
            curves::draw((x, y), series, chart.id == "roofline", inner)
        }
        Drawing::Bars { categories, x, series, totals } => {
            bars::draw(categories, x, series, totals, inner)
        }
        Drawing::Timeline { panels, spans, end } => timeline::draw(panels, spans, *end, inner),
    }?;
    let height = height + 2.0 * MARGIN;
    let paper = Area { left: 0.0, top: 0.0, right: width, bottom: height };
    let paper = Shape::area(paper, Fill::new(look::WHITE).into());
    let shapes = std::iter::once(paper).chain(shapes.into_iter().map(|shape| shape.moved(MARGIN)));
    let (name, title, caption) = (chart.id.clone(), chart.title.clone(), chart.caption.clone());
    Some(Scene { name, title, caption, width, height, shapes: shapes.collect() })
}

#[cfg(test)]
mod tests {
    use super::{
        scene::{Text, width_of},
        *,
    };
    use crate::charts::{Axis, BarSeries, Drawing, Panel, Series, Span, SpanKind, Style, TimeLine};

    fn axis(name: &str, unit: &str, is_log: bool) -> Axis {
        Axis { name: name.to_owned(), unit: unit.to_owned(), is_log, factor: 1.0 }
    }

    fn chart(drawing: Drawing) -> Chart {
        Chart::new("chart", "A chart", "What it says.", drawing)
    }

    fn long_name(number: usize) -> String {
        format!(
            "run-2026-11-28T19:00:0{number} / synthetic:tiny in f32 on cuda:{number} / batch of {number}"
        )
    }

    fn plot(style: Style, is_log: bool, count: usize) -> Chart {
        let series = (0..12).map(|number| {
            let point = |at: usize| {
                let x = 0.03 * (at + 1) as f64 * (number + 1) as f64;
                (x, 1e3 * (at as f64 + 0.5) / count as f64)
            };
            Series {
                name: long_name(number),
                style,
                look: number,
                points: (0..count).map(point).collect(),
                uncertainties: (0..count).map(|at| (0.01, at as f64 * 20.0)).collect(),
                labels: (0..count)
                    .map(|at| format!("point {at} of {}", long_name(number)))
                    .collect(),
            }
        });
        let long = "a name with which a script calls its axis";
        let y = if style == Style::Line {
            axis(long, "unit", is_log)
        } else {
            axis("Rate", "token/s", is_log)
        };
        let x = axis(if style == Style::Line { long } else { "Time to first token" }, "ms", is_log);
        chart(Drawing::Plot { x, y, series: series.collect() })
    }

    fn bars(count: usize) -> Chart {
        let series = (0..3).map(|look| BarSeries {
            name: ["prefill", "decode", "not told apart"][look].to_owned(),
            look,
            values: (0..count).map(|at| (at != 3).then_some(1.5 * (look + at) as f64)).collect(),
        });
        let totals = (0..count).map(|at| (at % 2 == 0 && at != 3).then_some((9.0, 2.0)));
        let x = axis("Energy per output token", "mJ/token", false);
        let categories = (0..count).map(long_name).collect();
        chart(Drawing::Bars { categories, x, series: series.collect(), totals: totals.collect() })
    }

    fn timeline(count: usize) -> Chart {
        let line = |look: usize| TimeLine {
            name: format!("cuda:{look} gpu"),
            look,
            source: "sensor".to_owned(),
            times: (0..count).map(|at| at as f64 * 0.01).collect(),
            values: (0..count).map(|at| 300.0 + (at as f32 * 0.37).sin() * 90.0).collect(),
            reduced_from: 0,
        };
        let panel = |(name, unit): (&str, &str)| Panel {
            name: name.to_owned(),
            unit: unit.to_owned(),
            lines: (0..8).map(line).collect(),
        };
        let panels = [("Power", "W"), ("Temperature", "°C"), ("Memory in use", "GB")];
        let end = count as f64 * 0.01;
        let span = |at: usize| Span {
            kind: [SpanKind::Phase, SpanKind::Window, SpanKind::Throttled][at % 3],
            name: ["measure/decode of many words", "warmup", "measure"][at / 3 % 3].to_owned(),
            from: end * at as f64 / 60.0,
            to: end * (at + 3) as f64 / 60.0,
        };
        let spans = (0..57).map(span).collect();
        chart(Drawing::Timeline { panels: panels.map(panel).into(), spans, end })
    }

    /// The box around a text, a little smaller than its letters, so that touching boxes do not overlap.
    fn extent(text: &Text) -> Area {
        let (x, y) = text.at;
        let (before, width) = (text.shift(), width_of(&text.runs, text.size));
        let (up, down) = (text.size * 0.6, text.size * 0.1);
        if text.is_upward {
            let (top, bottom) = (y + before - width, y + before);
            return Area { left: x - up, top, right: x + down, bottom };
        }
        Area { left: x - before, top: y - up, right: x - before + width, bottom: y + down }
    }

    #[test]
    fn texts_neither_cover_each_other_nor_leave_the_drawing() {
        let mut charts = vec![bars(5), bars(40), timeline(500)];
        for style in [Style::Step, Style::Line, Style::Points] {
            charts.extend([plot(style, false, 8), plot(style, true, 8), plot(style, true, 400)]);
        }
        for width in [170.0, 238.0, 482.0, 1133.0] {
            for chart in &charts {
                let scene = draw(chart, width).expect("a drawing");
                let paper = Area { left: 0.0, top: 0.0, right: scene.width, bottom: scene.height };
                let texts = scene.shapes.iter().filter_map(|shape| match shape {
                    Shape::Text(text) => Some((extent(text), text)),
                    _ => None,
                });
                let texts: Vec<(Area, &Text)> = texts.collect();
                assert!(texts.len() > 8, "{}", texts.len());
                for (place, (area, text)) in texts.iter().enumerate() {
                    assert!(paper.contains(area), "{width}: {text:?} {area:?} {paper:?}");
                    let covers = |(other, _): &&(Area, &Text)| other.overlaps(area);
                    let other = texts[..place].iter().find(covers);
                    assert!(other.is_none(), "{width}: {text:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn a_chart_without_a_value_is_not_drawn() {
        assert!(draw(&plot(Style::Line, true, 0), 238.0).is_none());
        let mut nothing = plot(Style::Points, false, 3);
        if let Drawing::Plot { series, .. } = &mut nothing.drawing {
            series.iter_mut().for_each(|series| series.points = vec![(f64::NAN, 1.0)]);
        }
        assert!(draw(&nothing, 238.0).is_none());
    }

    #[test]
    fn values_that_no_axis_holds_are_left_out() {
        let mut odd = plot(Style::Line, true, 3);
        if let Drawing::Plot { series, .. } = &mut odd.drawing {
            series[0].points.extend([
                (f64::NAN, 1.0),
                (-1.0, 5.0),
                (1e308, 1.0),
                (1.0, f64::INFINITY),
            ]);
        }
        let scene = draw(&odd, 238.0).expect("a drawing");
        let points = scene.shapes.iter().flat_map(|shape| match shape {
            Shape::Path { lines, .. } => lines.concat(),
            Shape::Circle { center, .. } => vec![*center],
            Shape::Text(text) => vec![text.at],
        });
        for (x, y) in points {
            assert!(
                (0.0..=scene.width).contains(&x) && (0.0..=scene.height).contains(&y),
                "{x} {y}"
            );
        }
    }
}
