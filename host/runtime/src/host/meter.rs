//! The interface `meter.wit`: windows, idle baselines, waiting.

use super::{
    names::check_label,
    types::{HostResult, reading},
};
use crate::{
    bindings::meter,
    error::{CallResult, Refusal},
    resources::Measurement,
    store_data::StoreData,
    window::{
        baseline::{self, DatedBaseline},
        open_window::OpenWindow,
        steadiness::SteadyQuantity,
    },
};
use llem_meter::{IdlePower, Resolution};
use llem_quantity::{Quantity, Source};
use std::{sync::Arc, time::Duration};
use wasmtime::component::Resource;

impl meter::Host for StoreData {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.run.clock.now())
    }

    fn counter_resolution(&mut self) -> wasmtime::Result<Vec<meter::Resolution>> {
        let all = self.run.meter().resolutions().into_iter().map(|resolution| meter::Resolution {
            device: resolution.id.device,
            domain: resolution.id.domain,
            source: resolution
                .source
                .map(|source| source.name().to_owned())
                .map_err(|reason| reason.to_string()),
            update_period: reading(resolution.update_period),
        });
        Ok(all.collect())
    }

    async fn sleep_until(&mut self, time: u64) -> wasmtime::Result<()> {
        let length = time.saturating_sub(self.run.clock.now());
        self.run.sleep(Duration::from_nanos(length)).await
    }

    async fn wait_until_power_steady(
        &mut self,
        device: Option<String>,
        within: f64,
        timeout: u64,
    ) -> HostResult<u64> {
        self.steady(SteadyQuantity::Power, device, within, timeout).await
    }

    async fn wait_until_temperature_steady(
        &mut self,
        device: Option<String>,
        within: f64,
        timeout: u64,
    ) -> HostResult<u64> {
        self.steady(SteadyQuantity::Temperature, device, within, timeout).await
    }
}

impl meter::HostWindow for StoreData {
    async fn open(&mut self, label: String) -> HostResult<Resource<OpenWindow>> {
        self.run.check_can_work()?;
        if let Err(refusal) = check_label("window", &label) {
            return Ok(Err(refusal.into()));
        }
        let window = OpenWindow::open(&self.run, label).await?;
        Ok(Ok(self.new_handle(window)?))
    }

    fn mark(&mut self, window: Resource<OpenWindow>, label: String) -> HostResult<()> {
        if let Err(refusal) = check_label("mark", &label) {
            return Ok(Err(refusal.into()));
        }
        let marked = self.table.get_mut(&window)?.mark(&self.run, label);
        self.reply(marked)
    }

    async fn close(&mut self, window: Resource<OpenWindow>) -> HostResult<Resource<Measurement>> {
        let window = self.table.delete(window)?;
        Ok(match window.close(&self.run).await? {
            Ok(record) => Ok(self.new_handle(Measurement(Arc::new(record)))?),
            Err(failure) => Err(Refusal::Failed(failure.to_string()).into()),
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
            let of = |gauge: &&Resolution| gauge.id == *sample.id;
            let source = gauges.iter().find(of)?.source.clone().ok()?;
            let power = Quantity::exact(sample.power?, "W", power_source(source));
            Some(meter::Sample {
                at: self.run.clock.at(at),
                device: sample.id.device.clone(),
                domain: sample.id.domain.clone(),
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

impl meter::HostBaseline for StoreData {
    async fn measure(&mut self, length: u64) -> HostResult<Resource<DatedBaseline>> {
        let measured = self.baseline(Duration::from_nanos(length), None).await?;
        self.reply_handle(measured)
    }

    async fn recall_or_measure(
        &mut self,
        length: u64,
        lifetime: u64,
    ) -> HostResult<Resource<DatedBaseline>> {
        let (length, lifetime) = (Duration::from_nanos(length), Duration::from_nanos(lifetime));
        let known = self.baseline(length, Some(lifetime)).await?;
        self.reply_handle(known)
    }

    fn measured_at(&mut self, baseline: Resource<DatedBaseline>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&baseline)?.measured_at)
    }

    fn wall_time(&mut self, baseline: Resource<DatedBaseline>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&baseline)?.length.as_nanos() as u64)
    }

    fn from_earlier_run(&mut self, baseline: Resource<DatedBaseline>) -> wasmtime::Result<bool> {
        Ok(self.table.get(&baseline)?.from_earlier_run)
    }

    fn power(
        &mut self,
        baseline: Resource<DatedBaseline>,
    ) -> wasmtime::Result<Vec<meter::IdlePower>> {
        let power = self.table.get(&baseline)?.power.iter().cloned();
        let seen = |idle: IdlePower| meter::IdlePower {
            device: idle.id.device,
            domain: idle.id.domain,
            power: reading(idle.power),
            unsteady: idle.unsteady,
            holds_model: idle.holds_model,
        };
        Ok(power.map(seen).collect())
    }

    fn drop(&mut self, baseline: Resource<DatedBaseline>) -> wasmtime::Result<()> {
        self.table.delete(baseline)?;
        Ok(())
    }
}

impl StoreData {
    /// The idle power: from an earlier run if it is recent enough, otherwise measured now.
    async fn baseline(
        &mut self,
        length: Duration,
        lifetime: Option<Duration>,
    ) -> CallResult<DatedBaseline> {
        if let Err(refusal) = baseline::check_length(length) {
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
        quantity: SteadyQuantity,
        device: Option<String>,
        within: f64,
        timeout: u64,
    ) -> HostResult<u64> {
        let timeout = Duration::from_nanos(timeout);
        let steady = self.run.wait_until_steady(quantity, device, within, timeout).await?;
        self.reply(steady)
    }
}

/// The source of the power in a sample: a GPU's sensor, or the gain of an energy counter.
fn power_source(source: Source) -> Source {
    match source {
        Source::NvmlCounter | Source::NvmlPower => Source::Sensor,
        Source::Rapl => Source::Derived,
        other => other,
    }
}
