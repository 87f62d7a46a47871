//! A span and what was done in it: a script's window, or the work of one call.

use super::communication::Communication;
use crate::{
    energy_shares::{ByPhase, PhaseEnergy, domain_record},
    engine_thread::EngineThread,
    error::Refusal,
    holdings::During,
    run::Run,
};
use llem_meter::{DeviceSpan, Following, Span, Window, timeline::Course};
use llem_quantity::{Quantity, Reading, ReadingRecord, Source};
use llem_record::{
    Event,
    energy::{LackRecord, PhaseEnergyRecord, per_token},
    event::{
        Activity, DeviceEnergyRecord, MemoryPeakRecord, RankActivity, SegmentRecord, WindowRecord,
    },
    hardware::{CourseRecord, DeviceSpanRecord},
};
use std::time::Instant;

/// A window that a script has open.
pub struct OpenWindow {
    label: String,
    window: Window,
    before: Before,
    communication: Communication,
    marks: Vec<Mark>,
    /// The energy since the first mark.
    following: Option<Following>,
}

/// The beginning of a segment.
struct Mark {
    label: String,
    at: Instant,
}

/// Most marks of a window.
const MARKS: usize = 1_000;

impl OpenWindow {
    /// Opens a window once every device has done what it was given before.
    pub async fn open(run: &Run, label: String) -> wasmtime::Result<Self> {
        run.synchronise().await?;
        let communication = run.communication().await?;
        run.work.settle();
        let before = Before::now(run);
        let window = run.meter().open();
        let (marks, following) = (Vec::new(), None);
        Ok(Self { label, window, before, communication, marks, following })
    }

    /// Begins a segment.
    pub fn mark(&mut self, run: &Run, label: String) -> Result<(), Refusal> {
        if self.marks.len() == MARKS {
            return Err(Refusal::LimitReached(format!(
                "window '{}' has {MARKS} marks, and may have no more",
                self.label
            )));
        }
        let following = self.following.get_or_insert_with(|| run.meter().following());
        let at = if self.marks.is_empty() { following.until() } else { Instant::now() };
        self.marks.push(Mark { label, at });
        Ok(())
    }

    /// Closes it, whatever its devices do, and writes it down. One whose device has failed is recorded with that among
    /// its warnings, and the failure is returned in a sentence.
    pub async fn close(self, run: &Run) -> wasmtime::Result<Result<WindowRecord, String>> {
        let idle = run.synchronise().await;
        let Self { label, window, before, communication, marks, following } = self;
        let span = run.meter().close(window);
        run.work.settle();
        let told = match run.communication().await {
            Ok(now) => idle.map(|()| now),
            Err(error) => idle.and(Err(error)),
        };
        let (ranks, failure) = match told {
            Ok(now) => (now.since(&communication), None),
            Err(error) => (Vec::new(), Some(error.root_cause().to_string().replace('\n', " "))),
        };
        let held = run.engines.during(&span);
        let parts = following.map(|following| parts(run, &marks, following, &span, &held));
        let mut record = closed(run, &label, &span, &before, held, ranks)?;
        if let Some(parts) = parts {
            record.segments = segments(run, &span, marks, parts, &record.energy_total);
        }
        if let Some(failure) = &failure {
            let warning = format!(
                "it was closed when its device failed, and what ran then may not be in it: {failure}"
            );
            let message = format!("window '{label}': {warning}");
            record.warnings.push(warning);
            run.output.keep(Event::Warning { message })?;
        }
        run.output.keep(Event::Window(record.clone()))?;
        Ok(failure.map_or(Ok(record), Err))
    }

    /// When it was opened.
    pub fn started(&self) -> Instant {
        self.window.started
    }
}

/// The energy of the segments after the first, which began where `following` did.
fn parts(
    run: &Run,
    marks: &[Mark],
    mut following: Following,
    span: &Span,
    held: &During,
) -> Vec<Reading> {
    let ends = marks.iter().skip(1).map(|mark| mark.at).chain([span.started + span.wall]);
    let mut part = |until| held.total(&run.meter().part(&mut following, until).by_courses()).energy;
    ends.map(&mut part).collect()
}

/// The parts between marks. The first has what the others leave of the total, so that all add up to it.
fn segments(
    run: &Run,
    span: &Span,
    marks: Vec<Mark>,
    parts: Vec<Reading>,
    total: &ReadingRecord,
) -> Vec<SegmentRecord> {
    let first = total.reading().and_then(|total| rest_of(total, &parts));
    let begins = Mark { label: String::new(), at: span.started };
    let ends: Vec<Instant> =
        marks.iter().map(|mark| mark.at).chain([span.started + span.wall]).collect();
    let starts = [begins].into_iter().chain(marks);
    let segment =
        |((Mark { label, at }, until), energy): ((Mark, Instant), Reading)| SegmentRecord {
            label,
            started_ns: run.clock.at(at),
            wall_ns: until.saturating_duration_since(at).as_nanos() as u64,
            energy: (&energy).into(),
        };
    starts.zip(ends).zip([first].into_iter().chain(parts)).map(segment).collect()
}

impl Run {
    /// Waits until every device has done what it was given. A CPU's work is done when its call
    /// returns, so nothing is asked of it.
    async fn synchronise(&self) -> wasmtime::Result<()> {
        let asynchronous = |engine: &EngineThread| engine.info().device != llem_engine::Device::Cpu;
        for engine in self.engines.which(asynchronous) {
            engine.call(|model| model.synchronize()).await??;
        }
        Ok(())
    }
}

