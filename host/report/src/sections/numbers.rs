//! Every number of the records with its uncertainty, unit, source and coverage, or the reason for its absence.

use super::reported;
use crate::{
    configuration::covered,
    document::{Block, Cell, Section, Table},
    number::Number,
    run::LoadedRun,
    visible::visible,
};
use llem_quantity::{Quantity, ReadingRecord, Source};
use llem_record::{Distribution, RequestGroup, RunRecord, ScoreGroup, WindowRecord};

pub(super) fn section(runs: &[LoadedRun], names: &[String]) -> Section {
    let mut section = Section::new("numbers", "Every number");
    let mut table =
        Table::new("numbers", "Every number of the records, with its source and what it covers");
    table = table
        .column("run")
        .column("of")
        .column("number")
        .column("value")
        .column("source")
        .column("covers");
    for (run, name) in runs.iter().zip(names) {
        let mut rows = Rows { run: name, of: String::new(), rows: &mut table.rows };
        rows.add_run(&run.record);
    }
    if runs.len() == 1 {
        table.columns.remove(0);
        table.rows.iter_mut().for_each(|row| drop(row.remove(0)));
    }
    section.blocks.push(Block::Table(table));
    section
}

/// The rows of one run.
struct Rows<'a> {
    run: &'a str,
    /// What the next numbers belong to: the run, a model, a group, a window.
    of: String,
    rows: &'a mut Vec<Vec<Cell>>,
}

