//! A Prometheus endpoint of a run that goes on: the power and state of its devices, and its requests.

use crate::untrusted::cell;
use llem_meter::Sample;
use llem_quantity::ReadingRecord;
use llem_record::{Event, GenerationRecord, SequenceRecord, WindowRecord};
use llem_runtime::{Error, Observer};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tiny_http::{Header, Response, Server};

/// How long the server waits for a request before it checks whether the run has ended.
const PATIENCE: Duration = Duration::from_millis(200);

/// The most phases that have their own time series, because the program and the Prometheus server store each series.
/// All other phases are counted as `other`.
const PHASES: usize = 100;

/// The bounds of latencies in seconds: vLLM's buckets for `time_to_first_token_seconds` and
/// `time_per_output_token_seconds`, merged.
const LATENCIES: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
    10.0, 20.0, 40.0,
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DomainLabels {
    device: String,
    domain: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DeviceLabels {
    device: String,
}

/// Labels of requests. Only the phase is a label, because a script may give each request its own label, and the
/// Prometheus server stores a series for each.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    phase: String,
}

/// Labels of the energy of requests. The source is a label too, because simulated or modelled energy is not a
/// measurement.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EnergyLabels {
    phase: String,
    source: String,
}

type FloatGauge = Gauge<f64, AtomicU64>;
type FloatCounter = Counter<f64, AtomicU64>;

/// The metrics, and the thread that serves them.
pub(super) struct MetricsServer {
    power: Family<DomainLabels, FloatGauge>,
    energy: Family<DomainLabels, FloatCounter>,
    temperature: Family<DeviceLabels, FloatGauge>,
    clock: Family<DeviceLabels, FloatGauge>,
    utilisation: Family<DeviceLabels, FloatGauge>,
    memory: Family<DeviceLabels, FloatGauge>,
    sequences: Family<RequestLabels, Counter>,
    prompt_tokens: Family<RequestLabels, Counter>,
    output_tokens: Family<RequestLabels, Counter>,
    joules: Family<EnergyLabels, FloatCounter>,
    first_token: Family<RequestLabels, Histogram>,
    next_token: Family<RequestLabels, Histogram>,
    warnings: Counter,
    /// The last energy of each domain in joules. Prometheus counters only take increments.
    last_joules: Mutex<HashMap<DomainLabels, f64>>,
    /// The phases that have their own time series.
    phases: Mutex<HashSet<String>>,
    ended: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl MetricsServer {
    /// Listens at `address` (`127.0.0.1:9400`, or `:9400` for all interfaces) until the run has ended.
    pub(super) fn serve(address: &str) -> Result<Self, Error> {
        let wanted =
            if address.starts_with(':') { format!("0.0.0.0{address}") } else { address.to_owned() };
        let server = Server::http(&wanted).map_err(|error| {
            Error::Input(format!(
                "--serve-metrics {address}: {error}; give an address such as 127.0.0.1:9400"
            ))
        })?;
        if let Some(address) = server.server_addr().to_ip() {
            eprintln!("metrics at http://{address}/metrics");
        }
        let histogram = || Histogram::new(LATENCIES);
        let mut metrics = Self {
            power: Family::default(),
            energy: Family::default(),
            temperature: Family::default(),
            clock: Family::default(),
            utilisation: Family::default(),
            memory: Family::default(),
            sequences: Family::default(),
            prompt_tokens: Family::default(),
            output_tokens: Family::default(),
            joules: Family::default(),
            first_token: Family::new_with_constructor(histogram),
            next_token: Family::new_with_constructor(histogram),
            warnings: Counter::default(),
            last_joules: Mutex::default(),
            phases: Mutex::default(),
            ended: Arc::default(),
            server: None,
        };
        let (registry, ended) = (metrics.registry(), Arc::clone(&metrics.ended));
        let thread = thread::Builder::new().name("metrics".to_owned());
        metrics.server = thread.spawn(move || answer(&server, &registry, &ended)).ok();
        Ok(metrics)
    }

    fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("llem");
        let joules = || Unit::Joules;
        registry.register("device_power_watts", "Power that the device draws", self.power.clone());
        registry.register_with_unit(
            "device_energy",
            "Energy since devices were first read",
            joules(),
            self.energy.clone(),
        );
        registry.register_with_unit(
            "device_temperature",
            "Temperature",
            Unit::Celsius,
            self.temperature.clone(),
        );
        registry.register("device_core_clock_hertz", "Clock of the cores", self.clock.clone());
        registry.register_with_unit(
            "device_utilisation",
            "Busy share",
            Unit::Ratios,
            self.utilisation.clone(),
        );
        registry.register_with_unit(
            "device_memory_used",
            "Memory in use",
            Unit::Bytes,
            self.memory.clone(),
        );
        registry.register("sequences", "Sequences generated", self.sequences.clone());
        registry.register("prompt_tokens", "Prompt tokens processed", self.prompt_tokens.clone());
        registry.register("output_tokens", "Tokens generated", self.output_tokens.clone());
        registry.register_with_unit(
            "requests_energy",
            "Energy of requests and of sequences of continuous batches, where it is known; the label source tells simulated and modelled joules from measured ones",
            joules(),
            self.joules.clone(),
        );
        registry.register_with_unit(
            "time_to_first_token",
            "From arrival to the first token",
            Unit::Seconds,
            self.first_token.clone(),
        );
        registry.register_with_unit(
            "inter_token_latency",
            "Between one token and the next",
            Unit::Seconds,
            self.next_token.clone(),
        );
        registry.register("warnings", "Warnings in the record", self.warnings.clone());
        registry
    }

