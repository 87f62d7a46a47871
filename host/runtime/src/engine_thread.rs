//! Runs a model on a thread of its own, which a bounded queue feeds. The guest's side awaits the answers, so a decode
//! step never blocks it.

use llem_engine::{LoadOptions, Model, ModelInfo, TextTools};
use std::{sync::Arc, thread};
use tokio::sync::{mpsc, oneshot, watch};

/// The most commands that may wait. Calls are awaited one by one, so a longer queue would be a mistake.
const QUEUE: usize = 4;

type EngineCommand = Box<dyn FnOnce(&mut Model) + Send>;

/// A handle to a model on its thread. The thread ends and frees the model when the last handle is dropped.
/// [`EngineThread::release`] waits until then.
#[derive(Clone)]
pub(crate) struct EngineThread {
    commands: mpsc::Sender<EngineCommand>,
    /// The number of the model in its run, from 0.
    pub number: u64,
    info: Arc<ModelInfo>,
    text: Option<TextTools>,
    /// Closed once the model is freed. No value is ever sent.
    gone: watch::Receiver<()>,
}

/// The engine's thread ended without an answer, because it panicked.
#[derive(Debug, thiserror::Error)]
#[error("the engine stopped unexpectedly; its last words are on standard error")]
pub(crate) struct EngineStopped;

impl EngineThread {
    /// Loads a model on a new thread.
    pub(crate) async fn load(
        options: LoadOptions,
    ) -> Result<llem_engine::Result<Self>, EngineStopped> {
        let (commands, mut queue) = mpsc::channel::<EngineCommand>(QUEUE);
        let (ready, loaded) = oneshot::channel();
        let (alive, gone) = watch::channel(());
        thread::spawn(move || {
            // Dropped after everything that is declared below, even if a command panics, so it closes once the model is
            // freed.
            let _alive = alive;
            match Model::load(&options) {
                Ok(mut model) => {
                    let _ = ready.send(Ok((model.info().clone(), model.text_tools())));
                    while let Some(command) = queue.blocking_recv() {
                        command(&mut model);
                    }
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            }
        });
        let info = loaded.await.map_err(|_| EngineStopped)?;
        Ok(info.map(|(info, text)| Self { commands, number: 0, info: Arc::new(info), text, gone }))
    }

    /// Drops this handle. If it is the last one, waits until the model's memory is free. Otherwise (a batch of the
    /// model is open) it returns at once, and the last handle waits.
    ///
    /// All handles are on the guest's side, which makes one call at a time, so the count cannot change in between.
    pub(crate) async fn release(self) {
        let Self { commands, mut gone, .. } = self;
        let is_last = commands.strong_count() == 1;
        drop(commands);
        if is_last {
            // The channel never carries a value, so this returns once it is closed.
            let _ = gone.changed().await;
        }
    }

    /// The number of handles to the model.
    pub(crate) fn handle_count(&self) -> usize {
        self.commands.strong_count()
    }

    /// Runs `command` on the engine's thread, within a debug span that has this name.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        name: &'static str,
        command: impl FnOnce(&mut Model) -> T + Send + 'static,
    ) -> Result<T, EngineStopped> {
        let (answer, answered) = oneshot::channel();
        let span = tracing::debug_span!("engine command", model = self.number, command = name);
        let command = Box::new(move |model: &mut Model| {
            let _entered = span.entered();
            let _ = answer.send(command(model));
        });
        self.commands.send(command).await.map_err(|_| EngineStopped)?;
        answered.await.map_err(|_| EngineStopped)
    }

    /// The tokenizer and chat template, or `None` if the model has no tokenizer.
    pub(crate) fn text(&self) -> Option<&TextTools> {
        self.text.as_ref()
    }

    pub(crate) fn info(&self) -> &ModelInfo {
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

    /// `tests/memory.rs` checks from outside that the memory is free by then.
    #[tokio::test]
    async fn a_model_goes_with_the_last_that_holds_it() {
        let model = load().await;
        let (other, gone) = (model.clone(), model.gone.clone());
        assert_eq!(model.handle_count(), 2);
        model.release().await;
        assert!(gone.has_changed().is_ok(), "another holds it still");
        other.call("info", |model| model.info().clone()).await.unwrap();
        other.release().await;
        assert!(gone.has_changed().is_err(), "it is gone");
    }

    #[test]
    fn each_command_is_a_span() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let log = crate::test_log::captured(|| {
            runtime.block_on(async {
                let model = load().await;
                model.call("info", |model| model.info().clone()).await.unwrap();
                model.release().await;
            });
        });
        assert!(log.contains(r#"engine command{model=0 command="info"}"#), "{log}");
    }

    #[tokio::test]
    async fn a_thread_that_panicked_is_not_waited_for() {
        let model = load().await;
        let gone = model.call("panic", |_| panic!("this panic is part of a test")).await;
        assert!(gone.is_err());
        model.release().await;
    }
}
