//! The charts of a report as drawings for print, each a file of its own.

use super::{pdf, plot, svg};
use crate::{
    document::{Block, Report},
    error::Error,
};

/// Points of 1/72 inch in a millimetre.
const POINTS: f64 = 72.0 / 25.4;

/// A format of drawings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FigureFormat {
    /// Scalable vector graphics, whose texts a drawing program can edit.
    Svg,
    /// A page in the size of the drawing, with its font, for LaTeX and for print.
    Pdf,
}

impl FigureFormat {
    /// Every format that a chart can be drawn in.
    pub const ALL: [Self; 2] = [Self::Svg, Self::Pdf];

    /// Returns the name on the command line, which is the ending of the files without the dot.
    pub fn name(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Pdf => "pdf",
        }
    }
}

/// A drawing of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// The name of the file: the chart's id, such as `latency-ttft`, and the format's ending.
    pub file_name: String,
    /// What the file holds.
    pub bytes: Vec<u8>,
}

/// Draws each chart of a report, `width` mm wide. Equal reports give equal bytes. Charts without a value that can be drawn are
/// left out.
///
/// # Errors
/// A drawing cannot be written as PDF.
pub fn render_figures(
    report: &Report,
    format: FigureFormat,
    width: f64,
) -> Result<Vec<Figure>, Error> {
    let blocks = report.sections.iter().flat_map(|section| &section.blocks);
    let charts = blocks.filter_map(|block| match block {
        Block::Chart(chart) => plot::draw(chart, width * POINTS),
        _ => None,
    });
    let creator = format!("llem report {}", report.version);
    let origin = format!("{creator}; runs: {}", report.runs.join(", "));
    let figure = |scene: plot::scene::Scene| {
        let file_name = format!("{}.{}", scene.name, format.name());
        let bytes = match format {
            FigureFormat::Svg => svg::render(&scene, &origin).into_bytes(),
            FigureFormat::Pdf => pdf::render(&scene, &creator, &report.runs)
                .map_err(|cause| Error::Figure { name: scene.name, cause })?,
        };
        Ok(Figure { file_name, bytes })
    };
    charts.map(figure).collect()
}
