//! `llem schema`: the record's form, for whoever reads it by program.

use super::output::print_json;
use llem_record::{Line, RunRecord};

/// Print the JSON Schema of run.json, or of a line of events.jsonl.
#[derive(clap::Args)]
pub struct Args {
    /// Of a line of events.jsonl instead
    #[arg(long)]
    events: bool,
}

impl Args {
    /// Prints it.
    pub fn run(self) -> anyhow::Result<()> {
        let schema = if self.events {
            schemars::schema_for!(Line)
        } else {
            schemars::schema_for!(RunRecord)
        };
        print_json(&serde_json::to_string_pretty(&schema)?)
    }
}
