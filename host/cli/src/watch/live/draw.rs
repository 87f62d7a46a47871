//! Draws the state of a run on a terminal of any size. Nothing here reads or writes anything else.

use super::{
    controls::ViewControls,
    row::Row,
    rows::rows,
    state::{Feed, LiveState},
    text::{clock, wrap},
};
use crate::watch::message::MessageKind;
use llem_record::RunStatus;
use ratatui::{
    Frame,
    layout::{Alignment, Rect},
    style::{Color, Stylize},
    text::{Line, Span},
};

/// The lines of messages that other rows make room for: a third of the view.
const MESSAGES_SHARE: u16 = 3;
/// The columns from which on the header has the deadline.
const WITH_DEADLINE: u16 = 60;
/// The height of charts where there is room for high ones.
const HIGH: u16 = 3;
/// The lines of messages above which charts become high.
const MANY_MESSAGES: u16 = 10;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &LiveState, controls: &mut ViewControls) {
    let area = frame.area();
    if area.is_empty() {
        return;
    }
    let (header, rest) = cut_top(area, 1);
    draw_header(frame, header, state);
    // A view of two lines has no room for keys.
    let (rest, footer) = if area.height > 2 { cut_bottom(rest) } else { (rest, Rect::ZERO) };
    draw_footer(frame, footer, state, controls);
    let rows = fitting(rows(state, area.width), rest.height - rest.height / MESSAGES_SHARE);
    let lines = rows.len() as u16;
    let stretched = rows.iter().filter(|row| row.is_stretchable()).count() as u16;
    let is_high = rest.height > lines + stretched * (HIGH - 1) + MANY_MESSAGES;
    let mut left = rest;
    for row in &rows {
        let height = if is_high && row.is_stretchable() { HIGH } else { 1 };
        let (line, below) = cut_top(left, height);
        row.draw(frame, line);
        left = below;
    }
    draw_messages(frame, left, state, controls);
}

/// Leaves out the rows that matter least until the rest fits.
fn fitting(mut rows: Vec<Row>, height: u16) -> Vec<Row> {
    while rows.len() > usize::from(height) {
        let Some(most) = rows.iter().map(|row| row.rank).max() else { break };
        let Some(place) = rows.iter().rposition(|row| row.rank == most) else { break };
        rows.remove(place);
    }
    rows
}

fn cut_top(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    let below = Rect { y: area.y + height, height: area.height - height, ..area };
    (Rect { height, ..area }, below)
}

fn cut_bottom(area: Rect) -> (Rect, Rect) {
    let height = area.height.saturating_sub(1);
    let (above, below) = cut_top(area, height);
    (above, below)
}

/// The experiment on the left; the status and the times on the right, which are never covered.
fn draw_header(frame: &mut Frame<'_>, area: Rect, state: &LiveState) {
    let status = match (state.status, state.is_stopping) {
        (RunStatus::Running, true) => "stopping".yellow(),
        (RunStatus::Running, false) => "running".green(),
        (RunStatus::Completed, _) => "completed".green(),
        (RunStatus::Interrupted, _) => "interrupted".yellow(),
        (RunStatus::Failed, _) => "failed".red(),
        (RunStatus::Killed, _) => "killed".red(),
    };
    let mut times = format!(" {}", clock(state.now_ns as f64 * 1e-9));
    if let Some(deadline) = state.run.deadline_s.filter(|_| area.width >= WITH_DEADLINE) {
        times += &format!(" of at most {}", clock(deadline as f64));
    }
    let right = Line::from(vec![status.bold(), Span::from(times)]).alignment(Alignment::Right);
    let width = (right.width() as u16).min(area.width);
    let left_width = area.width.saturating_sub(width + 1);
    let name = match state.run.experiment.is_empty() {
        true => "llem".to_owned(),
        false => state.run.experiment.clone(),
    };
    let left = Line::from(vec![name.bold(), Span::from("  "), state.run.id.clone().dim()]);
    frame.render_widget(left, Rect { width: left_width, ..area });
    frame.render_widget(right, Rect { x: area.right() - width, width, ..area });
}

