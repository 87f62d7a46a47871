//! Prints the comparison of two runs: what differs, then the conclusion.

use super::{ROWS, bold, lines, plain_table, print_left_out, split_shown};
use crate::untrusted::{cell, line};
use comfy_table::{Cell, CellAlignment};
use llem_compare::{
    Agreement, Comparison, Difference, NumberDifference, NumberSide, RequestName, UncertaintyKind,
};
use llem_quantity::significant;
use std::{
    io::{self, Write},
    path::Path,
};

/// Prints notes, differences, numbers, and the conclusion. `folder` is that of a replay.
pub(crate) fn print(
    comparison: &Comparison,
    folder: Option<&Path>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (first, second) = (cell(&comparison.first.id), cell(&comparison.second.id));
    let verb = if folder.is_some() { "repeats" } else { "beside" };
    writeln!(out, "{} {verb} {}", bold(&second), bold(&first))?;
    let note = console::style("note").yellow().bold();
    lines(out, note, "notes", comparison.notes.iter().map(String::as_str))?;
    print_differences("method", &comparison.method, out)?;
    print_requests(comparison, out)?;
    print_tokens(comparison, out)?;
    print_numbers(comparison, out)?;
    print_differences("environment", &comparison.environment, out)?;
    writeln!(out)?;
    for (name, finding) in comparison.verdict.lines() {
        let name = console::style(format!("{name:<11}"));
        let name = match finding.is_same {
            Some(true) => name.green(),
            Some(false) | None => name.yellow(),
        };
        writeln!(out, "{name} {}", line(&finding.text))?;
    }
    match folder {
        Some(folder) => writeln!(out, "\n{} {}", bold("record"), line(&folder.to_string_lossy())),
        None => Ok(()),
    }
}

/// Prints facts in which the runs differ.
fn print_differences(
    head: &str,
    differences: &[Difference],
    out: &mut dyn Write,
) -> io::Result<()> {
    if differences.is_empty() {
        return Ok(());
    }
    let mut table = plain_table([head, "first", "second"]);
    let (shown, more) = split_shown(differences, ROWS);
    for difference in shown {
        table.add_row([
            cell(&difference.name),
            text(difference.first.as_deref()),
            text(difference.second.as_deref()),
        ]);
    }
    writeln!(out, "\n{}\n{}", bold(&format!("differences of {head}")), table.trim_fmt())?;
    print_left_out(out, more.len(), "differences")
}

fn print_requests(comparison: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let requests = &comparison.requests;
    if !requests.unmatched.is_empty() {
        let mut table = plain_table(["phase", "label", "requests of the first", "of the second"]);
        let (groups, more) = split_shown(&requests.unmatched, ROWS);
        for group in groups {
            let counts = [group.first, group.second].map(|count| count.to_string());
            let names = [&group.phase, &group.label].map(|name| cell(name));
            table.add_row(names.into_iter().chain(counts));
        }
        writeln!(out, "\n{}\n{}", bold("numbers of requests"), table.trim_fmt())?;
        print_left_out(out, more.len(), "groups")?;
    }
    if requests.differences.is_empty() {
        return Ok(());
    }
    let mut table = plain_table(["request", "field", "first", "second"]);
    let fields: Vec<(&RequestName, &Difference)> = requests
        .differences
        .iter()
        .flat_map(|request| request.fields.iter().map(|field| (&request.request, field)))
        .collect();
    let (shown, more) = split_shown(&fields, ROWS);
    for (request, field) in shown {
        table.add_row([
            name(request),
            cell(&field.name),
            text(field.first.as_deref()),
            text(field.second.as_deref()),
        ]);
    }
    writeln!(out, "\n{}\n{}", bold("differences of requests"), table.trim_fmt())?;
    print_left_out(out, more.len(), "differences")
}

fn print_tokens(comparison: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let differences = &comparison.tokens.differences;
    if differences.is_empty() {
        return Ok(());
    }
    let mut table = plain_table(["request", "sequence", "position", "first", "second"]);
    let (shown, more) = split_shown(differences, ROWS);
    for difference in shown {
        let token = |token: Option<u32>| token.map_or("end".to_owned(), |token| token.to_string());
        table.add_row([
            name(&difference.request),
            difference.sequence.to_string(),
            difference.position.to_string(),
            token(difference.first),
            token(difference.second),
        ]);
    }
    let head = bold("sequences with other tokens, each with its first difference");
    writeln!(out, "\n{head}\n{}", table.trim_fmt())?;
    print_left_out(out, more.len(), "sequences")
}

fn print_numbers(comparison: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let numbers = &comparison.numbers.numbers;
    if numbers.is_empty() {
        return Ok(());
    }
    let heads = ["of", "number", "first", "second", "unit", "difference", "u", "effect", ""];
    let mut table = plain_table(heads);
    let (shown, more) = split_shown(numbers, ROWS);
    for number in shown {
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        let optional = |value: Option<f64>| right(value.map_or("-".to_owned(), significant));
        let effect =
            number.effect_percent.map_or("-".to_owned(), |effect| format!("{effect:+.1} %"));
        table.add_row([
            Cell::new(cell(&number.of)),
            Cell::new(cell(&number.name)),
            right(side(number.first.as_ref())),
            right(side(number.second.as_ref())),
            Cell::new(cell(&number.unit.replace(['{', '}'], ""))),
            optional(number.difference),
            optional(number.uncertainty),
            right(effect),
            Cell::new(agreement(number)),
        ]);
    }
    writeln!(out, "\n{}\n{}", bold("numbers"), table.trim_fmt())?;
    print_left_out(out, more.len(), "numbers")?;
    let is_mean = |number: &NumberDifference| {
        number.uncertainty.is_some() && number.uncertainty_kind == UncertaintyKind::StandardError
    };
    writeln!(out, "  u: one standard uncertainty of the difference; within: at most 2 u apart")?;
    if numbers.iter().any(is_mean) {
        writeln!(
            out,
            "  the u of means is their standard error, from the spread within each run: runs of one method spread more"
        )?;
    }
    Ok(())
}

fn agreement(number: &NumberDifference) -> &'static str {
    match number.agreement {
        Agreement::Within => "within",
        Agreement::Beyond => "beyond",
        Agreement::Equal => "equal",
        Agreement::Undecided => "no u",
        Agreement::InOne => "in one only",
    }
}

fn side(side: Option<&NumberSide>) -> String {
    side.map_or("-".to_owned(), |side| significant(side.value))
}

fn text(value: Option<&str>) -> String {
    value.map_or("-".to_owned(), cell)
}

fn name(request: &RequestName) -> String {
    let RequestName { phase, label, index, .. } = request;
    cell(&format!("{phase}: {label}, {index}"))
}
