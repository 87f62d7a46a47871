//! `meter.wit`: windows, baseline, waiting.

use super::types::{Answer, reading};
use crate::{
    baseline,
    bindings::{meter, types},
    engine_thread::EngineThread,
    measurement::{Before, Communication, closed},
    state::State,
    steadiness::Course,
};
use llem_engine::Model;
use llem_meter::{Resolution, Window};
use llem_quantity::{Quantity, Source};
use llem_record::Event;
use std::time::{Duration, Instant};
use wasmtime::component::Resource;

/// A window that a script has open.
pub struct OpenWindow {
    label: String,
    window: Window,
    before: Before,
    communication: Communication,
}

impl meter::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.run.clock.now())
    }

    fn counter_resolution(&mut self) -> wasmtime::Result<Vec<meter::Resolution>> {
        let all = self.run.meter().resolutions().into_iter().map(|resolution| meter::Resolution {
            device: resolution.device,
            domain: resolution.domain,
            source: resolution.source.map(Into::into),
            update_period: reading(resolution.update_period),
        });
        Ok(all.collect())
    }

    async fn measure_baseline(&mut self, length: u64) -> Answer<meter::Baseline> {
        let length = Duration::from_nanos(length);
        if let Err(error) = baseline::check(length) {
            return Ok(Err(error));
        }
        self.run.measure_baseline(length).await.map(Ok)
    }

    async fn idle_baseline(&mut self, length: u64, lifetime: u64) -> Answer<meter::Baseline> {
        let (length, lifetime) = (Duration::from_nanos(length), Duration::from_nanos(lifetime));
        if let Err(error) = baseline::check(length) {
            return Ok(Err(error));
        }
        match self.run.known_baseline(lifetime)? {
            Some(known) => Ok(Ok(known)),
            None => self.run.measure_baseline(length).await.map(Ok),
        }
    }

    async fn wait_until(&mut self, condition: meter::Condition, timeout: u64) -> Answer<u64> {
        let timeout = Duration::from_nanos(timeout);
        match condition {
            meter::Condition::Elapsed(length) => self.elapse(length, timeout).await,
            meter::Condition::PowerSteady(steady) => {
                self.run.wait_until_steady(Course::Power, steady, timeout).await
            }
            meter::Condition::TemperatureSteady(steady) => {
                self.run.wait_until_steady(Course::Temperature, steady, timeout).await
            }
        }
    }
}

impl meter::HostWindow for State {
    async fn open(&mut self, label: String) -> Answer<Resource<OpenWindow>> {
        self.run.check_stop()?;
        // Here rather than at its end, so that a window that was measured is never refused.
        self.run.output.charge(label.len())?;
        self.synchronise().await?;
        let communication = self.communication().await?;
        self.run.settle_batches();
        let before = Before::now(&self.run);
        let window = self.run.meter().open();
        Ok(Ok(self.hand_out(OpenWindow { label, window, before, communication })?))
    }

    /// A window is closed whatever its device does: one whose device has failed is recorded with that among its
    /// warnings, and the guest gets the failure.
    async fn close(&mut self, window: Resource<OpenWindow>) -> Answer<meter::Measurement> {
        let open = self.table.delete(window)?;
        let idle = self.synchronise().await;
        let span = self.run.meter().close(open.window);
        self.run.settle_batches();
        let told = match self.communication().await {
            Ok(now) => idle.map(|()| now),
            Err(error) => idle.and(Err(error)),
        };
        let (ranks, failure) = match told {
            Ok(now) => (now.since(&open.communication), None),
            Err(error) => (Vec::new(), Some(sentence(&error))),
        };
        let held = self.run.during(&span);
        let (mut record, measurement) =
            closed(&self.run, &open.label, &span, &open.before, held, ranks)?;
        if let Some(failure) = &failure {
            let warning = format!(
                "it was closed when its device failed, and what ran then may not be in it: {failure}"
            );
            let message = format!("window '{}': {warning}", open.label);
            record.warnings.push(warning);
            self.run.output.write(Event::Warning { message })?;
        }
        self.run.output.write(Event::Window(record))?;
        Ok(match failure {
            Some(failure) => Err(types::Error::Failed(failure)),
            None => Ok(measurement),
        })
    }

    fn timeline(&mut self, window: Resource<OpenWindow>) -> Answer<Vec<meter::Sample>> {
        let started = self.table.get(&window)?.window.started;
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

impl State {
    /// Waits until every device has done what it was given. A CPU's work is done when its call
    /// returns, so nothing is asked of it.
    async fn synchronise(&mut self) -> wasmtime::Result<()> {
        let asynchronous = |engine: &EngineThread| engine.info().device != llem_engine::Device::Cpu;
        for engine in self.engines(asynchronous) {
            engine.call(|model| model.synchronize()).await.map_err(wasmtime::Error::from)??;
        }
        Ok(())
    }

    /// What every rank of a split model has spent in communication.
    async fn communication(&mut self) -> wasmtime::Result<Communication> {
        let mut all = Communication::default();
        for engine in self.engines(|engine| engine.info().ranks.len() > 1) {
            let times = engine.call(Model::communication_times).await??;
            all.add(engine.info(), times);
        }
        Ok(all)
    }

    fn engines(&self, which: impl Fn(&EngineThread) -> bool) -> Vec<EngineThread> {
        self.run.progress().engines.iter().filter(|engine| which(engine)).cloned().collect()
    }

    async fn elapse(&mut self, length: u64, timeout: Duration) -> Answer<u64> {
        let (length, started) = (Duration::from_nanos(length), Instant::now());
        self.run.rest(length.min(timeout)).await?;
        Ok(if length > timeout {
            let reason = "the timeout is shorter than the time to wait".to_owned();
            Err(types::Error::Failed(reason))
        } else {
            Ok(started.elapsed().as_nanos() as u64)
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

/// A device's failure as the guest is told.
fn sentence(error: &wasmtime::Error) -> String {
    error.root_cause().to_string().replace('\n', " ")
}
