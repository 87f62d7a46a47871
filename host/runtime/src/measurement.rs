//! A closed span, as the record keeps it and as the guest sees it.

use crate::{
    bindings::meter,
    energy_shares::{ByPhase, PhaseEnergy, domain_record},
    holdings::During,
    host::types::reading,
    state::Run,
};
use llem_engine::{Info, Model, model::RankInfo};
use llem_meter::{DeviceEnergy, DeviceSpan, Domain, Span, timeline::Course};
use llem_quantity::{Quantity, Reading, ReadingRecord, Source};
use llem_record::{
    Event,
    energy::{LackRecord, PhaseEnergyRecord, per_token},
    event::{Activity, DeviceEnergyRecord, RankActivity, WindowRecord},
    hardware::{CourseRecord, DeviceSpanRecord},
};
use std::time::Duration;

/// Time in communication so far, of each rank: its model, its device, and how long.
#[derive(Default)]
pub struct Communication(Vec<(String, Result<Duration, String>)>);

impl Communication {
    /// That of a model's ranks, where it is split. Runs on the engine's thread.
    pub fn of(model: &mut Model) -> llem_engine::Result<Self> {
        let mut all = Self::default();
        if model.info().ranks.len() > 1 {
            let times = model.communication_times()?;
            all.add(model.info(), times);
        }
        Ok(all)
    }

    /// Adds the ranks of a model.
    pub fn add(&mut self, info: &Info, times: Vec<Result<Duration, String>>) {
        let devices = info.ranks.iter().map(RankInfo::place);
        self.0.extend(devices.zip(times));
    }

    /// What each rank has done since `before`; nothing where the ranks are not the same any more.
    pub fn since(self, before: &Self) -> Vec<RankActivity> {
        if self.0.len() != before.0.len() {
            return Vec::new();
        }
        let spent = |((device, after), (_, before)): ((String, Result<Duration, String>), &_)| {
            let before: &Result<Duration, String> = before;
            let spent = after.and_then(|after| {
                let spent = after.saturating_sub(before.clone()?);
                Ok(Quantity::exact(spent.as_secs_f64(), "s", Source::Clock))
            });
            RankActivity { device, communication: (&spent).into() }
        };
        self.0.into_iter().zip(&before.0).map(spent).collect()
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
        let mut progress = run.progress();
        progress.phase_energy.end_span();
        Self { activity: progress.activity, phases: progress.phase_energy.clone() }
    }
}

/// A span as the record keeps it and as the guest sees it, with what the engine has done since `before`. Its work was
/// that of what was `held`.
pub fn closed(
    run: &Run,
    label: &str,
    span: &Span,
    before: &Before,
    held: During,
    ranks: Vec<RankActivity>,
) -> wasmtime::Result<(WindowRecord, meter::Measurement)> {
    let now = Before::now(run);
    let activity = now.activity.since(&before.activity);
    let total = held.total(span);
    let idle = run.progress().idle.clone();
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
    let phase = run.phase_path();
    warn(run, &phase, span)?;
    // Where there is no total, it says why.
    let lacks = total.lacks.iter().filter(|_| total.energy.is_ok()).map(|(of, reason)| {
        LackRecord { device: of.device.clone(), domain: of.domain.clone(), reason: reason.clone() }
    });
    let known = |phase: &Option<Reading>| phase.as_ref().map(ReadingRecord::from);
    let record = WindowRecord {
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
        ranks,
        devices: span.devices.iter().map(device_span).collect(),
        warnings: span.warnings.iter().map(ToString::to_string).collect(),
        activity,
    };
    let seen = meter::Measurement {
        label: record.label.clone(),
        started: record.started_ns,
        wall_time: record.wall_ns,
        energy_per_output_token: reading(per_token),
        energy_total: reading(total.energy),
        energy_covers: total.covers.iter().map(domain_seen).collect(),
        energy_cpu: reading(total.cpu),
        energy_accelerators: reading(total.accelerators),
        energy_prefill: reading(prefill.unwrap_or_else(nothing)),
        energy_decode: reading(decode.unwrap_or_else(nothing)),
        energy_mixed: reading(mixed.unwrap_or_else(nothing)),
        energy_outside: reading(outside.unwrap_or_else(nothing)),
        energy_above_idle: reading(above_idle),
        devices_used: record.devices_used,
        energy_imbalance: reading(imbalance),
        ranks: record.ranks.iter().map(rank_activity).collect(),
        energy: span.energy.iter().cloned().map(device_energy).collect(),
        devices: record.devices.iter().map(device_span_seen).collect(),
        warnings: record.warnings.clone(),
        activity: activity_seen(&activity),
    };
    Ok((record, seen))
}

