//! Sends the samples of a run's devices to observers and to the files beside its record.
//!
//! ```text
//! sampler ──samples of about a second──► writer's thread ──► timeline/part-0000.parquet
//!                    └──► observer (metrics that are served)
//! ```

use crate::output::Output;
use llem_meter::{Clock, Meter, Sample, Sink, thread_busy_nanoseconds};
use llem_quantity::{Quantity, Source};
use llem_record::{Event, TimelineRecord, TimelineRow, TimelineWriter, WrittenFiles};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
};

/// The result of the writer's thread.
#[derive(Default)]
struct WriterResult {
    written: WrittenFiles,
    /// The processor time of the writer, in nanoseconds.
    busy: u64,
    /// Why not all samples are in the files, if so.
    failure: Option<String>,
}

pub(super) struct Timeline {
    writer: Mutex<Option<JoinHandle<WriterResult>>>,
}

struct TimelineSink {
    output: Arc<Output>,
    /// `None` if samples are not written.
    writer: Option<Sender<Vec<Sample>>>,
}

impl Sink for TimelineSink {
    fn take(&mut self, samples: Vec<Sample>) {
        self.output.observer().samples(&samples);
        if let Some(writer) = &self.writer {
            // The writer ends before its sender only after a panic, which `finish` reports.
            let _ = writer.send(samples);
        }
    }
}

impl Timeline {
    /// Starts the timeline, or returns `None` if the run has no folder. Samples are written to files if `keep` is true.
    pub(super) fn start(
        clock: &Clock,
        output: &Arc<Output>,
        keep: bool,
        meter: &Meter,
    ) -> Option<Self> {
        let folder = output.folder()?;
        let (sender, samples) = mpsc::channel();
        // The meter's clock and the run's clock were started at different moments.
        let offset = clock.at(meter.moment(0.0)) as i64;
        let writer = move || write(TimelineWriter::new(&folder), samples, offset);
        let writer = keep.then(|| thread::Builder::new().name("timeline".to_owned()).spawn(writer));
        let writer = writer.and_then(Result::ok);
        let sender = writer.is_some().then_some(sender);
        let output = Arc::clone(output);
        meter.hand_samples_to(Some(Box::new(TimelineSink { output, writer: sender })));
        Some(Self { writer: Mutex::new(writer) })
    }

    /// Ends the timeline and records it.
    pub(super) fn finish(&self, output: &Output, meter: &Meter) -> wasmtime::Result<()> {
        // This drops the sink with its sender, so the writer's thread ends.
        meter.hand_samples_to(None);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let left = writer.map_or_else(WriterResult::default, |writer| {
            let panicked = |_| WriterResult {
                failure: Some("it panicked".to_owned()),
                ..WriterResult::default()
            };
            writer.join().unwrap_or_else(panicked)
        });
        if let Some(reason) = left.failure {
            let message = format!("the timeline is not whole: {reason}");
            output.write_host_event(Event::Warning { message })?;
        }
        let cost = meter.sampler_cost();
        let wall = cost.wall.as_secs_f64();
        // On a synthetic host no thread samples, and nothing is known of the cost.
        let is_sampled = llem_clock::virtual_clock().is_none();
        let share =
            |seconds: f64| is_sampled.then(|| Quantity::exact(seconds / wall, "1", Source::Clock));
        let period = wall / cost.rounds.max(1) as f64;
        output.write_host_event(Event::Timeline(TimelineRecord {
            files: left.written.files,
            samples: left.written.rows,
            period: is_sampled.then(|| Quantity::exact(period, "s", Source::Clock)),
            sampling: share(cost.busy.as_secs_f64()),
            writing: share(left.busy as f64 * 1e-9),
        }))
    }
}

/// Writes samples. If a write fails, the writer tries again with the next samples.
fn write(mut writer: TimelineWriter, samples: Receiver<Vec<Sample>>, offset: i64) -> WriterResult {
    for samples in samples {
        if let Err(error) = writer.add(samples.iter().map(|sample| row(sample, offset))) {
            tracing::warn!("the timeline cannot be written for now: {error}");
        }
    }
    let failure = writer.finish().err().map(|error| error.to_string());
    let written = writer.written().clone();
    let lost = (written.lost > 0).then(|| format!("{} samples were lost", written.lost));
    WriterResult { written, busy: thread_busy_nanoseconds(), failure: failure.or(lost) }
}

fn row(sample: &Sample, offset: i64) -> TimelineRow {
    let row = TimelineRow {
        t_ns: (sample.at * 1e9) as i64 + offset,
        device: sample.id.device.clone(),
        domain: sample.id.domain.clone(),
        power_w: sample.power,
        energy_j: sample.energy,
        ..TimelineRow::default()
    };
    let Some(condition) = &sample.condition else { return row };
    TimelineRow {
        temperature_cel: condition.temperature,
        core_clock_mhz: condition.core_clock,
        memory_clock_mhz: condition.memory_clock,
        utilisation_percent: condition.utilisation,
        memory_used_bytes: condition.memory_used,
        throttle_reasons: Some(condition.throttle_reasons.join("+")),
        ..row
    }
}
