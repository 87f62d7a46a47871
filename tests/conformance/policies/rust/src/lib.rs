//! A warm-up, a workload and metrics over the raw bindings. The feature chooses which one is built.

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "warmup")]
mod warmup;
#[cfg(feature = "workload")]
mod workload;
