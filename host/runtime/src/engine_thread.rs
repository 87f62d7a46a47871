//! A model on a thread of its own, fed by a bounded queue: the guest's side awaits answers and is
//! never blocked by a decode step.

use llem_engine::{Info, LoadOptions, Model};
use std::{sync::Arc, thread};
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait. Calls are awaited one by one, so more than a few means a mistake.
const QUEUE: usize = 4;

type Job = Box<dyn FnOnce(&mut Model) + Send>;

/// The way to a model. The thread ends, and the model with it, when the last of these is dropped.
#[derive(Clone)]
pub struct EngineThread {
    jobs: mpsc::Sender<Job>,
    info: Arc<Info>,
}

/// The engine's thread ended without an answer, which means that it panicked.
#[derive(Debug, thiserror::Error)]
#[error("the engine stopped unexpectedly; its last words are on standard error")]
pub struct EngineGone;

impl EngineThread {
    /// Loads a model on a new thread.
    pub async fn load(options: LoadOptions) -> Result<llem_engine::Result<Self>, EngineGone> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let (ready, loaded) = oneshot::channel();
        thread::spawn(move || match Model::load(&options) {
            Ok(mut model) => {
                let _ = ready.send(Ok(model.info().clone()));
                while let Some(job) = queue.blocking_recv() {
                    job(&mut model);
                }
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        });
        let info = loaded.await.map_err(|_| EngineGone)?;
        Ok(info.map(|info| Self { jobs, info: Arc::new(info) }))
    }

    /// Runs `job` on the engine's thread.
    pub async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Model) -> T + Send + 'static,
    ) -> Result<T, EngineGone> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |model: &mut Model| {
            let _ = answer.send(job(model));
        });
        self.jobs.send(job).await.map_err(|_| EngineGone)?;
        answered.await.map_err(|_| EngineGone)
    }

    /// What is known of the model.
    pub fn info(&self) -> &Info {
        &self.info
    }
}
