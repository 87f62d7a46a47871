//! Time that the ranks of split models spend in communication.

use crate::run::Run;
use llem_engine::{Info, Model, model::RankInfo};
use llem_quantity::{Quantity, Source};
use llem_record::event::RankActivity;
use std::time::Duration;

/// Time in communication so far, of each rank: its model, its device, and how long.
#[derive(Default)]
pub struct Communication(Vec<(String, Result<Duration, String>)>);

impl Communication {
    /// That of a model's ranks, where it is split. Runs on the engine's thread.
    pub fn of(model: &mut Model) -> llem_engine::Result<Self> {
        let mut all = Self::default();
        if model.info().ranks.len() > 1 {
            let times = model.communication_times()?;
            all.add(model.info(), times);
        }
        Ok(all)
    }

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
                Ok(Quantity::exact(spent.as_secs_f64(), "s", Source::Clock))
            });
            RankActivity { device, communication: (&spent).into() }
        };
        self.0.into_iter().zip(&before.0).map(spent).collect()
    }
}

impl Run {
    /// What every rank of every split model has spent in communication.
    pub async fn communication(&self) -> wasmtime::Result<Communication> {
        let mut all = Communication::default();
        for engine in self.engines.which(|engine| engine.info().ranks.len() > 1) {
            let times = engine.call(Model::communication_times).await??;
            all.add(engine.info(), times);
        }
        Ok(all)
    }
}
