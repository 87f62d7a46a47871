//! Energy end to end: a model runs on a double of a card whose power follows what the process does. The energy of requests,
//! phases, sequences and windows is compared with what the double drew.

use crate::support::{CommandOutput, Hardware, TestContext, guest, of_kind};
use serde_json::Value;
use std::process::Stdio;

const CARD: &str = "GPU-ca000000-0000-4000-8000-000000000001";
const DOMAIN: &str = "intel-rapl:0";
const RANGE: u64 = 262_143_328_850;
/// Constant power of the processor, W.
const CPU_WATTS: f64 = 30.0;

/// Writes the config of a synthetic model that stands in for one on a GPU, and whose decode is mostly waiting.
pub fn stand_in(context: &TestContext, decode_ms: u64) -> String {
    let preset = include_str!("../host/checkpoint/src/presets/tiny.json");
    let mut config: Value = serde_json::from_str(preset).unwrap();
    config["llem_stand_in"] = true.into();
    config["llem_latency"] = serde_json::json!({ "prefill_ms": 0, "decode_ms": decode_ms });
    format!("synthetic:{}", context.file("model.json", config.to_string()))
}

/// The record of a case, with access to what the card drew.
struct Worked {
    context: TestContext,
    hardware: Hardware,
    process: u32,
}

impl Worked {
    /// Runs a case of the guest `energies` on a card that draws 80 to 400 W, beside a processor of 30 W.
    fn case(case: &str, more: &[&str]) -> Self {
        let (context, hardware) =
            (TestContext::new(), Hardware::new().working_gpu(CARD, [80, 400], 20));
        let hardware = hardware.domain(DOMAIN, "package-0", 1_000_000, RANGE);
        let drawing = hardware.drawing(DOMAIN, CPU_WATTS as u64, RANGE);
        let (model, energies, case) =
            (stand_in(&context, 30), guest("energies"), format!("case={case}"));
        let args = ["exec", &energies, "--model", &model, "--device", "cuda:0", "-p", &case];
        let mut command = hardware.command(&context, &[&args[..], more].concat());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let process = child.id();
        CommandOutput::from_output(child.wait_with_output().unwrap()).ok();
        drop(drawing);
        Self { context, hardware, process }
    }

