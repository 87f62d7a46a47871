//! The standard runner: composed with a warm-up, a workload and a metrics policy it is an experiment. It takes the
//! course of the SDK's [`Experiment`], with policies that are the components behind its imports.
//!
//! ```text
//!                 ┌─────────── runner ───────────┐
//! describe, run ──┤ Experiment ─ warmup-policy   ├── warm-up component
//!                 │            ─ workload-policy ├── workload component
//!                 │            ─ metrics-policy  ├── metrics component
//!                 └──────────────────────────────┘
//! ```

mod policies;

use bindings::{
    exports::llem::experiment::{policies::Guest as Composed, script::Guest},
    llem::experiment::{metrics_policy, warmup_policy, workload_policy},
};
use llem_sdk::{
    about::Clocks,
    bindings::{description, types},
    export::log_panics,
    prelude::*,
};
use policies::{GivenMetrics, GivenWarmup, GivenWorkload};
use std::{cell::OnceCell, time::Duration};

llem_sdk::world!(llem_sdk, bindings, "runner", "export", "bindings");
bindings::export!(Runner with_types_in bindings);

/// How old an earlier run's idle baseline may be.
const BASELINE_LIFETIME: Duration = Duration::from_secs(3600);

struct Runner;

impl Guest for Runner {
    fn describe() -> description::About {
        log_panics();
        with_policies(merged).into()
    }

    fn run() -> Result<(), types::Error> {
        log_panics();
        Ok(run()?)
    }
}

impl Composed for Runner {
    fn describe_policies() -> Vec<description::About> {
        with_policies(|abouts| abouts.iter().cloned().map(description::About::from).collect())
    }
}

fn run() -> Result<()> {
    let model = Model::granted()?;
    let experiment = Experiment::new(model.clone())
        .with_components()
        .warmup(GivenWarmup::default())
        .workload(GivenWorkload { model: model.clone() })
        .metrics_policy(GivenMetrics { model });
    let rest: f64 = parameter("baseline")?;
    if rest == 0.0 {
        return experiment.run();
    }
    let rest = Duration::try_from_secs_f64(rest).map_err(|error| {
        Error::invalid_argument(format!("parameter 'baseline' is {rest}: {error}"))
    })?;
    experiment.baseline(rest, BASELINE_LIFETIME).run()
}

/// Each policy is asked once what it is.
fn with_policies<T>(read: impl FnOnce(&[About]) -> T) -> T {
    thread_local! {
        static ABOUTS: OnceCell<[About; 3]> = const { OnceCell::new() };
    }
    ABOUTS.with(|abouts| {
        read(abouts.get_or_init(|| {
            [warmup_policy::describe(), workload_policy::describe(), metrics_policy::describe()]
                .map(|about| About::from(&about))
        }))
    })
}

/// The runner and these policies as one. Of a name that several declare the first counts; the host refuses those that
/// contradict each other.
fn merged(policies: &[About]) -> About {
    let own = About::new("runner", env!("CARGO_PKG_VERSION"), "Runs policies").number(
        "baseline",
        0.0,
        "seconds of rest before the warm-up, for energy above idle; 0 for none",
    );
    policies.iter().fold(own, |mut all, policy| {
        add_new(&mut all.parameters, &policy.parameters, |parameter| &parameter.name);
        add_new(&mut all.datasets, &policy.datasets, |dataset| &dataset.name);
        if policy.clocks == Clocks::Monotonic {
            all.clocks = Clocks::Monotonic;
        }
        all
    })
}

/// Adds those items of `more` whose names are not among `known`.
fn add_new<T: Clone>(known: &mut Vec<T>, more: &[T], name: impl Fn(&T) -> &String) {
    for item in more {
        if !known.iter().any(|known| name(known) == name(item)) {
            known.push(item.clone());
        }
    }
}
