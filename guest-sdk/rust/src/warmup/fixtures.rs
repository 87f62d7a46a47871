//! Trials with given latencies, to try policies without a host.

use crate::{
    bindings::{
        Generation, Measurement, Request, Trial,
        meter::{Activity, Course, DeviceSpan},
    },
    policy::{Warmup, WarmupPolicy},
};

/// Trials that lasted so many seconds each, one right after the other.
pub fn lasting(seconds: &[f64]) -> Vec<Trial> {
    let mut now = 1_000;
    let trial = |(index, seconds): (usize, &f64)| {
        let wall_time = (seconds * 1e9) as u64;
        let started = now;
        now += wall_time;
        Trial {
            index: index as u32,
            request: Request::tokens([0]),
            generation: Generation {
                completions: Vec::new(),
                prefill_time: 0,
                decode_time: wall_time,
                measurement: Measurement {
                    label: String::new(),
                    started,
                    wall_time,
                    energy: Vec::new(),
                    energy_per_output_token: Err(String::new()),
                    devices_used: 1,
                    energy_imbalance: Err(String::new()),
                    ranks: Vec::new(),
                    energy_total: Err("no meter in this test".to_owned()),
                    energy_covers: Vec::new(),
                    energy_cpu: Err(String::new()),
                    energy_accelerators: Err(String::new()),
                    energy_prefill: Err(String::new()),
                    energy_decode: Err(String::new()),
                    energy_mixed: Err(String::new()),
                    energy_outside: Err(String::new()),
                    energy_above_idle: Err(String::new()),
                    devices: Vec::new(),
                    warnings: Vec::new(),
                    activity: Activity {
                        requests: 1,
                        prompt_tokens: 1,
                        output_tokens: 1,
                        prefill_time: 0,
                        decode_time: wall_time,
                        mixed_time: 0,
                        mixed_prompt_tokens: 0,
                        mixed_output_tokens: 0,
                        flops_prefill: 0.0,
                        flops_decode: 0.0,
                        flops_mixed: 0.0,
                    },
                },
            },
        }
    };
    seconds.iter().enumerate().map(trial).collect()
}

/// The same trials with a GPU that has these temperatures at their ends, Cel.
pub fn heating(seconds: f64, temperatures: &[f64]) -> Vec<Trial> {
    let mut trials = lasting(&vec![seconds; temperatures.len()]);
    let mut before = temperatures.first().copied().unwrap_or_default();
    for (trial, &last) in trials.iter_mut().zip(temperatures) {
        let (first, min, max) = (before, before.min(last), before.max(last));
        let course = Course { first, last, min, max, mean: (first + last) / 2.0 };
        trial.generation.measurement.devices.push(DeviceSpan {
            device: "cuda:0".to_owned(),
            temperature: Some(course),
            core_clock: None,
            utilisation: None,
            memory_used: None,
            throttle_reasons: Vec::new(),
        });
        before = last;
    }
    trials
}

/// After how many of the given trials a policy is done.
pub fn drive(policy: &mut impl WarmupPolicy, trials: &[Trial]) -> Option<usize> {
    (0..=trials.len()).find(|&runs| matches!(policy.next(&trials[..runs]), Ok(Warmup::Done(_))))
}
