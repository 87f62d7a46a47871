//! Turns events into the record. This is the only place that adds a line of the journal to the record, both while a run
//! goes on and when `llem recover` reads the journal back.

use crate::{
    event::{Event, JournalLine, RunStatus},
    generation::{SequenceProgress, SequenceRecord},
    group_key::GroupKey,
    plan::RunPlan,
    schema::{PhaseRecord, RunRecord, SCHEMA_VERSION},
    score::ScoreSamples,
    statistics::RequestSamples,
};
use indexmap::IndexMap;
use std::{borrow::Cow, collections::BTreeMap};

/// The record of a run, made from its events one by one.
pub struct RecordBuilder {
    record: RunRecord,
    /// Samples of generated requests, in the order in which their groups first appeared.
    groups: IndexMap<GroupKey, RequestSamples>,
    /// Samples of scoring calls, in the order in which their groups first appeared.
    score_groups: IndexMap<GroupKey, ScoreSamples>,
    /// Sequences of continuous batches that have progress but no end yet, by batch and name, with their model. They are
    /// added to the groups when the record is finished.
    open_sequences: BTreeMap<(u64, u64), (Option<u64>, SequenceProgress)>,
    /// Phases that have not ended, outermost first, with the time at which they began, ns.
    open_phases: Vec<(String, u64)>,
    /// The latest time of an event, ns since the run began.
    last_ns: u64,
}

impl RecordBuilder {
    /// Creates the record of a run that has just begun.
    pub fn new(id: String, started_at: String, plan: RunPlan) -> Self {
        let record = RunRecord {
            schema_version: SCHEMA_VERSION.to_owned(),
            id,
            status: RunStatus::Running,
            error: None,
            started_at,
            wall_ns: 0,
            recovered: None,
            plan,
            models: Vec::new(),
            adapters: Vec::new(),
            batches: Vec::new(),
            phases: Vec::new(),
            groups: Vec::new(),
            score_groups: Vec::new(),
            windows: Vec::new(),
            devices: Vec::new(),
            baselines: Vec::new(),
            timeline: None,
            metrics: Vec::new(),
            series: Vec::new(),
            tables: Vec::new(),
            artifacts: Vec::new(),
            warnings: Vec::new(),
        };
        Self {
            record,
            groups: IndexMap::new(),
            score_groups: IndexMap::new(),
            open_sequences: BTreeMap::new(),
            open_phases: Vec::new(),
            last_ns: 0,
        }
    }

    /// Adds an event to the record.
    pub fn add(&mut self, line: JournalLine) {
        let JournalLine { t_ns, event } = line;
        self.last_ns = self.last_ns.max(t_ns);
        let record = &mut self.record;
        match event {
            Event::Model(model) => record.models.push(model),
            Event::Adapter(adapter) => record.adapters.push(adapter),
            Event::BatchOpened(batch) => record.batches.push(batch),
            Event::PhaseBegan { phase } => self.open_phases.push((phase, t_ns)),
            Event::PhaseEnded { phase, wall_ns } => {
                if let Some(open) = self.open_phases.iter().rposition(|(name, _)| *name == phase) {
                    self.open_phases.remove(open);
                }
                let started_ns = t_ns.saturating_sub(wall_ns);
                record.phases.push(PhaseRecord { phase, started_ns, wall_ns });
            }
            Event::Generation(generation) => {
                let window = &generation.window;
                let key = GroupKey::new(generation.model, &window.phase, &window.label);
                self.groups.entry(key).or_default().add(&generation);
            }
            Event::BatchProgress(progress) => {
                for news in progress.sequences {
                    self.add_progress(progress.model, progress.batch, news);
                }
            }
            Event::BatchSequence(ended) => {
                self.open_sequences.remove(&(ended.batch, ended.name));
                let key = GroupKey::new(ended.model, &ended.phase, &ended.label);
                self.groups.entry(key).or_default().add_sequence(&ended.sequence);
            }
            Event::Score(call) => {
                let window = &call.window;
                let key = GroupKey::new(call.model, &window.phase, &window.label);
                self.score_groups.entry(key).or_default().add(&call);
            }
            Event::ScoreProgress(progress) => {
                let key = GroupKey::new(progress.model, &progress.phase, &progress.label);
                self.score_groups.entry(key).or_default().set_progress(&progress);
            }
            Event::Window(window) => record.windows.push(window),
            Event::Devices { devices } => record.devices = devices,
            Event::Baseline(baseline) => record.baselines.push(baseline),
            Event::Timeline(timeline) => record.timeline = Some(timeline),
            Event::Metric(metric) => record.metrics.push(metric.into_current()),
            Event::Series(series) => record.series.push(series),
            Event::Table(table) => record.tables.push(table),
            Event::Artifact(artifact) => record.artifacts.push(artifact),
            event @ (Event::Warning { .. } | Event::ScriptWarning { .. }) => {
                record.warnings.extend(event.warning().map(Cow::into_owned));
            }
            Event::Ended { status, error } => {
                record.status = status;
                record.error = error;
                record.wall_ns = t_ns;
            }
            Event::Started { .. } | Event::BatchRequest(_) | Event::Log { .. } => {}
        }
    }

