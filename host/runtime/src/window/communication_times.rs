//! The time that the ranks of split models spend in communication.

use crate::run::RunContext;
use llem_engine::{CommunicationTimeError, Model, ModelInfo, RankInfo};
use llem_quantity::{Cause, Quantity, Source, Unavailable};
use llem_record::RankActivity;
use std::time::Duration;

/// The time that a rank has spent in communication since it was loaded.
type CommunicationTime = Result<Duration, CommunicationTimeError>;

/// The time in communication since loading, for each rank: its device, and the time or why it is not known.
#[derive(Default)]
pub(crate) struct CommunicationTimes(Vec<(String, CommunicationTime)>);

impl CommunicationTimes {
    /// Reads the times of a model's ranks if it is split. Runs on the engine's thread.
    pub(crate) fn read(model: &mut Model) -> llem_engine::Result<Self> {
        let mut all = Self::default();
        if model.info().ranks.len() > 1 {
            let times = model.communication_times()?;
            all.add(model.info(), times);
        }
        Ok(all)
    }

    pub(crate) fn add(&mut self, info: &ModelInfo, times: Vec<CommunicationTime>) {
        let devices = info.ranks.iter().map(RankInfo::device_name);
        self.0.extend(devices.zip(times));
    }

    /// The time that each rank has spent since `before`. Empty if the ranks have changed meanwhile.
    pub(crate) fn since(self, before: &Self) -> Vec<RankActivity> {
        if self.0.len() != before.0.len() {
            return Vec::new();
        }
        let spent = |((device, after), (_, before)): ((String, CommunicationTime), &_)| {
            let before: &CommunicationTime = before;
            let spent = after.and_then(|after| {
                let spent = after.saturating_sub(before.clone()?);
                Ok(Quantity::exact(spent.as_secs_f64(), "s", Source::Clock))
            });
            let unknown =
                |error: CommunicationTimeError| Unavailable::new(Cause::Other, error.to_string());
            RankActivity { device, communication: (&spent.map_err(unknown)).into() }
        };
        self.0.into_iter().zip(&before.0).map(spent).collect()
    }
}

impl RunContext {
    /// Reads the times of every rank of every split model.
    pub(crate) async fn communication(&self) -> wasmtime::Result<CommunicationTimes> {
        let mut all = CommunicationTimes::default();
        for engine in self.engines.filter(|engine| engine.info().ranks.len() > 1) {
            let times = engine.call("communication times", Model::communication_times).await??;
            all.add(engine.info(), times);
        }
        Ok(all)
    }
}
