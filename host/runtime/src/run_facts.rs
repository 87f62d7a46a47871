//! The facts of a run for reports, by name: the program, the machine and its GPUs, as in the record.
//!
//! | name | text |
//! |---|---|
//! | `llem-version`, `llem-revision`, `llem-is-modified` | the program's version, its git commit, whether its sources differed (`true`, `false`) |
//! | `llem-features` | cargo features, joined by commas |
//! | `rustc`, `target` | the compiler, and what it compiled for |
//! | `system` | operating system and kernel |
//! | `cpu` | the processor's name |
//! | `hardware-threads`, `engine-threads` | the machine's threads that are online, and the threads that kernels use |
//! | `memory-bytes` | memory of the machine |
//! | `ID-name`, `ID-memory-bytes` | a GPU; `ID` is its id with hyphens, `cuda-0` for `cuda:0` |
//! | `ID-driver`, `ID-cuda` | versions of its driver and of CUDA |
//! | `ID-power-limit`, `ID-persistence` | its power limit with its unit, and its persistence mode (`on`, `off`) |
//!
//! Facts that are not known are left out. The host's name and paths are never in the list.

use llem_meter::{Device, DeviceKind};
use llem_record::{Build, Host};

/// The settings of a GPU that are facts.
const SETTINGS: [&str; 4] = ["driver", "cuda", "power-limit", "persistence"];

/// Returns the facts of a run in the order of the table above.
pub(crate) fn facts(build: &Build, host: &Host, devices: &[Device]) -> Vec<(String, String)> {
    let count = |count: u32| count.to_string();
    let texts = |features: &[String]| (!features.is_empty()).then(|| features.join(","));
    let of_run = [
        ("llem-version", non_empty(&build.version)),
        ("llem-revision", build.revision.clone()),
        ("llem-is-modified", build.is_modified.map(|is_modified| is_modified.to_string())),
        ("llem-features", texts(&build.features)),
        ("rustc", non_empty(&build.rustc)),
        ("target", non_empty(&build.target)),
        ("system", non_empty(&host.system)),
        ("cpu", non_empty(&host.cpu)),
        ("hardware-threads", host.hardware_threads.map(count)),
        ("engine-threads", Some(host.threads).filter(|threads| *threads > 0).map(count)),
        ("memory-bytes", host.memory_bytes.map(|bytes| bytes.to_string())),
    ];
    let of_run = of_run.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?)));
    let gpus = devices.iter().filter(|device| device.kind == DeviceKind::Cuda);
    of_run.chain(gpus.flat_map(gpu_facts)).collect()
}

fn gpu_facts(gpu: &Device) -> Vec<(String, String)> {
    let id = kebab_case_id(&gpu.id);
    let mut facts = vec![(format!("{id}-name"), gpu.name.clone())];
    facts.extend(gpu.memory_bytes.map(|bytes| (format!("{id}-memory-bytes"), bytes.to_string())));
    let setting = |name: &str| Some((format!("{id}-{name}"), gpu.settings.get(name)?.clone()));
    facts.extend(SETTINGS.into_iter().filter_map(setting));
    facts
}

/// Converts an id to kebab case: `cuda:0` becomes `cuda-0`.
fn kebab_case_id(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    id.chars().map(plain).collect()
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::about::is_kebab_case;

    #[test]
    fn facts_have_kebab_case_names() {
        let build = Build { version: "0.2.0".to_owned(), ..Build::default() };
        let host = Host { system: "Linux 6.1".to_owned(), threads: 4, ..Host::default() };
        let gpu = Device {
            id: "cuda:0".to_owned(),
            kind: DeviceKind::Cuda,
            name: "a GPU".to_owned(),
            uuid: None,
            memory_bytes: Some(1 << 30),
            compute_capability: None,
            energy_source: Err("a test".into()),
            notes: Vec::new(),
            settings: [("driver", "580.1"), ("power-limit", "700 W"), ("ecc", "on")]
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
                .into(),
        };
        let facts = facts(&build, &host, &[gpu]);
        assert!(facts.iter().all(|(name, _)| is_kebab_case(name)), "{facts:?}");
        let texts: Vec<_> = facts.iter().map(|(name, text)| format!("{name}={text}")).collect();
        let expected = [
            "llem-version=0.2.0",
            "system=Linux 6.1",
            "engine-threads=4",
            "cuda-0-name=a GPU",
            "cuda-0-memory-bytes=1073741824",
            "cuda-0-driver=580.1",
            "cuda-0-power-limit=700 W",
        ];
        assert_eq!(texts, expected);
    }
}
