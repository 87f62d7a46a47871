//! The command `llem schema`: the JSON Schema of the record.

use super::output::print_json;
use llem_compare::Comparison;
use llem_record::{JournalLine, RunRecord};

/// Print the JSON Schema of run.json, of a line of events.jsonl, or of replay.json.
#[derive(clap::Args)]
pub(crate) struct SchemaArgs {
    /// Of a line of events.jsonl instead
    #[arg(long)]
    events: bool,
    /// Of the comparison of two runs, replay.json, instead
    #[arg(long, conflicts_with = "events")]
    comparison: bool,
}

impl SchemaArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let schema = if self.events {
            schemars::schema_for!(JournalLine)
        } else if self.comparison {
            schemars::schema_for!(Comparison)
        } else {
            schemars::schema_for!(RunRecord)
        };
        print_json(&serde_json::to_string_pretty(&schema)?)
    }
}