/// What stood before a span.
#[derive(Clone, Default)]
pub struct Before {
    activity: Activity,
    phases: PhaseEnergy,
}

impl Before {
    /// What stands now; all that was run has been counted.
    pub fn now(run: &Run) -> Self {
        let mut done = run.work.done();
        done.energy.end_span();
        Self { activity: done.activity, phases: done.energy.clone() }
    }
}

/// A span as the record keeps it, with what the engine has done since `before`. Its work was
/// that of what was `held`.
pub fn closed(
    run: &Run,
    label: &str,
    span: &Span,
    before: &Before,
    held: During,
    ranks: Vec<RankActivity>,
) -> wasmtime::Result<WindowRecord> {
    let now = Before::now(run);
    let activity = now.activity.since(&before.activity);
    let total = held.total(span);
    let idle = run.instruments().idle().clone();
    let above_idle = if idle.is_empty() {
        Err("no idle baseline has been measured".to_owned())
    } else if held.has_changed && held.has_accelerators() {
        Err("a model was loaded or dropped meanwhile, and no baseline is of both".to_owned())
    } else {
        span.above_idle(&total, &held.devices, &idle)
    };
    let imbalance = span.imbalance(&held.devices);
    let per_token = per_token(&total.energy, activity.output_tokens, "no token was generated");
    let source = total.energy.as_ref().map_or(Source::Derived, |total| total.source);
    let phases = now.phases.since(&before.phases, &total.covers, source);
    let outside = outside(&total.energy, &phases);
    let [prefill, decode, mixed] = phases;
    let phase = run.phases.path();
    run.instruments().warn(&run.output, &phase, &span.warnings)?;
    // Where there is no total, it says why.
    let lacks = total.lacks.iter().filter(|_| total.energy.is_ok()).map(|(of, reason)| {
        LackRecord { device: of.device.clone(), domain: of.domain.clone(), reason: reason.clone() }
    });
    let known = |phase: &Option<Reading>| phase.as_ref().map(ReadingRecord::from);
    Ok(WindowRecord {
        label: label.to_owned(),
        phase,
        started_ns: run.clock.at(span.started),
        wall_ns: span.wall.as_nanos() as u64,
        energy: span
            .energy
            .iter()
            .map(|part| DeviceEnergyRecord {
                device: part.device.clone(),
                domain: part.domain.clone(),
                energy: (&part.energy).into(),
            })
            .collect(),
        energy_per_output_token: (activity.output_tokens > 0).then(|| (&per_token).into()),
        energy_total: (&total.energy).into(),
        energy_covers: total.covers.iter().map(domain_record).collect(),
        energy_lacks: lacks.collect(),
        energy_cpu: Some((&total.cpu).into()),
        energy_accelerators: held.has_accelerators().then(|| (&total.accelerators).into()),
        energy_by_phase: total.energy.is_ok().then(|| {
            Box::new(PhaseEnergyRecord {
                prefill: known(&prefill),
                decode: known(&decode),
                mixed: known(&mixed),
                outside: known(&outside),
            })
        }),
        energy_above_idle: (!idle.is_empty()).then(|| (&above_idle).into()),
        devices_used: held.devices.len() as u32,
        energy_imbalance: (held.devices.len() > 1).then(|| (&imbalance).into()),
        models: held.models,
        batches: held.batches,
        segments: Vec::new(),
        ranks,
        devices: span.devices.iter().map(device_span).collect(),
        memory: span
            .memory
            .iter()
            .map(|peak| MemoryPeakRecord {
                device: peak.device.clone(),
                kind: peak.kind.name().to_owned(),
                peak: (&peak.peak).into(),
            })
            .collect(),
        warnings: span.warnings.iter().map(ToString::to_string).collect(),
        activity,
    })
}

/// What of a total is in none of the phases; none where they are all of it.
fn outside(total: &Reading, phases: &ByPhase) -> Option<Reading> {
    let rest = total.clone().and_then(|total| rest_of(total, phases.iter().flatten()));
    let all = total.as_ref().map_or(0.0, |total| total.value.abs());
    // What rounding leaves of a sum of all its parts is nothing.
    Some(rest).filter(|rest| !rest.as_ref().is_ok_and(|rest| rest.value.abs() <= 1e-9 * all))
}

/// What parts leave of a total.
fn rest_of<'a>(total: Quantity, parts: impl IntoIterator<Item = &'a Reading>) -> Reading {
    parts.into_iter().try_fold(total, |rest, part| {
        let rest = rest.minus(part.as_ref().map_err(Clone::clone)?);
        rest.ok_or_else(|| "energies are in different units".to_owned())
    })
}

fn device_span(span: &DeviceSpan) -> DeviceSpanRecord {
    let course = |course: &Option<Course>| {
        course.map(|Course { first, last, min, max, mean }| CourseRecord {
            first,
            last,
            min,
            max,
            mean,
        })
    };
    DeviceSpanRecord {
        device: span.device.clone(),
        temperature: course(&span.temperature),
        core_clock: course(&span.core_clock),
        utilisation: course(&span.utilisation),
        memory_used: course(&span.memory_used),
        throttle_reasons: span.throttle_reasons.clone(),
    }
}