    /// The labels for requests of a phase.
    fn labels(&self, phase: &str) -> RequestLabels {
        let phase = cell(phase);
        let mut phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        let has_series =
            phases.contains(&phase) || phases.len() < PHASES && phases.insert(phase.clone());
        RequestLabels { phase: if has_series { phase } else { "other".to_owned() } }
    }

    fn generated(&self, generation: &GenerationRecord) {
        let labels = self.labels(&generation.window.phase);
        self.used(&labels, &generation.window.energy_total);
        generation.sequences.iter().for_each(|sequence| self.sequence(&labels, sequence));
    }

    fn scored(&self, window: &WindowRecord) {
        let labels = self.labels(&window.phase);
        self.used(&labels, &window.energy_total);
        self.prompt_tokens.get_or_create(&labels).inc_by(window.activity.prompt_tokens);
    }

    fn used(&self, labels: &RequestLabels, energy: &ReadingRecord) {
        if let ReadingRecord::Known(energy) = energy {
            let (phase, source) = (labels.phase.clone(), energy.source.to_string());
            // A counter cannot decrease.
            let joules = energy.value.max(0.0);
            self.joules.get_or_create(&EnergyLabels { phase, source }).inc_by(joules);
        }
    }

    fn sequence(&self, labels: &RequestLabels, sequence: &SequenceRecord) {
        let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 * 1e-9;
        self.sequences.get_or_create(labels).inc();
        self.prompt_tokens.get_or_create(labels).inc_by(u64::from(sequence.prompt_tokens));
        self.output_tokens.get_or_create(labels).inc_by(sequence.tokens.len() as u64);
        if let Some(&first) = sequence.token_ns.first() {
            self.first_token.get_or_create(labels).observe(seconds(sequence.submitted_ns, first));
        }
        let next = self.next_token.get_or_create(labels);
        sequence.token_ns.windows(2).for_each(|pair| next.observe(seconds(pair[0], pair[1])));
    }
}

impl Observer for MetricsServer {
    fn event(&self, event: &Event) {
        match event {
            Event::Generation(generation) => self.generated(generation),
            Event::Score(call) => self.scored(&call.window),
            Event::BatchSequence(ended) => {
                let labels = self.labels(&ended.phase);
                self.sequence(&labels, &ended.sequence);
                if let Some(energy) = &ended.sequence.energy {
                    self.used(&labels, &energy.share);
                }
            }
            Event::Warning { .. } | Event::ScriptWarning { .. } => {
                self.warnings.inc();
            }
            _ => {}
        }
    }

