//! `meter.wit`: windows, baseline, waiting.

use super::types::{Answer, reading};
use crate::{
    bindings::{meter, types},
    engine_thread::EngineThread,
    state::{Run, State},
};
use llem_engine::{Info, Model, model::RankInfo};
use llem_meter::{DeviceEnergy, Span, Window};
use llem_quantity::{Quantity, Reading, ReadingRecord};
use llem_record::{
    Event,
    event::{Activity, DeviceEnergyRecord, RankActivity, WindowRecord},
};
use std::time::{Duration, Instant};
use wasmtime::component::Resource;

/// A window that a script has open.
pub struct OpenWindow {
    label: String,
    window: Window,
    activity: Activity,
    communication: Communication,
}

/// Bounds of an idle baseline: shorter tells nothing, longer is a mistake.
const BASELINE: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(600);

/// How often `wait-until` looks.
const POLL: Duration = Duration::from_millis(100);

impl meter::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.run.clock.now())
    }

    fn counter_resolution(&mut self) -> wasmtime::Result<Vec<meter::Resolution>> {
        let all = self.run.meter().resolutions().into_iter().map(|resolution| {
            let unknown = resolution.source.clone().err().unwrap_or_default();
            let update_period = resolution.update_period.map(|period| {
                // Nominal: an edge may fall anywhere within, so half of it is uncertain (GUM 4.3.7).
                let seconds = period.as_secs_f64();
                Quantity::new(seconds, seconds / 12f64.sqrt(), "s", llem_quantity::Source::Modelled)
            });
            meter::Resolution {
                device: resolution.device,
                domain: resolution.domain,
                source: resolution.source.map(Into::into),
                update_period: reading(update_period.ok_or(unknown)),
            }
        });
        Ok(all.collect())
    }

    async fn measure_baseline(&mut self, length: u64) -> Answer<meter::Baseline> {
        let length = Duration::from_nanos(length);
        if !BASELINE.contains(&length) {
            return Ok(Err(types::Error::InvalidArgument(format!(
                "a baseline of {} s is outside 0.1 to 600 s",
                length.as_secs_f64()
            ))));
        }
        let before = self.run.progress().activity;
        let window = self.run.meter().open();
        self.run.rest(length).await?;
        let mut span = self.run.meter().close(window);
        let seconds = Quantity::exact(span.wall.as_secs_f64(), "s", llem_quantity::Source::Clock);
        for part in &mut span.energy {
            let power = part.energy.clone().and_then(|energy| {
                let source = energy.source;
                let mut power = energy.per(&seconds, "W").ok_or("no time passed")?;
                power.source = source;
                Ok(power)
            });
            part.energy = power;
        }
        let started = self.run.clock.at(span.started);
        let mut record = window_record(&self.run, "baseline", &span, before, Vec::new());
        // Watts, of which neither a share nor a token's part would mean anything.
        (record.energy_per_output_token, record.energy_imbalance) = (None, None);
        self.run.output.write(Event::Baseline(record))?;
        Ok(Ok(meter::Baseline {
            started,
            wall_time: span.wall.as_nanos() as u64,
            power: span.energy.into_iter().map(device_energy).collect(),
        }))
    }

    async fn wait_until(&mut self, condition: meter::Condition, timeout: u64) -> Answer<u64> {
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
        let record = window_record(&self.run, &open.label, &span, open.activity, ranks);
        let measurement = measurement(&self.run, &record, &span);
        self.run.output.write(Event::Window(record))?;
        Ok(Ok(measurement))
    }

    fn timeline(&mut self, _: Resource<OpenWindow>) -> Answer<Vec<meter::Sample>> {
        Ok(Err(types::Error::Unsupported(
            "this host has no sampler; a window's energy needs none".to_owned(),
        )))
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

/// Time in communication so far, of each rank: its model, its device, and how long.
#[derive(Default)]
pub struct Communication(Vec<(String, Result<Duration, String>)>);

impl Communication {
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
                Ok(Quantity::exact(spent.as_secs_f64(), "s", llem_quantity::Source::Clock))
            });
            RankActivity { device, communication: (&spent).into() }
        };
        self.0.into_iter().zip(&before.0).map(spent).collect()
    }
}

/// A span as the record keeps it, with what the engine did since `before`.
pub fn window_record(
    run: &Run,
    label: &str,
    span: &Span,
    before: Activity,
    ranks: Vec<RankActivity>,
) -> WindowRecord {
    let activity = run.progress().activity.since(&before);
    let total = run.energy_total(span);
    let devices = run.holders();
    WindowRecord {
        label: label.to_owned(),
        phase: run.phase_path(),
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
        energy_per_output_token: (activity.output_tokens > 0)
            .then(|| (&per_token(&total, activity.output_tokens)).into()),
        energy_total: (&total).into(),
        devices_used: devices.len() as u32,
        energy_imbalance: (devices.len() > 1).then(|| (&span.imbalance(&devices)).into()),
        ranks,
        activity,
    }
}

fn per_token(energy: &Reading, tokens: u64) -> Reading {
    let tokens = Quantity::exact(tokens as f64, "{token}", llem_quantity::Source::Counted);
    let energy = energy.as_ref().map_err(Clone::clone)?;
    energy.per(&tokens, "J/{token}").ok_or_else(|| "no token was generated".to_owned())
}

/// A span, of which `record` is kept, as the guest sees it.
pub fn measurement(run: &Run, record: &WindowRecord, span: &Span) -> meter::Measurement {
    let activity = &record.activity;
    let total = run.energy_total(span);
    meter::Measurement {
        label: record.label.clone(),
        started: record.started_ns,
        wall_time: record.wall_ns,
        energy_per_output_token: reading(per_token(&total, activity.output_tokens)),
        energy_total: reading(total),
        devices_used: record.devices_used,
        energy_imbalance: reading(span.imbalance(&run.holders())),
        ranks: record.ranks.iter().map(rank_activity).collect(),
        energy: span.energy.iter().cloned().map(device_energy).collect(),
        activity: meter::Activity {
            requests: activity.requests,
            prompt_tokens: activity.prompt_tokens,
            output_tokens: activity.output_tokens,
            prefill_time: activity.prefill_ns,
            decode_time: activity.decode_ns,
            flops: activity.flops_estimated,
        },
    }
}

fn rank_activity(rank: &RankActivity) -> meter::RankActivity {
    let communication = match &rank.communication {
        ReadingRecord::Known(time) => Ok(time.clone()),
        ReadingRecord::Unavailable { unavailable } => Err(unavailable.clone()),
    };
    meter::RankActivity { device: rank.device.clone(), communication: reading(communication) }
}

fn device_energy(part: DeviceEnergy) -> meter::DeviceEnergy {
    meter::DeviceEnergy { device: part.device, domain: part.domain, energy: reading(part.energy) }
}
