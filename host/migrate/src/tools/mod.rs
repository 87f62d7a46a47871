//! The tools: a file each, with the table of its options.

mod ai_energy_score;
mod aiperf;
mod flops_profiler;
mod guidellm;
mod inferencex;
mod llama_bench;
mod llenergymeasure;
mod lm_eval;
mod ml_energy;
mod mlperf_loadgen;
mod optimum_benchmark;
mod token_power_bench;
mod vllm_bench;
mod zeus;

use crate::Tool;

/// All tools.
pub(crate) static TOOLS: &[Tool] = &[
    vllm_bench::LATENCY,
    vllm_bench::THROUGHPUT,
    vllm_bench::SERVE,
    vllm_bench::SWEEP,
    optimum_benchmark::TOOL,
    llama_bench::TOOL,
    lm_eval::TOOL,
    guidellm::TOOL,
    aiperf::LOAD,
    aiperf::TRACE,
    mlperf_loadgen::TOOL,
    zeus::MONITOR,
    zeus::PROFILE,
    llenergymeasure::TOOL,
    ml_energy::TOOL,
    ai_energy_score::TOOL,
    token_power_bench::TOOL,
    flops_profiler::TOOL,
    inferencex::TOOL,
];
