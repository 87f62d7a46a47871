//! Charts as SVG 1.1, each a file of its own. Texts stay texts in a font of common widths; title and caption are in `<title>`
//! and `<desc>`, and the runs in `<metadata>`.

use super::{
    html,
    plot::{
        font,
        scene::{Anchor, Color, Paint, Run, Scene, Shape, Text},
    },
};

/// Points of 1/72 inch in a millimetre.
const POINTS: f64 = 72.0 / 25.4;

/// Writes a drawing. `origin` says what made it, and of which runs.
pub(super) fn render(scene: &Scene, origin: &str) -> String {
    let Scene { name, title, caption, width, height, shapes } = scene;
    let (name, title) = (escape(name), escape(title));
    let mut svg = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}mm\" height=\"{}mm\" viewBox=\"0 0 {} {}\" \
         role=\"img\" aria-labelledby=\"{name}-title {name}-desc\" font-family=\"{}\" stroke-linejoin=\"round\">\n\
         <title id=\"{name}-title\">{title}</title>\n<desc id=\"{name}-desc\">{}</desc>\n<metadata>{}</metadata>\n",
        decimal(width / POINTS),
        decimal(height / POINTS),
        decimal(*width),
        decimal(*height),
        font::FAMILIES,
        escape(caption),
        escape(origin),
    );
    shapes.iter().for_each(|shape| push_shape(&mut svg, shape));
    svg + "</svg>\n"
}

fn push_shape(svg: &mut String, shape: &Shape) {
    match shape {
        Shape::Path { lines, is_closed, paint } => {
            let mut path = String::new();
            for line in lines {
                let mut command = 'M';
                for (x, y) in line {
                    path += &format!("{command}{} {}", decimal(*x), decimal(*y));
                    command = 'L';
                }
                if *is_closed {
                    path.push('Z');
                }
            }
            *svg += &format!("<path d=\"{path}\"{}/>\n", attributes(paint));
        }
        Shape::Circle { center: (x, y), radius, paint } => {
            let [x, y, radius] = [*x, *y, *radius].map(decimal);
            *svg +=
                &format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"{}/>\n", attributes(paint));
        }
        Shape::Text(text) => push_text(svg, text),
    }
}

fn attributes(paint: &Paint) -> String {
    let mut attributes = match paint.fill {
        Some(fill) => format!(" fill=\"{}\"", hex(fill.color)),
        None => " fill=\"none\"".to_owned(),
    };
    if let Some(fill) = paint.fill.filter(|fill| fill.opacity < 1.0) {
        attributes += &format!(" fill-opacity=\"{}\"", decimal(fill.opacity));
    }
    if let Some(stroke) = paint.stroke {
        let width = decimal(stroke.width);
        attributes += &format!(" stroke=\"{}\" stroke-width=\"{width}\"", hex(stroke.color));
        if !stroke.dash.is_empty() {
            let dash: Vec<String> = stroke.dash.iter().map(|length| decimal(*length)).collect();
            attributes += &format!(" stroke-dasharray=\"{}\"", dash.join(" "));
        }
    }
    attributes
}

fn push_text(svg: &mut String, text: &Text) {
    let [x, y, size] = [text.at.0, text.at.1, text.size].map(decimal);
    *svg += &format!("<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{}\"", hex(text.color));
    match text.anchor {
        Anchor::Start => {}
        Anchor::Middle => *svg += " text-anchor=\"middle\"",
        Anchor::End => *svg += " text-anchor=\"end\"",
    }
    if text.is_upward {
        *svg += &format!(" transform=\"rotate(-90 {x} {y})\"");
    }
    svg.push('>');
    let mut is_raised = false;
    for run in &text.runs {
        let shown = escape(&run.text);
        // A shift holds for all that follows, so the next run takes it back.
        let shift = text.size * Run::RAISED_BY;
        let shift = match (is_raised, run.is_raised) {
            (false, true) => -shift,
            (true, false) => shift,
            _ => 0.0,
        };
        is_raised = run.is_raised;
        if shift == 0.0 && !run.is_raised {
            *svg += &shown;
            continue;
        }
        let (shift, size) = (decimal(shift), decimal(run.size(text.size)));
        *svg += &format!("<tspan dy=\"{shift}\" font-size=\"{size}\">{shown}</tspan>");
    }
    *svg += "</text>\n";
}

/// Escapes a text for an element or an attribute. XML has no place for the two last code points of a plane, which HTML takes.
fn escape(text: &str) -> String {
    html::escape(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

fn hex([red, green, blue]: Color) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Writes a length with at most two decimal places: a hundredth of a point is 3.5 µm.
fn decimal(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_short() {
        let written = [1.0, 0.126, -0.001, 12.5].map(decimal);
        assert_eq!(written, ["1", "0.13", "0", "12.5"]);
    }

    #[test]
    fn no_character_breaks_the_file() {
        assert_eq!(escape("<a b='&'>\u{0}\u{ffff}"), "&lt;a b=&#39;&amp;&#39;&gt;⟨U+0000⟩\u{fffd}");
    }
}
