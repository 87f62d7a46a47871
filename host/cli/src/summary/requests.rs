//! What requests took: those that generate, and those that score.

use super::{ROWS, bold, energy, first, group_row::group_row, left_out, plain_table};
use llem_quantity::{Quantity, significant};
use llem_record::{Distribution, RunRecord};
use std::io::{self, Write};

/// Requests by phase and label. Warm-up is shown too: that it differs is what it is for.
pub fn print_groups(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
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
    let (groups, more) = first(&record.groups, ROWS);
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
    left_out(out, more.len(), "rows of requests")?;
    writeln!(out, "  latencies: median, 99th percentile")
}

/// Scoring by phase and kind.
pub fn print_scores(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
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
    let (groups, more) = first(&record.score_groups, ROWS);
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
    left_out(out, more.len(), "rows of scores")
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
