//! Sections of the page and their blocks. What a section has once for each of many runs is folded, and the first is open.

use super::{
    escape::{cut_text, escape},
    tables::{number_span, push_table},
};
use crate::{
    charts::{Chart, Drawing},
    document::{Block, Level, Section, Warning},
    number::Number,
};

/// Blocks of one kind from which all but the first of a section are folded.
const FOLDED: usize = 3;

/// The most runs of a warning that are named.
const NAMED: usize = 3;

/// Warnings that are shown before the rest is folded, and the most of all.
const WARNINGS: usize = 12;
const MOST_WARNINGS: usize = 200;

/// The most characters of a paragraph or a warning, and of a command.
const PARAGRAPH: usize = 1_000;
const CODE: usize = 20_000;

/// Writes a section.
pub(super) fn push_section(page: &mut String, section: &Section, is_several: bool) {
    let id = section.id;
    *page +=
        &format!("<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}</h2>\n", section.title);
    let parts: Vec<&[Block]> = section.blocks.chunk_by(is_beside).collect();
    let kinds: Vec<Option<Kind>> = parts.iter().map(|part| Kind::of(section, part)).collect();
    for (place, (part, kind)) in parts.iter().zip(&kinds).enumerate() {
        let like = |other: &&Option<Kind>| kind.is_some() && *other == kind;
        let is_folded = kinds.iter().filter(like).count() >= kind.map_or(FOLDED, Kind::folded_from);
        if is_folded {
            let is_first = !kinds[..place].iter().any(|other| other == kind);
            *page += &format!(
                "<details class=\"fold\"{}><summary><bdi>{}</bdi></summary>\n",
                if is_first { " open" } else { "" },
                heading(&part[0])
            );
        }
        push_part(page, part, is_several);
        if is_folded {
            *page += "</details>\n";
        }
    }
    *page += "</section>\n";
}

/// Returns true for two blocks that stand side by side: plots under one heading, or each under its own.
fn is_beside(one: &Block, next: &Block) -> bool {
    match (one, next) {
        (Block::Chart(one), Block::Chart(next)) => {
            let are_plots = [one, next].iter().all(|chart| is_plot(chart));
            are_plots && one.panel_of == next.panel_of
        }
        _ => false,
    }
}

fn is_plot(chart: &Chart) -> bool {
    matches!(chart.drawing, Drawing::Plot { .. })
}

/// What a section may have many of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Timeline,
    Bars,
    Panels,
    Code,
    ScriptTable,
}

impl Kind {
    fn of(section: &Section, part: &[Block]) -> Option<Self> {
        match &part[0] {
            Block::Chart(chart) => match chart.drawing {
                Drawing::Timeline { .. } => Some(Self::Timeline),
                Drawing::Bars { .. } => Some(Self::Bars),
                Drawing::Plot { .. } => chart.panel_of.as_ref().map(|_| Self::Panels),
            },
            Block::Code { .. } => Some(Self::Code),
            Block::Table(table) if section.id == "reported" && table.id != "metrics" => {
                Some(Self::ScriptTable)
            }
            _ => None,
        }
    }

    /// The number of parts from which they are folded. Two groups of panels are longer than a screen already.
    fn folded_from(self) -> usize {
        if self == Self::Panels { 2 } else { FOLDED }
    }
}

/// Returns the heading of a folded part, escaped.
fn heading(block: &Block) -> String {
    match block {
        Block::Chart(chart) => escape(chart.panel_of.as_ref().unwrap_or(&chart.title)),
        Block::Code { caption, .. } => escape(caption),
        Block::Table(table) => cut_text(&table.caption, PARAGRAPH),
        _ => String::new(),
    }
}

