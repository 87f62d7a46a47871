//! The report as one page of HTML that needs nothing else. Text and tables are plain HTML; charts are drawn from a block of
//! JSON by the page's script.
//!
//! Everything from a record passes [`escape`], or is JSON in which no `<` stands.

use super::{
    pack::pack,
    page::{ECHARTS, ECHARTS_LICENCE, ECHARTS_NOTICE, STYLE, policy, script},
};
use crate::{
    charts::{Chart, Drawing},
    document::{Block, Cell, Level, Report, Section, Table, Warning},
    number::{Mark, Number},
    prefix::ShownUnit,
    visible::visible,
};
use serde_json::{Value, json};

/// Rows from which a table scrolls within itself and can be searched.
const LONG: usize = 40;

/// Characters up to which the text of a cell is one line.
const SHORT: usize = 28;

/// Charts of the timeline from which all but the first are folded.
const FOLDED: usize = 3;

/// The most runs of a warning that are named.
const NAMED: usize = 3;

/// Writes the page.
pub(super) fn render(report: &Report) -> String {
    let script = script();
    let mut page = String::with_capacity(ECHARTS.len() * 2);
    page += "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
    page += &format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n",
        policy(&[ECHARTS, &script])
    );
    page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    page += "<meta name=\"color-scheme\" content=\"light dark\">\n";
    page += &format!(
        "<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        escape(&report.title)
    );
    page += &header(report);
    page += "<main id=\"main\">\n";
    report
        .sections
        .iter()
        .for_each(|section| push_section(&mut page, section, report.runs.len() > 1));
    page += "</main>\n";
    page += &footer(report);
    page += "<div id=\"tip\" role=\"tooltip\" hidden></div>\n<div id=\"live\" class=\"aside\" role=\"status\"></div>\n";
    page += &format!("<script type=\"application/json\" id=\"charts\">{}</script>\n", data(report));
    page += &format!("<script>{ECHARTS}</script>\n<script>{script}</script>\n</body>\n</html>\n");
    page
}

/// Escapes a text for an element's content or a quoted attribute, and makes hidden characters visible.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Returns the charts as JSON that can stand in a script element: it has no `<`, which would begin a tag or a comment.
fn data(report: &Report) -> String {
    let blocks = report.sections.iter().flat_map(|section| &section.blocks);
    let charts = blocks.filter_map(|block| match block {
        Block::Chart(chart) => Some((chart.id.clone(), packed(chart))),
        _ => None,
    });
    let charts: serde_json::Map<String, Value> = charts.collect();
    Value::Object(charts).to_string().replace('<', "\\u003c")
}

fn packed(chart: &Chart) -> Value {
    let mut value = serde_json::to_value(chart).unwrap_or_default();
    if let Drawing::Timeline { panels, .. } = &chart.drawing {
        for (place, panel) in panels.iter().enumerate() {
            for (number, line) in panel.lines.iter().enumerate() {
                let line_value = &mut value["panels"][place]["lines"][number];
                line_value["count"] = json!(line.times.len());
                line_value["data"] = json!(pack(line).unwrap_or_default());
            }
        }
    }
    value
}

fn header(report: &Report) -> String {
    let links = report.sections.iter().map(|section| {
        format!("<li><a href=\"#{}\">{}</a></li>", section.id, escape(section.title))
    });
    let runs = match &report.runs[..] {
        [_] => "Report of one run".to_owned(),
        runs => format!("Report of {} runs: {}", runs.len(), escape(&runs.join(", "))),
    };
    format!(
        "<a class=\"skip\" href=\"#main\">Skip to the report</a>\n<header>\n<div class=\"head\"><div>\
         <h1><bdi>{}</bdi></h1><p class=\"sub\">{runs}, by llem {}</p></div>\
         <button id=\"theme\" type=\"button\" hidden>Dark colours</button></div>\n\
         <nav aria-label=\"Sections\"><ul>{}</ul></nav>\n</header>\n",
        escape(&report.title),
        report.version,
        links.collect::<String>()
    )
}

