//! Reports of runs: one self-contained HTML page, tables and drawings for a paper, and a view for a terminal.
//!
//! ```text
//! run folders ──LoadedRun::open──► runs ──Report::new──► sections of tables and charts ─┬─render──────────► HTML, CSV, LaTeX, ...
//!                                                                                              └─render_figures──► SVG, PDF
//! ```
//!
//! A run's folder is only read. All text of a record is untrusted: a script chose it, so each format escapes it.
//!
//! # Start at
//! - [`LoadedRun`]: the record, requests and samples of one run
//! - [`Report`]: the sections of a report, the same for every format
//! - [`Format`]: the formats, and [`render`], which writes one of them
//! - [`FigureFormat`]: the formats of drawings, and [`render_figures`], which draws each chart

mod charts;
mod configuration;
mod document;
mod error;
mod export;
mod number;
mod peaks;
mod prefix;
mod quantiles;
mod requests;
mod rounding;
mod run;
mod samples;
mod sections;
mod visible;

pub use document::Report;
pub use error::Error;
pub use export::{Figure, FigureFormat, Format, render, render_figures};
pub use peaks::DevicePeaks;
pub use run::LoadedRun;
pub use visible::{visible, visible_part};
