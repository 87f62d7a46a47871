//! Macros that turn a crate into a component, and the functions that they call. The exports exist only in a component:
//! linkers of other targets do not accept their names.

use crate::{
    Result,
    bindings::{
        models, report as host_report, requests, trials,
        warmup::exports::llem::experiment::warmup_policy as wit,
    },
    model_info::ModelInfo,
    policy::{MetricsPolicy, WarmupPolicy, WarmupStep, WorkloadPolicy},
    report::{self, Level},
    request::Request,
    schedule::Session,
    trial::Trial,
    wait::nanoseconds,
};

/// Makes the crate an experiment: `experiment!(about, run)` takes a function `about() -> About` and a function
/// `run() -> Result<T>`. The value of `run` is ignored.
#[macro_export]
macro_rules! experiment {
    ($about:path, $run:path) => {
        struct LlemExperiment;

        // Natively, where tests of the crate run, nothing else uses it.
        #[cfg(not(target_family = "wasm"))]
        const _: LlemExperiment = LlemExperiment;

        impl $crate::bindings::experiment::exports::llem::experiment::script::Guest for LlemExperiment {
            fn describe() -> $crate::bindings::description::About {
                $crate::export::log_panics();
                ::std::convert::Into::into($about())
            }

            fn run() -> ::std::result::Result<(), $crate::bindings::types::Error> {
                $crate::export::log_panics();
                $run().map(|_| ()).map_err(::std::convert::Into::into)
            }
        }

        #[cfg(target_family = "wasm")]
        $crate::bindings::experiment::export_experiment!(LlemExperiment with_types_in $crate::bindings::experiment);
    };
}

/// Makes the crate a warm-up policy: `warmup!(Type)`. The type implements [`WarmupPolicy`](crate::WarmupPolicy),
/// [`Describe`](crate::Describe) and `Default`.
#[macro_export]
macro_rules! warmup {
    ($policy:ty) => {
        $crate::policy_component!(
            LlemWarmup, $policy, $crate::export::WarmupDriver<$policy>,
            $crate::bindings::warmup::exports::llem::experiment::warmup_policy,
            {
                fn next(
                    last: ::std::option::Option<&$crate::bindings::trials::Trial>,
                ) -> ::std::result::Result<interface::Step, $crate::bindings::types::Error> {
                    Self::policy(|driver| driver.next(last))
                }
            }
        );
        #[cfg(target_family = "wasm")]
        $crate::bindings::warmup::export_warmup!(LlemWarmup with_types_in $crate::bindings::warmup);
    };
}

/// Makes the crate a workload policy: `workload!(Type)`. The type implements [`WorkloadPolicy`](crate::WorkloadPolicy),
/// [`Describe`](crate::Describe) and `Default`.
#[macro_export]
macro_rules! workload {
    ($policy:ty) => {
        $crate::policy_component!(
            LlemWorkload, $policy, $policy,
            $crate::bindings::workload::exports::llem::experiment::workload_policy,
            {
                fn begin(
                    model: &$crate::bindings::models::Model,
                ) -> ::std::result::Result<
                    $crate::bindings::trials::Schedule,
                    $crate::bindings::types::Error,
                > {
                    Self::policy(|policy| $crate::export::begin_workload(policy, model))
                }

                fn next(
                    last: ::std::option::Option<&$crate::bindings::trials::Trial>,
                ) -> ::std::result::Result<
                    ::std::option::Option<$crate::bindings::requests::Request>,
                    $crate::bindings::types::Error,
                > {
                    Self::policy(|policy| $crate::export::next_request(policy, last))
                }
            }
        );
        #[cfg(target_family = "wasm")]
        $crate::bindings::workload::export_workload!(LlemWorkload with_types_in $crate::bindings::workload);
    };
}