fn footer(report: &Report) -> String {
    format!(
        "<footer>\n<p>Made by <code>llem report</code> {}. This page holds all its data and asks no server. ± is one standard \
         uncertainty; numbers end at its second digit, and hovering over or focusing on one shows the whole value and its \
         source.</p>\n<details><summary>Licence of the charting library, Apache ECharts 6.1.0</summary><pre tabindex=\"0\">{}\n{}</pre></details>\n</footer>\n",
        report.version,
        escape_lines(ECHARTS_NOTICE),
        escape_lines(ECHARTS_LICENCE)
    )
}

fn escape_lines(text: &str) -> String {
    text.lines().map(|line| escape(line) + "\n").collect()
}

fn push_section(page: &mut String, section: &Section, is_several: bool) {
    let id = section.id;
    *page +=
        &format!("<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}</h2>\n", section.title);
    let is_timeline = |block: &&Block| matches!(block, Block::Chart(chart) if matches!(chart.drawing, Drawing::Timeline { .. }));
    let is_folded = section.blocks.iter().filter(is_timeline).count() >= FOLDED;
    let mut is_open = " open";
    for block in &section.blocks {
        match block {
            Block::Chart(chart) if is_folded => {
                *page += &format!(
                    "<details class=\"fold\"{is_open}><summary><bdi>{}</bdi></summary>\n",
                    escape(&chart.title)
                );
                push_chart(page, chart);
                *page += "</details>\n";
                is_open = "";
            }
            Block::Text(text) => *page += &format!("<p>{}</p>\n", escape(text)),
            Block::Warnings(warnings) => *page += &warnings_list(warnings, is_several),
            Block::Figures(figures) => *page += &figures_list(figures),
            Block::Table(table) => push_table(page, table),
            Block::Chart(chart) => push_chart(page, chart),
            Block::Code { caption, text } => {
                *page += &format!(
                    "<figure class=\"code\"><figcaption>{}</figcaption><pre tabindex=\"0\"><code>{}</code></pre></figure>\n",
                    escape(caption),
                    escape(text)
                );
            }
        }
    }
    *page += "</section>\n";
}

fn warnings_list(warnings: &[Warning], is_several: bool) -> String {
    let mut list = String::from("<ul class=\"warnings\">\n");
    for warning in warnings {
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
        list += &format!(
            "<li class=\"{class}\"><strong>{word}</strong> <span>{}</span> <span class=\"runs\">{}</span></li>\n",
            escape(&warning.text),
            escape(&runs)
        );
    }
    list + "</ul>\n"
}

fn figures_list(figures: &[(String, Number)]) -> String {
    let items = figures.iter().map(|(name, number)| {
        let unit = number.shown_unit();
        let shown = number_span(number, &unit, [true; 3]);
        format!("<div><dt>{}</dt><dd>{shown}</dd></div>\n", escape(name))
    });
    format!("<dl class=\"figures\">\n{}</dl>\n", items.collect::<String>())
}

fn push_table(page: &mut String, table: &Table) {
    let units = table.shown_units();
    let marks: Vec<Option<Mark>> =
        (0..table.columns.len()).map(|place| common_mark(table, place)).collect();
    let is_long = table.rows.len() > LONG;
    let (long, caption) = (if is_long { " long" } else { "" }, escape(&table.caption));
    *page += &format!(
        "<div class=\"table\"><p class=\"caption\" id=\"caption-table-{0}\">{caption}</p>\n<div class=\"scroll{long}\" tabindex=\"0\" role=\"region\" \
         aria-labelledby=\"caption-table-{0}\">\n<table id=\"table-{0}\" aria-labelledby=\"caption-table-{0}\">\n<thead><tr>",
        escape(&table.id)
    );
    for (place, (column, unit)) in table.columns.iter().zip(&units).enumerate() {
        let unit = unit.as_ref().map_or("", |unit| &unit.name);
        let unit = if unit.is_empty() {
            String::new()
        } else {
            format!(" <span class=\"unit\">{}</span>", escape(unit))
        };
        let is_number = |row: &Vec<Cell>| matches!(row.get(place), Some(Cell::Number(_)));
        let class = if table.rows.iter().any(is_number) { " class=\"num\"" } else { "" };
        let mark = marks[place].map_or_else(String::new, |mark| format!(" {}", badge(mark)));
        *page += &format!("<th scope=\"col\"{class}>{}{mark}{unit}</th>", escape(&column.name));
    }
    *page += "</tr></thead>\n<tbody>\n";
    let mut is_first = true;
    for row in &table.rows {
        *page += "<tr>";
        for (place, cell) in row.iter().enumerate() {
            let unit = units.get(place).and_then(Option::as_ref);
            push_cell(page, cell, (unit, marks[place].is_none()), place == 0, &mut is_first);
        }
        *page += "</tr>\n";
    }
    *page += "</tbody></table></div></div>\n";
}

