//! `cuda:0` is metered on the very card that CUDA calls so, or not at all. CUDA numbers cards from the fastest, NVML by their
//! place on the bus; a process may see only some of them, and a device may be a part of a card.

use crate::{
    energies::stand_in,
    support::{
        CommandOutput, Hardware, Launch, NO_PERMISSION, TestContext, free_port, guest,
        metering::{assert_joules, energy, windows},
        of_kind,
    },
};
use serde_json::Value;
use std::process::{Child, Stdio};

/// The card that draws 100 W and is first on the bus.
const SLOW: &str = "GPU-5a000000-0000-4000-8000-000000000001";
/// The card that draws 400 W.
const FAST: &str = "GPU-fa000000-0000-4000-8000-000000000002";
/// Two MIG instances of the card of 400 W.
const HALF: &str = "MIG-aa000000-0000-4000-8000-00000000000a";
const OTHER_HALF: &str = "MIG-bb000000-0000-4000-8000-00000000000b";

/// Makes two unlike cards, of which CUDA calls NVML's second `cuda:0`.
fn unlike() -> Hardware {
    unlike_with("NVIDIA H100 PCIe")
}

/// Makes two unlike cards, the fast one with further properties.
fn unlike_with(fast: &str) -> Hardware {
    Hardware::new()
        .gpu_named(SLOW, "NVIDIA A30", 100, 60, |_| {})
        .gpu_named(FAST, fast, 400, 60, |_| {})
        .cuda_order(&[FAST, SLOW])
}

/// Makes two unlike cards, the fast one cut into two MIG instances.
fn in_halves() -> Hardware {
    unlike_with(&format!("NVIDIA H100 PCIe mig={HALF},{OTHER_HALF}"))
}