    /// Returns the energy that card and processor used between two moments of the run, J.
    fn drawn(&self, from: u64, to: u64) -> f64 {
        let events = self.context.events();
        let began = events[0]["unix_ns"].as_u64().unwrap();
        self.hardware.drawn(self.process, 0, began + from, began + to)
            + CPU_WATTS * (to - from) as f64 * 1e-9
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Panics unless an energy is what was drawn, within its uncertainty. The double's own reading may be a millisecond apart.
#[track_caller]
fn is_drawn(energy: &Value, drawn: f64, what: &str) {
    let (joules, uncertainty) = (number(&energy["value"]), number(&energy["uncertainty"]));
    let allowed = 3.0 * uncertainty + 1.5 + 0.01 * drawn;
    assert!(
        (joules - drawn).abs() < allowed,
        "{what}: {joules} ± {uncertainty} J, drawn {drawn} J"
    );
}

#[track_caller]
fn is_equal(one: f64, other: f64) {
    assert!((one - other).abs() <= 1e-9 * one.abs().max(other.abs()), "{one} and {other}");
}

fn covers(window: &Value) -> Vec<String> {
    let covers = window["energy_covers"].as_array().cloned().unwrap_or_default();
    covers.iter().map(|one| one["device"].as_str().unwrap().to_owned()).collect()
}

/// Returns the energy of sequences, J, and of their prompts.
fn shares(sequences: &[&Value]) -> [f64; 2] {
    sequences.iter().fold([0.0; 2], |sum, sequence| {
        let energy = &sequence["energy"];
        assert_eq!(energy["shared_by"], "operations-and-bytes");
        let [share, prefill, decode] =
            ["share", "prefill", "decode"].map(|part| number(&energy[part]["value"]));
        is_equal(share, prefill + decode);
        // Readings of a double are marked as simulated, and so is everything computed from them.
        assert_eq!(energy["share"]["source"], "simulated");
        [sum[0] + share, sum[1] + prefill]
    })
}

#[test]
fn a_requests_phases_and_sequences_have_the_joules_that_were_drawn() {
    let worked = Worked::case("request", &[]);
    let events = worked.context.events();
    let generations = of_kind(&events, "generation");
    assert_eq!(generations.len(), 3);
    for generation in &generations {
        let (window, times) = (&generation["window"], &generation["times"]);
        let from = window["started_ns"].as_u64().unwrap();
        let to = from + window["wall_ns"].as_u64().unwrap();
        let part = |name: &str| times[name].as_u64().unwrap();
        let prefilled = from + part("tokenize_ns") + part("prefill_ns");
        let phases = &window["energy_by_phase"];
        is_drawn(&window["energy_total"], worked.drawn(from, to), "total");
        assert_eq!(covers(window), ["cpu", "cuda:0"]);
        let value = |reading: &Value| number(&reading["value"]);
        is_equal(
            value(&window["energy_total"]),
            value(&window["energy_cpu"]) + value(&window["energy_accelerators"]),
        );
        let total = value(&window["energy_total"]);
        let decoded = phases["decode"]["value"].as_f64().unwrap_or(0.0);
        is_equal(total, value(&phases["prefill"]) + decoded);
        // A phase that did not occur is absent, not zero.
        assert!(phases.get("mixed").is_none() && phases.get("outside").is_none(), "{phases}");
        let sequences = generation["sequences"].as_array().unwrap();
        let [shared, prefill] = shares(&sequences.iter().collect::<Vec<_>>());
        is_equal(shared, total);
        is_equal(prefill, value(&phases["prefill"]));
        if window["activity"]["output_tokens"] == 1 {
            assert!(phases.get("decode").is_none(), "{phases}");
            continue;
        }
        is_drawn(&phases["prefill"], worked.drawn(from, prefilled), "prefill");
        is_drawn(&phases["decode"], worked.drawn(prefilled, to), "decode");
    }
    // The prompt of 400 tokens costs more than that of 5, and each costs its decode.
    let sequences = generations[0]["sequences"].as_array().unwrap();
    let part = |index: usize, part: &str| number(&sequences[index]["energy"][part]["value"]);
    assert!(part(0, "prefill") > 3.0 * part(2, "prefill"));
    assert!(part(0, "decode") > part(2, "decode") && part(2, "decode") > 0.2 * part(0, "decode"));
    let record = worked.context.record();
    let group = &record["groups"][0];
    for field in ["energy_prefill", "energy_decode", "energy_cpu", "energy_accelerators"] {
        assert!(number(&group[field]["value"]) > 0.0, "{field}: {group}");
    }
    assert_eq!(group["energy_per_sequence_j"]["count"], 5);
    let warned = record["warnings"].to_string();
    assert!(warned.contains("counts as being on cuda:0 and is computed by the CPU"), "{warned}");
}

#[test]
fn sequences_of_a_batch_share_the_energy_of_its_steps() {
    let worked = Worked::case("batch", &[]);
    let (events, record) = (worked.context.events(), worked.context.record());
    let window = &record["windows"][0];
    let phases = &window["energy_by_phase"];
    let value = |reading: &Value| number(&reading["value"]);
    let ended = of_kind(&events, "batch-sequence");
    assert_eq!(ended.len(), 4);
    let sequences: Vec<&Value> = ended.iter().map(|ended| &ended["sequence"]).collect();
    let [shared, _] = shares(&sequences);
    let [prefill, decode, mixed, outside] =
        ["prefill", "decode", "mixed", "outside"].map(|phase| value(&phases[phase]));
    is_equal(shared, prefill + decode + mixed);
    is_equal(value(&window["energy_total"]), prefill + decode + mixed + outside);
    assert!(prefill > 0.0 && decode > 0.0 && mixed > 0.0 && outside > 0.0, "{phases}");
    let from = window["started_ns"].as_u64().unwrap();
    let to = from + window["wall_ns"].as_u64().unwrap();
    is_drawn(&window["energy_total"], worked.drawn(from, to), "window");
    // The steps as the script saw them.
    let points = record["series"][0]["points"].as_array().unwrap();
    let drawn: f64 = points
        .iter()
        .map(|step| worked.drawn(number(&step[0]) as u64, number(&step[1]) as u64))
        .sum();
    let steps = ["prefill", "decode", "mixed"].map(|phase| number(&phases[phase]["uncertainty"]));
    let uncertainty = steps.into_iter().fold(0.0, f64::hypot);
    let allowed = 3.0 * uncertainty + 1.5 + 0.01 * drawn;
    assert!((shared - drawn).abs() < allowed, "{shared} J shared of {drawn} ± {uncertainty} J");
    // The long prompt used most of its request's energy.
    let most = ended.iter().map(|one| number(&one["sequence"]["energy"]["share"]["value"]));
    let long = ended.iter().find(|one| one["sequence"]["prompt_tokens"] == 500).unwrap();
    let long = number(&long["sequence"]["energy"]["share"]["value"]);
    assert!(most.fold(0.0, f64::max) <= long);
    let group = &record["groups"][0];
    is_equal(value(&group["energy"]), shared);
    // The script was given the same numbers.
    is_equal(number(&record["metrics"][0]["quantity"]["value"]), shared);
    assert_eq!(covers(group), ["cpu", "cuda:0"]);
    assert_eq!(window["batches"], serde_json::json!([0]));
}

#[test]
fn bursts_shorter_than_ticks_are_not_taken_for_rest() {
    let (context, hardware) =
        (TestContext::new(), Hardware::new().working_gpu(CARD, [60, 600], 100));
    let model = stand_in(&context, 0);
    let energies = guest("energies");
    let args = ["exec", &energies, "--model", &model, "--device", "cuda:0", "-p", "case=bursts"];
    // Bursts of some tens of milliseconds, on a fast processor too.
    let mut command = hardware.command(&context, &[&args[..], &["-p", "new-tokens=48"]].concat());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let process = child.id();
    CommandOutput::from_output(child.wait_with_output().unwrap()).ok();
    let worked = Worked { context, hardware, process };
    let (events, record) = (worked.context.events(), worked.context.record());
    let began = events[0]["unix_ns"].as_u64().unwrap();
    let points = record["series"][0]["points"].as_array().unwrap();
    let drawn: f64 = points
        .iter()
        .map(|step| [0, 1].map(|end| began + number(&step[end]) as u64))
        .map(|[from, to]| worked.hardware.drawn(process, 0, from, to))
        .sum();
    let ended = of_kind(&events, "batch-sequence");
    assert_eq!(ended.len(), 12);
    let share = |one: &&Value| number(&one["sequence"]["energy"]["share"]["value"]);
    let shares: f64 = ended.iter().map(share).sum();
    let phases = &record["windows"][0]["energy_by_phase"];
    let part = |phase: &str, field: &str| number(&phases[phase][field]);
    is_equal(shares, part("prefill", "value") + part("decode", "value"));
    let uncertainty = part("prefill", "uncertainty").hypot(part("decode", "uncertainty"));
    let told = format!("{shares} J shared of {drawn} ± {uncertainty} J drawn: {phases}");
    assert!((shares - drawn).abs() < 3.0 * uncertainty, "{told}");
    // Bursts get most of the energy that they use, although a counter that ticks every 100 ms hardly sees them.
    assert!(shares > 0.6 * drawn && part("outside", "value") > 0.0, "{told}");
}

#[test]
fn calls_that_follow_one_another_are_as_uncertain_as_they_are() {
    let worked = Worked::case("scores", &[]);
    let events = worked.context.events();
    let calls = of_kind(&events, "score");
    assert_eq!(calls.len(), 4);
    for call in calls {
        let window = &call["window"];
        let of = |energy: &Value| [number(&energy["value"]), number(&energy["uncertainty"])];
        let [total, prefill] =
            [&window["energy_total"], &window["energy_by_phase"]["prefill"]].map(of);
        is_equal(total[0], prefill[0]);
        assert!(prefill[1] > 0.3 * total[1] && prefill[1] < 3.0 * total[1], "{window}");
    }
}

#[test]
fn a_window_covers_what_was_held_in_it() {
    let worked = Worked::case("held", &[]);
    let record = worked.context.record();
    let [held, after] = &record["windows"].as_array().unwrap()[..] else { panic!("{record}") };
    assert_eq!(covers(held), ["cpu", "cuda:0"]);
    assert_eq!((&held["devices_used"], &held["models"]), (&1.into(), &serde_json::json!([0])));
    let from = held["started_ns"].as_u64().unwrap();
    is_drawn(
        &held["energy_total"],
        worked.drawn(from, from + held["wall_ns"].as_u64().unwrap()),
        "held",
    );
    assert!(number(&held["energy_by_phase"]["outside"]["value"]) > 0.0, "loading is in no phase");
    assert_eq!(covers(after), ["cpu"]);
    assert_eq!(after["devices_used"], 0);
    let seconds = number(&after["wall_ns"]) * 1e-9;
    is_drawn(&after["energy_total"], CPU_WATTS * seconds, "after");

    let worked = Worked::case("outlives", &[]);
    let record = worked.context.record();
    let window = &record["windows"][0];
    assert_eq!(covers(window), ["cpu", "cuda:0"]);
    assert_eq!(window["batches"], serde_json::json!([0]));
    let from = window["started_ns"].as_u64().unwrap();
    let drawn = worked.drawn(from, from + window["wall_ns"].as_u64().unwrap());
    is_drawn(&window["energy_total"], drawn, "outlives");
}

#[test]
fn a_baseline_counts_for_windows_of_its_own_kind() {
    let worked = Worked::case("baselines", &[]);
    let record = worked.context.record();
    let baselines = record["baselines"].as_array().unwrap();
    let held = |baseline: &Value| {
        let gpu =
            baseline["power"].as_array().unwrap().iter().find(|one| one["device"] == "cuda:0");
        gpu.unwrap()["holds_model"].as_bool()
    };
    let told: Vec<_> = baselines.iter().map(held).collect();
    assert_eq!(told, [Some(false), Some(true), Some(true)]);
    let [before, after, without] = &record["windows"].as_array().unwrap()[..] else { panic!() };
    let reason = before["energy_above_idle"]["unavailable"].as_str().unwrap();
    assert!(
        reason.contains("cuda:0 gpu at rest: its baseline was taken without a model"),
        "{reason}"
    );
    let above = number(&after["energy_above_idle"]["value"]);
    assert!(above > 0.0 && above < number(&after["energy_total"]["value"]), "{after}");
    // Only the processor is left, at rest: nothing of its 30 W is above idle.
    let above = number(&without["energy_above_idle"]["value"]);
    assert!(above.abs() < 1.0, "{without}");
}

#[test]
fn without_a_processors_counter_the_total_says_what_it_is_of() {
    let (context, hardware) =
        (TestContext::new(), Hardware::new().working_gpu(CARD, [80, 400], 20));
    let model = stand_in(&context, 5);
    let args = ["exec", &guest("energies"), "--model", &model, "--device", "cuda:0"];
    let ran = hardware.llem(&context, &args).ok();
    let events = context.events();
    let window = &of_kind(&events, "generation")[0]["window"];
    assert_eq!(covers(window), ["cuda:0"]);
    assert_eq!(window["energy_total"], window["energy_accelerators"]);
    let lack = &window["energy_lacks"][0];
    assert_eq!((&lack["device"], &lack["domain"]), (&"cpu".into(), &"all".into()));
    assert!(lack["reason"].as_str().unwrap().contains("no RAPL"), "{lack}");
    assert!(window["energy_cpu"]["unavailable"].as_str().unwrap().contains("no RAPL"));
    // The summary also says which devices the joules cover.
    let line = ran.stdout.lines().find(|line| line.contains("nvml-counter")).unwrap();
    assert!(line.contains(" cuda:0 "), "{line}");
}

#[test]
fn utilisation_of_each_phase_is_its_own_in_a_batch_with_chunked_prefill() {
    // On a synthetic host passes take exactly the given times.
    let (context, energies) = (TestContext::new(), guest("energies"));
    let figures = r#"{"prefill_s_per_token": 1e-3, "decode_s_per_step": 7e-3}"#;
    let host = format!("--synthetic-host={}", context.file("host.json", figures));
    let exec = ["exec", &energies, "--model", "synthetic:fixed-latency", &host];
    let args = ["-p", "case=utilisation", "-p", "new-tokens=20"];
    context.llem(&[&exec[..], &args].concat()).ok();
    let record = context.record();
    let metric = |name: &str| {
        let found = record["metrics"].as_array().unwrap().iter().find(|one| one["name"] == name);
        number(&found.unwrap_or_else(|| panic!("no {name}"))["quantity"]["value"])
    };
    // The work of a phase is about the same in a batch and alone. If decode counted the rows of mixed steps but not their
    // time, its MFU would be half as large again.
    for (phase, alone) in [("decode", "decode_alone"), ("prefill", "prefill_alone")] {
        let ratio = metric(phase) / metric(alone);
        assert!((ratio - 1.0).abs() < 0.2, "{phase}: {ratio}");
    }
    let activity = &record["windows"][0]["activity"];
    // The prompt of 500 takes nine steps of at most 61 rows, beside three rows of decode in each.
    assert_eq!(activity["prefill_ns"], 60 * 1_000_000);
    assert_eq!(activity["mixed_ns"], 500 * 1_000_000 + 9 * 7_000_000);
    // Four decode steps come before the prompt of 500, six until the others end, and thirteen after them.
    assert_eq!(activity["decode_ns"], 23 * 7_000_000);
    assert_eq!(activity["mixed_output_tokens"], 28);
    assert_eq!(activity["mixed_prompt_tokens"], 500);
    let flops = &activity["flops_estimated"];
    let parts = ["prefill", "decode", "mixed"].map(|phase| number(&flops[phase]));
    is_equal(parts.iter().sum(), number(&flops["total"]));
    // Chunks do not change the FLOPs that are needed: the same sequences, each alone, need as many.
    let events = context.events();
    let alone = of_kind(&events, "generation");
    let alone = alone.iter().map(|one| &one["window"]["activity"]["flops_estimated"]["total"]);
    is_equal(alone.map(number).sum(), number(&flops["total"]));
    assert!(parts[2] > parts[0] + parts[1], "most of the prompt of 500 is run beside others");
}
