//! A window that a script has open, and its segments.

use super::{
    communication_times::CommunicationTimes,
    window_record::{WorkSnapshot, rest_of, window_record},
};
use crate::{engine_thread::EngineThread, error::Refusal, run::RunContext, usage_history::Usage};
use llem_meter::{ClosedWindow, ContinuousWindow, Window};
use llem_quantity::{Reading, ReadingRecord};
use llem_record::{Event, SegmentRecord, WindowRecord};
use std::time::Instant;

/// A window that a script has open.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct OpenWindow {
    label: String,
    window: Window,
    before: WorkSnapshot,
    communication: CommunicationTimes,
    marks: Vec<SegmentStart>,
    /// Follows the energy from the first mark on.
    following: Option<ContinuousWindow>,
}

/// The beginning of a segment.
struct SegmentStart {
    label: String,
    at: Instant,
}

/// A device failed while a window was open. The sentence is on one line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.root_cause().to_string().replace('\n', " "))]
pub(crate) struct DeviceFailure(wasmtime::Error);

/// The most marks of a window.
const MARKS: usize = 1_000;

impl OpenWindow {
    /// Opens a window once every device has finished its earlier work.
    pub(crate) async fn open(run: &RunContext, label: String) -> wasmtime::Result<Self> {
        run.synchronise().await?;
        let communication = run.communication().await?;
        run.work.settle();
        let before = WorkSnapshot::now(run);
        let window = run.meter().open();
        let (marks, following) = (Vec::new(), None);
        Ok(Self { label, window, before, communication, marks, following })
    }

    /// Begins a segment.
    pub(crate) fn mark(&mut self, run: &RunContext, label: String) -> Result<(), Refusal> {
        if self.marks.len() == MARKS {
            return Err(Refusal::LimitReached(format!(
                "window '{}' has {MARKS} marks, and may have no more",
                self.label
            )));
        }
        let following = self.following.get_or_insert_with(|| run.meter().open_continuous());
        let at = if self.marks.is_empty() { following.until() } else { llem_clock::now() };
        self.marks.push(SegmentStart { label, at });
        Ok(())
    }

    /// Closes the window and records it, even if a device has failed. In that case the failure is one of the window's
    /// warnings, and is also the inner error.
    pub(crate) async fn close(
        self,
        run: &RunContext,
    ) -> wasmtime::Result<Result<WindowRecord, DeviceFailure>> {
        let idle = run.synchronise().await;
        let Self { label, window, before, communication, marks, following } = self;
        let span = run.meter().close(window);
        run.work.settle();
        let communicated = match run.communication().await {
            Ok(now) => idle.map(|()| now),
            Err(error) => idle.and(Err(error)),
        };
        let (ranks, failure) = match communicated {
            Ok(now) => (now.since(&communication), None),
            Err(error) => (Vec::new(), Some(DeviceFailure(error))),
        };
        let held = run.engines.usage_during(&span);
        let parts =
            following.map(|following| segment_energies(run, &marks, following, &span, &held));
        let mut record = window_record(run, &label, &span, &before, held, ranks)?;
        if let Some(parts) = parts {
            record.segments = segments(run, &span, marks, parts, &record.energy_total);
        }
        if let Some(failure) = &failure {
            let warning = format!(
                "it was closed when its device failed, and what ran then may not be in it: {failure}"
            );
            let message = format!("window '{label}': {warning}");
            record.warnings.push(warning);
            run.output.write_host_event(Event::Warning { message })?;
        }
        run.output.write_host_event(Event::Window(record.clone()))?;
        Ok(failure.map_or(Ok(record), Err))
    }

    pub(crate) fn started(&self) -> Instant {
        self.window.started
    }
}

/// The energy of each segment after the first one. `following` began at the first mark.
fn segment_energies(
    run: &RunContext,
    marks: &[SegmentStart],
    mut following: ContinuousWindow,
    span: &ClosedWindow,
    held: &Usage,
) -> Vec<Reading> {
    let ends = marks.iter().skip(1).map(|mark| mark.at).chain([span.started + span.wall]);
    let mut part = |until| {
        held.total(&run.meter().next_part(&mut following, until).with_curve_energies()).energy
    };
    ends.map(&mut part).collect()
}

/// The segments between marks. The first one gets the rest of the total, so that all of them add up to it.
fn segments(
    run: &RunContext,
    span: &ClosedWindow,
    marks: Vec<SegmentStart>,
    parts: Vec<Reading>,
    total: &ReadingRecord,
) -> Vec<SegmentRecord> {
    let first = total.reading().and_then(|total| rest_of(total, &parts));
    let begins = SegmentStart { label: String::new(), at: span.started };
    let ends: Vec<Instant> =
        marks.iter().map(|mark| mark.at).chain([span.started + span.wall]).collect();
    let starts = [begins].into_iter().chain(marks);
    let segment =
        |((SegmentStart { label, at }, until), energy): ((SegmentStart, Instant), Reading)| {
            SegmentRecord {
                label,
                started_ns: run.clock.at(at),
                wall_ns: until.saturating_duration_since(at).as_nanos() as u64,
                energy: (&energy).into(),
            }
        };
    starts.zip(ends).zip([first].into_iter().chain(parts)).map(segment).collect()
}

impl RunContext {
    /// Waits until every device has finished its work. A CPU's work is finished when its call returns, so the CPU is
    /// skipped.
    async fn synchronise(&self) -> wasmtime::Result<()> {
        let asynchronous =
            |engine: &EngineThread| engine.info().device != llem_engine::DeviceId::Cpu;
        for engine in self.engines.filter(asynchronous) {
            engine.call("synchronize", |model| model.synchronize()).await??;
        }
        Ok(())
    }
}
