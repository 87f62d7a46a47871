//! What people see of a download: a bar on a terminal, otherwise a line every few seconds.

use super::failure::bytes;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// How often a line is written where nobody sees a bar move.
const PERIOD: Duration = Duration::from_secs(5);

/// A download under way.
pub struct Progress {
    /// What is fetched.
    label: String,
    /// Bytes altogether, as far as they are known.
    total: u64,
    done: u64,
    /// Bytes that came over the network, and since when.
    received: u64,
    began: Instant,
    told: Instant,
    shown: Shown,
}

enum Shown {
    Nothing,
    Lines,
    Bar(ProgressBar),
}

impl Progress {
    /// Nothing of `total` bytes is there yet.
    pub fn new(label: String, total: u64, is_shown: bool) -> Self {
        let shown = match is_shown {
            false => Shown::Nothing,
            true => {
                let bar = ProgressBar::new(total);
                let template = "{prefix} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
                if let Ok(style) = ProgressStyle::with_template(template) {
                    bar.set_style(style);
                }
                bar.set_prefix(label.clone());
                if bar.is_hidden() { Shown::Lines } else { Shown::Bar(bar) }
            }
        };
        let now = Instant::now();
        let progress = Self { label, total, done: 0, received: 0, began: now, told: now, shown };
        if matches!(progress.shown, Shown::Lines) {
            tracing::info!("fetching {} ({}) from the Hub", progress.label, bytes(total));
        }
        progress
    }

    /// So many bytes were there already.
    pub fn skip(&mut self, count: u64) {
        self.done += count;
        if let Shown::Bar(bar) = &self.shown {
            bar.set_position(self.done);
            bar.reset_eta();
        }
    }

    /// So many bytes have to be fetched again.
    pub fn take_back(&mut self, count: u64) {
        self.done -= count.min(self.done);
        if let Shown::Bar(bar) = &self.shown {
            bar.set_position(self.done);
        }
    }

    /// So many bytes have arrived.
    pub fn add(&mut self, count: u64) {
        self.done += count;
        self.received += count;
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.set_position(self.done),
            Shown::Lines if self.told.elapsed() >= PERIOD => {
                self.told = Instant::now();
                let rate = self.received as f64 / self.began.elapsed().as_secs_f64();
                tracing::info!(
                    "fetched {} of {} of {}, {}/s",
                    bytes(self.done),
                    bytes(self.total.max(self.done)),
                    self.label,
                    bytes(rate as u64)
                );
            }
            Shown::Lines => {}
        }
    }

    /// Says something while the bar stands.
    pub fn say(&self, message: &str) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(|| tracing::warn!("{message}")),
            _ => tracing::warn!("{message}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}