fn push_part(page: &mut String, part: &[Block], is_several: bool) {
    match &part[0] {
        Block::Text(text) => *page += &format!("<p>{}</p>\n", cut_text(text, PARAGRAPH)),
        Block::Warnings(warnings) => *page += &warnings_list(warnings, is_several),
        Block::Figures(figures) => *page += &figures_list(figures),
        Block::Table(table) => push_table(page, table),
        Block::Chart(chart) if is_plot(chart) => {
            *page += "<div class=\"plots\">\n";
            for block in part {
                if let Block::Chart(chart) = block {
                    push_chart(page, chart);
                }
            }
            *page += "</div>\n";
        }
        Block::Chart(chart) => push_chart(page, chart),
        Block::Code { caption, text } => {
            *page += &format!(
                "<figure class=\"code\"><figcaption>{}</figcaption><pre tabindex=\"0\"><code>{}</code></pre></figure>\n",
                escape(caption),
                cut_text(text, CODE)
            );
        }
    }
}

fn warnings_list(warnings: &[Warning], is_several: bool) -> String {
    let item = |warning: &Warning| {
        let (class, word) = match warning.level {
            Level::Failure => ("failure", "Failed"),
            Level::Warning => ("warning", "Warning"),
            Level::Absent => ("absent", "Not known"),
            Level::Script => ("script", "From the script"),
        };
        let runs = match warning.runs.len() {
            _ if !is_several => String::new(),
            count if count <= NAMED => warning.runs.join(", "),
            count => {
                format!("{} and {} more", warning.runs[..NAMED - 1].join(", "), count + 1 - NAMED)
            }
        };
        format!(
            "<li class=\"{class}\"><strong>{word}</strong> <span>{}</span> <span class=\"runs\">{}</span></li>\n",
            cut_text(&warning.text, PARAGRAPH),
            escape(&runs)
        )
    };
    let list = |warnings: &[Warning]| {
        format!("<ul class=\"warnings\">\n{}</ul>\n", warnings.iter().map(item).collect::<String>())
    };
    // The gravest come first, so those that are folded say the least.
    if warnings.len() <= WARNINGS {
        return list(warnings);
    }
    let (first, rest) = warnings.split_at(WARNINGS - 2);
    let shown = &rest[..rest.len().min(MOST_WARNINGS)];
    let left_out = match rest.len() - shown.len() {
        0 => String::new(),
        count => format!("<p>{count} further ones are in the records.</p>\n"),
    };
    format!(
        "{}<details class=\"fold\"><summary>{} more</summary>\n{}{left_out}</details>\n",
        list(first),
        rest.len(),
        list(shown)
    )
}

fn figures_list(figures: &[(String, Number)]) -> String {
    let items = figures.iter().map(|(name, number)| {
        let unit = number.shown_unit();
        let shown = number_span(number, &unit, [true; 3]);
        format!("<div><dt>{}</dt><dd>{shown}</dd></div>\n", escape(name))
    });
    format!("<dl class=\"figures\">\n{}</dl>\n", items.collect::<String>())
}

fn push_chart(page: &mut String, chart: &Chart) {
    let id = escape(&chart.id);
    let kind = match &chart.drawing {
        Drawing::Plot { .. } => "plot",
        Drawing::Bars { .. } => "bars",
        Drawing::Timeline { .. } => "timeline",
    };
    *page += &format!(
        "<figure class=\"chart {kind}\" id=\"figure-{id}\">\n<h3 id=\"title-{id}\"><bdi>{}</bdi></h3>\n\
         <div class=\"drawing\" data-chart=\"{id}\" tabindex=\"0\" role=\"application\" aria-roledescription=\"chart\" \
         aria-labelledby=\"title-{id}\" aria-describedby=\"caption-{id}\"></div>\n\
         <figcaption id=\"caption-{id}\">{}</figcaption>\n<details class=\"data\"><summary>Data of this chart</summary>",
        escape(&chart.title),
        cut_text(&chart.caption, PARAGRAPH)
    );
    let tables = crate::export::chart_table::tables(chart);
    tables.iter().for_each(|table| push_table(page, table));
    *page += "</details>\n</figure>\n";
}
