//! The command `llem recover`: rebuilds the record of a run that was killed.

use super::output::print_record;
use std::path::PathBuf;

/// Rebuild the record of a run that was killed, from its journal.
#[derive(clap::Args)]
pub(crate) struct RecoverArgs {
    /// The run's folder; a record in it that is complete stays as it is
    folder: PathBuf,
    /// Print the run record as JSON instead of a summary
    #[arg(long)]
    json: bool,
}

impl RecoverArgs {
    /// Rebuilds the record and prints it as `llem exec` does.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let recovered = llem_record::recover(&self.folder).map_err(llem_runtime::Error::from)?;
        print_record(&recovered.record, Some(&self.folder), self.json)?;
        if !recovered.is_new {
            eprintln!("the record is complete: nothing to recover");
        }
        Ok(())
    }
}
