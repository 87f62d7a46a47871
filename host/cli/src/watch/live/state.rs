//! What a live view shows of a run. It only grows by [`LiveState::apply`], whoever feeds it.

use super::{
    energy::EnergyByPhase,
    latencies::Latencies,
    message_log::MessageLog,
    power::PowerHistory,
    progress::PhaseProgress,
    token_rate::TokenRate,
    update::{MeasuredWindow, StartedRun, TokenTimes, Update},
    work::{RunningRequest, WorkInProgress},
};
use crate::watch::message::{MessageKind, RunMessage};
use llem_record::RunStatus;

/// Where the updates come from. A journal lacks some of what a run tells its observers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feed {
    /// The run is made by this process.
    Run,
    /// The run is made by another process, and only its journal is read.
    Journal,
}

/// The state of a run as a view shows it.
#[derive(Debug)]
pub(super) struct LiveState {
    pub feed: Feed,
    /// The time now, ns since the run began. It does not grow after the run's end.
    pub now_ns: u64,
    pub run: StartedRun,
    /// The loaded model, once there is one.
    pub model: Option<String>,
    pub status: RunStatus,
    pub phase: PhaseProgress,
    pub rate: TokenRate,
    pub latencies: Latencies,
    pub work: WorkInProgress,
    pub power: PowerHistory,
    pub energy: EnergyByPhase,
    pub messages: MessageLog,
    /// Whether the user has asked for the run's end.
    pub is_stopping: bool,
    /// The number of updates that were dropped, because the terminal was too slow.
    pub dropped: u64,
}

impl LiveState {
    pub(super) fn new(feed: Feed) -> Self {
        Self {
            feed,
            now_ns: 0,
            run: StartedRun::default(),
            model: None,
            status: RunStatus::Running,
            phase: PhaseProgress::default(),
            rate: TokenRate::default(),
            latencies: Latencies::default(),
            work: WorkInProgress::default(),
            power: PowerHistory::default(),
            energy: EnergyByPhase::default(),
            messages: MessageLog::default(),
            is_stopping: false,
            dropped: 0,
        }
    }

    /// Whether the run has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.status != RunStatus::Running
    }

    /// Moves the time forward, unless the run has ended.
    pub(super) fn set_now(&mut self, ns: u64) {
        if !self.has_ended() {
            self.now_ns = self.now_ns.max(ns);
        }
    }

    /// Notes how many tokens the running request has.
    pub(super) fn set_generated(&mut self, tokens: u64) {
        if let Some(request) = &mut self.work.request {
            request.tokens = request.tokens.max(tokens);
            self.rate.set_running(self.now_ns, tokens);
        }
    }

    /// The time up to which tokens are known, ns. A journal has the tokens of a static request when it has ended.
    pub(super) fn tokens_until_ns(&self) -> u64 {
        match self.feed {
            Feed::Run => self.now_ns,
            Feed::Journal => self.rate.last_ns().unwrap_or(self.now_ns),
        }
    }

    /// Applies an update that came at the time `t_ns`, ns since the run began.
    pub(super) fn apply(&mut self, t_ns: u64, update: Update) {
        self.set_now(t_ns);
        match update {
            Update::Started(run) => self.run = *run,
            Update::Model(model) => self.model = Some(model),
            Update::PhaseBegan(path) => self.phase.enter(&path, t_ns),
            Update::PhaseEnded { around } => self.phase.enter(&around, t_ns),
            Update::Progress { done, total, label } => {
                self.phase.report(t_ns, done, total, &label);
            }
            Update::RequestBegan { label, most } => {
                self.rate.begin_request();
                let request = RunningRequest { label, most, began_ns: t_ns, tokens: 0 };
                self.work.request = Some(request);
            }
            Update::Generated { phase, sequences, window } => {
                self.rate.replace_running();
                sequences.iter().for_each(|times| self.add_tokens(&phase, times, None));
                self.end_request(&phase, &window);
            }
            Update::Scoring { requests, completed, tokens } => {
                self.work.scoring = Some((requests, completed));
                self.rate.set_running(t_ns, tokens);
            }
            Update::Scored { phase, tokens, window } => {
                self.rate.set_running(t_ns, tokens);
                self.rate.keep_running();
                // The next call's tokens count from zero, even if a journal does not tell when it begins.
                self.rate.begin_request();
                self.end_request(&phase, &window);
            }
            Update::BatchOpened { batch, most } => self.work.open_batch(batch, most),
            Update::BatchRequest { batch, sequences } => self.work.add_sequences(batch, &sequences),
            Update::BatchProgress { batch, phase, sequences } => {
                for (name, times) in sequences {
                    self.add_batch_tokens(batch, name, &phase, times);
                }
            }
            Update::BatchEnded { batch, name, phase, times, energy } => {
                self.add_batch_tokens(batch, name, &phase, times);
                self.work.end_sequence(batch, name);
                if let Some(energy) = energy {
                    self.energy.add_share(&phase, &energy);
                }
            }
            Update::Domains(sources) => self.power.set_sources(&sources),
            Update::Samples { power, conditions } => self.power.add(t_ns, &power, &conditions),
            Update::Message(message) => self.messages.add(t_ns, message),
            Update::Ended { status, error } => {
                if let Some(error) = &error {
                    let error = RunMessage::new(MessageKind::RunError, error);
                    self.messages.add(t_ns, error);
                }
                self.status = status;
                self.work.request = None;
            }
        }
    }

    fn end_request(&mut self, phase: &str, window: &MeasuredWindow) {
        (self.work.request, self.work.scoring) = (None, None);
        self.work.ended += 1;
        self.energy.add(phase, &window.energy);
        if self.feed == Feed::Journal {
            // The samples of the devices are not in the journal, but each request's window has its mean power.
            self.power.add(window.ended_ns, &window.power, &window.conditions);
        }
    }

    fn add_batch_tokens(&mut self, batch: u64, name: u64, phase: &str, times: TokenTimes) {
        let open = self.work.sequence(batch, name);
        let known = open.counted.saturating_sub(times.first) as usize;
        let before_ns = open.last_ns;
        let new = TokenTimes {
            first: times.first.max(open.counted),
            token_ns: times.token_ns.get(known..).unwrap_or_default().to_vec(),
            ..times
        };
        open.counted = new.first + new.token_ns.len() as u32;
        open.last_ns = new.token_ns.last().copied().or(before_ns);
        self.add_tokens(phase, &new, before_ns);
    }

    fn add_tokens(&mut self, phase: &str, times: &TokenTimes, before_ns: Option<u64>) {
        times.token_ns.iter().for_each(|&ns| self.rate.add(ns));
        self.latencies.add(phase, times, before_ns);
    }
}
