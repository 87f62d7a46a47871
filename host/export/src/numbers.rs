//! Every number of a run with a name, for tools that keep any number of named numbers.
//!
//! ```text
//! requests/<phase>/<label>/ttft_s_p50        groups of requests; with several models, requests/<phase>/<label> model 0/...
//! scores/<phase>/<label>/score_tokens_per_s  groups of scoring
//! windows/<phase>/<label>/energy_j           the script's windows: one step for each window with this phase and label
//! baselines/<device>/<domain>/idle_w         one step for each baseline
//! models/<number>/load_s                     loaded models
//! run/measured_energy_j                      the whole run
//! script/<name> <label>.<value>              what the script reported: one step for each report
//! series/<name>, series/<name>_x             curves of the script: one step for each point
//! ```
//!
//! Names of one kind have the same number of parts, so none is a folder of another in a store of files.

use crate::{
    name::{digest, part},
    run::ExportedRun,
};
use llem_quantity::{Cause, Quantity, Reading, ReadingRecord, Source, Unavailable};
use llem_record::{Activity, Distribution, Metric, RequestGroup, ScoreGroup, WindowRecord};
use std::collections::{BTreeMap, BTreeSet};

/// A number of a run, with a name.
pub(crate) struct RunNumber {
    /// The name, unique together with `step`.
    pub name: String,
    /// What the name was made of, if it is a script's: its name and labels.
    pub original: Option<String>,
    /// The index among the numbers of this name.
    pub step: u64,
    /// When the number was known, ns since the run began. `None` if the record does not tell; then it is the run's end.
    pub t_ns: Option<u64>,
    /// The number, or why there is none. A number that is not finite is absent.
    pub reading: Reading,
}

/// A curve of the script: the names of its points' numbers.
pub(crate) struct Curve {
    /// The name of x.
    pub x: String,
    /// The name of y.
    pub y: String,
}

/// The numbers of a run.
#[derive(Default)]
pub(crate) struct Numbers {
    /// All numbers, those of one name in order of their steps.
    pub all: Vec<RunNumber>,
    /// The curves among them.
    pub curves: Vec<Curve>,
    /// The names that are taken.
    names: BTreeSet<String>,
}

impl Numbers {
    /// Names all numbers of a run.
    pub(crate) fn new(run: &ExportedRun) -> Self {
        let mut numbers = Self::default();
        let record = run.record();
        numbers.add_run(run);
        for (number, model) in record.models.iter().enumerate() {
            let name = format!("models/{}/load_s", model.number.unwrap_or(number as u64));
            numbers.add(name, None, Ok(seconds(model.load_ns)));
        }
        for group in &record.groups {
            numbers.add_requests(group, record.models.len() > 1);
        }
        for group in &record.score_groups {
            numbers.add_scores(group, record.models.len() > 1);
        }
        numbers.add_windows(&record.windows);
        for (step, baseline) in record.baselines.iter().enumerate() {
            for idle in &baseline.power {
                let name =
                    format!("baselines/{}/{}/idle_w", part(&idle.device), part(&idle.domain));
                numbers.add_step(name, step as u64, None, idle.power.reading());
            }
        }
        numbers.add_metrics(&record.metrics);
        for series in &record.series {
            let stem = numbers.free(&format!("series/{}", part(&series.name)), &["_x"]);
            let curve = Curve { x: format!("{stem}_x"), y: stem };
            for (step, (x, y)) in series.points.iter().enumerate() {
                let point = |value: f64, unit: &str| Quantity::exact(value, unit, series.source);
                for (name, value, unit) in
                    [(&curve.x, *x, &series.x.1), (&curve.y, *y, &series.y.1)]
                {
                    numbers.add_step(name.clone(), step as u64, None, Ok(point(value, unit)));
                }
            }
            numbers.curves.push(curve);
        }
        numbers
    }

    fn add(&mut self, name: String, t_ns: Option<u64>, reading: Reading) {
        self.add_step(name, 0, t_ns, reading);
    }

    fn add_step(&mut self, name: String, step: u64, t_ns: Option<u64>, reading: Reading) {
        self.names.insert(name.clone());
        let reading = reading.and_then(|number| match number.value.is_finite() {
            true => Ok(number),
            false => Err(Unavailable::new(Cause::Unreadable, "the number is not finite")),
        });
        self.all.push(RunNumber { name, original: None, step, t_ns, reading });
    }

