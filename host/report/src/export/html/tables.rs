//! Tables of the page. A long one shows its first rows until a button shows the rest, and one without end is limited.

use super::escape::{cut_text, escape};
use crate::{
    document::{Cell, Table},
    number::{Mark, Number},
    prefix::ShownUnit,
    visible::visible_part,
};

/// Rows from which a table scrolls within itself, can be searched, and has a button that shows it whole.
const LONG: usize = 30;

/// The most columns and cells of a table, characters of a cell, of a column's head, and of what is known of a number. A script
/// chooses how many there are, and a browser needs seconds for ten times as many.
const COLUMNS: usize = 48;
const CELLS: usize = 12_000;
const CELL: usize = 400;
const HEAD: usize = 80;
const EXPLANATION: usize = 600;

/// Characters up to which the text of a cell is one line.
const SHORT: usize = 28;

/// Writes a table with its caption. If it is limited, the caption says so and leads to where everything is.
pub(super) fn push_table(page: &mut String, table: &Table) {
    let units = table.shown_units();
    let width = table.columns.len().min(COLUMNS);
    let marks: Vec<Option<Mark>> = (0..width).map(|place| common_mark(table, place)).collect();
    let long = if table.rows.len() > LONG { " long" } else { "" };
    let caption = cut_text(&table.caption, CELL) + &limits(table);
    *page += &format!(
        "<div class=\"table\"><p class=\"caption\" id=\"caption-table-{0}\">{caption}</p>\n<div class=\"scroll{long}\" tabindex=\"0\" role=\"region\" \
         aria-labelledby=\"caption-table-{0}\">\n<table id=\"table-{0}\" aria-labelledby=\"caption-table-{0}\">\n<thead><tr>",
        escape(&table.id)
    );
    for (place, (column, unit)) in table.columns.iter().zip(&units).enumerate().take(width) {
        let unit = unit.as_ref().map_or("", |unit| &unit.name);
        let unit = if unit.is_empty() {
            String::new()
        } else {
            format!(" <span class=\"unit\">{}</span>", escape(unit))
        };
        let is_number = |row: &Vec<Cell>| matches!(row.get(place), Some(Cell::Number(_)));
        let class = if table.rows.iter().any(is_number) { " class=\"num\"" } else { "" };
        let mark = marks[place].map_or_else(String::new, |mark| format!(" {}", badge(mark)));
        *page +=
            &format!("<th scope=\"col\"{class}>{}{mark}{unit}</th>", cut_text(&column.name, HEAD));
    }
    *page += "</tr></thead>\n<tbody>\n";
    let mut is_first = true;
    for row in table.rows.iter().take(most_rows(table)) {
        *page += "<tr>";
        for (place, cell) in row.iter().enumerate().take(width) {
            let unit = units.get(place).and_then(Option::as_ref);
            push_cell(page, cell, (unit, marks[place].is_none()), place == 0, &mut is_first);
        }
        *page += "</tr>\n";
    }
    *page += "</tbody></table></div></div>\n";
}

/// Returns what a table of the page leaves out, as a sentence with a link. Empty if it has everything.
fn limits(table: &Table) -> String {
    let rows = (table.rows.len(), most_rows(table), "rows");
    let limited = [rows, (table.columns.len(), COLUMNS, "columns")];
    let limited = limited.into_iter().filter(|(count, most, _)| count > most);
    let parts = limited.map(|(count, most, what)| format!("the first {most} of {count} {what}"));
    match &parts.collect::<Vec<_>>()[..] {
        [] => String::new(),
        parts => format!(
            "; here are {}, <a href=\"#all-data\">the rest is in the record</a>",
            parts.join(" and ")
        ),
    }
}

fn most_rows(table: &Table) -> usize {
    CELLS / table.columns.len().clamp(1, COLUMNS)
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
        Cell::Text(text) => *page += &format!("{open}><bdi>{}</bdi>{close}", cut_text(text, CELL)),
        Cell::Mono(text) => {
            *page += &format!("{open}><code>{}</code>{close}", cut_text(text, CELL));
        }
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
pub(super) fn number_span(
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
    let tip = escape(&visible_part(&number.explanation(), EXPLANATION));
    format!(
        "<span class=\"{class}\" tabindex=\"{tab}\" data-tip=\"{tip}\">{shown}{unit}{mark}</span>"
    )
}
