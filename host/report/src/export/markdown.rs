//! The report as Markdown, with tables of GitHub's kind. Numbers are rounded by their uncertainty.

use super::{plain_cell, plain_head};
use crate::{
    document::{Block, Level, Report, Table},
    visible::visible,
};

/// Writes the report.
pub(super) fn render(report: &Report) -> String {
    let mut text = format!(
        "# {}\n\nBy llem {}. ± is one standard uncertainty.\n",
        escape(&report.title),
        report.version
    );
    for section in &report.sections {
        text += &format!("\n## {}\n", section.title);
        for block in &section.blocks {
            text.push('\n');
            match block {
                Block::Text(words) => text += &format!("{}\n", escape(words)),
                Block::Warnings(warnings) => {
                    for warning in warnings {
                        let word = match warning.level {
                            Level::Failure => "Failed",
                            Level::Warning => "Warning",
                            Level::Absent => "Not known",
                            Level::Script => "From the script",
                        };
                        let runs = escape(&warning.runs.join(", "));
                        text += &format!("- **{word}**: {} ({runs})\n", escape(&warning.text));
                    }
                }
                Block::Figures(figures) => {
                    for (name, number) in figures {
                        let unit = number.shown_unit();
                        text += &format!(
                            "- {}: {} {}\n",
                            escape(name),
                            number.text(&unit),
                            escape(&unit.name)
                        );
                    }
                }
                Block::Table(table) => text += &table_text(table),
                Block::Chart(chart) => {
                    text += &format!("*{}*: {}\n", escape(&chart.title), escape(&chart.caption));
                }
                Block::Code { caption, text: code } => {
                    text += &format!("{}:\n\n    {}\n", escape(caption), visible(code));
                }
            }
        }
    }
    text
}

fn table_text(table: &Table) -> String {
    let units = table.shown_units();
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let heads = table
        .columns
        .iter()
        .zip(&units)
        .map(|(column, unit)| escape(&plain_head(column, unit.as_ref())));
    let mut text = format!("{}:\n\n", escape(&table.caption));
    text += &line(heads.collect());
    let rules = table
        .columns
        .iter()
        .map(|column| if column.unit.is_some() { "---:" } else { "---" }.to_owned());
    text += &line(rules.collect());
    for row in &table.rows {
        let cells =
            row.iter().zip(&units).map(|(cell, unit)| escape(&plain_cell(cell, unit.as_ref())));
        text += &line(cells.collect());
    }
    text
}

/// Escapes what Markdown or HTML within it would obey.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                safe.push('\\');
                safe.push(c);
            }
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    #[test]
    fn markup_in_a_name_stays_text() {
        assert_eq!(super::escape("a|b ![x](y) <i>"), r"a\|b \!\[x\](y) &lt;i&gt;");
    }
}
