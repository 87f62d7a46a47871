//! The resource `measurement` of `meter.wit`, built from what the record stores of a window.

use super::types::{reading, recorded};
use crate::{
    bindings::{meter, types::Reading},
    resources::Measurement,
    store_data::StoreData,
};
use llem_quantity::ReadingRecord;
use llem_record::{CourseRecord, DeviceSpanRecord, PhaseEnergyRecord, WindowRecord};
use std::sync::Arc;
use wasmtime::component::Resource;

impl StoreData {
    fn window(&self, measurement: &Resource<Measurement>) -> wasmtime::Result<&Arc<WindowRecord>> {
        Ok(&self.table.get(measurement)?.0)
    }
}

/// The reading in the record, or unavailable with this reason if there is none.
fn reading_or(record: Option<&ReadingRecord>, reason: &str) -> Reading {
    record.map_or_else(|| reading(Err(reason.into())), recorded)
}

/// The energy of a phase. It is not available if the total is not.
fn phase_energy(
    window: &WindowRecord,
    phase: impl Fn(&PhaseEnergyRecord) -> &Option<ReadingRecord>,
) -> Reading {
    match &window.energy_by_phase {
        Some(phases) => reading_or(phase(phases).as_ref(), "nothing of this kind was run"),
        None => recorded(&window.energy_total),
    }
}

