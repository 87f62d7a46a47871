//! The macros that make a crate a component.

use crate::{
    bindings::{
        Level, Metric, ModelInfo, Request, Trial, report,
        warmup::exports::llem::experiment::warmup_policy as wit,
    },
    policy::{Metrics, Warmup, WarmupPolicy, Workload},
};
use std::cell::RefCell;

/// Makes the crate an experiment: `experiment!(about, run)` with `fn about() -> About` and
/// `fn run() -> Result<T>`, whose value is not looked at.
#[macro_export]
macro_rules! experiment {
    ($about:path, $run:path) => {
        struct LlemExperiment;

        impl $crate::bindings::experiment::Guest for LlemExperiment {
            fn describe() -> $crate::bindings::About {
                $crate::export::log_panics();
                $about()
            }

            fn run() -> ::std::result::Result<(), ::std::string::String> {
                $run().map(|_| ()).map_err(|error| error.to_string())
            }
        }

        $crate::bindings::experiment::export_experiment!(LlemExperiment with_types_in $crate::bindings::experiment);
    };
}

/// Makes the crate a warm-up policy: `warmup!(Type)`, where the type is `WarmupPolicy`, `Describe`
/// and `Default`.
#[macro_export]
macro_rules! warmup {
    ($policy:ty) => {
        $crate::policy_component!(
            LlemWarmup, $policy, $crate::export::WarmupDriver<$policy>,
            $crate::bindings::warmup::exports::llem::experiment::warmup_policy,
            {
                fn next(
                    last: ::std::option::Option<$crate::bindings::Trial>,
                ) -> ::std::result::Result<
                    $crate::bindings::warmup::exports::llem::experiment::warmup_policy::Step,
                    ::std::string::String,
                > {
                    Self::driver(|driver| driver.next(last))
                }
            }
        );
        $crate::bindings::warmup::export_warmup!(LlemWarmup with_types_in $crate::bindings::warmup);
    };
}

/// Makes the crate a workload: `workload!(Type)`, where the type is `Workload`, `Describe` and
/// `Default`.
#[macro_export]
macro_rules! workload {
    ($policy:ty) => {
        $crate::policy_component!(
            LlemWorkload, $policy, $crate::export::WorkloadDriver<$policy>,
            $crate::bindings::workload::exports::llem::experiment::workload_policy,
            {
                fn next(
                    last: ::std::option::Option<$crate::bindings::Trial>,
                ) -> ::std::result::Result<
                    ::std::option::Option<$crate::bindings::Request>,
                    ::std::string::String,
                > {
                    Self::driver(|driver| driver.next(last))
                }
            }
        );
        $crate::bindings::workload::export_workload!(LlemWorkload with_types_in $crate::bindings::workload);
    };
}

/// Makes the crate a deriver of metrics: `metrics!(Type)`, where the type is `Metrics`, `Describe`
/// and `Default`.
#[macro_export]
macro_rules! metrics {
    ($policy:ty) => {
        $crate::policy_component!(
            LlemMetrics, $policy, $crate::export::MetricsDriver<$policy>,
            $crate::bindings::metrics::exports::llem::experiment::metrics_policy,
            {
                fn derive(
                    model: $crate::bindings::ModelInfo,
                    trials: ::std::vec::Vec<$crate::bindings::Trial>,
                ) -> ::std::result::Result<
                    ::std::vec::Vec<$crate::bindings::Metric>,
                    ::std::string::String,
                > {
                    Self::driver(|driver| driver.derive(&model, &trials))
                }
            }
        );
        $crate::bindings::metrics::export_metrics!(LlemMetrics with_types_in $crate::bindings::metrics);
    };
}

/// What the three have in common: a driver that lives as long as the component, and `describe`.
#[doc(hidden)]
#[macro_export]
macro_rules! policy_component {
    ($component:ident, $policy:ty, $driver:ty, $interface:path, { $($function:tt)* }) => {
        struct $component;

        impl $component {
            fn driver<T>(act: impl FnOnce(&$driver) -> T) -> T {
                ::std::thread_local! {
                    static DRIVER: $driver = ::std::default::Default::default();
                }
                DRIVER.with(act)
            }
        }

        const _: () = {
            use $interface as interface;

            impl interface::Guest for $component {
                fn describe() -> $crate::bindings::About {
                    $crate::export::log_panics();
                    <$policy as $crate::policy::Describe>::about()
                }

                $($function)*
            }
        };
    };
}

/// Writes a panic's message and place to the run's journal before the trap.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| report::log(Level::Error, &panic.to_string())));
}

/// A policy with the history that it is given piece by piece.
#[derive(Default)]
pub struct Driver<P> {
    inner: RefCell<(P, Vec<Trial>)>,
}

/// Drives a [`WarmupPolicy`].
pub type WarmupDriver<P> = Driver<WarmupRole<P>>;
/// Drives a [`Workload`].
pub type WorkloadDriver<P> = Driver<WorkloadRole<P>>;
/// Drives [`Metrics`].
pub type MetricsDriver<P> = Driver<MetricsRole<P>>;

/// Tells a warm-up policy's driver from the others.
#[derive(Default)]
pub struct WarmupRole<P>(P);
/// Tells a workload's driver from the others.
#[derive(Default)]
pub struct WorkloadRole<P>(P);
/// Tells a metrics driver from the others.
#[derive(Default)]
pub struct MetricsRole<P>(P);

impl<P: WarmupPolicy> Driver<WarmupRole<P>> {
    /// Adds the trial to the history and asks the policy.
    pub fn next(&self, last: Option<Trial>) -> Result<wit::Step, String> {
        let (policy, history) = &mut *self.inner.borrow_mut();
        history.extend(last);
        let step = policy.0.next(history).map_err(|error| error.to_string())?;
        Ok(match step {
            Warmup::Run { request, max_new_tokens } => {
                wit::Step::Run(wit::Plan { request, max_new_tokens })
            }
            Warmup::Wait(length) => wit::Step::Wait(length.as_nanos() as u64),
            Warmup::Done(reason) => wit::Step::Done(reason),
        })
    }
}

impl<P: Workload> Driver<WorkloadRole<P>> {
    /// Adds the trial to the history and asks the workload.
    pub fn next(&self, last: Option<Trial>) -> Result<Option<Request>, String> {
        let (policy, history) = &mut *self.inner.borrow_mut();
        history.extend(last);
        policy.0.next(history).map_err(|error| error.to_string())
    }
}

impl<P: Metrics> Driver<MetricsRole<P>> {
    /// Asks for the metrics.
    pub fn derive(&self, model: &ModelInfo, trials: &[Trial]) -> Result<Vec<Metric>, String> {
        self.inner.borrow_mut().0.0.derive(model, trials).map_err(|error| error.to_string())
    }
}
