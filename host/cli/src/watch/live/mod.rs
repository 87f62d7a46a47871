//! A live view of a run: on the whole terminal, or as lines for a log.
//!
//! ```text
//! run of this process ──observer.rs──┐                         ┌── full_screen.rs, draw.rs ──► terminal
//!                                    ├─ Update ─► LiveState ───┤
//! events.jsonl ─────────journal.rs───┘                         └── plain_lines.rs ──► standard error
//! ```
//!
//! Start at [`state::LiveState`], which holds what is shown, [`update::Update`], which changes it, and [`draw::draw`].

mod backend;
mod controls;
mod draw;
mod energy;
mod full_screen;
mod journal;
mod journal_follower;
mod latencies;
mod message_log;
mod observer;
mod plain_lines;
mod power;
mod program_log;
mod progress;
mod row;
mod rows;
mod state;
mod terminal;
mod text;
mod token_rate;
mod update;
mod view;
mod work;

#[cfg(test)]
mod tests;

pub(crate) use journal::{WatchEnd, watch};
pub(super) use observer::LiveObserver;
pub(crate) use program_log::ProgramLog;
pub(crate) use terminal::restore;