    /// Returns the record so far, without its groups. It is written when a run begins.
    pub fn begun(&self) -> &RunRecord {
        &self.record
    }

    /// Returns the latest time of an event, ns since the run began.
    pub fn last_ns(&self) -> u64 {
        self.last_ns
    }

    /// Returns the whole record. Phases that are still open end at the latest time of an event.
    pub fn finish(mut self) -> RunRecord {
        while let Some((phase, started_ns)) = self.open_phases.pop() {
            let wall_ns = self.last_ns.saturating_sub(started_ns);
            self.record.phases.push(PhaseRecord { phase, started_ns, wall_ns });
        }
        for (model, sequence) in std::mem::take(&mut self.open_sequences).into_values() {
            let key = GroupKey::new(model, &sequence.phase, &sequence.label);
            self.groups.entry(key).or_default().add_sequence(&interrupted_sequence(sequence));
        }
        let groups = self.groups.iter();
        self.record.groups = groups.map(|(key, samples)| samples.summarise(key)).collect();
        let groups = self.score_groups.iter();
        self.record.score_groups = groups.map(|(key, samples)| samples.summarise(key)).collect();
        self.record
    }

    /// Adds progress of a sequence, but only if it continues what is known. After a lost line, later progress is ignored.
    fn add_progress(&mut self, model: Option<u64>, batch: u64, news: SequenceProgress) {
        let known = self.open_sequences.get(&(batch, news.name));
        if news.first as usize != known.map_or(0, |(_, known)| known.tokens.len()) {
            return;
        }
        if let Some((_, known)) = self.open_sequences.get_mut(&(batch, news.name)) {
            known.tokens.extend(news.tokens);
            known.token_ns.extend(news.token_ns);
        } else {
            self.open_sequences.insert((batch, news.name), (model, news));
        }
    }
}

/// Makes the record of a sequence whose end was never recorded.
fn interrupted_sequence(progress: SequenceProgress) -> SequenceRecord {
    SequenceRecord {
        prompt_tokens: progress.prompt_tokens,
        tokens: progress.tokens,
        finish: "interrupted".to_owned(),
        cached_tokens: 0,
        admitted_ns: None,
        due_in_step: false,
        submitted_ns: progress.submitted_ns,
        token_ns: progress.token_ns,
        times: Default::default(),
        adapter: None,
        energy: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::{BatchProgressRecord, BatchSequenceRecord};

    fn progress(first: u32, count: u32) -> SequenceProgress {
        SequenceProgress {
            label: "a".to_owned(),
            phase: String::new(),
            name: 0,
            prompt_tokens: 3,
            submitted_ns: 5,
            first,
            tokens: (first..first + count).collect(),
            token_ns: (first..first + count).map(|index| 10 * u64::from(index) + 10).collect(),
        }
    }

    /// Returns the numbers of requests and output tokens in the record of these events.
    fn counted(events: impl IntoIterator<Item = Event>) -> (u64, u64) {
        let mut builder = RecordBuilder::new(String::new(), String::new(), RunPlan::default());
        for event in events {
            builder.add(JournalLine { t_ns: 0, event });
        }
        let record = builder.finish();
        let activity = record.groups.iter().map(|group| group.activity);
        activity.fold((0, 0), |sum, one| (sum.0 + one.requests, sum.1 + one.output_tokens))
    }

    fn told(news: SequenceProgress) -> Event {
        Event::BatchProgress(BatchProgressRecord { model: None, batch: 0, sequences: vec![news] })
    }

    #[test]
    fn progress_is_counted_once_and_as_far_as_no_line_is_lost() {
        assert_eq!(counted([told(progress(0, 4)), told(progress(4, 2))]), (1, 6));
        assert_eq!(counted([told(progress(0, 4)), told(progress(6, 2))]), (1, 4));
        assert_eq!(counted([told(progress(4, 2))]), (0, 0));
        let ended = Event::BatchSequence(BatchSequenceRecord {
            label: "a".to_owned(),
            phase: String::new(),
            model: None,
            batch: 0,
            request: None,
            name: 0,
            sequence: interrupted_sequence(progress(0, 6)),
        });
        assert_eq!(counted([told(progress(0, 4)), ended]), (1, 6));
    }
}
