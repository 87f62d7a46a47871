//! Exports a run as OpenTelemetry spans over OTLP/HTTP: the run, its phases within it, and their requests and windows
//! within those. Attributes use the names of the semantic conventions for generative AI if they have one.

use crate::untrusted::{cell, line};
use llem_meter::Clock;
use llem_quantity::ReadingRecord;
use llem_record::{Event, GenerationRecord, WindowRecord};
use llem_runtime::{Error, Observer};
use opentelemetry::{
    Context, KeyValue, StringValue, Value,
    trace::{Status, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};
use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

/// The exporter of a run's spans.
pub(super) struct OtlpSpans {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    /// The run's clock, from which all times come, because the wall clock may be set during a run.
    clock: Clock,
    open: Mutex<OpenSpans>,
}

/// The spans that have not ended.
#[derive(Default)]
struct OpenSpans {
    run: Context,
    /// The paths of the open phases with their spans, outermost first.
    phases: Vec<(String, Context)>,
}

impl OpenSpans {
    fn innermost(&self) -> &Context {
        self.phases.last().map_or(&self.run, |(_, span)| span)
    }
}

impl OtlpSpans {
    /// Connects to the collector at an endpoint such as `http://localhost:4318`.
    pub(super) fn new(endpoint: &str, clock: Clock) -> Result<Self, Error> {
        let refuse = |error: String| {
            Error::Input(format!(
                "--otlp-endpoint {endpoint}: {error}; give a collector's OTLP/HTTP address, such as http://localhost:4318"
            ))
        };
        if !endpoint.starts_with("http://") {
            return Err(refuse("it does not begin with http://".to_owned()));
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpJson)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()
            .map_err(|error| refuse(error.to_string()))?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(Resource::builder().with_service_name("llem").build())
            .build();
        Ok(Self { tracer: provider.tracer("llem"), provider, clock, open: Mutex::default() })
    }

    fn span(
        &self,
        parent: &Context,
        name: String,
        from: SystemTime,
        more: Vec<KeyValue>,
    ) -> Context {
        let builder = self.tracer.span_builder(name).with_start_time(from).with_attributes(more);
        parent.with_span(builder.start_with_context(&self.tracer, parent))
    }

    fn window(
        &self,
        open: &OpenSpans,
        window: &WindowRecord,
        kind: &'static str,
        more: Vec<KeyValue>,
    ) {
        let covers: Vec<StringValue> = (window.energy_covers.iter())
            .map(|one| format!("{} {}", one.device, one.domain).into())
            .collect();
        let [from, to] = [window.started_ns, window.started_ns + window.wall_ns]
            .map(|ns| self.clock.wall_time(ns));
        let activity = &window.activity;
        let mut attributes = vec![
            text("llem.phase", &window.phase),
            text("llem.label", &window.label),
            KeyValue::new("gen_ai.usage.input_tokens", activity.prompt_tokens as i64),
            KeyValue::new("gen_ai.usage.output_tokens", activity.output_tokens as i64),
            KeyValue::new("llem.flops_estimated", activity.flops_estimated.total),
        ];
        if !covers.is_empty() {
            attributes.push(KeyValue::new("llem.energy_covers", Value::Array(covers.into())));
        }
        match &window.energy_total {
            ReadingRecord::Known(energy) => attributes.extend([
                KeyValue::new("llem.energy_joules", energy.value),
                KeyValue::new("llem.energy_uncertainty_joules", energy.uncertainty),
                KeyValue::new("llem.energy_source", energy.source.to_string()),
            ]),
            ReadingRecord::Unavailable { unavailable, .. } => {
                attributes.push(text("llem.energy_unavailable", unavailable));
            }
        }
        attributes.extend(more);
        let span = self.span(
            open.innermost(),
            format!("{kind} {}", cell(&window.label)),
            from,
            attributes,
        );
        span.span().end_with_timestamp(to);
    }

    fn generation(&self, open: &OpenSpans, generation: &GenerationRecord) {
        let first = generation.sequences.iter().filter_map(|sequence| {
            Some(sequence.token_ns.first()?.saturating_sub(sequence.submitted_ns) as f64 * 1e-9)
        });
        let first = first
            .reduce(f64::max)
            .map(|first| KeyValue::new("gen_ai.server.time_to_first_token", first));
        let more = first.into_iter().chain(model(generation.model)).collect();
        self.window(open, &generation.window, "generate", more);
    }
}

/// An attribute with a text of the script or of a file, made safe, because collectors print it.
fn text(name: &'static str, value: &str) -> KeyValue {
    KeyValue::new(name, line(value))
}

/// The attribute for the model that something ran on, by its number in the record.
fn model(number: Option<u64>) -> Option<KeyValue> {
    Some(KeyValue::new("llem.model", i64::try_from(number?).ok()?))
}

impl Observer for OtlpSpans {
    fn event(&self, event: &Event) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.wall_time(self.clock.now());
        match event {
            Event::Started { id, llem_version, .. } => {
                let version = KeyValue::new("llem.version", llem_version.clone());
                let began = self.clock.wall_time(0);
                open.run = self.span(&Context::new(), cell(id), began, vec![version]);
            }
            Event::Model(model) => {
                let span = open.run.span();
                span.set_attribute(text("gen_ai.request.model", &model.source));
            }
            Event::PhaseBegan { phase } => {
                let name = phase.rsplit('/').next().unwrap_or(phase);
                let span = self.span(open.innermost(), cell(name), now, Vec::new());
                open.phases.push((phase.clone(), span));
            }
            Event::PhaseEnded { phase, .. } => {
                if let Some(place) = open.phases.iter().rposition(|(known, _)| known == phase) {
                    // The innermost phase ends first.
                    for (_, span) in open.phases.drain(place..).rev() {
                        span.span().end_with_timestamp(now);
                    }
                }
            }
            Event::Generation(generation) => self.generation(&open, generation),
            Event::Score(call) => {
                let scored = KeyValue::new("llem.scored_tokens", call.scored_tokens as i64);
                let more = [scored].into_iter().chain(model(call.model)).collect();
                self.window(&open, &call.window, "score", more);
            }
            Event::Window(window) => self.window(&open, window, "window", Vec::new()),
            Event::Warning { .. } | Event::ScriptWarning { .. } => {
                let message = text("message", &event.warning().unwrap_or_default());
                open.innermost().span().add_event_with_timestamp("warning", now, vec![message]);
            }
            Event::Ended { status, error } => {
                let span = open.run.span();
                span.set_attribute(KeyValue::new(
                    "llem.status",
                    format!("{status:?}").to_lowercase(),
                ));
                if let Some(error) = error {
                    span.set_status(Status::error(line(error)));
                }
                span.end_with_timestamp(now);
                if let Err(error) = self.provider.force_flush() {
                    tracing::warn!("the last spans did not reach the collector: {error}");
                }
            }
            _ => {}
        }
    }
}
