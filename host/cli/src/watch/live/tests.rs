//! Views of fixed states against expected screens, and of hostile ones.

use super::{
    controls::ViewControls,
    draw::draw,
    plain_lines,
    state::{Feed, LiveState},
    update::{DeviceCondition, DomainPower, Update},
};
use llem_record::Event;
use ratatui::{Terminal, backend::TestBackend};
use serde_json::{Value, json};

const SECOND: u64 = 1_000_000_000;

fn apply(state: &mut LiveState, t_ns: u64, event: Value) {
    let event: Event = serde_json::from_value(event).expect("an event");
    if let Some(update) = Update::from_event(&event) {
        state.apply(t_ns, update);
    }
}

fn started(experiment: &str) -> Value {
    json!({
        "event": "started", "id": "20261128T190500Z-quickstart", "llem_version": "0.1.0",
        "unix_ns": 1_795_892_700_000_000_000u64,
        "plan": {
            "llem_version": "0.1.0", "command": [], "parameters": {}, "seed": 0, "host": host(),
            "components": [{
                "role": "experiment", "name": experiment, "version": "0.1.0", "digest": "", "file": "",
            }],
            "grants": { "model": "synthetic:tiny", "dtype": null, "device": "cuda:0", "datasets": [] },
            "limits": { "deadline_s": 3600 },
        },
    })
}

fn host() -> Value {
    serde_json::to_value(llem_record::Host::default()).expect("a host")
}

/// A request of four tokens, 20 ms apart after a first one at 50 ms, that ended at this second.
fn generated(second: u64, energy: Value) -> Value {
    let submitted = second * SECOND - 110_000_000;
    let times = [50, 70, 90, 110].map(|ms| submitted + ms * 1_000_000);
    json!({
        "event": "generation", "sequences": [{
            "prompt_tokens": 16, "tokens": [1, 2, 3, 4], "finish": "length",
            "submitted_ns": submitted, "token_ns": times,
        }],
        "window": {
            "label": "16 words", "phase": "measure", "started_ns": submitted, "wall_ns": 110_000_000,
            "energy": [{ "device": "cuda:0", "domain": "gpu", "energy": energy }],
            "energy_total": energy, "activity": serde_json::to_value(llem_record::Activity::default()).expect("JSON"),
        },
    })
}

fn joules() -> Value {
    json!({ "value": 33.0, "uncertainty": 0.5, "unit": "J", "source": "nvml-counter" })
}

/// A run in its second minute, on a machine with one GPU that is measured and a processor that is not.
fn measuring(feed: Feed) -> LiveState {
    let mut state = LiveState::new(feed);
    apply(&mut state, 0, started("quickstart"));
    state.apply(SECOND, Update::Model("synthetic:tiny in f32 on cuda:0".to_owned()));
    apply(
        &mut state,
        SECOND,
        json!({ "event": "devices", "devices": [
            { "id": "cpu", "name": "", "memory_bytes": null, "gauges": [{
                "domain": "package-0", "unavailable": "readable by root only: give read access to intel-rapl:0/energy_uj",
            }] },
            { "id": "cuda:0", "name": "", "memory_bytes": null, "gauges": [{ "domain": "gpu", "source": "nvml-counter" }] },
        ]}),
    );
    apply(&mut state, 2 * SECOND, json!({ "event": "phase-began", "phase": "measure" }));
    apply(
        &mut state,
        3 * SECOND,
        json!({ "event": "log", "level": "info", "message": "warm: steady" }),
    );
    for second in 3..70 {
        if feed == Feed::Run {
            let watts = 200.0 + 4.0 * (second % 25) as f64;
            let power =
                DomainPower { device: "cuda:0".to_owned(), domain: "gpu".to_owned(), watts };
            let (temperature, core_clock) = (Some(61.0), Some(1980.0));
            let condition =
                DeviceCondition { device: "cuda:0".to_owned(), temperature, core_clock };
            let (power, conditions) = (vec![power], vec![condition]);
            state.apply(second * SECOND, Update::Samples { power, conditions });
            let (done, label) = ((second - 3) / 2, "16 words".to_owned());
            state.apply(second * SECOND, Update::Progress { done, total: 100, label });
        }
        apply(&mut state, second * SECOND, generated(second, joules()));
    }
    apply(
        &mut state,
        69 * SECOND,
        json!({
            "event": "warning", "message": "in measure: cuda:0 was held below its clock by sw-power-cap, so its speed is not that of the card at rest",
        }),
    );
    if feed == Feed::Run {
        let label = "64 words".to_owned();
        state.apply(69 * SECOND, Update::RequestBegan { label, most: 32 });
        state.set_now(70 * SECOND + SECOND / 2);
        state.set_generated(12);
    }
    state.set_now(70 * SECOND + SECOND / 2);
    state.latencies.first.update_median();
    state.latencies.next.update_median();
    state
}

fn controls() -> ViewControls {
    ViewControls::new(true)
}

/// The lines of a view.
fn screen(state: &LiveState, columns: u16, lines: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).expect("a terminal");
    terminal.draw(|frame| draw(frame, state, &mut controls())).expect("drawn");
    let buffer = terminal.backend().buffer();
    let line = |y| (0..columns).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..lines).map(|y| line(y).trim_end().to_owned()).collect()
}

