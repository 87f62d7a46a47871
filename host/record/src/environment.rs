//! The environment of a run, as far as it changes results: the program, the machine, the limits of the process, and the
//! settings of the meter. Fields that schema 2.0 did not have are absent or empty in its records.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the program was built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Build {
    /// Version of llem.
    pub version: String,
    /// The git commit that the program was built from. Absent if it was not built in its repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Whether the sources differed from the commit. Absent if `revision` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_modified: Option<bool>,
    /// Cargo features that are enabled.
    pub features: Vec<String>,
    /// `release` or `debug`: the cargo profile, or the profile that it inherits from.
    pub profile: String,
    /// The compiler's optimisation level: `0` to `3`, `s` or `z`.
    pub opt_level: String,
    /// The compiler's target triple.
    pub target: String,
    /// The output of `rustc --version`.
    pub rustc: String,
    /// Instruction sets that the compiler may use everywhere, in addition to those that kernels choose at run time.
    pub target_features: Vec<String>,
}

/// The machine, and the part of it that the process may use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Operating system and kernel version.
    pub system: String,
    /// Name of the processor, and the number of hardware threads that the process may use.
    pub cpu: String,
    /// Memory of the machine, bytes.
    pub memory_bytes: Option<u64>,
    /// Number of threads that the engine's kernels use, all ranks of this process together. In records before schema 3.0,
    /// the number of hardware threads that the process may use.
    pub threads: u32,
    /// Number of threads that candle's operations use: products with quantised weights other than Q8_0, and everything if
    /// `kernels` is `candle`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candle_threads: Option<u32>,
    /// Number of hardware threads of the machine that are online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_threads: Option<u32>,
    /// Hardware threads that the process may run on, as the kernel lists them: `0-3,8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<String>,
    /// Instruction set that the engine's kernels use on the CPU: `portable`, `avx2`, `avx512` or `amx`. Empty in records of
    /// versions before 0.2.
    #[serde(default)]
    pub simd: String,
    /// The kernels that compute on the CPU: `llem` for the engine's own. Records of versions before 0.2 may say `candle`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kernels: String,
    /// Limits of the process' control group. Absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<CgroupLimits>,
    /// The kind of container (`docker`, `podman`, `kubernetes`, ...). Absent if no container was detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Whether the processor reports that it belongs to a virtual machine. Absent if it does not report this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_virtual: Option<bool>,
    /// The product name of the machine, from its firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The kernel's setting of transparent huge pages: `always`, `madvise` or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transparent_hugepages: Option<String>,
    /// Number of NUMA nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa_nodes: Option<u32>,
    /// Swap space, used or not, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_bytes: Option<u64>,
}

/// The limits of a control group. If groups are nested, each field is the tightest limit of all of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CgroupLimits {
    /// Processor time, in hardware threads: 1.5 is 150 ms in each 100 ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<f64>,
    /// Hardware threads that the process may run on, as the kernel lists them. Absent if these are all online ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// The limit of the control group, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// The settings of a run's meter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeteringRecord {
    /// Time between two readings of every counter and sensor, ns.
    pub sample_period_ns: u64,
    /// Whether windows open and close at ticks of the counters.
    pub aligns_windows: bool,
    /// Whether samples are written to the folder `timeline/` beside the record.
    pub keeps_timeline: bool,
    /// The declared power model of the processor, which is used if nothing measures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_model: Option<PowerModelRecord>,
    /// The folder that is read in place of `/proc`. Absent if it is `/proc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proc_root: Option<String>,
    /// The folder that is read in place of `/sys`. Absent if it is `/sys`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sys_root: Option<String>,
}

/// A declared power model of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PowerModelRecord {
    /// Power with all hardware threads busy, W.
    pub tdp_watts: f64,
    /// Power with no hardware thread busy, W.
    pub idle_watts: f64,
    /// Standard uncertainty of the energy, as a share of it. Absent if all that is known is that power is between the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunPlan;

    #[test]
    fn a_plan_of_schema_2_0_is_read() {
        let old = r#"{
            "llem_version": "0.1.0", "command": ["llem"], "components": [], "parameters": {},
            "grants": {"model": "synthetic:tiny", "dtype": null, "device": "cpu", "datasets": []},
            "seed": 0, "limits": {},
            "host": {"system": "Linux 6.1", "cpu": "a processor, 4 threads", "memory_bytes": 1024, "threads": 4}
        }"#;
        let plan: RunPlan = serde_json::from_str(old).expect("a plan of schema 2.0");
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
