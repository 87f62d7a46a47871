//! What LoadGen's `mlperf.conf` and the rules say of each benchmark that generates text.

use crate::settings::Scenario;

/// The seeds of `mlperf.conf`, which change with each round of submissions: of the order of loaded samples, of the order of
/// queries, and of arrivals.
pub(crate) const SEEDS: [u64; 3] =
    [2_085_463_073_848_966_840, 2_747_215_439_041_700_203, 16_159_082_839_903_944_936];

/// A benchmark of MLPerf Inference, with its name in `mlperf.conf`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Benchmark {
    /// The name.
    pub(crate) name: &'static str,
    /// `performance_sample_count_override`: the size of the dataset.
    pub(crate) samples: u64,
    /// `ttft_latency` and `tpot_latency` of the Server scenario, in ms.
    pub(crate) server: Option<(u64, u64)>,
    /// `min_query_count` of the Offline scenario, in samples.
    pub(crate) offline_samples: Option<u64>,
    /// The minimum and maximum numbers of new tokens in the reference implementation. The minimum is none in the
    /// configuration, and not part of LoadGen.
    pub(crate) new_tokens: (u32, u32),
}

const fn benchmark(
    name: &'static str,
    samples: u64,
    server: (u64, u64),
    offline_samples: Option<u64>,
    new_tokens: (u32, u32),
) -> Benchmark {
    Benchmark { name, samples, server: Some(server), offline_samples, new_tokens }
}

/// All benchmarks with `use_token_latencies = 1` whose inputs are text, from `mlperf.conf` of LoadGen 6.0.17.
pub(crate) const BENCHMARKS: [Benchmark; 12] = [
    benchmark("llama2-70b", 24_576, (2000, 200), Some(24_576), (1, 1024)),
    benchmark("llama2-70b-interactive", 24_576, (450, 40), None, (1, 1024)),
    benchmark("mixtral-8x7b", 15_000, (2000, 200), Some(15_000), (2, 1024)),
    benchmark("llama3_1-405b", 8313, (6000, 175), Some(8313), (2, 20_000)),
    benchmark("llama3_1-405b-interactive", 8313, (4500, 80), None, (2, 20_000)),
    benchmark("llama3_1-8b", 13_368, (2000, 100), Some(13_368), (1, 128)),
    benchmark("llama3_1-8b-interactive", 13_368, (500, 30), None, (1, 128)),
    Benchmark {
        name: "llama3_1-8b-edge",
        samples: 5000,
        server: None,
        offline_samples: Some(5000),
        new_tokens: (1, 128),
    },
    benchmark("deepseek-r1", 4388, (2000, 80), Some(4388), (1, 20_000)),
    benchmark("deepseek-r1-interactive", 4388, (1500, 15), None, (1, 20_000)),
    benchmark("gpt-oss-120b", 6396, (3000, 80), None, (1, 10_000)),
    benchmark("gpt-oss-120b-interactive", 6396, (2000, 15), None, (1, 10_000)),
];

impl Benchmark {
    /// Returns the benchmark of this name. A dot in the name means the underscore of `mlperf.conf`.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        let name = name.replace('.', "_");
        BENCHMARKS.iter().find(|benchmark| benchmark.name == name)
    }

    /// Returns `min_query_count` of a scenario. LoadGen's own default is 100.
    pub(crate) fn min_query_count(&self, scenario: Scenario) -> u64 {
        match scenario {
            Scenario::MultiStream => 662,
            Scenario::Offline => self.offline_samples.unwrap_or(100),
            Scenario::SingleStream | Scenario::Server => 100,
        }
    }
}
