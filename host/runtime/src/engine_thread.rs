//! A model on a thread of its own, fed by a bounded queue: the guest's side awaits answers and is
//! never blocked by a decode step.

use llem_engine::{Info, LoadOptions, Model, TextTools};
use std::{sync::Arc, thread};
use tokio::sync::{mpsc, oneshot, watch};

/// Jobs that may wait. Calls are awaited one by one, so more than a few means a mistake.
const QUEUE: usize = 4;

type Job = Box<dyn FnOnce(&mut Model) + Send>;

/// The way to a model. The thread ends, and the model with it, when the last of these is dropped;
/// [`EngineThread::release`] also waits for that.
#[derive(Clone)]
pub struct EngineThread {
    jobs: mpsc::Sender<Job>,
    /// The model's number in its run.
    pub number: u64,
    info: Arc<Info>,
    text: Option<TextTools>,
    /// Closed once the model is gone. Nothing is ever sent.
    gone: watch::Receiver<()>,
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
        let (alive, gone) = watch::channel(());
        thread::spawn(move || {
            // Dropped after all that is declared below, even if a job panics: then the model is gone.
            let _alive = alive;
            match Model::load(&options) {
                Ok(mut model) => {
                    let _ = ready.send(Ok((model.info().clone(), model.text_tools())));
                    while let Some(job) = queue.blocking_recv() {
                        job(&mut model);
                    }
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            }
        });
        let info = loaded.await.map_err(|_| EngineGone)?;
        Ok(info.map(|(info, text)| Self { jobs, number: 0, info: Arc::new(info), text, gone }))
    }

    /// Lets go of the model. If nobody else holds it, its memory has been given back when this returns; otherwise (a
    /// batch of it is open) this returns at once, and the last to let go waits.
    ///
    /// All holders are on the guest's side, which does one thing at a time: nobody comes or goes in between.
    pub async fn release(self) {
        let Self { jobs, mut gone, .. } = self;
        let is_last = jobs.strong_count() == 1;
        drop(jobs);
        if is_last {
            // It only ever ends by being closed.
            let _ = gone.changed().await;
        }
    }

    /// How many hold the model.
    pub fn holders(&self) -> usize {
        self.jobs.strong_count()
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

    /// Its tokenizer and chat template; none where it has no tokenizer.
    pub fn text(&self) -> Option<&TextTools> {
        self.text.as_ref()
    }

    /// What is known of the model.
    pub fn info(&self) -> &Info {
        &self.info
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    async fn load() -> EngineThread {
        let options = LoadOptions::new("synthetic:tiny".parse().unwrap());
        EngineThread::load(options).await.unwrap().unwrap()
    }

    /// That memory is given back by then is shown from outside, by `tests/memory.rs`.
    #[tokio::test]
    async fn a_model_goes_with_the_last_that_holds_it() {
        let model = load().await;
        let (other, gone) = (model.clone(), model.gone.clone());
        assert_eq!(model.holders(), 2);
        model.release().await;
        assert!(gone.has_changed().is_ok(), "another holds it still");
        other.call(|model| model.info().clone()).await.unwrap();
        other.release().await;
        assert!(gone.has_changed().is_err(), "it is gone");
    }

    #[tokio::test]
    async fn a_thread_that_panicked_is_not_waited_for() {
        let model = load().await;
        let gone = model.call(|_| panic!("this panic is part of a test")).await;
        assert!(gone.is_err());
        model.release().await;
    }
}
