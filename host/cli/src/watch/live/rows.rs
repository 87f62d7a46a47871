//! The rows of a view: what is said about each part of a run's state.

use super::{
    power::DomainHistory,
    row::{Row, chart_columns},
    state::{Feed, LiveState},
    text::{clock, count, milliseconds, number},
    token_rate::{KEPT, RATE_SECONDS},
};
use crate::untrusted::line;
use llem_quantity::significant;
use ratatui::{style::Stylize, text::Line};

/// The time that a chart shows at least, s, so that a column is about a second on a wide terminal.
const SHOWN: u64 = 120;

/// Rows that are left out first have the highest rank.
mod rank {
    pub(super) const PHASE: u8 = 1;
    pub(super) const RATE: u8 = 2;
    pub(super) const WORK: u8 = 3;
    pub(super) const ENERGY: u8 = 4;
    pub(super) const LATENCY: u8 = 5;
    pub(super) const POWER: u8 = 6;
    pub(super) const MODEL: u8 = 7;
}

/// All rows for a view of this width, from top to bottom.
pub(super) fn rows(state: &LiveState, width: u16) -> Vec<Row> {
    let columns = u64::from(chart_columns(width));
    let mut rows = vec![model(state), phase(state)];
    rows.extend(work(state));
    rows.push(Row::title("speed"));
    rows.extend(speed(state, columns));
    rows.push(Row::title(match state.feed {
        Feed::Run => "power and energy",
        Feed::Journal => "power (mean of each request) and energy",
    }));
    rows.extend(power(state, columns));
    rows.push(energy(state));
    rows
}

/// How many seconds a column of a chart is. The chart shows the whole run until now, up to what is kept.
fn seconds_per_column(state: &LiveState, columns: u64) -> u64 {
    let shown = (state.now_ns / 1_000_000_000).clamp(SHOWN, KEPT);
    shown.div_ceil(columns.max(1)).max(1)
}

fn model(state: &LiveState) -> Row {
    let model =
        state.model.clone().unwrap_or_else(|| format!("{}, not loaded yet", state.run.model));
    let mut text = Line::from(model);
    if state.run.is_synthetic {
        text.push_span("  synthetic host: no number is measured".yellow());
    }
    Row::new(rank::MODEL, "model", text)
}

fn phase(state: &LiveState) -> Row {
    let phase = &state.phase;
    let name = if phase.path.is_empty() { "between phases" } else { &phase.path };
    let mut parts = vec![name.to_owned()];
    let mut share = None;
    match phase.script() {
        Some(progress) => {
            parts.push(match progress.total {
                0 => progress.done.to_string(),
                total => format!("{}/{total}", progress.done),
            });
            parts.push(progress.label.clone());
            let left = progress.seconds_left(state.now_ns).filter(|_| !state.has_ended());
            // What is left comes before the label, which may be long.
            if let Some(left) = left {
                parts.insert(2, format!("{} left", clock(left)));
            }
            share = progress.share();
        }
        None => {
            let since = state.now_ns.saturating_sub(phase.began_ns) as f64 * 1e-9;
            parts.push(format!("for {}", clock(since)));
            if state.feed == Feed::Journal {
                parts.push("progress is not in the journal".to_owned());
            }
        }
    }
    Row::new(rank::PHASE, "phase", parts.join(" · ")).with_share(share)
}

/// The running request or the open batches.
fn work(state: &LiveState) -> Vec<Row> {
    let work = &state.work;
    let batches = work.batches().map(|(number, batch)| {
        let most = match batch.most {
            0 => String::new(),
            most => format!(" of at most {most}"),
        };
        let text = format!(
            "{} running{most} · {} waiting · {} done",
            batch.running(),
            batch.waiting(),
            batch.ended,
        );
        let share = (batch.most > 0).then(|| batch.running() as f64 / batch.most as f64);
        Row::new(rank::WORK, format!("batch {number}"), text).with_share(share)
    });
    let mut rows: Vec<Row> = batches.collect();
    let ended = format!("{} done", count(work.ended, "request"));
    if let Some(request) = &work.request {
        let since = state.now_ns.saturating_sub(request.began_ns) as f64 * 1e-9;
        let text = format!(
            "{}/{} tokens in {} s · {ended} · {}",
            request.tokens,
            request.most,
            significant(since),
            request.label,
        );
        let share = (request.most > 0).then(|| request.tokens as f64 / request.most as f64);
        rows.push(Row::new(rank::WORK, "request", text).with_share(share));
    } else if let Some((requests, completed)) = work.scoring {
        let share = (requests > 0).then(|| completed as f64 / requests as f64);
        let text = format!("{completed}/{requests} requests scored · {ended}");
        rows.push(Row::new(rank::WORK, "score", text).with_share(share));
    } else if rows.is_empty() {
        let text = match state.feed {
            Feed::Run => format!("none is running · {ended}"),
            Feed::Journal => format!("{ended} · one that runs is not in the journal"),
        };
        rows.push(Row::new(rank::WORK, "requests", text));
    }
    rows
}