impl meter::HostMeasurement for StoreData {
    fn label(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<String> {
        Ok(self.window(&measurement)?.label.clone())
    }

    fn started(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<u64> {
        Ok(self.window(&measurement)?.started_ns)
    }

    fn wall_time(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<u64> {
        Ok(self.window(&measurement)?.wall_ns)
    }

    fn warnings(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<Vec<String>> {
        Ok(self.window(&measurement)?.warnings.clone())
    }

    fn energy(
        &mut self,
        measurement: Resource<Measurement>,
    ) -> wasmtime::Result<Vec<meter::DeviceEnergy>> {
        let parts = self.window(&measurement)?.energy.iter().map(|part| meter::DeviceEnergy {
            device: part.device.clone(),
            domain: part.domain.clone(),
            energy: recorded(&part.energy),
        });
        Ok(parts.collect())
    }

    fn energy_total(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<Reading> {
        Ok(recorded(&self.window(&measurement)?.energy_total))
    }

    fn energy_covers(
        &mut self,
        measurement: Resource<Measurement>,
    ) -> wasmtime::Result<Vec<meter::Domain>> {
        let covers = self.window(&measurement)?.energy_covers.iter();
        let domain = |of: &llem_record::DomainRecord| meter::Domain {
            device: of.device.clone(),
            domain: of.domain.clone(),
        };
        Ok(covers.map(domain).collect())
    }

    fn energy_cpu(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<Reading> {
        Ok(reading_or(self.window(&measurement)?.energy_cpu.as_ref(), "the total does not say"))
    }

    fn energy_accelerators(
        &mut self,
        measurement: Resource<Measurement>,
    ) -> wasmtime::Result<Reading> {
        Ok(reading_or(
            self.window(&measurement)?.energy_accelerators.as_ref(),
            "no accelerator did the work",
        ))
    }

    fn energy_prefill(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<Reading> {
        Ok(phase_energy(self.window(&measurement)?, |phases| &phases.prefill))
    }

    fn energy_decode(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<Reading> {
        Ok(phase_energy(self.window(&measurement)?, |phases| &phases.decode))
    }

    fn energy_mixed(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<Reading> {
        Ok(phase_energy(self.window(&measurement)?, |phases| &phases.mixed))
    }

    fn energy_outside(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<Reading> {
        Ok(phase_energy(self.window(&measurement)?, |phases| &phases.outside))
    }

    fn energy_per_output_token(
        &mut self,
        measurement: Resource<Measurement>,
    ) -> wasmtime::Result<Reading> {
        Ok(reading_or(
            self.window(&measurement)?.energy_per_output_token.as_ref(),
            "no token was generated",
        ))
    }

    fn energy_above_idle(
        &mut self,
        measurement: Resource<Measurement>,
    ) -> wasmtime::Result<Reading> {
        Ok(reading_or(
            self.window(&measurement)?.energy_above_idle.as_ref(),
            "no idle baseline has been measured",
        ))
    }

    fn devices_used(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<u32> {
        Ok(self.window(&measurement)?.devices_used)
    }

    fn energy_imbalance(
        &mut self,
        measurement: Resource<Measurement>,
    ) -> wasmtime::Result<Reading> {
        Ok(reading_or(
            self.window(&measurement)?.energy_imbalance.as_ref(),
            "fewer than two devices hold a model",
        ))
    }

    fn segments(
        &mut self,
        measurement: Resource<Measurement>,
    ) -> wasmtime::Result<Vec<meter::Segment>> {
        let segments = self.window(&measurement)?.segments.iter().map(|segment| meter::Segment {
            label: segment.label.clone(),
            started: segment.started_ns,
            wall_time: segment.wall_ns,
            energy: recorded(&segment.energy),
        });
        Ok(segments.collect())
    }

    fn requests(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<u64> {
        Ok(self.window(&measurement)?.activity.requests)
    }

    fn prompt_tokens(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<u64> {
        Ok(self.window(&measurement)?.activity.prompt_tokens)
    }

    fn output_tokens(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<u64> {
        Ok(self.window(&measurement)?.activity.output_tokens)
    }

    fn prefill_time(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<u64> {
        Ok(self.window(&measurement)?.activity.prefill_ns)
    }

    fn decode_time(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<u64> {
        Ok(self.window(&measurement)?.activity.decode_ns)
    }

    fn mixed_time(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<u64> {
        Ok(self.window(&measurement)?.activity.mixed_ns)
    }

    fn mixed_prompt_tokens(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<u64> {
        Ok(self.window(&measurement)?.activity.mixed_prompt_tokens)
    }

    fn mixed_output_tokens(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<u64> {
        Ok(self.window(&measurement)?.activity.mixed_output_tokens)
    }

    fn flops_prefill(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<f64> {
        Ok(self.window(&measurement)?.activity.flops_estimated.prefill)
    }

    fn flops_decode(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<f64> {
        Ok(self.window(&measurement)?.activity.flops_estimated.decode)
    }

    fn flops_mixed(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<f64> {
        Ok(self.window(&measurement)?.activity.flops_estimated.mixed)
    }

    fn ranks(
        &mut self,
        measurement: Resource<Measurement>,
    ) -> wasmtime::Result<Vec<meter::RankActivity>> {
        let ranks = self.window(&measurement)?.ranks.iter().map(|rank| meter::RankActivity {
            device: rank.device.clone(),
            communication: recorded(&rank.communication),
        });
        Ok(ranks.collect())
    }

    fn courses(
        &mut self,
        measurement: Resource<Measurement>,
    ) -> wasmtime::Result<Vec<meter::Course>> {
        Ok(self.window(&measurement)?.devices.iter().flat_map(courses).collect())
    }

    fn throttled(
        &mut self,
        measurement: Resource<Measurement>,
    ) -> wasmtime::Result<Vec<meter::Throttling>> {
        let devices = self.window(&measurement)?.devices.iter();
        let throttled = devices.filter(|span| !span.throttle_reasons.is_empty());
        let seen = |span: &DeviceSpanRecord| meter::Throttling {
            device: span.device.clone(),
            reasons: span.throttle_reasons.clone(),
        };
        Ok(throttled.map(seen).collect())
    }

    fn memory_peaks(
        &mut self,
        measurement: Resource<Measurement>,
    ) -> wasmtime::Result<Vec<meter::MemoryPeak>> {
        let peaks = self.window(&measurement)?.memory.iter().map(|peak| meter::MemoryPeak {
            device: peak.device.clone(),
            kind: peak.kind.clone(),
            peak: recorded(&peak.peak),
        });
        Ok(peaks.collect())
    }

    fn drop(&mut self, measurement: Resource<Measurement>) -> wasmtime::Result<()> {
        self.table.delete(measurement)?;
        Ok(())
    }
}

/// The summaries of a device's readings, for those that it reports.
fn courses(span: &DeviceSpanRecord) -> Vec<meter::Course> {
    let all = [
        ("temperature", "Cel", &span.temperature),
        ("core-clock", "MHz", &span.core_clock),
        ("utilisation", "%", &span.utilisation),
        ("memory-used", "By", &span.memory_used),
    ];
    let course = |(name, unit, course): (&str, &str, &Option<CourseRecord>)| {
        let CourseRecord { first, last, min, max, mean } = (*course)?;
        let (device, reading, unit) = (span.device.clone(), name.to_owned(), unit.to_owned());
        Some(meter::Course { device, reading, unit, first, last, min, max, mean })
    };
    all.into_iter().filter_map(course).collect()
}