impl Rows<'_> {
    fn add(&mut self, name: &str, number: Number) {
        let (source, covers) = (number.source.clone(), number.coverage.clone());
        let [source, covers] =
            [source, covers].map(|text| if text.is_empty() { Cell::Empty } else { text.into() });
        let of = self.of.as_str().into();
        self.rows.push(vec![self.run.into(), of, name.into(), number.into(), source, covers]);
    }

    fn time(&mut self, name: &str, ns: u64) {
        self.add(name, Number::new(ns as f64 * 1e-9, 0.0, "s", Source::Clock));
    }

    fn count(&mut self, name: &str, count: u64, unit: &str) {
        self.add(name, Number::new(count as f64, 0.0, unit, Source::Counted));
    }

    fn quantity(&mut self, name: &str, quantity: Option<&Quantity>) {
        if let Some(quantity) = quantity {
            self.add(name, Number::from(quantity));
        }
    }

    fn reading(&mut self, name: &str, reading: Option<&ReadingRecord>, unit: &str, covers: &str) {
        if let Some(reading) = reading {
            self.add(name, Number::from_reading(reading, unit).covering(covers));
        }
    }

    fn distribution(&mut self, name: &str, of: Option<&Distribution>, unit: &str) {
        let Some(of) = of else { return };
        let error = of.standard_deviation / (of.count as f64).sqrt();
        let values = [
            ("mean", of.mean, error),
            ("median", of.p50, 0.0),
            ("p90", of.p90, 0.0),
            ("p99", of.p99, 0.0),
        ];
        for (which, value, uncertainty) in values {
            let source = if unit == "s" { Source::Clock } else { Source::Derived };
            let number = Number::new(value, uncertainty, unit, source);
            self.add(&format!("{name}, {which}"), number.covering(format!("{} values", of.count)));
        }
    }

    fn add_run(&mut self, record: &RunRecord) {
        self.of = "run".to_owned();
        self.time("duration", record.wall_ns);
        if let Some(timeline) = &record.timeline {
            self.count("samples", timeline.samples, "1");
            self.quantity("time between samples", timeline.period.as_ref());
            self.quantity("cost of sampling", timeline.sampling.as_ref());
            self.quantity("cost of writing samples", timeline.writing.as_ref());
        }
        for (place, model) in record.models.iter().enumerate() {
            self.of = if record.models.len() == 1 {
                "model".to_owned()
            } else {
                format!("model {place}")
            };
            self.count("parameters", model.parameters, "1");
            self.count("memory of the weights", model.weight_bytes, "By");
            self.time("time to load", model.load_ns);
        }
        for phase in &record.phases {
            self.of = format!("phase {}", visible(&phase.phase));
            self.time("duration", phase.wall_ns);
        }
        record.groups.iter().for_each(|group| self.add_group(group));
        record.score_groups.iter().for_each(|group| self.add_score_group(group));
        record.windows.iter().for_each(|window| self.add_window(window));
        for baseline in &record.baselines {
            self.of = format!("baseline of {}", visible(&baseline.measured_at));
            for idle in &baseline.power {
                let covers = format!("{} {}", idle.device, idle.domain);
                self.reading("power at rest", Some(&idle.power), "W", &covers);
            }
        }
        for metric in &record.metrics {
            self.of = "script".to_owned();
            let number = reported::number(metric).covering(reported::labels(metric));
            self.add(&visible(&metric.name), number);
        }
    }

    fn add_group(&mut self, group: &RequestGroup) {
        self.of = visible(&format!("requests {} {}", group.phase, group.label));
        let (activity, covers) = (&group.activity, covered(&group.energy_covers));
        self.count("requests", group.requests, "1");
        self.count("prompt tokens", activity.prompt_tokens, "{token}");
        self.count("output tokens", activity.output_tokens, "{token}");
        self.distribution("TTFT", group.ttft_s.as_ref(), "s");
        self.distribution("ITL", group.itl_s.as_ref(), "s");
        self.distribution("TPOT", group.tpot_s.as_ref(), "s");
        self.distribution("E2EL", group.e2el_s.as_ref(), "s");
        self.quantity("prefill rate", group.prefill_rate.as_ref());
        self.quantity("decode rate", group.decode_rate.as_ref());
        self.quantity("operations per prompt token", group.flops_per_input_token.as_ref());
        self.quantity("operations per output token", group.flops_per_output_token.as_ref());
        self.reading("energy", Some(&group.energy), "J", &covers);
        self.reading("energy of the CPU", group.energy_cpu.as_ref(), "J", &covers);
        self.reading("energy of accelerators", group.energy_accelerators.as_ref(), "J", &covers);
        self.reading("energy of prefill", group.energy_prefill.as_ref(), "J", &covers);
        self.reading("energy of decode", group.energy_decode.as_ref(), "J", &covers);
        self.reading(
            "energy per output token",
            Some(&group.energy_per_output_token),
            "J/{token}",
            &covers,
        );
        let prefill = group.prefill_energy_per_input_token.as_ref();
        self.reading("energy of prefill per prompt token", prefill, "J/{token}", &covers);
        let decode = group.decode_energy_per_output_token.as_ref();
        self.reading("energy of decode per decoded token", decode, "J/{token}", &covers);
        self.distribution("energy of a sequence", group.energy_per_sequence_j.as_ref(), "J");
    }

    fn add_score_group(&mut self, group: &ScoreGroup) {
        self.of = visible(&format!("scoring {} {}", group.phase, group.label));
        self.count("requests", group.requests, "1");
        self.count("scored tokens", group.scored_tokens, "{token}");
        self.reading("energy", Some(&group.energy), "J", &covered(&group.energy_covers));
    }

    fn add_window(&mut self, window: &WindowRecord) {
        self.of = visible(&format!("window {}", window.label));
        let covers = covered(&window.energy_covers);
        self.time("duration", window.wall_ns);
        self.reading("energy", Some(&window.energy_total), "J", &covers);
        for part in &window.energy {
            let of = format!("{} {}", part.device, part.domain);
            self.reading(&visible(&format!("energy of {of}")), Some(&part.energy), "J", &of);
        }
        self.reading("energy above idle", window.energy_above_idle.as_ref(), "J", &covers);
        self.reading(
            "energy per output token",
            window.energy_per_output_token.as_ref(),
            "J/{token}",
            &covers,
        );
        if let Some(phases) = &window.energy_by_phase {
            self.reading("energy of prefill", phases.prefill.as_ref(), "J", &covers);
            self.reading("energy of decode", phases.decode.as_ref(), "J", &covers);
            self.reading("energy of mixed steps", phases.mixed.as_ref(), "J", &covers);
            self.reading("energy outside of steps", phases.outside.as_ref(), "J", &covers);
        }
        for segment in &window.segments {
            let name = visible(&format!("energy after the mark {}", segment.label));
            self.reading(&name, Some(&segment.energy), "J", &covers);
        }
        for memory in &window.memory {
            let name = visible(&format!("most memory, {}", memory.kind));
            self.reading(&name, Some(&memory.peak), "By", &memory.device);
        }
        for rank in &window.ranks {
            self.reading("time in communication", Some(&rank.communication), "s", &rank.device);
        }
        self.reading("imbalance of energy", window.energy_imbalance.as_ref(), "1", &covers);
    }
}