fn draw_footer(frame: &mut Frame<'_>, area: Rect, state: &LiveState, controls: &ViewControls) {
    let key = |key: &'static str| key.bold();
    let (end, is_paused) = controls.end(state.messages.count());
    let mut parts = match (state.feed, controls.has_keys) {
        (Feed::Run, false) => {
            vec![Span::from("keys are not read; "), key("Ctrl-C"), " ends the run".into()]
        }
        (Feed::Journal, false) => vec![key("Ctrl-C"), " ends the view, not the run".into()],
        (Feed::Run, true) if state.is_stopping => {
            vec![key("q"), " or ".into(), key("Ctrl-C"), " once more stops at once".into()]
        }
        (Feed::Run, true) => vec![key("q"), " or ".into(), key("Ctrl-C"), " ends the run".into()],
        (Feed::Journal, true) => vec![key("q"), " ends the view, not the run".into()],
    };
    if controls.has_keys {
        let more = state.messages.count() - end;
        let pause = match (is_paused, more) {
            (false, _) => " pauses   ".to_owned(),
            (true, 0) => " goes on   ".to_owned(),
            (true, more) => format!(" goes on, {more} new   "),
        };
        parts.extend(["   ".into(), key("p"), pause.into(), key("↑ ↓"), " scroll".into()]);
    }
    frame.render_widget(Line::from(parts).dim(), area);
}

/// The latest messages, the newest at the bottom unless the user has scrolled.
fn draw_messages(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &LiveState,
    controls: &mut ViewControls,
) {
    let (title, area) = if area.height > 2 { cut_top(area, 1) } else { (Rect::ZERO, area) };
    let (end, is_paused) = controls.end(state.messages.count());
    let mut name = "messages".to_owned();
    if is_paused {
        name += ", paused";
    }
    if state.dropped > 0 {
        name += &format!("; the terminal is slow: {} updates are not in this view", state.dropped);
    }
    Row::title(&name).draw(frame, title);
    let height = usize::from(area.height);
    if height == 0 {
        return;
    }
    // Scrolling cannot go beyond what is kept, so this many lines are enough.
    let wanted = height + controls.lines_up(usize::MAX);
    let mut lines = Vec::new();
    for (t_ns, message) in state.messages.newest_first(end) {
        let styled = |span: Span<'static>| match message.kind {
            MessageKind::Warning | MessageKind::ScriptWarning => span.yellow(),
            MessageKind::ScriptError | MessageKind::RunError => span.red(),
            MessageKind::ScriptInfo => span,
            MessageKind::ScriptOutput | MessageKind::Program => span.dim(),
        };
        let time = format!("{:>8} ", clock(*t_ns as f64 * 1e-9));
        let text = format!("{} {}", message.kind.head(), message.text);
        let width = usize::from(area.width).saturating_sub(time.len()).max(1);
        let wrapped = wrap(&text, width).into_iter().enumerate().rev();
        lines.extend(wrapped.map(|(index, text)| {
            let before = if index == 0 { time.clone() } else { " ".repeat(time.len()) };
            Line::from(vec![before.dim(), styled(Span::from(text))])
        }));
        if lines.len() >= wanted {
            break;
        }
    }
    let up = controls.lines_up(lines.len().saturating_sub(height));
    let shown = lines.into_iter().skip(up).take(height);
    // Few messages begin at the top.
    let shown: Vec<Line<'_>> = shown.collect();
    for (place, line) in shown.into_iter().rev().enumerate() {
        let below = Rect { y: area.y + place as u16, height: 1, ..area };
        frame.render_widget(line, below);
    }
    if state.messages.count() == 0 {
        frame.render_widget(Line::from("none yet").fg(Color::DarkGray), cut_top(area, 1).0);
    }
}
