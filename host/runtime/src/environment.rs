//! Reads what surrounds a run and may change its results: the machine, the process's share of it, and environment
//! variables. What cannot be read is absent from the record.

use crate::{
    cgroup::{self, read_text},
    redaction,
};
use llem_engine::{
    cpu::{InstructionSet, threads},
    launcher_variables,
};
use llem_meter::{PROC_VARIABLE, Processor, Roots, SYS_VARIABLE};
use llem_record::{Host, MeteringRecord, RunPlan};
use std::{
    collections::{BTreeMap, HashSet},
    env,
    ffi::OsString,
    fs,
    path::Path,
};

/// The prefixes of variables that change results: llem's own, and those of CUDA and NCCL, of libraries that share work
/// among threads, of candle (which names some after mistral.rs), of allocators, and of the Hub.
const PREFIXES: [&str; 13] = [
    "LLEM_",
    "CUDA_",
    "NVIDIA_",
    "NCCL_",
    "CUBLAS_",
    "RAYON_",
    "OMP_",
    "MKL_",
    "CANDLE_",
    "MISTRALRS_",
    "MALLOC_",
    "MIMALLOC_",
    "HF_",
];

/// Further variables, which decide what libraries are loaded.
const NAMES: [&str; 3] = ["LD_PRELOAD", "LD_LIBRARY_PATH", "GLIBC_TUNABLES"];

/// The prefix of variables that only llem's own tests set.
const FOR_TESTS: &str = "LLEM_TEST_";

/// Returns the variables among `all` that change results, with secrets replaced.
pub(crate) fn variables(
    all: impl IntoIterator<Item = (OsString, OsString)>,
) -> BTreeMap<String, String> {
    let texts = all.into_iter().map(|(name, value)| {
        (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
    });
    let named: HashSet<_> = NAMES.into_iter().chain(launcher_variables()).collect();
    let matter = texts.filter(|(name, _)| {
        PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || named.contains(name.as_str())
    });
    matter
        .map(|(name, value)| {
            let value = redaction::redact(&name, &value);
            (name, value)
        })
        .collect()
}

/// Warnings that a reader of the record must see: the numbers may be given, or from other hardware than this machine's.
pub(crate) fn warnings(plan: &RunPlan) -> Vec<String> {
    let for_tests = plan.environment.keys().filter(|name| name.starts_with(FOR_TESTS));
    let for_tests = for_tests.map(|name| {
        format!("{name} is set, which stands in for hardware in llem's own tests: unset it to measure this machine")
    });
    let synthetic = plan.synthetic_host.is_some().then(|| {
        "the run was on a synthetic host: its times and energies were given, and none was measured"
            .to_owned()
    });
    let mut warnings: Vec<String> = synthetic.into_iter().chain(for_tests).collect();
    let moved = |metering: &MeteringRecord| {
        [
            (PROC_VARIABLE, "/proc", metering.proc_root.clone()),
            (SYS_VARIABLE, "/sys", metering.sys_root.clone()),
        ]
    };
    for (name, usual, root) in plan.metering.iter().flat_map(moved) {
        if let Some(root) = root {
            warnings.push(format!(
                "{name} is set: {root} is read in place of {usual}, and this run's energy and processor are what stands there; unset it unless those are this machine's"
            ));
        }
    }
    warnings
}

/// Reads the machine and the process's share of it. The processor is read from the same folders as the meters use.
pub(crate) fn host(metered: &Roots) -> Host {
    let cpu = Processor::new(metered);
    let machine = read_machine(&Roots { proc: "/proc".into(), sys: "/sys".into() });
    Host {
        cpu: cpu.name(),
        memory_bytes: cpu.memory_bytes(),
        threads: threads::pool_threads() as u32,
        candle_threads: Some(threads::candle_threads() as u32),
        simd: InstructionSet::chosen().to_string(),
        kernels: "llem".to_owned(),
        container: container(),
        ..machine
    }
}

/// Reads the kernel's files about the machine and the process.
fn read_machine(roots: &Roots) -> Host {
    let proc = |name: &str| read_text(&roots.proc.join(name));
    let sys = |name: &str| read_text(&roots.sys.join(name));
    let kernel = |name: &str| proc(&format!("sys/kernel/{name}")).unwrap_or_default();
    let online = sys("devices/system/cpu/online").and_then(|list| count_list(&list));
    Host {
        system: format!("{} {}", kernel("ostype"), kernel("osrelease")).trim().to_owned(),
        hardware_threads: online,
        affinity: field(&proc("self/status").unwrap_or_default(), "Cpus_allowed_list"),
        cgroup: cgroup::limits(roots),
        is_virtual: is_virtual(roots),
        product: sys("class/dmi/id/product_name"),
        transparent_hugepages: sys("kernel/mm/transparent_hugepage/enabled")
            .as_deref()
            .and_then(bracketed_choice),
        numa_nodes: numa_nodes(roots),
        swap_bytes: field(&proc("meminfo").unwrap_or_default(), "SwapTotal").and_then(|total| {
            let kibibytes: u64 = total.strip_suffix(" kB")?.parse().ok()?;
            Some(kibibytes * 1024)
        }),
        ..Host::default()
    }
}

/// Returns whether the machine is virtual, by the hypervisor bit of CPUID. Processors other than x86 have no such bit.
fn is_virtual(roots: &Roots) -> Option<bool> {
    if roots.sys.join("hypervisor/type").exists() {
        return Some(true);
    }
    let info = read_text(&roots.proc.join("cpuinfo"))?;
    let flags = field(&info, "flags")?;
    Some(flags.split(' ').any(|flag| flag == "hypervisor"))
}

/// Detects a container by the signs that container runtimes leave.
fn container() -> Option<String> {
    if env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return Some("kubernetes".to_owned());
    }
    let named = env::var("container").ok().filter(|name| !name.is_empty());
    let left = [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")];
    let left = || left.into_iter().find(|(file, _)| Path::new(file).exists());
    named.or_else(|| left().map(|(_, name)| name.to_owned()))
}

fn numa_nodes(roots: &Roots) -> Option<u32> {
    let folder = fs::read_dir(roots.sys.join("devices/system/node")).ok()?;
    let names = folder.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let is_node = |name: &String| {
        name.strip_prefix("node").is_some_and(|number| number.parse::<u32>().is_ok())
    };
    Some(names.filter(is_node).count() as u32).filter(|count| *count > 0)
}

/// The number of entries in one of the kernel's lists: `0-3,8` has five.
fn count_list(list: &str) -> Option<u32> {
    let ranges = list.split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    });
    ranges.sum()
}

