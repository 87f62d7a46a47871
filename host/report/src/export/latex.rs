//! The tables as LaTeX for a paper: booktabs and nothing else, numbers rounded by their uncertainty. Tables of texts only,
//! such as the method, are left out, and so is the table of every number.

use super::{plain_cell, plain_head};
use crate::{
    document::{Block, Cell, Report, Table},
    visible::visible,
};

/// Writes the tables, each a `table` environment with a caption and a label.
pub(super) fn render(report: &Report) -> String {
    let mut text = format!(
        "% Tables of {} by llem {}. \\usepackage{{booktabs}} is needed; \\pm is one standard uncertainty.\n",
        escape(&report.title),
        report.version
    );
    for section in report.sections.iter().filter(|section| section.id != "numbers") {
        for block in &section.blocks {
            let Block::Table(table) = block else { continue };
            let is_number = |cell: &Cell| matches!(cell, Cell::Number(_));
            if table.rows.iter().flatten().any(is_number) {
                text += &table_text(table);
            }
        }
    }
    text
}

fn table_text(table: &Table) -> String {
    let units = table.shown_units();
    let is_number =
        |place: usize| table.rows.iter().any(|row| matches!(row.get(place), Some(Cell::Number(_))));
    let columns: String =
        (0..table.columns.len()).map(|place| if is_number(place) { 'r' } else { 'l' }).collect();
    let line = |cells: Vec<String>| format!("    {} \\\\\n", cells.join(" & "));
    let heads = table
        .columns
        .iter()
        .zip(&units)
        .map(|(column, unit)| escape(&plain_head(column, unit.as_ref())));
    let mut text = format!(
        "\n\\begin{{table}}\n  \\centering\n  \\caption{{{}}}\n  \\label{{tab:{}}}\n  \\begin{{tabular}}{{@{{}}{columns}@{{}}}}\n    \\toprule\n",
        escape(&table.caption),
        table.id.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-")
    );
    text += &line(heads.collect());
    text += "    \\midrule\n";
    for row in &table.rows {
        let cells =
            row.iter().zip(&units).map(|(cell, unit)| escape(&plain_cell(cell, unit.as_ref())));
        text += &line(cells.collect());
    }
    text + "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n"
}

/// Escapes what TeX would obey, and writes the signs that pdfTeX's fonts lack as commands.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                safe.push('\\');
                safe.push(c);
            }
            '\\' => safe.push_str("\\textbackslash{}"),
            '~' => safe.push_str("\\textasciitilde{}"),
            '^' => safe.push_str("\\textasciicircum{}"),
            '<' => safe.push_str("\\textless{}"),
            '>' => safe.push_str("\\textgreater{}"),
            '±' => safe.push_str("$\\pm$"),
            'µ' => safe.push_str("$\\mu$"),
            '°' => safe.push_str("$^\\circ$"),
            '·' => safe.push_str("$\\cdot$"),
            '–' => safe.push_str("--"),
            '…' => safe.push_str("\\dots{}"),
            '⟨' => safe.push_str("$\\langle$"),
            '⟩' => safe.push_str("$\\rangle$"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    #[test]
    fn commands_in_a_name_stay_text() {
        assert_eq!(
            super::escape(r"50% \input{x} ± 1 µs"),
            r"50\% \textbackslash{}input\{x\} $\pm$ 1 $\mu$s"
        );
    }
}