/// Makes the crate a metrics policy: `metrics!(Type)`. The type implements [`MetricsPolicy`](crate::MetricsPolicy),
/// [`Describe`](crate::Describe) and `Default`.
#[macro_export]
macro_rules! metrics {
    ($policy:ty) => {
        $crate::policy_component!(
            LlemMetrics, $policy, $policy,
            $crate::bindings::metrics::exports::llem::experiment::metrics_policy,
            {
                fn observe(
                    trial: &$crate::bindings::trials::Trial,
                ) -> ::std::result::Result<(), $crate::bindings::types::Error> {
                    Self::policy(|policy| {
                        $crate::MetricsPolicy::observe(policy, ::std::convert::Into::into(trial))
                    })
                }

                fn derive(
                    model: &$crate::bindings::models::Model,
                    session: &$crate::bindings::trials::Session,
                ) -> ::std::result::Result<
                    ::std::vec::Vec<$crate::bindings::report::Metric>,
                    $crate::bindings::types::Error,
                > {
                    Self::policy(|policy| $crate::export::derive_metrics(policy, model, session))
                }
            }
        );
        #[cfg(target_family = "wasm")]
        $crate::bindings::metrics::export_metrics!(LlemMetrics with_types_in $crate::bindings::metrics);
    };
}

/// Defines a policy component: a policy that lives as long as the component, and the function `describe`.
#[doc(hidden)]
#[macro_export]
macro_rules! policy_component {
    ($component:ident, $policy:ty, $state:ty, $interface:path, { $($function:tt)* }) => {
        struct $component;

        // Natively, where tests of the crate run, nothing else uses it.
        #[cfg(not(target_family = "wasm"))]
        const _: $component = $component;

        impl $component {
            fn policy<T>(
                call: impl FnOnce(&mut $state) -> $crate::Result<T>,
            ) -> ::std::result::Result<T, $crate::bindings::types::Error> {
                ::std::thread_local! {
                    static POLICY: ::std::cell::RefCell<$state> = {
                        $crate::export::log_panics();
                        ::std::default::Default::default()
                    };
                }
                POLICY.with_borrow_mut(call).map_err(::std::convert::Into::into)
            }
        }

        const _: () = {
            use $interface as interface;

            impl interface::Guest for $component {
                fn describe() -> $crate::bindings::description::About {
                    $crate::export::log_panics();
                    ::std::convert::Into::into(<$policy as $crate::Describe>::about())
                }

                $($function)*
            }
        };
    };
}

/// Installs a panic hook that writes the message and location of a panic to the run's journal before the trap.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| report::log(Level::Error, &panic.to_string())));
}

/// A warm-up policy and its history. The host passes one trial at a time, and the policy sees all of them.
#[derive(Default)]
pub struct WarmupDriver<P> {
    policy: P,
    history: Vec<Trial>,
}

impl<P: WarmupPolicy> WarmupDriver<P> {
    /// Adds the trial to the history and returns the policy's next step.
    pub fn next(&mut self, last: Option<&trials::Trial>) -> Result<wit::Step> {
        self.history.extend(last.map(Trial::from));
        Ok(match self.policy.next(&self.history)? {
            WarmupStep::Run { request, max_new_tokens } => {
                let request = request.as_deref().map(requests::Request::from);
                wit::Step::Run(wit::Plan { request, max_new_tokens })
            }
            WarmupStep::Wait(length) => wit::Step::Wait(nanoseconds(length)),
            WarmupStep::Done(reason) => wit::Step::Done(reason),
        })
    }
}

/// Returns the schedule of a workload.
pub fn begin_workload(
    policy: &mut impl WorkloadPolicy,
    model: &models::Model,
) -> Result<trials::Schedule> {
    Ok(policy.begin(&ModelInfo::from(model))?.into())
}

/// Returns the next request of a workload.
pub fn next_request(
    policy: &mut impl WorkloadPolicy,
    last: Option<&trials::Trial>,
) -> Result<Option<requests::Request>> {
    let next: Option<Request> = policy.next(last.map(Trial::from).as_ref())?;
    Ok(next.as_ref().map(requests::Request::from))
}

/// Returns the metrics of a policy.
pub fn derive_metrics(
    policy: &mut impl MetricsPolicy,
    model: &models::Model,
    session: &trials::Session,
) -> Result<Vec<host_report::Metric>> {
    let metrics = policy.derive(&ModelInfo::from(model), &Session::from(session))?;
    Ok(metrics.iter().map(host_report::Metric::from).collect())
}
