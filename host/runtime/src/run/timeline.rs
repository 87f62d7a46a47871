//! The samples of a run's devices, on their way to whoever watches and to the sidecar of its record.
//!
//! ```text
//! sampler ──about a second of samples──► writer's thread ──► timeline/part-0000.parquet
//!                    └──► observer (metrics that are served)
//! ```

use crate::output::Output;
use llem_meter::{Clock, Meter, Sample, Sink, sampler::busy_nanoseconds};
use llem_quantity::{Quantity, Source};
use llem_record::{
    Event,
    hardware::TimelineRecord,
    timeline::{Row, TimelineWriter, Written},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
};

/// What the writer leaves.
#[derive(Default)]
struct Left {
    written: Written,
    /// The processor time that it took, ns.
    busy: u64,
    /// Why not all samples are in the files, if so.
    failure: Option<String>,
}

/// A timeline that is being written.
pub struct Timeline {
    writer: Mutex<Option<JoinHandle<Left>>>,
}

struct ToWriter {
    output: Arc<Output>,
    /// None where samples are not kept.
    writer: Option<Sender<Vec<Sample>>>,
}

impl Sink for ToWriter {
    fn take(&mut self, samples: Vec<Sample>) {
        self.output.observer().samples(&samples);
        if let Some(writer) = &self.writer {
            // It ends before its sender only if it panicked, which `finish` tells.
            let _ = writer.send(samples);
        }
    }
}

impl Timeline {
    /// Begins; none where the run has no folder. Samples go to files if they are to be kept.
    pub fn start(clock: &Clock, output: &Arc<Output>, keep: bool, meter: &Meter) -> Option<Self> {
        let folder = output.folder()?;
        let (sender, samples) = mpsc::channel();
        // The meter's clock and the run's differ by when they were started.
        let offset = clock.at(meter.moment(0.0)) as i64;
        let writer = move || write(TimelineWriter::new(&folder), samples, offset);
        let writer = keep.then(|| thread::Builder::new().name("timeline".to_owned()).spawn(writer));
        let writer = writer.and_then(Result::ok);
        let sender = writer.is_some().then_some(sender);
        let output = Arc::clone(output);
        meter.hand_samples_to(Some(Box::new(ToWriter { output, writer: sender })));
        Some(Self { writer: Mutex::new(writer) })
    }

    /// Ends it and tells the record.
    pub fn finish(&self, output: &Output, meter: &Meter) -> wasmtime::Result<()> {
        // With the sink goes the sender, without which the writer ends.
        meter.hand_samples_to(None);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let left = writer.map_or_else(Left::default, |writer| {
            let panicked = |_| Left { failure: Some("it panicked".to_owned()), ..Left::default() };
            writer.join().unwrap_or_else(panicked)
        });
        if let Some(reason) = left.failure {
            let message = format!("the timeline is not whole: {reason}");
            output.keep(Event::Warning { message })?;
        }
        let cost = meter.sampler_cost();
        let wall = cost.wall.as_secs_f64();
        let share = |seconds: f64| Quantity::exact(seconds / wall, "1", Source::Clock);
        let period = wall / cost.rounds.max(1) as f64;
        output.keep(Event::Timeline(TimelineRecord {
            files: left.written.files,
            samples: left.written.rows,
            period: Some(Quantity::exact(period, "s", Source::Clock)),
            sampling: Some(share(cost.busy.as_secs_f64())),
            writing: Some(share(left.busy as f64 * 1e-9)),
        }))
    }
}

/// What cannot be written at once is tried again later.
fn write(mut writer: TimelineWriter, samples: Receiver<Vec<Sample>>, offset: i64) -> Left {
    for samples in samples {
        if let Err(error) = writer.add(samples.iter().map(|sample| row(sample, offset))) {
            tracing::warn!("the timeline cannot be written for now: {error}");
        }
    }
    let failure = writer.finish().err().map(|error| error.to_string());
    let written = writer.written().clone();
    let lost = (written.lost > 0).then(|| format!("{} samples were lost", written.lost));
    Left { written, busy: busy_nanoseconds(), failure: failure.or(lost) }
}

fn row(sample: &Sample, offset: i64) -> Row {
    let row = Row {
        t_ns: (sample.at * 1e9) as i64 + offset,
        device: sample.device.to_string(),
        domain: sample.domain.to_string(),
        power_w: sample.power,
        energy_j: sample.energy,
        ..Row::default()
    };
    let Some(condition) = &sample.condition else { return row };
    Row {
        temperature_cel: condition.temperature,
        core_clock_mhz: condition.core_clock,
        memory_clock_mhz: condition.memory_clock,
        utilisation_percent: condition.utilisation,
        memory_used_bytes: condition.memory_used,
        throttle_reasons: Some(condition.throttle_reasons.join("+")),
        ..row
    }
}