/// The choice in brackets: `madvise` in `always [madvise] never`.
fn bracketed_choice(choices: &str) -> Option<String> {
    let (_, rest) = choices.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

/// The value of a line `name: value`.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    fn recorded(given: &[(&str, &str)]) -> BTreeMap<String, String> {
        variables(given.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn variables_that_change_results_are_recorded_and_no_others() {
        let matter = [
            ("LLEM_SIMD", "avx2"),
            ("RAYON_NUM_THREADS", "3"),
            ("CUDA_VISIBLE_DEVICES", "1"),
            ("RANK", "0"),
            ("LD_PRELOAD", "libjemalloc.so"),
        ];
        let others = [("HOME", "/home/somebody"), ("SLURM_JOB_ACCOUNT", "a"), ("FRANK", "1")];
        let kept = recorded(&[&matter[..], &others].concat());
        assert_eq!(kept, recorded(&matter));
        assert_eq!(kept.len(), matter.len());
        assert_eq!(kept["RAYON_NUM_THREADS"], "3");
    }

    #[test]
    fn no_secret_is_recorded() {
        let given = [
            ("HF_TOKEN", "hf_abc"),
            ("LLEM_API_KEY", "abc"),
            ("NVIDIA_Client_Secret", "abc"),
            ("HF_ENDPOINT", "https://me:abc@hub.example.org"),
        ];
        let kept = recorded(&given);
        assert_eq!(kept.len(), given.len());
        assert!(kept.values().all(|value| !value.contains("abc")), "{kept:?}");
        let plain = [("HF_ENDPOINT", "https://hub.example.org")];
        assert_eq!(recorded(&plain)["HF_ENDPOINT"], "https://hub.example.org");
    }

    #[test]
    fn stand_ins_for_hardware_become_warnings() {
        let mut plan = RunPlan { metering: Some(MeteringRecord::default()), ..RunPlan::default() };
        plan.environment = recorded(&[("LLEM_CACHE", "/tmp/cache")]);
        assert_eq!(warnings(&plan), Vec::<String>::new());
        plan.environment = recorded(&[("LLEM_TEST_NVML", "/tmp/nvml.csv")]);
        let sys_root = Some("/tmp/sys".to_owned());
        plan.metering = Some(MeteringRecord { sys_root, ..MeteringRecord::default() });
        let texts = warnings(&plan);
        assert_eq!(texts.len(), 2);
        assert!(texts[0].starts_with("LLEM_TEST_NVML is set"), "{texts:?}");
        assert!(texts[1].starts_with("LLEM_SYS is set: /tmp/sys"), "{texts:?}");
    }

    #[test]
    fn the_machine_is_read_from_the_kernels_files() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("proc/cpuinfo", "model name\t: a processor\nflags\t\t: fpu sse2 hypervisor lm\n"),
            ("proc/meminfo", "SwapCached:     1 kB\nSwapTotal:      2048 kB\n"),
            ("proc/self/status", "Name:\tllem\nCpus_allowed:\t7\nCpus_allowed_list:\t0-2\n"),
            ("proc/sys/kernel/ostype", "Linux\n"),
            ("proc/sys/kernel/osrelease", "6.1.0\n"),
            ("sys/devices/system/cpu/online", "0-3,8\n"),
            ("sys/devices/system/node/node0/cpulist", "0-3\n"),
            ("sys/devices/system/node/node1/cpulist", "8\n"),
            ("sys/devices/system/node/possible", "0-1\n"),
            ("sys/class/dmi/id/product_name", "Standard PC\n"),
            ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let roots = Roots { proc: folder.path().join("proc"), sys: folder.path().join("sys") };
        let expected = Host {
            system: "Linux 6.1.0".to_owned(),
            hardware_threads: Some(5),
            affinity: Some("0-2".to_owned()),
            is_virtual: Some(true),
            product: Some("Standard PC".to_owned()),
            transparent_hugepages: Some("madvise".to_owned()),
            numa_nodes: Some(2),
            swap_bytes: Some(2 << 20),
            ..Host::default()
        };
        assert_eq!(read_machine(&roots), expected);
        let nowhere = Roots { proc: "/nowhere".into(), sys: "/nowhere".into() };
        assert_eq!(read_machine(&nowhere), Host::default());
    }
}
