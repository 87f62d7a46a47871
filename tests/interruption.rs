//! A run that is interrupted keeps what it measured.

#![cfg(target_os = "linux")]

use crate::support::{
    Running, TestContext, contract_version, ended_by_deadline, guest, of_kind,
    processor_time::{end_with_processor_time, processor_time},
    signal,
};
use std::{
    fs,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Processor time of a child after which it decodes.
const DECODE_WORK: Duration = Duration::from_millis(500);
/// Processor time of a child after which it is in the middle of a long prompt.
const PREFILL_WORK: Duration = Duration::from_millis(1500);

fn start(context: &TestContext, component: &str) -> Running {
    let mut command = context.command(&["exec", &guest(component)]);
    Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
}

/// Time after which a child counts as hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until a child has worked for a further `time`, which is processor time because a busy machine may let it wait.
fn work(child: &Child, time: Duration) {
    let (before, patience) = (processor_time(child.id()), Instant::now() + PATIENCE);
    while processor_time(child.id()) < before + time {
        assert!(Instant::now() < patience, "it does not work");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ctrl_c_in_the_middle_of_decode() {
    let context = TestContext::new();
    let child = start(&context, "long_decode");
    context.wait_for_journal("\"event\":\"model\"", 1, PATIENCE);
    // The prompt of a few tokens takes a fraction of this, and the whole request several times as much.
    work(&child, DECODE_WORK);
    signal(&child, "-INT");
    child.end().refused(130, &["interrupted"]);

    let events = context.events();
    let cut = *of_kind(&events, "generation").last().unwrap();
    assert_eq!(cut["sequences"][0]["finish"], "interrupted");
    let tokens = cut["sequences"][0]["tokens"].as_array().unwrap().len();
    assert!(tokens > 1 && tokens < 4000, "{tokens} tokens");
    assert_eq!(cut["sequences"][0]["token_ns"].as_array().unwrap().len(), tokens);
    let last = events.last().unwrap();
    assert_eq!(
        (last["event"].as_str(), last["status"].as_str()),
        (Some("ended"), Some("interrupted"))
    );
    assert_eq!(context.record()["status"], "interrupted");
}

#[test]
fn a_deadline_in_the_middle_of_decode() {
    let long_decode = guest("long_decode");
    let context = ended_by_deadline(&["exec", &long_decode], "\"event\":\"generation\"");
    let events = context.events();
    assert_eq!(
        of_kind(&events, "generation").last().unwrap()["sequences"][0]["finish"],
        "interrupted"
    );
}

#[test]
fn kill_9_at_a_random_moment_loses_no_complete_line() {
    // Ten times, spread unevenly over the second after the first measured request.
    let mut seed = u64::from(std::process::id());
    for attempt in 0..10 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let context = TestContext::new();
        let mut child = start(&context, "many_requests");
        context.wait_for_journal("\"event\":\"generation\"", 1, PATIENCE);
        thread::sleep(Duration::from_micros((seed >> 33) % 1_000_000));
        signal(&child, "-KILL");
        child.wait().unwrap();

        let text = fs::read_to_string(context.folder.path().join("run/events.jsonl")).unwrap();
        let complete = &text[..text.rfind('\n').unwrap() + 1];
        let events: Vec<serde_json::Value> =
            complete.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let labels: Vec<String> = of_kind(&events, "generation")
            .iter()
            .map(|event| event["window"]["label"].as_str().unwrap().to_owned())
            .collect();
        let expected: Vec<String> =
            (0..labels.len()).map(|index| format!("request {index}")).collect();
        assert_eq!(labels, expected, "attempt {attempt}");
        assert_eq!(context.record()["status"], "running");
    }
}

/// Interrupts a pass that takes many seconds: a long prompt on the portable kernels. The engine checks every few milliseconds,
/// so little is computed after the signal. It is counted in processor time, because a busy machine may let the process wait.
#[test]
fn a_long_pass_ends_within_a_second_of_work() {
    let context = TestContext::new();
    let prompt = ["1"; 2000].join(",");
    let (component, prompt) = (guest("given_tokens"), format!("prompt={prompt}"));
    let args = ["exec", &component, "--model", "synthetic:smollm2-135m", "-p", &prompt];
    let mut command = context.command(&args);
    let command = command.env("LLEM_SIMD", "portable").stdout(Stdio::piped());
    let child = Running::start(command.stderr(Stdio::piped()));
    context.wait_for_journal("\"event\":\"model\"", 1, PATIENCE);
    work(&child, PREFILL_WORK);
    let before = processor_time(child.id());
    signal(&child, "-TERM");
    let (ran, took) = end_with_processor_time(child.into_child());
    ran.refused(130, &["interrupted"]);
    let cores = thread::available_parallelism().unwrap().get() as u32;
    let took = took.saturating_sub(before);
    assert!(took < cores * Duration::from_secs(1), "it computed for {took:?}");
    let events = context.events();
    let cut = of_kind(&events, "generation")[0];
    assert_eq!(cut["sequences"][0]["finish"], "interrupted");
    assert_eq!(cut["sequences"][0]["tokens"].as_array().unwrap().len(), 0, "it was in prefill");
}

/// Makes a component whose core module takes long to compile. Its only export is an empty instance with a script's name.
fn slow_to_compile() -> Vec<u8> {
    let size = |mut size: usize| {
        // LEB128.
        let mut bytes = Vec::new();
        while size > 0x7f {
            bytes.push(0x80 | (size & 0x7f) as u8);
            size >>= 7;
        }
        bytes.push(size as u8);
        bytes
    };
    let sized = |content: Vec<u8>| [size(content.len()), content].concat();
    let section = |id: u8, content: Vec<u8>| [vec![id], sized(content)].concat();
    let (functions, steps) = (20_000, 250);
    // No locals; then the argument is multiplied by itself again and again; then the end.
    let step = [0x20, 0, 0x20, 0, 0x6c, 0x21, 0];
    let body = [&[0][..], &step.repeat(steps), &[0x0b]].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        // One type: a function of an i32 without a result.
        section(1, vec![1, 0x60, 1, 0x7f, 0]),
        section(3, [size(functions), vec![0; functions]].concat()),
        section(10, [size(functions), sized(body).repeat(functions)].concat()),
    ];
    let name = format!("llem:experiment/script@{}", contract_version());
    let export = [&[1, 0, name.len() as u8][..], name.as_bytes(), &[5, 0, 0]].concat();
    let instance = vec![1, 1, 0];
    let sections = [section(1, module.concat()), section(5, instance), section(11, export)];
    [b"\0asm\x0d\0\x01\0".to_vec(), sections.concat()].concat()
}

#[test]
fn compiling_ends_with_the_deadline() {
    let context = TestContext::new();
    let file = context.file("slow.wasm", slow_to_compile());
    let mut command = context.command(&["exec", &file, "--deadline", "1"]);
    command.env("LLEM_CACHE", context.folder.path().join("cache"));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (ran, took) = end_with_processor_time(child);
    ran.refused(1, &["slow.wasm", "deadline of 1 s"]);
    let cores = thread::available_parallelism().unwrap().get() as u32;
    assert!(took < cores * Duration::from_secs(5), "it compiled for {took:?} of processor time");
}
