//! vLLM's `vllm bench`: latency, throughput, serve and sweep, which are modes of one script.

mod dataset;
mod engine;
mod latency;
mod serve;
mod sweep;
mod throughput;

pub(super) use latency::LATENCY;
pub(super) use serve::SERVE;
pub(super) use sweep::SWEEP;
pub(super) use throughput::THROUGHPUT;

/// The script of all of them.
const SCRIPT: &str = "vllm-bench";

/// Why options of files have no counterpart.
const FILES: &str = "results are artifacts in the folder of the run: --out";