    fn samples(&self, samples: &[Sample]) {
        for sample in samples {
            let domain =
                DomainLabels { device: sample.id.device.clone(), domain: sample.id.domain.clone() };
            if let Some(watts) = sample.power {
                self.power.get_or_create(&domain).set(watts);
            }
            if let Some(joules) = sample.energy {
                let mut last = self.last_joules.lock().unwrap_or_else(PoisonError::into_inner);
                let before = last.insert(domain.clone(), joules).unwrap_or_default();
                self.energy.get_or_create(&domain).inc_by((joules - before).max(0.0));
            }
            let Some(condition) = &sample.condition else { continue };
            let device = DeviceLabels { device: domain.device };
            let set =
                |family: &Family<DeviceLabels, FloatGauge>, value: Option<f64>, scale: f64| {
                    if let Some(value) = value {
                        family.get_or_create(&device).set(value * scale);
                    }
                };
            set(&self.temperature, condition.temperature, 1.0);
            set(&self.clock, condition.core_clock, 1e6);
            set(&self.utilisation, condition.utilisation, 1e-2);
            set(&self.memory, condition.memory_used, 1.0);
        }
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(server) = self.server.take() {
            // If the thread panicked, the message was printed, and must not become a panic here.
            let _ = server.join();
        }
    }
}

fn answer(server: &Server, registry: &Registry, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        let Ok(Some(request)) = server.recv_timeout(PATIENCE) else { continue };
        let mut text = String::new();
        // It does not matter to the run if the client has gone away.
        let _ = match request.url() == "/metrics" && encode(&mut text, registry).is_ok() {
            true => {
                let kind = Header::from_bytes(
                    "Content-Type",
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                );
                let response = Response::from_string(text);
                request.respond(match kind {
                    Ok(kind) => response.with_header(kind),
                    Err(()) => response,
                })
            }
            false => request.respond(Response::from_string("see /metrics\n").with_status_code(404)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sequence of a continuous batch that ended in this phase, with this energy.
    fn ended_in(phase: &str, share: serde_json::Value) -> Event {
        let event = serde_json::json!({
            "event": "batch-sequence", "label": "a", "phase": phase, "batch": 0, "name": 0,
            "sequence": {
                "prompt_tokens": 3, "tokens": [7], "finish": "length", "submitted_ns": 0, "token_ns": [5],
                "energy": { "share": share, "shared_by": "operations-and-bytes", "covers": [] },
            },
        });
        serde_json::from_value(event).expect("an event")
    }

    fn ended(share: serde_json::Value) -> Event {
        ended_in("measure", share)
    }

    #[test]
    fn energy_of_batches_counts_and_says_where_it_is_from() {
        let metrics = MetricsServer::serve("127.0.0.1:0").expect("a free port");
        let share = |joules: f64, source: &str| serde_json::json!({ "value": joules, "uncertainty": 0.5, "unit": "J", "source": source });
        metrics.event(&ended(share(2.5, "derived")));
        metrics.event(&ended(share(1.5, "derived")));
        metrics.event(&ended(share(8.0, "simulated")));
        metrics.event(&ended(serde_json::json!({ "unavailable": "nothing is measured" })));
        let mut text = String::new();
        encode(&mut text, &metrics.registry()).expect("text");
        for (source, joules) in [("derived", 4), ("simulated", 8)] {
            let line = format!(
                "llem_requests_energy_joules_total{{phase=\"measure\",source=\"{source}\"}} {joules}"
            );
            assert!(text.contains(&line), "no {line} in {text}");
        }
        assert!(text.contains("the label source tells simulated and modelled joules"), "{text}");
    }

    #[test]
    fn phases_of_a_script_are_a_bounded_number_of_harmless_labels() {
        let metrics = MetricsServer::serve("127.0.0.1:0").expect("a free port");
        let reason = serde_json::json!({ "unavailable": "nothing is measured" });
        metrics.event(&ended_in("a\u{1b}[2J\n\"b\u{202e}", reason.clone()));
        for index in 0..2 * PHASES {
            metrics
                .event(&ended_in(&format!("phase {index} {}", "long".repeat(100)), reason.clone()));
        }
        let mut text = String::new();
        encode(&mut text, &metrics.registry()).expect("text");
        // Prometheus writes a backslash twice.
        let line = r#"llem_sequences_total{phase="a\\u{1b}[2J\\n\"b\\u{202e}"} 1"#;
        assert!(text.contains(line), "no {line} in {text}");
        let series = text.lines().filter(|line| line.starts_with("llem_sequences_total{"));
        assert_eq!(series.count(), PHASES + 1);
        assert!(text.contains(&format!("llem_sequences_total{{phase=\"other\"}} {}", PHASES + 1)));
        assert!(text.lines().all(|line| line.len() < 300), "{text}");
    }
}