    fn add_known(&mut self, name: String, reading: Option<Reading>) {
        if let Some(reading) = reading {
            self.add(name, None, reading);
        }
    }

    /// Returns this name, or one with a number behind it if it or it with one of the endings is taken.
    fn free(&mut self, name: &str, endings: &[&str]) -> String {
        let is_taken = |name: &str| {
            let ended = |end: &str| self.names.contains(&format!("{name}{end}"));
            ended("") || ended("_uncertainty") || endings.iter().any(|end| ended(end))
        };
        let mut free = name.to_owned();
        let mut number = 1;
        while is_taken(&free) {
            number += 1;
            free = format!("{name}-{number}");
        }
        self.names.extend(endings.iter().map(|end| format!("{free}{end}")));
        self.names.extend([format!("{free}_uncertainty"), free.clone()]);
        free
    }

    fn add_run(&mut self, run: &ExportedRun) {
        self.add("run/wall_s".to_owned(), None, Ok(seconds(run.record().wall_ns)));
        match &run.measured {
            Ok(measured) => {
                self.add("run/measured_s".to_owned(), None, Ok(seconds(measured.wall_ns)));
                self.add("run/measured_energy_j".to_owned(), None, measured.energy.clone());
            }
            Err(reason) => self.add("run/measured_energy_j".to_owned(), None, Err(reason.clone())),
        }
    }

    fn add_requests(&mut self, group: &RequestGroup, has_models: bool) {
        let stem = self.group_stem("requests", &group.phase, &group.label, group.model, has_models);
        let name = |end: &str| format!("{stem}{end}");
        self.add(name("requests"), None, Ok(counted(group.requests, "{request}")));
        self.add_activity(&stem, &group.activity);
        for (end, distribution) in [
            ("ttft_s", &group.ttft_s),
            ("itl_s", &group.itl_s),
            ("tpot_s", &group.tpot_s),
            ("e2el_s", &group.e2el_s),
        ] {
            self.add_distribution(&name(end), "s", Source::Clock, distribution.as_ref());
        }
        for (end, rate) in [
            ("prefill_tokens_per_s", &group.prefill_rate),
            ("decode_tokens_per_s", &group.decode_rate),
            ("flops_per_input_token", &group.flops_per_input_token),
            ("flops_per_output_token", &group.flops_per_output_token),
        ] {
            self.add_known(name(end), rate.clone().map(Ok));
        }
        for (end, energy) in [
            ("energy_j", Some(&group.energy)),
            ("energy_cpu_j", group.energy_cpu.as_ref()),
            ("energy_accelerators_j", group.energy_accelerators.as_ref()),
            ("energy_prefill_j", group.energy_prefill.as_ref()),
            ("energy_decode_j", group.energy_decode.as_ref()),
            ("energy_j_per_output_token", Some(&group.energy_per_output_token)),
            ("prefill_energy_j_per_input_token", group.prefill_energy_per_input_token.as_ref()),
            ("decode_energy_j_per_output_token", group.decode_energy_per_output_token.as_ref()),
        ] {
            self.add_known(name(end), energy.map(ReadingRecord::reading));
        }
        let source = group.energy.reading().map_or(Source::Derived, |energy| energy.source);
        let shares = group.energy_per_sequence_j.as_ref();
        self.add_distribution(&name("energy_per_sequence_j"), "J", source, shares);
    }

    fn add_scores(&mut self, group: &ScoreGroup, has_models: bool) {
        let stem = self.group_stem("scores", &group.phase, &group.label, group.model, has_models);
        let name = |end: &str| format!("{stem}{end}");
        self.add(name("requests"), None, Ok(counted(group.requests, "{request}")));
        self.add(name("scored_tokens"), None, Ok(counted(group.scored_tokens, "{token}")));
        self.add_activity(&stem, &group.activity);
        for (end, rate) in [
            ("prefill_tokens_per_s", &group.prefill_rate),
            ("score_tokens_per_s", &group.score_rate),
            ("flops_per_token", &group.flops_per_token),
        ] {
            self.add_known(name(end), rate.clone().map(Ok));
        }
        for (end, energy) in [
            ("energy_j", Some(&group.energy)),
            ("energy_cpu_j", group.energy_cpu.as_ref()),
            ("energy_accelerators_j", group.energy_accelerators.as_ref()),
            ("energy_j_per_token", Some(&group.energy_per_token)),
            ("energy_j_per_scored_token", Some(&group.energy_per_scored_token)),
        ] {
            self.add_known(name(end), energy.map(ReadingRecord::reading));
        }
    }

