//! The observers of a run that goes on: a console or a live view for people, a Prometheus endpoint, an OpenTelemetry
//! exporter.

mod console;
mod live;
mod message;
mod metrics_server;
mod otlp_spans;

pub(crate) use console::Console;
pub(crate) use live::{ProgramLog, WatchEnd, restore as restore_terminal, watch as watch_journal};

use live::LiveObserver;
use llem_meter::Clock;
use llem_runtime::{Observer, StopSignal};
use std::sync::Arc;

/// The options for observers of a run.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Watching")]
pub(crate) struct ObserverArgs {
    /// Show the run on the whole terminal while it goes on: phase, speed, power, energy, messages. Without a terminal,
    /// as in a batch job, write a line of key=value pairs each ten seconds
    #[arg(long)]
    live: bool,
    /// Serve a Prometheus endpoint at this address while the run goes on
    #[arg(long, value_name = "ADDRESS")]
    serve_metrics: Option<String>,
    /// Send OpenTelemetry spans to a collector, over OTLP/HTTP
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
}

/// Starts all observers that were asked for. The run began when `clock` was started, and `stop` ends it. Only the leading process of a run
/// may call this, because ports are bound here.
pub(crate) fn observers(
    wanted: &ObserverArgs,
    clock: Clock,
    stop: &Arc<StopSignal>,
) -> Result<Vec<Box<dyn Observer>>, llem_runtime::Error> {
    let first: Box<dyn Observer> = match wanted.live {
        true => Box::new(LiveObserver::start(clock, stop)),
        false => Box::new(Console::new()),
    };
    let mut all = vec![first];
    if let Some(address) = &wanted.serve_metrics {
        all.push(Box::new(metrics_server::MetricsServer::serve(address)?));
    }
    if let Some(endpoint) = wanted.otlp_endpoint.as_ref().filter(|endpoint| !endpoint.is_empty()) {
        all.push(Box::new(otlp_spans::OtlpSpans::new(endpoint, clock)?));
    }
    Ok(all)
}
