//! The report as one page of HTML that needs nothing else. Text and tables are plain HTML; charts are drawn from a block of
//! JSON by the page's script.
//!
//! Everything from a record passes [`escape()`], or is JSON in which no `<` stands.

mod blocks;
mod escape;
mod tables;

use super::{
    pack::pack,
    page::{ECHARTS, ECHARTS_LICENCE, ECHARTS_NOTICE, STYLE, policy, script},
};
use crate::{
    charts::{Chart, Drawing},
    document::{Block, Report},
};
use blocks::push_section;
pub(super) use escape::escape;
use serde_json::{Value, json};

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
    let about = match &report.runs[..] {
        [_] => "Report of one run".to_owned(),
        // More names fill lines, and the first table has them all.
        runs if runs.len() <= 3 => format!("Report of {}", escape(&runs.join(", "))),
        _ => "Report".to_owned(),
    };
    format!(
        "<a class=\"skip\" href=\"#main\">Skip to the report</a>\n<header>\n<div class=\"head\"><div>\
         <h1><bdi>{}</bdi></h1><p class=\"sub\">{about} by llem {}</p></div>\
         <div class=\"buttons\"><button id=\"unfold\" type=\"button\" hidden>Unfold all</button> \
         <button id=\"theme\" type=\"button\" hidden>Dark colours</button></div></div>\n\
         <nav aria-label=\"Sections\"><ul>{}</ul></nav>\n</header>\n",
        escape(&report.title),
        report.version,
        links.collect::<String>()
    )
}

fn footer(report: &Report) -> String {
    let links = report
        .record_links
        .iter()
        .map(|(run, link)| format!("<a href=\"{}\">run.json of {}</a>", escape(link), escape(run)));
    let links = match &links.collect::<Vec<_>>()[..] {
        [] => String::new(),
        links => format!(": {}", links.join(", ")),
    };
    format!(
        "<footer>\n<p>Made by <code>llem report</code> {}. This page asks no server for anything. ± is one standard \
         uncertainty; numbers end at its second digit, and hovering over or focusing on one shows the whole value and its \
         source.</p>\n<p id=\"all-data\" tabindex=\"-1\">The record of a run, <code>run.json</code> in its folder, has everything, also of what \
         is limited here{links}. <code>llem report RUN --format csv</code> writes every number in a row of its own.</p>\n\
         <details><summary>Licence of the charting library, Apache ECharts 6.1.0</summary><pre tabindex=\"0\">{}\n{}</pre></details>\n</footer>\n",
        report.version,
        escape_lines(ECHARTS_NOTICE),
        escape_lines(ECHARTS_LICENCE)
    )
}

fn escape_lines(text: &str) -> String {
    text.lines().map(|line| escape(line) + "\n").collect()
}
