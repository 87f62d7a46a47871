//! The first cells of every table of groups.

use crate::untrusted::cell;
use comfy_table::{Cell, CellAlignment};
use llem_record::RunRecord;

/// A group's row: its phase, its label (with its model if there are several), and its numbers.
pub(super) fn group_row<const N: usize>(
    record: &RunRecord,
    phase: &str,
    label: &str,
    model: Option<u64>,
    numbers: [String; N],
) -> Vec<Cell> {
    let phase = if phase.is_empty() { "-" } else { phase };
    let model = model.filter(|_| record.models.len() > 1);
    let model = model.map_or_else(String::new, |model| format!(", model {model}"));
    let numbers =
        numbers.map(|number| Cell::new(cell(&number)).set_alignment(CellAlignment::Right));
    let texts = [Cell::new(cell(phase)), Cell::new(cell(label) + &model)];
    texts.into_iter().chain(numbers).collect()
}
