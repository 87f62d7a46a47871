//! Shows the progress of a download: a bar on a terminal, otherwise a log line every few seconds.

use super::failure::format_bytes;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// Time between two log lines.
const LOG_PERIOD: Duration = Duration::from_secs(5);

/// The progress of a download of one or several files.
pub(super) struct DownloadProgress {
    /// Names what is fetched.
    label: String,
    /// Number of bytes of all files whose size is known.
    total: u64,
    /// Number of bytes that are in the cache.
    done: u64,
    /// Number of bytes that came over the network since `began`.
    received: u64,
    began: Instant,
    last_log: Instant,
    output: ProgressOutput,
}

enum ProgressOutput {
    Hidden,
    Log,
    Bar(ProgressBar),
}

impl DownloadProgress {
    /// Begins to show a download of `total` bytes, or does nothing if `is_shown` is false.
    pub(super) fn new(label: String, total: u64, is_shown: bool) -> Self {
        let output = match is_shown {
            false => ProgressOutput::Hidden,
            true => {
                let bar = ProgressBar::new(total);
                let template = "{prefix} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
                if let Ok(style) = ProgressStyle::with_template(template) {
                    bar.set_style(style);
                }
                bar.set_prefix(label.clone());
                if bar.is_hidden() { ProgressOutput::Log } else { ProgressOutput::Bar(bar) }
            }
        };
        let now = Instant::now();
        let progress =
            Self { label, total, done: 0, received: 0, began: now, last_log: now, output };
        if matches!(progress.output, ProgressOutput::Log) {
            tracing::info!("fetching {} ({}) from the Hub", progress.label, format_bytes(total));
        }
        progress
    }

    /// Counts bytes that were in the cache already.
    pub(super) fn skip(&mut self, count: u64) {
        self.done += count;
        if let ProgressOutput::Bar(bar) = &self.output {
            bar.set_position(self.done);
            bar.reset_eta();
        }
    }

    /// Subtracts bytes that have to be fetched again.
    pub(super) fn remove(&mut self, count: u64) {
        self.done -= count.min(self.done);
        if let ProgressOutput::Bar(bar) = &self.output {
            bar.set_position(self.done);
        }
    }

    /// Counts bytes that have arrived over the network.
    pub(super) fn add(&mut self, count: u64) {
        self.done += count;
        self.received += count;
        match &self.output {
            ProgressOutput::Hidden => {}
            ProgressOutput::Bar(bar) => bar.set_position(self.done),
            ProgressOutput::Log if self.last_log.elapsed() >= LOG_PERIOD => {
                self.last_log = Instant::now();
                let rate = self.received as f64 / self.began.elapsed().as_secs_f64();
                tracing::info!(
                    "fetched {} of {} of {}, {}/s",
                    format_bytes(self.done),
                    format_bytes(self.total.max(self.done)),
                    self.label,
                    format_bytes(rate as u64)
                );
            }
            ProgressOutput::Log => {}
        }
    }

    /// Logs a warning without damaging the bar.
    pub(super) fn warn(&self, message: &str) {
        match &self.output {
            ProgressOutput::Bar(bar) => bar.suspend(|| tracing::warn!("{message}")),
            _ => tracing::warn!("{message}"),
        }
    }
}

impl Drop for DownloadProgress {
    fn drop(&mut self) {
        if let ProgressOutput::Bar(bar) = &self.output {
            bar.finish_and_clear();
        }
    }
}
