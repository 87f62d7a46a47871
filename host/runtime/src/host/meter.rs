//! `meter.wit`: windows, baseline, waiting.

use super::types::{Answer, reading};
use crate::{
    baseline,
    bindings::{meter, types},
    engine_thread::EngineThread,
    measurement::{Communication, closed},
    state::State,
};
use llem_engine::Model;
use llem_meter::Window;
use llem_quantity::{Quantity, Reading, Source};
use llem_record::{Event, event::Activity};
use std::time::{Duration, Instant};
use wasmtime::component::Resource;

/// A window that a script has open.
pub struct OpenWindow {
    label: String,
    window: Window,
    activity: Activity,
    communication: Communication,
}

/// How often `wait-until` looks.
const POLL: Duration = Duration::from_millis(100);

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

    async fn measure_baseline(&mut self, length: u64) -> Answer<meter::Baseline> {
        only_in_run!(self, "meter.measure-baseline");
        let length = Duration::from_nanos(length);
        if let Err(error) = baseline::check(length) {
            return Ok(Err(error));
        }
        self.run.measure_baseline(length).await.map(Ok)
    }

    async fn idle_baseline(&mut self, length: u64, lifetime: u64) -> Answer<meter::Baseline> {
        only_in_run!(self, "meter.idle-baseline");
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
        only_in_run!(self, "meter.wait-until");
        let timeout = Duration::from_nanos(timeout);
        let started = Instant::now();
        let waited = |started: Instant| started.elapsed().as_nanos() as u64;
        let (limit, span, unit, read): (f64, Duration, &str, fn(llem_meter::State) -> Reading) =
            match condition {
                meter::Condition::Elapsed(length) => {
                    self.run.rest(Duration::from_nanos(length).min(timeout)).await?;
                    return Ok(if length > timeout.as_nanos() as u64 {
                        Err(types::Error::Failed(
                            "the timeout is shorter than the time to wait".to_owned(),
                        ))
                    } else {
                        Ok(waited(started))
                    });
                }
                meter::Condition::PowerSteady(watts) => {
                    (watts, Duration::from_secs(1), "W", |state| state.power)
                }
                meter::Condition::TemperatureSteady(kelvin) => {
                    (kelvin, Duration::from_secs(10), "K", |state| state.temperature)
                }
            };
        let device = self.measured_device();
        let mut seen: Vec<(Instant, f64)> = Vec::new();
        loop {
            let value = match self.run.meter().state(&device).map(read) {
                Some(Ok(quantity)) => quantity.value,
                Some(Err(reason)) => {
                    return Ok(Err(types::Error::Unsupported(format!("{device}: {reason}"))));
                }
                None => return Ok(Err(types::Error::NotFound(format!("no device '{device}'")))),
            };
            let now = Instant::now();
            seen.retain(|(when, _)| now.duration_since(*when) <= span);
            seen.push((now, value));
            let values = seen.iter().map(|(_, value)| *value);
            let spread = values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min);
            let watched = now.duration_since(started);
            if watched >= span && spread < limit {
                return Ok(Ok(waited(started)));
            }
            if watched >= timeout {
                return Ok(Err(types::Error::Failed(format!(
                    "{device} still moved by {spread} {unit} after {} s",
                    timeout.as_secs_f64()
                ))));
            }
            self.run.rest(POLL).await?;
        }
    }
}

impl meter::HostWindow for State {
    async fn open(&mut self, label: String) -> Answer<Resource<OpenWindow>> {
        only_in_run!(self, "meter.window.open");
        self.run.check_stop()?;
        self.synchronise().await?;
        let communication = self.communication().await?;
        let activity = self.run.progress().activity;
        let window = self.run.meter().open();
        Ok(Ok(self.hand_out(OpenWindow { label, window, activity, communication })?))
    }

    async fn close(&mut self, window: Resource<OpenWindow>) -> Answer<meter::Measurement> {
        let open = self.table.delete(window)?;
        self.synchronise().await?;
        let span = self.run.meter().close(open.window);
        self.run.output.charge(open.label.len())?;
        let ranks = self.communication().await?.since(&open.communication);
        let (record, measurement) = closed(&self.run, &open.label, &span, open.activity, ranks)?;
        self.run.output.write(Event::Window(record))?;
        Ok(Ok(measurement))
    }

    fn timeline(&mut self, window: Resource<OpenWindow>) -> Answer<Vec<meter::Sample>> {
        let started = self.table.get(&window)?.window.started;
        let samples = self.run.meter().samples_since(started).into_iter();
        let samples = samples.filter_map(|(at, sample)| {
            let power = Quantity::exact(sample.power?, "W", Source::Sensor);
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

    /// The device of the last loaded model, or the one that was granted.
    fn measured_device(&self) -> String {
        let progress = self.run.progress();
        let device =
            progress.engines.last().map_or(self.run.model.device, |engine| engine.info().device);
        device.to_string()
    }
}
