//! Charts as PDF 1.7, each a file of one page in the drawing's size. The glyphs of all texts are embedded, and each text can be
//! found and copied. Title, caption and runs are in the file's metadata; the drawing is tagged as a figure whose alternative
//! text is the caption, for readers who listen.
//!
//! Letters stand one after the other, as they are written: scripts that join letters or run to the left are not shaped. What the
//! font lacks, such as Chinese, is drawn as a box, and is still found.

use super::{
    pdf_font::EmbeddedFont,
    plot::scene::{Fill, Paint, Run, Scene, Shape, Text},
};
use flate2::{Compression, write::ZlibEncoder};
use pdf_writer::{
    Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr,
    types::{LineJoinStyle, StructRole},
};
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

/// The share of a radius at which a Bézier curve's handles make a quarter of a circle.
const ARC: f32 = 0.552_284_8;

/// The objects of the file.
const CATALOG: Ref = Ref::new(1);
const PAGES: Ref = Ref::new(2);
const PAGE: Ref = Ref::new(3);
const CONTENT: Ref = Ref::new(4);
const INFO: Ref = Ref::new(5);
const FIGURE: Ref = Ref::new(6);
const STRUCTURE: Ref = Ref::new(7);
const PARENTS: Ref = Ref::new(8);
const FIRST_OF_FONT: i32 = 9;

/// The name of the font in the page's content.
const FONT: Name<'static> = Name(b"F");

/// Writes a drawing. `creator` says what made it, and `runs` of what.
pub(super) fn render(scene: &Scene, creator: &str, runs: &[String]) -> Result<Vec<u8>, String> {
    let runs_of = scene.shapes.iter().flat_map(text_runs);
    let font = EmbeddedFont::of(runs_of.map(|run| run.text.as_str()))?;
    let mut page = Page { content: Content::new(), opacities: BTreeMap::new(), font: &font };
    page.draw(scene);
    let Page { content, opacities, .. } = page;
    let content = compressed(&content.finish()).map_err(|error| error.to_string())?;
    let mut pdf = Pdf::new();
    write_catalog(&mut pdf, scene, creator, runs);
    pdf.stream(CONTENT, &content).filter(Filter::FlateDecode);
    let mut page = pdf.page(PAGE);
    page.parent(PAGES).contents(CONTENT).struct_parents(0);
    page.media_box(Rect::new(0.0, 0.0, rounded(scene.width), rounded(scene.height)));
    let mut resources = page.resources();
    resources.fonts().pair(FONT, Ref::new(FIRST_OF_FONT));
    let mut states = resources.ext_g_states();
    for (percent, name) in &opacities {
        let mut state = states
            .insert(Name(name.as_bytes()))
            .start::<pdf_writer::writers::ExtGraphicsState<'_>>();
        state.non_stroking_alpha(f32::from(*percent) / 100.0);
    }
    states.finish();
    resources.finish();
    page.finish();
    font.write(&mut pdf, FIRST_OF_FONT)?;
    Ok(pdf.finish())
}

fn text_runs(shape: &Shape) -> &[Run] {
    match shape {
        Shape::Text(text) => &text.runs,
        _ => &[],
    }
}

/// Writes what the file is: its metadata, its one page, and its one figure.
fn write_catalog(pdf: &mut Pdf, scene: &Scene, creator: &str, runs: &[String]) {
    let mut catalog = pdf.catalog(CATALOG);
    catalog.pages(PAGES).lang(TextStr("en"));
    catalog.viewer_preferences().display_doc_title(true);
    catalog.mark_info().marked(true);
    catalog.pair(Name(b"StructTreeRoot"), STRUCTURE);
    catalog.finish();
    pdf.pages(PAGES).kids([PAGE]).count(1);
    let mut info = pdf.document_info(INFO);
    info.title(TextStr(&scene.title)).subject(TextStr(&scene.caption));
    info.keywords(TextStr(&runs.join(", "))).creator(TextStr(creator)).producer(TextStr(creator));
    info.finish();
    let mut root = pdf.indirect(STRUCTURE).start::<pdf_writer::writers::StructTreeRoot<'_>>();
    root.child(FIGURE).parent_tree().nums().insert(0, PARENTS);
    root.parent_tree_next_key(1);
    root.finish();
    pdf.indirect(PARENTS).array().item(FIGURE);
    let mut figure = pdf.struct_element(FIGURE);
    figure.kind(StructRole::Figure).parent(STRUCTURE).page(PAGE).alt(TextStr(&scene.caption));
    figure.children().marked_content_id(0);
}

/// The content of the page while it is written.
struct Page<'a> {
    content: Content,
    /// The opacities in use, in percent, and the name of each.
    opacities: BTreeMap<u8, String>,
    font: &'a EmbeddedFont,
}

