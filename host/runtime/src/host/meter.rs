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
    state::State,
};
use llem_meter::Resolution;
use llem_quantity::{Quantity, Source};
use std::time::{Duration, Instant};
use wasmtime::component::Resource;

impl meter::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.run.clock.now())
    }

    fn counter_resolution(&mut self) -> wasmtime::Result<Vec<meter::Resolution>> {
        self.only_in_run_or_end("meter.counter-resolution")?;
        let all = self.run.meter().resolutions().into_iter().map(|resolution| meter::Resolution {
            device: resolution.device,
            domain: resolution.domain,
            source: resolution.source.map(Into::into),
            update_period: reading(resolution.update_period),
        });
        Ok(all.collect())
    }

    async fn measure_baseline(&mut self, length: u64) -> Told<meter::Baseline> {
        only_in_run!(self, "meter.measure-baseline");
        let measured = self.baseline(Duration::from_nanos(length), None).await?;
        self.told(measured.map(Into::into))
    }

    async fn idle_baseline(&mut self, length: u64, lifetime: u64) -> Told<meter::Baseline> {
        only_in_run!(self, "meter.idle-baseline");
        let (length, lifetime) = (Duration::from_nanos(length), Duration::from_nanos(lifetime));
        let known = self.baseline(length, Some(lifetime)).await?;
        self.told(known.map(Into::into))
    }

    async fn wait_until(&mut self, condition: meter::Condition, timeout: u64) -> Told<u64> {
        only_in_run!(self, "meter.wait-until");
        let timeout = Duration::from_nanos(timeout);
        let (course, meter::Steady { device, within }) = match condition {
            meter::Condition::Elapsed(length) => {
                let elapsed = self.elapse(Duration::from_nanos(length), timeout).await?;
                return self.told(elapsed);
            }
            meter::Condition::PowerSteady(steady) => (Course::Power, steady),
            meter::Condition::TemperatureSteady(steady) => (Course::Temperature, steady),
        };
        let steady = self.run.wait_until_steady(course, device, within, timeout).await?;
        self.told(steady)
    }
}

impl meter::HostWindow for State {
    async fn open(&mut self, label: String) -> Told<Resource<OpenWindow>> {
        only_in_run!(self, "meter.window.open");
        self.run.begin()?;
        if let Err(refusal) = check_label("window", &label) {
            return Ok(Err(refusal.into()));
        }
        let window = OpenWindow::open(&self.run, label).await?;
        Ok(Ok(self.hand_out(window)?))
    }

    async fn close(&mut self, window: Resource<OpenWindow>) -> Told<meter::Measurement> {
        let window = self.table.delete(window)?;
        let closed = window.close(&self.run).await?;
        Ok(match closed {
            Ok(record) => Ok((&record).into()),
            Err(failure) => Err(Refusal::Failed(failure).into()),
        })
    }

    fn timeline(&mut self, window: Resource<OpenWindow>) -> Told<Vec<meter::Sample>> {
        let started = self.table.get(&window)?.started();
        let meter = self.run.meter();
        let gauges = meter.resolutions();
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
                power: reading(Ok(power)),
            })
        });
        Ok(Ok(samples.collect()))
    }

    fn drop(&mut self, window: Resource<OpenWindow>) -> wasmtime::Result<()> {
        self.table.delete(window)?;
        Ok(())
    }
}

impl From<Dated> for meter::Baseline {
    fn from(dated: Dated) -> Self {
        let power = dated.power.into_iter().map(|idle| meter::IdlePower {
            device: idle.device,
            domain: idle.domain,
            power: reading(idle.power),
            unsteady: idle.unsteady,
            holds_model: idle.holds_model,
        });
        Self {
            measured_at: dated.measured_at,
            wall_time: dated.length.as_nanos() as u64,
            from_earlier_run: dated.from_earlier_run,
            power: power.collect(),
        }
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

    async fn elapse(&mut self, length: Duration, timeout: Duration) -> Answer<u64> {
        let started = Instant::now();
        self.run.rest(length.min(timeout)).await?;
        Ok(match length > timeout {
            true => {
                let reason = "the timeout is shorter than the time to wait";
                Err(Refusal::Failed(reason.to_owned()))
            }
            false => Ok(started.elapsed().as_nanos() as u64),
        })
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