    fn group_stem(
        &mut self,
        kind: &str,
        phase: &str,
        label: &str,
        model: Option<u64>,
        has_models: bool,
    ) -> String {
        let model = model.filter(|_| has_models);
        let model = model.map_or_else(String::new, |number| format!(" model {number}"));
        // The name is taken by its first number, `requests`.
        let stem = format!("{kind}/{}/{}{model}", part(phase), part(label));
        let mut free = format!("{stem}/");
        let mut number = 1;
        while self.names.contains(&format!("{free}requests")) {
            number += 1;
            free = format!("{stem}-{number}/");
        }
        free
    }

    fn add_activity(&mut self, stem: &str, activity: &Activity) {
        let name = |end: &str| format!("{stem}{end}");
        self.add(name("prompt_tokens"), None, Ok(counted(activity.prompt_tokens, "{token}")));
        self.add(name("output_tokens"), None, Ok(counted(activity.output_tokens, "{token}")));
        if activity.flops_estimated.total > 0.0 {
            let flops = Quantity::exact(activity.flops_estimated.total, "FLOP", Source::Analytic);
            self.add(name("flops_estimated"), None, Ok(flops));
        }
    }

    fn add_distribution(
        &mut self,
        name: &str,
        unit: &str,
        source: Source,
        distribution: Option<&Distribution>,
    ) {
        let Some(of) = distribution else { return };
        let values = [
            ("mean", of.mean),
            ("std", of.standard_deviation),
            ("min", of.min),
            ("p50", of.p50),
            ("p90", of.p90),
            ("p99", of.p99),
            ("max", of.max),
        ];
        for (end, value) in values {
            self.add(format!("{name}_{end}"), None, Ok(Quantity::exact(value, unit, source)));
        }
        self.add(format!("{name}_count"), None, Ok(counted(of.count, "1")));
    }

    fn add_windows(&mut self, windows: &[WindowRecord]) {
        let mut steps: BTreeMap<String, u64> = BTreeMap::new();
        for window in windows {
            let stem = format!("windows/{}/{}", part(&window.phase), part(&window.label));
            let step = steps.entry(stem.clone()).or_default();
            let t_ns = Some(window.started_ns.saturating_add(window.wall_ns));
            let mut add = |end: &str, reading: Reading| {
                self.add_step(format!("{stem}/{end}"), *step, t_ns, reading);
            };
            add("wall_s", Ok(seconds(window.wall_ns)));
            add("prompt_tokens", Ok(counted(window.activity.prompt_tokens, "{token}")));
            add("output_tokens", Ok(counted(window.activity.output_tokens, "{token}")));
            for (end, energy) in [
                ("energy_j", Some(&window.energy_total)),
                ("energy_cpu_j", window.energy_cpu.as_ref()),
                ("energy_accelerators_j", window.energy_accelerators.as_ref()),
                ("energy_above_idle_j", window.energy_above_idle.as_ref()),
                ("energy_j_per_output_token", window.energy_per_output_token.as_ref()),
            ] {
                if let Some(energy) = energy {
                    add(end, energy.reading());
                }
            }
            *step += 1;
        }
    }

    fn add_metrics(&mut self, metrics: &[Metric]) {
        let mut seen: BTreeMap<String, (String, u64)> = BTreeMap::new();
        for metric in metrics {
            let labels = metric.labels.iter().map(|(label, value)| format!(" {label}.{value}"));
            let text = metric.name.clone() + &labels.collect::<String>();
            let key = digest(&[&metric.name, &format!("{:?}", metric.labels)], 64);
            if !seen.contains_key(&key) {
                let free = self.free(&format!("script/{}", part(&text)), &[]);
                seen.insert(key.clone(), (free, 0));
            }
            let Some((name, step)) = seen.get_mut(&key) else { continue };
            self.add_step(name.clone(), *step, None, Ok(metric.quantity.clone()));
            *step += 1;
            if let Some(number) = self.all.last_mut() {
                number.original = Some(text);
            }
        }
    }
}

fn seconds(ns: u64) -> Quantity {
    Quantity::exact(ns as f64 * 1e-9, "s", Source::Clock)
}

fn counted(count: u64, unit: &str) -> Quantity {
    Quantity::exact(count as f64, unit, Source::Counted)
}
