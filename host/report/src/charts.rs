//! Charts as data: axes, series and spans. Each format draws them in its own way.

use crate::prefix::shown_unit;
use serde::Serialize;

/// A chart with its caption.
#[derive(Debug, Serialize)]
pub(crate) struct Chart {
    /// The name in links and files.
    pub id: String,
    pub title: String,
    /// What the chart shows and what it says, in words.
    pub caption: String,
    /// The heading that the chart shares with those beside it, which have the same series. `None` for a chart of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panel_of: Option<String>,
    #[serde(flatten)]
    pub drawing: Drawing,
}

impl Chart {
    /// Creates a chart of its own.
    pub(crate) fn new(
        id: impl Into<String>,
        title: impl Into<String>,
        caption: impl Into<String>,
        drawing: Drawing,
    ) -> Self {
        let (id, title, caption) = (id.into(), title.into(), caption.into());
        Self { id, title, caption, panel_of: None, drawing }
    }
}

/// What a chart draws.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Drawing {
    /// Curves and points over two axes.
    Plot { x: Axis, y: Axis, series: Vec<Series> },
    /// Stacked horizontal bars, one for each category.
    Bars {
        categories: Vec<String>,
        x: Axis,
        series: Vec<BarSeries>,
        totals: Vec<Option<(f64, f64)>>,
    },
    /// Panels over one time axis, with the spans of phases and windows.
    Timeline { panels: Vec<Panel>, spans: Vec<Span>, end: f64 },
}

/// An axis of a chart, with its unit and scale.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Axis {
    pub name: String,
    /// The shown unit. Empty if there is none.
    pub unit: String,
    pub is_log: bool,
    /// The factor from the record's unit to the shown one.
    #[serde(skip)]
    pub factor: f64,
}

impl Axis {
    /// Creates an axis whose unit gets the prefix that suits the values.
    pub(crate) fn new(name: &str, unit: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let shown = shown_unit(unit, values);
        Self { name: name.to_owned(), unit: shown.name, is_log: false, factor: shown.factor }
    }

    pub(crate) fn log(mut self) -> Self {
        self.is_log = true;
        self
    }
}

/// A curve or a set of points.
#[derive(Debug, Serialize)]
pub(crate) struct Series {
    pub name: String,
    pub style: Style,
    /// The number of the colour, dash and marker.
    pub look: usize,
    /// The points (x, y) in the axes' shown units.
    pub points: Vec<(f64, f64)>,
    /// The standard uncertainty of each point in x and in y. Empty if it is not drawn.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uncertainties: Vec<(f64, f64)>,
    /// What a reader sees beside each point. Empty if the series' name says enough.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Style {
    /// A line that rises at each point, as an ECDF does.
    Step,
    Line,
    Points,
}

/// One part of each bar.
#[derive(Debug, Serialize)]
pub(crate) struct BarSeries {
    pub name: String,
    pub look: usize,
    /// The length in the axis' shown unit. `None` if it is not known.
    pub values: Vec<Option<f64>>,
}

/// A panel of a timeline.
#[derive(Debug, Serialize)]
pub(crate) struct Panel {
    pub name: String,
    pub unit: String,
    pub lines: Vec<TimeLine>,
}

/// A line of a panel.
#[derive(Debug, Serialize)]
pub(crate) struct TimeLine {
    pub name: String,
    pub look: usize,
    /// Where the numbers come from, such as `power sensor` or `energy counter`.
    pub source: String,
    /// Times in seconds since the run began.
    #[serde(skip)]
    pub times: Vec<f64>,
    #[serde(skip)]
    pub values: Vec<f32>,
    /// Number of samples of which `times` holds the extremes. 0 if it holds all.
    pub reduced_from: usize,
}

/// A phase, a window, or a time in which a device was held below its clock.
#[derive(Debug, Serialize)]
pub(crate) struct Span {
    pub kind: SpanKind,
    pub name: String,
    /// Seconds since the run began.
    pub from: f64,
    pub to: f64,
}

/// The kind of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SpanKind {
    Phase,
    Window,
    Throttled,
}
