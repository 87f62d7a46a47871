//! The record of a span of the meter and of the work in it: a script's window, or the work of one call.

use crate::{
    energy_shares::{EnergyByPhase, PhaseEnergy, domain_record},
    run::RunContext,
    usage_history::Usage,
};
use llem_meter::{ClosedWindow, DeviceSummary, Summary};
use llem_quantity::{Cause, Quantity, Reading, ReadingRecord, Source, Unavailable};
use llem_record::{
    Activity, CourseRecord, DeviceEnergyRecord, DeviceSpanRecord, LackRecord, MemoryPeakRecord,
    PhaseEnergyRecord, RankActivity, WindowRecord, per_token,
};

/// The totals of the run's work at one moment.
#[derive(Clone, Default)]
pub(crate) struct WorkSnapshot {
    activity: Activity,
    phases: PhaseEnergy,
}

impl WorkSnapshot {
    /// Reads the totals now. All work until now must have been counted.
    pub(crate) fn now(run: &RunContext) -> Self {
        let mut done = run.work.totals();
        done.energy.end_span();
        Self { activity: done.activity, phases: done.energy.clone() }
    }
}

/// Makes the record of a span. The engine's work is the difference since `before`, and `held` is what was in use during
/// the span.
pub(crate) fn window_record(
    run: &RunContext,
    label: &str,
    span: &ClosedWindow,
    before: &WorkSnapshot,
    held: Usage,
    ranks: Vec<RankActivity>,
) -> wasmtime::Result<WindowRecord> {
    let now = WorkSnapshot::now(run);
    let activity = now.activity.since(&before.activity);
    let total = held.total(span);
    let idle = run.instruments().idle().clone();
    let above_idle = if idle.is_empty() {
        Err(Unavailable::new(Cause::NotAsked, "no idle baseline has been measured"))
    } else if held.has_changed && held.has_accelerators() {
        Err(Unavailable::new(
            Cause::NotAsked,
            "a model was loaded or dropped meanwhile, and no baseline is of both",
        ))
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
    // If there is no total, its reason also explains what it lacks.
    let lacks =
        total.lacks.iter().filter(|_| total.energy.is_ok()).map(|(of, reason)| LackRecord {
            device: of.device.clone(),
            domain: of.domain.clone(),
            reason: reason.to_string(),
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
                device: part.id.device.clone(),
                domain: part.id.domain.clone(),
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

/// The part of a total that belongs to no phase. `None` if the phases are all of it.
fn outside(total: &Reading, phases: &EnergyByPhase) -> Option<Reading> {
    let rest = total.clone().and_then(|total| rest_of(total, phases.iter().flatten()));
    let all = total.as_ref().map_or(0.0, |total| total.value.abs());
    // A difference that is only rounding counts as nothing.
    Some(rest).filter(|rest| !rest.as_ref().is_ok_and(|rest| rest.value.abs() <= 1e-9 * all))
}

/// A total minus its parts.
pub(crate) fn rest_of<'a>(
    total: Quantity,
    parts: impl IntoIterator<Item = &'a Reading>,
) -> Reading {
    parts.into_iter().try_fold(total, |rest, part| {
        let rest = rest.minus(part.as_ref().map_err(Clone::clone)?);
        rest.ok_or_else(|| "energies are in different units".into())
    })
}

fn device_span(span: &DeviceSummary) -> DeviceSpanRecord {
    let course = |course: &Option<Summary>| {
        course.map(|Summary { first, last, min, max, mean }| CourseRecord {
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
