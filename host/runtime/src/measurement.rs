//! A closed span, as the record keeps it and as the guest sees it.

use crate::{bindings::meter, host::types::reading, state::Run};
use llem_engine::{Info, Model, model::RankInfo};
use llem_meter::{DeviceEnergy, DeviceSpan, Span, timeline::Course};
use llem_quantity::{Quantity, Source};
use llem_record::{
    Event,
    event::{Activity, DeviceEnergyRecord, RankActivity, WindowRecord},
    hardware::{CourseRecord, DeviceSpanRecord},
    statistics::per_token,
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

/// A span as the record keeps it and as the guest sees it, with what the engine did since `before`.
pub fn closed(
    run: &Run,
    label: &str,
    span: &Span,
    before: Activity,
    ranks: Vec<RankActivity>,
) -> wasmtime::Result<(WindowRecord, meter::Measurement)> {
    let activity = run.progress().activity.since(&before);
    let total = run.energy_total(span);
    let above_idle = run.energy_above_idle(span);
    let idle_is_known = !run.progress().idle.is_empty();
    let holders = run.holders();
    let imbalance = span.imbalance(&holders);
    let per_token = per_token(&total, activity.output_tokens, "no token was generated");
    let phase = run.phase_path();
    warn(run, &phase, span)?;
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
        energy_total: (&total).into(),
        energy_above_idle: idle_is_known.then(|| (&above_idle).into()),
        devices_used: holders.len() as u32,
        energy_imbalance: (holders.len() > 1).then(|| (&imbalance).into()),
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
        energy_total: reading(total),
        energy_above_idle: reading(above_idle),
        devices_used: record.devices_used,
        energy_imbalance: reading(imbalance),
        ranks: record.ranks.iter().map(rank_activity).collect(),
        energy: span.energy.iter().cloned().map(device_energy).collect(),
        devices: record.devices.iter().map(device_span_seen).collect(),
        warnings: record.warnings.clone(),
        activity: meter::Activity {
            requests: activity.requests,
            prompt_tokens: activity.prompt_tokens,
            output_tokens: activity.output_tokens,
            prefill_time: activity.prefill_ns,
            decode_time: activity.decode_ns,
            flops_prefill: activity.flops_estimated.prefill,
            flops_decode: activity.flops_estimated.decode,
        },
    };
    Ok((record, seen))
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

fn device_energy(part: DeviceEnergy) -> meter::DeviceEnergy {
    meter::DeviceEnergy { device: part.device, domain: part.domain, energy: reading(part.energy) }
}
