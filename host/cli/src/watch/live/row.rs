//! A row of a view: a label, a value, and a chart in what is left of the width.
//!
//! ```text
//! tokens/s  123.4 · median 120.1                    ▁▂▃▅▆▇█▇
//! ◄─label─► ◄────────value────────────────────────► ◄─chart─►
//! ```

use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Style, Stylize},
    text::Line,
    widgets::{Gauge, Sparkline, SparklineBar},
};

/// The columns of labels.
pub(super) const LABEL: u16 = 10;
/// The columns of values beside a chart.
const VALUE: u16 = 44;
/// The fewest columns of a chart that says something.
const CHART: u16 = 12;
/// The levels of a chart's row, between which a value is rounded.
const LEVELS: f64 = 8000.0;

/// A row, and how soon it is left out on a small terminal.
pub(super) struct Row {
    /// 0 is never left out. Of the rest, the highest goes first.
    pub rank: u8,
    pub label: String,
    pub value: Line<'static>,
    pub chart: Chart,
    /// The scale of the chart, below the value where the chart is high enough.
    pub scale: Option<String>,
}

/// What is drawn beside a value.
pub(super) enum Chart {
    None,
    /// Bars from zero to the highest value. `None` is a gap.
    Bars(Vec<Option<f64>>),
    /// A share from 0 to 1.
    Share(f64),
}

impl Row {
    pub(super) fn new(rank: u8, label: impl Into<String>, value: impl Into<Line<'static>>) -> Self {
        let (label, value) = (label.into(), value.into());
        Self { rank, label, value, chart: Chart::None, scale: None }
    }

    /// A row that only names what follows.
    pub(super) fn title(text: &str) -> Self {
        Self::new(u8::MAX, format!("── {text} "), "")
    }

    pub(super) fn with_share(mut self, share: Option<f64>) -> Self {
        self.chart = share.map_or(Chart::None, Chart::Share);
        self
    }

    /// Adds bars, whose unit the scale names.
    pub(super) fn with_bars(mut self, bars: Vec<Option<f64>>, unit: &str) -> Self {
        let highest = bars.iter().flatten().copied().reduce(f64::max);
        self.scale = highest
            .filter(|&highest| highest > 0.0)
            .map(|highest| format!("0 to {} {unit}", llem_quantity::significant(highest)));
        self.chart = if highest.is_some() { Chart::Bars(bars) } else { Chart::None };
        self
    }

    /// Whether the row may be several lines high.
    pub(super) fn is_stretchable(&self) -> bool {
        matches!(self.chart, Chart::Bars(_))
    }

    fn is_title(&self) -> bool {
        self.rank == u8::MAX
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        if self.is_title() {
            let width = usize::from(area.width);
            let text = format!("{}{}", self.label, "─".repeat(width));
            frame.render_widget(Line::from(text).dim(), area);
            return;
        }
        let label_width = LABEL.min(area.width);
        let [label, rest] = split(area, label_width);
        frame.render_widget(Line::from(self.label.as_str()).bold(), first_line(label));
        let value_width = match self.chart {
            Chart::None => rest.width,
            _ => chart_start(rest.width),
        };
        let [value, chart] = split(rest, value_width);
        // A long value does not touch its chart.
        let value =
            Rect { width: value.width - u16::from(chart.width > 0).min(value.width), ..value };
        frame.render_widget(&self.value, first_line(value));
        if let Some(scale) = self.scale.as_ref().filter(|_| area.height > 1) {
            let below = Rect { y: value.y + 1, height: 1, ..value };
            frame.render_widget(Line::from(scale.as_str()).dim(), below);
        }
        match &self.chart {
            _ if chart.width == 0 => {}
            Chart::None => {}
            Chart::Bars(bars) => draw_bars(frame, chart, bars),
            Chart::Share(share) => {
                let gauge = Gauge::default().ratio(share.clamp(0.0, 1.0)).use_unicode(true);
                let style = Style::new().fg(Color::Cyan).bg(Color::DarkGray);
                let percent = format!("{:.0} %", share * 100.0);
                frame.render_widget(gauge.gauge_style(style).label(percent), chart);
            }
        }
    }
}

/// The columns of a chart in a view of this width; 0 if there is no room for one.
pub(super) fn chart_columns(width: u16) -> u16 {
    let rest = width.saturating_sub(LABEL);
    rest - chart_start(rest)
}

fn chart_start(width: u16) -> u16 {
    if width >= VALUE + CHART { VALUE } else { width }
}

fn split(area: Rect, width: u16) -> [Rect; 2] {
    let width = width.min(area.width);
    let rest = Rect { x: area.x + width, width: area.width - width, ..area };
    [Rect { width, ..area }, rest]
}

fn first_line(area: Rect) -> Rect {
    Rect { height: area.height.min(1), ..area }
}

/// Draws the latest bars, the last at the right edge.
fn draw_bars(frame: &mut Frame<'_>, area: Rect, bars: &[Option<f64>]) {
    let width = usize::from(area.width);
    let bars = &bars[bars.len().saturating_sub(width)..];
    let highest = bars.iter().flatten().copied().fold(0.0, f64::max);
    let level = |value: f64| match highest > 0.0 {
        // A value that is known has a bar, however low it is.
        true => (value / highest * LEVELS).max(LEVELS / 8.0 / f64::from(area.height)) as u64,
        false => 0,
    };
    let gap = width - bars.len();
    let data = std::iter::repeat_n(None, gap).chain(bars.iter().copied());
    let data: Vec<_> = data.map(|value| SparklineBar::from(value.map(level))).collect();
    let line = Sparkline::default().data(data).max(LEVELS as u64).absent_value_symbol(" ");
    frame.render_widget(line.style(Style::new().fg(Color::Cyan)), area);
}
