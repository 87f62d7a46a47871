//! What surrounds a run and changes its results: the program, the machine, the limits on the process, the meters'
//! settings. Everything that schema 2.0 did not have is absent or empty in its records.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the program was built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Build {
    /// Version of this program.
    pub version: String,
    /// The git commit that it was built from; absent where it was not built in its repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Whether its sources were not those of the commit; absent where the commit is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_modified: Option<bool>,
    /// Cargo features that are on.
    pub features: Vec<String>,
    /// `release` or `debug`: the cargo profile that it is, or inherits from.
    pub profile: String,
    /// The compiler's optimisation level: `0` to `3`, `s` or `z`.
    pub opt_level: String,
    /// The target triple.
    pub target: String,
    /// What `rustc --version` says.
    pub rustc: String,
    /// Instruction sets that the compiler was allowed everywhere, beside those that kernels choose at run time.
    pub target_features: Vec<String>,
}

/// The machine, and what the process may use of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Operating system and kernel.
    pub system: String,
    /// Processor and threads.
    pub cpu: String,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Threads that the engine's kernels share their work among, all ranks of this process together. In records before
    /// schema 3.0, hardware threads that the process may use.
    pub threads: u32,
    /// Threads that candle's operations share their work among: products with quantised weights other than Q8_0, and
    /// everything if `kernels` is `candle`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candle_threads: Option<u32>,
    /// Hardware threads of the machine that are online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_threads: Option<u32>,
    /// Hardware threads that the process may run on, as the kernel lists them: `0-3,8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<String>,
    /// Instruction set that the engine's kernels use on the CPU: `portable`, `avx2`, `avx512` or `amx`; empty where a
    /// version before 0.2 made the record.
    #[serde(default)]
    pub simd: String,
    /// What computes on the CPU: `llem`, the engine's own kernels; records of before 0.2 may say `candle`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kernels: String,
    /// Limits of the process' control group; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<CgroupLimits>,
    /// The container's kind (`docker`, `podman`, `kubernetes`, ...); absent where nothing tells of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Whether the processor says that it is a virtual machine's; absent where it does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_virtual: Option<bool>,
    /// The machine's name as its firmware tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The kernel's setting of transparent huge pages: `always`, `madvise` or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transparent_hugepages: Option<String>,
    /// NUMA nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa_nodes: Option<u32>,
    /// Swap space in bytes, used or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_bytes: Option<u64>,
}

/// What a control group allows a process. Of nested groups, the tightest limit of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CgroupLimits {
    /// Processor time, in hardware threads: 1.5 is 150 ms in each 100 ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<f64>,
    /// Hardware threads that it may run on, as the kernel lists them, if those are not all that are online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// Memory in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// How a run meters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeteringRecord {
    /// How often counters and sensors are read.
    pub sample_period_ns: u64,
    /// Whether windows open and close at ticks of the counters.
    pub aligns_windows: bool,
    /// Whether samples are kept beside the record.
    pub keeps_timeline: bool,
    /// What the processor draws as it was declared, for where nothing measures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_model: Option<PowerModelRecord>,
    /// The folder that is read in place of `/proc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proc_root: Option<String>,
    /// The folder that is read in place of `/sys`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sys_root: Option<String>,
}

/// A declared power model of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PowerModelRecord {
    /// Power with all hardware threads busy, W.
    pub tdp_watts: f64,
    /// Power with none busy, W.
    pub idle_watts: f64,
    /// Standard uncertainty of the energy as a share of it; absent where all that is known is that power lies between
    /// both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plan;

    #[test]
    fn a_plan_of_schema_2_0_is_read() {
        let old = r#"{
            "llem_version": "0.1.0", "command": ["llem"], "components": [], "parameters": {},
            "grants": {"model": "synthetic:tiny", "dtype": null, "device": "cpu", "datasets": []},
            "seed": 0, "limits": {},
            "host": {"system": "Linux 6.1", "cpu": "a processor, 4 threads", "memory_bytes": 1024, "threads": 4}
        }"#;
        let plan: Plan = serde_json::from_str(old).expect("a plan of schema 2.0");
        assert_eq!(plan.build, Build::default());
        assert!(plan.environment.is_empty() && plan.metering.is_none());
        assert_eq!((plan.host.threads, plan.host.hardware_threads), (4, None));
    }

    #[test]
    fn a_build_of_another_version_is_read() {
        let build: Build =
            serde_json::from_str(r#"{"version": "0.3.0", "allocator": "other"}"#).expect("a build");
        assert_eq!(build.version, "0.3.0");
        assert_eq!((build.revision, build.is_modified), (None, None));
    }
}