fn doctor(hardware: &Hardware, context: &TestContext, environment: &[(&str, &str)]) -> Child {
    let mut command = hardware.command(context, &["doctor", "--json"]);
    let command = command.envs(environment.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Returns the GPUs that `llem doctor` lists.
fn gpus(doctor: Child) -> Vec<Value> {
    let told = CommandOutput::from_output(doctor.wait_with_output().unwrap()).ok().json();
    told["devices"].as_array().unwrap()[1..].to_vec()
}

/// Returns id and UUID of each GPU.
fn named(gpus: &[Value]) -> Vec<(&str, &str)> {
    gpus.iter().map(|gpu| (gpu["id"].as_str().unwrap(), gpu["uuid"].as_str().unwrap())).collect()
}

#[test]
fn joules_are_those_of_the_card_that_cuda_means() {
    let record = windows(&unlike(), &["-p", "length=1000"]);
    let window = &record["windows"][0];
    assert_joules(energy(window, "cuda:0"), 400.0, &window["wall_ns"]);
    assert_joules(energy(window, "cuda:1"), 100.0, &window["wall_ns"]);
    let devices = record["devices"].as_array().unwrap();
    assert_eq!(named(&devices[1..]), [("cuda:0", FAST), ("cuda:1", SLOW)]);
    assert_eq!(devices[1]["name"], "NVIDIA H100 PCIe");
    assert_eq!(devices[1]["gauges"][0]["at"], format!("nvml {FAST}"));
}

#[test]
fn what_cuda_shows_is_followed() {
    let (hardware, context) = (unlike(), TestContext::new());
    let by_bus = ("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
    let shows = |list| vec![("CUDA_VISIBLE_DEVICES", list)];
    let cases = [
        (shows("1"), vec![("cuda:0", SLOW)]),
        (shows("1,0"), vec![("cuda:0", SLOW), ("cuda:1", FAST)]),
        (shows(SLOW), vec![("cuda:0", SLOW)]),
        (shows("GPU-5a"), vec![("cuda:0", SLOW)]),
        (vec![by_bus], vec![("cuda:0", SLOW), ("cuda:1", FAST)]),
        (vec![by_bus, ("CUDA_VISIBLE_DEVICES", "1")], vec![("cuda:0", FAST)]),
    ];
    let running: Vec<Child> =
        cases.iter().map(|(environment, _)| doctor(&hardware, &context, environment)).collect();
    for (child, (environment, expected)) in running.into_iter().zip(cases) {
        let gpus = gpus(child);
        assert_eq!(named(&gpus), expected, "{environment:?}");
        for gpu in &gpus {
            let watts = if gpu["uuid"] == FAST { 400.0 } else { 100.0 };
            assert_eq!(gpu["power"]["value"], watts, "{environment:?}");
            assert_eq!(gpu["energy_source"], "nvml-counter");
        }
    }
    let hidden = hardware
        .command(&context, &["doctor", "--json"])
        .env("CUDA_VISIBLE_DEVICES", "-1")
        .output();
    let told = CommandOutput::from_output(hidden.unwrap()).ok().json();
    assert_eq!(told["gpus_missing"], "CUDA_VISIBLE_DEVICES=-1 leaves this process no GPU");
}

#[test]
fn an_instance_is_metered_as_its_card_and_says_so() {
    let (hardware, context) = (in_halves(), TestContext::new());
    let legacy = format!("MIG-{FAST}/1/0");
    for (list, instance) in
        [(HALF, HALF), ("MIG-bb", OTHER_HALF), (&legacy, OTHER_HALF), ("0", HALF)]
    {
        let gpus = gpus(doctor(&hardware, &context, &[("CUDA_VISIBLE_DEVICES", list)]));
        assert_eq!(named(&gpus), [("cuda:0", instance)], "{list}");
        let note = gpus[0]["notes"][0].as_str().unwrap();
        assert!(note.contains(&format!("the MIG instance {instance} of {FAST}")), "{note}");
        assert_eq!(gpus[0]["power"]["value"], 400.0);
    }
}

#[test]
fn two_instances_of_a_card_have_one_gauge() {
    let (hardware, context) = (in_halves(), TestContext::new());
    let metering = guest("metering");
    let mut command = hardware.command(&context, &["exec", &metering, "-p", "length=1000"]);
    let ran = command.env("CUDA_VISIBLE_DEVICES", format!("{HALF},{OTHER_HALF}")).output().unwrap();
    CommandOutput::from_output(ran).ok();
    let record = context.record();
    let window = &record["windows"][0];
    assert_joules(energy(window, "cuda:0"), 400.0, &window["wall_ns"]);
    let reason = energy(window, "cuda:1")["unavailable"].as_str().unwrap();
    assert!(reason.contains("the same card as cuda:0"), "{reason}");
    assert_eq!(
        named(&record["devices"].as_array().unwrap()[1..]),
        [("cuda:0", HALF), ("cuda:1", OTHER_HALF)]
    );
}

#[test]
fn without_cuda_unlike_cards_are_not_guessed() {
    let (hardware, context) = (unlike().without_cuda(), TestContext::new());
    let running = [
        &[][..],
        &[("CUDA_VISIBLE_DEVICES", "1")],
        &[("CUDA_VISIBLE_DEVICES", "GPU-fa")],
        &[("CUDA_DEVICE_ORDER", "PCI_BUS_ID")],
    ]
    .map(|environment| doctor(&hardware, &context, environment));
    let [all, second, by_uuid, by_bus] = running.map(gpus);
    for gpu in all.iter().chain(&second) {
        let reason = gpu["energy_unavailable"].as_str().unwrap();
        for word in ["set CUDA_DEVICE_ORDER=PCI_BUS_ID", "cannot be known", "libcuda.so.1"] {
            assert!(reason.contains(word), "{reason}");
        }
        assert_eq!((&gpu["uuid"], &gpu["power"]), (&Value::Null, &Value::Null), "another card's");
    }
    assert_eq!((all.len(), second.len()), (2, 1));
    assert_eq!(named(&by_uuid), [("cuda:0", FAST)]);
    assert_eq!(named(&by_bus), [("cuda:0", SLOW), ("cuda:1", FAST)]);
    let alike = Hardware::new()
        .gpu_named(SLOW, "NVIDIA A30", 100, 60, |_| {})
        .gpu_named(FAST, "NVIDIA A30", 400, 60, |_| {})
        .without_cuda();
    let gpus = gpus(doctor(&alike, &context, &[("CUDA_VISIBLE_DEVICES", "1")]));
    assert_eq!(named(&gpus), [("cuda:0", FAST)]);
}

#[test]
fn a_card_that_is_denied_has_its_reason_and_the_other_its_joules() {
    let deny = |moment: &mut crate::support::GpuReading| moment.status = NO_PERMISSION;
    let hardware = Hardware::new()
        .gpu_named(SLOW, "NVIDIA A30", 100, 60, deny)
        .gpu_named(FAST, "NVIDIA H100 PCIe", 400, 60, |_| {})
        .cuda_order(&[FAST, SLOW]);
    let record = windows(&hardware, &["-p", "length=1000"]);
    let window = &record["windows"][0];
    assert_joules(energy(window, "cuda:0"), 400.0, &window["wall_ns"]);
    let reason = energy(window, "cuda:1")["unavailable"].as_str().unwrap();
    assert!(reason.contains("run as root"), "{reason}");
}

/// Ranks as `srun --gpus-per-task=1` starts them: each process sees one GPU and calls it `cuda:0`. The windows hold no model,
/// because the double of CUDA cannot compute.
#[test]
fn gpus_of_other_ranks_are_metered_by_their_uuid() {
    let (hardware, context) = (unlike(), TestContext::new());
    let (metering, port) = (guest("metering"), free_port().to_string());
    let args = ["exec", &metering, "--tp", "2", "--device", "cuda:0", "-p", "length=1000"];
    let start = |(rank, gpu): (&str, &str)| {
        let mut command = hardware.command(&context, &args);
        command.envs([("RANK", rank), ("WORLD_SIZE", "2"), ("CUDA_VISIBLE_DEVICES", gpu)]);
        command.envs([("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", &port)]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for ended in Launch([("0", SLOW), ("1", FAST)].map(start).into()).end() {
        ended.ok();
    }
    let record = context.record();
    assert_eq!(
        named(&record["devices"].as_array().unwrap()[1..]),
        [("cuda:0", SLOW), (FAST, FAST)]
    );
    let window = &record["windows"][0];
    assert_joules(energy(window, "cuda:0"), 100.0, &window["wall_ns"]);
    assert_joules(energy(window, FAST), 400.0, &window["wall_ns"]);
}

#[test]
fn what_devices_were_set_to_is_in_the_record() {
    let hardware =
        Hardware::new().gpu(300, 60, |_| {}).domain("intel-rapl:0", "package-0", 1, 1 << 40);
    let policy = hardware.folder().join("sys/devices/system/cpu/cpufreq/policy0");
    std::fs::create_dir_all(&policy).unwrap();
    std::fs::write(policy.join("scaling_governor"), "performance\n").unwrap();
    let record = windows(&hardware, &["-p", "length=300"]);
    let [cpu, gpu] = &record["devices"].as_array().unwrap()[..] else { panic!("{record}") };
    let expected = [
        ("driver", "550.54.15"),
        ("cuda", "12.4"),
        ("power-limit", "700 W"),
        ("persistence", "on"),
        ("mig", "off"),
        ("pci-bus", "00000000:10:00.0"),
    ];
    for (setting, value) in expected {
        assert_eq!(gpu["settings"][setting], value, "{gpu}");
    }
    assert_eq!(cpu["settings"]["governor"], "performance");
    let at = cpu["gauges"][0]["at"].as_str().unwrap();
    assert!(at.ends_with("class/powercap/intel-rapl:0"), "{at}");
    assert_eq!(cpu["gauges"][0]["source"], "simulated");
}

/// Runs requests of a synthetic model that stands in for one on GPUs, and returns the energy of the first.
fn request(context: &TestContext) -> Value {
    let events = context.events();
    of_kind(&events, "generation")[0]["window"].clone()
}

/// Returns the devices that a total covers, without the processor.
fn cards(window: &Value) -> Vec<&str> {
    let covers = window["energy_covers"].as_array().map_or(&[][..], Vec::as_slice);
    covers.iter().map(|one| one["device"].as_str().unwrap()).filter(|one| *one != "cpu").collect()
}

#[test]
fn a_models_total_is_that_of_its_own_cards_or_a_reason() {
    let energies = guest("energies");
    let run = |hardware: &Hardware, more: &[&str], order: &str| {
        let context = TestContext::new();
        let model = stand_in(&context, 30);
        let args = ["exec", &energies, "--model", &model, "--device", "cuda:0"];
        let mut command = hardware.command(&context, &[&args[..], more].concat());
        CommandOutput::from_output(command.env("CUDA_DEVICE_ORDER", order).output().unwrap()).ok();
        request(&context)
    };
    // CUDA's first card is NVML's second.
    for (order, watts) in [("FASTEST_FIRST", 400.0), ("PCI_BUS_ID", 100.0)] {
        let window = run(&unlike(), &[], order);
        assert_eq!(cards(&window), ["cuda:0"]);
        assert_joules(&window["energy_total"], watts, &window["wall_ns"]);
    }
    let both = run(&unlike(), &["--tp", "2"], "FASTEST_FIRST");
    assert_eq!((cards(&both), &both["devices_used"]), (vec!["cuda:0", "cuda:1"], &2.into()));
    assert_joules(&both["energy_total"], 500.0, &both["wall_ns"]);
    // The ratio is that of the largest power to the mean of 400 and 100 W.
    let imbalance = both["energy_imbalance"]["value"].as_f64().unwrap();
    assert!((imbalance - 0.6).abs() < 0.05, "{imbalance}");
    let deny = |moment: &mut crate::support::GpuReading| moment.status = NO_PERMISSION;
    let denied = Hardware::new()
        .gpu_named(SLOW, "NVIDIA A30", 100, 60, deny)
        .gpu_named(FAST, "NVIDIA H100 PCIe", 400, 60, |_| {})
        .cuda_order(&[FAST, SLOW]);
    let window = run(&denied, &["--tp", "2"], "FASTEST_FIRST");
    let reason = window["energy_total"]["unavailable"].as_str().unwrap();
    assert!(reason.contains("cuda:1: ") && reason.contains("run as root"), "{reason}");
    assert!(window.get("energy_by_phase").is_none(), "{window}");
    assert_eq!(cards(&window), [""; 0]);
    // A total does not need a device that did no work.
    let window = run(&denied, &[], "FASTEST_FIRST");
    assert_joules(&window["energy_total"], 400.0, &window["wall_ns"]);
    let window = run(&unlike().without_cuda(), &[], "");
    let reason = window["energy_total"]["unavailable"].as_str().unwrap();
    assert!(reason.contains("CUDA_DEVICE_ORDER=PCI_BUS_ID"), "{reason}");
}

#[test]
fn each_rank_that_sees_one_gpu_counts_as_the_card_that_it_is() {
    let energies = guest("energies");
    for (hardware, gpus, watts, names) in [
        (unlike(), [SLOW, FAST], 500.0, vec![FAST, "cuda:0"]),
        (unlike(), [FAST, SLOW], 500.0, vec![SLOW, "cuda:0"]),
        // Two halves of one card count as that card, once.
        (in_halves(), [HALF, OTHER_HALF], 400.0, vec!["cuda:0"]),
    ] {
        let context = TestContext::new();
        let (model, port) = (stand_in(&context, 30), free_port().to_string());
        let args = ["exec", &energies, "--model", &model, "--tp", "2", "--device", "cuda:0"];
        let start = |(rank, gpu): (&str, &str)| {
            let mut command = hardware.command(&context, &args);
            command.envs([("RANK", rank), ("WORLD_SIZE", "2"), ("CUDA_VISIBLE_DEVICES", gpu)]);
            command.envs([("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", &port)]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let ranks = [("0", gpus[0]), ("1", gpus[1])].map(start);
        for ended in Launch(ranks.into()).end() {
            ended.ok();
        }
        let window = request(&context);
        let mut covered = cards(&window);
        covered.sort_unstable();
        assert_eq!(covered, names, "{gpus:?}");
        assert_joules(&window["energy_total"], watts, &window["wall_ns"]);
    }
}
