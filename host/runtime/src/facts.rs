//! Facts of a run for reports, by name: what the record has of the program, the machine and its GPUs.
//!
//! | name | text |
//! |---|---|
//! | `llem-version`, `llem-revision`, `llem-is-modified` | the program, the git commit that it was built from, and whether its sources were others (`true`, `false`) |
//! | `llem-features` | cargo features, joined by commas |
//! | `rustc`, `target` | the compiler, and what it compiled for |
//! | `system` | operating system and kernel |
//! | `cpu` | the processor's name |
//! | `hardware-threads`, `engine-threads` | threads of the machine that are online, and those that kernels share their work among |
//! | `memory-bytes` | memory of the machine |
//! | `ID-name`, `ID-memory-bytes` | a GPU; `ID` is its id as words, `cuda-0` of `cuda:0` |
//! | `ID-driver`, `ID-cuda` | versions of its driver and of CUDA |
//! | `ID-power-limit`, `ID-persistence` | its power limit with its unit, and its persistence mode (`on`, `off`) |
//!
//! What is not known is not in the list. Neither the host's name nor a path is in it.

use llem_meter::{Device, DeviceKind};
use llem_record::environment::{Build, Host};

/// Settings of a GPU that are facts.
const SETTINGS: [&str; 4] = ["driver", "cuda", "power-limit", "persistence"];

/// The facts of a run, in the order of the table above.
pub fn facts(build: &Build, host: &Host, devices: &[Device]) -> Vec<(String, String)> {
    let count = |count: u32| count.to_string();
    let texts = |features: &[String]| (!features.is_empty()).then(|| features.join(","));
    let of_run = [
        ("llem-version", some(&build.version)),
        ("llem-revision", build.revision.clone()),
        ("llem-is-modified", build.is_modified.map(|is_modified| is_modified.to_string())),
        ("llem-features", texts(&build.features)),
        ("rustc", some(&build.rustc)),
        ("target", some(&build.target)),
        ("system", some(&host.system)),
        ("cpu", some(&host.cpu)),
        ("hardware-threads", host.hardware_threads.map(count)),
        ("engine-threads", Some(host.threads).filter(|threads| *threads > 0).map(count)),
        ("memory-bytes", host.memory_bytes.map(|bytes| bytes.to_string())),
    ];
    let of_run = of_run.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?)));
    let gpus = devices.iter().filter(|device| device.kind == DeviceKind::Cuda);
    of_run.chain(gpus.flat_map(of_gpu)).collect()
}

fn of_gpu(gpu: &Device) -> Vec<(String, String)> {
    let id = words(&gpu.id);
    let mut facts = vec![(format!("{id}-name"), gpu.name.clone())];
    facts.extend(gpu.memory_bytes.map(|bytes| (format!("{id}-memory-bytes"), bytes.to_string())));
    let setting = |name: &str| Some((format!("{id}-{name}"), gpu.settings.get(name)?.clone()));
    facts.extend(SETTINGS.into_iter().filter_map(setting));
    facts
}

/// An id in kebab case: `cuda-0` of `cuda:0`.
fn words(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    id.chars().map(plain).collect()
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::about::is_kebab_case;

    #[test]
    fn what_is_known_is_told_by_kebab_case_names() {
        let build = Build { version: "0.2.0".to_owned(), ..Build::default() };
        let host = Host { system: "Linux 6.1".to_owned(), threads: 4, ..Host::default() };
        let gpu = Device {
            id: "cuda:0".to_owned(),
            kind: DeviceKind::Cuda,
            name: "a GPU".to_owned(),
            uuid: None,
            memory_bytes: Some(1 << 30),
            compute_capability: None,
            energy_source: Err("a test".to_owned()),
            notes: Vec::new(),
            settings: [("driver", "580.1"), ("power-limit", "700 W"), ("ecc", "on")]
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
                .into(),
        };
        let facts = facts(&build, &host, &[gpu]);
        assert!(facts.iter().all(|(name, _)| is_kebab_case(name)), "{facts:?}");
        let told: Vec<_> = facts.iter().map(|(name, text)| format!("{name}={text}")).collect();
        let expected = [
            "llem-version=0.2.0",
            "system=Linux 6.1",
            "engine-threads=4",
            "cuda-0-name=a GPU",
            "cuda-0-memory-bytes=1073741824",
            "cuda-0-driver=580.1",
            "cuda-0-power-limit=700 W",
        ];
        assert_eq!(told, expected);
    }
}
