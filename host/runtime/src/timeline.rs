//! The samples of a run's devices, on their way to whoever watches and to the sidecar of its record.
//!
//! ```text
//! sampler ──about a second of samples──► writer's thread ──► timeline/part-0000.parquet
//!                    └──► observer (metrics that are served)
//! ```

use crate::{output::Output, state::Run};
use llem_meter::{Meter, Sample, Sink, sampler::busy_nanoseconds};
use llem_quantity::{Quantity, Source};
use llem_record::{
    Event,
    hardware::TimelineRecord,
    timeline::{Row, TimelineWriter},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
};

/// What the writer leaves: the files, their rows, and the processor time that it took, ns.
type Written = Result<(Vec<String>, u64, u64), String>;

/// A timeline that is being written.
pub struct Timeline {
    writer: Mutex<Option<JoinHandle<Written>>>,
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
            // It has told why it ended by then.
            let _ = writer.send(samples);
        }
    }
}

impl Timeline {
    /// Begins; none where the run has no folder.
    pub fn start(run: &Run, meter: &Meter) -> Option<Self> {
        let folder = run.output.folder()?;
        let (sender, samples) = mpsc::channel();
        // The meter's clock and the run's differ by when they were started.
        let offset = run.clock.at(meter.moment(0.0)) as i64;
        let keep = run.metering.timeline;
        let writer = move || write(TimelineWriter::new(&folder), samples, offset);
        let writer = keep.then(|| thread::Builder::new().name("timeline".to_owned()).spawn(writer));
        let writer = writer.and_then(Result::ok);
        let sender = writer.is_some().then_some(sender);
        let output = Arc::clone(&run.output);
        meter.hand_samples_to(Some(Box::new(ToWriter { output, writer: sender })));
        Some(Self { writer: Mutex::new(writer) })
    }

    /// Ends it and tells the record.
    pub fn finish(&self, run: &Run, meter: &Meter) -> wasmtime::Result<()> {
        // With the sink goes the sender, without which the writer ends.
        meter.hand_samples_to(None);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let written =
            writer.map(|writer| writer.join().unwrap_or_else(|_| Err("it panicked".to_owned())));
        let (files, samples, busy) = match written {
            None => (Vec::new(), 0, 0),
            Some(Ok(written)) => written,
            Some(Err(reason)) => {
                let message = format!("the timeline could not be written: {reason}");
                run.output.write(Event::Warning { message })?;
                (Vec::new(), 0, 0)
            }
        };
        let cost = meter.sampler_cost();
        let wall = cost.wall.as_secs_f64();
        let share = |seconds: f64| Quantity::exact(seconds / wall, "1", Source::Clock);
        let period = wall / cost.rounds.max(1) as f64;
        run.output.write(Event::Timeline(TimelineRecord {
            files,
            samples,
            period: Quantity::exact(period, "s", Source::Clock),
            sampling: share(cost.busy.as_secs_f64()),
            writing: share(busy as f64 * 1e-9),
        }))
    }
}

fn write(mut writer: TimelineWriter, samples: Receiver<Vec<Sample>>, offset: i64) -> Written {
    let failed = |error: llem_record::Error| error.to_string();
    for samples in samples {
        writer.add(samples.iter().map(|sample| row(sample, offset))).map_err(failed)?;
    }
    let (files, rows) = writer.finish().map_err(failed)?;
    Ok((files, rows, busy_nanoseconds()))
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
