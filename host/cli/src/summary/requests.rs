//! Prints the tables of requests: those that generate, and those that score.

use super::{ROWS, bold, energy, group_row::group_row, plain_table, print_left_out, split_shown};
use llem_quantity::{Quantity, significant};
use llem_record::{Distribution, RunRecord};
use std::io::{self, Write};

/// Prints requests by phase and label. Warm-up is included, so that readers see how it differs.
pub(super) fn print_groups(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    if record.groups.is_empty() {
        return Ok(());
    }
    let mut table = plain_table([
        "phase",
        "requests",
        "n",
        "prompt tok",
        "output tok",
        "TTFT ms",
        "ITL ms",
        "TPOT ms",
        "prefill tok/s",
        "decode tok/s",
        "J/token",
        "energy of",
        "energy by",
    ]);
    let (groups, more) = split_shown(&record.groups, ROWS);
    for group in groups {
        let numbers = [
            group.requests.to_string(),
            group.activity.prompt_tokens.to_string(),
            group.activity.output_tokens.to_string(),
            milliseconds(group.ttft_s.as_ref()),
            milliseconds(group.itl_s.as_ref()),
            milliseconds(group.tpot_s.as_ref()),
            rate(group.prefill_rate.as_ref()),
            rate(group.decode_rate.as_ref()),
            energy::energy(&group.energy_per_output_token),
            energy::covered(&group.energy_covers),
            energy::energy_source(&group.energy),
        ];
        table.add_row(group_row(record, &group.phase, &group.label, group.model, numbers));
    }
    writeln!(out, "\n{}\n{}", bold("requests"), table.trim_fmt())?;
    print_left_out(out, more.len(), "rows of requests")?;
    writeln!(out, "  latencies: median, 99th percentile")
}

/// Prints scoring by phase and kind.
pub(super) fn print_scores(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    if record.score_groups.is_empty() {
        return Ok(());
    }
    let mut table = plain_table([
        "phase",
        "scoring",
        "calls",
        "requests",
        "tok run",
        "tok scored",
        "run tok/s",
        "scored tok/s",
        "J/token run",
        "energy of",
        "energy by",
    ]);
    let (groups, more) = split_shown(&record.score_groups, ROWS);
    for group in groups {
        let numbers = [
            group.calls.to_string(),
            group.requests.to_string(),
            group.activity.prompt_tokens.to_string(),
            group.scored_tokens.to_string(),
            rate(group.prefill_rate.as_ref()),
            rate(group.score_rate.as_ref()),
            energy::energy(&group.energy_per_token),
            energy::covered(&group.energy_covers),
            energy::energy_source(&group.energy),
        ];
        table.add_row(group_row(record, &group.phase, &group.label, group.model, numbers));
    }
    writeln!(out, "\n{}\n{}", bold("scores"), table.trim_fmt())?;
    print_left_out(out, more.len(), "rows of scores")
}

fn milliseconds(distribution: Option<&Distribution>) -> String {
    distribution.map_or_else(
        || "-".to_owned(),
        |times| format!("{} {}", significant(times.p50 * 1e3), significant(times.p99 * 1e3)),
    )
}

fn rate(rate: Option<&Quantity>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| significant(rate.value))
}
