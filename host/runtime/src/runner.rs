//! The standard runner: drives policies of one or several components through a run.
//!
//! ```text
//! load (──► idle baseline) ──► warmup: next, generate, next, ... done ──► measure: next, generate, ... ──► derive
//! ```

use crate::{
    Error, Limits, Result,
    bindings::{
        engine::{self, HostModel, Request},
        meter::Host as _,
        metrics::Metrics,
        report::Host as _,
        trials::Trial,
        types,
        warmup::{Warmup, exports::llem::experiment::warmup_policy::Step},
        workload::Workload,
    },
    error::explain,
    inspect::{Member, Role},
    models::LoadedModel,
    run::Run,
    state::{Stage, State},
};
use llem_record::Event;
use std::{sync::Arc, time::Duration};
use wasmtime::component::Resource;

/// How old an earlier run's baseline may be.
const BASELINE_LIFETIME: Duration = Duration::from_secs(3600);

/// Drives the policies of `members`.
pub async fn run(members: &mut [Member], run: &Arc<Run>, limits: &Limits) -> Result<()> {
    if let Some(member) = members.iter().find(|member| member.roles.contains(&Role::Experiment)) {
        return Err(Error::Input(format!(
            "{} is an experiment, which drives everything itself: give it alone",
            member.file
        )));
    }
    for role in [Role::Warmup, Role::Workload, Role::Metrics] {
        if members.iter().filter(|member| member.roles.contains(&role)).count() > 1 {
            return Err(Error::Input(format!(
                "two components export a {} policy: give one",
                role.name()
            )));
        }
    }
    if find(members, Role::Workload).is_none() {
        return Err(Error::Input(
            "no component exports a workload policy: add --workload FILE".to_owned(),
        ));
    }
    let mut session = Session::start(run, limits).await?;
    let first = next_request(members, None).await?;
    session.rest(run.settings.metering.baseline).await?;
    session.warm_up(members, first.as_ref()).await?;
    let trials = session.measure(members, first).await?;
    session.derive(members, &trials).await
}

fn find(members: &[Member], role: Role) -> Option<usize> {
    members.iter().position(|member| member.roles.contains(&role))
}

/// The runner's own side: it makes the very host calls that a script would make.
struct Session {
    host: State,
    model: u32,
    info: engine::ModelInfo,
}

impl Session {
    async fn start(run: &Arc<Run>, limits: &Limits) -> Result<Self> {
        let mut host = State::new(run, limits, Stage::Running);
        let as_granted = engine::LoadOptions {
            source: None,
            dtype: None,
            device: None,
            parallelism: None,
            seed: None,
        };
        let model = answered(host.load(as_granted).await)?;
        let rep = model.rep();
        let info = host.info(model).map_err(|error| explain("the engine", &error))?;
        Ok(Self { host, model: rep, info })
    }

    /// Idle power, for energy above it.
    async fn rest(&mut self, length: Option<Duration>) -> Result<()> {
        let Some(length) = length else { return Ok(()) };
        let nanoseconds = |length: Duration| length.as_nanos() as u64;
        let depth = self.begin("baseline")?;
        let lifetime = nanoseconds(BASELINE_LIFETIME);
        answered(self.host.idle_baseline(nanoseconds(length), lifetime).await)?;
        self.end(depth)
    }

