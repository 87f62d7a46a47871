//! From events to the record: the only place where a line of the journal is counted in, whether it is written just now
//! or read back by `llem recover`.

use crate::{
    event::{Event, Line},
    schema::{Phase, Plan, RunRecord, SCHEMA_VERSION, Status},
    statistics::GroupSamples,
};
use std::collections::HashMap;

/// A record in the making.
pub struct RecordBuilder {
    record: RunRecord,
    /// By phase and label, in the order of first appearance.
    groups: Vec<((String, String), GroupSamples)>,
    /// Where each stands: a run may have as many as requests.
    places: HashMap<(String, String), usize>,
    /// Phases that have not ended, with when they began, outermost first.
    open_phases: Vec<(String, u64)>,
    /// The latest moment that was told.
    last_ns: u64,
}

impl RecordBuilder {
    /// A run that has begun.
    pub fn new(id: String, started_at: String, plan: Plan) -> Self {
        let record = RunRecord {
            schema_version: SCHEMA_VERSION.to_owned(),
            id,
            status: Status::Running,
            error: None,
            started_at,
            wall_ns: 0,
            recovered: None,
            plan,
            models: Vec::new(),
            adapters: Vec::new(),
            phases: Vec::new(),
            groups: Vec::new(),
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
            groups: Vec::new(),
            places: HashMap::new(),
            open_phases: Vec::new(),
            last_ns: 0,
        }
    }

    /// Counts an event in.
    pub fn add(&mut self, line: Line) {
        let Line { t_ns, event } = line;
        self.last_ns = self.last_ns.max(t_ns);
        let record = &mut self.record;
        match event {
            Event::Model(model) => record.models.push(model),
            Event::Adapter(adapter) => record.adapters.push(adapter),
            Event::PhaseBegan { phase } => self.open_phases.push((phase, t_ns)),
            Event::PhaseEnded { phase, wall_ns } => {
                if let Some(open) = self.open_phases.iter().rposition(|(name, _)| *name == phase) {
                    self.open_phases.remove(open);
                }
                let started_ns = t_ns.saturating_sub(wall_ns);
                record.phases.push(Phase { phase, started_ns, wall_ns });
            }
            Event::Generation(generation) => {
                self.group(&generation.window.phase, &generation.window.label).add(&generation);
            }
            Event::BatchSequence(ended) => {
                self.group(&ended.phase, &ended.label).add_sequence(&ended.sequence);
            }
            Event::Window(window) => record.windows.push(window),
            Event::Devices { devices } => record.devices = devices,
            Event::Baseline(baseline) => record.baselines.push(baseline),
            Event::Timeline(timeline) => record.timeline = Some(timeline),
            Event::Metric(metric) => record.metrics.push(metric),
            Event::Series(series) => record.series.push(series),
            Event::Table(table) => record.tables.push(table),
            Event::Artifact(artifact) => record.artifacts.push(artifact),
            Event::Warning { message } => record.warnings.push(message),
            Event::Ended { status, error } => {
                record.status = status;
                record.error = error;
                record.wall_ns = t_ns;
            }
            Event::Started { .. } | Event::Log { .. } => {}
        }
    }

    /// The record as far as it is known without its groups: what is written when a run begins.
    pub fn begun(&self) -> &RunRecord {
        &self.record
    }

    /// The latest moment that was told, in nanoseconds since the run began.
    pub fn last_ns(&self) -> u64 {
        self.last_ns
    }

    /// The whole record. Phases that are still open end with the last moment that is known.
    pub fn finish(mut self) -> RunRecord {
        while let Some((phase, started_ns)) = self.open_phases.pop() {
            let wall_ns = self.last_ns.saturating_sub(started_ns);
            self.record.phases.push(Phase { phase, started_ns, wall_ns });
        }
        let groups = self.groups.iter();
        self.record.groups =
            groups.map(|((phase, label), samples)| samples.summarise(phase, label)).collect();
        self.record
    }

    /// The group of a phase and label, made if there is none.
    fn group(&mut self, phase: &str, label: &str) -> &mut GroupSamples {
        let key = (phase.to_owned(), label.to_owned());
        let place = *self.places.entry(key).or_insert_with_key(|key| {
            self.groups.push((key.clone(), GroupSamples::default()));
            self.groups.len() - 1
        });
        &mut self.groups[place].1
    }
}
