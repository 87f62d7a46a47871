//! The command `llem watch`: shows a run of another process while it goes on. It only reads the run's journal.

use super::output::print_record;
use crate::{
    untrusted::line,
    watch::{WatchEnd, watch_journal},
};
use llem_record::{RunRecord, RunStatus};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long the record is waited for after the journal's end. It is written right after it.
const RECORD_PATIENCE: Duration = Duration::from_secs(5);

/// Show a run of another process while it goes on, from its journal.
#[derive(clap::Args)]
pub(crate) struct WatchArgs {
    /// The run's folder, which holds events.jsonl; the run is not affected
    #[arg(value_name = "RUN")]
    folder: PathBuf,
}

impl WatchArgs {
    /// Shows the run until it ends, and prints its summary then.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let shown = line(&self.folder.to_string_lossy());
        match watch_journal(&self.folder).map_err(llem_runtime::Error::from)? {
            WatchEnd::RunEnded => match complete_record(&self.folder) {
                Some(record) => print_record(&record, Some(&self.folder), false),
                None => anyhow::bail!(
                    "the run in {shown} has ended, but its run.json cannot be read: llem recover {shown} rebuilds it"
                ),
            },
            WatchEnd::Quit => {
                eprintln!("the run goes on; llem watch {shown} shows it again");
                Ok(())
            }
            WatchEnd::Killed => anyhow::bail!(
                "the run in {shown} was killed, for no process writes its journal any more: llem recover {shown} rebuilds its record"
            ),
        }
    }
}

/// Waits for the record of a run that has ended.
fn complete_record(folder: &Path) -> Option<RunRecord> {
    let since = Instant::now();
    loop {
        let read = fs::read(folder.join("run.json")).ok();
        let record = read.and_then(|text| serde_json::from_slice::<RunRecord>(&text).ok());
        let record = record.filter(|record| record.status != RunStatus::Running);
        if record.is_some() || since.elapsed() > RECORD_PATIENCE {
            return record;
        }
        thread::sleep(Duration::from_millis(100));
    }
}
