//! Those who watch a run while it goes on: a person at a console, a Prometheus server, an OpenTelemetry collector.

mod console;
mod metrics;
mod spans;

pub use console::Console;

use llem_meter::Clock;
use llem_runtime::Observer;

/// Who else watches a run while it goes on.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Watching")]
pub struct Watchers {
    /// Serve a Prometheus endpoint at this address while the run goes on
    #[arg(long, value_name = "ADDRESS")]
    serve_metrics: Option<String>,
    /// Send OpenTelemetry spans to a collector, over OTLP/HTTP
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
}

/// Everybody who was asked for, to watch the run that began when `clock` was started. For the process that leads the run
/// only: ports are bound here.
pub fn all(wanted: &Watchers, clock: Clock) -> Result<Vec<Box<dyn Observer>>, llem_runtime::Error> {
    let mut all: Vec<Box<dyn Observer>> = vec![Box::new(Console::new())];
    if let Some(address) = &wanted.serve_metrics {
        all.push(Box::new(metrics::Metrics::serve(address)?));
    }
    if let Some(endpoint) = wanted.otlp_endpoint.as_ref().filter(|endpoint| !endpoint.is_empty()) {
        all.push(Box::new(spans::Spans::to(endpoint, clock)?));
    }
    Ok(all)
}