/// Compares a view with the screen in a file.
#[track_caller]
fn assert_screen(shown: &[String], expected: &str) {
    let shown = shown.join("\n") + "\n";
    assert!(shown == expected, "this is shown:\n{shown}\nin place of:\n{expected}");
}

#[test]
fn a_run_fits_on_a_usual_terminal() {
    let shown = screen(&measuring(Feed::Run), 80, 24);
    assert_screen(&shown, include_str!("screens/run-80x24.txt"));
}

#[test]
fn a_large_terminal_has_high_charts_with_their_scales() {
    let shown = screen(&measuring(Feed::Run), 140, 45);
    assert_screen(&shown, include_str!("screens/run-140x45.txt"));
}

#[test]
fn a_tiny_terminal_keeps_what_matters_most() {
    let shown = screen(&measuring(Feed::Run), 20, 5);
    assert_screen(&shown, include_str!("screens/run-20x5.txt"));
}

#[test]
fn a_journal_shows_what_it_has_and_names_what_it_lacks() {
    let shown = screen(&measuring(Feed::Journal), 80, 24);
    assert_screen(&shown, include_str!("screens/journal-80x24.txt"));
}

#[test]
fn energy_that_is_not_measured_has_its_reason() {
    let mut state = measuring(Feed::Run);
    let unavailable = json!({ "unavailable": "no counter can be read: run as root" });
    apply(&mut state, 71 * SECOND, generated(71, unavailable));
    let shown = screen(&state, 80, 24);
    let energy = shown.iter().find(|line| line.starts_with("energy")).expect("energy");
    assert_eq!(energy, "energy    not measured: no counter can be read: run as root");
}

#[test]
fn sequences_of_a_batch_are_counted_by_how_far_they_are() {
    let mut state = LiveState::new(Feed::Journal);
    apply(&mut state, 0, started("serving"));
    let batch = json!({
        "event": "batch-opened", "batch": 0, "model": 0, "phase": "measure", "max_sequences": 8,
        "prefill_chunk": 512, "when_full": "wait",
    });
    apply(&mut state, SECOND, batch);
    state.apply(SECOND, Update::BatchRequest { batch: 0, sequences: vec![0, 1, 2, 3] });
    let tokens = |first: u32, ms: &[u64]| super::update::TokenTimes {
        submitted_ns: SECOND,
        first,
        token_ns: ms.iter().map(|ms| SECOND + ms * 1_000_000).collect(),
    };
    let phase = || "measure".to_owned();
    let sequences = vec![(0, tokens(0, &[30, 40])), (1, tokens(0, &[30]))];
    state
        .apply(SECOND + SECOND / 20, Update::BatchProgress { batch: 0, phase: phase(), sequences });
    // The end of a sequence has all of its tokens, also those that were told before.
    let (times, energy) = (tokens(0, &[30, 40, 50]), None);
    state
        .apply(2 * SECOND, Update::BatchEnded { batch: 0, name: 0, phase: phase(), times, energy });
    let shown = screen(&state, 80, 24);
    let batch = shown.iter().find(|line| line.starts_with("batch 0")).expect("a batch");
    assert!(batch.starts_with("batch 0   1 running of at most 8 · 2 waiting · 1 done"), "{batch}");
    assert_eq!(state.rate.total(), 4);
    state.latencies.next.update_median();
    assert!((state.latencies.next.median().expect("latencies") - 0.01).abs() < 1e-9);
}

/// Texts that steer a terminal, hide or reverse what follows, or take more columns than they have characters.
const HOSTILE: &str =
    "\u{1b}[2J\u{1b}]0;x\u{7}\r\n\u{202e}\u{2066}\u{200b}\u{9b}31m\u{feff}e\u{301}中🦀שלום=\"\\ ";

#[test]
fn hostile_texts_neither_steer_the_terminal_nor_break_lines() {
    let mut state = measuring(Feed::Run);
    let text = HOSTILE.repeat(20);
    apply(&mut state, 71 * SECOND, started(&text));
    for event in [
        json!({ "event": "phase-began", "phase": text }),
        json!({ "event": "warning", "message": text }),
        json!({ "event": "log", "level": "error", "message": text }),
        json!({ "event": "devices", "devices": [{
            "id": text, "name": "", "memory_bytes": null, "gauges": [{ "domain": text, "unavailable": text }],
        }]}),
    ] {
        apply(&mut state, 72 * SECOND, event);
    }
    let is_safe = |c: char| !c.is_control() && !"\u{202e}\u{2066}\u{200b}\u{feff}".contains(c);
    for columns in [1, 2, 3, 10, 20, 59, 60, 80, 200] {
        for lines in [1, 2, 3, 4, 5, 24, 60] {
            let shown = screen(&state, columns, lines);
            assert!(shown.iter().all(|line| line.chars().all(is_safe)), "{columns}x{lines}");
        }
    }
    let line = plain_lines::line(&state, 0);
    assert!(line.chars().all(is_safe), "{line}");
}
