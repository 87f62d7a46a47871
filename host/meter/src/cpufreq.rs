//! Settings of the kernel that govern the processor's clock (Documentation/admin-guide/pm/cpufreq.rst, intel_pstate.rst).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The folder within `/sys`.
const CPU: &str = "devices/system/cpu";

/// The settings of a policy: the name in the record and the file. A policy is a set of threads that share a clock.
const POLICY_FILES: [(&str, &str); 3] = [
    ("governor", "scaling_governor"),
    ("frequency-driver", "scaling_driver"),
    ("energy-performance-preference", "energy_performance_preference"),
];

/// Reads the settings from `/sys`, which is the folder `sys`. A setting that cannot be read is absent. If policies differ,
/// all values are named.
pub(crate) fn settings(sys: &Path) -> BTreeMap<String, String> {
    let root = sys.join(CPU);
    let policies = fs::read_dir(root.join("cpufreq")).into_iter().flatten().flatten();
    let policies: Vec<_> = policies
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("policy"))
        .map(|entry| entry.path())
        .collect();
    let mut settings = BTreeMap::new();
    for (name, file) in POLICY_FILES {
        let values: BTreeSet<String> =
            policies.iter().filter_map(|policy| text(&policy.join(file))).collect();
        if !values.is_empty() {
            settings.insert(name.to_owned(), values.into_iter().collect::<Vec<_>>().join(", "));
        }
    }
    // The driver intel_pstate has `no_turbo`. All other drivers have `boost`.
    let no_turbo = text(&root.join("intel_pstate/no_turbo")).map(|value| value == "0");
    let boost = no_turbo.or_else(|| text(&root.join("cpufreq/boost")).map(|value| value == "1"));
    if let Some(is_on) = boost {
        settings.insert("boost".to_owned(), if is_on { "on" } else { "off" }.to_owned());
    }
    settings
}

fn text(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn what_the_kernel_tells_is_read_and_the_rest_absent() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join(CPU);
        for (policy, governor) in [("policy0", "performance\n"), ("policy1", "powersave\n")] {
            let policy = root.join("cpufreq").join(policy);
            fs::create_dir_all(&policy).unwrap();
            fs::write(policy.join("scaling_governor"), governor).unwrap();
            fs::write(policy.join("scaling_driver"), "intel_pstate\n").unwrap();
        }
        fs::create_dir_all(root.join("intel_pstate")).unwrap();
        fs::write(root.join("intel_pstate/no_turbo"), "1\n").unwrap();
        let told = settings(folder.path());
        let told: Vec<_> = told.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let expected = [
            ("boost", "off"),
            ("frequency-driver", "intel_pstate"),
            ("governor", "performance, powersave"),
        ];
        assert_eq!(told, expected);
        assert!(settings(Path::new("/nonexistent")).is_empty());
    }
}