fn speed(state: &LiveState, columns: u64) -> [Row; 3] {
    let (rate, until) = (&state.rate, state.tokens_until_ns());
    let each = seconds_per_column(state, columns);
    let text = format!(
        "{} in {RATE_SECONDS} s · median {} · {} in all",
        number(rate.per_second(until)),
        number(rate.median(until)),
        rate.total(),
    );
    let tokens = Row::new(rank::RATE, "tokens/s", text)
        .with_bars(rate.course(until, columns, each), "tokens/s");
    let latencies = &state.latencies;
    let latency = |label, series: &super::latencies::LatencySeries| {
        let (latest, median) = (milliseconds(series.latest()), milliseconds(series.median()));
        let phase = match latencies.phase.is_empty() {
            true => String::new(),
            false => format!(" in {}", latencies.phase),
        };
        let bars = series.recent(columns as usize).map(|s| Some(s * 1e3)).collect();
        Row::new(rank::LATENCY, label, format!("{latest} · median {median}{phase}"))
            .with_bars(bars, "ms")
    };
    [tokens, latency("TTFT", &latencies.first), latency("ITL", &latencies.next)]
}

fn power(state: &LiveState, columns: u64) -> Vec<Row> {
    let each = seconds_per_column(state, columns);
    let domains = state.power.domains();
    if domains.is_empty() {
        let text = match state.feed {
            Feed::Run => "the meter has not started yet",
            Feed::Journal => "not in the journal yet: it comes with each request that ends",
        };
        return vec![Row::new(rank::POWER, "power", text)];
    }
    let row = |(index, domain): (usize, &DomainHistory)| {
        let is_first = index == 0 || domains[index - 1].device != domain.device;
        let label = if is_first { domain.device.clone() } else { String::new() };
        let name = match &domain.domain[..] {
            "all" => String::new(),
            name => format!("{name} "),
        };
        let text = match (domain.latest(), &domain.unavailable) {
            (Some(watts), _) => format!("{name}{} W", significant(watts)),
            (None, Some(reason)) => format!("{name}not measured: {reason}"),
            (None, None) => format!("{name}no reading yet"),
        };
        let condition = state.power.condition(&domain.device).filter(|_| is_first);
        let temperature = condition.and_then(|condition| condition.temperature);
        let clock = condition.and_then(|condition| condition.core_clock);
        let parts = [
            temperature.map(|celsius| format!("{celsius:.0} °C")),
            clock.map(|megahertz| format!("{megahertz:.0} MHz")),
        ];
        // Before a reason, which may be long.
        let parts: Vec<String> = match domain.latest() {
            Some(_) => std::iter::once(text).chain(parts.into_iter().flatten()).collect(),
            None => parts.into_iter().flatten().chain([text]).collect(),
        };
        let course = domain.course(state.now_ns, columns, each);
        Row::new(rank::POWER, label, parts.join(" · ")).with_bars(course, "W")
    };
    domains.iter().enumerate().map(row).collect()
}

fn energy(state: &LiveState) -> Row {
    let Some(energy) = state.energy.of(&state.phase.path) else {
        return Row::new(rank::ENERGY, "energy", "no request has ended yet");
    };
    let phase = match energy.phase.is_empty() {
        true => String::new(),
        false => format!(" of {}", energy.phase),
    };
    let text = match energy.total() {
        Ok(joules) => format!(
            "{} ± {} J in {}{phase} · {}",
            significant(joules.value),
            significant(joules.uncertainty),
            count(energy.parts, "request"),
            joules.source,
        ),
        Err(reason) => format!("not measured: {}", line(&reason.detail)),
    };
    Row::new(rank::ENERGY, "energy", text)
}
