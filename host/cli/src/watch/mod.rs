//! The observers of a run that goes on: a console for people, a Prometheus endpoint, an OpenTelemetry exporter.

mod console;
mod metrics_server;
mod otlp_spans;

pub(crate) use console::Console;

use llem_meter::Clock;
use llem_runtime::Observer;

/// The options for observers of a run besides the console.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Watching")]
pub(crate) struct WatchArgs {
    /// Serve a Prometheus endpoint at this address while the run goes on
    #[arg(long, value_name = "ADDRESS")]
    serve_metrics: Option<String>,
    /// Send OpenTelemetry spans to a collector, over OTLP/HTTP
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
}

/// Starts all observers that were asked for. The run began when `clock` was started. Only the leading process of a run
/// may call this, because ports are bound here.
pub(crate) fn observers(
    wanted: &WatchArgs,
    clock: Clock,
) -> Result<Vec<Box<dyn Observer>>, llem_runtime::Error> {
    let mut all: Vec<Box<dyn Observer>> = vec![Box::new(Console::new())];
    if let Some(address) = &wanted.serve_metrics {
        all.push(Box::new(metrics_server::MetricsServer::serve(address)?));
    }
    if let Some(endpoint) = wanted.otlp_endpoint.as_ref().filter(|endpoint| !endpoint.is_empty()) {
        all.push(Box::new(otlp_spans::OtlpSpans::new(endpoint, clock)?));
    }
    Ok(all)
}
