//! The standard runner. The host composes it with a warm-up, a workload and a metrics policy into one experiment. It
//! runs the SDK's [`Experiment`] with the policies that the components behind its imports implement.
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
    exports::llem::experiment::{policies::Guest as PoliciesGuest, script::Guest},
    llem::experiment::{metrics_policy, warmup_policy, workload_policy},
};
use llem_sdk::{
    Clocks,
    bindings::{description, types},
    export::log_panics,
    prelude::*,
};
use policies::{ImportedMetrics, ImportedWarmup, ImportedWorkload};
use std::{cell::OnceCell, time::Duration};

llem_sdk::world!(llem_sdk, bindings, "runner", "export", "bindings");
bindings::export!(Runner with_types_in bindings);

/// The maximum age of an idle baseline of an earlier run.
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

impl PoliciesGuest for Runner {
    fn describe_policies() -> Vec<description::About> {
        with_policies(|abouts| abouts.iter().cloned().map(description::About::from).collect())
    }
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let experiment = Experiment::new(model.clone())
        .with_components()
        .warmup(ImportedWarmup::default())
        .workload(ImportedWorkload { model: model.clone() })
        .metrics_policy(ImportedMetrics { model });
    let seconds: f64 = parameter("baseline")?;
    if seconds == 0.0 {
        return experiment.run();
    }
    let length = Duration::try_from_secs_f64(seconds).map_err(|error| {
        Error::invalid_argument(format!("parameter 'baseline' is {seconds}: {error}"))
    })?;
    experiment.baseline(length, BASELINE_LIFETIME).run()
}

/// Calls a function with the descriptions of the three policies. Each policy is asked only once.
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

/// Merges the descriptions of the runner and the policies. If several declare the same name, the first declaration is
/// used. The host refuses declarations that contradict each other.
fn merged(policies: &[About]) -> About {
    let runner = About::new("runner", env!("CARGO_PKG_VERSION"), "Runs policies").number(
        "baseline",
        0.0,
        "seconds of rest before the warm-up, for energy above idle; 0 for none",
    );
    policies.iter().fold(runner, |mut merged, policy| {
        add_new(&mut merged.parameters, &policy.parameters, |parameter| &parameter.name);
        add_new(&mut merged.datasets, &policy.datasets, |dataset| &dataset.name);
        if policy.clocks == Clocks::Monotonic {
            merged.clocks = Clocks::Monotonic;
        }
        merged
    })
}

/// Adds the items of `more` whose names are not among `known`.
fn add_new<T: Clone>(known: &mut Vec<T>, more: &[T], name: impl Fn(&T) -> &String) {
    for item in more {
        if !known.iter().any(|known| name(known) == name(item)) {
            known.push(item.clone());
        }
    }
}
