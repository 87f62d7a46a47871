//! `meter.wit`: measurements, made of what the record keeps of them.

use super::types::recorded;
use crate::bindings::meter;
use llem_quantity::ReadingRecord;
use llem_record::{
    energy::DomainRecord,
    event::{Activity, DeviceEnergyRecord, RankActivity, WindowRecord},
    hardware::{CourseRecord, DeviceSpanRecord},
};

impl From<&WindowRecord> for meter::Measurement {
    fn from(window: &WindowRecord) -> Self {
        let or = |record: &Option<ReadingRecord>, reason: &str| match record {
            Some(record) => recorded(record),
            None => Err(reason.to_owned()),
        };
        let phases = window.energy_by_phase.as_ref();
        // Of what is not known as a whole no part is.
        let phase = |record: Option<&Option<ReadingRecord>>| match record {
            Some(record) => or(record, "nothing of this kind was run"),
            None => recorded(&window.energy_total),
        };
        Self {
            label: window.label.clone(),
            started: window.started_ns,
            wall_time: window.wall_ns,
            energy_per_output_token: or(&window.energy_per_output_token, "no token was generated"),
            energy_total: recorded(&window.energy_total),
            energy_covers: window.energy_covers.iter().map(domain).collect(),
            energy_cpu: or(&window.energy_cpu, "the total does not say"),
            energy_accelerators: or(&window.energy_accelerators, "no accelerator did the work"),
            energy_prefill: phase(phases.map(|phases| &phases.prefill)),
            energy_decode: phase(phases.map(|phases| &phases.decode)),
            energy_mixed: phase(phases.map(|phases| &phases.mixed)),
            energy_outside: phase(phases.map(|phases| &phases.outside)),
            energy_above_idle: or(&window.energy_above_idle, "no idle baseline has been measured"),
            devices_used: window.devices_used,
            energy_imbalance: or(&window.energy_imbalance, "fewer than two devices hold a model"),
            ranks: window.ranks.iter().map(rank_activity).collect(),
            energy: window.energy.iter().map(device_energy).collect(),
            devices: window.devices.iter().map(device_span).collect(),
            warnings: window.warnings.clone(),
            activity: activity(&window.activity),
        }
    }
}

fn activity(activity: &Activity) -> meter::Activity {
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

fn device_span(span: &DeviceSpanRecord) -> meter::DeviceSpan {
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
    let communication = recorded(&rank.communication);
    meter::RankActivity { device: rank.device.clone(), communication }
}

fn domain(domain: &DomainRecord) -> meter::Domain {
    meter::Domain { device: domain.device.clone(), domain: domain.domain.clone() }
}

fn device_energy(part: &DeviceEnergyRecord) -> meter::DeviceEnergy {
    let energy = recorded(&part.energy);
    meter::DeviceEnergy { device: part.device.clone(), domain: part.domain.clone(), energy }
}