/// Writes a cell. `is_first` tells whether no number of the table came before: that one is reached by the Tab key, and the
/// others from there by arrow keys.
fn push_cell(
    page: &mut String,
    cell: &Cell,
    (unit, has_mark): (Option<&ShownUnit>, bool),
    is_head: bool,
    is_first: &mut bool,
) {
    let (open, close) = if is_head { ("<th scope=\"row\"", "</th>") } else { ("<td", "</td>") };
    match cell {
        Cell::Text(text) if text.chars().count() <= SHORT => {
            *page += &format!("{open} class=\"short\"><bdi>{}</bdi>{close}", escape(text));
        }
        Cell::Text(text) => *page += &format!("{open}><bdi>{}</bdi>{close}", escape(text)),
        Cell::Mono(text) => *page += &format!("{open}><code>{}</code>{close}", escape(text)),
        Cell::Empty => *page += &format!("{open}>{close}"),
        Cell::Number(number) => {
            let span = match unit {
                Some(unit) => number_span(number, unit, [false, has_mark, *is_first]),
                None => number_span(number, &number.shown_unit(), [true, has_mark, *is_first]),
            };
            *is_first = false;
            *page += &format!("{open} class=\"num\">{span}{close}");
        }
    }
}

/// Returns the mark that all known numbers of a column have. It stands in the column's head, not at each number.
fn common_mark(table: &Table, place: usize) -> Option<Mark> {
    let numbers = table.rows.iter().filter_map(|row| match row.get(place) {
        Some(Cell::Number(number)) if number.known().is_some() => Some(number.mark),
        _ => None,
    });
    let mut marks: Vec<Option<Mark>> = numbers.collect();
    marks.dedup();
    if marks.len() == 1 { marks[0] } else { None }
}

fn badge(mark: Mark) -> String {
    format!("<span class=\"mark {0}\">{0}</span>", mark.word())
}

/// Writes a number: whether with its unit, whether with its mark, and whether the Tab key goes to it.
fn number_span(
    number: &Number,
    unit: &ShownUnit,
    [has_unit, has_mark, is_reached]: [bool; 3],
) -> String {
    let tab = if is_reached { "0" } else { "-1" };
    let shown = match number.rounded(unit) {
        Some(rounded) if rounded.uncertainty.is_empty() => escape(&rounded.value),
        Some(rounded) => {
            format!(
                "{} <span class=\"u\">± {}</span>",
                escape(&rounded.value),
                escape(&rounded.uncertainty)
            )
        }
        None => "not known".to_owned(),
    };
    let unit = match has_unit && number.known().is_some() && !unit.name.is_empty() {
        true => format!(" <span class=\"unit\">{}</span>", escape(&unit.name)),
        false => String::new(),
    };
    let class = if number.known().is_some() { "n" } else { "n none" };
    let mark = number.mark.filter(|_| has_mark);
    let mark = mark.map_or_else(String::new, |mark| format!(" {}", badge(mark)));
    let tip = escape(&number.explanation());
    format!(
        "<span class=\"{class}\" tabindex=\"{tab}\" data-tip=\"{tip}\">{shown}{unit}{mark}</span>"
    )
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
        escape(&chart.caption)
    );
    super::chart_table::tables(chart).iter().for_each(|table| push_table(page, table));
    *page += "</details>\n</figure>\n";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_element() {
        assert_eq!(
            escape("</script><b a='\"'>&\u{202e}"),
            "&lt;/script&gt;&lt;b a=&#39;&quot;&#39;&gt;&amp;⟨U+202E⟩"
        );
    }
}