impl Page<'_> {
    fn draw(&mut self, scene: &Scene) {
        let mut mark = self.content.begin_marked_content_with_properties(Name(b"Figure"));
        mark.properties().identify(0);
        mark.finish();
        // A drawing's y grows downwards, and a page's upwards.
        self.content.transform([1.0, 0.0, 0.0, -1.0, 0.0, rounded(scene.height)]);
        self.content.set_line_join(LineJoinStyle::RoundJoin);
        for shape in &scene.shapes {
            match shape {
                Shape::Text(text) => self.draw_text(text),
                Shape::Path { lines, is_closed, paint } => {
                    self.set_paint(paint);
                    self.add_path(lines, *is_closed);
                    self.paint_path(paint);
                }
                Shape::Circle { center, radius, paint } => {
                    self.set_paint(paint);
                    self.add_circle(*center, *radius);
                    self.paint_path(paint);
                }
            }
        }
        self.content.end_marked_content();
    }

    fn set_paint(&mut self, paint: &Paint) {
        if let Some(fill) = paint.fill {
            self.set_fill(fill);
        }
        if let Some(stroke) = paint.stroke {
            let [red, green, blue] = shares(stroke.color);
            self.content.set_stroke_rgb(red, green, blue).set_line_width(rounded(stroke.width));
            self.content.set_dash_pattern(stroke.dash.iter().map(|length| rounded(*length)), 0.0);
        }
    }

    fn set_fill(&mut self, Fill { color, opacity }: Fill) {
        let percent = (opacity * 100.0).round() as u8;
        let name = self.opacities.entry(percent).or_insert_with(|| format!("o{percent}"));
        let [red, green, blue] = shares(color);
        self.content.set_parameters(Name(name.as_bytes())).set_fill_rgb(red, green, blue);
    }

    fn paint_path(&mut self, paint: &Paint) {
        match (paint.fill.is_some(), paint.stroke.is_some()) {
            (true, true) => self.content.fill_nonzero_and_stroke(),
            (true, false) => self.content.fill_nonzero(),
            (false, true) => self.content.stroke(),
            (false, false) => self.content.end_path(),
        };
    }

    fn add_path(&mut self, lines: &[Vec<(f64, f64)>], is_closed: bool) {
        for line in lines {
            for (place, (x, y)) in line.iter().enumerate() {
                let (x, y) = (rounded(*x), rounded(*y));
                match place {
                    0 => self.content.move_to(x, y),
                    _ => self.content.line_to(x, y),
                };
            }
            if is_closed {
                self.content.close_path();
            }
        }
    }

    fn add_circle(&mut self, center: (f64, f64), radius: f64) {
        let (x, y, r) = (rounded(center.0), rounded(center.1), rounded(radius));
        let h = r * ARC;
        self.content.move_to(x + r, y);
        self.content.cubic_to(x + r, y + h, x + h, y + r, x, y + r);
        self.content.cubic_to(x - h, y + r, x - r, y + h, x - r, y);
        self.content.cubic_to(x - r, y - h, x - h, y - r, x, y - r);
        self.content.cubic_to(x + h, y - r, x + r, y - h, x + r, y);
        self.content.close_path();
    }

    fn draw_text(&mut self, text: &Text) {
        self.set_fill(Fill { color: text.color, opacity: 1.0 });
        let (x, y) = text.at;
        let mut along = -text.shift();
        self.content.begin_text();
        for run in &text.runs {
            let size = run.size(text.size);
            let raised = if run.is_raised { text.size * Run::RAISED_BY } else { 0.0 };
            // Letters stand upright although y grows downwards; those of an upward text lie on their left side.
            let matrix = match text.is_upward {
                true => [0.0, -1.0, -1.0, 0.0, rounded(x - raised), rounded(y - along)],
                false => [1.0, 0.0, 0.0, -1.0, rounded(x + along), rounded(y - raised)],
            };
            self.content.set_font(FONT, rounded(size)).set_text_matrix(matrix);
            self.content.show(Str(&self.font.encoded(&run.text)));
            along += super::plot::font::width(&run.text, size);
        }
        self.content.end_text();
    }
}

/// Returns a length with two decimal places: a hundredth of a point is 3.5 µm.
fn rounded(value: f64) -> f32 {
    ((value * 100.0).round() / 100.0) as f32
}

/// Returns a colour as shares, with three decimal places.
fn shares(color: [u8; 3]) -> [f32; 3] {
    color.map(|part| (f32::from(part) / 255.0 * 1000.0).round() / 1000.0)
}

/// Compresses a stream as `FlateDecode` reads it.
pub(super) fn compressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}
