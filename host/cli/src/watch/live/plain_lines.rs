//! Shows a run by lines for logs, such as those of a batch system: one each ten seconds, one for each phase.
//!
//! ```text
//! live time=2026-11-28T19:05:01Z elapsed_s=12.3 status=running phase=measure progress=3/12 …
//! ```
//!
//! Each line is a word and `key=value` pairs (logfmt). A value with spaces, quotes or `=` is a JSON text. A key whose
//! value is not known is left out.

use super::{
    state::LiveState,
    view::{Incoming, LOOK},
};
use llem_quantity::significant;
use llem_record::date;
use std::{
    fmt::Write as _,
    io::{self, Write},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The time between two lines of a phase.
const PERIOD: Duration = Duration::from_secs(10);
/// The shortest time between two lines. A script may open phases as fast as it likes.
const SHORTEST: Duration = Duration::from_secs(1);

/// Writes lines until no more updates come.
pub(super) fn run(mut incoming: Incoming) {
    let (mut written, mut phase, mut messages) = (None::<Instant>, String::new(), 0);
    let mut has_sources = false;
    loop {
        // Each phase has its line, unless phases change too often.
        let goes_on = incoming.apply_all(|_| ());
        incoming.refresh();
        let state = &incoming.state;
        write_urgent(state, &mut messages);
        if !has_sources && !state.power.domains().is_empty() {
            has_sources = true;
            write_unmetered(state);
        }
        let since = written.map_or(Duration::MAX, |written| written.elapsed());
        let is_new = state.phase.path != phase && since >= SHORTEST;
        let has_begun = !state.run.id.is_empty();
        if has_begun && (is_new || since >= PERIOD || !goes_on) {
            written = Some(Instant::now());
            phase.clone_from(&state.phase.path);
            write(&line(state, unix_seconds()));
        }
        if !goes_on {
            return;
        }
        thread::sleep(LOOK);
    }
}

/// Writes the warnings and errors since the last call, as a run without a live view does.
fn write_urgent(state: &LiveState, written: &mut u64) {
    let (count, before) = (state.messages.count(), *written);
    *written = count;
    let new: Vec<_> = state.messages.newest_first(count).take((count - before) as usize).collect();
    for (_, message) in new.into_iter().rev().filter(|(_, message)| message.kind.is_urgent()) {
        write(&format!("{} {}", message.kind.head(), message.text));
    }
}

/// Writes why domains are not measured.
fn write_unmetered(state: &LiveState) {
    for domain in state.power.domains() {
        if let Some(reason) = &domain.unavailable {
            let mut line = "unmetered".to_owned();
            add(&mut line, "device", &domain.device);
            add(&mut line, "domain", &domain.domain);
            add(&mut line, "reason", reason);
            write(&line);
        }
    }
}

fn write(line: &str) {
    // If standard error is closed, nobody reads the line.
    let _ = writeln!(io::stderr(), "{line}");
}

/// The line about the state at this moment, in seconds since 1970-01-01 UTC.
pub(super) fn line(state: &LiveState, unix_seconds: i64) -> String {
    let mut line = "live".to_owned();
    add(&mut line, "time", &date(unix_seconds));
    add(&mut line, "elapsed_s", &format!("{:.1}", state.now_ns as f64 * 1e-9));
    add(&mut line, "status", &format!("{:?}", state.status).to_lowercase());
    add(&mut line, "phase", &state.phase.path);
    if let Some(progress) = state.phase.script() {
        let total = if progress.total > 0 { format!("/{}", progress.total) } else { String::new() };
        add(&mut line, "progress", &format!("{}{total}", progress.done));
        if let Some(left) = progress.seconds_left(state.now_ns) {
            add(&mut line, "left_s", &format!("{left:.0}"));
        }
    }
    let (rate, until) = (&state.rate, state.tokens_until_ns());
    add(&mut line, "requests", &state.work.ended.to_string());
    add(&mut line, "tokens", &rate.total().to_string());
    let numbers = [
        ("tokens_per_s", rate.per_second(until)),
        ("ttft_ms", state.latencies.first.median().map(|seconds| seconds * 1e3)),
        ("itl_ms", state.latencies.next.median().map(|seconds| seconds * 1e3)),
    ];
    for (key, value) in numbers {
        if let Some(value) = value {
            add(&mut line, key, &significant(value));
        }
    }
    for domain in state.power.domains() {
        if let Some(watts) = domain.latest() {
            let key = format!("power_w[{}/{}]", key_part(&domain.device), key_part(&domain.domain));
            add(&mut line, &key, &significant(watts));
        }
    }
    if let Some(energy) = state.energy.of(&state.phase.path)
        && let Ok(joules) = energy.total()
    {
        add(&mut line, "energy_of", &energy.phase);
        add(&mut line, "energy_j", &significant(joules.value));
        add(&mut line, "energy_uncertainty_j", &significant(joules.uncertainty));
    }
    if state.dropped > 0 {
        add(&mut line, "dropped_updates", &state.dropped.to_string());
    }
    line
}

/// Adds a pair to a line.
fn add(line: &mut String, key: &str, value: &str) {
    let is_plain = |c: char| !c.is_whitespace() && !"\"=\\".contains(c);
    // Nothing else than memory can fail here.
    let _ = match !value.is_empty() && value.chars().all(is_plain) {
        true => write!(line, " {key}={value}"),
        false => write!(line, " {key}={}", serde_json::Value::from(value)),
    };
}

/// A name within a key, without what separates keys and values.
fn key_part(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_whitespace() || "\"=\\/[]".contains(c) { '_' } else { c })
        .collect()
}

fn unix_seconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() as i64
}