    async fn warm_up(&mut self, members: &mut [Member], first: Option<&Request>) -> Result<()> {
        let Some(member) = find(members, Role::Warmup).map(|index| &mut members[index]) else {
            let message =
                "no warm-up policy was given: the first measured requests are cold".to_owned();
            return self.write(Event::Warning { message });
        };
        let failed = |error: wasmtime::Error| explain("the warm-up policy", &error);
        let policy = Warmup::new(&mut member.store, &member.instance).map_err(failed)?;
        let depth = self.begin("warmup")?;
        let mut last: Option<Trial> = None;
        for index in 0.. {
            let step = policy
                .llem_experiment_warmup_policy()
                .call_next(&mut member.store, last.as_ref())
                .await
                .map_err(failed)?
                .map_err(Error::Script)?;
            match step {
                Step::Done(reason) => {
                    self.write(Event::Log {
                        level: "info".to_owned(),
                        message: format!("warm: {reason}"),
                    })?;
                    break;
                }
                Step::Wait(length) => {
                    last = None;
                    self.host.run.rest(Duration::from_nanos(length)).await.map_err(failed)?;
                }
                Step::Run(plan) => {
                    let mut request = plan.request.or_else(|| first.cloned()).ok_or_else(|| {
                        Error::Failed(
                            "the warm-up policy borrows a request, but the workload has none"
                                .to_owned(),
                        )
                    })?;
                    if let Some(most) = plan.max_new_tokens {
                        request.max_new_tokens = request.max_new_tokens.min(most);
                    }
                    last = Some(self.trial(index, request).await?);
                }
            }
        }
        self.end(depth)
    }

    async fn measure(
        &mut self,
        members: &mut [Member],
        first: Option<Request>,
    ) -> Result<Vec<Trial>> {
        let depth = self.begin("measure")?;
        let mut trials: Vec<Trial> = Vec::new();
        let mut next = first;
        while let Some(request) = next {
            let trial = self.trial(trials.len() as u32, request).await?;
            trials.push(trial);
            let done = trials.len() as u64;
            self.host.run.output.observer().progress(done, 0, "requests measured");
            next = next_request(members, trials.last()).await?;
        }
        self.end(depth)?;
        Ok(trials)
    }

    async fn derive(&mut self, members: &mut [Member], trials: &[Trial]) -> Result<()> {
        let Some(member) = find(members, Role::Metrics).map(|index| &mut members[index]) else {
            return Ok(());
        };
        let failed = |error: wasmtime::Error| explain("the metrics policy", &error);
        let policy = Metrics::new(&mut member.store, &member.instance).map_err(failed)?;
        let depth = self.begin("derive")?;
        let metrics = policy
            .llem_experiment_metrics_policy()
            .call_derive(&mut member.store, &self.info, trials)
            .await
            .map_err(failed)?
            .map_err(Error::Script)?;
        for metric in metrics {
            answered(self.host.add_metric(metric))?;
        }
        self.end(depth)
    }

    async fn trial(&mut self, index: u32, request: Request) -> Result<Trial> {
        let model: Resource<LoadedModel> = Resource::new_borrow(self.model);
        let generation = answered(self.host.generate(model, request.clone()).await)?;
        Ok(Trial { index, request, generation })
    }

    fn begin(&self, phase: &str) -> Result<usize> {
        self.host.run.phases.begin(phase.to_owned()).map_err(|error| explain("the runner", &error))
    }

    fn end(&self, depth: usize) -> Result<()> {
        self.host.run.phases.end(depth).map_err(|error| explain("the runner", &error))
    }

    fn write(&self, event: Event) -> Result<()> {
        self.host.run.output.write(event).map_err(|error| explain("the runner", &error))
    }
}

async fn next_request(members: &mut [Member], last: Option<&Trial>) -> Result<Option<Request>> {
    let Some(member) = find(members, Role::Workload).map(|index| &mut members[index]) else {
        return Ok(None);
    };
    let failed = |error: wasmtime::Error| explain("the workload policy", &error);
    let policy = Workload::new(&mut member.store, &member.instance).map_err(failed)?;
    let next = policy.llem_experiment_workload_policy().call_next(&mut member.store, last).await;
    next.map_err(failed)?.map_err(Error::Script)
}

/// A host call's answer to the runner itself: what a guest would be told is what people are told.
fn answered<T>(answer: wasmtime::Result<std::result::Result<T, types::Error>>) -> Result<T> {
    use types::Error::{Failed, InvalidArgument, LimitReached, NotFound, NotGranted, Unsupported};
    answer.map_err(|error| explain("the run", &error))?.map_err(|error| match error {
        InvalidArgument(sentence)
        | NotFound(sentence)
        | NotGranted(sentence)
        | Unsupported(sentence) => Error::Input(sentence),
        LimitReached(sentence) | Failed(sentence) => Error::Failed(sentence),
    })
}
