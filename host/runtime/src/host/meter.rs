//! `meter.wit`: windows, baseline, waiting.

use super::{
    names::check_label,
    types::{Told, reading},
};
use crate::{
    bindings::meter,
    error::{Answer, Refusal},
    measure::{
        baseline::{self, Dated},
        steadiness::Course,
        window::OpenWindow,
    },
    resources::Measurement,
    state::State,
};
use llem_meter::{Resolution, baseline::IdlePower};
use llem_quantity::{Quantity, Source};
use std::{sync::Arc, time::Duration};
use wasmtime::component::Resource;

impl meter::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.run.clock.now())
    }

    fn counter_resolution(&mut self) -> wasmtime::Result<Vec<meter::Resolution>> {
        let all = self.run.meter().resolutions().into_iter().map(|resolution| meter::Resolution {
            device: resolution.device,
            domain: resolution.domain,
            source: resolution.source.map(|source| source.name().to_owned()),
            update_period: reading(resolution.update_period),
        });
        Ok(all.collect())
    }

    async fn sleep_until(&mut self, time: u64) -> wasmtime::Result<()> {
        let length = time.saturating_sub(self.run.clock.now());
        self.run.rest(Duration::from_nanos(length)).await
    }

    async fn wait_until_power_steady(
        &mut self,
        device: Option<String>,
        within: f64,
        timeout: u64,
    ) -> Told<u64> {
        self.steady(Course::Power, device, within, timeout).await
    }

    async fn wait_until_temperature_steady(
        &mut self,
        device: Option<String>,
        within: f64,
        timeout: u64,
    ) -> Told<u64> {
        self.steady(Course::Temperature, device, within, timeout).await
    }
}

impl meter::HostWindow for State {
    async fn open(&mut self, label: String) -> Told<Resource<OpenWindow>> {
        self.run.begin()?;
        if let Err(refusal) = check_label("window", &label) {
            return Ok(Err(refusal.into()));
        }
        let window = OpenWindow::open(&self.run, label).await?;
        Ok(Ok(self.hand_out(window)?))
    }

    fn mark(&mut self, window: Resource<OpenWindow>, label: String) -> Told<()> {
        if let Err(refusal) = check_label("mark", &label) {
            return Ok(Err(refusal.into()));
        }
        let marked = self.table.get_mut(&window)?.mark(&self.run, label);
        self.told(marked)
    }

    async fn close(&mut self, window: Resource<OpenWindow>) -> Told<Resource<Measurement>> {
        let window = self.table.delete(window)?;
        Ok(match window.close(&self.run).await? {
            Ok(record) => Ok(self.hand_out(Measurement(Arc::new(record)))?),
            Err(failure) => Err(Refusal::Failed(failure).into()),
        })
    }

    fn timeline(
        &mut self,
        window: Resource<OpenWindow>,
        since: u64,
    ) -> wasmtime::Result<Vec<meter::Sample>> {
        let opened = self.table.get(&window)?.started();
        let meter = self.run.meter();
        let gauges = meter.resolutions();
        let started = opened.max(self.run.clock.moment(since));
        let samples = meter.samples_since(started).into_iter().filter_map(|(at, sample)| {
            let of = |gauge: &&Resolution| {
                gauge.device == *sample.device && gauge.domain == *sample.domain
            };
            let source = gauges.iter().find(of)?.source.clone().ok()?;
            let power = Quantity::exact(sample.power?, "W", of_power(source));
            Some(meter::Sample {
                at: self.run.clock.at(at),
                device: sample.device.to_string(),
                domain: sample.domain.to_string(),
                power: power.into(),
            })
        });
        Ok(samples.collect())
    }

    fn drop(&mut self, window: Resource<OpenWindow>) -> wasmtime::Result<()> {
        self.table.delete(window)?;
        Ok(())
    }
}

impl meter::HostBaseline for State {
    async fn measure(&mut self, length: u64) -> Told<Resource<Dated>> {
        let measured = self.baseline(Duration::from_nanos(length), None).await?;
        self.handed_out(measured)
    }

    async fn recall_or_measure(&mut self, length: u64, lifetime: u64) -> Told<Resource<Dated>> {
        let (length, lifetime) = (Duration::from_nanos(length), Duration::from_nanos(lifetime));
        let known = self.baseline(length, Some(lifetime)).await?;
        self.handed_out(known)
    }

    fn measured_at(&mut self, baseline: Resource<Dated>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&baseline)?.measured_at)
    }

    fn wall_time(&mut self, baseline: Resource<Dated>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&baseline)?.length.as_nanos() as u64)
    }

    fn from_earlier_run(&mut self, baseline: Resource<Dated>) -> wasmtime::Result<bool> {
        Ok(self.table.get(&baseline)?.from_earlier_run)
    }

    fn power(&mut self, baseline: Resource<Dated>) -> wasmtime::Result<Vec<meter::IdlePower>> {
        let power = self.table.get(&baseline)?.power.iter().cloned();
        let seen = |idle: IdlePower| meter::IdlePower {
            device: idle.device,
            domain: idle.domain,
            power: reading(idle.power),
            unsteady: idle.unsteady,
            holds_model: idle.holds_model,
        };
        Ok(power.map(seen).collect())
    }

    fn drop(&mut self, baseline: Resource<Dated>) -> wasmtime::Result<()> {
        self.table.delete(baseline)?;
        Ok(())
    }
}

impl State {
    /// Idle power: as an earlier run measured it, where that may be and is recent enough, or measured now.
    async fn baseline(&mut self, length: Duration, lifetime: Option<Duration>) -> Answer<Dated> {
        if let Err(refusal) = baseline::check(length) {
            return Ok(Err(refusal));
        }
        let known = lifetime.map(|lifetime| self.run.known_baseline(lifetime));
        match known.transpose()?.flatten() {
            Some(known) => Ok(Ok(known)),
            None => self.run.measure_baseline(length).await.map(Ok),
        }
    }

    async fn steady(
        &mut self,
        course: Course,
        device: Option<String>,
        within: f64,
        timeout: u64,
    ) -> Told<u64> {
        let timeout = Duration::from_nanos(timeout);
        let steady = self.run.wait_until_steady(course, device, within, timeout).await?;
        self.told(steady)
    }
}

/// The source of power that a sampler tells of a gauge: a GPU's sensor's, or a counter's gain.
fn of_power(source: Source) -> Source {
    match source {
        Source::NvmlCounter | Source::NvmlPower => Source::Sensor,
        Source::Rapl => Source::Derived,
        other => other,
    }
}
