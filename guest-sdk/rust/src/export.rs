//! The macros that make a crate a component.

use crate::{
    Result,
    bindings::{Level, Trial, report, warmup::exports::llem::experiment::warmup_policy as wit},
    policy::{Warmup, WarmupPolicy},
};

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
                $crate::export::log_panics();
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
                    Self::policy(|driver| driver.next(last))
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
            LlemWorkload, $policy, $policy,
            $crate::bindings::workload::exports::llem::experiment::workload_policy,
            {
                fn next(
                    last: ::std::option::Option<$crate::bindings::Trial>,
                ) -> ::std::result::Result<
                    ::std::option::Option<$crate::bindings::Request>,
                    ::std::string::String,
                > {
                    Self::policy(|policy| $crate::policy::Workload::next(policy, last.as_ref()))
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
            LlemMetrics, $policy, $policy,
            $crate::bindings::metrics::exports::llem::experiment::metrics_policy,
            {
                fn observe(
                    trial: $crate::bindings::Trial,
                ) -> ::std::result::Result<(), ::std::string::String> {
                    Self::policy(|policy| $crate::policy::Metrics::observe(policy, trial))
                }

                fn derive(
                    model: $crate::bindings::ModelInfo,
                ) -> ::std::result::Result<
                    ::std::vec::Vec<$crate::bindings::Metric>,
                    ::std::string::String,
                > {
                    Self::policy(|policy| $crate::policy::Metrics::derive(policy, &model))
                }
            }
        );
        $crate::bindings::metrics::export_metrics!(LlemMetrics with_types_in $crate::bindings::metrics);
    };
}

/// What the three have in common: a policy that lives as long as the component, and `describe`.
#[doc(hidden)]
#[macro_export]
macro_rules! policy_component {
    ($component:ident, $policy:ty, $lasting:ty, $interface:path, { $($function:tt)* }) => {
        struct $component;

        impl $component {
            fn policy<T>(
                call: impl FnOnce(&mut $lasting) -> $crate::Result<T>,
            ) -> ::std::result::Result<T, ::std::string::String> {
                ::std::thread_local! {
                    static POLICY: ::std::cell::RefCell<$lasting> = {
                        $crate::export::log_panics();
                        ::std::default::Default::default()
                    };
                }
                POLICY.with_borrow_mut(call).map_err(|error| error.to_string())
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

/// A warm-up policy with the history that it is given piece by piece.
#[derive(Default)]
pub struct WarmupDriver<P> {
    policy: P,
    history: Vec<Trial>,
}

impl<P: WarmupPolicy> WarmupDriver<P> {
    /// Adds the trial to the history and asks the policy.
    pub fn next(&mut self, last: Option<Trial>) -> Result<wit::Step> {
        self.history.extend(last);
        Ok(match self.policy.next(&self.history)? {
            Warmup::Run { request, max_new_tokens } => {
                wit::Step::Run(wit::Plan { request, max_new_tokens })
            }
            Warmup::Wait(length) => wit::Step::Wait(length.as_nanos() as u64),
            Warmup::Done(reason) => wit::Step::Done(reason),
        })
    }
}