/// What of a total is in none of the phases; none where they are all of it.
fn outside(total: &Reading, phases: &ByPhase) -> Option<Reading> {
    let rest = || {
        let total = total.clone()?;
        phases.iter().flatten().try_fold(total, |rest, phase| {
            let rest = rest.minus(phase.as_ref().map_err(Clone::clone)?);
            rest.ok_or_else(|| "energies are in different units".to_owned())
        })
    };
    let all = total.as_ref().map_or(0.0, |total| total.value.abs());
    // What rounding leaves of a sum of all its parts is nothing.
    Some(rest()).filter(|rest| !rest.as_ref().is_ok_and(|rest| rest.value.abs() <= 1e-9 * all))
}

fn nothing() -> Reading {
    Err("nothing of this kind was run".to_owned())
}

fn activity_seen(activity: &Activity) -> meter::Activity {
    let flops = activity.flops_estimated;
    meter::Activity {
        requests: activity.requests,
        prompt_tokens: activity.prompt_tokens,
        output_tokens: activity.output_tokens,
        prefill_time: activity.prefill_ns,
        decode_time: activity.decode_ns,
        mixed_time: activity.mixed_ns,
        mixed_prompt_tokens: activity.mixed_prompt_tokens,
        mixed_output_tokens: activity.mixed_output_tokens,
        flops_prefill: flops.prefill,
        flops_decode: flops.decode,
        flops_mixed: flops.mixed,
    }
}

/// What a span's readers must know is told for the run, too, once a phase; in warm-up it is what that is for.
fn warn(run: &Run, phase: &str, span: &Span) -> wasmtime::Result<()> {
    if phase.split('/').any(|name| name == "warmup") {
        return Ok(());
    }
    for warning in &span.warnings {
        let (kind, device) = warning.subject();
        if run.progress().warned.insert((phase.to_owned(), kind, device.to_owned())) {
            let message = match phase.is_empty() {
                true => warning.to_string(),
                false => format!("in {phase}: {warning}"),
            };
            run.output.write(Event::Warning { message })?;
        }
    }
    Ok(())
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

fn device_span_seen(span: &DeviceSpanRecord) -> meter::DeviceSpan {
    let course = |course: &Option<CourseRecord>| {
        course.map(|CourseRecord { first, last, min, max, mean }| meter::Course {
            first,
            last,
            min,
            max,
            mean,
        })
    };
    meter::DeviceSpan {
        device: span.device.clone(),
        temperature: course(&span.temperature),
        core_clock: course(&span.core_clock),
        utilisation: course(&span.utilisation),
        memory_used: course(&span.memory_used),
        throttle_reasons: span.throttle_reasons.clone(),
    }
}

fn rank_activity(rank: &RankActivity) -> meter::RankActivity {
    let communication = reading(rank.communication.reading());
    meter::RankActivity { device: rank.device.clone(), communication }
}

fn domain_seen(Domain { device, domain }: &Domain) -> meter::Domain {
    meter::Domain { device: device.clone(), domain: domain.clone() }
}

fn device_energy(part: DeviceEnergy) -> meter::DeviceEnergy {
    meter::DeviceEnergy { device: part.device, domain: part.domain, energy: reading(part.energy) }
}
